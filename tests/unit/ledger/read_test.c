#include "fixture.h"

static void totals_count_every_state(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit pending = presentation(90, 0);
    struct x402_admit voided = presentation(91, 0);
    struct x402_totals totals;

    for (unsigned i = 0; i < 3; i++) {
        (void)sell(fixture->ledger, i);
    }
    pending.verified.from20[0] = 1;
    assert_int_equal(admit_on(fixture->ledger, &pending), X402_ADMISSION_NEW);
    assert_int_equal(admit_on(fixture->ledger, &voided), X402_ADMISSION_NEW);
    assert_true(outcome_on(fixture->ledger, &voided, X402_EVENT_VOID));
    totals = totals_of(fixture->ledger);
    assert_int_equal(totals.chain_id, CHAIN);
    assert_int_equal(totals.asset20[0], 0xa5);
    assert_int_equal(totals.admitted.count, 5);
    assert_int_equal(totals.admitted.value, 5000);
    assert_int_equal(totals.deliveries[X402_DELIVERY_DELIVERED].count, 3);
    assert_int_equal(totals.deliveries[X402_DELIVERY_DELIVERED].value, 3000);
    assert_int_equal(totals.deliveries[X402_DELIVERY_PENDING].count, 1);
    assert_int_equal(totals.deliveries[X402_DELIVERY_VOID].count, 1);
    assert_int_equal(totals.monies[X402_MONEY_DUE].value, 3000);
    assert_int_equal(totals.monies[X402_MONEY_HELD].count, 1);
    assert_int_equal(totals.monies[X402_MONEY_RELEASED].count, 1);
    assert_int_equal(totals.payers, 2);
}

static void totals_are_kept_by_chain_and_asset(void **state)
{
    struct fixture *fixture = *state;
    struct x402_totals totals[X402_TOTALS_MAX];
    size_t count;

    for (unsigned i = 0; i < 3; i++) {
        struct x402_admit admit = presentation(i, 0);
        admit.verified.chain_id += i > 0;
        admit.verified.asset20[0] = (uint8_t)(i > 1);
        assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    }
    assert_int_equal(
        x402_ledger_totals(fixture->ledger, totals, X402_TOTALS_MAX, &count), X402_OK);
    assert_int_equal(count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(totals[i].admitted.count, 1);
    }
    assert_int_equal(x402_ledger_totals(fixture->ledger, totals, 2, &count), X402_OK);
    assert_int_equal(count, 2);
    assert_books(fixture->ledger);
}

static void the_oldest_due_time_follows_the_queue(void **state)
{
    struct fixture *fixture = *state;
    int64_t begin = x402_clock_seconds();
    struct x402_verdict verdict = {.payment_id = sell(fixture->ledger, 1),
                                   .event = X402_EVENT_FAILED};

    clock_forward(fixture, 100);
    (void)sell(fixture->ledger, 2);
    assert_in_range(totals_of(fixture->ledger).oldest_due_seconds, begin, begin + 10);
    assert_int_equal(x402_ledger_advance(fixture->ledger, &verdict, 1), X402_OK);
    assert_in_range(totals_of(fixture->ledger).oldest_due_seconds, begin + 100,
                    begin + 110);
    verdict.payment_id = 2;
    assert_int_equal(x402_ledger_advance(fixture->ledger, &verdict, 1), X402_OK);
    assert_int_equal(totals_of(fixture->ledger).oldest_due_seconds, 0);
}

struct listing {
    int64_t ids[4096];
    size_t count;
    size_t stop_at;
};

static bool collect(const struct x402_payment_row *row, void *data)
{
    struct listing *listing = data;

    listing->ids[listing->count++] = row->settlement.payment_id;
    return listing->count != listing->stop_at;
}

static void list(struct x402_ledger *ledger, struct x402_payment_filter filter,
                 struct listing *out)
{
    assert_int_equal(x402_ledger_payments(ledger, &filter, collect, out), X402_OK);
}

static void many(struct x402_ledger *ledger, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        (void)sell(ledger, i);
    }
}

static void payments_come_newest_first(void **state)
{
    struct fixture *fixture = *state;
    struct listing all = {.count = 0};

    many(fixture->ledger, 150);
    list(fixture->ledger, (struct x402_payment_filter){0}, &all);
    assert_int_equal(all.count, 150);
    for (size_t i = 0; i < all.count; i++) {
        assert_int_equal(all.ids[i], 150 - (int64_t)i);
    }
}

static void payments_are_followed_oldest_first(void **state)
{
    struct fixture *fixture = *state;
    struct listing all = {.count = 0};
    struct listing rest = {.count = 0};

    many(fixture->ledger, 150);
    list(fixture->ledger, (struct x402_payment_filter){.follow = true}, &all);
    assert_int_equal(all.count, 150);
    assert_int_equal(all.ids[0], 1);
    assert_int_equal(all.ids[149], 150);
    list(fixture->ledger, (struct x402_payment_filter){.follow = true, .after_id = 148},
         &rest);
    assert_int_equal(rest.count, 2);
    assert_int_equal(rest.ids[0], 149);
}

static void a_listing_ends_at_its_limit_and_when_told(void **state)
{
    struct fixture *fixture = *state;
    struct listing limited = {.count = 0};
    struct listing told = {.stop_at = 70};
    struct listing usual = {.count = 0};

    many(fixture->ledger, 1100);
    list(fixture->ledger, (struct x402_payment_filter){.limit = 65}, &limited);
    assert_int_equal(limited.count, 65);
    list(fixture->ledger, (struct x402_payment_filter){0}, &told);
    assert_int_equal(told.count, 70);
    list(fixture->ledger, (struct x402_payment_filter){0}, &usual);
    assert_int_equal(usual.count, 1000);
}

static void payments_are_found_by_delivery_money_and_payer(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1000, 0);
    struct listing found[4] = {{.count = 0}};
    struct x402_payment_filter by_payer = {.by_payer = true};

    many(fixture->ledger, 10);
    memset(admit.verified.from20, 0x33, 20);
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    memset(by_payer.payer20, 0x33, 20);
    list(fixture->ledger,
         (struct x402_payment_filter){.by_delivery = true,
                                      .delivery = X402_DELIVERY_DELIVERED},
         &found[0]);
    assert_int_equal(found[0].count, 10);
    list(fixture->ledger,
         (struct x402_payment_filter){.by_money = true, .money = X402_MONEY_HELD},
         &found[1]);
    assert_int_equal(found[1].count, 1);
    list(fixture->ledger, by_payer, &found[2]);
    assert_int_equal(found[2].count, 1);
    assert_int_equal(found[2].ids[0], admit.payment_id);
    list(fixture->ledger,
         (struct x402_payment_filter){.by_money = true, .money = X402_MONEY_FINAL},
         &found[3]);
    assert_int_equal(found[3].count, 0);
}

static void a_listing_goes_on_over_gaps_and_blocks_of_ids(void **state)
{
    struct fixture *fixture = *state;
    struct listing up = {.count = 0};
    struct listing down = {.count = 0};

    many(fixture->ledger, 3);
    tamper(fixture, "UPDATE payment SET id = 50000 WHERE id = 2;"
                    "UPDATE payment SET id = 40000 WHERE id = 3");
    list(fixture->ledger, (struct x402_payment_filter){.follow = true}, &up);
    list(fixture->ledger, (struct x402_payment_filter){0}, &down);
    assert_int_equal(up.count, 3);
    assert_int_equal(up.ids[1], 40000);
    assert_int_equal(up.ids[2], 50000);
    assert_int_equal(down.count, 3);
    assert_int_equal(down.ids[0], 50000);
    assert_int_equal(down.ids[2], 1);
}

static void a_row_says_what_was_bought_and_when(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 0);
    struct x402_payment_row row;

    clock_stop(fixture);
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_NEW);
    clock_forward(fixture, 10);
    assert_true(outcome_on(fixture->ledger, &admit, X402_EVENT_DELIVERED));
    row = row_of(fixture->ledger, admit.payment_id);
    assert_string_equal(row.route, "/weather");
    assert_int_equal(row.dialect, X402_DIALECT_V2);
    assert_int_equal(row.attempts, 1);
    assert_false(row.has_transaction);
    assert_int_equal(row.updated_at_seconds - row.created_at_seconds, 10);
}

static void an_empty_ledger_has_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct listing all = {.count = 0};
    struct x402_totals totals[1];
    size_t count = 9;

    list(fixture->ledger, (struct x402_payment_filter){0}, &all);
    assert_int_equal(all.count, 0);
    assert_int_equal(x402_ledger_totals(fixture->ledger, totals, 1, &count), X402_OK);
    assert_int_equal(count, 0);
    assert_books(fixture->ledger);
}

static void a_reader_sees_what_a_writer_committed(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *reader;

    assert_int_equal(
        x402_ledger_open(&reader, fixture->path, X402_LEDGER_READ, fixture->message),
        X402_OK);
    for (unsigned i = 1; i < 4; i++) {
        (void)sell(fixture->ledger, i);
        assert_int_equal(totals_of(reader).admitted.count, i);
    }
    assert_books(reader);
    x402_ledger_close(reader);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(totals_count_every_state),
        TEST(totals_are_kept_by_chain_and_asset),
        TEST(the_oldest_due_time_follows_the_queue),
        TEST(payments_come_newest_first),
        TEST(payments_are_followed_oldest_first),
        TEST(a_listing_ends_at_its_limit_and_when_told),
        TEST(payments_are_found_by_delivery_money_and_payer),
        TEST(a_listing_goes_on_over_gaps_and_blocks_of_ids),
        TEST(a_row_says_what_was_bought_and_when),
        TEST(an_empty_ledger_has_nothing),
        TEST(a_reader_sees_what_a_writer_committed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
