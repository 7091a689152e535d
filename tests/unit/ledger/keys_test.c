/* The index of keys lags behind, and nobody may notice: sqlite_keys.h. */
#include "fixture.h"

#include "ledger/sqlite_keys.h"

static int64_t number_of(struct fixture *fixture, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int64_t number;

    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    number = sqlite3_column_int64(statement, 0);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return number;
}

static void slices_set(struct fixture *fixture, unsigned slices)
{
    char sql[64];

    snprintf(sql, sizeof(sql), "UPDATE ledger SET key_slices = %u", slices);
    tamper(fixture, sql);
    reopen(fixture);
}

/* Presents payments [from, to) in batches of `batch`; all come to `expected`. */
static void present(struct x402_ledger *ledger, unsigned from, unsigned to,
                    unsigned batch, enum x402_admission expected)
{
    static unsigned attempt;
    static struct x402_admit admits[5000];

    while (from < to) {
        unsigned count = to - from < batch ? to - from : batch;
        attempt++;
        for (unsigned i = 0; i < count; i++) {
            admits[i] = presentation(from + i, attempt);
        }
        assert_int_equal(
            x402_ledger_commit(ledger, "test", NULL, 0, admits, count, NULL, NULL),
            X402_OK);
        for (unsigned i = 0; i < count; i++) {
            if (admits[i].admission != expected) {
                fail_msg("payment %u: %d", from + i, (int)admits[i].admission);
            }
        }
        from += count;
    }
}

/* What everybody relies on, and that there is little beside it. */
static void assert_index(struct fixture *fixture, unsigned slices, unsigned payments)
{
    char sql[256];

    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM payment WHERE id <= (SELECT max(id) FROM payment) - "
             "%u AND id NOT IN (SELECT payment_id FROM payment_key)",
             slices * X402_KEY_SPAN);
    assert_int_equal(number_of(fixture, sql), 0);
    assert_true(number_of(fixture, "SELECT count(*) FROM payment_key") <= payments);
    assert_int_equal(number_of(fixture, "SELECT count(*) - count(DISTINCT payment_id) "
                                        "FROM payment_key"),
                     0);
}

static void what_leaves_the_window_is_in_the_index(void **state)
{
    struct fixture *fixture = *state;
    const unsigned batches[] = {1, 7, 32, 100, 1000};

    slices_set(fixture, 8);
    for (unsigned i = 0; i < 5; i++) {
        present(fixture->ledger, i * 1000, (i + 1) * 1000, batches[i],
                X402_ADMISSION_NEW);
        assert_index(fixture, 8, (i + 1) * 1000);
    }
    assert_books(fixture->ledger);
}

static void a_ledger_within_its_window_has_no_index_to_write(void **state)
{
    struct fixture *fixture = *state;

    present(fixture->ledger, 0, 3000, 1000, X402_ADMISSION_NEW);
    assert_true(number_of(fixture, "SELECT count(*) FROM payment_key") < 100);
}

static void every_payment_is_known_to_the_handle_that_took_it(void **state)
{
    struct fixture *fixture = *state;

    slices_set(fixture, 2);
    present(fixture->ledger, 0, 5000, 50, X402_ADMISSION_NEW);
    present(fixture->ledger, 0, 5000, 5000, X402_ADMISSION_IN_PROGRESS);
}

static void every_payment_is_known_to_a_new_handle(void **state)
{
    struct fixture *fixture = *state;

    slices_set(fixture, 16);
    present(fixture->ledger, 0, 5000, 50, X402_ADMISSION_NEW);
    present(another_handle(fixture), 0, 5000, 100, X402_ADMISSION_IN_PROGRESS);
    slices_set(fixture, 16);
    present(fixture->ledger, 0, 5000, 5000, X402_ADMISSION_IN_PROGRESS);
}

static void handles_that_take_turns_know_each_others(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *handles[3];

    slices_set(fixture, 4);
    for (int i = 0; i < 3; i++) {
        handles[i] = another_handle(fixture);
    }
    for (unsigned i = 0; i < 150; i++) {
        present(handles[i % 3], i * 20, i * 20 + 20, 20, X402_ADMISSION_NEW);
        present(handles[(i + 1) % 3], i < 20 ? 0 : (i - 20) * 20, i * 20 + 20, 1000,
                X402_ADMISSION_IN_PROGRESS);
    }
    assert_index(fixture, 4, 3000);
    for (int i = 0; i < 3; i++) {
        present(handles[i], 0, 3000, 1000, X402_ADMISSION_IN_PROGRESS);
    }
    assert_books(handles[0]);
}

/* One that slept while the others wrote more than it could hold. */
static void a_handle_far_behind_catches_up(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *sleeper = another_handle(fixture);

    slices_set(fixture, 2);
    sleeper = another_handle(fixture);
    present(sleeper, 0, 10, 10, X402_ADMISSION_NEW);
    present(fixture->ledger, 10, 20010, 1000, X402_ADMISSION_NEW);
    present(sleeper, 0, 20010, 1000, X402_ADMISSION_IN_PROGRESS);
    assert_books(sleeper);
}

static void a_batch_larger_than_the_ring_is_taken(void **state)
{
    struct fixture *fixture = *state;
    static struct x402_admit admits[10000];

    slices_set(fixture, 1);
    for (unsigned i = 0; i < 10000; i++) {
        admits[i] = presentation(i, 0);
    }
    assert_int_equal(
        x402_ledger_commit(fixture->ledger, "test", NULL, 0, admits, 10000, NULL, NULL),
        X402_OK);
    present(fixture->ledger, 0, 10000, 5000, X402_ADMISSION_IN_PROGRESS);
    assert_index(fixture, 1, 10000);
}

static void a_removed_payment_leaves_the_index(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(0, 0);

    slices_set(fixture, 1);
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &admit, X402_EVENT_VOID));
    present(fixture->ledger, 1, 101, 10, X402_ADMISSION_NEW);
    assert_int_equal(
        number_of(fixture, "SELECT count(*) FROM payment_key WHERE payment_id = 1"), 1);
    clock_forward(fixture, 2 * X402_RETENTION_SECONDS);
    assert_int_equal(x402_ledger_tidy(another_handle(fixture)), X402_OK);
    assert_int_equal(
        number_of(fixture, "SELECT count(*) FROM payment_key WHERE payment_id = 1"), 0);
    admit = presentation(0, 1);
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    assert_true(admit.payment_id > 101);
    assert_books(fixture->ledger);
}

static void ids_that_go_back_are_noticed(void **state)
{
    struct fixture *fixture = *state;

    slices_set(fixture, 1);
    present(fixture->ledger, 0, 200, 10, X402_ADMISSION_NEW);
    tamper(fixture, "DELETE FROM payment WHERE id > 150");
    present(fixture->ledger, 150, 160, 1, X402_ADMISSION_NEW);
    present(fixture->ledger, 0, 160, 10, X402_ADMISSION_IN_PROGRESS);
}

static void a_number_of_slices_that_cannot_be_is_damage(void **state)
{
    struct fixture *fixture = *state;
    const int bad[] = {0, 3, -1, 1 << 20};

    for (int i = 0; i < 4; i++) {
        struct x402_admit admit = presentation(1, 0);
        slices_set(fixture, (unsigned)bad[i]);
        assert_int_equal(
            x402_ledger_commit(fixture->ledger, "test", NULL, 0, &admit, 1, NULL, NULL),
            X402_ERR_LEDGER);
        assert_non_null(strstr(x402_ledger_message(fixture->ledger), "damaged"));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(what_leaves_the_window_is_in_the_index),
        TEST(a_ledger_within_its_window_has_no_index_to_write),
        TEST(every_payment_is_known_to_the_handle_that_took_it),
        TEST(every_payment_is_known_to_a_new_handle),
        TEST(handles_that_take_turns_know_each_others),
        TEST(a_handle_far_behind_catches_up),
        TEST(a_batch_larger_than_the_ring_is_taken),
        TEST(a_removed_payment_leaves_the_index),
        TEST(ids_that_go_back_are_noticed),
        TEST(a_number_of_slices_that_cannot_be_is_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
