/* Text for people on a terminal, and JSON for programs. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* ---------------------------------------------------------------------- messages */

/* One write, so that lines of several processes do not mix. */
__attribute__((format(printf, 3, 0))) static void print_message(const char *command,
                                                                enum x402_style style,
                                                                const char *format,
                                                                va_list arguments)
{
    char text[2048];
    vsnprintf(text, sizeof text, format, arguments);
    fflush(stdout);
    flockfile(stderr);
    fprintf(stderr, "%sx402%s%s:%s ", x402_cli_style(stderr, style), command ? " " : "",
            command ? command : "", x402_cli_style(stderr, X402_STYLE_PLAIN));
    x402_cli_print_safe(stderr, text);
    fputc('\n', stderr);
    funlockfile(stderr);
}

void x402_cli_error(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(command, X402_STYLE_BAD, format, arguments);
    va_end(arguments);
}

void x402_cli_note(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(command, X402_STYLE_DIM, format, arguments);
    va_end(arguments);
}

int x402_cli_usage_error(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(command, X402_STYLE_BAD, format, arguments);
    va_end(arguments);
    fprintf(stderr, "read 'x402 %s%s--help'\n", command ? command : "",
            command ? " " : "");
    return X402_EXIT_USAGE;
}

/* ---------------------------------------------------------------------- terminal */

const char *x402_cli_style(FILE *out, enum x402_style style)
{
    static const char *const escapes[] = {
        [X402_STYLE_PLAIN] = "\033[0m", [X402_STYLE_BOLD] = "\033[1m",
        [X402_STYLE_DIM] = "\033[2m",   [X402_STYLE_GOOD] = "\033[32m",
        [X402_STYLE_BAD] = "\033[31m",  [X402_STYLE_WARN] = "\033[33m",
    };
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    if (no_color != NULL && no_color[0] != '\0') /* no-color.org */
        return "";
    if (term == NULL || strcmp(term, "dumb") == 0 || !isatty(fileno(out)))
        return "";
    return escapes[style];
}

/* ------------------------------------------------------------------------- UTF-8 */

static bool is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* Bytes of the UTF-8 character at text (RFC 3629), 0 when there is none. */
static size_t utf8_size(const unsigned char *text)
{
    unsigned char c = text[0];
    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4 || !is_continuation(text[1]))
        return 0;
    if (c < 0xe0)
        return 2;
    if (!is_continuation(text[2]))
        return 0;
    if (c < 0xf0) {
        bool overlong = c == 0xe0 && text[1] < 0xa0;
        bool surrogate = c == 0xed && text[1] >= 0xa0;
        return overlong || surrogate ? 0 : 3;
    }
    if (!is_continuation(text[3]) || (c == 0xf0 && text[1] < 0x90) ||
        (c == 0xf4 && text[1] >= 0x90))
        return 0;
    return 4;
}

/*
 * The controls of Unicode, U+0080 to U+009F, which some terminals obey like the escapes
 * that they abbreviate.
 */
static bool is_control(const unsigned char *text)
{
    return text[0] < 0x20 || text[0] == 0x7f || (text[0] == 0xc2 && text[1] < 0xa0);
}

/* Marks that turn the text around them: what is read is not what is there (UAX #9). */
static bool is_turning(const unsigned char *text)
{
    return text[0] == 0xe2 &&
           ((text[1] == 0x80 && text[2] >= 0xaa && text[2] <= 0xae) ||
            (text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9));
}

void x402_cli_print_safe(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at != '\0') {
        size_t size = utf8_size(at);
        if (size == 0 || is_control(at) || is_turning(at))
            fputc('?', out);
        else
            fwrite(at, 1, size, out);
        at += size > 0 ? size : 1;
    }
}

/* -------------------------------------------------------------------------- JSON */

static void json_character(FILE *out, const unsigned char *text, size_t size)
{
    if (*text == '"' || *text == '\\')
        fprintf(out, "\\%c", *text);
    else if (is_control(text))
        fprintf(out, "\\u%04x", text[size - 1]); /* as they end, in UTF-8, too */
    else
        fwrite(text, 1, size, out);
}

void x402_cli_json_string(FILE *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    fputc('"', out);
    while (*at != '\0') {
        size_t size = utf8_size(at);
        if (size == 0)
            fputs("\\ufffd", out);
        else
            json_character(out, at, size);
        at += size > 0 ? size : 1;
    }
    fputc('"', out);
}

void x402_cli_print_json(FILE *out, const char *json)
{
    const unsigned char *at = (const unsigned char *)json;
    for (; *at != '\0'; at++) {
        if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
            fprintf(out, "\\u%04x", *++at);
        else if (*at == 0x7f)
            fputs("\\u007f", out);
        else
            fputc(*at, out);
    }
}

void x402_cli_json_hex(FILE *out, const uint8_t *bytes, size_t size)
{
    fputs("\"0x", out);
    for (size_t i = 0; i < size; i++)
        fprintf(out, "%02x", bytes[i]);
    fputc('"', out);
}

/* ------------------------------------------------------------------------- values */

void x402_cli_time_encode(char out[X402_TIME_TEXT_SIZE], int64_t seconds)
{
    time_t time = (time_t)seconds;
    struct tm parts;
    if (gmtime_r(&time, &parts) == NULL ||
        strftime(out, X402_TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0)
        snprintf(out, X402_TIME_TEXT_SIZE, "%lld", (long long)seconds);
}

void x402_cli_duration_encode(char out[X402_DURATION_TEXT_SIZE], uint64_t microseconds)
{
    unsigned long long us = microseconds, seconds = us / 1000000;

    if (us < 1000)
        snprintf(out, X402_DURATION_TEXT_SIZE, "%llu us", us);
    else if (us < 10000)
        snprintf(out, X402_DURATION_TEXT_SIZE, "%.1f ms", (double)us / 1e3);
    else if (seconds < 1)
        snprintf(out, X402_DURATION_TEXT_SIZE, "%llu ms", us / 1000);
    else if (seconds < 10 && us % 1000000 != 0)
        snprintf(out, X402_DURATION_TEXT_SIZE, "%.1f s", (double)us / 1e6);
    else if (seconds < 120)
        snprintf(out, X402_DURATION_TEXT_SIZE, "%llu s", seconds);
    else if (seconds < 7200)
        snprintf(out, X402_DURATION_TEXT_SIZE, "%llu min", seconds / 60);
    else if (seconds < 172800)
        snprintf(out, X402_DURATION_TEXT_SIZE, "%llu h", seconds / 3600);
    else
        snprintf(out, X402_DURATION_TEXT_SIZE, "%llu d", seconds / 86400);
}

static bool decode_ago(int64_t *out, const char *text, int64_t now)
{
    static const struct {
        char letter;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
    char digits[12];
    size_t size = strspn(text, "0123456789");
    uint64_t number;

    if (size == 0 || size >= sizeof digits || text[size] == '\0' ||
        text[size + 1] != '\0')
        return false;
    memcpy(digits, text, size);
    digits[size] = '\0';
    if (!x402_cli_number(&number, digits, 0, 999999999))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].letter == text[size]) {
            *out = now - (int64_t)number * units[i].seconds;
            return true;
        }
    }
    return false;
}

bool x402_cli_since_decode(int64_t *out, const char *text, int64_t now)
{
    static const char *const formats[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ",
                                          "%Y-%m-%dT%H:%MZ"};

    if (decode_ago(out, text, now))
        return true;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        struct tm parts = {0};
        const char *end = strptime(text, formats[i], &parts);
        if (end == NULL || *end != '\0')
            continue;
        *out = (int64_t)timegm(&parts);
        return true;
    }
    return false;
}

unsigned x402_cli_columns(FILE *out)
{
    struct winsize size;

    return isatty(fileno(out)) && ioctl(fileno(out), TIOCGWINSZ, &size) == 0
               ? size.ws_col
               : 0;
}

void x402_cli_hex_text(char *out, size_t out_max, const uint8_t *bytes, size_t size)
{
    if (out_max < 2 * size + 3)
        abort();
    memcpy(out, "0x", 2);
    x402_hex_encode(out + 2, bytes, size);
    out[2 + 2 * size] = '\0';
}

void x402_cli_network_of(struct x402_network *out, bool *known, uint64_t chain_id,
                         const uint8_t asset20[20])
{
    char caip2[X402_CAIP2_TEXT_SIZE];
    x402_caip2_encode(caip2, chain_id);
    *known = x402_network_find(out, x402_slice_of(caip2)) == X402_OK &&
             memcmp(out->asset20, asset20, 20) == 0;
    if (*known)
        return;
    memset(out, 0, sizeof *out);
    out->chain_id = chain_id;
    memcpy(out->asset20, asset20, 20);
}
