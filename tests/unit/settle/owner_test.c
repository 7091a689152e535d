/* Whether a settler that held a key is gone, told by real processes. */
#include "unit/core/support.h"

#include "settle/owner.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A process that only waits, and its name. */
static pid_t start_other(char name[X402_OWNER_SIZE])
{
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        x402_owner_name(name);
        if (write(ends[1], name, X402_OWNER_SIZE) == X402_OWNER_SIZE)
            pause();
        _exit(1);
    }
    assert_true(pid > 0);
    assert_int_equal(read(ends[0], name, X402_OWNER_SIZE), X402_OWNER_SIZE);
    close(ends[0]);
    close(ends[1]);
    return pid;
}

/* A name with one character of its details changed, after `mark`. */
static void change_after(char name[X402_OWNER_SIZE], char mark)
{
    char *at = strrchr(name, mark);

    assert_non_null(at);
    at[1] = at[1] == '9' ? '8' : '9';
}

static void a_process_that_lives_is_not_dead(void **state)
{
    char name[X402_OWNER_SIZE];
    pid_t pid = start_other(name);

    (void)state;
    assert_false(x402_owner_is_dead(name));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void a_process_that_was_killed_is_dead(void **state)
{
    char name[X402_OWNER_SIZE];
    pid_t pid = start_other(name);
    siginfo_t info;

    (void)state;
    kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_true(x402_owner_is_dead(name)); /* its parent has not looked yet */
    waitpid(pid, NULL, 0);
    assert_true(x402_owner_is_dead(name));
}

static void a_pid_that_another_process_has_by_now_is_dead(void **state)
{
    char name[X402_OWNER_SIZE];

    (void)state;
    x402_owner_name(name);
    assert_false(x402_owner_is_dead(name));
    change_after(name, '/'); /* it was started at another time */
    assert_true(x402_owner_is_dead(name));
}

/* A killed process, seen from where its pid says nothing. */
static void assert_unknown_after(char mark)
{
    char name[X402_OWNER_SIZE];
    pid_t pid = start_other(name);

    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_true(x402_owner_is_dead(name));
    if (mark == '/')
        *strrchr(name, '/') = ':';
    change_after(name, mark);
    if (mark == '/')
        *strrchr(name, ':') = '/';
    assert_false(x402_owner_is_dead(name));
}

static void a_process_of_another_boot_is_not_known_to_be_dead(void **state)
{
    (void)state;
    assert_unknown_after('(');
}

static void a_process_of_another_namespace_is_not_known_to_be_dead(void **state)
{
    (void)state;
    assert_unknown_after('/');
}

static void a_name_that_is_not_understood_is_not_known_to_be_dead(void **state)
{
    static const char *const names[] = {
        "",
        "settler 999999999 on host",
        "settler 999999999 on host ()",
        "settler 999999999 on host (x/y/z)",
        "settler -1 on host (00000000000000000000000000000000/1/1)",
        "settler 0 on host (00000000000000000000000000000000/1/1)",
        "worker 999999999 on host (00000000000000000000000000000000/1/1)",
        "(",
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_false(x402_owner_is_dead(names[i]));
}

static void people_are_shown_pid_and_host(void **state)
{
    char name[X402_OWNER_SIZE], shown[X402_OWNER_SIZE], host[41] = "", wanted[80];

    (void)state;
    (void)gethostname(host, sizeof host - 1);
    snprintf(wanted, sizeof wanted, "settler %ld on %s", (long)getpid(), host);
    x402_owner_name(name);
    x402_owner_shown(shown, name);
    assert_string_equal(shown, wanted);
    x402_owner_shown(shown, "somebody");
    assert_string_equal(shown, "somebody");
    x402_owner_shown(shown, "(");
    assert_string_equal(shown, "(");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_lives_is_not_dead),
        cmocka_unit_test(a_process_that_was_killed_is_dead),
        cmocka_unit_test(a_pid_that_another_process_has_by_now_is_dead),
        cmocka_unit_test(a_process_of_another_boot_is_not_known_to_be_dead),
        cmocka_unit_test(a_process_of_another_namespace_is_not_known_to_be_dead),
        cmocka_unit_test(a_name_that_is_not_understood_is_not_known_to_be_dead),
        cmocka_unit_test(people_are_shown_pid_and_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
