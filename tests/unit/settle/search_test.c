#include "unit/core/support.h"

#include "settle/search.h"

/* Searches in vain; the range that was asked. */
static struct x402_range top(struct x402_search *search, uint64_t latest, uint64_t span)
{
    struct x402_range range = x402_search_top(search, latest, span);

    x402_search_note(search, &range);
    return range;
}

static bool down(struct x402_search *search, struct x402_range *out, uint64_t span)
{
    if (!x402_search_down(search, out, span))
        return false;
    x402_search_note(search, out);
    return true;
}

static void assert_range(struct x402_range range, uint64_t first, uint64_t last)
{
    assert_int_equal(range.first, first);
    assert_int_equal(range.last, last);
}

static void a_search_goes_down_to_the_first_block_without_a_gap(void **state)
{
    struct x402_search search = {0};
    struct x402_range range;
    uint64_t next;

    (void)state;
    assert_range(top(&search, 1234, 100), 1135, 1234);
    next = 1134;
    while (down(&search, &range, 100)) {
        assert_int_equal(range.last, next);
        assert_true(range.first <= range.last);
        next = range.first - 1;
    }
    assert_int_equal(range.first, 0);
    assert_int_equal(search.below, 0);
}

static void a_chain_shorter_than_the_span_is_searched_at_once(void **state)
{
    struct x402_search search = {0};
    struct x402_range range;

    (void)state;
    assert_range(top(&search, 7, 5000), 0, 7);
    assert_false(down(&search, &range, 5000));
}

static void new_blocks_are_searched_and_the_way_down_goes_on(void **state)
{
    struct x402_search search = {0};
    struct x402_range range;

    (void)state;
    (void)top(&search, 1000, 100);
    assert_true(down(&search, &range, 100));
    assert_range(range, 801, 900);
    assert_range(top(&search, 1050, 100), 951, 1050);
    assert_true(down(&search, &range, 100));
    assert_range(range, 701, 800);
}

static void a_smaller_span_goes_on_where_the_larger_one_ended(void **state)
{
    struct x402_search search = {0};
    struct x402_range range;

    (void)state;
    (void)top(&search, 1000, 100);
    assert_true(down(&search, &range, 10));
    assert_range(range, 891, 900);
}

static void blocks_that_nobody_searched_make_it_begin_anew(void **state)
{
    struct x402_search search = {0};
    struct x402_range range;

    (void)state;
    (void)top(&search, 1000, 100);
    assert_true(down(&search, &range, 100));
    assert_range(top(&search, 1101, 100), 1002, 1101); /* 1001 would be missed */
    assert_true(down(&search, &range, 100));
    assert_range(range, 902, 1001);
}

static void a_chain_that_went_back_makes_it_begin_anew(void **state)
{
    struct x402_search search = {0};
    struct x402_range range;

    (void)state;
    (void)top(&search, 1000, 100);
    assert_range(top(&search, 500, 100), 401, 500);
    assert_true(down(&search, &range, 100));
    assert_range(range, 301, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_search_goes_down_to_the_first_block_without_a_gap),
        cmocka_unit_test(a_chain_shorter_than_the_span_is_searched_at_once),
        cmocka_unit_test(new_blocks_are_searched_and_the_way_down_goes_on),
        cmocka_unit_test(a_smaller_span_goes_on_where_the_larger_one_ended),
        cmocka_unit_test(blocks_that_nobody_searched_make_it_begin_anew),
        cmocka_unit_test(a_chain_that_went_back_makes_it_begin_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
