#include "settle/remote_http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MILLISECONDS 10000

/* One of the requests under way. */
struct slot {
    CURL *easy;
    bool busy;
    void *data;
    char *url;
    char *answer;
    size_t size, capacity;
    bool too_large;
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
        http->slots[i].easy = curl_easy_init();
        if (http->slots[i].easy == NULL)
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
    curl_multi_remove_handle(http->multi, slot->easy);
    free(slot->answer);
    free(slot->url);
    slot->answer = slot->url = NULL;
    slot->size = slot->capacity = 0;
    slot->busy = false;
}

void x402_remote_http_close(struct x402_remote_http *http)
{
    if (http == NULL)
        return;
    for (size_t i = 0; i < X402_REMOTE_PARALLEL_MAX; i++) {
        release(http, &http->slots[i]);
        curl_easy_cleanup(http->slots[i].easy);
    }
    curl_multi_cleanup(http->multi);
    curl_slist_free_all(http->headers);
    free(http->url);
    free(http);
    curl_global_cleanup();
}

/* ---------------------------------------------------------------------- one request */

static size_t take_answer(char *data, size_t one, size_t size, void *user)
{
    struct slot *slot = user;

    size *= one;
    if (size > X402_REMOTE_ANSWER_MAX - slot->size) {
        slot->too_large = true;
        return 0; /* ends the transfer */
    }
    if (slot->size + size > slot->capacity) {
        size_t capacity = 2 * (slot->size + size);
        char *larger = realloc(slot->answer, capacity);
        if (larger == NULL)
            return 0;
        slot->answer = larger;
        slot->capacity = capacity;
    }
    memcpy(slot->answer + slot->size, data, size);
    slot->size += size;
    return size;
}

/* No redirect, no other protocol, no answer that grows: see the header. */
static void set_options(const struct x402_remote_http *http, struct slot *slot)
{
    CURL *easy = slot->easy;

    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, slot->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MILLISECONDS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, (long)http->timeout_seconds);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "x402");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, slot);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, slot);
}

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
    slot->data = data;
    slot->too_large = false;
    set_options(http, slot);
    if (body != NULL) {
        curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDSIZE, (long)size);
        curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, body);
    }
    slot->busy = true;
    if (curl_multi_add_handle(http->multi, slot->easy) == CURLM_OK)
        return true;
    release(http, slot);
    return false;
}

static const char *why_failed(const struct slot *slot, CURLcode code)
{
    if (slot->too_large)
        return "its answer is too large";
    if (code == CURLE_OPERATION_TIMEDOUT)
        return "it does not answer in time";
    return curl_easy_strerror(code);
}

static void finish(struct x402_remote_http *http, struct slot *slot, CURLcode code,
                   void (*told)(void *context, const struct x402_remote_reply *reply),
                   void *context)
{
    struct x402_remote_reply reply = {.data = slot->data, .body = "", .left = true};
    long request_size = 0;

    /* Curl counts what it wrote to the connection, headers first. */
    if (code != CURLE_OK &&
        curl_easy_getinfo(slot->easy, CURLINFO_REQUEST_SIZE, &request_size) == CURLE_OK)
        reply.left = request_size > 0;
    if (code == CURLE_OK)
        curl_easy_getinfo(slot->easy, CURLINFO_RESPONSE_CODE, &reply.status);
    else
        reply.why = why_failed(slot, code);
    if (code == CURLE_OK && slot->size > 0) {
        reply.body = slot->answer;
        reply.size = slot->size;
    }
    told(context, &reply);
    release(http, slot);
}

/* ----------------------------------------------------------------------------- poll */

size_t x402_remote_http_busy(const struct x402_remote_http *http)
{
    size_t busy = 0;

    for (size_t i = 0; i < X402_REMOTE_PARALLEL_MAX; i++)
        busy += http->slots[i].busy;
    return busy;
}

static void finish_done(struct x402_remote_http *http,
                        void (*told)(void *context,
                                     const struct x402_remote_reply *reply),
                        void *context)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        char *slot = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &slot);
        finish(http, (struct slot *)(void *)slot, code, told, context);
    }
}

void x402_remote_http_poll(struct x402_remote_http *http, int milliseconds,
                           void (*told)(void *context,
                                        const struct x402_remote_reply *reply),
                           void *context)
{
    int running;

    if (x402_remote_http_busy(http) == 0)
        return;
    (void)curl_multi_perform(http->multi, &running);
    finish_done(http, told, context);
    if (x402_remote_http_busy(http) == 0)
        return;
    (void)curl_multi_poll(http->multi, NULL, 0, milliseconds, NULL);
    (void)curl_multi_perform(http->multi, &running);
    finish_done(http, told, context);
}
