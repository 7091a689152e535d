#include "ledger/sqlite.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

struct verdicts {
    struct x402_verdict *verdicts;
    size_t count;
};

/* Where a payment was found, as it is recorded. */
struct place {
    uint64_t block_number;
    uint64_t gas_used;
    uint64_t fee_wei;
};

static enum x402_error run_on(struct x402_sqlite *sqlite,
                              enum x402_sqlite_statement which, int64_t id)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, which);

    x402_sqlite_bind(statement, 1, id);
    return x402_sqlite_run(sqlite, statement);
}

static enum x402_error run_on_with(struct x402_sqlite *sqlite,
                                   enum x402_sqlite_statement which, int64_t id,
                                   int64_t number)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, which);

    x402_sqlite_bind(statement, 1, id);
    x402_sqlite_bind(statement, 2, number);
    return x402_sqlite_run(sqlite, statement);
}

static enum x402_error place_read(struct x402_sqlite *sqlite, int64_t payment_id,
                                  struct place *out)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SETTLED_READ);
    enum x402_error error;
    bool is_row;

    *out = (struct place){0};
    x402_sqlite_bind(statement, 1, payment_id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        out->block_number = (uint64_t)sqlite3_column_int64(statement, 0);
        out->gas_used = (uint64_t)sqlite3_column_int64(statement, 1);
        out->fee_wei = (uint64_t)sqlite3_column_int64(statement, 2);
        x402_sqlite_done(statement);
    }
    return error;
}

/* ------------------------------------------------- what goes along in other tables */

static enum x402_error settled_record(struct x402_sqlite *sqlite,
                                      const struct x402_verdict *verdict,
                                      const struct x402_sqlite_subject *subject)
{
    const uint64_t block_number = (uint64_t)x402_sqlite_bounded(verdict->block_number);
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SETTLED_ADD);
    enum x402_error error;

    x402_sqlite_bind(statement, 1, verdict->payment_id);
    x402_sqlite_bind_blob(statement, 2, verdict->hash32, 32);
    x402_sqlite_bind(statement, 3, (int64_t)block_number);
    x402_sqlite_bind_blob(statement, 4, verdict->block_hash32, 32);
    x402_sqlite_bind(statement, 5, x402_sqlite_bounded(verdict->gas_used));
    x402_sqlite_bind(statement, 6, x402_sqlite_bounded(verdict->fee_wei));
    error = x402_sqlite_run(sqlite, statement);
    if (error == X402_OK) {
        error = run_on_with(sqlite, X402_SQL_PAYMENT_TRANSACTION, verdict->payment_id,
                            verdict->transaction_id);
    }
    return error == X402_OK
               ? x402_sqlite_payer_included(sqlite, subject, block_number, true)
               : error;
}

/* Takes a place back: what was noted for it, and that its block had the payment. */
static enum x402_error place_drop(struct x402_sqlite *sqlite,
                                  const struct x402_sqlite_subject *subject)
{
    struct place place;
    enum x402_error error = place_read(sqlite, subject->id, &place);

    if (error == X402_OK) {
        error = run_on(sqlite, X402_SQL_SETTLED_DROP, subject->id);
    }
    if (error == X402_OK) {
        error = x402_sqlite_earning_cost(sqlite, subject, place.gas_used, place.fee_wei,
                                         false);
    }
    return error == X402_OK
               ? x402_sqlite_payer_included(sqlite, subject, place.block_number, false)
               : error;
}

static enum x402_error unsettled_record(struct x402_sqlite *sqlite,
                                        const struct x402_sqlite_subject *before)
{
    enum x402_error error = before->state.money == X402_MONEY_SETTLED
                                ? place_drop(sqlite, before)
                                : X402_OK;

    return error == X402_OK
               ? run_on_with(sqlite, X402_SQL_PAYMENT_TRANSACTION, before->id, 0)
               : error;
}

/* The payment is done with in all its transactions; if it comes back, in new ones. */
static enum x402_error outbox_close(struct x402_sqlite *sqlite, int64_t payment_id)
{
    enum x402_error error = run_on(sqlite, X402_SQL_OUTBOX_CLOSE_PAYMENT, payment_id);

    return error == X402_OK ? run_on(sqlite, X402_SQL_OUTBOX_CLOSED, payment_id)
                            : error;
}

static enum x402_error failed_record(struct x402_sqlite *sqlite,
                                     const struct x402_verdict *verdict,
                                     const struct x402_sqlite_subject *subject)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_FAILED_ADD);
    enum x402_error error;

    assert(memchr(verdict->reason, 0, sizeof(verdict->reason)) != NULL);
    x402_sqlite_bind(statement, 1, verdict->payment_id);
    x402_sqlite_bind_text(statement, 2, verdict->reason);
    error = x402_sqlite_run(sqlite, statement);
    if (error == X402_OK) {
        error = outbox_close(sqlite, verdict->payment_id);
    }
    return error == X402_OK && verdict->payers_fault &&
                   subject->state.delivery != X402_DELIVERY_VOID
               ? x402_sqlite_payer_distrust(sqlite, subject)
               : error;
}

static enum x402_error final_record(struct x402_sqlite *sqlite,
                                    const struct x402_sqlite_subject *subject)
{
    struct x402_sqlite_token *token;
    struct place place;
    enum x402_error error = place_read(sqlite, subject->id, &place);

    if (error == X402_OK) {
        error = run_on(sqlite, X402_SQL_SETTLED_FINAL, subject->id);
    }
    if (error == X402_OK) {
        error = outbox_close(sqlite, subject->id);
    }
    if (error == X402_OK) {
        error = x402_sqlite_token_take(sqlite, subject->token_id, &token);
    }
    if (error == X402_OK && place.block_number > token->final_block) {
        token->final_block = place.block_number;
        token->changed = true;
    }
    return error;
}

static enum x402_error verdict_record(struct x402_sqlite *sqlite,
                                      const struct x402_verdict *verdict,
                                      const struct x402_sqlite_subject *before,
                                      const struct x402_sqlite_subject *after)
{
    switch (verdict->event) {
    case X402_EVENT_SETTLED:
        return settled_record(sqlite, verdict, after);
    case X402_EVENT_UNSETTLED:
        return unsettled_record(sqlite, before);
    case X402_EVENT_FAILED:
        return failed_record(sqlite, verdict, after);
    case X402_EVENT_FINAL:
        return final_record(sqlite, after);
    case X402_EVENT_PRESENT:
    case X402_EVENT_DELIVERED:
    case X402_EVENT_VOID:
    case X402_EVENT_LEASE_LOST:
    case X402_EVENT_SUBMIT:
    case X402_EVENT_PRESENT_FIRST:
        break;
    }
    return X402_ERR_CONFLICT;
}

/* ------------------------------------------------------------------------ applying */

static enum x402_error subject_read(struct x402_sqlite *sqlite, int64_t payment_id,
                                    struct x402_sqlite_subject *out, bool *is_row)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_READ);
    enum x402_error error;

    x402_sqlite_bind(statement, 1, payment_id);
    error = x402_sqlite_row(sqlite, statement, is_row);
    if (*is_row) {
        x402_sqlite_column_subject(statement, out);
        x402_sqlite_done(statement);
    }
    return error;
}

/* Only the chain's events are the settler's to tell. */
static bool is_step(const struct x402_verdict *verdict, struct x402_state state)
{
    struct x402_state next;

    return (verdict->event == X402_EVENT_SETTLED ||
            verdict->event == X402_EVENT_UNSETTLED ||
            verdict->event == X402_EVENT_FAILED ||
            verdict->event == X402_EVENT_FINAL) &&
           x402_state_next(&next, state, verdict->event);
}

/* The payment its transfer settled already: one transfer is the money of one. 0: none.
 * Nonces are used again where their payments were forgotten (live.h). */
static enum x402_error twin_find(struct x402_sqlite *sqlite,
                                 const struct x402_verdict *verdict, int64_t *twin_id)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SETTLED_TWIN);
    enum x402_error error;
    bool is_row;

    *twin_id = 0;
    x402_sqlite_bind(statement, 1, verdict->payment_id);
    x402_sqlite_bind_blob(statement, 2, verdict->hash32, 32);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        *twin_id = sqlite3_column_int64(statement, 0);
        x402_sqlite_done(statement);
    }
    return error;
}

/* Notes in which block the verdict's transaction is; false when there is no such one.
 */
static enum x402_error outbox_note(struct x402_sqlite *sqlite,
                                   const struct x402_verdict *verdict, bool *is_there)
{
    enum x402_error error = X402_OK;

    *is_there = true;
    if (verdict->transaction_id != 0 && (verdict->event == X402_EVENT_SETTLED ||
                                         verdict->event == X402_EVENT_UNSETTLED)) {
        error = run_on_with(sqlite, X402_SQL_OUTBOX_BLOCK, verdict->transaction_id,
                            verdict->event == X402_EVENT_SETTLED
                                ? x402_sqlite_bounded(verdict->block_number)
                                : 0);
        *is_there = error == X402_OK && sqlite3_changes(sqlite->db) == 1;
    }
    return error;
}

/* Settled by a transfer that settled another payment: its nonce was used for that. */
static void verdict_refute(struct x402_verdict *verdict, int64_t twin_id)
{
    verdict->event = X402_EVENT_FAILED;
    verdict->gas_used = 0; /* the other's */
    verdict->fee_wei = 0;
    verdict->payers_fault = true;
    snprintf(verdict->reason, sizeof(verdict->reason),
             "used: its nonce paid for payment %lld", (long long)twin_id);
}

/* A verdict that is a step of the payment as it stands. */
static enum x402_error step_apply(struct x402_sqlite *sqlite,
                                  const struct x402_verdict *verdict,
                                  const struct x402_sqlite_subject *before,
                                  bool *applied)
{
    struct x402_sqlite_subject after = *before;
    bool is_there;
    enum x402_error error = outbox_note(sqlite, verdict, &is_there);

    if (error != X402_OK || !is_there) {
        return error;
    }
    error = x402_sqlite_move(sqlite, &after, verdict->event);
    if (error == X402_OK) {
        error = verdict_record(sqlite, verdict, before, &after);
    }
    if (error == X402_OK) {
        error = x402_sqlite_earning_cost(sqlite, &after, verdict->gas_used,
                                         verdict->fee_wei, true);
    }
    *applied = error == X402_OK;
    return error;
}

static enum x402_error verdict_apply(struct x402_sqlite *sqlite,
                                     struct x402_verdict *verdict)
{
    struct x402_sqlite_subject before;
    int64_t twin_id = 0;
    bool is_there;
    enum x402_error error =
        subject_read(sqlite, verdict->payment_id, &before, &is_there);

    if (error != X402_OK || !is_there || !is_step(verdict, before.state)) {
        return error;
    }
    if (verdict->event == X402_EVENT_SETTLED) {
        error = twin_find(sqlite, verdict, &twin_id);
    }
    if (twin_id != 0) {
        verdict_refute(verdict, twin_id);
    }
    return error == X402_OK ? step_apply(sqlite, verdict, &before, &verdict->applied)
                            : error;
}

static enum x402_error advance_body(struct x402_sqlite *sqlite, void *data)
{
    const struct verdicts *verdicts = data;
    enum x402_error error = X402_OK;

    for (size_t i = 0; i < verdicts->count; i++) {
        verdicts->verdicts[i].applied = false;
    }
    for (size_t i = 0; error == X402_OK && i < verdicts->count; i++) {
        error = verdict_apply(sqlite, &verdicts->verdicts[i]);
    }
    return error;
}

enum x402_error x402_sqlite_advance(struct x402_ledger *ledger,
                                    struct x402_verdict *verdicts, size_t count)
{
    struct verdicts all = {verdicts, count};
    enum x402_error error =
        x402_sqlite_write(x402_sqlite_of(ledger), advance_body, &all);

    for (size_t i = 0; error != X402_OK && i < count; i++) {
        verdicts[i].applied = false;
    }
    return error;
}
