#include "settle/chain.h"

#include "core/clock.h"

#include <x402/money.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define AMOUNT_TEXT_SIZE 100

/* --------------------------------------------------------------------------- events */

void x402_note_begin(struct x402_note_event *event, const struct x402_chain *chain,
                     enum x402_note_kind kind)
{
    memset(event, 0, sizeof *event);
    event->kind = kind;
    if (chain == NULL)
        return;
    event->chain_id = chain->network.chain_id;
    snprintf(event->network, sizeof event->network, "%s", chain->name);
}

/* The name of its receipt; "" while the ledger's key is not known. */
static void receipt_text(char out[X402_RECEIPT_ID_SIZE + 1],
                         const struct x402_chain *chain, int64_t payment_id)
{
    bool named = chain->has_receipt_key &&
                 x402_receipt_id_encode(out, chain->receipt_key32, payment_id);

    out[named ? X402_RECEIPT_ID_SIZE : 0] = '\0';
}

static uint64_t sum_of(const struct x402_settlement *const *payments, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum = payments[i]->value > UINT64_MAX - sum ? UINT64_MAX
                                                    : sum + payments[i]->value;
    return sum;
}

static bool are_of_one_token(const struct x402_settlement *const *payments,
                             size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (memcmp(payments[i]->asset20, payments[0]->asset20, 20) != 0)
            return false;
    }
    return true;
}

void x402_note_put_payments(struct x402_note_event *event,
                            const struct x402_chain *chain,
                            const struct x402_settlement *const *payments, size_t count)
{
    event->payments_count = count;
    event->has_value = are_of_one_token(payments, count);
    event->value = sum_of(payments, count);
    for (size_t i = 0; i < count && i < X402_NOTE_PAYMENTS_MAX; i++) {
        event->payments[i].id = payments[i]->payment_id;
        receipt_text(event->payments[i].receipt, chain, payments[i]->payment_id);
    }
}

void x402_note_put_payment(struct x402_note_event *event,
                           const struct x402_chain *chain,
                           const struct x402_settlement *payment)
{
    x402_note_put_payments(event, chain, &payment, 1);
}

void x402_note_put_transaction(struct x402_note_event *event, const uint8_t hash32[32],
                               uint64_t block)
{
    event->has_transaction = true;
    memcpy(event->transaction32, hash32, 32);
    event->block = block;
}

void x402_note_put_reason(struct x402_note_event *event, const char *reason)
{
    snprintf(event->reason, sizeof event->reason, "%s", reason);
}

__attribute__((format(printf, 3, 0))) static void tell(
    const struct x402_settler_options *options, struct x402_note_event *event,
    const char *format, va_list arguments)
{
    vsnprintf(event->message, sizeof event->message, format, arguments);
    event->time_milliseconds = x402_clock_milliseconds();
    options->note(options->data, event);
}

void x402_note_tell(const struct x402_settler_options *options,
                    struct x402_note_event *event, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    tell(options, event, format, arguments);
    va_end(arguments);
}

void x402_chain_note(struct x402_chain *chain, enum x402_note_kind kind,
                     const char *format, ...)
{
    struct x402_note_event event;
    va_list arguments;

    x402_note_begin(&event, chain, kind);
    va_start(arguments, format);
    tell(chain->options, &event, format, arguments);
    va_end(arguments);
}

/* The text is kept up to date, and told when it is another trouble. */
void x402_chain_trouble(struct x402_chain *chain, enum x402_trouble trouble,
                        const char *format, ...)
{
    struct x402_note_event event;
    va_list arguments;

    if (chain->troubled)
        return;
    chain->troubled = true;
    va_start(arguments, format);
    vsnprintf(chain->trouble_text, sizeof chain->trouble_text, format, arguments);
    va_end(arguments);
    if (chain->trouble == trouble)
        return;
    chain->trouble = trouble;
    x402_note_begin(&event, chain, X402_NOTE_TROUBLE);
    x402_note_put_reason(&event, chain->trouble_text);
    x402_note_tell(chain->options, &event, "%s: %s", chain->name, chain->trouble_text);
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
    char receipt[X402_RECEIPT_ID_SIZE + 1];

    amount_text(amount, chain, payment->asset20, payment->value);
    x402_address_encode(payer, payment->from20);
    receipt_text(receipt, chain, payment->payment_id);
    bool named = receipt[0] != '\0';
    snprintf(out, X402_PAYMENT_TEXT_SIZE, "payment %" PRId64 "%s%s%s: %s from %s",
             payment->payment_id, named ? " (receipt " : "", receipt, named ? ")" : "",
             amount, payer);
}

void x402_payments_text(char out[X402_PAYMENT_TEXT_SIZE],
                        const struct x402_chain *chain,
                        const struct x402_settlement *const *payments, size_t count)
{
    char amount[AMOUNT_TEXT_SIZE];

    if (count == 1) {
        x402_payment_text(out, chain, payments[0]);
        return;
    }
    amount_text(amount, chain, payments[0]->asset20, sum_of(payments, count));
    snprintf(out, X402_PAYMENT_TEXT_SIZE, "%zu payments, %s", count, amount);
}

void x402_payment_note(struct x402_chain *chain, enum x402_note_kind kind,
                       const struct x402_settlement *payment, const char *words,
                       const char *reason)
{
    char text[X402_PAYMENT_TEXT_SIZE];
    struct x402_note_event event;

    x402_payment_text(text, chain, payment);
    x402_note_begin(&event, chain, kind);
    x402_note_put_payment(&event, chain, payment);
    x402_note_put_reason(&event, reason);
    x402_note_tell(chain->options, &event, "%s %s: %s", words, text, reason);
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

static void note_settled(struct x402_chain *chain, const struct x402_evidence *evidence,
                         const struct x402_settlement *const *payments, size_t count)
{
    char text[X402_PAYMENT_TEXT_SIZE], hash[65] = "";
    struct x402_note_event event;

    x402_payments_text(text, chain, payments, count);
    x402_hex_encode(hash, evidence->hash32, 32);
    x402_note_begin(&event, chain, X402_NOTE_SETTLED);
    x402_note_put_payments(&event, chain, payments, count);
    x402_note_put_transaction(&event, evidence->hash32, evidence->block_number);
    x402_note_tell(chain->options, &event, "settled %s%s in 0x%s (block %" PRIu64 ")%s",
                   text, count > 1 ? "," : "", hash, evidence->block_number,
                   evidence->ours ? "" : ", by somebody else's transaction");
}

static void note_unsettled(struct x402_chain *chain, const char *reason,
                           const struct x402_settlement *const *payments, size_t count)
{
    char text[X402_PAYMENT_TEXT_SIZE];
    struct x402_note_event event;

    x402_payments_text(text, chain, payments, count);
    x402_note_begin(&event, chain, X402_NOTE_UNSETTLED);
    x402_note_put_payments(&event, chain, payments, count);
    x402_note_put_reason(&event, reason);
    x402_note_tell(chain->options, &event, "due again: %s: %s", text, reason);
}

static void note_group(struct x402_chain *chain, const struct x402_ruling *ruling,
                       const struct x402_settlement *const *payments, size_t count)
{
    const struct x402_finding *finding = &ruling->finding;

    if (ruling->action == X402_ACTION_SETTLE)
        note_settled(chain, &finding->evidence, payments, count);
    else if (ruling->action == X402_ACTION_UNSETTLE)
        note_unsettled(chain, finding->reason, payments, count);
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
