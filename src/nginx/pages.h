/*
 * The pages of a gateway: what a location shows of the ledger, who may see it, and how
 * it is sent.
 *
 *   pages.c   what all directives and answers have in common
 *   reader.c  the ledger's figures, read by a thread
 *   token.c   who may see a private page
 *   status.c  x402_status: the page, its style and script, and the two below
 *   stats.c   x402_stats: the figures as JSON
 *   events.c  the figures as server-sent events, for as long as somebody looks
 *   metrics.c x402_metrics
 *   health.c  x402_health and x402_ready
 *
 * A page is made at configuration; a worker has its own copy of it, by fork. One thread
 * at a time reads the ledger for all pages of a worker, with a read-only handle that
 * stays open, so that no page keeps a sale waiting. What it wrote is good for a second,
 * and whoever asks while it is being written gets it, too. All functions but those said
 * to run in the thread run in the event loop.
 */
#ifndef X402_NGINX_PAGES_H
#define X402_NGINX_PAGES_H

#include "nginx/module.h"

#define NGX_HTTP_X402_TOKEN_HASH 32         /* bytes: SHA-256 */
#define NGX_HTTP_X402_PAGE_TEXT_MAX 8388608 /* bytes: more is an error, not a page */

/* ---------------------------------------------------------------------------- pages */

/* A text that several answers share: it goes with the last of them. */
typedef struct {
    ngx_uint_t refs;
    ngx_str_t data;
} ngx_http_x402_text_t;

typedef enum {
    NGX_HTTP_X402_VIEW_NONE, /* nothing of the ledger */
    NGX_HTTP_X402_VIEW_STATS,
    NGX_HTTP_X402_VIEW_METRICS,
    NGX_HTTP_X402_VIEW_READY,
} ngx_http_x402_view_t;

struct ngx_http_x402_page_s {
    ngx_http_x402_view_t view;
    ngx_flag_t private; /* a token is asked for */
    u_char token32[NGX_HTTP_X402_TOKEN_HASH];
    int64_t settler_seconds_max; /* READY */
    int64_t due_seconds_max;
    ngx_str_t base; /* x402_status: the location's path, without a slash at the end */
    ngx_str_t html; /* likewise: with the base written into it */
    const char *receipts; /* path below which receipts are; NULL: not yet looked up */

    ngx_uint_t wanted;          /* it waits for the reader, or is being read */
    ngx_queue_t queue;          /* in the reader's */
    ngx_queue_t waiting;        /* requests that want its text */
    ngx_msec_t read_at;         /* when it was last read */
    ngx_uint_t status;          /* of the answer since; 0: never read */
    ngx_http_x402_text_t *text; /* the answer; NULL: there is none, and status is 503 */
    ngx_uint_t version;         /* of text, but for the time in it; 0: none yet */
};

/*
 * The page of the location in which the directive `cmd` stands, which `handler` shows.
 * Returns NULL when there can be none; *error is what the directive returns then.
 */
ngx_http_x402_page_t *ngx_http_x402_page_create(ngx_conf_t *cf, ngx_command_t *cmd,
                                                ngx_http_x402_view_t view,
                                                ngx_http_handler_pt handler,
                                                char **error);

/* Reads the directive's "public" or "private FILE"; returns what a directive does. */
char *ngx_http_x402_page_guard(ngx_conf_t *cf, ngx_http_x402_page_t *page);

/*
 * How every answer begins: token, method, no body. NGX_OK and *page, or what the
 * content handler is to return.
 */
ngx_int_t ngx_http_x402_page_enter(ngx_http_request_t *r, ngx_http_x402_page_t **page);

/* ------------------------------------------------------------------------- reader.c */

/* Answers a request whose page has been read: see page->status. Finalizes it. */
typedef void (*ngx_http_x402_answer_pt)(ngx_http_request_t *r,
                                        ngx_http_x402_page_t *page);

/* A content handler's end: has the page read, unless it was within a second. */
ngx_int_t ngx_http_x402_page_show(ngx_http_request_t *r, ngx_http_x402_page_t *page,
                                  ngx_http_x402_answer_pt answer);

/* Has it read when that was `age_max` ms ago or never: NGX_AGAIN; else NGX_OK. */
ngx_int_t ngx_http_x402_page_want(ngx_http_x402_page_t *page, ngx_msec_t age_max);

ngx_http_x402_text_t *ngx_http_x402_text_keep(ngx_http_x402_text_t *text);
void ngx_http_x402_text_drop(ngx_http_x402_text_t *text);

/* -------------------------------------------------------------------------- answers */

typedef struct {
    const char *type;
    const char *cache;  /* Cache-Control */
    const char *policy; /* Content-Security-Policy, or NULL */
    ngx_str_t etag;     /* empty: none */
} ngx_http_x402_page_head_t;

/* Send a whole answer and finalize the request. The body lives as long as it. */
void ngx_http_x402_page_send(ngx_http_request_t *r, ngx_uint_t status,
                             const ngx_http_x402_page_head_t *head,
                             const ngx_str_t *body);

/* The page's text, as what its view is; it stays until it has been sent. */
void ngx_http_x402_page_send_text(ngx_http_request_t *r, ngx_http_x402_page_t *page);

/* The content handler of a page that is nothing but its text. */
ngx_int_t ngx_http_x402_page_text_handler(ngx_http_request_t *r);

/* A directive of such a page, public or private; returns what a directive does. */
char *ngx_http_x402_page_text(ngx_conf_t *cf, ngx_command_t *cmd,
                              ngx_http_x402_view_t view);

/* 503 and 429, as problem documents. */
void ngx_http_x402_page_problem(ngx_http_request_t *r, enum x402_error error,
                                uint64_t retry_after_milliseconds);

/* Cache-Control and what else every page says; `etag` may be empty. */
ngx_int_t ngx_http_x402_page_add_headers(ngx_http_request_t *r,
                                         const ngx_http_x402_page_head_t *head);

/* -------------------------------------------------------------------------- token.c */

/* Reads the first line of a file that only its owner may read. */
char *ngx_http_x402_token_load(ngx_conf_t *cf, const ngx_str_t *file,
                               u_char hash32[NGX_HTTP_X402_TOKEN_HASH]);

/* NGX_OK, NGX_HTTP_UNAUTHORIZED, or NGX_BUSY for a client that fails too often, which
 * is to wait *wait ms. */
ngx_int_t ngx_http_x402_token_check(ngx_http_request_t *r,
                                    const u_char hash32[NGX_HTTP_X402_TOKEN_HASH],
                                    uint64_t *wait);

/* ------------------------------------------------------------------------- events.c */

/* The content handler's end: a stream until the client leaves or the worker ends. */
ngx_int_t ngx_http_x402_events(ngx_http_request_t *r, ngx_http_x402_page_t *page);

/* A page was read: whoever looks on is told. */
void ngx_http_x402_events_tell(ngx_http_x402_page_t *page);

#endif
