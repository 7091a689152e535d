#include "settle/chain.h"

#include "evm/facilitator.h"

#include <stdlib.h>
#include <string.h>

/*
 * By the hash of the pass's block: what is under way was asked about at the same one,
 * and a transfer is not counted twice, as gone from the balance and as under way.
 */

#define LOOKS_REFUSED_MILLISECONDS 600000 /* then a look is tried again */

/* Payers of one token, asked about in one call of the contract. */
struct look {
    size_t indexes[X402_BALANCE_LOOK_MAX]; /* into the balances */
    size_t count;
};

static void perform(struct x402_chain *chain, struct x402_rpc_call *calls, size_t count,
                    const struct x402_balances_how *how)
{
    for (size_t i = 0; i < count; i++)
        calls[i].timeout_milliseconds = how->timeout_milliseconds;
    if (how->in_pass)
        (void)x402_chain_ask(chain, calls, count);
    else
        x402_rpc_perform(chain->rpc, calls, count);
}

static struct x402_at latest_of(const struct x402_chain *chain)
{
    return (struct x402_at){.hash32 = chain->view.latest.hash32};
}

/* A token that is silent has said so, and the node nothing wrong. */
static void take_silence(struct x402_balance *balance,
                         const struct x402_balances_how *how)
{
    balance->units = 0;
    balance->known = how->silence_is_none;
    balance->odd = !how->silence_is_none;
}

/* ------------------------------------------------------------------------ the contract
 */

static bool may_look(const struct x402_chain *chain)
{
    return chain->has_contract &&
           x402_chain_milliseconds() >= chain->looks_refused_milliseconds;
}

/* Those not in a look yet that have the token of the first of them. */
static bool next_look(struct look *out, const struct x402_balance *balances,
                      size_t count, bool *taken)
{
    const uint8_t *asset20 = NULL;

    out->count = 0;
    for (size_t i = 0; i < count && out->count < X402_BALANCE_LOOK_MAX; i++) {
        if (taken[i] ||
            (asset20 != NULL && memcmp(asset20, balances[i].asset20, 20) != 0))
            continue;
        asset20 = balances[i].asset20;
        taken[i] = true;
        out->indexes[out->count++] = i;
    }
    return out->count > 0;
}

static struct x402_rpc_call ask_look(const struct x402_chain *chain,
                                     const struct x402_balance *balances,
                                     const struct look *look)
{
    uint8_t data[X402_FACILITATOR_LOOK_SIZE(X402_BALANCE_LOOK_MAX)];
    uint8_t payers[X402_BALANCE_LOOK_MAX * 20];

    for (size_t i = 0; i < look->count; i++)
        memcpy(payers + 20 * i, balances[look->indexes[i]].payer20, 20);
    struct x402_eth_call call = {
        .to20 = x402_facilitator_address20,
        .data = data,
        .size = x402_facilitator_look_encode(
            data, sizeof data, balances[look->indexes[0]].asset20, payers, look->count),
        .gas = x402_facilitator_look_gas(look->count),
        .at = latest_of(chain),
    };
    return x402_ask_eth_call(&call);
}

static bool take_look(struct x402_balance *balances, const struct look *look,
                      const struct x402_rpc_call *call,
                      const struct x402_balances_how *how)
{
    struct x402_facilitator_seen seen[X402_BALANCE_LOOK_MAX];
    uint8_t returned[(X402_BALANCE_LOOK_MAX + 2) * 32];
    size_t size;

    if (!x402_json_data(returned, &size, sizeof returned, call->reply.result) ||
        !x402_facilitator_look_decode(seen, look->count, returned, size))
        return false;
    for (size_t i = 0; i < look->count; i++) {
        struct x402_balance *balance = &balances[look->indexes[i]];
        balance->known = seen[i].known;
        balance->units = seen[i].balance;
        balance->has_code = seen[i].has_code;
        if (!seen[i].known)
            take_silence(balance, how);
    }
    return true;
}

/* What is refused may be too much for the node, or the contract is gone, which batches
 * tell. */
static bool ask_together(struct x402_chain *chain, struct x402_balance *balances,
                         size_t count, const struct x402_balances_how *how)
{
    struct x402_rpc_call calls[X402_BALANCE_LOOKS_MAX];
    struct look *looks = calloc(X402_BALANCE_LOOKS_MAX, sizeof *looks);
    bool *taken = calloc(count, sizeof *taken);
    bool all = looks != NULL && taken != NULL;
    size_t looks_count = 0;

    while (all && looks_count < X402_BALANCE_LOOKS_MAX &&
           next_look(&looks[looks_count], balances, count, taken)) {
        calls[looks_count] = ask_look(chain, balances, &looks[looks_count]);
        looks_count++;
    }
    perform(chain, calls, looks_count, how);
    for (size_t i = 0; i < looks_count; i++) {
        bool fine = take_look(balances, &looks[i], &calls[i], how);
        all = all && fine;
        if (!fine && calls[i].reply.status != X402_RPC_FAILED)
            chain->looks_refused_milliseconds =
                x402_chain_milliseconds() + LOOKS_REFUSED_MILLISECONDS;
    }
    x402_rpc_calls_release(calls, looks_count);
    free(looks);
    free(taken);
    return all;
}

/* ----------------------------------------------------------------------- one by one */

static struct x402_rpc_call ask_balance(const struct x402_chain *chain,
                                        const struct x402_balance *balance)
{
    uint8_t data[X402_ABI_BALANCE_OF_SIZE];

    x402_abi_balance_of(data, balance->payer20);
    struct x402_eth_call call = {.to20 = balance->asset20,
                                 .data = data,
                                 .size = sizeof data,
                                 .gas = X402_GAS_LIMIT,
                                 .at = latest_of(chain)};
    return x402_ask_eth_call(&call);
}

/* False: it made no sense, or there was none. */
static bool take_balance(struct x402_balance *balance, const struct x402_rpc_call *call,
                         const struct x402_balances_how *how)
{
    char reason[X402_REASON_MAX];

    balance->known = x402_json_amount(&balance->units, call->reply.result);
    if (balance->known)
        return true;
    if (x402_rpc_reverted(&call->reply, reason, sizeof reason)) {
        take_silence(balance, how);
        return true;
    }
    balance->odd = call->reply.status != X402_RPC_FAILED;
    return false;
}

static bool take_code(struct x402_balance *balance, const struct x402_rpc_call *call)
{
    size_t size = json_string_length(call->reply.result);
    bool fine = call->reply.status == X402_RPC_RESULT && size >= 2;

    balance->has_code = fine && size > 2;
    balance->known = balance->known && fine;
    return fine;
}

/* Those not known yet, as many as may be. */
static bool ask_singly(struct x402_chain *chain, struct x402_balance *balances,
                       size_t count, const struct x402_balances_how *how)
{
    struct x402_rpc_call calls[2 * X402_BALANCE_SINGLES_MAX];
    struct x402_balance *asked[X402_BALANCE_SINGLES_MAX];
    struct x402_at at = latest_of(chain);
    size_t asked_count = 0, each = how->with_code ? 2 : 1;
    bool all = true;

    for (size_t i = 0; i < count && asked_count < X402_BALANCE_SINGLES_MAX; i++) {
        if (balances[i].known || balances[i].odd)
            continue;
        asked[asked_count] = &balances[i];
        calls[each * asked_count] = ask_balance(chain, &balances[i]);
        if (how->with_code)
            calls[each * asked_count + 1] = x402_ask_code_at(balances[i].payer20, &at);
        asked_count++;
    }
    perform(chain, calls, each * asked_count, how);
    for (size_t i = 0; i < asked_count; i++) {
        all = take_balance(asked[i], &calls[each * i], how) && all;
        if (how->with_code)
            all = take_code(asked[i], &calls[each * i + 1]) && all;
    }
    x402_rpc_calls_release(calls, each * asked_count);
    return all;
}

bool x402_balances_ask(struct x402_chain *chain, struct x402_balance *balances,
                       size_t count, const struct x402_balances_how *how)
{
    bool all = true;

    for (size_t i = 0; i < count; i++) {
        balances[i].known = balances[i].odd = balances[i].has_code = false;
        balances[i].units = 0;
    }
    if (count == 0)
        return true;
    if (may_look(chain))
        all = ask_together(chain, balances, count, how);
    if (!may_look(chain))
        all = ask_singly(chain, balances, count, how);
    return all;
}
