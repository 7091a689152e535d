#include "evm/abi.h"

#include "evm/keccak.h"
#include "unit/core/support.h"

static void transfer_is_the_reference_calldata(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("chain.json");
    json_t *message = json_at(vectors, "TransferWithAuthorization.message");
    struct x402_authorization authorization = {.value = 1000,
                                               .valid_after_seconds = 1740672089,
                                               .valid_before_seconds = 1740672154};
    uint8_t signature[65];
    uint8_t call[X402_ABI_TRANSFER_SIZE];

    hex_to(authorization.from20, 20, string_at(message, "from"));
    hex_to(authorization.to20, 20, string_at(message, "to"));
    hex_to(authorization.nonce32, 32, string_at(message, "nonce"));
    hex_to(signature, 65, string_at(vectors, "TransferWithAuthorization.signature"));
    x402_abi_transfer_with_authorization(call, &authorization, signature);
    assert_hex(call, sizeof call, string_at(vectors, "eip1559.data"));
    json_decref(vectors);
}

static void assert_hash_of(const uint8_t *expected, size_t size, const char *signature)
{
    uint8_t hash[32];

    x402_keccak256(hash, signature, strlen(signature));
    assert_memory_equal(expected, hash, size);
}

static void selectors_and_topics_are_hashes_of_signatures(void **state)
{
    (void)state;
    uint8_t owner[20] = {1};
    uint8_t nonce[32] = {2};
    uint8_t call[X402_ABI_AUTHORIZATION_STATE_SIZE];

    x402_abi_authorization_state(call, owner, nonce);
    assert_hash_of(call, 4, "authorizationState(address,bytes32)");
    x402_abi_balance_of(call, owner);
    assert_hash_of(call, 4, "balanceOf(address)");
    assert_hash_of(x402_topic_transfer32, 32, "Transfer(address,address,uint256)");
    assert_hash_of(x402_topic_authorization_used32, 32,
                   "AuthorizationUsed(address,bytes32)");
}

static void arguments_fill_whole_words(void **state)
{
    (void)state;
    uint8_t owner[20];
    uint8_t nonce[32];
    uint8_t state_call[X402_ABI_AUTHORIZATION_STATE_SIZE];
    uint8_t balance_call[X402_ABI_BALANCE_OF_SIZE];

    memset(owner, 0x11, sizeof owner);
    memset(nonce, 0x22, sizeof nonce);
    x402_abi_authorization_state(state_call, owner, nonce);
    assert_hex(state_call, sizeof state_call,
               "e94a0102"
               "0000000000000000000000001111111111111111111111111111111111111111"
               "2222222222222222222222222222222222222222222222222222222222222222");
    x402_abi_balance_of(balance_call, owner);
    assert_hex(balance_call, sizeof balance_call,
               "70a08231"
               "0000000000000000000000001111111111111111111111111111111111111111");
}

#define OFFSET "0000000000000000000000000000000000000000000000000000000000000020"
#define LENGTH "000000000000000000000000000000000000000000000000000000000000000b"
#define TEXT "7573656420426566c3a96521" /* "used Befée!", 12 bytes */

static size_t reason_of(char *out, size_t out_max, const char *hex)
{
    uint8_t data[256];
    size_t size = strlen(hex) / 2;

    hex_to(data, size, hex);
    return x402_abi_revert_reason(out, out_max, data, size);
}

static void revert_reason_is_read_as_printable_ascii(void **state)
{
    (void)state;
    char text[64];

    assert_int_equal(reason_of(text, sizeof text, "08c379a0" OFFSET LENGTH TEXT), 11);
    assert_string_equal(text, "used Bef??e");
}

static void long_revert_reason_is_cut(void **state)
{
    (void)state;
    char text[5];

    assert_int_equal(reason_of(text, sizeof text, "08c379a0" OFFSET LENGTH TEXT), 4);
    assert_string_equal(text, "used");
    assert_int_equal(reason_of(text, 1, "08c379a0" OFFSET LENGTH TEXT), 0);
    assert_string_equal(text, "");
}

#define HUGE "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
#define MAX64 "000000000000000000000000000000000000000000000000ffffffffffffffff"
#define SHORT "000000000000000000000000000000000000000000000000000000000000000d"
#define AT_END "0000000000000000000000000000000000000000000000000000000000000040"

static void hostile_revert_data_has_no_reason(void **state)
{
    (void)state;
    static const char *const hostile[] = {
        "",
        "08c379a0",
        "08c379a0" OFFSET,
        "4e487b71" OFFSET LENGTH TEXT, /* Panic(uint256) */
        "08c379a0" HUGE LENGTH TEXT,
        "08c379a0" MAX64 LENGTH TEXT,
        "08c379a0" OFFSET HUGE TEXT,
        "08c379a0" OFFSET MAX64 TEXT,
        "08c379a0" OFFSET SHORT TEXT, /* says 13, has 12 */
        "08c379a0" AT_END LENGTH TEXT,
    };
    char text[64];

    for (size_t i = 0; i < sizeof hostile / sizeof hostile[0]; i++) {
        assert_int_equal(reason_of(text, sizeof text, hostile[i]), 0);
        assert_string_equal(text, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transfer_is_the_reference_calldata),
        cmocka_unit_test(selectors_and_topics_are_hashes_of_signatures),
        cmocka_unit_test(arguments_fill_whole_words),
        cmocka_unit_test(revert_reason_is_read_as_printable_ascii),
        cmocka_unit_test(long_revert_reason_is_cut),
        cmocka_unit_test(hostile_revert_data_has_no_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
