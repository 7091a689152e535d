#include "fixture.h"

#include "ledger/activity.h"

#include <time.h>

#define WEEK_SECONDS (7 * 86400)

static int64_t hour_now(void)
{
    return x402_clock_seconds() / X402_HOUR_SECONDS;
}

/* To the beginning of the next hour, or a moment later: what follows is in one. */
static void next_hour(struct fixture *fixture)
{
    const int64_t now = time(NULL), moved = x402_clock_seconds() - now;

    clock_forward(fixture, (long)(moved + X402_HOUR_SECONDS + 1 -
                                  (now + moved) % X402_HOUR_SECONDS));
}

static struct x402_sales sales_of(const char *route, uint8_t asset)
{
    struct x402_sales sales = {.chain_id = CHAIN,
                               .offered = 1,
                               .refused = 2,
                               .delivered = {3, 3000},
                               .failed = {4, 4000},
                               .shadow = {5, 5000}};

    snprintf(sales.route, sizeof(sales.route), "%s", route);
    memset(sales.asset20, asset, 20);
    return sales;
}

static void note(struct x402_ledger *ledger, const struct x402_activity *activity)
{
    assert_int_equal(x402_ledger_note(ledger, activity), X402_OK);
}

static void note_sales(struct x402_ledger *ledger, const struct x402_sales *sales)
{
    const struct x402_activity activity = {.sales = sales, .sales_count = 1};

    note(ledger, &activity);
}

struct found {
    size_t count, max;
    int64_t hours[64];
    struct x402_sales sales[64];
};

static bool found_add(int64_t hour, const struct x402_sales *sales, void *data)
{
    struct found *found = data;

    assert_true(found->count < 64);
    found->hours[found->count] = hour;
    found->sales[found->count++] = *sales;
    return found->count != found->max;
}

static struct found find(struct x402_ledger *ledger, int64_t first, int64_t last)
{
    struct found found = {.count = 0};

    assert_int_equal(x402_ledger_sales(ledger, first, last, found_add, &found),
                     X402_OK);
    return found;
}

static void assert_times(const struct x402_sales *found, const struct x402_sales *once,
                         uint64_t times)
{
    assert_string_equal(found->route, once->route);
    assert_int_equal(found->chain_id, once->chain_id);
    assert_memory_equal(found->asset20, once->asset20, 20);
    assert_int_equal(found->offered, once->offered * times);
    assert_int_equal(found->refused, once->refused * times);
    assert_int_equal(found->delivered.count, once->delivered.count * times);
    assert_int_equal(found->delivered.value, once->delivered.value * times);
    assert_int_equal(found->failed.count, once->failed.count * times);
    assert_int_equal(found->failed.value, once->failed.value * times);
    assert_int_equal(found->shadow.count, once->shadow.count * times);
    assert_int_equal(found->shadow.value, once->shadow.value * times);
}

static void sales_are_added_up_by_the_hour(void **state)
{
    struct fixture *fixture = *state;
    const struct x402_sales sales = sales_of("/a", 1);
    struct found found;

    next_hour(fixture);
    note_sales(fixture->ledger, &sales);
    note_sales(another_handle(fixture), &sales);
    next_hour(fixture);
    note_sales(fixture->ledger, &sales);
    found = find(fixture->ledger, 0, INT64_MAX);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.hours[0], hour_now() - 1);
    assert_times(&found.sales[0], &sales, 2);
    assert_int_equal(found.hours[1], hour_now());
    assert_times(&found.sales[1], &sales, 1);
}

static void sales_are_added_up_for_ever(void **state)
{
    struct fixture *fixture = *state;
    const struct x402_sales sales = sales_of("/a", 1);
    struct found found;

    for (int i = 0; i < 3; i++) {
        note_sales(fixture->ledger, &sales);
        next_hour(fixture);
    }
    found = find(fixture->ledger, X402_ACTIVITY_EVER, X402_ACTIVITY_EVER);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.hours[0], X402_ACTIVITY_EVER);
    assert_times(&found.sales[0], &sales, 3);
}

static void the_sum_of_all_is_in_no_span_of_hours(void **state)
{
    struct fixture *fixture = *state;
    const struct x402_sales sales = sales_of("/a", 1);

    note_sales(fixture->ledger, &sales);
    assert_int_equal(find(fixture->ledger, -1, INT64_MAX).count, 1);
    assert_int_equal(find(fixture->ledger, -100, INT64_MAX).count, 1);
    assert_int_equal(find(fixture->ledger, -100, 100).count, 0);
}

static void routes_tokens_and_chains_are_kept_apart(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sales sales[4] = {sales_of("/b", 1), sales_of("/a", 1),
                                  sales_of("/a", 2), sales_of("/a", 1)};
    const struct x402_activity activity = {.sales = sales, .sales_count = 4};
    struct found found;

    sales[3].chain_id = UINT64_MAX;
    note(fixture->ledger, &activity);
    found = find(fixture->ledger, hour_now() - 1, hour_now());
    assert_int_equal(found.count, 4);
    assert_times(&found.sales[0], &sales[3], 1); /* as a signed number, the smallest */
    assert_times(&found.sales[1], &sales[1], 1);
    assert_times(&found.sales[2], &sales[0], 1);
    assert_times(&found.sales[3], &sales[2], 1);
}

static void reading_ends_when_it_is_told_to(void **state)
{
    struct fixture *fixture = *state;
    const struct x402_sales sales[2] = {sales_of("/a", 1), sales_of("/b", 1)};
    const struct x402_activity activity = {.sales = sales, .sales_count = 2};
    struct found found = {.max = 1};

    note(fixture->ledger, &activity);
    assert_int_equal(
        x402_ledger_sales(fixture->ledger, 0, INT64_MAX, found_add, &found), X402_OK);
    assert_int_equal(found.count, 1);
    assert_int_equal(find(fixture->ledger, 0, INT64_MAX).count, 2);
}

static void sums_pass_63_bits(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sales sales = sales_of("/a", 1);

    sales.delivered.value = INT64_MAX;
    note_sales(fixture->ledger, &sales);
    note_sales(fixture->ledger, &sales);
    assert_true(find(fixture->ledger, -1, -1).sales[0].delivered.value ==
                UINT64_MAX - 1);
}

/* Totals are of what was paid with, and the books know no other token. */
static void what_was_only_offered_makes_no_token(void **state)
{
    struct fixture *fixture = *state;
    const struct x402_sales sales = sales_of("/a", 1);
    struct x402_totals totals[X402_TOTALS_MAX];
    size_t count = 7;

    note_sales(fixture->ledger, &sales);
    assert_int_equal(
        x402_ledger_totals(fixture->ledger, totals, X402_TOTALS_MAX, &count), X402_OK);
    assert_int_equal(count, 0);
    assert_books(fixture->ledger);
}

static void an_empty_note_writes_nothing(void **state)
{
    struct fixture *fixture = *state;
    const struct x402_activity activity = {.sales_count = 0};

    note(fixture->ledger, &activity);
    assert_int_equal(find(fixture->ledger, -1, -1).count, 0);
}

static void a_reader_cannot_note(void **state)
{
    struct fixture *fixture = *state;
    const struct x402_activity activity = {.sales_count = 0};
    struct x402_ledger *reader = NULL;

    assert_int_equal(
        x402_ledger_open(&reader, fixture->path, X402_LEDGER_READ, fixture->message),
        X402_OK);
    assert_int_equal(x402_ledger_note(reader, &activity), X402_ERR_LEDGER);
    assert_non_null(strstr(x402_ledger_message(reader), "opened for reading"));
    x402_ledger_close(reader);
}

/* ------------------------------------------------------------- refusals and measures
 */

struct sums {
    uint64_t refusals[X402_ERROR_COUNT];
    struct x402_histogram measures[X402_MEASURE_COUNT];
};

static struct sums sums_of(struct x402_ledger *ledger, int64_t first, int64_t last)
{
    struct sums sums;

    memset(&sums, 0x77, sizeof(sums));
    assert_int_equal(
        x402_ledger_activity(ledger, first, last, sums.refusals, sums.measures),
        X402_OK);
    return sums;
}

static void refusals_are_added_up_by_reason(void **state)
{
    struct fixture *fixture = *state;
    struct x402_activity activity = {.refusals = {[X402_ERR_RATE] = 2}};
    struct sums sums;

    next_hour(fixture);
    note(fixture->ledger, &activity);
    activity.refusals[X402_ERR_VALUE] = 5;
    next_hour(fixture);
    note(fixture->ledger, &activity);
    sums = sums_of(fixture->ledger, hour_now(), hour_now());
    assert_int_equal(sums.refusals[X402_ERR_RATE], 2);
    assert_int_equal(sums.refusals[X402_ERR_VALUE], 5);
    sums = sums_of(fixture->ledger, hour_now() - 1, hour_now());
    assert_int_equal(sums.refusals[X402_ERR_RATE], 4);
    assert_int_equal(sums.refusals[X402_ERR_JSON], 0);
    sums = sums_of(fixture->ledger, X402_ACTIVITY_EVER, X402_ACTIVITY_EVER);
    assert_int_equal(sums.refusals[X402_ERR_RATE], 4);
}

static void measures_are_merged(void **state)
{
    struct fixture *fixture = *state;
    struct x402_activity activity = {.sales_count = 0};
    struct sums sums;

    x402_histogram_add(&activity.measures[X402_MEASURE_CALL], 1000);
    x402_histogram_add(&activity.measures[X402_MEASURE_BATCH], 3);
    note(fixture->ledger, &activity);
    next_hour(fixture);
    note(fixture->ledger, &activity);
    sums = sums_of(fixture->ledger, 0, hour_now());
    assert_int_equal(x402_histogram_count(&sums.measures[X402_MEASURE_CALL]), 2);
    assert_int_equal(sums.measures[X402_MEASURE_CALL].sum, 2000);
    assert_int_equal(sums.measures[X402_MEASURE_BATCH].sum, 6);
    assert_int_equal(x402_histogram_count(&sums.measures[X402_MEASURE_VERIFY]), 0);
    sums = sums_of(fixture->ledger, hour_now(), hour_now());
    assert_int_equal(sums.measures[X402_MEASURE_CALL].sum, 1000);
    sums = sums_of(fixture->ledger, X402_ACTIVITY_EVER, X402_ACTIVITY_EVER);
    assert_int_equal(sums.measures[X402_MEASURE_CALL].sum, 2000);
}

/* However a span lies to the days: hour i has i + 1 of them. */
static void a_span_has_what_its_hours_have(void **state)
{
    enum { HOURS = 75 };
    struct fixture *fixture = *state;
    struct x402_activity activity = {.sales_count = 0};
    int64_t first_hour;

    next_hour(fixture);
    first_hour = hour_now();
    for (uint64_t i = 0; i < HOURS; i++) {
        activity.refusals[X402_ERR_RATE] = i + 1;
        activity.measures[X402_MEASURE_CALL] = (struct x402_histogram){.sum = 0};
        x402_histogram_add(&activity.measures[X402_MEASURE_CALL], i + 1);
        note(fixture->ledger, &activity);
        next_hour(fixture);
    }
    for (int64_t i = 0; i < HOURS; i++) {
        uint64_t expected = 0;
        for (int64_t j = i; j < HOURS; j++) {
            const struct sums sums =
                sums_of(fixture->ledger, first_hour + i, first_hour + j);
            expected += (uint64_t)j + 1;
            assert_int_equal(sums.refusals[X402_ERR_RATE], expected);
            assert_int_equal(sums.measures[X402_MEASURE_CALL].sum, expected);
        }
    }
    assert_int_equal(sums_of(fixture->ledger, 0, INT64_MAX).refusals[X402_ERR_RATE],
                     HOURS * (HOURS + 1) / 2);
}

static void every_measure_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < X402_MEASURE_COUNT; i++) {
        for (unsigned j = 0; j < i; j++) {
            assert_string_not_equal(x402_measure_name((enum x402_measure)i),
                                    x402_measure_name((enum x402_measure)j));
        }
    }
}

static void names_of_another_version_are_left_out_and_kept(void **state)
{
    struct fixture *fixture = *state;
    const struct x402_activity activity = {.refusals = {[X402_ERR_RATE] = 2}};
    struct sums sums;
    char sql[300];

    note(fixture->ledger, &activity);
    snprintf(sql, sizeof(sql),
             "INSERT INTO refusal VALUES ('X402_ERR_LATER', %lld, 5); INSERT INTO "
             "measure VALUES ('later', %lld, x'00')",
             (long long)hour_now(), (long long)hour_now());
    tamper(fixture, sql);
    note(fixture->ledger, &activity);
    sums = sums_of(fixture->ledger, 0, INT64_MAX);
    for (unsigned i = 0; i < X402_ERROR_COUNT; i++) {
        assert_int_equal(sums.refusals[i], i == X402_ERR_RATE ? 4 : 0);
    }
}

static void a_histogram_that_cannot_be_read_begins_again(void **state)
{
    struct fixture *fixture = *state;
    struct x402_activity activity = {.sales_count = 0};

    x402_histogram_add(&activity.measures[X402_MEASURE_CALL], 1000);
    note(fixture->ledger, &activity);
    tamper(fixture, "UPDATE measure SET histogram = x'ffff'");
    assert_int_equal(sums_of(fixture->ledger, -1, -1).measures[0].sum, 0);
    note(fixture->ledger, &activity);
    assert_int_equal(sums_of(fixture->ledger, -1, -1).measures[0].sum, 1000);
}

/* -------------------------------------------------------------------------- settlers
 */

static struct x402_settler_state settler(uint64_t chain_id, uint8_t signer)
{
    struct x402_settler_state out = {.chain_id = chain_id,
                                     .owner = "settler 7",
                                     .remote = signer % 2 == 1,
                                     .gas_balance_wei = UINT64_MAX,
                                     .base_fee_wei = 5,
                                     .latest_block = 100,
                                     .safe_block = 90,
                                     .in_flight = 3,
                                     .trouble = "the node does not answer"};

    memset(out.signer20, signer, 20);
    return out;
}

static void settler_says(struct x402_ledger *ledger, uint64_t chain_id, uint8_t signer)
{
    const struct x402_settler_state said = settler(chain_id, signer);

    assert_int_equal(x402_ledger_settler_note(ledger, &said), X402_OK);
}

static size_t settlers_of(struct x402_ledger *ledger, struct x402_settler_state *out,
                          size_t max)
{
    size_t count = 77;

    assert_int_equal(x402_ledger_settlers(ledger, out, max, &count), X402_OK);
    return count;
}

static void what_a_settler_says_comes_back(void **state)
{
    struct fixture *fixture = *state;
    const struct x402_settler_state said = settler(CHAIN, 1);
    struct x402_settler_state heard[4];

    clock_stop(fixture);
    assert_int_equal(settlers_of(fixture->ledger, heard, 4), 0);
    settler_says(fixture->ledger, CHAIN, 1);
    assert_int_equal(settlers_of(fixture->ledger, heard, 4), 1);
    assert_int_equal(heard[0].heard_at_seconds, x402_clock_seconds());
    assert_int_equal(heard[0].chain_id, said.chain_id);
    assert_memory_equal(heard[0].signer20, said.signer20, 20);
    assert_string_equal(heard[0].owner, said.owner);
    assert_int_equal(heard[0].remote, said.remote);
    assert_true(heard[0].gas_balance_wei == said.gas_balance_wei);
    assert_int_equal(heard[0].base_fee_wei, said.base_fee_wei);
    assert_int_equal(heard[0].latest_block, said.latest_block);
    assert_int_equal(heard[0].safe_block, said.safe_block);
    assert_int_equal(heard[0].in_flight, said.in_flight);
    assert_string_equal(heard[0].trouble, said.trouble);
}

static void a_settlers_last_word_counts(void **state)
{
    struct fixture *fixture = *state;
    struct x402_settler_state heard[4], said = settler(CHAIN, 1);

    clock_stop(fixture);
    settler_says(fixture->ledger, CHAIN, 1);
    clock_forward(fixture, 60);
    said.trouble[0] = '\0';
    assert_int_equal(x402_ledger_settler_note(fixture->ledger, &said), X402_OK);
    assert_int_equal(settlers_of(fixture->ledger, heard, 4), 1);
    assert_string_equal(heard[0].trouble, "");
    assert_int_equal(heard[0].heard_at_seconds, x402_clock_seconds());
}

static void settlers_are_told_by_chain_then_signer(void **state)
{
    struct fixture *fixture = *state;
    struct x402_settler_state heard[4];

    settler_says(fixture->ledger, 2, 1);
    settler_says(fixture->ledger, 1, 2);
    settler_says(fixture->ledger, 1, 1);
    assert_int_equal(settlers_of(fixture->ledger, heard, 4), 3);
    assert_int_equal(heard[0].chain_id * 10 + heard[0].signer20[0], 11);
    assert_int_equal(heard[1].chain_id * 10 + heard[1].signer20[0], 12);
    assert_int_equal(heard[2].chain_id * 10 + heard[2].signer20[0], 21);
    assert_int_equal(settlers_of(fixture->ledger, heard, 2), 2);
}

/* ---------------------------------------------------------------------- housekeeping
 */

static int64_t rows_of(struct fixture *fixture, const char *table)
{
    char sql[100];

    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    return number_of(fixture, sql);
}

static void assert_rows(struct fixture *fixture, int64_t sales, int64_t others)
{
    assert_int_equal(x402_ledger_tidy(fixture->ledger), X402_OK);
    assert_int_equal(rows_of(fixture, "sale"), sales);
    assert_int_equal(rows_of(fixture, "refusal"), others);
    assert_int_equal(rows_of(fixture, "measure"), others);
}

static void next_day(struct fixture *fixture)
{
    do {
        next_hour(fixture);
    } while (hour_now() % 24 != 0);
}

/* Sums of days are kept beside those of hours, until the last of their hours goes. */
static void an_hour_is_kept_for_90_days_and_the_sum_for_ever(void **state)
{
    struct fixture *fixture = *state;
    const struct x402_sales sales = sales_of("/a", 1);
    struct x402_activity activity = {
        .sales = &sales, .sales_count = 1, .refusals = {[X402_ERR_RATE] = 2}};

    x402_histogram_add(&activity.measures[X402_MEASURE_CALL], 1000);
    next_day(fixture);
    note(fixture->ledger, &activity);
    assert_rows(fixture, 2, 3);
    clock_forward(fixture, (long)(x402_clock_seconds() - time(NULL)) +
                               X402_ACTIVITY_DAYS * 86400 - X402_HOUR_SECONDS);
    assert_rows(fixture, 2, 3);
    next_hour(fixture);
    assert_rows(fixture, 1, 2);
    clock_forward(fixture, (long)(x402_clock_seconds() - time(NULL)) + 86400 -
                               2 * X402_HOUR_SECONDS);
    assert_rows(fixture, 1, 2);
    next_hour(fixture);
    assert_rows(fixture, 1, 1);
    assert_int_equal(find(fixture->ledger, -1, -1).count, 1);
}

static void a_settler_is_forgotten_after_a_week_of_silence(void **state)
{
    struct fixture *fixture = *state;
    struct x402_settler_state heard[4];

    settler_says(fixture->ledger, CHAIN, 1);
    clock_forward(fixture, WEEK_SECONDS - 60);
    settler_says(fixture->ledger, CHAIN, 2);
    assert_int_equal(settlers_of(fixture->ledger, heard, 4), 2);
    clock_forward(fixture, WEEK_SECONDS + X402_HOUR_SECONDS);
    assert_int_equal(settlers_of(fixture->ledger, heard, 4), 1);
    assert_int_equal(heard[0].signer20[0], 2);
    assert_int_equal(x402_ledger_tidy(fixture->ledger), X402_OK);
    assert_int_equal(rows_of(fixture, "settler"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(sales_are_added_up_by_the_hour),
        TEST(sales_are_added_up_for_ever),
        TEST(the_sum_of_all_is_in_no_span_of_hours),
        TEST(routes_tokens_and_chains_are_kept_apart),
        TEST(reading_ends_when_it_is_told_to),
        TEST(sums_pass_63_bits),
        TEST(what_was_only_offered_makes_no_token),
        TEST(an_empty_note_writes_nothing),
        TEST(a_reader_cannot_note),
        TEST(refusals_are_added_up_by_reason),
        TEST(measures_are_merged),
        TEST(a_span_has_what_its_hours_have),
        TEST(every_measure_has_a_name_of_its_own),
        TEST(names_of_another_version_are_left_out_and_kept),
        TEST(a_histogram_that_cannot_be_read_begins_again),
        TEST(what_a_settler_says_comes_back),
        TEST(a_settlers_last_word_counts),
        TEST(settlers_are_told_by_chain_then_signer),
        TEST(an_hour_is_kept_for_90_days_and_the_sum_for_ever),
        TEST(a_settler_is_forgotten_after_a_week_of_silence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
