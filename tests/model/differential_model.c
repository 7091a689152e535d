/*
 * The SQLite ledger against the abstract one: the same random operations on both, and
 * the same answers from both, row by row and sum by sum. Three workers with leases that
 * run out, workers that die, batches, late outcomes, closed gates, a settler,
 * retention; a clock that only this program moves.
 *
 * Usage: differential_model [seed [steps]]
 */
#include "ledger_model.h"

#include "core/clock.h"
#include "ledger/ledger.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAYMENTS 300
#define HANDLES 3
#define LEASES_MAX 4096
#define BATCH_MAX 12
#define CHAIN 8453
#define NOBODY ((unsigned)-1)

/* A payment, as the model has it. */
struct payment {
    struct model_row row;
    int64_t id; /* of the row that exists */
    uint64_t value, valid_before;
    int64_t updated_at;
    uint32_t attempts;
    uint16_t past[4]; /* attempts whose outcomes may still come, late */
};

struct lease {
    bool present;
    int64_t expires_at;
};

static struct {
    struct payment payments[PAYMENTS];
    struct lease leases[LEASES_MAX];
    uint16_t leases_count; /* the first is 1 */
    uint16_t attempts_count;
    int64_t last_id;
    uint16_t handle_leases[HANDLES];
    struct x402_count admitted;
    struct x402_count removed[X402_DELIVERY_COUNT];
} model;

static struct {
    char directory[64];
    char path[128];
    char message[X402_LEDGER_MESSAGE_MAX];
    struct x402_ledger *handles[HANDLES];
    uint64_t nonce;
    uint64_t random;
    int64_t now;
    unsigned seed, step;
    unsigned long counts[8];
} run;

int64_t x402_clock_seconds(void)
{
    return run.now;
}

int64_t x402_clock_milliseconds(void)
{
    return run.now * 1000;
}

static unsigned below(unsigned bound)
{
    run.random ^= run.random << 13;
    run.random ^= run.random >> 7;
    run.random ^= run.random << 17;
    return (unsigned)((run.random >> 20) % bound);
}

static void check_at(bool holds, const char *what, int line)
{
    if (!holds) {
        fprintf(stderr, "differential_model: seed %u, step %u, line %d: %s\n", run.seed,
                run.step, line, what);
        exit(1);
    }
}
#define CHECK(condition) check_at(condition, #condition, __LINE__)

/* --------------------------------------------------------------------------- leases */

static bool lease_alive(uint16_t lease)
{
    return model.leases[lease].present && model.leases[lease].expires_at > run.now;
}

static void lease_hold(unsigned handle, bool renew)
{
    struct lease *lease = &model.leases[model.handle_leases[handle]];

    if (model.handle_leases[handle] == 0 || !lease->present) {
        model.handle_leases[handle] = ++model.leases_count;
        CHECK(model.leases_count < LEASES_MAX);
        lease = &model.leases[model.leases_count];
        lease->present = true;
        renew = true;
    }
    if (renew ||
        lease->expires_at - run.now < X402_LEASE_SECONDS - X402_LEASE_RENEW_SECONDS) {
        lease->expires_at = run.now + X402_LEASE_SECONDS;
    }
}

static void sweep(void)
{
    for (unsigned i = 1; i <= model.leases_count; i++) {
        model.leases[i].present =
            model.leases[i].present && model.leases[i].expires_at > run.now;
    }
    for (unsigned i = 0; i < PAYMENTS; i++) {
        struct payment *payment = &model.payments[i];
        if (model_lease_lost(&model_rules_true, &payment->row,
                             model.leases[payment->row.lease].present)) {
            payment->updated_at = run.now;
        }
    }
}

static void renew(unsigned handle)
{
    CHECK(x402_ledger_lease_renew(run.handles[handle], "model") == X402_OK);
    lease_hold(handle, true);
    sweep();
}

static void release(unsigned handle)
{
    CHECK(x402_ledger_lease_release(run.handles[handle]) == X402_OK);
    model.leases[model.handle_leases[handle]].present = false;
    model.handle_leases[handle] = 0;
}

/* The process dies: its lease stays until it runs out. */
static void crash(unsigned handle)
{
    x402_ledger_close(run.handles[handle]);
    CHECK(x402_ledger_open(&run.handles[handle], run.path, X402_LEDGER_WRITE,
                           run.message) == X402_OK);
    model.handle_leases[handle] = 0;
}

/* -------------------------------------------------------------------------- batches */

static void attempt_write(uint8_t attempt16[16], uint16_t attempt)
{
    memset(attempt16, 0, 16);
    memcpy(attempt16, &attempt, sizeof(attempt));
}

static struct x402_admit presentation(unsigned which, uint16_t attempt)
{
    struct x402_admit admit = {0};

    admit.verified.chain_id = CHAIN;
    admit.credit = (struct x402_credit){false, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    memset(admit.verified.asset20, 0xa5, 20);
    admit.verified.from20[0] = (uint8_t)(which % 7);
    memcpy(admit.verified.nonce32, &which, sizeof(which));
    admit.verified.value = 1 + below(1000);
    admit.verified.valid_before_seconds =
        (uint64_t)run.now + 30 + below(below(4) == 0 ? 90000 : 300);
    attempt_write(admit.attempt16, attempt);
    return admit;
}

struct expected {
    unsigned which;
    uint16_t attempt;
    bool open; /* the gate */
};

static bool gate(struct x402_admit *admit, void *data)
{
    const struct expected *expected = admit->data;

    (void)data;
    return expected->open;
}

static void past_push(struct payment *payment, uint16_t attempt)
{
    memmove(&payment->past[1], &payment->past[0], sizeof(payment->past[0]) * 3);
    payment->past[0] = attempt;
}

/* What the model says to one presentation, and that the ledger said it too. */
static void admit_compare(const struct x402_admit *admit, uint16_t lease)
{
    const struct expected *expected = admit->data;
    struct payment *payment = &model.payments[expected->which];
    struct model_row row = payment->row;
    const bool existed = row.exists;
    enum x402_admission admission =
        model_present(&model_rules_true, &row, expected->attempt, lease,
                      lease_alive(payment->row.lease));
    uint64_t before = existed ? payment->value : 0;

    if (admission == X402_ADMISSION_NEW && !expected->open) {
        CHECK(admit->admission == X402_ADMISSION_LIMITED);
        return;
    }
    CHECK(admit->admission == admission);
    run.counts[admission]++;
    if (memcmp(&row, &payment->row, sizeof(row)) != 0) {
        payment->updated_at = run.now;
    }
    payment->row = row;
    if (admission != X402_ADMISSION_NEW) {
        return;
    }
    payment->id = existed ? payment->id : ++model.last_id;
    payment->attempts = existed ? payment->attempts + 1 : 1;
    payment->value = admit->verified.value;
    payment->valid_before = admit->verified.valid_before_seconds;
    past_push(payment, expected->attempt);
    model.admitted.count += !existed;
    model.admitted.value += payment->value - before;
    CHECK(admit->payment_id == payment->id);
}

static void outcome_make(struct x402_outcome *outcome, unsigned *which,
                         uint16_t *attempt)
{
    const struct payment *payment;

    *which = below(PAYMENTS);
    payment = &model.payments[*which];
    *attempt = payment->past[below(3) == 0 ? below(4) : 0];
    outcome->payment_id = payment->id;
    outcome->event = below(3) == 0 ? X402_EVENT_VOID : X402_EVENT_DELIVERED;
    attempt_write(outcome->attempt16, *attempt);
}

static void commit(unsigned handle)
{
    struct x402_outcome outcomes[BATCH_MAX];
    struct x402_admit admits[BATCH_MAX];
    struct expected expected[BATCH_MAX];
    unsigned whiches[BATCH_MAX];
    uint16_t attempts[BATCH_MAX];
    const unsigned outcomes_count = below(BATCH_MAX + 1);
    const unsigned admits_count = below(BATCH_MAX + 1);

    for (unsigned i = 0; i < outcomes_count; i++) {
        outcome_make(&outcomes[i], &whiches[i], &attempts[i]);
    }
    for (unsigned i = 0; i < admits_count; i++) {
        expected[i] =
            (struct expected){below(PAYMENTS), ++model.attempts_count, below(8) != 0};
        admits[i] = presentation(expected[i].which, expected[i].attempt);
        admits[i].data = &expected[i];
    }
    CHECK(x402_ledger_commit(run.handles[handle], "model", outcomes, outcomes_count,
                             admits, admits_count, gate, NULL) == X402_OK);
    if (admits_count > 0) {
        lease_hold(handle, false);
    }
    for (unsigned i = 0; i < outcomes_count; i++) {
        struct payment *payment = &model.payments[whiches[i]];
        const bool applied = model_outcome(&model_rules_true, &payment->row,
                                           attempts[i], outcomes[i].event);
        CHECK(outcomes[i].applied == applied);
        payment->updated_at = applied ? run.now : payment->updated_at;
    }
    for (unsigned i = 0; i < admits_count; i++) {
        admit_compare(&admits[i], model.handle_leases[handle]);
    }
}

/* ------------------------------------------------------------------------- settling */

static struct payment *payment_with(int64_t id)
{
    for (unsigned i = 0; i < PAYMENTS; i++) {
        if (model.payments[i].row.exists && model.payments[i].id == id) {
            return &model.payments[i];
        }
    }
    return NULL;
}

/* Applies events to copies of rows: all of them or none. */
static enum x402_error events_apply(const int64_t *ids, const enum x402_event *events,
                                    unsigned count)
{
    struct payment before[PAYMENTS];

    memcpy(before, model.payments, sizeof(before));
    for (unsigned i = 0; i < count; i++) {
        struct payment *payment = payment_with(ids[i]);
        if (payment == NULL ||
            !model_step(&model_rules_true, &payment->row, events[i])) {
            memcpy(model.payments, before, sizeof(before));
            return X402_ERR_CONFLICT;
        }
        payment->updated_at = run.now;
    }
    return X402_OK;
}

static int by_expiry(const void *a, const void *b)
{
    const struct payment *left = *(const struct payment *const *)a;
    const struct payment *right = *(const struct payment *const *)b;

    if (left->valid_before != right->valid_before) {
        return left->valid_before < right->valid_before ? -1 : 1;
    }
    return left->id < right->id ? -1 : 1;
}

/* What is due, in its order; the first few are the settler's next batch. */
static unsigned due_compare(int64_t ids[BATCH_MAX])
{
    struct x402_settlement due[PAYMENTS];
    const struct payment *expected[PAYMENTS];
    size_t count = 0;
    size_t found = 0;

    for (unsigned i = 0; i < PAYMENTS; i++) {
        if (model.payments[i].row.exists &&
            model.payments[i].row.state.money == X402_MONEY_DUE) {
            expected[count++] = &model.payments[i];
        }
    }
    qsort(expected, count, sizeof(expected[0]), by_expiry);
    CHECK(x402_ledger_due(run.handles[0], CHAIN, due, PAYMENTS, &found) == X402_OK);
    CHECK(found == count);
    for (size_t i = 0; i < count; i++) {
        CHECK(due[i].payment_id == expected[i]->id);
        CHECK(due[i].value == expected[i]->value);
        if (i < BATCH_MAX) {
            ids[i] = due[i].payment_id;
        }
    }
    return (unsigned)(count < BATCH_MAX ? count : BATCH_MAX);
}

static void submit(void)
{
    static const uint8_t raw[100] = {2};
    enum x402_event events[BATCH_MAX];
    int64_t ids[BATCH_MAX];
    unsigned count = due_compare(ids);
    struct x402_outbox outbox = {
        .chain_id = CHAIN, .nonce = run.nonce, .raw = raw, .raw_size = sizeof(raw)};
    enum x402_error expected;

    if (count == 0) {
        return;
    }
    count = 1 + below(count);
    if (below(4) == 0) { /* something else slips in, or the same twice */
        ids[below(count)] = 1 + (int64_t)below((unsigned)model.last_id);
    }
    for (unsigned i = 0; i < count; i++) {
        const struct payment *payment = payment_with(ids[i]);
        events[i] = X402_EVENT_SUBMIT;
        if (payment == NULL || payment->row.state.money == X402_MONEY_SUBMITTED) {
            events[i] = X402_EVENT_PRESENT; /* no step of anything delivered */
        }
        for (unsigned j = 0; j < i; j++) {
            events[i] = ids[i] == ids[j] ? X402_EVENT_PRESENT : events[i];
        }
    }
    expected = events_apply(ids, events, count);
    CHECK(x402_ledger_submit(run.handles[0], &outbox, ids, count) == expected);
    run.nonce += expected == X402_OK;
    run.counts[6] += expected == X402_OK;
}

static void advance(void)
{
    static const enum x402_event possible[] = {X402_EVENT_SETTLED, X402_EVENT_SETTLED,
                                               X402_EVENT_FAILED, X402_EVENT_UNSETTLED,
                                               X402_EVENT_FINAL};
    struct x402_verdict verdicts[3] = {{0}};
    const unsigned count = 1 + below(3);

    for (unsigned i = 0; i < count; i++) {
        const struct payment *payment = &model.payments[below(PAYMENTS)];
        for (unsigned tries = 0;
             tries < 50 && payment->row.state.delivery != X402_DELIVERY_DELIVERED;
             tries++) {
            payment = &model.payments[below(PAYMENTS)];
        }
        verdicts[i].payment_id = payment->row.exists ? payment->id : model.last_id + 1;
        verdicts[i].event = possible[below(5)];
    }
    CHECK(x402_ledger_advance(run.handles[0], verdicts, count) == X402_OK);
    for (unsigned i = 0; i < count; i++) {
        bool applied =
            events_apply(&verdicts[i].payment_id, &verdicts[i].event, 1) == X402_OK;
        CHECK(verdicts[i].applied == applied);
        run.counts[7] += applied;
    }
}

static void tidy(void)
{
    CHECK(x402_ledger_tidy(run.handles[1]) == X402_OK);
    sweep();
    for (unsigned i = 0; i < PAYMENTS; i++) {
        struct payment *payment = &model.payments[i];
        if (payment->row.exists && payment->row.state.money == X402_MONEY_RELEASED &&
            (int64_t)payment->valid_before < run.now &&
            payment->updated_at < run.now - X402_RETENTION_SECONDS &&
            payment->id < model.last_id) {
            model.removed[payment->row.state.delivery].count++;
            model.removed[payment->row.state.delivery].value += payment->value;
            payment->row.exists = false;
        }
    }
}

/* ------------------------------------------------------------------------ comparing */

static bool row_compare(const struct x402_payment_row *row, void *data)
{
    const struct payment *payment = payment_with(row->settlement.payment_id);
    size_t *count = data;

    CHECK(payment != NULL);
    CHECK(row->settlement.state.delivery == payment->row.state.delivery);
    CHECK(row->settlement.state.money == payment->row.state.money);
    CHECK(row->settlement.value == payment->value);
    CHECK(row->settlement.valid_before_seconds == payment->valid_before);
    CHECK(row->attempts == payment->attempts);
    CHECK(row->updated_at_seconds == payment->updated_at);
    (*count)++;
    return true;
}

static void totals_compare(void)
{
    struct x402_totals totals;
    struct x402_count deliveries[X402_DELIVERY_COUNT];
    size_t count = 0;

    memcpy(deliveries, model.removed, sizeof(deliveries));
    for (unsigned i = 0; i < PAYMENTS; i++) {
        const struct payment *payment = &model.payments[i];
        if (payment->row.exists) {
            deliveries[payment->row.state.delivery].count++;
            deliveries[payment->row.state.delivery].value += payment->value;
        }
    }
    CHECK(x402_ledger_totals(run.handles[2], &totals, 1, &count) == X402_OK);
    CHECK(count == (model.admitted.count > 0));
    if (count == 1) {
        CHECK(memcmp(&totals.admitted, &model.admitted, sizeof(model.admitted)) == 0);
        CHECK(memcmp(totals.deliveries, deliveries, sizeof(deliveries)) == 0);
    }
}

static void compare(void)
{
    const struct x402_payment_filter all = {.follow = true, .limit = 100000};
    size_t rows = 0;
    size_t expected = 0;
    bool balances;

    for (unsigned i = 0; i < PAYMENTS; i++) {
        expected += model.payments[i].row.exists;
    }
    CHECK(x402_ledger_payments(run.handles[0], &all, row_compare, &rows) == X402_OK);
    CHECK(rows == expected);
    totals_compare();
    balances = x402_ledger_books(run.handles[0], run.message) == X402_OK;
    if (!balances) {
        fprintf(stderr, "differential_model: %s\n", run.message);
    }
    CHECK(balances);
}

/* -------------------------------------------------------------------------- the run */

static void setup(unsigned seed)
{
    memset(&model, 0, sizeof(model));
    memset(&run, 0, sizeof(run));
    run.seed = seed;
    run.random = 0x9e3779b97f4a7c15u * (seed + 1);
    run.now = 1800000000;
    snprintf(run.directory, sizeof(run.directory), "/tmp/x402-model-XXXXXX");
    CHECK(mkdtemp(run.directory) != NULL);
    snprintf(run.path, sizeof(run.path), "%s/ledger.db", run.directory);
    CHECK(x402_ledger_create(run.path, NOBODY, NOBODY, run.message) == X402_OK);
    for (unsigned i = 0; i < HANDLES; i++) {
        CHECK(x402_ledger_open(&run.handles[i], run.path, X402_LEDGER_WRITE,
                               run.message) == X402_OK);
    }
}

static void teardown(void)
{
    DIR *directory = opendir(run.directory);
    const struct dirent *entry;

    for (unsigned i = 0; i < HANDLES; i++) {
        x402_ledger_close(run.handles[i]);
    }
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        (void)unlinkat(dirfd(directory), entry->d_name, 0);
    }
    (void)closedir(directory);
    (void)rmdir(run.directory);
}

static void step(void)
{
    const unsigned handle = below(HANDLES);

    switch (below(24)) {
    case 0:
        renew(handle);
        break;
    case 1:
        release(handle);
        break;
    case 2:
        crash(handle);
        break;
    case 3:
        tidy();
        break;
    case 4:
        run.now += X402_LEASE_SECONDS + below(20);
        break;
    case 5:
        run.now += below(10) == 0 ? X402_RETENTION_SECONDS + 1 : 3;
        break;
    case 6:
    case 7:
    case 8:
        submit();
        break;
    case 9:
    case 10:
    case 11:
    case 12:
        advance();
        break;
    default:
        run.now += below(3);
        commit(handle);
        break;
    }
}

static void walk(unsigned seed, unsigned steps)
{
    setup(seed);
    for (run.step = 1; run.step <= steps; run.step++) {
        step();
        if (run.step % 50 == 0 || run.step == steps) {
            compare();
        }
    }
    printf(
        "model sqlite = abstract, seed %-10u %6u steps: %lu new, %lu repeated, %lu in "
        "progress, %lu abandoned, %lu submissions, %lu verdicts\n",
        seed, steps, run.counts[0], run.counts[1], run.counts[2], run.counts[3],
        run.counts[6], run.counts[7]);
    teardown();
}

int main(int argc, char **argv)
{
    const unsigned steps = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2000;

    if (argc > 1) {
        walk((unsigned)strtoul(argv[1], NULL, 10), steps);
        return 0;
    }
    for (unsigned seed = 1; seed <= 3; seed++) {
        walk(seed, steps);
    }
    return 0;
}
