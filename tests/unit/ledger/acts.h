/*
 * What the ledger can be asked, one call at a time, and what must be in force after it,
 * whatever failed meanwhile. For those tests that have everything fail in its turn.
 */
#ifndef X402_TESTS_LEDGER_ACTS_H
#define X402_TESTS_LEDGER_ACTS_H

#include "fixture.h"

#include "ledger/activity.h"

static const uint8_t signer20[20] = {0x51};

struct scene {
    struct fixture *fixture;
    struct x402_ledger *ledger;
    struct x402_admit served;  /* admitted before; a commit delivers it */
    struct x402_admit offered; /* a commit admits it */
    struct x402_outcome outcome;
    int64_t due_id; /* a submission sends it, a verdict settles it */
    unsigned crowd; /* admitted besides */
};

static void scene_make(struct scene *scene)
{
    scene->ledger = scene->fixture->ledger;
    scene->served = presentation(1, 0);
    scene->offered = presentation(2, 0);
    assert_int_equal(admit_on(scene->ledger, &scene->served), X402_ADMISSION_NEW);
    scene->due_id = sell(scene->ledger, 3);
    scene->outcome = (struct x402_outcome){.payment_id = scene->served.payment_id,
                                           .event = X402_EVENT_DELIVERED};
    memcpy(scene->outcome.attempt16, scene->served.attempt16, 16);
}

/* One call under test: `act` says what it answered; `check` looks at what is in force,
 * and repeats the call where it failed. Both may be asked more than once. */
struct act {
    enum x402_error (*act)(struct scene *scene);
    void (*check)(struct scene *scene, enum x402_error error);
};

/* --------------------------------------------------------------------------- commit */

static enum x402_error commit(struct scene *scene)
{
    return x402_ledger_commit(scene->ledger, "test", &scene->outcome, 1,
                              &scene->offered, 1, NULL, NULL);
}

static void commit_check(struct scene *scene, enum x402_error error)
{
    struct x402_outcome told[2] = {scene->outcome, {.event = X402_EVENT_VOID}};
    struct x402_admit again = presentation(2, 1);

    if (error == X402_OK) {
        assert_int_equal(scene->offered.admission, X402_ADMISSION_NEW);
        assert_true(scene->outcome.applied);
    } else {
        assert_int_equal(scene->offered.admission, X402_ADMISSION_UNAVAILABLE);
        assert_false(scene->outcome.applied);
        told[1].payment_id = scene->offered.payment_id;
        memcpy(told[1].attempt16, scene->offered.attempt16, 16);
        assert_int_equal(
            x402_ledger_commit(scene->ledger, "test", told, 2, &again, 1, NULL, NULL),
            X402_OK);
        assert_int_equal(again.admission, X402_ADMISSION_NEW);
    }
    assert_state(scene->ledger, scene->served.payment_id, X402_DELIVERY_DELIVERED,
                 X402_MONEY_DUE);
    assert_int_equal(totals_of(scene->ledger).admitted.count, 3 + scene->crowd);
}

/* --------------------------------------------------------------------------- submit */

static enum x402_error submit(struct scene *scene)
{
    struct x402_outbox outbox = {
        .chain_id = CHAIN, .raw = (const uint8_t *)"abc", .raw_size = 3, .nonce = 7};

    memcpy(outbox.signer20, signer20, 20);
    return x402_ledger_submit(scene->ledger, &outbox, &scene->due_id, 1);
}

static void submit_check(struct scene *scene, enum x402_error error)
{
    struct x402_outbox found;

    if (error != X402_OK) {
        error = x402_ledger_outbox_next(scene->ledger, &found, CHAIN, signer20, 0);
        assert_int_equal(submit(scene), error == X402_OK ? X402_ERR_CONFLICT : X402_OK);
    }
    assert_state(scene->ledger, scene->due_id, X402_DELIVERY_DELIVERED,
                 X402_MONEY_SUBMITTED);
}

/* -------------------------------------------------------------------------- advance */

static enum x402_error advance(struct scene *scene)
{
    struct x402_verdict verdict = told(scene->due_id, X402_EVENT_SETTLED);
    enum x402_error error = x402_ledger_advance(scene->ledger, &verdict, 1);

    assert_true(error == X402_OK || !verdict.applied);
    return error;
}

static void advance_check(struct scene *scene, enum x402_error error)
{
    if (error != X402_OK)
        assert_int_equal(advance(scene), X402_OK);
    assert_state(scene->ledger, scene->due_id, X402_DELIVERY_DELIVERED,
                 X402_MONEY_SETTLED);
}

/* ------------------------------------------------------------------------- the rest */

static enum x402_error see(struct scene *scene)
{
    struct x402_sighting sighting = {.looked = true, .balance = 5, .refused = true};

    memset(sighting.payer.asset20, 0xa5, 20);
    memset(sighting.payer.payer20, 0xf0, 20);
    return x402_ledger_payers_seen(scene->ledger, CHAIN, &sighting, 1);
}

static enum x402_error note(struct scene *scene)
{
    const struct x402_sales sales = {.route = "/a", .chain_id = CHAIN, .offered = 1};
    const struct x402_activity activity = {.sales = &sales, .sales_count = 1};

    return x402_ledger_note(scene->ledger, &activity);
}

static enum x402_error tidy(struct scene *scene)
{
    enum x402_error error = x402_ledger_tidy(scene->ledger);

    return error == X402_OK ? x402_ledger_lease_renew(scene->ledger, "test") : error;
}

static void again_check(struct scene *scene, enum x402_error error)
{
    (void)error;
    assert_int_equal(see(scene), X402_OK);
    assert_int_equal(note(scene), X402_OK);
    assert_int_equal(tidy(scene), X402_OK);
}

static bool count_rows(const struct x402_payment_row *row, void *data)
{
    (void)row;
    ++*(unsigned *)data;
    return true;
}

/* What is read is read whole, or not. */
static enum x402_error read_all(struct scene *scene)
{
    const struct x402_payment_filter filter = {.limit = 10};
    struct x402_totals totals[X402_TOTALS_MAX];
    char message[X402_LEDGER_MESSAGE_MAX];
    size_t count = 0;
    unsigned rows = 0;
    enum x402_error error =
        x402_ledger_totals(scene->ledger, totals, X402_TOTALS_MAX, &count);

    if (error != X402_OK)
        return error;
    assert_int_equal(count, 1);
    assert_int_equal(totals[0].admitted.count, 2);
    error = x402_ledger_payments(scene->ledger, &filter, count_rows, &rows);
    if (error != X402_OK)
        return error;
    assert_int_equal(rows, 2);
    error = x402_ledger_books(scene->ledger, message);
    assert_true(error != X402_ERR_CONFLICT); /* that would be a false alarm */
    return error;
}

__attribute__((unused)) static void read_check(struct scene *scene,
                                               enum x402_error error)
{
    (void)error;
    assert_int_equal(read_all(scene), X402_OK);
}

static enum x402_error open_another(struct scene *scene)
{
    struct x402_ledger *another = NULL;
    enum x402_error error = x402_ledger_open(
        &another, scene->fixture->path, X402_LEDGER_WRITE, scene->fixture->message);

    assert_true((error == X402_OK) == (another != NULL));
    assert_true(error == X402_OK || scene->fixture->message[0] != '\0');
    x402_ledger_close(another);
    return error;
}

__attribute__((unused)) static void open_check(struct scene *scene,
                                               enum x402_error error)
{
    (void)error;
    assert_int_equal(open_another(scene), X402_OK);
}

#endif
