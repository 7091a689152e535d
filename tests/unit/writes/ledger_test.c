/*
 * Every call to the system that writes fails in its turn under every call of the
 * ledger. Whatever happens: the call says so, all of it or nothing is in force, and
 * what it said is in force is so after a power cut, for this handle and for another.
 */
#include "unit/ledger/acts.h"

#include "unit/writes/writes.h"

#define STRIDE 11  /* in a short run; odd, so that both handles get their turn */
#define CROWD 3071 /* with ours, three quarters of the smallest set */
#define BALLAST_ROUNDS 11
#define BALLAST_BYTES 400000 /* a hundred pages; a thousand in the log are copied */

extern const char x402_ledger_schema_sql[];

/* Another ledger, as a machine that lost its power finds it. */
static struct x402_ledger *after_power_cut(struct scene *scene, struct fixture *cut)
{
    *cut = (struct fixture){0};
    snprintf(cut->directory, sizeof(cut->directory), "%s", writes_kept);
    snprintf(cut->path, sizeof(cut->path), "%s/ledger.db", writes_kept);
    scene->fixture = cut;
    return cut->ledger = handle_open(cut);
}

static void folder_empty(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;

    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    (void)closedir(folder);
}

/* From here on what is synced is kept. */
static void watch(const struct fixture *fixture)
{
    snprintf(writes_watched, sizeof(writes_watched), "%s", fixture->directory);
    snprintf(writes_kept, sizeof(writes_kept), "%.50s.kept", fixture->directory);
    assert_int_equal(mkdir(writes_kept, 0700), 0);
}

static void unwatch(void)
{
    char path[sizeof(writes_kept)];

    snprintf(path, sizeof(path), "%s", writes_kept);
    writes_kept[0] = '\0';
    folder_empty(path);
    assert_int_equal(rmdir(path), 0);
}

/* The copy is a ledger of its own, in which the same holds. */
static void power_cut_check(const struct scene *scene, const struct act *act,
                            enum x402_error error)
{
    struct fixture cut;
    struct scene found = *scene;
    char kept[sizeof(writes_kept)];

    snprintf(kept, sizeof(kept), "%s", writes_kept);
    found.ledger = after_power_cut(&found, &cut);
    writes_kept[0] = '\0'; /* while it is looked at */
    assert_books(found.ledger);
    act->check(&found, error);
    assert_books(found.ledger);
    x402_ledger_close(found.ledger);
    snprintf(writes_kept, sizeof(writes_kept), "%s", kept);
}

struct turn {
    struct act act;
    void (*prepare)(struct scene *scene); /* or NULL */
};

static void scene_begin(struct scene *scene, const struct turn *turn, void **state)
{
    assert_int_equal(directory_make(state), 0);
    scene->fixture = *state;
    watch(scene->fixture);
    assert_int_equal(x402_ledger_create(scene->fixture->path, NOBODY, NOBODY,
                                        scene->fixture->message),
                     X402_OK);
    scene->fixture->ledger = handle_open(scene->fixture);
    scene_make(scene);
    if (turn->prepare != NULL) {
        turn->prepare(scene);
    }
}

static bool one_turn(const void *data, enum writes_way way, int nth, bool lasting)
{
    const struct turn *turn = data;
    struct scene scene = {0};
    void *state = NULL;

    scene_begin(&scene, turn, &state);
    writes_arm(way, nth, lasting);
    enum x402_error error = turn->act.act(&scene);
    bool failed = writes_failed();
    assert_true(error == X402_OK || error == X402_ERR_LEDGER);
    assert_true(error == X402_OK || failed);
    power_cut_check(&scene, &turn->act, error);
    if (nth % 2 == 0 || scene.ledger == NULL) {
        scene.ledger = another_handle(scene.fixture);
        assert_books(scene.ledger);
    }
    turn->act.check(&scene, error);
    assert_books(scene.ledger);
    unwatch();
    assert_int_equal(fixture_release(&state), 0);
    return failed;
}

static void every_write(const struct turn *turn, int stride)
{
    int turns = writes_in_turn(one_turn, turn, stride);

    print_message("%d turns\n", turns);
    assert_true(turns > WRITES_WAYS);
}

/* ------------------------------------------------------------------ each call's own */

static void a_commit_is_whole_or_not(void **state)
{
    (void)state;
    every_write(&(struct turn){{commit, commit_check}, NULL}, STRIDE);
}

static void a_submission_is_whole_or_not(void **state)
{
    (void)state;
    every_write(&(struct turn){{submit, submit_check}, NULL}, STRIDE);
}

static void a_verdict_is_whole_or_not(void **state)
{
    (void)state;
    every_write(&(struct turn){{advance, advance_check}, NULL}, STRIDE);
}

static void a_sighting_can_be_told_again(void **state)
{
    (void)state;
    every_write(&(struct turn){{see, again_check}, NULL}, STRIDE);
}

static void a_note_can_be_made_again(void **state)
{
    (void)state;
    every_write(&(struct turn){{note, again_check}, NULL}, STRIDE);
}

static void lease_runs_out(struct scene *scene)
{
    clock_forward(scene->fixture, X402_LEASE_SECONDS);
}

static void tidying_can_be_done_again(void **state)
{
    (void)state;
    every_write(&(struct turn){{tidy, again_check}, lease_runs_out}, STRIDE);
}

/* ------------------------------------------------------- when the log is copied back
 */

/* A log so long that the next commit copies it into the file. */
static void ballast(struct scene *scene)
{
    sqlite3 *db = NULL;
    char sql[128];

    snprintf(sql, sizeof(sql), "UPDATE ballast SET x = randomblob(%d)", BALLAST_BYTES);
    assert_int_equal(sqlite3_open(scene->fixture->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = "
                                  "FULL; CREATE TABLE ballast (x); INSERT INTO ballast "
                                  "VALUES (NULL)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    for (int i = 0; i < BALLAST_ROUNDS; i++) {
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    }
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_commit_that_copies_the_log_is_whole_or_not(void **state)
{
    (void)state;
    every_write(&(struct turn){{commit, commit_check}, ballast}, 251);
}

/* The second of them starts the log again. */
static enum x402_error note_twice(struct scene *scene)
{
    enum x402_error error = note(scene);

    return error == X402_OK ? note(scene) : error;
}

static void a_log_that_starts_again_loses_nothing(void **state)
{
    (void)state;
    every_write(&(struct turn){{note_twice, again_check}, ballast}, 251);
}

static enum x402_error leave(struct scene *scene)
{
    x402_ledger_close(scene->fixture->ledger);
    scene->fixture->ledger = scene->ledger = NULL;
    return X402_OK;
}

static void leave_check(struct scene *scene, enum x402_error error)
{
    assert_state(scene->ledger, scene->due_id, X402_DELIVERY_DELIVERED, X402_MONEY_DUE);
    assert_state(scene->ledger, scene->served.payment_id, X402_DELIVERY_PENDING,
                 X402_MONEY_HELD);
    again_check(scene, error);
}

static void closing_loses_nothing(void **state)
{
    (void)state;
    every_write(&(struct turn){{leave, leave_check}, NULL}, STRIDE);
    every_write(&(struct turn){{leave, leave_check}, ballast}, 251);
}

/* ------------------------------------------------------------------------ beginnings
 */

/* As a program of version 1 made it. */
static void make_old(const struct fixture *fixture)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(fixture->path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db,
                     "PRAGMA journal_mode = WAL; BEGIN; PRAGMA application_id = "
                     "2016686130; PRAGMA user_version = 1",
                     NULL, NULL, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, x402_ledger_schema_sql, NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void create(struct fixture *fixture)
{
    assert_int_equal(
        x402_ledger_create(fixture->path, NOBODY, NOBODY, fixture->message), X402_OK);
}

/* A ledger that was made is one after a power cut; one that was not can be made. */
static bool one_creation(const void *data, enum writes_way way, int nth, bool lasting)
{
    struct scene cut_scene = {0};
    struct fixture *fixture, cut;
    void *state = NULL;

    assert_int_equal(directory_make(&state), 0);
    fixture = state;
    watch(fixture);
    if (data != NULL) {
        make_old(fixture);
    }
    writes_arm(way, nth, lasting);
    enum x402_error error =
        x402_ledger_create(fixture->path, NOBODY, NOBODY, fixture->message);
    bool failed = writes_failed();
    if (error == X402_OK) {
        (void)sell(after_power_cut(&cut_scene, &cut), 1);
        x402_ledger_close(cut.ledger);
    } else {
        assert_true(failed && error == X402_ERR_LEDGER);
        assert_non_null(strstr(fixture->message, "cannot create ledger"));
        create(fixture);
    }
    fixture->ledger = handle_open(fixture);
    (void)sell(fixture->ledger, 1);
    assert_books(fixture->ledger);
    unwatch();
    assert_int_equal(fixture_release(&state), 0);
    return failed;
}

static void creating_is_whole_or_can_be_done_again(void **state)
{
    (void)state;
    assert_true(writes_in_turn(one_creation, NULL, 23) > WRITES_WAYS);
}

static void migrating_is_whole_or_can_be_done_again(void **state)
{
    (void)state;
    assert_true(writes_in_turn(one_creation, "old", 23) > WRITES_WAYS);
}

/* ------------------------------------------------------- the set of live payments */

/* Nobody has the ledger open, and what stood beside it is lost. */
static void lose_set(struct scene *scene)
{
    char path[sizeof(scene->fixture->path) + 8];

    x402_ledger_close(scene->fixture->ledger);
    scene->fixture->ledger = scene->ledger = NULL;
    snprintf(path, sizeof(path), "%s-live", scene->fixture->path);
    assert_int_equal(unlink(path), 0);
}

static enum x402_error open_and_commit(struct scene *scene)
{
    char message[X402_LEDGER_MESSAGE_MAX] = "";
    enum x402_error error = x402_ledger_open(
        &scene->fixture->ledger, scene->fixture->path, X402_LEDGER_WRITE, message);

    scene->ledger = scene->fixture->ledger;
    scene->offered.admission = X402_ADMISSION_UNAVAILABLE;
    return error == X402_OK ? commit(scene) : error;
}

static void a_commit_that_makes_the_set_anew_is_whole_or_not(void **state)
{
    (void)state;
    every_write(&(struct turn){{open_and_commit, commit_check}, lose_set}, STRIDE);
}

/* As many as make the next one build a larger set. */
static void crowd(struct scene *scene)
{
    static struct x402_admit admits[CROWD];

    for (unsigned i = 0; i < CROWD; i++) {
        admits[i] = presentation(1000 + i, 0);
    }
    assert_int_equal(
        x402_ledger_commit(scene->ledger, "test", NULL, 0, admits, CROWD, NULL, NULL),
        X402_OK);
    scene->crowd = CROWD;
}

static void a_commit_that_makes_the_set_larger_is_whole_or_not(void **state)
{
    (void)state;
    every_write(&(struct turn){{commit, commit_check}, crowd}, STRIDE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_is_whole_or_not),
        cmocka_unit_test(a_submission_is_whole_or_not),
        cmocka_unit_test(a_verdict_is_whole_or_not),
        cmocka_unit_test(a_sighting_can_be_told_again),
        cmocka_unit_test(a_note_can_be_made_again),
        cmocka_unit_test(tidying_can_be_done_again),
        cmocka_unit_test(a_commit_that_copies_the_log_is_whole_or_not),
        cmocka_unit_test(a_log_that_starts_again_loses_nothing),
        cmocka_unit_test(closing_loses_nothing),
        cmocka_unit_test(creating_is_whole_or_can_be_done_again),
        cmocka_unit_test(migrating_is_whole_or_can_be_done_again),
        cmocka_unit_test(a_commit_that_makes_the_set_anew_is_whole_or_not),
        cmocka_unit_test(a_commit_that_makes_the_set_larger_is_whole_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
