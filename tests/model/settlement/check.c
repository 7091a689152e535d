#include "model.h"

/*
 * What must hold after every step:
 *
 *   what the ledger calls final is paid at a safe block;
 *   what it calls settled is paid in the block that it names, while there is one;
 *   what was delivered, or is being served, is called failed only when a safe block
 *   says that it is not paid and never can be;
 *   every verdict is a step of the ledger's table;
 *
 * when the authorization of a payment ends:
 *
 *   what nothing kept from being paid for the last LIVE_SECONDS is paid;
 *
 * and when troubles have ended and time has passed:
 *
 *   everything is final, or failed for a true reason, or was used by what cannot be
 *   found, and is still due; nothing is under way;
 *   our own transactions charged nobody whose payment is called failed (but after a
 *   reorganization, where the call was not served and can be presented again);
 *   few transactions were sent in vain.
 */
#define VAIN_MAX 8

void violate(struct world *world, const char *what, int payment)
{
    if (world->violation != NULL)
        return;
    world->violation = what;
    world->violation_payment = payment;
    SAY(world, "VIOLATION: %s (payment %d)", what, payment);
}

void disturb(struct world *world)
{
    world->disturbed_at = world->now;
}

/* ------------------------------------------------------------------- after each step
 */

static bool has_it(struct x402_state state)
{
    return state.delivery == X402_DELIVERY_DELIVERED ||
           state.delivery == X402_DELIVERY_PENDING;
}

static bool is_lost(const struct state *safe, const struct payment *payment, int index)
{
    if (safe->uses[index] == UNUSED)
        return safe->time >= payment->valid_before;
    return safe->uses[index] != PAID;
}

static bool is_falsely_settled(const struct world *world, const struct payment *payment,
                               int index)
{
    const struct state *block = &world->chain.blocks[payment->settled_block];

    return payment->state.money == X402_MONEY_SETTLED &&
           payment->settled_block <= world->chain.head &&
           block->id == payment->settled_id && block->uses[index] != PAID;
}

static void check(struct world *world)
{
    const struct state *safe = chain_safe(world);

    for (int i = 0; i < (int)world->ledger.payments_count; i++) {
        const struct payment *payment = &world->ledger.payments[i];
        if (!payment->exists)
            continue;
        if (payment->state.money == X402_MONEY_FINAL && safe->uses[i] != PAID)
            violate(world, "final, and not paid at a safe block", i);
        if (is_falsely_settled(world, payment, i))
            violate(world, "settled in a block that did not pay", i);
        if (payment->state.money == X402_MONEY_FAILED && has_it(payment->state) &&
            !is_lost(safe, payment, i))
            violate(world, "called failed, and could still be paid, or was", i);
    }
}

void step(struct world *world)
{
    world->counts.steps++;
    check(world);
    if (!is_calm(world) && world->troubles.crashes && rarely(world, 250)) {
        SAY(world, "        the settler dies");
        world->counts.crashes++;
        disturb(world);
        _longjmp(world->died, 1);
    }
}

/* ------------------------------------------------------------------- what can be paid
 */

static bool is_unpaid(const struct payment *payment)
{
    /* What is settled may have been taken back. */
    return payment->exists && (payment->state.money == X402_MONEY_DUE ||
                               payment->state.money == X402_MONEY_SUBMITTED ||
                               payment->state.money == X402_MONEY_SETTLED);
}

/* A nonce that the chain waits for and no payment does, or that is not ours. */
static bool is_a_nonce_missing(const struct world *world)
{
    uint32_t next = ledger_nonce_next(world);
    int first = world->chain.pool[chain_head(world)->nonce];

    if (first != 0 && world->ledger.rows[first - 1].is_foreign)
        return true;
    for (uint32_t nonce = chain_head(world)->nonce; nonce < next; nonce++) {
        bool awaited = false;
        for (size_t i = 0; i < world->ledger.payments_count; i++) {
            const struct payment *payment = &world->ledger.payments[i];
            awaited =
                awaited ||
                (payment->exists && payment->state.money == X402_MONEY_SUBMITTED &&
                 world->chain.transactions[payment->row - 1].nonce == nonce);
        }
        if (!awaited)
            return true;
    }
    return false;
}

static bool is_chain_troubled(const struct world *world)
{
    const struct chain *chain = &world->chain;
    uint64_t fee = chain_head(world)->base_fee;
    uint64_t before = chain->blocks[chain->head - 5].base_fee;

    return world->disturbed_at >= world->now - 1 || world->now < world->down_until ||
           world->now < world->full_until || world->now < chain->gas_until ||
           fee > before + before / 20 || fee > 149000000 || is_a_nonce_missing(world);
}

static bool is_payer_troubled(const struct world *world, int index)
{
    const struct state *head = chain_head(world);
    const struct payment *payment = &world->ledger.payments[index];
    int32_t needed = 0;

    for (size_t i = 0; i < world->ledger.payments_count; i++) {
        const struct payment *other = &world->ledger.payments[i];
        if (other->payer == payment->payer && other->exists &&
            (is_unpaid(other) || other->state.delivery == X402_DELIVERY_VOID) &&
            head->uses[i] == UNUSED)
            needed += other->value;
    }
    return head->paused || head->blacklisted[payment->payer] ||
           head->balances[payment->payer] < needed ||
           world->now <= payment->valid_after;
}

static void check_ends(struct world *world)
{
    const struct state *head = chain_head(world);
    bool troubled = is_chain_troubled(world);

    for (int i = 0; i < (int)world->ledger.payments_count; i++) {
        struct payment *payment = &world->ledger.payments[i];
        if (!payment->exists || payment->ended ||
            payment->state.money == X402_MONEY_FAILED)
            continue;
        if (head->uses[i] > PAID || troubled || is_payer_troubled(world, i))
            payment->disturbed_at = world->now;
        if (head->time < payment->valid_before)
            continue;
        payment->ended = true;
        if (world->now - payment->disturbed_at < LIVE_SECONDS)
            continue;
        world->counts.live++;
        if (head->uses[i] == UNUSED)
            violate(world, "expired, and nothing kept it from being paid", i);
    }
}

void second(struct world *world)
{
    world->now++;
    chain_second(world);
    node_second(world);
    callers_second(world);
    check(world);
    check_ends(world);
}

/* ------------------------------------------------------------------------ at the end
 */

static bool is_untraceable(const struct world *world, int index)
{
    return world->ledger.payments[index].untraceable &&
           chain_safe(world)->uses[index] != UNUSED;
}

static bool is_settled_for_good(const struct world *world, int index)
{
    const struct payment *payment = &world->ledger.payments[index];

    return payment->state.money == X402_MONEY_FINAL ||
           payment->state.money == X402_MONEY_FAILED ||
           (payment->state.money == X402_MONEY_DUE && is_untraceable(world, index));
}

bool check_is_over(const struct world *world)
{
    if (!is_calm(world))
        return false;
    for (int i = 0; i < (int)world->ledger.payments_count; i++) {
        if (!world->ledger.payments[i].exists || !is_settled_for_good(world, i))
            return false;
    }
    return true;
}

/* Transactions of ours that are in the chain with it, and did not pay it. */
static unsigned vain_of(struct world *world, int index)
{
    const struct chain *chain = &world->chain;
    unsigned vain = 0;

    for (size_t i = 0; i < chain->transactions_count; i++) {
        const struct transaction *transaction = &chain->transactions[i];
        vain += transaction->now.block != 0 && (transaction->payments >> index & 1) &&
                (transaction->now.paid >> index & 1) == 0;
    }
    world->counts.vain += vain;
    return vain;
}

static void check_payment(struct world *world, int index)
{
    const struct payment *payment = &world->ledger.payments[index];
    const struct state *head = chain_head(world);
    bool by_us = head->uses[index] == PAID && head->use_transactions[index] < STRANGER;

    world->counts.final += payment->state.money == X402_MONEY_FINAL;
    world->counts.failed += payment->state.money == X402_MONEY_FAILED;
    world->counts.untraced += payment->state.money == X402_MONEY_DUE;
    if (payment->state.money == X402_MONEY_FAILED && by_us) {
        world->counts.stranded++;
        if (world->counts.reorgs == 0)
            violate(world, "charged, and called failed", index);
    }
    if (vain_of(world, index) > VAIN_MAX)
        violate(world, "sent in vain too often", index);
    if (head->uses[index] == PAID && payment->state.money != X402_MONEY_FINAL &&
        payment->state.money != X402_MONEY_FAILED && !payment->untraceable)
        violate(world, "paid, and not collected", index);
}

void check_end(struct world *world)
{
    if (!check_is_over(world))
        violate(world, "forgotten", -1);
    for (int i = 0; i < (int)world->ledger.payments_count; i++)
        check_payment(world, i);
}
