#include "evm/signature.h"
#include "evm/signer.h"
#include "unit/core/payments.h"

#include <x402/verify.h>

static struct x402_accept accept(void)
{
    struct x402_accept accept = {.value = 10000};

    assert_int_equal(x402_network_find(&accept.network, X402_SLICE("base-sepolia")),
                     X402_OK);
    hex_to(accept.pay_to20, 20, PAYEE);
    return accept;
}

static void signature_of_the_payer_is_proof_in_every_dialect(void **state)
{
    (void)state;
    struct x402_accept a = accept();
    struct x402_verified verified;
    struct x402_problem why;

    for (int d = 0; d < 3; d++) {
        struct x402_payment payment = good_payment((enum x402_dialect)d);
        assert_int_equal(x402_verify(NULL, &verified, &why, &a, &payment), X402_OK);
        assert_int_equal(verified.dialect, d);
        assert_int_equal(verified.scheme, X402_SCHEME_EXACT);
        assert_int_equal(verified.chain_id, 84532);
        assert_hex(verified.asset20, 20, "036cbd53842c5426634e7929541ec2318f3dcf7e");
        assert_hex(verified.from20, 20, "19e7e376e7c213b7e7e7e46cc70a5dd086daff2a");
        assert_hex(verified.to20, 20, "209693bc6afc0c5328ba36faf03c514ef312287c");
        assert_int_equal(verified.value, 10000);
        assert_int_equal(verified.valid_after_seconds, 0);
        assert_int_equal(verified.valid_before_seconds, VALID_BEFORE);
        assert_hex(verified.nonce32, 32, NONCE);
        assert_hex(verified.signature65, 65, SIGNATURE);
    }
}

static void flat_form_is_charged_what_it_signed(void **state)
{
    (void)state;
    struct x402_accept a = accept();
    struct x402_payment payment = good_payment(X402_DIALECT_FLAT);
    struct x402_verified verified;
    struct x402_problem why;

    a.value = 9000;
    assert_int_equal(x402_verify(NULL, &verified, &why, &a, &payment), X402_OK);
    assert_int_equal(verified.value, 10000);
}

static void assert_refused(const struct x402_accept *a,
                           const struct x402_payment *payment)
{
    struct x402_verified verified = {.value = 77};
    struct x402_problem why = {X402_OK, NULL, NULL};
    bool flat = payment->dialect == X402_DIALECT_FLAT;

    assert_int_equal(x402_verify(NULL, &verified, &why, a, payment),
                     X402_ERR_SIGNATURE);
    assert_int_equal(verified.value, 77);
    assert_int_equal(why.error, X402_ERR_SIGNATURE);
    assert_string_equal(why.field, flat ? "signature" : "payload.signature");
    assert_non_null(why.expected);
}

static void every_signed_field_changed_is_refused(void **state)
{
    (void)state;
    struct x402_accept a = accept();

    for (int d = 0; d < 3; d++) {
        const struct x402_payment good = good_payment((enum x402_dialect)d);
        struct x402_payment payment = good;
        payment.from20[0] ^= 1;
        assert_refused(&a, &payment);
        payment = good;
        payment.value++;
        assert_refused(&a, &payment);
        payment = good;
        payment.valid_after_seconds++;
        assert_refused(&a, &payment);
        payment = good;
        payment.valid_before_seconds++;
        assert_refused(&a, &payment);
        payment = good;
        payment.nonce32[31] ^= 1;
        assert_refused(&a, &payment);
    }
}

static void every_bit_of_the_signature_counts(void **state)
{
    (void)state;
    struct x402_accept a = accept();
    const struct x402_payment good = good_payment(X402_DIALECT_V2);

    for (size_t bit = 0; bit < 65 * 8; bit += 5) {
        struct x402_payment payment = good;
        payment.signature65[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_refused(&a, &payment);
    }
}

static void flat_payment_meant_for_another_payee_is_refused(void **state)
{
    (void)state;
    struct x402_accept a = accept();
    struct x402_payment payment = good_payment(X402_DIALECT_FLAT);

    a.pay_to20[0] ^= 1;
    assert_refused(&a, &payment);
}

static void signature_for_another_domain_is_refused(void **state)
{
    (void)state;
    struct x402_payment payment = good_payment(X402_DIALECT_V1);
    struct x402_accept a = accept();

    a.network.chain_id++;
    x402_network_seal(&a.network);
    assert_refused(&a, &payment);
    a = accept();
    a.network.asset20[0] ^= 1;
    x402_network_seal(&a.network);
    assert_refused(&a, &payment);
    a = accept();
    a.network.asset_name[0] = 'u';
    x402_network_seal(&a.network);
    assert_refused(&a, &payment);
    a = accept();
    a.network.asset_version[0] = '1';
    x402_network_seal(&a.network);
    assert_refused(&a, &payment);
}

/* --------------------------------------------------------------- many at a time */

#define MANY_MAX 150 /* more than are checked at a time */
#define PAYERS 7

/* By the number-th payer, in each dialect in turn, of its own nonce and value. */
static struct x402_payment payment_by(unsigned number, const struct x402_accept *a)
{
    struct x402_payment payment = good_payment((enum x402_dialect)(number % 3));
    uint8_t key32[32] = {[31] = (uint8_t)(1 + number % PAYERS)};
    struct x402_claim claim;

    assert_int_equal(x402_key_address(payment.from20, key32), X402_OK);
    memcpy(payment.nonce32, &number, sizeof number);
    payment.value += number / 3;
    x402_claim(&claim, a, &payment);
    assert_int_equal(x402_signature_sign(payment.signature65, claim.digest32, key32),
                     X402_OK);
    return payment;
}

/* For another value or nonce, in another's name, or malformed. */
static void spoil(struct x402_payment *payment, unsigned how)
{
    switch (how % 6) {
    case 0:
        payment->value++;
        break;
    case 1:
        payment->nonce32[31] ^= 1;
        break;
    case 2:
        payment->from20[19] ^= 1;
        break;
    case 3:
        payment->signature65[64] = (uint8_t)(55 - payment->signature65[64]);
        break;
    case 4:
        memset(payment->signature65, 0, 65);
        break;
    default:
        memset(payment->signature65, 0xff, 65);
        break;
    }
}

static void assert_same_proof(const struct x402_verified *is,
                              const struct x402_verified *should)
{
    assert_int_equal(is->dialect, should->dialect);
    assert_int_equal(is->scheme, should->scheme);
    assert_int_equal(is->chain_id, should->chain_id);
    assert_memory_equal(is->asset20, should->asset20, 20);
    assert_memory_equal(is->from20, should->from20, 20);
    assert_memory_equal(is->to20, should->to20, 20);
    assert_int_equal(is->value, should->value);
    assert_int_equal(is->valid_after_seconds, should->valid_after_seconds);
    assert_int_equal(is->valid_before_seconds, should->valid_before_seconds);
    assert_memory_equal(is->nonce32, should->nonce32, 32);
    assert_memory_equal(is->signature65, should->signature65, 65);
}

static void assert_all_zero(const void *memory, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(((const uint8_t *)memory)[i], 0);
}

/* Many, of which each `good_each`-th is good, come out as each alone does. */
static void assert_as_alone(struct x402_signers *signers, unsigned count,
                            unsigned good_each)
{
    static struct x402_verification items[MANY_MAX + 1];
    static struct x402_payment payments[MANY_MAX];
    const struct x402_accept a = accept();
    struct x402_verified verified;
    struct x402_problem why;

    memset(items, 0, sizeof items);
    for (unsigned i = 0; i < count; i++) {
        payments[i] = payment_by(i, &a);
        if (i % good_each != 0)
            spoil(&payments[i], i + count);
        x402_claim(&items[i].claim, &a, &payments[i]);
        items[i].error = X402_ERR_JSON;
    }
    x402_verify_many(signers, items, count);
    for (unsigned i = 0; i < count; i++) {
        memset(&verified, 0, sizeof verified);
        assert_int_equal(items[i].error,
                         x402_verify(NULL, &verified, &why, &a, &payments[i]));
        assert_int_equal(items[i].error,
                         i % good_each == 0 ? X402_OK : X402_ERR_SIGNATURE);
        assert_same_proof(&items[i].verified, &verified);
        if (items[i].error == X402_OK)
            assert_same_proof(&verified, &items[i].claim.unproven);
        else
            assert_all_zero(&items[i].verified, sizeof items[i].verified);
    }
    assert_all_zero(&items[count], sizeof items[count]);
}

static const unsigned counts[] = {0,  1,  2,  3,  8,  9,   17,
                                  63, 64, 65, 66, 67, 128, MANY_MAX};

static void many_are_verified_as_each_alone_and_filled_only_where_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        for (unsigned good_each = 1; good_each <= 5; good_each++)
            assert_as_alone(NULL, counts[i], good_each);
}

static void many_of_payers_that_came_before_are_verified_as_each_alone(void **state)
{
    struct x402_signers *signers = x402_signers_create();

    (void)state;
    assert_non_null(signers);
    for (unsigned round = 0; round < 40; round++) /* each is known by then */
        assert_as_alone(signers, 1 + round % 2, 1 + round % 3);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        for (unsigned good_each = 1; good_each <= 3; good_each++)
            assert_as_alone(signers, counts[i], good_each);
    x402_signers_destroy(signers);
}

static void claim_says_what_the_payment_says_in_every_dialect(void **state)
{
    const struct x402_accept a = accept();
    json_t *vectors = load_vectors("typed-data.json");

    (void)state;
    for (int d = 0; d < 3; d++) {
        const struct x402_payment payment = good_payment((enum x402_dialect)d);
        struct x402_verified verified;
        struct x402_problem why;
        struct x402_claim claim;
        memset(&claim, 0xA5, sizeof claim);
        memset(&verified, 0, sizeof verified);
        x402_claim(&claim, &a, &payment);
        assert_int_equal(claim.unproven.dialect, d);
        assert_hex(claim.digest32, 32, string_at(vectors, "baseSepolia.digest"));
        assert_int_equal(x402_verify(NULL, &verified, &why, &a, &payment), X402_OK);
        assert_same_proof(&claim.unproven, &verified);
    }
    json_decref(vectors);
}

/* The payee of the flat form is the offer's. */
static void claim_of_a_payment_depends_on_all_that_is_signed(void **state)
{
    struct x402_accept a = accept();
    const struct x402_payment good = good_payment(X402_DIALECT_FLAT);
    struct x402_payment payment = good;
    struct x402_claim claim, other;

    (void)state;
    x402_claim(&claim, &a, &good);
    payment.nonce32[0] ^= 1;
    x402_claim(&other, &a, &payment);
    assert_memory_not_equal(claim.digest32, other.digest32, 32);
    payment = good;
    payment.from20[0] ^= 1;
    x402_claim(&other, &a, &payment);
    assert_memory_not_equal(claim.digest32, other.digest32, 32);
    payment = good;
    payment.signature65[0] ^= 1;
    x402_claim(&other, &a, &payment);
    assert_memory_equal(claim.digest32, other.digest32, 32);
    assert_memory_equal(other.unproven.signature65, payment.signature65, 65);
    a.pay_to20[0] ^= 1;
    x402_claim(&other, &a, &good);
    assert_memory_not_equal(claim.digest32, other.digest32, 32);
    assert_memory_equal(other.unproven.to20, a.pay_to20, 20);
}

static void problem_of_a_signature_names_the_dialects_member(void **state)
{
    (void)state;
    for (int d = 0; d < 3; d++) {
        const struct x402_problem problem =
            x402_signature_problem((enum x402_dialect)d);
        assert_int_equal(problem.error, X402_ERR_SIGNATURE);
        assert_string_equal(problem.field,
                            d == X402_DIALECT_FLAT ? "signature" : "payload.signature");
        assert_non_null(problem.expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signature_of_the_payer_is_proof_in_every_dialect),
        cmocka_unit_test(flat_form_is_charged_what_it_signed),
        cmocka_unit_test(every_signed_field_changed_is_refused),
        cmocka_unit_test(every_bit_of_the_signature_counts),
        cmocka_unit_test(flat_payment_meant_for_another_payee_is_refused),
        cmocka_unit_test(signature_for_another_domain_is_refused),
        cmocka_unit_test(many_are_verified_as_each_alone_and_filled_only_where_good),
        cmocka_unit_test(many_of_payers_that_came_before_are_verified_as_each_alone),
        cmocka_unit_test(claim_says_what_the_payment_says_in_every_dialect),
        cmocka_unit_test(claim_of_a_payment_depends_on_all_that_is_signed),
        cmocka_unit_test(problem_of_a_signature_names_the_dialects_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
