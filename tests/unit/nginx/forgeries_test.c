/* Signatures that are not their payer's, each refused and unknown to the ledger, and
 * how they and what else buys nothing are counted against their clients. */
#include "scene.h"

#include "nginx/batch.h"

#define CALLERS 600

static struct caller callers[CALLERS];

/* ------------------------------------------------------------ what is verified
 * together
 */

static unsigned found_elsewhere; /* while this one verifies: the client's forged ones */
static size_t steps[CALLERS];    /* how many were verified together */
static size_t steps_count;

void __real_x402_verify_many(struct x402_signers *signers,
                             struct x402_verification *items, size_t count);
void __wrap_x402_verify_many(struct x402_signers *signers,
                             struct x402_verification *items, size_t count);

void __wrap_x402_verify_many(struct x402_signers *signers,
                             struct x402_verification *items, size_t count)
{
    ngx_http_x402_limit_key_t key = client_key();
    uint64_t wait;

    __real_x402_verify_many(signers, items, count);
    if (count > 0)
        steps[steps_count++] = count;
    for (; found_elsewhere > 0; found_elsewhere--)
        (void)ngx_http_x402_limit_take(&key, &worker.location.refusal_rate, &wait);
}

/* ---------------------------------------------------------------------- the ledger */

/* One batch: the threads take nothing until all are there. */
static void forged_ones_of_a_batch_are_refused_and_are_not_in_the_ledger(void **state)
{
    worker.serve = deliver;
    worker_start();
    loop_hold();
    for (unsigned i = 0; i < 40; i++) {
        if (i % 3 == 0)
            caller_forges(&callers[i], i);
        else
            caller_pays(&callers[i], i);
    }
    loop_let_go();
    run_until_told(callers, 40);
    for (unsigned i = 0; i < 40; i++) {
        if (i % 3 == 0)
            assert_forged(&callers[i]);
        else
            assert_int_equal(callers[i].told, TOLD_DELIVERED);
    }
    loop_run_dry();
    assert_true(loop_may_exit());
    assert_money(*state, callers, 40, true);
    assert_int_equal(totals_of(((struct fixture *)*state)->ledger).admitted.count, 26);
}

/* Beside a copy that is its payer's, before it and behind it. */
static void copy_between_forged_ones(unsigned first, unsigned number)
{
    caller_forges(&callers[first], number);
    caller_pays(&callers[first + 1], number);
    caller_forges(&callers[first + 2], number);
}

static void a_forged_copy_learns_nothing_of_what_was_sold_or_is_open(void **state)
{
    worker_start();
    admit_open(callers, 0, 2);
    caller_ends(&callers[0], TOLD_DELIVERED);
    for (int i = 0; i < 20; i++)
        loop_turn();
    loop_hold();
    copy_between_forged_ones(2, 0);
    copy_between_forged_ones(5, 1);
    loop_let_go();
    run_until_told(callers, 8);
    for (unsigned i = 2; i < 8; i++) {
        if (callers[i].forges)
            assert_forged(&callers[i]);
    }
    assert_int_equal(callers[3].admission, X402_ADMISSION_REPEATED);
    assert_int_equal(callers[6].admission, X402_ADMISSION_IN_PROGRESS);
    caller_ends(&callers[1], TOLD_DELIVERED);
    loop_run_dry();
    assert_money(*state, callers, 8, true);
}

/* A gate: within the transaction of somebody else, for which who writes would wait. */
static bool ten_forge(struct x402_admit *admit, void *data)
{
    (void)admit;
    (void)data;
    for (unsigned i = 1; i < 11; i++)
        caller_forges(&callers[i], i);
    run_until_told(callers, 11);
    return false;
}

static void where_all_are_forged_the_ledger_is_not_asked(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit another = presentation(11, 0);

    worker.serve = deliver;
    worker_start();
    caller_pays(&callers[0], 0);
    run_until_told(callers, 1);
    loop_run_dry();
    assert_int_equal(x402_ledger_commit(fixture->ledger, "test", NULL, 0, &another, 1,
                                        ten_forge, NULL),
                     X402_OK);
    for (unsigned i = 1; i < 11; i++)
        assert_forged(&callers[i]);
    loop_run_dry();
    assert_int_equal(loop_logged(NGX_LOG_CRIT), 0);
    assert_money(fixture, callers, 11, true);
}

static void a_commit_that_fails_tells_a_forger_what_it_is(void **state)
{
    worker_start();
    admit_open(callers, 0, 1);
    ledger_fails(FAULT_WRITE, SQLITE_FULL, true);
    loop_hold();
    caller_forges(&callers[1], 1);
    caller_pays(&callers[2], 2);
    loop_let_go();
    run_until_told(callers, 3);
    assert_forged(&callers[1]);
    assert_int_equal(callers[2].signature, NGX_HTTP_X402_PROVEN);
    assert_int_equal(callers[2].admission, X402_ADMISSION_UNAVAILABLE);
    caller_ends(&callers[0], TOLD_DELIVERED);
    ledger_is_back();
    loop_run_dry();
    assert_money(*state, callers, 3, true);
}

/* ------------------------------------------------------------------------- clients */

static void assert_delivered(unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        assert_int_equal(callers[i].told, TOLD_DELIVERED);
}

/* Turned away, and told nothing of their signatures. */
static void assert_unheard(unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        assert_int_equal(callers[i].signature, NGX_HTTP_X402_UNPROVEN);
    assert_int_equal(count_of(callers, X402_ADMISSION_LIMITED, first, count), count);
}

/* All come from one address, and are in one batch. */
static void a_client_is_heard_of_as_many_forged_ones_as_its_rate_allows(void **state)
{
    worker.location.refusal_rate = (struct x402_rate){5, 3600000, 5};
    worker.serve = deliver;
    worker_start();
    loop_hold();
    for (unsigned i = 0; i < 20; i++)
        caller_pays(&callers[i], i);
    for (unsigned i = 20; i < 100; i++)
        caller_forges(&callers[i], i);
    loop_let_go();
    run_until_told(callers, 100);
    assert_delivered(0, 20);
    for (unsigned i = 20; i < 25; i++)
        assert_forged(&callers[i]);
    assert_unheard(25, 75);
    loop_run_dry();
    assert_money(*state, callers, 100, true);
    worker_stop();
    assert_int_equal(measured_count(*state, X402_MEASURE_VERIFY), 25);
}

/* Of ten the other has found seven, when this one has looked at all there are. */
static void what_two_workers_find_at_once_is_told_of_as_often_as_the_rate_allows(
    void **state)
{
    worker.location.refusal_rate = (struct x402_rate){10, 3600000, 10};
    worker.serve = deliver;
    worker_start();
    loop_hold();
    for (unsigned i = 0; i < 10; i++) {
        if (i < 8)
            caller_forges(&callers[i], i);
        else
            caller_pays(&callers[i], i);
    }
    found_elsewhere = 7;
    loop_let_go();
    run_until_told(callers, 10);
    for (unsigned i = 0; i < 3; i++)
        assert_forged(&callers[i]);
    assert_unheard(3, 5);
    assert_delivered(8, 2);
    loop_run_dry();
    assert_money(*state, callers, 10, true);
}

/* Of two addresses in one batch; each may be wrong once. */
static void who_may_be_wrong_once_may_be_right_often(void **state)
{
    worker.location.refusal_rate = (struct x402_rate){1, 3600000, 1};
    worker.serve = deliver;
    worker_start();
    loop_hold();
    for (unsigned i = 0; i < 200; i++) {
        worker.address = 1 + i % 2;
        caller_pays(&callers[i], i);
    }
    for (unsigned i = 200; i < 210; i++) {
        worker.address = 1 + i % 2;
        caller_forges(&callers[i], i);
    }
    loop_let_go();
    run_until_told(callers, 210);
    assert_delivered(0, 200);
    assert_forged(&callers[200]);
    assert_forged(&callers[201]);
    assert_unheard(202, 8);
    loop_run_dry();
    assert_money(*state, callers, 210, true);
}

/* Of two addresses: one may be wrong ten times, the other once. */
static void who_may_be_wrong_once_keeps_nobody_elses_steps_small(void **state)
{
    worker.serve = deliver;
    worker_start();
    loop_hold();
    for (unsigned i = 0; i < 200; i++) {
        worker.address = 1 + i % 2;
        worker.location.refusal_rate.count = i % 2 == 0 ? 10 : 1;
        worker.location.refusal_rate.burst = worker.location.refusal_rate.count;
        worker.location.refusal_rate.period_milliseconds = 3600000;
        caller_pays(&callers[i], i);
    }
    steps_count = 0;
    loop_let_go();
    run_until_told(callers, 200);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(steps[i], 11);
    assert_int_equal(steps_count, 10 + 90);
    assert_delivered(0, 200);
    loop_run_dry();
    assert_money(*state, callers, 200, true);
}

/* The ledger is busy; 256 of the 512 places are left to others. */
static void who_forges_much_leaves_half_a_batch_to_others(void **state)
{
    unsigned taken = 0;

    worker.location.refusal_rate = (struct x402_rate){10, 3600000, 100};
    worker.serve = deliver;
    worker_start();
    loop_hold();
    worker.address = 1;
    for (unsigned i = 0; i < 400; i++)
        caller_forges(&callers[i], i);
    for (unsigned i = 0; i < 400; i++)
        taken += !callers[i].busy;
    assert_in_range(taken, NGX_HTTP_X402_BATCH_MAX / 2,
                    NGX_HTTP_X402_BATCH_MAX / 2 + 1);
    assert_int_equal(count_of(callers, X402_ADMISSION_LIMITED, 0, 400), 400 - taken);
    for (unsigned i = 400; i < 600; i++) {
        worker.address = i;
        caller_pays(&callers[i], i);
        assert_false(callers[i].busy);
    }
    loop_let_go();
    run_until_told(callers, 600);
    assert_delivered(400, 200);
    loop_run_dry();
    assert_money(*state, callers, 600, true);
}

static void who_forges_and_leaves_is_blamed_and_who_pays_and_leaves_is_not(void **state)
{
    worker.location.refusal_rate = (struct x402_rate){3, 3600000, 3};
    worker_start();
    for (unsigned round = 0; round < 3; round++) {
        assert_true(client_may_fail_again());
        loop_hold();
        caller_pays(&callers[2 * round], 2 * round);
        caller_forges(&callers[2 * round + 1], 2 * round + 1);
        loop_turn();
        assert_int_equal(loop_under_way(), 1);
        caller_leaves(&callers[2 * round]);
        caller_leaves(&callers[2 * round + 1]);
        loop_let_go();
        loop_run_dry();
    }
    assert_false(client_may_fail_again());
    assert_true(loop_may_exit());
    assert_money(*state, callers, 6, true);
    assert_int_equal(totals_of(((struct fixture *)*state)->ledger).admitted.count, 3);
    worker_stop();
    assert_int_equal(measured_count(*state, X402_MEASURE_VERIFY), 6);
}

static uint64_t refused_count(struct fixture *fixture, enum x402_error why)
{
    uint64_t refusals[X402_ERROR_COUNT];
    struct x402_histogram measures[X402_MEASURE_COUNT];

    assert_int_equal(x402_ledger_activity(fixture->ledger, X402_ACTIVITY_EVER,
                                          X402_ACTIVITY_EVER, refusals, measures),
                     X402_OK);
    return refusals[why];
}

static void who_repeats_and_leaves_is_blamed(void **state)
{
    worker.location.refusal_rate = (struct x402_rate){3, 3600000, 3};
    worker.serve = deliver;
    worker_start();
    caller_pays(&callers[0], 0);
    run_until_told(callers, 1);
    for (unsigned round = 1; round <= 3; round++) {
        assert_true(client_may_fail_again());
        loop_hold();
        caller_pays(&callers[round], 0);
        loop_turn();
        caller_leaves(&callers[round]);
        loop_let_go();
        loop_run_dry();
    }
    assert_false(client_may_fail_again());
    assert_money(*state, callers, 4, true);
    worker_stop();
    assert_int_equal(refused_count(*state, X402_ERR_NONCE_USED), 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_release)
    const struct CMUnitTest tests[] = {
        TEST(forged_ones_of_a_batch_are_refused_and_are_not_in_the_ledger),
        TEST(a_forged_copy_learns_nothing_of_what_was_sold_or_is_open),
        TEST(where_all_are_forged_the_ledger_is_not_asked),
        TEST(a_commit_that_fails_tells_a_forger_what_it_is),
        TEST(a_client_is_heard_of_as_many_forged_ones_as_its_rate_allows),
        TEST(what_two_workers_find_at_once_is_told_of_as_often_as_the_rate_allows),
        TEST(who_may_be_wrong_once_may_be_right_often),
        TEST(who_may_be_wrong_once_keeps_nobody_elses_steps_small),
        TEST(who_forges_much_leaves_half_a_batch_to_others),
        TEST(who_forges_and_leaves_is_blamed_and_who_pays_and_leaves_is_not),
        TEST(who_repeats_and_leaves_is_blamed),
    };

    return cmocka_run_group_tests(tests, faults_install, NULL);
}
