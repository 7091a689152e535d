/*
 * The content handler x402_stats: the figures of the status page as JSON, a second old
 * at most.
 */
#include "nginx/pages.h"

char *ngx_http_x402_stats(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    (void)conf;

    return ngx_http_x402_page_text(cf, cmd, NGX_HTTP_X402_VIEW_STATS);
}
