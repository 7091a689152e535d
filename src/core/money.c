#include "core/text.h"

#include <x402/money.h>

#include <assert.h>
#include <string.h>

#define USD_DECIMALS 6U
#define CENT_DECIMALS 4U
#define MICRO_USD_MAX (UINT64_C(1000000000) * 1000000)

static enum x402_error refuse(const char **why, const char *reason)
{
    if (why != NULL)
        *why = reason;
    return X402_ERR_PRICE;
}

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

static size_t digits_count(struct x402_slice text)
{
    size_t count = 0;

    while (count < text.size && is_digit(text.data[count]))
        count++;
    return count;
}

/* Appends a decimal digit; beyond the largest price it only matters that it is beyond.
 */
static uint64_t append_digit(uint64_t number, char digit)
{
    if (number > MICRO_USD_MAX)
        return number;
    return number * 10 + (uint64_t)(digit - '0');
}

/* number = the digits with the point moved `decimals` places to the right. */
static const char *scale(uint64_t *number, struct x402_slice whole,
                         struct x402_slice fraction, size_t decimals)
{
    *number = 0;
    for (size_t i = 0; i < whole.size; i++)
        *number = append_digit(*number, whole.data[i]);
    for (size_t i = 0; i < decimals; i++)
        *number = append_digit(*number, i < fraction.size ? fraction.data[i] : '0');
    for (size_t i = decimals; i < fraction.size; i++)
        if (fraction.data[i] != '0')
            return "a price has at most six decimals of a dollar";
    if (*number == 0)
        return "a price is more than zero";
    return *number > MICRO_USD_MAX ? "a price is at most one billion dollars" : NULL;
}

enum x402_error x402_usd_decode(uint64_t *out_micro_usd, const char **why,
                                struct x402_slice text)
{
    static const char form[] =
        "a price is written 0.001 or $0.001 (dollars) or 0.1c (cents)";
    size_t decimals = USD_DECIMALS;
    uint64_t number;

    if (text.size > 0 && text.data[0] == '$') {
        text = (struct x402_slice){text.data + 1, text.size - 1};
    } else if (text.size > 0 && text.data[text.size - 1] == 'c') {
        text.size--;
        decimals = CENT_DECIMALS;
    }

    struct x402_slice whole = {text.data, digits_count(text)};
    struct x402_slice fraction = {text.data + whole.size, 0};
    if (whole.size == 0)
        return refuse(why, form);
    if (whole.size < text.size) {
        if (text.data[whole.size] != '.')
            return refuse(why, form);
        fraction.data = text.data + whole.size + 1;
        fraction.size = text.size - whole.size - 1;
        if (fraction.size == 0 || digits_count(fraction) != fraction.size)
            return refuse(why, form);
    }

    const char *reason = scale(&number, whole, fraction, decimals);
    if (reason != NULL)
        return refuse(why, reason);
    *out_micro_usd = number;
    return X402_OK;
}

enum x402_error x402_usd_to_atomic(uint64_t *out_atomic, uint64_t micro_usd,
                                   unsigned decimals)
{
    uint64_t atomic = micro_usd;

    if (atomic == 0 || decimals > X402_DECIMALS_MAX)
        return X402_ERR_PRICE;
    for (unsigned i = decimals; i < USD_DECIMALS; i++) {
        if (atomic % 10 != 0)
            return X402_ERR_PRICE;
        atomic /= 10;
    }
    for (unsigned i = USD_DECIMALS; i < decimals; i++) {
        if (atomic > X402_VALUE_MAX / 10)
            return X402_ERR_PRICE;
        atomic *= 10;
    }
    if (atomic > X402_VALUE_MAX)
        return X402_ERR_PRICE;
    *out_atomic = atomic;
    return X402_OK;
}

uint64_t x402_usd_to_bound(uint64_t micro_usd, unsigned decimals)
{
    uint64_t atomic = micro_usd;

    for (unsigned i = decimals; i < USD_DECIMALS; i++)
        atomic /= 10;
    for (unsigned i = USD_DECIMALS; i < decimals; i++) {
        if (atomic > X402_VALUE_MAX / 10)
            return X402_VALUE_MAX;
        atomic *= 10;
    }
    return atomic < X402_VALUE_MAX ? atomic : X402_VALUE_MAX;
}

/* At least decimals + 1 digits, zeros in front. */
static struct x402_slice digits_of(char *buffer, size_t buffer_size, uint64_t number,
                                   unsigned decimals)
{
    size_t first = buffer_size;

    while (number != 0 || buffer_size - first <= decimals) {
        assert(first > 0);
        buffer[--first] = (char)('0' + number % 10);
        number /= 10;
    }
    return (struct x402_slice){buffer + first, buffer_size - first};
}

void x402_amount_encode(char out[X402_AMOUNT_TEXT_SIZE], uint64_t atomic,
                        unsigned decimals)
{
    char buffer[X402_DECIMALS_MAX + 1 > X402_DECIMAL_SIZE_MAX ? X402_DECIMALS_MAX + 1
                                                              : X402_DECIMAL_SIZE_MAX];

    assert(decimals <= X402_DECIMALS_MAX);
    struct x402_slice digits = digits_of(buffer, sizeof buffer, atomic, decimals);
    struct x402_slice whole = {digits.data, digits.size - decimals};
    struct x402_slice fraction = {digits.data + whole.size, decimals};
    while (fraction.size > 0 && fraction.data[fraction.size - 1] == '0')
        fraction.size--;

    struct x402_text text = x402_text_init(out, X402_AMOUNT_TEXT_SIZE);
    x402_text_put(&text, whole);
    if (fraction.size > 0) {
        x402_text_put_string(&text, ".");
        x402_text_put(&text, fraction);
    }
    x402_text_put(&text, (struct x402_slice){"", 1});
    assert(!text.overflow);
}
