/*
 * Batches to the ledger's thread. A worker has two: one is filled while the other is
 * with the thread, to be verified and committed; never more than one is there. That is
 * group commit: what arrives while one is verified, waits for its turn or syncs goes
 * into the next, which may wait for as many as load lets it expect.
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

size_t ngx_http_x402_waiting_entries(ngx_http_x402_worker_t *w)
{
    size_t count = ngx_http_x402_lock(w)->entries_count;

    ngx_http_x402_unlock(w);

    return count;
}

static size_t ngx_http_x402_waiting(ngx_http_x402_worker_t *w)
{
    const ngx_http_x402_batch_t *batch = ngx_http_x402_lock(w);
    size_t count = batch->entries_count + batch->outcomes_count;

    ngx_http_x402_unlock(w);

    return count;
}

void ngx_http_x402_push(ngx_http_x402_worker_t *w, int64_t payment_id,
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

ngx_uint_t ngx_http_x402_may_note(const ngx_http_x402_worker_t *w)
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

void ngx_http_x402_settle_timer(ngx_http_x402_worker_t *w)
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
                  ? ngx_http_x402_tally_take(ngx_http_x402_waiting_entries(w) != 0)
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
        ngx_http_x402_waiting_entries(w) >= NGX_HTTP_X402_BATCH_MAX) {
        return 1;
    }

    return w->failing &&
           (w->flying_now || ngx_current_msec - w->failed < NGX_HTTP_X402_RETRY_DELAY);
}

static void ngx_http_x402_fill_limits(ngx_http_x402_entry_t *entry,
                                      const ngx_http_x402_ctx_t *ctx,
                                      const uint8_t payer20[20])
{
    ngx_http_request_t *r = ctx->request;
    ngx_http_x402_loc_conf_t *lcf =
        ngx_http_get_module_loc_conf(r, ngx_http_x402_module);

    entry->rate = ctx->sale->rate;
    ngx_http_x402_limit_payer(&entry->payer, payer20, &entry->rate);
    entry->refusal_rate = lcf->refusal_rate;
    ngx_http_x402_limit_client(&entry->client, r->connection, NGX_HTTP_X402_REFUSALS);
}

/* A place for it, without what it presents. */
static ngx_http_x402_entry_t *ngx_http_x402_fill(ngx_http_x402_batch_t *batch,
                                                 ngx_http_x402_ctx_t *ctx,
                                                 const uint8_t payer20[20])
{
    ngx_str_t *route = &ctx->sale->location;
    size_t accept = (size_t)(ctx->accept - ctx->sale->offer.accepts);
    ngx_http_x402_entry_t *entry = &batch->entries[batch->entries_count++];

    ngx_memzero(entry, sizeof(*entry));
    entry->ctx = ctx;
    entry->credit = ctx->sale->credits[accept];
    if (ngx_http_x402_outlives(&entry->credit, &ctx->sale->offer,
                               ctx->valid_before_seconds)) {
        entry->credit.settle_first = true;
    }
    entry->late = ctx->late ? ctx->late_why.error : X402_OK;
    ngx_memcpy(entry->attempt16, ctx->attempt16, 16);
    if (route->len) { /* a whole server has no name */
        ngx_memcpy(entry->route, route->data, ngx_min(route->len, X402_ROUTE_MAX - 1));
    }
    entry->counter = ctx->sale->counters[accept];
    entry->match_us = ctx->match_us;
    ngx_http_x402_fill_limits(entry, ctx, payer20);

    ctx->entry = entry;

    return entry;
}

/*
 * The second half of a batch is not for one client's claims, of which nobody knows
 * yet what they are: there it has as many as its rate of refusals allows, if all are
 * forged.
 */
static ngx_uint_t ngx_http_x402_crowds(const ngx_http_x402_batch_t *batch,
                                       const ngx_http_x402_entry_t *entry)
{
    size_t i;
    uint64_t wait;
    uint32_t claims = 0;

    if (batch->entries_count <= NGX_HTTP_X402_BATCH_MAX / 2) {
        return 0;
    }

    for (i = 0; i < batch->entries_count; i++) {
        claims += batch->entries[i].claimed &&
                  ngx_http_x402_same_client(&batch->entries[i], entry);
    }

    return !ngx_http_x402_limit_peek(&entry->client, &entry->refusal_rate, claims,
                                     &wait);
}

/* It is refused, and told so at once. */
static ngx_int_t ngx_http_x402_turn_away(ngx_http_x402_ctx_t *ctx,
                                         enum x402_admission admission,
                                         enum x402_error refusal)
{
    ctx->admission = admission;
    ctx->refusal = refusal;
    ctx->retry_after_milliseconds = NGX_HTTP_X402_BUSY_MSEC;

    return NGX_DECLINED;
}

/* The batch that it may join, locked; NULL: none is. */
static ngx_http_x402_batch_t *ngx_http_x402_open(ngx_http_x402_worker_t *w)
{
    return w == NULL || ngx_http_x402_closed(w) ? NULL : ngx_http_x402_lock(w);
}

/* It has joined that batch. */
static ngx_int_t ngx_http_x402_joined(ngx_http_x402_worker_t *w,
                                      ngx_http_x402_ctx_t *ctx)
{
    if (w->filling->entries_count == w->expected) {
        (void)pthread_cond_signal(&w->gathered);
    }
    ctx->asked_us = ngx_http_x402_now_us(); /* before the thread can begin */
    ngx_http_x402_unlock(w);

    ctx->stage = NGX_HTTP_X402_ADMITTING;
    w->unresolved++;

    ngx_post_event(&w->filled, &ngx_posted_events);

    return NGX_AGAIN;
}

ngx_int_t ngx_http_x402_admit(ngx_http_x402_ctx_t *ctx, const struct x402_claim *claim)
{
    ngx_http_x402_entry_t *entry;
    ngx_http_x402_worker_t *w = ngx_http_x402_worker;
    ngx_http_x402_batch_t *batch = ngx_http_x402_open(w);

    if (batch == NULL) {
        return ngx_http_x402_turn_away(ctx, X402_ADMISSION_UNAVAILABLE,
                                       X402_ERR_LEDGER);
    }

    entry = ngx_http_x402_fill(batch, ctx, claim->unproven.from20);
    entry->claimed = 1;
    entry->claim = *claim;

    if (ngx_http_x402_crowds(batch, entry)) {
        ctx->entry = NULL;
        batch->entries_count--;
        ngx_http_x402_unlock(w);
        return ngx_http_x402_turn_away(ctx, X402_ADMISSION_LIMITED, X402_ERR_RATE);
    }

    return ngx_http_x402_joined(w, ctx);
}

ngx_int_t ngx_http_x402_admit_again(ngx_http_x402_ctx_t *ctx,
                                    const struct x402_verified *verified)
{
    ngx_http_x402_entry_t *entry;
    ngx_http_x402_worker_t *w = ngx_http_x402_worker;
    ngx_http_x402_batch_t *batch = ngx_http_x402_open(w);

    if (batch == NULL) {
        return NGX_BUSY;
    }

    entry = ngx_http_x402_fill(batch, ctx, verified->from20);
    entry->signature = NGX_HTTP_X402_PROVEN;
    entry->verified = *verified;

    return ngx_http_x402_joined(w, ctx);
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
    ctx->entry->ctx = NULL;
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

/* An empty one. Of its 1.2 MB no page is touched before something is put there. */
static ngx_http_x402_batch_t *ngx_http_x402_batch_create(ngx_cycle_t *cycle)
{
    ngx_http_x402_batch_t *batch = ngx_palloc(cycle->pool, sizeof(*batch));

    if (batch != NULL) {
        ngx_http_x402_batch_clear(batch);
    }

    return batch;
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

    w->filling = ngx_http_x402_batch_create(cycle);
    w->flying = ngx_http_x402_batch_create(cycle);
    w->pool = ngx_thread_pool_get(cycle, &own);
    if (w->filling == NULL || w->flying == NULL || w->pool == NULL ||
        ngx_thread_mutex_create(&w->lock, cycle->log) != NGX_OK ||
        ngx_http_x402_cond_create(&w->gathered) != NGX_OK) {
        return NGX_ERROR;
    }

    w->signers = x402_signers_create();
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
    x402_signers_destroy(w->signers);
    ngx_http_x402_worker = NULL;
}
