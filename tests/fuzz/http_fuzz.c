/*
 * What callers and upstreams say in HTTP beside payments. The first byte says what the
 * rest is: 'p' the target of a request, 'h' a host, 'c' a Cache-Control, 't' a token
 * file, 'a' the value of an Authorization header, and 'b' a name, a colon and a token
 * that a browser would send.
 */
#include "check.h"

#include "core/cache_control.h"
#include "core/path.h"
#include "core/token.h"

#include <ctype.h>
#include <strings.h>

#define SIZE_MAX_FUZZED 4096

/* ---------------------------------------------------------------------------- paths */

static int digit_of(char c)
{
    return isxdigit((unsigned char)c)
               ? (isdigit((unsigned char)c) ? c - '0' : (c | 32) - 'a' + 10)
               : -1;
}

/* Unescaped once, in place, as servers do. */
static size_t unescape(char *text, size_t size)
{
    size_t out = 0;

    for (size_t i = 0; i < size; i++) {
        if (text[i] == '%' && i + 2 < size && digit_of(text[i + 1]) >= 0 &&
            digit_of(text[i + 2]) >= 0) {
            text[out++] = (char)(digit_of(text[i + 1]) * 16 + digit_of(text[i + 2]));
            i += 2;
        } else {
            text[out++] = text[i];
        }
    }
    return out;
}

static size_t count(const char *text, size_t size, char c)
{
    size_t found = 0;

    for (size_t i = 0; i < size; i++)
        found += text[i] == c;
    return found;
}

/* Empty, or dots that lead elsewhere, perhaps with parameters behind them. */
static bool is_step(const char *segment, size_t size)
{
    size_t dots = 0;
    const char *parameters = memchr(segment, ';', size);

    if (parameters != NULL)
        size = (size_t)(parameters - segment);
    while (dots < size && segment[dots] == '.')
        dots++;
    return dots == size && (size == 1 || size == 2);
}

static void check_segments(const char *text, size_t size)
{
    size_t start = 0;

    for (size_t i = 0; i <= size; i++) {
        if (i < size && text[i] != '/')
            continue;
        check(start == 0 || !is_step(text + start, i - start), "no . or .. to follow");
        check(start == 0 || i == size || (i > start && text[start] != ';'),
              "no empty segment to merge");
        start = i + 1;
    }
}

/* What is let through reads the same to who unescapes it not at all, once or twice, and
 * whether or not it is normalized. */
static void check_path(struct x402_slice target)
{
    static char text[SIZE_MAX_FUZZED];
    const char *query = memchr(target.data, '?', target.size);
    size_t size = query != NULL ? (size_t)(query - target.data) : target.size;
    size_t slashes = count(target.data, size, '/');

    if (x402_path_is_ambiguous(target))
        return;
    memcpy(text, target.data, size);
    check(memchr(text, '#', size) == NULL, "no fragment");
    for (int times = 0; times < 3; times++) {
        check(count(text, size, '/') == slashes, "the same segments");
        check(memchr(text, '\\', size) == NULL, "no backslash");
        check_segments(text, size);
        size = unescape(text, size);
    }
}

static void check_authority(struct x402_slice text)
{
    bool plain = text.size > 0 && text.size <= 255;

    for (size_t i = 0; i < text.size && plain; i++)
        plain = isalnum((unsigned char)text.data[i]) ||
                memchr(".-:_[]", text.data[i], 6) != NULL;
    check(x402_authority_is_plain(text) == plain, "a host");
}

/* -------------------------------------------------------------------- Cache-Control */

static bool is_shared(const char *at, size_t size)
{
    return (size == 6 && strncasecmp(at, "public", 6) == 0) ||
           (size >= 8 && strncasecmp(at, "s-maxage", 8) == 0);
}

/* The next directive, without what is around it. */
static struct x402_slice next_directive(const char **at, const char *end)
{
    while (*at < end && strchr(" \t,", **at) != NULL && **at != '\0')
        ++*at;
    const char *start = *at;
    while (*at < end && **at != ',')
        ++*at;
    const char *stop = *at;
    while (stop > start && (stop[-1] == ' ' || stop[-1] == '\t'))
        stop--;
    return (struct x402_slice){start, (size_t)(stop - start)};
}

/* Nothing for shared caches is left, and everything else is, in its order. */
static void check_cache_control(struct x402_slice value)
{
    char *out = malloc(X402_CACHE_CONTROL_SIZE(value.size));

    check(out != NULL, "memory");
    size_t size = x402_cache_control_private(out, value);
    check(size <= X402_CACHE_CONTROL_SIZE(value.size), "in its room");
    const char *in_at = value.data, *in_end = value.data + value.size;
    const char *out_at = out, *out_end = out + size;
    while (in_at < in_end) {
        struct x402_slice said = next_directive(&in_at, in_end);
        if (said.size == 0 || is_shared(said.data, said.size) ||
            (said.size == 7 && strncasecmp(said.data, "private", 7) == 0))
            continue;
        check(x402_slice_equal(next_directive(&out_at, out_end), said), "kept");
    }
    check(next_directive(&out_at, out_end).size == 0, "nothing more");
    free(out);
}

/* --------------------------------------------------------------------------- tokens */

static void check_presented(const char *format, const char *credentials,
                            struct x402_slice token)
{
    char header[2 * SIZE_MAX_FUZZED], scratch[X402_TOKEN_SCRATCH];
    struct x402_slice found;
    int size = snprintf(header, sizeof header, format, credentials);

    check(size > 0 && (size_t)size < sizeof header, "a header");
    check(x402_token_presented(&found, scratch,
                               (struct x402_slice){header, (size_t)size}) &&
              x402_slice_equal(found, token),
          "what is in the file opens");
}

/* A zero ends the text, as it does in a file that was read. */
static void check_file(struct x402_slice bytes)
{
    char text[SIZE_MAX_FUZZED + 1], pair[X402_TOKEN_MAX + 3] = "me:";
    char encoded[X402_BASE64_SIZE(sizeof pair) + 1] = "";
    struct x402_slice token;

    memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = '\0';
    if (!x402_token_of_file(&token, text))
        return;
    check(token.data == text && token.size >= X402_TOKEN_MIN &&
              token.size <= X402_TOKEN_MAX && strchr("\r\n", text[token.size]) != NULL,
          "the first line");
    text[token.size] = '\0';
    check_presented("Bearer %s", text, token);
    memcpy(pair + 3, text, token.size);
    x402_base64_encode(encoded, (uint8_t *)pair, 3 + token.size);
    check_presented("basic  %s", encoded, token);
}

static void check_authorization(struct x402_slice header)
{
    char *scratch = malloc(X402_TOKEN_SCRATCH);
    struct x402_slice token;

    check(scratch != NULL, "memory");
    if (x402_token_presented(&token, scratch, header)) {
        bool bearer =
            token.data >= header.data && token.data <= header.data + header.size;
        const char *start = bearer ? header.data : scratch;
        size_t size = bearer ? header.size : X402_TOKEN_SCRATCH;
        check(token.data >= start && token.data + token.size <= start + size,
              "a token in what was given");
    }
    free(scratch);
}

/* What a browser makes of a name and a password. */
static void check_basic(struct x402_slice pair)
{
    char header[6 + X402_BASE64_SIZE(SIZE_MAX_FUZZED)] = "Basic ";
    char scratch[X402_TOKEN_SCRATCH];
    const char *colon = memchr(pair.data, ':', pair.size);
    struct x402_slice found, whole = {header, 6 + X402_BASE64_SIZE(pair.size)};

    x402_base64_encode(header + 6, (const uint8_t *)pair.data, pair.size);
    bool presented = x402_token_presented(&found, scratch, whole);
    check(presented == (colon != NULL && pair.size <= X402_TOKEN_SCRATCH),
          "a password");
    check(!presented ||
              x402_slice_equal(
                  found, (struct x402_slice){colon + 1, (size_t)(pair.data + pair.size -
                                                                 (colon + 1))}),
          "the same password");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > SIZE_MAX_FUZZED)
        return 0;
    char *copy = malloc(size > 1 ? size - 1 : 1); /* a byte too far is seen */
    check(copy != NULL, "memory");
    memcpy(copy, data + 1, size - 1);
    struct x402_slice text = {copy, size - 1};
    switch (data[0]) {
    case 'p':
        check_path(text);
        break;
    case 'h':
        check_authority(text);
        break;
    case 'c':
        check_cache_control(text);
        break;
    case 't':
        check_file(text);
        break;
    case 'a':
        check_authorization(text);
        break;
    case 'b':
        check_basic(text);
        break;
    default:
        break;
    }
    free(copy);
    return 0;
}
