#include "evm/transaction.h"

#include "unit/core/support.h"

#include <stdlib.h>

#define RAW_MAX 1024

/* The transaction of chain.json, with the data in `data`. */
static struct x402_transaction reference(json_t *vector, uint8_t *data, uint8_t key[32])
{
    const char *hex = string_at(vector, "data");
    struct x402_transaction tx = {
        .chain_id = (uint64_t)json_integer_value(json_at(vector, "chainId")),
        .nonce = (uint64_t)json_integer_value(json_at(vector, "nonce")),
        .max_priority_fee_wei =
            strtoull(string_at(vector, "maxPriorityFeePerGas"), NULL, 10),
        .max_fee_wei = strtoull(string_at(vector, "maxFeePerGas"), NULL, 10),
        .gas_limit = strtoull(string_at(vector, "gas"), NULL, 10),
        .data = data,
        .data_size = (strlen(hex) - 2) / 2,
    };

    hex_to(tx.to20, 20, string_at(vector, "to"));
    hex_to(data, tx.data_size, hex);
    hex_to(key, 32, string_at(vector, "privateKey"));
    return tx;
}

static void transaction_is_the_reference_one(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("chain.json");
    json_t *vector = json_at(vectors, "eip1559");
    uint8_t data[512];
    uint8_t key[32];
    uint8_t raw[RAW_MAX];
    uint8_t hash[32];
    size_t size = 0;

    struct x402_transaction tx = reference(vector, data, key);
    assert_int_equal(x402_transaction_sign(raw, &size, sizeof raw, hash, &tx, key),
                     X402_OK);
    assert_int_equal(size, json_integer_value(json_at(vector, "rawLen")));
    assert_hex(raw, size, string_at(vector, "raw"));
    assert_hex(hash, 32, string_at(vector, "hash"));
    json_decref(vectors);
}

static void leading_zeros_of_r_are_left_out(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("chain.json");
    json_t *vector = json_at(vectors, "eip1559ShortR");
    uint8_t data[512];
    uint8_t key[32];
    uint8_t raw[RAW_MAX];
    uint8_t hash[32];
    size_t size = 0;

    struct x402_transaction tx = reference(json_at(vectors, "eip1559"), data, key);
    tx.nonce = (uint64_t)json_integer_value(json_at(vector, "nonce"));
    tx.data = NULL;
    tx.data_size = 0;
    assert_int_equal(x402_transaction_sign(raw, &size, sizeof raw, hash, &tx, key),
                     X402_OK);
    assert_hex(raw, size, string_at(vector, "raw"));
    assert_hex(hash, 32, string_at(vector, "hash"));
    json_decref(vectors);
}

static const uint8_t some_key[32] = {[31] = 7};

static void a_creation_names_no_recipient(void **state)
{
    (void)state;
    struct x402_transaction tx = {.chain_id = 1, .creates_contract = true};
    uint8_t raw[RAW_MAX];
    uint8_t hash[32];
    size_t size = 0;

    memset(tx.to20, 0xff, sizeof tx.to20);
    assert_int_equal(x402_transaction_sign(raw, &size, sizeof raw, hash, &tx, some_key),
                     X402_OK);
    /* chainId 1, nonce, tip, fee, gas, to, value, data all empty, no access list */
    assert_hex(raw + 3, 9, "0180808080808080c0");
}

static void a_single_small_byte_of_data_stands_for_itself(void **state)
{
    (void)state;
    static const uint8_t bytes[2] = {0x7f, 0x80};
    static const char *const encoded[2] = {"7fc0", "8180c0"};
    uint8_t raw[RAW_MAX];
    uint8_t hash[32];
    size_t size = 0;

    for (size_t i = 0; i < 2; i++) {
        struct x402_transaction tx = {
            .chain_id = 1, .creates_contract = true, .data = &bytes[i], .data_size = 1};
        assert_int_equal(
            x402_transaction_sign(raw, &size, sizeof raw, hash, &tx, some_key),
            X402_OK);
        assert_hex(raw + 3 + 7, strlen(encoded[i]) / 2, encoded[i]);
    }
}

static void size_bound_holds_for_the_largest_numbers(void **state)
{
    (void)state;
    static uint8_t data[70000];
    static uint8_t raw[X402_TRANSACTION_SIZE_MAX(sizeof data)];
    static const size_t sizes[] = {0, 1, 55, 56, 255, 256, 65535, 65536, sizeof data};
    uint8_t hash[32];

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct x402_transaction tx = {UINT64_MAX, UINT64_MAX, UINT64_MAX,
                                      UINT64_MAX, UINT64_MAX, false,
                                      {0},        data,       sizes[i]};
        size_t size = 0;
        assert_int_equal(x402_transaction_sign(raw, &size,
                                               X402_TRANSACTION_SIZE_MAX(sizes[i]),
                                               hash, &tx, some_key),
                         X402_OK);
        assert_in_range(size, sizes[i] + 100, X402_TRANSACTION_SIZE_MAX(sizes[i]));
    }
}

static void every_buffer_too_small_is_refused(void **state)
{
    (void)state;
    struct x402_transaction tx = {.chain_id = 84532, .gas_limit = 21000};
    uint8_t raw[RAW_MAX];
    uint8_t hash[32];
    size_t needed = 0;
    size_t size = 0;

    assert_int_equal(
        x402_transaction_sign(raw, &needed, sizeof raw, hash, &tx, some_key), X402_OK);
    for (size_t max = 0; max < needed; max++)
        assert_int_equal(x402_transaction_sign(raw, &size, max, hash, &tx, some_key),
                         X402_ERR_SPACE);
    assert_int_equal(size, 0);
    assert_int_equal(x402_transaction_sign(raw, &size, needed, hash, &tx, some_key),
                     X402_OK);
}

static void a_bad_key_is_refused(void **state)
{
    (void)state;
    static const uint8_t zero[32];
    struct x402_transaction tx = {.chain_id = 1};
    uint8_t raw[RAW_MAX];
    uint8_t hash[32];
    size_t size = 0;

    assert_int_equal(x402_transaction_sign(raw, &size, sizeof raw, hash, &tx, zero),
                     X402_ERR_KEY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transaction_is_the_reference_one),
        cmocka_unit_test(leading_zeros_of_r_are_left_out),
        cmocka_unit_test(a_creation_names_no_recipient),
        cmocka_unit_test(a_single_small_byte_of_data_stands_for_itself),
        cmocka_unit_test(size_bound_holds_for_the_largest_numbers),
        cmocka_unit_test(every_buffer_too_small_is_refused),
        cmocka_unit_test(a_bad_key_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
