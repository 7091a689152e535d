/*
 * Which due payments go together in one transaction, and when. Pure: no clock, no node,
 * no ledger; any thread.
 *
 * A batch shares chain, token and payee. It goes when it is large enough, old enough,
 * or when an authorization in it nears its end; what somebody waits for (owed) goes at
 * once, and takes along what is there. While gas is unusually dear only what cannot
 * wait goes.
 *
 * What was served and nears its end goes before all else: it is lost when it does not
 * go, and what is owed has not been served. So many as may be owed (that costs nothing)
 * cannot make it expire, neither in a batch of their own nor by filling its batch. An
 * owed payment that nears its end is only waited for: nothing is lost with it.
 */
#ifndef X402_SETTLE_BATCH_H
#define X402_SETTLE_BATCH_H

#include "ledger/ledger.h"

#define X402_BATCH_MAX 200 /* payments in one transaction */

struct x402_batch_policy {
    size_t max;               /* most in one; 1 where the contract is not */
    size_t target;            /* large enough; no more than max */
    int64_t age_seconds;      /* old enough: since the oldest became due */
    int64_t deadline_seconds; /* so near its validBefore a payment goes, whatever it
                                 costs; one that lived for less than twice as long
                                 when it became due, after half of it, but never
                                 later than at half of this */
};

/* target 100, age 10 s, deadline 60 s; max 1 and age 0 without the contract. */
struct x402_batch_policy x402_batch_policy_default(bool has_contract);

/* What matters of the chain now. */
struct x402_batch_view {
    uint64_t now_seconds; /* the later of our clock and the latest block's time */
    bool gas_is_dear;
};

/* The weakest claim first. */
enum x402_batch_why {
    X402_BATCH_NONE, /* nothing has to go now */
    X402_BATCH_FULL,
    X402_BATCH_OLD,
    X402_BATCH_WAITED_FOR,
    X402_BATCH_DEADLINE,
};
const char *x402_batch_why_name(enum x402_batch_why why);

struct x402_batch {
    enum x402_batch_why why;
    size_t indexes[X402_BATCH_MAX]; /* into the payments given */
    size_t count;
};

/*
 * Chooses the batch that has the strongest claim among the payments whose `taken` is
 * false, all due on one chain, and marks its payments taken. False, and nothing is
 * written, when nothing goes now. Of equal claims the soonest validBefore counts, so
 * that no group starves another. Within a batch: those served that near their end, then
 * those waited for, then the rest; in each, soonest validBefore.
 *
 * What is not for this batch the caller marks taken: what waits for its next try, what
 * has to go alone, what expired by the latest block. Our own clock expires nothing: it
 * may be fast.
 */
bool x402_batch_choose(struct x402_batch *out, const struct x402_settlement *payments,
                       bool *taken, size_t count,
                       const struct x402_batch_policy *policy,
                       const struct x402_batch_view *view);

#endif
