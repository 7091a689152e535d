/*
 * What the payers have: their balance and whether there is code at their address, at
 * the latest block. Selling on credit goes by it; settling does not wait for it, and a
 * node that fails here does not fail the pass.
 */
#include "settle/chain.h"

#include "core/failpoint.h"

#include <stdlib.h>
#include <string.h>

#define PAYERS_MAX 1000 /* a pass */
#define TIMEOUT_MILLISECONDS 3000
#define PAUSE_MILLISECONDS 5000      /* after a node that failed; doubling */
#define PAUSE_MILLISECONDS_MAX 30000 /* half of what a balance is good for */

struct round {
    struct x402_payer *payers;
    struct x402_balance *balances;   /* one a payer */
    struct x402_sighting *sightings; /* of those known */
    size_t count;
};

/* --------------------------------------------------------------------------- a round
 */

static void tell_ledger(struct x402_chain *chain, const struct round *round)
{
    size_t count = 0;

    for (size_t i = 0; i < round->count; i++) {
        const struct x402_balance *balance = &round->balances[i];
        if (!balance->known)
            continue;
        round->sightings[count++] = (struct x402_sighting){
            .payer = round->payers[i],
            .looked = true,
            .balance = balance->units,
            .block_number = chain->view.latest.number,
            .has_code = balance->has_code,
        };
    }
    if (count == 0)
        return;
    X402_FAILPOINT(settler_balances);
    if (x402_ledger_payers_seen(chain->ledger, chain->network.chain_id,
                                round->sightings, count))
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

/* A token that does not say what a payer has: nothing, as far as credit goes. */
static void look_at(struct x402_chain *chain, const struct round *round)
{
    static const struct x402_balances_how how = {.timeout_milliseconds =
                                                     TIMEOUT_MILLISECONDS,
                                                 .with_code = true,
                                                 .silence_is_none = true};

    for (size_t i = 0; i < round->count; i++) {
        memcpy(round->balances[i].asset20, round->payers[i].asset20, 20);
        memcpy(round->balances[i].payer20, round->payers[i].payer20, 20);
    }
    bool fine = x402_balances_ask(chain, round->balances, round->count, &how);
    tell_ledger(chain, round);
    pause_after(chain, !fine);
}

void x402_payers_refresh(struct x402_chain *chain)
{
    struct round round = {0};

    if (is_paused(chain) || chain->view.behind)
        return;
    x402_contract_look(chain);
    round.payers = calloc(PAYERS_MAX, sizeof *round.payers);
    round.balances = calloc(PAYERS_MAX, sizeof *round.balances);
    round.sightings = calloc(PAYERS_MAX, sizeof *round.sightings);
    if (round.payers == NULL || round.balances == NULL || round.sightings == NULL ||
        x402_ledger_payers_wanted(chain->ledger, chain->network.chain_id, round.payers,
                                  PAYERS_MAX, &round.count))
        x402_chain_ledger_failed(chain);
    else if (round.count > 0)
        look_at(chain, &round);
    free(round.payers);
    free(round.balances);
    free(round.sightings);
}
