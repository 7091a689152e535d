/*
 * The prices in an nginx configuration: what a person reads there, without running
 * nginx. Pure; any thread.
 */
#ifndef X402_CLI_PRICES_H
#define X402_CLI_PRICES_H

#include <x402/bytes.h>

#include <stdint.h>

#define X402_PRICES_MAX 512
#define X402_PRICE_WHERE_MAX 128 /* bytes, with the zero */

struct x402_price {
    char where[X402_PRICE_WHERE_MAX]; /* the location's name, or "server", "http" */
    size_t more;                      /* other places with the same price */
    uint64_t micro_usd;
};

struct x402_prices {
    struct x402_price items[X402_PRICES_MAX];
    size_t count;
    size_t variable; /* prices that are variables: not known before a request */
    size_t included; /* include directives: what they name was not read */
};

/*
 * Reads every `x402_price` of a configuration's text, with the block it stands in;
 * those that are off are left out, and so are repetitions of the same price in the same
 * place. What is no configuration yields what can be made of it.
 */
void x402_prices_scan(struct x402_prices *out, struct x402_slice text);

#endif
