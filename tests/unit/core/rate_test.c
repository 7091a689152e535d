#include "unit/core/support.h"

#include <x402/rate.h>

static struct x402_rate rate_of(const char *text)
{
    struct x402_rate rate;

    assert_int_equal(x402_rate_decode(&rate, NULL, x402_slice_of(text)), X402_OK);
    return rate;
}

static void rates_are_read(void **state)
{
    (void)state;
    struct x402_rate rate = rate_of("60r/m");
    assert_int_equal(rate.count, 60);
    assert_int_equal(rate.period_milliseconds, 60000);
    assert_int_equal(rate.burst, 60);
    rate = rate_of("5r/s");
    assert_int_equal(rate.count, 5);
    assert_int_equal(rate.period_milliseconds, 1000);
    assert_int_equal(rate.burst, 5);
    assert_int_equal(rate_of("1000000r/m").count, X402_RATE_COUNT_MAX);
}

static void what_is_no_rate_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",      "60",         "r/m",           "60r",
        "60r/",  "60r/h",      "60 r/m",        "60R/M",
        "-1r/m", "1.5r/m",     "60r/m ",        "0r/m",
        "0r/s",  "1000001r/s", "4294967297r/m", "99999999999999999999r/m"};
    struct x402_rate rate = {.count = 77};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *why = NULL;
        assert_int_equal(x402_rate_decode(&rate, &why, x402_slice_of(texts[i])),
                         X402_ERR_CONFIG);
        assert_non_null(why);
        assert_int_equal(x402_rate_decode(&rate, NULL, x402_slice_of(texts[i])),
                         X402_ERR_CONFIG);
    }
    assert_int_equal(rate.count, 77);
}

static unsigned take_all(struct x402_bucket *bucket, const struct x402_rate *rate,
                         uint64_t now, uint64_t *wait)
{
    unsigned taken = 0;

    while (taken < 1000 && x402_bucket_take(bucket, rate, now, wait))
        taken++;
    return taken;
}

static void new_bucket_gives_its_burst_and_no_more(void **state)
{
    (void)state;
    struct x402_rate rate = rate_of("60r/m");
    struct x402_bucket bucket = {0, 0};
    uint64_t wait = 0;

    assert_int_equal(take_all(&bucket, &rate, 5000, &wait), 60);
    assert_int_equal(wait, 1000);
}

static void bucket_refills_at_its_rate(void **state)
{
    (void)state;
    struct x402_rate rate = rate_of("60r/m");
    struct x402_bucket bucket = {0, 0};
    uint64_t wait = 0;

    take_all(&bucket, &rate, 5000, &wait);
    assert_false(x402_bucket_take(&bucket, &rate, 5999, &wait));
    assert_int_equal(wait, 1);
    assert_int_equal(take_all(&bucket, &rate, 6000, &wait), 1);
    assert_int_equal(take_all(&bucket, &rate, 16500, &wait), 10);
    assert_int_equal(wait, 500);
    assert_int_equal(take_all(&bucket, &rate, 16500 + 120000, &wait), 60);
}

static void waiting_as_told_is_enough_and_no_less(void **state)
{
    (void)state;
    static const char *const texts[] = {"7r/m", "3r/s", "1r/m", "999983r/s"};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct x402_rate rate = rate_of(texts[i]);
        struct x402_bucket bucket = {0, 0};
        uint64_t now = 1000000;
        uint64_t wait = 0;
        rate.burst = 1;
        for (unsigned n = 0; n < 50; n++) {
            while (x402_bucket_take(&bucket, &rate, now, &wait))
                ;
            assert_true(wait > 0);
            uint64_t rest = 0;
            if (wait > 1)
                assert_false(x402_bucket_peek(&bucket, &rate, now + wait - 1, &rest));
            assert_true(x402_bucket_peek(&bucket, &rate, now + wait, &rest));
            now += wait;
        }
    }
}

static void peeking_changes_nothing(void **state)
{
    (void)state;
    struct x402_rate rate = rate_of("1r/m");
    struct x402_bucket bucket = {0, 0};
    uint64_t wait = 77;

    for (unsigned i = 0; i < 5; i++)
        assert_true(x402_bucket_peek(&bucket, &rate, 1000, &wait));
    assert_int_equal(wait, 0);
    assert_int_equal(bucket.used_milli, 0);
    assert_true(x402_bucket_take(&bucket, &rate, 1000, &wait));
    struct x402_bucket before = bucket;
    assert_false(x402_bucket_take(&bucket, &rate, 1000, &wait));
    assert_false(x402_bucket_peek(&bucket, &rate, 1000, &wait));
    assert_memory_equal(&before, &bucket, sizeof bucket);
}

static void as_many_pass_as_can_be_taken_one_by_one(void **state)
{
    (void)state;
    struct x402_rate rate = rate_of("3r/m");
    struct x402_bucket bucket = {0, 0};
    uint64_t wait = 0;

    for (uint32_t left = rate.burst; left > 0; left--) {
        assert_true(x402_bucket_peek_many(&bucket, &rate, left, 60000, &wait));
        assert_false(x402_bucket_peek_many(&bucket, &rate, left + 1, 60000, &wait));
        assert_int_equal(wait, 20000);
        assert_true(x402_bucket_take(&bucket, &rate, 60000, &wait));
    }
    rate.count = 0;
    assert_true(x402_bucket_peek_many(&bucket, &rate, 1000, 60000, &wait));
}

static void returned_call_can_be_taken_again(void **state)
{
    (void)state;
    struct x402_rate rate = rate_of("2r/m");
    struct x402_bucket bucket = {0, 0};
    uint64_t wait;

    assert_int_equal(take_all(&bucket, &rate, 0, &wait), 2);
    x402_bucket_return(&bucket);
    assert_int_equal(take_all(&bucket, &rate, 0, &wait), 1);
}

static void bucket_is_never_more_than_full(void **state)
{
    (void)state;
    struct x402_rate rate = rate_of("2r/m");
    struct x402_bucket bucket = {0, 0};
    uint64_t wait;

    x402_bucket_return(&bucket);
    x402_bucket_return(&bucket);
    assert_int_equal(take_all(&bucket, &rate, UINT64_MAX, &wait), 2);
}

static void burst_is_a_bound_of_its_own(void **state)
{
    (void)state;
    struct x402_rate rate = rate_of("60r/m");
    struct x402_bucket bucket = {0, 0};
    uint64_t wait;

    rate.burst = 3;
    assert_int_equal(take_all(&bucket, &rate, 0, &wait), 3);
    rate.burst = 5;
    assert_int_equal(take_all(&bucket, &rate, 0, &wait), 2);
    rate.burst = 1; /* a smaller bucket after a reload does not punish */
    assert_false(x402_bucket_take(&bucket, &rate, 0, &wait));
    assert_int_equal(wait, 1000);
    rate.burst = 0; /* which would let nobody through, ever */
    assert_int_equal(take_all(&bucket, &rate, 1000, &wait), 1);
}

static void count_zero_is_no_limit(void **state)
{
    (void)state;
    struct x402_rate rate = {0, 0, 0};
    struct x402_bucket bucket = {0, 0};
    uint64_t wait;

    assert_int_equal(take_all(&bucket, &rate, 0, &wait), 1000);
    assert_int_equal(bucket.used_milli, 0);
}

static void clock_going_back_refills_nothing(void **state)
{
    (void)state;
    struct x402_rate rate = rate_of("2r/s");
    struct x402_bucket bucket = {0, 0};
    uint64_t wait;

    assert_int_equal(take_all(&bucket, &rate, 100000, &wait), 2);
    assert_false(x402_bucket_take(&bucket, &rate, 5000, &wait));
    assert_int_equal(wait, 500);
    assert_int_equal(take_all(&bucket, &rate, 100500, &wait), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_read),
        cmocka_unit_test(what_is_no_rate_is_refused_with_a_reason),
        cmocka_unit_test(new_bucket_gives_its_burst_and_no_more),
        cmocka_unit_test(bucket_refills_at_its_rate),
        cmocka_unit_test(waiting_as_told_is_enough_and_no_less),
        cmocka_unit_test(peeking_changes_nothing),
        cmocka_unit_test(as_many_pass_as_can_be_taken_one_by_one),
        cmocka_unit_test(returned_call_can_be_taken_again),
        cmocka_unit_test(bucket_is_never_more_than_full),
        cmocka_unit_test(burst_is_a_bound_of_its_own),
        cmocka_unit_test(count_zero_is_no_limit),
        cmocka_unit_test(clock_going_back_refills_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
