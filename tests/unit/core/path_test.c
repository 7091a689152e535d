#include "support.h"

#include "core/path.h"

static void a_path_that_every_server_reads_alike_is_plain(void **state)
{
    static const char *const paths[] = {
        "/",     "/a/b",        "/a/",         "/a/.b",          "/a/b..", "/...",
        "/a%20", "/a?x=//../#", "/a%25b/a%3b", "/a;b/c",         "*",      "",
        "/a/%",  "/a%2",        "/%c3%bc",     "/.well-known/x", "/a%252"};

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (x402_path_is_ambiguous(x402_slice_of(paths[i])))
            fail_msg("'%s' is said to be ambiguous", paths[i]);
    }
}

static void a_path_that_servers_read_differently_is_ambiguous(void **state)
{
    static const char *const paths[] = {
        "//",         "/a//b",     "/./a",      "/a/..",     "/a/../b", "/.",
        "/a\\b",      "/a#b",      "/a%2fb",    "/a%5Cb",    "/%2e/a",  "/.%2e/a",
        "/a%252f",    "/a%255c",   "/%252e",    "/a%25252f", "/;x/a",   "/..;x/a",
        "/..%3bx/a",  "/.%20/a",   "/..%00",    "/%%32%66",  "/%2%66",  "/%2525",
        "/..%253b/a", "/.%2520/a", "/%253bx/a", "/..%3%62"};

    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (!x402_path_is_ambiguous(x402_slice_of(paths[i])))
            fail_msg("'%s' is said to be plain", paths[i]);
    }
}

static void a_host_has_letters_digits_and_a_port(void **state)
{
    static const char *const plain[] = {"example.com", "a-b_c:8402", "[::1]:80"};
    static const char *const other[] = {"", "a/b", "a@b", "a b", "a\"", "\xc3\xbc.de"};
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        assert_true(x402_authority_is_plain(x402_slice_of(plain[i])));
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++)
        assert_false(x402_authority_is_plain(x402_slice_of(other[i])));
    assert_false(x402_authority_is_plain(X402_SLICE("a\0b")));
    memset(text, 'a', sizeof text);
    assert_true(x402_authority_is_plain((struct x402_slice){text, 255}));
    assert_false(x402_authority_is_plain((struct x402_slice){text, 256}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_that_every_server_reads_alike_is_plain),
        cmocka_unit_test(a_path_that_servers_read_differently_is_ambiguous),
        cmocka_unit_test(a_host_has_letters_digits_and_a_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
