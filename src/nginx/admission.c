/*
 * Batches to the ledger's thread. A worker has two: one is filled while the other is
 * with the ledger; never more than one is there. That is group commit: what arrives
 * while one transaction syncs, or waits for its turn, or for as many as load lets it
 * expect, goes into the next.
 *
 * Outcomes are never lost while the worker lives: each admission reserves the place of
 * its outcome, and what could not be made durable is told again. A worker that dies
 * takes at most its calls in flight with it; their lease runs out and they are
 * abandoned, never charged and never served again.
 */
#include "nginx/batch.h"

#include <assert.h>

static ngx_http_x402_worker_t *ngx_http_x402_worker;

/* The batch that is being filled, which the task does not take until unlocked. */
static ngx_http_x402_batch_t *ngx_http_x402_lock(ngx_http_x402_worker_t *w)
{
    (void)ngx_thread_mutex_lock(&w->lock, ngx_cycle->log);

    return w->filling;
}

static void ngx_http_x402_unlock(ngx_http_x402_worker_t *w)
{
    (void)ngx_thread_mutex_unlock(&w->lock, ngx_cycle->log);
}

static size_t ngx_http_x402_waiting_admits(ngx_http_x402_worker_t *w)
{
    size_t count = ngx_http_x402_lock(w)->admits_count;

    ngx_http_x402_unlock(w);

    return count;
}

static size_t ngx_http_x402_waiting(ngx_http_x402_worker_t *w)
{
    const ngx_http_x402_batch_t *batch = ngx_http_x402_lock(w);
    size_t count = batch->admits_count + batch->outcomes_count;

    ngx_http_x402_unlock(w);

    return count;
}

static void ngx_http_x402_push(ngx_http_x402_worker_t *w, int64_t payment_id,
                               const uint8_t attempt16[16], enum x402_event event)
{
    struct x402_outcome *outcome;
    ngx_http_x402_batch_t *batch = ngx_http_x402_lock(w);

    assert(batch->outcomes_count < NGX_HTTP_X402_UNRESOLVED_MAX);

    outcome = &batch->outcomes[batch->outcomes_count++];
    outcome->payment_id = payment_id;
    outcome->event = event;
    outcome->applied = false;
    ngx_memcpy(outcome->attempt16, attempt16, 16);

    ngx_http_x402_unlock(w);
}

/*
 * While payments cannot be recorded, the tries are theirs; where none is there to be
 * tried, a note finds out that the ledger is back.
 */
static ngx_uint_t ngx_http_x402_may_note(const ngx_http_x402_worker_t *w)
{
    return !w->failing || w->unresolved == 0;
}

/* Wakes the worker in `delay` ms, unless it wakes before; a graceful exit waits for it.
 */
static void ngx_http_x402_wake(ngx_http_x402_worker_t *w, ngx_msec_t delay)
{
    if (w->timer.timer_set && (ngx_msec_int_t)(w->timer.timer.key - ngx_current_msec) <=
                                  (ngx_msec_int_t)delay) {
        return;
    }

    if (w->timer.timer_set) {
        ngx_del_timer(&w->timer); /* which else stays, where it differs by little */
    }
    ngx_add_timer(&w->timer, delay);
}

static void ngx_http_x402_settle_timer(ngx_http_x402_worker_t *w)
{
    /* A worker that must end does not wait for ever for a ledger that does not come
     * back. */
    w->timer.cancelable = w->unresolved == 0 || (w->failing && ngx_exiting &&
                                                 ngx_current_msec - w->failing_since >=
                                                     X402_LEASE_SECONDS * 1000);

    if (ngx_http_x402_waiting(w)) {
        ngx_http_x402_wake(w, w->failing ? NGX_HTTP_X402_RETRY_DELAY
                                         : NGX_HTTP_X402_OUTCOME_DELAY);
    } else if (w->unposted) {
        ngx_http_x402_wake(w, w->failing ? NGX_HTTP_X402_RETRY_DELAY
                                         : NGX_HTTP_X402_POST_DELAY);
    } else if (w->unresolved) {
        ngx_http_x402_wake(w, NGX_HTTP_X402_RENEW_MSEC);
    }
}

/* What the failed batch told is told again; order among attempts does not matter. */
static void ngx_http_x402_keep_outcomes(ngx_http_x402_worker_t *w)
{
    size_t i;
    ngx_http_x402_batch_t *failed = w->flying;

    for (i = 0; i < failed->outcomes_count; i++) {
        ngx_http_x402_push(w, failed->outcomes[i].payment_id,
                           failed->outcomes[i].attempt16, failed->outcomes[i].event);
    }
}

/* Of one that waits and is presented again, the first answer counts. */
static void ngx_http_x402_time_admission(ngx_http_x402_ctx_t *ctx,
                                         enum x402_admission admission)
{
    if (ctx->admit_us == 0 && admission != X402_ADMISSION_UNAVAILABLE) {
        ctx->admit_us = ngx_http_x402_now_us() - ctx->asked_us;
        ngx_http_x402_measure(X402_MEASURE_ADMIT, ctx->admit_us);
    }
}

/* The request learns of its admission; it goes on, or waits for its settlement. */
static void ngx_http_x402_admitted(ngx_http_x402_ctx_t *ctx,
                                   const struct x402_admit *admit,
                                   const ngx_http_x402_entry_t *entry)
{
    if (ctx->stage == NGX_HTTP_X402_ADMITTING) {
        ctx->stage = NGX_HTTP_X402_REFUSED;
    }
    ctx->admit = NULL;
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
static void ngx_http_x402_complete_one(ngx_http_x402_worker_t *w, size_t i)
{
    struct x402_admit *admit = &w->flying->admits[i];
    ngx_http_x402_entry_t *entry = &w->flying->entries[i];
    ngx_http_x402_ctx_t *ctx = entry->ctx;

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

    if (ctx == NULL) {
        return;
    }

    entry->ctx = NULL;
    ngx_http_x402_admitted(ctx, admit, entry);
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
 */
static ngx_uint_t ngx_http_x402_has_flown(const ngx_http_x402_worker_t *w)
{
    return w->committing &&
           (w->flying->admits_count || w->flying->outcomes_count || w->renew);
}

/* The log says when it begins and when it is over, not what happens between. */
static void ngx_http_x402_note_result(ngx_http_x402_worker_t *w)
{
    ngx_log_t *log = ngx_cycle->log;

    if (!w->committing) {
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
    size_t came = w->flying->admits_count + ngx_http_x402_waiting_admits(w);

    if (ngx_http_x402_has_flown(w)) {
        w->expected = ngx_min(came, NGX_HTTP_X402_BATCH_MAX / 2);
    }
}

/*
 * The batch is back. Resuming a request may free another one (HTTP/2) or present a new
 * payment; so entries are read one at a time, and the next batch goes only after the
 * last.
 */
static void ngx_http_x402_complete(ngx_event_t *ev)
{
    size_t i;
    ngx_http_x402_worker_t *w = ev->data;

    ngx_http_x402_note_result(w);
    ngx_http_x402_note_unposted(w);
    ngx_http_x402_complete_note(w);
    ngx_http_x402_complete_outcomes(w);

    ngx_http_x402_expect(w);
    for (i = 0; i < w->flying->admits_count; i++) {
        if (w->result != X402_OK) {
            w->flying->admits[i].admission = X402_ADMISSION_UNAVAILABLE;
        }
        ngx_http_x402_complete_one(w, i);
    }

    w->flying->admits_count = 0;
    w->flying->outcomes_count = 0;
    w->flying_now = 0;

    if (ngx_http_x402_waiting_admits(w) ||
        (ngx_http_x402_may_note(w) && ngx_http_x402_tally_is_due())) {
        ngx_post_event(&w->filled, &ngx_posted_events);
    }
    ngx_http_x402_settle_timer(w);
}

/* What the task shall do; it takes the batch itself. */
static void ngx_http_x402_instruct(ngx_http_x402_worker_t *w)
{
    w->flying_now = 1;
    w->result = X402_ERR_LEDGER;
    w->renew = w->unresolved && (w->renewed == 0 || ngx_current_msec - w->renewed >=
                                                        NGX_HTTP_X402_RENEW_MSEC -
                                                            NGX_HTTP_X402_RENEW_SLACK);
    w->post =
        w->unposted && ngx_current_msec - w->unposted_since >= NGX_HTTP_X402_POST_DELAY;
    w->committing = ngx_http_x402_waiting(w) || w->renew || w->post;
    w->note = ngx_http_x402_may_note(w)
                  ? ngx_http_x402_tally_take(ngx_http_x402_waiting_admits(w) != 0)
                  : NULL;
    w->noted = X402_ERR_LEDGER;
}

/* Sends what is there to the ledger, if nothing is with it. */
static void ngx_http_x402_flush(ngx_http_x402_worker_t *w)
{
    if (w->flying_now) {
        return;
    }

    ngx_http_x402_instruct(w);
    if (!w->committing && w->note == NULL) {
        w->flying_now = 0; /* the task before took it all */
        return;
    }

    if (ngx_thread_task_post(w->pool, &w->task) != NGX_OK) {
        ngx_http_x402_batch_take(w);
        w->result = X402_ERR_LEDGER;
        ngx_cpystrn((u_char *)w->message, (u_char *)"the thread pool's queue is full",
                    sizeof(w->message));
        ngx_post_event(&w->task.event, &ngx_posted_events);
    }
}

static void ngx_http_x402_filled(ngx_event_t *ev)
{
    ngx_http_x402_worker_t *w = ev->data;

    ngx_http_x402_flush(w);
    ngx_http_x402_settle_timer(w);
}

static void ngx_http_x402_timer(ngx_event_t *ev)
{
    ngx_http_x402_worker_t *w = ev->data;

    if (w->unresolved || w->unposted) {
        ngx_http_x402_flush(w);
    }
    ngx_http_x402_settle_timer(w);
}

void ngx_http_x402_note_now(void)
{
    ngx_http_x402_worker_t *w = ngx_http_x402_worker;

    if (!w->flying_now && ngx_http_x402_may_note(w) && ngx_http_x402_tally_is_due()) {
        ngx_http_x402_flush(w);
        ngx_http_x402_settle_timer(w);
    }
}

/* While the ledger fails, one try each half second; who comes between is told at once.
 */
static ngx_uint_t ngx_http_x402_closed(ngx_http_x402_worker_t *w)
{
    if (w->unresolved >= NGX_HTTP_X402_UNRESOLVED_MAX ||
        ngx_http_x402_waiting_admits(w) >= NGX_HTTP_X402_BATCH_MAX) {
        return 1;
    }

    return w->failing &&
           (w->flying_now || ngx_current_msec - w->failed < NGX_HTTP_X402_RETRY_DELAY);
}

static void ngx_http_x402_fill(ngx_http_x402_batch_t *batch, ngx_http_x402_ctx_t *ctx,
                               const struct x402_verified *verified)
{
    ngx_str_t *route = &ctx->sale->location;
    size_t i = batch->admits_count++;
    struct x402_admit *admit = &batch->admits[i];
    ngx_http_x402_entry_t *entry = &batch->entries[i];

    ngx_memzero(admit, sizeof(*admit));
    admit->verified = *verified;
    admit->credit = ctx->sale->credits[ctx->accept - ctx->sale->offer.accepts];
    if (ngx_http_x402_outlives(&admit->credit, &ctx->sale->offer,
                               verified->valid_before_seconds)) {
        admit->credit.settle_first = true;
    }
    admit->late = ctx->late;
    admit->admission = X402_ADMISSION_UNAVAILABLE;
    ngx_memcpy(admit->attempt16, ctx->attempt16, 16);
    if (route->len) { /* a whole server has no name */
        ngx_memcpy(admit->route, route->data, ngx_min(route->len, X402_ROUTE_MAX - 1));
    }

    entry->ctx = ctx;
    entry->rate = ctx->sale->rate;
    entry->counted = 0;
    entry->counter = ctx->sale->counters[ctx->accept - ctx->sale->offer.accepts];
    ngx_memzero(&entry->proof, sizeof(entry->proof));
    ngx_http_x402_limit_payer(&entry->payer, verified->from20, &entry->rate);

    admit->data = entry;
    ctx->admit = admit;
}

ngx_int_t ngx_http_x402_admit(ngx_http_x402_ctx_t *ctx,
                              const struct x402_verified *verified)
{
    ngx_http_x402_batch_t *batch;
    ngx_http_x402_worker_t *w = ngx_http_x402_worker;

    if (w == NULL || ngx_http_x402_closed(w)) {
        return NGX_BUSY;
    }

    batch = ngx_http_x402_lock(w);
    ngx_http_x402_fill(batch, ctx, verified);
    if (batch->admits_count == w->expected) {
        (void)pthread_cond_signal(&w->gathered);
    }
    ngx_http_x402_unlock(w);
    ctx->stage = NGX_HTTP_X402_ADMITTING;
    ctx->asked_us = ngx_http_x402_now_us();
    w->unresolved++;

    ngx_post_event(&w->filled, &ngx_posted_events);

    return NGX_AGAIN;
}

ngx_thread_pool_t *ngx_http_x402_thread_pool(void)
{
    return ngx_http_x402_worker->pool;
}

ngx_int_t ngx_http_x402_recording(ngx_msec_t *ago)
{
    const ngx_http_x402_worker_t *w = ngx_http_x402_worker;

    if (w == NULL || !w->committed) {
        return NGX_DECLINED;
    }

    *ago = ngx_current_msec - w->committed_at;

    return w->failing ? NGX_ERROR : NGX_OK;
}

void ngx_http_x402_admit_forget(ngx_http_x402_ctx_t *ctx)
{
    ngx_http_x402_entry_t *entry = ctx->admit->data;

    entry->ctx = NULL;
}

void ngx_http_x402_report(ngx_http_x402_ctx_t *ctx, enum x402_event event)
{
    ngx_http_x402_worker_t *w = ngx_http_x402_worker;

    ngx_queue_remove(&ctx->queue);
    ngx_queue_init(&ctx->queue);

    ngx_http_x402_push(w, ctx->payment_id, ctx->attempt16, event);

    if (event == X402_EVENT_VOID && !w->failing) {
        ngx_http_x402_flush(w); /* its payer is likely to try again at once */
    }
    ngx_http_x402_settle_timer(w);
}

/* ------------------------------------------------------------------- start and stop */

/* A condition variable whose waits may end, by a clock that nobody sets. */
static ngx_int_t ngx_http_x402_cond_create(ngx_thread_cond_t *cond)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);

    if (rc != 0) {
        return NGX_ERROR;
    }

    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0) {
        rc = pthread_cond_init(cond, &attr);
    }
    (void)pthread_condattr_destroy(&attr);

    return rc == 0 ? NGX_OK : NGX_ERROR;
}

static ngx_int_t ngx_http_x402_worker_create(ngx_http_x402_worker_t **out,
                                             ngx_cycle_t *cycle)
{
    static ngx_str_t own = ngx_string(NGX_HTTP_X402_POOL);
    ngx_http_x402_worker_t *w;

    w = ngx_pcalloc(cycle->pool, sizeof(*w));
    if (w == NULL) {
        return NGX_ERROR;
    }

    w->filling = ngx_calloc(sizeof(*w->filling), cycle->log);
    w->flying = ngx_calloc(sizeof(*w->flying), cycle->log);
    w->pool = ngx_thread_pool_get(cycle, &own);
    if (w->filling == NULL || w->flying == NULL || w->pool == NULL ||
        ngx_thread_mutex_create(&w->lock, cycle->log) != NGX_OK ||
        ngx_http_x402_cond_create(&w->gathered) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_queue_init(&w->serving);
    *out = w;

    return NGX_OK;
}

ngx_int_t ngx_http_x402_admission_init(ngx_cycle_t *cycle, ngx_str_t *ledger)
{
    ngx_http_x402_worker_t *w;

    if (ngx_http_x402_worker_create(&w, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    w->path = *ledger;
    (void)ngx_snprintf((u_char *)w->owner, sizeof(w->owner), "nginx worker %P%Z",
                       ngx_pid);

    w->task.ctx = w;
    w->task.handler = ngx_http_x402_task;
    w->task.event.handler = ngx_http_x402_complete;
    w->task.event.data = w;
    w->task.event.log = cycle->log;

    w->filled.handler = ngx_http_x402_filled;
    w->filled.data = w;
    w->filled.log = cycle->log;

    w->timer.handler = ngx_http_x402_timer;
    w->timer.data = w;
    w->timer.log = cycle->log;
    w->timer.cancelable = 1;

    ngx_http_x402_worker = w;

    return NGX_OK;
}

/* A fast stop leaves requests open: nobody will see their end, so none is charged. */
static void ngx_http_x402_void_serving(ngx_http_x402_worker_t *w)
{
    ngx_queue_t *q;
    ngx_http_x402_ctx_t *ctx;

    while (!ngx_queue_empty(&w->serving)) {
        q = ngx_queue_head(&w->serving);
        ctx = ngx_queue_data(q, ngx_http_x402_ctx_t, queue);
        ngx_queue_remove(q);
        ngx_queue_init(q);
        ctx->stage = NGX_HTTP_X402_VOIDED;
        ngx_http_x402_count_outcome(ctx, X402_EVENT_VOID);
        ngx_http_x402_push(w, ctx->payment_id, ctx->attempt16, X402_EVENT_VOID);
    }
}

/*
 * The thread pools are joined by now, so a batch in flight is done, but nobody will
 * call its completion. What it admitted is not going to be served.
 */
static void ngx_http_x402_land(ngx_http_x402_worker_t *w)
{
    size_t i;
    struct x402_admit *admit;

    if (!w->flying_now) {
        return;
    }

    if (w->result != X402_OK) {
        ngx_http_x402_keep_outcomes(w);
    }

    for (i = 0; i < w->flying->admits_count; i++) {
        admit = &w->flying->admits[i];
        if (admit->payment_id &&
            (w->result != X402_OK || admit->admission == X402_ADMISSION_NEW)) {
            ngx_http_x402_push(w, admit->payment_id, admit->attempt16, X402_EVENT_VOID);
        }
    }
}

/* What was counted and not told yet; a ledger that fails is not asked once more. */
static void ngx_http_x402_note_last(ngx_http_x402_worker_t *w)
{
    const struct x402_activity *last;

    if (w->note != NULL) {
        ngx_http_x402_tally_noted(w->noted, w->message);
    }

    last = ngx_http_x402_tally_last();
    if (last == NULL || (w->ledger == NULL &&
                         x402_ledger_open(&w->ledger, (const char *)w->path.data,
                                          X402_LEDGER_WRITE, w->message) != X402_OK)) {
        return;
    }

    if (x402_ledger_note(w->ledger, last) != X402_OK) {
        ngx_http_x402_tally_noted(X402_ERR_LEDGER, x402_ledger_message(w->ledger));
    }
}

void ngx_http_x402_admission_exit(ngx_cycle_t *cycle)
{
    ngx_http_x402_worker_t *w = ngx_http_x402_worker;
    enum x402_error rc = X402_OK;

    if (w == NULL) {
        return;
    }

    ngx_http_x402_land(w);
    ngx_http_x402_void_serving(w);

    if (w->filling->outcomes_count && w->ledger != NULL) {
        rc = x402_ledger_commit(w->ledger, w->owner, w->filling->outcomes,
                                w->filling->outcomes_count, NULL, 0, NULL, NULL);
    }
    if (rc == X402_OK && w->ledger != NULL) {
        rc = x402_ledger_lease_release(w->ledger);
    }
    if (rc != X402_OK) {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "x402: %uz outcomes could not be recorded at exit, "
                      "their payments will be abandoned: %s",
                      w->filling->outcomes_count, x402_ledger_message(w->ledger));
    }

    if (rc == X402_OK) {
        ngx_http_x402_note_last(w);
    }
    x402_ledger_close(w->ledger);
    x402_receipt_namer_close(w->namer);
    ngx_http_x402_worker = NULL;
}
