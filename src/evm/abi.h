/*
 * Calldata, logs and revert data of the contracts we speak to. Pure; any thread.
 */
#ifndef X402_EVM_ABI_H
#define X402_EVM_ABI_H

#include "evm/typed_data.h"

#include <x402/bytes.h>

/* transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,
 * bytes32,bytes32), selector 0xe3ee160e. */
#define X402_ABI_TRANSFER_SIZE (4 + 9 * 32)
void x402_abi_transfer_with_authorization(
    uint8_t out[X402_ABI_TRANSFER_SIZE], const struct x402_authorization *authorization,
    const uint8_t signature65[65]);

/* authorizationState(address,bytes32), selector 0xe94a0102. */
#define X402_ABI_AUTHORIZATION_STATE_SIZE (4 + 2 * 32)
void x402_abi_authorization_state(uint8_t out[X402_ABI_AUTHORIZATION_STATE_SIZE],
                                  const uint8_t from20[20], const uint8_t nonce32[32]);

/* balanceOf(address), selector 0x70a08231. */
#define X402_ABI_BALANCE_OF_SIZE (4 + 32)
void x402_abi_balance_of(uint8_t out[X402_ABI_BALANCE_OF_SIZE],
                         const uint8_t owner20[20]);

/* Topics of the logs that prove a settlement. */
extern const uint8_t x402_topic_transfer32[32]; /* Transfer(address,address,uint256) */
extern const uint8_t
    x402_topic_authorization_used32[32]; /* AuthorizationUsed(address,bytes32) */

/*
 * The text of Error(string) revert data (0x08c379a0…), cut to out_max - 1 bytes of
 * printable ASCII and zero-terminated; "" when the data is of another kind. Hostile
 * data is safe. Returns the text's size.
 */
size_t x402_abi_revert_reason(char *out, size_t out_max, const uint8_t *data,
                              size_t size);

#endif
