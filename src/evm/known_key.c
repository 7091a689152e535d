#include "evm/known_key.h"

#include "evm/fixed_base.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#if X402_GROUP

/*
 * A key's multiples serve two halves of a scalar, k = k1 + k2 lambda, each below 2^128
 * (GLV; the bounds are proven in third_party/secp256k1/scalar_impl.h). Those of the
 * generator, of which there is one table, serve whole scalars.
 */
#define KEY_BITS 128
#define KEY_WIDTH 5
#define GENERATOR_BITS 255
#define GENERATOR_WIDTH 8
#define LINE 64 /* bytes of a cache line: one multiple */

struct x402_known_key {
    secp256k1_ge_storage multiples[X402_FIXED_BASE_SIZE(KEY_BITS, KEY_WIDTH)];
};

_Static_assert(sizeof(struct x402_known_key) == X402_KNOWN_KEY_SIZE, "as said");
_Static_assert(GENERATOR_BITS / GENERATOR_WIDTH + 1 + KEY_BITS / KEY_WIDTH + 1 <=
                   X402_FIXED_BASE_TERMS_MAX,
               "the terms of one sum");
_Static_assert(X402_KNOWN_KEY_SIZE % LINE == 0, "as aligned_alloc wants it");

static _Alignas(LINE) secp256k1_ge_storage
    generator_multiples[X402_FIXED_BASE_SIZE(GENERATOR_BITS, GENERATOR_WIDTH)];
static const struct x402_fixed_base generator = {GENERATOR_BITS, GENERATOR_WIDTH,
                                                 generator_multiples};
static pthread_once_t generator_once = PTHREAD_ONCE_INIT;

static void build_generator(void)
{
    x402_fixed_base_build(generator_multiples, &secp256k1_ge_const_g, GENERATOR_BITS,
                          GENERATOR_WIDTH);
}

void x402_known_keys_prepare(void)
{
    int failed = pthread_once(&generator_once, build_generator);

    assert(failed == 0);
    (void)failed;
}

/* ----------------------------------------------------------------------------- a key
 */

static void decode_point(secp256k1_ge *out, const uint8_t key64[64])
{
    secp256k1_fe x, y;
    int in_range =
        secp256k1_fe_set_b32(&x, key64) && secp256k1_fe_set_b32(&y, key64 + 32);

    assert(in_range);
    (void)in_range;
    secp256k1_ge_set_xy(out, &x, &y);
    assert(secp256k1_ge_is_valid_var(out));
}

struct x402_known_key *x402_known_key_create(const uint8_t key64[64])
{
    struct x402_known_key *key = aligned_alloc(LINE, sizeof *key);
    secp256k1_ge point;

    x402_known_keys_prepare();
    if (key == NULL)
        return NULL;
    decode_point(&point, key64);
    x402_fixed_base_build(key->multiples, &point, KEY_BITS, KEY_WIDTH);
    return key;
}

void x402_known_key_destroy(struct x402_known_key *key)
{
    free(key);
}

/* ----------------------------------------------------------------------- a signature
 */

struct signature {
    secp256k1_scalar r, s;
    secp256k1_fe x; /* r, as the coordinate of R */
    int y_is_odd;
};

/* With the ranges of x402_signature_recover. */
static bool decode_signature(struct signature *out, const uint8_t signature65[65])
{
    int r_overflows, s_overflows;

    secp256k1_scalar_set_b32(&out->r, signature65, &r_overflows);
    secp256k1_scalar_set_b32(&out->s, signature65 + 32, &s_overflows);
    out->y_is_odd = signature65[64] == 28;
    return (signature65[64] == 27 || signature65[64] == 28) && !r_overflows &&
           !s_overflows && !secp256k1_scalar_is_zero(&out->r) &&
           !secp256k1_scalar_is_zero(&out->s) && !secp256k1_scalar_is_high(&out->s) &&
           secp256k1_fe_set_b32(&out->x, signature65);
}

/*
 * *out = u1 G + u2 Q. With u2 = k1 + k2 lambda it is (u1 G + k1 Q) + lambda (k2 Q), and
 * lambda times a point is its x times beta. All terms are picked before the first is
 * added, so that they come from memory at once.
 */
static void combine(secp256k1_gej *out, const secp256k1_scalar *u1,
                    const secp256k1_scalar *u2, const struct x402_known_key *key)
{
    const struct x402_fixed_base multiples = {KEY_BITS, KEY_WIDTH, key->multiples};
    struct x402_fixed_base_terms terms[2];
    secp256k1_scalar k1, k2;
    secp256k1_gej sums[2];

    secp256k1_scalar_split_lambda(&k1, &k2, u2);
    terms[0].count = terms[1].count = 0;
    x402_fixed_base_pick(&terms[0], &generator, u1);
    x402_fixed_base_pick(&terms[0], &multiples, &k1);
    x402_fixed_base_pick(&terms[1], &multiples, &k2);
    x402_fixed_base_sum(sums, terms, 2);
    secp256k1_fe_mul(&sums[1].x, &sums[1].x, &secp256k1_const_beta);
    secp256k1_gej_add_var(out, &sums[0], &sums[1], NULL);
}

/* Whether R is the point that the signature says; and a point at all, which it is
 * unless the multiples are not what they should be. */
static bool is_point(secp256k1_gej *r, const struct signature *signature)
{
    secp256k1_ge affine;

    if (secp256k1_gej_is_infinity(r) || secp256k1_fe_normalizes_to_zero_var(&r->z) ||
        !secp256k1_gej_eq_x_var(&signature->x, r))
        return false;
    secp256k1_ge_set_gej_var(&affine, r);
    secp256k1_fe_normalize_var(&affine.y);
    return secp256k1_ge_is_valid_var(&affine) &&
           secp256k1_fe_is_odd(&affine.y) == signature->y_is_odd;
}

bool x402_known_key_signed(const struct x402_known_key *key, const uint8_t digest32[32],
                           const uint8_t signature65[65])
{
    struct signature signature;
    secp256k1_scalar digest, inverse, u1, u2;
    secp256k1_gej r;

    if (!decode_signature(&signature, signature65))
        return false;
    secp256k1_scalar_set_b32(&digest, digest32, NULL);
    secp256k1_scalar_inverse_var(&inverse, &signature.s);
    secp256k1_scalar_mul(&u1, &inverse, &digest);
    secp256k1_scalar_mul(&u2, &inverse, &signature.r);
    combine(&r, &u1, &u2, key);
    return is_point(&r, &signature);
}

#else

void x402_known_keys_prepare(void)
{
}

struct x402_known_key *x402_known_key_create(const uint8_t key64[64])
{
    (void)key64;
    return NULL;
}

void x402_known_key_destroy(struct x402_known_key *key)
{
    (void)key;
}

bool x402_known_key_signed(const struct x402_known_key *key, const uint8_t digest32[32],
                           const uint8_t signature65[65])
{
    (void)key;
    (void)digest32;
    (void)signature65;
    return false;
}

#endif
