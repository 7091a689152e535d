#include "cli/pay_http.h"

#include "cli/cli.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONNECT_SECONDS 15
#define SILENCE_SECONDS 300

struct exchange {
    struct x402_http_answer *answer;
    const struct x402_http_request *request;
    const struct x402_http_sink *sink;
    CURL *easy;
    bool decided, keep;
    const char *stopped; /* why we ended it; NULL */
};

/* ------------------------------------------------------------------------ receiving */

static bool append(char **text, size_t *size, size_t max, const char *more,
                   size_t more_size)
{
    if (more_size > max - *size)
        return false;
    char *larger = realloc(*text, *size + more_size + 1);
    if (larger == NULL)
        return false;
    memcpy(larger + *size, more, more_size);
    *size += more_size;
    larger[*size] = '\0';
    *text = larger;
    return true;
}

static void show_header(const char *mark, const char *line, size_t size)
{
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
        size--;
    fputs(mark, stderr);
    for (size_t i = 0; i < size; i++)
        fputc((unsigned char)line[i] < ' ' ? '?' : line[i], stderr);
    fputc('\n', stderr);
}

/* A new status line starts over: what came before was informational (1xx). */
static size_t take_header(char *data, size_t one, size_t size, void *user)
{
    struct exchange *exchange = user;
    struct x402_http_answer *answer = exchange->answer;

    size *= one;
    if (size >= 5 && memcmp(data, "HTTP/", 5) == 0)
        answer->headers_size = 0;
    if (exchange->request->verbose)
        show_header("< ", data, size);
    if (append(&answer->headers, &answer->headers_size, X402_HTTP_HEADERS_MAX, data,
               size))
        return size;
    exchange->stopped = "the headers of the answer are too large";
    return 0;
}

static void decide(struct exchange *exchange)
{
    if (exchange->decided)
        return;
    curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE,
                      &exchange->answer->status);
    exchange->decided = true;
    exchange->keep = exchange->sink->keep(exchange->answer, exchange->sink->data);
}

static size_t take_body(char *data, size_t one, size_t size, void *user)
{
    struct exchange *exchange = user;
    struct x402_http_answer *answer = exchange->answer;

    size *= one;
    decide(exchange);
    if (exchange->keep) {
        if (append(&answer->body, &answer->body_size, X402_HTTP_KEPT_MAX, data, size))
            return size;
        exchange->stopped = "the body of the answer is too large";
        return 0;
    }
    answer->handed_out = answer->handed_out || size > 0;
    if (exchange->sink->write(data, size, answer, exchange->sink->data))
        return size;
    exchange->stopped = strerror(errno);
    return 0;
}

/* -------------------------------------------------------------------------- sending */

static bool push_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (longer == NULL)
        return false;
    *list = longer;
    return true;
}

static struct curl_slist *headers_of(const struct x402_http_request *request)
{
    struct curl_slist *list = NULL;
    bool fine = push_header(&list, "Expect:"); /* no waiting for a 100 */
    char *payment = NULL;

    for (size_t i = 0; fine && i < request->headers_count; i++)
        fine = push_header(&list, request->headers[i]);
    if (fine && request->payment_name != NULL) {
        fine = asprintf(&payment, "%s: %s", request->payment_name,
                        request->payment_value) > 0 &&
               push_header(&list, payment);
        free(payment);
    }
    if (fine)
        return list;
    curl_slist_free_all(list);
    return NULL;
}

static const char *method_of(const struct x402_http_request *request)
{
    if (request->method != NULL)
        return request->method;
    return request->body != NULL ? "POST" : "GET";
}

/* The payment can be spent by who sees it: only its size is shown. */
static void show_request(const struct x402_http_request *request)
{
    fprintf(stderr, "> %s %s\n", method_of(request), request->url);
    for (size_t i = 0; i < request->headers_count; i++)
        show_header("> ", request->headers[i], strlen(request->headers[i]));
    if (request->payment_name != NULL)
        fprintf(stderr, "> %s: (%zu characters)\n", request->payment_name,
                strlen(request->payment_value));
}

static void set_options(struct exchange *exchange, struct curl_slist *headers)
{
    const struct x402_http_request *request = exchange->request;
    CURL *easy = exchange->easy;

    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_SECONDS);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "x402/" X402_VERSION);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    if (request->body != NULL) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t)request->body_size);
    }
    if (strcmp(method_of(request), "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method_of(request));
}

bool x402_http_exchange(struct x402_http_answer *answer,
                        const struct x402_http_request *request,
                        const struct x402_http_sink *sink)
{
    struct exchange exchange = {
        .answer = answer, .request = request, .sink = sink, .easy = curl_easy_init()};
    struct curl_slist *headers = headers_of(request);
    CURLcode code = CURLE_OUT_OF_MEMORY;

    memset(answer, 0, sizeof *answer);
    if (request->verbose)
        show_request(request);
    if (exchange.easy != NULL && headers != NULL) {
        set_options(&exchange, headers);
        code = curl_easy_perform(exchange.easy);
    }
    if (code == CURLE_OK)
        decide(&exchange);
    else
        snprintf(answer->error, sizeof answer->error, "%s",
                 exchange.stopped ? exchange.stopped : curl_easy_strerror(code));
    curl_slist_free_all(headers);
    curl_easy_cleanup(exchange.easy);
    return code == CURLE_OK;
}

void x402_http_release(struct x402_http_answer *answer)
{
    free(answer->headers);
    free(answer->body);
    memset(answer, 0, sizeof *answer);
}

/* -------------------------------------------------------------------------- headers */

static struct x402_slice trimmed(const char *text, size_t size)
{
    while (size > 0 && (*text == ' ' || *text == '\t')) {
        text++;
        size--;
    }
    while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL)
        size--;
    return (struct x402_slice){text, size};
}

struct x402_slice x402_http_header(const struct x402_http_answer *answer,
                                   const char *name)
{
    const char *line = answer->headers ? answer->headers : "";
    size_t name_size = strlen(name);
    struct x402_slice found = {"", 0};

    while (*line != '\0') {
        size_t size = strcspn(line, "\n");
        if (size > name_size && line[name_size] == ':' &&
            strncasecmp(line, name, name_size) == 0)
            found = trimmed(line + name_size + 1, size - name_size - 1);
        line += size + (line[size] == '\n');
    }
    return found;
}
