#include "unit/core/support.h"

#include "evm/abi.h"
#include "evm/keccak.h"
#include "settle/proof.h"

static struct x402_settlement payment(uint8_t nonce)
{
    struct x402_settlement payment = {.value = 1000};

    memset(payment.asset20, 0xaa, 20);
    memset(payment.from20, 0x11, 20);
    memset(payment.to20, 0x22, 20);
    memset(payment.nonce32, nonce, 32);
    return payment;
}

static struct x402_log event(const uint8_t event32[32], const uint8_t first32[32],
                             const uint8_t second32[32])
{
    struct x402_log log = {.topics_count = 3};

    memset(log.address20, 0xaa, 20);
    memcpy(log.topics[0], event32, 32);
    memcpy(log.topics[1], first32, 32);
    memcpy(log.topics[2], second32, 32);
    return log;
}

static struct x402_log used(const struct x402_settlement *payment)
{
    uint8_t from32[32];

    x402_word_of_address(from32, payment->from20);
    return event(x402_topic_authorization_used32, from32, payment->nonce32);
}

static struct x402_log transfer(const struct x402_settlement *payment)
{
    uint8_t from32[32], to32[32];

    x402_word_of_address(from32, payment->from20);
    x402_word_of_address(to32, payment->to20);
    struct x402_log log = event(x402_topic_transfer32, from32, to32);
    log.data_size = 32;
    for (size_t i = 0; i < 8; i++)
        log.data32[31 - i] = (uint8_t)(payment->value >> (8 * i));
    return log;
}

/* A log of some other contract, or another of the token's. */
static struct x402_log noise(uint8_t address)
{
    struct x402_log log = {.topics_count = 1};

    memset(log.address20, address, 20);
    return log;
}

static void the_topic_of_a_cancellation_is_the_hash_of_its_signature(void **state)
{
    static const char text[] = "AuthorizationCanceled(address,bytes32)";
    uint8_t topic32[32];

    (void)state;
    x402_keccak256(topic32, text, sizeof text - 1);
    assert_memory_equal(topic32, x402_topic_authorization_canceled32, 32);
}

static void both_logs_prove_a_payment(void **state)
{
    struct x402_settlement p = payment(7);
    struct x402_log logs[] = {used(&p), transfer(&p)};

    (void)state;
    assert_true(x402_proof_of_payment(logs, 2, &p));
}

static void one_of_the_logs_proves_nothing(void **state)
{
    struct x402_settlement p = payment(7);
    struct x402_log logs[] = {used(&p), transfer(&p)};

    (void)state;
    assert_false(x402_proof_of_payment(logs, 1, &p));
    assert_false(x402_proof_of_payment(logs + 1, 1, &p));
    assert_false(x402_proof_of_payment(logs, 0, &p));
}

static void every_field_of_the_logs_counts(void **state)
{
    struct x402_settlement p = payment(7);
    struct x402_log right[] = {used(&p), transfer(&p)};

    (void)state;
    for (size_t log = 0; log < 2; log++) {
        for (size_t byte = 0; byte < 20 + 96 + 32; byte++) {
            struct x402_log logs[2] = {right[0], right[1]};
            if (byte < 20)
                logs[log].address20[byte] ^= 1;
            else if (byte < 116)
                logs[log].topics[(byte - 20) / 32][(byte - 20) % 32] ^= 1;
            else if (log == 1)
                logs[log].data32[byte - 116] ^= 1;
            else
                continue; /* AuthorizationUsed has no data */
            assert_false(x402_proof_of_payment(logs, 2, &p));
        }
    }
}

static void a_transfer_with_more_or_less_data_is_none(void **state)
{
    struct x402_settlement p = payment(7);
    struct x402_log logs[] = {used(&p), transfer(&p)};

    (void)state;
    logs[1].data_size = 64;
    assert_false(x402_proof_of_payment(logs, 2, &p));
    logs[1].data_size = 0;
    assert_false(x402_proof_of_payment(logs, 2, &p));
}

static void logs_of_other_contracts_may_stand_between(void **state)
{
    struct x402_settlement p = payment(7);
    struct x402_log logs[] = {noise(1), used(&p), noise(2), transfer(&p), noise(3)};

    (void)state;
    assert_true(x402_proof_of_payment(logs, 5, &p));
}

static void in_a_batch_each_use_has_its_own_transfer(void **state)
{
    struct x402_settlement a = payment(1), b = payment(2);
    struct x402_log both[] = {used(&a), transfer(&a), used(&b), transfer(&b)};
    struct x402_log one[] = {used(&a), transfer(&a), used(&b), noise(0xaa)};
    struct x402_log early[] = {transfer(&a), used(&a), used(&b)};

    (void)state;
    assert_true(x402_proof_of_payment(both, 4, &a));
    assert_true(x402_proof_of_payment(both, 4, &b));
    assert_true(x402_proof_of_payment(one, 4, &a));
    assert_false(x402_proof_of_payment(one, 4, &b));
    assert_false(x402_proof_of_payment(early, 3, &a));
    assert_false(x402_proof_of_payment(early, 3, &b));
}

static void a_token_that_transfers_before_it_notes_the_use_is_believed(void **state)
{
    struct x402_settlement p = payment(7);
    struct x402_log logs[] = {transfer(&p), used(&p)};

    (void)state;
    assert_true(x402_proof_of_payment(logs, 2, &p));
}

static void a_use_that_paid_another_proves_nothing(void **state)
{
    struct x402_settlement p = payment(7), other = payment(7);
    struct x402_log logs[2] = {used(&p)};

    (void)state;
    memset(other.to20, 0x33, 20);
    logs[1] = transfer(&other);
    assert_false(x402_proof_of_payment(logs, 2, &p));
    other = payment(7);
    other.value = 999;
    logs[1] = transfer(&other);
    assert_false(x402_proof_of_payment(logs, 2, &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_topic_of_a_cancellation_is_the_hash_of_its_signature),
        cmocka_unit_test(both_logs_prove_a_payment),
        cmocka_unit_test(one_of_the_logs_proves_nothing),
        cmocka_unit_test(every_field_of_the_logs_counts),
        cmocka_unit_test(a_transfer_with_more_or_less_data_is_none),
        cmocka_unit_test(logs_of_other_contracts_may_stand_between),
        cmocka_unit_test(in_a_batch_each_use_has_its_own_transfer),
        cmocka_unit_test(a_token_that_transfers_before_it_notes_the_use_is_believed),
        cmocka_unit_test(a_use_that_paid_another_proves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
