#include "unit/cli/support.h"

#include "cli/prices.h"

static struct x402_prices prices_of(const char *text)
{
    static struct x402_prices prices;
    x402_prices_scan(&prices, x402_slice_of(text));
    return prices;
}

static void a_price_is_found_with_its_location(void **state)
{
    (void)state;
    struct x402_prices prices = prices_of(
        "http { server { location ^~ \"/api/ask/\" { x402_price 0.001; } } }");
    assert_int_equal(prices.count, 1);
    assert_string_equal(prices.items[0].where, "/api/ask/");
    assert_int_equal(prices.items[0].micro_usd, 1000);
}

static void a_price_outside_of_locations_is_named_by_its_block(void **state)
{
    (void)state;
    struct x402_prices prices =
        prices_of("http { x402_price 0.1c; server { x402_price 2; } }");
    assert_int_equal(prices.count, 2);
    assert_string_equal(prices.items[0].where, "http");
    assert_int_equal(prices.items[0].micro_usd, 1000);
    assert_string_equal(prices.items[1].where, "server");
}

static void what_is_free_or_a_comment_is_no_price(void **state)
{
    (void)state;
    struct x402_prices prices =
        prices_of("location / { x402_price off; # x402_price 1;\n return 200 "
                  "'x402_price 3;'; }");
    assert_int_equal(prices.count, 0);
}

static void a_variable_price_is_counted_and_not_guessed(void **state)
{
    (void)state;
    struct x402_prices prices = prices_of("location / { x402_price $price; }");
    assert_int_equal(prices.count, 0);
    assert_int_equal(prices.variable, 1);
}

static void an_include_is_counted(void **state)
{
    (void)state;
    assert_int_equal(prices_of("include conf.d/*.conf;").included, 1);
}

static void a_price_in_several_places_is_one(void **state)
{
    (void)state;
    struct x402_prices prices = prices_of("location = /a { x402_price 1; }"
                                          "location ~ /a { x402_price 1; }"
                                          "location /b { x402_price 2; }");
    assert_int_equal(prices.count, 2);
    assert_string_equal(prices.items[0].where, "/a");
    assert_int_equal(prices.items[0].more, 1);
    assert_int_equal(prices.items[1].more, 0);
}

static void text_that_is_no_configuration_ends(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "}", "}}{", "'", "\"\\", "x402_price", "x402_price ;", "{{{{", "\\", "#"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(prices_of(texts[i]).count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_price_is_found_with_its_location),
        cmocka_unit_test(a_price_outside_of_locations_is_named_by_its_block),
        cmocka_unit_test(what_is_free_or_a_comment_is_no_price),
        cmocka_unit_test(a_variable_price_is_counted_and_not_guessed),
        cmocka_unit_test(an_include_is_counted),
        cmocka_unit_test(a_price_in_several_places_is_one),
        cmocka_unit_test(text_that_is_no_configuration_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
