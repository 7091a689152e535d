#include "settle/chain.h"

#include "core/clock.h"
#include "evm/facilitator.h"
#include "evm/keccak.h"

#include <stdlib.h>
#include <string.h>

#define CODE_SIZE_MAX 24576 /* EIP-170 */

/* ---------------------------------------------------------------------- is it there
 */

static bool is_its_code(const json_t *value)
{
    uint8_t *code = malloc(CODE_SIZE_MAX), hash32[32];
    size_t size = 0;
    bool fine = code != NULL && x402_json_data(code, &size, CODE_SIZE_MAX, value);

    if (fine)
        x402_keccak256(hash32, code, size);
    free(code);
    return fine && memcmp(hash32, x402_facilitator_code_hash32, 32) == 0;
}

/* By the time of day, so that a test need not wait; set back, it is looked for at once.
 */
static bool is_time_to_look(const struct x402_chain *chain)
{
    int64_t since = x402_clock_seconds() - chain->contract_seconds;

    return !chain->has_contract && (since < 0 || since >= X402_CONTRACT_SECONDS);
}

void x402_contract_look(struct x402_chain *chain)
{
    char address[X402_ADDRESS_TEXT_SIZE];

    if (!is_time_to_look(chain))
        return;
    struct x402_rpc_call call = x402_ask_code(x402_facilitator_address20);
    if (x402_chain_ask(chain, &call, 1)) {
        chain->contract_seconds = x402_clock_seconds();
        chain->has_contract = is_its_code(call.reply.result);
    }
    x402_rpc_calls_release(&call, 1);
    if (!chain->has_contract)
        return;
    x402_address_encode(address, x402_facilitator_address20);
    x402_chain_note(chain, X402_NOTE_BATCHING,
                    "%s: settling in batches through the facilitator at %s",
                    chain->name, address);
}

void x402_contract_forget(struct x402_chain *chain)
{
    if (chain->has_contract)
        x402_chain_note(chain, X402_NOTE_BATCHING,
                        "%s: the facilitator contract is gone: settling singly",
                        chain->name);
    chain->has_contract = false;
    chain->contract_seconds = x402_clock_seconds();
}

/* -------------------------------------------------------------------------- policy */

void x402_batch_shrink(struct x402_chain *chain, size_t count)
{
    chain->batch_max = count > 1 ? count / 2 : 1;
    chain->batch_milliseconds = x402_chain_milliseconds();
    x402_chain_note(chain, X402_NOTE_BATCHING,
                    "%s: a batch of %zu is too much: %zu at most for a while",
                    chain->name, count, chain->batch_max);
}

struct x402_batch_policy x402_batch_policy_now(const struct x402_chain *chain)
{
    const struct x402_settler_options *options = chain->options;
    struct x402_batch_policy policy = x402_batch_policy_default(chain->has_contract);
    bool shrunk = chain->batch_max > 0 &&
                  x402_chain_milliseconds() <
                      chain->batch_milliseconds + X402_SMALLER_MILLISECONDS;

    if (!chain->has_contract)
        return policy;
    if (options->batch_size > 0)
        policy.target = options->batch_size;
    if (options->batch_age_seconds >= 0)
        policy.age_seconds = options->batch_age_seconds;
    if (options->once)
        policy.age_seconds = 0;
    if (shrunk && chain->batch_max < policy.max)
        policy.max = chain->batch_max;
    return policy;
}
