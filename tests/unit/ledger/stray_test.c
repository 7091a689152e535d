/* What is submitted by signers that nobody holds. */
#include "fixture.h"

#define OURS 1
#define LOST 2
#define OTHER 3

static const uint8_t *signer_of(uint8_t number)
{
    static uint8_t signer20[20];

    memset(signer20, number, sizeof(signer20));
    return signer20;
}

/* Sells payment `number` and puts it into a transaction of a signer; its id. */
static int64_t submit(struct x402_ledger *ledger, unsigned number, uint64_t chain_id,
                      uint64_t valid_before_seconds, uint8_t signer)
{
    struct x402_admit admit = presentation(number, 0);
    struct x402_outbox outbox = {.chain_id = chain_id,
                                 .nonce = number,
                                 .raw = (const uint8_t *)"raw",
                                 .raw_size = 3};

    admit.verified.chain_id = chain_id;
    admit.verified.valid_before_seconds = valid_before_seconds;
    memcpy(outbox.signer20, signer_of(signer), 20);
    assert_int_equal(admit_on(ledger, &admit), X402_ADMISSION_NEW);
    assert_true(outcome_on(ledger, &admit, X402_EVENT_DELIVERED));
    assert_int_equal(x402_ledger_submit(ledger, &outbox, &admit.payment_id, 1),
                     X402_OK);
    return admit.payment_id;
}

static size_t strays(struct x402_ledger *ledger, const struct x402_settlement *after,
                     struct x402_settlement *out, size_t max)
{
    size_t count = 0;

    assert_int_equal(
        x402_ledger_strays(ledger, CHAIN, signer_of(OURS), after, out, max, &count),
        X402_OK);
    return count;
}

static void what_signers_submitted_that_nobody_holds_comes_as_it_ends(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *ledger = fixture->ledger;
    struct x402_settlement found[10];
    int64_t later, sooner, settled;

    (void)submit(ledger, 1, CHAIN, 5000000000, OURS);
    later = submit(ledger, 2, CHAIN, 5000000500, LOST);
    sooner = submit(ledger, 3, CHAIN, 5000000400, OTHER);
    (void)submit(ledger, 4, CHAIN + 1, 5000000300, LOST);
    settled = submit(ledger, 5, CHAIN, 5000000200, LOST);
    (void)sell(ledger, 6);
    assert_true(chain_on(ledger, settled, X402_EVENT_SETTLED));
    assert_int_equal(strays(ledger, NULL, found, 10), 2);
    assert_int_equal(found[0].payment_id, sooner);
    assert_int_equal(found[0].valid_before_seconds, 5000000400);
    assert_int_equal(found[0].state.money, X402_MONEY_SUBMITTED);
    assert_true(found[0].transaction_id != 0);
    assert_int_equal(found[1].payment_id, later);
}

static void what_a_signer_submitted_that_somebody_holds_is_none_of_it(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *holder = another_handle(fixture);
    struct x402_settlement found;

    (void)submit(fixture->ledger, 1, CHAIN, 5000000000, LOST);
    assert_int_equal(
        x402_ledger_signer_acquire(holder, CHAIN, signer_of(LOST), "another"), X402_OK);
    assert_int_equal(strays(fixture->ledger, NULL, &found, 1), 0);
    clock_forward(fixture, X402_LEASE_SECONDS + 1);
    assert_int_equal(strays(fixture->ledger, NULL, &found, 1), 1);
}

static void without_a_signer_all_that_is_submitted_comes_held_or_not(void **state)
{
    struct fixture *fixture = *state;
    struct x402_ledger *ledger = fixture->ledger;
    struct x402_settlement found[10];
    size_t count = 0;
    int64_t ours, held;

    ours = submit(ledger, 1, CHAIN, 5000000001, OURS);
    held = submit(ledger, 2, CHAIN, 5000000000, LOST);
    (void)submit(ledger, 3, CHAIN + 1, 5000000000, LOST);
    (void)sell(ledger, 4);
    assert_int_equal(
        x402_ledger_signer_acquire(ledger, CHAIN, signer_of(LOST), "another"), X402_OK);
    assert_int_equal(x402_ledger_strays(ledger, CHAIN, NULL, NULL, found, 10, &count),
                     X402_OK);
    assert_int_equal(count, 2);
    assert_int_equal(found[0].payment_id, held);
    assert_int_equal(found[1].payment_id, ours);
}

static void pages_of_strays_follow_one_another(void **state)
{
    struct fixture *fixture = *state;
    struct x402_settlement page[2];
    const struct x402_settlement *after = NULL;

    for (unsigned i = 0; i < 6; i++) {
        (void)submit(fixture->ledger, i, CHAIN, 5000000000 + i / 4, LOST);
    }
    for (int64_t i = 0; i < 6; i += 2) {
        assert_int_equal(strays(fixture->ledger, after, page, 2), 2);
        assert_int_equal(page[0].payment_id, i + 1);
        assert_int_equal(page[1].payment_id, i + 2);
        after = &page[1];
    }
    assert_int_equal(strays(fixture->ledger, after, page, 2), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, ledger_make, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(what_signers_submitted_that_nobody_holds_comes_as_it_ends),
        TEST(what_a_signer_submitted_that_somebody_holds_is_none_of_it),
        TEST(without_a_signer_all_that_is_submitted_comes_held_or_not),
        TEST(pages_of_strays_follow_one_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
