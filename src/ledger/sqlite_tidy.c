#include "ledger/sqlite.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PRUNE_MAX 256               /* rows in one transaction */
#define PRUNE_ROUNDS_MAX 64         /* transactions in one call */
#define RESET_WAIT_MILLISECONDS 100 /* for readers, with every writer waiting */

struct prey {
    struct x402_sqlite_subject subject;
    uint8_t payer20[20];
};

static enum x402_error sweep_body(struct x402_sqlite *sqlite, void *data)
{
    (void)data;
    return x402_sqlite_lease_sweep(sqlite);
}

/* ------------------------------------------------------------------------ retention */

static enum x402_error prey_find(struct x402_sqlite *sqlite, struct prey *prey,
                                 size_t *count)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PRUNE_FIND);

    x402_sqlite_bind(statement, 1, sqlite->now_seconds);
    x402_sqlite_bind(statement, 2, sqlite->now_seconds - X402_RETENTION_SECONDS);
    x402_sqlite_bind(statement, 3, PRUNE_MAX);
    for (*count = 0;; (*count)++) {
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        assert(*count < PRUNE_MAX);
        x402_sqlite_column_subject(statement, &prey[*count].subject);
        x402_sqlite_column_blob(statement, 5, prey[*count].payer20, 20);
    }
}

/* A payer whose last payment went is no longer counted. */
static enum x402_error payer_forget(struct x402_sqlite *sqlite, const struct prey *prey)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYER_FIND);
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, prey->subject.token_id);
    x402_sqlite_bind_blob(statement, 2, prey->payer20, 20);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        x402_sqlite_done(statement);
    }
    if (error != X402_OK || is_row) {
        return error;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_PAYERS_ADD);
    x402_sqlite_bind(statement, 1, prey->subject.token_id);
    x402_sqlite_bind(statement, 2, -1);
    return x402_sqlite_run(sqlite, statement);
}

static enum x402_error remove_one(struct x402_sqlite *sqlite, const struct prey *prey)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PRUNE);
    enum x402_error error;

    x402_sqlite_bind(statement, 1, prey->subject.id);
    error = x402_sqlite_run(sqlite, statement);
    if (error == X402_OK) {
        error = x402_sqlite_count(sqlite, &prey->subject, X402_FLOW_REMOVED,
                                  prey->subject.value);
    }
    return error == X402_OK ? payer_forget(sqlite, prey) : error;
}

static enum x402_error prune_body(struct x402_sqlite *sqlite, void *data)
{
    struct prey prey[PRUNE_MAX];
    size_t *count = data;
    enum x402_error error = prey_find(sqlite, prey, count);

    for (size_t i = 0; error == X402_OK && i < *count; i++) {
        error = remove_one(sqlite, &prey[i]);
    }
    return error;
}

/* In small transactions, so that admissions get in between. */
static enum x402_error prune(struct x402_sqlite *sqlite)
{
    size_t count = PRUNE_MAX;
    enum x402_error error = X402_OK;

    for (int i = 0; error == X402_OK && count == PRUNE_MAX && i < PRUNE_ROUNDS_MAX;
         i++) {
        error = x402_sqlite_write(sqlite, prune_body, &count);
    }
    return error;
}

/* -------------------------------------------------------------- the write-ahead log */

static int64_t log_size(const struct x402_sqlite *sqlite)
{
    char name[4096];
    struct stat status;

    snprintf(name, sizeof(name), "%s-wal", sqlite->path);
    return stat(name, &status) == 0 ? (int64_t)status.st_size : 0;
}

/*
 * Passive checkpoints copy the log but start it again only when nobody reads: under
 * load it grows for ever. Most is copied without the queue; with the queue, the rest,
 * and the log starts again. A reader in the way is not a failure: the next call tries.
 */
static enum x402_error log_reset(struct x402_sqlite *sqlite)
{
    int code;

    if (log_size(sqlite) <= X402_SQLITE_WAL_MAX) {
        return X402_OK;
    }
    (void)sqlite3_wal_checkpoint_v2(sqlite->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL,
                                    NULL);
    if (x402_sqlite_queue_enter(sqlite->queue_fd) != 0) {
        return X402_OK;
    }
    (void)sqlite3_busy_timeout(sqlite->db, RESET_WAIT_MILLISECONDS);
    code = sqlite3_wal_checkpoint_v2(sqlite->db, "main", SQLITE_CHECKPOINT_TRUNCATE,
                                     NULL, NULL);
    (void)sqlite3_busy_timeout(sqlite->db, X402_SQLITE_WAIT_MILLISECONDS);
    x402_sqlite_queue_leave(sqlite->queue_fd);
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY &&
        (code & 0xff) != SQLITE_LOCKED) {
        return x402_sqlite_fail(sqlite, "write", code);
    }
    return X402_OK;
}

enum x402_error x402_sqlite_tidy(struct x402_ledger *ledger)
{
    struct x402_sqlite *sqlite = x402_sqlite_of(ledger);
    enum x402_error error = x402_sqlite_write(sqlite, sweep_body, NULL);

    if (error == X402_OK) {
        error = prune(sqlite);
    }
    return error == X402_OK ? log_reset(sqlite) : error;
}
