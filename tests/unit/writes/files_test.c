/*
 * Every call that writes fails in its turn under who makes files: keys, tokens, the
 * settler's socket. A file that was made is whole and durable; one that was not is not
 * there, or holds nothing that anybody takes for one.
 */
#include "unit/core/support.h"

#include "cli/serve.h"
#include "core/secret.h"
#include "evm/signature.h"
#include "ledger/nudge.h"
#include "settle/key.h"
#include "unit/writes/writes.h"

#include <poll.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/x402-writes-XXXXXX");
    return mkdtemp(folder) != NULL ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* The synced copy, beside the file: only what is in it survives a power cut. */
static void watch(char kept[128], const char *name)
{
    snprintf(writes_watched, sizeof writes_watched, "%s", folder);
    snprintf(writes_kept, sizeof writes_kept, "%.50s.kept", folder);
    snprintf(kept, 128, "%.50s.kept/%s", folder, name);
    assert_int_equal(mkdir(writes_kept, 0700), 0);
}

static void unwatch(const char *kept)
{
    char path[sizeof writes_kept];

    snprintf(path, sizeof path, "%s", writes_kept);
    writes_kept[0] = '\0';
    (void)unlink(kept);
    assert_int_equal(rmdir(path), 0);
}

/* ----------------------------------------------------------------------------- keys */

static bool one_key(const void *data, enum writes_way way, int nth, bool lasting)
{
    char message[X402_KEY_MESSAGE_MAX] = "", path[80], kept[128];
    uint8_t address20[20], key32[32], found20[20];

    (void)data;
    snprintf(path, sizeof path, "%s/key", folder);
    watch(kept, "key");
    writes_arm(way, nth, lasting);
    bool made = x402_key_create(address20, path, message) == X402_OK;
    bool failed = writes_failed();
    assert_true(made || (failed && strstr(message, "cannot write key file") != NULL));
    for (int i = 0; i < 2; i++) {
        bool loads = x402_key_load(key32, i == 0 ? path : kept, message) == X402_OK;
        if (made)
            assert_true(loads && x402_key_address(found20, key32) == X402_OK &&
                        memcmp(address20, found20, 20) == 0);
        else if (!lasting && i == 0)
            assert_int_not_equal(access(path, F_OK), 0);
    }
    unwatch(kept);
    (void)unlink(path);
    return failed;
}

static void a_key_that_was_made_is_there_after_a_power_cut(void **state)
{
    (void)state;
    assert_true(writes_in_turn(one_key, NULL, 1) > WRITES_WAYS);
}

/* --------------------------------------------------------------------------- tokens */

static bool one_token(const void *data, enum writes_way way, int nth, bool lasting)
{
    char message[X402_SECRET_MESSAGE_MAX] = "", kept[128], text[64];
    struct x402_serve_place place = {.token = ""};

    (void)data;
    snprintf(place.token, sizeof place.token, "%s/token", folder);
    watch(kept, "token");
    writes_arm(way, nth, lasting);
    bool made = x402_serve_token_make(&place);
    bool failed = writes_failed();
    assert_true(made || failed);
    if (made) {
        assert_int_equal(x402_secret_read(text, sizeof text, "token", kept, message),
                         X402_OK);
        assert_int_equal(strlen(text), 49);
    } else if (!lasting) {
        assert_int_not_equal(access(place.token, F_OK), 0);
    }
    unwatch(kept);
    (void)unlink(place.token);
    return failed;
}

static void a_token_that_was_made_is_whole(void **state)
{
    (void)state;
    assert_true(writes_in_turn(one_token, NULL, 1) > WRITES_WAYS);
}

static void a_token_of_which_half_was_written_is_written_on(void **state)
{
    struct x402_serve_place place = {.token = ""};
    struct stat status;

    (void)state;
    snprintf(place.token, sizeof place.token, "%s/token", folder);
    writes_arm(WRITES_SHORT, 2, false); /* the first makes the file */
    assert_true(x402_serve_token_make(&place));
    assert_true(writes_failed());
    assert_int_equal(stat(place.token, &status), 0);
    assert_int_equal(status.st_size, 49);
    assert_int_equal(unlink(place.token), 0);
}

/* --------------------------------------------------------------------------- nudges */

/* Who cannot nudge says nothing, and waits for nothing: the settler looks by itself. */
static bool one_nudge(const void *data, enum writes_way way, int nth, bool lasting)
{
    char path[80];

    (void)data;
    snprintf(path, sizeof path, "%s/ledger.db", folder);
    int left_behind = x402_nudge_listen(path);
    assert_true(left_behind >= 0);
    close(left_behind); /* as a settler that was killed */
    writes_arm(way, nth, lasting);
    int fd = x402_nudge_listen(path);
    x402_nudge_send(path);
    bool failed = writes_failed();
    assert_true(fd >= 0 || failed);
    if (fd < 0)
        fd = x402_nudge_listen(path);
    x402_nudge_send(path);
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&waiting, 1, 5000), 1);
    x402_nudge_drain(fd);
    x402_nudge_close(fd, path);
    return failed;
}

static void a_settler_listens_or_says_so(void **state)
{
    (void)state;
    assert_true(writes_in_turn(one_nudge, NULL, 1) > WRITES_WAYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_was_made_is_there_after_a_power_cut),
        cmocka_unit_test(a_token_that_was_made_is_whole),
        cmocka_unit_test(a_token_of_which_half_was_written_is_written_on),
        cmocka_unit_test(a_settler_listens_or_says_so),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
