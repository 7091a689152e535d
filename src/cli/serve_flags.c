/* The flags of `x402 serve`: text in, checked values out. Nothing is opened here. */
#include "cli/serve.h"

#include <x402/money.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "serve"
#define WINDOW_MIN 60 /* the module refuses what has less than 30 s left */
#define WINDOW_MAX 86400
#define WORKERS_MAX 512
#define PATH_SIZE_MAX 255
#define BATCH_AGE_MAX 3600

/* The directives' own defaults. */
#define PAYER_MICRO_USD 1000000
#define NEW_PAYER_MICRO_USD 10000
#define TOTAL_MICRO_USD 10000000

/* --------------------------------------------------------------------- endpoints */

static bool is_name(const char *host)
{
    size_t size = strlen(host);
    if (size == 0 || size > 253 || host[0] == '.' || host[0] == '-')
        return false;
    return strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789-._") == size;
}

static bool is_ipv4(const char *host)
{
    uint8_t address[4];
    return inet_pton(AF_INET, host, address) == 1;
}

/* "[::1]" */
static bool is_ipv6(const char *host)
{
    char inner[X402_HOST_MAX];
    uint8_t address[16];
    size_t size = strlen(host);
    if (size < 3 || size >= sizeof inner || host[0] != '[' || host[size - 1] != ']')
        return false;
    memcpy(inner, host + 1, size - 2);
    inner[size - 2] = '\0';
    return inet_pton(AF_INET6, inner, address) == 1;
}

static bool decode_port(uint16_t *out, const char *text)
{
    uint64_t port;
    if (!x402_cli_number(&port, text, 1, 65535))
        return false;
    *out = (uint16_t)port;
    return true;
}

/* HOST, HOST:PORT, [IPv6], [IPv6]:PORT; *out->port is kept where there is none. */
static bool decode_host_port(struct x402_endpoint *out, struct x402_slice text)
{
    char copy[X402_HOST_MAX + 8];
    if (text.size == 0 || text.size >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    char *bracket = strrchr(copy, ']');
    char *colon = strchr(bracket ? bracket : copy, ':');
    if (colon != NULL) {
        *colon = '\0';
        if (!decode_port(&out->port, colon + 1))
            return false;
    }
    out->is_address = is_ipv4(copy) || is_ipv6(copy);
    if (strlen(copy) >= X402_HOST_MAX || (!out->is_address && !is_name(copy)))
        return false;
    strcpy(out->host, copy);
    return true;
}

static bool refuse_upstream(const char *text, const char *why)
{
    x402_cli_usage_error(COMMAND, "--upstream: '%s' %s", text, why);
    return false;
}

static bool decode_upstream(struct x402_endpoint *out, const char *text)
{
    struct x402_endpoint endpoint = {.tls = strncmp(text, "https://", 8) == 0};
    if (!endpoint.tls && strncmp(text, "http://", 7) != 0)
        return refuse_upstream(text, "is not a URL: write http://HOST:PORT");
    const char *host = text + (endpoint.tls ? 8 : 7);
    size_t host_size = strcspn(host, "/?#");
    endpoint.port = endpoint.tls ? 443 : 80;
    if (memchr(host, '@', host_size) != NULL)
        return refuse_upstream(text, "has a user name: write http://HOST:PORT");
    if (!decode_host_port(&endpoint, (struct x402_slice){host, host_size}))
        return refuse_upstream(text, "has no such host and port: write "
                                     "http://HOST:PORT");
    if (host[host_size] != '\0' && strcmp(host + host_size, "/") != 0)
        return refuse_upstream(text, "has a path: callers' paths go up unchanged, so "
                                     "name the server alone, http://HOST:PORT");
    if (endpoint.tls && endpoint.is_address)
        return refuse_upstream(text, "is an address: a certificate is checked against "
                                     "a name, so write https://NAME");
    *out = endpoint;
    return true;
}

static bool decode_listen(struct x402_endpoint *out, const char *text)
{
    struct x402_endpoint endpoint = {.host = "127.0.0.1"};
    bool any = strncmp(text, "*:", 2) == 0;
    if (any) {
        strcpy(endpoint.host, "0.0.0.0");
        text += 2;
    }
    if (decode_port(&endpoint.port, text)) {
        endpoint.is_address = true;
        *out = endpoint;
        return true;
    }
    bool fine =
        !any && decode_host_port(&endpoint, x402_slice_of(text)) && endpoint.port != 0;
    if (fine && strcmp(endpoint.host, "localhost") == 0) {
        strcpy(endpoint.host, "127.0.0.1");
        endpoint.is_address = true;
    }
    if (!fine || !endpoint.is_address) {
        x402_cli_usage_error(COMMAND,
                             "--listen: '%s' is not an address and port: write "
                             "127.0.0.1:4020, [::1]:4020, *:4020 or 4020",
                             text);
        return false;
    }
    *out = endpoint;
    return true;
}

void x402_endpoint_encode(char out[X402_ENDPOINT_TEXT_SIZE],
                          const struct x402_endpoint *endpoint, bool short_form)
{
    bool is_default = endpoint->port == (endpoint->tls ? 443 : 80);
    if (short_form && is_default)
        snprintf(out, X402_ENDPOINT_TEXT_SIZE, "%s", endpoint->host);
    else
        snprintf(out, X402_ENDPOINT_TEXT_SIZE, "%s:%u", endpoint->host,
                 (unsigned)endpoint->port);
}

/* ------------------------------------------------------------------------- rules */

static bool decode_price(uint64_t *out, const char *flag, const char *text,
                         const struct x402_network *network)
{
    const char *why = NULL;
    uint64_t micro_usd, atomic;
    if (x402_usd_decode(&micro_usd, &why, x402_slice_of(text)) != X402_OK) {
        x402_cli_usage_error(COMMAND,
                             "%s: '%s' is not a price: %s: write dollars, 0.001, or "
                             "cents, 0.1c",
                             flag, text, why ? why : "not a number");
        return false;
    }
    if (x402_usd_to_atomic(&atomic, micro_usd, network->decimals) != X402_OK) {
        x402_cli_usage_error(COMMAND,
                             "%s: '%s' cannot be paid on %s: its token has %u "
                             "decimals",
                             flag, text, network->name, (unsigned)network->decimals);
        return false;
    }
    *out = micro_usd;
    return true;
}

/* Why a path is not one that a request can have after nginx has read it; or NULL. */
static const char *path_problem(struct x402_slice path)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "0123456789-._~!&'()*+,:=@/";
    if (path.size == 0 || path.data[0] != '/')
        return "a path starts with '/'";
    if (path.size > PATH_SIZE_MAX)
        return "a path has at most 255 bytes";
    for (size_t i = 0; i < path.size; i++) {
        unsigned char c = (unsigned char)path.data[i];
        if (c < 0x80 && (c == 0 || strchr(fine, c) == NULL))
            return "write the path as it reads when decoded, without query, with "
                   "letters, digits and -._~!&'()*+,:=@ only";
    }
    return NULL;
}

/* "//", "/./" and "/../" never reach a location: such a rule would be of no use. */
static bool has_dot_segment(struct x402_slice path)
{
    size_t start = 1;
    for (size_t i = 1; i <= path.size; i++) {
        if (i < path.size && path.data[i] != '/')
            continue;
        size_t size = i - start;
        const char *segment = path.data + start;
        bool last = i == path.size;
        if ((size == 0 && !last) || (size == 1 && segment[0] == '.') ||
            (size == 2 && segment[0] == '.' && segment[1] == '.'))
            return true;
        start = i + 1;
    }
    return false;
}

static bool slice_is_below(struct x402_slice path, const char *parent)
{
    size_t size = strlen(parent);
    return path.size >= size && strncasecmp(path.data, parent, size) == 0 &&
           (path.size == size || path.data[size] == '/');
}

/* Takes "/a" and "/a/" alike; "/" comes out empty. */
static bool decode_path(struct x402_slice *out, const char *flag,
                        struct x402_slice path)
{
    const char *problem = path_problem(path);
    if (problem == NULL && has_dot_segment(path))
        problem = "a path has no empty, '.' or '..' part";
    if (problem == NULL && slice_is_below(path, "/x402"))
        problem = "paths below /x402 are the gateway's own";
    if (problem != NULL) {
        x402_cli_usage_error(COMMAND, "%s: '%.*s': %s", flag, (int)path.size, path.data,
                             problem);
        return false;
    }
    while (path.size > 0 && path.data[path.size - 1] == '/')
        path.size--;
    *out = path;
    return true;
}

static bool add_rule(struct x402_serve *out, const char *flag, struct x402_slice path,
                     uint64_t micro_usd)
{
    size_t at = 0;
    for (size_t i = 0; i < out->rules_count; i++) {
        if (x402_slice_equal(out->rules[i].path, path)) {
            x402_cli_usage_error(COMMAND, "%s: '%.*s' is named twice", flag,
                                 (int)path.size, path.data);
            return false;
        }
    }
    if (out->rules_count == X402_SERVE_RULES_MAX) {
        x402_cli_usage_error(COMMAND, "%s: more than %d paths", flag,
                             X402_SERVE_RULES_MAX);
        return false;
    }
    while (at < out->rules_count && out->rules[at].path.size >= path.size)
        at++;
    memmove(out->rules + at + 1, out->rules + at,
            (out->rules_count - at) * sizeof out->rules[0]);
    out->rules[at] = (struct x402_serve_rule){path, micro_usd};
    out->rules_count++;
    return true;
}

static bool decode_route(struct x402_serve *out, const char *text)
{
    const char *equals = strrchr(text, '=');
    struct x402_slice path;
    uint64_t micro_usd;
    if (equals == NULL) {
        x402_cli_usage_error(COMMAND,
                             "--route: '%s': write PATH=USD, like "
                             "/api/ask=0.01",
                             text);
        return false;
    }
    if (!decode_path(&path, "--route",
                     (struct x402_slice){text, (size_t)(equals - text)}))
        return false;
    if (path.size == 0) {
        x402_cli_usage_error(COMMAND, "--route: the price of / is --price");
        return false;
    }
    return decode_price(&micro_usd, "--route", equals + 1, &out->network) &&
           add_rule(out, "--route", path, micro_usd);
}

static bool decode_rules(struct x402_serve *out, const struct x402_serve_flags *flags,
                         bool *root_free)
{
    *root_free = false;
    for (size_t i = 0; i < flags->routes.count; i++) {
        if (!decode_route(out, flags->routes.items[i]))
            return false;
    }
    for (size_t i = 0; i < flags->frees.count; i++) {
        struct x402_slice path;
        if (!decode_path(&path, "--free", x402_slice_of(flags->frees.items[i])))
            return false;
        if (path.size == 0)
            *root_free = true;
        else if (!add_rule(out, "--free", path, 0))
            return false;
    }
    return true;
}

/* --price for all, or --free / and --route for what is sold. */
static bool decode_prices(struct x402_serve *out, const struct x402_serve_flags *flags)
{
    bool root_free;
    if (!decode_rules(out, flags, &root_free))
        return false;
    if (root_free && flags->routes.count == 0) {
        x402_cli_usage_error(COMMAND, "--free /: then nothing is sold: name what is "
                                      "with --route PATH=USD");
        return false;
    }
    if (root_free && flags->price != NULL) {
        x402_cli_usage_error(COMMAND, "--free / and --price contradict each other: "
                                      "leave one out");
        return false;
    }
    if (root_free)
        return true;
    if (flags->price == NULL) {
        x402_cli_usage_error(COMMAND, "--price is missing: what does a call cost, in "
                                      "dollars, like --price 0.001");
        return false;
    }
    return decode_price(&out->micro_usd, "--price", flags->price, &out->network);
}

/* ------------------------------------------------------------------------ others */

static bool decode_pay_to(uint8_t out20[20], const char *text)
{
    static const uint8_t zero20[20];
    if (x402_address_decode(out20, x402_slice_of(text)) != X402_OK) {
        x402_cli_usage_error(COMMAND,
                             "--pay-to: '%s' is not an address: write 0x and 40 hex "
                             "digits; where cases are mixed they are a checksum, and "
                             "one that does not hold is a mistyped address",
                             text);
        return false;
    }
    if (memcmp(out20, zero20, 20) == 0) {
        x402_cli_usage_error(COMMAND, "--pay-to: nobody has the zero address");
        return false;
    }
    return true;
}

static bool decode_network(struct x402_network *out, const char *text)
{
    enum { names_max = 64 };
    const char *names[names_max + 1];
    size_t count;
    if (x402_network_find(out, x402_slice_of(text)) == X402_OK)
        return true;
    const struct x402_network *table = x402_network_table(&count);
    size_t named = 0;
    for (size_t i = 0; i < count && named < names_max; i++) {
        if (table[i].name[0] != '\0')
            names[named++] = table[i].name;
    }
    names[named] = NULL;
    const char *nearest = x402_cli_nearest(names, text);
    x402_cli_usage_error(COMMAND, "--network: '%s' is not built in: %s%s%s", text,
                         nearest ? "did you mean '"
                                 : "write base, base-sepolia or "
                                   "another known name, or an id",
                         nearest ? nearest : " like eip155:84532", nearest ? "'?" : "");
    return false;
}

static bool decode_limits(struct x402_serve *out, const struct x402_serve_flags *flags)
{
    const char *why = NULL;
    uint64_t number;
    const char *rate = flags->rate ? flags->rate : "60r/m";
    bool off = strcmp(rate, "off") == 0; /* count 0: no limit */
    if (!off && x402_rate_decode(&out->rate, &why, x402_slice_of(rate)) != X402_OK) {
        x402_cli_usage_error(COMMAND,
                             "--rate: '%s': %s: write how many calls a payer may make, "
                             "like 60r/m or 5r/s, or off",
                             rate, why ? why : "not a rate");
        return false;
    }
    out->window_seconds = 300;
    if (flags->window != NULL) {
        if (!x402_cli_number(&number, flags->window, WINDOW_MIN, WINDOW_MAX)) {
            x402_cli_usage_error(COMMAND, "--window: '%s': write seconds, %d to %d",
                                 flags->window, WINDOW_MIN, WINDOW_MAX);
            return false;
        }
        out->window_seconds = (unsigned)number;
    }
    if (flags->workers != NULL) {
        if (!x402_cli_number(&number, flags->workers, 1, WORKERS_MAX)) {
            x402_cli_usage_error(COMMAND, "--workers: '%s': write a number, 1 to %d",
                                 flags->workers, WORKERS_MAX);
            return false;
        }
        out->workers = (unsigned)number;
    }
    return true;
}

bool x402_serve_settles(const struct x402_serve *serve)
{
    return serve->settler_key != NULL || serve->facilitator.url != NULL;
}

/* Who settles: a key beside a node, a facilitator with a node or without, nobody. */
static const char *settler_problem(const struct x402_serve_flags *flags)
{
    bool facilitator = flags->facilitator.url != NULL;
    if (facilitator && flags->settler_key != NULL)
        return "--facilitator and --settler-key: one of them settles, leave the other "
               "out";
    if (facilitator && flags->batch_age != NULL)
        return "--batch-age goes with --settler-key: a facilitator is told payment by "
               "payment";
    if (flags->rpc != NULL && !facilitator && flags->settler_key == NULL)
        return "--rpc needs --settler-key FILE, the key that pays for gas: make one "
               "with x402 wallet new FILE";
    if (flags->rpc == NULL && flags->settler_key != NULL)
        return "--settler-key needs --rpc URL, the node that takes transactions";
    if (flags->rpc != NULL && !x402_cli_is_http_url(flags->rpc))
        return "--rpc: write the node's URL alone, like https://sepolia.base.org";
    return NULL;
}

static bool decode_settling(struct x402_serve *out,
                            const struct x402_serve_flags *flags)
{
    const char *problem = NULL;
    uint64_t seconds;
    out->settle_first = flags->settle != NULL && strcmp(flags->settle, "before") == 0;
    if (flags->settle != NULL && strcmp(flags->settle, "after") != 0 &&
        !out->settle_first)
        problem = "--settle: write after or before";
    else if (out->settle_first && flags->rpc == NULL && flags->facilitator.url == NULL)
        problem = "--settle before needs --rpc URL and --settler-key FILE, or "
                  "--facilitator URL: nothing is served before it has settled";
    else if (flags->batch_age != NULL &&
             !x402_cli_number(&seconds, flags->batch_age, 0, BATCH_AGE_MAX))
        problem = "--batch-age: write seconds, 0 to 3600";
    else
        problem = settler_problem(flags);
    if (problem != NULL) {
        x402_cli_usage_error(COMMAND, "%s", problem);
        return false;
    }
    out->batch_age = flags->batch_age;
    out->rpc_url = flags->rpc;
    out->settler_key = flags->settler_key;
    out->facilitator = flags->facilitator;
    return x402_cli_facilitator_check(COMMAND, &flags->facilitator);
}

static bool decode_usd(uint64_t *out, const char *flag, const char *text)
{
    const char *why = NULL;
    if (text == NULL || x402_usd_decode(out, &why, x402_slice_of(text)) == X402_OK)
        return true;
    x402_cli_usage_error(COMMAND, "%s: '%s': %s: write dollars, like 1 or 0.01", flag,
                         text, why ? why : "not a number");
    return false;
}

/*
 * Where nothing settles, credit has no end: a bound would only stop the sale after the
 * first cent, so there is none unless it was asked for.
 */
static bool decode_credit(struct x402_serve *out, const struct x402_serve_flags *flags)
{
    struct x402_serve_credit *credit = &out->credit;
    const char *most = flags->max_unsettled;
    bool asked = most != NULL || flags->max_unsettled_new != NULL ||
                 flags->max_unsettled_total != NULL;
    *credit = (struct x402_serve_credit){.payer_micro_usd = PAYER_MICRO_USD,
                                         .new_payer_micro_usd = NEW_PAYER_MICRO_USD,
                                         .total_micro_usd = TOTAL_MICRO_USD};
    credit->off =
        most != NULL ? strcmp(most, "off") == 0 : !asked && !x402_serve_settles(out);
    return (credit->off ||
            decode_usd(&credit->payer_micro_usd, "--max-unsettled", most)) &&
           decode_usd(&credit->new_payer_micro_usd, "--max-unsettled-new",
                      flags->max_unsettled_new) &&
           decode_usd(&credit->total_micro_usd, "--max-unsettled-total",
                      flags->max_unsettled_total);
}

/* nginx would read variables in the name of its log. */
static bool decode_pages(struct x402_serve *out, const struct x402_serve_flags *flags)
{
    const char *problem = NULL;
    out->shadow = flags->shadow;
    out->access_log = flags->access_log;
    out->log_format = flags->log_format;
    out->status_private =
        flags->status != NULL && strcmp(flags->status, "private") == 0;
    if (flags->status != NULL && !out->status_private &&
        strcmp(flags->status, "public") != 0)
        problem = "--status: write public or private";
    else if (flags->access_log != NULL &&
             (flags->access_log[0] == '\0' || strchr(flags->access_log, '$') != NULL))
        problem = "--access-log: write the path of a file, without '$'";
    else if (flags->log_format != NULL && strcmp(flags->log_format, "text") != 0 &&
             strcmp(flags->log_format, "json") != 0)
        problem = "--log-format: write text or json";
    if (problem != NULL)
        x402_cli_usage_error(COMMAND, "%s", problem);
    return problem == NULL;
}

static bool refuse_loop(const struct x402_serve *serve)
{
    char listen[X402_ENDPOINT_TEXT_SIZE], upstream[X402_ENDPOINT_TEXT_SIZE];
    x402_endpoint_encode(listen, &serve->listen, false);
    x402_endpoint_encode(upstream, &serve->upstream, false);
    bool same_port = serve->listen.port == serve->upstream.port;
    bool here = strcmp(serve->upstream.host, "localhost") == 0 ||
                strcmp(serve->upstream.host, "127.0.0.1") == 0;
    bool loop = strcmp(listen, upstream) == 0 ||
                (same_port && here && !serve->upstream.tls &&
                 (strcmp(serve->listen.host, "127.0.0.1") == 0 ||
                  strcmp(serve->listen.host, "0.0.0.0") == 0));
    if (loop)
        x402_cli_usage_error(COMMAND,
                             "--upstream and --listen are both %s: the gateway "
                             "would call itself",
                             listen);
    return !loop;
}

static bool has_required(const struct x402_serve_flags *flags)
{
    const char *problem = NULL;
    if (flags->upstream == NULL)
        problem = "--upstream is missing: what is sold, like --upstream "
                  "http://127.0.0.1:3000";
    else if (flags->pay_to == NULL)
        problem = "--pay-to is missing: the address that gets the money";
    if (problem != NULL)
        x402_cli_usage_error(COMMAND, "%s", problem);
    return problem == NULL;
}

bool x402_serve_decode(struct x402_serve *out, const struct x402_serve_flags *flags)
{
    memset(out, 0, sizeof *out);
    return has_required(flags) && decode_upstream(&out->upstream, flags->upstream) &&
           decode_network(&out->network,
                          flags->network ? flags->network : "base-sepolia") &&
           decode_prices(out, flags) && decode_pay_to(out->pay_to20, flags->pay_to) &&
           decode_listen(&out->listen,
                         flags->listen ? flags->listen : "127.0.0.1:4020") &&
           decode_limits(out, flags) && decode_settling(out, flags) &&
           decode_credit(out, flags) && decode_pages(out, flags) && refuse_loop(out);
}
