/*
 * Bytes as text: slices, hexadecimal, standard base64 (RFC 4648 section 4) and Ethereum
 * addresses (EIP-55). Pure; any thread; nothing is allocated.
 */
#ifndef X402_BYTES_H
#define X402_BYTES_H

#include <x402/error.h>

#include <stdint.h>

/* Borrowed text, not zero-terminated. Valid as long as what it points into. */
struct x402_slice {
    const char *data;
    size_t size;
};

#define X402_SLICE(literal) ((struct x402_slice){(literal), sizeof(literal) - 1})

struct x402_slice x402_slice_of(const char *zero_terminated);
bool x402_slice_equal(struct x402_slice a, struct x402_slice b);

/* Characters a base64 text of `size` bytes has, padding included. */
#define X402_BASE64_SIZE(size) (((size) + 2) / 3 * 4)

/* Lower-case hex, two characters a byte, no prefix, no terminating zero. */
void x402_hex_encode(char *out, const uint8_t *bytes, size_t size);

/*
 * Reads exactly 2 * size hex digits of either case. Returns false, with out unwritten
 * or partly written, when text is of another length or has another character.
 */
X402_MUST_USE bool x402_hex_decode(uint8_t *out, size_t size, struct x402_slice text);

/*
 * Writes X402_BASE64_SIZE(size) characters, padded, no terminating zero. The bytes may
 * be the last `size` bytes of that room: they are read before they are overwritten.
 */
void x402_base64_encode(char *out, const uint8_t *bytes, size_t size);

/*
 * Standard alphabet, padding required, no white space, unused bits zero: one text for
 * one value. Writes the decoded size to *out_size. X402_ERR_BASE64 or X402_ERR_SPACE.
 */
X402_MUST_USE enum x402_error x402_base64_decode(uint8_t *out, size_t *out_size,
                                                 size_t out_max,
                                                 struct x402_slice text);

/* "0x" and 40 hex digits, checksummed as EIP-55 says, and a terminating zero. */
#define X402_ADDRESS_TEXT_SIZE 43
void x402_address_encode(char out[X402_ADDRESS_TEXT_SIZE], const uint8_t address20[20]);

/*
 * For configuration: "0x" and 40 hex digits; where both cases occur the EIP-55 checksum
 * must hold, so that a mistyped payee is found at start. X402_ERR_ADDRESS.
 */
X402_MUST_USE enum x402_error x402_address_decode(uint8_t out20[20],
                                                  struct x402_slice text);

/* Same time for equal and unequal contents. */
bool x402_bytes_equal_constant_time(const uint8_t *a, const uint8_t *b, size_t size);

/* Overwrites a secret; the compiler may not leave it out. */
void x402_bytes_wipe(void *bytes, size_t size);

#endif
