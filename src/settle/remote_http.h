/*
 * HTTP to a facilitator, several requests under way at once and nobody waiting for any
 * of them: a facilitator may answer only when a block has come. Answers are bounded in
 * size and time, redirects are not followed, TLS is verified.
 *
 * A handle is used by one thread at a time.
 */
#ifndef X402_SETTLE_REMOTE_HTTP_H
#define X402_SETTLE_REMOTE_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define X402_REMOTE_PARALLEL_MAX 16         /* requests under way at once */
#define X402_REMOTE_ANSWER_MAX (256u << 10) /* bytes */
#define X402_REMOTE_HEADERS_MAX 8

struct x402_remote_http;

/* How one request ended. */
struct x402_remote_reply {
    void *data;       /* the request's */
    bool left;        /* some of it may have left this machine */
    long status;      /* 0: there is no answer, and `why` says why */
    const char *body; /* whole; borrowed until the callback returns */
    size_t size;
    const char *why; /* borrowed likewise */
};

/*
 * `url` is http:// or https://; paths are put behind it. `headers` is zero-terminated
 * text of "Name: value" lines that go with every request, or NULL. Copies both. NULL
 * without memory. No request is made.
 */
struct x402_remote_http *x402_remote_http_open(const char *url, const char *headers,
                                               int timeout_seconds);
/* What is under way is cut off. NULL is fine. */
void x402_remote_http_close(struct x402_remote_http *http);

/*
 * Begins a POST of `body`, or a GET when it is NULL; borrows it until its end is told.
 * False, and nothing is told: no slot is free, or no memory.
 */
bool x402_remote_http_start(struct x402_remote_http *http, const char *path,
                            const char *body, size_t size, void *data);

size_t x402_remote_http_busy(const struct x402_remote_http *http);

/*
 * Goes on with what is under way, for at most so long, and tells each request that
 * ended. `told` may start others.
 */
void x402_remote_http_poll(struct x402_remote_http *http, int milliseconds,
                           void (*told)(void *context,
                                        const struct x402_remote_reply *reply),
                           void *context);

#endif
