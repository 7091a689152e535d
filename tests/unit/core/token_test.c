#include "support.h"

#include "core/token.h"

#define TOKEN "a-token-of-visible-characters"

static char scratch[X402_TOKEN_SCRATCH];

static void assert_presents(const char *header, const char *token)
{
    struct x402_slice found;

    assert_true(x402_token_presented(&found, scratch, x402_slice_of(header)));
    assert_true(x402_slice_equal(found, x402_slice_of(token)));
}

static void assert_presents_none(const char *header)
{
    struct x402_slice found;

    assert_false(x402_token_presented(&found, scratch, x402_slice_of(header)));
}

static void the_first_line_of_a_file_is_its_token(void **state)
{
    struct x402_slice token;

    (void)state;
    assert_true(x402_token_of_file(&token, TOKEN));
    assert_true(x402_slice_equal(token, X402_SLICE(TOKEN)));
    assert_true(x402_token_of_file(&token, TOKEN "\r\nmore, of any kind"));
    assert_true(x402_slice_equal(token, X402_SLICE(TOKEN)));
}

static void a_line_that_is_short_long_or_not_visible_is_no_token(void **state)
{
    static const char *const lines[] = {"", "fifteen-letters", "a token with blanks",
                                        "ein-sch\xc3\xb6ner-geheimer-text",
                                        "\nsixteen-letters-and-more"};
    char text[X402_TOKEN_MAX + 2] = "";
    struct x402_slice token;

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_false(x402_token_of_file(&token, lines[i]));
    memset(text, 'x', X402_TOKEN_MAX);
    assert_true(x402_token_of_file(&token, text));
    text[X402_TOKEN_MAX] = 'x';
    assert_false(x402_token_of_file(&token, text));
}

static void a_token_is_presented_as_bearer_or_as_a_password(void **state)
{
    (void)state;
    assert_presents("Bearer " TOKEN, TOKEN);
    assert_presents("bearer   " TOKEN, TOKEN);
    assert_presents("Basic bWU6YTpi", "a:b"); /* me:a:b */
    assert_presents("BASIC Og==", "");        /* : */
}

static void other_schemes_and_what_is_not_base64_present_none(void **state)
{
    char header[6 + X402_BASE64_SIZE(X402_TOKEN_SCRATCH + 3) + 1] = "Basic ";

    (void)state;
    assert_presents_none("");
    assert_presents_none("Bearer");
    assert_presents_none("Bearers " TOKEN);
    assert_presents_none("Digest " TOKEN);
    assert_presents_none("Basic bWU6YTp"); /* cut */
    assert_presents_none("Basic bWU=");    /* no colon */
    assert_presents_none("Basic bWU6\nYTpi");
    memset(header + 6, 'A', sizeof header - 7);
    assert_presents_none(header); /* more than there is room for */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_line_of_a_file_is_its_token),
        cmocka_unit_test(a_line_that_is_short_long_or_not_visible_is_no_token),
        cmocka_unit_test(a_token_is_presented_as_bearer_or_as_a_password),
        cmocka_unit_test(other_schemes_and_what_is_not_base64_present_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
