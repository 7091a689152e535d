#include "unit/core/support.h"

#include "settle/ask.h"

#include <stdlib.h>

static const uint8_t address20[20] = {0xaa, [19] = 0x01};
static const uint8_t hash32[32] = {0xbb, [31] = 0x02};

#define ADDRESS "0xaa00000000000000000000000000000000000001"
#define HASH "0xbb00000000000000000000000000000000000000000000000000000000000002"

static void assert_asks(struct x402_rpc_call call, const char *method,
                        const char *params)
{
    char *text = json_dumps(call.params, JSON_COMPACT);

    assert_non_null(text);
    assert_string_equal(call.method, method);
    assert_string_equal(text, params);
    free(text);
    x402_rpc_calls_release(&call, 1);
}

static void each_question_has_the_form_nodes_expect(void **state)
{
    static const uint8_t data[] = {0xe3, 0xee};
    struct x402_rpc_call receipt = x402_ask_receipt(hash32);

    (void)state;
    assert_asks(x402_ask_chain_id(), "eth_chainId", "[]");
    assert_asks(x402_ask_block("safe"), "eth_getBlockByNumber", "[\"safe\",false]");
    assert_asks(x402_ask_block_number(255), "eth_getBlockByNumber", "[\"0xff\",false]");
    assert_asks(x402_ask_nonce(address20, "pending"), "eth_getTransactionCount",
                "[\"" ADDRESS "\",\"pending\"]");
    assert_asks(x402_ask_balance(address20), "eth_getBalance",
                "[\"" ADDRESS "\",\"latest\"]");
    assert_asks(x402_ask_code(address20), "eth_getCode",
                "[\"" ADDRESS "\",\"latest\"]");
    assert_asks(x402_ask_fee_history(), "eth_feeHistory", "[\"0x64\",\"latest\",[50]]");
    assert_int_equal(receipt.reply_max, X402_RPC_REPLY_LOGS_MAX);
    assert_asks(receipt, "eth_getTransactionReceipt", "[\"" HASH "\"]");
    assert_asks(x402_ask_send(data, 2), "eth_sendRawTransaction", "[\"0xe3ee\"]");
}

static void a_call_names_its_block_by_tag_or_number(void **state)
{
    static const uint8_t data[] = {0xe3, 0xee};

    (void)state;
    assert_asks(x402_ask_call(NULL, address20, data, 2, "pending", 7), "eth_call",
                "[{\"to\":\"" ADDRESS "\",\"data\":\"0xe3ee\",\"gas\":\"0x1fbd0\"},"
                "\"pending\"]");
    assert_asks(x402_ask_call(address20, address20, data, 2, NULL, 255), "eth_call",
                "[{\"to\":\"" ADDRESS "\",\"data\":\"0xe3ee\",\"gas\":\"0x1fbd0\","
                "\"from\":\"" ADDRESS "\"},\"0xff\"]");
}

static void a_call_names_its_gas_and_its_block_by_hash(void **state)
{
    static const uint8_t data[] = {0xe3, 0xee};
    const struct x402_at at = {.hash32 = hash32};
    struct x402_eth_call call = {
        .to20 = address20, .data = data, .size = 2, .gas = 255, .at = at};

    (void)state;
    assert_asks(x402_ask_eth_call(&call), "eth_call",
                "[{\"to\":\"" ADDRESS "\",\"data\":\"0xe3ee\",\"gas\":\"0xff\"},"
                "{\"blockHash\":\"" HASH "\"}]");
    assert_asks(x402_ask_nonce_at(address20, &at), "eth_getTransactionCount",
                "[\"" ADDRESS "\",{\"blockHash\":\"" HASH "\"}]");
    assert_asks(x402_ask_code_at(address20, &at), "eth_getCode",
                "[\"" ADDRESS "\",{\"blockHash\":\"" HASH "\"}]");
}

static void logs_are_asked_by_topics_in_a_range_of_blocks(void **state)
{
    struct x402_log_query query = {.first_block = 1, .last_block = 5000};
    struct x402_rpc_call call;

    (void)state;
    memcpy(query.address20, address20, 20);
    memcpy(query.events[0], hash32, 32);
    memcpy(query.events[1], hash32, 32);
    memcpy(query.second32, hash32, 32);
    memcpy(query.third32, hash32, 32);
    call = x402_ask_logs(&query);
    assert_int_equal(call.reply_max, X402_RPC_REPLY_LOGS_MAX);
    assert_asks(call, "eth_getLogs",
                "[{\"address\":\"" ADDRESS "\",\"topics\":[[\"" HASH "\",\"" HASH
                "\"],\"" HASH "\",\"" HASH "\"],\"fromBlock\":\"0x1\","
                "\"toBlock\":\"0x1388\"}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_question_has_the_form_nodes_expect),
        cmocka_unit_test(a_call_names_its_block_by_tag_or_number),
        cmocka_unit_test(a_call_names_its_gas_and_its_block_by_hash),
        cmocka_unit_test(logs_are_asked_by_topics_in_a_range_of_blocks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
