/*
 * The frame of the demo services: small HTTP answers to small HTTP questions, what the
 * gateway sells on a fresh machine. One service is one file with one handler, and a
 * line in main.c's table.
 */
#ifndef X402_SERVICES_HTTP_H
#define X402_SERVICES_HTTP_H

#include "config.h"

#include <x402/bytes.h>

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define SERVICES_MAX 8
#define SERVICE_BODY_MAX 65536 /* bytes of a request's body */
#define SERVICE_CONNECTIONS_MAX 128
#define SERVICE_AT_ONCE_MAX 32 /* of one service: slow pages leave room for others */
#define SERVICE_TIMEOUT_SECONDS 45 /* longer than any handler takes */

/* What was asked; borrowed for the time of the call. */
struct service_request;

/*
 * The argument `name`: of the query, or else a string member of the JSON body. False
 * when there is none, with *out unwritten. UTF-8, valid as long as the request.
 */
bool service_argument(struct x402_slice *out, const struct service_request *request,
                      const char *name);

/* What is answered; filled by one of the three functions below. */
struct service_answer {
    unsigned status;
    const char *type; /* static */
    char *body;       /* malloc'ed; the frame frees it */
    size_t size;
    unsigned retry_after_seconds; /* 0: no Retry-After */
};

/* Answers with a JSON value, which it takes over. */
void service_answer_json(struct service_answer *answer, unsigned status, json_t *value);

/* Answers 200 with bytes that were malloc'ed, which it takes over; `type` is static. */
void service_answer_bytes(struct service_answer *answer, const char *type, char *bytes,
                          size_t size);

/* Answers with a problem document (RFC 9457); `detail` is a sentence. */
void service_answer_problem(struct service_answer *answer, unsigned status,
                            const char *detail);

/*
 * A service: GET and POST to a path. A handler runs in a thread of its own connection
 * and may block; it must be safe beside itself. Beyond SERVICE_AT_ONCE_MAX of one
 * service the answer is 503 with Retry-After, and no handler runs.
 */
typedef void service_handler(struct service_answer *answer,
                             const struct service_request *request,
                             const struct services_config *config);

struct service {
    const char *path;
    service_handler *handle;
};

service_handler service_ask;
service_handler service_og;
service_handler service_fetch_summarize;
service_handler service_embed;

struct service_server;

/*
 * Serves a table of at most SERVICES_MAX that ends with a NULL path; it and `config`
 * must outlive the server, on 127.0.0.1-like `address` ("ADDRESS:PORT", IPv4). NULL
 * when it cannot, with *why set to a static text; errno says more when it is not 0.
 */
struct service_server *service_server_open(const char **why, const char *address,
                                           const struct service *services,
                                           const struct services_config *config);

/* Finishes what is being answered and stops. */
void service_server_close(struct service_server *server);

#endif
