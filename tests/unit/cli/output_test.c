#include "unit/cli/support.h"

#include "cli/cli.h"

/* What a printer writes; to be freed. */
static char *json_of(const char *text)
{
    char *out = NULL;
    size_t size;
    FILE *file = open_memstream(&out, &size);
    x402_cli_json_string(file, text);
    fclose(file);
    return out;
}

static void json_strings_escape_what_json_must(void **state)
{
    (void)state;
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"", "\"\""},
        {"/api/ask", "\"/api/ask\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"a\nb\x1f\x7f", "\"a\\u000ab\\u001f\\u007f\""},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
         "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *json = json_of(cases[i].text);
        assert_string_equal(json, cases[i].json);
        free(json);
    }
}

static void what_is_not_utf8_is_replaced_in_json(void **state)
{
    (void)state;
    static const char *const texts[] = {"\x80",     "\xc3",         "\xc0\x80",
                                        "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                        "\xf8\x88", "\xff",         "\xe0\x80\x80"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *json = json_of(texts[i]);
        assert_contains(json, "\\ufffd");
        for (const char *at = json; *at != '\0'; at++)
            assert_true((unsigned char)*at < 0x80);
        free(json);
    }
}

static void control_characters_do_not_reach_a_terminal(void **state)
{
    (void)state;
    char *out = NULL;
    size_t size;
    FILE *file = open_memstream(&out, &size);
    x402_cli_print_safe(file, "a\033[31mb\r\n\x7f \xc2\x9b"
                              "31m caf\xc3\xa9\xc2\xa0 \x9b \xe2\x80\xae\xe2\x81\xa6.");
    fclose(file);
    assert_string_equal(out, "a?[31mb??? ?31m caf\xc3\xa9\xc2\xa0 ? ??.");
    free(out);
}

static void nor_do_they_in_json(void **state)
{
    (void)state;
    char *out = json_of("\xc2\x80\xc2\x9b\xc2\xa0");
    size_t size;
    FILE *file;
    assert_string_equal(out, "\"\\u0080\\u009b\xc2\xa0\"");
    free(out);
    file = open_memstream(&out, &size);
    x402_cli_print_json(file, "{\"a\":\"\xc2\x9b\x7f\xc3\xa9\"}");
    fclose(file);
    assert_string_equal(out, "{\"a\":\"\\u009b\\u007f\xc3\xa9\"}");
    free(out);
}

static void colour_is_for_terminals_that_did_not_refuse_it(void **state)
{
    (void)state;
    struct capture capture;
    capture_begin(&capture, &stdout); /* no terminal */
    assert_string_equal(x402_cli_style(stdout, X402_STYLE_BAD), "");
    free(capture_end(&capture));
    setenv("NO_COLOR", "1", 1);
    assert_string_equal(x402_cli_style(stdout, X402_STYLE_BAD), "");
}

static void times_are_written_in_utc(void **state)
{
    (void)state;
    char text[X402_TIME_TEXT_SIZE];
    x402_cli_time_encode(text, 0);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    x402_cli_time_encode(text, 1767225599);
    assert_string_equal(text, "2025-12-31T23:59:59Z");
}

static void bytes_are_written_in_hex(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x00, 0xab, 0xff};
    char text[9];
    x402_cli_hex_text(text, sizeof text, bytes, sizeof bytes);
    assert_string_equal(text, "0x00abff");
}

static void a_token_that_is_not_built_in_has_no_decimals(void **state)
{
    (void)state;
    static const uint8_t other20[20] = {1};
    struct x402_network network;
    bool known = true;
    x402_cli_network_of(&network, &known, 84532, other20);
    assert_false(known);
    assert_int_equal(network.decimals, 0);
    assert_int_equal(network.chain_id, 84532);
}

static void the_data_directory_follows_the_xdg_rules(void **state)
{
    (void)state;
    char path[X402_PATH_MAX];
    assert_true(x402_cli_ledger_path(path, "stats", "/srv/x402//"));
    assert_string_equal(path, "/srv/x402/ledger.db");
    assert_true(x402_cli_ledger_path(path, "stats", "./here"));
    assert_true(path[0] == '/');
    assert_contains(path, "/here/ledger.db");
    assert_lacks(path, "./");
    setenv("XDG_DATA_HOME", "/data", 1);
    assert_true(x402_cli_data_dir(path, "stats", NULL));
    assert_true(strcmp(path, "/data/x402") == 0 ||
                strcmp(path, "/var/lib/x402") == 0); /* as root */
}

static void durations_are_rounded_to_what_people_read(void **state)
{
    (void)state;
    static const struct {
        uint64_t microseconds;
        const char *text;
    } cases[] = {
        {0, "0 us"},           {999, "999 us"},         {1000, "1.0 ms"},
        {9940, "9.9 ms"},      {41000, "41 ms"},        {999999, "999 ms"},
        {1250000, "1.2 s"},    {4000000, "4 s"},        {119000000, "119 s"},
        {120000000, "2 min"},  {7199000000, "119 min"}, {7200000000, "2 h"},
        {172800000000, "2 d"},
    };
    char text[X402_DURATION_TEXT_SIZE];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        x402_cli_duration_encode(text, cases[i].microseconds);
        assert_string_equal(text, cases[i].text);
    }
    x402_cli_duration_encode(text, UINT64_MAX);
    assert_string_equal(text, "213503982 d");
}

static void a_time_is_given_by_its_age_or_its_date(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } cases[] = {
        {"90s", 999910},
        {"15m", 999100},
        {"2h", 992800},
        {"3d", 740800},
        {"1w", 395200},
        {"1970-01-02", 86400},
        {"1970-01-02T00:00:01Z", 86401},
        {"1970-01-02T01:00Z", 90000},
    };
    static const char *const wrong[] = {"",    "h",          "2",           "2x", "-2h",
                                        "2hh", "1970-13-01", "1970-01-02T", "now"};
    int64_t seconds = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(x402_cli_since_decode(&seconds, cases[i].text, 1000000));
        assert_int_equal(seconds, cases[i].seconds);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(x402_cli_since_decode(&seconds, wrong[i], 1000000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_strings_escape_what_json_must),
        cmocka_unit_test(what_is_not_utf8_is_replaced_in_json),
        cmocka_unit_test(control_characters_do_not_reach_a_terminal),
        cmocka_unit_test(nor_do_they_in_json),
        cmocka_unit_test(colour_is_for_terminals_that_did_not_refuse_it),
        cmocka_unit_test(times_are_written_in_utc),
        cmocka_unit_test(durations_are_rounded_to_what_people_read),
        cmocka_unit_test(a_time_is_given_by_its_age_or_its_date),
        cmocka_unit_test(bytes_are_written_in_hex),
        cmocka_unit_test(a_token_that_is_not_built_in_has_no_decimals),
        cmocka_unit_test(the_data_directory_follows_the_xdg_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
