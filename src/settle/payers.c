/*
 * What the payers have: their balance and whether there is code at their address, at
 * the latest block. Selling on credit goes by it; settling does not wait for it, and a
 * node that fails here does not fail the pass.
 */
#include "settle/chain.h"

#include "core/failpoint.h"
#include "evm/facilitator.h"

#include <stdlib.h>
#include <string.h>

#define PAYERS_MAX 1000 /* a pass, through the contract */
#define SINGLES_MAX 32  /* a pass, without it */
#define LOOK_MAX 200    /* payers of one call */
#define LOOKS_MAX 32    /* calls; each has one token */
#define TIMEOUT_MILLISECONDS 3000
#define PAUSE_MILLISECONDS 5000      /* after a node that failed; doubling */
#define PAUSE_MILLISECONDS_MAX 30000 /* half of what a balance is good for */

/* Payers of one token, asked about together. */
struct look {
    size_t indexes[LOOK_MAX]; /* into the payers wanted */
    size_t count;
};

struct round {
    struct x402_payer *payers;
    struct x402_sighting *sightings; /* one a payer */
    size_t count;
    bool failed;  /* a question got no answer that makes sense */
    bool refused; /* or the node refused it, or answered for something else */
};

static void sight(const struct x402_chain *chain, struct round *round, size_t index,
                  uint64_t balance, bool has_code)
{
    round->sightings[index] = (struct x402_sighting){
        .payer = round->payers[index],
        .looked = true,
        .balance = balance,
        .block_number = chain->view.latest.number,
        .has_code = has_code,
    };
}

static void perform(struct x402_chain *chain, struct x402_rpc_call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++)
        calls[i].timeout_milliseconds = TIMEOUT_MILLISECONDS;
    x402_rpc_perform(chain->rpc, calls, count);
}

static struct x402_at latest_of(const struct x402_chain *chain)
{
    return (struct x402_at){.hash32 = chain->view.latest.hash32};
}

/* ------------------------------------------------------------------------ the contract
 */

/* The payers not in a look yet that have the token of the first of them. */
static bool next_look(struct look *out, const struct round *round, bool *taken)
{
    const uint8_t *asset20 = NULL;

    out->count = 0;
    for (size_t i = 0; i < round->count && out->count < LOOK_MAX; i++) {
        if (taken[i] ||
            (asset20 != NULL && memcmp(asset20, round->payers[i].asset20, 20) != 0))
            continue;
        asset20 = round->payers[i].asset20;
        taken[i] = true;
        out->indexes[out->count++] = i;
    }
    return out->count > 0;
}

static struct x402_rpc_call ask_look(const struct x402_chain *chain,
                                     const struct round *round, const struct look *look)
{
    uint8_t data[X402_FACILITATOR_LOOK_SIZE(LOOK_MAX)], payers[LOOK_MAX * 20];

    for (size_t i = 0; i < look->count; i++)
        memcpy(payers + 20 * i, round->payers[look->indexes[i]].payer20, 20);
    struct x402_eth_call call = {
        .to20 = x402_facilitator_address20,
        .data = data,
        .size = x402_facilitator_look_encode(data, sizeof data,
                                             round->payers[look->indexes[0]].asset20,
                                             payers, look->count),
        .gas = x402_facilitator_look_gas(look->count),
        .at = latest_of(chain),
    };
    return x402_ask_eth_call(&call);
}

/* A token that does not say what a payer has: nothing, as far as credit goes. */
static bool take_look(const struct x402_chain *chain, struct round *round,
                      const struct look *look, const struct x402_rpc_call *call)
{
    struct x402_facilitator_seen seen[LOOK_MAX];
    uint8_t returned[LOOK_MAX * 32 + 64];
    size_t size;

    if (!x402_json_data(returned, &size, sizeof returned, call->reply.result) ||
        !x402_facilitator_look_decode(seen, look->count, returned, size))
        return false;
    for (size_t i = 0; i < look->count; i++)
        sight(chain, round, look->indexes[i], seen[i].balance, seen[i].has_code);
    return true;
}

static void look_together(struct x402_chain *chain, struct round *round)
{
    struct x402_rpc_call calls[LOOKS_MAX];
    struct look *looks = calloc(LOOKS_MAX, sizeof *looks);
    bool *taken = calloc(round->count, sizeof *taken);
    size_t count = 0;

    round->failed = looks == NULL || taken == NULL;
    while (!round->failed && count < LOOKS_MAX &&
           next_look(&looks[count], round, taken)) {
        calls[count] = ask_look(chain, round, &looks[count]);
        count++;
    }
    perform(chain, calls, count);
    for (size_t i = 0; i < count; i++) {
        bool fine = take_look(chain, round, &looks[i], &calls[i]);
        round->failed = round->failed || !fine;
        round->refused =
            round->refused || (!fine && calls[i].reply.status != X402_RPC_FAILED);
    }
    x402_rpc_calls_release(calls, count);
    free(looks);
    free(taken);
}

/* ----------------------------------------------------------------------- one by one */

static struct x402_rpc_call ask_balance(const struct x402_chain *chain,
                                        const struct x402_payer *payer)
{
    uint8_t data[X402_ABI_BALANCE_OF_SIZE];

    x402_abi_balance_of(data, payer->payer20);
    struct x402_eth_call call = {.to20 = payer->asset20,
                                 .data = data,
                                 .size = sizeof data,
                                 .gas = X402_GAS_LIMIT,
                                 .at = latest_of(chain)};
    return x402_ask_eth_call(&call);
}

static bool take_single(const struct x402_chain *chain, struct round *round,
                        size_t index, const struct x402_rpc_call *balance_call,
                        const struct x402_rpc_call *code_call)
{
    size_t code_size = json_string_length(code_call->reply.result);
    char reason[X402_REASON_MAX];
    uint64_t balance = 0;

    if (code_call->reply.status != X402_RPC_RESULT || code_size < 2)
        return false;
    if (!x402_json_amount(&balance, balance_call->reply.result) &&
        !x402_rpc_reverted(&balance_call->reply, reason, sizeof reason))
        return false;
    sight(chain, round, index, balance, code_size > 2);
    return true;
}

static void look_singly(struct x402_chain *chain, struct round *round)
{
    struct x402_rpc_call calls[2 * SINGLES_MAX];
    struct x402_at at = latest_of(chain);
    size_t count = round->count < SINGLES_MAX ? round->count : SINGLES_MAX;

    for (size_t i = 0; i < count; i++) {
        calls[2 * i] = ask_balance(chain, &round->payers[i]);
        calls[2 * i + 1] = x402_ask_code_at(round->payers[i].payer20, &at);
    }
    perform(chain, calls, 2 * count);
    for (size_t i = 0; i < count; i++) {
        bool fine = take_single(chain, round, i, &calls[2 * i], &calls[2 * i + 1]);
        round->failed = round->failed || !fine;
    }
    x402_rpc_calls_release(calls, 2 * count);
}

/* --------------------------------------------------------------------------- a round
 */

static void tell_ledger(struct x402_chain *chain, const struct round *round)
{
    struct x402_sighting *seen = round->sightings;
    size_t count = 0;

    for (size_t i = 0; i < round->count; i++) {
        if (round->sightings[i].looked)
            seen[count++] = round->sightings[i];
    }
    if (count == 0)
        return;
    X402_FAILPOINT(settler_balances);
    if (x402_ledger_payers_seen(chain->ledger, chain->network.chain_id, seen, count))
        x402_chain_ledger_failed(chain);
}

/* A node that fails at this is left in peace for longer and longer. */
static void pause_after(struct x402_chain *chain, bool failed)
{
    int64_t pause = chain->payers_pause_milliseconds;

    pause = pause > 0 ? 2 * pause : PAUSE_MILLISECONDS;
    pause = pause < PAUSE_MILLISECONDS_MAX ? pause : PAUSE_MILLISECONDS_MAX;
    chain->payers_pause_milliseconds = failed ? pause : 0;
    chain->payers_milliseconds = x402_chain_milliseconds() + (failed ? pause : 0);
}

static bool is_paused(const struct x402_chain *chain)
{
    return x402_chain_milliseconds() < chain->payers_milliseconds;
}

bool x402_payers_are_wanted(struct x402_chain *chain, bool *wanted)
{
    struct x402_payer one;
    size_t count = 0;

    *wanted = false;
    if (is_paused(chain))
        return true;
    if (x402_ledger_payers_wanted(chain->ledger, chain->network.chain_id, &one, 1,
                                  &count))
        return false;
    *wanted = count > 0;
    return true;
}

static void look_at(struct x402_chain *chain, struct round *round)
{
    if (chain->has_contract && !chain->looks_refused)
        look_together(chain, round);
    /* Too much for the node, perhaps; or the contract is gone, which batches tell. */
    chain->looks_refused = chain->looks_refused || round->refused;
    if (!chain->has_contract || chain->looks_refused) {
        round->failed = false;
        look_singly(chain, round);
    }
    tell_ledger(chain, round);
    pause_after(chain, round->failed);
}

void x402_payers_refresh(struct x402_chain *chain)
{
    struct round round = {0};

    if (is_paused(chain) || chain->view.behind)
        return;
    x402_contract_look(chain);
    round.payers = calloc(PAYERS_MAX, sizeof *round.payers);
    round.sightings = calloc(PAYERS_MAX, sizeof *round.sightings);
    if (round.payers == NULL || round.sightings == NULL ||
        x402_ledger_payers_wanted(chain->ledger, chain->network.chain_id, round.payers,
                                  PAYERS_MAX, &round.count))
        x402_chain_ledger_failed(chain);
    else if (round.count > 0)
        look_at(chain, &round);
    free(round.payers);
    free(round.sightings);
}
