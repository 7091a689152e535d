/* Several payments of one payer: what it cannot pay for all is not sent, and what it
 * has is not guessed. */
#include "unit/core/support.h"

#include "unit/settle/node.h"

#define VALUE 1000

static struct x402_settlement flying; /* of the same payer, under way */
static struct x402_settlement payments[2];
static struct x402_finding findings[2];
static uint64_t balance;

static json_t *says_the_balance(const char *method, const json_t *params)
{
    (void)method;
    (void)params;
    return node_result(node_word(balance));
}

static json_t *reverts(const char *method, const json_t *params)
{
    (void)method;
    (void)params;
    return node_error(3, "execution reverted: paused");
}

static struct x402_settlement payment(int64_t id)
{
    struct x402_settlement out = {.payment_id = id,
                                  .state = {X402_DELIVERY_DELIVERED, X402_MONEY_DUE},
                                  .value = VALUE,
                                  .valid_before_seconds = 5000};

    memset(out.from20, 0xf0, 20);
    return out;
}

static int begin(void **state)
{
    (void)state;
    memset(findings, 0, sizeof findings);
    if (chain_make() != 0)
        return -1;
    flying = payment(1);
    chain.flights.payments = &flying;
    chain.flights.payments_count = 1;
    for (size_t i = 0; i < 2; i++) {
        payments[i] = payment((int64_t)i + 2);
        findings[i].sight = X402_SIGHT_PASSES;
    }
    return node_start();
}

static int end(void **state)
{
    (void)state;
    free(chain.held);
    return node_stop();
}

/* Both payments, in one batch. */
static void check(node_answer *answer)
{
    struct x402_dues dues = {payments, findings, 2};
    static struct x402_batch batch;

    batch = (struct x402_batch){.indexes = {0, 1}, .count = 2};
    node.answer = answer;
    assert_true(x402_funds_check(&chain, &dues, &batch, 1));
}

static void what_the_balance_covers_beside_what_is_under_way_passes(void **state)
{
    (void)state;
    balance = 3 * VALUE;
    check(says_the_balance);
    assert_int_equal(findings[0].sight, X402_SIGHT_PASSES);
    assert_int_equal(findings[1].sight, X402_SIGHT_PASSES);
}

static void what_it_does_not_cover_is_refused_by_us(void **state)
{
    (void)state;
    balance = 3 * VALUE - 1;
    check(says_the_balance);
    assert_int_equal(findings[0].sight, X402_SIGHT_PASSES);
    assert_int_equal(findings[1].sight, X402_SIGHT_REFUSED);
    assert_int_equal(findings[1].why, X402_REVERT_FUNDS);
    assert_true(findings[1].by_us);
}

static void what_somebody_waits_for_is_not_refused_only_not_sent(void **state)
{
    (void)state;
    balance = 0;
    payments[0].state.delivery = payments[1].state.delivery = X402_DELIVERY_OWED;
    check(says_the_balance);
    assert_int_equal(findings[0].sight, X402_SIGHT_UNKNOWN);
    assert_int_equal(findings[1].sight, X402_SIGHT_UNKNOWN);
}

static void without_a_balance_nothing_is_sent_and_nothing_refused(void **state)
{
    static node_answer *const answers[] = {node_is_at_a_loss, reverts, node_hangs_up};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        findings[0].sight = findings[1].sight = X402_SIGHT_PASSES;
        chain.held_count = 0;
        check(answers[i]);
        assert_int_equal(chain.held_count, answers[i] == node_hangs_up ? 0 : 2);
        assert_int_equal(findings[0].sight, X402_SIGHT_UNKNOWN);
        assert_int_equal(findings[1].sight, X402_SIGHT_UNKNOWN);
    }
}

static void the_only_payment_of_its_payer_needs_no_balance(void **state)
{
    (void)state;
    chain.flights.payments_count = 0;
    memset(payments[1].from20, 1, 20);
    check(node_is_at_a_loss);
    assert_int_equal(findings[0].sight, X402_SIGHT_PASSES);
    assert_int_equal(findings[1].sight, X402_SIGHT_PASSES);
    assert_int_equal(server.requests, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(what_the_balance_covers_beside_what_is_under_way_passes),
        TEST(what_it_does_not_cover_is_refused_by_us),
        TEST(what_somebody_waits_for_is_not_refused_only_not_sent),
        TEST(without_a_balance_nothing_is_sent_and_nothing_refused),
        TEST(the_only_payment_of_its_payer_needs_no_balance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
