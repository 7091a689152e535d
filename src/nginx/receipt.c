/*
 * The settlement response that a paid caller gets, with the address of its receipt.
 */
#include "nginx/module.h"

static ngx_int_t ngx_http_x402_link(const ngx_http_x402_ctx_t *ctx,
                                    struct x402_slice *out)
{
    ngx_str_t path;
    ngx_http_request_t *r = ctx->request;
    const ngx_str_t *receipts = &ctx->sale->receipts;

    *out = (struct x402_slice){"", 0};
    if (receipts->len == 0 || !ctx->proof.has_receipt) {
        return NGX_OK;
    }

    path.len = receipts->len + X402_RECEIPT_ID_SIZE;
    path.data = ngx_pnalloc(r->pool, path.len);
    if (path.data == NULL) {
        return NGX_ERROR;
    }
    ngx_memcpy(ngx_cpymem(path.data, receipts->data, receipts->len), ctx->proof.receipt,
               X402_RECEIPT_ID_SIZE);

    return ngx_http_x402_public(r, &ctx->sale->public_url, &path, out);
}

ngx_int_t ngx_http_x402_add_receipt(ngx_http_x402_ctx_t *ctx, enum x402_error error)
{
    char text[X402_RECEIPT_SIZE_MAX];
    ngx_str_t value;
    struct x402_receipt receipt;

    ngx_memzero(&receipt, sizeof(receipt));
    receipt.dialect = ctx->dialect;
    receipt.network = &ctx->accept->network;
    receipt.success = error == X402_OK;
    receipt.error = error;
    receipt.has_transaction = ctx->proof.has_transaction;
    ngx_memcpy(receipt.transaction32, ctx->proof.transaction32, 32);
    receipt.payer = x402_slice_of(ctx->payer);
    if (ngx_http_x402_link(ctx, &receipt.link) != NGX_OK) {
        return NGX_ERROR;
    }

    value.len = x402_receipt_encode(text, &receipt);
    value.data = ngx_pnalloc(ctx->request->pool, value.len);
    if (value.data == NULL) {
        return NGX_ERROR;
    }
    ngx_memcpy(value.data, text, value.len);

    return ngx_http_x402_add_header(
        ctx->request,
        ctx->dialect == X402_DIALECT_V2 ? "PAYMENT-RESPONSE" : "X-PAYMENT-RESPONSE",
        &value);
}
