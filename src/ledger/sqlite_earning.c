#include "ledger/sqlite.h"

#include "core/saturated.h"

#include <assert.h>
#include <string.h>

#define DAY_SECONDS 86400
#define PAGE_EARNINGS 64 /* handed out between two snapshots */

struct x402_count x402_sqlite_settled_count(struct x402_state state, uint64_t value)
{
    const bool settled =
        state.money == X402_MONEY_SETTLED || state.money == X402_MONEY_FINAL;

    return settled ? (struct x402_count){1, value} : (struct x402_count){0, 0};
}

struct x402_count x402_sqlite_failed_count(struct x402_state state, uint64_t value)
{
    const bool failed =
        state.money == X402_MONEY_FAILED && state.delivery == X402_DELIVERY_DELIVERED;

    return failed ? (struct x402_count){1, value} : (struct x402_count){0, 0};
}

/* ------------------------------------------------------------------------- counting */

static bool same_row(const struct x402_sqlite_earning *a,
                     const struct x402_sqlite_earning *b)
{
    return a->day == b->day && a->token_id == b->token_id && a->block == b->block &&
           strcmp(a->route, b->route) == 0;
}

/* The day and the route of a payment. */
static enum x402_error key_read(struct x402_sqlite *sqlite,
                                const struct x402_sqlite_subject *subject,
                                struct x402_sqlite_earning *out)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_PAYMENT_ROUTE);
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, subject->id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        out->day = sqlite3_column_int64(statement, 0) / DAY_SECONDS;
        x402_sqlite_column_text(statement, 1, out->route, sizeof(out->route));
        x402_sqlite_done(statement);
    }
    return error;
}

/* Good until the next call. */
static enum x402_error earning_take(struct x402_sqlite *sqlite,
                                    const struct x402_sqlite_subject *subject,
                                    struct x402_sqlite_earning **out)
{
    struct x402_sqlite_earning key = {.token_id = subject->token_id,
                                      .block = subject->id / X402_SQLITE_BLOCK};
    enum x402_error error = key_read(sqlite, subject, &key);
    size_t i = 0;

    if (error != X402_OK) {
        return error;
    }
    while (i < sqlite->earnings_count && !same_row(&sqlite->earnings[i], &key)) {
        i++;
    }
    if (i == X402_SQLITE_EARNINGS_MAX) {
        error = x402_sqlite_earnings_write(sqlite);
        i = 0;
    }
    if (i == sqlite->earnings_count) {
        sqlite->earnings[sqlite->earnings_count++] = key;
    }
    *out = &sqlite->earnings[i];
    return error;
}

static void count_change(struct x402_count *count, struct x402_count before,
                         struct x402_count after)
{
    count->count += after.count - before.count;
    count->value += after.value - before.value;
}

enum x402_error x402_sqlite_earning_count(struct x402_sqlite *sqlite,
                                          const struct x402_sqlite_subject *before,
                                          const struct x402_sqlite_subject *after)
{
    struct x402_count settled[2] = {{0, 0}}, failed[2] = {{0, 0}};
    struct x402_sqlite_earning *earning;
    enum x402_error error;

    if (before != NULL) {
        settled[0] = x402_sqlite_settled_count(before->state, before->value);
        failed[0] = x402_sqlite_failed_count(before->state, before->value);
    }
    if (after != NULL) {
        settled[1] = x402_sqlite_settled_count(after->state, after->value);
        failed[1] = x402_sqlite_failed_count(after->state, after->value);
    }
    if (settled[0].count == settled[1].count && failed[0].count == failed[1].count) {
        return X402_OK; /* what is settled, or failed, keeps its value */
    }
    error = earning_take(sqlite, after != NULL ? after : before, &earning);
    if (error == X402_OK) {
        count_change(&earning->settled, settled[0], settled[1]);
        count_change(&earning->failed, failed[0], failed[1]);
    }
    return error;
}

enum x402_error x402_sqlite_earning_cost(struct x402_sqlite *sqlite,
                                         const struct x402_sqlite_subject *subject,
                                         uint64_t gas_used, uint64_t fee_wei,
                                         bool spent)
{
    struct x402_sqlite_earning *earning;
    enum x402_error error;

    if (gas_used == 0 && fee_wei == 0) {
        return X402_OK;
    }
    error = earning_take(sqlite, subject, &earning);
    if (error != X402_OK) {
        return error;
    }
    if (spent) {
        earning->gas_used = x402_saturated(earning->gas_used, gas_used);
        earning->fee_wei = x402_saturated(earning->fee_wei, fee_wei);
    } else {
        earning->gas_back = x402_saturated(earning->gas_back, gas_used);
        earning->fee_back = x402_saturated(earning->fee_back, fee_wei);
    }
    return X402_OK;
}

/* What has reached the most there is stays there: nobody knows what it stands for. */
static uint64_t cost_of(uint64_t stored, uint64_t spent, uint64_t back)
{
    const uint64_t sum = x402_saturated(stored, spent);

    if (sum == UINT64_MAX) {
        return sum;
    }
    return sum > back ? sum - back : 0;
}

static void key_bind(sqlite3_stmt *statement, const struct x402_sqlite_earning *earning)
{
    x402_sqlite_bind(statement, 1, earning->day);
    x402_sqlite_bind(statement, 2, earning->token_id);
    x402_sqlite_bind_text(statement, 3, earning->route);
    x402_sqlite_bind(statement, 4, earning->block);
}

static uint64_t column(sqlite3_stmt *statement, int number)
{
    return (uint64_t)sqlite3_column_int64(statement, number);
}

/* Makes of what is to be added the row that is to be written. */
static enum x402_error row_add(struct x402_sqlite *sqlite,
                               struct x402_sqlite_earning *earning)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_EARNING_READ);
    uint64_t gas_used = 0, fee_wei = 0;
    enum x402_error error;
    bool is_row;

    key_bind(statement, earning);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        earning->settled.count += column(statement, 0);
        earning->settled.value += column(statement, 1);
        earning->failed.count += column(statement, 2);
        earning->failed.value += column(statement, 3);
        gas_used = column(statement, 4);
        fee_wei = column(statement, 5);
        x402_sqlite_done(statement);
    }
    earning->gas_used = cost_of(gas_used, earning->gas_used, earning->gas_back);
    earning->fee_wei = cost_of(fee_wei, earning->fee_wei, earning->fee_back);
    return error;
}

static enum x402_error row_write(struct x402_sqlite *sqlite,
                                 const struct x402_sqlite_earning *earning)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_EARNING_WRITE);

    key_bind(statement, earning);
    x402_sqlite_bind(statement, 5, (int64_t)earning->settled.count);
    x402_sqlite_bind(statement, 6, (int64_t)earning->settled.value);
    x402_sqlite_bind(statement, 7, (int64_t)earning->failed.count);
    x402_sqlite_bind(statement, 8, (int64_t)earning->failed.value);
    x402_sqlite_bind(statement, 9, (int64_t)earning->gas_used);
    x402_sqlite_bind(statement, 10, (int64_t)earning->fee_wei);
    return x402_sqlite_run(sqlite, statement);
}

enum x402_error x402_sqlite_earnings_write(struct x402_sqlite *sqlite)
{
    enum x402_error error = X402_OK;

    for (size_t i = 0; error == X402_OK && i < sqlite->earnings_count; i++) {
        error = row_add(sqlite, &sqlite->earnings[i]);
        if (error == X402_OK) {
            error = row_write(sqlite, &sqlite->earnings[i]);
        }
    }
    sqlite->earnings_count = 0;
    return error;
}

/* ------------------------------------------------------------------------- reading */

/* Days downwards; in a day, by token, then route. */
struct page {
    int64_t first_day;
    int64_t day;      /* that is being read */
    int64_t token_id; /* after these, in this day */
    char route[X402_ROUTE_MAX];
    bool end;
    size_t count;
    struct x402_earning earnings[PAGE_EARNINGS];
};

/* The last day at or before page->day that has anything. */
static enum x402_error day_find(struct x402_sqlite *sqlite, struct page *page)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_EARNING_DAY);
    enum x402_error error;
    int64_t day = page->day;
    bool is_row;

    x402_sqlite_bind(statement, 1, page->day);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    page->end = !is_row || (day = sqlite3_column_int64(statement, 0)) < page->first_day;
    if (is_row) {
        x402_sqlite_done(statement);
    }
    if (day != page->day) {
        page->token_id = 0;
        page->route[0] = '\0';
    }
    page->day = day;
    return error;
}

/* Adds a block of a route to what the others came to. */
static void cell_add(struct x402_earning *sum, sqlite3_stmt *statement)
{
    sum->settled.count += column(statement, 2);
    sum->settled.value += column(statement, 3);
    sum->failed.count += column(statement, 4);
    sum->failed.value += column(statement, 5);
    sum->gas_used = x402_saturated(sum->gas_used, column(statement, 6));
    sum->fee_wei = x402_saturated(sum->fee_wei, column(statement, 7));
}

/* Takes a row, and says in `taken` whether there was room. Most rows are of the route
 * of the row before: what has many blocks is looked up once. */
static enum x402_error cell_take(struct x402_sqlite *sqlite, struct page *page,
                                 sqlite3_stmt *statement, bool *taken)
{
    const int64_t token_id = sqlite3_column_int64(statement, 0);
    const char *route = (const char *)sqlite3_column_text(statement, 1);
    enum x402_error error = X402_OK;
    struct x402_earning *next;

    if (route == NULL || page->count == 0 || token_id != page->token_id ||
        strcmp(route, page->route) != 0) {
        *taken = page->count < PAGE_EARNINGS;
        if (!*taken) {
            return X402_OK;
        }
        next = &page->earnings[page->count++];
        *next = (struct x402_earning){.day = page->day};
        x402_sqlite_column_text(statement, 1, next->route, sizeof(next->route));
        error =
            x402_sqlite_token_name(sqlite, token_id, &next->chain_id, next->asset20);
        page->token_id = token_id;
        memcpy(page->route, next->route, sizeof(page->route));
    }
    *taken = true;
    cell_add(&page->earnings[page->count - 1], statement);
    return error;
}

static enum x402_error page_body(struct x402_sqlite *sqlite, void *data)
{
    struct page *page = data;
    enum x402_error error = day_find(sqlite, page);
    sqlite3_stmt *statement;
    char after[X402_ROUTE_MAX];

    page->count = 0;
    if (error != X402_OK || page->end) {
        return error;
    }
    memcpy(after, page->route, sizeof(after));
    statement = x402_sqlite_statement(sqlite, X402_SQL_EARNINGS);
    x402_sqlite_bind(statement, 1, page->day);
    x402_sqlite_bind(statement, 2, page->token_id);
    x402_sqlite_bind_text(statement, 3, after);
    for (;;) {
        bool is_row, taken = false;
        error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK) {
            return error;
        }
        if (!is_row) { /* the day is over */
            page->day--;
            page->token_id = 0;
            page->route[0] = '\0';
            return X402_OK;
        }
        error = cell_take(sqlite, page, statement, &taken);
        if (error != X402_OK || !taken) {
            x402_sqlite_done(statement);
            return error;
        }
    }
}

enum x402_error x402_sqlite_earnings(
    struct x402_ledger *ledger, int64_t first_day, int64_t last_day,
    bool (*each)(const struct x402_earning *earning, void *data), void *data)
{
    struct page page = {.first_day = first_day, .day = last_day};
    enum x402_error error = X402_OK;
    bool wanted = true;

    while (error == X402_OK && wanted && !page.end) {
        error = x402_sqlite_read(x402_sqlite_of(ledger), page_body, &page);
        for (size_t i = 0; error == X402_OK && wanted && i < page.count; i++) {
            wanted = each(&page.earnings[i], data);
        }
    }
    return error;
}
