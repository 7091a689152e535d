#include "settle/chain.h"

#include "core/clock.h"
#include "core/failpoint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Payments looked at beside those held: as many as the window can take. */
#define DUES_MAX (X402_WINDOW * X402_BATCH_MAX)
/* Payments refused before that are simulated by themselves in a pass. */
#define PROBES_MAX 32
/* Transactions kept back for what cannot wait. */
#define WINDOW_RESERVE 2

/* What is left of a pass: the dues, and who may still be chosen for what. */
struct sending {
    struct x402_dues dues;
    bool *not_in_batch;  /* of each payment */
    bool *not_by_itself; /* of each payment: for a transaction of its own */
    struct x402_batch batches[X402_WINDOW];
    size_t batches_count;
    size_t room;       /* transactions */
    uint64_t wei_left; /* for gas */
};

/* ------------------------------------------------------------------- open and close */

static void sending_close(struct sending *sending)
{
    if (sending == NULL)
        return;
    free(sending->dues.payments);
    free(sending->dues.findings);
    free(sending->not_in_batch);
    free(sending->not_by_itself);
    free(sending);
}

/* Those held come first, maybe all of them in one half of what is due
 * (x402_ledger_due): enough is read to see past them. */
static struct sending *sending_open(struct x402_chain *chain)
{
    struct sending *sending = calloc(1, sizeof *sending);
    size_t max = 2 * chain->held_count + DUES_MAX;

    if (sending == NULL)
        return NULL;
    struct x402_dues *dues = &sending->dues;
    dues->payments = calloc(max, sizeof *dues->payments);
    if (dues->payments == NULL ||
        x402_ledger_due(chain->ledger, chain->network.chain_id, dues->payments, max,
                        &dues->count) != X402_OK) {
        x402_chain_ledger_failed(chain);
        sending_close(sending);
        return NULL;
    }
    dues->findings = calloc(dues->count + 1, sizeof *dues->findings);
    sending->not_in_batch = calloc(dues->count + 1, sizeof *sending->not_in_batch);
    sending->not_by_itself = calloc(dues->count + 1, sizeof *sending->not_by_itself);
    if (dues->findings != NULL && sending->not_in_batch != NULL &&
        sending->not_by_itself != NULL)
        return sending;
    sending_close(sending);
    chain->failed = true;
    return NULL;
}

/* ------------------------------------------------------------------------- capacity */

static uint64_t cost_of(const struct x402_chain *chain, size_t payments_count)
{
    uint64_t wei;

    return __builtin_mul_overflow(chain->view.fee.max_fee_wei,
                                  x402_gas_limit(payments_count), &wei)
               ? UINT64_MAX
               : wei;
}

/* What the signer has for gas beside what is under way. */
static uint64_t wei_left(const struct x402_chain *chain)
{
    uint64_t left = chain->view.balance_wei;

    for (size_t i = 0; i < chain->flights.count; i++) {
        const struct x402_flight *flight = &chain->flights.items[i];
        const struct x402_row *newest = &flight->rows[flight->rows_count - 1];
        uint64_t wei;
        if (__builtin_mul_overflow(newest->fee.max_fee_wei, newest->gas_limit, &wei) ||
            wei > left)
            return 0;
        left -= wei;
    }
    return left;
}

/* Whether anything can be sent; if so, how much. */
static bool measure(struct x402_chain *chain, struct sending *sending)
{
    size_t under_way = chain->flights.count;
    uint64_t least = cost_of(chain, 1);
    char signer[X402_ADDRESS_TEXT_SIZE];

    if (!chain->view.quoted) {
        x402_chain_trouble(chain, X402_TROUBLE_FEES,
                           "gas costs more than %" PRIu64 " wei: waiting",
                           chain->policy.max_fee_wei_max);
        return false;
    }
    if (chain->view.balance_wei < least) {
        x402_address_encode(signer, chain->signer20);
        x402_chain_trouble(chain, X402_TROUBLE_GAS,
                           "%s cannot pay for gas: it has %" PRIu64
                           " wei and a transaction may cost %" PRIu64,
                           signer, chain->view.balance_wei, least);
    }
    sending->room = under_way < X402_WINDOW ? X402_WINDOW - under_way : 0;
    sending->wei_left = wei_left(chain);
    return sending->room > 0 && sending->wei_left >= least;
}

/* How many payments of one batch the gas can be paid for. */
static size_t affordable(const struct x402_chain *chain, const struct sending *sending,
                         size_t max)
{
    while (max > 1 && cost_of(chain, max) > sending->wei_left)
        max--;
    return max;
}

/* ----------------------------------------------------------------------- sorting out
 */

/* A payment of a token without code would "succeed" and move nothing. */
static bool has_code(struct x402_chain *chain, const uint8_t asset20[20])
{
    char asset[X402_ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < chain->contracts_count; i++) {
        if (memcmp(chain->contracts[i], asset20, 20) == 0)
            return true;
    }
    if (chain->failed)
        return false;
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

/* What is being traced is soon known; the rest waits for its payer. */
static bool is_waiting(struct x402_chain *chain, const struct x402_settlement *payment)
{
    const struct x402_held *held = x402_held_find(chain, payment->payment_id);
    bool traced = x402_trace_waits(chain, payment->payment_id);
    bool waits = held != NULL && x402_held_waits(chain, held);

    chain->due_left += traced;
    chain->due_held += waits && !traced;
    return traced || waits;
}

/*
 * Expired, as far as the latest block goes: the chain says what became of it. Half of
 * the look-ups of a pass are kept for what is refused, for which callers may wait.
 */
static void give_up(struct x402_chain *chain, const struct x402_settlement *payment)
{
    struct x402_finding finding = {.sight = X402_SIGHT_REFUSED,
                                   .why = X402_REVERT_EXPIRED};

    if (chain->look_ups >= X402_LOOK_UPS_MAX / 2 || chain->failed ||
        x402_chain_stopping(chain)) {
        chain->due_left++;
        return;
    }
    enum x402_action done = x402_chain_act(chain, payment, &finding);
    chain->due_left += done == X402_ACTION_WAIT;
    chain->due_held += done == X402_ACTION_RETRY;
}

/* What no batch can hold, and what failed in one and passes by itself. */
static bool goes_alone(const struct x402_settlement *payment,
                       const struct x402_held *held)
{
    return (held != NULL && held->alone) || !x402_settlement_fits(payment);
}

enum lot {
    LOT_NOT_NOW,
    LOT_PROBE, /* refused, or a puzzle, before: by itself first, so that it spoils no
                  batch */
    LOT_ALONE, /* in a transaction of its own */
    LOT_ANY,
};

static enum lot lot_of(struct x402_chain *chain, const struct x402_settlement *payment)
{
    const struct x402_held *held = x402_held_find(chain, payment->payment_id);

    if (is_waiting(chain, payment))
        return LOT_NOT_NOW;
    if (is_expired(chain, payment)) {
        give_up(chain, payment);
        return LOT_NOT_NOW;
    }
    if (!has_code(chain, payment->asset20)) {
        chain->due_left++;
        return LOT_NOT_NOW;
    }
    if (held != NULL && (held->tries > 0 || held->puzzles > 0))
        return LOT_PROBE;
    return goes_alone(payment, held) ? LOT_ALONE : LOT_ANY;
}

static void act(struct x402_chain *chain, struct sending *sending, size_t index)
{
    const struct x402_settlement *payment = &sending->dues.payments[index];
    const struct x402_finding *finding = &sending->dues.findings[index];
    enum x402_action done = X402_ACTION_WAIT;

    if (chain->look_ups < X402_LOOK_UPS_MAX ||
        x402_plan(payment->state, finding->sight, finding->why) != X402_ACTION_LOOK_UP)
        done = x402_chain_act(chain, payment, finding);
    chain->due_left += done == X402_ACTION_WAIT;
    chain->due_held += done == X402_ACTION_RETRY;
}

/* Those that pass may be sent like any other. */
static void probe(struct x402_chain *chain, struct sending *sending,
                  const size_t *indexes, size_t count)
{
    x402_simulate_singly(chain, &sending->dues, indexes, count);
    for (size_t i = 0; i < count; i++) {
        size_t index = indexes[i];
        const struct x402_settlement *payment = &sending->dues.payments[index];
        const struct x402_held *held = x402_held_find(chain, payment->payment_id);
        if (sending->dues.findings[index].sight != X402_SIGHT_PASSES) {
            act(chain, sending, index);
            continue;
        }
        bool alone = goes_alone(payment, held);
        sending->not_in_batch[index] = alone;
        sending->not_by_itself[index] = !alone;
    }
}

static void sort_out(struct x402_chain *chain, struct sending *sending)
{
    size_t probes[PROBES_MAX], count = 0;

    for (size_t i = 0; i < sending->dues.count; i++) {
        enum lot lot = lot_of(chain, &sending->dues.payments[i]);
        sending->not_in_batch[i] = lot != LOT_ANY;
        sending->not_by_itself[i] = lot != LOT_ALONE;
        if (lot == LOT_PROBE && count < PROBES_MAX)
            probes[count++] = i;
        else
            chain->due_left += lot == LOT_PROBE;
    }
    if (count > 0 && !x402_chain_stopping(chain))
        probe(chain, sending, probes, count);
}

/* ------------------------------------------------------------------------- choosing */

static struct x402_batch_view view_of(const struct x402_chain *chain)
{
    int64_t clock = x402_clock_seconds();
    uint64_t now = clock > 0 ? (uint64_t)clock : 0;

    return (struct x402_batch_view){
        .now_seconds = now > chain->view.latest.time_seconds
                           ? now
                           : chain->view.latest.time_seconds,
        .gas_is_dear = chain->gas_is_dear,
    };
}

static bool cannot_wait(enum x402_batch_why why)
{
    return why == X402_BATCH_WAITED_FOR || why == X402_BATCH_DEADLINE;
}

/* The next batch of those that `taken` leaves; false when none goes now. */
static bool choose_next(const struct x402_chain *chain, struct sending *sending,
                        bool *taken, struct x402_batch_policy policy)
{
    struct x402_batch_view view = view_of(chain);
    struct x402_batch *batch = &sending->batches[sending->batches_count];

    policy.max = affordable(chain, sending, policy.max);
    if (sending->room == 0 || cost_of(chain, 1) > sending->wei_left ||
        !x402_batch_choose(batch, sending->dues.payments, taken, sending->dues.count,
                           &policy, &view))
        return false;
    if (sending->room <= WINDOW_RESERVE && !cannot_wait(batch->why))
        return false;
    sending->batches_count++;
    sending->room--;
    sending->wei_left -= cost_of(chain, batch->count);
    return true;
}

/*
 * What goes by itself goes first: it is little, or all where the contract is not. How
 * many are left over is counted by the caller.
 */
static void choose(const struct x402_chain *chain, struct sending *sending)
{
    while (choose_next(chain, sending, sending->not_by_itself,
                       x402_batch_policy_default(false)))
        ;
    while (choose_next(chain, sending, sending->not_in_batch,
                       x402_batch_policy_now(chain)))
        ;
}

/* -------------------------------------------------------------------------- sending */

/* Which nonce the next transaction takes, what it replaces there, and at what fee. */
static void take_nonce(const struct x402_chain *chain, struct x402_draft *draft)
{
    const struct x402_row *stored;

    draft->nonce = chain->next_nonce;
    draft->fee = chain->view.fee;
    if (!x402_gap_is_to_be_used(chain))
        return;
    draft->nonce = chain->gap.nonce;
    stored = x402_flights_row(&chain->flights, draft->nonce);
    draft->replaces_id = stored != NULL ? stored->id : 0;
    if (stored != NULL && !x402_fee_replacement(&draft->fee, &chain->policy,
                                                &stored->fee, &chain->view.fee))
        draft->fee = chain->view.fee;
}

static void note_sending(struct x402_chain *chain, const struct x402_draft *draft,
                         const struct x402_row *row, enum x402_batch_why why)
{
    char text[X402_PAYMENT_TEXT_SIZE], hash[65] = "";
    bool batch = draft->count > 1;
    struct x402_note_event event;

    x402_payments_text(text, chain, draft->payments, draft->count);
    x402_hex_encode(hash, row->hash32, 32);
    x402_note_begin(&event, chain, X402_NOTE_SUBMITTED);
    x402_note_put_payments(&event, chain, draft->payments, draft->count);
    x402_note_put_transaction(&event, row->hash32, 0);
    if (batch)
        x402_note_put_reason(&event, x402_batch_why_name(why));
    x402_note_tell(chain->options, &event,
                   "sending %s%s in 0x%s (nonce %" PRIu64 "%s%s)", text,
                   batch ? "," : "", hash, row->nonce, batch ? ", " : "", event.reason);
}

/*
 * Durable before it is sent: after a kill here the next start finds the row and sends
 * it. ERR_CONFLICT is a payment that is somebody else's now, or a lease that was lost;
 * or there is something else at a gap's nonce, which an empty transaction then fills.
 */
static bool store(struct x402_chain *chain, struct x402_draft *draft,
                  enum x402_batch_why why, struct x402_row *row)
{
    if (!x402_chain_hold(chain))
        return false;
    take_nonce(chain, draft);
    bool in_gap = draft->nonce != chain->next_nonce;
    enum x402_error error = x402_row_store(chain, row, draft);
    if (error == X402_ERR_CONFLICT && in_gap)
        chain->gap_unusable = true;
    else if (error == X402_ERR_CONFLICT)
        chain->leased = false; /* ask again before the next */
    else if (error != X402_OK)
        x402_chain_ledger_failed(chain);
    if (error != X402_OK)
        return false;
    chain->next_nonce += !in_gap;
    chain->gap_unusable = chain->gap_unusable || in_gap; /* it has one now */
    chain->under_way++;
    x402_pulse_measure(chain->pulse, X402_MEASURE_BATCH, draft->count);
    note_sending(chain, draft, row, why);
    return true;
}

/* The payments of a batch that pass. What becomes of the others, the plan says. */
static size_t take_passing(struct x402_chain *chain, struct sending *sending,
                           const struct x402_batch *batch,
                           const struct x402_settlement **payments)
{
    const struct x402_dues *dues = &sending->dues;
    size_t count = 0;

    for (size_t i = 0; i < batch->count; i++) {
        size_t index = batch->indexes[i];
        const struct x402_settlement *payment = &dues->payments[index];
        const struct x402_finding *finding = &dues->findings[index];
        if (x402_plan(payment->state, finding->sight, finding->why) !=
            X402_ACTION_SEND) {
            act(chain, sending, index);
            continue;
        }
        x402_puzzle_forget(chain, payment);
        payments[count++] = payment;
    }
    return count;
}

static void send_all(struct x402_chain *chain, struct sending *sending)
{
    const struct x402_settlement *payments[X402_BATCH_MAX];
    struct x402_row rows[X402_WINDOW];
    const struct x402_row *list[X402_WINDOW];
    size_t stored = 0;
    bool going = !x402_chain_stopping(chain);

    X402_FAILPOINT(settler_simulated);
    for (size_t i = 0; i < sending->batches_count; i++) {
        struct x402_draft draft = {.payments = payments};
        draft.count = take_passing(chain, sending, &sending->batches[i], payments);
        if (draft.count == 0)
            continue;
        going = going && store(chain, &draft, sending->batches[i].why, &rows[stored]);
        chain->due_left += going ? 0 : draft.count;
        if (!going)
            continue;
        list[stored] = &rows[stored];
        stored++;
    }
    X402_FAILPOINT(settler_stored);
    x402_rows_send(chain, list, stored);
    for (size_t i = 0; i < stored; i++)
        x402_row_release(&rows[i]);
}

/* Due, to be sent, and in no batch of this pass. */
static size_t left_over(const struct sending *sending)
{
    size_t count = 0;

    for (size_t i = 0; i < sending->dues.count; i++)
        count += !sending->not_in_batch[i] || !sending->not_by_itself[i];
    return count;
}

static void send_dues(struct x402_chain *chain, struct sending *sending)
{
    sort_out(chain, sending);
    if (!chain->failed && measure(chain, sending))
        choose(chain, sending);
    chain->due_left += left_over(sending);
    if (sending->batches_count == 0)
        return;
    x402_simulate(chain, &sending->dues, sending->batches, sending->batches_count);
    if (x402_funds_check(chain, &sending->dues, sending->batches,
                         sending->batches_count))
        send_all(chain, sending);
}

void x402_due_send(struct x402_chain *chain)
{
    struct sending *sending = sending_open(chain);

    if (sending == NULL)
        return;
    if (sending->dues.count > 0) {
        x402_contract_look(chain);
        send_dues(chain, sending);
        x402_puzzles_judge(chain);
        x402_refused_tell(chain);
    }
    sending_close(sending);
}

/* ------------------------------------------------------------------- before a pass */

/* By our own clock, which is all there is before a node is asked. */
static bool may_go_now(struct x402_chain *chain, struct sending *sending)
{
    struct x402_batch_policy policy = x402_batch_policy_now(chain);
    struct x402_batch_view view = view_of(chain);
    struct x402_batch *batch = &sending->batches[0];

    for (size_t i = 0; i < sending->dues.count; i++) {
        const struct x402_settlement *payment = &sending->dues.payments[i];
        const struct x402_held *held = x402_held_find(chain, payment->payment_id);
        if (held != NULL && !x402_held_waits(chain, held))
            return true;
        sending->not_in_batch[i] = held != NULL;
    }
    view.gas_is_dear = false;
    return x402_batch_choose(batch, sending->dues.payments, sending->not_in_batch,
                             sending->dues.count, &policy, &view);
}

bool x402_due_is_ready(struct x402_chain *chain, bool *out)
{
    struct sending *sending = sending_open(chain);

    if (sending == NULL)
        return false;
    *out = sending->dues.count > 0 && may_go_now(chain, sending);
    sending_close(sending);
    return true;
}
