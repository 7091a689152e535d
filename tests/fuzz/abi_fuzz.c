/* Any bytes as revert data: the reason is printable and fits. */
#include "evm/abi.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t out_max = size > 0 ? data[0] + 1U : 1;
    char *out = malloc(out_max);
    uint8_t *copy = malloc(size + 1);

    if (out == NULL || copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, data + 1, size - 1);
    size_t reason_size =
        x402_abi_revert_reason(out, out_max, copy, size > 0 ? size - 1 : 0);
    if (reason_size >= out_max || strlen(out) != reason_size)
        abort();
    for (size_t i = 0; i < reason_size; i++)
        if (out[i] < 0x20 || out[i] > 0x7e)
            abort();
    free(copy);
    free(out);
    return 0;
}
