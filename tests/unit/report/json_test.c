#include "support.h"

static void an_empty_ledger_has_a_whole_document(void **state)
{
    struct fixture *fixture = *state;
    json_t *document = document_of(fixture->ledger, &in_public);
    static const char *const lists[] = {"tokens", "routes", "refusals", "settlers",
                                        "payments"};

    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++)
        assert_int_equal(json_array_size(at(document, lists[i])), 0);
    assert_number(document, "week.calls", 0);
    assert_true(json_is_null(at(document, "week.p50")));
    assert_true(json_is_null(at(document, "measures.settle.p99")));
    assert_true(json_is_true(at(document, "enforced")));
    assert_true(json_is_false(at(document, "private")));
    json_decref(document);
}

static void the_week_has_calls_revenue_latency_and_callers(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sales sales[] = {sales_of("/weather", 3), sales_of("/other", 1)};
    struct x402_activity activity = {.sales = sales, .sales_count = 2};

    for (unsigned i = 0; i < 4; i++)
        (void)sell(fixture->ledger, i);
    for (unsigned i = 1; i <= 100; i++)
        x402_histogram_add(&activity.measures[X402_MEASURE_CALL], 1000 * i);
    assert_int_equal(x402_ledger_note(fixture->ledger, &activity), X402_OK);
    json_t *document = document_of(fixture->ledger, &in_public);
    assert_number(document, "week.calls", 4);
    assert_number(document, "week.callers", 1);
    json_int_t p50 = json_integer_value(at(document, "week.p50"));
    assert_in_range(p50, 50000 * 7 / 8, 50000 * 9 / 8);
    assert_number(document, "measures.call.count", 100);
    assert_number(document, "tokens.0.calls", 4);
    assert_text(document, "tokens.0.revenue", "4000");
    assert_text(document, "tokens.0.network", "eip155:84532");
    assert_text(document, "tokens.0.name", "base-sepolia");
    assert_text(document, "tokens.0.symbol", "USDC");
    assert_number(document, "tokens.0.decimals", 6);
    assert_true(json_is_true(at(document, "tokens.0.test")));
    assert_number(document, "tokens.0.queue.count", 4);
    assert_text(document, "tokens.0.queue.value", "4000");
    assert_text(document, "tokens.0.unsettled.value", "4000");
    assert_number(document, "tokens.0.totals.money.due.count", 4);
    json_decref(document);
}

static void what_is_unsettled_is_served_and_not_owed(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit held = presentation(1, 0), first = presentation(2, 0);

    first.credit.settle_first = true;
    assert_int_equal(admit_on(fixture->ledger, &held), X402_ADMISSION_NEW);
    assert_int_equal(admit_on(fixture->ledger, &first), X402_ADMISSION_SETTLING);
    json_t *document = document_of(fixture->ledger, &in_public);
    assert_number(document, "tokens.0.unsettled.count", 1);
    assert_number(document, "tokens.0.queue.count", 1);
    json_decref(document);
    assert_true(outcome_on(fixture->ledger, &held, X402_EVENT_VOID));
    document = document_of(fixture->ledger, &in_public);
    assert_number(document, "tokens.0.unsettled.count", 0);
    assert_text(document, "tokens.0.unsettled.value", "0");
    json_decref(document);
}

static void hours_end_with_this_one(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sales early = sales_of("/weather", 2), late = sales_of("/weather", 5);
    int64_t now = x402_clock_seconds();

    note(fixture->ledger, &early, 1);
    clock_forward(fixture, 24 * X402_HOUR_SECONDS);
    note(fixture->ledger, &late, 1);
    json_t *document = document_of(fixture->ledger, &in_public);
    json_t *calls = at(document, "tokens.0.hours.calls");
    assert_int_equal(json_array_size(calls), X402_REPORT_HOURS);
    assert_int_equal(json_array_size(at(document, "tokens.0.hours.revenue")), 168);
    assert_int_equal(json_array_size(at(document, "tokens.0.hours.shadow")), 168);
    json_int_t first = json_integer_value(at(document, "tokens.0.hours.first"));
    size_t last = (size_t)(now / X402_HOUR_SECONDS + 24 - first);
    assert_in_range(last, 166, 167); /* the hour may have ended meanwhile */
    assert_int_equal(json_integer_value(json_array_get(calls, last)), 5);
    assert_int_equal(json_integer_value(json_array_get(calls, last - 24)), 2);
    json_decref(document);
}

static void what_is_older_than_a_week_is_not_of_the_week(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sales sales = sales_of("/weather", 2);

    note(fixture->ledger, &sales, 1);
    clock_forward(fixture, 8 * 86400);
    json_t *document = document_of(fixture->ledger, &in_public);
    assert_number(document, "week.calls", 0);
    assert_int_equal(json_array_size(at(document, "routes")), 0);
    json_decref(document);
}

static void routes_that_earned_most_come_first(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sales sales[] = {sales_of("/few", 1), sales_of("/many", 9),
                                 sales_of("/asked", 0)};

    sales[2].offered = 7;
    sales[2].refused = 3;
    note(fixture->ledger, sales, 3);
    json_t *document = document_of(fixture->ledger, &in_public);
    assert_text(document, "routes.0.route", "/many");
    assert_number(document, "routes.0.calls", 9);
    assert_text(document, "routes.0.revenue", "9000");
    assert_text(document, "routes.1.route", "/few");
    assert_number(document, "routes.2.offered", 7);
    assert_number(document, "routes.2.refused", 3);
    json_decref(document);
}

static void routes_beyond_the_bound_are_added_up_by_token(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sales *sales = calloc(300, sizeof *sales);
    json_int_t calls = 0;
    size_t i;
    json_t *route;

    assert_non_null(sales);
    for (i = 0; i < 300; i++) {
        char name[16];
        snprintf(name, sizeof name, "/%03zu", i);
        sales[i] = sales_of(name, i + 1);
    }
    sales[299].asset20[0] = 0xff; /* read last */
    note(fixture->ledger, sales, 300);
    json_t *document = document_of(fixture->ledger, &in_public);
    json_t *routes = at(document, "routes");
    const size_t named = X402_REPORT_ROUTES_MAX - X402_TOTALS_MAX;
    assert_int_equal(json_array_size(routes), named + 2);
    json_array_foreach(routes, i, route) calls +=
        json_integer_value(json_object_get(route, "calls"));
    assert_int_equal(calls, 300 * 301 / 2);
    for (i = named; i < named + 2; i++)
        assert_string_equal(
            json_string_value(json_object_get(json_array_get(routes, i), "route")),
            "(others)");
    assert_number(document, "routes.225.calls", 300);
    json_decref(document);
    free(sales);
}

static void a_shadow_sale_of_a_token_never_taken_is_shown(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sales sales = sales_of("/weather", 0);

    sales.shadow = (struct x402_count){4, 4000};
    note(fixture->ledger, &sales, 1);
    json_t *document = document_of(fixture->ledger, &in_public);
    assert_text(document, "tokens.0.shadow.value", "4000");
    assert_text(document, "tokens.0.revenue", "0");
    assert_text(document, "tokens.0.hours.shadow.167", "4000");
    assert_number(document, "week.calls", 0);
    json_decref(document);
}

static void refusals_are_named_most_first(void **state)
{
    struct fixture *fixture = *state;
    struct x402_activity activity = {.sales_count = 0};

    activity.refusals[X402_ERR_RATE] = 2;
    activity.refusals[X402_ERR_SIGNATURE] = 5;
    assert_int_equal(x402_ledger_note(fixture->ledger, &activity), X402_OK);
    json_t *document = document_of(fixture->ledger, &in_public);
    assert_int_equal(json_array_size(at(document, "refusals")), 2);
    assert_text(document, "refusals.0.code", "invalid_exact_evm_signature");
    assert_number(document, "refusals.0.count", 5);
    assert_text(document, "refusals.1.title", "Too many paid calls");
    json_decref(document);
}

static void days_have_what_settled_and_what_it_cost_newest_first(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);

    assert_true(chain_on(fixture->ledger, id, X402_EVENT_SETTLED));
    json_t *document = document_of(fixture->ledger, &in_public);
    assert_int_equal(json_array_size(at(document, "tokens.0.days")), 7);
    assert_number(document, "tokens.0.days.0.settled.count", 1);
    assert_text(document, "tokens.0.days.0.gas", "40000");
    assert_text(document, "tokens.0.days.0.feeWei", "200000000000000");
    json_int_t today = json_integer_value(at(document, "tokens.0.days.0.day"));
    assert_number(document, "tokens.0.days.6.day", today - 6);
    json_decref(document);
}

static void in_private_a_payment_leads_to_its_receipt_and_transaction(void **state)
{
    struct fixture *fixture = *state;
    int64_t id = sell(fixture->ledger, 1);
    char hash[67] = "0x", url[128];

    assert_true(chain_on(fixture->ledger, id, X402_EVENT_SETTLED));
    json_t *document = document_of(fixture->ledger, &in_private);
    memset(hash + 2, 'a', 64);
    snprintf(url, sizeof url, "https://explorer.example/tx/%s", hash);
    assert_number(document, "payments.0.id", id);
    assert_text(document, "payments.0.payer",
                "0xF0F0F0f0f0F0F0f0f0F0f0f0f0f0F0F0f0f0f0F0");
    assert_text(document, "payments.0.transaction", hash);
    assert_text(document, "payments.0.explorer", url);
    const char *receipt = json_string_value(at(document, "payments.0.receipt"));
    assert_memory_equal(receipt, "/x402/receipts/", 15);
    assert_int_equal(strlen(receipt), 15 + 22);
    assert_text(document, "payments.0.receiptId", receipt + 15);
    assert_text(document, "payments.0.money", "settled");
    json_decref(document);
}

static void without_a_key_receipts_have_no_names(void **state)
{
    struct fixture *fixture = *state;
    struct x402_report_options how = in_private;

    (void)sell(fixture->ledger, 1);
    how.receipt_key32 = NULL;
    json_t *document = document_of(fixture->ledger, &how);
    assert_text(document, "payments.0.receipt", "");
    assert_text(document, "payments.0.explorer", "");
    json_decref(document);
}

static void a_settler_says_how_it_fares(void **state)
{
    struct fixture *fixture = *state;

    clock_stop(fixture);
    settler_speaks(fixture->ledger);
    clock_forward(fixture, 30);
    json_t *document = document_of(fixture->ledger, &in_private);
    assert_text(document, "settlers.0.name", "base-sepolia");
    assert_number(document, "settlers.0.heardSeconds", 30);
    assert_number(document, "settlers.0.inFlight", 2);
    assert_number(document, "settlers.0.latestBlock", 120);
    assert_true(json_is_null(at(document, "settlers.0.safeBlock")));
    assert_text(document, "settlers.0.trouble", TROUBLE);
    assert_text(document, "settlers.0.gasWei", "1234567890123456789");
    json_decref(document);
}

static void in_public_nobody_and_no_key_is_named(void **state)
{
    struct fixture *fixture = *state;
    struct x402_report *report = malloc(sizeof *report);
    struct x402_text_buffer text = {0};
    int64_t failed = sell(fixture->ledger, 1), settled = sell(fixture->ledger, 2);
    struct x402_verdict verdict = told(failed, X402_EVENT_FAILED);
    static const char *const secrets[] = {
        "payer\"",  "receipt",    "transaction", "explorer\"", "address", "gasWei",
        "owner",    "trouble\"",  "baseFee",     "0xf0F0",     "0xaaaa",  "5757575757",
        "0x857b06", "settler-ho", "1234567890",  "f0f0f0",     "\"id\""};

    snprintf(
        verdict.reason, sizeof verdict.reason,
        "insufficient_funds: 0x857b06519E91e3A54538791bDbb0E22373e36b66 has 3 units");
    assert_non_null(report);
    assert_int_equal(x402_ledger_advance(fixture->ledger, &verdict, 1), X402_OK);
    assert_true(verdict.applied);
    assert_true(chain_on(fixture->ledger, settled, X402_EVENT_SETTLED));
    settler_speaks(fixture->ledger);
    assert_int_equal(x402_report_read(report, fixture->ledger, &in_public), X402_OK);
    x402_report_json(&text, report, &in_public);
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        if (strcasestr(text.data, secrets[i]) != NULL)
            fail_msg("%s in %s", secrets[i], text.data);
    }
    assert_non_null(strstr(text.data, "\"troubled\":true"));
    assert_non_null(
        strstr(text.data, "\"reason\":\"The payer does not have the money\""));
    free(text.data);
    free(report);
}

static void in_public_a_payment_has_the_minute_it_was_made_in(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    json_t *inside = document_of(fixture->ledger, &in_private);
    json_t *document = document_of(fixture->ledger, &in_public);
    json_int_t made = json_integer_value(at(inside, "payments.0.time"));
    assert_number(document, "payments.0.time", made / 60 * 60);
    json_decref(document);
    json_decref(inside);
}

static void one_path_is_sold_once_and_a_pattern_is_not_told_in_public(void **state)
{
    struct fixture *fixture = *state;
    struct x402_report_sale sold[] = {sale, sale, sale, sale, sale};
    struct x402_report_options how = in_public;

    sold[0].path = "/a/";
    sold[1].path = "/a";
    sold[1].exact = true;
    sold[2].path = "^/a(?:/|$)";
    sold[2].buyable = false;
    sold[3].path = "/a";
    sold[3].price = "0.5";
    sold[4].path = "/";
    how.sales = sold;
    how.sales_count = 5;
    json_t *document = document_of(fixture->ledger, &how);
    assert_int_equal(json_array_size(at(document, "sold")), 3);
    assert_text(document, "sold.0.path", "/a");
    assert_true(json_is_false(at(document, "sold.0.exact")));
    assert_text(document, "sold.1.price", "0.5");
    assert_text(document, "sold.2.path", "/");
    json_decref(document);
    how.private = true;
    document = document_of(fixture->ledger, &how);
    assert_int_equal(json_array_size(at(document, "sold")), 4);
    json_decref(document);
}

static void what_is_sold_is_told_as_it_is_configured(void **state)
{
    struct fixture *fixture = *state;
    struct x402_report_sale shadow = sale;
    struct x402_report_options how = in_public;

    json_t *document = document_of(fixture->ledger, &in_public);
    assert_text(document, "sold.0.path", "/weather");
    assert_text(document, "sold.0.price", "0.001");
    assert_text(document, "sold.0.description", "the \"weather\", \xef\xbf\xbd\n now");
    assert_text(document, "sold.0.networks.1", "base");
    assert_int_equal(json_array_size(at(document, "sold.0.networks")), 2);
    json_decref(document);
    shadow.enforced = false;
    how.sales = &shadow;
    how.unenforced = true;
    document = document_of(fixture->ledger, &how);
    assert_true(json_is_false(at(document, "enforced")));
    json_decref(document);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_ledger_has_a_whole_document),
        TEST(the_week_has_calls_revenue_latency_and_callers),
        TEST(what_is_unsettled_is_served_and_not_owed),
        TEST(hours_end_with_this_one),
        TEST(what_is_older_than_a_week_is_not_of_the_week),
        TEST(routes_that_earned_most_come_first),
        TEST(routes_beyond_the_bound_are_added_up_by_token),
        TEST(a_shadow_sale_of_a_token_never_taken_is_shown),
        TEST(refusals_are_named_most_first),
        TEST(days_have_what_settled_and_what_it_cost_newest_first),
        TEST(in_private_a_payment_leads_to_its_receipt_and_transaction),
        TEST(without_a_key_receipts_have_no_names),
        TEST(a_settler_says_how_it_fares),
        TEST(in_public_nobody_and_no_key_is_named),
        TEST(in_public_a_payment_has_the_minute_it_was_made_in),
        TEST(one_path_is_sold_once_and_a_pattern_is_not_told_in_public),
        TEST(what_is_sold_is_told_as_it_is_configured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
