#include "unit/cli/support.h"

#include "cli/serve.h"

#define PAYEE "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"

static struct x402_serve serve;

/* Flags that are right. */
static struct x402_serve_flags good_flags(void)
{
    return (struct x402_serve_flags){
        .upstream = "http://127.0.0.1:3000", .price = "0.001", .pay_to = PAYEE};
}

static void add(struct x402_option_list *list, const char *item)
{
    list->items[list->count++] = item;
}

static void assert_right(const struct x402_serve_flags *flags)
{
    assert_true(x402_serve_decode(&serve, flags));
}

/* The message names the flag and what is wrong. */
static void assert_wrong(const struct x402_serve_flags *flags, const char *part)
{
    struct capture capture;
    capture_begin(&capture, &stderr);
    bool fine = x402_serve_decode(&serve, flags);
    char *errors = capture_end(&capture);
    if (fine)
        fail_msg("taken, though wrong: %s", part);
    assert_contains(errors, "x402 serve: --");
    assert_contains(errors, part);
    free(errors);
}

static void the_least_flags_have_good_defaults(void **state)
{
    (void)state;
    struct x402_serve_flags flags = good_flags();
    assert_right(&flags);
    assert_int_equal(serve.micro_usd, 1000);
    assert_string_equal(serve.upstream.host, "127.0.0.1");
    assert_int_equal(serve.upstream.port, 3000);
    assert_false(serve.upstream.tls);
    assert_string_equal(serve.listen.host, "127.0.0.1");
    assert_int_equal(serve.listen.port, 4020);
    assert_int_equal(serve.network.chain_id, 84532);
    assert_int_equal(serve.rate.count, 60);
    assert_int_equal(serve.rate.period_milliseconds, 60000);
    assert_int_equal(serve.window_seconds, 300);
    assert_int_equal(serve.workers, 0);
    assert_null(serve.rpc_url);
}

static void what_is_needed_and_missing_is_named(void **state)
{
    (void)state;
    struct x402_serve_flags flags = {0};
    assert_wrong(&flags, "--upstream is missing");
    flags.upstream = "http://127.0.0.1:3000";
    assert_wrong(&flags, "--pay-to is missing");
    flags.pay_to = PAYEE;
    assert_wrong(&flags, "--price is missing");
}

static void an_upstream_is_a_server_without_a_path(void **state)
{
    (void)state;
    static const struct {
        const char *url, *host;
        uint16_t port;
        bool tls;
    } cases[] = {
        {"http://localhost", "localhost", 80, false},
        {"http://localhost/", "localhost", 80, false},
        {"https://api.example.com", "api.example.com", 443, true},
        {"https://api.example.com:8443/", "api.example.com", 8443, true},
        {"http://[::1]:3000", "[::1]", 3000, false},
        {"http://my_service:1", "my_service", 1, false},
    };
    struct x402_serve_flags flags = good_flags();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        flags.upstream = cases[i].url;
        assert_right(&flags);
        assert_string_equal(serve.upstream.host, cases[i].host);
        assert_int_equal(serve.upstream.port, cases[i].port);
        assert_int_equal(serve.upstream.tls, cases[i].tls);
    }
}

static void what_is_no_upstream_is_refused(void **state)
{
    (void)state;
    static const char *const urls[] = {
        "",
        "localhost:3000",
        "ftp://localhost",
        "http://",
        "http://:80",
        "http://a b",
        "http://a:0",
        "http://a:65536",
        "http://a:1x",
        "http://a;b",
        "http://a{",
        "http://$host",
        "http://\"a\"",
        "http://a\nb",
        "http://user:secret@a",
        "http://a/v1",
        "http://a?x",
        "http://a#x",
        "http://[::1",
        "http://::1",
        "http://-a",
        "https://10.0.0.1",
        "https://[::1]",
        "http://127.0.0.1:4020",
        "http://localhost:4020",
    };
    struct x402_serve_flags flags = good_flags();
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        flags.upstream = urls[i];
        assert_wrong(&flags, "--upstream");
    }
}

static void a_place_to_listen_is_an_address_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        uint16_t port;
    } cases[] = {
        {"8080", "127.0.0.1", 8080},           {"localhost:8080", "127.0.0.1", 8080},
        {"0.0.0.0:80", "0.0.0.0", 80},         {"*:443", "0.0.0.0", 443},
        {"[::1]:4020", "[::1]", 4020},         {"[::]:1", "[::]", 1},
        {"10.1.2.3:65535", "10.1.2.3", 65535},
    };
    static const char *const wrong[] = {"",          "0",      "65536",    "a:80",
                                        "127.0.0.1", "*",      "*:",       ":80",
                                        "[::1]",     "::1:80", "1.2.3:80", "80 ssl",
                                        "*:80;"};
    struct x402_serve_flags flags = good_flags();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        flags.listen = cases[i].text;
        assert_right(&flags);
        assert_string_equal(serve.listen.host, cases[i].host);
        assert_int_equal(serve.listen.port, cases[i].port);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        flags.listen = wrong[i];
        assert_wrong(&flags, "--listen");
    }
}

static void paths_come_longest_first_without_their_slash(void **state)
{
    (void)state;
    struct x402_serve_flags flags = good_flags();
    add(&flags.routes, "/a=0.01");
    add(&flags.routes, "/a/b/=2c");
    add(&flags.frees, "/health");
    assert_right(&flags);
    assert_int_equal(serve.rules_count, 3);
    assert_int_equal(serve.rules[0].path.size, strlen("/health"));
    assert_int_equal(serve.rules[0].micro_usd, 0);
    assert_memory_equal(serve.rules[1].path.data, "/a/b", 4);
    assert_int_equal(serve.rules[1].path.size, 4);
    assert_int_equal(serve.rules[1].micro_usd, 20000);
    assert_int_equal(serve.rules[2].path.size, 2);
    assert_int_equal(serve.rules[2].micro_usd, 10000);
}

static void what_nginx_could_misread_is_no_path(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "",      "a",      "/a b",    "/a;b",  "/a{",        "/a}",    "/a\"",
        "/a\\b", "/$uri",  "/a#",     "/a?b",  "/a%20b",     "/a\nb",  "/a\tb",
        "//a",   "/a//b",  "/./a",    "/a/..", "/../a",      "/a/./b", "/a|b",
        "/x402", "/x402/", "/X402/a", "/a<",   "/x402/stats"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct x402_serve_flags flags = good_flags();
        add(&flags.frees, paths[i]);
        assert_wrong(&flags, "--free");
        char route[64];
        flags = good_flags();
        snprintf(route, sizeof route, "%s=0.1", paths[i]);
        add(&flags.routes, route);
        assert_wrong(&flags, "--route");
    }
}

static void routes_that_contradict_are_refused(void **state)
{
    (void)state;
    struct x402_serve_flags flags = good_flags();
    add(&flags.routes, "/a=1");
    add(&flags.frees, "/a/");
    assert_wrong(&flags, "--free: '/a' is named twice");
    flags = good_flags();
    add(&flags.routes, "/=1");
    assert_wrong(&flags, "the price of / is --price");
    flags = good_flags();
    add(&flags.routes, "/a");
    assert_wrong(&flags, "write PATH=USD");
    flags = good_flags();
    add(&flags.routes, "/a=");
    assert_wrong(&flags, "--route: '' is not a price");
}

static void all_may_be_free_but_what_is_named(void **state)
{
    (void)state;
    struct x402_serve_flags flags = good_flags();
    add(&flags.frees, "/");
    assert_wrong(&flags, "nothing is sold");
    add(&flags.routes, "/paid=1c");
    assert_wrong(&flags, "contradict");
    flags.price = NULL;
    assert_right(&flags);
    assert_int_equal(serve.micro_usd, 0);
    assert_int_equal(serve.rules_count, 1);
}

static void a_payee_must_be_an_address_that_somebody_has(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "",
        "0x",
        "vitalik.eth",
        "209693Bc6afc0C5328bA36FaF03C514EF312287C",
        "0x209693bC6afc0C5328bA36FaF03C514EF312287C", /* checksum */
        "0x0000000000000000000000000000000000000000"};
    struct x402_serve_flags flags = good_flags();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        flags.pay_to = wrong[i];
        assert_wrong(&flags, "--pay-to");
    }
}

static void other_values_are_checked(void **state)
{
    (void)state;
    struct x402_serve_flags flags = good_flags();
    flags.price = "1e-3";
    assert_wrong(&flags, "--price: '1e-3'");
    flags = good_flags();
    flags.network = "base-sepola";
    assert_wrong(&flags, "did you mean 'base-sepolia'?");
    flags = good_flags();
    flags.rate = "60";
    assert_wrong(&flags, "--rate: '60'");
    flags.rate = "off";
    assert_right(&flags);
    assert_int_equal(serve.rate.count, 0);
    flags = good_flags();
    flags.window = "59";
    assert_wrong(&flags, "--window: '59'");
    flags = good_flags();
    flags.workers = "0";
    assert_wrong(&flags, "--workers: '0'");
}

static void settling_needs_a_node_and_a_key(void **state)
{
    (void)state;
    struct x402_serve_flags flags = good_flags();
    flags.rpc = "http://127.0.0.1:8545";
    assert_wrong(&flags, "--rpc needs --settler-key");
    flags.settler_key = "key";
    assert_right(&flags);
    flags.rpc = "base-sepolia=http://127.0.0.1:8545";
    assert_wrong(&flags, "the node's URL alone");
    flags.rpc = NULL;
    assert_wrong(&flags, "--settler-key needs --rpc");
    flags = good_flags();
    flags.settle = "before";
    assert_wrong(&flags, "--settle before needs --rpc");
    flags.settle = "never";
    assert_wrong(&flags, "--settle: write after or before");
    flags.settle = "after";
    assert_right(&flags);
}

static void a_facilitator_settles_without_a_key_and_with_or_without_a_node(void **state)
{
    (void)state;
    struct x402_serve_flags flags = good_flags();
    flags.facilitator.timeout = "5";
    assert_wrong(&flags, "--facilitator URL is missing");
    flags.facilitator.url = "https://x402.org/facilitator";
    assert_right(&flags);
    assert_true(x402_serve_settles(&serve));
    assert_false(serve.credit.off);
    flags.settle = "before";
    assert_right(&flags);
    flags.rpc = "http://127.0.0.1:8545";
    assert_right(&flags);
    flags.rpc = "base-sepolia=http://127.0.0.1:8545";
    assert_wrong(&flags, "the node's URL alone");
    flags.rpc = NULL;
    flags.batch_age = "5";
    assert_wrong(&flags, "--batch-age goes with --settler-key");
    flags.batch_age = NULL;
    flags.settler_key = "key";
    assert_wrong(&flags, "one of them settles");
    flags.settler_key = NULL;
    flags.facilitator.url = "https://me@x402.org/facilitator";
    assert_wrong(&flags, "the URL has a user in it");
    flags.facilitator.url = "x402.org";
    assert_wrong(&flags, "write the facilitator's URL");
}

static void credit_is_bounded_where_something_settles(void **state)
{
    (void)state;
    struct x402_serve_flags flags = good_flags();
    assert_right(&flags);
    assert_true(serve.credit.off);
    flags.rpc = "http://127.0.0.1:8545";
    flags.settler_key = "key";
    assert_right(&flags);
    assert_false(serve.credit.off);
    assert_int_equal(serve.credit.payer_micro_usd, 1000000);
    assert_int_equal(serve.credit.new_payer_micro_usd, 10000);
    assert_int_equal(serve.credit.total_micro_usd, 10000000);
}

static void bounds_of_credit_are_dollars(void **state)
{
    (void)state;
    struct x402_serve_flags flags = good_flags();
    flags.max_unsettled_new = "0.5c";
    assert_right(&flags);
    assert_false(serve.credit.off);
    assert_int_equal(serve.credit.new_payer_micro_usd, 5000);
    flags.max_unsettled = "off";
    assert_right(&flags);
    assert_true(serve.credit.off);
    flags.max_unsettled = "much";
    assert_wrong(&flags, "--max-unsettled: 'much'");
}

static void pages_are_public_or_private_and_the_log_a_plain_path(void **state)
{
    (void)state;
    struct x402_serve_flags flags = good_flags();
    assert_right(&flags);
    assert_false(serve.shadow || serve.status_private);
    assert_null(serve.access_log);
    flags.status = "private";
    flags.access_log = "/var/log/x402.json";
    flags.shadow = true;
    assert_right(&flags);
    assert_true(serve.shadow && serve.status_private);
    assert_string_equal(serve.access_log, "/var/log/x402.json");
    flags.access_log = "/var/log/$host.json";
    assert_wrong(&flags, "--access-log: write the path of a file, without '$'");
    flags.access_log = NULL;
    flags.status = "secret";
    assert_wrong(&flags, "--status: write public or private");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_flags_have_good_defaults),
        cmocka_unit_test(what_is_needed_and_missing_is_named),
        cmocka_unit_test(an_upstream_is_a_server_without_a_path),
        cmocka_unit_test(what_is_no_upstream_is_refused),
        cmocka_unit_test(a_place_to_listen_is_an_address_and_port),
        cmocka_unit_test(paths_come_longest_first_without_their_slash),
        cmocka_unit_test(what_nginx_could_misread_is_no_path),
        cmocka_unit_test(routes_that_contradict_are_refused),
        cmocka_unit_test(all_may_be_free_but_what_is_named),
        cmocka_unit_test(a_payee_must_be_an_address_that_somebody_has),
        cmocka_unit_test(other_values_are_checked),
        cmocka_unit_test(settling_needs_a_node_and_a_key),
        cmocka_unit_test(
            a_facilitator_settles_without_a_key_and_with_or_without_a_node),
        cmocka_unit_test(credit_is_bounded_where_something_settles),
        cmocka_unit_test(bounds_of_credit_are_dollars),
        cmocka_unit_test(pages_are_public_or_private_and_the_log_a_plain_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
