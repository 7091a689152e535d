/*
 * The content handler x402_metrics: Prometheus text. A ledger that cannot be read is
 * one of the answers.
 */
#include "nginx/pages.h"

static void ngx_http_x402_metrics_answer(ngx_http_request_t *r,
                                         ngx_http_x402_page_t *page)
{
    ngx_http_x402_page_send_text(r, page, "text/plain; version=0.0.4; charset=utf-8");
}

static ngx_int_t ngx_http_x402_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t rc;
    ngx_http_x402_page_t *page;

    rc = ngx_http_x402_page_enter(r, &page);

    return rc == NGX_OK ? ngx_http_x402_page_show(r, page, ngx_http_x402_metrics_answer)
                        : rc;
}

char *ngx_http_x402_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char *error;
    ngx_http_x402_page_t *page;

    (void)conf;

    page = ngx_http_x402_page_create(cf, cmd, NGX_HTTP_X402_VIEW_METRICS,
                                     ngx_http_x402_metrics_handler, &error);

    return page != NULL ? ngx_http_x402_page_guard(cf, page) : error;
}
