/*
 * How much may be served before it is settled: the bounds as they are written, in
 * dollars, and what they are in the token of each network.
 */
#include "nginx/module.h"

#include "core/clock.h"

#define NGX_HTTP_X402_UNSETTLED_OFF UINT64_MAX

#define NGX_HTTP_X402_CLOCK_SLACK 60 /* s a caller's clock may be ahead of ours */

/* Defaults, in millionths of a dollar. */
#define NGX_HTTP_X402_UNSETTLED 1000000
#define NGX_HTTP_X402_UNSETTLED_NEW 10000
#define NGX_HTTP_X402_UNSETTLED_TOTAL 10000000

/* The field of a bound is in cmd->offset; only that of one payer can be off. */
char *ngx_http_x402_set_bound(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    const char *why = "is not a price";
    ngx_str_t *args = cf->args->elts;
    ngx_http_x402_bound_t *bound = (void *)((char *)conf + cmd->offset);

    if (bound->set) {
        return "is duplicate";
    }
    bound->set = 1;

    if (args[1].len == 3 && ngx_strncmp(args[1].data, "off", 3) == 0) {
        if (cmd->offset != offsetof(ngx_http_x402_loc_conf_t, max_unsettled)) {
            return "cannot be off: \"x402_max_unsettled off\" lifts all bounds";
        }
        bound->micro_usd = NGX_HTTP_X402_UNSETTLED_OFF;
        return NGX_CONF_OK;
    }
    if (x402_usd_decode(&bound->micro_usd, &why, ngx_http_x402_slice(&args[1])) ==
        X402_OK) {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"%V\" is not an amount in dollars: \"%V\": %s", &cmd->name,
                       &args[1], why);

    return NGX_CONF_ERROR;
}

static void ngx_http_x402_merge_bound(ngx_http_x402_bound_t *conf,
                                      const ngx_http_x402_bound_t *prev,
                                      uint64_t standard)
{
    if (conf->set) {
        return;
    }

    *conf = *prev;
    if (!prev->set) {
        conf->micro_usd = standard;
    }
}

void ngx_http_x402_merge_credit(ngx_http_x402_loc_conf_t *conf,
                                const ngx_http_x402_loc_conf_t *prev)
{
    ngx_http_x402_merge_bound(&conf->max_unsettled, &prev->max_unsettled,
                              NGX_HTTP_X402_UNSETTLED);
    ngx_http_x402_merge_bound(&conf->max_unsettled_new, &prev->max_unsettled_new,
                              NGX_HTTP_X402_UNSETTLED_NEW);
    ngx_http_x402_merge_bound(&conf->max_unsettled_total, &prev->max_unsettled_total,
                              NGX_HTTP_X402_UNSETTLED_TOTAL);
}

/*
 * What cannot be collected counts as unsettled until its authorization has expired. One
 * that is valid for longer than it was asked to be would hold credit for so long, and
 * is settled first.
 */
ngx_uint_t ngx_http_x402_outlives(const struct x402_credit *credit,
                                  const struct x402_offer *offer,
                                  uint64_t valid_before_seconds)
{
    uint64_t asked = (uint64_t)x402_clock_seconds() + offer->window_seconds;

    return credit->payer_max != UINT64_MAX &&
           valid_before_seconds > asked + NGX_HTTP_X402_CLOCK_SLACK;
}

void ngx_http_x402_credit(struct x402_credit *out, const ngx_http_x402_loc_conf_t *lcf,
                          unsigned decimals)
{
    out->settle_first = lcf->settle_first;

    if (lcf->max_unsettled.micro_usd == NGX_HTTP_X402_UNSETTLED_OFF) {
        out->payer_max = UINT64_MAX;
        out->new_payer_max = UINT64_MAX;
        out->total_max = UINT64_MAX;
        return;
    }

    out->payer_max = x402_usd_to_bound(lcf->max_unsettled.micro_usd, decimals);
    out->new_payer_max = ngx_min(
        x402_usd_to_bound(lcf->max_unsettled_new.micro_usd, decimals), out->payer_max);
    out->total_max = x402_usd_to_bound(lcf->max_unsettled_total.micro_usd, decimals);
}
