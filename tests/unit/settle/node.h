/*
 * A node whose answers a test writes, and the chain (fixture.h) that asks it.
 * Everything here asserts that it works.
 */
#ifndef X402_TESTS_SETTLE_NODE_H
#define X402_TESTS_SETTLE_NODE_H

#include "unit/settle/fixture.h"
#include "unit/settle/server.h"

/* What the node says to a request: {"result": …} or {"error": …}; NULL: it hangs up. In
 * the node's thread, while the test waits for it. */
typedef json_t *node_answer(const char *method, const json_t *params);

static struct {
    node_answer *_Atomic answer;
} node;

static void node_serve(int fd)
{
    json_t *request = json_loads(server_body(), 0, NULL);
    const char *method = json_string_value(json_object_get(request, "method"));
    node_answer *const answer = node.answer;
    json_t *reply = NULL;
    char *text;

    if (method != NULL)
        reply = answer(method, json_object_get(request, "params"));
    if (reply != NULL) {
        json_object_set(reply, "id", json_object_get(request, "id"));
        json_object_set_new(reply, "jsonrpc", json_string("2.0"));
        text = json_dumps(reply, JSON_COMPACT);
        server_send_body(fd, "200 OK", text);
        free(text);
    }
    json_decref(reply);
    json_decref(request);
}

static bool node_never(void *data)
{
    (void)data;
    return false;
}

/* Starts the node, and connects the chain with it. */
static int node_start(void)
{
    server.answer = node_serve;
    if (server_start() != 0)
        return -1;
    chain.rpc = x402_rpc_open(server.url, node_never, NULL);
    return chain.rpc == NULL ? -1 : 0;
}

static int node_stop(void)
{
    x402_rpc_close(chain.rpc);
    return server_stop();
}

/* -------------------------------------------------------------------------- answers */

__attribute__((unused)) static json_t *node_result(json_t *value)
{
    return json_pack("{s:o}", "result", value);
}

__attribute__((unused)) static json_t *node_error(int code, const char *message)
{
    return json_pack("{s:{s:i, s:s}}", "error", "code", code, "message", message);
}

/* Some answers to anything. */
__attribute__((unused)) static json_t *node_hangs_up(const char *method,
                                                     const json_t *params)
{
    (void)method;
    (void)params;
    return NULL;
}

__attribute__((unused)) static json_t *node_is_at_a_loss(const char *method,
                                                         const json_t *params)
{
    (void)method;
    (void)params;
    return node_error(-32603, "internal error");
}

/* The fields of an eth_call, and their data as bytes; its size. */
__attribute__((unused)) static size_t node_call_data(const json_t *params, uint8_t *out,
                                                     size_t max)
{
    const json_t *call = json_array_get(params, 0);
    size_t size = 0;

    return x402_json_data(out, &size, max, json_object_get(call, "data")) ? size : 0;
}

/* Whether an eth_call is to this address. */
__attribute__((unused)) static bool node_called(const json_t *params,
                                                const uint8_t to20[20])
{
    uint8_t called20[20];

    return x402_json_bytes(called20, 20,
                           json_object_get(json_array_get(params, 0), "to")) &&
           memcmp(called20, to20, 20) == 0;
}

/* A number as the 32 bytes of a word. */
__attribute__((unused)) static json_t *node_word(uint64_t number)
{
    uint8_t word32[32] = {0};

    for (size_t i = 0; i < 8; i++)
        word32[31 - i] = (uint8_t)(number >> (8 * i));
    return x402_json_of_bytes(word32, 32);
}

#endif
