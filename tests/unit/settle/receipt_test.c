#include "unit/core/support.h"

#include "settle/chain.h"

static void the_shares_of_a_cost_come_to_the_whole(void **state)
{
    (void)state;
    for (size_t count = 1; count <= X402_BATCH_MAX; count += 7) {
        struct x402_cost whole = {9370123, 46850615000007}, sum = {0, 0};
        for (size_t i = 0; i < count; i++) {
            struct x402_cost share = x402_cost_share(whole, i, count);
            sum.gas_used += share.gas_used;
            sum.fee_wei += share.fee_wei;
        }
        assert_int_equal(sum.gas_used, whole.gas_used);
        assert_int_equal(sum.fee_wei, whole.fee_wei);
    }
}

static void the_first_bears_what_does_not_divide(void **state)
{
    struct x402_cost whole = {101, 11};

    (void)state;
    assert_int_equal(x402_cost_share(whole, 0, 10).gas_used, 11);
    assert_int_equal(x402_cost_share(whole, 0, 10).fee_wei, 2);
    assert_int_equal(x402_cost_share(whole, 9, 10).gas_used, 10);
    assert_int_equal(x402_cost_share(whole, 9, 10).fee_wei, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shares_of_a_cost_come_to_the_whole),
        cmocka_unit_test(the_first_bears_what_does_not_divide),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
