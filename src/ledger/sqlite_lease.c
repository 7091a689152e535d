#include "ledger/sqlite.h"

#include <assert.h>
#include <string.h>

#define SWEEP_MAX 256 /* payments at a time */

int64_t x402_sqlite_lease_id(const struct x402_sqlite *sqlite)
{
    return sqlite->lease_taken != 0 ? sqlite->lease_taken : sqlite->lease_id;
}

/* 0 when there is no such lease. `own`: nor when it is another handle's, as after the
 * file was replaced. */
static enum x402_error expiry_read(struct x402_sqlite *sqlite, int64_t lease_id,
                                   bool own, int64_t *expires_at)
{
    uint8_t holder16[16];
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_LEASE_READ);
    enum x402_error error;
    bool is_row;

    *expires_at = 0;
    x402_sqlite_bind(statement, 1, lease_id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        *expires_at = sqlite3_column_int64(statement, 0);
        x402_sqlite_column_blob(statement, 1, holder16, sizeof(holder16));
        if (own && memcmp(holder16, sqlite->holder16, sizeof(holder16)) != 0) {
            *expires_at = 0;
        }
        x402_sqlite_done(statement);
    }
    return error;
}

enum x402_error x402_sqlite_lease_alive(struct x402_sqlite *sqlite, int64_t lease_id,
                                        bool *alive)
{
    int64_t expires_at;
    enum x402_error error = expiry_read(sqlite, lease_id, false, &expires_at);

    *alive = expires_at > sqlite->now_seconds;
    return error;
}

static enum x402_error lease_take(struct x402_sqlite *sqlite, const char *owner)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_LEASE_TAKE);
    enum x402_error error;

    x402_sqlite_bind_text(statement, 1, owner != NULL ? owner : "");
    x402_sqlite_bind(statement, 2, sqlite->now_seconds + X402_LEASE_SECONDS);
    x402_sqlite_bind_blob(statement, 3, sqlite->holder16, sizeof(sqlite->holder16));
    error = x402_sqlite_run(sqlite, statement);
    if (error == X402_OK) {
        sqlite->lease_taken = sqlite3_last_insert_rowid(sqlite->db);
    }
    return error;
}

static enum x402_error lease_extend(struct x402_sqlite *sqlite, const char *owner)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_LEASE_EXTEND);

    x402_sqlite_bind(statement, 1, sqlite->lease_id);
    x402_sqlite_bind(statement, 2, sqlite->now_seconds + X402_LEASE_SECONDS);
    x402_sqlite_bind_text(statement, 3, owner != NULL ? owner : "");
    return x402_sqlite_run(sqlite, statement);
}

/*
 * A lease that ran out but is still there is extended: nothing under it was abandoned.
 * One that was cleared is gone with its payments; a new one gets a new id.
 */
enum x402_error x402_sqlite_lease_hold(struct x402_sqlite *sqlite, const char *owner,
                                       bool renew)
{
    int64_t expires_at = 0;
    enum x402_error error = X402_OK;

    if (sqlite->lease_taken != 0) {
        return X402_OK;
    }
    if (sqlite->lease_id != 0) {
        error = expiry_read(sqlite, sqlite->lease_id, true, &expires_at);
    }
    if (error != X402_OK) {
        return error;
    }
    if (expires_at == 0) {
        return lease_take(sqlite, owner);
    }
    renew = renew || expires_at - sqlite->now_seconds <
                         X402_LEASE_SECONDS - X402_LEASE_RENEW_SECONDS;
    return renew ? lease_extend(sqlite, owner) : X402_OK;
}

/* Pending payments whose lease is gone: a walk by lease, then id. */
struct walk {
    int64_t after_lease_id;
    int64_t after_id;
    struct x402_sqlite_subject subjects[SWEEP_MAX];
    size_t count;
};

static enum x402_error lost_read(struct x402_sqlite *sqlite, struct walk *walk)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_LEASE_LOST);

    walk->count = 0;
    x402_sqlite_bind(statement, 1, walk->after_lease_id);
    x402_sqlite_bind(statement, 2, walk->after_id);
    x402_sqlite_bind(statement, 3, SWEEP_MAX);
    for (;;) {
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        assert(walk->count < SWEEP_MAX);
        x402_sqlite_column_subject(statement, &walk->subjects[walk->count]);
        walk->after_id = walk->subjects[walk->count++].id;
        walk->after_lease_id = sqlite3_column_int64(statement, 6);
    }
}

/* A row in a state that cannot be is left to x402_ledger_books, and stops nobody. */
static enum x402_error lost_abandon(struct x402_sqlite *sqlite, struct walk *walk)
{
    enum x402_error error = X402_OK;

    for (size_t i = 0; error == X402_OK && i < walk->count; i++) {
        error = x402_sqlite_move(sqlite, &walk->subjects[i], X402_EVENT_LEASE_LOST);
        if (error == X402_ERR_CONFLICT) {
            error = X402_OK;
        }
    }
    return error;
}

enum x402_error x402_sqlite_lease_sweep(struct x402_sqlite *sqlite)
{
    struct walk walk = {0};
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_LEASE_EXPIRE);
    enum x402_error error;

    x402_sqlite_bind(statement, 1, sqlite->now_seconds);
    error = x402_sqlite_run(sqlite, statement);
    do {
        if (error == X402_OK) {
            error = lost_read(sqlite, &walk);
        }
        if (error == X402_OK) {
            error = lost_abandon(sqlite, &walk);
        }
    } while (error == X402_OK && walk.count == SWEEP_MAX);
    return error;
}

static enum x402_error renew_body(struct x402_sqlite *sqlite, void *owner)
{
    enum x402_error error = x402_sqlite_lease_hold(sqlite, owner, true);

    return error == X402_OK ? x402_sqlite_lease_sweep(sqlite) : error;
}

enum x402_error x402_sqlite_lease_renew(struct x402_ledger *ledger, const char *owner)
{
    char name[X402_ROUTE_MAX];

    sqlite3_snprintf((int)sizeof(name), name, "%s", owner != NULL ? owner : "");
    return x402_sqlite_write(x402_sqlite_of(ledger), renew_body, name);
}

static enum x402_error release_body(struct x402_sqlite *sqlite, void *data)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_LEASE_DROP);

    (void)data;
    x402_sqlite_bind(statement, 1, sqlite->lease_id);
    x402_sqlite_bind_blob(statement, 2, sqlite->holder16, sizeof(sqlite->holder16));
    return x402_sqlite_run(sqlite, statement);
}

enum x402_error x402_sqlite_lease_release(struct x402_ledger *ledger)
{
    struct x402_sqlite *sqlite = x402_sqlite_of(ledger);
    enum x402_error error;

    if (sqlite->lease_id == 0) {
        return X402_OK;
    }
    error = x402_sqlite_write(sqlite, release_body, NULL);
    if (error == X402_OK) {
        sqlite->lease_id = 0;
    }
    return error;
}
