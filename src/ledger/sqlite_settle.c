#include "ledger/sqlite.h"

#include <assert.h>
#include <string.h>

int64_t x402_sqlite_bounded(uint64_t number)
{
    return number > INT64_MAX ? INT64_MAX : (int64_t)number;
}

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
    out->admitted_at_seconds = sqlite3_column_int64(statement, 16);
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

enum x402_error x402_sqlite_halves(struct x402_sqlite *sqlite, x402_sqlite_list *list,
                                   void *data, struct x402_sqlite_page *page)
{
    const size_t half = page->max - page->max / 2;
    uint8_t *const items = page->items;
    size_t first = 0, second = 0, left;
    enum x402_error error = list(sqlite, data, true, items, half, &first);

    left = page->max - first;
    if (error == X402_OK) {
        error = list(sqlite, data, false, items + first * page->size, left, &second);
    }
    if (error == X402_OK && first == half && second < left) {
        /* What the second leaves is the first's, and that is read again, whole. */
        uint8_t *const end = items + (page->max - second) * page->size;
        memmove(end, items + first * page->size, second * page->size);
        error = list(sqlite, data, true, items, page->max - second, &first);
        memmove(items + first * page->size, end, second * page->size);
    }
    page->count = first + second;
    return error;
}

/* One of so many is kept for what has expired: it is to be found out about, too. */
#define X402_DUE_EXPIRED_SHARE 8

struct listing {
    uint64_t chain_id;
    struct x402_sqlite_page page;
};

static enum x402_error due_read(struct x402_sqlite *sqlite,
                                enum x402_sqlite_statement which, uint64_t chain_id,
                                struct x402_settlement *out, size_t max, size_t *count)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, which);

    x402_sqlite_bind(statement, 1, x402_sqlite_bounded(chain_id));
    x402_sqlite_bind(statement, 2, x402_sqlite_bounded(max));
    x402_sqlite_bind(statement, 3, sqlite->now_seconds);
    return x402_sqlite_settlements(sqlite, statement, out, max, count);
}

/*
 * What is owed, or the rest: what can be collected, then what has expired. That is
 * counted first, so that it keeps its share and takes no more while others are there.
 */
static enum x402_error due_list(struct x402_sqlite *sqlite, void *data, bool owed,
                                void *out, size_t max, size_t *count)
{
    const enum x402_sqlite_statement which =
        owed ? X402_SQL_DUE_OWED : X402_SQL_DUE_REST;
    const enum x402_sqlite_statement over =
        owed ? X402_SQL_DUE_OWED_EXPIRED : X402_SQL_DUE_REST_EXPIRED;
    const uint64_t chain_id = ((const struct listing *)data)->chain_id;
    struct x402_settlement *items = out;
    size_t valid = 0, expired = 0;
    enum x402_error error =
        due_read(sqlite, over, chain_id, items, max / X402_DUE_EXPIRED_SHARE, &expired);

    if (error == X402_OK) {
        error = due_read(sqlite, which, chain_id, items, max - expired, &valid);
    }
    if (error == X402_OK) {
        error = due_read(sqlite, over, chain_id, items + valid, max - valid, &expired);
    }
    *count = valid + expired;
    return error;
}

static enum x402_error due_body(struct x402_sqlite *sqlite, void *data)
{
    struct listing *listing = data;

    return x402_sqlite_halves(sqlite, due_list, listing, &listing->page);
}

enum x402_error x402_sqlite_due(struct x402_ledger *ledger, uint64_t chain_id,
                                struct x402_settlement *out, size_t max, size_t *count)
{
    struct listing listing = {chain_id,
                              {.items = out, .size = sizeof(*out), .max = max}};
    enum x402_error error =
        x402_sqlite_read(x402_sqlite_of(ledger), due_body, &listing);

    if (error == X402_OK) {
        *count = listing.page.count;
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

    x402_sqlite_bind(statement, 1, x402_sqlite_bounded(listing->chain_id));
    x402_sqlite_bind(statement, 2, x402_sqlite_bounded(listing->block_number));
    x402_sqlite_bind(statement, 3, x402_sqlite_bounded(listing->max));
    x402_sqlite_bind(statement, 4,
                     after != NULL ? x402_sqlite_bounded(after->block_number) : -1);
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
