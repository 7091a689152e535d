/*
 * Requests whose payment is settled before they are served. The ledger said SETTLING:
 * the payment is due before anything else and belongs to nobody. They wait here; one
 * look at the ledger serves all that wait in a worker, every 50 ms, with a handle of
 * its own, so that it stands in no admission's way.
 *
 * Nothing here forwards a request. A look that finds the money settled is a reason to
 * present the payment once more, no more than that: only the ledger's NEW forwards, it
 * gives that to a settled payment alone, and to one attempt of it. Two requests that
 * wait for one payment are both presented again, and one of them is refused.
 */
#include "nginx/module.h"

#include "core/failpoint.h"

#include <openssl/rand.h>

#define NGX_HTTP_X402_LOOK_MSEC 50
#define NGX_HTTP_X402_WAITING_MAX X402_LOOKS_MAX /* requests of one worker */

typedef struct {
    ngx_str_t path;
    struct x402_ledger *ledger; /* reads; the task's while one is under way */
    ngx_thread_task_t task;
    ngx_event_t timer;
    ngx_queue_t waiting; /* ngx_http_x402_ctx_t */
    ngx_uint_t waiting_count;
    ngx_uint_t looking; /* the task is under way; what follows is its own */
    size_t count;
    struct x402_look *looks;
    ngx_http_x402_ctx_t **lookers; /* parallel to looks; NULL: does not wait any more */
    enum x402_error result;
    ngx_uint_t complained; /* the log says that looks fail */
    char message[X402_LEDGER_MESSAGE_MAX];
} ngx_http_x402_settling_t;

static ngx_http_x402_settling_t ngx_http_x402_settling;

/* ------------------------------------------------------------------------- the look */

/* Runs in the ledger's thread. */
static void ngx_http_x402_look_task(void *data, ngx_log_t *log)
{
    ngx_http_x402_settling_t *s = data;

    (void)log;

    if (s->ledger == NULL) {
        s->result = x402_ledger_open(&s->ledger, (const char *)s->path.data,
                                     X402_LEDGER_READ, s->message);
        if (s->result != X402_OK) {
            return;
        }
    }

    s->result = x402_ledger_look(s->ledger, s->looks, s->count);
    if (s->result != X402_OK) {
        (void)ngx_cpystrn((u_char *)s->message,
                          (u_char *)(uintptr_t)x402_ledger_message(s->ledger),
                          sizeof(s->message));
        x402_ledger_close(s->ledger);
        s->ledger = NULL;
    }
}

/* What a look means for those who wait. */
typedef enum {
    NGX_HTTP_X402_WAIT,
    NGX_HTTP_X402_PRESENT, /* the ledger decides what it has become */
    NGX_HTTP_X402_FAIL,
} ngx_http_x402_sight_t;

/*
 * A row that is not found says nothing (the ledger may be another file by now), and
 * what is not known has not failed.
 */
static ngx_http_x402_sight_t ngx_http_x402_sight(const struct x402_look *look)
{
    if (!look->found) {
        return NGX_HTTP_X402_WAIT;
    }
    if (look->state.delivery == X402_DELIVERY_OWED) {
        return look->state.money == X402_MONEY_SETTLED ||
                       look->state.money == X402_MONEY_FINAL
                   ? NGX_HTTP_X402_PRESENT
                   : NGX_HTTP_X402_WAIT;
    }

    return look->state.delivery == X402_DELIVERY_VOID &&
                   look->state.money == X402_MONEY_FAILED
               ? NGX_HTTP_X402_FAIL
               : NGX_HTTP_X402_PRESENT;
}

/* It does not wait any more. */
static void ngx_http_x402_settling_leave(ngx_http_x402_ctx_t *ctx)
{
    ngx_http_x402_settling.waiting_count--;
    ngx_queue_remove(&ctx->queue);
    ngx_queue_init(&ctx->queue);

    if (ctx->deadline.timer_set) {
        ngx_del_timer(&ctx->deadline);
    }
    if (ctx->looker != NULL) {
        *ctx->looker = NULL;
        ctx->looker = NULL;
    }
}

static void ngx_http_x402_refuse_waiting(ngx_http_x402_ctx_t *ctx,
                                         enum x402_error refusal)
{
    ngx_http_x402_settling_leave(ctx);

    ctx->stage = NGX_HTTP_X402_REFUSED;
    ctx->refusal = refusal;

    ngx_http_x402_resume(ctx);
}

/*
 * Its authorization may have expired while it waited; that matters for what would be
 * begun, and this was. When the ledger can take no more now, the next look tries again.
 */
static void ngx_http_x402_present_again(ngx_http_x402_ctx_t *ctx)
{
    X402_FAILPOINT(worker_settled);

    ctx->late = 0;

    if (RAND_bytes(ctx->attempt16, sizeof(ctx->attempt16)) == 1 &&
        ngx_http_x402_admit_again(ctx, ctx->verified) == NGX_AGAIN) {
        ngx_http_x402_settling_leave(ctx);
    }
}

static void ngx_http_x402_looked(ngx_http_x402_ctx_t *ctx, const struct x402_look *look)
{
    switch (ngx_http_x402_sight(look)) {
    case NGX_HTTP_X402_WAIT:
        ngx_http_x402_note_transaction(&ctx->proof, look);
        break;
    case NGX_HTTP_X402_PRESENT:
        ngx_http_x402_present_again(ctx);
        break;
    case NGX_HTTP_X402_FAIL:
        ctx->proof.has_transaction = 0;
        ngx_http_x402_limit_refusal(ctx->request);
        ngx_http_x402_refuse_waiting(ctx, x402_receipt_failure(look->reason));
        break;
    }
}

static void ngx_http_x402_note_look(ngx_http_x402_settling_t *s)
{
    if (s->result == X402_OK) {
        s->complained = 0;
    } else if (!s->complained) {
        s->complained = 1;
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0,
                      "x402: cannot see what has settled, callers wait: %s",
                      s->message);
    }
}

/* Nothing runs while nobody waits. */
static void ngx_http_x402_look_later(ngx_http_x402_settling_t *s)
{
    if (!s->looking && !s->timer.timer_set && !ngx_queue_empty(&s->waiting)) {
        ngx_add_timer(&s->timer, NGX_HTTP_X402_LOOK_MSEC);
    }
}

/* Answering one request may free another (HTTP/2): who leaves takes its look along. */
static void ngx_http_x402_look_done(ngx_event_t *ev)
{
    size_t i;
    ngx_http_x402_ctx_t *ctx;
    ngx_http_x402_settling_t *s = ev->data;

    ngx_http_x402_note_look(s);

    for (i = 0; i < s->count; i++) {
        ctx = s->lookers[i];
        if (ctx == NULL) {
            continue;
        }
        ctx->looker = NULL;
        if (s->result == X402_OK) {
            ngx_http_x402_looked(ctx, &s->looks[i]);
        }
    }

    s->looking = 0;
    ngx_http_x402_look_later(s);
}

static void ngx_http_x402_look_prepare(ngx_http_x402_settling_t *s)
{
    ngx_queue_t *q;
    ngx_http_x402_ctx_t *ctx;

    s->count = 0;
    for (q = ngx_queue_head(&s->waiting); q != ngx_queue_sentinel(&s->waiting);
         q = ngx_queue_next(q)) {
        ctx = ngx_queue_data(q, ngx_http_x402_ctx_t, queue);
        s->looks[s->count].payment_id = ctx->payment_id;
        s->lookers[s->count] = ctx;
        ctx->looker = &s->lookers[s->count++];
    }
}

static void ngx_http_x402_look_timer(ngx_event_t *ev)
{
    ngx_http_x402_settling_t *s = ev->data;

    if (s->looking || ngx_queue_empty(&s->waiting)) {
        return;
    }

    ngx_http_x402_look_prepare(s);
    s->looking = 1;

    if (ngx_thread_task_post(ngx_http_x402_thread_pool(), &s->task) != NGX_OK) {
        s->result = X402_ERR_LEDGER;
        ngx_cpystrn((u_char *)s->message, (u_char *)"the thread pool's queue is full",
                    sizeof(s->message));
        ngx_post_event(&s->task.event, &ngx_posted_events);
    }
}

/* ----------------------------------------------------------------- those who wait */

/* Its time is over: the payment goes its way, and the same one may be presented again.
 */
static void ngx_http_x402_settle_timeout(ngx_event_t *ev)
{
    ngx_http_x402_refuse_waiting(ev->data, X402_ERR_SETTLEMENT_PENDING);
}

/* The timer also keeps a worker that must end alive until its callers are answered. */
static void ngx_http_x402_arm_timeout(ngx_http_x402_ctx_t *ctx)
{
    ngx_msec_int_t left;

    if (!ctx->waited) {
        ctx->waited = 1;
        ctx->settle_by = ngx_current_msec + ctx->sale->settle_timeout;
    }
    left = (ngx_msec_int_t)(ctx->settle_by - ngx_current_msec);

    ctx->deadline.handler = ngx_http_x402_settle_timeout;
    ctx->deadline.data = ctx;
    ctx->deadline.log = ngx_cycle->log;
    ctx->deadline.cancelable = 0;

    ngx_add_timer(&ctx->deadline, left > 1 ? (ngx_msec_t)left : 1);
}

static ngx_int_t ngx_http_x402_keep_verified(ngx_http_x402_ctx_t *ctx,
                                             const struct x402_verified *verified)
{
    if (ctx->verified == NULL) {
        ctx->verified = ngx_palloc(ctx->request->pool, sizeof(*ctx->verified));
        if (ctx->verified == NULL) {
            return NGX_ERROR;
        }
        *ctx->verified = *verified;
    }

    return NGX_OK;
}

ngx_int_t ngx_http_x402_settling_wait(ngx_http_x402_ctx_t *ctx,
                                      const struct x402_verified *verified)
{
    ngx_http_x402_settling_t *s = &ngx_http_x402_settling;

    if (s->waiting_count >= NGX_HTTP_X402_WAITING_MAX ||
        ngx_http_x402_keep_verified(ctx, verified) != NGX_OK) {
        return NGX_BUSY;
    }

    s->waiting_count++;
    ngx_queue_insert_tail(&s->waiting, &ctx->queue);
    ctx->stage = NGX_HTTP_X402_SETTLING;
    ngx_http_x402_arm_timeout(ctx);
    ngx_http_x402_look_later(s);

    X402_FAILPOINT(worker_settling);

    return NGX_OK;
}

void ngx_http_x402_settling_gone(ngx_http_x402_ctx_t *ctx)
{
    ngx_http_x402_limit_refusal(ctx->request);
    ngx_http_x402_settling_leave(ctx);
}

/* ------------------------------------------------------------------- start and stop */

ngx_int_t ngx_http_x402_settling_init(ngx_cycle_t *cycle, const ngx_str_t *ledger)
{
    ngx_http_x402_settling_t *s = &ngx_http_x402_settling;

    ngx_memzero(s, sizeof(*s));
    s->path = *ledger;
    ngx_queue_init(&s->waiting);

    /* Pages that nobody waits on are never touched. */
    s->looks = ngx_palloc(cycle->pool, NGX_HTTP_X402_WAITING_MAX * sizeof(*s->looks));
    s->lookers =
        ngx_palloc(cycle->pool, NGX_HTTP_X402_WAITING_MAX * sizeof(*s->lookers));
    if (s->looks == NULL || s->lookers == NULL) {
        return NGX_ERROR;
    }

    s->task.ctx = s;
    s->task.handler = ngx_http_x402_look_task;
    s->task.event.handler = ngx_http_x402_look_done;
    s->task.event.data = s;
    s->task.event.log = cycle->log;

    s->timer.handler = ngx_http_x402_look_timer;
    s->timer.data = s;
    s->timer.log = cycle->log;

    return NGX_OK;
}

/* The thread pools are joined: no look is under way. */
void ngx_http_x402_settling_exit(void)
{
    x402_ledger_close(ngx_http_x402_settling.ledger);
    ngx_http_x402_settling.ledger = NULL;
}
