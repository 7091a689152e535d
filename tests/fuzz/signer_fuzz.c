/*
 * Any signature by anybody, claimed to be anybody's, and whatever is done to it: a
 * signer that is known is told from others exactly as by recovery. Also R, and the sums
 * on the way to it, of the input's choice.
 */
#include "check.h"

#include "evm/signature.h"
#include "evm/signer.h"
#include "unit/evm/alone.h"
#include "unit/evm/chosen.h"

#define PEOPLE 8
#define CHANGES_MAX 8

struct person {
    uint8_t key32[32], address20[20];
    uint8_t digest32[32], signature65[65]; /* a good one */
};

static struct person people[PEOPLE];
static struct x402_signers *signers; /* all of them are known, nobody else is ever */

static void present(const struct person *person)
{
    check(check_alone(signers, person->address20, person->digest32,
                      person->signature65) == X402_OK,
          "a good one");
}

/* Keys 1, 2, 3, their opposites, and two others. */
static void begin(void)
{
    signers = x402_signers_create();
    check(signers != NULL, "memory");
    for (unsigned i = 0; i < PEOPLE; i++) {
        BIGNUM *key = BN_new();
        check(key != NULL && BN_set_word(key, i % 4 == 3 ? 0x402402402 + i : i % 4 + 1),
              "a key");
        if (i >= PEOPLE / 2)
            check(BN_sub(key, chosen_order(), key), "its opposite");
        chosen_bytes(people[i].key32, key);
        BN_free(key);
        check(x402_key_address(people[i].address20, people[i].key32) == X402_OK,
              "its address");
        check(x402_signature_sign(people[i].signature65, people[i].digest32,
                                  people[i].key32) == X402_OK,
              "a signature");
        for (int j = 0; j < X402_SIGNER_SIGHTINGS; j++)
            present(&people[i]);
    }
}

/* Small, with few bits, the opposite of one of these, or any. */
static BIGNUM *take_scalar(struct choices *choices)
{
    uint8_t bytes32[32] = {0};
    unsigned form = take_byte(choices);
    BIGNUM *scalar;

    if (form % 4 == 0)
        take(bytes32, 32, choices);
    else if (form % 4 == 1)
        bytes32[31] = (uint8_t)take_byte(choices);
    else
        bytes32[take_byte(choices) % 32] = (uint8_t)take_byte(choices);
    scalar = chosen_scalar(bytes32);
    if (form & 4)
        check(BN_mod_sub(scalar, chosen_order(), scalar, chosen_order(),
                         chosen_context()),
              "its opposite");
    return scalar;
}

static void sign_chosen(struct chosen *out, const struct person *person,
                        struct choices *choices)
{
    BIGNUM *key = chosen_scalar(person->key32);
    BIGNUM *u1 = take_scalar(choices), *u2 = take_scalar(choices);

    if (BN_is_zero(u2))
        BN_one(u2);
    chosen_sign(out, key, u1, u2);
    BN_free(key);
    BN_free(u1);
    BN_free(u2);
}

static void change(struct chosen *signature, struct choices *choices)
{
    unsigned what = take_byte(choices), at = take_byte(choices);

    switch (what % 6) {
    case 0:
        signature->signature65[at % 65] ^= (uint8_t)take_byte(choices);
        break;
    case 1:
        signature->digest32[at % 32] ^= (uint8_t)take_byte(choices);
        break;
    case 2:
        chosen_twin(signature->signature65);
        break;
    case 3:
        signature->signature65[64] = (uint8_t)(27 + 28 - signature->signature65[64]);
        break;
    case 4:
        take(signature->signature65 + at % 2 * 32, 32, choices);
        break;
    default:
        chosen_bytes(signature->signature65 + at % 2 * 32, chosen_order());
        break;
    }
}

static void check_agrees(const struct person *claimed, const struct chosen *signature)
{
    uint8_t recovered20[20];
    bool good = x402_signature_recover(recovered20, signature->digest32,
                                       signature->signature65) == X402_OK &&
                memcmp(recovered20, claimed->address20, 20) == 0;
    uint64_t known = x402_signers_known(signers);

    check((check_alone(signers, claimed->address20, signature->digest32,
                       signature->signature65) == X402_OK) == good,
          "as recovery says");
    check(x402_signers_known(signers) == known + good, "known, if it is good");
    if (!good)
        present(claimed); /* recovered, so that its next is not */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices = {data, size};
    const struct person *by, *claimed;
    struct chosen signature;

    if (signers == NULL)
        begin();
    by = &people[take_byte(&choices) % PEOPLE];
    claimed = &people[take_byte(&choices) % PEOPLE];
    if (take_byte(&choices) % 2 == 0) {
        take(signature.digest32, 32, &choices);
        check(x402_signature_sign(signature.signature65, signature.digest32,
                                  by->key32) == X402_OK,
              "a signature");
    } else {
        sign_chosen(&signature, by, &choices);
    }
    check_agrees(by, &signature);
    for (int i = 0; i < CHANGES_MAX && choices.left > 0; i++) {
        change(&signature, &choices);
        check_agrees(by, &signature);
    }
    check_agrees(claimed, &signature);
    return 0;
}
