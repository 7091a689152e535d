/*
 * What the settler does next, as a table: state x sight -> action. A sight is one thing
 * just learned about a payment, from its simulation, from the receipt of its
 * transaction, or from looking it up on the chain. Nothing else decides what is sent,
 * written off or tried again. Pure: no clock, no node, no ledger; any thread.
 *
 * Three rules hold everywhere. A node that does not answer teaches nothing: the sight
 * is UNKNOWN and no payment changes its state. A payment leaves its transaction only
 * once the transaction's nonce is spent, so that no nonce is left behind unused. And
 * what was delivered is written off only for what a safe block says: a refusal passes,
 * a block above the safe one may be forgotten.
 */
#ifndef X402_SETTLE_PLAN_H
#define X402_SETTLE_PLAN_H

#include "ledger/state.h"

#include <stdint.h>

/* ------------------------------------------------------------------------- reverts */

/*
 * Why a token refuses a transfer. Reasons are FiatTokenV2's (reference: chain facts,
 * section 2); a pattern ends where the facilitator's hint of 32 bytes does. X(symbol,
 * code, pattern); the first pattern found in the text wins.
 */
#define X402_REVERTS(X)                                                                \
    X(EXPIRED, "expired", "authorization is ex")                                       \
    X(NOT_YET_VALID, "not_yet_valid", "authorization is no")                           \
    X(USED, "used", "authorization is us")                                             \
    X(SIGNATURE, "invalid_signature", "invalid signature")                             \
    X(FUNDS, "insufficient_funds", "amount exceeds b")                                 \
    X(ZERO_ADDRESS, "zero_address", "the zero addr")                                   \
    X(NOT_PAYEE, "not_payee", "caller must be the ")                                   \
    X(BLACKLISTED, "blacklisted", "account is blackl")                                 \
    X(PAUSED, "paused", "Pausable: paused")

enum x402_revert {
    X402_REVERT_NONE,
#define X402_REVERT_ENUM(symbol, code, pattern) X402_REVERT_##symbol,
    X402_REVERTS(X402_REVERT_ENUM)
#undef X402_REVERT_ENUM
        X402_REVERT_OTHER,   /* a reason not listed, or none given */
    X402_REVERT_NO_TRANSFER, /* it did not revert, and moved nothing */
};
#define X402_REVERT_COUNT 12

enum x402_revert x402_revert_classify(const char *reason);

/* "insufficient_funds": the first word of a failure's reason. Never NULL. */
const char *x402_revert_code(enum x402_revert revert);

/* ------------------------------------------------------------------- state x sight */

enum x402_sight {
    X402_SIGHT_UNKNOWN, /* no answer, or none that makes sense */

    /* Simulated, before anything is sent. */
    X402_SIGHT_PASSES,
    X402_SIGHT_REFUSED, /* would revert */

    /* The receipt of one of its transactions, be it of this payment alone or a batch.
     */
    X402_SIGHT_PAID,     /* included, and its logs prove the transfer */
    X402_SIGHT_UNPROVEN, /* included, not reverted, and its logs prove nothing */
    X402_SIGHT_REVERTED, /* included, and reverted as a whole */

    /* No receipt for any of them. */
    X402_SIGHT_PENDING, /* their nonce is not spent */
    X402_SIGHT_GONE,    /* their nonce is spent, perhaps by one of ours without it */

    /* Looked up at a block of the chain, by number: the latest, and for what ends a
     * payment the safe one as well. */
    X402_SIGHT_UNUSED,      /* unused, and the block is before validBefore */
    X402_SIGHT_USED_FOR_US, /* used by a transfer of its value to its payee */
    X402_SIGHT_UNSAFE,      /* one of the next three, but only above the safe block */
    X402_SIGHT_EXPIRED,     /* unused at a safe block past validBefore */
    X402_SIGHT_USED_OTHERWISE, /* used, and the money went elsewhere: at a safe block */
    X402_SIGHT_CANCELED,       /* canceled by its payer: at a safe block */
    X402_SIGHT_USED_UNTRACED,  /* used, and by what was not found */
};
#define X402_SIGHT_COUNT 15

enum x402_action {
    X402_ACTION_WAIT,     /* nothing now; look again next pass */
    X402_ACTION_SEND,     /* sign, store, send */
    X402_ACTION_RETRY,    /* not now; simulate again after a while */
    X402_ACTION_LOOK_UP,  /* ask the chain who used the authorization */
    X402_ACTION_SETTLE,   /* verdict SETTLED */
    X402_ACTION_FAIL,     /* verdict FAILED */
    X402_ACTION_UNSETTLE, /* verdict UNSETTLED: due again */
    X402_ACTION_FINALIZE, /* verdict FINAL */
};

/*
 * `state.money` is DUE, SUBMITTED or SETTLED (SETTLED: its block is being checked
 * again). `why` is the last refusal known: of the simulation, of the same call at the
 * end of the block its transaction reverted in, or the facilitator's hint;
 * NO_TRANSFER for a transaction of its own that succeeded and moved nothing. NONE when
 * there is none, as for a batch that reverted whole.
 *
 * A payment that is owed, and not served yet, is given up sooner than one that is
 * delivered: somebody waits for it, and after a failure it may be presented again. It
 * fails for a refusal, once the chain has said that it was not paid already. One
 * that is pending (its money came back while it was being served) is like a delivered
 * one: the caller may have it already.
 *
 * USED_UNTRACED is never a failure and never a payment: people are told, and it is
 * due.
 */
enum x402_action x402_plan(struct x402_state state, enum x402_sight sight,
                           enum x402_revert why);

/*
 * A settled payment whose receipt is not there any more, and whose nonce is free, is
 * PENDING: the same bytes are sent again. What does not come back for so long is GONE,
 * free as its nonce may be: nobody raises the fee of what is settled, and others wait
 * behind it. (Its nonce is then a gap, or blocked.)
 */
#define X402_DISPLACED_MILLISECONDS 20000

/* How often USED_UNTRACED must be seen before it is believed, and people are told. */
#define X402_UNTRACED_MAX 5

/* A payment that was refused, or is not to be judged yet. */
struct x402_refused {
    enum x402_revert why;
    unsigned tries;            /* in a row, from 1 */
    bool cost_gas;             /* one of them was a transaction: REVERTED, UNPROVEN */
    int64_t left_milliseconds; /* until its validBefore, by the latest block; may be
                                  negative */
};

/*
 * Milliseconds until it is simulated again: 2 s, doubling up to a minute; for what
 * mostly stands for good (a blacklist, a signature) 15 s up to ten minutes; for what
 * cost gas 30 s up to an hour. It does not sleep past its end: a simulation comes again
 * after half of what is left, and what cost gas comes again a minute before, and then
 * likewise.
 */
int64_t x402_plan_retry_milliseconds(const struct x402_refused *refused);

/* --------------------------------------------------------------------- transactions */

/* What a node said to eth_sendRawTransaction. */
enum x402_send {
    X402_SEND_ACCEPTED,    /* or known already */
    X402_SEND_NONCE_SPENT, /* "nonce too low" */
    X402_SEND_NONCE_AHEAD, /* "nonce too high": it misses one before it */
    X402_SEND_FEE_LOW,     /* it pays too little to be taken */
    X402_SEND_NO_GAS,      /* the signer cannot pay for gas */
    X402_SEND_TOO_LARGE,   /* too much gas, or too many bytes, for any block */
    X402_SEND_BUSY,        /* not now: a full pool, a rate limit, its own troubles */
    X402_SEND_REFUSED,     /* for another reason */
    X402_SEND_UNKNOWN,     /* no answer: it may have arrived */
};

/* By the message of the error the node answered with. Not UNKNOWN. */
enum x402_send x402_send_classify(const char *message);

/* Everything signed for one nonce, none of it included yet. */
struct x402_pending {
    unsigned rows;               /* transactions signed for the nonce */
    unsigned payments;           /* in the newest, as it was signed */
    int64_t age_seconds;         /* since the newest was stored */
    int64_t sent_milliseconds;   /* since the newest was sent; -1 for never */
    enum x402_send last;         /* what the node said to it */
    int64_t stuck_seconds;       /* an age that calls for more fee */
    int64_t resend_milliseconds; /* how often to send again what a node took; three
                                    times as often what it did not take */
    bool fee_can_rise;           /* a replacement would be within the policy */
};

enum x402_pending_action {
    X402_PENDING_WAIT,
    X402_PENDING_RESEND,  /* the same bytes */
    X402_PENDING_REPLACE, /* the same nonce and payments, more fee */
    X402_PENDING_SHRINK,  /* the same nonce, at most half as many payments as in the
                             newest, more fee where it can rise */
};

/*
 * A replacement has those payments that are still awaited, of the newest row that has
 * any: not always the newest of all, when a smaller one left some out or a
 * reorganization took back what was resolved. What is left out stays submitted; when
 * the nonce is spent without it, it is GONE, at once (the receipt of the other row says
 * so), and due again.
 */

/*
 * Most transactions ever signed for one nonce. A tenth more each time passes every
 * policy's cap long before.
 */
#define X402_PENDING_ROWS_MAX 128

/*
 * stuck_seconds: 30 s, a third of that for what is below the base fee, doubling with
 * each row up to ten minutes, but not more than a quarter of `left_seconds` (and 5 s at
 * least). That is until the soonest validBefore among the payments of this nonce and of
 * those above it, which wait for it; 0 or less when all of them are over.
 */
int64_t x402_plan_stuck_seconds(unsigned rows, bool is_below_base_fee,
                                int64_t left_seconds);

/*
 * More fee is no help where the signer cannot pay or another nonce is missing. Whatever
 * else a node says may be a fee too low in words unknown here, so what stays stuck is
 * replaced, up to the cap of the policy; from there on it is sent again until the chain
 * is cheaper.
 */
enum x402_pending_action x402_plan_pending(const struct x402_pending *pending);

/* --------------------------------------------------------------------------- nonces */

/* What is known when a nonce is chosen. */
struct x402_nonces {
    uint64_t stored_next;   /* above every nonce in the ledger; 0 when it has none */
    uint64_t chain_latest;  /* transactions of the signer in blocks */
    uint64_t chain_pending; /* and in the node's pool */
    const uint64_t *live;   /* nonces of transactions still awaited, each once */
    size_t live_count;
};

/* The nonce for a new transaction: above what the ledger and the node know. */
uint64_t x402_plan_nonce(const struct x402_nonces *nonces);

/*
 * Whether the chain is behind: there is a nonce below those stored that it has not
 * seen, and nothing of ours is awaited for it. *out_nonce is the first. It happens when
 * a reorganization takes back what was resolved, or when the key is used elsewhere; for
 * a moment it is only a node that lags.
 */
bool x402_plan_gap(uint64_t *out_nonce, const struct x402_nonces *nonces);

/*
 * Whether the nonce that the chain waits for is in the node's pool, is not one of ours,
 * and keeps ours from being included: something left behind that pays too little. For a
 * moment it is only a block that is late.
 */
bool x402_plan_blocked(uint64_t *out_nonce, const struct x402_nonces *nonces);

/* A gap so old is filled. Younger, it may be a node that lags, or finality.c sends what
 * is missing again. */
#define X402_FILL_MILLISECONDS 20000
/* A blocked nonce gets longer: most of them are included. */
#define X402_FILL_BLOCKED_MILLISECONDS 120000

enum x402_fill {
    X402_FILL_WAIT,  /* nothing yet: go on as if it were not there */
    X402_FILL_USE,   /* the next transaction takes the nonce, instead of a new one */
    X402_FILL_EMPTY, /* an empty transfer to ourselves takes it */
};

/*
 * What to do about a gap, or a blocked nonce. `age_milliseconds`: how long there has
 * been one without a break (a gap may move from nonce to nonce meanwhile; a blocked one
 * may not), or since the newest row that is stored for the nonce was, if that is less:
 * what was signed for it just now has its time. `sending`: a transaction is to be
 * signed now. `awaited`: something is under way at nonces above it, or looked for by
 * finality.c.
 *
 * What takes the nonce replaces what is stored for it and pays a replacement's fee over
 * that. With payments it is live from then on, and if the nonce was spent after all
 * they are found GONE. An empty one is not awaited: if it gets lost too, there is a gap
 * again.
 */
enum x402_fill x402_plan_fill(bool is_blocked, int64_t age_milliseconds, bool sending,
                              bool awaited);

#endif
