#include "ledger/sqlite_keys.h"

#include "core/clock.h"
#include "ledger/siphash.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RING_MIN 8192
#define SLICE_BITS_MAX 16
#define WARM_SECONDS 2
#define WARM_ROWS 4096 /* behind by more than this: not under the write lock */

/* Payments of one bucket are linked, the newest first. */
struct entry {
    uint64_t hash;
    int64_t id;
    int64_t older_id; /* the next of its bucket; overwritten entries end the list */
};

struct x402_sqlite_keys {
    uint8_t secret16[16];
    unsigned slice_bits;
    unsigned ring_bits;
    int64_t window;   /* ids that may be in the ring only */
    int64_t known_id; /* every payment up to here was looked at, in committed state */
    int64_t looked_at_seconds;
    int64_t top_id;      /* and in this transaction's */
    struct entry *ring;  /* by id modulo its size */
    int64_t *newest_ids; /* of each bucket; as many as the ring has entries */
};

static size_t ring_size(const struct x402_sqlite_keys *keys)
{
    return (size_t)1 << keys->ring_bits;
}

static struct entry *entry_of(const struct x402_sqlite_keys *keys, int64_t id)
{
    return &keys->ring[(uint64_t)id & (ring_size(keys) - 1)];
}

static size_t bucket_of(const struct x402_sqlite_keys *keys, uint64_t hash)
{
    return (size_t)(hash >> (64 - keys->ring_bits));
}

/* The entry of a payment, unless a newer one has taken its place. */
static const struct entry *entry_find(const struct x402_sqlite_keys *keys, int64_t id)
{
    const struct entry *entry = entry_of(keys, id);

    return id > 0 && entry->id == id ? entry : NULL;
}

static uint64_t hash_of(const struct x402_sqlite_keys *keys,
                        const struct x402_sqlite_key *key)
{
    uint8_t bytes[60];

    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)((uint64_t)key->token_id >> (8 * i));
    }
    memcpy(bytes + 8, key->payer20, 20);
    memcpy(bytes + 28, key->nonce32, 32);
    return x402_siphash(keys->secret16, bytes, sizeof(bytes));
}

/* --------------------------------------------------------------------------- the ring
 */

static void ring_push(struct x402_sqlite_keys *keys, int64_t id, uint64_t hash)
{
    struct entry *entry = entry_of(keys, id);
    int64_t *newest = &keys->newest_ids[bucket_of(keys, hash)];

    assert(id > keys->top_id);
    *entry = (struct entry){hash, id, *newest};
    *newest = id;
    keys->top_id = id;
}

/* Takes back the newest, down to `id`: each is the first of its bucket. */
static void ring_pop(struct x402_sqlite_keys *keys, int64_t id)
{
    for (; keys->top_id > id; keys->top_id--) {
        struct entry *entry = entry_of(keys, keys->top_id);
        if (entry->id == keys->top_id) {
            keys->newest_ids[bucket_of(keys, entry->hash)] = entry->older_id;
            entry->id = 0;
        }
    }
}

static void ring_clear(struct x402_sqlite_keys *keys)
{
    memset(keys->ring, 0, ring_size(keys) * sizeof(keys->ring[0]));
    memset(keys->newest_ids, 0, ring_size(keys) * sizeof(keys->newest_ids[0]));
    keys->known_id = 0;
    keys->top_id = 0;
}

static void keys_free(struct x402_sqlite_keys *keys)
{
    if (keys != NULL) {
        free(keys->ring);
        free(keys->newest_ids);
        free(keys);
    }
}

static bool ring_make(struct x402_sqlite_keys *keys)
{
    keys->ring = calloc(ring_size(keys), sizeof(keys->ring[0]));
    keys->newest_ids = calloc(ring_size(keys), sizeof(keys->newest_ids[0]));
    return keys->ring != NULL && keys->newest_ids != NULL;
}

/* ------------------------------------------------------------------ reading the table
 */

static enum x402_error out_of_memory(struct x402_sqlite *sqlite)
{
    return x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                           "cannot read ledger '%s': out of memory", sqlite->path);
}

/* False when there cannot be so many slices. */
static bool keys_size(struct x402_sqlite_keys *keys, int64_t slices)
{
    while (keys->slice_bits < SLICE_BITS_MAX &&
           (int64_t)1 << keys->slice_bits < slices) {
        keys->slice_bits++;
    }
    keys->window = slices * X402_KEY_SPAN;
    while ((int64_t)ring_size(keys) < 2 * keys->window || ring_size(keys) < RING_MIN) {
        keys->ring_bits++;
    }
    return (int64_t)1 << keys->slice_bits == slices;
}

/* The ledger's secret; the ring comes when it is needed. */
static enum x402_error keys_open(struct x402_sqlite *sqlite)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_KEY_SECRET);
    struct x402_sqlite_keys *keys;
    enum x402_error error;
    int64_t slices = 0;
    bool is_row;

    if (sqlite->keys != NULL) {
        return X402_OK;
    }
    keys = calloc(1, sizeof(*keys));
    if (keys == NULL) {
        return out_of_memory(sqlite);
    }
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        x402_sqlite_column_blob(statement, 0, keys->secret16, 16);
        slices = sqlite3_column_int64(statement, 1);
        x402_sqlite_done(statement);
    }
    if (error == X402_OK &&
        (slices <= 0 || slices > 1 << SLICE_BITS_MAX || !keys_size(keys, slices))) {
        error = x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                                "cannot read ledger '%s': the file is damaged",
                                sqlite->path);
    }
    if (error != X402_OK) {
        free(keys);
        return error;
    }
    sqlite->keys = keys;
    return X402_OK;
}

static enum x402_error ring_open(struct x402_sqlite *sqlite)
{
    enum x402_error error = keys_open(sqlite);

    if (error == X402_OK && sqlite->keys->newest_ids == NULL &&
        !ring_make(sqlite->keys)) {
        x402_sqlite_keys_release(sqlite);
        error = out_of_memory(sqlite);
    }
    return error;
}

static enum x402_error last_id_read(struct x402_sqlite *sqlite, int64_t *last_id)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_LAST);
    enum x402_error error;
    bool is_row;

    *last_id = 0;
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        *last_id = sqlite3_column_int64(statement, 0);
        x402_sqlite_done(statement);
    }
    return error;
}

/* Up to `max` payments above top_id. */
static enum x402_error rows_read(struct x402_sqlite *sqlite, int64_t max)
{
    struct x402_sqlite_keys *keys = sqlite->keys;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_KEY_ROWS);

    x402_sqlite_bind(statement, 1, keys->top_id);
    x402_sqlite_bind(statement, 2, max);
    for (;;) {
        uint8_t payer20[20];
        uint8_t nonce32[32];
        struct x402_sqlite_key key = {0, payer20, nonce32};
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        key.token_id = sqlite3_column_int64(statement, 1);
        x402_sqlite_column_blob(statement, 2, payer20, sizeof(payer20));
        x402_sqlite_column_blob(statement, 3, nonce32, sizeof(nonce32));
        ring_push(keys, sqlite3_column_int64(statement, 0), hash_of(keys, &key));
    }
}

/*
 * What was committed since the last look, up to `max` rows of it; *last_id is the
 * newest. Ids do not go back: if they did, another file is in this one's place.
 */
static enum x402_error advance(struct x402_sqlite *sqlite, int64_t max,
                               int64_t *last_id)
{
    struct x402_sqlite_keys *keys;
    enum x402_error error = ring_open(sqlite);

    if (error == X402_OK) {
        error = last_id_read(sqlite, last_id);
    }
    keys = sqlite->keys;
    if (error != X402_OK || *last_id == keys->known_id) {
        return error;
    }
    if (*last_id < keys->known_id) {
        ring_clear(keys);
    }
    if (*last_id - keys->known_id > keys->window) {
        ring_clear(keys);
        keys->top_id = *last_id - keys->window;
    }
    return rows_read(sqlite, max);
}

static enum x402_error warm_body(struct x402_sqlite *sqlite, void *data)
{
    return advance(sqlite, WARM_ROWS, data);
}

/* Who looked a moment ago is not far behind. */
static bool is_warm(const struct x402_sqlite *sqlite)
{
    const int64_t age = sqlite->keys != NULL
                            ? x402_clock_seconds() - sqlite->keys->looked_at_seconds
                            : -1;

    return age >= 0 && age < WARM_SECONDS;
}

enum x402_error x402_sqlite_keys_warm(struct x402_sqlite *sqlite)
{
    enum x402_error error;
    int64_t last_id;

    if (is_warm(sqlite)) {
        return X402_OK;
    }
    do {
        error = x402_sqlite_read(sqlite, warm_body, &last_id);
    } while (error == X402_OK && last_id - sqlite->keys->known_id > WARM_ROWS);
    return error;
}

enum x402_error x402_sqlite_keys_catch_up(struct x402_sqlite *sqlite)
{
    int64_t last_id;
    enum x402_error error = advance(sqlite, INT64_MAX, &last_id);

    if (error == X402_OK) {
        assert(sqlite->keys->top_id == last_id);
        sqlite->keys->known_id = last_id;
        sqlite->keys->looked_at_seconds = sqlite->now_seconds;
    }
    return error;
}

/* ------------------------------------------------------------------------ finding one
 */

static enum x402_error row_check(struct x402_sqlite *sqlite,
                                 const struct x402_sqlite_key *key,
                                 int64_t candidate_id, int64_t *id)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_KEY_CHECK);
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, candidate_id);
    x402_sqlite_bind(statement, 2, key->token_id);
    x402_sqlite_bind_blob(statement, 3, key->payer20, 20);
    x402_sqlite_bind_blob(statement, 4, key->nonce32, 32);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        *id = candidate_id;
        x402_sqlite_done(statement);
    }
    return error;
}

static enum x402_error ring_find(struct x402_sqlite *sqlite,
                                 const struct x402_sqlite_key *key, uint64_t hash,
                                 int64_t *id)
{
    const struct x402_sqlite_keys *keys = sqlite->keys;
    const struct entry *entry =
        entry_find(keys, keys->newest_ids[bucket_of(keys, hash)]);
    enum x402_error error = X402_OK;

    while (error == X402_OK && *id == 0 && entry != NULL) {
        if (entry->hash == hash) {
            error = row_check(sqlite, key, entry->id, id);
        }
        entry = entry_find(keys, entry->older_id);
    }
    return error;
}

static enum x402_error index_find(struct x402_sqlite *sqlite,
                                  const struct x402_sqlite_key *key, uint64_t hash,
                                  int64_t *id)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_KEY_FIND);
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, (int64_t)hash);
    x402_sqlite_bind(statement, 2, key->token_id);
    x402_sqlite_bind_blob(statement, 3, key->payer20, 20);
    x402_sqlite_bind_blob(statement, 4, key->nonce32, 32);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        *id = sqlite3_column_int64(statement, 0);
        x402_sqlite_done(statement);
    }
    return error;
}

enum x402_error x402_sqlite_keys_find(struct x402_sqlite *sqlite,
                                      const struct x402_sqlite_key *key, int64_t *id)
{
    const uint64_t hash = hash_of(sqlite->keys, key);
    enum x402_error error;

    *id = 0;
    error = ring_find(sqlite, key, hash, id);
    return error == X402_OK && *id == 0 ? index_find(sqlite, key, hash, id) : error;
}

/* -------------------------------------------------------------------------- adding one
 */

static enum x402_error index_run(struct x402_sqlite *sqlite,
                                 enum x402_sqlite_statement which, uint64_t hash,
                                 int64_t id)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, which);

    x402_sqlite_bind(statement, 1, (int64_t)hash);
    x402_sqlite_bind(statement, 2, id);
    return x402_sqlite_run(sqlite, statement);
}

/*
 * Writes into the index what the ring has of a slice in ids (after_id, to_id], to_id
 * being the newest. A slice is a range of hashes, so it is a range of buckets.
 */
static enum x402_error slice_write(struct x402_sqlite *sqlite, uint64_t slice,
                                   int64_t after_id, int64_t to_id)
{
    const struct x402_sqlite_keys *keys = sqlite->keys;
    const size_t buckets = (size_t)1 << (keys->ring_bits - keys->slice_bits);
    enum x402_error error = X402_OK;

    assert(to_id == keys->top_id);
    for (size_t i = 0; error == X402_OK && i < buckets; i++) {
        const struct entry *entry =
            entry_find(keys, keys->newest_ids[slice * buckets + i]);
        while (error == X402_OK && entry != NULL && entry->id > after_id) {
            error = index_run(sqlite, X402_SQL_KEY_ADD, entry->hash, entry->id);
            entry = entry_find(keys, entry->older_id);
        }
    }
    return error;
}

enum x402_error x402_sqlite_keys_add(struct x402_sqlite *sqlite,
                                     const struct x402_sqlite_key *key, int64_t id)
{
    struct x402_sqlite_keys *keys = sqlite->keys;
    const int64_t step = id / X402_KEY_SPAN;
    const int64_t slices = (int64_t)1 << keys->slice_bits;

    if (id != keys->top_id + 1) {
        return x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                               "cannot write ledger '%s': id %lld follows id %lld",
                               sqlite->path, (long long)id, (long long)keys->top_id);
    }
    ring_push(keys, id, hash_of(keys, key));
    return id % X402_KEY_SPAN == 0
               ? slice_write(sqlite, (uint64_t)(step % slices), id - keys->window, id)
               : X402_OK;
}

enum x402_error x402_sqlite_keys_remove(struct x402_sqlite *sqlite,
                                        const struct x402_sqlite_key *key, int64_t id)
{
    enum x402_error error = keys_open(sqlite);

    return error == X402_OK
               ? index_run(sqlite, X402_SQL_KEY_REMOVE, hash_of(sqlite->keys, key), id)
               : error;
}

/* ----------------------------------------------------------------------------- the end
 */

void x402_sqlite_keys_end(struct x402_sqlite *sqlite, bool committed)
{
    struct x402_sqlite_keys *keys = sqlite->keys;

    if (keys == NULL || keys->newest_ids == NULL) {
        return;
    }
    if (committed) {
        keys->known_id = keys->top_id;
    } else if (keys->top_id - keys->known_id >
               (int64_t)ring_size(keys) - keys->window) {
        ring_clear(keys); /* so many were added that the window lost some */
    } else {
        ring_pop(keys, keys->known_id);
    }
}

void x402_sqlite_keys_release(struct x402_sqlite *sqlite)
{
    keys_free(sqlite->keys);
    sqlite->keys = NULL;
}
