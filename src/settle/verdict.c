#include "settle/chain.h"

#include <x402/money.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* --------------------------------------------------------------------------- people */

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

/* The networks built in take USDC under two names; another token is told by units. */
static void amount_text(char *out, size_t out_max, const struct x402_chain *chain,
                        const struct x402_settlement *payment)
{
    const struct x402_network *network = &chain->network;
    char amount[X402_AMOUNT_TEXT_SIZE], asset[X402_ADDRESS_TEXT_SIZE];

    if (network->asset_name[0] != '\0' &&
        memcmp(network->asset20, payment->asset20, 20) == 0) {
        bool usdc = strcmp(network->asset_name, "USD Coin") == 0;
        x402_amount_encode(amount, payment->value, network->decimals);
        snprintf(out, out_max, "%s %s", amount, usdc ? "USDC" : network->asset_name);
        return;
    }
    x402_address_encode(asset, payment->asset20);
    snprintf(out, out_max, "%" PRIu64 " units of %s", payment->value, asset);
}

void x402_payment_text(char out[X402_PAYMENT_TEXT_SIZE], const struct x402_chain *chain,
                       const struct x402_settlement *payment)
{
    char amount[100], payer[X402_ADDRESS_TEXT_SIZE];

    amount_text(amount, sizeof amount, chain, payment);
    x402_address_encode(payer, payment->from20);
    snprintf(out, X402_PAYMENT_TEXT_SIZE, "payment %" PRId64 ": %s from %s",
             payment->payment_id, amount, payer);
}

/* --------------------------------------------------------------------------- ledger */

/*
 * Not applied: somebody else moved the payment first. The ledger is right; the next
 * pass sees what it says.
 */
static bool advance(struct x402_chain *chain, struct x402_verdict *verdicts,
                    size_t count)
{
    enum x402_error error = x402_ledger_advance(chain->ledger, verdicts, count);
    bool applied = error == X402_OK && verdicts[count - 1].applied;

    if (error != X402_OK)
        x402_chain_ledger_failed(chain);
    else if (!applied)
        x402_chain_trouble(chain, X402_TROUBLE_STEP,
                           "the ledger refuses a step of payment %" PRId64,
                           verdicts[count - 1].payment_id);
    chain->moved += applied;
    return applied;
}

static struct x402_verdict verdict_of(const struct x402_settlement *payment,
                                      enum x402_event event, int64_t transaction_id)
{
    return (struct x402_verdict){.payment_id = payment->payment_id,
                                 .event = event,
                                 .transaction_id = transaction_id};
}

static struct x402_verdict settled_verdict(const struct x402_settlement *payment,
                                           const struct x402_evidence *evidence,
                                           int64_t transaction_id)
{
    struct x402_verdict verdict =
        verdict_of(payment, X402_EVENT_SETTLED, transaction_id);

    memcpy(verdict.hash32, evidence->hash32, 32);
    verdict.block_number = evidence->block_number;
    memcpy(verdict.block_hash32, evidence->block_hash32, 32);
    verdict.gas_used = evidence->ours ? evidence->gas_used : 0;
    verdict.fee_wei = evidence->ours ? evidence->fee_wei : 0;
    return verdict;
}

bool x402_verdict_settled(struct x402_chain *chain,
                          const struct x402_settlement *payment,
                          const struct x402_evidence *evidence, int64_t transaction_id)
{
    char text[X402_PAYMENT_TEXT_SIZE], hash[65] = "";
    struct x402_verdict verdicts[2];
    size_t count = 0;

    /* Settled elsewhere than recorded: out of the old block and into the new at once.
     */
    if (payment->state.money == X402_MONEY_SETTLED)
        verdicts[count++] =
            verdict_of(payment, X402_EVENT_UNSETTLED, payment->transaction_id);
    verdicts[count++] = settled_verdict(payment, evidence, transaction_id);
    if (!advance(chain, verdicts, count))
        return false;
    x402_held_drop(chain, payment->payment_id);
    x402_payment_text(text, chain, payment);
    x402_hex_encode(hash, evidence->hash32, 32);
    x402_chain_note(chain, "settled %s in 0x%s (block %" PRIu64 ")%s", text, hash,
                    evidence->block_number,
                    evidence->ours ? "" : ", by somebody else's transaction");
    return true;
}

bool x402_verdict_failed(struct x402_chain *chain,
                         const struct x402_settlement *payment, const char *code,
                         const char *reason)
{
    struct x402_verdict verdict =
        verdict_of(payment, X402_EVENT_FAILED, payment->transaction_id);
    char text[X402_PAYMENT_TEXT_SIZE];

    snprintf(verdict.reason, sizeof verdict.reason, "%s%s%s", code,
             reason[0] != '\0' ? ": " : "", reason);
    if (!advance(chain, &verdict, 1))
        return false;
    x402_held_drop(chain, payment->payment_id);
    x402_payment_text(text, chain, payment);
    x402_chain_note(chain, "failed %s: %s", text, verdict.reason);
    return true;
}

bool x402_verdict_unsettled(struct x402_chain *chain,
                            const struct x402_settlement *payment, const char *reason)
{
    struct x402_verdict verdict =
        verdict_of(payment, X402_EVENT_UNSETTLED, payment->transaction_id);
    char text[X402_PAYMENT_TEXT_SIZE];

    if (!advance(chain, &verdict, 1))
        return false;
    x402_payment_text(text, chain, payment);
    x402_chain_note(chain, "due again: %s: %s", text, reason);
    return true;
}

/* ------------------------------------------------------------------------------ act */

static const char *failure_code(const struct x402_finding *finding)
{
    if (finding->sight == X402_SIGHT_EXPIRED)
        return "expired";
    if (finding->sight == X402_SIGHT_CANCELED)
        return "canceled";
    if (finding->sight == X402_SIGHT_USED_OTHERWISE ||
        finding->sight == X402_SIGHT_USED_UNTRACED)
        return "used";
    return x402_revert_code(finding->why);
}

/* An expired payment failed for what kept it from being paid in time. */
static void explain(struct x402_finding *finding, enum x402_revert last)
{
    char *out = finding->reason;
    size_t max = sizeof finding->reason;

    if (finding->sight == X402_SIGHT_EXPIRED && last != X402_REVERT_NONE &&
        last != X402_REVERT_EXPIRED)
        snprintf(out, max, "not settled before validBefore, last for: %s",
                 x402_revert_code(last));
    else if (finding->sight == X402_SIGHT_EXPIRED)
        snprintf(out, max, "not settled before validBefore");
    else if (finding->sight == X402_SIGHT_CANCELED)
        snprintf(out, max, "the payer canceled the authorization");
    else if (finding->sight == X402_SIGHT_USED_OTHERWISE)
        snprintf(out, max, "the authorization paid somebody else");
    else if (finding->sight == X402_SIGHT_USED_UNTRACED)
        snprintf(out, max, "the authorization was used, by what was not found");
    else if (finding->sight == X402_SIGHT_UNUSED && out[0] == '\0')
        snprintf(out, max, "its transaction is not in the chain");
}

static void look_up(struct x402_chain *chain, const struct x402_settlement *payment,
                    struct x402_finding *finding)
{
    const struct x402_held *held = x402_held_find(chain, payment->payment_id);
    enum x402_revert last = held ? held->why : X402_REVERT_NONE;

    finding->sight = x402_trace(chain, &finding->evidence, payment);
    finding->transaction_id = finding->evidence.ours ? payment->transaction_id : 0;
    explain(finding, last);
}

enum x402_action x402_chain_act(struct x402_chain *chain,
                                const struct x402_settlement *payment,
                                struct x402_finding *finding)
{
    enum x402_action action = x402_plan(payment->state, finding->sight, finding->why);
    bool cost_gas =
        finding->sight == X402_SIGHT_REVERTED || finding->sight == X402_SIGHT_UNPROVEN;
    bool done = false;

    if (action == X402_ACTION_LOOK_UP) {
        look_up(chain, payment, finding);
        action = x402_plan(payment->state, finding->sight, finding->why);
    }
    if (action == X402_ACTION_SETTLE)
        done = x402_verdict_settled(chain, payment, &finding->evidence,
                                    finding->transaction_id);
    else if (action == X402_ACTION_FAIL)
        done =
            x402_verdict_failed(chain, payment, failure_code(finding), finding->reason);
    else if (action == X402_ACTION_UNSETTLE)
        done = x402_verdict_unsettled(chain, payment, finding->reason);
    if (action == X402_ACTION_RETRY || (action == X402_ACTION_UNSETTLE && cost_gas)) {
        x402_held_refuse(chain, payment, finding->why, finding->reason, cost_gas);
        done = true;
    }
    return done ? action : X402_ACTION_WAIT;
}
