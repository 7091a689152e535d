/*
 * Whether logs prove that an authorization moved the money it promised. Pure.
 */
#ifndef X402_SETTLE_PROOF_H
#define X402_SETTLE_PROOF_H

#include "ledger/ledger.h"
#include "settle/reply.h"

/*
 * True when the logs of one transaction hold the token's AuthorizationUsed(from, nonce)
 * and, right after it among the token's logs, Transfer(from, to, value): FiatToken
 * writes them so, and in a batch one transfer cannot prove two authorizations. A token
 * that writes them in another order is believed when the transaction used no second
 * authorization of this payer.
 */
bool x402_proof_of_payment(const struct x402_log *logs, size_t count,
                           const struct x402_settlement *payment);

/* Topic of AuthorizationCanceled(address,bytes32). */
extern const uint8_t x402_topic_authorization_canceled32[32];

/* A 32-byte word holding an address. */
void x402_word_of_address(uint8_t out32[32], const uint8_t address20[20]);

#endif
