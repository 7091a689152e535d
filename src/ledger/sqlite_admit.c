#include "ledger/sqlite.h"

#include <assert.h>
#include <string.h>

/* One call of x402_ledger_commit. */
struct batch {
    const char *owner;
    struct x402_outcome *outcomes;
    size_t outcomes_count;
    struct x402_admit *admits;
    size_t admits_count;
    x402_gate *gate;
    void *gate_data;
};

/* A payment that is in the ledger already. */
struct known {
    struct x402_sqlite_subject subject;
    uint8_t attempt16[16];
    int64_t lease_id;
    uint8_t payee20[20];
};

/* Nobody's: of a payment whose attempt was forgotten. */
static const uint8_t no_attempt16[16];

/* ------------------------------------------------------------------------ outcomes */

static enum x402_error outcome_apply(struct x402_sqlite *sqlite,
                                     struct x402_outcome *outcome)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_READ);
    struct x402_sqlite_subject subject;
    uint8_t attempt16[16];
    enum x402_error error;
    bool is_row;

    outcome->applied = false;
    x402_sqlite_bind(statement, 1, outcome->payment_id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (!is_row) {
        return error;
    }
    x402_sqlite_column_subject(statement, &subject);
    x402_sqlite_column_blob(statement, 5, attempt16, sizeof(attempt16));
    x402_sqlite_done(statement);
    if (memcmp(attempt16, outcome->attempt16, sizeof(attempt16)) != 0 ||
        memcmp(attempt16, no_attempt16, sizeof(attempt16)) == 0) {
        return X402_OK; /* a newer attempt's payment, or another's id, or forgotten */
    }
    error = x402_sqlite_move(sqlite, &subject, outcome->event);
    if (error == X402_ERR_CONFLICT) {
        return X402_OK; /* told before */
    }
    outcome->applied = error == X402_OK;
    return error;
}

/* --------------------------------------------------------------------------- tokens */

static void token_remember(struct x402_sqlite *sqlite, const struct x402_verified *of,
                           int64_t id)
{
    struct x402_sqlite_token *token;

    if (sqlite->tokens_count == X402_SQLITE_TOKENS_MAX) {
        sqlite->tokens_count = 0;
    }
    token = &sqlite->tokens[sqlite->tokens_count++];
    token->chain_id = of->chain_id;
    memcpy(token->asset20, of->asset20, sizeof(token->asset20));
    token->id = id;
}

static enum x402_error token_add(struct x402_sqlite *sqlite,
                                 const struct x402_verified *of, int64_t *id)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_TOKEN_ADD);
    enum x402_error error;

    x402_sqlite_bind(statement, 1, (int64_t)of->chain_id);
    x402_sqlite_bind_blob(statement, 2, of->asset20, sizeof(of->asset20));
    error = x402_sqlite_run(sqlite, statement);
    *id = sqlite3_last_insert_rowid(sqlite->db);
    return error;
}

/* The id of a payment's (chain, asset). `add` makes one where there is none; else 0. */
static enum x402_error token_find(struct x402_sqlite *sqlite,
                                  const struct x402_verified *of, bool add, int64_t *id)
{
    sqlite3_stmt *statement;
    enum x402_error error;
    bool is_row;

    for (size_t i = 0; i < sqlite->tokens_count; i++) {
        const struct x402_sqlite_token *token = &sqlite->tokens[i];
        if (token->chain_id == of->chain_id &&
            memcmp(token->asset20, of->asset20, sizeof(token->asset20)) == 0) {
            *id = token->id;
            return X402_OK;
        }
    }
    *id = 0;
    statement = x402_sqlite_statement(sqlite, X402_SQL_TOKEN_FIND);
    x402_sqlite_bind(statement, 1, (int64_t)of->chain_id);
    x402_sqlite_bind_blob(statement, 2, of->asset20, sizeof(of->asset20));
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        *id = sqlite3_column_int64(statement, 0);
        x402_sqlite_done(statement);
    } else if (error == X402_OK && add) {
        error = token_add(sqlite, of, id);
    }
    if (error == X402_OK && *id != 0) {
        token_remember(sqlite, of, *id);
    }
    return error;
}

/* Counts the payer of a payment about to be added, unless it has paid before. */
static enum x402_error payer_count(struct x402_sqlite *sqlite, int64_t token_id,
                                   const uint8_t payer20[20])
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYER_FIND);
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, token_id);
    x402_sqlite_bind_blob(statement, 2, payer20, 20);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        x402_sqlite_done(statement);
    }
    if (error != X402_OK || is_row) {
        return error;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_PAYERS_ADD);
    x402_sqlite_bind(statement, 1, token_id);
    x402_sqlite_bind(statement, 2, 1);
    return x402_sqlite_run(sqlite, statement);
}

/* ---------------------------------------------------------------------- admissions */

/* Parameters 5 to 17 of PAYMENT_ADD and PAYMENT_PRESENT: what this attempt says. */
static void attempt_bind(struct x402_sqlite *sqlite, sqlite3_stmt *statement,
                         struct x402_state state, const struct x402_admit *admit)
{
    const struct x402_verified *verified = &admit->verified;

    x402_sqlite_bind(statement, 5, state.delivery);
    x402_sqlite_bind(statement, 6, state.money);
    x402_sqlite_bind(statement, 7, (int64_t)verified->value);
    x402_sqlite_bind_blob(statement, 8, verified->to20, 20);
    x402_sqlite_bind(statement, 9, (int64_t)verified->valid_after_seconds);
    x402_sqlite_bind(statement, 10, (int64_t)verified->valid_before_seconds);
    x402_sqlite_bind_blob(statement, 11, verified->signature65, 65);
    x402_sqlite_bind(statement, 12, verified->dialect);
    x402_sqlite_bind(statement, 13, verified->scheme);
    x402_sqlite_bind_text(statement, 14, admit->route);
    x402_sqlite_bind(statement, 15, sqlite->now_seconds);
    x402_sqlite_bind_blob(statement, 16, admit->attempt16, 16);
    x402_sqlite_bind(statement, 17, x402_sqlite_lease_id(sqlite));
}

static enum x402_error payment_add(struct x402_sqlite *sqlite, struct x402_admit *admit)
{
    const struct x402_verified *verified = &admit->verified;
    struct x402_sqlite_subject nothing = {
        .state = {(enum x402_delivery)X402_FLOW_NONE, (enum x402_money)X402_FLOW_NONE}};
    sqlite3_stmt *statement;
    enum x402_error error = token_find(sqlite, verified, true, &nothing.token_id);

    if (error == X402_OK) {
        error = payer_count(sqlite, nothing.token_id, verified->from20);
    }
    if (error != X402_OK) {
        return error;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_ADD);
    x402_sqlite_bind(statement, 1, nothing.token_id);
    x402_sqlite_bind(statement, 2, (int64_t)verified->chain_id);
    x402_sqlite_bind_blob(statement, 3, verified->from20, 20);
    x402_sqlite_bind_blob(statement, 4, verified->nonce32, 32);
    attempt_bind(sqlite, statement, x402_state_first(X402_EVENT_PRESENT), admit);
    error = x402_sqlite_run(sqlite, statement);
    if (error != X402_OK) {
        return error;
    }
    nothing.id = sqlite3_last_insert_rowid(sqlite->db);
    admit->payment_id = nothing.id;
    return x402_sqlite_count(sqlite, &nothing, X402_EVENT_PRESENT, verified->value);
}

/* A new attempt of a payment that was not charged, or is owed. */
static enum x402_error payment_present(struct x402_sqlite *sqlite,
                                       struct x402_admit *admit,
                                       const struct x402_sqlite_subject *subject)
{
    struct x402_state next;
    sqlite3_stmt *statement;
    enum x402_error error;

    if (!x402_state_next(&next, subject->state, X402_EVENT_PRESENT)) {
        return X402_ERR_CONFLICT;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_PRESENT);
    attempt_bind(sqlite, statement, next, admit);
    x402_sqlite_bind(statement, 18, subject->id);
    x402_sqlite_bind(statement, 19, subject->state.delivery);
    x402_sqlite_bind(statement, 20, subject->state.money);
    error = x402_sqlite_run(sqlite, statement);
    if (error == X402_OK && sqlite3_changes(sqlite->db) != 1) {
        error = X402_ERR_CONFLICT;
    }
    if (error != X402_OK) {
        return error;
    }
    admit->payment_id = subject->id;
    return x402_sqlite_count(sqlite, subject, X402_EVENT_PRESENT,
                             admit->verified.value);
}

static enum x402_error known_find(struct x402_sqlite *sqlite,
                                  const struct x402_admit *admit, struct known *known,
                                  bool *is_known)
{
    const struct x402_verified *verified = &admit->verified;
    sqlite3_stmt *statement;
    enum x402_error error;
    int64_t token_id;

    *is_known = false;
    error = token_find(sqlite, verified, false, &token_id);
    if (error != X402_OK || token_id == 0) {
        return error;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_FIND);
    x402_sqlite_bind(statement, 1, token_id);
    x402_sqlite_bind_blob(statement, 2, verified->from20, 20);
    x402_sqlite_bind_blob(statement, 3, verified->nonce32, 32);
    error = x402_sqlite_row(sqlite, statement, is_known);
    if (*is_known) {
        x402_sqlite_column_subject(statement, &known->subject);
        x402_sqlite_column_blob(statement, 5, known->attempt16, 16);
        known->lease_id = sqlite3_column_int64(statement, 6);
        x402_sqlite_column_blob(statement, 7, known->payee20, 20);
        x402_sqlite_done(statement);
    }
    return error;
}

/* A pending payment whose worker is gone is abandoned before it is answered for. */
static enum x402_error known_settle_lease(struct x402_sqlite *sqlite,
                                          struct known *known)
{
    enum x402_error error;
    bool alive;

    if (known->subject.state.delivery != X402_DELIVERY_PENDING ||
        known->lease_id == x402_sqlite_lease_id(sqlite)) {
        return X402_OK;
    }
    error = x402_sqlite_lease_alive(sqlite, known->lease_id, &alive);
    if (error != X402_OK || alive) {
        return error;
    }
    error = x402_sqlite_move(sqlite, &known->subject, X402_EVENT_LEASE_LOST);
    return error == X402_ERR_CONFLICT ? X402_OK : error; /* a row that cannot be */
}

/*
 * What is owed was charged as it was signed: it buys the same for the same, and not
 * something dearer under another signature with the same nonce.
 */
static bool buys_the_same(const struct known *known, const struct x402_verified *now)
{
    return known->subject.state.money == X402_MONEY_RELEASED ||
           (known->subject.value == now->value &&
            memcmp(known->payee20, now->to20, sizeof(now->to20)) == 0);
}

/* What the presentation comes to, but for the gate. `is_told`: this very attempt is in
 * already, by a commit whose outcome its caller did not learn. */
static enum x402_error weigh(struct x402_sqlite *sqlite, struct x402_admit *admit,
                             struct known *known, bool *is_known, bool *is_told)
{
    enum x402_error error = known_find(sqlite, admit, known, is_known);

    *is_told = false;
    admit->admission = X402_ADMISSION_NEW;
    if (error == X402_OK && *is_known) {
        error = known_settle_lease(sqlite, known);
    }
    if (error != X402_OK || !*is_known) {
        return error;
    }
    admit->admission = x402_state_admission(known->subject.state);
    if (admit->admission == X402_ADMISSION_NEW &&
        !buys_the_same(known, &admit->verified)) {
        admit->admission = X402_ADMISSION_REPEATED;
    }
    if (known->subject.state.delivery == X402_DELIVERY_PENDING &&
        memcmp(known->attempt16, admit->attempt16, 16) == 0) {
        admit->admission = X402_ADMISSION_NEW;
        admit->payment_id = known->subject.id;
        *is_told = true;
    }
    return X402_OK;
}

/* SQLite's integers have 63 bits. What passes them is a joke, and not the batch's. */
static bool fits(const struct x402_verified *verified)
{
    return verified->chain_id <= INT64_MAX && verified->value <= INT64_MAX &&
           verified->valid_after_seconds <= INT64_MAX &&
           verified->valid_before_seconds <= INT64_MAX;
}

/* The caller is told that it will not be charged, so nobody may tell otherwise now. */
static enum x402_error attempt_forget(struct x402_sqlite *sqlite, int64_t id)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_ATTEMPT_FORGET);

    x402_sqlite_bind(statement, 1, id);
    x402_sqlite_bind(statement, 2, sqlite->now_seconds);
    return x402_sqlite_run(sqlite, statement);
}

static enum x402_error admit_decide(struct x402_sqlite *sqlite,
                                    const struct batch *batch, struct x402_admit *admit)
{
    struct known known;
    bool is_known;
    bool is_told;
    enum x402_error error;

    admit->payment_id = 0;
    if (!fits(&admit->verified)) {
        admit->admission = X402_ADMISSION_UNAVAILABLE;
        return X402_OK;
    }
    error = weigh(sqlite, admit, &known, &is_known, &is_told);
    if (error == X402_OK && admit->admission == X402_ADMISSION_ABANDONED) {
        return attempt_forget(sqlite, known.subject.id);
    }
    if (error != X402_OK || is_told || admit->admission != X402_ADMISSION_NEW) {
        return error;
    }
    if (batch->gate != NULL && !batch->gate(admit, batch->gate_data)) {
        admit->admission = X402_ADMISSION_LIMITED;
        return X402_OK;
    }
    return is_known ? payment_present(sqlite, admit, &known.subject)
                    : payment_add(sqlite, admit);
}

static enum x402_error commit_body(struct x402_sqlite *sqlite, void *data)
{
    const struct batch *batch = data;
    enum x402_error error = X402_OK;

    if (batch->admits_count > 0) {
        error = x402_sqlite_lease_hold(sqlite, batch->owner, false);
    }
    for (size_t i = 0; error == X402_OK && i < batch->outcomes_count; i++) {
        error = outcome_apply(sqlite, &batch->outcomes[i]);
    }
    for (size_t i = 0; error == X402_OK && i < batch->admits_count; i++) {
        error = admit_decide(sqlite, batch, &batch->admits[i]);
    }
    return error;
}

enum x402_error x402_sqlite_commit(struct x402_ledger *ledger, const char *owner,
                                   struct x402_outcome *outcomes, size_t outcomes_count,
                                   struct x402_admit *admits, size_t admits_count,
                                   x402_gate *gate, void *gate_data)
{
    struct batch batch = {owner,        outcomes, outcomes_count, admits,
                          admits_count, gate,     gate_data};
    enum x402_error error;

    for (size_t i = 0; i < outcomes_count; i++) {
        assert(outcomes[i].event == X402_EVENT_DELIVERED ||
               outcomes[i].event == X402_EVENT_VOID);
        outcomes[i].applied = false;
    }
    for (size_t i = 0; i < admits_count; i++) {
        admits[i].payment_id = 0;
    }
    error = x402_sqlite_write(x402_sqlite_of(ledger), commit_body, &batch);
    if (error != X402_OK) {
        for (size_t i = 0; i < admits_count; i++) {
            admits[i].admission = X402_ADMISSION_UNAVAILABLE;
        }
        for (size_t i = 0; i < outcomes_count; i++) {
            outcomes[i].applied = false;
        }
    }
    return error;
}
