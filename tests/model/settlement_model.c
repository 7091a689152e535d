/*
 * Seeded random histories of the settler's decisions against a chain, a node, payers
 * and a ledger that do their worst; settlement/check.c says what must hold, and is
 * asked after every step. Then decisions that are broken on purpose, each of which must
 * be objected to.
 *
 *   settlement_model            HISTORIES of them, on all processors, and the broken
 *   settlement_model SEED       that history alone
 *   settlement_model SEED -v    and what happens in it
 */
#include "settlement/model.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef HISTORIES
#define HISTORIES 300000
#endif
#define BROKEN_HISTORIES_MAX 100000
#define AGAIN_HISTORIES                                                                \
    50 /* lived twice, to see that a seed is all there is to one                       \
        */
#define PROCESSES_MAX 16

static const struct rules none_broken;
static struct world world;

/* ------------------------------------------------------------------------ one history
 */

static bool maybe(uint32_t n)
{
    return one_in(&world, n);
}

static struct troubles troubles_of_history(void)
{
    struct troubles troubles = {
        .reorgs = maybe(2),
        .crashes = maybe(2),
        .errors = maybe(2),
        .lags = maybe(2),
        .drops = maybe(3),
        .fees = maybe(2),
        .gas = maybe(4),
        .payers = maybe(2),
        .strangers = maybe(3),
        .elsewhere = maybe(6),
        .ledger = maybe(3),
        .sizes = maybe(4),
        .bursts = maybe(3),
        .contract = !maybe(3),
        .pending_calls = maybe(2),
        .refuses_cheap = maybe(2),
        .loses_reorged = maybe(2),
    };

    troubles.clock_ahead = maybe(3) ? (int64_t)below(&world, 40) - 15 : 0;
    troubles.rarity = maybe(3) ? 4 : maybe(2) ? 2 : 1;
    troubles.lasting_size = troubles.sizes ? below(&world, 4) : 0;
    troubles.lasting_fee = troubles.fees ? 1 + below(&world, 6) : 1;
    troubles.until = world.now + 60 + below(&world, 160);
    return troubles;
}

/* Nothing is left of the history before: blocks are written before they are read. */
static void begin(uint64_t seed, const struct rules *rules, bool verbose)
{
    memset(&world, 0, offsetof(struct world, chain.blocks));
    world.rules = rules_mended(rules);
    world.verbose = verbose;
    world.random = seed * UINT64_C(0x2545f4914f6cdd1d);
    world.now = 1000;
    world.troubles = troubles_of_history();
    world.counts.histories = 1;
    chain_begin(&world);
    callers_begin(&world);
    settler_forget(&world);
}

static void live(void)
{
    if (_setjmp(world.died) != 0) {
        settler_forget(&world);
        world.down_until = world.now + 1 + below(&world, 10);
    }
    while (world.violation == NULL && !check_is_over(&world) &&
           world.now < world.troubles.until + CALM_SECONDS_MAX) {
        if (world.now >= world.down_until)
            settler_pass(&world);
        second(&world);
    }
}

/* What was violated, or NULL. */
static const char *history(uint64_t seed, const struct rules *rules, bool verbose)
{
    begin(seed, rules, verbose);
    live();
    if (world.violation == NULL)
        check_end(&world);
    return world.violation;
}

/* ---------------------------------------------------------------------- many of them
 */

struct result {
    struct counts counts;
    uint64_t failures, first_seed;
    char violation[80];
};

static void add_counts(struct counts *sum, const struct counts *more)
{
    uint64_t *to = (uint64_t *)sum;
    const uint64_t *from = (const uint64_t *)more;

    for (size_t i = 0; i < sizeof *sum / sizeof *to; i++)
        to[i] += from[i];
}

static struct result run(uint64_t first, uint64_t last, uint64_t stride)
{
    struct result result = {.failures = 0};

    for (uint64_t seed = first; seed <= last; seed += stride) {
        const char *violation = history(seed, &none_broken, false);
        add_counts(&result.counts, &world.counts);
        if (violation != NULL && result.failures++ == 0) {
            result.first_seed = seed;
            snprintf(result.violation, sizeof result.violation, "%s", violation);
        }
    }
    return result;
}

static void add_result(struct result *all, const struct result *one)
{
    add_counts(&all->counts, &one->counts);
    if (one->failures > 0 &&
        (all->failures == 0 || one->first_seed < all->first_seed)) {
        all->first_seed = one->first_seed;
        memcpy(all->violation, one->violation, sizeof all->violation);
    }
    all->failures += one->failures;
}

static uint64_t processes_count(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (processors < 1)
        return 1;
    return processors > PROCESSES_MAX ? PROCESSES_MAX : (uint64_t)processors;
}

/* A process for each processor, each with its share of the seeds. */
static bool run_all(struct result *all, uint64_t last)
{
    uint64_t processes = processes_count(), heard = 0;
    struct result one;
    int ends[2];

    memset(all, 0, sizeof *all);
    if (pipe(ends) != 0)
        return false;
    fflush(stdout);
    for (uint64_t i = 0; i < processes; i++) {
        if (fork() == 0) {
            one = run(i + 1, last, processes);
            _exit(write(ends[1], &one, sizeof one) == sizeof one ? 0 : 1);
        }
    }
    close(ends[1]);
    while (read(ends[0], &one, sizeof one) == sizeof one) {
        add_result(all, &one);
        heard++;
    }
    while (wait(NULL) > 0)
        continue;
    close(ends[0]);
    return heard == processes;
}

/* ---------------------------------------------------------------------------- reports
 */

static void print_counts(const struct counts *counts)
{
    static const struct {
        const char *name;
        size_t offset;
    } lines[] = {
#define LINE(name) {#name, offsetof(struct counts, name)}
        LINE(histories), LINE(steps),    LINE(passes),   LINE(blocks), LINE(reorgs),
        LINE(crashes),   LINE(faults),   LINE(stale),    LINE(lost),   LINE(payments),
        LINE(batches),   LINE(singles),  LINE(replaced), LINE(halved), LINE(filled),
        LINE(included),  LINE(vain),     LINE(final),    LINE(failed), LINE(untraced),
        LINE(live),      LINE(stranded),
#undef LINE
    };

    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        uint64_t count;
        memcpy(&count, (const char *)counts + lines[i].offset, sizeof count);
        printf("settlement %-10s %12llu\n", lines[i].name, (unsigned long long)count);
    }
}

/* Whether a history is the same when it is lived again after others. */
static bool is_repeatable(void)
{
    struct counts counts;

    for (uint64_t seed = 1; seed <= AGAIN_HISTORIES; seed++) {
        (void)history(seed, &none_broken, false);
        counts = world.counts;
        (void)history(seed + AGAIN_HISTORIES, &none_broken, false);
        (void)history(seed, &none_broken, false);
        if (memcmp(&counts, &world.counts, sizeof counts) != 0) {
            printf("settlement: seed %llu does not replay\n", (unsigned long long)seed);
            return false;
        }
    }
    return true;
}

/* Whether what is broken on purpose is objected to. */
static bool is_objected_to(const struct broken *one)
{
    const char *violation = NULL;
    uint64_t seed = 0;

    while (violation == NULL && seed < BROKEN_HISTORIES_MAX)
        violation = history(++seed, &one->rules, false);
    printf("settlement broken: %-26s %s (seed %llu)\n", one->name,
           violation ? violation : "not objected to", (unsigned long long)seed);
    return violation != NULL;
}

static bool check_everything(void)
{
    struct result result;
    bool good = run_all(&result, HISTORIES);

    print_counts(&result.counts);
    if (result.failures > 0)
        printf("settlement: %llu violations; seed %llu: %s\n",
               (unsigned long long)result.failures,
               (unsigned long long)result.first_seed, result.violation);
    good = is_repeatable() && good && result.failures == 0;
    for (size_t i = 0; i < broken_count; i++)
        good = is_objected_to(&broken[i]) && good;
    return good;
}

int main(int count, char **arguments)
{
    const char *violation;

    if (count < 2)
        return check_everything() ? 0 : 1;
    violation = history(strtoull(arguments[1], NULL, 10), &none_broken,
                        count > 2 && strcmp(arguments[2], "-v") == 0);
    print_counts(&world.counts);
    printf("settlement: seed %s: %s\n", arguments[1], violation ? violation : "holds");
    return violation != NULL;
}
