/*
 * What the HTTP of rpc.h and of remote_http.h has in common: one request of a multi
 * handle of curl. No redirect is followed, no other protocol spoken, TLS is verified,
 * and an answer is bounded in size and time.
 */
#ifndef X402_SETTLE_TRANSFER_H
#define X402_SETTLE_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

/* One request and its answer. Zeroed, then x402_transfer_open. */
struct x402_transfer {
    CURL *easy;
    char *answer; /* owned; NULL: nothing came */
    size_t size, capacity;
    size_t max;     /* bytes of the answer */
    bool too_large; /* it was more, and was cut off */
};

/* False without memory. */
bool x402_transfer_open(struct x402_transfer *transfer);
void x402_transfer_close(struct x402_transfer *transfer); /* also one not opened */

struct x402_transfer_options {
    const char *url;            /* borrowed until the transfer is reset */
    struct curl_slist *headers; /* likewise */
    long connect_milliseconds, timeout_milliseconds;
    size_t answer_max;
};

/* Makes it ready for a request. What else the request needs is set on `easy`. */
void x402_transfer_prepare(struct x402_transfer *transfer,
                           const struct x402_transfer_options *options);

/* Takes it out of `multi`, and forgets the answer. */
void x402_transfer_reset(struct x402_transfer *transfer, CURLM *multi);

/* Tells each transfer of `multi` that has ended, once. `ended` may start others. */
void x402_transfers_finish(CURLM *multi,
                           void (*ended)(void *context, struct x402_transfer *transfer,
                                         CURLcode code),
                           void *context);

#endif
