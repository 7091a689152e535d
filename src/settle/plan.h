/*
 * What the settler does next, as a table: state x sight -> action. A sight is one thing
 * just learned about a payment, from its simulation, from the receipt of its
 * transaction, or from looking it up on the chain. Nothing else decides what is sent,
 * written off or tried again. Pure: no clock, no node, no ledger; any thread.
 *
 * Two rules hold everywhere. A node that does not answer teaches nothing: the sight is
 * UNKNOWN and no payment changes its state. And a payment leaves its transaction only
 * once the transaction's nonce is spent, so that no nonce is ever left behind unused.
 */
#ifndef X402_SETTLE_PLAN_H
#define X402_SETTLE_PLAN_H

#include "ledger/state.h"

#include <stdint.h>

/* ------------------------------------------------------------------------- reverts */

/*
 * Why a token refuses a transfer. Reasons are FiatTokenV2's (reference: chain facts,
 * section 2). X(symbol, code, pattern); the first pattern found in the text wins.
 */
#define X402_REVERTS(X)                                                                \
    X(EXPIRED, "expired", "authorization is expired")                                  \
    X(NOT_YET_VALID, "not_yet_valid", "authorization is not yet valid")                \
    X(USED, "used", "authorization is used or canceled")                               \
    X(SIGNATURE, "invalid_signature", "invalid signature")                             \
    X(FUNDS, "insufficient_funds", "amount exceeds balance")                           \
    X(ZERO_ADDRESS, "zero_address", "the zero address")                                \
    X(NOT_PAYEE, "not_payee", "caller must be the payee")                              \
    X(BLACKLISTED, "blacklisted", "account is blacklisted")                            \
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

    /* The receipt of one of its transactions. */
    X402_SIGHT_PAID,     /* included, and its logs prove the transfer */
    X402_SIGHT_UNPROVEN, /* included, not reverted, and its logs prove nothing */
    X402_SIGHT_REVERTED, /* included, and reverted */

    /* No receipt for any of them. */
    X402_SIGHT_PENDING, /* their nonce is not spent */
    X402_SIGHT_GONE,    /* their nonce is spent */

    /* Looked up at a block of the chain, by number. */
    X402_SIGHT_UNUSED,         /* unused, and the block is before validBefore */
    X402_SIGHT_EXPIRED,        /* unused, and the block is not: it never can be used */
    X402_SIGHT_USED_FOR_US,    /* used by a transfer of its value to its payee */
    X402_SIGHT_USED_OTHERWISE, /* used, and the money went elsewhere */
    X402_SIGHT_CANCELED,       /* canceled by its payer */
    X402_SIGHT_USED_UNTRACED,  /* used, and by what was not found */
};
#define X402_SIGHT_COUNT 14

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
 * `money` is DUE, SUBMITTED or SETTLED (SETTLED: its block is being checked again).
 * `why` is the last refusal known, X402_REVERT_NONE when there is none.
 */
enum x402_action x402_plan(enum x402_money money, enum x402_sight sight,
                           enum x402_revert why);

/* How often USED_UNTRACED must be seen before it is believed. */
#define X402_UNTRACED_MAX 5

/*
 * Milliseconds until a due payment is tried again after its `tries`th refusal in a row
 * (from 1). One that cost gas (its transaction reverted on the chain) waits longer.
 */
int64_t x402_plan_retry_milliseconds(unsigned tries, bool cost_gas);

/* --------------------------------------------------------------------- transactions */

/* What a node said to eth_sendRawTransaction. */
enum x402_send {
    X402_SEND_ACCEPTED,    /* or known already */
    X402_SEND_NONCE_SPENT, /* "nonce too low" */
    X402_SEND_FEE_LOW,     /* it pays too little to be taken */
    X402_SEND_NO_GAS,      /* the signer cannot pay for gas */
    X402_SEND_REFUSED,     /* for another reason */
    X402_SEND_UNKNOWN,     /* no answer: it may have arrived */
};

/* By the message of the error the node answered with. Not UNKNOWN. */
enum x402_send x402_send_classify(const char *message);

/* Everything signed for one nonce, none of it included yet. */
struct x402_pending {
    unsigned rows;               /* transactions signed for the nonce */
    int64_t age_seconds;         /* since the newest was stored */
    int64_t sent_milliseconds;   /* since the newest was sent; -1 for never */
    enum x402_send last;         /* what the node said to it */
    int64_t stuck_seconds;       /* an age that calls for more fee */
    int64_t resend_milliseconds; /* how often to send again */
    bool fee_can_rise;           /* a replacement would be within the policy */
};

enum x402_pending_action {
    X402_PENDING_WAIT,
    X402_PENDING_RESEND,  /* the same bytes */
    X402_PENDING_REPLACE, /* the same nonce and payments, more fee */
};

/* Most transactions ever signed for one nonce. */
#define X402_PENDING_ROWS_MAX 16

enum x402_pending_action x402_plan_pending(const struct x402_pending *pending);

/* What is known when a nonce is chosen. */
struct x402_nonces {
    uint64_t stored_next;   /* above every nonce in the ledger; 0 when it has none */
    uint64_t chain_latest;  /* transactions of the signer in blocks */
    uint64_t chain_pending; /* and in the node's pool */
    const uint64_t *live;   /* nonces of transactions still awaited */
    size_t live_count;
};

/* The nonce for a new transaction: above what the ledger and the node know. */
uint64_t x402_plan_nonce(const struct x402_nonces *nonces);

/*
 * Whether the chain is behind: there is a nonce below those stored that it has not
 * seen, and nothing of ours is awaited for it. *out_nonce is the first. Believe it only
 * when it stays so for a while: a node that lags the others says so too.
 */
bool x402_plan_gap(uint64_t *out_nonce, const struct x402_nonces *nonces);

#endif
