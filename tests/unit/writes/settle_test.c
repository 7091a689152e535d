/*
 * Every call that writes, to files and to the network, fails in its turn under a
 * settler that has a facilitator. What leaves was stored: a machine that loses its
 * power when the request arrives knows of it afterwards; and whoever goes on asks with
 * the same bytes, until the payment is settled.
 */
#include "unit/ledger/fixture.h"

#include "settle/remote.h"
#include "unit/settle/server.h"
#include "unit/writes/writes.h"

#include <stdatomic.h>

#define PASSES_MAX 60

static struct {
    char folder[80]; /* the ledger as it was, synced, when the first request arrived */
    bool asked;
    char body[8192]; /* of the first request */
} first;

static const char kinds[] = "{\"kinds\":[{\"x402Version\":2,\"scheme\":\"exact\","
                            "\"network\":\"eip155:84532\"}],"
                            "\"extensions\":[],\"signers\":{}}";

static const char settled[] =
    "{\"success\":true,\"transaction\":\"0x11111111111111111111111111111111111111111111"
    "11111111111111111111\",\"network\":\"eip155:84532\","
    "\"payer\":\"0xf0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0\"}";

static void keep_first(void)
{
    static const char *const names[] = {"ledger.db", "ledger.db-wal"};
    char from[128], to[128];

    for (size_t i = 0; i < 2; i++) {
        snprintf(from, sizeof from, "%s/%s", writes_kept, names[i]);
        snprintf(to, sizeof to, "%s/%s", first.folder, names[i]);
        int fd = open(from, O_RDONLY);
        if (fd < 0)
            abort();
        writes_copy(fd, to);
        close(fd);
    }
}

/* In the server's thread, while the settler waits for the answer. */
static void answer(int fd)
{
    if (strncmp(server.last, "POST /settle ", 13) != 0) {
        server_send_body(fd, "200 OK", kinds);
        return;
    }
    if (!first.asked) {
        keep_first();
        snprintf(first.body, sizeof first.body, "%s", server_body());
        first.asked = true;
    }
    if (strcmp(server_body(), first.body) != 0)
        abort();
    server_send_body(fd, "200 OK", settled);
}

static void take_note(void *data, const struct x402_note_event *event)
{
    (void)data;
    (void)event;
}

/* A settler's life: passes until all is done, or nothing goes on. */
static void settle(struct x402_ledger *ledger)
{
    static const atomic_bool stop;
    const struct x402_remote_options remote_options = {.url = server.url,
                                                       .timeout_seconds = 60};
    const struct x402_settler_options options = {.remote = &remote_options,
                                                 .note = take_note};
    struct x402_remote *remote = NULL;

    if (!x402_remote_open(&remote, &options, ledger, NULL, "me", &stop))
        return;
    for (int i = 0; i < PASSES_MAX; i++) {
        assert_int_equal(x402_remote_pass(remote), X402_OK);
        if (x402_remote_is_done(remote) ||
            (writes.hits > 0 && !x402_remote_is_busy(remote)))
            break;
    }
    x402_remote_close(remote);
}

/* In the token that the facilitator knows; its id. */
static int64_t sell_for_dollars(struct x402_ledger *ledger)
{
    struct x402_admit admit = presentation(1, 0);
    struct x402_network network;

    assert_int_equal(x402_network_find(&network, X402_SLICE("base-sepolia")), X402_OK);
    memcpy(admit.verified.asset20, network.asset20, 20);
    assert_int_equal(admit_on(ledger, &admit), X402_ADMISSION_NEW);
    assert_true(outcome_on(ledger, &admit, X402_EVENT_DELIVERED));
    return admit.payment_id;
}

static void folder_remove(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL)
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    (void)closedir(folder);
    assert_int_equal(rmdir(path), 0);
}

static void first_check(int64_t id)
{
    struct fixture found = {0};

    if (first.asked) {
        snprintf(found.path, sizeof found.path, "%.80s/ledger.db", first.folder);
        found.ledger = handle_open(&found);
        assert_state(found.ledger, id, X402_DELIVERY_DELIVERED, X402_MONEY_SUBMITTED);
        assert_books(found.ledger);
        x402_ledger_close(found.ledger);
    }
    folder_remove(first.folder);
}

static void begin(struct fixture *fixture)
{
    first.asked = false;
    snprintf(writes_watched, sizeof writes_watched, "%s", fixture->directory);
    snprintf(writes_kept, sizeof writes_kept, "%.50s.kept", fixture->directory);
    snprintf(first.folder, sizeof first.folder, "%.50s.first", fixture->directory);
    assert_int_equal(mkdir(writes_kept, 0700), 0);
    assert_int_equal(mkdir(first.folder, 0700), 0);
    server.answer = answer;
    assert_int_equal(server_start(), 0);
}

static bool one_turn(const void *data, enum writes_way way, int nth, bool lasting)
{
    char kept[sizeof writes_kept];
    void *state = NULL;

    (void)data;
    assert_int_equal(directory_make(&state), 0);
    struct fixture *fixture = state;
    begin(fixture);
    assert_int_equal(
        x402_ledger_create(fixture->path, NOBODY, NOBODY, fixture->message), X402_OK);
    fixture->ledger = handle_open(fixture);
    int64_t id = sell_for_dollars(fixture->ledger);
    writes_arm(way, nth, lasting);
    settle(fixture->ledger);
    bool failed = writes_failed();
    writes.hits = 0;
    reopen(fixture); /* as a settler that was started again */
    clock_forward(fixture,
                  X402_LEASE_SECONDS + 1); /* the first may not have given it up */
    settle(fixture->ledger);
    assert_state(fixture->ledger, id, X402_DELIVERY_DELIVERED, X402_MONEY_SETTLED);
    assert_books(fixture->ledger);
    assert_int_equal(server_stop(), 0);
    assert_true(first.asked);
    snprintf(kept, sizeof kept, "%s", writes_kept);
    writes_kept[0] = '\0';
    first_check(id);
    folder_remove(kept);
    assert_int_equal(fixture_release(&state), 0);
    return failed;
}

static void what_a_facilitator_is_asked_was_stored_before(void **state)
{
    (void)state;
    int turns = writes_in_turn(one_turn, NULL, 11);
    print_message("%d turns\n", turns);
    assert_true(turns > WRITES_WAYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_facilitator_is_asked_was_stored_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
