#include "settle/fee.h"

#include <assert.h>
#include <string.h>

#define GWEI UINT64_C(1000000000)

/* Reference: chain facts, sections 3 and 7; Polygon's nodes want a tip of 25 gwei. */
struct x402_fee_policy x402_fee_policy_of(uint64_t chain_id)
{
    static const struct x402_fee_policy base = {GWEI / 10000, GWEI / 100, 20 * GWEI};
    static const struct x402_fee_policy ethereum = {GWEI / 100, 3 * GWEI, 500 * GWEI};
    static const struct x402_fee_policy polygon = {25 * GWEI, 200 * GWEI, 2000 * GWEI};

    switch (chain_id) {
    case 1:
    case 11155111:
    case 43113:
    case 43114:
        return ethereum;
    case 137:
    case 80002:
        return polygon;
    default:
        return base;
    }
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* By selection: there are a hundred at most. */
uint64_t x402_fee_median(const uint64_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t below = 0, equal = 0;
        for (size_t j = 0; j < count; j++) {
            below += values[j] < values[i];
            equal += values[j] == values[i];
        }
        if (below <= count / 2 && below + equal > count / 2)
            return values[i];
    }
    return 0;
}

bool x402_fee_is_dear(uint64_t base_fee_wei, uint64_t median_wei, bool dear)
{
    uint64_t bound = add(median_wei, dear ? median_wei / 2 : median_wei);

    return median_wei > 0 && base_fee_wei > bound &&
           base_fee_wei > X402_MAX_FEE_WEI_MIN;
}

static uint64_t tenth_more(uint64_t old)
{
    return add(add(old, old / 10), 1);
}

/* A fee that leaves no room for a replacement takes all there is: it is what may be
 * paid at most, not what is paid. */
static uint64_t rounded(uint64_t max_fee, uint64_t cap)
{
    return tenth_more(max_fee) > cap ? cap : max_fee;
}

bool x402_fee_quote(struct x402_fee *out, const struct x402_fee_policy *policy,
                    uint64_t base_fee_wei, const uint64_t *rewards,
                    size_t rewards_count)
{
    uint64_t tip = x402_fee_median(rewards, rewards_count);
    uint64_t cap = policy->max_fee_wei_max;

    tip = larger(tip, policy->tip_wei_min);
    tip = tip < policy->tip_wei_max ? tip : policy->tip_wei_max;
    uint64_t max_fee = add(add(base_fee_wei, base_fee_wei), tip);
    max_fee = larger(max_fee, X402_MAX_FEE_WEI_MIN);
    max_fee = larger(max_fee, tip);
    if (add(base_fee_wei, tip) > cap)
        return false;
    out->max_fee_wei = rounded(max_fee, cap);
    out->tip_wei = tip;
    assert(out->tip_wei <= out->max_fee_wei);
    return true;
}

bool x402_fee_replacement(struct x402_fee *out, const struct x402_fee_policy *policy,
                          const struct x402_fee *old, const struct x402_fee *quote)
{
    uint64_t tip = larger(tenth_more(old->tip_wei), quote->tip_wei);
    uint64_t max_fee = larger(tenth_more(old->max_fee_wei), quote->max_fee_wei);

    max_fee = larger(max_fee, tip);
    if (max_fee > policy->max_fee_wei_max)
        return false;
    out->max_fee_wei = rounded(max_fee, policy->max_fee_wei_max);
    out->tip_wei = tip;
    return true;
}
