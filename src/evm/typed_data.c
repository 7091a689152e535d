#include "evm/typed_data.h"

#include "evm/keccak.h"
#include "evm/word.h"

#include <string.h>

/* EIP712Domain(string name,string version,uint256 chainId,address verifyingContract) */
static const uint8_t domain_type_hash32[32] = {
    0x8b, 0x73, 0xc3, 0xc6, 0x9b, 0xb8, 0xfe, 0x3d, 0x51, 0x2e, 0xcc,
    0x4c, 0xf7, 0x59, 0xcc, 0x79, 0x23, 0x9f, 0x7b, 0x17, 0x9b, 0x0f,
    0xfa, 0xca, 0xa9, 0xa7, 0x5d, 0x52, 0x2b, 0x39, 0x40, 0x0f,
};

/* TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,
 * uint256 validBefore,bytes32 nonce) */
static const uint8_t transfer_type_hash32[32] = {
    0x7c, 0x7c, 0x6c, 0xdb, 0x67, 0xa1, 0x87, 0x43, 0xf4, 0x9e, 0xc6,
    0xfa, 0x9b, 0x35, 0xf5, 0x0d, 0x52, 0xed, 0x05, 0xcb, 0xed, 0x4c,
    0xc5, 0x92, 0xe1, 0x3b, 0x44, 0x50, 0x1c, 0x1a, 0x22, 0x67,
};

void x402_domain_separator(uint8_t out32[32], const char *name, const char *version,
                           uint64_t chain_id, const uint8_t contract20[20])
{
    uint8_t words[5 * 32];
    uint8_t *at = x402_word_bytes32(words, domain_type_hash32);

    x402_keccak256(at, name, strlen(name));
    x402_keccak256(at + 32, version, strlen(version));
    at = x402_word_number(at + 64, chain_id);
    x402_word_address(at, contract20);
    x402_keccak256(out32, words, sizeof words);
}

static void hash_struct(uint8_t out32[32],
                        const struct x402_authorization *authorization)
{
    uint8_t words[7 * 32];
    uint8_t *at = x402_word_bytes32(words, transfer_type_hash32);

    at = x402_word_address(at, authorization->from20);
    at = x402_word_address(at, authorization->to20);
    at = x402_word_number(at, authorization->value);
    at = x402_word_number(at, authorization->valid_after_seconds);
    at = x402_word_number(at, authorization->valid_before_seconds);
    x402_word_bytes32(at, authorization->nonce32);
    x402_keccak256(out32, words, sizeof words);
}

void x402_authorization_digest(uint8_t out32[32], const uint8_t domain_separator32[32],
                               const struct x402_authorization *authorization)
{
    uint8_t message[2 + 32 + 32] = {0x19, 0x01};

    memcpy(message + 2, domain_separator32, 32);
    hash_struct(message + 34, authorization);
    x402_keccak256(out32, message, sizeof message);
}
