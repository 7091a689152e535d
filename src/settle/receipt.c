#include "settle/chain.h"

#include "core/failpoint.h"
#include "evm/facilitator.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------------------- costs */

struct x402_cost x402_cost_share(struct x402_cost whole, size_t index, size_t count)
{
    assert(index < count);
    struct x402_cost share = {whole.gas_used / count, whole.fee_wei / count};

    if (index == 0) {
        share.gas_used += whole.gas_used % count;
        share.fee_wei += whole.fee_wei % count;
    }
    return share;
}

/* Where the payment is among those of its transaction; count when it is not. */
static size_t place_of(const struct x402_settlement *members, size_t count,
                       int64_t payment_id)
{
    size_t place = 0;

    while (place < count && members[place].payment_id != payment_id)
        place++;
    return place;
}

/* All payments of a row, whatever became of them. Free it; NULL when it failed. */
static struct x402_settlement *members_of(struct x402_chain *chain, size_t *count,
                                          int64_t row_id)
{
    struct x402_settlement *members = calloc(X402_ROW_PAYMENTS_MAX, sizeof *members);

    if (members != NULL &&
        x402_ledger_outbox_payments(chain->ledger, row_id, members,
                                    X402_ROW_PAYMENTS_MAX, count) != X402_OK) {
        x402_chain_ledger_failed(chain);
        free(members);
        members = NULL;
    }
    return members;
}

struct x402_cost x402_cost_of_payment(struct x402_chain *chain, struct x402_cost whole,
                                      int64_t transaction_id, int64_t payment_id)
{
    struct x402_cost none = {0, 0};
    size_t count, place;

    if (transaction_id == 0)
        return none;
    struct x402_settlement *members = members_of(chain, &count, transaction_id);
    if (members == NULL)
        return none;
    place = place_of(members, count, payment_id);
    free(members);
    return place < count ? x402_cost_share(whole, place, count) : none;
}

/* ----------------------------------------------------------------- one receipt's say
 */

/* The receipt of one of a flight's rows. */
struct reading {
    const struct x402_flight *flight;
    const struct x402_row *row;
    const struct x402_transaction_receipt *receipt;
    struct x402_settlement *members; /* all payments of the row, by id */
    size_t members_count;
};

static bool is_batch(const struct reading *reading)
{
    return reading->members_count > 1;
}

/* Why a transaction reverted: the same call at the end of its block. */
static bool ask_why(struct x402_chain *chain, struct x402_finding *finding,
                    const struct x402_settlement *payment, uint64_t block_number)
{
    struct x402_rpc_call call = x402_ask_transfer(chain, payment, NULL, block_number);
    bool fine = x402_chain_ask(chain, &call, 1);

    if (fine) /* it passes now, or the node keeps no state of then: it is due again */
        x402_finding_of_call(finding, &call);
    x402_rpc_calls_release(&call, 1);
    return fine;
}

/* False when the node did not say why. */
static bool take_reverted(struct x402_chain *chain, struct x402_finding *finding,
                          const struct reading *reading,
                          const struct x402_settlement *payment)
{
    uint64_t block_number = reading->receipt->block_number;

    if (!is_batch(reading) && !ask_why(chain, finding, payment, block_number))
        return false;
    finding->sight = X402_SIGHT_REVERTED;
    finding->cost_gas = !is_batch(reading); /* of a batch nobody is to blame */
    if (finding->reason[0] == '\0')
        snprintf(finding->reason, sizeof finding->reason, "its transaction reverted");
    return true;
}

static struct x402_evidence evidence_of(const struct x402_chain *chain,
                                        const struct x402_transaction_receipt *receipt)
{
    struct x402_evidence evidence = {
        .block_number = receipt->block_number,
        .ours = memcmp(receipt->from20, chain->signer20, 20) == 0,
        .gas_used = receipt->gas_used,
        .fee_wei = receipt->fee_wei,
    };

    memcpy(evidence.hash32, receipt->hash32, 32);
    memcpy(evidence.block_hash32, receipt->block_hash32, 32);
    return evidence;
}

/* The facilitator's word that an item failed: a hint, since anybody may log. */
static const struct x402_log *failed_log(const struct x402_transaction_receipt *receipt,
                                         const struct x402_settlement *payment)
{
    uint8_t from32[32];

    x402_word_of_address(from32, payment->from20);
    for (size_t i = 0; i < receipt->logs_count; i++) {
        const struct x402_log *log = &receipt->logs[i];
        if (log->topics_count == 3 &&
            memcmp(log->address20, x402_facilitator_address20, 20) == 0 &&
            memcmp(log->topics[0], x402_topic_facilitator_failed32, 32) == 0 &&
            memcmp(log->topics[1], from32, 32) == 0 &&
            memcmp(log->topics[2], payment->nonce32, 32) == 0)
            return log;
    }
    return NULL;
}

static void take_unproven(struct x402_finding *finding, const struct reading *reading,
                          const struct x402_settlement *payment)
{
    const struct x402_log *log = failed_log(reading->receipt, payment);
    char reason[X402_FACILITATOR_REASON_SIZE];

    finding->sight = X402_SIGHT_UNPROVEN;
    finding->cost_gas = !is_batch(reading) || log != NULL;
    if (!is_batch(reading)) {
        finding->why = X402_REVERT_NO_TRANSFER;
        strcpy(finding->reason, "its transaction succeeded and moved no money");
    } else if (log != NULL) {
        (void)x402_facilitator_reason(reason, log->data32);
        finding->why = x402_revert_classify(reason);
        snprintf(finding->reason, sizeof finding->reason, "failed in its batch: %s",
                 reason);
    } else {
        strcpy(finding->reason, "its batch did not come to it");
    }
}

/* False when nothing can be said of the payment now. */
static bool find_out(struct x402_chain *chain, struct x402_finding *finding,
                     const struct reading *reading,
                     const struct x402_settlement *payment)
{
    const struct x402_transaction_receipt *receipt = reading->receipt;
    struct x402_cost whole = {receipt->gas_used, receipt->fee_wei};
    size_t place =
        place_of(reading->members, reading->members_count, payment->payment_id);

    memset(finding, 0, sizeof *finding);
    if (place == reading->members_count) {
        finding->sight = X402_SIGHT_GONE; /* its nonce went to one without it */
        return true;
    }
    if (!receipt->succeeded) {
        if (!take_reverted(chain, finding, reading, payment))
            return false;
    } else if (x402_proof_of_payment(receipt->logs, receipt->logs_count, payment)) {
        finding->sight = X402_SIGHT_PAID;
        finding->evidence = evidence_of(chain, receipt);
        finding->transaction_id = reading->row->id;
    } else {
        take_unproven(finding, reading, payment);
    }
    finding->cost = x402_cost_share(whole, place, reading->members_count);
    return true;
}

static bool is_look_up(const struct x402_settlement *payment,
                       const struct x402_finding *finding)
{
    return x402_plan(payment->state, finding->sight, finding->why) ==
           X402_ACTION_LOOK_UP;
}

/* One that waits for its next look takes none from the others. */
static bool may_look_up(const struct x402_chain *chain,
                        const struct x402_settlement *payment)
{
    return chain->look_ups < X402_LOOK_UPS_MAX &&
           !x402_trace_waits(chain, payment->payment_id);
}

/* What is left out because there are too many look-ups comes in a later pass. */
static size_t rule_all(struct x402_chain *chain, struct x402_ruling *rulings,
                       const struct reading *reading)
{
    const struct x402_flight *flight = reading->flight;
    struct x402_finding finding;
    size_t count = 0;

    for (size_t i = 0; i < flight->payments_count; i++) {
        const struct x402_settlement *payment = &flight->payments[i];
        if (!find_out(chain, &finding, reading, payment) ||
            (is_look_up(payment, &finding) && !may_look_up(chain, payment)))
            continue;
        x402_rule(chain, &rulings[count++], payment, &finding);
    }
    return count;
}

/* What a batch as a whole teaches for the next ones. */
static void learn(struct x402_chain *chain, const struct reading *reading)
{
    if (!is_batch(reading))
        return;
    if (!reading->receipt->succeeded)
        x402_batch_shrink(chain, reading->members_count);
    else if (reading->receipt->logs_count == 0)
        x402_contract_forget(chain); /* nobody was there */
}

static void resolve_included(struct x402_chain *chain, const struct x402_flight *flight,
                             const struct x402_row *row,
                             const struct x402_transaction_receipt *receipt)
{
    struct reading reading = {.flight = flight, .row = row, .receipt = receipt};
    struct x402_ruling *rulings = calloc(flight->payments_count, sizeof *rulings);

    reading.members = members_of(chain, &reading.members_count, row->id);
    if (rulings != NULL && reading.members != NULL) {
        X402_FAILPOINT(settler_receipt);
        size_t count = rule_all(chain, rulings, &reading);
        x402_rulings_enforce(chain, rulings, count);
        learn(chain, &reading);
    }
    free(reading.members);
    free(rulings);
}

/* ------------------------------------------------------------------------ no receipt
 */

/*
 * No receipt of any row, and the chain has counted past the nonce: something else spent
 * it, or the node that counts is ahead of the one that has the receipts.
 */
static void resolve_gone(struct x402_chain *chain, const struct x402_flight *flight)
{
    struct x402_sent *sent = x402_sent_of(chain, flight->nonce);
    struct x402_finding finding = {.sight = X402_SIGHT_GONE};
    struct x402_ruling *rulings;
    int64_t now = x402_chain_milliseconds();
    size_t count = 0;

    if (sent == NULL)
        return;
    if (sent->gone_milliseconds < 0)
        sent->gone_milliseconds = now;
    if (now - sent->gone_milliseconds < X402_BELIEVE_MILLISECONDS)
        return;
    rulings = calloc(flight->payments_count, sizeof *rulings);
    for (size_t i = 0; rulings != NULL && i < flight->payments_count; i++) {
        if (may_look_up(chain, &flight->payments[i]))
            x402_rule(chain, &rulings[count++], &flight->payments[i], &finding);
    }
    x402_rulings_enforce(chain, rulings, count);
    free(rulings);
}

/* True when every row's receipt was asked for and is not there. */
static bool resolve_one(struct x402_chain *chain, const struct x402_flight *flight,
                        const struct x402_rpc_call *calls)
{
    size_t absent = 0;

    for (size_t i = 0; i < flight->rows_count; i++) {
        struct x402_transaction_receipt receipt;
        enum x402_receipt_answer answer = X402_RECEIPT_BROKEN;
        if (calls[i].reply.status == X402_RPC_RESULT)
            answer = x402_transaction_receipt_decode(&receipt, calls[i].reply.result,
                                                     flight->rows[i].hash32);
        if (answer == X402_RECEIPT_FOUND) {
            resolve_included(chain, flight, &flight->rows[i], &receipt);
            x402_transaction_receipt_release(&receipt);
            return false;
        }
        if (answer == X402_RECEIPT_BROKEN && calls[i].reply.status != X402_RPC_FAILED)
            x402_chain_nonsense(chain, &calls[i]);
        absent += answer == X402_RECEIPT_ABSENT;
    }
    if (absent < flight->rows_count)
        return false;
    if (flight->nonce < chain->view.nonces.chain_latest)
        resolve_gone(chain, flight);
    return true;
}

static bool is_waited_for(const struct x402_flight *flight)
{
    for (size_t i = 0; i < flight->payments_count; i++) {
        if (flight->payments[i].state.delivery == X402_DELIVERY_OWED)
            return true;
    }
    return false;
}

/* Asks for the receipts of the flights chosen, and takes them. */
static void resolve_chosen(struct x402_chain *chain, const bool *chosen, bool *absent)
{
    struct x402_flights *flights = &chain->flights;
    struct x402_rpc_call *calls = calloc(flights->rows_count, sizeof *calls);
    size_t count = 0, call = 0;

    if (calls == NULL)
        return;
    for (size_t i = 0; i < flights->count; i++) {
        for (size_t j = 0; chosen[i] && j < flights->items[i].rows_count; j++)
            calls[count++] = x402_ask_receipt(flights->items[i].rows[j].hash32);
    }
    (void)x402_chain_ask(chain, calls, count);
    for (size_t i = 0; i < flights->count && !x402_chain_stopping(chain); i++) {
        if (!chosen[i])
            continue;
        absent[i] = resolve_one(chain, &flights->items[i], &calls[call]);
        call += flights->items[i].rows_count;
    }
    x402_rpc_calls_release(calls, count);
    free(calls);
}

/*
 * Receipts change with blocks; now and then ask anyway, for nodes that lag. While a
 * caller waits ask at each pass: some nodes tell before there is a block.
 */
static void choose(struct x402_chain *chain, bool *chosen)
{
    int64_t now = x402_chain_milliseconds();
    const uint8_t *latest = chain->view.latest.hash32;
    bool all = memcmp(latest, chain->receipts_hash32, 32) != 0 ||
               now - chain->receipts_milliseconds >= X402_RECEIPTS_MILLISECONDS;

    for (size_t i = 0; i < chain->flights.count; i++) {
        bool waited_for = is_waited_for(&chain->flights.items[i]);
        chosen[i] = all || (chain->urgent && waited_for);
    }
    if (!all)
        return;
    memcpy(chain->receipts_hash32, latest, 32);
    chain->receipts_milliseconds = now;
}

void x402_flights_resolve(struct x402_chain *chain)
{
    size_t count = chain->flights.count;
    bool *chosen = calloc(count + 1, sizeof *chosen);
    bool *absent = calloc(count + 1, sizeof *absent);

    if (count > 0 && chosen != NULL && absent != NULL) {
        choose(chain, chosen);
        resolve_chosen(chain, chosen, absent);
        if (!x402_chain_stopping(chain))
            x402_pending_push(chain, absent);
    }
    free(chosen);
    free(absent);
}
