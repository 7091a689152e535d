#include "ledger/sqlite.h"

#include <assert.h>
#include <string.h>

void x402_sqlite_column_settlement(sqlite3_stmt *statement, struct x402_settlement *out)
{
    memset(out, 0, sizeof(*out));
    out->payment_id = sqlite3_column_int64(statement, 0);
    out->state.delivery = (enum x402_delivery)sqlite3_column_int(statement, 1);
    out->state.money = (enum x402_money)sqlite3_column_int(statement, 2);
    out->chain_id = (uint64_t)sqlite3_column_int64(statement, 3);
    x402_sqlite_column_blob(statement, 4, out->asset20, 20);
    x402_sqlite_column_blob(statement, 5, out->from20, 20);
    x402_sqlite_column_blob(statement, 6, out->to20, 20);
    out->value = (uint64_t)sqlite3_column_int64(statement, 7);
    out->valid_after_seconds = (uint64_t)sqlite3_column_int64(statement, 8);
    out->valid_before_seconds = (uint64_t)sqlite3_column_int64(statement, 9);
    x402_sqlite_column_blob(statement, 10, out->nonce32, 32);
    x402_sqlite_column_blob(statement, 11, out->signature65, 65);
    out->transaction_id = sqlite3_column_int64(statement, 12);
    out->due_at_seconds = sqlite3_column_int64(statement, 13);
    out->dialect = (enum x402_dialect)sqlite3_column_int(statement, 14);
    x402_sqlite_column_text(statement, 15, out->route, sizeof(out->route));
}

enum x402_error x402_sqlite_settlements(struct x402_sqlite *sqlite,
                                        sqlite3_stmt *statement,
                                        struct x402_settlement *out, size_t max,
                                        size_t *count)
{
    for (*count = 0; *count < max; (*count)++) {
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        x402_sqlite_column_settlement(statement, &out[*count]);
    }
    x402_sqlite_done(statement);
    return X402_OK;
}

/* ------------------------------------------------------------------------ the queue */

struct listing {
    uint64_t chain_id;
    struct x402_settlement *out;
    size_t max;
    size_t count;
};

static int64_t bounded(uint64_t number)
{
    return number > INT64_MAX ? INT64_MAX : (int64_t)number;
}

static enum x402_error listing_body(struct x402_sqlite *sqlite, void *data)
{
    struct listing *listing = data;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_DUE);

    x402_sqlite_bind(statement, 1, bounded(listing->chain_id));
    x402_sqlite_bind(statement, 2, bounded(listing->max));
    return x402_sqlite_settlements(sqlite, statement, listing->out, listing->max,
                                   &listing->count);
}

enum x402_error x402_sqlite_due(struct x402_ledger *ledger, uint64_t chain_id,
                                struct x402_settlement *out, size_t max, size_t *count)
{
    struct listing listing = {chain_id, out, max, 0};
    enum x402_error error =
        x402_sqlite_read(x402_sqlite_of(ledger), listing_body, &listing);

    if (error == X402_OK) {
        *count = listing.count;
    }
    return error;
}

struct settled_listing {
    uint64_t chain_id;
    uint64_t block_number;
    const struct x402_settled *after; /* or NULL */
    struct x402_settled *out;
    size_t max;
    size_t count;
};

static void settled_bind(sqlite3_stmt *statement, const struct settled_listing *listing)
{
    const struct x402_settled *after = listing->after;

    x402_sqlite_bind(statement, 1, bounded(listing->chain_id));
    x402_sqlite_bind(statement, 2, bounded(listing->block_number));
    x402_sqlite_bind(statement, 3, bounded(listing->max));
    x402_sqlite_bind(statement, 4, after != NULL ? bounded(after->block_number) : -1);
    x402_sqlite_bind(statement, 5,
                     after != NULL ? after->settlement.payment_id : INT64_MAX);
}

static enum x402_error settled_body(struct x402_sqlite *sqlite, void *data)
{
    struct settled_listing *listing = data;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SETTLED_OPEN);

    settled_bind(statement, listing);
    for (;;) {
        struct x402_settled *out = &listing->out[listing->count];
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        assert(listing->count < listing->max);
        x402_sqlite_column_settlement(statement, &out->settlement);
        x402_sqlite_column_blob(statement, X402_SETTLEMENT_COLUMNS_COUNT, out->hash32,
                                32);
        out->block_number = (uint64_t)sqlite3_column_int64(
            statement, X402_SETTLEMENT_COLUMNS_COUNT + 1);
        x402_sqlite_column_blob(statement, X402_SETTLEMENT_COLUMNS_COUNT + 2,
                                out->block_hash32, 32);
        listing->count++;
    }
}

enum x402_error x402_sqlite_settled(struct x402_ledger *ledger, uint64_t chain_id,
                                    uint64_t block_number,
                                    const struct x402_settled *after,
                                    struct x402_settled *out, size_t max, size_t *count)
{
    struct settled_listing listing = {chain_id, block_number, after, out, max, 0};
    enum x402_error error =
        x402_sqlite_read(x402_sqlite_of(ledger), settled_body, &listing);

    if (error == X402_OK) {
        *count = listing.count;
    }
    return error;
}

/* ------------------------------------------------------------------------- verdicts */

struct verdicts {
    struct x402_verdict *verdicts;
    size_t count;
};

/* A statement whose one parameter is an id. */
static enum x402_error run_on(struct x402_sqlite *sqlite,
                              enum x402_sqlite_statement which, int64_t id)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, which);

    x402_sqlite_bind(statement, 1, id);
    return x402_sqlite_run(sqlite, statement);
}

static enum x402_error run_on_with(struct x402_sqlite *sqlite,
                                   enum x402_sqlite_statement which, int64_t id,
                                   int64_t number)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, which);

    x402_sqlite_bind(statement, 1, id);
    x402_sqlite_bind(statement, 2, number);
    return x402_sqlite_run(sqlite, statement);
}

/* Notes where the verdict's transaction is, and which one the payment is in. */
static enum x402_error place_record(struct x402_sqlite *sqlite,
                                    const struct x402_verdict *verdict,
                                    uint64_t block_number, int64_t transaction_id)
{
    enum x402_error error;

    if (verdict->transaction_id != 0) {
        error = run_on_with(sqlite, X402_SQL_OUTBOX_BLOCK, verdict->transaction_id,
                            bounded(block_number));
        if (error == X402_OK && sqlite3_changes(sqlite->db) != 1) {
            error = x402_sqlite_say(sqlite, X402_ERR_CONFLICT,
                                    "there is no transaction %lld",
                                    (long long)verdict->transaction_id);
        }
        if (error != X402_OK) {
            return error;
        }
    }
    return run_on_with(sqlite, X402_SQL_PAYMENT_TRANSACTION, verdict->payment_id,
                       transaction_id);
}

static enum x402_error settled_record(struct x402_sqlite *sqlite,
                                      const struct x402_verdict *verdict)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SETTLED_ADD);
    enum x402_error error;

    x402_sqlite_bind(statement, 1, verdict->payment_id);
    x402_sqlite_bind_blob(statement, 2, verdict->hash32, 32);
    x402_sqlite_bind(statement, 3, bounded(verdict->block_number));
    x402_sqlite_bind_blob(statement, 4, verdict->block_hash32, 32);
    x402_sqlite_bind(statement, 5, bounded(verdict->gas_used));
    x402_sqlite_bind(statement, 6, bounded(verdict->fee_wei));
    error = x402_sqlite_run(sqlite, statement);
    return error == X402_OK ? place_record(sqlite, verdict, verdict->block_number,
                                           verdict->transaction_id)
                            : error;
}

static enum x402_error unsettled_record(struct x402_sqlite *sqlite,
                                        const struct x402_verdict *verdict)
{
    enum x402_error error = run_on(sqlite, X402_SQL_SETTLED_DROP, verdict->payment_id);

    return error == X402_OK ? place_record(sqlite, verdict, 0, 0) : error;
}

static enum x402_error failed_record(struct x402_sqlite *sqlite,
                                     const struct x402_verdict *verdict)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_FAILED_ADD);
    enum x402_error error;

    assert(memchr(verdict->reason, 0, sizeof(verdict->reason)) != NULL);
    x402_sqlite_bind(statement, 1, verdict->payment_id);
    x402_sqlite_bind_text(statement, 2, verdict->reason);
    error = x402_sqlite_run(sqlite, statement);
    return error == X402_OK
               ? run_on(sqlite, X402_SQL_OUTBOX_CLOSE_PAYMENT, verdict->payment_id)
               : error;
}

static enum x402_error final_record(struct x402_sqlite *sqlite,
                                    const struct x402_verdict *verdict)
{
    enum x402_error error = run_on(sqlite, X402_SQL_SETTLED_FINAL, verdict->payment_id);

    return error == X402_OK
               ? run_on(sqlite, X402_SQL_OUTBOX_CLOSE_PAYMENT, verdict->payment_id)
               : error;
}

/* What goes with the step in other tables. */
static enum x402_error verdict_record(struct x402_sqlite *sqlite,
                                      const struct x402_verdict *verdict)
{
    switch (verdict->event) {
    case X402_EVENT_SETTLED:
        return settled_record(sqlite, verdict);
    case X402_EVENT_UNSETTLED:
        return unsettled_record(sqlite, verdict);
    case X402_EVENT_FAILED:
        return failed_record(sqlite, verdict);
    case X402_EVENT_FINAL:
        return final_record(sqlite, verdict);
    case X402_EVENT_PRESENT:
    case X402_EVENT_DELIVERED:
    case X402_EVENT_VOID:
    case X402_EVENT_LEASE_LOST:
    case X402_EVENT_SUBMIT:
    case X402_EVENT_PRESENT_FIRST:
        break;
    }
    return X402_ERR_CONFLICT;
}

/* Only the chain's events are the settler's to tell. */
static bool is_the_chains(enum x402_event event)
{
    return event == X402_EVENT_SETTLED || event == X402_EVENT_UNSETTLED ||
           event == X402_EVENT_FAILED || event == X402_EVENT_FINAL;
}

static enum x402_error verdict_apply(struct x402_sqlite *sqlite,
                                     struct x402_verdict *verdict)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_READ);
    struct x402_sqlite_subject subject;
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, verdict->payment_id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (!is_row) {
        return error;
    }
    x402_sqlite_column_subject(statement, &subject);
    x402_sqlite_done(statement);
    error = is_the_chains(verdict->event)
                ? x402_sqlite_move(sqlite, &subject, verdict->event)
                : X402_ERR_CONFLICT;
    if (error == X402_ERR_CONFLICT) {
        return X402_OK;
    }
    if (error == X402_OK) {
        error = verdict_record(sqlite, verdict);
    }
    verdict->applied = error == X402_OK;
    return error;
}

static enum x402_error advance_body(struct x402_sqlite *sqlite, void *data)
{
    const struct verdicts *verdicts = data;
    enum x402_error error = X402_OK;

    for (size_t i = 0; i < verdicts->count; i++) {
        verdicts->verdicts[i].applied = false;
    }
    for (size_t i = 0; error == X402_OK && i < verdicts->count; i++) {
        error = verdict_apply(sqlite, &verdicts->verdicts[i]);
    }
    return error;
}

enum x402_error x402_sqlite_advance(struct x402_ledger *ledger,
                                    struct x402_verdict *verdicts, size_t count)
{
    struct verdicts all = {verdicts, count};
    enum x402_error error =
        x402_sqlite_write(x402_sqlite_of(ledger), advance_body, &all);

    for (size_t i = 0; error != X402_OK && i < count; i++) {
        verdicts[i].applied = false;
    }
    return error;
}
