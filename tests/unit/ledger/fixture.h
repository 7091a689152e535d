/*
 * What every ledger test needs: a ledger in a directory of its own, a clock that moves,
 * payments by number. Everything here asserts that it works.
 */
#ifndef X402_TESTS_LEDGER_FIXTURE_H
#define X402_TESTS_LEDGER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "ledger/ledger.h"
#include "ledger/sqlite.h"

#define CHAIN 84532
#define HANDLES_MAX 8
#define NOBODY ((unsigned)-1)

struct fixture {
    char directory[64];
    char path[128];
    char clock_path[128];
    int64_t stopped_at_seconds; /* 0: the clock goes */
    char message[X402_LEDGER_MESSAGE_MAX];
    struct x402_ledger *ledger;
    struct x402_ledger *others[HANDLES_MAX];
    size_t others_count;
};

/* So much ahead of the real clock; where it was stopped, of when it was. */
__attribute__((unused)) static void clock_forward(struct fixture *fixture, long seconds)
{
    FILE *file = fopen(fixture->clock_path, "w");

    assert_non_null(file);
    assert_true(fprintf(file, "%s%lld\n", fixture->stopped_at_seconds != 0 ? "@" : "",
                        (long long)fixture->stopped_at_seconds + seconds) > 0);
    assert_int_equal(fclose(file), 0);
}

/* From here on it stands still, but for clock_forward: tests of a margin need it. */
__attribute__((unused)) static void clock_stop(struct fixture *fixture)
{
    fixture->stopped_at_seconds = x402_clock_seconds();
    clock_forward(fixture, 0);
}

static struct x402_ledger *handle_open(struct fixture *fixture)
{
    struct x402_ledger *ledger = NULL;
    enum x402_error error =
        x402_ledger_open(&ledger, fixture->path, X402_LEDGER_WRITE, fixture->message);

    assert_string_equal(fixture->message, "");
    assert_int_equal(error, X402_OK);
    return ledger;
}

/* A further handle, as another worker has; closed at the end. */
__attribute__((unused)) static struct x402_ledger *another_handle(
    struct fixture *fixture)
{
    assert_true(fixture->others_count < HANDLES_MAX);
    return fixture->others[fixture->others_count++] = handle_open(fixture);
}

__attribute__((unused)) static void reopen(struct fixture *fixture)
{
    x402_ledger_close(fixture->ledger);
    fixture->ledger = handle_open(fixture);
}

static int directory_make(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    if (fixture == NULL) {
        return -1;
    }
    snprintf(fixture->directory, sizeof(fixture->directory), "/tmp/x402-ledger-XXXXXX");
    if (mkdtemp(fixture->directory) == NULL) {
        free(fixture);
        return -1;
    }
    snprintf(fixture->path, sizeof(fixture->path), "%s/ledger.db", fixture->directory);
    snprintf(fixture->clock_path, sizeof(fixture->clock_path), "%s/clock",
             fixture->directory);
    *state = fixture;
    x402_sqlite_wait_milliseconds = 60000; /* nobody is stuck; a machine may be slow */
    clock_forward(fixture, 0);
    return setenv("X402_TEST_CLOCK_FILE", fixture->clock_path, 1);
}

__attribute__((unused)) static int ledger_make(void **state)
{
    struct fixture *fixture;

    if (directory_make(state) != 0) {
        return -1;
    }
    fixture = *state;
    assert_int_equal(
        x402_ledger_create(fixture->path, NOBODY, NOBODY, fixture->message), X402_OK);
    fixture->ledger = handle_open(fixture);
    return 0;
}

__attribute__((unused)) static int fixture_release(void **state)
{
    struct fixture *fixture = *state;
    DIR *directory = opendir(fixture->directory);
    struct dirent *entry;

    for (size_t i = 0; i < fixture->others_count; i++) {
        x402_ledger_close(fixture->others[i]);
    }
    x402_ledger_close(fixture->ledger);
    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        (void)unlinkat(dirfd(directory), entry->d_name, 0);
    }
    (void)closedir(directory);
    (void)rmdir(fixture->directory);
    free(fixture);
    return 0;
}

/* ------------------------------------------------------------------------- payments */

/* The presentation number `attempt` of payment number `number`, of 1000 units. */
__attribute__((unused)) static struct x402_admit presentation(unsigned number,
                                                              unsigned attempt)
{
    struct x402_admit admit = {0};
    uint64_t now = (uint64_t)x402_clock_seconds();

    admit.verified.dialect = X402_DIALECT_V2;
    admit.verified.scheme = X402_SCHEME_EXACT;
    admit.verified.chain_id = CHAIN;
    memset(admit.verified.asset20, 0xa5, 20);
    memset(admit.verified.from20, 0xf0, 20);
    memset(admit.verified.to20, 0x70, 20);
    memcpy(admit.verified.nonce32, &number, sizeof(number));
    memset(admit.verified.signature65, 0x51, 65);
    admit.verified.value = 1000;
    admit.verified.valid_after_seconds = 0;
    admit.verified.valid_before_seconds = now + 300;
    memcpy(admit.attempt16, &number, sizeof(number));
    admit.credit = (struct x402_credit){false, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    admit.attempt16[15] = 1; /* never all zero: that is nobody's */
    memcpy(admit.attempt16 + 8, &attempt, sizeof(attempt));
    snprintf(admit.route, sizeof(admit.route), "/weather");
    return admit;
}

__attribute__((unused)) static enum x402_admission admit_on(struct x402_ledger *ledger,
                                                            struct x402_admit *admit)
{
    assert_int_equal(x402_ledger_commit(ledger, "test", NULL, 0, admit, 1, NULL, NULL),
                     X402_OK);
    return admit->admission;
}

/* Whether it was applied. */
__attribute__((unused)) static bool outcome_on(struct x402_ledger *ledger,
                                               const struct x402_admit *admit,
                                               enum x402_event event)
{
    struct x402_outcome outcome = {.payment_id = admit->payment_id, .event = event};

    memcpy(outcome.attempt16, admit->attempt16, 16);
    assert_int_equal(
        x402_ledger_commit(ledger, "test", &outcome, 1, NULL, 0, NULL, NULL), X402_OK);
    return outcome.applied;
}

/* Admits and delivers payment `number`; its id. */
__attribute__((unused)) static int64_t sell(struct x402_ledger *ledger, unsigned number)
{
    struct x402_admit admit = presentation(number, 0);

    assert_int_equal(admit_on(ledger, &admit), X402_ADMISSION_NEW);
    assert_true(outcome_on(ledger, &admit, X402_EVENT_DELIVERED));
    return admit.payment_id;
}

/* A verdict about a payment, in block 100, at 40000 gas and 5 gwei. */
__attribute__((unused)) static struct x402_verdict told(int64_t id,
                                                        enum x402_event event)
{
    struct x402_verdict verdict = {.payment_id = id,
                                   .event = event,
                                   .block_number = 100,
                                   .payers_fault = event == X402_EVENT_FAILED};

    if (event == X402_EVENT_SETTLED) {
        verdict.gas_used = 40000;
        verdict.fee_wei = 200000000000000;
    }
    memset(verdict.hash32, 0xaa, 32);
    memset(verdict.block_hash32, 0xbb, 32);
    snprintf(verdict.reason, sizeof(verdict.reason), "funds: balance too low");
    return verdict;
}

/* Whether the chain's event was applied. */
__attribute__((unused)) static bool chain_on(struct x402_ledger *ledger, int64_t id,
                                             enum x402_event event)
{
    struct x402_verdict verdict = told(id, event);

    assert_int_equal(x402_ledger_advance(ledger, &verdict, 1), X402_OK);
    return verdict.applied;
}

struct row_search {
    int64_t id;
    bool found;
    struct x402_payment_row row;
};

static bool row_match(const struct x402_payment_row *row, void *data)
{
    struct row_search *search = data;

    if (row->settlement.payment_id == search->id) {
        search->row = *row;
        search->found = true;
    }
    return !search->found;
}

__attribute__((unused)) static struct x402_payment_row row_of(
    struct x402_ledger *ledger, int64_t id)
{
    struct x402_payment_filter filter = {.limit = 1000000};
    struct row_search search = {.id = id};

    assert_int_equal(x402_ledger_payments(ledger, &filter, row_match, &search),
                     X402_OK);
    assert_true(search.found);
    return search.row;
}

__attribute__((unused)) static void assert_state(struct x402_ledger *ledger, int64_t id,
                                                 enum x402_delivery delivery,
                                                 enum x402_money money)
{
    struct x402_payment_row row = row_of(ledger, id);

    assert_string_equal(x402_delivery_name(row.settlement.state.delivery),
                        x402_delivery_name(delivery));
    assert_string_equal(x402_money_name(row.settlement.state.money),
                        x402_money_name(money));
}

__attribute__((unused)) static void assert_books(struct x402_ledger *ledger)
{
    char message[X402_LEDGER_MESSAGE_MAX];
    enum x402_error error = x402_ledger_books(ledger, message);

    assert_string_equal(message, "");
    assert_int_equal(error, X402_OK);
}

__attribute__((unused)) static struct x402_totals totals_of(struct x402_ledger *ledger)
{
    struct x402_totals totals[X402_TOTALS_MAX];
    size_t count = 0;

    assert_int_equal(x402_ledger_totals(ledger, totals, X402_TOTALS_MAX, &count),
                     X402_OK);
    assert_int_equal(count, 1);
    return totals[0];
}

/* Writes to the file behind the ledger's back. */
__attribute__((unused)) static void tamper(struct fixture *fixture, const char *sql)
{
    sqlite3 *db = NULL;
    char *why = NULL;

    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    (void)sqlite3_exec(db, sql, NULL, NULL, &why);
    if (why != NULL) {
        fail_msg("%s: %s", sql, why);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* The number that a query gives, behind the ledger's back. */
__attribute__((unused)) static int64_t number_of(struct fixture *fixture,
                                                 const char *sql)
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

#endif
