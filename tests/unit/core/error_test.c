#include "unit/core/support.h"

#include <x402/error.h>

static void symbols_are_the_names_of_the_enum(void **state)
{
    (void)state;
    assert_string_equal(x402_error_symbol(X402_OK), "X402_OK");
    assert_string_equal(x402_error_symbol(X402_ERR_VALUE), "X402_ERR_VALUE");
    assert_string_equal(x402_error_symbol(X402_ERR_RPC), "X402_ERR_RPC");
}

static void each_dialect_is_told_its_own_reason(void **state)
{
    (void)state;
    assert_string_equal(x402_error_reason(X402_ERR_PAYEE),
                        "invalid_exact_evm_recipient_mismatch");
    assert_string_equal(x402_error_reason_v1(X402_ERR_PAYEE),
                        "invalid_exact_evm_payload_recipient_mismatch");
    assert_string_equal(x402_error_reason(X402_ERR_PAYMENT_REQUIRED),
                        "Payment required");
    assert_string_equal(x402_error_reason_v1(X402_ERR_PAYMENT_REQUIRED),
                        "X-PAYMENT header is required");
}

static void every_error_a_caller_sees_is_complete(void **state)
{
    (void)state;
    for (int error = X402_OK + 1; error < X402_ERROR_COUNT; error++) {
        enum x402_error e = (enum x402_error)error;
        int status = x402_error_status(e);
        assert_true(x402_error_reason(e)[0] != '\0');
        assert_true(x402_error_title(e)[0] != '\0');
        assert_true(status == 0 || (status >= 400 && status < 600));
        if (status != 0)
            assert_true(x402_error_reason_v1(e)[0] != '\0');
    }
}

/* Reasons stand in JSON and in headers as they are. */
static void reasons_need_no_escaping(void **state)
{
    (void)state;
    for (int error = X402_OK; error < X402_ERROR_COUNT; error++) {
        const char *reasons[] = {x402_error_reason((enum x402_error)error),
                                 x402_error_reason_v1((enum x402_error)error)};
        for (size_t i = 0; i < 2; i++)
            for (const char *c = reasons[i]; *c != '\0'; c++)
                assert_true(*c >= ' ' && *c < 0x7f && *c != '"' && *c != '\\');
    }
}

static void assert_problem(const struct x402_problem *problem, const char *detail,
                           const char *expected)
{
    char out[X402_PROBLEM_SIZE_MAX];
    size_t size = x402_problem_encode(out, sizeof out, problem, detail);

    assert_slice((struct x402_slice){out, size}, expected);
}

static void problem_document_says_what_and_where(void **state)
{
    (void)state;
    struct x402_problem problem = {X402_ERR_FIELD, "payload.signature",
                                   "0x and 130 hex digits"};

    assert_problem(&problem, "it has 12 digits",
                   "{\"type\":\"about:blank\",\"title\":\"A field of the payment is "
                   "missing or malformed\",\"status\":400,\"code\":\"invalid_payload\","
                   "\"field\":\"payload.signature\",\"expected\":\"0x and 130 hex "
                   "digits\",\"detail\":\"it has 12 digits\"}");
}

static void members_with_nothing_to_say_are_left_out(void **state)
{
    (void)state;
    struct x402_problem problem = {X402_ERR_NONCE_USED, NULL, NULL};

    assert_problem(&problem, NULL,
                   "{\"type\":\"about:blank\",\"title\":\"This payment was already "
                   "used\",\"status\":400,\"code\":\"nonce_already_used\"}");
    problem.error = X402_ERR_SPACE;
    assert_problem(&problem, "",
                   "{\"type\":\"about:blank\",\"title\":\"The buffer is too small\","
                   "\"code\":\"buffer_too_small\"}");
}

static void detail_is_escaped(void **state)
{
    (void)state;
    struct x402_problem problem = {X402_ERR_RATE, NULL, NULL};

    assert_problem(&problem, "say \"no\"\n\xff",
                   "{\"type\":\"about:blank\",\"title\":\"Too many paid calls\","
                   "\"status\":429,\"code\":\"rate_limited\","
                   "\"detail\":\"say \\\"no\\\"\\u000a\xef\xbf\xbd\"}");
}

static void long_detail_is_cut_and_the_document_stays_whole(void **state)
{
    (void)state;
    struct x402_problem problem = {X402_ERR_RATE, "a", "b"};
    char detail[3000];
    char out[4096];

    memset(detail, '\n', sizeof detail - 1);
    detail[sizeof detail - 1] = '\0';
    size_t size = x402_problem_encode(out, sizeof out, &problem, detail);
    assert_in_range(size, X402_PROBLEM_SIZE_MAX - 8, X402_PROBLEM_SIZE_MAX);

    json_t *document = json_loadb(out, size, 0, NULL);
    assert_non_null(document);
    assert_true(strlen(string_at(document, "detail")) > 100);
    json_decref(document);
}

static void every_buffer_too_small_gets_nothing(void **state)
{
    (void)state;
    struct x402_problem problem = {X402_ERR_RATE, "a", "b"};
    char out[X402_PROBLEM_SIZE_MAX];
    size_t size = x402_problem_encode(out, sizeof out, &problem, "detail");

    for (size_t max = 0; max < size; max++)
        assert_int_equal(x402_problem_encode(out, max, &problem, "detail"), 0);
    assert_int_equal(x402_problem_encode(out, size, &problem, "detail"), size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symbols_are_the_names_of_the_enum),
        cmocka_unit_test(each_dialect_is_told_its_own_reason),
        cmocka_unit_test(every_error_a_caller_sees_is_complete),
        cmocka_unit_test(reasons_need_no_escaping),
        cmocka_unit_test(problem_document_says_what_and_where),
        cmocka_unit_test(members_with_nothing_to_say_are_left_out),
        cmocka_unit_test(detail_is_escaped),
        cmocka_unit_test(long_detail_is_cut_and_the_document_stays_whole),
        cmocka_unit_test(every_buffer_too_small_gets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
