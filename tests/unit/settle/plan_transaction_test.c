/* What becomes of a transaction that was sent, or not, and of its nonce. */
#include "unit/core/support.h"

#include "settle/plan.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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
