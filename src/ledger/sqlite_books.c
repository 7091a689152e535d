#include "ledger/sqlite.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * The books are proved block by block of ids, each in one snapshot: what the flows say
 * is in each state must be what the rows say.
 */

#define TOKENS_MAX X402_TOTALS_MAX
#define STATES (X402_DELIVERY_COUNT * X402_MONEY_COUNT)

struct tally {
    int64_t token_id;
    struct x402_count flows[STATES];
    struct x402_count rows[STATES];
    struct x402_count admitted, removed;
};

struct proof {
    int64_t block;
    int64_t last_block; /* out */
    bool reachable[STATES];
    struct tally tallies[TOKENS_MAX];
    size_t tallies_count;
    char *message;
};

static size_t index_of(struct x402_state state)
{
    return (size_t)state.delivery * X402_MONEY_COUNT + (size_t)state.money;
}

static struct x402_state state_at(size_t index)
{
    return (struct x402_state){(enum x402_delivery)(index / X402_MONEY_COUNT),
                               (enum x402_money)(index % X402_MONEY_COUNT)};
}

/* Every state some sequence of events leads to. */
static void reach(bool reachable[STATES])
{
    bool grew = true;

    memset(reachable, 0, STATES * sizeof(reachable[0]));
    reachable[index_of(x402_state_first(X402_EVENT_PRESENT))] = true;
    reachable[index_of(x402_state_first(X402_EVENT_PRESENT_FIRST))] = true;
    while (grew) {
        grew = false;
        for (size_t i = 0; i < STATES * X402_EVENT_COUNT; i++) {
            struct x402_state next;
            if (reachable[i % STATES] &&
                x402_state_next(&next, state_at(i % STATES),
                                (enum x402_event)(i / STATES)) &&
                !reachable[index_of(next)]) {
                reachable[index_of(next)] = true;
                grew = true;
            }
        }
    }
}

__attribute__((format(printf, 2, 3))) static enum x402_error disproved(
    const struct proof *proof, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(proof->message, X402_LEDGER_MESSAGE_MAX, format, arguments);
    va_end(arguments);
    return X402_ERR_CONFLICT;
}

static struct tally *tally_of(struct proof *proof, int64_t token_id)
{
    size_t i = 0;

    while (i < proof->tallies_count && proof->tallies[i].token_id != token_id) {
        i++;
    }
    if (i == TOKENS_MAX) {
        return NULL;
    }
    if (i == proof->tallies_count) {
        memset(&proof->tallies[i], 0, sizeof(proof->tallies[i]));
        proof->tallies[proof->tallies_count++].token_id = token_id;
    }
    return &proof->tallies[i];
}

static void count_add(struct x402_count *count, uint64_t payments, uint64_t value)
{
    /* What has no tally is disproved before. NOLINTNEXTLINE(clang-analyzer-core.*) */
    count->count += payments;
    count->value += value;
}

/* ---------------------------------------------------------------------------- flows */

static enum x402_error flow_add(struct proof *proof,
                                const struct x402_sqlite_flow *flow)
{
    const struct x402_state from = {(enum x402_delivery)flow->delivery,
                                    (enum x402_money)flow->money};
    struct tally *tally = tally_of(proof, flow->token_id);
    struct x402_state to = from;

    if (tally == NULL) {
        return disproved(proof, "more than %d tokens", TOKENS_MAX);
    }
    if (x402_sqlite_flow_is_first(flow)) {
        to = x402_state_first((enum x402_event)flow->event);
        count_add(&tally->admitted, flow->count, flow->value_after);
    } else if (from.delivery >= X402_DELIVERY_COUNT || from.money >= X402_MONEY_COUNT ||
               (flow->event != X402_FLOW_REMOVED &&
                !x402_state_next(&to, from, (enum x402_event)flow->event))) {
        return disproved(proof, "flows of block %lld have a step the table has not",
                         (long long)flow->block);
    } else {
        count_add(&tally->flows[index_of(from)], -flow->count, -flow->value_before);
        count_add(&tally->admitted, 0, flow->value_after - flow->value_before);
    }
    if (flow->event == X402_FLOW_REMOVED) {
        count_add(&tally->removed, flow->count, flow->value_before);
    } else {
        count_add(&tally->flows[index_of(to)], flow->count, flow->value_after);
    }
    return X402_OK;
}

static enum x402_error flows_read(struct x402_sqlite *sqlite, struct proof *proof)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_BOOKS_FLOWS);
    enum x402_error error = X402_OK;

    x402_sqlite_bind(statement, 1, proof->block);
    while (error == X402_OK) {
        struct x402_sqlite_flow flow = {.block = proof->block};
        bool is_row;
        error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        flow.token_id = sqlite3_column_int64(statement, 0);
        flow.delivery = sqlite3_column_int(statement, 1);
        flow.money = sqlite3_column_int(statement, 2);
        flow.event = sqlite3_column_int(statement, 3);
        flow.count = (uint64_t)sqlite3_column_int64(statement, 4);
        flow.value_before = (uint64_t)sqlite3_column_int64(statement, 5);
        flow.value_after = (uint64_t)sqlite3_column_int64(statement, 6);
        error = flow_add(proof, &flow);
    }
    return error;
}

/* ----------------------------------------------------------------------------- rows */

/* What is there of a payment in other tables. */
struct company {
    bool outbox, settled, failed, lease;
};

static struct company column_company(sqlite3_stmt *statement)
{
    return (struct company){
        .outbox = sqlite3_column_int(statement, 6) != 0,
        .settled = sqlite3_column_int(statement, 7) != 0,
        .failed = sqlite3_column_int(statement, 8) != 0,
        .lease = sqlite3_column_int64(statement, 9) != 0,
    };
}

static enum x402_error row_check(const struct proof *proof,
                                 const struct x402_sqlite_subject *subject,
                                 struct company has)
{
    const struct x402_state state = subject->state;
    const bool settled =
        state.money == X402_MONEY_SETTLED || state.money == X402_MONEY_FINAL;

    if ((unsigned)state.delivery >= X402_DELIVERY_COUNT ||
        (unsigned)state.money >= X402_MONEY_COUNT ||
        !proof->reachable[index_of(state)]) {
        return disproved(proof, "payment %lld is %s and %s, which cannot be",
                         (long long)subject->id, x402_delivery_name(state.delivery),
                         x402_money_name(state.money));
    }
    if (state.money == X402_MONEY_SUBMITTED && !has.outbox) {
        return disproved(proof, "payment %lld is submitted and in no transaction",
                         (long long)subject->id);
    }
    if (settled != has.settled) {
        return disproved(proof, "payment %lld is %s and %s where on the chain",
                         (long long)subject->id, x402_money_name(state.money),
                         has.settled ? "it is recorded" : "it is not recorded");
    }
    if ((state.money == X402_MONEY_FAILED) != has.failed) {
        return disproved(proof, "payment %lld is %s and its failure is %s",
                         (long long)subject->id, x402_money_name(state.money),
                         has.failed ? "recorded" : "not recorded");
    }
    if (state.delivery == X402_DELIVERY_OWED && has.lease) {
        return disproved(proof, "payment %lld is owed and has a lease",
                         (long long)subject->id);
    }
    return X402_OK;
}

static enum x402_error rows_read(struct x402_sqlite *sqlite, struct proof *proof)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_BOOKS_ROWS);
    enum x402_error error = X402_OK;

    x402_sqlite_bind(statement, 1, proof->block * X402_SQLITE_BLOCK);
    x402_sqlite_bind(statement, 2, (proof->block + 1) * X402_SQLITE_BLOCK - 1);
    while (error == X402_OK) {
        struct x402_sqlite_subject subject;
        struct tally *tally;
        bool is_row;
        error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        x402_sqlite_column_subject(statement, &subject);
        error = row_check(proof, &subject, column_company(statement));
        tally = tally_of(proof, subject.token_id);
        if (error == X402_OK && tally == NULL) {
            error = disproved(proof, "more than %d tokens", TOKENS_MAX);
        }
        if (error == X402_OK) {
            count_add(&tally->rows[index_of(subject.state)], 1, subject.value);
        }
    }
    return error;
}

/* ---------------------------------------------------------------------------- proof */

static enum x402_error states_compare(const struct proof *proof,
                                      const struct tally *tally)
{
    for (size_t i = 0; i < STATES; i++) {
        const struct x402_count *flows = &tally->flows[i];
        const struct x402_count *rows = &tally->rows[i];
        if (flows->count != rows->count || flows->value != rows->value) {
            return disproved(
                proof,
                "payments %lld to %lld: %llu are %s and %s, worth %llu; the running "
                "totals say %llu, worth %llu",
                (long long)proof->block * X402_SQLITE_BLOCK,
                (long long)(proof->block + 1) * X402_SQLITE_BLOCK - 1,
                (unsigned long long)rows->count,
                x402_delivery_name(state_at(i).delivery),
                x402_money_name(state_at(i).money), (unsigned long long)rows->value,
                (unsigned long long)flows->count, (unsigned long long)flows->value);
        }
    }
    return X402_OK;
}

/* admitted = delivered + void + abandoned + owed + pending, the removed included. */
static enum x402_error admitted_compare(const struct proof *proof,
                                        const struct tally *tally)
{
    struct x402_count sum = tally->removed;

    for (size_t i = 0; i < STATES; i++) {
        count_add(&sum, tally->rows[i].count, tally->rows[i].value);
    }
    if (sum.count != tally->admitted.count || sum.value != tally->admitted.value) {
        return disproved(proof,
                         "payments %lld to %lld: %llu were admitted, worth %llu, and "
                         "%llu are accounted for, worth %llu",
                         (long long)proof->block * X402_SQLITE_BLOCK,
                         (long long)(proof->block + 1) * X402_SQLITE_BLOCK - 1,
                         (unsigned long long)tally->admitted.count,
                         (unsigned long long)tally->admitted.value,
                         (unsigned long long)sum.count, (unsigned long long)sum.value);
    }
    return X402_OK;
}

static enum x402_error last_block_read(struct x402_sqlite *sqlite, struct proof *proof)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_BLOCK_LAST);
    enum x402_error error;
    bool is_row;

    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        proof->last_block = sqlite3_column_int64(statement, 0);
        x402_sqlite_done(statement);
    }
    return error;
}

static enum x402_error block_body(struct x402_sqlite *sqlite, void *data)
{
    struct proof *proof = data;
    enum x402_error error = last_block_read(sqlite, proof);

    proof->tallies_count = 0;
    if (error == X402_OK) {
        error = flows_read(sqlite, proof);
    }
    if (error == X402_OK) {
        error = rows_read(sqlite, proof);
    }
    if (error == X402_OK) {
        error = x402_sqlite_books_earnings(sqlite, proof->block, proof->message);
    }
    for (size_t i = 0; error == X402_OK && i < proof->tallies_count; i++) {
        error = states_compare(proof, &proof->tallies[i]);
        if (error == X402_OK) {
            error = admitted_compare(proof, &proof->tallies[i]);
        }
    }
    return error;
}

enum x402_error x402_sqlite_books(struct x402_ledger *ledger,
                                  char message[X402_LEDGER_MESSAGE_MAX])
{
    struct proof proof = {.message = message};
    enum x402_error error = X402_OK;

    message[0] = '\0';
    reach(proof.reachable);
    for (; error == X402_OK && proof.block <= proof.last_block; proof.block++) {
        error = x402_sqlite_read(x402_sqlite_of(ledger), block_body, &proof);
    }
    if (error == X402_OK) {
        error =
            x402_sqlite_books_keys(x402_sqlite_of(ledger), proof.last_block, message);
    }
    if (error == X402_OK) {
        error = x402_sqlite_books_payers(x402_sqlite_of(ledger), message);
    }
    if (error == X402_OK) {
        error = x402_sqlite_journal_check(x402_sqlite_of(ledger));
    }
    if (error != X402_OK && error != X402_ERR_CONFLICT) {
        memcpy(message, ledger->message, X402_LEDGER_MESSAGE_MAX);
    }
    return error;
}
