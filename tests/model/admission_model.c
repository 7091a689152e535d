/*
 * Every interleaving, within bounds, of callers that present a payment, in time and too
 * late; of workers that serve it, wait for its settlement and die; of leases that run
 * out and commits whose outcome nobody learns; and of a settler with its chain, which
 * forgets blocks, and a payer without funds. Looked for in each state:
 *
 *   a payment is delivered at most once;
 *   it is charged at most once, and then it is delivered, being served, or owed;
 *   what is settled first is not served before the money moved, and what failed is not
 *   served;
 *   money the ledger calls final did move, and what it released or failed did not;
 *   what it calls delivered was;
 *   a caller who was told that its payment is abandoned is not charged for it.
 *
 * A payment settled first is the exception to the first: when its worker stalls past
 * its lease the call is owed, and may be served by another; should the stalled worker
 * then wake up and finish, one payment bought two answers. It is one for each lost
 * lease at most, and the alternative is to keep the money and give nothing.
 *
 * (That the books balance is for differential_model.c, which holds the real sums
 * against the real rows.)
 *
 * A checker that finds nothing proves nothing until it is seen to find something: it is
 * also run on rules that are broken on purpose, and must object to each.
 */
#include "ledger_model.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORKERS 2
#define ATTEMPTS 3 /* presentations of the payment, at most */
#define LIVES 2    /* leases of each worker: after a crash, or after it stalled */
#define LEASES (WORKERS * LIVES)
#define SENDS 2 /* transactions the settler may make */

/* What a worker knows of a presentation. */
enum progress {
    ABSENT,    /* not presented yet */
    WAITING,   /* SETTLING: its worker looks, and presents it again */
    SERVING,   /* NEW: the upstream is asked */
    DELIVERED, /* the caller has it; to be told */
    FAILED,    /* the upstream failed; a void to be told */
    DENIED,    /* the commit failed, perhaps: 503; a void to be told */
    OVER,      /* refused, or the ledger confirmed the outcome, or the worker died */
};

struct attempt {
    uint8_t progress;
    uint8_t worker;
};

struct world {
    struct model_row row;
    struct attempt attempts[ATTEMPTS];
    uint8_t life[WORKERS];      /* which of its leases a worker has */
    uint8_t lease_gone[LEASES]; /* ran out, or its process is known to be gone */
    uint8_t deliveries;         /* to callers */
    uint8_t transfers;          /* on the chain */
    uint8_t sent;               /* transactions that exist: they may be mined */
    uint8_t sends;              /* transactions ever made */
    uint8_t mined;              /* the transaction that moved the money is in a block */
    uint8_t expired;            /* the authorization: presented late, not mined */
    uint8_t poor;               /* the payer: its transactions are mined in vain */
    uint8_t reorganized;        /* a block was forgotten */
    uint8_t on_credit;          /* it is, or was last, served before it is settled */
    uint8_t promised;           /* a caller was told that it will not be charged */
    uint8_t owed_by_loss;       /* leases lost while it was paid for and being served */
};

/* Who has credit. */
enum credit { CREDIT_ALL, CREDIT_NOBODY, CREDIT_VARIES };

/* ---------------------------------------------------------------------- exploration */

struct set {
    struct world *worlds;
    size_t count, max;
    uint32_t *table; /* index + 1; 0: free */
    size_t table_size;
};

/* How far a run goes: all that is possible at once would take hours. */
struct bounds {
    enum credit credit;
    unsigned attempts;
    unsigned lives;
};

struct explorer {
    const struct model_rules *rules;
    struct bounds bounds;
    struct set seen;
    size_t steps;
    const char *violation;
};

static uint64_t hash_of(const struct world *world)
{
    const uint8_t *bytes = (const uint8_t *)world;
    uint64_t hash = 1469598103934665603u;

    for (size_t i = 0; i < sizeof(*world); i++) {
        hash = (hash ^ bytes[i]) * 1099511628211u;
    }
    return hash ^ (hash >> 29);
}

static void *grown(void *memory, size_t size)
{
    memory = realloc(memory, size);
    if (memory == NULL) {
        fprintf(stderr, "admission_model: out of memory\n");
        exit(1);
    }
    return memory;
}

static size_t slot_of(const struct set *set, const struct world *world)
{
    size_t slot = hash_of(world) & (set->table_size - 1);

    while (set->table[slot] != 0 &&
           memcmp(&set->worlds[set->table[slot] - 1], world, sizeof(*world)) != 0) {
        slot = (slot + 1) & (set->table_size - 1);
    }
    return slot;
}

static void set_grow(struct set *set)
{
    set->max = set->max == 0 ? 1024 : set->max * 2;
    set->table_size = set->max * 2;
    set->worlds = grown(set->worlds, set->max * sizeof(set->worlds[0]));
    set->table = grown(set->table, set->table_size * sizeof(set->table[0]));
    memset(set->table, 0, set->table_size * sizeof(set->table[0]));
    for (size_t i = 0; i < set->count; i++) {
        set->table[slot_of(set, &set->worlds[i])] = (uint32_t)i + 1;
    }
}

static void set_add(struct set *set, const struct world *world)
{
    size_t slot;

    if (set->count == set->max) {
        set_grow(set);
    }
    slot = slot_of(set, world);
    if (set->table[slot] == 0) {
        set->worlds[set->count++] = *world;
        set->table[slot] = (uint32_t)set->count;
    }
}

/* ----------------------------------------------------------------------- invariants */

/* What is charged, and was not served on credit, is owed or being served. */
static bool may_still_be_had(struct x402_state state)
{
    return state.delivery == X402_DELIVERY_OWED ||
           state.delivery == X402_DELIVERY_PENDING;
}

static const char *violation_of(const struct world *world)
{
    const struct x402_state state = world->row.state;

    if (world->deliveries > 1 + world->owed_by_loss) {
        return "delivered twice";
    }
    if (world->transfers > 1) {
        return "charged twice";
    }
    if (world->transfers > 0 && world->promised) {
        return "charged whom it promised not to";
    }
    if (world->transfers > world->deliveries &&
        (!world->row.exists || world->on_credit || !may_still_be_had(state))) {
        return "charged and not delivered";
    }
    if (world->row.exists && state.money == X402_MONEY_FINAL && world->transfers == 0) {
        return "final, and the money did not move";
    }
    if (world->row.exists && state.money == X402_MONEY_RELEASED &&
        world->transfers > 0) {
        return "released, and the money moved";
    }
    if (world->row.exists && state.money == X402_MONEY_FAILED && world->transfers > 0) {
        return "called failed, and the money moved";
    }
    if (world->row.exists && state.delivery == X402_DELIVERY_DELIVERED &&
        world->deliveries == 0) {
        return "called delivered, and was not";
    }
    return NULL;
}

/* Worlds that differ only in what can matter no more are one. */
static void forget(struct world *world)
{
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        if (world->attempts[i].progress == OVER) {
            world->attempts[i].worker = 0;
        }
    }
    for (unsigned lease = 0; lease < LEASES; lease++) {
        const bool is_current = world->life[lease / LIVES] == lease % LIVES;
        const bool is_row = world->row.exists &&
                            world->row.state.delivery == X402_DELIVERY_PENDING &&
                            world->row.lease == lease;
        if (!is_row && !is_current && lease % LIVES < world->life[lease / LIVES]) {
            world->lease_gone[lease] = true;
        }
    }
    if (!world->row.exists) {
        memset(&world->row, 0, sizeof(world->row));
    } else if (world->row.state.delivery != X402_DELIVERY_PENDING) {
        world->row.lease = 0;
    }
}

/* A step was taken: a world to look at, and to go on from. */
static void reach(struct explorer *explorer, struct world *after)
{
    const char *violation = violation_of(after);

    explorer->steps++;
    if (violation != NULL && explorer->violation == NULL) {
        explorer->violation = violation;
    }
    forget(after);
    set_add(&explorer->seen, after);
}

/* ---------------------------------------------------------------------- the workers */

static uint8_t lease_of(const struct world *world, unsigned worker)
{
    return (uint8_t)(worker * LIVES + world->life[worker]);
}

static bool lease_alive(const struct world *world, uint16_t lease)
{
    return !world->lease_gone[lease];
}

static uint8_t owes_by_loss(const struct world *world)
{
    return world->row.exists && world->row.state.delivery == X402_DELIVERY_PENDING &&
           world->row.state.money != X402_MONEY_HELD &&
           !lease_alive(world, world->row.lease);
}

/* A worker whose lease was cleared takes another, while there is one. */
static bool lease_hold(const struct explorer *explorer, struct world *world,
                       unsigned worker)
{
    if (!lease_alive(world, lease_of(world, worker))) {
        world->life[worker]++;
    }
    return world->life[worker] < explorer->bounds.lives;
}

/* Serving begins: on credit of what did not fail, or paid for. */
static void serving_check(struct explorer *explorer, const struct world *before,
                          const struct world *after)
{
    const enum x402_money money = after->row.state.money;
    const char *violation = NULL;

    if (before->row.exists && before->row.state.money == X402_MONEY_FAILED) {
        violation = "serves what failed";
    } else if (money != X402_MONEY_HELD && money != X402_MONEY_SETTLED &&
               money != X402_MONEY_FINAL) {
        violation = "serves what is not settled";
    } else if (money != X402_MONEY_HELD && after->transfers == 0 &&
               !after->reorganized) {
        violation = "serves what was never paid";
    }
    if (violation != NULL && explorer->violation == NULL) {
        explorer->violation = violation;
    }
}

static enum x402_admission admit(struct explorer *explorer, const struct world *before,
                                 struct world *after, unsigned which, bool first)
{
    const struct model_presentation presentation = {
        .attempt = (uint16_t)which,
        .lease = lease_of(after, after->attempts[which].worker),
        .first = first,
        .late = before->expired,
        .same = true,
    };
    enum x402_admission admission;

    after->owed_by_loss += owes_by_loss(before);
    admission = model_present(explorer->rules, &after->row, &presentation,
                              lease_alive(before, before->row.lease));
    if (admission == X402_ADMISSION_NEW) {
        serving_check(explorer, before, after);
        after->on_credit = after->row.state.money == X402_MONEY_HELD;
    } else if (admission == X402_ADMISSION_SETTLING) {
        after->on_credit = false;
    }
    return admission;
}

static enum progress progress_after(enum x402_admission admission)
{
    return admission == X402_ADMISSION_NEW        ? SERVING
           : admission == X402_ADMISSION_SETTLING ? WAITING
                                                  : OVER;
}

/*
 * Admission. The commit is known to have happened; or happened and was reported as
 * failed; or did not happen.
 */
static void present(struct explorer *explorer, const struct world *before,
                    unsigned which, unsigned worker, bool first)
{
    for (int learnt = 0; learnt < 3; learnt++) {
        struct world after = *before;
        struct attempt *attempt = &after.attempts[which];

        if (!lease_hold(explorer, &after, worker)) {
            return;
        }
        attempt->worker = (uint8_t)worker;
        attempt->progress = DENIED;
        if (learnt < 2) {
            enum x402_admission admission =
                admit(explorer, before, &after, which, first);
            if (learnt == 0) {
                after.promised |= admission == X402_ADMISSION_ABANDONED;
                attempt->progress = (uint8_t)progress_after(admission);
            }
        }
        reach(explorer, &after);
    }
}

static void present_each_way(struct explorer *explorer, const struct world *before,
                             unsigned which, unsigned worker)
{
    if (explorer->bounds.credit != CREDIT_NOBODY) {
        present(explorer, before, which, worker, false);
    }
    if (explorer->bounds.credit != CREDIT_ALL) {
        present(explorer, before, which, worker, true);
    }
}

/* A look: once it is settled the waiting worker presents it again; else the caller is
 * told that it failed, or does not wait any longer. */
static void look(struct explorer *explorer, const struct world *before, unsigned which)
{
    const struct x402_state state = before->row.state;
    struct world after = *before;

    if (before->row.exists &&
        (state.money == X402_MONEY_SETTLED || state.money == X402_MONEY_FINAL)) {
        present_each_way(explorer, before, which, before->attempts[which].worker);
    }
    after.attempts[which].progress = OVER;
    reach(explorer, &after);
}

static void serve(struct explorer *explorer, const struct world *before, unsigned which)
{
    struct world after = *before;

    after.attempts[which].progress = DELIVERED;
    after.deliveries++;
    reach(explorer, &after);
    after = *before;
    after.attempts[which].progress = FAILED;
    reach(explorer, &after);
}

/* The outcome reaches the ledger; the worker hears of it, or tells it once more. */
static void tell(struct explorer *explorer, const struct world *before, unsigned which)
{
    for (int heard = 0; heard < 2; heard++) {
        struct world after = *before;
        (void)model_outcome(explorer->rules, &after.row, (uint16_t)which,
                            before->attempts[which].progress == DELIVERED
                                ? X402_EVENT_DELIVERED
                                : X402_EVENT_VOID);
        if (heard) {
            after.attempts[which].progress = OVER;
        }
        reach(explorer, &after);
    }
}

static void crash(struct explorer *explorer, const struct world *before,
                  unsigned worker)
{
    struct world after = *before;

    for (int i = 0; i < ATTEMPTS; i++) {
        struct attempt *attempt = &after.attempts[i];
        if (attempt->worker == worker && attempt->progress >= WAITING &&
            attempt->progress <= DENIED) {
            attempt->progress = OVER;
        }
    }
    after.life[worker]++;
    reach(explorer, &after);
}

static void workers_step(struct explorer *explorer, const struct world *before)
{
    for (unsigned i = 0; i < explorer->bounds.attempts; i++) {
        const enum progress progress = before->attempts[i].progress;
        /* One after another by name only: they are alike. */
        if (progress == ABSENT &&
            (i == 0 || before->attempts[i - 1].progress != ABSENT)) {
            for (unsigned worker = 0; worker < WORKERS; worker++) {
                present_each_way(explorer, before, i, worker);
            }
        }
        if (progress == WAITING) {
            look(explorer, before, i);
        }
        if (progress == SERVING) {
            serve(explorer, before, i);
        }
        if (progress == DELIVERED || progress == FAILED || progress == DENIED) {
            tell(explorer, before, i);
        }
    }
    for (unsigned worker = 0; worker < WORKERS; worker++) {
        if (before->life[worker] + 1u < explorer->bounds.lives) {
            crash(explorer, before, worker);
        }
    }
}

/* A lease may run out at any time: its worker is dead, or stalled and wakes up later.
 */
static void leases_step(struct explorer *explorer, const struct world *before)
{
    struct world after;

    for (unsigned lease = 0; lease < LEASES; lease++) {
        if (!before->lease_gone[lease] && lease % LIVES < explorer->bounds.lives) {
            after = *before;
            after.lease_gone[lease] = true;
            reach(explorer, &after);
        }
    }
    after = *before;
    if (model_lease_lost(explorer->rules, &after.row,
                         lease_alive(before, before->row.lease))) {
        after.owed_by_loss += owes_by_loss(before);
        reach(explorer, &after);
    }
}

/* ---------------------------------------------------------- the settler and its chain
 */

static void settler_tells(struct explorer *explorer, const struct world *before,
                          enum x402_event event)
{
    struct world after = *before;

    if (!model_step(explorer->rules, &after.row, event)) {
        return;
    }
    if (event == X402_EVENT_SUBMIT) { /* stored, then sent: by whoever lives */
        after.sent++;
        after.sends++;
    }
    reach(explorer, &after);
}

/*
 * The settler reports what it sees. It may be wrong about a transaction being gone; it
 * reports failure only of what can never move, or would not now and is in no
 * transaction that could still be mined; and finality only of what did.
 */
static void settler_step(struct explorer *explorer, const struct world *before)
{
    if (before->sends < SENDS && !before->mined) {
        settler_tells(explorer, before, X402_EVENT_SUBMIT);
    }
    if (before->mined) {
        settler_tells(explorer, before, X402_EVENT_SETTLED);
        if (before->row.state.money == X402_MONEY_SETTLED) {
            settler_tells(explorer, before, X402_EVENT_FINAL);
        }
    } else {
        settler_tells(explorer, before, X402_EVENT_UNSETTLED);
        if (before->expired || (before->poor && before->sent == 0)) {
            settler_tells(explorer, before, X402_EVENT_FAILED);
        }
    }
}

/* A transaction that exists may be mined, once: the token contract sees to the nonce. A
 * block may be forgotten, until its payment is final; the transaction may come again.
 */
static void chain_step(struct explorer *explorer, const struct world *before)
{
    struct world after = *before;
    const bool is_final =
        before->row.exists && before->row.state.money == X402_MONEY_FINAL;

    if (before->sent > 0 && !before->mined && !before->expired) {
        if (before->poor) { /* it reverts, and is gone */
            after.sent--;
        } else {
            after.mined = true;
            after.transfers++;
        }
        reach(explorer, &after);
    }
    if (before->mined && !is_final) {
        after = *before;
        after.mined = false;
        after.reorganized = true;
        after.transfers--;
        reach(explorer, &after);
    }
}

/* The payer spends its money elsewhere, or comes by some. */
static void payer_step(struct explorer *explorer, const struct world *before)
{
    struct world after = *before;

    if (!before->mined) {
        after.poor = !before->poor;
        reach(explorer, &after);
    }
}

/* Time: the authorization expires, and later retention removes a row that is released,
 * or failed before it was served. */
static void time_step(struct explorer *explorer, const struct world *before)
{
    const struct x402_state state = before->row.state;
    struct world after = *before;

    if (!before->expired) {
        after.expired = true;
        reach(explorer, &after);
    } else if (before->row.exists && (state.money == X402_MONEY_RELEASED ||
                                      (state.money == X402_MONEY_FAILED &&
                                       state.delivery == X402_DELIVERY_VOID))) {
        after.row.exists = false;
        reach(explorer, &after);
    }
}

/* -------------------------------------------------------------------------- the runs
 */

/* The violation found, or NULL after all worlds were seen. */
static const char *explore(const struct model_rules *rules, struct bounds bounds,
                           const char *name)
{
    struct explorer explorer = {.rules = rules, .bounds = bounds};
    struct world first;

    memset(&first, 0, sizeof(first)); /* padding too: worlds are compared as bytes */
    set_add(&explorer.seen, &first);
    for (size_t i = 0; i < explorer.seen.count && explorer.violation == NULL; i++) {
        const struct world world = explorer.seen.worlds[i];
        workers_step(&explorer, &world);
        leases_step(&explorer, &world);
        settler_step(&explorer, &world);
        chain_step(&explorer, &world);
        payer_step(&explorer, &world);
        time_step(&explorer, &world);
    }
    printf("model %-44s %8zu states %9zu steps  %s\n", name, explorer.seen.count,
           explorer.steps, explorer.violation == NULL ? "holds" : explorer.violation);
    free(explorer.seen.worlds);
    free(explorer.seen.table);
    return explorer.violation;
}

/* ---------------------------------------------------------------- broken on purpose */

static bool is_state(struct x402_state state, enum x402_delivery delivery,
                     enum x402_money money)
{
    return state.delivery == delivery && state.money == money;
}

static bool allow(struct x402_state *out, enum x402_delivery delivery,
                  enum x402_money money)
{
    *out = (struct x402_state){delivery, money};
    return true;
}

static bool serves_the_abandoned(struct x402_state *out, struct x402_state state,
                                 enum x402_event event)
{
    if (event == X402_EVENT_PRESENT &&
        is_state(state, X402_DELIVERY_ABANDONED, X402_MONEY_RELEASED)) {
        return allow(out, X402_DELIVERY_PENDING, X402_MONEY_HELD);
    }
    return x402_state_next(out, state, event);
}

static bool serves_the_delivered(struct x402_state *out, struct x402_state state,
                                 enum x402_event event)
{
    if (event == X402_EVENT_PRESENT &&
        is_state(state, X402_DELIVERY_DELIVERED, X402_MONEY_DUE)) {
        return allow(out, X402_DELIVERY_PENDING, X402_MONEY_HELD);
    }
    return x402_state_next(out, state, event);
}

static bool charges_the_abandoned(struct x402_state *out, struct x402_state state,
                                  enum x402_event event)
{
    if (event == X402_EVENT_LEASE_LOST &&
        is_state(state, X402_DELIVERY_PENDING, X402_MONEY_HELD)) {
        return allow(out, X402_DELIVERY_ABANDONED, X402_MONEY_DUE);
    }
    if (event == X402_EVENT_SUBMIT &&
        is_state(state, X402_DELIVERY_ABANDONED, X402_MONEY_DUE)) {
        return allow(out, X402_DELIVERY_ABANDONED, X402_MONEY_SUBMITTED);
    }
    return x402_state_next(out, state, event);
}

static bool charges_the_pending(struct x402_state *out, struct x402_state state,
                                enum x402_event event)
{
    if (event == X402_EVENT_SUBMIT &&
        is_state(state, X402_DELIVERY_PENDING, X402_MONEY_HELD)) {
        return allow(out, X402_DELIVERY_PENDING, X402_MONEY_SUBMITTED);
    }
    return x402_state_next(out, state, event);
}

static bool voids_the_delivered(struct x402_state *out, struct x402_state state,
                                enum x402_event event)
{
    if (event == X402_EVENT_LEASE_LOST &&
        is_state(state, X402_DELIVERY_PENDING, X402_MONEY_HELD)) {
        return allow(out, X402_DELIVERY_VOID, X402_MONEY_RELEASED);
    }
    return x402_state_next(out, state, event);
}

static bool releases_what_settled(struct x402_state *out, struct x402_state state,
                                  enum x402_event event)
{
    if (event == X402_EVENT_VOID &&
        is_state(state, X402_DELIVERY_PENDING, X402_MONEY_SETTLED)) {
        return allow(out, X402_DELIVERY_VOID, X402_MONEY_RELEASED);
    }
    return x402_state_next(out, state, event);
}

static bool serves_the_waiting(struct x402_state *out, struct x402_state state,
                               enum x402_event event)
{
    if (event == X402_EVENT_PRESENT &&
        is_state(state, X402_DELIVERY_OWED, X402_MONEY_SUBMITTED)) {
        return allow(out, X402_DELIVERY_PENDING, X402_MONEY_SUBMITTED);
    }
    return x402_state_next(out, state, event);
}

static bool serves_the_failed(struct x402_state *out, struct x402_state state,
                              enum x402_event event)
{
    if (event == X402_EVENT_PRESENT &&
        is_state(state, X402_DELIVERY_VOID, X402_MONEY_FAILED)) {
        return allow(out, X402_DELIVERY_PENDING, X402_MONEY_HELD);
    }
    return x402_state_next(out, state, event);
}

static bool serves_two_at_once(struct x402_state *out, struct x402_state state,
                               enum x402_event event)
{
    if (event == X402_EVENT_PRESENT &&
        is_state(state, X402_DELIVERY_PENDING, X402_MONEY_SETTLED)) {
        return allow(out, X402_DELIVERY_PENDING, X402_MONEY_SETTLED);
    }
    return x402_state_next(out, state, event);
}

static bool gives_up_what_was_sent(struct x402_state *out, struct x402_state state,
                                   enum x402_event event)
{
    if (event == X402_EVENT_UNSETTLED &&
        is_state(state, X402_DELIVERY_OWED, X402_MONEY_SUBMITTED)) {
        return allow(out, X402_DELIVERY_VOID, X402_MONEY_RELEASED);
    }
    return x402_state_next(out, state, event);
}

static bool forgets_what_it_owes(struct x402_state *out, struct x402_state state,
                                 enum x402_event event)
{
    if (event == X402_EVENT_LEASE_LOST &&
        is_state(state, X402_DELIVERY_PENDING, X402_MONEY_SETTLED)) {
        return allow(out, X402_DELIVERY_VOID, X402_MONEY_SETTLED);
    }
    return x402_state_next(out, state, event);
}

static bool delivers_by_losing(struct x402_state *out, struct x402_state state,
                               enum x402_event event)
{
    if (event == X402_EVENT_LEASE_LOST &&
        is_state(state, X402_DELIVERY_PENDING, X402_MONEY_SETTLED)) {
        return allow(out, X402_DELIVERY_DELIVERED, X402_MONEY_SETTLED);
    }
    return x402_state_next(out, state, event);
}

static bool holds_what_a_block_forgot(struct x402_state *out, struct x402_state state,
                                      enum x402_event event)
{
    if (event == X402_EVENT_UNSETTLED &&
        is_state(state, X402_DELIVERY_PENDING, X402_MONEY_SETTLED)) {
        return allow(out, X402_DELIVERY_PENDING, X402_MONEY_HELD);
    }
    return x402_state_next(out, state, event);
}

static const struct {
    const char *name;
    struct model_rules rules;
    enum credit credit;
} broken[] = {
    {"serves the abandoned", {serves_the_abandoned, true, true}, CREDIT_ALL},
    {"serves the delivered", {serves_the_delivered, true, true}, CREDIT_ALL},
    {"charges the abandoned", {charges_the_abandoned, true, true}, CREDIT_ALL},
    {"charges the pending", {charges_the_pending, true, true}, CREDIT_ALL},
    {"a lost lease is a void", {voids_the_delivered, true, true}, CREDIT_ALL},
    {"outcomes of any attempt count", {x402_state_next, false, true}, CREDIT_ALL},
    {"charges whom it promised not to", {x402_state_next, true, false}, CREDIT_ALL},
    {"releases what settled", {releases_what_settled, true, true}, CREDIT_NOBODY},
    {"serves the waiting", {serves_the_waiting, true, true}, CREDIT_NOBODY},
    {"serves the failed", {serves_the_failed, true, true}, CREDIT_VARIES},
    {"serves two at once", {serves_two_at_once, true, true}, CREDIT_NOBODY},
    {"gives up what was sent", {gives_up_what_was_sent, true, true}, CREDIT_NOBODY},
    {"forgets what it owes", {forgets_what_it_owes, true, true}, CREDIT_NOBODY},
    {"delivers by losing", {delivers_by_losing, true, true}, CREDIT_NOBODY},
    {"holds what a block forgot",
     {holds_what_a_block_forgot, true, true},
     CREDIT_NOBODY},
};

static bool objects(size_t which)
{
    const struct bounds bounds = {broken[which].credit, 2, LIVES};
    char name[80];

    snprintf(name, sizeof(name), "broken: %s", broken[which].name);
    if (explore(&broken[which].rules, bounds, name) != NULL) {
        return true;
    }
    printf("model: the checker did not object to '%s'\n", broken[which].name);
    return false;
}

int main(void)
{
    static const struct {
        const char *name;
        struct bounds bounds;
    } runs[] = {
        {"served on credit, presented thrice", {CREDIT_ALL, 3, LIVES}},
        {"settled first, presented twice", {CREDIT_NOBODY, 2, LIVES}},
        {"settled first, presented thrice", {CREDIT_NOBODY, 3, 1}},
        {"now so, now so, presented twice", {CREDIT_VARIES, 2, LIVES}},
    };
    bool good = true;

    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
        good = explore(&model_rules_true, runs[i].bounds, runs[i].name) == NULL && good;
    }
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        good = objects(i) && good;
    }
    return good ? 0 : 1;
}
