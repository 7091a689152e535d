#include "settle/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * A simulation does not see what is under way, nor what goes in another transaction
 * just now. A payer with money for one call who makes a hundred would pass a hundred
 * times, and we would pay the gas of ninety-nine transfers that fail. So where a payer
 * has several in different transactions, they must fit its balance together. Within one
 * batch the contract has seen to that.
 */

/* A payment whose money is spoken for: under way, or about to be sent. */
struct claim {
    const struct x402_settlement *payment;
    struct x402_finding *finding; /* NULL: under way */
    size_t transaction;           /* 0: under way; otherwise a batch */
    size_t order;
};

/* The claims on one payer's money. */
struct group {
    struct claim *claims;
    size_t count;
};

static int compare_payers(const struct x402_settlement *a,
                          const struct x402_settlement *b)
{
    int order = memcmp(a->asset20, b->asset20, 20);

    return order != 0 ? order : memcmp(a->from20, b->from20, 20);
}

/* By token, then payer, then what is under way first. */
static int compare_claims(const void *left, const void *right)
{
    const struct claim *a = left, *b = right;
    int order = compare_payers(a->payment, b->payment);

    if (order != 0)
        return order;
    return a->order < b->order ? -1 : a->order > b->order;
}

/* ------------------------------------------------------------------------ gathering */

static size_t claims_max(const struct x402_chain *chain,
                         const struct x402_batch *batches, size_t count)
{
    size_t max = chain->flights.payments_count;

    for (size_t i = 0; i < count; i++)
        max += batches[i].count;
    return max;
}

static size_t gather_claims(struct claim *claims, const struct x402_chain *chain,
                            struct x402_dues *dues, const struct x402_batch *batches,
                            size_t count)
{
    size_t total = 0;

    for (size_t i = 0; i < chain->flights.payments_count; i++, total++)
        claims[total] = (struct claim){&chain->flights.payments[i], NULL, 0, total};
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < batches[i].count; j++) {
            size_t index = batches[i].indexes[j];
            struct x402_finding *finding = &dues->findings[index];
            if (finding->sight != X402_SIGHT_PASSES)
                continue;
            claims[total] =
                (struct claim){&dues->payments[index], finding, i + 1, total};
            total++;
        }
    }
    qsort(claims, total, sizeof *claims, compare_claims);
    return total;
}

/* Whether there is anything new in it, beside another transaction. */
static bool is_shared(const struct group *group)
{
    const struct claim *claims = group->claims;

    return claims[group->count - 1].finding != NULL &&
           claims[0].transaction != claims[group->count - 1].transaction;
}

static size_t gather_groups(struct group *groups, struct claim *claims, size_t count)
{
    size_t total = 0;

    for (size_t i = 0, n; i < count; i += n) {
        struct group *group = &groups[total];
        for (n = 1; i + n < count &&
                    compare_payers(claims[i].payment, claims[i + n].payment) == 0;
             n++)
            ;
        *group = (struct group){.claims = &claims[i], .count = n};
        total += is_shared(group);
    }
    return total;
}

/* -------------------------------------------------------------------------- judging */

void x402_funds_refuse(struct x402_finding *finding,
                       const struct x402_settlement *payment)
{
    memset(finding, 0, sizeof *finding);
    if (payment->state.delivery == X402_DELIVERY_OWED)
        return;
    finding->sight = X402_SIGHT_REFUSED;
    finding->why = X402_REVERT_FUNDS;
    finding->by_us = true;
    snprintf(finding->reason, sizeof finding->reason,
             "the payer's balance does not cover all its payments under way");
}

/* What nobody knows a balance for is not sent, and not refused either. */
static void leave(struct x402_chain *chain, struct group *group, bool odd)
{
    for (size_t i = 0; i < group->count; i++) {
        struct claim *claim = &group->claims[i];
        if (claim->finding == NULL)
            continue;
        memset(claim->finding, 0, sizeof *claim->finding);
        if (odd)
            x402_puzzle_take(chain, claim->payment, "no balance of its payer");
    }
}

static void judge(struct group *group, uint64_t left)
{
    for (size_t i = 0; i < group->count; i++) {
        struct claim *claim = &group->claims[i];
        uint64_t value = claim->payment->value;
        if (value <= left)
            left -= value;
        else if (claim->finding != NULL)
            x402_funds_refuse(claim->finding, claim->payment);
        else
            left = 0;
    }
}

/* False without memory. */
static bool judge_all(struct x402_chain *chain, struct group *groups, size_t count)
{
    static const struct x402_balances_how how = {.in_pass = true};
    struct x402_balance *balances = calloc(count + 1, sizeof *balances);

    if (balances == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        memcpy(balances[i].asset20, groups[i].claims[0].payment->asset20, 20);
        memcpy(balances[i].payer20, groups[i].claims[0].payment->from20, 20);
    }
    (void)x402_balances_ask(chain, balances, count, &how);
    for (size_t i = 0; i < count; i++) {
        if (balances[i].known)
            judge(&groups[i], balances[i].units);
        else
            leave(chain, &groups[i], balances[i].odd);
    }
    free(balances);
    return true;
}

bool x402_funds_check(struct x402_chain *chain, struct x402_dues *dues,
                      const struct x402_batch *batches, size_t count)
{
    size_t max = claims_max(chain, batches, count);
    struct claim *claims = calloc(max + 1, sizeof *claims);
    struct group *groups = calloc(max + 1, sizeof *groups);

    bool fine = claims != NULL && groups != NULL;
    if (fine) {
        size_t claims_count = gather_claims(claims, chain, dues, batches, count);
        size_t groups_count = gather_groups(groups, claims, claims_count);
        fine = judge_all(chain, groups, groups_count);
    }
    free(claims);
    free(groups);
    return fine;
}

bool x402_funds_are_shared(const struct x402_chain *chain, const struct x402_dues *dues,
                           const struct x402_batch *batch, size_t index)
{
    const struct x402_settlement *payment = &dues->payments[index];

    for (size_t i = 0; i < chain->flights.payments_count; i++) {
        if (compare_payers(&chain->flights.payments[i], payment) == 0)
            return true;
    }
    for (size_t i = 0; i < batch->count; i++) {
        size_t other = batch->indexes[i];
        if (other != index && dues->findings[other].sight == X402_SIGHT_PASSES &&
            compare_payers(&dues->payments[other], payment) == 0)
            return true;
    }
    return false;
}
