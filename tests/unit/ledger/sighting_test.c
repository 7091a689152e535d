/* Who is to be looked at, and what many looks at once come to. A payment is of 1000. */
#include "fixture.h"

#include <time.h>

#define BATCH 500

static void payer_write(uint8_t payer20[20], unsigned payer)
{
    memset(payer20, 0xf0, 20);
    memcpy(payer20, &payer, sizeof(payer));
}

static struct x402_admit payment_by(unsigned number, unsigned payer)
{
    struct x402_admit admit = presentation(number, 0);

    payer_write(admit.verified.from20, payer);
    return admit;
}

static struct x402_sighting sighting_of(unsigned payer, uint64_t block)
{
    struct x402_sighting sighting = {
        .looked = true, .balance = 1000000, .block_number = block};

    memset(sighting.payer.asset20, 0xa5, 20);
    payer_write(sighting.payer.payer20, payer);
    return sighting;
}

static void see(struct x402_ledger *ledger, const struct x402_sighting *sightings,
                size_t count)
{
    assert_int_equal(x402_ledger_payers_seen(ledger, CHAIN, sightings, count), X402_OK);
}

/* Payments number `first` and on are delivered, by payers 0, 1, 2 … in turn. */
static void sell_to(struct x402_ledger *ledger, unsigned first, unsigned count,
                    unsigned payers, int64_t *ids)
{
    static struct x402_admit admits[BATCH];
    static struct x402_outcome outcomes[BATCH];

    for (unsigned done = 0; done < count; done += BATCH) {
        const unsigned size = count - done < BATCH ? count - done : BATCH;
        for (unsigned i = 0; i < size; i++) {
            admits[i] = payment_by(first + done + i, (done + i) % payers);
        }
        assert_int_equal(
            x402_ledger_commit(ledger, "test", NULL, 0, admits, size, NULL, NULL),
            X402_OK);
        for (unsigned i = 0; i < size; i++) {
            assert_int_equal(admits[i].admission, X402_ADMISSION_NEW);
            ids[done + i] = admits[i].payment_id;
            outcomes[i] = (struct x402_outcome){.payment_id = admits[i].payment_id,
                                                .event = X402_EVENT_DELIVERED};
            memcpy(outcomes[i].attempt16, admits[i].attempt16, 16);
        }
        assert_int_equal(
            x402_ledger_commit(ledger, "test", outcomes, size, NULL, 0, NULL, NULL),
            X402_OK);
    }
}

static void settle_in(struct x402_ledger *ledger, const int64_t *ids, size_t count,
                      uint64_t block)
{
    static struct x402_verdict verdicts[BATCH * 4];

    for (size_t i = 0; i < count; i++) {
        verdicts[i] = told(ids[i], X402_EVENT_SETTLED);
        verdicts[i].block_number = block;
    }
    assert_int_equal(x402_ledger_advance(ledger, verdicts, count), X402_OK);
}

/* ---------------------------------------------------------------------------- seeing
 */

static void each_of_many_sightings_counts_what_is_settled_above_its_block(void **state)
{
    struct fixture *fixture = *state;
    static int64_t ids[1800];
    static struct x402_sighting sightings[600];

    sell_to(fixture->ledger, 0, 1800, 600, ids);
    settle_in(fixture->ledger, ids, 600, 150);
    settle_in(fixture->ledger, ids + 600, 600, 200);
    settle_in(fixture->ledger, ids + 1200, 600, 250);
    for (unsigned i = 0; i < 600; i++) {
        sightings[i] = sighting_of(i, i % 2 == 0 ? 100 : 200);
    }
    see(fixture->ledger, sightings, 600);
    assert_int_equal(number_of(fixture, "SELECT count(*) FROM payer WHERE "
                                        "after_block = 3000 AND balance_block = 100"),
                     300);
    assert_int_equal(number_of(fixture, "SELECT count(*) FROM payer WHERE "
                                        "after_block = 1000 AND balance_block = 200"),
                     300);
    assert_books(fixture->ledger);
}

/* The workers wait for whoever writes. */
static void a_thousand_sightings_below_much_that_is_settled_are_cheap(void **state)
{
    struct fixture *fixture = *state;
    static int64_t ids[8000];
    static struct x402_sighting sightings[1000];
    clock_t before;

    sell_to(fixture->ledger, 0, 8000, 1000, ids);
    for (unsigned i = 0; i < 8000; i += 2000) {
        settle_in(fixture->ledger, ids + i, 2000, 150 + i);
    }
    for (unsigned i = 0; i < 1000; i++) {
        sightings[i] = sighting_of(i, 100);
    }
    before = clock();
    see(fixture->ledger, sightings, 1000);
    assert_in_range(clock() - before, 0, CLOCKS_PER_SEC / 2);
    assert_int_equal(
        number_of(fixture, "SELECT count(*) FROM payer WHERE after_block = 8000"),
        1000);
}

static void of_two_sightings_of_a_payer_the_later_counts(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sighting sightings[2] = {sighting_of(0, 160), sighting_of(0, 140)};
    int64_t id;

    sell_to(fixture->ledger, 0, 1, 1, &id);
    settle_in(fixture->ledger, &id, 1, 150);
    sightings[1].balance = 7000;
    see(fixture->ledger, sightings, 2);
    assert_int_equal(number_of(fixture, "SELECT balance FROM payer"), 7000);
    assert_int_equal(number_of(fixture, "SELECT after_block FROM payer"), 1000);
}

static void a_later_sighting_from_below_what_is_final_is_left_out(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sighting sightings[2] = {sighting_of(0, 160), sighting_of(0, 140)};
    int64_t id;

    sell_to(fixture->ledger, 0, 1, 1, &id);
    settle_in(fixture->ledger, &id, 1, 150);
    assert_true(chain_on(fixture->ledger, id, X402_EVENT_FINAL));
    sightings[1].balance = 7000;
    see(fixture->ledger, sightings, 2);
    assert_int_equal(number_of(fixture, "SELECT balance FROM payer"), 1000000);
    assert_int_equal(number_of(fixture, "SELECT balance_block FROM payer"), 160);
}

/* ---------------------------------------------------------------------------- wanted
 */

static unsigned payer_of(const struct x402_payer *wanted)
{
    unsigned payer;

    memcpy(&payer, wanted->payer20, sizeof(payer));
    return payer;
}

/* Payers 0 up to `known` were seen long ago and have something unsettled; so many more
 * were never seen. */
static void make_wanted(struct fixture *fixture, unsigned known, unsigned unseen)
{
    static int64_t ids[100];
    struct x402_sighting sightings[100];

    sell_to(fixture->ledger, 0, known + unseen, known + unseen, ids);
    for (unsigned i = 0; i < known; i++) {
        sightings[i] = sighting_of(i, 10);
    }
    see(fixture->ledger, sightings, known);
    clock_forward(fixture, 1000);
}

/* How many of those wanted are known. */
static unsigned known_among(struct fixture *fixture, size_t max, size_t expected,
                            unsigned known)
{
    struct x402_payer wanted[100];
    size_t count = 0;
    unsigned found = 0;

    assert_int_equal(
        x402_ledger_payers_wanted(fixture->ledger, CHAIN, wanted, max, &count),
        X402_OK);
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++) {
        const bool is_known = payer_of(&wanted[i]) < known;
        assert_true(is_known || found == 0); /* they come last */
        found += is_known;
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(payer_of(&wanted[i]), payer_of(&wanted[j]));
        }
    }
    return found;
}

static void those_never_seen_leave_half_of_the_looks_to_others(void **state)
{
    struct fixture *fixture = *state;

    make_wanted(fixture, 20, 20);
    assert_int_equal(known_among(fixture, 6, 6, 20), 3);
    assert_int_equal(known_among(fixture, 7, 7, 20), 3);
    assert_int_equal(known_among(fixture, 30, 30, 20), 15);
    assert_int_equal(known_among(fixture, 100, 40, 20), 20);
}

static void looks_left_by_those_never_seen_are_for_others(void **state)
{
    struct fixture *fixture = *state;

    make_wanted(fixture, 20, 2);
    assert_int_equal(known_among(fixture, 10, 10, 20), 8);
}

static void looks_left_by_others_are_for_those_never_seen(void **state)
{
    struct fixture *fixture = *state;

    make_wanted(fixture, 2, 20);
    assert_int_equal(known_among(fixture, 10, 10, 2), 2);
}

static void a_clock_set_back_postpones_no_look(void **state)
{
    struct fixture *fixture = *state;
    struct x402_sighting sighting = sighting_of(0, 10);
    int64_t id;

    clock_forward(fixture, 3600);
    sell_to(fixture->ledger, 0, 1, 1, &id);
    see(fixture->ledger, &sighting, 1);
    assert_int_equal(known_among(fixture, 10, 0, 1), 0);
    clock_forward(fixture, 3595);
    assert_int_equal(known_among(fixture, 10, 0, 1), 0);
    clock_forward(fixture, 0);
    assert_int_equal(known_among(fixture, 10, 1, 1), 1);
    see(fixture->ledger, &sighting, 1);
    assert_int_equal(known_among(fixture, 10, 0, 1), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(each_of_many_sightings_counts_what_is_settled_above_its_block),
        TEST(a_thousand_sightings_below_much_that_is_settled_are_cheap),
        TEST(of_two_sightings_of_a_payer_the_later_counts),
        TEST(a_later_sighting_from_below_what_is_final_is_left_out),
        TEST(those_never_seen_leave_half_of_the_looks_to_others),
        TEST(looks_left_by_those_never_seen_are_for_others),
        TEST(looks_left_by_others_are_for_those_never_seen),
        TEST(a_clock_set_back_postpones_no_look),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
