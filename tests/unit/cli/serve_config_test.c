#include "unit/cli/support.h"

#include "cli/serve.h"

#define PAYEE "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"

static struct x402_serve_place some_place(void)
{
    return (struct x402_serve_place){.data_dir = "/srv/data",
                                     .ledger = "/srv/data/ledger.db",
                                     .module = "/opt/ngx_http_x402_module.so",
                                     .run_prefix = "/srv/data/nginx."};
}

static struct x402_serve_flags some_flags(void)
{
    return (struct x402_serve_flags){
        .upstream = "http://127.0.0.1:3000", .price = "0.001", .pay_to = PAYEE};
}

/* The configuration of the flags; to be freed. */
static char *config_of(const struct x402_serve_flags *flags,
                       const struct x402_serve_place *place)
{
    static struct x402_serve serve;
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    assert_true(x402_serve_decode(&serve, flags));
    x402_serve_config_write(file, &serve, place);
    assert_int_equal(fclose(file), 0);
    return text;
}

static void a_rate_that_is_off_is_written_so(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    flags.rate = "off";
    char *text = config_of(&flags, &place);
    assert_contains(text, "x402_rate off;");
    free(text);
}

static void in_shadow_nothing_is_enforced(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    char *text = config_of(&flags, &place);
    assert_contains(text, "x402_enforce on;");
    free(text);
    flags.shadow = true;
    text = config_of(&flags, &place);
    assert_contains(text, "x402_enforce off;");
    free(text);
}

static void figures_are_public_unless_there_is_a_token(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    char *text = config_of(&flags, &place);
    assert_contains(text, "x402_status;");
    assert_contains(text, "x402_stats;");
    assert_contains(text, "x402_metrics;");
    assert_contains(text, "deny all;");
    free(text);
    strcpy(place.token, "/srv/my \"data/status.token");
    text = config_of(&flags, &place);
    assert_contains(text, "x402_status private \"/srv/my \\\"data/status.token\";");
    assert_contains(text, "x402_stats private \"");
    assert_contains(text, "x402_metrics private \"");
    assert_lacks(text, "deny all;");
    free(text);
}

static void a_log_is_written_where_one_is_named(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    char *text = config_of(&flags, &place);
    assert_contains(text, "access_log off;");
    free(text);
    strcpy(place.access_log, "/var/log/x402.json");
    text = config_of(&flags, &place);
    assert_contains(text, "access_log \"/var/log/x402.json\" x402_json;");
    assert_lacks(text, "access_log off;");
    free(text);
}

static void the_configuration_sells_what_the_flags_say(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    flags.workers = "3";
    flags.rate = "5r/s";
    flags.window = "600";
    flags.listen = "*:8080";
    char *text = config_of(&flags, &place);
    assert_contains(text, "load_module \"/opt/ngx_http_x402_module.so\";");
    assert_contains(text, "worker_processes 3;");
    assert_contains(text, "pid \"/srv/data/nginx.pid\";");
    assert_contains(text, "x402_ledger \"/srv/data/ledger.db\";");
    assert_contains(text, "x402_pay_to " PAYEE ";");
    assert_contains(text, "x402_rate 5r/s;");
    assert_contains(text, "x402_window 600;");
    assert_contains(text, "listen 0.0.0.0:8080;");
    assert_contains(text, "x402_price 0.001;");
    assert_contains(text, "server 127.0.0.1:3000 max_fails=0;");
    assert_contains(text, "proxy_pass http://x402_upstream;");
    assert_contains(text, "client_body_temp_path \"/srv/data/tmp-client_body\";");
    assert_lacks(text, "user ");
    assert_lacks(text, "proxy_ssl");
    free(text);
}

static void only_root_names_a_user_for_the_workers(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    place.as_root = true;
    strcpy(place.worker_user, "www-data");
    char *text = config_of(&flags, &place);
    assert_contains(text, "user www-data;");
    assert_lacks(text, "_temp_path");
    free(text);
}

static void an_https_upstream_must_prove_its_name(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    strcpy(place.ca_bundle, "/etc/ssl/ca.crt");
    flags.upstream = "https://api.example.com";
    char *text = config_of(&flags, &place);
    assert_contains(text, "server api.example.com:443 max_fails=0;");
    assert_contains(text, "proxy_pass https://x402_upstream;");
    assert_contains(text, "proxy_set_header Host api.example.com;");
    assert_contains(text, "proxy_ssl_server_name on;");
    assert_contains(text, "proxy_ssl_name api.example.com;");
    assert_contains(text, "proxy_ssl_verify on;");
    assert_contains(text, "proxy_ssl_trusted_certificate \"/etc/ssl/ca.crt\";");
    free(text);
}

static void odd_directories_are_quoted(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    strcpy(place.ledger, "/a b;\"c\\d}/ledger.db");
    char *text = config_of(&flags, &place);
    assert_contains(text, "x402_ledger \"/a b;\\\"c\\\\d}/ledger.db\";");
    free(text);
}

static void a_sold_path_is_sold_in_every_spelling(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    flags.routes.items[flags.routes.count++] = "/v1.0/ask=1c";
    char *text = config_of(&flags, &place);
    assert_contains(text, "location = \"/v1.0/ask\" {\n            x402_price 0.01;");
    assert_contains(text, "location ^~ \"/v1.0/ask/\" {\n            x402_price 0.01;");
    assert_contains(text, "location ~* \"^/v1\\.0/ask(?:[/;]|$)\" {\n            "
                          "x402_price 0.01;");
    free(text);
}

static void a_free_path_is_free_as_written(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    flags.frees.items[flags.frees.count++] = "/health";
    char *text = config_of(&flags, &place);
    assert_contains(text, "location = \"/health\" {\n            x402_price off;");
    assert_contains(text, "location ^~ \"/health/\" {\n            x402_price off;");
    assert_lacks(text, "\"^/health");
    free(text);
}

/* "^~" on /a would hide the pattern of /a/b. */
static void a_path_with_others_below_it_lets_their_patterns_be_tried(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    flags.frees.items[flags.frees.count++] = "/a";
    flags.routes.items[flags.routes.count++] = "/A/b=1c";
    char *text = config_of(&flags, &place);
    assert_contains(text, "location \"/a/\" {\n            x402_price off;");
    assert_lacks(text, "location ^~ \"/a/\"");
    const char *longer = strstr(text, "location ~* \"^/A/b(?:[/;]|$)\"");
    const char *shorter = strstr(text, "location ~ \"^/a(?:/|$)\"");
    assert_non_null(longer);
    assert_non_null(shorter);
    assert_true(longer < shorter);
    free(text);
}

static void everything_may_be_free_but_a_path(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    flags.price = NULL;
    flags.frees.items[flags.frees.count++] = "/";
    flags.routes.items[flags.routes.count++] = "/paid=1c";
    char *text = config_of(&flags, &place);
    assert_contains(text, "location / {\n            x402_price off;");
    free(text);
}

static void the_bounds_of_credit_are_written_out(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    char *text = config_of(&flags, &place);
    assert_contains(text, "x402_settle after;");
    assert_contains(text, "x402_max_unsettled off;");
    free(text);
    flags.rpc = "http://127.0.0.1:8545";
    flags.settler_key = "key";
    flags.settle = "before";
    flags.max_unsettled = "2";
    text = config_of(&flags, &place);
    assert_contains(text, "x402_settle before;");
    assert_contains(text, "x402_max_unsettled 2;");
    assert_contains(text, "x402_max_unsettled_new 0.01;");
    assert_contains(text, "x402_max_unsettled_total 10;");
    free(text);
}

static void a_facilitator_is_named_without_what_is_secret(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    char *text = config_of(&flags, &place);
    assert_null(strstr(text, "x402_facilitator"));
    free(text);
    flags.facilitator.url = "https://x402.org/facilitator";
    flags.facilitator.header_file = "secret-file";
    text = config_of(&flags, &place);
    assert_contains(text, "x402_facilitator \"https://x402.org/facilitator\";");
    assert_null(strstr(text, "secret-file"));
    free(text);
}

static void receipts_have_a_place_of_their_own(void **state)
{
    (void)state;
    struct x402_serve_place place = some_place();
    struct x402_serve_flags flags = some_flags();
    char *text = config_of(&flags, &place);
    assert_contains(text, "location ^~ /x402/receipts/ {\n            x402_price off;\n"
                          "            x402_receipts;");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_configuration_sells_what_the_flags_say),
        cmocka_unit_test(a_rate_that_is_off_is_written_so),
        cmocka_unit_test(in_shadow_nothing_is_enforced),
        cmocka_unit_test(figures_are_public_unless_there_is_a_token),
        cmocka_unit_test(a_log_is_written_where_one_is_named),
        cmocka_unit_test(only_root_names_a_user_for_the_workers),
        cmocka_unit_test(an_https_upstream_must_prove_its_name),
        cmocka_unit_test(odd_directories_are_quoted),
        cmocka_unit_test(a_sold_path_is_sold_in_every_spelling),
        cmocka_unit_test(a_free_path_is_free_as_written),
        cmocka_unit_test(a_path_with_others_below_it_lets_their_patterns_be_tried),
        cmocka_unit_test(everything_may_be_free_but_a_path),
        cmocka_unit_test(the_bounds_of_credit_are_written_out),
        cmocka_unit_test(a_facilitator_is_named_without_what_is_secret),
        cmocka_unit_test(receipts_have_a_place_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
