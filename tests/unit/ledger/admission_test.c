#include "fixture.h"

static void a_payment_never_seen_is_new(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    assert_true(admit.payment_id > 0);
    assert_state(fixture->ledger, admit.payment_id, X402_DELIVERY_PENDING,
                 X402_MONEY_HELD);
    assert_books(fixture->ledger);
}

static void a_payment_being_served_is_in_progress_on_every_handle(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit first = presentation(1, 0);
    struct x402_admit second = presentation(1, 1);

    assert_int_equal(admit_on(fixture->ledger, &first), X402_ADMISSION_NEW);
    assert_int_equal(admit_on(another_handle(fixture), &second),
                     X402_ADMISSION_IN_PROGRESS);
    assert_int_equal(second.payment_id, 0);
}

static void a_delivered_payment_is_repeated_after_reopen(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit again = presentation(1, 1);
    int64_t id = sell(fixture->ledger, 1);

    reopen(fixture);
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_REPEATED);
    assert_state(fixture->ledger, id, X402_DELIVERY_DELIVERED, X402_MONEY_DUE);
    assert_books(fixture->ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
        TEST(a_payment_never_seen_is_new),
        TEST(a_payment_being_served_is_in_progress_on_every_handle),
        TEST(a_delivered_payment_is_repeated_after_reopen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
