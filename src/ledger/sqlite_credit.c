#include "ledger/sqlite.h"

#include <assert.h>
#include <string.h>

/* ------------------------------------------------------------------------- deciding */

static bool is_unbounded(const struct x402_credit *credit)
{
    return credit->payer_max == UINT64_MAX && credit->new_payer_max == UINT64_MAX &&
           credit->total_max == UINT64_MAX;
}

/* What the payer's balance is spoken for: also by what is settled before it is served,
 * and by what a block has that the balance was not read in yet. */
static uint64_t claimed(const struct x402_sqlite_payer *payer)
{
    return x402_sqlite_saturated(x402_sqlite_saturated(payer->unsettled, payer->owed),
                                 payer->after_block);
}

static bool payer_is_within(const struct x402_sqlite *sqlite,
                            const struct x402_credit *credit,
                            const struct x402_sqlite_payer *payer, uint64_t value)
{
    const uint64_t unsettled = x402_sqlite_saturated(payer->unsettled, value);

    if (payer->has_code || sqlite->now_seconds < payer->distrust_until_seconds ||
        unsettled > credit->payer_max) {
        return false;
    }
    if (payer->seen_at_seconds == 0) {
        return unsettled <= credit->new_payer_max;
    }
    return x402_sqlite_saturated(claimed(payer), value) <= payer->balance;
}

enum x402_error x402_sqlite_credit_check(struct x402_sqlite *sqlite,
                                         const struct x402_credit *credit,
                                         int64_t token_id,
                                         const struct x402_verified *verified,
                                         bool *is_within)
{
    struct x402_sqlite_payer *payer;
    struct x402_sqlite_token *token;
    enum x402_error error;

    *is_within = !credit->settle_first;
    if (credit->settle_first || is_unbounded(credit)) {
        return X402_OK;
    }
    error = x402_sqlite_payer_take(sqlite, token_id, verified->from20, &payer);
    if (error == X402_OK) {
        *is_within = payer_is_within(sqlite, credit, payer, verified->value);
        error = x402_sqlite_token_take(sqlite, token_id, &token);
    }
    if (error == X402_OK) {
        *is_within =
            *is_within && x402_sqlite_saturated(token->unsettled, verified->value) <=
                              credit->total_max;
    }
    return error;
}

/* -------------------------------------------------------------------------- wanting */

struct wanting {
    uint64_t chain_id;
    struct x402_sqlite_page page;
};

/* Those never seen, or those seen too long ago. */
static enum x402_error wanted_list(struct x402_sqlite *sqlite, void *data,
                                   bool never_seen, void *items, size_t max,
                                   size_t *count)
{
    const struct wanting *wanting = data;
    struct x402_payer *out = items;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYERS_WANTED);

    x402_sqlite_bind(statement, 1, x402_sqlite_bounded(wanting->chain_id));
    x402_sqlite_bind(statement, 2, never_seen ? INT64_MIN : 0);
    x402_sqlite_bind(statement, 3, never_seen ? 0 : sqlite->now_seconds);
    x402_sqlite_bind(statement, 4, x402_sqlite_bounded(max));
    for (*count = 0;; (*count)++, out++) {
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        assert(*count < max);
        x402_sqlite_column_blob(statement, 0, out->asset20, sizeof(out->asset20));
        x402_sqlite_column_blob(statement, 1, out->payer20, sizeof(out->payer20));
    }
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

/* --------------------------------------------------------------------------- seeing */

struct sightings {
    uint64_t chain_id;
    const struct x402_sighting *sightings;
    size_t count;
};

/* What is settled in blocks above the one the balance was read at. */
static enum x402_error after_block_sum(struct x402_sqlite *sqlite, uint64_t chain_id,
                                       struct x402_sqlite_payer *payer)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SETTLED_AFTER);

    payer->after_block = 0;
    x402_sqlite_bind(statement, 1, x402_sqlite_bounded(chain_id));
    x402_sqlite_bind(statement, 2, (int64_t)payer->balance_block);
    x402_sqlite_bind(statement, 3, payer->token_id);
    x402_sqlite_bind_blob(statement, 4, payer->payer20, sizeof(payer->payer20));
    for (;;) {
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        payer->after_block = x402_sqlite_saturated(
            payer->after_block, (uint64_t)sqlite3_column_int64(statement, 0));
    }
}

/*
 * A balance read below a block that is final already is left alone: what was settled
 * since is not looked for among all that is final. The next reading is newer.
 */
static enum x402_error balance_note(struct x402_sqlite *sqlite, uint64_t chain_id,
                                    const struct x402_sighting *sighting,
                                    struct x402_sqlite_payer *payer)
{
    struct x402_sqlite_token *token;
    enum x402_error error = x402_sqlite_token_take(sqlite, payer->token_id, &token);

    if (error != X402_OK || sighting->block_number < token->final_block) {
        return error;
    }
    payer->balance = (uint64_t)x402_sqlite_bounded(sighting->balance);
    payer->balance_block = (uint64_t)x402_sqlite_bounded(sighting->block_number);
    payer->has_code = sighting->has_code;
    payer->seen_at_seconds = sqlite->now_seconds;
    payer->wanted_at_seconds = payer->unsettled != 0 || payer->owed != 0
                                   ? sqlite->now_seconds + X402_BALANCE_SECONDS
                                   : 0;
    payer->others_changed = true;
    return after_block_sum(sqlite, chain_id, payer);
}

static enum x402_error sighting_note(struct x402_sqlite *sqlite, uint64_t chain_id,
                                     const struct x402_sighting *sighting)
{
    struct x402_sqlite_payer *payer;
    int64_t token_id;
    enum x402_error error = x402_sqlite_token_find(
        sqlite, chain_id, sighting->payer.asset20, false, &token_id);

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
    return sighting->looked ? balance_note(sqlite, chain_id, sighting, payer) : X402_OK;
}

static enum x402_error seen_body(struct x402_sqlite *sqlite, void *data)
{
    const struct sightings *all = data;
    enum x402_error error = X402_OK;

    for (size_t i = 0; error == X402_OK && i < all->count; i++) {
        error = sighting_note(sqlite, all->chain_id, &all->sightings[i]);
    }
    return error;
}

enum x402_error x402_sqlite_payers_seen(struct x402_ledger *ledger, uint64_t chain_id,
                                        const struct x402_sighting *sightings,
                                        size_t count)
{
    struct sightings all = {chain_id, sightings, count};

    if (chain_id > INT64_MAX) {
        return X402_OK; /* nobody has bought there */
    }
    return x402_sqlite_write(x402_sqlite_of(ledger), seen_body, &all);
}
