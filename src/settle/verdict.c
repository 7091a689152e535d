#include "settle/chain.h"

#include "core/clock.h"
#include "core/failpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------ one ruling
 */

/* What was seen, be it at a safe block or not. */
static enum x402_sight seen_of(const struct x402_finding *finding)
{
    return finding->sight == X402_SIGHT_UNSAFE ? finding->evidence.unsafe
                                               : finding->sight;
}

static const char *failure_code(const struct x402_finding *finding)
{
    enum x402_sight seen = seen_of(finding);

    if (seen == X402_SIGHT_EXPIRED)
        return "expired";
    if (seen == X402_SIGHT_CANCELED)
        return "canceled";
    if (seen == X402_SIGHT_USED_OTHERWISE || seen == X402_SIGHT_USED_UNTRACED)
        return "used";
    return x402_revert_code(finding->why);
}

/* An expired payment failed for what kept it from being paid in time. */
static void explain_expired(struct x402_finding *finding, enum x402_revert last)
{
    bool known = last != X402_REVERT_NONE && last != X402_REVERT_EXPIRED;

    snprintf(finding->reason, sizeof finding->reason,
             "not settled before validBefore%s%s", known ? ", last for: " : "",
             known ? x402_revert_code(last) : "");
}

static void explain(struct x402_finding *finding, enum x402_revert last)
{
    char *out = finding->reason, hash[65] = "";
    size_t max = sizeof finding->reason;
    enum x402_sight seen = seen_of(finding);

    x402_hex_encode(hash, finding->evidence.hash32, 32);
    if (seen == X402_SIGHT_EXPIRED)
        explain_expired(finding, last);
    else if (seen == X402_SIGHT_CANCELED)
        snprintf(out, max, "the payer canceled the authorization in 0x%s", hash);
    else if (seen == X402_SIGHT_USED_OTHERWISE)
        snprintf(out, max, "the authorization paid somebody else in 0x%s", hash);
    else if (seen == X402_SIGHT_USED_UNTRACED)
        snprintf(out, max, "the authorization was used, by what was not found");
    else if (seen == X402_SIGHT_UNUSED && out[0] == '\0')
        snprintf(out, max, "its transaction is not in the chain");
}

/* The stored transaction that has the hash; 0 when there is none. */
static int64_t row_of_hash(const struct x402_chain *chain, const uint8_t hash32[32])
{
    const struct x402_flights *flights = &chain->flights;

    for (size_t i = 0; i < flights->rows_count; i++) {
        if (memcmp(flights->rows[i].hash32, hash32, 32) == 0)
            return flights->rows[i].id;
    }
    return 0;
}

static void look_up(struct x402_chain *chain, const struct x402_settlement *payment,
                    struct x402_finding *finding)
{
    const struct x402_held *held = x402_held_find(chain, payment->payment_id);
    enum x402_revert last = held ? held->why : X402_REVERT_NONE;
    const struct x402_evidence *evidence = &finding->evidence;

    finding->sight = x402_trace(chain, &finding->evidence, payment);
    finding->transaction_id = 0;
    if (finding->sight == X402_SIGHT_USED_FOR_US && evidence->ours) {
        finding->transaction_id = row_of_hash(chain, evidence->hash32);
        if (finding->cost.gas_used == 0)
            finding->cost = x402_cost_of_payment(
                chain, (struct x402_cost){evidence->gas_used, evidence->fee_wei},
                finding->transaction_id, payment->payment_id);
    }
    explain(finding, last);
}

void x402_rule(struct x402_chain *chain, struct x402_ruling *out,
               const struct x402_settlement *payment,
               const struct x402_finding *finding)
{
    out->payment = payment;
    out->finding = *finding;
    out->action = x402_plan(payment->state, finding->sight, finding->why);
    if (out->action != X402_ACTION_LOOK_UP)
        return;
    chain->look_ups++;
    look_up(chain, payment, &out->finding);
    out->action = x402_plan(payment->state, out->finding.sight, out->finding.why);
}

/* ---------------------------------------------------------------------- whose fault */

/*
 * A refusal that is the payer's doing, and not the chain's or ours. "Used" may be by
 * our own transfer, until the chain says otherwise.
 */
static bool is_the_payers(const struct x402_finding *finding)
{
    if (finding->why == X402_REVERT_USED)
        return finding->sight == X402_SIGHT_UNSAFE &&
               finding->evidence.unsafe != X402_SIGHT_EXPIRED;
    return !finding->by_us && (finding->why == X402_REVERT_FUNDS ||
                               finding->why == X402_REVERT_SIGNATURE ||
                               finding->why == X402_REVERT_BLACKLISTED);
}

/* What expired may have done so because we, or our node, were away: unless the payer's
 * doing kept it from being paid before. */
static bool failed_by_payer(const struct x402_chain *chain,
                            const struct x402_ruling *ruling)
{
    const struct x402_held *held = x402_held_find(chain, ruling->payment->payment_id);
    enum x402_sight seen = seen_of(&ruling->finding);

    if (seen == X402_SIGHT_CANCELED || seen == X402_SIGHT_USED_OTHERWISE)
        return true;
    if (seen == X402_SIGHT_EXPIRED)
        return held != NULL && held->payers_fault;
    return is_the_payers(&ruling->finding);
}

/* --------------------------------------------------------------------------- ledger */

static struct x402_verdict verdict_of(const struct x402_ruling *ruling,
                                      enum x402_event event)
{
    return (struct x402_verdict){.payment_id = ruling->payment->payment_id,
                                 .event = event,
                                 .transaction_id = ruling->payment->transaction_id,
                                 .gas_used = ruling->finding.cost.gas_used,
                                 .fee_wei = ruling->finding.cost.fee_wei};
}

static struct x402_verdict settled_verdict(const struct x402_ruling *ruling)
{
    const struct x402_evidence *evidence = &ruling->finding.evidence;
    struct x402_verdict verdict = verdict_of(ruling, X402_EVENT_SETTLED);

    verdict.transaction_id = ruling->finding.transaction_id;
    memcpy(verdict.hash32, evidence->hash32, 32);
    verdict.block_number = evidence->block_number;
    memcpy(verdict.block_hash32, evidence->block_hash32, 32);
    return verdict;
}

/* "expired: not settled before validBefore" */
static void failure_text(char out[X402_REASON_MAX], const struct x402_finding *finding)
{
    const char *reason = finding->reason;

    snprintf(out, X402_REASON_MAX, "%.24s%s%.130s", failure_code(finding),
             reason[0] != '\0' ? ": " : "", reason);
}

static struct x402_verdict failed_verdict(const struct x402_chain *chain,
                                          const struct x402_ruling *ruling)
{
    struct x402_verdict verdict = verdict_of(ruling, X402_EVENT_FAILED);

    verdict.payers_fault = failed_by_payer(chain, ruling);
    failure_text(verdict.reason, &ruling->finding);
    return verdict;
}

/* Most verdicts of one ruling. */
#define VERDICTS_MAX 2

static size_t write_verdicts(const struct x402_chain *chain, struct x402_verdict *out,
                             const struct x402_ruling *ruling)
{
    size_t count = 0;

    /* Settled elsewhere than recorded: out of the old block and into the new at once.
     */
    if (ruling->action == X402_ACTION_SETTLE &&
        ruling->payment->state.money == X402_MONEY_SETTLED) {
        out[count] = verdict_of(ruling, X402_EVENT_UNSETTLED);
        out[count].gas_used = out[count].fee_wei = 0;
        count++;
    }
    if (ruling->action == X402_ACTION_SETTLE)
        out[count++] = settled_verdict(ruling);
    else if (ruling->action == X402_ACTION_FAIL)
        out[count++] = failed_verdict(chain, ruling);
    else if (ruling->action == X402_ACTION_UNSETTLE)
        out[count++] = verdict_of(ruling, X402_EVENT_UNSETTLED);
    return count;
}

/* The ledger had the transfer for another payment already. */
static void take_refuted(struct x402_ruling *ruling, const struct x402_verdict *verdict)
{
    struct x402_finding *finding = &ruling->finding;
    const char *text = strstr(verdict->reason, ": "); /* after the code */

    if (ruling->action != X402_ACTION_SETTLE || verdict->event != X402_EVENT_FAILED)
        return;
    ruling->action = X402_ACTION_FAIL;
    finding->sight = X402_SIGHT_USED_OTHERWISE;
    snprintf(finding->reason, sizeof finding->reason, "%s",
             text != NULL ? text + 2 : verdict->reason);
}

/*
 * Not applied: somebody else moved the payment first. The ledger is right; the next
 * pass sees what it says.
 */
static void take_applied(struct x402_chain *chain, struct x402_ruling *rulings,
                         size_t count, const struct x402_verdict *verdicts,
                         const size_t *ends)
{
    for (size_t i = 0; i < count; i++) {
        size_t begin = i > 0 ? ends[i - 1] : 0;
        if (begin == ends[i])
            continue;
        if (verdicts[ends[i] - 1].applied) {
            chain->moved++;
            take_refuted(&rulings[i], &verdicts[ends[i] - 1]);
            continue;
        }
        rulings[i].action = X402_ACTION_WAIT;
        x402_chain_trouble(chain, X402_TROUBLE_STEP,
                           "the ledger refuses a step of payment %" PRId64,
                           rulings[i].payment->payment_id);
    }
}

static void nothing_done(struct x402_ruling *rulings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        rulings[i].action = X402_ACTION_WAIT;
}

static void advance(struct x402_chain *chain, struct x402_ruling *rulings, size_t count)
{
    struct x402_verdict *verdicts = calloc(VERDICTS_MAX * count, sizeof *verdicts);
    size_t *ends = calloc(count, sizeof *ends), total = 0;

    if (verdicts == NULL || ends == NULL) {
        chain->failed = true;
        nothing_done(rulings, count);
    } else {
        for (size_t i = 0; i < count; i++)
            ends[i] = total += write_verdicts(chain, &verdicts[total], &rulings[i]);
        if (total == 0) {
            /* Nothing is for the ledger. */
        } else if (x402_ledger_advance(chain->ledger, verdicts, total) != X402_OK) {
            x402_chain_ledger_failed(chain);
            nothing_done(rulings, count);
        } else {
            X402_FAILPOINT(settler_advanced);
            take_applied(chain, rulings, count, verdicts, ends);
        }
    }
    free(verdicts);
    free(ends);
}

/* -------------------------------------------------------------------------- refused */

static void remember_refused(struct x402_chain *chain,
                             const struct x402_settlement *payment)
{
    struct x402_payer payer;

    memcpy(payer.asset20, payment->asset20, 20);
    memcpy(payer.payer20, payment->from20, 20);
    for (size_t i = 0; i < chain->refused_count; i++) {
        if (memcmp(&chain->refused[i], &payer, sizeof payer) == 0)
            return;
    }
    if (chain->refused_count < X402_REFUSED_PAYERS_MAX)
        chain->refused[chain->refused_count++] = payer;
}

void x402_refused_tell(struct x402_chain *chain)
{
    struct x402_sighting *sightings;
    size_t count = chain->refused_count;

    if (count == 0 || (sightings = calloc(count, sizeof *sightings)) == NULL)
        return; /* the next pass */
    for (size_t i = 0; i < count; i++) {
        sightings[i].payer = chain->refused[i];
        sightings[i].refused = true;
    }
    if (x402_ledger_payers_seen(chain->ledger, chain->network.chain_id, sightings,
                                count) == X402_OK)
        chain->refused_count = 0;
    else
        x402_chain_ledger_failed(chain);
    free(sightings);
}

/* --------------------------------------------------------------------------- enforce
 */

/*
 * Refused, and to be tried again. What somebody waits for and failed in a transaction
 * is tried at once, the first time: mostly it fails for good, and they may hear it.
 */
static void hold(struct x402_chain *chain, const struct x402_ruling *ruling)
{
    const struct x402_settlement *payment = ruling->payment;
    const struct x402_finding *finding = &ruling->finding;
    struct x402_held *held;

    x402_held_refuse(chain, payment, finding->why, finding->reason, finding->cost_gas);
    held = x402_held_find(chain, payment->payment_id);
    if (held != NULL && finding->cost_gas && held->tries == 1 &&
        payment->state.delivery == X402_DELIVERY_OWED)
        held->try_at_milliseconds = x402_chain_milliseconds();
    if (is_the_payers(finding)) {
        if (held != NULL)
            held->payers_fault = true;
        remember_refused(chain, payment);
    }
}

/* From the second it was admitted in; one that only moved was settled before. */
void x402_settled_measure(struct x402_pulse *pulse,
                          const struct x402_settlement *payment)
{
    int64_t since = x402_clock_milliseconds() - 1000 * payment->admitted_at_seconds;

    if (payment->state.money != X402_MONEY_SETTLED)
        x402_pulse_measure(pulse, X402_MEASURE_SETTLE,
                           since > 0 ? 1000 * (uint64_t)since : 0);
}

static void remember(struct x402_chain *chain, const struct x402_ruling *ruling)
{
    const struct x402_settlement *payment = ruling->payment;
    char why[X402_REASON_MAX];

    if (ruling->action == X402_ACTION_SETTLE)
        x402_settled_measure(chain->pulse, payment);
    if (ruling->action == X402_ACTION_SETTLE || ruling->action == X402_ACTION_FAIL)
        x402_held_drop(chain, payment->payment_id);
    if (ruling->action == X402_ACTION_RETRY ||
        (ruling->action == X402_ACTION_UNSETTLE && ruling->finding.cost_gas))
        hold(chain, ruling);
    if (ruling->action == X402_ACTION_FAIL) {
        failure_text(why, &ruling->finding);
        x402_payment_note(chain, X402_NOTE_FAILED, payment, "failed", why);
    }
}

/* What is the sender's and finality's to do is not done here. */
static bool is_done_here(enum x402_action action)
{
    return action == X402_ACTION_SETTLE || action == X402_ACTION_FAIL ||
           action == X402_ACTION_UNSETTLE || action == X402_ACTION_RETRY;
}

void x402_rulings_enforce(struct x402_chain *chain, struct x402_ruling *rulings,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_done_here(rulings[i].action))
            rulings[i].action = X402_ACTION_WAIT;
    }
    if (count == 0)
        return;
    advance(chain, rulings, count);
    for (size_t i = 0; i < count; i++)
        remember(chain, &rulings[i]);
    x402_rulings_note(chain, rulings, count);
}

enum x402_action x402_chain_act(struct x402_chain *chain,
                                const struct x402_settlement *payment,
                                const struct x402_finding *finding)
{
    struct x402_ruling ruling;

    x402_rule(chain, &ruling, payment, finding);
    x402_rulings_enforce(chain, &ruling, 1);
    return ruling.action;
}

bool x402_verdict_settled(struct x402_chain *chain,
                          const struct x402_settlement *payment,
                          const struct x402_evidence *evidence, int64_t transaction_id)
{
    struct x402_ruling ruling = {
        .payment = payment,
        .finding = {.sight = X402_SIGHT_USED_FOR_US,
                    .evidence = *evidence,
                    .transaction_id = transaction_id},
        .action = X402_ACTION_SETTLE,
    };

    if (evidence->ours)
        ruling.finding.cost = x402_cost_of_payment(
            chain, (struct x402_cost){evidence->gas_used, evidence->fee_wei},
            transaction_id, payment->payment_id);
    x402_rulings_enforce(chain, &ruling, 1);
    return ruling.action == X402_ACTION_SETTLE;
}
