/* What is due, and what the chain made of it. */
#include "outbox.h"

static void due_payments_come_soonest_to_expire_first(void **state)
{
    struct fixture *fixture = *state;
    const unsigned windows[4] = {300, 100, 200, 50};
    struct x402_settlement due[4];
    size_t count = 0;

    for (unsigned i = 0; i < 4; i++) {
        struct x402_admit admit = presentation(i, 0);
        admit.verified.valid_before_seconds += windows[i];
        admit.verified.chain_id += i == 3; /* another chain */
        assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
        assert_true(outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED));
    }
    assert_int_equal(x402_ledger_due(fixture->ledger, CHAIN, due, 4, &count), X402_OK);
    assert_int_equal(count, 3);
    assert_int_equal(due[0].payment_id, 2);
    assert_int_equal(due[1].payment_id, 3);
    assert_int_equal(due[2].payment_id, 1);
    assert_int_equal(x402_ledger_due(fixture->ledger, CHAIN, due, 2, &count), X402_OK);
    assert_int_equal(count, 2);
}

static void a_due_payment_is_the_whole_authorization(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(7, 0);
    struct x402_settlement due;
    size_t count = 0;

    (void)sell(fixture->ledger, 7);
    assert_int_equal(x402_ledger_due(fixture->ledger, CHAIN, &due, 1, &count), X402_OK);
    assert_int_equal(count, 1);
    assert_int_equal(due.state.delivery, X402_DELIVERY_DELIVERED);
    assert_int_equal(due.state.money, X402_MONEY_DUE);
    assert_int_equal(due.chain_id, CHAIN);
    assert_memory_equal(due.asset20, admit.verified.asset20, 20);
    assert_memory_equal(due.from20, admit.verified.from20, 20);
    assert_memory_equal(due.to20, admit.verified.to20, 20);
    assert_memory_equal(due.nonce32, admit.verified.nonce32, 32);
    assert_memory_equal(due.signature65, admit.verified.signature65, 65);
    assert_int_equal(due.value, 1000);
    assert_int_equal(due.valid_after_seconds, 0);
    assert_true(due.valid_before_seconds >= admit.verified.valid_before_seconds - 1);
    assert_int_equal(due.transaction_id, 0);
}

static void what_is_not_delivered_is_not_due(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit pending = presentation(1, 0);
    struct x402_admit failed = presentation(2, 0);
    struct x402_settlement due;
    size_t count = 9;

    assert_int_equal(admit_on(fixture->ledger, &pending), X402_ADMISSION_NEW);
    assert_int_equal(admit_on(fixture->ledger, &failed), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &failed, X402_EVENT_VOID));
    assert_int_equal(x402_ledger_due(fixture->ledger, CHAIN, &due, 1, &count), X402_OK);
    assert_int_equal(count, 0);
}

static void a_settled_payment_says_where(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);
    int64_t transaction_id = submit(fixture->ledger, 0, &id, 1);
    struct x402_payment_row row;
    uint8_t hash32[32];

    row = row_of(fixture->ledger, id);
    assert_true(row.has_transaction); /* submitted: the transaction it is in */
    memset(hash32, 1, 32);
    assert_memory_equal(row.transaction32, hash32, 32);
    assert_int_equal(advance(fixture->ledger, id, X402_EVENT_SETTLED, transaction_id),
                     X402_OK);
    row = row_of(fixture->ledger, id);
    memset(hash32, 0xaa, 32);
    assert_true(row.has_transaction);
    assert_memory_equal(row.transaction32, hash32, 32);
    assert_int_equal(row.block_number, 100);
    assert_int_equal(row.gas_used, 40000);
    assert_int_equal(row.fee_wei, 123456);
    assert_books(fixture->ledger);
}

static void a_payment_found_on_the_chain_by_itself_is_settled(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);

    assert_int_equal(advance(fixture->ledger, id, X402_EVENT_SETTLED, 0), X402_OK);
    assert_int_equal(row_of(fixture->ledger, id).settlement.transaction_id, 0);
    assert_state(fixture->ledger, id, X402_DELIVERY_DELIVERED, X402_MONEY_SETTLED);
    assert_books(fixture->ledger);
}

static void a_failure_keeps_its_reason(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);

    assert_int_equal(advance(fixture->ledger, id, X402_EVENT_FAILED, 0), X402_OK);
    assert_string_equal(row_of(fixture->ledger, id).reason, "authorization expired");
    assert_state(fixture->ledger, id, X402_DELIVERY_DELIVERED, X402_MONEY_FAILED);
    assert_books(fixture->ledger);
}

static void an_unsettled_payment_is_due_again(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);
    int64_t transaction_id = submit(fixture->ledger, 0, &id, 1);
    struct x402_outbox found;

    assert_int_equal(advance(fixture->ledger, id, X402_EVENT_SETTLED, transaction_id),
                     X402_OK);
    assert_int_equal(advance(fixture->ledger, id, X402_EVENT_UNSETTLED, transaction_id),
                     X402_OK);
    assert_state(fixture->ledger, id, X402_DELIVERY_DELIVERED, X402_MONEY_DUE);
    assert_false(row_of(fixture->ledger, id).has_transaction);
    assert_int_equal(
        x402_ledger_outbox_next(fixture->ledger, &found, CHAIN, signer20, 0), X402_OK);
    assert_int_equal(found.block_number, 0);
    /* And it can be sent again, and settle. */
    transaction_id = submit(fixture->ledger, 1, &id, 1);
    assert_int_equal(advance(fixture->ledger, id, X402_EVENT_SETTLED, transaction_id),
                     X402_OK);
    assert_int_equal(advance(fixture->ledger, id, X402_EVENT_FINAL, 0), X402_OK);
    assert_int_equal(
        x402_ledger_outbox_next(fixture->ledger, &found, CHAIN, signer20, 0),
        X402_ERR_NOT_FOUND);
    assert_books(fixture->ledger);
}

static void a_verdict_that_is_no_step_is_left_out_and_the_rest_applied(void **state)
{
    struct fixture *fixture = *state;
    int64_t ids[2] = {sell(fixture->ledger, 1), sell(fixture->ledger, 2)};
    struct x402_verdict verdicts[3] = {verdict_of(ids[1], X402_EVENT_FINAL, 0),
                                       verdict_of(ids[0], X402_EVENT_SETTLED, 0),
                                       verdict_of(99, X402_EVENT_SETTLED, 0)};

    assert_int_equal(x402_ledger_advance(fixture->ledger, verdicts, 3), X402_OK);
    assert_false(verdicts[0].applied);
    assert_true(verdicts[1].applied);
    assert_false(verdicts[2].applied);
    assert_state(fixture->ledger, ids[0], X402_DELIVERY_DELIVERED, X402_MONEY_SETTLED);
    assert_state(fixture->ledger, ids[1], X402_DELIVERY_DELIVERED, X402_MONEY_DUE);
    assert_books(fixture->ledger);
}

static void a_verdict_on_nothing_is_left_out(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);

    assert_int_equal(advance(fixture->ledger, 99, X402_EVENT_SETTLED, 0),
                     X402_ERR_CONFLICT);
    assert_int_equal(advance(fixture->ledger, id, X402_EVENT_SETTLED, 99),
                     X402_ERR_CONFLICT);
    assert_int_equal(advance(fixture->ledger, id, X402_EVENT_VOID, 0),
                     X402_ERR_CONFLICT);
    assert_state(fixture->ledger, id, X402_DELIVERY_DELIVERED, X402_MONEY_DUE);
}

static void settled_payments_come_oldest_block_first_until_final(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t blocks[3] = {300, 100, 200};
    struct x402_settled settled[3];
    size_t count;

    for (unsigned i = 0; i < 3; i++) {
        struct x402_verdict verdict =
            verdict_of(sell(fixture->ledger, i), X402_EVENT_SETTLED, 0);
        verdict.block_number = blocks[i];
        assert_int_equal(x402_ledger_advance(fixture->ledger, &verdict, 1), X402_OK);
    }
    assert_int_equal(
        x402_ledger_settled(fixture->ledger, CHAIN, 250, NULL, settled, 3, &count),
        X402_OK);
    assert_int_equal(count, 2);
    assert_int_equal(settled[0].settlement.payment_id, 2);
    assert_int_equal(settled[1].settlement.payment_id, 3);
    assert_int_equal(advance(fixture->ledger, 2, X402_EVENT_FINAL, 0), X402_OK);
    assert_int_equal(x402_ledger_settled(fixture->ledger, CHAIN, UINT64_MAX, NULL,
                                         settled, 3, &count),
                     X402_OK);
    assert_int_equal(count, 2);
    assert_int_equal(
        x402_ledger_settled(fixture->ledger, CHAIN + 1, 999, NULL, settled, 3, &count),
        X402_OK);
    assert_int_equal(count, 0);
}

/* Two in a block, and a page of one: no payment is passed over, none comes twice. */
static void settled_payments_are_walked_page_by_page(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t blocks[4] = {300, 100, 200, 200};
    const int64_t expected[4] = {2, 3, 4, 1};
    struct x402_settled page;
    const struct x402_settled *after = NULL;
    size_t count;

    for (unsigned i = 0; i < 4; i++) {
        struct x402_verdict verdict =
            verdict_of(sell(fixture->ledger, i), X402_EVENT_SETTLED, 0);
        verdict.block_number = blocks[i];
        memset(verdict.block_hash32, (int)i, 32);
        assert_int_equal(x402_ledger_advance(fixture->ledger, &verdict, 1), X402_OK);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(x402_ledger_settled(fixture->ledger, CHAIN, UINT64_MAX, after,
                                             &page, 1, &count),
                         X402_OK);
        assert_int_equal(count, 1);
        assert_int_equal(page.settlement.payment_id, expected[i]);
        assert_int_equal(page.block_number, blocks[expected[i] - 1]);
        assert_int_equal(page.block_hash32[31], expected[i] - 1);
        assert_int_equal(page.hash32[0], 0xaa);
        after = &page;
    }
    assert_int_equal(x402_ledger_settled(fixture->ledger, CHAIN, UINT64_MAX, after,
                                         &page, 1, &count),
                     X402_OK);
    assert_int_equal(count, 0);
}

static void what_somebody_waits_for_is_due_first(void **state)
{
    struct fixture *fixture = *state;
    struct x402_settlement due[6];
    size_t count = 0;

    for (unsigned i = 0; i < 6; i++) {
        struct x402_admit admit = presentation(i, 0);
        admit.credit.settle_first = i >= 3;
        admit.verified.valid_before_seconds += 1000 - 10 * i + (i >= 3 ? 5000 : 0);
        (void)admit_on(fixture->ledger, &admit);
        (void)outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED);
    }
    assert_int_equal(x402_ledger_due(fixture->ledger, CHAIN, due, 6, &count), X402_OK);
    assert_int_equal(count, 6);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(due[i].payment_id, 6 - i);
        assert_int_equal(due[i].state.delivery,
                         i < 3 ? X402_DELIVERY_OWED : X402_DELIVERY_DELIVERED);
    }
}

/* Payments number 0 up to `owed`, settled first, and up to `owed` + `rest`, delivered,
 * the later the sooner to expire. */
static void make_due(struct x402_ledger *ledger, unsigned owed, unsigned rest)
{
    for (unsigned i = 0; i < owed + rest; i++) {
        struct x402_admit admit = presentation(i, 0);
        admit.credit.settle_first = i < owed;
        admit.verified.valid_before_seconds += 1000 - 10 * i;
        (void)admit_on(ledger, &admit);
        (void)outcome_on(ledger, &admit, X402_EVENT_DELIVERED);
    }
}

static void assert_due(struct x402_ledger *ledger, size_t max, const int64_t *ids,
                       size_t ids_count)
{
    struct x402_settlement due[20];
    size_t count = 0;

    assert_int_equal(x402_ledger_due(ledger, CHAIN, due, max, &count), X402_OK);
    assert_int_equal(count, ids_count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(due[i].payment_id, ids[i]);
    }
}

static void those_that_wait_leave_half_to_what_was_served(void **state)
{
    struct fixture *fixture = *state;
    static const int64_t of_six[] = {8, 7, 6, 16, 15, 14};
    static const int64_t of_five[] = {8, 7, 6, 16, 15};
    static const int64_t of_one[] = {8};

    make_due(fixture->ledger, 8, 8);
    assert_due(fixture->ledger, 6, of_six, 6);
    assert_due(fixture->ledger, 5, of_five, 5);
    assert_due(fixture->ledger, 1, of_one, 1);
}

static void what_was_served_takes_what_those_that_wait_leave(void **state)
{
    struct fixture *fixture = *state;
    static const int64_t expected[] = {1, 9, 8, 7, 6, 5};

    make_due(fixture->ledger, 1, 8);
    assert_due(fixture->ledger, 6, expected, 6);
}

static void those_that_wait_take_what_was_served_leaves(void **state)
{
    struct fixture *fixture = *state;
    static const int64_t of_six[] = {8, 7, 6, 5, 4, 9};
    static const int64_t all[] = {8, 7, 6, 5, 4, 3, 2, 1, 9};

    make_due(fixture->ledger, 8, 1);
    assert_due(fixture->ledger, 6, of_six, 6);
    assert_due(fixture->ledger, 9, all, 9);
    assert_due(fixture->ledger, 20, all, 9);
}

static void a_due_payment_says_since_when_and_for_what(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);
    struct x402_settlement due;
    size_t count = 0;

    clock_stop(fixture);
    admit.verified.dialect = X402_DIALECT_V1;
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    clock_forward(fixture, 20);
    assert_true(outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED));
    assert_int_equal(x402_ledger_due(fixture->ledger, CHAIN, &due, 1, &count), X402_OK);
    assert_int_equal(due.due_at_seconds, x402_clock_seconds());
    assert_int_equal(due.dialect, X402_DIALECT_V1);
    assert_string_equal(due.route, "/weather");
}

/* More that has expired than one page holds must not hide what can be collected. */
static void what_has_expired_hides_nothing_that_is_valid(void **state)
{
    struct fixture *fixture = *state;
    struct x402_settlement due[20];
    size_t count;

    clock_stop(fixture);
    make_due(fixture->ledger, 0, 20);
    assert_int_equal(x402_ledger_due(fixture->ledger, CHAIN, due, 20, &count), X402_OK);
    assert_int_equal(due[count - 1].payment_id, 1); /* the last to expire */
    clock_forward(fixture, (long)due[count - 1].valid_before_seconds - 1 -
                               (long)x402_clock_seconds());
    assert_int_equal(x402_ledger_due(fixture->ledger, CHAIN, due, 8, &count), X402_OK);
    assert_int_equal(count, 8);
    assert_int_equal(due[0].payment_id, 1);
    assert_int_equal(due[1].payment_id, 20);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(due_payments_come_soonest_to_expire_first),
        TEST(what_somebody_waits_for_is_due_first),
        TEST(those_that_wait_leave_half_to_what_was_served),
        TEST(what_was_served_takes_what_those_that_wait_leave),
        TEST(those_that_wait_take_what_was_served_leaves),
        TEST(a_due_payment_says_since_when_and_for_what),
        TEST(settled_payments_are_walked_page_by_page),
        TEST(a_due_payment_is_the_whole_authorization),
        TEST(what_has_expired_hides_nothing_that_is_valid),
        TEST(what_is_not_delivered_is_not_due),
        TEST(a_settled_payment_says_where),
        TEST(a_payment_found_on_the_chain_by_itself_is_settled),
        TEST(a_failure_keeps_its_reason),
        TEST(an_unsettled_payment_is_due_again),
        TEST(a_verdict_that_is_no_step_is_left_out_and_the_rest_applied),
        TEST(a_verdict_on_nothing_is_left_out),
        TEST(settled_payments_come_oldest_block_first_until_final),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
