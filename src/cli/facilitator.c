#include "cli/facilitator.h"

#include "core/secret.h"
#include "settle/remote.h"

#include <stdlib.h>
#include <string.h>

#define URL_SIZE_MAX 512 /* as in nginx's x402_facilitator */

static const char *url_problem(const char *url)
{
    const char *host = strstr(url, "://");

    if (!x402_cli_is_http_url(url))
        return "write the facilitator's URL, like https://x402.org/facilitator";
    if (strlen(url) > URL_SIZE_MAX || url[strcspn(url, " \"\\'<>^`{|}")] != '\0')
        return "the URL is longer than 512 bytes, or has characters that none has";
    if (strpbrk(url, "?#") != NULL)
        return "the URL has a query or a fragment: /settle is put behind it";
    if (memchr(host + 3, '@', strcspn(host + 3, "/")) != NULL)
        return "the URL has a user in it: put what is secret into "
               "--facilitator-header-file";
    return NULL;
}

bool x402_cli_facilitator_check(const char *command,
                                const struct x402_cli_facilitator_flags *flags)
{
    const char *problem = flags->url != NULL ? url_problem(flags->url) : NULL;
    uint64_t seconds;

    if (problem != NULL) {
        x402_cli_usage_error(command, "--facilitator: %s", problem);
        return false;
    }
    if (flags->timeout != NULL && !x402_cli_number(&seconds, flags->timeout, 1,
                                                   X402_REMOTE_TIMEOUT_MAX_SECONDS)) {
        x402_cli_usage_error(command,
                             "--facilitator-timeout: '%s': write seconds, 1 to %d",
                             flags->timeout, X402_REMOTE_TIMEOUT_MAX_SECONDS);
        return false;
    }
    if (flags->url == NULL && (flags->header_file != NULL || flags->timeout != NULL)) {
        x402_cli_usage_error(command, "--facilitator URL is missing");
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------------- headers */

/* RFC 9110 section 5.6.2: a token, a colon, and a value without control characters. */
static bool is_header(const char *line, size_t size)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t name_size = strspn(line, token);

    if (name_size == 0 || name_size >= size || line[name_size] != ':')
        return false;
    for (size_t i = name_size + 1; i < size; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
            return false;
    }
    return true;
}

static bool are_headers(const char *text)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\r\n");
        if (size > 0 && !is_header(text, size))
            return false;
        text += size + strspn(text + size, "\r\n");
    }
    return true;
}

static bool read_headers(struct x402_cli_facilitator *out, const char *command,
                         const char *path)
{
    char message[X402_SECRET_MESSAGE_MAX];

    if (x402_secret_read(out->headers, sizeof out->headers, "header file", path,
                         message) != X402_OK) {
        x402_cli_error(command, "--facilitator-header-file: %s", message);
        return false;
    }
    if (!are_headers(out->headers)) {
        x402_bytes_wipe(out->headers, sizeof out->headers);
        x402_cli_error(command,
                       "--facilitator-header-file: '%s' is not made of lines like "
                       "\"Authorization: Bearer …\"",
                       path);
        return false;
    }
    out->options.headers = out->headers;
    return true;
}

/* ------------------------------------------------------------------------ networks */

static bool read_networks(struct x402_cli_facilitator *out, const char *command,
                          const struct x402_option_list *list)
{
    struct x402_network network;

    if (list->count > X402_SETTLER_CHAINS_MAX) {
        x402_cli_usage_error(command, "--network: at most %d", X402_SETTLER_CHAINS_MAX);
        return false;
    }
    for (size_t i = 0; i < list->count; i++) {
        if (x402_network_find(&network, x402_slice_of(list->items[i])) != X402_OK) {
            x402_cli_usage_error(command,
                                 "--network: '%s' is not built in: a facilitator is "
                                 "asked for the built-in networks alone",
                                 list->items[i]);
            return false;
        }
        out->chain_ids[i] = network.chain_id;
    }
    out->options.chain_ids = out->chain_ids;
    out->options.chain_ids_count = list->count;
    return true;
}

bool x402_cli_facilitator_open(struct x402_cli_facilitator *out, int *exit_code,
                               const char *command,
                               const struct x402_cli_facilitator_flags *flags,
                               const struct x402_option_list *networks)
{
    memset(out, 0, sizeof *out);
    out->options.url = flags->url;
    out->options.timeout_seconds =
        flags->timeout ? atoi(flags->timeout) : X402_REMOTE_TIMEOUT_SECONDS;
    *exit_code = X402_EXIT_USAGE;
    if (!read_networks(out, command, networks))
        return false;
    *exit_code = X402_EXIT_FAILED;
    return flags->header_file == NULL || read_headers(out, command, flags->header_file);
}
