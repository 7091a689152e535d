/*
 * Signatures asked of known keys together: eight in the lanes of the processor where it
 * can, else one by one. Of one alone signer_test.c says more.
 */
#include "evm/known_key.h"
#include "unit/evm/chosen.h"
#include "unit/evm/person.h"

#define MAX X402_KNOWN_CHECKS_MAX

/* A known key's signature. */
struct signature {
    struct x402_known_key *key;
    uint8_t digest32[32], signature65[65];
};

static void sign_new(struct signature *out, uint32_t number)
{
    struct person one = person(number);
    uint8_t address20[20], key64[64];

    sign(out->digest32, out->signature65, &one);
    assert_int_equal(
        x402_signature_recover_key(address20, key64, out->digest32, out->signature65),
        X402_OK);
    out->key = x402_known_key_create(key64);
    assert_non_null(out->key);
}

static void ask(struct x402_known_check checks[MAX], const struct signature *signatures,
                size_t count)
{
    for (size_t i = 0; i < count; i++)
        checks[i] = (struct x402_known_check){.key = signatures[i].key,
                                              .digest32 = signatures[i].digest32,
                                              .signature65 = signatures[i].signature65};
    x402_known_keys_signed(checks, count);
}

static void forget(struct signature *signatures)
{
    for (size_t i = 0; i < MAX; i++)
        x402_known_key_destroy(signatures[i].key);
}

static void each_is_told_of_any_number(void **state)
{
    struct signature signatures[MAX];
    struct x402_known_check checks[MAX];

    (void)state;
    for (uint32_t round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < MAX; i++)
            sign_new(&signatures[i], MAX * round + i);
        for (size_t count = 0; count <= MAX; count++) {
            ask(checks, signatures, count);
            for (size_t i = 0; i < count; i++)
                assert_true(checks[i].is_signed);
        }
        forget(signatures);
    }
}

static void spoil(struct signature *signature, unsigned kind, unsigned bit)
{
    switch (kind) {
    case 0:
        signature->digest32[bit / 8 % 32] ^= (uint8_t)(1 << bit % 8);
        break;
    case 1:
        signature->signature65[bit / 8 % 64] ^= (uint8_t)(1 << bit % 8);
        break;
    case 2:
        signature->signature65[64] = (uint8_t)(27 + 28 - signature->signature65[64]);
        break;
    case 3:
        chosen_twin(signature->signature65);
        break;
    case 4:
        memset(signature->signature65 + bit % 2 * 32, bit % 4 < 2 ? 0 : 0xff, 32);
        break;
    default:
        signature->signature65[64] = (uint8_t)(bit % 27);
        break;
    }
}

static void a_bad_one_in_any_lane_is_told_alone(void **state)
{
    struct signature signatures[MAX], good;
    struct x402_known_check checks[MAX];

    (void)state;
    for (uint32_t i = 0; i < MAX; i++)
        sign_new(&signatures[i], i);
    for (unsigned round = 0; round < 3000; round++) {
        const size_t at = round % MAX;
        good = signatures[at];
        spoil(&signatures[at], round / MAX % 6, round * 7);
        ask(checks, signatures, MAX);
        for (size_t i = 0; i < MAX; i++)
            assert_int_equal(checks[i].is_signed, i != at);
        signatures[at] = good;
    }
    forget(signatures);
}

static void one_keys_signature_is_no_others(void **state)
{
    struct signature signatures[MAX], others[MAX];
    struct x402_known_check checks[MAX];

    (void)state;
    for (uint32_t i = 0; i < MAX; i++)
        sign_new(&signatures[i], i);
    for (size_t shift = 1; shift < MAX; shift++) {
        memcpy(others, signatures, sizeof others);
        for (size_t i = 0; i < MAX; i++)
            others[i].key = signatures[(i + shift) % MAX].key;
        ask(checks, others, MAX);
        for (size_t i = 0; i < MAX; i++)
            assert_false(checks[i].is_signed);
    }
    forget(signatures);
}

/* Whether it is the key's, by recovery. */
static bool is_recovered(const struct signature *signature, const struct person *whose)
{
    uint8_t address20[20];

    return x402_signature_recover(address20, signature->digest32,
                                  signature->signature65) == X402_OK &&
           memcmp(address20, whose->address20, 20) == 0;
}

/* Chosen sums of a key in all lanes, each spoiled, and its twin. Returns how many good
 * ones it does not know of. */
static unsigned ask_chosen(struct signature signatures[MAX], const struct person *whose,
                           const BIGNUM *key, const BIGNUM *u1, const BIGNUM *u2)
{
    struct x402_known_check checks[MAX];
    struct chosen chosen;
    unsigned unknown = 0;

    chosen_sign(&chosen, key, u1, u2);
    for (size_t i = 0; i < MAX; i++) {
        memcpy(signatures[i].digest32, chosen.digest32, 32);
        memcpy(signatures[i].signature65, chosen.signature65, 65);
        if (i % 2 == 1)
            chosen_twin(signatures[i].signature65);
        if (i / 2 % 2 == 1)
            spoil(&signatures[i], 2, 0);
    }
    ask(checks, signatures, MAX);
    for (size_t i = 0; i < MAX; i++) {
        const bool good = is_recovered(&signatures[i], whose);
        assert_true(good || !checks[i].is_signed);
        assert_int_equal(checks[i].is_signed, checks[i % 4].is_signed);
        unknown += good && !checks[i].is_signed;
    }
    return unknown / 2;
}

/* u1 of the list or zero, u2 of the list. */
static unsigned ask_edges(struct signature signatures[MAX], const struct person *whose,
                          const BIGNUM *key, unsigned *asked)
{
    BIGNUM *zero = BN_new(), *u1, *u2;
    unsigned unknown = 0;

    for (unsigned j = 0; (u2 = chosen_edge(j)) != NULL; BN_free(u2), j++) {
        for (unsigned i = 0; (u1 = chosen_edge(i)) != NULL; BN_free(u1), i++, ++*asked)
            unknown += ask_chosen(signatures, whose, key, u1, u2);
        unknown += ask_chosen(signatures, whose, key, zero, u2);
        ++*asked;
    }
    BN_free(zero);
    return unknown;
}

/* Unknown are those with a sum that is infinity, or of equal points: u2 of few digits.
 */
static void at_an_edge_it_is_never_wrong(void **state)
{
    struct signature signatures[MAX];
    struct person one = {.signed_count = 0};
    unsigned unknown = 0, asked = 0;
    uint8_t address20[20], key64[64];
    BIGNUM *key;

    (void)state;
    for (unsigned i = 0; (key = chosen_edge(i)) != NULL; BN_free(key), i++) {
        chosen_bytes(one.key32, key);
        assert_int_equal(x402_key_address(one.address20, one.key32), X402_OK);
        sign(signatures[0].digest32, signatures[0].signature65, &one);
        assert_int_equal(x402_signature_recover_key(address20, key64,
                                                    signatures[0].digest32,
                                                    signatures[0].signature65),
                         X402_OK);
        for (size_t j = 0; j < MAX; j++)
            signatures[j].key =
                j == 0 ? x402_known_key_create(key64) : signatures[0].key;
        unknown += ask_edges(signatures, &one, key, &asked);
        x402_known_key_destroy(signatures[0].key);
    }
    assert_int_equal(asked, 20 * 20 * 21);
    assert_in_range(unknown, 1, asked / 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_told_of_any_number),
        cmocka_unit_test(a_bad_one_in_any_lane_is_told_alone),
        cmocka_unit_test(one_keys_signature_is_no_others),
        cmocka_unit_test(at_an_edge_it_is_never_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
