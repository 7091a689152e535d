/*
 * What a request says: its path, its public URL, its payment headers.
 */
#include "nginx/module.h"

#include "core/path.h"

extern ngx_module_t ngx_http_realip_module;

static const char ngx_http_x402_payer_header[] = "x-402-payer";

/* ------------------------------------------------------------------------- headers */

/* '_' and '-' are one to CGI-like upstreams, so they are one here. */
static ngx_uint_t ngx_http_x402_named(const ngx_table_elt_t *h, const char *name,
                                      size_t size)
{
    size_t i;
    u_char ch;

    if (h->key.len != size) {
        return 0;
    }

    for (i = 0; i < size; i++) {
        ch = ngx_tolower(h->key.data[i]);
        if (ch != (u_char)name[i] && !(ch == '_' && name[i] == '-')) {
            return 0;
        }
    }

    return 1;
}

ngx_table_elt_t *ngx_http_x402_find_header(ngx_http_request_t *r, const char *name)
{
    ngx_uint_t i;
    size_t size = ngx_strlen(name);
    ngx_list_part_t *part;
    ngx_table_elt_t *h;

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        h = part->elts;
        for (i = 0; i < part->nelts; i++) {
            if (ngx_http_x402_named(&h[i], name, size)) {
                return &h[i];
            }
        }
    }

    return NULL;
}

static ngx_uint_t ngx_http_x402_payment_named(const ngx_table_elt_t *h,
                                              enum x402_header *kind)
{
    static const char v2[] = "payment-signature";
    static const char v1[] = "x-payment";

    if (ngx_http_x402_named(h, v2, sizeof(v2) - 1)) {
        *kind = X402_HEADER_PAYMENT_SIGNATURE;
        return 1;
    }
    if (ngx_http_x402_named(h, v1, sizeof(v1) - 1)) {
        *kind = X402_HEADER_X_PAYMENT;
        return 1;
    }

    return 0;
}

void ngx_http_x402_presented(ngx_http_request_t *r, ngx_http_x402_presented_t *out)
{
    ngx_uint_t i;
    enum x402_header kind;
    ngx_list_part_t *part;
    ngx_table_elt_t *h;

    out->header = NULL;
    out->kind = X402_HEADER_X_PAYMENT;
    out->count = 0;

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        h = part->elts;
        for (i = 0; i < part->nelts; i++) {
            if (ngx_http_x402_payment_named(&h[i], &kind)) {
                out->header = &h[i];
                out->kind = kind;
                out->count++;
            }
        }
    }
}

typedef ngx_uint_t ngx_http_x402_chooser(const ngx_table_elt_t *h);

static ngx_uint_t ngx_http_x402_count_headers(ngx_http_request_t *r,
                                              ngx_http_x402_chooser *chosen,
                                              ngx_uint_t *all)
{
    ngx_uint_t i, count = 0;
    ngx_list_part_t *part;
    ngx_table_elt_t *h;

    *all = 0;
    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        h = part->elts;
        *all += part->nelts;
        for (i = 0; i < part->nelts; i++) {
            count += chosen(&h[i]);
        }
    }

    return count;
}

/*
 * Removes headers by making a new list of the others. nginx's own loops read the first
 * element of each part unseen, so a part must never become empty; and others point to
 * elements (headers_in.host and the like), which stay where they are.
 */
static ngx_int_t ngx_http_x402_remove_headers(ngx_http_request_t *r,
                                              ngx_http_x402_chooser *chosen)
{
    ngx_uint_t i, all;
    ngx_list_t kept;
    ngx_list_part_t *part;
    ngx_table_elt_t *h;

    if (ngx_http_x402_count_headers(r, chosen, &all) == 0) {
        return NGX_OK;
    }

    /* Room for one more, X-402-Payer: the first part of a list may be empty. */
    if (ngx_list_init(&kept, r->pool, all + 1, sizeof(ngx_table_elt_t)) != NGX_OK) {
        return NGX_ERROR;
    }

    for (part = &r->headers_in.headers.part; part != NULL; part = part->next) {
        h = part->elts;
        for (i = 0; i < part->nelts; i++) {
            if (!chosen(&h[i])) {
                *(ngx_table_elt_t *)ngx_list_push(&kept) = h[i];
            }
        }
    }

    r->headers_in.headers = kept;
    r->headers_in.headers.last = &r->headers_in.headers.part;

    return NGX_OK;
}

static ngx_uint_t ngx_http_x402_is_payment(const ngx_table_elt_t *h)
{
    enum x402_header kind;

    return ngx_http_x402_payment_named(h, &kind);
}

/*
 * What no caller may tell an upstream: who paid, that it was paid, and another path
 * than the one that was looked at, which some frameworks take from a header.
 */
static ngx_uint_t ngx_http_x402_is_forged(const ngx_table_elt_t *h)
{
    static const ngx_str_t names[] = {
        ngx_string("x-402-payer"), ngx_string("payment-response"),
        ngx_string("x-payment-response"), ngx_string("x-original-url"),
        ngx_string("x-rewrite-url")};
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (ngx_http_x402_named(h, (const char *)names[i].data, names[i].len)) {
            return 1;
        }
    }

    return 0;
}

ngx_int_t ngx_http_x402_remove_payment(ngx_http_request_t *r)
{
    return ngx_http_x402_remove_headers(r, ngx_http_x402_is_payment);
}

ngx_int_t ngx_http_x402_add_payer(ngx_http_request_t *r,
                                  char payer[X402_ADDRESS_TEXT_SIZE])
{
    ngx_table_elt_t *h;

    h = ngx_list_push(&r->headers_in.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->value.data = (u_char *)payer;
    h->value.len = X402_ADDRESS_TEXT_SIZE - 1;
    ngx_str_set(&h->key, "X-402-Payer");
    h->lowcase_key = (u_char *)(uintptr_t)ngx_http_x402_payer_header;
    h->hash = ngx_hash_key(h->lowcase_key, h->key.len);

    return NGX_OK;
}

/* ---------------------------------------------------------------------------- path */

ngx_int_t ngx_http_x402_post_read_handler(ngx_http_request_t *r)
{
    ngx_http_x402_srv_conf_t *scf;
    struct x402_problem why = {
        X402_ERR_PATH, "path",
        "a path without //, /./, /../, /;, #, backslash, %2f, %5c, %2e"};

    scf = ngx_http_get_module_srv_conf(r, ngx_http_x402_module);

    if (!scf->sells || r != r->main || r->internal) {
        return NGX_DECLINED;
    }

    if (x402_path_is_ambiguous(ngx_http_x402_slice(&r->unparsed_uri))) {
        if (scf->enforces) {
            ngx_http_x402_note_refusal(r, X402_ERR_PATH);
            return ngx_http_x402_problem(r, &why, 0);
        }
        ngx_http_x402_count_reason(X402_ERR_PATH);
    }

    if (ngx_http_x402_remove_headers(r, ngx_http_x402_is_forged) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}

/* ----------------------------------------------------------------------------- URL */

/*
 * Forwarded headers count only where realip has believed the sender's address too: it
 * keeps a context then. An internal redirect clears it; the variable still finds it.
 */
static ngx_uint_t ngx_http_x402_sender_is_trusted(ngx_http_request_t *r)
{
    ngx_str_t *now = &r->connection->addr_text;
    ngx_http_variable_value_t *first;
    ngx_http_x402_main_conf_t *mcf;

    if (ngx_http_get_module_ctx(r, ngx_http_realip_module) != NULL) {
        return 1;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_x402_module);
    first = ngx_http_get_indexed_variable(r, (ngx_uint_t)mcf->realip_index);

    return first != NULL && !first->not_found &&
           (first->len != now->len ||
            ngx_memcmp(first->data, now->data, now->len) != 0);
}

/* A header of a proxy before us; NULL: there is none, or none that is believed. */
static ngx_table_elt_t *ngx_http_x402_forwarded(ngx_http_request_t *r, const char *name)
{
    ngx_table_elt_t *h = ngx_http_x402_find_header(r, name);

    return h != NULL && ngx_http_x402_sender_is_trusted(r) ? h : NULL;
}

static void ngx_http_x402_scheme(ngx_http_request_t *r, ngx_str_t *scheme)
{
    ngx_table_elt_t *h = ngx_http_x402_forwarded(r, "x-forwarded-proto");

    ngx_str_set(scheme, "http");

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        ngx_str_set(scheme, "https");
    }
#endif

    if (h != NULL && h->value.len == 5 &&
        ngx_strncasecmp(h->value.data, (u_char *)"https", 5) == 0) {
        ngx_str_set(scheme, "https");
    }
    if (h != NULL && h->value.len == 4 &&
        ngx_strncasecmp(h->value.data, (u_char *)"http", 4) == 0) {
        ngx_str_set(scheme, "http");
    }
}

static void ngx_http_x402_authority(ngx_http_request_t *r, ngx_str_t *authority)
{
    ngx_table_elt_t *h = ngx_http_x402_forwarded(r, "x-forwarded-host");
    ngx_http_core_srv_conf_t *cscf;

    if (h == NULL || !x402_authority_is_plain(ngx_http_x402_slice(&h->value))) {
        h = r->headers_in.host;
    }
    if (h != NULL && x402_authority_is_plain(ngx_http_x402_slice(&h->value))) {
        *authority = h->value;
        return;
    }

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);
    *authority = cscf->server_name;
    if (!x402_authority_is_plain(ngx_http_x402_slice(authority))) {
        ngx_str_set(authority, "localhost");
    }
}

ngx_int_t ngx_http_x402_public(ngx_http_request_t *r, const ngx_str_t *public_url,
                               const ngx_str_t *path, struct x402_slice *out)
{
    size_t size;
    u_char *p;
    ngx_str_t scheme, authority;

    ngx_str_null(&scheme);
    ngx_str_null(&authority);

    if (public_url->len == 0) {
        ngx_http_x402_scheme(r, &scheme);
        ngx_http_x402_authority(r, &authority);
    }

    size = public_url->len + scheme.len + 3 + authority.len + path->len;
    p = ngx_pnalloc(r->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = (const char *)p;

    if (public_url->len) {
        p = ngx_cpymem(p, public_url->data, public_url->len);
    } else {
        p = ngx_cpymem(p, scheme.data, scheme.len);
        p = ngx_cpymem(p, "://", 3);
        p = ngx_cpymem(p, authority.data, authority.len);
    }
    p = ngx_cpymem(p, path->data, path->len);

    out->size = (size_t)(p - (const u_char *)out->data);

    return NGX_OK;
}

ngx_int_t ngx_http_x402_resource(ngx_http_request_t *r, const ngx_str_t *public_url,
                                 struct x402_slice *out)
{
    ngx_str_t path = r->unparsed_uri;

    if (path.len > X402_RESOURCE_MAX - 512) {
        path.len = X402_RESOURCE_MAX - 512;
    }

    return ngx_http_x402_public(r, public_url, &path, out);
}
