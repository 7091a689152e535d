#include "evm/signer.h"

#include "evm/signature.h"
#include "unit/core/support.h"
#include "unit/evm/alone.h"
#include "unit/evm/chosen.h"
#include "unit/evm/person.h"

/* Presents a good signature; whether it was found good without a recovery. */
static bool present(struct x402_signers *signers, struct person *person)
{
    uint8_t digest32[32], signature65[65];
    uint64_t known = x402_signers_known(signers);

    sign(digest32, signature65, person);
    assert_int_equal(check_alone(signers, person->address20, digest32, signature65),
                     X402_OK);
    return x402_signers_known(signers) > known;
}

static void meet(struct x402_signers *signers, struct person *person)
{
    for (int i = 0; i < X402_SIGNER_SIGHTINGS; i++)
        assert_false(present(signers, person));
}

static struct x402_signers *signers_new(void)
{
    struct x402_signers *signers = x402_signers_create();

    assert_non_null(signers);
    return signers;
}

/* ------------------------------------------------------------- what is known, and when
 */

static void a_signer_is_known_after_its_third_good_signature(void **state)
{
    (void)state;
    struct x402_signers *signers = signers_new();
    struct person alice = person(1), bob = person(2);

    for (int i = 0; i < X402_SIGNER_SIGHTINGS; i++) {
        assert_false(present(signers, &alice));
        assert_false(present(signers, &bob));
    }
    for (int i = 0; i < 20; i++) {
        assert_true(present(signers, &alice));
        assert_true(present(signers, &bob));
    }
    x402_signers_destroy(signers);
}

static void after_bad_ones_a_known_signer_is_recovered_once(void **state)
{
    (void)state;
    struct x402_signers *signers = signers_new();
    struct person alice = person(1), bob = person(2);
    uint8_t digest32[32], signature65[65];

    meet(signers, &alice);
    meet(signers, &bob);
    for (int i = 0; i < 5; i++) {
        sign(digest32, signature65, &bob);
        assert_int_equal(check_alone(signers, alice.address20, digest32, signature65),
                         X402_ERR_SIGNATURE);
    }
    assert_false(present(signers, &alice));
    assert_true(present(signers, &alice));
    assert_true(present(signers, &bob));
    x402_signers_destroy(signers);
}

static void without_memory_of_any_a_good_signature_is_good(void **state)
{
    (void)state;
    struct person alice = person(1), bob = person(2);
    uint8_t digest32[32], signature65[65];

    for (int i = 0; i < 5; i++) {
        sign(digest32, signature65, &alice);
        assert_int_equal(check_alone(NULL, alice.address20, digest32, signature65),
                         X402_OK);
        assert_int_equal(check_alone(NULL, bob.address20, digest32, signature65),
                         X402_ERR_SIGNATURE);
    }
}

static void bad_signatures_make_nobody_known(void **state)
{
    (void)state;
    struct x402_signers *signers = signers_new();
    struct person alice = person(1), bob = person(2);
    uint8_t digest32[32], signature65[65];

    for (int i = 0; i < 5; i++) {
        sign(digest32, signature65, &bob);
        assert_int_equal(check_alone(signers, alice.address20, digest32, signature65),
                         X402_ERR_SIGNATURE);
    }
    meet(signers, &alice);
    assert_true(present(signers, &alice));
    meet(signers, &bob);
    x402_signers_destroy(signers);
}

/* ------------------------------------------------------------ agreement with recovery
 */

/*
 * The same answer as recovery and a comparison give; which it is. After a bad one the
 * claimed's next takes a recovery, so that one is presented: the one after it does not.
 */
static bool assert_agrees(struct x402_signers *signers, struct person *claimed,
                          const uint8_t digest32[32], const uint8_t signature65[65])
{
    uint8_t recovered20[20];
    bool good = x402_signature_recover(recovered20, digest32, signature65) == X402_OK &&
                memcmp(recovered20, claimed->address20, 20) == 0;

    assert_int_equal(check_alone(signers, claimed->address20, digest32, signature65),
                     good ? X402_OK : X402_ERR_SIGNATURE);
    if (!good)
        assert_false(present(signers, claimed));
    return good;
}

enum {
    PEOPLE = 16,
    ROUNDS = 250,
};

/* A thing done to a good signature; *claimed20 is whose it is said to be. */
typedef void spoiler(uint8_t digest32[32], uint8_t signature65[65], unsigned number);

static void leave(uint8_t digest32[32], uint8_t signature65[65], unsigned number)
{
    (void)digest32;
    (void)signature65;
    (void)number;
}

static void flip_v(uint8_t digest32[32], uint8_t signature65[65], unsigned number)
{
    (void)digest32;
    (void)number;
    signature65[64] = (uint8_t)(27 + 28 - signature65[64]);
}

static void set_v(uint8_t digest32[32], uint8_t signature65[65], unsigned number)
{
    static const uint8_t vs[] = {0, 1, 26, 29, 30, 155, 255};

    (void)digest32;
    signature65[64] = vs[number % sizeof vs];
}

static void make_s_high(uint8_t digest32[32], uint8_t signature65[65], unsigned number)
{
    (void)digest32;
    chosen_twin(signature65);
    if (number % 2 == 0)
        flip_v(digest32, signature65, number);
}

static void change_digest(uint8_t digest32[32], uint8_t signature65[65],
                          unsigned number)
{
    (void)signature65;
    digest32[number % 32] ^= (uint8_t)(1 << number % 8);
}

static void change_r(uint8_t digest32[32], uint8_t signature65[65], unsigned number)
{
    (void)digest32;
    signature65[number % 32] ^= (uint8_t)(1 << number % 8);
}

static void change_s(uint8_t digest32[32], uint8_t signature65[65], unsigned number)
{
    (void)digest32;
    signature65[32 + number % 32] ^= (uint8_t)(1 << number % 8);
}

/* r or s zero, the order, one above it, or as large as can be. */
static void overflow(uint8_t digest32[32], uint8_t signature65[65], unsigned number)
{
    uint8_t *at = signature65 + (number % 2 == 0 ? 0 : 32);

    (void)digest32;
    chosen_bytes(at, chosen_order());
    if (number / 2 % 4 == 0)
        memset(at, 0, 32);
    else if (number / 2 % 4 == 1)
        memset(at, 0xff, 32);
    else
        at[31] = (uint8_t)(at[31] + number / 2 % 2);
}

/* The same s by another's r: nobody's, or somebody's of whom nothing is known. */
static void replace_r(uint8_t digest32[32], uint8_t signature65[65], unsigned number)
{
    (void)digest32;
    x402_keccak256(signature65, &number, sizeof number);
}

/* Presents signatures of known people, spoiled; returns how many were good. */
static unsigned present_spoiled(spoiler *spoil, uint64_t *known)
{
    struct x402_signers *signers = signers_new();
    struct person people[PEOPLE];
    uint8_t digest32[32], signature65[65];
    unsigned good = 0;

    for (uint32_t i = 0; i < PEOPLE; i++) {
        people[i] = person(i);
        meet(signers, &people[i]);
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct person *one = &people[i % PEOPLE];
        sign(digest32, signature65, one);
        spoil(digest32, signature65, i);
        good += assert_agrees(signers, one, digest32, signature65);
    }
    *known = x402_signers_known(signers);
    x402_signers_destroy(signers);
    return good;
}

static void assert_none_is_good(spoiler *spoil)
{
    uint64_t known;

    assert_int_equal(present_spoiled(spoil, &known), 0);
    assert_int_equal(known, 0);
}

static void what_a_known_signer_signed_is_good_without_recovery(void **state)
{
    uint64_t known;

    (void)state;
    assert_int_equal(present_spoiled(leave, &known), ROUNDS);
    assert_int_equal(known, ROUNDS);
}

static void with_another_v_nothing_is_good(void **state)
{
    (void)state;
    assert_none_is_good(flip_v);
    assert_none_is_good(set_v);
}

static void with_a_high_s_nothing_is_good(void **state)
{
    (void)state;
    assert_none_is_good(make_s_high);
}

static void for_another_digest_nothing_is_good(void **state)
{
    (void)state;
    assert_none_is_good(change_digest);
}

static void with_another_r_or_s_nothing_is_good(void **state)
{
    (void)state;
    assert_none_is_good(change_r);
    assert_none_is_good(change_s);
    assert_none_is_good(replace_r);
}

static void r_and_s_out_of_range_are_not_good(void **state)
{
    (void)state;
    assert_none_is_good(overflow);
}

static void one_known_signers_signature_is_no_others(void **state)
{
    (void)state;
    struct x402_signers *signers = signers_new();
    struct person people[PEOPLE];
    uint8_t digest32[32], signature65[65];

    for (uint32_t i = 0; i < PEOPLE; i++) {
        people[i] = person(i);
        meet(signers, &people[i]);
    }
    for (unsigned i = 0; i < PEOPLE * PEOPLE; i++) {
        sign(digest32, signature65, &people[i % PEOPLE]);
        assert_int_equal(
            assert_agrees(signers, &people[i / PEOPLE], digest32, signature65),
            i % PEOPLE == i / PEOPLE);
    }
    assert_int_equal(x402_signers_known(signers), PEOPLE);
    x402_signers_destroy(signers);
}

/* ------------------------------------------------------------- keys and sums at an
 * edge
 */

/* A signature with these u1 and u2, and spoiled, each with its twin: as recovery says.
 * Returns how many were good. */
static unsigned assert_chosen_agrees(struct x402_signers *signers,
                                     struct person *person, const BIGNUM *key,
                                     const BIGNUM *u1, const BIGNUM *u2)
{
    struct chosen chosen;
    unsigned good = 0;

    chosen_sign(&chosen, key, u1, u2);
    for (int i = 0; i < 4; i++) {
        good += assert_agrees(signers, person, chosen.digest32, chosen.signature65);
        chosen_twin(chosen.signature65);
        if (i % 2 == 1)
            flip_v(chosen.digest32, chosen.signature65, 0);
    }
    assert_int_equal(good, !chosen.r_is_infinity);
    return good;
}

/* All u1 (zero, too) and u2 of the list for one key. */
static void present_edges(struct x402_signers *signers, struct person *person,
                          const BIGNUM *key, unsigned *good, unsigned *infinite)
{
    BIGNUM *zero = BN_new(), *u1, *u2;

    for (unsigned j = 0; (u2 = chosen_edge(j)) != NULL; BN_free(u2), j++) {
        for (unsigned i = 0; (u1 = chosen_edge(i)) != NULL; BN_free(u1), i++) {
            unsigned one = assert_chosen_agrees(signers, person, key, u1, u2);
            *good += one;
            *infinite += 1 - one;
        }
        *good += assert_chosen_agrees(signers, person, key, zero, u2);
    }
    BN_free(zero);
}

static void keys_and_sums_at_an_edge_are_as_recovery_says(void **state)
{
    (void)state;
    struct x402_signers *signers = signers_new();
    struct person one = {.signed_count = 0};
    unsigned good = 0, infinite = 0, met = 0;
    BIGNUM *key;

    for (unsigned i = 0; (key = chosen_edge(i)) != NULL; BN_free(key), i++) {
        chosen_bytes(one.key32, key);
        assert_int_equal(x402_key_address(one.address20, one.key32), X402_OK);
        meet(signers, &one);
        present_edges(signers, &one, key, &good, &infinite);
        met++;
    }
    assert_true(infinite > 20);
    /* Each of them took no recovery. */
    assert_int_equal(x402_signers_known(signers), good);
    assert_int_equal(good + infinite, met * met * (met + 1));
    x402_signers_destroy(signers);
}

/* The signature by the nonce 7 whose s is 5: u2 = r / s, u1 = nonce - u2 key. */
static void sign_with_small_s(struct chosen *out, const struct person *person)
{
    BIGNUM *key = chosen_scalar(person->key32), *u1 = BN_new(), *u2, *s = BN_new();
    BN_CTX *context = chosen_context();
    bool y_is_odd = false;

    assert_true(BN_set_word(s, 5) && BN_set_word(u1, 7));
    assert_true(chosen_point(out->signature65, &y_is_odd, u1));
    u2 = chosen_scalar(out->signature65);
    assert_non_null(BN_mod_inverse(s, s, chosen_order(), context));
    assert_true(BN_mod_mul(u2, u2, s, chosen_order(), context));
    assert_true(BN_mod_mul(s, u2, key, chosen_order(), context));
    assert_true(BN_mod_sub(u1, u1, s, chosen_order(), context));
    chosen_sign(out, key, u1, u2);
    BN_free(key);
    BN_free(u1);
    BN_free(u2);
    BN_free(s);
}

static void s_with_the_order_added_is_not_good(void **state)
{
    (void)state;
    struct x402_signers *signers = signers_new();
    struct person alice = person(1);
    struct chosen chosen;
    BIGNUM *s;

    meet(signers, &alice);
    sign_with_small_s(&chosen, &alice);
    assert_true(assert_agrees(signers, &alice, chosen.digest32, chosen.signature65));
    assert_int_equal(chosen.signature65[63], 5);
    s = BN_dup(chosen_order());
    assert_true(BN_add_word(s, 5));
    chosen_bytes(chosen.signature65 + 32, s);
    assert_false(assert_agrees(signers, &alice, chosen.digest32, chosen.signature65));
    BN_free(s);
    x402_signers_destroy(signers);
}

/* ------------------------------------------------------------------------- who gives
 * way
 */

/* A person of one set, the number-th. */
static struct person neighbour(uint8_t set, unsigned number)
{
    struct person one = person(0);

    for (uint32_t i = 0;; i++) {
        one = person(i);
        if (one.address20[19] == set && number-- == 0)
            return one;
    }
}

/* Has everybody else's good signatures pass by. */
static void let_pass(struct x402_signers *signers, struct person *somebody,
                     unsigned count)
{
    uint8_t digest32[32], signature65[65];

    sign(digest32, signature65, somebody);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(
            check_alone(signers, somebody->address20, digest32, signature65), X402_OK);
}

static void fill_set(struct x402_signers *signers, struct person *people)
{
    for (unsigned i = 0; i < X402_SIGNERS_PER_SET; i++) {
        people[i] = neighbour(7, i);
        meet(signers, &people[i]);
    }
}

static void where_all_places_are_taken_a_new_signer_is_not_remembered(void **state)
{
    (void)state;
    struct x402_signers *signers = signers_new();
    struct person people[X402_SIGNERS_PER_SET];
    struct person late = neighbour(7, X402_SIGNERS_PER_SET);

    fill_set(signers, people);
    for (int i = 0; i < 10; i++)
        assert_false(present(signers, &late));
    for (unsigned i = 0; i < X402_SIGNERS_PER_SET; i++)
        assert_true(present(signers, &people[i]));
    x402_signers_destroy(signers);
}

static void who_was_not_seen_for_long_gives_way_and_is_met_anew(void **state)
{
    (void)state;
    struct x402_signers *signers = signers_new();
    struct person people[X402_SIGNERS_PER_SET];
    struct person late = neighbour(7, X402_SIGNERS_PER_SET), other = neighbour(8, 0);

    fill_set(signers, people);
    meet(signers, &other);
    let_pass(signers, &other, X402_SIGNER_ABSENCE_MIN - 30);
    assert_false(present(signers, &late));
    for (unsigned i = 1; i < X402_SIGNERS_PER_SET; i++)
        assert_true(present(signers, &people[i]));
    let_pass(signers, &other, 30);
    meet(signers, &late);
    assert_true(present(signers, &late));
    meet(signers, &people[0]); /* has lost its place, and finds none */
    assert_false(present(signers, &people[0]));
    for (unsigned i = 1; i < X402_SIGNERS_PER_SET; i++)
        assert_true(present(signers, &people[i]));
    x402_signers_destroy(signers);
}

static void who_came_once_gives_way_sooner(void **state)
{
    (void)state;
    struct x402_signers *signers = signers_new();
    struct person late = neighbour(7, X402_SIGNERS_PER_SET), other = neighbour(8, 0);

    for (unsigned i = 0; i < X402_SIGNERS_PER_SET; i++) {
        struct person one = neighbour(7, i);
        assert_false(present(signers, &one));
    }
    meet(signers, &other);
    for (int i = 0; i < 5; i++)
        assert_false(present(signers, &late));
    let_pass(signers, &other, X402_SIGNER_ABSENCE_MIN_EARLY);
    meet(signers, &late);
    assert_true(present(signers, &late));
    x402_signers_destroy(signers);
}

/* Though it has been absent for longer than they were. */
static void who_is_known_stays_while_others_that_came_once_give_way(void **state)
{
    (void)state;
    struct x402_signers *signers = signers_new();
    struct person known = neighbour(7, 0), late = neighbour(7, X402_SIGNERS_PER_SET);
    struct person other = neighbour(8, 0);

    meet(signers, &known);
    for (unsigned i = 1; i < X402_SIGNERS_PER_SET; i++) {
        struct person one = neighbour(7, i);
        assert_false(present(signers, &one));
    }
    let_pass(signers, &other, X402_SIGNER_ABSENCE_MIN_EARLY + 1);
    meet(signers, &late);
    assert_true(present(signers, &late));
    assert_true(present(signers, &known));
    x402_signers_destroy(signers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signer_is_known_after_its_third_good_signature),
        cmocka_unit_test(after_bad_ones_a_known_signer_is_recovered_once),
        cmocka_unit_test(without_memory_of_any_a_good_signature_is_good),
        cmocka_unit_test(bad_signatures_make_nobody_known),
        cmocka_unit_test(what_a_known_signer_signed_is_good_without_recovery),
        cmocka_unit_test(with_another_v_nothing_is_good),
        cmocka_unit_test(with_a_high_s_nothing_is_good),
        cmocka_unit_test(for_another_digest_nothing_is_good),
        cmocka_unit_test(with_another_r_or_s_nothing_is_good),
        cmocka_unit_test(r_and_s_out_of_range_are_not_good),
        cmocka_unit_test(s_with_the_order_added_is_not_good),
        cmocka_unit_test(one_known_signers_signature_is_no_others),
        cmocka_unit_test(keys_and_sums_at_an_edge_are_as_recovery_says),
        cmocka_unit_test(where_all_places_are_taken_a_new_signer_is_not_remembered),
        cmocka_unit_test(who_was_not_seen_for_long_gives_way_and_is_met_anew),
        cmocka_unit_test(who_came_once_gives_way_sooner),
        cmocka_unit_test(who_is_known_stays_while_others_that_came_once_give_way),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
