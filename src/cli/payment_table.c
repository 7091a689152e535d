#include "cli/payment_table.h"

#include "core/clock.h"

#include <x402/money.h>

#include <string.h>

/* Columns that must be there for the transaction, the payer and the number. */
#define COLUMNS_TRANSACTION 140
#define COLUMNS_PAYER 116
#define COLUMNS_DATE 100

static bool has_room(const struct x402_payment_table *table, unsigned columns)
{
    return table->columns == 0 || table->columns >= columns;
}

void x402_payment_table_head(const struct x402_payment_table *table)
{
    bool date = has_room(table, COLUMNS_DATE);

    fputs(x402_cli_style(stdout, X402_STYLE_BOLD), stdout);
    if (date)
        printf("%6s  ", "id");
    printf("%-*s  %-22s  ", date ? 20 : 8, table->latest ? "changed" : "time",
           "receipt");
    if (has_room(table, COLUMNS_PAYER))
        printf("%-13s  ", "payer");
    printf("%10s  %-9s  %-9s  ", "amount", "delivery", "money");
    if (has_room(table, COLUMNS_TRANSACTION))
        printf("%-13s  ", "transaction");
    printf("route%s\n", x402_cli_style(stdout, X402_STYLE_PLAIN));
}

/* "0x857b…2E66" in 13 columns; the bytes of "…" are three. */
static void print_short(const char *text)
{
    size_t size = strlen(text);

    if (size > 13)
        printf("%.6s…%s  ", text, text + size - 6);
    else
        printf("%-13s  ", size > 0 ? text : "-");
}

static enum x402_style style_of(const struct x402_state *state)
{
    if (state->money == X402_MONEY_FAILED || state->delivery == X402_DELIVERY_ABANDONED)
        return X402_STYLE_BAD;
    if (state->delivery == X402_DELIVERY_OWED)
        return X402_STYLE_WARN;
    if (state->delivery == X402_DELIVERY_VOID)
        return X402_STYLE_DIM;
    if (state->money == X402_MONEY_FINAL || state->money == X402_MONEY_SETTLED)
        return X402_STYLE_GOOD;
    return X402_STYLE_PLAIN;
}

static void print_time(const struct x402_payment_table *table,
                       const struct x402_payment_row *row)
{
    char time[X402_TIME_TEXT_SIZE];

    x402_cli_time_encode(time, table->latest ? row->updated_at_seconds
                                             : row->created_at_seconds);
    if (has_room(table, COLUMNS_DATE))
        printf("%6lld  %-20s  ", (long long)row->settlement.payment_id, time);
    else
        printf("%.8s  ", time + 11);
}

void x402_payment_table_row(const struct x402_payment_table *table,
                            const struct x402_payment_row *row)
{
    const struct x402_settlement *payment = &row->settlement;
    struct x402_cli_transaction transaction;
    struct x402_network network;
    bool known;
    char payer[X402_ADDRESS_TEXT_SIZE], amount[X402_AMOUNT_TEXT_SIZE];
    char receipt[X402_RECEIPT_TEXT_SIZE];

    x402_cli_network_of(&network, &known, payment->chain_id, payment->asset20);
    x402_address_encode(payer, payment->from20);
    x402_amount_encode(amount, payment->value, network.decimals);
    x402_cli_receipt_text(receipt, table->key32, payment->payment_id);
    x402_cli_transaction_of(&transaction, row);
    print_time(table, row);
    printf("%-22s  ", receipt);
    if (has_room(table, COLUMNS_PAYER))
        print_short(payer);
    printf("%10s  %s%-9s  %-9s%s  ", amount,
           x402_cli_style(stdout, style_of(&payment->state)),
           x402_delivery_name(payment->state.delivery),
           x402_money_name(payment->state.money),
           x402_cli_style(stdout, X402_STYLE_PLAIN));
    if (has_room(table, COLUMNS_TRANSACTION))
        print_short(transaction.hash);
    x402_cli_print_safe(stdout, row->route);
    if (row->reason[0] != '\0') {
        fputs("  ", stdout);
        x402_cli_print_safe(stdout, row->reason);
    }
    putchar('\n');
}

/* --------------------------------------------------------------------------- details
 */

static const char *meaning_of_delivery(enum x402_delivery delivery)
{
    switch (delivery) {
    case X402_DELIVERY_PENDING:
        return "being served now";
    case X402_DELIVERY_DELIVERED:
        return "the caller has what was paid for";
    case X402_DELIVERY_VOID:
        return "not served, so not charged; the same payment may be presented again";
    case X402_DELIVERY_ABANDONED:
        return "cut off by a crash: never charged, never served";
    case X402_DELIVERY_OWED:
        return "charged and not served yet: the same payment buys the call";
    }
    return "";
}

static const char *meaning_of_money(enum x402_money money)
{
    switch (money) {
    case X402_MONEY_HELD:
        return "its authorization is in hand, nothing is earned yet";
    case X402_MONEY_DUE:
        return "earned, waits to be sent to the chain";
    case X402_MONEY_SUBMITTED:
        return "sent, in no block yet";
    case X402_MONEY_SETTLED:
        return "in a block";
    case X402_MONEY_FINAL:
        return "in a block that stays";
    case X402_MONEY_FAILED:
        return "cannot be collected";
    case X402_MONEY_RELEASED:
        return "will not be collected";
    }
    return "";
}

static void print_line(const char *name, const char *text)
{
    printf("  %-12s", name);
    x402_cli_print_safe(stdout, text);
    putchar('\n');
}

static void print_when(const char *name, int64_t seconds)
{
    char time[X402_TIME_TEXT_SIZE], ago[X402_DURATION_TEXT_SIZE];
    int64_t since = x402_clock_seconds() - seconds;

    x402_cli_time_encode(time, seconds);
    x402_cli_duration_encode(ago, (uint64_t)(since < 0 ? -since : since) * 1000000);
    printf(since < 0 ? "  %-12s%s, in %s\n" : "  %-12s%s, %s ago\n", name, time, ago);
}

static void print_state(const struct x402_payment_row *row)
{
    const struct x402_state *state = &row->settlement.state;
    const char *style = x402_cli_style(stdout, style_of(state));
    const char *plain = x402_cli_style(stdout, X402_STYLE_PLAIN);

    printf("  %-12s%s%s%s: %s\n", "delivery", style,
           x402_delivery_name(state->delivery), plain,
           meaning_of_delivery(state->delivery));
    printf("  %-12s%s%s%s: %s\n", "money", style, x402_money_name(state->money), plain,
           meaning_of_money(state->money));
    if (row->reason[0] != '\0')
        print_line("reason", row->reason);
}

static void print_parties(const struct x402_settlement *payment)
{
    char address[X402_ADDRESS_TEXT_SIZE], nonce[67];

    x402_address_encode(address, payment->from20);
    print_line("payer", address);
    x402_address_encode(address, payment->to20);
    print_line("payee", address);
    x402_cli_hex_text(nonce, sizeof nonce, payment->nonce32, 32);
    print_line("nonce", nonce);
}

static void print_settlement(const struct x402_payment_row *row)
{
    struct x402_cli_transaction transaction;
    char fee[X402_AMOUNT_TEXT_SIZE];

    x402_cli_transaction_of(&transaction, row);
    if (transaction.hash[0] == '\0')
        return;
    print_line("transaction", transaction.hash);
    if (transaction.url[0] != '\0')
        print_line("", transaction.url);
    if (row->block_number > 0) {
        x402_amount_encode(fee, row->fee_wei, 18);
        printf("  %-12s%llu, %llu gas for %s ether\n", "block",
               (unsigned long long)row->block_number, (unsigned long long)row->gas_used,
               fee);
    }
}

void x402_payment_details(const struct x402_payment_row *row, const uint8_t key32[32])
{
    const struct x402_settlement *payment = &row->settlement;
    struct x402_network network;
    bool known;
    char receipt[X402_RECEIPT_TEXT_SIZE], amount[X402_AMOUNT_TEXT_SIZE];
    char label[X402_CAIP2_TEXT_SIZE];

    x402_cli_network_of(&network, &known, payment->chain_id, payment->asset20);
    x402_cli_network_label(label, &network);
    x402_amount_encode(amount, payment->value, network.decimals);
    x402_cli_receipt_text(receipt, key32, payment->payment_id);
    printf("%sreceipt %s%s, payment %lld\n", x402_cli_style(stdout, X402_STYLE_BOLD),
           receipt, x402_cli_style(stdout, X402_STYLE_PLAIN),
           (long long)payment->payment_id);
    printf("  %-12s%s %s on %s%s\n", "amount", amount,
           known ? network.asset_name : "units", label,
           network.testnet ? " (play money)" : "");
    print_line("route", row->route);
    print_state(row);
    print_when("made", row->created_at_seconds);
    print_when("changed", row->updated_at_seconds);
    print_when("valid until", (int64_t)payment->valid_before_seconds);
    printf("  %-12s%u\n", "attempts", row->attempts);
    print_parties(payment);
    print_settlement(row);
}
