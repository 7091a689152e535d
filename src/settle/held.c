#include "settle/chain.h"

#include <stdlib.h>
#include <string.h>

/* Where the payment is, or would stand. */
static size_t place_of(const struct x402_chain *chain, int64_t payment_id)
{
    size_t low = 0, high = chain->held_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (chain->held[middle].payment_id < payment_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void remove_at(struct x402_chain *chain, size_t place)
{
    chain->held_count--;
    memmove(&chain->held[place], &chain->held[place + 1],
            (chain->held_count - place) * sizeof *chain->held);
}

struct x402_held *x402_held_find(const struct x402_chain *chain, int64_t payment_id)
{
    size_t place = place_of(chain, payment_id);

    if (place < chain->held_count && chain->held[place].payment_id == payment_id)
        return &chain->held[place];
    return NULL;
}

static bool make_room(struct x402_chain *chain)
{
    size_t capacity = chain->held_capacity ? 2 * chain->held_capacity : 64;

    if (chain->held_count < chain->held_capacity)
        return true;
    if (chain->held_capacity >= X402_HELD_MAX) {
        remove_at(chain, 0); /* the oldest; it is only tried again too early */
        return true;
    }
    struct x402_held *larger = realloc(chain->held, capacity * sizeof *larger);
    if (larger == NULL)
        return false;
    chain->held = larger;
    chain->held_capacity = capacity;
    return true;
}

struct x402_held *x402_held_of(struct x402_chain *chain,
                               const struct x402_settlement *payment)
{
    struct x402_held *found = x402_held_find(chain, payment->payment_id);
    uint64_t until = payment->valid_before_seconds;

    if (found != NULL || !make_room(chain))
        return found;
    size_t place = place_of(chain, payment->payment_id);
    found = &chain->held[place];
    memmove(found + 1, found, (chain->held_count - place) * sizeof *found);
    chain->held_count++;
    *found = (struct x402_held){
        .payment_id = payment->payment_id,
        .until_seconds = until < INT64_MAX ? (int64_t)until : INT64_MAX,
    };
    return found;
}

void x402_held_drop(struct x402_chain *chain, int64_t payment_id)
{
    struct x402_held *found = x402_held_find(chain, payment_id);

    if (found != NULL)
        remove_at(chain, (size_t)(found - chain->held));
}

int64_t x402_held_left_milliseconds(const struct x402_chain *chain,
                                    const struct x402_held *held)
{
    uint64_t now = chain->view.latest.time_seconds;
    uint64_t until = (uint64_t)held->until_seconds;

    if (until <= now)
        return 0;
    return until - now < INT32_MAX ? (int64_t)(until - now) * 1000 : INT64_MAX / 2;
}

static int64_t wait_of(const struct x402_chain *chain, const struct x402_held *held)
{
    struct x402_refused refused = {
        .why = held->why,
        .tries = held->tries,
        .cost_gas = held->cost_gas,
        .left_milliseconds = x402_held_left_milliseconds(chain, held),
    };

    return x402_plan_retry_milliseconds(&refused);
}

bool x402_held_waits(const struct x402_chain *chain, const struct x402_held *held)
{
    return held->try_at_milliseconds > x402_chain_milliseconds() &&
           (held->over || x402_held_left_milliseconds(chain, held) > 0);
}

void x402_held_refuse(struct x402_chain *chain, const struct x402_settlement *payment,
                      enum x402_revert why, const char *reason, bool cost_gas)
{
    struct x402_held *held = x402_held_of(chain, payment);

    if (held == NULL)
        return;
    bool over = x402_held_left_milliseconds(chain, held) == 0;
    bool ends = over && !held->over;
    bool news = held->tries == 0 || ends || (!over && held->why != why);
    held->tries = ends ? 1 : held->tries + 1;
    if (!over ||
        held->why == X402_REVERT_NONE) /* what kept it from being paid in time */
        held->why = why;
    held->cost_gas = held->cost_gas || cost_gas;
    held->over = over;
    held->try_at_milliseconds = x402_chain_milliseconds() + wait_of(chain, held);
    if (!news || cost_gas)
        return;
    x402_payment_note(chain, X402_NOTE_HELD, payment, "waiting with",
                      reason[0] != '\0' ? reason : x402_revert_code(why));
}

/* A settler with another key may have taken some, or they expired: an hour after their
 * end nobody asks for them. */
void x402_held_prune(struct x402_chain *chain)
{
    size_t kept = 0;

    for (size_t i = 0; i < chain->held_count; i++) {
        uint64_t until = (uint64_t)chain->held[i].until_seconds;
        if (until > UINT64_MAX - 3600 || until + 3600 > chain->view.latest.time_seconds)
            chain->held[kept++] = chain->held[i];
    }
    chain->held_count = kept;
}
