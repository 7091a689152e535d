#include "unit/core/support.h"

#include "settle/fee.h"
#include "settle/plan.h"

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

static void a_fee_that_leaves_no_room_for_a_replacement_is_the_cap(void **state)
{
    uint64_t cap = base.max_fee_wei_max;
    struct x402_fee old = {cap / 10 * 8, 100000}, low = {1, 1}, fee;

    (void)state;
    assert_true(x402_fee_quote(&fee, &base, cap / 100 * 45, NULL, 0));
    assert_true(fee.max_fee_wei < cap);
    assert_true(x402_fee_quote(&fee, &base, cap / 100 * 46, NULL, 0));
    assert_int_equal(fee.max_fee_wei, cap);
    assert_true(x402_fee_replacement(&fee, &base, &old, &low));
    assert_true(fee.max_fee_wei < cap);
    old.max_fee_wei = cap / 10 * 9;
    assert_true(x402_fee_replacement(&fee, &base, &old, &low));
    assert_int_equal(fee.max_fee_wei, cap);
    assert_false(x402_fee_replacement(&fee, &base, &fee, &low));
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

static void gas_is_dear_above_twice_the_median_of_the_past(void **state)
{
    (void)state;
    assert_false(x402_fee_is_dear(20000000, 10000000, false));
    assert_true(x402_fee_is_dear(20000001, 10000000, false));
    assert_true(x402_fee_is_dear(UINT64_MAX, 10000000, false));
    assert_false(x402_fee_is_dear(UINT64_MAX, UINT64_MAX, false));
}

static void gas_that_was_dear_stays_so_down_to_half_above_the_median(void **state)
{
    (void)state;
    assert_true(x402_fee_is_dear(15000001, 10000000, true));
    assert_false(x402_fee_is_dear(15000000, 10000000, true));
    assert_false(x402_fee_is_dear(15000001, 10000000, false));
}

/* On a quiet test chain the base fee falls to a few wei and doubles for nothing. */
static void what_every_transaction_offers_is_never_dear(void **state)
{
    (void)state;
    assert_false(x402_fee_is_dear(X402_MAX_FEE_WEI_MIN, 7, false));
    assert_false(x402_fee_is_dear(X402_MAX_FEE_WEI_MIN, 7, true));
    assert_true(x402_fee_is_dear(X402_MAX_FEE_WEI_MIN + 1, 7, false));
}

static void without_a_past_nothing_is_dear(void **state)
{
    (void)state;
    assert_int_equal(x402_fee_median(NULL, 0), 0);
    assert_false(x402_fee_is_dear(UINT64_MAX, 0, false));
    assert_false(x402_fee_is_dear(UINT64_MAX, 0, true));
}

static void a_median_is_the_middle_whatever_the_order(void **state)
{
    static const uint64_t odd[] = {9, 1, 5}, even[] = {4, 1, 3, 2};
    static const uint64_t same[] = {7, 7, 7, 1}, one[] = {6};

    (void)state;
    assert_int_equal(x402_fee_median(odd, 3), 5);
    assert_int_equal(x402_fee_median(even, 4), 3);
    assert_int_equal(x402_fee_median(same, 4), 7);
    assert_int_equal(x402_fee_median(one, 1), 6);
}

/* Each policy's cap is reached before the rows of a nonce are used up. */
static void a_tenth_more_each_time_passes_every_cap_soon(void **state)
{
    static const uint64_t chains[] = {1, 137, 8453};

    (void)state;
    for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++) {
        struct x402_fee_policy policy = x402_fee_policy_of(chains[i]);
        struct x402_fee fee, none = {0, 0};
        unsigned rows = 1;
        assert_true(x402_fee_quote(&fee, &policy, 0, NULL, 0));
        while (x402_fee_replacement(&fee, &policy, &fee, &none))
            rows++;
        assert_true(rows < X402_PENDING_ROWS_MAX);
    }
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
        cmocka_unit_test(a_fee_that_leaves_no_room_for_a_replacement_is_the_cap),
        cmocka_unit_test(replacements_end_at_the_cap),
        cmocka_unit_test(gas_is_dear_above_twice_the_median_of_the_past),
        cmocka_unit_test(gas_that_was_dear_stays_so_down_to_half_above_the_median),
        cmocka_unit_test(what_every_transaction_offers_is_never_dear),
        cmocka_unit_test(without_a_past_nothing_is_dear),
        cmocka_unit_test(a_median_is_the_middle_whatever_the_order),
        cmocka_unit_test(a_tenth_more_each_time_passes_every_cap_soon),
        cmocka_unit_test(chains_that_are_not_listed_are_like_base),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
