/* What is believed of a facilitator, and when. */
#include "unit/core/support.h"

#include "settle/remote_plan.h"

#define DELIVERED                                                                      \
    {                                                                                  \
        X402_DELIVERY_DELIVERED, X402_MONEY_SUBMITTED                                  \
    }
#define OWED                                                                           \
    {                                                                                  \
        X402_DELIVERY_OWED, X402_MONEY_SUBMITTED                                       \
    }

static enum x402_remote_action plan(struct x402_remote_case what)
{
    return x402_remote_plan(&what);
}

/* Every case there is, with or without a node. */
static void each_case(void (*check)(const struct x402_remote_case *what))
{
    for (unsigned i = 0; i < X402_REMOTE_WORD_COUNT * 2 * 2 * 2 * 2; i++) {
        struct x402_remote_case what = {
            .word = (enum x402_remote_word)(i % X402_REMOTE_WORD_COUNT),
            .certain = i / X402_REMOTE_WORD_COUNT % 2,
            .ended = i / X402_REMOTE_WORD_COUNT / 2 % 2,
            .has_node = i / X402_REMOTE_WORD_COUNT / 4 % 2,
            .state = {i / X402_REMOTE_WORD_COUNT / 8 % 2 ? X402_DELIVERY_OWED
                                                         : X402_DELIVERY_DELIVERED,
                      X402_MONEY_SUBMITTED},
        };
        for (int sight = 0; sight < X402_SIGHT_COUNT; sight++) {
            what.sight = (enum x402_sight)sight;
            check(&what);
        }
    }
}

static void check_success(const struct x402_remote_case *what)
{
    bool said = !what->has_node && what->word == X402_REMOTE_SETTLED;
    bool seen = what->has_node && (what->sight == X402_SIGHT_USED_FOR_US ||
                                   what->sight == X402_SIGHT_PAID);

    assert_int_equal(x402_remote_plan(what) == X402_REMOTE_SETTLE, said || seen);
}

static void settled_is_what_the_chain_shows_or_the_only_word_there_is(void **state)
{
    (void)state;
    each_case(check_success);
}

static void check_uncertain(const struct x402_remote_case *what)
{
    enum x402_remote_action action = x402_remote_plan(what);

    if (!what->certain && !what->has_node)
        assert_true(action == X402_REMOTE_SETTLE || action == X402_REMOTE_WAIT);
    if (!what->certain)
        assert_int_not_equal(action, X402_REMOTE_RELEASE);
    if (what->word == X402_REMOTE_UNKNOWN && !what->has_node)
        assert_int_equal(action, X402_REMOTE_WAIT);
}

static void an_outcome_not_known_is_never_a_failure_and_never_due_again(void **state)
{
    (void)state;
    each_case(check_uncertain);
}

static void check_unseen(const struct x402_remote_case *what)
{
    enum x402_remote_action action = x402_remote_plan(what);

    if (what->has_node && what->sight == X402_SIGHT_UNKNOWN)
        assert_true(action == X402_REMOTE_WAIT || (action == X402_REMOTE_RELEASE &&
                                                   what->word == X402_REMOTE_UNASKED));
}

static void a_node_that_does_not_answer_leaves_all_as_it_is(void **state)
{
    (void)state;
    each_case(check_unseen);
}

static void a_bogus_success_is_not_believed_beside_a_node(void **state)
{
    (void)state;
    assert_int_equal(plan((struct x402_remote_case){.word = X402_REMOTE_SETTLED,
                                                    .certain = true,
                                                    .state = DELIVERED,
                                                    .has_node = true,
                                                    .sight = X402_SIGHT_UNUSED}),
                     X402_REMOTE_WAIT);
}

static void a_refused_delivered_payment_is_tried_until_it_ends(void **state)
{
    struct x402_remote_case what = {
        .word = X402_REMOTE_REFUSED, .certain = true, .state = DELIVERED};

    (void)state;
    assert_int_equal(plan(what), X402_REMOTE_RELEASE);
    what.ended = true;
    assert_int_equal(plan(what), X402_REMOTE_FAIL);
}

static void beside_a_node_the_chain_says_what_has_ended(void **state)
{
    struct x402_remote_case what = {.word = X402_REMOTE_REFUSED,
                                    .certain = true,
                                    .state = DELIVERED,
                                    .ended = true,
                                    .has_node = true,
                                    .sight = X402_SIGHT_UNUSED};

    (void)state;
    assert_int_equal(plan(what), X402_REMOTE_RELEASE);
    what.sight = X402_SIGHT_EXPIRED;
    assert_int_equal(plan(what), X402_REMOTE_FAIL);
}

static void a_refused_payment_that_somebody_waits_for_fails_at_once(void **state)
{
    struct x402_remote_case what = {
        .word = X402_REMOTE_REFUSED, .certain = true, .state = OWED};

    (void)state;
    assert_int_equal(plan(what), X402_REMOTE_FAIL);
    what.has_node = true;
    what.sight = X402_SIGHT_UNUSED;
    assert_int_equal(plan(what), X402_REMOTE_FAIL);
    what.certain = false;
    assert_int_equal(plan(what), X402_REMOTE_WAIT);
}

static void what_never_left_is_due_again(void **state)
{
    struct x402_remote_case what = {
        .word = X402_REMOTE_UNASKED, .certain = true, .state = OWED, .ended = true};

    (void)state;
    assert_int_equal(plan(what), X402_REMOTE_RELEASE);
    what.certain = false;
    assert_int_equal(plan(what), X402_REMOTE_WAIT);
}

static void only_clear_words_keep_it_certain(void **state)
{
    (void)state;
    assert_true(x402_remote_certain(X402_REMOTE_UNASKED));
    assert_true(x402_remote_certain(X402_REMOTE_REFUSED));
    assert_false(x402_remote_certain(X402_REMOTE_UNKNOWN));
    assert_false(x402_remote_certain(X402_REMOTE_SETTLED));
}

static void it_is_asked_for_again_ever_less_often(void **state)
{
    int64_t last = 0, last_ended = 0;

    (void)state;
    assert_int_equal(x402_remote_retry_milliseconds(1, false), 2000);
    for (unsigned tries = 1; tries < 100; tries++) {
        int64_t wait = x402_remote_retry_milliseconds(tries, false);
        int64_t wait_ended = x402_remote_retry_milliseconds(tries, true);
        assert_true(wait >= last && wait_ended >= last_ended && wait_ended >= wait);
        last = wait;
        last_ended = wait_ended;
    }
    assert_int_equal(last, 600000);
    assert_int_equal(last_ended, 3600000);
}

/* ------------------------------------------------------------------------ histories
 */

static uint32_t random_state;

static unsigned random_below(unsigned n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

/* What is really so: an authorization on a chain, and a facilitator that says nothing
 * false and forgets everything. */
struct world {
    enum { UNUSED, BROADCAST, USED, OVER } authorization; /* OVER: unused, and ended */
    bool ended;                                           /* by our clock */
    bool has_node;
};

static void time_passes(struct world *world)
{
    if (world->authorization == BROADCAST && random_below(3) == 0)
        world->authorization = random_below(4) != 0 ? USED : UNUSED; /* or dropped */
    if (random_below(8) == 0)
        world->ended = true;
    if (world->ended && world->authorization != USED && random_below(4) == 0)
        world->authorization = OVER;
}

/* One request: what it does to the world, and what is heard of it. Once something was
 * broadcast, the facilitator may refuse for another reason, and be right. */
static enum x402_remote_word ask(struct world *world)
{
    bool fresh = world->authorization == UNUSED && !world->ended;
    bool settles = fresh && random_below(2) == 0;

    if (random_below(6) == 0)
        return X402_REMOTE_UNASKED;
    if (settles)
        world->authorization = random_below(2) == 0 ? USED : BROADCAST;
    if (random_below(3) == 0)
        return X402_REMOTE_UNKNOWN;
    if (settles)
        return world->authorization == USED ? X402_REMOTE_SETTLED : X402_REMOTE_UNKNOWN;
    return X402_REMOTE_REFUSED;
}

static enum x402_sight look(const struct world *world)
{
    if (!world->has_node || random_below(4) == 0)
        return X402_SIGHT_UNKNOWN;
    if (world->authorization == USED)
        return X402_SIGHT_USED_FOR_US;
    return world->authorization == OVER ? X402_SIGHT_EXPIRED : X402_SIGHT_UNUSED;
}

/* True when the payment's history is over. */
static bool live_on(struct world *world, struct x402_remote_case *what)
{
    time_passes(world);
    what->ended = world->ended;
    what->word = ask(world);
    what->sight = look(world);
    switch (x402_remote_plan(what)) {
    case X402_REMOTE_SETTLE:
        assert_int_equal(world->authorization, USED);
        return true;
    case X402_REMOTE_FAIL: /* and it never will be used */
        assert_true(world->authorization == OVER || world->authorization == UNUSED);
        return true;
    case X402_REMOTE_RELEASE:
        assert_true(world->authorization == OVER || world->authorization == UNUSED);
        what->certain = true;
        return false;
    case X402_REMOTE_WAIT:
        what->certain = what->certain && x402_remote_certain(what->word);
        break;
    }
    if (random_below(10) == 0)
        what->certain = false; /* a restart: the words are forgotten */
    return false;
}

static void nothing_is_paid_or_failed_that_is_not_so(void **state)
{
    size_t ends = 0;

    (void)state;
    for (uint32_t seed = 0; seed < 200000; seed++) {
        random_state = seed * 2654435761u;
        struct world world = {.authorization = UNUSED, .has_node = seed % 2};
        struct x402_remote_case what = {
            .certain = true,
            .has_node = world.has_node,
            .state = {seed / 2 % 2 ? X402_DELIVERY_OWED : X402_DELIVERY_DELIVERED,
                      X402_MONEY_SUBMITTED},
        };
        for (int steps = 0; steps < 40; steps++) {
            if (!live_on(&world, &what))
                continue;
            ends++;
            break;
        }
    }
    assert_true(ends > 100000);
}

static void assert_turns(size_t owed, bool rest_begins, const size_t expected[6])
{
    for (size_t turn = 0; turn < 6; turn++)
        assert_int_equal(x402_remote_turn(turn, owed, 6, rest_begins), expected[turn]);
}

static void those_waited_for_and_the_others_are_asked_for_by_turns(void **state)
{
    (void)state;
    assert_turns(3, false, (const size_t[]){0, 3, 1, 4, 2, 5});
    assert_turns(3, true, (const size_t[]){3, 0, 4, 1, 5, 2});
    assert_turns(5, false, (const size_t[]){0, 5, 1, 2, 3, 4});
    assert_turns(5, true, (const size_t[]){5, 0, 1, 2, 3, 4});
    assert_turns(1, false, (const size_t[]){0, 1, 2, 3, 4, 5});
    assert_turns(1, true, (const size_t[]){1, 0, 2, 3, 4, 5});
    assert_turns(0, true, (const size_t[]){0, 1, 2, 3, 4, 5});
    assert_turns(6, true, (const size_t[]){0, 1, 2, 3, 4, 5});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settled_is_what_the_chain_shows_or_the_only_word_there_is),
        cmocka_unit_test(an_outcome_not_known_is_never_a_failure_and_never_due_again),
        cmocka_unit_test(a_node_that_does_not_answer_leaves_all_as_it_is),
        cmocka_unit_test(a_bogus_success_is_not_believed_beside_a_node),
        cmocka_unit_test(a_refused_delivered_payment_is_tried_until_it_ends),
        cmocka_unit_test(beside_a_node_the_chain_says_what_has_ended),
        cmocka_unit_test(a_refused_payment_that_somebody_waits_for_fails_at_once),
        cmocka_unit_test(what_never_left_is_due_again),
        cmocka_unit_test(only_clear_words_keep_it_certain),
        cmocka_unit_test(it_is_asked_for_again_ever_less_often),
        cmocka_unit_test(those_waited_for_and_the_others_are_asked_for_by_turns),
        cmocka_unit_test(nothing_is_paid_or_failed_that_is_not_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
