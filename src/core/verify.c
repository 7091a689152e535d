#include "evm/signer.h"
#include "evm/typed_data.h"

#include <x402/money.h>
#include <x402/verify.h>

#include <assert.h>
#include <string.h>

/* The flat form does not name the payee: it is the offer's. */
static void authorization_of(struct x402_authorization *out,
                             const struct x402_accept *accept,
                             const struct x402_payment *payment)
{
    memcpy(out->from20, payment->from20, sizeof out->from20);
    memcpy(out->to20, accept->pay_to20, sizeof out->to20);
    out->value = payment->value;
    out->valid_after_seconds = payment->valid_after_seconds;
    out->valid_before_seconds = payment->valid_before_seconds;
    memcpy(out->nonce32, payment->nonce32, sizeof out->nonce32);
}

static void fill(struct x402_verified *out, const struct x402_accept *accept,
                 const struct x402_payment *payment)
{
    memset(out, 0, sizeof *out);
    out->dialect = payment->dialect;
    out->scheme = payment->scheme;
    out->chain_id = accept->network.chain_id;
    memcpy(out->asset20, accept->network.asset20, sizeof out->asset20);
    memcpy(out->from20, payment->from20, sizeof out->from20);
    memcpy(out->to20, accept->pay_to20, sizeof out->to20);
    out->value = payment->value;
    out->valid_after_seconds = payment->valid_after_seconds;
    out->valid_before_seconds = payment->valid_before_seconds;
    memcpy(out->nonce32, payment->nonce32, sizeof out->nonce32);
    memcpy(out->signature65, payment->signature65, sizeof out->signature65);
}

static bool came_from_match(const struct x402_accept *accept,
                            const struct x402_payment *payment)
{
    bool payee = payment->dialect == X402_DIALECT_FLAT ||
                 memcmp(payment->to20, accept->pay_to20, 20) == 0;

    return payee && payment->value >= accept->value && payment->value <= X402_VALUE_MAX;
}

enum x402_error x402_verify(struct x402_signers *signers, struct x402_verified *out,
                            struct x402_problem *why, const struct x402_accept *accept,
                            const struct x402_payment *payment)
{
    struct x402_authorization authorization;
    uint8_t digest[32];

    assert(came_from_match(accept, payment));
    authorization_of(&authorization, accept, payment);
    x402_authorization_digest(digest, accept->network.domain_separator32,
                              &authorization);
    if (x402_signer_check(signers, payment->from20, digest, payment->signature65) !=
        X402_OK) {
        *why = (struct x402_problem){
            X402_ERR_SIGNATURE,
            payment->dialect == X402_DIALECT_FLAT ? "signature" : "payload.signature",
            "a signature by the payer, of the token's EIP-712 domain, s low, v 27 or "
            "28"};
        return X402_ERR_SIGNATURE;
    }
    fill(out, accept, payment);
    return X402_OK;
}
