/* Signatures whose parts, and the sums on the way to their keys, are at an edge. */
#include "evm/group.h"
#include "unit/evm/chosen.h"
#include "unit/evm/together.h"

#if X402_GROUP

#define LANES X402_RECOVER8_MAX

/* -------------------------------------------------------------- of chosen multiples */

/*
 * To an R, of which r and v are there, s = u2 r and digest = -u1 r: then the key is
 * u1 G + u2 R. False where that s is high: then it is none that is allowed.
 */
static bool finish_signature(struct signature *out, const secp256k1_scalar *u1,
                             const secp256k1_scalar *u2)
{
    secp256k1_scalar r, s, digest;

    secp256k1_scalar_set_b32(&r, out->signature65, NULL);
    secp256k1_scalar_mul(&s, &r, u2);
    secp256k1_scalar_mul(&digest, &r, u1);
    secp256k1_scalar_negate(&digest, &digest);
    secp256k1_scalar_get_b32(out->signature65 + 32, &s);
    secp256k1_scalar_get_b32(out->digest32, &digest);
    return !secp256k1_scalar_is_high(&s);
}

/* The same, with R the multiple of G that `nonce` says. */
static bool sign_chosen(struct signature *out, const secp256k1_scalar *nonce,
                        const secp256k1_scalar *u1, const secp256k1_scalar *u2)
{
    BIGNUM *number;
    bool y_is_odd = false;

    secp256k1_scalar_get_b32(out->signature65, nonce);
    number = chosen_scalar(out->signature65);
    assert_true(chosen_point(out->signature65, &y_is_odd, number));
    BN_free(number);
    out->signature65[64] = y_is_odd ? 28 : 27;
    return finish_signature(out, u1, u2);
}

static secp256k1_scalar scalar_of(const char *hex)
{
    secp256k1_scalar out;
    uint8_t bytes32[32] = {0};
    const size_t size = strlen(hex) / 2;

    hex_to(bytes32 + 32 - size, size, hex);
    secp256k1_scalar_set_b32(&out, bytes32, NULL);
    return out;
}

static secp256k1_scalar small(unsigned number)
{
    secp256k1_scalar out;

    secp256k1_scalar_set_int(&out, number);
    return out;
}

static secp256k1_scalar random_scalar(void)
{
    secp256k1_scalar out;
    uint8_t bytes32[32];

    eight_random_bytes(bytes32, sizeof bytes32);
    secp256k1_scalar_set_b32(&out, bytes32, NULL);
    return out;
}

static secp256k1_scalar minus(secp256k1_scalar a)
{
    secp256k1_scalar_negate(&a, &a);
    return a;
}

static secp256k1_scalar times(const secp256k1_scalar *a, const secp256k1_scalar *b)
{
    secp256k1_scalar out;

    secp256k1_scalar_mul(&out, a, b);
    return out;
}

/* a + b c */
static secp256k1_scalar plus_product(const secp256k1_scalar *a,
                                     const secp256k1_scalar *b,
                                     const secp256k1_scalar *c)
{
    secp256k1_scalar out = times(b, c);

    secp256k1_scalar_add(&out, &out, a);
    return out;
}

/* Of random nonces the first that gives a low s. */
static struct signature sign_anyhow(const secp256k1_scalar *u1,
                                    const secp256k1_scalar *u2)
{
    struct signature out;
    secp256k1_scalar nonce;

    do
        nonce = random_scalar();
    while (!sign_chosen(&out, &nonce, u1, u2));
    return out;
}

/* Numbers that make digits, sums and halves come to an edge, and their opposites. */
static bool edge(secp256k1_scalar *out, unsigned number)
{
    static const char *const edges[] = {
        "01",
        "02",
        "03",
        "07",
        "08",
        "09",
        "0f",
        "10",
        "11",
        "7f",
        "80",
        "81",
        "ff",
        "0100",
        "8000000000000000",
        "ffffffffffffffff",
        "010000000000000000",
        "80000000000000000000000000000000",
        "ffffffffffffffffffffffffffffffff",
        "0100000000000000000000000000000000",
        "8000000000000000000000000000000000000000000000000000000000000000",
        "7f00000000000000000000000000000000000000000000000000000000000000",
        "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0",
        "7fffffffffffffffffffffffffffffff00000000000000000000000000000000",
        /* digits of eight bits at their largest, and with carries through */
        "7f80808080808080808080808080808080808080808080808080808080808080",
        "7e81818181818181818181818181818181818181818181818181818181818181",
        "7effffffffffffffffffffffffffffffffffffffffffffffffffffffffffff81",
        "0080808080808080808080808080808080808080808080808080808080808080",
        /* lambda, its square, and their neighbours */
        "5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd71",
        "5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72",
        "5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd73",
        "ac9c52b33fa3cf1f5ad9e3fd77ed9ba4a880b9fc8ec739c2e0cfc810b51283ce",
        "ac9c52b33fa3cf1f5ad9e3fd77ed9ba4a880b9fc8ec739c2e0cfc810b51283cf",
    };
    const unsigned count = sizeof edges / sizeof edges[0];

    if (number >= 2 * count)
        return false;
    *out = scalar_of(edges[number / 2]);
    if (number % 2 == 1)
        secp256k1_scalar_negate(out, out);
    return true;
}

/* All pairs, but those that come to infinity; of random nonces. */
static void edges_of_both_multiples_are_known(void **state)
{
    struct batch batch = {.count = 0};
    secp256k1_scalar u1, u2;

    (void)state;
    eight_or_skip();
    for (unsigned i = 0; edge(&u1, i); i++)
        for (unsigned j = 0; edge(&u2, j); j++) {
            const struct signature signature = sign_anyhow(&u1, &u2);
            batch_add(&batch, &signature);
        }
    batch_end(&batch);
    assert_true(batch.all > 4000);
}

/* A digest of 0 makes u1 0. */
static void the_digest_0_is_known(void **state)
{
    const secp256k1_scalar zero = small(0);
    secp256k1_scalar u2;

    (void)state;
    eight_or_skip();
    for (unsigned i = 0; edge(&u2, i); i += 5) {
        const struct signature signature = sign_anyhow(&zero, &u2);
        const struct outcome outcome = everywhere(&signature);
        assert_true(outcome.good);
        assert_true(outcome.known);
    }
}

/* At and about the order, by which it is reduced. */
static void digest_of_any_size_is_reduced(void **state)
{
    static const char *const digests[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
        "0000000000000000000000000000000000000000000000000000000000000001",
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140",
        "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364142",
        "8000000000000000000000000000000000000000000000000000000000000000",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};

    (void)state;
    eight_or_skip();
    for (size_t i = 0; i < sizeof digests / sizeof digests[0]; i++) {
        struct signature signature = random_signature();
        struct outcome outcome;
        hex_to(signature.digest32, 32, digests[i]);
        outcome = everywhere(&signature);
        assert_true(outcome.good);
        assert_true(outcome.known);
    }
}

/* Of each nonce's R and of each key. */
static void edges_of_nonces_and_keys_are_known(void **state)
{
    struct batch batch = {.count = 0};
    secp256k1_scalar nonce, key, u1, u2;
    struct signature signature;

    (void)state;
    eight_or_skip();
    for (unsigned i = 0; edge(&nonce, i); i++)
        for (unsigned j = 0; edge(&key, j); j++) {
            do {
                u2 = random_scalar();
                u1 = times(&u2, &nonce);
                u1 = minus(u1);
                secp256k1_scalar_add(&u1, &u1, &key);
            } while (!sign_chosen(&signature, &nonce, &u1, &u2));
            batch_add(&batch, &signature);
        }
    batch_end(&batch);
    assert_true(batch.all > 4000);
}

/* As small as can be: s = r, s = 2 r, and their opposites. */
static void s_that_is_a_small_multiple_of_r_is_known(void **state)
{
    (void)state;
    eight_or_skip();
    for (unsigned factor = 1; factor <= 40; factor++)
        for (int negative = 0; negative < 2; negative++) {
            const secp256k1_scalar u1 = random_scalar();
            const secp256k1_scalar u2 = negative ? minus(small(factor)) : small(factor);
            const struct signature signature = sign_anyhow(&u1, &u2);
            assert_known_everywhere(&signature);
        }
}

/* u1 G = u2 R, or -u2 R; the first few of a nonce that is small. */
static struct signature sign_of_equals(int number, bool opposite)
{
    struct signature signature;
    secp256k1_scalar nonce, u1, u2;

    do {
        nonce = number < 4 ? small((unsigned)number + 1) : random_scalar();
        u2 = random_scalar();
        u1 = times(&u2, &nonce);
        if (opposite)
            u1 = minus(u1);
    } while (!sign_chosen(&signature, &nonce, &u1, &u2));
    return signature;
}

/* The last addition is of equal points, or doubles. */
static void of_two_equal_points_nothing_is_known_or_the_key_is_right(void **state)
{
    (void)state;
    eight_or_skip();
    for (int round = 0; round < 20; round++) {
        const struct signature signature = sign_of_equals(round, false);
        assert_true(everywhere(&signature).good);
    }
}

static void of_the_key_at_infinity_nothing_is_known(void **state)
{
    (void)state;
    eight_or_skip();
    for (int round = 0; round < 20; round++) {
        const struct signature signature = sign_of_equals(round, true);
        assert_refused_everywhere(&signature);
    }
}

/* --------------------------------------------------------------- halves at an edge */

/* Halves of a scalar: digits of four bits at their largest, or that carry, or none. */
static const char *const halves[] = {
    "00",
    "01",
    "08",
    "09",
    "10",
    "7fffffffffffffffffffffffffffffff",
    "80000000000000000000000000000000",
    "88888888888888888888888888888888", /* each digit 8 */
    "08888888888888888888888888888888",
    "89898989898989898989898989898989", /* a carry out of each second */
    "88999999999999999999999999999999", /* out of each */
    "77777777777777777777777777777777",
    "79999999999999999999999999999999",
    "0fffffffffffffffffffffffffffffff", /* -1, then none, then 1 */
    "0ffffffffffffffffffffffffffffff8",
    "8a000000000000000000000000000000",
    "99999999999999999999999999999999", /* a digit in the highest place */
    "a0000000000000000000000000000000",
    "a2000000000000000000000000000000",
};

static secp256k1_scalar half(unsigned number)
{
    const secp256k1_scalar out = scalar_of(halves[number / 2]);

    return number % 2 == 0 ? out : minus(out);
}

/* Whether u2 is cut into these halves, which are as small as can be. */
static bool is_cut_so(const secp256k1_scalar *u2, const secp256k1_scalar *k1,
                      const secp256k1_scalar *k2)
{
    secp256k1_scalar is1, is2;

    secp256k1_scalar_split_lambda(&is1, &is2, u2);
    return secp256k1_scalar_eq(&is1, k1) && secp256k1_scalar_eq(&is2, k2);
}

static bool sign_by_halves(struct signature *out, const secp256k1_scalar *k1,
                           const secp256k1_scalar *k2)
{
    const secp256k1_scalar u1 = random_scalar();
    const secp256k1_scalar u2 = plus_product(k1, k2, &secp256k1_const_lambda);

    if (secp256k1_scalar_is_zero(&u2) || !is_cut_so(&u2, k1, k2))
        return false;
    *out = sign_anyhow(&u1, &u2);
    return true;
}

#define HALVES (2 * sizeof halves / sizeof halves[0])

static void pairs_of_halves_at_an_edge_are_known(void **state)
{
    struct batch batch = {.count = 0};

    (void)state;
    eight_or_skip();
    for (unsigned i = 0; i < HALVES; i++)
        for (unsigned j = 0; j < HALVES; j++) {
            const secp256k1_scalar k1 = half(i), k2 = half(j);
            struct signature signature;
            if (sign_by_halves(&signature, &k1, &k2))
                batch_add(&batch, &signature);
        }
    batch_end(&batch);
    assert_true(batch.all > 500);
}

/* A random number below 2^128, or its opposite. */
static secp256k1_scalar random_half(void)
{
    secp256k1_scalar out;
    uint8_t bytes32[32] = {0};

    eight_random_bytes(bytes32 + 16, 16);
    secp256k1_scalar_set_b32(&out, bytes32, NULL);
    return eight_random() % 2 == 0 ? out : minus(out);
}

/* Each of them, the first half or the second, beside some other that fits. */
static void each_half_at_an_edge_is_known_beside_another(void **state)
{
    struct batch batch = {.count = 0};
    unsigned met[2][HALVES] = {{0}};

    (void)state;
    eight_or_skip();
    for (unsigned tries = 0; tries < 400; tries++)
        for (unsigned i = 0; i < HALVES; i++)
            for (unsigned which = 0; which < 2; which++) {
                const secp256k1_scalar one = half(i), other = random_half();
                struct signature signature;
                if (met[which][i] < 5 &&
                    sign_by_halves(&signature, which == 0 ? &one : &other,
                                   which == 0 ? &other : &one)) {
                    met[which][i]++;
                    batch_add(&batch, &signature);
                }
            }
    batch_end(&batch);
    /* Of the first all that are listed; the second is never above 0x8a65 2^112. */
    for (unsigned i = 0; i < HALVES; i++) {
        assert_true(met[0][i] > 0);
        assert_true(met[1][i] > 0 || halves[i / 2][0] >= '9');
    }
}

/* In each place each digit, in either half, of either sign. */
static void each_digit_in_each_place_is_known(void **state)
{
    struct batch batch = {.count = 0};

    (void)state;
    eight_or_skip();
    for (unsigned place = 0; place < 32; place++)
        for (unsigned digit = 1; digit < 16; digit++)
            for (unsigned form = 0; form < 4; form++) {
                const secp256k1_scalar zero = small(0);
                uint8_t bytes32[32] = {0};
                struct signature signature;
                secp256k1_scalar k;
                bytes32[31 - place / 2] = (uint8_t)(digit << place % 2 * 4);
                secp256k1_scalar_set_b32(&k, bytes32, NULL);
                if (form % 2 == 1)
                    k = minus(k);
                if (sign_by_halves(&signature, form < 2 ? &k : &zero,
                                   form < 2 ? &zero : &k))
                    batch_add(&batch, &signature);
            }
    batch_end(&batch);
    assert_true(batch.all > 4 * 31 * 15);
}

/* The same of u1: eight bits each, of which the highest is at most 128. */
static void each_digit_of_the_generators_multiple_is_known(void **state)
{
    struct batch batch = {.count = 0};

    (void)state;
    eight_or_skip();
    for (unsigned place = 0; place < 32; place++)
        for (unsigned digit = 1; digit < 256; digit += digit % 16 == 0 ? 1 : 5) {
            const secp256k1_scalar u2 = random_scalar();
            uint8_t bytes32[32] = {0};
            struct signature signature;
            secp256k1_scalar u1;
            bytes32[31 - place] = (uint8_t)digit;
            secp256k1_scalar_set_b32(&u1, bytes32, NULL);
            signature = sign_anyhow(&u1, &u2);
            batch_add(&batch, &signature);
        }
    batch_end(&batch);
}

/* In each lane u1 or u2 has few digits where those beside it have many, or the other
 * way round. */
static void sums_of_few_and_of_many_terms_are_known_together(void **state)
{
    const secp256k1_scalar few = small(1);

    (void)state;
    eight_or_skip();
    for (unsigned round = 0; round < 8 * LANES; round++) {
        struct signature signatures[LANES];
        for (unsigned i = 0; i < LANES; i++) {
            const bool differs = (i == round % LANES) != ((round & LANES) != 0);
            const bool of_second = (round & 2 * LANES) != 0;
            const secp256k1_scalar many = random_scalar(), other = random_scalar();
            const secp256k1_scalar *one = differs ? &few : &many;
            signatures[i] =
                sign_anyhow(of_second ? &other : one, of_second ? one : &other);
        }
        assert_all_known(signatures, LANES);
    }
}

/* ---------------------------------------------------- points of small coordinates */

/*
 * A small number is where an element of the field is not normalized: it is as well one
 * that is p larger, and no random point comes to it. Of a point of which x or y is
 * small nobody knows which multiple of G it is; for recovery it need not be known.
 */

static BIGNUM *field_order(void)
{
    static BIGNUM *order;

    if (order == NULL)
        assert_true(BN_hex2bn(&order, "ffffffffffffffffffffffffffffffff"
                                      "fffffffffffffffffffffffefffffc2f") == 64);
    return order;
}

/* *a becomes its root, a^((p + 2) / 9), where it has one: p = 7 (mod 9). */
static bool cube_root(BIGNUM *a)
{
    BIGNUM *power = BN_dup(field_order()), *root = BN_new(), *cube = BN_new();
    BN_CTX *context = chosen_context();
    bool is;

    assert_true(BN_add_word(power, 2) && BN_div_word(power, 9) == 0);
    assert_true(BN_mod_exp(root, a, power, field_order(), context));
    assert_true(BN_mod_sqr(cube, root, field_order(), context));
    assert_true(BN_mod_mul(cube, cube, root, field_order(), context));
    is = BN_cmp(cube, a) == 0;
    assert_non_null(BN_copy(a, root));
    BN_free(power);
    BN_free(root);
    BN_free(cube);
    return is;
}

/* x of the point with this y; false: there is none. */
static bool x_of(uint8_t x32[32], unsigned y)
{
    BIGNUM *x = BN_new();
    bool is;

    assert_true(BN_set_word(x, (BN_ULONG)y * y) && BN_sub_word(x, 7));
    assert_true(BN_nnmod(x, x, field_order(), chosen_context()));
    is = cube_root(x);
    chosen_bytes(x32, x);
    BN_free(x);
    return is;
}

/* Any signature with the R of this x, which is known where there is one. */
static void assert_known_of_x(struct batch *batch, const uint8_t x32[32])
{
    for (int v = 27; v <= 28; v++) {
        struct signature signature = random_signature();
        memcpy(signature.signature65, x32, 32);
        signature.signature65[64] = (uint8_t)v;
        batch_add(batch, &signature);
    }
}

static void r_of_a_small_y_is_known(void **state)
{
    struct batch batch = {.count = 0};
    uint8_t x32[32];

    (void)state;
    eight_or_skip();
    for (unsigned y = 1; y <= 300; y++)
        if (x_of(x32, y))
            assert_known_of_x(&batch, x32);
    batch_end(&batch);
    assert_true(batch.all > 100);
}

/* x^3 + 7 carries out of the lowest 52 bits, or comes just not so far. */
static void r_of_an_x_whose_cube_ends_in_ones_is_known(void **state)
{
    struct batch batch = {.count = 0};

    (void)state;
    eight_or_skip();
    for (unsigned round = 0; round < 600; round++) {
        uint8_t cube32[32];
        struct signature signature = random_signature();
        BIGNUM *x;
        eight_random_bytes(cube32, sizeof cube32);
        memset(cube32 + 25, 0xff, 7);
        cube32[31] = (uint8_t)(0xff - round % 10);
        x = chosen_scalar(cube32);
        if (cube_root(x)) {
            struct outcome outcome;
            chosen_bytes(signature.signature65, x);
            recover(&outcome, &signature, 1);
            assert_int_equal(outcome.known, outcome.good);
            if (outcome.good)
                assert_known_of_x(&batch, signature.signature65);
        }
        BN_free(x);
    }
    batch_end(&batch);
    assert_true(batch.all > 100);
}

/* R = Q / u2 - (u1 / u2) G, by the library that knows nothing of ours. */
static void solve_for_r(struct signature *out, const secp256k1_pubkey *key,
                        const secp256k1_scalar *u1, const secp256k1_scalar *u2)
{
    secp256k1_context *context = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
    secp256k1_pubkey points[2] = {*key}, sum;
    const secp256k1_pubkey *const both[2] = {&points[0], &points[1]};
    uint8_t bytes32[32], encoded[33];
    size_t size = sizeof encoded;
    secp256k1_scalar inverse, factor;

    secp256k1_scalar_inverse_var(&inverse, u2);
    secp256k1_scalar_get_b32(bytes32, &inverse);
    assert_int_equal(secp256k1_ec_pubkey_tweak_mul(context, &points[0], bytes32), 1);
    factor = times(&inverse, u1);
    factor = minus(factor);
    secp256k1_scalar_get_b32(bytes32, &factor);
    assert_int_equal(secp256k1_ec_pubkey_create(context, &points[1], bytes32), 1);
    assert_int_equal(secp256k1_ec_pubkey_combine(context, &sum, both, 2), 1);
    secp256k1_ec_pubkey_serialize(context, encoded, &size, &sum,
                                  SECP256K1_EC_COMPRESSED);
    memcpy(out->signature65, encoded + 1, 32);
    out->signature65[64] = (uint8_t)(25 + encoded[0]);
    secp256k1_context_destroy(context);
}

/* A signature by this key, x || y, of random u1 and u2; false: it is no point. */
static bool sign_for_key(struct signature *out, const uint8_t key64[64])
{
    uint8_t encoded[65] = {4};
    secp256k1_pubkey key;
    secp256k1_scalar u1, u2;

    memcpy(encoded + 1, key64, 64);
    if (!secp256k1_ec_pubkey_parse(secp256k1_context_static, &key, encoded, 65))
        return false;
    do {
        u1 = random_scalar();
        u2 = random_scalar();
        solve_for_r(out, &key, &u1, &u2);
    } while (!finish_signature(out, &u1, &u2));
    return true;
}

static void keys_of_a_small_y_are_known(void **state)
{
    struct batch batch = {.count = 0};

    (void)state;
    eight_or_skip();
    for (unsigned y = 1; y <= 120; y++) {
        uint8_t key64[64] = {[63] = (uint8_t)y};
        struct signature signature;
        if (x_of(key64, y) && sign_for_key(&signature, key64))
            batch_add(&batch, &signature);
    }
    batch_end(&batch);
    assert_true(batch.all > 20);
}

static void keys_of_a_small_x_are_known(void **state)
{
    struct batch batch = {.count = 0};

    (void)state;
    eight_or_skip();
    for (unsigned x = 1; x <= 60; x++) {
        uint8_t compressed[33] = {[0] = (uint8_t)(2 + x % 2), [32] = (uint8_t)x};
        uint8_t encoded[65];
        size_t size = sizeof encoded;
        struct signature signature;
        secp256k1_pubkey key;
        if (!secp256k1_ec_pubkey_parse(secp256k1_context_static, &key, compressed, 33))
            continue;
        secp256k1_ec_pubkey_serialize(secp256k1_context_static, encoded, &size, &key,
                                      SECP256K1_EC_UNCOMPRESSED);
        assert_true(sign_for_key(&signature, encoded + 1));
        batch_add(&batch, &signature);
    }
    batch_end(&batch);
    assert_true(batch.all > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_of_both_multiples_are_known),
        cmocka_unit_test(the_digest_0_is_known),
        cmocka_unit_test(digest_of_any_size_is_reduced),
        cmocka_unit_test(edges_of_nonces_and_keys_are_known),
        cmocka_unit_test(s_that_is_a_small_multiple_of_r_is_known),
        cmocka_unit_test(of_two_equal_points_nothing_is_known_or_the_key_is_right),
        cmocka_unit_test(of_the_key_at_infinity_nothing_is_known),
        cmocka_unit_test(pairs_of_halves_at_an_edge_are_known),
        cmocka_unit_test(each_half_at_an_edge_is_known_beside_another),
        cmocka_unit_test(each_digit_in_each_place_is_known),
        cmocka_unit_test(each_digit_of_the_generators_multiple_is_known),
        cmocka_unit_test(sums_of_few_and_of_many_terms_are_known_together),
        cmocka_unit_test(r_of_a_small_y_is_known),
        cmocka_unit_test(r_of_an_x_whose_cube_ends_in_ones_is_known),
        cmocka_unit_test(keys_of_a_small_y_are_known),
        cmocka_unit_test(keys_of_a_small_x_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return eight_skip_all();
}

#endif
