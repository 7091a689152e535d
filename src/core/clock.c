#include "core/clock.h"

#include <assert.h>
#include <time.h>

#ifdef X402_TEST_CLOCK

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
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

/* The number in the file; *stopped: it is the time. False: there is none. */
static bool file_read(long long *seconds, bool *stopped)
{
    const char *path = getenv(VARIABLE);
    FILE *file = fopen(path != NULL ? path : inherited_path, "re");
    char mark[2] = "";

    if (file == NULL)
        return false;
    (void)fscanf(file, "%1[@]", mark);
    bool found = fscanf(file, "%lld", seconds) == 1;
    fclose(file);
    *stopped = mark[0] != '\0';
    return found;
}

/* A file that is being rewritten can be empty for a moment: the last number holds.
 * Relaxed: asking the time puts threads in no order, which would hide their races. */
static int64_t moved_milliseconds(int64_t now)
{
    static _Atomic int64_t last; /* twice the number, and 1 where the clock stands */
    long long seconds;
    bool stopped;

    if (file_read(&seconds, &stopped))
        atomic_store_explicit(&last, (int64_t)seconds * 2 + stopped,
                              memory_order_relaxed);
    int64_t holds = atomic_load_explicit(&last, memory_order_relaxed);
    return holds % 2 != 0 ? holds / 2 * 1000 : holds / 2 * 1000 + now;
}

#else

static int64_t moved_milliseconds(int64_t now)
{
    return now;
}

#endif

int64_t x402_clock_milliseconds(void)
{
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);

    assert(failed == 0);
    (void)failed;
    return moved_milliseconds((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

int64_t x402_clock_seconds(void)
{
    return x402_clock_milliseconds() / 1000;
}
