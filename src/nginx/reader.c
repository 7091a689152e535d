/*
 * Reads the ledger for the pages of a worker: one page at a time, in a thread of the
 * pool. While one is read, that it is wanted again means nothing: it is about to be
 * new.
 */
#include "nginx/pages.h"

#include "report/buffer.h"

#include <stdlib.h>

#define NGX_HTTP_X402_FRESH_MSEC 1000
#define NGX_HTTP_X402_READ_MSEC 60000 /* a worker that ends waits for it, at most */
#define NGX_HTTP_X402_STALE_FAILURE_MSEC 10000 /* what a failed commit says no more */

typedef struct {
    ngx_queue_t wanted; /* pages */
    ngx_event_t hold; /* a timer while something is read: nothing else keeps a worker */
    ngx_thread_task_t task;
    ngx_uint_t reading;         /* the task is under way; what follows is its own */
    ngx_http_x402_page_t *page; /* what it reads; of its fields only the configured */
    struct x402_report_options how;
    ngx_uint_t commits; /* payments are recorded, as far as the worker knows */
    struct x402_ledger *ledger;
    struct x402_report *report;
    struct x402_text_buffer text;
    ngx_uint_t status;
    ngx_uint_t complained; /* the log says that it cannot be read; the event loop's */
    char message[X402_LEDGER_MESSAGE_MAX];
} ngx_http_x402_page_reader_t;

/* In the request's pool: who is gone takes it along. */
typedef struct {
    ngx_queue_t queue;
    ngx_http_request_t *request;
    ngx_http_x402_answer_pt answer;
} ngx_http_x402_waiter_t;

static ngx_http_x402_page_reader_t *ngx_http_x402_page_reader;

/* --------------------------------------------------------------------- shared texts */

ngx_http_x402_text_t *ngx_http_x402_text_keep(ngx_http_x402_text_t *text)
{
    text->refs++;

    return text;
}

void ngx_http_x402_text_drop(ngx_http_x402_text_t *text)
{
    if (text == NULL || --text->refs) {
        return;
    }

    free(text->data.data);
    ngx_free(text);
}

/* Takes the buffer's memory; NULL when there is no text in it. */
static ngx_http_x402_text_t *ngx_http_x402_text_take(struct x402_text_buffer *buffer)
{
    ngx_http_x402_text_t *text = NULL;

    if (buffer->data != NULL && !buffer->failed) {
        text = ngx_alloc(sizeof(*text), ngx_cycle->log);
    }

    if (text == NULL) {
        free(buffer->data);
    } else {
        text->refs = 1;
        text->data.data = (u_char *)buffer->data;
        text->data.len = buffer->size;
    }
    ngx_memzero(buffer, sizeof(*buffer));

    return text;
}

/* ----------------------------------------------------------------------- the thread */

static enum x402_error ngx_http_x402_read_stats(ngx_http_x402_page_reader_t *reader)
{
    uint8_t key32[32] = {0};
    enum x402_error rc = X402_OK;

    reader->how.receipt_key32 = NULL;
    if (reader->how.private && reader->how.receipts[0]) {
        rc = x402_ledger_receipt_key(reader->ledger, key32);
        reader->how.receipt_key32 = key32;
    }

    if (rc == X402_OK) {
        rc = x402_report_read(reader->report, reader->ledger, &reader->how);
    }
    if (rc == X402_OK) {
        x402_report_json(&reader->text, reader->report, &reader->how);
    }

    x402_bytes_wipe(key32, sizeof(key32));
    reader->how.receipt_key32 = NULL;

    return rc;
}

/* `why` is said when it is not so. */
static void ngx_http_x402_put_check(struct x402_text_buffer *out, const char *name,
                                    ngx_uint_t ok, const char *why)
{
    x402_buffer_put_string(out, name);
    x402_buffer_put_string(out, ok ? "{\"ok\":true" : "{\"ok\":false,\"why\":");
    if (!ok) {
        x402_buffer_put_json(out, why);
    }
}

static void ngx_http_x402_put_readiness(struct x402_text_buffer *out,
                                        const struct x402_readiness *is,
                                        ngx_uint_t commits)
{
    x402_buffer_put_string(out, is->ready && commits ? "{\"ready\":true,\"why\":"
                                                     : "{\"ready\":false,\"why\":");
    x402_buffer_put_json(out, is->why[0] || commits ? is->why
                                                    : "payments cannot be recorded");
    ngx_http_x402_put_check(out, ",\"checks\":{\"ledger\":", is->ledger,
                            "the ledger cannot be read");
    ngx_http_x402_put_check(out, "},\"commit\":", commits,
                            "the last payments could not be recorded");
    ngx_http_x402_put_check(out, "},\"settler\":", is->settler,
                            is->ledger ? "not every settler was heard from of late"
                                       : "not known");
    x402_buffer_put_string(out, ",\"heardSeconds\":");
    if (is->heard_seconds < 0) {
        x402_buffer_put_string(out, "null");
    } else {
        x402_buffer_put_signed(out, is->heard_seconds);
    }
    ngx_http_x402_put_check(out, "},\"due\":", is->due,
                            is->ledger ? "a payment has been waiting for its settlement"
                                       : "not known");
    x402_buffer_put_string(out, ",\"oldestSeconds\":");
    x402_buffer_put_signed(out, is->oldest_due_seconds);
    x402_buffer_put_string(out, "}}}\n");
}

/* For the log: it names files. */
static void ngx_http_x402_read_failed(ngx_http_x402_page_reader_t *reader)
{
    (void)ngx_cpystrn((u_char *)reader->message,
                      (u_char *)(uintptr_t)x402_ledger_message(reader->ledger),
                      sizeof(reader->message));
}

static void ngx_http_x402_read_ready(ngx_http_x402_page_reader_t *reader)
{
    struct x402_readiness readiness;

    ngx_memzero(&readiness, sizeof(readiness));
    readiness.heard_seconds = -1;

    if (reader->ledger == NULL) {
        (void)ngx_cpystrn((u_char *)readiness.why,
                          (u_char *)(uintptr_t) "the ledger cannot be opened",
                          sizeof(readiness.why));
    } else {
        x402_report_readiness(&readiness, reader->ledger,
                              reader->page->settler_seconds_max,
                              reader->page->due_seconds_max);
        if (!readiness.ledger) {
            ngx_http_x402_read_failed(reader);
        }
    }

    ngx_http_x402_put_readiness(&reader->text, &readiness, reader->commits);
    reader->status =
        readiness.ready && reader->commits ? NGX_HTTP_OK : NGX_HTTP_SERVICE_UNAVAILABLE;
}

/* Without a ledger, too, this is an answer. */
static void ngx_http_x402_read_metrics(ngx_http_x402_page_reader_t *reader)
{
    reader->status = NGX_HTTP_OK;

    if (reader->ledger != NULL) {
        x402_report_metrics(&reader->text, reader->ledger, &reader->how);
    } else {
        x402_buffer_put_string(&reader->text, "# TYPE x402_ledger_up gauge\n"
                                              "x402_ledger_up 0\n");
    }
}

static enum x402_error ngx_http_x402_read_view(ngx_http_x402_page_reader_t *reader)
{
    enum x402_error rc;

    switch (reader->page->view) {
    case NGX_HTTP_X402_VIEW_STATS:
        rc = ngx_http_x402_read_stats(reader);
        reader->status = rc == X402_OK ? NGX_HTTP_OK : NGX_HTTP_SERVICE_UNAVAILABLE;
        return rc;
    case NGX_HTTP_X402_VIEW_METRICS:
        ngx_http_x402_read_metrics(reader);
        break;
    case NGX_HTTP_X402_VIEW_READY:
        ngx_http_x402_read_ready(reader);
        break;
    case NGX_HTTP_X402_VIEW_NONE:
        break;
    }

    return X402_OK;
}

/* Runs in a thread of the pool. A handle that failed finds back by itself. */
static void ngx_http_x402_read(void *data, ngx_log_t *log)
{
    enum x402_error rc = X402_OK;
    ngx_http_x402_page_reader_t *reader = data;
    ngx_http_x402_main_conf_t *mcf;

    (void)log;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_x402_module);
    reader->message[0] = '\0';
    reader->status = NGX_HTTP_SERVICE_UNAVAILABLE;

    if (reader->ledger == NULL) {
        rc = x402_ledger_open(&reader->ledger, (const char *)mcf->ledger.data,
                              X402_LEDGER_READ, reader->message);
    }
    if (rc == X402_OK || reader->page->view != NGX_HTTP_X402_VIEW_STATS) {
        rc = ngx_http_x402_read_view(reader);
    }
    if (rc != X402_OK && reader->ledger != NULL) {
        ngx_http_x402_read_failed(reader);
    }
}

/* ------------------------------------------------------------------- the event loop */

static void ngx_http_x402_reader_start(ngx_http_x402_page_reader_t *reader);

/* The log says when it begins, and nothing more until it is over. */
static void ngx_http_x402_reader_note(ngx_http_x402_page_reader_t *reader)
{
    if (reader->message[0] == '\0') {
        reader->complained = 0;
    } else if (!reader->complained) {
        reader->complained = 1;
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "x402: no figures: %s",
                      reader->message);
    }
}

/* Whether two texts differ in more than {"time":N at their beginning. */
static ngx_uint_t ngx_http_x402_differ(const ngx_http_x402_text_t *a,
                                       const ngx_http_x402_text_t *b)
{
    u_char *p, *q;

    if (a == NULL || b == NULL || a->data.len != b->data.len) {
        return 1;
    }

    p = ngx_strlchr(a->data.data, a->data.data + a->data.len, ',');
    q = ngx_strlchr(b->data.data, b->data.data + b->data.len, ',');
    if (p == NULL || q == NULL || p - a->data.data != q - b->data.data) {
        return 1;
    }

    return ngx_memcmp(p, q, (size_t)(a->data.data + a->data.len - p)) != 0;
}

static void ngx_http_x402_reader_take(ngx_http_x402_page_reader_t *reader)
{
    ngx_http_x402_page_t *page = reader->page;
    ngx_http_x402_text_t *text = ngx_http_x402_text_take(&reader->text);

    if (text != NULL && ngx_http_x402_differ(page->text, text)) {
        page->version++;
    }

    ngx_http_x402_text_drop(page->text);
    page->text = text;
    page->status = text != NULL ? reader->status : NGX_HTTP_SERVICE_UNAVAILABLE;
    page->read_at = ngx_current_msec;
    page->wanted = 0;
}

/* The request may be gone afterwards, and others with it (HTTP/2). */
static void ngx_http_x402_reader_answer(ngx_http_x402_waiter_t *waiter,
                                        ngx_http_x402_page_t *page)
{
    ngx_http_request_t *r = waiter->request;
    ngx_connection_t *c = r->connection;

    ngx_queue_remove(&waiter->queue);
    ngx_queue_init(&waiter->queue);

    ngx_http_set_log_request(c->log, r);
    waiter->answer(r, page);
    ngx_http_run_posted_requests(c);
}

static void ngx_http_x402_reader_done(ngx_event_t *ev)
{
    ngx_http_x402_page_reader_t *reader = ev->data;
    ngx_http_x402_page_t *page = reader->page;

    ngx_http_x402_reader_note(reader);
    ngx_http_x402_reader_take(reader);
    if (reader->hold.timer_set) {
        ngx_del_timer(&reader->hold);
    }
    reader->reading = 0;

    while (!ngx_queue_empty(&page->waiting)) {
        ngx_http_x402_reader_answer(ngx_queue_data(ngx_queue_head(&page->waiting),
                                                   ngx_http_x402_waiter_t, queue),
                                    page);
    }

    ngx_http_x402_events_tell(page);
    ngx_http_x402_reader_start(reader);
}

/* A failure long ago is no verdict: nobody may have tried since, for our sake. */
static ngx_uint_t ngx_http_x402_commits(void)
{
    ngx_msec_t ago = 0;

    return ngx_http_x402_recording(&ago) != NGX_ERROR ||
           ago > NGX_HTTP_X402_STALE_FAILURE_MSEC;
}

static void ngx_http_x402_reader_prepare(ngx_http_x402_page_reader_t *reader)
{
    ngx_http_x402_main_conf_t *mcf;

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_x402_module);

    ngx_memzero(&reader->how, sizeof(reader->how));
    reader->how.private = reader->page->private;
    reader->how.unenforced = mcf->unenforced != 0;
    reader->how.sales = mcf->sold->elts;
    reader->how.sales_count = mcf->sold->nelts;
    reader->how.networks = mcf->networks->elts;
    reader->how.networks_count = mcf->networks->nelts;
    reader->how.receipts = reader->page->receipts;
    reader->text.max = NGX_HTTP_X402_PAGE_TEXT_MAX;
    reader->commits = ngx_http_x402_commits();
}

static void ngx_http_x402_reader_start(ngx_http_x402_page_reader_t *reader)
{
    ngx_queue_t *q;
    ngx_thread_pool_t *pool;
    static ngx_str_t pool_name = ngx_string("default");

    if (reader->reading || ngx_queue_empty(&reader->wanted)) {
        return;
    }

    q = ngx_queue_head(&reader->wanted);
    ngx_queue_remove(q);
    reader->page = ngx_queue_data(q, ngx_http_x402_page_t, queue);
    reader->reading = 1;
    ngx_add_timer(&reader->hold, NGX_HTTP_X402_READ_MSEC);
    ngx_http_x402_reader_prepare(reader);

    pool = ngx_thread_pool_get((ngx_cycle_t *)(uintptr_t)ngx_cycle, &pool_name);
    if (pool == NULL || ngx_thread_task_post(pool, &reader->task) != NGX_OK) {
        (void)ngx_cpystrn((u_char *)reader->message,
                          (u_char *)(uintptr_t) "the thread pool's queue is full",
                          sizeof(reader->message));
        ngx_post_event(&reader->task.event, &ngx_posted_events);
    }
}

static void ngx_http_x402_reader_let_go(ngx_event_t *ev)
{
    (void)ev;
}

static ngx_http_x402_page_reader_t *ngx_http_x402_reader_create(void)
{
    ngx_http_x402_page_reader_t *reader;

    reader = ngx_pcalloc(ngx_cycle->pool, sizeof(*reader));
    if (reader == NULL) {
        return NULL;
    }
    reader->report = ngx_palloc(ngx_cycle->pool, sizeof(*reader->report));
    if (reader->report == NULL) {
        return NULL;
    }

    ngx_queue_init(&reader->wanted);
    reader->hold.handler = ngx_http_x402_reader_let_go;
    reader->hold.data = reader;
    reader->hold.log = ngx_cycle->log;
    reader->task.ctx = reader;
    reader->task.handler = ngx_http_x402_read;
    reader->task.event.handler = ngx_http_x402_reader_done;
    reader->task.event.data = reader;
    reader->task.event.log = ngx_cycle->log;

    return reader;
}

/* The thread pools are joined by now. */
void ngx_http_x402_pages_exit(void)
{
    ngx_http_x402_page_reader_t *reader = ngx_http_x402_page_reader;

    if (reader == NULL) {
        return;
    }

    free(reader->text.data);
    x402_ledger_close(reader->ledger);
    ngx_http_x402_page_reader = NULL;
}

/* ------------------------------------------------------------------ what pages call */

ngx_int_t ngx_http_x402_page_want(ngx_http_x402_page_t *page, ngx_msec_t age_max)
{
    if (page->status && ngx_current_msec - page->read_at < age_max) {
        return NGX_OK;
    }
    if (page->wanted) {
        return NGX_AGAIN;
    }

    if (ngx_http_x402_page_reader == NULL) {
        ngx_http_x402_page_reader = ngx_http_x402_reader_create();
    }
    if (ngx_http_x402_page_reader == NULL) {
        return NGX_ERROR;
    }

    page->wanted = 1;
    ngx_queue_insert_tail(&ngx_http_x402_page_reader->wanted, &page->queue);
    ngx_http_x402_reader_start(ngx_http_x402_page_reader);

    return NGX_AGAIN;
}

/* Somebody who waits goes away. */
static void ngx_http_x402_waiter_leave(void *data)
{
    ngx_http_x402_waiter_t *waiter = data;

    ngx_queue_remove(&waiter->queue);
}

ngx_int_t ngx_http_x402_page_show(ngx_http_request_t *r, ngx_http_x402_page_t *page,
                                  ngx_http_x402_answer_pt answer)
{
    ngx_int_t rc;
    ngx_pool_cleanup_t *cln;
    ngx_http_x402_waiter_t *waiter;

    rc = ngx_http_x402_page_want(page, NGX_HTTP_X402_FRESH_MSEC);
    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_OK) {
        r->main->count++; /* the answer takes one away, and so does our caller */
        answer(r, page);
        return NGX_DONE;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(*waiter));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    cln->handler = ngx_http_x402_waiter_leave;
    waiter = cln->data;
    waiter->request = r;
    waiter->answer = answer;
    ngx_queue_insert_tail(&page->waiting, &waiter->queue);
    r->main->count++;

    return NGX_DONE;
}
