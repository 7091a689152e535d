#include "ledger/ledger.h"

#include "ledger/backend.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* NULL, with a sentence, for a store this build does not know. */
static const struct x402_ledger_backend *backend_of(
    const char *path, char message[X402_LEDGER_MESSAGE_MAX])
{
    if (strncmp(path, "postgres://", 11) == 0 ||
        strncmp(path, "postgresql://", 13) == 0) {
        snprintf(message, X402_LEDGER_MESSAGE_MAX,
                 "cannot open ledger: PostgreSQL is not supported yet");
        return NULL;
    }
    return &x402_ledger_sqlite;
}

static const struct x402_ledger_backend *entered(struct x402_ledger *ledger)
{
    assert(ledger != NULL);
    ledger->message[0] = '\0';
    return ledger->backend;
}

enum x402_error x402_ledger_create(const char *path, unsigned uid, unsigned gid,
                                   char message[X402_LEDGER_MESSAGE_MAX])
{
    const struct x402_ledger_backend *backend;

    assert(path != NULL && message != NULL);
    message[0] = '\0';
    backend = backend_of(path, message);
    return backend != NULL ? backend->create(path, uid, gid, message) : X402_ERR_LEDGER;
}

enum x402_error x402_ledger_open(struct x402_ledger **out, const char *path,
                                 enum x402_ledger_mode mode,
                                 char message[X402_LEDGER_MESSAGE_MAX])
{
    const struct x402_ledger_backend *backend;

    assert(out != NULL && path != NULL && message != NULL);
    message[0] = '\0';
    backend = backend_of(path, message);
    return backend != NULL ? backend->open(out, path, mode, message) : X402_ERR_LEDGER;
}

void x402_ledger_close(struct x402_ledger *ledger)
{
    if (ledger != NULL) {
        ledger->backend->close(ledger);
    }
}

const char *x402_ledger_message(const struct x402_ledger *ledger)
{
    return ledger->message;
}

enum x402_error x402_ledger_lease_renew(struct x402_ledger *ledger, const char *owner)
{
    return entered(ledger)->lease_renew(ledger, owner);
}

enum x402_error x402_ledger_lease_release(struct x402_ledger *ledger)
{
    return entered(ledger)->lease_release(ledger);
}

enum x402_error x402_ledger_commit(struct x402_ledger *ledger, const char *owner,
                                   struct x402_outcome *outcomes, size_t outcomes_count,
                                   struct x402_admit *admits, size_t admits_count,
                                   x402_gate *gate, void *gate_data)
{
    assert(outcomes != NULL || outcomes_count == 0);
    assert(admits != NULL || admits_count == 0);
    return entered(ledger)->commit(ledger, owner, outcomes, outcomes_count, admits,
                                   admits_count, gate, gate_data);
}

void x402_ledger_post(struct x402_ledger *ledger)
{
    entered(ledger)->post(ledger);
}

enum x402_error x402_ledger_look(struct x402_ledger *ledger, struct x402_look *looks,
                                 size_t count)
{
    assert(looks != NULL || count == 0);
    return entered(ledger)->look(ledger, looks, count);
}

enum x402_error x402_ledger_receipt_key(struct x402_ledger *ledger, uint8_t key32[32])
{
    return entered(ledger)->receipt_key(ledger, key32);
}

enum x402_error x402_ledger_signer_acquire(struct x402_ledger *ledger,
                                           uint64_t chain_id,
                                           const uint8_t signer20[20],
                                           const char *owner)
{
    return entered(ledger)->signer_acquire(ledger, chain_id, signer20, owner);
}

enum x402_error x402_ledger_signer_release(struct x402_ledger *ledger,
                                           uint64_t chain_id,
                                           const uint8_t signer20[20])
{
    return entered(ledger)->signer_release(ledger, chain_id, signer20);
}

enum x402_error x402_ledger_signer_owner(struct x402_ledger *ledger,
                                         char owner[X402_ROUTE_MAX], uint64_t chain_id,
                                         const uint8_t signer20[20])
{
    return entered(ledger)->signer_owner(ledger, owner, chain_id, signer20);
}

enum x402_error x402_ledger_signer_evict(struct x402_ledger *ledger, uint64_t chain_id,
                                         const uint8_t signer20[20], const char *owner)
{
    assert(owner != NULL);
    return entered(ledger)->signer_evict(ledger, chain_id, signer20, owner);
}

enum x402_error x402_ledger_due(struct x402_ledger *ledger, uint64_t chain_id,
                                struct x402_settlement *out, size_t max, size_t *count)
{
    return entered(ledger)->due(ledger, chain_id, out, max, count);
}

enum x402_error x402_ledger_submit(struct x402_ledger *ledger,
                                   struct x402_outbox *outbox,
                                   const int64_t *payment_ids, size_t payments_count)
{
    assert(outbox->raw_size <= X402_TRANSACTION_RAW_MAX);
    return entered(ledger)->submit(ledger, outbox, payment_ids, payments_count);
}

enum x402_error x402_ledger_outbox_next(struct x402_ledger *ledger,
                                        struct x402_outbox *out, uint64_t chain_id,
                                        const uint8_t signer20[20], int64_t after_id)
{
    return entered(ledger)->outbox_next(ledger, out, chain_id, signer20, after_id);
}

enum x402_error x402_ledger_outbox_find(struct x402_ledger *ledger,
                                        struct x402_outbox *out, int64_t transaction_id)
{
    return entered(ledger)->outbox_find(ledger, out, transaction_id);
}

enum x402_error x402_ledger_nonce_next(struct x402_ledger *ledger, uint64_t *out,
                                       uint64_t chain_id, const uint8_t signer20[20])
{
    return entered(ledger)->nonce_next(ledger, out, chain_id, signer20);
}

enum x402_error x402_ledger_outbox_payments(struct x402_ledger *ledger,
                                            int64_t transaction_id,
                                            struct x402_settlement *out, size_t max,
                                            size_t *count)
{
    return entered(ledger)->outbox_payments(ledger, transaction_id, out, max, count);
}

enum x402_error x402_ledger_strays(struct x402_ledger *ledger, uint64_t chain_id,
                                   const uint8_t signer20[20],
                                   const struct x402_settlement *after,
                                   struct x402_settlement *out, size_t max,
                                   size_t *count)
{
    return entered(ledger)->strays(ledger, chain_id, signer20, after, out, max, count);
}

enum x402_error x402_ledger_advance(struct x402_ledger *ledger,
                                    struct x402_verdict *verdicts, size_t count)
{
    return entered(ledger)->advance(ledger, verdicts, count);
}

enum x402_error x402_ledger_settled(struct x402_ledger *ledger, uint64_t chain_id,
                                    uint64_t block_number,
                                    const struct x402_settled *after,
                                    struct x402_settled *out, size_t max, size_t *count)
{
    return entered(ledger)->settled(ledger, chain_id, block_number, after, out, max,
                                    count);
}

enum x402_error x402_ledger_payers_wanted(struct x402_ledger *ledger, uint64_t chain_id,
                                          struct x402_payer *out, size_t max,
                                          size_t *count)
{
    return entered(ledger)->payers_wanted(ledger, chain_id, out, max, count);
}

enum x402_error x402_ledger_payers_seen(struct x402_ledger *ledger, uint64_t chain_id,
                                        const struct x402_sighting *sightings,
                                        size_t count)
{
    assert(sightings != NULL || count == 0);
    return entered(ledger)->payers_seen(ledger, chain_id, sightings, count);
}

enum x402_error x402_ledger_tidy(struct x402_ledger *ledger)
{
    return entered(ledger)->tidy(ledger);
}

enum x402_error x402_ledger_totals(struct x402_ledger *ledger, struct x402_totals *out,
                                   size_t max, size_t *count)
{
    return entered(ledger)->totals(ledger, out, max, count);
}

enum x402_error x402_ledger_payments(
    struct x402_ledger *ledger, const struct x402_payment_filter *filter,
    bool (*each)(const struct x402_payment_row *row, void *data), void *data)
{
    return entered(ledger)->payments(ledger, filter, each, data);
}

enum x402_error x402_ledger_payment(struct x402_ledger *ledger,
                                    struct x402_payment_row *out, int64_t payment_id)
{
    return entered(ledger)->payment(ledger, out, payment_id);
}

enum x402_error x402_ledger_earnings(
    struct x402_ledger *ledger, int64_t first_day, int64_t last_day,
    bool (*each)(const struct x402_earning *earning, void *data), void *data)
{
    return entered(ledger)->earnings(ledger, first_day, last_day, each, data);
}

enum x402_error x402_ledger_books(struct x402_ledger *ledger,
                                  char message[X402_LEDGER_MESSAGE_MAX])
{
    return entered(ledger)->books(ledger, message);
}

enum x402_error x402_ledger_note(struct x402_ledger *ledger,
                                 const struct x402_activity *activity)
{
    assert(activity->sales != NULL || activity->sales_count == 0);
    return entered(ledger)->note(ledger, activity);
}

enum x402_error x402_ledger_sales(
    struct x402_ledger *ledger, int64_t first_hour, int64_t last_hour,
    bool (*each)(int64_t hour, const struct x402_sales *sales, void *data), void *data)
{
    return entered(ledger)->sales(ledger, first_hour, last_hour, each, data);
}

enum x402_error x402_ledger_activity(struct x402_ledger *ledger, int64_t first_hour,
                                     int64_t last_hour,
                                     uint64_t refusals[X402_ERROR_COUNT],
                                     struct x402_histogram measures[X402_MEASURE_COUNT])
{
    return entered(ledger)->activity(ledger, first_hour, last_hour, refusals, measures);
}

enum x402_error x402_ledger_settler_note(struct x402_ledger *ledger,
                                         const struct x402_settler_state *state)
{
    return entered(ledger)->settler_note(ledger, state);
}

enum x402_error x402_ledger_settlers(struct x402_ledger *ledger,
                                     struct x402_settler_state *out, size_t max,
                                     size_t *count)
{
    return entered(ledger)->settlers(ledger, out, max, count);
}
