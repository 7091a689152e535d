/*
 * Any lines as the flags of `x402 serve`: what is accepted makes a configuration in
 * which nothing but our own directives stands, as nginx would split it, and whose
 * values read back. The first character of a line says which flag the rest is.
 */
#include "check.h"

#include "cli/serve.h"

#include <x402/money.h>

#define LINES_MAX 32
#define WORDS_MAX 16
#define CONFIG_MAX (1u << 18)

/* What may open a line of a server's or location's block; others stand in tables. */
static const char *const directives[] = {"load_module",
                                         "user",
                                         "worker_processes",
                                         "daemon",
                                         "pid",
                                         "error_log",
                                         "worker_shutdown_timeout",
                                         "env",
                                         "thread_pool",
                                         "events",
                                         "worker_connections",
                                         "http",
                                         "x402_ledger",
                                         "x402_network",
                                         "x402_accept",
                                         "x402_pay_to",
                                         "x402_rate",
                                         "x402_window",
                                         "x402_enforce",
                                         "x402_facilitator",
                                         "x402_settle",
                                         "x402_max_unsettled",
                                         "x402_max_unsettled_new",
                                         "x402_max_unsettled_total",
                                         "map",
                                         "log_format",
                                         "access_log",
                                         "server_tokens",
                                         "client_header_buffer_size",
                                         "large_client_header_buffers",
                                         "client_max_body_size",
                                         "client_body_temp_path",
                                         "proxy_temp_path",
                                         "fastcgi_temp_path",
                                         "uwsgi_temp_path",
                                         "scgi_temp_path",
                                         "upstream",
                                         "server",
                                         "keepalive",
                                         "keepalive_timeout",
                                         "listen",
                                         "location",
                                         "proxy_http_version",
                                         "proxy_set_header",
                                         "proxy_buffering",
                                         "proxy_buffer_size",
                                         "proxy_buffers",
                                         "proxy_next_upstream",
                                         "proxy_connect_timeout",
                                         "proxy_read_timeout",
                                         "proxy_ssl_server_name",
                                         "proxy_ssl_name",
                                         "proxy_ssl_protocols",
                                         "proxy_ssl_verify",
                                         "proxy_ssl_verify_depth",
                                         "proxy_ssl_trusted_certificate",
                                         "x402_price",
                                         "proxy_pass",
                                         "x402_status",
                                         "x402_stats",
                                         "x402_metrics",
                                         "x402_health",
                                         "x402_ready",
                                         "x402_receipts",
                                         "allow",
                                         "deny",
                                         "return",
                                         NULL};

static const char *const in_maps[] = {"default", "~^0", "~*^websocket$", NULL};

/* A configuration as nginx splits it (ngx_conf_read_token). */
struct reader {
    const char *at, *end;
    char words[WORDS_MAX][8192];
    size_t words_count;
    unsigned depth;
    bool in_map;
};

static bool is_listed(const char *const *list, const char *word)
{
    while (*list != NULL && strcmp(*list, word) != 0)
        list++;
    return *list != NULL;
}

static void skip_space(struct reader *reader)
{
    while (reader->at < reader->end &&
           (strchr(" \t\r\n", *reader->at) != NULL || *reader->at == '#')) {
        if (*reader->at == '#')
            reader->at += strcspn(reader->at, "\n");
        else
            reader->at++;
    }
}

/* A word in quotes or as it stands. */
static void read_word(struct reader *reader)
{
    char quote = *reader->at == '"' || *reader->at == '\'' ? *reader->at++ : '\0';
    char *word = reader->words[reader->words_count++];
    size_t size = 0;

    check(reader->words_count < WORDS_MAX, "few words");
    for (; reader->at < reader->end; reader->at++) {
        char c = *reader->at;
        if (quote != '\0' ? c == quote : strchr(" \t\r\n;{", c) != NULL)
            break;
        if (c == '\\' && strchr("\"'\\", reader->at[1]) != NULL)
            c = *++reader->at;
        check(size + 1 < sizeof reader->words[0], "short words");
        word[size++] = c;
    }
    word[size] = '\0';
    check(reader->at < reader->end, "an end of the word");
    if (quote == '\0')
        return;
    reader->at++;
    check(reader->at < reader->end && strchr(" \t\r\n;{)", *reader->at) != NULL,
          "nothing right behind a quote");
}

static void check_value(const struct reader *reader)
{
    const char *name = reader->words[0], *value = reader->words[1];
    struct x402_rate rate;
    uint64_t price;
    bool off = strcmp(value, "off") == 0;

    if (strcmp(name, "x402_rate") == 0)
        check(off || x402_rate_decode(&rate, NULL, x402_slice_of(value)) == X402_OK,
              "a rate that nginx takes");
    if (strcmp(name, "x402_price") == 0 || strncmp(name, "x402_max_", 9) == 0)
        check(off || x402_usd_decode(&price, NULL, x402_slice_of(value)) == X402_OK,
              "a price that nginx takes");
    if (strcmp(name, "location") == 0)
        check(reader->words_count <= 3, "a location of its words");
    else if (strncmp(name, "x402_", 5) == 0)
        check(reader->words_count <= 3 && strchr(value, '\n') == NULL, "few words");
}

/* One directive, or the end of a block. */
static void read_directive(struct reader *reader)
{
    skip_space(reader);
    if (reader->at == reader->end)
        return;
    if (*reader->at == '}') {
        check(reader->depth > 0, "a block to close");
        reader->depth--;
        reader->in_map = false;
        reader->at++;
        return;
    }
    memset(reader->words[1], 0, 1);
    for (reader->words_count = 0; strchr(";{", *reader->at) == NULL;
         skip_space(reader)) {
        read_word(reader);
        skip_space(reader);
        check(reader->at < reader->end, "an end of the directive");
    }
    check(reader->words_count > 0, "a word");
    check(is_listed(reader->in_map ? in_maps : directives, reader->words[0]),
          "a directive of ours");
    check_value(reader);
    reader->depth += *reader->at == '{';
    if (*reader->at++ == '{')
        reader->in_map = strcmp(reader->words[0], "map") == 0;
}

static void check_configuration(const struct x402_serve *serve)
{
    static const struct x402_serve_place place = {.data_dir = "/var/lib/x402",
                                                  .ledger = "/var/lib/x402/ledger.db",
                                                  .module = "/usr/lib/module.so",
                                                  .token = "/var/lib/x402/token",
                                                  .run_prefix = "/run/x402."};
    static struct x402_serve_place with_log;
    static struct reader reader;
    static char text[CONFIG_MAX];
    FILE *out = fmemopen(text, sizeof text, "w");

    check(out != NULL, "memory");
    with_log = place;
    if (serve->access_log != NULL)
        snprintf(with_log.access_log, sizeof with_log.access_log, "%s",
                 serve->access_log);
    x402_serve_config_write(out, serve, &with_log);
    check(fclose(out) == 0, "written");
    reader = (struct reader){.at = text, .end = text + strlen(text)};
    while (reader.at < reader.end)
        read_directive(&reader);
    check(reader.depth == 0, "all blocks closed");
}

static void set_flag(struct x402_serve_flags *flags, char *line)
{
    const struct {
        char letter;
        const char **value;
    } plain[] = {{'u', &flags->upstream},
                 {'p', &flags->price},
                 {'t', &flags->pay_to},
                 {'n', &flags->network},
                 {'l', &flags->listen},
                 {'r', &flags->rate},
                 {'w', &flags->window},
                 {'R', &flags->rpc},
                 {'K', &flags->settler_key},
                 {'s', &flags->settle},
                 {'W', &flags->workers},
                 {'b', &flags->batch_age},
                 {'m', &flags->max_unsettled},
                 {'M', &flags->max_unsettled_new},
                 {'T', &flags->max_unsettled_total},
                 {'a', &flags->access_log},
                 {'S', &flags->status},
                 {'F', &flags->facilitator.url},
                 {'H', &flags->facilitator.header_file},
                 {'i', &flags->facilitator.timeout}};

    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        if (line[0] == plain[i].letter)
            *plain[i].value = line + 1;
    }
    if (line[0] == 'o' && flags->routes.count < X402_OPTION_LIST_MAX)
        flags->routes.items[flags->routes.count++] = line + 1;
    if (line[0] == 'f' && flags->frees.count < X402_OPTION_LIST_MAX)
        flags->frees.items[flags->frees.count++] = line + 1;
    flags->shadow = flags->shadow || line[0] == 'x';
}

/* What is refused is said on stderr, a line each time: that is not looked at here. */
static bool decode_quietly(struct x402_serve *serve,
                           const struct x402_serve_flags *flags)
{
    static FILE *nowhere;
    FILE *said = stderr;

    if (nowhere == NULL)
        nowhere = fopen("/dev/null", "w");
    check(nowhere != NULL, "/dev/null");
    stderr = nowhere;
    bool fine = x402_serve_decode(serve, flags);
    stderr = said;
    return fine;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct x402_serve serve;
    static struct x402_serve_flags flags;
    char *text = malloc(size + 1), *rest = text;

    check(text != NULL, "memory");
    memcpy(text, data, size);
    text[size] = '\0';
    memset(&flags, 0, sizeof flags);
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        set_flag(&flags, line);
    if (decode_quietly(&serve, &flags))
        check_configuration(&serve);
    free(text);
    return 0;
}
