#include "settle/chain.h"

#include <stdio.h>
#include <string.h>

/*
 * A node may answer a question about one payment with neither a result nor a revert,
 * and go on doing so, while it answers for all others: that must not keep these, nor
 * what follows them in a pass, from going on. But when nothing else was answered
 * either, it is the node's trouble.
 */

#define WAIT_MILLISECONDS_MAX 30000 /* as long as a node that failed is left alone */
#define WAIT_OWED_MILLISECONDS_MAX 4000 /* somebody waits for it */

static int64_t wait_of(const struct x402_chain *chain, const struct x402_held *held,
                       const struct x402_settlement *payment)
{
    struct x402_refused refused = {.why = X402_REVERT_NONE,
                                   .tries = held->puzzles,
                                   .left_milliseconds =
                                       x402_held_left_milliseconds(chain, held)};
    int64_t wait = x402_plan_retry_milliseconds(&refused);
    int64_t most = payment->state.delivery == X402_DELIVERY_OWED
                       ? WAIT_OWED_MILLISECONDS_MAX
                       : WAIT_MILLISECONDS_MAX;

    return wait < most ? wait : most;
}

static void tell(struct x402_chain *chain, const struct x402_settlement *payment,
                 const char *what)
{
    char reason[X402_NOTE_REASON_MAX];

    snprintf(reason, sizeof reason,
             "the node does not say whether it can be paid: %.180s", what);
    x402_payment_note(chain, X402_NOTE_HELD, payment, "waiting with", reason);
}

void x402_puzzle_take(struct x402_chain *chain, const struct x402_settlement *payment,
                      const char *what)
{
    struct x402_held *held = x402_held_of(chain, payment);

    if (held == NULL || held->puzzles == 0) {
        chain->puzzled = true;
        if (chain->puzzle[0] == '\0')
            snprintf(chain->puzzle, sizeof chain->puzzle, "%s", what);
    }
    if (held == NULL)
        return;
    held->puzzles++;
    held->try_at_milliseconds =
        x402_chain_milliseconds() + wait_of(chain, held, payment);
    if (held->puzzles == 2) /* it may have been the node's trouble once */
        tell(chain, payment, what);
}

void x402_puzzle_forget(struct x402_chain *chain, const struct x402_settlement *payment)
{
    struct x402_held *held = x402_held_find(chain, payment->payment_id);

    if (held != NULL)
        held->puzzles = 0;
}

void x402_puzzles_judge(struct x402_chain *chain)
{
    if (!chain->puzzled || chain->answered)
        return;
    chain->failed = true;
    x402_chain_trouble(chain, X402_TROUBLE_NODE, "node %s does not answer eth_call: %s",
                       x402_rpc_origin(chain->rpc), chain->puzzle);
}
