/*
 * From a payment to proof. x402_match is cheap and comes first; a verification costs
 * one public-key recovery, half as much for a payer that came before, a fourth of it
 * where several are verified together.
 */
#ifndef X402_VERIFY_H
#define X402_VERIFY_H

#include <x402/offer.h>
#include <x402/payment.h>

/*
 * Compares a payment with an offer: scheme, network, asset, payee, amount, time window,
 * in that order. v1 and v2 must name the exact amount, as the reference demands; the
 * flat form may exceed it and is charged what it signed; the flat form is for the
 * offer's first network. validAfter < now and now + min <= validBefore <= now + max.
 *
 * Out:     *out, on success only: the way of paying that matched, inside `offer`.
 *          *why, on failure only.
 * Returns: X402_OK or the ERR_… of status 402 that says what does not match.
 */
X402_MUST_USE enum x402_error x402_match(const struct x402_accept **out,
                                         struct x402_problem *why,
                                         const struct x402_offer *offer,
                                         const struct x402_payment *payment,
                                         uint64_t now_seconds);

/*
 * Whether nothing is wrong with a payment but that it comes late: its authorization has
 * expired, less than `since_max_seconds` ago, or has less validity left than the offer
 * asks for; or it is for more than the offer asks now. Such a payment buys nothing new;
 * it may be one that was settled, at the price of then, and never served. One for less
 * is never late: it would buy a dear call for what a cheap one costs. *out as above,
 * when it is so.
 */
X402_MUST_USE bool x402_match_late(const struct x402_accept **out,
                                   const struct x402_offer *offer,
                                   const struct x402_payment *payment,
                                   uint64_t now_seconds, uint64_t since_max_seconds);

/*
 * Proof that the signature is the payer's. Pointer-free. Nothing but x402_verify and
 * x402_verify_many fills one, and the ledger admits nothing else.
 */
struct x402_verified {
    enum x402_dialect dialect;
    enum x402_scheme scheme;
    uint64_t chain_id;
    uint8_t asset20[20];
    uint8_t from20[20];
    uint8_t to20[20];
    uint64_t value;
    uint64_t valid_after_seconds;
    uint64_t valid_before_seconds;
    uint8_t nonce32[32];
    uint8_t signature65[65];
};

struct x402_signers;

/*
 * Verifies the EIP-712 signature over the EIP-3009 authorization: full domain, low s
 * (EIP-2), v in {27, 28}, recovered address equal to `from`. `accept` must come from
 * x402_match or x402_match_late of the same payment. X402_ERR_SIGNATURE, with *why.
 *
 * In: signers: payers that came before (src/evm/signer.h), remembers this one; NULL:
 *     each is taken for new. It decides nothing but the time that this takes.
 *
 * Thread-safe but for `signers`: the library's secp256k1 context is static and
 * read-only.
 */
X402_MUST_USE enum x402_error x402_verify(struct x402_signers *signers,
                                          struct x402_verified *out,
                                          struct x402_problem *why,
                                          const struct x402_accept *accept,
                                          const struct x402_payment *payment);

/*
 * The same in two steps, so that signatures of many payments can be verified together,
 * which where the processor can costs a fourth of verifying each alone (evm/signer.h).
 */

/* What a payment says, and the EIP-712 digest that its payer should have signed: all of
 * a proof but the proof. Pointer-free. Nothing but x402_claim fills one. */
struct x402_claim {
    struct x402_verified unproven;
    uint8_t digest32[32];
};

/* As x402_verify asks for `accept` and `payment`. */
void x402_claim(struct x402_claim *out, const struct x402_accept *accept,
                const struct x402_payment *payment);

struct x402_verification {
    struct x402_claim claim;       /* in */
    enum x402_error error;         /* out: X402_OK or X402_ERR_SIGNATURE */
    struct x402_verified verified; /* out, where the error is X402_OK */
};

/* Verifies each claim. In: signers: as above; used by no other thread meanwhile. */
void x402_verify_many(struct x402_signers *signers, struct x402_verification *items,
                      size_t count);

/* What a caller of this dialect is told of a signature that is not its payer's. */
struct x402_problem x402_signature_problem(enum x402_dialect dialect);

#endif
