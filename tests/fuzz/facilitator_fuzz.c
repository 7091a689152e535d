/* Any bytes as answers of the facilitator: what is read is within its bounds. */
#include "evm/facilitator.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_settle(const uint8_t *data, size_t size)
{
    uint8_t failed32[32];
    size_t done;

    if (!x402_facilitator_settle_decode(&done, failed32, data, size))
        return;
    if (done > X402_FACILITATOR_ITEMS_MAX)
        abort();
    for (size_t i = done; i < 256; i++)
        if (x402_facilitator_item_failed(failed32, i))
            abort();
}

static void read_reason(const uint8_t *data, size_t size)
{
    char text[X402_FACILITATOR_REASON_SIZE];
    uint8_t reason32[32] = {0};

    memcpy(reason32, data, size < sizeof reason32 ? size : sizeof reason32);
    size_t text_size = x402_facilitator_reason(text, reason32);
    if (text_size >= sizeof text || strlen(text) != text_size)
        abort();
    for (size_t i = 0; i < text_size; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            abort();
}

static void read_look(const uint8_t *data, size_t size)
{
    static struct x402_facilitator_seen seen[X402_FACILITATOR_LOOK_MAX];
    size_t count = size / 32;

    if (count < 2 || count - 2 > X402_FACILITATOR_LOOK_MAX)
        return;
    if (x402_facilitator_look_decode(seen, count - 2, data, size) && size % 32 != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1); /* a byte too far is seen */

    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    read_settle(copy, size);
    read_reason(copy, size);
    read_look(copy, size);
    free(copy);
    return 0;
}
