/*
 * What the tests of eight lanes share: numbers at random, the same in each run, and
 * whether the processor can at all.
 */
#ifndef X402_TESTS_UNIT_EVM_EIGHT_H
#define X402_TESTS_UNIT_EVM_EIGHT_H

#include "evm/recover8.h"
#include "unit/core/support.h"

/* Ends the test, as skipped, where the processor cannot. */
static inline void eight_or_skip(void)
{
    if (!x402_recover8_is_here())
        skip();
}

static inline void eight_are_not_here(void **state)
{
    (void)state;
    skip();
}

/* The main of tests of what this compiler or processor does not know: all skipped. */
static inline int eight_skip_all(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(eight_are_not_here)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators",
 * 2014). */
static inline uint64_t eight_random(void)
{
    static uint64_t state;
    uint64_t z = state += 0x9E3779B97F4A7C15;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

static inline void eight_random_bytes(uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)eight_random();
}

#endif
