#include "fixture.h"
#include "ledger/nudge.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

static bool is_nudged(int fd)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};

    return poll(&waiting, 1, 0) == 1;
}

static void path_of(char out[200], const struct fixture *fixture)
{
    snprintf(out, 200, "%s-nudge", fixture->path);
}

static void a_nudge_reaches_who_listens(void **state)
{
    struct fixture *fixture = *state;
    int fd = x402_nudge_listen(fixture->path);

    assert_true(fd >= 0);
    assert_false(is_nudged(fd));
    x402_nudge_send(fixture->path);
    assert_true(is_nudged(fd));
    x402_nudge_close(fd, fixture->path);
}

static void a_drained_socket_waits_for_the_next_nudge(void **state)
{
    struct fixture *fixture = *state;
    int fd = x402_nudge_listen(fixture->path);

    x402_nudge_send(fixture->path);
    x402_nudge_send(fixture->path);
    x402_nudge_drain(fd);
    assert_false(is_nudged(fd));
    x402_nudge_send(fixture->path);
    assert_true(is_nudged(fd));
    x402_nudge_close(fd, fixture->path);
}

static void nobody_need_listen(void **state)
{
    struct fixture *fixture = *state;

    x402_nudge_send(fixture->path);
    x402_nudge_close(-1, fixture->path);
}

/* More than a socket holds: a nudge that finds it full returns all the same. */
static void a_thousand_nudges_block_nobody(void **state)
{
    struct fixture *fixture = *state;
    int fd = x402_nudge_listen(fixture->path);

    for (int i = 0; i < 1000; i++) {
        x402_nudge_send(fixture->path);
    }
    assert_true(is_nudged(fd));
    x402_nudge_close(fd, fixture->path);
}

static void a_second_listener_is_told_so_and_takes_nothing(void **state)
{
    struct fixture *fixture = *state;
    int fd = x402_nudge_listen(fixture->path);

    assert_int_equal(x402_nudge_listen(fixture->path), -1);
    assert_int_equal(errno, EADDRINUSE);
    x402_nudge_send(fixture->path);
    assert_true(is_nudged(fd));
    x402_nudge_close(fd, fixture->path);
}

static void a_socket_left_behind_is_replaced(void **state)
{
    struct fixture *fixture = *state;
    int dead = x402_nudge_listen(fixture->path);
    int fd;

    assert_int_equal(close(dead), 0);
    fd = x402_nudge_listen(fixture->path);
    assert_true(fd >= 0);
    x402_nudge_send(fixture->path);
    assert_true(is_nudged(fd));
    x402_nudge_close(fd, fixture->path);
}

static void closing_removes_the_socket(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    char path[200];

    path_of(path, fixture);
    x402_nudge_close(x402_nudge_listen(fixture->path), fixture->path);
    assert_int_equal(lstat(path, &status), -1);
    assert_int_equal(errno, ENOENT);
}

static void closing_leaves_the_socket_of_a_successor(void **state)
{
    struct fixture *fixture = *state;
    int old = x402_nudge_listen(fixture->path);
    char path[200];
    int fd;

    path_of(path, fixture);
    assert_int_equal(unlink(path), 0);
    fd = x402_nudge_listen(fixture->path);
    x402_nudge_close(old, fixture->path);
    x402_nudge_send(fixture->path);
    assert_true(is_nudged(fd));
    x402_nudge_close(fd, fixture->path);
}

static void what_is_not_a_socket_is_not_replaced(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    char path[200];
    FILE *file;

    path_of(path, fixture);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(x402_nudge_listen(fixture->path), -1);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(lstat(path, &status), 0);
}

static void a_path_too_long_for_a_socket_is_refused(void **state)
{
    char path[300];

    (void)state;
    memset(path, 'a', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(x402_nudge_listen(path), -1);
    assert_int_equal(errno, ENAMETOOLONG);
    x402_nudge_send(path);
}

static void only_the_owner_may_nudge(void **state)
{
    struct fixture *fixture = *state;
    int fd = x402_nudge_listen(fixture->path);
    struct stat status;
    char path[200];

    path_of(path, fixture);
    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISSOCK(status.st_mode));
    assert_int_equal(status.st_mode & 0777, 0600);
    x402_nudge_close(fd, fixture->path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(a_nudge_reaches_who_listens),
        TEST(a_drained_socket_waits_for_the_next_nudge),
        TEST(nobody_need_listen),
        TEST(a_thousand_nudges_block_nobody),
        TEST(a_second_listener_is_told_so_and_takes_nothing),
        TEST(a_socket_left_behind_is_replaced),
        TEST(closing_removes_the_socket),
        TEST(closing_leaves_the_socket_of_a_successor),
        TEST(what_is_not_a_socket_is_not_replaced),
        TEST(a_path_too_long_for_a_socket_is_refused),
        TEST(only_the_owner_may_nudge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
