#include "fixture.h"

#include "ledger/sqlite.h"

#define COUNT 8

static void assert_journaled(struct fixture *fixture, int64_t batches)
{
    assert_int_equal(number_of(fixture, "SELECT count(*) FROM journal"), batches);
}

static void assert_rows(struct fixture *fixture, int64_t payments)
{
    assert_int_equal(number_of(fixture, "SELECT count(*) FROM payment"), payments);
}

/* Presents COUNT payments from number `first` on, with new attempts; `admits` is of
 * COUNT. */
static void present(struct x402_ledger *ledger, struct x402_admit *admits,
                    unsigned first)
{
    static unsigned attempt = 100;

    attempt++;
    for (unsigned i = 0; i < COUNT; i++) {
        admits[i] = presentation(first + i, attempt);
    }
    assert_int_equal(
        x402_ledger_commit(ledger, "test", NULL, 0, admits, COUNT, NULL, NULL),
        X402_OK);
}

static void assert_all(const struct x402_admit *admits, enum x402_admission admission)
{
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(admits[i].admission, admission);
    }
}

/* A ledger whose live set is built and whose token is known: what comes then is plain.
 */
static int ledger_warm(void **state)
{
    return ledger_make(state) == 0 &&
                   sell(((struct fixture *)*state)->ledger, 1000) != 0
               ? 0
               : -1;
}

/* COUNT new payments, which go to the journal. */
static void present_plain(struct fixture *fixture, struct x402_admit *admits,
                          unsigned first)
{
    const int64_t before = number_of(fixture, "SELECT count(*) FROM journal");

    present(fixture->ledger, admits, first);
    assert_all(admits, X402_ADMISSION_NEW);
    assert_journaled(fixture, before + 1);
}

static struct x402_outcome outcome_of(const struct x402_admit *admit,
                                      enum x402_event event)
{
    struct x402_outcome outcome = {.payment_id = admit->payment_id, .event = event};

    memcpy(outcome.attempt16, admit->attempt16, 16);
    return outcome;
}

/* Outcomes, and with them COUNT new payments from number 20 on: to the journal. */
static void tell_plain(struct fixture *fixture, struct x402_outcome *outcomes,
                       size_t count)
{
    struct x402_admit admits[COUNT];

    for (unsigned i = 0; i < COUNT; i++) {
        admits[i] = presentation(20 + i, 0);
    }
    assert_int_equal(x402_ledger_commit(fixture->ledger, "test", outcomes, count,
                                        admits, COUNT, NULL, NULL),
                     X402_OK);
    assert_all(admits, X402_ADMISSION_NEW);
}

static void a_batch_of_new_payments_is_one_row_of_the_journal(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];

    present_plain(fixture, admits, 0);
    present_plain(fixture, admits, 20);
    assert_journaled(fixture, 2);
    assert_rows(fixture, 1);
    assert_int_equal(admits[0].payment_id, 2 + COUNT);
}

static void who_may_write_reads_what_it_wrote(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];
    struct x402_look look;

    present_plain(fixture, admits, 0);
    look = (struct x402_look){.payment_id = admits[3].payment_id};
    assert_int_equal(x402_ledger_look(fixture->ledger, &look, 1), X402_OK);
    assert_true(look.found);
    assert_int_equal(look.state.delivery, X402_DELIVERY_PENDING);
    assert_journaled(fixture, 0);
    assert_rows(fixture, 1 + COUNT);
    assert_books(fixture->ledger);
}

/* As the page of a receipt does, a moment after the sale. */
static void who_only_reads_finds_a_payment_that_has_no_row_yet(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];
    struct x402_payment_row journaled, posted;
    struct x402_ledger *reader = NULL;

    assert_int_equal(
        x402_ledger_open(&reader, fixture->path, X402_LEDGER_READ, fixture->message),
        X402_OK);
    present_plain(fixture, admits, 0);
    assert_int_equal(x402_ledger_payment(reader, &journaled, admits[5].payment_id),
                     X402_OK);
    assert_int_equal(
        x402_ledger_payment(reader, &posted, admits[COUNT - 1].payment_id + 1),
        X402_ERR_NOT_FOUND);
    assert_journaled(fixture, 1);
    assert_int_equal(x402_ledger_tidy(fixture->ledger), X402_OK);
    assert_int_equal(x402_ledger_payment(reader, &posted, admits[5].payment_id),
                     X402_OK);
    assert_memory_equal(&journaled, &posted, sizeof(posted));
    x402_ledger_close(reader);
}

static void what_was_put_off_is_written_by_the_next_commit_when_asked_for(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];

    present_plain(fixture, admits, 0);
    x402_ledger_post(fixture->ledger);
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, NULL, 0, NULL, NULL),
        X402_OK);
    assert_journaled(fixture, 0);
    assert_rows(fixture, 1 + COUNT);
    assert_books(fixture->ledger);
}

static void a_commit_that_was_asked_to_puts_nothing_off_and_the_next_one_does(
    void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];

    present_plain(fixture, admits, 0);
    x402_ledger_post(fixture->ledger);
    present(fixture->ledger, admits, 20);
    assert_all(admits, X402_ADMISSION_NEW);
    assert_journaled(fixture, 0);
    assert_rows(fixture, 1 + 2 * COUNT);
    present_plain(fixture, admits, 40);
    assert_journaled(fixture, 1);
    assert_books(fixture->ledger);
}

static void whatever_else_is_written_posts_the_journal_first(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];

    present_plain(fixture, admits, 0);
    (void)sell(another_handle(fixture), 100);
    assert_journaled(fixture, 0);
    assert_rows(fixture, 2 + COUNT);
    assert_books(fixture->ledger);
}

static void a_payment_whose_end_is_journaled_gets_its_row_in_its_last_state(
    void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];
    struct x402_outcome outcomes[2];

    present_plain(fixture, admits, 0);
    outcomes[0] = outcome_of(&admits[0], X402_EVENT_DELIVERED);
    outcomes[1] = outcome_of(&admits[1], X402_EVENT_VOID);
    tell_plain(fixture, outcomes, 2);
    assert_true(outcomes[0].applied && outcomes[1].applied);
    assert_journaled(fixture, 2);
    assert_int_equal(x402_ledger_tidy(fixture->ledger), X402_OK);
    assert_int_equal(number_of(fixture,
                               "SELECT count(*) FROM payment WHERE delivery = 1 "
                               "AND money = 1 AND lease_id = 0"),
                     2); /* and the first that was sold */
    assert_int_equal(number_of(fixture,
                               "SELECT count(*) FROM payment WHERE delivery = 2 "
                               "AND money = 6 AND lease_id = 0"),
                     1);
    assert_int_equal(number_of(fixture,
                               "SELECT count(*) FROM payment WHERE delivery = 0 "
                               "AND money = 0 AND lease_id <> 0"),
                     2 * COUNT - 2);
    assert_books(fixture->ledger);
}

static void the_outcome_of_another_attempt_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];
    struct x402_outcome outcome;

    present_plain(fixture, admits, 0);
    outcome = outcome_of(&admits[0], X402_EVENT_DELIVERED);
    outcome.attempt16[3] ^= 1;
    tell_plain(fixture, &outcome, 1);
    assert_int_equal(x402_ledger_tidy(fixture->ledger), X402_OK);
    assert_int_equal(
        number_of(fixture, "SELECT count(*) FROM payment WHERE delivery = 0"),
        2 * COUNT);
    assert_true(outcome_on(fixture->ledger, &admits[0], X402_EVENT_DELIVERED));
    assert_books(fixture->ledger);
}

static void an_outcome_of_a_posted_payment_may_be_journaled(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];
    struct x402_outcome outcome;

    present_plain(fixture, admits, 0);
    assert_int_equal(x402_ledger_tidy(fixture->ledger), X402_OK);
    outcome = outcome_of(&admits[0], X402_EVENT_DELIVERED);
    tell_plain(fixture, &outcome, 1);
    assert_journaled(fixture, 1);
    assert_int_equal(x402_ledger_tidy(fixture->ledger), X402_OK);
    assert_int_equal(
        number_of(fixture, "SELECT count(*) FROM payment WHERE delivery = 1"), 2);
    assert_books(fixture->ledger);
}

static void a_copy_of_what_is_journaled_is_in_progress(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT], copies[COUNT];

    present_plain(fixture, admits, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        copies[i] = presentation(i, 77);
    }
    assert_int_equal(x402_ledger_commit(another_handle(fixture), "other", NULL, 0,
                                        copies, COUNT, NULL, NULL),
                     X402_OK);
    assert_all(copies, X402_ADMISSION_IN_PROGRESS);
    assert_rows(fixture, 1 + COUNT);
    assert_books(fixture->ledger);
}

static void of_two_copies_in_a_batch_one_is_served(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];

    for (unsigned i = 0; i < COUNT; i++) {
        admits[i] = presentation(i, 0);
    }
    admits[COUNT - 1] = presentation(2, 9);
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, admits, COUNT, NULL, NULL),
        X402_OK);
    assert_int_equal(admits[2].admission, X402_ADMISSION_NEW);
    assert_int_equal(admits[COUNT - 1].admission, X402_ADMISSION_IN_PROGRESS);
    assert_journaled(fixture, 0);
    assert_rows(fixture, COUNT);
    present(fixture->ledger, admits, 20);
    assert_all(admits, X402_ADMISSION_NEW);
    assert_books(fixture->ledger);
}

static void the_same_attempt_told_again_is_served_again(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT], again[COUNT];

    present_plain(fixture, admits, 0);
    memcpy(again, admits, sizeof(again));
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, again, COUNT, NULL, NULL),
        X402_OK);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(again[i].admission, X402_ADMISSION_NEW);
        assert_int_equal(again[i].payment_id, admits[i].payment_id);
    }
    assert_rows(fixture, 1 + COUNT);
}

/* Of 1000 units each, with 20,000 for a payer: 16 are within for sure, and 20 are. */
static void a_bound_is_passed_at_the_same_payment_as_without_a_journal(void **state)
{
    struct fixture *fixture = *state;
    const struct x402_credit credit = {false, 21000, 21000, UINT64_MAX};
    unsigned served = 0, settled_first = 0;

    for (unsigned batch = 0; batch < 4; batch++) {
        struct x402_admit admits[COUNT];
        for (unsigned i = 0; i < COUNT; i++) {
            admits[i] = presentation(batch * COUNT + i, 0);
            admits[i].credit = credit;
        }
        assert_int_equal(x402_ledger_commit(fixture->ledger, "test", NULL, 0, admits,
                                            COUNT, NULL, NULL),
                         X402_OK);
        assert_journaled(fixture, batch < 2 ? batch + 1 : 0);
        for (unsigned i = 0; i < COUNT; i++) {
            served += admits[i].admission == X402_ADMISSION_NEW;
            settled_first += admits[i].admission == X402_ADMISSION_SETTLING;
        }
    }
    assert_int_equal(served, 20); /* 1000 more are from before */
    assert_int_equal(settled_first, 12);
    assert_books(fixture->ledger);
}

static bool every_other(struct x402_admit *admit, void *data)
{
    (void)data;
    return admit->verified.nonce32[0] % 2 == 0;
}

static void what_the_gate_turns_away_is_not_journaled(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];

    for (unsigned i = 0; i < COUNT; i++) {
        admits[i] = presentation(i, 0);
    }
    assert_int_equal(x402_ledger_commit(fixture->ledger, "test", NULL, 0, admits, COUNT,
                                        every_other, NULL),
                     X402_OK);
    assert_journaled(fixture, 1);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(admits[i].admission,
                         i % 2 == 0 ? X402_ADMISSION_NEW : X402_ADMISSION_LIMITED);
    }
    assert_int_equal(x402_ledger_tidy(fixture->ledger), X402_OK);
    assert_rows(fixture, 1 + COUNT / 2);
    assert_books(fixture->ledger);
}

static void a_full_journal_is_posted_and_begun_again(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];

    for (unsigned i = 0; i < X402_SQLITE_JOURNAL_MAX / COUNT; i++) {
        present_plain(fixture, admits, i * COUNT);
    }
    assert_rows(fixture, 1);
    present(fixture->ledger, admits, X402_SQLITE_JOURNAL_MAX);
    assert_all(admits, X402_ADMISSION_NEW);
    assert_journaled(fixture, 1);
    assert_rows(fixture, 1 + X402_SQLITE_JOURNAL_MAX);
    assert_books(fixture->ledger);
}

static int refuse(void *data)
{
    (void)data;
    return 1;
}

static void of_a_commit_that_fails_nothing_is_journaled(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];
    sqlite3 *db;

    present_plain(fixture, admits, 0);
    for (unsigned i = 0; i < COUNT; i++) {
        admits[i] = presentation(20 + i, 0);
    }
    db = x402_sqlite_of(fixture->ledger)->db;
    (void)sqlite3_commit_hook(db, refuse, NULL);
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, admits, COUNT, NULL, NULL),
        X402_ERR_LEDGER);
    assert_all(admits, X402_ADMISSION_UNAVAILABLE);
    (void)sqlite3_commit_hook(db, NULL, NULL);
    assert_journaled(fixture, 1);
    present(another_handle(fixture), admits, 20);
    assert_all(admits, X402_ADMISSION_NEW);
    assert_rows(fixture, 1 + 2 * COUNT);
    assert_books(fixture->ledger);
}

static void who_dies_with_a_batch_journaled_served_it_once(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct x402_ledger *ledger = handle_open(fixture);
        for (unsigned i = 0; i < COUNT; i++) {
            admits[i] = presentation(i, 0);
        }
        if (x402_ledger_commit(ledger, "test", NULL, 0, admits, COUNT, NULL, NULL) ==
            X402_OK) {
            (void)raise(SIGKILL);
        }
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_journaled(fixture, 1);
    present(fixture->ledger, admits, 0);
    assert_all(admits, X402_ADMISSION_IN_PROGRESS);
    clock_forward(fixture, X402_LEASE_SECONDS + 1);
    assert_int_equal(x402_ledger_tidy(fixture->ledger), X402_OK);
    present(fixture->ledger, admits, 0);
    assert_all(admits, X402_ADMISSION_ABANDONED);
    assert_books(fixture->ledger);
}

static void a_set_built_anew_knows_what_was_journaled(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];
    char name[160];

    present_plain(fixture, admits, 0);
    snprintf(name, sizeof(name), "%s-live", fixture->path);
    assert_int_equal(unlink(name), 0);
    reopen(fixture);
    present(fixture->ledger, admits, 0);
    assert_all(admits, X402_ADMISSION_IN_PROGRESS);
    assert_rows(fixture, 1 + COUNT);
    assert_books(fixture->ledger);
}

static void a_damaged_journal_is_said_and_admits_nobody(void **state)
{
    static const char *const damages[] = {
        "UPDATE journal SET body = substr(body, 1, length(body) - 1)",
        "UPDATE journal SET body = body || x'00'",
        "UPDATE journal SET body = x''",
        "UPDATE journal SET body = zeroblob(24)",
        "UPDATE journal SET count = 100000",
        "UPDATE journal SET count = 1",
        "UPDATE journal SET id = id + 1",
    };
    struct fixture *fixture = *state;
    struct x402_admit admits[COUNT];

    present_plain(fixture, admits, 0);
    tamper(fixture, "CREATE TABLE kept AS SELECT * FROM journal");
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct x402_admit admit = presentation(500, 0);
        tamper(fixture, damages[i]);
        assert_int_equal(x402_ledger_books(fixture->ledger, fixture->message),
                         X402_ERR_LEDGER);
        assert_non_null(strstr(fixture->message, "damaged"));
        assert_int_equal(
            x402_ledger_commit(fixture->ledger, "test", NULL, 0, &admit, 1, NULL, NULL),
            X402_ERR_LEDGER);
        assert_non_null(strstr(x402_ledger_message(fixture->ledger), "damaged"));
        tamper(fixture, "DELETE FROM journal; INSERT INTO journal SELECT * FROM kept");
    }
    (void)sell(fixture->ledger, 500);
    assert_rows(fixture, 2 + COUNT);
    assert_books(fixture->ledger);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_warm, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(a_batch_of_new_payments_is_one_row_of_the_journal),
        TEST(who_may_write_reads_what_it_wrote),
        TEST(who_only_reads_finds_a_payment_that_has_no_row_yet),
        TEST(what_was_put_off_is_written_by_the_next_commit_when_asked_for),
        TEST(a_commit_that_was_asked_to_puts_nothing_off_and_the_next_one_does),
        TEST(whatever_else_is_written_posts_the_journal_first),
        TEST(a_payment_whose_end_is_journaled_gets_its_row_in_its_last_state),
        TEST(the_outcome_of_another_attempt_changes_nothing),
        TEST(an_outcome_of_a_posted_payment_may_be_journaled),
        TEST(a_copy_of_what_is_journaled_is_in_progress),
        TEST(of_two_copies_in_a_batch_one_is_served),
        TEST(the_same_attempt_told_again_is_served_again),
        TEST(a_bound_is_passed_at_the_same_payment_as_without_a_journal),
        TEST(what_the_gate_turns_away_is_not_journaled),
        TEST(a_full_journal_is_posted_and_begun_again),
        TEST(of_a_commit_that_fails_nothing_is_journaled),
        TEST(who_dies_with_a_batch_journaled_served_it_once),
        TEST(a_set_built_anew_knows_what_was_journaled),
        TEST(a_damaged_journal_is_said_and_admits_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
