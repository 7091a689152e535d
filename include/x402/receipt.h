/*
 * The settlement response a paid caller gets back: PAYMENT-RESPONSE for x402 v2,
 * X-PAYMENT-RESPONSE for v1 and flat (SettleResponse, x402 specification).
 */
#ifndef X402_RECEIPT_H
#define X402_RECEIPT_H

#include <x402/payment.h>

struct x402_receipt {
    enum x402_dialect dialect;
    const struct x402_network *network; /* borrowed for the call */
    uint8_t payer20[20];
    bool success;
    bool has_transaction; /* false: "transaction" is "" (it settles later) */
    uint8_t transaction32[32];
    enum x402_error error; /* X402_OK, or why success is false */
};

#define X402_RECEIPT_SIZE_MAX 1024

/*
 * Writes base64(JSON), at most X402_RECEIPT_SIZE_MAX bytes, no terminating zero. v1
 * names the network by its legacy name, or its CAIP-2 id when it has none. Returns the
 * size.
 */
size_t x402_receipt_encode(char out[X402_RECEIPT_SIZE_MAX],
                           const struct x402_receipt *receipt);

#endif
