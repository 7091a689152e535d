/*
 * The ledger beside the chain. Rows are read a page at a time and the node is asked
 * between pages, so that nothing of the ledger is held while the network is slow.
 */
#include "cli/check.h"
#include "evm/abi.h"
#include "settle/ask.h"
#include "settle/proof.h"

#include <stdarg.h>
#include <string.h>

#define PAGE_MAX 128
#define WORD_SIZE 32

struct chain {
    struct x402_findings *findings;
    struct x402_ledger *ledger;
    struct x402_rpc *rpc;
    uint64_t chain_id;
    char label[X402_CAIP2_TEXT_SIZE];
    size_t proven, unused; /* payments found as they should be */
    bool given_up;         /* the node or the ledger cannot be read */
};

static void give_up(struct chain *chain, const char *why)
{
    x402_finding_add(chain->findings, X402_FINDING_FAIL, chain->label, "%s", why);
    chain->given_up = true;
}

__attribute__((format(printf, 4, 5))) static void find_payment(
    struct chain *chain, enum x402_finding finding, const struct x402_payment_row *row,
    const char *format, ...)
{
    char subject[40], text[256];
    va_list arguments;
    snprintf(subject, sizeof subject, "payment %lld",
             (long long)row->settlement.payment_id);
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    x402_finding_add(chain->findings, finding, subject, "%s", text);
}

/* ---------------------------------------------------------------------- receipts */

static bool same_transaction(const struct x402_payment_row *a,
                             const struct x402_payment_row *b)
{
    return a->has_transaction == b->has_transaction &&
           memcmp(a->transaction32, b->transaction32, sizeof a->transaction32) == 0;
}

/* Settled on a facilitator's word: it names no block. */
static void compare_receipt(struct chain *chain, const struct x402_payment_row *row,
                            const struct x402_transaction_receipt *receipt)
{
    if (!receipt->succeeded)
        find_payment(chain, X402_FINDING_FAIL, row, "its transaction was reverted");
    else if (!x402_proof_of_payment(receipt->logs, receipt->logs_count,
                                    &row->settlement))
        find_payment(chain, X402_FINDING_FAIL, row,
                     "its transaction does not hold the logs that prove it");
    else if (row->block_number != 0 && receipt->block_number != row->block_number)
        find_payment(chain, X402_FINDING_FAIL, row,
                     "it is in block %llu, the ledger says %llu",
                     (unsigned long long)receipt->block_number,
                     (unsigned long long)row->block_number);
    else
        chain->proven++;
}

/* The payments of a page that are in the transaction of its `first`. */
static void compare_reply(struct chain *chain,
                          const struct x402_payment_row *const *rows, size_t count,
                          size_t first, const struct x402_rpc_call *call)
{
    struct x402_transaction_receipt receipt;
    enum x402_receipt_answer answer = X402_RECEIPT_BROKEN;
    if (call->reply.status != X402_RPC_RESULT) {
        give_up(chain, x402_rpc_message(chain->rpc));
        return;
    }
    answer = x402_transaction_receipt_decode(&receipt, call->reply.result,
                                             rows[first]->transaction32);
    if (answer == X402_RECEIPT_BROKEN) {
        give_up(chain, "the node's answer is not a receipt");
        return;
    }
    for (size_t i = first; i < count; i++) {
        if (!same_transaction(rows[i], rows[first]))
            continue;
        if (answer == X402_RECEIPT_FOUND)
            compare_receipt(chain, rows[i], &receipt);
        else
            find_payment(chain, X402_FINDING_FAIL, rows[i],
                         "its transaction is not on the chain");
    }
    if (answer == X402_RECEIPT_FOUND)
        x402_transaction_receipt_release(&receipt);
}

/* One receipt a transaction, however many payments are in it. */
static void check_settled(struct chain *chain,
                          const struct x402_payment_row *const *rows, size_t count)
{
    struct x402_rpc_call calls[PAGE_MAX];
    size_t firsts[PAGE_MAX], transactions = 0;
    for (size_t i = 0; i < count; i++) {
        size_t first = 0;
        while (!same_transaction(rows[first], rows[i]))
            first++;
        if (!rows[i]->has_transaction)
            find_payment(chain, X402_FINDING_FAIL, rows[i],
                         "it is settled without a transaction");
        else if (first == i)
            firsts[transactions++] = i;
    }
    for (size_t i = 0; i < transactions; i++)
        calls[i] = x402_ask_receipt(rows[firsts[i]]->transaction32);
    x402_rpc_perform(chain->rpc, calls, transactions);
    for (size_t i = 0; i < transactions && !chain->given_up; i++)
        compare_reply(chain, rows, count, firsts[i], &calls[i]);
    x402_rpc_calls_release(calls, transactions);
}

/* ---------------------------------------------------------------- authorizations */

static struct x402_rpc_call ask_used(const struct x402_settlement *payment)
{
    uint8_t data[X402_ABI_AUTHORIZATION_STATE_SIZE];
    x402_abi_authorization_state(data, payment->from20, payment->nonce32);
    return x402_ask_call(NULL, payment->asset20, data, sizeof data, "latest", 0);
}

/* Its payer may have cancelled it, or another gateway of the payee collected it. */
static void check_released(struct chain *chain,
                           const struct x402_payment_row *const *rows, size_t count)
{
    static const uint8_t unused32[WORD_SIZE];
    struct x402_rpc_call calls[PAGE_MAX];
    for (size_t i = 0; i < count; i++)
        calls[i] = ask_used(&rows[i]->settlement);
    x402_rpc_perform(chain->rpc, calls, count);
    for (size_t i = 0; i < count && !chain->given_up; i++) {
        uint8_t word32[WORD_SIZE];
        if (calls[i].reply.status != X402_RPC_RESULT)
            give_up(chain, x402_rpc_message(chain->rpc));
        else if (!x402_json_bytes(word32, sizeof word32, calls[i].reply.result))
            give_up(chain, "the token's answer is not a state of an authorization");
        else if (memcmp(word32, unused32, sizeof word32) == 0)
            chain->unused++;
        else
            find_payment(
                chain, X402_FINDING_NOTE, rows[i],
                "not charged by this ledger (%s), and its authorization is used "
                "or cancelled on the chain",
                x402_delivery_name(rows[i]->settlement.state.delivery));
    }
    x402_rpc_calls_release(calls, count);
}

/* ------------------------------------------------------------------------- pages */

typedef void check_page(struct chain *chain, const struct x402_payment_row *const *rows,
                        size_t count);

/* Every payment of this chain whose money is in a state. */
static void each_page(struct chain *chain, enum x402_money money, check_page *check)
{
    struct x402_rows page = {0};
    struct x402_payment_filter filter = {
        .by_money = true, .money = money, .follow = true, .limit = PAGE_MAX};
    while (!chain->given_up) {
        const struct x402_payment_row *rows[PAGE_MAX];
        size_t count = 0;
        if (!x402_rows_read(&page, "check", chain->ledger, &filter)) {
            give_up(chain, "the ledger cannot be read");
            break;
        }
        for (size_t i = 0; i < page.count && i < PAGE_MAX; i++) {
            if (page.rows[i].settlement.chain_id == chain->chain_id)
                rows[count++] = &page.rows[i];
        }
        if (page.count == 0)
            break;
        filter.after_id = page.rows[page.count - 1].settlement.payment_id;
        if (count > 0)
            check(chain, rows, count);
    }
    x402_rows_release(&page);
}

static void check_chain_id(struct chain *chain)
{
    struct x402_rpc_call call = x402_ask_chain_id();
    uint64_t chain_id;
    x402_rpc_perform(chain->rpc, &call, 1);
    if (call.reply.status != X402_RPC_RESULT)
        give_up(chain, x402_rpc_message(chain->rpc));
    else if (!x402_json_quantity(&chain_id, call.reply.result) ||
             chain_id != chain->chain_id)
        give_up(chain, "the node is of another chain");
    x402_rpc_calls_release(&call, 1);
}

void x402_check_chain(struct x402_findings *findings, struct x402_ledger *ledger,
                      const struct x402_rpc_option *rpc)
{
    struct chain chain = {
        .findings = findings, .ledger = ledger, .chain_id = rpc->network.chain_id};
    x402_cli_network_label(chain.label, &rpc->network);
    chain.rpc = x402_rpc_open(rpc->url, NULL, NULL);
    if (chain.rpc == NULL) {
        give_up(&chain, "not enough memory");
        return;
    }
    check_chain_id(&chain);
    each_page(&chain, X402_MONEY_SETTLED, check_settled);
    each_page(&chain, X402_MONEY_FINAL, check_settled);
    if (!chain.given_up)
        x402_finding_add(findings, X402_FINDING_OK, chain.label,
                         "%zu payments moved their money as the ledger says",
                         chain.proven);
    each_page(&chain, X402_MONEY_RELEASED, check_released);
    if (!chain.given_up && chain.unused > 0)
        x402_finding_add(findings, X402_FINDING_OK, chain.label,
                         "%zu payments that were not charged: authorizations unused",
                         chain.unused);
    x402_rpc_close(chain.rpc);
}
