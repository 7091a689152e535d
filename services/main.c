/*
 * x402-services: the demo APIs that `make run` puts behind the gateway. They know
 * nothing of payments.
 */
#include "http.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct service services[] = {
    {"/api/embed", service_embed},
    {NULL, NULL},
};

static int usage(FILE *out)
{
    fputs("usage: x402-services [--listen ADDRESS:PORT]\n"
          "Serves the demo APIs, on 127.0.0.1:4021 unless told otherwise:\n",
          out);
    for (const struct service *service = services; service->path != NULL; service++)
        fprintf(out, "  %s\n", service->path);
    return out == stdout ? 0 : 2;
}

/* Threads inherit the mask: only main's sigwait sees these. */
static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigprocmask(SIG_BLOCK, set, NULL);
}

static int serve(const char *address, const struct services_config *config)
{
    sigset_t set;
    int caught;
    const char *why;
    struct service_server *server;
    block_signals(&set);
    server = service_server_open(&why, address, services, config);
    if (server == NULL) {
        fprintf(stderr, "x402-services: %s: '%s'%s%s\n", why, address,
                errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
        return 1;
    }
    fprintf(stderr, "x402-services: listening on %s\n", address);
    sigwait(&set, &caught);
    service_server_close(server);
    return 0;
}

int main(int argc, char **argv)
{
    const char *address = "127.0.0.1:4021";
    const struct services_config config = {0};
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout);
    if (argc == 3 && strcmp(argv[1], "--listen") == 0)
        address = argv[2];
    else if (argc != 1)
        return usage(stderr);
    return serve(address, &config);
}
