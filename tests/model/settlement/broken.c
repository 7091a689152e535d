#include "model.h"

/*
 * Decisions that look reasonable, and are wrong. A checker that finds nothing proves
 * nothing until it is seen to find something.
 */

static enum x402_action believes_refusals(struct x402_state state,
                                          enum x402_sight sight, enum x402_revert why)
{
    if (state.money == X402_MONEY_DUE && sight == X402_SIGHT_REFUSED &&
        why == X402_REVERT_BLACKLISTED)
        return X402_ACTION_FAIL;
    return x402_plan(state, sight, why);
}

static enum x402_action believes_what_is_not_safe(struct x402_state state,
                                                  enum x402_sight sight,
                                                  enum x402_revert why)
{
    bool is_open = state.money == X402_MONEY_DUE || state.money == X402_MONEY_SUBMITTED;

    return sight == X402_SIGHT_UNSAFE && is_open ? X402_ACTION_FAIL
                                                 : x402_plan(state, sight, why);
}

static enum x402_action fails_the_untraced(struct x402_state state,
                                           enum x402_sight sight, enum x402_revert why)
{
    return sight == X402_SIGHT_USED_UNTRACED && state.money == X402_MONEY_DUE
               ? X402_ACTION_FAIL
               : x402_plan(state, sight, why);
}

static enum x402_action fails_what_is_gone(struct x402_state state,
                                           enum x402_sight sight, enum x402_revert why)
{
    return sight == X402_SIGHT_GONE && state.money == X402_MONEY_SUBMITTED
               ? X402_ACTION_FAIL
               : x402_plan(state, sight, why);
}

static enum x402_action fails_the_unknown(struct x402_state state,
                                          enum x402_sight sight, enum x402_revert why)
{
    return sight == X402_SIGHT_UNKNOWN && state.money == X402_MONEY_SUBMITTED
               ? X402_ACTION_FAIL
               : x402_plan(state, sight, why);
}

static enum x402_action keeps_what_was_taken_back(struct x402_state state,
                                                  enum x402_sight sight,
                                                  enum x402_revert why)
{
    return state.money == X402_MONEY_SETTLED && sight == X402_SIGHT_UNUSED
               ? X402_ACTION_WAIT
               : x402_plan(state, sight, why);
}

static enum x402_action forgets_what_is_gone(struct x402_state state,
                                             enum x402_sight sight,
                                             enum x402_revert why)
{
    return sight == X402_SIGHT_GONE ? X402_ACTION_WAIT : x402_plan(state, sight, why);
}

static enum x402_pending_action never_replaces(const struct x402_pending *pending)
{
    enum x402_pending_action action = x402_plan_pending(pending);

    return action == X402_PENDING_REPLACE ? X402_PENDING_WAIT : action;
}

static enum x402_pending_action never_halves(const struct x402_pending *pending)
{
    enum x402_pending_action action = x402_plan_pending(pending);

    return action == X402_PENDING_SHRINK ? X402_PENDING_WAIT : action;
}

static enum x402_pending_action never_sends_again(const struct x402_pending *pending)
{
    return pending->sent_milliseconds < 0 ? X402_PENDING_RESEND : X402_PENDING_WAIT;
}

static int64_t sleeps_past_the_end(const struct x402_refused *refused)
{
    return refused->tries > 2 ? 3600000 : x402_plan_retry_milliseconds(refused);
}

static enum x402_fill never_fills(bool is_blocked, int64_t age_milliseconds,
                                  bool sending, bool awaited)
{
    (void)is_blocked, (void)age_milliseconds, (void)sending, (void)awaited;
    return X402_FILL_WAIT;
}

static enum x402_fill fills_only_with_payments(bool is_blocked,
                                               int64_t age_milliseconds, bool sending,
                                               bool awaited)
{
    return sending ? x402_plan_fill(is_blocked, age_milliseconds, true, awaited)
                   : X402_FILL_WAIT;
}

static bool never_blocked(uint64_t *out_nonce, const struct x402_nonces *nonces)
{
    (void)out_nonce, (void)nonces;
    return false;
}

static bool waits_while_gas_is_dear(struct x402_batch *out,
                                    const struct x402_settlement *payments, bool *taken,
                                    size_t count,
                                    const struct x402_batch_policy *batching,
                                    const struct x402_batch_view *view)
{
    return !view->gas_is_dear &&
           x402_batch_choose(out, payments, taken, count, batching, view);
}

static enum x402_send takes_every_answer_for_yes(const char *message)
{
    (void)message;
    return X402_SEND_ACCEPTED;
}

/* ------------------------------------------------------------------------ all of them
 */

#define DECIDES(field, value)                                                          \
    {                                                                                  \
        .name = #value, .rules.field = value                                           \
    }
#define IS(field)                                                                      \
    {                                                                                  \
        .name = #field, .rules.field = true                                            \
    }

const struct broken broken[] = {
    DECIDES(plan, believes_refusals),
    DECIDES(plan, believes_what_is_not_safe),
    DECIDES(plan, fails_the_untraced),
    DECIDES(plan, fails_what_is_gone),
    DECIDES(plan, fails_the_unknown),
    DECIDES(plan, keeps_what_was_taken_back),
    DECIDES(plan, forgets_what_is_gone),
    DECIDES(pending, never_replaces),
    DECIDES(pending, never_halves),
    DECIDES(pending, never_sends_again),
    DECIDES(retry, sleeps_past_the_end),
    DECIDES(fill, never_fills),
    DECIDES(fill, fills_only_with_payments),
    DECIDES(blocked, never_blocked),
    DECIDES(choose, waits_while_gas_is_dear),
    DECIDES(classify, takes_every_answer_for_yes),
    IS(final_when_included),
    IS(final_unseen),
    IS(proof_by_status),
    IS(waits_for_the_displaced),
    IS(fills_one_at_a_time),
    IS(trusts_laggards),
};
const size_t broken_count = sizeof broken / sizeof broken[0];

/* What is not broken is true. */
struct rules rules_mended(const struct rules *rules)
{
    struct rules mended = *rules;

    if (mended.plan == NULL)
        mended.plan = x402_plan;
    if (mended.pending == NULL)
        mended.pending = x402_plan_pending;
    if (mended.retry == NULL)
        mended.retry = x402_plan_retry_milliseconds;
    if (mended.choose == NULL)
        mended.choose = x402_batch_choose;
    if (mended.fill == NULL)
        mended.fill = x402_plan_fill;
    if (mended.blocked == NULL)
        mended.blocked = x402_plan_blocked;
    if (mended.classify == NULL)
        mended.classify = x402_send_classify;
    return mended;
}
