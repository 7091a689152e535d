#include "settle/chain.h"

#include "core/clock.h"
#include "evm/abi.h"
#include "evm/transaction.h"

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

/* -------------------------------------------------------------------------- signing */

static enum x402_error sign(const struct x402_chain *chain, uint8_t *raw,
                            size_t raw_max, struct x402_row *row,
                            const struct x402_settlement *payment)
{
    uint8_t data[X402_ABI_TRANSFER_SIZE];

    x402_transfer_data(data, payment);
    struct x402_transaction transaction = {
        .chain_id = chain->network.chain_id,
        .nonce = row->nonce,
        .max_priority_fee_wei = row->fee.tip_wei,
        .max_fee_wei = row->fee.max_fee_wei,
        .gas_limit = X402_GAS_LIMIT,
        .data = data,
        .data_size = sizeof data,
    };
    memcpy(transaction.to20, payment->asset20, 20);
    return x402_transaction_sign(raw, &row->raw_size, raw_max, row->hash32,
                                 &transaction, chain->options->key32);
}

static enum x402_error store(struct x402_chain *chain, struct x402_row *row,
                             const struct x402_settlement *payment, const uint8_t *raw,
                             int64_t replaces_id)
{
    struct x402_outbox outbox = {
        .chain_id = chain->network.chain_id,
        .nonce = row->nonce,
        .max_fee_wei = row->fee.max_fee_wei,
        .max_priority_fee_wei = row->fee.tip_wei,
        .gas_limit = X402_GAS_LIMIT,
        .raw = raw,
        .raw_size = row->raw_size,
        .replaces_id = replaces_id,
    };

    memcpy(outbox.signer20, chain->signer20, 20);
    memcpy(outbox.hash32, row->hash32, 32);
    enum x402_error error =
        x402_ledger_submit(chain->ledger, &outbox, &payment->payment_id, 1);
    row->id = outbox.transaction_id;
    return error;
}

enum x402_error x402_row_store(struct x402_chain *chain, struct x402_row *out,
                               const struct x402_settlement *payment, uint64_t nonce,
                               const struct x402_fee *fee, int64_t replaces_id)
{
    uint8_t raw[X402_TRANSACTION_SIZE_MAX(X402_ABI_TRANSFER_SIZE)];
    struct x402_row row = {.nonce = nonce, .fee = *fee};
    enum x402_error error = sign(chain, raw, sizeof raw, &row, payment);

    if (error != X402_OK)
        return error;
    row.raw = malloc(row.raw_size);
    if (row.raw == NULL)
        return X402_ERR_SPACE;
    memcpy(row.raw, raw, row.raw_size);
    row.submitted_at_seconds = x402_clock_seconds();
    error = store(chain, &row, payment, raw, replaces_id);
    if (error != X402_OK) {
        x402_row_release(&row);
        return error;
    }
    chain->moved++;
    *out = row;
    return X402_OK;
}

/* -------------------------------------------------------------------------- sending */

/* Taken only when the node names the hash we know: "null" is no promise. */
static enum x402_send send_of(struct x402_chain *chain, const struct x402_row *row,
                              const struct x402_rpc_call *call)
{
    uint8_t hash32[32];

    if (call->reply.status == X402_RPC_RESULT &&
        x402_json_bytes(hash32, 32, call->reply.result) &&
        memcmp(hash32, row->hash32, 32) == 0)
        return X402_SEND_ACCEPTED;
    if (call->reply.status != X402_RPC_ERROR)
        return X402_SEND_UNKNOWN;
    enum x402_send send = x402_send_classify(call->reply.message);
    if (send == X402_SEND_REFUSED)
        memcpy(chain->refusal, call->reply.message, sizeof chain->refusal);
    return send;
}

/* What may not have arrived counts as never sent. */
static void remember(struct x402_chain *chain, const struct x402_row *row,
                     enum x402_send send)
{
    struct x402_sent *sent = x402_sent_of(chain, row->nonce);

    if (sent == NULL)
        return;
    sent->row_id = row->id;
    sent->last = send;
    sent->at_milliseconds = send == X402_SEND_UNKNOWN ? -1 : x402_chain_milliseconds();
}

void x402_rows_send(struct x402_chain *chain, const struct x402_row *const *rows,
                    size_t count)
{
    struct x402_rpc_call *calls = calloc(count + 1, sizeof *calls);

    if (calls == NULL || count == 0) {
        free(calls);
        return; /* they are stored: next pass */
    }
    for (size_t i = 0; i < count; i++)
        calls[i] = x402_ask_send(rows[i]->raw, rows[i]->raw_size);
    (void)x402_chain_ask(chain, calls, count);
    for (size_t i = 0; i < count; i++)
        remember(chain, rows[i], send_of(chain, rows[i], &calls[i]));
    x402_rpc_calls_release(calls, count);
    free(calls);
}

/* ------------------------------------------------------------------- pending flights
 */

static bool is_below_base_fee(const struct x402_chain *chain,
                              const struct x402_row *row)
{
    return row->fee.max_fee_wei < chain->view.latest.base_fee_wei;
}

/*
 * Twice as long before each further replacement, at most ten minutes; sooner where the
 * chain has become too dear for it.
 */
static int64_t stuck_seconds(const struct x402_chain *chain,
                             const struct x402_flight *flight)
{
    int64_t seconds = X402_STUCK_SECONDS;

    if (is_below_base_fee(chain, &flight->rows[flight->rows_count - 1]))
        seconds /= 3;
    for (size_t i = 1; i < flight->rows_count && seconds < 600; i++)
        seconds *= 2;
    return seconds < 600 ? seconds : 600;
}

/*
 * More fee helps what the chain waits for and what is below its base fee; the others
 * wait for those before them. A batch is built elsewhere, so it is only sent again.
 */
static bool fee_can_rise(const struct x402_chain *chain,
                         const struct x402_flight *flight, enum x402_send last,
                         struct x402_fee *fee)
{
    const struct x402_row *newest = &flight->rows[flight->rows_count - 1];
    bool first = flight->nonce == chain->view.nonces.chain_latest;
    bool low = last == X402_SEND_FEE_LOW || is_below_base_fee(chain, newest);

    return (first || low) && flight->payments_count == 1 && chain->view.quoted &&
           x402_fee_replacement(fee, &chain->policy, &newest->fee, &chain->view.fee);
}

static enum x402_pending_action plan_flight(const struct x402_chain *chain,
                                            const struct x402_flight *flight,
                                            const struct x402_sent *sent,
                                            struct x402_fee *fee)
{
    const struct x402_row *newest = &flight->rows[flight->rows_count - 1];
    bool sent_newest = sent->at_milliseconds >= 0 && sent->row_id == newest->id;
    enum x402_send last = sent_newest ? sent->last : X402_SEND_UNKNOWN;
    struct x402_pending pending = {
        .rows = (unsigned)flight->rows_count,
        .payments = 1,
        .age_seconds = x402_clock_seconds() - newest->submitted_at_seconds,
        .sent_milliseconds =
            sent_newest ? x402_chain_milliseconds() - sent->at_milliseconds : -1,
        .last = last,
        .stuck_seconds = stuck_seconds(chain, flight),
        .resend_milliseconds = X402_RESEND_MILLISECONDS,
        .fee_can_rise = fee_can_rise(chain, flight, last, fee),
    };

    return x402_plan_pending(&pending);
}

static bool replace(struct x402_chain *chain, const struct x402_flight *flight,
                    const struct x402_fee *fee, struct x402_row *out)
{
    const struct x402_row *old = &flight->rows[flight->rows_count - 1];
    char old_hash[65] = "", new_hash[65] = "";

    if (!x402_chain_hold(chain))
        return false;
    if (x402_row_store(chain, out, &flight->payments[0], flight->nonce, fee, old->id)) {
        x402_chain_ledger_failed(chain);
        return false;
    }
    x402_hex_encode(old_hash, old->hash32, 32);
    x402_hex_encode(new_hash, out->hash32, 32);
    x402_chain_note(chain,
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
    else if (sent->last == X402_SEND_REFUSED)
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
        return replace(chain, flight, &fee, room) ? room : NULL;
    case X402_PENDING_SHRINK: /* of one payment there is no half */
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
