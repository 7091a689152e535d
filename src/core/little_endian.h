/* Words as bytes, least significant first. Spelled out, so that compilers make one load
 * or store of it. */
#ifndef X402_CORE_LITTLE_ENDIAN_H
#define X402_CORE_LITTLE_ENDIAN_H

#include <stdint.h>

static inline uint64_t x402_little_endian64(const uint8_t bytes8[8])
{
    return (uint64_t)bytes8[0] | (uint64_t)bytes8[1] << 8 | (uint64_t)bytes8[2] << 16 |
           (uint64_t)bytes8[3] << 24 | (uint64_t)bytes8[4] << 32 |
           (uint64_t)bytes8[5] << 40 | (uint64_t)bytes8[6] << 48 |
           (uint64_t)bytes8[7] << 56;
}

static inline void x402_little_endian64_put(uint8_t out8[8], uint64_t word)
{
    out8[0] = (uint8_t)word;
    out8[1] = (uint8_t)(word >> 8);
    out8[2] = (uint8_t)(word >> 16);
    out8[3] = (uint8_t)(word >> 24);
    out8[4] = (uint8_t)(word >> 32);
    out8[5] = (uint8_t)(word >> 40);
    out8[6] = (uint8_t)(word >> 48);
    out8[7] = (uint8_t)(word >> 56);
}

#endif
