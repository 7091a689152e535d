#include "fixture.h"

static void a_payment_never_seen_is_new(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    assert_true(admit.payment_id > 0);
    assert_state(fixture->ledger, admit.payment_id, X402_DELIVERY_PENDING,
                 X402_MONEY_HELD);
    assert_books(fixture->ledger);
}

static void a_payment_being_served_is_in_progress_on_every_handle(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit first = presentation(1, 0);
    struct x402_admit second = presentation(1, 1);

    assert_int_equal(admit_on(fixture->ledger, &first), X402_ADMISSION_NEW);
    assert_int_equal(admit_on(another_handle(fixture), &second),
                     X402_ADMISSION_IN_PROGRESS);
    assert_int_equal(second.payment_id, 0);
}

static void a_delivered_payment_is_repeated_after_reopen(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit again = presentation(1, 1);
    int64_t id = sell(fixture->ledger, 1);

    reopen(fixture);
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_REPEATED);
    assert_state(fixture->ledger, id, X402_DELIVERY_DELIVERED, X402_MONEY_DUE);
    assert_books(fixture->ledger);
}

static void the_signature_is_not_part_of_the_key(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit again = presentation(1, 1);

    (void)sell(fixture->ledger, 1);
    memset(again.verified.signature65, 0x99, 65);
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_REPEATED);
}

static void payer_nonce_asset_and_chain_are_the_key(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit others[4];

    (void)sell(fixture->ledger, 1);
    for (unsigned i = 0; i < 4; i++) {
        others[i] = presentation(1, 1 + i);
    }
    others[0].verified.chain_id = 8453;
    others[1].verified.asset20[19] ^= 1;
    others[2].verified.from20[0] ^= 1;
    others[3].verified.nonce32[31] ^= 1;
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, others, 4, NULL, NULL),
        X402_OK);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(others[i].admission, X402_ADMISSION_NEW);
    }
    assert_books(fixture->ledger);
}

static void of_copies_in_one_batch_one_is_new(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit copies[50];
    unsigned new_count = 0;

    for (unsigned i = 0; i < 50; i++) {
        copies[i] = presentation(1, i);
    }
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, copies, 50, NULL, NULL),
        X402_OK);
    for (unsigned i = 0; i < 50; i++) {
        new_count += copies[i].admission == X402_ADMISSION_NEW;
        assert_true(copies[i].admission == X402_ADMISSION_NEW ||
                    copies[i].admission == X402_ADMISSION_IN_PROGRESS);
    }
    assert_int_equal(new_count, 1);
}

static void a_void_payment_presented_again_is_a_new_attempt_of_its_row(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit first = presentation(1, 0);
    struct x402_admit second = presentation(1, 1);

    assert_int_equal(admit_on(fixture->ledger, &first), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &first, X402_EVENT_VOID));
    assert_state(fixture->ledger, first.payment_id, X402_DELIVERY_VOID,
                 X402_MONEY_RELEASED);
    assert_int_equal(admit_on(fixture->ledger, &second), X402_ADMISSION_NEW);
    assert_int_equal(second.payment_id, first.payment_id);
    assert_int_equal(row_of(fixture->ledger, first.payment_id).attempts, 2);
    assert_true(outcome_on(fixture->ledger, &second, X402_EVENT_DELIVERED));
    assert_books(fixture->ledger);
}

static void the_newest_presentation_counts(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit first = presentation(1, 0);
    struct x402_admit second = presentation(1, 1);
    struct x402_payment_row row;

    assert_int_equal(admit_on(fixture->ledger, &first), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &first, X402_EVENT_VOID));
    second.verified.value = 5000;
    second.verified.valid_before_seconds += 60;
    memset(second.verified.to20, 0x71, 20);
    memset(second.verified.signature65, 0x99, 65);
    second.verified.dialect = X402_DIALECT_FLAT;
    snprintf(second.route, sizeof(second.route), "/other");
    assert_int_equal(admit_on(fixture->ledger, &second), X402_ADMISSION_NEW);
    row = row_of(fixture->ledger, first.payment_id);
    assert_int_equal(row.settlement.value, 5000);
    assert_int_equal(row.settlement.valid_before_seconds,
                     second.verified.valid_before_seconds);
    assert_memory_equal(row.settlement.to20, second.verified.to20, 20);
    assert_memory_equal(row.settlement.signature65, second.verified.signature65, 65);
    assert_int_equal(row.dialect, X402_DIALECT_FLAT);
    assert_string_equal(row.route, "/other");
    assert_int_equal(totals_of(fixture->ledger).admitted.count, 1);
    assert_int_equal(totals_of(fixture->ledger).admitted.value, 5000);
    assert_books(fixture->ledger);
}

static void a_late_outcome_of_an_old_attempt_is_not_applied(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit first = presentation(1, 0);
    struct x402_admit second = presentation(1, 1);

    assert_int_equal(admit_on(fixture->ledger, &first), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &first, X402_EVENT_VOID));
    assert_int_equal(admit_on(fixture->ledger, &second), X402_ADMISSION_NEW);
    assert_false(outcome_on(fixture->ledger, &first, X402_EVENT_DELIVERED));
    assert_false(outcome_on(fixture->ledger, &first, X402_EVENT_VOID));
    assert_state(fixture->ledger, second.payment_id, X402_DELIVERY_PENDING,
                 X402_MONEY_HELD);
    assert_books(fixture->ledger);
}

static void an_outcome_told_twice_is_applied_once(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED));
    assert_false(outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED));
    assert_false(outcome_on(fixture->ledger, &admit, X402_EVENT_VOID));
    assert_state(fixture->ledger, admit.payment_id, X402_DELIVERY_DELIVERED,
                 X402_MONEY_DUE);
    assert_books(fixture->ledger);
}

static void an_admission_told_twice_is_the_same_admission(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit first = presentation(1, 0);
    struct x402_admit again = first;

    assert_int_equal(admit_on(fixture->ledger, &first), X402_ADMISSION_NEW);
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_NEW);
    assert_int_equal(again.payment_id, first.payment_id);
    assert_int_equal(row_of(fixture->ledger, first.payment_id).attempts, 1);
    assert_true(outcome_on(fixture->ledger, &first, X402_EVENT_DELIVERED));
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_REPEATED);
}

static void an_outcome_of_no_payment_is_not_applied(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    assert_false(outcome_on(fixture->ledger, &admit, X402_EVENT_VOID));
}

static void voids_of_a_batch_come_before_its_admissions(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit first = presentation(1, 0);
    struct x402_admit second = presentation(1, 1);
    struct x402_outcome outcome = {.event = X402_EVENT_VOID};

    assert_int_equal(admit_on(fixture->ledger, &first), X402_ADMISSION_NEW);
    outcome.payment_id = first.payment_id;
    memcpy(outcome.attempt16, first.attempt16, 16);
    assert_int_equal(x402_ledger_commit(fixture->ledger, "test", &outcome, 1, &second,
                                        1, NULL, NULL),
                     X402_OK);
    assert_true(outcome.applied);
    assert_int_equal(second.admission, X402_ADMISSION_NEW);
}

struct gate_calls {
    unsigned count;
    bool answer;
};

static bool gate(struct x402_admit *admit, void *data)
{
    struct gate_calls *calls = data;

    calls->count++;
    if (!calls->answer) {
        admit->retry_after_milliseconds = 1234;
    }
    return calls->answer;
}

static void a_closed_gate_writes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct gate_calls calls = {0, false};
    struct x402_admit admit = presentation(1, 0);
    struct x402_totals totals[1];
    size_t count = 9;

    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, &admit, 1, gate, &calls),
        X402_OK);
    assert_int_equal(admit.admission, X402_ADMISSION_LIMITED);
    assert_int_equal(admit.retry_after_milliseconds, 1234);
    assert_int_equal(admit.payment_id, 0);
    assert_int_equal(x402_ledger_totals(fixture->ledger, totals, 1, &count), X402_OK);
    assert_int_equal(count, 0);
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
}

static void the_gate_is_asked_only_for_what_would_be_new(void **state)
{
    struct fixture *fixture = *state;
    struct gate_calls calls = {0, true};
    struct x402_admit admits[3];

    (void)sell(fixture->ledger, 1);
    admits[0] = presentation(1, 1); /* repeated */
    admits[1] = presentation(2, 0); /* new */
    admits[2] = presentation(2, 1); /* in progress */
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, admits, 3, gate, &calls),
        X402_OK);
    assert_int_equal(calls.count, 1);
}

static void a_closed_gate_leaves_a_void_payment_void(void **state)
{
    struct fixture *fixture = *state;
    struct gate_calls calls = {0, false};
    struct x402_admit first = presentation(1, 0);
    struct x402_admit second = presentation(1, 1);

    assert_int_equal(admit_on(fixture->ledger, &first), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &first, X402_EVENT_VOID));
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, &second, 1, gate, &calls),
        X402_OK);
    assert_int_equal(second.admission, X402_ADMISSION_LIMITED);
    assert_state(fixture->ledger, first.payment_id, X402_DELIVERY_VOID,
                 X402_MONEY_RELEASED);
    assert_int_equal(row_of(fixture->ledger, first.payment_id).attempts, 1);
}

static void a_value_past_63_bits_is_refused_alone(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[2] = {presentation(1, 0), presentation(2, 0)};

    admits[0].verified.value = (uint64_t)INT64_MAX + 1;
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, admits, 2, NULL, NULL),
        X402_OK);
    assert_int_equal(admits[0].admission, X402_ADMISSION_UNAVAILABLE);
    assert_int_equal(admits[1].admission, X402_ADMISSION_NEW);
}

static void sums_past_63_bits_stay_exact(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < 3; i++) {
        struct x402_admit admit = presentation(i, 0);
        admit.verified.value = INT64_MAX;
        assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    }
    assert_true(totals_of(fixture->ledger).admitted.value ==
                (uint64_t)INT64_MAX * 3); /* modulo 2^64 */
    assert_books(fixture->ledger);
}

static void a_handle_for_reading_does_not_write(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);
    struct x402_ledger *reader;

    assert_int_equal(
        x402_ledger_open(&reader, fixture->path, X402_LEDGER_READ, fixture->message),
        X402_OK);
    assert_int_equal(x402_ledger_commit(reader, "test", NULL, 0, &admit, 1, NULL, NULL),
                     X402_ERR_LEDGER);
    assert_int_equal(admit.admission, X402_ADMISSION_UNAVAILABLE);
    assert_non_null(strstr(x402_ledger_message(reader), "it was opened for reading"));
    x402_ledger_close(reader);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(a_payment_never_seen_is_new),
        TEST(a_payment_being_served_is_in_progress_on_every_handle),
        TEST(a_delivered_payment_is_repeated_after_reopen),
        TEST(the_signature_is_not_part_of_the_key),
        TEST(payer_nonce_asset_and_chain_are_the_key),
        TEST(of_copies_in_one_batch_one_is_new),
        TEST(a_void_payment_presented_again_is_a_new_attempt_of_its_row),
        TEST(the_newest_presentation_counts),
        TEST(a_late_outcome_of_an_old_attempt_is_not_applied),
        TEST(an_outcome_told_twice_is_applied_once),
        TEST(an_admission_told_twice_is_the_same_admission),
        TEST(an_outcome_of_no_payment_is_not_applied),
        TEST(voids_of_a_batch_come_before_its_admissions),
        TEST(a_closed_gate_writes_nothing),
        TEST(the_gate_is_asked_only_for_what_would_be_new),
        TEST(a_closed_gate_leaves_a_void_payment_void),
        TEST(a_value_past_63_bits_is_refused_alone),
        TEST(sums_past_63_bits_stay_exact),
        TEST(a_handle_for_reading_does_not_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
