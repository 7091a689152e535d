/*
 * Every allocation fails in its turn, once or lastingly, under every call of the
 * ledger. Whatever happens: the call says so, all of it or nothing is in force, the
 * books hold, and when there is memory again the same handle goes on.
 */
#include "unit/ledger/acts.h"

#include "unit/memory/memory.h"

/* -------------------------------------------------------------------------- in turn */

static bool one_turn(const struct act *act, int nth, bool lasting)
{
    struct scene scene = {0};
    void *state = NULL;

    assert_int_equal(ledger_make(&state), 0);
    scene.fixture = state;
    scene_make(&scene);
    memory_arm(nth, lasting);
    enum x402_error error = act->act(&scene);
    bool failed = memory_failed();
    assert_true(error == X402_OK || error == X402_ERR_LEDGER);
    assert_true(error == X402_OK || failed);
    act->check(&scene, error);
    assert_books(scene.ledger);
    assert_int_equal(fixture_release(&state), 0);
    return failed;
}

/* Each allocation, or each `stride`-th of them. */
static void every_allocation(const struct act *act)
{
    const char *text = getenv("X402_FAIL_STRIDE");
    int stride = text != NULL ? atoi(text) : 41;
    int turns = 0;

    for (int lasting = 0; lasting < 2; lasting++) {
        for (int nth = 1; one_turn(act, nth, lasting); nth += stride)
            turns++;
    }
    print_message("%d turns\n", turns);
    assert_true(turns > 2);
}

static void a_commit_is_whole_or_not_without_memory(void **state)
{
    (void)state;
    every_allocation(&(struct act){commit, commit_check});
}

static void a_submission_is_whole_or_not_without_memory(void **state)
{
    (void)state;
    every_allocation(&(struct act){submit, submit_check});
}

static void a_verdict_is_whole_or_not_without_memory(void **state)
{
    (void)state;
    every_allocation(&(struct act){advance, advance_check});
}

static void a_sighting_without_memory_can_be_told_again(void **state)
{
    (void)state;
    every_allocation(&(struct act){see, again_check});
}

static void a_note_without_memory_can_be_made_again(void **state)
{
    (void)state;
    every_allocation(&(struct act){note, again_check});
}

static void tidying_without_memory_can_be_done_again(void **state)
{
    (void)state;
    every_allocation(&(struct act){tidy, again_check});
}

static void what_is_read_without_memory_is_whole_or_an_error(void **state)
{
    (void)state;
    every_allocation(&(struct act){read_all, read_check});
}

static void opening_without_memory_says_so_and_leaves_nothing(void **state)
{
    (void)state;
    every_allocation(&(struct act){open_another, open_check});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_is_whole_or_not_without_memory),
        cmocka_unit_test(a_submission_is_whole_or_not_without_memory),
        cmocka_unit_test(a_verdict_is_whole_or_not_without_memory),
        cmocka_unit_test(a_sighting_without_memory_can_be_told_again),
        cmocka_unit_test(a_note_without_memory_can_be_made_again),
        cmocka_unit_test(tidying_without_memory_can_be_done_again),
        cmocka_unit_test(what_is_read_without_memory_is_whole_or_an_error),
        cmocka_unit_test(opening_without_memory_says_so_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, memory_install, NULL);
}
