#include "ledger/sqlite.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PRUNE_MAX 256               /* rows in one transaction */
#define PRUNE_ROUNDS_MAX 64         /* transactions in one call */
#define RESET_WAIT_MILLISECONDS 100 /* for readers, with every writer waiting */

_Static_assert(X402_RETENTION_SECONDS == 86400, "as schema-2.sql has it");

static enum x402_error sweep_body(struct x402_sqlite *sqlite, void *data)
{
    (void)data;
    return x402_sqlite_lease_sweep(sqlite);
}

/* ------------------------------------------------------------------------ retention */

/* One round over what is released, or failed before it was served. */
struct prune {
    enum x402_sqlite_statement which;
    struct x402_sqlite_subject prey[PRUNE_MAX];
    size_t count;
};

static enum x402_error prey_find(struct x402_sqlite *sqlite, struct prune *prune)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, prune->which);

    x402_sqlite_bind(statement, 1, sqlite->now_seconds);
    x402_sqlite_bind(statement, 2, PRUNE_MAX);
    for (prune->count = 0;; prune->count++) {
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        assert(prune->count < PRUNE_MAX);
        x402_sqlite_column_subject(statement, &prune->prey[prune->count]);
    }
}

static enum x402_error rows_remove(struct x402_sqlite *sqlite, int64_t id)
{
    static const enum x402_sqlite_statement all[] = {
        X402_SQL_PRUNE, X402_SQL_FAILED_DROP, X402_SQL_PRUNE_OUTBOX};
    enum x402_error error = X402_OK;

    for (size_t i = 0; error == X402_OK && i < sizeof(all) / sizeof(all[0]); i++) {
        sqlite3_stmt *statement = x402_sqlite_statement(sqlite, all[i]);
        x402_sqlite_bind(statement, 1, id);
        error = x402_sqlite_run(sqlite, statement);
    }
    return error;
}

static enum x402_error remove_one(struct x402_sqlite *sqlite,
                                  const struct x402_sqlite_subject *prey)
{
    enum x402_error error = rows_remove(sqlite, prey->id);

    if (error == X402_OK) {
        error = x402_sqlite_count(sqlite, prey, X402_FLOW_REMOVED, NULL);
    }
    return error;
}

static enum x402_error prune_body(struct x402_sqlite *sqlite, void *data)
{
    struct prune *prune = data;
    enum x402_error error = prey_find(sqlite, prune);

    for (size_t i = 0; error == X402_OK && i < prune->count; i++) {
        error = remove_one(sqlite, &prune->prey[i]);
    }
    return error;
}

/* In small transactions, so that admissions get in between. */
static enum x402_error prune_all(struct x402_sqlite *sqlite,
                                 enum x402_sqlite_statement which)
{
    struct prune prune = {.which = which, .count = PRUNE_MAX};
    enum x402_error error = X402_OK;

    for (int i = 0;
         error == X402_OK && prune.count == PRUNE_MAX && i < PRUNE_ROUNDS_MAX; i++) {
        error = x402_sqlite_write(sqlite, prune_body, &prune);
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
    if (x402_sqlite_queue_enter(&sqlite->queue) != 0) {
        return X402_OK;
    }
    (void)sqlite3_busy_timeout(sqlite->db, RESET_WAIT_MILLISECONDS);
    code = sqlite3_wal_checkpoint_v2(sqlite->db, "main", SQLITE_CHECKPOINT_TRUNCATE,
                                     NULL, NULL);
    (void)sqlite3_busy_timeout(sqlite->db, x402_sqlite_wait_milliseconds);
    x402_sqlite_queue_leave(&sqlite->queue);
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
        error = prune_all(sqlite, X402_SQL_PRUNE_RELEASED);
    }
    if (error == X402_OK) {
        error = prune_all(sqlite, X402_SQL_PRUNE_FAILED);
    }
    if (error == X402_OK) {
        error = x402_sqlite_activity_forget(sqlite);
    }
    return error == X402_OK ? log_reset(sqlite) : error;
}
