/*
 * What settling costs, in dollars. Pure; any thread. A nanodollar is a thousandth of a
 * millionth of a dollar: small enough for one payment's gas.
 */
#ifndef X402_CLI_ECONOMICS_H
#define X402_CLI_ECONOMICS_H

#include <x402/error.h>

#include <stdint.h>

/*
 * Gas of one payment, from measurement on the real token: alone (85,788), and as one of
 * a batch of 100 from different payers, the worse case (47,044), both rounded up.
 */
#define X402_GAS_SINGLE 86000
#define X402_GAS_BATCHED 47500

/* Assumed unless said otherwise; every report that uses it says so. */
#define X402_ETHER_MICRO_USD_DEFAULT UINT64_C(3000000000)

/* What gas costs now. */
struct x402_gas_price {
    uint64_t wei;            /* a unit of gas: base fee and tip */
    uint64_t l1_single_wei;  /* what a rollup charges for one payment's bytes besides */
    uint64_t l1_batched_wei; /* likewise, in a batch */
    uint64_t ether_micro_usd; /* of the chain's own coin */
};

/* `wei` in nanodollars, rounded to the nearest; saturated. */
uint64_t x402_nano_usd_of_wei(uint64_t wei, uint64_t ether_micro_usd);

/* One payment's settlement. */
uint64_t x402_cost_single_nano_usd(const struct x402_gas_price *price);
uint64_t x402_cost_batched_nano_usd(const struct x402_gas_price *price);

/*
 * The price of a unit of gas, in wei, at which `gas` of it and `l1_wei` come to
 * `micro_usd`; above it a call at that price loses money. 0 when l1_wei alone does.
 */
uint64_t x402_break_even_wei(uint64_t micro_usd, uint64_t gas, uint64_t l1_wei,
                             uint64_t ether_micro_usd);

/* "0.00129", dollars: three significant digits, or cents where those are more. */
#define X402_NANO_USD_TEXT_SIZE 24
void x402_nano_usd_encode(char out[X402_NANO_USD_TEXT_SIZE], uint64_t nano_usd);

/* "0.00512", gwei with at most six decimals, trailing zeros left out. */
#define X402_GWEI_TEXT_SIZE 32
void x402_gwei_encode(char out[X402_GWEI_TEXT_SIZE], uint64_t wei);

#endif
