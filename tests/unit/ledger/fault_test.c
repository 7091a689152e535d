/*
 * Every write, sync, read and opening of files fails in its turn, once or lastingly,
 * under every call that writes. Whatever happens: the call says so, all of it or
 * nothing is in force (a sync that failed may have written), and when the cause is gone
 * the same handle goes on.
 */
#include "fixture.h"

#include "faults.h"
#include "ledger/activity.h"

static const uint8_t signer20[20] = {0x51};

struct scene {
    struct x402_admit served;  /* admitted before; the call delivers it */
    struct x402_admit offered; /* the call admits it */
    int64_t due_id;            /* the call submits, or settles it */
    struct x402_outcome outcome;
};

static const struct kind {
    enum fault fault;
    int code;
    const char *reason;
} kinds[] = {
    {FAULT_WRITE, SQLITE_FULL, "disk is full"},
    {FAULT_WRITE, SQLITE_IOERR_WRITE, ""},
    {FAULT_SYNC, SQLITE_IOERR_FSYNC, ""},
    {FAULT_READ, SQLITE_IOERR_READ, ""},
    {FAULT_OPEN, SQLITE_CANTOPEN, ""},
    {FAULT_SHM, SQLITE_IOERR_SHMMAP, ""},
    {FAULT_SHM, SQLITE_NOMEM, ""},
};
#define KINDS_COUNT (sizeof(kinds) / sizeof(kinds[0]))

static struct scene scene_make(struct x402_ledger *ledger)
{
    struct scene scene = {.served = presentation(1, 0), .offered = presentation(2, 0)};

    assert_int_equal(admit_on(ledger, &scene.served), X402_ADMISSION_NEW);
    scene.due_id = sell(ledger, 3);
    scene.outcome.payment_id = scene.served.payment_id;
    scene.outcome.event = X402_EVENT_DELIVERED;
    memcpy(scene.outcome.attempt16, scene.served.attempt16, 16);
    return scene;
}

static enum x402_error commit(struct x402_ledger *ledger, struct scene *scene)
{
    return x402_ledger_commit(ledger, "test", &scene->outcome, 1, &scene->offered, 1,
                              NULL, NULL);
}

static void assert_said(struct fixture *fixture, const struct kind *kind)
{
    const char *message = x402_ledger_message(fixture->ledger);

    if (strstr(message, "cannot ") != message ||
        strstr(message, fixture->path) == NULL ||
        strstr(message, kind->reason) == NULL) {
        fail_msg("it said '%s'", message);
    }
}

/* Files are opened anew after a failure: so there is one first. */
static void arm(struct x402_ledger *ledger, const struct kind *kind, int nth,
                bool lasting)
{
    struct x402_admit unlucky = presentation(999, 0);

    if (kind->fault == FAULT_OPEN) {
        faults_arm(FAULT_WRITE, SQLITE_IOERR_WRITE, 1, false);
        assert_int_equal(
            x402_ledger_commit(ledger, "test", NULL, 0, &unlucky, 1, NULL, NULL),
            X402_ERR_LEDGER);
    }
    faults_arm(kind->fault, kind->code, nth, lasting);
}

/* What x402_ledger_commit tells its callers to do makes everything good. */
static void commit_recovers(struct fixture *fixture, const struct kind *kind, int nth,
                            bool lasting, bool *over)
{
    struct scene scene = scene_make(fixture->ledger);
    struct x402_outcome told[2] = {scene.outcome, {.event = X402_EVENT_VOID}};
    struct x402_admit again = presentation(2, 1);
    enum x402_error error;

    arm(fixture->ledger, kind, nth, lasting);
    error = commit(fixture->ledger, &scene);
    *over = faults.hits == 0;
    if (error == X402_OK) { /* as when only a checkpoint failed */
        faults_arm(kind->fault, kind->code, 0, false);
        assert_int_equal(scene.offered.admission, X402_ADMISSION_NEW);
        assert_true(scene.outcome.applied);
    } else {
        assert_int_equal(error, X402_ERR_LEDGER);
        assert_said(fixture, kind);
        assert_int_equal(scene.offered.admission, X402_ADMISSION_UNAVAILABLE);
        assert_false(scene.outcome.applied);
        faults_arm(kind->fault, kind->code, 0, false);
        told[1].payment_id = scene.offered.payment_id;
        memcpy(told[1].attempt16, scene.offered.attempt16, 16);
        assert_int_equal(
            x402_ledger_commit(fixture->ledger, "test", told, 2, &again, 1, NULL, NULL),
            X402_OK);
        assert_int_equal(again.admission, X402_ADMISSION_NEW);
        assert_state(fixture->ledger, again.payment_id, X402_DELIVERY_PENDING,
                     X402_MONEY_HELD);
    }
    assert_state(fixture->ledger, scene.served.payment_id, X402_DELIVERY_DELIVERED,
                 X402_MONEY_DUE);
    assert_books(fixture->ledger);
    assert_int_equal(totals_of(fixture->ledger).admitted.count, 3);
}

static void submit_recovers(struct fixture *fixture, const struct kind *kind, int nth,
                            bool lasting, bool *over)
{
    struct scene scene = scene_make(fixture->ledger);
    struct x402_outbox outbox = {
        .chain_id = CHAIN, .raw = (const uint8_t *)"abc", .raw_size = 3, .nonce = 7};
    struct x402_outbox found;
    enum x402_error error;

    memcpy(outbox.signer20, signer20, 20);
    arm(fixture->ledger, kind, nth, lasting);
    error = x402_ledger_submit(fixture->ledger, &outbox, &scene.due_id, 1);
    *over = faults.hits == 0;
    faults_arm(kind->fault, kind->code, 0, false);
    if (error != X402_OK) {
        assert_said(fixture, kind);
        assert_int_equal(outbox.transaction_id, 0);
        error = x402_ledger_outbox_next(fixture->ledger, &found, CHAIN, signer20, 0);
        assert_true(error == X402_OK || error == X402_ERR_NOT_FOUND);
        assert_int_equal(x402_ledger_submit(fixture->ledger, &outbox, &scene.due_id, 1),
                         error == X402_OK ? X402_ERR_CONFLICT : X402_OK);
    }
    assert_state(fixture->ledger, scene.due_id, X402_DELIVERY_DELIVERED,
                 X402_MONEY_SUBMITTED);
    assert_books(fixture->ledger);
}

static void advance_recovers(struct fixture *fixture, const struct kind *kind, int nth,
                             bool lasting, bool *over)
{
    struct scene scene = scene_make(fixture->ledger);
    struct x402_verdict verdict = {.payment_id = scene.due_id,
                                   .event = X402_EVENT_SETTLED};
    enum x402_error error;

    arm(fixture->ledger, kind, nth, lasting);
    error = x402_ledger_advance(fixture->ledger, &verdict, 1);
    *over = faults.hits == 0;
    faults_arm(kind->fault, kind->code, 0, false);
    if (error != X402_OK) {
        assert_said(fixture, kind);
        assert_false(verdict.applied);
        assert_int_equal(x402_ledger_advance(fixture->ledger, &verdict, 1), X402_OK);
    }
    assert_state(fixture->ledger, scene.due_id, X402_DELIVERY_DELIVERED,
                 X402_MONEY_SETTLED);
    assert_books(fixture->ledger);
}

/* To be settled first; then what the chain says of its payer. */
static void waiting_recovers(struct fixture *fixture, const struct kind *kind, int nth,
                             bool lasting, bool *over)
{
    struct scene scene = scene_make(fixture->ledger);
    struct x402_admit again = presentation(2, 1);
    enum x402_error error;

    scene.offered.credit.settle_first = again.credit.settle_first = true;
    arm(fixture->ledger, kind, nth, lasting);
    error = commit(fixture->ledger, &scene);
    *over = faults.hits == 0;
    faults_arm(kind->fault, kind->code, 0, false);
    if (error == X402_OK) {
        assert_int_equal(scene.offered.admission, X402_ADMISSION_SETTLING);
        assert_true(scene.offered.urgent);
    } else {
        assert_said(fixture, kind);
        assert_int_equal(scene.offered.admission, X402_ADMISSION_UNAVAILABLE);
        assert_false(scene.offered.urgent);
    }
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_SETTLING);
    assert_state(fixture->ledger, again.payment_id, X402_DELIVERY_OWED, X402_MONEY_DUE);
    assert_int_equal(totals_of(fixture->ledger).admitted.count, 3);
    assert_books(fixture->ledger);
}

static void seeing_recovers(struct fixture *fixture, const struct kind *kind, int nth,
                            bool lasting, bool *over)
{
    struct x402_sighting sighting = {.looked = true, .balance = 5, .refused = true};
    struct x402_payer wanted;
    enum x402_error error;
    size_t count = 9;

    (void)scene_make(fixture->ledger);
    memset(sighting.payer.asset20, 0xa5, 20);
    memset(sighting.payer.payer20, 0xf0, 20);
    arm(fixture->ledger, kind, nth, lasting);
    error = x402_ledger_payers_seen(fixture->ledger, CHAIN, &sighting, 1);
    *over = faults.hits == 0;
    faults_arm(kind->fault, kind->code, 0, false);
    if (error != X402_OK) {
        assert_said(fixture, kind);
        assert_int_equal(x402_ledger_payers_seen(fixture->ledger, CHAIN, &sighting, 1),
                         X402_OK);
    }
    assert_int_equal(
        x402_ledger_payers_wanted(fixture->ledger, CHAIN, &wanted, 1, &count), X402_OK);
    assert_int_equal(count, 0);
    assert_books(fixture->ledger);
}

static void tidy_recovers(struct fixture *fixture, const struct kind *kind, int nth,
                          bool lasting, bool *over)
{
    struct scene scene = scene_make(another_handle(fixture));
    enum x402_error error;

    clock_forward(fixture, X402_LEASE_SECONDS);
    arm(fixture->ledger, kind, nth, lasting);
    error = x402_ledger_tidy(fixture->ledger);
    if (error == X402_OK) {
        error = x402_ledger_lease_renew(fixture->ledger, "test");
    }
    *over = faults.hits == 0;
    faults_arm(kind->fault, kind->code, 0, false);
    if (error != X402_OK) {
        assert_said(fixture, kind);
        assert_int_equal(x402_ledger_tidy(fixture->ledger), X402_OK);
        assert_int_equal(x402_ledger_lease_renew(fixture->ledger, "test"), X402_OK);
    }
    assert_state(fixture->ledger, scene.served.payment_id, X402_DELIVERY_ABANDONED,
                 X402_MONEY_RELEASED);
    assert_books(fixture->ledger);
    clock_forward(fixture, 0);
}

static bool offered_add(int64_t hour, const struct x402_sales *sales, void *data)
{
    (void)hour;
    *(uint64_t *)data += sales->offered;
    return true;
}

/* What a note says it failed to add may be there: all of it, and in every sum. */
static void note_recovers(struct fixture *fixture, const struct kind *kind, int nth,
                          bool lasting, bool *over)
{
    const struct x402_sales sales = {.route = "/a", .chain_id = CHAIN, .offered = 1};
    const struct x402_activity activity = {.sales = &sales, .sales_count = 1};
    uint64_t hours = 0, ever = 0;
    enum x402_error error;

    arm(fixture->ledger, kind, nth, lasting);
    error = x402_ledger_note(fixture->ledger, &activity);
    *over = faults.hits == 0;
    faults_arm(kind->fault, kind->code, 0, false);
    if (error != X402_OK) {
        assert_said(fixture, kind);
        assert_int_equal(x402_ledger_note(fixture->ledger, &activity), X402_OK);
    }
    assert_int_equal(
        x402_ledger_sales(fixture->ledger, 0, INT64_MAX, offered_add, &hours), X402_OK);
    assert_int_equal(x402_ledger_sales(fixture->ledger, X402_ACTIVITY_EVER,
                                       X402_ACTIVITY_EVER, offered_add, &ever),
                     X402_OK);
    assert_int_equal(ever, hours);
    assert_in_range(ever, 1, error == X402_OK ? 1 : 2);
}

typedef void recovery(struct fixture *fixture, const struct kind *kind, int nth,
                      bool lasting, bool *over);

/* Each operation in turn, until the call makes none that fails. */
static void every_operation(recovery *recovers)
{
    for (size_t i = 0; i < 2 * KINDS_COUNT; i++) {
        const struct kind *kind = &kinds[i / 2];
        bool over = false;
        for (int nth = 1; !over && nth < 200; nth++) {
            void *state = NULL;
            assert_int_equal(ledger_make(&state), 0);
            recovers(state, kind, nth, i % 2 == 1, &over);
            assert_int_equal(fixture_release(&state), 0);
        }
        assert_true(over);
    }
}

static void a_commit_recovers_from_every_failing_operation(void **state)
{
    (void)state;
    every_operation(commit_recovers);
}

static void a_submission_recovers_from_every_failing_operation(void **state)
{
    (void)state;
    every_operation(submit_recovers);
}

static void a_verdict_recovers_from_every_failing_operation(void **state)
{
    (void)state;
    every_operation(advance_recovers);
}

static void a_payment_that_waits_recovers_from_every_failing_operation(void **state)
{
    (void)state;
    every_operation(waiting_recovers);
}

static void a_sighting_recovers_from_every_failing_operation(void **state)
{
    (void)state;
    every_operation(seeing_recovers);
}

static void tidying_recovers_from_every_failing_operation(void **state)
{
    (void)state;
    every_operation(tidy_recovers);
}

static void a_note_recovers_from_every_failing_operation(void **state)
{
    (void)state;
    every_operation(note_recovers);
}

static void creating_fails_cleanly_and_succeeds_later(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS_COUNT; i++) {
        bool over = false;
        for (int nth = 1; !over && nth < 200; nth++) {
            struct fixture *fixture = NULL;
            void *made = NULL;
            enum x402_error error;
            assert_int_equal(directory_make(&made), 0);
            fixture = made;
            faults_arm(kinds[i].fault, kinds[i].code, nth, false);
            error = x402_ledger_create(fixture->path, NOBODY, NOBODY, fixture->message);
            over = faults.hits == 0;
            faults_arm(kinds[i].fault, kinds[i].code, 0, false);
            if (error != X402_OK) {
                assert_int_equal(error, X402_ERR_LEDGER);
                assert_non_null(strstr(fixture->message, "cannot create ledger"));
                assert_int_equal(
                    x402_ledger_create(fixture->path, NOBODY, NOBODY, fixture->message),
                    X402_OK);
            }
            fixture->ledger = handle_open(fixture);
            (void)sell(fixture->ledger, 1);
            assert_int_equal(fixture_release(&made), 0);
        }
        assert_true(over);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_recovers_from_every_failing_operation),
        cmocka_unit_test(a_submission_recovers_from_every_failing_operation),
        cmocka_unit_test(a_verdict_recovers_from_every_failing_operation),
        cmocka_unit_test(a_payment_that_waits_recovers_from_every_failing_operation),
        cmocka_unit_test(a_sighting_recovers_from_every_failing_operation),
        cmocka_unit_test(tidying_recovers_from_every_failing_operation),
        cmocka_unit_test(a_note_recovers_from_every_failing_operation),
        cmocka_unit_test(creating_fails_cleanly_and_succeeds_later),
    };

    return cmocka_run_group_tests(tests, faults_install, NULL);
}
