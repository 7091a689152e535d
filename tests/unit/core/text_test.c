#include "core/text.h"

#include "unit/core/support.h"

static void assert_text(const struct x402_text *text, const char *expected)
{
    assert_slice((struct x402_slice){text->start, x402_text_size(text)}, expected);
}

static void pieces_follow_one_another(void **state)
{
    (void)state;
    char buffer[128];
    struct x402_text text = x402_text_init(buffer, sizeof buffer);
    static const uint8_t bytes[] = {0x00, 0xab, 0xff};

    x402_text_put(&text, X402_SLICE("a"));
    x402_text_put(&text, (struct x402_slice){NULL, 0});
    x402_text_put_decimal(&text, 0);
    x402_text_put_string(&text, ",");
    x402_text_put_decimal(&text, UINT64_MAX);
    x402_text_put_hex(&text, bytes, sizeof bytes);
    assert_text(&text, "a0,1844674407370955161500abff");
    assert_false(text.overflow);
}

static void what_does_not_fit_is_dropped_with_all_that_follows(void **state)
{
    (void)state;
    char buffer[4];
    struct x402_text text = x402_text_init(buffer, sizeof buffer);

    x402_text_put_string(&text, "abc");
    x402_text_put_string(&text, "de");
    x402_text_put_string(&text, "f");
    assert_true(text.overflow);
    assert_text(&text, "abc");
}

static void quotes_backslashes_and_controls_are_escaped(void **state)
{
    (void)state;
    char buffer[128];
    struct x402_text text = x402_text_init(buffer, sizeof buffer);

    x402_text_put_escaped(&text, X402_SLICE("a\"b\\c\n\0\x1f\x7f/é€😀"),
                          X402_INVALID_REPLACED);
    assert_text(&text, "a\\\"b\\\\c\\u000a\\u0000\\u001f\x7f/é€😀");
}

static void bytes_outside_utf8_follow_the_policy(void **state)
{
    (void)state;
    char buffer[128];
    struct x402_text text = x402_text_init(buffer, sizeof buffer);

    x402_text_put_escaped(&text, X402_SLICE("a\xff\xc3z"), X402_INVALID_REPLACED);
    x402_text_put_escaped(&text, X402_SLICE("a\xff\xc3z"),
                          X402_INVALID_PERCENT_ENCODED);
    assert_text(&text, "a\xef\xbf\xbd\xef\xbf\xbdz"
                       "a%FF%C3z");
}

static void an_escape_is_never_cut_in_half(void **state)
{
    (void)state;
    char buffer[16];

    for (size_t size = 0; size < sizeof buffer; size++) {
        struct x402_text text = x402_text_init(buffer, size);
        x402_text_put_escaped(&text, X402_SLICE("ab\x01€\""), X402_INVALID_REPLACED);
        const char *expected = size >= 13   ? "ab\\u0001€\\\""
                               : size >= 11 ? "ab\\u0001€"
                               : size >= 8  ? "ab\\u0001"
                               : size >= 2  ? "ab"
                               : size == 1  ? "a"
                                            : "";
        assert_text(&text, expected);
        assert_int_equal(text.overflow, size < 13);
    }
}

static void plain_text_ends_at_whatever_json_escapes_or_checks(void **state)
{
    (void)state;
    uint8_t bytes[20];

    for (unsigned c = 0; c < 256; c++) {
        bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
        for (size_t place = 0; place < sizeof bytes; place++) {
            memset(bytes, 'a', sizeof bytes);
            bytes[place] = (uint8_t)c;
            for (size_t size = 0; size <= sizeof bytes; size++)
                assert_int_equal(x402_json_plain_size(bytes, size),
                                 plain || place >= size ? size : place);
        }
    }
}

static void the_first_of_many_ends_plain_text(void **state)
{
    (void)state;
    static const uint8_t ends[] = {0x00, 0x1f, '"', '\\', 0x80, 0xff};
    uint8_t bytes[8];

    for (size_t i = 0; i < sizeof ends; i++)
        for (size_t first = 0; first < sizeof bytes; first++) {
            memset(bytes, '!', first); /* next to a quote, and to the controls */
            memset(bytes + first, ends[i], sizeof bytes - first);
            assert_int_equal(x402_json_plain_size(bytes, sizeof bytes), first);
        }
}

static void utf8_is_recognized_as_rfc_3629_says(void **state)
{
    (void)state;
    static const char *const valid[] = {"",
                                        "a",
                                        "\x7f",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf"};
    static const char *const invalid[] = {"\x80",
                                          "\xbf",
                                          "\xc0\x80",
                                          "\xc1\xbf",
                                          "\xc2",
                                          "\xc2z",
                                          "\xe0\x9f\xbf",
                                          "\xe1\x80",
                                          "\xed\xa0\x80",
                                          "\xed\xbf\xbf",
                                          "\xf0\x8f\xbf\xbf",
                                          "\xf1\x80\x80",
                                          "\xf4\x90\x80\x80",
                                          "\xf5\x80\x80\x80",
                                          "\xfe",
                                          "\xff",
                                          "a\xe2\x82z"};

    for (size_t i = 0; i < sizeof valid / sizeof valid[0]; i++)
        assert_true(x402_utf8_valid(x402_slice_of(valid[i])));
    for (size_t i = 0; i < sizeof invalid / sizeof invalid[0]; i++)
        assert_false(x402_utf8_valid(x402_slice_of(invalid[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_follow_one_another),
        cmocka_unit_test(what_does_not_fit_is_dropped_with_all_that_follows),
        cmocka_unit_test(quotes_backslashes_and_controls_are_escaped),
        cmocka_unit_test(bytes_outside_utf8_follow_the_policy),
        cmocka_unit_test(an_escape_is_never_cut_in_half),
        cmocka_unit_test(plain_text_ends_at_whatever_json_escapes_or_checks),
        cmocka_unit_test(the_first_of_many_ends_plain_text),
        cmocka_unit_test(utf8_is_recognized_as_rfc_3629_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
