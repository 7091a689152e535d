/* One signature, checked alone. */
#ifndef X402_TESTS_UNIT_EVM_ALONE_H
#define X402_TESTS_UNIT_EVM_ALONE_H

#include "evm/signer.h"

static inline enum x402_error check_alone(struct x402_signers *signers,
                                          const uint8_t signer20[20],
                                          const uint8_t digest32[32],
                                          const uint8_t signature65[65])
{
    struct x402_signature_check check = {
        .signer20 = signer20, .digest32 = digest32, .signature65 = signature65};

    x402_signers_check(signers, &check, 1);
    return check.good ? X402_OK : X402_ERR_SIGNATURE;
}

#endif
