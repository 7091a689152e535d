/*
 * Keccak-256 with the original padding (0x01), as Ethereum uses it. Debian's libraries
 * have only SHA-3's (0x06). Pure; any thread.
 */
#ifndef X402_EVM_KECCAK_H
#define X402_EVM_KECCAK_H

#include <stddef.h>
#include <stdint.h>

void x402_keccak256(uint8_t out32[32], const void *data, size_t size);

#endif
