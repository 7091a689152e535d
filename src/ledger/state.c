#include "ledger/state.h"

#include <assert.h>
#include <string.h>

#define NUMBERED(symbol, number, name) [number] = (name),
static const char *const delivery_names[] = {X402_DELIVERIES(NUMBERED)};
static const char *const money_names[] = {X402_MONIES(NUMBERED)};
#undef NUMBERED

struct step {
    struct x402_state from;
    enum x402_event event;
    struct x402_state to;
};

#define STEP(from_delivery, from_money, event, to_delivery, to_money)                  \
    {                                                                                  \
        {X402_DELIVERY_##from_delivery, X402_MONEY_##from_money}, X402_EVENT_##event,  \
            {X402_DELIVERY_##to_delivery, X402_MONEY_##to_money},                      \
    }

/* clang-format off: one step a line. */
static const struct step steps[] = {
    /* Served on credit of the authorization in hand. */
    STEP(PENDING, HELD, DELIVERED, DELIVERED, DUE),
    STEP(PENDING, HELD, VOID, VOID, RELEASED),
    STEP(PENDING, HELD, LEASE_LOST, ABANDONED, RELEASED),
    /* The worker was not gone, only cut off from the ledger, and tells what became of
     * its attempt. Its caller was not told otherwise: that takes the attempt away. */
    STEP(ABANDONED, RELEASED, DELIVERED, DELIVERED, DUE),
    STEP(ABANDONED, RELEASED, VOID, VOID, RELEASED),
    /* A void payment was not charged: the same authorization buys again. */
    STEP(VOID, RELEASED, PRESENT, PENDING, HELD),
    STEP(VOID, RELEASED, PRESENT_FIRST, OWED, DUE),

    /* Settled first: collected while nobody serves it. What could not be collected was
     * not served either, and may be tried again. */
    STEP(OWED, DUE, SUBMIT, OWED, SUBMITTED), STEP(OWED, DUE, SETTLED, OWED, SETTLED),
    STEP(OWED, DUE, FAILED, VOID, FAILED),
    STEP(OWED, SUBMITTED, SUBMIT, OWED, SUBMITTED),
    STEP(OWED, SUBMITTED, SETTLED, OWED, SETTLED),
    STEP(OWED, SUBMITTED, FAILED, VOID, FAILED),
    STEP(OWED, SUBMITTED, UNSETTLED, OWED, DUE),
    STEP(OWED, SETTLED, FINAL, OWED, FINAL), STEP(OWED, SETTLED, UNSETTLED, OWED, DUE),
    STEP(VOID, FAILED, PRESENT_FIRST, OWED, DUE),

    /* Then served. What is not delivered is owed again; the money goes its way
     * meanwhile, and a reorganization may even take it back. */
    STEP(OWED, SETTLED, PRESENT, PENDING, SETTLED),
    STEP(OWED, FINAL, PRESENT, PENDING, FINAL),
    STEP(PENDING, SETTLED, DELIVERED, DELIVERED, SETTLED),
    STEP(PENDING, SETTLED, VOID, OWED, SETTLED),
    STEP(PENDING, SETTLED, LEASE_LOST, OWED, SETTLED),
    STEP(PENDING, SETTLED, FINAL, PENDING, FINAL),
    STEP(PENDING, SETTLED, UNSETTLED, PENDING, DUE),
    STEP(PENDING, FINAL, DELIVERED, DELIVERED, FINAL),
    STEP(PENDING, FINAL, VOID, OWED, FINAL),
    STEP(PENDING, FINAL, LEASE_LOST, OWED, FINAL),
    STEP(PENDING, DUE, DELIVERED, DELIVERED, DUE), STEP(PENDING, DUE, VOID, OWED, DUE),
    STEP(PENDING, DUE, LEASE_LOST, OWED, DUE),
    STEP(PENDING, DUE, SUBMIT, PENDING, SUBMITTED),
    STEP(PENDING, DUE, SETTLED, PENDING, SETTLED),
    STEP(PENDING, DUE, FAILED, PENDING, FAILED),
    STEP(PENDING, SUBMITTED, DELIVERED, DELIVERED, SUBMITTED),
    STEP(PENDING, SUBMITTED, VOID, OWED, SUBMITTED),
    STEP(PENDING, SUBMITTED, LEASE_LOST, OWED, SUBMITTED),
    STEP(PENDING, SUBMITTED, SUBMIT, PENDING, SUBMITTED),
    STEP(PENDING, SUBMITTED, SETTLED, PENDING, SETTLED),
    STEP(PENDING, SUBMITTED, FAILED, PENDING, FAILED),
    STEP(PENDING, SUBMITTED, UNSETTLED, PENDING, DUE),
    STEP(PENDING, FAILED, DELIVERED, DELIVERED, FAILED),
    STEP(PENDING, FAILED, VOID, VOID, FAILED),
    STEP(PENDING, FAILED, LEASE_LOST, VOID, FAILED),
    /* As above: cut off, and not gone. Whoever presents what is owed meanwhile takes
     * the attempt away. */
    STEP(OWED, DUE, DELIVERED, DELIVERED, DUE),
    STEP(OWED, SUBMITTED, DELIVERED, DELIVERED, SUBMITTED),
    STEP(OWED, SETTLED, DELIVERED, DELIVERED, SETTLED),
    STEP(OWED, FINAL, DELIVERED, DELIVERED, FINAL),

    /* Collecting what was earned. */
    STEP(DELIVERED, DUE, SUBMIT, DELIVERED, SUBMITTED),
    STEP(DELIVERED, DUE, SETTLED, DELIVERED, SETTLED), /* found on the chain */
    STEP(DELIVERED, DUE, FAILED, DELIVERED, FAILED),
    STEP(DELIVERED, SUBMITTED, SUBMIT, DELIVERED, SUBMITTED), /* a replacement */
    STEP(DELIVERED, SUBMITTED, SETTLED, DELIVERED, SETTLED),
    STEP(DELIVERED, SUBMITTED, FAILED, DELIVERED, FAILED),
    STEP(DELIVERED, SUBMITTED, UNSETTLED, DELIVERED, DUE),
    STEP(DELIVERED, SETTLED, FINAL, DELIVERED, FINAL),
    STEP(DELIVERED, SETTLED, UNSETTLED, DELIVERED, DUE), /* a reorganization */
};
/* clang-format on */

#define STEPS_COUNT (sizeof(steps) / sizeof(steps[0]))

const char *x402_delivery_name(enum x402_delivery delivery)
{
    return (unsigned)delivery < X402_DELIVERY_COUNT ? delivery_names[delivery] : "?";
}

const char *x402_money_name(enum x402_money money)
{
    return (unsigned)money < X402_MONEY_COUNT ? money_names[money] : "?";
}

bool x402_delivery_named(enum x402_delivery *out, const char *name)
{
    for (int i = 0; i < X402_DELIVERY_COUNT; i++) {
        if (strcmp(delivery_names[i], name) == 0) {
            *out = (enum x402_delivery)i;
            return true;
        }
    }
    return false;
}

bool x402_money_named(enum x402_money *out, const char *name)
{
    for (int i = 0; i < X402_MONEY_COUNT; i++) {
        if (strcmp(money_names[i], name) == 0) {
            *out = (enum x402_money)i;
            return true;
        }
    }
    return false;
}

struct x402_state x402_state_first(enum x402_event event)
{
    assert(event == X402_EVENT_PRESENT || event == X402_EVENT_PRESENT_FIRST);
    return event == X402_EVENT_PRESENT_FIRST
               ? (struct x402_state){X402_DELIVERY_OWED, X402_MONEY_DUE}
               : (struct x402_state){X402_DELIVERY_PENDING, X402_MONEY_HELD};
}

bool x402_state_next(struct x402_state *out, struct x402_state state,
                     enum x402_event event)
{
    for (size_t i = 0; i < STEPS_COUNT; i++) {
        const struct step *step = &steps[i];
        if (step->event == event && step->from.delivery == state.delivery &&
            step->from.money == state.money) {
            *out = step->to;
            return true;
        }
    }
    return false;
}

enum x402_admission x402_state_admission(struct x402_state state)
{
    struct x402_state next;

    if (x402_state_next(&next, state, X402_EVENT_PRESENT) ||
        x402_state_next(&next, state, X402_EVENT_PRESENT_FIRST)) {
        return X402_ADMISSION_NEW;
    }
    if (state.delivery == X402_DELIVERY_OWED) {
        return X402_ADMISSION_SETTLING;
    }
    if (state.delivery == X402_DELIVERY_PENDING) {
        return X402_ADMISSION_IN_PROGRESS;
    }
    if (state.delivery == X402_DELIVERY_ABANDONED) {
        return X402_ADMISSION_ABANDONED;
    }
    return X402_ADMISSION_REPEATED;
}
