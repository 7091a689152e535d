#include "settle/chain.h"

#include <stdlib.h>
#include <string.h>

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

const struct x402_row *x402_flights_row(const struct x402_flights *flights,
                                        uint64_t nonce)
{
    const struct x402_row *found = NULL;

    for (size_t i = 0; i < flights->rows_count; i++) {
        if (flights->rows[i].nonce == nonce)
            found = &flights->rows[i]; /* the last one is the newest */
    }
    return found;
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

/* ----------------------------------------------------------------------------- rows */

static bool copy_row(struct x402_row *out, const struct x402_outbox *outbox)
{
    *out = (struct x402_row){
        .id = outbox->transaction_id,
        .nonce = outbox->nonce,
        .fee = {outbox->max_fee_wei, outbox->max_priority_fee_wei},
        .gas_limit = outbox->gas_limit,
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

/* ----------------------------------------------------------------------- quiet rows */

/*
 * A payment is submitted in a row from the moment the row is stored, or never: a row
 * that all have left stays so. It is open until they are final, for minutes, and need
 * not be looked into at each pass.
 */
static int compare_ids(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

    return a < b ? -1 : a > b;
}

static bool is_quiet(const struct x402_chain *chain, int64_t row_id)
{
    return chain->quiet_count > 0 && bsearch(&row_id, chain->quiet, chain->quiet_count,
                                             sizeof *chain->quiet, compare_ids) != NULL;
}

/* Of the rows just read; without memory they are looked into again. */
static void remember_quiet(struct x402_chain *chain)
{
    const struct x402_flights *flights = &chain->flights;
    int64_t *quiet = grown(chain->quiet, &chain->quiet_capacity, 0, flights->rows_count,
                           sizeof *quiet);

    if (quiet == NULL)
        return;
    chain->quiet = quiet;
    chain->quiet_count = 0;
    for (size_t i = 0; i < flights->rows_count; i++) {
        if (flights->rows[i].payments_count == 0)
            quiet[chain->quiet_count++] = flights->rows[i].id;
    }
    qsort(quiet, chain->quiet_count, sizeof *quiet, compare_ids);
}

/* -------------------------------------------------------------------------- loading */

/* Payments the row pushed last is the latest transaction of, and still awaited. */
static bool push_payments(struct x402_chain *chain)
{
    struct x402_flights *flights = &chain->flights;
    struct x402_row *row = &flights->rows[flights->rows_count - 1];
    struct x402_settlement *payments =
        grown(flights->payments, &flights->payments_capacity, flights->payments_count,
              X402_ROW_PAYMENTS_MAX, sizeof *payments);
    size_t count = 0;

    if (payments == NULL)
        return false;
    flights->payments = payments;
    payments += flights->payments_count;
    if (x402_ledger_outbox_payments(chain->ledger, row->id, payments,
                                    X402_ROW_PAYMENTS_MAX, &count) != X402_OK) {
        x402_chain_ledger_failed(chain);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (payments[i].state.money == X402_MONEY_SUBMITTED &&
            payments[i].transaction_id == row->id)
            payments[row->payments_count++] = payments[i];
    }
    flights->payments_count += row->payments_count;
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
        if (!push_row(&chain->flights, &outbox) ||
            (!is_quiet(chain, after) && !push_payments(chain))) {
            chain->failed = true;
            return false;
        }
    }
    return fine;
}

/* ------------------------------------------------------------------------- grouping */

/* How many rows there are for the nonce of the first. */
static size_t run_of(const struct x402_flights *flights, size_t first)
{
    size_t end = first + 1;

    while (end < flights->rows_count &&
           flights->rows[end].nonce == flights->rows[first].nonce)
        end++;
    return end - first;
}

/*
 * One flight for each nonce with payments still awaited. All rows of its nonce belong
 * to it, whichever payments they were signed for: any of them may be the one included.
 * Rows come by nonce, then id, and their payments in the same order.
 */
static bool group(struct x402_flights *flights)
{
    struct x402_settlement *payments = flights->payments;

    flights->items = calloc(flights->rows_count + 1, sizeof *flights->items);
    if (flights->items == NULL)
        return false;
    for (size_t i = 0, n; i < flights->rows_count; i += n) {
        struct x402_flight *flight = &flights->items[flights->count];
        n = run_of(flights, i);
        *flight = (struct x402_flight){.nonce = flights->rows[i].nonce,
                                       .rows = &flights->rows[i],
                                       .rows_count = n,
                                       .payments = payments};
        for (size_t j = 0; j < n; j++)
            flight->payments_count += flights->rows[i + j].payments_count;
        if (flight->payments_count == 0)
            continue;
        payments += flight->payments_count;
        flights->count++;
    }
    return true;
}

bool x402_flights_load(struct x402_chain *chain)
{
    x402_flights_release(chain);
    if (load_rows(chain) && group(&chain->flights)) {
        remember_quiet(chain);
        chain->under_way = chain->flights.count;
        return true;
    }
    chain->failed = true;
    x402_flights_release(chain);
    return false;
}
