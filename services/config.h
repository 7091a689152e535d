/*
 * What the services are told at start: their keys, and whom they ask. Filled once by
 * main.c, read by every handler, from any thread.
 */
#ifndef X402_SERVICES_CONFIG_H
#define X402_SERVICES_CONFIG_H

/* One API that a service calls for its answers. Text is zero-terminated. */
struct services_api {
    const char *url;   /* scheme, authority and perhaps a path: no trailing slash */
    const char *model; /* its name there */
    const char *key;   /* NULL: none, so it is not asked. A secret: never logged */
};

struct services_config {
    struct services_api claude;     /* Anthropic's Messages API */
    struct services_api embeddings; /* an API of OpenAI's shape; url NULL for none */
};

#endif
