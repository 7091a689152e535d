#include "settle/chain.h"

#include "evm/abi.h"
#include "evm/facilitator.h"

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
    uint64_t balance;
    bool known;
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

/* ------------------------------------------------------------------------- balances */

static const uint8_t *asset_of(const struct group *group)
{
    return group->claims[0].payment->asset20;
}

/*
 * At the block of the pass, which is the one that what is under way was asked about: a
 * transfer is not counted twice, as gone from the balance and as under way.
 */
static void ask_balances(struct x402_chain *chain, struct group *groups, size_t count)
{
    struct x402_rpc_call *calls = calloc(count, sizeof *calls);
    uint8_t data[X402_ABI_BALANCE_OF_SIZE];

    if (calls == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        x402_abi_balance_of(data, groups[i].claims[0].payment->from20);
        calls[i] = x402_ask_call(NULL, asset_of(&groups[i]), data, sizeof data, NULL,
                                 chain->view.latest.number);
    }
    (void)x402_chain_ask(chain, calls, count);
    for (size_t i = 0; i < count; i++) {
        groups[i].known = x402_json_amount(&groups[i].balance, calls[i].reply.result);
        if (!groups[i].known && calls[i].reply.status != X402_RPC_FAILED)
            x402_chain_nonsense(chain, &calls[i]);
    }
    x402_rpc_calls_release(calls, count);
    free(calls);
}

/* The same of many payers of one token, in one call of the contract. */
struct look {
    uint8_t payers[X402_FACILITATOR_LOOK_MAX * 20];
    uint8_t data[X402_FACILITATOR_LOOK_SIZE_MAX];
    uint8_t returned[(X402_FACILITATOR_LOOK_MAX + 2) * 32];
    struct x402_facilitator_seen seen[X402_FACILITATOR_LOOK_MAX];
};

/* Each takes about 8,000; before the last one 60,000 must be left. */
#define LOOK_GAS_BASE 200000
#define LOOK_GAS_PAYER 20000

static bool take_look(struct look *look, struct group *groups, size_t count,
                      const struct x402_rpc_call *call)
{
    size_t size;

    if (!x402_json_data(look->returned, &size, sizeof look->returned,
                        call->reply.result) ||
        !x402_facilitator_look_decode(look->seen, count, look->returned, size))
        return false;
    for (size_t i = 0; i < count; i++) {
        groups[i].known = look->seen[i].known;
        groups[i].balance = look->seen[i].balance;
    }
    return true;
}

/* `count` groups of one token. */
static void look_at(struct x402_chain *chain, struct group *groups, size_t count)
{
    struct look *look = malloc(sizeof *look);

    if (look == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        memcpy(look->payers + 20 * i, groups[i].claims[0].payment->from20, 20);
    size_t size = x402_facilitator_look_encode(look->data, sizeof look->data,
                                               asset_of(groups), look->payers, count);
    struct x402_rpc_call call = x402_ask_call_gas(
        NULL, x402_facilitator_address20, look->data, size,
        LOOK_GAS_BASE + LOOK_GAS_PAYER * count, NULL, chain->view.latest.number);
    if (x402_chain_ask(chain, &call, 1) && !take_look(look, groups, count, &call))
        x402_chain_nonsense(chain, &call);
    x402_rpc_calls_release(&call, 1);
    free(look);
}

static void learn_balances(struct x402_chain *chain, struct group *groups, size_t count)
{
    for (size_t i = 0, n; i < count && !x402_chain_stopping(chain); i += n) {
        for (n = 1; i + n < count && n < X402_FACILITATOR_LOOK_MAX &&
                    memcmp(asset_of(&groups[i]), asset_of(&groups[i + n]), 20) == 0;
             n++)
            ;
        if (chain->has_contract && n > 1)
            look_at(chain, &groups[i], n);
        else
            ask_balances(chain, &groups[i], n);
    }
}

/* -------------------------------------------------------------------------- judging */

/*
 * Our own arithmetic, at a block that is over: what somebody waits for is not failed by
 * it, only left for the next pass.
 */
static void refuse(struct claim *claim)
{
    memset(claim->finding, 0, sizeof *claim->finding);
    if (claim->payment->state.delivery == X402_DELIVERY_OWED)
        return;
    claim->finding->sight = X402_SIGHT_REFUSED;
    claim->finding->why = X402_REVERT_FUNDS;
    claim->finding->by_us = true;
    snprintf(claim->finding->reason, sizeof claim->finding->reason,
             "the payer's balance does not cover all its payments under way");
}

static void judge(struct group *group)
{
    uint64_t left = group->balance;

    for (size_t i = 0; i < group->count; i++) {
        struct claim *claim = &group->claims[i];
        uint64_t value = claim->payment->value;
        if (claim->finding != NULL && !group->known) {
            memset(claim->finding, 0, sizeof *claim->finding);
        } else if (value <= left) {
            left -= value;
        } else if (claim->finding != NULL) {
            refuse(claim);
        } else {
            left = 0;
        }
    }
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
        learn_balances(chain, groups, groups_count);
        for (size_t i = 0; i < groups_count; i++)
            judge(&groups[i]);
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
