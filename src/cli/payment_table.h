/* `x402 payments`: payments for people, as lines of a table or one at length. */
#ifndef X402_CLI_PAYMENT_TABLE_H
#define X402_CLI_PAYMENT_TABLE_H

#include "cli/view.h"

/*
 * How wide: to a file everything; on a terminal what has room. `columns` 0 is a file.
 * `latest` shows when a payment changed last instead of when it was made.
 */
struct x402_payment_table {
    const uint8_t *key32; /* names receipts; borrowed */
    unsigned columns;
    bool latest;
};

void x402_payment_table_head(const struct x402_payment_table *table);
void x402_payment_table_row(const struct x402_payment_table *table,
                            const struct x402_payment_row *row);

/* One payment, a line for each thing known of it, and what its state means. */
void x402_payment_details(const struct x402_payment_row *row, const uint8_t key32[32]);

#endif
