#include "settle/chain.h"

#include "core/failpoint.h"

#include <x402/money.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MAX 512     /* settled payments looked at at once */
#define PAGES_MAX 32     /* in one look; the next goes on from there */
#define LOOK_UPS_MAX 128 /* payments without their receipt, in one look */

/* ------------------------------------------------------------------------------- pages
 */

/* Settled payments of one transaction, in one page. */
struct group {
    const struct x402_settled *first;
    struct x402_transaction_receipt receipt;
    enum x402_receipt_answer answer; /* BROKEN also when there was no answer */
    bool anchored; /* an authorization of it is used at the safe block, and the block of
                      its receipt is in the chain */
};

struct page {
    struct x402_settled *items;
    size_t items_count;
    size_t *group_of; /* each item's */
    struct group *groups;
    size_t groups_count;
    struct x402_verdict *verdicts;
    size_t verdicts_count;
    struct x402_rpc_call *calls;
};

static void release_page(struct page *page)
{
    for (size_t i = 0; i < page->groups_count; i++) {
        if (page->groups[i].answer == X402_RECEIPT_FOUND)
            x402_transaction_receipt_release(&page->groups[i].receipt);
    }
    free(page->items);
    free(page->group_of);
    free(page->groups);
    free(page->verdicts);
    free(page->calls);
    memset(page, 0, sizeof *page);
}

/* A payment may be moved and made final: three verdicts. */
static bool open_page(struct page *page)
{
    memset(page, 0, sizeof *page);
    page->items = calloc(PAGE_MAX, sizeof *page->items);
    page->group_of = calloc(PAGE_MAX, sizeof *page->group_of);
    page->groups = calloc(PAGE_MAX, sizeof *page->groups);
    page->verdicts = calloc(3 * PAGE_MAX, sizeof *page->verdicts);
    page->calls = calloc(PAGE_MAX, sizeof *page->calls);
    return page->items != NULL && page->group_of != NULL && page->groups != NULL &&
           page->verdicts != NULL && page->calls != NULL;
}

static void group_items(struct page *page)
{
    for (size_t i = 0; i < page->items_count; i++) {
        const struct x402_settled *item = &page->items[i];
        size_t group = 0;
        while (group < page->groups_count &&
               memcmp(page->groups[group].first->hash32, item->hash32, 32) != 0)
            group++;
        if (group == page->groups_count)
            page->groups[page->groups_count++].first = item;
        page->group_of[i] = group;
    }
}

/* ---------------------------------------------------------------------------- receipts
 */

static void ask_receipts(struct x402_chain *chain, struct page *page)
{
    for (size_t i = 0; i < page->groups_count; i++)
        page->calls[i] = x402_ask_receipt(page->groups[i].first->hash32);
    (void)x402_chain_ask(chain, page->calls, page->groups_count);
    for (size_t i = 0; i < page->groups_count; i++) {
        const struct x402_rpc_call *call = &page->calls[i];
        struct group *group = &page->groups[i];
        group->answer = X402_RECEIPT_BROKEN;
        if (call->reply.status == X402_RPC_RESULT)
            group->answer = x402_transaction_receipt_decode(
                &group->receipt, call->reply.result, group->first->hash32);
        if (group->answer == X402_RECEIPT_BROKEN &&
            call->reply.status != X402_RPC_FAILED)
            x402_chain_nonsense(chain, call);
    }
    x402_rpc_calls_release(page->calls, page->groups_count);
}

static bool is_below(const struct group *group, const struct x402_block *safe)
{
    return group->answer == X402_RECEIPT_FOUND && group->receipt.succeeded &&
           group->receipt.block_number <= safe->number;
}

static void tell_unanchored(struct x402_chain *chain,
                            const struct x402_rpc_reply *reply)
{
    if (!chain->unanchored_told)
        x402_chain_note(chain, X402_NOTE_NODE,
                        "%s: node %s does not answer for the safe block, and nothing "
                        "becomes final: %s",
                        chain->name, x402_rpc_origin(chain->rpc), reply->message);
    chain->unanchored_told = true;
}

/*
 * One authorization of each transaction is looked up at the safe block itself, by its
 * hash. A node left behind on a dead fork has that fork's receipts, but not this block.
 * One that keeps no state so old makes nothing final.
 */
static void ask_anchors(struct x402_chain *chain, struct page *page,
                        const struct x402_block *safe)
{
    size_t groups[PAGE_MAX], count = 0;

    for (size_t i = 0; i < page->groups_count; i++) {
        if (!is_below(&page->groups[i], safe))
            continue;
        groups[count] = i;
        page->calls[count++] =
            x402_ask_used(&page->groups[i].first->settlement, safe->hash32);
    }
    (void)x402_chain_ask(chain, page->calls, count);
    for (size_t i = 0; i < count; i++) {
        enum x402_used used = x402_used_decode(&page->calls[i].reply);
        page->groups[groups[i]].anchored = used == X402_USED_YES;
        if (page->calls[i].reply.status == X402_RPC_ERROR)
            tell_unanchored(chain, &page->calls[i].reply);
    }
    x402_rpc_calls_release(page->calls, count);
}

/*
 * A receipt remembered from before a reorganization names a block that is gone, while
 * the payment is paid at the safe block all the same: by its transaction in a later
 * one. So the block of every receipt has to be the chain's at its height.
 */
static void ask_blocks(struct x402_chain *chain, struct page *page)
{
    size_t groups[PAGE_MAX], count = 0;

    for (size_t i = 0; i < page->groups_count; i++) {
        const struct group *group = &page->groups[i];
        if (!group->anchored)
            continue;
        groups[count] = i;
        page->calls[count++] = x402_ask_block_number(group->receipt.block_number);
    }
    (void)x402_chain_ask(chain, page->calls, count);
    for (size_t i = 0; i < count; i++) {
        struct group *group = &page->groups[groups[i]];
        struct x402_block block;
        group->anchored =
            x402_block_decode(&block, page->calls[i].reply.result) &&
            memcmp(block.hash32, group->receipt.block_hash32, sizeof block.hash32) == 0;
    }
    x402_rpc_calls_release(page->calls, count);
}

/* ----------------------------------------------------------------- not where it was
 */

/* How many transactions of a signer are in blocks. */
static bool count_of(struct x402_chain *chain, uint64_t *out,
                     const uint8_t signer20[20])
{
    const struct x402_at at = {.hash32 = chain->view.latest.hash32};

    if (memcmp(signer20, chain->signer20, 20) == 0) {
        *out = chain->view.nonces.chain_latest;
        return true;
    }
    struct x402_rpc_call call = x402_ask_nonce_at(signer20, &at);
    bool fine = x402_chain_ask(chain, &call, 1);
    if (fine && !x402_json_quantity(out, call.reply.result)) {
        x402_chain_nonsense(chain, &call);
        fine = false;
    }
    x402_rpc_calls_release(&call, 1);
    return fine;
}

/* Of another key of this ledger: its settler may be gone. */
static void send_other(struct x402_chain *chain, const struct x402_outbox *outbox)
{
    if (!chain->others_are_due)
        return;
    struct x402_rpc_call call = x402_ask_send(outbox->raw, outbox->raw_size);
    (void)x402_chain_ask(chain, &call, 1);
    x402_rpc_calls_release(&call, 1);
}

/*
 * Its fee may be too low by now, and nobody raises it: after a while it is due again.
 * (Once it is in a block its nonce is spent, and all this is forgotten.)
 */
static bool is_displaced(struct x402_sent *sent)
{
    int64_t now = x402_chain_milliseconds();

    if (sent->gone_milliseconds < 0)
        sent->gone_milliseconds = now;
    return now - sent->gone_milliseconds >= X402_DISPLACED_MILLISECONDS;
}

static bool send_own(struct x402_chain *chain, int64_t transaction_id)
{
    struct x402_row row;
    const struct x402_row *list = &row;

    if (!x402_row_find(chain, &row, transaction_id))
        return false;
    struct x402_sent *sent = x402_sent_of(chain, row.nonce);
    if (sent == NULL || sent->at_milliseconds < 0 ||
        x402_chain_milliseconds() - sent->at_milliseconds >= X402_RESEND_MILLISECONDS)
        x402_rows_send(chain, &list, 1);
    x402_row_release(&row);
    return sent == NULL || !is_displaced(sent);
}

/*
 * Its block is gone, and its transaction perhaps not: while the nonce is free the same
 * bytes are sent again, so that no nonce stays unfilled. True: wait. Otherwise the
 * chain is asked what became of each payment.
 */
static bool send_again(struct x402_chain *chain, const struct x402_settled *item)
{
    int64_t id = item->settlement.transaction_id;
    struct x402_outbox outbox;
    uint64_t count;

    if (id == 0 || x402_ledger_outbox_find(chain->ledger, &outbox, id) != X402_OK ||
        memcmp(outbox.hash32, item->hash32, 32) != 0) /* somebody else's */
        return false;
    if (!count_of(chain, &count, outbox.signer20))
        return true;
    if (outbox.nonce < count)
        return false;
    if (memcmp(outbox.signer20, chain->signer20, 20) == 0)
        return send_own(chain, id);
    send_other(chain, &outbox);
    return true;
}

/*
 * A node that lags knows neither the block nor what is in it: only one that has got as
 * far as the payment's block is asked.
 */
static bool can_say(const struct x402_chain *chain, const struct x402_settled *item)
{
    return !chain->view.behind && chain->view.latest.number >= item->block_number;
}

/* All payments of a transaction that has no receipt, or those it does not prove. */
static void look_again(struct x402_chain *chain, const struct page *page, size_t group,
                       const bool *proven)
{
    const struct x402_settled *first = page->groups[group].first;

    chain->displaced++;
    if (!can_say(chain, first) ||
        (page->groups[group].answer == X402_RECEIPT_ABSENT && send_again(chain, first)))
        return;
    for (size_t i = 0; i < page->items_count && !x402_chain_stopping(chain); i++) {
        struct x402_finding finding = {.sight = X402_SIGHT_GONE};
        if (page->group_of[i] != group || proven[i])
            continue;
        if (chain->looked_again++ < LOOK_UPS_MAX)
            (void)x402_chain_act(chain, &page->items[i].settlement, &finding);
    }
}

/* ---------------------------------------------------------------------------- verdicts
 */

static struct x402_verdict *add_verdict(struct page *page,
                                        const struct x402_settled *item,
                                        enum x402_event event)
{
    struct x402_verdict *verdict = &page->verdicts[page->verdicts_count++];

    *verdict = (struct x402_verdict){.payment_id = item->settlement.payment_id,
                                     .event = event,
                                     .transaction_id = item->settlement.transaction_id};
    return verdict;
}

/* All payments of a transaction of ours, by which its cost is shared. */
struct members {
    struct x402_settlement *payments; /* NULL: of somebody else, or not known */
    size_t count;
};

static struct members members_of(struct x402_chain *chain, const struct group *group)
{
    int64_t id = group->first->settlement.transaction_id;
    struct members members = {NULL, 0};

    if (id != 0)
        members.payments = calloc(X402_ROW_PAYMENTS_MAX, sizeof *members.payments);
    if (members.payments != NULL &&
        x402_ledger_outbox_payments(chain->ledger, id, members.payments,
                                    X402_ROW_PAYMENTS_MAX, &members.count) != X402_OK)
        members.count = 0;
    return members;
}

static struct x402_cost cost_of(const struct members *members, int64_t payment_id,
                                const struct x402_transaction_receipt *receipt)
{
    struct x402_cost whole = {receipt->gas_used, receipt->fee_wei};

    for (size_t i = 0; i < members->count; i++) {
        if (members->payments[i].payment_id == payment_id)
            return x402_cost_share(whole, i, members->count);
    }
    return (struct x402_cost){0, 0};
}

/* In another block than recorded: out of the old one and into the new at once. */
static void add_move(struct page *page, const struct x402_settled *item,
                     const struct x402_transaction_receipt *receipt,
                     struct x402_cost cost)
{
    struct x402_verdict *verdict;

    (void)add_verdict(page, item, X402_EVENT_UNSETTLED);
    verdict = add_verdict(page, item, X402_EVENT_SETTLED);
    memcpy(verdict->hash32, receipt->hash32, 32);
    memcpy(verdict->block_hash32, receipt->block_hash32, 32);
    verdict->block_number = receipt->block_number;
    verdict->gas_used = cost.gas_used;
    verdict->fee_wei = cost.fee_wei;
}

static bool is_moved(const struct x402_settled *item,
                     const struct x402_transaction_receipt *receipt)
{
    return receipt->block_number != item->block_number ||
           memcmp(receipt->block_hash32, item->block_hash32, 32) != 0;
}

/* One proved payment of a transaction that has a receipt. */
static void judge_item(struct x402_chain *chain, struct page *page,
                       const struct x402_settled *item, const struct group *group,
                       struct members *members)
{
    const struct x402_transaction_receipt *receipt = &group->receipt;

    if (!is_moved(item, receipt))
        return;
    if (members->payments == NULL)
        *members = members_of(chain, group);
    chain->displaced += receipt->block_number != item->block_number;
    add_move(page, item, receipt,
             cost_of(members, item->settlement.payment_id, receipt));
}

static void judge_group(struct x402_chain *chain, struct page *page, size_t index,
                        const struct x402_block *safe)
{
    struct group *group = &page->groups[index];
    const struct x402_transaction_receipt *receipt = &group->receipt;
    bool proven[PAGE_MAX] = {false}, all = true;
    bool final = is_below(group, safe) && group->anchored;
    struct members members = {NULL, 0};

    for (size_t i = 0; i < page->items_count; i++) {
        const struct x402_settled *item = &page->items[i];
        if (page->group_of[i] != index)
            continue;
        proven[i] = receipt->succeeded &&
                    x402_proof_of_payment(receipt->logs, receipt->logs_count,
                                          &item->settlement);
        all = all && proven[i];
        if (proven[i])
            judge_item(chain, page, item, group, &members);
        if (proven[i] && final)
            (void)add_verdict(page, item, X402_EVENT_FINAL);
    }
    free(members.payments);
    if (!all)
        look_again(chain, page, index, proven);
}

static const struct x402_settlement *payment_of(const struct page *page,
                                                int64_t payment_id)
{
    size_t i = 0;

    while (page->items[i].settlement.payment_id != payment_id)
        i++;
    return &page->items[i].settlement;
}

/* The payments of which the ledger took a verdict of a kind; how many. */
static size_t find_applied(const struct page *page, enum x402_event event,
                           const struct x402_settlement *out[PAGE_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < page->verdicts_count && count < PAGE_MAX; i++) {
        if (page->verdicts[i].applied && page->verdicts[i].event == event)
            out[count++] = payment_of(page, page->verdicts[i].payment_id);
    }
    return count;
}

static void tell_moved(struct x402_chain *chain,
                       const struct x402_settlement *const *payments, size_t count)
{
    struct x402_note_event event;

    x402_note_begin(&event, chain, X402_NOTE_MOVED);
    x402_note_put_payments(&event, chain, payments, count);
    x402_note_tell(chain->options, &event, "moved to another block: %zu payment%s",
                   count, count == 1 ? "" : "s");
}

static void tell_final(struct x402_chain *chain,
                       const struct x402_settlement *const *payments, size_t count,
                       const struct x402_block *safe)
{
    struct x402_note_event event;

    x402_note_begin(&event, chain, X402_NOTE_FINAL);
    x402_note_put_payments(&event, chain, payments, count);
    event.block = safe->number;
    x402_note_tell(chain->options, &event, "final: %zu payment%s, safe block %" PRIu64,
                   count, count == 1 ? "" : "s", safe->number);
}

/* A hash that changed is not told: that of a block not sealed yet is none to keep. */
static void tell(struct x402_chain *chain, const struct page *page, size_t displaced,
                 const struct x402_block *safe)
{
    const struct x402_settlement *payments[PAGE_MAX];
    size_t moved = find_applied(page, X402_EVENT_SETTLED, payments);

    if (moved > 0 && displaced > 0)
        tell_moved(chain, payments, moved);
    size_t final = find_applied(page, X402_EVENT_FINAL, payments);
    if (final > 0)
        tell_final(chain, payments, final, safe);
    chain->moved += moved + final;
}

static void judge_page(struct x402_chain *chain, struct page *page,
                       const struct x402_block *safe)
{
    static const bool none_proven[PAGE_MAX];
    size_t displaced = chain->displaced;

    for (size_t i = 0; i < page->groups_count && !x402_chain_stopping(chain); i++) {
        if (page->groups[i].answer == X402_RECEIPT_FOUND)
            judge_group(chain, page, i, safe);
        else if (page->groups[i].answer == X402_RECEIPT_ABSENT)
            look_again(chain, page, i, none_proven);
    }
    if (page->verdicts_count == 0)
        return;
    if (x402_ledger_advance(chain->ledger, page->verdicts, page->verdicts_count)) {
        x402_chain_ledger_failed(chain);
        return;
    }
    X402_FAILPOINT(settler_finalized);
    tell(chain, page, chain->displaced - displaced, safe);
}

/* ------------------------------------------------------------------------------- looks
 */

/* One page behind the last one; true when there may be more. */
static bool check_page(struct x402_chain *chain, uint64_t horizon,
                       const struct x402_block *safe)
{
    struct page page;
    bool fine = open_page(&page);

    if (!fine ||
        x402_ledger_settled(chain->ledger, chain->network.chain_id, horizon,
                            chain->final_continues ? &chain->final_after : NULL,
                            page.items, PAGE_MAX, &page.items_count)) {
        x402_chain_ledger_failed(chain);
        fine = false;
    }
    chain->final_continues = fine && page.items_count == PAGE_MAX;
    if (fine && page.items_count > 0) {
        chain->final_after = page.items[page.items_count - 1];
        group_items(&page);
        ask_receipts(chain, &page);
        ask_anchors(chain, &page, safe);
        ask_blocks(chain, &page);
        judge_page(chain, &page, safe);
    }
    release_page(&page);
    return chain->final_continues;
}

/*
 * Goes on at the next look where this one had enough, and then from the beginning. True
 * when the end was reached, and every question answered.
 */
static bool check_pages(struct x402_chain *chain, uint64_t horizon,
                        const struct x402_block *safe)
{
    int64_t now = x402_chain_milliseconds();
    bool more = true;

    chain->looked_again = 0;
    chain->others_are_due =
        now - chain->others_milliseconds >= X402_RESEND_MILLISECONDS;
    if (chain->others_are_due)
        chain->others_milliseconds = now;
    for (int i = 0; more && i < PAGES_MAX && !x402_chain_stopping(chain); i++)
        more = check_page(chain, horizon, safe) && !chain->failed;
    if (chain->failed)
        chain->final_continues = false;
    return !more && !chain->failed;
}

/*
 * After the chain went back everything settled is looked at, safe or not, until a whole
 * look finds all of it where it is recorded.
 */
static void check_whole(struct x402_chain *chain, const struct x402_block *safe)
{
    if (!chain->final_continues || !chain->final_whole) {
        chain->final_continues = false;
        chain->final_whole = true;
        chain->displaced = 0;
    }
    if (check_pages(chain, X402_VALUE_MAX, safe))
        chain->rechecking = chain->displaced > 0;
}

static void check_safe(struct x402_chain *chain, const struct x402_block *safe)
{
    chain->final_continues = chain->final_continues && !chain->final_whole;
    chain->final_whole = false;
    (void)check_pages(chain, safe->number, safe);
}

bool x402_finality_is_due(const struct x402_chain *chain)
{
    int64_t since = x402_chain_milliseconds() - chain->finality_milliseconds;

    return since >= (x402_chain_is_shaken(chain) ? X402_FINALITY_SHAKEN_MILLISECONDS
                                                 : X402_FINALITY_MILLISECONDS);
}

void x402_finality_check(struct x402_chain *chain)
{
    struct x402_block safe = {0};

    if (!x402_finality_is_due(chain) || chain->view.behind)
        return;
    bool known = x402_chain_safe(chain, &safe);
    if (x402_chain_is_shaken(chain))
        check_whole(chain, &safe);
    else if (known)
        check_safe(chain, &safe);
    if (known)
        chain->finality_milliseconds = x402_chain_milliseconds();
}
