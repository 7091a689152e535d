#include "evm/known_key.h"

#include "evm/group8.h"
#include "evm/parts.h"

#include <assert.h>
#include <stdlib.h>

#if X402_GROUP

/*
 * A key's multiples serve two halves of a scalar, k = k1 + k2 lambda, each below 2^128
 * (GLV; the bounds are proven in third_party/secp256k1/scalar_impl.h).
 */
#define KEY_BITS 128
#define KEY_WIDTH 5
#define LINE 64 /* bytes of a cache line: one multiple */

struct x402_known_key {
    secp256k1_ge_storage multiples[X402_FIXED_BASE_SIZE(KEY_BITS, KEY_WIDTH)];
};

_Static_assert(sizeof(struct x402_known_key) == X402_KNOWN_KEY_SIZE, "as said");
_Static_assert(X402_GENERATOR_TERMS_MAX + KEY_BITS / KEY_WIDTH + 1 <=
                   X402_FIXED_BASE_TERMS_MAX,
               "the terms of one sum");
_Static_assert(X402_KNOWN_KEY_SIZE % LINE == 0, "as aligned_alloc wants it");

void x402_known_keys_prepare(void)
{
    (void)x402_generator();
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

/*
 * What R = u1 G + u2 Q is the sum of. With u2 = k1 + k2 lambda it is the first plus
 * lambda times the second: (u1 G + k1 Q) + lambda (k2 Q), and lambda times a point is
 * its x times beta. All terms are picked before the first is added, so that they come
 * from memory at once.
 */
static void pick(struct x402_fixed_base_terms sums[2], const secp256k1_scalar *u1,
                 const secp256k1_scalar *u2, const struct x402_known_key *key)
{
    const struct x402_fixed_base multiples = {KEY_BITS, KEY_WIDTH, key->multiples};
    secp256k1_scalar k1, k2;

    secp256k1_scalar_split_lambda(&k1, &k2, u2);
    sums[0].count = sums[1].count = 0;
    x402_fixed_base_pick(&sums[0], x402_generator(), u1);
    x402_fixed_base_pick(&sums[0], &multiples, &k1);
    x402_fixed_base_pick(&sums[1], &multiples, &k2);
}

static void combine(secp256k1_gej *out, const secp256k1_scalar *u1,
                    const secp256k1_scalar *u2, const struct x402_known_key *key)
{
    struct x402_fixed_base_terms terms[2];
    secp256k1_gej sums[2];

    pick(terms, u1, u2, key);
    x402_fixed_base_sum(sums, terms, 2);
    secp256k1_fe_mul(&sums[1].x, &sums[1].x, &secp256k1_const_beta);
    secp256k1_gej_add_var(out, &sums[0], &sums[1], NULL);
}

/* R, affine and normalized; false where it is no point of the curve, which it is unless
 * the multiples are not what they should be. */
static bool normalize(secp256k1_ge *out, secp256k1_gej *r)
{
    if (secp256k1_gej_is_infinity(r) || secp256k1_fe_normalizes_to_zero_var(&r->z))
        return false;
    secp256k1_ge_set_gej_var(out, r);
    secp256k1_fe_normalize_var(&out->x);
    secp256k1_fe_normalize_var(&out->y);
    return secp256k1_ge_is_valid_var(out);
}

/* Whether R is the point that the signature says. */
static bool is_said(const struct x402_parts *parts, const secp256k1_ge *r)
{
    return secp256k1_fe_equal(&parts->x, &r->x) &&
           secp256k1_fe_is_odd(&r->y) == parts->y_is_odd;
}

bool x402_known_key_signed(const struct x402_known_key *key, const uint8_t digest32[32],
                           const uint8_t signature65[65])
{
    struct x402_parts parts;
    secp256k1_scalar digest, inverse, u1, u2;
    secp256k1_gej r;
    secp256k1_ge affine;

    if (!x402_parts_decode(&parts, signature65))
        return false;
    secp256k1_scalar_set_b32(&digest, digest32, NULL);
    secp256k1_scalar_inverse_var(&inverse, &parts.s);
    secp256k1_scalar_mul(&u1, &inverse, &digest);
    secp256k1_scalar_mul(&u2, &inverse, &parts.r);
    combine(&r, &u1, &u2, key);
    return normalize(&affine, &r) && is_said(&parts, &affine);
}

/* --------------------------------------------------------------------- several at once
 */

static void check_each(struct x402_known_check *checks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        checks[i].is_signed = x402_known_key_signed(checks[i].key, checks[i].digest32,
                                                    checks[i].signature65);
}

#if X402_LANES

_Static_assert(X402_LANES == X402_KNOWN_CHECKS_MAX, "as said");

/* One of them, in a lane of the processor's words. */
struct lane {
    bool decoded;
    struct x402_parts parts;
    struct x402_fixed_base_terms sums[2]; /* as of `combine` */
};

static void decode_all(struct lane lanes[X402_LANES],
                       secp256k1_scalar inverses[X402_LANES],
                       const struct x402_known_check *checks, size_t count)
{
    secp256k1_scalar all[X402_LANES];

    for (size_t i = 0; i < X402_LANES; i++) {
        lanes[i].decoded =
            i < count && x402_parts_decode(&lanes[i].parts, checks[i].signature65);
        if (!lanes[i].decoded)
            lanes[i].parts = x402_parts_none;
        lanes[i].sums[0].count = lanes[i].sums[1].count = 0;
        all[i] = lanes[i].parts.s;
    }
    scalar_invert_all(inverses, all);
}

static void pick_all(struct lane lanes[X402_LANES],
                     const struct x402_known_check *checks, size_t count)
{
    secp256k1_scalar inverses[X402_LANES], digest, u1, u2;

    decode_all(lanes, inverses, checks, count);
    for (size_t i = 0; i < count; i++) {
        secp256k1_scalar_set_b32(&digest, checks[i].digest32, NULL);
        secp256k1_scalar_mul(&u1, &inverses[i], &digest);
        secp256k1_scalar_mul(&u2, &inverses[i], &lanes[i].parts.r);
        pick(lanes[i].sums, &u1, &u2, checks[i].key);
    }
}

FIELD8_CODE static void check_together(struct x402_known_check *checks, size_t count)
{
    const struct x402_fixed_base_terms *lists[2][X402_LANES];
    struct lane lanes[X402_LANES];
    struct point8 sums[2] = {{.none = 0xFF}, {.none = 0xFF}};
    struct field8 beta;
    secp256k1_ge r[X402_LANES];
    unsigned are;

    pick_all(lanes, checks, count);
    for (size_t i = 0; i < X402_LANES; i++)
        for (int j = 0; j < 2; j++)
            lists[j][i] = &lanes[i].sums[j];
    for (int j = 0; j < 2; j++)
        point8_add_terms(&sums[j], lists[j]);
    field8_broadcast(&beta, &secp256k1_const_beta);
    field8_mul(&sums[1].x, &sums[1].x, &beta);
    point8_add(&sums[0], &sums[1]);
    are = point8_affine(r, &sums[0]);
    for (size_t i = 0; i < count; i++)
        checks[i].is_signed =
            lanes[i].decoded && (are >> i & 1) && is_said(&lanes[i].parts, &r[i]);
}

void x402_known_keys_signed(struct x402_known_check *checks, size_t count)
{
    assert(count <= X402_KNOWN_CHECKS_MAX);
    if (count > 1 && field8_is_here())
        check_together(checks, count);
    else
        check_each(checks, count);
}

#else

void x402_known_keys_signed(struct x402_known_check *checks, size_t count)
{
    assert(count <= X402_KNOWN_CHECKS_MAX);
    check_each(checks, count);
}

#endif

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

void x402_known_keys_signed(struct x402_known_check *checks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        checks[i].is_signed = false;
}

#endif
