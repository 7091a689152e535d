/* The transport, against a node that answers as badly as we like. */
#include "unit/core/support.h"

#include "settle/ask.h"

#include "unit/settle/server.h"

#include <time.h>

/* What the node writes to a connection, of a request with this id. */
typedef void reply_to(int fd, const char *id);

static reply_to *node_reply;

static void answer(int fd)
{
    const char *id = strstr(server.last, "\"id\":");
    char digits[24] = "";

    if (id != NULL)
        snprintf(digits, sizeof digits, "%ld", atol(id + 5));
    node_reply(fd, digits);
}

static int start_node(void **state)
{
    (void)state;
    server.answer = answer;
    return server_start();
}

static int stop_node(void **state)
{
    (void)state;
    return server_stop();
}

static bool never(void *data)
{
    (void)data;
    return false;
}

static struct x402_rpc *open_rpc(bool (*stop)(void *data))
{
    char url[128];

    snprintf(url, sizeof url, "http://user:secret@%.64s/key?token=secret",
             server.url + strlen("http://"));
    return x402_rpc_open(url, stop, NULL);
}

/* One eth_chainId; the status of its reply. */
static enum x402_rpc_status ask_once(reply_to *reply, const char *says)
{
    struct x402_rpc *rpc = open_rpc(never);
    struct x402_rpc_call call = x402_ask_chain_id();

    node_reply = reply;
    x402_rpc_perform(rpc, &call, 1);
    enum x402_rpc_status status = call.reply.status;
    if (says != NULL && strstr(x402_rpc_message(rpc), says) == NULL)
        fail_msg("'%s' does not say '%s'", x402_rpc_message(rpc), says);
    assert_null(strstr(x402_rpc_message(rpc), "secret"));
    x402_rpc_calls_release(&call, 1);
    x402_rpc_close(rpc);
    return status;
}

/* -------------------------------------------------------------------------- replies */

static void reply_well(int fd, const char *id)
{
    char body[128];

    snprintf(body, sizeof body,
             "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":\"0x14a34\"}", id);
    server_send_body(fd, "200 OK", body);
}

static void reply_other_id(int fd, const char *id)
{
    (void)id;
    server_send_body(fd, "200 OK",
                     "{\"jsonrpc\":\"2.0\",\"id\":424242,\"result\":\"0x1\"}");
}

static void reply_429(int fd, const char *id)
{
    char body[128];

    snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":\"0x1\"}",
             id);
    server_send_body(fd, "429 Too Many Requests", body);
}

static void reply_400_with_error(int fd, const char *id)
{
    char body[128];

    snprintf(body, sizeof body,
             "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":-32602,"
             "\"message\":\"block range is too wide\"}}",
             id);
    server_send_body(fd, "400 Bad Request", body);
}

static void reply_500_with_error(int fd, const char *id)
{
    char body[128];

    snprintf(body, sizeof body,
             "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":-32603,"
             "\"message\":\"internal\"}}",
             id);
    server_send_body(fd, "500 Internal Server Error", body);
}

static void reply_400_with_result(int fd, const char *id)
{
    char body[128];

    snprintf(body, sizeof body, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":\"0x1\"}",
             id);
    server_send_body(fd, "400 Bad Request", body);
}

static void reply_redirect(int fd, const char *id)
{
    char head[256];

    (void)id;
    snprintf(head, sizeof head,
             "HTTP/1.1 307 Temporary Redirect\r\nLocation: %s/\r\n"
             "Content-Length: 0\r\nConnection: close\r\n\r\n",
             server.url);
    server_send(fd, head);
}

static void reply_without_end(int fd, const char *id)
{
    static char chunk[65537];

    (void)id;
    memset(chunk, ' ', sizeof chunk - 1);
    server_send(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 64; i++)
        server_send(fd, chunk);
}

static void reply_half(int fd, const char *id)
{
    (void)id;
    server_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"jsonrpc\":");
}

static void reply_nothing(int fd, const char *id)
{
    (void)fd;
    (void)id;
}

static void hang(int fd, const char *id)
{
    (void)id;
    server_hang(fd);
}

/* ---------------------------------------------------------------------------- tests */

static void an_answer_is_taken(void **state)
{
    (void)state;
    assert_int_equal(ask_once(reply_well, NULL), X402_RPC_RESULT);
    assert_non_null(strstr(server.last, "POST /key?token=secret "));
    assert_non_null(strstr(server.last, "Authorization: Basic "));
    assert_non_null(strstr(server.last, "\"method\":\"eth_chainId\""));
    assert_non_null(strstr(server.last, "\"params\":[]"));
}

static void a_bad_answer_fails_and_says_how_without_the_urls_secrets(void **state)
{
    (void)state;
    assert_int_equal(ask_once(reply_other_id, "no JSON-RPC answer"), X402_RPC_FAILED);
    assert_int_equal(ask_once(reply_429, "HTTP status 429"), X402_RPC_FAILED);
    assert_int_equal(ask_once(reply_half, "eth_chainId"), X402_RPC_FAILED);
    assert_int_equal(ask_once(reply_nothing, "eth_chainId"), X402_RPC_FAILED);
}

static void an_error_with_a_status_of_refusal_is_the_nodes_word(void **state)
{
    (void)state;
    assert_int_equal(ask_once(reply_400_with_error, NULL), X402_RPC_ERROR);
    assert_int_equal(ask_once(reply_500_with_error, "HTTP status 500"),
                     X402_RPC_FAILED);
}

static void a_result_with_a_status_of_refusal_is_none(void **state)
{
    (void)state;
    assert_int_equal(ask_once(reply_400_with_result, "HTTP status 400"),
                     X402_RPC_FAILED);
}

static void a_call_may_have_a_shorter_time(void **state)
{
    struct x402_rpc *rpc = open_rpc(never);
    struct x402_rpc_call call = x402_ask_chain_id();
    time_t before = time(NULL);

    (void)state;
    node_reply = hang;
    call.timeout_milliseconds = 200;
    x402_rpc_perform(rpc, &call, 1);
    assert_int_equal(call.reply.status, X402_RPC_FAILED);
    assert_true(time(NULL) - before <= 8); /* and not X402_RPC_TIMEOUT_MILLISECONDS */
    x402_rpc_calls_release(&call, 1);
    x402_rpc_close(rpc);
}

static void a_redirect_is_not_followed(void **state)
{
    (void)state;
    assert_int_equal(ask_once(reply_redirect, "HTTP status 307"), X402_RPC_FAILED);
    assert_int_equal(server.requests, 1);
}

static void a_reply_without_end_is_cut_off(void **state)
{
    (void)state;
    assert_int_equal(ask_once(reply_without_end, "larger than 1048576 bytes"),
                     X402_RPC_FAILED);
}

static void calls_made_together_stand_or_fall_alone(void **state)
{
    enum { CALLS = 20 };
    struct x402_rpc *rpc = open_rpc(never);
    struct x402_rpc_call calls[CALLS];
    uint64_t id;

    (void)state;
    node_reply = reply_well;
    for (size_t i = 0; i < CALLS; i++)
        calls[i] = x402_ask_chain_id();
    json_decref(calls[7].params);
    calls[7].params = NULL; /* no memory for this one */
    x402_rpc_perform(rpc, calls, CALLS);
    for (size_t i = 0; i < CALLS; i++) {
        if (i == 7)
            assert_int_equal(calls[i].reply.status, X402_RPC_FAILED);
        else
            assert_true(x402_json_quantity(&id, calls[i].reply.result));
    }
    assert_int_equal(server.requests, CALLS - 1);
    x402_rpc_calls_release(calls, CALLS);
    x402_rpc_close(rpc);
}

static bool at_once(void *data)
{
    (void)data;
    return true;
}

static void stopping_cuts_off_a_node_that_hangs(void **state)
{
    struct x402_rpc *rpc = open_rpc(at_once);
    struct x402_rpc_call call = x402_ask_chain_id();
    time_t before = time(NULL);

    (void)state;
    node_reply = hang;
    call.timeout_milliseconds = 120000;
    x402_rpc_perform(rpc, &call, 1);
    assert_int_equal(call.reply.status, X402_RPC_FAILED);
    assert_true(time(NULL) - before <= 60);
    x402_rpc_calls_release(&call, 1);
    x402_rpc_close(rpc);
}

static void a_node_that_is_not_there_fails(void **state)
{
    struct x402_rpc *rpc = x402_rpc_open("http://127.0.0.1:1/", never, NULL);
    struct x402_rpc_call call = x402_ask_chain_id();

    (void)state;
    x402_rpc_perform(rpc, &call, 1);
    assert_int_equal(call.reply.status, X402_RPC_FAILED);
    assert_string_equal(x402_rpc_origin(rpc), "http://127.0.0.1:1");
    x402_rpc_calls_release(&call, 1);
    x402_rpc_close(rpc);
}

static void other_protocols_are_not_spoken(void **state)
{
    struct x402_rpc *rpc = x402_rpc_open("file:///etc/hostname", never, NULL);
    struct x402_rpc_call call = x402_ask_chain_id();

    (void)state;
    x402_rpc_perform(rpc, &call, 1);
    assert_int_equal(call.reply.status, X402_RPC_FAILED);
    x402_rpc_calls_release(&call, 1);
    x402_rpc_close(rpc);
}

static void the_origin_shows_no_secret(void **state)
{
    static const struct {
        const char *url, *origin;
    } rows[] = {
        {"https://host/v2/key", "https://host"},
        {"https://host:8545?key", "https://host:8545"},
        {"http://user:pass@host:1/x", "http://host:1"},
        {"http://user:p@ss@host/x", "http://host"},
        {"http://host#a@b", "http://host"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct x402_rpc *rpc = x402_rpc_open(rows[i].url, NULL, NULL);
        assert_string_equal(x402_rpc_origin(rpc), rows[i].origin);
        x402_rpc_close(rpc);
    }
}

#define WITH_NODE(test) cmocka_unit_test_setup_teardown(test, start_node, stop_node)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_NODE(an_answer_is_taken),
        WITH_NODE(a_bad_answer_fails_and_says_how_without_the_urls_secrets),
        WITH_NODE(an_error_with_a_status_of_refusal_is_the_nodes_word),
        WITH_NODE(a_result_with_a_status_of_refusal_is_none),
        WITH_NODE(a_call_may_have_a_shorter_time),
        WITH_NODE(a_redirect_is_not_followed),
        WITH_NODE(a_reply_without_end_is_cut_off),
        WITH_NODE(calls_made_together_stand_or_fall_alone),
        WITH_NODE(stopping_cuts_off_a_node_that_hangs),
        cmocka_unit_test(a_node_that_is_not_there_fails),
        cmocka_unit_test(other_protocols_are_not_spoken),
        cmocka_unit_test(the_origin_shows_no_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
