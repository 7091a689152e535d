/*
 * The access phase: no payment, an offer; a payment, a claim, which the ledger's thread
 * is to prove and to admit while the request waits. What can be refused without looking
 * at its signature never gets there.
 */
#include "nginx/module.h"

#include "core/clock.h"

#include <openssl/rand.h>

#define NGX_HTTP_X402_ATTEMPTS 64 /* drawn at a time */

ngx_http_x402_ctx_t *ngx_http_x402_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t *cln;
    ngx_http_x402_ctx_t *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_x402_module);
    if (ctx != NULL || !(r->internal || r->filter_finalize)) {
        return ctx;
    }

    /* An internal redirect cleared the contexts; the cleanup still knows. */

    for (cln = r->pool->cleanup; cln != NULL; cln = cln->next) {
        if (cln->handler == ngx_http_x402_cleanup) {
            ngx_http_set_ctx(r, cln->data, ngx_http_x402_module);
            return cln->data;
        }
    }

    return NULL;
}

ngx_http_x402_ctx_t *ngx_http_x402_create_ctx(ngx_http_request_t *r,
                                              ngx_http_x402_sale_t *sale)
{
    ngx_pool_cleanup_t *cln;
    ngx_http_x402_ctx_t *ctx;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_x402_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(*ctx));
    ctx->request = r;
    ctx->sale = sale;
    ctx->stage = NGX_HTTP_X402_REFUSED;
    ngx_queue_init(&ctx->queue);

    cln->handler = ngx_http_x402_cleanup;
    ngx_http_set_ctx(r, ctx, ngx_http_x402_module);

    return ctx;
}

/* Of a request that is turned away, perhaps before any context was; for logs alone. */
static ngx_http_x402_ctx_t *ngx_http_x402_refused_ctx(ngx_http_request_t *r)
{
    ngx_http_x402_ctx_t *ctx = ngx_http_get_module_ctx(r, ngx_http_x402_module);

    if (ctx == NULL) {
        ctx = ngx_pcalloc(r->pool, sizeof(*ctx));
        if (ctx == NULL) {
            return NULL; /* a log field less */
        }
        ctx->request = r;
        ctx->stage = NGX_HTTP_X402_REFUSED;
        ngx_queue_init(&ctx->queue);
        ngx_http_set_ctx(r, ctx, ngx_http_x402_module);
    }

    return ctx;
}

void ngx_http_x402_note_reason(ngx_http_request_t *r, const char *reason)
{
    ngx_http_x402_ctx_t *ctx = ngx_http_x402_refused_ctx(r);

    if (ctx != NULL) {
        ctx->reason = reason;
    }
}

void ngx_http_x402_note_refusal(ngx_http_request_t *r, enum x402_error why)
{
    ngx_http_x402_ctx_t *ctx = ngx_http_x402_refused_ctx(r);

    if (ctx != NULL) {
        ctx->why = why;
    }

    ngx_http_x402_count_reason(why);
}

/* A payment was presented, and its call will not be served. */
static void ngx_http_x402_count_refusal(ngx_http_request_t *r,
                                        const ngx_http_x402_sale_t *sale,
                                        const struct x402_accept *accept,
                                        enum x402_error why)
{
    ngx_http_x402_count_refused(sale, accept);
    ngx_http_x402_note_refusal(r, why);
}

/* ------------------------------------------------------------------- what is asked */

/* The price that a variable gives now. NGX_DECLINED: free. */
static ngx_int_t ngx_http_x402_evaluate(ngx_http_request_t *r,
                                        const ngx_http_x402_sale_t *sale,
                                        uint64_t *micro_usd)
{
    ngx_str_t text;
    const char *why = "";
    struct x402_slice slice;

    if (ngx_http_complex_value(r, sale->dynamic_price, &text) != NGX_OK) {
        return NGX_ERROR;
    }
    if (text.len == 3 && ngx_strncmp(text.data, "off", 3) == 0) {
        return NGX_DECLINED;
    }

    slice = (struct x402_slice){(const char *)text.data, text.len};
    if (x402_usd_decode(micro_usd, &why, slice) != X402_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "x402: the price \"%V\" is not one: %s", &text, why);
        return NGX_ERROR;
    }

    return NGX_OK;
}

/* Sets that price. NGX_DECLINED: free. */
static ngx_int_t ngx_http_x402_price(ngx_http_request_t *r, ngx_http_x402_sale_t *sale)
{
    size_t i;
    struct x402_accept *accept;
    ngx_int_t rc = ngx_http_x402_evaluate(r, sale, &sale->micro_usd);

    if (rc != NGX_OK) {
        return rc;
    }

    for (i = 0; i < sale->offer.accepts_count; i++) {
        accept = &sale->offer.accepts[i];
        if (x402_usd_to_atomic(&accept->value, sale->micro_usd,
                               accept->network.decimals) != X402_OK) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "x402: the price of $%uL.%06uL cannot be paid on %s",
                          sale->micro_usd / 1000000, sale->micro_usd % 1000000,
                          accept->network.name);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}

ngx_int_t ngx_http_x402_price_now(ngx_http_request_t *r, uint64_t *micro_usd)
{
    ngx_http_x402_loc_conf_t *lcf;
    const ngx_http_x402_ctx_t *ctx = ngx_http_x402_get_ctx(r);
    const ngx_http_x402_sale_t *sale = ctx == NULL ? NULL : ctx->sale;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_x402_module);
    if (sale == NULL) {
        sale = lcf->sale;
    }
    if (sale == NULL) {
        return NGX_DECLINED;
    }
    if (sale == lcf->sale && sale->dynamic_price != NULL) {
        return ngx_http_x402_evaluate(r, sale, micro_usd);
    }

    *micro_usd = sale->micro_usd;

    return NGX_OK;
}

/* The sale of this request, in a location that has one: the location's, or a copy of it
 * with the price of now. */
static ngx_int_t ngx_http_x402_sale(ngx_http_request_t *r, ngx_http_x402_sale_t **out)
{
    ngx_int_t rc;
    ngx_http_x402_sale_t *sale;
    ngx_http_x402_loc_conf_t *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_x402_module);

    if (lcf->sale->dynamic_price == NULL) {
        *out = lcf->sale;
        return NGX_OK;
    }

    sale = ngx_palloc(r->pool, sizeof(*sale));
    if (sale == NULL) {
        return NGX_ERROR;
    }

    *sale = *lcf->sale;
    rc = ngx_http_x402_price(r, sale);
    if (rc == NGX_OK) {
        *out = sale;
    }

    return rc;
}

/* ----------------------------------------------------------------- what is presented
 */

static ngx_int_t ngx_http_x402_decode(struct x402_payment *payment,
                                      struct x402_problem *why,
                                      const ngx_http_x402_presented_t *presented)
{
    struct x402_slice text;
    uint8_t scratch[X402_PAYMENT_SCRATCH_SIZE(X402_PAYMENT_HEADER_MAX)];

    if (presented->count > 1) {
        *why = (struct x402_problem){X402_ERR_HEADER_COUNT, "header",
                                     "one PAYMENT-SIGNATURE or one X-PAYMENT header"};
        return NGX_ERROR;
    }

    text = (struct x402_slice){(const char *)presented->header->value.data,
                               presented->header->value.len};

    return x402_payment_decode(payment, why, presented->kind, text,
                               X402_PAYMENT_HEADER_MAX, scratch,
                               sizeof(scratch)) == X402_OK
               ? NGX_OK
               : NGX_ERROR;
}

/* A payer over its rate and a client that keeps failing are turned away unheard. */
static ngx_uint_t ngx_http_x402_limited(ngx_http_request_t *r,
                                        const struct x402_payment *payment,
                                        uint64_t *wait)
{
    ngx_http_x402_limit_key_t key;
    ngx_http_x402_loc_conf_t *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_x402_module);

    ngx_http_x402_limit_client(&key, r->connection, NGX_HTTP_X402_REFUSALS);
    if (!ngx_http_x402_limit_peek(&key, &lcf->refusal_rate, 1, wait)) {
        return 1;
    }

    ngx_http_x402_limit_payer(&key, payment->from20, &lcf->rate);

    return !ngx_http_x402_limit_peek(&key, &lcf->rate, 1, wait);
}

/* Where nothing is bought, a client's signatures are looked at up to its rate. */
static ngx_uint_t ngx_http_x402_is_busy(ngx_http_request_t *r, uint64_t *wait)
{
    ngx_http_x402_limit_key_t key;
    ngx_http_x402_loc_conf_t *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_x402_module);
    ngx_http_x402_limit_client(&key, r->connection, NGX_HTTP_X402_RECOVERIES);

    return !ngx_http_x402_limit_take(&key, &lcf->refusal_rate, wait);
}

/* Waits for the ledger as limit_req waits for its time: watching for the client. */
static ngx_int_t ngx_http_x402_wait(ngx_http_request_t *r)
{
    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    return NGX_AGAIN;
}

/*
 * Drawn many at a time, since what it costs is the asking. They are of this process
 * alone, whatever it was forked from, and each is wiped when it is used.
 */
static ngx_int_t ngx_http_x402_draw_attempt(uint8_t attempt16[16])
{
    static uint8_t drawn[NGX_HTTP_X402_ATTEMPTS][16];
    static size_t left;
    static ngx_pid_t drawn_by;

    if (left == 0 || drawn_by != ngx_pid) {
        left = 0;
        if (RAND_bytes(drawn[0], sizeof(drawn)) != 1) {
            return NGX_ERROR;
        }
        left = NGX_HTTP_X402_ATTEMPTS;
        drawn_by = ngx_pid;
    }

    left--;
    ngx_memcpy(attempt16, drawn[left], 16);
    x402_bytes_wipe(drawn[left], 16);

    return NGX_OK;
}

/* What a caller is told of a payment that is not served. */
static struct x402_problem ngx_http_x402_why(const ngx_http_x402_ctx_t *ctx)
{
    struct x402_problem why = {ctx->refusal, NULL, NULL};

    if (ctx->signature == NGX_HTTP_X402_FORGED) {
        return x402_signature_problem(ctx->dialect);
    }

    return ctx->admission == X402_ADMISSION_NOT_OWED ? ctx->late_why : why;
}

static uint64_t ngx_http_x402_retry_after(const ngx_http_x402_ctx_t *ctx)
{
    return ctx->admission == X402_ADMISSION_LIMITED    ? ctx->retry_after_milliseconds
           : ctx->admission == X402_ADMISSION_REPEATED ? 0
                                                       : NGX_HTTP_X402_BUSY_MSEC;
}

static ngx_int_t ngx_http_x402_refuse(ngx_http_x402_ctx_t *ctx)
{
    ngx_http_request_t *r = ctx->request;
    struct x402_problem why = ngx_http_x402_why(ctx);

    ngx_http_x402_count_refusal(r, ctx->sale, ctx->accept, why.error);

    if (ctx->admission == X402_ADMISSION_SETTLING) {
        return ngx_http_x402_unsettled(ctx);
    }
    if (x402_error_status(why.error) == 402) {
        return ngx_http_x402_offer(r, ctx->sale, &why);
    }

    return ngx_http_x402_problem(r, &why, ngx_http_x402_retry_after(ctx));
}

/* The ledger's thread decides: is it the payer's, and what buys it. */
static ngx_int_t ngx_http_x402_ask(ngx_http_request_t *r, ngx_http_x402_sale_t *sale,
                                   const ngx_http_x402_exam_t *exam)
{
    uint8_t attempt16[16];
    ngx_http_x402_ctx_t *ctx;
    struct x402_claim claim;
    const struct x402_payment *payment = &exam->payment;

    if (ngx_http_x402_draw_attempt(attempt16) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    ctx = ngx_http_x402_create_ctx(r, sale);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(ctx->attempt16, attempt16, 16);
    ctx->accept = exam->accept;
    ctx->dialect = payment->dialect;
    ctx->value = payment->value;
    ctx->valid_before_seconds = payment->valid_before_seconds;
    x402_address_encode(ctx->payer, payment->from20);
    ngx_memcpy(ctx->nonce32, payment->nonce32, 32);
    ctx->late = exam->late_why.error != X402_OK;
    ctx->late_why = exam->late_why;
    ctx->started_us = exam->started_us;

    x402_claim(&claim, exam->accept, payment);
    ctx->match_us = ngx_http_x402_now_us() - exam->began_us;

    return ngx_http_x402_admit(ctx, &claim) == NGX_AGAIN ? ngx_http_x402_wait(r)
                                                         : ngx_http_x402_refuse(ctx);
}

/*
 * Also a payment whose authorization has expired may be presented, and one for more
 * than the price of now: if it was settled and never served, it is owed. The ledger
 * serves it for no other reason, and *late_why is what the caller is told when it does
 * not.
 */
static ngx_int_t ngx_http_x402_match(const struct x402_accept **accept,
                                     struct x402_problem *late_why,
                                     ngx_http_x402_sale_t *sale,
                                     const struct x402_payment *payment)
{
    uint64_t now = (uint64_t)x402_clock_seconds();

    if (x402_match(accept, late_why, &sale->offer, payment, now) == X402_OK) {
        *late_why = (struct x402_problem){X402_OK, NULL, NULL};
        return NGX_OK;
    }

    return x402_match_late(accept, &sale->offer, payment, now, X402_OWED_SECONDS)
               ? NGX_OK
               : NGX_ERROR;
}

void ngx_http_x402_examine(ngx_http_request_t *r, ngx_http_x402_sale_t *sale,
                           const ngx_http_x402_presented_t *presented,
                           ngx_http_x402_exam_t *exam)
{
    struct x402_payment *payment = &exam->payment;

    exam->began_us = ngx_http_x402_now_us();

    if (ngx_http_x402_decode(payment, &exam->why, presented) != NGX_OK) {
        return;
    }

    if (ngx_http_x402_match(&exam->accept, &exam->late_why, sale, payment) != NGX_OK) {
        exam->why = exam->late_why;
        return;
    }

    if (sale->enforced ? ngx_http_x402_limited(r, payment, &exam->retry_milliseconds)
                       : ngx_http_x402_is_busy(r, &exam->retry_milliseconds)) {
        exam->why = (struct x402_problem){X402_ERR_RATE, NULL, NULL};
    }
}

static ngx_int_t ngx_http_x402_present(ngx_http_request_t *r,
                                       ngx_http_x402_sale_t *sale,
                                       const ngx_http_x402_presented_t *presented,
                                       uint64_t started_us)
{
    ngx_http_x402_exam_t exam;

    ngx_memzero(&exam, sizeof(exam));
    exam.started_us = started_us;
    ngx_http_x402_examine(r, sale, presented, &exam);

    if (exam.why.error == X402_OK) {
        return ngx_http_x402_ask(r, sale, &exam);
    }

    ngx_http_x402_count_refusal(r, sale, exam.accept, exam.why.error);

    return x402_error_status(exam.why.error) == 402
               ? ngx_http_x402_offer(r, sale, &exam.why)
               : ngx_http_x402_problem(r, &exam.why, exam.retry_milliseconds);
}

/* ------------------------------------------------------------------ what is decided */

static ngx_int_t ngx_http_x402_decided(ngx_http_x402_ctx_t *ctx)
{
    switch (ctx->stage) {
    case NGX_HTTP_X402_ADMITTING:
    case NGX_HTTP_X402_SETTLING:
        return NGX_AGAIN;
    case NGX_HTTP_X402_REFUSED:
        return ngx_http_x402_refuse(ctx);
    case NGX_HTTP_X402_SERVING:
    case NGX_HTTP_X402_CAPTURED:
    case NGX_HTTP_X402_VOIDED:
        break;
    }

    return ngx_http_x402_serve(ctx);
}

void ngx_http_x402_resume(ngx_http_x402_ctx_t *ctx)
{
    ngx_http_request_t *r = ctx->request;
    ngx_connection_t *c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);

    } else {
        r->read_event_handler = ngx_http_block_reading;
        r->write_event_handler = ngx_http_core_run_phases;
        ngx_http_core_run_phases(r);
    }

    ngx_http_run_posted_requests(c);
}

static ngx_uint_t ngx_http_x402_sells_here(ngx_http_request_t *r)
{
    ngx_http_x402_loc_conf_t *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_x402_module);

    return lcf->sale != NULL;
}

static ngx_uint_t ngx_http_x402_enforces_here(ngx_http_request_t *r)
{
    ngx_http_x402_loc_conf_t *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_x402_module);

    return lcf->sale != NULL && lcf->sale->enforced;
}

static ngx_uint_t ngx_http_x402_is_preflight(ngx_http_request_t *r)
{
    return r->method == NGX_HTTP_OPTIONS &&
           ngx_http_x402_find_header(r, "origin") != NULL &&
           ngx_http_x402_find_header(r, "access-control-request-method") != NULL;
}

/* An error's page, inside what is sold: its status says that it is not the goods. */
static ngx_uint_t ngx_http_x402_is_error_page(ngx_http_request_t *r)
{
    return r->error_page && r->err_status >= NGX_HTTP_BAD_REQUEST;
}

static ngx_int_t ngx_http_x402_paid(ngx_http_x402_ctx_t *ctx)
{
    ngx_int_t rc = ngx_http_x402_decided(ctx);

    return rc == NGX_OK && !ngx_http_x402_sells_here(ctx->request) ? NGX_DECLINED : rc;
}

/* A price that cannot be told: no reason to refuse what is not to be paid yet. */
static ngx_int_t ngx_http_x402_priceless(ngx_http_request_t *r)
{
    if (ngx_http_x402_enforces_here(r)) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_x402_remove_payment(r) == NGX_OK ? NGX_DECLINED
                                                     : NGX_HTTP_INTERNAL_SERVER_ERROR;
}

/* `ctx` is of the shadow that the request comes from; NULL: it comes from outside. */
static ngx_int_t ngx_http_x402_charge(ngx_http_request_t *r, ngx_http_x402_sale_t *sale,
                                      ngx_http_x402_ctx_t *ctx, uint64_t started_us)
{
    ngx_http_x402_presented_t presented;
    struct x402_problem required = {X402_ERR_PAYMENT_REQUIRED, NULL, NULL};

    if (ngx_http_x402_is_preflight(r)) {
        return ngx_http_x402_preflight(r);
    }

    if (ctx == NULL) {
        ngx_http_x402_presented(r, &presented);
    } else {
        ngx_http_x402_leave_shadow(ctx, &presented);
    }

    if (presented.count == 0) {
        ngx_http_x402_count_offered(sale);
        return ngx_http_x402_offer(r, sale, &required);
    }

    return ngx_http_x402_present(r, sale, &presented, started_us);
}

ngx_int_t ngx_http_x402_access_handler(ngx_http_request_t *r)
{
    ngx_int_t rc;
    uint64_t started_us;
    ngx_http_x402_ctx_t *ctx;
    ngx_http_x402_sale_t *sale;

    ctx = ngx_http_x402_get_ctx(r);
    if (ctx != NULL && !(ctx->shadow && ngx_http_x402_enforces_here(r))) {
        return ngx_http_x402_paid(ctx); /* one request pays once */
    }

    if (ngx_http_x402_is_error_page(r) || !ngx_http_x402_sells_here(r)) {
        return NGX_DECLINED;
    }

    started_us = ngx_http_x402_now_us();
    rc = ngx_http_x402_sale(r, &sale);
    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? NGX_DECLINED : ngx_http_x402_priceless(r);
    }

    if (sale->enforced) {
        return ngx_http_x402_charge(r, sale, ctx, started_us);
    }

    return ngx_http_x402_is_preflight(r) ? NGX_DECLINED
                                         : ngx_http_x402_shadow(r, sale, started_us);
}
