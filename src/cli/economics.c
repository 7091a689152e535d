#include "cli/economics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WEI_PER_ETHER UINT64_C(1000000000000000000)
#define NANO_PER_USD UINT64_C(1000000000)
#define NANO_PER_CENT UINT64_C(10000000)
#define NANO_PER_MICRO 1000

__extension__ typedef unsigned __int128 wide;

static uint64_t saturated(wide number)
{
    return number > UINT64_MAX ? UINT64_MAX : (uint64_t)number;
}

uint64_t x402_nano_usd_of_wei(uint64_t wei, uint64_t ether_micro_usd)
{
    wide product = (wide)wei * ether_micro_usd; /* 2^128 holds it */
    wide whole = product / WEI_PER_ETHER;

    if (whole > UINT64_MAX / NANO_PER_MICRO)
        return UINT64_MAX;
    wide rest = product % WEI_PER_ETHER * NANO_PER_MICRO + WEI_PER_ETHER / 2;
    return saturated(whole * NANO_PER_MICRO + rest / WEI_PER_ETHER);
}

static uint64_t cost(const struct x402_gas_price *price, uint64_t gas, uint64_t l1_wei)
{
    return x402_nano_usd_of_wei(saturated((wide)price->wei * gas + l1_wei),
                                price->ether_micro_usd);
}

uint64_t x402_cost_single_nano_usd(const struct x402_gas_price *price)
{
    return cost(price, X402_GAS_SINGLE, price->l1_single_wei);
}

uint64_t x402_cost_batched_nano_usd(const struct x402_gas_price *price)
{
    return cost(price, X402_GAS_BATCHED, price->l1_batched_wei);
}

uint64_t x402_break_even_wei(uint64_t micro_usd, uint64_t gas, uint64_t l1_wei,
                             uint64_t ether_micro_usd)
{
    wide worth;

    if (ether_micro_usd == 0)
        return UINT64_MAX;
    worth = (wide)micro_usd * WEI_PER_ETHER / ether_micro_usd;
    return worth <= l1_wei ? 0 : saturated((worth - l1_wei) / gas);
}

/* Whole and fraction of so many digits; zeros at the end are left out. */
static void encode(char *out, size_t out_max, uint64_t whole, uint64_t fraction,
                   int digits)
{
    int size =
        snprintf(out, out_max, "%" PRIu64 ".%0*" PRIu64, whole, digits, fraction);

    while (size > 0 && out[size - 1] == '0')
        out[--size] = '\0';
    if (size > 0 && out[size - 1] == '.')
        out[--size] = '\0';
}

void x402_nano_usd_encode(char out[X402_NANO_USD_TEXT_SIZE], uint64_t nano_usd)
{
    uint64_t unit = 1;

    while (nano_usd / unit >= 1000 && unit < NANO_PER_CENT)
        unit *= 10;
    nano_usd = nano_usd / unit + (nano_usd % unit + unit / 2) / unit;
    encode(out, X402_NANO_USD_TEXT_SIZE, nano_usd / (NANO_PER_USD / unit),
           nano_usd % (NANO_PER_USD / unit) * unit, 9);
}

void x402_gwei_encode(char out[X402_GWEI_TEXT_SIZE], uint64_t wei)
{
    uint64_t micro = wei / 1000;

    encode(out, X402_GWEI_TEXT_SIZE, micro / 1000000, micro % 1000000, 6);
}
