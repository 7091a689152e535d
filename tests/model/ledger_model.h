/*
 * The ledger as an abstract machine: what one payment's row does, by the table of
 * src/ledger/state.h. The exhaustive model explores it; the differential test holds
 * SQLite against it.
 */
#ifndef X402_TESTS_MODEL_LEDGER_MODEL_H
#define X402_TESTS_MODEL_LEDGER_MODEL_H

#include "ledger/state.h"

#include <stdint.h>

/* The rules, so that a broken set of them can be put in and must be found out. */
struct model_rules {
    bool (*next)(struct x402_state *out, struct x402_state state,
                 enum x402_event event);
    bool attempts_checked;
    bool attempts_forgotten; /* once their caller was told that they are abandoned */
};

static const struct model_rules model_rules_true = {x402_state_next, true, true};

#define MODEL_NO_ATTEMPT UINT16_MAX /* nobody's */

struct model_row {
    struct x402_state state;
    uint16_t attempt; /* the current one */
    uint16_t lease;   /* of the current attempt */
    bool exists;
};

struct model_presentation {
    uint16_t attempt;
    uint16_t lease; /* of the worker it comes to */
    bool first;     /* it has no credit: to be settled before it is served */
    bool late;      /* its authorization has expired */
    bool same;      /* as what the row was charged for, and not too long ago */
};

static inline bool model_step(const struct model_rules *rules, struct model_row *row,
                              enum x402_event event)
{
    struct x402_state next;

    if (!row->exists || !rules->next(&next, row->state, event)) {
        return false;
    }
    row->state = next;
    return true;
}

/* Whether a pending row's worker is gone: then it is abandoned. */
static inline bool model_lease_lost(const struct model_rules *rules,
                                    struct model_row *row, bool lease_alive)
{
    return row->exists && row->state.delivery == X402_DELIVERY_PENDING &&
           !lease_alive && model_step(rules, row, X402_EVENT_LEASE_LOST);
}

/* The row enters a state on a presentation: somebody serves it, or it waits. */
static inline enum x402_admission model_enter(
    struct model_row *row, struct x402_state state,
    const struct model_presentation *presentation)
{
    const bool served = state.delivery == X402_DELIVERY_PENDING;

    *row = (struct model_row){
        .state = state,
        .attempt = served ? presentation->attempt : MODEL_NO_ATTEMPT,
        .lease = served ? presentation->lease : 0,
        .exists = true,
    };
    return served ? X402_ADMISSION_NEW : X402_ADMISSION_SETTLING;
}

/* What a late presentation, or one of what is owed, is refused with; NEW: it is not. */
static inline enum x402_admission model_refuse(
    const struct model_row *row, const struct model_presentation *presentation)
{
    const bool owed = row->exists && row->state.delivery == X402_DELIVERY_OWED;

    if (presentation->late && !(owed && presentation->same)) {
        return X402_ADMISSION_NOT_OWED;
    }
    return owed && !presentation->same ? X402_ADMISSION_REPEATED : X402_ADMISSION_NEW;
}

/* A presentation. `lease_alive` is about the lease the row has. */
static inline enum x402_admission model_present(
    const struct model_rules *rules, struct model_row *row,
    const struct model_presentation *presentation, bool lease_alive)
{
    struct x402_state served, waiting;
    bool may_be_served, may_wait;
    enum x402_admission refused;

    (void)model_lease_lost(rules, row, lease_alive);
    if (row->exists && row->state.delivery == X402_DELIVERY_ABANDONED &&
        !rules->next(&served, row->state, X402_EVENT_PRESENT)) {
        row->attempt = rules->attempts_forgotten ? MODEL_NO_ATTEMPT : row->attempt;
        return X402_ADMISSION_ABANDONED;
    }
    if (row->exists && row->state.delivery == X402_DELIVERY_PENDING &&
        row->attempt == presentation->attempt) {
        return X402_ADMISSION_NEW; /* told again */
    }
    refused = row->exists && row->state.delivery == X402_DELIVERY_PENDING
                  ? X402_ADMISSION_NEW
                  : model_refuse(row, presentation);
    if (refused != X402_ADMISSION_NEW) {
        return refused;
    }
    if (!row->exists) {
        return model_enter(row,
                           x402_state_first(presentation->first
                                                ? X402_EVENT_PRESENT_FIRST
                                                : X402_EVENT_PRESENT),
                           presentation);
    }
    may_be_served = rules->next(&served, row->state, X402_EVENT_PRESENT);
    may_wait = rules->next(&waiting, row->state, X402_EVENT_PRESENT_FIRST);
    if (may_be_served && !(may_wait && presentation->first)) {
        return model_enter(row, served, presentation);
    }
    return may_wait ? model_enter(row, waiting, presentation)
                    : x402_state_admission(row->state);
}

/* Whether it was applied. */
static inline bool model_outcome(const struct model_rules *rules, struct model_row *row,
                                 uint16_t attempt, enum x402_event event)
{
    if (rules->attempts_checked && row->attempt != attempt) {
        return false;
    }
    return model_step(rules, row, event);
}

#endif
