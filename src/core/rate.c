#include <x402/rate.h>

#include <assert.h>

#define CALL_MILLI 1000U

__extension__ typedef unsigned __int128 wide;

static uint32_t period_of(struct x402_slice unit)
{
    if (x402_slice_equal(unit, X402_SLICE("r/s")))
        return 1000;
    if (x402_slice_equal(unit, X402_SLICE("r/m")))
        return 60 * 1000;
    return 0;
}

enum x402_error x402_rate_decode(struct x402_rate *out, const char **why,
                                 struct x402_slice text)
{
    uint32_t count = 0;
    size_t at = 0;

    for (; at < text.size && text.data[at] >= '0' && text.data[at] <= '9'; at++)
        if (count <= X402_RATE_COUNT_MAX)
            count = count * 10 + (uint32_t)(text.data[at] - '0');

    uint32_t period = period_of((struct x402_slice){text.data + at, text.size - at});
    const char *reason = NULL;
    if (at == 0 || period == 0)
        reason = "a rate is written 60r/m or 5r/s";
    else if (count == 0 || count > X402_RATE_COUNT_MAX)
        reason = "a rate is from 1 to 1000000 calls";
    if (reason != NULL) {
        if (why != NULL)
            *why = reason;
        return X402_ERR_CONFIG;
    }
    *out = (struct x402_rate){
        .count = count, .period_milliseconds = period, .burst = count};
    return X402_OK;
}

static uint64_t capacity_of(const struct x402_rate *rate)
{
    return (uint64_t)(rate->burst > 0 ? rate->burst : 1) * CALL_MILLI;
}

/* What is spent at `now`. A clock that went back refills nothing. */
static uint64_t used_at(const struct x402_bucket *bucket, const struct x402_rate *rate,
                        uint64_t now_milliseconds)
{
    uint64_t capacity = capacity_of(rate);
    uint64_t used = bucket->used_milli < capacity ? bucket->used_milli : capacity;

    if (now_milliseconds <= bucket->updated_milliseconds)
        return used;
    wide refilled = (wide)(now_milliseconds - bucket->updated_milliseconds) *
                    rate->count * CALL_MILLI / rate->period_milliseconds;
    return refilled < used ? used - (uint64_t)refilled : 0;
}

static uint64_t wait_for(const struct x402_rate *rate, uint64_t missing_milli)
{
    uint64_t milli_per_period = (uint64_t)rate->count * CALL_MILLI;
    wide wait = (wide)missing_milli * rate->period_milliseconds;

    return (uint64_t)((wait + milli_per_period - 1) / milli_per_period);
}

bool x402_bucket_peek_many(const struct x402_bucket *bucket,
                           const struct x402_rate *rate, uint32_t calls,
                           uint64_t now_milliseconds, uint64_t *wait_milliseconds)
{
    *wait_milliseconds = 0;
    if (rate->count == 0)
        return true;

    assert(rate->period_milliseconds > 0);
    uint64_t wanted =
        used_at(bucket, rate, now_milliseconds) + (uint64_t)calls * CALL_MILLI;
    uint64_t capacity = capacity_of(rate);
    if (wanted <= capacity)
        return true;
    *wait_milliseconds = wait_for(rate, wanted - capacity);
    return false;
}

bool x402_bucket_peek(const struct x402_bucket *bucket, const struct x402_rate *rate,
                      uint64_t now_milliseconds, uint64_t *wait_milliseconds)
{
    return x402_bucket_peek_many(bucket, rate, 1, now_milliseconds, wait_milliseconds);
}

bool x402_bucket_take(struct x402_bucket *bucket, const struct x402_rate *rate,
                      uint64_t now_milliseconds, uint64_t *wait_milliseconds)
{
    if (!x402_bucket_peek(bucket, rate, now_milliseconds, wait_milliseconds))
        return false;
    if (rate->count == 0)
        return true;

    bucket->used_milli = used_at(bucket, rate, now_milliseconds) + CALL_MILLI;
    if (now_milliseconds > bucket->updated_milliseconds)
        bucket->updated_milliseconds = now_milliseconds;
    return true;
}

void x402_bucket_return(struct x402_bucket *bucket)
{
    bucket->used_milli =
        bucket->used_milli > CALL_MILLI ? bucket->used_milli - CALL_MILLI : 0;
}
