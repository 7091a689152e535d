/* How much is served before it is settled. A payment is of 1000 units. */
#include "fixture.h"

#define NO_BOUND UINT64_MAX

static struct x402_admit bounded(unsigned number, uint64_t payer_max,
                                 uint64_t new_payer_max, uint64_t total_max)
{
    struct x402_admit admit = presentation(number, 0);

    admit.credit = (struct x402_credit){false, payer_max, new_payer_max, total_max};
    return admit;
}

/* By payer number `payer`. */
static struct x402_admit by(struct x402_admit admit, uint8_t payer)
{
    admit.verified.from20[19] = payer;
    return admit;
}

static bool is_served(struct x402_ledger *ledger, struct x402_admit *admit)
{
    enum x402_admission admission = admit_on(ledger, admit);

    assert_true(admission == X402_ADMISSION_NEW ||
                admission == X402_ADMISSION_SETTLING);
    return admission == X402_ADMISSION_NEW;
}

static struct x402_sighting balance(uint8_t payer, uint64_t amount, uint64_t block)
{
    struct x402_sighting sighting = {
        .looked = true, .balance = amount, .block_number = block};

    memset(sighting.payer.asset20, 0xa5, 20);
    memset(sighting.payer.payer20, 0xf0, 20);
    sighting.payer.payer20[19] = payer;
    return sighting;
}

static void see(struct x402_ledger *ledger, struct x402_sighting sighting)
{
    assert_int_equal(x402_ledger_payers_seen(ledger, CHAIN, &sighting, 1), X402_OK);
}

/* Gives payer number `payer` a row, by a payment that came to nothing. */
static void meet(struct x402_ledger *ledger, uint8_t payer)
{
    struct x402_admit admit = by(presentation(900u + payer, 0), payer);

    assert_int_equal(admit_on(ledger, &admit), X402_ADMISSION_NEW);
    assert_true(outcome_on(ledger, &admit, X402_EVENT_VOID));
}

static void settle_in(struct x402_ledger *ledger, int64_t id, uint64_t block)
{
    struct x402_verdict verdict = told(id, X402_EVENT_SETTLED);

    verdict.block_number = block;
    assert_int_equal(x402_ledger_advance(ledger, &verdict, 1), X402_OK);
    assert_true(verdict.applied);
}

/* How many further payments the payer is served, each of 1000. */
static unsigned served_further(struct x402_ledger *ledger, uint8_t payer,
                               uint64_t payer_max)
{
    static unsigned number = 100000;
    unsigned count = 0;

    for (;; count++) {
        struct x402_admit admit = by(bounded(number++, payer_max, 0, NO_BOUND), payer);
        if (!is_served(ledger, &admit)) {
            assert_true(chain_on(ledger, admit.payment_id, X402_EVENT_FAILED));
            return count;
        }
        assert_true(count < 100);
    }
}

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

    meet(fixture->ledger, 1);
    see(fixture->ledger, balance(1, 100000, 10));
    clock_forward(fixture, X402_BALANCE_STALE_SECONDS - 5);
    assert_int_equal(served_further(fixture->ledger, 1, 1000), 1);
    clock_forward(fixture, X402_BALANCE_STALE_SECONDS + 5);
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
        TEST(a_payer_with_code_is_settled_first),
        TEST(a_payer_whose_payment_failed_is_settled_first_for_a_day),
        TEST(what_a_reorganization_made_fail_under_a_call_costs_trust),
        TEST(what_fails_for_no_fault_of_its_payer_costs_no_trust),
        TEST(what_failed_before_it_was_served_costs_no_trust),
        TEST(a_refused_payment_costs_trust_at_once),
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
