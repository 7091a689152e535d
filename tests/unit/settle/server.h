/*
 * A server whose answers a test writes: one request after the other, on a port of its
 * own. Everything here asserts that it works.
 */
#ifndef X402_TESTS_SETTLE_SERVER_H
#define X402_TESTS_SETTLE_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the server writes to a connection after it has read a request; then it hangs up.
 * In the server's thread, while the test waits for it. */
typedef void server_answer(int fd);

static struct {
    int fd;
    char url[64];
    pthread_t thread;
    server_answer *_Atomic answer; /* a request that was given up may still ask */
    atomic_int requests;
    char last[65536]; /* the last request: its headers, and its body */
} server;

static void server_send(int fd, const char *text)
{
    size_t size = strlen(text);

    while (size > 0) {
        ssize_t n = send(fd, text, size, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        text += n;
        size -= (size_t)n;
    }
}

/* A whole answer, of a status as "200 OK". */
__attribute__((unused)) static void server_send_body(int fd, const char *status,
                                                     const char *body)
{
    char head[256];

    snprintf(head, sizeof head,
             "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
             "Connection: close\r\n\r\n",
             status, strlen(body));
    server_send(fd, head);
    server_send(fd, body);
}

/* An answer that does not come: until the other side goes away. */
__attribute__((unused)) static void server_hang(int fd)
{
    char byte;

    (void)!recv(fd, &byte, 1, 0);
}

/* The body of the last request; "" when it has none. */
__attribute__((unused)) static const char *server_body(void)
{
    const char *body = strstr(server.last, "\r\n\r\n");

    return body == NULL ? "" : body + 4;
}

/* Reads a request whole: its headers, and as much body as they promise. */
static bool server_read(int fd)
{
    size_t size = 0;

    for (;;) {
        ssize_t n = recv(fd, server.last + size, sizeof server.last - 1 - size, 0);
        if (n <= 0)
            return false;
        size += (size_t)n;
        server.last[size] = '\0';
        const char *body = strstr(server.last, "\r\n\r\n");
        const char *length = strcasestr(server.last, "content-length:");
        if (body != NULL &&
            strlen(body + 4) >= (size_t)(length ? atol(length + 15) : 0))
            return true;
    }
}

static void *server_serve(void *data)
{
    int fd;

    while ((fd = accept(server.fd, NULL, NULL)) >= 0) {
        if (server_read(fd)) {
            server.requests++;
            server.answer(fd);
        }
        close(fd);
    }
    return data;
}

static int server_start(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    server.fd = socket(AF_INET, SOCK_STREAM, 0);
    server.requests = 0;
    if (bind(server.fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(server.fd, 64) != 0 ||
        getsockname(server.fd, (struct sockaddr *)&address, &size) != 0)
        return -1;
    snprintf(server.url, sizeof server.url, "http://127.0.0.1:%u",
             ntohs(address.sin_port));
    return pthread_create(&server.thread, NULL, server_serve, NULL);
}

static int server_stop(void)
{
    shutdown(server.fd, SHUT_RDWR);
    close(server.fd);
    return pthread_join(server.thread, NULL);
}

#endif
