/*
 * Directives, merging, and the start and stop of a worker. Every value is checked here,
 * so that a mistake is found at start, with file and line.
 */
#include "nginx/module.h"

static const struct x402_rate ngx_http_x402_default_rate = {60, 60000, 60};
static const struct x402_rate ngx_http_x402_default_refusal_rate = {10, 1000, 100};

/* ------------------------------------------------------------------ create and merge
 */

static void *ngx_http_x402_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_x402_main_conf_t *mcf = ngx_pcalloc(cf->pool, sizeof(*mcf));

    if (mcf == NULL) {
        return NULL;
    }
    mcf->networks = ngx_array_create(cf->pool, 2, sizeof(struct x402_network));
    mcf->sold = ngx_array_create(cf->pool, 8, sizeof(struct x402_report_sale));
    mcf->counters = ngx_array_create(cf->pool, 8, sizeof(struct x402_sales));

    return mcf->networks && mcf->sold && mcf->counters ? mcf : NULL;
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
    lcf->enforce = NGX_CONF_UNSET;
    lcf->settle_first = NGX_CONF_UNSET;
    lcf->settle_timeout = NGX_CONF_UNSET_MSEC;
    lcf->window = NGX_CONF_UNSET_UINT;
    lcf->window_min = NGX_CONF_UNSET_UINT;
    lcf->window_max = NGX_CONF_UNSET_UINT;

    return lcf;
}

/* What the location accepts: what it says, or else whatever is declared. */
static ngx_int_t ngx_http_x402_set_accepts(ngx_conf_t *cf,
                                           const ngx_http_x402_loc_conf_t *lcf,
                                           ngx_http_x402_sale_t *sale)
{
    ngx_uint_t i;
    struct x402_offer *offer = &sale->offer;
    const ngx_array_t *networks = lcf->accept;
    const struct x402_network *network;
    ngx_http_x402_main_conf_t *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_x402_module);
    if (networks == NULL) {
        networks = mcf->networks;
    }
    if (networks->nelts == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"x402_price\" needs a network: add \"x402_accept "
                           "base-sepolia\" or declare one with x402_network");
        return NGX_ERROR;
    }
    if (networks->nelts > X402_ACCEPTS_MAX) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "at most %d networks in one offer: choose with x402_accept",
                           X402_ACCEPTS_MAX);
        return NGX_ERROR;
    }
    if (!lcf->pay_to_set) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"x402_price\" needs somebody to pay: add \"x402_pay_to "
                           "ADDRESS\"");
        return NGX_ERROR;
    }

    network = networks->elts;
    for (i = 0; i < networks->nelts; i++) {
        offer->accepts[i].network = network[i];
        ngx_memcpy(offer->accepts[i].pay_to20, lcf->pay_to20, 20);
        ngx_http_x402_credit(&sale->credits[i], lcf, network[i].decimals);
    }
    offer->accepts_count = networks->nelts;

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_fixed_price(ngx_conf_t *cf, const ngx_str_t *price,
                                           ngx_http_x402_sale_t *sale)
{
    size_t i;
    const char *why = "";
    struct x402_offer *offer = &sale->offer;

    if (x402_usd_decode(&sale->micro_usd, &why, ngx_http_x402_slice(price)) !=
        X402_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"x402_price\" is not a price: \"%V\": %s", price, why);
        return NGX_ERROR;
    }

    for (i = 0; i < offer->accepts_count; i++) {
        if (x402_usd_to_atomic(&offer->accepts[i].value, sale->micro_usd,
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
    offer->upfront = lcf->settle_first != 0;
    offer->facilitator = ngx_http_x402_slice(&lcf->facilitator);
    offer->window_seconds = (uint32_t)lcf->window;
    offer->window_min_seconds = (uint32_t)lcf->window_min;
    offer->window_max_seconds = (uint32_t)lcf->window_max;

    if (ngx_http_x402_set_accepts(cf, lcf, sale) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_script_variables_count(&lcf->price)) {
        return ngx_http_x402_dynamic_price(cf, &lcf->price, sale);
    }
    if (ngx_http_x402_fixed_price(cf, &lcf->price, sale) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_x402_encode_offer(cf, sale);
}

static ngx_int_t ngx_http_x402_mark_selling(ngx_conf_t *cf,
                                            const ngx_http_x402_loc_conf_t *lcf)
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
    scf->enforces |= lcf->enforce;
    mcf->unenforced |= !lcf->enforce;

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_create_sale(ngx_conf_t *cf,
                                           ngx_http_x402_loc_conf_t *lcf)
{
    ngx_int_t rc;
    ngx_conf_file_t *merging = cf->conf_file;
    ngx_http_x402_sale_t *sale;
    ngx_http_core_loc_conf_t *clcf;
    ngx_http_x402_srv_conf_t *scf;

    sale = ngx_pcalloc(cf->pool, sizeof(*sale));
    if (sale == NULL) {
        return NGX_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    scf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_x402_module);
    sale->location = clcf->name;
    sale->receipts = scf->receipts;
    sale->public_url = lcf->public_url;
    sale->rate = lcf->rate;
    sale->settle_timeout = lcf->settle_timeout;
    sale->enforced = lcf->enforce;

    cf->conf_file = &lcf->price_at; /* errors name the line of the price */
    rc = ngx_http_x402_mark_selling(cf, lcf);
    if (rc == NGX_OK) {
        rc = ngx_http_x402_set_offer(cf, lcf, sale);
    }
    if (rc == NGX_OK) {
        rc = ngx_http_x402_register_sale(cf, sale);
    }
    cf->conf_file = merging;

    lcf->sale = sale;

    return rc;
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

    if (conf->price.data == NULL) {
        conf->price = prev->price;
        conf->price_at = prev->price_at;
    }
    if (!conf->pay_to_set) {
        conf->pay_to_set = prev->pay_to_set;
        ngx_memcpy(conf->pay_to20, prev->pay_to20, 20);
    }
    ngx_conf_merge_value(conf->enforce, prev->enforce, 1);
    ngx_conf_merge_value(conf->settle_first, prev->settle_first, 0);
    ngx_conf_merge_msec_value(conf->settle_timeout, prev->settle_timeout,
                              NGX_HTTP_X402_SETTLE_TIMEOUT);
    ngx_http_x402_merge_credit(conf, prev);
    ngx_conf_merge_ptr_value(conf->accept, prev->accept, NULL);
    ngx_conf_merge_str_value(conf->description, prev->description, "");
    ngx_conf_merge_str_value(conf->mime_type, prev->mime_type, "");
    ngx_conf_merge_str_value(conf->facilitator, prev->facilitator, "");
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

    /* An `if` within the location: nginx keeps the handler, and swaps what it reads. */
    if (conf->page == NULL) {
        conf->page = prev->page;
    }

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

extern ngx_module_t ngx_thread_pool_module; /* nginx's; in no header */

/*
 * As "thread_pool x402_ledger threads=1;" would: a thread that nobody else keeps
 * waiting, and of which the caches are warm. nginx has no other way to make a pool.
 */
static ngx_int_t ngx_http_x402_add_pool(ngx_conf_t *cf)
{
    static ngx_str_t words[] = {ngx_string("thread_pool"),
                                ngx_string(NGX_HTTP_X402_POOL),
                                ngx_string("threads=1")};
    ngx_array_t args = {.elts = words, .nelts = 3, .size = sizeof(ngx_str_t)};
    ngx_array_t *outer = cf->args;
    ngx_command_t *cmd = ngx_thread_pool_module.commands;
    char *rc;

    cf->args = &args;
    rc = cmd->set(cf, cmd, NULL);
    cf->args = outer;

    return rc == NGX_CONF_OK ? NGX_OK : NGX_ERROR;
}

static ngx_int_t ngx_http_x402_postconfiguration(ngx_conf_t *cf)
{
    ngx_str_t realip = ngx_string("realip_remote_addr");
    ngx_http_x402_main_conf_t *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_x402_module);
    ngx_http_x402_outcome_init();
    if (mcf->sells && ngx_http_x402_paywall_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (mcf->reads_ledger != NULL && mcf->ledger.data == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%s\" needs a ledger: add \"x402_ledger PATH\" to http",
                      mcf->reads_ledger);
        return NGX_ERROR;
    }
    if (mcf->sells && ngx_http_x402_add_pool(cf) != NGX_OK) {
        return NGX_ERROR;
    }
    if (mcf->reads_ledger != NULL && ngx_thread_pool_add(cf, NULL) == NULL) {
        return NGX_ERROR;
    }
    if ((mcf->sells || mcf->guards) &&
        ngx_http_x402_limit_zone(cf, mcf) != NGX_CONF_OK) {
        return NGX_ERROR;
    }
    if (!mcf->sells) {
        return NGX_OK;
    }

    mcf->realip_index = ngx_http_get_variable_index(cf, &realip);

    if (mcf->realip_index == NGX_ERROR ||
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
    if (mcf == NULL) {
        return NGX_OK;
    }
    ngx_http_x402_limit_use(mcf->limits);
    if (!mcf->sells) {
        return NGX_OK;
    }

    if (ngx_http_x402_tally_init(cycle, mcf) != NGX_OK ||
        ngx_http_x402_settling_init(cycle, &mcf->ledger) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_x402_admission_init(cycle, &mcf->ledger);
}

static void ngx_http_x402_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_x402_admission_exit(cycle);
    ngx_http_x402_settling_exit();
    ngx_http_x402_receipts_exit();
    ngx_http_x402_pages_exit();
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
                                     ngx_http_x402_exit_process,
                                     NULL, /* exit master */
                                     NGX_MODULE_V1_PADDING};

/* --------------------------------------------------- what nginx looks for in a .so
 * file */

#define NGX_HTTP_X402_EXPORT __attribute__((visibility("default")))

extern NGX_HTTP_X402_EXPORT char *ngx_module_order[];

NGX_HTTP_X402_EXPORT ngx_module_t *ngx_modules[] = {&ngx_http_x402_module, NULL};

static char ngx_http_x402_name[] = "ngx_http_x402_module";
static char ngx_http_x402_before[] = "ngx_http_copy_filter_module";

NGX_HTTP_X402_EXPORT char *ngx_module_names[] = {ngx_http_x402_name, NULL};

/* An auxiliary filter: its body filter sees last_buf, its header filter the final 304.
 */
char *ngx_module_order[] = {ngx_http_x402_name, ngx_http_x402_before, NULL};
