#include "unit/core/support.h"

#include "unit/settle/fixture.h"

static int begin(void **state)
{
    (void)state;
    return chain_make();
}

static int end(void **state)
{
    (void)state;
    free(chain.held);
    return 0;
}

static struct x402_settlement payment(int64_t id)
{
    struct x402_settlement payment = {
        .payment_id = id, .value = 1000, .valid_before_seconds = 5000};

    memcpy(payment.asset20, chain.network.asset20, 20);
    return payment;
}

static void payments_are_found_whatever_the_order_they_came_in(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 500; i++) {
        struct x402_settlement p = payment(i * 7919 % 500 + 1);
        assert_non_null(x402_held_of(&chain, &p));
    }
    assert_int_equal(chain.held_count, 500);
    for (int64_t id = 1; id <= 500; id++)
        assert_int_equal(x402_held_find(&chain, id)->payment_id, id);
    assert_null(x402_held_find(&chain, 0));
    assert_null(x402_held_find(&chain, 501));
    for (int64_t id = 1; id <= 500; id += 2)
        x402_held_drop(&chain, id);
    x402_held_drop(&chain, 1);
    assert_int_equal(chain.held_count, 250);
    assert_null(x402_held_find(&chain, 249));
    assert_non_null(x402_held_find(&chain, 250));
}

/* Refuses payment 17, for want of funds, and so it waits so long. */
static void refuse(const char *reason, bool cost_gas, int64_t milliseconds)
{
    struct x402_settlement p = payment(17);
    int64_t before = x402_chain_milliseconds();

    x402_held_refuse(&chain, &p, X402_REVERT_FUNDS, reason, cost_gas);
    assert_in_range(x402_held_find(&chain, 17)->try_at_milliseconds,
                    before + milliseconds, x402_chain_milliseconds() + milliseconds);
}

static void a_refusal_is_told_once_and_waits_longer_each_time(void **state)
{
    struct x402_settlement p = payment(17);

    (void)state;
    refuse("too poor", false, 2000);
    assert_int_equal(notes, 1);
    assert_string_equal(noted, "waiting with payment 17: 0.001 USDC from "
                               "0x0000000000000000000000000000000000000000: too poor");
    refuse("too poor", false, 4000);
    assert_int_equal(notes, 1);
    x402_held_refuse(&chain, &p, X402_REVERT_PAUSED, "Pausable: paused", false);
    assert_int_equal(notes, 2);
}

static void a_refusal_that_cost_gas_waits_long(void **state)
{
    (void)state;
    refuse("", true, 30000);
    refuse("", false, 60000);
}

static void what_ended_an_hour_ago_is_forgotten(void **state)
{
    struct x402_settlement p = payment(1), forever = payment(2);

    (void)state;
    forever.valid_before_seconds = UINT64_MAX;
    assert_non_null(x402_held_of(&chain, &p));
    assert_non_null(x402_held_of(&chain, &forever));
    chain.view.latest.time_seconds = 5000 + 3599;
    x402_held_prune(&chain);
    assert_int_equal(chain.held_count, 2);
    chain.view.latest.time_seconds++;
    x402_held_prune(&chain);
    assert_int_equal(chain.held_count, 1);
    assert_non_null(x402_held_find(&chain, 2));
}

static void there_is_a_bound_and_the_oldest_gives_way(void **state)
{
    (void)state;
    for (int64_t id = 1; id <= X402_HELD_MAX + 10; id++) {
        struct x402_settlement p = payment(id);
        assert_non_null(x402_held_of(&chain, &p));
    }
    assert_int_equal(chain.held_count, X402_HELD_MAX);
    assert_null(x402_held_find(&chain, 10));
    assert_non_null(x402_held_find(&chain, 11));
}

static void a_condition_is_told_when_it_begins_and_not_again(void **state)
{
    (void)state;
    x402_chain_trouble(&chain, X402_TROUBLE_NODE, "timeout");
    x402_chain_trouble(&chain, X402_TROUBLE_GAS, "a second one of the pass");
    assert_int_equal(notes, 1);
    chain.troubled = false; /* the next pass */
    x402_chain_trouble(&chain, X402_TROUBLE_NODE, "HTTP status 500");
    assert_int_equal(notes, 1);
    chain.troubled = false;
    x402_chain_trouble(&chain, X402_TROUBLE_GAS, "no ether");
    assert_int_equal(notes, 2);
}

static void the_memory_of_nonces_is_bounded_and_pruned(void **state)
{
    (void)state;
    for (uint64_t nonce = 0; nonce < X402_SENT_MAX; nonce++)
        assert_int_equal(x402_sent_of(&chain, nonce)->at_milliseconds, -1);
    assert_null(x402_sent_of(&chain, X402_SENT_MAX));
    assert_non_null(x402_sent_of(&chain, 5));
    chain.view.nonces.chain_latest = X402_SENT_MAX - 1;
    x402_sent_prune(&chain);
    assert_int_equal(chain.sent_count, 1);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(payments_are_found_whatever_the_order_they_came_in),
        FRESH(a_refusal_is_told_once_and_waits_longer_each_time),
        FRESH(a_refusal_that_cost_gas_waits_long),
        FRESH(what_ended_an_hour_ago_is_forgotten),
        FRESH(there_is_a_bound_and_the_oldest_gives_way),
        FRESH(a_condition_is_told_when_it_begins_and_not_again),
        FRESH(the_memory_of_nonces_is_bounded_and_pruned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
