#include "model.h"

#include <string.h>

#define FIRST_BLOCK 20
#define BASE_FEE 6000000
#define DEAD_FORK_SECONDS_MAX 40

const struct state *chain_head(const struct world *world)
{
    return &world->chain.blocks[world->chain.head];
}

const struct state *chain_safe(const struct world *world)
{
    return &world->chain.blocks[world->chain.safe];
}

/* ---------------------------------------------------------------------- transactions
 */

int chain_sign(struct world *world, uint32_t nonce, const struct x402_fee *fee,
               uint16_t payments, bool is_batch)
{
    struct chain *chain = &world->chain;

    if (chain->transactions_count == TRANSACTIONS) {
        violate(world, "signs without end", -1);
        return 0;
    }
    chain->transactions[chain->transactions_count] = (struct transaction){
        .nonce = nonce, .fee = *fee, .payments = payments, .is_batch = is_batch};
    return (int)chain->transactions_count++;
}

enum x402_revert chain_refusal(const struct state *state, const struct payment *payment,
                               int index, int64_t time)
{
    if (state->paused)
        return X402_REVERT_PAUSED;
    if (state->blacklisted[payment->payer])
        return X402_REVERT_BLACKLISTED;
    if (time >= payment->valid_before)
        return X402_REVERT_EXPIRED;
    if (time <= payment->valid_after)
        return X402_REVERT_NOT_YET_VALID;
    if (state->uses[index] != UNUSED)
        return X402_REVERT_USED;
    if (state->balances[payment->payer] < payment->value)
        return X402_REVERT_FUNDS;
    return X402_REVERT_NONE;
}

static void use(struct state *state, uint32_t block, int payment, enum use use,
                int transaction)
{
    state->uses[payment] = (uint8_t)use;
    state->use_blocks[payment] = (uint16_t)block;
    state->use_transactions[payment] = (int16_t)transaction;
}

static bool move(struct world *world, struct state *state, uint32_t block, int index,
                 int transaction)
{
    const struct payment *payment = &world->ledger.payments[index];

    if (chain_refusal(state, payment, index, state->time) != X402_REVERT_NONE)
        return false;
    state->balances[payment->payer] -= payment->value;
    use(state, block, index, PAID, transaction);
    return true;
}

/* A batch pays whom it can; now and then it runs out of gas before the end, or wholly.
 */
static void execute(struct world *world, struct state *state, uint32_t block, int index)
{
    struct transaction *transaction = &world->chain.transactions[index];
    bool mishap = transaction->is_batch && !is_calm(world) && one_in(world, 30);
    struct inclusion now = {.block = block, .id = state->id};

    now.succeeded = !mishap || one_in(world, 2);
    if (mishap)
        disturb(world);
    for (int i = 0; i < PAYMENTS && now.succeeded; i++) {
        if ((transaction->payments >> i & 1) == 0)
            continue;
        now.tried |= (uint16_t)(1u << i);
        if (move(world, state, block, i, index))
            now.paid |= (uint16_t)(1u << i);
        else if (!transaction->is_batch)
            now.succeeded = false;
        if (mishap)
            break;
    }
    transaction->now = now;
    state->nonce++;
    world->counts.included++;
    SAY(world, "        block %u: transaction %d, nonce %u, %s, paid %03x of %03x",
        block, index, transaction->nonce, now.succeeded ? "fine" : "reverted", now.paid,
        transaction->payments);
}

static void execute_stranger(struct world *world, struct state *state, uint32_t block,
                             int index)
{
    struct stranger *stranger = &world->chain.strangers[index];
    int subject = stranger->subject;

    stranger->waiting = false;
    stranger->now = (struct inclusion){.block = block, .id = state->id};
    switch (stranger->kind) {
    case SETTLES:
        stranger->now.succeeded = move(world, state, block, subject, STRANGER + index);
        stranger->now.paid = (uint16_t)(stranger->now.succeeded ? 1u << subject : 0u);
        break;
    case SPENDS_ELSEWHERE:
    case CANCELS:
        if (state->uses[subject] == UNUSED) {
            use(state, block, subject, stranger->kind == CANCELS ? CANCELED : ELSEWHERE,
                STRANGER + index);
            stranger->now.succeeded = true;
        }
        break;
    case DRAINS:
        state->balances[subject] = 0;
        break;
    case FUNDS:
        state->balances[subject] += 100;
        break;
    }
    SAY(world, "        block %u: stranger %d, kind %d of %d", block, index,
        stranger->kind, subject);
}

/* ----------------------------------------------------------------------------- blocks
 */

static uint64_t next_base_fee(const struct chain *chain, uint64_t base_fee)
{
    if (base_fee < chain->base_fee_target)
        return base_fee + base_fee / 4 < chain->base_fee_target
                   ? base_fee + base_fee / 4
                   : chain->base_fee_target;
    return base_fee - (base_fee - chain->base_fee_target) / 4;
}

static void include(struct world *world, struct state *state, uint32_t block)
{
    struct chain *chain = &world->chain;

    for (size_t i = 0; i < chain->strangers_count; i++) {
        if (chain->strangers[i].waiting && !one_in(world, 4))
            execute_stranger(world, state, block, (int)i);
    }
    while (chain->pool[state->nonce] != 0 && !one_in(world, 6)) {
        int index = chain->pool[state->nonce] - 1;
        if (chain->transactions[index].fee.max_fee_wei < state->base_fee ||
            world->now < chain->gas_until)
            break;
        chain->pool[state->nonce] = 0;
        execute(world, state, block, index);
    }
}

static void add_block(struct world *world, int64_t time)
{
    struct chain *chain = &world->chain;
    struct state *state = &chain->blocks[chain->head + 1];

    *state = chain->blocks[chain->head];
    state->time = time;
    state->id = chain->next_id++;
    state->base_fee = next_base_fee(chain, state->base_fee);
    state->paused = world->now < chain->paused_until;
    for (int i = 0; i < PAYERS; i++)
        state->blacklisted[i] = world->now < chain->blacklist_until[i];
    include(world, state, chain->head + 1);
    chain->head++;
    if (chain->head > chain->safe + SAFE_DEPTH)
        chain->safe = chain->head - SAFE_DEPTH;
    world->counts.blocks++;
}

/* --------------------------------------------------------------------------- reorgs
 */

static void take_back(struct inclusion *now, struct inclusion *before, uint32_t head)
{
    *before = (struct inclusion){0};
    if (now->block > head) {
        *before = *now;
        *now = (struct inclusion){0};
    }
}

static void take_all_back(struct world *world, uint32_t head)
{
    struct chain *chain = &world->chain;

    for (size_t i = 0; i < chain->transactions_count; i++) {
        struct transaction *transaction = &chain->transactions[i];
        take_back(&transaction->now, &transaction->before, head);
        bool again = !world->troubles.loses_reorged && !one_in(world, 4);
        if (transaction->before.block != 0 && again &&
            chain->pool[transaction->nonce] == 0)
            chain->pool[transaction->nonce] = (int16_t)(i + 1);
    }
    for (size_t i = 0; i < chain->strangers_count; i++) {
        struct stranger *stranger = &chain->strangers[i];
        take_back(&stranger->now, &stranger->before, head);
        stranger->waiting =
            stranger->waiting || (stranger->before.block != 0 && one_in(world, 2));
    }
}

static void reorganize(struct world *world)
{
    struct chain *chain = &world->chain;
    uint32_t most = chain->head - chain->safe;
    uint32_t depth = 1 + below(world, most < REORG_DEPTH_MAX ? most : REORG_DEPTH_MAX);
    uint32_t head = chain->head - depth, blocks = depth - one_in(world, 3);

    SAY(world, "        reorganization: %u blocks from %u on", depth, head + 1);
    chain->lost_first = head + 1;
    chain->lost_head = chain->head;
    chain->lost_until = world->now + 2 + below(world, DEAD_FORK_SECONDS_MAX);
    chain->slow_until = 0;
    memcpy(chain->lost, &chain->blocks[head + 1], depth * sizeof chain->lost[0]);
    take_all_back(world, head);
    chain->head = head;
    for (uint32_t i = 0; i < blocks; i++) {
        int64_t time = chain->blocks[chain->head].time + BLOCK_SECONDS;
        add_block(world, time < world->now ? time : world->now);
    }
    world->counts.reorgs++;
    disturb(world);
}

/* ------------------------------------------------------------------------- the pool
 */

uint32_t chain_pending_nonce(const struct world *world, uint32_t nonce)
{
    while (world->chain.pool[nonce] != 0)
        nonce++;
    return nonce;
}

static bool is_replacement(const struct x402_fee *fee, const struct x402_fee *old)
{
    return fee->max_fee_wei >= old->max_fee_wei + old->max_fee_wei / 10 &&
           fee->tip_wei >= old->tip_wei + old->tip_wei / 10;
}

/* One of the spellings, so that their reading is tried too. */
static const char *spelled(struct world *world, const char *const *spellings)
{
    uint32_t count = 0;

    while (spellings[count] != NULL)
        count++;
    return spellings[below(world, count)];
}

static const char *const too_low[] = {"nonce too low", "Nonce is too low",
                                      "nonce too low: next nonce 9, tx nonce 8", NULL};
static const char *const known[] = {"already known", "transaction already imported",
                                    NULL};
static const char *const underpriced[] = {
    "replacement transaction underpriced",
    "insufficient gas price to replace existing transaction", NULL};
static const char *const cheap[] = {"max fee per gas less than block base fee",
                                    "transaction underpriced", "fee too low", NULL};
static const char *const poor[] = {"insufficient funds for gas * price + value",
                                   "Insufficient funds for gas * price + value", NULL};
static const char *const large[] = {"exceeds block gas limit",
                                    "transaction gas limit too high", NULL};
static const char *const full[] = {"txpool is full", "over rate limit",
                                   "your request cannot be served today", NULL};

static unsigned size_of(uint16_t payments)
{
    return (unsigned)__builtin_popcount(payments);
}

const char *chain_offer(struct world *world, int index)
{
    struct chain *chain = &world->chain;
    const struct transaction *transaction = &chain->transactions[index];
    int16_t *place = &chain->pool[transaction->nonce];

    if (transaction->nonce < chain_head(world)->nonce)
        return spelled(world, too_low);
    if (*place == index + 1)
        return spelled(world, known);
    if (world->now < world->full_until)
        return spelled(world, full);
    if (world->now < chain->gas_until)
        return spelled(world, poor);
    if (world->size_max > 0 && size_of(transaction->payments) > world->size_max)
        return spelled(world, large);
    if (world->troubles.refuses_cheap &&
        transaction->fee.max_fee_wei < chain_head(world)->base_fee)
        return spelled(world, cheap);
    if (*place != 0 &&
        !is_replacement(&transaction->fee, &chain->transactions[*place - 1].fee))
        return spelled(world, underpriced);
    *place = (int16_t)(index + 1);
    return NULL;
}

/* ------------------------------------------------------------------- everybody else
 */

static void add_stranger(struct world *world, enum stranger_kind kind, uint32_t subject)
{
    struct chain *chain = &world->chain;

    if (chain->strangers_count < STRANGERS)
        chain->strangers[chain->strangers_count++] = (struct stranger){
            .kind = kind, .subject = (uint8_t)subject, .waiting = true};
}

static void payers_act(struct world *world)
{
    struct chain *chain = &world->chain;
    uint32_t payer = below(world, PAYERS);

    if (rarely(world, 30))
        add_stranger(world, DRAINS, payer);
    if (rarely(world, 25))
        add_stranger(world, FUNDS, payer);
    if (rarely(world, 60))
        chain->blacklist_until[payer] = world->now + 5 + below(world, 80);
    if (rarely(world, 120))
        chain->paused_until = world->now + 5 + below(world, 40);
}

static void strangers_act(struct world *world)
{
    static const enum stranger_kind kinds[] = {SETTLES, SPENDS_ELSEWHERE, CANCELS};

    if (rarely(world, 20))
        add_stranger(world, kinds[below(world, 3)],
                     below(world, (uint32_t)world->ledger.payments_count));
}

static void fees_move(struct world *world)
{
    struct chain *chain = &world->chain;

    if (world->now >= chain->spike_until)
        chain->base_fee_target = BASE_FEE * world->troubles.lasting_fee;
    if (!is_calm(world) && world->troubles.fees && rarely(world, 50)) {
        chain->base_fee_target = BASE_FEE * (uint64_t)(2 + below(world, 30));
        chain->spike_until = world->now + 10 + below(world, 120);
    }
}

/* Somebody else works with our key: what he sends may stay for long, or for good. */
static void key_is_used_elsewhere(struct world *world)
{
    struct chain *chain = &world->chain;
    uint32_t nonce = chain_pending_nonce(world, chain_head(world)->nonce);
    struct x402_fee fee = {BASE_FEE + BASE_FEE / 4 + below(world, 3) * BASE_FEE, 50000};
    int index;

    if (!rarely(world, 60))
        return;
    index = chain_sign(world, nonce, &fee, 0, false);
    world->ledger.rows[index].is_foreign = true;
    chain->pool[nonce] = (int16_t)(index + 1);
    SAY(world, "        our key is used elsewhere: nonce %u", nonce);
    disturb(world);
}

static void drop_one(struct world *world)
{
    struct chain *chain = &world->chain;
    uint32_t nonce = chain_head(world)->nonce + below(world, 4);

    if (rarely(world, 25) && chain->pool[nonce] != 0) {
        SAY(world, "        the pool drops nonce %u", nonce);
        chain->pool[nonce] = 0;
        disturb(world);
    }
}

/* As anvil does. */
static void drop_cheap(struct world *world)
{
    struct chain *chain = &world->chain;
    uint32_t nonce = chain_head(world)->nonce;

    for (uint32_t i = nonce; i < nonce + 2 * WINDOW && i < TRANSACTIONS; i++) {
        if (chain->pool[i] != 0 &&
            chain->transactions[chain->pool[i] - 1].fee.max_fee_wei <
                chain_head(world)->base_fee)
            chain->pool[i] = 0;
    }
}

static void trouble(struct world *world)
{
    const struct troubles *troubles = &world->troubles;

    if (troubles->payers)
        payers_act(world);
    if (troubles->strangers)
        strangers_act(world);
    if (troubles->elsewhere)
        key_is_used_elsewhere(world);
    if (troubles->drops)
        drop_one(world);
    if (troubles->lags && world->now >= world->chain.slow_until && rarely(world, 60)) {
        world->chain.slow_head = world->chain.head;
        world->chain.slow_until = world->now + 5 + below(world, 40);
    }
    if (troubles->gas && rarely(world, 100))
        world->chain.gas_until = world->now + 5 + below(world, 60);
    if (troubles->reorgs && rarely(world, 30))
        reorganize(world);
}

void chain_second(struct world *world)
{
    struct chain *chain = &world->chain;

    if (!is_calm(world))
        trouble(world);
    fees_move(world);
    if (world->now % BLOCK_SECONDS == 0 && (is_calm(world) || !one_in(world, 20)) &&
        chain->head + 1 < BLOCKS)
        add_block(world, world->now);
    if (world->troubles.refuses_cheap)
        drop_cheap(world);
}

void chain_begin(struct world *world)
{
    struct chain *chain = &world->chain;
    struct state *first = &chain->blocks[0];

    chain->head = chain->safe = 0;
    chain->transactions_count = chain->strangers_count = 0;
    chain->next_id = 1;
    chain->base_fee_target = BASE_FEE;
    *first = (struct state){.time = world->now - 2 * FIRST_BLOCK, .base_fee = BASE_FEE};
    for (int i = 0; i < PAYERS; i++)
        first->balances[i] = (int32_t)(20 + below(world, 200));
    for (int i = 1; i <= FIRST_BLOCK; i++)
        add_block(world, first->time + i * BLOCK_SECONDS);
}
