/*
 * A payment as it arrives: three dialects on the wire, one value inside. Decoding is
 * strict and bounded, uses no heap, and comes before any cryptography.
 */
#ifndef X402_PAYMENT_H
#define X402_PAYMENT_H

#include <x402/bytes.h>
#include <x402/network.h>

#define X402_PAYMENT_HEADER_MAX 6144 /* default bound of a header, bytes of base64 */
#define X402_PAYMENT_JSON_DEPTH_MAX 8

/* Which header a payment came in. */
enum x402_header {
    X402_HEADER_PAYMENT_SIGNATURE, /* x402 v2, HTTP transport */
    X402_HEADER_X_PAYMENT,         /* x402 v1, or flat when it names no version */
};

enum x402_dialect {
    X402_DIALECT_V2,
    X402_DIALECT_V1,
    X402_DIALECT_FLAT, /* {signature, nonce, expiry, amount, from} */
};

/* One kind of proof among several to come; decoding, admission and outcome dispatch on
 * it. */
enum x402_scheme {
    X402_SCHEME_EXACT, /* EIP-3009 transferWithAuthorization */
};

/*
 * Pointer-free; copy it freely. Numbers that pass 64 bits are held as UINT64_MAX, which
 * no offer accepts.
 */
struct x402_payment {
    enum x402_dialect dialect;
    enum x402_scheme scheme;
    uint64_t
        chain_id; /* v2; 0 for v1 and flat, and for a v2 network that is not eip155 */
    char
        network[X402_NETWORK_NAME_MAX]; /* v1; "" otherwise, and when longer than any */
    /* What the client says it accepted (v2 only; zero otherwise). */
    uint8_t accepted_asset20[20];
    uint8_t accepted_pay_to20[20];
    uint64_t accepted_value;
    /* The EIP-3009 authorization. `to` is absent (zero) in the flat form. */
    uint8_t from20[20];
    uint8_t to20[20];
    uint64_t value;
    uint64_t valid_after_seconds;
    uint64_t valid_before_seconds;
    uint8_t nonce32[32];
    uint8_t signature65[65]; /* r, s, v */
};

/* Scratch memory decoding needs for a header of `size` bytes. */
#define X402_PAYMENT_SCRATCH_SIZE(size) ((size) / 4 * 3 + 3)

/*
 * Decodes a payment header: standard base64; JSON of depth at most 8, of at most 64
 * members an object and 512 names and values in all, no duplicate keys at any level,
 * unknown members checked and skipped; exact field formats (x402 v1 and v2
 * PaymentPayload; the flat form {signature, nonce, expiry, amount, from}).
 *
 * Out:     *out, only on success; *why, only on failure, with field and expectation.
 * In:      text; header_max, the most bytes of it that are read; scratch, at least
 *          X402_PAYMENT_SCRATCH_SIZE(text.size) bytes, whose content is of no use
 *          afterwards.
 * Returns: X402_OK, ERR_HEADER_SIZE, ERR_BASE64, ERR_JSON, ERR_FIELD, ERR_VERSION, or
 *          ERR_SCHEME for a scheme not known here, whose payload is not looked at.
 *
 * Uses about 7 KB of stack. Any thread.
 */
X402_MUST_USE enum x402_error x402_payment_decode(
    struct x402_payment *out, struct x402_problem *why, enum x402_header header,
    struct x402_slice text, size_t header_max, uint8_t *scratch, size_t scratch_size);

#endif
