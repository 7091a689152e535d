/* Batches between a worker's loop and the ledger's thread. */
#include "scene.h"

#include "nginx/batch.h"
#include "unit/ledger/faults.h"

#define CALLERS 600
#define COPIES 3 /* of every payment */

static struct caller callers[CALLERS];

static enum caller_told told_by_chance(void)
{
    return rand() % 4 == 0 ? TOLD_VOID : TOLD_DELIVERED;
}

/* Upstreams that answer at once, leave, or take their time (left to the test). */
static void serve_by_chance(struct caller *caller)
{
    int chance = rand() % 8;

    if (chance < 4)
        caller_ends(caller, told_by_chance());
    else if (chance == 4)
        caller_leaves(caller);
}

/* The slow ones: some of those that are being served are done. */
static void some_end(size_t presented)
{
    for (size_t i = 0; i < presented; i++) {
        if (callers[i].ctx != NULL && callers[i].stage == NGX_HTTP_X402_SERVING &&
            callers[i].verdicts == 1 && rand() % 4 == 0)
            caller_ends(&callers[i], told_by_chance());
    }
}

static bool all_are_gone(void)
{
    for (size_t i = 0; i < CALLERS; i++) {
        if (callers[i].ctx != NULL)
            return false;
    }
    return true;
}

static void pay_or_forge(struct caller *caller, unsigned number)
{
    if (rand() % 5 == 0)
        caller_forges(caller, number);
    else
        caller_pays(caller, number);
}

/* Everybody comes, in bursts, and is served; `after_burst` sees who has come. */
static void sell_to_all(void (*after_burst)(size_t presented))
{
    size_t presented = 0;

    srand(1);
    while (presented < CALLERS || !all_are_gone()) {
        for (int burst = rand() % 40; burst > 0 && presented < CALLERS; burst--) {
            pay_or_forge(&callers[presented], (unsigned)presented / COPIES);
            presented++;
        }
        if (after_burst != NULL)
            after_burst(presented);
        loop_turn();
        some_end(presented);
    }
    loop_run_dry();
}

/* Payments that somebody presented who could sign for them. */
static unsigned genuine_count(void)
{
    unsigned count = 0;
    bool genuine = false;

    for (unsigned i = 0; i < CALLERS; i++) {
        genuine = (genuine && i % COPIES != 0) || !callers[i].forges;
        count += genuine && i % COPIES == COPIES - 1;
    }
    return count;
}

static void each_is_told_once_and_the_ledger_has_each_outcome(void **state)
{
    worker.serve = serve_by_chance;
    worker_start();
    sell_to_all(NULL);
    for (size_t i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].verdicts, 1);
        if (callers[i].forges)
            assert_forged(&callers[i]);
        else
            assert_int_equal(callers[i].signature, NGX_HTTP_X402_PROVEN);
    }
    assert_int_equal(loop_logged(NGX_LOG_WARN), 0);
    assert_money(*state, callers, CALLERS, true);
    assert_in_range(genuine_count(), CALLERS / COPIES / 2, CALLERS / COPIES);
    assert_int_equal(totals_of(((struct fixture *)*state)->ledger).admitted.count,
                     genuine_count());
    worker_stop();
    assert_int_equal(measured_count(*state, X402_MEASURE_VERIFY), CALLERS);
}

/* Of those that wait, some hang up. */
static void some_leave(size_t presented)
{
    for (size_t i = 0; i < presented; i++) {
        if (callers[i].ctx != NULL && callers[i].verdicts == 0 && rand() % 3 == 0)
            caller_leaves(&callers[i]);
    }
}

static void who_leaves_while_the_ledger_decides_is_not_charged(void **state)
{
    worker.serve = serve_by_chance;
    worker_start();
    sell_to_all(some_leave);
    assert_int_equal(loop_logged(NGX_LOG_WARN), 0);
    assert_money(*state, callers, CALLERS, true);
}

/* One batch is with the threads, the next is filled, and nobody of either is there
 * when they come back. */
static void a_payment_whose_callers_all_left_may_be_presented_again(void **state)
{
    worker.serve = deliver;
    worker_start();
    loop_hold();
    for (unsigned i = 0; i < 10; i++)
        caller_pays(&callers[i], i);
    for (unsigned i = 0; i < 10; i++)
        caller_leaves(&callers[i]);
    loop_let_go();
    loop_run_dry();
    for (unsigned i = 0; i < 10; i++)
        caller_pays(&callers[i], i);
    run_until_told(callers, 10);
    loop_run_dry();
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(callers[i].told, TOLD_DELIVERED);
    assert_money(*state, callers, 10, true);
}

static void an_outcome_told_while_a_batch_is_out_goes_with_the_next(void **state)
{
    struct fixture *fixture = *state;

    worker_start();
    admit_open(callers, 0, 20);
    loop_hold();
    caller_pays(&callers[20], 20);
    for (unsigned i = 0; i < 20; i++)
        caller_ends(&callers[i], i % 2 == 0 ? TOLD_DELIVERED : TOLD_VOID);
    for (unsigned i = 0; i < 10; i++)
        loop_turn();
    assert_int_equal(loop_under_way(), 1);
    loop_let_go();
    run_until_told(callers, 21);
    caller_ends(&callers[20], TOLD_DELIVERED);
    loop_run_dry();
    assert_int_equal(totals_of(fixture->ledger).deliveries[X402_DELIVERY_VOID].count,
                     10);
    assert_money(fixture, callers, 21, true);
}

/* Twenty at once are load, and their calls have no end that would be written. */
static void who_only_reads_sees_calls_under_way_a_moment_later(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *reader = NULL;

    assert_int_equal(
        x402_ledger_open(&reader, fixture->path, X402_LEDGER_READ, fixture->message),
        X402_OK);
    worker_start();
    loop_still();
    admit_open(callers, 0, 1);
    admit_open(callers, 1, 20);
    assert_int_equal(totals_of(reader).deliveries[X402_DELIVERY_PENDING].count, 1);
    loop_pass(NGX_HTTP_X402_POST_DELAY);
    do
        loop_turn();
    while (loop_under_way() != 0);
    assert_int_equal(totals_of(reader).deliveries[X402_DELIVERY_PENDING].count, 21);
    x402_ledger_close(reader);
    for (unsigned i = 0; i < 21; i++)
        caller_ends(&callers[i], TOLD_DELIVERED);
    loop_run_dry();
    assert_money(fixture, callers, 21, true);
}

static void an_outcome_waits_for_company_and_for_nothing_else(void **state)
{
    ngx_msec_t told;

    worker_start();
    loop_hold();
    for (unsigned i = 0; i < 20; i++)
        caller_pays(&callers[i], i);
    loop_turn();
    loop_let_go();
    run_until_told(callers, 20);
    do
        loop_turn(); /* the batch was not kept waiting for company */
    while (loop_under_way() != 0);
    loop_still();
    told = ngx_current_msec;
    caller_ends(&callers[0], TOLD_DELIVERED);
    assert_int_equal(loop_under_way(), 0);
    while (loop_under_way() == 0)
        loop_turn();
    assert_in_range(ngx_current_msec - told, 0, NGX_HTTP_X402_POST_DELAY / 2);
    for (unsigned i = 1; i < 20; i++)
        caller_ends(&callers[i], TOLD_DELIVERED);
    loop_run_dry();
    assert_money(*state, callers, 20, true);
}

/* ------------------------------------------------------------------ under load */

#define FOR_EVER_US 90000000 /* more than the loop would bear */

/* As if the last commit took so long, and a commit might wait so long. */
static void be_patient(uint64_t commit_us_min, uint64_t max_us)
{
    assert_int_equal(loop_under_way(), 0);
    ngx_http_x402_patience = (struct ngx_http_x402_patience){max_us, commit_us_min};
}

static void under_load_a_commit_waits_for_as_many_as_came_before(void **state)
{
    worker_start();
    loop_pass(2000); /* and so a note follows the batch */
    admit_open(callers, 0, 3);
    be_patient(FOR_EVER_US, FOR_EVER_US);
    for (unsigned i = 3; i < 6; i++) {
        caller_pays(&callers[i], i);
        for (int turn = 0; turn < 20 && i < 5; turn++)
            loop_turn();
        assert_int_equal(callers[3].verdicts, 0);
    }
    run_until_told(callers, 6);
    for (unsigned i = 0; i < 6; i++)
        caller_ends(&callers[i], TOLD_DELIVERED);
    loop_run_dry();
    assert_money(*state, callers, 6, true);
}

static void who_comes_alone_waits_for_nobody(void **state)
{
    worker.serve = deliver;
    worker_start();
    be_patient(FOR_EVER_US, FOR_EVER_US);
    for (unsigned i = 0; i < 10; i++) {
        caller_pays(&callers[i], i);
        run_until_told(callers, i + 1);
    }
    loop_run_dry();
    assert_money(*state, callers, 10, true);
}

static void a_commit_waits_no_longer_than_is_bearable_nor_than_the_last_took(
    void **state)
{
    worker_start();
    admit_open(callers, 0, 20);
    be_patient(FOR_EVER_US, NGX_HTTP_X402_GATHER_MAX_US);
    admit_open(callers, 20, 1);
    be_patient(FOR_EVER_US, FOR_EVER_US);
    admit_open(callers, 21, 1); /* one alone is what is expected now */
    admit_open(callers, 22, 20);
    be_patient(0, FOR_EVER_US);
    admit_open(callers, 42, 1);
    for (unsigned i = 0; i < 43; i++)
        caller_ends(&callers[i], TOLD_DELIVERED);
    loop_run_dry();
    assert_money(*state, callers, 43, true);
}

/* --------------------------------------------------------------- a ledger that fails
 */

static void a_ledger_that_fails_serves_nobody_and_loses_no_outcome(void **state)
{
    worker_start();
    admit_open(callers, 0, 20);
    ledger_fails(FAULT_WRITE, SQLITE_FULL, true);
    for (unsigned i = 0; i < 20; i++)
        caller_ends(&callers[i], TOLD_DELIVERED);
    for (unsigned i = 20; i < 40; i++)
        caller_pays(&callers[i], i);
    run_until_told(callers, 40);
    for (unsigned i = 20; i < 40; i++) {
        assert_int_equal(callers[i].stage, NGX_HTTP_X402_REFUSED);
        assert_int_equal(callers[i].admission, X402_ADMISSION_UNAVAILABLE);
    }
    assert_int_equal(loop_logged(NGX_LOG_CRIT), 1);
    ledger_is_back();
    loop_run_dry();
    assert_money(*state, callers, 40, true);
}

/* Everything is written and the sync fails: in the ledger or not, it is void. */
static void a_commit_that_may_have_happened_charges_nobody(void **state)
{
    worker_start();
    admit_open(callers, 0, 5);
    ledger_fails(FAULT_SYNC, SQLITE_IOERR_FSYNC, true);
    for (unsigned i = 5; i < 20; i++)
        caller_pays(&callers[i], i);
    run_until_told(callers, 20);
    for (unsigned i = 5; i < 20; i++)
        assert_int_equal(callers[i].admission, X402_ADMISSION_UNAVAILABLE);
    for (unsigned i = 0; i < 5; i++)
        caller_ends(&callers[i], TOLD_DELIVERED);
    ledger_is_back();
    loop_run_dry();
    worker.serve = deliver;
    for (unsigned i = 5; i < 20; i++)
        caller_pays(&callers[i], i);
    run_until_told(callers, 20);
    loop_run_dry();
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(callers[i].told, TOLD_DELIVERED);
    assert_money(*state, callers, 20, true);
}

static void where_no_thread_takes_the_batch_nobody_is_served(void **state)
{
    worker_start();
    admit_open(callers, 0, 5);
    loop_refuse_tasks(true);
    for (unsigned i = 5; i < 10; i++)
        caller_pays(&callers[i], i);
    for (unsigned i = 0; i < 5; i++)
        caller_ends(&callers[i], TOLD_DELIVERED);
    run_until_told(callers, 10);
    for (unsigned i = 5; i < 10; i++) {
        assert_int_equal(callers[i].admission, X402_ADMISSION_UNAVAILABLE);
        assert_int_equal(callers[i].signature, NGX_HTTP_X402_UNPROVEN);
    }
    loop_refuse_tasks(false);
    loop_run_dry();
    assert_money(*state, callers, 10, true);
}

/* ---------------------------------------------------------------------------- limits
 */

/* All are of one payer. What the ledger did not take costs no token of its rate. */
static void a_payer_keeps_to_its_rate_and_gets_back_what_bought_nothing(void **state)
{
    worker.sale.rate = (struct x402_rate){7, 3600000, 7};
    worker_start();
    admit_open(callers, 0, 1); /* and the lease is taken: what fails next is a commit */
    ledger_fails(FAULT_WRITE, SQLITE_IOERR_WRITE, true);
    for (unsigned i = 1; i < 6; i++)
        caller_pays(&callers[i], i);
    run_until_told(callers, 6);
    assert_int_equal(count_of(callers, X402_ADMISSION_UNAVAILABLE, 1, 5), 5);
    worker.serve = deliver;
    caller_ends(&callers[0], TOLD_DELIVERED);
    ledger_is_back();
    loop_run_dry();
    loop_pass(NGX_HTTP_X402_RETRY_DELAY);
    caller_pays(&callers[6], 6); /* and the ledger is tried */
    run_until_told(callers, 7);
    for (unsigned i = 7; i < 26; i++)
        caller_pays(&callers[i], i < 10 ? 6 : i); /* some are copies */
    run_until_told(callers, 26);
    loop_run_dry();
    assert_int_equal(count_of(callers, X402_ADMISSION_NEW, 0, 26), 7);
    assert_int_equal(count_of(callers, X402_ADMISSION_LIMITED, 6, 20), 11);
    assert_money(*state, callers, 26, true);
}

static void more_than_a_batch_holds_is_refused_at_once(void **state)
{
    worker.serve = deliver;
    worker_start();
    loop_hold();
    for (unsigned i = 0; i < 600; i++)
        caller_pays(&callers[i], i);
    assert_in_range(count_of(callers, X402_ADMISSION_UNAVAILABLE, 0, 600),
                    600 - 1 - NGX_HTTP_X402_BATCH_MAX, 600 - NGX_HTTP_X402_BATCH_MAX);
    loop_let_go();
    run_until_told(callers, 600);
    loop_run_dry();
    assert_money(*state, callers, 600, true);
}

/* ------------------------------------------------------------------------------ exit
 */

static void at_exit_what_was_told_counts_and_what_is_open_is_void(void **state)
{
    struct fixture *fixture = *state;
    struct x402_totals totals;

    worker_start();
    admit_open(callers, 0, 30);
    loop_hold();
    for (unsigned i = 30; i < 40; i++)
        caller_pays(&callers[i], i);
    loop_turn();
    assert_int_equal(loop_under_way(), 1);
    for (unsigned i = 0; i < 10; i++)
        caller_ends(&callers[i], TOLD_DELIVERED);
    worker_stop();
    for (unsigned i = 10; i < 40; i++)
        caller_vanishes(&callers[i]);
    assert_money(fixture, callers, 40, true);
    totals = totals_of(fixture->ledger);
    assert_true(totals.admitted.count > 30); /* also what nobody was told of */
    assert_int_equal(totals.deliveries[X402_DELIVERY_VOID].count,
                     totals.admitted.count - 10);
}

static void at_exit_a_batch_that_failed_is_told_once_more(void **state)
{
    worker_start();
    admit_open(callers, 0, 10);
    faults_arm(FAULT_SYNC, SQLITE_IOERR_FSYNC, 1, false);
    loop_hold();
    caller_pays(&callers[10], 10);
    loop_turn();
    for (unsigned i = 0; i < 10; i++)
        caller_ends(&callers[i], TOLD_DELIVERED);
    worker_stop();
    caller_vanishes(&callers[10]);
    assert_money(*state, callers, 11, true);
}

static void a_worker_that_ends_waits_for_its_outcomes(void **state)
{
    worker_start();
    assert_true(loop_may_exit());
    admit_open(callers, 0, 1);
    ngx_exiting = 1;
    assert_false(loop_may_exit());
    caller_ends(&callers[0], TOLD_DELIVERED);
    assert_false(loop_may_exit());
    while (!loop_may_exit() || loop_under_way() != 0)
        loop_turn();
    worker_stop();
    assert_money(*state, callers, 1, true);
}

static void a_worker_that_ends_does_not_wait_for_a_ledger_for_ever(void **state)
{
    ngx_msec_t began;

    (void)state;
    worker_start();
    admit_open(callers, 0, 1);
    ledger_fails(FAULT_WRITE, SQLITE_FULL, true);
    ngx_exiting = 1;
    began = ngx_current_msec;
    caller_ends(&callers[0], TOLD_DELIVERED);
    while (!loop_may_exit() || loop_under_way() != 0)
        loop_turn();
    assert_true(ngx_current_msec - began >= X402_LEASE_SECONDS * 1000);
    worker_stop();
    ledger_is_back();
}

static int release(void **state)
{
    ngx_http_x402_patience =
        (struct ngx_http_x402_patience){NGX_HTTP_X402_GATHER_MAX_US, 0};
    return scene_release(state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, release)
    const struct CMUnitTest tests[] = {
        TEST(each_is_told_once_and_the_ledger_has_each_outcome),
        TEST(who_leaves_while_the_ledger_decides_is_not_charged),
        TEST(a_payment_whose_callers_all_left_may_be_presented_again),
        TEST(an_outcome_told_while_a_batch_is_out_goes_with_the_next),
        TEST(who_only_reads_sees_calls_under_way_a_moment_later),
        TEST(an_outcome_waits_for_company_and_for_nothing_else),
        TEST(under_load_a_commit_waits_for_as_many_as_came_before),
        TEST(who_comes_alone_waits_for_nobody),
        TEST(a_commit_waits_no_longer_than_is_bearable_nor_than_the_last_took),
        TEST(a_ledger_that_fails_serves_nobody_and_loses_no_outcome),
        TEST(a_commit_that_may_have_happened_charges_nobody),
        TEST(where_no_thread_takes_the_batch_nobody_is_served),
        TEST(a_payer_keeps_to_its_rate_and_gets_back_what_bought_nothing),
        TEST(more_than_a_batch_holds_is_refused_at_once),
        TEST(at_exit_what_was_told_counts_and_what_is_open_is_void),
        TEST(at_exit_a_batch_that_failed_is_told_once_more),
        TEST(a_worker_that_ends_waits_for_its_outcomes),
        TEST(a_worker_that_ends_does_not_wait_for_a_ledger_for_ever),
    };

    return cmocka_run_group_tests(tests, faults_install, NULL);
}
