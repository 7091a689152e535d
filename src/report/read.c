#include "core/clock.h"
#include "report/names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_SECONDS 86400
/* The rest is for what has no place: a row of each token. */
#define NAMED_ROUTES_MAX (X402_REPORT_ROUTES_MAX - X402_TOTALS_MAX)
#define OTHERS "(others)"

/* ---------------------------------------------------------------------------- tokens
 */

/* The token's place, made when it is new; NULL when there are too many. */
static struct x402_report_token *token_of(struct x402_report *report,
                                          const struct x402_report_options *how,
                                          uint64_t chain_id, const uint8_t asset20[20])
{
    struct x402_report_token *token;

    for (size_t i = 0; i < report->tokens_count; i++) {
        token = &report->tokens[i];
        if (token->totals.chain_id == chain_id &&
            memcmp(token->totals.asset20, asset20, 20) == 0)
            return token;
    }
    if (report->tokens_count == X402_TOTALS_MAX)
        return NULL;
    token = &report->tokens[report->tokens_count++];
    token->totals.chain_id = token->week.chain_id = chain_id;
    memcpy(token->totals.asset20, asset20, 20);
    memcpy(token->week.asset20, asset20, 20);
    x402_report_network_of(&token->network, how, chain_id, asset20);
    return token;
}

static enum x402_error read_totals(struct x402_report *report,
                                   struct x402_ledger *ledger,
                                   const struct x402_report_options *how)
{
    struct x402_totals totals[X402_TOTALS_MAX];
    size_t count = 0;
    enum x402_error error = x402_ledger_totals(ledger, totals, X402_TOTALS_MAX, &count);

    for (size_t i = 0; error == X402_OK && i < count; i++) {
        struct x402_report_token *token =
            token_of(report, how, totals[i].chain_id, totals[i].asset20);
        if (token == NULL)
            continue;
        token->totals = totals[i];
        token->unsettled = totals[i].unsettled;
    }
    return error;
}

/* ----------------------------------------------------------------------------- sales
 */

struct reading {
    struct x402_report *report;
    const struct x402_report_options *how;
    size_t route; /* the one found last */
};

static bool same_route(const struct x402_sales *a, const struct x402_sales *b)
{
    return a->chain_id == b->chain_id && memcmp(a->asset20, b->asset20, 20) == 0 &&
           strcmp(a->route, b->route) == 0;
}

/* Hours come one after the other, each with the same routes: the next is a good guess.
 */
static size_t find_route(const struct reading *reading, const struct x402_sales *sales)
{
    const struct x402_report *report = reading->report;

    for (size_t i = 0; i < report->routes_count; i++) {
        size_t at = (reading->route + 1 + i) % report->routes_count;
        if (same_route(&report->routes[at], sales))
            return at;
    }
    return report->routes_count;
}

/* Beyond the bound all of a token share one row. */
static void add_route(struct reading *reading, const struct x402_sales *sales)
{
    struct x402_report *report = reading->report;
    struct x402_sales route = {.chain_id = sales->chain_id};
    size_t at = find_route(reading, sales);

    memcpy(route.asset20, sales->asset20, 20);
    snprintf(route.route, sizeof route.route, "%s", sales->route);
    if (at == report->routes_count && at >= NAMED_ROUTES_MAX) {
        snprintf(route.route, sizeof route.route, "%s", OTHERS);
        at = find_route(reading, &route);
    }
    if (at == report->routes_count)
        report->routes[report->routes_count++] = route;
    reading->route = at;
    x402_sales_add(&report->routes[at], sales);
}

static bool take_sales(int64_t hour, const struct x402_sales *sales, void *data)
{
    struct reading *reading = data;
    struct x402_report *report = reading->report;
    struct x402_report_token *token =
        token_of(report, reading->how, sales->chain_id, sales->asset20);
    int64_t index = hour - report->first_hour;

    if (token == NULL || index < 0 || index >= X402_REPORT_HOURS)
        return true;
    add_route(reading, sales);
    x402_sales_add(&token->week, sales);
    x402_count_add(&token->hours_delivered[index], &sales->delivered);
    x402_count_add(&token->hours_shadow[index], &sales->shadow);
    return true;
}

/* Revenue first, then what would be, then who asks; the row of all others last. */
static int compare_routes(const void *a_data, const void *b_data)
{
    const struct x402_sales *a = a_data, *b = b_data;
    const uint64_t of_a[] = {strcmp(a->route, OTHERS) != 0, a->delivered.value,
                             a->shadow.value, a->offered + a->refused};
    const uint64_t of_b[] = {strcmp(b->route, OTHERS) != 0, b->delivered.value,
                             b->shadow.value, b->offered + b->refused};

    for (size_t i = 0; i < sizeof of_a / sizeof of_a[0]; i++) {
        if (of_a[i] != of_b[i])
            return of_a[i] > of_b[i] ? -1 : 1;
    }
    return strcmp(a->route, b->route);
}

static enum x402_error read_sales(struct x402_report *report,
                                  struct x402_ledger *ledger,
                                  const struct x402_report_options *how)
{
    struct reading reading = {.report = report, .how = how};
    int64_t last_hour = report->first_hour + X402_REPORT_HOURS - 1;
    enum x402_error error =
        x402_ledger_sales(ledger, report->first_hour, last_hour, take_sales, &reading);

    qsort(report->routes, report->routes_count, sizeof report->routes[0],
          compare_routes);
    if (error != X402_OK)
        return error;
    return x402_ledger_activity(ledger, report->first_hour, last_hour, report->refusals,
                                report->measures);
}

/* -------------------------------------------------------------------------- earnings
 */

static bool take_earning(const struct x402_earning *earning, void *data)
{
    struct reading *reading = data;
    struct x402_report *report = reading->report;
    struct x402_report_token *token =
        token_of(report, reading->how, earning->chain_id, earning->asset20);
    int64_t index = report->now_seconds / DAY_SECONDS - earning->day;

    if (token == NULL || index < 0 || index >= X402_REPORT_DAYS)
        return true;
    struct x402_earning *day = &token->days[index];
    x402_count_add(&day->settled, &earning->settled);
    x402_count_add(&day->failed, &earning->failed);
    day->gas_used += earning->gas_used;
    day->fee_wei = day->fee_wei > UINT64_MAX - earning->fee_wei
                       ? UINT64_MAX
                       : day->fee_wei + earning->fee_wei;
    return true;
}

static void name_days(struct x402_report *report)
{
    int64_t today = report->now_seconds / DAY_SECONDS;

    for (size_t i = 0; i < report->tokens_count; i++) {
        struct x402_report_token *token = &report->tokens[i];
        for (int day = 0; day < X402_REPORT_DAYS; day++) {
            token->days[day].day = today - day;
            token->days[day].chain_id = token->totals.chain_id;
            memcpy(token->days[day].asset20, token->totals.asset20, 20);
        }
    }
}

static enum x402_error read_earnings(struct x402_report *report,
                                     struct x402_ledger *ledger,
                                     const struct x402_report_options *how)
{
    struct reading reading = {.report = report, .how = how};
    int64_t today = report->now_seconds / DAY_SECONDS;
    enum x402_error error = x402_ledger_earnings(ledger, today - X402_REPORT_DAYS + 1,
                                                 today, take_earning, &reading);

    name_days(report);
    return error;
}

/* ------------------------------------------------------------------------------- all
 */

static bool take_payment(const struct x402_payment_row *row, void *data)
{
    struct x402_report *report = data;

    report->payments[report->payments_count++] = *row;
    return report->payments_count < X402_REPORT_PAYMENTS;
}

static enum x402_error read_payments(struct x402_report *report,
                                     struct x402_ledger *ledger)
{
    struct x402_payment_filter newest = {.limit = X402_REPORT_PAYMENTS};

    return x402_ledger_payments(ledger, &newest, take_payment, report);
}

enum x402_error x402_report_read(struct x402_report *out, struct x402_ledger *ledger,
                                 const struct x402_report_options *how)
{
    enum x402_error error;

    memset(out, 0, sizeof *out);
    out->now_seconds = x402_clock_seconds();
    out->first_hour = out->now_seconds / X402_HOUR_SECONDS - X402_REPORT_HOURS + 1;
    error = read_totals(out, ledger, how);
    if (error == X402_OK)
        error = read_sales(out, ledger, how);
    if (error == X402_OK)
        error = read_earnings(out, ledger, how);
    if (error == X402_OK)
        error = x402_ledger_settlers(ledger, out->settlers, X402_REPORT_SETTLERS_MAX,
                                     &out->settlers_count);
    if (error == X402_OK)
        error = read_payments(out, ledger);
    return error;
}
