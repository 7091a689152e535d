/*
 * How long things took, or how many they were: counts in buckets that grow with what
 * they count, four to each power of two, so that every quantile is known to within a
 * quarter of itself from 0 to 2^41, in a fixed space. Pure; copied by assignment.
 */
#ifndef X402_CORE_HISTOGRAM_H
#define X402_CORE_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define X402_HISTOGRAM_BUCKETS 160
#define X402_HISTOGRAM_ENCODED_MAX (X402_HISTOGRAM_BUCKETS * 12 + 16) /* bytes */

struct x402_histogram {
    uint64_t counts[X402_HISTOGRAM_BUCKETS];
    uint64_t sum; /* of all that was added; saturated */
};

/* The bucket of a value; values past the last one's are counted in the last. */
size_t x402_histogram_bucket(uint64_t value);

/* The smallest value above a bucket: what it holds is below, but for the last one's. */
uint64_t x402_histogram_bound(size_t bucket);

void x402_histogram_add(struct x402_histogram *histogram, uint64_t value);
void x402_histogram_merge(struct x402_histogram *into,
                          const struct x402_histogram *from);
uint64_t x402_histogram_count(const struct x402_histogram *histogram);

/* How many were below `value`, which is a bound; of another value, a guess within. */
uint64_t x402_histogram_below(const struct x402_histogram *histogram, uint64_t value);

/* The value that `permille` of them do not exceed, interpolated; 0 when there are none.
 */
uint64_t x402_histogram_quantile(const struct x402_histogram *histogram,
                                 unsigned permille);

/*
 * For storing: only the buckets that count something, as varints (LEB128). Returns the
 * size. Decoding reads nothing else than what encoding wrote (one form, in order, in
 * full); false, and *out zero, for anything else.
 */
size_t x402_histogram_encode(uint8_t out[X402_HISTOGRAM_ENCODED_MAX],
                             const struct x402_histogram *histogram);
bool x402_histogram_decode(struct x402_histogram *out, const uint8_t *data,
                           size_t size);

#endif
