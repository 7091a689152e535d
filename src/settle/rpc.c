#include "settle/rpc.h"

#include "settle/origin.h"
#include "settle/transfer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_MILLISECONDS 5000
#define POLL_MILLISECONDS 200
#define STOP_MILLISECONDS 2000 /* what is under way may end by itself this long */

/* One of the requests under way. */
struct slot {
    struct x402_transfer transfer; /* first: a slot is found by it */
    struct x402_rpc_call *call;    /* NULL: free */
    uint64_t id;
    char *request;
};

struct x402_rpc {
    char *url;
    char origin[X402_ORIGIN_MAX];
    char message[X402_RPC_MESSAGE_MAX + X402_ORIGIN_MAX + 16];
    CURLM *multi;
    struct curl_slist *headers;
    struct slot slots[X402_RPC_PARALLEL_MAX];
    uint64_t next_id;
    bool (*stop)(void *data);
    void *stop_data;
};

static int64_t now_milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

__attribute__((format(printf, 2, 3))) static void say(struct x402_rpc *rpc,
                                                      const char *format, ...)
{
    char why[X402_RPC_MESSAGE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    snprintf(rpc->message, sizeof rpc->message, "node %s: %s", rpc->origin, why);
}

/* ------------------------------------------------------------------- open and close */

static bool open_handles(struct x402_rpc *rpc)
{
    rpc->multi = curl_multi_init();
    rpc->headers = curl_slist_append(NULL, "Content-Type: application/json");
    for (size_t i = 0; i < X402_RPC_PARALLEL_MAX; i++) {
        if (!x402_transfer_open(&rpc->slots[i].transfer))
            return false;
    }
    return rpc->multi != NULL && rpc->headers != NULL && rpc->url != NULL;
}

struct x402_rpc *x402_rpc_open(const char *url, bool (*stop)(void *data), void *data)
{
    struct x402_rpc *rpc = calloc(1, sizeof *rpc);

    if (rpc == NULL)
        return NULL;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    rpc->url = strdup(url);
    rpc->stop = stop;
    rpc->stop_data = data;
    rpc->next_id = 1;
    x402_url_origin(rpc->origin, url);
    if (open_handles(rpc))
        return rpc;
    x402_rpc_close(rpc);
    return NULL;
}

void x402_rpc_close(struct x402_rpc *rpc)
{
    if (rpc == NULL)
        return;
    for (size_t i = 0; i < X402_RPC_PARALLEL_MAX; i++)
        x402_transfer_close(&rpc->slots[i].transfer);
    curl_multi_cleanup(rpc->multi);
    curl_slist_free_all(rpc->headers);
    free(rpc->url);
    free(rpc);
    curl_global_cleanup();
}

const char *x402_rpc_origin(const struct x402_rpc *rpc)
{
    return rpc->origin;
}

const char *x402_rpc_message(const struct x402_rpc *rpc)
{
    return rpc->message;
}

/* ------------------------------------------------------------------------- one call */

static char *encode_request(const struct x402_rpc_call *call, uint64_t id)
{
    json_t *body =
        json_pack("{s:s, s:I, s:s, s:O}", "jsonrpc", "2.0", "id", (json_int_t)id,
                  "method", call->method, "params", call->params);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

    json_decref(body);
    return text;
}

static void prepare(struct x402_rpc *rpc, struct slot *slot)
{
    const struct x402_rpc_call *call = slot->call;
    long timeout = call->timeout_milliseconds;
    struct x402_transfer_options options = {
        .url = rpc->url,
        .headers = rpc->headers,
        .connect_milliseconds = CONNECT_MILLISECONDS,
        .timeout_milliseconds = timeout ? timeout : X402_RPC_TIMEOUT_MILLISECONDS,
        .answer_max = call->reply_max ? call->reply_max : X402_RPC_REPLY_MAX,
    };

    x402_transfer_prepare(&slot->transfer, &options);
    curl_easy_setopt(slot->transfer.easy, CURLOPT_POSTFIELDS, slot->request);
}

static bool start(struct x402_rpc *rpc, struct slot *slot, struct x402_rpc_call *call)
{
    slot->call = call;
    slot->id = rpc->next_id++;
    slot->request = call->params ? encode_request(call, slot->id) : NULL;
    if (slot->request == NULL) {
        say(rpc, "%s: no memory", call->method);
        slot->call = NULL;
        return false;
    }
    prepare(rpc, slot);
    if (curl_multi_add_handle(rpc->multi, slot->transfer.easy) == CURLM_OK)
        return true;
    say(rpc, "%s: cannot start the request", call->method);
    free(slot->request);
    slot->request = NULL;
    slot->call = NULL;
    return false;
}

static void release(struct x402_rpc *rpc, struct slot *slot)
{
    x402_transfer_reset(&slot->transfer, rpc->multi);
    free(slot->request);
    slot->request = NULL;
    slot->call = NULL;
}

/* A server that refuses the request by its HTTP status may say why in the body. */
static bool may_hold_error(long status)
{
    return status >= 400 && status < 500 && status != 408 && status != 429;
}

static void take_answer(struct x402_rpc *rpc, struct slot *slot, long status)
{
    struct x402_rpc_reply *reply = &slot->call->reply;
    const char *body = slot->transfer.answer;

    if (status == 200 || may_hold_error(status))
        x402_rpc_reply_decode(reply, body ? body : "", slot->transfer.size, slot->id);
    if (status != 200 && reply->status != X402_RPC_ERROR) {
        x402_rpc_reply_release(reply);
        say(rpc, "%s: HTTP status %ld", slot->call->method, status);
    } else if (reply->status == X402_RPC_FAILED) {
        say(rpc, "%s: the reply is no JSON-RPC answer to the request",
            slot->call->method);
    }
}

static void finish(void *context, struct x402_transfer *transfer, CURLcode code)
{
    struct x402_rpc *rpc = context;
    struct slot *slot = (struct slot *)(void *)transfer;
    struct x402_rpc_call *call = slot->call;
    long status = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (transfer->too_large)
        say(rpc, "%s: the reply is larger than %zu bytes", call->method, transfer->max);
    else if (code != CURLE_OK)
        say(rpc, "%s: %s", call->method, curl_easy_strerror(code));
    else
        take_answer(rpc, slot, status);
    release(rpc, slot);
}

/* ------------------------------------------------------------------------ all calls */

static size_t start_next(struct x402_rpc *rpc, struct x402_rpc_call *calls,
                         size_t count, size_t next)
{
    for (size_t i = 0; i < X402_RPC_PARALLEL_MAX && next < count; i++) {
        while (rpc->slots[i].call == NULL && next < count)
            (void)start(rpc, &rpc->slots[i], &calls[next++]);
    }
    return next;
}

static bool is_busy(const struct x402_rpc *rpc)
{
    for (size_t i = 0; i < X402_RPC_PARALLEL_MAX; i++) {
        if (rpc->slots[i].call != NULL)
            return true;
    }
    return false;
}

static void cut_off(struct x402_rpc *rpc)
{
    for (size_t i = 0; i < X402_RPC_PARALLEL_MAX; i++) {
        if (rpc->slots[i].call != NULL)
            release(rpc, &rpc->slots[i]);
    }
    say(rpc, "stopped while waiting");
}

/* Whether it is time to give up because the program stops. */
static bool must_stop(const struct x402_rpc *rpc, int64_t *stop_at)
{
    if (rpc->stop == NULL || !rpc->stop(rpc->stop_data))
        return false;
    if (*stop_at == 0)
        *stop_at = now_milliseconds() + STOP_MILLISECONDS;
    return now_milliseconds() >= *stop_at;
}

void x402_rpc_perform(struct x402_rpc *rpc, struct x402_rpc_call *calls, size_t count)
{
    int64_t stop_at = 0;
    size_t next = 0;
    int running;

    for (size_t i = 0; i < count; i++)
        memset(&calls[i].reply, 0, sizeof calls[i].reply);
    while (next < count || is_busy(rpc)) {
        next = start_next(rpc, calls, count, next);
        if (curl_multi_perform(rpc->multi, &running) != CURLM_OK)
            break;
        x402_transfers_finish(rpc->multi, finish, rpc);
        if (!is_busy(rpc))
            continue;
        if (must_stop(rpc, &stop_at))
            break;
        curl_multi_poll(rpc->multi, NULL, 0, POLL_MILLISECONDS, NULL);
    }
    if (is_busy(rpc))
        cut_off(rpc);
}

void x402_rpc_calls_release(struct x402_rpc_call *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_decref(calls[i].params);
        calls[i].params = NULL;
        x402_rpc_reply_release(&calls[i].reply);
    }
}
