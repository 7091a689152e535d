#include "core/clock.h"

#include "unit/core/support.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void clock_is_unix_time(void **state)
{
    (void)state;
    int64_t seconds = x402_clock_seconds();
    int64_t milliseconds = x402_clock_milliseconds();

    assert_in_range(seconds, time(NULL) - 1, time(NULL) + 1);
    assert_in_range(milliseconds / 1000, seconds, seconds + 1);
}

#ifdef X402_TEST_CLOCK

static char path[] = "/tmp/x402-clock-XXXXXX";

static void write_offset(const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int64_t ahead(void)
{
    return x402_clock_seconds() - (int64_t)time(NULL);
}

static void test_clock_follows_its_file(void **state)
{
    (void)state;
    int descriptor = mkstemp(path);

    assert_true(descriptor >= 0);
    close(descriptor);
    assert_int_equal(setenv("X402_TEST_CLOCK_FILE", path, 1), 0);
    assert_in_range(ahead() + 10, 9, 11);
    write_offset("3600\n");
    assert_in_range(ahead(), 3599, 3601);
    write_offset("-100");
    assert_in_range(ahead() + 200, 99, 101);
    write_offset("");
    assert_in_range(ahead() + 200, 99, 101);
    write_offset("0");
    assert_in_range(ahead() + 10, 9, 11);
    unlink(path);
    assert_in_range(ahead() + 10, 9, 11);
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
