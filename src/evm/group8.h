/*
 * Eight points of the curve at once (field8.h), and sums of multiples that were worked
 * out beforehand (fixed_base.h). Variable time: for what is public. Only where
 * X402_LANES; on processors that field8_is_here says can.
 */
#ifndef X402_EVM_GROUP8_H
#define X402_EVM_GROUP8_H

#include "evm/generator.h"

#if X402_GROUP && defined(__x86_64__)
#define X402_LANES 8

#include "evm/field8.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function" /* each file uses some */

/* ------------------------------------------------------------------------- the lanes
 */

/* A Jacobian point each: x / z^2, y / z^3. Where `none` it is infinity and its
 * coordinates mean nothing. z = 0 elsewhere: a sum came to a case that is left out, and
 * stays so whatever is added. */
struct point8 {
    struct field8 x, y, z;
    __mmask8 none;
};

/* Limb by limb, of one lane. */
FIELD8_CODE static inline secp256k1_fe field8_lane(const struct field8 *eight,
                                                   size_t lane)
{
    secp256k1_fe out;

    for (int i = 0; i < FIELD8_LIMBS; i++) {
        uint64_t limbs[X402_LANES];
        _mm512_storeu_si512(limbs, eight->n[i]);
        out.n[i] = limbs[lane];
    }
    return out;
}

FIELD8_CODE static inline void field8_gather(struct field8 *out,
                                             const secp256k1_fe elements[X402_LANES])
{
    for (int i = 0; i < FIELD8_LIMBS; i++) {
        uint64_t limbs[X402_LANES];
        for (int lane = 0; lane < X402_LANES; lane++)
            limbs[lane] = elements[lane].n[i];
        out->n[i] = _mm512_loadu_si512(limbs);
    }
}

FIELD8_CODE static inline void field8_broadcast(struct field8 *out,
                                                const secp256k1_fe *element)
{
    for (int i = 0; i < FIELD8_LIMBS; i++)
        out->n[i] = field8_all(element->n[i]);
}

/* ------------------------------------------------------------------- the group's law
 */

/* 3 products and 4 squares: for a = 0, after "dbl-2009-l" (Bernstein, Lange). */
FIELD8_CODE static inline void point8_double(struct point8 *p)
{
    struct field8 a, b, c, d, e, t;

    field8_sqr(&a, &p->x);
    field8_sqr(&b, &p->y);
    field8_mul(&p->z, &p->y, &p->z);
    field8_shift(&p->z, &p->z, 1);
    field8_carry(&p->z, &p->z);
    field8_mul(&d, &p->x, &b);
    field8_shift(&d, &d, 2);
    field8_sqr(&c, &b);
    field8_shift(&c, &c, 3);
    field8_shift(&e, &a, 1);
    field8_add(&e, &e, &a);
    field8_carry(&e, &e);
    field8_shift(&t, &d, 1);
    field8_sqr(&p->x, &e);
    field8_sub(&p->x, &p->x, &t);
    field8_carry(&p->x, &p->x);
    field8_sub(&t, &d, &p->x);
    field8_carry(&t, &t);
    field8_mul(&p->y, &e, &t);
    field8_sub(&p->y, &p->y, &c);
    field8_carry(&p->y, &p->y);
}

/*
 * What both additions share: from h = u2 - u1 and r = s2 - s1, with u1 and s1 the
 * coordinates of the first over the common denominator ("add-1998-cmo-2"); z is the
 * caller's.
 */
FIELD8_CODE static inline void point8_finish_sum(struct point8 *out,
                                                 const struct field8 *u1,
                                                 const struct field8 *s1,
                                                 const struct field8 *h,
                                                 const struct field8 *r)
{
    struct field8 hh, hhh, v, t;

    field8_sqr(&hh, h);
    field8_mul(&hhh, &hh, h);
    field8_mul(&v, u1, &hh);
    field8_shift(&t, &v, 1);
    field8_add(&t, &t, &hhh);
    field8_mul(&hhh, &hhh, s1);
    field8_sqr(&out->x, r);
    field8_sub(&out->x, &out->x, &t);
    field8_carry(&out->x, &out->x);
    field8_sub(&t, &v, &out->x);
    field8_carry(&t, &t);
    field8_mul(&out->y, r, &t);
    field8_sub(&out->y, &out->y, &hhh);
    field8_carry(&out->y, &out->y);
}

/* *h, *r of *p and the affine (x, y) or, where `negative`, (x, -y). */
FIELD8_CODE static inline void point8_compare(struct field8 *h, struct field8 *r,
                                              const struct point8 *p,
                                              const struct field8 *x,
                                              const struct field8 *y, __mmask8 negative)
{
    struct field8 zz, zero = {0}, s2, opposite;

    field8_sqr(&zz, &p->z);
    field8_mul(h, x, &zz);
    field8_sub(h, h, &p->x);
    field8_carry(h, h);
    field8_mul(&s2, &zz, &p->z);
    field8_mul(&s2, y, &s2);
    field8_sub(&opposite, &zero, &s2);
    field8_choose(&s2, negative, &opposite, &s2);
    field8_sub(r, &s2, &p->y);
    field8_carry(r, r);
}

/* The coordinates of q in the lanes of `which`. */
FIELD8_CODE static inline void point8_take(struct point8 *p, const struct point8 *q,
                                           __mmask8 which)
{
    field8_choose(&p->x, which, &q->x, &p->x);
    field8_choose(&p->y, which, &q->y, &p->y);
    field8_choose(&p->z, which, &q->z, &p->z);
}

/* *p plus the affine (x, +-y) in the lanes of `which`: 8 products and 3 squares. */
FIELD8_CODE static inline void point8_add_affine(struct point8 *p,
                                                 const struct field8 *x,
                                                 const struct field8 *y,
                                                 __mmask8 negative, __mmask8 which)
{
    static const struct field8 zero;
    const struct field8 one = {{field8_all(1)}};
    const __mmask8 first = p->none & which, sum = which & (__mmask8)~p->none;
    struct point8 out;
    struct field8 h, r, opposite;

    point8_compare(&h, &r, p, x, y, negative);
    point8_finish_sum(&out, &p->x, &p->y, &h, &r);
    field8_mul(&out.z, &p->z, &h);
    point8_take(p, &out, sum);
    if (first == 0)
        return;
    field8_sub(&opposite, &zero, y);
    field8_carry(&opposite, &opposite);
    field8_choose(&opposite, negative, &opposite, y);
    field8_choose(&p->x, first, x, &p->x);
    field8_choose(&p->y, first, &opposite, &p->y);
    field8_choose(&p->z, first, &one, &p->z);
    p->none &= (__mmask8)~first;
}

/* *p plus q: 12 products and 4 squares. */
FIELD8_CODE static inline void point8_add(struct point8 *p, const struct point8 *q)
{
    const __mmask8 sum = (__mmask8) ~(p->none | q->none);
    struct field8 z1z1, z2z2, u1, s1, h, r;
    struct point8 out;

    field8_sqr(&z1z1, &p->z);
    field8_sqr(&z2z2, &q->z);
    field8_mul(&u1, &p->x, &z2z2);
    field8_mul(&h, &q->x, &z1z1);
    field8_sub(&h, &h, &u1);
    field8_carry(&h, &h);
    field8_mul(&s1, &z2z2, &q->z);
    field8_mul(&s1, &p->y, &s1);
    field8_mul(&r, &z1z1, &p->z);
    field8_mul(&r, &q->y, &r);
    field8_sub(&r, &r, &s1);
    field8_carry(&r, &r);
    field8_mul(&out.z, &p->z, &q->z);
    field8_mul(&out.z, &out.z, &h);
    point8_finish_sum(&out, &u1, &s1, &h, &r);
    point8_take(p, q, p->none);
    point8_take(p, &out, sum);
    p->none &= q->none;
}

/* Elements of 256 bits in four words each. */
FIELD8_CODE static inline void field8_unpack(struct field8 *out, const __m512i words[4])
{
    const __m512i mask = field8_all(FIELD8_MASK52);

    out->n[0] = words[0];
    out->n[1] = _mm512_or_si512(_mm512_srli_epi64(words[0], 52),
                                _mm512_slli_epi64(words[1], 12));
    out->n[2] = _mm512_or_si512(_mm512_srli_epi64(words[1], 40),
                                _mm512_slli_epi64(words[2], 24));
    out->n[3] = _mm512_or_si512(_mm512_srli_epi64(words[2], 28),
                                _mm512_slli_epi64(words[3], 36));
    out->n[4] = _mm512_srli_epi64(words[3], 16);
    for (int i = 0; i < 4; i++)
        out->n[i] = _mm512_and_si512(out->n[i], mask);
}

/* A word of each. */
#define WORD(of, field, i)                                                             \
    _mm512_set_epi64((long long)(of)[7]->field.n[i], (long long)(of)[6]->field.n[i],   \
                     (long long)(of)[5]->field.n[i], (long long)(of)[4]->field.n[i],   \
                     (long long)(of)[3]->field.n[i], (long long)(of)[2]->field.n[i],   \
                     (long long)(of)[1]->field.n[i], (long long)(of)[0]->field.n[i])

FIELD8_CODE static inline void point8_load(
    struct field8 *x, struct field8 *y,
    const secp256k1_ge_storage *const points[X402_LANES])
{
    __m512i xs[4], ys[4];

    for (int i = 0; i < 4; i++) {
        xs[i] = WORD(points, x, i);
        ys[i] = WORD(points, y, i);
    }
    field8_unpack(x, xs);
    field8_unpack(y, ys);
}

/* Adds to each lane its terms, of the lists; a list may be empty. */
FIELD8_CODE static inline void point8_add_terms(
    struct point8 *p, const struct x402_fixed_base_terms *const lists[X402_LANES])
{
    const secp256k1_ge_storage *points[X402_LANES];
    unsigned negative, which = 1;
    struct field8 x, y;

    for (size_t i = 0; which != 0; i++) {
        negative = which = 0;
        for (size_t lane = 0; lane < X402_LANES; lane++) {
            const bool has = i < lists[lane]->count;
            points[lane] = x402_generator()->multiples; /* any */
            if (!has)
                continue;
            points[lane] = lists[lane]->items[i].multiple;
            negative |= (unsigned)lists[lane]->items[i].negative << lane;
            which |= 1U << lane;
        }
        if (which == 0)
            return;
        point8_load(&x, &y, points);
        point8_add_affine(p, &x, &y, (__mmask8)negative, (__mmask8)which);
    }
}

/* ------------------------------------------------------------------------ one by one
 */

/* 1 / z of all with one inversion (Montgomery's trick). In: zs: none is 0. */
static inline void fe_invert_all(secp256k1_fe inverses[X402_LANES],
                                 const secp256k1_fe zs[X402_LANES])
{
    secp256k1_fe products[X402_LANES], inverse;

    products[0] = zs[0];
    for (size_t i = 1; i < X402_LANES; i++)
        secp256k1_fe_mul(&products[i], &products[i - 1], &zs[i]);
    secp256k1_fe_inv_var(&inverse, &products[X402_LANES - 1]);
    for (size_t i = X402_LANES; --i > 0;) {
        secp256k1_fe_mul(&inverses[i], &inverse, &products[i - 1]);
        secp256k1_fe_mul(&inverse, &inverse, &zs[i]);
    }
    inverses[0] = inverse;
}

/* Likewise, of scalars. */
static inline void scalar_invert_all(secp256k1_scalar inverses[X402_LANES],
                                     const secp256k1_scalar scalars[X402_LANES])
{
    secp256k1_scalar products[X402_LANES], inverse;

    products[0] = scalars[0];
    for (size_t i = 1; i < X402_LANES; i++)
        secp256k1_scalar_mul(&products[i], &products[i - 1], &scalars[i]);
    secp256k1_scalar_inverse_var(&inverse, &products[X402_LANES - 1]);
    for (size_t i = X402_LANES; --i > 0;) {
        secp256k1_scalar_mul(&inverses[i], &inverse, &products[i - 1]);
        secp256k1_scalar_mul(&inverse, &inverse, &scalars[i]);
    }
    inverses[0] = inverse;
}

/* *out = (x z^-2, y z^-3), normalized. */
static inline void ge_set_over(secp256k1_ge *out, secp256k1_fe *x, secp256k1_fe *y,
                               const secp256k1_fe *inverse)
{
    secp256k1_fe power;

    secp256k1_fe_sqr(&power, inverse);
    secp256k1_fe_mul(x, x, &power);
    secp256k1_fe_mul(&power, &power, inverse);
    secp256k1_fe_mul(y, y, &power);
    secp256k1_fe_normalize_var(x);
    secp256k1_fe_normalize_var(y);
    secp256k1_ge_set_xy(out, x, y);
}

/*
 * The points, affine and normalized. Returns the lanes of which there is one, as bits:
 * not of infinity, of a sum that came to a case that is left out, or of what is no
 * point of the curve, which none is unless the arithmetic is wrong.
 */
FIELD8_CODE static inline unsigned point8_affine(secp256k1_ge out[X402_LANES],
                                                 const struct point8 *p)
{
    secp256k1_fe zs[X402_LANES], inverses[X402_LANES], x, y;
    unsigned are = 0;

    for (size_t i = 0; i < X402_LANES; i++) {
        zs[i] = field8_lane(&p->z, i);
        if (!(p->none >> i & 1) && !secp256k1_fe_normalizes_to_zero_var(&zs[i]))
            are |= 1U << i;
        else
            secp256k1_fe_set_int(&zs[i], 1);
    }
    fe_invert_all(inverses, zs);
    for (size_t i = 0; i < X402_LANES; i++) {
        x = field8_lane(&p->x, i);
        y = field8_lane(&p->y, i);
        ge_set_over(&out[i], &x, &y, &inverses[i]);
        if (!secp256k1_ge_is_valid_var(&out[i]))
            are &= ~(1U << i);
    }
    return are;
}

#pragma GCC diagnostic pop

#else
#define X402_LANES 0
#endif
#endif
