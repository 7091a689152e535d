/*
 * Prices. Held as integer millionths of a US dollar, read exactly, never through
 * floating point; turned into token units once, when an offer is made.
 */
#ifndef X402_MONEY_H
#define X402_MONEY_H

#include <x402/bytes.h>

/* The largest price and value anywhere: fits a signed 64-bit column. */
#define X402_VALUE_MAX INT64_MAX

/*
 * "0.001" (dollars), "$0.001", "0.1c" (cents). Digits with at most one point with
 * digits on both sides; no sign, exponent, space or separator. More than six decimals
 * of a dollar that are not zero, zero itself, and more than one billion dollars are
 * refused. X402_ERR_PRICE, with *why (may be NULL) set to a static explanation.
 */
X402_MUST_USE enum x402_error x402_usd_decode(uint64_t *out_micro_usd, const char **why,
                                              struct x402_slice text);

/* No token has more decimals. */
#define X402_DECIMALS_MAX 36

/*
 * Millionths of a dollar as units of a token with `decimals` decimals. X402_ERR_PRICE
 * when it is zero, does not come out exactly or passes X402_VALUE_MAX, and when
 * decimals passes X402_DECIMALS_MAX.
 */
X402_MUST_USE enum x402_error x402_usd_to_atomic(uint64_t *out_atomic,
                                                 uint64_t micro_usd, unsigned decimals);

/*
 * A bound in millionths of a dollar as units of a token: rounded down, so that it is
 * never passed, and X402_VALUE_MAX at most.
 */
uint64_t x402_usd_to_bound(uint64_t micro_usd, unsigned decimals);

/* "0.001", "12", "0.0005", zero-terminated: an amount of a token for people to read.
 * decimals is at most X402_DECIMALS_MAX. */
#define X402_AMOUNT_TEXT_SIZE 44
void x402_amount_encode(char out[X402_AMOUNT_TEXT_SIZE], uint64_t atomic,
                        unsigned decimals);

#endif
