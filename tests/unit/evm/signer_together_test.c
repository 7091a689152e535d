/*
 * Many signatures checked together, whatever the processor can: in place of the
 * recovery of eight, the linker (--wrap, see the Makefile) puts what a test says.
 */
#include "evm/recover8.h"
#include "evm/signer.h"
#include "unit/evm/alone.h"
#include "unit/evm/chosen.h"
#include "unit/evm/person.h"

#define CHECKS_MAX 64
#define PEOPLE 12
#define PEOPLE_KNOWN 6 /* the first of them */

bool __real_x402_recover8_is_here(void);
void __real_x402_recover8(struct x402_recovery *items, size_t count);
bool __wrap_x402_recover8_is_here(void);
void __wrap_x402_recover8(struct x402_recovery *items, size_t count);

/* ----------------------------------------------------------- what recovers together */

enum way {
    AS_HERE,  /* what this processor can */
    IN_TURN,  /* as if it could, by libsecp256k1 */
    BY_HALF,  /* the same, and of each second it knows nothing */
    NOT_ONE,  /* it knows nothing */
    NOT_HERE, /* it cannot */
    WAYS
};

static enum way way;
static size_t recovered_together;

bool __wrap_x402_recover8_is_here(void)
{
    if (way == AS_HERE)
        return __real_x402_recover8_is_here();
    return way != NOT_HERE;
}

void __wrap_x402_recover8(struct x402_recovery *items, size_t count)
{
    uint8_t address20[20];

    assert_in_range(count, X402_RECOVER8_MIN, X402_RECOVER8_MAX);
    assert_true(__wrap_x402_recover8_is_here());
    recovered_together += count;
    if (way == AS_HERE) {
        __real_x402_recover8(items, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        items[i].known =
            way != NOT_ONE && (way != BY_HALF || i % 2 == 0) &&
            x402_signature_recover_key(address20, items[i].key64, items[i].digest32,
                                       items[i].signature65) == X402_OK;
}

/* ------------------------------------------------------------------------ the checks
 */

static struct person people[PEOPLE];

/* Signatures, and whose they are said to be. */
struct batch {
    uint8_t digests[CHECKS_MAX][32], signatures[CHECKS_MAX][65];
    struct x402_signature_check checks[CHECKS_MAX + 1];
    bool good[CHECKS_MAX]; /* by x402_signature_recover */
};

static void meet(struct x402_signers *signers, struct person *one)
{
    uint8_t digest32[32], signature65[65];

    for (int i = 0; i < X402_SIGNER_SIGHTINGS; i++) {
        sign(digest32, signature65, one);
        assert_int_equal(check_alone(signers, one->address20, digest32, signature65),
                         X402_OK);
    }
}

static struct x402_signers *signers_new(void)
{
    struct x402_signers *signers = x402_signers_create();

    assert_non_null(signers);
    for (uint32_t i = 0; i < PEOPLE; i++)
        people[i] = person(i);
    for (size_t i = 0; i < PEOPLE_KNOWN; i++)
        meet(signers, &people[i]);
    return signers;
}

enum kind {
    GOOD,
    ANOTHERS,     /* another's signature under this name */
    OTHER_DIGEST, /* of another authorization */
    OTHER_R,
    OTHER_S,
    OTHER_V,
    TWIN, /* its s is high */
    NO_V,
    NO_R,
    NO_S,
    FULL, /* each byte 0xff */
    KINDS
};

static void spoil(uint8_t digest32[32], uint8_t signature65[65], enum kind kind,
                  unsigned number)
{
    switch (kind) {
    case OTHER_DIGEST:
        digest32[number % 32] ^= (uint8_t)(1 << number % 8);
        break;
    case OTHER_R:
        signature65[number % 32] ^= (uint8_t)(1 << number % 8);
        break;
    case OTHER_S:
        signature65[32 + number % 32] ^= (uint8_t)(1 << number % 8);
        break;
    case OTHER_V:
        signature65[64] = (uint8_t)(27 + 28 - signature65[64]);
        break;
    case TWIN:
        chosen_twin(signature65);
        break;
    case NO_V:
        signature65[64] = (uint8_t)(number % 27);
        break;
    case NO_R:
        memset(signature65, 0, 32);
        break;
    case NO_S:
        memset(signature65 + 32, 0, 32);
        break;
    case FULL:
        memset(signature65, 0xff, 65);
        break;
    case GOOD:
    case ANOTHERS:
    case KINDS:
    default:
        break;
    }
}

static void fill(struct batch *batch, size_t i, enum kind kind, unsigned number)
{
    struct person *named = &people[number % PEOPLE];
    struct person *by = kind == ANOTHERS ? &people[(number + 1) % PEOPLE] : named;
    uint8_t recovered20[20];

    sign(batch->digests[i], batch->signatures[i], by);
    spoil(batch->digests[i], batch->signatures[i], kind, number);
    batch->good[i] = x402_signature_recover(recovered20, batch->digests[i],
                                            batch->signatures[i]) == X402_OK &&
                     memcmp(recovered20, named->address20, 20) == 0;
    assert_int_equal(batch->good[i], kind == GOOD);
    batch->checks[i] =
        (struct x402_signature_check){.signer20 = named->address20,
                                      .digest32 = batch->digests[i],
                                      .signature65 = batch->signatures[i],
                                      .good = !batch->good[i]};
}

/* Each is as recovery says; what is behind them is left alone. */
static void assert_checked(struct x402_signers *signers, struct batch *batch,
                           size_t count)
{
    struct x402_signature_check untouched;

    memset(&untouched, 0xA5, sizeof untouched);
    batch->checks[count] = untouched;
    x402_signers_check(signers, batch->checks, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(batch->checks[i].good, batch->good[i]);
        assert_ptr_equal(batch->checks[i].digest32, batch->digests[i]);
        assert_ptr_equal(batch->checks[i].signature65, batch->signatures[i]);
    }
    assert_memory_equal(&batch->checks[count], &untouched, sizeof untouched);
}

static const size_t counts[] = {0, 1, 2, 3, 4, 7, 8, 9, 10, 11, 16, 17, 19, 63, 64};

#define COUNTS (sizeof counts / sizeof counts[0])

/* Each number of signatures, in which each kind comes in each place. */
static void assert_all_counts_checked(struct x402_signers *signers)
{
    struct batch batch;

    for (size_t i = 0; i < COUNTS; i++)
        for (unsigned round = 0; round < KINDS; round++) {
            for (unsigned j = 0; j < counts[i]; j++)
                fill(&batch, j,
                     j % 3 == 0 ? GOOD : (enum kind)((j + j / KINDS + round) % KINDS),
                     7 * j + 5 * round);
            assert_checked(signers, &batch, counts[i]);
        }
}

static void each_verdict_is_recoverys_in_every_way(void **state)
{
    (void)state;
    for (way = 0; way < WAYS; way++) {
        struct x402_signers *signers = signers_new();
        assert_all_counts_checked(signers);
        x402_signers_destroy(signers);
    }
}

static void each_verdict_is_recoverys_without_memory_of_any(void **state)
{
    (void)state;
    x402_signers_destroy(signers_new());
    for (way = 0; way < WAYS; way++)
        assert_all_counts_checked(NULL);
}

/* One that is unlike the others, in each place of each number. */
static void assert_odd_one_out(bool is_good)
{
    struct x402_signers *signers = signers_new();
    struct batch batch;

    way = AS_HERE;
    for (unsigned count = 1; count <= 2 * X402_RECOVER8_MAX + 1; count++)
        for (unsigned at = 0; at < count; at++) {
            for (unsigned i = 0; i < count; i++)
                fill(&batch, i,
                     (i == at) == is_good ? GOOD
                                          : (enum kind)(1 + (i + count) % (KINDS - 1)),
                     i + at);
            assert_checked(signers, &batch, count);
        }
    x402_signers_destroy(signers);
}

static void one_forged_among_good_ones_is_refused_alone(void **state)
{
    (void)state;
    assert_odd_one_out(false);
}

static void one_good_among_forged_ones_is_good_alone(void **state)
{
    (void)state;
    assert_odd_one_out(true);
}

/* The same signature, of the same memory, in the names of all people. */
static void one_signature_is_its_signers_in_no_others_name(void **state)
{
    struct x402_signers *signers = signers_new();
    struct x402_signature_check checks[PEOPLE];
    uint8_t digest32[32], signature65[65];

    (void)state;
    for (way = 0; way < WAYS; way++)
        for (size_t by = 0; by < PEOPLE; by++) {
            sign(digest32, signature65, &people[by]);
            for (size_t i = 0; i < PEOPLE; i++)
                checks[i] = (struct x402_signature_check){people[i].address20, digest32,
                                                          signature65, i != by};
            x402_signers_check(signers, checks, PEOPLE);
            for (size_t i = 0; i < PEOPLE; i++)
                assert_int_equal(checks[i].good, i == by);
        }
    x402_signers_destroy(signers);
}

/* Each bit of the address counts. */
static void almost_the_signers_name_is_not_the_signers(void **state)
{
    struct x402_signers *signers = signers_new();
    struct x402_signature_check checks[8];
    uint8_t names[8][20], digest32[32], signature65[65];

    (void)state;
    sign(digest32, signature65, &people[0]);
    for (way = 0; way < WAYS; way++)
        for (size_t byte = 0; byte < 20; byte++) {
            for (size_t bit = 0; bit < 8; bit++) {
                memcpy(names[bit], people[0].address20, 20);
                names[bit][byte] ^= (uint8_t)(1 << bit);
                checks[bit] = (struct x402_signature_check){names[bit], digest32,
                                                            signature65, true};
            }
            x402_signers_check(signers, checks, 8);
            for (size_t bit = 0; bit < 8; bit++)
                assert_false(checks[bit].good);
        }
    x402_signers_destroy(signers);
}

/* ------------------------------------------------------------------ what goes together
 */

static size_t together(size_t count)
{
    struct batch batch;

    for (unsigned i = 0; i < count; i++)
        fill(&batch, i, GOOD, i);
    recovered_together = 0;
    assert_checked(NULL, &batch, count);
    return recovered_together;
}

static void two_or_more_are_recovered_together(void **state)
{
    (void)state;
    x402_signers_destroy(signers_new());
    way = IN_TURN;
    assert_int_equal(together(0), 0);
    assert_int_equal(together(1), 0);
    assert_int_equal(together(2), 2);
    assert_int_equal(together(3), 3);
    assert_int_equal(together(8), 8);
    assert_int_equal(together(9), 8);
    assert_int_equal(together(10), 10);
    assert_int_equal(together(17), 16);
    assert_int_equal(together(64), 64);
    way = NOT_HERE;
    assert_int_equal(together(64), 0);
}

static void who_is_recovered_together_becomes_known(void **state)
{
    struct x402_signers *signers = signers_new();
    struct batch batch;

    (void)state;
    way = IN_TURN;
    for (unsigned i = 0; i < X402_SIGNER_SIGHTINGS; i++)
        fill(&batch, i, GOOD, PEOPLE_KNOWN);
    assert_checked(signers, &batch, X402_SIGNER_SIGHTINGS);
    assert_int_equal(x402_signers_known(signers), 0);
    fill(&batch, 0, GOOD, PEOPLE_KNOWN);
    assert_checked(signers, &batch, 1);
    assert_int_equal(x402_signers_known(signers), 1);
    x402_signers_destroy(signers);
}

/* Beside new ones, who are. */
static void who_is_known_is_not_recovered(void **state)
{
    struct x402_signers *signers = signers_new();
    struct batch batch;

    (void)state;
    way = IN_TURN;
    recovered_together = 0;
    for (unsigned i = 0; i < 2 * PEOPLE; i++)
        fill(&batch, i, GOOD, i);
    assert_checked(signers, &batch, 2 * PEOPLE);
    assert_int_equal(x402_signers_known(signers), 2 * PEOPLE_KNOWN);
    assert_int_equal(recovered_together, 2 * (PEOPLE - PEOPLE_KNOWN));
    x402_signers_destroy(signers);
}

/* In the name of one who is known: all are asked and recovered, then nobody is asked
 * until one is good again. */
static void bad_ones_together_cost_a_known_signer_one_recovery(void **state)
{
    struct x402_signers *signers = signers_new();
    struct batch batch;

    (void)state;
    way = IN_TURN;
    recovered_together = 0;
    for (unsigned i = 0; i < 8; i++)
        fill(&batch, i, ANOTHERS, 0);
    assert_checked(signers, &batch, 8);
    assert_int_equal(recovered_together, 8);
    for (unsigned i = 0; i < 2; i++) {
        fill(&batch, 0, GOOD, 0);
        assert_checked(signers, &batch, 1);
        assert_int_equal(x402_signers_known(signers), i);
    }
    x402_signers_destroy(signers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_verdict_is_recoverys_in_every_way),
        cmocka_unit_test(each_verdict_is_recoverys_without_memory_of_any),
        cmocka_unit_test(one_forged_among_good_ones_is_refused_alone),
        cmocka_unit_test(one_good_among_forged_ones_is_good_alone),
        cmocka_unit_test(one_signature_is_its_signers_in_no_others_name),
        cmocka_unit_test(almost_the_signers_name_is_not_the_signers),
        cmocka_unit_test(two_or_more_are_recovered_together),
        cmocka_unit_test(who_is_recovered_together_becomes_known),
        cmocka_unit_test(who_is_known_is_not_recovered),
        cmocka_unit_test(bad_ones_together_cost_a_known_signer_one_recovery),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
