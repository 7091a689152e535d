#include "support.h"

#include "core/cache_control.h"

static void assert_leaves(const char *value, const char *left)
{
    char out[256] = "";

    assert_true(X402_CACHE_CONTROL_SIZE(strlen(value)) < sizeof out);
    assert_int_equal(x402_cache_control_private(out, x402_slice_of(value)),
                     strlen(left));
    assert_string_equal(out, left);
}

static void what_shared_caches_are_told_goes(void **state)
{
    (void)state;
    assert_leaves("public", "");
    assert_leaves("PUBLIC, S-MaxAge=5, private", "");
    assert_leaves("public,max-age=60", ", max-age=60");
}

static void what_all_caches_are_told_stays_in_its_order(void **state)
{
    (void)state;
    assert_leaves("no-transform ,\tmax-age=60, ,", ", no-transform, max-age=60");
    assert_leaves("publicity, private=\"x\", s-max",
                  ", publicity, private=\"x\", s-max");
    assert_leaves("", "");
    assert_leaves(" , ,", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_shared_caches_are_told_goes),
        cmocka_unit_test(what_all_caches_are_told_stays_in_its_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
