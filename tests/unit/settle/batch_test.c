#include "unit/core/support.h"

#include "settle/batch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOW UINT64_C(1000000)
#define MANY 1000

static const struct x402_batch_policy policy = {200, 100, 10, 60};
static const struct x402_batch_view calm = {NOW, false};
static const struct x402_batch_view dear = {NOW, true};

/* Due just now, with ten minutes to live. */
static struct x402_settlement payment(void)
{
    struct x402_settlement payment = {
        .state = {X402_DELIVERY_DELIVERED, X402_MONEY_DUE},
        .valid_before_seconds = NOW + 600,
        .due_at_seconds = (int64_t)NOW,
    };

    memset(payment.asset20, 0xaa, 20);
    memset(payment.to20, 0xbb, 20);
    return payment;
}

static struct x402_settlement many[MANY];
static bool taken[MANY];
static struct x402_batch batch;

static void fill(size_t count)
{
    memset(taken, 0, sizeof taken);
    memset(&batch, 0xff, sizeof batch);
    for (size_t i = 0; i < count; i++)
        many[i] = payment();
}

static bool choose(size_t count, const struct x402_batch_view *view)
{
    return x402_batch_choose(&batch, many, taken, count, &policy, view);
}

static void nothing_goes_while_nothing_has_to(void **state)
{
    struct x402_batch before;

    (void)state;
    fill(99);
    before = batch;
    assert_false(choose(0, &calm));
    assert_false(choose(99, &calm));
    assert_memory_equal(&batch, &before, sizeof batch);
    for (size_t i = 0; i < 99; i++)
        assert_false(taken[i]);
}

static void a_batch_goes_when_it_is_large_enough(void **state)
{
    (void)state;
    fill(150);
    assert_true(choose(150, &calm));
    assert_int_equal(batch.why, X402_BATCH_FULL);
    assert_int_equal(batch.count, 150); /* the rest comes along */
    assert_false(choose(150, &calm));
}

static void a_batch_has_at_most_so_many(void **state)
{
    (void)state;
    fill(MANY);
    for (size_t round = 0; round < 5; round++) {
        assert_true(choose(MANY, &calm));
        assert_int_equal(batch.count, 200);
    }
    assert_false(choose(MANY, &calm));
    for (size_t i = 0; i < MANY; i++)
        assert_true(taken[i]);
}

static void a_batch_goes_when_its_oldest_is_old_enough(void **state)
{
    (void)state;
    fill(3);
    many[1].due_at_seconds -= 9;
    assert_false(choose(3, &calm));
    many[1].due_at_seconds -= 1;
    assert_true(choose(3, &calm));
    assert_int_equal(batch.why, X402_BATCH_OLD);
    assert_int_equal(batch.count, 3);
}

static void a_batch_goes_when_one_of_it_nears_its_end(void **state)
{
    (void)state;
    fill(3);
    many[2].valid_before_seconds = NOW + 130;
    assert_false(choose(3, &(struct x402_batch_view){NOW + 9, false}));
    assert_false(choose(3, &(struct x402_batch_view){NOW + 69, true}));
    assert_true(choose(3, &(struct x402_batch_view){NOW + 70, false}));
    assert_int_equal(batch.why, X402_BATCH_DEADLINE);
    assert_int_equal(batch.count, 3);
    assert_int_equal(batch.indexes[0], 2);
}

/* Or nothing that is valid for a minute would ever go together with another. */
static void a_short_life_is_waited_for_half_of(void **state)
{
    (void)state;
    fill(1);
    many[0].valid_before_seconds = NOW + 60;
    assert_false(choose(1, &calm));
    assert_false(choose(1, &(struct x402_batch_view){NOW + 29, true}));
    assert_true(choose(1, &(struct x402_batch_view){NOW + 30, true}));
    assert_int_equal(batch.why, X402_BATCH_DEADLINE);
}

static void the_last_half_minute_is_near_the_end_for_every_life(void **state)
{
    (void)state;
    fill(1);
    many[0].valid_before_seconds = NOW + 30;
    assert_true(choose(1, &dear));
    fill(1);
    many[0].valid_before_seconds = NOW - 1; /* by a clock that may be fast */
    assert_true(choose(1, &dear));
    assert_int_equal(batch.why, X402_BATCH_DEADLINE);
}

static void what_somebody_waits_for_goes_at_once_and_takes_the_rest_along(void **state)
{
    (void)state;
    fill(5);
    many[3].state.delivery = X402_DELIVERY_OWED;
    assert_true(choose(5, &calm));
    assert_int_equal(batch.why, X402_BATCH_WAITED_FOR);
    assert_int_equal(batch.count, 5);
    assert_int_equal(batch.indexes[0], 3);
}

static void while_gas_is_dear_only_what_cannot_wait_goes(void **state)
{
    (void)state;
    fill(MANY);
    for (size_t i = 0; i < MANY; i++)
        many[i].due_at_seconds -= 300;
    assert_false(choose(MANY, &dear));
    many[7].valid_before_seconds = NOW + 20;
    many[9].state.delivery = X402_DELIVERY_OWED;
    assert_true(choose(MANY, &dear));
    assert_int_equal(batch.why, X402_BATCH_DEADLINE);
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.indexes[0], 7);
    assert_int_equal(batch.indexes[1], 9);
    assert_false(choose(MANY, &dear));
}

static void a_batch_shares_token_and_payee(void **state)
{
    (void)state;
    fill(6);
    for (size_t i = 0; i < 6; i++)
        many[i].due_at_seconds -= 60;
    many[1].to20[19]++;
    many[4].to20[19]++;
    many[2].asset20[0]++;
    assert_true(choose(6, &calm));
    assert_int_equal(batch.count, 3);
    assert_true(choose(6, &calm));
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.indexes[0], 1);
    assert_int_equal(batch.indexes[1], 4);
    assert_true(choose(6, &calm));
    assert_int_equal(batch.count, 1);
    assert_false(choose(6, &calm));
}

static void a_large_group_is_found_behind_many_small_ones(void **state)
{
    (void)state;
    fill(110);
    for (size_t i = 0; i < 10; i++)
        many[i].to20[0] = (uint8_t)i;
    assert_true(choose(110, &calm));
    assert_int_equal(batch.why, X402_BATCH_FULL);
    assert_int_equal(batch.count, 100);
    assert_int_equal(batch.indexes[0], 10);
}

static void more_groups_than_are_counted_still_go_when_they_are_old(void **state)
{
    (void)state;
    fill(300);
    for (size_t i = 0; i < 300; i++) {
        many[i].to20[0] = (uint8_t)i;
        many[i].to20[1] = (uint8_t)(i >> 8);
    }
    assert_false(choose(300, &calm));
    many[299].due_at_seconds -= 10;
    assert_true(choose(300, &calm));
    assert_int_equal(batch.indexes[0], 299);
}

static void the_strongest_claim_goes_first_and_the_soonest_end_of_equals(void **state)
{
    static const size_t order[] = {3, 4, 2, 1};

    (void)state;
    fill(5);
    for (size_t i = 0; i < 5; i++)
        many[i].to20[0] = (uint8_t)i;
    many[1].due_at_seconds -= 20;
    many[2].due_at_seconds -= 11;
    many[2].valid_before_seconds -= 1;
    many[3].valid_before_seconds = NOW + 15;
    many[4].state.delivery = X402_DELIVERY_OWED;
    for (size_t i = 0; i < COUNT(order); i++) {
        assert_true(choose(5, &calm));
        assert_int_equal(batch.indexes[0], order[i]);
    }
    assert_false(choose(5, &calm));
}

/* Money that would be lost goes before somebody who waits, and loses nothing. */
static void what_would_be_lost_goes_before_all_that_are_waited_for(void **state)
{
    (void)state;
    fill(MANY);
    for (size_t i = 0; i < MANY - 1; i++) {
        many[i].state.delivery = X402_DELIVERY_OWED;
        many[i].valid_before_seconds = NOW + 10; /* none is lost with it */
        many[i].to20[0] = 1;
    }
    many[MANY - 1].valid_before_seconds = NOW + 30;
    assert_true(choose(MANY, &calm));
    assert_int_equal(batch.why, X402_BATCH_DEADLINE);
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.indexes[0], MANY - 1);
    assert_true(choose(MANY, &calm));
    assert_int_equal(batch.why, X402_BATCH_WAITED_FOR);
}

static void those_waited_for_do_not_fill_the_batch_of_what_would_be_lost(void **state)
{
    (void)state;
    fill(400);
    for (size_t i = 0; i < 300; i++) {
        many[i].state.delivery = X402_DELIVERY_OWED;
        many[i].valid_before_seconds = NOW + 10;
    }
    for (size_t i = 300; i < 350; i++)
        many[i].valid_before_seconds = NOW + 20;
    assert_true(choose(400, &calm));
    assert_int_equal(batch.count, 200);
    for (size_t i = 0; i < 50; i++)
        assert_int_equal(batch.indexes[i], 300 + i);
    for (size_t i = 50; i < 200; i++)
        assert_true(batch.indexes[i] < 300);
}

/* When not all fit, those with the least time are not the ones left out. */
static void a_batch_is_in_order_of_need(void **state)
{
    (void)state;
    fill(300);
    for (size_t i = 0; i < 300; i++)
        many[i].valid_before_seconds = NOW + 1000 - i;
    many[5].state.delivery = X402_DELIVERY_OWED;
    assert_true(choose(300, &calm));
    assert_int_equal(batch.count, 200);
    assert_int_equal(batch.indexes[0], 5);
    for (size_t i = 1; i < 200; i++)
        assert_int_equal(batch.indexes[i], 300 - i);
}

static void what_is_taken_is_neither_sent_nor_counted(void **state)
{
    (void)state;
    fill(120);
    many[0].state.delivery = X402_DELIVERY_OWED;
    for (size_t i = 0; i < 30; i++)
        taken[i] = true;
    assert_false(choose(120, &calm));
    many[40].due_at_seconds -= 10;
    assert_true(choose(120, &calm));
    assert_int_equal(batch.count, 90);
    for (size_t i = 0; i < batch.count; i++)
        assert_true(batch.indexes[i] >= 30);
}

static void without_the_contract_each_payment_goes_alone_and_at_once(void **state)
{
    struct x402_batch_policy alone = x402_batch_policy_default(false);

    (void)state;
    fill(3);
    many[1].valid_before_seconds -= 100;
    for (size_t i = 0; i < 3; i++) {
        assert_true(x402_batch_choose(&batch, many, taken, 3, &alone, &calm));
        assert_int_equal(batch.count, 1);
        assert_int_equal(batch.indexes[0], i == 0 ? 1 : i == 1 ? 0 : 2);
    }
    assert_false(x402_batch_choose(&batch, many, taken, 3, &alone, &calm));
    fill(1);
    assert_false(x402_batch_choose(&batch, many, taken, 1, &alone, &dear));
}

static void a_clock_that_was_set_back_holds_nothing_up(void **state)
{
    (void)state;
    fill(2);
    many[0].due_at_seconds += 5; /* became due while the pass was under way */
    assert_false(choose(2, &calm));
    many[0].due_at_seconds += 3600;
    assert_true(choose(2, &calm));
}

static void every_reason_has_a_name(void **state)
{
    (void)state;
    assert_string_equal(x402_batch_why_name(X402_BATCH_NONE), "none");
    assert_string_equal(x402_batch_why_name(X402_BATCH_FULL), "full");
    assert_string_equal(x402_batch_why_name(X402_BATCH_OLD), "old");
    assert_string_equal(x402_batch_why_name(X402_BATCH_DEADLINE), "deadline");
    assert_string_equal(x402_batch_why_name(X402_BATCH_WAITED_FOR), "waited for");
}

static void the_policy_is_as_the_header_says(void **state)
{
    struct x402_batch_policy with = x402_batch_policy_default(true);
    struct x402_batch_policy without = x402_batch_policy_default(false);

    (void)state;
    assert_memory_equal(&with, &policy, sizeof with);
    assert_int_equal(without.max, 1);
    assert_int_equal(without.age_seconds, 0);
    assert_int_equal(without.deadline_seconds, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_goes_while_nothing_has_to),
        cmocka_unit_test(a_batch_goes_when_it_is_large_enough),
        cmocka_unit_test(a_batch_has_at_most_so_many),
        cmocka_unit_test(a_batch_goes_when_its_oldest_is_old_enough),
        cmocka_unit_test(a_batch_goes_when_one_of_it_nears_its_end),
        cmocka_unit_test(a_short_life_is_waited_for_half_of),
        cmocka_unit_test(the_last_half_minute_is_near_the_end_for_every_life),
        cmocka_unit_test(what_somebody_waits_for_goes_at_once_and_takes_the_rest_along),
        cmocka_unit_test(while_gas_is_dear_only_what_cannot_wait_goes),
        cmocka_unit_test(a_batch_shares_token_and_payee),
        cmocka_unit_test(a_large_group_is_found_behind_many_small_ones),
        cmocka_unit_test(more_groups_than_are_counted_still_go_when_they_are_old),
        cmocka_unit_test(the_strongest_claim_goes_first_and_the_soonest_end_of_equals),
        cmocka_unit_test(what_would_be_lost_goes_before_all_that_are_waited_for),
        cmocka_unit_test(those_waited_for_do_not_fill_the_batch_of_what_would_be_lost),
        cmocka_unit_test(a_batch_is_in_order_of_need),
        cmocka_unit_test(what_is_taken_is_neither_sent_nor_counted),
        cmocka_unit_test(without_the_contract_each_payment_goes_alone_and_at_once),
        cmocka_unit_test(a_clock_that_was_set_back_holds_nothing_up),
        cmocka_unit_test(every_reason_has_a_name),
        cmocka_unit_test(the_policy_is_as_the_header_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
