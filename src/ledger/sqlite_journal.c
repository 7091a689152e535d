#include "ledger/sqlite.h"

#include "core/saturated.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/*
 * A row's body, all numbers little-endian: when and under which lease, then outcomes,
 * then admissions, each list after its count.
 */
#define HEAD_SIZE (8 + 8 + 4 + 4)
#define OUTCOME_SIZE (8 + 16 + 1)
#define ADMISSION_FIXED_SIZE (8 + 8 + 20 + 32 + 20 + 8 + 8 + 8 + 65 + 1 + 1 + 16 + 1)
#define ADMISSION_SIZE (ADMISSION_FIXED_SIZE + X402_ROUTE_MAX - 1)

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
struct x402_sqlite_journaled {
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

static uint8_t *put(uint8_t *at, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(number >> (8 * i));
    }
    return at + size;
}

static uint8_t *put_bytes(uint8_t *at, const void *bytes, size_t size)
{
    memcpy(at, bytes, size);
    return at + size;
}

static uint8_t *outcome_put(uint8_t *at, const struct x402_outcome *outcome)
{
    at = put(at, (uint64_t)outcome->payment_id, 8);
    at = put_bytes(at, outcome->attempt16, 16);
    return put(at, outcome->event, 1);
}

static uint8_t *admission_put(uint8_t *at, int64_t token_id,
                              const struct x402_admit *admit)
{
    const struct x402_verified *verified = &admit->verified;
    const size_t route_size = strnlen(admit->route, X402_ROUTE_MAX - 1);

    at = put(at, (uint64_t)token_id, 8);
    at = put(at, verified->chain_id, 8);
    at = put_bytes(at, verified->from20, 20);
    at = put_bytes(at, verified->nonce32, 32);
    at = put_bytes(at, verified->to20, 20);
    at = put(at, verified->value, 8);
    at = put(at, verified->valid_after_seconds, 8);
    at = put(at, verified->valid_before_seconds, 8);
    at = put_bytes(at, verified->signature65, 65);
    at = put(at, verified->dialect, 1);
    at = put(at, verified->scheme, 1);
    at = put_bytes(at, admit->attempt16, 16);
    at = put(at, route_size, 1);
    return put_bytes(at, admit->route, route_size);
}

static const struct x402_admit *last_admitted(const struct x402_sqlite_batch *batch)
{
    size_t i = batch->admits_count;

    while (batch->admits[--i].admission != X402_ADMISSION_NEW) {
        assert(i > 0);
    }
    return &batch->admits[i];
}

static bool is_of_journaled(const struct x402_sqlite_batch *batch,
                            const struct x402_outcome *outcome)
{
    return outcome->payment_id > batch->told_through_id;
}

static size_t outcomes_of_journaled(const struct x402_sqlite_batch *batch)
{
    size_t count = 0;

    for (size_t i = 0; i < batch->outcomes_count; i++) {
        count += is_of_journaled(batch, &batch->outcomes[i]);
    }
    return count;
}

/* What of the batch is to be kept, in `body`. */
static size_t body_write(struct x402_sqlite *sqlite, uint8_t *body,
                         const struct x402_sqlite_batch *batch, size_t admitted)
{
    uint8_t *at = body;

    at = put(at, (uint64_t)sqlite->now_seconds, 8);
    at = put(at, (uint64_t)x402_sqlite_lease_id(sqlite), 8);
    at = put(at, outcomes_of_journaled(batch), 4);
    at = put(at, admitted, 4);
    for (size_t i = 0; i < batch->outcomes_count; i++) {
        if (is_of_journaled(batch, &batch->outcomes[i])) {
            at = outcome_put(at, &batch->outcomes[i]);
        }
    }
    for (size_t i = 0; i < batch->admits_count; i++) {
        if (batch->admits[i].admission == X402_ADMISSION_NEW) {
            at = admission_put(at, batch->tokens[i], &batch->admits[i]);
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
    uint8_t *body = malloc(HEAD_SIZE + batch->outcomes_count * OUTCOME_SIZE +
                           admitted * ADMISSION_SIZE);
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
    key = (struct x402_sqlite_key){*token_id, verified->from20, verified->nonce32};
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
            const struct x402_sqlite_key key = {
                batch->tokens[i], admit->verified.from20, admit->verified.nonce32};
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
        if (is_of_journaled(batch, &batch->outcomes[i])) {
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

enum x402_error x402_sqlite_journal_add(struct x402_sqlite *sqlite,
                                        struct x402_sqlite_batch *batch, bool *done)
{
    struct last last;
    enum x402_error error;

    *done = false;
    if (batch->admits_count < JOURNAL_MIN || batch->admits_count > JOURNAL_MAX) {
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

/* ------------------------------------------------------------------------- reading */

/* What is left of a body. NULL: there was less than was to be read. */
struct rest {
    const uint8_t *at;
    size_t size;
};

static const uint8_t *take(struct rest *rest, size_t size)
{
    const uint8_t *at = rest->at;

    if (at == NULL || rest->size < size) {
        rest->at = NULL;
        return NULL;
    }
    rest->at += size;
    rest->size -= size;
    return at;
}

static uint64_t take_number(struct rest *rest, size_t size)
{
    const uint8_t *at = take(rest, size);
    uint64_t number = 0;

    for (size_t i = 0; at != NULL && i < size; i++) {
        number |= (uint64_t)at[i] << (8 * i);
    }
    return number;
}

static void take_bytes(struct rest *rest, void *out, size_t size)
{
    const uint8_t *at = take(rest, size);

    if (at != NULL) {
        memcpy(out, at, size);
    }
}

static void outcome_take(struct rest *rest, struct x402_outcome *outcome)
{
    *outcome = (struct x402_outcome){.payment_id = (int64_t)take_number(rest, 8)};
    take_bytes(rest, outcome->attempt16, 16);
    outcome->event = (enum x402_event)take_number(rest, 1);
    if (outcome->event != X402_EVENT_DELIVERED && outcome->event != X402_EVENT_VOID) {
        rest->at = NULL;
    }
}

static void admission_take(struct rest *rest, struct x402_sqlite_journaled *item)
{
    struct x402_verified *verified = &item->admit.verified;
    size_t route_size;

    item->birth.token_id = (int64_t)take_number(rest, 8);
    verified->chain_id = take_number(rest, 8);
    take_bytes(rest, verified->from20, 20);
    take_bytes(rest, verified->nonce32, 32);
    take_bytes(rest, verified->to20, 20);
    verified->value = take_number(rest, 8);
    verified->valid_after_seconds = take_number(rest, 8);
    verified->valid_before_seconds = take_number(rest, 8);
    take_bytes(rest, verified->signature65, 65);
    verified->dialect = (enum x402_dialect)take_number(rest, 1);
    verified->scheme = (enum x402_scheme)take_number(rest, 1);
    take_bytes(rest, item->admit.attempt16, 16);
    route_size = take_number(rest, 1);
    if (route_size >= X402_ROUTE_MAX) {
        rest->at = NULL;
        return;
    }
    take_bytes(rest, item->admit.route, route_size);
    item->admit.route[route_size] = '\0';
}

/* ------------------------------------------------------------------------- posting */

/* The payments of the journal, in the order of their ids, which have no gap. */
struct posting {
    struct x402_sqlite_journaled *items; /* of `max` */
    size_t count, max;
};

/* NULL where the journal has no such payment so far. */
static struct x402_sqlite_journaled *item_of(const struct posting *posting, int64_t id)
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
    struct x402_sqlite_journaled *item = item_of(posting, outcome->payment_id);

    if (item != NULL && item->event == X402_EVENT_PRESENT &&
        memcmp(item->admit.attempt16, outcome->attempt16, 16) == 0) {
        item->event = outcome->event;
        item->birth.updated_at_seconds = at_seconds;
    }
}

/* One row's body; `last_id` is the id of its last admission. */
static enum x402_error body_read(struct x402_sqlite *sqlite, struct posting *posting,
                                 struct rest rest, int64_t last_id)
{
    const int64_t at_seconds = (int64_t)take_number(&rest, 8);
    const int64_t lease_id = (int64_t)take_number(&rest, 8);
    const uint64_t outcomes = take_number(&rest, 4);
    const uint64_t admissions = take_number(&rest, 4);

    if (rest.at == NULL || admissions > posting->max - posting->count) {
        return damaged(sqlite);
    }
    for (uint64_t i = 0; rest.at != NULL && i < outcomes; i++) {
        struct x402_outcome outcome;
        outcome_take(&rest, &outcome);
        outcome_post(posting, &outcome, at_seconds);
    }
    for (uint64_t i = 0; rest.at != NULL && i < admissions; i++) {
        struct x402_sqlite_journaled *item = &posting->items[posting->count++];
        *item = (struct x402_sqlite_journaled){
            .birth = {.state = x402_state_first(X402_EVENT_PRESENT),
                      .lease_id = lease_id,
                      .created_at_seconds = at_seconds,
                      .updated_at_seconds = at_seconds},
            .event = X402_EVENT_PRESENT};
        item->admit.payment_id = last_id - (int64_t)(admissions - 1 - i);
        admission_take(&rest, item);
    }
    return rest.at == NULL || rest.size != 0 ? damaged(sqlite) : X402_OK;
}

static enum x402_error rows_read(struct x402_sqlite *sqlite, struct posting *posting)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_JOURNAL_ROWS);
    enum x402_error error;
    bool is_row;

    while ((error = x402_sqlite_row(sqlite, statement, &is_row)) == X402_OK && is_row) {
        const struct rest body = {sqlite3_column_blob(statement, 1),
                                  (size_t)sqlite3_column_bytes(statement, 1)};
        error = body_read(sqlite, posting, body, sqlite3_column_int64(statement, 0));
        if (error != X402_OK) {
            x402_sqlite_done(statement);
            return error;
        }
    }
    return error == X402_OK && posting->count != posting->max ? damaged(sqlite) : error;
}

/* The row that the payment would have by now, and all its steps on the books. */
static enum x402_error item_post(struct x402_sqlite *sqlite,
                                 struct x402_sqlite_journaled *item)
{
    struct x402_sqlite_subject first = {.id = item->admit.payment_id,
                                        .token_id = item->birth.token_id,
                                        .state = item->birth.state,
                                        .value = item->admit.verified.value};
    struct x402_sqlite_subject after = first;
    int64_t id = 0;
    enum x402_error error;

    memcpy(first.payer20, item->admit.verified.from20, 20);
    memcpy(after.payer20, first.payer20, 20);
    if (item->event != X402_EVENT_PRESENT) {
        if (!x402_state_next(&after.state, first.state, item->event)) {
            return damaged(sqlite);
        }
        item->birth.state = after.state;
        item->birth.lease_id = 0;
    }
    sqlite->now_seconds = item->birth.created_at_seconds;
    error = x402_sqlite_payment_insert(sqlite, &item->admit, &item->birth, &id);
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
    sqlite->now_seconds = item->birth.updated_at_seconds;
    return error == X402_OK && item->event != X402_EVENT_PRESENT
               ? x402_sqlite_count(sqlite, &first, (int)item->event, &after)
               : error;
}

/* Each step at the time at which it was committed. */
static enum x402_error post(struct x402_sqlite *sqlite, struct posting *posting)
{
    const int64_t now_seconds = sqlite->now_seconds;
    enum x402_error error = rows_read(sqlite, posting);

    for (size_t i = 0; error == X402_OK && i < posting->count; i++) {
        error = item_post(sqlite, &posting->items[i]);
    }
    sqlite->now_seconds = now_seconds;
    return error == X402_OK
               ? x402_sqlite_run(sqlite,
                                 x402_sqlite_statement(sqlite, X402_SQL_JOURNAL_CLEAR))
               : error;
}

enum x402_error x402_sqlite_journal_post(struct x402_sqlite *sqlite)
{
    struct posting posting = {0};
    struct last last;
    enum x402_error error = last_read(sqlite, &last);

    if (error != X402_OK || last.count == 0) {
        return error;
    }
    if (last.count > X402_SQLITE_JOURNAL_MAX) {
        return damaged(sqlite);
    }
    posting.max = last.count;
    posting.items = malloc(posting.max * sizeof(posting.items[0]));
    if (posting.items == NULL) {
        return x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                               "cannot write ledger '%s': out of memory", sqlite->path);
    }
    error = post(sqlite, &posting);
    free(posting.items);
    return error;
}

enum x402_error x402_sqlite_journal_is_empty(struct x402_sqlite *sqlite, bool *empty)
{
    struct last last;
    enum x402_error error = last_read(sqlite, &last);

    *empty = last.count == 0;
    return error;
}
