#include "settle/chain.h"

#include "evm/facilitator.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SUSPECTS_MAX 64 /* of failed batches, found out about singly in one pass */
#define TRIALS_MAX 64   /* calls of one pass to find what spoils a batch */

/* ------------------------------------------------------------------ one transfer each
 */

struct x402_rpc_call x402_ask_transfer(const struct x402_chain *chain,
                                       const struct x402_settlement *payment,
                                       const char *tag, uint64_t block_number)
{
    uint8_t data[X402_ABI_TRANSFER_SIZE];

    x402_transfer_data(data, payment);
    return x402_ask_call(chain->signer20, payment->asset20, data, sizeof data, tag,
                         block_number);
}

void x402_finding_of_call(struct x402_finding *out, const struct x402_rpc_call *call)
{
    memset(out, 0, sizeof *out);
    out->sight = X402_SIGHT_UNKNOWN;
    if (call->reply.status == X402_RPC_RESULT && json_is_string(call->reply.result)) {
        out->sight = X402_SIGHT_PASSES;
    } else if (x402_rpc_reverted(&call->reply, out->reason, sizeof out->reason)) {
        out->sight = X402_SIGHT_REFUSED;
        out->why = x402_revert_classify(out->reason);
    }
}

/* ---------------------------------------------------------------------- which block */

/*
 * On "pending", so that time and what is under way count; nodes without it are asked
 * for "latest".
 */
static const char *tag_of(const struct x402_chain *chain)
{
    return chain->pending_refused ? "latest" : "pending";
}

/* The node's own refusal, not a contract's. */
static bool is_refused(const struct x402_rpc_call *call)
{
    char reason[X402_REASON_MAX];

    return call->reply.status == X402_RPC_ERROR &&
           !x402_rpc_reverted(&call->reply, reason, sizeof reason);
}

/* JSON-RPC's own codes for what a node does not know at all. */
static bool is_unknown_to_node(const struct x402_rpc_call *call)
{
    return is_refused(call) &&
           (call->reply.code == -32601 || call->reply.code == -32602);
}

static bool any_of(const struct x402_rpc_call *calls, size_t count,
                   bool (*is)(const struct x402_rpc_call *call))
{
    for (size_t i = 0; i < count; i++) {
        if (is(&calls[i]))
            return true;
    }
    return false;
}

/* Makes simulating calls; those that a node refuses on "pending" on "latest". */
static void ask(struct x402_chain *chain, struct x402_rpc_call *calls, size_t count)
{
    if (!x402_chain_ask(chain, calls, count) || chain->pending_refused ||
        !any_of(calls, count, is_refused))
        return;
    bool unknown = any_of(calls, count, is_unknown_to_node);
    for (size_t i = 0; i < count; i++) {
        x402_rpc_reply_release(&calls[i].reply);
        json_array_set_new(calls[i].params, 1, json_string("latest"));
    }
    if (x402_chain_ask(chain, calls, count))
        chain->pending_refused = unknown && !any_of(calls, count, is_unknown_to_node);
}

/* ----------------------------------------------------------------------- one answer */

enum answer {
    ANSWER_NONE,    /* nothing was learned */
    ANSWER_GIVEN,   /* findings were written */
    ANSWER_REFUSED, /* the batch as a whole fails */
};

static struct x402_rpc_call ask_single(const struct x402_chain *chain,
                                       const struct x402_dues *dues, size_t index)
{
    return x402_ask_transfer(chain, &dues->payments[index], tag_of(chain), 0);
}

static struct x402_rpc_call ask_settle(const struct x402_chain *chain,
                                       const struct x402_dues *dues,
                                       const size_t *indexes, size_t count)
{
    const struct x402_settlement *payments[X402_BATCH_MAX];
    struct x402_rpc_call call = {.method = "eth_call"};
    uint8_t *data;
    size_t size;

    for (size_t i = 0; i < count; i++)
        payments[i] = &dues->payments[indexes[i]];
    data = x402_settle_data(&size, payments, count);
    if (data != NULL)
        call =
            x402_ask_call_gas(chain->signer20, x402_facilitator_address20, data, size,
                              x402_facilitator_gas_limit(count), tag_of(chain), 0);
    free(data);
    return call;
}

static void forget(struct x402_dues *dues, const size_t *indexes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        memset(&dues->findings[indexes[i]], 0, sizeof *dues->findings);
}

static void take_single(struct x402_chain *chain, struct x402_dues *dues, size_t index,
                        const struct x402_rpc_call *call)
{
    struct x402_finding *finding = &dues->findings[index];

    x402_finding_of_call(finding, call);
    if (finding->sight != X402_SIGHT_UNKNOWN)
        chain->answered = true;
    else if (call->reply.status != X402_RPC_FAILED)
        x402_puzzle_take(chain, &dues->payments[index],
                         call->reply.status == X402_RPC_ERROR
                             ? call->reply.message
                             : "the reply makes no sense");
}

/*
 * What the contract says of its items. A failed one is REFUSED with no reason: a
 * suspect, to be found out about by itself.
 */
static enum answer take_batch(struct x402_chain *chain, struct x402_dues *dues,
                              const size_t *indexes, size_t count,
                              const struct x402_rpc_call *call)
{
    uint8_t returned[64], failed32[32];
    size_t size, done;

    forget(dues, indexes, count);
    if (call->reply.status == X402_RPC_FAILED)
        return ANSWER_NONE;
    if (!x402_json_data(returned, &size, sizeof returned, call->reply.result))
        return ANSWER_REFUSED;
    if (size == 0) { /* nobody is there */
        x402_contract_forget(chain);
        return ANSWER_NONE;
    }
    if (!x402_facilitator_settle_decode(&done, failed32, returned, size) || done == 0 ||
        done > count)
        return ANSWER_REFUSED;
    for (size_t i = 0; i < done; i++)
        dues->findings[indexes[i]].sight = x402_facilitator_item_failed(failed32, i)
                                               ? X402_SIGHT_REFUSED
                                               : X402_SIGHT_PASSES;
    chain->answered = true;
    return ANSWER_GIVEN;
}

void x402_simulate_singly(struct x402_chain *chain, struct x402_dues *dues,
                          const size_t *indexes, size_t count)
{
    struct x402_rpc_call *calls = calloc(count + 1, sizeof *calls);

    forget(dues, indexes, count);
    if (calls == NULL || count == 0) {
        free(calls);
        return;
    }
    for (size_t i = 0; i < count; i++)
        calls[i] = ask_single(chain, dues, indexes[i]);
    ask(chain, calls, count);
    for (size_t i = 0; i < count; i++)
        take_single(chain, dues, indexes[i], &calls[i]);
    x402_rpc_calls_release(calls, count);
    free(calls);
}

/* ------------------------------------------------------------------------ isolation */

/* Simulates a part of a batch. */
static enum answer try_part(struct x402_chain *chain, struct x402_dues *dues,
                            const size_t *indexes, size_t count, size_t *trials)
{
    if (*trials >= TRIALS_MAX || x402_chain_stopping(chain))
        return ANSWER_NONE;
    ++*trials;
    struct x402_rpc_call call = ask_settle(chain, dues, indexes, count);
    ask(chain, &call, 1);
    enum answer answer = take_batch(chain, dues, indexes, count, &call);
    x402_rpc_calls_release(&call, 1);
    return answer;
}

/* What goes in no batch and passes by itself is sent by itself. */
static void send_alone(struct x402_chain *chain, struct x402_dues *dues, size_t index)
{
    struct x402_held *held = x402_held_of(chain, &dues->payments[index]);

    if (held != NULL)
        held->alone = true;
    forget(dues, &index, 1);
    chain->moved++; /* no reason to wait for the next pass */
}

/*
 * A batch that fails as a whole: halves of it, to the one that spoils it, or to the
 * size that is too large. The one is not blamed for more than what it does by itself.
 * The others are due as before, and in the next pass another batch.
 */
static void isolate(struct x402_chain *chain, struct x402_dues *dues,
                    const size_t *indexes, size_t count, size_t *trials)
{
    while (count > 1) {
        size_t half = count / 2;
        enum answer left = try_part(chain, dues, indexes, half, trials), right;
        if (left == ANSWER_NONE)
            break;
        if (left == ANSWER_REFUSED) {
            count = half;
            continue;
        }
        right = try_part(chain, dues, indexes + half, count - half, trials);
        if (right == ANSWER_GIVEN)
            x402_batch_shrink(chain, count); /* and the left half goes */
        if (right != ANSWER_REFUSED) {
            forget(dues, indexes + half, count - half);
            return;
        }
        forget(dues, indexes, half);
        indexes += half;
        count -= half;
    }
    forget(dues, indexes, count);
    if (count > 1)
        return;
    x402_simulate_singly(chain, dues, indexes, 1);
    if (dues->findings[indexes[0]].sight == X402_SIGHT_PASSES)
        send_alone(chain, dues, indexes[0]);
}

/* ------------------------------------------------------------------------- suspects */

/* One that failed in its batch, or is left of it alone: it is asked about by itself. */
struct suspects {
    size_t indexes[SUSPECTS_MAX];
    bool shared[SUSPECTS_MAX]; /* its payer's others can be why it failed */
    bool left[SUSPECTS_MAX];   /* it did not fail */
    size_t count;
};

static bool is_suspect(const struct x402_finding *finding)
{
    return finding->sight == X402_SIGHT_REFUSED && finding->why == X402_REVERT_NONE;
}

/* With too many of them the rest is due as before: the next pass comes to it. */
static void suspect(const struct x402_chain *chain, struct x402_dues *dues,
                    struct suspects *suspects, const struct x402_batch *batch,
                    size_t index)
{
    size_t at = suspects->count;

    if (at == SUSPECTS_MAX) {
        forget(dues, &index, 1);
        return;
    }
    suspects->indexes[at] = index;
    suspects->left[at] = !is_suspect(&dues->findings[index]);
    suspects->shared[at] = x402_funds_are_shared(chain, dues, batch, index);
    suspects->count++;
}

static void gather(const struct x402_chain *chain, struct x402_dues *dues,
                   struct suspects *suspects, const struct x402_batch *batch)
{
    size_t passing = 0, last = 0;

    if (batch->count == 1)
        return;
    for (size_t i = 0; i < batch->count; i++) {
        const struct x402_finding *finding = &dues->findings[batch->indexes[i]];
        if (is_suspect(finding))
            suspect(chain, dues, suspects, batch, batch->indexes[i]);
        if (finding->sight != X402_SIGHT_PASSES)
            continue;
        passing++;
        last = batch->indexes[i];
    }
    if (passing == 1)
        suspect(chain, dues, suspects, batch, last);
}

/*
 * It failed in its batch, and passes by itself: either its payer cannot pay for all of
 * what it bought, or it is one for a transaction of its own.
 */
static void acquit(struct x402_chain *chain, struct x402_dues *dues, size_t index,
                   bool shared)
{
    if (shared)
        x402_funds_refuse(&dues->findings[index], &dues->payments[index]);
    else
        send_alone(chain, dues, index);
}

static void try_suspects(struct x402_chain *chain, struct x402_dues *dues,
                         const struct suspects *suspects)
{
    x402_simulate_singly(chain, dues, suspects->indexes, suspects->count);
    for (size_t i = 0; i < suspects->count; i++) {
        size_t index = suspects->indexes[i];
        if (!suspects->left[i] && dues->findings[index].sight == X402_SIGHT_PASSES)
            acquit(chain, dues, index, suspects->shared[i]);
    }
}

/* ---------------------------------------------------------------------- all batches */

static bool is_known(const struct x402_dues *dues, const struct x402_batch *batch)
{
    return batch->count == 1 &&
           dues->findings[batch->indexes[0]].sight == X402_SIGHT_PASSES;
}

static struct x402_rpc_call ask_batch(const struct x402_chain *chain,
                                      const struct x402_dues *dues,
                                      const struct x402_batch *batch)
{
    return batch->count == 1 ? ask_single(chain, dues, batch->indexes[0])
                             : ask_settle(chain, dues, batch->indexes, batch->count);
}

static void take(struct x402_chain *chain, struct x402_dues *dues,
                 const struct x402_batch *batch, const struct x402_rpc_call *call,
                 size_t *trials)
{
    if (batch->count == 1)
        take_single(chain, dues, batch->indexes[0], call);
    else if (take_batch(chain, dues, batch->indexes, batch->count, call) ==
             ANSWER_REFUSED)
        isolate(chain, dues, batch->indexes, batch->count, trials);
}

static void ask_all(struct x402_chain *chain, struct x402_dues *dues,
                    const struct x402_batch *const *batches, size_t count)
{
    struct x402_rpc_call calls[X402_WINDOW];
    size_t trials = 0;

    for (size_t i = 0; i < count; i++)
        calls[i] = ask_batch(chain, dues, batches[i]);
    if (count > 0)
        ask(chain, calls, count);
    for (size_t i = 0; i < count; i++)
        take(chain, dues, batches[i], &calls[i], &trials);
    x402_rpc_calls_release(calls, count);
}

void x402_simulate(struct x402_chain *chain, struct x402_dues *dues,
                   const struct x402_batch *batches, size_t count)
{
    const struct x402_batch *asked[X402_WINDOW] = {NULL};
    struct suspects suspects = {.count = 0};
    size_t asked_count = 0;

    assert(count <= X402_WINDOW);
    for (size_t i = 0; i < count; i++) {
        if (!is_known(dues, &batches[i]))
            asked[asked_count++] = &batches[i];
    }
    ask_all(chain, dues, asked, asked_count);
    for (size_t i = 0; i < count; i++)
        gather(chain, dues, &suspects, &batches[i]);
    try_suspects(chain, dues, &suspects);
}
