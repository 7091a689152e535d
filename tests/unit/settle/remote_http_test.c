/* HTTP to a facilitator that answers as badly as we like. */
#include "unit/core/support.h"

#include "settle/remote_http.h"

#include "unit/settle/server.h"

static int start_server(void **state)
{
    (void)state;
    return server_start();
}

static int stop_server(void **state)
{
    (void)state;
    return server_stop();
}

/* --------------------------------------------------------------------------- asking */

struct told {
    int count;
    void *data;
    bool left;
    long status;
    char body[1024];
    size_t size;
    char why[256];
};

static void tell(void *context, const struct x402_remote_reply *reply)
{
    struct told *told = context;

    told->count++;
    told->data = reply->data;
    told->left = reply->left;
    told->status = reply->status;
    told->size = reply->size;
    snprintf(told->body, sizeof told->body, "%.*s", (int)reply->size, reply->body);
    snprintf(told->why, sizeof told->why, "%s", reply->why ? reply->why : "");
}

#define SECONDS 60 /* no answer that comes takes so long */

static struct x402_remote_http *open_http(const char *headers, int seconds)
{
    char url[80];

    snprintf(url, sizeof url, "%s/v1", server.url);
    struct x402_remote_http *http = x402_remote_http_open(url, headers, seconds);
    assert_non_null(http);
    return http;
}

static void poll_all(struct x402_remote_http *http, struct told *told)
{
    while (x402_remote_http_busy(http) > 0)
        x402_remote_http_poll(http, 50, tell, told);
}

static struct told ask_for(server_answer *reply, int seconds)
{
    struct told told = {0};
    struct x402_remote_http *http = open_http("Authorization: Bearer s\n", seconds);

    server.answer = reply;
    assert_true(x402_remote_http_start(http, "/settle", "{\"a\":1}", 7, &told));
    poll_all(http, &told);
    x402_remote_http_close(http);
    assert_int_equal(told.count, 1);
    assert_ptr_equal(told.data, &told);
    return told;
}

static struct told ask(server_answer *reply)
{
    return ask_for(reply, SECONDS);
}

static void reply_well(int fd)
{
    server_send(
        fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine");
}

static void reply_402(int fd)
{
    server_send(fd, "HTTP/1.1 402 Payment Required\r\nContent-Length: 2\r\n\r\nno");
}

static void reply_redirect(int fd)
{
    server_send(fd, "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\n"
                    "Content-Length: 0\r\n\r\n");
}

static void reply_nothing(int fd)
{
    (void)fd;
}

static void reply_half(int fd)
{
    server_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{\"success\":");
}

static void reply_endlessly(int fd)
{
    char block[1025];

    memset(block, 'x', sizeof block - 1);
    block[sizeof block - 1] = '\0';
    server_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    for (int i = 0; i < 2048; i++)
        server_send(fd, block);
}

static void an_answer_comes_with_its_status_and_body(void **state)
{
    struct told told = ask(reply_well);

    (void)state;
    assert_int_equal(told.status, 200);
    assert_string_equal(told.body, "fine");
    told = ask(reply_402);
    assert_int_equal(told.status, 402);
    assert_string_equal(told.body, "no");
}

static void a_request_has_the_path_the_headers_and_the_bytes(void **state)
{
    (void)state;
    (void)ask(reply_well);
    assert_memory_equal(server.last, "POST /v1/settle HTTP/1.1\r\n", 26);
    assert_non_null(strstr(server.last, "\r\nAuthorization: Bearer s\r\n"));
    assert_non_null(strstr(server.last, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(server.last, "\r\n\r\n{\"a\":1}"));
}

static void without_a_body_it_is_a_get(void **state)
{
    struct told told = {0};
    struct x402_remote_http *http = open_http(NULL, SECONDS);

    (void)state;
    server.answer = reply_well;
    assert_true(x402_remote_http_start(http, "/supported", NULL, 0, NULL));
    poll_all(http, &told);
    x402_remote_http_close(http);
    assert_int_equal(told.status, 200);
    assert_memory_equal(server.last, "GET /v1/supported HTTP/1.1\r\n", 28);
}

static void a_redirect_is_not_followed(void **state)
{
    struct told told = ask(reply_redirect);

    (void)state;
    assert_int_equal(told.status, 302);
    assert_int_equal(server.requests, 1);
}

static void an_answer_that_does_not_come_is_none_and_the_request_has_left(void **state)
{
    static const struct {
        server_answer *reply;
        int seconds;
    } rows[] = {{reply_nothing, SECONDS}, {reply_half, SECONDS}, {server_hang, 3}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct told told = ask_for(rows[i].reply, rows[i].seconds);
        assert_int_equal(told.status, 0);
        assert_int_equal(told.size, 0);
        assert_true(told.left);
        assert_true(told.why[0] != '\0');
    }
}

static void an_answer_that_grows_is_cut_off(void **state)
{
    struct told told = ask(reply_endlessly);

    (void)state;
    assert_int_equal(told.status, 0);
    assert_string_equal(told.why, "its answer is too large");
    assert_true(told.left);
}

static void a_request_to_nobody_has_not_left(void **state)
{
    struct told told = {0};
    struct x402_remote_http *http = open_http(NULL, SECONDS);

    (void)stop_server(state);
    assert_true(x402_remote_http_start(http, "/settle", "{}", 2, NULL));
    poll_all(http, &told);
    x402_remote_http_close(http);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.status, 0);
    assert_false(told.left);
    assert_int_equal(start_server(state), 0);
}

static void as_many_as_there_are_slots_are_under_way(void **state)
{
    struct told told = {0};
    struct x402_remote_http *http = open_http(NULL, SECONDS);

    (void)state;
    server.answer = reply_well;
    for (int i = 0; i < X402_REMOTE_PARALLEL_MAX; i++)
        assert_true(x402_remote_http_start(http, "/settle", "{}", 2, NULL));
    assert_false(x402_remote_http_start(http, "/settle", "{}", 2, NULL));
    assert_int_equal(x402_remote_http_busy(http), X402_REMOTE_PARALLEL_MAX);
    poll_all(http, &told);
    assert_int_equal(told.count, X402_REMOTE_PARALLEL_MAX);
    x402_remote_http_close(http);
}

static void closing_cuts_off_what_is_under_way(void **state)
{
    struct told told = {0};
    struct x402_remote_http *http = open_http(NULL, SECONDS);

    (void)state;
    server.answer = server_hang;
    assert_true(x402_remote_http_start(http, "/settle", "{}", 2, NULL));
    x402_remote_http_poll(http, 50, tell, &told);
    x402_remote_http_close(http);
    assert_int_equal(told.count, 0);
    x402_remote_http_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start_server, stop_server)
        TEST(an_answer_comes_with_its_status_and_body),
        TEST(a_request_has_the_path_the_headers_and_the_bytes),
        TEST(without_a_body_it_is_a_get),
        TEST(a_redirect_is_not_followed),
        TEST(an_answer_that_does_not_come_is_none_and_the_request_has_left),
        TEST(an_answer_that_grows_is_cut_off),
        TEST(a_request_to_nobody_has_not_left),
        TEST(as_many_as_there_are_slots_are_under_way),
        TEST(closing_cuts_off_what_is_under_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
