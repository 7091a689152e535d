/*
 * What a location sells, as others see it: a line of the list that pages show, and
 * counters of the tally, one for each token. Locations of one name (of two servers, or
 * an `if` within) share them: the ledger knows a route by its name.
 */
#include "nginx/module.h"

/* ----------------------------------------------------------------------- counters */

static ngx_uint_t ngx_http_x402_same_counter(const struct x402_sales *a,
                                             const struct x402_sales *b)
{
    return a->chain_id == b->chain_id && ngx_memcmp(a->asset20, b->asset20, 20) == 0 &&
           ngx_strcmp(a->route, b->route) == 0;
}

static ngx_int_t ngx_http_x402_find_counter(ngx_array_t *counters,
                                            const struct x402_sales *wanted,
                                            ngx_uint_t *out)
{
    ngx_uint_t i;
    struct x402_sales *counter = counters->elts;

    for (i = 0; i < counters->nelts; i++) {
        if (ngx_http_x402_same_counter(&counter[i], wanted)) {
            *out = i;
            return NGX_OK;
        }
    }

    counter = ngx_array_push(counters);
    if (counter == NULL) {
        return NGX_ERROR;
    }
    *counter = *wanted;
    *out = i;

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_set_counters(ngx_array_t *counters,
                                            ngx_http_x402_sale_t *sale)
{
    size_t i;
    struct x402_sales wanted;
    const struct x402_network *network;

    for (i = 0; i < sale->offer.accepts_count; i++) {
        network = &sale->offer.accepts[i].network;

        ngx_memzero(&wanted, sizeof(wanted));
        if (sale->location.len) {
            ngx_memcpy(wanted.route, sale->location.data,
                       ngx_min(sale->location.len, X402_ROUTE_MAX - 1));
        }
        wanted.chain_id = network->chain_id;
        ngx_memcpy(wanted.asset20, network->asset20, 20);

        if (ngx_http_x402_find_counter(counters, &wanted, &sale->counters[i]) !=
            NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}

/* -------------------------------------------------------------------- what is shown */

static const char *ngx_http_x402_copy(ngx_pool_t *pool, const void *data, size_t size)
{
    u_char *out = ngx_pnalloc(pool, size + 1);

    if (out != NULL) {
        *ngx_cpymem(out, data, size) = '\0';
    }

    return (const char *)out;
}

static const char *ngx_http_x402_copy_networks(ngx_pool_t *pool,
                                               const struct x402_offer *offer)
{
    size_t i;
    char text[X402_ACCEPTS_MAX * (X402_NETWORK_NAME_MAX + X402_CAIP2_TEXT_SIZE)];
    char caip2[X402_CAIP2_TEXT_SIZE];
    u_char *p = (u_char *)text, *last = p + sizeof(text);
    const struct x402_network *network;

    for (i = 0; i < offer->accepts_count; i++) {
        network = &offer->accepts[i].network;
        x402_caip2_encode(caip2, network->chain_id);
        p = ngx_slprintf(p, last, "%s%s", i ? " " : "",
                         network->name[0] ? network->name : caip2);
    }

    return ngx_http_x402_copy(pool, text, (size_t)(p - (u_char *)text));
}

static const char *ngx_http_x402_copy_price(ngx_pool_t *pool,
                                            const ngx_http_x402_sale_t *sale)
{
    char text[X402_AMOUNT_TEXT_SIZE];

    if (sale->dynamic_price != NULL) {
        return "";
    }
    x402_amount_encode(text, sale->micro_usd, 6);

    return ngx_http_x402_copy(pool, text, ngx_strlen(text));
}

/* A pattern is no path, and what is internal nobody can ask for. */
static ngx_uint_t ngx_http_x402_is_buyable(const ngx_http_core_loc_conf_t *clcf)
{
#if (NGX_PCRE)
    if (clcf->regex != NULL) {
        return 0;
    }
#endif

    return !clcf->named && !clcf->internal;
}

static ngx_int_t ngx_http_x402_show(ngx_conf_t *cf, ngx_array_t *sold,
                                    const ngx_http_x402_sale_t *sale,
                                    const ngx_http_core_loc_conf_t *clcf)
{
    const struct x402_slice *about = &sale->offer.description;
    struct x402_report_sale *shown = ngx_array_push(sold);

    if (shown == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(shown, sizeof(*shown));
    shown->path = ngx_http_x402_copy(cf->pool, sale->location.data, sale->location.len);
    shown->url =
        ngx_http_x402_copy(cf->pool, sale->public_url.data, sale->public_url.len);
    shown->price = ngx_http_x402_copy_price(cf->pool, sale);
    shown->description = ngx_http_x402_copy(cf->pool, about->data, about->size);
    shown->networks = ngx_http_x402_copy_networks(cf->pool, &sale->offer);
    shown->enforced = sale->enforced != 0;
    shown->exact = clcf->exact_match;
    shown->buyable = ngx_http_x402_is_buyable(clcf) != 0;

    return shown->path && shown->url && shown->price && shown->description &&
                   shown->networks
               ? NGX_OK
               : NGX_ERROR;
}

ngx_int_t ngx_http_x402_register_sale(ngx_conf_t *cf, ngx_http_x402_sale_t *sale)
{
    ngx_http_core_loc_conf_t *clcf;
    ngx_http_x402_main_conf_t *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_x402_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (ngx_http_x402_set_counters(mcf->counters, sale) != NGX_OK) {
        return NGX_ERROR;
    }

    /* What stands in a server has no name, and what an `if` says is part of another. */
    if (sale->location.len == 0 || clcf->noname) {
        return NGX_OK;
    }

    return ngx_http_x402_show(cf, mcf->sold, sale, clcf);
}
