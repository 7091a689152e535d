#include "evm/fixed_base.h"

#include <assert.h>

#if X402_GROUP

#define HALF_MAX (1 << (X402_FIXED_BASE_WIDTH_MAX - 1))

/* ------------------------------------------------------------------------- the table
 */

/*
 * 1 ... count times the base, and 2 count times: of a whole place, that is the base of
 * the next. One inversion for all of them. The order of the group is prime and large,
 * so none is infinity.
 */
static void build_place(secp256k1_ge *out, const secp256k1_ge *base, unsigned count)
{
    secp256k1_gej multiples[HALF_MAX + 1];

    secp256k1_gej_set_ge(&multiples[0], base);
    for (unsigned i = 1; i < count; i++)
        secp256k1_gej_add_ge_var(&multiples[i], &multiples[i - 1], base, NULL);
    secp256k1_gej_double_var(&multiples[count], &multiples[count - 1], NULL);
    secp256k1_ge_set_all_gej_var(out, multiples, count + 1);
}

void x402_fixed_base_build(secp256k1_ge_storage *multiples, const secp256k1_ge *point,
                           unsigned bits, unsigned width)
{
    secp256k1_ge place[HALF_MAX + 1];
    secp256k1_ge base = *point;

    assert(!secp256k1_ge_is_infinity(point));
    assert(bits <= 255 && width > 1 && width <= X402_FIXED_BASE_WIDTH_MAX);
    for (unsigned i = 0; i <= bits / width; i++) {
        unsigned count = 1U << (i < bits / width ? width - 1 : bits % width);
        build_place(place, &base, count);
        for (unsigned j = 0; j < count; j++)
            secp256k1_ge_to_storage(multiples++, &place[j]);
        base = place[count];
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

size_t x402_fixed_base_pick(struct x402_fixed_base_term *terms,
                            const struct x402_fixed_base *base,
                            const secp256k1_scalar *scalar)
{
    const unsigned half = 1U << (base->width - 1);
    const int negative = secp256k1_scalar_is_high(scalar);
    secp256k1_scalar positive = *scalar;
    unsigned carry = 0;
    size_t count = 0;

    if (negative)
        secp256k1_scalar_negate(&positive, scalar);
    for (unsigned i = 0; i <= base->bits / base->width; i++) {
        unsigned digit = bits_at(&positive, i * base->width, base->width) + carry;
        carry = digit > half;
        if (carry)
            digit = 2 * half - digit;
        if (digit == 0)
            continue;
        terms[count].multiple = &base->multiples[i * half + digit - 1];
        terms[count].negative = negative ^ (int)carry;
        __builtin_prefetch(terms[count++].multiple);
    }
    return count;
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
}

void x402_fixed_base_sum(secp256k1_gej *sum, const struct x402_fixed_base_term *terms,
                         size_t count)
{
    secp256k1_ge term;

    secp256k1_gej_set_infinity(sum);
    for (size_t i = 0; i < count; i++) {
        load(&term, &terms[i]);
        secp256k1_gej_add_ge_var(sum, sum, &term, NULL);
    }
}

#endif
