#include "model.h"

#include <string.h>

const struct x402_fee_policy fee_policy = {100000, 10000000, UINT64_C(150000000)};

int64_t milliseconds(const struct world *world)
{
    return world->now * 1000;
}

int64_t clock_seconds(const struct world *world)
{
    return world->now + world->troubles.clock_ahead;
}

/* ---------------------------------------------------------------------------- memory
 */

void settler_forget(struct world *world)
{
    struct memory *memory = &world->memory;

    memset(memory->sent, 0, memory->sent_end * sizeof memory->sent[0]);
    memset(memory->held, 0, sizeof memory->held);
    memory->sent_end = 0;
    memory->gap_since = memory->behind_since = -1;
    memory->finality_at = memory->receipts_at = 0;
    memory->receipts_id = 0;
    memory->dear = memory->rechecking = memory->gap_unusable = memory->filled = false;
    memory->highest = (struct block){0};
}

struct sent *settler_sent(struct world *world, uint32_t nonce)
{
    struct memory *memory = &world->memory;

    while (memory->sent_end <= nonce)
        memory->sent[memory->sent_end++] = (struct sent){.gone_since = -1};
    return &memory->sent[nonce];
}

static void refuse(struct world *world, int index, const struct finding *finding)
{
    struct held *held = &world->memory.held[index];
    const struct payment *payment = &world->ledger.payments[index];
    int64_t left = (payment->valid_before - world->pass.latest.time) * 1000;
    bool over = left <= 0;

    held->is_held = true;
    held->tries = over && !held->over ? 1 : held->tries + 1;
    held->why = finding->why;
    held->cost_gas = held->cost_gas || finding->cost_gas;
    held->over = over;
    struct x402_refused refused = {.why = held->why,
                                   .tries = held->tries,
                                   .cost_gas = held->cost_gas,
                                   .left_milliseconds = left};
    held->try_at = milliseconds(world) + world->rules.retry(&refused);
}

/* ---------------------------------------------------------------------------- acting
 */

/* What the plan says, but for sending and making final. */
enum x402_action settler_act(struct world *world, int index, struct finding *finding)
{
    struct x402_state state = world->ledger.payments[index].state;
    enum x402_action action = world->rules.plan(state, finding->sight, finding->why);
    bool done = false;

    if (action == X402_ACTION_LOOK_UP) {
        finding->sight = watch_trace(world, index, &finding->evidence);
        action = world->rules.plan(state, finding->sight, finding->why);
    }
    SAY(world, "  payment %d: sight %d, why %d: action %d", index, finding->sight,
        finding->why, action);
    if (action == X402_ACTION_SETTLE)
        done = ledger_advance(world, index, X402_EVENT_SETTLED, finding);
    else if (action == X402_ACTION_FAIL)
        done = ledger_advance(world, index, X402_EVENT_FAILED, finding);
    else if (action == X402_ACTION_UNSETTLE)
        done = ledger_advance(world, index, X402_EVENT_UNSETTLED, finding);
    if (done && action != X402_ACTION_UNSETTLE)
        world->memory.held[index] = (struct held){0};
    if (action == X402_ACTION_RETRY ||
        (action == X402_ACTION_UNSETTLE && finding->cost_gas)) {
        refuse(world, index, finding);
        done = true;
    }
    return done ? action : X402_ACTION_WAIT;
}

/* --------------------------------------------------------------------------- flights
 */

static struct flight *flight_of(struct pass *pass, uint32_t nonce)
{
    size_t place = pass->flights_count;

    for (size_t i = 0; i < pass->flights_count; i++) {
        if (pass->flights[i].nonce == nonce)
            return &pass->flights[i];
    }
    while (place > 0 && pass->flights[place - 1].nonce > nonce) {
        pass->flights[place] = pass->flights[place - 1];
        place--;
    }
    pass->flights_count++;
    pass->flights[place] = (struct flight){.nonce = nonce};
    return &pass->flights[place];
}

static void load_rows(struct world *world, struct flight *flight)
{
    for (size_t i = 0; i < world->chain.transactions_count; i++) {
        if (world->chain.transactions[i].nonce == flight->nonce &&
            world->ledger.rows[i].submitted_at != 0 && ledger_is_open(world, (int)i) &&
            flight->rows_count < X402_PENDING_ROWS_MAX)
            flight->rows[flight->rows_count++] = (int)i;
    }
}

/* Everything signed for each nonce that payments are awaited in. */
void settler_load(struct world *world)
{
    struct pass *pass = &world->pass;

    pass->flights_count = 0;
    for (size_t i = 0; i < world->ledger.payments_count; i++) {
        const struct payment *payment = &world->ledger.payments[i];
        if (!payment->exists || payment->state.money != X402_MONEY_SUBMITTED)
            continue;
        uint32_t nonce = world->chain.transactions[payment->row - 1].nonce;
        flight_of(pass, nonce)->payments |= (uint16_t)(1u << i);
    }
    for (size_t i = 0; i < pass->flights_count; i++)
        load_rows(world, &pass->flights[i]);
}

/* --------------------------------------------------------------- signing and sending
 */

/* Stored before it is sent. -1 when the ledger says that it was not. */
int settler_store(struct world *world, uint32_t nonce, const struct x402_fee *fee,
                  int replaces, uint16_t payments, bool is_batch)
{
    int row = chain_sign(world, nonce, fee, payments, is_batch);

    SAY(world, "  signed transaction %d: nonce %u, payments %03x, at most %llu", row,
        nonce, payments, (unsigned long long)fee->max_fee_wei);
    return ledger_submit(world, row, replaces, payments) ? row : -1;
}

void settler_send(struct world *world, const int *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t nonce = world->chain.transactions[rows[i]].nonce;
        enum x402_send send = node_send(world, rows[i]);
        struct sent *sent = settler_sent(world, nonce);
        sent->row = rows[i] + 1;
        sent->last = send;
        sent->at_milliseconds = send == X402_SEND_UNKNOWN ? -1 : milliseconds(world);
    }
}

/* ------------------------------------------------------------------------------ look
 */

/* Of every fifth of the last hundred blocks. */
static uint64_t median_before(const struct world *world, const struct view *view)
{
    uint64_t fees[20];
    size_t count = 0;

    for (uint32_t i = 1; i < 100 && i < view->head; i += 5)
        fees[count++] = view_state(world, view, view->head - i)->base_fee;
    return x402_fee_median(fees, count);
}

/* Another block where one was seen, or none for long: the chain went back. */
static void watch_height(struct world *world, const struct view *view)
{
    struct memory *memory = &world->memory;
    struct pass *pass = &world->pass;
    const struct state *before = view_state(world, view, memory->highest.number);

    if (memory->highest.id != 0 && before != NULL && before->id != memory->highest.id)
        memory->rechecking = true;
    if (pass->latest.number >= memory->highest.number)
        memory->behind_since = -1;
    else if (memory->behind_since < 0)
        memory->behind_since = milliseconds(world);
    pass->behind = memory->behind_since >= 0 &&
                   milliseconds(world) - memory->behind_since < BELIEVE_MILLISECONDS &&
                   !world->rules.trusts_laggards;
    if (pass->behind)
        return;
    memory->rechecking = memory->rechecking || memory->behind_since >= 0;
    memory->behind_since = -1;
    memory->highest = pass->latest;
}

static bool look(struct world *world)
{
    struct pass *pass = &world->pass;
    struct view view;
    const struct state *state;

    if (!node_ask(world, &view))
        return false;
    state = view_state(world, &view, view.head);
    pass->latest = (struct block){view.head, state->id, state->time};
    pass->base_fee = state->base_fee;
    pass->median = median_before(world, &view);
    pass->quoted = x402_fee_quote(&pass->fee, &fee_policy, pass->base_fee, NULL, 0);
    world->memory.dear =
        x402_fee_is_dear(pass->base_fee, pass->median, world->memory.dear);
    if (!node_ask(world, &view))
        return false;
    watch_height(world, &view);
    if (!node_ask(world, &view))
        return false;
    pass->nonce = view_state(world, &view, view.head)->nonce;
    if (!node_ask(world, &view))
        return false;
    pass->nonce_pending =
        chain_pending_nonce(world, view_state(world, &view, view.head)->nonce);
    return true;
}

static void watch_gap(struct world *world, const struct x402_nonces *nonces)
{
    struct memory *memory = &world->memory;
    struct pass *pass = &world->pass;
    uint64_t nonce = 0;
    bool is_gap = x402_plan_gap(&nonce, nonces);

    pass->gap_is_blocked = !is_gap && world->rules.blocked(&nonce, nonces);
    pass->has_gap = is_gap || pass->gap_is_blocked;
    pass->gap_nonce = (uint32_t)nonce;
    bool moved = pass->gap_nonce != memory->gap_nonce;
    if (!pass->has_gap) {
        memory->gap_since = -1;
        return;
    }
    if (memory->gap_since < 0 || pass->gap_is_blocked != memory->gap_was_blocked ||
        (pass->gap_is_blocked && moved))
        memory->gap_since = milliseconds(world);
    memory->gap_unusable = memory->gap_unusable && !moved;
    memory->gap_nonce = pass->gap_nonce;
    memory->gap_was_blocked = pass->gap_is_blocked;
    memory->rechecking = memory->rechecking || is_gap;
}

/* The nonce to begin with, and whether one before it is missing or stuck. */
static void choose_nonce(struct world *world)
{
    struct pass *pass = &world->pass;
    uint64_t live[WINDOW * 4 + 1];
    struct x402_nonces nonces = {
        .stored_next = ledger_nonce_next(world),
        .chain_latest = pass->nonce,
        .chain_pending = pass->nonce_pending,
        .live = live,
        .live_count = pass->flights_count,
    };

    for (size_t i = 0; i < pass->flights_count; i++)
        live[i] = pass->flights[i].nonce;
    if (world->memory.filled)
        live[nonces.live_count++] = world->memory.fill_nonce;
    pass->next_nonce = (uint32_t)x402_plan_nonce(&nonces);
    watch_gap(world, &nonces);
}

/* ------------------------------------------------------------------------------ pass
 */

static bool has_work(const struct world *world)
{
    for (size_t i = 0; i < world->ledger.payments_count; i++) {
        const struct payment *payment = &world->ledger.payments[i];
        enum x402_money money = payment->state.money;
        if (payment->exists &&
            (money == X402_MONEY_DUE || money == X402_MONEY_SETTLED ||
             money == X402_MONEY_SUBMITTED))
            return true;
    }
    return false;
}

void settler_pass(struct world *world)
{
    struct pass *pass = &world->pass;

    if (!has_work(world))
        return;
    world->counts.passes++;
    pass->failed = false;
    settler_load(world);
    pass->safe_asked = pass->safe_known = false;
    if (!look(world))
        return;
    choose_nonce(world);
    watch_flights(world);
    settler_load(world);
    send_due(world);
    send_fill(world);
    if (!pass->failed)
        watch_finality(world);
}
