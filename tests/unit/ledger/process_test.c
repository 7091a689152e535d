/* Several processes, and processes that are killed. */
#include "fixture.h"

#include <pthread.h>

#define WORKERS 5
#define COPIES 10 /* of every payment, by each worker: 50 in all */
#define PAYMENTS 40

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

static pid_t child_start(struct fixture *fixture, int worker, int out,
                         void (*body)(struct fixture *fixture, int worker, int out))
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        body(fixture, worker, out);
        _exit(0);
    }
    return pid;
}

/* Presents its copies of every payment, in batches; tells which were NEW. */
static void race(struct fixture *fixture, int worker, int out)
{
    struct x402_ledger *ledger = child_open(fixture);

    for (unsigned i = 0; i < PAYMENTS; i++) {
        struct x402_admit admits[COPIES];
        for (unsigned j = 0; j < COPIES; j++) {
            admits[j] = presentation(i, (unsigned)worker * COPIES + j);
        }
        CHECK(x402_ledger_commit(ledger, "racer", NULL, 0, admits, COPIES, NULL,
                                 NULL) == X402_OK);
        for (unsigned j = 0; j < COPIES; j++) {
            CHECK(admits[j].admission == X402_ADMISSION_NEW ||
                  admits[j].admission == X402_ADMISSION_IN_PROGRESS);
            if (admits[j].admission == X402_ADMISSION_NEW) {
                CHECK(write(out, &i, sizeof(i)) == sizeof(i));
            }
        }
    }
}

static void of_fifty_copies_over_five_processes_one_is_new(void **state)
{
    struct fixture *fixture = *state;
    unsigned news[PAYMENTS] = {0};
    pid_t pids[WORKERS];
    unsigned number;
    int pipes[2];

    assert_int_equal(pipe(pipes), 0);
    for (int i = 0; i < WORKERS; i++) {
        pids[i] = child_start(fixture, i, pipes[1], race);
    }
    assert_int_equal(close(pipes[1]), 0);
    while (read(pipes[0], &number, sizeof(number)) == sizeof(number)) {
        assert_true(number < PAYMENTS);
        news[number]++;
    }
    for (int i = 0; i < WORKERS; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < PAYMENTS; i++) {
        assert_int_equal(news[i], 1);
    }
    assert_int_equal(close(pipes[0]), 0);
    assert_int_equal(totals_of(fixture->ledger).admitted.count, PAYMENTS);
    assert_books(fixture->ledger);
}

struct racer {
    struct fixture *fixture;
    struct x402_ledger *ledger;
    unsigned worker;
    unsigned new_count;
};

static void *race_thread(void *data)
{
    struct racer *racer = data;

    for (unsigned i = 0; i < PAYMENTS; i++) {
        struct x402_admit admit = presentation(i, racer->worker);
        CHECK(x402_ledger_commit(racer->ledger, "thread", NULL, 0, &admit, 1, NULL,
                                 NULL) == X402_OK);
        racer->new_count += admit.admission == X402_ADMISSION_NEW;
    }
    return NULL;
}

static void handles_of_one_process_race_as_well(void **state)
{
    struct fixture *fixture = *state;
    struct racer racers[WORKERS];
    pthread_t threads[WORKERS];
    unsigned new_count = 0;

    for (unsigned i = 0; i < WORKERS; i++) {
        racers[i] = (struct racer){fixture, another_handle(fixture), i, 0};
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, race_thread, &racers[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        new_count += racers[i].new_count;
    }
    assert_int_equal(new_count, PAYMENTS);
    assert_books(fixture->ledger);
}

/* What a worker was told was committed. */
struct promise {
    struct x402_admit admit;
    bool delivered;
};

/* Admits, delivers, admits…, and passes on each promise the ledger makes. */
static void sell_until_killed(struct fixture *fixture, int round, int out)
{
    enum { BATCH = 16 };
    struct x402_ledger *ledger = child_open(fixture);
    struct x402_outcome outcomes[BATCH];
    struct x402_admit before[BATCH];
    size_t count = 0;

    for (unsigned i = 0;; i += BATCH) {
        struct x402_admit admits[BATCH];
        for (unsigned j = 0; j < BATCH; j++) {
            admits[j] = presentation((unsigned)round * 1000000 + i + j, 0);
        }
        CHECK(x402_ledger_commit(ledger, "seller", outcomes, count, admits, BATCH, NULL,
                                 NULL) == X402_OK);
        for (size_t j = 0; j < BATCH; j++) {
            struct promise made = {admits[j], false};
            struct promise kept = {before[j], true};
            CHECK(admits[j].admission == X402_ADMISSION_NEW);
            CHECK(write(out, &made, sizeof(made)) == sizeof(made));
            CHECK(count == 0 || outcomes[j].applied);
            CHECK(count == 0 || write(out, &kept, sizeof(kept)) == sizeof(kept));
        }
        for (count = 0; count < BATCH; count++) {
            before[count] = admits[count];
            outcomes[count] = (struct x402_outcome){
                admits[count].payment_id, {0}, X402_EVENT_DELIVERED, false};
            memcpy(outcomes[count].attempt16, admits[count].attempt16, 16);
        }
    }
}

static void promise_check(struct x402_ledger *ledger, struct promise *promise)
{
    struct x402_admit again = promise->admit;

    memset(again.attempt16, 0xff, 16);
    (void)admit_on(ledger, &again);
    if (promise->delivered) {
        assert_int_equal(again.admission, X402_ADMISSION_REPEATED);
    } else {
        /* Of the last batch nobody heard: it may have been delivered. */
        assert_true(again.admission == X402_ADMISSION_REPEATED ||
                    again.admission == X402_ADMISSION_ABANDONED);
    }
}

static void what_was_promised_outlives_a_kill(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *witness = another_handle(fixture);
    size_t promises_count = 0;

    for (int round = 0; round < 25; round++) {
        static struct promise promises[100000];
        size_t count = 0;
        int pipes[2];
        pid_t pid;

        assert_int_equal(pipe(pipes), 0);
        pid = child_start(fixture, round, pipes[1], sell_until_killed);
        assert_int_equal(close(pipes[1]), 0);
        assert_int_equal(read(pipes[0], &promises[0], sizeof(struct promise)),
                         sizeof(struct promise));
        usleep((useconds_t)(rand() % 20000));
        while (count < 200 && read(pipes[0], &promises[count],
                                   sizeof(struct promise)) == sizeof(struct promise)) {
            count++;
        }
        assert_int_equal(kill(pid, SIGKILL), 0);
        while (count < 100000 &&
               read(pipes[0], &promises[count], sizeof(struct promise)) ==
                   sizeof(struct promise)) {
            count++;
        }
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(close(pipes[0]), 0);
        clock_forward(fixture, (round + 1) * X402_LEASE_SECONDS * 2);
        for (size_t i = 0; i < count; i += 1 + count / 200) {
            promise_check(witness, &promises[i]);
        }
        promises_count += count;
        assert_books(witness);
    }
    assert_int_equal(x402_ledger_lease_renew(witness, "witness"), X402_OK);
    assert_int_equal(totals_of(witness).deliveries[X402_DELIVERY_PENDING].count, 0);
    assert_true(promises_count > 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(of_fifty_copies_over_five_processes_one_is_new),
        TEST(handles_of_one_process_race_as_well),
        TEST(what_was_promised_outlives_a_kill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
