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

struct refusal {
    enum x402_revert why;
    enum x402_action due;       /* REFUSED by a simulation */
    enum x402_action submitted; /* REVERTED on the chain */
};

static void each_refusal_is_terminal_retried_or_looked_up(void **state)
{
    static const struct refusal rows[] = {
        {X402_REVERT_EXPIRED, X402_ACTION_LOOK_UP, X402_ACTION_LOOK_UP},
        {X402_REVERT_USED, X402_ACTION_LOOK_UP, X402_ACTION_LOOK_UP},
        {X402_REVERT_NOT_YET_VALID, X402_ACTION_RETRY, X402_ACTION_UNSETTLE},
        {X402_REVERT_FUNDS, X402_ACTION_RETRY, X402_ACTION_UNSETTLE},
        {X402_REVERT_PAUSED, X402_ACTION_RETRY, X402_ACTION_UNSETTLE},
        {X402_REVERT_OTHER, X402_ACTION_RETRY, X402_ACTION_UNSETTLE},
        {X402_REVERT_NONE, X402_ACTION_RETRY, X402_ACTION_UNSETTLE},
        {X402_REVERT_SIGNATURE, X402_ACTION_FAIL, X402_ACTION_FAIL},
        {X402_REVERT_ZERO_ADDRESS, X402_ACTION_FAIL, X402_ACTION_FAIL},
        {X402_REVERT_NOT_PAYEE, X402_ACTION_FAIL, X402_ACTION_FAIL},
        {X402_REVERT_BLACKLISTED, X402_ACTION_FAIL, X402_ACTION_FAIL},
        {X402_REVERT_NO_TRANSFER, X402_ACTION_FAIL, X402_ACTION_FAIL},
    };

    (void)state;
    assert_int_equal(COUNT(rows), X402_REVERT_COUNT);
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(x402_plan(X402_MONEY_DUE, X402_SIGHT_REFUSED, rows[i].why),
                         rows[i].due);
        assert_int_equal(
            x402_plan(X402_MONEY_SUBMITTED, X402_SIGHT_REVERTED, rows[i].why),
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
        {X402_SIGHT_EXPIRED, X402_ACTION_FAIL, X402_ACTION_FAIL, X402_ACTION_UNSETTLE},
        {X402_SIGHT_USED_FOR_US, X402_ACTION_SETTLE, X402_ACTION_SETTLE,
         X402_ACTION_SETTLE},
        {X402_SIGHT_USED_OTHERWISE, X402_ACTION_FAIL, X402_ACTION_FAIL,
         X402_ACTION_UNSETTLE},
        {X402_SIGHT_CANCELED, X402_ACTION_FAIL, X402_ACTION_FAIL, X402_ACTION_UNSETTLE},
        {X402_SIGHT_USED_UNTRACED, X402_ACTION_FAIL, X402_ACTION_FAIL,
         X402_ACTION_WAIT},
    };
    enum x402_revert none = X402_REVERT_NONE;

    (void)state;
    assert_int_equal(COUNT(rows) + 1, X402_SIGHT_COUNT); /* REFUSED: above */
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(x402_plan(X402_MONEY_DUE, rows[i].sight, none), rows[i].due);
        assert_int_equal(x402_plan(X402_MONEY_SUBMITTED, rows[i].sight, none),
                         rows[i].submitted);
        assert_int_equal(x402_plan(X402_MONEY_SETTLED, rows[i].sight, none),
                         rows[i].settled);
    }
}

static void a_transaction_that_moved_nothing_is_not_sent_again(void **state)
{
    (void)state;
    assert_int_equal(
        x402_plan(X402_MONEY_SUBMITTED, X402_SIGHT_UNPROVEN, X402_REVERT_NO_TRANSFER),
        X402_ACTION_LOOK_UP);
    assert_int_equal(
        x402_plan(X402_MONEY_SUBMITTED, X402_SIGHT_UNUSED, X402_REVERT_NO_TRANSFER),
        X402_ACTION_FAIL);
}

static void an_unknown_outcome_changes_nothing_whatever_the_state(void **state)
{
    (void)state;
    for (int money = 0; money < X402_MONEY_COUNT; money++) {
        for (int why = 0; why < X402_REVERT_COUNT; why++) {
            assert_int_equal(x402_plan((enum x402_money)money, X402_SIGHT_UNKNOWN,
                                       (enum x402_revert)why),
                             X402_ACTION_WAIT);
            assert_int_equal(x402_plan((enum x402_money)money, X402_SIGHT_PENDING,
                                       (enum x402_revert)why),
                             X402_ACTION_WAIT);
        }
    }
}

/* Every verdict the plan can give is a step the ledger knows. */
static void each_action_is_a_step_of_the_ledger(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(settling); i++) {
        for (int sight = 0; sight < X402_SIGHT_COUNT; sight++) {
            for (int why = 0; why < X402_REVERT_COUNT; why++) {
                struct x402_state from = {X402_DELIVERY_DELIVERED, settling[i]}, to;
                enum x402_action action = x402_plan(settling[i], (enum x402_sight)sight,
                                                    (enum x402_revert)why);
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
            assert_int_equal(
                x402_plan(others[i], (enum x402_sight)sight, X402_REVERT_NONE),
                X402_ACTION_WAIT);
    }
}

static void retries_wait_longer_each_time_up_to_a_bound(void **state)
{
    (void)state;
    assert_int_equal(x402_plan_retry_milliseconds(1, false), 2000);
    assert_int_equal(x402_plan_retry_milliseconds(2, false), 4000);
    assert_int_equal(x402_plan_retry_milliseconds(5, false), 32000);
    assert_int_equal(x402_plan_retry_milliseconds(6, false), 60000);
    assert_int_equal(x402_plan_retry_milliseconds(UINT32_MAX, false), 60000);
    assert_int_equal(x402_plan_retry_milliseconds(1, true), 30000);
    assert_int_equal(x402_plan_retry_milliseconds(1000, true), 3600000);
}

/* --------------------------------------------------------------------- transactions */

static void answers_to_a_sent_transaction_are_told_apart(void **state)
{
    static const struct {
        const char *message;
        enum x402_send send;
    } rows[] = {
        {"already known", X402_SEND_ACCEPTED},
        {"transaction already imported", X402_SEND_ACCEPTED},
        {"nonce too low", X402_SEND_NONCE_SPENT},
        {"nonce too low: next nonce 5, tx nonce 3", X402_SEND_NONCE_SPENT},
        {"replacement transaction underpriced", X402_SEND_FEE_LOW},
        {"transaction underpriced: gas tip cap 0", X402_SEND_FEE_LOW},
        {"max fee per gas less than block base fee", X402_SEND_FEE_LOW},
        {"Insufficient funds for gas * price + value", X402_SEND_NO_GAS},
        {"insufficient funds for gas * price + value: balance 0", X402_SEND_NO_GAS},
        {"invalid chain id for signer", X402_SEND_REFUSED},
        {"Failed to decode transaction", X402_SEND_REFUSED},
        {"", X402_SEND_REFUSED},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(x402_send_classify(rows[i].message), rows[i].send);
}

static struct x402_pending pending(void)
{
    return (struct x402_pending){.rows = 1,
                                 .age_seconds = 5,
                                 .sent_milliseconds = 5000,
                                 .last = X402_SEND_ACCEPTED,
                                 .stuck_seconds = 30,
                                 .resend_milliseconds = 15000,
                                 .fee_can_rise = true};
}

static void a_fresh_transaction_is_waited_for(void **state)
{
    struct x402_pending fresh = pending();

    (void)state;
    assert_int_equal(x402_plan_pending(&fresh), X402_PENDING_WAIT);
}

static void a_stored_transaction_never_sent_is_sent_before_anything_else(void **state)
{
    struct x402_pending stored = pending();

    (void)state;
    stored.sent_milliseconds = -1;
    assert_int_equal(x402_plan_pending(&stored), X402_PENDING_RESEND);
    stored.age_seconds = 100000;
    stored.last = X402_SEND_FEE_LOW;
    assert_int_equal(x402_plan_pending(&stored), X402_PENDING_RESEND);
}

static void a_silent_transaction_is_sent_again_now_and_then(void **state)
{
    struct x402_pending silent = pending();

    (void)state;
    silent.sent_milliseconds = 15000;
    assert_int_equal(x402_plan_pending(&silent), X402_PENDING_RESEND);
}

static void a_stuck_transaction_is_replaced(void **state)
{
    struct x402_pending stuck = pending();

    (void)state;
    stuck.age_seconds = 30;
    assert_int_equal(x402_plan_pending(&stuck), X402_PENDING_REPLACE);
    stuck.age_seconds = 0;
    stuck.last = X402_SEND_FEE_LOW;
    assert_int_equal(x402_plan_pending(&stuck), X402_PENDING_REPLACE);
}

static void replacing_ends_at_the_fee_cap_and_at_a_number_of_rows(void **state)
{
    struct x402_pending stuck = pending();

    (void)state;
    stuck.age_seconds = 3000;
    stuck.sent_milliseconds = 20000;
    stuck.fee_can_rise = false;
    assert_int_equal(x402_plan_pending(&stuck), X402_PENDING_RESEND);
    stuck.fee_can_rise = true;
    stuck.rows = X402_PENDING_ROWS_MAX;
    assert_int_equal(x402_plan_pending(&stuck), X402_PENDING_RESEND);
}

static void a_nonce_is_above_what_ledger_and_node_know(void **state)
{
    struct x402_nonces nonces = {
        .stored_next = 7, .chain_latest = 5, .chain_pending = 6};

    (void)state;
    assert_int_equal(x402_plan_nonce(&nonces), 7);
    nonces.chain_pending = 9;
    assert_int_equal(x402_plan_nonce(&nonces), 9);
    nonces.chain_latest = 10; /* a node that contradicts itself */
    assert_int_equal(x402_plan_nonce(&nonces), 10);
}

static void transactions_awaited_are_no_gap(void **state)
{
    static const uint64_t live[] = {5, 6};
    struct x402_nonces nonces = {.stored_next = 7,
                                 .chain_latest = 5,
                                 .chain_pending = 5,
                                 .live = live,
                                 .live_count = 2};
    uint64_t gap = 99;

    (void)state;
    assert_false(x402_plan_gap(&gap, &nonces));
    nonces.chain_latest = nonces.chain_pending = 7;
    nonces.live_count = 0;
    assert_false(x402_plan_gap(&gap, &nonces));
    nonces.chain_latest = nonces.chain_pending = 12; /* the key was used elsewhere */
    assert_false(x402_plan_gap(&gap, &nonces));
    assert_int_equal(gap, 99);
}

static void a_chain_that_went_back_shows_a_gap(void **state)
{
    static const uint64_t live[] = {3, 6};
    struct x402_nonces nonces = {.stored_next = 7,
                                 .chain_latest = 3,
                                 .chain_pending = 3,
                                 .live = live,
                                 .live_count = 2};
    uint64_t gap = 0;

    (void)state;
    assert_true(x402_plan_gap(&gap, &nonces));
    assert_int_equal(gap, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_revert_string_of_the_token_has_its_class),
        cmocka_unit_test(every_class_has_a_code_of_one_word),
        cmocka_unit_test(each_refusal_is_terminal_retried_or_looked_up),
        cmocka_unit_test(each_sight_has_its_action_in_each_state),
        cmocka_unit_test(a_transaction_that_moved_nothing_is_not_sent_again),
        cmocka_unit_test(an_unknown_outcome_changes_nothing_whatever_the_state),
        cmocka_unit_test(each_action_is_a_step_of_the_ledger),
        cmocka_unit_test(what_is_not_being_settled_is_left_alone),
        cmocka_unit_test(retries_wait_longer_each_time_up_to_a_bound),
        cmocka_unit_test(answers_to_a_sent_transaction_are_told_apart),
        cmocka_unit_test(a_fresh_transaction_is_waited_for),
        cmocka_unit_test(a_stored_transaction_never_sent_is_sent_before_anything_else),
        cmocka_unit_test(a_silent_transaction_is_sent_again_now_and_then),
        cmocka_unit_test(a_stuck_transaction_is_replaced),
        cmocka_unit_test(replacing_ends_at_the_fee_cap_and_at_a_number_of_rows),
        cmocka_unit_test(a_nonce_is_above_what_ledger_and_node_know),
        cmocka_unit_test(transactions_awaited_are_no_gap),
        cmocka_unit_test(a_chain_that_went_back_shows_a_gap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
