/*
 * The directives: each value is read and checked where it is written, so that a mistake
 * is found at start, with file and line.
 */
#include "nginx/module.h"

#include "core/text.h"

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
    if (args[1].len == 0) {
        return "is the path of a file";
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

static ngx_uint_t ngx_http_x402_are_distinct(const ngx_array_t *networks)
{
    ngx_uint_t i, j;
    const struct x402_network *network = networks->elts;

    for (i = 0; i < networks->nelts; i++) {
        for (j = 0; j < i; j++) {
            if (network[i].chain_id == network[j].chain_id) {
                return 0;
            }
        }
    }

    return 1;
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
    struct x402_network *network, *declared;

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
    declared = mcf->networks->elts;
    for (i = 0; i + 1 < mcf->networks->nelts; i++) {
        if (declared[i].chain_id == network->chain_id) {
            return "declares a network a second time";
        }
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

static char *ngx_http_x402_set_window_bound(ngx_http_x402_loc_conf_t *lcf,
                                            const ngx_str_t *arg)
{
    ngx_str_t value;

    if (ngx_http_x402_option(arg, "min", &value)) {
        return ngx_http_x402_seconds(&value, &lcf->window_min)
                   ? NGX_CONF_OK
                   : "has a min that is not a number of seconds from 1 to 31536000";
    }
    if (ngx_http_x402_option(arg, "max", &value)) {
        return ngx_http_x402_seconds(&value, &lcf->window_max)
                   ? NGX_CONF_OK
                   : "has a max that is not a number of seconds from 1 to 31536000";
    }

    return "takes min=SECONDS and max=SECONDS after the window";
}

/* One directive sets all three; what it does not name has its default. */
static char *ngx_http_x402_set_window(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char *rc;
    ngx_uint_t i;
    ngx_http_x402_loc_conf_t *lcf = conf;
    ngx_str_t *args = cf->args->elts;

    (void)cmd;

    if (lcf->window != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }
    if (!ngx_http_x402_seconds(&args[1], &lcf->window)) {
        return "is not a number of seconds from 1 to 31536000";
    }

    lcf->window_min = NGX_HTTP_X402_WINDOW_MIN;
    lcf->window_max = NGX_HTTP_X402_WINDOW_MAX;
    for (i = 2; i < cf->args->nelts; i++) {
        rc = ngx_http_x402_set_window_bound(lcf, &args[i]);
        if (rc != NGX_CONF_OK) {
            return rc;
        }
    }

    if (lcf->window_min > lcf->window || lcf->window > lcf->window_max) {
        return "must not be below its min (30 unless set) or above its max (86400)";
    }

    return NGX_CONF_OK;
}

static char *ngx_http_x402_set_pay_to(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_x402_loc_conf_t *lcf = conf;
    ngx_str_t *args = cf->args->elts;

    (void)cmd;

    if (lcf->pay_to_set) {
        return "is duplicate";
    }
    lcf->pay_to_set = 1;

    if (x402_address_decode(lcf->pay_to20, ngx_http_x402_slice(&args[1])) == X402_OK) {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(
        NGX_LOG_EMERG, cf, 0,
        "\"x402_pay_to\" is not an address: \"%V\" (0x and 40 hex digits, "
        "with a right checksum where both cases occur)",
        &args[1]);

    return NGX_CONF_ERROR;
}

/* A price as written is checked here, to be found with its line; a variable's is not.
 */
static char *ngx_http_x402_set_price(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    uint64_t micro_usd;
    const char *why = "is not a price";
    ngx_http_x402_loc_conf_t *lcf = conf;
    ngx_str_t *args = cf->args->elts;

    (void)cmd;

    if (lcf->price.data) {
        return "is duplicate";
    }
    lcf->price = args[1];
    lcf->price_at = *cf->conf_file;

    if (ngx_http_script_variables_count(&lcf->price) ||
        (args[1].len == 3 && ngx_strncmp(args[1].data, "off", 3) == 0)) {
        return NGX_CONF_OK;
    }
    if (x402_usd_decode(&micro_usd, &why, ngx_http_x402_slice(&args[1])) == X402_OK) {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "\"x402_price\" is not a price: \"%V\": %s", &args[1], why);

    return NGX_CONF_ERROR;
}

static char *ngx_http_x402_set_accept(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_uint_t i;
    ngx_http_x402_loc_conf_t *lcf = conf;
    ngx_str_t *args = cf->args->elts;
    struct x402_network *network;

    (void)cmd;

    if (lcf->accept != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }
    if (cf->args->nelts - 1 > X402_ACCEPTS_MAX) {
        return "takes at most 8 networks";
    }

    lcf->accept = ngx_array_create(cf->pool, X402_ACCEPTS_MAX, sizeof(*network));
    if (lcf->accept == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {
        network = ngx_array_push(lcf->accept);
        if (network == NULL) {
            return NGX_CONF_ERROR;
        }
        if (ngx_http_x402_find_network(cf, &args[i], network) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_x402_are_distinct(lcf->accept)
               ? NGX_CONF_OK
               : "names a network that is accepted twice";
}

static char *ngx_http_x402_set_settle(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_x402_loc_conf_t *lcf = conf;
    ngx_str_t *args = cf->args->elts;

    (void)cmd;

    if (lcf->settle_first != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    if (args[1].len == 5 && ngx_strncmp(args[1].data, "after", 5) == 0) {
        lcf->settle_first = 0;
        return NGX_CONF_OK;
    }
    if (args[1].len == 6 && ngx_strncmp(args[1].data, "before", 6) == 0) {
        lcf->settle_first = 1;
        return NGX_CONF_OK;
    }

    return "is after or before";
}

static char *ngx_http_x402_check_settle_timeout(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t *timeout = data;

    (void)cf;
    (void)post;

    return *timeout >= 1000 && *timeout <= 600000 ? NGX_CONF_OK
                                                  : "is a time from 1s to 10m";
}

/* Printable ASCII that has its plain meaning in a URL and nowhere ends it. */
static ngx_uint_t ngx_http_x402_is_url_text(const u_char *p, const u_char *end)
{
    for (; p < end; p++) {
        if (*p <= ' ' || *p >= 0x7f || ngx_strchr("?#\"'<>\\^`{|}", *p) != NULL) {
            return 0;
        }
    }

    return 1;
}

/* Where the host begins; 0 when the text is no URL of HTTP. */
static size_t ngx_http_x402_host_at(const ngx_str_t *url)
{
    if (url->len > 7 && ngx_strncasecmp(url->data, (u_char *)"http://", 7) == 0) {
        return 7;
    }
    if (url->len > 8 && ngx_strncasecmp(url->data, (u_char *)"https://", 8) == 0) {
        return 8;
    }

    return 0;
}

/* Cuts a last slash. */
static ngx_uint_t ngx_http_x402_is_url(ngx_str_t *url, size_t host)
{
    if (url->data[url->len - 1] == '/') {
        url->len--;
    }

    return url->len <= 512 && url->data[host] != '/' &&
           ngx_http_x402_is_url_text(url->data + host, url->data + url->len);
}

static char *ngx_http_x402_check_public_url(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t *url = data;
    size_t host = ngx_http_x402_host_at(url);

    (void)cf;
    (void)post;

    if (host == 0) {
        return "must start with http:// or https:// and a host";
    }
    if (!ngx_http_x402_is_url(url, host)) {
        return "is scheme and authority, with a path prefix at most";
    }

    return NGX_CONF_OK;
}

/* It stands in every offer: whoever has a secret for the facilitator keeps it out. */
static char *ngx_http_x402_check_facilitator(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t *url = data;
    size_t host = ngx_http_x402_host_at(url);

    (void)cf;
    (void)post;

    if (host == 0) {
        return "must start with http:// or https:// and a host";
    }
    if (!ngx_http_x402_is_url(url, host) ||
        ngx_strlchr(url->data, url->data + url->len, '@') != NULL) {
        return "is the facilitator's URL, without user or query";
    }

    return NGX_CONF_OK;
}

static char *ngx_http_x402_check_text(ngx_conf_t *cf, void *post, void *data)
{
    ngx_str_t *text = data;

    (void)cf;
    (void)post;

    return x402_utf8_valid(ngx_http_x402_slice(text)) ? NGX_CONF_OK
                                                      : "must be UTF-8 text";
}

static ngx_conf_post_t ngx_http_x402_settle_timeout_post = {
    ngx_http_x402_check_settle_timeout};
static ngx_conf_post_t ngx_http_x402_text_post = {ngx_http_x402_check_text};
static ngx_conf_post_t ngx_http_x402_public_url_post = {ngx_http_x402_check_public_url};
static ngx_conf_post_t ngx_http_x402_facilitator_post = {
    ngx_http_x402_check_facilitator};

#define NGX_HTTP_X402_ANY (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF)
#define NGX_HTTP_X402_LOC(member) offsetof(ngx_http_x402_loc_conf_t, member)

ngx_command_t ngx_http_x402_commands[] = {
    {ngx_string("x402_ledger"), NGX_HTTP_MAIN_CONF | NGX_CONF_TAKE1,
     ngx_http_x402_set_ledger, NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_network"), NGX_HTTP_MAIN_CONF | NGX_CONF_1MORE,
     ngx_http_x402_set_network, NGX_HTTP_MAIN_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_pay_to"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_http_x402_set_pay_to, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_accept"), NGX_HTTP_X402_ANY | NGX_CONF_1MORE,
     ngx_http_x402_set_accept, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_price"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_http_x402_set_price, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_enforce"), NGX_HTTP_X402_ANY | NGX_CONF_FLAG,
     ngx_conf_set_flag_slot, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_X402_LOC(enforce),
     NULL},

    {ngx_string("x402_settle"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_http_x402_set_settle, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_settle_timeout"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_conf_set_msec_slot, NGX_HTTP_LOC_CONF_OFFSET,
     NGX_HTTP_X402_LOC(settle_timeout), &ngx_http_x402_settle_timeout_post},

    {ngx_string("x402_max_unsettled"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_http_x402_set_bound, NGX_HTTP_LOC_CONF_OFFSET,
     NGX_HTTP_X402_LOC(max_unsettled), NULL},

    {ngx_string("x402_max_unsettled_new"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_http_x402_set_bound, NGX_HTTP_LOC_CONF_OFFSET,
     NGX_HTTP_X402_LOC(max_unsettled_new), NULL},

    {ngx_string("x402_max_unsettled_total"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_http_x402_set_bound, NGX_HTTP_LOC_CONF_OFFSET,
     NGX_HTTP_X402_LOC(max_unsettled_total), NULL},

    {ngx_string("x402_rate"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE12,
     ngx_http_x402_set_rate, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_refusal_rate"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE12,
     ngx_http_x402_set_refusal_rate, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_window"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE123,
     ngx_http_x402_set_window, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_description"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_conf_set_str_slot, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_X402_LOC(description),
     &ngx_http_x402_text_post},

    {ngx_string("x402_mime_type"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_conf_set_str_slot, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_X402_LOC(mime_type),
     &ngx_http_x402_text_post},

    {ngx_string("x402_facilitator"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_conf_set_str_slot, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_X402_LOC(facilitator),
     &ngx_http_x402_facilitator_post},

    {ngx_string("x402_public_url"), NGX_HTTP_X402_ANY | NGX_CONF_TAKE1,
     ngx_conf_set_str_slot, NGX_HTTP_LOC_CONF_OFFSET, NGX_HTTP_X402_LOC(public_url),
     &ngx_http_x402_public_url_post},

    {ngx_string("x402_receipts"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS,
     ngx_http_x402_receipts, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_status"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE12,
     ngx_http_x402_status, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_stats"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE12,
     ngx_http_x402_stats, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_metrics"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE12,
     ngx_http_x402_metrics, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_health"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS,
     ngx_http_x402_health, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    {ngx_string("x402_ready"), NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE12,
     ngx_http_x402_ready, NGX_HTTP_LOC_CONF_OFFSET, 0, NULL},

    ngx_null_command};
