/* What may be shown of a URL. */
#include "unit/core/support.h"

#include "settle/origin.h"

static void secrets_are_left_out(void **state)
{
    static const struct {
        const char *url, *shown;
    } cases[] = {
        {"https://node.example", "https://node.example"},
        {"http://127.0.0.1:8545/", "http://127.0.0.1:8545"},
        {"https://node.example/v2/secret", "https://node.example"},
        {"https://node.example?key=secret", "https://node.example"},
        {"https://node.example#secret", "https://node.example"},
        {"https://me:secret@node.example:1/x", "https://node.example:1"},
        {"https://secret@secret@node.example", "https://node.example"},
        {"https://node.example/@secret", "https://node.example"},
        {"http://[::1]:4/x", "http://[::1]:4"},
    };
    char shown[X402_ORIGIN_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        x402_url_origin(shown, cases[i].url);
        assert_string_equal(shown, cases[i].shown);
    }
}

static void a_long_host_is_cut(void **state)
{
    char url[2048] = "https://", shown[X402_ORIGIN_MAX];

    (void)state;
    memset(url + 8, 'a', sizeof url - 9);
    x402_url_origin(shown, url);
    assert_int_equal(strlen(shown), 8 + 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_left_out),
        cmocka_unit_test(a_long_host_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
