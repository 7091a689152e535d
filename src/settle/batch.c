#include "settle/batch.h"

#include <assert.h>
#include <string.h>

#define TARGET 100
#define AGE_SECONDS 10
#define DEADLINE_SECONDS 60
/* Groups whose members are counted; those beyond go when they are old. */
#define GROUPS_MAX 64

struct x402_batch_policy x402_batch_policy_default(bool has_contract)
{
    if (!has_contract)
        return (struct x402_batch_policy){1, 1, 0, DEADLINE_SECONDS};
    return (struct x402_batch_policy){X402_BATCH_MAX, TARGET, AGE_SECONDS,
                                      DEADLINE_SECONDS};
}

const char *x402_batch_why_name(enum x402_batch_why why)
{
    switch (why) {
    case X402_BATCH_FULL:
        return "full";
    case X402_BATCH_OLD:
        return "old";
    case X402_BATCH_DEADLINE:
        return "deadline";
    case X402_BATCH_WAITED_FOR:
        return "waited for";
    case X402_BATCH_NONE:
        break;
    }
    return "none";
}

/* ----------------------------------------------------------------------- one payment
 */

static bool is_owed(const struct x402_settlement *payment)
{
    return payment->state.delivery == X402_DELIVERY_OWED;
}

/* How long before its end a payment goes whatever it costs. */
static int64_t deadline_of(const struct x402_settlement *payment,
                           const struct x402_batch_policy *policy)
{
    int64_t most = policy->deadline_seconds, least = most / 2, half;
    uint64_t due_at =
        payment->due_at_seconds > 0 ? (uint64_t)payment->due_at_seconds : 0;

    if (payment->valid_before_seconds <= due_at)
        return most;
    uint64_t life = payment->valid_before_seconds - due_at;
    if (life / 2 >= (uint64_t)most)
        return most;
    half = (int64_t)(life / 2);
    return half > least ? half : least;
}

static bool is_near_its_end(const struct x402_settlement *payment,
                            const struct x402_batch_policy *policy, uint64_t now)
{
    uint64_t end = payment->valid_before_seconds;

    return end <= now || end - now <= (uint64_t)deadline_of(payment, policy);
}

/* A payment that became due in the future did so before somebody set our clock back. */
static bool is_old(const struct x402_settlement *payment,
                   const struct x402_batch_policy *policy, uint64_t now)
{
    int64_t waited = (int64_t)now - payment->due_at_seconds;

    return waited >= policy->age_seconds || waited < -policy->age_seconds;
}

static enum x402_batch_why claim_of(const struct x402_settlement *payment,
                                    const struct x402_batch_policy *policy,
                                    const struct x402_batch_view *view)
{
    if (is_owed(payment))
        return X402_BATCH_WAITED_FOR;
    if (is_near_its_end(payment, policy, view->now_seconds))
        return X402_BATCH_DEADLINE;
    if (!view->gas_is_dear && is_old(payment, policy, view->now_seconds))
        return X402_BATCH_OLD;
    return X402_BATCH_NONE;
}

static bool same_group(const struct x402_settlement *a, const struct x402_settlement *b)
{
    return memcmp(a->asset20, b->asset20, 20) == 0 && memcmp(a->to20, b->to20, 20) == 0;
}

/* ------------------------------------------------------------------------- the group
 */

struct lead {
    enum x402_batch_why why;
    size_t index; /* a payment of the group that goes */
};

/* The strongest claim of a single payment. */
static struct lead lead_by_claim(const struct x402_settlement *payments,
                                 const bool *taken, size_t count,
                                 const struct x402_batch_policy *policy,
                                 const struct x402_batch_view *view)
{
    struct lead lead = {X402_BATCH_NONE, 0};

    for (size_t i = 0; i < count; i++) {
        if (taken[i])
            continue;
        enum x402_batch_why why = claim_of(&payments[i], policy, view);
        if (why > lead.why || (why == lead.why && why != X402_BATCH_NONE &&
                               payments[i].valid_before_seconds <
                                   payments[lead.index].valid_before_seconds))
            lead = (struct lead){why, i};
    }
    return lead;
}

/* The first group that is large enough, whatever its payments claim. */
static struct lead lead_by_size(const struct x402_settlement *payments,
                                const bool *taken, size_t count, size_t target)
{
    size_t firsts[GROUPS_MAX], sizes[GROUPS_MAX], groups = 0, group;

    for (size_t i = 0; i < count; i++) {
        if (taken[i])
            continue;
        for (group = 0; group < groups; group++) {
            if (same_group(&payments[firsts[group]], &payments[i]))
                break;
        }
        if (group == GROUPS_MAX)
            continue;
        if (group == groups) {
            firsts[groups] = i;
            sizes[groups++] = 0;
        }
        if (++sizes[group] >= target)
            return (struct lead){X402_BATCH_FULL, firsts[group]};
    }
    return (struct lead){X402_BATCH_NONE, 0};
}

/* ------------------------------------------------------------------------- the batch
 */

/* What is only old may stay behind like what is not. */
static enum x402_batch_why need_of(const struct x402_settlement *payment,
                                   const struct x402_batch_policy *policy,
                                   const struct x402_batch_view *view)
{
    enum x402_batch_why why = claim_of(payment, policy, view);

    return why == X402_BATCH_WAITED_FOR || why == X402_BATCH_DEADLINE ? why
                                                                      : X402_BATCH_NONE;
}

static bool goes_before(const struct x402_settlement *a,
                        const struct x402_settlement *b,
                        const struct x402_batch_policy *policy,
                        const struct x402_batch_view *view)
{
    enum x402_batch_why need = need_of(a, policy, view);
    enum x402_batch_why other = need_of(b, policy, view);

    return need != other ? need > other
                         : a->valid_before_seconds < b->valid_before_seconds;
}

/* Keeps the batch in order, and the last out when there is no room. */
static void add(struct x402_batch *batch, size_t max,
                const struct x402_settlement *payments, size_t index,
                const struct x402_batch_policy *policy,
                const struct x402_batch_view *view)
{
    size_t place = batch->count;

    while (place > 0 && goes_before(&payments[index],
                                    &payments[batch->indexes[place - 1]], policy, view))
        place--;
    if (place == max)
        return;
    if (batch->count < max)
        batch->count++;
    memmove(&batch->indexes[place + 1], &batch->indexes[place],
            (batch->count - 1 - place) * sizeof batch->indexes[0]);
    batch->indexes[place] = index;
}

/* While gas is dear only what cannot wait goes along. */
static bool goes_along(const struct x402_settlement *payment,
                       const struct x402_settlement *lead,
                       const struct x402_batch_policy *policy,
                       const struct x402_batch_view *view)
{
    return same_group(payment, lead) &&
           (!view->gas_is_dear || claim_of(payment, policy, view) != X402_BATCH_NONE);
}

bool x402_batch_choose(struct x402_batch *out, const struct x402_settlement *payments,
                       bool *taken, size_t count,
                       const struct x402_batch_policy *policy,
                       const struct x402_batch_view *view)
{
    size_t max = policy->max < X402_BATCH_MAX ? policy->max : X402_BATCH_MAX;
    size_t target = policy->target < max ? policy->target : max;
    struct lead lead = lead_by_claim(payments, taken, count, policy, view);

    assert(max > 0);
    if (lead.why == X402_BATCH_NONE && !view->gas_is_dear)
        lead = lead_by_size(payments, taken, count, target);
    if (lead.why == X402_BATCH_NONE)
        return false;
    out->why = lead.why;
    out->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!taken[i] && goes_along(&payments[i], &payments[lead.index], policy, view))
            add(out, max, payments, i, policy, view);
    }
    for (size_t i = 0; i < out->count; i++)
        taken[out->indexes[i]] = true;
    return true;
}
