#include "settle/proof.h"

#include "evm/abi.h"

#include <string.h>

const uint8_t x402_topic_authorization_canceled32[32] = {
    0x1c, 0xdd, 0x46, 0xff, 0x24, 0x27, 0x16, 0xcd, 0xaa, 0x72, 0xd1,
    0x59, 0xd3, 0x39, 0xa4, 0x85, 0xb3, 0x43, 0x83, 0x98, 0x34, 0x8d,
    0x68, 0xf0, 0x9d, 0x7c, 0x8c, 0x0a, 0x59, 0x35, 0x3d, 0x81};

void x402_word_of_address(uint8_t out32[32], const uint8_t address20[20])
{
    memset(out32, 0, 12);
    memcpy(out32 + 12, address20, 20);
}

static void word_of_number(uint8_t out32[32], uint64_t number)
{
    memset(out32, 0, 32);
    for (size_t i = 0; i < 8; i++)
        out32[31 - i] = (uint8_t)(number >> (8 * i));
}

/* Indexed event of the token: its first topics are those given. */
static bool is_event(const struct x402_log *log, const uint8_t asset20[20],
                     const uint8_t event32[32], const uint8_t from20[20])
{
    uint8_t from32[32];

    x402_word_of_address(from32, from20);
    return memcmp(log->address20, asset20, 20) == 0 && log->topics_count == 3 &&
           memcmp(log->topics[0], event32, 32) == 0 &&
           memcmp(log->topics[1], from32, 32) == 0;
}

static bool is_use(const struct x402_log *log, const struct x402_settlement *payment)
{
    return is_event(log, payment->asset20, x402_topic_authorization_used32,
                    payment->from20);
}

static bool is_transfer(const struct x402_log *log,
                        const struct x402_settlement *payment)
{
    uint8_t to32[32], value32[32];

    x402_word_of_address(to32, payment->to20);
    word_of_number(value32, payment->value);
    return is_event(log, payment->asset20, x402_topic_transfer32, payment->from20) &&
           memcmp(log->topics[2], to32, 32) == 0 && log->data_size == 32 &&
           memcmp(log->data32, value32, 32) == 0;
}

/* The next log of the same token after `index`, or count. */
static size_t next_of_token(const struct x402_log *logs, size_t count, size_t index)
{
    size_t next = index + 1;

    while (next < count && memcmp(logs[next].address20, logs[index].address20, 20) != 0)
        next++;
    return next;
}

static bool any_transfer(const struct x402_log *logs, size_t count,
                         const struct x402_settlement *payment)
{
    for (size_t i = 0; i < count; i++) {
        if (is_transfer(&logs[i], payment))
            return true;
    }
    return false;
}

bool x402_proof_of_payment(const struct x402_log *logs, size_t count,
                           const struct x402_settlement *payment)
{
    size_t uses = 0, used = count;

    for (size_t i = 0; i < count; i++) {
        if (!is_use(&logs[i], payment))
            continue;
        uses++;
        if (memcmp(logs[i].topics[2], payment->nonce32, 32) == 0)
            used = i;
    }
    if (used == count)
        return false;
    size_t next = next_of_token(logs, count, used);
    if (next < count && is_transfer(&logs[next], payment))
        return true;
    return uses == 1 && any_transfer(logs, count, payment);
}
