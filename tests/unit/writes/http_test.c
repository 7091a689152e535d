/*
 * Every send fails in its turn, whole or half, under whoever asks over HTTP: nodes,
 * facilitators, sellers. An answer is the one that was given, or there is none and it
 * is said why; and of a request of which a byte arrived nobody says that it never left.
 */
#include "unit/core/support.h"

#include "cli/pay_http.h"
#include "settle/ask.h"
#include "settle/remote_http.h"
#include "unit/settle/server.h"
#include "unit/writes/writes.h"

#define CHAIN_REPLY "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"result\":\"0x14a34\"}"

static void answer(int fd)
{
    char body[128];
    const char *id = strstr(server.last, "\"id\":");

    snprintf(body, sizeof body, CHAIN_REPLY, id != NULL ? atol(id + 5) : 0);
    server_send_body(fd, "200 OK", body);
}

/* One exchange: whether it was answered. */
typedef bool exchange(void);

static bool one_turn(const void *data, enum writes_way way, int nth, bool lasting)
{
    exchange *const *asks = data;

    server.answer = answer;
    memset(server.last, 0, sizeof server.last);
    assert_int_equal(server_start(), 0);
    writes_arm(way, nth, lasting);
    bool answered = (*asks)();
    bool failed = writes_failed();
    assert_true(answered || failed);
    assert_int_equal(server_stop(), 0);
    assert_true(!answered || server.requests == 1);
    return failed;
}

static void every_send(exchange *asks)
{
    assert_true(writes_in_turn(one_turn, &asks, 1) >= WRITES_WAYS);
}

/* ---------------------------------------------------------------------------- nodes */

static bool ask_node(void)
{
    struct x402_rpc *rpc = x402_rpc_open(server.url, NULL, NULL);
    struct x402_rpc_call call = x402_ask_chain_id();
    uint64_t chain_id = 0;

    assert_non_null(rpc);
    x402_rpc_perform(rpc, &call, 1);
    bool answered = call.reply.status == X402_RPC_RESULT;
    if (answered)
        assert_true(x402_json_quantity(&chain_id, call.reply.result) &&
                    chain_id == 84532);
    else
        assert_true(x402_rpc_message(rpc)[0] != '\0');
    x402_rpc_calls_release(&call, 1);
    x402_rpc_close(rpc);
    return answered;
}

static void a_question_to_a_node_is_answered_or_failed(void **state)
{
    (void)state;
    every_send(ask_node);
}

/* --------------------------------------------------------------------- facilitators */

struct told {
    int count;
    bool left, answered;
};

static void tell(void *context, const struct x402_remote_reply *reply)
{
    struct told *told = context;

    told->count++;
    told->left = reply->left;
    told->answered = reply->status == 200;
    assert_true(told->answered || (reply->status == 0 && reply->why[0] != '\0'));
}

static struct told asked;

static bool ask_facilitator(void)
{
    struct x402_remote_http *http = x402_remote_http_open(server.url, NULL, 60);

    asked = (struct told){0};
    assert_non_null(http);
    assert_true(x402_remote_http_start(http, "/settle", "{\"a\":1}", 7, NULL));
    while (x402_remote_http_busy(http) > 0)
        x402_remote_http_poll(http, 50, tell, &asked);
    x402_remote_http_close(http);
    assert_int_equal(asked.count, 1);
    return asked.answered;
}

static bool ask_and_look(const void *data, enum writes_way way, int nth, bool lasting)
{
    bool failed = one_turn(data, way, nth, lasting);

    assert_true(asked.left || server.last[0] == '\0');
    return failed;
}

static void a_request_that_left_in_part_is_not_taken_to_have_stayed(void **state)
{
    exchange *asks = ask_facilitator;

    (void)state;
    assert_true(writes_in_turn(ask_and_look, &asks, 1) >= WRITES_WAYS);
}

/* -------------------------------------------------------------------------- sellers */

static bool keep(const struct x402_http_answer *reply, void *data)
{
    (void)data;
    return reply->status == 200;
}

static bool ask_seller(void)
{
    const struct x402_http_request request = {
        .url = server.url, .body = "a body", .body_size = 6};
    const struct x402_http_sink sink = {.keep = keep};
    struct x402_http_answer reply = {0};

    bool answered = x402_http_exchange(&reply, &request, &sink);
    assert_true(answered == (reply.error[0] == '\0'));
    assert_true(!answered || (reply.status == 200 && reply.body_size > 0));
    x402_http_release(&reply);
    return answered;
}

static void a_call_is_answered_or_failed(void **state)
{
    (void)state;
    every_send(ask_seller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_question_to_a_node_is_answered_or_failed),
        cmocka_unit_test(a_request_that_left_in_part_is_not_taken_to_have_stayed),
        cmocka_unit_test(a_call_is_answered_or_failed),
    };

    alarm(120); /* a test that hangs ends */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
