#include "ledger/sqlite.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------------------- signers */

struct signer {
    uint64_t chain_id;
    const uint8_t *signer20;
    const char *owner;
};

static void signer_bind(sqlite3_stmt *statement, uint64_t chain_id,
                        const uint8_t signer20[20])
{
    x402_sqlite_bind(statement, 1, (int64_t)chain_id);
    x402_sqlite_bind_blob(statement, 2, signer20, 20);
}

enum x402_error x402_sqlite_signer_check(struct x402_sqlite *sqlite, uint64_t chain_id,
                                         const uint8_t signer20[20])
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SIGNER_READ);
    uint8_t holder16[16];
    enum x402_error error;
    bool is_row;

    signer_bind(statement, chain_id, signer20);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (!is_row) {
        return error;
    }
    x402_sqlite_column_blob(statement, 0, holder16, sizeof(holder16));
    if (memcmp(holder16, sqlite->holder16, sizeof(holder16)) != 0 &&
        sqlite3_column_int64(statement, 1) > sqlite->now_seconds) {
        error = x402_sqlite_say(sqlite, X402_ERR_CONFLICT,
                                "the key is in use by another settler: %s",
                                (const char *)sqlite3_column_text(statement, 2));
    }
    x402_sqlite_done(statement);
    return error;
}

static enum x402_error acquire_body(struct x402_sqlite *sqlite, void *data)
{
    const struct signer *signer = data;
    sqlite3_stmt *statement;
    enum x402_error error =
        x402_sqlite_signer_check(sqlite, signer->chain_id, signer->signer20);

    if (error != X402_OK) {
        return error;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_SIGNER_TAKE);
    signer_bind(statement, signer->chain_id, signer->signer20);
    x402_sqlite_bind_text(statement, 3, signer->owner != NULL ? signer->owner : "");
    x402_sqlite_bind_blob(statement, 4, sqlite->holder16, sizeof(sqlite->holder16));
    x402_sqlite_bind(statement, 5, sqlite->now_seconds + X402_LEASE_SECONDS);
    return x402_sqlite_run(sqlite, statement);
}

static enum x402_error signer_release_body(struct x402_sqlite *sqlite, void *data)
{
    const struct signer *signer = data;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SIGNER_DROP);

    signer_bind(statement, signer->chain_id, signer->signer20);
    x402_sqlite_bind_blob(statement, 3, sqlite->holder16, sizeof(sqlite->holder16));
    return x402_sqlite_run(sqlite, statement);
}

enum x402_error x402_sqlite_signer_acquire(struct x402_ledger *ledger,
                                           uint64_t chain_id,
                                           const uint8_t signer20[20],
                                           const char *owner)
{
    struct signer signer = {chain_id, signer20, owner};

    return x402_sqlite_write(x402_sqlite_of(ledger), acquire_body, &signer);
}

enum x402_error x402_sqlite_signer_release(struct x402_ledger *ledger,
                                           uint64_t chain_id,
                                           const uint8_t signer20[20])
{
    struct signer signer = {chain_id, signer20, NULL};

    return x402_sqlite_write(x402_sqlite_of(ledger), signer_release_body, &signer);
}

struct holding {
    struct signer signer;
    char owner[X402_ROUTE_MAX];
};

static enum x402_error owner_body(struct x402_sqlite *sqlite, void *data)
{
    struct holding *holding = data;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SIGNER_READ);
    enum x402_error error;
    bool is_row;

    signer_bind(statement, holding->signer.chain_id, holding->signer.signer20);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (error != X402_OK) {
        return error;
    }
    if (!is_row || sqlite3_column_int64(statement, 1) <= sqlite->now_seconds) {
        error = X402_ERR_NOT_FOUND;
    } else {
        x402_sqlite_column_text(statement, 2, holding->owner, sizeof(holding->owner));
    }
    x402_sqlite_done(statement);
    return error;
}

enum x402_error x402_sqlite_signer_owner(struct x402_ledger *ledger,
                                         char owner[X402_ROUTE_MAX], uint64_t chain_id,
                                         const uint8_t signer20[20])
{
    struct holding holding = {.signer = {chain_id, signer20, NULL}};
    enum x402_error error =
        x402_sqlite_read(x402_sqlite_of(ledger), owner_body, &holding);

    if (error == X402_OK) {
        memcpy(owner, holding.owner, sizeof(holding.owner));
    }
    return error;
}

static enum x402_error evict_body(struct x402_sqlite *sqlite, void *data)
{
    const struct signer *signer = data;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SIGNER_EVICT);

    signer_bind(statement, signer->chain_id, signer->signer20);
    x402_sqlite_bind_text(statement, 3, signer->owner);
    return x402_sqlite_run(sqlite, statement);
}

enum x402_error x402_sqlite_signer_evict(struct x402_ledger *ledger, uint64_t chain_id,
                                         const uint8_t signer20[20], const char *owner)
{
    struct signer signer = {chain_id, signer20, owner};

    return x402_sqlite_write(x402_sqlite_of(ledger), evict_body, &signer);
}

/* -------------------------------------------------------------------------- storing */

struct submission {
    const struct x402_outbox *outbox;
    const int64_t *payment_ids;
    size_t payments_count;
    int64_t transaction_id; /* out */
};

/* A replacement has its predecessor's key and nonce; anything else a nonce of its own.
 */
static enum x402_error nonce_check(struct x402_sqlite *sqlite,
                                   const struct x402_outbox *outbox)
{
    const bool replaces = outbox->replaces_id != 0;
    sqlite3_stmt *statement = x402_sqlite_statement(
        sqlite, replaces ? X402_SQL_OUTBOX_KEY : X402_SQL_OUTBOX_NONCE_FIND);
    uint8_t signer20[20];
    enum x402_error error;
    bool is_row;
    bool same;

    if (replaces) {
        x402_sqlite_bind(statement, 1, outbox->replaces_id);
    } else {
        signer_bind(statement, outbox->chain_id, outbox->signer20);
        x402_sqlite_bind(statement, 3, (int64_t)outbox->nonce);
    }
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (error != X402_OK || (!is_row && !replaces)) {
        return error;
    }
    if (!replaces) {
        x402_sqlite_done(statement);
        return x402_sqlite_say(sqlite, X402_ERR_CONFLICT,
                               "nonce %llu is in use by another transaction",
                               (unsigned long long)outbox->nonce);
    }
    x402_sqlite_column_blob(statement, 1, signer20, sizeof(signer20));
    same = is_row && (uint64_t)sqlite3_column_int64(statement, 0) == outbox->chain_id &&
           memcmp(signer20, outbox->signer20, sizeof(signer20)) == 0 &&
           (uint64_t)sqlite3_column_int64(statement, 2) == outbox->nonce;
    x402_sqlite_done(statement);
    return same ? X402_OK
                : x402_sqlite_say(sqlite, X402_ERR_CONFLICT,
                                  "transaction %lld cannot be replaced by one of "
                                  "another key, chain or nonce",
                                  (long long)outbox->replaces_id);
}

static enum x402_error outbox_add(struct x402_sqlite *sqlite,
                                  struct submission *submission)
{
    const struct x402_outbox *outbox = submission->outbox;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_OUTBOX_ADD);
    enum x402_error error;

    signer_bind(statement, outbox->chain_id, outbox->signer20);
    x402_sqlite_bind(statement, 3, (int64_t)outbox->nonce);
    x402_sqlite_bind_blob(statement, 4, outbox->hash32, 32);
    x402_sqlite_bind(statement, 5, (int64_t)outbox->max_fee_wei);
    x402_sqlite_bind(statement, 6, (int64_t)outbox->max_priority_fee_wei);
    x402_sqlite_bind(statement, 7, (int64_t)outbox->gas_limit);
    x402_sqlite_bind(statement, 8, sqlite->now_seconds);
    x402_sqlite_bind(statement, 9, outbox->replaces_id);
    x402_sqlite_bind(statement, 10, (int64_t)submission->payments_count);
    x402_sqlite_bind_blob(statement, 11, outbox->raw, outbox->raw_size);
    error = x402_sqlite_run(sqlite, statement);
    submission->transaction_id = sqlite3_last_insert_rowid(sqlite->db);
    return error;
}

static enum x402_error attach_payment(struct x402_sqlite *sqlite,
                                      const struct submission *submission,
                                      struct x402_sqlite_subject *subject)
{
    enum x402_error error = x402_sqlite_move(sqlite, subject, X402_EVENT_SUBMIT);
    sqlite3_stmt *statement;

    if (error != X402_OK) {
        return error;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_OUTBOX_PAYMENT_ADD);
    x402_sqlite_bind(statement, 1, submission->transaction_id);
    x402_sqlite_bind(statement, 2, subject->id);
    error = x402_sqlite_run(sqlite, statement);
    if (error != X402_OK) {
        return error;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_TRANSACTION);
    x402_sqlite_bind(statement, 1, subject->id);
    x402_sqlite_bind(statement, 2, submission->transaction_id);
    return x402_sqlite_run(sqlite, statement);
}

/* Due, or in the transaction that is replaced. */
static enum x402_error payment_submit(struct x402_sqlite *sqlite,
                                      const struct submission *submission,
                                      int64_t payment_id)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_READ);
    struct x402_sqlite_subject subject;
    enum x402_error error;
    int64_t current_id;
    bool is_row;

    x402_sqlite_bind(statement, 1, payment_id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (error != X402_OK) {
        return error;
    }
    if (is_row) {
        x402_sqlite_column_subject(statement, &subject);
        current_id = sqlite3_column_int64(statement, 7);
        x402_sqlite_done(statement);
        if (subject.state.money != X402_MONEY_SUBMITTED ||
            (current_id == submission->outbox->replaces_id && current_id != 0)) {
            error = attach_payment(sqlite, submission, &subject);
        } else {
            error = X402_ERR_CONFLICT;
        }
    }
    return is_row && error != X402_ERR_CONFLICT
               ? error
               : x402_sqlite_say(sqlite, X402_ERR_CONFLICT,
                                 "payment %lld is not to be sent now",
                                 (long long)payment_id);
}

static enum x402_error submit_body(struct x402_sqlite *sqlite, void *data)
{
    struct submission *submission = data;
    const struct x402_outbox *outbox = submission->outbox;
    enum x402_error error =
        x402_sqlite_signer_check(sqlite, outbox->chain_id, outbox->signer20);

    if (error == X402_OK) {
        error = nonce_check(sqlite, outbox);
    }
    if (error == X402_OK) {
        error = outbox_add(sqlite, submission);
    }
    for (size_t i = 0; error == X402_OK && i < submission->payments_count; i++) {
        error = payment_submit(sqlite, submission, submission->payment_ids[i]);
    }
    return error;
}

enum x402_error x402_sqlite_submit(struct x402_ledger *ledger,
                                   struct x402_outbox *outbox,
                                   const int64_t *payment_ids, size_t payments_count)
{
    struct x402_sqlite *sqlite = x402_sqlite_of(ledger);
    struct submission submission = {outbox, payment_ids, payments_count, 0};
    enum x402_error error;

    if (outbox->chain_id > INT64_MAX || outbox->nonce >= INT64_MAX) {
        return x402_sqlite_say(sqlite, X402_ERR_CONFLICT,
                               "nonce or chain id passes 63 bits");
    }
    error = x402_sqlite_write(sqlite, submit_body, &submission);
    if (error == X402_OK) {
        outbox->transaction_id = submission.transaction_id;
        outbox->submitted_at_seconds = sqlite->now_seconds;
        outbox->block_number = 0;
    }
    return error;
}

/* -------------------------------------------------------------------------- reading */

struct search {
    uint64_t chain_id;
    const uint8_t *signer20;
    int64_t after_id; /* or the row's own */
    struct x402_outbox out;
    uint64_t nonce;
};

static enum x402_error raw_keep(struct x402_sqlite *sqlite, sqlite3_stmt *statement,
                                struct x402_outbox *out)
{
    const void *raw = sqlite3_column_blob(statement, 11);
    size_t size = (size_t)sqlite3_column_bytes(statement, 11);

    free(sqlite->raw);
    sqlite->raw = malloc(size > 0 ? size : 1);
    if (sqlite->raw == NULL) {
        return x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                               "cannot read ledger '%s': out of memory", sqlite->path);
    }
    if (raw != NULL) {
        memcpy(sqlite->raw, raw, size);
    }
    out->raw = sqlite->raw;
    out->raw_size = size;
    return X402_OK;
}

static enum x402_error outbox_read(struct x402_sqlite *sqlite, sqlite3_stmt *statement,
                                   struct x402_outbox *out)
{
    out->transaction_id = sqlite3_column_int64(statement, 0);
    out->chain_id = (uint64_t)sqlite3_column_int64(statement, 1);
    x402_sqlite_column_blob(statement, 2, out->signer20, 20);
    out->nonce = (uint64_t)sqlite3_column_int64(statement, 3);
    x402_sqlite_column_blob(statement, 4, out->hash32, 32);
    out->max_fee_wei = (uint64_t)sqlite3_column_int64(statement, 5);
    out->max_priority_fee_wei = (uint64_t)sqlite3_column_int64(statement, 6);
    out->gas_limit = (uint64_t)sqlite3_column_int64(statement, 7);
    out->submitted_at_seconds = sqlite3_column_int64(statement, 8);
    out->replaces_id = sqlite3_column_int64(statement, 9);
    out->block_number = (uint64_t)sqlite3_column_int64(statement, 10);
    return raw_keep(sqlite, statement, out);
}

/* The nonce of the row the walk stands at; -1 at its start. */
static enum x402_error walk_nonce(struct x402_sqlite *sqlite, int64_t after_id,
                                  int64_t *nonce)
{
    sqlite3_stmt *statement;
    enum x402_error error;
    bool is_row;

    *nonce = -1;
    if (after_id == 0) {
        return X402_OK;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_OUTBOX_KEY);
    x402_sqlite_bind(statement, 1, after_id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        *nonce = sqlite3_column_int64(statement, 2);
        x402_sqlite_done(statement);
    }
    return error;
}

static enum x402_error outbox_next_body(struct x402_sqlite *sqlite, void *data)
{
    struct search *search = data;
    sqlite3_stmt *statement;
    int64_t nonce;
    enum x402_error error = walk_nonce(sqlite, search->after_id, &nonce);
    bool is_row;

    if (error != X402_OK) {
        return error;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_OUTBOX_NEXT);
    signer_bind(statement, search->chain_id, search->signer20);
    x402_sqlite_bind(statement, 3, nonce);
    x402_sqlite_bind(statement, 4, search->after_id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (error != X402_OK) {
        return error;
    }
    if (!is_row) {
        return X402_ERR_NOT_FOUND;
    }
    error = outbox_read(sqlite, statement, &search->out);
    x402_sqlite_done(statement);
    return error;
}

enum x402_error x402_sqlite_outbox_next(struct x402_ledger *ledger,
                                        struct x402_outbox *out, uint64_t chain_id,
                                        const uint8_t signer20[20], int64_t after_id)
{
    struct search search = {
        .chain_id = chain_id, .signer20 = signer20, .after_id = after_id};
    enum x402_error error =
        x402_sqlite_read(x402_sqlite_of(ledger), outbox_next_body, &search);

    if (error == X402_OK) {
        *out = search.out;
    }
    return error;
}

static enum x402_error outbox_find_body(struct x402_sqlite *sqlite, void *data)
{
    struct search *search = data;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_OUTBOX_FIND);
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, search->after_id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (error != X402_OK || !is_row) {
        return error != X402_OK ? error : X402_ERR_NOT_FOUND;
    }
    error = outbox_read(sqlite, statement, &search->out);
    x402_sqlite_done(statement);
    return error;
}

enum x402_error x402_sqlite_outbox_find(struct x402_ledger *ledger,
                                        struct x402_outbox *out, int64_t transaction_id)
{
    struct search search = {.after_id = transaction_id};
    enum x402_error error =
        x402_sqlite_read(x402_sqlite_of(ledger), outbox_find_body, &search);

    if (error == X402_OK) {
        *out = search.out;
    }
    return error;
}

static enum x402_error nonce_body(struct x402_sqlite *sqlite, void *data)
{
    struct search *search = data;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_OUTBOX_NONCE_MAX);
    enum x402_error error;
    bool is_row;

    signer_bind(statement, search->chain_id, search->signer20);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        search->nonce = (uint64_t)sqlite3_column_int64(statement, 0) + 1;
        x402_sqlite_done(statement);
    }
    return error;
}

enum x402_error x402_sqlite_nonce_next(struct x402_ledger *ledger, uint64_t *out,
                                       uint64_t chain_id, const uint8_t signer20[20])
{
    struct search search = {.chain_id = chain_id, .signer20 = signer20};
    enum x402_error error =
        x402_sqlite_read(x402_sqlite_of(ledger), nonce_body, &search);

    if (error == X402_OK) {
        *out = search.nonce;
    }
    return error;
}

struct straying {
    uint64_t chain_id;
    const uint8_t *signer20;
    const struct x402_settlement *after; /* or NULL */
    struct x402_settlement *out;
    size_t max;
    size_t count;
};

static enum x402_error strays_body(struct x402_sqlite *sqlite, void *data)
{
    struct straying *straying = data;
    const struct x402_settlement *after = straying->after;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_STRAYS);

    signer_bind(statement, straying->chain_id, straying->signer20);
    x402_sqlite_bind(statement, 3,
                     after != NULL ? x402_sqlite_bounded(after->valid_before_seconds)
                                   : -1);
    x402_sqlite_bind(statement, 4, after != NULL ? after->payment_id : INT64_MAX);
    x402_sqlite_bind(statement, 5, sqlite->now_seconds);
    x402_sqlite_bind(statement, 6, x402_sqlite_bounded(straying->max));
    return x402_sqlite_settlements(sqlite, statement, straying->out, straying->max,
                                   &straying->count);
}

enum x402_error x402_sqlite_strays(struct x402_ledger *ledger, uint64_t chain_id,
                                   const uint8_t signer20[20],
                                   const struct x402_settlement *after,
                                   struct x402_settlement *out, size_t max,
                                   size_t *count)
{
    struct straying straying = {chain_id, signer20, after, out, max, 0};
    enum x402_error error =
        x402_sqlite_read(x402_sqlite_of(ledger), strays_body, &straying);

    if (error == X402_OK) {
        *count = straying.count;
    }
    return error;
}

struct members {
    int64_t transaction_id;
    struct x402_settlement *out;
    size_t max;
    size_t count;
};

static enum x402_error members_body(struct x402_sqlite *sqlite, void *data)
{
    struct members *members = data;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_OUTBOX_PAYMENTS);

    x402_sqlite_bind(statement, 1, members->transaction_id);
    x402_sqlite_bind(statement, 2, (int64_t)members->max);
    return x402_sqlite_settlements(sqlite, statement, members->out, members->max,
                                   &members->count);
}

enum x402_error x402_sqlite_outbox_payments(struct x402_ledger *ledger,
                                            int64_t transaction_id,
                                            struct x402_settlement *out, size_t max,
                                            size_t *count)
{
    struct members members = {transaction_id, out, max, 0};
    enum x402_error error =
        x402_sqlite_read(x402_sqlite_of(ledger), members_body, &members);

    if (error == X402_OK) {
        *count = members.count;
    }
    return error;
}
