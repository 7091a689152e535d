/*
 * The 32-byte words of the EVM, big-endian, as ABI and EIP-712 encode values.
 */
#ifndef X402_EVM_WORD_H
#define X402_EVM_WORD_H

#include <stddef.h>
#include <stdint.h>

/* Each writes one word and returns the place after it. */
uint8_t *x402_word_number(uint8_t *out32, uint64_t number);
uint8_t *x402_word_address(uint8_t *out32, const uint8_t address20[20]);
uint8_t *x402_word_bytes32(uint8_t *out32, const uint8_t bytes32[32]);

void x402_big_endian64(uint8_t out8[8], uint64_t number);

#endif
