#include "ledger/sqlite.h"

#include "core/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STATEMENT_TEXT(symbol, text) [X402_SQL_##symbol] = (text),
static const char *const statement_texts[] = {X402_SQLITE_STATEMENTS(STATEMENT_TEXT)};
#undef STATEMENT_TEXT

static const char *verb(const struct x402_sqlite *sqlite)
{
    return sqlite->writing ? "write" : "read";
}

sqlite3_stmt *x402_sqlite_statement(struct x402_sqlite *sqlite,
                                    enum x402_sqlite_statement which)
{
    sqlite3_stmt **slot = &sqlite->statements[which];
    int code;

    if (*slot != NULL) {
        (void)sqlite3_clear_bindings(*slot); /* they may point to what is gone */
        return *slot;
    }
    code = sqlite3_prepare_v3(sqlite->db, statement_texts[which], -1,
                              SQLITE_PREPARE_PERSISTENT, slot, NULL);
    if (code != SQLITE_OK) {
        (void)x402_sqlite_fail(sqlite, verb(sqlite), code);
        *slot = NULL;
    }
    return *slot;
}

void x402_sqlite_bind(sqlite3_stmt *statement, int parameter, int64_t number)
{
    if (statement != NULL) {
        (void)sqlite3_bind_int64(statement, parameter, number);
    }
}

void x402_sqlite_bind_blob(sqlite3_stmt *statement, int parameter, const uint8_t *bytes,
                           size_t size)
{
    if (statement != NULL) {
        (void)sqlite3_bind_blob(statement, parameter, bytes, (int)size, SQLITE_STATIC);
    }
}

void x402_sqlite_bind_text(sqlite3_stmt *statement, int parameter, const char *text)
{
    if (statement != NULL) {
        (void)sqlite3_bind_text(statement, parameter, text, -1, SQLITE_STATIC);
    }
}

enum x402_error x402_sqlite_row(struct x402_sqlite *sqlite, sqlite3_stmt *statement,
                                bool *is_row)
{
    int code;

    *is_row = false;
    if (statement == NULL) {
        return X402_ERR_LEDGER;
    }
    errno = 0;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *is_row = true;
        return X402_OK;
    }
    if (code == SQLITE_DONE) {
        (void)sqlite3_reset(statement);
        return X402_OK;
    }
    (void)x402_sqlite_fail(sqlite, verb(sqlite), code);
    (void)sqlite3_reset(statement);
    return X402_ERR_LEDGER;
}

enum x402_error x402_sqlite_run(struct x402_sqlite *sqlite, sqlite3_stmt *statement)
{
    bool is_row;
    enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);

    assert(!is_row);
    return error;
}

void x402_sqlite_done(sqlite3_stmt *statement)
{
    (void)sqlite3_reset(statement);
}

void x402_sqlite_column_blob(sqlite3_stmt *statement, int column, uint8_t *out,
                             size_t size)
{
    const void *bytes = sqlite3_column_blob(statement, column);

    memset(out, 0, size);
    if (bytes != NULL && (size_t)sqlite3_column_bytes(statement, column) == size) {
        memcpy(out, bytes, size);
    }
}

void x402_sqlite_column_text(sqlite3_stmt *statement, int column, char *out,
                             size_t out_size)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    size_t size = (size_t)sqlite3_column_bytes(statement, column);

    size = size < out_size ? size : out_size - 1;
    if (text != NULL) {
        memcpy(out, text, size);
    }
    out[text != NULL ? size : 0] = '\0';
}

void x402_sqlite_column_subject(sqlite3_stmt *statement,
                                struct x402_sqlite_subject *out)
{
    out->id = sqlite3_column_int64(statement, 0);
    out->token_id = sqlite3_column_int64(statement, 1);
    out->state.delivery = (enum x402_delivery)sqlite3_column_int(statement, 2);
    out->state.money = (enum x402_money)sqlite3_column_int(statement, 3);
    out->value = (uint64_t)sqlite3_column_int64(statement, 4);
    x402_sqlite_column_blob(statement, 5, out->payer20, sizeof(out->payer20));
}

/* Whatever was begun is undone, and whatever was learnt inside it is forgotten. */
static void abandon(struct x402_sqlite *sqlite)
{
    for (int i = 0; i < X402_SQL_COUNT; i++) {
        if (sqlite->statements[i] != NULL) {
            (void)sqlite3_reset(sqlite->statements[i]);
        }
    }
    if (!sqlite3_get_autocommit(sqlite->db) &&
        sqlite3_exec(sqlite->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK) {
        sqlite->doubtful = true;
    }
    sqlite->names_count = 0;
    sqlite->flows_count = 0;
    sqlite->payers_count = 0;
    sqlite->tokens_count = 0;
    sqlite->earnings_count = 0;
    sqlite->unposted = 0;
    sqlite->lease_taken = 0;
    sqlite->horizon_until_seconds = 0;
    sqlite->live.last = (struct x402_live_newest){0};
}

/* Everything added up in memory; payers first, since a new one changes its token. */
static enum x402_error sums_write(struct x402_sqlite *sqlite)
{
    enum x402_error error = x402_sqlite_flows_write(sqlite);

    if (error == X402_OK) {
        error = x402_sqlite_payers_write(sqlite);
    }
    if (error == X402_OK) {
        error = x402_sqlite_tokens_write(sqlite);
    }
    return error == X402_OK ? x402_sqlite_earnings_write(sqlite) : error;
}

static enum x402_error transact(struct x402_sqlite *sqlite,
                                enum x402_sqlite_statement begin,
                                x402_sqlite_body *body, void *data)
{
    enum x402_error error;

    assert(sqlite->flows_count == 0 && sqlite->payers_count == 0 &&
           sqlite->tokens_count == 0 && sqlite->earnings_count == 0 &&
           sqlite->lease_taken == 0);
    sqlite->writing = begin == X402_SQL_BEGIN_WRITE;
    sqlite->now_seconds = x402_clock_seconds();
    error = x402_sqlite_run(sqlite, x402_sqlite_statement(sqlite, begin));
    if (error == X402_OK) {
        error = body(sqlite, data);
    }
    if (error == X402_OK) {
        error = sums_write(sqlite);
    }
    if (error == X402_OK) {
        error = x402_sqlite_run(sqlite, x402_sqlite_statement(sqlite, X402_SQL_COMMIT));
    }
    if (error != X402_OK) {
        abandon(sqlite);
        return error;
    }
    x402_sqlite_live_committed(sqlite);
    if (sqlite->lease_taken != 0) {
        sqlite->lease_id = sqlite->lease_taken;
        sqlite->lease_taken = 0;
    }
    return X402_OK;
}

static enum x402_error nothing_body(struct x402_sqlite *sqlite, void *data)
{
    (void)sqlite;
    (void)data;
    return X402_OK;
}

/* Who may write reads what it wrote; where that cannot be posted now, what was. */
static enum x402_error journal_post_for_reader(struct x402_sqlite *sqlite)
{
    bool empty = true;
    enum x402_error error = sqlite->mode == X402_LEDGER_WRITE
                                ? x402_sqlite_journal_is_empty(sqlite, &empty)
                                : X402_OK;

    if (error == X402_OK && !empty &&
        x402_sqlite_write(sqlite, nothing_body, NULL) != X402_OK) {
        sqlite->base.message[0] = '\0';
        return x402_sqlite_connect(sqlite);
    }
    return error;
}

enum x402_error x402_sqlite_read(struct x402_sqlite *sqlite, x402_sqlite_body *body,
                                 void *data)
{
    enum x402_error error = x402_sqlite_connect(sqlite);

    if (error == X402_OK) {
        error = journal_post_for_reader(sqlite);
    }
    return error == X402_OK ? transact(sqlite, X402_SQL_BEGIN_READ, body, data) : error;
}

/* Waits until nobody else writes, and keeps it so until the queue is left. */
static enum x402_error take_turn(struct x402_sqlite *sqlite)
{
    enum x402_error error;

    if (sqlite->mode != X402_LEDGER_WRITE) {
        return x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                               "cannot write ledger '%s': it was opened for reading",
                               sqlite->path);
    }
    error = x402_sqlite_connect(sqlite);
    if (error != X402_OK) {
        return error;
    }
    if (x402_sqlite_queue_enter(&sqlite->queue) != 0) {
        return x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                               "cannot write ledger '%s': it is locked by another "
                               "process",
                               sqlite->path);
    }
    return X402_OK;
}

enum x402_error x402_sqlite_append(struct x402_sqlite *sqlite, x402_sqlite_body *body,
                                   void *data)
{
    enum x402_error error = take_turn(sqlite);

    if (error != X402_OK) {
        return error;
    }
    error = transact(sqlite, X402_SQL_BEGIN_WRITE, body, data);
    x402_sqlite_queue_leave(&sqlite->queue);
    return error;
}

/* A body, after what is in the journal has been posted. */
struct posted {
    x402_sqlite_body *body;
    void *data;
};

static enum x402_error posted_body(struct x402_sqlite *sqlite, void *data)
{
    const struct posted *posted = data;
    enum x402_error error = x402_sqlite_journal_post(sqlite);

    return error == X402_OK ? posted->body(sqlite, posted->data) : error;
}

enum x402_error x402_sqlite_write(struct x402_sqlite *sqlite, x402_sqlite_body *body,
                                  void *data)
{
    struct posted posted = {body, data};

    return x402_sqlite_append(sqlite, posted_body, &posted);
}
