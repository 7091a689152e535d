#include "evm/recover8.h"

#include "evm/group8.h"
#include "evm/parts.h"

#include <assert.h>
#include <string.h>

#if X402_LANES

#define LANES X402_LANES
#define WIDTH 4 /* bits of a digit of a half scalar, between -8 and 8 */
#define MULTIPLES (1 << (WIDTH - 1))
#define PLACES (128 / WIDTH + 1)
#define CURVE_B 7 /* y^2 = x^3 + 7 (SEC 2, 2.4.1) */

_Static_assert(LANES == X402_RECOVER8_MAX, "as said");

bool x402_recover8_is_here(void)
{
    return field8_is_here();
}

/* ----------------------------------------------------------------- the point of an x
 */

FIELD8_CODE static void sqr_times(struct field8 *out, const struct field8 *a,
                                  unsigned times)
{
    *out = *a;
    while (times-- > 0)
        field8_sqr(out, out);
}

/* *out = a^(2^bits - 1 of b) ...: a raised by 2^times, times b. */
FIELD8_CODE static void raise(struct field8 *out, const struct field8 *a,
                              unsigned times, const struct field8 *b)
{
    struct field8 t;

    sqr_times(&t, a, times);
    field8_mul(out, &t, b);
}

/*
 * *out = a^((p + 1) / 4), a root of a where it has one. The chain is libsecp256k1's
 * (field_impl.h): x_n is a^(2^n - 1).
 */
FIELD8_CODE static void root(struct field8 *out, const struct field8 *a)
{
    struct field8 x2, x3, x6, x9, x11, x22, x44, x88, x176, x220, x223, t;

    raise(&x2, a, 1, a);
    raise(&x3, &x2, 1, a);
    raise(&x6, &x3, 3, &x3);
    raise(&x9, &x6, 3, &x3);
    raise(&x11, &x9, 2, &x2);
    raise(&x22, &x11, 11, &x11);
    raise(&x44, &x22, 22, &x22);
    raise(&x88, &x44, 44, &x44);
    raise(&x176, &x88, 88, &x88);
    raise(&x220, &x176, 44, &x44);
    raise(&x223, &x220, 3, &x3);
    raise(&t, &x223, 23, &x22);
    raise(&t, &t, 6, &x2);
    sqr_times(out, &t, 2);
}

/* ------------------------------------------------------------------- what is recovered
 */

/* Of one lane. */
struct lane {
    bool known; /* so far */
    struct x402_parts parts;
    secp256k1_scalar digest, inverse;       /* inverse: of r */
    secp256k1_fe y;                         /* of R */
    struct x402_fixed_base_terms generator; /* what u1 G is the sum of */
};

/* Digits of the two halves of u2, by place and lane. */
struct digits {
    int8_t of[2][PLACES][LANES];
};

static void decode(struct lane *lane, const struct x402_recovery *item)
{
    secp256k1_scalar_set_b32(&lane->digest, item->digest32, NULL);
    lane->known = x402_parts_decode(&lane->parts, item->signature65);
    if (!lane->known)
        lane->parts = x402_parts_none;
}

static void invert(struct lane lanes[LANES])
{
    secp256k1_scalar all[LANES], inverses[LANES];

    for (size_t i = 0; i < LANES; i++)
        all[i] = lanes[i].parts.r;
    scalar_invert_all(inverses, all);
    for (size_t i = 0; i < LANES; i++)
        lanes[i].inverse = inverses[i];
}

/* Signed digits of a number whose value or whose opposite's is below 2^128. */
static void cut(int8_t (*digits)[LANES], size_t lane, const secp256k1_scalar *scalar)
{
    const bool negative = secp256k1_scalar_is_high(scalar);
    secp256k1_scalar positive = *scalar;
    int carry = 0;

    if (negative)
        secp256k1_scalar_negate(&positive, scalar);
    for (unsigned i = 0; i < PLACES; i++) {
        int digit =
            (int)(positive.d[i * WIDTH / 64] >> (i * WIDTH % 64) & (2 * MULTIPLES - 1));
        digit += carry;
        carry = digit > MULTIPLES;
        if (carry)
            digit -= 2 * MULTIPLES;
        digits[i][lane] = (int8_t)(negative ? -digit : digit);
    }
}

/* Q = u1 G + u2 R with u1 = -digest / r and u2 = s / r. */
static void split(struct lane *lane, struct digits *digits, size_t i)
{
    secp256k1_scalar u1, u2, k1, k2;

    secp256k1_scalar_mul(&u1, &lane->inverse, &lane->digest);
    secp256k1_scalar_negate(&u1, &u1);
    secp256k1_scalar_mul(&u2, &lane->inverse, &lane->parts.s);
    secp256k1_scalar_split_lambda(&k1, &k2, &u2);
    cut(digits->of[0], i, &k1);
    cut(digits->of[1], i, &k2);
    lane->generator.count = 0;
    x402_fixed_base_pick(&lane->generator, x402_generator(), &u1);
}

/* y of R, of the parity that the signature says; nothing is known where x has none. */
FIELD8_CODE static void lift(struct lane lanes[LANES])
{
    secp256k1_fe xs[LANES], is, should;
    struct field8 x, cube, y, square;

    for (size_t i = 0; i < LANES; i++)
        xs[i] = lanes[i].parts.x;
    field8_gather(&x, xs);
    field8_sqr(&cube, &x);
    field8_mul(&cube, &cube, &x);
    cube.n[0] = _mm512_add_epi64(cube.n[0], field8_all(CURVE_B));
    field8_carry(&cube, &cube);
    root(&y, &cube);
    field8_sqr(&square, &y);
    for (size_t i = 0; i < LANES; i++) {
        is = field8_lane(&square, i);
        should = field8_lane(&cube, i);
        lanes[i].known = lanes[i].known && secp256k1_fe_equal(&is, &should);
        lanes[i].y = field8_lane(&y, i);
        secp256k1_fe_normalize_var(&lanes[i].y);
        if (secp256k1_fe_is_odd(&lanes[i].y) != lanes[i].parts.y_is_odd)
            secp256k1_fe_negate(&lanes[i].y, &lanes[i].y, 1);
        secp256k1_fe_normalize_var(&lanes[i].y);
    }
}

/* --------------------------------------------------------------------- the multiples
 */

/*
 * 1 ... MULTIPLES times R, and lambda R, as if all were affine: over one denominator,
 * that is, points of another curve y^2 = x^3 + b, in whose law b has no part. A point
 * of that curve is one of ours once its z is multiplied by `z`.
 */
struct multiples {
    struct field8 x[2][MULTIPLES], y[MULTIPLES], z;
};

/* *p plus the affine (x, y); *h is what z grew by. */
FIELD8_CODE static void step(struct point8 *p, struct field8 *h, const struct field8 *x,
                             const struct field8 *y)
{
    struct field8 r;

    point8_compare(h, &r, p, x, y, 0);
    field8_mul(&p->z, &p->z, h);
    point8_finish_sum(p, &p->x, &p->y, h, &r);
}

FIELD8_CODE static void work_out(struct multiples *out, const struct field8 *x,
                                 const struct field8 *y)
{
    struct point8 p = {.x = *x, .y = *y, .z = {{field8_all(1)}}};
    struct field8 grew[MULTIPLES], ratio, square, beta;

    point8_double(&p);
    grew[0] = p.z;
    for (int i = 1;; i++) {
        out->x[0][i] = p.x;
        out->y[i] = p.y;
        if (i + 1 == MULTIPLES)
            break;
        step(&p, &grew[i], x, y);
    }
    out->x[0][0] = *x;
    out->y[0] = *y;
    out->z = p.z;
    for (int i = MULTIPLES - 2; i >= 0; i--) {
        if (i == MULTIPLES - 2)
            ratio = grew[i];
        else
            field8_mul(&ratio, &ratio, &grew[i]);
        field8_sqr(&square, &ratio);
        field8_mul(&out->x[0][i], &out->x[0][i], &square);
        field8_mul(&square, &square, &ratio);
        field8_mul(&out->y[i], &out->y[i], &square);
    }
    field8_broadcast(&beta, &secp256k1_const_beta);
    for (int i = 0; i < MULTIPLES; i++)
        field8_mul(&out->x[1][i], &out->x[0][i], &beta);
}

/* Adds the multiples that the digits say, of R or of lambda R. */
FIELD8_CODE static void add_digits(struct point8 *p, const struct multiples *multiples,
                                   int half, const int8_t digits[LANES])
{
    const __m512i digit = _mm512_cvtepi8_epi64(_mm_loadl_epi64((const void *)digits));
    const __m512i index = _mm512_abs_epi64(digit);
    struct field8 x = multiples->x[half][0], y = multiples->y[0];

    for (int i = 1; i < MULTIPLES; i++) {
        const __mmask8 is = _mm512_cmpeq_epi64_mask(index, field8_all((uint64_t)i + 1));
        field8_choose(&x, is, &multiples->x[half][i], &x);
        field8_choose(&y, is, &multiples->y[i], &y);
    }
    point8_add_affine(p, &x, &y, _mm512_cmplt_epi64_mask(digit, _mm512_setzero_si512()),
                      _mm512_test_epi64_mask(digit, digit));
}

/* *out = u2 R: halves side by side (Straus' trick, and GLV's). */
FIELD8_CODE static void multiply(struct point8 *out, const struct lane lanes[LANES],
                                 const struct digits *digits)
{
    secp256k1_fe xs[LANES], ys[LANES];
    struct multiples multiples;
    struct field8 x, y;

    for (size_t i = 0; i < LANES; i++) {
        xs[i] = lanes[i].parts.x;
        ys[i] = lanes[i].y;
    }
    field8_gather(&x, xs);
    field8_gather(&y, ys);
    work_out(&multiples, &x, &y);
    *out = (struct point8){.none = 0xFF};
    for (int place = PLACES - 1; place >= 0; place--) {
        for (int i = 0; i < WIDTH && place < PLACES - 1; i++)
            point8_double(out);
        for (int half = 0; half < 2; half++)
            add_digits(out, &multiples, half, digits->of[half][place]);
    }
    field8_mul(&out->z, &out->z, &multiples.z);
}

/* ----------------------------------------------------------------- of the generator
 */

/* *out = u1 G. */
FIELD8_CODE static void multiply_generator(struct point8 *out,
                                           const struct lane lanes[LANES])
{
    const struct x402_fixed_base_terms *lists[LANES];

    for (size_t i = 0; i < LANES; i++)
        lists[i] = &lanes[i].generator;
    *out = (struct point8){.none = 0xFF};
    point8_add_terms(out, lists);
}

/* --------------------------------------------------------------------- what comes out
 */

static void prepare(struct lane lanes[LANES], struct digits *digits,
                    const struct x402_recovery *items, size_t count)
{
    for (size_t i = 0; i < LANES; i++) {
        lanes[i] = (struct lane){.parts = x402_parts_none};
        if (i < count)
            decode(&lanes[i], &items[i]);
    }
    invert(lanes);
    for (size_t i = 0; i < LANES; i++)
        split(&lanes[i], digits, i);
}

FIELD8_CODE void x402_recover8(struct x402_recovery *items, size_t count)
{
    struct lane lanes[LANES];
    struct digits digits;
    struct point8 sum, generated;
    secp256k1_ge keys[LANES];
    unsigned are;

    assert(count > 0 && count <= LANES);
    prepare(lanes, &digits, items, count);
    lift(lanes);
    multiply(&sum, lanes, &digits);
    multiply_generator(&generated, lanes);
    point8_add(&sum, &generated);
    are = point8_affine(keys, &sum);
    for (size_t i = 0; i < count; i++) {
        items[i].known = lanes[i].known && (are >> i & 1);
        secp256k1_fe_get_b32(items[i].key64, &keys[i].x);
        secp256k1_fe_get_b32(items[i].key64 + 32, &keys[i].y);
    }
}

#else

bool x402_recover8_is_here(void)
{
    return false;
}

void x402_recover8(struct x402_recovery *items, size_t count)
{
    for (size_t i = 0; i < count; i++)
        items[i].known = false;
}

#endif
