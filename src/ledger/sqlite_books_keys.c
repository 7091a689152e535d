#include "ledger/sqlite.h"

#include "ledger/siphash.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/*
 * Keys: of the payments that overlapped in time there is one with a key. Each block of
 * ids is read in a snapshot of its own, which also holds it against its horizon and the
 * live set; the hashes of all keys, a slice at a time, are sorted, and what is the same
 * twice is read again.
 */

#define SLICE_MAX (INT64_C(4) << 20) /* payments; 16 bytes each */

struct key_hash {
    uint64_t hash;
    int64_t id;
};

struct keys {
    uint8_t secret16[16];
    uint64_t slice, slices;
    int64_t block;
    int64_t horizon_seconds; /* the block's; -1: it has none */
    struct key_hash *hashes;
    size_t count, max;
    struct key_hash first, second; /* to be compared */
    char *message;
};

__attribute__((format(printf, 2, 3))) static enum x402_error disproved(
    const struct keys *keys, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(keys->message, X402_LEDGER_MESSAGE_MAX, format, arguments);
    va_end(arguments);
    return X402_ERR_CONFLICT;
}

/* token_id, payer, nonce, from column 1. */
static void key_read(sqlite3_stmt *statement, uint8_t key60[60])
{
    const int64_t token_id = sqlite3_column_int64(statement, 1);

    memcpy(key60, &token_id, 8);
    x402_sqlite_column_blob(statement, 2, key60 + 8, 20);
    x402_sqlite_column_blob(statement, 3, key60 + 28, 32);
}

static enum x402_error hash_add(struct x402_sqlite *sqlite, struct keys *keys,
                                sqlite3_stmt *statement)
{
    uint8_t key60[60];
    uint64_t hash;

    key_read(statement, key60);
    hash = x402_siphash(keys->secret16, key60, sizeof(key60));
    if (hash % keys->slices != keys->slice) {
        return X402_OK;
    }
    if (keys->count == keys->max) {
        const size_t max = keys->max == 0 ? 4096 : keys->max * 2;
        struct key_hash *hashes = realloc(keys->hashes, max * sizeof(*hashes));
        if (hashes == NULL) {
            return x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                                   "cannot read ledger '%s': out of memory",
                                   sqlite->path);
        }
        keys->hashes = hashes;
        keys->max = max;
    }
    keys->hashes[keys->count++] =
        (struct key_hash){hash, sqlite3_column_int64(statement, 0)};
    return X402_OK;
}

static enum x402_error horizon_read(struct x402_sqlite *sqlite, struct keys *keys)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_HORIZON_READ);
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, keys->block);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    keys->horizon_seconds = is_row ? sqlite3_column_int64(statement, 0) : -1;
    if (is_row) {
        x402_sqlite_done(statement);
    }
    return error;
}

static enum x402_error row_check(struct x402_sqlite *sqlite, struct keys *keys,
                                 sqlite3_stmt *statement, bool counts)
{
    const int64_t id = sqlite3_column_int64(statement, 0);

    if (x402_sqlite_live_until(sqlite, statement) > keys->horizon_seconds) {
        return disproved(keys,
                         "payment %lld can be presented for longer than the live set "
                         "looks for it",
                         (long long)id);
    }
    if (counts && !x402_sqlite_live_holds(sqlite, statement) &&
        x402_live_is_same(&sqlite->live)) {
        return disproved(keys,
                         "payment %lld can be presented and is not in the live set",
                         (long long)id);
    }
    return hash_add(sqlite, keys, statement);
}

static enum x402_error block_body(struct x402_sqlite *sqlite, void *data)
{
    struct keys *keys = data;
    sqlite3_stmt *statement;
    bool is_row = true, counts = false;
    enum x402_error error =
        keys->slice == 0 ? x402_sqlite_live_look(sqlite, &counts) : X402_OK;

    if (error == X402_OK) {
        error = horizon_read(sqlite, keys);
    }
    if (error != X402_OK) {
        return error;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_BOOKS_KEYS);
    x402_sqlite_bind(statement, 1, keys->block * X402_SQLITE_BLOCK);
    x402_sqlite_bind(statement, 2, (keys->block + 1) * X402_SQLITE_BLOCK - 1);
    while ((error = x402_sqlite_row(sqlite, statement, &is_row)) == X402_OK && is_row) {
        error = row_check(sqlite, keys, statement, counts);
        if (error != X402_OK) {
            break;
        }
    }
    return error;
}

/* ---------------------------------------------------------------------------- twins */

/* What there is of one of two payments. */
struct twin {
    bool found;
    uint8_t key60[60];
    int64_t valid_before_seconds, created_at_seconds;
};

static enum x402_error twin_read(struct x402_sqlite *sqlite, int64_t id,
                                 struct twin *out)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_BOOKS_KEYS);
    enum x402_error error;

    x402_sqlite_bind(statement, 1, id);
    x402_sqlite_bind(statement, 2, id);
    error = x402_sqlite_row(sqlite, statement, &out->found);
    if (out->found) {
        key_read(statement, out->key60);
        out->valid_before_seconds = sqlite3_column_int64(statement, 6);
        out->created_at_seconds = sqlite3_column_int64(statement, 7);
        x402_sqlite_done(statement);
    }
    return error;
}

/* Two payments whose hashes are the same: the later may have begun only when the
 * earlier was over. */
static enum x402_error twins_body(struct x402_sqlite *sqlite, void *data)
{
    const struct keys *keys = data;
    struct twin first = {0}, second = {0};
    enum x402_error error = twin_read(sqlite, keys->first.id, &first);

    if (error == X402_OK) {
        error = twin_read(sqlite, keys->second.id, &second);
    }
    if (error == X402_OK && first.found && second.found &&
        memcmp(first.key60, second.key60, sizeof(first.key60)) == 0 &&
        second.created_at_seconds < first.valid_before_seconds) {
        error = disproved(keys, "payments %lld and %lld have the same key",
                          (long long)keys->first.id, (long long)keys->second.id);
    }
    return error;
}

static int by_hash(const void *a, const void *b)
{
    const struct key_hash *x = a, *y = b;

    if (x->hash != y->hash) {
        return x->hash < y->hash ? -1 : 1;
    }
    return x->id < y->id ? -1 : x->id > y->id;
}

static enum x402_error twins_compare(struct x402_sqlite *sqlite, struct keys *keys)
{
    enum x402_error error = X402_OK;

    if (keys->count > 1) {
        qsort(keys->hashes, keys->count, sizeof(keys->hashes[0]), by_hash);
    }
    for (size_t i = 1; error == X402_OK && i < keys->count; i++) {
        keys->first = keys->hashes[i - 1];
        keys->second = keys->hashes[i];
        if (keys->first.hash == keys->second.hash) {
            error = x402_sqlite_read(sqlite, twins_body, keys);
        }
    }
    return error;
}

enum x402_error x402_sqlite_books_keys(struct x402_sqlite *sqlite, int64_t last_block,
                                       char message[X402_LEDGER_MESSAGE_MAX])
{
    struct keys keys = {.message = message,
                        .slices =
                            (uint64_t)(1 + last_block * X402_SQLITE_BLOCK / SLICE_MAX)};
    enum x402_error error = X402_OK;

    if (getrandom(keys.secret16, sizeof(keys.secret16), 0) != 16) {
        return x402_sqlite_say(sqlite, X402_ERR_LEDGER, "no randomness");
    }
    for (; error == X402_OK && keys.slice < keys.slices; keys.slice++) {
        keys.count = 0;
        for (keys.block = 0; error == X402_OK && keys.block <= last_block;
             keys.block++) {
            error = x402_sqlite_read(sqlite, block_body, &keys);
        }
        if (error == X402_OK) {
            error = twins_compare(sqlite, &keys);
        }
    }
    free(keys.hashes);
    return error;
}
