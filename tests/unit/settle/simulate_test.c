/* What the chain says to payments before they are sent, and what is made of a node that
 * says nothing of use. */
#include "unit/core/support.h"

#include "unit/settle/node.h"

#include "evm/facilitator.h"

#define COUNT 4

static struct x402_settlement payments[COUNT];
static struct x402_finding findings[COUNT];
static struct x402_dues dues = {payments, findings, COUNT};
static size_t indexes[COUNT] = {0, 1, 2, 3};

static int begin(void **state)
{
    (void)state;
    memset(findings, 0, sizeof findings);
    if (chain_make() != 0 || node_start() != 0)
        return -1;
    chain.pending_refused = true; /* one question each */
    chain.view.latest.time_seconds = 1000;
    for (size_t i = 0; i < COUNT; i++) {
        payments[i] =
            (struct x402_settlement){.payment_id = (int64_t)i + 1,
                                     .state = {X402_DELIVERY_DELIVERED, X402_MONEY_DUE},
                                     .value = 1000,
                                     .valid_before_seconds = 5000};
        memcpy(payments[i].asset20, chain.network.asset20, 20);
        memset(payments[i].from20, (int)i + 1, 20);
        payments[i].signature65[64] = 27;
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(chain.held);
    return node_stop();
}

/* -------------------------------------------------------------------------- answers */

/* Of which payer a transfer is. */
static uint8_t payer_of(const json_t *params)
{
    uint8_t data[X402_ABI_TRANSFER_SIZE];

    assert_int_equal(node_call_data(params, data, sizeof data), sizeof data);
    return data[4 + 31];
}

static json_t *second_is_a_puzzle(const char *method, const json_t *params)
{
    (void)method;
    if (payer_of(params) == 2)
        return node_error(-32603, "stack underflow in tracer");
    return payer_of(params) == 3 ? node_error(3, "execution reverted: paused")
                                 : node_result(json_string("0x"));
}

static json_t *answers_and_says_nothing(const char *method, const json_t *params)
{
    (void)method;
    (void)params;
    return node_result(json_integer(5));
}

/* In a batch all but the first fail; by itself each passes. */
static json_t *only_the_first_passes_in_a_batch(const char *method,
                                                const json_t *params)
{
    uint8_t words[2][32] = {{0}};

    (void)method;
    if (!node_called(params, x402_facilitator_address20))
        return node_result(json_string("0x"));
    words[0][31] = COUNT;
    words[1][31] = 0x0e;
    return node_result(x402_json_of_bytes(words[0], sizeof words));
}

static int64_t began, ended; /* the last pass, in milliseconds */

/* A pass as far as simulating goes. */
static void simulate(node_answer *answer, size_t first, size_t count)
{
    began = x402_chain_milliseconds();
    node.answer = answer;
    x402_chain_begin(&chain);
    x402_simulate_singly(&chain, &dues, indexes + first, count);
    x402_puzzles_judge(&chain);
    ended = x402_chain_milliseconds();
}

/* ---------------------------------------------------------------------------- tests */

static void one_puzzle_waits_alone_and_is_no_refusal(void **state)
{
    const struct x402_held *held;

    (void)state;
    simulate(second_is_a_puzzle, 0, COUNT);
    assert_false(chain.failed);
    assert_int_equal(findings[0].sight, X402_SIGHT_PASSES);
    assert_int_equal(findings[1].sight, X402_SIGHT_UNKNOWN);
    assert_int_equal(findings[2].sight, X402_SIGHT_REFUSED);
    assert_int_equal(findings[3].sight, X402_SIGHT_PASSES);
    assert_int_equal(chain.held_count, 1);
    held = x402_held_find(&chain, 2);
    assert_non_null(held);
    assert_true(x402_held_waits(&chain, held));
    assert_int_equal(held->tries, 0);
    assert_int_equal(held->why, X402_REVERT_NONE);
    assert_false(held->payers_fault);
}

static void a_pass_with_nothing_but_puzzles_fails(void **state)
{
    static node_answer *const answers[] = {node_is_at_a_loss, answers_and_says_nothing};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        chain.held_count = 0;
        simulate(answers[i], 0, COUNT);
        assert_true(chain.failed);
        assert_int_equal(chain.held_count, COUNT);
    }
}

static void a_puzzle_that_stays_one_fails_no_further_pass_and_is_told_once(void **state)
{
    (void)state;
    simulate(node_is_at_a_loss, 1, 1);
    assert_true(chain.failed);
    notes = 0;
    simulate(node_is_at_a_loss, 1, 1);
    assert_false(chain.failed);
    assert_int_equal(notes, 1);
    assert_non_null(strstr(noted, "payment 2"));
    assert_non_null(strstr(noted, "internal error"));
    simulate(node_is_at_a_loss, 1, 1);
    assert_int_equal(notes, 1);
}

/* Since the last pass, in which it was asked for. */
static void assert_wait(int64_t payment_id, int64_t milliseconds)
{
    assert_in_range(x402_held_find(&chain, payment_id)->try_at_milliseconds,
                    began + milliseconds, ended + milliseconds);
}

static void a_puzzle_waits_longer_each_time_but_not_past_its_end(void **state)
{
    (void)state;
    payments[2].state.delivery = X402_DELIVERY_OWED;
    payments[3].valid_before_seconds = 1008;
    simulate(node_is_at_a_loss, 1, 3);
    assert_wait(2, 2000);
    for (int i = 0; i < 8; i++)
        simulate(node_is_at_a_loss, 1, 3);
    assert_wait(2, 30000);
    assert_wait(3, 4000);
    assert_wait(4, 4000);
}

static void a_puzzle_that_was_sent_begins_anew(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        simulate(node_is_at_a_loss, 1, 1);
    x402_puzzle_forget(&chain, &payments[1]);
    simulate(node_is_at_a_loss, 1, 1);
    assert_wait(2, 2000);
}

static void no_answer_is_no_puzzle(void **state)
{
    (void)state;
    (void)server_stop();
    simulate(node_is_at_a_loss, 0, COUNT);
    assert_true(chain.failed);
    assert_int_equal(chain.held_count, 0);
    assert_int_equal(server_start(), 0);
}

/* One payer's payments, of which a batch holds but one. */
static void what_does_not_fit_beside_its_payers_others_is_refused_by_us_unless_owed(
    void **state)
{
    static struct x402_batch batch = {.indexes = {0, 1, 2, 3}, .count = COUNT};

    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        memset(payments[i].from20, 1, 20);
    payments[2].state.delivery = X402_DELIVERY_OWED;
    node.answer = only_the_first_passes_in_a_batch;
    x402_simulate(&chain, &dues, &batch, 1);
    assert_int_equal(findings[0].sight, X402_SIGHT_PASSES);
    assert_int_equal(findings[1].sight, X402_SIGHT_REFUSED);
    assert_int_equal(findings[1].why, X402_REVERT_FUNDS);
    assert_true(findings[1].by_us);
    assert_int_equal(findings[2].sight, X402_SIGHT_UNKNOWN);
    assert_int_equal(findings[3].sight, X402_SIGHT_REFUSED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(one_puzzle_waits_alone_and_is_no_refusal),
        TEST(a_pass_with_nothing_but_puzzles_fails),
        TEST(a_puzzle_that_stays_one_fails_no_further_pass_and_is_told_once),
        TEST(a_puzzle_waits_longer_each_time_but_not_past_its_end),
        TEST(a_puzzle_that_was_sent_begins_anew),
        TEST(no_answer_is_no_puzzle),
        TEST(what_does_not_fit_beside_its_payers_others_is_refused_by_us_unless_owed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
