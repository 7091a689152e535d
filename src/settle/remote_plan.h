/*
 * What becomes of a payment after a facilitator was asked to settle it. Pure; any
 * thread.
 *
 * A payment is submitted in the ledger from before it is asked for until it is known
 * what became of it. Whether all is known is the whole point: `certain` says that no
 * request for it, of this process or one before, was left without a word. Only then can
 * a refusal mean that it is not settled; otherwise an earlier request may have settled
 * it, and the same facilitator would now say "expired" or "no funds" with good reason.
 * A node, where there is one, knows better than any word: then the chain decides.
 */
#ifndef X402_SETTLE_REMOTE_PLAN_H
#define X402_SETTLE_REMOTE_PLAN_H

#include "settle/plan.h"
#include "settle/remote_body.h"

/* What is known of a submitted payment. */
struct x402_remote_case {
    enum x402_remote_word word; /* the facilitator's, just now */
    bool certain;               /* before it */
    struct x402_state state;    /* SUBMITTED */
    bool ended;                 /* its authorization, and X402_REMOTE_MARGIN_SECONDS */
    bool has_node;
    enum x402_sight sight; /* of a look at the chain after the word; with a node */
};

/* Past validBefore, until a clock behind ours has passed it as well. */
#define X402_REMOTE_MARGIN_SECONDS 30

enum x402_remote_action {
    X402_REMOTE_WAIT,    /* it stays submitted; ask again, with the same bytes */
    X402_REMOTE_RELEASE, /* it is not settled: due again, and asked for again later */
    X402_REMOTE_SETTLE,  /* verdict SETTLED */
    X402_REMOTE_FAIL,    /* verdict FAILED */
};

enum x402_remote_action x402_remote_plan(const struct x402_remote_case *what);

/* Whether the payment's fate is certain after the word, if it was before. */
bool x402_remote_certain(enum x402_remote_word word);

/*
 * Milliseconds until a payment is asked for again, after its `tries`th word in a row
 * (from 1): soon at first, every ten minutes later; hourly once its authorization has
 * ended, when asking again changes little.
 */
int64_t x402_remote_retry_milliseconds(unsigned tries, bool ended);

/*
 * Of `count` due payments, the first `owed` of which somebody waits for: which comes
 * `turn`th (from 0). They take turns with the others as long as there are both, and at
 * who begins (`rest_begins`), so that neither keeps the other from being asked for.
 */
size_t x402_remote_turn(size_t turn, size_t owed, size_t count, bool rest_begins);

#endif
