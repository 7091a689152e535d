/*
 * Payments that were submitted by a signer that nobody works with: transactions of a
 * key that is lost, perhaps, or requests to a facilitator that is asked no more.
 * Whoever has the signer goes on with them. Once the safe block is past their
 * validBefore they cannot be paid any more, and the chain says for good whether they
 * were: then any settler may ask.
 */
#include "settle/chain.h"

#include "core/clock.h"

#include <stdlib.h>
#include <string.h>

#define AGAIN_MILLISECONDS 60000
#define COUNT_MAX 1000                   /* as far as they are counted */
#define PAGE_MAX (X402_LOOK_UPS_MAX / 2) /* looked up in a pass */

/* ------------------------------------------------------------------ what there is */

/* Told again only when there were none in between. */
static void tell(struct x402_chain *chain, size_t count)
{
    if (count > 0 && !chain->strays_told)
        x402_chain_note(
            chain, X402_NOTE_STRAY,
            "%s: in transactions of another key that nobody works with, or "
            "asked of a facilitator: %zu%s payment%s; a settler that has it "
            "goes on, and when they have ended, the chain is asked",
            chain->name, count, count == COUNT_MAX ? " or more" : "",
            count == 1 ? "" : "s");
    chain->strays_told = count > 0;
}

/* By our clock; it is the safe block that counts. */
static bool has_ended(const struct x402_settlement *payment)
{
    int64_t now = x402_clock_seconds();

    return now >= 0 && payment->valid_before_seconds <= (uint64_t)now;
}

static bool is_time(const struct x402_chain *chain)
{
    return x402_chain_milliseconds() >= chain->strays_milliseconds;
}

static void put_off(struct x402_chain *chain)
{
    chain->strays_continue = false;
    chain->strays_milliseconds = x402_chain_milliseconds() + AGAIN_MILLISECONDS;
}

static bool list(struct x402_chain *chain, const struct x402_settlement *after,
                 struct x402_settlement *out, size_t max, size_t *count)
{
    return x402_ledger_strays(chain->ledger, chain->network.chain_id, chain->signer20,
                              after, out, max, count) == X402_OK;
}

bool x402_strays_are_due(struct x402_chain *chain, bool *out)
{
    struct x402_settlement *strays;
    size_t count = 0;

    *out = is_time(chain);
    if (!*out || chain->strays_continue)
        return true;
    strays = calloc(COUNT_MAX, sizeof *strays);
    if (strays == NULL || !list(chain, NULL, strays, COUNT_MAX, &count)) {
        free(strays);
        return false;
    }
    tell(chain, count);
    *out = count > 0 && has_ended(&strays[0]);
    if (!*out)
        put_off(chain);
    free(strays);
    return true;
}

/* -------------------------------------------------------------- what became of them */

/* Paid by the very transaction it was last submitted in: that is its row, and its cost
 * is known. */
static void attribute(struct x402_chain *chain, struct x402_ruling *ruling)
{
    const struct x402_settlement *payment = ruling->payment;
    struct x402_finding *finding = &ruling->finding;
    const struct x402_evidence *evidence = &finding->evidence;
    struct x402_outbox row;

    if (ruling->action != X402_ACTION_SETTLE ||
        x402_ledger_outbox_find(chain->ledger, &row, payment->transaction_id) ||
        memcmp(row.hash32, evidence->hash32, 32) != 0)
        return;
    finding->transaction_id = row.transaction_id;
    finding->cost = x402_cost_of_payment(
        chain, (struct x402_cost){evidence->gas_used, evidence->fee_wei},
        row.transaction_id, payment->payment_id);
}

static void settle(struct x402_chain *chain, const struct x402_settlement *payment)
{
    struct x402_finding finding = {.sight = X402_SIGHT_GONE};
    struct x402_ruling ruling;

    x402_rule(chain, &ruling, payment, &finding);
    attribute(chain, &ruling);
    x402_rulings_enforce(chain, &ruling, 1);
}

/* A page; goes on behind it in the next pass, and after the last one in a minute. */
void x402_strays_settle(struct x402_chain *chain)
{
    struct x402_settlement page[PAGE_MAX];
    struct x402_block safe;
    size_t count = 0, done = 0;

    if (!is_time(chain) || chain->view.behind || !x402_chain_safe(chain, &safe))
        return;
    if (!list(chain, chain->strays_continue ? &chain->stray_after : NULL, page,
              PAGE_MAX, &count))
        x402_chain_ledger_failed(chain);
    while (done < count && page[done].valid_before_seconds <= safe.time_seconds &&
           chain->look_ups < X402_LOOK_UPS_MAX && !chain->failed &&
           !x402_chain_stopping(chain))
        settle(chain, &page[done++]);
    if (done < PAGE_MAX) {
        put_off(chain);
        return;
    }
    chain->strays_continue = true;
    chain->stray_after = page[done - 1];
}
