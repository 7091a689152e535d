/* What the settler tells the ledger of itself, by a thread of its own. */
#include "unit/ledger/fixture.h"

#include "settle/pulse.h"

#include <time.h>

static struct x402_pulse *pulse;
static struct x402_ledger *ledger;

static int begin(void **state)
{
    if (ledger_make(state) != 0)
        return -1;
    struct fixture *fixture = *state;
    ledger = fixture->ledger;
    return x402_pulse_open(&pulse, fixture->path) == X402_OK ? 0 : -1;
}

static struct x402_settler_state state_of(uint64_t chain_id, const char *trouble)
{
    struct x402_settler_state state;

    memset(&state, 0, sizeof state);
    state.chain_id = chain_id;
    state.latest_block = 12;
    snprintf(state.trouble, sizeof state.trouble, "%s", trouble);
    return state;
}

static size_t heard(struct x402_settler_state out[4])
{
    size_t count = 0;

    assert_int_equal(x402_ledger_settlers(ledger, out, 4, &count), X402_OK);
    return count;
}

static void what_was_said_is_told_at_the_end(void **state)
{
    struct x402_settler_state said = state_of(1, ""), out[4];

    x402_pulse_say(pulse, &said);
    said = state_of(2, "the node hangs");
    x402_pulse_say(pulse, &said);
    x402_pulse_close(pulse);
    assert_int_equal(heard(out), 2);
    assert_int_equal(out[0].latest_block, 12);
    assert_string_equal(out[1].trouble, "the node hangs");
    assert_int_equal(fixture_release(state), 0);
}

static void nobody_speaks_for_a_key_that_another_settler_has(void **state)
{
    struct x402_settler_state said = state_of(1, ""), out[4];

    x402_pulse_say(pulse, &said);
    x402_pulse_hush(pulse, 1, said.signer20);
    x402_pulse_close(pulse);
    assert_int_equal(heard(out), 0);
    assert_int_equal(fixture_release(state), 0);
}

static void a_trouble_is_told_within_two_seconds_and_so_is_its_end(void **state)
{
    struct x402_settler_state said = state_of(1, "the node hangs"), out[4];
    const struct timespec moment = {.tv_nsec = 20000000};

    x402_pulse_say(pulse, &said);
    for (int i = 0; i < 500 && heard(out) == 0; i++)
        nanosleep(&moment, NULL);
    assert_int_equal(heard(out), 1);
    assert_string_equal(out[0].trouble, "the node hangs");
    said = state_of(1, "");
    x402_pulse_say(pulse, &said);
    for (int i = 0; i < 500 && heard(out) == 1 && out[0].trouble[0] != '\0'; i++)
        nanosleep(&moment, NULL);
    assert_string_equal(out[0].trouble, "");
    x402_pulse_close(pulse);
    assert_int_equal(fixture_release(state), 0);
}

static void a_chain_that_rests_is_heard_from_all_the_same(void **state)
{
    struct x402_settler_state said = state_of(1, ""), out[4];
    const struct timespec moment = {.tv_nsec = 20000000};
    const int64_t before = x402_clock_seconds();

    x402_pulse_say(pulse, &said);
    for (int i = 0; i < 500 && heard(out) == 0; i++)
        nanosleep(&moment, NULL);
    clock_forward(*state, 1000);
    for (int i = 0; i < 500 && out[0].heard_at_seconds < before + 1000; i++) {
        nanosleep(&moment, NULL);
        assert_int_equal(heard(out), 1);
    }
    assert_true(out[0].heard_at_seconds >= before + 1000);
    x402_pulse_close(pulse);
    assert_int_equal(fixture_release(state), 0);
}

static void measures_are_noted(void **state)
{
    static struct x402_histogram measures[X402_MEASURE_COUNT];
    uint64_t refusals[X402_ERROR_COUNT];

    x402_pulse_measure(pulse, X402_MEASURE_SETTLE, 1500000);
    x402_pulse_measure(pulse, X402_MEASURE_BATCH, 7);
    x402_pulse_measure(pulse, X402_MEASURE_BATCH, 1);
    x402_pulse_measure(NULL, X402_MEASURE_BATCH, 1);
    x402_pulse_close(pulse);
    assert_int_equal(x402_ledger_activity(ledger, X402_ACTIVITY_EVER,
                                          X402_ACTIVITY_EVER, refusals, measures),
                     X402_OK);
    assert_int_equal(x402_histogram_count(&measures[X402_MEASURE_SETTLE]), 1);
    assert_int_equal(measures[X402_MEASURE_SETTLE].sum, 1500000);
    assert_int_equal(x402_histogram_count(&measures[X402_MEASURE_BATCH]), 2);
    assert_int_equal(measures[X402_MEASURE_BATCH].sum, 8);
    assert_int_equal(fixture_release(state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_was_said_is_told_at_the_end, begin),
        cmocka_unit_test_setup(nobody_speaks_for_a_key_that_another_settler_has, begin),
        cmocka_unit_test_setup(a_trouble_is_told_within_two_seconds_and_so_is_its_end,
                               begin),
        cmocka_unit_test_setup(a_chain_that_rests_is_heard_from_all_the_same, begin),
        cmocka_unit_test_setup(measures_are_noted, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
