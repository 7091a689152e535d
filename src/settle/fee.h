/*
 * Fees of EIP-1559 transactions, in wei a unit of gas. Pure; any thread.
 */
#ifndef X402_SETTLE_FEE_H
#define X402_SETTLE_FEE_H

#include <x402/error.h>

#include <stddef.h>
#include <stdint.h>

/* Enough for one transferWithAuthorization (worst measured: 102,868). */
#define X402_GAS_LIMIT 130000

/* A lower maxFeePerGas is below the protocol's floor on Base. */
#define X402_MAX_FEE_WEI_MIN 5000000

/* What a chain's fees may be. */
struct x402_fee_policy {
    uint64_t tip_wei_min;
    uint64_t tip_wei_max;
    uint64_t max_fee_wei_max; /* above it nothing is sent */
};

struct x402_fee {
    uint64_t max_fee_wei;
    uint64_t tip_wei; /* maxPriorityFeePerGas; never above max_fee_wei */
};

/* Chains that are not listed are taken to be like Base. */
struct x402_fee_policy x402_fee_policy_of(uint64_t chain_id);

/*
 * maxFee = 2 * base + tip: enough for about 36 s of the fastest rise on Base. The tip
 * is the median of `rewards` (what others paid in recent blocks, any order; may be
 * none) within the policy. False when even the base fee passes the policy's cap.
 *
 * A maxFee so near the cap that it could not be replaced below it is the cap: then
 * nothing gets stuck while the chain costs less than that.
 */
bool x402_fee_quote(struct x402_fee *out, const struct x402_fee_policy *policy,
                    uint64_t base_fee_wei, const uint64_t *rewards,
                    size_t rewards_count);

/*
 * Whether gas is unusually dear: the base fee of the next block is more than twice the
 * median of the recent past, and above what every transaction offers anyway. Once it
 * is, it stays so until the base fee is at most one and a half times the median: `dear`
 * is what was said last. Waiting pays, for who can: a spike mostly passes within
 * minutes; what lasts becomes the median, and is paid. Without a past (a median of 0)
 * nothing is dear.
 */
bool x402_fee_is_dear(uint64_t base_fee_wei, uint64_t median_wei, bool dear);

/* Of values in any order; the upper one of two; 0 of none. */
uint64_t x402_fee_median(const uint64_t *values, size_t count);

/*
 * The fee of a transaction that replaces one with `old`: both parts at least a tenth
 * more (old + old / 10 + 1), and not below `quote`. False when that passes the cap.
 */
bool x402_fee_replacement(struct x402_fee *out, const struct x402_fee_policy *policy,
                          const struct x402_fee *old, const struct x402_fee *quote);

#endif
