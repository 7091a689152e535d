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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signature_of_the_payer_is_proof_in_every_dialect),
        cmocka_unit_test(flat_form_is_charged_what_it_signed),
        cmocka_unit_test(every_signed_field_changed_is_refused),
        cmocka_unit_test(every_bit_of_the_signature_counts),
        cmocka_unit_test(flat_payment_meant_for_another_payee_is_refused),
        cmocka_unit_test(signature_for_another_domain_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
