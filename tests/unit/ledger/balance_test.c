/* What payers are known to have, and which of them are to be looked at. A payment is of
 * 1000 units. */
#include "payers.h"

static void settle_in(struct x402_ledger *ledger, int64_t id, uint64_t block)
{
    struct x402_verdict verdict = told(id, X402_EVENT_SETTLED);

    verdict.block_number = block;
    assert_int_equal(x402_ledger_advance(ledger, &verdict, 1), X402_OK);
    assert_true(verdict.applied);
}

/* -------------------------------------------------------------------------- balances
 */

static void a_balance_seen_lifts_the_bound_on_new_payers(void **state)
{
    struct fixture *fixture = *state;

    meet(fixture->ledger, 1);
    assert_int_equal(served_further(fixture->ledger, 1, 5000), 0);
    see(fixture->ledger, balance(1, 100000, 10));
    assert_int_equal(served_further(fixture->ledger, 1, 5000), 5);
    assert_books(fixture->ledger);
}

static void nobody_is_served_beyond_its_balance(void **state)
{
    struct fixture *fixture = *state;

    meet(fixture->ledger, 1);
    see(fixture->ledger, balance(1, 2999, 10));
    assert_int_equal(served_further(fixture->ledger, 1, NO_BOUND - 1), 2);
    see(fixture->ledger, balance(1, 0, 11));
    assert_int_equal(served_further(fixture->ledger, 1, NO_BOUND - 1), 0);
}

static void what_waits_to_be_settled_first_is_spoken_for(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit waiting = by(presentation(1, 0), 1);

    waiting.credit.settle_first = true;
    waiting.verified.value = 2000;
    assert_int_equal(admit_on(fixture->ledger, &waiting), X402_ADMISSION_SETTLING);
    see(fixture->ledger, balance(1, 5000, 10));
    assert_int_equal(served_further(fixture->ledger, 1, NO_BOUND - 1), 3);
}

static void what_is_settled_after_the_balance_was_read_is_gone_from_it(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(presentation(1, 0), 1);

    assert_true(is_served(fixture->ledger, &one));
    assert_true(outcome_on(fixture->ledger, &one, X402_EVENT_DELIVERED));
    see(fixture->ledger, balance(1, 3000, 10));
    settle_in(fixture->ledger, one.payment_id, 11);
    assert_int_equal(served_further(fixture->ledger, 1, NO_BOUND - 1), 2);
}

static void what_is_settled_before_the_balance_was_read_is_in_it_already(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(presentation(1, 0), 1);

    assert_true(is_served(fixture->ledger, &one));
    assert_true(outcome_on(fixture->ledger, &one, X402_EVENT_DELIVERED));
    settle_in(fixture->ledger, one.payment_id, 10);
    see(fixture->ledger, balance(1, 3000, 10));
    assert_int_equal(served_further(fixture->ledger, 1, NO_BOUND - 1), 3);
}

/* The settler read the balance before it noted the payment: twice is on the safe side,
 * and over when the payment is noted. */
static void what_is_settled_and_not_noted_counts_twice_until_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(presentation(1, 0), 1);
    struct x402_admit big = by(bounded(2, NO_BOUND - 1, 0, NO_BOUND), 1);
    struct x402_admit again = by(bounded(3, NO_BOUND - 1, 0, NO_BOUND), 1);

    assert_true(is_served(fixture->ledger, &one));
    assert_true(outcome_on(fixture->ledger, &one, X402_EVENT_DELIVERED));
    see(fixture->ledger, balance(1, 2000, 10)); /* of 3000, at block 10, with it */
    big.verified.value = again.verified.value = 2000;
    assert_false(is_served(fixture->ledger, &big));
    assert_true(chain_on(fixture->ledger, big.payment_id, X402_EVENT_FAILED));
    settle_in(fixture->ledger, one.payment_id, 10);
    assert_true(is_served(fixture->ledger, &again));
}

static void a_newer_balance_has_what_was_settled_before_it(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(presentation(1, 0), 1);
    struct x402_admit two = by(presentation(2, 0), 1);

    assert_true(is_served(fixture->ledger, &one));
    assert_true(is_served(fixture->ledger, &two));
    assert_true(outcome_on(fixture->ledger, &one, X402_EVENT_DELIVERED));
    assert_true(outcome_on(fixture->ledger, &two, X402_EVENT_DELIVERED));
    see(fixture->ledger, balance(1, 5000, 10));
    settle_in(fixture->ledger, one.payment_id, 11);
    settle_in(fixture->ledger, two.payment_id, 13);
    see(fixture->ledger, balance(1, 4000, 12));
    assert_int_equal(served_further(fixture->ledger, 1, NO_BOUND - 1), 3);
}

static void a_reorganization_gives_the_balance_back(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(presentation(1, 0), 1);
    struct x402_admit four = by(bounded(4, NO_BOUND - 1, 0, NO_BOUND), 1);

    assert_true(is_served(fixture->ledger, &one));
    assert_true(outcome_on(fixture->ledger, &one, X402_EVENT_DELIVERED));
    see(fixture->ledger, balance(1, 3000, 10));
    settle_in(fixture->ledger, one.payment_id, 11);
    assert_true(chain_on(fixture->ledger, one.payment_id, X402_EVENT_UNSETTLED));
    settle_in(fixture->ledger, one.payment_id, 12);
    four.verified.value = 2000;
    assert_true(is_served(fixture->ledger, &four));
}

static void a_balance_of_a_lower_block_counts_what_is_settled_since(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(presentation(1, 0), 1);

    assert_true(is_served(fixture->ledger, &one));
    assert_true(outcome_on(fixture->ledger, &one, X402_EVENT_DELIVERED));
    settle_in(fixture->ledger, one.payment_id, 20);
    see(fixture->ledger, balance(1, 2000, 20));
    see(fixture->ledger, balance(1, 3000, 19)); /* another node, or another fork */
    assert_int_equal(served_further(fixture->ledger, 1, NO_BOUND - 1), 2);
}

static void a_balance_from_below_what_is_final_is_left_out(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(presentation(1, 0), 1);

    assert_true(is_served(fixture->ledger, &one));
    assert_true(outcome_on(fixture->ledger, &one, X402_EVENT_DELIVERED));
    settle_in(fixture->ledger, one.payment_id, 20);
    assert_true(chain_on(fixture->ledger, one.payment_id, X402_EVENT_FINAL));
    see(fixture->ledger, balance(1, 3000, 19));
    assert_int_equal(served_further(fixture->ledger, 1, NO_BOUND - 1), 0);
    see(fixture->ledger, balance(1, 2000, 20));
    assert_int_equal(served_further(fixture->ledger, 1, NO_BOUND - 1), 2);
}

static void a_balance_not_read_for_a_minute_is_as_good_as_none(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(bounded(1, 100000, 2000, NO_BOUND), 1);
    struct x402_admit two = by(bounded(2, 100000, 2000, NO_BOUND), 1);
    struct x402_admit three = by(bounded(3, 100000, 2000, NO_BOUND), 1);

    clock_stop(fixture);
    meet(fixture->ledger, 1);
    see(fixture->ledger, balance(1, 100000, 10));
    clock_forward(fixture, X402_BALANCE_STALE_SECONDS);
    assert_int_equal(served_further(fixture->ledger, 1, 1000), 1);
    clock_forward(fixture, X402_BALANCE_STALE_SECONDS + 1);
    assert_true(is_served(fixture->ledger, &one)); /* of the 2000 of a stranger */
    assert_false(is_served(fixture->ledger, &two));
    see(fixture->ledger, balance(1, 100000, 11));
    assert_true(is_served(fixture->ledger, &three));
}

static void a_balance_that_was_little_bounds_for_ever(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(bounded(1, 5000, 5000, NO_BOUND), 1);
    struct x402_admit two = by(bounded(2, 5000, 5000, NO_BOUND), 1);

    meet(fixture->ledger, 1);
    see(fixture->ledger, balance(1, 1999, 10));
    clock_forward(fixture, X402_BALANCE_STALE_SECONDS + 5);
    assert_true(is_served(fixture->ledger, &one));
    assert_false(is_served(fixture->ledger, &two));
}

static void a_balance_read_before_the_clock_was_set_back_is_as_good_as_none(
    void **state)
{
    struct fixture *fixture = *state;

    clock_forward(fixture, 3600);
    meet(fixture->ledger, 1);
    see(fixture->ledger, balance(1, 100000, 10));
    clock_forward(fixture, 3600 - X402_BALANCE_STALE_SECONDS / 2);
    assert_int_equal(served_further(fixture->ledger, 1, 1000), 1);
    clock_forward(fixture, 0);
    assert_int_equal(served_further(fixture->ledger, 1, 5000), 0);
}

static void who_was_not_seen_for_a_minute_counts_among_strangers(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(bounded(1, NO_BOUND, NO_BOUND, 3000), 1);
    struct x402_admit two = by(bounded(2, NO_BOUND, NO_BOUND, 3000), 1);

    meet(fixture->ledger, 1);
    see(fixture->ledger, balance(1, 100000, 10));
    clock_forward(fixture, X402_BALANCE_STALE_SECONDS + 5);
    assert_true(is_served(fixture->ledger, &one));
    assert_false(is_served(fixture->ledger, &two));
}

static void a_balance_past_63_bits_is_enough(void **state)
{
    struct fixture *fixture = *state;

    meet(fixture->ledger, 1);
    see(fixture->ledger, balance(1, UINT64_MAX, UINT64_MAX));
    assert_int_equal(served_further(fixture->ledger, 1, 2000), 2);
}

static void a_sighting_of_a_stranger_is_left_out(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sighting elsewhere = balance(1, 1000, 10);
    struct x402_admit one = by(bounded(1, 1000, 0, NO_BOUND), 9);

    meet(fixture->ledger, 1);
    see(fixture->ledger, balance(9, 5000, 10));
    memset(elsewhere.payer.asset20, 0x11, 20);
    see(fixture->ledger, elsewhere);
    assert_int_equal(
        x402_ledger_payers_seen(fixture->ledger, UINT64_MAX, &elsewhere, 1), X402_OK);
    assert_int_equal(totals_of(fixture->ledger).payers, 1);
    assert_false(is_served(fixture->ledger, &one));
}

/* ---------------------------------------------------------------------------- wanted
 */

static size_t wanted_of(struct x402_ledger *ledger, struct x402_payer *out, size_t max)
{
    size_t count = 0;

    assert_int_equal(x402_ledger_payers_wanted(ledger, CHAIN, out, max, &count),
                     X402_OK);
    return count;
}

static void whoever_buys_is_wanted_until_it_is_seen(void **state)
{
    struct fixture *fixture = *state;
    const struct x402_payer expected = balance(1, 0, 0).payer;
    struct x402_payer wanted[4];

    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 0);
    meet(fixture->ledger, 1);
    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 1);
    assert_memory_equal(&wanted[0], &expected, sizeof(wanted[0]));
    see(fixture->ledger, balance(1, 1, 10));
    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 0);
    clock_forward(fixture, 1000);
    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 0);
}

static void whoever_waits_for_a_settlement_is_wanted(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(bounded(1, 1000, 0, NO_BOUND), 1);
    struct x402_payer wanted[4];

    assert_false(is_served(fixture->ledger, &one));
    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 1);
}

static void a_payer_that_buys_is_seen_every_ten_seconds(void **state)
{
    struct fixture *fixture = *state;
    struct x402_payer wanted[4];

    meet(fixture->ledger, 1);
    see(fixture->ledger, balance(1, 1000000, 10));
    (void)served_further(fixture->ledger, 1, 2000);
    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 0);
    clock_forward(fixture, X402_BALANCE_SECONDS + 1);
    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 1);
}

/* So whoever buys on stays known: it is looked at long before its balance is stale. */
static void a_payer_that_buys_and_is_looked_at_when_wanted_stays_known(void **state)
{
    struct fixture *fixture = *state;
    struct x402_payer wanted[4];
    uint64_t block = 10;

    meet(fixture->ledger, 1);
    see(fixture->ledger, balance(1, 100000, block));
    for (long now = 0; now < 600; now += 5) {
        clock_forward(fixture, now);
        struct x402_admit admit = by(bounded((unsigned)now, 5000, 0, 10000), 1);
        assert_true(is_served(fixture->ledger, &admit));
        assert_true(outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED));
        settle_in(fixture->ledger, admit.payment_id, ++block);
        if (wanted_of(fixture->ledger, wanted, 4) > 0) {
            see(fixture->ledger, balance(1, 100000, block));
        }
    }
}

static void a_payer_with_something_unsettled_stays_wanted(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = by(presentation(1, 0), 1);
    struct x402_payer wanted[4];

    assert_true(is_served(fixture->ledger, &one));
    see(fixture->ledger, balance(1, 1000000, 10));
    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 0);
    clock_forward(fixture, X402_BALANCE_SECONDS + 1);
    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 1);
    see(fixture->ledger, balance(1, 1000000, 11));
    assert_true(outcome_on(fixture->ledger, &one, X402_EVENT_VOID));
    clock_forward(fixture, 3 * X402_BALANCE_SECONDS);
    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 1); /* once more */
    see(fixture->ledger, balance(1, 1000000, 12));
    clock_forward(fixture, 5 * X402_BALANCE_SECONDS);
    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 0);
}

static void who_was_never_seen_comes_first_then_who_waits_longest(void **state)
{
    struct fixture *fixture = *state;
    struct x402_payer wanted[4];

    for (uint8_t payer = 1; payer <= 3; payer++) {
        clock_forward(fixture, payer);
        meet(fixture->ledger, payer);
        see(fixture->ledger, balance(payer, 1000000, 10));
    }
    clock_forward(fixture, 100);
    for (uint8_t payer = 3; payer >= 1; payer--) {
        (void)served_further(fixture->ledger, payer, 2000);
    }
    clock_forward(fixture, 101);
    meet(fixture->ledger, 4);
    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 4);
    assert_int_equal(wanted[0].payer20[19], 4);
    assert_int_equal(wanted[1].payer20[19], 1);
    assert_int_equal(wanted[2].payer20[19], 2);
    assert_int_equal(wanted[3].payer20[19], 3);
}

/* Keys cost nothing: those of strangers must not keep the balances of customers old. */
static void who_was_never_seen_leaves_half_to_who_was(void **state)
{
    struct fixture *fixture = *state;
    struct x402_payer wanted[4];

    for (uint8_t payer = 1; payer <= 3; payer++) {
        meet(fixture->ledger, payer);
        see(fixture->ledger, balance(payer, 1000000, 10));
        (void)served_further(fixture->ledger, payer, 2000);
    }
    clock_forward(fixture, 100);
    for (uint8_t payer = 11; payer <= 19; payer++) {
        meet(fixture->ledger, payer);
    }
    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 4);
    assert_true(wanted[0].payer20[19] > 10 && wanted[1].payer20[19] > 10);
    assert_true(wanted[2].payer20[19] < 10 && wanted[3].payer20[19] < 10);
}

static void payers_of_another_chain_are_not_wanted_here(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);
    struct x402_payer wanted[4];

    admit.verified.chain_id++;
    assert_true(is_served(fixture->ledger, &admit));
    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 0);
}

static void a_payer_without_payments_is_forgotten(void **state)
{
    struct fixture *fixture = *state;
    struct x402_payer wanted[4];

    meet(fixture->ledger, 1);
    meet(fixture->ledger, 2);
    (void)sell(fixture->ledger, 5); /* the newest row always stays */
    clock_forward(fixture, X402_RETENTION_SECONDS + 400);
    assert_int_equal(x402_ledger_tidy(fixture->ledger), X402_OK);
    assert_int_equal(wanted_of(fixture->ledger, wanted, 4), 1);
    assert_int_equal(totals_of(fixture->ledger).payers, 1);
    assert_books(fixture->ledger);
}

/* More payers than one transaction holds in memory. */
static void a_batch_of_many_payers_is_added_up(void **state)
{
    struct fixture *fixture = *state;
    static struct x402_admit admits[500];
    unsigned served = 0;

    for (unsigned i = 0; i < 500; i++) {
        admits[i] = bounded(i, 3000, 2000, 600000);
        admits[i].verified.from20[19] = (uint8_t)(i % 125);
    }
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, admits, 500, NULL, NULL),
        X402_OK);
    for (unsigned i = 0; i < 500; i++) {
        served += admits[i].admission == X402_ADMISSION_NEW;
    }
    assert_int_equal(served, 250); /* two for each of 125 */
    assert_int_equal(totals_of(fixture->ledger).payers, 125);
    assert_books(fixture->ledger);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(a_balance_seen_lifts_the_bound_on_new_payers),
        TEST(nobody_is_served_beyond_its_balance),
        TEST(what_waits_to_be_settled_first_is_spoken_for),
        TEST(what_is_settled_after_the_balance_was_read_is_gone_from_it),
        TEST(what_is_settled_before_the_balance_was_read_is_in_it_already),
        TEST(what_is_settled_and_not_noted_counts_twice_until_it_is),
        TEST(a_newer_balance_has_what_was_settled_before_it),
        TEST(a_reorganization_gives_the_balance_back),
        TEST(a_balance_of_a_lower_block_counts_what_is_settled_since),
        TEST(a_balance_from_below_what_is_final_is_left_out),
        TEST(a_balance_not_read_for_a_minute_is_as_good_as_none),
        TEST(a_balance_that_was_little_bounds_for_ever),
        TEST(a_balance_read_before_the_clock_was_set_back_is_as_good_as_none),
        TEST(who_was_not_seen_for_a_minute_counts_among_strangers),
        TEST(a_balance_past_63_bits_is_enough),
        TEST(a_sighting_of_a_stranger_is_left_out),
        TEST(whoever_buys_is_wanted_until_it_is_seen),
        TEST(whoever_waits_for_a_settlement_is_wanted),
        TEST(a_payer_that_buys_is_seen_every_ten_seconds),
        TEST(a_payer_that_buys_and_is_looked_at_when_wanted_stays_known),
        TEST(a_payer_with_something_unsettled_stays_wanted),
        TEST(who_was_never_seen_comes_first_then_who_waits_longest),
        TEST(who_was_never_seen_leaves_half_to_who_was),
        TEST(payers_of_another_chain_are_not_wanted_here),
        TEST(a_payer_without_payments_is_forgotten),
        TEST(a_batch_of_many_payers_is_added_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
