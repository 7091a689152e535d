#include "settle/chain.h"

#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------------------- loading */

void x402_row_release(struct x402_row *row)
{
    free(row->raw);
    row->raw = NULL;
}

void x402_flights_release(struct x402_chain *chain)
{
    struct x402_flights *flights = &chain->flights;

    for (size_t i = 0; i < flights->rows_count; i++)
        x402_row_release(&flights->rows[i]);
    free(flights->rows);
    free(flights->payments);
    free(flights->items);
    memset(flights, 0, sizeof *flights);
}

/* Room for `more` in an array that grows by doubling. */
static void *grown(void *array, size_t *capacity, size_t count, size_t more,
                   size_t size)
{
    size_t wanted = *capacity ? *capacity : 64;

    if (count + more <= *capacity)
        return array;
    while (wanted < count + more)
        wanted *= 2;
    void *larger = realloc(array, wanted * size);
    if (larger != NULL)
        *capacity = wanted;
    return larger;
}

static bool copy_row(struct x402_row *out, const struct x402_outbox *outbox)
{
    *out = (struct x402_row){
        .id = outbox->transaction_id,
        .nonce = outbox->nonce,
        .fee = {outbox->max_fee_wei, outbox->max_priority_fee_wei},
        .submitted_at_seconds = outbox->submitted_at_seconds,
        .raw = malloc(outbox->raw_size + 1),
        .raw_size = outbox->raw_size,
    };
    if (out->raw == NULL)
        return false;
    memcpy(out->hash32, outbox->hash32, 32);
    memcpy(out->raw, outbox->raw, outbox->raw_size);
    return true;
}

static bool push_row(struct x402_flights *flights, const struct x402_outbox *outbox)
{
    struct x402_row *rows = grown(flights->rows, &flights->rows_capacity,
                                  flights->rows_count, 1, sizeof *rows);

    if (rows == NULL)
        return false;
    flights->rows = rows;
    if (!copy_row(&rows[flights->rows_count], outbox))
        return false;
    flights->rows_count++;
    return true;
}

/* Payments this row is the latest transaction of, and that are still awaited. */
static bool push_payments(struct x402_chain *chain, int64_t row_id)
{
    struct x402_flights *flights = &chain->flights;
    struct x402_settlement *payments =
        grown(flights->payments, &flights->payments_capacity, flights->payments_count,
              X402_ROW_PAYMENTS_MAX, sizeof *payments);
    size_t count = 0;

    if (payments == NULL)
        return false;
    flights->payments = payments;
    payments += flights->payments_count;
    if (x402_ledger_outbox_payments(chain->ledger, row_id, payments,
                                    X402_ROW_PAYMENTS_MAX, &count) != X402_OK) {
        x402_chain_ledger_failed(chain);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (payments[i].state.money == X402_MONEY_SUBMITTED &&
            payments[i].transaction_id == row_id)
            flights->payments[flights->payments_count++] = payments[i];
    }
    return true;
}

/* The next stored row; false at the end, and *fine says whether it is one. */
static bool next_row(struct x402_chain *chain, struct x402_outbox *out, int64_t after,
                     bool *fine)
{
    enum x402_error error = x402_ledger_outbox_next(
        chain->ledger, out, chain->network.chain_id, chain->signer20, after);

    *fine = error == X402_OK || error == X402_ERR_NOT_FOUND;
    if (!*fine)
        x402_chain_ledger_failed(chain);
    return error == X402_OK;
}

static bool load_rows(struct x402_chain *chain)
{
    struct x402_outbox outbox;
    int64_t after = 0;
    bool fine = true;

    while (next_row(chain, &outbox, after, &fine)) {
        after = outbox.transaction_id;
        if (!push_row(&chain->flights, &outbox) || !push_payments(chain, after)) {
            chain->failed = true;
            return false;
        }
    }
    return fine;
}

/* ------------------------------------------------------------------------- grouping */

static int compare_rows(const void *left, const void *right)
{
    const struct x402_row *a = left, *b = right;

    if (a->nonce != b->nonce)
        return a->nonce < b->nonce ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

static const struct x402_row *row_of_id(const struct x402_flights *flights, int64_t id)
{
    for (size_t i = 0; i < flights->rows_count; i++) {
        if (flights->rows[i].id == id)
            return &flights->rows[i];
    }
    return NULL;
}

/* The run of rows with one nonce, and how many rows it has. */
static size_t run_of(const struct x402_flights *flights, size_t first)
{
    size_t end = first + 1;

    while (end < flights->rows_count &&
           flights->rows[end].nonce == flights->rows[first].nonce)
        end++;
    return end - first;
}

/* Orders payments by nonce, in place: there are few, and most are in order. */
static void sort_payments(struct x402_flights *flights)
{
    for (size_t i = 1; i < flights->payments_count; i++) {
        struct x402_settlement moving = flights->payments[i];
        uint64_t nonce = row_of_id(flights, moving.transaction_id)->nonce;
        size_t j = i;
        while (j > 0 &&
               row_of_id(flights, flights->payments[j - 1].transaction_id)->nonce >
                   nonce) {
            flights->payments[j] = flights->payments[j - 1];
            j--;
        }
        flights->payments[j] = moving;
    }
}

/*
 * One flight for each nonce with payments still awaited. All rows of its nonce belong
 * to it, whichever payments they were signed for: any of them may be the one included.
 */
static bool group(struct x402_flights *flights)
{
    size_t payment = 0;

    if (flights->rows_count > 1)
        qsort(flights->rows, flights->rows_count, sizeof *flights->rows, compare_rows);
    sort_payments(flights);
    flights->items = calloc(flights->payments_count + 1, sizeof *flights->items);
    if (flights->items == NULL)
        return false;
    for (size_t i = 0, n; i < flights->rows_count; i += n) {
        struct x402_flight *flight = &flights->items[flights->count];
        n = run_of(flights, i);
        *flight = (struct x402_flight){.nonce = flights->rows[i].nonce,
                                       .rows = &flights->rows[i],
                                       .rows_count = n,
                                       .payments = &flights->payments[payment]};
        while (payment < flights->payments_count &&
               row_of_id(flights, flights->payments[payment].transaction_id)->nonce ==
                   flight->nonce) {
            flight->payments_count++;
            payment++;
        }
        if (flight->payments_count > 0)
            flights->count++;
    }
    return true;
}

bool x402_flights_load(struct x402_chain *chain)
{
    x402_flights_release(chain);
    if (load_rows(chain) && group(&chain->flights)) {
        chain->under_way = chain->flights.count;
        return true;
    }
    chain->failed = true;
    x402_flights_release(chain);
    return false;
}

/* A request to a facilitator is no transaction, and has no hash. */
bool x402_row_find(struct x402_chain *chain, struct x402_row *out,
                   int64_t transaction_id)
{
    static const uint8_t zero32[32];
    struct x402_outbox outbox;
    enum x402_error error =
        x402_ledger_outbox_find(chain->ledger, &outbox, transaction_id);

    if (error != X402_OK && error != X402_ERR_NOT_FOUND)
        x402_chain_ledger_failed(chain);
    return error == X402_OK && memcmp(outbox.signer20, chain->signer20, 20) == 0 &&
           memcmp(outbox.hash32, zero32, 32) != 0 && copy_row(out, &outbox);
}

/* ------------------------------------------------------------------------ resolving */

/* Why a transaction reverted: the same call at the end of its block. */
static bool ask_why(struct x402_chain *chain, struct x402_finding *finding,
                    const struct x402_settlement *payment, uint64_t block_number)
{
    struct x402_rpc_call call = x402_ask_transfer(chain, payment, NULL, block_number);
    bool fine = x402_chain_ask(chain, &call, 1);

    if (fine) {
        x402_finding_of_call(finding, &call);
        /* It passes now, or the node keeps no state of then: try again, it is due. */
        finding->sight = X402_SIGHT_REVERTED;
        if (finding->reason[0] == '\0')
            strcpy(finding->reason, "its transaction reverted");
    }
    x402_rpc_calls_release(&call, 1);
    return fine;
}

static struct x402_evidence evidence_of(const struct x402_chain *chain,
                                        const struct x402_transaction_receipt *receipt,
                                        size_t share)
{
    struct x402_evidence evidence = {
        .block_number = receipt->block_number,
        .ours = memcmp(receipt->from20, chain->signer20, 20) == 0,
        .gas_used = receipt->gas_used / share,
        .fee_wei = receipt->fee_wei / share,
    };

    memcpy(evidence.hash32, receipt->hash32, 32);
    memcpy(evidence.block_hash32, receipt->block_hash32, 32);
    return evidence;
}

static void resolve_included(struct x402_chain *chain, const struct x402_flight *flight,
                             const struct x402_row *row,
                             const struct x402_transaction_receipt *receipt)
{
    for (size_t i = 0; i < flight->payments_count; i++) {
        const struct x402_settlement *payment = &flight->payments[i];
        struct x402_finding finding = {
            .sight = X402_SIGHT_PAID,
            .evidence = evidence_of(chain, receipt, flight->payments_count),
            .transaction_id = row->id,
        };
        if (!receipt->succeeded) {
            if (!ask_why(chain, &finding, payment, receipt->block_number))
                continue;
        } else if (!x402_proof_of_payment(receipt->logs, receipt->logs_count,
                                          payment)) {
            finding.sight = X402_SIGHT_UNPROVEN;
            finding.why = X402_REVERT_NO_TRANSFER;
            strcpy(finding.reason, "its transaction succeeded and moved no money");
        }
        (void)x402_chain_act(chain, payment, &finding);
    }
}

/*
 * No receipt of any row, and the chain has counted past the nonce: something else spent
 * it, or the node that counts is ahead of the one that has the receipts.
 */
static void resolve_gone(struct x402_chain *chain, const struct x402_flight *flight)
{
    struct x402_sent *sent = x402_sent_of(chain, flight->nonce);
    int64_t now = x402_chain_milliseconds();

    if (sent == NULL)
        return;
    if (sent->gone_milliseconds < 0)
        sent->gone_milliseconds = now;
    if (now - sent->gone_milliseconds < X402_BELIEVE_MILLISECONDS)
        return;
    for (size_t i = 0; i < flight->payments_count; i++) {
        struct x402_finding finding = {.sight = X402_SIGHT_GONE};
        (void)x402_chain_act(chain, &flight->payments[i], &finding);
    }
}

/* True when every row's receipt was asked for and is not there. */
static bool resolve_one(struct x402_chain *chain, const struct x402_flight *flight,
                        const struct x402_rpc_call *calls)
{
    size_t absent = 0;

    for (size_t i = 0; i < flight->rows_count; i++) {
        struct x402_transaction_receipt receipt;
        enum x402_receipt_answer answer = X402_RECEIPT_BROKEN;
        if (calls[i].reply.status == X402_RPC_RESULT)
            answer = x402_transaction_receipt_decode(&receipt, calls[i].reply.result,
                                                     flight->rows[i].hash32);
        if (answer == X402_RECEIPT_FOUND) {
            resolve_included(chain, flight, &flight->rows[i], &receipt);
            x402_transaction_receipt_release(&receipt);
            return false;
        }
        if (answer == X402_RECEIPT_BROKEN && calls[i].reply.status != X402_RPC_FAILED)
            x402_chain_nonsense(chain, &calls[i]);
        absent += answer == X402_RECEIPT_ABSENT;
    }
    if (absent < flight->rows_count)
        return false;
    if (flight->nonce < chain->view.nonces.chain_latest)
        resolve_gone(chain, flight);
    return true;
}

static size_t rows_under_way(const struct x402_flights *flights)
{
    size_t count = 0;

    for (size_t i = 0; i < flights->count; i++)
        count += flights->items[i].rows_count;
    return count;
}

static void resolve_all(struct x402_chain *chain, bool *absent)
{
    struct x402_flights *flights = &chain->flights;
    size_t count = rows_under_way(flights), call = 0;
    struct x402_rpc_call *calls = calloc(count, sizeof *calls);

    if (calls == NULL)
        return;
    for (size_t i = 0; i < flights->count; i++) {
        for (size_t j = 0; j < flights->items[i].rows_count; j++)
            calls[call++] = x402_ask_receipt(flights->items[i].rows[j].hash32);
    }
    (void)x402_chain_ask(chain, calls, count);
    call = 0;
    for (size_t i = 0; i < flights->count && !x402_chain_stopping(chain); i++) {
        absent[i] = resolve_one(chain, &flights->items[i], &calls[call]);
        call += flights->items[i].rows_count;
    }
    x402_rpc_calls_release(calls, count);
    free(calls);
}

/* Receipts change with blocks; now and then ask anyway, for nodes that lag. */
static bool receipts_are_due(struct x402_chain *chain)
{
    int64_t now = x402_chain_milliseconds();
    const uint8_t *latest = chain->view.latest.hash32;

    if (memcmp(latest, chain->receipts_hash32, 32) == 0 &&
        now - chain->receipts_milliseconds < X402_RECEIPTS_MILLISECONDS)
        return false;
    memcpy(chain->receipts_hash32, latest, 32);
    chain->receipts_milliseconds = now;
    return true;
}

void x402_flights_resolve(struct x402_chain *chain)
{
    size_t count = chain->flights.count;

    if (count == 0)
        return;
    bool *absent = calloc(count, sizeof *absent);
    if (absent == NULL)
        return;
    if (receipts_are_due(chain))
        resolve_all(chain, absent);
    if (!x402_chain_stopping(chain))
        x402_pending_push(chain, absent);
    free(absent);
}
