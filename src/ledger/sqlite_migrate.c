#include "ledger/sqlite.h"

#include "core/clock.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

extern const char x402_ledger_schema_sql[];
extern const char x402_ledger_schema_2_sql[];
extern const char x402_ledger_schema_3_sql[];
extern const char x402_ledger_schema_4_sql[];

#define TALLY_MAX 64 /* rows of sales added to at a time */

/* What SQL cannot do well, after it. */
typedef int fill(sqlite3 *db);

/* A handle around a connection that is not one's own. */
static int body_run(sqlite3 *db, x402_sqlite_body *body)
{
    struct x402_sqlite *sqlite = calloc(1, sizeof(*sqlite));
    char name[] = "ledger";
    enum x402_error error;
    int code;

    if (sqlite == NULL) {
        return SQLITE_NOMEM;
    }
    sqlite->path = name;
    sqlite->db = db;
    sqlite->writing = true;
    sqlite->now_seconds = x402_clock_seconds();
    error = body(sqlite, NULL);
    code = sqlite3_extended_errcode(db);
    for (int i = 0; i < X402_SQL_COUNT; i++) {
        (void)sqlite3_finalize(sqlite->statements[i]);
    }
    free(sqlite);
    if (error == X402_OK) {
        return SQLITE_OK;
    }
    return code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE
               ? code
               : SQLITE_ERROR;
}

/* ---------------------------------------------------------------------- version 2 */

static int receipt_key_make(sqlite3 *db)
{
    sqlite3_stmt *statement = NULL;
    uint8_t key32[32];
    int code;

    if (getrandom(key32, sizeof(key32), 0) != (ssize_t)sizeof(key32)) {
        return SQLITE_ERROR;
    }
    code = sqlite3_prepare_v2(db, "INSERT INTO receipt (key) VALUES (?1)", -1,
                              &statement, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_bind_blob(statement, 1, key32, sizeof(key32), SQLITE_STATIC);
        (void)sqlite3_step(statement);
        code = sqlite3_finalize(statement);
    }
    x402_bytes_wipe(key32, sizeof(key32));
    return code;
}

/* What a payment of version 1 adds to the sums of version 2: as if it had been void,
 * and in no sum, before. */
static enum x402_error row_add(struct x402_sqlite *sqlite, sqlite3_stmt *statement)
{
    struct x402_sqlite_subject subject, before;
    enum x402_error error;

    x402_sqlite_column_subject(statement, &subject);
    before = subject;
    before.state = (struct x402_state){X402_DELIVERY_VOID, X402_MONEY_RELEASED};
    error = x402_sqlite_payer_count(sqlite, &before, &subject);
    if (error == X402_OK) {
        error = x402_sqlite_earning_count(sqlite, &before, &subject);
    }
    return error == X402_OK
               ? x402_sqlite_earning_cost(
                     sqlite, &subject, (uint64_t)sqlite3_column_int64(statement, 6),
                     (uint64_t)sqlite3_column_int64(statement, 7), true)
               : error;
}

static enum x402_error final_block_note(struct x402_sqlite *sqlite,
                                        sqlite3_stmt *statement)
{
    const uint64_t block_number = (uint64_t)sqlite3_column_int64(statement, 8);
    struct x402_sqlite_token *token;
    enum x402_error error =
        x402_sqlite_token_take(sqlite, sqlite3_column_int64(statement, 1), &token);

    if (error == X402_OK && block_number > token->final_block) {
        token->final_block = block_number;
        token->changed = true;
    }
    return error;
}

/*
 * Version 1 trusted a payer whose payment had just failed, and did not note whose fault
 * it was: for the rest of the day it is the payer's.
 */
static enum x402_error failure_note(struct x402_sqlite *sqlite, sqlite3_stmt *statement)
{
    const int64_t failed_at = sqlite3_column_int64(statement, 9);
    const int64_t until = failed_at < sqlite->now_seconds
                              ? failed_at + X402_DISTRUST_SECONDS
                              : sqlite->now_seconds + X402_DISTRUST_SECONDS;
    struct x402_sqlite_subject subject;
    struct x402_sqlite_payer *payer;
    enum x402_error error;

    x402_sqlite_column_subject(statement, &subject);
    if (subject.state.money != X402_MONEY_FAILED || until <= sqlite->now_seconds) {
        return X402_OK;
    }
    error = x402_sqlite_payer_take(sqlite, subject.token_id, subject.payer20, &payer);
    if (error == X402_OK && payer->distrust_until_seconds < until) {
        payer->distrust_until_seconds = until;
        payer->others_changed = true;
    }
    return error;
}

/* Only what is unsettled, settled or failed is in any sum. */
static enum x402_error rows_add(struct x402_sqlite *sqlite, void *data)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_MIGRATE_ROWS);
    enum x402_error error = X402_OK;

    (void)data;
    while (error == X402_OK) {
        bool is_row;
        error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            break;
        }
        error = row_add(sqlite, statement);
        if (error == X402_OK) {
            error = final_block_note(sqlite, statement);
        }
        if (error == X402_OK) {
            error = failure_note(sqlite, statement);
        }
    }
    if (error == X402_OK) {
        error = x402_sqlite_payers_write(sqlite);
    }
    if (error == X402_OK) {
        error = x402_sqlite_tokens_write(sqlite);
    }
    return error == X402_OK ? x402_sqlite_earnings_write(sqlite) : error;
}

static int version_2_fill(sqlite3 *db)
{
    int code = receipt_key_make(db);

    return code == SQLITE_OK ? body_run(db, rows_add) : code;
}

/* ---------------------------------------------------------------------- version 3 */

/* What was sold before anybody counted: rows are by the hour, nearly, so that few are
 * added to at a time. */
struct tally {
    size_t count;
    struct {
        int64_t hour;
        struct x402_sales sales;
    } cells[TALLY_MAX];
};

static enum x402_error tally_write(struct x402_sqlite *sqlite, struct tally *tally)
{
    enum x402_error error = X402_OK;

    for (size_t i = 0; error == X402_OK && i < tally->count; i++) {
        error =
            x402_sqlite_sale_add(sqlite, tally->cells[i].hour, &tally->cells[i].sales);
    }
    tally->count = 0;
    return error;
}

static enum x402_error tally_add(struct x402_sqlite *sqlite, struct tally *tally,
                                 int64_t hour, const struct x402_sales *sold)
{
    enum x402_error error = X402_OK;
    size_t i = 0;

    while (i < tally->count &&
           !(tally->cells[i].hour == hour &&
             tally->cells[i].sales.chain_id == sold->chain_id &&
             memcmp(tally->cells[i].sales.asset20, sold->asset20, 20) == 0 &&
             strcmp(tally->cells[i].sales.route, sold->route) == 0)) {
        i++;
    }
    if (i == TALLY_MAX) {
        error = tally_write(sqlite, tally);
        i = 0;
    }
    if (i == tally->count) {
        tally->cells[tally->count].hour = hour;
        tally->cells[tally->count++].sales = *sold;
    } else {
        x402_sales_add(&tally->cells[i].sales, sold);
    }
    return error;
}

static enum x402_error sold_add(struct x402_sqlite *sqlite, struct tally *tally,
                                sqlite3_stmt *statement)
{
    const int64_t hour = sqlite3_column_int64(statement, 0) / X402_HOUR_SECONDS;
    const int64_t now_hour = sqlite->now_seconds / X402_HOUR_SECONDS;
    struct x402_sales sold = {
        .chain_id = (uint64_t)sqlite3_column_int64(statement, 1),
        .delivered = {1, (uint64_t)sqlite3_column_int64(statement, 4)}};
    enum x402_error error;

    x402_sqlite_column_blob(statement, 2, sold.asset20, sizeof(sold.asset20));
    x402_sqlite_column_text(statement, 3, sold.route, sizeof(sold.route));
    error = tally_add(sqlite, tally, X402_ACTIVITY_EVER, &sold);
    if (error == X402_OK && hour > now_hour - X402_ACTIVITY_DAYS * 24) {
        error = tally_add(sqlite, tally, hour, &sold);
    }
    return error;
}

static enum x402_error sales_add(struct x402_sqlite *sqlite, void *data)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_MIGRATE_SALES);
    struct tally tally = {.count = 0};
    enum x402_error error;
    bool is_row;

    (void)data;
    while ((error = x402_sqlite_row(sqlite, statement, &is_row)) == X402_OK && is_row) {
        error = sold_add(sqlite, &tally, statement);
        if (error != X402_OK) {
            return error;
        }
    }
    return error == X402_OK ? tally_write(sqlite, &tally) : error;
}

static int version_3_fill(sqlite3 *db)
{
    return body_run(db, sales_add);
}

/* -------------------------------------------------------------------------- steps */

/* From nothing to version 1, and from each version to the next. Never change one that
 * was released: add. */
static const struct {
    const char *sql;
    fill *fill;
} steps[X402_SQLITE_VERSION] = {
    {x402_ledger_schema_sql, NULL},
    {x402_ledger_schema_2_sql, version_2_fill},
    {x402_ledger_schema_3_sql, version_3_fill},
    {x402_ledger_schema_4_sql, NULL},
};

/* All tables first, and then what fills them: that uses this version's statements. */
int x402_sqlite_migrate(sqlite3 *db, int version)
{
    int code = SQLITE_OK;

    for (int i = version; code == SQLITE_OK && i < X402_SQLITE_VERSION; i++) {
        code = sqlite3_exec(db, steps[i].sql, NULL, NULL, NULL);
    }
    for (int i = version; code == SQLITE_OK && i < X402_SQLITE_VERSION; i++) {
        code = steps[i].fill != NULL ? steps[i].fill(db) : SQLITE_OK;
    }
    return code;
}
