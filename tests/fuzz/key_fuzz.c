/* Any bytes as a key file: a key is read when, and only when, there is one, as another
 * reader reads it; otherwise nothing of the file is left or told. */
#include "check.h"

#include "evm/signature.h"
#include "settle/key.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The rule of key.h, read backwards. */
static bool is_key(uint8_t key32[32], const uint8_t *data, size_t size)
{
    static const uint8_t zeros[32];
    uint8_t address20[20];
    struct x402_slice digits = {(const char *)data, size};

    if (size >= 256 || memchr(data, 0, size) != NULL)
        return false;
    while (digits.size > 0 && memchr(" \t\r\n", digits.data[digits.size - 1], 4))
        digits.size--;
    if (digits.size == 66 && digits.data[0] == '0' && (digits.data[1] | 32) == 'x') {
        digits.data += 2;
        digits.size -= 2;
    }
    return digits.size == 64 && x402_hex_decode(key32, 32, digits) &&
           memcmp(key32, zeros, 32) != 0 &&
           x402_key_address(address20, key32) == X402_OK;
}

static bool holds_digits(const char *message, const uint8_t *data, size_t size)
{
    uint8_t bytes[8];

    return size >= 16 &&
           x402_hex_decode(bytes, 8, (struct x402_slice){(const char *)data, 16}) &&
           memmem(message, strlen(message), data, 16) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64], message[X402_KEY_MESSAGE_MAX] = "";
    uint8_t key32[32], expected32[32];
    static const uint8_t zeros[32];
    int fd = memfd_create("key", MFD_CLOEXEC);

    check(fd >= 0 && fchmod(fd, 0600) == 0, "a file");
    check(write(fd, data, size) == (ssize_t)size, "written");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool expected = is_key(expected32, data, size);
    bool read = x402_key_load(key32, path, message) == X402_OK;
    check(read == expected, "a key, or none");
    check(!read || memcmp(key32, expected32, 32) == 0, "the same key");
    check(read || memcmp(key32, zeros, 32) == 0, "wiped");
    check(read || (message[0] != '\0' && !holds_digits(message, data, size)),
          "a message that tells nothing");
    close(fd);
    return 0;
}
