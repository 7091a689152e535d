/*
 * What the pages have in common: where they may stand, who may see them, and how an
 * answer is sent.
 */
#include "nginx/pages.h"

/* -------------------------------------------------------------------- configuration */

/* A page is found by its path. */
static ngx_uint_t ngx_http_x402_names_path(const ngx_http_core_loc_conf_t *clcf)
{
#if (NGX_PCRE)
    if (clcf->regex != NULL) {
        return 0;
    }
#endif

    return !clcf->named && !clcf->noname && clcf->name.len != 0;
}

ngx_http_x402_page_t *ngx_http_x402_page_create(ngx_conf_t *cf, ngx_command_t *cmd,
                                                ngx_http_x402_view_t view,
                                                ngx_http_handler_pt handler,
                                                char **error)
{
    ngx_http_x402_page_t *page;
    ngx_http_core_loc_conf_t *clcf;
    ngx_http_x402_loc_conf_t *lcf;
    ngx_http_x402_main_conf_t *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_x402_module);
    lcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_x402_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler != NULL) {
        *error = clcf->handler == handler
                     ? "is duplicate"
                     : "stands in a location that another directive "
                       "answers for";
        return NULL;
    }
    if (!ngx_http_x402_names_path(clcf)) {
        *error = "needs a location that names a path";
        return NULL;
    }

    *error = NGX_CONF_ERROR;
    page = ngx_pcalloc(cf->pool, sizeof(*page));
    if (page == NULL) {
        return NULL;
    }

    page->view = view;
    ngx_queue_init(&page->waiting);
    lcf->page = page;
    clcf->handler = handler;
    if (view != NGX_HTTP_X402_VIEW_NONE) {
        mcf->reads_ledger = (const char *)cmd->name.data;
    }

    return page;
}

char *ngx_http_x402_page_guard(ngx_conf_t *cf, ngx_http_x402_page_t *page)
{
    ngx_str_t *args = cf->args->elts;
    ngx_http_x402_main_conf_t *mcf;

    if (cf->args->nelts == 1 ||
        (cf->args->nelts == 2 && ngx_strcmp(args[1].data, "public") == 0)) {
        return NGX_CONF_OK;
    }
    if (cf->args->nelts != 3 || ngx_strcmp(args[1].data, "private") != 0) {
        return "is public, or private FILE";
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_x402_module);
    mcf->guards = 1;
    page->private = 1;

    return ngx_http_x402_token_load(cf, &args[2], page->token32);
}

/* --------------------------------------------------------------------------- asking */

/* What a browser asks its user by. */
static ngx_int_t ngx_http_x402_challenge(ngx_http_request_t *r)
{
    ngx_table_elt_t *h = ngx_list_push(&r->headers_out.headers);

    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "WWW-Authenticate");
    ngx_str_set(&h->value, "Basic realm=\"x402\"");
    r->headers_out.www_authenticate = h;

    return NGX_HTTP_UNAUTHORIZED;
}

static ngx_int_t ngx_http_x402_admit_reader(ngx_http_request_t *r,
                                            const ngx_http_x402_page_t *page)
{
    ngx_int_t rc;
    uint64_t wait = 0;

    if (!page->private) {
        return NGX_OK;
    }

    rc = ngx_http_x402_token_check(r, page->token32, &wait);
    if (rc == NGX_HTTP_UNAUTHORIZED) {
        return ngx_http_x402_challenge(r);
    }
    if (rc == NGX_BUSY) {
        r->main->count++;
        ngx_http_x402_page_problem(r, X402_ERR_RATE, wait);
        return NGX_DONE;
    }

    return rc;
}

/* Where this server's receipts are is known only after all of it was read. */
static ngx_int_t ngx_http_x402_find_receipts(ngx_http_request_t *r,
                                             ngx_http_x402_page_t *page)
{
    u_char *path;
    ngx_http_x402_srv_conf_t *scf;

    if (page->receipts != NULL) {
        return NGX_OK;
    }

    scf = ngx_http_get_module_srv_conf(r, ngx_http_x402_module);
    path = ngx_pcalloc(ngx_cycle->pool, scf->receipts.len + 1);
    if (path == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (scf->receipts.len) {
        ngx_memcpy(path, scf->receipts.data, scf->receipts.len);
    }
    page->receipts = (const char *)path;

    return NGX_OK;
}

ngx_int_t ngx_http_x402_page_enter(ngx_http_request_t *r, ngx_http_x402_page_t **out)
{
    ngx_int_t rc;
    ngx_str_t allow = ngx_string("GET, HEAD");
    ngx_http_x402_loc_conf_t *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_x402_module);

    rc = ngx_http_x402_admit_reader(r, lcf->page);
    if (rc != NGX_OK) {
        return rc;
    }

    if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD))) {
        return ngx_http_x402_add_header(r, "Allow", &allow) == NGX_OK
                   ? NGX_HTTP_NOT_ALLOWED
                   : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    *out = lcf->page;

    return ngx_http_x402_find_receipts(r, lcf->page);
}

/* -------------------------------------------------------------------------- answers */

static ngx_int_t ngx_http_x402_add_text_header(ngx_http_request_t *r, const char *name,
                                               const char *text)
{
    ngx_str_t value;

    value.data = (u_char *)(uintptr_t)text;
    value.len = ngx_strlen(text);

    return ngx_http_x402_add_header(r, name, &value);
}

/* nginx's own filter compares it with what the client has, and makes a 304. */
static ngx_int_t ngx_http_x402_add_etag(ngx_http_request_t *r, const ngx_str_t *etag)
{
    ngx_table_elt_t *h = ngx_list_push(&r->headers_out.headers);

    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    ngx_str_set(&h->key, "ETag");
    h->value = *etag;
    r->headers_out.etag = h;

    return NGX_OK;
}

ngx_int_t ngx_http_x402_page_add_headers(ngx_http_request_t *r,
                                         const ngx_http_x402_page_head_t *head)
{
    if (head->etag.len && ngx_http_x402_add_etag(r, &head->etag) != NGX_OK) {
        return NGX_ERROR;
    }
    if (head->policy != NULL &&
        ngx_http_x402_add_text_header(r, "Content-Security-Policy", head->policy) !=
            NGX_OK) {
        return NGX_ERROR;
    }
    if (ngx_http_x402_add_text_header(r, "Cache-Control", head->cache) != NGX_OK ||
        ngx_http_x402_add_text_header(r, "X-Content-Type-Options", "nosniff") !=
            NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_x402_add_text_header(r, "Referrer-Policy", "no-referrer");
}

void ngx_http_x402_page_send(ngx_http_request_t *r, ngx_uint_t status,
                             const ngx_http_x402_page_head_t *head,
                             const ngx_str_t *body)
{
    ngx_str_t type;

    if (ngx_http_x402_page_add_headers(r, head) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    type.data = (u_char *)(uintptr_t)head->type;
    type.len = ngx_strlen(type.data);
    (void)ngx_http_x402_send(r, status, &type, body);
}

static void ngx_http_x402_drop_text(void *data)
{
    ngx_http_x402_text_drop(data);
}

static const char *ngx_http_x402_text_type(ngx_http_x402_view_t view)
{
    return view == NGX_HTTP_X402_VIEW_METRICS
               ? "text/plain; version=0.0.4; charset=utf-8"
               : "application/json";
}

void ngx_http_x402_page_send_text(ngx_http_request_t *r, ngx_http_x402_page_t *page)
{
    ngx_pool_cleanup_t *cln;
    ngx_http_x402_page_head_t head = {ngx_http_x402_text_type(page->view), "no-store",
                                      NULL, ngx_null_string};

    if (page->text == NULL) {
        ngx_http_x402_page_problem(r, X402_ERR_LEDGER, 1000);
        return;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }
    cln->handler = ngx_http_x402_drop_text;
    cln->data = ngx_http_x402_text_keep(page->text);

    ngx_http_x402_page_send(r, page->status, &head, &page->text->data);
}

ngx_int_t ngx_http_x402_page_text_handler(ngx_http_request_t *r)
{
    ngx_int_t rc;
    ngx_http_x402_page_t *page;

    rc = ngx_http_x402_page_enter(r, &page);

    return rc == NGX_OK ? ngx_http_x402_page_show(r, page, ngx_http_x402_page_send_text)
                        : rc;
}

char *ngx_http_x402_page_text(ngx_conf_t *cf, ngx_command_t *cmd,
                              ngx_http_x402_view_t view)
{
    char *error;
    ngx_http_x402_page_t *page;

    page = ngx_http_x402_page_create(cf, cmd, view, ngx_http_x402_page_text_handler,
                                     &error);

    return page != NULL ? ngx_http_x402_page_guard(cf, page) : error;
}

void ngx_http_x402_page_problem(ngx_http_request_t *r, enum x402_error error,
                                uint64_t retry_after_milliseconds)
{
    u_char *seconds = ngx_pnalloc(r->pool, NGX_INT64_LEN + 1);
    ngx_str_t body;
    struct x402_problem problem = {error, NULL, NULL};
    const char *detail =
        error == X402_ERR_LEDGER ? "The ledger cannot be read" : "Too many failures";
    ngx_http_x402_page_head_t head = {"application/problem+json", "no-store", NULL,
                                      ngx_null_string};

    body.data = ngx_pnalloc(r->pool, X402_PROBLEM_SIZE_MAX);
    if (seconds == NULL || body.data == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_sprintf(seconds, "%uL%Z", (retry_after_milliseconds + 999) / 1000);
    if (ngx_http_x402_add_text_header(r, "Retry-After", (const char *)seconds) !=
        NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    body.len =
        x402_problem_encode((char *)body.data, X402_PROBLEM_SIZE_MAX, &problem, detail);
    ngx_http_x402_page_send(r, (ngx_uint_t)x402_error_status(error), &head, &body);
}
