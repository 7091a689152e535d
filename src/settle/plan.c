#include "settle/plan.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

/* ------------------------------------------------------------------------- reverts */

static const struct {
    enum x402_revert revert;
    const char *code;
    const char *pattern;
} reverts[] = {
#define X402_REVERT_ROW(symbol, code, pattern) {X402_REVERT_##symbol, code, pattern},
    X402_REVERTS(X402_REVERT_ROW)
#undef X402_REVERT_ROW
};
#define REVERTS_COUNT (sizeof reverts / sizeof reverts[0])

enum x402_revert x402_revert_classify(const char *reason)
{
    for (size_t i = 0; i < REVERTS_COUNT; i++) {
        if (strstr(reason, reverts[i].pattern) != NULL)
            return reverts[i].revert;
    }
    if (strstr(reason, "ECRecover: ") != NULL) /* ECRecover: invalid signature 's' … */
        return X402_REVERT_SIGNATURE;
    return X402_REVERT_OTHER;
}

const char *x402_revert_code(enum x402_revert revert)
{
    for (size_t i = 0; i < REVERTS_COUNT; i++) {
        if (reverts[i].revert == revert)
            return reverts[i].code;
    }
    return revert == X402_REVERT_NO_TRANSFER ? "no_transfer" : "reverted";
}

/* ------------------------------------------------------------------- state x sight */

/* Settled first: somebody waits, nothing was served, and it may be presented again. */
static bool is_owed(struct x402_state state)
{
    return state.delivery == X402_DELIVERY_OWED;
}

/*
 * "expired" is a matter of which block one asks, "used" may mean by us, "not yet" is a
 * matter of seconds, and none at all is no refusal: nobody waits in vain for these.
 */
static bool may_be_nothing(enum x402_revert why)
{
    return why == X402_REVERT_EXPIRED || why == X402_REVERT_USED ||
           why == X402_REVERT_NOT_YET_VALID || why == X402_REVERT_NONE;
}

/*
 * Refused before anything was sent. What is owed is to fail, but not before the chain
 * has said that it was not paid: an authorization may be used and its payer poor.
 */
static enum x402_action after_refusal(struct x402_state state, enum x402_revert why)
{
    bool is_unclear = why == X402_REVERT_EXPIRED || why == X402_REVERT_USED;

    if (why == X402_REVERT_NOT_YET_VALID)
        return X402_ACTION_RETRY;
    return is_owed(state) || is_unclear ? X402_ACTION_LOOK_UP : X402_ACTION_RETRY;
}

/* What looking a payment up comes to: `open` while it is not decided. */
static enum x402_action after_look_up(struct x402_state state, enum x402_sight sight,
                                      enum x402_action open)
{
    switch (sight) {
    case X402_SIGHT_UNUSED:
        return open;
    case X402_SIGHT_UNSAFE:
        return is_owed(state) ? X402_ACTION_FAIL : open;
    case X402_SIGHT_USED_FOR_US:
        return X402_ACTION_SETTLE;
    case X402_SIGHT_EXPIRED:
    case X402_SIGHT_USED_OTHERWISE:
    case X402_SIGHT_CANCELED:
        return X402_ACTION_FAIL;
    case X402_SIGHT_USED_UNTRACED:
    case X402_SIGHT_UNKNOWN:
    case X402_SIGHT_PASSES:
    case X402_SIGHT_REFUSED:
    case X402_SIGHT_PAID:
    case X402_SIGHT_UNPROVEN:
    case X402_SIGHT_REVERTED:
    case X402_SIGHT_PENDING:
    case X402_SIGHT_GONE:
        break;
    }
    return X402_ACTION_WAIT;
}

static enum x402_action plan_due(struct x402_state state, enum x402_sight sight,
                                 enum x402_revert why)
{
    if (sight == X402_SIGHT_PASSES)
        return X402_ACTION_SEND;
    if (sight == X402_SIGHT_REFUSED)
        return after_refusal(state, why);
    if (sight == X402_SIGHT_UNUSED && is_owed(state) && !may_be_nothing(why))
        return X402_ACTION_FAIL;
    return after_look_up(state, sight, X402_ACTION_RETRY);
}

/*
 * Its transaction is over in all of these but PENDING, so it is due again whenever the
 * chain does not say what became of it; under way it would only take up room.
 */
static enum x402_action plan_submitted(struct x402_state state, enum x402_sight sight,
                                       enum x402_revert why)
{
    bool is_refused = why == X402_REVERT_EXPIRED || why == X402_REVERT_USED;

    if (sight == X402_SIGHT_PAID)
        return X402_ACTION_SETTLE;
    if (sight == X402_SIGHT_REVERTED)
        return is_refused ? X402_ACTION_LOOK_UP : X402_ACTION_UNSETTLE;
    if (sight == X402_SIGHT_UNPROVEN || sight == X402_SIGHT_GONE)
        return X402_ACTION_LOOK_UP;
    if (sight == X402_SIGHT_USED_UNTRACED)
        return X402_ACTION_UNSETTLE;
    /* A transaction that succeeded and moved nothing would do so again. */
    if (sight == X402_SIGHT_UNUSED && why == X402_REVERT_NO_TRANSFER && is_owed(state))
        return X402_ACTION_FAIL;
    return after_look_up(state, sight, X402_ACTION_UNSETTLE);
}

/*
 * Settled before, and looked at again. What the chain says otherwise makes it due, even
 * where it may say so no more a block later; what it does not say leaves it as it is
 * recorded.
 */
static enum x402_action plan_settled(enum x402_sight sight)
{
    switch (sight) {
    case X402_SIGHT_PAID:
        return X402_ACTION_FINALIZE;
    case X402_SIGHT_UNPROVEN:
    case X402_SIGHT_REVERTED:
    case X402_SIGHT_GONE:
        return X402_ACTION_LOOK_UP;
    case X402_SIGHT_USED_FOR_US:
        return X402_ACTION_SETTLE;
    case X402_SIGHT_UNUSED:
    case X402_SIGHT_UNSAFE:
    case X402_SIGHT_EXPIRED:
    case X402_SIGHT_USED_OTHERWISE:
    case X402_SIGHT_CANCELED:
    case X402_SIGHT_USED_UNTRACED:
        return X402_ACTION_UNSETTLE;
    case X402_SIGHT_UNKNOWN:
    case X402_SIGHT_PASSES:
    case X402_SIGHT_REFUSED:
    case X402_SIGHT_PENDING:
        break;
    }
    return X402_ACTION_WAIT;
}

enum x402_action x402_plan(struct x402_state state, enum x402_sight sight,
                           enum x402_revert why)
{
    switch (state.money) {
    case X402_MONEY_DUE:
        return plan_due(state, sight, why);
    case X402_MONEY_SUBMITTED:
        return plan_submitted(state, sight, why);
    case X402_MONEY_SETTLED:
        return plan_settled(sight);
    case X402_MONEY_HELD:
    case X402_MONEY_FINAL:
    case X402_MONEY_FAILED:
    case X402_MONEY_RELEASED:
        break;
    }
    return X402_ACTION_WAIT;
}

/* -------------------------------------------------------------------------- retries */

#define RETRY_MILLISECONDS 2000
#define RETRY_MILLISECONDS_MAX 60000
#define RETRY_STANDING_MILLISECONDS 15000
#define RETRY_STANDING_MILLISECONDS_MAX 600000
#define RETRY_GAS_MILLISECONDS 30000
#define RETRY_GAS_MILLISECONDS_MAX 3600000
#define RETRY_LAST_MILLISECONDS                                                        \
    60000 /* before its end, what cost gas is tried once                               \
           */

/* Whether a refusal mostly outlives the authorization. */
static bool stands(enum x402_revert why)
{
    switch (why) {
    case X402_REVERT_SIGNATURE:
    case X402_REVERT_ZERO_ADDRESS:
    case X402_REVERT_NOT_PAYEE:
    case X402_REVERT_BLACKLISTED:
    case X402_REVERT_NO_TRANSFER:
        return true;
    case X402_REVERT_NONE:
    case X402_REVERT_EXPIRED:
    case X402_REVERT_NOT_YET_VALID:
    case X402_REVERT_USED:
    case X402_REVERT_FUNDS:
    case X402_REVERT_PAUSED:
    case X402_REVERT_OTHER:
        break;
    }
    return false;
}

static int64_t doubled(int64_t first, unsigned tries, int64_t most)
{
    for (unsigned i = 1; i < tries && first < most; i++)
        first *= 2;
    return first < most ? first : most;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t retry_of_gas(const struct x402_refused *refused)
{
    int64_t wait =
        doubled(RETRY_GAS_MILLISECONDS, refused->tries, RETRY_GAS_MILLISECONDS_MAX);
    int64_t left = refused->left_milliseconds;

    if (left > RETRY_LAST_MILLISECONDS + RETRY_GAS_MILLISECONDS)
        return smaller(wait, left - RETRY_LAST_MILLISECONDS);
    wait = smaller(RETRY_GAS_MILLISECONDS, left / 2);
    return wait > RETRY_MILLISECONDS ? wait : RETRY_MILLISECONDS;
}

int64_t x402_plan_retry_milliseconds(const struct x402_refused *refused)
{
    int64_t left = refused->left_milliseconds, wait;

    assert(refused->tries > 0);
    if (left > 0 && refused->cost_gas)
        return retry_of_gas(refused);
    wait = left > 0 && stands(refused->why)
               ? doubled(RETRY_STANDING_MILLISECONDS, refused->tries,
                         RETRY_STANDING_MILLISECONDS_MAX)
               : doubled(RETRY_MILLISECONDS, refused->tries, RETRY_MILLISECONDS_MAX);
    if (left > 0)
        wait = smaller(wait, left / 2);
    return wait > RETRY_MILLISECONDS ? wait : RETRY_MILLISECONDS;
}

/* --------------------------------------------------------------------- transactions */

/*
 * Nodes agree on no codes, only roughly on words: geth and reth (also as op-geth,
 * op-reth and base), anvil, besu, erigon, nethermind, and the services before them. The
 * first words found win, so what is particular comes before what is general: a node
 * that forwards quotes the other's words in its own.
 */
static const struct {
    const char *words;
    enum x402_send send;
} answers[] = {
    {"already known", X402_SEND_ACCEPTED},
    {"already imported", X402_SEND_ACCEPTED},
    {"already in mempool", X402_SEND_ACCEPTED},
    {"known transaction", X402_SEND_ACCEPTED},
    {"existing tx with same hash", X402_SEND_ACCEPTED},
    {"alreadyknown", X402_SEND_ACCEPTED},

    {"nonce too low", X402_SEND_NONCE_SPENT},
    {"nonce is too low", X402_SEND_NONCE_SPENT},
    {"oldnonce", X402_SEND_NONCE_SPENT},

    {"nonce too high", X402_SEND_NONCE_AHEAD},
    {"nonce gap", X402_SEND_NONCE_AHEAD},
    {"noncegap", X402_SEND_NONCE_AHEAD},
    {"gapped-nonce", X402_SEND_NONCE_AHEAD},
    {"nonce is too distant", X402_SEND_NONCE_AHEAD},
    {"future transaction tries to replace pending", X402_SEND_NONCE_AHEAD},

    {"underpriced", X402_SEND_FEE_LOW},
    {"less than block base fee", X402_SEND_FEE_LOW},
    {"gas price to replace existing", X402_SEND_FEE_LOW},
    {"could not replace existing", X402_SEND_FEE_LOW},
    {"replacementnotallowed", X402_SEND_FEE_LOW},
    {"below chain minimum", X402_SEND_FEE_LOW},
    {"below minimum", X402_SEND_FEE_LOW},
    {"below configured minimum", X402_SEND_FEE_LOW},
    {"fee too low", X402_SEND_FEE_LOW},
    {"feetoolow", X402_SEND_FEE_LOW},
    {"gas price too low", X402_SEND_FEE_LOW},

    {"exceeds block gas limit", X402_SEND_TOO_LARGE},
    {"exceeds block's gas limit", X402_SEND_TOO_LARGE},
    {"exceeds max transaction gas limit", X402_SEND_TOO_LARGE},
    {"greater than the block gas limit", X402_SEND_TOO_LARGE},
    {"gas limit too high", X402_SEND_TOO_LARGE},
    {"gas limit exceeded", X402_SEND_TOO_LARGE},
    {"gaslimitexceeded", X402_SEND_TOO_LARGE},
    {"intrinsic gas too high", X402_SEND_TOO_LARGE},
    {"is greater than the cap", X402_SEND_TOO_LARGE},
    {"exceeds the configured cap", X402_SEND_TOO_LARGE}, /* of the whole fee */
    {"oversized data", X402_SEND_TOO_LARGE},
    {"input data too large", X402_SEND_TOO_LARGE},

    {"insufficient funds", X402_SEND_NO_GAS},
    {"insufficientfunds", X402_SEND_NO_GAS},
    {"overdraws from account", X402_SEND_NO_GAS},
    {"upfront cost exceeds", X402_SEND_NO_GAS},

    {"txpool is full", X402_SEND_BUSY},
    {"pool is full", X402_SEND_BUSY},
    {"pool size constraints", X402_SEND_BUSY},
    {"limit exceeded", X402_SEND_BUSY}, /* of an account, of requests */
    {"identified as a spammer", X402_SEND_BUSY},
    {"in-flight transaction limit", X402_SEND_BUSY},
    {"already reserved", X402_SEND_BUSY},
    {"rate limit", X402_SEND_BUSY},
    {"request limit", X402_SEND_BUSY},
    {"request rate", X402_SEND_BUSY},
    {"request count exceeded", X402_SEND_BUSY},
    {"too many requests", X402_SEND_BUSY},
    {"compute units", X402_SEND_BUSY},
    {"over capacity", X402_SEND_BUSY},
    {"healthy to serve", X402_SEND_BUSY},
    {"unavailable", X402_SEND_BUSY},
    {"try again", X402_SEND_BUSY},
    {"timeout", X402_SEND_BUSY},
    {"timed out", X402_SEND_BUSY},
    {"deadline exceeded", X402_SEND_BUSY},
    {"internal error", X402_SEND_BUSY},
    {"syncing", X402_SEND_BUSY},
};

/* At the beginning of a word: "unknown transaction type" is no known transaction. */
static bool says(const char *message, const char *words)
{
    const char *found = strcasestr(message, words);

    while (found != NULL && found != message && isalpha((unsigned char)found[-1]))
        found = strcasestr(found + 1, words);
    return found != NULL;
}

enum x402_send x402_send_classify(const char *message)
{
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        if (says(message, answers[i].words))
            return answers[i].send;
    }
    return X402_SEND_REFUSED;
}

/* Replacements at once where a node finds the fee too low; then by age. */
#define PENDING_HURRY_ROWS_MAX 8

static bool is_stuck(const struct x402_pending *pending)
{
    switch (pending->last) {
    case X402_SEND_FEE_LOW:
        return pending->rows < PENDING_HURRY_ROWS_MAX ||
               pending->age_seconds >= pending->stuck_seconds;
    case X402_SEND_ACCEPTED:
    case X402_SEND_TOO_LARGE:
    case X402_SEND_BUSY:
    case X402_SEND_REFUSED:
    case X402_SEND_UNKNOWN:
        return pending->age_seconds >= pending->stuck_seconds;
    case X402_SEND_NONCE_SPENT:
    case X402_SEND_NONCE_AHEAD:
    case X402_SEND_NO_GAS:
        break;
    }
    return false;
}

#define STUCK_SECONDS 30
#define STUCK_SECONDS_MAX 600
#define STUCK_SECONDS_MIN 5

int64_t x402_plan_stuck_seconds(unsigned rows, bool is_below_base_fee,
                                int64_t left_seconds)
{
    int64_t first = is_below_base_fee ? STUCK_SECONDS / 3 : STUCK_SECONDS;
    int64_t seconds = doubled(first, rows, STUCK_SECONDS_MAX);

    if (left_seconds <= 0)
        return seconds;
    seconds = smaller(seconds, left_seconds / 4);
    return seconds > STUCK_SECONDS_MIN ? seconds : STUCK_SECONDS_MIN;
}

/* What was not taken is offered sooner again than what may have been dropped. */
static int64_t patience_of(const struct x402_pending *pending)
{
    bool was_taken = pending->last == X402_SEND_ACCEPTED;

    return was_taken ? pending->resend_milliseconds : pending->resend_milliseconds / 3;
}

enum x402_pending_action x402_plan_pending(const struct x402_pending *pending)
{
    bool has_room = pending->rows < X402_PENDING_ROWS_MAX;

    assert(pending->rows > 0);
    /* No replacement for what no node has been offered: sending may be all it lacks. */
    if (pending->sent_milliseconds < 0)
        return X402_PENDING_RESEND;
    if (pending->last == X402_SEND_TOO_LARGE && pending->payments > 1 && has_room)
        return X402_PENDING_SHRINK;
    if (is_stuck(pending) && pending->fee_can_rise && has_room)
        return X402_PENDING_REPLACE;
    if (pending->sent_milliseconds >= patience_of(pending))
        return X402_PENDING_RESEND;
    return X402_PENDING_WAIT;
}

/* --------------------------------------------------------------------------- nonces */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t x402_plan_nonce(const struct x402_nonces *nonces)
{
    uint64_t chain = larger(nonces->chain_latest, nonces->chain_pending);

    return larger(nonces->stored_next, chain);
}

static bool is_live(const struct x402_nonces *nonces, uint64_t nonce)
{
    for (size_t i = 0; i < nonces->live_count; i++) {
        if (nonces->live[i] == nonce)
            return true;
    }
    return false;
}

static bool is_live_above(const struct x402_nonces *nonces, uint64_t nonce)
{
    for (size_t i = 0; i < nonces->live_count; i++) {
        if (nonces->live[i] > nonce)
            return true;
    }
    return false;
}

bool x402_plan_gap(uint64_t *out_nonce, const struct x402_nonces *nonces)
{
    uint64_t next = larger(nonces->chain_latest, nonces->chain_pending);

    while (next < nonces->stored_next && is_live(nonces, next))
        next++;
    if (next >= nonces->stored_next)
        return false;
    *out_nonce = next;
    return true;
}

bool x402_plan_blocked(uint64_t *out_nonce, const struct x402_nonces *nonces)
{
    uint64_t first = nonces->chain_latest;

    if (first >= nonces->chain_pending || is_live(nonces, first) ||
        !is_live_above(nonces, first))
        return false;
    *out_nonce = first;
    return true;
}

enum x402_fill x402_plan_fill(bool is_blocked, int64_t age_milliseconds, bool sending,
                              bool awaited)
{
    int64_t patience =
        is_blocked ? X402_FILL_BLOCKED_MILLISECONDS : X402_FILL_MILLISECONDS;

    if (age_milliseconds < patience)
        return X402_FILL_WAIT;
    if (sending)
        return X402_FILL_USE;
    return awaited ? X402_FILL_EMPTY : X402_FILL_WAIT;
}
