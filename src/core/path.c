#include "core/path.h"

#include <string.h>

static int hex_digit(int ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    ch |= 0x20;
    return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* Two characters as a byte; -1 when they are no hex digits. */
static int hex_byte(int high, int low)
{
    high = hex_digit(high);
    low = hex_digit(low);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* One character, unescaped once; moves *at. -1 at the end. */
static int unescape(const uint8_t **at, const uint8_t *end)
{
    int byte = -1;

    if (*at == end)
        return -1;
    if (**at == '%' && end - *at >= 3)
        byte = hex_byte((*at)[1], (*at)[2]);
    if (byte < 0)
        return *(*at)++;
    *at += 3;
    return byte;
}

/* One character, unescaped twice where it was escaped twice, as *twice says. */
static int unescape_twice(const uint8_t *at, const uint8_t *end, bool *twice)
{
    int ch = unescape(&at, end);
    int high = ch == '%' ? unescape(&at, end) : -1;
    int byte = high >= 0 ? hex_byte(high, unescape(&at, end)) : -1;

    *twice = byte >= 0;
    return *twice ? byte : ch;
}

/*
 * `at` is a percent sign: does it stand for a slash, a backslash or a dot, escaped once
 * or twice, or for a percent sign that was escaped twice and may go on so?
 */
static bool escape_is_ambiguous(const uint8_t *at, const uint8_t *end)
{
    bool twice;
    int ch = unescape_twice(at, end, &twice);

    return ch == '/' || ch == '\\' || ch == '.' || (twice && ch == '%');
}

/*
 * `at` stands behind a slash: an empty, "." or ".." segment, perhaps with parameters or
 * blanks, which some servers strip before they read the path (RFC 3986 section 3.3)?
 */
static bool segment_is_ambiguous(const uint8_t *at, const uint8_t *end)
{
    unsigned dots = 0;

    for (; dots < 2 && at < end && *at == '.'; dots++)
        at++;
    bool twice;
    int ch = unescape_twice(at, end, &twice);
    return ch == '/' || ch == ';' || (dots > 0 && ch <= ' ');
}

bool x402_path_is_ambiguous(struct x402_slice target)
{
    const uint8_t *at = (const uint8_t *)target.data;
    const uint8_t *end = target.size > 0 ? memchr(at, '?', target.size) : NULL;

    if (end == NULL)
        end = at + target.size;
    for (; at < end; at++) {
        if (*at == '\\' || *at == '#')
            return true;
        if (*at == '%' && escape_is_ambiguous(at, end))
            return true;
        if (*at == '/' && segment_is_ambiguous(at + 1, end))
            return true;
    }
    return false;
}

bool x402_authority_is_plain(struct x402_slice text)
{
    if (text.size == 0 || text.size > 255)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        char ch = text.data[i];
        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
              (ch >= '0' && ch <= '9') || (ch != '\0' && strchr(".-:_[]", ch) != NULL)))
            return false;
    }
    return true;
}
