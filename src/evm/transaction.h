/*
 * EIP-1559 transactions: RLP, signing, hash. Pure; any thread.
 */
#ifndef X402_EVM_TRANSACTION_H
#define X402_EVM_TRANSACTION_H

#include <x402/bytes.h>

struct x402_transaction {
    uint64_t chain_id;
    uint64_t nonce;
    uint64_t max_priority_fee_wei;
    uint64_t max_fee_wei;
    uint64_t gas_limit;
    bool creates_contract; /* `to` is empty */
    uint8_t to20[20];
    const uint8_t *data; /* borrowed */
    size_t data_size;
};

/* Bytes a signed transaction with data_size bytes of calldata has at most. */
#define X402_TRANSACTION_SIZE_MAX(data_size) ((data_size) + 256)

/*
 * Signs and encodes: 0x02 || rlp([chainId, nonce, tip, fee, gas, to, value = 0, data,
 * [], yParity, r, s]), integers minimal, r and s without leading zeros. hash32 is
 * keccak256(raw). ERR_SPACE, ERR_KEY.
 */
X402_MUST_USE enum x402_error x402_transaction_sign(uint8_t *raw, size_t *raw_size,
                                                    size_t raw_max, uint8_t hash32[32],
                                                    const struct x402_transaction *tx,
                                                    const uint8_t key32[32]);

#endif
