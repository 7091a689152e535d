/*
 * The settlement response a paid caller gets back: PAYMENT-RESPONSE for x402 v2,
 * X-PAYMENT-RESPONSE for v1 and flat (SettleResponse, x402 specification).
 */
#ifndef X402_RECEIPT_H
#define X402_RECEIPT_H

#include <x402/payment.h>

#define X402_RECEIPT_LINK_MAX 1100 /* bytes */

struct x402_receipt {
    enum x402_dialect dialect;
    const struct x402_network *network; /* borrowed for the call */
    struct x402_slice payer;            /* by x402_address_encode; borrowed likewise */
    bool success;
    bool has_transaction; /* false: "transaction" is "" (it settles later) */
    uint8_t transaction32[32];
    enum x402_error error;  /* X402_OK, or why success is false */
    struct x402_slice link; /* where the final receipt is; a URL, or empty */
};

#define X402_RECEIPT_SIZE_MAX 2048

/*
 * Writes base64(JSON), at most X402_RECEIPT_SIZE_MAX bytes, no terminating zero. v1
 * names the network by its legacy name, or its CAIP-2 id when it has none. The link
 * stands in `extra.receipt`; a longer one than X402_RECEIPT_LINK_MAX is left out, and
 * one that its escapes make longer than there is room for. Returns the size.
 */
size_t x402_receipt_encode(char out[X402_RECEIPT_SIZE_MAX],
                           const struct x402_receipt *receipt);

/*
 * What a caller is told of a payment that could not be settled. `reason` is the
 * ledger's: its first word, before a colon or space, is a code of the settler's
 * (src/settle/plan.h) or the name a facilitator gave. ERR_SETTLEMENT for any other.
 */
enum x402_error x402_receipt_failure(const char *reason);

#endif
