/* The live set without a ledger: entries, equal tags, deaths, torn and foreign files.
 */
#include "fixture.h"

#include "ledger/live.h"

#include <sys/mman.h>

#define STAMP 0x5157
#define NOW 1800000000

struct set {
    struct fixture *fixture;
    char path[160];
    struct x402_live live;
};

static void set_open(struct set *set, struct fixture *fixture)
{
    set->fixture = fixture;
    snprintf(set->path, sizeof(set->path), "%s/set", fixture->directory);
    assert_int_equal(x402_live_open(&set->live, set->path, true), 0);
}

static void set_build(struct set *set, const struct x402_live_entry *entries,
                      size_t count, size_t room)
{
    const struct x402_live_building building = {.stamp = STAMP,
                                                .floor_seconds = NOW - 60,
                                                .entries = entries,
                                                .count = count,
                                                .room = room};

    assert_int_equal(x402_live_build(&set->live, &building), 0);
}

/* Opened and built, without entries. */
static struct set set_make(struct fixture *fixture)
{
    struct set set;

    set_open(&set, fixture);
    set_build(&set, NULL, 0, 100);
    return set;
}

/* Tags are spread as hashes are. */
static struct x402_live_entry entry_of(uint64_t number)
{
    return (struct x402_live_entry){.tag = (number * UINT64_C(0x9e3779b97f4a7c15)) >>
                                           (64 - X402_LIVE_TAG_BITS),
                                    .id = (int64_t)number,
                                    .until_seconds = NOW + 300};
}

static void put(struct x402_live *live, uint64_t number)
{
    const struct x402_live_entry entry = entry_of(number);

    x402_live_put(live, &entry);
}

/* How many entries there are with a tag and an id. */
static unsigned found(const struct x402_live *live, uint64_t tag, int64_t id)
{
    struct x402_live_search search = x402_live_search(live, tag);
    struct x402_live_entry entry;
    unsigned count = 0;

    while (x402_live_next(live, &search, &entry)) {
        assert_true(entry.tag == tag);
        count += entry.id == id;
    }
    return count;
}

static bool has(const struct x402_live *live, uint64_t number)
{
    const unsigned count = found(live, entry_of(number).tag, (int64_t)number);

    assert_in_range(count, 0, 1);
    return count == 1;
}

static void what_was_put_is_found_and_nothing_else(void **state)
{
    struct set set = set_make(*state);

    for (uint64_t i = 1; i <= 3000; i++) {
        put(&set.live, i);
    }
    for (uint64_t i = 1; i <= 6000; i++) {
        assert_true(has(&set.live, i) == (i <= 3000));
    }
    x402_live_close(&set.live);
}

static void entries_with_equal_tags_are_all_found(void **state)
{
    struct set set = set_make(*state);

    for (int64_t id = 1; id <= 200; id++) {
        const struct x402_live_entry entry = {7, id, NOW};
        const struct x402_live_entry last = {(UINT64_C(1) << 48) - 1, id, NOW};
        x402_live_put(&set.live, &entry);
        x402_live_put(&set.live, &last); /* these begin again at the first slot */
    }
    for (int64_t id = 1; id <= 200; id++) {
        assert_int_equal(found(&set.live, 7, id), 1);
        assert_int_equal(found(&set.live, (UINT64_C(1) << 48) - 1, id), 1);
    }
    assert_int_equal(found(&set.live, 8, 1), 0);
    x402_live_close(&set.live);
}

static void numbers_keep_all_their_bits(void **state)
{
    struct set set = set_make(*state);
    const struct x402_live_entry large = {(UINT64_C(1) << 48) - 2, X402_LIVE_ID_MAX,
                                          UINT32_MAX};
    const struct x402_live_entry odd = {1, INT64_C(1) << 32, 0};
    struct x402_live_search search;
    struct x402_live_entry out;

    x402_live_put(&set.live, &large);
    x402_live_put(&set.live, &odd);
    search = x402_live_search(&set.live, large.tag);
    assert_true(x402_live_next(&set.live, &search, &out));
    assert_true(out.tag == large.tag && out.id == large.id);
    assert_int_equal(out.until_seconds, UINT32_MAX);
    assert_int_equal(found(&set.live, 1, INT64_C(1) << 32), 1);
    x402_live_close(&set.live);
}

static void what_is_kept_longer_is_never_kept_shorter(void **state)
{
    struct set set = set_make(*state);
    struct x402_live_entry entry = entry_of(5);
    struct x402_live_entry *left;
    size_t count;

    put(&set.live, 4);
    put(&set.live, 5);
    entry.until_seconds = NOW + 900;
    assert_true(x402_live_keep(&set.live, &entry));
    entry.until_seconds = NOW + 100;
    assert_true(x402_live_keep(&set.live, &entry));
    assert_int_equal(x402_live_survivors(&set.live, NOW + 500, &left, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(left[0].id, 5);
    assert_int_equal(left[0].until_seconds, NOW + 900);
    free(left);
    entry = entry_of(6);
    assert_false(x402_live_keep(&set.live, &entry));
    x402_live_close(&set.live);
}

static void built_larger_it_has_what_is_not_over(void **state)
{
    struct set set = set_make(*state);
    struct x402_live_entry *left;
    size_t count;

    while (x402_live_comfort(&set.live) > 0) {
        const uint64_t number = 1 + 4096 - x402_live_comfort(&set.live);
        struct x402_live_entry entry = entry_of(number);
        entry.until_seconds = number % 2 == 0 ? NOW : NOW + 300;
        x402_live_put(&set.live, &entry);
    }
    x402_live_settle(&set.live);
    assert_int_equal(x402_live_survivors(&set.live, NOW, &left, &count), 0);
    set_build(&set, left, count, 10000);
    assert_true(x402_live_comfort(&set.live) >= 10000);
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(left[i].id % 2, 1);
        assert_true(has(&set.live, (uint64_t)left[i].id));
    }
    assert_int_equal(count, 1536);
    assert_int_equal(found(&set.live, entry_of(1026).tag, 1026), 0);
    free(left);
    x402_live_close(&set.live);
}

/* ------------------------------------------------------------------- the same file */

static void another_process_sees_what_was_put(void **state)
{
    struct set set = set_make(*state);
    struct x402_live other;

    assert_int_equal(x402_live_open(&other, set.path, true), 0);
    assert_true(x402_live_counts(&other, STAMP));
    put(&set.live, 1);
    assert_true(has(&other, 1));
    x402_live_settle(&set.live);
    assert_int_equal(x402_live_newest(&other).id, 1);
    x402_live_close(&other);
    x402_live_close(&set.live);
}

static void who_has_an_older_building_notices(void **state)
{
    struct set set = set_make(*state);
    struct x402_live other;
    struct x402_live_building larger = {
        .stamp = STAMP + 1, .floor_seconds = NOW, .room = 100000};

    assert_int_equal(x402_live_open(&other, set.path, true), 0);
    assert_true(x402_live_counts(&other, STAMP));
    assert_int_equal(x402_live_build(&set.live, &larger), 0);
    assert_false(x402_live_is_same(&other));
    assert_false(x402_live_counts(&other, STAMP));
    put(&set.live, 1);
    assert_true(x402_live_counts(&other, STAMP + 1));
    assert_true(has(&other, 1));
    x402_live_close(&other);
    x402_live_close(&set.live);
}

/* ---------------------------------------------------------------------------- deaths
 */

/* A process that puts 20 entries and dies; then what the next one finds. */
static void die_with_twenty(struct fixture *fixture)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        struct set set;
        set_open(&set, fixture);
        if (x402_live_counts(&set.live, STAMP)) {
            for (uint64_t i = 101; i <= 120; i++) {
                put(&set.live, i);
            }
            (void)raise(SIGKILL);
        }
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

static void what_a_dead_process_put_is_in_doubt(void **state)
{
    struct set set = set_make(*state);
    struct x402_live_entry last;

    put(&set.live, 1);
    x402_live_settle(&set.live);
    assert_false(x402_live_is_doubtful(&set.live));
    die_with_twenty(*state);
    assert_true(x402_live_is_doubtful(&set.live));
    assert_false(x402_live_is_unknowable(&set.live));
    for (int64_t id = 120; id > 110; id--) {
        assert_true(x402_live_doubt(&set.live, &last));
        assert_int_equal(last.id, id);
        x402_live_undo(&set.live);
    }
    assert_true(x402_live_doubt(&set.live, &last)); /* this one is in the ledger */
    x402_live_settle(&set.live);
    assert_int_equal(x402_live_newest(&set.live).id, 110);
    for (uint64_t i = 1; i <= 120; i++) {
        assert_true(has(&set.live, i) == (i == 1 || (i > 100 && i <= 110)));
    }
    x402_live_close(&set.live);
}

static void what_was_undone_leaves_no_trace(void **state)
{
    struct set set = set_make(*state);
    const uint64_t room = x402_live_room(&set.live);

    die_with_twenty(*state);
    for (int i = 0; i < 20; i++) {
        x402_live_undo(&set.live);
    }
    x402_live_settle(&set.live);
    assert_int_equal(x402_live_room(&set.live), room);
    assert_int_equal(x402_live_newest(&set.live).id, 0);
    x402_live_close(&set.live);
}

static void more_than_can_be_noted_are_unknowable(void **state)
{
    struct set set;

    set_open(&set, *state);
    set_build(&set, NULL, 0, 2 * X402_LIVE_TOUCHED_MAX);
    for (uint64_t i = 1; i <= X402_LIVE_TOUCHED_MAX; i++) {
        put(&set.live, i);
    }
    assert_false(x402_live_is_unknowable(&set.live));
    put(&set.live, X402_LIVE_TOUCHED_MAX + 1);
    assert_true(x402_live_is_unknowable(&set.live));
    x402_live_settle(&set.live); /* one that lives knows */
    assert_int_equal(x402_live_newest(&set.live).id, X402_LIVE_TOUCHED_MAX + 1);
    x402_live_close(&set.live);
}

/* Killed at random, many times: what was committed is there, the rest is undone. */
static void a_kill_at_any_time_loses_nothing_committed(void **state)
{
    struct set set = set_make(*state);
    volatile uint64_t *committed =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(committed != MAP_FAILED);
    for (int round = 0; round < 60; round++) {
        const uint64_t base = *committed;
        struct x402_live_entry entry;
        pid_t pid = fork();
        assert_true(pid >= 0);
        while (pid == 0) {
            for (int i = 0; i < 3; i++) {
                put(&set.live, *committed + 1 + (uint64_t)i);
            }
            *committed += 3; /* the ledger has them from here on */
            x402_live_settle(&set.live);
            if (x402_live_comfort(&set.live) < 8 || *committed > base + 40) {
                pause();
            }
        }
        while (*committed == base) {
            usleep(50);
        }
        usleep((useconds_t)(rand() % 300));
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        while (x402_live_doubt(&set.live, &entry) &&
               (entry.id == 0 || entry.id > (int64_t)*committed)) {
            x402_live_undo(&set.live);
        }
        x402_live_settle(&set.live);
        assert_int_equal(x402_live_newest(&set.live).id, *committed);
        for (uint64_t i = 1; i <= *committed + 3; i++) {
            assert_true(has(&set.live, i) == (i <= *committed));
        }
    }
    assert_true(*committed > 100);
    assert_int_equal(munmap((void *)(uintptr_t)committed, 4096), 0);
    x402_live_close(&set.live);
}

/* ----------------------------------------------------------------- files of all kinds
 */

/* Writes bytes of the header: stamp at 8, boot at 16, capacity at 32. */
static void header_write(const struct set *set, off_t offset, uint64_t value)
{
    int fd = open(set->path, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &value, sizeof(value), offset), sizeof(value));
    assert_int_equal(close(fd), 0);
}

static void a_file_of_another_kind_does_not_count(void **state)
{
    static const struct {
        off_t offset;
        uint64_t value;
    } damages[] = {{0, 0},  {8, 0},  {8, STAMP + 1}, {16, 7},
                   {24, 7}, {32, 0}, {32, 1 << 20},  {32, UINT64_MAX}};
    struct set set = set_make(*state);

    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        assert_true(x402_live_counts(&set.live, STAMP));
        header_write(&set, damages[i].offset, damages[i].value);
        assert_false(x402_live_counts(&set.live, STAMP));
        set_build(&set, NULL, 0, 100);
    }
    assert_false(x402_live_counts(&set.live, 0));
    x402_live_close(&set.live);
}

static void a_file_cut_short_does_not_count_and_is_built_again(void **state)
{
    static const off_t sizes[] = {0, 100, 36864, 50000};
    struct set set = set_make(*state);

    for (size_t i = 0; i < 4; i++) {
        assert_true(x402_live_counts(&set.live, STAMP));
        assert_int_equal(truncate(set.path, sizes[i]), 0);
        assert_false(x402_live_counts(&set.live, STAMP));
        set_build(&set, NULL, 0, 100);
        put(&set.live, 1);
        assert_true(has(&set.live, 1));
    }
    x402_live_close(&set.live);
}

/* As two who cut it do, one after the other: what was behind the cut is zeros. */
static void a_file_cut_short_and_made_longer_again_does_not_count(void **state)
{
    static const off_t sizes[] = {5000, 36864, 60000};
    struct set set = set_make(*state);

    for (size_t i = 0; i < 3; i++) {
        const off_t size = (off_t)set.live.mapped_size;
        assert_true(x402_live_counts(&set.live, STAMP));
        assert_int_equal(truncate(set.path, sizes[i]), 0);
        assert_int_equal(truncate(set.path, size), 0);
        assert_false(x402_live_counts(&set.live, STAMP));
        set_build(&set, NULL, 0, 100);
    }
    x402_live_close(&set.live);
}

static void a_symbolic_link_is_not_opened(void **state)
{
    struct fixture *fixture = *state;
    struct x402_live live;
    char path[160];

    snprintf(path, sizeof(path), "%s/link", fixture->directory);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(x402_live_open(&live, path, true), ELOOP);
    x402_live_close(&live);
}

static void no_more_are_put_than_are_allowed(void **state)
{
    struct set set = set_make(*state);
    struct x402_live_building building = {.stamp = STAMP, .count = 11};
    struct x402_live_entry entries[11] = {{0}};

    x402_live_bounds.max = 10;
    for (uint64_t i = 1; i <= 10; i++) {
        assert_int_equal(x402_live_room(&set.live), 11 - i);
        put(&set.live, i);
    }
    assert_int_equal(x402_live_room(&set.live), 0);
    building.entries = entries;
    assert_int_equal(x402_live_build(&set.live, &building), ENOSPC);
    assert_true(has(&set.live, 10)); /* it is as it was */
    x402_live_bounds.max = X402_LIVE_MAX;
    x402_live_close(&set.live);
}

static void without_space_it_stays_as_it_was(void **state)
{
    struct set set = set_make(*state);
    const struct x402_live_building building = {.stamp = STAMP + 1, .room = 1000000};
    struct rlimit before, full;

    put(&set.live, 1);
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    full = before;
    full.rlim_cur = 200000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    assert_int_not_equal(x402_live_build(&set.live, &building), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(x402_live_counts(&set.live, STAMP));
    assert_true(has(&set.live, 1));
    x402_live_close(&set.live);
}

int main(void)
{
#define TEST(name)                                                                     \
    cmocka_unit_test_setup_teardown(name, directory_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(what_was_put_is_found_and_nothing_else),
        TEST(entries_with_equal_tags_are_all_found),
        TEST(numbers_keep_all_their_bits),
        TEST(what_is_kept_longer_is_never_kept_shorter),
        TEST(built_larger_it_has_what_is_not_over),
        TEST(another_process_sees_what_was_put),
        TEST(who_has_an_older_building_notices),
        TEST(what_a_dead_process_put_is_in_doubt),
        TEST(what_was_undone_leaves_no_trace),
        TEST(more_than_can_be_noted_are_unknowable),
        TEST(a_kill_at_any_time_loses_nothing_committed),
        TEST(a_file_of_another_kind_does_not_count),
        TEST(a_file_cut_short_does_not_count_and_is_built_again),
        TEST(a_file_cut_short_and_made_longer_again_does_not_count),
        TEST(a_symbolic_link_is_not_opened),
        TEST(no_more_are_put_than_are_allowed),
        TEST(without_space_it_stays_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
