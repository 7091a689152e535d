#include "evm/fixed_base.h"

#include <assert.h>
#include <stdbool.h>

#if X402_GROUP

/* ------------------------------------------------------------------------- the table
 */

#define POWERS_MAX 256 /* of two, one for each bit of all places */
#define POINTS_MAX 512 /* worked out at a time */
#define SUMS_MAX (POINTS_MAX / 2)

/* *out = a + b, of points that are not infinity; it may be one of them. Each coordinate
 * has magnitude 1. */
struct sum {
    secp256k1_ge *out;
    const secp256k1_ge *a, *b;
};

static void subtract(secp256k1_fe *out, const secp256k1_fe *a, const secp256k1_fe *b)
{
    secp256k1_fe opposite;

    secp256k1_fe_negate(&opposite, b, 1);
    *out = *a;
    secp256k1_fe_add(out, &opposite);
}

/* With the reciprocal of x_b - x_a (Guide to Elliptic Curve Cryptography, 3.1.2). */
static void add(const struct sum *sum, const secp256k1_fe *reciprocal)
{
    secp256k1_fe slope;
    secp256k1_ge out;

    subtract(&slope, &sum->b->y, &sum->a->y);
    secp256k1_fe_mul(&slope, &slope, reciprocal);
    secp256k1_fe_sqr(&out.x, &slope);
    subtract(&out.x, &out.x, &sum->a->x);
    subtract(&out.x, &out.x, &sum->b->x);
    secp256k1_fe_normalize_weak(&out.x);
    subtract(&out.y, &sum->a->x, &out.x);
    secp256k1_fe_mul(&out.y, &out.y, &slope);
    subtract(&out.y, &out.y, &sum->a->y);
    secp256k1_fe_normalize_weak(&out.y);
    secp256k1_ge_set_xy(sum->out, &out.x, &out.y);
}

/* All with one inversion (Montgomery's trick: the same book, algorithm 2.26). False,
 * and nothing was done, where there is none or two are equal or each other's opposite.
 */
static bool add_all(const struct sum *sums, size_t count)
{
    secp256k1_fe differences[SUMS_MAX], products[SUMS_MAX], inverse, reciprocal;

    assert(count <= SUMS_MAX);
    if (count == 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        subtract(&differences[i], &sums[i].b->x, &sums[i].a->x);
        products[i] = differences[i];
        if (i > 0)
            secp256k1_fe_mul(&products[i], &products[i - 1], &differences[i]);
    }
    if (secp256k1_fe_normalizes_to_zero_var(&products[count - 1]))
        return false;
    secp256k1_fe_inv_var(&inverse, &products[count - 1]);
    for (size_t i = count; --i > 0;) {
        secp256k1_fe_mul(&reciprocal, &inverse, &products[i - 1]);
        secp256k1_fe_mul(&inverse, &inverse, &differences[i]);
        add(&sums[i], &reciprocal);
    }
    add(&sums[0], &inverse);
    return true;
}

/* out[i] = 2^i times the point. */
static void double_up(secp256k1_ge *out, const secp256k1_ge *point, size_t count)
{
    secp256k1_gej doubles[POWERS_MAX];

    secp256k1_gej_set_ge(&doubles[0], point);
    for (size_t i = 1; i < count; i++)
        secp256k1_gej_double_var(&doubles[i], &doubles[i - 1], NULL);
    secp256k1_ge_set_all_gej_var(out, doubles, count);
}

/*
 * 1 ... half times the base of each place. Those that are powers of two are there, the
 * others are sums of one and what is below it: m + 1 ... 2m - 1 of all places at once.
 * The order of the group is prime and large, so that no two are equal or opposite.
 */
static void fill_places(secp256k1_ge *points, const secp256k1_ge *powers, size_t places,
                        unsigned width)
{
    const size_t half = (size_t)1 << (width - 1);
    struct sum sums[SUMS_MAX];
    bool added;

    for (size_t i = 0; i < places; i++)
        for (unsigned j = 0; j < width; j++)
            points[i * half + ((size_t)1 << j) - 1] = powers[i * width + j];
    for (size_t m = 2; m < half; m *= 2) {
        size_t count = 0;
        for (size_t i = 0; i < places; i++) {
            secp256k1_ge *place = &points[i * half];
            for (size_t j = 1; j < m; j++)
                sums[count++] =
                    (struct sum){&place[m + j - 1], &place[m - 1], &place[j - 1]};
        }
        added = add_all(sums, count);
        assert(added);
        (void)added;
    }
}

void x402_fixed_base_build(secp256k1_ge_storage *multiples, const secp256k1_ge *point,
                           unsigned bits, unsigned width)
{
    const size_t places = bits / width + 1, half = (size_t)1 << (width - 1);
    const size_t size = (size_t)X402_FIXED_BASE_SIZE(bits, width);
    secp256k1_ge powers[POWERS_MAX], points[POINTS_MAX];
    size_t step = POINTS_MAX / half, stored = 0;

    assert(!secp256k1_ge_is_infinity(point));
    assert(bits <= 255 && width > 1 && width <= X402_FIXED_BASE_WIDTH_MAX);
    assert(places * width <= POWERS_MAX);
    double_up(powers, point, places * width);
    for (size_t i = 0; i < places; i += step) {
        if (step > places - i)
            step = places - i;
        fill_places(points, &powers[i * width], step, width);
        for (size_t j = 0; j < step * half && stored < size; j++)
            secp256k1_ge_to_storage(&multiples[stored++], &points[j]);
    }
}

/* ------------------------------------------------------------------------ the digits
 */

/* `width` bits of the scalar from bit `at` on, which is below 256. */
static unsigned bits_at(const secp256k1_scalar *scalar, unsigned at, unsigned width)
{
    unsigned limb = at / 64, offset = at % 64;
    uint64_t bits = scalar->d[limb] >> offset;

    if (offset + width > 64 && limb < 3)
        bits |= scalar->d[limb + 1] << (64 - offset);
    return (unsigned)bits & ((1U << width) - 1);
}

void x402_fixed_base_pick(struct x402_fixed_base_terms *terms,
                          const struct x402_fixed_base *base,
                          const secp256k1_scalar *scalar)
{
    const unsigned half = 1U << (base->width - 1);
    const int negative = secp256k1_scalar_is_high(scalar);
    secp256k1_scalar positive = *scalar;
    unsigned carry = 0;

    if (negative)
        secp256k1_scalar_negate(&positive, scalar);
    for (unsigned i = 0; i <= base->bits / base->width; i++) {
        unsigned digit = bits_at(&positive, i * base->width, base->width) + carry;
        struct x402_fixed_base_term *term = &terms->items[terms->count];
        carry = digit > half;
        if (carry)
            digit = 2 * half - digit;
        if (digit == 0)
            continue;
        assert(terms->count < X402_FIXED_BASE_TERMS_MAX);
        term->multiple = &base->multiples[i * half + digit - 1];
        term->negative = negative ^ (int)carry;
        __builtin_prefetch(term->multiple);
        terms->count++;
    }
}

/* --------------------------------------------------------------------------- the sum
 */

/* Without a branch: half of the digits are negative, and no processor knows which. */
static void load(secp256k1_ge *out, const struct x402_fixed_base_term *term)
{
    secp256k1_fe opposite;

    secp256k1_ge_from_storage(out, term->multiple);
    secp256k1_fe_negate(&opposite, &out->y, 1);
    secp256k1_fe_cmov(&out->y, &opposite, term->negative);
    secp256k1_fe_normalize_weak(&out->y);
}

/* Each two that follow each other, in the place of the first. */
static size_t pair_up(struct sum *sums, secp256k1_ge *points, size_t count)
{
    for (size_t i = 0; i < count / 2; i++)
        sums[i] = (struct sum){&points[2 * i], &points[2 * i], &points[2 * i + 1]};
    return count / 2;
}

void x402_fixed_base_sum(secp256k1_gej *sums, const struct x402_fixed_base_terms *terms,
                         size_t count)
{
    secp256k1_ge points[X402_FIXED_BASE_SUMS_MAX][X402_FIXED_BASE_TERMS_MAX];
    struct sum pairs[X402_FIXED_BASE_SUMS_MAX * X402_FIXED_BASE_TERMS_MAX / 2] = {0};
    size_t pairs_count = 0, step;

    assert(count <= X402_FIXED_BASE_SUMS_MAX);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < terms[i].count; j++)
            load(&points[i][j], &terms[i].items[j]);
        pairs_count += pair_up(&pairs[pairs_count], points[i], terms[i].count);
    }
    step = add_all(pairs, pairs_count) ? 2 : 1;
    for (size_t i = 0; i < count; i++) {
        secp256k1_gej_set_infinity(&sums[i]);
        for (size_t j = 0; j < terms[i].count; j += step)
            secp256k1_gej_add_ge_var(&sums[i], &sums[i], &points[i][j], NULL);
    }
}

#endif
