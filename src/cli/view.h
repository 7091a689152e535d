/*
 * What the commands that read the ledger share: opening it, and writing a payment.
 */
#ifndef X402_CLI_VIEW_H
#define X402_CLI_VIEW_H

#include "cli/cli.h"
#include "ledger/ledger.h"
#include "ledger/receipt_id.h"

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
/* Keeps one more. False, and out_of_memory, when it cannot. */
bool x402_rows_keep(struct x402_rows *rows, const struct x402_payment_row *row);
void x402_rows_release(struct x402_rows *rows);

/* One payment as a JSON object, without a newline; its receipt by the ledger's key. */
void x402_cli_payment_json(FILE *out, const struct x402_payment_row *row,
                           const uint8_t key32[32]);

/* The payment's receipt id, the one name it has everywhere; "" without memory. */
#define X402_RECEIPT_TEXT_SIZE (X402_RECEIPT_ID_SIZE + 1)
void x402_cli_receipt_text(char out[X402_RECEIPT_TEXT_SIZE], const uint8_t key32[32],
                           int64_t payment_id);

/* Its transaction: "0x…", and where people look at it; each "" when there is none. */
struct x402_cli_transaction {
    char hash[67];
    char url[X402_EXPLORER_MAX + 67];
};
void x402_cli_transaction_of(struct x402_cli_transaction *out,
                             const struct x402_payment_row *row);

/* "network": …, "networkName": …, "chainId": …, "asset": …, "token": … */
void x402_cli_network_json(FILE *out, uint64_t chain_id, const uint8_t asset20[20]);

/* "base-sepolia", or the CAIP-2 id of what has no name. */
void x402_cli_network_label(char out[X402_CAIP2_TEXT_SIZE],
                            const struct x402_network *network);

#endif
