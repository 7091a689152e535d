/*
 * Every allocation fails in its turn under what reads and writes the words of others:
 * nodes, facilitators, sellers, and those who look on. What comes out is what would
 * have come out with memory, or nothing; never less that passes for the whole.
 */
#include "unit/core/support.h"

#include "cli/pay_offer.h"
#include "report/report.h"
#include "settle/ask.h"
#include "settle/remote_body.h"
#include "settle/remote_plan.h"
#include "unit/memory/memory.h"

#include <x402/payment.h>

#include <stdio.h>

#define NOW UINT64_C(1740672089)
#define OUT_MAX 65536

/* What a task made: text to compare, "" for nothing. */
static char made[OUT_MAX];

typedef void task(void);

static void add(const char *text, size_t size)
{
    size_t at = strlen(made);

    assert_true(at + size < sizeof made);
    memcpy(made + at, text, size);
    made[at + size] = '\0';
}

static void add_bytes(const void *bytes, size_t size)
{
    char hex[2 * 65];

    x402_hex_encode(hex, bytes, size);
    add(hex, 2 * size);
}

/* Each allocation, once and lastingly: the same as with memory, or nothing. */
static void whole_or_nothing(task *run)
{
    static char whole[OUT_MAX];
    bool failed = true;

    made[0] = '\0';
    run();
    memcpy(whole, made, sizeof whole);
    assert_true(whole[0] != '\0');
    for (int lasting = 0; lasting < 2; lasting++) {
        failed = true;
        for (int nth = 1; failed; nth++) {
            made[0] = '\0';
            memory_arm(nth, lasting);
            run();
            failed = memory_failed();
            if (made[0] != '\0' || !failed)
                assert_string_equal(made, whole);
            assert_true(nth < 20000);
        }
    }
}

/* ---------------------------------------------------------------------------- nodes */

#define WORD "0x1111111111111111111111111111111111111111111111111111111111111111"
#define TOKEN "0x036CbD53842c5426634e7929541eC2318f3dCF7e"
#define PAYEE "0x209693Bc6afc0C5328bA36FaF03C514EF312287C"

static const char receipt_reply[] =
    "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"transactionHash\":\"" WORD
    "\",\"status\":\"0x1\",\"blockNumber\":\"0x64\",\"blockHash\":\"" WORD
    "\",\"from\":\"" PAYEE "\",\"gasUsed\":\"0x9c40\",\"effectiveGasPrice\":\"0x5\","
    "\"logs\":[{\"address\":\"" TOKEN "\",\"topics\":[\"" WORD "\",\"" WORD
    "\"],\"data\":\"" WORD "\",\"blockNumber\":\"0x64\",\"transactionHash\":\"" WORD
    "\"},{\"address\":\"" TOKEN "\",\"topics\":[],\"data\":\"0x\",\"blockNumber\":"
    "\"0x64\",\"transactionHash\":\"" WORD "\"}]}}";

static void read_receipt(void)
{
    struct x402_transaction_receipt receipt;
    struct x402_rpc_reply reply;
    uint8_t hash32[32];

    memset(hash32, 0x11, sizeof hash32);
    x402_rpc_reply_decode(&reply, receipt_reply, strlen(receipt_reply), 7);
    if (reply.status == X402_RPC_RESULT) {
        enum x402_receipt_answer answer =
            x402_transaction_receipt_decode(&receipt, reply.result, hash32);
        /* Absent would be believed: a transaction given up that is in a block. */
        assert_true(answer != X402_RECEIPT_ABSENT);
        if (answer == X402_RECEIPT_FOUND) {
            assert_int_equal(receipt.logs_count, 2);
            add_bytes(&receipt.fee_wei, sizeof receipt.fee_wei);
            add_bytes(receipt.logs[0].address20, 20);
            add_bytes(receipt.logs[0].topics[1], 32);
            add_bytes(receipt.logs[1].transaction32, 32);
            x402_transaction_receipt_release(&receipt);
        }
    } else {
        assert_int_equal(reply.status, X402_RPC_FAILED);
    }
    x402_rpc_reply_release(&reply);
}

static void a_receipt_without_memory_is_not_absent(void **state)
{
    (void)state;
    whole_or_nothing(read_receipt);
}

static const char error_reply[] =
    "{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":3,\"message\":\"execution "
    "reverted: used\",\"data\":\"0x08c379a0" /* Error(string) "used" */
    "0000000000000000000000000000000000000000000000000000000000000020"
    "0000000000000000000000000000000000000000000000000000000000000004"
    "7573656400000000000000000000000000000000000000000000000000000000\"}}";

static void read_error(void)
{
    struct x402_rpc_reply reply;
    char reason[64];

    x402_rpc_reply_decode(&reply, error_reply, strlen(error_reply), 7);
    if (reply.status != X402_RPC_FAILED) {
        assert_int_equal(reply.status, X402_RPC_ERROR);
        assert_true(x402_rpc_reverted(&reply, reason, sizeof reason));
        add(reason, strlen(reason));
    }
    x402_rpc_reply_release(&reply);
}

static void a_refusal_without_memory_is_no_answer(void **state)
{
    (void)state;
    whole_or_nothing(read_error);
}

/* The parameters that would be sent; a call without them fails (rpc.h). */
static void add_call(struct x402_rpc_call call)
{
    int nth = memory.countdown;

    memory.countdown = 0;
    char *text = call.params != NULL ? json_dumps(call.params, JSON_COMPACT) : NULL;
    if (text != NULL)
        add(text, strlen(text));
    free(text);
    json_decref(call.params);
    memory.countdown = nth;
}

static void ask_eth_call(void)
{
    static const uint8_t to20[20] = {1}, hash32[32] = {2}, data[100] = {3};
    const struct x402_eth_call call = {.from20 = to20,
                                       .to20 = to20,
                                       .data = data,
                                       .size = sizeof data,
                                       .gas = 100000,
                                       .at = {.hash32 = hash32}};

    add_call(x402_ask_eth_call(&call));
}

static void ask_send(void)
{
    static const uint8_t raw[300] = {2};

    add_call(x402_ask_send(raw, sizeof raw));
}

static void ask_receipt(void)
{
    static const uint8_t hash32[32] = {9};

    add_call(x402_ask_receipt(hash32));
}

static void a_question_without_memory_is_whole_or_not_asked(void **state)
{
    (void)state;
    whole_or_nothing(ask_eth_call);
    whole_or_nothing(ask_send);
    whole_or_nothing(ask_receipt);
}

/* --------------------------------------------------------------------- facilitators */

static void sold(struct x402_settlement *out, struct x402_network *network)
{
    assert_int_equal(x402_network_find(network, X402_SLICE("base-sepolia")), X402_OK);
    *out = (struct x402_settlement){.chain_id = 84532, .value = 1000};
    memcpy(out->asset20, network->asset20, 20);
    memset(out->from20, 0x11, 20);
}

static void read_answer(void)
{
    static const char body[] =
        "{\"success\":true,\"transaction\":\"" WORD "\",\"network\":\"eip155:84532\","
        "\"payer\":\"0x1111111111111111111111111111111111111111\"}";
    struct x402_settlement payment;
    struct x402_remote_answer answer;
    struct x402_network network;

    sold(&payment, &network);
    x402_remote_answer_decode(&answer, 200, body, strlen(body), &payment, &network);
    /* Anything but "not known" would be acted on. */
    if (answer.word != X402_REMOTE_UNKNOWN) {
        assert_int_equal(answer.word, X402_REMOTE_SETTLED);
        add_bytes(answer.hash32, 32);
    }
}

static void read_refusal(void)
{
    static const char body[] =
        "{\"success\":false,\"errorReason\":\"insufficient_funds\",\"transaction\":"
        "\"\","
        "\"network\":\"eip155:84532\","
        "\"payer\":\"0x1111111111111111111111111111111111111111\"}";
    struct x402_settlement payment;
    struct x402_remote_answer answer;
    struct x402_network network;

    sold(&payment, &network);
    x402_remote_answer_decode(&answer, 200, body, strlen(body), &payment, &network);
    if (answer.word != X402_REMOTE_UNKNOWN) {
        assert_int_equal(answer.word, X402_REMOTE_REFUSED);
        add(answer.reason, strlen(answer.reason));
    }
}

static void a_facilitators_answer_without_memory_is_not_known(void **state)
{
    (void)state;
    whole_or_nothing(read_answer);
    whole_or_nothing(read_refusal);
}

static void read_kinds(void)
{
    static const char body[] =
        "{\"kinds\":[{\"x402Version\":2,\"scheme\":\"exact\",\"network\":"
        "\"eip155:84532\"},{\"x402Version\":1,\"scheme\":\"exact\",\"network\":"
        "\"base\"}]}";
    struct x402_remote_kinds kinds;

    if (!x402_remote_kinds_decode(&kinds, body, strlen(body)))
        return;
    for (size_t i = 0; i < kinds.count; i++)
        add(kinds.items[i].network.name, strlen(kinds.items[i].network.name));
}

static void what_a_facilitator_takes_is_read_whole(void **state)
{
    (void)state;
    whole_or_nothing(read_kinds);
}

static void write_body(void)
{
    static char body[X402_REMOTE_BODY_MAX];
    struct x402_settlement payment;
    struct x402_network network;

    sold(&payment, &network);
    add(body, x402_remote_body_encode(body, &payment, &network, 2));
}

static void what_a_facilitator_is_told_is_whole(void **state)
{
    (void)state;
    whole_or_nothing(write_body);
}

/* -------------------------------------------------------------------------- sellers */

static const char offer[] =
    "{\"x402Version\":1,\"error\":\"X-PAYMENT header is required\",\"accepts\":[{"
    "\"scheme\":\"exact\",\"network\":\"base-sepolia\",\"maxAmountRequired\":\"1000\","
    "\"asset\":\"" TOKEN "\",\"payTo\":\"" PAYEE "\",\"maxTimeoutSeconds\":300,"
    "\"extra\":{\"name\":\"USDC\",\"version\":\"2\"}}]}";

static const char offer_v2[] =
    "{\"x402Version\":2,\"resource\":{\"url\":\"http://x/\"},\"accepts\":[{"
    "\"scheme\":\"exact\",\"network\":\"eip155:84532\",\"amount\":\"1000\","
    "\"asset\":\"" TOKEN "\",\"payTo\":\"" PAYEE "\",\"maxTimeoutSeconds\":300,"
    "\"extra\":{\"name\":\"USDC\",\"version\":\"2\"}}]}";

/* jansson 2.14 leaves out a name for which it has no memory and goes on, so that what
 * it makes may be no JSON: no seller takes that for a payment. */
static bool is_payment(const char *header, unsigned version)
{
    static uint8_t scratch[X402_PAYMENT_SCRATCH_SIZE(X402_PAYMENT_HEADER_MAX)];
    struct x402_payment payment;
    struct x402_problem problem;

    return x402_payment_decode(&payment, &problem,
                               version == 2 ? X402_HEADER_PAYMENT_SIGNATURE
                                            : X402_HEADER_X_PAYMENT,
                               x402_slice_of(header), X402_PAYMENT_HEADER_MAX, scratch,
                               sizeof scratch) == X402_OK;
}

static void pay(struct x402_slice header, struct x402_slice body)
{
    static const uint8_t key32[32] = {1}, nonce32[32] = {2};
    char why[X402_PRICE_WHY_MAX] = "";
    struct x402_price price;

    if (x402_price_decode(&price, why, header, body, 100000) != X402_OK) {
        assert_true(why[0] != '\0');
        return;
    }
    char *payment = x402_price_pay(&price, key32, nonce32, NOW);
    if (payment != NULL && is_payment(payment, price.version))
        add(payment, strlen(payment));
    free(payment);
    x402_price_release(&price);
}

static void pay_v1(void)
{
    pay((struct x402_slice){"", 0}, x402_slice_of(offer));
}

static void pay_v2(void)
{
    static char header[X402_BASE64_SIZE(sizeof offer_v2)];

    x402_base64_encode(header, (const uint8_t *)offer_v2, sizeof offer_v2 - 1);
    pay((struct x402_slice){header, X402_BASE64_SIZE(sizeof offer_v2 - 1)},
        (struct x402_slice){"", 0});
}

static void a_payment_is_whole_or_not_made(void **state)
{
    (void)state;
    whole_or_nothing(pay_v1);
    whole_or_nothing(pay_v2);
}

/* ----------------------------------------------------------------------- lookers-on */

static void write_report(void)
{
    static struct x402_report report = {.routes_count = 2, .now_seconds = 1740672089};
    static const struct x402_report_options how = {.receipts = ""};
    struct x402_text_buffer out = {0};

    x402_report_json(&out, &report, &how);
    if (!out.failed)
        add(out.data, out.size);
    free(out.data);
}

static void figures_are_written_whole_or_failed(void **state)
{
    (void)state;
    whole_or_nothing(write_report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_receipt_without_memory_is_not_absent),
        cmocka_unit_test(a_refusal_without_memory_is_no_answer),
        cmocka_unit_test(a_question_without_memory_is_whole_or_not_asked),
        cmocka_unit_test(a_facilitators_answer_without_memory_is_not_known),
        cmocka_unit_test(what_a_facilitator_takes_is_read_whole),
        cmocka_unit_test(what_a_facilitator_is_told_is_whole),
        cmocka_unit_test(a_payment_is_whole_or_not_made),
        cmocka_unit_test(figures_are_written_whole_or_failed),
    };

    return cmocka_run_group_tests(tests, memory_install, NULL);
}
