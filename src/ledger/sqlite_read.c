#include "ledger/sqlite.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------------- totals */

struct totals {
    struct x402_totals *out;
    size_t max;
    size_t count;
    int64_t token_ids[X402_TOTALS_MAX];
};

static void count_add(struct x402_count *count, uint64_t payments, uint64_t value)
{
    count->count += payments;
    count->value += value;
}

/* As in the sums that credit goes by. */
static bool is_unsettled(struct x402_state state)
{
    return x402_sqlite_unsettled(state, 1) != 0;
}

/*
 * One cell of flows: so many left this state with this event. A payment that was
 * removed counts on in the state it ended in.
 */
static void flow_add(struct x402_totals *totals, const struct x402_sqlite_flow *flow)
{
    const struct x402_state from = {(enum x402_delivery)flow->delivery,
                                    (enum x402_money)flow->money};
    const bool first = x402_sqlite_flow_is_first(flow);
    struct x402_state to = from;

    if (flow->event == X402_FLOW_REMOVED) {
        return;
    }
    if (first) {
        to = x402_state_first((enum x402_event)flow->event);
    } else if (!x402_state_next(&to, from, (enum x402_event)flow->event)) {
        return; /* x402_ledger_books says so */
    }
    if (!first) {
        count_add(&totals->deliveries[from.delivery], -flow->count,
                  -flow->value_before);
        count_add(&totals->monies[from.money], -flow->count, -flow->value_before);
        if (is_unsettled(from)) {
            count_add(&totals->unsettled, -flow->count, -flow->value_before);
        }
    }
    if (is_unsettled(to)) {
        count_add(&totals->unsettled, flow->count, flow->value_after);
    }
    count_add(&totals->deliveries[to.delivery], flow->count, flow->value_after);
    count_add(&totals->monies[to.money], flow->count, flow->value_after);
    count_add(&totals->admitted, first ? flow->count : 0,
              flow->value_after - flow->value_before);
}

static struct x402_totals *totals_of(struct totals *totals, int64_t token_id)
{
    for (size_t i = 0; i < totals->count; i++) {
        if (totals->token_ids[i] == token_id) {
            return &totals->out[i];
        }
    }
    return NULL; /* beyond what was asked for */
}

static enum x402_error flows_add(struct x402_sqlite *sqlite, struct totals *totals)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_FLOW_SUMS);

    for (;;) {
        struct x402_sqlite_flow flow = {0};
        struct x402_totals *out;
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        flow.delivery = sqlite3_column_int(statement, 1);
        flow.money = sqlite3_column_int(statement, 2);
        flow.event = sqlite3_column_int(statement, 3);
        flow.count = (uint64_t)sqlite3_column_int64(statement, 4);
        flow.value_before = (uint64_t)sqlite3_column_int64(statement, 5);
        flow.value_after = (uint64_t)sqlite3_column_int64(statement, 6);
        out = totals_of(totals, sqlite3_column_int64(statement, 0));
        if (out != NULL) {
            flow_add(out, &flow);
        }
    }
}

static enum x402_error due_since(struct x402_sqlite *sqlite, int64_t token_id,
                                 struct x402_totals *out)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_DUE_SINCE);
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, token_id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        out->oldest_due_seconds = sqlite3_column_int64(statement, 0);
        x402_sqlite_done(statement);
    }
    return error;
}

static enum x402_error tokens_read(struct x402_sqlite *sqlite, struct totals *totals)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_TOKENS);

    while (totals->count < totals->max && totals->count < X402_TOTALS_MAX) {
        struct x402_totals *out = &totals->out[totals->count];
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        memset(out, 0, sizeof(*out));
        totals->token_ids[totals->count++] = sqlite3_column_int64(statement, 0);
        out->chain_id = (uint64_t)sqlite3_column_int64(statement, 1);
        x402_sqlite_column_blob(statement, 2, out->asset20, 20);
        out->payers = (uint64_t)sqlite3_column_int64(statement, 3);
    }
    x402_sqlite_done(statement);
    return X402_OK;
}

static enum x402_error totals_body(struct x402_sqlite *sqlite, void *data)
{
    struct totals *totals = data;
    enum x402_error error = tokens_read(sqlite, totals);

    if (error == X402_OK) {
        error = flows_add(sqlite, totals);
    }
    for (size_t i = 0; error == X402_OK && i < totals->count; i++) {
        error = due_since(sqlite, totals->token_ids[i], &totals->out[i]);
    }
    return error;
}

enum x402_error x402_sqlite_totals(struct x402_ledger *ledger, struct x402_totals *out,
                                   size_t max, size_t *count)
{
    struct totals totals = {.out = out, .max = max};
    enum x402_error error =
        x402_sqlite_read(x402_sqlite_of(ledger), totals_body, &totals);

    if (error == X402_OK) {
        *count = totals.count;
    }
    return error;
}

/* ------------------------------------------------------------------------- payments */

#define PAGE_ROWS 64   /* rows handed out between two snapshots */
#define PAGE_IDS 16384 /* ids looked at in one snapshot */
#define LIMIT_DEFAULT 1000

struct page {
    const struct x402_payment_filter *filter;
    int64_t from_id; /* where to go on: upwards when follow, else downwards */
    int64_t last_id; /* of the table; 0: not known yet */
    bool end;
    size_t wanted;
    size_t count;
    struct x402_payment_row rows[PAGE_ROWS];
};

static void row_read(sqlite3_stmt *statement, struct x402_payment_row *row)
{
    memset(row, 0, sizeof(*row));
    x402_sqlite_column_settlement(statement, &row->settlement);
    row->dialect = row->settlement.dialect;
    memcpy(row->route, row->settlement.route, sizeof(row->route));
    row->updated_at_seconds = row->settlement.due_at_seconds;
    row->created_at_seconds = sqlite3_column_int64(statement, 16);
    row->attempts = (uint32_t)sqlite3_column_int64(statement, 17);
    if (sqlite3_column_type(statement, 18) != SQLITE_NULL) {
        row->has_transaction = true;
        x402_sqlite_column_blob(statement, 18, row->transaction32, 32);
        row->block_number = (uint64_t)sqlite3_column_int64(statement, 19);
        row->gas_used = (uint64_t)sqlite3_column_int64(statement, 20);
        row->fee_wei = (uint64_t)sqlite3_column_int64(statement, 21);
    } else if (sqlite3_column_type(statement, 23) != SQLITE_NULL) {
        row->has_transaction = true;
        x402_sqlite_column_blob(statement, 23, row->transaction32, 32);
    }
    x402_sqlite_column_text(statement, 22, row->reason, sizeof(row->reason));
}

static enum x402_error last_id_read(struct x402_sqlite *sqlite, int64_t *out)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_LAST);
    enum x402_error error;
    bool is_row;

    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        *out = sqlite3_column_int64(statement, 0);
        x402_sqlite_done(statement);
    }
    return error;
}

/* The ids this page looks at; false at the end. */
static bool page_bounds(const struct page *page, int64_t *low, int64_t *high)
{
    if (page->filter->follow) {
        *low = page->from_id;
        *high = *low + PAGE_IDS - 1;
        return *low <= page->last_id;
    }
    *high = page->from_id;
    *low = *high > PAGE_IDS ? *high - PAGE_IDS + 1 : 1;
    return *high > 0;
}

static void page_bind(sqlite3_stmt *statement, const struct page *page, int64_t low,
                      int64_t high)
{
    const struct x402_payment_filter *filter = page->filter;

    x402_sqlite_bind(statement, 1, low);
    x402_sqlite_bind(statement, 2, high);
    x402_sqlite_bind(statement, 3,
                     filter->by_delivery ? (int64_t)filter->delivery : -1);
    x402_sqlite_bind(statement, 4, filter->by_money ? (int64_t)filter->money : -1);
    if (filter->by_payer) {
        x402_sqlite_bind_blob(statement, 5, filter->payer20, 20);
    }
}

static enum x402_error page_rows(struct x402_sqlite *sqlite, struct page *page,
                                 sqlite3_stmt *statement, int64_t low, int64_t high)
{
    page_bind(statement, page, low, high);
    while (page->count < page->wanted) {
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK) {
            return error;
        }
        if (!is_row) {
            page->from_id = page->filter->follow ? high + 1 : low - 1;
            return X402_OK;
        }
        row_read(statement, &page->rows[page->count]);
        page->from_id = page->rows[page->count++].settlement.payment_id +
                        (page->filter->follow ? 1 : -1);
    }
    x402_sqlite_done(statement);
    return X402_OK;
}

static enum x402_error page_body(struct x402_sqlite *sqlite, void *data)
{
    struct page *page = data;
    int64_t low, high;
    enum x402_error error;

    page->count = 0;
    if (page->last_id == 0) {
        error = last_id_read(sqlite, &page->last_id);
        if (error != X402_OK) {
            return error;
        }
        page->from_id =
            page->filter->follow ? page->filter->after_id + 1 : page->last_id;
    }
    if (!page_bounds(page, &low, &high)) {
        page->end = true;
        return X402_OK;
    }
    return page_rows(sqlite, page,
                     x402_sqlite_statement(sqlite, page->filter->follow
                                                       ? X402_SQL_ROWS_UP
                                                       : X402_SQL_ROWS_DOWN),
                     low, high);
}

enum x402_error x402_sqlite_payments(
    struct x402_ledger *ledger, const struct x402_payment_filter *filter,
    bool (*each)(const struct x402_payment_row *row, void *data), void *data)
{
    size_t left = filter->limit != 0 ? filter->limit : LIMIT_DEFAULT;
    struct page *page = calloc(1, sizeof(*page));
    enum x402_error error = X402_OK;

    if (page == NULL) {
        return x402_sqlite_say(x402_sqlite_of(ledger), X402_ERR_LEDGER,
                               "cannot read ledger: out of memory");
    }
    page->filter = filter;
    while (left > 0 && !page->end && error == X402_OK) {
        page->wanted = left < PAGE_ROWS ? left : PAGE_ROWS;
        error = x402_sqlite_read(x402_sqlite_of(ledger), page_body, page);
        for (size_t i = 0; error == X402_OK && i < page->count && left > 0; i++) {
            left = each(&page->rows[i], data) ? left - 1 : 0;
        }
    }
    free(page);
    return error;
}

/* ----------------------------------------------------------------------- one payment
 */

struct one {
    int64_t payment_id;
    struct x402_payment_row row;
};

/* One that was sold a moment ago, and has no row yet. */
static enum x402_error one_journaled(struct x402_sqlite *sqlite, struct one *one)
{
    struct x402_payment_row *row = &one->row;
    struct x402_sqlite_birth birth;
    struct x402_admit admit;
    bool found;
    enum x402_error error =
        x402_sqlite_journal_find(sqlite, one->payment_id, &admit, &birth, &found);

    if (error != X402_OK || !found) {
        return error == X402_OK ? X402_ERR_NOT_FOUND : error;
    }
    memset(row, 0, sizeof(*row));
    row->settlement = (struct x402_settlement){
        .payment_id = one->payment_id,
        .state = birth.state,
        .value = admit.verified.value,
        .valid_after_seconds = admit.verified.valid_after_seconds,
        .valid_before_seconds = admit.verified.valid_before_seconds,
        .due_at_seconds = birth.updated_at_seconds,
        .admitted_at_seconds = birth.created_at_seconds,
        .dialect = admit.verified.dialect,
    };
    memcpy(row->settlement.from20, admit.verified.from20, 20);
    memcpy(row->settlement.to20, admit.verified.to20, 20);
    memcpy(row->settlement.nonce32, admit.verified.nonce32, 32);
    memcpy(row->settlement.signature65, admit.verified.signature65, 65);
    memcpy(row->settlement.route, admit.route, sizeof(admit.route));
    memcpy(row->route, admit.route, sizeof(admit.route));
    row->dialect = admit.verified.dialect;
    row->created_at_seconds = birth.created_at_seconds;
    row->updated_at_seconds = birth.updated_at_seconds;
    row->attempts = 1;
    return x402_sqlite_token_name(sqlite, birth.token_id, &row->settlement.chain_id,
                                  row->settlement.asset20);
}

static enum x402_error one_body(struct x402_sqlite *sqlite, void *data)
{
    struct one *one = data;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_ROW);
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, one->payment_id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        row_read(statement, &one->row);
        x402_sqlite_done(statement);
        return X402_OK;
    }
    return error == X402_OK ? one_journaled(sqlite, one) : error;
}

enum x402_error x402_sqlite_payment(struct x402_ledger *ledger,
                                    struct x402_payment_row *out, int64_t payment_id)
{
    struct one one = {.payment_id = payment_id};
    enum x402_error error = x402_sqlite_read(x402_sqlite_of(ledger), one_body, &one);

    if (error == X402_OK) {
        *out = one.row;
    }
    return error;
}
