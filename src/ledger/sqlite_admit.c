#include "ledger/sqlite.h"

#include <assert.h>
#include <string.h>

/* A payment that is in the ledger already. */
struct known {
    struct x402_sqlite_subject subject;
    uint8_t attempt16[16];
    int64_t lease_id;
    uint8_t payee20[20];
    int64_t valid_before_seconds;
};

/* Nobody's: of a payment whose attempt was forgotten. */
static const uint8_t no_attempt16[16];

/* ------------------------------------------------------------------------ outcomes */

enum x402_error x402_sqlite_outcome_apply(struct x402_sqlite *sqlite,
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
    x402_sqlite_column_blob(statement, 6, attempt16, sizeof(attempt16));
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

/* --------------------------------------------------------------------- admissions */

/* Of a payment that begins (again) now, in this state. What is settled first is under
 * no lease. */
static struct x402_sqlite_birth birth_now(const struct x402_sqlite *sqlite,
                                          int64_t token_id, struct x402_state state)
{
    return (struct x402_sqlite_birth){
        .token_id = token_id,
        .state = state,
        .lease_id =
            state.delivery == X402_DELIVERY_PENDING ? x402_sqlite_lease_id(sqlite) : 0,
        .created_at_seconds = sqlite->now_seconds,
        .updated_at_seconds = sqlite->now_seconds,
    };
}

/* Parameters 5 to 18 of PAYMENT_ADD and PAYMENT_PRESENT: what this attempt says. What
 * is settled first is nobody's attempt yet. */
static void attempt_bind(sqlite3_stmt *statement, const struct x402_sqlite_birth *birth,
                         const struct x402_admit *admit)
{
    const struct x402_verified *verified = &admit->verified;
    const bool served = birth->state.delivery != X402_DELIVERY_OWED;

    x402_sqlite_bind(statement, 5, birth->state.delivery);
    x402_sqlite_bind(statement, 6, birth->state.money);
    x402_sqlite_bind(statement, 7, (int64_t)verified->value);
    x402_sqlite_bind_blob(statement, 8, verified->to20, 20);
    x402_sqlite_bind(statement, 9, (int64_t)verified->valid_after_seconds);
    x402_sqlite_bind(statement, 10, (int64_t)verified->valid_before_seconds);
    x402_sqlite_bind_blob(statement, 11, verified->signature65, 65);
    x402_sqlite_bind(statement, 12, verified->dialect);
    x402_sqlite_bind(statement, 13, verified->scheme);
    x402_sqlite_bind_text(statement, 14, admit->route);
    x402_sqlite_bind(statement, 15, birth->updated_at_seconds);
    x402_sqlite_bind_blob(statement, 16, served ? admit->attempt16 : no_attempt16, 16);
    x402_sqlite_bind(statement, 17, birth->lease_id);
    x402_sqlite_bind(statement, 18, served);
}

enum x402_error x402_sqlite_payment_insert(struct x402_sqlite *sqlite,
                                           const struct x402_admit *admit,
                                           const struct x402_sqlite_birth *birth,
                                           int64_t *id)
{
    const struct x402_verified *verified = &admit->verified;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_ADD);
    enum x402_error error;

    x402_sqlite_bind(statement, 1, birth->token_id);
    x402_sqlite_bind(statement, 2, (int64_t)verified->chain_id);
    x402_sqlite_bind_blob(statement, 3, verified->from20, 20);
    x402_sqlite_bind_blob(statement, 4, verified->nonce32, 32);
    attempt_bind(statement, birth, admit);
    x402_sqlite_bind(statement, 19, birth->created_at_seconds);
    error = x402_sqlite_run(sqlite, statement);
    *id = sqlite3_last_insert_rowid(sqlite->db);
    return error;
}

static enum x402_error payment_add(struct x402_sqlite *sqlite, struct x402_admit *admit,
                                   int64_t token_id, enum x402_event event)
{
    const struct x402_verified *verified = &admit->verified;
    const struct x402_sqlite_key key = x402_sqlite_key_of(token_id, verified);
    struct x402_sqlite_subject after = {.token_id = token_id,
                                        .state = x402_state_first(event),
                                        .value = verified->value};
    const struct x402_sqlite_birth birth = birth_now(sqlite, token_id, after.state);
    enum x402_error error =
        x402_sqlite_payment_insert(sqlite, admit, &birth, &after.id);

    if (error != X402_OK) {
        return error;
    }
    memcpy(after.payer20, verified->from20, sizeof(after.payer20));
    admit->payment_id = after.id;
    error = x402_sqlite_live_add(sqlite, &key, after.id,
                                 (int64_t)verified->valid_before_seconds,
                                 event == X402_EVENT_PRESENT_FIRST);
    return error == X402_OK ? x402_sqlite_count(sqlite, NULL, (int)event, &after)
                            : error;
}

/* What follows `before` on a presentation; `statement` has its parameters 5 up to 18.
 */
static enum x402_error payment_change(struct x402_sqlite *sqlite,
                                      sqlite3_stmt *statement,
                                      const struct x402_sqlite_subject *before,
                                      enum x402_event event,
                                      const struct x402_sqlite_subject *after)
{
    enum x402_error error;

    x402_sqlite_bind(statement, 19, before->id);
    x402_sqlite_bind(statement, 20, before->state.delivery);
    x402_sqlite_bind(statement, 21, before->state.money);
    error = x402_sqlite_run(sqlite, statement);
    if (error == X402_OK && sqlite3_changes(sqlite->db) != 1) {
        error = X402_ERR_CONFLICT;
    }
    return error == X402_OK ? x402_sqlite_count(sqlite, before, (int)event, after)
                            : error;
}

/* A payment that was not charged begins anew, as it is signed now. */
static enum x402_error payment_present(struct x402_sqlite *sqlite,
                                       struct x402_admit *admit,
                                       const struct x402_sqlite_subject *before,
                                       enum x402_event event)
{
    const struct x402_sqlite_key key =
        x402_sqlite_key_of(before->token_id, &admit->verified);
    struct x402_sqlite_subject after = *before;
    struct x402_sqlite_birth again;
    sqlite3_stmt *statement;
    enum x402_error error;

    if (!x402_state_next(&after.state, before->state, event)) {
        return X402_ERR_CONFLICT;
    }
    after.value = admit->verified.value;
    admit->payment_id = before->id;
    again = birth_now(sqlite, before->token_id, after.state);
    statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_PRESENT);
    attempt_bind(statement, &again, admit);
    error = payment_change(sqlite, statement, before, event, &after);
    if (error == X402_OK) {
        error = x402_sqlite_live_keep(sqlite, &key, before->id,
                                      (int64_t)admit->verified.valid_before_seconds,
                                      event == X402_EVENT_PRESENT_FIRST);
    }
    if (error == X402_OK && before->state.money == X402_MONEY_FAILED) {
        statement = x402_sqlite_statement(sqlite, X402_SQL_FAILED_DROP);
        x402_sqlite_bind(statement, 1, before->id);
        error = x402_sqlite_run(sqlite, statement);
    }
    return error;
}

/* What is owed is served for the authorization that was charged: nothing of it changes.
 */
static enum x402_error payment_serve(struct x402_sqlite *sqlite,
                                     struct x402_admit *admit,
                                     const struct x402_sqlite_subject *before)
{
    struct x402_sqlite_subject after = *before;
    struct x402_sqlite_birth again;
    sqlite3_stmt *statement;

    if (!x402_state_next(&after.state, before->state, X402_EVENT_PRESENT)) {
        return X402_ERR_CONFLICT;
    }
    admit->payment_id = before->id;
    admit->settled = true;
    again = birth_now(sqlite, before->token_id, after.state);
    statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_SERVE);
    attempt_bind(statement, &again, admit);
    return payment_change(sqlite, statement, before, X402_EVENT_PRESENT, &after);
}

static enum x402_error known_find(struct x402_sqlite *sqlite,
                                  const struct x402_admit *admit, struct known *known,
                                  bool *is_known)
{
    const struct x402_verified *verified = &admit->verified;
    struct x402_sqlite_key key;
    sqlite3_stmt *statement;
    enum x402_error error;
    int64_t token_id;

    *is_known = false;
    error = x402_sqlite_token_find(sqlite, verified->chain_id, verified->asset20, false,
                                   &token_id);
    if (error != X402_OK || token_id == 0) {
        return error;
    }
    key = x402_sqlite_key_of(token_id, verified);
    error = x402_sqlite_live_find(sqlite, &key, &statement);
    *is_known = error == X402_OK && statement != NULL;
    if (*is_known) {
        x402_sqlite_column_subject(statement, &known->subject);
        x402_sqlite_column_blob(statement, 6, known->attempt16, 16);
        known->lease_id = sqlite3_column_int64(statement, 7);
        x402_sqlite_column_blob(statement, 8, known->payee20, 20);
        known->valid_before_seconds = sqlite3_column_int64(statement, 9);
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
 * something dearer under another signature with the same nonce; and not for ever.
 */
static bool may_be_owed(const struct x402_sqlite *sqlite, const struct known *known,
                        const struct x402_verified *now)
{
    return known->subject.value == now->value &&
           memcmp(known->payee20, now->to20, sizeof(now->to20)) == 0 &&
           sqlite->now_seconds - X402_OWED_SECONDS < known->valid_before_seconds;
}

/* What the presentation of a known payment comes to, but for the gate and credit. */
static enum x402_admission known_weigh(const struct x402_sqlite *sqlite,
                                       const struct known *known,
                                       const struct x402_admit *admit)
{
    const struct x402_state state = known->subject.state;
    const bool owed = state.delivery == X402_DELIVERY_OWED;

    if (state.delivery == X402_DELIVERY_PENDING ||
        state.delivery == X402_DELIVERY_ABANDONED) {
        return x402_state_admission(state); /* late or not: it is not over yet */
    }
    if (admit->late && !(owed && may_be_owed(sqlite, known, &admit->verified))) {
        return X402_ADMISSION_NOT_OWED;
    }
    if (owed && !may_be_owed(sqlite, known, &admit->verified)) {
        return X402_ADMISSION_REPEATED;
    }
    return x402_state_admission(state);
}

/* `is_told`: this very attempt is in already, by a commit whose outcome its caller did
 * not learn. */
static enum x402_error weigh(struct x402_sqlite *sqlite, struct x402_admit *admit,
                             struct known *known, bool *is_known, bool *is_told)
{
    enum x402_error error = known_find(sqlite, admit, known, is_known);

    *is_told = false;
    admit->admission =
        admit->late || x402_sqlite_live_forgot(
                           sqlite, (int64_t)admit->verified.valid_before_seconds)
            ? X402_ADMISSION_NOT_OWED
            : X402_ADMISSION_NEW;
    if (error == X402_OK && *is_known) {
        error = known_settle_lease(sqlite, known);
    }
    if (error != X402_OK || !*is_known) {
        return error;
    }
    *is_told = known->subject.state.delivery == X402_DELIVERY_PENDING &&
               memcmp(known->attempt16, admit->attempt16, 16) == 0;
    admit->admission =
        *is_told ? X402_ADMISSION_NEW : known_weigh(sqlite, known, admit);
    admit->settled = *is_told && known->subject.state.money != X402_MONEY_HELD;
    if (*is_told || admit->admission == X402_ADMISSION_SETTLING) {
        admit->payment_id = known->subject.id;
    }
    return X402_OK;
}

/* SQLite's integers have 63 bits. What passes them is a joke, and not the batch's. */
bool x402_sqlite_fits(const struct x402_verified *verified)
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

/*
 * What is settled first was counted against the rate when it came to be due; serving it
 * then is free. Once it was served it is counted again each time: the upstream works
 * for it again.
 */
static bool was_counted(const struct known *known)
{
    return known != NULL && known->subject.state.delivery == X402_DELIVERY_OWED &&
           memcmp(known->attempt16, no_attempt16, sizeof(no_attempt16)) == 0;
}

/* Served now, or settled first: PRESENT or PRESENT_FIRST. */
static enum x402_error way_choose(struct x402_sqlite *sqlite,
                                  const struct x402_admit *admit, int64_t token_id,
                                  const struct known *known, enum x402_event *event)
{
    struct x402_state next;
    bool served = known == NULL ||
                  x402_state_next(&next, known->subject.state, X402_EVENT_PRESENT);
    enum x402_error error = X402_OK;

    if (served) {
        error = x402_sqlite_credit_check(sqlite, &admit->credit, token_id,
                                         &admit->verified, &served);
    }
    *event = served ? X402_EVENT_PRESENT : X402_EVENT_PRESENT_FIRST;
    return error;
}

/* A payment that is to be charged yet. `known` is NULL for one never seen. */
static enum x402_error admit_unpaid(struct x402_sqlite *sqlite,
                                    struct x402_admit *admit, const struct known *known)
{
    const struct x402_verified *verified = &admit->verified;
    enum x402_event event;
    int64_t token_id;
    enum x402_error error = x402_sqlite_token_find(sqlite, verified->chain_id,
                                                   verified->asset20, true, &token_id);

    if (error == X402_OK) {
        error = way_choose(sqlite, admit, token_id, known, &event);
    }
    if (error != X402_OK) {
        return error;
    }
    if (event == X402_EVENT_PRESENT_FIRST) {
        admit->admission = X402_ADMISSION_SETTLING;
        admit->urgent = true;
    }
    return known != NULL ? payment_present(sqlite, admit, &known->subject, event)
                         : payment_add(sqlite, admit, token_id, event);
}

static enum x402_error admit_decide(struct x402_sqlite *sqlite,
                                    const struct x402_sqlite_batch *batch,
                                    struct x402_admit *admit)
{
    struct known known;
    bool is_known;
    bool is_told;
    enum x402_error error;

    admit->payment_id = 0;
    admit->urgent = false;
    admit->settled = false;
    if (!x402_sqlite_fits(&admit->verified)) {
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
    if (!is_known && x402_sqlite_live_is_full(sqlite)) {
        admit->admission = X402_ADMISSION_UNAVAILABLE;
        return X402_OK;
    }
    if (batch->gate != NULL && !was_counted(is_known ? &known : NULL) &&
        !batch->gate(admit, batch->gate_data)) {
        admit->admission = X402_ADMISSION_LIMITED;
        return X402_OK;
    }
    if (is_known && known.subject.state.delivery == X402_DELIVERY_OWED) {
        return payment_serve(sqlite, admit, &known.subject);
    }
    return admit_unpaid(sqlite, admit, is_known ? &known : NULL);
}

/* Payment by payment, in its rows. */
static enum x402_error batch_decide(struct x402_sqlite *sqlite,
                                    struct x402_sqlite_batch *batch)
{
    enum x402_error error = X402_OK;

    if (batch->admits_count > 0) {
        error = x402_sqlite_live_begin(sqlite, batch->admits_count);
    }
    for (size_t i = 0; error == X402_OK && i < batch->outcomes_count; i++) {
        if (x402_sqlite_is_untold(batch, &batch->outcomes[i])) {
            error = x402_sqlite_outcome_apply(sqlite, &batch->outcomes[i]);
        }
    }
    for (size_t i = 0; error == X402_OK && i < batch->admits_count; i++) {
        error = admit_decide(sqlite, batch, &batch->admits[i]);
    }
    return error;
}

static enum x402_error commit_body(struct x402_sqlite *sqlite, void *data)
{
    struct x402_sqlite_batch *batch = data;
    enum x402_error error = X402_OK;
    bool is_journaled = false;

    if (batch->admits_count > 0) {
        error = x402_sqlite_lease_hold(sqlite, batch->owner, false);
    }
    if (error == X402_OK && !sqlite->posting) {
        error = x402_sqlite_journal_add(sqlite, batch, &is_journaled);
    }
    if (error != X402_OK || is_journaled) {
        return error;
    }
    error = x402_sqlite_journal_post(sqlite);
    return error == X402_OK ? batch_decide(sqlite, batch) : error;
}

void x402_sqlite_post(struct x402_ledger *ledger)
{
    x402_sqlite_of(ledger)->posting = true;
}

enum x402_error x402_sqlite_commit(struct x402_ledger *ledger, const char *owner,
                                   struct x402_outcome *outcomes, size_t outcomes_count,
                                   struct x402_admit *admits, size_t admits_count,
                                   x402_gate *gate, void *gate_data)
{
    struct x402_sqlite_batch batch = {.owner = owner,
                                      .outcomes = outcomes,
                                      .outcomes_count = outcomes_count,
                                      .admits = admits,
                                      .admits_count = admits_count,
                                      .gate = gate,
                                      .gate_data = gate_data};
    enum x402_error error;

    for (size_t i = 0; i < outcomes_count; i++) {
        assert(outcomes[i].event == X402_EVENT_DELIVERED ||
               outcomes[i].event == X402_EVENT_VOID);
        outcomes[i].applied = false;
    }
    for (size_t i = 0; i < admits_count; i++) {
        admits[i].payment_id = 0;
        admits[i].urgent = false;
        admits[i].settled = false;
    }
    error = x402_sqlite_append(x402_sqlite_of(ledger), commit_body, &batch);
    if (error == X402_OK) {
        x402_sqlite_of(ledger)->posting = false;
    } else {
        for (size_t i = 0; i < admits_count; i++) {
            admits[i].admission = X402_ADMISSION_UNAVAILABLE;
            admits[i].urgent = false;
            admits[i].settled = false;
        }
        for (size_t i = 0; i < outcomes_count; i++) {
            outcomes[i].applied = false;
        }
    }
    return error;
}
