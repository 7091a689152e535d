#include "ledger/sqlite.h"

static bool same_cell(const struct x402_sqlite_flow *a,
                      const struct x402_sqlite_flow *b)
{
    return a->block == b->block && a->token_id == b->token_id &&
           a->delivery == b->delivery && a->money == b->money && a->event == b->event;
}

/* The cell of a step; of nothing, when `before` is NULL. */
static struct x402_sqlite_flow cell_of(const struct x402_sqlite_subject *before,
                                       int event,
                                       const struct x402_sqlite_subject *after)
{
    const struct x402_sqlite_subject *subject = before != NULL ? before : after;

    return (struct x402_sqlite_flow){
        .block = subject->id / X402_SQLITE_BLOCK,
        .token_id = subject->token_id,
        .delivery = before != NULL ? (int)before->state.delivery : X402_FLOW_NONE,
        .money = before != NULL ? (int)before->state.money : X402_FLOW_NONE,
        .event = event,
    };
}

static enum x402_error flow_count(struct x402_sqlite *sqlite,
                                  const struct x402_sqlite_subject *before, int event,
                                  const struct x402_sqlite_subject *after)
{
    const struct x402_sqlite_flow cell = cell_of(before, event, after);
    size_t i = 0;

    while (i < sqlite->flows_count && !same_cell(&sqlite->flows[i], &cell)) {
        i++;
    }
    if (i == X402_SQLITE_FLOWS_MAX) {
        enum x402_error error = x402_sqlite_flows_write(sqlite);
        if (error != X402_OK) {
            return error;
        }
        i = 0;
    }
    if (i == sqlite->flows_count) {
        sqlite->flows[sqlite->flows_count++] = cell;
    }
    sqlite->flows[i].count++;
    sqlite->flows[i].value_before += before != NULL ? before->value : 0;
    sqlite->flows[i].value_after += after != NULL ? after->value : before->value;
    return X402_OK;
}

static void bind_key(sqlite3_stmt *statement, const struct x402_sqlite_flow *flow)
{
    x402_sqlite_bind(statement, 1, flow->block);
    x402_sqlite_bind(statement, 2, flow->token_id);
    x402_sqlite_bind(statement, 3, flow->delivery);
    x402_sqlite_bind(statement, 4, flow->money);
    x402_sqlite_bind(statement, 5, flow->event);
}

/* Added here and not in SQL: SQLite turns a sum that passes 63 bits into a float. */
static enum x402_error flow_write(struct x402_sqlite *sqlite,
                                  struct x402_sqlite_flow *flow)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_FLOW_READ);
    enum x402_error error;
    bool is_row;

    bind_key(statement, flow);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (error != X402_OK) {
        return error;
    }
    if (is_row) {
        flow->count += (uint64_t)sqlite3_column_int64(statement, 0);
        flow->value_before += (uint64_t)sqlite3_column_int64(statement, 1);
        flow->value_after += (uint64_t)sqlite3_column_int64(statement, 2);
        x402_sqlite_done(statement);
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_FLOW_WRITE);
    bind_key(statement, flow);
    x402_sqlite_bind(statement, 6, (int64_t)flow->count);
    x402_sqlite_bind(statement, 7, (int64_t)flow->value_before);
    x402_sqlite_bind(statement, 8, (int64_t)flow->value_after);
    return x402_sqlite_run(sqlite, statement);
}

enum x402_error x402_sqlite_flows_write(struct x402_sqlite *sqlite)
{
    for (size_t i = 0; i < sqlite->flows_count; i++) {
        enum x402_error error = flow_write(sqlite, &sqlite->flows[i]);
        if (error != X402_OK) {
            return error;
        }
    }
    sqlite->flows_count = 0;
    return X402_OK;
}

bool x402_sqlite_flow_is_first(const struct x402_sqlite_flow *flow)
{
    return flow->delivery == X402_FLOW_NONE && flow->money == X402_FLOW_NONE &&
           (flow->event == X402_EVENT_PRESENT ||
            flow->event == X402_EVENT_PRESENT_FIRST);
}

enum x402_error x402_sqlite_move(struct x402_sqlite *sqlite,
                                 struct x402_sqlite_subject *subject,
                                 enum x402_event event)
{
    const struct x402_sqlite_subject before = *subject;
    struct x402_sqlite_subject after = before;
    sqlite3_stmt *statement;
    enum x402_error error;

    if (!x402_state_next(&after.state, before.state, event)) {
        return X402_ERR_CONFLICT;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_MOVE);
    x402_sqlite_bind(statement, 1, before.id);
    x402_sqlite_bind(statement, 2, after.state.delivery);
    x402_sqlite_bind(statement, 3, after.state.money);
    x402_sqlite_bind(statement, 4, sqlite->now_seconds);
    x402_sqlite_bind(statement, 5, before.state.delivery);
    x402_sqlite_bind(statement, 6, before.state.money);
    error = x402_sqlite_run(sqlite, statement);
    if (error == X402_OK && sqlite3_changes(sqlite->db) != 1) {
        error = X402_ERR_CONFLICT;
    }
    if (error == X402_OK) {
        error = x402_sqlite_count(sqlite, &before, (int)event, &after);
    }
    if (error == X402_OK) {
        *subject = after;
    }
    return error;
}

enum x402_error x402_sqlite_count(struct x402_sqlite *sqlite,
                                  const struct x402_sqlite_subject *before, int event,
                                  const struct x402_sqlite_subject *after)
{
    enum x402_error error = flow_count(sqlite, before, event, after);

    if (error == X402_OK) {
        error = x402_sqlite_payer_count(sqlite, before, after);
    }
    if (error == X402_OK) {
        error = x402_sqlite_earning_count(sqlite, before, after);
    }
    return error;
}
