/* Payments for tests: good ones in each dialect, their fields changed one at a time. */
#ifndef TESTS_UNIT_CORE_PAYMENTS_H
#define TESTS_UNIT_CORE_PAYMENTS_H

#include "unit/core/support.h"

#include <x402/payment.h>

#define PAYER "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"
#define PAYEE "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"
#define USDC "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
#define NONCE "0xf3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480"
#define VALID_BEFORE 1740672154
/* Of the authorization below on base-sepolia: typed-data.json. */
#define SIGNATURE                                                                      \
    "0xbfbadcd8033194beb296f333dd1d3d829433f2c1c77a25f8997bf4a38ddf67c3"               \
    "20c23ca893c4b1e60e739c4955466eed16fd92219a5af7ca8288de6186b962a21b"

#define PAYLOAD                                                                        \
    "{\"signature\":\"" SIGNATURE "\",\"authorization\":{\"from\":\"" PAYER            \
    "\",\"to\":\"" PAYEE "\",\"value\":\"10000\",\"validAfter\":\"0\","                \
    "\"validBefore\":\"1740672154\",\"nonce\":\"" NONCE "\"}}"

static const char v2_json[] =
    "{\"x402Version\":2,\"resource\":{\"url\":\"https://api.example.com/p\","
    "\"description\":\"\",\"mimeType\":\"\"},\"accepted\":{\"scheme\":\"exact\","
    "\"network\":\"eip155:84532\",\"amount\":\"10000\",\"asset\":\"" USDC
    "\",\"payTo\":\"" PAYEE
    "\",\"maxTimeoutSeconds\":300,\"extra\":{\"name\":\"USDC\",\"version\":\"2\"}},"
    "\"payload\":" PAYLOAD ",\"extensions\":{\"x\":{\"info\":[1,null]}}}";

static const char v1_json[] =
    "{\"x402Version\":1,\"scheme\":\"exact\",\"network\":\"base-sepolia\","
    "\"payload\":" PAYLOAD "}";

static const char flat_json[] = "{\"signature\":\"" SIGNATURE "\",\"nonce\":\"" NONCE
                                "\",\"expiry\":1740672154,\"amount\":\"10000\","
                                "\"from\":\"" PAYER "\"}";

/* By enum x402_dialect. */
static const char *const good_json[] = {v2_json, v1_json, flat_json};
static const enum x402_header headers[] = {
    X402_HEADER_PAYMENT_SIGNATURE, X402_HEADER_X_PAYMENT, X402_HEADER_X_PAYMENT};

static inline enum x402_error decode_json(struct x402_payment *out,
                                          struct x402_problem *why,
                                          enum x402_header header, const char *json,
                                          size_t size)
{
    static char text[X402_BASE64_SIZE(65536)];
    static uint8_t scratch[65536 + 3];
    struct x402_slice header_text = {text, X402_BASE64_SIZE(size)};

    assert_true(size <= 65536);
    x402_base64_encode(text, (const uint8_t *)json, size);
    return x402_payment_decode(out, why, header, header_text, sizeof text, scratch,
                               X402_PAYMENT_SCRATCH_SIZE(header_text.size));
}

static inline struct x402_payment good_payment(enum x402_dialect dialect)
{
    struct x402_payment payment;
    struct x402_problem why = {X402_OK, NULL, NULL};
    const char *json = good_json[dialect];

    if (decode_json(&payment, &why, headers[dialect], json, strlen(json)) != X402_OK)
        fail_msg("%s: %s", why.field, why.expected);
    return payment;
}

#endif
