#include "fixture.h"

/* Whether a child did what it was to do: its assertions end it otherwise. */
static void in_child(struct fixture *fixture, void (*body)(struct fixture *fixture))
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        body(fixture);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* In a child, where cmocka's assertions do not reach the parent. */
#define CHECK(condition)                                                               \
    do {                                                                               \
        if (!(condition)) {                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
            _exit(1);                                                                  \
        }                                                                              \
    } while (0)

static struct x402_ledger *child_open(struct fixture *fixture)
{
    struct x402_ledger *ledger;

    CHECK(x402_ledger_open(&ledger, fixture->path, X402_LEDGER_WRITE,
                           fixture->message) == X402_OK);
    return ledger;
}

static enum x402_error try_sell(struct x402_ledger *ledger, unsigned number,
                                enum x402_admission *admission)
{
    static unsigned attempt;
    struct x402_admit admit = presentation(number, ++attempt);
    enum x402_error error =
        x402_ledger_commit(ledger, "test", NULL, 0, &admit, 1, NULL, NULL);

    *admission = admit.admission;
    return error;
}

static void says(struct fixture *fixture, struct x402_ledger *ledger,
                 const char *reason)
{
    char expected[X402_LEDGER_MESSAGE_MAX];

    snprintf(expected, sizeof(expected), "cannot write ledger '%s': %s", fixture->path,
             reason);
    if (strcmp(x402_ledger_message(ledger), expected) != 0) {
        fprintf(stderr, "it said: %s\n", x402_ledger_message(ledger));
        _exit(1);
    }
}

/* Every file's bound is what the log has already. */
static void full_disk_child(struct fixture *fixture)
{
    struct x402_ledger *ledger = child_open(fixture);
    struct rlimit before;
    struct rlimit full;
    enum x402_admission admission;
    enum x402_error error = X402_OK;
    unsigned number = 0;

    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    full = before;
    full.rlim_cur = 200000;
    CHECK(setrlimit(RLIMIT_FSIZE, &full) == 0);
    while (error == X402_OK && number < 1000) {
        error = try_sell(ledger, number++, &admission);
    }
    CHECK(error == X402_ERR_LEDGER);
    CHECK(admission == X402_ADMISSION_UNAVAILABLE);
    says(fixture, ledger, "the file has reached its size limit");
    CHECK(try_sell(ledger, number, &admission) == X402_ERR_LEDGER);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(try_sell(ledger, number - 1, &admission) == X402_OK);
    CHECK(admission == X402_ADMISSION_NEW);
    CHECK(x402_ledger_books(ledger, fixture->message) == X402_OK);
}

static void a_full_disk_is_said_and_survived(void **state)
{
    in_child(*state, full_disk_child);
    assert_books(((struct fixture *)*state)->ledger);
}

static void become_nobody(void)
{
    CHECK(geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0));
}

static void read_only_child(struct fixture *fixture)
{
    struct x402_ledger *ledger;
    char expected[X402_LEDGER_MESSAGE_MAX];

    become_nobody();
    snprintf(expected, sizeof(expected), "cannot open ledger '%s': it is read-only",
             fixture->path);
    CHECK(x402_ledger_open(&ledger, fixture->path, X402_LEDGER_WRITE,
                           fixture->message) != X402_OK);
    if (strcmp(fixture->message, expected) != 0) {
        fprintf(stderr, "it said: %s\n", fixture->message);
        _exit(1);
    }
    CHECK(x402_ledger_open(&ledger, fixture->path, X402_LEDGER_READ,
                           fixture->message) == X402_OK);
    CHECK(x402_ledger_books(ledger, fixture->message) == X402_OK);
}

static void a_read_only_file_is_read_and_not_written(void **state)
{
    static const char *const suffixes[] = {"-wal", "-shm", "-queue", "-live"};
    struct fixture *fixture = *state;

    (void)sell(fixture->ledger, 1);
    x402_ledger_close(fixture->ledger); /* or the child inherits its descriptors */
    fixture->ledger = NULL;
    assert_int_equal(chmod(fixture->path, 0444), 0);
    assert_int_equal(chmod(fixture->directory, 0777), 0);
    for (size_t i = 0; i < 4; i++) {
        char name[200];
        snprintf(name, sizeof(name), "%s%s", fixture->path, suffixes[i]);
        assert_int_equal(chmod(name, 0666), 0);
    }
    in_child(fixture, read_only_child);
}

static void no_permission_child(struct fixture *fixture)
{
    struct x402_ledger *ledger;

    become_nobody();
    CHECK(x402_ledger_open(&ledger, fixture->path, X402_LEDGER_WRITE,
                           fixture->message) == X402_ERR_LEDGER);
    CHECK(strstr(fixture->message, "permission denied") != NULL);
}

static void a_ledger_of_somebody_else_is_refused(void **state)
{
    struct fixture *fixture = *state;

    if (geteuid() != 0) {
        skip();
    }
    assert_int_equal(chmod(fixture->directory, 0755), 0);
    in_child(fixture, no_permission_child);
}

static void a_deleted_ledger_is_said_and_its_successor_used(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *other = another_handle(fixture);
    enum x402_admission admission;

    (void)sell(fixture->ledger, 1);
    (void)sell(other, 2);
    assert_int_equal(unlink(fixture->path), 0);
    assert_int_equal(try_sell(fixture->ledger, 3, &admission), X402_ERR_LEDGER);
    assert_int_equal(admission, X402_ADMISSION_UNAVAILABLE);
    assert_non_null(strstr(x402_ledger_message(fixture->ledger), "no such file"));
    assert_int_equal(
        x402_ledger_create(fixture->path, NOBODY, NOBODY, fixture->message), X402_OK);
    /* Both handles find the new one, and neither damages it on leaving the old. */
    assert_int_equal(try_sell(fixture->ledger, 3, &admission), X402_OK);
    assert_int_equal(try_sell(other, 4, &admission), X402_OK);
    assert_int_equal(try_sell(other, 3, &admission), X402_OK);
    assert_int_equal(admission, X402_ADMISSION_IN_PROGRESS);
    assert_int_equal(totals_of(fixture->ledger).admitted.count, 2);
    assert_books(other);
}

static void a_ledger_moved_away_and_back_is_used_again(void **state)
{
    struct fixture *fixture = *state;
    enum x402_admission admission;
    char away[200];

    (void)sell(fixture->ledger, 1);
    snprintf(away, sizeof(away), "%s-away", fixture->path);
    assert_int_equal(rename(fixture->path, away), 0);
    assert_int_equal(try_sell(fixture->ledger, 2, &admission), X402_ERR_LEDGER);
    assert_int_equal(rename(away, fixture->path), 0);
    assert_int_equal(try_sell(fixture->ledger, 1, &admission), X402_OK);
    assert_int_equal(admission, X402_ADMISSION_REPEATED);
    assert_books(fixture->ledger);
}

static void file_exchange(const char *path, off_t offset, uint8_t *bytes, size_t size)
{
    uint8_t *before = malloc(size);
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_non_null(before);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, before, size, offset), size);
    assert_int_equal(pwrite(fd, bytes, size, offset), size);
    assert_int_equal(close(fd), 0);
    memcpy(bytes, before, size);
    free(before);
}

static void damage_child(struct fixture *fixture)
{
    struct x402_ledger *ledger = child_open(fixture);
    static uint8_t noise[100 * 4096];
    enum x402_admission admission;
    enum x402_error error;

    memset(noise, 0x5a, sizeof(noise));
    file_exchange(fixture->path, 4096, noise, sizeof(noise));
    error = try_sell(ledger, 5, &admission);
    CHECK(error == X402_ERR_LEDGER);
    CHECK(admission == X402_ADMISSION_UNAVAILABLE);
    CHECK(strstr(x402_ledger_message(ledger), "the file is damaged") != NULL);
    CHECK(x402_ledger_books(ledger, fixture->message) == X402_ERR_LEDGER);
    CHECK(strstr(fixture->message, "the file is damaged") != NULL);
    file_exchange(fixture->path, 4096, noise, sizeof(noise));
    CHECK(try_sell(ledger, 5, &admission) == X402_OK);
    CHECK(admission == X402_ADMISSION_IN_PROGRESS);
    CHECK(x402_ledger_books(ledger, fixture->message) == X402_OK);
}

static void damage_is_said_and_its_repair_noticed(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < 2000; i += 500) {
        static struct x402_admit admits[500];
        for (unsigned j = 0; j < 500; j++) {
            admits[j] = presentation(i + j, 0);
        }
        assert_int_equal(x402_ledger_commit(fixture->ledger, "test", NULL, 0, admits,
                                            500, NULL, NULL),
                         X402_OK);
    }
    x402_ledger_close(fixture->ledger);
    fixture->ledger = NULL;
    tamper(fixture, "PRAGMA wal_checkpoint(TRUNCATE)");
    in_child(fixture, damage_child);
    fixture->ledger = handle_open(fixture);
}

/* A process that holds the queue's lock, and one that holds SQLite's. */
static void stuck_writer(struct fixture *fixture, bool queue, int ready_fd)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    char name[200];
    sqlite3 *db = NULL;

    snprintf(name, sizeof(name), "%s-queue", fixture->path);
    if (queue) {
        CHECK(fcntl(open(name, O_RDWR), F_OFD_SETLK, &range) == 0);
    } else {
        CHECK(sqlite3_open(fixture->path, &db) == SQLITE_OK);
        CHECK(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK);
    }
    CHECK(write(ready_fd, "x", 1) == 1);
    for (;;) {
        pause();
    }
}

static void a_stuck_writer_hangs_nobody(void **state)
{
    struct fixture *fixture = *state;
    char expected[X402_LEDGER_MESSAGE_MAX];

    snprintf(expected, sizeof(expected),
             "cannot write ledger '%s': it is locked by another process",
             fixture->path);
    x402_sqlite_wait_milliseconds = X402_SQLITE_WAIT_MILLISECONDS;
    reopen(fixture);
    for (int i = 0; i < 2; i++) {
        enum x402_admission admission;
        int64_t begin;
        int pipes[2];
        char ready;
        pid_t pid;

        assert_int_equal(pipe(pipes), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            stuck_writer(fixture, i == 0, pipes[1]);
        }
        assert_int_equal(read(pipes[0], &ready, 1), 1);
        begin = x402_clock_milliseconds();
        assert_int_equal(try_sell(fixture->ledger, 1, &admission), X402_ERR_LEDGER);
        assert_in_range(x402_clock_milliseconds() - begin, 4000, 15000);
        assert_string_equal(x402_ledger_message(fixture->ledger), expected);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(close(pipes[0]) + close(pipes[1]), 0);
    }
    (void)sell(fixture->ledger, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(a_full_disk_is_said_and_survived),
        TEST(a_read_only_file_is_read_and_not_written),
        TEST(a_ledger_of_somebody_else_is_refused),
        TEST(a_deleted_ledger_is_said_and_its_successor_used),
        TEST(a_ledger_moved_away_and_back_is_used_again),
        TEST(damage_is_said_and_its_repair_noticed),
        TEST(a_stuck_writer_hangs_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
