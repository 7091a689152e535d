/* What chains and tokens are called. Pure; any thread. */
#ifndef X402_REPORT_NAMES_H
#define X402_REPORT_NAMES_H

#include "report/report.h"

/*
 * The network of a token: as configured (`how` may be NULL), else built in, else
 * nameless, with a token that has no name and no decimals. Not sealed.
 */
void x402_report_network_of(struct x402_network *out,
                            const struct x402_report_options *how, uint64_t chain_id,
                            const uint8_t asset20[20]);

/* "base-sepolia", or the CAIP-2 id of what has no name. */
#define X402_REPORT_LABEL_SIZE X402_CAIP2_TEXT_SIZE
void x402_report_network_label(char out[X402_REPORT_LABEL_SIZE],
                               const struct x402_network *network);

/* The same of a chain, whatever its token. */
void x402_report_chain_label(char out[X402_REPORT_LABEL_SIZE],
                             const struct x402_report_options *how, uint64_t chain_id);

/* "USDC", also where its contract says "USD Coin"; "" for a token that is not known.
 * Borrowed from the network, or static. */
const char *x402_report_symbol(const struct x402_network *network);

#endif
