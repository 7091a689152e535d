#include "unit/core/support.h"

#include "cli/pay_offer.h"

#include "evm/signature.h"

#include <x402/verify.h>

#include <stdlib.h>

#define USDC "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
#define PAYEE "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"
#define NOW UINT64_C(1740672089)
#define MAX_MICRO_USD 100000

static const uint8_t key32[32] = {0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                  0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                  0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
                                  0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11};
static const uint8_t nonce32[32] = {0xf3, 1, 2, 3};

static char why[X402_PRICE_WHY_MAX];

/* ------------------------------------------------------------------------- building */

static json_t *entry_v2(void)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:{s:s, s:s}}", "scheme", "exact",
                     "network", "eip155:84532", "amount", "1000", "asset", USDC,
                     "payTo", PAYEE, "maxTimeoutSeconds", 300, "extra", "name", "USDC",
                     "version", "2");
}

static json_t *entry_v1(void)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:{s:s, s:s}}",
                     "scheme", "exact", "network", "base-sepolia", "maxAmountRequired",
                     "1000", "resource", "http://x/", "description", "", "mimeType", "",
                     "asset", USDC, "payTo", PAYEE, "maxTimeoutSeconds", 60, "extra",
                     "name", "USDC", "version", "2");
}

/* A Payment-Required header with these entries, which it takes. */
static char *header_of(json_t *accepts)
{
    json_t *root = json_pack("{s:i, s:s, s:{s:s}, s:o}", "x402Version", 2, "error",
                             "Payment required", "resource", "url", "http://x/",
                             "accepts", accepts);
    char *text = json_dumps(root, JSON_COMPACT);
    size_t size = strlen(text);
    char *header = malloc(X402_BASE64_SIZE(size) + 1);

    x402_base64_encode(header, (const uint8_t *)text, size);
    header[X402_BASE64_SIZE(size)] = '\0';
    free(text);
    json_decref(root);
    return header;
}

static enum x402_error decode_accepts(struct x402_price *out, json_t *accepts)
{
    char *header = header_of(accepts);
    enum x402_error error = x402_price_decode(out, why, x402_slice_of(header),
                                              X402_SLICE("ignored"), MAX_MICRO_USD);

    free(header);
    return error;
}

static enum x402_error decode_v2(struct x402_price *out, json_t *entry)
{
    return decode_accepts(out, json_pack("[o]", entry));
}

static enum x402_error decode_v1(struct x402_price *out, json_t *entry)
{
    json_t *root = json_pack("{s:i, s:s, s:[o]}", "x402Version", 1, "error", "e",
                             "accepts", entry);
    char *text = json_dumps(root, JSON_COMPACT);
    enum x402_error error =
        x402_price_decode(out, why, X402_SLICE(""), x402_slice_of(text), MAX_MICRO_USD);

    free(text);
    json_decref(root);
    return error;
}

/* ------------------------------------------------------------------------- choosing */

static void an_offer_of_version_2_is_read_from_the_header(void **state)
{
    struct x402_price price;
    char text[X402_PRICE_TEXT_SIZE];

    (void)state;
    assert_int_equal(decode_v2(&price, entry_v2()), X402_OK);
    assert_int_equal(price.version, 2);
    assert_int_equal(price.value, 1000);
    assert_int_equal(price.window_seconds, 300);
    assert_int_equal(price.network.chain_id, 84532);
    assert_hex(price.pay_to20, 20, "209693bc6afc0c5328ba36faf03c514ef312287c");
    x402_price_text(text, &price);
    assert_string_equal(text, "0.001 USDC on base-sepolia");
    assert_string_equal(x402_price_header_name(&price), "PAYMENT-SIGNATURE");
    x402_price_release(&price);
}

static void an_offer_of_version_1_is_read_from_the_body(void **state)
{
    struct x402_price price;

    (void)state;
    assert_int_equal(decode_v1(&price, entry_v1()), X402_OK);
    assert_int_equal(price.version, 1);
    assert_int_equal(price.value, 1000);
    assert_string_equal(x402_price_header_name(&price), "X-PAYMENT");
    x402_price_release(&price);
}

static void the_first_way_that_suits_is_taken(void **state)
{
    json_t *solana = entry_v2(), *upto = entry_v2(), *permit2 = entry_v2(),
           *dear = entry_v2(), *cheap = entry_v2();
    struct x402_price price;

    (void)state;
    json_object_set_new(solana, "network", json_string("solana:5eykt4UsFv8P8NJdTREp"));
    json_object_set_new(upto, "scheme", json_string("upto"));
    json_object_set_new(json_object_get(permit2, "extra"), "assetTransferMethod",
                        json_string("permit2"));
    json_object_set_new(dear, "amount", json_string("100001"));
    json_object_set_new(cheap, "amount", json_string("7"));
    assert_int_equal(
        decode_accepts(&price, json_pack("[o, o, o, o, o, o]", solana, upto, permit2,
                                         dear, cheap, entry_v2())),
        X402_OK);
    assert_int_equal(price.value, 7);
    x402_price_release(&price);
}

static void a_price_above_the_limit_is_refused_and_told(void **state)
{
    struct x402_price price;
    json_t *entry = entry_v2(), *unknown = entry_v2();

    (void)state;
    json_object_set_new(entry, "amount", json_string("100001"));
    json_object_set_new(unknown, "network", json_string("eip155:5"));
    assert_int_equal(decode_accepts(&price, json_pack("[o, o]", entry, unknown)),
                     X402_ERR_VALUE);
    assert_string_equal(why,
                        "it costs 0.100001 USDC on base-sepolia, more than the 0.1 "
                        "allowed: --max allows more");
    entry = entry_v2();
    json_object_set_new(entry, "amount", json_string("100000"));
    assert_int_equal(decode_v2(&price, entry), X402_OK);
    x402_price_release(&price);
}

static void an_entry_out_of_shape_is_never_paid(void **state)
{
    static const struct {
        const char *key;
        const char *json;
    } wrong[] = {
        {"scheme", "\"EXACT\""},
        {"scheme", "null"},
        {"network", "\"eip155:084532\""},
        {"network", "84532"},
        {"network", "\"eip155:999999\""},
        {"amount", "1000"},
        {"amount", "\"\""},
        {"amount", "\"0\""},
        {"amount", "\"01000\""},
        {"amount", "\"-1000\""},
        {"amount", "\"1e3\""},
        {"amount", "\"0x10\""},
        {"amount", "\"1000 \""},
        {"amount", "\"99999999999999999999999999\""},
        {"asset", "\"0x0000000000000000000000000000000000000001\""},
        {"asset", "\"0x036cBD53842c5426634e7929541eC2318f3dCF7e\""}, /* checksum */
        {"asset", "null"},
        {"payTo", "\"0x20\""},
        {"payTo", "\"209693Bc6afc0C5328bA36FaF03C514EF312287C\""},
        {"maxTimeoutSeconds", "0"},
        {"maxTimeoutSeconds", "-5"},
        {"maxTimeoutSeconds", "\"300\""},
        {"maxTimeoutSeconds", "1.5"},
        {"extra", "null"},
        {"extra", "{}"},
        {"extra", "{\"name\":\"USDC\"}"},
        {"extra", "{\"name\":\"\",\"version\":\"2\"}"},
        {"extra", "{\"name\":\"USDC\",\"version\":\"a version longer than any\"}"},
        {"extra", "{\"name\":\"USDC\",\"version\":\"2\",\"paymentFlow\":\"escrow\"}"},
    };
    struct x402_price price;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        json_t *entry = entry_v2();
        json_object_set_new(entry, wrong[i].key,
                            json_loads(wrong[i].json, JSON_DECODE_ANY, NULL));
        why[0] = '\0';
        if (decode_v2(&price, entry) == X402_OK)
            fail_msg("paid: %s = %s", wrong[i].key, wrong[i].json);
        assert_true(strlen(why) > 0);
    }
}

static void what_is_no_offer_is_refused(void **state)
{
    static const char *const headers[] = {"e30=", "!!!!",
                                          "bm90IGpzb24=", "W10=", "e30"};
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"x402Version\":2,\"accepts\":[]}",
        "<html>",
        "{\"x402Version\":1",
        "{\"x402Version\":\"1\",\"accepts\":[]}",
    };
    struct x402_price price;

    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        assert_int_equal(x402_price_decode(&price, why, x402_slice_of(headers[i]),
                                           X402_SLICE(""), MAX_MICRO_USD),
                         X402_ERR_JSON);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        assert_int_equal(x402_price_decode(&price, why, X402_SLICE(""),
                                           x402_slice_of(bodies[i]), MAX_MICRO_USD),
                         X402_ERR_JSON);
    assert_int_equal(decode_accepts(&price, json_array()), X402_ERR_SCHEME);
    assert_int_equal(decode_accepts(&price, json_string("none")), X402_ERR_SCHEME);
}

static void an_authorization_never_outlives_a_day(void **state)
{
    json_t *entry = entry_v2();
    struct x402_price price;

    (void)state;
    json_object_set_new(entry, "maxTimeoutSeconds", json_integer(INT64_MAX));
    assert_int_equal(decode_v2(&price, entry), X402_OK);
    assert_int_equal(price.window_seconds, 86400);
    x402_price_release(&price);
}

/* --------------------------------------------------------------------------- paying */

/* Reads a payment the way the gateway does, and verifies it. */
static void verify(struct x402_payment *out, struct x402_price *price,
                   enum x402_header which)
{
    static uint8_t scratch[X402_PAYMENT_SCRATCH_SIZE(X402_PAYMENT_HEADER_MAX)];
    struct x402_offer offer = {
        .accepts_count = 1, .window_min_seconds = 30, .window_max_seconds = 86400};
    const struct x402_accept *accept;
    struct x402_verified verified;
    struct x402_problem problem;
    char *header = x402_price_pay(price, key32, nonce32, NOW);

    assert_non_null(header);
    assert_int_equal(x402_payment_decode(out, &problem, which, x402_slice_of(header),
                                         X402_PAYMENT_HEADER_MAX, scratch,
                                         sizeof scratch),
                     X402_OK);
    offer.accepts[0].network = price->network;
    offer.accepts[0].value = price->value;
    memcpy(offer.accepts[0].pay_to20, price->pay_to20, 20);
    assert_int_equal(x402_match(&accept, &problem, &offer, out, NOW), X402_OK);
    assert_int_equal(x402_verify(NULL, &verified, &problem, accept, out), X402_OK);
    free(header);
    x402_price_release(price);
}

static void a_payment_of_version_2_satisfies_the_gateway(void **state)
{
    struct x402_payment payment;
    struct x402_price price;

    (void)state;
    assert_int_equal(decode_v2(&price, entry_v2()), X402_OK);
    verify(&payment, &price, X402_HEADER_PAYMENT_SIGNATURE);
    assert_int_equal(payment.dialect, X402_DIALECT_V2);
    assert_int_equal(payment.valid_after_seconds, 0);
    assert_int_equal(payment.valid_before_seconds, NOW + 300);
    assert_memory_equal(payment.nonce32, nonce32, 32);
}

static void a_payment_of_version_1_satisfies_the_gateway(void **state)
{
    struct x402_payment payment;
    struct x402_price price;

    (void)state;
    assert_int_equal(decode_v1(&price, entry_v1()), X402_OK);
    verify(&payment, &price, X402_HEADER_X_PAYMENT);
    assert_int_equal(payment.dialect, X402_DIALECT_V1);
    assert_int_equal(payment.valid_after_seconds, NOW - 600);
    assert_int_equal(payment.valid_before_seconds, NOW + 60);
}

static void what_was_accepted_is_echoed_as_it_came(void **state)
{
    json_t *entry = entry_v2();
    uint8_t bytes[4096];
    size_t size;
    struct x402_price price;

    (void)state;
    json_object_set_new(entry, "unheardOf", json_pack("[i, n, b]", 1, 1));
    json_t *expected = json_deep_copy(entry);
    assert_int_equal(decode_v2(&price, entry), X402_OK);
    char *header = x402_price_pay(&price, key32, nonce32, NOW);
    assert_int_equal(
        x402_base64_decode(bytes, &size, sizeof bytes, x402_slice_of(header)), X402_OK);
    json_t *root = json_loadb((const char *)bytes, size, 0, NULL);
    assert_true(json_equal(json_object_get(root, "accepted"), expected));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(root, "resource"), "url")),
        "http://x/");
    json_decref(root);
    json_decref(expected);
    free(header);
    x402_price_release(&price);
}

/* -------------------------------------------------------------------------- answers */

static bool receipt_of(struct x402_pay_receipt *out, const char *json)
{
    char header[1024];
    size_t size = strlen(json);

    x402_base64_encode(header, (const uint8_t *)json, size);
    return x402_pay_receipt_decode(out,
                                   (struct x402_slice){header, X402_BASE64_SIZE(size)});
}

static void a_receipt_says_what_was_paid(void **state)
{
    static const char hash[] =
        "0x1111111111111111111111111111111111111111111111111111111111111111";
    struct x402_pay_receipt receipt;
    char text[256];

    (void)state;
    snprintf(text, sizeof text, "{\"success\":true,\"transaction\":\"%s\"}", hash);
    assert_true(receipt_of(&receipt, text));
    assert_true(receipt.success);
    assert_string_equal(receipt.transaction, hash);
    assert_true(receipt_of(&receipt, "{\"success\":true,\"transaction\":\"\"}"));
    assert_string_equal(receipt.transaction, "");
    assert_true(
        receipt_of(&receipt, "{\"success\":true,\"transaction\":\"0x\\u001b\"}"));
    assert_string_equal(receipt.transaction, "");
    assert_true(receipt_of(&receipt, "{\"success\":false,\"errorReason\":\"broke\"}"));
    assert_false(receipt.success);
    assert_string_equal(receipt.reason, "broke");
}

static void what_is_no_receipt_says_nothing(void **state)
{
    static const char *const texts[] = {
        "", "{}", "[]", "true", "{\"success\":1}", "{\"success\":\"true\"}"};
    struct x402_pay_receipt receipt;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_false(receipt_of(&receipt, texts[i]));
    assert_false(x402_pay_receipt_decode(&receipt, X402_SLICE("not base64")));
}

static void the_reason_of_a_refusal_is_the_offers_error(void **state)
{
    char *header = header_of(json_pack("[o]", entry_v2()));

    (void)state;
    x402_offer_reason(why, x402_slice_of(header), X402_SLICE(""));
    assert_string_equal(why, "Payment required");
    x402_offer_reason(why, X402_SLICE(""), X402_SLICE("{\"error\":\"v1\"}"));
    assert_string_equal(why, "v1");
    x402_offer_reason(why, X402_SLICE(""), X402_SLICE(""));
    assert_string_equal(why, "");
    free(header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_offer_of_version_2_is_read_from_the_header),
        cmocka_unit_test(an_offer_of_version_1_is_read_from_the_body),
        cmocka_unit_test(the_first_way_that_suits_is_taken),
        cmocka_unit_test(a_price_above_the_limit_is_refused_and_told),
        cmocka_unit_test(an_entry_out_of_shape_is_never_paid),
        cmocka_unit_test(what_is_no_offer_is_refused),
        cmocka_unit_test(an_authorization_never_outlives_a_day),
        cmocka_unit_test(a_payment_of_version_2_satisfies_the_gateway),
        cmocka_unit_test(a_payment_of_version_1_satisfies_the_gateway),
        cmocka_unit_test(what_was_accepted_is_echoed_as_it_came),
        cmocka_unit_test(a_receipt_says_what_was_paid),
        cmocka_unit_test(what_is_no_receipt_says_nothing),
        cmocka_unit_test(the_reason_of_a_refusal_is_the_offers_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
