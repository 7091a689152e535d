/* Two workers, processes as nginx's are, of one ledger. */
#include "scene.h"

#define WORKERS 2
#define PAYMENTS 150
#define COPIES 2 /* of every payment, at each worker */
#define CALLERS (PAYMENTS * COPIES)

static struct caller callers[CALLERS];

/* What a worker tells the test of each call that it served. */
struct served {
    unsigned number;
    int64_t payment_id;
    enum caller_told told;
};

/* In another order at each. */
static void shuffle(unsigned numbers[CALLERS], unsigned seed)
{
    srand(seed);
    for (unsigned i = 0; i < CALLERS; i++)
        numbers[i] = i / COPIES;
    for (unsigned i = CALLERS - 1; i > 0; i--) {
        unsigned j = (unsigned)rand() % (i + 1), number = numbers[i];
        numbers[i] = numbers[j];
        numbers[j] = number;
    }
}

static void sell_to_all(unsigned seed)
{
    unsigned numbers[CALLERS];

    shuffle(numbers, seed);
    for (unsigned i = 0; i < CALLERS; i++) {
        caller_pays(&callers[i], numbers[i]);
        if (rand() % 8 == 0)
            loop_turn();
    }
    run_until_told(callers, CALLERS);
    loop_run_dry();
}

/* Asserts of cmocka's would go on with the next test, in this process. */
static void work(unsigned seed, int out)
{
    worker.serve = deliver;
    worker_start();
    sell_to_all(seed);
    worker_stop();
    for (unsigned i = 0; i < CALLERS; i++) {
        struct served served = {callers[i].number, callers[i].payment_id,
                                callers[i].told};
        if (callers[i].verdicts != 1 || callers[i].ctx != NULL ||
            (served.told != TOLD_NOTHING &&
             write(out, &served, sizeof served) != sizeof served))
            _exit(1);
    }
    exit(0); /* sanitizers may have something to say */
}

static pid_t worker_fork(unsigned seed, int out)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        work(seed, out);
    return pid;
}

static void a_payment_presented_at_two_workers_is_served_once(void **state)
{
    struct fixture *fixture = *state;
    unsigned served_count[PAYMENTS] = {0};
    struct x402_payment_row row;
    struct served served;
    pid_t pids[WORKERS];
    int pipes[2], status;

    x402_ledger_close(fixture->ledger); /* a handle crosses no fork */
    fixture->ledger = NULL;
    assert_int_equal(pipe(pipes), 0);
    for (unsigned i = 0; i < WORKERS; i++)
        pids[i] = worker_fork(i + 1, pipes[1]);
    assert_int_equal(close(pipes[1]), 0);
    reopen(fixture);
    while (read(pipes[0], &served, sizeof served) == sizeof served) {
        assert_in_range(served.number, 0, PAYMENTS - 1);
        served_count[served.number]++;
        assert_int_equal(x402_ledger_payment(fixture->ledger, &row, served.payment_id),
                         X402_OK);
        assert_int_equal(row.settlement.state.delivery, X402_DELIVERY_DELIVERED);
    }
    assert_int_equal(close(pipes[0]), 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    for (unsigned i = 0; i < PAYMENTS; i++)
        assert_int_equal(served_count[i], 1);
    assert_int_equal(totals_of(fixture->ledger).admitted.count, PAYMENTS);
    assert_books(fixture->ledger);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_payment_presented_at_two_workers_is_served_once, scene_make,
            scene_release),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
