#include "core/histogram.h"

#include "core/saturated.h"

#include <assert.h>
#include <string.h>

#define STEP_BITS 2 /* 2^STEP_BITS buckets to each power of two */
#define STEPS (1U << STEP_BITS)
#define VARINT_SIZE_MAX 10

/* Below STEPS each value has a bucket of its own; above, its highest bit and the
 * STEP_BITS that follow are the bucket. */
size_t x402_histogram_bucket(uint64_t value)
{
    unsigned power, step;
    size_t bucket;

    if (value < STEPS)
        return (size_t)value;
    power = 63 - (unsigned)__builtin_clzll(value);
    step = (unsigned)(value >> (power - STEP_BITS)) & (STEPS - 1);
    bucket = (size_t)(power - STEP_BITS + 1) * STEPS + step;
    return bucket < X402_HISTOGRAM_BUCKETS ? bucket : X402_HISTOGRAM_BUCKETS - 1;
}

uint64_t x402_histogram_bound(size_t bucket)
{
    assert(bucket < X402_HISTOGRAM_BUCKETS);
    if (bucket < STEPS)
        return bucket + 1;
    return (STEPS + bucket % STEPS + 1) << (bucket / STEPS - 1);
}

/* The smallest value in a bucket. */
static uint64_t floor_of(size_t bucket)
{
    return bucket == 0 ? 0 : x402_histogram_bound(bucket - 1);
}

void x402_histogram_add(struct x402_histogram *histogram, uint64_t value)
{
    histogram->counts[x402_histogram_bucket(value)]++;
    histogram->sum = x402_saturated(histogram->sum, value);
}

void x402_histogram_merge(struct x402_histogram *into,
                          const struct x402_histogram *from)
{
    for (size_t i = 0; i < X402_HISTOGRAM_BUCKETS; i++)
        into->counts[i] = x402_saturated(into->counts[i], from->counts[i]);
    into->sum = x402_saturated(into->sum, from->sum);
}

uint64_t x402_histogram_count(const struct x402_histogram *histogram)
{
    uint64_t count = 0;

    for (size_t i = 0; i < X402_HISTOGRAM_BUCKETS; i++)
        count = x402_saturated(count, histogram->counts[i]);
    return count;
}

/* `whole` * `part` / `parts`, where part <= parts. */
static uint64_t share(uint64_t whole, uint64_t part, uint64_t parts)
{
    __extension__ typedef unsigned __int128 wide;

    return (uint64_t)((wide)whole * part / parts);
}

uint64_t x402_histogram_below(const struct x402_histogram *histogram, uint64_t value)
{
    uint64_t below = 0;

    for (size_t i = 0; i < X402_HISTOGRAM_BUCKETS && floor_of(i) < value; i++) {
        const uint64_t low = floor_of(i), high = x402_histogram_bound(i);
        const uint64_t part = value < high ? value - low : high - low;
        below = x402_saturated(below, share(histogram->counts[i], part, high - low));
    }
    return below;
}

/* Where in its bucket the one is that has `before` of `count` in it below itself: in
 * the middle of its share, so that a single one is in the middle of the bucket. */
static uint64_t place(size_t bucket, uint64_t before, uint64_t count)
{
    const uint64_t low = floor_of(bucket), width = x402_histogram_bound(bucket) - low;

    return low + share(width, before, count) + share(width, 1, count) / 2;
}

uint64_t x402_histogram_quantile(const struct x402_histogram *histogram,
                                 unsigned permille)
{
    const uint64_t count = x402_histogram_count(histogram);
    uint64_t rank = count / 1000 * permille + (count % 1000 * permille + 999) / 1000;
    size_t bucket = 0;

    assert(permille <= 1000);
    if (count == 0)
        return 0;
    rank = rank == 0 ? 1 : rank;
    while (histogram->counts[bucket] < rank)
        rank -= histogram->counts[bucket++];
    return place(bucket, rank - 1, histogram->counts[bucket]);
}

/* -------------------------------------------------------------------------- storing */

static uint8_t *varint_put(uint8_t *at, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        *at++ = (uint8_t)(number | 0x80);
    *at++ = (uint8_t)number;
    return at;
}

/* NULL when there is none, or it could be written shorter. */
static const uint8_t *varint_take(uint64_t *out, const uint8_t *at, const uint8_t *end)
{
    uint64_t number = 0;

    if (at < end && *at < 0x80) { /* most are */
        *out = *at;
        return at + 1;
    }
    for (unsigned i = 0; i < VARINT_SIZE_MAX && at < end; i++) {
        const uint8_t byte = *at++;
        const uint64_t bits = byte & 0x7f;
        if (i == VARINT_SIZE_MAX - 1 && bits > 1)
            return NULL; /* beyond 64 bits */
        number |= bits << (7 * i);
        if (byte < 0x80) {
            *out = number;
            return byte != 0 || i == 0 ? at : NULL;
        }
    }
    return NULL;
}

/* The sum; then, for each bucket that counts something, how many before it do not, and
 * its count. */
size_t x402_histogram_encode(uint8_t out[X402_HISTOGRAM_ENCODED_MAX],
                             const struct x402_histogram *histogram)
{
    uint8_t *at = varint_put(out, histogram->sum);
    size_t skipped = 0;

    for (size_t i = 0; i < X402_HISTOGRAM_BUCKETS; i++) {
        if (histogram->counts[i] == 0) {
            skipped++;
            continue;
        }
        at = varint_put(at, skipped);
        at = varint_put(at, histogram->counts[i]);
        skipped = 0;
    }
    return (size_t)(at - out);
}

/* Into what is all zero; NULL for anything that encoding did not write. */
static const uint8_t *buckets_take(struct x402_histogram *out, const uint8_t *at,
                                   const uint8_t *end)
{
    size_t bucket = 0;

    while (at != NULL && at < end) {
        uint64_t skipped = 0, count = 0;
        at = varint_take(&skipped, at, end);
        if (at == NULL || skipped >= X402_HISTOGRAM_BUCKETS - bucket)
            return NULL;
        at = varint_take(&count, at, end);
        if (count == 0)
            return NULL;
        bucket += skipped;
        out->counts[bucket++] = count;
    }
    return at;
}

bool x402_histogram_decode(struct x402_histogram *out, const uint8_t *data, size_t size)
{
    const uint8_t *const end = data + size;
    const uint8_t *at;

    memset(out, 0, sizeof(*out));
    at = size > 0 ? varint_take(&out->sum, data, end) : NULL;
    if (buckets_take(out, at, end) != NULL)
        return true;
    memset(out, 0, sizeof(*out));
    return false;
}
