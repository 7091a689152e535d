#include "cli/earnings.h"

#include "cli/economics.h"
#include "core/clock.h"

#include <x402/money.h>

#include <stdlib.h>
#include <string.h>

#define SECONDS_PER_DAY 86400
#define NANO_USD_DECIMALS 9
#define DAY_TEXT_SIZE 11 /* "2026-01-31" */

/* -------------------------------------------------------------------------- reading */

static bool keep(const struct x402_earning *earning, void *data)
{
    struct x402_earnings *earnings = data;

    if (earnings->count == earnings->capacity) {
        size_t capacity = earnings->capacity ? 2 * earnings->capacity : 64;
        struct x402_earning *rows =
            realloc(earnings->rows, capacity * sizeof *earnings->rows);
        earnings->out_of_memory = rows == NULL;
        if (rows == NULL)
            return false;
        earnings->rows = rows;
        earnings->capacity = capacity;
    }
    earnings->rows[earnings->count++] = *earning;
    return earnings->count < X402_EARNINGS_MAX;
}

bool x402_earnings_read(struct x402_earnings *out, const char *command,
                        struct x402_ledger *ledger, unsigned days,
                        uint64_t ether_micro_usd)
{
    int64_t today = x402_clock_seconds() / SECONDS_PER_DAY;

    memset(out, 0, sizeof *out);
    out->ether_micro_usd = ether_micro_usd;
    out->days = days;
    enum x402_error error =
        x402_ledger_earnings(ledger, today - (int64_t)days + 1, today, keep, out);
    if (error != X402_OK)
        x402_cli_error(command, "%s", x402_ledger_message(ledger));
    else if (out->out_of_memory)
        x402_cli_error(command, "not enough memory");
    return error == X402_OK && !out->out_of_memory;
}

void x402_earnings_release(struct x402_earnings *earnings)
{
    free(earnings->rows);
    memset(earnings, 0, sizeof *earnings);
}

/* -------------------------------------------------------------------------- figures */

/* A row with what it comes to in dollars; a token that is not known has no dollars. */
struct figures {
    struct x402_network network;
    bool known;
    uint64_t revenue_nano_usd;
    uint64_t cost_nano_usd;
    char day[DAY_TEXT_SIZE];
};

/* Units of a token that is worth a dollar. */
static uint64_t nano_usd_of(uint64_t value, unsigned decimals)
{
    for (; decimals < NANO_USD_DECIMALS; decimals++) {
        if (value > UINT64_MAX / 10)
            return UINT64_MAX;
        value *= 10;
    }
    for (; decimals > NANO_USD_DECIMALS; decimals--)
        value /= 10;
    return value;
}

static struct figures figures_of(const struct x402_earnings *earnings,
                                 const struct x402_earning *row)
{
    char time[X402_TIME_TEXT_SIZE];
    struct figures figures;

    x402_cli_network_of(&figures.network, &figures.known, row->chain_id, row->asset20);
    figures.revenue_nano_usd =
        figures.known ? nano_usd_of(row->settled.value, figures.network.decimals) : 0;
    figures.cost_nano_usd =
        x402_nano_usd_of_wei(row->fee_wei, earnings->ether_micro_usd);
    x402_cli_time_encode(time, row->day * SECONDS_PER_DAY);
    snprintf(figures.day, sizeof figures.day, "%.10s", time);
    return figures;
}

void x402_margin_encode(char out[X402_MARGIN_TEXT_SIZE], uint64_t revenue_nano_usd,
                        uint64_t cost_nano_usd)
{
    bool loss = cost_nano_usd > revenue_nano_usd;

    x402_nano_usd_encode(out + loss, loss ? cost_nano_usd - revenue_nano_usd
                                          : revenue_nano_usd - cost_nano_usd);
    if (loss)
        out[0] = '-';
}

/* ----------------------------------------------------------------------------- JSON */

static void put_usd(const char *name, uint64_t nano_usd, bool known)
{
    char text[X402_NANO_USD_TEXT_SIZE];

    x402_nano_usd_encode(text, nano_usd);
    if (known)
        printf(",\"%s\":\"%s\"", name, text);
    else
        printf(",\"%s\":null", name);
}

static void put_row(const struct x402_earnings *earnings,
                    const struct x402_earning *row)
{
    struct figures figures = figures_of(earnings, row);
    char margin[X402_MARGIN_TEXT_SIZE];

    printf("{\"day\":\"%s\",", figures.day);
    x402_cli_network_json(stdout, row->chain_id, row->asset20);
    fputs(",\"route\":", stdout);
    x402_cli_json_string(stdout, row->route);
    printf(",\"calls\":%llu,\"value\":\"%llu\",\"failed\":%llu,\"failedValue\":\"%llu\""
           ",\"gasUsed\":\"%llu\",\"feeWei\":\"%llu\"",
           (unsigned long long)row->settled.count,
           (unsigned long long)row->settled.value,
           (unsigned long long)row->failed.count, (unsigned long long)row->failed.value,
           (unsigned long long)row->gas_used, (unsigned long long)row->fee_wei);
    put_usd("revenueUsd", figures.revenue_nano_usd, figures.known);
    put_usd("gasUsd", figures.cost_nano_usd, true);
    x402_margin_encode(margin, figures.revenue_nano_usd, figures.cost_nano_usd);
    printf(figures.known ? ",\"marginUsd\":\"%s\"}" : ",\"marginUsd\":null}", margin);
}

void x402_earnings_print_json(const struct x402_earnings *earnings)
{
    putchar('[');
    for (size_t i = 0; i < earnings->count; i++) {
        fputs(i > 0 ? ",\n " : "", stdout);
        put_row(earnings, &earnings->rows[i]);
    }
    putchar(']');
}

/* ---------------------------------------------------------------------------- table */

static void print_dollars(uint64_t nano_usd, bool known)
{
    char text[X402_NANO_USD_TEXT_SIZE];

    x402_nano_usd_encode(text, nano_usd);
    printf("%12s", known ? text : "?");
}

static void print_row(const struct x402_earnings *earnings,
                      const struct x402_earning *row)
{
    struct figures figures = figures_of(earnings, row);
    char label[X402_CAIP2_TEXT_SIZE], margin[X402_MARGIN_TEXT_SIZE];
    bool loss = figures.known && figures.cost_nano_usd > figures.revenue_nano_usd;

    x402_cli_network_label(label, &figures.network);
    x402_margin_encode(margin, figures.revenue_nano_usd, figures.cost_nano_usd);
    printf("  %-10s  %-14s  ", figures.day, label);
    printf("%10llu%8llu", (unsigned long long)row->settled.count,
           (unsigned long long)row->failed.count);
    print_dollars(figures.revenue_nano_usd, figures.known);
    print_dollars(figures.cost_nano_usd, true);
    printf("%s%12s%s  ",
           x402_cli_style(stdout, loss ? X402_STYLE_BAD : X402_STYLE_PLAIN),
           figures.known ? margin : "?", x402_cli_style(stdout, X402_STYLE_PLAIN));
    x402_cli_print_safe(stdout, row->route);
    putchar('\n');
}

void x402_earnings_print(const struct x402_earnings *earnings)
{
    char ether[X402_AMOUNT_TEXT_SIZE];

    if (earnings->count == 0)
        return;
    x402_amount_encode(ether, earnings->ether_micro_usd, 6);
    printf("\n%sEarned, in dollars%s, by the day of the call, the last %u days; gas "
           "with ether at $%s (--ether-usd)\n",
           x402_cli_style(stdout, X402_STYLE_BOLD),
           x402_cli_style(stdout, X402_STYLE_PLAIN), earnings->days, ether);
    printf("  %-10s  %-14s  %10s%8s%12s%12s%12s  %s\n", "day", "network", "settled",
           "failed", "revenue", "gas", "margin", "route");
    for (size_t i = 0; i < earnings->count; i++)
        print_row(earnings, &earnings->rows[i]);
}
