/*
 * Payers by number, payments of theirs within bounds, and balances seen. A payment is
 * of 1000 units.
 */
#ifndef X402_TESTS_LEDGER_PAYERS_H
#define X402_TESTS_LEDGER_PAYERS_H

#include "fixture.h"

#define NO_BOUND UINT64_MAX

static struct x402_admit bounded(unsigned number, uint64_t payer_max,
                                 uint64_t new_payer_max, uint64_t total_max)
{
    struct x402_admit admit = presentation(number, 0);

    admit.credit = (struct x402_credit){false, payer_max, new_payer_max, total_max};
    return admit;
}

/* By payer number `payer`. */
static struct x402_admit by(struct x402_admit admit, uint8_t payer)
{
    admit.verified.from20[19] = payer;
    return admit;
}

static bool is_served(struct x402_ledger *ledger, struct x402_admit *admit)
{
    enum x402_admission admission = admit_on(ledger, admit);

    assert_true(admission == X402_ADMISSION_NEW ||
                admission == X402_ADMISSION_SETTLING);
    return admission == X402_ADMISSION_NEW;
}

static struct x402_sighting balance(uint8_t payer, uint64_t amount, uint64_t block)
{
    struct x402_sighting sighting = {
        .looked = true, .balance = amount, .block_number = block};

    memset(sighting.payer.asset20, 0xa5, 20);
    memset(sighting.payer.payer20, 0xf0, 20);
    sighting.payer.payer20[19] = payer;
    return sighting;
}

static void see(struct x402_ledger *ledger, struct x402_sighting sighting)
{
    assert_int_equal(x402_ledger_payers_seen(ledger, CHAIN, &sighting, 1), X402_OK);
}

/* Gives payer number `payer` a row, by a payment that came to nothing. */
static void meet(struct x402_ledger *ledger, uint8_t payer)
{
    struct x402_admit admit = by(presentation(900u + payer, 0), payer);

    assert_int_equal(admit_on(ledger, &admit), X402_ADMISSION_NEW);
    assert_true(outcome_on(ledger, &admit, X402_EVENT_VOID));
}

/* How many further payments the payer is served, each of 1000. */
static unsigned served_further(struct x402_ledger *ledger, uint8_t payer,
                               uint64_t payer_max)
{
    static unsigned number = 100000;
    unsigned count = 0;

    for (;; count++) {
        struct x402_admit admit = by(bounded(number++, payer_max, 0, NO_BOUND), payer);
        if (!is_served(ledger, &admit)) {
            assert_true(chain_on(ledger, admit.payment_id, X402_EVENT_FAILED));
            return count;
        }
        assert_true(count < 100);
    }
}

#endif
