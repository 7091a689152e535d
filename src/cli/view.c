/* Reading the ledger for people. */
#include "cli/view.h"

#include <x402/money.h>

#include <stdlib.h>
#include <string.h>

struct x402_ledger *x402_cli_ledger_open(const char *command, const char *data_option)
{
    char path[X402_PATH_MAX], message[X402_LEDGER_MESSAGE_MAX];
    struct x402_ledger *ledger = NULL;
    if (!x402_cli_ledger_path(path, command, data_option))
        return NULL;
    if (x402_ledger_open(&ledger, path, X402_LEDGER_READ, message) == X402_OK)
        return ledger;
    x402_cli_error(command, "%s", message);
    return NULL;
}

/* -------------------------------------------------------------------------- rows */

bool x402_rows_keep(struct x402_rows *rows, const struct x402_payment_row *row)
{
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity ? rows->capacity * 2 : 64;
        void *grown = realloc(rows->rows, capacity * sizeof *row);
        if (grown == NULL) {
            rows->out_of_memory = true;
            return false;
        }
        rows->rows = grown;
        rows->capacity = capacity;
    }
    rows->rows[rows->count++] = *row;
    return true;
}

static bool keep_row(const struct x402_payment_row *row, void *data)
{
    return x402_rows_keep(data, row);
}

bool x402_rows_read(struct x402_rows *out, const char *command,
                    struct x402_ledger *ledger,
                    const struct x402_payment_filter *filter)
{
    out->count = 0;
    out->out_of_memory = false;
    enum x402_error error = x402_ledger_payments(ledger, filter, keep_row, out);
    if (error == X402_OK && !out->out_of_memory)
        return true;
    x402_cli_error(command, "%s",
                   out->out_of_memory ? "not enough memory: lower --limit"
                                      : x402_ledger_message(ledger));
    return false;
}

void x402_rows_release(struct x402_rows *rows)
{
    free(rows->rows);
    memset(rows, 0, sizeof *rows);
}

/* -------------------------------------------------------------------------- JSON */

void x402_cli_network_label(char out[X402_CAIP2_TEXT_SIZE],
                            const struct x402_network *network)
{
    if (network->name[0] != '\0')
        snprintf(out, X402_CAIP2_TEXT_SIZE, "%s", network->name);
    else
        x402_caip2_encode(out, network->chain_id);
}

/* NULL is JSON's null. */
static void put_text(FILE *out, const char *name, const char *text)
{
    fprintf(out, ",\"%s\":", name);
    if (text != NULL)
        x402_cli_json_string(out, text);
    else
        fputs("null", out);
}

static void put_number(FILE *out, const char *name, uint64_t number)
{
    fprintf(out, ",\"%s\":%llu", name, (unsigned long long)number);
}

static void put_address(FILE *out, const char *name, const uint8_t address20[20])
{
    char text[X402_ADDRESS_TEXT_SIZE];
    x402_address_encode(text, address20);
    put_text(out, name, text);
}

static void put_time(FILE *out, const char *name, int64_t seconds)
{
    char text[X402_TIME_TEXT_SIZE];
    x402_cli_time_encode(text, seconds);
    put_text(out, name, text);
}

void x402_cli_network_json(FILE *out, uint64_t chain_id, const uint8_t asset20[20])
{
    char caip2[X402_CAIP2_TEXT_SIZE];
    struct x402_network network;
    bool known;
    x402_cli_network_of(&network, &known, chain_id, asset20);
    x402_caip2_encode(caip2, chain_id);
    fprintf(out, "\"network\":\"%s\"", caip2);
    put_text(out, "networkName", network.name[0] ? network.name : NULL);
    put_number(out, "chainId", chain_id);
    put_address(out, "asset", asset20);
    put_text(out, "token", known ? network.asset_name : NULL);
}

static const char *dialect_name(enum x402_dialect dialect)
{
    switch (dialect) {
    case X402_DIALECT_V2:
        return "v2";
    case X402_DIALECT_V1:
        return "v1";
    case X402_DIALECT_FLAT:
        return "flat";
    }
    return "unknown";
}

static void put_amount(FILE *out, const struct x402_settlement *payment)
{
    char value[32], amount[X402_AMOUNT_TEXT_SIZE];
    struct x402_network network;
    bool known;
    x402_cli_network_of(&network, &known, payment->chain_id, payment->asset20);
    snprintf(value, sizeof value, "%llu", (unsigned long long)payment->value);
    x402_amount_encode(amount, payment->value, network.decimals);
    put_text(out, "value", value);
    put_text(out, "amount", known ? amount : NULL);
}

void x402_cli_receipt_text(char out[X402_RECEIPT_TEXT_SIZE], const uint8_t key32[32],
                           int64_t payment_id)
{
    if (!x402_receipt_id_encode(out, key32, payment_id))
        out[0] = '\0';
    out[X402_RECEIPT_ID_SIZE] = '\0';
}

void x402_cli_transaction_of(struct x402_cli_transaction *out,
                             const struct x402_payment_row *row)
{
    struct x402_network network;
    bool known;

    memset(out, 0, sizeof *out);
    if (!row->has_transaction)
        return;
    x402_cli_hex_text(out->hash, sizeof out->hash, row->transaction32, 32);
    x402_cli_network_of(&network, &known, row->settlement.chain_id,
                        row->settlement.asset20);
    if (network.explorer[0] != '\0')
        snprintf(out->url, sizeof out->url, "%s%s", network.explorer, out->hash);
}

static void put_chain(FILE *out, const struct x402_payment_row *row)
{
    struct x402_cli_transaction transaction;
    char fee[32];
    bool settled = row->settlement.state.money == X402_MONEY_SETTLED ||
                   row->settlement.state.money == X402_MONEY_FINAL;
    x402_cli_transaction_of(&transaction, row);
    put_text(out, "transaction", transaction.hash[0] ? transaction.hash : NULL);
    put_text(out, "explorer", transaction.url[0] ? transaction.url : NULL);
    if (!settled) {
        fputs(",\"block\":null,\"gasUsed\":null,\"feeWei\":null", out);
        return;
    }
    if (row->block_number > 0)
        put_number(out, "block", row->block_number);
    else /* on a facilitator's word, which names none */
        fputs(",\"block\":null", out);
    put_number(out, "gasUsed", row->gas_used);
    snprintf(fee, sizeof fee, "%llu", (unsigned long long)row->fee_wei);
    put_text(out, "feeWei", fee);
}

void x402_cli_payment_json(FILE *out, const struct x402_payment_row *row,
                           const uint8_t key32[32])
{
    const struct x402_settlement *payment = &row->settlement;
    char receipt[X402_RECEIPT_TEXT_SIZE];
    x402_cli_receipt_text(receipt, key32, payment->payment_id);
    fprintf(out, "{\"id\":%lld,\"receipt\":\"%s\",", (long long)payment->payment_id,
            receipt);
    x402_cli_network_json(out, payment->chain_id, payment->asset20);
    put_address(out, "payer", payment->from20);
    put_address(out, "payee", payment->to20);
    put_amount(out, payment);
    fputs(",\"nonce\":", out);
    x402_cli_json_hex(out, payment->nonce32, 32);
    put_text(out, "delivery", x402_delivery_name(payment->state.delivery));
    put_text(out, "money", x402_money_name(payment->state.money));
    put_text(out, "route", row->route);
    put_text(out, "dialect", dialect_name(row->dialect));
    put_number(out, "attempts", row->attempts);
    put_time(out, "createdAt", row->created_at_seconds);
    put_time(out, "updatedAt", row->updated_at_seconds);
    put_time(out, "validBefore", (int64_t)payment->valid_before_seconds);
    put_chain(out, row);
    put_text(out, "reason", row->reason[0] ? row->reason : NULL);
    fputc('}', out);
}
