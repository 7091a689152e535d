/* What was signed is kept until the payments in it are over, by one settler a key. */
#include "outbox.h"

static void a_stored_transaction_comes_back_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);
    struct x402_outbox stored = transaction(5, 0);
    struct x402_outbox found;
    struct x402_settlement payment;
    size_t count;

    assert_int_equal(x402_ledger_submit(fixture->ledger, &stored, &id, 1), X402_OK);
    reopen(fixture);
    assert_int_equal(
        x402_ledger_outbox_next(fixture->ledger, &found, CHAIN, signer20, 0), X402_OK);
    assert_int_equal(found.transaction_id, stored.transaction_id);
    assert_int_equal(found.submitted_at_seconds, stored.submitted_at_seconds);
    assert_int_equal(found.chain_id, CHAIN);
    assert_int_equal(found.nonce, 5);
    assert_memory_equal(found.signer20, signer20, 20);
    assert_memory_equal(found.hash32, stored.hash32, 32);
    assert_true(found.max_fee_wei == UINT64_MAX);
    assert_int_equal(found.max_priority_fee_wei, 3);
    assert_int_equal(found.gas_limit, 100000);
    assert_int_equal(found.raw_size, sizeof(raw));
    assert_memory_equal(found.raw, raw, sizeof(raw));
    assert_int_equal(found.block_number, 0);
    assert_int_equal(x402_ledger_outbox_payments(fixture->ledger, found.transaction_id,
                                                 &payment, 1, &count),
                     X402_OK);
    assert_int_equal(count, 1);
    assert_int_equal(payment.payment_id, id);
    assert_int_equal(payment.state.money, X402_MONEY_SUBMITTED);
    assert_int_equal(payment.transaction_id, found.transaction_id);
    assert_books(fixture->ledger);
}

static void a_payment_goes_into_one_transaction_only(void **state)
{
    struct fixture *fixture = *state;
    int64_t ids[2] = {sell(fixture->ledger, 1), sell(fixture->ledger, 2)};
    struct x402_outbox second = transaction(1, 0);
    uint64_t nonce = 9;

    (void)submit(fixture->ledger, 0, &ids[0], 1);
    assert_int_equal(x402_ledger_submit(fixture->ledger, &second, ids, 2),
                     X402_ERR_CONFLICT);
    assert_int_equal(second.transaction_id, 0);
    assert_string_equal(x402_ledger_message(fixture->ledger),
                        "payment 1 is not to be sent now");
    assert_state(fixture->ledger, ids[1], X402_DELIVERY_DELIVERED, X402_MONEY_DUE);
    assert_int_equal(x402_ledger_nonce_next(fixture->ledger, &nonce, CHAIN, signer20),
                     X402_OK);
    assert_int_equal(nonce, 1);
    assert_books(fixture->ledger);
}

static void a_payment_is_not_put_twice_into_a_transaction(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);
    int64_t ids[2] = {id, id};
    struct x402_outbox outbox = transaction(0, 0);

    assert_int_equal(x402_ledger_submit(fixture->ledger, &outbox, ids, 2),
                     X402_ERR_CONFLICT);
    assert_state(fixture->ledger, id, X402_DELIVERY_DELIVERED, X402_MONEY_DUE);
}

static void only_what_is_delivered_is_submitted(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);
    struct x402_outbox outbox = transaction(0, 0);
    int64_t none = 12345;

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    assert_int_equal(x402_ledger_submit(fixture->ledger, &outbox, &admit.payment_id, 1),
                     X402_ERR_CONFLICT);
    assert_int_equal(x402_ledger_submit(fixture->ledger, &outbox, &none, 1),
                     X402_ERR_CONFLICT);
}

static void a_replacement_takes_over_the_payments_it_names(void **state)
{
    struct fixture *fixture = *state;
    int64_t ids[3] = {sell(fixture->ledger, 1), sell(fixture->ledger, 2),
                      sell(fixture->ledger, 3)};
    int64_t first_id = submit(fixture->ledger, 0, ids, 2);
    struct x402_outbox replacement = transaction(0, first_id);
    struct x402_outbox late = transaction(0, first_id);
    struct x402_settlement payments[3];
    size_t count;

    /* One of the old, and one that is due. */
    assert_int_equal(x402_ledger_submit(fixture->ledger, &replacement, &ids[1], 2),
                     X402_OK);
    assert_int_equal(
        x402_ledger_outbox_payments(fixture->ledger, first_id, payments, 3, &count),
        X402_OK);
    assert_int_equal(count, 2);
    assert_int_equal(payments[0].transaction_id, first_id);
    assert_int_equal(payments[1].transaction_id, replacement.transaction_id);
    /* It has left the first, so a second replacement of the first cannot have it. */
    assert_int_equal(x402_ledger_submit(fixture->ledger, &late, &ids[1], 1),
                     X402_ERR_CONFLICT);
    assert_books(fixture->ledger);
}

static void a_replacement_keeps_key_chain_and_nonce(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);
    int64_t first_id = submit(fixture->ledger, 0, &id, 1);
    struct x402_outbox wrong[4] = {transaction(1, first_id), transaction(0, first_id),
                                   transaction(0, first_id), transaction(0, 99)};

    wrong[1].chain_id++;
    wrong[2].signer20[0]++;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(x402_ledger_submit(fixture->ledger, &wrong[i], &id, 1),
                         X402_ERR_CONFLICT);
    }
}

static void a_nonce_is_stored_once_unless_it_is_replaced(void **state)
{
    struct fixture *fixture = *state;
    int64_t ids[2] = {sell(fixture->ledger, 1), sell(fixture->ledger, 2)};
    struct x402_outbox outbox = transaction(0, 0);

    (void)submit(fixture->ledger, 0, &ids[0], 1);
    assert_int_equal(x402_ledger_submit(fixture->ledger, &outbox, &ids[1], 1),
                     X402_ERR_CONFLICT);
    assert_string_equal(x402_ledger_message(fixture->ledger),
                        "nonce 0 is in use by another transaction");
}

static void the_outbox_is_walked_by_nonce_then_id(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t nonces[4] = {4, 5, 5, 6};
    struct x402_outbox found = {0};
    struct x402_outbox replacement;
    int64_t order[4];

    /* Stored as 5, 6, 4, and then a replacement of 5. */
    for (unsigned i = 0; i < 3; i++) {
        int64_t id = sell(fixture->ledger, i);
        order[i] = submit(fixture->ledger, (const uint64_t[]){5, 6, 4}[i], &id, 1);
    }
    replacement = transaction(5, order[0]);
    assert_int_equal(
        x402_ledger_submit(fixture->ledger, &replacement, (const int64_t[]){1}, 1),
        X402_OK);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(x402_ledger_outbox_next(fixture->ledger, &found, CHAIN,
                                                 signer20, found.transaction_id),
                         X402_OK);
        assert_int_equal(found.nonce, nonces[i]);
    }
    assert_int_equal(x402_ledger_outbox_next(fixture->ledger, &found, CHAIN, signer20,
                                             found.transaction_id),
                     X402_ERR_NOT_FOUND);
}

static void a_row_of_the_outbox_is_found_by_its_id_also_when_it_is_over(void **state)
{
    struct fixture *fixture = *state;
    int64_t ids[2] = {sell(fixture->ledger, 1), sell(fixture->ledger, 2)};
    int64_t over = submit(fixture->ledger, 0, &ids[0], 1);
    int64_t open = submit(fixture->ledger, 1, &ids[1], 1);
    struct x402_outbox found;

    assert_int_equal(advance(fixture->ledger, ids[0], X402_EVENT_FAILED, over),
                     X402_OK);
    assert_int_equal(x402_ledger_outbox_find(fixture->ledger, &found, over), X402_OK);
    assert_int_equal(found.transaction_id, over);
    assert_int_equal(found.nonce, 0);
    assert_int_equal(x402_ledger_outbox_find(fixture->ledger, &found, open), X402_OK);
    assert_int_equal(found.nonce, 1);
    assert_memory_equal(found.raw, raw, sizeof(raw));
    assert_int_equal(x402_ledger_outbox_find(fixture->ledger, &found, open + 1),
                     X402_ERR_NOT_FOUND);
}

static void a_request_to_a_facilitator_is_shown_as_no_transaction(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);
    struct x402_outbox request = transaction(0, 0);

    memset(request.hash32, 0, 32);
    assert_int_equal(x402_ledger_submit(fixture->ledger, &request, &id, 1), X402_OK);
    assert_int_equal(row_of(fixture->ledger, id).settlement.state.money,
                     X402_MONEY_SUBMITTED);
    assert_false(row_of(fixture->ledger, id).has_transaction);
}

static void a_transaction_whose_payments_are_over_leaves_the_outbox(void **state)
{
    struct fixture *fixture = *state;
    int64_t ids[2] = {sell(fixture->ledger, 1), sell(fixture->ledger, 2)};
    int64_t transaction_id = submit(fixture->ledger, 0, ids, 2);
    struct x402_outbox found;

    assert_int_equal(
        advance(fixture->ledger, ids[0], X402_EVENT_SETTLED, transaction_id), X402_OK);
    assert_int_equal(advance(fixture->ledger, ids[0], X402_EVENT_FINAL, 0), X402_OK);
    assert_int_equal(
        x402_ledger_outbox_next(fixture->ledger, &found, CHAIN, signer20, 0), X402_OK);
    assert_int_equal(found.block_number, 100);
    assert_int_equal(advance(fixture->ledger, ids[1], X402_EVENT_FAILED, 0), X402_OK);
    assert_int_equal(
        x402_ledger_outbox_next(fixture->ledger, &found, CHAIN, signer20, 0),
        X402_ERR_NOT_FOUND);
    assert_books(fixture->ledger);
}

static void the_nonce_goes_on_above_everything_stored(void **state)
{
    struct fixture *fixture = *state;
    uint8_t other20[20] = {1};
    int64_t id = sell(fixture->ledger, 1);
    uint64_t nonce = 9;

    assert_int_equal(x402_ledger_nonce_next(fixture->ledger, &nonce, CHAIN, signer20),
                     X402_OK);
    assert_int_equal(nonce, 0);
    (void)submit(fixture->ledger, 41, &id, 1);
    assert_int_equal(x402_ledger_nonce_next(fixture->ledger, &nonce, CHAIN, signer20),
                     X402_OK);
    assert_int_equal(nonce, 42);
    assert_int_equal(x402_ledger_nonce_next(fixture->ledger, &nonce, CHAIN, other20),
                     X402_OK);
    assert_int_equal(nonce, 0);
}

/* ---------------------------------------------------------------------------- keys */

static void who_holds_a_key_is_known_by_name(void **state)
{
    struct fixture *fixture = *state;
    char owner[X402_ROUTE_MAX] = "";

    assert_int_equal(x402_ledger_signer_owner(fixture->ledger, owner, CHAIN, signer20),
                     X402_ERR_NOT_FOUND);
    assert_int_equal(x402_ledger_signer_acquire(fixture->ledger, CHAIN, signer20, "A"),
                     X402_OK);
    assert_int_equal(x402_ledger_signer_owner(fixture->ledger, owner, CHAIN, signer20),
                     X402_OK);
    assert_string_equal(owner, "A");
    clock_forward(fixture, X402_LEASE_SECONDS);
    assert_int_equal(x402_ledger_signer_owner(fixture->ledger, owner, CHAIN, signer20),
                     X402_ERR_NOT_FOUND);
}

static void a_key_of_a_dead_settler_is_taken_away(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);

    assert_int_equal(x402_ledger_signer_acquire(fixture->ledger, CHAIN, signer20, "A"),
                     X402_OK);
    assert_int_equal(x402_ledger_signer_evict(other, CHAIN, signer20, "A"), X402_OK);
    assert_int_equal(x402_ledger_signer_acquire(other, CHAIN, signer20, "B"), X402_OK);
}

static void a_key_is_not_taken_away_from_whoever_has_it_by_now(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);

    assert_int_equal(x402_ledger_signer_acquire(fixture->ledger, CHAIN, signer20, "B"),
                     X402_OK);
    assert_int_equal(x402_ledger_signer_evict(other, CHAIN, signer20, "A"), X402_OK);
    assert_int_equal(x402_ledger_signer_evict(other, CHAIN + 1, signer20, "B"),
                     X402_OK);
    assert_int_equal(x402_ledger_signer_acquire(other, CHAIN, signer20, "C"),
                     X402_ERR_CONFLICT);
}

static void a_key_is_held_by_one_settler(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    int64_t id = sell(fixture->ledger, 1);
    struct x402_outbox outbox = transaction(0, 0);

    assert_int_equal(x402_ledger_signer_acquire(fixture->ledger, CHAIN, signer20, "A"),
                     X402_OK);
    assert_int_equal(x402_ledger_signer_acquire(fixture->ledger, CHAIN, signer20, "A"),
                     X402_OK);
    assert_int_equal(x402_ledger_signer_acquire(other, CHAIN, signer20, "B"),
                     X402_ERR_CONFLICT);
    assert_string_equal(x402_ledger_message(other),
                        "the key is in use by another settler: A");
    assert_int_equal(x402_ledger_submit(other, &outbox, &id, 1), X402_ERR_CONFLICT);
    assert_int_equal(x402_ledger_signer_release(other, CHAIN, signer20), X402_OK);
    assert_int_equal(x402_ledger_signer_acquire(other, CHAIN + 1, signer20, "B"),
                     X402_OK);
    assert_int_equal(x402_ledger_signer_release(fixture->ledger, CHAIN, signer20),
                     X402_OK);
    assert_int_equal(x402_ledger_signer_acquire(other, CHAIN, signer20, "B"), X402_OK);
}

static void a_key_whose_settler_is_gone_is_free_after_its_lease(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    int64_t id = sell(fixture->ledger, 1);
    struct x402_outbox outbox = transaction(0, 0);

    assert_int_equal(x402_ledger_signer_acquire(fixture->ledger, CHAIN, signer20, "A"),
                     X402_OK);
    clock_forward(fixture, X402_LEASE_SECONDS);
    assert_int_equal(x402_ledger_signer_acquire(other, CHAIN, signer20, "B"), X402_OK);
    /* The first wakes up, and may not store anything under the key any more. */
    assert_int_equal(x402_ledger_submit(fixture->ledger, &outbox, &id, 1),
                     X402_ERR_CONFLICT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(who_holds_a_key_is_known_by_name),
        TEST(a_key_of_a_dead_settler_is_taken_away),
        TEST(a_key_is_not_taken_away_from_whoever_has_it_by_now),
        TEST(a_stored_transaction_comes_back_as_it_was),
        TEST(a_payment_goes_into_one_transaction_only),
        TEST(a_payment_is_not_put_twice_into_a_transaction),
        TEST(only_what_is_delivered_is_submitted),
        TEST(a_replacement_takes_over_the_payments_it_names),
        TEST(a_replacement_keeps_key_chain_and_nonce),
        TEST(a_nonce_is_stored_once_unless_it_is_replaced),
        TEST(the_outbox_is_walked_by_nonce_then_id),
        TEST(a_row_of_the_outbox_is_found_by_its_id_also_when_it_is_over),
        TEST(a_request_to_a_facilitator_is_shown_as_no_transaction),
        TEST(a_transaction_whose_payments_are_over_leaves_the_outbox),
        TEST(the_nonce_goes_on_above_everything_stored),
        TEST(a_key_is_held_by_one_settler),
        TEST(a_key_whose_settler_is_gone_is_free_after_its_lease),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
