#include "settle/remote_http.h"

#include "settle/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MILLISECONDS 10000

/* One of the requests under way. */
struct slot {
    struct x402_transfer transfer; /* first: a slot is found by it */
    bool busy;
    void *data;
    char *url;
};

struct x402_remote_http {
    char *url;
    int timeout_seconds;
    CURLM *multi;
    struct curl_slist *headers;
    struct slot slots[X402_REMOTE_PARALLEL_MAX];
};

/* ------------------------------------------------------------------- open and close */

static bool add_header(struct x402_remote_http *http, const char *line, size_t size)
{
    char *copy = strndup(line, size);
    struct curl_slist *longer = copy ? curl_slist_append(http->headers, copy) : NULL;

    free(copy);
    if (longer != NULL)
        http->headers = longer;
    return longer != NULL;
}

static bool add_headers(struct x402_remote_http *http, const char *lines)
{
    bool fine = add_header(http, "Content-Type: application/json", 30) &&
                add_header(http, "Accept: application/json", 24);

    while (fine && lines != NULL && *lines != '\0') {
        size_t size = strcspn(lines, "\r\n");
        fine = size == 0 || add_header(http, lines, size);
        lines += size + (lines[size] != '\0');
    }
    return fine;
}

static bool open_handles(struct x402_remote_http *http, const char *headers)
{
    http->multi = curl_multi_init();
    for (size_t i = 0; i < X402_REMOTE_PARALLEL_MAX; i++) {
        if (!x402_transfer_open(&http->slots[i].transfer))
            return false;
    }
    return http->multi != NULL && http->url != NULL && add_headers(http, headers);
}

struct x402_remote_http *x402_remote_http_open(const char *url, const char *headers,
                                               int timeout_seconds)
{
    struct x402_remote_http *http = calloc(1, sizeof *http);

    if (http == NULL)
        return NULL;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    http->url = strdup(url);
    http->timeout_seconds = timeout_seconds;
    if (open_handles(http, headers))
        return http;
    x402_remote_http_close(http);
    return NULL;
}

static void release(struct x402_remote_http *http, struct slot *slot)
{
    if (!slot->busy)
        return;
    x402_transfer_reset(&slot->transfer, http->multi);
    free(slot->url);
    slot->url = NULL;
    slot->busy = false;
}

void x402_remote_http_close(struct x402_remote_http *http)
{
    if (http == NULL)
        return;
    for (size_t i = 0; i < X402_REMOTE_PARALLEL_MAX; i++) {
        release(http, &http->slots[i]);
        x402_transfer_close(&http->slots[i].transfer);
    }
    curl_multi_cleanup(http->multi);
    curl_slist_free_all(http->headers);
    free(http->url);
    free(http);
    curl_global_cleanup();
}

/* ---------------------------------------------------------------------- one request */

static struct slot *free_slot(struct x402_remote_http *http)
{
    for (size_t i = 0; i < X402_REMOTE_PARALLEL_MAX; i++) {
        if (!http->slots[i].busy)
            return &http->slots[i];
    }
    return NULL;
}

bool x402_remote_http_start(struct x402_remote_http *http, const char *path,
                            const char *body, size_t size, void *data)
{
    struct slot *slot = free_slot(http);

    if (slot == NULL || asprintf(&slot->url, "%s%s", http->url, path) < 0)
        return false;
    CURL *easy = slot->transfer.easy;
    struct x402_transfer_options options = {
        .url = slot->url,
        .headers = http->headers,
        .connect_milliseconds = CONNECT_MILLISECONDS,
        .timeout_milliseconds = 1000L * http->timeout_seconds,
        .answer_max = X402_REMOTE_ANSWER_MAX,
    };
    slot->data = data;
    x402_transfer_prepare(&slot->transfer, &options);
    if (body != NULL) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)size);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    }
    slot->busy = true;
    if (curl_multi_add_handle(http->multi, easy) == CURLM_OK)
        return true;
    release(http, slot);
    return false;
}

static const char *why_failed(const struct slot *slot, CURLcode code)
{
    if (slot->transfer.too_large)
        return "its answer is too large";
    if (code == CURLE_OPERATION_TIMEDOUT)
        return "it does not answer in time";
    return curl_easy_strerror(code);
}

/* Who is told how requests end. */
struct listener {
    struct x402_remote_http *http;
    void (*told)(void *context, const struct x402_remote_reply *reply);
    void *context;
};

static void finish(void *data, struct x402_transfer *transfer, CURLcode code)
{
    struct listener *listener = data;
    struct slot *slot = (struct slot *)(void *)transfer;
    struct x402_remote_reply reply = {.data = slot->data, .body = "", .left = true};
    long request_size = 0;

    /* Curl counts what it wrote to the connection, headers first. */
    if (code != CURLE_OK && curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE,
                                              &request_size) == CURLE_OK)
        reply.left = request_size > 0;
    if (code == CURLE_OK)
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &reply.status);
    else
        reply.why = why_failed(slot, code);
    if (code == CURLE_OK && transfer->size > 0) {
        reply.body = transfer->answer;
        reply.size = transfer->size;
    }
    listener->told(listener->context, &reply);
    release(listener->http, slot);
}

/* ----------------------------------------------------------------------------- poll */

size_t x402_remote_http_busy(const struct x402_remote_http *http)
{
    size_t busy = 0;

    for (size_t i = 0; i < X402_REMOTE_PARALLEL_MAX; i++)
        busy += http->slots[i].busy;
    return busy;
}

void x402_remote_http_poll(struct x402_remote_http *http, int milliseconds,
                           void (*told)(void *context,
                                        const struct x402_remote_reply *reply),
                           void *context)
{
    struct listener listener = {http, told, context};
    int running;

    if (x402_remote_http_busy(http) == 0)
        return;
    (void)curl_multi_perform(http->multi, &running);
    x402_transfers_finish(http->multi, finish, &listener);
    if (x402_remote_http_busy(http) == 0)
        return;
    (void)curl_multi_poll(http->multi, NULL, 0, milliseconds, NULL);
    (void)curl_multi_perform(http->multi, &running);
    x402_transfers_finish(http->multi, finish, &listener);
}
