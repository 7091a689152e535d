#include "model.h"

#include <string.h>

/* ---------------------------------------------------------------------- what is sold
 */

static int64_t lifetime(struct world *world)
{
    static const int lifetimes[] = {30, 60, 60, 120, 200, 300};
    int64_t life = lifetimes[below(world, 6)];

    return life / 2 + below(world, (uint32_t)life);
}

static struct payment payment_signed(struct world *world)
{
    int64_t comes_at = world->now + 1 + below(world, 80);
    struct payment payment = {
        .payer = (uint8_t)below(world, PAYERS),
        .payee = one_in(world, 4),
        .value = (int32_t)(1 + below(world, 20)),
        .valid_after = one_in(world, 15) ? comes_at + below(world, 10) : 0,
        .valid_before = comes_at + lifetime(world),
        .comes_at = world->troubles.bursts ? world->now + 3 : comes_at,
        .comes_first = one_in(world, 3),
        .untraceable = world->troubles.strangers && one_in(world, 12),
    };

    return payment;
}

void callers_begin(struct world *world)
{
    struct ledger *ledger = &world->ledger;

    memset(ledger, 0, sizeof *ledger);
    ledger->payments_count = 2 + below(world, PAYMENTS - 1);
    for (size_t i = 0; i < ledger->payments_count; i++)
        ledger->payments[i] = payment_signed(world);
}

/* --------------------------------------------------------------------- presentations
 */

static void come(struct world *world, int index)
{
    struct payment *payment = &world->ledger.payments[index];

    payment->exists = true;
    payment->due_at = clock_seconds(world);
    payment->disturbed_at = world->now;
    payment->state = x402_state_first(payment->comes_first ? X402_EVENT_PRESENT_FIRST
                                                           : X402_EVENT_PRESENT);
    if (!payment->comes_first)
        ledger_event(world, index, X402_EVENT_DELIVERED);
    world->counts.payments++;
    SAY(world, "payment %d comes: payer %d, %d units, valid before %lld%s", index,
        payment->payer, payment->value, (long long)payment->valid_before,
        payment->comes_first ? ", first" : "");
}

static bool is_collected(struct x402_state state)
{
    return state.money == X402_MONEY_SETTLED || state.money == X402_MONEY_FINAL;
}

/* Served once it is collected; it may fail, and be presented again. */
static void serve(struct world *world, int index)
{
    const struct payment *payment = &world->ledger.payments[index];

    if (payment->state.delivery == X402_DELIVERY_OWED && is_collected(payment->state) &&
        one_in(world, 3))
        ledger_event(world, index, X402_EVENT_PRESENT);
    else if (payment->state.delivery == X402_DELIVERY_PENDING && one_in(world, 8))
        ledger_event(world, index,
                     one_in(world, 4) ? X402_EVENT_VOID : X402_EVENT_DELIVERED);
    else if (payment->state.delivery == X402_DELIVERY_VOID && one_in(world, 20) &&
             chain_head(world)->time + 6 < payment->valid_before) {
        SAY(world, "payment %d is presented again", index);
        world->ledger.payments[index].disturbed_at = world->now;
        ledger_event(world, index, X402_EVENT_PRESENT_FIRST);
    }
}

void callers_second(struct world *world)
{
    struct ledger *ledger = &world->ledger;

    for (int i = 0; i < (int)ledger->payments_count; i++) {
        if (ledger->payments[i].exists)
            serve(world, i);
        else if (world->now >= ledger->payments[i].comes_at)
            come(world, i);
    }
}
