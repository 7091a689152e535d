/*
 * Directives, merging, and the start and stop of a worker. Every value is checked here,
 * so that a mistake is found at start, with file and line.
 */
#include "nginx/module.h"

#define NGX_HTTP_X402_WINDOW 300
#define NGX_HTTP_X402_WINDOW_MIN 30
#define NGX_HTTP_X402_WINDOW_MAX 86400

static const struct x402_rate ngx_http_x402_default_rate = {60, 60000, 60};
static const struct x402_rate ngx_http_x402_default_refusal_rate = {10, 1000, 100};

static struct x402_slice ngx_http_x402_slice(const ngx_str_t *text)
{
    return (struct x402_slice){(const char *)text->data, text->len};
}

/* "name=value" with that name: its value. */
static ngx_uint_t ngx_http_x402_option(const ngx_str_t *arg, const char *name,
                                       ngx_str_t *value)
{
    size_t size = ngx_strlen(name);

    if (arg->len <= size || ngx_strncmp(arg->data, name, size) != 0 ||
        arg->data[size] != '=') {
        return 0;
    }

    value->data = arg->data + size + 1;
    value->len = arg->len - size - 1;

    return 1;
}

/* ------------------------------------------------------------------------ directives
 */

static char *ngx_http_x402_set_ledger(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_x402_main_conf_t *mcf = conf;
    ngx_str_t *args = cf->args->elts;

    (void)cmd;

    if (mcf->ledger.data) {
        return "is duplicate";
    }

    mcf->ledger = args[1];
    if (ngx_conf_full_name(cf->cycle, &mcf->ledger, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}

static char *ngx_http_x402_set_name(char *out, size_t out_size, const ngx_str_t *value)
{
    if (value->len == 0 || value->len >= out_size) {
        return "has a name that is empty or too long";
    }

    ngx_memzero(out, out_size);
    ngx_memcpy(out, value->data, value->len);

    return NGX_CONF_OK;
}

static char *ngx_http_x402_set_network_option(struct x402_network *network,
                                              const ngx_str_t *arg)
{
    ngx_int_t n;
    ngx_str_t value;

    if (ngx_http_x402_option(arg, "asset", &value)) {
        return x402_address_decode(network->asset20, ngx_http_x402_slice(&value)) ==
                       X402_OK
                   ? NGX_CONF_OK
                   : "has an asset that is not an address (0x and 40 hex digits, with "
                     "a "
                     "right checksum where both cases occur)";
    }
    if (ngx_http_x402_option(arg, "name", &value)) {
        return ngx_http_x402_set_name(network->asset_name, sizeof(network->asset_name),
                                      &value);
    }
    if (ngx_http_x402_option(arg, "version", &value)) {
        return ngx_http_x402_set_name(network->asset_version,
                                      sizeof(network->asset_version), &value);
    }
    if (ngx_http_x402_option(arg, "decimals", &value)) {
        n = ngx_atoi(value.data, value.len);
        if (n == NGX_ERROR || n > 36) {
            return "has decimals that are not a number from 0 to 36";
        }
        network->decimals = (uint8_t)n;
        return NGX_CONF_OK;
    }

    return "takes asset=, name=, version= and decimals=";
}

static ngx_uint_t ngx_http_x402_network_is_complete(const struct x402_network *network)
{
    static const uint8_t none20[20];

    return ngx_memcmp(network->asset20, none20, 20) != 0 && network->asset_name[0] &&
           network->asset_version[0];
}

static char *ngx_http_x402_set_network(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char *rc;
    ngx_uint_t i;
    ngx_http_x402_main_conf_t *mcf = conf;
    ngx_str_t *args = cf->args->elts;
    struct x402_network *network;

    (void)cmd;

    network = ngx_array_push(mcf->networks);
    if (network == NULL) {
        return NGX_CONF_ERROR;
    }

    if (x402_network_find(network, ngx_http_x402_slice(&args[1])) != X402_OK) {
        ngx_memzero(network, sizeof(*network));
        network->decimals = 6;
        if (x402_caip2_decode(&network->chain_id, ngx_http_x402_slice(&args[1])) !=
            X402_OK) {
            return "names no network known here: write eip155:ID asset= name= version=";
        }
    }

    for (i = 2; i < cf->args->nelts; i++) {
        rc = ngx_http_x402_set_network_option(network, &args[i]);
        if (rc != NGX_CONF_OK) {
            return rc;
        }
    }

    if (!ngx_http_x402_network_is_complete(network)) {
        return "needs asset=, name= and version= for a network not known here";
    }
    x402_network_seal(network);

    return NGX_CONF_OK;
}

static char *ngx_http_x402_set_rate_value(ngx_conf_t *cf, struct x402_rate *rate,
                                          ngx_flag_t *set)
{
    ngx_int_t n;
    ngx_str_t value;
    ngx_str_t *args = cf->args->elts;
    const char *why = "is not a rate like 60r/m or 5r/s";

    if (*set) {
        return "is duplicate";
    }
    *set = 1;

    if (args[1].len == 3 && ngx_strncmp(args[1].data, "off", 3) == 0) {
        ngx_memzero(rate, sizeof(*rate));
        return cf->args->nelts == 2 ? NGX_CONF_OK : "off takes no burst";
    }

    if (x402_rate_decode(rate, &why, ngx_http_x402_slice(&args[1])) != X402_OK) {
        return (char *)(uintptr_t)why;
    }
    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (!ngx_http_x402_option(&args[2], "burst", &value)) {
        return "takes burst=N after the rate";
    }
    n = ngx_atoi(value.data, value.len);
    if (n == NGX_ERROR || n < 1 || n > X402_RATE_COUNT_MAX) {
        return "has a burst that is not a number from 1 to 1000000";
    }
    rate->burst = (uint32_t)n;

    return NGX_CONF_OK;
}

static char *ngx_http_x402_set_rate(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_x402_loc_conf_t *lcf = conf;

    (void)cmd;

    return ngx_http_x402_set_rate_value(cf, &lcf->rate, &lcf->rate_set);
}

static char *ngx_http_x402_set_refusal_rate(ngx_conf_t *cf, ngx_command_t *cmd,
                                            void *conf)
{
    ngx_http_x402_loc_conf_t *lcf = conf;

    (void)cmd;

    return ngx_http_x402_set_rate_value(cf, &lcf->refusal_rate, &lcf->refusal_rate_set);
}

static ngx_uint_t ngx_http_x402_seconds(const ngx_str_t *text, ngx_uint_t *out)
{
    ngx_int_t n = ngx_atoi(text->data, text->len);

    if (n == NGX_ERROR || n < 1 || n > 31536000) {
        return 0;
    }
    *out = (ngx_uint_t)n;

    return 1;
}

static char *ngx_http_x402_set_window(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_uint_t i;
    ngx_str_t value;
    ngx_http_x402_loc_conf_t *lcf = conf;
    ngx_str_t *args = cf->args->elts;

    (void)cmd;

    if (lcf->window != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }
    if (!ngx_http_x402_seconds(&args[1], &lcf->window)) {
        return "is not a number of seconds from 1 to 31536000";
    }

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_x402_option(&args[i], "min", &value)) {
            if (!ngx_http_x402_seconds(&value, &lcf->window_min)) {
                return "has a min that is not a number of seconds from 1 to 31536000";
            }
        } else if (ngx_http_x402_option(&args[i], "max", &value)) {
            if (!ngx_http_x402_seconds(&value, &lcf->window_max)) {
                return "has a max that is not a number of seconds from 1 to 31536000";
            }
        } else {
            return "takes min=SECONDS and max=SECONDS after the window";
        }
    }

    return NGX_CONF_OK;
}

static char *ngx_http_x402_set_settle(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t *args = cf->args->elts;

    (void)cmd;
    (void)conf;

    if (args[1].len == 5 && ngx_strncmp(args[1].data, "after", 5) == 0) {
        return NGX_CONF_OK;
    }
    if (args[1].len == 6 && ngx_strncmp(args[1].data, "before", 6) == 0) {
        return "before is not available yet: use after";
    }

    return "is after or before";
}

static char *ngx_http_x402_check_public_url(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t *url = data;
    size_t skip;

    (void)cf;
    (void)post;

    if (url->len > 7 && ngx_strncasecmp(url->data, (u_char *)"http://", 7) == 0) {
        skip = 7;
    } else if (url->len > 8 &&
               ngx_strncasecmp(url->data, (u_char *)"https://", 8) == 0) {
        skip = 8;
    } else {
        return "must start with http:// or https://";
    }

    if (url->data[url->len - 1] == '/') {
        url->len--;
    }
    if (url->len > 512 ||
        ngx_strlchr(url->data + skip, url->data + url->len, '?') != NULL) {
        return "is scheme and authority, with a path prefix at most";
    }

    return NGX_CONF_OK;
}

static ngx_conf_post_t ngx_http_x402_public_url_post = {ngx_http_x402_check_public_url};

#define NGX_HTTP_X402_ANY (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF)
#define NGX_HTTP_X402_LOC(member) offsetof(ngx_http_x402_loc_conf_t, member)

static ngx_command_t ngx_http_x402_commands[] = {
    {ngx_string("x402_ledger"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
     ngx_http_x402_set_ledger, NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_network"), NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE,
     ngx_http_x402_set_network, NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_pay_to"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_conf_set_str_slot, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_X402_LOC(pay_to), NULL},

    {ngx_string("x402_accept"), NGX_HTTP_X402_ANY | NGX_CONF_1MORE,
     ngx_conf_set_str_array_slot, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_X402_LOC(accept),
     NULL},

    {ngx_string("x402_price"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_conf_set_str_slot, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_X402_LOC(price), NULL},

    {ngx_string("x402_settle"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_http_x402_set_settle, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_rate"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE12,
     ngx_http_x402_set_rate, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_refusal_rate"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE12,
     ngx_http_x402_set_refusal_rate, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_window"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE123,
     ngx_http_x402_set_window, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_description"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_conf_set_str_slot, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_X402_LOC(description),
     NULL},

    {ngx_string("x402_mime_type"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_conf_set_str_slot, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_X402_LOC(mime_type),
     NULL},

    {ngx_string("x402_public_url"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_conf_set_str_slot, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_X402_LOC(public_url),
     &ngx_http_x402_public_url_post},

    {ngx_string("x402_stats"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS, ngx_http_x402_stats,
     NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    ngx_null_command};

/* ------------------------------------------------------------------ create and merge
 */

static void *ngx_http_x402_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_x402_main_conf_t *mcf = ngx_pcalloc(cf->pool, sizeof(*mcf));

    if (mcf == NULL) {
        return NULL;
    }
    mcf->networks = ngx_array_create(cf->pool, 2, sizeof(struct x402_network));

    return mcf->networks ? mcf : NULL;
}

static void *ngx_http_x402_create_srv_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_x402_srv_conf_t));
}

static void *ngx_http_x402_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_x402_loc_conf_t *lcf = ngx_pcalloc(cf->pool, sizeof(*lcf));

    if (lcf == NULL) {
        return NULL;
    }

    lcf->accept = NGX_CONF_UNSET_PTR;
    lcf->window = NGX_CONF_UNSET_UINT;
    lcf->window_min = NGX_CONF_UNSET_UINT;
    lcf->window_max = NGX_CONF_UNSET_UINT;

    return lcf;
}

/* A declared network of this name, or a built-in one. */
static ngx_int_t ngx_http_x402_find_network(ngx_conf_t *cf, const ngx_str_t *name,
                                            struct x402_network *out)
{
    ngx_uint_t i;
    char caip2[X402_CAIP2_TEXT_SIZE];
    ngx_http_x402_main_conf_t *mcf;
    struct x402_network *declared;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_x402_module);
    declared = mcf->networks->elts;

    for (i = 0; i < mcf->networks->nelts; i++) {
        x402_caip2_encode(caip2, declared[i].chain_id);
        if (x402_slice_equal(x402_slice_of(caip2), ngx_http_x402_slice(name)) ||
            (declared[i].name[0] && x402_slice_equal(x402_slice_of(declared[i].name),
                                                     ngx_http_x402_slice(name)))) {
            *out = declared[i];
            return NGX_OK;
        }
    }

    if (x402_network_find(out, ngx_http_x402_slice(name)) != X402_OK) {
        ngx_conf_log_error(
            NGX_LOG_EMERG, cf, 0,
            "\"x402_accept\" names the unknown network \"%V\": declare it "
            "with x402_network",
            name);
        return NGX_ERROR;
    }

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_add_accept(ngx_conf_t *cf, struct x402_offer *offer,
                                          const struct x402_network *network)
{
    size_t i;

    if (offer->accepts_count == X402_ACCEPTS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "at most %d networks in one offer",
                           X402_ACCEPTS_MAX);
        return NGX_ERROR;
    }

    for (i = 0; i < offer->accepts_count; i++) {
        if (offer->accepts[i].network.chain_id == network->chain_id) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "network eip155:%uL is accepted twice",
                               network->chain_id);
            return NGX_ERROR;
        }
    }

    offer->accepts[offer->accepts_count++].network = *network;

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_accept_networks(ngx_conf_t *cf,
                                               ngx_http_x402_loc_conf_t *lcf,
                                               struct x402_offer *offer)
{
    ngx_uint_t i;
    ngx_str_t *names;
    struct x402_network network;
    struct x402_network *declared;
    ngx_http_x402_main_conf_t *mcf;

    if (lcf->accept != NULL) {
        names = lcf->accept->elts;
        for (i = 0; i < lcf->accept->nelts; i++) {
            if (ngx_http_x402_find_network(cf, &names[i], &network) != NGX_OK ||
                ngx_http_x402_add_accept(cf, offer, &network) != NGX_OK) {
                return NGX_ERROR;
            }
        }
        return NGX_OK;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_x402_module);
    declared = mcf->networks->elts;
    for (i = 0; i < mcf->networks->nelts; i++) {
        if (ngx_http_x402_add_accept(cf, offer, &declared[i]) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (offer->accepts_count == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"x402_price\" needs a network: add \"x402_accept "
                           "base-sepolia\" or declare one with x402_network");
        return NGX_ERROR;
    }

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_set_payee(ngx_conf_t *cf, ngx_http_x402_loc_conf_t *lcf,
                                         struct x402_offer *offer)
{
    size_t i;
    uint8_t payee20[20];

    if (lcf->pay_to.data == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"x402_price\" needs somebody to pay: add \"x402_pay_to "
                           "ADDRESS\"");
        return NGX_ERROR;
    }

    if (x402_address_decode(payee20, ngx_http_x402_slice(&lcf->pay_to)) != X402_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"x402_pay_to\" is not an address: \"%V\" (0x and 40 hex "
                           "digits, with a right checksum where both cases occur)",
                           &lcf->pay_to);
        return NGX_ERROR;
    }

    for (i = 0; i < offer->accepts_count; i++) {
        ngx_memcpy(offer->accepts[i].pay_to20, payee20, 20);
    }

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_fixed_price(ngx_conf_t *cf, const ngx_str_t *price,
                                           struct x402_offer *offer)
{
    size_t i;
    uint64_t micro_usd;
    const char *why = "";

    if (x402_usd_decode(&micro_usd, &why, ngx_http_x402_slice(price)) != X402_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"x402_price\" is not a price: \"%V\": %s", price, why);
        return NGX_ERROR;
    }

    for (i = 0; i < offer->accepts_count; i++) {
        if (x402_usd_to_atomic(&offer->accepts[i].value, micro_usd,
                               offer->accepts[i].network.decimals) != X402_OK) {
            ngx_conf_log_error(
                NGX_LOG_EMERG, cf, 0,
                "\"x402_price\" \"%V\" cannot be expressed in the token of "
                "eip155:%uL",
                price, offer->accepts[i].network.chain_id);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_dynamic_price(ngx_conf_t *cf, ngx_str_t *price,
                                             ngx_http_x402_sale_t *sale)
{
    ngx_http_compile_complex_value_t ccv;

    sale->dynamic_price = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (sale->dynamic_price == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ccv));
    ccv.cf = cf;
    ccv.value = price;
    ccv.complex_value = sale->dynamic_price;

    return ngx_http_compile_complex_value(&ccv);
}

static ngx_int_t ngx_http_x402_encode_offer(ngx_conf_t *cf, ngx_http_x402_sale_t *sale)
{
    size_t size = x402_offer_text_size_max(&sale->offer);
    char *buffer = ngx_pnalloc(cf->pool, size);

    if (buffer == NULL) {
        return NGX_ERROR;
    }

    if (x402_offer_encode(&sale->text, buffer, size, &sale->offer) != X402_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "x402_description and x402_mime_type must be UTF-8 text");
        return NGX_ERROR;
    }

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_set_offer(ngx_conf_t *cf, ngx_http_x402_loc_conf_t *lcf,
                                         ngx_http_x402_sale_t *sale)
{
    struct x402_offer *offer = &sale->offer;

    offer->description = ngx_http_x402_slice(&lcf->description);
    offer->mime_type = ngx_http_x402_slice(&lcf->mime_type);
    offer->window_seconds = (uint32_t)lcf->window;
    offer->window_min_seconds = (uint32_t)lcf->window_min;
    offer->window_max_seconds = (uint32_t)lcf->window_max;

    if (lcf->window_min > lcf->window || lcf->window > lcf->window_max) {
        ngx_conf_log_error(
            NGX_LOG_EMERG, cf, 0,
            "\"x402_window\" must not be below its min (%ui) or above its "
            "max (%ui)",
            lcf->window_min, lcf->window_max);
        return NGX_ERROR;
    }

    if (ngx_http_x402_accept_networks(cf, lcf, offer) != NGX_OK ||
        ngx_http_x402_set_payee(cf, lcf, offer) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_script_variables_count(&lcf->price)) {
        return ngx_http_x402_dynamic_price(cf, &lcf->price, sale);
    }
    if (ngx_http_x402_fixed_price(cf, &lcf->price, offer) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_x402_encode_offer(cf, sale);
}

static ngx_int_t ngx_http_x402_mark_selling(ngx_conf_t *cf)
{
    ngx_http_x402_main_conf_t *mcf;
    ngx_http_x402_srv_conf_t *scf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_x402_module);
    scf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_x402_module);

    if (mcf->ledger.data == NULL) {
        ngx_conf_log_error(
            NGX_LOG_EMERG, cf, 0,
            "\"x402_price\" needs a ledger: add \"x402_ledger PATH\" to http");
        return NGX_ERROR;
    }

    mcf->sells = 1;
    scf->sells = 1;

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_create_sale(ngx_conf_t *cf,
                                           ngx_http_x402_loc_conf_t *lcf)
{
    ngx_http_x402_sale_t *sale;
    ngx_http_core_loc_conf_t *clcf;

    sale = ngx_pcalloc(cf->pool, sizeof(*sale));
    if (sale == NULL) {
        return NGX_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    sale->location = clcf->name;
    sale->public_url = lcf->public_url;
    sale->rate = lcf->rate;

    if (ngx_http_x402_mark_selling(cf) != NGX_OK ||
        ngx_http_x402_set_offer(cf, lcf, sale) != NGX_OK) {
        return NGX_ERROR;
    }

    lcf->sale = sale;

    return NGX_OK;
}

static ngx_uint_t ngx_http_x402_has_price(const ngx_http_x402_loc_conf_t *lcf)
{
    return lcf->price.data != NULL &&
           !(lcf->price.len == 3 && ngx_strncmp(lcf->price.data, "off", 3) == 0);
}

static void ngx_http_x402_merge_rate(struct x402_rate *conf, ngx_flag_t *set,
                                     const struct x402_rate *prev, ngx_flag_t prev_set,
                                     const struct x402_rate *standard)
{
    if (*set) {
        return;
    }

    *conf = prev_set ? *prev : *standard;
    *set = prev_set;
}

static char *ngx_http_x402_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_x402_loc_conf_t *prev = parent;
    ngx_http_x402_loc_conf_t *conf = child;

    ngx_conf_merge_str_value(conf->price, prev->price, "off");
    if (conf->pay_to.data == NULL) {
        conf->pay_to = prev->pay_to;
    }
    ngx_conf_merge_ptr_value(conf->accept, prev->accept, NULL);
    ngx_conf_merge_str_value(conf->description, prev->description, "");
    ngx_conf_merge_str_value(conf->mime_type, prev->mime_type, "");
    ngx_conf_merge_str_value(conf->public_url, prev->public_url, "");
    ngx_conf_merge_uint_value(conf->window, prev->window, NGX_HTTP_X402_WINDOW);
    ngx_conf_merge_uint_value(conf->window_min, prev->window_min,
                              NGX_HTTP_X402_WINDOW_MIN);
    ngx_conf_merge_uint_value(conf->window_max, prev->window_max,
                              NGX_HTTP_X402_WINDOW_MAX);
    ngx_http_x402_merge_rate(&conf->rate, &conf->rate_set, &prev->rate, prev->rate_set,
                             &ngx_http_x402_default_rate);
    ngx_http_x402_merge_rate(&conf->refusal_rate, &conf->refusal_rate_set,
                             &prev->refusal_rate, prev->refusal_rate_set,
                             &ngx_http_x402_default_refusal_rate);

    if (ngx_http_x402_has_price(conf) &&
        ngx_http_x402_create_sale(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}

/* ------------------------------------------------------------------------------ phases
 */

/* First in the array is last to run: deny and auth win over 402, realip has spoken. */
static ngx_int_t ngx_http_x402_insert_handler(ngx_conf_t *cf, ngx_http_phases phase,
                                              ngx_http_handler_pt handler)
{
    ngx_http_core_main_conf_t *cmcf;
    ngx_http_handler_pt *handlers;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (ngx_array_push(&cmcf->phases[phase].handlers) == NULL) {
        return NGX_ERROR;
    }

    handlers = cmcf->phases[phase].handlers.elts;
    ngx_memmove(handlers + 1, handlers,
                (cmcf->phases[phase].handlers.nelts - 1) * sizeof(*handlers));
    handlers[0] = handler;

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_preconfiguration(ngx_conf_t *cf)
{
    return ngx_http_x402_add_variables(cf);
}

static ngx_int_t ngx_http_x402_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_x402_main_conf_t *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_x402_module);
    ngx_http_x402_outcome_init();

    if (!mcf->sells) {
        return NGX_OK;
    }

    if (ngx_thread_pool_add(cf, NULL) == NULL ||
        ngx_http_x402_limit_zone(cf, mcf) != NGX_CONF_OK ||
        ngx_http_x402_insert_handler(cf, NGX_HTTP_POST_READ_PHASE,
                                     ngx_http_x402_post_read_handler) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_x402_insert_handler(cf, NGX_HTTP_ACCESS_PHASE,
                                        ngx_http_x402_access_handler);
}

/* ----------------------------------------------------------------------- start and
 * stop */

/*
 * The master makes the ledger before its workers need it, and gives it to their user.
 * `nginx -t` comes here too and makes nothing. An error on reload must not end a
 * running master: the workers will say that they cannot open it, and answer 503.
 */
static ngx_int_t ngx_http_x402_init_module(ngx_cycle_t *cycle)
{
    ngx_core_conf_t *ccf;
    ngx_http_x402_main_conf_t *mcf;
    unsigned uid = (unsigned)-1, gid = (unsigned)-1;
    char message[X402_LEDGER_MESSAGE_MAX];

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_x402_module);
    if (ngx_test_config || mcf == NULL || !mcf->sells) {
        return NGX_OK;
    }

    ccf = (ngx_core_conf_t *)ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    if (geteuid() == 0) {
        uid = (unsigned)ccf->user;
        gid = (unsigned)ccf->group;
    }

    if (x402_ledger_create((const char *)mcf->ledger.data, uid, gid, message) ==
        X402_OK) {
        return NGX_OK;
    }

    if (ngx_is_init_cycle(cycle->old_cycle)) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, 0, "x402: %s", message);
        return NGX_ERROR;
    }
    ngx_log_error(NGX_LOG_CRIT, cycle->log, 0, "x402: %s", message);

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_init_process(ngx_cycle_t *cycle)
{
    ngx_http_x402_main_conf_t *mcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE) {
        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_x402_module);
    if (mcf == NULL || !mcf->sells) {
        return NGX_OK;
    }

    return ngx_http_x402_admission_init(cycle, &mcf->ledger);
}

static ngx_http_module_t ngx_http_x402_module_ctx = {
    ngx_http_x402_preconfiguration, ngx_http_x402_postconfiguration,
    ngx_http_x402_create_main_conf, NULL,
    ngx_http_x402_create_srv_conf,  NULL,
    ngx_http_x402_create_loc_conf,  ngx_http_x402_merge_loc_conf};

ngx_module_t ngx_http_x402_module = {NGX_MODULE_V1,
                                     &ngx_http_x402_module_ctx,
                                     ngx_http_x402_commands,
                                     NGX_HTTP_MODULE,
                                     NULL, /* init master */
                                     ngx_http_x402_init_module,
                                     ngx_http_x402_init_process,
                                     NULL, /* init thread */
                                     NULL, /* exit thread */
                                     ngx_http_x402_admission_exit,
                                     NULL, /* exit master */
                                     NGX_MODULE_V1_PADDING};

/* --------------------------------------------------- what nginx looks for in a .so
 * file */

#define NGX_HTTP_X402_EXPORT __attribute__((visibility("default")))

extern NGX_HTTP_X402_EXPORT ngx_module_t *ngx_modules[];
extern NGX_HTTP_X402_EXPORT char *ngx_module_names[];
extern NGX_HTTP_X402_EXPORT char *ngx_module_order[];

ngx_module_t *ngx_modules[] = {&ngx_http_x402_module, NULL};

static char ngx_http_x402_name[] = "ngx_http_x402_module";
static char ngx_http_x402_before[] = "ngx_http_copy_filter_module";

char *ngx_module_names[] = {ngx_http_x402_name, NULL};

/* An auxiliary filter: its body filter sees last_buf, its header filter the final 304.
 */
char *ngx_module_order[] = {ngx_http_x402_name, ngx_http_x402_before, NULL};
