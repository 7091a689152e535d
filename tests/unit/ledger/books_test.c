#include "fixture.h"

/* The sentence the books end with, or "" when they balance. */
static const char *books(struct fixture *fixture)
{
    enum x402_error error = x402_ledger_books(fixture->ledger, fixture->message);

    assert_true(error == X402_OK || error == X402_ERR_CONFLICT);
    assert_int_equal(error == X402_OK, fixture->message[0] == '\0');
    return fixture->message;
}

static void assert_found(struct fixture *fixture, const char *sql, const char *sentence)
{
    tamper(fixture, sql);
    assert_non_null(strstr(books(fixture), sentence));
}

static void books_balance_over_a_whole_life(void **state)
{
    struct fixture *fixture = *state;
    const enum x402_event events[] = {X402_EVENT_SETTLED, X402_EVENT_UNSETTLED,
                                      X402_EVENT_SETTLED, X402_EVENT_FINAL};
    int64_t id = sell(fixture->ledger, 1);

    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        struct x402_verdict verdict = {.payment_id = id, .event = events[i]};
        assert_int_equal(x402_ledger_advance(fixture->ledger, &verdict, 1), X402_OK);
        assert_books(fixture->ledger);
    }
    assert_int_equal(totals_of(fixture->ledger).monies[X402_MONEY_FINAL].count, 1);
    assert_int_equal(totals_of(fixture->ledger).monies[X402_MONEY_SETTLED].count, 0);
}

static void a_changed_value_is_found(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    assert_found(fixture, "UPDATE payment SET value = 999",
                 "worth 999; the running totals say 1, worth 1000");
}

static void a_deleted_row_is_found(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    (void)sell(fixture->ledger, 2);
    assert_found(fixture, "DELETE FROM payment WHERE id = 1",
                 "1 are delivered and due, worth 1000; the running totals say 2");
}

static void an_added_row_is_found(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    assert_found(fixture,
                 "CREATE TEMP TABLE copy AS SELECT * FROM payment;"
                 "UPDATE copy SET id = 40000, nonce = randomblob(32);"
                 "INSERT INTO payment SELECT * FROM copy",
                 "payments 32768 to 65535: 1 are delivered and due");
}

static void a_changed_state_is_found(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    assert_found(fixture, "UPDATE payment SET delivery = 1, money = 1",
                 "payments 0 to 32767");
}

static void a_state_that_cannot_be_is_found(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    assert_found(fixture, "UPDATE payment SET money = 6",
                 "payment 1 is pending and released, which cannot be");
}

static void a_submitted_payment_without_its_transaction_is_found(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);
    struct x402_outbox outbox = {
        .chain_id = CHAIN, .raw = (const uint8_t *)"x", .raw_size = 1};

    assert_int_equal(x402_ledger_submit(fixture->ledger, &outbox, &id, 1), X402_OK);
    assert_string_equal(books(fixture), "");
    assert_found(fixture, "DELETE FROM outbox",
                 "payment 1 is submitted and in no transaction");
}

static void a_settlement_without_its_place_is_found(void **state)
{
    struct fixture *fixture = *state;
    struct x402_verdict verdict = {.payment_id = sell(fixture->ledger, 1),
                                   .event = X402_EVENT_SETTLED};

    assert_int_equal(x402_ledger_advance(fixture->ledger, &verdict, 1), X402_OK);
    assert_found(fixture, "DELETE FROM settled",
                 "payment 1 is settled and it is not recorded where on the chain");
}

static void a_failure_without_its_reason_is_found(void **state)
{
    struct fixture *fixture = *state;
    struct x402_verdict verdict = {.payment_id = sell(fixture->ledger, 1),
                                   .event = X402_EVENT_FAILED};

    assert_int_equal(x402_ledger_advance(fixture->ledger, &verdict, 1), X402_OK);
    assert_found(fixture, "DELETE FROM failed",
                 "payment 1 is failed and its failure is not recorded");
}

static void a_changed_total_is_found(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    assert_found(fixture, "UPDATE flows SET count = 2 WHERE delivery = -1",
                 "0 are pending and held");
}

static void a_step_the_table_has_not_is_found_in_the_totals(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    assert_found(fixture, "INSERT INTO flows VALUES (0, 1, 3, 6, 0, 1, 1, 1)",
                 "have a step the table has not");
}

static void a_payer_whose_sum_is_wrong_is_found(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    assert_found(fixture, "UPDATE payer SET unsettled = 999",
                 "payer 0xf0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0 has 1000 unsettled "
                 "and 0 owed; its sums say 999 and 0");
}

static void a_payer_who_is_owed_and_whose_sum_is_wrong_is_found(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    admit.credit.settle_first = true;
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    assert_found(fixture, "UPDATE payer SET owed = 0",
                 "has 0 unsettled and 1000 owed; its sums say 0 and 0");
}

static void a_payer_without_its_row_is_found(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    assert_found(fixture, "DELETE FROM payer", "has 1000 unsettled and 0 owed");
}

static void a_payer_too_many_is_found(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    assert_found(fixture,
                 "INSERT INTO payer (token_id, payer, chain_id) VALUES (1, "
                 "zeroblob(20), 1)",
                 "token 1 has 2 payers; their number says 1");
}

static void a_token_whose_sum_is_wrong_is_found(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    assert_found(fixture, "UPDATE token SET unsettled = 0",
                 "token 1 has 1000 unsettled; its sum says 0");
}

/* Such a payment would wait for ever: no settler looks at a closed transaction. */
static void a_submitted_payment_in_a_closed_transaction_is_found(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);
    struct x402_outbox outbox = {
        .chain_id = CHAIN, .raw = (const uint8_t *)"x", .raw_size = 1};

    assert_int_equal(x402_ledger_submit(fixture->ledger, &outbox, &id, 1), X402_OK);
    assert_found(fixture, "UPDATE outbox SET open_count = 0", "has 0 unsettled");
}

static void earnings_that_are_wrong_are_found(void **state)
{
    struct fixture *fixture = *state;

    assert_true(
        chain_on(fixture->ledger, sell(fixture->ledger, 1), X402_EVENT_SETTLED));
    assert_found(fixture, "UPDATE earning SET settled_value = 1",
                 "1 are settled, worth 1000; its earnings say 1, worth 1");
}

static void earnings_that_are_missing_are_found(void **state)
{
    struct fixture *fixture = *state;

    assert_true(
        chain_on(fixture->ledger, sell(fixture->ledger, 1), X402_EVENT_SETTLED));
    assert_true(chain_on(fixture->ledger, sell(fixture->ledger, 2), X402_EVENT_FAILED));
    assert_found(fixture, "UPDATE earning SET failed_count = 0, failed_value = 0",
                 "1 are failed, worth 1000; its earnings say 0, worth 0");
    assert_found(fixture, "DELETE FROM earning", "route '/weather' on day ");
}

static void earnings_of_nothing_are_found(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    assert_found(fixture,
                 "INSERT INTO earning VALUES (20000, 1, '/nowhere', 0, 1, 5, 0, 0, 0, "
                 "0)",
                 "route '/nowhere' on day 20000: 0 are settled, worth 0; its earnings "
                 "say 1, worth 5");
}

static void what_is_owed_under_a_lease_is_found(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    admit.credit.settle_first = true;
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    assert_found(fixture, "UPDATE payment SET lease_id = 1",
                 "payment 1 is owed and has a lease");
}

static void books_that_cannot_be_read_say_why(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(x402_ledger_books(fixture->ledger, fixture->message),
                     X402_ERR_LEDGER);
    assert_non_null(strstr(fixture->message, "no such file"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(books_balance_over_a_whole_life),
        TEST(a_changed_value_is_found),
        TEST(a_deleted_row_is_found),
        TEST(an_added_row_is_found),
        TEST(a_changed_state_is_found),
        TEST(a_state_that_cannot_be_is_found),
        TEST(a_submitted_payment_without_its_transaction_is_found),
        TEST(a_settlement_without_its_place_is_found),
        TEST(a_failure_without_its_reason_is_found),
        TEST(a_changed_total_is_found),
        TEST(a_step_the_table_has_not_is_found_in_the_totals),
        TEST(a_payer_whose_sum_is_wrong_is_found),
        TEST(a_payer_who_is_owed_and_whose_sum_is_wrong_is_found),
        TEST(a_payer_without_its_row_is_found),
        TEST(a_payer_too_many_is_found),
        TEST(a_token_whose_sum_is_wrong_is_found),
        TEST(a_submitted_payment_in_a_closed_transaction_is_found),
        TEST(earnings_that_are_wrong_are_found),
        TEST(earnings_that_are_missing_are_found),
        TEST(earnings_of_nothing_are_found),
        TEST(what_is_owed_under_a_lease_is_found),
        TEST(books_that_cannot_be_read_say_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
