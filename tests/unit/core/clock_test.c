#include "core/clock.h"

#include "unit/core/support.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* No earlier than now: time() may lag behind by a tick. */
static int64_t after(void)
{
    return (int64_t)time(NULL) + 1;
}

static void clock_is_unix_time(void **state)
{
    (void)state;
    int64_t before = time(NULL);
    int64_t seconds = x402_clock_seconds();
    int64_t milliseconds = x402_clock_milliseconds();

    assert_in_range(seconds, before, after());
    assert_in_range(milliseconds / 1000, seconds, after());
}

#ifdef X402_TEST_CLOCK

static char path[] = "/tmp/x402-clock-XXXXXX";

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void assert_ahead(int64_t seconds)
{
    int64_t before = time(NULL);
    int64_t now = x402_clock_seconds();

    assert_in_range(now, before + seconds, after() + seconds);
}

static void test_clock_follows_its_file(void **state)
{
    (void)state;
    int descriptor = mkstemp(path);

    assert_true(descriptor >= 0);
    close(descriptor);
    assert_int_equal(setenv("X402_TEST_CLOCK_FILE", path, 1), 0);
    assert_ahead(0);
    write_file("3600\n");
    assert_ahead(3600);
    write_file("-100");
    assert_ahead(-100);
    write_file("");
    assert_ahead(-100);
    write_file("@1000\n");
    assert_int_equal(x402_clock_milliseconds(), 1000000);
    write_file("");
    assert_int_equal(x402_clock_milliseconds(), 1000000);
    write_file("0");
    assert_ahead(0);
    unlink(path);
    assert_ahead(0);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_is_unix_time),
#ifdef X402_TEST_CLOCK
        cmocka_unit_test(test_clock_follows_its_file),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
