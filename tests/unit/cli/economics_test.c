#include "unit/cli/support.h"

#include "cli/economics.h"

/* Chain facts, section 4: at 0.005 gwei and $3000 an ether. */
static const struct x402_gas_price base = {
    .wei = 5000000, .ether_micro_usd = X402_ETHER_MICRO_USD_DEFAULT};

static void a_payment_alone_costs_what_was_measured(void **state)
{
    (void)state;
    assert_int_equal(x402_cost_single_nano_usd(&base), 1290000);
}

static void a_batch_makes_it_cheaper(void **state)
{
    (void)state;
    assert_int_equal(x402_cost_batched_nano_usd(&base), 712500);
}

static void what_the_first_layer_takes_is_added(void **state)
{
    (void)state;
    struct x402_gas_price price = base;
    price.l1_single_wei = UINT64_C(100000000000); /* 0.0003 dollars */
    assert_int_equal(x402_cost_single_nano_usd(&price), 1590000);
}

static void the_break_even_is_where_the_cost_is_the_price(void **state)
{
    (void)state;
    uint64_t wei = x402_break_even_wei(1000, X402_GAS_SINGLE, 0, base.ether_micro_usd);
    struct x402_gas_price price = base;
    price.wei = wei;
    assert_true(x402_cost_single_nano_usd(&price) <= 1000000);
    price.wei = wei + 1;
    assert_true(x402_cost_single_nano_usd(&price) >= 1000000);
}

static void no_fee_breaks_even_where_the_first_layer_takes_all(void **state)
{
    (void)state;
    assert_int_equal(x402_break_even_wei(1000, X402_GAS_SINGLE,
                                         UINT64_C(1000000000000000),
                                         base.ether_micro_usd),
                     0);
}

static void an_absurd_fee_is_the_largest_number_and_not_a_small_one(void **state)
{
    (void)state;
    assert_true(x402_nano_usd_of_wei(UINT64_MAX, UINT64_MAX) == UINT64_MAX);
}

static void dollars_have_three_significant_digits_or_cents(void **state)
{
    (void)state;
    static const struct {
        uint64_t nano_usd;
        const char *text;
    } cases[] = {
        {0, "0"},
        {7, "0.000000007"},
        {999, "0.000000999"},
        {1294500, "0.00129"},
        {9996000, "0.01"},
        {12345678901, "12.35"},
        {UINT64_C(1234567890000000), "1234567.89"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[X402_NANO_USD_TEXT_SIZE];
        x402_nano_usd_encode(text, cases[i].nano_usd);
        assert_string_equal(text, cases[i].text);
    }
}

static void gwei_have_at_most_six_decimals(void **state)
{
    (void)state;
    char text[X402_GWEI_TEXT_SIZE];
    x402_gwei_encode(text, 5000000);
    assert_string_equal(text, "0.005");
    x402_gwei_encode(text, UINT64_C(20000000000));
    assert_string_equal(text, "20");
    x402_gwei_encode(text, 1);
    assert_string_equal(text, "0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_payment_alone_costs_what_was_measured),
        cmocka_unit_test(a_batch_makes_it_cheaper),
        cmocka_unit_test(what_the_first_layer_takes_is_added),
        cmocka_unit_test(the_break_even_is_where_the_cost_is_the_price),
        cmocka_unit_test(no_fee_breaks_even_where_the_first_layer_takes_all),
        cmocka_unit_test(an_absurd_fee_is_the_largest_number_and_not_a_small_one),
        cmocka_unit_test(dollars_have_three_significant_digits_or_cents),
        cmocka_unit_test(gwei_have_at_most_six_decimals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
