#include "ledger/sqlite.h"

#include "core/saturated.h"

#include <assert.h>
#include <string.h>

uint64_t x402_sqlite_unsettled(struct x402_state state, uint64_t value)
{
    const bool served = state.delivery == X402_DELIVERY_PENDING ||
                        state.delivery == X402_DELIVERY_DELIVERED;

    return served && state.money <= X402_MONEY_SUBMITTED ? value : 0;
}

uint64_t x402_sqlite_owed(struct x402_state state, uint64_t value)
{
    return state.delivery == X402_DELIVERY_OWED && state.money <= X402_MONEY_SUBMITTED
               ? value
               : 0;
}

/* ---------------------------------------------------------------------------- rows */

static enum x402_error payer_read(struct x402_sqlite *sqlite,
                                  struct x402_sqlite_payer *payer)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYER_READ);
    enum x402_error error;

    x402_sqlite_bind(statement, 1, payer->token_id);
    x402_sqlite_bind_blob(statement, 2, payer->payer20, sizeof(payer->payer20));
    error = x402_sqlite_row(sqlite, statement, &payer->is_new);
    payer->is_new = !payer->is_new;
    if (error != X402_OK || payer->is_new) {
        return error;
    }
    payer->unsettled = (uint64_t)sqlite3_column_int64(statement, 0);
    payer->owed = (uint64_t)sqlite3_column_int64(statement, 1);
    payer->after_block = (uint64_t)sqlite3_column_int64(statement, 2);
    payer->wanted_at_seconds = sqlite3_column_int64(statement, 3);
    payer->seen_at_seconds = sqlite3_column_int64(statement, 4);
    payer->balance = (uint64_t)sqlite3_column_int64(statement, 5);
    payer->balance_block = (uint64_t)sqlite3_column_int64(statement, 6);
    payer->has_code = sqlite3_column_int(statement, 7) != 0;
    payer->distrust_until_seconds = sqlite3_column_int64(statement, 8);
    payer->payments = (uint64_t)sqlite3_column_int64(statement, 9);
    x402_sqlite_done(statement);
    return X402_OK;
}

enum x402_error x402_sqlite_payer_take(struct x402_sqlite *sqlite, int64_t token_id,
                                       const uint8_t payer20[20],
                                       struct x402_sqlite_payer **out)
{
    struct x402_sqlite_payer payer = {.token_id = token_id};
    enum x402_error error = X402_OK;

    for (size_t i = 0; i < sqlite->payers_count; i++) {
        struct x402_sqlite_payer *known = &sqlite->payers[i];
        if (known->token_id == token_id && memcmp(known->payer20, payer20, 20) == 0) {
            *out = known;
            return X402_OK;
        }
    }
    if (sqlite->payers_count == X402_SQLITE_PAYERS_MAX) {
        error = x402_sqlite_payers_write(sqlite);
    }
    memcpy(payer.payer20, payer20, sizeof(payer.payer20));
    if (error == X402_OK) {
        error = payer_read(sqlite, &payer);
    }
    if (error == X402_OK) {
        *out = &sqlite->payers[sqlite->payers_count++];
        **out = payer;
    }
    return error;
}

static void sums_bind(sqlite3_stmt *statement, const struct x402_sqlite_payer *payer)
{
    x402_sqlite_bind(statement, 1, payer->token_id);
    x402_sqlite_bind_blob(statement, 2, payer->payer20, sizeof(payer->payer20));
    x402_sqlite_bind(statement, 3, (int64_t)payer->unsettled);
    x402_sqlite_bind(statement, 4, (int64_t)payer->owed);
    x402_sqlite_bind(statement, 5, (int64_t)payer->after_block);
    x402_sqlite_bind(statement, 6, (int64_t)payer->payments);
}

static enum x402_error payer_add(struct x402_sqlite *sqlite,
                                 const struct x402_sqlite_payer *payer)
{
    struct x402_sqlite_token *token;
    enum x402_error error = x402_sqlite_token_take(sqlite, payer->token_id, &token);
    sqlite3_stmt *statement;

    if (error != X402_OK) {
        return error;
    }
    token->payers++;
    token->changed = true;
    statement = x402_sqlite_statement(sqlite, X402_SQL_PAYER_ADD);
    sums_bind(statement, payer);
    x402_sqlite_bind(statement, 7, payer->wanted_at_seconds);
    x402_sqlite_bind(statement, 8, (int64_t)token->chain_id);
    return x402_sqlite_run(sqlite, statement);
}

/* Leaves the index of who is wanted alone; most often nothing else changes. */
static enum x402_error sums_write(struct x402_sqlite *sqlite,
                                  const struct x402_sqlite_payer *payer)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYER_SUMS);

    sums_bind(statement, payer);
    return x402_sqlite_run(sqlite, statement);
}

static enum x402_error others_write(struct x402_sqlite *sqlite,
                                    const struct x402_sqlite_payer *payer)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYER_WRITE);

    sums_bind(statement, payer);
    x402_sqlite_bind(statement, 7, payer->wanted_at_seconds);
    x402_sqlite_bind(statement, 8, payer->seen_at_seconds);
    x402_sqlite_bind(statement, 9, (int64_t)payer->balance);
    x402_sqlite_bind(statement, 10, (int64_t)payer->balance_block);
    x402_sqlite_bind(statement, 11, payer->has_code);
    x402_sqlite_bind(statement, 12, payer->distrust_until_seconds);
    return x402_sqlite_run(sqlite, statement);
}

/* Without payments nobody is a payer. */
static enum x402_error payer_drop(struct x402_sqlite *sqlite,
                                  const struct x402_sqlite_payer *payer)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYER_DROP);
    struct x402_sqlite_token *token;
    enum x402_error error;

    x402_sqlite_bind(statement, 1, payer->token_id);
    x402_sqlite_bind_blob(statement, 2, payer->payer20, sizeof(payer->payer20));
    error = x402_sqlite_run(sqlite, statement);
    if (error == X402_OK) {
        error = x402_sqlite_token_take(sqlite, payer->token_id, &token);
    }
    if (error == X402_OK) {
        token->payers--;
        token->changed = true;
    }
    return error;
}

static enum x402_error payer_write(struct x402_sqlite *sqlite,
                                   const struct x402_sqlite_payer *payer)
{
    enum x402_error error = X402_OK;

    if (payer->payments == 0) {
        return payer->is_new ? X402_OK : payer_drop(sqlite, payer);
    }
    if (payer->is_new && (payer->sums_changed || payer->others_changed)) {
        error = payer_add(sqlite, payer);
    } else if (payer->sums_changed && !payer->others_changed) {
        error = sums_write(sqlite, payer);
    }
    return error == X402_OK && payer->others_changed ? others_write(sqlite, payer)
                                                     : error;
}

enum x402_error x402_sqlite_payers_write(struct x402_sqlite *sqlite)
{
    enum x402_error error = X402_OK;

    for (size_t i = 0; error == X402_OK && i < sqlite->payers_count; i++) {
        error = payer_write(sqlite, &sqlite->payers[i]);
    }
    sqlite->payers_count = 0;
    return error;
}

/* --------------------------------------------------------------------------- sums */

static enum x402_error token_add_up(struct x402_sqlite *sqlite, int64_t token_id,
                                    uint64_t unsettled)
{
    struct x402_sqlite_token *token;
    enum x402_error error = x402_sqlite_token_take(sqlite, token_id, &token);

    if (error == X402_OK) {
        token->unsettled += unsettled;
        token->changed = true;
    }
    return error;
}

/* Whoever buys, or has something unsettled, is looked at: now, or when the last look is
 * old. */
static void want(const struct x402_sqlite *sqlite, struct x402_sqlite_payer *payer)
{
    const bool active = payer->is_new || payer->unsettled != 0 || payer->owed != 0;

    if (payer->wanted_at_seconds != 0 || !active) {
        return;
    }
    payer->wanted_at_seconds =
        payer->seen_at_seconds == 0
            ? sqlite->now_seconds - X402_SQLITE_NEVER_SEEN_SECONDS
            : payer->seen_at_seconds + X402_BALANCE_SECONDS;
    payer->others_changed = payer->others_changed || !payer->is_new;
}

enum x402_error x402_sqlite_payer_count(struct x402_sqlite *sqlite,
                                        const struct x402_sqlite_subject *before,
                                        const struct x402_sqlite_subject *after)
{
    const struct x402_sqlite_subject *subject = after != NULL ? after : before;
    uint64_t unsettled = 0, owed = 0; /* how much more, modulo 2^64 */
    struct x402_sqlite_payer *payer;
    enum x402_error error;

    assert(subject != NULL);
    if (after != NULL) {
        unsettled += x402_sqlite_unsettled(after->state, after->value);
        owed += x402_sqlite_owed(after->state, after->value);
    }
    if (before != NULL) {
        unsettled -= x402_sqlite_unsettled(before->state, before->value);
        owed -= x402_sqlite_owed(before->state, before->value);
    }
    if (before != NULL && after != NULL && unsettled == 0 && owed == 0) {
        return X402_OK; /* most steps: delivered, submitted */
    }
    error = x402_sqlite_payer_take(sqlite, subject->token_id, subject->payer20, &payer);
    if (error != X402_OK) {
        return error;
    }
    payer->unsettled += unsettled;
    payer->owed += owed;
    payer->payments += before == NULL;
    payer->payments -= after == NULL;
    payer->sums_changed = true;
    want(sqlite, payer);
    return unsettled != 0 ? token_add_up(sqlite, subject->token_id, unsettled)
                          : X402_OK;
}

/* What no longer fits stays at the most there is, until the balance is seen again. */
static uint64_t after_block(const struct x402_sqlite_payer *payer, uint64_t value,
                            bool in)
{
    if (payer->after_block == UINT64_MAX) {
        return UINT64_MAX;
    }
    if (in) {
        return x402_saturated(payer->after_block, value);
    }
    return payer->after_block > value ? payer->after_block - value : 0;
}

enum x402_error x402_sqlite_payer_included(struct x402_sqlite *sqlite,
                                           const struct x402_sqlite_subject *subject,
                                           uint64_t block_number, bool in)
{
    struct x402_sqlite_payer *payer;
    enum x402_error error =
        x402_sqlite_payer_take(sqlite, subject->token_id, subject->payer20, &payer);

    if (error != X402_OK || payer->seen_at_seconds == 0 ||
        block_number <= payer->balance_block) {
        return error;
    }
    payer->after_block = after_block(payer, subject->value, in);
    payer->sums_changed = true;
    return X402_OK;
}

enum x402_error x402_sqlite_payer_distrust(struct x402_sqlite *sqlite,
                                           const struct x402_sqlite_subject *subject)
{
    struct x402_sqlite_payer *payer;
    enum x402_error error =
        x402_sqlite_payer_take(sqlite, subject->token_id, subject->payer20, &payer);

    if (error == X402_OK) {
        payer->distrust_until_seconds = sqlite->now_seconds + X402_DISTRUST_SECONDS;
        payer->others_changed = true;
    }
    return error;
}
