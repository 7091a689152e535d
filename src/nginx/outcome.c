/*
 * What became of a paid request: captured when the caller has what was paid for, void
 * when not. Decided once, as early as it is certain, and told to the ledger; the caller
 * never waits for that.
 */
#include "nginx/module.h"

#include "core/cache_control.h"
#include "core/clock.h"
#include "core/failpoint.h"

#define NGX_HTTP_X402_COLLECT 6 /* s before validBefore that it takes to collect */
#define NGX_HTTP_X402_STALL_MSEC 5000 /* a client that takes nothing for so long */

static ngx_http_output_header_filter_pt ngx_http_x402_next_header_filter;
static ngx_http_output_body_filter_pt ngx_http_x402_next_body_filter;

/* --------------------------------------------------------------- towards the upstream
 */

/*
 * Whether the answer before this one failed: what the last upstream asked since we
 * looked said, or, where none was asked, whether nginx has turned to an error_page
 * since. An error_page that led to the sale itself (error_page 404 = @app) was there
 * before.
 */
static ngx_uint_t ngx_http_x402_has_failed(const ngx_http_x402_ctx_t *ctx)
{
    ngx_http_request_t *r = ctx->request;
    ngx_http_upstream_state_t *last;

    if (r->upstream_states != NULL && r->upstream_states->nelts > ctx->states_known) {
        last = r->upstream_states->elts;
        last += r->upstream_states->nelts - 1;
        return last->status == 0 || last->status >= NGX_HTTP_BAD_REQUEST;
    }
    if (r->upstream != NULL && r->upstream != ctx->upstream_known) {
        return r->upstream->headers_in.status_n == 0; /* its name did not resolve */
    }

    return r->error_page && !ctx->error_page_known;
}

static void ngx_http_x402_look(ngx_http_x402_ctx_t *ctx)
{
    ngx_http_request_t *r = ctx->request;

    ctx->error_page_known = r->error_page;
    ctx->upstream_known = r->upstream;
    ctx->states_known = r->upstream_states == NULL ? 0 : r->upstream_states->nelts;
}

static void ngx_http_x402_arm_deadline(ngx_http_x402_ctx_t *ctx);

ngx_int_t ngx_http_x402_serve(ngx_http_x402_ctx_t *ctx)
{
    ngx_http_request_t *r = ctx->request;

    if (ctx->served) { /* an internal redirect came back to the access phase */
        if (ngx_http_x402_has_failed(ctx)) {
            ctx->error_served = 1;
        }
        ngx_http_x402_look(ctx);
        return ctx->shadow ? NGX_DECLINED : NGX_OK;
    }
    ctx->served = 1;

    ngx_http_x402_look(ctx);
    if (ctx->shadow) {
        return ngx_http_x402_remove_payment(r) == NGX_OK
                   ? NGX_DECLINED
                   : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (!ctx->settled) {
        ngx_http_x402_arm_deadline(ctx);
    }

    X402_FAILPOINT(worker_serving);

    if (ngx_http_x402_remove_payment(r) != NGX_OK ||
        ngx_http_x402_add_payer(r, ctx->payer) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_OK;
}

/* ------------------------------------------------------------------------- decision */

static ngx_uint_t ngx_http_x402_status_succeeded(const ngx_http_x402_ctx_t *ctx)
{
    ngx_http_request_t *r = ctx->request;

    if (ctx->error_served || (r->error_page && ngx_http_x402_has_failed(ctx))) {
        return 0;
    }
    if (r->upstream != NULL &&
        r->upstream->headers_in.status_n >= NGX_HTTP_BAD_REQUEST) {
        return 0;
    }

    /* nginx's own redirect (to a folder's slash) is not the goods; 0 is not HTTP. */
    return r->err_status < NGX_HTTP_SPECIAL_RESPONSE &&
           r->headers_out.status >= NGX_HTTP_SWITCHING_PROTOCOLS &&
           r->headers_out.status < NGX_HTTP_BAD_REQUEST;
}

static ngx_uint_t ngx_http_x402_first_byte_sent(const ngx_http_x402_ctx_t *ctx)
{
    return ctx->request->connection->sent > ctx->sent_before;
}

/*
 * The caller went away; not: nginx closed because this worker must end, or because a
 * filter failed (it marks the connection too).
 */
static ngx_uint_t ngx_http_x402_client_gone(const ngx_http_request_t *r)
{
    const ngx_connection_t *c = r->connection;

    if (r->filter_finalize || (ngx_exiting && (c->close || r->stream))) {
        return 0;
    }

    return c->error || c->timedout;
}

/* The upstream failed amid its body, before whoever left did. */
static ngx_uint_t ngx_http_x402_broke_off(const ngx_http_request_t *r)
{
    const ngx_event_pipe_t *p = r->upstream == NULL ? NULL : r->upstream->pipe;

    return p != NULL && !p->upstream_done &&
           (p->upstream_error || (p->upstream_eof && p->length != -1));
}

enum x402_event ngx_http_x402_outcome(const ngx_http_x402_ctx_t *ctx)
{
    if (!ctx->header_seen || !ctx->succeeded || !ngx_http_x402_first_byte_sent(ctx)) {
        return X402_EVENT_VOID;
    }

    if (ctx->ended || ctx->stalled) {
        return X402_EVENT_DELIVERED;
    }

    return !ngx_http_x402_broke_off(ctx->request) &&
                   ngx_http_x402_client_gone(ctx->request)
               ? X402_EVENT_DELIVERED
               : X402_EVENT_VOID;
}

static void ngx_http_x402_count_told(ngx_http_x402_ctx_t *ctx, enum x402_event event)
{
    ctx->call_us = ngx_http_x402_now_us() - ctx->started_us;

    if (!ctx->shadow) {
        ngx_http_x402_count_outcome(ctx, event);
        if (event == X402_EVENT_DELIVERED) {
            ngx_http_x402_measure(X402_MEASURE_CALL, ctx->call_us);
        }

    } else if (event == X402_EVENT_DELIVERED && ctx->why == X402_OK) {
        ngx_http_x402_count_shadow(ctx);
    }
}

static void ngx_http_x402_tell(ngx_http_x402_ctx_t *ctx, enum x402_event event)
{
    ctx->stage =
        event == X402_EVENT_DELIVERED ? NGX_HTTP_X402_CAPTURED : NGX_HTTP_X402_VOIDED;

    if (ctx->deadline.timer_set) {
        ngx_del_timer(&ctx->deadline);
    }

    ngx_http_x402_count_told(ctx, event);
    if (ctx->shadow) {
        return;
    }

    X402_FAILPOINT(worker_outcome);
    ngx_http_x402_report(ctx, event);
}

void ngx_http_x402_cleanup(void *data)
{
    ngx_http_x402_ctx_t *ctx = data;

    if (ctx->deadline.timer_set) {
        ngx_del_timer(&ctx->deadline);
    }

    switch (ctx->stage) {
    case NGX_HTTP_X402_ADMITTING:
        ngx_http_x402_admit_forget(ctx);
        break;
    case NGX_HTTP_X402_SETTLING:
        ngx_http_x402_settling_gone(ctx);
        break;
    case NGX_HTTP_X402_SERVING:
        ngx_http_x402_tell(ctx, ngx_http_x402_outcome(ctx));
        break;
    case NGX_HTTP_X402_REFUSED:
    case NGX_HTTP_X402_CAPTURED:
    case NGX_HTTP_X402_VOIDED:
        break;
    }
}

static void ngx_http_x402_capture_if_ended(ngx_http_x402_ctx_t *ctx)
{
    if (ctx->stage == NGX_HTTP_X402_SERVING && ctx->ended &&
        ngx_http_x402_first_byte_sent(ctx)) {
        ngx_http_x402_tell(ctx, X402_EVENT_DELIVERED);
    }
}

/* Seconds before validBefore after which nothing can be collected any more. */
static int64_t ngx_http_x402_collect_seconds(const ngx_http_x402_ctx_t *ctx)
{
    return ngx_min(NGX_HTTP_X402_COLLECT,
                   (int64_t)ctx->sale->offer.window_min_seconds / 2);
}

static int64_t ngx_http_x402_seconds_left(const ngx_http_x402_ctx_t *ctx)
{
    return (int64_t)ctx->valid_before_seconds - x402_clock_seconds();
}

/* Nobody has had anything, and soon nothing could be charged for it: no more of this.
 */
static void ngx_http_x402_end(ngx_http_x402_ctx_t *ctx)
{
    ngx_http_request_t *r = ctx->request;
    ngx_connection_t *c = r->connection;

    ngx_http_set_log_request(c->log, r);
    ngx_log_error(
        NGX_LOG_WARN, c->log, 0,
        "x402: no answer while the payment is valid; the call is ended and not "
        "charged");

    ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
    ngx_http_run_posted_requests(c);
}

/*
 * The authorization is about to expire. A stream that runs is captured; a call without
 * an answer is ended while it still costs nobody anything.
 */
static void ngx_http_x402_deadline(ngx_event_t *ev)
{
    ngx_http_x402_ctx_t *ctx = ev->data;

    if (ctx->stage != NGX_HTTP_X402_SERVING) {
        return;
    }

    if (ctx->header_seen && ngx_http_x402_first_byte_sent(ctx)) {
        ngx_http_x402_tell(ctx, X402_EVENT_DELIVERED);
    } else if (ngx_http_x402_seconds_left(ctx) <= ngx_http_x402_collect_seconds(ctx)) {
        ngx_http_x402_end(ctx);
    } else {
        ngx_add_timer(&ctx->deadline, 1000);
    }
}

static void ngx_http_x402_arm_deadline(ngx_http_x402_ctx_t *ctx)
{
    int64_t left =
        ngx_http_x402_seconds_left(ctx) - (int64_t)ctx->sale->offer.window_min_seconds;

    ctx->deadline.handler = ngx_http_x402_deadline;
    ctx->deadline.data = ctx;
    ctx->deadline.log = ngx_cycle->log; /* outlives the request's connection */
    ctx->deadline.cancelable = 1;

    ngx_add_timer(&ctx->deadline, left > 1 ? (ngx_msec_t)left * 1000 : 1000);
}

/* ------------------------------------------------------------------ response headers
 */

static ngx_uint_t ngx_http_x402_header_is(const ngx_table_elt_t *h, const char *name)
{
    size_t size = ngx_strlen(name);

    return h->hash != 0 && h->key.len == size &&
           ngx_strncasecmp(h->key.data, (u_char *)(uintptr_t)name, size) == 0;
}

/* RFC 9213: a Cache-Control for one kind of cache, which goes before the one for all.
 */
static ngx_uint_t ngx_http_x402_header_is_targeted(const ngx_table_elt_t *h)
{
    static const char suffix[] = "-Cache-Control";
    size_t size = sizeof(suffix) - 1;

    return h->hash != 0 && h->key.len > size &&
           ngx_strncasecmp(h->key.data + h->key.len - size, (u_char *)(uintptr_t)suffix,
                           size) == 0;
}

/* An upstream's own payment headers, and headers that tell a CDN to share the answer.
 */
static ngx_uint_t ngx_http_x402_header_is_stripped(const ngx_table_elt_t *h)
{
    static const char *const names[] = {"Payment-Response", "X-Payment-Response",
                                        "Payment-Required", "Surrogate-Control",
                                        "Edge-Control"};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (ngx_http_x402_header_is(h, names[i])) {
            return 1;
        }
    }

    return ngx_http_x402_header_is_targeted(h);
}

typedef struct {
    ngx_str_t cache_control; /* what a paid answer says instead of its upstream's */
    ngx_uint_t allow_origin; /* the upstream allows an origin */
} ngx_http_x402_seen_t;

/*
 * "public, max-age=60" makes "private, max-age=60", in a header of our own: nginx's
 * `expires` would write over the upstream's.
 */
static ngx_int_t ngx_http_x402_take_cache_control(ngx_pool_t *pool, ngx_table_elt_t *h,
                                                  ngx_http_x402_seen_t *seen)
{
    u_char *out;

    out = ngx_pnalloc(pool,
                      seen->cache_control.len + X402_CACHE_CONTROL_SIZE(h->value.len));
    if (out == NULL) {
        return NGX_ERROR;
    }

    h->hash = 0;
    ngx_memcpy(out, seen->cache_control.data, seen->cache_control.len);
    seen->cache_control.len += x402_cache_control_private(
        (char *)out + seen->cache_control.len, ngx_http_x402_slice(&h->value));
    seen->cache_control.data = out;

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_clean_header(ngx_http_request_t *r, ngx_table_elt_t *h,
                                            ngx_http_x402_seen_t *seen)
{
    if (ngx_http_x402_header_is_stripped(h)) {
        h->hash = 0;
        return NGX_OK;
    }
    if (ngx_http_x402_header_is(h, "Access-Control-Allow-Origin")) {
        seen->allow_origin = 1;
    }
    if (ngx_http_x402_header_is(h, "Cache-Control")) {
        return ngx_http_x402_take_cache_control(r->pool, h, seen);
    }

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_clean_headers(ngx_http_request_t *r,
                                             ngx_http_x402_seen_t *seen)
{
    ngx_uint_t i;
    ngx_list_part_t *part;
    ngx_table_elt_t *h;

    for (part = &r->headers_out.headers.part; part != NULL; part = part->next) {
        h = part->elts;
        for (i = 0; i < part->nelts; i++) {
            if (ngx_http_x402_clean_header(r, &h[i], seen) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_add_paid_headers(ngx_http_x402_ctx_t *ctx,
                                                const ngx_http_x402_seen_t *seen)
{
    ngx_http_request_t *r = ctx->request;
    ngx_str_t any = ngx_string("*");
    ngx_str_t exposed = ngx_string("PAYMENT-RESPONSE, X-PAYMENT-RESPONSE");

    if (ngx_http_x402_add_receipt(ctx, X402_OK) != NGX_OK) {
        return NGX_ERROR;
    }
    if (ngx_http_x402_find_header(r, "origin") == NULL) {
        return NGX_OK;
    }
    if (!seen->allow_origin &&
        ngx_http_x402_add_header(r, "Access-Control-Allow-Origin", &any) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_x402_add_header(r, "Access-Control-Expose-Headers", &exposed);
}

/* -------------------------------------------------------------------------- filters */

/* The answer has no body to wait for: RFC 9110 section 6.4.1, and 101 leaves HTTP. */
static ngx_uint_t ngx_http_x402_ends_with_header(ngx_http_request_t *r)
{
    return r->header_only || r->method == NGX_HTTP_HEAD ||
           r->headers_out.status == NGX_HTTP_NO_CONTENT ||
           r->headers_out.status == NGX_HTTP_NOT_MODIFIED ||
           r->headers_out.status == NGX_HTTP_SWITCHING_PROTOCOLS;
}

/* Also a failed answer, which may tell of the payer, is nobody else's. */
static ngx_int_t ngx_http_x402_clean(ngx_http_x402_ctx_t *ctx,
                                     ngx_http_x402_seen_t *seen)
{
    ngx_str_set(&seen->cache_control, "private");
    seen->allow_origin = 0;

    if (ngx_http_x402_clean_headers(ctx->request, seen) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_x402_add_header(ctx->request, "Cache-Control",
                                    &seen->cache_control);
}

/* A failed answer has the receipt of a payment that was taken: it is owed now. */
static ngx_int_t ngx_http_x402_prepare_header(ngx_http_x402_ctx_t *ctx)
{
    ngx_http_x402_seen_t seen;

    if (ctx->shadow) {
        return NGX_OK;
    }
    if (ngx_http_x402_clean(ctx, &seen) != NGX_OK) {
        return NGX_ERROR;
    }

    return ctx->succeeded || ctx->settled ? ngx_http_x402_add_paid_headers(ctx, &seen)
                                          : NGX_OK;
}

/* A filter behind us failed (a range that is not there), and another answer comes. */
static ngx_int_t ngx_http_x402_second_header(ngx_http_x402_ctx_t *ctx)
{
    if (!ngx_http_x402_status_succeeded(ctx)) {
        ctx->succeeded = 0;
        ngx_http_x402_tell(ctx, X402_EVENT_VOID);
        if (ngx_http_x402_prepare_header(ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_x402_next_header_filter(ctx->request);
}

static ngx_int_t ngx_http_x402_header_filter(ngx_http_request_t *r)
{
    ngx_int_t rc;
    ngx_http_x402_ctx_t *ctx;

    if (r != r->main) {
        return ngx_http_x402_next_header_filter(r);
    }

    ctx = ngx_http_x402_get_ctx(r);
    if (ctx == NULL || ctx->stage != NGX_HTTP_X402_SERVING) {
        return ngx_http_x402_next_header_filter(r);
    }
    if (ctx->header_seen) {
        return ngx_http_x402_second_header(ctx);
    }

    ctx->succeeded = ngx_http_x402_status_succeeded(ctx) != 0;
    if (ngx_http_x402_prepare_header(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx->header_seen = 1;
    ctx->ended = ngx_http_x402_ends_with_header(r) != 0;
    ctx->sent_before = r->connection->sent;

    if (!ctx->succeeded) {
        ngx_http_x402_tell(ctx, X402_EVENT_VOID);
        return ngx_http_x402_next_header_filter(r);
    }

    rc = ngx_http_x402_next_header_filter(r);
    X402_FAILPOINT(worker_header_sent);
    ngx_http_x402_capture_if_ended(ctx);

    return rc;
}

static void ngx_http_x402_note_blocked(ngx_http_x402_ctx_t *ctx)
{
    if (!ctx->request->connection->buffered) {
        ctx->blocked_since = 0;
    } else if (ctx->blocked_since == 0) {
        ctx->blocked_since = ngx_current_msec ? ngx_current_msec : 1;
    }
}

/*
 * nginx is done with an upstream that broke off, and flushes what there is. If its
 * reader had not read for a while, that was the reader's doing, and the call is
 * delivered.
 */
static void ngx_http_x402_note_stall(ngx_http_x402_ctx_t *ctx, const ngx_chain_t *in)
{
    ngx_http_request_t *r = ctx->request;

    if (in != NULL && in->buf->flush && r->upstream != NULL &&
        r->upstream->cleanup == NULL && ctx->blocked_since &&
        ngx_current_msec - ctx->blocked_since >= NGX_HTTP_X402_STALL_MSEC) {
        ctx->stalled = 1;
    }
}

static ngx_uint_t ngx_http_x402_has_last(ngx_chain_t *in)
{
    for (; in != NULL; in = in->next) {
        if (in->buf->last_buf) {
            return 1;
        }
    }

    return 0;
}

static ngx_int_t ngx_http_x402_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_int_t rc;
    ngx_http_x402_ctx_t *ctx;

    if (r != r->main) {
        return ngx_http_x402_next_body_filter(r, in);
    }

    ctx = ngx_http_x402_get_ctx(r);
    if (ctx == NULL || ctx->stage != NGX_HTTP_X402_SERVING || !ctx->header_seen) {
        return ngx_http_x402_next_body_filter(r, in);
    }

    if (ngx_http_x402_has_last(in)) {
        ctx->ended = 1;
    }
    ngx_http_x402_note_stall(ctx, in);

    rc = ngx_http_x402_next_body_filter(r, in);

    ngx_http_x402_note_blocked(ctx);
    ngx_http_x402_capture_if_ended(ctx);

    return rc;
}

void ngx_http_x402_outcome_init(void)
{
    ngx_http_x402_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_x402_header_filter;

    ngx_http_x402_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_x402_body_filter;
}
