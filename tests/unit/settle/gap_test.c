#include "unit/core/support.h"

#include "settle/chain.h"

static struct x402_chain chain;
static struct x402_flight flight;

static int begin(void **state)
{
    (void)state;
    memset(&chain, 0, sizeof chain);
    chain.gap_milliseconds = -1;
    return 0;
}

/* Nonce 5 is missing: nothing is awaited for it, and the ledger is past it. */
static const struct x402_nonces missing = {
    .stored_next = 7, .chain_latest = 5, .chain_pending = 5};

/* Something is in the pool at 5, and ours waits at 6. */
static const uint64_t six[] = {6};
static const struct x402_nonces blocked = {.stored_next = 7,
                                           .chain_latest = 5,
                                           .chain_pending = 7,
                                           .live = six,
                                           .live_count = 1};

static void age(int64_t milliseconds)
{
    chain.gap_milliseconds = x402_chain_milliseconds() - milliseconds;
}

static void a_missing_nonce_is_used_once_it_was_missing_for_long(void **state)
{
    (void)state;
    x402_gap_watch(&chain, &missing);
    assert_int_equal(chain.gap.nonce, 5);
    assert_false(x402_gap_is_to_be_used(&chain));
    age(X402_FILL_MILLISECONDS);
    x402_gap_watch(&chain, &missing);
    assert_true(x402_gap_is_to_be_used(&chain));
}

static void a_nonce_that_comes_back_is_forgotten(void **state)
{
    struct x402_nonces closed = {
        .stored_next = 7, .chain_latest = 5, .chain_pending = 7};

    (void)state;
    x402_gap_watch(&chain, &missing);
    age(X402_FILL_MILLISECONDS);
    x402_gap_watch(&chain, &closed);
    assert_int_equal(chain.gap_milliseconds, -1);
    x402_gap_watch(&chain, &missing);
    assert_false(x402_gap_is_to_be_used(&chain));
}

static void a_missing_nonce_makes_settled_payments_be_looked_at_again(void **state)
{
    (void)state;
    x402_gap_watch(&chain, &missing);
    assert_true(x402_chain_is_shaken(&chain));
    assert_true(chain.rechecking);
}

static void a_blocked_nonce_has_more_time_and_means_no_reorganization(void **state)
{
    (void)state;
    chain.flights.items = &flight;
    chain.flights.count = 1;
    x402_gap_watch(&chain, &blocked);
    assert_true(chain.gap.is_blocked);
    assert_false(chain.rechecking);
    age(X402_FILL_MILLISECONDS);
    assert_false(x402_gap_is_to_be_used(&chain));
    age(X402_FILL_BLOCKED_MILLISECONDS);
    assert_true(x402_gap_is_to_be_used(&chain));
}

static void a_nonce_whose_row_cannot_be_replaced_is_left_to_an_empty_one(void **state)
{
    struct x402_nonces next = missing;

    (void)state;
    x402_gap_watch(&chain, &missing);
    age(X402_FILL_MILLISECONDS);
    chain.gap_unusable = true;
    x402_gap_watch(&chain, &missing);
    assert_false(x402_gap_is_to_be_used(&chain));
    next.chain_latest = next.chain_pending = 6; /* and the one after it is another */
    x402_gap_watch(&chain, &next);
    assert_true(x402_gap_is_to_be_used(&chain));
}

#define FRESH(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(a_missing_nonce_is_used_once_it_was_missing_for_long),
        FRESH(a_nonce_that_comes_back_is_forgotten),
        FRESH(a_missing_nonce_makes_settled_payments_be_looked_at_again),
        FRESH(a_blocked_nonce_has_more_time_and_means_no_reorganization),
        FRESH(a_nonce_whose_row_cannot_be_replaced_is_left_to_an_empty_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
