/*
 * One HTTP exchange of `x402 pay`, over libcurl. TLS is verified, redirects are not
 * followed (a payment is for one place), and only http and https are spoken.
 */
#ifndef X402_CLI_PAY_HTTP_H
#define X402_CLI_PAY_HTTP_H

#include <x402/bytes.h>

#include <stdio.h>

#define X402_HTTP_KEPT_MAX (1u << 20)      /* bytes of a body that is kept */
#define X402_HTTP_HEADERS_MAX (256u << 10) /* bytes of all headers */

struct x402_http_request {
    const char *url;
    const char *method;         /* NULL: GET, or POST with a body */
    const char *const *headers; /* "Name: value" */
    size_t headers_count;
    const char *body; /* NULL: none */
    size_t body_size;
    const char *payment_name, *payment_value; /* NULL: not paid */
    bool verbose;                             /* headers on stderr */
};

/* One answer. Zero it before the first use; x402_http_release after each. */
struct x402_http_answer {
    long status;   /* 0: none arrived */
    char *headers; /* status line and headers as they came; zero-terminated */
    size_t headers_size;
    char *body; /* what was kept */
    size_t body_size;
    bool handed_out; /* some of the body went to `out` */
    char error[256]; /* of the exchange; "" when it was complete */
};

/*
 * Where bodies go. Asked once per answer, when its headers are complete: true keeps the
 * body in memory, false hands it to `write` piece by piece, which returns false when it
 * cannot (and leaves errno).
 */
struct x402_http_sink {
    bool (*keep)(const struct x402_http_answer *answer, void *data);
    bool (*write)(const char *bytes, size_t size, const struct x402_http_answer *answer,
                  void *data);
    void *data;
};

/* True when a complete answer came; otherwise answer->error says what did not. */
X402_MUST_USE bool x402_http_exchange(struct x402_http_answer *answer,
                                      const struct x402_http_request *request,
                                      const struct x402_http_sink *sink);
void x402_http_release(struct x402_http_answer *answer);

/* The value of the last header of that name, or an empty slice. */
struct x402_slice x402_http_header(const struct x402_http_answer *answer,
                                   const char *name);

#endif
