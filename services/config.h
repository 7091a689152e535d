/*
 * What the services are told at start: where they listen, their keys, and whom they
 * ask. Filled once, then read by every handler, from any thread.
 */
#ifndef X402_SERVICES_CONFIG_H
#define X402_SERVICES_CONFIG_H

#include <stdbool.h>

#define SERVICES_URL_SIZE 512
#define SERVICES_KEY_SIZE 512

/* One API that a service calls for its answers. Text is zero-terminated. */
struct services_api {
    const char *url;   /* scheme, authority and perhaps a path: no trailing slash */
    const char *model; /* its name there */
    const char *key;   /* NULL: none. A secret: never logged */
    bool is_here;      /* the URL leads to this machine */
};

struct services_config {
    const char *listen;         /* ADDRESS:PORT */
    struct services_api claude; /* Anthropic's Messages API; not asked without key */
    struct services_api embeddings; /* an API of OpenAI's shape; url NULL for none */

    /* What the above points into. */
    char claude_url[SERVICES_URL_SIZE], embeddings_url[SERVICES_URL_SIZE];
    char claude_key[SERVICES_KEY_SIZE], embeddings_key[SERVICES_KEY_SIZE];
};

/*
 * Reads the command line and the environment. Returns -1 to go on; otherwise the exit
 * code, when all has been said: 0 after --help, 1 when a key cannot be had, 2 after
 * wrong usage. The config points into argv and itself: leave both where they are.
 */
int services_config_read(struct services_config *config, int argc, char **argv);

/* Wipes the keys. */
void services_config_release(struct services_config *config);

#endif
