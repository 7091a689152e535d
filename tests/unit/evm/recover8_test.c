/* Signatures at random, and what recovery refuses among them. */
#include "unit/evm/chosen.h"
#include "unit/evm/together.h"

#define LANES X402_RECOVER8_MAX

/* ------------------------------------------------------------------------ at random */

static void random_signatures_have_the_key_that_recovery_gives(void **state)
{
    (void)state;
    eight_or_skip();
    for (int round = 0; round < 1000; round++) {
        struct signature signatures[LANES];
        for (size_t i = 0; i < LANES; i++)
            signatures[i] = random_signature();
        assert_all_known(signatures, LANES);
    }
}

static void any_number_of_signatures_is_recovered(void **state)
{
    (void)state;
    eight_or_skip();
    for (size_t round = 0; round < 40; round++)
        for (size_t count = 1; count <= LANES; count++) {
            struct signature signatures[LANES];
            for (size_t i = 0; i < count; i++)
                signatures[i] = random_signature();
            assert_all_known(signatures, count);
        }
}

static void one_signature_has_the_same_key_in_each_lane(void **state)
{
    (void)state;
    eight_or_skip();
    for (int round = 0; round < 20; round++) {
        const struct signature signature = random_signature();
        assert_known_everywhere(&signature);
    }
}

/* ------------------------------------------------------------ what recovery refuses */

static void assert_refused_with(size_t at, const uint8_t *bytes, size_t size)
{
    struct signature signature = random_signature();

    memcpy(signature.signature65 + at, bytes, size);
    assert_refused_everywhere(&signature);
}

static void of_another_v_nothing_is_known(void **state)
{
    (void)state;
    eight_or_skip();
    for (unsigned v = 0; v < 256; v++) {
        const uint8_t byte = (uint8_t)v;
        if (v != 27 && v != 28)
            assert_refused_with(64, &byte, 1);
    }
}

static void of_r_or_s_zero_nothing_is_known(void **state)
{
    static const uint8_t zero32[32];

    (void)state;
    eight_or_skip();
    assert_refused_with(0, zero32, 32);
    assert_refused_with(32, zero32, 32);
}

/* The order and what is a little above or far, with p on the way. */
static void of_r_or_s_not_below_the_order_nothing_is_known(void **state)
{
    static const char *const numbers[] = {
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364142",
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364143",
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364144",
        "ffffffffffffffffffffffffffffffff00000000000000000000000000000000",
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2e",
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f",
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30",
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc31",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};

    (void)state;
    eight_or_skip();
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        uint8_t bytes32[32];
        hex_to(bytes32, sizeof bytes32, numbers[i]);
        assert_refused_with(0, bytes32, 32);
        assert_refused_with(32, bytes32, 32);
    }
}

static void of_a_high_s_nothing_is_known(void **state)
{
    struct signature signature;

    (void)state;
    eight_or_skip();
    for (int round = 0; round < 8; round++) {
        signature = random_signature();
        chosen_twin(signature.signature65);
        assert_refused_everywhere(&signature);
    }
}

/* Half the order, rounded down, is the largest s that is low. */
static void s_is_known_up_to_half_the_order(void **state)
{
    static const char largest[] =
        "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0";
    struct signature signature;

    (void)state;
    eight_or_skip();
    for (int round = 0; round < 4; round++) {
        signature = random_signature();
        hex_to(signature.signature65 + 32, 32, largest);
        assert_known_everywhere(&signature);
        signature.signature65[63]++;
        assert_refused_everywhere(&signature);
    }
}

/* Any r: of one half there is a point, of the other none. */
static void of_an_x_without_a_point_nothing_is_known(void **state)
{
    unsigned without = 0;

    (void)state;
    eight_or_skip();
    for (int round = 0; round < 40; round++) {
        struct signature signature = random_signature();
        struct outcome outcome;
        eight_random_bytes(signature.signature65 + 1, 31);
        signature.signature65[0] = 0x77;
        outcome = everywhere(&signature);
        assert_int_equal(outcome.known, outcome.good);
        without += !outcome.good;
    }
    assert_in_range(without, 5, 35);
}

/* x = 1 ... and the largest: those of a few bits, and near the order. */
static void small_and_large_x_are_known_where_they_have_a_point(void **state)
{
    unsigned with = 0;

    (void)state;
    eight_or_skip();
    for (unsigned i = 0; i < 64; i++) {
        struct signature signature = random_signature();
        struct outcome outcome;
        if (i % 2 == 0)
            memset(signature.signature65, 0, 32);
        else
            chosen_bytes(signature.signature65, chosen_order());
        signature.signature65[31] = (uint8_t)(signature.signature65[31] +
                                              (i % 2 == 0 ? i / 2 + 1 : -(i / 2) - 1));
        outcome = everywhere(&signature);
        assert_int_equal(outcome.known, outcome.good);
        with += outcome.good;
    }
    assert_in_range(with, 16, 48);
}

static void spoil(struct signature *signature, unsigned how)
{
    uint8_t *r = signature->signature65, *s = r + 32, *v = r + 64;

    switch (how % 8) {
    case 0:
        memset(r, 0, 65);
        break;
    case 1:
        memset(r, 0xff, 65);
        break;
    case 2:
        eight_random_bytes(r, 65);
        break;
    case 3:
        eight_random_bytes(r, 32);
        break;
    case 4:
        chosen_twin(r);
        break;
    case 5:
        *v = 29;
        break;
    case 6:
        memset(s, 0, 32);
        break;
    default:
        memset(signature->digest32, 0, 32);
        break;
    }
}

/* Seven lanes of one kind, or of all kinds, beside one that is good. */
static void good_one_is_known_among_any_garbage(void **state)
{
    (void)state;
    eight_or_skip();
    for (unsigned round = 0; round < 9 * LANES * 4; round++) {
        const unsigned at = round % LANES, kind = round / LANES % 9;
        struct signature signatures[LANES];
        struct outcome outcomes[LANES];
        for (unsigned i = 0; i < LANES; i++) {
            signatures[i] = random_signature();
            if (i != at)
                spoil(&signatures[i], kind < 8 ? kind : i);
        }
        recover(outcomes, signatures, LANES);
        assert_true(outcomes[at].known);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_signatures_have_the_key_that_recovery_gives),
        cmocka_unit_test(any_number_of_signatures_is_recovered),
        cmocka_unit_test(one_signature_has_the_same_key_in_each_lane),
        cmocka_unit_test(of_another_v_nothing_is_known),
        cmocka_unit_test(of_r_or_s_zero_nothing_is_known),
        cmocka_unit_test(of_r_or_s_not_below_the_order_nothing_is_known),
        cmocka_unit_test(of_a_high_s_nothing_is_known),
        cmocka_unit_test(s_is_known_up_to_half_the_order),
        cmocka_unit_test(of_an_x_without_a_point_nothing_is_known),
        cmocka_unit_test(small_and_large_x_are_known_where_they_have_a_point),
        cmocka_unit_test(good_one_is_known_among_any_garbage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
