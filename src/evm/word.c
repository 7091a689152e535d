#include "evm/word.h"

#include <string.h>

void x402_big_endian64(uint8_t out8[8], uint64_t number)
{
    for (size_t i = 0; i < 8; i++)
        out8[i] = (uint8_t)(number >> (56 - 8 * i));
}

uint8_t *x402_word_number(uint8_t *out32, uint64_t number)
{
    memset(out32, 0, 24);
    x402_big_endian64(out32 + 24, number);
    return out32 + 32;
}

uint8_t *x402_word_address(uint8_t *out32, const uint8_t address20[20])
{
    memset(out32, 0, 12);
    memcpy(out32 + 12, address20, 20);
    return out32 + 32;
}

uint8_t *x402_word_bytes32(uint8_t *out32, const uint8_t bytes32[32])
{
    memcpy(out32, bytes32, 32);
    return out32 + 32;
}
