#include "evm/abi.h"

#include "evm/word.h"

#include <assert.h>
#include <string.h>

#define SELECTOR_SIZE 4
#define WORD_SIZE 32

static const uint8_t selector_transfer[SELECTOR_SIZE] = {0xe3, 0xee, 0x16, 0x0e};
static const uint8_t selector_state[SELECTOR_SIZE] = {0xe9, 0x4a, 0x01, 0x02};
static const uint8_t selector_balance[SELECTOR_SIZE] = {0x70, 0xa0, 0x82, 0x31};
static const uint8_t selector_error[SELECTOR_SIZE] = {0x08, 0xc3, 0x79, 0xa0};

const uint8_t x402_topic_transfer32[32] = {
    0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2, 0xc8, 0x9b, 0x69, 0xc2, 0xb0,
    0x68, 0xfc, 0x37, 0x8d, 0xaa, 0x95, 0x2b, 0xa7, 0xf1, 0x63, 0xc4,
    0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23, 0xb3, 0xef,
};

const uint8_t x402_topic_authorization_used32[32] = {
    0x98, 0xde, 0x50, 0x35, 0x28, 0xee, 0x59, 0xb5, 0x75, 0xef, 0x0c,
    0x0a, 0x25, 0x76, 0xa8, 0x24, 0x97, 0xbf, 0xc0, 0x29, 0xa5, 0x68,
    0x5b, 0x20, 0x9e, 0x9e, 0xc3, 0x33, 0x47, 0x9b, 0x10, 0xa5,
};

static uint8_t *put_selector(uint8_t *out, const uint8_t selector[SELECTOR_SIZE])
{
    memcpy(out, selector, SELECTOR_SIZE);
    return out + SELECTOR_SIZE;
}

void x402_abi_transfer_with_authorization(
    uint8_t out[X402_ABI_TRANSFER_SIZE], const struct x402_authorization *authorization,
    const uint8_t signature65[65])
{
    uint8_t *at = put_selector(out, selector_transfer);

    at = x402_word_address(at, authorization->from20);
    at = x402_word_address(at, authorization->to20);
    at = x402_word_number(at, authorization->value);
    at = x402_word_number(at, authorization->valid_after_seconds);
    at = x402_word_number(at, authorization->valid_before_seconds);
    at = x402_word_bytes32(at, authorization->nonce32);
    at = x402_word_number(at, signature65[64]);
    at = x402_word_bytes32(at, signature65);
    at = x402_word_bytes32(at, signature65 + 32);
    assert(at == out + X402_ABI_TRANSFER_SIZE);
    (void)at;
}

void x402_abi_authorization_state(uint8_t out[X402_ABI_AUTHORIZATION_STATE_SIZE],
                                  const uint8_t from20[20], const uint8_t nonce32[32])
{
    uint8_t *at = put_selector(out, selector_state);

    at = x402_word_address(at, from20);
    x402_word_bytes32(at, nonce32);
}

void x402_abi_balance_of(uint8_t out[X402_ABI_BALANCE_OF_SIZE],
                         const uint8_t owner20[20])
{
    x402_word_address(put_selector(out, selector_balance), owner20);
}

/* Reads a word that counts bytes of `size` bytes of data; false when it is larger. */
static bool read_length(size_t *out, const uint8_t word32[WORD_SIZE], size_t size)
{
    uint64_t length = 0;

    for (size_t i = 0; i < 24; i++)
        if (word32[i] != 0)
            return false;
    for (size_t i = 24; i < WORD_SIZE; i++)
        length = length << 8 | word32[i];
    *out = (size_t)length;
    return length <= size;
}

/* Error(string): selector, offset, and at the offset a length and the bytes. */
static bool find_reason(const uint8_t **reason, size_t *reason_size,
                        const uint8_t *data, size_t size)
{
    size_t offset;

    if (size < SELECTOR_SIZE + WORD_SIZE ||
        memcmp(data, selector_error, SELECTOR_SIZE) != 0)
        return false;
    data += SELECTOR_SIZE;
    size -= SELECTOR_SIZE;
    if (!read_length(&offset, data, size) || size - offset < WORD_SIZE)
        return false;
    *reason = data + offset + WORD_SIZE;
    return read_length(reason_size, data + offset, size - offset - WORD_SIZE);
}

size_t x402_abi_revert_reason(char *out, size_t out_max, const uint8_t *data,
                              size_t size)
{
    const uint8_t *reason = NULL;
    size_t reason_size = 0;

    assert(out_max > 0);
    out[0] = '\0';
    if (!find_reason(&reason, &reason_size, data, size))
        return 0;
    if (reason_size > out_max - 1)
        reason_size = out_max - 1;
    for (size_t i = 0; i < reason_size; i++)
        out[i] = reason[i] >= 0x20 && reason[i] < 0x7f ? (char)reason[i] : '?';
    out[reason_size] = '\0';
    return reason_size;
}
