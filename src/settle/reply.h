/*
 * What a node's replies say: strict decoding of JSON-RPC bodies and of the values,
 * blocks, receipts and logs in them. Pure over jansson; any thread. Hostile input is
 * safe; anything out of shape is refused, never guessed.
 */
#ifndef X402_SETTLE_REPLY_H
#define X402_SETTLE_REPLY_H

#include <x402/bytes.h>

#include <jansson.h>

#define X402_RPC_ERROR_MESSAGE_MAX 192 /* bytes, with the zero */
#define X402_RPC_ERROR_DATA_MAX 1024   /* bytes of revert data kept */

enum x402_rpc_status {
    X402_RPC_FAILED, /* nothing was learned (0, so that a zeroed call says so) */
    X402_RPC_RESULT, /* the node answered; the result may be JSON null */
    X402_RPC_ERROR,  /* the node refused, with a message */
};

struct x402_rpc_reply {
    enum x402_rpc_status status;
    json_t *result;                           /* RESULT; owned by the reply */
    int64_t code;                             /* ERROR */
    char message[X402_RPC_ERROR_MESSAGE_MAX]; /* ERROR; printable ASCII */
    uint8_t data[X402_RPC_ERROR_DATA_MAX];    /* ERROR: revert data, cut */
    size_t data_size;
    bool reverted; /* ERROR: its data says so, in words */
};

/*
 * Reads the body of a reply to the request `id`. FAILED when it is not JSON, has
 * another id, or has neither or both of result and error.
 */
void x402_rpc_reply_decode(struct x402_rpc_reply *out, const char *body, size_t size,
                           uint64_t id);
void x402_rpc_reply_release(struct x402_rpc_reply *reply);

/*
 * Whether an error is a contract's revert, and not the node's trouble, in the words of
 * geth, reth, erigon, besu and anvil, or of nethermind. Then `reason` gets its text (""
 * when it gave none), printable ASCII.
 */
bool x402_rpc_reverted(const struct x402_rpc_reply *reply, char *reason,
                       size_t reason_max);

/* ------------------------------------------------------------------------- values */

/* "0x1f"; at most 64 bits. NULL or another type is false; so is everything below. */
X402_MUST_USE bool x402_json_quantity(uint64_t *out, const json_t *value);
/* The same, with more than 64 bits held as UINT64_MAX: a balance. */
X402_MUST_USE bool x402_json_amount(uint64_t *out, const json_t *value);
/* "0x" and exactly 2 * size digits. */
X402_MUST_USE bool x402_json_bytes(uint8_t *out, size_t size, const json_t *value);
/* "0x" and any even number of digits, at most max bytes. */
X402_MUST_USE bool x402_json_data(uint8_t *out, size_t *out_size, size_t max,
                                  const json_t *value);

json_t *x402_json_of_quantity(uint64_t value);
json_t *x402_json_of_bytes(const uint8_t *bytes, size_t size);

/* -------------------------------------------------------------- blocks, logs, receipts
 */

struct x402_block {
    uint64_t number;
    uint64_t time_seconds;
    uint64_t base_fee_wei; /* 0 when the block names none */
    uint8_t hash32[32];
};
X402_MUST_USE bool x402_block_decode(struct x402_block *out, const json_t *value);

struct x402_log {
    uint8_t address20[20];
    uint8_t topics[4][32];
    size_t topics_count;
    uint8_t data32[32]; /* the first word; zero when data is shorter */
    size_t data_size;
    uint64_t block_number;
    uint8_t transaction32[32];
};

/* Of a receipt, and of a reply to eth_getLogs. A batch of ours writes three a payment
 * at most; that of somebody else fills a block. */
#define X402_LOGS_MAX 16384

/* Logs removed by a reorganisation are left out. Free *out. */
X402_MUST_USE bool x402_logs_decode(struct x402_log **out, size_t *count,
                                    const json_t *value);

struct x402_transaction_receipt {
    uint8_t hash32[32];
    bool succeeded;
    uint64_t block_number;
    uint8_t block_hash32[32];
    uint8_t from20[20];
    uint64_t gas_used;
    uint64_t fee_wei; /* gasUsed * effectiveGasPrice, and l1Fee where there is one */
    struct x402_log *logs; /* owned */
    size_t logs_count;
};

enum x402_receipt_answer {
    X402_RECEIPT_BROKEN, /* not a receipt of that hash */
    X402_RECEIPT_ABSENT, /* null, or its block is: not in a block */
    X402_RECEIPT_FOUND,
};
/* On FOUND, release *out. */
enum x402_receipt_answer x402_transaction_receipt_decode(
    struct x402_transaction_receipt *out, const json_t *value,
    const uint8_t hash32[32]);
void x402_transaction_receipt_release(struct x402_transaction_receipt *receipt);

/* The base fees, and the newest rewards, of eth_feeHistory with one percentile. */
#define X402_FEE_HISTORY_BLOCKS 100 /* asked for; a node may know fewer */
#define X402_FEE_HISTORY_MAX 16
struct x402_fee_history {
    uint64_t base_fee_wei;        /* of the next block */
    uint64_t base_fee_median_wei; /* of those before it; 0 of none */
    uint64_t rewards[X402_FEE_HISTORY_MAX];
    size_t rewards_count;
};
X402_MUST_USE bool x402_fee_history_decode(struct x402_fee_history *out,
                                           const json_t *value);

#endif
