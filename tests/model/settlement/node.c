#include "model.h"

/* ----------------------------------------------------------------------------- moods
 */

void node_second(struct world *world)
{
    if (is_calm(world)) {
        world->node = NODE_WELL;
        world->size_max = world->troubles.lasting_size;
        return;
    }
    if (world->now < world->node_until)
        return;
    world->node = NODE_WELL;
    world->node_until = world->now + 5 + below(world, 60);
    if (world->troubles.errors && rarely(world, 2))
        world->node = one_in(world, 3) ? NODE_DEAD : NODE_FLAKY;
    if (world->troubles.sizes)
        world->size_max =
            one_in(world, 2) ? 1 + below(world, 3) : world->troubles.lasting_size;
    if (world->troubles.errors && rarely(world, 5))
        world->full_until = world->now + below(world, 20);
}

static bool is_silent(struct world *world)
{
    bool silent =
        world->node == NODE_DEAD || (world->node == NODE_FLAKY && one_in(world, 6));

    if (silent) {
        world->counts.faults++;
        disturb(world);
    }
    return silent;
}

/* ----------------------------------------------------------------------------- views
 */

/*
 * Behind a name there are several nodes: one lags, one is on the branch that lost, but
 * not for so long that its blocks would be safe.
 */
bool node_ask(struct world *world, struct view *out)
{
    const struct chain *chain = &world->chain;

    if (!is_calm(world) && one_in(world, 60))
        second(world); /* the answer took its time */
    step(world);
    if (is_silent(world))
        return false;
    *out = (struct view){chain->head, false};
    if (is_calm(world) || !world->troubles.lags)
        return true;
    if (world->now < chain->lost_until && chain->safe < chain->lost_first &&
        one_in(world, 2))
        *out = (struct view){chain->lost_head, true};
    else if (world->now < chain->slow_until && one_in(world, 2))
        out->head = chain->slow_head;
    else if (one_in(world, 12))
        out->head -= 1 + below(world, 3);
    if (out->is_lost || out->head != chain->head) {
        world->counts.stale++;
        disturb(world);
    }
    return true;
}

const struct state *view_state(const struct world *world, const struct view *view,
                               uint32_t number)
{
    const struct chain *chain = &world->chain;

    if (number > view->head)
        return NULL;
    if (view->is_lost && number >= chain->lost_first)
        return &chain->lost[number - chain->lost_first];
    return &chain->blocks[number];
}

const struct state *view_block(const struct world *world, const struct view *view,
                               const struct block *block)
{
    const struct state *state = view_state(world, view, block->number);

    return state != NULL && state->id == block->id ? state : NULL;
}

uint32_t view_safe(const struct world *world, const struct view *view)
{
    const struct chain *chain = &world->chain;

    if (!view->is_lost && view->head == chain->head)
        return chain->safe;
    return view->head - SAFE_DEPTH < chain->safe ? view->head - SAFE_DEPTH
                                                 : chain->safe;
}

const struct inclusion *view_receipt(const struct world *world, const struct view *view,
                                     int transaction)
{
    const struct chain *chain = &world->chain;
    const struct inclusion *now, *before;

    if (transaction >= STRANGER) {
        now = &chain->strangers[transaction - STRANGER].now;
        before = &chain->strangers[transaction - STRANGER].before;
    } else {
        now = &chain->transactions[transaction].now;
        before = &chain->transactions[transaction].before;
    }
    if (view->is_lost)
        now = before->block != 0                                  ? before
              : now->block != 0 && now->block < chain->lost_first ? now
                                                                  : before;
    return now->block != 0 && now->block <= view->head ? now : NULL;
}

/* --------------------------------------------------------------------------- sending
 */

enum x402_send node_send(struct world *world, int row)
{
    const char *message;

    step(world);
    if (is_silent(world) && (world->node == NODE_DEAD || one_in(world, 2)))
        return X402_SEND_UNKNOWN; /* it did not arrive */
    message = chain_offer(world, row);
    step(world);
    SAY(world, "  sent transaction %d (nonce %u): %s", row,
        world->chain.transactions[row].nonce, message ? message : "taken");
    if (world->node == NODE_FLAKY && one_in(world, 6)) {
        world->counts.lost++;
        disturb(world);
        return X402_SEND_UNKNOWN; /* it did, and the reply is lost */
    }
    return message == NULL ? X402_SEND_ACCEPTED : world->rules.classify(message);
}
