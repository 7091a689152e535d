/*
 * x402-services: the demo APIs that `make run` puts behind the gateway. They know
 * nothing of payments.
 */
#include "card.h"
#include "http.h"

#include <curl/curl.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct service services[] = {
    {"/api/ask", service_ask},
    {"/api/og", service_og},
    {"/api/fetch-summarize", service_fetch_summarize},
    {"/api/embed", service_embed},
    {NULL, NULL},
};

/* Each arena keeps the most that a page ever took in it; of its own accord glibc makes
 * eight a processor. */
#define ARENAS_MAX 4

/* Threads inherit the mask: only main's sigwait sees these. */
static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigprocmask(SIG_BLOCK, set, NULL);
}

/* What an operator should know of who answers what. */
static void say_start(const struct services_config *config)
{
    fprintf(stderr, "x402-services: listening on %s\n", config->listen);
    if (config->claude.key != NULL)
        fprintf(stderr, "x402-services: ask and fetch-summarize ask %s at %s\n",
                config->claude.model, config->claude.url);
    else
        fprintf(stderr, "x402-services: no key for Claude (--claude-key): ask answers "
                        "503, fetch-summarize summarizes here\n");
    if (config->embeddings.url != NULL)
        fprintf(stderr, "x402-services: embed asks %s at %s\n",
                config->embeddings.model, config->embeddings.url);
}

static int serve(const struct services_config *config)
{
    sigset_t set;
    int caught;
    const char *why;
    struct service_server *server;
    block_signals(&set);
    server = service_server_open(&why, config->listen, services, config);
    if (server == NULL) {
        fprintf(stderr, "x402-services: %s: '%s'%s%s\n", why, config->listen,
                errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
        return 1;
    }
    say_start(config);
    sigwait(&set, &caught);
    service_server_close(server);
    return 0;
}

int main(int argc, char **argv)
{
    struct services_config config;
    int code = services_config_read(&config, argc, argv);
    if (code >= 0)
        return code;
    mallopt(M_ARENA_MAX, ARENAS_MAX);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    code = serve(&config);
    card_close();
    curl_global_cleanup();
    services_config_release(&config);
    return code;
}
