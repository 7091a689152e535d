/* A node that is asked about what a facilitator said, and does not answer. */
#include "unit/core/support.h"

#include "unit/settle/node.h"

#include "settle/remote_work.h"

static struct x402_remote remote;
static struct x402_remote_line line;
static struct x402_remote_item items[3];

static int begin(void **state)
{
    (void)state;
    memset(&remote, 0, sizeof remote);
    memset(items, 0, sizeof items);
    if (chain_make() != 0)
        return -1;
    remote.options = &options;
    line = (struct x402_remote_line){.chain = &chain, .has_node = true};
    for (size_t i = 0; i < 3; i++)
        items[i].line = &line;
    node.answer = node_hangs_up;
    return node_start();
}

static int end(void **state)
{
    (void)state;
    return node_stop();
}

/* Looks for all of them, in one pass; how often the node was asked. */
static int look_for_all(void)
{
    int before = server.requests;

    for (size_t i = 0; i < 3; i++)
        assert_false(x402_remote_looked(&remote, &items[i]));
    return server.requests - before;
}

static void a_node_that_fails_is_asked_for_one_payment_a_pass(void **state)
{
    (void)state;
    x402_chain_begin(&chain);
    assert_false(x402_remote_looked(&remote, &items[0]));
    assert_true(chain.failed);
    assert_true(server.requests > 0);
    assert_int_equal(look_for_all(), 0);
    x402_chain_begin(&chain);
    assert_true(look_for_all() > 0);
}

static void a_node_that_rests_is_not_asked(void **state)
{
    (void)state;
    chain.pass_milliseconds = x402_chain_milliseconds() + 60000;
    x402_chain_begin(&chain);
    assert_int_equal(look_for_all(), 0);
}

static void nobody_is_asked_in_a_pass_that_has_taken_long(void **state)
{
    (void)state;
    x402_chain_begin(&chain);
    chain.began_milliseconds -= 5000;
    assert_int_equal(look_for_all(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_node_that_fails_is_asked_for_one_payment_a_pass),
        TEST(a_node_that_rests_is_not_asked),
        TEST(nobody_is_asked_in_a_pass_that_has_taken_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
