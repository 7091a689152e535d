#include "settle/chain.h"

#include "evm/abi.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ----------------------------------------------------------------------- simulation */

void x402_transfer_data(uint8_t out[X402_ABI_TRANSFER_SIZE],
                        const struct x402_settlement *payment)
{
    struct x402_authorization authorization = {
        .value = payment->value,
        .valid_after_seconds = payment->valid_after_seconds,
        .valid_before_seconds = payment->valid_before_seconds,
    };

    memcpy(authorization.from20, payment->from20, 20);
    memcpy(authorization.to20, payment->to20, 20);
    memcpy(authorization.nonce32, payment->nonce32, 32);
    x402_abi_transfer_with_authorization(out, &authorization, payment->signature65);
}

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

/* JSON-RPC's own codes for what a node does not know at all. */
static bool is_unknown_to_node(const struct x402_rpc_reply *reply)
{
    return reply->code == -32601 || reply->code == -32602;
}

/* Candidates whose call failed stay UNKNOWN. False when the node refused some. */
static bool simulate_on(struct x402_chain *chain, struct x402_candidate *candidates,
                        size_t count, const char *tag)
{
    struct x402_rpc_call calls[X402_WINDOW];
    const struct x402_rpc_call *refused = NULL;

    for (size_t i = 0; i < count; i++)
        calls[i] = x402_ask_transfer(chain, &candidates[i].payment, tag, 0);
    (void)x402_chain_ask(chain, calls, count);
    for (size_t i = 0; i < count; i++) {
        x402_finding_of_call(&candidates[i].finding, &calls[i]);
        if (candidates[i].finding.sight == X402_SIGHT_UNKNOWN &&
            calls[i].reply.status != X402_RPC_FAILED)
            refused = &calls[i];
    }
    bool is_pending = strcmp(tag, "pending") == 0;
    if (refused != NULL && is_pending && is_unknown_to_node(&refused->reply))
        chain->pending_refused = true;
    else if (refused != NULL && !is_pending)
        x402_chain_nonsense(chain, refused);
    x402_rpc_calls_release(calls, count);
    return refused == NULL;
}

/*
 * On "pending", so that time and what is under way count; nodes without it are asked
 * for "latest".
 */
static void simulate(struct x402_chain *chain, struct x402_candidate *candidates,
                     size_t count)
{
    if (chain->pending_refused || !simulate_on(chain, candidates, count, "pending"))
        (void)simulate_on(chain, candidates, count, "latest");
}

/* ------------------------------------------------------------------------- capacity */

/* How many transactions the signer can pay for beside those under way. */
static size_t affordable(struct x402_chain *chain)
{
    const struct x402_view *view = &chain->view;
    uint64_t each = view->fee.max_fee_wei * X402_GAS_LIMIT;
    uint64_t all = view->balance_wei / each;
    char signer[X402_ADDRESS_TEXT_SIZE];

    if (all == 0) {
        x402_address_encode(signer, chain->signer20);
        x402_chain_trouble(chain, X402_TROUBLE_GAS,
                           "%s cannot pay for gas: it has %" PRIu64
                           " wei and a transaction may cost %" PRIu64,
                           signer, view->balance_wei, each);
    }
    return all > chain->flights.count ? (size_t)(all - chain->flights.count) : 0;
}

/*
 * A nonce is missing that nothing is awaited for: what is sent now would wait for it,
 * perhaps forever. For a moment it is a node that lags; then people are told.
 */
static bool is_stalled(struct x402_chain *chain)
{
    char signer[X402_ADDRESS_TEXT_SIZE];
    int64_t since = chain->gap_milliseconds;

    if (since >= 0 && x402_chain_milliseconds() - since >= X402_GAP_MILLISECONDS) {
        x402_address_encode(signer, chain->signer20);
        x402_chain_trouble(chain, X402_TROUBLE_GAP,
                           "the chain has forgotten transaction %" PRIu64
                           " of %s: nothing is sent before it comes back; if the chain "
                           "began anew, settle with another key",
                           chain->gap_nonce, signer);
    }
    return since >= 0;
}

static size_t capacity_of(struct x402_chain *chain)
{
    size_t under_way = chain->flights.count, most;

    if (!chain->view.quoted) {
        x402_chain_trouble(chain, X402_TROUBLE_FEES,
                           "gas costs more than %" PRIu64 " wei: waiting",
                           chain->policy.max_fee_wei_max);
        return 0;
    }
    if (is_stalled(chain) || under_way >= X402_WINDOW)
        return 0;
    most = affordable(chain);
    return most < X402_WINDOW - under_way ? most : X402_WINDOW - under_way;
}

/* ------------------------------------------------------------------------- choosing */

/* A payment of a token without code would "succeed" and move nothing. */
static bool has_code(struct x402_chain *chain, const uint8_t asset20[20])
{
    char asset[X402_ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < chain->contracts_count; i++) {
        if (memcmp(chain->contracts[i], asset20, 20) == 0)
            return true;
    }
    struct x402_rpc_call call = x402_ask_code(asset20);
    bool asked = x402_chain_ask(chain, &call, 1);
    size_t size = json_string_length(call.reply.result);
    if (asked && call.reply.status != X402_RPC_RESULT)
        x402_chain_nonsense(chain, &call);
    x402_rpc_calls_release(&call, 1);
    if (size <= 2) {
        x402_address_encode(asset, asset20);
        x402_chain_trouble(chain, X402_TROUBLE_TOKEN, "there is no token at %s", asset);
        return false;
    }
    if (chain->contracts_count < X402_CONTRACTS_MAX)
        memcpy(chain->contracts[chain->contracts_count++], asset20, 20);
    return true;
}

static bool is_expired(const struct x402_chain *chain,
                       const struct x402_settlement *payment)
{
    return chain->view.latest.time_seconds >= payment->valid_before_seconds;
}

/* Waiting for its next try; one that expired waits only for logs to show up. */
static bool is_held(struct x402_chain *chain, const struct x402_settlement *payment)
{
    const struct x402_held *held = x402_held_find(chain, payment->payment_id);

    if (held == NULL || held->try_at_milliseconds <= x402_chain_milliseconds() ||
        (held->untraced == 0 && is_expired(chain, payment)))
        return false;
    /* What is being traced is soon known; the rest waits for its payer. */
    chain->due_left += held->untraced > 0;
    chain->due_held += held->untraced == 0;
    return true;
}

static void act(struct x402_chain *chain, const struct x402_settlement *payment,
                struct x402_finding *finding)
{
    enum x402_action done = x402_chain_act(chain, payment, finding);

    chain->due_left += done == X402_ACTION_WAIT;
    chain->due_held += done == X402_ACTION_RETRY;
}

/* Expired, as far as the latest block goes: the chain says what became of it. */
static void give_up(struct x402_chain *chain, const struct x402_settlement *payment)
{
    struct x402_finding finding = {.sight = X402_SIGHT_REFUSED,
                                   .why = X402_REVERT_EXPIRED};

    act(chain, payment, &finding);
}

static size_t choose(struct x402_chain *chain, struct x402_candidate *candidates,
                     size_t max, const struct x402_settlement *due, size_t due_count)
{
    size_t count = 0, look_ups = 0;

    for (size_t i = 0; i < due_count; i++) {
        if (is_held(chain, &due[i]))
            continue;
        if (is_expired(chain, &due[i]) && look_ups < X402_LOOK_UPS_MAX &&
            !chain->failed && !x402_chain_stopping(chain)) {
            look_ups++;
            give_up(chain, &due[i]);
        } else if (!is_expired(chain, &due[i]) && count < max &&
                   has_code(chain, due[i].asset20)) {
            candidates[count++].payment = due[i];
        } else {
            chain->due_left++;
        }
    }
    return count;
}

/* -------------------------------------------------------------------------- sending */

/*
 * Durable before it is sent: after a kill here the next start finds the row and sends
 * it. ERR_CONFLICT is somebody else's payment now, or a lease that was lost.
 */
static bool store(struct x402_chain *chain, const struct x402_settlement *payment,
                  struct x402_row *row)
{
    char text[X402_PAYMENT_TEXT_SIZE], hash[65] = "";

    if (!x402_chain_hold(chain))
        return false;
    enum x402_error error =
        x402_row_store(chain, row, payment, chain->next_nonce, &chain->view.fee, 0);
    if (error == X402_ERR_CONFLICT)
        chain->leased = false; /* ask again before the next */
    else if (error != X402_OK)
        x402_chain_ledger_failed(chain);
    if (error != X402_OK)
        return false;
    chain->next_nonce++;
    chain->under_way++;
    x402_payment_text(text, chain, payment);
    x402_hex_encode(hash, row->hash32, 32);
    x402_chain_note(chain, "sending %s in 0x%s (nonce %" PRIu64 ")", text, hash,
                    row->nonce);
    return true;
}

static void send_all(struct x402_chain *chain, struct x402_candidate *candidates,
                     size_t count)
{
    struct x402_row rows[X402_WINDOW] = {0};
    const struct x402_row *list[X402_WINDOW];
    size_t stored = 0;
    bool going = !x402_chain_stopping(chain);

    for (size_t i = 0; i < count; i++) {
        const struct x402_settlement *payment = &candidates[i].payment;
        struct x402_finding *finding = &candidates[i].finding;
        enum x402_action action =
            x402_plan(payment->state, finding->sight, finding->why);
        if (action != X402_ACTION_SEND) {
            act(chain, payment, finding);
            continue;
        }
        going = going && store(chain, payment, &rows[stored]);
        if (going) {
            list[stored] = &rows[stored];
            stored++;
        }
        chain->due_left += !going;
    }
    if (stored > 0)
        x402_rows_send(chain, list, stored);
    for (size_t i = 0; i < stored; i++)
        x402_row_release(&rows[i]);
}

void x402_due_send(struct x402_chain *chain)
{
    struct x402_candidate *candidates = calloc(X402_WINDOW, sizeof *candidates);
    /* Those held come first, maybe all: enough to see past them. */
    size_t max = chain->held_count + X402_WINDOW + X402_LOOK_UPS_MAX, due_count = 0;
    struct x402_settlement *due = calloc(max, sizeof *due);

    if (due == NULL || candidates == NULL ||
        x402_ledger_due(chain->ledger, chain->network.chain_id, due, max, &due_count)) {
        x402_chain_ledger_failed(chain);
    } else if (due_count > 0) {
        size_t count = choose(chain, candidates, capacity_of(chain), due, due_count);
        if (count > 0 && !chain->failed) {
            simulate(chain, candidates, count);
            x402_funds_check(chain, candidates, count);
            send_all(chain, candidates, count);
        } else {
            chain->due_left += count;
        }
    }
    free(due);
    free(candidates);
}
