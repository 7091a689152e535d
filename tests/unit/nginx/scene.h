/* What tests of a worker have in common: a ledger, a worker of it, and what must hold
 * of money in the end. */
#ifndef X402_TESTS_NGINX_SCENE_H
#define X402_TESTS_NGINX_SCENE_H

#include "ledger/activity.h"
#include "unit/ledger/faults.h"
#include "unit/ledger/fixture.h"
#include "unit/nginx/caller.h"

__attribute__((unused)) static int scene_make(void **state)
{
    if (ledger_make(state) != 0)
        return -1;
    worker_configure(((struct fixture *)*state)->path);
    return 0;
}

__attribute__((unused)) static int scene_release(void **state)
{
    loop_let_go();
    worker_stop();
    return fixture_release(state);
}

/* A call that was told `told` is in the ledger as that, and is the payment's own. */
static void assert_caller(struct x402_ledger *ledger, const struct caller *caller)
{
    struct x402_payment_row row;
    unsigned number;

    assert_int_equal(x402_ledger_payment(ledger, &row, caller->payment_id), X402_OK);
    memcpy(&number, row.settlement.nonce32, sizeof number);
    assert_int_equal(number, caller->number);
    if (caller->told == TOLD_DELIVERED)
        assert_int_equal(row.settlement.state.delivery, X402_DELIVERY_DELIVERED);
}

/*
 * Everybody who stayed was told once; a payment was delivered at most once; what the
 * ledger holds as delivered is what was told; and nothing is open, where `closed`.
 */
__attribute__((unused)) static void assert_money(struct fixture *fixture,
                                                 const struct caller *callers,
                                                 size_t count, bool closed)
{
    struct x402_totals totals = totals_of(fixture->ledger);
    unsigned delivered = 0;

    for (size_t i = 0; i < count; i++) {
        assert_in_range(callers[i].verdicts, 0, 1);
        assert_null(callers[i].ctx);
        if (callers[i].told == TOLD_NOTHING)
            continue;
        assert_caller(fixture->ledger, &callers[i]);
        if (callers[i].told == TOLD_DELIVERED) {
            delivered++;
            for (size_t j = 0; j < i; j++)
                assert_false(callers[j].told == TOLD_DELIVERED &&
                             callers[j].number == callers[i].number);
        }
    }
    assert_int_equal(totals.deliveries[X402_DELIVERY_DELIVERED].count, delivered);
    if (closed)
        assert_int_equal(totals.deliveries[X402_DELIVERY_PENDING].count, 0);
    assert_books(fixture->ledger);
}

/* Until everybody was told, and the threads have nothing to do. */
__attribute__((unused)) static void run_until_told(const struct caller *callers,
                                                   size_t count)
{
    for (size_t i = 0; i < count; i++) {
        while (callers[i].verdicts == 0 && callers[i].ctx != NULL)
            loop_turn();
    }
    while (loop_under_way() != 0)
        loop_turn();
}

/* They present payments of their own number, and are being served. */
__attribute__((unused)) static void admit_open(struct caller *callers, unsigned first,
                                               unsigned count)
{
    for (unsigned i = first; i < first + count; i++)
        caller_pays(&callers[i], i);
    run_until_told(callers + first, count);
    for (unsigned i = first; i < first + count; i++)
        assert_int_equal(callers[i].stage, NGX_HTTP_X402_SERVING);
}

/* How many of them were told this. */
__attribute__((unused)) static unsigned count_of(const struct caller *callers,
                                                 enum x402_admission admission,
                                                 unsigned first, unsigned count)
{
    unsigned found = 0;

    for (unsigned i = first; i < first + count; i++)
        found += callers[i].verdicts == 1 && callers[i].admission == admission;
    return found;
}

/* While nothing is under way: the next task sees it. */
__attribute__((unused)) static void ledger_fails(enum fault kind, int code,
                                                 bool lasting)
{
    assert_int_equal(loop_under_way(), 0);
    faults_arm(kind, code, 1, lasting);
}

__attribute__((unused)) static void ledger_is_back(void)
{
    while (loop_under_way() != 0)
        loop_turn();
    faults_arm(FAULT_WRITE, SQLITE_OK, 0, false);
}

/* Of the client that a test has unless it says another. */
__attribute__((unused)) static ngx_http_x402_limit_key_t client_key(void)
{
    static struct sockaddr_in address = {.sin_family = AF_INET};
    ngx_connection_t connection = {.sockaddr = (struct sockaddr *)(void *)&address};
    ngx_http_x402_limit_key_t key;

    ngx_http_x402_limit_client(&key, &connection, NGX_HTTP_X402_REFUSALS);
    return key;
}

__attribute__((unused)) static bool client_may_fail_again(void)
{
    ngx_http_x402_limit_key_t key = client_key();
    uint64_t wait;

    return ngx_http_x402_limit_peek(&key, &worker.location.refusal_rate, 1, &wait);
}

/* What a worker noted of this measure, once it has ended. */
__attribute__((unused)) static uint64_t measured_count(struct fixture *fixture,
                                                       enum x402_measure measure)
{
    uint64_t refusals[X402_ERROR_COUNT];
    struct x402_histogram measures[X402_MEASURE_COUNT];

    assert_int_equal(x402_ledger_activity(fixture->ledger, X402_ACTIVITY_EVER,
                                          X402_ACTIVITY_EVER, refusals, measures),
                     X402_OK);
    return x402_histogram_count(&measures[measure]);
}

/* It was refused for its signature, and nothing of it is known. */
__attribute__((unused)) static void assert_forged(const struct caller *caller)
{
    assert_int_equal(caller->verdicts, 1);
    assert_int_equal(caller->signature, NGX_HTTP_X402_FORGED);
    assert_int_equal(caller->stage, NGX_HTTP_X402_REFUSED);
    assert_int_equal(caller->admission, X402_ADMISSION_UNAVAILABLE);
    assert_int_equal(caller->payment_id, 0);
    assert_int_equal(caller->told, TOLD_NOTHING);
}

__attribute__((unused)) static void deliver(struct caller *caller)
{
    caller_ends(caller, TOLD_DELIVERED);
}

#endif
