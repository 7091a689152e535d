#include "settle/chain.h"

#include "core/clock.h"
#include "core/failpoint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------------- memory */

struct x402_sent *x402_sent_of(struct x402_chain *chain, uint64_t nonce)
{
    for (size_t i = 0; i < chain->sent_count; i++) {
        if (chain->sent[i].nonce == nonce)
            return &chain->sent[i];
    }
    if (chain->sent_count == X402_SENT_MAX)
        return NULL;
    struct x402_sent *sent = &chain->sent[chain->sent_count++];
    *sent = (struct x402_sent){
        .nonce = nonce, .at_milliseconds = -1, .gone_milliseconds = -1};
    return sent;
}

static bool is_under_way(const struct x402_chain *chain, uint64_t nonce)
{
    for (size_t i = 0; i < chain->flights.count; i++) {
        if (chain->flights.items[i].nonce == nonce)
            return true;
    }
    return false;
}

void x402_sent_prune(struct x402_chain *chain)
{
    size_t kept = 0;

    for (size_t i = 0; i < chain->sent_count; i++) {
        uint64_t nonce = chain->sent[i].nonce;
        if (nonce >= chain->view.nonces.chain_latest || is_under_way(chain, nonce))
            chain->sent[kept++] = chain->sent[i];
    }
    chain->sent_count = kept;
}

/* ------------------------------------------------------------------- pending flights
 */

static bool is_below_base_fee(const struct x402_chain *chain,
                              const struct x402_row *row)
{
    return row->fee.max_fee_wei < chain->view.latest.base_fee_wei;
}

static const struct x402_row *newest_of(const struct x402_flight *flight)
{
    return &flight->rows[flight->rows_count - 1];
}

/* Until the first of these payments ends, and of those above them, which wait for them.
 */
static int64_t left_seconds(const struct x402_chain *chain,
                            const struct x402_flight *flight)
{
    const struct x402_flights *flights = &chain->flights;
    const struct x402_settlement *end = flights->payments + flights->payments_count;
    uint64_t now = chain->view.latest.time_seconds, soonest = UINT64_MAX;

    for (const struct x402_settlement *p = flight->payments; p < end; p++) {
        if (p->valid_before_seconds > now && p->valid_before_seconds < soonest)
            soonest = p->valid_before_seconds;
    }
    return soonest < INT64_MAX ? (int64_t)(soonest - now) : 0;
}

/*
 * More fee helps what the chain waits for and what is below its base fee; the others
 * wait for those before them.
 */
static bool fee_can_rise(const struct x402_chain *chain,
                         const struct x402_flight *flight, enum x402_send last,
                         struct x402_fee *fee)
{
    const struct x402_row *newest = newest_of(flight);
    bool first = flight->nonce == chain->view.nonces.chain_latest;
    bool low = last == X402_SEND_FEE_LOW || is_below_base_fee(chain, newest);

    return (first || low) && chain->view.quoted &&
           x402_fee_replacement(fee, &chain->policy, &newest->fee, &chain->view.fee);
}

/* `fee` is what a replacement would pay: the same, where it cannot rise. */
static enum x402_pending_action plan_flight(const struct x402_chain *chain,
                                            const struct x402_flight *flight,
                                            const struct x402_sent *sent,
                                            struct x402_fee *fee)
{
    const struct x402_row *newest = newest_of(flight);
    bool sent_newest = sent->at_milliseconds >= 0 && sent->row_id == newest->id;
    enum x402_send last = sent_newest ? sent->last : X402_SEND_UNKNOWN;
    unsigned rows = (unsigned)flight->rows_count;
    struct x402_pending pending = {
        .rows = rows,
        .payments = (unsigned)newest->payments_count,
        .age_seconds = x402_clock_seconds() - newest->submitted_at_seconds,
        .sent_milliseconds =
            sent_newest ? x402_chain_milliseconds() - sent->at_milliseconds : -1,
        .last = last,
        .stuck_seconds = x402_plan_stuck_seconds(rows, is_below_base_fee(chain, newest),
                                                 left_seconds(chain, flight)),
        .resend_milliseconds = X402_RESEND_MILLISECONDS,
    };

    *fee = newest->fee;
    pending.fee_can_rise = fee_can_rise(chain, flight, last, fee);
    return x402_plan_pending(&pending);
}

/* ------------------------------------------------------------------- replacements */

/* The newest row that any payments are left of. */
static const struct x402_row *row_to_replace(const struct x402_flight *flight)
{
    const struct x402_row *row = newest_of(flight);

    while (row > flight->rows && row->payments_count == 0)
        row--;
    return row;
}

/*
 * The same nonce and the same payments, but for those that left it meanwhile. `half`:
 * only the first half of them, because no block takes the whole.
 */
static enum x402_error store_replacement(struct x402_chain *chain,
                                         const struct x402_flight *flight,
                                         const struct x402_fee *fee, bool half,
                                         struct x402_row *out,
                                         struct x402_note_event *event)
{
    const struct x402_settlement *payments[X402_ROW_PAYMENTS_MAX];
    const struct x402_row *row = row_to_replace(flight);
    size_t count = row->payments_count;
    /* They come last among those of the flight. */
    const struct x402_settlement *first =
        flight->payments + flight->payments_count - count;
    struct x402_draft draft = {.payments = payments,
                               .count = count,
                               .nonce = flight->nonce,
                               .replaces_id = row->id,
                               .fee = *fee};

    for (size_t i = 0; i < count; i++)
        payments[i] = first + i;
    if (half) {
        x402_batch_shrink(chain, count);
        draft.count = count / 2;
    }
    x402_note_put_payments(event, chain, payments, draft.count);
    enum x402_error error = x402_row_store(chain, out, &draft);
    X402_FAILPOINT(settler_replaced);
    return error;
}

static bool replace(struct x402_chain *chain, const struct x402_flight *flight,
                    const struct x402_fee *fee, bool half, struct x402_row *out)
{
    char old_hash[65] = "", new_hash[65] = "";
    struct x402_note_event event;

    if (!x402_chain_hold(chain))
        return false;
    x402_note_begin(&event, chain, X402_NOTE_REPLACED);
    if (store_replacement(chain, flight, fee, half, out, &event) != X402_OK) {
        x402_chain_ledger_failed(chain);
        return false;
    }
    x402_hex_encode(old_hash, newest_of(flight)->hash32, 32);
    x402_hex_encode(new_hash, out->hash32, 32);
    x402_note_put_transaction(&event, out->hash32, 0);
    x402_note_tell(chain->options, &event,
                   "replaced 0x%s by 0x%s (nonce %" PRIu64 ", at most %" PRIu64
                   " wei a gas)",
                   old_hash, new_hash, out->nonce, fee->max_fee_wei);
    return true;
}

/* What keeps a transaction from being taken is told as long as it does. */
static void tell_trouble(struct x402_chain *chain, const struct x402_sent *sent)
{
    char signer[X402_ADDRESS_TEXT_SIZE];

    x402_address_encode(signer, chain->signer20);
    if (sent->last == X402_SEND_NO_GAS)
        x402_chain_trouble(chain, X402_TROUBLE_GAS,
                           "%s cannot pay for gas: send it some ether", signer);
    else if (sent->last == X402_SEND_REFUSED || sent->last == X402_SEND_BUSY ||
             sent->last == X402_SEND_TOO_LARGE)
        x402_chain_trouble(chain, X402_TROUBLE_REFUSED,
                           "node %s refuses transactions: %s",
                           x402_rpc_origin(chain->rpc), chain->refusal);
    else if (sent->last == X402_SEND_FEE_LOW)
        x402_chain_trouble(chain, X402_TROUBLE_FEES, "node %s finds the fees too low",
                           x402_rpc_origin(chain->rpc));
}

/*
 * The row to send for one flight, or NULL. A replacement is made in *room and is the
 * caller's to release.
 */
static const struct x402_row *push_flight(struct x402_chain *chain,
                                          const struct x402_flight *flight, bool absent,
                                          struct x402_row *room)
{
    struct x402_sent *sent = x402_sent_of(chain, flight->nonce);
    const struct x402_row *newest = &flight->rows[flight->rows_count - 1];
    struct x402_fee fee = {0};

    if (sent == NULL || flight->nonce < chain->view.nonces.chain_latest)
        return NULL;
    sent->gone_milliseconds = -1;
    if (sent->at_milliseconds >= 0 && sent->row_id == newest->id) {
        tell_trouble(chain, sent);
        if (!absent)
            return NULL; /* not known to be waiting */
    }
    switch (plan_flight(chain, flight, sent, &fee)) {
    case X402_PENDING_RESEND:
        return newest;
    case X402_PENDING_REPLACE:
        return replace(chain, flight, &fee, false, room) ? room : NULL;
    case X402_PENDING_SHRINK:
        return replace(chain, flight, &fee, true, room) ? room : NULL;
    case X402_PENDING_WAIT:
        break;
    }
    return NULL;
}

void x402_pending_push(struct x402_chain *chain, const bool *absent)
{
    size_t count = chain->flights.count, sends = 0;
    struct x402_row *rooms = calloc(count + 1, sizeof *rooms);
    const struct x402_row **rows = calloc(count + 1, sizeof *rows);

    for (size_t i = 0; rooms != NULL && rows != NULL && i < count; i++) {
        rows[sends] =
            push_flight(chain, &chain->flights.items[i], absent[i], &rooms[i]);
        sends += rows[sends] != NULL;
    }
    if (sends > 0)
        x402_rows_send(chain, rows, sends);
    for (size_t i = 0; rooms != NULL && i < count; i++)
        x402_row_release(&rooms[i]);
    free(rooms);
    free(rows);
}
