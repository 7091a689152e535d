/* `x402 stats`: what was sold, and where the money stands. */
#include "cli/earnings.h"
#include "cli/economics.h"
#include "core/clock.h"

#include <x402/money.h>

#include <string.h>

#define COMMAND "stats"
#define DAYS 7
#define DAYS_MAX 3650

static const char help[] =
    "usage: x402 stats [--data DIR] [--days N] [--ether-usd USD] [--json]\n"
    "\n"
    "What was sold and where the money stands, for each network and token; and what\n"
    "each route earned and its settlement cost, day by day.\n"
    "\n"
    "  --data DIR    the ledger's directory; default /var/lib/x402 for root,\n"
    "                ~/.local/share/x402 for others\n"
    "  --days N      how many days of earnings; default 7, 0 for none\n"
    "  --ether-usd USD   what the chain's own coin costs, for gas; default 3000\n"
    "  --json        one JSON object: {\"totals\": [...], \"earnings\": [...]}; a "
    "value\n"
    "                is in units of the token (a string), an amount in whole tokens\n"
    "                (a string)\n"
    "\n"
    "Delivery, did the caller get what was paid for:\n"
    "  delivered     yes\n"
    "  void          no: the upstream failed; not charged\n"
    "  abandoned     cut off by a crash; never charged\n"
    "  owed          charged and not delivered: the same payment buys the call again\n"
    "  pending       being served now\n"
    "Money, where a payment's authorization stands:\n"
    "  due           earned, to be sent to the chain\n"
    "  submitted     in a transaction\n"
    "  settled       in a block\n"
    "  final         in a block that stays\n"
    "  failed        cannot be collected; x402 payments says why\n"
    "\n"
    "Examples\n"
    "  x402 stats\n"
    "  x402 stats --json | jq -r '.totals[] | .money.final.amount'\n";

/* -------------------------------------------------------------------------- JSON */

static void put_count(const char *name, const struct x402_count *count,
                      const struct x402_network *network, bool known)
{
    char amount[X402_AMOUNT_TEXT_SIZE];
    printf("\"%s\":{\"count\":%llu,\"value\":\"%llu\",\"amount\":", name,
           (unsigned long long)count->count, (unsigned long long)count->value);
    x402_amount_encode(amount, count->value, network->decimals);
    if (known)
        x402_cli_json_string(stdout, amount);
    else
        fputs("null", stdout);
    putchar('}');
}

static void put_totals(const struct x402_totals *totals)
{
    struct x402_network network;
    char since[X402_TIME_TEXT_SIZE];
    bool known;
    x402_cli_network_of(&network, &known, totals->chain_id, totals->asset20);
    putchar('{');
    x402_cli_network_json(stdout, totals->chain_id, totals->asset20);
    putchar(',');
    put_count("admitted", &totals->admitted, &network, known);
    fputs(",\"delivery\":{", stdout);
    for (size_t i = 0; i < X402_DELIVERY_COUNT; i++) {
        fputs(i > 0 ? "," : "", stdout);
        put_count(x402_delivery_name((enum x402_delivery)i), &totals->deliveries[i],
                  &network, known);
    }
    fputs("},\"money\":{", stdout);
    for (size_t i = 0; i < X402_MONEY_COUNT; i++) {
        fputs(i > 0 ? "," : "", stdout);
        put_count(x402_money_name((enum x402_money)i), &totals->monies[i], &network,
                  known);
    }
    printf("},\"payers\":%llu,\"oldestDueSeconds\":%lld,\"oldestDueAt\":",
           (unsigned long long)totals->payers, (long long)totals->oldest_due_seconds);
    x402_cli_time_encode(since, totals->oldest_due_seconds);
    if (totals->oldest_due_seconds != 0)
        x402_cli_json_string(stdout, since);
    else
        fputs("null", stdout);
    putchar('}');
}

static void print_json(const struct x402_totals *totals, size_t count)
{
    fputs("{\"totals\":[", stdout);
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? "," : "", stdout);
        put_totals(&totals[i]);
    }
    putchar(']');
}

/* ------------------------------------------------------------------------- table */

static enum x402_style style_of(const char *name, uint64_t count)
{
    if (count == 0)
        return X402_STYLE_DIM;
    if (strcmp(name, "failed") == 0 || strcmp(name, "abandoned") == 0)
        return X402_STYLE_BAD;
    if (strcmp(name, "delivered") == 0 || strcmp(name, "final") == 0)
        return X402_STYLE_GOOD;
    return X402_STYLE_PLAIN;
}

static void print_count(const char *name, const struct x402_count *count,
                        unsigned decimals)
{
    char amount[X402_AMOUNT_TEXT_SIZE];
    x402_amount_encode(amount, count->value, decimals);
    printf("%s  %-12s%12llu%18s%s\n",
           x402_cli_style(stdout, style_of(name, count->count)), name,
           (unsigned long long)count->count, amount,
           x402_cli_style(stdout, X402_STYLE_PLAIN));
}

static void print_oldest_due(const struct x402_totals *totals)
{
    char text[32];
    int64_t age = x402_clock_seconds() - totals->oldest_due_seconds;
    if (totals->oldest_due_seconds == 0)
        return;
    if (age < 120)
        snprintf(text, sizeof text, "%lld s", (long long)(age > 0 ? age : 0));
    else if (age < 7200)
        snprintf(text, sizeof text, "%lld min", (long long)age / 60);
    else
        snprintf(text, sizeof text, "%lld h", (long long)age / 3600);
    printf("  %-12s%12s\n", "oldest due", text);
}

static void print_table(const struct x402_totals *totals)
{
    static const enum x402_delivery deliveries[] = {
        X402_DELIVERY_DELIVERED, X402_DELIVERY_VOID, X402_DELIVERY_ABANDONED,
        X402_DELIVERY_OWED, X402_DELIVERY_PENDING};
    static const enum x402_money monies[] = {X402_MONEY_DUE, X402_MONEY_SUBMITTED,
                                             X402_MONEY_SETTLED, X402_MONEY_FINAL,
                                             X402_MONEY_FAILED};
    struct x402_network network;
    char asset[X402_ADDRESS_TEXT_SIZE], label[X402_CAIP2_TEXT_SIZE];
    bool known;
    x402_cli_network_of(&network, &known, totals->chain_id, totals->asset20);
    x402_cli_network_label(label, &network);
    x402_address_encode(asset, totals->asset20);
    printf("%s%s on %s%s%s\n", x402_cli_style(stdout, X402_STYLE_BOLD),
           known ? network.asset_name : asset, label,
           network.testnet ? " (play money)" : "",
           x402_cli_style(stdout, X402_STYLE_PLAIN));
    printf("  %-12s%12s%18s\n", "", "calls", known ? network.asset_name : "units");
    print_count("admitted", &totals->admitted, network.decimals);
    for (size_t i = 0; i < X402_DELIVERY_COUNT; i++)
        print_count(x402_delivery_name(deliveries[i]),
                    &totals->deliveries[deliveries[i]], network.decimals);
    putchar('\n');
    for (size_t i = 0; i < sizeof monies / sizeof monies[0]; i++)
        print_count(x402_money_name(monies[i]), &totals->monies[monies[i]],
                    network.decimals);
    printf("\n  %-12s%12llu\n", "payers", (unsigned long long)totals->payers);
    print_oldest_due(totals);
}

static void print_tables(const struct x402_totals *totals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? "\n" : "", stdout);
        print_table(&totals[i]);
    }
    if (count == 0)
        puts("nothing was sold yet");
}

/* --------------------------------------------------------------------------- run */

/* What was asked for. */
struct request {
    const char *data, *days_text, *ether_text;
    bool json;
    uint64_t days, ether_micro_usd;
};

static bool decode(struct request *request)
{
    const char *why = NULL;
    request->days = DAYS;
    request->ether_micro_usd = X402_ETHER_MICRO_USD_DEFAULT;
    if (request->days_text != NULL &&
        !x402_cli_number(&request->days, request->days_text, 0, DAYS_MAX)) {
        x402_cli_usage_error(COMMAND, "--days: '%s': write a number, 0 to %d",
                             request->days_text, DAYS_MAX);
        return false;
    }
    if (request->ether_text != NULL &&
        x402_usd_decode(&request->ether_micro_usd, &why,
                        x402_slice_of(request->ether_text)) != X402_OK) {
        x402_cli_usage_error(COMMAND, "--ether-usd: '%s': %s", request->ether_text,
                             why ? why : "not a number");
        return false;
    }
    return true;
}

static int show(struct x402_ledger *ledger, const struct request *request)
{
    static struct x402_totals totals[X402_TOTALS_MAX];
    struct x402_earnings earnings;
    size_t count;
    if (x402_ledger_totals(ledger, totals, X402_TOTALS_MAX, &count) != X402_OK) {
        x402_cli_error(COMMAND, "%s", x402_ledger_message(ledger));
        return X402_EXIT_FAILED;
    }
    bool fine = x402_earnings_read(&earnings, COMMAND, ledger, (unsigned)request->days,
                                   request->ether_micro_usd);
    if (fine && request->json) {
        print_json(totals, count);
        fputs(",\n\"earnings\":", stdout);
        x402_earnings_print_json(&earnings);
        puts("}");
    } else if (fine) {
        print_tables(totals, count);
        x402_earnings_print(&earnings);
    }
    x402_earnings_release(&earnings);
    return fine ? X402_EXIT_DONE : X402_EXIT_FAILED;
}

int x402_cli_stats(int argc, char **argv)
{
    struct request request = {0};
    const struct x402_option options[] = {
        {"data", 0, X402_OPTION_TEXT, &request.data},
        {"days", 0, X402_OPTION_TEXT, &request.days_text},
        {"ether-usd", 0, X402_OPTION_TEXT, &request.ether_text},
        {"json", 0, X402_OPTION_FLAG, &request.json},
        {NULL, 0, X402_OPTION_FLAG, NULL},
    };
    struct x402_arguments arguments = {.help = help, .options = options};
    enum x402_parsed parsed = x402_cli_parse(&arguments, argc, argv);
    if (parsed != X402_PARSED_RUN)
        return parsed == X402_PARSED_HELP ? X402_EXIT_DONE : X402_EXIT_USAGE;
    if (!decode(&request))
        return X402_EXIT_USAGE;
    struct x402_ledger *ledger = x402_cli_ledger_open(COMMAND, request.data);
    if (ledger == NULL)
        return X402_EXIT_FAILED;
    int code = show(ledger, &request);
    x402_ledger_close(ledger);
    return code;
}
