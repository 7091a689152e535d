#include "settle/chain.h"

#include "settle/owner.h"

#include "core/clock.h"
#include "evm/signature.h"

#include <x402/money.h>

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BACKOFF_MILLISECONDS 1000
#define PENDING_MAX 4096 /* transactions of one key that a node's pool may hold */
#define BACKOFF_MILLISECONDS_MAX 30000
#define URGENT_SECONDS 120           /* after that callers have gone */
#define DUE_PEEK 16                  /* half of it for those that somebody waits for */
#define LOOK_MILLISECONDS 1000       /* so long a look holds for who only waits */
#define IDLE_LOOK_MILLISECONDS 60000 /* who looks on wants to know how the chain is */

int64_t x402_chain_milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool x402_chain_stopping(const struct x402_chain *chain)
{
    return atomic_load(chain->stop);
}

/* ------------------------------------------------------------------- open and close */

static bool is_stopping(void *chain)
{
    return x402_chain_stopping(chain);
}

bool x402_chain_open(struct x402_chain *chain,
                     const struct x402_settler_options *options,
                     const struct x402_settler_chain *which, struct x402_ledger *ledger,
                     const char *owner, const atomic_bool *stop)
{
    memset(chain, 0, sizeof *chain);
    chain->options = options;
    chain->ledger = ledger;
    chain->network = which->network;
    chain->owner = owner;
    chain->stop = stop;
    chain->policy = x402_fee_policy_of(which->network.chain_id);
    if (options->max_fee_wei > 0)
        chain->policy.max_fee_wei_max = options->max_fee_wei;
    chain->logs_span = X402_LOGS_SPAN;
    chain->gap_milliseconds = -1;
    chain->behind_milliseconds = -1;
    chain->rechecking = true; /* nobody knows what happened meanwhile */
    x402_caip2_encode(chain->name, which->network.chain_id);
    if (which->network.name[0] != '\0')
        snprintf(chain->name, sizeof chain->name, "%s", which->network.name);
    if (options->key32 != NULL &&
        x402_key_address(chain->signer20, options->key32) != X402_OK)
        return false;
    if (which->url != NULL)
        chain->rpc = x402_rpc_open(which->url, is_stopping, chain);
    return which->url == NULL || chain->rpc != NULL;
}

void x402_chain_close(struct x402_chain *chain)
{
    if (chain->leased && x402_ledger_signer_release(
                             chain->ledger, chain->network.chain_id, chain->signer20))
        x402_chain_ledger_failed(chain); /* it runs out by itself */
    x402_flights_release(chain);
    free(chain->held);
    free(chain->traces);
    chain->held = NULL;
    chain->traces = NULL;
    free(chain->quiet);
    chain->quiet = NULL;
    x402_bytes_wipe(chain->receipt_key32, sizeof chain->receipt_key32);
    x402_rpc_close(chain->rpc);
    chain->rpc = NULL;
}

/* --------------------------------------------------------------- asking, and failing
 */

bool x402_chain_ask(struct x402_chain *chain, struct x402_rpc_call *calls, size_t count)
{
    bool fine = true;

    x402_rpc_perform(chain->rpc, calls, count);
    for (size_t i = 0; i < count; i++)
        fine = fine && calls[i].reply.status != X402_RPC_FAILED;
    if (!fine) {
        chain->failed = true;
        if (!x402_chain_stopping(chain)) /* then it was us */
            x402_chain_trouble(chain, X402_TROUBLE_NODE, "%s",
                               x402_rpc_message(chain->rpc));
    }
    return fine;
}

void x402_chain_nonsense(struct x402_chain *chain, const struct x402_rpc_call *call)
{
    bool refused = call->reply.status == X402_RPC_ERROR;

    chain->failed = true;
    x402_chain_trouble(chain, X402_TROUBLE_NODE, "node %s does not answer %s: %s",
                       x402_rpc_origin(chain->rpc), call->method,
                       refused ? call->reply.message : "the reply makes no sense");
}

void x402_chain_ledger_failed(struct x402_chain *chain)
{
    chain->failed = true;
    x402_chain_trouble(chain, X402_TROUBLE_LEDGER, "ledger: %s",
                       x402_ledger_message(chain->ledger));
}

/* ------------------------------------------------------------------ right chain, lease
 */

/* A node of another chain would be told transactions of no use to anybody, or worse. */
static enum x402_error check_chain_id(struct x402_chain *chain)
{
    struct x402_rpc_call call = x402_ask_chain_id();
    enum x402_error error = X402_ERR_RPC;
    uint64_t id;

    if (x402_chain_ask(chain, &call, 1)) {
        if (!x402_json_quantity(&id, call.reply.result)) {
            x402_chain_nonsense(chain, &call);
        } else if (id != chain->network.chain_id) {
            x402_chain_note(chain, X402_NOTE_ERROR,
                            "%s: node %s is of chain %" PRIu64 ", not %" PRIu64,
                            chain->name, x402_rpc_origin(chain->rpc), id,
                            chain->network.chain_id);
            error = X402_ERR_NETWORK;
        } else {
            chain->checked = true;
            error = X402_OK;
        }
    }
    x402_rpc_calls_release(&call, 1);
    return error;
}

/* A settler of this machine that is dead, and holds the key for the rest of its lease.
 */
static bool evict_dead(struct x402_chain *chain, char owner[X402_OWNER_SIZE])
{
    uint64_t chain_id = chain->network.chain_id;
    char shown[X402_OWNER_SIZE];

    if (x402_ledger_signer_owner(chain->ledger, owner, chain_id, chain->signer20)) {
        owner[0] = '\0';
        return false;
    }
    bool evicted = x402_owner_is_dead(owner) &&
                   x402_ledger_signer_evict(chain->ledger, chain_id, chain->signer20,
                                            owner) == X402_OK;
    x402_owner_shown(shown, owner);
    if (evicted)
        x402_chain_note(chain, X402_NOTE_TAKEN_OVER,
                        "%s: taking over from %s, which is gone", chain->name, shown);
    memcpy(owner, shown, sizeof shown);
    return evicted;
}

static enum x402_error acquire(struct x402_chain *chain)
{
    return x402_ledger_signer_acquire(chain->ledger, chain->network.chain_id,
                                      chain->signer20, chain->owner);
}

bool x402_chain_hold(struct x402_chain *chain)
{
    int64_t now = x402_chain_milliseconds();
    char holder[X402_OWNER_SIZE] = "";
    enum x402_error error;

    if (chain->leased &&
        now - chain->leased_at_milliseconds < X402_LEASE_RENEW_SECONDS * 1000)
        return true;
    error = acquire(chain);
    if (error == X402_ERR_CONFLICT && evict_dead(chain, holder))
        error = acquire(chain);
    chain->leased = error == X402_OK;
    chain->leased_at_milliseconds = now;
    if (error == X402_ERR_CONFLICT && chain->options->remote != NULL) {
        x402_chain_trouble(chain, X402_TROUBLE_LEASE,
                           "another settler asks this facilitator (%s): waiting",
                           holder);
    } else if (error == X402_ERR_CONFLICT) {
        char signer[X402_ADDRESS_TEXT_SIZE];
        x402_address_encode(signer, chain->signer20);
        x402_chain_trouble(chain, X402_TROUBLE_LEASE,
                           "another settler works with the key of %s (%s): waiting",
                           signer, holder);
    } else if (error != X402_OK) {
        x402_chain_ledger_failed(chain);
    }
    return chain->leased;
}

/* ----------------------------------------------------------------- what it looks like
 */

enum {
    LOOK_BLOCK,
    LOOK_BEFORE,
    LOOK_LATEST,
    LOOK_PENDING,
    LOOK_BALANCE,
    LOOK_FEES,
    LOOKS
};

static bool take_fees(struct x402_chain *chain, const struct x402_rpc_call *call)
{
    struct x402_fee_history history = {.base_fee_wei = chain->view.latest.base_fee_wei};

    /* Without a history the block's own base fee and the smallest tip do. */
    if (call->reply.status == X402_RPC_RESULT &&
        !x402_fee_history_decode(&history, call->reply.result))
        return false;
    chain->view.quoted =
        x402_fee_quote(&chain->view.fee, &chain->policy, history.base_fee_wei,
                       history.rewards, history.rewards_count);
    chain->gas_is_dear = x402_fee_is_dear(
        history.base_fee_wei, history.base_fee_median_wei, chain->gas_is_dear);
    return true;
}

static bool take_view(struct x402_chain *chain, const struct x402_rpc_call *calls)
{
    struct x402_view *view = &chain->view;
    size_t wrong = LOOKS;

    if (!x402_json_amount(&view->balance_wei, calls[LOOK_BALANCE].reply.result))
        wrong = LOOK_BALANCE;
    if (!x402_json_quantity(&view->nonces.chain_pending,
                            calls[LOOK_PENDING].reply.result))
        wrong = LOOK_PENDING;
    if (!x402_json_quantity(&view->nonces.chain_latest,
                            calls[LOOK_LATEST].reply.result))
        wrong = LOOK_LATEST;
    else if (view->nonces.chain_pending > view->nonces.chain_latest &&
             view->nonces.chain_pending - view->nonces.chain_latest > PENDING_MAX)
        wrong = LOOK_PENDING; /* believed, it would be stored, and never be reached */
    if (!x402_block_decode(&view->latest, calls[LOOK_BLOCK].reply.result))
        wrong = LOOK_BLOCK;
    else if (!take_fees(chain, &calls[LOOK_FEES]))
        wrong = LOOK_FEES;
    if (wrong != LOOKS)
        x402_chain_nonsense(chain, &calls[wrong]);
    return wrong == LOOKS;
}

/*
 * Behind a name there may be several nodes, and one of them behind the others: for a
 * while it is only not believed that something is not there. When it stays so, the
 * chain itself went back.
 */
static void watch_height(struct x402_chain *chain)
{
    struct x402_view *view = &chain->view;
    int64_t now = x402_chain_milliseconds();

    if (view->latest.number >= chain->highest.number) {
        chain->behind_milliseconds = -1;
    } else if (chain->behind_milliseconds < 0) {
        chain->behind_milliseconds = now;
    }
    view->behind = chain->behind_milliseconds >= 0 &&
                   now - chain->behind_milliseconds < X402_BELIEVE_MILLISECONDS;
    if (view->behind)
        return;
    if (chain->behind_milliseconds >= 0)
        x402_chain_recheck(chain);
    chain->behind_milliseconds = -1;
    chain->highest = view->latest;
}

/* Another block where one was seen before. */
static void watch_fork(struct x402_chain *chain, const struct x402_rpc_call *call)
{
    struct x402_block before;

    if (chain->highest.time_seconds > 0 &&
        x402_block_decode(&before, call->reply.result) &&
        before.number == chain->highest.number &&
        memcmp(before.hash32, chain->highest.hash32, 32) != 0)
        x402_chain_recheck(chain);
}

void x402_chain_recheck(struct x402_chain *chain)
{
    chain->rechecking = true;
    chain->final_continues = false; /* from the beginning */
}

static void remember_view(struct x402_chain *chain)
{
    chain->seen_balance_wei = chain->view.balance_wei;
    chain->seen_base_fee_wei = chain->view.latest.base_fee_wei;
    chain->seen_block = chain->view.latest.number;
}

bool x402_chain_look(struct x402_chain *chain)
{
    struct x402_rpc_call calls[LOOKS] = {
        [LOOK_BLOCK] = x402_ask_block("latest"),
        [LOOK_BEFORE] = x402_ask_block_number(chain->highest.number),
        [LOOK_LATEST] = x402_ask_nonce(chain->signer20, "latest"),
        [LOOK_PENDING] = x402_ask_nonce(chain->signer20, "pending"),
        [LOOK_BALANCE] = x402_ask_balance(chain->signer20),
        [LOOK_FEES] = x402_ask_fee_history(),
    };

    memset(&chain->view, 0, sizeof chain->view);
    bool fine = x402_chain_ask(chain, calls, LOOKS) && take_view(chain, calls);
    chain->looked_milliseconds = fine ? x402_chain_milliseconds() : 0;
    if (fine) {
        remember_view(chain);
        watch_fork(chain, &calls[LOOK_BEFORE]);
        watch_height(chain);
    }
    x402_rpc_calls_release(calls, LOOKS);
    return fine;
}

/* ------------------------------------------------------------------------- one pass */

/* Somebody waits for it: since a moment ago, and it is not put off. */
static bool is_urgent(struct x402_chain *chain, const struct x402_settlement *payment)
{
    const struct x402_held *held = x402_held_find(chain, payment->payment_id);

    return payment->state.delivery == X402_DELIVERY_OWED &&
           x402_clock_seconds() - payment->due_at_seconds < URGENT_SECONDS &&
           (held == NULL || !x402_held_waits(chain, held));
}

/* What is owed is the first of what is due; and it may be under way. */
static bool any_is_urgent(struct x402_chain *chain, const struct x402_settlement *due,
                          size_t due_count)
{
    const struct x402_flights *flights = &chain->flights;
    bool urgent = false;

    for (size_t i = 0; i < due_count && !urgent; i++)
        urgent = is_urgent(chain, &due[i]);
    for (size_t i = 0; i < flights->payments_count && !urgent; i++)
        urgent = is_urgent(chain, &flights->payments[i]);
    return urgent;
}

bool x402_chain_is_shaken(const struct x402_chain *chain)
{
    return chain->gap_milliseconds >= 0 || chain->rechecking;
}

/* Nothing is to be done, and nobody has looked for long, or the last look was in vain:
 * that a node is lost is told before it is needed. */
static bool is_look_due(const struct x402_chain *chain)
{
    return chain->looked_milliseconds == 0 ||
           x402_chain_milliseconds() - chain->looked_milliseconds >=
               IDLE_LOOK_MILLISECONDS;
}

/* Whether there is anything that needs the node at all; *ready: something to send. */
static bool has_work(struct x402_chain *chain, bool *ready)
{
    struct x402_settlement due[DUE_PEEK];
    struct x402_settled settled;
    uint64_t chain_id = chain->network.chain_id;
    size_t due_count = 0, settled_count = 0;
    bool wanted = false, strays = false;

    *ready = false;
    if (!x402_due_is_ready(chain, ready))
        return false;
    if (x402_ledger_due(chain->ledger, chain_id, due, DUE_PEEK, &due_count) ||
        (x402_finality_is_due(chain) &&
         x402_ledger_settled(chain->ledger, chain_id, X402_VALUE_MAX, NULL, &settled, 1,
                             &settled_count)) ||
        !x402_payers_are_wanted(chain, &wanted) ||
        !x402_strays_are_due(chain, &strays)) {
        x402_chain_ledger_failed(chain);
        return false;
    }
    chain->urgent = any_is_urgent(chain, due, due_count);
    return *ready || settled_count > 0 || wanted || strays ||
           chain->flights.count > 0 || chain->filled || x402_chain_is_shaken(chain) ||
           is_look_due(chain);
}

/* Of a pass that fails before it looks at what is due: how long the node is left in
 * peace hangs on whether somebody waits. */
static void see_urgency(struct x402_chain *chain)
{
    struct x402_settlement due[DUE_PEEK];
    size_t count = 0;

    if (x402_ledger_due(chain->ledger, chain->network.chain_id, due, DUE_PEEK,
                        &count) == X402_OK)
        chain->urgent = any_is_urgent(chain, due, count);
}

/* Somebody waits for what is under way, and nothing else is to be done. */
static bool only_waits(const struct x402_chain *chain, bool ready)
{
    int64_t since = x402_chain_milliseconds() - chain->looked_milliseconds;

    return chain->urgent && !ready && chain->flights.count > 0 &&
           chain->failures == 0 && chain->looked_milliseconds > 0 &&
           since < LOOK_MILLISECONDS;
}

/*
 * Only receipts are asked for, and more often than there are blocks: some nodes have
 * them before. What the chain looks like is as it was a moment ago, and so is what
 * troubles it.
 */
static void await_receipts(struct x402_chain *chain)
{
    x402_flights_resolve(chain);
    chain->troubled = chain->troubled || chain->trouble != X402_TROUBLE_NONE;
}

/* The nonce the pass begins with, and whether one before it is missing. */
static bool choose_nonce(struct x402_chain *chain)
{
    struct x402_nonces *nonces = &chain->view.nonces;
    size_t count = chain->flights.count;
    uint64_t *live = calloc(count + 2, sizeof *live);

    if (live == NULL ||
        x402_ledger_nonce_next(chain->ledger, &nonces->stored_next,
                               chain->network.chain_id, chain->signer20)) {
        x402_chain_ledger_failed(chain);
        free(live);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        live[i] = chain->flights.items[i].nonce;
    if (chain->filled)
        live[count++] = chain->fill.nonce;
    nonces->live = live;
    nonces->live_count = count;
    chain->next_nonce = x402_plan_nonce(nonces);
    x402_gap_watch(chain, nonces);
    nonces->live = NULL; /* of this function only */
    nonces->live_count = 0;
    free(live);
    return true;
}

static void work(struct x402_chain *chain)
{
    size_t moved = chain->moved;
    bool ready;

    if (!x402_flights_load(chain))
        return;
    if (!has_work(chain, &ready))
        return;
    if (only_waits(chain, ready)) {
        await_receipts(chain);
        return;
    }
    if (!x402_chain_look(chain) || !choose_nonce(chain))
        return;
    x402_flights_resolve(chain);
    if (x402_chain_stopping(chain) ||
        (chain->moved > moved && !x402_flights_load(chain)))
        return;
    x402_due_send(chain);
    x402_gap_fill(chain);
    x402_sent_prune(chain);
    x402_held_prune(chain);
    x402_traces_prune(chain);
    if (!chain->failed && !x402_chain_stopping(chain))
        x402_finality_check(chain);
    if (!chain->failed && !x402_chain_stopping(chain))
        x402_payers_refresh(chain);
    if (!chain->failed && !x402_chain_stopping(chain))
        x402_strays_settle(chain);
}

void x402_chain_state(const struct x402_chain *chain, struct x402_settler_state *out)
{
    bool troubled = chain->trouble != X402_TROUBLE_NONE;

    memset(out, 0, sizeof *out);
    out->chain_id = chain->network.chain_id;
    memcpy(out->signer20, chain->signer20, 20);
    x402_owner_shown(out->owner, chain->owner);
    out->gas_balance_wei = chain->seen_balance_wei;
    out->base_fee_wei = chain->seen_base_fee_wei;
    out->latest_block = chain->seen_block;
    out->safe_block = chain->seen_safe_block;
    out->in_flight = chain->under_way;
    snprintf(out->trouble, sizeof out->trouble, "%s",
             troubled ? chain->trouble_text : "");
}

/* Who holds the key speaks for it; with nobody there, who would. */
static bool is_spoken_for(struct x402_chain *chain)
{
    char owner[X402_OWNER_SIZE];

    return !chain->leased &&
           x402_ledger_signer_owner(chain->ledger, owner, chain->network.chain_id,
                                    chain->signer20) == X402_OK;
}

void x402_chain_say(struct x402_chain *chain)
{
    struct x402_settler_state state;

    if (is_spoken_for(chain)) {
        x402_pulse_hush(chain->pulse, chain->network.chain_id, chain->signer20);
        return;
    }
    x402_chain_state(chain, &state);
    x402_pulse_say(chain->pulse, &state);
}

void x402_chain_end(struct x402_chain *chain)
{
    int64_t wait = BACKOFF_MILLISECONDS;
    int64_t most =
        chain->urgent ? X402_BACKOFF_URGENT_MILLISECONDS : BACKOFF_MILLISECONDS_MAX;

    if (!chain->troubled && chain->trouble != X402_TROUBLE_NONE) {
        chain->trouble = X402_TROUBLE_NONE;
        x402_chain_note(chain, X402_NOTE_RECOVERED, "%s: all is well again",
                        chain->name);
    }
    chain->failures = chain->failed ? chain->failures + 1 : 0;
    for (unsigned i = 1; i < chain->failures && wait < most; i++)
        wait *= 2;
    wait = wait < most ? wait : most;
    chain->pass_milliseconds = x402_chain_milliseconds() + (chain->failed ? wait : 0);
}

void x402_chain_begin(struct x402_chain *chain)
{
    if (!chain->has_receipt_key && chain->ledger != NULL)
        chain->has_receipt_key =
            x402_ledger_receipt_key(chain->ledger, chain->receipt_key32) == X402_OK;
    chain->troubled = chain->failed = chain->urgent = false;
    chain->answered = chain->puzzled = false;
    chain->began_milliseconds = x402_chain_milliseconds();
    chain->puzzle[0] = '\0';
    chain->moved = chain->under_way = chain->due_left = chain->due_held = 0;
    chain->look_ups = 0;
}

enum x402_error x402_chain_pass(struct x402_chain *chain)
{
    enum x402_error error = X402_OK;

    if (chain->began_milliseconds > 0)
        x402_chain_say(chain); /* a long rest is over, and a long step may come */
    x402_chain_begin(chain);
    if (!chain->checked)
        error = check_chain_id(chain);
    if (error == X402_OK && x402_chain_hold(chain))
        work(chain);
    else if (chain->failed)
        see_urgency(chain);
    x402_chain_end(chain);
    x402_chain_say(chain);
    return error == X402_ERR_NETWORK ? error : X402_OK;
}

enum x402_error x402_chain_watch(struct x402_chain *chain)
{
    enum x402_error error = chain->checked ? X402_OK : check_chain_id(chain);
    bool wanted = false, strays = false, ready;

    if (error == X402_OK && (!x402_payers_are_wanted(chain, &wanted) ||
                             !x402_strays_are_due(chain, &strays)))
        x402_chain_ledger_failed(chain);
    if (error == X402_OK && (wanted || strays || x402_finality_is_due(chain)) &&
        has_work(chain, &ready) && x402_chain_look(chain)) {
        x402_finality_check(chain);
        if (!chain->failed)
            x402_payers_refresh(chain);
        if (!chain->failed)
            x402_strays_settle(chain);
    }
    x402_traces_prune(chain);
    return error == X402_ERR_NETWORK ? error : X402_OK;
}

bool x402_chain_is_done(const struct x402_chain *chain)
{
    return chain->checked && chain->leased && !chain->failed && chain->under_way == 0 &&
           chain->due_left == 0 && chain->due_held == 0 && !x402_chain_is_shaken(chain);
}
