/*
 * A payment is served once, whatever becomes of the live set's file, of the ledger's,
 * of the clock, and of who writes them.
 */
#include "fixture.h"

#include "ledger/sqlite.h"

#define COUNT 40

static void admit_new(struct x402_ledger *ledger, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        struct x402_admit admit = presentation(i, 0);
        assert_int_equal(admit_on(ledger, &admit), X402_ADMISSION_NEW);
    }
}

/* All of them are known, whoever is asked. */
static void assert_known(struct x402_ledger *ledger, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        struct x402_admit admit = presentation(i, 9);
        assert_int_equal(admit_on(ledger, &admit), X402_ADMISSION_IN_PROGRESS);
    }
}

static void name_of(char name[200], const struct fixture *fixture, const char *suffix)
{
    snprintf(name, 200, "%s%s", fixture->path, suffix);
}

static void copy(const char *from, const char *to)
{
    char command[500];

    snprintf(command, sizeof(command), "cp '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

/* The ledger as it stands, in one file. */
static void backup(struct fixture *fixture, const char *to)
{
    char sql[300];

    snprintf(sql, sizeof(sql), "VACUUM INTO '%s'", to);
    tamper(fixture, sql);
}

static void restore(struct fixture *fixture, const char *from)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char name[200];

    for (size_t i = 0; i < 3; i++) {
        name_of(name, fixture, suffixes[i]);
        (void)unlink(name);
    }
    copy(from, fixture->path);
}

static int never(void *data)
{
    (void)data;
    return 1;
}

static sqlite3 *db_of(struct x402_ledger *ledger)
{
    return x402_sqlite_of(ledger)->db;
}

/* A commit that SQLite turns into a rollback, at its last moment. */
static void fail_to_admit(struct x402_ledger *ledger, unsigned first, unsigned count)
{
    struct x402_admit admits[COUNT];

    for (unsigned i = 0; i < count; i++) {
        admits[i] = presentation(first + i, 5);
    }
    (void)sqlite3_commit_hook(db_of(ledger), never, NULL);
    assert_int_equal(
        x402_ledger_commit(ledger, "test", NULL, 0, admits, count, NULL, NULL),
        X402_ERR_LEDGER);
    if (db_of(ledger) != NULL) {
        (void)sqlite3_commit_hook(db_of(ledger), NULL, NULL);
    }
}

static void what_was_rolled_back_can_be_bought_by_all(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);

    admit_new(fixture->ledger, 0, 3);
    fail_to_admit(fixture->ledger, 3, 10);
    admit_new(other, 20, 5); /* these get the ids of those */
    admit_new(fixture->ledger, 3, 10);
    assert_known(other, 0, 13);
    assert_known(other, 20, 5);
    assert_books(other);
}

static int die(void *data)
{
    (void)data;
    (void)raise(SIGKILL);
    return 1;
}

/* Puts ten payments and dies before, or after, its commit. */
static void die_admitting(struct fixture *fixture, unsigned first, bool committed)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct x402_ledger *ledger = handle_open(fixture);
        struct x402_admit admits[10], warm = presentation(first + 100, 0);
        (void)admit_on(ledger, &warm);
        for (unsigned i = 0; i < 10; i++) {
            admits[i] = presentation(first + i, 5);
        }
        (void)sqlite3_commit_hook(db_of(ledger), committed ? NULL : die, NULL);
        if (x402_ledger_commit(ledger, "test", NULL, 0, admits, 10, NULL, NULL) ==
            X402_OK) {
            (void)raise(SIGKILL);
        }
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

static void who_dies_before_the_commit_served_nobody(void **state)
{
    struct fixture *fixture = *state;

    admit_new(fixture->ledger, 0, 3);
    die_admitting(fixture, 3, false);
    assert_known(fixture->ledger, 103, 1);
    admit_new(fixture->ledger, 3, 10);
    assert_known(fixture->ledger, 0, 13);
    assert_books(fixture->ledger);
}

/* It did not live to say so: `touched` is as it was before the commit. */
static void who_dies_after_the_commit_served_for_good(void **state)
{
    struct fixture *fixture = *state;
    char live[200];
    uint64_t touched[11] = {10};
    int fd;

    admit_new(fixture->ledger, 0, 3);
    die_admitting(fixture, 3, true);
    assert_known(fixture->ledger, 3, 10);
    /* As if it had died between the commit and what it notes after it. */
    name_of(live, fixture, "-live");
    fd = open(live, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, touched, 8, 72), 8);
    assert_int_equal(close(fd), 0);
    assert_known(fixture->ledger, 0, 13);
    admit_new(fixture->ledger, 13, 5);
    assert_known(fixture->ledger, 0, 18);
    assert_books(fixture->ledger);
}

static void a_deleted_set_is_built_anew(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    char live[200];

    name_of(live, fixture, "-live");
    for (unsigned i = 0; i < 5; i++) {
        /* `other` builds a new one, while the first still has the old one open. */
        admit_new(fixture->ledger, 2 * i, 1);
        assert_int_equal(unlink(live), 0);
        reopen(fixture);
        assert_known(fixture->ledger, 2 * i, 1);
        admit_new(fixture->ledger, 2 * i + 1, 1);
        assert_known(other, 2 * i, 2);
    }
    assert_known(other, 0, 10);
    assert_books(other);
}

static void two_with_different_files_find_each_other(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    char live[200];

    name_of(live, fixture, "-live");
    admit_new(fixture->ledger, 0, 5);
    admit_new(other, 5, 5);
    assert_int_equal(unlink(live), 0); /* both go on with what they have open */
    admit_new(fixture->ledger, 10, 5);
    assert_known(other, 0, 15);
    reopen(fixture); /* this one must make its own */
    assert_known(fixture->ledger, 0, 15);
    admit_new(fixture->ledger, 15, 5);
    assert_known(other, 0, 20);
    admit_new(other, 20, 5);
    assert_known(fixture->ledger, 0, 25);
    assert_books(other);
}

static void a_set_cut_short_is_built_anew(void **state)
{
    static const off_t sizes[] = {0, 5000, 36864, 60000};
    struct fixture *fixture = *state;
    char live[200];

    name_of(live, fixture, "-live");
    for (unsigned i = 0; i < 4; i++) {
        admit_new(fixture->ledger, 5 * i, 5);
        assert_int_equal(truncate(live, sizes[i]), 0);
        assert_known(fixture->ledger, 0, 5 * (i + 1));
    }
    assert_books(fixture->ledger);
}

static void a_set_of_another_time_does_not_count(void **state)
{
    struct fixture *fixture = *state;
    char live[200], away[200];

    name_of(live, fixture, "-live");
    name_of(away, fixture, "-away");
    admit_new(fixture->ledger, 0, 5);
    copy(live, away);
    admit_new(fixture->ledger, 5, 5);
    copy(away, live); /* in place: the process has it open */
    assert_known(fixture->ledger, 0, 10);
    admit_new(fixture->ledger, 10, 5);
    x402_ledger_close(fixture->ledger);
    copy(away, live);
    fixture->ledger = handle_open(fixture);
    assert_known(fixture->ledger, 0, 15);
    assert_books(fixture->ledger);
}

static void a_restored_backup_knows_what_it_has(void **state)
{
    struct fixture *fixture = *state;
    char away[200];

    name_of(away, fixture, "-away");
    admit_new(fixture->ledger, 0, 5);
    backup(fixture, away);
    admit_new(fixture->ledger, 5, 5);
    restore(fixture, away);
    assert_known(fixture->ledger, 0, 5);
    admit_new(fixture->ledger, 20, 9); /* the ids of those that are lost */
    admit_new(fixture->ledger, 5, 5);
    assert_known(fixture->ledger, 0, 10);
    assert_known(fixture->ledger, 20, 9);
    assert_books(fixture->ledger);
}

/* As many payments, the newest of the same id: only its key tells them apart. */
static void a_ledger_that_went_its_own_way_knows_what_it_has(void **state)
{
    struct fixture *fixture = *state;
    char away[200], theirs[200];

    name_of(away, fixture, "-away");
    name_of(theirs, fixture, "-theirs");
    admit_new(fixture->ledger, 0, 5);
    backup(fixture, away);
    admit_new(fixture->ledger, 5, 5);
    backup(fixture, theirs);
    restore(fixture, away);
    admit_new(fixture->ledger, 30, 5);
    restore(fixture, theirs);
    assert_known(fixture->ledger, 0, 10);
    assert_books(fixture->ledger);
}

/* As a program that knows no set would. */
static void a_row_added_past_the_set_is_known(void **state)
{
    struct fixture *fixture = *state;

    admit_new(fixture->ledger, 0, 5);
    tamper(fixture,
           "INSERT INTO payment SELECT 6, token_id, chain_id, payer, "
           "x'0500000000000000000000000000000000000000000000000000000000000000', "
           "delivery, money, value, payee, valid_after, valid_before, signature, "
           "dialect, scheme, route, created_at, updated_at, attempt, attempts, "
           "lease_id, NULL FROM payment WHERE id = 5");
    assert_known(fixture->ledger, 0, 6);
}

static void a_clock_set_back_brings_back_what_was_dropped(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit again;

    admit_new(fixture->ledger, 0, 5);
    again = presentation(3, 7);
    clock_forward(fixture, 3600);
    tamper(fixture, "UPDATE live SET stamp = 0");
    admit_new(fixture->ledger, 10, 5);
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_NOT_OWED);
    clock_forward(fixture, 0);
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_IN_PROGRESS);
    assert_known(fixture->ledger, 0, 5);
    assert_known(fixture->ledger, 10, 5);
    assert_books(fixture->ledger);
}

/* A nonce signed again when its first payment, `first`, is forgotten; then the clock is
 * set back so far that the set has both. */
static struct x402_admit sell_again(struct fixture *fixture, struct x402_admit *first,
                                    enum x402_event became, enum x402_event becomes)
{
    struct x402_admit again;

    *first = presentation(1, 0);
    assert_int_equal(admit_on(fixture->ledger, first), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, first, became));
    clock_forward(fixture, 310 + X402_LIVE_SLACK_SECONDS);
    tamper(fixture, "UPDATE live SET stamp = 0");
    again = presentation(1, 1);
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &again, becomes));
    clock_forward(fixture, 250);
    return again;
}

static void of_two_with_a_key_the_one_that_was_served_is_known(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit first, second;

    second = sell_again(fixture, &first, X402_EVENT_VOID, X402_EVENT_DELIVERED);
    second.attempt16[15] = 2;
    assert_int_equal(admit_on(fixture->ledger, &second), X402_ADMISSION_REPEATED);
    assert_books(fixture->ledger);
}

static void of_two_with_a_key_the_first_is_known_where_it_was_served(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit first;

    (void)sell_again(fixture, &first, X402_EVENT_DELIVERED, X402_EVENT_VOID);
    first.attempt16[15] = 2;
    assert_int_equal(admit_on(fixture->ledger, &first), X402_ADMISSION_REPEATED);
    assert_books(fixture->ledger);
}

static void what_is_over_and_forgotten_is_not_new(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit again;

    admit_new(fixture->ledger, 0, 5);
    again = presentation(3, 7);
    clock_forward(fixture, 300 + X402_LIVE_SLACK_SECONDS);
    tamper(fixture, "UPDATE live SET stamp = 0");
    admit_new(fixture->ledger, 10, 1);
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_NOT_OWED);
    again = presentation(20, 0); /* nobody ever saw this one */
    again.verified.valid_before_seconds -= 300 + 2 * X402_LIVE_SLACK_SECONDS;
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_NOT_OWED);
}

/* A void payment that is presented with more time has it in the set, too. */
static void what_is_presented_anew_is_known_as_long_as_it_is_valid_now(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0), again;

    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &admit, X402_EVENT_VOID));
    again = presentation(1, 1);
    again.verified.valid_before_seconds += 7200;
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &again, X402_EVENT_DELIVERED));
    assert_books(fixture->ledger);
    clock_forward(fixture, 3600);
    tamper(fixture, "UPDATE live SET stamp = 0");
    again.attempt16[15] = 2;
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_REPEATED);
}

/* Each handle remembers what it noted of a block of ids, and knows of nobody else. */
static void who_admits_for_longer_is_known_whoever_admits_after(void **state)
{
    static const uint64_t longer[] = {0, 3000, 1000};
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    struct x402_admit admits[3];

    for (unsigned i = 0; i < 3; i++) {
        admits[i] = presentation(i, 0);
        admits[i].verified.valid_before_seconds += longer[i];
        assert_int_equal(admit_on(i == 1 ? other : fixture->ledger, &admits[i]),
                         X402_ADMISSION_NEW);
    }
    assert_true(outcome_on(other, &admits[1], X402_EVENT_DELIVERED));
    clock_forward(fixture, 2500);
    tamper(fixture, "UPDATE live SET stamp = 0");
    admits[1].attempt16[15] = 1;
    assert_int_equal(admit_on(fixture->ledger, &admits[1]), X402_ADMISSION_REPEATED);
    assert_books(fixture->ledger);
}

/* In a set built anew when it is over, and it was settled before it was served. */
static void what_is_owed_is_known_for_a_day_more(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    clock_stop(fixture);
    admit.verified.valid_before_seconds = (uint64_t)x402_clock_seconds() + 300;
    admit.credit.settle_first = true;
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    assert_true(chain_on(fixture->ledger, admit.payment_id, X402_EVENT_SETTLED));
    clock_forward(fixture, 300 + X402_OWED_SECONDS - 1);
    tamper(fixture, "UPDATE live SET stamp = 0");
    admit.late = true;
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    assert_books(fixture->ledger);
}

static void keys_with_equal_tags_are_told_apart(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);

    x402_live_bounds.tag_mask = UINT64_C(3) << 62;
    admit_new(fixture->ledger, 0, 20);
    assert_known(other, 0, 20);
    fail_to_admit(other, 20, 10);
    admit_new(fixture->ledger, 20, 10);
    assert_known(other, 0, 30);
    tamper(fixture, "UPDATE live SET stamp = 0");
    assert_known(other, 0, 30);
    assert_books(other);
    x402_live_bounds.tag_mask = UINT64_MAX;
}

static void a_full_set_refuses_what_is_new_and_knows_the_rest(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(10, 0);

    x402_live_bounds.max = 10;
    admit_new(fixture->ledger, 0, 10);
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_UNAVAILABLE);
    assert_int_equal(admit.payment_id, 0);
    assert_known(fixture->ledger, 0, 10);
    clock_forward(fixture, 301 + X402_LIVE_SLACK_SECONDS); /* they are over */
    admit = presentation(11, 0);
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    x402_live_bounds.max = X402_LIVE_MAX;
    assert_books(fixture->ledger);
}

/* With less room than a batch wants, it is built with what there is. */
static void a_set_that_is_nearly_full_is_built_anew(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admits[5];

    x402_live_bounds.max = 10;
    admit_new(fixture->ledger, 0, 8);
    tamper(fixture, "UPDATE live SET stamp = 0");
    for (unsigned i = 0; i < 5; i++) {
        admits[i] = presentation(8 + i, 0);
    }
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, admits, 5, NULL, NULL),
        X402_OK);
    assert_int_equal(admits[1].admission, X402_ADMISSION_NEW);
    assert_int_equal(admits[2].admission, X402_ADMISSION_UNAVAILABLE);
    assert_known(fixture->ledger, 0, 10);
    x402_live_bounds.max = X402_LIVE_MAX;
    assert_books(fixture->ledger);
}

static void a_set_grows_and_all_of_it_is_known(void **state)
{
    static struct x402_admit admits[500];
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);

    for (unsigned i = 0; i < 10000; i += 500) {
        for (unsigned j = 0; j < 500; j++) {
            admits[j] = presentation(i + j, 0);
        }
        assert_int_equal(x402_ledger_commit(i % 1000 ? other : fixture->ledger, "test",
                                            NULL, 0, admits, 500, NULL, NULL),
                         X402_OK);
        for (unsigned j = 0; j < 500; j++) {
            assert_int_equal(admits[j].admission, X402_ADMISSION_NEW);
        }
    }
    assert_known(other, 0, 10000);
    assert_books(other);
}

static void a_set_that_cannot_be_opened_is_said(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(5, 0);
    char live[200];

    admit_new(fixture->ledger, 0, 5);
    name_of(live, fixture, "-live");
    x402_ledger_close(fixture->ledger);
    assert_int_equal(unlink(live), 0);
    assert_int_equal(symlink("/etc/passwd", live), 0);
    fixture->ledger = handle_open(fixture);
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, &admit, 1, NULL, NULL),
        X402_ERR_LEDGER);
    assert_int_equal(admit.admission, X402_ADMISSION_UNAVAILABLE);
    assert_non_null(strstr(x402_ledger_message(fixture->ledger), "its live set"));
    assert_int_equal(unlink(live), 0);
    assert_known(fixture->ledger, 0, 5);
}

/* ------------------------------------------------------------------------ the money */

/* A nonce signed again when its payment is forgotten is served on credit like any
 * other; the transfer that paid for the first does not pay for it, too. */
static void one_transfer_settles_one_payment(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit again;
    struct x402_verdict verdict;
    int64_t first = sell(fixture->ledger, 1);

    assert_true(chain_on(fixture->ledger, first, X402_EVENT_SETTLED));
    clock_forward(fixture, 3600);
    tamper(fixture, "UPDATE live SET stamp = 0");
    again = presentation(1, 1);
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_NEW);
    assert_true(again.payment_id != first);
    assert_true(outcome_on(fixture->ledger, &again, X402_EVENT_DELIVERED));
    verdict = told(again.payment_id, X402_EVENT_SETTLED);
    assert_int_equal(x402_ledger_advance(fixture->ledger, &verdict, 1), X402_OK);
    assert_true(verdict.applied);
    assert_int_equal(verdict.event, X402_EVENT_FAILED); /* who tells it hears so */
    assert_state(fixture->ledger, again.payment_id, X402_DELIVERY_DELIVERED,
                 X402_MONEY_FAILED);
    assert_string_equal(row_of(fixture->ledger, again.payment_id).reason,
                        "used: its nonce paid for payment 1");
    assert_state(fixture->ledger, first, X402_DELIVERY_DELIVERED, X402_MONEY_SETTLED);
    assert_books(fixture->ledger);
}

/* Whichever of two the settler tells of first, when the transfer comes back. */
static void a_reorganization_gives_one_transfer_to_one_payment(void **state)
{
    struct fixture *fixture = *state;
    struct x402_verdict verdicts[2];
    struct x402_admit again;
    int64_t first = sell(fixture->ledger, 1);

    assert_true(chain_on(fixture->ledger, first, X402_EVENT_SETTLED));
    clock_forward(fixture, 3600);
    tamper(fixture, "UPDATE live SET stamp = 0");
    again = presentation(1, 1);
    again.credit.settle_first = true;
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_SETTLING);
    assert_true(chain_on(fixture->ledger, first, X402_EVENT_UNSETTLED));
    verdicts[0] = told(again.payment_id, X402_EVENT_SETTLED);
    verdicts[1] = told(first, X402_EVENT_SETTLED);
    assert_int_equal(x402_ledger_advance(fixture->ledger, verdicts, 2), X402_OK);
    assert_state(fixture->ledger, again.payment_id, X402_DELIVERY_OWED,
                 X402_MONEY_SETTLED);
    assert_state(fixture->ledger, first, X402_DELIVERY_DELIVERED, X402_MONEY_FAILED);
    assert_books(fixture->ledger);
}

static void books_find_a_payment_that_is_in_the_ledger_twice(void **state)
{
    struct fixture *fixture = *state;

    admit_new(fixture->ledger, 0, 2);
    tamper(fixture, "UPDATE payment SET nonce = (SELECT nonce FROM payment WHERE id = "
                    "1) WHERE id = 2; UPDATE live SET stamp = 0");
    assert_int_equal(x402_ledger_books(fixture->ledger, fixture->message),
                     X402_ERR_CONFLICT);
    assert_string_equal(fixture->message, "payments 1 and 2 have the same key");
}

static void books_find_a_payment_the_set_does_not_know(void **state)
{
    struct fixture *fixture = *state;

    admit_new(fixture->ledger, 0, 3);
    assert_books(fixture->ledger);
    tamper(fixture, "UPDATE payment SET nonce = zeroblob(32) WHERE id = 2");
    assert_int_equal(x402_ledger_books(fixture->ledger, fixture->message),
                     X402_ERR_CONFLICT);
    assert_non_null(strstr(fixture->message, "payment 2 can be presented and is not"));
}

static void books_find_a_payment_a_new_set_would_not_know(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);

    admit.credit.settle_first = true; /* and is owed for a day more */
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    assert_books(fixture->ledger);
    tamper(fixture, "UPDATE horizon SET until = (SELECT valid_before FROM payment)");
    assert_int_equal(x402_ledger_books(fixture->ledger, fixture->message),
                     X402_ERR_CONFLICT);
    assert_non_null(strstr(fixture->message, "payment 1 can be presented for longer"));
    tamper(fixture, "DELETE FROM horizon");
    assert_int_equal(x402_ledger_books(fixture->ledger, fixture->message),
                     X402_ERR_CONFLICT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(what_was_rolled_back_can_be_bought_by_all),
        TEST(who_dies_before_the_commit_served_nobody),
        TEST(who_dies_after_the_commit_served_for_good),
        TEST(a_deleted_set_is_built_anew),
        TEST(two_with_different_files_find_each_other),
        TEST(a_set_cut_short_is_built_anew),
        TEST(a_set_of_another_time_does_not_count),
        TEST(a_restored_backup_knows_what_it_has),
        TEST(a_ledger_that_went_its_own_way_knows_what_it_has),
        TEST(a_row_added_past_the_set_is_known),
        TEST(a_clock_set_back_brings_back_what_was_dropped),
        TEST(of_two_with_a_key_the_one_that_was_served_is_known),
        TEST(of_two_with_a_key_the_first_is_known_where_it_was_served),
        TEST(what_is_over_and_forgotten_is_not_new),
        TEST(what_is_presented_anew_is_known_as_long_as_it_is_valid_now),
        TEST(who_admits_for_longer_is_known_whoever_admits_after),
        TEST(what_is_owed_is_known_for_a_day_more),
        TEST(keys_with_equal_tags_are_told_apart),
        TEST(a_full_set_refuses_what_is_new_and_knows_the_rest),
        TEST(a_set_that_is_nearly_full_is_built_anew),
        TEST(a_set_grows_and_all_of_it_is_known),
        TEST(a_set_that_cannot_be_opened_is_said),
        TEST(one_transfer_settles_one_payment),
        TEST(a_reorganization_gives_one_transfer_to_one_payment),
        TEST(books_find_a_payment_that_is_in_the_ledger_twice),
        TEST(books_find_a_payment_the_set_does_not_know),
        TEST(books_find_a_payment_a_new_set_would_not_know),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
