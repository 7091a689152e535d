#include "evm/facilitator.h"

#include "evm/facilitator_code.h"
#include "evm/word.h"

#include <assert.h>
#include <string.h>

#define SELECTOR_SIZE 4
#define WORD_SIZE 32
#define ADDRESS_SIZE 20
#define TIME_SIZE 5
#define TIME_MAX ((UINT64_C(1) << 40) - 1)

/* What a transaction may have at most (EIP-7825). */
#define GAS_LIMIT_MAX 16777216

/*
 * Gas limits: BASE is the transaction itself (21,000), its head (about 2,000), what
 * only the first item pays (cold proxy and library, a payee without balance: about
 * 30,000), and what must be left before the last item is tried (160,000), rounded up.
 * GAS_ITEM is what one more item takes: 47,000 measured with USDC behind its proxy and
 * a payer of its own, and half of that again for what refusals, upgrades and repricing
 * may add.
 */
#define GAS_BASE 300000
#define GAS_ITEM 70000
_Static_assert(GAS_BASE + X402_FACILITATOR_ITEMS_MAX * GAS_ITEM <= GAS_LIMIT_MAX,
               "a full batch fits a transaction");

static const uint8_t selector_settle[SELECTOR_SIZE] = {0x22, 0x0e, 0x45, 0x2c};
static const uint8_t selector_look[SELECTOR_SIZE] = {0xa4, 0xd0, 0x21, 0xf1};

const uint8_t x402_topic_facilitator_failed32[32] = {
    0x0b, 0xca, 0x0d, 0xd0, 0x48, 0xd5, 0xf4, 0xf1, 0x1b, 0x8d, 0x27,
    0xaf, 0x28, 0xc8, 0x25, 0x4d, 0x69, 0xb1, 0xde, 0x95, 0xc1, 0x3b,
    0x96, 0x44, 0x51, 0xd9, 0x9c, 0xda, 0xd4, 0xcb, 0x23, 0xfb,
};

const size_t x402_facilitator_deploy_data_size = sizeof x402_facilitator_deploy_data;

/* ------------------------------------------------------------------------ writing */

/* Each writes and returns the place after it. */
static uint8_t *put(uint8_t *out, const uint8_t *bytes, size_t size)
{
    memcpy(out, bytes, size);
    return out + size;
}

static uint8_t *put_time(uint8_t *out, uint64_t seconds)
{
    uint8_t word8[8];

    assert(seconds <= TIME_MAX);
    x402_big_endian64(word8, seconds);
    return put(out, word8 + sizeof word8 - TIME_SIZE, TIME_SIZE);
}

/* The length of a byte string, and zeros over the end of its last word; the bytes go
 * where the return value says. */
static uint8_t *put_length(uint8_t *out, size_t size)
{
    size_t rest = size % WORD_SIZE;

    out = x402_word_number(out, size);
    if (rest > 0)
        memset(out + size, 0, WORD_SIZE - rest);
    return out;
}

static uint8_t *put_item(uint8_t *out, const struct x402_facilitator_item *item)
{
    const struct x402_authorization *authorization = &item->authorization;
    uint8_t *const end = out + X402_FACILITATOR_ITEM_SIZE;

    out = put(out, authorization->from20, ADDRESS_SIZE);
    x402_big_endian64(out, authorization->value);
    out = put_time(out + sizeof(uint64_t), authorization->valid_after_seconds);
    out = put_time(out, authorization->valid_before_seconds);
    out = put(out, authorization->nonce32, WORD_SIZE);
    out = put(out, item->signature65, 2 * (size_t)WORD_SIZE);
    if (item->signature65[64] == 28)
        out[-WORD_SIZE] |= 0x80; /* EIP-2098: the parity of y on top of s */
    assert(out == end);
    return end;
}

/* ------------------------------------------------------------------------ reading */

/* Reads a word; false when the number passes 64 bits. */
static bool read_number(uint64_t *out, const uint8_t word32[WORD_SIZE])
{
    uint64_t number = 0;

    for (size_t i = 0; i < 24; i++)
        if (word32[i] != 0)
            return false;
    for (size_t i = 24; i < WORD_SIZE; i++)
        number = number << 8 | word32[i];
    *out = number;
    return true;
}

static bool word_is(const uint8_t word32[WORD_SIZE], uint64_t number)
{
    uint64_t read;

    return read_number(&read, word32) && read == number;
}

/* ------------------------------------------------------------------------- settle */

/* Half the order of secp256k1, which s may not pass (EIP-2). */
static const uint8_t half_order32[32] = {
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4,
    0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
};

bool x402_facilitator_fits(const struct x402_facilitator_item *item)
{
    uint8_t v = item->signature65[64];

    return item->authorization.valid_after_seconds <= TIME_MAX &&
           item->authorization.valid_before_seconds <= TIME_MAX &&
           (v == 27 || v == 28) &&
           memcmp(item->signature65 + 32, half_order32, sizeof half_order32) <= 0;
}

size_t x402_facilitator_settle_size(size_t count)
{
    return X402_FACILITATOR_SETTLE_SIZE(count);
}

size_t x402_facilitator_settle_encode(uint8_t *out, size_t out_max,
                                      const uint8_t token20[20],
                                      const uint8_t payee20[20],
                                      const struct x402_facilitator_item *items,
                                      size_t count)
{
    uint8_t *at = out;

    assert(count > 0 && count <= X402_FACILITATOR_ITEMS_MAX);
    if (out_max < X402_FACILITATOR_SETTLE_SIZE(count))
        return 0;
    at = put(at, selector_settle, SELECTOR_SIZE);
    at = x402_word_address(at, token20);
    at = x402_word_address(at, payee20);
    at = x402_word_number(at, 3 * WORD_SIZE); /* where the byte string starts */
    at = put_length(at, count * X402_FACILITATOR_ITEM_SIZE);
    for (size_t i = 0; i < count; i++) {
        assert(x402_facilitator_fits(&items[i]));
        assert(memcmp(items[i].authorization.to20, payee20, ADDRESS_SIZE) == 0);
        at = put_item(at, &items[i]);
    }
    return X402_FACILITATOR_SETTLE_SIZE(count);
}

/* Whether no bit is set from `count` on. */
static bool fails_below(const uint8_t failed32[32], uint64_t count)
{
    for (size_t i = count; i < 8 * (size_t)WORD_SIZE; i++)
        if (x402_facilitator_item_failed(failed32, i))
            return false;
    return true;
}

bool x402_facilitator_settle_decode(size_t *done, uint8_t failed32[32],
                                    const uint8_t *returned, size_t size)
{
    uint64_t count;

    if (size != 2 * WORD_SIZE || !read_number(&count, returned) ||
        count > X402_FACILITATOR_ITEMS_MAX || !fails_below(returned + WORD_SIZE, count))
        return false;
    *done = (size_t)count;
    memcpy(failed32, returned + WORD_SIZE, WORD_SIZE);
    return true;
}

bool x402_facilitator_item_failed(const uint8_t failed32[32], size_t index)
{
    assert(index < 8 * (size_t)WORD_SIZE);
    return failed32[WORD_SIZE - 1 - index / 8] >> (index % 8) & 1;
}

uint64_t x402_facilitator_gas_limit(size_t count)
{
    assert(count <= X402_FACILITATOR_ITEMS_MAX);
    return GAS_BASE + (uint64_t)count * GAS_ITEM;
}

/* ------------------------------------------------------------------------- reason */

static bool is_printable(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7f;
}

size_t x402_facilitator_reason(char out[X402_FACILITATOR_REASON_SIZE],
                               const uint8_t reason32[32])
{
    size_t size = WORD_SIZE, text = 0;

    while (size > 0 && reason32[size - 1] == 0)
        size--;
    while (text < size && is_printable(reason32[text]))
        text++;
    if (text == size) {
        memcpy(out, reason32, size);
    } else {
        size = 2 + 2 * SELECTOR_SIZE;
        memcpy(out, "0x", 2);
        x402_hex_encode(out + 2, reason32, SELECTOR_SIZE);
    }
    out[size] = '\0';
    return size;
}

/* --------------------------------------------------------------------------- look */

size_t x402_facilitator_look_encode(uint8_t *out, size_t out_max,
                                    const uint8_t token20[20], const uint8_t *payers,
                                    size_t count)
{
    uint8_t *at = out;

    assert(count > 0 && count <= X402_FACILITATOR_LOOK_MAX);
    if (out_max < X402_FACILITATOR_LOOK_SIZE(count))
        return 0;
    at = put(at, selector_look, SELECTOR_SIZE);
    at = x402_word_address(at, token20);
    at = x402_word_number(at, 2 * WORD_SIZE);
    at = put_length(at, count * ADDRESS_SIZE);
    put(at, payers, count * ADDRESS_SIZE);
    return X402_FACILITATOR_LOOK_SIZE(count);
}

/* What must be left before the last payer is looked at (60,000), the transaction and
 * its head; and calldata, two cold accesses and USDC's own work for each payer. */
uint64_t x402_facilitator_look_gas(size_t count)
{
    assert(count <= X402_FACILITATOR_LOOK_MAX);
    return 150000 + (uint64_t)count * 12000;
}

/* A word of the answer: flags in the first byte, the balance in the low 128 bits. */
static struct x402_facilitator_seen read_seen(const uint8_t word32[WORD_SIZE])
{
    struct x402_facilitator_seen seen = {.known = !(word32[0] & 0x40),
                                         .has_code = word32[0] & 0x80};
    uint8_t low[WORD_SIZE] = {0};

    memcpy(low + 16, word32 + 16, 16);
    if (!read_number(&seen.balance, low))
        seen.balance = UINT64_MAX;
    return seen;
}

bool x402_facilitator_look_decode(struct x402_facilitator_seen *out, size_t count,
                                  const uint8_t *returned, size_t size)
{
    if (size != (2 + count) * WORD_SIZE || !word_is(returned, WORD_SIZE) ||
        !word_is(returned + WORD_SIZE, count))
        return false;
    for (size_t i = 0; i < count; i++)
        out[i] = read_seen(returned + (2 + i) * WORD_SIZE);
    return true;
}
