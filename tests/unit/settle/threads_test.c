/* The settler's threads, one a chain and one that tells, from their start to their end.
 */
#include "unit/ledger/fixture.h"
#include "unit/settle/server.h"

#include "ledger/activity.h"
#include "ledger/nudge.h"
#include "settle/chain.h"

#include <jansson.h>
#include <poll.h>

#define CHAINS 4
#define PASSES 3       /* each chain is asked at least so often for its block */
#define PATIENCE 20000 /* milliseconds */
#define STARTS 6       /* of a settler that is stopped as soon as it runs */

static const char *const names[CHAINS] = {"base-sepolia", "base", "arbitrum",
                                          "arbitrum-sepolia"};
static struct x402_settler_chain chains[CHAINS];
static char urls[CHAINS][96];
static atomic_int asked[CHAINS]; /* for their latest block */
static atomic_int notes;
static atomic_bool stop;
static int64_t started_milliseconds;

/* --------------------------------------------------------------------------- a node */

/* Which chain is meant: the URL's path. */
static size_t chain_asked(void)
{
    return (size_t)(strchr(server.last, '/')[1] - '0');
}

static json_t *block(void)
{
    char zeros[67] = "0x";

    memset(zeros + 2, '0', 64);
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "number", "0x64", "hash", zeros,
                     "parentHash", zeros, "timestamp", "0x1", "baseFeePerGas", "0x1");
}

static json_t *result_of(const char *method, size_t chain)
{
    char text[32];

    if (strcmp(method, "eth_chainId") == 0) {
        snprintf(text, sizeof text, "0x%llx",
                 (unsigned long long)chains[chain].network.chain_id);
        return json_string(text);
    }
    if (strcmp(method, "eth_getBlockByNumber") == 0) {
        atomic_fetch_add(&asked[chain], 1);
        return block();
    }
    return json_string("0x0"); /* no nonce, no balance, no code */
}

static void answer(int fd)
{
    json_t *request = json_loads(server_body(), 0, NULL);
    const char *method = json_string_value(json_object_get(request, "method"));
    json_t *reply = json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id",
                              json_object_get(request, "id"), "result",
                              result_of(method, chain_asked()));
    char *text = json_dumps(reply, JSON_COMPACT);

    server_send_body(fd, "200 OK", text);
    free(text);
    json_decref(reply);
    json_decref(request);
}

/* ---------------------------------------------------------------------- the settler */

static int begin(void **state)
{
    server.answer = answer;
    if (ledger_make(state) != 0 || server_start() != 0)
        return -1;
    for (size_t i = 0; i < CHAINS; i++) {
        snprintf(urls[i], sizeof urls[i], "%s/%zu", server.url, i);
        chains[i].url = urls[i];
        atomic_store(&asked[i], 0);
        if (x402_network_find(&chains[i].network,
                              (struct x402_slice){names[i], strlen(names[i])}) !=
            X402_OK)
            return -1;
    }
    atomic_store(&stop, false);
    started_milliseconds = x402_chain_milliseconds();
    return 0;
}

static int end(void **state)
{
    return server_stop() == 0 ? fixture_release(state) : -1;
}

static void take_note(void *data, const struct x402_note_event *event)
{
    (void)data;
    (void)event;
    atomic_fetch_add(&notes, 1);
}

static bool until_all_are_asked(void *data, int fd, int milliseconds)
{
    struct pollfd events = {.fd = fd, .events = POLLIN};

    (void)data;
    (void)milliseconds;
    (void)poll(&events, 1, 5);
    for (size_t i = 0; i < CHAINS; i++) {
        if (atomic_load(&asked[i]) < PASSES)
            return x402_chain_milliseconds() - started_milliseconds > PATIENCE;
    }
    return true;
}

static bool until_it_runs(void *data, int fd, int milliseconds)
{
    struct pollfd events = {.fd = fd, .events = POLLIN};

    (void)milliseconds;
    return poll(&events, 1, *(int *)data) >= 0;
}

static struct x402_settler_options options_of(struct fixture *fixture)
{
    static const uint8_t key32[32] = {[31] = 1};

    return (struct x402_settler_options){.ledger_path = fixture->path,
                                         .chains = chains,
                                         .chains_count = CHAINS,
                                         .key32 = key32,
                                         .note = take_note};
}

static void *nudge_on(void *data)
{
    const struct timespec moment = {.tv_nsec = 1000000};

    while (!atomic_load(&stop)) {
        x402_nudge_send(data);
        nanosleep(&moment, NULL);
    }
    return NULL;
}

static void *sell_on(void *data)
{
    struct x402_ledger *ledger = data;

    for (unsigned i = 0; !atomic_load(&stop); i++) {
        struct x402_admit admit = presentation(i, 0);
        admit.verified.chain_id = chains[i % CHAINS].network.chain_id;
        admit.credit.settle_first = i % 2 == 0;
        if (x402_ledger_commit(ledger, "seller", NULL, 0, &admit, 1, NULL, NULL) !=
            X402_OK)
            return data;
    }
    return NULL;
}

static void each_chain_is_served_and_told_of_while_others_sell_and_nudge(void **state)
{
    struct fixture *fixture = *state;
    struct x402_settler_options options = options_of(fixture);
    struct x402_settler_state told[CHAINS + 1];
    pthread_t nudging, selling;
    void *failed = NULL;
    size_t count = 0;

    options.wait = until_all_are_asked;
    assert_int_equal(pthread_create(&nudging, NULL, nudge_on, fixture->path), 0);
    assert_int_equal(pthread_create(&selling, NULL, sell_on, another_handle(fixture)),
                     0);
    enum x402_error error = x402_settler_run(&options);
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(nudging, NULL), 0);
    assert_int_equal(pthread_join(selling, &failed), 0);
    assert_int_equal(error, X402_OK);
    assert_null(failed);
    for (size_t i = 0; i < CHAINS; i++)
        assert_true(atomic_load(&asked[i]) >= PASSES);
    assert_int_equal(x402_ledger_settlers(fixture->ledger, told, CHAINS + 1, &count),
                     X402_OK);
    assert_int_equal(count, CHAINS);
    assert_books(fixture->ledger);
}

static void a_settler_may_be_stopped_as_soon_as_it_runs(void **state)
{
    struct x402_settler_options options = options_of(*state);
    int milliseconds;

    options.wait = until_it_runs;
    options.data = &milliseconds;
    for (milliseconds = 0; milliseconds < STARTS; milliseconds++)
        assert_int_equal(x402_settler_run(&options), X402_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(each_chain_is_served_and_told_of_while_others_sell_and_nudge),
        TEST(a_settler_may_be_stopped_as_soon_as_it_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
