/*
 * The questions put to a node, one function each. They build a call; x402_rpc_perform
 * makes it. Without memory a call has no params, and fails there.
 */
#ifndef X402_SETTLE_ASK_H
#define X402_SETTLE_ASK_H

#include "settle/rpc.h"

struct x402_rpc_call x402_ask_chain_id(void);
/* `tag` is "latest", "pending", "safe" or "finalized". */
struct x402_rpc_call x402_ask_block(const char *tag);
struct x402_rpc_call x402_ask_block_number(uint64_t number);
struct x402_rpc_call x402_ask_nonce(const uint8_t address20[20], const char *tag);
struct x402_rpc_call x402_ask_balance(const uint8_t address20[20]);
struct x402_rpc_call x402_ask_code(const uint8_t address20[20]);
/* The last blocks' base fees and median rewards. */
struct x402_rpc_call x402_ask_fee_history(void);
struct x402_rpc_call x402_ask_receipt(const uint8_t hash32[32]);
struct x402_rpc_call x402_ask_send(const uint8_t *raw, size_t size);

/*
 * Which block a question is about: a tag ("latest", "pending") when it is not NULL, or
 * a hash when that is not NULL, or a number. By its hash (EIP-1898) a node that has not
 * this very block, being behind or on a fork, says so; by number it answers for its
 * own.
 */
struct x402_at {
    const char *tag;
    const uint8_t *hash32;
    uint64_t number;
};

struct x402_eth_call {
    const uint8_t *from20; /* may be NULL */
    const uint8_t *to20;
    const uint8_t *data;
    size_t size;
    uint64_t gas;
    struct x402_at at;
};
struct x402_rpc_call x402_ask_eth_call(const struct x402_eth_call *call);

struct x402_rpc_call x402_ask_nonce_at(const uint8_t address20[20],
                                       const struct x402_at *at);
struct x402_rpc_call x402_ask_code_at(const uint8_t address20[20],
                                      const struct x402_at *at);

/* eth_call with X402_GAS_LIMIT. The block is a tag, or a number when tag is NULL. */
struct x402_rpc_call x402_ask_call(const uint8_t *from20, const uint8_t to20[20],
                                   const uint8_t *data, size_t size, const char *tag,
                                   uint64_t block_number);
/* The same with other gas than one transfer has. */
struct x402_rpc_call x402_ask_call_gas(const uint8_t *from20, const uint8_t to20[20],
                                       const uint8_t *data, size_t size, uint64_t gas,
                                       const char *tag, uint64_t block_number);

/*
 * Logs of a contract in [first, last] whose first topic is one of two and whose second
 * and third are those given.
 */
struct x402_log_query {
    uint8_t address20[20];
    uint8_t events[2][32];
    uint8_t second32[32];
    uint8_t third32[32];
    uint64_t first_block, last_block;
};
struct x402_rpc_call x402_ask_logs(const struct x402_log_query *query);

#endif
