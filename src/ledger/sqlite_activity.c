#include "ledger/sqlite.h"

#include "core/clock.h"

#include <string.h>

#define SILENT_SECONDS (INT64_C(7) * 86400) /* for so long a settler is remembered */

/* Where the sum of a day is kept, for refusals and measures. */
#define DAY_KEY(day) (-2 - (day))
#define HOUR_MAX (INT64_C(1) << 40)

static uint64_t column(sqlite3_stmt *statement, int number)
{
    return (uint64_t)sqlite3_column_int64(statement, number);
}

static struct x402_count column_count(sqlite3_stmt *statement, int number)
{
    return (struct x402_count){column(statement, number),
                               column(statement, number + 1)};
}

/* ---------------------------------------------------------------------------- sales */

/* Of a statement whose columns `first` and on are offered, refused, delivered, failed
 * and shadow. */
static void sums_read(sqlite3_stmt *statement, int first, struct x402_sales *out)
{
    out->offered = column(statement, first);
    out->refused = column(statement, first + 1);
    out->delivered = column_count(statement, first + 2);
    out->failed = column_count(statement, first + 4);
    out->shadow = column_count(statement, first + 6);
}

static void sale_bind(sqlite3_stmt *statement, int64_t hour,
                      const struct x402_sales *sales)
{
    x402_sqlite_bind(statement, 1, hour);
    x402_sqlite_bind(statement, 2, (int64_t)sales->chain_id);
    x402_sqlite_bind_blob(statement, 3, sales->asset20, sizeof(sales->asset20));
    x402_sqlite_bind_text(statement, 4, sales->route);
}

static enum x402_error sale_write(struct x402_sqlite *sqlite, int64_t hour,
                                  const struct x402_sales *sales)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SALE_WRITE);

    sale_bind(statement, hour, sales);
    x402_sqlite_bind(statement, 5, (int64_t)sales->offered);
    x402_sqlite_bind(statement, 6, (int64_t)sales->refused);
    x402_sqlite_bind(statement, 7, (int64_t)sales->delivered.count);
    x402_sqlite_bind(statement, 8, (int64_t)sales->delivered.value);
    x402_sqlite_bind(statement, 9, (int64_t)sales->failed.count);
    x402_sqlite_bind(statement, 10, (int64_t)sales->failed.value);
    x402_sqlite_bind(statement, 11, (int64_t)sales->shadow.count);
    x402_sqlite_bind(statement, 12, (int64_t)sales->shadow.value);
    return x402_sqlite_run(sqlite, statement);
}

enum x402_error x402_sqlite_sale_add(struct x402_sqlite *sqlite, int64_t hour,
                                     const struct x402_sales *sales)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SALE_READ);
    struct x402_sales sum = *sales;
    enum x402_error error;
    bool is_row;

    sale_bind(statement, hour, sales);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        struct x402_sales stored;
        sums_read(statement, 0, &stored);
        x402_sales_add(&sum, &stored);
        x402_sqlite_done(statement);
    }
    return error == X402_OK ? sale_write(sqlite, hour, &sum) : error;
}

/* ------------------------------------------------------------- refusals and measures
 */

static void name_bind(sqlite3_stmt *statement, const char *name, int64_t hour)
{
    x402_sqlite_bind_text(statement, 1, name);
    x402_sqlite_bind(statement, 2, hour);
}

static enum x402_error refusal_add(struct x402_sqlite *sqlite, int64_t hour,
                                   enum x402_error reason, uint64_t count)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_REFUSALS);
    const char *name = x402_error_symbol(reason);
    enum x402_error error;
    bool is_row;

    name_bind(statement, name, hour);
    x402_sqlite_bind(statement, 3, hour);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        count += column(statement, 0);
        x402_sqlite_done(statement);
    }
    if (error != X402_OK) {
        return error;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_REFUSAL_WRITE);
    name_bind(statement, name, hour);
    x402_sqlite_bind(statement, 3, (int64_t)count);
    return x402_sqlite_run(sqlite, statement);
}

/* What cannot be read adds nothing: it is for people to look at, and not worth a
 * failure. */
static void histogram_add(sqlite3_stmt *statement, struct x402_histogram *into)
{
    const uint8_t *data = sqlite3_column_blob(statement, 0);
    const int size = sqlite3_column_bytes(statement, 0);
    struct x402_histogram stored;

    if (data != NULL && x402_histogram_decode(&stored, data, (size_t)size)) {
        x402_histogram_merge(into, &stored);
    }
}

static enum x402_error measure_add(struct x402_sqlite *sqlite, int64_t hour,
                                   enum x402_measure measure,
                                   const struct x402_histogram *histogram)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_MEASURES);
    const char *name = x402_measure_name(measure);
    struct x402_histogram sum = *histogram;
    uint8_t encoded[X402_HISTOGRAM_ENCODED_MAX];
    enum x402_error error;
    bool is_row;

    name_bind(statement, name, hour);
    x402_sqlite_bind(statement, 3, hour);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        histogram_add(statement, &sum);
        x402_sqlite_done(statement);
    }
    if (error != X402_OK) {
        return error;
    }
    statement = x402_sqlite_statement(sqlite, X402_SQL_MEASURE_WRITE);
    name_bind(statement, name, hour);
    x402_sqlite_bind_blob(statement, 3, encoded, x402_histogram_encode(encoded, &sum));
    return x402_sqlite_run(sqlite, statement);
}

/* ---------------------------------------------------------------------------- noting
 */

static enum x402_error sales_note(struct x402_sqlite *sqlite, int64_t hour,
                                  const struct x402_activity *activity)
{
    enum x402_error error = X402_OK;

    for (size_t i = 0; error == X402_OK && i < activity->sales_count; i++) {
        error = x402_sqlite_sale_add(sqlite, hour, &activity->sales[i]);
    }
    return error;
}

static enum x402_error refusals_note(struct x402_sqlite *sqlite, int64_t hour,
                                     const struct x402_activity *activity)
{
    enum x402_error error = X402_OK;

    for (unsigned i = 0; error == X402_OK && i < X402_ERROR_COUNT; i++) {
        if (activity->refusals[i] != 0) {
            error =
                refusal_add(sqlite, hour, (enum x402_error)i, activity->refusals[i]);
        }
    }
    return error;
}

static enum x402_error measures_note(struct x402_sqlite *sqlite, int64_t hour,
                                     const struct x402_activity *activity)
{
    enum x402_error error = X402_OK;

    for (unsigned i = 0; error == X402_OK && i < X402_MEASURE_COUNT; i++) {
        if (x402_histogram_count(&activity->measures[i]) != 0) {
            error =
                measure_add(sqlite, hour, (enum x402_measure)i, &activity->measures[i]);
        }
    }
    return error;
}

static enum x402_error note_body(struct x402_sqlite *sqlite, void *data)
{
    const struct x402_activity *const *activity = data;
    const int64_t hour = sqlite->now_seconds / X402_HOUR_SECONDS;
    const int64_t keys[] = {hour, X402_ACTIVITY_EVER, DAY_KEY(hour / 24)};
    enum x402_error error = sales_note(sqlite, hour, *activity);

    if (error == X402_OK) {
        error = sales_note(sqlite, X402_ACTIVITY_EVER, *activity);
    }
    for (int i = 0; error == X402_OK && i < 3; i++) {
        error = refusals_note(sqlite, keys[i], *activity);
        if (error == X402_OK) {
            error = measures_note(sqlite, keys[i], *activity);
        }
    }
    return error;
}

enum x402_error x402_sqlite_note(struct x402_ledger *ledger,
                                 const struct x402_activity *activity)
{
    return x402_sqlite_write(x402_sqlite_of(ledger), note_body, &activity);
}

/* --------------------------------------------------------------------------- reading
 */

struct span {
    int64_t first_hour, last_hour;
    bool (*each)(int64_t hour, const struct x402_sales *sales, void *data);
    void *data;
    uint64_t *refusals;
    struct x402_histogram *measures;
};

/* The sum of all is none of the hours. */
static struct span span_of(int64_t first_hour, int64_t last_hour)
{
    const bool ever = first_hour == X402_ACTIVITY_EVER && last_hour == first_hour;

    return (struct span){.first_hour = first_hour < 0 && !ever ? 0 : first_hour,
                         .last_hour = last_hour};
}

static enum x402_error sales_body(struct x402_sqlite *sqlite, void *data)
{
    const struct span *span = data;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SALES);

    x402_sqlite_bind(statement, 1, span->first_hour);
    x402_sqlite_bind(statement, 2, span->last_hour);
    for (;;) {
        struct x402_sales sales = {.offered = 0};
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        sales.chain_id = column(statement, 1);
        x402_sqlite_column_blob(statement, 2, sales.asset20, sizeof(sales.asset20));
        x402_sqlite_column_text(statement, 3, sales.route, sizeof(sales.route));
        sums_read(statement, 4, &sales);
        if (!span->each(sqlite3_column_int64(statement, 0), &sales, span->data)) {
            x402_sqlite_done(statement);
            return X402_OK;
        }
    }
}

enum x402_error x402_sqlite_sales(
    struct x402_ledger *ledger, int64_t first_hour, int64_t last_hour,
    bool (*each)(int64_t hour, const struct x402_sales *sales, void *data), void *data)
{
    struct span span = span_of(first_hour, last_hour);

    span.each = each;
    span.data = data;
    return x402_sqlite_read(x402_sqlite_of(ledger), sales_body, &span);
}

/* Rows that come to the same as the hours of a span. */
struct range {
    int64_t first, last;
};
#define RANGES_MAX 3

/* Whole days by their sums, and what is before and after them by the hour. */
static size_t ranges_of(struct range ranges[RANGES_MAX], const struct span *span)
{
    const int64_t last = span->last_hour < HOUR_MAX ? span->last_hour : HOUR_MAX;
    const int64_t first_day = (span->first_hour + 23) / 24;
    const int64_t end_day = (last + 1) / 24;

    if (span->first_hour < 0 || first_day >= end_day) {
        ranges[0] = (struct range){span->first_hour, last};
        return 1;
    }
    ranges[0] = (struct range){span->first_hour, first_day * 24 - 1};
    ranges[1] = (struct range){DAY_KEY(end_day - 1), DAY_KEY(first_day)};
    ranges[2] = (struct range){end_day * 24, last};
    return RANGES_MAX;
}

typedef void row_add(sqlite3_stmt *statement, void *into);

static void count_row_add(sqlite3_stmt *statement, void *into)
{
    *(uint64_t *)into += column(statement, 0);
}

static void histogram_row_add(sqlite3_stmt *statement, void *into)
{
    histogram_add(statement, into);
}

/* All that is kept of a span under a name. */
static enum x402_error named_add(struct x402_sqlite *sqlite, const struct span *span,
                                 enum x402_sqlite_statement which, const char *name,
                                 row_add *add, void *into)
{
    struct range ranges[RANGES_MAX];
    const size_t count = ranges_of(ranges, span);

    for (size_t i = 0; i < count; i++) {
        sqlite3_stmt *statement = x402_sqlite_statement(sqlite, which);
        enum x402_error error;
        bool is_row;
        name_bind(statement, name, ranges[i].first);
        x402_sqlite_bind(statement, 3, ranges[i].last);
        while ((error = x402_sqlite_row(sqlite, statement, &is_row)) == X402_OK &&
               is_row) {
            add(statement, into);
        }
        if (error != X402_OK) {
            return error;
        }
    }
    return X402_OK;
}

static enum x402_error activity_body(struct x402_sqlite *sqlite, void *data)
{
    const struct span *span = data;
    enum x402_error error = X402_OK;

    for (unsigned i = 0; error == X402_OK && i < X402_ERROR_COUNT; i++) {
        error = named_add(sqlite, span, X402_SQL_REFUSALS,
                          x402_error_symbol((enum x402_error)i), count_row_add,
                          &span->refusals[i]);
    }
    for (unsigned i = 0; error == X402_OK && i < X402_MEASURE_COUNT; i++) {
        error = named_add(sqlite, span, X402_SQL_MEASURES,
                          x402_measure_name((enum x402_measure)i), histogram_row_add,
                          &span->measures[i]);
    }
    return error;
}

enum x402_error x402_sqlite_activity(struct x402_ledger *ledger, int64_t first_hour,
                                     int64_t last_hour,
                                     uint64_t refusals[X402_ERROR_COUNT],
                                     struct x402_histogram measures[X402_MEASURE_COUNT])
{
    uint64_t refused[X402_ERROR_COUNT] = {0};
    struct x402_histogram measured[X402_MEASURE_COUNT] = {{.sum = 0}};
    struct span span = span_of(first_hour, last_hour);
    enum x402_error error;

    span.refusals = refused;
    span.measures = measured;
    error = x402_sqlite_read(x402_sqlite_of(ledger), activity_body, &span);
    if (error == X402_OK) {
        memcpy(refusals, refused, sizeof(refused));
        memcpy(measures, measured, sizeof(measured));
    }
    return error;
}

/* -------------------------------------------------------------------------- settlers
 */

static enum x402_error settler_body(struct x402_sqlite *sqlite, void *data)
{
    const struct x402_settler_state *const *given = data;
    const struct x402_settler_state *state = *given;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SETTLER_WRITE);

    x402_sqlite_bind(statement, 1, (int64_t)state->chain_id);
    x402_sqlite_bind_blob(statement, 2, state->signer20, sizeof(state->signer20));
    x402_sqlite_bind_text(statement, 3, state->owner);
    x402_sqlite_bind(statement, 4, state->remote);
    x402_sqlite_bind(statement, 5, sqlite->now_seconds);
    x402_sqlite_bind(statement, 6, (int64_t)state->gas_balance_wei);
    x402_sqlite_bind(statement, 7, (int64_t)state->base_fee_wei);
    x402_sqlite_bind(statement, 8, (int64_t)state->latest_block);
    x402_sqlite_bind(statement, 9, (int64_t)state->safe_block);
    x402_sqlite_bind(statement, 10, (int64_t)state->in_flight);
    x402_sqlite_bind_text(statement, 11, state->trouble);
    return x402_sqlite_run(sqlite, statement);
}

enum x402_error x402_sqlite_settler_note(struct x402_ledger *ledger,
                                         const struct x402_settler_state *state)
{
    return x402_sqlite_write(x402_sqlite_of(ledger), settler_body, &state);
}

static void settler_read(sqlite3_stmt *statement, struct x402_settler_state *out)
{
    memset(out, 0, sizeof(*out));
    out->chain_id = column(statement, 0);
    x402_sqlite_column_blob(statement, 1, out->signer20, sizeof(out->signer20));
    x402_sqlite_column_text(statement, 2, out->owner, sizeof(out->owner));
    out->remote = sqlite3_column_int(statement, 3) != 0;
    out->heard_at_seconds = sqlite3_column_int64(statement, 4);
    out->gas_balance_wei = column(statement, 5);
    out->base_fee_wei = column(statement, 6);
    out->latest_block = column(statement, 7);
    out->safe_block = column(statement, 8);
    out->in_flight = column(statement, 9);
    x402_sqlite_column_text(statement, 10, out->trouble, sizeof(out->trouble));
}

struct settlers {
    struct x402_settler_state *out;
    size_t max;
    size_t count;
};

static enum x402_error settlers_body(struct x402_sqlite *sqlite, void *data)
{
    struct settlers *settlers = data;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_SETTLERS);

    x402_sqlite_bind(statement, 1, sqlite->now_seconds - SILENT_SECONDS);
    for (settlers->count = 0; settlers->count < settlers->max; settlers->count++) {
        bool is_row;
        enum x402_error error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            return error;
        }
        settler_read(statement, &settlers->out[settlers->count]);
    }
    x402_sqlite_done(statement);
    return X402_OK;
}

enum x402_error x402_sqlite_settlers(struct x402_ledger *ledger,
                                     struct x402_settler_state *out, size_t max,
                                     size_t *count)
{
    struct settlers settlers = {.out = out, .max = max};
    enum x402_error error =
        x402_sqlite_read(x402_sqlite_of(ledger), settlers_body, &settlers);

    if (error == X402_OK) {
        *count = settlers.count;
    }
    return error;
}

/* ---------------------------------------------------------------------- housekeeping
 */

static enum x402_error forget(struct x402_sqlite *sqlite,
                              enum x402_sqlite_statement which, int64_t number)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, which);

    x402_sqlite_bind(statement, 1, number);
    return x402_sqlite_run(sqlite, statement);
}

static enum x402_error forget_body(struct x402_sqlite *sqlite, void *data)
{
    static const enum x402_sqlite_statement hours[] = {
        X402_SQL_SALES_FORGET, X402_SQL_REFUSALS_FORGET, X402_SQL_MEASURES_FORGET};
    static const enum x402_sqlite_statement days[] = {X402_SQL_REFUSAL_DAYS_FORGET,
                                                      X402_SQL_MEASURE_DAYS_FORGET};
    const int64_t last = *(const int64_t *)data - X402_ACTIVITY_DAYS * 24;
    enum x402_error error = X402_OK;

    for (size_t i = 0; error == X402_OK && i < 3; i++) {
        error = forget(sqlite, hours[i], last);
    }
    for (size_t i = 0; error == X402_OK && i < 2; i++) {
        error = forget(sqlite, days[i], DAY_KEY((last + 1) / 24 - 1));
    }
    return error == X402_OK ? forget(sqlite, X402_SQL_SETTLERS_FORGET,
                                     sqlite->now_seconds - SILENT_SECONDS)
                            : error;
}

enum x402_error x402_sqlite_activity_forget(struct x402_sqlite *sqlite)
{
    int64_t hour = x402_clock_seconds() / X402_HOUR_SECONDS;
    enum x402_error error = X402_OK;

    if (hour != sqlite->forgot_hour) {
        error = x402_sqlite_write(sqlite, forget_body, &hour);
    }
    if (error == X402_OK) {
        sqlite->forgot_hour = hour;
    }
    return error;
}
