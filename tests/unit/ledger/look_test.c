/* What those who wait look at, single payments, and the key of receipts. */
#include "fixture.h"

static const uint8_t raw[] = {2};

static int64_t wait_for(struct x402_ledger *ledger, unsigned number)
{
    struct x402_admit admit = presentation(number, 0);

    admit.credit.settle_first = true;
    assert_int_equal(admit_on(ledger, &admit), X402_ADMISSION_SETTLING);
    return admit.payment_id;
}

static struct x402_look look_at(struct x402_ledger *ledger, int64_t id)
{
    struct x402_look look = {.payment_id = id};

    memset(look.transaction32, 0xee, 32);
    snprintf(look.reason, sizeof(look.reason), "left over");
    assert_int_equal(x402_ledger_look(ledger, &look, 1), X402_OK);
    return look;
}

static void a_payment_that_waits_is_seen_as_it_is(void **state)
{
    struct fixture *fixture = *state;
    struct x402_look look = look_at(fixture->ledger, wait_for(fixture->ledger, 1));

    assert_true(look.found);
    assert_int_equal(look.state.delivery, X402_DELIVERY_OWED);
    assert_int_equal(look.state.money, X402_MONEY_DUE);
    assert_false(look.has_transaction);
    assert_string_equal(look.reason, "");
}

static void the_transaction_it_was_sent_in_is_seen(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = wait_for(fixture->ledger, 1);
    struct x402_outbox outbox = {.chain_id = CHAIN, .raw = raw, .raw_size = 1};
    struct x402_look look;

    memset(outbox.hash32, 0x44, 32);
    assert_int_equal(x402_ledger_submit(fixture->ledger, &outbox, &id, 1), X402_OK);
    look = look_at(fixture->ledger, id);
    assert_int_equal(look.state.money, X402_MONEY_SUBMITTED);
    assert_true(look.has_transaction);
    assert_memory_equal(look.transaction32, outbox.hash32, 32);
}

static void a_request_to_a_facilitator_is_no_transaction(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = wait_for(fixture->ledger, 1);
    struct x402_outbox outbox = {.chain_id = CHAIN, .raw = raw, .raw_size = 1};

    assert_int_equal(x402_ledger_submit(fixture->ledger, &outbox, &id, 1), X402_OK);
    assert_false(look_at(fixture->ledger, id).has_transaction);
}

static void the_transaction_that_settled_it_is_seen(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = wait_for(fixture->ledger, 1);
    struct x402_look look;

    assert_true(chain_on(fixture->ledger, id, X402_EVENT_SETTLED));
    look = look_at(fixture->ledger, id);
    assert_int_equal(look.state.money, X402_MONEY_SETTLED);
    assert_true(look.has_transaction);
    assert_memory_equal(look.transaction32, told(id, X402_EVENT_SETTLED).hash32, 32);
}

static void the_reason_of_a_failure_is_seen(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = wait_for(fixture->ledger, 1);
    struct x402_look look;

    assert_true(chain_on(fixture->ledger, id, X402_EVENT_FAILED));
    look = look_at(fixture->ledger, id);
    assert_int_equal(look.state.delivery, X402_DELIVERY_VOID);
    assert_int_equal(look.state.money, X402_MONEY_FAILED);
    assert_string_equal(look.reason, "funds: balance too low");
}

static void a_payment_that_is_not_there_is_not_found(void **state)
{
    struct fixture *fixture = *state;

    (void)wait_for(fixture->ledger, 1);
    assert_false(look_at(fixture->ledger, 2).found);
    assert_false(look_at(fixture->ledger, 0).found);
    assert_false(look_at(fixture->ledger, -1).found);
}

static void all_are_looked_at_in_one_call(void **state)
{
    struct fixture *fixture = *state;
    static struct x402_look looks[X402_LOOKS_MAX];

    for (unsigned i = 0; i < 100; i++) {
        (void)wait_for(fixture->ledger, i);
    }
    for (unsigned i = 0; i < X402_LOOKS_MAX; i++) {
        looks[i].payment_id = (int64_t)i;
    }
    assert_int_equal(x402_ledger_look(fixture->ledger, looks, X402_LOOKS_MAX), X402_OK);
    for (unsigned i = 0; i < X402_LOOKS_MAX; i++) {
        assert_int_equal(looks[i].payment_id, i);
        assert_int_equal(looks[i].found, i >= 1 && i <= 100);
    }
    assert_int_equal(x402_ledger_look(fixture->ledger, NULL, 0), X402_OK);
}

static void a_handle_for_reading_looks(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = wait_for(fixture->ledger, 1);
    struct x402_ledger *reader;

    assert_int_equal(
        x402_ledger_open(&reader, fixture->path, X402_LEDGER_READ, fixture->message),
        X402_OK);
    assert_true(look_at(reader, id).found);
    x402_ledger_close(reader);
}

/* ---------------------------------------------------------------------- one payment */

static void one_payment_is_what_the_listing_says(void **state)
{
    struct fixture *fixture = *state;
    struct x402_payment_row one, listed;
    int64_t id;

    (void)sell(fixture->ledger, 1);
    id = sell(fixture->ledger, 2);
    assert_true(chain_on(fixture->ledger, id, X402_EVENT_SETTLED));
    listed = row_of(fixture->ledger, id);
    assert_int_equal(x402_ledger_payment(fixture->ledger, &one, id), X402_OK);
    assert_memory_equal(&one, &listed, sizeof(one));
    assert_int_equal(one.block_number, 100);
}

static void one_payment_that_is_not_there_is_not_found(void **state)
{
    struct fixture *fixture = *state;
    struct x402_payment_row one = {.attempts = 77};

    assert_int_equal(x402_ledger_payment(fixture->ledger, &one, 1), X402_ERR_NOT_FOUND);
    assert_int_equal(one.attempts, 77);
}

/* ---------------------------------------------------------------------- receipts' key
 */

static void the_key_of_receipts_never_changes(void **state)
{
    struct fixture *fixture = *state;
    uint8_t before32[32], after32[32];

    assert_int_equal(x402_ledger_receipt_key(fixture->ledger, before32), X402_OK);
    assert_int_equal(
        x402_ledger_create(fixture->path, NOBODY, NOBODY, fixture->message), X402_OK);
    reopen(fixture);
    assert_int_equal(x402_ledger_receipt_key(fixture->ledger, after32), X402_OK);
    assert_memory_equal(before32, after32, 32);
}

static void each_ledger_has_a_key_of_its_own(void **state)
{
    struct fixture *fixture = *state;
    uint8_t one32[32], other32[32];
    static const uint8_t zeros32[32];

    assert_int_equal(x402_ledger_receipt_key(fixture->ledger, one32), X402_OK);
    x402_ledger_close(fixture->ledger);
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(
        x402_ledger_create(fixture->path, NOBODY, NOBODY, fixture->message), X402_OK);
    fixture->ledger = handle_open(fixture);
    assert_int_equal(x402_ledger_receipt_key(fixture->ledger, other32), X402_OK);
    assert_memory_not_equal(one32, other32, 32);
    assert_memory_not_equal(one32, zeros32, 32);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(a_payment_that_waits_is_seen_as_it_is),
        TEST(the_transaction_it_was_sent_in_is_seen),
        TEST(a_request_to_a_facilitator_is_no_transaction),
        TEST(the_transaction_that_settled_it_is_seen),
        TEST(the_reason_of_a_failure_is_seen),
        TEST(a_payment_that_is_not_there_is_not_found),
        TEST(all_are_looked_at_in_one_call),
        TEST(a_handle_for_reading_looks),
        TEST(one_payment_is_what_the_listing_says),
        TEST(one_payment_that_is_not_there_is_not_found),
        TEST(the_key_of_receipts_never_changes),
        TEST(each_ledger_has_a_key_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
