#include "settle/chain.h"

#include "evm/abi.h"

#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------- state */

/* authorizationState at a numbered block: a node that has not got so far says so. */
static enum x402_sight ask_state(struct x402_chain *chain,
                                 const struct x402_settlement *payment)
{
    uint8_t data[X402_ABI_AUTHORIZATION_STATE_SIZE], word32[32];
    static const uint8_t zero31[31];
    enum x402_sight sight = X402_SIGHT_UNKNOWN;
    const struct x402_block *latest = &chain->view.latest;

    x402_abi_authorization_state(data, payment->from20, payment->nonce32);
    struct x402_rpc_call call =
        x402_ask_call(NULL, payment->asset20, data, sizeof data, NULL, latest->number);
    if (x402_chain_ask(chain, &call, 1)) {
        if (!x402_json_bytes(word32, 32, call.reply.result) ||
            memcmp(word32, zero31, 31) != 0 || word32[31] > 1)
            x402_chain_nonsense(chain, &call);
        else if (word32[31] == 1)
            sight = X402_SIGHT_USED_UNTRACED;
        else if (latest->time_seconds >= payment->valid_before_seconds)
            sight = X402_SIGHT_EXPIRED;
        else
            sight = X402_SIGHT_UNUSED;
    }
    x402_rpc_calls_release(&call, 1);
    return sight;
}

/* ----------------------------------------------------------------------------- logs */

enum found {
    FOUND_UNKNOWN, /* the node did not say */
    FOUND_NOTHING,
    FOUND_LOG,
};

static struct x402_log_query query_of(const struct x402_settlement *payment)
{
    struct x402_log_query query = {0};

    memcpy(query.address20, payment->asset20, 20);
    memcpy(query.events[0], x402_topic_authorization_used32, 32);
    memcpy(query.events[1], x402_topic_authorization_canceled32, 32);
    x402_word_of_address(query.second32, payment->from20);
    memcpy(query.third32, payment->nonce32, 32);
    return query;
}

/* A node may answer with more than was asked. */
static bool answers(const struct x402_log *log, const struct x402_log_query *query)
{
    return memcmp(log->address20, query->address20, 20) == 0 &&
           log->topics_count == 3 &&
           (memcmp(log->topics[0], query->events[0], 32) == 0 ||
            memcmp(log->topics[0], query->events[1], 32) == 0) &&
           memcmp(log->topics[1], query->second32, 32) == 0 &&
           memcmp(log->topics[2], query->third32, 32) == 0;
}

static enum found take_logs(struct x402_log *out, const struct x402_rpc_call *call,
                            const struct x402_log_query *query)
{
    enum found found = FOUND_NOTHING;
    struct x402_log *logs;
    size_t count;

    if (!x402_logs_decode(&logs, &count, call->reply.result))
        return FOUND_UNKNOWN;
    for (size_t i = 0; i < count; i++) {
        if (answers(&logs[i], query)) {
            *out = logs[i];
            found = FOUND_LOG;
        }
    }
    free(logs);
    return found;
}

/* Nodes differ in how many blocks one query may span, and say so only by refusing. */
static bool ask_for_less(struct x402_chain *chain, const struct x402_rpc_call *call)
{
    if (call->reply.status != X402_RPC_ERROR || chain->logs_span <= X402_LOGS_SPAN_MIN)
        return false;
    chain->logs_span /= 2;
    return true;
}

/* Backwards from the latest block: what is looked for is mostly near. */
static enum found find_log(struct x402_chain *chain, struct x402_log *out,
                           const struct x402_settlement *payment)
{
    struct x402_log_query query = query_of(payment);
    uint64_t end = chain->view.latest.number + 1, back = X402_LOOK_BACK_BLOCKS;
    uint64_t floor = end > back ? end - back : 0;

    while (end > floor && !x402_chain_stopping(chain)) {
        query.last_block = end - 1;
        query.first_block =
            end - floor > chain->logs_span ? end - chain->logs_span : floor;
        struct x402_rpc_call call = x402_ask_logs(&query);
        enum found found = FOUND_UNKNOWN;
        bool again = false;
        if (x402_chain_ask(chain, &call, 1)) {
            again = ask_for_less(chain, &call);
            found = take_logs(out, &call, &query);
            if (found == FOUND_UNKNOWN && !again)
                x402_chain_nonsense(chain, &call);
        }
        x402_rpc_calls_release(&call, 1);
        if (found == FOUND_LOG || (found == FOUND_UNKNOWN && !again))
            return found;
        end = again ? end : query.first_block;
    }
    return end > floor ? FOUND_UNKNOWN : FOUND_NOTHING;
}

/* -------------------------------------------------------------------------- receipt */

static enum x402_sight judge(const struct x402_chain *chain, struct x402_evidence *out,
                             const struct x402_settlement *payment,
                             const struct x402_transaction_receipt *receipt)
{
    if (!receipt->succeeded)
        return X402_SIGHT_UNKNOWN; /* it has logs: nonsense, or another fork */
    if (!x402_proof_of_payment(receipt->logs, receipt->logs_count, payment))
        return X402_SIGHT_USED_OTHERWISE;
    memcpy(out->hash32, receipt->hash32, 32);
    memcpy(out->block_hash32, receipt->block_hash32, 32);
    out->block_number = receipt->block_number;
    out->ours = memcmp(receipt->from20, chain->signer20, 20) == 0;
    out->gas_used = receipt->gas_used;
    out->fee_wei = receipt->fee_wei;
    return X402_SIGHT_USED_FOR_US;
}

static enum x402_sight ask_receipt(struct x402_chain *chain, struct x402_evidence *out,
                                   const struct x402_settlement *payment,
                                   const uint8_t hash32[32])
{
    struct x402_rpc_call call = x402_ask_receipt(hash32);
    struct x402_transaction_receipt receipt;
    enum x402_sight sight = X402_SIGHT_UNKNOWN;

    if (x402_chain_ask(chain, &call, 1)) {
        enum x402_receipt_answer answer = X402_RECEIPT_BROKEN;
        if (call.reply.status == X402_RPC_RESULT)
            answer =
                x402_transaction_receipt_decode(&receipt, call.reply.result, hash32);
        if (answer == X402_RECEIPT_BROKEN)
            x402_chain_nonsense(chain, &call);
        if (answer == X402_RECEIPT_FOUND) {
            sight = judge(chain, out, payment, &receipt);
            x402_transaction_receipt_release(&receipt);
        }
    }
    x402_rpc_calls_release(&call, 1);
    return sight;
}

/* Logs can lag the state: what is not found is looked for again before it is believed.
 */
static enum x402_sight untraced(struct x402_chain *chain,
                                const struct x402_settlement *payment)
{
    struct x402_held *held = x402_held_of(chain, payment);

    if (held == NULL)
        return X402_SIGHT_UNKNOWN;
    held->untraced++;
    struct x402_refused refused = {.why = X402_REVERT_USED, .tries = held->untraced};
    held->try_at_milliseconds =
        x402_chain_milliseconds() + x402_plan_retry_milliseconds(&refused);
    return held->untraced < X402_UNTRACED_MAX ? X402_SIGHT_UNKNOWN
                                              : X402_SIGHT_USED_UNTRACED;
}

/* Looked for in vain a moment ago. */
static bool is_too_early(struct x402_chain *chain,
                         const struct x402_settlement *payment)
{
    const struct x402_held *held = x402_held_find(chain, payment->payment_id);

    return held != NULL && held->untraced > 0 &&
           x402_chain_milliseconds() < held->try_at_milliseconds;
}

enum x402_sight x402_trace(struct x402_chain *chain, struct x402_evidence *out,
                           const struct x402_settlement *payment)
{
    struct x402_log log;

    memset(out, 0, sizeof *out);
    if (is_too_early(chain, payment))
        return X402_SIGHT_UNKNOWN;
    enum x402_sight sight = ask_state(chain, payment);
    if (sight != X402_SIGHT_USED_UNTRACED)
        return sight;
    switch (find_log(chain, &log, payment)) {
    case FOUND_NOTHING:
        return untraced(chain, payment);
    case FOUND_UNKNOWN:
        return X402_SIGHT_UNKNOWN;
    case FOUND_LOG:
        break;
    }
    if (memcmp(log.topics[0], x402_topic_authorization_canceled32, 32) == 0)
        return X402_SIGHT_CANCELED;
    return ask_receipt(chain, out, payment, log.transaction32);
}
