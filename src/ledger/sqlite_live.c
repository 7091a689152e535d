#include "ledger/sqlite.h"

#include "ledger/siphash.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define HORIZON_AHEAD_SECONDS 600 /* noted so much later, to be noted seldom */
#define COLLECTED_MIN 1024

/* What the ledger says of the set. */
struct side {
    uint64_t stamp;
    struct x402_live_newest newest;
};

/* Entries of a set that is built anew. */
struct collection {
    struct x402_live_entry *entries;
    size_t count, max;
};

static enum x402_error fail(struct x402_sqlite *sqlite, int number)
{
    return x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                           "cannot write ledger '%s': its live set '%s-live': %s",
                           sqlite->path, sqlite->path, strerror(number));
}

static uint64_t tag_of(const struct x402_sqlite *sqlite,
                       const struct x402_sqlite_key *key)
{
    uint8_t bytes[60];
    uint64_t tag;

    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)((uint64_t)key->token_id >> (8 * i));
    }
    memcpy(bytes + 8, key->payer20, 20);
    memcpy(bytes + 28, key->nonce32, 32);
    tag = x402_siphash(sqlite->secret16, bytes, sizeof(bytes));
#ifdef X402_TEST_CLOCK
    tag &= x402_live_bounds.tag_mask;
#endif
    return tag >> (64 - X402_LIVE_TAG_BITS);
}

/* Of columns that are token_id, payer and nonce. */
static uint64_t tag_at(const struct x402_sqlite *sqlite, sqlite3_stmt *statement,
                       int token, int payer, int nonce)
{
    uint8_t payer20[20], nonce32[32];
    const struct x402_sqlite_key key = {sqlite3_column_int64(statement, token), payer20,
                                        nonce32};

    x402_sqlite_column_blob(statement, payer, payer20, sizeof(payer20));
    x402_sqlite_column_blob(statement, nonce, nonce32, sizeof(nonce32));
    return tag_of(sqlite, &key);
}

static uint32_t until_of(int64_t valid_before_seconds, bool owed)
{
    const int64_t longer = owed ? X402_OWED_SECONDS : 0;

    if (valid_before_seconds >= UINT32_MAX - longer) {
        return UINT32_MAX;
    }
    return valid_before_seconds < 0 ? 0 : (uint32_t)(valid_before_seconds + longer);
}

/* ------------------------------------------------------------------------ the file */

/* A file that root makes must stay open to the ledger's owner. */
static int give_to_owner(const struct x402_sqlite *sqlite)
{
    struct stat ledger, live;

    if (geteuid() != 0 || lstat(sqlite->path, &ledger) != 0 ||
        fstat(sqlite->live.fd, &live) != 0 || live.st_uid == ledger.st_uid) {
        return 0;
    }
    return fchown(sqlite->live.fd, ledger.st_uid, ledger.st_gid) == 0 ? 0 : errno;
}

static int file_open(struct x402_sqlite *sqlite)
{
    char name[4096];
    int length = snprintf(name, sizeof(name), "%s-live", sqlite->path);
    const bool writes = sqlite->mode == X402_LEDGER_WRITE;
    int number;

    if (length < 0 || (size_t)length >= sizeof(name)) {
        return ENAMETOOLONG;
    }
    x402_live_close(&sqlite->live);
    number = x402_live_open(&sqlite->live, name, writes);
    return number == 0 && writes ? give_to_owner(sqlite) : number;
}

/* Whether the file that is at hand, or at the path by now, counts. */
static int file_find(struct x402_sqlite *sqlite, uint64_t stamp, bool *counts)
{
    int number = 0;

    *counts = x402_live_counts(&sqlite->live, stamp);
    if (!*counts) {
        number = file_open(sqlite);
        *counts = number == 0 && x402_live_counts(&sqlite->live, stamp);
    }
    return number;
}

/* ------------------------------------------------------------------------- building */

static bool collect(struct collection *all, const struct x402_live_entry *entry)
{
    if (all->count == all->max) {
        const size_t max = all->max == 0 ? COLLECTED_MIN : all->max * 2;
        struct x402_live_entry *entries = realloc(all->entries, max * sizeof(*entries));
        if (entries == NULL) {
            return false;
        }
        all->entries = entries;
        all->max = max;
    }
    all->entries[all->count++] = *entry;
    return true;
}

/* What is settled before it is served may be owed for longer than it is valid. */
static struct x402_live_entry entry_at(const struct x402_sqlite *sqlite,
                                       sqlite3_stmt *statement)
{
    const enum x402_delivery delivery =
        (enum x402_delivery)sqlite3_column_int(statement, 4);
    const bool owed = delivery == X402_DELIVERY_OWED ||
                      (delivery == X402_DELIVERY_PENDING &&
                       sqlite3_column_int(statement, 5) != X402_MONEY_HELD);

    return (struct x402_live_entry){
        .tag = tag_at(sqlite, statement, 1, 2, 3),
        .id = sqlite3_column_int64(statement, 0),
        .until_seconds = until_of(sqlite3_column_int64(statement, 6), owed),
    };
}

static enum x402_error rows_collect(struct x402_sqlite *sqlite, int64_t floor_seconds,
                                    struct collection *all)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_LIVE_ROWS);
    enum x402_error error = X402_OK;
    bool is_row = true;

    x402_sqlite_bind(statement, 1, floor_seconds);
    while (error == X402_OK) {
        struct x402_live_entry entry;
        error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            break;
        }
        entry = entry_at(sqlite, statement);
        if (entry.until_seconds > floor_seconds && !collect(all, &entry)) {
            x402_sqlite_done(statement);
            error = fail(sqlite, ENOMEM);
        }
    }
    return error;
}

static uint64_t stamp_make(void)
{
    uint64_t stamp = 0;

    while (stamp == 0) {
        if (getrandom(&stamp, sizeof(stamp), 0) != (ssize_t)sizeof(stamp)) {
            return 0;
        }
    }
    return stamp;
}

/* Builds it and has the ledger name it, as soon as this transaction commits. */
static enum x402_error build(struct x402_sqlite *sqlite, int64_t floor_seconds,
                             struct x402_live_newest newest,
                             const struct collection *all, size_t room, int *number)
{
    const struct x402_live_building building = {
        .stamp = stamp_make(),
        .floor_seconds = floor_seconds,
        .newest = newest,
        .entries = all->entries,
        .count = all->count,
        .room = room,
    };
    sqlite3_stmt *statement;

    *number = building.stamp != 0 ? x402_live_build(&sqlite->live, &building) : ENOMSG;
    if (*number != 0) {
        return X402_OK;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_LIVE_STAMP);
    x402_sqlite_bind(statement, 1, (int64_t)building.stamp);
    return x402_sqlite_run(sqlite, statement);
}

/* From the ledger's rows. */
static enum x402_error build_anew(struct x402_sqlite *sqlite, const struct side *side,
                                  size_t room)
{
    const int64_t floor_seconds = sqlite->now_seconds - X402_LIVE_SLACK_SECONDS;
    struct collection all = {NULL, 0, 0};
    enum x402_error error = rows_collect(sqlite, floor_seconds, &all);
    int number = 0;

    if (error == X402_OK) {
        error = build(sqlite, floor_seconds, side->newest, &all, room, &number);
    }
    free(all.entries);
    return error == X402_OK && number != 0 ? fail(sqlite, number) : error;
}

/*
 * From what it has, without what is over. Where there is no space for more, or no more
 * are allowed, it goes on with the room it has, and does not try again in this second.
 */
static enum x402_error build_larger(struct x402_sqlite *sqlite, size_t room)
{
    const int64_t floor_seconds = sqlite->now_seconds - X402_LIVE_SLACK_SECONDS;
    struct collection all = {NULL, 0, 0};
    enum x402_error error = X402_OK;
    int number;

    if (sqlite->live_crowded_at == sqlite->now_seconds) {
        return X402_OK;
    }
    number =
        x402_live_survivors(&sqlite->live, floor_seconds, &all.entries, &all.count);
    if (number == 0) {
        error = build(sqlite, floor_seconds, x402_live_newest(&sqlite->live), &all,
                      room, &number);
    }
    free(all.entries);
    if (error != X402_OK) {
        return error;
    }
    if (number != 0 && !x402_live_is_same(&sqlite->live)) {
        return fail(sqlite, number);
    }
    if (x402_live_comfort(&sqlite->live) < room) {
        sqlite->live_crowded_at = sqlite->now_seconds;
    }
    return X402_OK;
}

/* ------------------------------------------------------------------------ beginning */

static enum x402_error side_read(struct x402_sqlite *sqlite, struct side *side)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_LIVE_READ);
    enum x402_error error;
    bool is_row;

    *side = (struct side){0};
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (error != X402_OK) {
        return error;
    }
    if (!is_row) {
        return x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                               "cannot read ledger '%s': the file is damaged",
                               sqlite->path);
    }
    x402_sqlite_column_blob(statement, 0, sqlite->secret16, sizeof(sqlite->secret16));
    side->stamp = (uint64_t)sqlite3_column_int64(statement, 1);
    side->newest.id = sqlite3_column_int64(statement, 2);
    if (side->newest.id != 0) {
        side->newest.tag = tag_at(sqlite, statement, 3, 4, 5);
    }
    x402_sqlite_done(statement);
    return X402_OK;
}

static enum x402_error is_recorded(struct x402_sqlite *sqlite,
                                   const struct x402_live_entry *entry, bool *recorded)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_KNOWN);
    enum x402_error error;

    x402_sqlite_bind(statement, 1, entry->id);
    error = x402_sqlite_row(sqlite, statement, recorded);
    if (*recorded) {
        *recorded = tag_at(sqlite, statement, 1, 5, 10) == entry->tag;
        x402_sqlite_done(statement);
    }
    return error;
}

/* Empties what a transaction put that did not happen after all. */
static enum x402_error doubts_settle(struct x402_sqlite *sqlite)
{
    struct x402_live_entry entry;
    enum x402_error error = X402_OK;
    bool recorded = false;

    while (error == X402_OK && !recorded && x402_live_doubt(&sqlite->live, &entry)) {
        error = is_recorded(sqlite, &entry, &recorded);
        if (error == X402_OK && !recorded) {
            x402_live_undo(&sqlite->live);
        }
    }
    if (error == X402_OK) {
        x402_live_settle(&sqlite->live);
    }
    return error;
}

/* Whether it knows all that the ledger has and that may be presented now. */
static bool is_complete(const struct x402_sqlite *sqlite, const struct side *side)
{
    const struct x402_live_newest newest = x402_live_newest(&sqlite->live);

    return newest.id == side->newest.id && newest.tag == side->newest.tag &&
           sqlite->now_seconds >= x402_live_floor(&sqlite->live);
}

enum x402_error x402_sqlite_live_begin(struct x402_sqlite *sqlite, size_t count)
{
    struct side side;
    enum x402_error error = side_read(sqlite, &side);
    bool counts = false;
    int number;

    if (error != X402_OK) {
        return error;
    }
    number = file_find(sqlite, side.stamp, &counts);
    if (number != 0) {
        return fail(sqlite, number);
    }
    if (!counts || x402_live_is_unknowable(&sqlite->live)) {
        return build_anew(sqlite, &side, count);
    }
    if (x402_live_is_doubtful(&sqlite->live)) {
        error = doubts_settle(sqlite);
    }
    if (error == X402_OK && !is_complete(sqlite, &side)) {
        return build_anew(sqlite, &side, count);
    }
    return error == X402_OK && x402_live_comfort(&sqlite->live) < count
               ? build_larger(sqlite, count)
               : error;
}

enum x402_error x402_sqlite_live_is_ready(struct x402_sqlite *sqlite, int64_t last_id,
                                          const struct x402_sqlite_key *last,
                                          size_t count, int64_t *posted_id, bool *ready)
{
    struct side side;
    enum x402_error error = side_read(sqlite, &side);
    bool counts = false;

    *ready = false;
    if (error != X402_OK) {
        return error;
    }
    *posted_id = side.newest.id;
    if (last_id != 0) {
        side.newest = (struct x402_live_newest){last_id, tag_of(sqlite, last)};
    }
    *ready = file_find(sqlite, side.stamp, &counts) == 0 && counts &&
             !x402_live_is_doubtful(&sqlite->live) && is_complete(sqlite, &side) &&
             x402_live_comfort(&sqlite->live) >= count &&
             X402_LIVE_ID_MAX - side.newest.id > (int64_t)count;
    return X402_OK;
}

void x402_sqlite_live_committed(struct x402_sqlite *sqlite)
{
    if (sqlite->live.last.id != 0) {
        x402_live_settle(&sqlite->live);
    }
}

/* -------------------------------------------------------------------------- entries */

/* The row of a payment, to be read and ended, where it has the key; else NULL. */
static enum x402_error row_find(struct x402_sqlite *sqlite, int64_t id,
                                const struct x402_sqlite_key *key, sqlite3_stmt **row)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_KNOWN);
    uint8_t payer20[20], nonce32[32];
    enum x402_error error;
    bool is_row;

    *row = NULL;
    x402_sqlite_bind(statement, 1, id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (!is_row) {
        return error;
    }
    x402_sqlite_column_blob(statement, 5, payer20, sizeof(payer20));
    x402_sqlite_column_blob(statement, 10, nonce32, sizeof(nonce32));
    if (sqlite3_column_int64(statement, 1) == key->token_id &&
        memcmp(payer20, key->payer20, sizeof(payer20)) == 0 &&
        memcmp(nonce32, key->nonce32, sizeof(nonce32)) == 0) {
        *row = statement;
    } else {
        x402_sqlite_done(statement);
    }
    return X402_OK;
}

/*
 * A clock that was set back may bring back one whose nonce was used again since: of two
 * the one that was not void, or else the later, answers for both.
 */
enum x402_error x402_sqlite_live_find(struct x402_sqlite *sqlite,
                                      const struct x402_sqlite_key *key,
                                      sqlite3_stmt **row)
{
    struct x402_live_search search =
        x402_live_search(&sqlite->live, tag_of(sqlite, key));
    struct x402_live_entry entry;
    enum x402_error error;
    bool best_is_void = false;
    int64_t best = 0;

    *row = NULL;
    while (x402_live_next(&sqlite->live, &search, &entry)) {
        bool is_void;
        error = row_find(sqlite, entry.id, key, row);
        if (error != X402_OK) {
            return error;
        }
        if (*row == NULL) {
            continue;
        }
        is_void = sqlite3_column_int(*row, 2) == X402_DELIVERY_VOID;
        x402_sqlite_done(*row);
        *row = NULL;
        if (best == 0 || (is_void == best_is_void ? entry.id > best : best_is_void)) {
            best = entry.id;
            best_is_void = is_void;
        }
    }
    return best != 0 ? row_find(sqlite, best, key, row) : X402_OK;
}

bool x402_sqlite_live_forgot(const struct x402_sqlite *sqlite,
                             int64_t valid_before_seconds)
{
    return valid_before_seconds <= x402_live_floor(&sqlite->live);
}

bool x402_sqlite_live_is_full(const struct x402_sqlite *sqlite)
{
    return x402_live_room(&sqlite->live) == 0;
}

static enum x402_error horizon_read(struct x402_sqlite *sqlite, int64_t block)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_HORIZON_READ);
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, block);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (error != X402_OK) {
        return error;
    }
    sqlite->horizon_block = block;
    sqlite->horizon_until_seconds = is_row ? sqlite3_column_int64(statement, 0) : -1;
    if (is_row) {
        x402_sqlite_done(statement);
    }
    return X402_OK;
}

bool x402_sqlite_live_may_have(const struct x402_sqlite *sqlite,
                               const struct x402_sqlite_key *key)
{
    struct x402_live_search search =
        x402_live_search(&sqlite->live, tag_of(sqlite, key));
    struct x402_live_entry entry;

    return x402_live_next(&sqlite->live, &search, &entry);
}

void x402_sqlite_live_put(struct x402_sqlite *sqlite, const struct x402_sqlite_key *key,
                          int64_t id, int64_t valid_before_seconds)
{
    const struct x402_live_entry entry = {tag_of(sqlite, key), id,
                                          until_of(valid_before_seconds, false)};

    x402_live_put(&sqlite->live, &entry);
}

void x402_sqlite_live_unput(struct x402_sqlite *sqlite, size_t count)
{
    while (count-- > 0) {
        x402_live_undo(&sqlite->live);
    }
}

/* The block of this payment is to be looked at until then. */
static enum x402_error horizon_note(struct x402_sqlite *sqlite, int64_t id,
                                    int64_t until_seconds)
{
    const int64_t block = id / X402_SQLITE_BLOCK;
    sqlite3_stmt *statement;
    enum x402_error error = X402_OK;

    if (sqlite->horizon_until_seconds == 0 || sqlite->horizon_block != block) {
        error = horizon_read(sqlite, block);
    }
    if (error != X402_OK || until_seconds <= sqlite->horizon_until_seconds) {
        return error;
    }
    sqlite->horizon_until_seconds = until_seconds + HORIZON_AHEAD_SECONDS;
    statement = x402_sqlite_statement(sqlite, X402_SQL_HORIZON_WRITE);
    x402_sqlite_bind(statement, 1, block);
    x402_sqlite_bind(statement, 2, sqlite->horizon_until_seconds);
    return x402_sqlite_run(sqlite, statement);
}

enum x402_error x402_sqlite_live_note(struct x402_sqlite *sqlite, int64_t id,
                                      int64_t valid_before_seconds)
{
    return horizon_note(sqlite, id, until_of(valid_before_seconds, false));
}

enum x402_error x402_sqlite_live_add(struct x402_sqlite *sqlite,
                                     const struct x402_sqlite_key *key, int64_t id,
                                     int64_t valid_before_seconds, bool owed)
{
    const struct x402_live_entry entry = {tag_of(sqlite, key), id,
                                          until_of(valid_before_seconds, owed)};

    if (id > X402_LIVE_ID_MAX || x402_live_room(&sqlite->live) == 0) {
        return fail(sqlite, ENOSPC);
    }
    x402_live_put(&sqlite->live, &entry);
    return horizon_note(sqlite, id, entry.until_seconds);
}

enum x402_error x402_sqlite_live_keep(struct x402_sqlite *sqlite,
                                      const struct x402_sqlite_key *key, int64_t id,
                                      int64_t valid_before_seconds, bool owed)
{
    const struct x402_live_entry entry = {tag_of(sqlite, key), id,
                                          until_of(valid_before_seconds, owed)};

    if (!x402_live_keep(&sqlite->live, &entry)) {
        return fail(sqlite, ENOENT);
    }
    return horizon_note(sqlite, id, entry.until_seconds);
}

/* ----------------------------------------------------------------------- the books */

enum x402_error x402_sqlite_live_look(struct x402_sqlite *sqlite, bool *counts)
{
    struct side side;
    enum x402_error error = side_read(sqlite, &side);

    *counts = false;
    if (error == X402_OK && file_find(sqlite, side.stamp, counts) != 0) {
        *counts = false;
    }
    return error;
}

int64_t x402_sqlite_live_until(const struct x402_sqlite *sqlite, sqlite3_stmt *row)
{
    return entry_at(sqlite, row).until_seconds;
}

bool x402_sqlite_live_holds(const struct x402_sqlite *sqlite, sqlite3_stmt *row)
{
    const struct x402_live_entry entry = entry_at(sqlite, row);
    struct x402_live_search search = x402_live_search(&sqlite->live, entry.tag);
    struct x402_live_entry found;

    if (entry.until_seconds <= x402_live_floor(&sqlite->live)) {
        return true;
    }
    while (x402_live_next(&sqlite->live, &search, &found)) {
        if (found.id == entry.id) {
            return found.until_seconds >= entry.until_seconds;
        }
    }
    return false;
}
