/*
 * A batch is back from the ledger's thread: what its outcomes and payments have come
 * to, and what each request that waits is told. In the event loop.
 */
#include "nginx/batch.h"

void ngx_http_x402_keep_outcomes(ngx_http_x402_worker_t *w)
{
    size_t i;
    ngx_http_x402_batch_t *failed = w->flying;

    for (i = 0; i < failed->outcomes_count; i++) {
        ngx_http_x402_push(w, failed->outcomes[i].payment_id,
                           failed->outcomes[i].attempt16, failed->outcomes[i].event);
    }
}

/*
 * Of one that waits and is presented again, the first answer counts. What its own
 * verification took, which is told by itself, is left out.
 */
static void ngx_http_x402_time_admission(ngx_http_x402_ctx_t *ctx,
                                         enum x402_admission admission)
{
    if (ctx->admit_us == 0 && admission != X402_ADMISSION_UNAVAILABLE) {
        ctx->admit_us =
            ngx_http_x402_now_us() - ctx->asked_us - (ctx->verify_us - ctx->match_us);
        ngx_http_x402_measure(X402_MEASURE_ADMIT, ctx->admit_us);
    }
}

static enum x402_error ngx_http_x402_admission_error(const ngx_http_x402_entry_t *entry)
{
    switch (entry->admit->admission) {
    case X402_ADMISSION_NEW:
    case X402_ADMISSION_SETTLING:
        break;
    case X402_ADMISSION_REPEATED:
        return X402_ERR_NONCE_USED;
    case X402_ADMISSION_IN_PROGRESS:
        return X402_ERR_IN_PROGRESS;
    case X402_ADMISSION_ABANDONED:
        return X402_ERR_PAYMENT_ABANDONED;
    case X402_ADMISSION_LIMITED:
        return X402_ERR_RATE;
    case X402_ADMISSION_NOT_OWED:
        return entry->late;
    case X402_ADMISSION_UNAVAILABLE:
        return X402_ERR_LEDGER;
    }

    return X402_OK;
}

/* Why it is refused; X402_OK: it is served, or waits for its settlement. */
static enum x402_error ngx_http_x402_refusal(const ngx_http_x402_entry_t *entry)
{
    if (entry->admit != NULL) {
        return ngx_http_x402_admission_error(entry);
    }
    if (entry->signature == NGX_HTTP_X402_FORGED) {
        return X402_ERR_SIGNATURE;
    }

    return entry->retry_after_milliseconds ? X402_ERR_RATE : X402_ERR_LEDGER;
}

static void ngx_http_x402_time_verification(const ngx_http_x402_worker_t *w,
                                            const ngx_http_x402_entry_t *entry)
{
    ngx_http_x402_ctx_t *ctx = entry->ctx;
    uint64_t verify_us = entry->match_us + w->flying->verify_us;

    if (!entry->claimed || entry->signature == NGX_HTTP_X402_UNPROVEN) {
        return;
    }

    ngx_http_x402_measure(X402_MEASURE_VERIFY, verify_us);
    if (ctx != NULL) {
        ctx->verify_us = verify_us;
    }
}

/* The ledger was not told of it, or could not be. */
static void ngx_http_x402_not_admitted(ngx_http_x402_ctx_t *ctx,
                                       const ngx_http_x402_entry_t *entry)
{
    ctx->retry_after_milliseconds = entry->retry_after_milliseconds;
    ctx->admission = entry->retry_after_milliseconds ? X402_ADMISSION_LIMITED
                                                     : X402_ADMISSION_UNAVAILABLE;

    ngx_http_x402_resume(ctx);
}

/* The request learns of its admission; it goes on, or waits for its settlement. */
static void ngx_http_x402_admitted(ngx_http_x402_ctx_t *ctx,
                                   const ngx_http_x402_entry_t *entry)
{
    const struct x402_admit *admit = entry->admit;

    if (ctx->stage == NGX_HTTP_X402_ADMITTING) {
        ctx->stage = NGX_HTTP_X402_REFUSED;
    }
    ctx->entry = NULL;
    if (admit == NULL) {
        ngx_http_x402_not_admitted(ctx, entry);
        return;
    }

    ngx_http_x402_time_admission(ctx, admit->admission);
    ctx->admission = admit->admission;
    ctx->retry_after_milliseconds = admit->retry_after_milliseconds;
    ctx->proof = entry->proof;

    if (admit->admission == X402_ADMISSION_SETTLING) {
        ctx->payment_id = admit->payment_id;
        if (ngx_http_x402_settling_wait(ctx, &admit->verified) == NGX_OK) {
            return;
        }
        ctx->refusal = X402_ERR_SETTLEMENT_PENDING;
    }

    ngx_http_x402_resume(ctx);
}

/*
 * An admission that came back. The request may be gone, or its answer unknown; whatever
 * may stand in the ledger and is not going to be served is voided.
 */
static void ngx_http_x402_complete_admit(ngx_http_x402_worker_t *w,
                                         const ngx_http_x402_entry_t *entry)
{
    struct x402_admit *admit = entry->admit;
    ngx_http_x402_ctx_t *ctx = entry->ctx;

    if (w->result != X402_OK) {
        admit->admission = X402_ADMISSION_UNAVAILABLE;
    }

    if (admit->admission != X402_ADMISSION_NEW &&
        admit->admission != X402_ADMISSION_SETTLING && entry->counted) {
        ngx_http_x402_limit_return(&entry->payer);
    }

    if (admit->admission == X402_ADMISSION_NEW && ctx != NULL) {
        ctx->stage = NGX_HTTP_X402_SERVING;
        ctx->payment_id = admit->payment_id;
        ctx->settled = admit->settled;
        ngx_queue_insert_tail(&w->serving, &ctx->queue);

    } else if (admit->admission == X402_ADMISSION_NEW ||
               (admit->admission == X402_ADMISSION_UNAVAILABLE && admit->payment_id)) {
        ngx_http_x402_push(w, admit->payment_id, admit->attempt16, X402_EVENT_VOID);
        if (admit->admission == X402_ADMISSION_NEW) {
            ngx_http_x402_count_gone(entry->counter, admit->verified.value);
        }

    } else {
        w->unresolved--;
    }
}

/*
 * Nobody is there to be told. Who lets its payment be settled first and does not wait
 * for it is counted like one whose payment cannot be.
 */
static void ngx_http_x402_gone(const ngx_http_x402_entry_t *entry)
{
    uint64_t wait;
    enum x402_error refusal = ngx_http_x402_refusal(entry);

    if (refusal != X402_OK) {
        ngx_http_x402_count_gone_refused(entry->counter, refusal);

    } else if (entry->admit->admission == X402_ADMISSION_SETTLING) {
        (void)ngx_http_x402_limit_take(&entry->client, &entry->refusal_rate, &wait);
    }
}

static void ngx_http_x402_complete_one(ngx_http_x402_worker_t *w,
                                       ngx_http_x402_entry_t *entry)
{
    ngx_http_x402_ctx_t *ctx = entry->ctx;

    ngx_http_x402_time_verification(w, entry);

    if (entry->admit != NULL) {
        ngx_http_x402_complete_admit(w, entry);
    } else {
        w->unresolved--;
    }

    if (ctx == NULL) {
        ngx_http_x402_gone(entry);
        return;
    }

    entry->ctx = NULL;
    ctx->signature = entry->signature;
    ctx->refusal = ngx_http_x402_refusal(entry);
    ngx_http_x402_admitted(ctx, entry);
}

/* A payment was taken: a batch of nothing but old outcomes may need no room at all. */
static ngx_uint_t ngx_http_x402_took_payment(const ngx_http_x402_batch_t *batch)
{
    size_t i;

    for (i = 0; i < batch->admits_count; i++) {
        if (batch->admits[i].admission == X402_ADMISSION_NEW) {
            return 1;
        }
    }

    return 0;
}

/* An empty batch tells nothing of the ledger: it writes what is there, and all may be.
 * One that was forged is not written at all. */
static ngx_uint_t ngx_http_x402_has_flown(const ngx_http_x402_worker_t *w)
{
    return w->committing &&
           (w->flying->admits_count || w->flying->outcomes_count || w->renew);
}

/* It is known how the ledger does: what it was told failed, or was written. */
static ngx_uint_t ngx_http_x402_has_asked(const ngx_http_x402_worker_t *w)
{
    return w->committing &&
           (w->result != X402_OK || w->post || ngx_http_x402_has_flown(w));
}

/* The log says when it begins and when it is over, not what happens between. */
static void ngx_http_x402_note_result(ngx_http_x402_worker_t *w)
{
    ngx_log_t *log = ngx_cycle->log;

    if (!ngx_http_x402_has_asked(w)) {
        return;
    }
    w->committed = 1;
    w->committed_at = ngx_current_msec;

    if (w->result == X402_OK) {
        w->failing = w->failing && !ngx_http_x402_has_flown(w);
        if (w->complained && ngx_http_x402_took_payment(w->flying)) {
            w->complained = 0;
            ngx_log_error(NGX_LOG_NOTICE, log, 0, "x402: payments are recorded again");
        }
        return;
    }

    if (!w->complained) {
        w->complained = 1;
        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "x402: payments cannot be recorded, answering 503: %s",
                      w->message);
    }
    if (!w->failing) {
        w->failing_since = ngx_current_msec;
    }
    w->failing = 1;
    w->failed = ngx_current_msec;
}

/* What was admitted may have no row yet. */
static void ngx_http_x402_note_unposted(ngx_http_x402_worker_t *w)
{
    if (w->result != X402_OK) {
        return;
    }

    if (w->post) {
        w->unposted = 0;
    }
    if (w->flying->admits_count && !w->unposted) {
        w->unposted = 1;
        w->unposted_since = ngx_current_msec;
    }
}

static void ngx_http_x402_complete_note(ngx_http_x402_worker_t *w)
{
    if (ngx_http_x402_has_flown(w) && w->result == X402_OK) {
        ngx_http_x402_measure(X402_MEASURE_COMMIT, w->commit_us);
        if (w->flying->admits_count) {
            ngx_http_x402_measure(X402_MEASURE_COMMITTED, w->flying->admits_count);
        }
    }

    if (w->note != NULL) {
        w->note = NULL;
        w->failing = w->failing && w->noted != X402_OK;
        ngx_http_x402_tally_noted(w->noted, w->message);
    }
}

static void ngx_http_x402_complete_outcomes(ngx_http_x402_worker_t *w)
{
    size_t i;
    ngx_http_x402_batch_t *batch = w->flying;

    if (w->result != X402_OK) {
        ngx_http_x402_keep_outcomes(w);
        return;
    }

    if (w->renew) {
        w->renewed = ngx_current_msec;
    }

    for (i = 0; i < batch->outcomes_count; i++) {
        w->unresolved--;
        if (!batch->outcomes[i].applied &&
            batch->outcomes[i].event == X402_EVENT_DELIVERED) {
            ngx_log_error(
                NGX_LOG_WARN, ngx_cycle->log, 0,
                "x402: payment %L was delivered, and was decided before: recorded by a "
                "commit that seemed to fail, or abandoned and its caller told so",
                batch->outcomes[i].payment_id);
        }
    }
}

/* More than half a full batch is not waited for: who comes to a full one is refused. */
static void ngx_http_x402_expect(ngx_http_x402_worker_t *w)
{
    size_t came = w->flying->entries_count + ngx_http_x402_waiting_entries(w);

    if (w->flying->entries_count || ngx_http_x402_has_flown(w)) {
        w->expected = ngx_min(came, NGX_HTTP_X402_BATCH_MAX / 2);
    }
}

/*
 * The batch is back. Resuming a request may free another one (HTTP/2) or present a new
 * payment; so entries are read one at a time, and the next batch goes only after the
 * last.
 */
void ngx_http_x402_complete(ngx_event_t *ev)
{
    size_t i;
    ngx_http_x402_worker_t *w = ev->data;

    ngx_http_x402_note_result(w);
    ngx_http_x402_note_unposted(w);
    ngx_http_x402_complete_note(w);
    ngx_http_x402_complete_outcomes(w);

    ngx_http_x402_expect(w);
    for (i = 0; i < w->flying->entries_count; i++) {
        ngx_http_x402_complete_one(w, &w->flying->entries[i]);
    }

    ngx_http_x402_batch_clear(w->flying);
    w->flying_now = 0;

    if (ngx_http_x402_waiting_entries(w) ||
        (ngx_http_x402_may_note(w) && ngx_http_x402_tally_is_due())) {
        ngx_post_event(&w->filled, &ngx_posted_events);
    }
    ngx_http_x402_settle_timer(w);
}
