#include "ledger/receipt_id.h"
#include "report/buffer.h"
#include "report/names.h"

#include <x402/receipt.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------- values
 */

static void put_text(struct x402_text_buffer *out, const char *name, const char *text)
{
    x402_buffer_member(out, name);
    x402_buffer_put_json(out, text);
}

static void put_number(struct x402_text_buffer *out, const char *name, uint64_t number)
{
    x402_buffer_member(out, name);
    x402_buffer_put_unsigned(out, number);
}

/* A number that is no number when it is not known. */
static void put_known(struct x402_text_buffer *out, const char *name, uint64_t number,
                      bool known)
{
    x402_buffer_member(out, name);
    if (known)
        x402_buffer_put_unsigned(out, number);
    else
        x402_buffer_put_string(out, "null");
}

static void put_bool(struct x402_text_buffer *out, const char *name, bool value)
{
    x402_buffer_member(out, name);
    x402_buffer_put_string(out, value ? "true" : "false");
}

/* Units of a token, or wei: a string, as it may pass what a reader holds exactly. */
static void put_units(struct x402_text_buffer *out, uint64_t units)
{
    x402_buffer_put_string(out, "\"");
    x402_buffer_put_unsigned(out, units);
    x402_buffer_put_string(out, "\"");
}

static void put_value(struct x402_text_buffer *out, const char *name, uint64_t units)
{
    x402_buffer_member(out, name);
    put_units(out, units);
}

static void put_count(struct x402_text_buffer *out, const char *name,
                      const struct x402_count *count)
{
    x402_buffer_member(out, name);
    x402_buffer_put_string(out, "{");
    put_number(out, "count", count->count);
    put_value(out, "value", count->value);
    x402_buffer_put_string(out, "}");
}

static void put_chain(struct x402_text_buffer *out, uint64_t chain_id)
{
    char caip2[X402_CAIP2_TEXT_SIZE];

    x402_caip2_encode(caip2, chain_id);
    put_text(out, "network", caip2);
}

static void put_address(struct x402_text_buffer *out, const char *name,
                        const uint8_t address20[20])
{
    char text[X402_ADDRESS_TEXT_SIZE];

    x402_address_encode(text, address20);
    put_text(out, name, text);
}

static void open_object(struct x402_text_buffer *out)
{
    x402_buffer_comma(out);
    x402_buffer_put_string(out, "{");
}

static void open_list(struct x402_text_buffer *out, const char *name)
{
    x402_buffer_member(out, name);
    x402_buffer_put_string(out, "[");
}

/* -------------------------------------------------------------------------- the week
 */

static void put_quantiles(struct x402_text_buffer *out,
                          const struct x402_histogram *histogram)
{
    bool known = x402_histogram_count(histogram) > 0;

    put_known(out, "p50", x402_histogram_quantile(histogram, 500), known);
    put_known(out, "p90", x402_histogram_quantile(histogram, 900), known);
    put_known(out, "p99", x402_histogram_quantile(histogram, 990), known);
}

static void put_week(struct x402_text_buffer *out, const struct x402_report *report)
{
    uint64_t calls = 0, callers = 0;

    for (size_t i = 0; i < report->tokens_count; i++) {
        calls += report->tokens[i].week.delivered.count;
        callers += report->tokens[i].totals.payers;
    }
    x402_buffer_member(out, "week");
    x402_buffer_put_string(out, "{");
    put_number(out, "calls", calls);
    put_number(out, "callers", callers);
    put_quantiles(out, &report->measures[X402_MEASURE_CALL]);
    x402_buffer_put_string(out, "}");
}

static void put_measures(struct x402_text_buffer *out, const struct x402_report *report)
{
    static const enum x402_measure shown[] = {X402_MEASURE_CALL, X402_MEASURE_VERIFY,
                                              X402_MEASURE_ADMIT, X402_MEASURE_COMMIT,
                                              X402_MEASURE_SETTLE};

    x402_buffer_member(out, "measures");
    x402_buffer_put_string(out, "{");
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        const struct x402_histogram *histogram = &report->measures[shown[i]];
        x402_buffer_member(out, x402_measure_name(shown[i]));
        x402_buffer_put_string(out, "{");
        put_number(out, "count", x402_histogram_count(histogram));
        put_quantiles(out, histogram);
        x402_buffer_put_string(out, "}");
    }
    x402_buffer_put_string(out, "}");
}

/* ---------------------------------------------------------------------------- tokens
 */

static void put_hours(struct x402_text_buffer *out, const struct x402_report *report,
                      const struct x402_report_token *token)
{
    x402_buffer_member(out, "hours");
    x402_buffer_put_string(out, "{");
    x402_buffer_member(out, "first");
    x402_buffer_put_signed(out, report->first_hour);
    open_list(out, "calls");
    for (size_t i = 0; i < X402_REPORT_HOURS; i++) {
        x402_buffer_comma(out);
        x402_buffer_put_unsigned(out, token->hours_delivered[i].count);
    }
    x402_buffer_put_string(out, "]");
    open_list(out, "revenue");
    for (size_t i = 0; i < X402_REPORT_HOURS; i++) {
        x402_buffer_comma(out);
        put_units(out, token->hours_delivered[i].value);
    }
    x402_buffer_put_string(out, "]");
    open_list(out, "shadow");
    for (size_t i = 0; i < X402_REPORT_HOURS; i++) {
        x402_buffer_comma(out);
        put_units(out, token->hours_shadow[i].value);
    }
    x402_buffer_put_string(out, "]}");
}

static void put_days(struct x402_text_buffer *out,
                     const struct x402_report_token *token)
{
    open_list(out, "days");
    for (size_t i = 0; i < X402_REPORT_DAYS; i++) {
        const struct x402_earning *day = &token->days[i];
        open_object(out);
        x402_buffer_member(out, "day");
        x402_buffer_put_signed(out, day->day);
        put_count(out, "settled", &day->settled);
        put_count(out, "failed", &day->failed);
        put_value(out, "gas", day->gas_used);
        put_value(out, "feeWei", day->fee_wei);
        x402_buffer_put_string(out, "}");
    }
    x402_buffer_put_string(out, "]");
}

static void put_queue(struct x402_text_buffer *out, const struct x402_report *report,
                      const struct x402_totals *totals)
{
    const struct x402_count *due = &totals->monies[X402_MONEY_DUE];
    const struct x402_count *submitted = &totals->monies[X402_MONEY_SUBMITTED];

    x402_buffer_member(out, "queue");
    x402_buffer_put_string(out, "{");
    put_number(out, "count", due->count + submitted->count);
    put_value(out, "value", due->value + submitted->value);
    put_number(out, "oldestSeconds",
               x402_report_age(report->now_seconds, totals->oldest_due_seconds));
    x402_buffer_put_string(out, "}");
}

static void put_totals(struct x402_text_buffer *out, const struct x402_totals *totals)
{
    x402_buffer_member(out, "totals");
    x402_buffer_put_string(out, "{");
    put_count(out, "admitted", &totals->admitted);
    x402_buffer_member(out, "delivery");
    x402_buffer_put_string(out, "{");
    for (size_t i = 0; i < X402_DELIVERY_COUNT; i++)
        put_count(out, x402_delivery_name((enum x402_delivery)i),
                  &totals->deliveries[i]);
    x402_buffer_put_string(out, "}");
    x402_buffer_member(out, "money");
    x402_buffer_put_string(out, "{");
    for (size_t i = 0; i < X402_MONEY_COUNT; i++)
        put_count(out, x402_money_name((enum x402_money)i), &totals->monies[i]);
    x402_buffer_put_string(out, "}}");
}

static void put_token(struct x402_text_buffer *out, const struct x402_report *report,
                      const struct x402_report_token *token)
{
    const struct x402_network *network = &token->network;
    char label[X402_REPORT_LABEL_SIZE];

    x402_report_network_label(label, network);
    open_object(out);
    put_chain(out, token->totals.chain_id);
    put_text(out, "name", label);
    put_address(out, "asset", token->totals.asset20);
    put_text(out, "symbol", x402_report_symbol(network));
    put_number(out, "decimals", network->decimals);
    put_bool(out, "test", network->testnet);
    put_number(out, "calls", token->week.delivered.count);
    put_value(out, "revenue", token->week.delivered.value);
    put_count(out, "failed", &token->week.failed);
    put_count(out, "shadow", &token->week.shadow);
    put_number(out, "callers", token->totals.payers);
    put_hours(out, report, token);
    put_days(out, token);
    put_queue(out, report, &token->totals);
    put_count(out, "unsettled", &token->unsettled);
    put_totals(out, &token->totals);
    x402_buffer_put_string(out, "}");
}

/* ------------------------------------------------------------------ routes, refusals
 */

static void put_route(struct x402_text_buffer *out, const struct x402_sales *route)
{
    open_object(out);
    put_text(out, "route", route->route);
    put_chain(out, route->chain_id);
    put_address(out, "asset", route->asset20);
    put_number(out, "offered", route->offered);
    put_number(out, "refused", route->refused);
    put_number(out, "calls", route->delivered.count);
    put_value(out, "revenue", route->delivered.value);
    put_number(out, "failed", route->failed.count);
    put_count(out, "shadow", &route->shadow);
    x402_buffer_put_string(out, "}");
}

struct refusal {
    enum x402_error error;
    uint64_t count;
};

static int compare_refusals(const void *a_data, const void *b_data)
{
    const struct refusal *a = a_data, *b = b_data;

    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return a->error < b->error ? -1 : 1;
}

static void put_refusals(struct x402_text_buffer *out, const struct x402_report *report)
{
    struct refusal refusals[X402_ERROR_COUNT];
    size_t count = 0;

    for (int i = 0; i < X402_ERROR_COUNT; i++) {
        if (report->refusals[i] > 0)
            refusals[count++] =
                (struct refusal){(enum x402_error)i, report->refusals[i]};
    }
    qsort(refusals, count, sizeof refusals[0], compare_refusals);
    open_list(out, "refusals");
    for (size_t i = 0; i < count; i++) {
        open_object(out);
        put_text(out, "code", x402_error_reason(refusals[i].error));
        put_text(out, "title", x402_error_title(refusals[i].error));
        put_number(out, "count", refusals[i].count);
        x402_buffer_put_string(out, "}");
    }
    x402_buffer_put_string(out, "]");
}

/* -------------------------------------------------------------------------- settlers
 */

static void put_settler(struct x402_text_buffer *out, const struct x402_report *report,
                        const struct x402_report_options *how,
                        const struct x402_settler_state *settler)
{
    char label[X402_REPORT_LABEL_SIZE];

    x402_report_chain_label(label, how, settler->chain_id);
    open_object(out);
    put_chain(out, settler->chain_id);
    put_text(out, "name", label);
    put_bool(out, "remote", settler->remote);
    put_number(out, "heardSeconds",
               x402_report_age(report->now_seconds, settler->heard_at_seconds));
    put_number(out, "inFlight", settler->in_flight);
    put_known(out, "latestBlock", settler->latest_block, settler->latest_block > 0);
    put_known(out, "safeBlock", settler->safe_block, settler->safe_block > 0);
    put_bool(out, "troubled", settler->trouble[0] != '\0');
    if (how->private) {
        put_text(out, "trouble", settler->trouble);
        put_text(out, "owner", settler->owner);
        if (!settler->remote) {
            put_address(out, "address", settler->signer20);
            put_value(out, "gasWei", settler->gas_balance_wei);
            put_value(out, "baseFeeWei", settler->base_fee_wei);
        }
    }
    x402_buffer_put_string(out, "}");
}

/* -------------------------------------------------------------------------- payments
 */

/* What a failed payment failed for: in the open a sentence of ours, as the settler's
 * own may name accounts and transactions. */
static const char *reason_of(const struct x402_payment_row *row, bool private)
{
    if (private || row->reason[0] == '\0')
        return row->reason;
    return x402_error_title(x402_receipt_failure(row->reason));
}

static void put_receipt(struct x402_text_buffer *out,
                        const struct x402_report_options *how, int64_t payment_id)
{
    char id[X402_RECEIPT_ID_SIZE + 1] = "", path[512];

    if (how->receipt_key32 != NULL &&
        !x402_receipt_id_encode(id, how->receipt_key32, payment_id))
        id[0] = '\0';
    snprintf(path, sizeof path, "%s%s", how->receipts != NULL ? how->receipts : "", id);
    put_text(out, "receiptId", id);
    put_text(out, "receipt",
             id[0] != '\0' && how->receipts != NULL && how->receipts[0] != '\0' ? path
                                                                                : "");
}

static void put_transaction(struct x402_text_buffer *out,
                            const struct x402_report_options *how,
                            const struct x402_payment_row *row)
{
    char hash[67] = "0x", url[X402_EXPLORER_MAX + sizeof hash] = "";
    struct x402_network network;

    if (!row->has_transaction) {
        put_text(out, "transaction", "");
        put_text(out, "explorer", "");
        return;
    }
    x402_hex_encode(hash + 2, row->transaction32, 32);
    hash[66] = '\0';
    x402_report_network_of(&network, how, row->settlement.chain_id,
                           row->settlement.asset20);
    if (network.explorer[0] != '\0')
        snprintf(url, sizeof url, "%s%s", network.explorer, hash);
    put_text(out, "transaction", hash);
    put_text(out, "explorer", url);
}

static void put_payment(struct x402_text_buffer *out,
                        const struct x402_report_options *how,
                        const struct x402_payment_row *row)
{
    const struct x402_settlement *payment = &row->settlement;

    open_object(out);
    x402_buffer_member(out, "time");
    x402_buffer_put_signed(out, how->private ? row->created_at_seconds
                                             : row->created_at_seconds / 60 * 60);
    put_text(out, "route", row->route);
    put_chain(out, payment->chain_id);
    put_address(out, "asset", payment->asset20);
    put_value(out, "value", payment->value);
    put_text(out, "delivery", x402_delivery_name(payment->state.delivery));
    put_text(out, "money", x402_money_name(payment->state.money));
    put_text(out, "reason", reason_of(row, how->private));
    if (how->private) {
        x402_buffer_member(out, "id");
        x402_buffer_put_signed(out, payment->payment_id);
        put_address(out, "payer", payment->from20);
        put_receipt(out, how, payment->payment_id);
        put_transaction(out, how, row);
    }
    x402_buffer_put_string(out, "}");
}

/* ------------------------------------------------------------------------------- all
 */

static void put_sale(struct x402_text_buffer *out, const struct x402_report_sale *sale)
{
    open_object(out);
    put_text(out, "path", sale->path);
    put_text(out, "url", sale->url);
    put_text(out, "price", sale->price);
    put_text(out, "description", sale->description);
    open_list(out, "networks");
    for (const char *at = sale->networks; *at != '\0';) {
        char name[X402_REPORT_LABEL_SIZE];
        size_t size = strcspn(at, " ");
        if (size > 0 && size < sizeof name) {
            memcpy(name, at, size);
            name[size] = '\0';
            x402_buffer_comma(out);
            x402_buffer_put_json(out, name);
        }
        at += size;
        at += strspn(at, " ");
    }
    x402_buffer_put_string(out, "]");
    put_bool(out, "enforced", sale->enforced);
    put_bool(out, "exact", sale->exact);
    put_bool(out, "buyable", sale->buyable);
    x402_buffer_put_string(out, "}");
}

/* A path without the slash at its end; of the root, nothing. */
static struct x402_slice stem_of(const struct x402_report_sale *sale)
{
    size_t size = strlen(sale->path);

    return (struct x402_slice){
        sale->path, size > 0 && sale->path[size - 1] == '/' ? size - 1 : size};
}

/* "/a" and "/a/", or one path of two servers, on the same terms. */
static bool same_sale(const struct x402_report_sale *a,
                      const struct x402_report_sale *b)
{
    struct x402_slice stem = stem_of(a), other = stem_of(b);

    return stem.size == other.size && memcmp(stem.data, other.data, stem.size) == 0 &&
           a->enforced == b->enforced && a->buyable == b->buyable &&
           strcmp(a->price, b->price) == 0 && strcmp(a->url, b->url) == 0 &&
           strcmp(a->networks, b->networks) == 0 &&
           strcmp(a->description, b->description) == 0;
}

/* Adds what is not there yet; in the open no pattern and no name of the inside. */
static size_t add_sale(struct x402_report_sale *shown, size_t count,
                       const struct x402_report_sale *sale, bool private)
{
    if (!private && !sale->buyable)
        return count;
    for (size_t i = 0; i < count; i++) {
        if (!same_sale(&shown[i], sale))
            continue;
        shown[i].exact = shown[i].exact && sale->exact;
        if (strlen(sale->path) < strlen(shown[i].path))
            shown[i].path = sale->path;
        return count;
    }
    shown[count] = *sale;
    return count + 1;
}

static void put_sold(struct x402_text_buffer *out,
                     const struct x402_report_options *how)
{
    struct x402_report_sale *shown = calloc(how->sales_count + 1, sizeof *shown);
    size_t count = 0;

    if (shown == NULL) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < how->sales_count; i++)
        count = add_sale(shown, count, &how->sales[i], how->private);
    open_list(out, "sold");
    for (size_t i = 0; i < count; i++)
        put_sale(out, &shown[i]);
    x402_buffer_put_string(out, "]");
    free(shown);
}

void x402_report_json_members(struct x402_text_buffer *out,
                              const struct x402_report *report,
                              const struct x402_report_options *how)
{
    put_week(out, report);
    open_list(out, "tokens");
    for (size_t i = 0; i < report->tokens_count; i++)
        put_token(out, report, &report->tokens[i]);
    x402_buffer_put_string(out, "]");
    open_list(out, "routes");
    for (size_t i = 0; i < report->routes_count; i++)
        put_route(out, &report->routes[i]);
    x402_buffer_put_string(out, "]");
    put_measures(out, report);
    put_refusals(out, report);
    open_list(out, "settlers");
    for (size_t i = 0; i < report->settlers_count; i++)
        put_settler(out, report, how, &report->settlers[i]);
    x402_buffer_put_string(out, "]");
    open_list(out, "payments");
    for (size_t i = 0; i < report->payments_count; i++)
        put_payment(out, how, &report->payments[i]);
    x402_buffer_put_string(out, "]");
}

void x402_report_json(struct x402_text_buffer *out, const struct x402_report *report,
                      const struct x402_report_options *how)
{
    x402_buffer_put_string(out, "{");
    x402_buffer_member(out, "time");
    x402_buffer_put_signed(out, report->now_seconds);
    put_bool(out, "private", how->private);
    put_bool(out, "enforced", !how->unenforced);
    x402_report_json_members(out, report, how);
    put_sold(out, how);
    x402_buffer_put_string(out, "}");
}
