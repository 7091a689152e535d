#include "core/token.h"

#include <string.h>
#include <strings.h>

bool x402_token_of_file(struct x402_slice *out, const char *text)
{
    size_t size = strcspn(text, "\r\n");

    for (size_t i = 0; i < size; i++) {
        if (text[i] <= ' ' || text[i] >= 0x7f)
            return false;
    }
    if (size < X402_TOKEN_MIN || size > X402_TOKEN_MAX)
        return false;
    *out = (struct x402_slice){text, size};
    return true;
}

/* What follows the name of an authorization scheme. */
static bool credentials(struct x402_slice *out, struct x402_slice header,
                        const char *scheme)
{
    size_t size = strlen(scheme);

    if (header.size <= size || header.data[size] != ' ' ||
        strncasecmp(header.data, scheme, size) != 0)
        return false;
    while (size < header.size && header.data[size] == ' ')
        size++;
    *out = (struct x402_slice){header.data + size, header.size - size};
    return true;
}

/* The password of base64("name:password"). */
static bool password(struct x402_slice *out, char scratch[X402_TOKEN_SCRATCH],
                     struct x402_slice encoded)
{
    size_t size = 0;

    if (x402_base64_decode((uint8_t *)scratch, &size, X402_TOKEN_SCRATCH, encoded) !=
        X402_OK)
        return false;
    const char *colon = memchr(scratch, ':', size);
    if (colon == NULL)
        return false;
    *out = (struct x402_slice){colon + 1, (size_t)(scratch + size - (colon + 1))};
    return true;
}

bool x402_token_presented(struct x402_slice *out, char scratch[X402_TOKEN_SCRATCH],
                          struct x402_slice header)
{
    struct x402_slice encoded;

    return credentials(out, header, "Bearer") ||
           (credentials(&encoded, header, "Basic") && password(out, scratch, encoded));
}
