#include "ledger/activity.h"

#include <assert.h>

static const char *const names[X402_MEASURE_COUNT] = {
    [X402_MEASURE_CALL] = "call",           [X402_MEASURE_VERIFY] = "verify",
    [X402_MEASURE_ADMIT] = "admit",         [X402_MEASURE_COMMIT] = "commit",
    [X402_MEASURE_COMMITTED] = "committed", [X402_MEASURE_SETTLE] = "settle",
    [X402_MEASURE_BATCH] = "batch",
};

const char *x402_measure_name(enum x402_measure measure)
{
    assert((unsigned)measure < X402_MEASURE_COUNT);
    return names[measure];
}

void x402_count_add(struct x402_count *sum, const struct x402_count *more)
{
    sum->count += more->count;
    sum->value += more->value;
}

void x402_sales_add(struct x402_sales *sum, const struct x402_sales *more)
{
    sum->offered += more->offered;
    sum->refused += more->refused;
    x402_count_add(&sum->delivered, &more->delivered);
    x402_count_add(&sum->failed, &more->failed);
    x402_count_add(&sum->shadow, &more->shadow);
}
