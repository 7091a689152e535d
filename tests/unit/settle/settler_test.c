/* When the settler asks a node, and when it leaves it in peace. */
#include "unit/ledger/fixture.h"

#include "ledger/nudge.h"
#include "settle/chain.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#define PEACE_MILLISECONDS 1000 /* in which a node that failed once is left */

/* A node that hangs up on everybody, and counts them. */
static int node_fd;
static char node_url[64];
static const char *ledger_path;
static int asked;                  /* too soon, but for the first time */
static int64_t asked_milliseconds; /* first */

static int begin(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;

    if (ledger_make(state) != 0)
        return -1;
    ledger_path = ((struct fixture *)*state)->path;
    asked = 0;
    node_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(node_fd, (struct sockaddr *)&address, size) != 0 ||
        listen(node_fd, 64) != 0 ||
        getsockname(node_fd, (struct sockaddr *)&address, &size) != 0)
        return -1;
    snprintf(node_url, sizeof node_url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    return 0;
}

static int end(void **state)
{
    close(node_fd);
    return fixture_release(state);
}

static void hang_up(void)
{
    int fd;

    while ((fd = accept(node_fd, NULL, NULL)) >= 0) {
        int64_t now = x402_chain_milliseconds();
        asked_milliseconds = asked > 0 ? asked_milliseconds : now;
        asked += now - asked_milliseconds < PEACE_MILLISECONDS;
        close(fd);
    }
}

static void take_note(void *data, const struct x402_note_event *event)
{
    (void)data;
    (void)event;
}

/* Nudges for as long as a node that failed is left in peace. */
static bool nudge_on(void *data, int fd, int milliseconds)
{
    struct pollfd node = {.fd = node_fd, .events = POLLIN};

    (void)data;
    (void)fd;
    (void)milliseconds;
    (void)poll(&node, 1, 5);
    hang_up();
    x402_nudge_send(ledger_path);
    return asked > 0 &&
           x402_chain_milliseconds() - asked_milliseconds >= PEACE_MILLISECONDS;
}

static void nudges_bring_no_node_that_failed_to_be_asked_sooner(void **state)
{
    static const uint8_t key32[32] = {[31] = 1};
    struct x402_settler_chain chain = {.url = node_url};
    struct x402_settler_options options = {.ledger_path = ledger_path,
                                           .chains = &chain,
                                           .chains_count = 1,
                                           .key32 = key32,
                                           .wait = nudge_on,
                                           .note = take_note};

    (void)state;
    assert_int_equal(x402_network_find(&chain.network, X402_SLICE("base-sepolia")),
                     X402_OK);
    assert_int_equal(x402_settler_run(&options), X402_OK);
    assert_int_equal(asked, 1);
}

/* So long is a node left in peace that has never answered in so many passes. */
static void assert_pause(int64_t milliseconds, unsigned passes,
                         struct x402_ledger *ledger)
{
    static const uint8_t key32[32] = {[31] = 1};
    static const struct x402_settler_options options = {.key32 = key32,
                                                        .note = take_note};
    static const atomic_bool stop;
    static struct x402_chain chain;
    int64_t before = 0;
    const struct x402_settler_chain which = {.network = {.chain_id = CHAIN},
                                             .url = node_url};

    assert_true(x402_chain_open(&chain, &options, &which, ledger, "me", &stop));
    close(node_fd); /* nobody listens */
    node_fd = -1;
    for (unsigned i = 0; i < passes; i++) {
        before = x402_chain_milliseconds();
        assert_int_equal(x402_chain_pass(&chain), X402_OK);
    }
    assert_in_range(chain.pass_milliseconds, before + milliseconds,
                    x402_chain_milliseconds() + milliseconds);
    x402_chain_close(&chain);
}

static void a_node_never_reached_is_left_in_peace_ever_longer(void **state)
{
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    assert_pause(30000, 6, fixture->ledger);
}

static void a_node_never_reached_is_asked_soon_while_somebody_waits(void **state)
{
    struct fixture *fixture = *state;
    struct x402_admit admit = presentation(1, 1);

    admit.credit.settle_first = true;
    assert_int_equal(admit_on(fixture->ledger, &admit), X402_ADMISSION_SETTLING);
    assert_pause(X402_BACKOFF_URGENT_MILLISECONDS, 6, fixture->ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            nudges_bring_no_node_that_failed_to_be_asked_sooner, begin, end),
        cmocka_unit_test_setup_teardown(
            a_node_never_reached_is_left_in_peace_ever_longer, begin, end),
        cmocka_unit_test_setup_teardown(
            a_node_never_reached_is_asked_soon_while_somebody_waits, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
