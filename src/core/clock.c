#include "core/clock.h"

#include <assert.h>
#include <time.h>

#ifdef X402_TEST_CLOCK

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define VARIABLE "X402_TEST_CLOCK_FILE"

/* nginx empties the environment of its workers, so the path is kept from the time the
 * program or module was loaded. */
static char inherited_path[PATH_MAX];

__attribute__((constructor)) static void remember_path(void)
{
    const char *path = getenv(VARIABLE);

    if (path != NULL)
        snprintf(inherited_path, sizeof inherited_path, "%s", path);
}

/* A file that is being rewritten can be empty for a moment: the last number holds.
 * Relaxed: asking the time puts threads in no order, which would hide their races. */
static int64_t offset_seconds(void)
{
    static _Atomic int64_t last;
    const char *path = getenv(VARIABLE);
    FILE *file = fopen(path != NULL ? path : inherited_path, "re");
    long long seconds;

    if (file == NULL)
        return atomic_load_explicit(&last, memory_order_relaxed);
    if (fscanf(file, "%lld", &seconds) == 1)
        atomic_store_explicit(&last, (int64_t)seconds, memory_order_relaxed);
    fclose(file);
    return atomic_load_explicit(&last, memory_order_relaxed);
}

#else

static int64_t offset_seconds(void)
{
    return 0;
}

#endif

int64_t x402_clock_milliseconds(void)
{
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);

    assert(failed == 0);
    (void)failed;
    return ((int64_t)now.tv_sec + offset_seconds()) * 1000 + now.tv_nsec / 1000000;
}

int64_t x402_clock_seconds(void)
{
    return x402_clock_milliseconds() / 1000;
}
