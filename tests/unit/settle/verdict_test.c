/* Whose fault the settler finds it that a delivered payment failed. */
#include "unit/ledger/fixture.h"

#include "unit/settle/fixture.h"

static int begin(void **state)
{
    if (ledger_make(state) != 0 || chain_make() != 0)
        return -1;
    chain.ledger = ((struct fixture *)*state)->ledger;
    return 0;
}

static int end(void **state)
{
    free(chain.held);
    return fixture_release(state);
}

/* Sells one payment, and it becomes due. */
static struct x402_settlement sold(void)
{
    struct x402_settlement due;
    size_t count = 0;

    (void)sell(chain.ledger, 1);
    assert_int_equal(x402_ledger_due(chain.ledger, CHAIN, &due, 1, &count), X402_OK);
    assert_int_equal(count, 1);
    return due;
}

static void act(const struct x402_settlement *payment, enum x402_action action,
                struct x402_finding finding)
{
    struct x402_ruling ruling = {
        .payment = payment, .finding = finding, .action = action};

    x402_rulings_enforce(&chain, &ruling, 1);
    assert_int_equal(ruling.action, action);
}

static void fail_for(const struct x402_settlement *payment, enum x402_sight sight)
{
    act(payment, X402_ACTION_FAIL, (struct x402_finding){.sight = sight});
    assert_state(chain.ledger, payment->payment_id, X402_DELIVERY_DELIVERED,
                 X402_MONEY_FAILED);
}

static void refuse(const struct x402_settlement *payment, enum x402_revert why,
                   bool by_us)
{
    act(payment, X402_ACTION_RETRY,
        (struct x402_finding){.sight = X402_SIGHT_REFUSED, .why = why, .by_us = by_us});
}

/* Whether the payer's next payment is settled first, for no other reason. */
static bool is_distrusted(void)
{
    struct x402_admit next = presentation(2, 0);

    next.credit.payer_max = UINT64_MAX - 1;
    return admit_on(chain.ledger, &next) == X402_ADMISSION_SETTLING;
}

static void what_expired_without_a_refusal_is_not_the_payers_fault(void **state)
{
    struct x402_settlement payment = sold();

    (void)state;
    fail_for(&payment, X402_SIGHT_EXPIRED);
    assert_false(is_distrusted());
}

static void what_expired_while_the_token_was_paused_is_not_the_payers_fault(
    void **state)
{
    struct x402_settlement payment = sold();

    (void)state;
    refuse(&payment, X402_REVERT_PAUSED, false);
    fail_for(&payment, X402_SIGHT_EXPIRED);
    assert_false(is_distrusted());
}

static void what_expired_after_we_did_not_dare_to_send_it_is_not_the_payers_fault(
    void **state)
{
    struct x402_settlement payment = sold();

    (void)state;
    refuse(&payment, X402_REVERT_FUNDS, true);
    fail_for(&payment, X402_SIGHT_EXPIRED);
    assert_false(is_distrusted());
}

static void what_expired_after_the_payers_refusal_is_its_fault(void **state)
{
    static const enum x402_revert whys[] = {X402_REVERT_FUNDS, X402_REVERT_SIGNATURE,
                                            X402_REVERT_BLACKLISTED};
    struct x402_settlement payment = sold();
    struct x402_finding finding = {.sight = X402_SIGHT_EXPIRED};

    (void)state;
    for (size_t i = 0; i < sizeof whys / sizeof whys[0]; i++) {
        x402_held_drop(&chain, payment.payment_id);
        refuse(&payment, whys[i], false);
        assert_true(x402_held_find(&chain, payment.payment_id)->payers_fault);
    }
    act(&payment, X402_ACTION_FAIL, finding);
    assert_true(is_distrusted());
}

static void what_the_payer_canceled_is_its_fault(void **state)
{
    struct x402_settlement payment = sold();

    (void)state;
    fail_for(&payment, X402_SIGHT_CANCELED);
    assert_true(is_distrusted());
}

static void what_paid_somebody_else_is_its_payers_fault(void **state)
{
    struct x402_settlement payment = sold();

    (void)state;
    fail_for(&payment, X402_SIGHT_USED_OTHERWISE);
    assert_true(is_distrusted());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(what_expired_without_a_refusal_is_not_the_payers_fault),
        TEST(what_expired_while_the_token_was_paused_is_not_the_payers_fault),
        TEST(what_expired_after_we_did_not_dare_to_send_it_is_not_the_payers_fault),
        TEST(what_expired_after_the_payers_refusal_is_its_fault),
        TEST(what_the_payer_canceled_is_its_fault),
        TEST(what_paid_somebody_else_is_its_payers_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
