#include "evm/signer.h"
#include "evm/typed_data.h"

#include <x402/money.h>
#include <x402/verify.h>

#include <assert.h>
#include <string.h>

#define CHECKS_MAX 64 /* at a time */

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

void x402_claim(struct x402_claim *out, const struct x402_accept *accept,
                const struct x402_payment *payment)
{
    struct x402_authorization authorization;

    assert(came_from_match(accept, payment));
    fill(&out->unproven, accept, payment);
    authorization_of(&authorization, accept, payment);
    x402_authorization_digest(out->digest32, accept->network.domain_separator32,
                              &authorization);
}

struct x402_problem x402_signature_problem(enum x402_dialect dialect)
{
    return (struct x402_problem){
        X402_ERR_SIGNATURE,
        dialect == X402_DIALECT_FLAT ? "signature" : "payload.signature",
        "a signature by the payer, of the token's EIP-712 domain, s low, v 27 or 28"};
}

static struct x402_signature_check check_of(const struct x402_claim *claim)
{
    return (struct x402_signature_check){.signer20 = claim->unproven.from20,
                                         .digest32 = claim->digest32,
                                         .signature65 = claim->unproven.signature65};
}

void x402_verify_many(struct x402_signers *signers, struct x402_verification *items,
                      size_t count)
{
    struct x402_signature_check checks[CHECKS_MAX];
    size_t done = 0;

    while (done < count) {
        const size_t step = count - done < CHECKS_MAX ? count - done : CHECKS_MAX;
        for (size_t i = 0; i < step; i++)
            checks[i] = check_of(&items[done + i].claim);
        x402_signers_check(signers, checks, step);
        for (size_t i = 0; i < step; i++) {
            struct x402_verification *item = &items[done + i];
            item->error = checks[i].good ? X402_OK : X402_ERR_SIGNATURE;
            if (checks[i].good)
                item->verified = item->claim.unproven;
        }
        done += step;
    }
}

enum x402_error x402_verify(struct x402_signers *signers, struct x402_verified *out,
                            struct x402_problem *why, const struct x402_accept *accept,
                            const struct x402_payment *payment)
{
    struct x402_verification item;

    x402_claim(&item.claim, accept, payment);
    x402_verify_many(signers, &item, 1);
    if (item.error != X402_OK) {
        *why = x402_signature_problem(payment->dialect);
        return X402_ERR_SIGNATURE;
    }
    *out = item.verified;
    return X402_OK;
}
