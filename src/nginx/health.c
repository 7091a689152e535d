/*
 * The content handlers x402_health, which says that nginx answers, and x402_ready,
 * which says whether payments can be taken and settled, and if not, why.
 */
#include "nginx/pages.h"

#define NGX_HTTP_X402_SETTLER_SECONDS 60 /* defaults of x402_ready */
#define NGX_HTTP_X402_DUE_SECONDS 300
#define NGX_HTTP_X402_BOUND_MAX 31536000

/* ---------------------------------------------------------------------- x402_health */

static ngx_int_t ngx_http_x402_health_handler(ngx_http_request_t *r)
{
    ngx_int_t rc;
    ngx_http_x402_page_t *page;
    ngx_str_t body = ngx_string("{\"status\":\"ok\"}\n");
    ngx_http_x402_page_head_t head = {"application/json", "no-store", NULL,
                                      ngx_null_string};

    rc = ngx_http_x402_page_enter(r, &page);
    if (rc != NGX_OK) {
        return rc;
    }

    r->main->count++; /* the answer takes one away, and so does our caller */
    ngx_http_x402_page_send(r, NGX_HTTP_OK, &head, &body);

    return NGX_DONE;
}

char *ngx_http_x402_health(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char *error;

    (void)conf;

    return ngx_http_x402_page_create(cf, cmd, NGX_HTTP_X402_VIEW_NONE,
                                     ngx_http_x402_health_handler, &error) != NULL
               ? NGX_CONF_OK
               : error;
}

/* ----------------------------------------------------------------------- x402_ready */

/* "name=SECONDS" with that name, not given before. */
static ngx_uint_t ngx_http_x402_ready_bound(const ngx_str_t *arg, const char *name,
                                            int64_t *out)
{
    ngx_int_t seconds;
    size_t size = ngx_strlen(name);

    if (*out || arg->len <= size || ngx_strncmp(arg->data, name, size) != 0) {
        return 0;
    }

    seconds = ngx_atoi(arg->data + size, arg->len - size);
    if (seconds == NGX_ERROR || seconds < 1 || seconds > NGX_HTTP_X402_BOUND_MAX) {
        return 0;
    }
    *out = seconds;

    return 1;
}

char *ngx_http_x402_ready(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char *error;
    ngx_uint_t i;
    ngx_str_t *args = cf->args->elts;
    ngx_http_x402_page_t *page;

    (void)conf;

    page = ngx_http_x402_page_create(cf, cmd, NGX_HTTP_X402_VIEW_READY,
                                     ngx_http_x402_page_text_handler, &error);
    if (page == NULL) {
        return error;
    }

    for (i = 1; i < cf->args->nelts; i++) {
        if (!ngx_http_x402_ready_bound(&args[i],
                                       "settler=", &page->settler_seconds_max) &&
            !ngx_http_x402_ready_bound(&args[i], "due=", &page->due_seconds_max)) {
            return "takes settler= and due=, each a number of seconds from 1 to "
                   "31536000";
        }
    }

    if (page->settler_seconds_max == 0) {
        page->settler_seconds_max = NGX_HTTP_X402_SETTLER_SECONDS;
    }
    if (page->due_seconds_max == 0) {
        page->due_seconds_max = NGX_HTTP_X402_DUE_SECONDS;
    }

    return NGX_CONF_OK;
}
