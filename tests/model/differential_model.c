/*
 * The SQLite ledger against the abstract one: the same random operations on both, and
 * the same answers from both, row by row and sum by sum. Three workers with leases that
 * run out, workers that die, batches, late outcomes, closed gates, late payments, a
 * settler, balances, reorganizations, retention; a live set that is deleted, cut short,
 * full of equal tags, and left with what was rolled back; a clock that only this
 * program moves.
 *
 * A payment that is over may be forgotten: then its key begins anew, and the row that
 * was goes its way apart.
 *
 * What a payer has unsettled is added up here from the rows each time; the ledger keeps
 * sums. Both must come to the same decision about credit, and what is served on credit
 * is never beyond its bound at the time it is served.
 *
 * Usage: differential_model [seed [steps]]
 */
#include "ledger_model.h"

#include "core/clock.h"
#include "ledger/sqlite.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAYMENTS 900
#define FORGOTTEN_MAX 8000
#define ALL (PAYMENTS + FORGOTTEN_MAX)
#define PAYERS 40
#define SIGHTINGS_MAX 8
#define TRANSACTIONS_MAX 4096
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
    uint64_t block; /* where it is settled; 0 */
    uint64_t gas;   /* noted with that */
    uint32_t attempts;
    uint16_t past[4]; /* attempts whose outcomes may still come, late */
};

/* What was seen of a payer. */
struct payer {
    int64_t seen_at; /* 0: never */
    uint64_t balance, block;
    bool has_code;
    int64_t distrust_until;
};

/* A stored transaction, and which of its payments are neither final nor failed. */
struct transaction {
    int64_t id;
    int64_t ids[BATCH_MAX];
    bool open[BATCH_MAX];
    unsigned count;
};

struct lease {
    bool present;
    int64_t expires_at;
};

static struct {
    struct payment payments[ALL]; /* by key; then those whose keys began anew */
    struct lease leases[LEASES_MAX];
    uint16_t leases_count; /* the first is 1 */
    uint16_t attempts_count;
    int64_t last_id;
    uint16_t handle_leases[HANDLES];
    struct x402_count admitted;
    struct x402_count removed[X402_DELIVERY_COUNT];
    struct payer payers[PAYERS];
    struct transaction transactions[TRANSACTIONS_MAX];
    unsigned transactions_count;
    uint64_t gas_used; /* of all transactions that were not undone */
} model;

static struct {
    char directory[64];
    char path[128];
    char message[X402_LEDGER_MESSAGE_MAX];
    struct x402_ledger *handles[HANDLES];
    uint64_t nonce;
    uint64_t random;
    int64_t now;
    uint64_t block; /* of the chain */
    unsigned seed, step;
    unsigned long counts[X402_ADMISSION_UNAVAILABLE + 1];
    unsigned long submissions, verdicts, paid, forgotten, built, journaled;
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
    for (unsigned i = 0; i < ALL; i++) {
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

/* --------------------------------------------------------------------------- credit */

static struct payer *payer_of(const struct payment *payment)
{
    return &model.payers[(payment - model.payments) % PAYERS];
}

static bool is_unsettled(struct x402_state state)
{
    return state.money <= X402_MONEY_SUBMITTED;
}

static bool is_served(struct x402_state state)
{
    return state.delivery == X402_DELIVERY_PENDING ||
           state.delivery == X402_DELIVERY_DELIVERED;
}

/* Served or being served, and not settled: of a payer, or (NULL) of all. */
static uint64_t exposure(const struct payer *payer)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < ALL; i++) {
        const struct payment *payment = &model.payments[i];
        if (payment->row.exists && (payer == NULL || payer_of(payment) == payer) &&
            is_unsettled(payment->row.state) && is_served(payment->row.state)) {
            sum += payment->value;
        }
    }
    return sum;
}

/* What the payer's balance is yet to pay, or has paid since it was read. */
static uint64_t claims(const struct payer *payer)
{
    uint64_t sum = exposure(payer);

    for (unsigned i = 0; i < ALL; i++) {
        const struct payment *payment = &model.payments[i];
        const bool waits = payment->row.state.delivery == X402_DELIVERY_OWED &&
                           is_unsettled(payment->row.state);
        if (payment->row.exists && payer_of(payment) == payer &&
            (waits || payment->block > payer->block)) {
            sum += payment->value;
        }
    }
    return sum;
}

/* Never seen, or not lately; this program never sets its clock back. */
static bool is_stranger(const struct payer *payer)
{
    return payer->seen_at == 0 || run.now - payer->seen_at > X402_BALANCE_STALE_SECONDS;
}

/* What all may have unsettled: beside a stranger, half of it. */
static uint64_t total_max(const struct payer *payer, const struct x402_credit *credit)
{
    return credit->total_max != UINT64_MAX && is_stranger(payer) ? credit->total_max / 2
                                                                 : credit->total_max;
}

static bool has_credit(const struct payer *payer, const struct x402_credit *credit,
                       uint64_t value)
{
    if (credit->settle_first) {
        return false;
    }
    if (credit->payer_max == UINT64_MAX && credit->new_payer_max == UINT64_MAX &&
        credit->total_max == UINT64_MAX) {
        return true;
    }
    if (payer->has_code || run.now < payer->distrust_until ||
        exposure(payer) + value > credit->payer_max ||
        exposure(NULL) + value > total_max(payer, credit)) {
        return false;
    }
    if (is_stranger(payer) && exposure(payer) + value > credit->new_payer_max) {
        return false;
    }
    return payer->seen_at == 0 || claims(payer) + value <= payer->balance;
}

/* What was just served on credit is within its bounds. */
static void exposure_check(const struct payer *payer, const struct x402_credit *credit)
{
    CHECK(exposure(payer) <= credit->payer_max);
    CHECK(exposure(NULL) <= total_max(payer, credit));
    CHECK(!is_stranger(payer) || exposure(payer) <= credit->new_payer_max);
    if (payer->seen_at != 0 &&
        (credit->payer_max != UINT64_MAX || credit->total_max != UINT64_MAX ||
         credit->new_payer_max != UINT64_MAX)) {
        CHECK(exposure(payer) <= payer->balance);
    }
}

static uint64_t bound(uint64_t most)
{
    return below(6) == 0 ? UINT64_MAX : below((unsigned)most);
}

static struct x402_credit credit_make(void)
{
    if (below(3) == 0) {
        return (struct x402_credit){false, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    }
    return (struct x402_credit){below(6) == 0, bound(5000), bound(2000), bound(60000)};
}

/* -------------------------------------------------------------------------- batches */

static void attempt_write(uint8_t attempt16[16], uint16_t attempt)
{
    memset(attempt16, 0, 16);
    memcpy(attempt16, &attempt, sizeof(attempt));
}

static struct x402_payer payer_name(unsigned payer)
{
    struct x402_payer name = {.payer20 = {(uint8_t)payer}};

    memset(name.asset20, 0xa5, 20);
    return name;
}

static struct x402_admit presentation(unsigned which, uint16_t attempt)
{
    const struct payment *payment = &model.payments[which];
    const struct x402_payer payer = payer_name(which % PAYERS);
    struct x402_admit admit = {.credit = credit_make(), .late = below(8) == 0};

    admit.verified.chain_id = CHAIN;
    memcpy(admit.verified.asset20, payer.asset20, 20);
    memcpy(admit.verified.from20, payer.payer20, 20);
    memcpy(admit.verified.nonce32, &which, sizeof(which));
    admit.verified.value =
        payment->row.exists && below(4) != 0 ? payment->value : 1 + below(1000);
    admit.verified.valid_before_seconds =
        (uint64_t)run.now + 30 + below(below(4) == 0 ? 90000 : 300);
    snprintf(admit.route, sizeof(admit.route), "/%u", which % 5);
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

/* The row, and the sums, after a presentation that was taken. */
static void payment_take(struct payment *payment, const struct x402_admit *admit,
                         const struct model_row *row, uint16_t attempt)
{
    const bool existed = payment->row.exists;
    const bool owed = existed && payment->row.state.delivery == X402_DELIVERY_OWED;

    payment->updated_at = run.now;
    payment->attempts = existed ? payment->attempts : 0;
    if (row->state.delivery == X402_DELIVERY_PENDING) {
        payment->attempts++;
        past_push(payment, attempt);
    }
    payment->row = *row;
    if (owed) {
        return; /* as it was charged */
    }
    model.admitted.count += !existed;
    model.admitted.value += admit->verified.value - (existed ? payment->value : 0);
    payment->id = existed ? payment->id : ++model.last_id;
    payment->value = admit->verified.value;
    payment->valid_before = admit->verified.valid_before_seconds;
    if (row->state.money == X402_MONEY_HELD) {
        exposure_check(payer_of(payment), &admit->credit);
    }
}

static struct model_presentation abstract(const struct payment *payment,
                                          const struct x402_admit *admit,
                                          uint16_t attempt, uint16_t lease)
{
    return (struct model_presentation){
        .attempt = attempt,
        .lease = lease,
        .first = !has_credit(payer_of(payment), &admit->credit, admit->verified.value),
        .late = admit->late,
        .same = payment->value == admit->verified.value &&
                run.now - X402_OWED_SECONDS < (int64_t)payment->valid_before,
    };
}

static void pending_settle_lease(struct payment *payment)
{
    if (model_lease_lost(&model_rules_true, &payment->row,
                         lease_alive(payment->row.lease))) {
        payment->updated_at = run.now;
    }
}

/* Whether the ledger need not know it any more. */
static bool may_be_forgotten(const struct payment *payment)
{
    const struct x402_state state = payment->row.state;
    const bool owed =
        state.delivery == X402_DELIVERY_OWED ||
        (state.delivery == X402_DELIVERY_PENDING && state.money != X402_MONEY_HELD);

    return payment->row.exists &&
           (int64_t)payment->valid_before + (owed ? X402_OWED_SECONDS : 0) <=
               run.now - X402_LIVE_SLACK_SECONDS;
}

/* Whether nobody abandoned a call that was settled first: who knows it does. */
static bool is_untouched(const struct payment *payment)
{
    struct x402_payment_row row;

    CHECK(x402_ledger_payment(run.handles[0], &row, payment->id) == X402_OK);
    return row.settlement.state.delivery == X402_DELIVERY_PENDING;
}

/* Whether the answer shows that it is forgotten. */
static bool is_forgotten(const struct payment *payment, const struct x402_admit *admit)
{
    const enum x402_delivery delivery = payment->row.state.delivery;

    if (!may_be_forgotten(payment)) {
        return false;
    }
    switch (admit->admission) {
    case X402_ADMISSION_NEW:
    case X402_ADMISSION_SETTLING:
        return admit->payment_id != payment->id;
    case X402_ADMISSION_LIMITED:
        return delivery == X402_DELIVERY_PENDING
                   ? is_untouched(payment)
                   : delivery != X402_DELIVERY_VOID; /* of that it shows nothing */
    case X402_ADMISSION_NOT_OWED:
        return delivery == X402_DELIVERY_PENDING ? is_untouched(payment)
                                                 : delivery == X402_DELIVERY_ABANDONED;
    case X402_ADMISSION_REPEATED:
    case X402_ADMISSION_IN_PROGRESS:
    case X402_ADMISSION_ABANDONED:
    case X402_ADMISSION_UNAVAILABLE:
        break;
    }
    return false;
}

/* Its key begins anew; its row goes on elsewhere, as its payer's. */
static void set_apart(struct payment *payment)
{
    const size_t which = (size_t)(payment - model.payments);
    size_t place = PAYMENTS + (PAYERS + which % PAYERS - PAYMENTS % PAYERS) % PAYERS;

    while (place < ALL && model.payments[place].row.exists) {
        place += PAYERS;
    }
    CHECK(place < ALL);
    model.payments[place] = *payment;
    *payment = (struct payment){.row = {.exists = false}};
    run.forgotten++;
}

/* What the model says to one presentation, and that the ledger said it too. */
static void admit_compare(const struct x402_admit *admit, uint16_t lease)
{
    const struct expected *expected = admit->data;
    struct payment *payment = &model.payments[expected->which];
    struct model_presentation presented;
    enum x402_admission admission;
    struct model_row row;
    bool changed, paid, counted;

    if (is_forgotten(payment, admit)) {
        if (admit->payment_id == 0) {
            run.counts[admit->admission]++;
            CHECK(admit->admission ==
                  (admit->late ? X402_ADMISSION_NOT_OWED : X402_ADMISSION_LIMITED));
            CHECK(admit->late || !expected->open);
            return;
        }
        set_apart(payment);
    }
    pending_settle_lease(payment);
    presented = abstract(payment, admit, expected->attempt, lease);
    row = payment->row;
    paid = row.exists && row.state.delivery == X402_DELIVERY_OWED;
    counted = paid && row.attempt == MODEL_NO_ATTEMPT;
    admission = model_present(&model_rules_true, &row, &presented, true);
    changed = memcmp(&row, &payment->row, sizeof(row)) != 0;
    if (changed && !counted && !expected->open &&
        admission != X402_ADMISSION_ABANDONED) {
        CHECK(admit->admission == X402_ADMISSION_LIMITED && admit->payment_id == 0);
        return;
    }
    CHECK(admit->admission == admission);
    run.counts[admission]++;
    if (admission == X402_ADMISSION_ABANDONED) {
        payment->updated_at = changed ? run.now : payment->updated_at;
        payment->row = row;
    } else if (changed) {
        payment_take(payment, admit, &row, expected->attempt);
    }
    if (admission == X402_ADMISSION_NEW || admission == X402_ADMISSION_SETTLING) {
        CHECK(admit->payment_id == payment->id);
    }
    CHECK(admit->urgent == (admission == X402_ADMISSION_SETTLING && changed));
    CHECK(admit->settled == (admission == X402_ADMISSION_NEW && paid));
    run.paid += admit->settled;
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

/* One that nobody has presented yet, while there are any. */
static unsigned untouched(void)
{
    const unsigned first = below(PAYMENTS);

    for (unsigned i = 0; i < PAYMENTS; i++) {
        const unsigned which = (first + i) % PAYMENTS;
        if (!model.payments[which].row.exists) {
            return which;
        }
    }
    return first;
}

/* Whether what was committed last is in the journal; then all outcomes pass for
 * applied, whatever they come to. */
static bool is_journaled(unsigned handle)
{
    sqlite3_stmt *statement = NULL;
    bool is_row;

    CHECK(sqlite3_prepare_v2(x402_sqlite_of(run.handles[handle])->db,
                             "SELECT 1 FROM journal", -1, &statement,
                             NULL) == SQLITE_OK);
    is_row = sqlite3_step(statement) == SQLITE_ROW;
    (void)sqlite3_finalize(statement);
    run.journaled += is_row;
    return is_row;
}

static void commit(unsigned handle)
{
    struct x402_outcome outcomes[BATCH_MAX];
    struct x402_admit admits[BATCH_MAX];
    struct expected expected[BATCH_MAX];
    unsigned whiches[BATCH_MAX];
    uint16_t attempts[BATCH_MAX];
    const unsigned outcomes_count = below(BATCH_MAX + 1);
    const bool plain = below(3) == 0; /* as the journal takes it */
    const unsigned admits_count = plain ? 1 + below(3) : below(BATCH_MAX + 1);
    bool journaled;

    for (unsigned i = 0; i < outcomes_count; i++) {
        outcome_make(&outcomes[i], &whiches[i], &attempts[i]);
    }
    for (unsigned i = 0; i < admits_count; i++) {
        expected[i] = (struct expected){plain ? untouched() : below(PAYMENTS),
                                        ++model.attempts_count, below(8) != 0};
        admits[i] = presentation(expected[i].which, expected[i].attempt);
        if (plain && below(2) == 0) {
            admits[i].credit =
                (struct x402_credit){false, UINT64_MAX, UINT64_MAX, UINT64_MAX};
        }
        admits[i].data = &expected[i];
    }
    CHECK(x402_ledger_commit(run.handles[handle], "model", outcomes, outcomes_count,
                             admits, admits_count, gate, NULL) == X402_OK);
    if (admits_count > 0) {
        lease_hold(handle, false);
    }
    journaled = is_journaled(handle);
    for (unsigned i = 0; i < outcomes_count; i++) {
        struct payment *payment = &model.payments[whiches[i]];
        const bool applied = model_outcome(&model_rules_true, &payment->row,
                                           attempts[i], outcomes[i].event);
        CHECK(outcomes[i].applied == applied || (outcomes[i].applied && journaled));
        payment->updated_at = applied ? run.now : payment->updated_at;
    }
    for (unsigned i = 0; i < admits_count; i++) {
        admit_compare(&admits[i], model.handle_leases[handle]);
    }
}

/* ------------------------------------------------------------------- the live set */

static int refuse(void *data)
{
    (void)data;
    return 1;
}

/* A commit that is rolled back at its last moment; what it put stays in the set, until
 * somebody begins. */
static void commit_fails(unsigned handle)
{
    sqlite3 *db = x402_sqlite_of(run.handles[handle])->db;
    struct x402_admit admits[BATCH_MAX];
    const unsigned count = 1 + below(BATCH_MAX);

    for (unsigned i = 0; i < count; i++) {
        admits[i] = presentation(below(PAYMENTS), MODEL_NO_ATTEMPT);
    }
    (void)sqlite3_commit_hook(db, refuse, NULL);
    CHECK(x402_ledger_commit(run.handles[handle], "model", NULL, 0, admits, count, NULL,
                             NULL) == X402_ERR_LEDGER);
    (void)sqlite3_commit_hook(db, NULL, NULL);
}

static void set_damage(void)
{
    char name[160];

    snprintf(name, sizeof(name), "%s-live", run.path);
    if (below(2) == 0) {
        (void)unlink(name);
    } else {
        (void)truncate(name, (off_t)below(110000));
    }
    run.built++;
}

/* ------------------------------------------------------------------------- settling */

static struct payment *payment_with(int64_t id)
{
    for (unsigned i = 0; i < ALL; i++) {
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
    static struct payment before[ALL];

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

static bool has_expired(const struct payment *payment)
{
    return (int64_t)payment->valid_before <= run.now;
}

/* What somebody waits for first; then what has not expired; then by expiry. */
static int by_urgency(const void *a, const void *b)
{
    const struct payment *left = *(const struct payment *const *)a;
    const struct payment *right = *(const struct payment *const *)b;
    const bool left_owed = left->row.state.delivery == X402_DELIVERY_OWED;
    const bool right_owed = right->row.state.delivery == X402_DELIVERY_OWED;

    if (left_owed != right_owed) {
        return left_owed ? -1 : 1;
    }
    if (has_expired(left) != has_expired(right)) {
        return has_expired(right) ? -1 : 1;
    }
    if (left->valid_before != right->valid_before) {
        return left->valid_before < right->valid_before ? -1 : 1;
    }
    return left->id < right->id ? -1 : 1;
}

/* What is due, in its order; the first few are the settler's next batch. */
static unsigned due_compare(int64_t ids[BATCH_MAX])
{
    static struct x402_settlement due[ALL];
    static const struct payment *expected[ALL];
    size_t count = 0;
    size_t found = 0;

    for (unsigned i = 0; i < ALL; i++) {
        if (model.payments[i].row.exists &&
            model.payments[i].row.state.money == X402_MONEY_DUE) {
            expected[count++] = &model.payments[i];
        }
    }
    qsort(expected, count, sizeof(expected[0]), by_urgency);
    CHECK(x402_ledger_due(run.handles[0], CHAIN, due, ALL, &found) == X402_OK);
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

static void transaction_add(const struct x402_outbox *outbox, const int64_t *ids,
                            unsigned count)
{
    struct transaction *transaction = &model.transactions[model.transactions_count++];

    CHECK(model.transactions_count <= TRANSACTIONS_MAX);
    transaction->id = outbox->transaction_id;
    transaction->count = count;
    for (unsigned i = 0; i < count; i++) {
        transaction->ids[i] = ids[i];
        transaction->open[i] = true;
    }
}

static void transactions_close(int64_t payment_id)
{
    for (unsigned i = 0; i < model.transactions_count; i++) {
        for (unsigned j = 0; j < model.transactions[i].count; j++) {
            if (model.transactions[i].ids[j] == payment_id) {
                model.transactions[i].open[j] = false;
            }
        }
    }
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
    if (expected == X402_OK) {
        transaction_add(&outbox, ids, count);
        run.nonce++;
        run.submissions++;
    }
}

/* One verdict on the model; whether it was a step. */
static bool verdict_apply(const struct x402_verdict *verdict)
{
    struct payment *payment = payment_with(verdict->payment_id);
    const bool served = payment != NULL && is_served(payment->row.state);
    const bool settled = payment != NULL && payment->block != 0;

    if (events_apply(&verdict->payment_id, &verdict->event, 1) != X402_OK) {
        return false;
    }
    model.gas_used += verdict->gas_used;
    if (verdict->event == X402_EVENT_SETTLED) {
        payment->block = verdict->block_number;
        payment->gas = verdict->gas_used;
    } else if (verdict->event == X402_EVENT_UNSETTLED && settled) {
        model.gas_used -= payment->gas;
        payment->block = 0;
    } else if (verdict->event == X402_EVENT_FAILED && served && verdict->payers_fault) {
        payer_of(payment)->distrust_until = run.now + X402_DISTRUST_SECONDS;
    }
    if (verdict->event == X402_EVENT_FAILED || verdict->event == X402_EVENT_FINAL) {
        transactions_close(payment->id);
    }
    return true;
}

static struct x402_verdict verdict_make(void)
{
    static const enum x402_event possible[] = {
        X402_EVENT_SETTLED, X402_EVENT_SETTLED, X402_EVENT_SETTLED,
        X402_EVENT_SETTLED, X402_EVENT_SETTLED, X402_EVENT_SETTLED,
        X402_EVENT_FAILED,  X402_EVENT_FINAL,   X402_EVENT_UNSETTLED};
    const struct payment *payment = &model.payments[below(ALL)];

    for (unsigned tries = 0;
         tries < 50 && (payment->row.state.money == 0 || payment->row.state.money > 3);
         tries++) {
        payment = &model.payments[below(below(2) == 0 ? PAYMENTS : ALL)];
    }
    return (struct x402_verdict){
        .payment_id = payment->row.exists ? payment->id : model.last_id + 1,
        .event = possible[below(9)],
        .hash32 = {(uint8_t)payment->id, (uint8_t)(payment->id >> 8),
                   (uint8_t)(payment->id >> 16)},
        .block_number = run.block - below(6),
        .gas_used = below(100),
        .reason = "the model says so",
        .payers_fault = below(2) == 0,
    };
}

static void advance(void)
{
    struct x402_verdict verdicts[BATCH_MAX];
    const unsigned count = 1 + below(BATCH_MAX);

    run.block += below(3);
    for (unsigned i = 0; i < count; i++) {
        verdicts[i] = verdict_make();
    }
    CHECK(x402_ledger_advance(run.handles[0], verdicts, count) == X402_OK);
    for (unsigned i = 0; i < count; i++) {
        const bool applied = verdict_apply(&verdicts[i]);
        CHECK(verdicts[i].applied == applied);
        run.verdicts += applied;
    }
}

/* ------------------------------------------------------------------------- balances */

static bool has_payments(const struct payer *payer)
{
    for (unsigned i = 0; i < ALL; i++) {
        if (model.payments[i].row.exists && payer_of(&model.payments[i]) == payer) {
            return true;
        }
    }
    return false;
}

/* Whether a payment is final in a block above. */
static bool is_outdated(uint64_t block)
{
    for (unsigned i = 0; i < ALL; i++) {
        if (model.payments[i].row.exists && model.payments[i].block > block &&
            model.payments[i].row.state.money == X402_MONEY_FINAL) {
            return true;
        }
    }
    return false;
}

static void sighting_apply(const struct x402_sighting *sighting)
{
    struct payer *payer = &model.payers[sighting->payer.payer20[0]];

    if (!has_payments(payer)) {
        return;
    }
    if (sighting->refused) {
        payer->distrust_until = run.now + X402_DISTRUST_SECONDS;
    }
    if (sighting->looked && !is_outdated(sighting->block_number)) {
        payer->seen_at = run.now;
        payer->balance = sighting->balance;
        payer->block = sighting->block_number;
        payer->has_code = sighting->has_code;
    }
}

static void see(void)
{
    struct x402_sighting sightings[SIGHTINGS_MAX];
    const unsigned count = 1 + below(SIGHTINGS_MAX);

    for (unsigned i = 0; i < count; i++) {
        sightings[i] = (struct x402_sighting){
            .payer = payer_name(below(PAYERS)),
            .looked = below(8) != 0,
            .balance = below(5000),
            .block_number = run.block - below(6),
            .has_code = below(12) == 0,
            .refused = below(40) == 0,
        };
    }
    CHECK(x402_ledger_payers_seen(run.handles[0], CHAIN, sightings, count) == X402_OK);
    for (unsigned i = 0; i < count; i++) {
        sighting_apply(&sightings[i]);
    }
}

/* Whoever has something unsettled, and was not seen for a while, is wanted; and nobody
 * who was seen just now. */
static void wanted_compare(void)
{
    struct x402_payer wanted[PAYERS];
    bool is_wanted[PAYERS] = {false};
    size_t count = 0;

    CHECK(x402_ledger_payers_wanted(run.handles[0], CHAIN, wanted, PAYERS, &count) ==
          X402_OK);
    for (size_t i = 0; i < count; i++) {
        CHECK(wanted[i].payer20[0] < PAYERS && !is_wanted[wanted[i].payer20[0]]);
        is_wanted[wanted[i].payer20[0]] = true;
    }
    for (unsigned i = 0; i < PAYERS; i++) {
        const struct payer *payer = &model.payers[i];
        const bool old =
            payer->seen_at == 0 || payer->seen_at + X402_BALANCE_SECONDS <= run.now;
        CHECK(!is_wanted[i] || (old && has_payments(payer)));
        CHECK(is_wanted[i] || !old || exposure(payer) == 0);
    }
}

static void tidy(void)
{
    CHECK(x402_ledger_tidy(run.handles[1]) == X402_OK);
    sweep();
    for (unsigned i = 0; i < ALL; i++) {
        struct payment *payment = &model.payments[i];
        const struct x402_state state = payment->row.state;
        const bool over =
            state.money == X402_MONEY_RELEASED ||
            (state.money == X402_MONEY_FAILED && state.delivery == X402_DELIVERY_VOID);
        if (payment->row.exists && over && (int64_t)payment->valid_before < run.now &&
            payment->updated_at < run.now - X402_RETENTION_SECONDS &&
            payment->id < model.last_id) {
            model.removed[payment->row.state.delivery].count++;
            model.removed[payment->row.state.delivery].value += payment->value;
            payment->row = (struct model_row){.exists = false};
            if (!has_payments(payer_of(payment))) {
                *payer_of(payment) = (struct payer){0};
            }
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
    for (unsigned i = 0; i < ALL; i++) {
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

static bool earning_add(const struct x402_earning *earning, void *data)
{
    struct x402_earning *sum = data;

    sum->settled.count += earning->settled.count;
    sum->settled.value += earning->settled.value;
    sum->failed.count += earning->failed.count;
    sum->failed.value += earning->failed.value;
    sum->gas_used += earning->gas_used;
    return true;
}

static void earnings_compare(void)
{
    struct x402_earning said = {.day = 0}, rows = {.day = 0};

    for (unsigned i = 0; i < ALL; i++) {
        const struct payment *payment = &model.payments[i];
        const bool settled = payment->row.exists && payment->block != 0;
        const bool failed = payment->row.exists &&
                            payment->row.state.money == X402_MONEY_FAILED &&
                            payment->row.state.delivery == X402_DELIVERY_DELIVERED;
        rows.settled.count += settled;
        rows.settled.value += settled ? payment->value : 0;
        rows.failed.count += failed;
        rows.failed.value += failed ? payment->value : 0;
    }
    CHECK(x402_ledger_earnings(run.handles[1], 0, INT64_MAX, earning_add, &said) ==
          X402_OK);
    CHECK(memcmp(&said.settled, &rows.settled, sizeof(rows.settled)) == 0);
    CHECK(memcmp(&said.failed, &rows.failed, sizeof(rows.failed)) == 0);
    CHECK(said.gas_used == model.gas_used);
}

/* The transactions somebody still has to look at. */
static void transactions_compare(void)
{
    static const uint8_t signer20[20];
    struct x402_outbox outbox = {.transaction_id = 0};

    for (unsigned i = 0; i < model.transactions_count; i++) {
        const struct transaction *transaction = &model.transactions[i];
        bool open = false;
        for (unsigned j = 0; j < transaction->count; j++) {
            open = open || transaction->open[j];
        }
        if (open) {
            CHECK(x402_ledger_outbox_next(run.handles[2], &outbox, CHAIN, signer20,
                                          outbox.transaction_id) == X402_OK);
            CHECK(outbox.transaction_id == transaction->id);
        }
    }
    CHECK(x402_ledger_outbox_next(run.handles[2], &outbox, CHAIN, signer20,
                                  outbox.transaction_id) == X402_ERR_NOT_FOUND);
}

static void compare(void)
{
    const struct x402_payment_filter all = {.follow = true, .limit = 100000};
    size_t rows = 0;
    size_t expected = 0;
    bool balances;

    for (unsigned i = 0; i < ALL; i++) {
        expected += model.payments[i].row.exists;
    }
    CHECK(x402_ledger_payments(run.handles[0], &all, row_compare, &rows) == X402_OK);
    CHECK(rows == expected);
    totals_compare();
    earnings_compare();
    transactions_compare();
    wanted_compare();
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
    x402_live_bounds.tag_mask = seed % 2 == 0 ? UINT64_MAX : UINT64_MAX << 58;
    run.random = 0x9e3779b97f4a7c15u * (seed + 1);
    x402_sqlite_journal_bounds.min = 1 + below(3);
    x402_sqlite_journal_bounds.max = 3 + below(30);
    run.now = 1800000000;
    run.block = 1000;
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

    switch (below(31)) {
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
    case 13:
    case 14:
        advance();
        break;
    case 15:
    case 16:
        see();
        break;
    case 17:
        commit_fails(handle);
        break;
    case 18:
        if (below(3) == 0) {
            set_damage();
        }
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
        "model sqlite = abstract, seed %-10u %6u steps: %lu new (%lu settled first), "
        "%lu settling, %lu repeated, %lu not owed, %lu in progress, %lu abandoned, "
        "%lu submissions, %lu verdicts, %lu forgotten, %lu sets damaged, %lu batches "
        "journaled\n",
        seed, steps, run.counts[X402_ADMISSION_NEW], run.paid,
        run.counts[X402_ADMISSION_SETTLING], run.counts[X402_ADMISSION_REPEATED],
        run.counts[X402_ADMISSION_NOT_OWED], run.counts[X402_ADMISSION_IN_PROGRESS],
        run.counts[X402_ADMISSION_ABANDONED], run.submissions, run.verdicts,
        run.forgotten, run.built, run.journaled);
    teardown();
}

int main(int argc, char **argv)
{
    const unsigned steps = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2000;

    if (argc > 1) {
        walk((unsigned)strtoul(argv[1], NULL, 10), steps);
        return 0;
    }
    for (unsigned seed = 1; seed <= 4; seed++) {
        walk(seed, steps);
    }
    return 0;
}
