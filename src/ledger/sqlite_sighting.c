#include "ledger/sqlite.h"

#include "core/saturated.h"

#include <assert.h>
#include <string.h>

/* Sightings of one transaction: the workers wait for it. */
#define SIGHTINGS_MAX 256

/* -------------------------------------------------------------------------- wanting */

struct wanting {
    uint64_t chain_id;
    struct x402_sqlite_page page;
};

/* Who is to be looked at from one time up to another; *count grows. */
static enum x402_error wanted_between(struct x402_sqlite *sqlite, uint64_t chain_id,
                                      int64_t from, int64_t to, struct x402_payer *out,
                                      size_t max, size_t *count)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYERS_WANTED);

    x402_sqlite_bind(statement, 1, x402_sqlite_bounded(chain_id));
    x402_sqlite_bind(statement, 2, from);
    x402_sqlite_bind(statement, 3, to);
    x402_sqlite_bind(statement, 4, x402_sqlite_bounded(max - *count));
    for (;;) {
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        assert(*count < max);
        x402_sqlite_column_blob(statement, 0, out[*count].asset20, 20);
        x402_sqlite_column_blob(statement, 1, out[*count].payer20, 20);
        (*count)++;
    }
}

/*
 * Those never seen, or the others. No look is ever planned for so late as twice the
 * usual time: where one is, the clock was set back since, and nobody waits for it.
 */
static enum x402_error wanted_list(struct x402_sqlite *sqlite, void *data, bool unseen,
                                   void *out, size_t max, size_t *count)
{
    const struct wanting *wanting = data;
    const int64_t now = sqlite->now_seconds;
    enum x402_error error;

    *count = 0;
    if (unseen) {
        return wanted_between(sqlite, wanting->chain_id, INT64_MIN, -1, out, max,
                              count);
    }
    error =
        wanted_between(sqlite, wanting->chain_id, now + 2 * X402_BALANCE_SECONDS + 1,
                       INT64_MAX, out, max, count);
    return error == X402_OK
               ? wanted_between(sqlite, wanting->chain_id, 1, now, out, max, count)
               : error;
}

static enum x402_error wanted_body(struct x402_sqlite *sqlite, void *data)
{
    struct wanting *wanting = data;

    return x402_sqlite_halves(sqlite, wanted_list, wanting, &wanting->page);
}

enum x402_error x402_sqlite_payers_wanted(struct x402_ledger *ledger, uint64_t chain_id,
                                          struct x402_payer *out, size_t max,
                                          size_t *count)
{
    struct wanting wanting = {chain_id,
                              {.items = out, .size = sizeof(*out), .max = max}};
    enum x402_error error =
        x402_sqlite_read(x402_sqlite_of(ledger), wanted_body, &wanting);

    if (error == X402_OK) {
        *count = wanting.page.count;
    }
    return error;
}

/* ------------------------------------------------------------- settled since the block
 */

/* Whose balance is noted, of which block, and what is settled above that. */
struct since {
    const struct x402_sighting *sighting;
    int64_t token_id;
    uint8_t payer20[20];
    uint64_t block_number;
    uint64_t settled;
};

/* Sightings of one transaction. */
struct sightings {
    uint64_t chain_id;
    const struct x402_sighting *sightings;
    size_t count;
    struct since sinces[SIGHTINGS_MAX]; /* by token, then payer */
    size_t sinces_count;
};

/* Where the payer is, or would stand. */
static size_t place_of(const struct sightings *all, int64_t token_id,
                       const uint8_t payer20[20])
{
    size_t low = 0, high = all->sinces_count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct since *since = &all->sinces[middle];
        if (since->token_id < token_id ||
            (since->token_id == token_id && memcmp(since->payer20, payer20, 20) < 0)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct since *since_find(struct sightings *all, int64_t token_id,
                                const uint8_t payer20[20])
{
    const size_t place = place_of(all, token_id, payer20);
    struct since *since = &all->sinces[place];

    return place < all->sinces_count && since->token_id == token_id &&
                   memcmp(since->payer20, payer20, 20) == 0
               ? since
               : NULL;
}

/* Of a payer sighted twice the later one counts. */
static void since_add(struct sightings *all, int64_t token_id,
                      const struct x402_sighting *sighting)
{
    struct since *since = since_find(all, token_id, sighting->payer.payer20);

    if (since == NULL) {
        const size_t place = place_of(all, token_id, sighting->payer.payer20);
        since = &all->sinces[place];
        memmove(since + 1, since, (all->sinces_count - place) * sizeof(*since));
        all->sinces_count++;
    }
    *since = (struct since){.sighting = sighting,
                            .token_id = token_id,
                            .block_number =
                                (uint64_t)x402_sqlite_bounded(sighting->block_number)};
    memcpy(since->payer20, sighting->payer.payer20, sizeof(since->payer20));
}

/*
 * A balance read below a block that is final already is left alone: what was settled
 * since is not looked for among all that is final. The next reading is newer.
 */
static enum x402_error since_plan(struct x402_sqlite *sqlite, struct sightings *all,
                                  const struct x402_sighting *sighting)
{
    struct x402_sqlite_token *token;
    int64_t token_id;
    enum x402_error error = x402_sqlite_token_find(
        sqlite, all->chain_id, sighting->payer.asset20, false, &token_id);

    if (error != X402_OK || token_id == 0) {
        return error;
    }
    error = x402_sqlite_token_take(sqlite, token_id, &token);
    if (error == X402_OK && sighting->block_number >= token->final_block) {
        since_add(all, token_id, sighting);
    }
    return error;
}

static uint64_t lowest_block(const struct sightings *all)
{
    uint64_t lowest = INT64_MAX;

    for (size_t i = 0; i < all->sinces_count; i++) {
        if (all->sinces[i].block_number < lowest) {
            lowest = all->sinces[i].block_number;
        }
    }
    return lowest;
}

/* One look at what is settled and not final yet, for all of them. */
static enum x402_error sinces_sum(struct x402_sqlite *sqlite, struct sightings *all)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SETTLED_AFTER);

    x402_sqlite_bind(statement, 1, (int64_t)all->chain_id);
    x402_sqlite_bind(statement, 2, (int64_t)lowest_block(all));
    for (;;) {
        uint8_t payer20[20];
        struct since *since;
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        x402_sqlite_column_blob(statement, 1, payer20, sizeof(payer20));
        since = since_find(all, sqlite3_column_int64(statement, 0), payer20);
        if (since != NULL &&
            (uint64_t)sqlite3_column_int64(statement, 2) > since->block_number) {
            since->settled = x402_saturated(
                since->settled, (uint64_t)sqlite3_column_int64(statement, 3));
        }
    }
}

/* --------------------------------------------------------------------------- seeing */

static void balance_note(const struct x402_sqlite *sqlite, const struct since *since,
                         struct x402_sqlite_payer *payer)
{
    payer->balance = (uint64_t)x402_sqlite_bounded(since->sighting->balance);
    payer->balance_block = since->block_number;
    payer->after_block = since->settled;
    payer->has_code = since->sighting->has_code;
    payer->seen_at_seconds = sqlite->now_seconds;
    payer->wanted_at_seconds = payer->unsettled != 0 || payer->owed != 0
                                   ? sqlite->now_seconds + X402_BALANCE_SECONDS
                                   : 0;
    payer->others_changed = true;
}

static enum x402_error sighting_note(struct x402_sqlite *sqlite, struct sightings *all,
                                     const struct x402_sighting *sighting)
{
    const struct since *since;
    struct x402_sqlite_payer *payer;
    int64_t token_id;
    enum x402_error error = x402_sqlite_token_find(
        sqlite, all->chain_id, sighting->payer.asset20, false, &token_id);

    if (error != X402_OK || token_id == 0) {
        return error;
    }
    error = x402_sqlite_payer_take(sqlite, token_id, sighting->payer.payer20, &payer);
    if (error != X402_OK || payer->is_new) {
        return error; /* it has no payment here, or no more */
    }
    if (sighting->refused) {
        payer->distrust_until_seconds = sqlite->now_seconds + X402_DISTRUST_SECONDS;
        payer->others_changed = true;
    }
    since = since_find(all, token_id, sighting->payer.payer20);
    if (since != NULL && since->sighting == sighting) {
        balance_note(sqlite, since, payer);
    }
    return X402_OK;
}

static enum x402_error seen_body(struct x402_sqlite *sqlite, void *data)
{
    struct sightings *all = data;
    enum x402_error error = X402_OK;

    all->sinces_count = 0;
    for (size_t i = 0; error == X402_OK && i < all->count; i++) {
        if (all->sightings[i].looked) {
            error = since_plan(sqlite, all, &all->sightings[i]);
        }
    }
    if (error == X402_OK && all->sinces_count > 0) {
        error = sinces_sum(sqlite, all);
    }
    for (size_t i = 0; error == X402_OK && i < all->count; i++) {
        error = sighting_note(sqlite, all, &all->sightings[i]);
    }
    return error;
}

enum x402_error x402_sqlite_payers_seen(struct x402_ledger *ledger, uint64_t chain_id,
                                        const struct x402_sighting *sightings,
                                        size_t count)
{
    struct sightings all = {.chain_id = chain_id, .sightings = sightings};
    enum x402_error error = X402_OK;

    if (chain_id > INT64_MAX) {
        return X402_OK; /* nobody has bought there */
    }
    while (error == X402_OK && count > 0) {
        all.count = count < SIGHTINGS_MAX ? count : SIGHTINGS_MAX;
        error = x402_sqlite_write(x402_sqlite_of(ledger), seen_body, &all);
        all.sightings += all.count;
        count -= all.count;
    }
    return error;
}
