/* The frame of the demo services, over libmicrohttpd. */
#include "http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct service_request {
    struct MHD_Connection *connection;
    json_t *json; /* of the body; NULL when there is none */
    char *body;
    size_t body_size;
    bool too_large;
};

struct service_server {
    struct MHD_Daemon *daemon;
    const struct service *services;
    const struct services_config *config;
    atomic_uint under_way[SERVICES_MAX]; /* by the place in `services` */
};

/* --------------------------------------------------------------------- arguments */

static bool query_argument(struct x402_slice *out,
                           const struct service_request *request, const char *name)
{
    const char *value = NULL;
    size_t size = 0;
    if (MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name,
                                      strlen(name), &value, &size) != MHD_YES ||
        value == NULL)
        return false;
    *out = (struct x402_slice){value, size};
    return true;
}

bool service_argument(struct x402_slice *out, const struct service_request *request,
                      const char *name)
{
    const json_t *member;
    if (query_argument(out, request, name))
        return true;
    member = json_object_get(request->json, name);
    if (!json_is_string(member))
        return false;
    *out = (struct x402_slice){json_string_value(member), json_string_length(member)};
    return true;
}

/* ----------------------------------------------------------------------- answers */

void service_answer_json(struct service_answer *answer, unsigned status, json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(7));
    json_decref(value);
    answer->status = text != NULL ? status : MHD_HTTP_INTERNAL_SERVER_ERROR;
    answer->type = "application/json";
    answer->body = text;
    answer->size = text != NULL ? strlen(text) : 0;
}

void service_answer_bytes(struct service_answer *answer, const char *type, char *bytes,
                          size_t size)
{
    answer->status = MHD_HTTP_OK;
    answer->type = type;
    answer->body = bytes;
    answer->size = size;
}

void service_answer_problem(struct service_answer *answer, unsigned status,
                            const char *detail)
{
    json_t *problem = json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title",
                                MHD_get_reason_phrase_for(status), "status",
                                (int)status, "detail", detail);
    service_answer_json(answer, status, problem);
    answer->type = "application/problem+json";
}

static void add_retry_after(struct MHD_Response *response, unsigned seconds)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", seconds);
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, text);
}

static enum MHD_Result send_answer(struct MHD_Connection *connection,
                                   const struct service_answer *answer)
{
    enum MHD_Result result;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->size, answer->body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        free(answer->body);
        return MHD_NO;
    }
    (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
    if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, POST");
    if (answer->retry_after_seconds > 0)
        add_retry_after(response, answer->retry_after_seconds);
    result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---------------------------------------------------------------------- requests */

static void collect_body(struct service_request *request, const char *piece,
                         size_t size)
{
    char *grown;
    if (request->too_large || size > SERVICE_BODY_MAX - request->body_size) {
        request->too_large = true;
        return;
    }
    grown = realloc(request->body, request->body_size + size);
    if (grown == NULL) {
        request->too_large = true;
        return;
    }
    memcpy(grown + request->body_size, piece, size);
    request->body = grown;
    request->body_size += size;
}

static void end_request(void *data, struct MHD_Connection *connection,
                        void **request_data, enum MHD_RequestTerminationCode code)
{
    struct service_request *request = *request_data;
    (void)data;
    (void)connection;
    (void)code;
    if (request == NULL)
        return;
    json_decref(request->json);
    free(request->body);
    free(request);
    *request_data = NULL;
}

static bool is_any_of(const char *method, const char *a, const char *b, const char *c)
{
    return strcmp(method, a) == 0 || strcmp(method, b) == 0 || strcmp(method, c) == 0;
}

static const struct service *find_service(const struct service *services,
                                          const char *path)
{
    for (; services->path != NULL; services++) {
        if (strcmp(services->path, path) == 0)
            return services;
    }
    return NULL;
}

/* Runs the handler, unless too many others run it. */
static void answer_service(struct service_answer *answer, struct service_server *server,
                           const struct service *service,
                           const struct service_request *request)
{
    atomic_uint *under_way = &server->under_way[service - server->services];
    if (atomic_fetch_add(under_way, 1) < SERVICE_AT_ONCE_MAX) {
        service->handle(answer, request, server->config);
    } else {
        service_answer_problem(answer, MHD_HTTP_SERVICE_UNAVAILABLE,
                               "This service has too much to do; ask again later");
        answer->retry_after_seconds = 1;
    }
    atomic_fetch_sub(under_way, 1);
}

static void answer_request(struct service_answer *answer, struct service_server *server,
                           const char *path, const char *method,
                           struct service_request *request)
{
    const struct service *service = find_service(server->services, path);
    if (service == NULL) {
        service_answer_problem(answer, MHD_HTTP_NOT_FOUND, "There is no such service");
        return;
    }
    if (!is_any_of(method, "GET", "HEAD", "POST")) {
        service_answer_problem(answer, MHD_HTTP_METHOD_NOT_ALLOWED,
                               "This service answers GET and POST");
        return;
    }
    if (request->too_large) {
        service_answer_problem(answer, MHD_HTTP_CONTENT_TOO_LARGE,
                               "The body is too large");
        return;
    }
    if (request->body_size > 0) {
        request->json =
            json_loadb(request->body, request->body_size, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(request->json)) {
            service_answer_problem(answer, MHD_HTTP_BAD_REQUEST,
                                   "The body is not a JSON object");
            return;
        }
    }
    answer_service(answer, server, service, request);
}

/* libmicrohttpd's: once for the header, once per piece of body, once at the end. */
static enum MHD_Result on_request(void *data, struct MHD_Connection *connection,
                                  const char *path, const char *method,
                                  const char *version, const char *piece,
                                  size_t *piece_size, void **request_data)
{
    struct service_server *server = data;
    struct service_request *request = *request_data;
    struct service_answer answer = {0};
    (void)version;
    if (request == NULL) {
        request = calloc(1, sizeof *request);
        if (request == NULL)
            return MHD_NO;
        request->connection = connection;
        *request_data = request;
        return MHD_YES;
    }
    if (*piece_size > 0) {
        collect_body(request, piece, *piece_size);
        *piece_size = 0;
        return MHD_YES;
    }
    answer_request(&answer, server, path, method, request);
    return send_answer(connection, &answer);
}

/* ------------------------------------------------------------------------ server */

static bool parse_address(struct sockaddr_in *out, const char *text)
{
    char host[INET_ADDRSTRLEN];
    char *end;
    const char *colon = strrchr(text, ':');
    unsigned long port;
    if (colon == NULL || (size_t)(colon - text) >= sizeof host)
        return false;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    port = strtoul(colon + 1, &end, 10);
    if (colon[1] < '0' || colon[1] > '9' || *end != '\0' || port == 0 || port > 65535)
        return false;
    *out =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    return inet_pton(AF_INET, host, &out->sin_addr) == 1;
}

struct service_server *service_server_open(const char **why, const char *address,
                                           const struct service *services,
                                           const struct services_config *config)
{
    struct sockaddr_in socket_address;
    struct service_server *server;
    errno = 0;
    if (!parse_address(&socket_address, address)) {
        *why = "not an address like 127.0.0.1:4021";
        return NULL;
    }
    server = calloc(1, sizeof *server);
    if (server == NULL) {
        *why = "out of memory";
        return NULL;
    }
    server->services = services;
    server->config = config;
    for (size_t i = 0; services[i].path != NULL; i++) {
        assert(i < SERVICES_MAX);
        atomic_init(&server->under_way[i], 0);
    }
    server->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL |
            MHD_USE_ITC,
        0, NULL, NULL, on_request, server, MHD_OPTION_SOCK_ADDR,
        (struct sockaddr *)&socket_address, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)SERVICE_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)SERVICE_TIMEOUT_SECONDS, MHD_OPTION_NOTIFY_COMPLETED, end_request,
        NULL, MHD_OPTION_END);
    if (server->daemon == NULL) {
        *why = "cannot listen";
        free(server);
        return NULL;
    }
    return server;
}

void service_server_close(struct service_server *server)
{
    assert(server != NULL);
    MHD_stop_daemon(server->daemon);
    free(server);
}
