#include "unit/core/support.h"

#include "settle/plan.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const enum x402_money settling[] = {X402_MONEY_DUE, X402_MONEY_SUBMITTED,
                                           X402_MONEY_SETTLED};

/* ------------------------------------------------------------------------- reverts */

static void every_revert_string_of_the_token_has_its_class(void **state)
{
    static const struct {
        const char *reason;
        enum x402_revert revert;
    } rows[] = {
        {"FiatTokenV2: authorization is used or canceled", X402_REVERT_USED},
        {"FiatTokenV2: authorization is expired", X402_REVERT_EXPIRED},
        {"FiatTokenV2: authorization is not yet valid", X402_REVERT_NOT_YET_VALID},
        {"FiatTokenV2: invalid signature", X402_REVERT_SIGNATURE},
        {"ECRecover: invalid signature 'v' value", X402_REVERT_SIGNATURE},
        {"ECRecover: invalid signature 's' value", X402_REVERT_SIGNATURE},
        {"ECRecover: invalid signature length", X402_REVERT_SIGNATURE},
        {"ECRecover: invalid signature", X402_REVERT_SIGNATURE},
        {"ERC20: transfer amount exceeds balance", X402_REVERT_FUNDS},
        {"ERC20: transfer to the zero address", X402_REVERT_ZERO_ADDRESS},
        {"FiatTokenV2: caller must be the payee", X402_REVERT_NOT_PAYEE},
        {"Blacklistable: account is blacklisted", X402_REVERT_BLACKLISTED},
        {"Pausable: paused", X402_REVERT_PAUSED},
        /* As the facilitator's event tells them, in 32 bytes. */
        {"FiatTokenV2: authorization is us", X402_REVERT_USED},
        {"FiatTokenV2: authorization is ex", X402_REVERT_EXPIRED},
        {"FiatTokenV2: authorization is no", X402_REVERT_NOT_YET_VALID},
        {"ERC20: transfer amount exceeds b", X402_REVERT_FUNDS},
        {"ERC20: transfer to the zero addr", X402_REVERT_ZERO_ADDRESS},
        {"FiatTokenV2: caller must be the ", X402_REVERT_NOT_PAYEE},
        {"Blacklistable: account is blackl", X402_REVERT_BLACKLISTED},
        {"", X402_REVERT_OTHER},
        {"something else", X402_REVERT_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(x402_revert_classify(rows[i].reason), rows[i].revert);
}

static void every_class_has_a_code_of_one_word(void **state)
{
    (void)state;
    for (int i = 0; i < X402_REVERT_COUNT; i++) {
        const char *code = x402_revert_code((enum x402_revert)i);
        assert_true(strlen(code) > 0);
        assert_null(strchr(code, ' '));
    }
    assert_string_equal(x402_revert_code(X402_REVERT_FUNDS), "insufficient_funds");
}

/* ------------------------------------------------------------------- state x sight */

static struct x402_state delivered(enum x402_money money)
{
    return (struct x402_state){X402_DELIVERY_DELIVERED, money};
}

static struct x402_state pending_call(enum x402_money money)
{
    return (struct x402_state){X402_DELIVERY_PENDING, money};
}

static struct x402_state owed(enum x402_money money)
{
    return (struct x402_state){X402_DELIVERY_OWED, money};
}

static enum x402_action plan_of(struct x402_state state, enum x402_sight sight)
{
    return x402_plan(state, sight, X402_REVERT_NONE);
}

static void each_refusal_is_retried_or_looked_up_and_fails_only_what_is_owed(
    void **state)
{
    static const struct {
        enum x402_revert why;
        enum x402_action due;             /* REFUSED by a simulation */
        enum x402_action owed, owed_then; /* the same, and then looked up: UNUSED */
        enum x402_action submitted;       /* REVERTED on the chain, owed or not */
    } rows[] = {
        {X402_REVERT_EXPIRED, X402_ACTION_LOOK_UP, X402_ACTION_LOOK_UP,
         X402_ACTION_RETRY, X402_ACTION_LOOK_UP},
        {X402_REVERT_USED, X402_ACTION_LOOK_UP, X402_ACTION_LOOK_UP, X402_ACTION_RETRY,
         X402_ACTION_LOOK_UP},
        {X402_REVERT_NOT_YET_VALID, X402_ACTION_RETRY, X402_ACTION_RETRY,
         X402_ACTION_RETRY, X402_ACTION_UNSETTLE},
        {X402_REVERT_FUNDS, X402_ACTION_RETRY, X402_ACTION_LOOK_UP, X402_ACTION_FAIL,
         X402_ACTION_UNSETTLE},
        {X402_REVERT_PAUSED, X402_ACTION_RETRY, X402_ACTION_LOOK_UP, X402_ACTION_FAIL,
         X402_ACTION_UNSETTLE},
        {X402_REVERT_OTHER, X402_ACTION_RETRY, X402_ACTION_LOOK_UP, X402_ACTION_FAIL,
         X402_ACTION_UNSETTLE},
        {X402_REVERT_NONE, X402_ACTION_RETRY, X402_ACTION_LOOK_UP, X402_ACTION_RETRY,
         X402_ACTION_UNSETTLE},
        {X402_REVERT_SIGNATURE, X402_ACTION_RETRY, X402_ACTION_LOOK_UP,
         X402_ACTION_FAIL, X402_ACTION_UNSETTLE},
        {X402_REVERT_ZERO_ADDRESS, X402_ACTION_RETRY, X402_ACTION_LOOK_UP,
         X402_ACTION_FAIL, X402_ACTION_UNSETTLE},
        {X402_REVERT_NOT_PAYEE, X402_ACTION_RETRY, X402_ACTION_LOOK_UP,
         X402_ACTION_FAIL, X402_ACTION_UNSETTLE},
        {X402_REVERT_BLACKLISTED, X402_ACTION_RETRY, X402_ACTION_LOOK_UP,
         X402_ACTION_FAIL, X402_ACTION_UNSETTLE},
        {X402_REVERT_NO_TRANSFER, X402_ACTION_RETRY, X402_ACTION_LOOK_UP,
         X402_ACTION_FAIL, X402_ACTION_UNSETTLE},
    };

    (void)state;
    assert_int_equal(COUNT(rows), X402_REVERT_COUNT);
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum x402_revert why = rows[i].why;
        enum x402_sight refused = X402_SIGHT_REFUSED, reverted = X402_SIGHT_REVERTED;
        assert_int_equal(x402_plan(delivered(X402_MONEY_DUE), refused, why),
                         rows[i].due);
        assert_int_equal(x402_plan(delivered(X402_MONEY_DUE), X402_SIGHT_UNUSED, why),
                         X402_ACTION_RETRY);
        assert_int_equal(x402_plan(owed(X402_MONEY_DUE), refused, why), rows[i].owed);
        assert_int_equal(x402_plan(owed(X402_MONEY_DUE), X402_SIGHT_UNUSED, why),
                         rows[i].owed_then);
        assert_int_equal(x402_plan(delivered(X402_MONEY_SUBMITTED), reverted, why),
                         rows[i].submitted);
        assert_int_equal(x402_plan(owed(X402_MONEY_SUBMITTED), reverted, why),
                         rows[i].submitted);
    }
}

static void each_sight_has_its_action_in_each_state(void **state)
{
    static const struct {
        enum x402_sight sight;
        enum x402_action due, submitted, settled;
    } rows[] = {
        {X402_SIGHT_UNKNOWN, X402_ACTION_WAIT, X402_ACTION_WAIT, X402_ACTION_WAIT},
        {X402_SIGHT_PASSES, X402_ACTION_SEND, X402_ACTION_WAIT, X402_ACTION_WAIT},
        {X402_SIGHT_PAID, X402_ACTION_WAIT, X402_ACTION_SETTLE, X402_ACTION_FINALIZE},
        {X402_SIGHT_UNPROVEN, X402_ACTION_WAIT, X402_ACTION_LOOK_UP,
         X402_ACTION_LOOK_UP},
        {X402_SIGHT_REVERTED, X402_ACTION_WAIT, X402_ACTION_UNSETTLE,
         X402_ACTION_LOOK_UP},
        {X402_SIGHT_PENDING, X402_ACTION_WAIT, X402_ACTION_WAIT, X402_ACTION_WAIT},
        {X402_SIGHT_GONE, X402_ACTION_WAIT, X402_ACTION_LOOK_UP, X402_ACTION_LOOK_UP},
        {X402_SIGHT_UNUSED, X402_ACTION_RETRY, X402_ACTION_UNSETTLE,
         X402_ACTION_UNSETTLE},
        {X402_SIGHT_USED_FOR_US, X402_ACTION_SETTLE, X402_ACTION_SETTLE,
         X402_ACTION_SETTLE},
        {X402_SIGHT_UNSAFE, X402_ACTION_RETRY, X402_ACTION_UNSETTLE,
         X402_ACTION_UNSETTLE},
        {X402_SIGHT_EXPIRED, X402_ACTION_FAIL, X402_ACTION_FAIL, X402_ACTION_UNSETTLE},
        {X402_SIGHT_USED_OTHERWISE, X402_ACTION_FAIL, X402_ACTION_FAIL,
         X402_ACTION_UNSETTLE},
        {X402_SIGHT_CANCELED, X402_ACTION_FAIL, X402_ACTION_FAIL, X402_ACTION_UNSETTLE},
        {X402_SIGHT_USED_UNTRACED, X402_ACTION_WAIT, X402_ACTION_UNSETTLE,
         X402_ACTION_UNSETTLE},
    };

    (void)state;
    assert_int_equal(COUNT(rows) + 1, X402_SIGHT_COUNT); /* REFUSED: above */
    for (size_t i = 0; i < COUNT(rows); i++) {
        enum x402_sight sight = rows[i].sight;
        assert_int_equal(plan_of(delivered(X402_MONEY_DUE), sight), rows[i].due);
        assert_int_equal(plan_of(delivered(X402_MONEY_SUBMITTED), sight),
                         rows[i].submitted);
        assert_int_equal(plan_of(delivered(X402_MONEY_SETTLED), sight),
                         rows[i].settled);
    }
}

/* Nothing but these may write off what the caller has. */
static bool is_definitive(enum x402_sight sight)
{
    return sight == X402_SIGHT_EXPIRED || sight == X402_SIGHT_USED_OTHERWISE ||
           sight == X402_SIGHT_CANCELED;
}

static void only_what_a_safe_block_says_writes_off_what_was_delivered(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(settling); i++) {
        for (int sight = 0; sight < X402_SIGHT_COUNT; sight++) {
            for (int why = 0; why < X402_REVERT_COUNT; why++) {
                enum x402_action action =
                    x402_plan(delivered(settling[i]), (enum x402_sight)sight,
                              (enum x402_revert)why);
                if (action == X402_ACTION_FAIL)
                    assert_true(is_definitive((enum x402_sight)sight));
            }
        }
    }
}

static void a_payment_being_served_is_treated_as_delivered(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(settling); i++) {
        for (int sight = 0; sight < X402_SIGHT_COUNT; sight++) {
            for (int why = 0; why < X402_REVERT_COUNT; why++)
                assert_int_equal(
                    x402_plan(pending_call(settling[i]), (enum x402_sight)sight,
                              (enum x402_revert)why),
                    x402_plan(delivered(settling[i]), (enum x402_sight)sight,
                              (enum x402_revert)why));
        }
    }
}

static void what_is_owed_fails_as_soon_as_the_latest_block_says_so(void **state)
{
    (void)state;
    assert_int_equal(plan_of(owed(X402_MONEY_DUE), X402_SIGHT_UNSAFE),
                     X402_ACTION_FAIL);
    assert_int_equal(plan_of(owed(X402_MONEY_SUBMITTED), X402_SIGHT_UNSAFE),
                     X402_ACTION_FAIL);
    /* Its money was there: first it is due again. */
    assert_int_equal(plan_of(owed(X402_MONEY_SETTLED), X402_SIGHT_UNSAFE),
                     X402_ACTION_UNSETTLE);
}

static void what_is_used_by_what_was_not_found_neither_fails_nor_is_paid(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(settling); i++) {
        for (int why = 0; why < X402_REVERT_COUNT; why++) {
            for (int delivery = 0; delivery < X402_DELIVERY_COUNT; delivery++) {
                struct x402_state from = {(enum x402_delivery)delivery, settling[i]};
                enum x402_action action =
                    x402_plan(from, X402_SIGHT_USED_UNTRACED, (enum x402_revert)why);
                assert_true(action == X402_ACTION_WAIT ||
                            action == X402_ACTION_UNSETTLE);
            }
        }
    }
}

static void a_transaction_that_moved_nothing_is_sent_again_only_for_the_delivered(
    void **state)
{
    enum x402_revert nothing = X402_REVERT_NO_TRANSFER;

    (void)state;
    assert_int_equal(
        x402_plan(delivered(X402_MONEY_SUBMITTED), X402_SIGHT_UNPROVEN, nothing),
        X402_ACTION_LOOK_UP);
    assert_int_equal(
        x402_plan(delivered(X402_MONEY_SUBMITTED), X402_SIGHT_UNUSED, nothing),
        X402_ACTION_UNSETTLE);
    assert_int_equal(x402_plan(owed(X402_MONEY_SUBMITTED), X402_SIGHT_UNUSED, nothing),
                     X402_ACTION_FAIL);
    /* A batch without it: alone it may pass. */
    assert_int_equal(
        x402_plan(owed(X402_MONEY_SUBMITTED), X402_SIGHT_UNUSED, X402_REVERT_OTHER),
        X402_ACTION_UNSETTLE);
}

static void an_unknown_outcome_changes_nothing_whatever_the_state(void **state)
{
    (void)state;
    for (int money = 0; money < X402_MONEY_COUNT; money++) {
        for (int why = 0; why < X402_REVERT_COUNT; why++) {
            for (int delivery = 0; delivery < X402_DELIVERY_COUNT; delivery++) {
                struct x402_state from = {(enum x402_delivery)delivery,
                                          (enum x402_money)money};
                assert_int_equal(
                    x402_plan(from, X402_SIGHT_UNKNOWN, (enum x402_revert)why),
                    X402_ACTION_WAIT);
                assert_int_equal(
                    x402_plan(from, X402_SIGHT_PENDING, (enum x402_revert)why),
                    X402_ACTION_WAIT);
            }
        }
    }
}

/* Every verdict the plan can give is a step the ledger knows. */
static void check_step(struct x402_state from, enum x402_sight sight,
                       enum x402_revert why)
{
    enum x402_action action = x402_plan(from, sight, why);
    struct x402_state to;

    if (action == X402_ACTION_SEND)
        assert_true(x402_state_next(&to, from, X402_EVENT_SUBMIT));
    if (action == X402_ACTION_FAIL)
        assert_true(x402_state_next(&to, from, X402_EVENT_FAILED));
    if (action == X402_ACTION_UNSETTLE)
        assert_true(x402_state_next(&to, from, X402_EVENT_UNSETTLED));
    if (action == X402_ACTION_FINALIZE)
        assert_true(x402_state_next(&to, from, X402_EVENT_FINAL));
    if (action == X402_ACTION_SETTLE) {
        if (from.money == X402_MONEY_SETTLED) /* moved: out, and in again */
            assert_true(x402_state_next(&from, from, X402_EVENT_UNSETTLED));
        assert_true(x402_state_next(&to, from, X402_EVENT_SETTLED));
    }
}

static void each_action_is_a_step_of_the_ledger(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(settling); i++) {
        for (int sight = 0; sight < X402_SIGHT_COUNT; sight++) {
            for (int why = 0; why < X402_REVERT_COUNT; why++) {
                check_step(delivered(settling[i]), (enum x402_sight)sight,
                           (enum x402_revert)why);
                check_step(pending_call(settling[i]), (enum x402_sight)sight,
                           (enum x402_revert)why);
                check_step(owed(settling[i]), (enum x402_sight)sight,
                           (enum x402_revert)why);
            }
        }
    }
}

static void what_is_not_being_settled_is_left_alone(void **state)
{
    static const enum x402_money others[] = {X402_MONEY_HELD, X402_MONEY_FINAL,
                                             X402_MONEY_FAILED, X402_MONEY_RELEASED};

    (void)state;
    for (size_t i = 0; i < COUNT(others); i++) {
        for (int sight = 0; sight < X402_SIGHT_COUNT; sight++)
            assert_int_equal(plan_of(delivered(others[i]), (enum x402_sight)sight),
                             X402_ACTION_WAIT);
    }
}

/* -------------------------------------------------------------------------- retries */

static int64_t retry(enum x402_revert why, unsigned tries, bool cost_gas,
                     int64_t left_milliseconds)
{
    struct x402_refused refused = {why, tries, cost_gas, left_milliseconds};

    return x402_plan_retry_milliseconds(&refused);
}

#define DAY INT64_C(86400000)

static void retries_wait_longer_each_time_up_to_a_bound(void **state)
{
    (void)state;
    assert_int_equal(retry(X402_REVERT_FUNDS, 1, false, DAY), 2000);
    assert_int_equal(retry(X402_REVERT_FUNDS, 2, false, DAY), 4000);
    assert_int_equal(retry(X402_REVERT_FUNDS, 5, false, DAY), 32000);
    assert_int_equal(retry(X402_REVERT_FUNDS, 6, false, DAY), 60000);
    assert_int_equal(retry(X402_REVERT_FUNDS, UINT32_MAX, false, DAY), 60000);
    assert_int_equal(retry(X402_REVERT_FUNDS, 1, true, DAY), 30000);
    assert_int_equal(retry(X402_REVERT_FUNDS, 1000, true, DAY), 3600000);
}

static void what_mostly_stands_for_good_is_tried_less_often(void **state)
{
    (void)state;
    assert_int_equal(retry(X402_REVERT_BLACKLISTED, 1, false, DAY), 15000);
    assert_int_equal(retry(X402_REVERT_SIGNATURE, 2, false, DAY), 30000);
    assert_int_equal(retry(X402_REVERT_SIGNATURE, 100, false, DAY), 600000);
}

static void no_retry_sleeps_past_the_end_of_its_authorization(void **state)
{
    (void)state;
    assert_int_equal(retry(X402_REVERT_BLACKLISTED, 9, false, 100000), 50000);
    assert_int_equal(retry(X402_REVERT_FUNDS, 9, false, 30000), 15000);
    assert_int_equal(retry(X402_REVERT_FUNDS, 9, false, 1000), 2000);
    /* Transactions: one a minute before, and few after it. */
    assert_int_equal(retry(X402_REVERT_FUNDS, 9, true, 1000000), 940000);
    assert_int_equal(retry(X402_REVERT_FUNDS, 1, true, 60000), 30000);
    assert_int_equal(retry(X402_REVERT_FUNDS, 9, true, 60000), 30000);
    assert_int_equal(retry(X402_REVERT_FUNDS, 9, true, 10000), 5000);
}

static void what_is_over_is_asked_about_until_a_safe_block_says_so(void **state)
{
    (void)state;
    assert_int_equal(retry(X402_REVERT_EXPIRED, 1, false, 0), 2000);
    assert_int_equal(retry(X402_REVERT_BLACKLISTED, 3, false, -5), 8000);
    assert_int_equal(retry(X402_REVERT_EXPIRED, 90, true, INT64_MIN), 60000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_revert_string_of_the_token_has_its_class),
        cmocka_unit_test(every_class_has_a_code_of_one_word),
        cmocka_unit_test(
            each_refusal_is_retried_or_looked_up_and_fails_only_what_is_owed),
        cmocka_unit_test(each_sight_has_its_action_in_each_state),
        cmocka_unit_test(only_what_a_safe_block_says_writes_off_what_was_delivered),
        cmocka_unit_test(a_payment_being_served_is_treated_as_delivered),
        cmocka_unit_test(what_is_owed_fails_as_soon_as_the_latest_block_says_so),
        cmocka_unit_test(what_is_used_by_what_was_not_found_neither_fails_nor_is_paid),
        cmocka_unit_test(
            a_transaction_that_moved_nothing_is_sent_again_only_for_the_delivered),
        cmocka_unit_test(an_unknown_outcome_changes_nothing_whatever_the_state),
        cmocka_unit_test(each_action_is_a_step_of_the_ledger),
        cmocka_unit_test(what_is_not_being_settled_is_left_alone),
        cmocka_unit_test(retries_wait_longer_each_time_up_to_a_bound),
        cmocka_unit_test(what_mostly_stands_for_good_is_tried_less_often),
        cmocka_unit_test(no_retry_sleeps_past_the_end_of_its_authorization),
        cmocka_unit_test(what_is_over_is_asked_about_until_a_safe_block_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
