/*
 * Reading what nobody else may read: a file that belongs to us and is readable by its
 * owner alone. Any thread.
 */
#ifndef X402_CORE_SECRET_H
#define X402_CORE_SECRET_H

#include <x402/bytes.h>

#define X402_SECRET_MESSAGE_MAX 512 /* bytes, with the zero */

/*
 * Reads a whole file of mode 0600 or less, of our own, into `out` and ends it with a
 * zero. ERR_KEY when it is not such a file, cannot be read, has a zero byte in it or
 * max bytes and more: `message` gets a sentence that calls it `what` ("key file"), and
 * `out` is wiped.
 */
X402_MUST_USE enum x402_error x402_secret_read(char *out, size_t max, const char *what,
                                               const char *path,
                                               char message[X402_SECRET_MESSAGE_MAX]);

#endif
