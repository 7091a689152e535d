/*
 * Up to eight signatures, each of the input's choice (key and digest; nonce and
 * multiples; any bytes), and whatever is done to them: together each gives the key that
 * libsecp256k1 gives, and of none but what is left out nothing is known.
 */
#include "check.h"

#include "evm/recover8.h"
#include "evm/signature.h"
#include "evm/signer.h"
#include "unit/evm/chosen.h"

#define LANES X402_RECOVER8_MAX
#define CHANGES_MAX 16

struct lane {
    uint8_t digest32[32], signature65[65];
    bool left_out; /* its last sum may be of equal points */
};

/* lambda, by which a point's multiple has beta times its x. */
static BIGNUM *lambda(void)
{
    static BIGNUM *number;

    if (number == NULL)
        check(BN_hex2bn(&number, "5363ad4cc05c30e0a5261c028812645a"
                                 "122e22ea20816678df02967c1b23bd72") == 64,
              "lambda");
    return number;
}

static void add_product(BIGNUM *sum, const BIGNUM *a, const BIGNUM *b)
{
    BIGNUM *product = BN_new();

    check(product != NULL &&
              BN_mod_mul(product, a, b, chosen_order(), chosen_context()) &&
              BN_mod_add(sum, sum, product, chosen_order(), chosen_context()),
          "a product is added");
    BN_free(product);
}

static void negate(BIGNUM *scalar)
{
    check(BN_mod_sub(scalar, chosen_order(), scalar, chosen_order(), chosen_context()),
          "its opposite");
}

/* Small, with few bits, of one byte again and again, or any; or the opposite of it. */
static BIGNUM *take_part(struct choices *choices, unsigned form)
{
    uint8_t bytes32[32] = {0};
    BIGNUM *part;

    if (form % 4 == 0)
        take(bytes32, 32, choices);
    else if (form % 4 == 1)
        bytes32[31] = (uint8_t)take_byte(choices);
    else if (form % 4 == 2)
        bytes32[take_byte(choices) % 32] = (uint8_t)take_byte(choices);
    else
        memset(bytes32 + 16 * (form >> 2 & 1), (int)take_byte(choices),
               form & 4 ? 16 : 32);
    part = chosen_scalar(bytes32);
    if (form & 8)
        negate(part);
    return part;
}

/* One part, or one and lambda times another; never 0 where `positive`. */
static BIGNUM *take_scalar(struct choices *choices, bool positive)
{
    const unsigned form = take_byte(choices);
    BIGNUM *scalar = take_part(choices, form), *other;

    if (form & 16) {
        other = take_part(choices, form >> 5 | 8 * (form & 1));
        add_product(scalar, lambda(), other);
        BN_free(other);
    }
    if (positive && BN_is_zero(scalar))
        BN_one(scalar);
    return scalar;
}

/* The key is u1 G + u2 R: s = u2 r, digest = -u1 r. */
static void finish(struct lane *lane, const BIGNUM *u1, const BIGNUM *u2)
{
    BIGNUM *r = chosen_scalar(lane->signature65), *digest = BN_new(), *s = BN_new();

    check(digest != NULL && s != NULL, "memory");
    BN_zero(digest);
    BN_zero(s);
    add_product(digest, u1, r);
    negate(digest);
    add_product(s, u2, r);
    chosen_bytes(lane->digest32, digest);
    chosen_bytes(lane->signature65 + 32, s);
    check(BN_lshift1(s, s), "doubled");
    if (BN_cmp(s, chosen_order()) > 0)
        chosen_twin(lane->signature65);
    BN_free(r);
    BN_free(digest);
    BN_free(s);
}

/* Whether u1 G is u2 R. */
static bool is_double(const BIGNUM *u1, const BIGNUM *u2, const BIGNUM *nonce)
{
    BIGNUM *product = BN_new();
    bool is;

    check(product != NULL &&
              BN_mod_mul(product, u2, nonce, chosen_order(), chosen_context()),
          "a product");
    is = BN_cmp(product, u1) == 0;
    BN_free(product);
    return is;
}

/* Where `how` is 1 the last sum is of equal points, where it is 2 of opposite ones. */
static void sign_chosen(struct lane *lane, unsigned how, struct choices *choices)
{
    BIGNUM *nonce = take_scalar(choices, true), *u2 = take_scalar(choices, true);
    BIGNUM *u1 = take_scalar(choices, false);
    bool y_is_odd = false;

    if (how != 0)
        check(BN_mod_mul(u1, nonce, u2, chosen_order(), chosen_context()), "u2 R");
    if (how == 2)
        negate(u1);
    check(chosen_point(lane->signature65, &y_is_odd, nonce), "R");
    lane->signature65[64] = y_is_odd ? 28 : 27;
    finish(lane, u1, u2);
    lane->left_out = is_double(u1, u2, nonce);
    BN_free(nonce);
    BN_free(u1);
    BN_free(u2);
}

static void sign_plainly(struct lane *lane, struct choices *choices)
{
    BIGNUM *key = take_scalar(choices, true);
    uint8_t key32[32];

    chosen_bytes(key32, key);
    take(lane->digest32, 32, choices);
    check(x402_signature_sign(lane->signature65, lane->digest32, key32) == X402_OK,
          "a signature");
    BN_free(key);
}

static void fill(struct lane *lane, struct choices *choices)
{
    const unsigned how = take_byte(choices) % 5;

    memset(lane, 0, sizeof *lane);
    if (how < 3) {
        sign_chosen(lane, how, choices);
    } else if (how == 3) {
        sign_plainly(lane, choices);
    } else {
        take(lane->digest32, 32, choices);
        take(lane->signature65, 64, choices);
        lane->signature65[64] = (uint8_t)(27 + take_byte(choices) % 2);
    }
}

static void change(struct lane *lane, struct choices *choices)
{
    const unsigned what = take_byte(choices), at = take_byte(choices);
    uint8_t *half = lane->signature65 + at % 2 * 32;

    switch (what % 8) {
    case 0:
        lane->signature65[at % 65] ^= (uint8_t)take_byte(choices);
        break;
    case 1:
        lane->digest32[at % 32] ^= (uint8_t)take_byte(choices);
        break;
    case 2:
        chosen_twin(lane->signature65);
        break;
    case 3:
        lane->signature65[64] = (uint8_t)take_byte(choices);
        break;
    case 4:
        take(half, 32, choices);
        break;
    case 5:
        chosen_bytes(half, chosen_order());
        half[31] = (uint8_t)(half[31] + take_byte(choices));
        break;
    case 6:
        memset(half, (int)take_byte(choices), 32);
        break;
    default:
        memset(lane->digest32, (int)take_byte(choices), 32);
        break;
    }
}

/* ------------------------------------------------------------------------ the checks
 */

static bool is_zero(const uint8_t digest32[32])
{
    BIGNUM *digest = chosen_scalar(digest32);
    const bool is = BN_is_zero(digest);

    BN_free(digest);
    return is;
}

/* As libsecp256k1 gives it; unknown only what is left out. */
static void check_one(const struct x402_recovery *item, const struct lane *lane)
{
    uint8_t address20[20], key64[64];
    const bool good = x402_signature_recover_key(address20, key64, lane->digest32,
                                                 lane->signature65) == X402_OK;

    check(!item->known || good, "what is refused is not known");
    check(!item->known || memcmp(item->key64, key64, 64) == 0, "the key");
    check(item->known || !good || lane->left_out || is_zero(lane->digest32),
          "all others are known");
}

static void check_recovered(const struct lane *lanes, size_t count)
{
    struct x402_recovery items[LANES];

    if (!x402_recover8_is_here())
        return;
    for (size_t i = 0; i < count; i++)
        items[i] = (struct x402_recovery){.digest32 = lanes[i].digest32,
                                          .signature65 = lanes[i].signature65};
    x402_recover8(items, count);
    for (size_t i = 0; i < count; i++)
        check_one(&items[i], &lanes[i]);
}

/* Each named as who signed it or, in each second lane, as who signed the one before. */
static void check_signers(const struct lane *lanes, size_t count)
{
    struct x402_signature_check checks[LANES];
    uint8_t addresses[LANES][20] = {{0}};
    bool good[LANES];

    for (size_t i = 0; i < count; i++) {
        good[i] = x402_signature_recover(addresses[i], lanes[i].digest32,
                                         lanes[i].signature65) == X402_OK;
        checks[i] = (struct x402_signature_check){
            addresses[i - i % 2], lanes[i].digest32, lanes[i].signature65, !good[i]};
        good[i] = good[i] && memcmp(addresses[i], addresses[i - i % 2], 20) == 0;
    }
    x402_signers_check(NULL, checks, count);
    for (size_t i = 0; i < count; i++)
        check(checks[i].good == good[i], "the verdict");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices = {data, size};
    const size_t count = 1 + take_byte(&choices) % LANES;
    struct lane lanes[LANES];

    for (size_t i = 0; i < count; i++)
        fill(&lanes[i], &choices);
    check_recovered(lanes, count);
    check_signers(lanes, count);
    for (int i = 0; i < CHANGES_MAX && choices.left > 0; i++)
        change(&lanes[take_byte(&choices) % count], &choices);
    check_recovered(lanes, count);
    check_signers(lanes, count);
    return 0;
}
