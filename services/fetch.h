/*
 * Fetching a stranger's URL. Only http and https, on their own or any unprivileged
 * port, and only from addresses that everybody on the Internet may reach: each address
 * that a name stands for is checked after it is resolved, for every redirect, and the
 * connection goes to the address that was checked. So a page cannot make us read our
 * own network, this machine, or a cloud's metadata (169.254.169.254).
 */
#ifndef X402_SERVICES_FETCH_H
#define X402_SERVICES_FETCH_H

#include <x402/bytes.h>

#define FETCH_BODY_MAX (2 * 1024 * 1024) /* bytes, after decompression */
#define FETCH_SECONDS_MAX 10             /* in all, redirects included */
#define FETCH_REDIRECTS_MAX 5
#define FETCH_URL_MAX 2048

enum fetch_result {
    FETCH_OK,
    FETCH_BAD_URL,    /* not a URL that is fetched: its scheme, user, port, length */
    FETCH_FORBIDDEN,  /* it leads to an address that is not public */
    FETCH_UNRESOLVED, /* no such host */
    FETCH_REDIRECTS,  /* too many, or to nowhere */
    FETCH_TOO_LARGE,
    FETCH_TOO_SLOW,
    FETCH_STATUS, /* the page answers with a status that is not 200 */
    FETCH_FAILED, /* no connection, no TLS, no HTTP */
};

struct fetched {
    char *body; /* malloc'ed, zero-terminated; NULL unless FETCH_OK */
    size_t size;
    char type[128];          /* Content-Type as sent; "" for none */
    char url[FETCH_URL_MAX]; /* after redirects */
    long status;             /* the last answer's; 0 for none */
};

/* Blocks for FETCH_SECONDS_MAX at most. Any thread. Free out->body. */
enum fetch_result fetch(struct fetched *out, struct x402_slice url);

/* A sentence for people of a result that is not FETCH_OK; static. */
const char *fetch_result_text(enum fetch_result result);

#endif
