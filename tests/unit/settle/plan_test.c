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

/* --------------------------------------------------------------------- transactions */

struct answer {
    const char *message;
    enum x402_send send;
};

static void check_answers(const struct answer *answers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (x402_send_classify(answers[i].message) != answers[i].send)
            fail_msg("'%s' is read as %d", answers[i].message,
                     x402_send_classify(answers[i].message));
    }
}

static void the_words_of_geth_are_understood(void **state)
{
    static const struct answer answers[] = {
        {"already known", X402_SEND_ACCEPTED},
        {"nonce too low", X402_SEND_NONCE_SPENT},
        {"nonce too low: next nonce 5, tx nonce 3", X402_SEND_NONCE_SPENT},
        {"nonce too low: address 0xf39F, tx: 3 state: 5", X402_SEND_NONCE_SPENT},
        {"nonce too high", X402_SEND_NONCE_AHEAD},
        {"gapped-nonce tx from delegated accounts", X402_SEND_NONCE_AHEAD},
        {"future transaction tries to replace pending", X402_SEND_NONCE_AHEAD},
        {"replacement transaction underpriced", X402_SEND_FEE_LOW},
        {"replacement transaction underpriced: new tx gas fee cap 1 <= 2 queued + 10% "
         "replacement penalty",
         X402_SEND_FEE_LOW},
        {"transaction underpriced", X402_SEND_FEE_LOW},
        {"transaction underpriced: gas tip cap 0, minimum needed 1", X402_SEND_FEE_LOW},
        {"transaction underpriced: tip needed 1000000, tip permitted 1",
         X402_SEND_FEE_LOW},
        {"transaction gas price below minimum: gas tip cap 0, minimum needed 1",
         X402_SEND_FEE_LOW},
        {"max fee per gas less than block base fee: address 0x0, maxFeePerGas: 1, "
         "baseFee: 7",
         X402_SEND_FEE_LOW},
        {"fee cap less than block base fee", X402_SEND_FEE_LOW},
        {"exceeds block gas limit", X402_SEND_TOO_LARGE},
        {"transaction gas limit too high (cap: 16777216, tx: 21000000)",
         X402_SEND_TOO_LARGE},
        {"tx fee (1.20 ether) exceeds the configured cap (1.00 ether)",
         X402_SEND_TOO_LARGE},
        {"oversized data: transaction size 140000, limit 131072", X402_SEND_TOO_LARGE},
        {"gas limit reached", X402_SEND_REFUSED},
        {"insufficient funds for gas * price + value: balance 0, tx cost 1, overshot 1",
         X402_SEND_NO_GAS},
        {"insufficient funds for transfer", X402_SEND_NO_GAS},
        {"txpool is full", X402_SEND_BUSY},
        {"account limit exceeded: pooled 16 txs", X402_SEND_BUSY},
        {"in-flight transaction limit reached for delegated accounts", X402_SEND_BUSY},
        {"address already reserved", X402_SEND_BUSY},
        {"intrinsic gas too low: gas 21000, minimum needed 30000", X402_SEND_REFUSED},
        {"max priority fee per gas higher than max fee per gas", X402_SEND_REFUSED},
        {"transaction type not supported", X402_SEND_REFUSED},
        {"invalid sender", X402_SEND_REFUSED},
    };

    (void)state;
    check_answers(answers, COUNT(answers));
}

/* And of op-reth, which speaks the same. */
static void the_words_of_reth_are_understood(void **state)
{
    static const struct answer answers[] = {
        {"already known", X402_SEND_ACCEPTED},
        {"[0x12]: already imported", X402_SEND_ACCEPTED},
        {"nonce too low: next nonce 9, tx nonce 8", X402_SEND_NONCE_SPENT},
        {"nonce too high", X402_SEND_NONCE_AHEAD},
        {"replacement transaction underpriced", X402_SEND_FEE_LOW},
        {"[0x12]: insufficient gas price to replace existing transaction",
         X402_SEND_FEE_LOW},
        {"transaction feeCap 6 below chain minimum", X402_SEND_FEE_LOW},
        {"transaction priority fee below minimum required priority fee 1000000",
         X402_SEND_FEE_LOW},
        {"max fee per gas less than block base fee", X402_SEND_FEE_LOW},
        {"exceeds block gas limit", X402_SEND_TOO_LARGE},
        {"exceeds max transaction gas limit", X402_SEND_TOO_LARGE},
        {"transaction's gas limit 40000000 exceeds block's gas limit 30000000",
         X402_SEND_TOO_LARGE},
        {"gas limit too high", X402_SEND_TOO_LARGE},
        {"intrinsic gas too high", X402_SEND_TOO_LARGE},
        {"transaction gas limit (21000000) is greater than the cap (16777216)",
         X402_SEND_TOO_LARGE},
        {"tx fee (1200000000000000000 wei) exceeds the configured cap "
         "(1000000000000000000 wei)",
         X402_SEND_TOO_LARGE},
        {"oversized data: transaction size 140000, limit 131072", X402_SEND_TOO_LARGE},
        {"input data too large", X402_SEND_TOO_LARGE},
        {"insufficient funds for gas * price + value: have 0 want 1", X402_SEND_NO_GAS},
        {"transaction overdraws from account", X402_SEND_NO_GAS},
        {"txpool is full", X402_SEND_BUSY},
        {"transaction discarded outright due to pool size constraints", X402_SEND_BUSY},
        {"rejected due to 0xf39f being identified as a spammer", X402_SEND_BUSY},
        {"internal eth error", X402_SEND_REFUSED},
        {"failed to decode signed transaction", X402_SEND_REFUSED},
    };

    (void)state;
    check_answers(answers, COUNT(answers));
}

static void the_words_of_anvil_are_understood(void **state)
{
    static const struct answer answers[] = {
        {"transaction already imported", X402_SEND_ACCEPTED},
        {"Tx: [0x12] already Imported", X402_SEND_ACCEPTED},
        {"nonce too low", X402_SEND_NONCE_SPENT},
        {"Nonce too high", X402_SEND_NONCE_AHEAD},
        {"replacement transaction underpriced", X402_SEND_FEE_LOW},
        {"Tx: [0x12] insufficient gas price to replace existing transaction",
         X402_SEND_FEE_LOW},
        {"max fee per gas less than block base fee", X402_SEND_FEE_LOW},
        {"intrinsic gas too high -- tx.gas_limit > env.cfg.tx_gas_limit_cap",
         X402_SEND_TOO_LARGE},
        {"intrinsic gas too high -- tx.gas_limit > env.block.gas_limit",
         X402_SEND_TOO_LARGE},
        {"Transaction gas limit is greater than the block gas limit, gas_limit: 2, "
         "cap: 1",
         X402_SEND_TOO_LARGE},
        {"Insufficient funds for gas * price + value", X402_SEND_NO_GAS},
        {"invalid chain id for signer", X402_SEND_REFUSED},
        {"Failed to decode transaction", X402_SEND_REFUSED},
        {"Unknown transaction type not supported", X402_SEND_REFUSED},
    };

    (void)state;
    check_answers(answers, COUNT(answers));
}

static void the_words_of_other_nodes_and_services_are_understood(void **state)
{
    static const struct answer answers[] = {
        {"Known transaction", X402_SEND_ACCEPTED},
        {"AlreadyKnown", X402_SEND_ACCEPTED},
        {"INTERNAL_ERROR: existing tx with same hash", X402_SEND_ACCEPTED},
        {"failed to forward tx to sequencer, please try again. Error message: 'already "
         "known'",
         X402_SEND_ACCEPTED},
        {"Nonce is too low", X402_SEND_NONCE_SPENT},
        {"OldNonce, Current nonce: 5, nonce of rejected tx: 3", X402_SEND_NONCE_SPENT},
        {"NonceGap, Future nonce. Expected nonce: 5", X402_SEND_NONCE_AHEAD},
        {"Transaction nonce is too distant from current sender nonce",
         X402_SEND_NONCE_AHEAD},
        {"INTERNAL_ERROR: could not replace existing tx", X402_SEND_FEE_LOW},
        {"INTERNAL_ERROR: fee too low", X402_SEND_FEE_LOW},
        {"FeeTooLow, MaxFeePerGas too low.", X402_SEND_FEE_LOW},
        {"ReplacementNotAllowed", X402_SEND_FEE_LOW},
        {"Gas price below configured minimum gas price", X402_SEND_FEE_LOW},
        {"GasLimitExceeded, Gas limit: 30000000", X402_SEND_TOO_LARGE},
        {"InsufficientFunds, Account balance: 0", X402_SEND_NO_GAS},
        {"Upfront cost exceeds account balance", X402_SEND_NO_GAS},
        {"Transaction Pool is full", X402_SEND_BUSY},
        {"failed to forward tx to sequencer, please try again. Error message: ''",
         X402_SEND_BUSY},
        {"sender is over rate limit", X402_SEND_BUSY},
        {"over rate limit", X402_SEND_BUSY},
        {"Too Many Requests", X402_SEND_BUSY},
        {"daily request count exceeded, request rate limited", X402_SEND_BUSY},
        {"50/second request limit reached - reduce calls per second or upgrade",
         X402_SEND_BUSY},
        {"Your app has exceeded its compute units per second capacity", X402_SEND_BUSY},
        {"no backend is currently healthy to serve traffic", X402_SEND_BUSY},
        {"backend is over capacity", X402_SEND_BUSY},
        {"request timed out", X402_SEND_BUSY},
        {"context deadline exceeded", X402_SEND_BUSY},
        {"service temporarily unavailable", X402_SEND_BUSY},
        {"Internal error", X402_SEND_BUSY},
        {"the method eth_sendRawTransaction does not exist", X402_SEND_REFUSED},
        {"", X402_SEND_REFUSED},
    };

    (void)state;
    check_answers(answers, COUNT(answers));
}

static struct x402_pending pending(void)
{
    return (struct x402_pending){.rows = 1,
                                 .payments = 1,
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

static void each_replacement_waits_twice_as_long_but_not_past_the_end(void **state)
{
    int64_t day = 86400;

    (void)state;
    assert_int_equal(x402_plan_stuck_seconds(1, false, day), 30);
    assert_int_equal(x402_plan_stuck_seconds(2, false, day), 60);
    assert_int_equal(x402_plan_stuck_seconds(UINT32_MAX, false, day), 600);
    assert_int_equal(x402_plan_stuck_seconds(1, true, day), 10);
    assert_int_equal(x402_plan_stuck_seconds(3, true, day), 40);
    assert_int_equal(x402_plan_stuck_seconds(9, false, 60), 15);
    assert_int_equal(x402_plan_stuck_seconds(9, false, 1), 5);
    assert_int_equal(x402_plan_stuck_seconds(9, false, 0), 600); /* all are over */
}

static void a_node_that_finds_every_fee_too_low_is_not_followed_in_haste(void **state)
{
    struct x402_pending low = pending();

    (void)state;
    low.last = X402_SEND_FEE_LOW;
    low.age_seconds = 1;
    low.rows = 7;
    assert_int_equal(x402_plan_pending(&low), X402_PENDING_REPLACE);
    low.rows = 8;
    low.sent_milliseconds = 1000;
    assert_int_equal(x402_plan_pending(&low), X402_PENDING_WAIT);
    low.age_seconds = low.stuck_seconds;
    assert_int_equal(x402_plan_pending(&low), X402_PENDING_REPLACE);
}

static void more_fee_is_no_help_without_money_or_before_a_missing_nonce(void **state)
{
    static const enum x402_send others[] = {X402_SEND_NO_GAS, X402_SEND_NONCE_AHEAD,
                                            X402_SEND_NONCE_SPENT};
    struct x402_pending stuck = pending();

    (void)state;
    stuck.age_seconds = 3000;
    stuck.sent_milliseconds = 20000;
    for (size_t i = 0; i < COUNT(others); i++) {
        stuck.last = others[i];
        assert_int_equal(x402_plan_pending(&stuck), X402_PENDING_RESEND);
    }
}

static void a_refusal_in_words_unknown_here_is_answered_with_more_fee(void **state)
{
    static const enum x402_send others[] = {X402_SEND_REFUSED, X402_SEND_BUSY};
    struct x402_pending stuck = pending();

    (void)state;
    for (size_t i = 0; i < COUNT(others); i++) {
        stuck.last = others[i];
        stuck.age_seconds = 29;
        stuck.sent_milliseconds = 4999;
        assert_int_equal(x402_plan_pending(&stuck), X402_PENDING_WAIT);
        stuck.sent_milliseconds = 5000; /* not taken: offered sooner again */
        assert_int_equal(x402_plan_pending(&stuck), X402_PENDING_RESEND);
        stuck.age_seconds = 30;
        assert_int_equal(x402_plan_pending(&stuck), X402_PENDING_REPLACE);
    }
}

static void a_batch_too_large_for_the_node_is_halved(void **state)
{
    struct x402_pending large = pending();

    (void)state;
    large.last = X402_SEND_TOO_LARGE;
    large.payments = 200;
    large.fee_can_rise = false;
    assert_int_equal(x402_plan_pending(&large), X402_PENDING_SHRINK);
    large.payments = 1; /* nothing to halve */
    large.sent_milliseconds = 1000;
    assert_int_equal(x402_plan_pending(&large), X402_PENDING_WAIT);
    large.payments = 200;
    large.sent_milliseconds = -1; /* the halved one is sent first */
    assert_int_equal(x402_plan_pending(&large), X402_PENDING_RESEND);
}

/* --------------------------------------------------------------------------- nonces */

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

static void a_nonce_in_the_pool_that_is_not_ours_blocks_those_behind_it(void **state)
{
    static const uint64_t live[] = {4, 5};
    struct x402_nonces nonces = {.stored_next = 6,
                                 .chain_latest = 3,
                                 .chain_pending = 6,
                                 .live = live,
                                 .live_count = 2};
    uint64_t nonce = 99;

    (void)state;
    assert_false(x402_plan_gap(&nonce, &nonces));
    assert_true(x402_plan_blocked(&nonce, &nonces));
    assert_int_equal(nonce, 3);
    nonces.chain_latest = 4; /* ours: it is waited for, or replaced */
    assert_false(x402_plan_blocked(&nonce, &nonces));
    nonces.chain_latest = 3;
    nonces.live_count = 0; /* nothing of ours waits */
    assert_false(x402_plan_blocked(&nonce, &nonces));
    nonces.live_count = 2;
    nonces.chain_pending = 3; /* not in the pool: a gap */
    assert_false(x402_plan_blocked(&nonce, &nonces));
    assert_true(x402_plan_gap(&nonce, &nonces));
}

static void a_missing_nonce_is_filled_when_it_stays_missing(void **state)
{
    int64_t gap = X402_FILL_MILLISECONDS, blocked = X402_FILL_BLOCKED_MILLISECONDS;

    (void)state;
    assert_int_equal(x402_plan_fill(false, gap - 1, true, true), X402_FILL_WAIT);
    assert_int_equal(x402_plan_fill(false, gap, true, true), X402_FILL_USE);
    assert_int_equal(x402_plan_fill(false, gap, true, false), X402_FILL_USE);
    assert_int_equal(x402_plan_fill(false, gap, false, true), X402_FILL_EMPTY);
    assert_int_equal(x402_plan_fill(false, gap, false, false), X402_FILL_WAIT);
    assert_int_equal(x402_plan_fill(true, blocked - 1, true, true), X402_FILL_WAIT);
    assert_int_equal(x402_plan_fill(true, blocked, true, true), X402_FILL_USE);
    assert_int_equal(x402_plan_fill(true, blocked, false, true), X402_FILL_EMPTY);
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
        cmocka_unit_test(the_words_of_geth_are_understood),
        cmocka_unit_test(the_words_of_reth_are_understood),
        cmocka_unit_test(the_words_of_anvil_are_understood),
        cmocka_unit_test(the_words_of_other_nodes_and_services_are_understood),
        cmocka_unit_test(a_fresh_transaction_is_waited_for),
        cmocka_unit_test(a_stored_transaction_never_sent_is_sent_before_anything_else),
        cmocka_unit_test(a_silent_transaction_is_sent_again_now_and_then),
        cmocka_unit_test(a_stuck_transaction_is_replaced),
        cmocka_unit_test(replacing_ends_at_the_fee_cap_and_at_a_number_of_rows),
        cmocka_unit_test(each_replacement_waits_twice_as_long_but_not_past_the_end),
        cmocka_unit_test(a_node_that_finds_every_fee_too_low_is_not_followed_in_haste),
        cmocka_unit_test(more_fee_is_no_help_without_money_or_before_a_missing_nonce),
        cmocka_unit_test(a_refusal_in_words_unknown_here_is_answered_with_more_fee),
        cmocka_unit_test(a_batch_too_large_for_the_node_is_halved),
        cmocka_unit_test(a_nonce_is_above_what_ledger_and_node_know),
        cmocka_unit_test(transactions_awaited_are_no_gap),
        cmocka_unit_test(a_chain_that_went_back_shows_a_gap),
        cmocka_unit_test(a_nonce_in_the_pool_that_is_not_ours_blocks_those_behind_it),
        cmocka_unit_test(a_missing_nonce_is_filled_when_it_stays_missing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
