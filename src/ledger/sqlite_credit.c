#include "ledger/sqlite.h"

#include "core/saturated.h"

#include <assert.h>
#include <string.h>

/* ------------------------------------------------------------------------- deciding */

static bool is_unbounded(const struct x402_credit *credit)
{
    return credit->payer_max == UINT64_MAX && credit->new_payer_max == UINT64_MAX &&
           credit->total_max == UINT64_MAX;
}

/* Of a payer, and perhaps in the journal: who asks with something there takes all of it
 * for this payer's. */
static uint64_t unsettled_of(const struct x402_sqlite *sqlite,
                             const struct x402_sqlite_payer *payer)
{
    return x402_saturated(payer->unsettled, sqlite->unposted);
}

/* What the payer's balance is spoken for: also by what is settled before it is served,
 * and by what a block has that the balance was not read in yet. */
static uint64_t claimed(const struct x402_sqlite *sqlite,
                        const struct x402_sqlite_payer *payer)
{
    return x402_saturated(x402_saturated(unsettled_of(sqlite, payer), payer->owed),
                          payer->after_block);
}

/* Nobody has looked at its balance, or not lately. A look in the future is one before
 * the clock was set back: who knows when. */
static bool is_stranger(const struct x402_sqlite *sqlite,
                        const struct x402_sqlite_payer *payer)
{
    const int64_t age = sqlite->now_seconds - payer->seen_at_seconds;

    return payer->seen_at_seconds == 0 || age > X402_BALANCE_STALE_SECONDS ||
           age < -X402_BALANCE_STALE_SECONDS;
}

static bool payer_is_within(const struct x402_sqlite *sqlite,
                            const struct x402_credit *credit,
                            const struct x402_sqlite_payer *payer, uint64_t value)
{
    const uint64_t unsettled = x402_saturated(unsettled_of(sqlite, payer), value);

    if (payer->has_code || sqlite->now_seconds < payer->distrust_until_seconds ||
        unsettled > credit->payer_max) {
        return false;
    }
    if (is_stranger(sqlite, payer) && unsettled > credit->new_payer_max) {
        return false;
    }
    return payer->seen_at_seconds == 0 ||
           x402_saturated(claimed(sqlite, payer), value) <= payer->balance;
}

/* Of what all may have unsettled, strangers leave half to those who are known. */
static uint64_t total_max(const struct x402_sqlite *sqlite,
                          const struct x402_credit *credit,
                          const struct x402_sqlite_payer *payer)
{
    return credit->total_max != UINT64_MAX && is_stranger(sqlite, payer)
               ? credit->total_max / 2
               : credit->total_max;
}

enum x402_error x402_sqlite_credit_check(struct x402_sqlite *sqlite,
                                         const struct x402_credit *credit,
                                         int64_t token_id,
                                         const struct x402_verified *verified,
                                         bool *is_within)
{
    struct x402_sqlite_payer *payer;
    struct x402_sqlite_token *token;
    uint64_t most = 0;
    enum x402_error error;

    *is_within = !credit->settle_first;
    if (credit->settle_first || is_unbounded(credit)) {
        return X402_OK;
    }
    error = x402_sqlite_payer_take(sqlite, token_id, verified->from20, &payer);
    if (error == X402_OK) {
        *is_within = payer_is_within(sqlite, credit, payer, verified->value);
        most = total_max(sqlite, credit, payer);
        error = x402_sqlite_token_take(sqlite, token_id, &token);
    }
    if (error == X402_OK) {
        *is_within = *is_within &&
                     x402_saturated(x402_saturated(token->unsettled, sqlite->unposted),
                                    verified->value) <= most;
    }
    return error;
}
