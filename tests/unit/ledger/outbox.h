/*
 * Transactions of one key, and what the chain says of the payments in them.
 */
#ifndef X402_TESTS_LEDGER_OUTBOX_H
#define X402_TESTS_LEDGER_OUTBOX_H

#include "fixture.h"

static const uint8_t signer20[20] = {0x51, 0x67};
static const uint8_t raw[3] = {2, 0xc0, 0xff};

static struct x402_outbox transaction(uint64_t nonce, int64_t replaces_id)
{
    struct x402_outbox outbox = {
        .chain_id = CHAIN,
        .nonce = nonce,
        .max_fee_wei = UINT64_MAX,
        .max_priority_fee_wei = 3,
        .gas_limit = 100000,
        .raw = raw,
        .raw_size = sizeof(raw),
        .replaces_id = replaces_id,
    };

    memcpy(outbox.signer20, signer20, 20);
    memset(outbox.hash32, (int)nonce + 1, 32);
    return outbox;
}

/* Puts payments into a transaction; its id. */
__attribute__((unused)) static int64_t submit(struct x402_ledger *ledger,
                                              uint64_t nonce, const int64_t *ids,
                                              size_t count)
{
    struct x402_outbox outbox = transaction(nonce, 0);

    assert_int_equal(x402_ledger_submit(ledger, &outbox, ids, count), X402_OK);
    assert_true(outbox.transaction_id > 0);
    return outbox.transaction_id;
}

static struct x402_verdict verdict_of(int64_t id, enum x402_event event,
                                      int64_t transaction_id)
{
    struct x402_verdict verdict = {.payment_id = id,
                                   .event = event,
                                   .transaction_id = transaction_id,
                                   .block_number = 100,
                                   .gas_used = 40000,
                                   .fee_wei = 123456};

    memset(verdict.hash32, 0xaa, 32);
    memset(verdict.block_hash32, 0xbb, 32);
    snprintf(verdict.reason, sizeof(verdict.reason), "authorization expired");
    return verdict;
}

static enum x402_error advance(struct x402_ledger *ledger, int64_t id,
                               enum x402_event event, int64_t transaction_id)
{
    struct x402_verdict verdict = verdict_of(id, event, transaction_id);

    enum x402_error error = x402_ledger_advance(ledger, &verdict, 1);

    return error == X402_OK && !verdict.applied ? X402_ERR_CONFLICT : error;
}

#endif
