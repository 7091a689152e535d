/*
 * Eight elements of secp256k1's field at once, one in each 64-bit lane of five 512-bit
 * words: radix 2^52, as libsecp256k1's secp256k1_fe has them one at a time, so that a
 * lane is copied from and to one limb by limb. Products are schoolbook, by columns
 * (Gueron, Krasnov, "Accelerating Big Integer Arithmetic Using Intel IFMA Extensions",
 * ARITH 2016).
 *
 * p = 2^256 - 0x1000003D1. An element is any number that is the right one modulo p:
 * "carried" while each limb is below 2^52 and the highest below 2^49, which is what the
 * products take and what all here give, or "loose" with limbs below 2^62, which only
 * field8_carry takes.
 *
 * For processors with AVX-512 F and IFMA, which whoever calls must have made sure of.
 */
#ifndef X402_EVM_FIELD8_H
#define X402_EVM_FIELD8_H

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>

/* Of all functions that have to do with these words. */
#define FIELD8_CODE __attribute__((target("avx512f,avx512ifma")))

#define FIELD8_LIMBS 5
#define FIELD8_MASK52 UINT64_C(0xFFFFFFFFFFFFF)
#define FIELD8_MASK48 UINT64_C(0xFFFFFFFFFFFF)
#define FIELD8_FOLD256 UINT64_C(0x1000003D1)  /* 2^256 mod p */
#define FIELD8_FOLD260 UINT64_C(0x1000003D10) /* 2^260 mod p */

struct field8 {
    __m512i n[FIELD8_LIMBS];
};

/* Whether this machine can. */
static inline bool field8_is_here(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512ifma");
}

FIELD8_CODE static inline __m512i field8_all(uint64_t value)
{
    return _mm512_set1_epi64((long long)value);
}

/* *out = a, carried; a is loose. */
FIELD8_CODE static inline void field8_carry(struct field8 *out, const struct field8 *a)
{
    const __m512i mask = field8_all(FIELD8_MASK52);
    __m512i high = _mm512_srli_epi64(a->n[4], 48);
    __m512i n4 = _mm512_and_si512(a->n[4], field8_all(FIELD8_MASK48));
    __m512i n0 = _mm512_madd52lo_epu64(a->n[0], high, field8_all(FIELD8_FOLD256));
    __m512i n1 = _mm512_add_epi64(a->n[1], _mm512_srli_epi64(n0, 52));
    __m512i n2 = _mm512_add_epi64(a->n[2], _mm512_srli_epi64(n1, 52));
    __m512i n3 = _mm512_add_epi64(a->n[3], _mm512_srli_epi64(n2, 52));

    out->n[0] = _mm512_and_si512(n0, mask);
    out->n[1] = _mm512_and_si512(n1, mask);
    out->n[2] = _mm512_and_si512(n2, mask);
    out->n[3] = _mm512_and_si512(n3, mask);
    out->n[4] = _mm512_add_epi64(n4, _mm512_srli_epi64(n3, 52));
}

/*
 * From the columns of a product, low[k] + high[k] of weight 2^(52 k), each below 2^57
 * and the last below 2^51: what is above 2^260 is carried once, and folded twice.
 */
FIELD8_CODE static inline void field8_reduce(struct field8 *out, __m512i low[10],
                                             __m512i high[10])
{
    const __m512i fold = field8_all(FIELD8_FOLD260);
    __m512i top = _mm512_setzero_si512();
    struct field8 loose;

    for (int k = 0; k < 10; k++)
        low[k] = _mm512_add_epi64(low[k], high[k]);
    for (int k = 5; k < 9; k++) /* of what stays below, the products take 52 bits */
        low[k + 1] = _mm512_add_epi64(low[k + 1], _mm512_srli_epi64(low[k], 52));
    for (int k = 0; k < 5; k++)
        loose.n[k] = _mm512_madd52lo_epu64(low[k], low[k + 5], fold);
    for (int k = 0; k < 4; k++)
        loose.n[k + 1] = _mm512_madd52hi_epu64(loose.n[k + 1], low[k + 5], fold);
    top = _mm512_madd52hi_epu64(top, low[9], fold);
    loose.n[0] = _mm512_madd52lo_epu64(loose.n[0], top, fold);
    loose.n[1] = _mm512_madd52hi_epu64(loose.n[1], top, fold);
    field8_carry(out, &loose);
}

/* *out = a b; all carried; may be one of them. */
FIELD8_CODE static inline void field8_mul(struct field8 *out, const struct field8 *a,
                                          const struct field8 *b)
{
    __m512i low[10], high[10];

    for (int k = 0; k < 10; k++)
        low[k] = high[k] = _mm512_setzero_si512();
    for (int i = 0; i < FIELD8_LIMBS; i++)
        for (int j = 0; j < FIELD8_LIMBS; j++) {
            low[i + j] = _mm512_madd52lo_epu64(low[i + j], a->n[i], b->n[j]);
            high[i + j + 1] = _mm512_madd52hi_epu64(high[i + j + 1], a->n[i], b->n[j]);
        }
    field8_reduce(out, low, high);
}

/* *out = a a: each mixed product once, and doubled. */
FIELD8_CODE static inline void field8_sqr(struct field8 *out, const struct field8 *a)
{
    __m512i low[10], high[10];

    for (int k = 0; k < 10; k++)
        low[k] = high[k] = _mm512_setzero_si512();
    for (int i = 0; i < FIELD8_LIMBS; i++)
        for (int j = i + 1; j < FIELD8_LIMBS; j++) {
            low[i + j] = _mm512_madd52lo_epu64(low[i + j], a->n[i], a->n[j]);
            high[i + j + 1] = _mm512_madd52hi_epu64(high[i + j + 1], a->n[i], a->n[j]);
        }
    for (int k = 0; k < 10; k++) {
        low[k] = _mm512_add_epi64(low[k], low[k]);
        high[k] = _mm512_add_epi64(high[k], high[k]);
    }
    for (int i = 0; i < FIELD8_LIMBS; i++) {
        low[2 * i] = _mm512_madd52lo_epu64(low[2 * i], a->n[i], a->n[i]);
        high[2 * i + 1] = _mm512_madd52hi_epu64(high[2 * i + 1], a->n[i], a->n[i]);
    }
    field8_reduce(out, low, high);
}

/* *out = 2^bits a, loose: of a carried one, by at most 8 bits. */
FIELD8_CODE static inline void field8_shift(struct field8 *out, const struct field8 *a,
                                            unsigned bits)
{
    for (int i = 0; i < FIELD8_LIMBS; i++)
        out->n[i] = _mm512_slli_epi64(a->n[i], bits);
}

/* *out = a + b, loose, where the sums of limbs are. */
FIELD8_CODE static inline void field8_add(struct field8 *out, const struct field8 *a,
                                          const struct field8 *b)
{
    for (int i = 0; i < FIELD8_LIMBS; i++)
        out->n[i] = _mm512_add_epi64(a->n[i], b->n[i]);
}

/* *out = a - b, loose: 32 p is added, each limb of which is above any b's that is at
 * most 15 carried ones added up; a's limbs are below 2^61. */
FIELD8_CODE static inline void field8_sub(struct field8 *out, const struct field8 *a,
                                          const struct field8 *b)
{
    static const uint64_t p[FIELD8_LIMBS] = {
        0xFFFFEFFFFFC2F, FIELD8_MASK52, FIELD8_MASK52, FIELD8_MASK52, FIELD8_MASK48};

    for (int i = 0; i < FIELD8_LIMBS; i++)
        out->n[i] =
            _mm512_sub_epi64(_mm512_add_epi64(a->n[i], field8_all(32 * p[i])), b->n[i]);
}

/* Lane by lane: a where the bit is set, else b. */
FIELD8_CODE static inline void field8_choose(struct field8 *out, __mmask8 which,
                                             const struct field8 *a,
                                             const struct field8 *b)
{
    for (int i = 0; i < FIELD8_LIMBS; i++)
        out->n[i] = _mm512_mask_mov_epi64(b->n[i], which, a->n[i]);
}

#endif
