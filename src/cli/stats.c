/* `x402 stats`: what was sold, and where the money stands. */
#include "cli/earnings.h"
#include "cli/economics.h"
#include "cli/overview.h"
#include "core/clock.h"

#include <x402/money.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COMMAND "stats"
#define DAYS 7
#define DAYS_MAX 3650

static const char help[] =
    "usage: x402 stats [--data DIR] [--days N] [--ether-usd USD] [--json] [--follow]\n"
    "\n"
    "The first thing to type when something seems wrong: what is wrong and what to do\n"
    "about it, when something is; then calls and revenue today and in 7 days, how "
    "long\n"
    "they took, what was refused and why, what waits to be settled and how settlers\n"
    "fare; where the money of each token stands; and what each route earned and its\n"
    "settlement cost, day by day.\n"
    "\n"
    "  --data DIR    the ledger's directory; default /var/lib/x402 for root,\n"
    "                ~/.local/share/x402 for others\n"
    "  --days N      how many days of earnings; default 7, 0 for none\n"
    "  --ether-usd USD   what the chain's own coin costs, for gas; default 3000\n"
    "  --json        one JSON object: {\"totals\": [...], \"earnings\": [...], "
    "\"week\":\n"
    "                ..., and the rest of the status page's document}; a value is in\n"
    "                units of the token (a string), an amount in whole tokens (a\n"
    "                string), a duration in microseconds\n"
    "  --follow      again each second: on a terminal redrawn, elsewhere a line when\n"
    "                something changed, with --json an object a line; until Ctrl-C\n"
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
    "  x402 stats --follow\n"
    "  x402 stats --json | jq '.week.p99, .refusals'\n"
    "  x402 stats --json | jq -r '.totals[] | .money.final.amount'\n";

/* All that is shown, read at once. */
struct view {
    struct x402_report report;
    struct x402_report_options how;
    uint8_t key32[32];
    size_t totals_count;
    struct x402_totals totals[X402_TOTALS_MAX];
    struct x402_earnings earnings; /* owned */
};

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

/* Everything is read already. False without memory. */
static bool print_json(const struct view *view)
{
    struct x402_text_buffer members = {.data = NULL};
    x402_report_json_members(&members, &view->report, &view->how);
    bool fine = !members.failed;
    fputs("{\"totals\":[", stdout);
    for (size_t i = 0; i < view->totals_count; i++) {
        fputs(i > 0 ? "," : "", stdout);
        put_totals(&view->totals[i]);
    }
    fputs("],\"earnings\":", stdout);
    x402_earnings_print_json(&view->earnings);
    if (fine) {
        printf(",\"time\":%lld,", (long long)view->report.now_seconds);
        x402_cli_print_json(stdout, members.data);
        puts("}");
    } else {
        x402_cli_error(COMMAND, "not enough memory");
    }
    free(members.data);
    return fine;
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
}

/* --------------------------------------------------------------------------- run */

/* What was asked for. */
struct request {
    const char *data, *days_text, *ether_text;
    bool json, follow;
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

static bool read_view(struct view *view, struct x402_ledger *ledger,
                      const struct request *request)
{
    enum x402_error error =
        x402_ledger_totals(ledger, view->totals, X402_TOTALS_MAX, &view->totals_count);
    view->how =
        (struct x402_report_options){.private = true, .receipt_key32 = view->key32};
    if (error == X402_OK)
        error = x402_ledger_receipt_key(ledger, view->key32);
    if (error == X402_OK)
        error = x402_report_read(&view->report, ledger, &view->how);
    if (error != X402_OK)
        x402_cli_error(COMMAND, "%s", x402_ledger_message(ledger));
    return error == X402_OK &&
           x402_earnings_read(&view->earnings, COMMAND, ledger,
                              request->follow ? 0 : (unsigned)request->days,
                              request->ether_micro_usd);
}

static void print_text(const struct view *view)
{
    if (view->report.tokens_count == 0) {
        puts("nothing was sold yet");
        return;
    }
    x402_overview_print(&view->report);
    putchar('\n');
    print_tables(view->totals, view->totals_count);
    x402_earnings_print(&view->earnings);
}

static int show_once(struct view *view, struct x402_ledger *ledger,
                     const struct request *request)
{
    bool fine = read_view(view, ledger, request);
    if (fine && request->json)
        fine = print_json(view);
    else if (fine)
        print_text(view);
    x402_earnings_release(&view->earnings);
    return fine ? X402_EXIT_DONE : X402_EXIT_FAILED;
}

/* ------------------------------------------------------------------------ follow */

/* The screen from its top, in one write, so that nothing flickers. */
static void redraw(const struct view *view)
{
    char time[X402_TIME_TEXT_SIZE];
    x402_cli_time_encode(time, view->report.now_seconds);
    printf("\033[H\033[J%sx402 stats%s  %s  (Ctrl-C ends)\n\n",
           x402_cli_style(stdout, X402_STYLE_BOLD),
           x402_cli_style(stdout, X402_STYLE_PLAIN), time);
    if (view->report.tokens_count == 0)
        puts("nothing was sold yet");
    else
        x402_overview_print(&view->report);
}

/* What a line would say anew: sums that move with each payment. */
static uint64_t digest_of(const struct x402_report *report)
{
    uint64_t digest = 0;
    for (size_t i = 0; i < report->tokens_count; i++) {
        const struct x402_report_token *token = &report->tokens[i];
        digest = digest * 31 + token->week.delivered.count;
        digest = digest * 31 + token->totals.monies[X402_MONEY_DUE].count;
        digest = digest * 31 + token->totals.monies[X402_MONEY_SUBMITTED].count;
    }
    return digest;
}

static int follow(struct view *view, struct x402_ledger *ledger,
                  const struct request *request)
{
    static char room[65536];
    const struct timespec pause = {1, 0};
    bool screen = isatty(STDOUT_FILENO) && !request->json;
    uint64_t digest = 0, before = UINT64_MAX;
    bool fine = setvbuf(stdout, room, _IOFBF, sizeof room) == 0;
    while (fine && fflush(stdout) == 0) {
        fine = read_view(view, ledger, request);
        digest = fine ? digest_of(&view->report) : before;
        if (fine && screen)
            redraw(view);
        else if (fine && request->json)
            fine = print_json(view);
        else if (digest != before)
            x402_overview_print_line(&view->report);
        before = digest;
        x402_earnings_release(&view->earnings);
        fine = fine && fflush(stdout) == 0;
        nanosleep(&pause, NULL);
    }
    return X402_EXIT_FAILED; /* it ends by a signal, otherwise by an error */
}

static int run(struct x402_ledger *ledger, const struct request *request)
{
    struct view *view = calloc(1, sizeof *view);
    if (view == NULL) {
        x402_cli_error(COMMAND, "not enough memory");
        return X402_EXIT_FAILED;
    }
    int code = request->follow ? follow(view, ledger, request)
                               : show_once(view, ledger, request);
    x402_bytes_wipe(view->key32, sizeof view->key32);
    free(view);
    return code;
}

int x402_cli_stats(int argc, char **argv)
{
    struct request request = {0};
    const struct x402_option options[] = {
        {"data", 0, X402_OPTION_TEXT, &request.data},
        {"days", 0, X402_OPTION_TEXT, &request.days_text},
        {"ether-usd", 0, X402_OPTION_TEXT, &request.ether_text},
        {"json", 0, X402_OPTION_FLAG, &request.json},
        {"follow", 0, X402_OPTION_FLAG, &request.follow},
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
    int code = run(ledger, &request);
    x402_ledger_close(ledger);
    return code;
}
