#include "fixture.h"

static void renew(struct x402_ledger *ledger)
{
    assert_int_equal(x402_ledger_lease_renew(ledger, "test"), X402_OK);
}

static void a_payment_pending_under_a_lost_lease_is_abandoned_when_presented(
    void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    struct x402_admit first = presentation(1, 0);
    struct x402_admit second = presentation(1, 1);

    assert_int_equal(admit_on(fixture->ledger, &first), X402_ADMISSION_NEW);
    clock_forward(fixture, X402_LEASE_SECONDS);
    assert_int_equal(admit_on(other, &second), X402_ADMISSION_ABANDONED);
    assert_state(other, first.payment_id, X402_DELIVERY_ABANDONED, X402_MONEY_RELEASED);
    assert_false(outcome_on(fixture->ledger, &first, X402_EVENT_DELIVERED));
    assert_books(other);
}

static void a_lease_lasts_thirty_seconds(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    struct x402_admit first = presentation(1, 0);
    struct x402_admit second = presentation(1, 1);

    clock_stop(fixture);
    assert_int_equal(admit_on(fixture->ledger, &first), X402_ADMISSION_NEW);
    clock_forward(fixture, X402_LEASE_SECONDS - 1);
    assert_int_equal(admit_on(other, &second), X402_ADMISSION_IN_PROGRESS);
    clock_forward(fixture, X402_LEASE_SECONDS);
    assert_int_equal(admit_on(other, &second), X402_ADMISSION_ABANDONED);
}

static void a_renewed_lease_keeps_its_payments(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    struct x402_admit admit = presentation(1, 0);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    for (int i = 1; i <= 20; i++) {
        clock_forward(fixture, i * X402_LEASE_RENEW_SECONDS);
        renew(fixture->ledger);
        renew(other);
    }
    assert_true(outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED));
}

static void a_commit_keeps_the_lease_alive_by_itself(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    struct x402_admit admit = presentation(1, 0);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    for (unsigned i = 1; i <= 20; i++) {
        clock_forward(fixture, (long)i * X402_LEASE_RENEW_SECONDS);
        (void)sell(fixture->ledger, 100 + i);
        renew(other);
    }
    assert_true(outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED));
}

static void renewing_abandons_what_others_left(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    struct x402_admit admits[300];

    for (unsigned i = 0; i < 300; i++) {
        admits[i] = presentation(i, 0);
    }
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, admits, 300, NULL, NULL),
        X402_OK);
    clock_forward(fixture, X402_LEASE_SECONDS);
    renew(other);
    assert_int_equal(totals_of(other).deliveries[X402_DELIVERY_ABANDONED].count, 300);
    assert_int_equal(totals_of(other).deliveries[X402_DELIVERY_PENDING].count, 0);
    assert_books(other);
}

static void a_lease_that_ran_out_and_is_still_there_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    clock_forward(fixture, 10 * X402_LEASE_SECONDS);
    renew(fixture->ledger);
    assert_true(outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED));
}

static void a_cleared_lease_is_followed_by_a_new_one(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    struct x402_admit lost = presentation(1, 0);
    struct x402_admit next = presentation(2, 0);

    assert_int_equal(admit_on(fixture->ledger, &lost), X402_ADMISSION_NEW);
    clock_forward(fixture, X402_LEASE_SECONDS);
    renew(other); /* clears the first handle's lease */
    assert_int_equal(admit_on(fixture->ledger, &next), X402_ADMISSION_NEW);
    renew(other);
    assert_state(other, lost.payment_id, X402_DELIVERY_ABANDONED, X402_MONEY_RELEASED);
    assert_state(other, next.payment_id, X402_DELIVERY_PENDING, X402_MONEY_HELD);
    assert_true(outcome_on(fixture->ledger, &next, X402_EVENT_DELIVERED));
}

static void a_released_lease_leaves_its_pending_payments_abandoned(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    struct x402_admit admit = presentation(1, 0);
    struct x402_admit again = presentation(1, 1);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    assert_int_equal(x402_ledger_lease_release(fixture->ledger), X402_OK);
    assert_int_equal(x402_ledger_lease_release(fixture->ledger), X402_OK);
    assert_int_equal(admit_on(other, &again), X402_ADMISSION_ABANDONED);
}

static void an_abandoned_payment_is_never_served_again(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    assert_int_equal(x402_ledger_lease_release(fixture->ledger), X402_OK);
    renew(fixture->ledger);
    for (unsigned i = 1; i < 4; i++) {
        struct x402_admit again = presentation(1, i);
        assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_ABANDONED);
    }
}

/* As after an outage of the ledger: the first worker back clears the other's lease. */
static void a_call_delivered_under_a_cleared_lease_is_still_charged(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    struct x402_admit admit = presentation(1, 0);
    struct x402_admit again = presentation(1, 1);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    clock_forward(fixture, X402_LEASE_SECONDS);
    renew(other);
    assert_state(other, admit.payment_id, X402_DELIVERY_ABANDONED, X402_MONEY_RELEASED);
    assert_true(outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED));
    assert_state(other, admit.payment_id, X402_DELIVERY_DELIVERED, X402_MONEY_DUE);
    assert_int_equal(admit_on(other, &again), X402_ADMISSION_REPEATED);
    assert_books(other);
}

static void a_call_that_failed_under_a_cleared_lease_may_be_bought_again(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    struct x402_admit admit = presentation(1, 0);
    struct x402_admit again = presentation(1, 1);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    clock_forward(fixture, X402_LEASE_SECONDS);
    renew(other);
    assert_true(outcome_on(fixture->ledger, &admit, X402_EVENT_VOID));
    assert_int_equal(admit_on(other, &again), X402_ADMISSION_NEW);
    assert_books(other);
}

static void a_caller_told_that_it_is_abandoned_is_never_charged(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    struct x402_admit admit = presentation(1, 0);
    struct x402_admit again = presentation(1, 1);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    clock_forward(fixture, X402_LEASE_SECONDS);
    renew(other);
    assert_int_equal(admit_on(other, &again), X402_ADMISSION_ABANDONED);
    assert_false(outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED));
    assert_false(outcome_on(fixture->ledger, &again, X402_EVENT_DELIVERED));
    assert_state(other, admit.payment_id, X402_DELIVERY_ABANDONED, X402_MONEY_RELEASED);
    assert_books(other);
}

static void a_row_that_cannot_be_stops_nobody(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    struct x402_admit odd = presentation(1, 0);
    struct x402_admit again = presentation(1, 1);
    struct x402_admit good = presentation(2, 0);

    assert_int_equal(admit_on(fixture->ledger, &odd), X402_ADMISSION_NEW);
    assert_int_equal(admit_on(fixture->ledger, &good), X402_ADMISSION_NEW);
    tamper(fixture, "UPDATE payment SET money = 6 WHERE id = 1");
    clock_forward(fixture, X402_LEASE_SECONDS);
    renew(other);
    assert_state(other, good.payment_id, X402_DELIVERY_ABANDONED, X402_MONEY_RELEASED);
    assert_int_equal(admit_on(other, &again), X402_ADMISSION_IN_PROGRESS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(a_payment_pending_under_a_lost_lease_is_abandoned_when_presented),
        TEST(a_lease_lasts_thirty_seconds),
        TEST(a_renewed_lease_keeps_its_payments),
        TEST(a_commit_keeps_the_lease_alive_by_itself),
        TEST(renewing_abandons_what_others_left),
        TEST(a_lease_that_ran_out_and_is_still_there_goes_on),
        TEST(a_cleared_lease_is_followed_by_a_new_one),
        TEST(a_released_lease_leaves_its_pending_payments_abandoned),
        TEST(an_abandoned_payment_is_never_served_again),
        TEST(a_call_delivered_under_a_cleared_lease_is_still_charged),
        TEST(a_call_that_failed_under_a_cleared_lease_may_be_bought_again),
        TEST(a_caller_told_that_it_is_abandoned_is_never_charged),
        TEST(a_row_that_cannot_be_stops_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
