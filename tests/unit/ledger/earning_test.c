/* What each route earned and cost. A payment is of 1000 units; settling it costs 40000
 * gas and 200000 gwei. */
#include "fixture.h"

#define GAS 40000
#define FEE 200000000000000

struct earnings {
    struct x402_earning all[200];
    size_t count;
    size_t stop_after; /* 0: never */
};

static bool earning_take(const struct x402_earning *earning, void *data)
{
    struct earnings *earnings = data;

    assert_true(earnings->count < 200);
    earnings->all[earnings->count++] = *earning;
    return earnings->count != earnings->stop_after;
}

static int64_t today(void)
{
    return x402_clock_seconds() / 86400;
}

static struct earnings earnings_of(struct x402_ledger *ledger)
{
    struct earnings earnings = {.count = 0};

    assert_int_equal(
        x402_ledger_earnings(ledger, 0, INT64_MAX, earning_take, &earnings), X402_OK);
    return earnings;
}

static struct x402_earning only_earning(struct x402_ledger *ledger)
{
    struct earnings earnings = earnings_of(ledger);

    assert_int_equal(earnings.count, 1);
    return earnings.all[0];
}

static int64_t sell_on(struct x402_ledger *ledger, unsigned number, const char *route)
{
    struct x402_admit admit = presentation(number, 0);

    snprintf(admit.route, sizeof(admit.route), "%s", route);
    assert_int_equal(admit_on(ledger, &admit), X402_ADMISSION_NEW);
    assert_true(outcome_on(ledger, &admit, X402_EVENT_DELIVERED));
    return admit.payment_id;
}

static void nothing_is_earned_before_it_is_settled(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    assert_int_equal(earnings_of(fixture->ledger).count, 0);
}

static void what_is_settled_is_earned_on_its_route_today(void **state)
{
    struct fixture *fixture = *state;
    struct x402_earning earning;

    for (unsigned i = 0; i < 3; i++) {
        assert_true(
            chain_on(fixture->ledger, sell(fixture->ledger, i), X402_EVENT_SETTLED));
    }
    earning = only_earning(fixture->ledger);
    assert_int_equal(earning.day, today());
    assert_int_equal(earning.chain_id, CHAIN);
    assert_int_equal(earning.asset20[0], 0xa5);
    assert_string_equal(earning.route, "/weather");
    assert_int_equal(earning.settled.count, 3);
    assert_int_equal(earning.settled.value, 3000);
    assert_int_equal(earning.failed.count, 0);
    assert_int_equal(earning.gas_used, 3 * GAS);
    assert_int_equal(earning.fee_wei, 3ull * FEE);
    assert_books(fixture->ledger);
}

static void becoming_final_earns_nothing_more(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);

    assert_true(chain_on(fixture->ledger, id, X402_EVENT_SETTLED));
    assert_true(chain_on(fixture->ledger, id, X402_EVENT_FINAL));
    assert_int_equal(only_earning(fixture->ledger).settled.count, 1);
    assert_int_equal(only_earning(fixture->ledger).gas_used, GAS);
    assert_books(fixture->ledger);
}

static void a_reorganization_takes_back_what_it_undid(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);
    struct x402_earning earning;

    assert_true(chain_on(fixture->ledger, id, X402_EVENT_SETTLED));
    assert_true(chain_on(fixture->ledger, id, X402_EVENT_UNSETTLED));
    earning = only_earning(fixture->ledger);
    assert_int_equal(earning.settled.count, 0);
    assert_int_equal(earning.settled.value, 0);
    assert_int_equal(earning.gas_used, 0);
    assert_int_equal(earning.fee_wei, 0);
    assert_true(chain_on(fixture->ledger, id, X402_EVENT_SETTLED));
    assert_int_equal(only_earning(fixture->ledger).gas_used, GAS);
    assert_books(fixture->ledger);
}

static void moving_to_another_block_in_one_call_is_no_loss(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);
    struct x402_verdict verdicts[2] = {told(id, X402_EVENT_UNSETTLED),
                                       told(id, X402_EVENT_SETTLED)};

    assert_true(chain_on(fixture->ledger, id, X402_EVENT_SETTLED));
    verdicts[1].block_number = 101;
    verdicts[1].gas_used = 50000;
    assert_int_equal(x402_ledger_advance(fixture->ledger, verdicts, 2), X402_OK);
    assert_true(verdicts[0].applied && verdicts[1].applied);
    assert_int_equal(only_earning(fixture->ledger).settled.count, 1);
    assert_int_equal(only_earning(fixture->ledger).gas_used, 50000);
    assert_int_equal(row_of(fixture->ledger, id).block_number, 101);
    assert_books(fixture->ledger);
}

static void gas_spent_in_vain_is_a_cost(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);
    static const uint8_t raw[] = {2};
    struct x402_outbox outbox = {.chain_id = CHAIN, .raw = raw, .raw_size = 1};
    struct x402_verdict reverted = told(id, X402_EVENT_UNSETTLED);
    struct x402_verdict failed = told(id, X402_EVENT_FAILED);
    struct x402_earning earning;

    assert_int_equal(x402_ledger_submit(fixture->ledger, &outbox, &id, 1), X402_OK);
    reverted.gas_used = 21000;
    reverted.fee_wei = 7;
    assert_int_equal(x402_ledger_advance(fixture->ledger, &reverted, 1), X402_OK);
    failed.gas_used = 1000;
    assert_int_equal(x402_ledger_advance(fixture->ledger, &failed, 1), X402_OK);
    earning = only_earning(fixture->ledger);
    assert_int_equal(earning.settled.count, 0);
    assert_int_equal(earning.failed.count, 1);
    assert_int_equal(earning.failed.value, 1000);
    assert_int_equal(earning.gas_used, 22000);
    assert_int_equal(earning.fee_wei, 7);
    assert_books(fixture->ledger);
}

static void a_verdict_left_out_costs_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct x402_verdict verdict =
        told(sell(fixture->ledger, 1), X402_EVENT_FINAL); /* it is due */

    verdict.gas_used = 1000;
    assert_int_equal(x402_ledger_advance(fixture->ledger, &verdict, 1), X402_OK);
    assert_false(verdict.applied);
    assert_int_equal(earnings_of(fixture->ledger).count, 0);
}

static void what_fails_before_it_is_served_is_no_loss_but_its_gas(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);
    struct x402_verdict failed;
    struct x402_earning earning;

    admit.credit.settle_first = true;
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    failed = told(admit.payment_id, X402_EVENT_FAILED);
    failed.gas_used = 900;
    assert_int_equal(x402_ledger_advance(fixture->ledger, &failed, 1), X402_OK);
    earning = only_earning(fixture->ledger);
    assert_int_equal(earning.failed.count, 0);
    assert_int_equal(earning.gas_used, 900);
    assert_books(fixture->ledger);
}

static void what_fails_under_a_call_is_a_loss_once_it_is_delivered(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);
    struct x402_admit serving = presentation(1, 1);

    admit.credit.settle_first = true;
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    assert_true(chain_on(fixture->ledger, admit.payment_id, X402_EVENT_SETTLED));
    assert_int_equal(admit_on(fixture->ledger, &serving), X402_ADMISSION_NEW);
    assert_true(chain_on(fixture->ledger, admit.payment_id, X402_EVENT_UNSETTLED));
    assert_true(chain_on(fixture->ledger, admit.payment_id, X402_EVENT_FAILED));
    assert_int_equal(only_earning(fixture->ledger).failed.count, 0);
    assert_true(outcome_on(fixture->ledger, &serving, X402_EVENT_DELIVERED));
    assert_int_equal(only_earning(fixture->ledger).failed.count, 1);
    assert_books(fixture->ledger);
}

static void a_payment_counts_on_the_day_it_was_admitted(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);
    int64_t day = today();

    clock_forward(fixture, 3 * 86400);
    assert_true(chain_on(fixture->ledger, id, X402_EVENT_SETTLED));
    assert_int_equal(only_earning(fixture->ledger).day, day);
    assert_books(fixture->ledger);
}

static void days_come_newest_first_and_only_those_asked_for(void **state)
{
    struct fixture *fixture = *state;
    int64_t day = today();
    struct earnings earnings = {.count = 0};

    for (unsigned i = 0; i < 5; i++) {
        clock_forward(fixture, (long)i * 86400);
        assert_true(
            chain_on(fixture->ledger, sell(fixture->ledger, i), X402_EVENT_SETTLED));
    }
    assert_int_equal(x402_ledger_earnings(fixture->ledger, day + 1, day + 3,
                                          earning_take, &earnings),
                     X402_OK);
    assert_int_equal(earnings.count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(earnings.all[i].day, day + 3 - i);
    }
    earnings = (struct earnings){.stop_after = 2};
    assert_int_equal(
        x402_ledger_earnings(fixture->ledger, 0, day + 9, earning_take, &earnings),
        X402_OK);
    assert_int_equal(earnings.count, 2);
}

/* More than one snapshot hands out. */
static void each_route_and_token_of_a_day_is_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct earnings earnings;

    for (unsigned i = 0; i < 150; i++) {
        struct x402_admit admit = presentation(i, 0);
        snprintf(admit.route, sizeof(admit.route), "/route/%03u", i / 2);
        admit.verified.asset20[0] = (uint8_t)(i % 2);
        assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
        assert_true(outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED));
        assert_true(chain_on(fixture->ledger, admit.payment_id, X402_EVENT_SETTLED));
    }
    earnings = earnings_of(fixture->ledger);
    assert_int_equal(earnings.count, 150);
    for (unsigned i = 0; i < 150; i++) {
        char route[X402_ROUTE_MAX];
        snprintf(route, sizeof(route), "/route/%03u", i % 75);
        assert_string_equal(earnings.all[i].route, route);
        assert_int_equal(earnings.all[i].asset20[0], i / 75);
        assert_int_equal(earnings.all[i].settled.count, 1);
    }
    assert_books(fixture->ledger);
}

/* Rows of ids far apart are counted apart, and given out as one. */
static void blocks_of_ids_are_added_together(void **state)
{
    struct fixture *fixture = *state;

    assert_true(
        chain_on(fixture->ledger, sell(fixture->ledger, 1), X402_EVENT_SETTLED));
    tamper(fixture,
           "UPDATE payment SET id = 40000; UPDATE settled SET payment_id = 40000;"
           "UPDATE flows SET block = 1; UPDATE earning SET block = 1; "
           "UPDATE horizon SET block = 1;"
           "UPDATE live SET stamp = 0"); /* its set is to be built anew */
    assert_books(fixture->ledger);
    assert_true(
        chain_on(fixture->ledger, sell(fixture->ledger, 2), X402_EVENT_SETTLED));
    tamper(fixture, "UPDATE payment SET id = 80000 WHERE id = 40001;"
                    "UPDATE settled SET payment_id = 80000 WHERE payment_id = 40001; "
                    "INSERT INTO horizon SELECT 2, until FROM horizon;"
                    "UPDATE live SET stamp = 0");
    tamper(fixture, "CREATE TEMP TABLE t AS SELECT * FROM flows; DELETE FROM flows;"
                    "INSERT INTO flows SELECT b, token_id, delivery, money, event, 1, "
                    "value_before / 2, value_after / 2 FROM t, (SELECT 1 AS b UNION "
                    "SELECT 2)");
    tamper(fixture,
           "CREATE TEMP TABLE t AS SELECT * FROM earning; DELETE FROM earning;"
           "INSERT INTO earning SELECT day, token_id, route, b, 1, 1000, 0, 0, "
           "gas_used / 2, fee / 2 FROM t, (SELECT 1 AS b UNION SELECT 2)");
    assert_books(fixture->ledger);
    assert_int_equal(only_earning(fixture->ledger).settled.count, 2);
    assert_int_equal(only_earning(fixture->ledger).gas_used, 2 * GAS);
}

static void fees_that_pass_64_bits_stay_at_the_most(void **state)
{
    struct fixture *fixture = *state;
    int64_t ids[3];

    for (unsigned i = 0; i < 3; i++) {
        struct x402_verdict verdict;
        ids[i] = sell(fixture->ledger, i);
        verdict = told(ids[i], X402_EVENT_SETTLED);
        verdict.fee_wei = INT64_MAX;
        assert_int_equal(x402_ledger_advance(fixture->ledger, &verdict, 1), X402_OK);
    }
    assert_true(only_earning(fixture->ledger).fee_wei == UINT64_MAX);
    assert_true(chain_on(fixture->ledger, ids[0], X402_EVENT_UNSETTLED));
    assert_true(only_earning(fixture->ledger).fee_wei == UINT64_MAX);
}

/* More than one transaction holds in memory. */
static void verdicts_on_many_routes_are_all_counted(void **state)
{
    struct fixture *fixture = *state;
    struct x402_verdict verdicts[60];
    struct earnings earnings;

    for (unsigned i = 0; i < 60; i++) {
        char route[X402_ROUTE_MAX];
        snprintf(route, sizeof(route), "/route/%02u", i % 30);
        verdicts[i] = told(sell_on(fixture->ledger, i, route), X402_EVENT_SETTLED);
    }
    assert_int_equal(x402_ledger_advance(fixture->ledger, verdicts, 60), X402_OK);
    earnings = earnings_of(fixture->ledger);
    assert_int_equal(earnings.count, 30);
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(earnings.all[i].settled.count, 2);
        assert_int_equal(earnings.all[i].gas_used, 2 * GAS);
    }
    assert_books(fixture->ledger);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_earned_before_it_is_settled),
        TEST(what_is_settled_is_earned_on_its_route_today),
        TEST(becoming_final_earns_nothing_more),
        TEST(a_reorganization_takes_back_what_it_undid),
        TEST(moving_to_another_block_in_one_call_is_no_loss),
        TEST(gas_spent_in_vain_is_a_cost),
        TEST(a_verdict_left_out_costs_nothing),
        TEST(what_fails_before_it_is_served_is_no_loss_but_its_gas),
        TEST(what_fails_under_a_call_is_a_loss_once_it_is_delivered),
        TEST(a_payment_counts_on_the_day_it_was_admitted),
        TEST(days_come_newest_first_and_only_those_asked_for),
        TEST(each_route_and_token_of_a_day_is_its_own),
        TEST(blocks_of_ids_are_added_together),
        TEST(fees_that_pass_64_bits_stay_at_the_most),
        TEST(verdicts_on_many_routes_are_all_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
