#include "core/failpoint.h"

#ifdef X402_TEST_CLOCK

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The environment is read each time: this is for tests. */
void x402_failpoint(const char *name)
{
    static atomic_long passed;
    const char *wanted = getenv("X402_FAILPOINT");
    size_t size = strlen(name);

    if (wanted == NULL || strncmp(wanted, name, size) != 0 ||
        (wanted[size] != '\0' && wanted[size] != ':')) {
        return;
    }
    long nth = wanted[size] == ':' ? strtol(wanted + size + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&passed, 1) + 1 == nth) {
        (void)kill(getpid(), SIGKILL);
    }
}

#else
/* A translation unit is not empty. */
typedef int x402_failpoint_none;
#endif
