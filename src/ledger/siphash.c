#include "ledger/siphash.h"

#include "core/little_endian.h"

struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotated(uint64_t word, int bits)
{
    return (word << bits) | (word >> (64 - bits));
}

/* The last `size` bytes, less than 8. */
static uint64_t rest_of(const uint8_t *bytes, size_t size)
{
    uint64_t word = 0;

    for (size_t i = 0; i < size; i++) {
        word |= (uint64_t)bytes[i] << (8 * i);
    }
    return word;
}

static void mix(struct sip *sip, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        sip->v0 += sip->v1;
        sip->v1 = rotated(sip->v1, 13) ^ sip->v0;
        sip->v0 = rotated(sip->v0, 32);
        sip->v2 += sip->v3;
        sip->v3 = rotated(sip->v3, 16) ^ sip->v2;
        sip->v0 += sip->v3;
        sip->v3 = rotated(sip->v3, 21) ^ sip->v0;
        sip->v2 += sip->v1;
        sip->v1 = rotated(sip->v1, 17) ^ sip->v2;
        sip->v2 = rotated(sip->v2, 32);
    }
}

static void absorb(struct sip *sip, uint64_t word)
{
    sip->v3 ^= word;
    mix(sip, 2);
    sip->v0 ^= word;
}

uint64_t x402_siphash(const uint8_t key16[16], const uint8_t *bytes, size_t size)
{
    const uint64_t k0 = x402_little_endian64(key16);
    const uint64_t k1 = x402_little_endian64(key16 + 8);
    struct sip sip = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du,
                      k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
    const size_t whole = size - size % 8;

    for (size_t i = 0; i < whole; i += 8) {
        absorb(&sip, x402_little_endian64(bytes + i));
    }
    absorb(&sip, rest_of(bytes + whole, size % 8) | (uint64_t)size << 56);
    sip.v2 ^= 0xff;
    mix(&sip, 4);
    return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}
