#include "unit/core/support.h"

#include "settle/chain.h"

static struct x402_chain chain;
static char noted[8][X402_NOTE_MESSAGE_MAX];
static struct x402_note_event last;
static int notes;

static void take_note(void *data, const struct x402_note_event *event)
{
    (void)data;
    assert_true(notes < 8);
    last = *event;
    snprintf(noted[notes++], sizeof noted[0], "%s", event->message);
}

static const struct x402_settler_options options = {.note = take_note};

static struct x402_settlement payments[4];
static struct x402_ruling rulings[4];

/* Four payments of a tenth of a cent, settled by one transaction. */
static int begin(void **state)
{
    (void)state;
    memset(&chain, 0, sizeof chain);
    memset(rulings, 0, sizeof rulings);
    chain.options = &options;
    notes = 0;
    assert_int_equal(x402_network_find(&chain.network, X402_SLICE("base-sepolia")), 0);
    for (int i = 0; i < 4; i++) {
        payments[i] = (struct x402_settlement){.payment_id = i + 1, .value = 1000};
        memcpy(payments[i].asset20, chain.network.asset20, 20);
        rulings[i].payment = &payments[i];
        rulings[i].action = X402_ACTION_SETTLE;
        rulings[i].finding.evidence.ours = true;
        rulings[i].finding.evidence.block_number = 12;
    }
    return 0;
}

#define ZERO_HASH "0x0000000000000000000000000000000000000000000000000000000000000000"

static void payments_settled_by_one_transaction_are_one_line(void **state)
{
    (void)state;
    x402_rulings_note(&chain, rulings, 4);
    assert_int_equal(notes, 1);
    assert_string_equal(noted[0],
                        "settled 4 payments, 0.004 USDC, in " ZERO_HASH " (block 12)");
}

static void a_payment_by_itself_is_told_with_its_payer(void **state)
{
    (void)state;
    x402_rulings_note(&chain, rulings, 1);
    assert_string_equal(noted[0],
                        "settled payment 1: 0.001 USDC from "
                        "0x0000000000000000000000000000000000000000 in " ZERO_HASH
                        " (block 12)");
}

static void one_settled_by_somebody_else_has_a_line_of_its_own(void **state)
{
    (void)state;
    rulings[1].finding.evidence.ours = false;
    memset(rulings[1].finding.evidence.hash32, 0xff, 32);
    x402_rulings_note(&chain, rulings, 4);
    assert_int_equal(notes, 2);
    assert_non_null(strstr(noted[0], "settled 3 payments, 0.003 USDC,"));
    assert_non_null(strstr(noted[1], "settled payment 2: "));
    assert_non_null(strstr(noted[1], ", by somebody else's transaction"));
}

static void payments_due_again_for_one_reason_are_one_line(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        rulings[i].action = X402_ACTION_UNSETTLE;
        strcpy(rulings[i].finding.reason, i < 3 ? "its transaction reverted" : "other");
    }
    x402_rulings_note(&chain, rulings, 4);
    assert_int_equal(notes, 2);
    assert_string_equal(noted[0],
                        "due again: 3 payments, 0.003 USDC: its transaction reverted");
    assert_non_null(strstr(noted[1], "due again: payment 4: "));
}

static void nothing_done_is_nothing_told(void **state)
{
    (void)state;
    rulings[0].action = X402_ACTION_WAIT;
    rulings[1].action = X402_ACTION_RETRY;
    rulings[2].action = X402_ACTION_FAIL;
    x402_rulings_note(&chain, rulings, 3);
    assert_int_equal(notes, 0);
}

/* ----------------------------------------------------------------------- the facts */

static void know_receipts(void)
{
    chain.has_receipt_key = true;
    memset(chain.receipt_key32, 7, 32);
}

static void a_payment_by_itself_is_told_with_its_receipt(void **state)
{
    char receipt[X402_RECEIPT_ID_SIZE + 1] = "", begin_of_line[80];

    (void)state;
    know_receipts();
    assert_true(x402_receipt_id_encode(receipt, chain.receipt_key32, 1));
    x402_rulings_note(&chain, rulings, 1);
    snprintf(begin_of_line, sizeof begin_of_line,
             "settled payment 1 (receipt %s): 0.001 USDC from ", receipt);
    assert_memory_equal(noted[0], begin_of_line, strlen(begin_of_line));
    assert_string_equal(last.payments[0].receipt, receipt);
}

static void an_event_has_every_payment_its_value_and_its_transaction(void **state)
{
    (void)state;
    know_receipts();
    x402_rulings_note(&chain, rulings, 4);
    assert_int_equal(last.kind, X402_NOTE_SETTLED);
    assert_int_equal(last.payments_count, 4);
    for (int i = 0; i < 4; i++) {
        int64_t id;
        assert_int_equal(last.payments[i].id, i + 1);
        assert_true(x402_receipt_id_decode(&id, chain.receipt_key32,
                                           x402_slice_of(last.payments[i].receipt)));
        assert_int_equal(id, i + 1);
    }
    assert_true(last.has_value && last.value == 4000);
    assert_true(last.has_transaction && last.block == 12);
    assert_int_equal(last.chain_id, 84532);
    assert_true(last.time_milliseconds > 1000 * (int64_t)1600000000);
}

static void amounts_of_several_tokens_are_not_added_up(void **state)
{
    const struct x402_settlement *two[] = {&payments[0], &payments[1]};
    struct x402_note_event event;

    (void)state;
    memset(payments[1].asset20, 9, 20);
    x402_note_begin(&event, &chain, X402_NOTE_FINAL);
    x402_note_put_payments(&event, &chain, two, 1);
    assert_true(event.has_value && event.value == 1000);
    x402_note_put_payments(&event, &chain, two, 2);
    assert_false(event.has_value);
    assert_int_equal(event.payments_count, 2);
}

static void a_trouble_is_told_once_and_its_latest_words_are_kept(void **state)
{
    struct x402_settler_state seen;

    (void)state;
    x402_chain_trouble(&chain, X402_TROUBLE_NODE, "node %s hangs", "a");
    assert_int_equal(last.kind, X402_NOTE_TROUBLE);
    assert_string_equal(last.reason, "node a hangs");
    chain.troubled = false; /* the next pass */
    x402_chain_trouble(&chain, X402_TROUBLE_NODE, "node %s hangs up", "a");
    assert_int_equal(notes, 1);
    chain.owner = "";
    x402_chain_state(&chain, &seen);
    assert_string_equal(seen.trouble, "node a hangs up");
    chain.trouble = X402_TROUBLE_NONE;
    x402_chain_state(&chain, &seen);
    assert_string_equal(seen.trouble, "");
}

#define FRESH(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(payments_settled_by_one_transaction_are_one_line),
        FRESH(a_payment_by_itself_is_told_with_its_payer),
        FRESH(one_settled_by_somebody_else_has_a_line_of_its_own),
        FRESH(payments_due_again_for_one_reason_are_one_line),
        FRESH(nothing_done_is_nothing_told),
        FRESH(a_payment_by_itself_is_told_with_its_receipt),
        FRESH(an_event_has_every_payment_its_value_and_its_transaction),
        FRESH(amounts_of_several_tokens_are_not_added_up),
        FRESH(a_trouble_is_told_once_and_its_latest_words_are_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
