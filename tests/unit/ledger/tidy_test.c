#include "fixture.h"

#include "ledger/sqlite.h"

static size_t rows_count(struct fixture *fixture)
{
    struct x402_payment_filter filter = {.limit = 100000};
    struct row_search search = {.id = -1};

    assert_int_equal(x402_ledger_payments(fixture->ledger, &filter, row_match, &search),
                     X402_OK);
    return (size_t)number_of(fixture, "SELECT count(*) FROM payment");
}

static int64_t make_void(struct x402_ledger *ledger, unsigned number,
                         unsigned window_seconds)
{
    struct x402_admit admit = presentation(number, 0);

    admit.verified.valid_before_seconds =
        (uint64_t)x402_clock_seconds() + window_seconds;
    assert_int_equal(admit_on(ledger, &admit), X402_ADMISSION_NEW);
    assert_true(outcome_on(ledger, &admit, X402_EVENT_VOID));
    return admit.payment_id;
}

static void tidy(struct x402_ledger *ledger)
{
    assert_int_equal(x402_ledger_tidy(ledger), X402_OK);
}

static void a_released_payment_is_removed_a_day_after_it_expired(void **state)
{
    struct fixture *fixture = *state;

    clock_stop(fixture);
    (void)make_void(fixture->ledger, 1, 60);
    (void)sell(fixture->ledger, 2);
    clock_forward(fixture, X402_RETENTION_SECONDS);
    tidy(fixture->ledger);
    assert_int_equal(rows_count(fixture), 2);
    clock_forward(fixture, X402_RETENTION_SECONDS + 1);
    tidy(fixture->ledger);
    assert_int_equal(rows_count(fixture), 1);
    assert_books(fixture->ledger);
}

static int64_t make_failed(struct x402_ledger *ledger, unsigned number)
{
    struct x402_admit admit = presentation(number, 0);

    admit.credit.settle_first = true;
    assert_int_equal(admit_on(ledger, &admit), X402_ADMISSION_SETTLING);
    assert_true(chain_on(ledger, admit.payment_id, X402_EVENT_FAILED));
    return admit.payment_id;
}

static void a_payment_that_failed_before_it_was_served_goes_as_a_released_one(
    void **state)
{
    struct fixture *fixture = *state;

    clock_stop(fixture);
    (void)make_failed(fixture->ledger, 1);
    (void)sell(fixture->ledger, 2);
    clock_forward(fixture, X402_RETENTION_SECONDS);
    tidy(fixture->ledger);
    assert_int_equal(rows_count(fixture), 2);
    clock_forward(fixture, X402_RETENTION_SECONDS + 301);
    tidy(fixture->ledger);
    assert_int_equal(rows_count(fixture), 1);
    assert_books(fixture->ledger);
}

static void what_failed_after_it_was_served_stays(void **state)
{
    struct fixture *fixture = *state;

    assert_true(chain_on(fixture->ledger, sell(fixture->ledger, 1), X402_EVENT_FAILED));
    (void)sell(fixture->ledger, 2);
    clock_forward(fixture, 10 * X402_RETENTION_SECONDS);
    tidy(fixture->ledger);
    assert_int_equal(rows_count(fixture), 2);
}

static void what_is_owed_stays_when_nobody_may_ask_for_it_any_more(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    admit.credit.settle_first = true;
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    assert_true(chain_on(fixture->ledger, admit.payment_id, X402_EVENT_SETTLED));
    (void)sell(fixture->ledger, 2);
    clock_forward(fixture, 10 * X402_OWED_SECONDS);
    tidy(fixture->ledger);
    assert_int_equal(rows_count(fixture), 2);
}

static void a_released_payment_stays_while_its_authorization_is_valid(void **state)
{
    struct fixture *fixture = *state;

    (void)make_void(fixture->ledger, 1, 3 * X402_RETENTION_SECONDS);
    (void)sell(fixture->ledger, 2);
    clock_forward(fixture, 2 * X402_RETENTION_SECONDS);
    tidy(fixture->ledger);
    assert_int_equal(rows_count(fixture), 2);
}

static void what_was_delivered_is_never_removed(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    (void)sell(fixture->ledger, 2);
    clock_forward(fixture, 100 * X402_RETENTION_SECONDS);
    tidy(fixture->ledger);
    assert_int_equal(rows_count(fixture), 2);
}

static void the_removed_stay_in_the_totals(void **state)
{
    struct fixture *fixture = *state;
    struct x402_totals totals;

    (void)make_void(fixture->ledger, 1, 60);
    (void)sell(fixture->ledger, 2);
    clock_forward(fixture, 2 * X402_RETENTION_SECONDS);
    tidy(fixture->ledger);
    totals = totals_of(fixture->ledger);
    assert_int_equal(totals.admitted.count, 2);
    assert_int_equal(totals.deliveries[X402_DELIVERY_VOID].count, 1);
    assert_int_equal(totals.deliveries[X402_DELIVERY_VOID].value, 1000);
    assert_int_equal(totals.monies[X402_MONEY_RELEASED].count, 1);
}

/* Or a late outcome might name the next payment. */
static void an_id_is_never_used_again(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit next = presentation(2, 0);
    int64_t id = make_void(fixture->ledger, 1, 60);

    clock_forward(fixture, 2 * X402_RETENTION_SECONDS);
    tidy(fixture->ledger);
    assert_int_equal(admit_on(fixture->ledger, &next), X402_ADMISSION_NEW);
    assert_true(next.payment_id > id);
    tidy(fixture->ledger);
    assert_int_equal(rows_count(fixture), 1);
}

static void tidying_abandons_what_is_pending_under_lost_leases(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    clock_forward(fixture, X402_LEASE_SECONDS);
    tidy(another_handle(fixture));
    assert_state(fixture->ledger, admit.payment_id, X402_DELIVERY_ABANDONED,
                 X402_MONEY_RELEASED);
}

static void thousands_are_removed_in_one_call(void **state)
{
    struct fixture *fixture = *state;
    static struct x402_admit admits[1000];
    static struct x402_outcome outcomes[1000];

    for (unsigned i = 0; i < 1000; i++) {
        admits[i] = presentation(i, 0);
    }
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, admits, 1000, NULL, NULL),
        X402_OK);
    for (unsigned i = 0; i < 1000; i++) {
        outcomes[i].event = X402_EVENT_VOID;
        outcomes[i].payment_id = admits[i].payment_id;
        memcpy(outcomes[i].attempt16, admits[i].attempt16, 16);
    }
    assert_int_equal(x402_ledger_commit(fixture->ledger, "test", outcomes, 1000, NULL,
                                        0, NULL, NULL),
                     X402_OK);
    clock_forward(fixture, 2 * X402_RETENTION_SECONDS);
    tidy(fixture->ledger);
    assert_int_equal(rows_count(fixture), 1);
    assert_books(fixture->ledger);
}

/* What the statement that looks for them has cost since the last time. */
static int steps_of(struct fixture *fixture, enum x402_sqlite_statement which)
{
    return sqlite3_stmt_status(x402_sqlite_of(fixture->ledger)->statements[which],
                               SQLITE_STMTSTATUS_VM_STEP, 1);
}

/* Housekeeping has the ledger to itself while it reads. */
static void what_has_to_stay_is_not_read(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 0);
    tidy(fixture->ledger);
    (void)steps_of(fixture, X402_SQL_PRUNE_RELEASED);
    (void)steps_of(fixture, X402_SQL_PRUNE_FAILED);
    for (unsigned i = 1; i < 100; i++) {
        (void)make_void(fixture->ledger, i, 60);
        (void)make_failed(fixture->ledger, 100 + i);
    }
    clock_forward(fixture, X402_RETENTION_SECONDS - 60); /* expired, and too young */
    tidy(fixture->ledger);
    assert_int_equal(rows_count(fixture), 199);
    assert_in_range(steps_of(fixture, X402_SQL_PRUNE_RELEASED), 1, 99);
    assert_in_range(steps_of(fixture, X402_SQL_PRUNE_FAILED), 1, 99);
}

static off_t log_size(const struct fixture *fixture)
{
    char name[200];
    struct stat status;

    snprintf(name, sizeof(name), "%s-wal", fixture->path);
    return stat(name, &status) == 0 ? status.st_size : -1;
}

/* A reader that stays keeps every checkpoint from starting the log again. */
static void a_log_past_its_bound_is_reset(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *reader = NULL;

    assert_int_equal(sqlite3_open(fixture->path, &reader), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(reader, "BEGIN; SELECT * FROM payment", NULL, NULL, NULL),
        SQLITE_OK);
    tamper(fixture,
           "CREATE TABLE bulk (data BLOB);"
           "INSERT INTO bulk SELECT zeroblob(100000) FROM (WITH RECURSIVE n(i) "
           "AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 700) SELECT * "
           "FROM n)");
    assert_true(log_size(fixture) > 64 << 20);
    tidy(fixture->ledger); /* the reader is in the way, and that is no failure */
    assert_true(log_size(fixture) > 64 << 20);
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    tidy(fixture->ledger);
    assert_int_equal(log_size(fixture), 0);
    (void)sell(fixture->ledger, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(a_released_payment_is_removed_a_day_after_it_expired),
        TEST(a_payment_that_failed_before_it_was_served_goes_as_a_released_one),
        TEST(what_failed_after_it_was_served_stays),
        TEST(what_is_owed_stays_when_nobody_may_ask_for_it_any_more),
        TEST(a_released_payment_stays_while_its_authorization_is_valid),
        TEST(what_was_delivered_is_never_removed),
        TEST(the_removed_stay_in_the_totals),
        TEST(an_id_is_never_used_again),
        TEST(tidying_abandons_what_is_pending_under_lost_leases),
        TEST(thousands_are_removed_in_one_call),
        TEST(what_has_to_stay_is_not_read),
        TEST(a_log_past_its_bound_is_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
