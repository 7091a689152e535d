#include "settle/chain.h"

#include "core/clock.h"

#include <inttypes.h>

/*
 * A nonce that the chain waits for, and that we do not, keeps all above it waiting. It
 * is taken by the next transaction, or by one that moves nothing.
 */

#define EMPTY_GAS_LIMIT 50000 /* 21,000, and room for chains that count otherwise */

/* ------------------------------------------------------------------------- watching */

static bool find_gap(struct x402_gap *out, const struct x402_nonces *nonces)
{
    out->is_blocked = false;
    if (x402_plan_gap(&out->nonce, nonces))
        return true;
    out->is_blocked = true;
    return x402_plan_blocked(&out->nonce, nonces);
}

void x402_gap_watch(struct x402_chain *chain, const struct x402_nonces *nonces)
{
    struct x402_gap gap;

    if (!find_gap(&gap, nonces)) {
        chain->gap_milliseconds = -1;
        return;
    }
    bool moved = gap.nonce != chain->gap.nonce;
    if (chain->gap_milliseconds < 0 || gap.is_blocked != chain->gap.is_blocked ||
        (gap.is_blocked && moved))
        chain->gap_milliseconds = x402_chain_milliseconds();
    if (moved)
        chain->gap_unusable = false;
    chain->gap = gap;
    /* A nonce that was spent and is not: what was settled may have moved. */
    if (!gap.is_blocked && !chain->rechecking)
        x402_chain_recheck(chain);
}

static enum x402_fill plan(const struct x402_chain *chain, bool sending)
{
    bool awaited = chain->flights.count > 0 || chain->rechecking || chain->gap_unusable;

    if (chain->gap_milliseconds < 0)
        return X402_FILL_WAIT;
    return x402_plan_fill(chain->gap.is_blocked,
                          x402_chain_milliseconds() - chain->gap_milliseconds, sending,
                          awaited);
}

bool x402_gap_is_to_be_used(const struct x402_chain *chain)
{
    return !chain->gap_unusable && plan(chain, true) == X402_FILL_USE;
}

/* -------------------------------------------------------------------------- filling */

/*
 * The one transaction that is not stored before it is sent. The outbox has room for one
 * chain of rows a nonce, and shows those with payments that are open: a row without any
 * would keep the nonce from the payments that could take it after a restart, and itself
 * be found by nobody. It needs no row: it moves nothing, so it may be lost, and signed
 * again when the nonce is still missing; and what it keeps from being included is seen
 * by the nonce that is spent.
 */
static void send_empty(struct x402_chain *chain, uint64_t nonce, struct x402_fee fee)
{
    struct x402_row row = {.nonce = nonce,
                           .fee = fee,
                           .gas_limit = EMPTY_GAS_LIMIT,
                           .submitted_at_seconds = x402_clock_seconds()};
    const struct x402_row *list = &row;
    struct x402_note_event event;
    char hash[65] = "";

    if (!x402_chain_hold(chain) || x402_row_sign_empty(chain, &row) != X402_OK)
        return;
    x402_hex_encode(hash, row.hash32, 32);
    x402_note_begin(&event, chain, X402_NOTE_FILLED);
    x402_note_put_transaction(&event, row.hash32, 0);
    x402_note_tell(chain->options, &event,
                   "%s: transaction %" PRIu64
                   " is missing: filling its place with an empty one, 0x%s",
                   chain->name, nonce, hash);
    x402_rows_send(chain, &list, 1);
    x402_row_release(&row);
    chain->fill = row;
    chain->filled = true;
    chain->moved++;
}

/* The transaction sent is awaited like any other. */
static void push_empty(struct x402_chain *chain)
{
    const struct x402_sent *sent = x402_sent_of(chain, chain->fill.nonce);
    struct x402_fee fee;

    if (sent == NULL || sent->last == X402_SEND_NONCE_SPENT) {
        chain->filled = false;
        return;
    }
    struct x402_pending pending = {
        .rows = 1,
        .payments = 1,
        .age_seconds = x402_clock_seconds() - chain->fill.submitted_at_seconds,
        .sent_milliseconds = sent->at_milliseconds >= 0
                                 ? x402_chain_milliseconds() - sent->at_milliseconds
                                 : -1,
        .last = sent->last,
        .stuck_seconds = X402_STUCK_SECONDS,
        .resend_milliseconds = X402_RESEND_MILLISECONDS,
        .fee_can_rise = x402_fee_replacement(&fee, &chain->policy, &chain->fill.fee,
                                             &chain->view.fee),
    };
    enum x402_pending_action action = x402_plan_pending(&pending);
    if (action == X402_PENDING_REPLACE)
        send_empty(chain, chain->fill.nonce, fee);
    else if (action == X402_PENDING_RESEND)
        send_empty(chain, chain->fill.nonce, chain->fill.fee);
}

/* More than what is stored for the nonce offered: it may still be in some pool. */
static struct x402_fee fee_over(const struct x402_chain *chain, uint64_t nonce)
{
    const struct x402_row *stored = x402_flights_row(&chain->flights, nonce);
    struct x402_fee fee = chain->view.fee;

    if (stored != NULL &&
        !x402_fee_replacement(&fee, &chain->policy, &stored->fee, &chain->view.fee))
        fee = chain->view.fee;
    return fee;
}

void x402_gap_fill(struct x402_chain *chain)
{
    if (chain->filled && chain->view.nonces.chain_latest > chain->fill.nonce)
        chain->filled = false;
    if (!chain->view.quoted || chain->failed || x402_chain_stopping(chain))
        return;
    /* A reorganization may leave one missing below what was filled, which waits then.
     */
    if (plan(chain, false) == X402_FILL_EMPTY &&
        !(chain->filled && chain->fill.nonce == chain->gap.nonce))
        send_empty(chain, chain->gap.nonce, fee_over(chain, chain->gap.nonce));
    else if (chain->filled)
        push_empty(chain);
}
