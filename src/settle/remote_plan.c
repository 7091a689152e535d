#include "settle/remote_plan.h"

#include <assert.h>

#define RETRY_MILLISECONDS 2000
#define RETRY_MILLISECONDS_MAX 600000
#define RETRY_ENDED_MILLISECONDS_MAX 3600000

bool x402_remote_certain(enum x402_remote_word word)
{
    return word == X402_REMOTE_UNASKED || word == X402_REMOTE_REFUSED;
}

/* Refused, and no request before can have settled it. */
static enum x402_remote_action after_refusal(const struct x402_remote_case *what)
{
    bool owed = what->state.delivery == X402_DELIVERY_OWED; /* somebody waits */

    return owed || what->ended ? X402_REMOTE_FAIL : X402_REMOTE_RELEASE;
}

static enum x402_remote_action after_word(const struct x402_remote_case *what)
{
    switch (what->word) {
    case X402_REMOTE_SETTLED:
        return X402_REMOTE_SETTLE;
    case X402_REMOTE_UNASKED:
        return what->certain ? X402_REMOTE_RELEASE : X402_REMOTE_WAIT;
    case X402_REMOTE_REFUSED:
        return what->certain ? after_refusal(what) : X402_REMOTE_WAIT;
    case X402_REMOTE_UNKNOWN:
        break;
    }
    return X402_REMOTE_WAIT;
}

/* The chain's own word, by the table of transactions; WAIT where it has none. */
static enum x402_remote_action after_sight(const struct x402_remote_case *what)
{
    enum x402_action action = x402_plan(what->state, what->sight, X402_REVERT_NONE);

    if (action == X402_ACTION_SETTLE)
        return X402_REMOTE_SETTLE;
    return action == X402_ACTION_FAIL ? X402_REMOTE_FAIL : X402_REMOTE_WAIT;
}

/*
 * Beside a node no word makes a payment settled, and none makes it fail but one that
 * the chain bears out: whether it ended is a matter of the chain's clock, not ours.
 */
static enum x402_remote_action after_both(const struct x402_remote_case *what)
{
    struct x402_remote_case word = *what;
    enum x402_remote_action action = after_sight(what);

    word.ended = false;
    if (action != X402_REMOTE_WAIT)
        return action;
    if (what->word == X402_REMOTE_UNASKED ||
        (what->word == X402_REMOTE_REFUSED && what->sight == X402_SIGHT_UNUSED))
        return after_word(&word);
    return X402_REMOTE_WAIT;
}

enum x402_remote_action x402_remote_plan(const struct x402_remote_case *what)
{
    return what->has_node ? after_both(what) : after_word(what);
}

int64_t x402_remote_retry_milliseconds(unsigned tries, bool ended)
{
    int64_t most = ended ? RETRY_ENDED_MILLISECONDS_MAX : RETRY_MILLISECONDS_MAX;
    int64_t wait = RETRY_MILLISECONDS;

    assert(tries > 0);
    for (unsigned i = 1; i < tries && wait < most; i++)
        wait *= 2;
    return wait < most ? wait : most;
}

size_t x402_remote_turn(size_t turn, size_t owed, size_t count, bool rest_begins)
{
    size_t rest = count - owed, pairs = owed < rest ? owed : rest;

    assert(owed <= count && turn < count);
    if (turn >= 2 * pairs) /* only one kind is left */
        return owed > rest ? turn - pairs : owed + turn - pairs;
    return (turn % 2 == 0) != rest_begins ? turn / 2 : owed + turn / 2;
}
