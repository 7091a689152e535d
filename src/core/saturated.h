/* Sums that stay at the most there is. */
#ifndef X402_CORE_SATURATED_H
#define X402_CORE_SATURATED_H

#include <stdint.h>

static inline uint64_t x402_saturated(uint64_t a, uint64_t b)
{
    return b < UINT64_MAX - a ? a + b : UINT64_MAX;
}

#endif
