/*
 * Any text and numbers as what a ledger holds: the status document is one line of JSON
 * that says them, and a label of a metric is a label that reads back.
 */
#include "check.h"

#include "core/text.h"
#include "report/buffer.h"
#include "report/report.h"

#include <x402/money.h>

#include <jansson.h>

static const uint8_t key32[32] = {1};

/* Exactly the text, where it was UTF-8 without zeros. */
static void check_text(const json_t *value, const char *text)
{
    check(json_is_string(value), "a text");
    if (x402_utf8_valid(x402_slice_of(text)))
        check(strcmp(json_string_value(value), text) == 0, "the same text");
}

/* What a ledger holds is signed, and some of it is added up. */
static uint64_t take_count(struct choices *choices)
{
    return take_number(choices) & (INT64_MAX >> 2);
}

static void fill_settler(struct x402_settler_state *out, struct choices *choices)
{
    out->chain_id = take_count(choices);
    take(out->signer20, 20, choices);
    take_text(out->owner, sizeof out->owner, choices);
    out->remote = take_byte(choices) % 2;
    out->heard_at_seconds = (int64_t)take_count(choices);
    out->gas_balance_wei = take_count(choices);
    out->base_fee_wei = take_count(choices);
    out->latest_block = take_count(choices);
    out->safe_block = take_count(choices);
    out->in_flight = take_count(choices);
    take_text(out->trouble, sizeof out->trouble, choices);
}

static void fill_payment(struct x402_payment_row *out, struct choices *choices)
{
    out->settlement.payment_id = (int64_t)take_count(choices);
    out->settlement.chain_id = take_count(choices);
    out->settlement.value = take_count(choices);
    take(out->settlement.from20, 20, choices);
    out->dialect = take_byte(choices) % 3;
    take_text(out->route, sizeof out->route, choices);
    out->created_at_seconds = (int64_t)take_count(choices);
    out->updated_at_seconds = (int64_t)take_count(choices);
    out->has_transaction = take_byte(choices) % 2;
    out->fee_wei = take_count(choices);
    take_text(out->reason, sizeof out->reason, choices);
}

static void fill_token(struct x402_report_token *out, struct choices *choices)
{
    out->network.chain_id = take_count(choices);
    out->network.decimals = (uint8_t)(take_byte(choices) % (X402_DECIMALS_MAX + 1));
    take_text(out->network.name, sizeof out->network.name, choices);
    take_text(out->network.asset_name, sizeof out->network.asset_name, choices);
    out->totals.admitted.count = take_count(choices);
    out->totals.payers = take_count(choices);
    out->totals.oldest_due_seconds = (int64_t)take_count(choices);
    out->unsettled.value = take_count(choices);
    out->week.delivered.count = take_count(choices);
    out->hours_delivered[3].value = take_count(choices);
}

static void fill(struct x402_report *out, struct choices *choices)
{
    out->now_seconds = (int64_t)take_count(choices);
    out->first_hour = (int64_t)take_count(choices);
    out->tokens_count = take_byte(choices) % 3;
    out->routes_count = take_byte(choices) % 3;
    out->settlers_count = take_byte(choices) % 3;
    out->payments_count = take_byte(choices) % 3;
    for (size_t i = 0; i < out->tokens_count; i++)
        fill_token(&out->tokens[i], choices);
    for (size_t i = 0; i < out->routes_count; i++) {
        out->routes[i].chain_id = take_count(choices);
        out->routes[i].delivered.value = take_count(choices);
        take_text(out->routes[i].route, sizeof out->routes[i].route, choices);
    }
    for (size_t i = 0; i < out->settlers_count; i++)
        fill_settler(&out->settlers[i], choices);
    for (size_t i = 0; i < out->payments_count; i++)
        fill_payment(&out->payments[i], choices);
    out->refusals[X402_ERR_VALUE] = take_count(choices);
    x402_histogram_add(&out->measures[X402_MEASURE_CALL], take_count(choices));
}

static void check_document(const char *text, size_t size,
                           const struct x402_report *report,
                           const struct x402_report_sale *sale)
{
    json_error_t error;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);

    if (root == NULL)
        fprintf(stderr, "%s at %d: %.*s\n", error.text, error.position, (int)size,
                text);
    check(root != NULL, "JSON");
    check(memchr(text, '\n', size) == NULL, "in one line");
    json_t *routes = json_object_get(root, "routes");
    check(json_array_size(routes) == report->routes_count, "all routes");
    for (size_t i = 0; i < report->routes_count; i++)
        check_text(json_object_get(json_array_get(routes, i), "route"),
                   report->routes[i].route);
    json_t *sales = json_object_get(root, "sold");
    check(json_array_size(sales) == 1, "what is on sale");
    check_text(json_object_get(json_array_get(sales, 0), "path"), sale->path);
    json_decref(root);
}

static void write_document(struct choices *choices)
{
    static struct x402_report report;
    char path[256], description[256];
    struct x402_text_buffer out = {0};
    struct x402_report_sale sale = {.path = path,
                                    .url = "",
                                    .price = "0.001",
                                    .description = description,
                                    .networks = "base",
                                    .buyable = true};
    struct x402_report_options how = {.private = take_byte(choices) % 2,
                                      .sales = &sale,
                                      .sales_count = 1,
                                      .receipt_key32 = key32,
                                      .receipts = "/x402/receipts/"};

    memset(&report, 0, sizeof report);
    take_text(path, sizeof path, choices);
    take_text(description, sizeof description, choices);
    fill(&report, choices);
    x402_report_json(&out, &report, &how);
    check(!out.failed, "written");
    check_document(out.data, out.size, &report, &sale);
    free(out.data);
}

/* A label as Prometheus reads it (text format 0.0.4). */
static void write_label(struct choices *choices)
{
    char text[256], read[6 * 256];
    size_t size = 0;
    struct x402_text_buffer out = {0};

    take_text(text, sizeof text, choices);
    x402_buffer_put_label(&out, text);
    check(!out.failed && out.size >= 2 && out.data[0] == '"', "quoted");
    for (size_t i = 1; i + 1 < out.size; i++) {
        char c = out.data[i];
        check(c != '\n' && c != '"', "nothing ends it early");
        if (c == '\\') {
            c = out.data[++i];
            check(i + 1 < out.size && strchr("n\\\"", c) != NULL, "a known escape");
            c = c == 'n' ? '\n' : c;
        }
        read[size++] = c;
    }
    check(out.data[out.size - 1] == '"', "ended");
    check(x402_utf8_valid((struct x402_slice){read, size}), "UTF-8");
    if (x402_utf8_valid(x402_slice_of(text)))
        check(size == strlen(text) && memcmp(read, text, size) == 0, "the same label");
    free(out.data);
}

static void write_numbers(struct choices *choices)
{
    struct x402_text_buffer out = {.max = take_byte(choices)};
    unsigned decimals = take_byte(choices) % (X402_DECIMALS_MAX + 1);

    x402_buffer_put_scaled(&out, take_number(choices), decimals);
    x402_buffer_put_signed(&out, (int64_t)take_number(choices));
    check(out.failed || (out.size <= out.max || out.max == 0), "within the bound");
    free(out.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices = {data, size};

    write_numbers(&choices);
    write_label(&choices);
    write_document(&choices);
    return 0;
}
