/* Requests that wait until their payment is settled, beside a settler of another
 * thread. */
#include "scene.h"

#include "unit/ledger/outbox.h"

#include "ledger/nudge.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define CALLERS 120
#define COPIES 2     /* of every payment */
#define DAY 86400000 /* milliseconds: nobody's time is over */

static struct caller callers[CALLERS];

/* A settler with neither chain nor passes: what is due is settled, or fails. */
static struct {
    char path[128];
    int fd; /* where it is nudged */
    pthread_t thread;
    atomic_bool stop;
    enum x402_event event; /* what becomes of payments */
    bool nudged;
    bool failed; /* the ledger did not do what it must */
} settler;

static bool settle_one(struct x402_ledger *ledger, int64_t id, uint64_t nonce)
{
    struct x402_outbox outbox = transaction(nonce, 0);

    if (x402_ledger_signer_acquire(ledger, CHAIN, signer20, "settler") != X402_OK ||
        x402_ledger_submit(ledger, &outbox, &id, 1) != X402_OK)
        return false;
    return advance(ledger, id, settler.event, outbox.transaction_id) == X402_OK;
}

static bool settle_due(struct x402_ledger *ledger, uint64_t *nonce)
{
    struct x402_settlement due[8];
    size_t count = 0;

    if (x402_ledger_due(ledger, CHAIN, due, 8, &count) != X402_OK)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!settle_one(ledger, due[i].payment_id, (*nonce)++))
            return false;
    }
    return true;
}

/* Waits to be nudged. */
static void be_nudged(int milliseconds)
{
    struct pollfd nudge = {.fd = settler.fd, .events = POLLIN};

    if (poll(&nudge, 1, milliseconds) > 0) {
        x402_nudge_drain(settler.fd);
        settler.nudged = true;
    }
}

static void *settle(void *data)
{
    char message[X402_LEDGER_MESSAGE_MAX];
    struct x402_ledger *ledger = NULL;
    uint64_t nonce = 0;

    settler.failed =
        x402_ledger_open(&ledger, settler.path, X402_LEDGER_WRITE, message) != X402_OK;
    while (!settler.failed && !atomic_load(&settler.stop)) {
        be_nudged(20);
        settler.failed = !settle_due(ledger, &nonce);
    }
    be_nudged(0);
    x402_ledger_close(ledger);
    x402_nudge_close(settler.fd, settler.path);
    return data;
}

/* From here on no nudge is lost. */
static void settler_start(struct fixture *fixture, enum x402_event event)
{
    snprintf(settler.path, sizeof settler.path, "%s", fixture->path);
    atomic_store(&settler.stop, false);
    settler.event = event;
    settler.nudged = false;
    settler.fd = x402_nudge_listen(settler.path);
    assert_true(settler.fd >= 0);
    assert_int_equal(pthread_create(&settler.thread, NULL, settle, NULL), 0);
}

static void settler_stop(void)
{
    atomic_store(&settler.stop, true);
    assert_int_equal(pthread_join(settler.thread, NULL), 0);
    assert_false(settler.failed);
}

static int settling_make(void **state)
{
    if (scene_make(state) != 0)
        return -1;
    worker.sale.credits[0].settle_first = true;
    worker.sale.settle_timeout = DAY;
    worker.serve = deliver;
    worker_start();
    return 0;
}

static void everybody_pays(void)
{
    for (unsigned i = 0; i < CALLERS; i++)
        caller_pays(&callers[i], i / COPIES);
}

static unsigned served_count(unsigned number)
{
    unsigned served = 0;

    for (unsigned i = 0; i < CALLERS; i++)
        served += callers[i].number == number && callers[i].told == TOLD_DELIVERED;
    return served;
}

static void of_those_that_wait_for_one_payment_one_is_served(void **state)
{
    settler_start(*state, X402_EVENT_SETTLED);
    everybody_pays();
    run_until_told(callers, CALLERS);
    loop_run_dry();
    settler_stop();
    assert_true(settler.nudged);
    for (unsigned i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].verdicts, 1);
        assert_int_equal(callers[i].settled, callers[i].told == TOLD_DELIVERED);
        assert_int_equal(served_count(callers[i].number), 1);
    }
    assert_money(*state, callers, CALLERS, true);
}

static void who_is_presented_again_is_not_verified_again(void **state)
{
    settler_start(*state, X402_EVENT_SETTLED);
    everybody_pays();
    run_until_told(callers, CALLERS);
    loop_run_dry();
    settler_stop();
    worker_stop();
    assert_int_equal(measured_count(*state, X402_MEASURE_VERIFY), CALLERS);
    for (unsigned i = 0; i < CALLERS; i++)
        assert_int_equal(callers[i].signature, NGX_HTTP_X402_PROVEN);
    assert_money(*state, callers, CALLERS, true);
}

/* Nobody is there any more who waited for it. */
static void settle_all(struct fixture *fixture)
{
    const struct timespec a_moment = {.tv_nsec = 5000000};

    settler_start(fixture, X402_EVENT_SETTLED);
    while (totals_of(fixture->ledger).monies[X402_MONEY_SETTLED].count <
           CALLERS / COPIES)
        (void)nanosleep(&a_moment, NULL);
    settler_stop();
}

static void a_forged_copy_of_what_is_owed_is_not_served(void **state)
{
    worker.sale.settle_timeout = 200;
    everybody_pays();
    run_until_told(callers, CALLERS);
    loop_run_dry();
    settle_all(*state);
    for (unsigned i = 0; i < CALLERS; i++) {
        if (i % COPIES == 0)
            caller_forges(&callers[i], i / COPIES);
        else
            caller_pays(&callers[i], i / COPIES);
    }
    run_until_told(callers, CALLERS);
    loop_run_dry();
    for (unsigned i = 0; i < CALLERS; i++) {
        if (i % COPIES == 0)
            assert_forged(&callers[i]);
        else
            assert_int_equal(callers[i].told, TOLD_DELIVERED);
    }
    assert_money(*state, callers, CALLERS, true);
}

/* Some before the ledger has answered, some while they wait, some amid a look. */
static void who_leaves_is_owed_what_was_settled(void **state)
{
    struct fixture *fixture = *state;
    struct x402_totals totals;
    unsigned gone = 0;

    srand(1);
    everybody_pays();
    for (unsigned round = 0; gone < CALLERS / 2; round++) {
        unsigned i = (unsigned)rand() % CALLERS;
        if (callers[i].ctx != NULL && ++gone > 0)
            caller_leaves(&callers[i]);
        if (round % 4 == 0)
            loop_turn();
    }
    settler_start(fixture, X402_EVENT_SETTLED);
    run_until_told(callers, CALLERS);
    loop_run_dry();
    settler_stop();
    assert_money(fixture, callers, CALLERS, true);
    totals = totals_of(fixture->ledger);
    assert_int_equal(totals.deliveries[X402_DELIVERY_DELIVERED].count +
                         totals.deliveries[X402_DELIVERY_OWED].count,
                     totals.admitted.count);
    for (unsigned i = 0; i < CALLERS; i++)
        assert_int_equal(callers[i].verdicts == 1 ? served_count(callers[i].number) : 1,
                         1);
}

/* One before the ledger has answered, one while it waits. */
static void who_leaves_is_counted_like_one_whose_payment_cannot_be_settled(void **state)
{
    worker.location.refusal_rate = (struct x402_rate){2, 3600000, 2};
    assert_true(client_may_fail_again());
    loop_hold();
    caller_pays(&callers[0], 0);
    loop_turn();
    caller_leaves(&callers[0]);
    loop_let_go();
    caller_pays(&callers[1], 1);
    while (callers[1].ctx->stage != NGX_HTTP_X402_SETTLING)
        loop_turn();
    assert_true(client_may_fail_again());
    caller_leaves(&callers[1]);
    assert_false(client_may_fail_again());
    loop_run_dry();
    assert_money(*state, callers, 2, true);
}

static void what_cannot_be_settled_is_not_served(void **state)
{
    settler_start(*state, X402_EVENT_FAILED);
    everybody_pays();
    run_until_told(callers, CALLERS);
    loop_run_dry();
    settler_stop();
    for (unsigned i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].stage, NGX_HTTP_X402_REFUSED);
        assert_int_equal(callers[i].admission, X402_ADMISSION_SETTLING);
    }
    assert_money(*state, callers, CALLERS, true);
}

static void whose_time_is_over_is_told_and_stays_owed(void **state)
{
    struct fixture *fixture = *state;

    worker.sale.settle_timeout = 200;
    everybody_pays();
    run_until_told(callers, CALLERS);
    loop_run_dry();
    for (unsigned i = 0; i < CALLERS; i++) {
        assert_int_equal(callers[i].stage, NGX_HTTP_X402_REFUSED);
        assert_int_equal(callers[i].refusal, X402_ERR_SETTLEMENT_PENDING);
    }
    assert_int_equal(totals_of(fixture->ledger).deliveries[X402_DELIVERY_OWED].count,
                     CALLERS / COPIES);
    assert_money(fixture, callers, CALLERS, true);
}

static bool somebody_is_looked_for(void)
{
    for (unsigned i = 0; i < CALLERS; i++) {
        if (callers[i].ctx != NULL && callers[i].ctx->looker != NULL)
            return true;
    }
    return false;
}

static void a_worker_may_end_amid_a_look(void **state)
{
    struct fixture *fixture = *state;

    everybody_pays();
    while (!somebody_is_looked_for())
        loop_turn();
    worker_stop();
    for (unsigned i = 0; i < CALLERS; i++)
        caller_vanishes(&callers[i]);
    assert_money(fixture, callers, CALLERS, true);
    assert_int_equal(totals_of(fixture->ledger).deliveries[X402_DELIVERY_OWED].count,
                     CALLERS / COPIES);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, settling_make, scene_release)
    const struct CMUnitTest tests[] = {
        TEST(of_those_that_wait_for_one_payment_one_is_served),
        TEST(who_is_presented_again_is_not_verified_again),
        TEST(a_forged_copy_of_what_is_owed_is_not_served),
        TEST(who_leaves_is_owed_what_was_settled),
        TEST(who_leaves_is_counted_like_one_whose_payment_cannot_be_settled),
        TEST(what_cannot_be_settled_is_not_served),
        TEST(whose_time_is_over_is_told_and_stays_owed),
        TEST(a_worker_may_end_amid_a_look),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
