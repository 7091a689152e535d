/*
 * What the commands that read the ledger share: opening it, and writing a payment.
 */
#ifndef X402_CLI_VIEW_H
#define X402_CLI_VIEW_H

#include "cli/cli.h"
#include "ledger/ledger.h"

#define X402_ROWS_MAX 1000000 /* of one listing */

/* Rows held while nothing of the ledger is: a slow reader must not keep it from the
 * workers. */
struct x402_rows {
    struct x402_payment_row *rows; /* owned */
    size_t count, capacity;
    bool out_of_memory;
};

/* Opens the ledger of a data directory for reading; NULL, with a message. */
struct x402_ledger *x402_cli_ledger_open(const char *command, const char *data_option);

/* Fills *out (released first) by the filter. False, with a message. */
X402_MUST_USE bool x402_rows_read(struct x402_rows *out, const char *command,
                                  struct x402_ledger *ledger,
                                  const struct x402_payment_filter *filter);
void x402_rows_release(struct x402_rows *rows);

/* One payment as a JSON object, without a newline. */
void x402_cli_payment_json(FILE *out, const struct x402_payment_row *row);

/* "network": …, "networkName": …, "chainId": …, "asset": …, "token": … */
void x402_cli_network_json(FILE *out, uint64_t chain_id, const uint8_t asset20[20]);

/* "base-sepolia", or the CAIP-2 id of what has no name. */
void x402_cli_network_label(char out[X402_CAIP2_TEXT_SIZE],
                            const struct x402_network *network);

#endif
