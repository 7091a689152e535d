#include "settle/chain.h"

#include "evm/abi.h"

#include <stdio.h>
#include <string.h>

/*
 * A simulation sees one transfer at a time. A payer with money for one call who makes a
 * hundred would pass a hundred times, and we would pay the gas of ninety-nine
 * transfers that revert. So where a payer has several, they must fit together.
 */

static bool same_payer(const struct x402_settlement *a, const struct x402_settlement *b)
{
    return memcmp(a->from20, b->from20, 20) == 0 &&
           memcmp(a->asset20, b->asset20, 20) == 0;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* What the payer's payments under way come to. */
static uint64_t claimed_under_way(const struct x402_chain *chain,
                                  const struct x402_settlement *payment)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < chain->flights.count; i++) {
        const struct x402_flight *flight = &chain->flights.items[i];
        for (size_t j = 0; j < flight->payments_count; j++) {
            if (same_payer(&flight->payments[j], payment))
                sum = add(sum, flight->payments[j].value);
        }
    }
    return sum;
}

/* And those before it in this pass. */
static uint64_t claimed_before(const struct x402_candidate *candidates, size_t index)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < index; i++) {
        if (candidates[i].finding.sight == X402_SIGHT_PASSES &&
            same_payer(&candidates[i].payment, &candidates[index].payment))
            sum = add(sum, candidates[i].payment.value);
    }
    return sum;
}

/* The first candidate of the same payer. */
static size_t first_of(const struct x402_candidate *candidates, size_t index)
{
    size_t first = 0;

    while (!same_payer(&candidates[first].payment, &candidates[index].payment))
        first++;
    return first;
}

static void judge(const struct x402_chain *chain, struct x402_candidate *candidates,
                  size_t index, const struct x402_rpc_call *balance_call)
{
    struct x402_candidate *candidate = &candidates[index];
    uint64_t claimed = claimed_under_way(chain, &candidate->payment);
    uint64_t balance;

    claimed = add(claimed, claimed_before(candidates, index));
    claimed = add(claimed, candidate->payment.value);
    if (!x402_json_amount(&balance, balance_call->reply.result)) {
        candidate->finding.sight = X402_SIGHT_UNKNOWN;
    } else if (claimed > balance) {
        candidate->finding.sight = X402_SIGHT_REFUSED;
        candidate->finding.why = X402_REVERT_FUNDS;
        snprintf(candidate->finding.reason, sizeof candidate->finding.reason,
                 "the payer's balance does not cover all its payments under way");
    }
}

void x402_funds_check(struct x402_chain *chain, struct x402_candidate *candidates,
                      size_t count)
{
    struct x402_rpc_call calls[X402_WINDOW];
    size_t call_of[X402_WINDOW] = {0}, calls_count = 0;
    bool shared[X402_WINDOW] = {false};
    uint8_t data[X402_ABI_BALANCE_OF_SIZE];

    for (size_t i = 0; i < count; i++) {
        size_t first = first_of(candidates, i);
        bool alone = claimed_under_way(chain, &candidates[i].payment) == 0;
        shared[first] = shared[first] || first != i || !alone;
    }
    for (size_t i = 0; i < count; i++) {
        if (!shared[i])
            continue;
        x402_abi_balance_of(data, candidates[i].payment.from20);
        call_of[i] = calls_count;
        calls[calls_count++] = x402_ask_call(NULL, candidates[i].payment.asset20, data,
                                             sizeof data, "latest", 0);
    }
    if (calls_count == 0)
        return;
    (void)x402_chain_ask(chain, calls, calls_count);
    for (size_t i = 0; i < count; i++) {
        size_t first = first_of(candidates, i);
        if (shared[first] && candidates[i].finding.sight == X402_SIGHT_PASSES)
            judge(chain, candidates, i, &calls[call_of[first]]);
    }
    x402_rpc_calls_release(calls, calls_count);
}
