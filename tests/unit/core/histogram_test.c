#include "core/histogram.h"

#include "unit/core/support.h"

#include <stdlib.h>

#define LAST (X402_HISTOGRAM_BUCKETS - 1)

static void buckets_touch_and_grow(void **state)
{
    (void)state;
    assert_int_equal(x402_histogram_bucket(0), 0);
    for (size_t i = 0; i < LAST; i++) {
        const uint64_t bound = x402_histogram_bound(i);
        assert_int_equal(x402_histogram_bucket(bound - 1), i);
        assert_int_equal(x402_histogram_bucket(bound), i + 1);
    }
}

static void every_power_of_two_is_a_bound(void **state)
{
    (void)state;
    for (unsigned power = 0; power <= 40; power++) {
        const size_t bucket = x402_histogram_bucket(UINT64_C(1) << power);
        assert_int_equal(x402_histogram_bound(bucket - 1), UINT64_C(1) << power);
    }
}

static void a_bucket_is_no_wider_than_a_quarter_of_its_values(void **state)
{
    (void)state;
    for (size_t i = 4; i <= LAST; i++) {
        const uint64_t low = x402_histogram_bound(i - 1);
        assert_true((x402_histogram_bound(i) - low) * 4 <= low);
    }
}

static void values_past_the_last_bucket_are_in_it(void **state)
{
    (void)state;
    assert_int_equal(x402_histogram_bound(LAST), UINT64_C(1) << 41);
    assert_int_equal(x402_histogram_bucket(UINT64_C(1) << 41), LAST);
    assert_int_equal(x402_histogram_bucket(UINT64_MAX), LAST);
}

static void what_is_added_is_counted_and_summed(void **state)
{
    (void)state;
    struct x402_histogram histogram = {.sum = 0};

    assert_int_equal(x402_histogram_count(&histogram), 0);
    x402_histogram_add(&histogram, 0);
    x402_histogram_add(&histogram, 7);
    x402_histogram_add(&histogram, 1000);
    assert_int_equal(x402_histogram_count(&histogram), 3);
    assert_int_equal(histogram.sum, 1007);
}

static void the_sum_stays_at_the_most_there_is(void **state)
{
    (void)state;
    struct x402_histogram histogram = {.sum = 0}, other;

    x402_histogram_add(&histogram, UINT64_MAX);
    x402_histogram_add(&histogram, 1);
    assert_true(histogram.sum == UINT64_MAX);
    other = histogram;
    x402_histogram_merge(&histogram, &other);
    assert_true(histogram.sum == UINT64_MAX);
    assert_int_equal(x402_histogram_count(&histogram), 4);
}

static void merging_is_as_adding_all(void **state)
{
    (void)state;
    struct x402_histogram a = {.sum = 0}, b = {.sum = 0}, all = {.sum = 0};

    for (uint64_t value = 1; value < 1000000; value = value * 3 / 2 + 1) {
        x402_histogram_add(value % 2 == 0 ? &a : &b, value);
        x402_histogram_add(&all, value);
    }
    x402_histogram_merge(&a, &b);
    assert_memory_equal(&a, &all, sizeof a);
}

static void below_a_bound_is_exact(void **state)
{
    (void)state;
    struct x402_histogram histogram = {.sum = 0};

    for (uint64_t value = 0; value < 4096; value++)
        x402_histogram_add(&histogram, value);
    for (size_t i = 0; x402_histogram_bound(i) <= 4096; i++)
        assert_int_equal(x402_histogram_below(&histogram, x402_histogram_bound(i)),
                         x402_histogram_bound(i));
    assert_int_equal(x402_histogram_below(&histogram, 0), 0);
    assert_int_equal(x402_histogram_below(&histogram, UINT64_MAX), 4096);
}

static void below_another_value_is_a_share_of_its_bucket(void **state)
{
    (void)state;
    struct x402_histogram histogram = {.sum = 0};

    for (uint64_t value = 1024; value < 1280; value++) /* one bucket */
        x402_histogram_add(&histogram, value);
    assert_int_equal(x402_histogram_below(&histogram, 1024), 0);
    assert_int_equal(x402_histogram_below(&histogram, 1024 + 64), 64);
    assert_int_equal(x402_histogram_below(&histogram, 1280), 256);
}

static void nothing_has_no_quantiles(void **state)
{
    (void)state;
    const struct x402_histogram histogram = {.sum = 0};

    assert_int_equal(x402_histogram_quantile(&histogram, 500), 0);
}

static void small_values_are_known_exactly(void **state)
{
    (void)state;
    struct x402_histogram histogram = {.sum = 0};

    for (uint64_t value = 1; value <= 7; value++)
        x402_histogram_add(&histogram, value);
    assert_int_equal(x402_histogram_quantile(&histogram, 0), 1);
    assert_int_equal(x402_histogram_quantile(&histogram, 500), 4);
    assert_int_equal(x402_histogram_quantile(&histogram, 1000), 7);
}

static void a_single_value_is_in_the_middle_of_its_bucket(void **state)
{
    (void)state;
    struct x402_histogram histogram = {.sum = 0};

    x402_histogram_add(&histogram, 1030);
    for (unsigned permille = 0; permille <= 1000; permille += 250)
        assert_int_equal(x402_histogram_quantile(&histogram, permille), 1024 + 128);
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void assert_near(uint64_t got, uint64_t truth)
{
    const uint64_t off = got > truth ? got - truth : truth - got;

    if (off * 4 > truth)
        fail_msg("%llu is not near %llu", (unsigned long long)got,
                 (unsigned long long)truth);
}

static void quantiles_are_within_a_quarter_of_the_truth(void **state)
{
    (void)state;
    static uint64_t values[2000];

    srandom(402);
    for (unsigned round = 0; round < 50; round++) {
        struct x402_histogram histogram = {.sum = 0};
        const size_t count = 1 + (size_t)random() % 2000;
        for (size_t i = 0; i < count; i++) {
            values[i] = (uint64_t)random() >> ((unsigned)random() % 31);
            x402_histogram_add(&histogram, values[i]);
        }
        qsort(values, count, sizeof values[0], compare);
        for (unsigned permille = 1; permille <= 1000; permille++) {
            const size_t rank = (count * permille + 999) / 1000;
            assert_near(x402_histogram_quantile(&histogram, permille),
                        values[rank - 1]);
        }
    }
}

static void quantiles_never_fall(void **state)
{
    (void)state;
    struct x402_histogram histogram = {.sum = 0};
    uint64_t last = 0;

    for (uint64_t value = 1; value < UINT64_C(1) << 45; value = value * 5 / 3 + 1)
        for (uint64_t i = 0; i < value % 17; i++)
            x402_histogram_add(&histogram, value);
    for (unsigned permille = 0; permille <= 1000; permille++) {
        const uint64_t next = x402_histogram_quantile(&histogram, permille);
        assert_true(next >= last);
        last = next;
    }
    assert_true(last < UINT64_C(1) << 41);
}

static void the_most_there_is_can_be_counted(void **state)
{
    (void)state;
    struct x402_histogram histogram = {.sum = UINT64_MAX};

    for (size_t i = 0; i < X402_HISTOGRAM_BUCKETS; i++)
        histogram.counts[i] = UINT64_MAX;
    assert_true(x402_histogram_count(&histogram) == UINT64_MAX);
    assert_true(x402_histogram_below(&histogram, UINT64_MAX) == UINT64_MAX);
    assert_int_equal(x402_histogram_quantile(&histogram, 1000), 0);
}

/* -------------------------------------------------------------------------- storing */

static size_t encoded(uint8_t out[X402_HISTOGRAM_ENCODED_MAX],
                      const struct x402_histogram *histogram)
{
    const size_t size = x402_histogram_encode(out, histogram);
    struct x402_histogram again;

    assert_true(size <= X402_HISTOGRAM_ENCODED_MAX);
    assert_true(x402_histogram_decode(&again, out, size));
    assert_memory_equal(&again, histogram, sizeof again);
    return size;
}

static void what_is_stored_comes_back(void **state)
{
    (void)state;
    struct x402_histogram histogram = {.sum = 0};
    uint8_t out[X402_HISTOGRAM_ENCODED_MAX];

    assert_int_equal(encoded(out, &histogram), 1);
    x402_histogram_add(&histogram, 5);
    assert_int_equal(encoded(out, &histogram), 3);
    x402_histogram_add(&histogram, UINT64_MAX);
    (void)encoded(out, &histogram);
    for (size_t i = 0; i < X402_HISTOGRAM_BUCKETS; i++)
        histogram.counts[i] = UINT64_MAX - i;
    (void)encoded(out, &histogram);
}

static void assert_refused(const char *hex)
{
    static const struct x402_histogram zeros;
    struct x402_histogram histogram = {.sum = 77};
    uint8_t data[32] = {0};
    const size_t size = strlen(hex) / 2;

    hex_to(data, size, hex);
    if (x402_histogram_decode(&histogram, data, size))
        fail_msg("'%s' is read", hex);
    assert_memory_equal(&histogram, &zeros, sizeof zeros);
}

static void what_was_not_stored_is_not_read(void **state)
{
    (void)state;
    assert_refused("");
    assert_refused("80");                     /* cut off */
    assert_refused("8000");                   /* could be shorter */
    assert_refused("ffffffffffffffffff02");   /* beyond 64 bits */
    assert_refused("ffffffffffffffffff8001"); /* longer than any */
    assert_refused("0000");                   /* a bucket without its count */
    assert_refused("000000");                 /* that counts nothing */
    assert_refused("00000180");               /* something after it */
    assert_refused("00a00101");               /* the bucket after the last */
    assert_refused("009f01010001");           /* likewise */
    assert_refused("00ffffffffffffffffff0101");
}

static void the_last_bucket_can_be_stored(void **state)
{
    (void)state;
    static const uint8_t data[] = {0x00, 0x9f, 0x01, 0x01};
    struct x402_histogram histogram;

    assert_true(x402_histogram_decode(&histogram, data, sizeof data));
    assert_int_equal(histogram.counts[LAST], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_touch_and_grow),
        cmocka_unit_test(every_power_of_two_is_a_bound),
        cmocka_unit_test(a_bucket_is_no_wider_than_a_quarter_of_its_values),
        cmocka_unit_test(values_past_the_last_bucket_are_in_it),
        cmocka_unit_test(what_is_added_is_counted_and_summed),
        cmocka_unit_test(the_sum_stays_at_the_most_there_is),
        cmocka_unit_test(merging_is_as_adding_all),
        cmocka_unit_test(below_a_bound_is_exact),
        cmocka_unit_test(below_another_value_is_a_share_of_its_bucket),
        cmocka_unit_test(nothing_has_no_quantiles),
        cmocka_unit_test(small_values_are_known_exactly),
        cmocka_unit_test(a_single_value_is_in_the_middle_of_its_bucket),
        cmocka_unit_test(quantiles_are_within_a_quarter_of_the_truth),
        cmocka_unit_test(quantiles_never_fall),
        cmocka_unit_test(the_most_there_is_can_be_counted),
        cmocka_unit_test(what_is_stored_comes_back),
        cmocka_unit_test(what_was_not_stored_is_not_read),
        cmocka_unit_test(the_last_bucket_can_be_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
