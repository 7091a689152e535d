/*
 * secp256k1 signatures the Ethereum way, over libsecp256k1. The context is static and
 * read-only after the first call; any thread.
 */
#ifndef X402_EVM_SIGNATURE_H
#define X402_EVM_SIGNATURE_H

#include <x402/bytes.h>

/*
 * Recovers the signer's address. signature65 is r || s || v. Refused (ERR_SIGNATURE):
 * v not 27 or 28, s in the upper half (EIP-2), r or s zero or not below the order, no
 * public key. out20 is written only on success.
 */
X402_MUST_USE enum x402_error x402_signature_recover(uint8_t out20[20],
                                                     const uint8_t digest32[32],
                                                     const uint8_t signature65[65]);

/* The same; gives the public key, x || y, as well. */
X402_MUST_USE enum x402_error x402_signature_recover_key(uint8_t out20[20],
                                                         uint8_t key64[64],
                                                         const uint8_t digest32[32],
                                                         const uint8_t signature65[65]);

/* Whose public key x || y is: the last 20 bytes of its hash (Yellow Paper, appendix F).
 */
void x402_public_key_address(uint8_t out20[20], const uint8_t key64[64]);

/* Deterministic (RFC 6979), low s, v in {27, 28}. ERR_KEY when key32 is no private key.
 */
X402_MUST_USE enum x402_error x402_signature_sign(uint8_t out65[65],
                                                  const uint8_t digest32[32],
                                                  const uint8_t key32[32]);

/* The address of a private key. ERR_KEY. */
X402_MUST_USE enum x402_error x402_key_address(uint8_t out20[20],
                                               const uint8_t key32[32]);

#endif
