#include "unit/core/support.h"

#include <x402/receipt.h>

static struct x402_network network;

static struct x402_receipt receipt_of(enum x402_dialect dialect, const char *name)
{
    struct x402_receipt receipt = {
        .dialect = dialect,
        .network = &network,
        .success = true,
        .payer = X402_SLICE("0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A")};

    assert_int_equal(x402_network_find(&network, x402_slice_of(name)), X402_OK);
    return receipt;
}

static void assert_receipt(const struct x402_receipt *receipt, const char *expected)
{
    char text[X402_RECEIPT_SIZE_MAX];
    uint8_t json[X402_RECEIPT_SIZE_MAX];
    size_t json_size;
    size_t size = x402_receipt_encode(text, receipt);

    assert_int_equal(x402_base64_decode(json, &json_size, sizeof json,
                                        (struct x402_slice){text, size}),
                     X402_OK);
    assert_slice((struct x402_slice){(char *)json, json_size}, expected);
}

#define PAYER_MEMBER "\"payer\":\"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A\"}"

static void payment_that_settles_later_has_no_transaction(void **state)
{
    (void)state;
    struct x402_receipt receipt = receipt_of(X402_DIALECT_V2, "base-sepolia");

    assert_receipt(&receipt, "{\"success\":true,\"transaction\":\"\",\"network\":"
                             "\"eip155:84532\"," PAYER_MEMBER);
}

static void settled_payment_names_its_transaction(void **state)
{
    (void)state;
    struct x402_receipt receipt = receipt_of(X402_DIALECT_V2, "base");

    receipt.has_transaction = true;
    memset(receipt.transaction32, 0xab, 32);
    assert_receipt(&receipt,
                   "{\"success\":true,\"transaction\":\"0xabababababababababababababab"
                   "abababababababababababababababababab\",\"network\":\"eip155:8453\""
                   "," PAYER_MEMBER);
}

static void v1_and_flat_use_the_legacy_network_name(void **state)
{
    (void)state;
    struct x402_receipt receipt = receipt_of(X402_DIALECT_V1, "base-sepolia");

    assert_receipt(&receipt, "{\"success\":true,\"transaction\":\"\",\"network\":"
                             "\"base-sepolia\"," PAYER_MEMBER);
    receipt.dialect = X402_DIALECT_FLAT;
    assert_receipt(&receipt, "{\"success\":true,\"transaction\":\"\",\"network\":"
                             "\"base-sepolia\"," PAYER_MEMBER);
}

static void network_without_a_name_is_given_by_its_id(void **state)
{
    (void)state;
    struct x402_receipt receipt = receipt_of(X402_DIALECT_V1, "base-sepolia");

    network.name[0] = '\0';
    assert_receipt(&receipt, "{\"success\":true,\"transaction\":\"\",\"network\":"
                             "\"eip155:84532\"," PAYER_MEMBER);
}

static void failure_carries_the_reason_of_its_version(void **state)
{
    (void)state;
    struct x402_receipt receipt = receipt_of(X402_DIALECT_V2, "base-sepolia");

    receipt.success = false;
    receipt.error = X402_ERR_SIGNATURE;
    assert_receipt(&receipt,
                   "{\"success\":false,\"errorReason\":\"invalid_exact_evm_signature\","
                   "\"transaction\":\"\",\"network\":\"eip155:84532\"," PAYER_MEMBER);
    receipt.dialect = X402_DIALECT_V1;
    assert_receipt(
        &receipt,
        "{\"success\":false,\"errorReason\":\"invalid_exact_evm_payload_signature\","
        "\"transaction\":\"\",\"network\":\"base-sepolia\"," PAYER_MEMBER);
}

static void largest_receipt_fits(void **state)
{
    (void)state;
    static char url[X402_RECEIPT_LINK_MAX];
    char text[X402_RECEIPT_SIZE_MAX];

    memset(url, 'u', sizeof url);
    for (int error = X402_OK + 1; error < X402_ERROR_COUNT; error++) {
        struct x402_receipt receipt = receipt_of(X402_DIALECT_V1, "base-sepolia");
        receipt.success = false;
        receipt.error = (enum x402_error)error;
        receipt.has_transaction = true;
        memset(network.name, 1, sizeof network.name - 1);
        network.chain_id = UINT64_MAX;
        receipt.link = (struct x402_slice){url, sizeof url};
        assert_in_range(x402_receipt_encode(text, &receipt),
                        X402_BASE64_SIZE(X402_RECEIPT_LINK_MAX), sizeof text);
    }
}

static void link_to_the_final_receipt_stands_in_extra(void **state)
{
    (void)state;
    struct x402_receipt receipt = receipt_of(X402_DIALECT_V2, "base-sepolia");

    receipt.link = X402_SLICE("https://shop.test/x402/receipts/AbC_-0");
    assert_receipt(&receipt,
                   "{\"success\":true,\"transaction\":\"\",\"network\":"
                   "\"eip155:84532\",\"payer\":"
                   "\"0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A\",\"extra\":{"
                   "\"receipt\":\"https://shop.test/x402/receipts/AbC_-0\"}}");
}

static void link_that_is_too_long_is_left_out_whole(void **state)
{
    (void)state;
    static char url[X402_RECEIPT_LINK_MAX + 1];
    char text[X402_RECEIPT_SIZE_MAX];
    struct x402_receipt receipt = receipt_of(X402_DIALECT_V2, "base-sepolia");

    memset(url, 'u', sizeof url);
    receipt.link = (struct x402_slice){url, X402_RECEIPT_LINK_MAX};
    assert_in_range(x402_receipt_encode(text, &receipt),
                    X402_BASE64_SIZE(X402_RECEIPT_LINK_MAX), sizeof text);
    receipt.link.size++;
    assert_receipt(&receipt, "{\"success\":true,\"transaction\":\"\",\"network\":"
                             "\"eip155:84532\"," PAYER_MEMBER);
    memset(url, '"', sizeof url);
    receipt.link.size--;
    assert_receipt(&receipt, "{\"success\":true,\"transaction\":\"\",\"network\":"
                             "\"eip155:84532\"," PAYER_MEMBER);
}

static void recorded_failures_have_the_names_clients_know(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        enum x402_error error;
    } failures[] = {
        {"insufficient_funds: the balance does not cover it", X402_ERR_FUNDS},
        {"insufficient_funds", X402_ERR_FUNDS},
        {"invalid_exact_evm_insufficient_balance", X402_ERR_FUNDS},
        {"used: the authorization paid somebody else", X402_ERR_USED_ELSEWHERE},
        {"canceled: the payer canceled the authorization", X402_ERR_USED_ELSEWHERE},
        {"invalid_exact_evm_nonce_already_used", X402_ERR_USED_ELSEWHERE},
        {"invalid_signature: ", X402_ERR_SIGNATURE},
        {"invalid_exact_evm_payload_signature", X402_ERR_SIGNATURE},
        {"expired: not settled before validBefore", X402_ERR_VALID_BEFORE},
        {"not_yet_valid", X402_ERR_VALID_AFTER},
        {"blacklisted: account is blacklisted", X402_ERR_SETTLEMENT},
        {"invalid_transaction_state", X402_ERR_SETTLEMENT},
        {"expiredly", X402_ERR_SETTLEMENT},
        {"", X402_ERR_SETTLEMENT},
    };

    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        assert_int_equal(x402_receipt_failure(failures[i].reason), failures[i].error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payment_that_settles_later_has_no_transaction),
        cmocka_unit_test(settled_payment_names_its_transaction),
        cmocka_unit_test(v1_and_flat_use_the_legacy_network_name),
        cmocka_unit_test(network_without_a_name_is_given_by_its_id),
        cmocka_unit_test(failure_carries_the_reason_of_its_version),
        cmocka_unit_test(largest_receipt_fits),
        cmocka_unit_test(link_to_the_final_receipt_stands_in_extra),
        cmocka_unit_test(link_that_is_too_long_is_left_out_whole),
        cmocka_unit_test(recorded_failures_have_the_names_clients_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
