/*
 * Asking another's HTTP API: one POST of JSON, and again while it is overloaded. The
 * environment's proxies (https_proxy, no_proxy) are used, since an operator may reach
 * an API through one only; redirects are not followed, so that a key goes nowhere else.
 */
#ifndef X402_SERVICES_API_H
#define X402_SERVICES_API_H

#include "config.h"

#include <jansson.h>

#define API_ANSWER_MAX (256 * 1024) /* bytes */
#define API_SECONDS_MAX 20          /* in all, what is tried again included */

enum api_result {
    API_OK,         /* 200 and a JSON object */
    API_OVERLOADED, /* 429, 503 or 529, also when asked again */
    API_REFUSED,    /* any other answer that says the request is at fault */
    API_FAILED,     /* no answer in time, none that can be read, or its own failure */
};

struct api_request {
    const struct services_api *api;
    const char *path; /* is put after its URL */
    const char *const
        *headers; /* lines "name: value", NULL after the last; not logged */
    const json_t *body;
};

struct api_reply {
    json_t *json;                 /* API_OK: the object, the caller's to json_decref */
    unsigned retry_after_seconds; /* API_OVERLOADED: as told, at most an hour, or 1 */
};

/*
 * Asks, and writes a line to stderr when it was for nothing. Blocks for API_SECONDS_MAX
 * at most: a Retry-After that would take longer ends it at once. Any thread, after
 * curl_global_init.
 */
enum api_result api_post(struct api_reply *reply, const struct api_request *request);

#endif
