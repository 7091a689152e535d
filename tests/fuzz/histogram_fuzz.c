/* Any bytes as a stored histogram: what is read is written the same, and adds up. */
#include "core/histogram.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_quantiles(const struct x402_histogram *histogram)
{
    uint64_t last = 0;

    for (unsigned permille = 0; permille <= 1000; permille += 50) {
        const uint64_t next = x402_histogram_quantile(histogram, permille);
        if (next < last || next > x402_histogram_bound(X402_HISTOGRAM_BUCKETS - 1))
            abort();
        last = next;
    }
    if (x402_histogram_below(histogram, UINT64_MAX) != x402_histogram_count(histogram))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct x402_histogram zeros;
    struct x402_histogram histogram;
    uint8_t again[X402_HISTOGRAM_ENCODED_MAX];

    if (!x402_histogram_decode(&histogram, data, size)) {
        if (memcmp(&histogram, &zeros, sizeof(zeros)) != 0)
            abort();
        return 0;
    }
    if (size > sizeof(again) || x402_histogram_encode(again, &histogram) != size ||
        memcmp(again, data, size) != 0)
        abort();
    check_quantiles(&histogram);
    x402_histogram_merge(&histogram, &histogram);
    return 0;
}
