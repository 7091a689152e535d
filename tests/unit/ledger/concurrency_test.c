/* Threads that sell, settle, read and tidy one ledger, each with a handle of its own:
 * as workers, settlers and pages do. */
#include "outbox.h"

#include "ledger/nudge.h"
#include "ledger/sqlite.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#define SELLERS 3
#define PAYMENTS 160
#define ROUNDS 2 /* each seller presents each payment so often */
#define BATCH 8

/* A thread may not assert: it says where, and ends. */
static atomic_int wrong_line;
#define MUST(condition)                                                                \
    do {                                                                               \
        if (!(condition)) {                                                            \
            atomic_store(&wrong_line, __LINE__);                                       \
            return NULL;                                                               \
        }                                                                              \
    } while (0)

static void assert_nothing_wrong(void)
{
    if (atomic_load(&wrong_line) != 0)
        fail_msg("a thread ended at line %d", atomic_load(&wrong_line));
}

static atomic_bool stop;
static atomic_uint served[PAYMENTS]; /* attempts that are open, or delivered */
static atomic_uint delivered_count;

/* -------------------------------------------------------------------------- selling */

struct seller {
    struct x402_ledger *ledger;
    unsigned index;
    struct x402_outcome outcomes[BATCH]; /* of the batch before */
    size_t outcomes_count;
};

/* Each seller fails to deliver other payments: the next who presents them is served. */
static void decide(struct seller *seller, const struct x402_admit *admit)
{
    struct x402_outcome *outcome = &seller->outcomes[seller->outcomes_count++];
    unsigned number;

    memcpy(&number, admit->verified.nonce32, sizeof number);
    *outcome = (struct x402_outcome){
        .payment_id = admit->payment_id,
        .event = number % 7 == seller->index ? X402_EVENT_VOID : X402_EVENT_DELIVERED};
    memcpy(outcome->attempt16, admit->attempt16, 16);
    if (outcome->event == X402_EVENT_VOID)
        atomic_fetch_sub(&served[number], 1);
    else
        atomic_fetch_add(&delivered_count, 1);
}

/* False when an outcome was not applied, or a payment admitted that somebody has. */
static bool sell_batch(struct seller *seller, struct x402_admit *admits, size_t count)
{
    if (x402_ledger_commit(seller->ledger, "seller", seller->outcomes,
                           seller->outcomes_count, admits, count, NULL,
                           NULL) != X402_OK)
        return false;
    for (size_t i = 0; i < seller->outcomes_count; i++) {
        if (!seller->outcomes[i].applied)
            return false;
    }
    seller->outcomes_count = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned number;
        memcpy(&number, admits[i].verified.nonce32, sizeof number);
        if (admits[i].admission != X402_ADMISSION_NEW)
            continue;
        if (atomic_fetch_add(&served[number], 1) != 0)
            return false;
        decide(seller, &admits[i]);
    }
    return true;
}

static void *sell_all(void *data)
{
    struct seller *seller = data;
    struct x402_admit admits[BATCH];
    const unsigned stride = 37 + 2 * seller->index; /* prime to PAYMENTS */

    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned first = 0; first < PAYMENTS; first += BATCH) {
            for (unsigned i = 0; i < BATCH; i++)
                admits[i] = presentation((first + i) * stride % PAYMENTS,
                                         seller->index * ROUNDS + round);
            MUST(sell_batch(seller, admits, BATCH));
        }
    }
    MUST(sell_batch(seller, NULL, 0));
    return NULL;
}

/* ------------------------------------------------------------ those who do the rest */

/* What is due is in a block at once, and some of it final. */
static void *settle_all(void *data)
{
    struct x402_ledger *ledger = data;
    struct x402_settlement due[BATCH];
    size_t count = 0;

    MUST(x402_ledger_signer_acquire(ledger, CHAIN, signer20, "settler") == X402_OK);
    for (uint64_t nonce = 0; count > 0 || !atomic_load(&stop); nonce++) {
        int64_t ids[BATCH];
        MUST(x402_ledger_due(ledger, CHAIN, due, BATCH, &count) == X402_OK);
        if (count == 0)
            continue;
        struct x402_outbox outbox = transaction(nonce, 0);
        for (size_t i = 0; i < count; i++)
            ids[i] = due[i].payment_id;
        MUST(x402_ledger_submit(ledger, &outbox, ids, count) == X402_OK);
        for (size_t i = 0; i < count; i++)
            MUST(advance(ledger, ids[i], X402_EVENT_SETTLED, outbox.transaction_id) ==
                 X402_OK);
        MUST(advance(ledger, ids[0], X402_EVENT_FINAL, outbox.transaction_id) ==
             X402_OK);
    }
    return NULL;
}

static bool seen(const struct x402_payment_row *row, void *data)
{
    (void)row;
    ++*(unsigned *)data;
    return true;
}

/* The books hold at any moment. */
static void *read_all(void *data)
{
    char message[X402_LEDGER_MESSAGE_MAX];
    struct x402_ledger *ledger = data;
    const struct x402_payment_filter filter = {.limit = PAYMENTS};
    struct x402_totals totals[X402_TOTALS_MAX];
    struct x402_look look = {.payment_id = 1};
    size_t count;

    while (!atomic_load(&stop)) {
        unsigned rows = 0;
        MUST(x402_ledger_books(ledger, message) == X402_OK);
        MUST(x402_ledger_totals(ledger, totals, X402_TOTALS_MAX, &count) == X402_OK);
        MUST(x402_ledger_payments(ledger, &filter, seen, &rows) == X402_OK);
        MUST(x402_ledger_look(ledger, &look, 1) == X402_OK);
    }
    return NULL;
}

static void *keep_house(void *data)
{
    struct x402_ledger *ledger = data;
    struct x402_payer payers[BATCH];
    size_t count;

    while (!atomic_load(&stop)) {
        MUST(x402_ledger_lease_renew(ledger, "house") == X402_OK);
        MUST(x402_ledger_tidy(ledger) == X402_OK);
        MUST(x402_ledger_payers_wanted(ledger, CHAIN, payers, BATCH, &count) ==
             X402_OK);
        for (size_t i = 0; i < count; i++) {
            struct x402_sighting sighting = {
                .payer = payers[i], .looked = true, .balance = 1, .block_number = 1};
            MUST(x402_ledger_payers_seen(ledger, CHAIN, &sighting, 1) == X402_OK);
        }
        usleep(1000); /* it is not what is looked at */
    }
    return NULL;
}

static void all_at_once_no_payment_is_admitted_twice_and_the_books_hold(void **state)
{
    struct fixture *fixture = *state;
    struct seller sellers[SELLERS] = {0};
    pthread_t selling[SELLERS], others[3];
    struct x402_totals totals;

    for (unsigned i = 0; i < SELLERS; i++) {
        sellers[i].ledger = another_handle(fixture);
        sellers[i].index = i;
        assert_int_equal(pthread_create(&selling[i], NULL, sell_all, &sellers[i]), 0);
    }
    void *(*const bodies[3])(void *) = {settle_all, read_all, keep_house};
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(
            pthread_create(&others[i], NULL, bodies[i], another_handle(fixture)), 0);
    for (unsigned i = 0; i < SELLERS; i++)
        assert_int_equal(pthread_join(selling[i], NULL), 0);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(pthread_join(others[i], NULL), 0);
    assert_nothing_wrong();
    totals = totals_of(fixture->ledger);
    assert_int_equal(totals.admitted.count, PAYMENTS);
    assert_int_equal(totals.deliveries[X402_DELIVERY_PENDING].count, 0);
    assert_int_equal(totals.deliveries[X402_DELIVERY_DELIVERED].count,
                     atomic_load(&delivered_count));
    assert_int_equal(totals.monies[X402_MONEY_SETTLED].count +
                         totals.monies[X402_MONEY_FINAL].count,
                     atomic_load(&delivered_count));
    assert_books(fixture->ledger);
}

/* ------------------------------------------------------------------- the queue, alone
 */

#define WRITERS 4
#define TURNS 100

static atomic_uint writing;

static void *take_turns(void *data)
{
    const struct x402_sqlite_queue *queue = data;

    for (unsigned i = 0; i < TURNS; i++) {
        MUST(x402_sqlite_queue_enter(queue) == 0);
        MUST(atomic_fetch_add(&writing, 1) == 0);
        (void)sched_yield();
        MUST(atomic_fetch_sub(&writing, 1) == 1);
        x402_sqlite_queue_leave(queue);
    }
    return NULL;
}

static void one_writer_at_a_time_has_its_turn(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sqlite_queue queues[WRITERS];
    pthread_t threads[WRITERS];

    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(x402_sqlite_queue_open(&queues[i], fixture->path), 0);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_turns, &queues[i]), 0);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (unsigned i = 0; i < WRITERS; i++)
        x402_sqlite_queue_close(&queues[i]);
    assert_nothing_wrong();
}

/* ----------------------------------------------------------------------- the nudge */

static void *nudge_on(void *data)
{
    while (!atomic_load(&stop)) {
        x402_nudge_send(data);
        (void)sched_yield();
    }
    return NULL;
}

static void nudges_arrive_at_each_settler_that_follows_another(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[WRITERS];

    atomic_store(&stop, false);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, nudge_on, fixture->path), 0);
    for (unsigned i = 0; i < 20; i++) {
        int fd = x402_nudge_listen(fixture->path);
        struct pollfd nudge = {.fd = fd, .events = POLLIN};
        assert_true(fd >= 0);
        assert_int_equal(poll(&nudge, 1, 5000), 1);
        x402_nudge_drain(fd);
        x402_nudge_close(fd, fixture->path);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(all_at_once_no_payment_is_admitted_twice_and_the_books_hold),
        TEST(one_writer_at_a_time_has_its_turn),
        TEST(nudges_arrive_at_each_settler_that_follows_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
