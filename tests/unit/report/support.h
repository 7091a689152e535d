/*
 * A ledger with something in it, and the reading of what is written of it. Everything
 * here asserts that it works.
 */
#ifndef X402_TESTS_REPORT_SUPPORT_H
#define X402_TESTS_REPORT_SUPPORT_H

#include "unit/ledger/fixture.h"

#include "report/report.h"

#include <jansson.h>

/* The token of the fixture's payments. */
static const struct x402_network network = {
    .name = "base-sepolia",
    .chain_id = CHAIN,
    .asset20 = {0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5,
                0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5, 0xa5},
    .asset_name = "USD Coin",
    .decimals = 6,
    .testnet = true,
    .explorer = "https://explorer.example/tx/"};

static const uint8_t key32[32] = {1, 2, 3};

__attribute__((unused)) static const struct x402_report_sale sale = {
    .path = "/weather",
    .url = "https://api.example/weather",
    .price = "0.001",
    .description = "the \"weather\", \xff\n now",
    .networks = "base-sepolia base",
    .enforced = true,
    .buyable = true};

static const struct x402_report_options in_private = {.private = true,
                                                      .sales = &sale,
                                                      .sales_count = 1,
                                                      .networks = &network,
                                                      .networks_count = 1,
                                                      .receipt_key32 = key32,
                                                      .receipts = "/x402/receipts/"};
__attribute__((unused)) static const struct x402_report_options in_public = {
    .sales = &sale,
    .sales_count = 1,
    .networks = &network,
    .networks_count = 1,
    .receipt_key32 = key32,
    .receipts = "/x402/receipts/"};

__attribute__((unused)) static struct x402_sales sales_of(const char *route,
                                                          uint64_t calls)
{
    struct x402_sales sales = {.chain_id = CHAIN, .delivered = {calls, calls * 1000}};

    memset(sales.asset20, 0xa5, 20);
    snprintf(sales.route, sizeof sales.route, "%s", route);
    return sales;
}

__attribute__((unused)) static void note(struct x402_ledger *ledger,
                                         const struct x402_sales *sales, size_t count)
{
    struct x402_activity activity = {.sales = sales, .sales_count = count};

    assert_int_equal(x402_ledger_note(ledger, &activity), X402_OK);
}

#define TROUBLE "the key 0x857b06519E91e3A54538791bDbb0E22373e36b66 has no gas"

__attribute__((unused)) static void settler_speaks(struct x402_ledger *ledger)
{
    struct x402_settler_state settler = {.chain_id = CHAIN,
                                         .owner = "settler-host-17",
                                         .gas_balance_wei = 1234567890123456789,
                                         .base_fee_wei = 5000000,
                                         .latest_block = 120,
                                         .in_flight = 2,
                                         .trouble = TROUBLE};

    memset(settler.signer20, 0x57, 20);
    assert_int_equal(x402_ledger_settler_note(ledger, &settler), X402_OK);
}

/* ----------------------------------------------------------------------- the document
 */

__attribute__((unused)) static json_t *document_of(
    struct x402_ledger *ledger, const struct x402_report_options *how)
{
    struct x402_report *report = malloc(sizeof *report);
    struct x402_text_buffer text = {0};
    json_error_t error;

    assert_non_null(report);
    assert_int_equal(x402_report_read(report, ledger, how), X402_OK);
    x402_report_json(&text, report, how);
    assert_false(text.failed);
    assert_null(memchr(text.data, '\n', text.size)); /* an event has one line */
    json_t *document = json_loadb(text.data, text.size, JSON_REJECT_DUPLICATES, &error);
    if (document == NULL)
        fail_msg("%s at %d: %s", error.text, error.position, text.data);
    free(text.data);
    free(report);
    return document;
}

/* The value at a path of names and numbers: "tokens.0.queue.count". Borrowed. */
__attribute__((unused)) static json_t *at(json_t *document, const char *path)
{
    char copy[256], *rest = copy;
    json_t *value = document;

    snprintf(copy, sizeof copy, "%s", path);
    for (char *name; (name = strsep(&rest, ".")) != NULL;) {
        value = json_is_array(value) ? json_array_get(value, (size_t)atoi(name))
                                     : json_object_get(value, name);
        if (value == NULL)
            fail_msg("no %s in %s", name, path);
    }
    return value;
}

__attribute__((unused)) static void assert_number(json_t *document, const char *path,
                                                  json_int_t number)
{
    json_t *value = at(document, path);

    assert_true(json_is_integer(value));
    if (json_integer_value(value) != number)
        fail_msg("%s is %lld, not %lld", path, (long long)json_integer_value(value),
                 (long long)number);
}

__attribute__((unused)) static void assert_text(json_t *document, const char *path,
                                                const char *text)
{
    json_t *value = at(document, path);

    assert_true(json_is_string(value));
    assert_string_equal(json_string_value(value), text);
}

#endif
