/*
 * Signatures with chosen parts: R = u1 G + u2 Q for a key's Q, and for such an R the
 * signature and the digest that lead to it: s = r / u2, digest = u1 s (SEC 1, 4.1.4).
 * So a test can have R, and the sums on the way to it, be what goes wrong first. By
 * libsecp256k1 and OpenSSL, which know nothing of ours. For tests of one thread; ends
 * the program when it fails itself.
 */
#ifndef X402_TESTS_UNIT_EVM_CHOSEN_H
#define X402_TESTS_UNIT_EVM_CHOSEN_H

#include <openssl/bn.h>
#include <secp256k1.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct chosen {
    uint8_t digest32[32], signature65[65];
    bool r_is_infinity; /* there is none: any r was taken */
};

/* Whether a step of the test's own has been done; all of them must be. */
static inline void chosen_must(bool done)
{
    if (!done)
        abort();
}

static inline BIGNUM *chosen_order(void)
{
    static BIGNUM *order;

    if (order == NULL)
        chosen_must(BN_hex2bn(&order, "fffffffffffffffffffffffffffffffebaaedce6af48a03b"
                                      "bfd25e8cd0364141") == 64);
    return order;
}

static inline BN_CTX *chosen_context(void)
{
    static BN_CTX *context;

    if (context == NULL)
        context = BN_CTX_new();
    chosen_must(context != NULL);
    return context;
}

/* A number below the order, of any 32 bytes. */
static inline BIGNUM *chosen_scalar(const uint8_t bytes32[32])
{
    BIGNUM *scalar = BN_bin2bn(bytes32, 32, NULL);

    chosen_must(scalar != NULL &&
                BN_nnmod(scalar, scalar, chosen_order(), chosen_context()));
    return scalar;
}

static inline void chosen_bytes(uint8_t out32[32], const BIGNUM *scalar)
{
    chosen_must(BN_bn2binpad(scalar, out32, 32) == 32);
}

/* The point that is scalar times G; false: it is infinity. */
static inline bool chosen_point(uint8_t x32[32], bool *y_is_odd, const BIGNUM *scalar)
{
    static secp256k1_context *context;
    uint8_t key32[32], encoded[33];
    secp256k1_pubkey point;
    size_t size = sizeof encoded;

    if (context == NULL)
        context = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
    chosen_bytes(key32, scalar);
    if (!secp256k1_ec_pubkey_create(context, &point, key32))
        return false;
    secp256k1_ec_pubkey_serialize(context, encoded, &size, &point,
                                  SECP256K1_EC_COMPRESSED);
    *y_is_odd = encoded[0] == 3;
    memcpy(x32, encoded + 1, 32);
    return true;
}

/* The twin with the other s, whose R is the opposite point (EIP-2 allows the low). */
static inline void chosen_twin(uint8_t signature65[65])
{
    BIGNUM *s = chosen_scalar(signature65 + 32);

    chosen_must(BN_mod_sub(s, chosen_order(), s, chosen_order(), chosen_context()));
    chosen_bytes(signature65 + 32, s);
    signature65[64] = (uint8_t)(27 + 28 - signature65[64]);
    BN_free(s);
}

/* The signature of the private key `key` with these u1 and u2, which is not zero; s may
 * be high. */
static inline void chosen_sign(struct chosen *out, const BIGNUM *key, const BIGNUM *u1,
                               const BIGNUM *u2)
{
    BN_CTX *context = chosen_context();
    BIGNUM *order = chosen_order(), *r, *s = BN_new();
    bool y_is_odd = false;

    chosen_must(s != NULL && BN_mod_mul(s, u2, key, order, context) &&
                BN_mod_add(s, s, u1, order, context));
    out->r_is_infinity = !chosen_point(out->signature65, &y_is_odd, s);
    if (out->r_is_infinity)
        memset(out->signature65, 0x11, 32);
    r = chosen_scalar(out->signature65);
    chosen_must(BN_mod_inverse(s, u2, order, context) != NULL &&
                BN_mod_mul(s, s, r, order, context));
    chosen_bytes(out->signature65, r);
    chosen_bytes(out->signature65 + 32, s);
    out->signature65[64] = y_is_odd ? 28 : 27;
    chosen_must(BN_mod_mul(s, s, u1, order, context));
    chosen_bytes(out->digest32, s);
    BN_free(r);
    BN_free(s);
}

/* Hex of numbers that make sums double, cancel or vanish, and their opposites; NULL
 * after the last. To be freed. */
static inline BIGNUM *chosen_edge(unsigned number)
{
    static const char *const edges[] = {
        "1",
        "2",
        "3",
        "10",
        "100",
        "80000000",
        "100000000000000000000000000000000",
        "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0", /* half */
        "5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72", /* lambda */
        "ac9c52b33fa3cf1f5ad9e3fd77ed9ba4a880b9fc8ec739c2e0cfc810b51283ce", /* its
                                                                               square */
    };
    const unsigned count = sizeof edges / sizeof edges[0];
    BIGNUM *out = NULL;

    if (number >= 2 * count)
        return NULL;
    chosen_must(BN_hex2bn(&out, edges[number % count]) > 0);
    if (number >= count)
        chosen_must(BN_sub(out, chosen_order(), out));
    return out;
}

#endif
