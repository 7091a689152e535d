/*
 * Multiples of one point, worked out once, so that any multiple of it is a sum of a few
 * and takes no doubling: fixed-base windowing with signed digits (Guide to Elliptic
 * Curve Cryptography, 3.3.2). A scalar of `bits` bits is cut into digits of `width`
 * bits, each between -2^(width-1) and 2^(width-1); for each digit's place i the table
 * has 1 ... 2^(width-1) times 2^(i width) times the point. The highest place has what
 * is left: 2^(bits % width) multiples.
 *
 * Pure; any thread. Only where X402_GROUP. The caller owns all memory.
 */
#ifndef X402_EVM_FIXED_BASE_H
#define X402_EVM_FIXED_BASE_H

#include "evm/group.h"

#include <stddef.h>

#if X402_GROUP

#define X402_FIXED_BASE_WIDTH_MAX 8

/* How many multiples a table has. */
#define X402_FIXED_BASE_SIZE(bits, width)                                              \
    ((bits) / (width) * (1 << ((width)-1)) + (1 << (bits) % (width)))

#define X402_FIXED_BASE_TERMS_MAX 64 /* that one sum may have */
#define X402_FIXED_BASE_SUMS_MAX 2   /* worked out together */

struct x402_fixed_base {
    unsigned bits, width; /* at most 255 and X402_FIXED_BASE_WIDTH_MAX */
    const secp256k1_ge_storage
        *multiples; /* borrowed; X402_FIXED_BASE_SIZE(bits, width) */
};

/* One of the multiples, or its negative. */
struct x402_fixed_base_term {
    const secp256k1_ge_storage *multiple;
    int negative;
};

/*
 * Works out the multiples of `point`, which must not be infinity. Takes some 100 KB of
 * stack.
 *
 * Out: multiples: X402_FIXED_BASE_SIZE(bits, width).
 */
void x402_fixed_base_build(secp256k1_ge_storage *multiples, const secp256k1_ge *point,
                           unsigned bits, unsigned width);

struct x402_fixed_base_terms {
    struct x402_fixed_base_term items[X402_FIXED_BASE_TERMS_MAX];
    size_t count;
};

/*
 * Adds the terms that scalar times the point is the sum of, at most bits / width + 1,
 * for which there must be room; they are on their way into the cache when this returns.
 * The scalar or its negative is below 2^bits.
 */
void x402_fixed_base_pick(struct x402_fixed_base_terms *terms,
                          const struct x402_fixed_base *base,
                          const secp256k1_scalar *scalar);

/*
 * sums[i] is the sum of terms[i]: infinity of none. One inversion serves all: with it
 * each two terms are added first, in half the time. Not where two that are added so are
 * equal or each other's opposite, which takes longer and gives the same. Takes some
 * 40 KB of stack.
 */
void x402_fixed_base_sum(secp256k1_gej *sums, const struct x402_fixed_base_terms *terms,
                         size_t count);

#endif
#endif
