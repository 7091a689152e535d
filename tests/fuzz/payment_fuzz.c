/*
 * Any bytes as a payment header. What we accept, jansson must accept too, and read the
 * same values from; what we refuse must come with a field and an expectation.
 * The first byte says how the rest is taken: '2' JSON in PAYMENT-SIGNATURE, '1' JSON in
 * X-PAYMENT, anything else the text of X-PAYMENT as it stands.
 */
#include "json_mutator.h"

#include <x402/payment.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MAX_FUZZED 8192

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "payment_fuzz: %s\n", what);
    abort();
}

static void check_hex(const uint8_t *bytes, size_t size, json_t *text)
{
    uint8_t expected[65];

    check(json_is_string(text), "a string");
    check(json_string_length(text) == 2 + 2 * size, "hex of the right length");
    struct x402_slice digits = {json_string_value(text) + 2, 2 * size};
    check(x402_hex_decode(expected, size, digits), "hex");
    check(memcmp(bytes, expected, size) == 0, "the same bytes");
}

static void check_decimal(uint64_t number, json_t *text)
{
    char digits[32];

    check(json_is_string(text), "a string");
    const char *value = json_string_value(text);
    check(value[0] != '\0' && strspn(value, "0123456789") == strlen(value), "digits");
    while (value[0] == '0' && value[1] != '\0')
        value++;
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    check(number == UINT64_MAX || strcmp(digits, value) == 0, "the same number");
}

static void check_payload(const struct x402_payment *payment, json_t *payload)
{
    json_t *authorization = json_object_get(payload, "authorization");

    check_hex(payment->signature65, 65, json_object_get(payload, "signature"));
    check_hex(payment->from20, 20, json_object_get(authorization, "from"));
    check_hex(payment->to20, 20, json_object_get(authorization, "to"));
    check_decimal(payment->value, json_object_get(authorization, "value"));
    check_decimal(payment->valid_after_seconds,
                  json_object_get(authorization, "validAfter"));
    check_decimal(payment->valid_before_seconds,
                  json_object_get(authorization, "validBefore"));
    check_hex(payment->nonce32, 32, json_object_get(authorization, "nonce"));
}

static void check_v2(const struct x402_payment *payment, json_t *root)
{
    json_t *accepted = json_object_get(root, "accepted");

    check_hex(payment->accepted_asset20, 20, json_object_get(accepted, "asset"));
    check_hex(payment->accepted_pay_to20, 20, json_object_get(accepted, "payTo"));
    check_decimal(payment->accepted_value, json_object_get(accepted, "amount"));
    check(payment->network[0] == '\0', "v2 names no network");
    check_payload(payment, json_object_get(root, "payload"));
}

static void check_v1(const struct x402_payment *payment, json_t *root)
{
    const char *network = json_string_value(json_object_get(root, "network"));

    check(network != NULL, "a network");
    check(payment->network[0] == '\0' || strcmp(payment->network, network) == 0,
          "the same network");
    check_payload(payment, json_object_get(root, "payload"));
}

static void check_flat(const struct x402_payment *payment, json_t *root)
{
    check(json_object_get(root, "x402Version") == NULL, "flat names no version");
    check_hex(payment->signature65, 65, json_object_get(root, "signature"));
    check_hex(payment->nonce32, 32, json_object_get(root, "nonce"));
    check_hex(payment->from20, 20, json_object_get(root, "from"));
    check_decimal(payment->value, json_object_get(root, "amount"));
    check(json_integer_value(json_object_get(root, "expiry")) ==
              (json_int_t)payment->valid_before_seconds,
          "the same expiry");
}

/* jansson refuses numbers its types cannot hold, which is no defect of the text. */
static void check_against_jansson(const struct x402_payment *payment,
                                  struct x402_slice text)
{
    static uint8_t json[SIZE_MAX_FUZZED * 2];
    size_t size = 0;
    json_error_t error;

    check(x402_base64_decode(json, &size, sizeof json, text) == X402_OK, "base64");
    json_t *root = json_loadb((const char *)json, size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        check(json_error_code(&error) == json_error_numeric_overflow, error.text);
        return;
    }
    if (payment->dialect == X402_DIALECT_V2)
        check_v2(payment, root);
    else if (payment->dialect == X402_DIALECT_V1)
        check_v1(payment, root);
    else
        check_flat(payment, root);
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char encoded[X402_BASE64_SIZE(SIZE_MAX_FUZZED)];
    struct x402_payment payment;
    struct x402_problem why = {X402_OK, NULL, NULL};

    if (size == 0 || size > SIZE_MAX_FUZZED)
        return 0;
    bool json = data[0] == '1' || data[0] == '2';
    struct x402_slice text = {(const char *)data + 1, size - 1};
    if (json) {
        x402_base64_encode(encoded, data + 1, size - 1);
        text = (struct x402_slice){encoded, X402_BASE64_SIZE(size - 1)};
    }

    size_t scratch_size = X402_PAYMENT_SCRATCH_SIZE(text.size);
    uint8_t *scratch = malloc(scratch_size);
    check(scratch != NULL, "memory");
    enum x402_header header =
        data[0] == '2' ? X402_HEADER_PAYMENT_SIGNATURE : X402_HEADER_X_PAYMENT;
    enum x402_error error = x402_payment_decode(
        &payment, &why, header, text, X402_PAYMENT_HEADER_MAX, scratch, scratch_size);
    if (error == X402_OK)
        check_against_jansson(&payment, text);
    else
        check(why.error == error && why.field != NULL && why.expected != NULL &&
                  x402_error_status(error) >= 400,
              "a problem with a field and an expectation");
    free(scratch);
    return 0;
}
