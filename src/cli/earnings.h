/* `x402 stats`: what routes earned and what settling it cost, day by day. */
#ifndef X402_CLI_EARNINGS_H
#define X402_CLI_EARNINGS_H

#include "cli/view.h"

#define X402_EARNINGS_MAX 65536 /* rows of one listing */

struct x402_earnings {
    struct x402_earning *rows; /* owned; newest day first */
    size_t count, capacity;
    bool out_of_memory;
    uint64_t ether_micro_usd; /* what the chain's own coin is taken to cost */
    unsigned days;
};

/* Reads the last `days` days, today included. False, with a message. */
X402_MUST_USE bool x402_earnings_read(struct x402_earnings *out, const char *command,
                                      struct x402_ledger *ledger, unsigned days,
                                      uint64_t ether_micro_usd);
void x402_earnings_release(struct x402_earnings *earnings);

/* A JSON array of them. */
void x402_earnings_print_json(const struct x402_earnings *earnings);

/* A table for people; nothing when there are none. */
void x402_earnings_print(const struct x402_earnings *earnings);

/* "-0.0012": dollars with their sign, as x402_nano_usd_encode writes them. */
#define X402_MARGIN_TEXT_SIZE 28
void x402_margin_encode(char out[X402_MARGIN_TEXT_SIZE], uint64_t revenue_nano_usd,
                        uint64_t cost_nano_usd);

#endif
