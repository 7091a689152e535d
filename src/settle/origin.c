#include "settle/origin.h"

#include <stdio.h>
#include <string.h>

#define HOST_MAX 256

void x402_url_origin(char out[X402_ORIGIN_MAX], const char *url)
{
    const char *host = strstr(url, "://");
    size_t scheme_size = host ? (size_t)(host - url) + 3 : 0;

    host = url + scheme_size;
    size_t size = strcspn(host, "/?#");
    for (size_t i = 0; i < size; i++) {
        if (host[i] == '@') {
            host += i + 1;
            size -= i + 1;
            i = (size_t)-1; /* the last one counts */
        }
    }
    snprintf(out, X402_ORIGIN_MAX, "%.*s%.*s", (int)(scheme_size & 0xff), url,
             (int)(size < HOST_MAX ? size : HOST_MAX), host);
}
