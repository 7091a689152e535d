/* Any text as base64: what decodes encodes to the same text. */
#include <x402/bytes.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct x402_slice text = {(const char *)data, size};
    size_t bytes_max = size / 4 * 3;
    size_t bytes_size = 0;
    uint8_t *bytes = malloc(bytes_max + 1);
    char *again = malloc(size + 1);

    if (bytes == NULL || again == NULL)
        abort();
    if (x402_base64_decode(bytes, &bytes_size, bytes_max, text) == X402_OK) {
        if (bytes_size > bytes_max || X402_BASE64_SIZE(bytes_size) != size)
            abort();
        x402_base64_encode(again, bytes, bytes_size);
        if (size > 0 && memcmp(again, data, size) != 0)
            abort();
    }
    free(again);
    free(bytes);
    return 0;
}
