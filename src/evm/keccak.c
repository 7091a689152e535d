#include "evm/keccak.h"

#include "core/little_endian.h"

#include <string.h>

#define LANES 25
#define RATE 136
#define RATE_LANES (RATE / 8)

static const uint64_t round_constants[24] = {
    0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
    0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
    0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
};

#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t rotate(uint64_t lane, unsigned count)
{
    return lane << count | lane >> (64 - count);
}

/* chi of one plane, from five lanes after theta, rho and pi. */
INLINE void chi(uint64_t out[5], uint64_t b0, uint64_t b1, uint64_t b2, uint64_t b3,
                uint64_t b4)
{
    out[0] = b0 ^ (~b1 & b2);
    out[1] = b1 ^ (~b2 & b3);
    out[2] = b2 ^ (~b3 & b4);
    out[3] = b3 ^ (~b4 & b0);
    out[4] = b4 ^ (~b0 & b1);
}

/*
 * One round of Keccak-f[1600]. Lane x of plane y is a[5 * y + x]. Every index is a
 * constant, so that both states live in registers and nothing is permuted in memory.
 */
INLINE void round_apply(uint64_t out[LANES], const uint64_t a[LANES], uint64_t constant)
{
    uint64_t c0 = a[0] ^ a[5] ^ a[10] ^ a[15] ^ a[20];
    uint64_t c1 = a[1] ^ a[6] ^ a[11] ^ a[16] ^ a[21];
    uint64_t c2 = a[2] ^ a[7] ^ a[12] ^ a[17] ^ a[22];
    uint64_t c3 = a[3] ^ a[8] ^ a[13] ^ a[18] ^ a[23];
    uint64_t c4 = a[4] ^ a[9] ^ a[14] ^ a[19] ^ a[24];
    uint64_t d0 = c4 ^ rotate(c1, 1);
    uint64_t d1 = c0 ^ rotate(c2, 1);
    uint64_t d2 = c1 ^ rotate(c3, 1);
    uint64_t d3 = c2 ^ rotate(c4, 1);
    uint64_t d4 = c3 ^ rotate(c0, 1);

    chi(out, a[0] ^ d0, rotate(a[6] ^ d1, 44), rotate(a[12] ^ d2, 43),
        rotate(a[18] ^ d3, 21), rotate(a[24] ^ d4, 14));
    out[0] ^= constant;
    chi(out + 5, rotate(a[3] ^ d3, 28), rotate(a[9] ^ d4, 20), rotate(a[10] ^ d0, 3),
        rotate(a[16] ^ d1, 45), rotate(a[22] ^ d2, 61));
    chi(out + 10, rotate(a[1] ^ d1, 1), rotate(a[7] ^ d2, 6), rotate(a[13] ^ d3, 25),
        rotate(a[19] ^ d4, 8), rotate(a[20] ^ d0, 18));
    chi(out + 15, rotate(a[4] ^ d4, 27), rotate(a[5] ^ d0, 36), rotate(a[11] ^ d1, 10),
        rotate(a[17] ^ d2, 15), rotate(a[23] ^ d3, 56));
    chi(out + 20, rotate(a[2] ^ d2, 62), rotate(a[8] ^ d3, 55), rotate(a[14] ^ d4, 39),
        rotate(a[15] ^ d0, 41), rotate(a[21] ^ d1, 2));
}

static void permute(uint64_t state[LANES])
{
    uint64_t even[LANES];
    uint64_t odd[LANES];

    memcpy(even, state, sizeof even);
    for (size_t i = 0; i < 24; i += 2) {
        round_apply(odd, even, round_constants[i]);
        round_apply(even, odd, round_constants[i + 1]);
    }
    memcpy(state, even, sizeof even);
}

static void absorb(uint64_t state[LANES], const uint8_t block[RATE])
{
    for (size_t i = 0; i < RATE_LANES; i++)
        state[i] ^= x402_little_endian64(block + 8 * i);
    permute(state);
}

void x402_keccak256(uint8_t out32[32], const void *data, size_t size)
{
    uint64_t state[LANES] = {0};
    uint8_t last[RATE] = {0};
    const uint8_t *bytes = data;

    for (; size >= RATE; size -= RATE, bytes += RATE)
        absorb(state, bytes);
    if (size > 0)
        memcpy(last, bytes, size);
    last[size] = 0x01;
    last[RATE - 1] |= 0x80;
    absorb(state, last);

    for (size_t i = 0; i < 4; i++)
        x402_little_endian64_put(out32 + 8 * i, state[i]);
}
