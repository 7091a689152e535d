/* Settling first: a payment is collected, then served. */
#include "fixture.h"

static const uint8_t nobody16[16];

static struct x402_admit first(unsigned number, unsigned attempt)
{
    struct x402_admit admit = presentation(number, attempt);

    admit.credit.settle_first = true;
    return admit;
}

static struct x402_admit late(unsigned number, unsigned attempt)
{
    struct x402_admit admit = first(number, attempt);

    admit.late = true;
    return admit;
}

/* Presents payment `number` to be settled first, and the chain pays; its id. */
static int64_t settled(struct x402_ledger *ledger, unsigned number)
{
    struct x402_admit admit = first(number, 0);

    assert_int_equal(admit_on(ledger, &admit), X402_ADMISSION_SETTLING);
    assert_true(chain_on(ledger, admit.payment_id, X402_EVENT_SETTLED));
    return admit.payment_id;
}

/* ----------------------------------------------------------------------- presenting */

static void a_payment_settled_first_is_due_and_not_served(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = first(1, 0);
    struct x402_payment_row row;

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    assert_true(admit.urgent);
    assert_false(admit.settled);
    row = row_of(fixture->ledger, admit.payment_id);
    assert_int_equal(row.settlement.state.delivery, X402_DELIVERY_OWED);
    assert_int_equal(row.settlement.state.money, X402_MONEY_DUE);
    assert_int_equal(row.attempts, 0);
    assert_books(fixture->ledger);
}

static void no_outcome_applies_to_what_nobody_serves(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = first(1, 0);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    assert_false(outcome_on(fixture->ledger, &admit, X402_EVENT_VOID));
    assert_false(outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED));
    memcpy(admit.attempt16, nobody16, 16);
    assert_false(outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED));
    assert_state(fixture->ledger, admit.payment_id, X402_DELIVERY_OWED, X402_MONEY_DUE);
}

static void presenting_it_again_waits_on_the_same_payment(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = first(1, 0);
    struct x402_admit two = first(1, 1);
    struct x402_admit credited = presentation(1, 2);

    assert_int_equal(admit_on(fixture->ledger, &one), X402_ADMISSION_SETTLING);
    assert_int_equal(admit_on(fixture->ledger, &two), X402_ADMISSION_SETTLING);
    assert_int_equal(two.payment_id, one.payment_id);
    assert_false(two.urgent);
    assert_int_equal(admit_on(fixture->ledger, &credited), X402_ADMISSION_SETTLING);
    assert_int_equal(totals_of(fixture->ledger).admitted.count, 1);
}

static void of_copies_in_one_batch_one_is_urgent(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit copies[3] = {first(1, 0), first(1, 1), first(1, 2)};

    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, copies, 3, NULL, NULL),
        X402_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(copies[i].admission, X402_ADMISSION_SETTLING);
        assert_int_equal(copies[i].urgent, i == 0);
    }
}

static void it_waits_while_it_is_submitted(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit one = first(1, 0);
    struct x402_admit two = first(1, 1);
    static const uint8_t raw[] = {2};
    struct x402_outbox outbox = {.chain_id = CHAIN, .raw = raw, .raw_size = 1};

    assert_int_equal(admit_on(fixture->ledger, &one), X402_ADMISSION_SETTLING);
    assert_int_equal(x402_ledger_submit(fixture->ledger, &outbox, &one.payment_id, 1),
                     X402_OK);
    assert_int_equal(admit_on(fixture->ledger, &two), X402_ADMISSION_SETTLING);
    assert_false(two.urgent);
    assert_books(fixture->ledger);
}

static void once_settled_it_is_served_to_one(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = settled(fixture->ledger, 1);
    struct x402_admit two[2] = {first(1, 1), first(1, 2)};

    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, two, 2, NULL, NULL),
        X402_OK);
    assert_int_equal(two[0].admission, X402_ADMISSION_NEW);
    assert_true(two[0].settled);
    assert_int_equal(two[0].payment_id, id);
    assert_int_equal(two[1].admission, X402_ADMISSION_IN_PROGRESS);
    assert_state(fixture->ledger, id, X402_DELIVERY_PENDING, X402_MONEY_SETTLED);
    assert_int_equal(row_of(fixture->ledger, id).attempts, 1);
    assert_books(fixture->ledger);
}

static void once_served_it_is_repeated(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = settled(fixture->ledger, 1);
    struct x402_admit serving = first(1, 1);
    struct x402_admit again = first(1, 2);

    assert_int_equal(admit_on(fixture->ledger, &serving), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &serving, X402_EVENT_DELIVERED));
    assert_state(fixture->ledger, id, X402_DELIVERY_DELIVERED, X402_MONEY_SETTLED);
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_REPEATED);
    assert_books(fixture->ledger);
}

static void a_call_that_fails_after_settlement_is_owed_and_served_again(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = settled(fixture->ledger, 1);

    for (unsigned attempt = 1; attempt < 4; attempt++) {
        struct x402_admit serving = first(1, attempt);
        assert_int_equal(admit_on(fixture->ledger, &serving), X402_ADMISSION_NEW);
        assert_true(outcome_on(fixture->ledger, &serving, X402_EVENT_VOID));
        assert_state(fixture->ledger, id, X402_DELIVERY_OWED, X402_MONEY_SETTLED);
    }
    assert_true(chain_on(fixture->ledger, id, X402_EVENT_FINAL));
    assert_state(fixture->ledger, id, X402_DELIVERY_OWED, X402_MONEY_FINAL);
    struct x402_admit serving = first(1, 9);
    assert_int_equal(admit_on(fixture->ledger, &serving), X402_ADMISSION_NEW);
    assert_books(fixture->ledger);
}

static void an_admission_of_what_is_owed_told_twice_is_the_same_admission(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit serving = first(1, 1);
    struct x402_admit told_again = serving;

    (void)settled(fixture->ledger, 1);
    assert_int_equal(admit_on(fixture->ledger, &serving), X402_ADMISSION_NEW);
    assert_int_equal(admit_on(fixture->ledger, &told_again), X402_ADMISSION_NEW);
    assert_true(told_again.settled);
    assert_int_equal(told_again.payment_id, serving.payment_id);
}

static void a_payment_on_credit_is_not_said_to_be_settled(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    admit.settled = admit.urgent = true;
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    assert_false(admit.settled);
    assert_false(admit.urgent);
}

/* -------------------------------------------------------------------------- failing */

static void what_cannot_be_collected_was_not_served(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = first(1, 0);
    struct x402_payment_row row;

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    assert_true(chain_on(fixture->ledger, admit.payment_id, X402_EVENT_FAILED));
    row = row_of(fixture->ledger, admit.payment_id);
    assert_int_equal(row.settlement.state.delivery, X402_DELIVERY_VOID);
    assert_int_equal(row.settlement.state.money, X402_MONEY_FAILED);
    assert_string_equal(row.reason, "funds: balance too low");
    assert_books(fixture->ledger);
}

static void a_failed_payment_presented_again_is_settled_first_again(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = first(1, 0);
    struct x402_admit again = presentation(1, 1); /* also where credit is given */
    struct x402_payment_row row;

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    assert_true(chain_on(fixture->ledger, admit.payment_id, X402_EVENT_FAILED));
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_SETTLING);
    assert_true(again.urgent);
    assert_int_equal(again.payment_id, admit.payment_id);
    row = row_of(fixture->ledger, admit.payment_id);
    assert_int_equal(row.settlement.state.delivery, X402_DELIVERY_OWED);
    assert_string_equal(row.reason, "");
    assert_books(fixture->ledger);
    assert_true(chain_on(fixture->ledger, admit.payment_id, X402_EVENT_FAILED));
    assert_books(fixture->ledger);
}

/* Failed in one transaction, settled in the next: both are done with, each once. */
static void a_failed_payment_that_comes_back_leaves_no_transaction_open(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = first(1, 0);
    struct x402_admit again = first(1, 1);
    int64_t other = sell(fixture->ledger, 2);
    static const uint8_t raw[] = {2};
    struct x402_outbox one = {.chain_id = CHAIN, .raw = raw, .raw_size = 1};
    struct x402_outbox two = {.chain_id = CHAIN, .nonce = 1, .raw = raw, .raw_size = 1};
    struct x402_outbox found;

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    int64_t both[2] = {admit.payment_id, other};
    assert_int_equal(x402_ledger_submit(fixture->ledger, &one, both, 2), X402_OK);
    assert_true(chain_on(fixture->ledger, admit.payment_id, X402_EVENT_FAILED));
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_SETTLING);
    assert_int_equal(
        row_of(fixture->ledger, admit.payment_id).settlement.transaction_id, 0);
    assert_int_equal(x402_ledger_submit(fixture->ledger, &two, both, 1), X402_OK);
    assert_books(fixture->ledger);

    assert_true(chain_on(fixture->ledger, admit.payment_id, X402_EVENT_SETTLED));
    assert_true(chain_on(fixture->ledger, admit.payment_id, X402_EVENT_FINAL));
    assert_int_equal(
        x402_ledger_outbox_next(fixture->ledger, &found, CHAIN, one.signer20, 0),
        X402_OK);
    assert_int_equal(found.transaction_id, one.transaction_id); /* for the other */
    assert_int_equal(x402_ledger_outbox_next(fixture->ledger, &found, CHAIN,
                                             one.signer20, one.transaction_id),
                     X402_ERR_NOT_FOUND);
    assert_true(chain_on(fixture->ledger, other, X402_EVENT_SETTLED));
    assert_true(chain_on(fixture->ledger, other, X402_EVENT_FINAL));
    assert_int_equal(
        x402_ledger_outbox_next(fixture->ledger, &found, CHAIN, one.signer20, 0),
        X402_ERR_NOT_FOUND);
    assert_books(fixture->ledger);
}

static void a_void_payment_may_be_settled_first_the_next_time(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit served = presentation(1, 0);
    struct x402_admit again = first(1, 1);

    again.verified.value = 5000;
    assert_int_equal(admit_on(fixture->ledger, &served), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &served, X402_EVENT_VOID));
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_SETTLING);
    assert_state(fixture->ledger, again.payment_id, X402_DELIVERY_OWED, X402_MONEY_DUE);
    assert_int_equal(row_of(fixture->ledger, again.payment_id).settlement.value, 5000);
    assert_false(outcome_on(fixture->ledger, &served, X402_EVENT_DELIVERED));
    assert_books(fixture->ledger);
}

/* ---------------------------------------------------------------- reorganizations */

static void a_reorganization_makes_what_is_owed_wait_again(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = settled(fixture->ledger, 1);
    struct x402_admit admit = first(1, 1);

    assert_true(chain_on(fixture->ledger, id, X402_EVENT_UNSETTLED));
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    assert_false(admit.urgent);
    assert_state(fixture->ledger, id, X402_DELIVERY_OWED, X402_MONEY_DUE);
    assert_books(fixture->ledger);
}

static void a_reorganization_under_a_call_collects_it_again(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = settled(fixture->ledger, 1);
    struct x402_admit serving = first(1, 1);
    struct x402_admit other = first(1, 2);

    assert_int_equal(admit_on(fixture->ledger, &serving), X402_ADMISSION_NEW);
    assert_true(chain_on(fixture->ledger, id, X402_EVENT_UNSETTLED));
    assert_int_equal(admit_on(fixture->ledger, &other), X402_ADMISSION_IN_PROGRESS);
    assert_true(outcome_on(fixture->ledger, &serving, X402_EVENT_DELIVERED));
    assert_state(fixture->ledger, id, X402_DELIVERY_DELIVERED, X402_MONEY_DUE);
    assert_true(chain_on(fixture->ledger, id, X402_EVENT_SETTLED));
    assert_books(fixture->ledger);
}

static void what_fails_under_a_call_is_void_when_the_call_fails_too(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = settled(fixture->ledger, 1);
    struct x402_admit serving = first(1, 1);
    struct x402_admit again = first(1, 2);

    assert_int_equal(admit_on(fixture->ledger, &serving), X402_ADMISSION_NEW);
    assert_true(chain_on(fixture->ledger, id, X402_EVENT_UNSETTLED));
    assert_true(chain_on(fixture->ledger, id, X402_EVENT_FAILED));
    assert_state(fixture->ledger, id, X402_DELIVERY_PENDING, X402_MONEY_FAILED);
    assert_true(outcome_on(fixture->ledger, &serving, X402_EVENT_VOID));
    assert_state(fixture->ledger, id, X402_DELIVERY_VOID, X402_MONEY_FAILED);
    assert_books(fixture->ledger);
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_SETTLING);
    assert_books(fixture->ledger);
}

/* ------------------------------------------------------------------------ workers */

static void a_lost_lease_leaves_it_owed_and_the_next_serves_it(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    int64_t id = settled(fixture->ledger, 1);
    struct x402_admit lost = first(1, 1);
    struct x402_admit next = first(1, 2);

    assert_int_equal(admit_on(fixture->ledger, &lost), X402_ADMISSION_NEW);
    clock_forward(fixture, X402_LEASE_SECONDS);
    assert_int_equal(admit_on(other, &next), X402_ADMISSION_NEW);
    assert_false(outcome_on(fixture->ledger, &lost, X402_EVENT_DELIVERED));
    assert_true(outcome_on(other, &next, X402_EVENT_DELIVERED));
    assert_state(other, id, X402_DELIVERY_DELIVERED, X402_MONEY_SETTLED);
    assert_books(other);
}

static void a_worker_that_was_cut_off_delivers_what_is_owed(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    int64_t id = settled(fixture->ledger, 1);
    struct x402_admit lost = first(1, 1);
    struct x402_admit next = first(1, 2);

    assert_int_equal(admit_on(fixture->ledger, &lost), X402_ADMISSION_NEW);
    clock_forward(fixture, X402_LEASE_SECONDS);
    assert_int_equal(x402_ledger_lease_renew(other, "other"), X402_OK);
    assert_state(other, id, X402_DELIVERY_OWED, X402_MONEY_SETTLED);
    assert_true(outcome_on(fixture->ledger, &lost, X402_EVENT_DELIVERED));
    assert_int_equal(admit_on(other, &next), X402_ADMISSION_REPEATED);
    assert_books(other);
}

static void what_waits_belongs_to_no_worker(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    struct x402_admit admit = first(1, 0);

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    clock_forward(fixture, X402_LEASE_SECONDS);
    assert_int_equal(x402_ledger_lease_renew(other, "other"), X402_OK);
    assert_state(other, admit.payment_id, X402_DELIVERY_OWED, X402_MONEY_DUE);
}

/* --------------------------------------------------------------------- what it buys */

static void what_is_owed_does_not_buy_something_dearer(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit waiting = first(2, 0);
    struct x402_admit dearer = first(1, 1);
    struct x402_admit elsewhere = first(1, 2);
    struct x402_admit while_waiting = first(2, 1);

    (void)settled(fixture->ledger, 1);
    dearer.verified.value++;
    elsewhere.verified.to20[0] ^= 1;
    assert_int_equal(admit_on(fixture->ledger, &dearer), X402_ADMISSION_REPEATED);
    assert_int_equal(admit_on(fixture->ledger, &elsewhere), X402_ADMISSION_REPEATED);
    assert_int_equal(admit_on(fixture->ledger, &waiting), X402_ADMISSION_SETTLING);
    while_waiting.verified.value++;
    assert_int_equal(admit_on(fixture->ledger, &while_waiting),
                     X402_ADMISSION_REPEATED);
}

static void serving_what_is_owed_keeps_the_authorization_that_was_charged(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = settled(fixture->ledger, 1);
    struct x402_payment_row before = row_of(fixture->ledger, id);
    struct x402_admit serving = first(1, 1);
    struct x402_payment_row after;

    serving.verified.signature65[0] ^= 1;
    serving.verified.valid_before_seconds += 1000;
    snprintf(serving.route, sizeof(serving.route), "/elsewhere");
    assert_int_equal(admit_on(fixture->ledger, &serving), X402_ADMISSION_NEW);
    after = row_of(fixture->ledger, id);
    assert_memory_equal(after.settlement.signature65, before.settlement.signature65,
                        65);
    assert_int_equal(after.settlement.valid_before_seconds,
                     before.settlement.valid_before_seconds);
    assert_string_equal(after.settlement.route, "/weather");
}

/* ----------------------------------------------------------------------------- late */

static void a_late_payment_never_seen_is_not_owed(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = late(1, 0);
    struct x402_totals totals[1];
    size_t count = 9;

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NOT_OWED);
    assert_int_equal(x402_ledger_totals(fixture->ledger, totals, 1, &count), X402_OK);
    assert_int_equal(count, 0);
}

static void a_late_payment_that_is_owed_is_served(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit waiting = first(1, 0);
    struct x402_admit looking = late(1, 1);
    struct x402_admit serving = late(1, 2);

    assert_int_equal(admit_on(fixture->ledger, &waiting), X402_ADMISSION_SETTLING);
    assert_int_equal(admit_on(fixture->ledger, &looking), X402_ADMISSION_SETTLING);
    assert_int_equal(looking.payment_id, waiting.payment_id);
    assert_true(chain_on(fixture->ledger, waiting.payment_id, X402_EVENT_SETTLED));
    assert_int_equal(admit_on(fixture->ledger, &serving), X402_ADMISSION_NEW);
    assert_true(serving.settled);
}

static void what_is_owed_is_served_for_a_day_after_it_expired(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit in_time = late(1, 1);
    struct x402_admit too_late = late(1, 2);
    struct x402_admit again = first(1, 3);

    (void)settled(fixture->ledger, 1);
    clock_forward(fixture, 300 + X402_OWED_SECONDS - 10);
    assert_int_equal(admit_on(fixture->ledger, &in_time), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &in_time, X402_EVENT_VOID));
    clock_forward(fixture, 300 + X402_OWED_SECONDS + 10);
    assert_int_equal(admit_on(fixture->ledger, &too_late), X402_ADMISSION_NOT_OWED);
    /* Nor for another authorization with the same nonce. */
    again.verified.valid_before_seconds += 300 + X402_OWED_SECONDS;
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_REPEATED);
}

static void a_late_payment_that_is_not_owed_is_told_so(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit voided = presentation(2, 0);
    struct x402_admit failed = first(3, 0);
    struct x402_admit dearer = late(4, 1);
    struct x402_admit lates[3] = {late(1, 1), late(2, 1), late(3, 1)};

    (void)sell(fixture->ledger, 1);
    assert_int_equal(admit_on(fixture->ledger, &voided), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &voided, X402_EVENT_VOID));
    assert_int_equal(admit_on(fixture->ledger, &failed), X402_ADMISSION_SETTLING);
    assert_true(chain_on(fixture->ledger, failed.payment_id, X402_EVENT_FAILED));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(admit_on(fixture->ledger, &lates[i]), X402_ADMISSION_NOT_OWED);
    }
    (void)settled(fixture->ledger, 4);
    dearer.verified.value++;
    assert_int_equal(admit_on(fixture->ledger, &dearer), X402_ADMISSION_NOT_OWED);
    assert_state(fixture->ledger, voided.payment_id, X402_DELIVERY_VOID,
                 X402_MONEY_RELEASED);
    assert_state(fixture->ledger, failed.payment_id, X402_DELIVERY_VOID,
                 X402_MONEY_FAILED);
}

static void a_late_payment_that_is_being_served_is_in_progress(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit serving = first(1, 1);
    struct x402_admit other = late(1, 2);

    (void)settled(fixture->ledger, 1);
    assert_int_equal(admit_on(fixture->ledger, &serving), X402_ADMISSION_NEW);
    assert_int_equal(admit_on(fixture->ledger, &other), X402_ADMISSION_IN_PROGRESS);
}

static void a_late_payment_told_that_it_is_abandoned_is_never_charged(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    struct x402_admit lost = presentation(1, 0);
    struct x402_admit asking = late(1, 1);

    assert_int_equal(admit_on(fixture->ledger, &lost), X402_ADMISSION_NEW);
    clock_forward(fixture, X402_LEASE_SECONDS);
    assert_int_equal(admit_on(other, &asking), X402_ADMISSION_ABANDONED);
    assert_false(outcome_on(fixture->ledger, &lost, X402_EVENT_DELIVERED));
}

/* ------------------------------------------------------------------------- the gate */

static bool gate(struct x402_admit *admit, void *data)
{
    unsigned *calls = data;

    (void)admit;
    return ++*calls < 100;
}

static unsigned gate_calls(struct x402_ledger *ledger, struct x402_admit admit,
                           enum x402_admission expected)
{
    unsigned calls = 0;

    assert_int_equal(
        x402_ledger_commit(ledger, "test", NULL, 0, &admit, 1, gate, &calls), X402_OK);
    assert_int_equal(admit.admission, expected);
    return calls;
}

static void what_is_settled_first_is_counted_once_until_it_was_served(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *ledger = fixture->ledger;
    struct x402_admit serving = first(1, 3);

    assert_int_equal(gate_calls(ledger, first(1, 0), X402_ADMISSION_SETTLING), 1);
    assert_int_equal(gate_calls(ledger, first(1, 1), X402_ADMISSION_SETTLING), 0);
    assert_true(chain_on(ledger, 1, X402_EVENT_SETTLED));
    assert_int_equal(gate_calls(ledger, serving, X402_ADMISSION_NEW), 0);
    serving.payment_id = 1;
    assert_true(outcome_on(ledger, &serving, X402_EVENT_VOID));
    assert_int_equal(gate_calls(ledger, first(1, 4), X402_ADMISSION_NEW), 1);
}

static void each_try_of_what_failed_is_counted(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(
            gate_calls(fixture->ledger, first(1, i), X402_ADMISSION_SETTLING), 1);
        assert_true(chain_on(fixture->ledger, 1, X402_EVENT_FAILED));
    }
}

static void a_closed_gate_leaves_what_would_be_settled_first_alone(void **state)
{
    struct fixture *fixture = *state;
    unsigned calls = 1000;
    struct x402_admit admit = first(1, 0);
    struct x402_totals totals[1];
    size_t count = 9;

    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, &admit, 1, gate, &calls),
        X402_OK);
    assert_int_equal(admit.admission, X402_ADMISSION_LIMITED);
    assert_int_equal(admit.payment_id, 0);
    assert_false(admit.urgent);
    assert_int_equal(x402_ledger_totals(fixture->ledger, totals, 1, &count), X402_OK);
    assert_int_equal(count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(a_payment_settled_first_is_due_and_not_served),
        TEST(no_outcome_applies_to_what_nobody_serves),
        TEST(presenting_it_again_waits_on_the_same_payment),
        TEST(of_copies_in_one_batch_one_is_urgent),
        TEST(it_waits_while_it_is_submitted),
        TEST(once_settled_it_is_served_to_one),
        TEST(once_served_it_is_repeated),
        TEST(a_call_that_fails_after_settlement_is_owed_and_served_again),
        TEST(an_admission_of_what_is_owed_told_twice_is_the_same_admission),
        TEST(a_payment_on_credit_is_not_said_to_be_settled),
        TEST(what_cannot_be_collected_was_not_served),
        TEST(a_failed_payment_presented_again_is_settled_first_again),
        TEST(a_failed_payment_that_comes_back_leaves_no_transaction_open),
        TEST(a_void_payment_may_be_settled_first_the_next_time),
        TEST(a_reorganization_makes_what_is_owed_wait_again),
        TEST(a_reorganization_under_a_call_collects_it_again),
        TEST(what_fails_under_a_call_is_void_when_the_call_fails_too),
        TEST(a_lost_lease_leaves_it_owed_and_the_next_serves_it),
        TEST(a_worker_that_was_cut_off_delivers_what_is_owed),
        TEST(what_waits_belongs_to_no_worker),
        TEST(what_is_owed_does_not_buy_something_dearer),
        TEST(serving_what_is_owed_keeps_the_authorization_that_was_charged),
        TEST(a_late_payment_never_seen_is_not_owed),
        TEST(a_late_payment_that_is_owed_is_served),
        TEST(what_is_owed_is_served_for_a_day_after_it_expired),
        TEST(a_late_payment_that_is_not_owed_is_told_so),
        TEST(a_late_payment_that_is_being_served_is_in_progress),
        TEST(a_late_payment_told_that_it_is_abandoned_is_never_charged),
        TEST(what_is_settled_first_is_counted_once_until_it_was_served),
        TEST(each_try_of_what_failed_is_counted),
        TEST(a_closed_gate_leaves_what_would_be_settled_first_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
