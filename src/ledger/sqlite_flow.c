#include "ledger/sqlite.h"

#include <assert.h>

enum x402_error x402_sqlite_move(struct x402_sqlite *sqlite,
                                 struct x402_sqlite_subject *subject,
                                 enum x402_event event)
{
    sqlite3_stmt *statement;
    struct x402_state next;
    enum x402_error error;

    if (!x402_state_next(&next, subject->state, event)) {
        return X402_ERR_CONFLICT;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_MOVE);
    x402_sqlite_bind(statement, 1, subject->id);
    x402_sqlite_bind(statement, 2, next.delivery);
    x402_sqlite_bind(statement, 3, next.money);
    x402_sqlite_bind(statement, 4, sqlite->now_seconds);
    x402_sqlite_bind(statement, 5, subject->state.delivery);
    x402_sqlite_bind(statement, 6, subject->state.money);
    error = x402_sqlite_run(sqlite, statement);
    if (error == X402_OK && sqlite3_changes(sqlite->db) != 1) {
        error = X402_ERR_CONFLICT;
    }
    if (error == X402_OK) {
        error = x402_sqlite_count(sqlite, subject, (int)event, subject->value);
    }
    if (error == X402_OK) {
        subject->state = next;
    }
    return error;
}

static bool same_cell(const struct x402_sqlite_flow *a,
                      const struct x402_sqlite_flow *b)
{
    return a->block == b->block && a->token_id == b->token_id &&
           a->delivery == b->delivery && a->money == b->money && a->event == b->event;
}

enum x402_error x402_sqlite_count(struct x402_sqlite *sqlite,
                                  const struct x402_sqlite_subject *before, int event,
                                  uint64_t value_after)
{
    struct x402_sqlite_flow cell = {
        .block = before->id / X402_SQLITE_BLOCK,
        .token_id = before->token_id,
        .delivery = (int)before->state.delivery,
        .money = (int)before->state.money,
        .event = event,
    };
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
    sqlite->flows[i].value_before += before->value;
    sqlite->flows[i].value_after += value_after;
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
