#include "model.h"

#include <string.h>

/* ------------------------------------------------------------------------ simulation
 */

static bool is_in_pool(const struct world *world, int index)
{
    const struct chain *chain = &world->chain;

    for (uint32_t i = chain_head(world)->nonce; chain->pool[i] != 0; i++) {
        if (chain->transactions[chain->pool[i] - 1].payments >> index & 1)
            return true;
    }
    return false;
}

struct finding settler_simulate(struct world *world, int index)
{
    const struct payment *payment = &world->ledger.payments[index];
    struct finding finding = {.sight = X402_SIGHT_UNKNOWN};
    struct view view;

    if (!node_ask(world, &view)) {
        world->pass.failed = true;
        return finding;
    }
    const struct state *state = view_state(world, &view, view.head);
    int64_t time = world->troubles.pending_calls && world->now > state->time
                       ? world->now
                       : state->time;
    finding.why = chain_refusal(state, payment, index, time);
    if (finding.why == X402_REVERT_NONE && world->troubles.pending_calls &&
        is_in_pool(world, index))
        finding.why = X402_REVERT_USED;
    finding.sight =
        finding.why == X402_REVERT_NONE ? X402_SIGHT_PASSES : X402_SIGHT_REFUSED;
    return finding;
}

/* ----------------------------------------------------------------------------- funds
 */

static int32_t claimed(const struct world *world, int payer, uint16_t passed)
{
    const struct ledger *ledger = &world->ledger;
    int32_t sum = 0;

    for (size_t i = 0; i < ledger->payments_count; i++) {
        const struct payment *payment = &ledger->payments[i];
        if (payment->exists && payment->payer == payer &&
            (payment->state.money == X402_MONEY_SUBMITTED || (passed >> i & 1)))
            sum += payment->value;
    }
    return sum;
}

/* Those that pass alone must also be paid beside the payer's others. */
static void check_funds(struct world *world, int index, uint16_t passed,
                        struct finding *finding)
{
    const struct payment *payment = &world->ledger.payments[index];
    int32_t others = claimed(world, payment->payer, passed);
    struct view view;

    if (others == 0)
        return;
    if (!node_ask(world, &view)) {
        finding->sight = X402_SIGHT_UNKNOWN;
        return;
    }
    if (others + payment->value <=
        view_state(world, &view, view.head)->balances[payment->payer])
        return;
    /* Our own arithmetic fails nothing that somebody waits for. */
    finding->sight = payment->state.delivery == X402_DELIVERY_OWED ? X402_SIGHT_UNKNOWN
                                                                   : X402_SIGHT_REFUSED;
    finding->why = X402_REVERT_FUNDS;
}

/* --------------------------------------------------------------------------- sending
 */

static enum x402_fill plan_fill(const struct world *world, bool sending)
{
    const struct pass *pass = &world->pass;
    const struct memory *memory = &world->memory;
    bool awaited =
        pass->flights_count > 0 || memory->rechecking || memory->gap_unusable;

    if (memory->gap_since < 0)
        return X402_FILL_WAIT;
    return world->rules.fill(pass->gap_is_blocked,
                             milliseconds(world) - memory->gap_since, sending, awaited);
}

/* More than what is stored for the nonce offered. */
static struct x402_fee fee_over(const struct world *world, int stored)
{
    struct x402_fee fee = world->pass.fee;

    if (stored >= 0 &&
        !x402_fee_replacement(&fee, &fee_policy, &world->chain.transactions[stored].fee,
                              &world->pass.fee))
        fee = world->pass.fee;
    return fee;
}

static uint32_t take_nonce(struct world *world, int *replaces, struct x402_fee *fee)
{
    struct pass *pass = &world->pass;

    *replaces = -1;
    *fee = pass->fee;
    if (world->memory.gap_unusable || plan_fill(world, true) != X402_FILL_USE)
        return pass->next_nonce++;
    *replaces = ledger_newest_row(world, pass->gap_nonce);
    *fee = fee_over(world, *replaces);
    world->memory.gap_unusable = true; /* it has one now */
    world->counts.filled++;
    SAY(world, "  fills nonce %u with payments", pass->gap_nonce);
    return pass->gap_nonce;
}

/* An empty transaction is remembered, and not stored. */
static void send_empty(struct world *world, uint32_t nonce, struct x402_fee fee)
{
    struct memory *memory = &world->memory;

    memory->fill = chain_sign(world, nonce, &fee, 0, false);
    memory->fill_nonce = nonce;
    memory->filled = true;
    memory->fill_signed = clock_seconds(world);
    world->counts.filled++;
    SAY(world, "  fills nonce %u with nothing", nonce);
    settler_send(world, &memory->fill, 1);
}

static void push_empty(struct world *world)
{
    struct memory *memory = &world->memory;
    const struct sent *sent = settler_sent(world, memory->fill_nonce);
    struct x402_fee old = world->chain.transactions[memory->fill].fee, fee = old;

    if (sent->last == X402_SEND_NONCE_SPENT) {
        memory->filled = false;
        return;
    }
    struct x402_pending pending = {
        .rows = 1,
        .payments = 1,
        .age_seconds = clock_seconds(world) - memory->fill_signed,
        .sent_milliseconds = sent->at_milliseconds >= 0
                                 ? milliseconds(world) - sent->at_milliseconds
                                 : -1,
        .last = sent->last,
        .stuck_seconds = 30,
        .resend_milliseconds = RESEND_MILLISECONDS,
        .fee_can_rise = x402_fee_replacement(&fee, &fee_policy, &old, &world->pass.fee),
    };
    enum x402_pending_action action = world->rules.pending(&pending);
    if (action == X402_PENDING_REPLACE)
        send_empty(world, memory->fill_nonce, fee);
    else if (action == X402_PENDING_RESEND)
        settler_send(world, &memory->fill, 1);
}

void send_fill(struct world *world)
{
    struct memory *memory = &world->memory;
    uint32_t nonce = world->pass.gap_nonce;

    if (memory->filled && world->pass.nonce > memory->fill_nonce)
        memory->filled = false;
    if (!world->pass.quoted || world->pass.failed)
        return;
    /* A reorganization may leave one missing below what was filled. */
    if (plan_fill(world, false) == X402_FILL_EMPTY &&
        (!memory->filled ||
         (memory->fill_nonce != nonce && !world->rules.fills_one_at_a_time)))
        send_empty(world, nonce, fee_over(world, ledger_newest_row(world, nonce)));
    else if (memory->filled)
        push_empty(world);
}

/* One batch: those who pass go, the others are told. -1 when nothing was stored. */
static int send_batch(struct world *world, const struct x402_batch *batch,
                      const int *payments)
{
    uint16_t passed = 0;
    struct x402_fee fee;
    int replaces;

    for (size_t i = 0; i < batch->count; i++) {
        int index = payments[batch->indexes[i]];
        struct finding finding = settler_simulate(world, index);
        if (finding.sight == X402_SIGHT_PASSES)
            check_funds(world, index, passed, &finding);
        enum x402_action action = world->rules.plan(world->ledger.payments[index].state,
                                                    finding.sight, finding.why);
        if (action == X402_ACTION_SEND)
            passed |= (uint16_t)(1u << index);
        else
            (void)settler_act(world, index, &finding);
    }
    if (passed == 0 || world->pass.failed)
        return -1;
    unsigned count = (unsigned)__builtin_popcount(passed);
    world->counts.batches += count > 1;
    world->counts.singles += count == 1;
    uint32_t nonce = take_nonce(world, &replaces, &fee);
    return settler_store(world, nonce, &fee, replaces, passed, count > 1);
}

/* -------------------------------------------------------------------------- choosing
 */

static bool goes_before(const struct payment *a, const struct payment *b)
{
    bool a_owed = a->state.delivery == X402_DELIVERY_OWED;
    bool b_owed = b->state.delivery == X402_DELIVERY_OWED;

    return a_owed != b_owed ? a_owed : a->valid_before < b->valid_before;
}

static size_t list_due(const struct world *world, int *out)
{
    const struct ledger *ledger = &world->ledger;
    size_t count = 0;

    for (int i = 0; i < (int)ledger->payments_count; i++) {
        const struct payment *payment = &ledger->payments[i];
        if (!payment->exists || payment->state.money != X402_MONEY_DUE)
            continue;
        size_t place = count++;
        while (place > 0 && goes_before(payment, &ledger->payments[out[place - 1]])) {
            out[place] = out[place - 1];
            place--;
        }
        out[place] = i;
    }
    return count;
}

static bool is_held(const struct world *world, int index)
{
    const struct held *held = &world->memory.held[index];
    const struct payment *payment = &world->ledger.payments[index];
    bool waits = held->is_held && held->try_at > milliseconds(world) &&
                 (held->over || world->pass.latest.time < payment->valid_before);

    return waits || held->look_at > milliseconds(world);
}

/* What waits, and what is over by the latest block, is not for a batch. */
static void sort_out(struct world *world, const int *due, bool *taken, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct finding finding = {.sight = X402_SIGHT_REFUSED,
                                  .why = X402_REVERT_EXPIRED};
        taken[i] = is_held(world, due[i]);
        if (taken[i] ||
            world->pass.latest.time < world->ledger.payments[due[i]].valid_before)
            continue;
        taken[i] = true;
        if (!world->pass.failed)
            (void)settler_act(world, due[i], &finding);
    }
}

static void describe(const struct world *world, struct x402_settlement *out,
                     const int *due, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct payment *payment = &world->ledger.payments[due[i]];
        memset(out[i].asset20, 0, 20);
        memset(out[i].to20, payment->payee, 20);
        out[i].state = payment->state;
        out[i].valid_before_seconds = (uint64_t)payment->valid_before;
        out[i].due_at_seconds = payment->due_at;
    }
}

static size_t capacity(struct world *world)
{
    const struct pass *pass = &world->pass;
    struct view view;

    if (!pass->quoted || pass->flights_count >= WINDOW || pass->failed ||
        !node_ask(world, &view) || world->now < world->chain.gas_until)
        return 0;
    return WINDOW - pass->flights_count;
}

void send_due(struct world *world)
{
    struct x402_batch_policy batching =
        x402_batch_policy_default(world->troubles.contract);
    struct x402_settlement payments[PAYMENTS];
    struct x402_batch batch;
    struct x402_batch_view view = {.gas_is_dear = world->memory.dear};
    bool taken[PAYMENTS];
    int due[PAYMENTS], rows[WINDOW];
    size_t count = list_due(world, due), stored = 0, room;

    batching.target = batching.target > 4 ? 4 : batching.target;
    if (count > 0)
        sort_out(world, due, taken, count);
    describe(world, payments, due, count);
    view.now_seconds = (uint64_t)(clock_seconds(world) > world->pass.latest.time
                                      ? clock_seconds(world)
                                      : world->pass.latest.time);
    room = count > 0 ? capacity(world) : 0;
    while (stored < room &&
           world->rules.choose(&batch, payments, taken, count, &batching, &view)) {
        int row = send_batch(world, &batch, due);
        if (row >= 0)
            rows[stored++] = row;
        if (world->pass.failed)
            break;
    }
    settler_send(world, rows, stored);
}
