/*
 * Content handlers. x402_stats: the ledger's totals as JSON, read by a thread of the
 * pool with a read-only handle of its own, so that no page keeps a sale waiting.
 */
#include "nginx/module.h"

#define NGX_HTTP_X402_STATS_SIZE_MAX 65536

typedef struct {
    ngx_http_request_t *request; /* NULL when it is gone */
    ngx_thread_task_t *task;
    ngx_str_t path;
    enum x402_error result;
    size_t count;
    struct x402_totals totals[X402_TOTALS_MAX];
    char message[X402_LEDGER_MESSAGE_MAX];
} ngx_http_x402_stats_t;

/* Runs in a thread of the pool. */
static void ngx_http_x402_stats_read(void *data, ngx_log_t *log)
{
    ngx_http_x402_stats_t *stats = data;
    struct x402_ledger *ledger;

    (void)log;

    stats->result = x402_ledger_open(&ledger, (const char *)stats->path.data,
                                     X402_LEDGER_READ, stats->message);
    if (stats->result != X402_OK) {
        return;
    }

    stats->result =
        x402_ledger_totals(ledger, stats->totals, X402_TOTALS_MAX, &stats->count);
    if (stats->result != X402_OK) {
        (void)ngx_cpystrn((u_char *)stats->message,
                          (u_char *)(uintptr_t)x402_ledger_message(ledger),
                          sizeof(stats->message));
    }

    x402_ledger_close(ledger);
}

static u_char *ngx_http_x402_write_count(u_char *p, const char *name,
                                         const struct x402_count *count)
{
    return ngx_sprintf(p, "\"%s\":{\"count\":%uL,\"value\":\"%uL\"}", name,
                       count->count, count->value);
}

static u_char *ngx_http_x402_write_totals(u_char *p, const struct x402_totals *totals)
{
    size_t i;
    char asset[X402_ADDRESS_TEXT_SIZE];
    char network[X402_CAIP2_TEXT_SIZE];

    x402_caip2_encode(network, totals->chain_id);
    x402_address_encode(asset, totals->asset20);

    p = ngx_sprintf(p, "{\"network\":\"%s\",\"asset\":\"%s\",", network, asset);
    p = ngx_http_x402_write_count(p, "admitted", &totals->admitted);

    p = ngx_sprintf(p, ",\"delivery\":{");
    for (i = 0; i < X402_DELIVERY_COUNT; i++) {
        p = ngx_sprintf(p, "%s", i ? "," : "");
        p = ngx_http_x402_write_count(p, x402_delivery_name((enum x402_delivery)i),
                                      &totals->deliveries[i]);
    }

    p = ngx_sprintf(p, "},\"money\":{");
    for (i = 0; i < X402_MONEY_COUNT; i++) {
        p = ngx_sprintf(p, "%s", i ? "," : "");
        p = ngx_http_x402_write_count(p, x402_money_name((enum x402_money)i),
                                      &totals->monies[i]);
    }

    return ngx_sprintf(p, "},\"payers\":%uL,\"oldestDueSeconds\":%L}", totals->payers,
                       totals->oldest_due_seconds);
}

static void ngx_http_x402_stats_send(ngx_http_request_t *r,
                                     ngx_http_x402_stats_t *stats)
{
    size_t i;
    u_char *p;
    ngx_int_t rc;
    ngx_buf_t *b;
    ngx_chain_t out;

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_X402_STATS_SIZE_MAX);
    if (b == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    p = ngx_sprintf(b->last, "{\"totals\":[");
    for (i = 0; i < stats->count; i++) {
        p = ngx_sprintf(p, "%s", i ? "," : "");
        p = ngx_http_x402_write_totals(p, &stats->totals[i]);
    }
    b->last = ngx_sprintf(p, "]}\n");
    b->last_buf = 1;
    b->last_in_chain = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;
    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);
    if (rc != NGX_ERROR && rc <= NGX_OK && !r->header_only) {
        out.buf = b;
        out.next = NULL;
        rc = ngx_http_output_filter(r, &out);
    }

    ngx_http_finalize_request(r, rc);
}

static void ngx_http_x402_stats_done(ngx_event_t *ev)
{
    ngx_http_x402_stats_t *stats = ev->data;
    ngx_http_request_t *r = stats->request;
    ngx_connection_t *c = r->connection;

    /* The request was blocked meanwhile, so that a client gone only now takes it away.
     */
    r->main->blocked--;
    r->aio = 0;

    ngx_http_set_log_request(c->log, r);

    if (stats->result == X402_OK) {
        ngx_http_x402_stats_send(r, stats);
    } else {
        ngx_log_error(NGX_LOG_ERR, c->log, 0, "x402: no stats: %s", stats->message);
        ngx_http_finalize_request(r, NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    ngx_http_run_posted_requests(c);
}

static ngx_int_t ngx_http_x402_stats_handler(ngx_http_request_t *r)
{
    static ngx_str_t pool_name = ngx_string("default");
    ngx_int_t rc;
    ngx_thread_pool_t *pool;
    ngx_thread_task_t *task;
    ngx_http_x402_stats_t *stats;
    ngx_http_x402_main_conf_t *mcf;

    if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    pool = ngx_thread_pool_get((ngx_cycle_t *)(uintptr_t)ngx_cycle, &pool_name);
    task = ngx_thread_task_alloc(r->pool, sizeof(*stats));
    if (pool == NULL || task == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_x402_module);
    stats = task->ctx;
    stats->request = r;
    stats->task = task;
    stats->path = mcf->ledger;
    task->handler = ngx_http_x402_stats_read;
    task->event.handler = ngx_http_x402_stats_done;
    task->event.data = stats;

    if (ngx_thread_task_post(pool, task) != NGX_OK) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    r->main->blocked++;
    r->aio = 1;
    r->main->count++;

    return NGX_DONE;
}

char *ngx_http_x402_stats(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t *clcf;

    (void)cmd;
    (void)conf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_x402_stats_handler;

    return NGX_CONF_OK;
}
