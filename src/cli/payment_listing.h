/* `x402 payments`: what is listed, once (payments.c) or as it happens. */
#ifndef X402_CLI_PAYMENT_LISTING_H
#define X402_CLI_PAYMENT_LISTING_H

#include "cli/payment_table.h"

struct x402_payment_listing {
    struct x402_ledger *ledger; /* owned */
    uint8_t key32[32];          /* names receipts */
    struct x402_payment_table table;
    bool json;
    size_t limit;

    /* Which. */
    bool by_delivery, by_money, by_payer;
    enum x402_delivery delivery;
    enum x402_money money;
    uint8_t payer20[20];
    uint64_t chain_id;     /* 0: any */
    const char *route;     /* NULL: any */
    int64_t since_seconds; /* 0: ever */
};

/* Whether the payment is one of those wanted, by all of the above. */
bool x402_payment_listed(const struct x402_payment_listing *listing,
                         const struct x402_payment_row *row);

/* Prints it: a line of the table or of JSON. */
void x402_payment_print(const struct x402_payment_listing *listing,
                        const struct x402_payment_row *row);

/*
 * The last ones, then each that is new once its outcome is known, and each change of
 * one seen, until a signal or an error. Returns the exit code.
 */
int x402_payments_follow(struct x402_payment_listing *listing);

#endif
