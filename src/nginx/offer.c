/*
 * Our own answers: the 402 that serves both generations of clients, the readable page
 * for people, problem documents, and the CORS preflight.
 */
#include "nginx/module.h"

#define NGX_HTTP_X402_PREFLIGHT_MAX 1024 /* requested header names we repeat */

static ngx_int_t ngx_http_x402_add_headers(ngx_http_request_t *r,
                                           const ngx_keyval_t *headers, size_t count)
{
    size_t i;
    ngx_table_elt_t *h;

    for (i = 0; i < count; i++) {
        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }
        h->hash = 1;
        h->key = headers[i].key;
        h->value = headers[i].value;
    }

    return NGX_OK;
}

ngx_int_t ngx_http_x402_add_header(ngx_http_request_t *r, const char *key,
                                   ngx_str_t *value)
{
    const ngx_keyval_t header = {{ngx_strlen(key), (u_char *)(uintptr_t)key}, *value};

    return ngx_http_x402_add_headers(r, &header, 1);
}

ngx_int_t ngx_http_x402_add_our_headers(ngx_http_request_t *r)
{
    static const ngx_keyval_t headers[] = {
        {ngx_string("Cache-Control"), ngx_string("no-store")},
        {ngx_string("Access-Control-Allow-Origin"), ngx_string("*")},
        {ngx_string("Access-Control-Expose-Headers"),
         ngx_string("PAYMENT-REQUIRED, PAYMENT-RESPONSE, X-PAYMENT-RESPONSE, "
                    "Retry-After")},
    };

    return ngx_http_x402_add_headers(r, headers, sizeof(headers) / sizeof(headers[0]));
}

ngx_int_t ngx_http_x402_send(ngx_http_request_t *r, ngx_uint_t status,
                             const ngx_str_t *type, const ngx_str_t *body)
{
    ngx_int_t rc;
    ngx_buf_t *b;
    ngx_chain_t out;

    /*
     * No "100 Continue" for a body nobody wants. What the client then does with it is
     * its own choice (RFC 9110 section 10.1.1), so the connection cannot be used again.
     */
    if (r->headers_in.expect != NULL && !r->expect_tested) {
        r->expect_tested = 1;
        r->keepalive = 0;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        ngx_http_finalize_request(r, rc);
        return NGX_DONE;
    }

    r->headers_out.status = status;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.content_length_n = (off_t)body->len;

    rc = ngx_http_send_header(r);

    if (rc != NGX_ERROR && rc <= NGX_OK && !r->header_only) {
        b = ngx_calloc_buf(r->pool);
        if (b == NULL) {
            ngx_http_finalize_request(r, NGX_ERROR);
            return NGX_DONE;
        }
        b->pos = body->data;
        b->last = body->data + body->len;
        b->memory = body->len ? 1 : 0;
        b->last_buf = 1;
        b->last_in_chain = 1;
        out.buf = b;
        out.next = NULL;
        rc = ngx_http_output_filter(r, &out);
    }

    ngx_http_finalize_request(r, rc);

    return NGX_DONE;
}

static ngx_int_t ngx_http_x402_fail(ngx_http_request_t *r)
{
    ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);

    return NGX_DONE;
}

/* ----------------------------------------------------------------- problem documents
 */

static ngx_int_t ngx_http_x402_add_retry_after(ngx_http_request_t *r,
                                               uint64_t milliseconds)
{
    u_char *p;
    ngx_str_t value;

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = (size_t)(ngx_sprintf(p, "%uL", (milliseconds + 999) / 1000) - p);

    return ngx_http_x402_add_header(r, "Retry-After", &value);
}

/* `result` is what $x402_result says. */
static ngx_int_t ngx_http_x402_problem_named(ngx_http_request_t *r,
                                             const struct x402_problem *why,
                                             uint64_t retry_after_milliseconds,
                                             const char *result)
{
    ngx_str_t body;
    ngx_str_t type = ngx_string("application/problem+json");

    ngx_http_x402_note_reason(r, result);
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "x402: %s%s%s",
                  x402_error_reason(why->error), why->field ? ", " : "",
                  why->field ? why->field : "");

    body.data = ngx_pnalloc(r->pool, X402_PROBLEM_SIZE_MAX);
    if (body.data == NULL || ngx_http_x402_add_our_headers(r) != NGX_OK) {
        return ngx_http_x402_fail(r);
    }
    if (retry_after_milliseconds &&
        ngx_http_x402_add_retry_after(r, retry_after_milliseconds) != NGX_OK) {
        return ngx_http_x402_fail(r);
    }

    body.len = x402_problem_encode((char *)body.data, X402_PROBLEM_SIZE_MAX, why, NULL);

    return ngx_http_x402_send(r, (ngx_uint_t)x402_error_status(why->error), &type,
                              &body);
}

ngx_int_t ngx_http_x402_problem(ngx_http_request_t *r, const struct x402_problem *why,
                                uint64_t retry_after_milliseconds)
{
    return ngx_http_x402_problem_named(r, why, retry_after_milliseconds,
                                       x402_error_reason(why->error));
}

/*
 * No offer, which would invite a second payment: the money of one that is pending may
 * still move, and who failed to pay knows the price.
 */
ngx_int_t ngx_http_x402_unsettled(ngx_http_x402_ctx_t *ctx)
{
    ngx_uint_t pending = ctx->refusal == X402_ERR_SETTLEMENT_PENDING;
    struct x402_problem why = {ctx->refusal, NULL, NULL};

    if (ngx_http_x402_add_receipt(ctx, ctx->refusal) != NGX_OK) {
        return ngx_http_x402_fail(ctx->request);
    }

    return ngx_http_x402_problem_named(ctx->request, &why, pending ? 1000 : 0,
                                       pending ? x402_error_reason(ctx->refusal)
                                               : "settlement_failed");
}

/* --------------------------------------------------------------------- the offer: 402
 */

static ngx_uint_t ngx_http_x402_wants_html(ngx_http_request_t *r)
{
    static const char html[] = "text/html";
    ngx_table_elt_t *accept = ngx_http_x402_find_header(r, "accept");

    return accept != NULL &&
           ngx_strlcasestrn(accept->value.data, accept->value.data + accept->value.len,
                            (u_char *)(uintptr_t)html, sizeof(html) - 2) != NULL;
}

/* The encoded offer: the configuration's, or made now when the price was. */
static ngx_int_t ngx_http_x402_offer_text(ngx_http_request_t *r,
                                          ngx_http_x402_sale_t *sale,
                                          struct x402_offer_text *text)
{
    char *buffer;
    size_t size;

    if (sale->dynamic_price == NULL) {
        *text = sale->text;
        return NGX_OK;
    }

    size = x402_offer_text_size_max(&sale->offer);
    buffer = ngx_pnalloc(r->pool, size);
    if (buffer == NULL) {
        return NGX_ERROR;
    }

    return x402_offer_encode(text, buffer, size, &sale->offer) == X402_OK ? NGX_OK
                                                                          : NGX_ERROR;
}

static ngx_int_t ngx_http_x402_offer_write(ngx_http_request_t *r,
                                           const struct x402_offer_text *text,
                                           enum x402_error error,
                                           const struct x402_slice *url,
                                           ngx_str_t *header, ngx_str_t *body)
{
    size_t header_max = x402_offer_header_size_max(text, url->size);

    header->data =
        ngx_pnalloc(r->pool, header_max + x402_offer_body_size_max(text, url->size));
    if (header->data == NULL) {
        return NGX_ERROR;
    }

    header->len = x402_offer_header_write((char *)header->data, text, error, *url);
    body->data = header->data + header_max;
    body->len = x402_offer_body_write((char *)body->data, text, error, *url);

    return NGX_OK;
}

ngx_int_t ngx_http_x402_offer(ngx_http_request_t *r, ngx_http_x402_sale_t *sale,
                              const struct x402_problem *why)
{
    ngx_str_t header, body;
    ngx_str_t json = ngx_string("application/json");
    ngx_str_t html = ngx_string("text/html; charset=utf-8");
    ngx_uint_t page = ngx_http_x402_wants_html(r);
    struct x402_slice url;
    struct x402_offer_text text;

    if (why->error != X402_ERR_PAYMENT_REQUIRED) {
        ngx_http_x402_note_reason(r, x402_error_reason(why->error));
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0, "x402: %s%s%s",
                      x402_error_reason(why->error), why->field ? ", " : "",
                      why->field ? why->field : "");
    }

    if (ngx_http_x402_resource(r, &sale->public_url, &url) != NGX_OK ||
        ngx_http_x402_offer_text(r, sale, &text) != NGX_OK ||
        ngx_http_x402_offer_write(r, &text, why->error, &url, &header, &body) !=
            NGX_OK ||
        (page &&
         ngx_http_x402_paywall(r, &sale->offer, &url, &header, &body) != NGX_OK) ||
        ngx_http_x402_add_header(r, "PAYMENT-REQUIRED", &header) != NGX_OK ||
        ngx_http_x402_add_our_headers(r) != NGX_OK) {
        return ngx_http_x402_fail(r);
    }

    return ngx_http_x402_send(r,
                              (ngx_uint_t)x402_error_status(X402_ERR_PAYMENT_REQUIRED),
                              page ? &html : &json, &body);
}

/* -------------------------------------------------------------------------- preflight
 */

/* Repeats the header names asked for, if that is what they are. */
static void ngx_http_x402_requested_headers(ngx_http_request_t *r, ngx_str_t *names)
{
    size_t i;
    u_char ch;
    ngx_table_elt_t *h;

    ngx_str_set(names, "Content-Type, PAYMENT-SIGNATURE, X-PAYMENT, "
                       "Access-Control-Expose-Headers");

    h = ngx_http_x402_find_header(r, "access-control-request-headers");
    if (h == NULL || h->value.len == 0 || h->value.len > NGX_HTTP_X402_PREFLIGHT_MAX) {
        return;
    }

    for (i = 0; i < h->value.len; i++) {
        ch = ngx_tolower(h->value.data[i]);
        if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '-' ||
              ch == '_' || ch == ',' || ch == ' ')) {
            return;
        }
    }

    *names = h->value;
}

ngx_int_t ngx_http_x402_preflight(ngx_http_request_t *r)
{
    static const ngx_keyval_t headers[] = {
        {ngx_string("Access-Control-Allow-Origin"), ngx_string("*")},
        {ngx_string("Access-Control-Allow-Methods"),
         ngx_string("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")},
        {ngx_string("Access-Control-Max-Age"), ngx_string("600")},
        {ngx_string("Vary"), ngx_string("Access-Control-Request-Headers")},
    };
    ngx_str_t names;
    ngx_str_t empty = ngx_null_string;

    ngx_http_x402_requested_headers(r, &names);

    if (ngx_http_x402_add_header(r, "Access-Control-Allow-Headers", &names) != NGX_OK ||
        ngx_http_x402_add_headers(r, headers, sizeof(headers) / sizeof(headers[0])) !=
            NGX_OK) {
        return ngx_http_x402_fail(r);
    }

    return ngx_http_x402_send(r, NGX_HTTP_NO_CONTENT, &empty, &empty);
}
