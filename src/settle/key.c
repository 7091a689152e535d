#include "settle/key.h"

#include "core/secret.h"
#include "evm/signature.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX 256 /* bytes; a key needs 67 */

__attribute__((format(printf, 2, 3))) static enum x402_error refuse(
    char message[X402_KEY_MESSAGE_MAX], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, X402_KEY_MESSAGE_MAX, format, arguments);
    va_end(arguments);
    return X402_ERR_KEY;
}

/* ------------------------------------------------------------------------- reading */

static bool is_space(char c)
{
    return c == '\n' || c == '\r' || c == ' ' || c == '\t';
}

static bool decode_key(uint8_t key32[32], const char *text, size_t size)
{
    uint8_t address20[20];

    while (size > 0 && is_space(text[size - 1]))
        size--;
    if (size >= 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        text += 2;
        size -= 2;
    }
    return x402_hex_decode(key32, 32, (struct x402_slice){text, size}) &&
           x402_key_address(address20, key32) == X402_OK;
}

enum x402_error x402_key_load(uint8_t key32[32], const char *path,
                              char message[X402_KEY_MESSAGE_MAX])
{
    char text[KEY_FILE_MAX];
    enum x402_error error =
        x402_secret_read(text, sizeof text, "key file", path, message);

    if (error == X402_OK && !decode_key(key32, text, strlen(text)))
        error = refuse(message,
                       "key file '%s' does not hold a private key: 64 hex digits on "
                       "one line",
                       path);
    if (error != X402_OK)
        x402_bytes_wipe(key32, 32);
    x402_bytes_wipe(text, sizeof text);
    return error;
}

/* ------------------------------------------------------------------------- writing */

static bool random_key(uint8_t key32[32], uint8_t address20[20])
{
    for (int i = 0; i < 4; i++) { /* one in 2^128 is no key */
        if (RAND_bytes(key32, 32) != 1)
            return false;
        if (x402_key_address(address20, key32) == X402_OK)
            return true;
    }
    return false;
}

/* The file's name is durable only once its directory is. */
static bool sync_directory_of(const char *path)
{
    char copy[4096];
    int size = snprintf(copy, sizeof copy, "%s", path);

    if (size < 0 || (size_t)size >= sizeof copy)
        return false;
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool fine = fsync(fd) == 0;
    close(fd);
    return fine;
}

static bool write_key(int fd, const char *path, const uint8_t key32[32])
{
    char text[67] = "0x";

    x402_hex_encode(text + 2, key32, 32);
    text[66] = '\n';
    bool fine = fchmod(fd, 0600) == 0 && x402_secret_write(fd, text, sizeof text) &&
                sync_directory_of(path);
    x402_bytes_wipe(text, sizeof text);
    return fine;
}

enum x402_error x402_key_create(uint8_t address20[20], const char *path,
                                char message[X402_KEY_MESSAGE_MAX])
{
    uint8_t key32[32], made20[20];

    if (!random_key(key32, made20))
        return refuse(message, "the system gives no randomness");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
        x402_bytes_wipe(key32, sizeof key32);
        return refuse(message, "'%s' exists already and is left alone: name a new file",
                      path);
    }
    bool fine = fd >= 0 && write_key(fd, path, key32);
    int why = errno;
    x402_bytes_wipe(key32, sizeof key32);
    if (fd >= 0 && close(fd) != 0 && fine) {
        fine = false;
        why = errno;
    }
    if (fine) {
        memcpy(address20, made20, 20);
        return X402_OK;
    }
    if (fd >= 0)
        unlink(path); /* ours: it did not exist before */
    return refuse(message, "cannot write key file '%s': %s", path, strerror(why));
}
