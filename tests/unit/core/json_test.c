#include "core/json.h"

#include "unit/core/support.h"

static struct x402_json json;
static uint8_t buffer[16384];

static bool parse_bytes(const char *text, size_t size)
{
    assert_true(size <= sizeof buffer);
    memcpy(buffer, text, size);
    return x402_json_parse(&json, buffer, size);
}

static bool parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static void assert_refused(const char *text, const char *expected)
{
    assert_false(parse(text));
    assert_string_equal(json.expected, expected);
}

static void valid_documents_are_accepted(void **state)
{
    (void)state;
    static const char *const documents[] = {
        "{}",
        "[]",
        "\"\"",
        "0",
        "-0",
        "true",
        "false",
        "null",
        " \t\r\n{ } \n",
        "{\"a\":1}",
        "{\"a\":{},\"b\":[1,2,[3]]}",
        "[1.5,-2e10,3E+1,4e-7,0.0]",
        "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"]",
        "{\"\":1,\"a\":{\"\":2,\"a\":3}}",
        "[[[[[[[[1]]]]]]]]",
        "\"\x7f\"",
        "\"é€😀\""};

    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++)
        if (!parse(documents[i]))
            fail_msg("%s: %s", documents[i], json.expected);
}

static void broken_documents_are_refused(void **state)
{
    (void)state;
    static const char *const documents[] = {"",
                                            " ",
                                            "{",
                                            "}",
                                            "[",
                                            "]",
                                            "[1,]",
                                            "[,1]",
                                            "{,}",
                                            "{\"a\"}",
                                            "{\"a\":}",
                                            "{\"a\":1,}",
                                            "{a:1}",
                                            "{'a':1}",
                                            "{1:2}",
                                            "[1 2]",
                                            "[1;2]",
                                            "{\"a\":1 \"b\":2}",
                                            "{} {}",
                                            "{}x",
                                            "1 2",
                                            "01",
                                            "-",
                                            "+1",
                                            ".5",
                                            "1.",
                                            "1.e1",
                                            "1e",
                                            "1e+",
                                            "--1",
                                            "0x1",
                                            "NaN",
                                            "Infinity",
                                            "nul",
                                            "True",
                                            "nulll",
                                            "\"",
                                            "\"\\\"",
                                            "\"\\",
                                            "\"a\nb\"",
                                            "\"\\x\"",
                                            "\"\\u12\"",
                                            "\"\\u12g4\"",
                                            "\xef\xbb\xbf{}",
                                            "/**/{}",
                                            "[1]]",
                                            "{\"a\":1]",
                                            "[1}",
                                            "\"\\u\"",
                                            "\"\\u0000\"",
                                            "\f1",
                                            "\v1"};

    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        if (parse(documents[i]))
            fail_msg("accepted: %s", documents[i]);
        assert_non_null(json.expected);
    }
}

static void zero_bytes_are_refused_everywhere(void **state)
{
    (void)state;
    assert_false(parse_bytes("{}\0", 3));
    assert_false(parse_bytes("\0{}", 3));
    assert_false(parse_bytes("\"a\0b\"", 5));
    assert_false(parse_bytes("\"a\\\0\"", 5));
    assert_false(parse_bytes("{\0}", 3));
}

static void invalid_utf8_is_refused_in_names_and_values(void **state)
{
    (void)state;
    assert_refused("{\"\xff\":1}", "valid UTF-8");
    assert_refused("[\"\xc0\x80\"]", "valid UTF-8");
    assert_refused("[\"\xed\xa0\x80\"]", "valid UTF-8");
    assert_refused("[\"\xe2\x82", "valid UTF-8");
}

static void lone_surrogates_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"\"\\ud800\"",        "\"\\udc00\"",
                                        "\"\\ud800x\"",       "\"\\ud800\\n\"",
                                        "\"\\ud800\\ud800\"", "\"\\ud800\\u0041\"",
                                        "\"\\udc00\\ud800\""};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refused(texts[i], "surrogates in pairs");
}

static void control_characters_are_refused_in_strings(void **state)
{
    (void)state;
    for (char c = 1; c < 0x20; c++) {
        char text[] = {'"', c, '"', '\0'};
        assert_refused(text, "no control character in a string");
    }
}

static void strings_mean_what_their_escapes_say(void **state)
{
    (void)state;
    assert_true(parse("[\"a\\u0062\\n\\/\\u20ac\\ud83d\\ude00\\u00e9z\"]"));
    assert_slice(x402_json_text(&json, 1), "ab\n/€😀éz");
}

static void members_are_found_by_name_and_only_at_their_level(void **state)
{
    (void)state;
    assert_true(
        parse("{\"x\":{\"a\":1,\"b\":[{\"c\":2}]},\"c\":\"yes\",\"\\u0064\":4}"));
    unsigned c = x402_json_member(&json, X402_JSON_ROOT, X402_SLICE("c"));
    assert_slice(x402_json_text(&json, c), "yes");
    unsigned d = x402_json_member(&json, X402_JSON_ROOT, X402_SLICE("d"));
    assert_slice(x402_json_text(&json, d), "4");
    assert_int_equal(x402_json_member(&json, X402_JSON_ROOT, X402_SLICE("a")), 0);
    unsigned x = x402_json_member(&json, X402_JSON_ROOT, X402_SLICE("x"));
    assert_slice(x402_json_text(&json, x402_json_member(&json, x, X402_SLICE("a"))),
                 "1");
    assert_int_equal(x402_json_member(&json, c, X402_SLICE("a")), 0);
}

static void a_repeated_name_is_refused_at_every_level(void **state)
{
    (void)state;
    static const char *const texts[] = {"{\"a\":1,\"a\":1}",
                                        "{\"a\":1,\"b\":2,\"a\":3}",
                                        "{\"x\":{\"a\":1,\"a\":2}}",
                                        "[{\"a\":[],\"b\":{},\"b\":{}}]",
                                        "{\"a\":1,\"\\u0061\":2}",
                                        "{\"\":1,\"\":2}",
                                        "{\"a\":{\"b\":1},\"c\":[{},{}],\"a\":0}"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refused(texts[i], "each member once");
    assert_true(parse("{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":1}]}"));
}

static void nesting_is_limited(void **state)
{
    (void)state;
    assert_true(parse("{\"a\":{\"a\":[{\"a\":[{\"a\":[{\"a\":1}]}]}]}}"));
    assert_refused("{\"a\":{\"a\":[{\"a\":[{\"a\":[{\"a\":{}}]}]}]}}",
                   "at most 8 levels of nesting");
    assert_refused("[[[[[[[[[1]]]]]]]]]", "at most 8 levels of nesting");
}

static void depth_is_given_back_when_a_container_closes(void **state)
{
    (void)state;
    assert_true(parse("[[[]],[[]],[[]],[[]],[[]],[[]],[[]],[[]],[[[[[[[]]]]]]]]"));
}

/* open, `count` elements "before i after" (or the same without i), close. */
static void list(char *out, size_t count, const char *brackets, const char *before,
                 const char *after, bool numbered)
{
    *out++ = brackets[0];
    for (size_t i = 0; i < count; i++) {
        out += sprintf(out, "%s%s", i > 0 ? "," : "", before);
        if (numbered)
            out += sprintf(out, "%zu", i);
        out += sprintf(out, "%s", after);
    }
    *out++ = brackets[1];
    *out = '\0';
}

static void values_are_counted_and_limited(void **state)
{
    (void)state;
    static char text[8192];

    list(text, X402_JSON_TOKENS_MAX - 1, "[]", "", "", true);
    assert_true(parse(text));
    static const char *const forms[] = {"1", "\"x\"", "true", "{}", "[]"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        list(text, X402_JSON_TOKENS_MAX, "[]", forms[i], "", false);
        assert_refused(text, "at most 512 JSON values and names");
    }
}

static void members_are_counted_and_limited(void **state)
{
    (void)state;
    static char text[8192];

    list(text, X402_JSON_MEMBERS_MAX, "{}", "\"", "\":1", true);
    assert_true(parse(text));
    list(text, X402_JSON_MEMBERS_MAX + 1, "{}", "\"", "\":1", true);
    assert_refused(text, "at most 64 members in an object");
}

static void every_prefix_of_a_document_is_refused(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,-2.5e+3,true,false,null,"
                               "\"\\u00e9\\ud83d\\ude00€\"],\"b\":{\"c\":{}}}";

    assert_true(parse(text));
    for (size_t size = 0; size < sizeof text - 1; size++)
        assert_false(parse_bytes(text, size));
}

static void a_failure_knows_its_path(void **state)
{
    (void)state;
    char path[32];

    assert_false(parse("{\"x\":{\"a\":1},\"payload\":{\"sig\":\"\xff\"}}"));
    size_t size = x402_json_path(path, sizeof path, &json, 8);
    assert_slice((struct x402_slice){path, size}, "payload.sig");
    size = x402_json_path(path, sizeof path, &json, 1);
    assert_slice((struct x402_slice){path, size}, "payload");
    size = x402_json_path(path, 4, &json, 8);
    assert_int_equal(size, 0);
    assert_false(parse("[{\"x\":!}]"));
    assert_int_equal(x402_json_path(path, sizeof path, &json, 8), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_documents_are_accepted),
        cmocka_unit_test(broken_documents_are_refused),
        cmocka_unit_test(zero_bytes_are_refused_everywhere),
        cmocka_unit_test(invalid_utf8_is_refused_in_names_and_values),
        cmocka_unit_test(lone_surrogates_are_refused),
        cmocka_unit_test(control_characters_are_refused_in_strings),
        cmocka_unit_test(strings_mean_what_their_escapes_say),
        cmocka_unit_test(members_are_found_by_name_and_only_at_their_level),
        cmocka_unit_test(a_repeated_name_is_refused_at_every_level),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(depth_is_given_back_when_a_container_closes),
        cmocka_unit_test(values_are_counted_and_limited),
        cmocka_unit_test(members_are_counted_and_limited),
        cmocka_unit_test(every_prefix_of_a_document_is_refused),
        cmocka_unit_test(a_failure_knows_its_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
