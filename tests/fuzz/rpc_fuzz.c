/* Any bytes as a node's reply: nothing is believed that is out of shape. */
#include "json_mutator.h"

#include "settle/chain.h"
#include "settle/plan.h"
#include "settle/proof.h"
#include "settle/reply.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine)
{
    if (!fine)
        abort();
}

static void read_values(const json_t *result)
{
    struct x402_fee_history history;
    struct x402_block block;
    uint64_t quantity, amount;

    if (x402_json_quantity(&quantity, result))
        check(x402_json_amount(&amount, result) && amount == quantity);
    if (x402_fee_history_decode(&history, result))
        check(history.rewards_count <= X402_FEE_HISTORY_MAX);
    (void)!x402_block_decode(&block, result);
}

/* The hash asked for is the one it names, so that the fuzzer gets past it. */
static void read_receipt(const json_t *result)
{
    struct x402_transaction_receipt receipt;
    struct x402_settlement payment = {.value = 1000};
    uint8_t hash32[32] = {0};

    (void)!x402_json_bytes(hash32, 32, json_object_get(result, "transactionHash"));
    if (x402_transaction_receipt_decode(&receipt, result, hash32) != X402_RECEIPT_FOUND)
        return;
    check(receipt.logs_count <= X402_LOGS_MAX);
    check(receipt.fee_wei <= INT64_MAX);
    check(memcmp(receipt.hash32, hash32, 32) == 0);
    if (receipt.logs_count > 0)
        memcpy(payment.asset20, receipt.logs[0].address20, 20);
    (void)x402_proof_of_payment(receipt.logs, receipt.logs_count, &payment);
    x402_transaction_receipt_release(&receipt);
}

static void read_logs(const json_t *result)
{
    struct x402_log *logs;
    size_t count;

    if (!x402_logs_decode(&logs, &count, result))
        return;
    for (size_t i = 0; i < count; i++)
        check(logs[i].topics_count <= 4);
    free(logs);
}

static void read_error(const struct x402_rpc_reply *reply)
{
    char reason[64];

    check(strlen(reply->message) < sizeof reply->message);
    check(reply->data_size <= sizeof reply->data);
    (void)x402_send_classify(reply->message);
    if (!x402_rpc_reverted(reply, reason, sizeof reason))
        return;
    check(strlen(reason) < sizeof reason);
    for (const char *c = reason; *c != '\0'; c++)
        check(*c >= ' ' && *c <= '~');
    (void)x402_revert_code(x402_revert_classify(reason));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct x402_rpc_reply reply;

    x402_rpc_reply_decode(&reply, (const char *)data, size, 1);
    check((reply.status == X402_RPC_RESULT) == (reply.result != NULL));
    if (reply.status == X402_RPC_RESULT) {
        read_values(reply.result);
        read_receipt(reply.result);
        read_logs(reply.result);
    }
    /* An error does not say that an authorization is unused. */
    check(reply.status == X402_RPC_RESULT ||
          x402_used_decode(&reply) == X402_USED_UNKNOWN);
    check(x402_used_decode(&reply) == X402_USED_UNKNOWN ||
          json_string_length(reply.result) == 66);
    read_error(&reply);
    x402_rpc_reply_release(&reply);
    return 0;
}
