#include "unit/core/support.h"

#include "settle/fee.h"

static const struct x402_fee_policy base = {100000, 10000000, UINT64_C(20000000000)};

static void a_quote_is_twice_the_base_fee_and_the_median_tip(void **state)
{
    static const uint64_t rewards[] = {300000, 100, 500000, 400000, 9999999999};
    struct x402_fee fee;

    (void)state;
    assert_true(x402_fee_quote(&fee, &base, 6000000, rewards, 5));
    assert_int_equal(fee.tip_wei, 400000);
    assert_int_equal(fee.max_fee_wei, 2 * 6000000 + 400000);
}

static void a_tip_stays_within_the_policy(void **state)
{
    static const uint64_t high[] = {UINT64_C(1000000000)};
    struct x402_fee fee;

    (void)state;
    assert_true(x402_fee_quote(&fee, &base, 6000000, high, 1));
    assert_int_equal(fee.tip_wei, 10000000);
    assert_true(x402_fee_quote(&fee, &base, 6000000, NULL, 0));
    assert_int_equal(fee.tip_wei, 100000);
}

static void a_quote_is_never_below_the_floor_of_the_protocol(void **state)
{
    struct x402_fee fee;

    (void)state;
    assert_true(x402_fee_quote(&fee, &base, 7, NULL, 0));
    assert_int_equal(fee.max_fee_wei, 5000000);
    assert_true(fee.tip_wei <= fee.max_fee_wei);
}

static void a_base_fee_above_the_cap_is_not_quoted(void **state)
{
    struct x402_fee fee = {1, 2};

    (void)state;
    assert_false(x402_fee_quote(&fee, &base, UINT64_C(20000000000), NULL, 0));
    assert_false(x402_fee_quote(&fee, &base, UINT64_MAX, NULL, 0));
    assert_int_equal(fee.max_fee_wei, 1);
    /* Above half the cap there is less reserve, and still a fee that can be paid. */
    assert_true(x402_fee_quote(&fee, &base, UINT64_C(15000000000), NULL, 0));
    assert_int_equal(fee.max_fee_wei, UINT64_C(20000000000));
}

static void a_replacement_pays_a_tenth_more_of_both(void **state)
{
    struct x402_fee old = {5000005, 100009}, quote = {100, 100}, fee;

    (void)state;
    assert_true(x402_fee_replacement(&fee, &base, &old, &quote));
    assert_int_equal(fee.max_fee_wei, 5000005 + 500000 + 1);
    assert_int_equal(fee.tip_wei, 100009 + 10000 + 1);
}

static void a_replacement_is_not_below_what_is_asked_now(void **state)
{
    struct x402_fee old = {5000000, 100000}, quote = {90000000, 300000}, fee;

    (void)state;
    assert_true(x402_fee_replacement(&fee, &base, &old, &quote));
    assert_int_equal(fee.max_fee_wei, 90000000);
    assert_int_equal(fee.tip_wei, 300000);
}

static void replacements_end_at_the_cap(void **state)
{
    struct x402_fee fee = {5000000, 100000}, quote = {1, 1}, next;
    int steps = 0;

    (void)state;
    while (x402_fee_replacement(&next, &base, &fee, &quote)) {
        assert_true(next.tip_wei <= next.max_fee_wei);
        assert_true(next.max_fee_wei <= base.max_fee_wei_max);
        fee = next;
        steps++;
    }
    assert_in_range(steps, 80, 100);
    fee.max_fee_wei = UINT64_MAX;
    fee.tip_wei = UINT64_MAX;
    assert_false(x402_fee_replacement(&next, &base, &fee, &quote));
}

static void chains_that_are_not_listed_are_like_base(void **state)
{
    struct x402_fee_policy known = x402_fee_policy_of(8453);
    struct x402_fee_policy unknown = x402_fee_policy_of(31337);

    (void)state;
    assert_memory_equal(&known, &unknown, sizeof known);
    assert_int_equal(known.tip_wei_min, 100000);
    assert_int_equal(known.tip_wei_max, 10000000);
    assert_true(x402_fee_policy_of(137).tip_wei_min > known.tip_wei_max);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quote_is_twice_the_base_fee_and_the_median_tip),
        cmocka_unit_test(a_tip_stays_within_the_policy),
        cmocka_unit_test(a_quote_is_never_below_the_floor_of_the_protocol),
        cmocka_unit_test(a_base_fee_above_the_cap_is_not_quoted),
        cmocka_unit_test(a_replacement_pays_a_tenth_more_of_both),
        cmocka_unit_test(a_replacement_is_not_below_what_is_asked_now),
        cmocka_unit_test(replacements_end_at_the_cap),
        cmocka_unit_test(chains_that_are_not_listed_are_like_base),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
