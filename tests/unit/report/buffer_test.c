#include "unit/core/support.h"

#include "report/buffer.h"

#include <stdlib.h>

static void text_grows_as_it_is_written(void **state)
{
    (void)state;
    struct x402_text_buffer text = {0};

    for (unsigned i = 0; i < 10000; i++)
        x402_buffer_put_string(&text, "0123456789");
    assert_false(text.failed);
    assert_int_equal(text.size, 100000);
    assert_int_equal(strlen(text.data), 100000);
    assert_memory_equal(text.data + 99990, "0123456789", 10);
    free(text.data);
}

static void text_past_its_bound_fails_and_stays_so(void **state)
{
    (void)state;
    struct x402_text_buffer text = {.max = 5};

    x402_buffer_put_string(&text, "12345");
    assert_false(text.failed);
    x402_buffer_put_string(&text, "6");
    assert_true(text.failed);
    x402_buffer_put_string(&text, "");
    x402_buffer_put_json(&text, "");
    assert_true(text.failed);
    free(text.data);
}

static void a_json_string_that_fits_when_escaped_is_within_the_bound(void **state)
{
    (void)state;
    struct x402_text_buffer text = {.max = 12};

    x402_buffer_put_json(&text, "0123456789");
    assert_false(text.failed);
    assert_string_equal(text.data, "\"0123456789\"");
    free(text.data);
}

static void numbers_are_written_to_their_ends(void **state)
{
    (void)state;
    struct x402_text_buffer text = {0};

    x402_buffer_put_unsigned(&text, UINT64_MAX);
    x402_buffer_put_string(&text, " ");
    x402_buffer_put_signed(&text, INT64_MIN);
    x402_buffer_put_string(&text, " ");
    x402_buffer_put_scaled(&text, 1500, 6);
    x402_buffer_put_string(&text, " ");
    x402_buffer_put_scaled(&text, UINT64_MAX, 18);
    assert_string_equal(text.data, "18446744073709551615 -9223372036854775808 0.0015 "
                                   "18.446744073709551615");
    free(text.data);
}

static void commas_stand_between_and_nowhere_else(void **state)
{
    (void)state;
    struct x402_text_buffer text = {0};

    x402_buffer_put_string(&text, "{");
    x402_buffer_member(&text, "a");
    x402_buffer_put_string(&text, "[");
    for (unsigned i = 0; i < 3; i++) {
        x402_buffer_comma(&text);
        x402_buffer_put_unsigned(&text, i);
    }
    x402_buffer_put_string(&text, "]");
    x402_buffer_member(&text, "b");
    x402_buffer_put_json(&text, "[");
    x402_buffer_put_string(&text, "}");
    assert_string_equal(text.data, "{\"a\":[0,1,2],\"b\":\"[\"}");
    free(text.data);
}

static void json_strings_are_escaped_and_made_valid(void **state)
{
    (void)state;
    struct x402_text_buffer text = {0};
    const uint8_t bytes[] = {0, 0xab};

    x402_buffer_put_json(&text, "\"\\\n\x01 \xc3\xa9 \xff");
    x402_buffer_put_json_hex(&text, bytes, sizeof bytes);
    assert_string_equal(text.data,
                        "\"\\\"\\\\\\u000a\\u0001 \xc3\xa9 \xef\xbf\xbd\"\"0x00ab\"");
    free(text.data);
}

static void labels_are_escaped_as_prometheus_reads_them(void **state)
{
    (void)state;
    struct x402_text_buffer text = {0};

    x402_buffer_put_label(&text, "a\"b\\c\nd\t\xc3\xa9\xff\xff");
    assert_string_equal(text.data,
                        "\"a\\\"b\\\\c\\nd\t\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"");
    free(text.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows_as_it_is_written),
        cmocka_unit_test(text_past_its_bound_fails_and_stays_so),
        cmocka_unit_test(a_json_string_that_fits_when_escaped_is_within_the_bound),
        cmocka_unit_test(numbers_are_written_to_their_ends),
        cmocka_unit_test(commas_stand_between_and_nowhere_else),
        cmocka_unit_test(json_strings_are_escaped_and_made_valid),
        cmocka_unit_test(labels_are_escaped_as_prometheus_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
