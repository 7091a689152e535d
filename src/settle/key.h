/*
 * Private keys in files: hexadecimal, one line, readable by their owner alone. The key
 * is in nobody's arguments, environment or logs. Any thread.
 */
#ifndef X402_SETTLE_KEY_H
#define X402_SETTLE_KEY_H

#include "core/secret.h"

#define X402_KEY_MESSAGE_MAX X402_SECRET_MESSAGE_MAX

/*
 * Reads a key: 64 hex digits, "0x" before them and white space after them allowed, in a
 * regular file that belongs to the effective user and grants nothing to anybody else
 * (0600 or stricter). On any error `message` says what is wrong and how to mend it, and
 * nothing secret; key32 is wiped. ERR_KEY. The caller wipes key32.
 */
X402_MUST_USE enum x402_error x402_key_load(uint8_t key32[32], const char *path,
                                            char message[X402_KEY_MESSAGE_MAX]);

/*
 * Makes a key from the system's randomness and writes it to a new file of mode 0600,
 * durable when it returns; an existing file is never touched. Writes the address.
 * ERR_KEY, with a message.
 */
X402_MUST_USE enum x402_error x402_key_create(uint8_t address20[20], const char *path,
                                              char message[X402_KEY_MESSAGE_MAX]);

#endif
