#include "support.h"

static struct x402_readiness readiness_of(struct x402_ledger *ledger)
{
    struct x402_readiness out;

    x402_report_readiness(&out, ledger, 60, 300);
    assert_int_equal(out.ready, out.ledger && out.settler && out.due);
    assert_int_equal(out.ready, out.why[0] == '\0');
    return out;
}

static void a_ledger_that_sold_nothing_is_ready(void **state)
{
    struct fixture *fixture = *state;
    struct x402_readiness ready = readiness_of(fixture->ledger);

    assert_true(ready.ready);
    assert_int_equal(ready.oldest_due_seconds, 0);
}

static void what_sold_wants_a_settler(void **state)
{
    struct fixture *fixture = *state;

    clock_stop(fixture);
    (void)sell(fixture->ledger, 1);
    struct x402_readiness ready = readiness_of(fixture->ledger);
    assert_true(ready.ledger && ready.due);
    assert_false(ready.settler);
    assert_int_equal(ready.heard_seconds, -1);
    assert_string_equal(ready.why, "no settler of base-sepolia has been heard from");
    settler_speaks(fixture->ledger);
    ready = readiness_of(fixture->ledger);
    assert_true(ready.ready);
    assert_int_equal(ready.heard_seconds, 0);
}

static void a_settler_of_another_chain_does_not_count(void **state)
{
    struct fixture *fixture = *state;
    struct x402_settler_state other = {.chain_id = 8453};

    (void)sell(fixture->ledger, 1);
    assert_int_equal(x402_ledger_settler_note(fixture->ledger, &other), X402_OK);
    assert_false(readiness_of(fixture->ledger).settler);
}

static void a_silent_settler_and_an_old_payment_are_both_told(void **state)
{
    struct fixture *fixture = *state;

    clock_stop(fixture);
    (void)sell(fixture->ledger, 1);
    settler_speaks(fixture->ledger);
    clock_forward(fixture, 200);
    struct x402_readiness ready = readiness_of(fixture->ledger);
    assert_false(ready.settler);
    assert_true(ready.due);
    clock_forward(fixture, 400);
    ready = readiness_of(fixture->ledger);
    assert_false(ready.settler || ready.due);
    assert_int_equal(ready.oldest_due_seconds, 400);
    assert_non_null(strstr(ready.why, "no settler of base-sepolia has been heard from "
                                      "for 400 "));
    assert_non_null(strstr(ready.why, "; a payment has been due for 400 "));
}

static void a_chain_without_sales_for_a_day_and_nothing_to_collect_needs_nobody(
    void **state)
{
    struct fixture *fixture = *state;
    struct x402_sales sales = sales_of("/weather", 1);
    int64_t id = sell(fixture->ledger, 1);

    note(fixture->ledger, &sales, 1);
    assert_true(chain_on(fixture->ledger, id, X402_EVENT_SETTLED));
    assert_false(readiness_of(fixture->ledger).ready);
    clock_forward(fixture, 2 * 86400);
    assert_true(readiness_of(fixture->ledger).ready);
}

static void a_ledger_that_cannot_be_read_is_not_ready(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *raw = NULL;

    assert_int_equal(sqlite3_open(fixture->path, &raw), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(raw, "ALTER TABLE settler RENAME TO gone", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_close(raw), SQLITE_OK);
    struct x402_readiness ready = readiness_of(fixture->ledger);
    assert_false(ready.ledger);
    assert_string_equal(ready.why, "the ledger cannot be read");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(a_ledger_that_sold_nothing_is_ready),
        TEST(what_sold_wants_a_settler),
        TEST(a_settler_of_another_chain_does_not_count),
        TEST(a_silent_settler_and_an_old_payment_are_both_told),
        TEST(a_chain_without_sales_for_a_day_and_nothing_to_collect_needs_nobody),
        TEST(a_ledger_that_cannot_be_read_is_not_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
