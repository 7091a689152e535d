/* A ledger of version 1, with a row in every state it could have, becomes one of this
 * version. */
#include "fixture.h"

#include "ledger/activity.h"

#define NOW 1700000000 /* of the rows; in 2023 */
#define FIRST_DAY (NOW / 86400)

extern const char x402_ledger_schema_sql[];

/* How a payment came to be what it is. */
static const enum x402_event paths[][5] = {
    {X402_EVENT_PRESENT}, /* 0 ends a path: it is PRESENT, which only begins one */
    {X402_EVENT_PRESENT, X402_EVENT_VOID},
    {X402_EVENT_PRESENT, X402_EVENT_LEASE_LOST},
    {X402_EVENT_PRESENT, X402_EVENT_DELIVERED},
    {X402_EVENT_PRESENT, X402_EVENT_DELIVERED, X402_EVENT_SUBMIT},
    {X402_EVENT_PRESENT, X402_EVENT_DELIVERED, X402_EVENT_SUBMIT, X402_EVENT_SETTLED},
    {X402_EVENT_PRESENT, X402_EVENT_DELIVERED, X402_EVENT_SUBMIT, X402_EVENT_SETTLED,
     X402_EVENT_FINAL},
    {X402_EVENT_PRESENT, X402_EVENT_DELIVERED, X402_EVENT_FAILED},
};
#define PATHS (sizeof(paths) / sizeof(paths[0]))
#define COPIES 6 /* of each state, by three payers, of two tokens, on two days */
#define ROWS (PATHS * COPIES)

__attribute__((format(printf, 2, 3))) static void run(sqlite3 *db, const char *format,
                                                      ...)
{
    char sql[2048];
    char *why = NULL;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sql, sizeof(sql), format, arguments);
    va_end(arguments);
    (void)sqlite3_exec(db, sql, NULL, NULL, &why);
    if (why != NULL) {
        fail_msg("%s: %s", sql, why);
    }
}

static void flow_add(sqlite3 *db, int token, int delivery, int money, int event)
{
    run(db,
        "INSERT INTO flow VALUES (0, %d, %d, %d, %d, 1, %d, 1000) ON CONFLICT DO "
        "UPDATE SET count = count + 1, value_before = value_before + "
        "excluded.value_before, value_after = value_after + 1000",
        token, delivery, money, event, delivery < 0 ? 0 : 1000);
}

static struct x402_state walk(sqlite3 *db, int token, const enum x402_event path[5])
{
    struct x402_state state = x402_state_first(X402_EVENT_PRESENT);

    flow_add(db, token, -1, -1, X402_EVENT_PRESENT);
    for (int i = 1; i < 5 && path[i] != 0; i++) {
        struct x402_state next;
        assert_true(x402_state_next(&next, state, path[i]));
        flow_add(db, token, (int)state.delivery, (int)state.money, (int)path[i]);
        state = next;
    }
    return state;
}

static void company_add(sqlite3 *db, int id, struct x402_state state)
{
    if (state.money == X402_MONEY_SUBMITTED) {
        run(db,
            "INSERT INTO outbox VALUES (%d, %d, zeroblob(20), %d, zeroblob(32), 1, 1, "
            "1, %d, 0, 0, 1, x'02'); INSERT INTO outbox_payment VALUES (%d, %d); "
            "UPDATE payment SET transaction_id = %d WHERE id = %d",
            id, CHAIN, id, NOW, id, id, id, id);
    }
    if (state.money == X402_MONEY_SETTLED || state.money == X402_MONEY_FINAL) {
        run(db,
            "INSERT INTO settled VALUES (%d, %d, zeroblob(32), %d, zeroblob(32), "
            "40000, 500, %d)",
            id, CHAIN, 100 + id, state.money == X402_MONEY_FINAL);
    }
    if (state.money == X402_MONEY_FAILED) {
        run(db, "INSERT INTO failed VALUES (%d, 'expired')", id);
    }
}

static void rows_add(sqlite3 *db)
{
    for (int i = 0; i < (int)ROWS; i++) {
        const int token = 1 + i % 2;
        const struct x402_state state = walk(db, token, paths[(size_t)i / COPIES]);
        run(db,
            "INSERT INTO payment VALUES (%d, %d, %d, x'%040x', x'%064x', %d, %d, 1000, "
            "zeroblob(20), 0, %d, zeroblob(65), 0, 0, '/route/%d', %d, %d, "
            "x'000000000000000000000000000000%02x', 1, 1, NULL)",
            1 + i, token, CHAIN, i % 3, i, (int)state.delivery, (int)state.money,
            NOW + 300, i % 2, NOW + 86400 * (i % 2), NOW, 1 + i);
        company_add(db, 1 + i, state);
    }
}

/* The ledger as a program of version 1 left it. */
static void old_ledger_make(struct fixture *fixture)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    run(db, "PRAGMA journal_mode = WAL");
    run(db, "%s", "BEGIN; PRAGMA application_id = 2016686130; PRAGMA user_version = 1");
    assert_int_equal(sqlite3_exec(db, x402_ledger_schema_sql, NULL, NULL, NULL),
                     SQLITE_OK);
    for (int token = 1; token <= 2; token++) {
        run(db, "INSERT INTO token VALUES (%d, %d, x'%040x', 3)", token, CHAIN, token);
    }
    run(db, "INSERT INTO lease VALUES (1, 'old', zeroblob(16), 99999999999)");
    rows_add(db);
    run(db, "COMMIT");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void migrate(struct fixture *fixture)
{
    enum x402_error error =
        x402_ledger_create(fixture->path, NOBODY, NOBODY, fixture->message);

    assert_string_equal(fixture->message, "");
    assert_int_equal(error, X402_OK);
    fixture->ledger = handle_open(fixture);
}

static void an_old_ledger_is_refused_until_it_is_migrated(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *ledger = NULL;

    old_ledger_make(fixture);
    assert_int_equal(
        x402_ledger_open(&ledger, fixture->path, X402_LEDGER_READ, fixture->message),
        X402_ERR_SCHEMA);
    assert_non_null(strstr(fixture->message, "it is of version 1, and this program "
                                             "knows version 4"));
}

static void a_migrated_ledgers_books_hold(void **state)
{
    struct fixture *fixture = *state;

    old_ledger_make(fixture);
    migrate(fixture);
    assert_books(fixture->ledger);
}

/* Held, due and submitted: three states, six of each, of 1000. */
static void what_is_unsettled_is_added_up(void **state)
{
    struct fixture *fixture = *state;

    old_ledger_make(fixture);
    migrate(fixture);
    assert_int_equal(number_of(fixture, "SELECT sum(unsettled) FROM token"), 18000);
    assert_int_equal(number_of(fixture, "SELECT sum(unsettled) FROM payer"), 18000);
    assert_int_equal(number_of(fixture, "SELECT max(unsettled) FROM payer"), 3000);
    assert_int_equal(number_of(fixture, "SELECT count(*) FROM payer"), 6);
    assert_int_equal(number_of(fixture, "SELECT sum(final_block = 141) FROM token"), 1);
}

static bool earning_add(const struct x402_earning *earning, void *data)
{
    struct x402_earning *sum = data;

    assert_true(earning->day == FIRST_DAY || earning->day == FIRST_DAY + 1);
    assert_string_equal(earning->route,
                        earning->day == FIRST_DAY ? "/route/0" : "/route/1");
    sum->settled.count += earning->settled.count;
    sum->settled.value += earning->settled.value;
    sum->failed.count += earning->failed.count;
    sum->gas_used += earning->gas_used;
    sum->fee_wei += earning->fee_wei;
    return true;
}

static void what_was_earned_is_added_up(void **state)
{
    struct fixture *fixture = *state;
    struct x402_earning sum = {.day = 0};

    old_ledger_make(fixture);
    migrate(fixture);
    assert_int_equal(
        x402_ledger_earnings(fixture->ledger, 0, INT64_MAX, earning_add, &sum),
        X402_OK);
    assert_int_equal(sum.settled.count, 12);
    assert_int_equal(sum.settled.value, 12000);
    assert_int_equal(sum.failed.count, 6);
    assert_int_equal(sum.gas_used, 12 * 40000);
    assert_int_equal(sum.fee_wei, 12 * 500);
}

/* Payments 43 to 48 failed: odd ones of token 1, even ones of token 2, by payers 0, 1
 * and 2 in turn. */
static void payers_of_failures_of_the_last_day_are_distrusted(void **state)
{
    struct fixture *fixture = *state;
    const int64_t now = x402_clock_seconds();
    char sql[400];

    old_ledger_make(fixture);
    snprintf(sql, sizeof(sql),
             "UPDATE payment SET updated_at = %lld WHERE id = 43; UPDATE payment SET "
             "updated_at = %lld WHERE id = 44; UPDATE payment SET updated_at = %lld "
             "WHERE id = 45; UPDATE payment SET updated_at = %lld WHERE id = 42",
             (long long)(now - 3600), (long long)(now + 3600),
             (long long)(now - X402_DISTRUST_SECONDS), (long long)now);
    tamper(fixture, sql);
    migrate(fixture);
    assert_int_equal(number_of(fixture, "SELECT count(*) FROM payer WHERE "
                                        "distrust_until <> 0"),
                     2);
    snprintf(sql, sizeof(sql), "SELECT distrust_until - %lld FROM payer %s",
             (long long)now, "WHERE token_id = 1 AND payer = zeroblob(20)");
    assert_int_equal(number_of(fixture, sql), X402_DISTRUST_SECONDS - 3600);
    snprintf(sql, sizeof(sql), "SELECT max(distrust_until) - %lld FROM payer %s",
             (long long)now, "WHERE token_id = 2");
    assert_in_range(number_of(fixture, sql), X402_DISTRUST_SECONDS,
                    X402_DISTRUST_SECONDS + 60);
}

static void payers_with_something_unsettled_are_wanted(void **state)
{
    struct fixture *fixture = *state;
    struct x402_payer wanted[10];
    size_t count = 0;

    old_ledger_make(fixture);
    tamper(fixture, "DELETE FROM payment WHERE money IN (0, 1, 2) AND token_id = 2");
    migrate(fixture);
    assert_int_equal(
        x402_ledger_payers_wanted(fixture->ledger, CHAIN, wanted, 10, &count), X402_OK);
    assert_int_equal(count, 3);
}

static void a_migrated_ledger_has_a_key_for_receipts(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t zeros32[32];
    uint8_t key32[32];

    old_ledger_make(fixture);
    migrate(fixture);
    assert_int_equal(x402_ledger_receipt_key(fixture->ledger, key32), X402_OK);
    assert_memory_not_equal(key32, zeros32, 32);
}

static void a_migrated_ledger_goes_on(void **state)
{
    struct fixture *fixture = *state;
    struct x402_settlement due[10];
    size_t count = 0;

    old_ledger_make(fixture);
    migrate(fixture);
    (void)sell(fixture->ledger, 1000);
    assert_int_equal(x402_ledger_due(fixture->ledger, CHAIN, due, 10, &count), X402_OK);
    assert_int_equal(count, 7);
    for (int64_t id = 1; id <= (int64_t)ROWS; id++) {
        enum x402_money money = row_of(fixture->ledger, id).settlement.state.money;
        if (money == X402_MONEY_DUE || money == X402_MONEY_SUBMITTED) {
            assert_true(chain_on(fixture->ledger, id, X402_EVENT_SETTLED));
        }
        if (money == X402_MONEY_SETTLED) {
            assert_true(chain_on(fixture->ledger, id, X402_EVENT_FINAL));
        }
    }
    assert_books(fixture->ledger);
}

/* It would move payments and leave the new sums as they are. */
static void a_process_of_version_1_cannot_write_any_more(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;

    old_ledger_make(fixture);
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v3(db,
                           "INSERT OR REPLACE INTO flow VALUES (?1, 1, 0, 0, 1, 1, "
                           "1, 1)",
                           -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_CONSTRAINT); /* it can, still */
    (void)sqlite3_reset(statement);
    migrate(fixture);
    assert_int_equal(sqlite3_bind_int(statement, 1, 7), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ERROR);
    (void)sqlite3_finalize(statement);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_migration_cut_off_is_finished_by_the_next(void **state)
{
    struct fixture *fixture = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm", "-queue", "-live"};

    for (unsigned i = 0; i < 30; i++) {
        pid_t pid;
        int status;
        old_ledger_make(fixture);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            _exit(x402_ledger_create(fixture->path, NOBODY, NOBODY, fixture->message) ==
                          X402_OK
                      ? 0
                      : 1);
        }
        usleep(i * 300);
        (void)kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) || status == 0);
        migrate(fixture);
        assert_books(fixture->ledger);
        x402_ledger_close(fixture->ledger);
        fixture->ledger = NULL;
        for (size_t j = 0; j < 4; j++) {
            char name[200];
            snprintf(name, sizeof(name), "%s%s", fixture->path, suffixes[j]);
            assert_true(unlink(name) == 0 || errno == ENOENT);
        }
    }
}

/* ------------------------------------------------------------------------- version 3
 */

struct sold {
    size_t rows;
    struct x402_count delivered;
    uint64_t others;
};

static bool sold_add(int64_t hour, const struct x402_sales *sales, void *data)
{
    struct sold *sold = data;

    (void)hour;
    assert_int_equal(sales->chain_id, CHAIN);
    sold->rows++;
    sold->delivered.count += sales->delivered.count;
    sold->delivered.value += sales->delivered.value;
    sold->others += sales->offered + sales->refused + sales->failed.count +
                    sales->failed.value + sales->shadow.count + sales->shadow.value;
    return true;
}

static struct sold sold_in(struct x402_ledger *ledger, int64_t first, int64_t last)
{
    struct sold sold = {.rows = 0};

    assert_int_equal(x402_ledger_sales(ledger, first, last, sold_add, &sold), X402_OK);
    assert_int_equal(sold.others, 0);
    return sold;
}

/* Five states of eight are delivered; one token has the one route, one the other. */
static void what_was_delivered_before_is_among_the_sales_of_ever(void **state)
{
    struct fixture *fixture = *state;
    struct sold sold;

    old_ledger_make(fixture);
    migrate(fixture);
    sold = sold_in(fixture->ledger, X402_ACTIVITY_EVER, X402_ACTIVITY_EVER);
    assert_int_equal(sold.rows, 2);
    assert_int_equal(sold.delivered.count, 5 * COPIES);
    assert_int_equal(sold.delivered.value, 5 * COPIES * 1000);
    assert_int_equal(sold_in(fixture->ledger, 0, INT64_MAX).rows, 0);
}

/* Payments 19 to 24 are delivered, and of one state. */
static void what_was_delivered_in_the_last_90_days_is_in_its_hour(void **state)
{
    struct fixture *fixture = *state;
    const int64_t hour = x402_clock_seconds() / X402_HOUR_SECONDS;
    const int64_t first = hour - X402_ACTIVITY_DAYS * 24;
    struct sold sold;
    char sql[400];

    old_ledger_make(fixture);
    snprintf(sql, sizeof(sql),
             "UPDATE payment SET created_at = %lld WHERE id IN (19, 21, 23); UPDATE "
             "payment SET created_at = %lld WHERE id = 20; UPDATE payment SET "
             "created_at = %lld WHERE id = 22",
             (long long)((hour - 1) * X402_HOUR_SECONDS),
             (long long)((first + 2) * X402_HOUR_SECONDS),
             (long long)((first - 1) * X402_HOUR_SECONDS));
    tamper(fixture, sql);
    migrate(fixture);
    sold = sold_in(fixture->ledger, hour - 1, hour - 1);
    assert_int_equal(sold.rows, 1);
    assert_int_equal(sold.delivered.count, 3);
    assert_int_equal(sold.delivered.value, 3000);
    assert_int_equal(sold_in(fixture->ledger, first + 2, first + 2).delivered.count, 1);
    assert_int_equal(sold_in(fixture->ledger, 0, INT64_MAX).delivered.count, 4);
    sold = sold_in(fixture->ledger, X402_ACTIVITY_EVER, X402_ACTIVITY_EVER);
    assert_int_equal(sold.delivered.count, 5 * COPIES);
}

/* More routes than the migration adds to at a time, over and over, and large amounts.
 */
static void sales_of_many_routes_are_filled_in(void **state)
{
    struct fixture *fixture = *state;
    struct sold sold;

    old_ledger_make(fixture);
    tamper(fixture, "UPDATE payment SET route = '/' || id, value = 4611686018427387904 "
                    "WHERE id > 18");
    tamper(fixture,
           "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < "
           "699) INSERT INTO payment SELECT i, 1, chain_id, payer, "
           "randomblob(32), delivery, money, 4611686018427387904, payee, 0, "
           "valid_before, signature, 0, 0, '/' || (i % 150), created_at, updated_at, "
           "randomblob(16), 1, 0, NULL FROM n JOIN payment ON id = 19");
    migrate(fixture);
    sold = sold_in(fixture->ledger, X402_ACTIVITY_EVER, X402_ACTIVITY_EVER);
    assert_int_equal(sold.rows, 150 + 15); /* even ids are of another token */
    assert_int_equal(sold.delivered.count, 630);
    assert_true(sold.delivered.value == 630 * (UINT64_C(1) << 62));
}

/* A ledger of this version becomes what version 2 had of it, but for an index. */
static void version_2_make(struct fixture *fixture)
{
    tamper(fixture, "ALTER TABLE leases RENAME TO lease; ALTER TABLE signers "
                    "RENAME TO signer; DROP TABLE live; DROP TABLE "
                    "journal; DROP TABLE horizon; DROP INDEX settled_hash; "
                    "ALTER TABLE settled DROP COLUMN nonce; ALTER TABLE payer DROP "
                    "COLUMN payments");
    tamper(fixture, "DROP TABLE sale; DROP TABLE refusal; DROP TABLE measure; DROP "
                    "TABLE settler; PRAGMA user_version = 2");
}

static void a_ledger_of_version_2_is_migrated(void **state)
{
    struct fixture *fixture = *state;
    struct sold sold;

    assert_int_equal(
        x402_ledger_create(fixture->path, NOBODY, NOBODY, fixture->message), X402_OK);
    fixture->ledger = handle_open(fixture);
    (void)sell(fixture->ledger, 1);
    x402_ledger_close(fixture->ledger);
    version_2_make(fixture);
    migrate(fixture);
    sold = sold_in(fixture->ledger, X402_ACTIVITY_EVER, X402_ACTIVITY_EVER);
    assert_int_equal(sold.delivered.count, 1);
    assert_int_equal(sold_in(fixture->ledger, 0, INT64_MAX).delivered.count, 1);
    assert_books(fixture->ledger);
}

/* ------------------------------------------------------------------------- version 4
 */

/* A worker would look for keys in an index that is gone, and add payments to no set; a
 * settler would remove payments that their payers are said to have. */
static void older_workers_admit_no_more_and_older_settlers_end(void **state)
{
    static const char *const needed[] = {
        "SELECT expires_at FROM lease WHERE id = 1",
        "SELECT holder FROM signer WHERE chain_id = 1 AND signer = x'00'"};
    struct fixture *fixture = *state;
    sqlite3 *db = NULL;
    sqlite3_stmt *statements[2];

    old_ledger_make(fixture);
    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(sqlite3_prepare_v3(db, needed[i], -1,
                                            SQLITE_PREPARE_PERSISTENT, &statements[i],
                                            NULL),
                         SQLITE_OK);
        assert_in_range(sqlite3_step(statements[i]), SQLITE_ROW, SQLITE_DONE);
        (void)sqlite3_reset(statements[i]);
    }
    migrate(fixture);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(sqlite3_step(statements[i]), SQLITE_ERROR);
        (void)sqlite3_finalize(statements[i]);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* Payment 13 is abandoned, and 7 is void; both may be presented yet. */
static void what_an_old_ledger_has_is_known_by_its_key(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit again = presentation(0, 1);
    char sql[200];

    old_ledger_make(fixture);
    snprintf(sql, sizeof(sql), "UPDATE payment SET valid_before = %lld",
             (long long)x402_clock_seconds() + 300);
    tamper(fixture, sql);
    migrate(fixture);
    memset(again.verified.asset20, 0, 20);
    again.verified.asset20[19] = 1;
    memset(again.verified.from20, 0, 20);
    memset(again.verified.nonce32, 0, 32);
    again.verified.nonce32[31] = 18; /* row 19: delivered, by payer 0, token 1 */
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_REPEATED);
    again.verified.nonce32[31] = 12;
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_ABANDONED);
    again.verified.nonce32[31] = 6;
    assert_int_equal(admit_on(fixture->ledger, &again), X402_ADMISSION_NEW);
    assert_int_equal(again.payment_id, 7);
    assert_books(fixture->ledger);
}

/* How many payments a payer has: by it the payer goes when they do. */
static void payments_of_payers_are_counted(void **state)
{
    struct fixture *fixture = *state;

    old_ledger_make(fixture);
    migrate(fixture);
    assert_int_equal(number_of(fixture, "SELECT sum(payments) FROM payer"), ROWS);
    assert_int_equal(number_of(fixture, "SELECT min(payments) FROM payer"), ROWS / 6);
}

int main(void)
{
#define TEST(name)                                                                     \
    cmocka_unit_test_setup_teardown(name, directory_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(an_old_ledger_is_refused_until_it_is_migrated),
        TEST(a_migrated_ledgers_books_hold),
        TEST(what_is_unsettled_is_added_up),
        TEST(what_was_earned_is_added_up),
        TEST(payers_of_failures_of_the_last_day_are_distrusted),
        TEST(payers_with_something_unsettled_are_wanted),
        TEST(a_migrated_ledger_has_a_key_for_receipts),
        TEST(a_migrated_ledger_goes_on),
        TEST(a_process_of_version_1_cannot_write_any_more),
        TEST(what_was_delivered_before_is_among_the_sales_of_ever),
        TEST(what_was_delivered_in_the_last_90_days_is_in_its_hour),
        TEST(sales_of_many_routes_are_filled_in),
        TEST(a_ledger_of_version_2_is_migrated),
        TEST(older_workers_admit_no_more_and_older_settlers_end),
        TEST(what_an_old_ledger_has_is_known_by_its_key),
        TEST(payments_of_payers_are_counted),
        TEST(a_migration_cut_off_is_finished_by_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
