/*
 * Files that nobody else may read: they belong to us and are readable by their owner
 * alone. Any thread.
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

/* Writes all of it to a new file, and waits until it is there to stay. False leaves
 * errno; some of it may be there then. */
X402_MUST_USE bool x402_secret_write(int fd, const char *text, size_t size);

#endif
