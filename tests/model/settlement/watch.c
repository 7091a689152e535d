#include "model.h"

#define RECEIPTS_MILLISECONDS 5000
#define FINALITY_MILLISECONDS 5000
#define FINALITY_SHAKEN_MILLISECONDS 1000

/* ------------------------------------------------------------------------------ trace
 */

bool watch_safe(struct world *world, struct block *out)
{
    struct pass *pass = &world->pass;
    struct view view;

    if (!pass->safe_asked) {
        pass->safe_asked = true;
        pass->safe_known = node_ask(world, &view);
        if (pass->safe_known) {
            uint32_t number = view_safe(world, &view);
            const struct state *state = view_state(world, &view, number);
            pass->safe = (struct block){number, state->id, state->time};
        }
    }
    *out = pass->safe;
    return pass->safe_known;
}

enum used { USED_UNKNOWN, USED_YES, USED_NO };

/* By the block's hash: a node that does not have it does not say. */
static enum used ask_used(struct world *world, int index, const struct block *block)
{
    struct view view;

    if (!node_ask(world, &view))
        return USED_UNKNOWN;
    const struct state *state = view_block(world, &view, block);
    if (state == NULL)
        return USED_UNKNOWN;
    return state->uses[index] == UNUSED ? USED_NO : USED_YES;
}

/* Unused, but only where its transaction's nonce is spent in the same block. */
static bool may_come_yet(struct world *world, int index)
{
    const struct payment *payment = &world->ledger.payments[index];
    struct view view;

    if (payment->state.money != X402_MONEY_SUBMITTED || world->rules.trusts_laggards)
        return false;
    uint32_t nonce = world->chain.transactions[payment->row - 1].nonce;
    if (!node_ask(world, &view))
        return true;
    const struct state *state = view_block(world, &view, &world->pass.latest);
    return state == NULL || state->nonce <= nonce;
}

static enum x402_sight untraced(struct world *world, int index)
{
    struct held *held = &world->memory.held[index];

    held->look_at = milliseconds(world) + 1000;
    return ++held->looks < X402_UNTRACED_MAX ? X402_SIGHT_UNKNOWN
                                             : X402_SIGHT_USED_UNTRACED;
}

static enum x402_sight unless_unsafe(struct world *world, int index, uint32_t block,
                                     enum x402_sight sight)
{
    struct block safe;

    return watch_safe(world, &safe) && block <= safe.number &&
                   ask_used(world, index, &safe) == USED_YES
               ? sight
               : X402_SIGHT_UNSAFE;
}

static enum x402_sight trace_use(struct world *world, int index, struct evidence *out)
{
    struct view view;

    if (!node_ask(world, &view))
        return X402_SIGHT_UNKNOWN;
    const struct state *state = view_state(world, &view, view.head);
    enum use use = (enum use)state->uses[index];
    uint32_t block = state->use_blocks[index];
    int transaction = state->use_transactions[index];
    if (use == UNUSED || world->ledger.payments[index].untraceable)
        return untraced(world, index); /* logs lag the state */
    if (use != PAID)
        return unless_unsafe(world, index, block,
                             use == CANCELED ? X402_SIGHT_CANCELED
                                             : X402_SIGHT_USED_OTHERWISE);
    if (!node_ask(world, &view))
        return X402_SIGHT_UNKNOWN;
    const struct inclusion *receipt = view_receipt(world, &view, transaction);
    if (receipt == NULL || !receipt->succeeded)
        return X402_SIGHT_UNKNOWN;
    /* On another branch it was another one that used it: this one says nothing. */
    if ((receipt->paid >> index & 1) == 0)
        return X402_SIGHT_UNKNOWN;
    *out = (struct evidence){transaction, receipt->block, receipt->id};
    return X402_SIGHT_USED_FOR_US;
}

enum x402_sight watch_trace(struct world *world, int index, struct evidence *out)
{
    int64_t end = world->ledger.payments[index].valid_before;
    struct block latest = world->pass.latest, safe;

    if (world->pass.behind || world->memory.held[index].look_at > milliseconds(world))
        return X402_SIGHT_UNKNOWN;
    bool ended = watch_safe(world, &safe) && safe.time >= end;
    switch (ask_used(world, index, ended ? &safe : &latest)) {
    case USED_UNKNOWN:
        return X402_SIGHT_UNKNOWN;
    case USED_YES:
        return trace_use(world, index, out);
    case USED_NO:
        break;
    }
    if (ended)
        return X402_SIGHT_EXPIRED;
    if (may_come_yet(world, index))
        return X402_SIGHT_UNKNOWN;
    return latest.time < end ? X402_SIGHT_UNUSED : X402_SIGHT_UNSAFE;
}

/* -------------------------------------------------------------------------- receipts
 */

/* Why it was not paid: what the same call says at the end of the block; of a batch's
 * item, what the contract says. */
static enum x402_revert why_not(struct world *world, int index,
                                const struct inclusion *receipt)
{
    struct view view;

    if (!node_ask(world, &view))
        return X402_REVERT_NONE;
    const struct state *state = view_state(world, &view, receipt->block);
    return state == NULL ? X402_REVERT_NONE
                         : chain_refusal(state, &world->ledger.payments[index], index,
                                         state->time);
}

static struct finding finding_of(struct world *world, int row, int index,
                                 const struct inclusion *receipt)
{
    bool is_in = world->ledger.rows[row].payments >> index & 1;
    bool is_batch = world->chain.transactions[row].is_batch;
    struct finding finding = {.sight = X402_SIGHT_PAID,
                              .evidence = {row, receipt->block, receipt->id}};

    if (!is_in) {
        finding.sight = X402_SIGHT_GONE; /* its nonce is spent by one without it */
    } else if (!receipt->succeeded) {    /* of a batch nobody is to blame */
        finding.sight = X402_SIGHT_REVERTED;
        finding.cost_gas = !is_batch;
        finding.why = is_batch ? X402_REVERT_NONE : why_not(world, index, receipt);
    } else if ((receipt->paid >> index & 1) == 0 && !world->rules.proof_by_status) {
        finding.sight = X402_SIGHT_UNPROVEN;
        finding.cost_gas = receipt->tried >> index & 1;
        if (finding.cost_gas)
            finding.why = why_not(world, index, receipt);
    }
    return finding;
}

static void resolve_included(struct world *world, const struct flight *flight, int row,
                             struct inclusion receipt)
{
    for (int i = 0; i < PAYMENTS; i++) {
        if ((flight->payments >> i & 1) == 0)
            continue;
        struct finding finding = finding_of(world, row, i, &receipt);
        (void)settler_act(world, i, &finding);
    }
}

static void resolve_gone(struct world *world, const struct flight *flight)
{
    struct sent *sent = settler_sent(world, flight->nonce);

    if (sent->gone_since < 0)
        sent->gone_since = milliseconds(world);
    if (milliseconds(world) - sent->gone_since < BELIEVE_MILLISECONDS)
        return;
    for (int i = 0; i < PAYMENTS; i++) {
        struct finding finding = {.sight = X402_SIGHT_GONE};
        if (flight->payments >> i & 1)
            (void)settler_act(world, i, &finding);
    }
}

/* True when every row's receipt was asked for and is not there. */
static bool resolve(struct world *world, const struct flight *flight)
{
    size_t absent = 0;

    for (size_t i = 0; i < flight->rows_count; i++) {
        struct view view;
        if (!node_ask(world, &view)) {
            world->pass.failed = true;
            continue;
        }
        const struct inclusion *receipt = view_receipt(world, &view, flight->rows[i]);
        if (receipt != NULL) {
            resolve_included(world, flight, flight->rows[i], *receipt);
            return false;
        }
        absent++;
    }
    if (absent < flight->rows_count)
        return false;
    if (flight->nonce < world->pass.nonce)
        resolve_gone(world, flight);
    return true;
}

/* --------------------------------------------------------------------------- pending
 */

static const struct x402_fee *fee_of(const struct world *world, int row)
{
    return &world->chain.transactions[row].fee;
}

/* Until the soonest end of what is in this nonce or waits behind it. */
static int64_t left_seconds(const struct world *world, uint32_t nonce)
{
    int64_t left = 0;

    for (size_t i = 0; i < world->ledger.payments_count; i++) {
        const struct payment *payment = &world->ledger.payments[i];
        if (!payment->exists || payment->state.money != X402_MONEY_SUBMITTED ||
            world->chain.transactions[payment->row - 1].nonce < nonce)
            continue;
        int64_t own = payment->valid_before - world->pass.latest.time;
        if (own > 0 && (left == 0 || own < left))
            left = own;
    }
    return left;
}

static uint16_t payments_of(const struct world *world, int row)
{
    uint16_t payments = 0;

    for (size_t i = 0; i < world->ledger.payments_count; i++) {
        const struct payment *payment = &world->ledger.payments[i];
        if (payment->exists && payment->state.money == X402_MONEY_SUBMITTED &&
            payment->row == row + 1)
            payments |= (uint16_t)(1u << i);
    }
    return payments;
}

static uint16_t first_of(uint16_t payments, int count)
{
    uint16_t first = 0;

    for (int i = 0; i < PAYMENTS && count > 0; i++) {
        first |= (uint16_t)(payments & (1u << i));
        count -= payments >> i & 1;
    }
    return first;
}

/* The newest row with payments that are awaited: after a reorganization, or for what a
 * smaller one left out, that is not the newest of all. */
static int awaited_row(const struct world *world, const struct flight *flight)
{
    size_t i = flight->rows_count;

    while (i > 1 && payments_of(world, flight->rows[i - 1]) == 0)
        i--;
    return flight->rows[i - 1];
}

static enum x402_pending_action plan_flight(struct world *world,
                                            const struct flight *flight, int newest,
                                            struct x402_fee *fee)
{
    const struct pass *pass = &world->pass;
    const struct sent *sent = settler_sent(world, flight->nonce);
    bool is_newest = sent->row == newest + 1 && sent->at_milliseconds >= 0;
    enum x402_send last = is_newest ? sent->last : X402_SEND_UNKNOWN;
    bool is_below = fee_of(world, newest)->max_fee_wei < pass->base_fee;
    bool helps = flight->nonce == pass->nonce || is_below || last == X402_SEND_FEE_LOW;
    uint16_t payments = world->ledger.rows[newest].payments;

    *fee = *fee_of(world, newest);
    struct x402_pending pending = {
        .rows = (unsigned)flight->rows_count,
        .payments = (unsigned)__builtin_popcount(payments),
        .age_seconds = clock_seconds(world) - world->ledger.rows[newest].submitted_at,
        .sent_milliseconds =
            is_newest ? milliseconds(world) - sent->at_milliseconds : -1,
        .last = last,
        .stuck_seconds = x402_plan_stuck_seconds((unsigned)flight->rows_count, is_below,
                                                 left_seconds(world, flight->nonce)),
        .resend_milliseconds = RESEND_MILLISECONDS,
        .fee_can_rise =
            helps && pass->quoted &&
            x402_fee_replacement(fee, &fee_policy, fee_of(world, newest), &pass->fee),
    };
    return world->rules.pending(&pending);
}

static int replace(struct world *world, const struct flight *flight, int newest,
                   const struct x402_fee *fee, bool half)
{
    int from = awaited_row(world, flight);
    int size = __builtin_popcount(world->ledger.rows[newest].payments);
    uint16_t payments = payments_of(world, from);

    if (half)
        payments = first_of(payments, size / 2);
    world->counts.replaced++;
    world->counts.halved += half;
    return settler_store(world, flight->nonce, fee, from, payments,
                         __builtin_popcount(payments) > 1);
}

/* The row to send; -1 for none. */
static int push(struct world *world, const struct flight *flight, bool absent)
{
    struct sent *sent = settler_sent(world, flight->nonce);
    int newest = flight->rows[flight->rows_count - 1];
    struct x402_fee fee;

    if (flight->nonce < world->pass.nonce)
        return -1;
    sent->gone_since = -1;
    if (sent->at_milliseconds >= 0 && sent->row == newest + 1 && !absent)
        return -1; /* not known to be waiting */
    switch (plan_flight(world, flight, newest, &fee)) {
    case X402_PENDING_RESEND:
        return newest;
    case X402_PENDING_REPLACE:
        return replace(world, flight, newest, &fee, false);
    case X402_PENDING_SHRINK:
        return replace(world, flight, newest, &fee, true);
    case X402_PENDING_WAIT:
        break;
    }
    return -1;
}

static bool receipts_are_due(struct world *world)
{
    struct memory *memory = &world->memory;
    uint32_t id = world->pass.latest.id;

    if (id == memory->receipts_id &&
        milliseconds(world) - memory->receipts_at < RECEIPTS_MILLISECONDS)
        return false;
    memory->receipts_id = id;
    memory->receipts_at = milliseconds(world);
    return true;
}

void watch_flights(struct world *world)
{
    struct pass *pass = &world->pass;
    bool absent[WINDOW * 4] = {false};
    int rows[WINDOW * 4];
    size_t count = 0;

    if (pass->flights_count > 0 && receipts_are_due(world)) {
        for (size_t i = 0; i < pass->flights_count; i++)
            absent[i] = resolve(world, &pass->flights[i]);
    }
    for (size_t i = 0; i < pass->flights_count; i++) {
        int row = push(world, &pass->flights[i], absent[i]);
        if (row >= 0)
            rows[count++] = row;
    }
    settler_send(world, rows, count);
}

/* -------------------------------------------------------------------------- finality
 */

/* While its nonce is free the same bytes are sent again. */
static bool send_again(struct world *world, const struct payment *payment)
{
    if (payment->row == 0)
        return false;
    int row = payment->row - 1;
    uint32_t nonce = world->chain.transactions[row].nonce;
    struct sent *sent = settler_sent(world, nonce);
    bool is_free = nonce >= world->pass.nonce;
    bool recently = sent->row != 0 && sent->at_milliseconds >= 0 &&
                    milliseconds(world) - sent->at_milliseconds < RESEND_MILLISECONDS;

    if (is_free && !recently)
        settler_send(world, &row, 1);
    return is_free;
}

/* Its nonce is free, and it does not get in: it is due, in another transaction. */
static bool is_displaced(struct world *world, const struct payment *payment)
{
    uint32_t nonce = world->chain.transactions[payment->row - 1].nonce;
    struct sent *sent = settler_sent(world, nonce);

    if (sent->gone_since < 0)
        sent->gone_since = milliseconds(world);
    return milliseconds(world) - sent->gone_since >= X402_DISPLACED_MILLISECONDS;
}

/* A node that has not got as far as its block cannot say that it is not there. */
static bool can_say(const struct world *world, const struct payment *payment)
{
    return (!world->pass.behind &&
            world->pass.latest.number >= payment->settled_block) ||
           world->rules.trusts_laggards;
}

static void look_again(struct world *world, int index)
{
    const struct payment *payment = &world->ledger.payments[index];
    struct finding finding = {.sight = X402_SIGHT_GONE};

    world->pass.displaced++;
    if (!can_say(world, payment))
        return;
    if (!send_again(world, payment) ||
        (is_displaced(world, payment) && !world->rules.waits_for_the_displaced))
        (void)settler_act(world, index, &finding);
}

/* Of each transaction one authorization is looked up at the safe block itself. */
static bool is_anchored(struct world *world, int index, const struct block *safe)
{
    const struct ledger *ledger = &world->ledger;
    int first = 0;

    while (!ledger->payments[first].exists ||
           ledger->payments[first].state.money != X402_MONEY_SETTLED ||
           ledger->payments[first].settled_in != ledger->payments[index].settled_in)
        first++;
    return ask_used(world, first, safe) == USED_YES;
}

static void forget_absence(struct world *world, const struct payment *payment)
{
    if (payment->row != 0)
        settler_sent(world, world->chain.transactions[payment->row - 1].nonce)
            ->gone_since = -1;
}

static void check_settled(struct world *world, int index, const struct block *safe)
{
    const struct payment *payment = &world->ledger.payments[index];
    struct view view;

    if (!node_ask(world, &view)) {
        world->pass.failed = true;
        return;
    }
    const struct inclusion *found = view_receipt(world, &view, payment->settled_in);
    if (found == NULL || (found->paid >> index & 1) == 0) {
        look_again(world, index);
        return;
    }
    struct finding finding = {
        .sight = X402_SIGHT_PAID,
        .evidence = {payment->settled_in, found->block, found->id}};
    bool moved = finding.evidence.block != payment->settled_block;
    bool final = finding.evidence.block <= safe->number &&
                 (is_anchored(world, index, safe) || world->rules.trusts_laggards);
    forget_absence(world, payment);
    world->pass.displaced += moved;
    if ((moved || finding.evidence.id != payment->settled_id) &&
        !ledger_advance(world, index, X402_EVENT_SETTLED, &finding))
        return;
    if (final)
        (void)ledger_advance(world, index, X402_EVENT_FINAL, &finding);
}

static void check_all(struct world *world, bool shaken, const struct block *safe)
{
    world->pass.displaced = 0;
    for (int i = 0; i < (int)world->ledger.payments_count; i++) {
        const struct payment *payment = &world->ledger.payments[i];
        if (!payment->exists || payment->state.money != X402_MONEY_SETTLED ||
            (!shaken && payment->settled_block > safe->number))
            continue;
        if (world->rules.final_unseen && payment->settled_block <= safe->number)
            (void)ledger_advance(world, i, X402_EVENT_FINAL, NULL);
        else
            check_settled(world, i, safe);
    }
}

void watch_finality(struct world *world)
{
    struct memory *memory = &world->memory;
    bool shaken = memory->rechecking || memory->gap_since >= 0;
    int64_t every = shaken ? FINALITY_SHAKEN_MILLISECONDS : FINALITY_MILLISECONDS;
    struct block safe = {0};

    if (milliseconds(world) - memory->finality_at < every || world->pass.behind)
        return;
    bool known = watch_safe(world, &safe);
    if (world->rules.final_when_included)
        safe = world->pass.latest;
    if (shaken || known)
        check_all(world, shaken, &safe);
    if (shaken)
        memory->rechecking = world->pass.displaced > 0 || world->pass.failed;
    if (known)
        memory->finality_at = milliseconds(world);
}
