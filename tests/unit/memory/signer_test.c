/*
 * Memory that runs out under the memory of signers: signatures are good and bad as
 * ever, it only takes recoveries to say so.
 */
#include "unit/core/support.h"

#include "evm/signature.h"
#include "evm/signer.h"
#include "unit/evm/alone.h"
#include "unit/memory/memory.h"

static const uint8_t key32[32] = {0x11};

static enum x402_error check(struct x402_signers *signers, uint8_t digest)
{
    uint8_t address20[20], digest32[32] = {7}, signature65[65];

    assert_int_equal(x402_key_address(address20, key32), X402_OK);
    assert_int_equal(x402_signature_sign(signature65, digest32, key32), X402_OK);
    digest32[0] = digest;
    return check_alone(signers, address20, digest32, signature65);
}

/* A good signature; whether a recovery was saved. */
static bool present(struct x402_signers *signers)
{
    uint64_t known = x402_signers_known(signers);

    assert_int_equal(check(signers, 7), X402_OK);
    return x402_signers_known(signers) > known;
}

static void signers_without_memory_are_not_made(void **state)
{
    (void)state;
    memory_arm(1, true);
    struct x402_signers *signers = x402_signers_create();
    assert_true(memory_failed());
    assert_null(signers);
    x402_signers_destroy(signers);
}

static void a_signer_without_memory_is_known_once_there_is_some(void **state)
{
    (void)state;
    struct x402_signers *signers = x402_signers_create();

    assert_non_null(signers);
    memory_arm(1, true);
    for (int i = 0; i < 2 * X402_SIGNER_SIGHTINGS; i++) {
        assert_false(present(signers));
        assert_int_equal(check(signers, 8), X402_ERR_SIGNATURE);
    }
    assert_true(memory_failed());
    assert_false(present(signers));
    assert_true(present(signers));
    x402_signers_destroy(signers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signers_without_memory_are_not_made),
        cmocka_unit_test(a_signer_without_memory_is_known_once_there_is_some),
    };

    return cmocka_run_group_tests(tests, memory_install, NULL);
}
