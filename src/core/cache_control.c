#include "core/cache_control.h"

#include <string.h>
#include <strings.h>

/* Would a shared cache keep a paid answer for it? "private" is said already. */
static bool is_dropped(const char *text, size_t size)
{
    return (size == 6 && strncasecmp(text, "public", 6) == 0) ||
           (size >= 8 && strncasecmp(text, "s-maxage", 8) == 0) ||
           (size == 7 && strncasecmp(text, "private", 7) == 0);
}

static bool is_blank(char ch)
{
    return ch == ' ' || ch == '\t';
}

size_t x402_cache_control_private(char *out, struct x402_slice value)
{
    const char *at = value.data, *end = value.data + value.size;
    char *start = out;

    while (at < end) {
        while (at < end && (is_blank(*at) || *at == ','))
            at++;
        const char *next = memchr(at, ',', (size_t)(end - at));
        if (next == NULL)
            next = end;
        const char *stop = next;
        while (stop > at && is_blank(stop[-1]))
            stop--;
        if (stop > at && !is_dropped(at, (size_t)(stop - at))) {
            memcpy(out, ", ", 2);
            memcpy(out + 2, at, (size_t)(stop - at));
            out += 2 + (stop - at);
        }
        at = next;
    }
    return (size_t)(out - start);
}
