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

/* The value of a hex digit, or 0xff. Folding to lower case maps no other ASCII
 * character onto a digit or onto a to f. */
static uint8_t hex_value(char digit)
{
    uint8_t decimal = (uint8_t)((uint8_t)digit - '0');
    uint8_t letter = (uint8_t)(((uint8_t)digit | 0x20) - 'a');

    if (decimal < 10)
        return decimal;
    return letter < 6 ? (uint8_t)(letter + 10) : 0xff;
}

bool x402_hex_decode(uint8_t *out, size_t size, struct x402_slice text)
{
    if (text.size / 2 != size || text.size % 2 != 0)
        return false;
    for (size_t i = 0; i < size; i++) {
        uint8_t high = hex_value(text.data[2 * i]);
        uint8_t low = hex_value(text.data[2 * i + 1]);
        if ((high | low) > 15)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
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
