#include "fixture.h"

static bool leads(enum x402_delivery delivery, enum x402_money money,
                  enum x402_event event, enum x402_delivery to_delivery,
                  enum x402_money to_money)
{
    struct x402_state next;

    return x402_state_next(&next, (struct x402_state){delivery, money}, event) &&
           next.delivery == to_delivery && next.money == to_money;
}

#define LEADS(delivery, money, event, to_delivery, to_money)                           \
    assert_true(leads(X402_DELIVERY_##delivery, X402_MONEY_##money,                    \
                      X402_EVENT_##event, X402_DELIVERY_##to_delivery,                 \
                      X402_MONEY_##to_money))

static void a_payment_begins_pending_and_held(void **state)
{
    (void)state;
    assert_int_equal(x402_state_first(X402_EVENT_PRESENT).delivery,
                     X402_DELIVERY_PENDING);
    assert_int_equal(x402_state_first(X402_EVENT_PRESENT).money, X402_MONEY_HELD);
}

static void a_payment_settled_first_begins_owed_and_due(void **state)
{
    (void)state;
    assert_int_equal(x402_state_first(X402_EVENT_PRESENT_FIRST).delivery,
                     X402_DELIVERY_OWED);
    assert_int_equal(x402_state_first(X402_EVENT_PRESENT_FIRST).money, X402_MONEY_DUE);
}

static void what_is_delivered_becomes_due(void **state)
{
    (void)state;
    LEADS(PENDING, HELD, DELIVERED, DELIVERED, DUE);
}

static void a_void_payment_may_be_presented_again(void **state)
{
    (void)state;
    LEADS(PENDING, HELD, VOID, VOID, RELEASED);
    LEADS(VOID, RELEASED, PRESENT, PENDING, HELD);
    LEADS(VOID, RELEASED, PRESENT_FIRST, OWED, DUE);
}

static void what_is_settled_first_goes_to_the_chain_before_anybody_serves_it(
    void **state)
{
    (void)state;
    LEADS(OWED, DUE, SUBMIT, OWED, SUBMITTED);
    LEADS(OWED, SUBMITTED, SETTLED, OWED, SETTLED);
    LEADS(OWED, SETTLED, FINAL, OWED, FINAL);
    LEADS(OWED, SETTLED, UNSETTLED, OWED, DUE);
    LEADS(OWED, SETTLED, PRESENT, PENDING, SETTLED);
}

static void what_cannot_be_settled_first_is_void_and_may_be_tried_again(void **state)
{
    (void)state;
    LEADS(OWED, DUE, FAILED, VOID, FAILED);
    LEADS(OWED, SUBMITTED, FAILED, VOID, FAILED);
    LEADS(VOID, FAILED, PRESENT_FIRST, OWED, DUE);
}

static void what_is_settled_first_and_not_delivered_is_owed(void **state)
{
    (void)state;
    LEADS(PENDING, SETTLED, VOID, OWED, SETTLED);
    LEADS(PENDING, SETTLED, LEASE_LOST, OWED, SETTLED);
    LEADS(PENDING, FINAL, VOID, OWED, FINAL);
    LEADS(OWED, SETTLED, PRESENT, PENDING, SETTLED);
    LEADS(OWED, FINAL, PRESENT, PENDING, FINAL);
    LEADS(OWED, SETTLED, FINAL, OWED, FINAL);
}

static void settlement_goes_through_submitted_to_final(void **state)
{
    (void)state;
    LEADS(DELIVERED, DUE, SUBMIT, DELIVERED, SUBMITTED);
    LEADS(DELIVERED, SUBMITTED, SUBMIT, DELIVERED, SUBMITTED);
    LEADS(DELIVERED, SUBMITTED, SETTLED, DELIVERED, SETTLED);
    LEADS(DELIVERED, SETTLED, FINAL, DELIVERED, FINAL);
}

static void what_the_chain_forgot_is_due_again(void **state)
{
    (void)state;
    LEADS(DELIVERED, SUBMITTED, UNSETTLED, DELIVERED, DUE);
    LEADS(DELIVERED, SETTLED, UNSETTLED, DELIVERED, DUE);
}

static void a_worker_that_was_only_cut_off_tells_what_became_of_its_call(void **state)
{
    (void)state;
    LEADS(ABANDONED, RELEASED, DELIVERED, DELIVERED, DUE);
    LEADS(ABANDONED, RELEASED, VOID, VOID, RELEASED);
    LEADS(OWED, SETTLED, DELIVERED, DELIVERED, SETTLED);
    LEADS(OWED, DUE, DELIVERED, DELIVERED, DUE);
}

static void what_a_reorganization_takes_back_from_under_a_call_is_collected_again(
    void **state)
{
    (void)state;
    LEADS(PENDING, SETTLED, UNSETTLED, PENDING, DUE);
    LEADS(PENDING, DUE, DELIVERED, DELIVERED, DUE);
    LEADS(PENDING, DUE, VOID, OWED, DUE);
    LEADS(PENDING, DUE, SUBMIT, PENDING, SUBMITTED);
    LEADS(PENDING, SUBMITTED, FAILED, PENDING, FAILED);
    LEADS(PENDING, FAILED, DELIVERED, DELIVERED, FAILED);
    LEADS(PENDING, FAILED, VOID, VOID, FAILED);
}

/* Walks the whole table: what holds for every step. */
static void every_step_keeps_the_rules(void **state)
{
    (void)state;
    for (int i = 0; i < X402_DELIVERY_COUNT * X402_MONEY_COUNT * X402_EVENT_COUNT;
         i++) {
        struct x402_state from = {
            (enum x402_delivery)(i / X402_EVENT_COUNT / X402_MONEY_COUNT),
            (enum x402_money)(i / X402_EVENT_COUNT % X402_MONEY_COUNT)};
        struct x402_state to;

        if (!x402_state_next(&to, from, (enum x402_event)(i % X402_EVENT_COUNT))) {
            continue;
        }
        /* Failed money is only tried again where it bought nothing. */
        assert_true(from.money != X402_MONEY_FAILED || to.money == from.money ||
                    (from.delivery == X402_DELIVERY_VOID &&
                     i % X402_EVENT_COUNT == X402_EVENT_PRESENT_FIRST));
        /* Delivered and final is for ever. */
        assert_false(from.delivery == X402_DELIVERY_DELIVERED &&
                     from.money == X402_MONEY_FINAL);
        /* Nothing takes back a delivery. */
        assert_true(from.delivery != X402_DELIVERY_DELIVERED ||
                    to.delivery == X402_DELIVERY_DELIVERED);
        /* Abandoned is never served again: only its own attempt's outcome ends it. */
        assert_true(from.delivery != X402_DELIVERY_ABANDONED ||
                    i % X402_EVENT_COUNT == X402_EVENT_DELIVERED ||
                    i % X402_EVENT_COUNT == X402_EVENT_VOID);
        /* Nothing is collected for what is void or abandoned. */
        if (to.money == X402_MONEY_DUE || to.money == X402_MONEY_SUBMITTED) {
            assert_int_not_equal(to.delivery, X402_DELIVERY_VOID);
            assert_int_not_equal(to.delivery, X402_DELIVERY_ABANDONED);
        }
        /* Whoever is served has held credit, or paid. */
        if (i % X402_EVENT_COUNT == X402_EVENT_PRESENT) {
            assert_true(to.money == X402_MONEY_HELD || to.money == X402_MONEY_SETTLED ||
                        to.money == X402_MONEY_FINAL);
        }
    }
}

static void a_step_the_table_has_not_leaves_out_alone(void **state)
{
    struct x402_state out = {X402_DELIVERY_OWED, X402_MONEY_FINAL};
    struct x402_state failed = {X402_DELIVERY_DELIVERED, X402_MONEY_FAILED};

    (void)state;
    assert_false(x402_state_next(&out, failed, X402_EVENT_SUBMIT));
    assert_int_equal(out.delivery, X402_DELIVERY_OWED);
    assert_int_equal(out.money, X402_MONEY_FINAL);
}

static enum x402_admission admission(enum x402_delivery delivery, enum x402_money money)
{
    return x402_state_admission((struct x402_state){delivery, money});
}

static void presenting_comes_to_what_the_state_says(void **state)
{
    (void)state;
    assert_int_equal(admission(X402_DELIVERY_PENDING, X402_MONEY_HELD),
                     X402_ADMISSION_IN_PROGRESS);
    assert_int_equal(admission(X402_DELIVERY_DELIVERED, X402_MONEY_DUE),
                     X402_ADMISSION_REPEATED);
    assert_int_equal(admission(X402_DELIVERY_DELIVERED, X402_MONEY_FAILED),
                     X402_ADMISSION_REPEATED);
    assert_int_equal(admission(X402_DELIVERY_ABANDONED, X402_MONEY_RELEASED),
                     X402_ADMISSION_ABANDONED);
    assert_int_equal(admission(X402_DELIVERY_VOID, X402_MONEY_RELEASED),
                     X402_ADMISSION_NEW);
    assert_int_equal(admission(X402_DELIVERY_VOID, X402_MONEY_FAILED),
                     X402_ADMISSION_NEW);
    assert_int_equal(admission(X402_DELIVERY_OWED, X402_MONEY_SETTLED),
                     X402_ADMISSION_NEW);
    assert_int_equal(admission(X402_DELIVERY_OWED, X402_MONEY_DUE),
                     X402_ADMISSION_SETTLING);
    assert_int_equal(admission(X402_DELIVERY_OWED, X402_MONEY_SUBMITTED),
                     X402_ADMISSION_SETTLING);
}

static void presenting_is_new_exactly_when_the_table_allows_it(void **state)
{
    (void)state;
    for (int i = 0; i < X402_DELIVERY_COUNT * X402_MONEY_COUNT; i++) {
        struct x402_state from = {(enum x402_delivery)(i / X402_MONEY_COUNT),
                                  (enum x402_money)(i % X402_MONEY_COUNT)};
        struct x402_state to;

        assert_int_equal(x402_state_admission(from) == X402_ADMISSION_NEW,
                         x402_state_next(&to, from, X402_EVENT_PRESENT) ||
                             x402_state_next(&to, from, X402_EVENT_PRESENT_FIRST));
    }
}

static void names_go_both_ways(void **state)
{
    enum x402_delivery delivery;
    enum x402_money money;

    (void)state;
    for (int i = 0; i < X402_DELIVERY_COUNT; i++) {
        assert_true(
            x402_delivery_named(&delivery, x402_delivery_name((enum x402_delivery)i)));
        assert_int_equal(delivery, i);
    }
    for (int i = 0; i < X402_MONEY_COUNT; i++) {
        assert_true(x402_money_named(&money, x402_money_name((enum x402_money)i)));
        assert_int_equal(money, i);
    }
    assert_false(x402_delivery_named(&delivery, "due"));
    assert_false(x402_money_named(&money, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_payment_begins_pending_and_held),
        cmocka_unit_test(a_payment_settled_first_begins_owed_and_due),
        cmocka_unit_test(what_is_delivered_becomes_due),
        cmocka_unit_test(a_void_payment_may_be_presented_again),
        cmocka_unit_test(
            what_is_settled_first_goes_to_the_chain_before_anybody_serves_it),
        cmocka_unit_test(what_cannot_be_settled_first_is_void_and_may_be_tried_again),
        cmocka_unit_test(what_is_settled_first_and_not_delivered_is_owed),
        cmocka_unit_test(settlement_goes_through_submitted_to_final),
        cmocka_unit_test(what_the_chain_forgot_is_due_again),
        cmocka_unit_test(a_worker_that_was_only_cut_off_tells_what_became_of_its_call),
        cmocka_unit_test(
            what_a_reorganization_takes_back_from_under_a_call_is_collected_again),
        cmocka_unit_test(every_step_keeps_the_rules),
        cmocka_unit_test(a_step_the_table_has_not_leaves_out_alone),
        cmocka_unit_test(presenting_comes_to_what_the_state_says),
        cmocka_unit_test(presenting_is_new_exactly_when_the_table_allows_it),
        cmocka_unit_test(names_go_both_ways),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
