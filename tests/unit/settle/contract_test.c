#include "unit/core/support.h"

#include "settle/chain.h"

static struct x402_chain chain;
static struct x402_settler_options options;

static void take_note(void *data, const struct x402_note_event *event)
{
    (void)data;
    (void)event;
}

static int begin(void **state)
{
    (void)state;
    memset(&chain, 0, sizeof chain);
    options = (struct x402_settler_options){.note = take_note, .batch_age_seconds = -1};
    chain.options = &options;
    chain.has_contract = true;
    return 0;
}

static void without_the_contract_payments_go_singly_and_at_once(void **state)
{
    (void)state;
    chain.has_contract = false;
    options.batch_size = 50;
    options.batch_age_seconds = 30;
    struct x402_batch_policy policy = x402_batch_policy_now(&chain);
    assert_int_equal(policy.max, 1);
    assert_int_equal(policy.age_seconds, 0);
}

static void what_the_operator_says_of_batches_counts(void **state)
{
    (void)state;
    struct x402_batch_policy usual = x402_batch_policy_default(true);
    struct x402_batch_policy policy = x402_batch_policy_now(&chain);
    assert_memory_equal(&policy, &usual, sizeof policy);
    options.batch_size = 50;
    options.batch_age_seconds = 0;
    policy = x402_batch_policy_now(&chain);
    assert_int_equal(policy.target, 50);
    assert_int_equal(policy.age_seconds, 0);
    options.batch_age_seconds = 30;
    options.once = true;
    assert_int_equal(x402_batch_policy_now(&chain).age_seconds, 0);
}

static void a_batch_that_was_too_much_makes_the_next_ones_half_as_large(void **state)
{
    (void)state;
    x402_batch_shrink(&chain, 200);
    assert_int_equal(x402_batch_policy_now(&chain).max, 100);
    x402_batch_shrink(&chain, 100);
    assert_int_equal(x402_batch_policy_now(&chain).max, 50);
    x402_batch_shrink(&chain, 3);
    assert_int_equal(x402_batch_policy_now(&chain).max, 1);
    x402_batch_shrink(&chain, 1);
    assert_int_equal(x402_batch_policy_now(&chain).max, 1);
}

static void and_only_for_a_while(void **state)
{
    (void)state;
    x402_batch_shrink(&chain, 200);
    chain.batch_milliseconds -= X402_SMALLER_MILLISECONDS + 1;
    assert_int_equal(x402_batch_policy_now(&chain).max, X402_BATCH_MAX);
}

#define FRESH(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(without_the_contract_payments_go_singly_and_at_once),
        FRESH(what_the_operator_says_of_batches_counts),
        FRESH(a_batch_that_was_too_much_makes_the_next_ones_half_as_large),
        FRESH(and_only_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
