#include "model.h"

/* Durable, and it takes only steps of the table. */

static void move(struct world *world, int index, enum x402_event event)
{
    struct payment *payment = &world->ledger.payments[index];

    if (!x402_state_next(&payment->state, payment->state, event)) {
        violate(world, "a verdict that is no step of the ledger", index);
        return;
    }
    if (payment->state.money == X402_MONEY_DUE)
        payment->due_at = clock_seconds(world);
}

void ledger_event(struct world *world, int payment, enum x402_event event)
{
    move(world, payment, event);
}

/* A commit may fail, and may have happened nevertheless. */
enum commit { DONE, DONE_UNHEARD, NOT_DONE };

static enum commit commit(struct world *world)
{
    step(world);
    if (is_calm(world) || !world->troubles.ledger || !rarely(world, 30))
        return DONE;
    disturb(world);
    world->counts.faults++;
    return one_in(world, 2) ? DONE_UNHEARD : NOT_DONE;
}

/* ------------------------------------------------------------------------------ rows
 */

bool ledger_is_open(const struct world *world, int row)
{
    uint16_t payments = world->ledger.rows[row].payments;

    for (int i = 0; i < PAYMENTS; i++) {
        enum x402_money money = world->ledger.payments[i].state.money;
        if ((payments >> i & 1) && money != X402_MONEY_FINAL &&
            money != X402_MONEY_FAILED)
            return true;
    }
    return false;
}

static bool is_stored(const struct world *world, size_t row)
{
    return !world->ledger.rows[row].is_foreign &&
           world->ledger.rows[row].submitted_at != 0;
}

uint32_t ledger_nonce_next(const struct world *world)
{
    uint32_t next = 0;

    for (size_t i = 0; i < world->chain.transactions_count; i++) {
        uint32_t nonce = world->chain.transactions[i].nonce;
        if (is_stored(world, i) && nonce + 1 > next)
            next = nonce + 1;
    }
    return next;
}

int ledger_newest_row(const struct world *world, uint32_t nonce)
{
    for (size_t i = world->chain.transactions_count; i > 0; i--) {
        if (is_stored(world, i - 1) && world->chain.transactions[i - 1].nonce == nonce)
            return (int)(i - 1);
    }
    return -1;
}

/* Due, or in the row that is replaced. */
static bool may_submit(const struct payment *payment, int replaces)
{
    struct x402_state next;

    return x402_state_next(&next, payment->state, X402_EVENT_SUBMIT) &&
           (payment->state.money != X402_MONEY_SUBMITTED ||
            payment->row == replaces + 1);
}

bool ledger_submit(struct world *world, int row, int replaces, uint16_t payments)
{
    struct ledger *ledger = &world->ledger;
    enum commit result = commit(world);

    if (result == NOT_DONE)
        return false;
    for (int i = 0; i < PAYMENTS; i++) {
        if ((payments >> i & 1) && !may_submit(&ledger->payments[i], replaces))
            return false;
    }
    ledger->rows[row] =
        (struct row){.payments = payments, .submitted_at = clock_seconds(world)};
    for (int i = 0; i < PAYMENTS; i++) {
        if (payments >> i & 1) {
            move(world, i, X402_EVENT_SUBMIT);
            ledger->payments[i].row = row + 1;
        }
    }
    step(world);
    return result == DONE;
}

/* --------------------------------------------------------------------------- verdicts
 */

bool ledger_advance(struct world *world, int index, enum x402_event event,
                    const struct finding *finding)
{
    struct payment *payment = &world->ledger.payments[index];
    enum commit result = commit(world);

    if (result == NOT_DONE)
        return false;
    if (event == X402_EVENT_SETTLED && payment->state.money == X402_MONEY_SETTLED)
        move(world, index, X402_EVENT_UNSETTLED);
    move(world, index, event);
    if (event == X402_EVENT_SETTLED) {
        payment->settled_in = finding->evidence.transaction;
        payment->settled_block = finding->evidence.block;
        payment->settled_id = finding->evidence.id;
        payment->row = payment->settled_in < STRANGER ? payment->settled_in + 1 : 0;
    }
    if (event == X402_EVENT_UNSETTLED)
        payment->row = 0;
    if (event == X402_EVENT_FAILED)
        payment->failed_for = finding->sight;
    SAY(world, "  payment %d: event %d, now %s %s", index, event,
        x402_delivery_name(payment->state.delivery),
        x402_money_name(payment->state.money));
    step(world);
    return result == DONE;
}
