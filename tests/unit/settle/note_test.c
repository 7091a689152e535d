#include "unit/core/support.h"

#include "settle/chain.h"

static struct x402_chain chain;
static char noted[8][512];
static int notes;

static void take_note(void *data, const char *line)
{
    (void)data;
    assert_true(notes < 8);
    snprintf(noted[notes++], sizeof noted[0], "%s", line);
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

#define FRESH(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(payments_settled_by_one_transaction_are_one_line),
        FRESH(a_payment_by_itself_is_told_with_its_payer),
        FRESH(one_settled_by_somebody_else_has_a_line_of_its_own),
        FRESH(payments_due_again_for_one_reason_are_one_line),
        FRESH(nothing_done_is_nothing_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
