#include "settle/chain.h"

#include <x402/money.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CHECKED_MAX 128        /* settled payments looked at again at once */
#define CHECKED_WHOLE_MAX 4096 /* after the chain went back: those not safe too */
#define ROUNDS_MAX 8

/* A settled payment, and where the ledger says its money moved. */
struct item {
    struct x402_settlement payment;
    uint8_t hash32[32];
    uint64_t block_number;
    bool known;
};

static bool take_row(const struct x402_payment_row *row, void *data)
{
    struct item *item = data;

    if (row->settlement.payment_id == item->payment.payment_id &&
        row->has_transaction) {
        memcpy(item->hash32, row->transaction32, 32);
        item->block_number = row->block_number;
        item->known = true;
    }
    return false;
}

static bool read_item(struct x402_chain *chain, struct item *item,
                      const struct x402_settlement *payment)
{
    struct x402_payment_filter filter = {
        .follow = true, .after_id = payment->payment_id - 1, .limit = 1};

    memset(item, 0, sizeof *item);
    item->payment = *payment;
    if (x402_ledger_payments(chain->ledger, &filter, take_row, item) != X402_OK) {
        x402_chain_ledger_failed(chain);
        return false;
    }
    return item->known;
}

/* ------------------------------------------------------------------ no receipt there
 */

/*
 * Its block is gone, and its transaction perhaps not: while the nonce is free the same
 * bytes are sent again, so that no nonce stays unfilled. Otherwise the chain is asked.
 */
static bool send_again(struct x402_chain *chain, const struct item *item)
{
    struct x402_row row;
    const struct x402_row *list = &row;

    if (item->payment.transaction_id == 0 ||
        !x402_row_find(chain, &row, item->payment.transaction_id))
        return false;
    struct x402_sent *sent = x402_sent_of(chain, row.nonce);
    bool nonce_free = row.nonce >= chain->view.nonces.chain_latest;
    bool recently =
        sent != NULL && sent->at_milliseconds >= 0 &&
        x402_chain_milliseconds() - sent->at_milliseconds < X402_RESEND_MILLISECONDS;
    if (nonce_free && !recently)
        x402_rows_send(chain, &list, 1);
    x402_row_release(&row);
    return nonce_free;
}

static void look_again(struct x402_chain *chain, const struct item *item)
{
    struct x402_finding finding = {.sight = X402_SIGHT_GONE};

    chain->displaced++;
    if (!send_again(chain, item))
        (void)x402_chain_act(chain, &item->payment, &finding);
}

/* -------------------------------------------------------------------------- receipts
 */

static void take_evidence(const struct x402_chain *chain, struct x402_evidence *out,
                          const struct x402_transaction_receipt *receipt)
{
    *out = (struct x402_evidence){
        .block_number = receipt->block_number,
        .ours = memcmp(receipt->from20, chain->signer20, 20) == 0,
        .gas_used = receipt->gas_used,
        .fee_wei = receipt->fee_wei,
    };
    memcpy(out->hash32, receipt->hash32, 32);
    memcpy(out->block_hash32, receipt->block_hash32, 32);
}

/* True when the payment is proved in a block that is safe. */
static bool is_final(struct x402_chain *chain, const struct item *item,
                     const struct x402_transaction_receipt *receipt,
                     uint64_t safe_number)
{
    struct x402_evidence evidence;

    if (!receipt->succeeded ||
        !x402_proof_of_payment(receipt->logs, receipt->logs_count, &item->payment)) {
        look_again(chain, item);
        return false;
    }
    if (receipt->block_number != item->block_number) {
        chain->displaced++;
        take_evidence(chain, &evidence, receipt);
        if (!x402_verdict_settled(chain, &item->payment, &evidence,
                                  item->payment.transaction_id))
            return false;
    }
    return receipt->block_number <= safe_number;
}

static bool check_item(struct x402_chain *chain, const struct item *item,
                       const struct x402_rpc_call *call, uint64_t safe_number)
{
    struct x402_transaction_receipt receipt;
    enum x402_receipt_answer answer = X402_RECEIPT_BROKEN;
    bool final = false;

    if (call->reply.status == X402_RPC_FAILED)
        return false;
    if (call->reply.status == X402_RPC_RESULT)
        answer =
            x402_transaction_receipt_decode(&receipt, call->reply.result, item->hash32);
    if (answer == X402_RECEIPT_BROKEN)
        x402_chain_nonsense(chain, call);
    if (answer == X402_RECEIPT_ABSENT)
        look_again(chain, item);
    if (answer == X402_RECEIPT_FOUND) {
        final = is_final(chain, item, &receipt, safe_number);
        x402_transaction_receipt_release(&receipt);
    }
    return final;
}

static bool make_final(struct x402_chain *chain, struct x402_verdict *verdicts,
                       size_t count, uint64_t safe_number)
{
    if (count == 0)
        return false;
    if (x402_ledger_advance(chain->ledger, verdicts, count) != X402_OK) {
        x402_chain_ledger_failed(chain);
        return false;
    }
    chain->moved += count;
    x402_chain_note(chain, "final: %zu payment%s, safe block %" PRIu64, count,
                    count == 1 ? "" : "s", safe_number);
    return true;
}

/* ---------------------------------------------------------------------------- rounds
 */

static bool check_items(struct x402_chain *chain, const struct item *items,
                        size_t count, uint64_t safe_number)
{
    struct x402_rpc_call *calls = calloc(count + 1, sizeof *calls);
    struct x402_verdict *verdicts = calloc(count + 1, sizeof *verdicts);
    size_t final = 0;
    bool moved = false;

    if (calls != NULL && verdicts != NULL) {
        for (size_t i = 0; i < count; i++)
            calls[i] = x402_ask_receipt(items[i].hash32);
        (void)x402_chain_ask(chain, calls, count);
        for (size_t i = 0; i < count && !x402_chain_stopping(chain); i++) {
            if (!check_item(chain, &items[i], &calls[i], safe_number))
                continue;
            verdicts[final].payment_id = items[i].payment.payment_id;
            verdicts[final].transaction_id = items[i].payment.transaction_id;
            verdicts[final++].event = X402_EVENT_FINAL;
        }
        x402_rpc_calls_release(calls, count);
        moved = make_final(chain, verdicts, final, safe_number);
    }
    free(calls);
    free(verdicts);
    return moved;
}

/* One round over at most `max`; true when there may be more. */
static bool check_round(struct x402_chain *chain, uint64_t horizon, size_t max,
                        uint64_t safe_number)
{
    struct x402_settled *payments = calloc(max, sizeof *payments);
    struct item *items = calloc(max, sizeof *items);
    size_t count = 0, known = 0;
    bool moved = false;

    if (payments == NULL || items == NULL ||
        x402_ledger_settled(chain->ledger, chain->network.chain_id, horizon, NULL,
                            payments, max, &count))
        x402_chain_ledger_failed(chain);
    for (size_t i = 0; i < count && !chain->failed; i++)
        known += read_item(chain, &items[known], &payments[i].settlement);
    if (known > 0 && !chain->failed)
        moved = check_items(chain, items, known, safe_number);
    free(payments);
    free(items);
    return moved && count == max && !chain->failed;
}

/* A chain without a safe block makes nothing final. */
static bool ask_safe(struct x402_chain *chain, uint64_t *safe_number)
{
    struct x402_rpc_call call = x402_ask_block("safe");
    struct x402_block block;
    bool fine =
        x402_chain_ask(chain, &call, 1) && x402_block_decode(&block, call.reply.result);

    x402_rpc_calls_release(&call, 1);
    if (fine)
        *safe_number = block.number;
    return fine;
}

bool x402_finality_is_due(const struct x402_chain *chain)
{
    int64_t since = x402_chain_milliseconds() - chain->finality_milliseconds;

    return since >= (x402_chain_is_shaken(chain) ? X402_FINALITY_SHAKEN_MILLISECONDS
                                                 : X402_FINALITY_MILLISECONDS);
}

/*
 * After the chain went back, everything settled is looked at, safe or not, until a
 * look finds all of it where it is recorded.
 */
static void check_whole(struct x402_chain *chain, uint64_t safe_number)
{
    chain->displaced = 0;
    (void)check_round(chain, X402_VALUE_MAX, CHECKED_WHOLE_MAX, safe_number);
    chain->rechecking = chain->displaced > 0 || chain->failed;
}

static void check_safe(struct x402_chain *chain, uint64_t safe_number)
{
    for (int i = 0; i < ROUNDS_MAX && !x402_chain_stopping(chain); i++) {
        if (!check_round(chain, safe_number, CHECKED_MAX, safe_number))
            break;
    }
}

void x402_finality_check(struct x402_chain *chain)
{
    uint64_t safe_number;

    if (!x402_finality_is_due(chain))
        return;
    chain->finality_milliseconds = x402_chain_milliseconds();
    if (!ask_safe(chain, &safe_number))
        return;
    if (x402_chain_is_shaken(chain))
        check_whole(chain, safe_number);
    else
        check_safe(chain, safe_number);
}
