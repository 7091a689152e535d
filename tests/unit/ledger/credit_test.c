/* How much is served before it is settled, and to whom nothing is. A payment is of 1000
 * units. */
#include "payers.h"

/* --------------------------------------------------------------------------- bounds */

static void a_new_payer_has_little_credit(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = bounded(1, 100000, 2000, NO_BOUND);
    struct x402_admit two = bounded(2, 100000, 2000, NO_BOUND);
    struct x402_admit three = bounded(3, 100000, 2000, NO_BOUND);
    struct x402_admit other = by(bounded(4, 100000, 2000, NO_BOUND), 7);

    assert_true(is_served(fixture->ledger, &one));
    assert_true(is_served(fixture->ledger, &two));
    assert_false(is_served(fixture->ledger, &three));
    assert_true(is_served(fixture->ledger, &other));
    assert_books(fixture->ledger);
}

static void a_new_payer_has_no_more_credit_than_a_known_one(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = bounded(1, 1000, 5000, NO_BOUND);
    struct x402_admit two = bounded(2, 1000, 5000, NO_BOUND);

    assert_true(is_served(fixture->ledger, &one));
    assert_false(is_served(fixture->ledger, &two));
}

static void within_one_batch_the_bounds_hold_too(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[10];
    unsigned served = 0;

    for (unsigned i = 0; i < 10; i++) {
        admits[i] = bounded(i, 3000, 3000, NO_BOUND);
    }
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, admits, 10, NULL, NULL),
        X402_OK);
    for (unsigned i = 0; i < 10; i++) {
        served += admits[i].admission == X402_ADMISSION_NEW;
        assert_int_equal(admits[i].admission == X402_ADMISSION_NEW, i < 3);
    }
    assert_int_equal(served, 3);
    assert_books(fixture->ledger);
}

static void delivering_gives_no_credit_back(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = bounded(1, 1000, 1000, NO_BOUND);
    struct x402_admit two = bounded(2, 1000, 1000, NO_BOUND);

    assert_true(is_served(fixture->ledger, &one));
    assert_true(outcome_on(fixture->ledger, &one, X402_EVENT_DELIVERED));
    assert_false(is_served(fixture->ledger, &two));
}

static void a_void_call_gives_its_credit_back(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = bounded(1, 1000, 1000, NO_BOUND);
    struct x402_admit two = bounded(2, 1000, 1000, NO_BOUND);

    assert_true(is_served(fixture->ledger, &one));
    assert_true(outcome_on(fixture->ledger, &one, X402_EVENT_VOID));
    assert_true(is_served(fixture->ledger, &two));
    assert_books(fixture->ledger);
}

static void settlement_gives_credit_back_and_a_reorganization_takes_it(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = bounded(1, 1000, 1000, NO_BOUND);
    struct x402_admit two = bounded(2, 1000, 1000, NO_BOUND);
    struct x402_admit three = bounded(3, 2000, 2000, NO_BOUND);

    assert_true(is_served(fixture->ledger, &one));
    assert_true(outcome_on(fixture->ledger, &one, X402_EVENT_DELIVERED));
    assert_true(chain_on(fixture->ledger, one.payment_id, X402_EVENT_SETTLED));
    assert_true(is_served(fixture->ledger, &two));
    assert_true(chain_on(fixture->ledger, one.payment_id, X402_EVENT_UNSETTLED));
    assert_false(is_served(fixture->ledger, &three));
    assert_books(fixture->ledger);
}

static void all_payers_together_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(bounded(1, NO_BOUND, NO_BOUND, 2000), 1);
    struct x402_admit two = by(bounded(2, NO_BOUND, NO_BOUND, 2000), 2);
    struct x402_admit three = by(bounded(3, NO_BOUND, NO_BOUND, 2000), 3);
    struct x402_admit four = by(bounded(4, NO_BOUND, NO_BOUND, 2000), 4);

    for (uint8_t payer = 1; payer <= 4; payer++) {
        meet(fixture->ledger, payer);
        see(fixture->ledger, balance(payer, 100000, 10));
    }
    assert_true(is_served(fixture->ledger, &one));
    assert_true(is_served(fixture->ledger, &two));
    assert_false(is_served(fixture->ledger, &three));
    assert_true(outcome_on(fixture->ledger, &one, X402_EVENT_VOID));
    assert_true(is_served(fixture->ledger, &four));
}

/* Keys cost nothing: so many strangers as there may be leave half to who has money. */
static void strangers_fill_no_more_than_half_of_the_bound_on_all(void **state)
{
    struct fixture *fixture = *state;
    unsigned strangers = 0, served = 0;

    meet(fixture->ledger, 100);
    see(fixture->ledger, balance(100, 100000, 10));
    for (uint8_t i = 1; i <= 20; i++) {
        struct x402_admit admit = by(bounded(i, NO_BOUND, NO_BOUND, 8000), i);
        strangers += is_served(fixture->ledger, &admit);
    }
    assert_int_equal(strangers, 4);
    for (uint8_t i = 21; i <= 40; i++) {
        struct x402_admit admit = by(bounded(i, NO_BOUND, NO_BOUND, 8000), 100);
        served += is_served(fixture->ledger, &admit);
    }
    assert_int_equal(served, 4);
    assert_books(fixture->ledger);
}

static void a_stranger_has_no_credit_beside_half_of_the_bound_on_all(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(bounded(1, NO_BOUND, NO_BOUND, 4000), 100);
    struct x402_admit two = by(bounded(2, NO_BOUND, NO_BOUND, 4000), 100);
    struct x402_admit stranger = by(bounded(3, NO_BOUND, NO_BOUND, 4000), 3);

    meet(fixture->ledger, 100);
    see(fixture->ledger, balance(100, 100000, 10));
    assert_true(is_served(fixture->ledger, &one));
    assert_true(is_served(fixture->ledger, &two));
    assert_false(is_served(fixture->ledger, &stranger));
}

static void the_bound_on_all_is_of_one_token(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = bounded(1, NO_BOUND, NO_BOUND, 2000);
    struct x402_admit other = bounded(2, NO_BOUND, NO_BOUND, 2000);

    other.verified.asset20[0] ^= 1;
    assert_true(is_served(fixture->ledger, &one));
    assert_true(is_served(fixture->ledger, &other));
}

/* Keys cost nothing: what nobody serves must not fill the bound on what is served. */
static void what_is_settled_first_takes_no_credit_of_others(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit good = by(bounded(100, NO_BOUND, NO_BOUND, 2000), 100);

    for (uint8_t i = 0; i < 50; i++) {
        struct x402_admit bad = by(bounded(i, NO_BOUND, 0, 2000), i);
        assert_false(is_served(fixture->ledger, &bad));
    }
    assert_true(is_served(fixture->ledger, &good));
    assert_books(fixture->ledger);
}

static void what_is_settled_first_takes_no_credit_once_it_is_served(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit first = bounded(1, 1000, 0, NO_BOUND);
    struct x402_admit serving = bounded(1, 1000, 0, NO_BOUND);
    struct x402_admit next = bounded(2, 1000, 1000, NO_BOUND);

    assert_false(is_served(fixture->ledger, &first));
    assert_true(chain_on(fixture->ledger, first.payment_id, X402_EVENT_SETTLED));
    serving.attempt16[8] = 1;
    assert_true(is_served(fixture->ledger, &serving));
    assert_true(serving.settled);
    assert_true(is_served(fixture->ledger, &next));
}

static void what_is_owed_is_served_beyond_every_bound(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit first = bounded(1, 0, 0, 0);
    struct x402_admit serving = bounded(1, 0, 0, 0);

    assert_false(is_served(fixture->ledger, &first));
    assert_true(chain_on(fixture->ledger, first.payment_id, X402_EVENT_SETTLED));
    assert_true(is_served(fixture->ledger, &serving));
}

static void without_bounds_nothing_is_asked(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sighting coded = balance(0xf0, 0, 10);

    for (unsigned i = 0; i < 20; i++) {
        struct x402_admit admit = presentation(i, 0);
        admit.verified.value = INT64_MAX;
        assert_true(is_served(fixture->ledger, &admit));
        coded.has_code = coded.refused = true;
        see(fixture->ledger, coded);
    }
    assert_books(fixture->ledger);
}

static void sums_that_pass_64_bits_are_beyond_every_bound(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < 2; i++) {
        struct x402_admit admit = presentation(i, 0);
        admit.verified.value = INT64_MAX;
        assert_true(is_served(fixture->ledger, &admit));
    }
    struct x402_admit third = bounded(3, UINT64_MAX - 1, UINT64_MAX - 1, UINT64_MAX);
    third.verified.value = INT64_MAX;
    assert_false(is_served(fixture->ledger, &third));
}

/* --------------------------------------------------------------------------- distrust
 */

static void a_payer_with_code_is_settled_first(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sighting sighting = balance(1, 100000, 10);

    meet(fixture->ledger, 1);
    sighting.has_code = true;
    see(fixture->ledger, sighting);
    assert_int_equal(served_further(fixture->ledger, 1, 5000), 0);
    sighting.has_code = false;
    sighting.block_number++;
    see(fixture->ledger, sighting);
    assert_int_equal(served_further(fixture->ledger, 1, 5000), 5);
}

static void a_payer_whose_payment_failed_is_settled_first_for_a_day(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(presentation(1, 0), 1);

    assert_true(is_served(fixture->ledger, &one));
    assert_true(outcome_on(fixture->ledger, &one, X402_EVENT_DELIVERED));
    see(fixture->ledger, balance(1, 100000, 10));
    assert_true(chain_on(fixture->ledger, one.payment_id, X402_EVENT_FAILED));
    assert_int_equal(served_further(fixture->ledger, 1, 5000), 0);
    clock_forward(fixture, X402_DISTRUST_SECONDS - 10);
    see(fixture->ledger, balance(1, 100000, 1000));
    assert_int_equal(served_further(fixture->ledger, 1, 5000), 0);
    clock_forward(fixture, X402_DISTRUST_SECONDS + 10);
    assert_int_equal(served_further(fixture->ledger, 1, 5000), 5);
}

static void what_a_reorganization_made_fail_under_a_call_costs_trust(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit waiting = by(bounded(1, 1000, 0, NO_BOUND), 1);
    struct x402_admit serving = waiting;

    assert_false(is_served(fixture->ledger, &waiting));
    assert_true(chain_on(fixture->ledger, waiting.payment_id, X402_EVENT_SETTLED));
    assert_true(is_served(fixture->ledger, &serving));
    assert_true(chain_on(fixture->ledger, waiting.payment_id, X402_EVENT_UNSETTLED));
    assert_true(chain_on(fixture->ledger, waiting.payment_id, X402_EVENT_FAILED));
    see(fixture->ledger, balance(1, 100000, 200));
    assert_int_equal(served_further(fixture->ledger, 1, 5000), 0);
}

/* It expired while our settler, or its node, was away. */
static void what_fails_for_no_fault_of_its_payer_costs_no_trust(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(presentation(1, 0), 1);
    struct x402_verdict verdict;

    assert_true(is_served(fixture->ledger, &one));
    assert_true(outcome_on(fixture->ledger, &one, X402_EVENT_DELIVERED));
    see(fixture->ledger, balance(1, 100000, 10));
    verdict = told(one.payment_id, X402_EVENT_FAILED);
    verdict.payers_fault = false;
    assert_int_equal(x402_ledger_advance(fixture->ledger, &verdict, 1), X402_OK);
    assert_true(verdict.applied);
    assert_int_equal(served_further(fixture->ledger, 1, 5000), 5);
}

static void what_failed_before_it_was_served_costs_no_trust(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(bounded(1, 1000, 0, NO_BOUND), 1);

    assert_false(is_served(fixture->ledger, &one));
    assert_true(chain_on(fixture->ledger, one.payment_id, X402_EVENT_FAILED));
    see(fixture->ledger, balance(1, 100000, 10));
    assert_int_equal(served_further(fixture->ledger, 1, 5000), 5);
}

static void a_refused_payment_costs_trust_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sighting refused = {.refused = true};

    meet(fixture->ledger, 1);
    see(fixture->ledger, balance(1, 100000, 10));
    refused.payer = balance(1, 0, 0).payer;
    see(fixture->ledger, refused);
    assert_int_equal(served_further(fixture->ledger, 1, 5000), 0);
    clock_forward(fixture, X402_DISTRUST_SECONDS + 1);
    see(fixture->ledger, balance(1, 100000, 1000));
    assert_int_equal(served_further(fixture->ledger, 1, 5000), 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(a_new_payer_has_little_credit),
        TEST(a_new_payer_has_no_more_credit_than_a_known_one),
        TEST(within_one_batch_the_bounds_hold_too),
        TEST(delivering_gives_no_credit_back),
        TEST(a_void_call_gives_its_credit_back),
        TEST(settlement_gives_credit_back_and_a_reorganization_takes_it),
        TEST(all_payers_together_are_bounded),
        TEST(strangers_fill_no_more_than_half_of_the_bound_on_all),
        TEST(a_stranger_has_no_credit_beside_half_of_the_bound_on_all),
        TEST(the_bound_on_all_is_of_one_token),
        TEST(what_is_settled_first_takes_no_credit_of_others),
        TEST(what_is_settled_first_takes_no_credit_once_it_is_served),
        TEST(what_is_owed_is_served_beyond_every_bound),
        TEST(without_bounds_nothing_is_asked),
        TEST(sums_that_pass_64_bits_are_beyond_every_bound),
        TEST(a_payer_with_code_is_settled_first),
        TEST(a_payer_whose_payment_failed_is_settled_first_for_a_day),
        TEST(what_a_reorganization_made_fail_under_a_call_costs_trust),
        TEST(what_fails_for_no_fault_of_its_payer_costs_no_trust),
        TEST(what_failed_before_it_was_served_costs_no_trust),
        TEST(a_refused_payment_costs_trust_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
