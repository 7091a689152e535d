/*
 * Token buckets as arithmetic: no clock, no table. Who keeps the buckets keeps the
 * locks.
 */
#ifndef X402_RATE_H
#define X402_RATE_H

#include <x402/bytes.h>

/* `count` calls in `period_milliseconds`, at most `burst` at once. count 0: no limit;
 * burst 0 is taken for 1. */
struct x402_rate {
    uint32_t count;
    uint32_t period_milliseconds;
    uint32_t burst;
};

#define X402_RATE_COUNT_MAX 1000000

/* A full bucket is all zero. 1000 units are one call. */
struct x402_bucket {
    uint64_t used_milli;           /* spent and not yet refilled */
    uint64_t updated_milliseconds; /* of any steady clock */
};

/* "60r/m", "5r/s"; burst becomes count. ERR_CONFIG with *why set to a static text. */
X402_MUST_USE enum x402_error x402_rate_decode(struct x402_rate *out, const char **why,
                                               struct x402_slice text);

/* Whether one call would pass now; changes nothing. *wait_milliseconds is 0 if it
 * would, else after how long it will. */
bool x402_bucket_peek(const struct x402_bucket *bucket, const struct x402_rate *rate,
                      uint64_t now_milliseconds, uint64_t *wait_milliseconds);

/* The same of so many calls. */
bool x402_bucket_peek_many(const struct x402_bucket *bucket,
                           const struct x402_rate *rate, uint32_t calls,
                           uint64_t now_milliseconds, uint64_t *wait_milliseconds);

/* Takes one call if it passes; false and unchanged if not. */
bool x402_bucket_take(struct x402_bucket *bucket, const struct x402_rate *rate,
                      uint64_t now_milliseconds, uint64_t *wait_milliseconds);

/* Gives one call back; never above full. */
void x402_bucket_return(struct x402_bucket *bucket);

#endif
