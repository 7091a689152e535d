#include "evm/keccak.h"

#include <x402/bytes.h>

#include <string.h>

#define DIGITS_COUNT 40

/* EIP-55: a letter is upper case where the hash of the lower-case text has a nibble of
 * at least 8. */
static void apply_checksum(char digits[DIGITS_COUNT])
{
    uint8_t hash[32];

    x402_keccak256(hash, digits, DIGITS_COUNT);
    for (size_t i = 0; i < DIGITS_COUNT; i++) {
        unsigned nibble = i % 2 == 0 ? hash[i / 2] >> 4 : hash[i / 2] & 15U;
        if (digits[i] >= 'a' && nibble >= 8)
            digits[i] = (char)(digits[i] - 'a' + 'A');
    }
}

void x402_address_encode(char out[X402_ADDRESS_TEXT_SIZE], const uint8_t address20[20])
{
    memcpy(out, "0x", 2);
    x402_hex_encode(out + 2, address20, 20);
    apply_checksum(out + 2);
    out[2 + DIGITS_COUNT] = '\0';
}

static bool has_both_cases(const char digits[DIGITS_COUNT])
{
    bool upper = false;
    bool lower = false;

    for (size_t i = 0; i < DIGITS_COUNT; i++) {
        upper = upper || (digits[i] >= 'A' && digits[i] <= 'F');
        lower = lower || (digits[i] >= 'a' && digits[i] <= 'f');
    }
    return upper && lower;
}

enum x402_error x402_address_decode(uint8_t out20[20], struct x402_slice text)
{
    uint8_t address[20];
    char checked[X402_ADDRESS_TEXT_SIZE];

    if (text.size != 2 + DIGITS_COUNT || memcmp(text.data, "0x", 2) != 0)
        return X402_ERR_ADDRESS;

    const char *digits = text.data + 2;
    if (!x402_hex_decode(address, 20, (struct x402_slice){digits, DIGITS_COUNT}))
        return X402_ERR_ADDRESS;
    x402_address_encode(checked, address);
    if (has_both_cases(digits) && memcmp(checked + 2, digits, DIGITS_COUNT) != 0)
        return X402_ERR_ADDRESS;

    memcpy(out20, address, sizeof address);
    return X402_OK;
}
