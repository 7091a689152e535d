#include "unit/core/payments.h"

#include <stdlib.h>

#define DIGITS_79                                                                      \
    "\"100000000000000000000000000000000000000000000000000000000000000000000000000"    \
    "0000\""

/* 78 digits */
#define UINT256_MAX                                                                    \
    "\"11579208923731619542357098500868790785326998466564056403945758400791312963"     \
    "9935\""

static struct x402_payment payment;
static struct x402_problem why;

static enum x402_error decode(enum x402_header header, const char *json)
{
    why = (struct x402_problem){X402_OK, NULL, NULL};
    return decode_json(&payment, &why, header, json, strlen(json));
}

static void assert_problem(enum x402_error error, const char *field,
                           const char *expected)
{
    assert_int_equal(why.error, error);
    assert_non_null(why.field);
    assert_string_equal(why.field, field);
    assert_non_null(why.expected);
    if (expected != NULL)
        assert_string_equal(why.expected, expected);
}

static void assert_refused(enum x402_header header, const char *json,
                           enum x402_error error, const char *field)
{
    payment.value = 77;
    assert_int_equal(decode(header, json), error);
    assert_problem(error, field, NULL);
    assert_int_equal(payment.value, 77);
}

/* A good payment with the member at `path` replaced by a JSON text, or removed. */
static char *changed(enum x402_dialect dialect, const char *path,
                     const char *replacement)
{
    json_t *root = json_loads(good_json[dialect], 0, NULL);
    const char *dot = strrchr(path, '.');
    char parent[64] = "";

    if (dot != NULL)
        snprintf(parent, sizeof parent, "%.*s", (int)(dot - path), path);
    json_t *object = json_at(root, parent);
    const char *name = dot != NULL ? dot + 1 : path;
    if (replacement == NULL)
        assert_int_equal(json_object_del(object, name), 0);
    else
        json_object_set_new(object, name,
                            json_loads(replacement, JSON_DECODE_ANY, NULL));
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return text;
}

static void assert_change_refused(enum x402_dialect dialect, const char *path,
                                  const char *replacement, enum x402_error error)
{
    char *json = changed(dialect, path, replacement);

    assert_refused(headers[dialect], json, error, path);
    free(json);
}

static void assert_change_accepted(enum x402_dialect dialect, const char *path,
                                   const char *replacement)
{
    char *json = changed(dialect, path, replacement);

    if (decode(headers[dialect], json) != X402_OK)
        fail_msg("%s = %s: %s: %s", path, replacement, why.field, why.expected);
    free(json);
}

/* --------------------------------------------------------------------- what is read */

static void assert_authorization(enum x402_dialect dialect)
{
    payment = good_payment(dialect);
    assert_int_equal(payment.dialect, dialect);
    assert_int_equal(payment.scheme, X402_SCHEME_EXACT);
    assert_hex(payment.from20, 20, "19e7e376e7c213b7e7e7e46cc70a5dd086daff2a");
    assert_int_equal(payment.value, 10000);
    assert_int_equal(payment.valid_after_seconds, 0);
    assert_int_equal(payment.valid_before_seconds, VALID_BEFORE);
    assert_hex(payment.nonce32, 32, NONCE);
    assert_hex(payment.signature65, 65, SIGNATURE);
}

static void v2_payment_is_read(void **state)
{
    (void)state;
    assert_authorization(X402_DIALECT_V2);
    assert_int_equal(payment.chain_id, 84532);
    assert_string_equal(payment.network, "");
    assert_hex(payment.to20, 20, "209693bc6afc0c5328ba36faf03c514ef312287c");
    assert_hex(payment.accepted_asset20, 20,
               "036cbd53842c5426634e7929541ec2318f3dcf7e");
    assert_hex(payment.accepted_pay_to20, 20,
               "209693bc6afc0c5328ba36faf03c514ef312287c");
    assert_int_equal(payment.accepted_value, 10000);
}

static void v1_payment_is_read(void **state)
{
    (void)state;
    assert_authorization(X402_DIALECT_V1);
    assert_int_equal(payment.chain_id, 0);
    assert_string_equal(payment.network, "base-sepolia");
    assert_hex(payment.to20, 20, "209693bc6afc0c5328ba36faf03c514ef312287c");
    assert_int_equal(payment.accepted_value, 0);
}

static void flat_payment_is_read_and_names_no_payee(void **state)
{
    (void)state;
    static const uint8_t zero[20];

    assert_authorization(X402_DIALECT_FLAT);
    assert_int_equal(payment.chain_id, 0);
    assert_string_equal(payment.network, "");
    assert_memory_equal(payment.to20, zero, 20);
}

static void members_may_come_in_any_order(void **state)
{
    (void)state;
    assert_int_equal(decode(X402_HEADER_X_PAYMENT,
                            "{\"payload\":" PAYLOAD ",\"network\":\"base\",\"scheme\":"
                            "\"exact\",\"x402Version\":1}"),
                     X402_OK);
    assert_string_equal(payment.network, "base");
}

static void escaped_names_and_values_are_understood(void **state)
{
    (void)state;
    assert_int_equal(
        decode(X402_HEADER_X_PAYMENT,
               "{\"x402\\u0056ersion\":1,\"scheme\":\"e\\u0078act\",\"network\":"
               "\"base\\u002dsepolia\",\"payload\":" PAYLOAD "}"),
        X402_OK);
    assert_string_equal(payment.network, "base-sepolia");
}

static void white_space_and_unknown_members_are_skipped(void **state)
{
    (void)state;
    assert_change_accepted(X402_DIALECT_V2, "payload.authorization.other", "[{}]");
    assert_change_accepted(X402_DIALECT_V1, "amount", "{\"a\":[1,2]}");
    assert_change_accepted(X402_DIALECT_FLAT, "payload", "\"x\"");
    assert_change_accepted(X402_DIALECT_FLAT, "network", "3");
    assert_int_equal(
        decode(X402_HEADER_X_PAYMENT,
               " {\n\"x402Version\" : 1 ,\t\"scheme\":\"exact\",\"network\""
               ":\"base\",\"payload\": " PAYLOAD " }\r\n"),
        X402_OK);
}

static void resource_and_extensions_need_not_be_there(void **state)
{
    (void)state;
    assert_change_accepted(X402_DIALECT_V2, "resource", NULL);
    assert_change_accepted(X402_DIALECT_V2, "extensions", NULL);
    assert_change_accepted(X402_DIALECT_V2, "resource", "null");
    assert_change_accepted(X402_DIALECT_V2, "accepted.extra", NULL);
    assert_change_accepted(X402_DIALECT_V2, "accepted.maxTimeoutSeconds", "\"x\"");
}

static void addresses_of_any_case_are_read(void **state)
{
    (void)state;
    assert_change_accepted(X402_DIALECT_V1, "payload.authorization.from",
                           "\"0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a\"");
    assert_change_accepted(X402_DIALECT_V1, "payload.authorization.from",
                           "\"0x19E7E376E7C213B7E7E7E46CC70A5DD086DAFF2A\"");
    assert_change_accepted(X402_DIALECT_V1, "payload.authorization.from",
                           "\"0x19e7E376E7C213B7E7e7e46cc70A5dD086DAff2A\"");
}

static void numbers_above_64_bits_are_held_as_the_largest(void **state)
{
    (void)state;
    assert_change_accepted(X402_DIALECT_V1, "payload.authorization.value",
                           "\"18446744073709551614\"");
    assert_true(payment.value == UINT64_MAX - 1);
    static const char *const above[] = {"\"18446744073709551615\"",
                                        "\"18446744073709551616\"",
                                        "\"99999999999999999999999\"", UINT256_MAX};
    for (size_t i = 0; i < sizeof above / sizeof above[0]; i++) {
        assert_change_accepted(X402_DIALECT_V1, "payload.authorization.value",
                               above[i]);
        assert_true(payment.value == UINT64_MAX);
    }
    char *json = changed(X402_DIALECT_FLAT, "expiry", "0");
    char *zero = strstr(json, "\"expiry\":0");
    char large[1024];
    snprintf(large, sizeof large, "%.*s99999999999999999999999%s",
             (int)(zero + 9 - json), json, zero + 10);
    assert_int_equal(decode(X402_HEADER_X_PAYMENT, large), X402_OK);
    assert_true(payment.valid_before_seconds == UINT64_MAX);
    free(json);
}

static void a_v2_network_that_is_not_eip155_has_no_chain(void **state)
{
    (void)state;
    assert_change_accepted(X402_DIALECT_V2, "accepted.network",
                           "\"solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp\"");
    assert_int_equal(payment.chain_id, 0);
}

static void a_v1_network_longer_than_any_is_left_empty(void **state)
{
    (void)state;
    assert_change_accepted(X402_DIALECT_V1, "network", "\"aaaaaaaaaaaaaaaaaaaaaaa\"");
    assert_string_equal(payment.network, "aaaaaaaaaaaaaaaaaaaaaaa");
    assert_change_accepted(X402_DIALECT_V1, "network", "\"aaaaaaaaaaaaaaaaaaaaaaaa\"");
    assert_string_equal(payment.network, "");
}

/* ------------------------------------------------------------------ what is refused */

static const struct {
    enum x402_dialect dialect;
    const char *path;
} required[] = {
    {X402_DIALECT_V2, "accepted"},
    {X402_DIALECT_V2, "accepted.scheme"},
    {X402_DIALECT_V2, "accepted.network"},
    {X402_DIALECT_V2, "accepted.asset"},
    {X402_DIALECT_V2, "accepted.payTo"},
    {X402_DIALECT_V2, "accepted.amount"},
    {X402_DIALECT_V2, "payload"},
    {X402_DIALECT_V2, "payload.signature"},
    {X402_DIALECT_V2, "payload.authorization"},
    {X402_DIALECT_V2, "payload.authorization.from"},
    {X402_DIALECT_V2, "payload.authorization.to"},
    {X402_DIALECT_V2, "payload.authorization.value"},
    {X402_DIALECT_V2, "payload.authorization.validAfter"},
    {X402_DIALECT_V2, "payload.authorization.validBefore"},
    {X402_DIALECT_V2, "payload.authorization.nonce"},
    {X402_DIALECT_V1, "scheme"},
    {X402_DIALECT_V1, "network"},
    {X402_DIALECT_V1, "payload"},
    {X402_DIALECT_V1, "payload.signature"},
    {X402_DIALECT_V1, "payload.authorization"},
    {X402_DIALECT_V1, "payload.authorization.from"},
    {X402_DIALECT_V1, "payload.authorization.to"},
    {X402_DIALECT_V1, "payload.authorization.value"},
    {X402_DIALECT_V1, "payload.authorization.validAfter"},
    {X402_DIALECT_V1, "payload.authorization.validBefore"},
    {X402_DIALECT_V1, "payload.authorization.nonce"},
    {X402_DIALECT_FLAT, "signature"},
    {X402_DIALECT_FLAT, "nonce"},
    {X402_DIALECT_FLAT, "expiry"},
    {X402_DIALECT_FLAT, "amount"},
    {X402_DIALECT_FLAT, "from"},
};

static void every_required_field_is_missed_by_its_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++)
        assert_change_refused(required[i].dialect, required[i].path, NULL,
                              X402_ERR_FIELD);
}

static void values_of_another_kind_are_refused_by_their_path(void **state)
{
    (void)state;
    static const char *const values[] = {"null", "true", "false", "-1",
                                         "1.5",  "[]",   "[{}]",  "\"\""};

    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++)
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            bool scheme = strstr(required[i].path, "scheme") != NULL;
            enum x402_error error = scheme && strcmp(values[v], "\"\"") == 0
                                        ? X402_ERR_SCHEME
                                        : X402_ERR_FIELD;
            assert_change_refused(required[i].dialect, required[i].path, values[v],
                                  error);
        }
}

static void malformed_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const values[] = {
        "\"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2\"",
        "\"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A0\"",
        "\"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2AA\"",
        "\"0X19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A\"",
        "\"19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A00\"",
        "\"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2g\"",
        "\"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2 \"",
        "{}",
        "5"};
    static const char *const paths[] = {"payload.authorization.from",
                                        "payload.authorization.to", "accepted.asset",
                                        "accepted.payTo"};

    for (size_t p = 0; p < 4; p++)
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++)
            assert_change_refused(X402_DIALECT_V2, paths[p], values[v], X402_ERR_FIELD);
    assert_change_refused(X402_DIALECT_FLAT, "from", values[0], X402_ERR_FIELD);
}

static void malformed_numbers_are_refused(void **state)
{
    (void)state;
    static const char *const values[] = {"10000",
                                         "\"-1\"",
                                         "\"+1\"",
                                         "\"1.0\"",
                                         "\"1e3\"",
                                         "\" 1\"",
                                         "\"1 \"",
                                         "\"0x10\"",
                                         "\"1000000000000000000000000000000000000000000"
                                         "000000000000000000000000000000000000"
                                         "\"" /* 79 digits */};
    static const char *const paths[] = {
        "payload.authorization.value", "payload.authorization.validAfter",
        "payload.authorization.validBefore", "accepted.amount"};

    for (size_t p = 0; p < 4; p++)
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++)
            assert_change_refused(X402_DIALECT_V2, paths[p], values[v], X402_ERR_FIELD);
    assert_change_refused(X402_DIALECT_FLAT, "amount", "10000", X402_ERR_FIELD);
}

static void malformed_expiries_are_refused(void **state)
{
    (void)state;
    static const char *const values[] = {
        "0", "-1", "1.5", "1e9", "1740672154.0", "\"1740672154\"", "{}"};

    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++)
        assert_change_refused(X402_DIALECT_FLAT, "expiry", values[v], X402_ERR_FIELD);
}

static void a_signature_that_is_not_65_bytes_is_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"payload.signature", "payload.signature",
                                        "signature"};
    char shorter[] = "\"" SIGNATURE "\"";
    const char longer[] = "\"" SIGNATURE "00\"";

    memcpy(shorter + sizeof shorter - 4, "\"\0", 2);
    for (size_t d = 0; d < 3; d++) {
        assert_change_refused((enum x402_dialect)d, paths[d], shorter, X402_ERR_FIELD);
        assert_change_refused((enum x402_dialect)d, paths[d], longer, X402_ERR_FIELD);
        assert_change_refused((enum x402_dialect)d, paths[d], "\"0x\"", X402_ERR_FIELD);
    }
    assert_problem(X402_ERR_FIELD, "signature", "a string of 0x and 130 hex digits");
}

static void malformed_networks_are_refused(void **state)
{
    (void)state;
    static const char *const values[] = {"\"base-sepolia\"",
                                         "\"eip155:\"",
                                         "\"eip155:0\"",
                                         "\"eip155:084532\"",
                                         "\"eip155:x\"",
                                         "84532",
                                         "\"eip155:18446744073709551616\""};

    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++)
        assert_change_refused(X402_DIALECT_V2, "accepted.network", values[v],
                              X402_ERR_FIELD);
    assert_change_refused(X402_DIALECT_V1, "network", "84532", X402_ERR_FIELD);
}

static void another_scheme_is_refused_before_its_payload_is_read(void **state)
{
    (void)state;
    assert_refused(X402_HEADER_PAYMENT_SIGNATURE,
                   "{\"x402Version\":2,\"accepted\":{\"scheme\":\"upto\"},"
                   "\"payload\":{\"permit2Authorization\":{}}}",
                   X402_ERR_SCHEME, "accepted.scheme");
    assert_refused(X402_HEADER_X_PAYMENT,
                   "{\"x402Version\":1,\"scheme\":\"Exact\",\"payload\":{}}",
                   X402_ERR_SCHEME, "scheme");
}

static void another_version_is_refused(void **state)
{
    (void)state;
    static const char *const values[] = {"0",    "3",   "\"2\"", "2.0", "2e0", "null",
                                         "true", "[2]", "{}",    "-2",  "20"};

    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
        assert_change_refused(X402_DIALECT_V2, "x402Version", values[v],
                              X402_ERR_VERSION);
        assert_change_refused(X402_DIALECT_V1, "x402Version", values[v],
                              X402_ERR_VERSION);
    }
    assert_change_refused(X402_DIALECT_V2, "x402Version", NULL, X402_ERR_VERSION);
    assert_change_refused(X402_DIALECT_V2, "x402Version", "1", X402_ERR_VERSION);
    assert_change_refused(X402_DIALECT_V1, "x402Version", "2", X402_ERR_VERSION);
    assert_problem(X402_ERR_VERSION, "x402Version", "the number 1, or nothing");
}

static void payment_with_duplicate_keys_is_refused(void **state)
{
    (void)state;
    assert_refused(X402_HEADER_X_PAYMENT,
                   "{\"x402Version\":1,\"scheme\":\"exact\",\"network\":\"base\","
                   "\"payload\":{\"authorization\":{\"value\":\"1\",\"value\":\"1\"}}}",
                   X402_ERR_JSON, "payload.authorization.value");
    assert_refused(X402_HEADER_X_PAYMENT, "{\"from\":1,\"fr\\u006fm\":2}",
                   X402_ERR_JSON, "from");
    assert_refused(X402_HEADER_PAYMENT_SIGNATURE,
                   "{\"x402Version\":2,\"x402Version\":2}", X402_ERR_JSON,
                   "x402Version");
    assert_problem(X402_ERR_JSON, "x402Version", "each member once");
}

static void duplicate_keys_in_skipped_objects_are_refused(void **state)
{
    (void)state;
    assert_refused(X402_HEADER_PAYMENT_SIGNATURE,
                   "{\"extensions\":{\"a\":{\"b\":1,\"b\":2}}}", X402_ERR_JSON,
                   "PAYMENT-SIGNATURE");
    assert_refused(X402_HEADER_PAYMENT_SIGNATURE,
                   "{\"accepted\":{\"extra\":{\"b\":1,\"b\":2}}}", X402_ERR_JSON,
                   "accepted");
}

static void broken_json_names_the_member_around_it(void **state)
{
    (void)state;
    assert_refused(X402_HEADER_X_PAYMENT, "", X402_ERR_JSON, "X-PAYMENT");
    assert_refused(X402_HEADER_X_PAYMENT, "{} {}", X402_ERR_JSON, "X-PAYMENT");
    assert_problem(X402_ERR_JSON, "X-PAYMENT", "nothing after the JSON");
    assert_refused(X402_HEADER_X_PAYMENT, "{\"payload\":{\"signature\":\"0x",
                   X402_ERR_JSON, "payload.signature");
    assert_problem(X402_ERR_JSON, "payload.signature", "a closing quote");
    assert_refused(X402_HEADER_X_PAYMENT, "{\"from\":\"\xff\"}", X402_ERR_JSON, "from");
    assert_problem(X402_ERR_JSON, "from", "valid UTF-8");
    assert_refused(X402_HEADER_X_PAYMENT, "{\"from\":\"\n\"}", X402_ERR_JSON, "from");
    assert_refused(X402_HEADER_X_PAYMENT, "{\"from\":tru}", X402_ERR_JSON, "from");
}

static void nesting_deeper_than_eight_is_refused(void **state)
{
    (void)state;
    assert_change_accepted(X402_DIALECT_FLAT, "x", "[[[[[[[1]]]]]]]");
    char *json = changed(X402_DIALECT_FLAT, "x", "[[[[[[[[1]]]]]]]]");
    assert_refused(X402_HEADER_X_PAYMENT, json, X402_ERR_JSON, "X-PAYMENT");
    assert_problem(X402_ERR_JSON, "X-PAYMENT", "at most 8 levels of nesting");
    free(json);
}

static void json_that_is_no_object_is_refused(void **state)
{
    (void)state;
    static const char *const documents[] = {"[]", "\"x\"", "1", "null", "true"};

    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++)
        assert_refused(X402_HEADER_PAYMENT_SIGNATURE, documents[i], X402_ERR_JSON,
                       "PAYMENT-SIGNATURE");
}

static void payment_with_white_space_in_base64_is_refused(void **state)
{
    (void)state;
    uint8_t scratch[X402_PAYMENT_SCRATCH_SIZE(8)];

    assert_int_equal(x402_payment_decode(&payment, &why, X402_HEADER_X_PAYMENT,
                                         X402_SLICE("e30=\r\n  "), 8, scratch,
                                         sizeof scratch),
                     X402_ERR_BASE64);
    assert_problem(X402_ERR_BASE64, "X-PAYMENT", "standard base64 with padding");
}

static void header_above_the_bound_is_refused(void **state)
{
    (void)state;
    uint8_t scratch[X402_PAYMENT_SCRATCH_SIZE(8)];
    struct x402_slice text = X402_SLICE("e30gICAg"); /* "{}    " */

    assert_int_equal(x402_payment_decode(&payment, &why, X402_HEADER_PAYMENT_SIGNATURE,
                                         text, 7, scratch, sizeof scratch),
                     X402_ERR_HEADER_SIZE);
    assert_problem(X402_ERR_HEADER_SIZE, "PAYMENT-SIGNATURE", NULL);
    assert_int_equal(x402_payment_decode(&payment, &why, X402_HEADER_PAYMENT_SIGNATURE,
                                         text, 8, scratch, sizeof scratch),
                     X402_ERR_VERSION);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t d = 0; d < 3; d++)
        for (size_t size = 0; size < strlen(good_json[d]); size++)
            assert_int_equal(
                decode_json(&payment, &why, headers[d], good_json[d], size),
                X402_ERR_JSON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v2_payment_is_read),
        cmocka_unit_test(v1_payment_is_read),
        cmocka_unit_test(flat_payment_is_read_and_names_no_payee),
        cmocka_unit_test(members_may_come_in_any_order),
        cmocka_unit_test(escaped_names_and_values_are_understood),
        cmocka_unit_test(white_space_and_unknown_members_are_skipped),
        cmocka_unit_test(resource_and_extensions_need_not_be_there),
        cmocka_unit_test(addresses_of_any_case_are_read),
        cmocka_unit_test(numbers_above_64_bits_are_held_as_the_largest),
        cmocka_unit_test(a_v2_network_that_is_not_eip155_has_no_chain),
        cmocka_unit_test(a_v1_network_longer_than_any_is_left_empty),
        cmocka_unit_test(every_required_field_is_missed_by_its_path),
        cmocka_unit_test(values_of_another_kind_are_refused_by_their_path),
        cmocka_unit_test(malformed_addresses_are_refused),
        cmocka_unit_test(malformed_numbers_are_refused),
        cmocka_unit_test(malformed_expiries_are_refused),
        cmocka_unit_test(a_signature_that_is_not_65_bytes_is_refused),
        cmocka_unit_test(malformed_networks_are_refused),
        cmocka_unit_test(another_scheme_is_refused_before_its_payload_is_read),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(payment_with_duplicate_keys_is_refused),
        cmocka_unit_test(duplicate_keys_in_skipped_objects_are_refused),
        cmocka_unit_test(broken_json_names_the_member_around_it),
        cmocka_unit_test(nesting_deeper_than_eight_is_refused),
        cmocka_unit_test(json_that_is_no_object_is_refused),
        cmocka_unit_test(payment_with_white_space_in_base64_is_refused),
        cmocka_unit_test(header_above_the_bound_is_refused),
        cmocka_unit_test(every_truncation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
