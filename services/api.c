#include "api.h"

#include "buffer.h"

#include <x402/bytes.h>

#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_MILLISECONDS 5000
#define PAUSE_MILLISECONDS 500 /* before the second time; doubles */
#define RETRY_AFTER_MAX 3600
#define LOGGED_MAX 200 /* bytes of what an API says of an error */

/* One POST under way. */
struct transfer {
    CURL *easy;
    struct curl_slist *headers;
    char *url;
    char *sent;
    struct buffer answer;
    bool too_large, is_here;
    long status;
    CURLcode code;
};

static int64_t now_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void sleep_milliseconds(int64_t milliseconds)
{
    struct timespec left = {.tv_sec = milliseconds / 1000,
                            .tv_nsec = milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {
    }
}

/* ---------------------------------------------------------------------- transfer */

static size_t take_answer(char *data, size_t one, size_t size, void *user)
{
    struct transfer *transfer = user;
    size *= one;
    transfer->too_large = size > API_ANSWER_MAX - transfer->answer.size;
    if (!transfer->too_large)
        buffer_add(&transfer->answer, data, size);
    return transfer->too_large || transfer->answer.failed ? 0 : size; /* 0 ends it */
}

static bool add_header(struct transfer *transfer, const char *line)
{
    struct curl_slist *longer = curl_slist_append(transfer->headers, line);
    if (longer != NULL)
        transfer->headers = longer;
    return longer != NULL;
}

static bool add_headers(struct transfer *transfer, const char *const *lines)
{
    bool fine = add_header(transfer, "content-type: application/json") &&
                add_header(transfer, "accept: application/json") &&
                add_header(transfer, "expect:");
    for (; fine && *lines != NULL; lines++)
        fine = add_header(transfer, *lines);
    return fine;
}

static bool transfer_open(struct transfer *transfer, const struct api_request *request)
{
    *transfer =
        (struct transfer){.easy = curl_easy_init(), .is_here = request->api->is_here};
    if (asprintf(&transfer->url, "%s%s", request->api->url, request->path) < 0)
        transfer->url = NULL;
    transfer->sent = json_dumps(request->body, JSON_COMPACT);
    return transfer->easy != NULL && transfer->url != NULL && transfer->sent != NULL &&
           add_headers(transfer, request->headers);
}

/* The headers held a key. What curl keeps of them is beyond our reach. */
static void transfer_close(struct transfer *transfer)
{
    for (struct curl_slist *line = transfer->headers; line != NULL; line = line->next)
        x402_bytes_wipe(line->data, strlen(line->data));
    curl_slist_free_all(transfer->headers);
    curl_easy_cleanup(transfer->easy);
    free(transfer->url);
    free(transfer->sent);
    free(transfer->answer.data);
}

static void set_options(struct transfer *transfer, int64_t milliseconds)
{
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_URL, transfer->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MILLISECONDS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)milliseconds);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "x402-services");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer->sent);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    if (transfer->is_here) /* where a proxy cannot reach it */
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
}

/* ------------------------------------------------------------------------ result */

static enum api_result result_of_status(long status)
{
    switch (status) {
    case 200:
        return API_OK;
    case 429:
    case 503:
    case 529:
        return API_OVERLOADED;
    default:
        return status < 500 ? API_REFUSED : API_FAILED;
    }
}

static unsigned retry_after(const struct transfer *transfer)
{
    curl_off_t seconds = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &seconds);
    return seconds <= 0                ? 0
           : seconds > RETRY_AFTER_MAX ? RETRY_AFTER_MAX
                                       : (unsigned)seconds;
}

/* Once. retry_after_seconds is 0 when the API does not say. */
static enum api_result ask_once(struct api_reply *reply, struct transfer *transfer,
                                int64_t milliseconds)
{
    enum api_result result;
    transfer->answer.size = 0;
    transfer->status = 0;
    set_options(transfer, milliseconds);
    transfer->code = curl_easy_perform(transfer->easy);
    if (transfer->code != CURLE_OK)
        return API_FAILED;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &transfer->status);
    result = result_of_status(transfer->status);
    if (result == API_OVERLOADED)
        reply->retry_after_seconds = retry_after(transfer);
    if (result != API_OK)
        return result;
    reply->json = json_loadb(transfer->answer.data, transfer->answer.size, 0, NULL);
    if (json_is_object(reply->json))
        return API_OK;
    json_decref(reply->json);
    reply->json = NULL;
    return API_FAILED;
}

/* ------------------------------------------------------------------------- again */

/* As told, or doubling; a quarter more or less, so that many do not come at once. */
static int64_t pause_milliseconds(const struct api_reply *reply, unsigned attempt)
{
    struct timespec now;
    int64_t pause;
    if (reply->retry_after_seconds > 0)
        return (int64_t)reply->retry_after_seconds * 1000;
    pause = (int64_t)PAUSE_MILLISECONDS << attempt;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return pause * 3 / 4 + now.tv_nsec / 1000 % (pause / 2);
}

static enum api_result ask(struct api_reply *reply, struct transfer *transfer)
{
    int64_t end = now_milliseconds() + API_SECONDS_MAX * 1000;
    for (unsigned attempt = 0;; attempt++) {
        int64_t left = end - now_milliseconds();
        enum api_result result = ask_once(reply, transfer, left > 1 ? left : 1);
        int64_t pause = pause_milliseconds(reply, attempt);
        if (result != API_OVERLOADED || now_milliseconds() + pause >= end)
            return result;
        sleep_milliseconds(pause);
    }
}

/* --------------------------------------------------------------------------- log */

/* What the API says of its error, on one line; "" when nothing that can be shown. */
static void error_text(char out[LOGGED_MAX], const struct transfer *transfer)
{
    json_t *json = json_loadb(transfer->answer.data, transfer->answer.size, 0, NULL);
    const char *text =
        json_string_value(json_object_get(json_object_get(json, "error"), "message"));
    out[0] = '\0';
    /* Some quote the key when they refuse it. */
    if (text != NULL && transfer->status != 401 && transfer->status != 403)
        (void)snprintf(out, LOGGED_MAX, ": %s", text);
    for (; *out != '\0'; out++) {
        if ((unsigned char)*out < ' ' || *out == 0x7f)
            *out = ' ';
    }
    json_decref(json);
}

static void log_failure(const struct transfer *transfer)
{
    char text[LOGGED_MAX];
    if (transfer->too_large)
        fprintf(stderr, "x402-services: %s: the answer is too large\n", transfer->url);
    else if (transfer->code != CURLE_OK)
        fprintf(stderr, "x402-services: %s: %s\n", transfer->url,
                curl_easy_strerror(transfer->code));
    else if (transfer->status == 200)
        fprintf(stderr, "x402-services: %s: the answer is no JSON object\n",
                transfer->url);
    else {
        error_text(text, transfer);
        fprintf(stderr, "x402-services: %s: status %ld%s\n", transfer->url,
                transfer->status, text);
    }
}

enum api_result api_post(struct api_reply *reply, const struct api_request *request)
{
    struct transfer transfer;
    enum api_result result = API_FAILED;
    assert(request->api->url != NULL && request->headers != NULL);
    *reply = (struct api_reply){0};
    if (transfer_open(&transfer, request)) {
        result = ask(reply, &transfer);
        if (result != API_OK)
            log_failure(&transfer);
    }
    if (result == API_OVERLOADED && reply->retry_after_seconds == 0)
        reply->retry_after_seconds = 1;
    transfer_close(&transfer);
    return result;
}
