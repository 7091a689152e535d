/*
 * A node whose answers a test writes: one request after the other, on a port of its
 * own. Everything here asserts that it works.
 */
#ifndef X402_TESTS_SETTLE_NODE_H
#define X402_TESTS_SETTLE_NODE_H

#include "settle/chain.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the node says to a request: {"result": …} or {"error": …}; NULL: it hangs up. In
 * the node's thread, while the test waits for it. */
typedef json_t *node_answer(const char *method, const json_t *params);

static struct {
    int fd;
    pthread_t thread;
    char url[64];
    node_answer *answer;
    int requests;
} node;

/* Reads a request whole: its headers, and as much body as they promise. */
static json_t *node_read(int fd)
{
    static char text[65536];
    size_t size = 0;

    for (;;) {
        ssize_t n = recv(fd, text + size, sizeof text - 1 - size, 0);
        if (n <= 0)
            return NULL;
        size += (size_t)n;
        text[size] = '\0';
        const char *body = strstr(text, "\r\n\r\n");
        const char *length = strcasestr(text, "content-length:");
        if (body != NULL && length != NULL &&
            strlen(body + 4) >= (size_t)atol(length + 15))
            return json_loads(body + 4, 0, NULL);
    }
}

static void node_reply(int fd, json_t *reply)
{
    char head[128], *body = json_dumps(reply, JSON_COMPACT);
    size_t size = strlen(body);

    snprintf(head, sizeof head,
             "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
             size);
    if (send(fd, head, strlen(head), MSG_NOSIGNAL) > 0)
        (void)send(fd, body, size, MSG_NOSIGNAL);
    free(body);
}

static void *node_serve(void *data)
{
    int fd;

    while ((fd = accept(node.fd, NULL, NULL)) >= 0) {
        json_t *request = node_read(fd);
        const char *method = json_string_value(json_object_get(request, "method"));
        json_t *reply = NULL;
        if (method != NULL) {
            node.requests++;
            reply = node.answer(method, json_object_get(request, "params"));
        }
        if (reply != NULL) {
            json_object_set(reply, "id", json_object_get(request, "id"));
            json_object_set_new(reply, "jsonrpc", json_string("2.0"));
            node_reply(fd, reply);
        }
        json_decref(reply);
        json_decref(request);
        close(fd);
    }
    return data;
}

static int node_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    node.fd = socket(AF_INET, SOCK_STREAM, 0);
    node.requests = 0;
    if (bind(node.fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(node.fd, 64) != 0 ||
        getsockname(node.fd, (struct sockaddr *)&address, &size) != 0)
        return -1;
    snprintf(node.url, sizeof node.url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    return pthread_create(&node.thread, NULL, node_serve, NULL);
}

static int node_stop(void)
{
    shutdown(node.fd, SHUT_RDWR);
    close(node.fd);
    return pthread_join(node.thread, NULL);
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
