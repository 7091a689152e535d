/*
 * $x402_…: for logs, map and proxy_set_header. What is of a payment is not found on a
 * request that brought no valid one; $x402_result names what became of the sale,
 * $x402_reason why it was refused, $x402_price what the call costs.
 */
#include "nginx/module.h"

typedef enum {
    NGX_HTTP_X402_VAR_PAYER,
    NGX_HTTP_X402_VAR_VALUE,
    NGX_HTTP_X402_VAR_NETWORK,
    NGX_HTTP_X402_VAR_NONCE,
    NGX_HTTP_X402_VAR_RECEIPT,
} ngx_http_x402_var_t;

#define NGX_HTTP_X402_VAR_SIZE 80 /* the longest of them, and more */

static ngx_int_t ngx_http_x402_set_text(ngx_http_variable_value_t *v, const char *text,
                                        size_t size)
{
    v->data = (u_char *)(uintptr_t)text;
    v->len = (unsigned)size & 0xfffffff;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    return NGX_OK;
}

static size_t ngx_http_x402_write(char *out, const ngx_http_x402_ctx_t *ctx,
                                  ngx_http_x402_var_t what)
{
    switch (what) {
    case NGX_HTTP_X402_VAR_PAYER:
        ngx_memcpy(out, ctx->payer, X402_ADDRESS_TEXT_SIZE - 1);
        return X402_ADDRESS_TEXT_SIZE - 1;
    case NGX_HTTP_X402_VAR_VALUE:
        return (size_t)(ngx_sprintf((u_char *)out, "%uL", ctx->value) - (u_char *)out);
    case NGX_HTTP_X402_VAR_NETWORK:
        x402_caip2_encode(out, ctx->accept->network.chain_id);
        return ngx_strlen(out);
    case NGX_HTTP_X402_VAR_NONCE:
        out[0] = '0';
        out[1] = 'x';
        x402_hex_encode(out + 2, ctx->nonce32, 32);
        return 2 + 64;
    case NGX_HTTP_X402_VAR_RECEIPT:
        ngx_memcpy(out, ctx->proof.receipt, X402_RECEIPT_ID_SIZE);
        return X402_RECEIPT_ID_SIZE;
    }

    return 0;
}

/*
 * What nobody has proven is what somebody says. In shadow a payment was verified, and
 * nobody asked whether it is the first time: who read it on the chain may present it,
 * too. So it proves no payer, either.
 */
static ngx_uint_t ngx_http_x402_has_variable(const ngx_http_x402_ctx_t *ctx,
                                             ngx_http_x402_var_t what)
{
    if (ctx == NULL || ctx->signature != NGX_HTTP_X402_PROVEN) {
        return 0;
    }

    return what != NGX_HTTP_X402_VAR_RECEIPT || ctx->proof.has_receipt;
}

static ngx_int_t ngx_http_x402_payment_variable(ngx_http_request_t *r,
                                                ngx_http_variable_value_t *v,
                                                uintptr_t data)
{
    char *text;
    ngx_http_x402_ctx_t *ctx = ngx_http_x402_get_ctx(r->main);

    if (!ngx_http_x402_has_variable(ctx, (ngx_http_x402_var_t)data)) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = ngx_pnalloc(r->pool, NGX_HTTP_X402_VAR_SIZE);
    if (text == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_x402_set_text(
        v, text, ngx_http_x402_write(text, ctx, (ngx_http_x402_var_t)data));
}

static const char *ngx_http_x402_result(ngx_http_request_t *r)
{
    ngx_http_x402_loc_conf_t *lcf;
    ngx_http_x402_ctx_t *ctx = ngx_http_x402_get_ctx(r);

    if (ctx == NULL) {
        lcf = ngx_http_get_module_loc_conf(r, ngx_http_x402_module);
        return lcf->sale != NULL && r->headers_out.status == 402 ? "payment_required"
                                                                 : NULL;
    }

    if (ctx->shadow) {
        return "shadow";
    }

    switch (ctx->stage) {
    case NGX_HTTP_X402_ADMITTING:
        return "admitting";
    case NGX_HTTP_X402_SETTLING:
        return "settling";
    case NGX_HTTP_X402_REFUSED:
        return ctx->reason ? ctx->reason : "refused";
    case NGX_HTTP_X402_CAPTURED:
        return "delivered";
    case NGX_HTTP_X402_VOIDED:
        return ctx->settled ? "owed" : "void";
    case NGX_HTTP_X402_SERVING:
        break;
    }

    return ngx_http_x402_outcome(ctx) == X402_EVENT_DELIVERED ? "delivered"
           : ctx->settled                                     ? "owed"
                                                              : "void";
}

/* The code of a refusal; in shadow also what would have been without one. */
static const char *ngx_http_x402_reason(ngx_http_request_t *r)
{
    ngx_http_x402_ctx_t *ctx = ngx_http_x402_get_ctx(r);

    if (ctx == NULL) {
        return NULL;
    }
    if (ctx->why != X402_OK) {
        return x402_error_reason(ctx->why);
    }
    if (!ctx->shadow) {
        return NULL;
    }

    return ctx->presented.count ? "paid" : "payment_required";
}

static ngx_int_t ngx_http_x402_set_word(ngx_http_variable_value_t *v, const char *word)
{
    if (word == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_x402_set_text(v, word, ngx_strlen(word));
}

static ngx_int_t ngx_http_x402_result_variable(ngx_http_request_t *r,
                                               ngx_http_variable_value_t *v,
                                               uintptr_t data)
{
    (void)data;

    return ngx_http_x402_set_word(v, ngx_http_x402_result(r->main));
}

static ngx_int_t ngx_http_x402_reason_variable(ngx_http_request_t *r,
                                               ngx_http_variable_value_t *v,
                                               uintptr_t data)
{
    (void)data;

    return ngx_http_x402_set_word(v, ngx_http_x402_reason(r->main));
}

/* ------------------------------------------------------------------ times and price
 */

/* When a log is written, the outcome of a call may be certain and not yet told. */
static uint64_t ngx_http_x402_call_us(const ngx_http_x402_ctx_t *ctx)
{
    return ctx->call_us == 0 && ctx->stage == NGX_HTTP_X402_SERVING
               ? ngx_http_x402_now_us() - ctx->started_us
               : ctx->call_us;
}

static ngx_int_t ngx_http_x402_time_variable(ngx_http_request_t *r,
                                             ngx_http_variable_value_t *v,
                                             uintptr_t data)
{
    u_char *text;
    uint64_t us;
    ngx_http_x402_ctx_t *ctx = ngx_http_x402_get_ctx(r->main);

    us = ctx == NULL                   ? 0
         : data == X402_MEASURE_VERIFY ? ctx->verify_us
         : data == X402_MEASURE_ADMIT  ? ctx->admit_us
                                       : ngx_http_x402_call_us(ctx);
    if (us == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = ngx_pnalloc(r->pool, NGX_INT64_LEN + 8);
    if (text == NULL) {
        return NGX_ERROR;
    }

    return ngx_http_x402_set_text(
        v, (char *)text,
        (size_t)(ngx_sprintf(text, "%uL.%06uL", us / 1000000, us % 1000000) - text));
}

static ngx_int_t ngx_http_x402_price_variable(ngx_http_request_t *r,
                                              ngx_http_variable_value_t *v,
                                              uintptr_t data)
{
    char *text;
    uint64_t micro_usd = 0;

    (void)data;

    if (ngx_http_x402_price_now(r->main, &micro_usd) != NGX_OK) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = ngx_pnalloc(r->pool, X402_AMOUNT_TEXT_SIZE);
    if (text == NULL) {
        return NGX_ERROR;
    }
    x402_amount_encode(text, micro_usd, 6);

    return ngx_http_x402_set_text(v, text, ngx_strlen(text));
}

ngx_int_t ngx_http_x402_add_variables(ngx_conf_t *cf)
{
    static const struct {
        ngx_str_t name;
        ngx_http_get_variable_pt get;
        uintptr_t data;
    } table[] = {
        {ngx_string("x402_payer"), ngx_http_x402_payment_variable,
         NGX_HTTP_X402_VAR_PAYER},
        {ngx_string("x402_value"), ngx_http_x402_payment_variable,
         NGX_HTTP_X402_VAR_VALUE},
        {ngx_string("x402_network"), ngx_http_x402_payment_variable,
         NGX_HTTP_X402_VAR_NETWORK},
        {ngx_string("x402_nonce"), ngx_http_x402_payment_variable,
         NGX_HTTP_X402_VAR_NONCE},
        {ngx_string("x402_receipt"), ngx_http_x402_payment_variable,
         NGX_HTTP_X402_VAR_RECEIPT},
        {ngx_string("x402_result"), ngx_http_x402_result_variable, 0},
        {ngx_string("x402_reason"), ngx_http_x402_reason_variable, 0},
        {ngx_string("x402_price"), ngx_http_x402_price_variable, 0},
        {ngx_string("x402_verify_time"), ngx_http_x402_time_variable,
         X402_MEASURE_VERIFY},
        {ngx_string("x402_admit_time"), ngx_http_x402_time_variable,
         X402_MEASURE_ADMIT},
        {ngx_string("x402_call_time"), ngx_http_x402_time_variable, X402_MEASURE_CALL},
    };
    size_t i;
    ngx_str_t name;
    ngx_http_variable_t *var;

    for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        name = table[i].name;
        var = ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);
        if (var == NULL) {
            return NGX_ERROR;
        }
        var->get_handler = table[i].get;
        var->data = table[i].data;
    }

    return NGX_OK;
}
