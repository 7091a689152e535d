#include <x402/bytes.h>

#include <assert.h>
#include <string.h>

struct x402_slice x402_slice_of(const char *zero_terminated)
{
    assert(zero_terminated != NULL);
    return (struct x402_slice){zero_terminated, strlen(zero_terminated)};
}

bool x402_slice_equal(struct x402_slice a, struct x402_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

void x402_hex_encode(char *out, const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

/* The four bits of each hex digit, with a bit above them that nothing else has. */
#define DIGIT 0x10U
static const uint8_t nibbles[256] = {
    ['0'] = DIGIT | 0,  ['1'] = DIGIT | 1,  ['2'] = DIGIT | 2,  ['3'] = DIGIT | 3,
    ['4'] = DIGIT | 4,  ['5'] = DIGIT | 5,  ['6'] = DIGIT | 6,  ['7'] = DIGIT | 7,
    ['8'] = DIGIT | 8,  ['9'] = DIGIT | 9,  ['A'] = DIGIT | 10, ['B'] = DIGIT | 11,
    ['C'] = DIGIT | 12, ['D'] = DIGIT | 13, ['E'] = DIGIT | 14, ['F'] = DIGIT | 15,
    ['a'] = DIGIT | 10, ['b'] = DIGIT | 11, ['c'] = DIGIT | 12, ['d'] = DIGIT | 13,
    ['e'] = DIGIT | 14, ['f'] = DIGIT | 15,
};

/* The digits are random: a branch on each would be guessed wrong every other time. */
bool x402_hex_decode(uint8_t *out, size_t size, struct x402_slice text)
{
    const uint8_t *digits = (const uint8_t *)text.data;
    unsigned all = DIGIT;

    if (text.size / 2 != size || text.size % 2 != 0)
        return false;
    for (size_t i = 0; i < size; i++) {
        unsigned high = nibbles[digits[2 * i]];
        unsigned low = nibbles[digits[2 * i + 1]];
        all &= high & low;
        out[i] = (uint8_t)(high << 4 | (low & 15));
    }
    return (all & DIGIT) != 0;
}

bool x402_bytes_equal_constant_time(const uint8_t *a, const uint8_t *b, size_t size)
{
    volatile uint8_t difference = 0;

    for (size_t i = 0; i < size; i++)
        difference = (uint8_t)(difference | (a[i] ^ b[i]));
    return difference == 0;
}

void x402_bytes_wipe(void *bytes, size_t size)
{
    assert(bytes != NULL || size == 0);
    if (size > 0)
        explicit_bzero(bytes, size);
}
