#include "ledger/sqlite.h"

#include "core/saturated.h"
#include "ledger/journal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#ifdef X402_TEST_CLOCK
struct x402_sqlite_journal_bounds x402_sqlite_journal_bounds = {
    .min = X402_SQLITE_JOURNAL_MIN, .max = X402_SQLITE_JOURNAL_MAX};
#define JOURNAL_MIN x402_sqlite_journal_bounds.min
#define JOURNAL_MAX x402_sqlite_journal_bounds.max
#else
#define JOURNAL_MIN X402_SQLITE_JOURNAL_MIN
#define JOURNAL_MAX X402_SQLITE_JOURNAL_MAX
#endif

/* A payment that is in the journal and has no row yet. */
struct journaled {
    struct x402_admit admit; /* payment_id and what was presented */
    struct x402_sqlite_birth birth;
    enum x402_event event; /* of its outcome; PRESENT: it is pending */
};

/* The journal's last row: all zeros where there is none. */
struct last {
    int64_t id;
    int64_t token_id;
    uint8_t payer20[20], nonce32[32];
    uint64_t count, value; /* of all of it */
};

static enum x402_error damaged(struct x402_sqlite *sqlite)
{
    return x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                           "cannot read ledger '%s': its journal is damaged",
                           sqlite->path);
}

static enum x402_error last_read(struct x402_sqlite *sqlite, struct last *last)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_JOURNAL_LAST);
    enum x402_error error;
    bool is_row;

    *last = (struct last){0};
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (!is_row) {
        return error;
    }
    last->id = sqlite3_column_int64(statement, 0);
    last->token_id = sqlite3_column_int64(statement, 1);
    x402_sqlite_column_blob(statement, 2, last->payer20, sizeof(last->payer20));
    x402_sqlite_column_blob(statement, 3, last->nonce32, sizeof(last->nonce32));
    last->count = (uint64_t)sqlite3_column_int64(statement, 4);
    last->value = (uint64_t)sqlite3_column_int64(statement, 5);
    x402_sqlite_done(statement);
    return X402_OK;
}

/* ------------------------------------------------------------------------- writing */

static const struct x402_admit *last_admitted(const struct x402_sqlite_batch *batch)
{
    size_t i = batch->admits_count;

    while (batch->admits[--i].admission != X402_ADMISSION_NEW) {
        assert(i > 0);
    }
    return &batch->admits[i];
}

static size_t untold_count(const struct x402_sqlite_batch *batch)
{
    size_t count = 0;

    for (size_t i = 0; i < batch->outcomes_count; i++) {
        count += x402_sqlite_is_untold(batch, &batch->outcomes[i]);
    }
    return count;
}

/* What of the batch is to be kept, in `body`. */
static size_t body_write(struct x402_sqlite *sqlite, uint8_t *body,
                         const struct x402_sqlite_batch *batch, size_t admitted)
{
    const struct x402_journal_head head = {
        .at_seconds = sqlite->now_seconds,
        .lease_id = x402_sqlite_lease_id(sqlite),
        .outcomes = (uint32_t)untold_count(batch),
        .admissions = (uint32_t)admitted,
    };
    uint8_t *at = body;

    at = x402_journal_head_put(at, &head);
    for (size_t i = 0; i < batch->outcomes_count; i++) {
        if (x402_sqlite_is_untold(batch, &batch->outcomes[i])) {
            at = x402_journal_outcome_put(at, &batch->outcomes[i]);
        }
    }
    for (size_t i = 0; i < batch->admits_count; i++) {
        if (batch->admits[i].admission == X402_ADMISSION_NEW) {
            at = x402_journal_admission_put(at, batch->tokens[i], &batch->admits[i]);
        }
    }
    return (size_t)(at - body);
}

static enum x402_error row_add(struct x402_sqlite *sqlite,
                               struct x402_sqlite_batch *batch, const struct last *last,
                               size_t admitted)
{
    const struct x402_admit *newest = last_admitted(batch);
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_JOURNAL_ADD);
    uint8_t *body = malloc(x402_journal_size_max(batch->outcomes_count, admitted));
    enum x402_error error;

    if (body == NULL) {
        return x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                               "cannot write ledger '%s': out of memory", sqlite->path);
    }
    x402_sqlite_bind(statement, 1, newest->payment_id);
    x402_sqlite_bind(statement, 2, batch->tokens[newest - batch->admits]);
    x402_sqlite_bind_blob(statement, 3, newest->verified.from20, 20);
    x402_sqlite_bind_blob(statement, 4, newest->verified.nonce32, 32);
    x402_sqlite_bind(statement, 5, (int64_t)(last->count + admitted));
    x402_sqlite_bind(statement, 6, (int64_t)sqlite->unposted);
    x402_sqlite_bind_blob(statement, 7, body,
                          body_write(sqlite, body, batch, admitted));
    error = x402_sqlite_run(sqlite, statement);
    free(body);
    return error;
}

/* ------------------------------------------------------------------------ deciding */

/*
 * Whether a payment can be admitted without any row but its payer's: a new key, within
 * credit even if all that is in the journal were its payer's.
 */
static enum x402_error is_plain(struct x402_sqlite *sqlite,
                                const struct x402_admit *admit, int64_t *token_id,
                                bool *plain)
{
    const struct x402_verified *verified = &admit->verified;
    struct x402_sqlite_key key;
    enum x402_error error;

    *plain = false;
    if (admit->late || !x402_sqlite_fits(verified)) {
        return X402_OK;
    }
    error = x402_sqlite_token_find(sqlite, verified->chain_id, verified->asset20, false,
                                   token_id);
    if (error != X402_OK || *token_id == 0) {
        return error;
    }
    key = x402_sqlite_key_of(*token_id, verified);
    if (x402_sqlite_live_forgot(sqlite, (int64_t)verified->valid_before_seconds) ||
        x402_sqlite_live_may_have(sqlite, &key)) {
        return X402_OK;
    }
    return x402_sqlite_credit_check(sqlite, &admit->credit, *token_id, verified, plain);
}

static enum x402_admission gate_ask(const struct x402_sqlite_batch *batch,
                                    struct x402_admit *admit)
{
    return batch->gate == NULL || batch->gate(admit, batch->gate_data)
               ? X402_ADMISSION_NEW
               : X402_ADMISSION_LIMITED;
}

/* Puts the batch's keys, and says what is admitted; stops at what is not plain. */
static enum x402_error admits_decide(struct x402_sqlite *sqlite,
                                     struct x402_sqlite_batch *batch, int64_t last_id,
                                     size_t *admitted, bool *plain)
{
    enum x402_error error = X402_OK;

    *plain = true;
    for (size_t i = 0; i < batch->admits_count; i++) {
        struct x402_admit *admit = &batch->admits[i];
        error = is_plain(sqlite, admit, &batch->tokens[i], plain);
        if (error != X402_OK || !*plain) {
            return error;
        }
        admit->admission = gate_ask(batch, admit);
        if (admit->admission == X402_ADMISSION_NEW) {
            const struct x402_sqlite_key key =
                x402_sqlite_key_of(batch->tokens[i], &admit->verified);
            *admitted += 1;
            admit->payment_id = last_id + (int64_t)*admitted;
            x402_sqlite_live_put(sqlite, &key, admit->payment_id,
                                 (int64_t)admit->verified.valid_before_seconds);
            sqlite->unposted = x402_saturated(sqlite->unposted, admit->verified.value);
        }
    }
    return X402_OK;
}

/* Payments that have rows hear of their outcomes there: that may take up credit. */
static enum x402_error outcomes_tell(struct x402_sqlite *sqlite,
                                     struct x402_sqlite_batch *batch, int64_t posted_id)
{
    enum x402_error error = X402_OK;

    batch->told_through_id = posted_id;
    for (size_t i = 0; error == X402_OK && i < batch->outcomes_count; i++) {
        if (x402_sqlite_is_untold(batch, &batch->outcomes[i])) {
            batch->outcomes[i].applied = true;
        } else {
            error = x402_sqlite_outcome_apply(sqlite, &batch->outcomes[i]);
        }
    }
    return error;
}

static enum x402_error add(struct x402_sqlite *sqlite, struct x402_sqlite_batch *batch,
                           const struct last *last, bool *done)
{
    const struct x402_sqlite_key key = {last->token_id, last->payer20, last->nonce32};
    int64_t posted_id;
    size_t admitted = 0;
    enum x402_error error = x402_sqlite_live_is_ready(
        sqlite, last->id, &key, batch->admits_count, &posted_id, done);

    if (error != X402_OK || !*done) {
        return error;
    }
    error = outcomes_tell(sqlite, batch, posted_id);
    sqlite->unposted = last->value;
    if (error == X402_OK) {
        error = admits_decide(sqlite, batch, last->id != 0 ? last->id : posted_id,
                              &admitted, done);
    }
    *done = *done && admitted > 0;
    if (error == X402_OK && *done) {
        error = row_add(sqlite, batch, last, admitted);
    }
    if (error == X402_OK && !*done) {
        x402_sqlite_live_unput(sqlite, admitted);
    }
    sqlite->unposted = 0;
    return error;
}

/* Enough at a time that writing rows would be felt, and that more is to come. */
static bool is_load(const struct x402_sqlite_batch *batch)
{
    return batch->admits_count > 0 && batch->admits_count <= JOURNAL_MAX &&
           batch->admits_count + batch->outcomes_count >= JOURNAL_MIN;
}

enum x402_error x402_sqlite_journal_add(struct x402_sqlite *sqlite,
                                        struct x402_sqlite_batch *batch, bool *done)
{
    struct last last;
    enum x402_error error;

    *done = false;
    if (!is_load(batch)) {
        return X402_OK;
    }
    error = last_read(sqlite, &last);
    if (error == X402_OK && last.count + batch->admits_count > JOURNAL_MAX) {
        error = x402_sqlite_journal_post(sqlite);
        last = (struct last){0};
    }
    if (error == X402_OK) {
        error = add(sqlite, batch, &last, done);
    }
    return error;
}

/* ------------------------------------------------------------------------- posting */

/* The payments of the journal, in the order of their ids, which have no gap. */
struct posting {
    struct journaled *items; /* of `max` */
    size_t count, max;
};

/* NULL where the journal has no such payment so far. */
static struct journaled *item_of(const struct posting *posting, int64_t id)
{
    const int64_t first =
        posting->count > 0 ? posting->items[0].admit.payment_id : INT64_MAX;

    return id >= first && (uint64_t)(id - first) < posting->count
               ? &posting->items[id - first]
               : NULL;
}

static void outcome_post(const struct posting *posting,
                         const struct x402_outcome *outcome, int64_t at_seconds)
{
    struct journaled *item = item_of(posting, outcome->payment_id);

    if (item != NULL && item->event == X402_EVENT_PRESENT &&
        memcmp(item->admit.attempt16, outcome->attempt16, 16) == 0) {
        item->event = outcome->event;
        item->birth.updated_at_seconds = at_seconds;
    }
}

/* One row's body; `last_id` is the id of its last admission. */
static enum x402_error body_read(struct x402_sqlite *sqlite, struct posting *posting,
                                 struct x402_journal_rest rest, int64_t last_id)
{
    const struct x402_journal_head head = x402_journal_head_take(&rest);

    if (rest.at == NULL || head.admissions > posting->max - posting->count) {
        return damaged(sqlite);
    }
    for (uint32_t i = 0; rest.at != NULL && i < head.outcomes; i++) {
        const struct x402_outcome outcome = x402_journal_outcome_take(&rest);
        outcome_post(posting, &outcome, head.at_seconds);
    }
    for (uint32_t i = 0; rest.at != NULL && i < head.admissions; i++) {
        struct journaled *item = &posting->items[posting->count++];
        *item =
            (struct journaled){.birth = {.state = x402_state_first(X402_EVENT_PRESENT),
                                         .lease_id = head.lease_id,
                                         .created_at_seconds = head.at_seconds,
                                         .updated_at_seconds = head.at_seconds},
                               .event = X402_EVENT_PRESENT};
        item->birth.token_id = x402_journal_admission_take(&rest, &item->admit);
        item->admit.payment_id = last_id - (int64_t)(head.admissions - 1 - i);
    }
    return rest.at == NULL || rest.size != 0 ? damaged(sqlite) : X402_OK;
}

static enum x402_error rows_read(struct x402_sqlite *sqlite, struct posting *posting)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_JOURNAL_ROWS);
    enum x402_error error;
    bool is_row;

    while ((error = x402_sqlite_row(sqlite, statement, &is_row)) == X402_OK && is_row) {
        const struct x402_journal_rest body = {
            sqlite3_column_blob(statement, 1),
            (size_t)sqlite3_column_bytes(statement, 1)};
        error = body_read(sqlite, posting, body, sqlite3_column_int64(statement, 0));
        if (error != X402_OK) {
            x402_sqlite_done(statement);
            return error;
        }
    }
    return error == X402_OK && posting->count != posting->max ? damaged(sqlite) : error;
}

/* The row that the payment would have by now. */
static struct x402_sqlite_birth birth_of(const struct journaled *item)
{
    struct x402_sqlite_birth birth = item->birth;

    if (item->event != X402_EVENT_PRESENT &&
        x402_state_next(&birth.state, item->birth.state, item->event)) {
        birth.lease_id = 0;
    }
    return birth;
}

/* A payment's row, and all its steps on the books. */
static enum x402_error item_post(struct x402_sqlite *sqlite,
                                 const struct journaled *item)
{
    const struct x402_sqlite_birth birth = birth_of(item);
    struct x402_sqlite_subject first = {.id = item->admit.payment_id,
                                        .token_id = birth.token_id,
                                        .state = item->birth.state,
                                        .value = item->admit.verified.value};
    struct x402_sqlite_subject after;
    int64_t id = 0;
    enum x402_error error;

    memcpy(first.payer20, item->admit.verified.from20, 20);
    after = first;
    after.state = birth.state;
    sqlite->now_seconds = birth.created_at_seconds;
    error = x402_sqlite_payment_insert(sqlite, &item->admit, &birth, &id);
    if (error == X402_OK && id != first.id) {
        return damaged(sqlite);
    }
    if (error == X402_OK) {
        error = x402_sqlite_live_note(
            sqlite, id, (int64_t)item->admit.verified.valid_before_seconds);
    }
    if (error == X402_OK) {
        error = x402_sqlite_count(sqlite, NULL, X402_EVENT_PRESENT, &first);
    }
    sqlite->now_seconds = birth.updated_at_seconds;
    return error == X402_OK && item->event != X402_EVENT_PRESENT
               ? x402_sqlite_count(sqlite, &first, (int)item->event, &after)
               : error;
}

/* Each step at the time at which it was committed. */
static enum x402_error items_post(struct x402_sqlite *sqlite,
                                  const struct posting *posting)
{
    const int64_t now_seconds = sqlite->now_seconds;
    enum x402_error error = X402_OK;

    for (size_t i = 0; error == X402_OK && i < posting->count; i++) {
        error = item_post(sqlite, &posting->items[i]);
    }
    sqlite->now_seconds = now_seconds;
    return error == X402_OK
               ? x402_sqlite_run(sqlite,
                                 x402_sqlite_statement(sqlite, X402_SQL_JOURNAL_CLEAR))
               : error;
}

/* All of it, to be freed; nothing where the journal is empty. */
static enum x402_error journal_read(struct x402_sqlite *sqlite, struct posting *posting)
{
    struct last last;
    enum x402_error error = last_read(sqlite, &last);

    *posting = (struct posting){.max = last.count};
    if (error != X402_OK || last.count == 0) {
        return error;
    }
    if (last.count > X402_SQLITE_JOURNAL_READ_MAX) {
        return damaged(sqlite);
    }
    posting->items = malloc(posting->max * sizeof(posting->items[0]));
    return posting->items != NULL
               ? rows_read(sqlite, posting)
               : x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                                 "cannot read ledger '%s': out of memory",
                                 sqlite->path);
}

enum x402_error x402_sqlite_journal_post(struct x402_sqlite *sqlite)
{
    struct posting posting;
    enum x402_error error = journal_read(sqlite, &posting);

    if (error == X402_OK && posting.count > 0) {
        error = items_post(sqlite, &posting);
    }
    free(posting.items);
    return error;
}

enum x402_error x402_sqlite_journal_find(struct x402_sqlite *sqlite, int64_t id,
                                         struct x402_admit *admit,
                                         struct x402_sqlite_birth *birth, bool *found)
{
    const struct journaled *item;
    struct posting posting;
    enum x402_error error = journal_read(sqlite, &posting);

    item = error == X402_OK ? item_of(&posting, id) : NULL;
    *found = item != NULL;
    if (*found) {
        *admit = item->admit;
        *birth = birth_of(item);
    }
    free(posting.items);
    return error;
}

static enum x402_error check_body(struct x402_sqlite *sqlite, void *data)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_LAST);
    struct posting posting = {0};
    int64_t last_id = 0;
    bool is_row;
    enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);

    (void)data;
    if (is_row) {
        last_id = sqlite3_column_int64(statement, 0);
        x402_sqlite_done(statement);
    }
    if (error == X402_OK) {
        error = journal_read(sqlite, &posting);
    }
    for (size_t i = 0; error == X402_OK && i < posting.count; i++) {
        if (posting.items[i].admit.payment_id != ++last_id) {
            error = damaged(sqlite);
        }
    }
    free(posting.items);
    return error;
}

enum x402_error x402_sqlite_journal_check(struct x402_sqlite *sqlite)
{
    return x402_sqlite_read(sqlite, check_body, NULL);
}

enum x402_error x402_sqlite_journal_is_empty(struct x402_sqlite *sqlite, bool *empty)
{
    struct last last;
    enum x402_error error = last_read(sqlite, &last);

    *empty = last.count == 0;
    return error;
}
