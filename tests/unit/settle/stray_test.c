/* What is submitted by signers that are gone: told to people, and looked up. */
#include "unit/ledger/fixture.h"

#include "unit/settle/fixture.h"

static int begin(void **state)
{
    if (ledger_make(state) != 0 || chain_make() != 0)
        return -1;
    chain.ledger = ((struct fixture *)*state)->ledger;
    memset(chain.signer20, 1, 20);
    snprintf(chain.name, sizeof chain.name, "base-sepolia");
    return 0;
}

/* Sells a payment, and puts it into a transaction of a signer; its id. */
static int64_t submit(unsigned number, uint8_t signer)
{
    int64_t id = sell(chain.ledger, number);
    struct x402_outbox outbox = {.chain_id = CHAIN,
                                 .nonce = number,
                                 .raw = (const uint8_t *)"raw",
                                 .raw_size = 3};

    memset(outbox.signer20, signer, 20);
    assert_int_equal(x402_ledger_submit(chain.ledger, &outbox, &id, 1), X402_OK);
    return id;
}

/* Whether the chain is to be asked, a minute later. */
static bool are_due(void)
{
    bool due = false;

    chain.strays_milliseconds = 0;
    assert_true(x402_strays_are_due(&chain, &due));
    return due;
}

static void what_others_left_behind_is_told_once(void **state)
{
    int64_t first = submit(1, 2), second = submit(2, 3);

    (void)state;
    assert_false(are_due());
    assert_false(are_due());
    assert_int_equal(notes, 1);
    assert_non_null(strstr(noted, "base-sepolia: in transactions of another key that "
                                  "nobody works with, or asked of a facilitator: 2 "
                                  "payments;"));
    assert_true(chain_on(chain.ledger, first, X402_EVENT_SETTLED));
    assert_true(chain_on(chain.ledger, second, X402_EVENT_SETTLED));
    assert_false(are_due());
    (void)submit(3, 2);
    assert_false(are_due());
    assert_int_equal(notes, 2);
}

static void what_is_ours_or_anothers_who_is_there_is_not_told(void **state)
{
    struct x402_ledger *other = another_handle(*state);
    uint8_t signer20[20];

    (void)submit(1, 1);
    (void)submit(2, 2);
    memset(signer20, 2, sizeof signer20);
    assert_int_equal(x402_ledger_signer_acquire(other, CHAIN, signer20, "it"), X402_OK);
    assert_false(are_due());
    assert_int_equal(notes, 0);
}

static void they_are_looked_for_once_a_minute(void **state)
{
    int64_t before = x402_chain_milliseconds();
    bool due = true;

    (void)state;
    assert_false(are_due());
    assert_in_range(chain.strays_milliseconds, before + 60000,
                    x402_chain_milliseconds() + 60000);
    (void)submit(1, 2);
    assert_true(x402_strays_are_due(&chain, &due));
    assert_false(due);
    assert_int_equal(notes, 0);
}

static void the_chain_is_asked_once_one_of_them_has_ended(void **state)
{
    struct fixture *fixture = *state;

    (void)submit(1, 2);
    assert_false(are_due());
    clock_forward(fixture, 301);
    assert_true(are_due());
    assert_true(are_due()); /* until it was asked */
}

static void nobody_is_asked_for_what_is_ours_and_has_ended(void **state)
{
    (void)submit(1, 1);
    clock_forward(*state, 301);
    assert_false(are_due());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, fixture_release)
    const struct CMUnitTest tests[] = {
        TEST(what_others_left_behind_is_told_once),
        TEST(what_is_ours_or_anothers_who_is_there_is_not_told),
        TEST(they_are_looked_for_once_a_minute),
        TEST(the_chain_is_asked_once_one_of_them_has_ended),
        TEST(nobody_is_asked_for_what_is_ours_and_has_ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
