/* What a facilitator is told, and what its answers are taken for. */
#include "unit/core/support.h"

#include "settle/remote_body.h"

#include <stdlib.h>

#define HASH "0x1111111111111111111111111111111111111111111111111111111111111111"
#define ZERO "0x0000000000000000000000000000000000000000000000000000000000000000"
#define PAYER "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
#define OTHER "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"

static struct x402_network network_of(const char *name)
{
    struct x402_network network;

    assert_int_equal(x402_network_find(&network, x402_slice_of(name)), X402_OK);
    return network;
}

static struct x402_settlement sold(void)
{
    struct x402_settlement payment = {.payment_id = 7,
                                      .chain_id = 84532,
                                      .value = 10000,
                                      .valid_after_seconds = 5,
                                      .valid_before_seconds = 1740672154,
                                      .route = "/api/x"};

    memcpy(payment.asset20, network_of("base-sepolia").asset20, 20);
    hex_to(payment.from20, 20, PAYER);
    hex_to(payment.to20, 20, OTHER);
    memset(payment.nonce32, 0xab, 32);
    memset(payment.signature65, 0xcd, 65);
    return payment;
}

/* ------------------------------------------------------------------------ supported */

static struct x402_remote_kinds kinds(const char *body)
{
    struct x402_remote_kinds out;

    assert_true(x402_remote_kinds_decode(&out, body, strlen(body)));
    return out;
}

static void the_kinds_of_both_generations_are_one_network(void **state)
{
    struct x402_remote_kinds out =
        kinds("{\"kinds\":["
              "{\"x402Version\":2,\"scheme\":\"exact\",\"network\":\"eip155:84532\","
              "\"extra\":{}},"
              "{\"x402Version\":1,\"scheme\":\"exact\",\"network\":\"base-sepolia\"},"
              "{\"x402Version\":1,\"scheme\":\"exact\",\"network\":\"base\"}],"
              "\"extensions\":[],\"signers\":{\"eip155:*\":[\"" PAYER "\"]}}");
    const struct x402_remote_kind *kind = x402_remote_kind_find(&out, 84532);

    (void)state;
    assert_int_equal(out.count, 2);
    assert_true(kind != NULL && kind->v1 && kind->v2);
    kind = x402_remote_kind_find(&out, 8453);
    assert_true(kind != NULL && kind->v1 && !kind->v2);
    assert_string_equal(kind->network.asset_name, "USD Coin");
    assert_null(x402_remote_kind_find(&out, 137));
}

static void kinds_that_are_of_no_use_are_left_out(void **state)
{
    struct x402_remote_kinds out = kinds(
        "{\"kinds\":["
        "{\"x402Version\":2,\"scheme\":\"upto\",\"network\":\"eip155:84532\"},"
        "{\"x402Version\":2,\"scheme\":\"exact\",\"network\":\"solana:5eykt\"},"
        "{\"x402Version\":2,\"scheme\":\"exact\",\"network\":\"eip155:999999\"},"
        "{\"x402Version\":3,\"scheme\":\"exact\",\"network\":\"eip155:84532\"},"
        "{\"x402Version\":\"2\",\"scheme\":\"exact\",\"network\":\"eip155:84532\"},"
        "{\"scheme\":\"exact\",\"network\":\"eip155:84532\"},"
        "{\"x402Version\":2,\"network\":\"eip155:84532\"},"
        "{\"x402Version\":2,\"scheme\":\"exact\",\"network\":7},null,[],\"exact\"]}");

    (void)state;
    assert_int_equal(out.count, 0);
}

static void what_is_no_list_of_kinds_is_refused(void **state)
{
    static const char *const bodies[] = {"",
                                         "null",
                                         "[]",
                                         "{}",
                                         "{\"kinds\":{}}",
                                         "{\"kinds\":null}",
                                         "{\"kinds\":[",
                                         "<html></html>"};
    struct x402_remote_kinds out;

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        if (x402_remote_kinds_decode(&out, bodies[i], strlen(bodies[i])))
            fail_msg("taken: %s", bodies[i]);
    }
}

/* ----------------------------------------------------------------------------- body */

static void a_payment_goes_in_its_own_generation_where_that_is_taken(void **state)
{
    struct x402_remote_kind both = {.v1 = true, .v2 = true};
    struct x402_remote_kind only_v1 = {.v1 = true}, only_v2 = {.v2 = true};

    (void)state;
    assert_int_equal(x402_remote_version(&both, X402_DIALECT_V1), 1);
    assert_int_equal(x402_remote_version(&both, X402_DIALECT_V2), 2);
    assert_int_equal(x402_remote_version(&both, X402_DIALECT_FLAT), 2);
    assert_int_equal(x402_remote_version(&only_v1, X402_DIALECT_V2), 1);
    assert_int_equal(x402_remote_version(&only_v1, X402_DIALECT_FLAT), 1);
    assert_int_equal(x402_remote_version(&only_v2, X402_DIALECT_V1), 2);
    assert_int_equal(
        x402_remote_version(&(struct x402_remote_kind){0}, X402_DIALECT_V2), 0);
}

#define X8(byte) byte byte byte byte byte byte byte byte
#define NONCE "0x" X8("ab") X8("ab") X8("ab") X8("ab")
#define SIGNATURE                                                                      \
    "0x" X8("cd") X8("cd") X8("cd") X8("cd") X8("cd") X8("cd") X8("cd") X8("cd") "cd"
#define PAYLOAD                                                                        \
    "\"payload\":{\"signature\":\"" SIGNATURE                                          \
    "\",\"authorization\":{\"from\":\"" PAYER "\",\"to\":\"" OTHER                     \
    "\",\"value\":\"10000\",\"validAfter\":\"5\",\"validBefore\":\"1740672154\","      \
    "\"nonce\":\"" NONCE "\"}}"
#define TERMS                                                                          \
    "\"asset\":\"0x036CbD53842c5426634e7929541eC2318f3dCF7e\",\"payTo\":\"" OTHER      \
    "\",\"maxTimeoutSeconds\":300,\"extra\":{\"name\":\"USDC\",\"version\":\"2\"}}"

static void assert_body(int version, const char *expected)
{
    struct x402_settlement payment = sold();
    struct x402_network network = network_of("base-sepolia");
    char body[X402_REMOTE_BODY_MAX];
    size_t size = x402_remote_body_encode(body, &payment, &network, version);

    assert_slice((struct x402_slice){body, size}, expected);
    json_t *value = json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(value);
    json_decref(value);
}

static void a_body_of_v2_repeats_the_requirements_in_what_was_accepted(void **state)
{
    (void)state;
#define REQUIREMENTS                                                                   \
    "{\"scheme\":\"exact\",\"network\":\"eip155:84532\",\"amount\":\"10000\"," TERMS
    assert_body(2, "{\"x402Version\":2,\"paymentPayload\":{\"x402Version\":2,"
                   "\"accepted\":" REQUIREMENTS "," PAYLOAD "},"
                   "\"paymentRequirements\":" REQUIREMENTS "}");
#undef REQUIREMENTS
}

static void a_body_of_v1_has_names_and_a_url(void **state)
{
    (void)state;
    assert_body(1, "{\"x402Version\":1,\"paymentPayload\":{\"x402Version\":1,"
                   "\"scheme\":\"exact\",\"network\":\"base-sepolia\"," PAYLOAD "},"
                   "\"paymentRequirements\":{\"scheme\":\"exact\","
                   "\"network\":\"base-sepolia\",\"maxAmountRequired\":\"10000\","
                   "\"resource\":\"http://localhost/api/x\",\"description\":\"\","
                   "\"mimeType\":\"\"," TERMS "}");
}

static void any_route_makes_a_url(void **state)
{
    static const struct {
        const char *route, *url;
    } cases[] = {
        {"", "\"http://localhost/\""},
        {"/", "\"http://localhost/\""},
        {"~ ^/a.*$", "\"http://localhost/\""},
        {"@named", "\"http://localhost/\""},
        {"/a b\"\\\n\x7f\xc3/c", "\"http://localhost/a_b_____/c\""},
    };
    struct x402_network network = network_of("base-sepolia");
    char body[X402_REMOTE_BODY_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct x402_settlement payment = sold();
        snprintf(payment.route, sizeof payment.route, "%s", cases[i].route);
        body[x402_remote_body_encode(body, &payment, &network, 1)] = '\0';
        if (strstr(body, cases[i].url) == NULL)
            fail_msg("'%s': %s", cases[i].route, body);
    }
}

static void the_longest_payment_fits(void **state)
{
    struct x402_network network = network_of("base-sepolia");
    struct x402_settlement payment = sold();
    char body[X402_REMOTE_BODY_MAX];

    (void)state;
    payment.value = payment.valid_before_seconds = UINT64_MAX;
    payment.valid_after_seconds = network.chain_id = UINT64_MAX;
    memset(payment.route, '/', sizeof payment.route - 1);
    memset(network.name, '\x01', sizeof network.name - 1);
    memset(network.asset_name, '\x01', sizeof network.asset_name - 1);
    memset(network.asset_version, '\x01', sizeof network.asset_version - 1);
    assert_in_range(x402_remote_body_encode(body, &payment, &network, 1), 1500,
                    sizeof body);
    assert_in_range(x402_remote_body_encode(body, &payment, &network, 2), 1500,
                    sizeof body);
}

/* -------------------------------------------------------------------------- answers */

static struct x402_remote_answer answer(long status, const char *body)
{
    struct x402_remote_answer out;
    struct x402_settlement payment = sold();
    struct x402_network network = network_of("base-sepolia");

    x402_remote_answer_decode(&out, status, body, strlen(body), &payment, &network);
    return out;
}

#define SUCCESS(more)                                                                  \
    "{\"success\":true,\"transaction\":\"" HASH "\",\"network\":\"base-sepolia\"" more \
    "}"
#define REFUSAL(reason)                                                                \
    "{\"success\":false,\"errorReason\":\"" reason                                     \
    "\",\"transaction\":\"\",\"network\":\"eip155:84532\",\"payer\":\"" PAYER "\"}"

static void success_with_a_transaction_is_believed(void **state)
{
    static const char *const bodies[] = {
        SUCCESS(""),
        SUCCESS(",\"payer\":\"" PAYER "\""),
        SUCCESS(",\"payer\":\"0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a\""),
        SUCCESS(",\"payer\":null,\"amount\":null,\"errorReason\":null"),
        SUCCESS(",\"amount\":\"10000\",\"extensions\":{},\"status\":\"confirmed\""),
        "{\"success\":true,\"transaction\":\"" HASH "\",\"network\":\"eip155:84532\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct x402_remote_answer out = answer(200, bodies[i]);
        if (out.word != X402_REMOTE_SETTLED || !out.fits)
            fail_msg("%s: %s", bodies[i], out.reason);
        assert_hex(out.hash32, 32, HASH);
    }
}

static void success_that_does_not_fit_is_no_answer(void **state)
{
    static const char *const bodies[] = {
        SUCCESS(",\"payer\":\"" OTHER "\""),
        SUCCESS(",\"payer\":\"0x19E7\""),
        SUCCESS(",\"payer\":7"),
        SUCCESS(",\"amount\":\"10001\""),
        SUCCESS(",\"amount\":10000"),
        SUCCESS(",\"network\":\"base-sepolia\""),
        "{\"success\":true,\"transaction\":\"" HASH "\",\"network\":\"base\"}",
        "{\"success\":true,\"transaction\":\"" HASH "\",\"network\":null}",
        "{\"success\":true,\"transaction\":\"" HASH "\"}",
        "{\"success\":true,\"transaction\":\"" ZERO "\",\"network\":\"base-sepolia\"}",
        "{\"success\":true,\"transaction\":\"0x11\",\"network\":\"base-sepolia\"}",
        "{\"success\":true,\"transaction\":\"\",\"network\":\"base-sepolia\"}",
        "{\"success\":true,\"transaction\":null,\"network\":\"base-sepolia\"}",
        "{\"success\":true,\"network\":\"base-sepolia\"}",
        "{\"success\":\"true\",\"transaction\":\"" HASH
        "\",\"network\":\"base-sepolia\"}",
        "{\"success\":1,\"transaction\":\"" HASH "\",\"network\":\"base-sepolia\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct x402_remote_answer out = answer(200, bodies[i]);
        if (out.word != X402_REMOTE_UNKNOWN || out.fits || out.reason[0] == '\0')
            fail_msg("%s: %d %s", bodies[i], (int)out.word, out.reason);
    }
}

static void a_status_of_failure_makes_no_success(void **state)
{
    static const long statuses[] = {100, 199, 300, 302, 400, 402, 404, 500, 502, 599};

    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct x402_remote_answer out = answer(statuses[i], SUCCESS(""));
        assert_int_equal(out.word, X402_REMOTE_UNKNOWN);
        assert_false(out.fits);
    }
}

static void a_known_reason_without_a_transaction_is_a_refusal(void **state)
{
    static const char *const bodies[] = {
        REFUSAL("invalid_exact_evm_signature"),
        REFUSAL("invalid_exact_evm_insufficient_balance"),
        REFUSAL("insufficient_funds"),
        REFUSAL("invalid_exact_evm_payload_authorization_valid_before"),
        REFUSAL("unsupported_scheme"),
        ("{\"success\":false,\"errorReason\":\"insufficient_funds\","
         "\"network\":\"base-sepolia\"}"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        if (answer(200, bodies[i]).word != X402_REMOTE_REFUSED ||
            answer(402, bodies[i]).word != X402_REMOTE_REFUSED ||
            !answer(400, bodies[i]).fits)
            fail_msg("not taken: %s", bodies[i]);
    }
    assert_string_equal(answer(200, REFUSAL("insufficient_funds")).reason,
                        "insufficient_funds");
}

static void what_the_payer_lacks_or_signed_is_its_fault(void **state)
{
    (void)state;
    assert_true(answer(200, REFUSAL("insufficient_funds")).payers_fault);
    assert_true(
        answer(402, REFUSAL("invalid_exact_evm_insufficient_balance")).payers_fault);
    assert_true(answer(200, REFUSAL("invalid_exact_evm_signature")).payers_fault);
    assert_true(
        answer(200, REFUSAL("invalid_exact_evm_payload_signature")).payers_fault);
    assert_false(
        answer(200, REFUSAL("invalid_exact_evm_payload_authorization_valid_before"))
            .payers_fault);
    assert_false(answer(200, REFUSAL("payment_expired")).payers_fault);
    assert_false(answer(200, REFUSAL("settlement_pending")).payers_fault);
    assert_false(answer(500, REFUSAL("insufficient_funds")).payers_fault);
}

static void a_refusal_that_may_hide_a_settlement_is_none(void **state)
{
    static const char *const bodies[] = {
        REFUSAL("settlement_pending"),
        REFUSAL("invalid_exact_evm_nonce_already_used"),
        REFUSAL("invalid_exact_evm_transaction_failed"),
        REFUSAL("invalid_exact_evm_transfer_event_mismatch"),
        REFUSAL("invalid_exact_evm_transaction_simulation_failed"),
        REFUSAL("invalid_transaction_state"),
        REFUSAL("unexpected_settle_error"),
        REFUSAL("unexpected_verify_error"),
        REFUSAL("duplicate_settlement"),
        REFUSAL("smart_wallet_deployment_failed"),
        REFUSAL("authorization_state_used"),
        REFUSAL("Insufficient_Funds"),
        REFUSAL("insufficient_funds "),
        REFUSAL(""),
        "{\"success\":false,\"network\":\"base-sepolia\",\"transaction\":\"\"}",
        "{\"success\":false,\"errorReason\":null,\"network\":\"base-sepolia\"}",
        "{\"success\":false,\"errorReason\":7,\"network\":\"base-sepolia\"}",
        /* It broadcast something. */
        "{\"success\":false,\"errorReason\":\"insufficient_funds\",\"transaction\":"
        "\"" HASH "\",\"network\":\"base-sepolia\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct x402_remote_answer out = answer(200, bodies[i]);
        if (out.word != X402_REMOTE_UNKNOWN || !out.fits || out.reason[0] == '\0')
            fail_msg("%s: %d", bodies[i], (int)out.word);
    }
}

static void a_refusal_of_something_else_is_no_answer(void **state)
{
    static const char *const bodies[] = {
        "{\"success\":false,\"errorReason\":\"insufficient_funds\","
        "\"network\":\"base\"}",
        "{\"success\":false,\"errorReason\":\"insufficient_funds\"}",
        "{\"success\":false,\"errorReason\":\"insufficient_funds\","
        "\"network\":\"base-sepolia\",\"payer\":\"" OTHER "\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct x402_remote_answer out = answer(200, bodies[i]);
        if (out.word != X402_REMOTE_UNKNOWN || out.fits)
            fail_msg("%s: %d", bodies[i], (int)out.word);
    }
    assert_int_equal(answer(500, REFUSAL("insufficient_funds")).word,
                     X402_REMOTE_UNKNOWN);
    assert_false(answer(503, REFUSAL("insufficient_funds")).fits);
}

static void what_is_no_answer_says_nothing(void **state)
{
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{}",
        "true",
        "\"success\"",
        "<html><body>502 Bad Gateway</body></html>",
        "{\"success\":true,\"transaction\":\"" HASH,
        SUCCESS("") "x",
        "{\"error\":\"Missing paymentPayload or paymentRequirements\"}",
        "{\"isValid\":true}",
        "{\"success\":null}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct x402_remote_answer out = answer(200, bodies[i]);
        if (out.word != X402_REMOTE_UNKNOWN || out.fits)
            fail_msg("%s: %d", bodies[i], (int)out.word);
        assert_string_equal(out.reason, "its answer makes no sense");
    }
    assert_string_equal(answer(401, "no").reason, "it answers with status 401");
}

static void a_reason_is_cut_and_made_printable(void **state)
{
    char body[1024], reason[301];

    (void)state;
    memset(reason, 'a', 300);
    reason[300] = '\0';
    snprintf(body, sizeof body,
             "{\"success\":false,\"errorReason\":\"\\u001b[31m\\n%s\","
             "\"network\":\"base-sepolia\"}",
             reason);
    struct x402_remote_answer out = answer(200, body);
    assert_int_equal(strlen(out.reason), X402_REMOTE_REASON_MAX - 1);
    assert_memory_equal(out.reason, "?[31m?aaa", 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kinds_of_both_generations_are_one_network),
        cmocka_unit_test(kinds_that_are_of_no_use_are_left_out),
        cmocka_unit_test(what_is_no_list_of_kinds_is_refused),
        cmocka_unit_test(a_payment_goes_in_its_own_generation_where_that_is_taken),
        cmocka_unit_test(a_body_of_v2_repeats_the_requirements_in_what_was_accepted),
        cmocka_unit_test(a_body_of_v1_has_names_and_a_url),
        cmocka_unit_test(any_route_makes_a_url),
        cmocka_unit_test(the_longest_payment_fits),
        cmocka_unit_test(success_with_a_transaction_is_believed),
        cmocka_unit_test(success_that_does_not_fit_is_no_answer),
        cmocka_unit_test(a_status_of_failure_makes_no_success),
        cmocka_unit_test(a_known_reason_without_a_transaction_is_a_refusal),
        cmocka_unit_test(what_the_payer_lacks_or_signed_is_its_fault),
        cmocka_unit_test(a_refusal_that_may_hide_a_settlement_is_none),
        cmocka_unit_test(a_refusal_of_something_else_is_no_answer),
        cmocka_unit_test(what_is_no_answer_says_nothing),
        cmocka_unit_test(a_reason_is_cut_and_made_printable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
