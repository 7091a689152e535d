/*
 * Counts what happens, in memory: nothing here is allocated, locked or written on a
 * request's way. About once a second the ledger's thread notes what was counted
 * (batch.c), in a gap between two batches; where there was none for three seconds,
 * together with a batch, whose admissions wait for it, too. One tally fills while
 * another is with the ledger; what could not be noted is counted once more with what
 * comes next. A worker that is killed takes a second of counts along, which no money
 * goes by.
 */
#include "nginx/batch.h"

#define NGX_HTTP_X402_NOTE_MSEC 1000       /* between two notes */
#define NGX_HTTP_X402_NOTE_LATE_MSEC 3000  /* after so long it waits for no gap */
#define NGX_HTTP_X402_NOTE_RETRY_MSEC 2000 /* after one that failed */
#define NGX_HTTP_X402_NOTE_FAILED_MAX 3    /* so many are worth a line of the log */

typedef struct {
    struct x402_sales *sales; /* one for each of the configuration's counters */
    ngx_uint_t count;
    uint64_t refusals[X402_ERROR_COUNT];
    struct x402_histogram measures[X402_MEASURE_COUNT];
    ngx_uint_t counted;          /* there is something in it */
    struct x402_sales *flying;   /* of those, what the note tells */
    ngx_uint_t *flying_counters; /* parallel: which they are */
    struct x402_activity note;   /* the task's while it flies */
    ngx_msec_t noted_at;         /* when a note last flew */
    ngx_uint_t failed;           /* notes, one after the other */
    ngx_event_t timer;
} ngx_http_x402_tally_t;

static ngx_http_x402_tally_t *ngx_http_x402_tally;

/* ----------------------------------------------------------------------- counting */

uint64_t ngx_http_x402_now_us(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);

    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The timer keeps no worker from ending: what is left is noted at its exit. */
static void ngx_http_x402_tally_touch(ngx_http_x402_tally_t *t)
{
    t->counted = 1;
    if (!t->timer.timer_set) {
        ngx_add_timer(&t->timer, NGX_HTTP_X402_NOTE_MSEC);
    }
}

/* Before a token is known, the first of those that are offered has it. */
static struct x402_sales *ngx_http_x402_counter(const ngx_http_x402_sale_t *sale,
                                                const struct x402_accept *accept)
{
    size_t i = accept == NULL ? 0 : (size_t)(accept - sale->offer.accepts);

    ngx_http_x402_tally_touch(ngx_http_x402_tally);

    return &ngx_http_x402_tally->sales[sale->counters[i]];
}

static void ngx_http_x402_add_one(struct x402_count *sum, uint64_t value)
{
    struct x402_count one = {1, value};

    x402_count_add(sum, &one);
}

void ngx_http_x402_count_offered(const ngx_http_x402_sale_t *sale)
{
    ngx_http_x402_counter(sale, NULL)->offered++;
}

void ngx_http_x402_count_refused(const ngx_http_x402_sale_t *sale,
                                 const struct x402_accept *accept)
{
    ngx_http_x402_counter(sale, accept)->refused++;
}

void ngx_http_x402_count_reason(enum x402_error why)
{
    ngx_http_x402_tally_touch(ngx_http_x402_tally);
    ngx_http_x402_tally->refusals[why]++;
}

void ngx_http_x402_count_outcome(const ngx_http_x402_ctx_t *ctx, enum x402_event event)
{
    struct x402_sales *sales = ngx_http_x402_counter(ctx->sale, ctx->accept);

    ngx_http_x402_add_one(
        event == X402_EVENT_DELIVERED ? &sales->delivered : &sales->failed, ctx->value);
}

/* Admitted for a request that is gone. */
void ngx_http_x402_count_gone(ngx_uint_t counter, uint64_t value)
{
    ngx_http_x402_tally_touch(ngx_http_x402_tally);
    ngx_http_x402_add_one(&ngx_http_x402_tally->sales[counter].failed, value);
}

/* Refused, and the request is gone. */
void ngx_http_x402_count_gone_refused(ngx_uint_t counter, enum x402_error why)
{
    ngx_http_x402_tally->sales[counter].refused++;
    ngx_http_x402_count_reason(why);
}

void ngx_http_x402_count_shadow(const ngx_http_x402_ctx_t *ctx)
{
    struct x402_sales *sales = ngx_http_x402_counter(ctx->sale, ctx->accept);

    ngx_http_x402_add_one(&sales->shadow, ctx->value);
}

void ngx_http_x402_measure(enum x402_measure measure, uint64_t value)
{
    ngx_http_x402_tally_touch(ngx_http_x402_tally);
    x402_histogram_add(&ngx_http_x402_tally->measures[measure], value);
}

/* ------------------------------------------------------------------------- noting */

static ngx_uint_t ngx_http_x402_counts(const struct x402_sales *sales)
{
    return sales->offered || sales->refused || sales->delivered.count ||
           sales->failed.count || sales->shadow.count;
}

static void ngx_http_x402_clear(struct x402_sales *sales)
{
    sales->offered = 0;
    sales->refused = 0;
    ngx_memzero(&sales->delivered, sizeof(sales->delivered));
    ngx_memzero(&sales->failed, sizeof(sales->failed));
    ngx_memzero(&sales->shadow, sizeof(sales->shadow));
}

static void ngx_http_x402_take_sales(ngx_http_x402_tally_t *t)
{
    ngx_uint_t i, count = 0;

    for (i = 0; i < t->count; i++) {
        if (ngx_http_x402_counts(&t->sales[i])) {
            t->flying[count] = t->sales[i];
            t->flying_counters[count++] = i;
            ngx_http_x402_clear(&t->sales[i]);
        }
    }

    t->note.sales = t->flying;
    t->note.sales_count = count;
}

static void ngx_http_x402_take(ngx_http_x402_tally_t *t)
{
    ngx_http_x402_take_sales(t);

    ngx_memcpy(t->note.refusals, t->refusals, sizeof(t->refusals));
    ngx_memcpy(t->note.measures, t->measures, sizeof(t->measures));
    ngx_memzero(t->refusals, sizeof(t->refusals));
    ngx_memzero(t->measures, sizeof(t->measures));

    t->counted = 0;
    t->noted_at = ngx_current_msec;
}

ngx_uint_t ngx_http_x402_tally_is_due(void)
{
    ngx_http_x402_tally_t *t = ngx_http_x402_tally;

    return t->counted &&
           ngx_current_msec - t->noted_at >=
               (t->failed ? NGX_HTTP_X402_NOTE_RETRY_MSEC : NGX_HTTP_X402_NOTE_MSEC);
}

const struct x402_activity *ngx_http_x402_tally_take(ngx_uint_t somebody_waits)
{
    ngx_http_x402_tally_t *t = ngx_http_x402_tally;

    if (!ngx_http_x402_tally_is_due() ||
        (somebody_waits &&
         ngx_current_msec - t->noted_at < NGX_HTTP_X402_NOTE_LATE_MSEC)) {
        return NULL;
    }

    ngx_http_x402_take(t);

    return &t->note;
}

static void ngx_http_x402_take_back(ngx_http_x402_tally_t *t)
{
    size_t i;

    for (i = 0; i < t->note.sales_count; i++) {
        x402_sales_add(&t->sales[t->flying_counters[i]], &t->flying[i]);
    }
    for (i = 0; i < X402_ERROR_COUNT; i++) {
        t->refusals[i] += t->note.refusals[i];
    }
    for (i = 0; i < X402_MEASURE_COUNT; i++) {
        x402_histogram_merge(&t->measures[i], &t->note.measures[i]);
    }

    ngx_http_x402_tally_touch(t);
}

void ngx_http_x402_tally_noted(enum x402_error result, const char *message)
{
    ngx_http_x402_tally_t *t = ngx_http_x402_tally;

    if (result == X402_OK) {
        t->failed = 0;
        return;
    }

    ngx_http_x402_take_back(t);
    if (++t->failed == NGX_HTTP_X402_NOTE_FAILED_MAX) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "x402: what was counted for the status page waits: %s", message);
    }
}

static void ngx_http_x402_tally_timer(ngx_event_t *ev)
{
    ngx_http_x402_tally_t *t = ev->data;

    ngx_http_x402_note_now();
    if (t->counted) {
        ngx_add_timer(&t->timer, NGX_HTTP_X402_NOTE_MSEC);
    }
}

/* ------------------------------------------------------------------- start and stop */

ngx_int_t ngx_http_x402_tally_init(ngx_cycle_t *cycle,
                                   const ngx_http_x402_main_conf_t *mcf)
{
    ngx_http_x402_tally_t *t;
    size_t size = mcf->counters->nelts * sizeof(struct x402_sales);

    t = ngx_pcalloc(cycle->pool, sizeof(*t));
    if (t == NULL) {
        return NGX_ERROR;
    }

    t->count = mcf->counters->nelts;
    t->sales = ngx_palloc(cycle->pool, size);
    t->flying = ngx_palloc(cycle->pool, size);
    t->flying_counters = ngx_palloc(cycle->pool, t->count * sizeof(ngx_uint_t));
    if (t->sales == NULL || t->flying == NULL || t->flying_counters == NULL) {
        return NGX_ERROR;
    }
    ngx_memcpy(t->sales, mcf->counters->elts, size);

    t->noted_at = ngx_current_msec;
    t->timer.handler = ngx_http_x402_tally_timer;
    t->timer.data = t;
    t->timer.log = cycle->log;
    t->timer.cancelable = 1;

    ngx_http_x402_tally = t;

    return NGX_OK;
}

const struct x402_activity *ngx_http_x402_tally_last(void)
{
    ngx_http_x402_tally_t *t = ngx_http_x402_tally;

    if (!t->counted) {
        return NULL;
    }

    ngx_http_x402_take(t);

    return &t->note;
}
