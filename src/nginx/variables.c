/*
 * $x402_payer, $x402_value, $x402_network, $x402_nonce, $x402_result: for logs, map and
 * proxy_set_header. Not found on a request that brought no valid payment, but for
 * $x402_result, which names what became of the sale.
 */
#include "nginx/module.h"

typedef enum {
    NGX_HTTP_X402_VAR_PAYER,
    NGX_HTTP_X402_VAR_VALUE,
    NGX_HTTP_X402_VAR_NETWORK,
    NGX_HTTP_X402_VAR_NONCE,
} ngx_http_x402_var_t;

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
        x402_address_encode(out, ctx->payer20);
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
    }

    return 0;
}

static ngx_int_t ngx_http_x402_payment_variable(ngx_http_request_t *r,
                                                ngx_http_variable_value_t *v,
                                                uintptr_t data)
{
    char *text;
    ngx_http_x402_ctx_t *ctx = ngx_http_x402_get_ctx(r->main);

    if (ctx == NULL || ctx->accept == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = ngx_pnalloc(r->pool, 80);
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

static ngx_int_t ngx_http_x402_result_variable(ngx_http_request_t *r,
                                               ngx_http_variable_value_t *v,
                                               uintptr_t data)
{
    const char *result = ngx_http_x402_result(r->main);

    (void)data;

    if (result == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_x402_set_text(v, result, ngx_strlen(result));
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
        {ngx_string("x402_result"), ngx_http_x402_result_variable, 0},
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
