#include "unit/cli/support.h"

#include "cli/cli.h"

struct parsed {
    const char *key, *method;
    struct x402_option_list headers;
    bool json;
    const char *words[2];
    size_t words_count;
    enum x402_parsed result;
    char *errors; /* to be freed */
};

/* A command with one of each kind of option and one or two words. */
static void parse(struct parsed *out, const char *const *words)
{
    static const char *const names[] = {"URL", NULL};
    char *argv[16];
    int argc = 0;
    struct capture capture;
    memset(out, 0, sizeof *out);
    const struct x402_option options[] = {
        {"key", 0, X402_OPTION_TEXT, &out->key},
        {"request", 'X', X402_OPTION_TEXT, &out->method},
        {"header", 'H', X402_OPTION_LIST, &out->headers},
        {"json", 'j', X402_OPTION_FLAG, &out->json},
        {NULL, 0, X402_OPTION_FLAG, NULL},
    };
    struct x402_arguments arguments = {.help = "the help\n",
                                       .options = options,
                                       .words_min = 1,
                                       .words_max = 2,
                                       .words_names = names,
                                       .words = out->words};
    argv[argc++] = (char *)(uintptr_t) "pay"; /* only read */
    for (; *words != NULL; words++)
        argv[argc++] = (char *)(uintptr_t)*words;
    argv[argc] = NULL;
    capture_begin(&capture, &stderr);
    out->result = x402_cli_parse(&arguments, argc, argv);
    out->errors = capture_end(&capture);
    out->words_count = arguments.words_count;
}

#define PARSE(out, ...) parse(out, (const char *const[]){__VA_ARGS__, NULL})

static void values_come_attached_or_apart_in_any_order(void **state)
{
    (void)state;
    struct parsed p;
    PARSE(&p, "--key=a=b", "url", "-XPOST", "-H", "A: 1", "--header", "B: 2", "-j");
    assert_int_equal(p.result, X402_PARSED_RUN);
    assert_string_equal(p.key, "a=b");
    assert_string_equal(p.method, "POST");
    assert_int_equal(p.headers.count, 2);
    assert_string_equal(p.headers.items[0], "A: 1");
    assert_string_equal(p.headers.items[1], "B: 2");
    assert_true(p.json);
    assert_int_equal(p.words_count, 1);
    assert_string_equal(p.words[0], "url");
    free(p.errors);
}

static void a_value_may_be_empty_or_look_like_an_option(void **state)
{
    (void)state;
    struct parsed p;
    PARSE(&p, "url", "--key=", "-X", "--help");
    assert_int_equal(p.result, X402_PARSED_RUN);
    assert_string_equal(p.key, "");
    assert_string_equal(p.method, "--help");
    free(p.errors);
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    struct parsed p;
    PARSE(&p, "--", "--key", "-");
    assert_int_equal(p.result, X402_PARSED_RUN);
    assert_int_equal(p.words_count, 2);
    assert_string_equal(p.words[0], "--key");
    assert_string_equal(p.words[1], "-");
    free(p.errors);
}

static void an_unknown_option_names_the_nearest(void **state)
{
    (void)state;
    struct parsed p;
    PARSE(&p, "url", "--jsn");
    assert_int_equal(p.result, X402_PARSED_WRONG);
    assert_contains(p.errors, "no option --jsn: did you mean --json?");
    free(p.errors);
    PARSE(&p, "url", "--quite-another");
    assert_int_equal(p.result, X402_PARSED_WRONG);
    assert_lacks(p.errors, "did you mean");
    free(p.errors);
}

static void wrong_usage_is_refused_by_name(void **state)
{
    (void)state;
    struct parsed p;
    static const struct {
        const char *words[4];
        const char *error;
    } cases[] = {
        {{"--json"}, "x402 pay: URL is missing"},
        {{"a", "b", "c"}, "'c' is one word too many"},
        {{"a", "--key"}, "--key needs a value"},
        {{"a", "-X"}, "--request needs a value"},
        {{"a", "--json=yes"}, "--json takes no value"},
        {{"a", "-jx"}, "-j takes no value"},
        {{"a", "-Z"}, "no option -Z"},
        {{"--key=1", "--key=2", "a"}, "--key is given twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        parse(&p, cases[i].words);
        assert_int_equal(p.result, X402_PARSED_WRONG);
        assert_contains(p.errors, cases[i].error);
        assert_contains(p.errors, "read 'x402 pay --help'");
        free(p.errors);
    }
}

static void help_is_printed_whatever_is_missing(void **state)
{
    (void)state;
    struct parsed p;
    struct capture capture;
    capture_begin(&capture, &stdout);
    PARSE(&p, "--help");
    char *text = capture_end(&capture);
    assert_int_equal(p.result, X402_PARSED_HELP);
    assert_string_equal(text, "the help\n");
    free(text);
    free(p.errors);
}

static void numbers_are_digits_within_bounds(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "", "-1", "+1", "1e3", "0x1", " 1", "1.0", "0", "11", "99999999999999999999"};
    uint64_t number = 7;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(x402_cli_number(&number, wrong[i], 1, 10));
    assert_int_equal(number, 7);
    assert_true(x402_cli_number(&number, "10", 1, 10));
    assert_int_equal(number, 10);
    assert_true(x402_cli_number(&number, "18446744073709551615", 0, UINT64_MAX));
    assert_true(number == UINT64_MAX);
}

static void a_node_is_named_by_network_and_url(void **state)
{
    (void)state;
    struct x402_rpc_option rpc;
    const char *why;
    assert_int_equal(
        x402_cli_rpc_decode(&rpc, &why, "base-sepolia=https://node.example/k?a=b"),
        X402_OK);
    assert_int_equal(rpc.network.chain_id, 84532);
    assert_string_equal(rpc.url, "https://node.example/k?a=b");
    assert_int_equal(x402_cli_rpc_decode(&rpc, &why, "eip155:31337=http://[::1]:8545"),
                     X402_OK);
    assert_int_equal(rpc.network.chain_id, 31337);
}

static void what_is_no_node_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"https://node.example", "NETWORK=URL"},
        {"nowhere=https://node.example", "the network is"},
        {"=https://node.example", "the network is"},
        {"base=node.example", "http://"},
        {"base=", "http://"},
        {"base=https://", "http://"},
        {"base=https:///x", "http://"},
        {"base=https://a b", "http://"},
        {"base=file:///etc/passwd", "http://"},
    };
    struct x402_rpc_option rpc;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *why = NULL;
        assert_int_equal(x402_cli_rpc_decode(&rpc, &why, cases[i].text),
                         X402_ERR_CONFIG);
        assert_contains(why, cases[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_attached_or_apart_in_any_order),
        cmocka_unit_test(a_value_may_be_empty_or_look_like_an_option),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(an_unknown_option_names_the_nearest),
        cmocka_unit_test(wrong_usage_is_refused_by_name),
        cmocka_unit_test(help_is_printed_whatever_is_missing),
        cmocka_unit_test(numbers_are_digits_within_bounds),
        cmocka_unit_test(a_node_is_named_by_network_and_url),
        cmocka_unit_test(what_is_no_node_is_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
