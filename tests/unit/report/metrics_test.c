#include "support.h"

/* The text of the metrics; to be freed. */
static char *metrics_of(struct x402_ledger *ledger,
                        const struct x402_report_options *how)
{
    struct x402_text_buffer text = {0};

    x402_report_metrics(&text, ledger, how);
    assert_false(text.failed);
    return text.data;
}

/* Whether this is a whole line of it. */
static void assert_line(const char *metrics, const char *line)
{
    char wanted[512];

    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    if (strstr(metrics, wanted) == NULL)
        fail_msg("no %s in\n%s", line, metrics);
}

/* The token's labels, with its address as it is written. */
static const char *token_labels(void)
{
    static char labels[128];
    char address[X402_ADDRESS_TEXT_SIZE];

    x402_address_encode(address, network.asset20);
    snprintf(labels, sizeof labels,
             "network=\"base-sepolia\",token=\"USDC\",asset=\"%s\"", address);
    return labels;
}

static void assert_sample(const char *metrics, const char *name, const char *before,
                          const char *after, const char *value)
{
    char line[512];

    snprintf(line, sizeof line, "%s{%s%s%s} %s", name, before, token_labels(), after,
             value);
    assert_line(metrics, line);
}

static void requests_are_counted_by_what_became_of_them(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sales sales = sales_of("/a \"quoted\"\\\n", 3);

    sales.offered = 11;
    sales.refused = 2;
    sales.failed = (struct x402_count){1, 1000};
    sales.shadow = (struct x402_count){4, 4500};
    note(fixture->ledger, &sales, 1);
    note(fixture->ledger, &sales, 1);
    char *metrics = metrics_of(fixture->ledger, &in_private);
    static const char route[] = "route=\"/a \\\"quoted\\\"\\\\\\n\",";
    static const char name[] = "x402_requests_total";
    assert_sample(metrics, name, route, ",result=\"offered\"", "22");
    assert_sample(metrics, name, route, ",result=\"refused\"", "4");
    assert_sample(metrics, name, route, ",result=\"delivered\"", "6");
    assert_sample(metrics, name, route, ",result=\"failed\"", "2");
    assert_sample(metrics, name, route, ",result=\"shadow\"", "8");
    assert_sample(metrics, "x402_revenue_tokens_total", route, "", "0.006");
    assert_sample(metrics, "x402_failed_tokens_total", route, "", "0.002");
    assert_sample(metrics, "x402_shadow_tokens_total", route, "", "0.009");
    free(metrics);
}

static void counters_do_not_forget_with_the_days(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sales sales = sales_of("/weather", 3);

    note(fixture->ledger, &sales, 1);
    clock_forward(fixture, (X402_ACTIVITY_DAYS + 10) * 86400L);
    note(fixture->ledger, &sales, 1);
    char *metrics = metrics_of(fixture->ledger, &in_private);
    assert_sample(metrics, "x402_revenue_tokens_total", "route=\"/weather\",", "",
                  "0.006");
    free(metrics);
}

static void refusals_are_there_before_the_first(void **state)
{
    struct fixture *fixture = *state;
    struct x402_activity activity = {.sales_count = 0};

    activity.refusals[X402_ERR_RATE] = 2;
    assert_int_equal(x402_ledger_note(fixture->ledger, &activity), X402_OK);
    char *metrics = metrics_of(fixture->ledger, &in_private);
    assert_line(metrics, "x402_refusals_total{reason=\"rate_limited\"} 2");
    assert_line(metrics,
                "x402_refusals_total{reason=\"invalid_exact_evm_signature\"} 0");
    assert_null(strstr(metrics, "reason=\"Payment required\""));
    free(metrics);
}

static void a_histogram_counts_what_is_below_its_bounds(void **state)
{
    struct fixture *fixture = *state;
    struct x402_activity activity = {.sales_count = 0};
    struct x402_histogram *calls = &activity.measures[X402_MEASURE_CALL];
    struct x402_histogram *batches = &activity.measures[X402_MEASURE_BATCH];

    x402_histogram_add(calls, 1023);
    x402_histogram_add(calls, 1024);
    x402_histogram_add(calls, 1000000000);
    for (uint64_t i = 1; i <= 4; i++)
        x402_histogram_add(batches, i);
    assert_int_equal(x402_ledger_note(fixture->ledger, &activity), X402_OK);
    char *metrics = metrics_of(fixture->ledger, &in_private);
    assert_line(metrics, "x402_call_duration_seconds_bucket{le=\"0.000512\"} 0");
    assert_line(metrics, "x402_call_duration_seconds_bucket{le=\"0.001024\"} 1");
    assert_line(metrics, "x402_call_duration_seconds_bucket{le=\"0.002048\"} 2");
    assert_line(metrics, "x402_call_duration_seconds_bucket{le=\"134.217728\"} 2");
    assert_line(metrics, "x402_call_duration_seconds_bucket{le=\"+Inf\"} 3");
    assert_line(metrics, "x402_call_duration_seconds_count 3");
    assert_line(metrics, "x402_call_duration_seconds_sum 1000.002047");
    assert_line(metrics, "x402_settlement_batch_payments_bucket{le=\"1\"} 1");
    assert_line(metrics, "x402_settlement_batch_payments_bucket{le=\"3\"} 3");
    assert_line(metrics, "x402_settlement_batch_payments_sum 10");
    free(metrics);
}

static void queue_and_exposure_are_what_the_ledger_says(void **state)
{
    struct fixture *fixture = *state;
    int64_t id;

    clock_stop(fixture);
    id = sell(fixture->ledger, 1);
    (void)sell(fixture->ledger, 2);
    assert_true(chain_on(fixture->ledger, id, X402_EVENT_SETTLED));
    clock_forward(fixture, 100);
    char *metrics = metrics_of(fixture->ledger, &in_private);
    assert_sample(metrics, "x402_payments", "", ",state=\"due\"", "1");
    assert_sample(metrics, "x402_payments", "", ",state=\"settled\"", "1");
    assert_sample(metrics, "x402_deliveries", "", ",state=\"delivered\"", "2");
    assert_sample(metrics, "x402_due_payments", "", "", "1");
    assert_sample(metrics, "x402_unsettled_tokens", "", "", "0.001");
    assert_sample(metrics, "x402_payers", "", "", "1");
    assert_sample(metrics, "x402_settlement_gas", "", "", "40000");
    assert_sample(metrics, "x402_settlement_fees_ether", "", "", "0.0002");
    assert_sample(metrics, "x402_due_oldest_seconds", "", "", "100");
    free(metrics);
}

static void the_settlers_of_a_chain_are_told_together_and_keys_in_private(void **state)
{
    struct fixture *fixture = *state;
    struct x402_settler_state second = {.chain_id = CHAIN, .in_flight = 3};

    settler_speaks(fixture->ledger);
    clock_forward(fixture, 50);
    memset(second.signer20, 0x58, 20);
    assert_int_equal(x402_ledger_settler_note(fixture->ledger, &second), X402_OK);
    char *metrics = metrics_of(fixture->ledger, &in_private);
    assert_line(metrics, "x402_settler_in_flight{network=\"base-sepolia\"} 5");
    assert_line(metrics, "x402_settlers_troubled{network=\"base-sepolia\"} 1");
    assert_line(metrics, "x402_chain_latest_block{network=\"base-sepolia\"} 120");
    assert_line(metrics, "x402_gas_balance_ether{network=\"base-sepolia\",address="
                         "\"0x5757575757575757575757575757575757575757\"} "
                         "1.234567890123456789");
    free(metrics);
    metrics = metrics_of(fixture->ledger, &in_public);
    assert_null(strstr(metrics, "gas_balance"));
    assert_null(strstr(metrics, "0x5757"));
    free(metrics);
}

/* Not the handle's fault alone: any failure to read is told so, and nothing else. */
static void a_ledger_that_cannot_be_read_is_down_and_nothing_is_guessed(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *raw = NULL;

    (void)sell(fixture->ledger, 1);
    assert_int_equal(sqlite3_open(fixture->path, &raw), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(raw, "ALTER TABLE settler RENAME TO gone", NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_close(raw), SQLITE_OK);
    char *metrics = metrics_of(fixture->ledger, &in_private);
    assert_line(metrics, "x402_ledger_up 0");
    assert_null(strstr(metrics, "x402_payments"));
    free(metrics);
}

static void a_ledger_that_can_be_read_is_up(void **state)
{
    struct fixture *fixture = *state;
    char *metrics = metrics_of(fixture->ledger, &in_private);

    assert_line(metrics, "x402_ledger_up 1");
    free(metrics);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(requests_are_counted_by_what_became_of_them),
        TEST(counters_do_not_forget_with_the_days),
        TEST(refusals_are_there_before_the_first),
        TEST(a_histogram_counts_what_is_below_its_bounds),
        TEST(queue_and_exposure_are_what_the_ledger_says),
        TEST(the_settlers_of_a_chain_are_told_together_and_keys_in_private),
        TEST(a_ledger_that_cannot_be_read_is_down_and_nothing_is_guessed),
        TEST(a_ledger_that_can_be_read_is_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
