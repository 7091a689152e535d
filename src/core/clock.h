/*
 * The time of day that decides about money: windows, leases, retention. In a build with
 * X402_TEST_CLOCK defined, the whole number of seconds in the file named by the
 * environment variable X402_TEST_CLOCK_FILE is added (re-read when the file changes),
 * so that a test need not wait. Where it is written after an @, that is the Unix time,
 * to the millisecond, and the clock stands still, so that a test need not hurry. A
 * release build has no such door.
 */
#ifndef X402_CORE_CLOCK_H
#define X402_CORE_CLOCK_H

#include <stdint.h>

int64_t x402_clock_seconds(void);      /* Unix time */
int64_t x402_clock_milliseconds(void); /* Unix time in milliseconds */

#endif
