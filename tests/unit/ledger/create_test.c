#include "fixture.h"

static enum x402_error create(struct fixture *fixture)
{
    return x402_ledger_create(fixture->path, NOBODY, NOBODY, fixture->message);
}

static enum x402_error open_for(struct fixture *fixture, enum x402_ledger_mode mode)
{
    struct x402_ledger *ledger = NULL;
    enum x402_error error =
        x402_ledger_open(&ledger, fixture->path, mode, fixture->message);

    if (error == X402_OK) {
        x402_ledger_close(ledger);
    } else {
        assert_null(ledger);
    }
    return error;
}

static void assert_said(const struct fixture *fixture, const char *sentence)
{
    if (strstr(fixture->message, sentence) == NULL) {
        fail_msg("'%s' is not in '%s'", sentence, fixture->message);
    }
    assert_non_null(strstr(fixture->message, fixture->path));
}

static void file_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void foreign_make(struct fixture *fixture, const char *sql)
{
    tamper(fixture, sql);
    assert_int_equal(chmod(fixture->path, 0600), 0);
}

static struct stat status_of(const struct fixture *fixture, const char *suffix)
{
    char name[200];
    struct stat status;

    snprintf(name, sizeof(name), "%s%s", fixture->path, suffix);
    assert_int_equal(stat(name, &status), 0);
    return status;
}

static const char *const suffixes[] = {"", "-wal", "-shm", "-queue", "-live"};
#define SUFFIXES (sizeof(suffixes) / sizeof(suffixes[0]))

static void a_new_ledger_is_open_to_its_owner_only(void **state)
{
    struct fixture *fixture = *state;
    mode_t mask = umask(0);

    assert_int_equal(create(fixture), X402_OK);
    for (size_t i = 0; i < SUFFIXES; i++) {
        assert_int_equal(status_of(fixture, suffixes[i]).st_mode & 0777, 0600);
    }
    (void)umask(mask);
}

static void a_new_ledger_is_given_to_the_user_named(void **state)
{
    struct fixture *fixture = *state;

    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(x402_ledger_create(fixture->path, 65534, 65534, fixture->message),
                     X402_OK);
    fixture->ledger = handle_open(fixture);
    (void)sell(fixture->ledger, 1);
    assert_int_equal(x402_ledger_create(fixture->path, 65534, 65534, fixture->message),
                     X402_OK);
    for (size_t i = 0; i < SUFFIXES; i++) {
        assert_int_equal(status_of(fixture, suffixes[i]).st_uid, 65534);
        assert_int_equal(status_of(fixture, suffixes[i]).st_gid, 65534);
    }
    (void)sell(fixture->ledger, 2); /* creating took no lock of ours away */
}

static void creating_again_changes_nothing(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(create(fixture), X402_OK);
    fixture->ledger = handle_open(fixture);
    (void)sell(fixture->ledger, 1);
    assert_int_equal(create(fixture), X402_OK);
    assert_string_equal(fixture->message, "");
    (void)sell(fixture->ledger, 2);
    assert_int_equal(totals_of(fixture->ledger).admitted.count, 2);
}

static void an_empty_file_becomes_a_ledger(void **state)
{
    struct fixture *fixture = *state;

    file_write(fixture->path, "");
    assert_int_equal(open_for(fixture, X402_LEDGER_WRITE), X402_ERR_SCHEMA);
    assert_said(fixture, "it is empty and was never set up");
    assert_int_equal(create(fixture), X402_OK);
    assert_int_equal(open_for(fixture, X402_LEDGER_WRITE), X402_OK);
}

static void another_database_is_refused(void **state)
{
    struct fixture *fixture = *state;

    foreign_make(fixture, "CREATE TABLE cats (name TEXT)");
    assert_int_equal(create(fixture), X402_ERR_SCHEMA);
    assert_said(fixture, "the file is not a ledger");
    assert_int_equal(open_for(fixture, X402_LEDGER_WRITE), X402_ERR_SCHEMA);
    assert_said(fixture, "the file is not a ledger");
    tamper(fixture, "INSERT INTO cats VALUES ('Tom')"); /* and still works */
}

static void another_file_is_refused_and_left_alone(void **state)
{
    struct fixture *fixture = *state;
    const char *text = "To whom it may concern: this is a letter, not a database, and "
                       "long enough to be read as the header of one, which takes a "
                       "hundred bytes or so.\n";
    char after[256] = {0};
    FILE *file;

    file_write(fixture->path, text);
    assert_int_equal(create(fixture), X402_ERR_SCHEMA);
    assert_said(fixture, "the file is not a ledger");
    assert_int_equal(open_for(fixture, X402_LEDGER_READ), X402_ERR_SCHEMA);
    file = fopen(fixture->path, "r");
    assert_non_null(file);
    assert_non_null(fgets(after, sizeof(after), file));
    (void)fclose(file);
    assert_string_equal(after, text);
}

static void a_newer_versions_ledger_is_refused(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(create(fixture), X402_OK);
    tamper(fixture, "PRAGMA user_version = 99");
    assert_int_equal(create(fixture), X402_ERR_SCHEMA);
    assert_said(fixture, "it is of version 99, and this program knows version 4");
    assert_int_equal(open_for(fixture, X402_LEDGER_WRITE), X402_ERR_SCHEMA);
    assert_said(fixture, "it is of version 99");
}

static void a_symbolic_link_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char elsewhere[200];

    snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", fixture->directory);
    assert_int_equal(symlink(elsewhere, fixture->path), 0);
    assert_int_equal(create(fixture), X402_ERR_LEDGER);
    assert_said(fixture, "it is a symbolic link");
    assert_int_not_equal(access(elsewhere, F_OK), 0);
    assert_int_equal(open_for(fixture, X402_LEDGER_WRITE), X402_ERR_LEDGER);
    assert_said(fixture, "it is a symbolic link");
}

static void a_lock_file_that_is_a_symbolic_link_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char queue[200];

    snprintf(queue, sizeof(queue), "%s-queue", fixture->path);
    assert_int_equal(symlink("/etc/passwd", queue), 0);
    assert_int_equal(create(fixture), X402_ERR_LEDGER);
    assert_said(fixture, "cannot create ledger");
}

static void a_directory_is_refused(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(mkdir(fixture->path, 0700), 0);
    assert_int_equal(create(fixture), X402_ERR_LEDGER);
    assert_said(fixture, "it is not a file");
    assert_int_equal(rmdir(fixture->path), 0);
}

static void a_missing_directory_is_named(void **state)
{
    struct fixture *fixture = *state;

    snprintf(fixture->path, sizeof(fixture->path), "%s/none/ledger.db",
             fixture->directory);
    assert_int_equal(create(fixture), X402_ERR_LEDGER);
    assert_said(fixture, "no such directory");
}

static void a_ledger_that_is_not_there_is_not_opened(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(open_for(fixture, X402_LEDGER_WRITE), X402_ERR_LEDGER);
    assert_said(fixture, "cannot open ledger");
    assert_said(fixture, "no such file");
    assert_int_equal(open_for(fixture, X402_LEDGER_READ), X402_ERR_LEDGER);
    assert_int_not_equal(access(fixture->path, F_OK), 0);
}

static void a_ledger_may_have_any_name(void **state)
{
    struct fixture *fixture = *state;

    snprintf(fixture->path, sizeof(fixture->path), "%s/a b%%20?mode=ro#%s",
             fixture->directory, "'\"");
    assert_int_equal(create(fixture), X402_OK);
    fixture->ledger = handle_open(fixture);
    (void)sell(fixture->ledger, 1);
}

static void postgres_is_not_there_yet(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(
        x402_ledger_create("postgres://x/y", NOBODY, NOBODY, fixture->message),
        X402_ERR_LEDGER);
    assert_non_null(strstr(fixture->message, "PostgreSQL"));
}

static void processes_that_create_at_once_all_succeed(void **state)
{
    struct fixture *fixture = *state;
    pid_t pids[8];

    for (unsigned i = 0; i < 8; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            struct x402_ledger *ledger;
            struct x402_admit admit = presentation(i, 0);
            if (create(fixture) != X402_OK ||
                x402_ledger_open(&ledger, fixture->path, X402_LEDGER_WRITE,
                                 fixture->message) != X402_OK ||
                x402_ledger_commit(ledger, "child", NULL, 0, &admit, 1, NULL, NULL) !=
                    X402_OK) {
                _exit(1);
            }
            x402_ledger_close(ledger);
            _exit(0);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    fixture->ledger = handle_open(fixture);
    assert_int_equal(totals_of(fixture->ledger).admitted.count, 8);
}

static void a_creation_cut_off_is_finished_by_the_next(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < 60; i++) {
        pid_t pid = fork();
        int status;
        assert_true(pid >= 0);
        if (pid == 0) {
            _exit(create(fixture) == X402_OK ? 0 : 1);
        }
        usleep(i * 250);
        (void)kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status) || status == 0);
        assert_int_equal(create(fixture), X402_OK);
        assert_int_equal(open_for(fixture, X402_LEDGER_WRITE), X402_OK);
        for (size_t j = 0; j < SUFFIXES; j++) {
            char name[200];
            snprintf(name, sizeof(name), "%s%s", fixture->path, suffixes[j]);
            assert_int_equal(unlink(name), 0);
        }
    }
}

int main(void)
{
#define TEST(name)                                                                     \
    cmocka_unit_test_setup_teardown(name, directory_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(a_new_ledger_is_open_to_its_owner_only),
        TEST(a_new_ledger_is_given_to_the_user_named),
        TEST(creating_again_changes_nothing),
        TEST(an_empty_file_becomes_a_ledger),
        TEST(another_database_is_refused),
        TEST(another_file_is_refused_and_left_alone),
        TEST(a_newer_versions_ledger_is_refused),
        TEST(a_symbolic_link_is_refused),
        TEST(a_lock_file_that_is_a_symbolic_link_is_refused),
        TEST(a_directory_is_refused),
        TEST(a_missing_directory_is_named),
        TEST(a_ledger_that_is_not_there_is_not_opened),
        TEST(a_ledger_may_have_any_name),
        TEST(postgres_is_not_there_yet),
        TEST(processes_that_create_at_once_all_succeed),
        TEST(a_creation_cut_off_is_finished_by_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
