/*
 * The content handler x402_stats: the ledger's totals as JSON, read by a thread of the
 * pool with a read-only handle of its own, so that no page keeps a sale waiting.
 */
#include "nginx/module.h"

#define NGX_HTTP_X402_STATS_SIZE_MAX 65536
#define NGX_HTTP_X402_STATS_FRESH_MSEC 1000

/* A worker's stats: read by one thread at a time, at most once a second. */
typedef struct {
    ngx_thread_task_t task;
    ngx_str_t path;
    ngx_uint_t reading;  /* the task is under way; what follows is its own */
    ngx_uint_t filled;   /* text has been written once */
    ngx_msec_t read_at;  /* when */
    ngx_queue_t waiting; /* requests that want the text, ngx_http_x402_reader_t */
    enum x402_error result;
    size_t count;
    struct x402_totals totals[X402_TOTALS_MAX];
    char message[X402_LEDGER_MESSAGE_MAX];
    ngx_str_t text;
    u_char buffer[NGX_HTTP_X402_STATS_SIZE_MAX];
} ngx_http_x402_stats_t;

typedef struct {
    ngx_queue_t queue;
    ngx_http_request_t *request;
} ngx_http_x402_reader_t;

static ngx_http_x402_stats_t *ngx_http_x402_worker_stats;

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

static void ngx_http_x402_stats_write(ngx_http_x402_stats_t *stats)
{
    size_t i;
    u_char *p;

    p = ngx_sprintf(stats->buffer, "{\"totals\":[");
    for (i = 0; i < stats->count; i++) {
        p = ngx_sprintf(p, "%s", i ? "," : "");
        p = ngx_http_x402_write_totals(p, &stats->totals[i]);
    }
    p = ngx_sprintf(p, "]}\n");

    stats->text.data = stats->buffer;
    stats->text.len = (size_t)(p - stats->buffer);
    stats->filled = 1;
    stats->read_at = ngx_current_msec;
}

/* The text is copied: the next read may come while this answer is still going out. */
static ngx_int_t ngx_http_x402_stats_send(ngx_http_request_t *r)
{
    ngx_int_t rc;
    ngx_buf_t *b;
    ngx_chain_t out;
    ngx_str_t *text = &ngx_http_x402_worker_stats->text;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = (off_t)text->len;
    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_create_temp_buf(r->pool, text->len);
    if (b == NULL) {
        return NGX_ERROR;
    }
    b->last = ngx_cpymem(b->last, text->data, text->len);
    b->last_buf = 1;
    b->last_in_chain = 1;
    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}

static void ngx_http_x402_stats_answer(ngx_http_x402_reader_t *reader,
                                       enum x402_error result)
{
    ngx_http_request_t *r = reader->request;
    ngx_connection_t *c = r->connection;

    ngx_http_set_log_request(c->log, r);
    ngx_http_finalize_request(r, result == X402_OK ? ngx_http_x402_stats_send(r)
                                                   : NGX_HTTP_SERVICE_UNAVAILABLE);
    ngx_http_run_posted_requests(c);
}

static void ngx_http_x402_stats_done(ngx_event_t *ev)
{
    ngx_queue_t *q;
    ngx_http_x402_stats_t *stats = ev->data;

    stats->reading = 0;
    if (stats->result == X402_OK) {
        ngx_http_x402_stats_write(stats);
    } else {
        ngx_log_error(NGX_LOG_ERR, ev->log, 0, "x402: no stats: %s", stats->message);
    }

    while (!ngx_queue_empty(&stats->waiting)) {
        q = ngx_queue_head(&stats->waiting);
        ngx_queue_remove(q);
        ngx_queue_init(q);
        ngx_http_x402_stats_answer(ngx_queue_data(q, ngx_http_x402_reader_t, queue),
                                   stats->result);
    }
}

static ngx_http_x402_stats_t *ngx_http_x402_stats_create(const ngx_str_t *path)
{
    ngx_http_x402_stats_t *stats;

    stats = ngx_pcalloc(ngx_cycle->pool, sizeof(*stats));
    if (stats == NULL) {
        return NULL;
    }

    stats->path = *path;
    stats->task.ctx = stats;
    stats->task.handler = ngx_http_x402_stats_read;
    stats->task.event.handler = ngx_http_x402_stats_done;
    stats->task.event.data = stats;
    stats->task.event.log = ngx_cycle->log;
    ngx_queue_init(&stats->waiting);

    return stats;
}

/* A reader that goes away before the text is there. */
static void ngx_http_x402_stats_leave(void *data)
{
    ngx_http_x402_reader_t *reader = data;

    ngx_queue_remove(&reader->queue);
}

static ngx_int_t ngx_http_x402_stats_wait(ngx_http_request_t *r,
                                          ngx_http_x402_stats_t *stats)
{
    static ngx_str_t pool_name = ngx_string("default");
    ngx_thread_pool_t *pool;
    ngx_pool_cleanup_t *cln;
    ngx_http_x402_reader_t *reader;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(*reader));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    reader = cln->data;
    reader->request = r;
    ngx_queue_init(&reader->queue);
    cln->handler = ngx_http_x402_stats_leave;

    if (!stats->reading) {
        pool = ngx_thread_pool_get((ngx_cycle_t *)(uintptr_t)ngx_cycle, &pool_name);
        if (pool == NULL || ngx_thread_task_post(pool, &stats->task) != NGX_OK) {
            return NGX_HTTP_SERVICE_UNAVAILABLE;
        }
        stats->reading = 1;
    }

    ngx_queue_insert_tail(&stats->waiting, &reader->queue);
    r->main->count++;

    return NGX_DONE;
}

static ngx_int_t ngx_http_x402_stats_handler(ngx_http_request_t *r)
{
    ngx_int_t rc;
    ngx_http_x402_stats_t *stats;
    ngx_http_x402_main_conf_t *mcf;

    if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_x402_module);
    if (ngx_http_x402_worker_stats == NULL) {
        ngx_http_x402_worker_stats = ngx_http_x402_stats_create(&mcf->ledger);
    }

    stats = ngx_http_x402_worker_stats;
    if (stats == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    if (stats->filled &&
        ngx_current_msec - stats->read_at < NGX_HTTP_X402_STATS_FRESH_MSEC) {
        return ngx_http_x402_stats_send(r);
    }

    return ngx_http_x402_stats_wait(r, stats);
}

char *ngx_http_x402_stats(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t *clcf;
    ngx_http_x402_main_conf_t *mcf;

    (void)cmd;
    (void)conf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_x402_module);
    mcf->reads_ledger = "x402_stats";

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_x402_stats_handler;

    return NGX_CONF_OK;
}
