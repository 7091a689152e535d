/*
 * Every interleaving, within bounds, of callers that present a payment, workers that
 * serve it and die, leases that run out, commits whose outcome nobody learns, and a
 * settler with its chain. Looked for in each state:
 *
 *   a payment is delivered at most once;
 *   it is charged at most once, and only when it was delivered (or settled first);
 *   money the ledger calls final did move, and what it released did not;
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
#ifndef ATTEMPTS
#define ATTEMPTS 3 /* presentations of the payment */
#endif
#ifndef LIVES
#define LIVES                                                                          \
    2 /* leases of each worker: after a crash, or after it stalled; 3 holds too */
#endif
#define LEASES (WORKERS * LIVES)
#define SENDS 2 /* transactions the settler may make */

/* What a worker knows of a presentation. */
enum progress {
    ABSENT,    /* not presented yet */
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
    uint8_t expired;            /* the authorization: not presented, not mined */
    uint8_t settled_first;
    uint8_t promised;     /* a caller was told that it will not be charged */
    uint8_t owed_by_loss; /* leases lost while it was settled and being served */
};

/* ---------------------------------------------------------------------- exploration */

struct set {
    struct world *worlds;
    size_t count, max;
    uint32_t *table; /* index + 1; 0: free */
    size_t table_size;
};

struct explorer {
    const struct model_rules *rules;
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
    if (world->transfers > world->deliveries && !world->settled_first) {
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
    return world->settled_first && world->row.state.delivery == X402_DELIVERY_PENDING &&
           !lease_alive(world, world->row.lease);
}

/* A worker whose lease was cleared takes another, while there is one. */
static bool lease_hold(struct world *world, unsigned worker)
{
    if (!lease_alive(world, lease_of(world, worker))) {
        world->life[worker]++;
    }
    return world->life[worker] < LIVES;
}

/*
 * Admission. The commit is known to have happened; or happened and was reported as
 * failed; or did not happen.
 */
static void present(struct explorer *explorer, const struct world *before,
                    unsigned which, unsigned worker)
{
    for (int learnt = 0; learnt < 3; learnt++) {
        struct world after = *before;
        struct attempt *attempt = &after.attempts[which];
        enum x402_admission admission = X402_ADMISSION_UNAVAILABLE;

        if (!lease_hold(&after, worker)) {
            return;
        }
        attempt->worker = (uint8_t)worker;
        if (learnt < 2) {
            after.owed_by_loss += owes_by_loss(before);
            admission = model_present(explorer->rules, &after.row, (uint16_t)which,
                                      lease_of(&after, worker),
                                      lease_alive(before, before->row.lease));
        }
        if (learnt == 0) {
            after.promised |= admission == X402_ADMISSION_ABANDONED;
            attempt->progress = admission == X402_ADMISSION_NEW ? SERVING : OVER;
        } else {
            attempt->progress = DENIED;
        }
        reach(explorer, &after);
    }
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
        if (attempt->worker == worker && attempt->progress >= SERVING &&
            attempt->progress <= DENIED) {
            attempt->progress = OVER;
        }
    }
    after.life[worker]++;
    reach(explorer, &after);
}

static void workers_step(struct explorer *explorer, const struct world *before)
{
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        const enum progress progress = before->attempts[i].progress;
        /* One after another by name only: they are alike. */
        if (progress == ABSENT && !before->expired &&
            (i == 0 || before->attempts[i - 1].progress != ABSENT)) {
            for (unsigned worker = 0; worker < WORKERS; worker++) {
                present(explorer, before, i, worker);
            }
        }
        if (progress == SERVING) {
            serve(explorer, before, i);
        }
        if (progress == DELIVERED || progress == FAILED || progress == DENIED) {
            tell(explorer, before, i);
        }
    }
    for (unsigned worker = 0; worker < WORKERS; worker++) {
        if (before->life[worker] + 1 < LIVES) {
            crash(explorer, before, worker);
        }
    }
}

/* A lease may run out at any time: its worker is dead, or stalled and wakes up later.
 */
static void leases_step(struct explorer *explorer, const struct world *before)
{
    struct world after;

    for (int lease = 0; lease < LEASES; lease++) {
        if (!before->lease_gone[lease]) {
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
 * reports failure only of what can never move, and finality only of what did.
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
        if (before->expired) {
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
        after.mined = true;
        after.transfers++;
        reach(explorer, &after);
    }
    if (before->mined && !is_final && !before->settled_first) {
        after = *before;
        after.mined = false;
        after.transfers--;
        reach(explorer, &after);
    }
}

/* Time: the authorization expires, and later retention removes a released row. */
static void time_step(struct explorer *explorer, const struct world *before)
{
    struct world after = *before;

    if (!before->expired) {
        after.expired = true;
        reach(explorer, &after);
    } else if (before->row.exists && before->row.state.money == X402_MONEY_RELEASED) {
        after.row.exists = false;
        reach(explorer, &after);
    }
}

/* -------------------------------------------------------------------------- the runs
 */

static struct world world_first(bool settled_first)
{
    struct world world;

    memset(&world, 0, sizeof(world)); /* padding too: worlds are compared as bytes */
    if (settled_first) { /* attempt 0 is being served at worker 0, and is paid for */
        world.row.exists = true;
        world.row.state.delivery = X402_DELIVERY_PENDING;
        world.row.state.money = X402_MONEY_SETTLED;
        world.attempts[0].progress = SERVING;
        world.settled_first = true;
        world.transfers = 1;
        world.mined = true;
    }
    return world;
}

/* The violation found, or NULL after all worlds were seen. */
static const char *explore(const struct model_rules *rules, bool settled_first,
                           const char *name)
{
    struct explorer explorer = {.rules = rules};
    struct world first = world_first(settled_first);

    set_add(&explorer.seen, &first);
    for (size_t i = 0; i < explorer.seen.count && explorer.violation == NULL; i++) {
        const struct world world = explorer.seen.worlds[i];
        workers_step(&explorer, &world);
        leases_step(&explorer, &world);
        settler_step(&explorer, &world);
        chain_step(&explorer, &world);
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

static const struct {
    const char *name;
    struct model_rules rules;
    bool settled_first;
} broken[] = {
    {"broken: serves the abandoned", {serves_the_abandoned, true, true}, false},
    {"broken: serves the delivered", {serves_the_delivered, true, true}, false},
    {"broken: charges the abandoned", {charges_the_abandoned, true, true}, false},
    {"broken: charges the pending", {charges_the_pending, true, true}, false},
    {"broken: a lost lease is a void", {voids_the_delivered, true, true}, false},
    {"broken: releases what settled", {releases_what_settled, true, true}, true},
    {"broken: outcomes of any attempt count", {x402_state_next, false, true}, false},
    {"broken: charges whom it promised not to", {x402_state_next, true, false}, false},
};

int main(void)
{
    bool good = explore(&model_rules_true, false, "served on credit") == NULL;

    good = explore(&model_rules_true, true, "settled first") == NULL && good;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        bool found =
            explore(&broken[i].rules, broken[i].settled_first, broken[i].name) != NULL;
        if (!found) {
            printf("model: the checker did not object to '%s'\n", broken[i].name);
        }
        good = good && found;
    }
    return good ? 0 : 1;
}
