#include "evm/facilitator.h"

#include "evm/keccak.h"
#include "unit/core/support.h"

#include <stdlib.h>

/* The batch of facilitator.json, made with viem. */
#define ITEMS_COUNT 3

struct batch {
    json_t *vectors;
    uint8_t token20[20];
    uint8_t payee20[20];
    struct x402_facilitator_item items[ITEMS_COUNT];
};

static void read_item(struct x402_facilitator_item *item, json_t *value,
                      const uint8_t payee20[20])
{
    struct x402_authorization *authorization = &item->authorization;

    hex_to(authorization->from20, 20, string_at(value, "from"));
    memcpy(authorization->to20, payee20, 20);
    authorization->value = strtoull(string_at(value, "value"), NULL, 10);
    authorization->valid_after_seconds =
        strtoull(string_at(value, "validAfter"), NULL, 10);
    authorization->valid_before_seconds =
        strtoull(string_at(value, "validBefore"), NULL, 10);
    hex_to(authorization->nonce32, 32, string_at(value, "nonce"));
    hex_to(item->signature65, 65, string_at(value, "signature"));
}

static struct batch *batch_open(void)
{
    struct batch *batch = calloc(1, sizeof *batch);

    assert_non_null(batch);
    batch->vectors = load_vectors("facilitator.json");
    hex_to(batch->token20, 20, string_at(batch->vectors, "token"));
    hex_to(batch->payee20, 20, string_at(batch->vectors, "payee"));
    json_t *items = json_at(batch->vectors, "items");
    assert_int_equal(json_array_size(items), ITEMS_COUNT);
    for (size_t i = 0; i < ITEMS_COUNT; i++)
        read_item(&batch->items[i], json_array_get(items, i), batch->payee20);
    return batch;
}

static void batch_close(struct batch *batch)
{
    json_decref(batch->vectors);
    free(batch);
}

static size_t bytes_at(uint8_t *out, size_t out_max, json_t *vectors, const char *path)
{
    const char *hex = string_at(vectors, path);
    size_t size = (strlen(hex) - 2) / 2;

    assert_true(size <= out_max);
    hex_to(out, size, hex);
    return size;
}

/* ------------------------------------------------------------------------- settle */

static void settle_is_the_reference_calldata(void **state)
{
    (void)state;
    struct batch *batch = batch_open();
    uint8_t call[X402_FACILITATOR_SETTLE_SIZE(ITEMS_COUNT)];

    memset(call, 0xff, sizeof call); /* padding is written, not found */
    assert_int_equal(x402_facilitator_settle_encode(call, sizeof call, batch->token20,
                                                    batch->payee20, batch->items,
                                                    ITEMS_COUNT),
                     sizeof call);
    assert_hex(call, sizeof call, string_at(batch->vectors, "settle"));
    batch_close(batch);
}

static void settle_is_not_encoded_into_too_little_room(void **state)
{
    (void)state;
    struct batch *batch = batch_open();
    uint8_t call[X402_FACILITATOR_SETTLE_SIZE(ITEMS_COUNT)];

    assert_int_equal(x402_facilitator_settle_encode(call, sizeof call - 1,
                                                    batch->token20, batch->payee20,
                                                    batch->items, ITEMS_COUNT),
                     0);
    batch_close(batch);
}

static void settle_sizes_are_whole_words_behind_the_selector(void **state)
{
    (void)state;

    /* four words of head, and 134 bytes an item, padded */
    assert_int_equal(x402_facilitator_settle_size(1), 4 + 128 + 160);
    assert_int_equal(x402_facilitator_settle_size(16), 4 + 128 + 2144); /* no padding */
    assert_int_equal(x402_facilitator_settle_size(200),
                     X402_FACILITATOR_SETTLE_SIZE_MAX);
}

static void only_what_has_a_packed_form_fits(void **state)
{
    (void)state;
    struct batch *batch = batch_open();
    struct x402_facilitator_item item;

    assert_true(x402_facilitator_fits(&batch->items[0]));
    assert_true(x402_facilitator_fits(&batch->items[1])); /* until 2^40 - 1 */
    assert_true(x402_facilitator_fits(&batch->items[2])); /* from 2^40 - 1 on */
    item = batch->items[0];
    item.authorization.valid_before_seconds = UINT64_C(1) << 40;
    assert_false(x402_facilitator_fits(&item));
    item = batch->items[0];
    item.authorization.valid_after_seconds = UINT64_C(1) << 40;
    assert_false(x402_facilitator_fits(&item));
    item = batch->items[0];
    item.signature65[64] = 1;
    assert_false(x402_facilitator_fits(&item));
    batch_close(batch);
}

static void a_high_s_does_not_fit(void **state)
{
    (void)state;
    struct batch *batch = batch_open();
    struct x402_facilitator_item item = batch->items[0];

    hex_to(item.signature65 + 32, 32,
           "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0");
    assert_true(x402_facilitator_fits(&item));
    item.signature65[63]++;
    assert_false(x402_facilitator_fits(&item));
    batch_close(batch);
}

static void settle_answer_says_how_many_and_which_failed(void **state)
{
    (void)state;
    struct batch *batch = batch_open();
    uint8_t answer[64];
    uint8_t failed[32];
    size_t done = 0;

    size_t size = bytes_at(answer, sizeof answer, batch->vectors, "settleReturned");
    assert_true(x402_facilitator_settle_decode(&done, failed, answer, size));
    assert_int_equal(done, 3);
    assert_true(x402_facilitator_item_failed(failed, 0));
    assert_false(x402_facilitator_item_failed(failed, 1));
    assert_true(x402_facilitator_item_failed(failed, 2));
    for (size_t i = 3; i < 256; i++)
        assert_false(x402_facilitator_item_failed(failed, i));
    batch_close(batch);
}

static void the_last_item_of_a_full_batch_can_fail(void **state)
{
    (void)state;
    uint8_t answer[64] = {[31] = 200, [63 - 199 / 8] = 1 << (199 % 8)};
    uint8_t failed[32];
    size_t done = 0;

    assert_true(x402_facilitator_settle_decode(&done, failed, answer, sizeof answer));
    assert_int_equal(done, 200);
    assert_true(x402_facilitator_item_failed(failed, 199));
    assert_false(x402_facilitator_item_failed(failed, 198));
}

static void answers_that_are_not_of_settle_are_refused(void **state)
{
    (void)state;
    uint8_t failed[32] = {7};
    size_t done = 77;
    uint8_t answer[96] = {[31] = 2, [63] = 3};

    assert_true(
        x402_facilitator_settle_decode(&(size_t){0}, (uint8_t[32]){0}, answer, 64));
    assert_false(x402_facilitator_settle_decode(&done, failed, answer, 0));
    assert_false(x402_facilitator_settle_decode(&done, failed, answer, 63));
    assert_false(x402_facilitator_settle_decode(&done, failed, answer, 96));
    answer[63] = 4; /* the third of two failed */
    assert_false(x402_facilitator_settle_decode(&done, failed, answer, 64));
    answer[63] = 0;
    answer[31] = 201;
    assert_false(x402_facilitator_settle_decode(&done, failed, answer, 64));
    answer[31] = 2;
    answer[0] = 1; /* 2^248 + 2 items */
    assert_false(x402_facilitator_settle_decode(&done, failed, answer, 64));
    assert_int_equal(done, 77);
    assert_int_equal(failed[0], 7);
}

static void a_full_batch_fits_the_gas_of_a_transaction(void **state)
{
    (void)state;

    assert_true(x402_facilitator_gas_limit(X402_FACILITATOR_ITEMS_MAX) <= 16777216);
    /* one item may spend its cap, of which a call gets 63/64 at most (EIP-150) */
    assert_true(x402_facilitator_gas_limit(1) >=
                21000 + 4000 + (uint64_t)X402_FACILITATOR_ITEM_GAS_MAX * 64 / 63);
}

/* ------------------------------------------------------------------------- reason */

static const char *reason_of(const void *bytes, size_t size)
{
    static char text[X402_FACILITATOR_REASON_SIZE];
    uint8_t reason[32] = {0};

    memcpy(reason, bytes, size);
    size_t text_size = x402_facilitator_reason(text, reason);
    assert_int_equal(text_size, strlen(text));
    return text;
}

static void reasons_are_text_or_the_hex_of_a_selector(void **state)
{
    (void)state;

    assert_string_equal(reason_of("FiatTokenV2: authorization is us", 32),
                        "FiatTokenV2: authorization is us");
    assert_string_equal(reason_of("Pausable: paused", 16), "Pausable: paused");
    assert_string_equal(reason_of("", 0), "");
    assert_string_equal(reason_of("\x4e\x48\x7b\x71\0\0\0\x11", 8), "0x4e487b71");
    assert_string_equal(reason_of("a\0b", 3), "0x61006200");
    assert_string_equal(reason_of("line\nline", 9), "0x6c696e65");
}

/* --------------------------------------------------------------------------- look */

static void look_is_the_reference_calldata(void **state)
{
    (void)state;
    struct batch *batch = batch_open();
    uint8_t payers[ITEMS_COUNT * 20];
    uint8_t call[X402_FACILITATOR_LOOK_SIZE(ITEMS_COUNT)];

    for (size_t i = 0; i < ITEMS_COUNT; i++)
        memcpy(payers + i * 20, batch->items[i].authorization.from20, 20);
    memset(call, 0xff, sizeof call);
    assert_int_equal(x402_facilitator_look_encode(call, sizeof call, batch->token20,
                                                  payers, ITEMS_COUNT),
                     sizeof call);
    assert_hex(call, sizeof call, string_at(batch->vectors, "look"));
    assert_int_equal(x402_facilitator_look_encode(call, sizeof call - 1, batch->token20,
                                                  payers, ITEMS_COUNT),
                     0);
    batch_close(batch);
}

static void look_answer_says_balance_code_and_what_is_not_known(void **state)
{
    (void)state;
    struct batch *batch = batch_open();
    struct x402_facilitator_seen seen[ITEMS_COUNT];
    uint8_t answer[(2 + ITEMS_COUNT) * 32];

    size_t size = bytes_at(answer, sizeof answer, batch->vectors, "lookReturned");
    assert_true(x402_facilitator_look_decode(seen, ITEMS_COUNT, answer, size));
    assert_int_equal(seen[0].balance, 1000);
    assert_true(seen[0].known);
    assert_false(seen[0].has_code);
    assert_true(seen[1].balance == UINT64_MAX); /* 2^64 */
    assert_true(seen[1].known);
    assert_true(seen[1].has_code);
    assert_int_equal(seen[2].balance, 0);
    assert_false(seen[2].known);
    assert_false(seen[2].has_code);
    batch_close(batch);
}

static void a_full_look_takes_no_more_gas_than_nodes_give(void **state)
{
    (void)state;

    assert_true(x402_facilitator_look_gas(X402_FACILITATOR_LOOK_MAX) <= 10000000);
    /* the last payer is looked at with 60,000 left */
    assert_true(x402_facilitator_look_gas(1) > 21000 + 60000);
}

static void answers_that_are_not_of_look_are_refused(void **state)
{
    (void)state;
    struct batch *batch = batch_open();
    struct x402_facilitator_seen seen[ITEMS_COUNT + 1] = {{.balance = 5}};
    uint8_t answer[(3 + ITEMS_COUNT) * 32] = {0};

    size_t size = bytes_at(answer, sizeof answer, batch->vectors, "lookReturned");
    assert_false(x402_facilitator_look_decode(seen, ITEMS_COUNT, answer, 0));
    assert_false(x402_facilitator_look_decode(seen, ITEMS_COUNT, answer, size - 1));
    assert_false(x402_facilitator_look_decode(seen, ITEMS_COUNT - 1, answer, size));
    assert_false(x402_facilitator_look_decode(seen, ITEMS_COUNT + 1, answer, size));
    /* of the right size, with another count */
    assert_false(
        x402_facilitator_look_decode(seen, ITEMS_COUNT + 1, answer, size + 32));
    answer[31] = 0x40;
    assert_false(x402_facilitator_look_decode(seen, ITEMS_COUNT, answer, size));
    assert_int_equal(seen[0].balance, 5);
    batch_close(batch);
}

/* ---------------------------------------------------------------------- constants */

static void assert_hash_of(const uint8_t *expected, size_t size, const char *signature)
{
    uint8_t hash[32];

    x402_keccak256(hash, signature, strlen(signature));
    assert_memory_equal(expected, hash, size);
}

static void failed_topic_is_the_hash_of_its_signature(void **state)
{
    (void)state;

    assert_hash_of(x402_topic_facilitator_failed32, 32,
                   "Failed(address,bytes32,bytes32)");
}

/* EIP-1014: keccak256(0xff || deployer || salt || keccak256(init code)). */
static void address_is_where_the_deployer_puts_the_code(void **state)
{
    (void)state;
    uint8_t preimage[1 + 20 + 32 + 32] = {0xff};
    uint8_t hash[32];

    memcpy(preimage + 1, x402_facilitator_deployer20, 20);
    memcpy(preimage + 21, x402_facilitator_deploy_data, 32);
    x402_keccak256(preimage + 53, x402_facilitator_deploy_data + 32,
                   x402_facilitator_deploy_data_size - 32);
    x402_keccak256(hash, preimage, sizeof preimage);
    assert_memory_equal(x402_facilitator_address20, hash + 12, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settle_is_the_reference_calldata),
        cmocka_unit_test(settle_is_not_encoded_into_too_little_room),
        cmocka_unit_test(settle_sizes_are_whole_words_behind_the_selector),
        cmocka_unit_test(only_what_has_a_packed_form_fits),
        cmocka_unit_test(a_high_s_does_not_fit),
        cmocka_unit_test(settle_answer_says_how_many_and_which_failed),
        cmocka_unit_test(the_last_item_of_a_full_batch_can_fail),
        cmocka_unit_test(answers_that_are_not_of_settle_are_refused),
        cmocka_unit_test(a_full_batch_fits_the_gas_of_a_transaction),
        cmocka_unit_test(reasons_are_text_or_the_hex_of_a_selector),
        cmocka_unit_test(look_is_the_reference_calldata),
        cmocka_unit_test(look_answer_says_balance_code_and_what_is_not_known),
        cmocka_unit_test(a_full_look_takes_no_more_gas_than_nodes_give),
        cmocka_unit_test(answers_that_are_not_of_look_are_refused),
        cmocka_unit_test(failed_topic_is_the_hash_of_its_signature),
        cmocka_unit_test(address_is_where_the_deployer_puts_the_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
