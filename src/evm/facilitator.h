/*
 * The facilitator contract (contracts/Facilitator.sol): many authorizations settled in
 * one transaction, and many balances read in one call. Calldata, answers, and where it
 * stands. Pure; any thread.
 *
 * It is put on a chain by CREATE2 through the deployer that every chain has, so it has
 * one address everywhere and nothing is configured: eth_getCode at
 * x402_facilitator_address20, and it may be used when keccak256 of the answer is
 * x402_facilitator_code_hash32. The address cannot hold other code, but it may hold
 * none.
 *
 * The contract holds nothing and trusts nobody: each item is one authorization that the
 * payer signed, for the payee that the payer signed. A failed item spoils no other.
 * What it says of an item is a hint; the token's AuthorizationUsed and Transfer logs
 * decide.
 */
#ifndef X402_EVM_FACILITATOR_H
#define X402_EVM_FACILITATOR_H

#include "evm/typed_data.h"

#include <x402/bytes.h>

/* Items of one batch. The contract takes 256; more than this would not leave room for
 * failures under the gas a transaction may have (16,777,216, EIP-7825). */
#define X402_FACILITATOR_ITEMS_MAX 200
#define X402_FACILITATOR_ITEM_SIZE 134

/*
 * What the token may spend on one item. A payer without code needs 79,000 at most (the
 * first item, a payee without balance, USDC behind its proxy, everything cold); the
 * rest is for payers whose code the token asks about a signature. An item that needs
 * more fails with an empty reason; send it alone.
 */
#define X402_FACILITATOR_ITEM_GAS_MAX 150000

extern const uint8_t x402_facilitator_address20[20];
extern const uint8_t x402_facilitator_code_hash32[32]; /* of the code that runs */

/* ------------------------------------------------------------------------ settle */

/* authorization.to20 is the payee of the batch; signature65 is r, s, v. */
struct x402_facilitator_item {
    struct x402_authorization authorization;
    uint8_t signature65[65];
};

/*
 * Whether the item has a packed form: both times below 2^40, s in the lower half
 * (EIP-2) and v 27 or 28. x402_verify lets no other signature through. What does not
 * fit is settled by a transaction of its own.
 */
bool x402_facilitator_fits(const struct x402_facilitator_item *item);

/* Bytes of the calldata for `count` items. */
#define X402_FACILITATOR_SETTLE_SIZE(count)                                            \
    (4 + 4 * 32 + ((count)*X402_FACILITATOR_ITEM_SIZE + 31) / 32 * 32)
#define X402_FACILITATOR_SETTLE_SIZE_MAX                                               \
    X402_FACILITATOR_SETTLE_SIZE(X402_FACILITATOR_ITEMS_MAX)
size_t x402_facilitator_settle_size(size_t count);

/*
 * settle(address token, address payee, bytes items): selector, arguments and padding.
 * Returns the size, x402_facilitator_settle_size(count); 0, and out is not of use, when
 * out_max is less. Every item fits and pays the payee, and there are 1 to
 * X402_FACILITATOR_ITEMS_MAX: another call is a bug.
 */
size_t x402_facilitator_settle_encode(uint8_t *out, size_t out_max,
                                      const uint8_t token20[20],
                                      const uint8_t payee20[20],
                                      const struct x402_facilitator_item *items,
                                      size_t count);

/*
 * What settle returns, to an eth_call: how many items were tried, from the first on,
 * and which of these failed. Those behind `done` were left alone because the gas would
 * not have lasted. False, with nothing written, when `returned` is no such answer or
 * speaks of more than X402_FACILITATOR_ITEMS_MAX items.
 */
X402_MUST_USE bool x402_facilitator_settle_decode(size_t *done, uint8_t failed32[32],
                                                  const uint8_t *returned, size_t size);

/* Whether the item of that index (from 0) is among the failed. */
bool x402_facilitator_item_failed(const uint8_t failed32[32], size_t index);

/*
 * The gas limit of a transaction that settles `count` items: enough to try them all
 * when their payers have no code, whatever becomes of each, with one whole
 * X402_FACILITATOR_ITEM_GAS_MAX to spare for the last. At most 16,777,216. Payers with
 * code may burn more; what is not reached then stays unsettled and unharmed.
 */
uint64_t x402_facilitator_gas_limit(size_t count);

/*
 * Failed(address indexed payer, bytes32 indexed nonce, bytes32 reason): the log of a
 * failed item, by the facilitator's address. Topics: this one, the payer in the low 20
 * bytes, the nonce. Data: the reason.
 */
extern const uint8_t x402_topic_facilitator_failed32[32];

/*
 * The reason as text, zero-terminated: the start of the token's message
 * ("FiatTokenV2: authorization is us"), "0x" and the hex of the first four bytes when
 * it is no message, "" when the token gave none (as when it ran out of gas). Any 32
 * bytes are safe. Returns the text's size.
 */
#define X402_FACILITATOR_REASON_SIZE 33
size_t x402_facilitator_reason(char out[X402_FACILITATOR_REASON_SIZE],
                               const uint8_t reason32[32]);

/* -------------------------------------------------------------------------- look */

/* Payers of one look: about 8,000 gas each with USDC, within any node's eth_call. */
#define X402_FACILITATOR_LOOK_MAX 500
#define X402_FACILITATOR_LOOK_SIZE(count) (4 + 3 * 32 + ((count)*20 + 31) / 32 * 32)
#define X402_FACILITATOR_LOOK_SIZE_MAX                                                 \
    X402_FACILITATOR_LOOK_SIZE(X402_FACILITATOR_LOOK_MAX)

/* A payer at the block that was asked. */
struct x402_facilitator_seen {
    uint64_t balance; /* of the token; UINT64_MAX for that and all above */
    bool known;       /* false: the token did not say, and balance is 0 */
    bool has_code;    /* a contract, or delegated (EIP-7702) */
};

/*
 * look(address token, bytes payers). `payers` is count * 20 bytes. Returns the size,
 * X402_FACILITATOR_LOOK_SIZE(count); 0 when out_max is less. 1 to
 * X402_FACILITATOR_LOOK_MAX payers.
 */
size_t x402_facilitator_look_encode(uint8_t *out, size_t out_max,
                                    const uint8_t token20[20], const uint8_t *payers,
                                    size_t count);

/* Gas to give the eth_call: half of it again is left over with USDC. With too little
 * the call reverts; it never says less than all. */
uint64_t x402_facilitator_look_gas(size_t count);

/* The answer, in the order of the payers. False when it is not one for `count`; out is
 * written only on success. */
X402_MUST_USE bool x402_facilitator_look_decode(struct x402_facilitator_seen *out,
                                                size_t count, const uint8_t *returned,
                                                size_t size);

/* ------------------------------------------------------------------------ deploy */

/* The deployer (0x4e59b44847b379578588920cA78FbF26c0B4956C): a transaction to it with
 * x402_facilitator_deploy_data (salt and init code) makes the contract. */
extern const uint8_t x402_facilitator_deployer20[20];
extern const uint8_t x402_facilitator_deploy_data[];
extern const size_t x402_facilitator_deploy_data_size;

#endif
