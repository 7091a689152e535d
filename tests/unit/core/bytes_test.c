#include "unit/core/support.h"

static void slices_are_equal_by_content(void **state)
{
    (void)state;
    char copy[] = "abc";

    assert_true(x402_slice_equal(X402_SLICE("abc"), x402_slice_of(copy)));
    assert_false(x402_slice_equal(X402_SLICE("abc"), X402_SLICE("abd")));
    assert_false(x402_slice_equal(X402_SLICE("abc"), X402_SLICE("ab")));
    assert_true(x402_slice_equal(X402_SLICE(""), (struct x402_slice){NULL, 0}));
}

static void hex_is_lower_case_and_comes_back(void **state)
{
    (void)state;
    uint8_t bytes[256];
    uint8_t decoded[256];
    char text[512];

    for (size_t i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    x402_hex_encode(text, bytes, sizeof bytes);
    assert_memory_equal(text, "000102", 6);
    assert_memory_equal(text + 508, "feff", 4);
    assert_true(x402_hex_decode(decoded, 256, (struct x402_slice){text, 512}));
    assert_memory_equal(bytes, decoded, 256);
}

static void hex_of_either_case_is_read(void **state)
{
    (void)state;
    uint8_t bytes[3];

    assert_true(x402_hex_decode(bytes, 3, X402_SLICE("aBCdEf")));
    assert_hex(bytes, 3, "abcdef");
}

static void hex_of_another_length_is_refused(void **state)
{
    (void)state;
    uint8_t bytes[3];

    assert_false(x402_hex_decode(bytes, 3, X402_SLICE("aabbc")));
    assert_false(x402_hex_decode(bytes, 3, X402_SLICE("aabbccd")));
    assert_false(x402_hex_decode(bytes, 3, X402_SLICE("aabbccdd")));
    assert_false(x402_hex_decode(bytes, 3, X402_SLICE("")));
    assert_true(x402_hex_decode(bytes, 0, X402_SLICE("")));
}

static void only_the_22_hex_digits_are_read(void **state)
{
    (void)state;
    unsigned accepted = 0;
    uint8_t byte;

    for (unsigned c = 0; c < 256; c++) {
        char high[2] = {(char)c, '0'};
        char low[2] = {'0', (char)c};
        bool digit = x402_hex_decode(&byte, 1, (struct x402_slice){high, 2});
        assert_int_equal(x402_hex_decode(&byte, 1, (struct x402_slice){low, 2}), digit);
        accepted += digit;
    }
    assert_int_equal(accepted, 22);
}

static void one_character_that_is_no_digit_spoils_a_text_of_many(void **state)
{
    (void)state;
    uint8_t bytes[8];

    for (size_t place = 0; place < 16; place++) {
        char text[16];
        memset(text, 'f', sizeof text);
        assert_true(x402_hex_decode(bytes, 8, (struct x402_slice){text, 16}));
        text[place] = 'g';
        assert_false(x402_hex_decode(bytes, 8, (struct x402_slice){text, 16}));
    }
}

static void constant_time_comparison_compares(void **state)
{
    (void)state;
    static const uint8_t a[4] = {1, 2, 3, 4};
    static const uint8_t b[4] = {1, 2, 3, 5};

    assert_true(x402_bytes_equal_constant_time(a, a, 4));
    assert_false(x402_bytes_equal_constant_time(a, b, 4));
    assert_true(x402_bytes_equal_constant_time(a, b, 3));
    assert_true(x402_bytes_equal_constant_time(a, b, 0));
}

static void wiped_bytes_are_zero(void **state)
{
    (void)state;
    uint8_t secret[8] = {1, 2, 3, 4, 5, 6, 7, 8};

    x402_bytes_wipe(secret, 7);
    assert_hex(secret, 8, "0000000000000008");
    x402_bytes_wipe(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_are_equal_by_content),
        cmocka_unit_test(hex_is_lower_case_and_comes_back),
        cmocka_unit_test(hex_of_either_case_is_read),
        cmocka_unit_test(hex_of_another_length_is_refused),
        cmocka_unit_test(only_the_22_hex_digits_are_read),
        cmocka_unit_test(one_character_that_is_no_digit_spoils_a_text_of_many),
        cmocka_unit_test(constant_time_comparison_compares),
        cmocka_unit_test(wiped_bytes_are_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
