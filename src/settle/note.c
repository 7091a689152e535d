#include "settle/chain.h"

#include <x402/money.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define AMOUNT_TEXT_SIZE 100

void x402_chain_note(struct x402_chain *chain, const char *format, ...)
{
    char line[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    chain->options->note(chain->options->data, line);
}

void x402_chain_trouble(struct x402_chain *chain, enum x402_trouble trouble,
                        const char *format, ...)
{
    char text[900];
    va_list arguments;

    if (chain->troubled)
        return;
    chain->troubled = true;
    if (chain->trouble == trouble)
        return;
    chain->trouble = trouble;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    x402_chain_note(chain, "%s: %s", chain->name, text);
}

/* ------------------------------------------------------------------------- payments */

/* The networks built in take USDC under two names; another token is told by units. */
static void amount_text(char out[AMOUNT_TEXT_SIZE], const struct x402_chain *chain,
                        const uint8_t asset20[20], uint64_t value)
{
    const struct x402_network *network = &chain->network;
    char amount[X402_AMOUNT_TEXT_SIZE], asset[X402_ADDRESS_TEXT_SIZE];

    if (network->asset_name[0] != '\0' && memcmp(network->asset20, asset20, 20) == 0) {
        bool usdc = strcmp(network->asset_name, "USD Coin") == 0;
        x402_amount_encode(amount, value, network->decimals);
        snprintf(out, AMOUNT_TEXT_SIZE, "%s %s", amount,
                 usdc ? "USDC" : network->asset_name);
        return;
    }
    x402_address_encode(asset, asset20);
    snprintf(out, AMOUNT_TEXT_SIZE, "%" PRIu64 " units of %s", value, asset);
}

void x402_payment_text(char out[X402_PAYMENT_TEXT_SIZE], const struct x402_chain *chain,
                       const struct x402_settlement *payment)
{
    char amount[AMOUNT_TEXT_SIZE], payer[X402_ADDRESS_TEXT_SIZE];

    amount_text(amount, chain, payment->asset20, payment->value);
    x402_address_encode(payer, payment->from20);
    snprintf(out, X402_PAYMENT_TEXT_SIZE, "payment %" PRId64 ": %s from %s",
             payment->payment_id, amount, payer);
}

void x402_payments_text(char out[X402_PAYMENT_TEXT_SIZE],
                        const struct x402_chain *chain,
                        const struct x402_settlement *const *payments, size_t count)
{
    char amount[AMOUNT_TEXT_SIZE];
    uint64_t sum = 0;

    if (count == 1) {
        x402_payment_text(out, chain, payments[0]);
        return;
    }
    for (size_t i = 0; i < count; i++)
        sum = payments[i]->value > UINT64_MAX - sum ? UINT64_MAX
                                                    : sum + payments[i]->value;
    amount_text(amount, chain, payments[0]->asset20, sum);
    snprintf(out, X402_PAYMENT_TEXT_SIZE, "%zu payments, %s", count, amount);
}

/* -------------------------------------------------------------------------- rulings */

/* Those told in one line: settled by one transaction, or due again for one reason. */
static bool is_told_with(const struct x402_ruling *a, const struct x402_ruling *b)
{
    if (a->action != b->action ||
        memcmp(a->payment->asset20, b->payment->asset20, 20) != 0)
        return false;
    if (a->action == X402_ACTION_SETTLE)
        return memcmp(a->finding.evidence.hash32, b->finding.evidence.hash32, 32) == 0;
    return a->action == X402_ACTION_UNSETTLE &&
           strcmp(a->finding.reason, b->finding.reason) == 0;
}

static void note_group(struct x402_chain *chain, const struct x402_ruling *ruling,
                       const struct x402_settlement *const *payments, size_t count)
{
    const struct x402_evidence *evidence = &ruling->finding.evidence;
    char text[X402_PAYMENT_TEXT_SIZE], hash[65] = "";

    x402_payments_text(text, chain, payments, count);
    if (ruling->action == X402_ACTION_SETTLE) {
        x402_hex_encode(hash, evidence->hash32, 32);
        x402_chain_note(chain, "settled %s%s in 0x%s (block %" PRIu64 ")%s", text,
                        count > 1 ? "," : "", hash, evidence->block_number,
                        evidence->ours ? "" : ", by somebody else's transaction");
    } else if (ruling->action == X402_ACTION_UNSETTLE) {
        x402_chain_note(chain, "due again: %s: %s", text, ruling->finding.reason);
    }
}

void x402_rulings_note(struct x402_chain *chain, const struct x402_ruling *rulings,
                       size_t count)
{
    const struct x402_settlement *group[X402_ROW_PAYMENTS_MAX];

    for (size_t i = 0; i < count; i++) {
        size_t first = 0, size = 0;
        while (first < i && !is_told_with(&rulings[first], &rulings[i]))
            first++;
        if (first < i)
            continue; /* told with that one */
        for (size_t j = i; j < count && size < X402_ROW_PAYMENTS_MAX; j++) {
            if (j == i || is_told_with(&rulings[i], &rulings[j]))
                group[size++] = rulings[j].payment;
        }
        note_group(chain, &rulings[i], group, size);
    }
}
