/*
 * The content handler x402_stats: the figures of the status page as JSON, a second old
 * at most.
 */
#include "nginx/pages.h"

static void ngx_http_x402_stats_answer(ngx_http_request_t *r,
                                       ngx_http_x402_page_t *page)
{
    ngx_http_x402_page_send_text(r, page, "application/json");
}

ngx_int_t ngx_http_x402_stats_show(ngx_http_request_t *r, ngx_http_x402_page_t *page)
{
    return ngx_http_x402_page_show(r, page, ngx_http_x402_stats_answer);
}

static ngx_int_t ngx_http_x402_stats_handler(ngx_http_request_t *r)
{
    ngx_int_t rc;
    ngx_http_x402_page_t *page;

    rc = ngx_http_x402_page_enter(r, &page);

    return rc == NGX_OK ? ngx_http_x402_stats_show(r, page) : rc;
}

char *ngx_http_x402_stats(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char *error;
    ngx_http_x402_page_t *page;

    (void)conf;

    page = ngx_http_x402_page_create(cf, cmd, NGX_HTTP_X402_VIEW_STATS,
                                     ngx_http_x402_stats_handler, &error);

    return page != NULL ? ngx_http_x402_page_guard(cf, page) : error;
}
