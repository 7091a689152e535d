#include "unit/core/payments.h"

#include <x402/money.h>
#include <x402/verify.h>

#define NOW (VALID_BEFORE - 60)

static const struct x402_accept *matched;
static struct x402_problem why;

static struct x402_accept accept_of(const char *network, uint64_t value)
{
    struct x402_accept accept = {.value = value};

    assert_int_equal(x402_network_find(&accept.network, x402_slice_of(network)),
                     X402_OK);
    hex_to(accept.pay_to20, 20, PAYEE);
    return accept;
}

static struct x402_offer offer(void)
{
    return (struct x402_offer){.accepts = {accept_of("base-sepolia", 10000)},
                               .accepts_count = 1,
                               .window_seconds = 300,
                               .window_min_seconds = 30,
                               .window_max_seconds = 86400};
}

static enum x402_error match(const struct x402_offer *o, const struct x402_payment *p,
                             uint64_t now)
{
    matched = NULL;
    why = (struct x402_problem){X402_OK, NULL, NULL};
    return x402_match(&matched, &why, o, p, now);
}

static void assert_refused(const struct x402_offer *o, const struct x402_payment *p,
                           enum x402_error error, const char *field)
{
    assert_int_equal(match(o, p, NOW), error);
    assert_null(matched);
    assert_int_equal(why.error, error);
    assert_string_equal(why.field, field);
    assert_non_null(why.expected);
}

static void good_payments_of_every_dialect_match(void **state)
{
    (void)state;
    struct x402_offer o = offer();

    for (int d = 0; d < 3; d++) {
        struct x402_payment payment = good_payment((enum x402_dialect)d);
        assert_int_equal(match(&o, &payment, NOW), X402_OK);
        assert_ptr_equal(matched, &o.accepts[0]);
    }
}

static void unknown_scheme_is_refused(void **state)
{
    (void)state;
    struct x402_offer o = offer();
    struct x402_payment payment = good_payment(X402_DIALECT_V2);

    payment.scheme = (enum x402_scheme)1;
    assert_refused(&o, &payment, X402_ERR_SCHEME, "accepted.scheme");
}

static void network_that_is_not_offered_is_refused(void **state)
{
    (void)state;
    struct x402_offer o = offer();
    struct x402_payment v2 = good_payment(X402_DIALECT_V2);
    struct x402_payment v1 = good_payment(X402_DIALECT_V1);

    v2.chain_id = 8453;
    assert_refused(&o, &v2, X402_ERR_NETWORK, "accepted.network");
    v2.chain_id = 0;
    assert_refused(&o, &v2, X402_ERR_NETWORK, "accepted.network");
    strcpy(v1.network, "base");
    assert_refused(&o, &v1, X402_ERR_NETWORK, "network");
}

static void nameless_v1_network_matches_no_nameless_offer(void **state)
{
    (void)state;
    struct x402_offer o = offer();
    struct x402_payment payment = good_payment(X402_DIALECT_V1);

    memset(payment.network, 0, sizeof payment.network);
    memset(o.accepts[0].network.name, 0, sizeof o.accepts[0].network.name);
    assert_refused(&o, &payment, X402_ERR_NETWORK, "network");
}

static void asset_that_is_not_offered_is_refused(void **state)
{
    (void)state;
    struct x402_offer o = offer();
    struct x402_payment payment = good_payment(X402_DIALECT_V2);

    payment.accepted_asset20[19] ^= 1;
    assert_refused(&o, &payment, X402_ERR_ASSET, "accepted.asset");
}

static void payment_to_somebody_else_is_refused(void **state)
{
    (void)state;
    struct x402_offer o = offer();
    struct x402_payment payment = good_payment(X402_DIALECT_V2);

    payment.accepted_pay_to20[0] ^= 1;
    assert_refused(&o, &payment, X402_ERR_PAYEE, "accepted.payTo");
    for (int d = X402_DIALECT_V2; d <= X402_DIALECT_V1; d++) {
        payment = good_payment((enum x402_dialect)d);
        payment.to20[19] ^= 1;
        assert_refused(&o, &payment, X402_ERR_PAYEE, "payload.authorization.to");
    }
}

static void v1_and_v2_must_name_the_exact_amount(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 9999, 10001, X402_VALUE_MAX, UINT64_MAX};
    struct x402_offer o = offer();

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct x402_payment payment = good_payment(X402_DIALECT_V2);
        payment.accepted_value = values[i];
        assert_refused(&o, &payment, X402_ERR_VALUE, "accepted.amount");
        for (int d = X402_DIALECT_V2; d <= X402_DIALECT_V1; d++) {
            payment = good_payment((enum x402_dialect)d);
            payment.value = values[i];
            assert_refused(&o, &payment, X402_ERR_VALUE, "payload.authorization.value");
        }
    }
}

static void flat_form_may_exceed_the_price_and_not_fall_short(void **state)
{
    (void)state;
    struct x402_offer o = offer();
    struct x402_payment payment = good_payment(X402_DIALECT_FLAT);

    payment.value = 10001;
    assert_int_equal(match(&o, &payment, NOW), X402_OK);
    payment.value = X402_VALUE_MAX;
    assert_int_equal(match(&o, &payment, NOW), X402_OK);
    payment.value = 9999;
    assert_refused(&o, &payment, X402_ERR_VALUE, "amount");
    payment.value = (uint64_t)X402_VALUE_MAX + 1;
    assert_refused(&o, &payment, X402_ERR_VALUE, "amount");
    payment.value = UINT64_MAX;
    assert_refused(&o, &payment, X402_ERR_VALUE, "amount");
}

static void flat_form_is_for_the_first_network(void **state)
{
    (void)state;
    struct x402_offer o = offer();
    struct x402_payment payment = good_payment(X402_DIALECT_FLAT);

    o.accepts[1] = accept_of("base", 5000);
    o.accepts_count = 2;
    payment.value = 5000;
    assert_refused(&o, &payment, X402_ERR_VALUE, "amount");
    payment.value = 10000;
    assert_int_equal(match(&o, &payment, NOW), X402_OK);
    assert_ptr_equal(matched, &o.accepts[0]);
}

static void authorization_must_be_valid_already(void **state)
{
    (void)state;
    struct x402_offer o = offer();
    struct x402_payment payment = good_payment(X402_DIALECT_V1);

    payment.valid_after_seconds = NOW - 1;
    assert_int_equal(match(&o, &payment, NOW), X402_OK);
    payment.valid_after_seconds = NOW;
    assert_refused(&o, &payment, X402_ERR_VALID_AFTER,
                   "payload.authorization.validAfter");
    payment.valid_after_seconds = UINT64_MAX;
    assert_refused(&o, &payment, X402_ERR_VALID_AFTER,
                   "payload.authorization.validAfter");
}

static void authorization_must_stay_valid_long_enough(void **state)
{
    (void)state;
    struct x402_offer o = offer();
    struct x402_payment payment = good_payment(X402_DIALECT_V2);

    payment.valid_before_seconds = NOW + o.window_min_seconds;
    assert_int_equal(match(&o, &payment, NOW), X402_OK);
    payment.valid_before_seconds--;
    assert_refused(&o, &payment, X402_ERR_VALID_BEFORE,
                   "payload.authorization.validBefore");
    payment.valid_before_seconds = 0;
    assert_refused(&o, &payment, X402_ERR_VALID_BEFORE,
                   "payload.authorization.validBefore");
}

static void authorization_must_not_stay_valid_too_long(void **state)
{
    (void)state;
    struct x402_offer o = offer();
    struct x402_payment payment = good_payment(X402_DIALECT_FLAT);

    payment.valid_before_seconds = NOW + o.window_max_seconds;
    assert_int_equal(match(&o, &payment, NOW), X402_OK);
    payment.valid_before_seconds++;
    assert_refused(&o, &payment, X402_ERR_VALID_BEFORE, "expiry");
    payment.valid_before_seconds = UINT64_MAX;
    assert_refused(&o, &payment, X402_ERR_VALID_BEFORE, "expiry");
}

static void entry_that_agrees_is_found_among_several(void **state)
{
    (void)state;
    struct x402_offer o = offer();
    struct x402_payment v2 = good_payment(X402_DIALECT_V2);
    struct x402_payment v1 = good_payment(X402_DIALECT_V1);

    o.accepts[0] = accept_of("base", 10000);
    o.accepts[1] = accept_of("base-sepolia", 20000);
    o.accepts[2] = accept_of("base-sepolia", 10000);
    o.accepts_count = 3;
    assert_int_equal(match(&o, &v2, NOW), X402_OK);
    assert_ptr_equal(matched, &o.accepts[2]);
    assert_int_equal(match(&o, &v1, NOW), X402_OK);
    assert_ptr_equal(matched, &o.accepts[2]);
}

static void objection_is_that_of_the_entry_that_agrees_furthest(void **state)
{
    (void)state;
    struct x402_offer o = offer();
    struct x402_payment payment = good_payment(X402_DIALECT_V2);

    o.accepts[0] = accept_of("base-sepolia", 20000);
    o.accepts[1] = accept_of("base", 10000);
    o.accepts_count = 2;
    assert_refused(&o, &payment, X402_ERR_VALUE, "accepted.amount");
    o.accepts[1] = o.accepts[0];
    o.accepts[0] = accept_of("base", 10000);
    assert_refused(&o, &payment, X402_ERR_VALUE, "accepted.amount");
}

static bool is_late(const struct x402_offer *o, const struct x402_payment *p,
                    uint64_t now)
{
    matched = NULL;
    bool late = x402_match_late(&matched, o, p, now, 3600);
    assert_ptr_equal(matched, late ? &o->accepts[0] : NULL);
    return late;
}

static void payment_is_late_from_its_last_seconds_until_it_is_forgotten(void **state)
{
    (void)state;
    struct x402_offer o = offer();

    for (int d = 0; d < 3; d++) {
        struct x402_payment payment = good_payment((enum x402_dialect)d);
        assert_false(is_late(&o, &payment, VALID_BEFORE - 30));
        assert_true(is_late(&o, &payment, VALID_BEFORE - 29));
        assert_true(is_late(&o, &payment, VALID_BEFORE));
        assert_true(is_late(&o, &payment, VALID_BEFORE + 3599));
        assert_false(is_late(&o, &payment, VALID_BEFORE + 3600));
    }
}

static void payment_for_more_than_is_asked_now_is_late_and_one_for_less_is_not(
    void **state)
{
    (void)state;
    struct x402_offer o = offer();

    for (int d = 0; d < 3; d++) {
        struct x402_payment payment = good_payment((enum x402_dialect)d);
        assert_false(is_late(&o, &payment, NOW));
        o.accepts[0].value--; /* the price has fallen */
        assert_int_equal(is_late(&o, &payment, NOW), d != X402_DIALECT_FLAT);
        assert_true(is_late(&o, &payment, VALID_BEFORE + 1));
        o.accepts[0].value += 2; /* or risen */
        assert_false(is_late(&o, &payment, NOW));
        assert_false(is_late(&o, &payment, VALID_BEFORE + 1));
        o.accepts[0].value--;
    }
}

static void payment_that_is_valid_for_too_long_is_not_late(void **state)
{
    (void)state;
    struct x402_offer o = offer();
    struct x402_payment payment = good_payment(X402_DIALECT_V2);

    o.accepts[0].value--;
    payment.valid_before_seconds = NOW + o.window_max_seconds;
    assert_true(is_late(&o, &payment, NOW));
    payment.valid_before_seconds++;
    assert_false(is_late(&o, &payment, NOW));
}

static void late_payment_with_anything_else_wrong_is_not_late(void **state)
{
    (void)state;
    const uint64_t now = VALID_BEFORE + 1;
    struct x402_offer o = offer();
    struct x402_payment payment = good_payment(X402_DIALECT_V2);

    payment.scheme = (enum x402_scheme)1;
    assert_false(is_late(&o, &payment, now));
    payment = good_payment(X402_DIALECT_V2);
    payment.chain_id = 8453;
    assert_false(is_late(&o, &payment, now));
    payment = good_payment(X402_DIALECT_V2);
    payment.accepted_asset20[0] ^= 1;
    assert_false(is_late(&o, &payment, now));
    payment = good_payment(X402_DIALECT_V2);
    payment.to20[0] ^= 1;
    assert_false(is_late(&o, &payment, now));
    payment = good_payment(X402_DIALECT_V2);
    payment.value--;
    payment.accepted_value--;
    assert_false(is_late(&o, &payment, now));
    payment = good_payment(X402_DIALECT_V2);
    payment.value++; /* and says that it accepted less */
    assert_false(is_late(&o, &payment, now));
    payment = good_payment(X402_DIALECT_V2);
    payment.valid_after_seconds = now;
    assert_false(is_late(&o, &payment, now));
    payment = good_payment(X402_DIALECT_V2);
    payment.valid_before_seconds = now + 86401;
    assert_false(is_late(&o, &payment, now));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_payments_of_every_dialect_match),
        cmocka_unit_test(unknown_scheme_is_refused),
        cmocka_unit_test(network_that_is_not_offered_is_refused),
        cmocka_unit_test(nameless_v1_network_matches_no_nameless_offer),
        cmocka_unit_test(asset_that_is_not_offered_is_refused),
        cmocka_unit_test(payment_to_somebody_else_is_refused),
        cmocka_unit_test(v1_and_v2_must_name_the_exact_amount),
        cmocka_unit_test(flat_form_may_exceed_the_price_and_not_fall_short),
        cmocka_unit_test(flat_form_is_for_the_first_network),
        cmocka_unit_test(authorization_must_be_valid_already),
        cmocka_unit_test(authorization_must_stay_valid_long_enough),
        cmocka_unit_test(authorization_must_not_stay_valid_too_long),
        cmocka_unit_test(entry_that_agrees_is_found_among_several),
        cmocka_unit_test(payment_is_late_from_its_last_seconds_until_it_is_forgotten),
        cmocka_unit_test(
            payment_for_more_than_is_asked_now_is_late_and_one_for_less_is_not),
        cmocka_unit_test(payment_that_is_valid_for_too_long_is_not_late),
        cmocka_unit_test(late_payment_with_anything_else_wrong_is_not_late),
        cmocka_unit_test(objection_is_that_of_the_entry_that_agrees_furthest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
