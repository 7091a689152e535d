#include "fetch.h"

#include "address.h"
#include "pretend.h"

#include <curl/curl.h>
#include <locale.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define HEADERS_MAX 65536 /* bytes, of all that an answer has */
#define BODY_START 32768

/* One request of those that redirects make of a fetch. */
struct hop {
    struct fetched *out;
    CURL *easy;
    size_t capacity; /* of out->body */
    size_t headers_size;
    unsigned codings; /* that the body is in */
    bool refused;     /* an address */
    bool too_large;
    bool enough; /* seen of an answer that is not a page */
};

/* -------------------------------------------------------------------------- URLs */

static bool is_part(CURLU *url, CURLUPart part, const char *a, const char *b)
{
    char *text = NULL;
    bool is = curl_url_get(url, part, &text, 0) == CURLUE_OK &&
              (strcmp(text, a) == 0 || strcmp(text, b) == 0);
    curl_free(text);
    return is;
}

/* A port below 1024 belongs to something that is not the Web, but for its two. */
static bool is_port_allowed(CURLU *url)
{
    char *text = NULL;
    unsigned long port = 0;
    if (curl_url_get(url, CURLUPART_PORT, &text, 0) != CURLUE_OK)
        return true; /* none: the scheme's own */
    port = strtoul(text, NULL, 10);
    curl_free(text);
    if (port >= 1024 && port <= 65535)
        return true;
    return port == (is_part(url, CURLUPART_SCHEME, "https", "https") ? 443 : 80);
}

static bool write_url(char out[FETCH_URL_MAX], CURLU *url)
{
    char *text = NULL;
    bool fits = curl_url_get(url, CURLUPART_URL, &text, 0) == CURLUE_OK &&
                strlen(text) < FETCH_URL_MAX;
    if (fits)
        strcpy(out, text);
    curl_free(text);
    return fits;
}

/* Writes the URL to ask for, without its fragment; false when it is not fetched. */
static bool check_url(char out[FETCH_URL_MAX], const char *text)
{
    CURLU *url = curl_url();
    bool good = url != NULL &&
                curl_url_set(url, CURLUPART_URL, text,
                             CURLU_DISALLOW_USER | CURLU_URLENCODE) == CURLUE_OK &&
                is_part(url, CURLUPART_SCHEME, "http", "https") &&
                is_port_allowed(url) &&
                curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0) == CURLUE_OK &&
                write_url(out, url);
    curl_url_cleanup(url);
    return good;
}

static bool check_slice(char out[FETCH_URL_MAX], struct x402_slice slice)
{
    char text[FETCH_URL_MAX];
    if (slice.size >= sizeof text || memchr(slice.data, '\0', slice.size) != NULL)
        return false;
    memcpy(text, slice.data, slice.size);
    text[slice.size] = '\0';
    return check_url(out, text);
}

/* ----------------------------------------------------------------- what curl asks */

/*
 * The last word on where a connection goes: curl asks with each address that it is
 * about to connect to, whatever DNS said before or says next.
 */
static curl_socket_t open_socket(void *user, curlsocktype purpose,
                                 struct curl_sockaddr *address)
{
    struct hop *hop = user;
    bool is_public =
        address_is_public(&address->addr) && !address_is_ours(&address->addr);
    if (purpose != CURLSOCKTYPE_IPCXN ||
        !(is_public || pretend_is_public(&address->addr))) {
        hop->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* How many codings a header line names, when it is of this name; chunks are not one. */
static unsigned count_codings(const char *line, size_t size, const char *name)
{
    char text[128];
    char *rest = NULL;
    unsigned count = 0;
    size_t start = strlen(name);
    if (size < start || strncasecmp(line, name, start) != 0)
        return 0;
    if (size - start >= sizeof text)
        return 2;
    memcpy(text, line + start, size - start);
    text[size - start] = '\0';
    for (const char *item = strtok_r(text, ", \t\r\n", &rest); item != NULL;
         item = strtok_r(NULL, ", \t\r\n", &rest))
        count += strcasecmp(item, "chunked") != 0;
    return count;
}

/* A body in several codings could keep us busy for minutes with a few kilobytes. */
static size_t take_header(char *data, size_t one, size_t count, void *user)
{
    struct hop *hop = user;
    size_t size = one * count;
    hop->headers_size += size;
    hop->codings += count_codings(data, size, "content-encoding:");
    hop->codings += count_codings(data, size, "transfer-encoding:");
    hop->too_large = hop->headers_size > HEADERS_MAX;
    return hop->too_large || hop->codings > 1 ? 0 : size;
}

static bool make_room(struct hop *hop, size_t size)
{
    char *grown;
    size_t capacity = hop->capacity > 0 ? hop->capacity : BODY_START;
    while (capacity < size)
        capacity *= 2;
    if (capacity == hop->capacity)
        return true;
    grown = realloc(hop->out->body, capacity);
    if (grown == NULL)
        return false;
    hop->out->body = grown;
    hop->capacity = capacity;
    return true;
}

/* Gets the body decompressed, in small pieces. */
static size_t take_body(char *data, size_t one, size_t count, void *user)
{
    struct hop *hop = user;
    struct fetched *out = hop->out;
    size_t size = one * count;
    curl_easy_getinfo(hop->easy, CURLINFO_RESPONSE_CODE, &out->status);
    hop->enough = out->status != 200;
    hop->too_large = size > FETCH_BODY_MAX - out->size;
    if (hop->enough || hop->too_large || !make_room(hop, out->size + size + 1))
        return 0;
    memcpy(out->body + out->size, data, size);
    out->size += size;
    return size;
}

/* --------------------------------------------------------------------- one request */

static void set_bounds(struct hop *hop, long milliseconds)
{
    CURL *easy = hop->easy;
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, milliseconds);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A resolver that hangs is left behind rather than waited for. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* nor one of the environment */
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, hop);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, hop);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, hop);
}

static void set_request(CURL *easy, const char *url, struct curl_slist *headers)
{
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "x402-services (reads one page)");
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate, br");
}

static struct curl_slist *pretended(const char *text)
{
    struct curl_slist *list = NULL;
    CURLU *url = curl_url();
    char *host = NULL, *port = NULL, *entry = NULL;
    if (url != NULL && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
        entry = pretend_answer(host, port);
    if (entry != NULL)
        list = curl_slist_append(NULL, entry);
    free(entry);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(url);
    return list;
}

static enum fetch_result judge(const struct hop *hop, CURLcode code)
{
    if (code == CURLE_OK || hop->enough)
        return FETCH_OK;
    if (hop->too_large)
        return FETCH_TOO_LARGE;
    if (code == CURLE_COULDNT_CONNECT && hop->refused)
        return FETCH_FORBIDDEN;
    if (code == CURLE_COULDNT_RESOLVE_HOST)
        return FETCH_UNRESOLVED;
    if (code == CURLE_URL_MALFORMAT)
        return FETCH_BAD_URL; /* a name that no host can have */
    if (code == CURLE_OPERATION_TIMEDOUT)
        return FETCH_TOO_SLOW;
    return FETCH_FAILED;
}

static bool is_redirect(long status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 ||
           status == 308;
}

/* What an answer that came means; a redirect is OK, and out->url goes to its goal. */
static enum fetch_result read_answer(struct fetched *out, bool *redirected, CURL *easy)
{
    char *text = NULL;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &out->status);
    *redirected = is_redirect(out->status);
    if (*redirected) {
        curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &text);
        return text != NULL && check_url(out->url, text) ? FETCH_OK : FETCH_REDIRECTS;
    }
    if (out->status != 200)
        return FETCH_STATUS;
    curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &text);
    if (text != NULL)
        strncpy(out->type, text, sizeof out->type - 1);
    return FETCH_OK;
}

/* Each request has a handle of its own: no connection, cookie or name is kept. */
static enum fetch_result request(struct fetched *out, bool *redirected,
                                 long milliseconds)
{
    struct hop hop = {.out = out, .easy = curl_easy_init()};
    struct curl_slist *hosts = pretended(out->url);
    struct curl_slist *headers = curl_slist_append(
        NULL, "Accept: text/html, application/xhtml+xml, text/plain;q=0.8, */*;q=0.1");
    enum fetch_result result = FETCH_FAILED;
    if (hop.easy != NULL && headers != NULL) {
        set_bounds(&hop, milliseconds);
        set_request(hop.easy, out->url, headers);
        curl_easy_setopt(hop.easy, CURLOPT_RESOLVE, hosts);
        result = judge(&hop, curl_easy_perform(hop.easy));
        if (result == FETCH_OK)
            result = read_answer(out, redirected, hop.easy);
    }
    if (result == FETCH_OK && !*redirected && !make_room(&hop, out->size + 1))
        result = FETCH_FAILED;
    curl_slist_free_all(headers);
    curl_slist_free_all(hosts);
    curl_easy_cleanup(hop.easy);
    return result;
}

/* ------------------------------------------------------------------------ a fetch */

static long milliseconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum fetch_result follow(struct fetched *out)
{
    long end = milliseconds_now() + FETCH_SECONDS_MAX * 1000;
    for (int redirects = 0; redirects <= FETCH_REDIRECTS_MAX; redirects++) {
        bool redirected = false;
        long left = end - milliseconds_now();
        enum fetch_result result =
            left > 0 ? request(out, &redirected, left) : FETCH_TOO_SLOW;
        if (result != FETCH_OK || !redirected)
            return result;
    }
    return FETCH_REDIRECTS;
}

/* Of characters; libcurl reads names that are not ASCII by it. */
static locale_t utf8;

/* Not every libcurl may be started by several threads at once. */
static void start(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
    utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

enum fetch_result fetch(struct fetched *out, struct x402_slice url)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    enum fetch_result result;
    locale_t before;
    pthread_once(&once, start);
    memset(out, 0, sizeof *out);
    if (!check_slice(out->url, url))
        return FETCH_BAD_URL;
    before = uselocale(utf8);
    result = follow(out);
    uselocale(before);
    if (result == FETCH_OK) {
        out->body[out->size] = '\0';
        return result;
    }
    free(out->body);
    out->body = NULL;
    out->size = 0;
    return result;
}

const char *fetch_result_text(enum fetch_result result)
{
    switch (result) {
    case FETCH_OK:
        return "The page was fetched";
    case FETCH_BAD_URL:
        return "Give an http or https URL of a public host, without a user, on the "
               "scheme's own port or one above 1023";
    case FETCH_FORBIDDEN:
        return "The URL leads to an address that is not public";
    case FETCH_UNRESOLVED:
        return "There is no host of this name";
    case FETCH_REDIRECTS:
        return "The page redirects too often, or to where nothing is fetched";
    case FETCH_TOO_LARGE:
        return "The page is too large";
    case FETCH_TOO_SLOW:
        return "The page does not come in time";
    case FETCH_STATUS:
        return "The page answers with an error";
    case FETCH_FAILED:
        return "The page cannot be fetched";
    }
    return "The page cannot be fetched";
}
