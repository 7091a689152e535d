#include "unit/core/support.h"

#include "settle/reply.h"

#include <stdlib.h>

#define HASH_A "0x1111111111111111111111111111111111111111111111111111111111111111"
#define HASH_B "0x2222222222222222222222222222222222222222222222222222222222222222"
#define TOKEN "0x036CbD53842c5426634e7929541eC2318f3dCF7e"

static struct x402_rpc_reply decode(const char *body)
{
    struct x402_rpc_reply reply;

    x402_rpc_reply_decode(&reply, body, strlen(body), 7);
    return reply;
}

static json_t *json(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

    if (value == NULL)
        fail_msg("not JSON: %s", text);
    return value;
}

/* -------------------------------------------------------------------------- replies */

static void a_result_is_taken(void **state)
{
    struct x402_rpc_reply reply =
        decode("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"0x14a34\"}");
    uint64_t value;

    (void)state;
    assert_int_equal(reply.status, X402_RPC_RESULT);
    assert_true(x402_json_quantity(&value, reply.result));
    assert_int_equal(value, 84532);
    x402_rpc_reply_release(&reply);
    reply = decode("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":null,\"error\":null}");
    assert_int_equal(reply.status, X402_RPC_RESULT);
    assert_true(json_is_null(reply.result));
    x402_rpc_reply_release(&reply);
}

#define BOTH                                                                           \
    "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"0x1\","                                \
    "\"error\":{\"code\":3,\"message\":\"m\"}}"

static void what_is_no_answer_teaches_nothing(void **state)
{
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{}",
        "\"\"",
        "<html><body>502 Bad Gateway</body></html>",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"0x1\"",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"0x1\"} trailing",
        "{\"jsonrpc\":\"2.0\",\"id\":8,\"result\":\"0x1\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":\"7\",\"result\":\"0x1\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":7.0,\"result\":\"0x1\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":\"0x1\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":-7,\"result\":\"0x1\"}",
        "{\"jsonrpc\":\"2.0\",\"result\":\"0x1\"}",
        "{\"jsonrpc\":\"1.0\",\"id\":7,\"result\":\"0x1\"}",
        "{\"id\":7,\"result\":\"0x1\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":7}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":null}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":\"no\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":\"3\",\"message\":\"m\"}}",
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":3}}",
        BOTH,
        "{\"jsonrpc\":\"2.0\",\"id\":7,\"id\":7,\"result\":\"0x1\"}",
        "[{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":\"0x1\"}]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct x402_rpc_reply reply = decode(bodies[i]);
        if (reply.status != X402_RPC_FAILED)
            fail_msg("taken: %s", bodies[i]);
        assert_null(reply.result);
        x402_rpc_reply_release(&reply);
    }
}

static void json_as_deep_as_it_is_long_is_refused(void **state)
{
    size_t size = 1 << 20;
    char *body = malloc(size);
    struct x402_rpc_reply reply;

    (void)state;
    assert_non_null(body);
    memset(body, '[', size);
    x402_rpc_reply_decode(&reply, body, size, 7);
    assert_int_equal(reply.status, X402_RPC_FAILED);
    free(body);
}

static void an_error_carries_its_message_in_printable_ascii(void **state)
{
    struct x402_rpc_reply reply =
        decode("{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32003,"
               "\"message\":\"nonce\\u001b[2J too\\nlow \\u00e9\"}}");

    (void)state;
    assert_int_equal(reply.status, X402_RPC_ERROR);
    assert_int_equal(reply.code, -32003);
    assert_string_equal(reply.message, "nonce?[2J too?low ??");
    assert_int_equal(reply.data_size, 0);
}

/* -------------------------------------------------------------------------- reverts */

static const char *revert_of(const char *error)
{
    static char reason[160];
    char body[2048];

    snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":%s}", error);
    struct x402_rpc_reply reply = decode(body);
    bool reverted = x402_rpc_reverted(&reply, reason, sizeof reason);
    x402_rpc_reply_release(&reply);
    return reverted ? reason : NULL;
}

#define EXPIRED_DATA                                                                   \
    "0x08c379a00000000000000000000000000000000000000000000000000000000000000020"       \
    "0000000000000000000000000000000000000000000000000000000000000025"                 \
    "46696174546f6b656e56323a20617574686f72697a6174696f6e206973206578"                 \
    "7069726564000000000000000000000000000000000000000000000000000000"

static void a_revert_is_told_by_its_data_before_its_message(void **state)
{
    (void)state;
    assert_string_equal(revert_of("{\"code\":3,\"message\":\"execution reverted: "
                                  "another\",\"data\":\"" EXPIRED_DATA "\"}"),
                        "FiatTokenV2: authorization is expired");
    assert_string_equal(revert_of("{\"code\":3,\"message\":\"execution reverted\","
                                  "\"data\":{\"data\":\"" EXPIRED_DATA "\"}}"),
                        "FiatTokenV2: authorization is expired");
}

static void a_revert_without_data_is_told_by_its_message(void **state)
{
    (void)state;
    assert_string_equal(
        revert_of("{\"code\":3,\"message\":\"execution reverted: Pausable: paused\"}"),
        "Pausable: paused");
    assert_string_equal(
        revert_of("{\"code\":-32000,\"message\":\"execution reverted\"}"), "");
    assert_string_equal(
        revert_of("{\"code\":-32000,\"message\":\"Execution Reverted: x\"}"), "x");
    assert_string_equal(revert_of("{\"code\":3,\"message\":\"\",\"data\":\"0x\"}"), "");
    assert_string_equal(
        revert_of("{\"code\":3,\"message\":\"no\",\"data\":\"0x08c379a0\"}"), "");
}

static void a_revert_is_told_by_nethermind_in_its_data(void **state)
{
    (void)state;
    assert_string_equal(
        revert_of("{\"code\":-32015,\"message\":\"VM execution error.\",\"data\":"
                  "\"Reverted 0x08c379a0"
                  "0000000000000000000000000000000000000000000000000000000000000020"
                  "0000000000000000000000000000000000000000000000000000000000000010"
                  "5061757361626c653a2070617573656400000000000000000000000000000000"
                  "\"}"),
        "Pausable: paused");
    assert_string_equal(revert_of("{\"code\":-32015,\"message\":\"VM execution "
                                  "error.\",\"data\":\"Reverted \"}"),
                        "");
}

static void the_nodes_own_trouble_is_no_revert(void **state)
{
    (void)state;
    assert_null(revert_of("{\"code\":-32005,\"message\":\"rate limit exceeded\"}"));
    assert_null(revert_of("{\"code\":-32000,\"message\":\"header not found\"}"));
    assert_null(revert_of("{\"code\":-32601,\"message\":\"Method not found\"}"));
}

/* --------------------------------------------------------------------------- values */

static bool quantity(uint64_t *out, const char *text)
{
    json_t *value = json(text);
    bool fine = x402_json_quantity(out, value);

    json_decref(value);
    return fine;
}

static void quantities_are_hex_of_at_most_64_bits(void **state)
{
    static const char *const wrong[] = {
        "\"\"",     "\"0x\"",   "\"12\"", "\"0xg\"", "\"0X1\"",
        "\"0x1 \"", "\"-0x1\"", "1",      "null",    "\"0x10000000000000000\"",
        "[]",       "true",
    };
    uint64_t value;

    (void)state;
    assert_true(quantity(&value, "\"0x0\""));
    assert_int_equal(value, 0);
    assert_true(quantity(&value, "\"0xffffffffffffffff\""));
    assert_true(value == UINT64_MAX);
    assert_true(quantity(&value, "\"0x00000000000000000000000000aB\""));
    assert_int_equal(value, 0xab);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(quantity(&value, wrong[i]));
    assert_false(x402_json_quantity(&value, NULL));
}

static void a_balance_beyond_64_bits_is_held_as_the_largest(void **state)
{
    json_t *rich = json("\"0x21e19e0c9bab2400000\"");
    json_t *wrong = json("\"0x21e19e0c9bab2400000g\"");
    uint64_t value;

    (void)state;
    assert_true(x402_json_amount(&value, rich));
    assert_true(value == UINT64_MAX);
    assert_false(x402_json_amount(&value, wrong));
    json_decref(rich);
    json_decref(wrong);
}

static void zeros_before_a_number_count_for_nothing(void **state)
{
    json_t *one = json_sprintf("0x%077d", 1);
    uint64_t value = 0;

    (void)state;
    assert_true(x402_json_quantity(&value, one) && value == 1);
    assert_true(x402_json_amount(&value, one) && value == 1);
    json_decref(one);
}

static void numbers_and_bytes_are_written_as_nodes_want_them(void **state)
{
    static const uint8_t bytes[] = {0x00, 0xab};
    json_t *zero = x402_json_of_quantity(0), *large = x402_json_of_quantity(UINT64_MAX);
    json_t *data = x402_json_of_bytes(bytes, 2);

    (void)state;
    assert_string_equal(json_string_value(zero), "0x0");
    assert_string_equal(json_string_value(large), "0xffffffffffffffff");
    assert_string_equal(json_string_value(data), "0x00ab");
    json_decref(zero);
    json_decref(large);
    json_decref(data);
}

/* ------------------------------------------------------------------ blocks, receipts
 */

static void a_block_names_its_number_time_and_hash(void **state)
{
    json_t *value =
        json("{\"number\":\"0x10\",\"timestamp\":\"0x65\",\"hash\":\"" HASH_A
             "\",\"baseFeePerGas\":\"0x7\"}");
    json_t *legacy =
        json("{\"number\":\"0x10\",\"timestamp\":\"0x65\",\"hash\":\"" HASH_A "\"}");
    json_t *open = json("{\"number\":null,\"timestamp\":\"0x65\",\"hash\":null}");
    struct x402_block block;

    (void)state;
    assert_true(x402_block_decode(&block, value));
    assert_int_equal(block.number, 16);
    assert_int_equal(block.time_seconds, 101);
    assert_int_equal(block.base_fee_wei, 7);
    assert_int_equal(block.hash32[0], 0x11);
    assert_true(x402_block_decode(&block, legacy));
    assert_int_equal(block.base_fee_wei, 0);
    assert_false(x402_block_decode(&block, open));
    assert_false(x402_block_decode(&block, NULL));
    json_decref(value);
    json_decref(legacy);
    json_decref(open);
}

static void a_fee_history_gives_the_next_base_fee_and_the_tips(void **state)
{
    json_t *value = json("{\"baseFeePerGas\":[\"0x1\",\"0x2\",\"0x3\"],"
                         "\"reward\":[[\"0xa\"],[\"0xb\"]]}");
    json_t *bare = json("{\"baseFeePerGas\":[\"0x1\"]}");
    json_t *wrong = json("{\"baseFeePerGas\":[\"0x1\"],\"reward\":[[]]}");
    json_t *empty = json("{\"baseFeePerGas\":[]}");
    struct x402_fee_history history;

    (void)state;
    assert_true(x402_fee_history_decode(&history, value));
    assert_int_equal(history.base_fee_wei, 3);
    assert_int_equal(history.base_fee_median_wei, 2);
    assert_int_equal(history.rewards_count, 2);
    assert_int_equal(history.rewards[1], 11);
    assert_true(x402_fee_history_decode(&history, bare));
    assert_int_equal(history.base_fee_median_wei, 0);
    assert_int_equal(history.rewards_count, 0);
    assert_false(x402_fee_history_decode(&history, wrong));
    assert_false(x402_fee_history_decode(&history, empty));
    assert_false(x402_fee_history_decode(&history, NULL));
    json_decref(value);
    json_decref(bare);
    json_decref(wrong);
    json_decref(empty);
}

static json_t *receipt_json(void)
{
    return json("{\"transactionHash\":\"" HASH_A "\",\"status\":\"0x1\","
                "\"blockNumber\":\"0xc\",\"blockHash\":\"" HASH_B "\","
                "\"from\":\"" TOKEN "\",\"gasUsed\":\"0x14f1c\","
                "\"effectiveGasPrice\":\"0x4c4b40\",\"logs\":[{\"address\":\"" TOKEN
                "\",\"topics\":[\"" HASH_A "\",\"" HASH_B "\"],\"data\":\"" HASH_A
                "\",\"blockNumber\":\"0xc\",\"transactionHash\":\"" HASH_A
                "\",\"removed\":false}]}");
}

static enum x402_receipt_answer answer(struct x402_transaction_receipt *out,
                                       json_t *value, const char *hash)
{
    uint8_t hash32[32];

    hex_to(hash32, 32, hash);
    enum x402_receipt_answer found =
        x402_transaction_receipt_decode(out, value, hash32);
    json_decref(value);
    return found;
}

static void a_receipt_tells_block_gas_and_logs(void **state)
{
    struct x402_transaction_receipt receipt;

    (void)state;
    assert_int_equal(answer(&receipt, receipt_json(), HASH_A), X402_RECEIPT_FOUND);
    assert_true(receipt.succeeded);
    assert_int_equal(receipt.block_number, 12);
    assert_int_equal(receipt.gas_used, 85788);
    assert_int_equal(receipt.fee_wei, 85788 * UINT64_C(5000000));
    assert_int_equal(receipt.logs_count, 1);
    assert_int_equal(receipt.logs[0].topics_count, 2);
    assert_int_equal(receipt.logs[0].data_size, 32);
    x402_transaction_receipt_release(&receipt);
}

static void the_fee_of_a_rollup_holds_its_data(void **state)
{
    struct x402_transaction_receipt receipt;
    json_t *value = receipt_json();

    (void)state;
    json_object_set_new(value, "l1Fee", json_string("0x64"));
    assert_int_equal(answer(&receipt, value, HASH_A), X402_RECEIPT_FOUND);
    assert_int_equal(receipt.fee_wei, 85788 * UINT64_C(5000000) + 100);
    x402_transaction_receipt_release(&receipt);
}

static void a_fee_beyond_all_bounds_is_bounded(void **state)
{
    struct x402_transaction_receipt receipt;
    json_t *value = receipt_json();

    (void)state;
    json_object_set_new(value, "effectiveGasPrice", json_string("0xffffffffffffffff"));
    assert_int_equal(answer(&receipt, value, HASH_A), X402_RECEIPT_FOUND);
    assert_true(receipt.fee_wei == INT64_MAX);
    x402_transaction_receipt_release(&receipt);
}

static void no_receipt_is_no_answer_of_another_kind(void **state)
{
    struct x402_transaction_receipt receipt;

    (void)state;
    assert_int_equal(answer(&receipt, json("null"), HASH_A), X402_RECEIPT_ABSENT);
    assert_int_equal(answer(&receipt, json("{}"), HASH_A), X402_RECEIPT_BROKEN);
    assert_int_equal(answer(&receipt, json("[]"), HASH_A), X402_RECEIPT_BROKEN);
    assert_int_equal(answer(&receipt, json("\"0x1\""), HASH_A), X402_RECEIPT_BROKEN);
}

static void a_receipt_of_another_transaction_is_refused(void **state)
{
    struct x402_transaction_receipt receipt;

    (void)state;
    assert_int_equal(answer(&receipt, receipt_json(), HASH_B), X402_RECEIPT_BROKEN);
}

static void a_receipt_that_lacks_anything_is_refused(void **state)
{
    static const char *const keys[] = {"transactionHash",   "status", "blockNumber",
                                       "blockHash",         "from",   "gasUsed",
                                       "effectiveGasPrice", "logs"};
    static const char *const log_keys[] = {"address", "topics", "data", "blockNumber",
                                           "transactionHash"};
    struct x402_transaction_receipt receipt;

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *value = receipt_json();
        json_object_set_new(value, keys[i], json_integer(5));
        assert_int_equal(answer(&receipt, value, HASH_A), X402_RECEIPT_BROKEN);
        value = receipt_json();
        json_object_del(value, keys[i]);
        assert_int_equal(answer(&receipt, value, HASH_A), X402_RECEIPT_BROKEN);
    }
    for (size_t i = 0; i < sizeof log_keys / sizeof log_keys[0]; i++) {
        json_t *value = receipt_json();
        json_object_set_new(json_array_get(json_object_get(value, "logs"), 0),
                            log_keys[i], json_integer(5));
        assert_int_equal(answer(&receipt, value, HASH_A), X402_RECEIPT_BROKEN);
    }
}

static void a_receipt_without_a_block_is_none_yet(void **state)
{
    static const char *const keys[] = {"blockNumber", "blockHash"};
    struct x402_transaction_receipt receipt;

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *value = receipt_json();
        json_object_set_new(value, keys[i], json_null());
        assert_int_equal(answer(&receipt, value, HASH_A), X402_RECEIPT_ABSENT);
    }
}

static void a_status_that_is_neither_is_refused(void **state)
{
    struct x402_transaction_receipt receipt;
    json_t *value = receipt_json();

    (void)state;
    json_object_set_new(value, "status", json_string("0x2"));
    assert_int_equal(answer(&receipt, value, HASH_A), X402_RECEIPT_BROKEN);
}

/* ----------------------------------------------------------------------------- logs */

static void logs_of_a_dead_fork_are_left_out(void **state)
{
    json_t *receipt = receipt_json(), *value = json_object_get(receipt, "logs");
    struct x402_log *logs;
    size_t count;

    (void)state;
    json_object_set_new(json_array_get(value, 0), "removed", json_true());
    assert_true(x402_logs_decode(&logs, &count, value));
    assert_int_equal(count, 0);
    free(logs);
    json_decref(receipt);
}

static void more_logs_than_we_read_are_refused(void **state)
{
    json_t *receipt = receipt_json(), *logs_json = json_object_get(receipt, "logs");
    struct x402_log *logs;
    size_t count;

    (void)state;
    while (json_array_size(logs_json) < X402_LOGS_MAX)
        json_array_append(logs_json, json_array_get(logs_json, 0));
    assert_true(x402_logs_decode(&logs, &count, logs_json));
    assert_int_equal(count, X402_LOGS_MAX);
    free(logs);
    json_array_append(logs_json, json_array_get(logs_json, 0));
    assert_false(x402_logs_decode(&logs, &count, logs_json));
    json_decref(receipt);
}

static void a_log_with_five_topics_is_refused(void **state)
{
    json_t *receipt = receipt_json();
    json_t *logs_json = json_object_get(receipt, "logs");
    json_t *topics = json_object_get(json_array_get(logs_json, 0), "topics");
    struct x402_log *logs;
    size_t count;

    (void)state;
    while (json_array_size(topics) < 5)
        json_array_append(topics, json_array_get(topics, 0));
    assert_false(x402_logs_decode(&logs, &count, logs_json));
    json_decref(receipt);
}

/* More blocks than asked for: what counts is near. */
static void a_fee_history_too_long_is_read_from_its_end(void **state)
{
    json_t *fees = json_array(), *rewards = json_array();
    struct x402_fee_history history;

    (void)state;
    for (uint64_t i = 0; i <= 1000; i++) {
        json_array_append_new(fees, x402_json_of_quantity(i));
        json_array_append_new(rewards,
                              json_pack("[o]", x402_json_of_quantity(1000 + i)));
    }
    json_t *value = json_pack("{s:o, s:o}", "baseFeePerGas", fees, "reward", rewards);
    assert_true(x402_fee_history_decode(&history, value));
    assert_int_equal(history.base_fee_wei, 1000);
    assert_int_equal(history.base_fee_median_wei, 950); /* of 900 to 999 */
    assert_int_equal(history.rewards_count, X402_FEE_HISTORY_MAX);
    assert_int_equal(history.rewards[X402_FEE_HISTORY_MAX - 1], 2000);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_is_taken),
        cmocka_unit_test(what_is_no_answer_teaches_nothing),
        cmocka_unit_test(json_as_deep_as_it_is_long_is_refused),
        cmocka_unit_test(an_error_carries_its_message_in_printable_ascii),
        cmocka_unit_test(a_revert_is_told_by_its_data_before_its_message),
        cmocka_unit_test(a_revert_without_data_is_told_by_its_message),
        cmocka_unit_test(a_revert_is_told_by_nethermind_in_its_data),
        cmocka_unit_test(the_nodes_own_trouble_is_no_revert),
        cmocka_unit_test(quantities_are_hex_of_at_most_64_bits),
        cmocka_unit_test(a_balance_beyond_64_bits_is_held_as_the_largest),
        cmocka_unit_test(zeros_before_a_number_count_for_nothing),
        cmocka_unit_test(numbers_and_bytes_are_written_as_nodes_want_them),
        cmocka_unit_test(a_block_names_its_number_time_and_hash),
        cmocka_unit_test(a_fee_history_gives_the_next_base_fee_and_the_tips),
        cmocka_unit_test(a_fee_history_too_long_is_read_from_its_end),
        cmocka_unit_test(a_receipt_tells_block_gas_and_logs),
        cmocka_unit_test(the_fee_of_a_rollup_holds_its_data),
        cmocka_unit_test(a_fee_beyond_all_bounds_is_bounded),
        cmocka_unit_test(no_receipt_is_no_answer_of_another_kind),
        cmocka_unit_test(a_receipt_of_another_transaction_is_refused),
        cmocka_unit_test(a_receipt_that_lacks_anything_is_refused),
        cmocka_unit_test(a_receipt_without_a_block_is_none_yet),
        cmocka_unit_test(a_status_that_is_neither_is_refused),
        cmocka_unit_test(logs_of_a_dead_fork_are_left_out),
        cmocka_unit_test(more_logs_than_we_read_are_refused),
        cmocka_unit_test(a_log_with_five_topics_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
