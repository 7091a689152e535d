/*
 * The content handler x402_status: the page of web/status.*, and below it everything
 * that it asks for, so that one location is all of it.
 *
 *   LOCATION, LOCATION/      the page, with the location's path written into it
 *   LOCATION/status*.css .js its style and scripts
 *   LOCATION/stats           the figures
 *   LOCATION/events          the same, live
 *
 * The page does not need the ledger: it loads, and says that figures cannot be read.
 */
#include "nginx/pages.h"

#include "nginx/web.h"

#include <openssl/sha.h>

/* Nothing but what this location serves. */
static const char ngx_http_x402_status_policy[] =
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

static const char ngx_http_x402_base_mark[] = "{{base}}";

/* ------------------------------------------------------------------------ the texts */

/* Which a client that has the same need not be sent again. */
static ngx_int_t ngx_http_x402_etag(ngx_http_request_t *r, const ngx_str_t *text,
                                    ngx_str_t *out)
{
    u_char *p;
    u_char hash[SHA256_DIGEST_LENGTH];

    out->data = ngx_pnalloc(r->pool, SHA256_DIGEST_LENGTH + 2);
    if (out->data == NULL) {
        return NGX_ERROR;
    }

    SHA256(text->data, text->len, hash);
    p = out->data;
    *p++ = '"';
    p = ngx_hex_dump(p, hash, SHA256_DIGEST_LENGTH / 2);
    *p++ = '"';
    out->len = (size_t)(p - out->data);

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_status_send(ngx_http_request_t *r, const char *type,
                                           const char *policy, const ngx_str_t *text)
{
    ngx_http_x402_page_head_t head = {type, "no-cache", policy, ngx_null_string};

    if (ngx_http_x402_etag(r, text, &head.etag) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->main->count++; /* the answer takes one away, and so does our caller */
    ngx_http_x402_page_send(r, NGX_HTTP_OK, &head, text);

    return NGX_DONE;
}

/* What browsers are to make of a text of web/ that belongs to the page; NULL: nothing.
 */
static const char *ngx_http_x402_status_type(const char *name)
{
    size_t size = strlen(name);

    if (strncmp(name, "status", sizeof("status") - 1) != 0) {
        return NULL;
    }
    if (strcmp(name + size - (sizeof(".css") - 1), ".css") == 0) {
        return "text/css; charset=utf-8";
    }
    if (strcmp(name + size - (sizeof(".js") - 1), ".js") == 0) {
        return "text/javascript; charset=utf-8";
    }

    return NULL;
}

static ngx_int_t ngx_http_x402_status_asset(ngx_http_request_t *r,
                                            const ngx_str_t *name)
{
    ngx_str_t body;
    const char *type;
    const struct x402_web_text *asset;

    for (asset = x402_web_texts; asset->name != NULL; asset++) {
        type = ngx_http_x402_status_type(asset->name);
        if (type != NULL && strlen(asset->name) == name->len &&
            ngx_strncmp(name->data, asset->name, name->len) == 0) {
            body.data = (u_char *)(uintptr_t)asset->text;
            body.len = strlen(asset->text);
            return ngx_http_x402_status_send(r, type, NULL, &body);
        }
    }

    return NGX_HTTP_NOT_FOUND;
}

/* ---------------------------------------------------------------------- the handler */

static ngx_uint_t ngx_http_x402_is(const ngx_str_t *rest, const char *name)
{
    return rest->len == ngx_strlen(name) &&
           ngx_strncmp(rest->data, name, rest->len) == 0;
}

static ngx_int_t ngx_http_x402_status_handler(ngx_http_request_t *r)
{
    ngx_int_t rc;
    ngx_str_t rest;
    ngx_http_x402_page_t *page;

    rc = ngx_http_x402_page_enter(r, &page);
    if (rc != NGX_OK) {
        return rc;
    }

    rest.len = r->uri.len - ngx_min(page->base.len, r->uri.len);
    rest.data = r->uri.data + r->uri.len - rest.len;

    if (rest.len == 0 || ngx_http_x402_is(&rest, "/")) {
        return ngx_http_x402_status_send(r, "text/html; charset=utf-8",
                                         ngx_http_x402_status_policy, &page->html);
    }
    if (ngx_http_x402_is(&rest, "/stats")) {
        return ngx_http_x402_page_show(r, page, ngx_http_x402_page_send_text);
    }
    if (ngx_http_x402_is(&rest, "/events")) {
        return ngx_http_x402_events(r, page);
    }
    if (rest.data[0] != '/') {
        return NGX_HTTP_NOT_FOUND; /* of a longer name than ours */
    }

    rest.data++;
    rest.len--;

    return ngx_http_x402_status_asset(r, &rest);
}

/* -------------------------------------------------------------------- configuration */

/* The base as it may stand in an attribute: as in a URL, then as in HTML. */
static ngx_int_t ngx_http_x402_status_link(ngx_conf_t *cf, const ngx_str_t *base,
                                           ngx_str_t *out)
{
    ngx_str_t url;

    url.len =
        base->len + 2 * ngx_escape_uri(NULL, base->data, base->len, NGX_ESCAPE_URI);
    url.data = ngx_pnalloc(cf->pool, url.len + 1);
    if (url.data == NULL) {
        return NGX_ERROR;
    }
    (void)ngx_escape_uri(url.data, base->data, base->len, NGX_ESCAPE_URI);

    out->len = url.len + ngx_escape_html(NULL, url.data, url.len);
    out->data = ngx_pnalloc(cf->pool, out->len + 1);
    if (out->data == NULL) {
        return NGX_ERROR;
    }
    (void)ngx_escape_html(out->data, url.data, url.len);

    return NGX_OK;
}

/* Copies the page with the link for each mark; counts only while `out` is NULL. */
static size_t ngx_http_x402_status_fill(u_char *out, const ngx_str_t *link)
{
    size_t size = 0, piece;
    const char *mark, *at = x402_web_status_html;

    while (*at != '\0') {
        mark = strstr(at, ngx_http_x402_base_mark);
        piece = mark != NULL ? (size_t)(mark - at) : strlen(at);
        if (out != NULL) {
            out = ngx_cpymem(out, at, piece);
            out = mark != NULL ? ngx_cpymem(out, link->data, link->len) : out;
        }
        size += piece + (mark != NULL ? link->len : 0);
        at += piece + (mark != NULL ? sizeof(ngx_http_x402_base_mark) - 1 : 0);
    }

    return size;
}

static char *ngx_http_x402_status_write(ngx_conf_t *cf, ngx_http_x402_page_t *page,
                                        const ngx_str_t *location)
{
    ngx_str_t link;

    page->base = *location;
    if (page->base.data[page->base.len - 1] == '/') {
        page->base.len--;
    }

    if (ngx_http_x402_status_link(cf, &page->base, &link) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    page->html.len = ngx_http_x402_status_fill(NULL, &link);
    page->html.data = ngx_pnalloc(cf->pool, page->html.len);
    if (page->html.data == NULL) {
        return NGX_CONF_ERROR;
    }
    (void)ngx_http_x402_status_fill(page->html.data, &link);

    return NGX_CONF_OK;
}

char *ngx_http_x402_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char *error;
    ngx_http_x402_page_t *page;
    ngx_http_core_loc_conf_t *clcf;

    (void)conf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    if (clcf->exact_match) {
        return "needs a location that names a prefix: below \"= PATH\" nobody finds "
               "its "
               "style, script and figures";
    }

    page = ngx_http_x402_page_create(cf, cmd, NGX_HTTP_X402_VIEW_STATS,
                                     ngx_http_x402_status_handler, &error);
    if (page == NULL) {
        return error;
    }

    clcf->auto_redirect = clcf->name.data[clcf->name.len - 1] == '/';
    error = ngx_http_x402_page_guard(cf, page);

    return error == NGX_CONF_OK ? ngx_http_x402_status_write(cf, page, &clcf->name)
                                : error;
}
