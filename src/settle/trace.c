#include "settle/chain.h"

#include "evm/abi.h"

#include <stdlib.h>
#include <string.h>

#define QUERIES_MAX 4       /* of logs, for one payment in one pass */
#define QUERIES_PASS_MAX 32 /* for all */
#define AGAIN_MILLISECONDS 1000
#define PUT_OFF_MILLISECONDS 5000 /* what the node refuses to tell */
#define ANEW_MILLISECONDS 600000  /* once all blocks were searched in vain */
#define SPAN_MILLISECONDS 600000  /* how long a node that wanted less gets less */
#define FORGET_MILLISECONDS (3 * ANEW_MILLISECONDS)

/* --------------------------------------------------------------------------- memory */

/* Where the payment is, or would stand. */
static size_t place_of(const struct x402_chain *chain, int64_t payment_id)
{
    size_t low = 0, high = chain->traces_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chain->traces[middle].payment_id < payment_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct x402_traced *find(const struct x402_chain *chain, int64_t payment_id)
{
    size_t place = place_of(chain, payment_id);

    if (place < chain->traces_count && chain->traces[place].payment_id == payment_id)
        return &chain->traces[place];
    return NULL;
}

static void remove_at(struct x402_chain *chain, size_t place)
{
    chain->traces_count--;
    memmove(&chain->traces[place], &chain->traces[place + 1],
            (chain->traces_count - place) * sizeof *chain->traces);
}

static bool make_room(struct x402_chain *chain)
{
    size_t capacity = chain->traces_capacity ? 2 * chain->traces_capacity : 16;

    if (chain->traces_count < chain->traces_capacity)
        return true;
    if (chain->traces_capacity >= X402_TRACES_MAX) {
        remove_at(chain, 0); /* its search begins anew */
        return true;
    }
    struct x402_traced *larger = realloc(chain->traces, capacity * sizeof *larger);
    if (larger == NULL)
        return false;
    chain->traces = larger;
    chain->traces_capacity = capacity;
    return true;
}

/* Found or made; NULL without memory. */
static struct x402_traced *traced_of(struct x402_chain *chain, int64_t payment_id)
{
    struct x402_traced *found = find(chain, payment_id);

    if (found == NULL && make_room(chain)) {
        size_t place = place_of(chain, payment_id);
        found = &chain->traces[place];
        memmove(found + 1, found, (chain->traces_count - place) * sizeof *found);
        chain->traces_count++;
        *found = (struct x402_traced){.payment_id = payment_id};
    }
    if (found != NULL)
        found->touched_milliseconds = x402_chain_milliseconds();
    return found;
}

bool x402_trace_waits(const struct x402_chain *chain, int64_t payment_id)
{
    const struct x402_traced *traced = find(chain, payment_id);

    return traced != NULL && x402_chain_milliseconds() < traced->try_at_milliseconds;
}

/* What nobody asked for any more was found, or taken by another settler. */
void x402_traces_prune(struct x402_chain *chain)
{
    int64_t before = x402_chain_milliseconds() - FORGET_MILLISECONDS;
    size_t kept = 0;

    for (size_t i = 0; i < chain->traces_count; i++) {
        if (chain->traces[i].touched_milliseconds >= before)
            chain->traces[kept++] = chain->traces[i];
    }
    chain->traces_count = kept;
}

/* ---------------------------------------------------------------------------- state */

struct x402_rpc_call x402_ask_used(const struct x402_settlement *payment,
                                   const uint8_t block_hash32[32])
{
    uint8_t data[X402_ABI_AUTHORIZATION_STATE_SIZE];

    x402_abi_authorization_state(data, payment->from20, payment->nonce32);
    struct x402_eth_call call = {.to20 = payment->asset20,
                                 .data = data,
                                 .size = sizeof data,
                                 .gas = X402_GAS_LIMIT,
                                 .at = {.hash32 = block_hash32}};
    return x402_ask_eth_call(&call);
}

enum x402_used x402_used_decode(const struct x402_rpc_reply *reply)
{
    static const uint8_t zero31[31];
    uint8_t word32[32];

    if (!x402_json_bytes(word32, 32, reply->result) ||
        memcmp(word32, zero31, 31) != 0 || word32[31] > 1)
        return X402_USED_UNKNOWN;
    return word32[31] == 1 ? X402_USED_YES : X402_USED_NO;
}

/*
 * The node has not this block, keeps no state so old, or gives no logs: that is no
 * reason to leave the other payments alone. This one is put off.
 */
static void put_off(struct x402_chain *chain, const struct x402_settlement *payment,
                    const struct x402_rpc_call *call)
{
    struct x402_traced *traced = traced_of(chain, payment->payment_id);

    if (call->reply.status != X402_RPC_ERROR) {
        x402_chain_nonsense(chain, call);
        return;
    }
    if (traced != NULL)
        traced->try_at_milliseconds = x402_chain_milliseconds() + PUT_OFF_MILLISECONDS;
    if (!chain->refusal_told)
        x402_chain_note(
            chain, X402_NOTE_NODE,
            "%s: node %s does not say what became of a payment (%s: %s): it "
            "is asked again",
            chain->name, x402_rpc_origin(chain->rpc), call->method,
            call->reply.message);
    chain->refusal_told = true;
}

static enum x402_used ask_used(struct x402_chain *chain,
                               const struct x402_settlement *payment,
                               const struct x402_block *block)
{
    struct x402_rpc_call call = x402_ask_used(payment, block->hash32);
    enum x402_used used = X402_USED_UNKNOWN;

    if (x402_chain_ask(chain, &call, 1)) {
        used = x402_used_decode(&call.reply);
        if (used == X402_USED_UNKNOWN)
            put_off(chain, payment, &call);
    }
    x402_rpc_calls_release(&call, 1);
    return used;
}

/* The nonce of the transaction of ours that the payment is under way in. */
static bool own_nonce(const struct x402_chain *chain, uint64_t *out,
                      const struct x402_settlement *payment)
{
    const struct x402_flights *flights = &chain->flights;

    if (payment->state.money != X402_MONEY_SUBMITTED)
        return false;
    for (size_t i = 0; i < flights->rows_count; i++) {
        if (flights->rows[i].id == payment->transaction_id) {
            *out = flights->rows[i].nonce;
            return true;
        }
    }
    return false;
}

/*
 * What is under way counts as unused only where the nonce of its transaction is spent
 * in that same block: two nodes, one ahead of the other, would otherwise make a
 * transaction vanish that one of them has not seen yet.
 */
static bool may_come_yet(struct x402_chain *chain,
                         const struct x402_settlement *payment,
                         const struct x402_block *block)
{
    struct x402_at at = {.hash32 = block->hash32};
    struct x402_rpc_call call;
    uint64_t nonce, spent = 0;

    if (!own_nonce(chain, &nonce, payment))
        return false;
    call = x402_ask_nonce_at(chain->signer20, &at);
    if (x402_chain_ask(chain, &call, 1) &&
        !x402_json_quantity(&spent, call.reply.result))
        put_off(chain, payment, &call);
    x402_rpc_calls_release(&call, 1);
    return spent <= nonce;
}

/* ----------------------------------------------------------------------------- logs */

enum found {
    FOUND_UNKNOWN, /* the node did not say */
    FOUND_LESS,    /* it wants to be asked for fewer blocks */
    FOUND_NOTHING,
    FOUND_LOG,
};

static struct x402_log_query query_of(const struct x402_settlement *payment,
                                      const struct x402_range *range)
{
    struct x402_log_query query = {.first_block = range->first,
                                   .last_block = range->last};

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
    if (chain->logs_span < X402_LOGS_SPAN_MIN)
        chain->logs_span = X402_LOGS_SPAN_MIN;
    chain->logs_span_milliseconds = x402_chain_milliseconds();
    return true;
}

static enum found ask_logs(struct x402_chain *chain, struct x402_log *out,
                           const struct x402_settlement *payment,
                           const struct x402_range *range)
{
    struct x402_log_query query = query_of(payment, range);
    struct x402_rpc_call call = x402_ask_logs(&query);
    enum found found = FOUND_UNKNOWN;

    chain->view.log_queries++;
    if (x402_chain_ask(chain, &call, 1)) {
        found = take_logs(out, &call, &query);
        if (found == FOUND_UNKNOWN && ask_for_less(chain, &call))
            found = FOUND_LESS;
        else if (found == FOUND_UNKNOWN)
            put_off(chain, payment, &call);
    }
    x402_rpc_calls_release(&call, 1);
    return found;
}

/* The span a node wanted less of is tried again: it may be another node by now. */
static uint64_t span_of(struct x402_chain *chain)
{
    int64_t since = x402_chain_milliseconds() - chain->logs_span_milliseconds;

    if (since >= SPAN_MILLISECONDS)
        chain->logs_span = X402_LOGS_SPAN;
    return chain->logs_span;
}

/* A few queries: the newest blocks, then on from where the last look ended. */
static enum found find_log(struct x402_chain *chain, struct x402_log *out,
                           const struct x402_settlement *payment,
                           struct x402_search *search)
{
    enum found found = FOUND_UNKNOWN;
    bool top = true;

    for (unsigned i = 0; i < QUERIES_MAX && !x402_chain_stopping(chain) &&
                         chain->view.log_queries < QUERIES_PASS_MAX;
         i++) {
        struct x402_range range;
        if (top)
            range = x402_search_top(search, chain->view.latest.number, span_of(chain));
        else if (!x402_search_down(search, &range, span_of(chain)))
            break;
        found = ask_logs(chain, out, payment, &range);
        if (found == FOUND_UNKNOWN || found == FOUND_LOG)
            return found;
        if (found == FOUND_NOTHING) {
            x402_search_note(search, &range);
            top = false;
        }
    }
    return top ? FOUND_UNKNOWN : FOUND_NOTHING;
}

/* ----------------------------------------------------------------------- what it was
 */

/* A block that is in the chain of the safe one, as far as one can ask. */
static bool is_safe(struct x402_chain *chain, const struct x402_settlement *payment,
                    uint64_t block_number)
{
    struct x402_block safe;

    return x402_chain_safe(chain, &safe) && block_number <= safe.number &&
           ask_used(chain, payment, &safe) == X402_USED_YES;
}

static enum x402_sight unless_unsafe(struct x402_chain *chain,
                                     struct x402_evidence *out,
                                     const struct x402_settlement *payment,
                                     enum x402_sight sight)
{
    if (is_safe(chain, payment, out->block_number))
        return sight;
    out->unsafe = sight;
    return X402_SIGHT_UNSAFE;
}

/* Whether it is the one that used it: on another branch that was another. */
static bool has_use(const struct x402_transaction_receipt *receipt,
                    const struct x402_settlement *payment)
{
    struct x402_log_query query = query_of(payment, &(struct x402_range){0});

    for (size_t i = 0; i < receipt->logs_count; i++) {
        if (answers(&receipt->logs[i], &query))
            return true;
    }
    return false;
}

static enum x402_sight judge(struct x402_chain *chain, struct x402_evidence *out,
                             const struct x402_settlement *payment,
                             const struct x402_transaction_receipt *receipt)
{
    if (!receipt->succeeded || !has_use(receipt, payment))
        return X402_SIGHT_UNKNOWN; /* it has logs: nonsense, or another fork */
    memcpy(out->hash32, receipt->hash32, 32);
    memcpy(out->block_hash32, receipt->block_hash32, 32);
    out->block_number = receipt->block_number;
    if (!x402_proof_of_payment(receipt->logs, receipt->logs_count, payment))
        return unless_unsafe(chain, out, payment, X402_SIGHT_USED_OTHERWISE);
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
            put_off(chain, payment, &call);
        if (answer == X402_RECEIPT_FOUND) {
            sight = judge(chain, out, payment, &receipt);
            x402_transaction_receipt_release(&receipt);
        }
    }
    x402_rpc_calls_release(&call, 1);
    return sight;
}

static enum x402_sight of_log(struct x402_chain *chain, struct x402_evidence *out,
                              const struct x402_settlement *payment,
                              const struct x402_log *log)
{
    if (memcmp(log->topics[0], x402_topic_authorization_canceled32, 32) != 0)
        return ask_receipt(chain, out, payment, log->transaction32);
    memcpy(out->hash32, log->transaction32, 32);
    out->block_number = log->block_number;
    return unless_unsafe(chain, out, payment, X402_SIGHT_CANCELED);
}

static void tell_untraced(struct x402_chain *chain,
                          const struct x402_settlement *payment,
                          struct x402_traced *traced)
{
    if (traced->told)
        return;
    traced->told = true;
    x402_payment_note(chain, X402_NOTE_UNTRACED, payment, "waiting with",
                      "its authorization is used on the chain, by a transaction not "
                      "found yet. It stays due and is looked for in older blocks; a "
                      "node that keeps all logs finds it");
}

/* Logs can lag the state: only what is looked for several times in vain is told. */
static enum x402_sight untraced(struct x402_chain *chain,
                                const struct x402_settlement *payment,
                                struct x402_traced *traced)
{
    bool all = traced->search.below == 0;

    traced->try_at_milliseconds =
        x402_chain_milliseconds() + (all && traced->looks >= X402_UNTRACED_MAX
                                         ? ANEW_MILLISECONDS
                                         : AGAIN_MILLISECONDS);
    if (all)
        traced->search.begun = false;
    if (++traced->looks < X402_UNTRACED_MAX)
        return X402_SIGHT_UNKNOWN;
    tell_untraced(chain, payment, traced);
    return X402_SIGHT_USED_UNTRACED;
}

static enum x402_sight trace_use(struct x402_chain *chain, struct x402_evidence *out,
                                 const struct x402_settlement *payment)
{
    struct x402_traced *traced = traced_of(chain, payment->payment_id);
    struct x402_log log;

    if (traced == NULL)
        return X402_SIGHT_UNKNOWN;
    switch (find_log(chain, &log, payment, &traced->search)) {
    case FOUND_LOG:
        remove_at(chain, place_of(chain, payment->payment_id));
        return of_log(chain, out, payment, &log);
    case FOUND_NOTHING:
        return untraced(chain, payment, traced);
    case FOUND_UNKNOWN:
    case FOUND_LESS:
        break;
    }
    return X402_SIGHT_UNKNOWN;
}

enum x402_sight x402_trace(struct x402_chain *chain, struct x402_evidence *out,
                           const struct x402_settlement *payment)
{
    uint64_t end = payment->valid_before_seconds;
    const struct x402_block *latest = &chain->view.latest;
    struct x402_block safe;

    memset(out, 0, sizeof *out);
    if (chain->view.behind || x402_trace_waits(chain, payment->payment_id))
        return X402_SIGHT_UNKNOWN;
    bool ended = x402_chain_safe(chain, &safe) && safe.time_seconds >= end;
    switch (ask_used(chain, payment, ended ? &safe : latest)) {
    case X402_USED_UNKNOWN:
        return X402_SIGHT_UNKNOWN;
    case X402_USED_YES:
        return trace_use(chain, out, payment);
    case X402_USED_NO:
        break;
    }
    if (ended)
        return X402_SIGHT_EXPIRED;
    if (may_come_yet(chain, payment, latest))
        return X402_SIGHT_UNKNOWN;
    if (latest->time_seconds < end)
        return X402_SIGHT_UNUSED;
    out->unsafe = X402_SIGHT_EXPIRED;
    return X402_SIGHT_UNSAFE;
}
