#include "config.h"

#include "core/secret.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLAUDE_URL "https://api.anthropic.com"
#define CLAUDE_MODEL "claude-3-haiku-20240307"
#define GO_ON (-1)
#define FAILED 1
#define USAGE 2

static const char help[] =
    "usage: x402-services [OPTIONS]\n"
    "\n"
    "Four small APIs for agents, to be sold by x402 Gateway: they know nothing of\n"
    "payments, so let only the gateway reach them.\n"
    "\n"
    "  /api/ask?q=TEXT              a short answer, by Claude\n"
    "  /api/og?url=URL              a preview image, 1200x630, of a page, or\n"
    "  /api/og?title=TEXT           ...of a text, with subtitle=, site=, theme=\n"
    "  /api/fetch-summarize?url=URL a page in three sentences\n"
    "  /api/embed?text=TEXT         a vector for a text\n"
    "\n"
    "Each takes the same as a JSON object in a POST. What cannot be answered is a\n"
    "problem document (RFC 9457) with a status of 400 or more, which is not charged.\n"
    "\n"
    "Serving\n"
    "  --listen ADDRESS:PORT     default 127.0.0.1:4021\n"
    "\n"
    "Claude, for ask and fetch-summarize\n"
    "  --claude-key FILE         an API key in a file that is yours alone (mode "
    "0600);\n"
    "                            without one ANTHROPIC_API_KEY of the environment\n"
    "  --claude-model NAME       default " CLAUDE_MODEL "\n"
    "  --claude-url URL          default " CLAUDE_URL "\n"
    "Without a key ask answers 503, and pages are summarized on this machine.\n"
    "\n"
    "Embeddings, by an API of OpenAI's shape: POST URL/v1/embeddings\n"
    "  --embeddings-url URL\n"
    "  --embeddings-model NAME\n"
    "  --embeddings-key FILE     as above; none for an API without keys\n"
    "Without a URL vectors are made on this machine, and say so.\n"
    "\n"
    "Examples\n"
    "  Try it:\n"
    "    x402-services &\n"
    "    curl '127.0.0.1:4021/api/og?title=Hello&subtitle=From+here' > card.png\n"
    "  With Claude:\n"
    "    (umask 077; cat > claude.key)      # paste the key, then Ctrl-D\n"
    "    x402-services --claude-key claude.key\n"
    "  With embeddings from a model on this machine:\n"
    "    x402-services --embeddings-url http://127.0.0.1:11434 \\\n"
    "      --embeddings-model nomic-embed-text\n"
    "\n"
    "SIGTERM and Ctrl-C finish what is being answered. Exit codes: 0 stopped, 1 "
    "failed,\n"
    "2 wrong usage.\n";

__attribute__((format(printf, 2, 3))) static int refuse(int code, const char *format,
                                                        ...)
{
    va_list arguments;
    fputs("x402-services: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputs(code == USAGE ? "\nx402-services --help tells more\n" : "\n", stderr);
    return code;
}

/* --------------------------------------------------------------------------- URLs */

static bool is_loopback(const char *host)
{
    struct in_addr address;
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, &address) == 1 &&
            ntohl(address.s_addr) >> 24 == IN_LOOPBACKNET);
}

/* Why a URL cannot be an API's, or NULL; sets *is_here and *is_plain. */
static const char *url_problem(bool *is_here, bool *is_plain, const char *text)
{
    char *scheme = NULL, *host = NULL, *user = NULL;
    const char *problem = NULL;
    CURLU *url = curl_url();
    if (url == NULL || strlen(text) >= SERVICES_URL_SIZE ||
        curl_url_set(url, CURLUPART_URL, text, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        problem = "is not a URL: write https://HOST";
    else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        problem = "is neither https nor http: write https://HOST";
    else if (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK)
        problem = "has a user name: give the key in a file instead";
    else if (strpbrk(text, "?#") != NULL)
        problem = "has a query or a fragment: write https://HOST or https://HOST/PATH";
    if (problem == NULL) {
        *is_here = is_loopback(host);
        *is_plain = strcmp(scheme, "http") == 0;
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(user);
    curl_url_cleanup(url);
    return problem;
}

/* Checks an API's URL and takes its trailing slashes away. A key is not sent in clear.
 */
static int read_url(char out[SERVICES_URL_SIZE], struct services_api *api,
                    const char *option, bool has_key)
{
    bool is_plain = false;
    const char *problem = url_problem(&api->is_here, &is_plain, api->url);
    size_t size = strlen(api->url);
    if (problem != NULL)
        return refuse(USAGE, "%s: '%s' %s", option, api->url, problem);
    if (has_key && is_plain && !api->is_here)
        return refuse(USAGE,
                      "%s: '%s' is http, which would show the key to everybody on the "
                      "way: write https",
                      option, api->url);
    while (api->url[size - 1] == '/')
        size--;
    memcpy(out, api->url, size);
    out[size] = '\0';
    api->url = out;
    return GO_ON;
}

/* --------------------------------------------------------------------------- keys */

/* A key goes into a header: one word of visible ASCII. */
static bool trim_key(char *key)
{
    size_t size = strlen(key);
    while (size > 0 && strchr(" \t\r\n", key[size - 1]) != NULL)
        key[--size] = '\0';
    for (size_t i = 0; i < size; i++) {
        if (key[i] <= ' ' || key[i] > '~')
            return false;
    }
    return size > 0;
}

static int read_key_file(char key[SERVICES_KEY_SIZE], const char *option,
                         const char *path)
{
    char message[X402_SECRET_MESSAGE_MAX];
    if (strncmp(path, "sk-", 3) == 0 && strlen(path) > 20) /* do not repeat it */
        return refuse(USAGE,
                      "%s takes the name of a file, not the key: everybody on this "
                      "machine sees the arguments. Replace that key",
                      option);
    if (x402_secret_read(key, SERVICES_KEY_SIZE, "key file", path, message) != X402_OK)
        return refuse(FAILED, "%s", message);
    if (!trim_key(key))
        return refuse(FAILED, "key file '%s' is not one word, the key, on one line",
                      path);
    return GO_ON;
}

static int read_key_variable(char key[SERVICES_KEY_SIZE], const char *name)
{
    const char *value = getenv(name);
    if (value == NULL || *value == '\0')
        return GO_ON;
    if (strlen(value) >= SERVICES_KEY_SIZE)
        return refuse(FAILED, "%s is too long for a key", name);
    strcpy(key, value);
    if (!trim_key(key))
        return refuse(FAILED, "%s is not one word, the key", name);
    return GO_ON;
}

/* -------------------------------------------------------------------- command line */

struct options {
    const char *claude_key, *embeddings_key; /* files */
};

enum {
    LISTEN = 256,
    CLAUDE_KEY,
    CLAUDE_MODEL_NAME,
    CLAUDE_URL_TEXT,
    EMBEDDINGS_KEY,
    EMBEDDINGS_MODEL,
    EMBEDDINGS_URL,
    HELP
};

static const struct option table[] = {
    {"listen", required_argument, NULL, LISTEN},
    {"claude-key", required_argument, NULL, CLAUDE_KEY},
    {"claude-model", required_argument, NULL, CLAUDE_MODEL_NAME},
    {"claude-url", required_argument, NULL, CLAUDE_URL_TEXT},
    {"embeddings-key", required_argument, NULL, EMBEDDINGS_KEY},
    {"embeddings-model", required_argument, NULL, EMBEDDINGS_MODEL},
    {"embeddings-url", required_argument, NULL, EMBEDDINGS_URL},
    {"help", no_argument, NULL, HELP},
    {NULL, 0, NULL, 0},
};

/* Where the value of an option goes. */
static const char **place(struct services_config *config, struct options *options,
                          int which)
{
    switch (which) {
    case LISTEN:
        return &config->listen;
    case CLAUDE_KEY:
        return &options->claude_key;
    case CLAUDE_MODEL_NAME:
        return &config->claude.model;
    case CLAUDE_URL_TEXT:
        return &config->claude.url;
    case EMBEDDINGS_KEY:
        return &options->embeddings_key;
    case EMBEDDINGS_MODEL:
        return &config->embeddings.model;
    default:
        return &config->embeddings.url;
    }
}

static int read_options(struct services_config *config, struct options *options,
                        int argc, char **argv)
{
    int which;
    opterr = 0;
    while ((which = getopt_long(argc, argv, ":h", table, NULL)) != -1) {
        if (which == 'h' || which == HELP) {
            fputs(help, stdout);
            return 0;
        }
        if (which == '?')
            return refuse(USAGE, "no option %s", argv[optind - 1]);
        if (which == ':')
            return refuse(USAGE, "%s needs a value", argv[optind - 1]);
        if (*optarg == '\0')
            return refuse(USAGE, "%s: an empty value", argv[optind - 1]);
        *place(config, options, which) = optarg;
    }
    if (optind < argc)
        return refuse(USAGE, "nothing to do with '%s'", argv[optind]);
    return GO_ON;
}

static int check_embeddings(const struct services_config *config,
                            const struct options *options)
{
    const struct services_api *api = &config->embeddings;
    if (api->url != NULL && api->model == NULL)
        return refuse(USAGE, "--embeddings-url needs --embeddings-model NAME, too");
    if (api->url == NULL && (api->model != NULL || options->embeddings_key != NULL))
        return refuse(USAGE, "--embeddings-url URL is missing: whose model or key is "
                             "this?");
    return GO_ON;
}

static int read_keys(struct services_config *config, const struct options *options)
{
    int code =
        options->claude_key != NULL
            ? read_key_file(config->claude_key, "--claude-key", options->claude_key)
            : read_key_variable(config->claude_key, "ANTHROPIC_API_KEY");
    if (code == GO_ON && options->embeddings_key != NULL)
        code = read_key_file(config->embeddings_key, "--embeddings-key",
                             options->embeddings_key);
    if (config->claude_key[0] != '\0')
        config->claude.key = config->claude_key;
    if (config->embeddings_key[0] != '\0')
        config->embeddings.key = config->embeddings_key;
    return code;
}

static int read_all(struct services_config *config, int argc, char **argv)
{
    struct options options = {0};
    int code = read_options(config, &options, argc, argv);
    if (code == GO_ON)
        code = check_embeddings(config, &options);
    if (code == GO_ON)
        code = read_keys(config, &options);
    if (code == GO_ON)
        code = read_url(config->claude_url, &config->claude, "--claude-url",
                        config->claude.key != NULL);
    if (code == GO_ON && config->embeddings.url != NULL)
        code = read_url(config->embeddings_url, &config->embeddings, "--embeddings-url",
                        config->embeddings.key != NULL);
    return code;
}

int services_config_read(struct services_config *config, int argc, char **argv)
{
    int code;
    *config = (struct services_config){
        .listen = "127.0.0.1:4021",
        .claude = {.url = CLAUDE_URL, .model = CLAUDE_MODEL},
    };
    code = read_all(config, argc, argv);
    if (code != GO_ON)
        services_config_release(config);
    return code;
}

void services_config_release(struct services_config *config)
{
    x402_bytes_wipe(config->claude_key, sizeof config->claude_key);
    x402_bytes_wipe(config->embeddings_key, sizeof config->embeddings_key);
}
