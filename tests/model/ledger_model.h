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

/*
 * A presentation as attempt `attempt` by the worker whose lease is `lease`.
 * `lease_alive` is about the lease the row has.
 */
static inline enum x402_admission model_present(const struct model_rules *rules,
                                                struct model_row *row, uint16_t attempt,
                                                uint16_t lease, bool lease_alive)
{
    struct x402_state next;

    if (!row->exists) {
        *row = (struct model_row){x402_state_first(X402_EVENT_PRESENT), attempt, lease,
                                  true};
        return X402_ADMISSION_NEW;
    }
    if (row->state.delivery == X402_DELIVERY_PENDING && row->attempt == attempt) {
        return X402_ADMISSION_NEW; /* told again */
    }
    (void)model_lease_lost(rules, row, lease_alive);
    if (!rules->next(&next, row->state, X402_EVENT_PRESENT)) {
        if (x402_state_admission(row->state) == X402_ADMISSION_ABANDONED &&
            rules->attempts_forgotten) {
            row->attempt = MODEL_NO_ATTEMPT;
        }
        return x402_state_admission(row->state);
    }
    row->state = next;
    row->attempt = attempt;
    row->lease = lease;
    return X402_ADMISSION_NEW;
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
