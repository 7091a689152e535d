/* Balances: many in few calls, and what is not known is never taken for nothing. */
#include "unit/core/support.h"

#include "unit/settle/node.h"

#include "evm/facilitator.h"

#define MANY 450

static struct x402_balance balances[MANY];
static char asked_block[80];
static size_t looked_most; /* payers of one look */
static int looks, singles;

static const struct x402_balances_how for_funds = {.in_pass = true};
static const struct x402_balances_how for_credit = {.with_code = true,
                                                    .silence_is_none = true};

/* Payer number i has 1000 + i of the token of asset `token`. */
static void want(size_t index, uint8_t token)
{
    memset(&balances[index], 0, sizeof balances[index]);
    memset(balances[index].asset20, token, 20);
    balances[index].payer20[18] = (uint8_t)(index >> 8);
    balances[index].payer20[19] = (uint8_t)index;
    balances[index].known = true; /* of another time */
    balances[index].units = 7;
}

static int begin(void **state)
{
    (void)state;
    if (chain_make() != 0)
        return -1;
    chain.has_contract = true;
    memset(chain.view.latest.hash32, 0xab, 32);
    looks = singles = 0;
    looked_most = 0;
    return node_start();
}

static int end(void **state)
{
    (void)state;
    return node_stop();
}

static bool ask(size_t count, const struct x402_balances_how *how, node_answer *answer)
{
    node.answer = answer;
    return x402_balances_ask(&chain, balances, count, how);
}

/* -------------------------------------------------------------------------- answers */

static uint64_t units_of(const uint8_t payer20[20])
{
    return 1000 + 256 * (uint64_t)payer20[18] + payer20[19];
}

/* Payers of odd numbers: the token does not say, or there is code. */
static json_t *look(const json_t *params, bool silent)
{
    uint8_t data[X402_FACILITATOR_LOOK_SIZE_MAX];
    uint8_t words[2 + MANY][32] = {{0}};
    size_t size = node_call_data(params, data, sizeof data);
    size_t count = ((size_t)data[4 + 94] << 8 | data[4 + 95]) / 20;

    assert_true(size >= 4 + 96 && count <= MANY);
    looks++;
    looked_most = count > looked_most ? count : looked_most;
    words[0][31] = 0x20;
    words[1][30] = (uint8_t)(count >> 8);
    words[1][31] = (uint8_t)count;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *payer20 = data + 4 + 96 + 20 * i;
        uint64_t units = units_of(payer20);
        bool odd = payer20[19] % 2 == 1;
        if (odd)
            words[2 + i][0] = silent ? 0x40 : 0x80;
        if (odd && silent)
            continue;
        words[2 + i][30] = (uint8_t)(units >> 8);
        words[2 + i][31] = (uint8_t)units;
    }
    return node_result(x402_json_of_bytes(words[0], 32 * (2 + count)));
}

static json_t *single(const json_t *params)
{
    uint8_t data[X402_ABI_BALANCE_OF_SIZE];

    assert_int_equal(node_call_data(params, data, sizeof data), sizeof data);
    singles++;
    return node_word(units_of(data + 4 + 12));
}

static json_t *code_of(const json_t *params)
{
    uint8_t payer20[20];

    assert_true(x402_json_bytes(payer20, 20, json_array_get(params, 0)));
    return node_result(json_string(payer20[19] % 2 == 1 ? "0x60" : "0x"));
}

static json_t *looks_work(const char *method, const json_t *params)
{
    const json_t *block = json_object_get(json_array_get(params, 1), "blockHash");

    assert_string_equal(method, "eth_call");
    snprintf(asked_block, sizeof asked_block, "%s", json_string_value(block));
    assert_true(node_called(params, x402_facilitator_address20));
    return look(params, false);
}

static json_t *token_is_silent(const char *method, const json_t *params)
{
    assert_string_equal(method, "eth_call");
    return look(params, true);
}

static json_t *looks_are_refused(const char *method, const json_t *params)
{
    if (strcmp(method, "eth_getCode") == 0)
        return code_of(params);
    if (!node_called(params, x402_facilitator_address20))
        return node_result(single(params));
    looks++;
    return node_error(-32005, "too much gas");
}

static json_t *token_reverts(const char *method, const json_t *params)
{
    return strcmp(method, "eth_getCode") == 0
               ? code_of(params)
               : node_error(3, "execution reverted: paused");
}

/* ---------------------------------------------------------------------------- tests */

static void assert_known(size_t index, bool has_code)
{
    assert_true(balances[index].known);
    assert_false(balances[index].odd);
    assert_int_equal(balances[index].units, 1000 + index);
    assert_int_equal(balances[index].has_code, has_code);
}

static void many_are_read_in_calls_of_200_each_of_one_token(void **state)
{
    (void)state;
    for (size_t i = 0; i < MANY; i++)
        want(i, i % 10 == 0 ? 0xa1 : 0xa2);
    assert_true(ask(MANY, &for_credit, looks_work));
    assert_int_equal(looks, 4); /* 45 of one, 405 of the other */
    assert_int_equal(looked_most, 200);
    for (size_t i = 0; i < MANY; i++)
        assert_known(i, i % 2 == 1);
}

static void the_block_is_named_by_its_hash(void **state)
{
    uint8_t hash32[32];
    json_t *text;

    (void)state;
    want(0, 1);
    assert_true(ask(1, &for_funds, looks_work));
    memset(hash32, 0xab, 32);
    text = x402_json_of_bytes(hash32, 32);
    assert_string_equal(asked_block, json_string_value(text));
    json_decref(text);
}

static void where_looks_are_refused_they_are_read_one_by_one_for_a_while(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++)
        want(i, 1);
    assert_true(ask(4, &for_credit, looks_are_refused));
    assert_int_equal(looks, 1);
    for (size_t i = 0; i < 4; i++)
        assert_known(i, i % 2 == 1);
    assert_true(ask(4, &for_credit, looks_are_refused));
    assert_int_equal(looks, 1);
    assert_int_equal(singles, 8);
    chain.looks_refused_milliseconds = x402_chain_milliseconds();
    assert_true(ask(4, &for_credit, looks_are_refused));
    assert_int_equal(looks, 2);
    assert_false(chain.failed);
}

static void without_the_contract_a_bounded_number_is_read(void **state)
{
    (void)state;
    chain.has_contract = false;
    for (size_t i = 0; i < MANY; i++)
        want(i, 1);
    assert_true(ask(MANY, &for_funds, looks_are_refused));
    assert_int_equal(looks, 0);
    assert_int_equal(singles, X402_BALANCE_SINGLES_MAX);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(balances[i].known, i < X402_BALANCE_SINGLES_MAX);
    assert_false(balances[MANY - 1].odd);
}

static void what_the_token_does_not_say_is_nothing_for_credit_alone(void **state)
{
    (void)state;
    want(1, 1);
    assert_true(ask(2, &for_credit, token_is_silent));
    assert_true(balances[1].known);
    assert_int_equal(balances[1].units, 0);
    assert_true(ask(2, &for_funds, token_is_silent));
    assert_false(balances[1].known);
    assert_true(balances[1].odd);
    assert_known(0, false);
    chain.has_contract = false;
    assert_true(ask(2, &for_credit, token_reverts));
    assert_true(balances[1].known);
    assert_int_equal(balances[1].units, 0);
    assert_true(ask(2, &for_funds, token_reverts));
    assert_false(balances[1].known);
    assert_true(balances[1].odd);
    assert_false(chain.failed);
}

static void an_odd_answer_is_no_balance_and_fails_no_pass(void **state)
{
    (void)state;
    want(0, 1);
    assert_false(ask(1, &for_funds, node_is_at_a_loss));
    assert_false(balances[0].known);
    assert_true(balances[0].odd);
    assert_false(ask(1, &for_credit, node_is_at_a_loss));
    assert_false(balances[0].known);
    assert_false(chain.failed);
}

static void no_answer_is_no_balance_and_fails_the_pass_of_those_who_need_it(
    void **state)
{
    (void)state;
    want(0, 1);
    assert_false(ask(1, &for_credit, node_hangs_up));
    assert_false(balances[0].known);
    assert_false(chain.failed);
    assert_false(ask(1, &for_funds, node_hangs_up));
    assert_false(balances[0].known);
    assert_false(balances[0].odd);
    assert_true(chain.failed);
    assert_int_equal(chain.looks_refused_milliseconds, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(many_are_read_in_calls_of_200_each_of_one_token),
        TEST(the_block_is_named_by_its_hash),
        TEST(where_looks_are_refused_they_are_read_one_by_one_for_a_while),
        TEST(without_the_contract_a_bounded_number_is_read),
        TEST(what_the_token_does_not_say_is_nothing_for_credit_alone),
        TEST(an_odd_answer_is_no_balance_and_fails_no_pass),
        TEST(no_answer_is_no_balance_and_fails_the_pass_of_those_who_need_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
