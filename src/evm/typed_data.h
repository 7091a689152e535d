/*
 * EIP-712 hashes of EIP-3009 messages. Pure; any thread.
 */
#ifndef X402_EVM_TYPED_DATA_H
#define X402_EVM_TYPED_DATA_H

#include <stdint.h>

/* hashStruct of EIP712Domain(string name,string version,uint256 chainId,address
 * verifyingContract). name and version are zero-terminated. */
void x402_domain_separator(uint8_t out32[32], const char *name, const char *version,
                           uint64_t chain_id, const uint8_t contract20[20]);

/* The six fields of an EIP-3009 authorization. */
struct x402_authorization {
    uint8_t from20[20];
    uint8_t to20[20];
    uint64_t value;
    uint64_t valid_after_seconds;
    uint64_t valid_before_seconds;
    uint8_t nonce32[32];
};

/* keccak256(0x1901 || domain || hashStruct(TransferWithAuthorization)). */
void x402_authorization_digest(uint8_t out32[32], const uint8_t domain_separator32[32],
                               const struct x402_authorization *authorization);

#endif
