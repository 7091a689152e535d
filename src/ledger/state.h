/*
 * The life of a payment as one table: state x event -> state. The ledger's SQL and the
 * model in tests/model both go by it; nothing else decides what may follow what. Pure.
 *
 * Two things are kept apart. Delivery: did the caller get what was paid for. Money:
 * where the authorization stands.
 */
#ifndef X402_LEDGER_STATE_H
#define X402_LEDGER_STATE_H

#include <x402/error.h>

/* Numbers are stored; never renumber. X(symbol, number, name) */
#define X402_DELIVERIES(X)                                                             \
    X(PENDING, 0, "pending")     /* admitted, being served */                          \
    X(DELIVERED, 1, "delivered") /* the caller has it */                               \
    X(VOID, 2, "void") /* seen to fail: not charged, may be presented again */         \
    X(ABANDONED, 3, "abandoned") /* the worker died: never charged, never served */    \
    X(OWED, 4, "owed") /* settled first: being collected, or collected, and not served \
                        */

#define X402_MONIES(X)                                                                 \
    X(HELD, 0, "held")           /* authorization in hand, nothing owed yet */         \
    X(DUE, 1, "due")             /* earned, to be sent */                              \
    X(SUBMITTED, 2, "submitted") /* in a transaction whose bytes are stored */         \
    X(SETTLED, 3, "settled")     /* included in a block */                             \
    X(FINAL, 4, "final")         /* at or below the safe block */                      \
    X(FAILED, 5, "failed")       /* cannot be collected; the reason is recorded */     \
    X(RELEASED, 6, "released")   /* will not be collected */

enum x402_delivery {
#define X402_DELIVERY_ENUM(symbol, number, name) X402_DELIVERY_##symbol = (number),
    X402_DELIVERIES(X402_DELIVERY_ENUM)
#undef X402_DELIVERY_ENUM
};
enum x402_money {
#define X402_MONEY_ENUM(symbol, number, name) X402_MONEY_##symbol = (number),
    X402_MONIES(X402_MONEY_ENUM)
#undef X402_MONEY_ENUM
};
#define X402_DELIVERY_COUNT 5
#define X402_MONEY_COUNT 7

const char *x402_delivery_name(enum x402_delivery delivery);
const char *x402_money_name(enum x402_money money);
/* False when there is none of that name. */
bool x402_delivery_named(enum x402_delivery *out, const char *name);
bool x402_money_named(enum x402_money *out, const char *name);

struct x402_state {
    enum x402_delivery delivery;
    enum x402_money money;
};

enum x402_event {
    X402_EVENT_PRESENT,       /* a caller presents the payment (again) */
    X402_EVENT_DELIVERED,     /* its attempt reached the caller */
    X402_EVENT_VOID,          /* its attempt failed before the caller had anything */
    X402_EVENT_LEASE_LOST,    /* the worker of its attempt is gone */
    X402_EVENT_SUBMIT,        /* put into a stored transaction */
    X402_EVENT_SETTLED,       /* its logs are on the chain */
    X402_EVENT_FAILED,        /* proven uncollectable */
    X402_EVENT_UNSETTLED,     /* its transaction is gone (dropped, replaced, reorged) */
    X402_EVENT_FINAL,         /* its block is safe */
    X402_EVENT_PRESENT_FIRST, /* a caller presents it, to be settled before served */
};
#define X402_EVENT_COUNT 10 /* numbers are stored in flows; never renumber, append */

/* What presenting a payment comes to (x402_admission in the design). */
enum x402_admission {
    X402_ADMISSION_NEW,         /* serve it */
    X402_ADMISSION_REPEATED,    /* used: ERR_NONCE_USED */
    X402_ADMISSION_IN_PROGRESS, /* ERR_IN_PROGRESS */
    X402_ADMISSION_ABANDONED,   /* ERR_PAYMENT_ABANDONED */
    X402_ADMISSION_LIMITED,     /* ERR_RATE */
    X402_ADMISSION_SETTLING, /* it is being settled first: look, then present again */
    X402_ADMISSION_NOT_OWED, /* presented late, and nothing is owed for it */
    X402_ADMISSION_UNAVAILABLE, /* the batch did not commit: ERR_LEDGER */
};

/*
 * The state of a payment never seen, after PRESENT: pending, held; after PRESENT_FIRST:
 * owed, due. Settled first means that nobody serves it before the chain has paid: what
 * is collected so is owed until it is presented once more, and then served.
 */
struct x402_state x402_state_first(enum x402_event event);

/*
 * Writes what follows `state` on `event`. False, and *out unwritten, when the table has
 * no such step: the write must not happen.
 */
bool x402_state_next(struct x402_state *out, struct x402_state state,
                     enum x402_event event);

/*
 * What presenting a payment in this state comes to: NEW exactly when x402_state_next
 * allows PRESENT or PRESENT_FIRST (which of them is the ledger's to decide); SETTLING
 * when it is owed and its money is under way; otherwise REPEATED, IN_PROGRESS or
 * ABANDONED. A pending payment whose lease is lost must have gone through LEASE_LOST
 * first.
 *
 * A caller who is told ABANDONED is promised that nothing will be charged: the ledger
 * then forgets the row's attempt, so that an outcome that still comes finds none.
 */
enum x402_admission x402_state_admission(struct x402_state state);

#endif
