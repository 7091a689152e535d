/*
 * What a 402 asks for, and the payment that answers it: x402 v2 (Payment-Required
 * header) and v1 (JSON body). Pure over jansson: no network, no clock, no randomness.
 * What a server sends is bounded and read strictly; it cannot make us pay on a network,
 * in a token or at a price we did not agree to.
 */
#ifndef X402_CLI_PAY_OFFER_H
#define X402_CLI_PAY_OFFER_H

#include <x402/money.h>
#include <x402/network.h>

#include <jansson.h>

#define X402_PRICE_WHY_MAX 256
#define X402_OFFER_HEADER_MAX 65536 /* bytes of base64 */
#define X402_OFFER_BODY_MAX (1u << 20)
#define X402_OFFER_ACCEPTS_MAX 64
/* No authorization we sign is valid for longer, whatever a server asks. */
#define X402_PAY_WINDOW_MAX_SECONDS 86400

/* One way to pay that suits us. */
struct x402_price {
    unsigned version;            /* 1 or 2 */
    struct x402_network network; /* sealed with the EIP-712 domain the server names */
    uint8_t pay_to20[20];
    uint64_t value; /* token units */
    uint32_t window_seconds;
    json_t *accepted; /* the entry as it came; owned */
    json_t *resource; /* v2: likewise, or NULL */
};

/*
 * Reads the offer of a 402 and picks its first way to pay that suits: scheme exact by
 * EIP-3009, a network and its token that are built in, at most max_micro_usd. `header`
 * is the Payment-Required value; where it is empty `body` is read as v1.
 *
 * ERR_JSON: no offer can be read. ERR_VALUE: it costs too much. ERR_SCHEME: none of its
 * ways suits. `why` says it for people. Release *out on success.
 */
X402_MUST_USE enum x402_error x402_price_decode(struct x402_price *out,
                                                char why[X402_PRICE_WHY_MAX],
                                                struct x402_slice header,
                                                struct x402_slice body,
                                                uint64_t max_micro_usd);
void x402_price_release(struct x402_price *price);

/* "0.001 USDC on base-sepolia" */
#define X402_PRICE_TEXT_SIZE 128
void x402_price_text(char out[X402_PRICE_TEXT_SIZE], const struct x402_price *price);

/* "PAYMENT-SIGNATURE" or "X-PAYMENT". */
const char *x402_price_header_name(const struct x402_price *price);

/*
 * Signs an authorization and encodes it as the header's value, zero-terminated; free
 * it. NULL without memory or when key32 is no key.
 */
char *x402_price_pay(const struct x402_price *price, const uint8_t key32[32],
                     const uint8_t nonce32[32], uint64_t now_seconds);

/* The receipt of an answer: PAYMENT-RESPONSE or X-PAYMENT-RESPONSE. */
#define X402_PAY_LINK_MAX 512 /* bytes, with the zero; a longer one is left out */
struct x402_pay_receipt {
    bool success;
    char transaction[67];         /* "0x…", or "" */
    char reason[128];             /* why not; "" */
    char link[X402_PAY_LINK_MAX]; /* where the final receipt will be; "" */
};
X402_MUST_USE bool x402_pay_receipt_decode(struct x402_pay_receipt *out,
                                           struct x402_slice header);

/* The `error` of a 402's offer, "" when there is none: why a payment was refused. */
void x402_offer_reason(char out[X402_PRICE_WHY_MAX], struct x402_slice header,
                       struct x402_slice body);

#endif
