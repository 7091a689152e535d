#include "settle/plan.h"

#include <assert.h>
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

/* Whether a refusal can be over before the authorization is. */
static bool can_pass(enum x402_revert why)
{
    switch (why) {
    case X402_REVERT_NONE:
    case X402_REVERT_NOT_YET_VALID:
    case X402_REVERT_FUNDS:
    case X402_REVERT_PAUSED:
    case X402_REVERT_OTHER:
        return true;
    case X402_REVERT_EXPIRED:
    case X402_REVERT_USED:
    case X402_REVERT_SIGNATURE:
    case X402_REVERT_ZERO_ADDRESS:
    case X402_REVERT_NOT_PAYEE:
    case X402_REVERT_BLACKLISTED:
    case X402_REVERT_NO_TRANSFER:
        return false;
    }
    return true;
}

/*
 * A refusal that stands for good is a failure, except the two that the chain must
 * confirm: "expired" is a matter of which block one asks, and "used" may mean by us.
 */
static enum x402_action after_refusal(enum x402_revert why, enum x402_action otherwise)
{
    if (why == X402_REVERT_EXPIRED || why == X402_REVERT_USED)
        return X402_ACTION_LOOK_UP;
    return can_pass(why) ? otherwise : X402_ACTION_FAIL;
}

/* ------------------------------------------------------------------- state x sight */

/* What looking a payment up comes to; `unused` is for one that can still be used. */
static enum x402_action after_look_up(enum x402_sight sight, enum x402_action unused)
{
    switch (sight) {
    case X402_SIGHT_UNUSED:
        return unused;
    case X402_SIGHT_USED_FOR_US:
        return X402_ACTION_SETTLE;
    case X402_SIGHT_EXPIRED:
    case X402_SIGHT_USED_OTHERWISE:
    case X402_SIGHT_CANCELED:
    case X402_SIGHT_USED_UNTRACED:
        return X402_ACTION_FAIL;
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

static enum x402_action plan_due(enum x402_sight sight, enum x402_revert why)
{
    if (sight == X402_SIGHT_PASSES)
        return X402_ACTION_SEND;
    if (sight == X402_SIGHT_REFUSED)
        return after_refusal(why, X402_ACTION_RETRY);
    if (sight == X402_SIGHT_UNKNOWN)
        return X402_ACTION_WAIT;
    return after_look_up(sight, X402_ACTION_RETRY);
}

/* A transaction that succeeded and moved nothing would do so again. */
static enum x402_action plan_submitted(enum x402_sight sight, enum x402_revert why)
{
    if (sight == X402_SIGHT_PAID)
        return X402_ACTION_SETTLE;
    if (sight == X402_SIGHT_REVERTED)
        return after_refusal(why, X402_ACTION_UNSETTLE);
    if (sight == X402_SIGHT_UNPROVEN || sight == X402_SIGHT_GONE)
        return X402_ACTION_LOOK_UP;
    return after_look_up(sight, why == X402_REVERT_NO_TRANSFER ? X402_ACTION_FAIL
                                                               : X402_ACTION_UNSETTLE);
}

/*
 * Settled before, and looked at again. Only UNUSED makes it due again: the block that
 * held it is not in the chain. What cannot be found otherwise stays as it is recorded.
 */
static enum x402_action plan_settled(enum x402_sight sight)
{
    if (sight == X402_SIGHT_PAID)
        return X402_ACTION_FINALIZE;
    if (sight == X402_SIGHT_UNPROVEN || sight == X402_SIGHT_REVERTED ||
        sight == X402_SIGHT_GONE)
        return X402_ACTION_LOOK_UP;
    if (sight == X402_SIGHT_UNUSED || sight == X402_SIGHT_EXPIRED ||
        sight == X402_SIGHT_USED_OTHERWISE || sight == X402_SIGHT_CANCELED)
        return X402_ACTION_UNSETTLE;
    if (sight == X402_SIGHT_USED_FOR_US)
        return X402_ACTION_SETTLE;
    return X402_ACTION_WAIT;
}

enum x402_action x402_plan(enum x402_money money, enum x402_sight sight,
                           enum x402_revert why)
{
    switch (money) {
    case X402_MONEY_DUE:
        return plan_due(sight, why);
    case X402_MONEY_SUBMITTED:
        return plan_submitted(sight, why);
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

#define RETRY_MILLISECONDS 2000
#define RETRY_MILLISECONDS_MAX 60000
#define RETRY_GAS_MILLISECONDS 30000
#define RETRY_GAS_MILLISECONDS_MAX 3600000

int64_t x402_plan_retry_milliseconds(unsigned tries, bool cost_gas)
{
    int64_t wait = cost_gas ? RETRY_GAS_MILLISECONDS : RETRY_MILLISECONDS;
    int64_t most = cost_gas ? RETRY_GAS_MILLISECONDS_MAX : RETRY_MILLISECONDS_MAX;

    assert(tries > 0);
    for (unsigned i = 1; i < tries && wait < most; i++)
        wait *= 2;
    return wait < most ? wait : most;
}

/* --------------------------------------------------------------------- transactions */

/*
 * Nodes agree on no codes, only roughly on words: geth and reth (op-geth, op-reth) and
 * anvil. The order matters: "replacement transaction underpriced" is a fee too low.
 */
enum x402_send x402_send_classify(const char *message)
{
    static const struct {
        const char *words;
        enum x402_send send;
    } table[] = {
        {"already known", X402_SEND_ACCEPTED},
        {"already imported", X402_SEND_ACCEPTED},
        {"already in mempool", X402_SEND_ACCEPTED},
        {"known transaction", X402_SEND_ACCEPTED},
        {"nonce too low", X402_SEND_NONCE_SPENT},
        {"nonce is too low", X402_SEND_NONCE_SPENT},
        {"underpriced", X402_SEND_FEE_LOW},
        {"less than block base fee", X402_SEND_FEE_LOW},
        {"fee too low", X402_SEND_FEE_LOW},
        {"insufficient funds", X402_SEND_NO_GAS},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcasestr(message, table[i].words) != NULL)
            return table[i].send;
    }
    return X402_SEND_REFUSED;
}

enum x402_pending_action x402_plan_pending(const struct x402_pending *pending)
{
    bool stuck = pending->age_seconds >= pending->stuck_seconds ||
                 pending->last == X402_SEND_FEE_LOW;
    /* No replacement for what no node has been offered: sending may be all it lacks. */
    bool offered = pending->sent_milliseconds >= 0;

    assert(pending->rows > 0);
    if (!offered)
        return X402_PENDING_RESEND;
    if (stuck && pending->fee_can_rise && pending->rows < X402_PENDING_ROWS_MAX)
        return X402_PENDING_REPLACE;
    if (pending->sent_milliseconds >= pending->resend_milliseconds)
        return X402_PENDING_RESEND;
    return X402_PENDING_WAIT;
}

uint64_t x402_plan_nonce(const struct x402_nonces *nonces)
{
    uint64_t nonce = nonces->stored_next;

    if (nonces->chain_pending > nonce)
        nonce = nonces->chain_pending;
    return nonces->chain_latest > nonce ? nonces->chain_latest : nonce;
}

static bool is_live(const struct x402_nonces *nonces, uint64_t nonce)
{
    for (size_t i = 0; i < nonces->live_count; i++) {
        if (nonces->live[i] == nonce)
            return true;
    }
    return false;
}

bool x402_plan_gap(uint64_t *out_nonce, const struct x402_nonces *nonces)
{
    uint64_t next = nonces->chain_pending;

    if (nonces->chain_latest > next)
        next = nonces->chain_latest;
    while (next < nonces->stored_next && is_live(nonces, next))
        next++;
    if (next >= nonces->stored_next)
        return false;
    *out_nonce = next;
    return true;
}
