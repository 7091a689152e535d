/*
 * The figures as server-sent events, for as long as somebody looks. A stream gets the
 * newest figures at once, then whenever they changed, every two seconds at most. One
 * that has not taken the last event is left out until it has, and dropped after a
 * minute in which it took nothing; so a stream holds one text, which others share, and
 * its own buffers, which it uses again.
 *
 * A worker has one timer, and only while there are streams. Streams end when the worker
 * does, or when the ledger cannot be read: who comes back is told 503.
 */
#include "nginx/pages.h"

#define NGX_HTTP_X402_EVENTS_TICK 500    /* ms */
#define NGX_HTTP_X402_EVENTS_QUIET 15000 /* ms without a word, then a comment */
#define NGX_HTTP_X402_EVENTS_STUCK 60000 /* ms without progress, then the end */
#define NGX_HTTP_X402_EVENTS_PERIOD 2000 /* ms between two events of a stream */
#define NGX_HTTP_X402_EVENTS_MAX 64      /* streams of a worker */
#define NGX_HTTP_X402_EVENTS_PRIVATE 16  /* of these, places for private pages alone */
#define NGX_HTTP_X402_EVENTS_RETRY "10"  /* s: when to try again for a place */
#define NGX_HTTP_X402_EVENTS_PARTS 3

/* In the request's pool. */
typedef struct {
    ngx_queue_t queue; /* among the worker's streams, until it has ended */
    ngx_uint_t ended;
    ngx_http_request_t *request;
    ngx_http_x402_page_t *page;
    ngx_http_x402_text_t *text; /* on its way out, like the buffers; NULL: nothing is */
    ngx_uint_t version;         /* of the page, as last sent */
    ngx_msec_t told_at;         /* when an event was last sent */
    ngx_msec_t spoke_at;        /* when anything was */
    off_t sent;                 /* by the connection, at progress_at */
    ngx_msec_t progress_at;
    ngx_buf_t bufs[NGX_HTTP_X402_EVENTS_PARTS];
    ngx_chain_t links[NGX_HTTP_X402_EVENTS_PARTS];
} ngx_http_x402_stream_t;

static struct {
    ngx_queue_t streams;
    ngx_uint_t count;
    ngx_event_t timer;
} ngx_http_x402_events_worker;

/* ----------------------------------------------------------------------- one stream */

static ngx_uint_t ngx_http_x402_stream_is_busy(const ngx_http_x402_stream_t *stream)
{
    const ngx_http_request_t *r = stream->request;

    return r->out != NULL || r->buffered || r->connection->buffered;
}

/* What was sent is gone, so its memory is free again; or it is waited for. */
static ngx_int_t ngx_http_x402_stream_settle(ngx_http_x402_stream_t *stream)
{
    ngx_http_core_loc_conf_t *clcf;
    ngx_connection_t *c = stream->request->connection;

    if (!ngx_http_x402_stream_is_busy(stream)) {
        ngx_http_x402_text_drop(stream->text);
        stream->text = NULL;
        return NGX_OK;
    }

    clcf = ngx_http_get_module_loc_conf(stream->request, ngx_http_core_module);

    return ngx_handle_write_event(c->write, clcf->send_lowat);
}

static void ngx_http_x402_stream_part(ngx_http_x402_stream_t *stream, ngx_uint_t i,
                                      u_char *data, size_t size)
{
    ngx_buf_t *b = &stream->bufs[i];

    ngx_memzero(b, sizeof(*b));
    b->start = b->pos = data;
    b->end = b->last = data + size;
    b->memory = 1;

    stream->links[i].buf = b;
}

/* Sends the parts laid out, the last of which is number `last`. */
static ngx_int_t ngx_http_x402_stream_put(ngx_http_x402_stream_t *stream,
                                          ngx_uint_t last)
{
    ngx_uint_t i;

    if (!ngx_http_x402_stream_is_busy(stream)) {
        stream->progress_at = ngx_current_msec;
    }
    stream->spoke_at = ngx_current_msec;
    for (i = 0; i < last; i++) {
        stream->links[i].next = &stream->links[i + 1];
    }
    stream->links[last].next = NULL;
    stream->bufs[last].flush = 1;

    if (ngx_http_output_filter(stream->request, stream->links) == NGX_ERROR) {
        return NGX_ERROR;
    }

    return ngx_http_x402_stream_settle(stream);
}

static ngx_int_t ngx_http_x402_stream_say(ngx_http_x402_stream_t *stream,
                                          const char *words)
{
    ngx_http_x402_stream_part(stream, 0, (u_char *)(uintptr_t)words, ngx_strlen(words));

    return ngx_http_x402_stream_put(stream, 0);
}

/* The text is one line; a newline at its end is not part of it. */
static ngx_int_t ngx_http_x402_stream_tell(ngx_http_x402_stream_t *stream)
{
    static u_char before[] = "event: stats\ndata: ";
    static u_char after[] = "\n\n";
    ngx_http_x402_text_t *text = ngx_http_x402_text_keep(stream->page->text);
    size_t size = text->data.len;

    while (size && text->data.data[size - 1] == '\n') {
        size--;
    }

    stream->text = text;
    stream->version = stream->page->version;
    stream->told_at = ngx_current_msec;
    ngx_http_x402_stream_part(stream, 0, before, sizeof(before) - 1);
    ngx_http_x402_stream_part(stream, 1, text->data.data, size);
    ngx_http_x402_stream_part(stream, 2, after, sizeof(after) - 1);

    return ngx_http_x402_stream_put(stream, 2);
}

/* Nobody visits it any more. */
static void ngx_http_x402_stream_leave(ngx_http_x402_stream_t *stream)
{
    if (!stream->ended) {
        stream->ended = 1;
        ngx_queue_remove(&stream->queue);
        ngx_http_x402_events_worker.count--;
    }
}

/*
 * The request may be gone afterwards, or stay until its body has been read: it is
 * finalized once.
 */
static void ngx_http_x402_stream_end(ngx_http_x402_stream_t *stream, ngx_int_t rc)
{
    ngx_http_request_t *r = stream->request;

    ngx_http_x402_stream_leave(stream);
    ngx_http_finalize_request(r, rc == NGX_OK ? ngx_http_send_special(r, NGX_HTTP_LAST)
                                              : rc);
}

/* ---------------------------------------------------------------------- all of them */

static ngx_uint_t ngx_http_x402_stream_is_stuck(ngx_http_x402_stream_t *stream)
{
    off_t sent = stream->request->connection->sent;

    if (sent != stream->sent) {
        stream->sent = sent;
        stream->progress_at = ngx_current_msec;
    }

    return ngx_current_msec - stream->progress_at >= NGX_HTTP_X402_EVENTS_STUCK;
}

/* What is to be done for a stream now: NGX_OK, or how it ends. */
static ngx_int_t ngx_http_x402_stream_tend(ngx_http_x402_stream_t *stream)
{
    ngx_http_x402_page_t *page = stream->page;

    if (ngx_http_x402_stream_is_busy(stream)) {
        return ngx_http_x402_stream_is_stuck(stream) ? NGX_ERROR : NGX_OK;
    }
    if (stream->version != page->version &&
        ngx_current_msec - stream->told_at >= NGX_HTTP_X402_EVENTS_PERIOD) {
        return ngx_http_x402_stream_tell(stream);
    }
    if (ngx_current_msec - stream->spoke_at >= NGX_HTTP_X402_EVENTS_QUIET) {
        return ngx_http_x402_stream_say(stream, ":\n\n");
    }

    return NGX_OK;
}

static void ngx_http_x402_stream_visit(ngx_http_x402_stream_t *stream)
{
    ngx_http_request_t *r = stream->request;
    ngx_connection_t *c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (ngx_exiting || ngx_terminate || stream->page->text == NULL) {
        ngx_http_x402_stream_end(
            stream, ngx_http_x402_stream_is_busy(stream) ? NGX_ERROR : NGX_OK);
    } else if (ngx_http_x402_stream_tend(stream) != NGX_OK) {
        ngx_http_x402_stream_end(stream, NGX_ERROR);
    }

    ngx_http_run_posted_requests(c);
}

/* Of one page, or of all for NULL. A visit may end other streams, too (HTTP/2). */
static void ngx_http_x402_events_visit(const ngx_http_x402_page_t *page)
{
    ngx_queue_t *q, round;
    ngx_http_x402_stream_t *stream;
    ngx_queue_t *streams = &ngx_http_x402_events_worker.streams;

    if (ngx_queue_empty(streams)) {
        return;
    }

    ngx_queue_init(&round);
    ngx_queue_add(&round, streams);
    ngx_queue_init(streams);

    while (!ngx_queue_empty(&round)) {
        q = ngx_queue_head(&round);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(streams, q);
        stream = ngx_queue_data(q, ngx_http_x402_stream_t, queue);
        if (page == NULL || stream->page == page) {
            ngx_http_x402_stream_visit(stream);
        }
    }
}

static void ngx_http_x402_events_tick(ngx_event_t *ev)
{
    ngx_queue_t *q;
    ngx_http_x402_stream_t *stream;
    ngx_queue_t *streams = &ngx_http_x402_events_worker.streams;

    ngx_http_x402_events_visit(NULL);
    if (ngx_queue_empty(streams)) {
        return;
    }

    for (q = ngx_queue_head(streams); q != ngx_queue_sentinel(streams);
         q = ngx_queue_next(q)) {
        stream = ngx_queue_data(q, ngx_http_x402_stream_t, queue);
        (void)ngx_http_x402_page_want(stream->page, NGX_HTTP_X402_EVENTS_PERIOD);
    }

    ngx_add_timer(ev, NGX_HTTP_X402_EVENTS_TICK);
}

void ngx_http_x402_events_tell(ngx_http_x402_page_t *page)
{
    if (ngx_http_x402_events_worker.count) {
        ngx_http_x402_events_visit(page);
    }
}

/* --------------------------------------------------------------- coming and leaving */

/* Of the request's pool: what was on its way out is needed no longer, either. */
static void ngx_http_x402_stream_cleanup(void *data)
{
    ngx_http_x402_stream_t *stream = data;

    ngx_http_x402_stream_leave(stream);
    ngx_http_x402_text_drop(stream->text);
}

/* NULL: it has none. */
static ngx_http_x402_stream_t *ngx_http_x402_stream_of(const ngx_http_request_t *r)
{
    ngx_queue_t *q;
    ngx_http_x402_stream_t *stream;
    ngx_queue_t *streams = &ngx_http_x402_events_worker.streams;

    for (q = ngx_queue_head(streams); q != ngx_queue_sentinel(streams);
         q = ngx_queue_next(q)) {
        stream = ngx_queue_data(q, ngx_http_x402_stream_t, queue);
        if (stream->request == r) {
            return stream;
        }
    }

    return NULL;
}

/* The connection takes more. */
static void ngx_http_x402_stream_write(ngx_http_request_t *r)
{
    ngx_http_x402_stream_t *stream;

    if (r->connection->write->delayed) {
        return; /* by limit_rate, whose timer comes */
    }

    stream = ngx_http_x402_stream_of(r);
    if (stream != NULL && ngx_http_x402_stream_is_busy(stream) &&
        (ngx_http_output_filter(r, NULL) == NGX_ERROR ||
         ngx_http_x402_stream_settle(stream) != NGX_OK)) {
        ngx_http_x402_stream_end(stream, NGX_ERROR);
    }
}

static ngx_http_x402_stream_t *ngx_http_x402_stream_create(ngx_http_request_t *r,
                                                           ngx_http_x402_page_t *page)
{
    ngx_pool_cleanup_t *cln;
    ngx_http_x402_stream_t *stream;
    ngx_event_t *timer = &ngx_http_x402_events_worker.timer;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(*stream));
    if (cln == NULL) {
        return NULL;
    }

    if (timer->handler == NULL) {
        ngx_queue_init(&ngx_http_x402_events_worker.streams);
        timer->handler = ngx_http_x402_events_tick;
        timer->data = &ngx_http_x402_events_worker;
        timer->log = ngx_cycle->log;
    }

    stream = cln->data;
    ngx_memzero(stream, sizeof(*stream));
    stream->request = r;
    stream->page = page;
    ngx_queue_insert_tail(&ngx_http_x402_events_worker.streams, &stream->queue);
    ngx_http_x402_events_worker.count++;
    cln->handler = ngx_http_x402_stream_cleanup;

    if (!timer->timer_set) {
        ngx_add_timer(timer, NGX_HTTP_X402_EVENTS_TICK);
    }

    return stream;
}

/* A compressor would keep events back; so would a proxy in front of us. */
static ngx_int_t ngx_http_x402_events_header(ngx_http_request_t *r)
{
    ngx_str_t no = ngx_string("no");
    ngx_connection_t *c = r->connection;
    ngx_http_core_loc_conf_t *clcf;
    ngx_http_x402_page_head_t head = {"", "no-store", NULL, ngx_null_string};

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    if (clcf->tcp_nodelay && ngx_tcp_nodelay(c) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_x402_page_add_headers(r, &head) != NGX_OK ||
        ngx_http_x402_add_header(r, "X-Accel-Buffering", &no) != NGX_OK) {
        return NGX_ERROR;
    }

    if (r->discard_body) {
        r->keepalive = 0; /* nobody reads on while events are sent */
    }
#if (NGX_HTTP_GZIP)
    r->gzip_tested = 1;
    r->gzip_ok = 0;
#endif
    r->headers_out.status = NGX_HTTP_OK;
    ngx_str_set(&r->headers_out.content_type, "text/event-stream");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    return ngx_http_send_header(r);
}

static ngx_int_t ngx_http_x402_stream_begin(ngx_http_x402_stream_t *stream)
{
    ngx_http_request_t *r = stream->request;
    ngx_connection_t *c = r->connection;

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_x402_stream_write;

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);
    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_x402_stream_say(stream, "retry: 3000\n\n") != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_x402_stream_is_busy(stream) ? NGX_OK
                                                : ngx_http_x402_stream_tell(stream);
}

/* Whoever takes all public places leaves the owner's. */
static ngx_uint_t ngx_http_x402_events_are_full(const ngx_http_x402_page_t *page)
{
    ngx_uint_t max = NGX_HTTP_X402_EVENTS_MAX;

    if (!page->private) {
        max -= NGX_HTTP_X402_EVENTS_PRIVATE;
    }

    return ngx_http_x402_events_worker.count >= max;
}

static ngx_int_t ngx_http_x402_events_refuse(ngx_http_request_t *r)
{
    ngx_str_t retry = ngx_string(NGX_HTTP_X402_EVENTS_RETRY);

    return ngx_http_x402_add_header(r, "Retry-After", &retry) == NGX_OK
               ? NGX_HTTP_SERVICE_UNAVAILABLE
               : NGX_HTTP_INTERNAL_SERVER_ERROR;
}

/* The figures are there. */
static void ngx_http_x402_events_answer(ngx_http_request_t *r,
                                        ngx_http_x402_page_t *page)
{
    ngx_int_t rc;
    ngx_http_x402_stream_t *stream;

    if (page->text == NULL) {
        ngx_http_x402_page_problem(r, X402_ERR_LEDGER, 1000);
        return;
    }
    if (ngx_http_x402_events_are_full(page) || ngx_exiting) {
        ngx_http_finalize_request(r, ngx_http_x402_events_refuse(r));
        return;
    }

    rc = ngx_http_x402_events_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_finalize_request(r, rc);
        return;
    }

    stream = ngx_http_x402_stream_create(r, page);
    if (stream == NULL) {
        ngx_http_finalize_request(r, NGX_ERROR);
    } else if (ngx_http_x402_stream_begin(stream) != NGX_OK) {
        ngx_http_x402_stream_end(stream, NGX_ERROR);
    }
}

ngx_int_t ngx_http_x402_events(ngx_http_request_t *r, ngx_http_x402_page_t *page)
{
    return ngx_http_x402_page_show(r, page, ngx_http_x402_events_answer);
}
