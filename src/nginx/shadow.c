/*
 * x402_enforce off: every call goes to the upstream unpaid, and what a price would have
 * made of it is counted and logged. A payment that is presented is decoded, matched and
 * verified, and no more than that: the ledger is not asked, nothing is taken of a
 * payer's rate, and so it can still be spent where the price is on. A client that
 * presents more than its refusal rate allows has the rest forwarded unverified.
 *
 * It is verified at once, in the event loop: no batch goes anywhere for it, and the
 * memory of payers is the ledger's thread's. So each signature is recovered.
 *
 * The verified payer is told to nobody: nothing here says that this is the first time
 * that the signature is seen, and a signature that was settled once is public.
 */
#include "nginx/module.h"

#include "core/path.h"

static void ngx_http_x402_verify_now(ngx_http_x402_ctx_t *ctx,
                                     ngx_http_x402_exam_t *exam)
{
    struct x402_verified verified;

    exam->why.error =
        x402_verify(NULL, &verified, &exam->why, exam->accept, &exam->payment);

    ctx->verify_us = ngx_http_x402_now_us() - exam->began_us;
    ngx_http_x402_measure(X402_MEASURE_VERIFY, ctx->verify_us);
}

/* What would have been; with a payment, `exam` says more. */
static enum x402_error ngx_http_x402_would_refuse(ngx_http_x402_ctx_t *ctx,
                                                  ngx_http_x402_exam_t *exam)
{
    ngx_http_request_t *r = ctx->request;
    ngx_http_x402_sale_t *sale = ctx->sale;

    if (x402_path_is_ambiguous(ngx_http_x402_slice(&r->unparsed_uri))) {
        return X402_ERR_PATH; /* counted when the request had been read */
    }
    if (!ctx->presented.count) {
        ngx_http_x402_count_offered(sale);
        return X402_OK;
    }

    ngx_http_x402_examine(r, sale, &ctx->presented, exam);
    if (exam->why.error == X402_OK) {
        ngx_http_x402_verify_now(ctx, exam);
    }
    if (exam->why.error != X402_OK) {
        ngx_http_x402_count_refused(sale, exam->accept);
        ngx_http_x402_count_reason(exam->why.error);
    }

    return exam->why.error;
}

ngx_int_t ngx_http_x402_shadow(ngx_http_request_t *r, ngx_http_x402_sale_t *sale,
                               uint64_t started_us)
{
    ngx_http_x402_ctx_t *ctx;
    ngx_http_x402_exam_t exam;

    ctx = ngx_http_x402_create_ctx(r, sale);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(&exam, sizeof(exam));
    exam.started_us = started_us;
    ngx_http_x402_presented(r, &ctx->presented);

    ctx->shadow = 1;
    ctx->stage = NGX_HTTP_X402_SERVING;
    ctx->started_us = started_us;
    ctx->why = ngx_http_x402_would_refuse(ctx, &exam);
    ctx->accept = exam.accept ? exam.accept : &sale->offer.accepts[0];
    ctx->value = ctx->accept->value;

    return ngx_http_x402_serve(ctx);
}

void ngx_http_x402_leave_shadow(ngx_http_x402_ctx_t *ctx,
                                ngx_http_x402_presented_t *presented)
{
    *presented = ctx->presented;

    ctx->shadow = 0;
    ctx->stage = NGX_HTTP_X402_REFUSED;
    ctx->reason = "payment_required";
    ctx->why = X402_OK;
    ctx->accept = NULL;
    ctx->value = 0;
    ctx->verify_us = 0;
}
