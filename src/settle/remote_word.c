#include "settle/remote_work.h"

#include "core/clock.h"
#include "core/failpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOOKS_MILLISECONDS 5000 /* of a pass, in which looks at the chain begin */

/* ---------------------------------------------------------------------------- ledger
 */

void x402_remote_tell(struct x402_remote *remote, struct x402_remote_item *item)
{
    struct x402_verdict verdict = item->verdict; /* kept as it is, to be told again */

    if (x402_ledger_advance(remote->ledger, &verdict, 1) != X402_OK) {
        x402_remote_ledger_failed(remote);
        return;
    }
    item->has_verdict = false;
    if (verdict.event == X402_EVENT_SETTLED && verdict.applied) {
        x402_pulse_measure(remote->pulse, X402_MEASURE_BATCH, 1);
        x402_settled_measure(remote->pulse, &item->payment);
    }
    if (verdict.event != X402_EVENT_UNSETTLED) {
        remote->moved++;
        x402_remote_item_drop(remote, item);
        return;
    }
    item->row_id = item->payment.transaction_id = 0;
    item->payment.state.money = X402_MONEY_DUE;
}

static struct x402_verdict *new_verdict(struct x402_remote_item *item,
                                        enum x402_event event)
{
    item->verdict = (struct x402_verdict){.payment_id = item->payment.payment_id,
                                          .event = event,
                                          .transaction_id = item->row_id};
    item->has_verdict = true;
    return &item->verdict;
}

/* ----------------------------------------------------------------------- what it is
 */

/* What is known of an item after a word or a look. */
struct news {
    enum x402_remote_word word;
    enum x402_sight sight;
    struct x402_evidence evidence; /* of the chain, or in the facilitator's words */
    bool is_new;                   /* its words are others than before */
};

static bool has_ended(const struct x402_remote_item *item)
{
    uint64_t now = (uint64_t)x402_clock_seconds();
    uint64_t end = item->payment.valid_before_seconds;

    return now >= X402_REMOTE_MARGIN_SECONDS && now - X402_REMOTE_MARGIN_SECONDS >= end;
}

static enum x402_remote_action plan(const struct x402_remote_item *item,
                                    const struct news *news)
{
    struct x402_remote_case what = {.word = news->word,
                                    .certain = item->certain,
                                    .state = item->payment.state,
                                    .ended = has_ended(item),
                                    .has_node = item->line->has_node,
                                    .sight = news->sight};

    return x402_remote_plan(&what);
}

static void tell_settled(struct x402_remote *remote,
                         const struct x402_remote_item *item,
                         const struct x402_evidence *evidence)
{
    char text[X402_PAYMENT_TEXT_SIZE], hash[65] = "";
    struct x402_note_event event;

    x402_payment_text(text, item->line->chain, &item->payment);
    x402_hex_encode(hash, evidence->hash32, 32);
    x402_note_begin(&event, item->line->chain, X402_NOTE_SETTLED);
    x402_note_put_payment(&event, item->line->chain, &item->payment);
    x402_note_put_transaction(&event, evidence->hash32, evidence->block_number);
    if (item->line->has_node)
        x402_note_tell(remote->options, &event,
                       "settled %s in 0x%s (block %" PRIu64 ")", text, hash,
                       evidence->block_number);
    else
        x402_note_tell(remote->options, &event,
                       "settled %s in 0x%s, says the facilitator", text, hash);
}

static void settle(struct x402_remote *remote, struct x402_remote_item *item,
                   const struct x402_evidence *evidence)
{
    struct x402_verdict *verdict = new_verdict(item, X402_EVENT_SETTLED);

    memcpy(verdict->hash32, evidence->hash32, 32);
    memcpy(verdict->block_hash32, evidence->block_hash32, 32);
    verdict->block_number = evidence->block_number;
    tell_settled(remote, item, evidence);
    x402_remote_tell(remote, item);
}

static void explain(char out[X402_REASON_MAX], const struct x402_remote_item *item,
                    const struct news *news)
{
    const char *last = item->reason[0] != '\0' ? item->reason : "none";

    if (news->sight == X402_SIGHT_CANCELED)
        snprintf(out, X402_REASON_MAX,
                 "canceled: the payer canceled the authorization");
    else if (news->sight == X402_SIGHT_USED_OTHERWISE)
        snprintf(out, X402_REASON_MAX, "used: the authorization paid somebody else");
    else if (news->sight == X402_SIGHT_EXPIRED || has_ended(item))
        snprintf(out, X402_REASON_MAX,
                 "expired: not settled before validBefore, last word: %.90s", last);
    else
        snprintf(out, X402_REASON_MAX, "%s: the facilitator refuses it", last);
}

static void fail(struct x402_remote *remote, struct x402_remote_item *item,
                 const struct news *news)
{
    struct x402_verdict *verdict = new_verdict(item, X402_EVENT_FAILED);

    explain(verdict->reason, item, news);
    verdict->payers_fault = item->payers_fault || news->sight == X402_SIGHT_CANCELED ||
                            news->sight == X402_SIGHT_USED_OTHERWISE;
    x402_payment_note(item->line->chain, X402_NOTE_FAILED, &item->payment, "failed",
                      verdict->reason);
    x402_remote_tell(remote, item);
}

/* -------------------------------------------------------------------------- waiting
 */

static void try_later(struct x402_remote_item *item)
{
    item->tries++;
    item->try_at_milliseconds =
        x402_chain_milliseconds() +
        x402_remote_retry_milliseconds(item->tries, has_ended(item));
}

static void tell_wait(const struct x402_remote_item *item)
{
    char reason[X402_NOTE_REASON_MAX];

    snprintf(reason, sizeof reason, "the facilitator says: %.200s", item->reason);
    x402_payment_note(item->line->chain, X402_NOTE_HELD, &item->payment, "waiting with",
                      reason);
}

/* It can be known only from the chain by now. */
static void tell_end(struct x402_remote_item *item)
{
    char reason[X402_REMOTE_REASON_MAX + 256];

    if (item->told_end || item->certain || item->line->has_node || !has_ended(item))
        return;
    item->told_end = true;
    snprintf(
        reason, sizeof reason,
        "it may have been settled, or not: an answer was lost, its authorization "
        "has ended, and the facilitator says: %s; give --rpc %s=URL, and the chain "
        "is asked",
        item->reason, item->line->chain->name);
    x402_payment_note(item->line->chain, X402_NOTE_UNTRACED, &item->payment,
                      "waiting with", reason);
}

static void act(struct x402_remote *remote, struct x402_remote_item *item,
                const struct news *news)
{
    enum x402_remote_action action = plan(item, news);

    if (action == X402_REMOTE_SETTLE) {
        settle(remote, item, &news->evidence);
        return;
    }
    if (action == X402_REMOTE_FAIL) {
        fail(remote, item, news);
        return;
    }
    item->certain = item->certain && x402_remote_certain(news->word);
    try_later(item);
    if (news->is_new)
        tell_wait(item);
    tell_end(item);
    if (action == X402_REMOTE_RELEASE) {
        (void)new_verdict(item, X402_EVENT_UNSETTLED);
        x402_remote_tell(remote, item);
    }
}

/* ------------------------------------------------------------------------ the chain
 */

/* A node that failed is left in peace, and one that is slow holds up nobody for long:
 * other items wait, and the facilitator's answers. */
static bool may_look(const struct x402_chain *chain)
{
    int64_t now = x402_chain_milliseconds();

    return !chain->failed && !x402_chain_stopping(chain) &&
           now >= chain->pass_milliseconds &&
           now - chain->began_milliseconds < LOOKS_MILLISECONDS;
}

static enum x402_sight look(struct x402_remote_item *item, struct x402_evidence *out)
{
    struct x402_chain *chain = item->line->chain;

    if (!may_look(chain) || !x402_chain_look(chain))
        return X402_SIGHT_UNKNOWN;
    return x402_trace(chain, out, &item->payment);
}

bool x402_remote_looked(struct x402_remote *remote, struct x402_remote_item *item)
{
    struct news news = {.word = X402_REMOTE_UNKNOWN};

    if (item->certain || !item->line->has_node)
        return false;
    news.sight = look(item, &news.evidence);
    if (plan(item, &news) == X402_REMOTE_WAIT)
        return false;
    act(remote, item, &news);
    return true;
}

/* ---------------------------------------------------------------------------- words
 */

static void read_answer(struct x402_remote_answer *out,
                        const struct x402_remote_item *item,
                        const struct x402_remote_reply *reply)
{
    if (reply->status != 0) {
        x402_remote_answer_decode(out, reply->status, reply->body, reply->size,
                                  &item->payment, &item->line->kind.network);
        return;
    }
    *out = (struct x402_remote_answer){.word = reply->left ? X402_REMOTE_UNKNOWN
                                                           : X402_REMOTE_UNASKED};
    snprintf(out->reason, sizeof out->reason, "%s", reply->why);
}

void x402_remote_heard(struct x402_remote *remote, struct x402_remote_item *item,
                       const struct x402_remote_reply *reply)
{
    struct x402_remote_answer answer;
    struct news news = {.sight = X402_SIGHT_UNKNOWN};

    item->asking = false;
    read_answer(&answer, item, reply);
    X402_FAILPOINT(settler_remote_told);
    if (answer.fits)
        x402_remote_worked(remote);
    else
        x402_remote_failed(remote, answer.reason);
    news.word = answer.word;
    memcpy(news.evidence.hash32, answer.hash32, 32);
    if (item->line->has_node && answer.word != X402_REMOTE_UNASKED) {
        memset(&news.evidence, 0, sizeof news.evidence);
        news.sight = look(item, &news.evidence);
    }
    item->payers_fault = item->payers_fault || answer.payers_fault;
    if (answer.word != X402_REMOTE_SETTLED) {
        /* A facilitator's own trouble is told once, for all. */
        news.is_new = answer.fits && strcmp(item->reason, answer.reason) != 0;
        snprintf(item->reason, sizeof item->reason, "%s", answer.reason);
    }
    act(remote, item, &news);
}
