#include "unit/core/support.h"

#include <x402/money.h>

static void prices_are_read_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t micro_usd;
    } prices[] = {
        {"0.001", 1000},
        {"$0.001", 1000},
        {"0.1c", 1000},
        {"0.0005", 500},
        {"0.000001", 1},
        {"0.0001c", 1},
        {"1", 1000000},
        {"1c", 10000},
        {"25c", 250000},
        {"00.1", 100000},
        {"0.1000000000000000000000000000", 100000},
        {"0.00010000c", 1},
        {"1.234567", 1234567},
        {"1000000000", UINT64_C(1000000000000000)},
        {"100000000000c", UINT64_C(1000000000000000)},
        {"0000000000000000000000000000000000000000001", 1000000},
    };
    uint64_t micro_usd;

    for (size_t i = 0; i < sizeof prices / sizeof prices[0]; i++) {
        assert_int_equal(
            x402_usd_decode(&micro_usd, NULL, x402_slice_of(prices[i].text)), X402_OK);
        assert_int_equal(micro_usd, prices[i].micro_usd);
    }
}

static void what_is_no_price_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "$",
        "c",
        ".",
        "1.",
        ".5",
        "1.2.3",
        "-1",
        "+1",
        "1e3",
        " 1",
        "1 ",
        "1,000",
        "$1c",
        "$$1",
        "1cc",
        "0x1",
        "free",
        "0",
        "0.0",
        "0c",
        "0.0000001",
        "0.00001c",
        "1000000001",
        "1000000000.000001",
        "100000000001c",
        "99999999999999999999999999999999999999999999999999",
        "18446744073709551616.000001"};
    uint64_t micro_usd = 77;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *why = NULL;
        assert_int_equal(x402_usd_decode(&micro_usd, &why, x402_slice_of(texts[i])),
                         X402_ERR_PRICE);
        assert_non_null(why);
        assert_int_equal(x402_usd_decode(&micro_usd, NULL, x402_slice_of(texts[i])),
                         X402_ERR_PRICE);
    }
    assert_int_equal(micro_usd, 77);
}

static void dollars_become_token_units_exactly(void **state)
{
    (void)state;
    uint64_t atomic;

    assert_int_equal(x402_usd_to_atomic(&atomic, 1000, 6), X402_OK);
    assert_int_equal(atomic, 1000);
    assert_int_equal(x402_usd_to_atomic(&atomic, 1000, 18), X402_OK);
    assert_int_equal(atomic, UINT64_C(1000000000000000));
    assert_int_equal(x402_usd_to_atomic(&atomic, 10000, 2), X402_OK);
    assert_int_equal(atomic, 1);
    assert_int_equal(x402_usd_to_atomic(&atomic, 5000000, 0), X402_OK);
    assert_int_equal(atomic, 5);
    assert_int_equal(x402_usd_to_atomic(&atomic, X402_VALUE_MAX, 6), X402_OK);
    assert_int_equal(atomic, X402_VALUE_MAX);
}

static void what_does_not_come_out_exactly_is_refused(void **state)
{
    (void)state;
    uint64_t atomic = 77;

    assert_int_equal(x402_usd_to_atomic(&atomic, 1000, 2), X402_ERR_PRICE);
    assert_int_equal(x402_usd_to_atomic(&atomic, 1, 5), X402_ERR_PRICE);
    assert_int_equal(x402_usd_to_atomic(&atomic, 0, 6), X402_ERR_PRICE);
    assert_int_equal(x402_usd_to_atomic(&atomic, 10000000, 18), X402_ERR_PRICE);
    assert_int_equal(x402_usd_to_atomic(&atomic, 1, 255), X402_ERR_PRICE);
    assert_int_equal(x402_usd_to_atomic(&atomic, UINT64_MAX, 6), X402_ERR_PRICE);
    assert_int_equal(atomic, 77);
}

static void bounds_are_rounded_down_and_never_too_large(void **state)
{
    (void)state;
    static const struct {
        uint64_t micro_usd;
        unsigned decimals;
        uint64_t atomic;
    } bounds[] = {
        {1000000, 6, 1000000},
        {10000, 2, 1},
        {19999, 2, 1},
        {9999, 2, 0},
        {10000, 0, 0},
        {1, 18, UINT64_C(1000000000000)},
        {9000000, 18, UINT64_C(9000000000000000000)},
        {10000000, 18, X402_VALUE_MAX},
        {1000000, X402_DECIMALS_MAX, X402_VALUE_MAX},
        {UINT64_MAX, 6, X402_VALUE_MAX},
    };

    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
        assert_int_equal(x402_usd_to_bound(bounds[i].micro_usd, bounds[i].decimals),
                         bounds[i].atomic);
}

static void amounts_are_written_for_people(void **state)
{
    (void)state;
    static const struct {
        uint64_t atomic;
        unsigned decimals;
        const char *text;
    } amounts[] = {
        {1000, 6, "0.001"},
        {500, 6, "0.0005"},
        {12000000, 6, "12"},
        {12345678, 6, "12.345678"},
        {0, 6, "0"},
        {0, 0, "0"},
        {7, 0, "7"},
        {1, 36, "0.000000000000000000000000000000000001"},
        {UINT64_MAX, 0, "18446744073709551615"},
        {UINT64_MAX, 18, "18.446744073709551615"},
        {UINT64_MAX, 36, "0.000000000000000018446744073709551615"},
    };
    char text[X402_AMOUNT_TEXT_SIZE];

    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        x402_amount_encode(text, amounts[i].atomic, amounts[i].decimals);
        assert_string_equal(text, amounts[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prices_are_read_exactly),
        cmocka_unit_test(what_is_no_price_is_refused_with_a_reason),
        cmocka_unit_test(dollars_become_token_units_exactly),
        cmocka_unit_test(what_does_not_come_out_exactly_is_refused),
        cmocka_unit_test(bounds_are_rounded_down_and_never_too_large),
        cmocka_unit_test(amounts_are_written_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
