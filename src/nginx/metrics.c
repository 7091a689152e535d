/*
 * The content handler x402_metrics: Prometheus text. A ledger that cannot be read is
 * one of the answers.
 */
#include "nginx/pages.h"

char *ngx_http_x402_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    (void)conf;

    return ngx_http_x402_page_text(cf, cmd, NGX_HTTP_X402_VIEW_METRICS);
}
