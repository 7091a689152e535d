#include "cli/overview.h"

#include "report/names.h"

#include <x402/money.h>

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define DAY_HOURS 24
#define ROUTES_MAX 12
#define SILENT_SECONDS 60 /* as x402_ready has it */
#define DUE_OLD_SECONDS 300
#define GAS_BATCHES_MIN 50    /* a key should have gas for */
#define GAS_BATCH 5000000     /* gas of a batch of a hundred payments */
#define MICROSECONDS 1000000U /* in a second */

static const char *style(enum x402_style style)
{
    return x402_cli_style(stdout, style);
}

static const char *plain(void)
{
    return x402_cli_style(stdout, X402_STYLE_PLAIN);
}

static void print_title(const char *title)
{
    printf("\n%s%s%s\n", style(X402_STYLE_BOLD), title, plain());
}

/* --------------------------------------------------------------------------- trouble
 */

__attribute__((format(printf, 3, 4))) static void complain(unsigned *count,
                                                           const char *remedy,
                                                           const char *format, ...)
{
    char text[1024];
    va_list arguments;

    if ((*count)++ == 0)
        printf("%sTrouble%s\n", style(X402_STYLE_BAD), plain());
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("  %s", style(X402_STYLE_BAD));
    x402_cli_print_safe(stdout, text);
    printf("%s\n    %s\n", plain(), remedy);
}

static bool heard_lately(const struct x402_report *report, uint64_t chain_id)
{
    for (size_t i = 0; i < report->settlers_count; i++) {
        if (report->settlers[i].chain_id == chain_id &&
            x402_report_age(report->now_seconds,
                            report->settlers[i].heard_at_seconds) <= SILENT_SECONDS)
            return true;
    }
    return false;
}

static void judge_queue(const struct x402_report *report,
                        const struct x402_report_token *token, unsigned *count)
{
    const struct x402_totals *totals = &token->totals;
    uint64_t waiting = totals->monies[X402_MONEY_DUE].count +
                       totals->monies[X402_MONEY_SUBMITTED].count;
    uint64_t age = x402_report_age(report->now_seconds, totals->oldest_due_seconds);
    char label[X402_REPORT_LABEL_SIZE], text[X402_DURATION_TEXT_SIZE];

    x402_report_network_label(label, &token->network);
    x402_cli_duration_encode(text, age * MICROSECONDS);
    if (waiting > 0 && !heard_lately(report, totals->chain_id))
        complain(count,
                 "start `x402 settle`, or read its log: what is not settled when its "
                 "authorization ends is lost",
                 "%llu payments wait on %s, and no settler was heard from for %d s",
                 (unsigned long long)waiting, label, SILENT_SECONDS);
    if (age > DUE_OLD_SECONDS)
        complain(count,
                 "`x402 payments --status due` lists them; the settler's log says what "
                 "it waits for",
                 "a payment on %s has been due for %s", label, text);
}

static void judge_settler(const struct x402_report *report,
                          const struct x402_settler_state *settler, unsigned *count)
{
    char label[X402_REPORT_LABEL_SIZE], address[X402_ADDRESS_TEXT_SIZE];
    char ether[X402_AMOUNT_TEXT_SIZE];
    uint64_t batches = settler->base_fee_wei > 0 ? settler->gas_balance_wei /
                                                       GAS_BATCH / settler->base_fee_wei
                                                 : UINT64_MAX;

    x402_report_chain_label(label, NULL, settler->chain_id);
    x402_address_encode(address, settler->signer20);
    x402_amount_encode(ether, settler->gas_balance_wei, 18);
    if (x402_report_age(report->now_seconds, settler->heard_at_seconds) >
        SILENT_SECONDS)
        return; /* what it said then is not so now */
    if (settler->trouble[0] != '\0')
        complain(count, "the settler goes on trying; its log has the whole story",
                 "settler of %s: %s", label, settler->trouble);
    if (!settler->remote && batches < GAS_BATCHES_MIN)
        complain(count, "send the key some of the chain's own coin",
                 "the key %s has %s ether for gas on %s: enough for %llu batches",
                 address, ether, label, (unsigned long long)batches);
}

static unsigned print_trouble(const struct x402_report *report)
{
    unsigned count = 0;

    for (size_t i = 0; i < report->tokens_count; i++)
        judge_queue(report, &report->tokens[i], &count);
    for (size_t i = 0; i < report->settlers_count; i++)
        judge_settler(report, &report->settlers[i], &count);
    for (size_t i = 0; i < report->tokens_count; i++) {
        const struct x402_count *failed = &report->tokens[i].days[0].failed;
        char amount[X402_AMOUNT_TEXT_SIZE];
        x402_amount_encode(amount, failed->value, report->tokens[i].network.decimals);
        if (failed->count > 0)
            complain(&count, "`x402 payments --status failed --since 1d` says why",
                     "%llu payments of today, worth %s, were served and cannot be "
                     "collected",
                     (unsigned long long)failed->count, amount);
    }
    return count;
}

/* --------------------------------------------------------------------------- figures
 */

static struct x402_count today_of(const struct x402_report *report,
                                  const struct x402_count hours[X402_REPORT_HOURS])
{
    int64_t now_hour = report->first_hour + X402_REPORT_HOURS - 1;
    int64_t hours_today = now_hour % DAY_HOURS + 1;
    struct x402_count sum = {0, 0};

    for (int64_t i = X402_REPORT_HOURS - hours_today; i < X402_REPORT_HOURS; i++) {
        sum.count += hours[i].count;
        sum.value += hours[i].value;
    }
    return sum;
}

static void print_counts(const char *name, uint64_t today, uint64_t week)
{
    printf("  %-18s%14llu%14llu\n", name, (unsigned long long)today,
           (unsigned long long)week);
}

static void print_amounts(const char *name, uint64_t today, uint64_t week,
                          unsigned decimals)
{
    char text_today[X402_AMOUNT_TEXT_SIZE], text_week[X402_AMOUNT_TEXT_SIZE];

    x402_amount_encode(text_today, today, decimals);
    x402_amount_encode(text_week, week, decimals);
    printf("  %-18s%s%14s%14s%s\n", name,
           style(week > 0 ? X402_STYLE_GOOD : X402_STYLE_PLAIN), text_today, text_week,
           plain());
}

static void print_week_only(const char *name, uint64_t week, enum x402_style how)
{
    if (week > 0)
        printf("  %-18s%14s%s%14llu%s\n", name, "", style(how),
               (unsigned long long)week, plain());
}

static void print_token(const struct x402_report *report,
                        const struct x402_report_token *token)
{
    const struct x402_network *network = &token->network;
    struct x402_count today = today_of(report, token->hours_delivered);
    struct x402_count shadow = today_of(report, token->hours_shadow);
    const char *symbol = x402_report_symbol(network);
    char label[X402_REPORT_LABEL_SIZE], title[96];

    x402_report_network_label(label, network);
    snprintf(title, sizeof title, "%s on %s%s", symbol[0] ? symbol : "units", label,
             network->testnet ? " (play money)" : "");
    printf("%s%-20s%s%14s%14s   %s\n", style(X402_STYLE_BOLD), "Sold", plain(), "today",
           "7 days", title);
    print_counts("calls", today.count, token->week.delivered.count);
    print_amounts("revenue", today.value, token->week.delivered.value,
                  network->decimals);
    if (token->week.shadow.count > 0) {
        print_counts("calls, unpaid", shadow.count, token->week.shadow.count);
        print_amounts("would have earned", shadow.value, token->week.shadow.value,
                      network->decimals);
    }
    print_week_only("asked for money", token->week.offered, X402_STYLE_PLAIN);
    print_week_only("refused", token->week.refused, X402_STYLE_WARN);
    print_week_only("failed, uncharged", token->week.failed.count, X402_STYLE_WARN);
    printf("  %-18s%14s%14llu   since the beginning\n", "callers", "",
           (unsigned long long)token->totals.payers);
}

static void print_latency(const struct x402_report *report)
{
    static const struct {
        enum x402_measure measure;
        const char *name;
    } rows[] = {{X402_MEASURE_CALL, "call, paid"},
                {X402_MEASURE_VERIFY, "  verification"},
                {X402_MEASURE_ADMIT, "  admission"},
                {X402_MEASURE_COMMIT, "ledger commit"},
                {X402_MEASURE_SETTLE, "until settled"}};
    static const unsigned permilles[] = {500, 900, 990};
    char text[X402_DURATION_TEXT_SIZE];
    bool any = false;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct x402_histogram *times = &report->measures[rows[i].measure];
        uint64_t count = x402_histogram_count(times);
        if (count == 0)
            continue;
        if (!any)
            printf("\n%s%-20s%s%10s%10s%10s%12s\n", style(X402_STYLE_BOLD),
                   "Took, in 7 days", plain(), "p50", "p90", "p99", "of");
        any = true;
        printf("  %-18s", rows[i].name);
        for (size_t j = 0; j < sizeof permilles / sizeof permilles[0]; j++) {
            x402_cli_duration_encode(text,
                                     x402_histogram_quantile(times, permilles[j]));
            printf("%10s", text);
        }
        printf("%12llu\n", (unsigned long long)count);
    }
}

static void print_routes(const struct x402_report *report)
{
    size_t count =
        report->routes_count < ROUTES_MAX ? report->routes_count : ROUTES_MAX;
    char revenue[X402_AMOUNT_TEXT_SIZE];

    if (report->routes_count < 2)
        return;
    printf("\n%s%-20s%s%14s%14s%10s%10s   %s\n", style(X402_STYLE_BOLD),
           "Routes, in 7 days", plain(), "calls", "revenue", "refused", "failed",
           "route");
    for (size_t i = 0; i < count; i++) {
        const struct x402_sales *route = &report->routes[i];
        struct x402_network network;
        x402_report_network_of(&network, NULL, route->chain_id, route->asset20);
        x402_amount_encode(revenue, route->delivered.value, network.decimals);
        printf("  %-18s%14llu%14s%10llu%10llu   ", "",
               (unsigned long long)route->delivered.count, revenue,
               (unsigned long long)route->refused,
               (unsigned long long)route->failed.count);
        x402_cli_print_safe(stdout, route->route);
        putchar('\n');
    }
    if (count < report->routes_count)
        printf("  and %zu more: --json has them\n", report->routes_count - count);
}

static void print_refusals(const struct x402_report *report)
{
    uint64_t refusals[X402_ERROR_COUNT];
    bool any = false;

    memcpy(refusals, report->refusals, sizeof refusals);
    for (;;) {
        size_t most = 0;
        for (size_t i = 1; i < X402_ERROR_COUNT; i++)
            most = refusals[i] > refusals[most] ? i : most;
        if (refusals[most] == 0)
            return;
        if (!any)
            print_title("Refused, in 7 days");
        any = true;
        printf("  %8llu  %s (%s)\n", (unsigned long long)refusals[most],
               x402_error_title((enum x402_error)most),
               x402_error_reason((enum x402_error)most));
        refusals[most] = 0;
    }
}

/* ------------------------------------------------------------------------ settlement
 */

static void print_queue(const struct x402_report *report,
                        const struct x402_report_token *token)
{
    const struct x402_count *due = &token->totals.monies[X402_MONEY_DUE];
    const struct x402_count *sent = &token->totals.monies[X402_MONEY_SUBMITTED];
    char label[X402_REPORT_LABEL_SIZE], age[X402_DURATION_TEXT_SIZE];
    char amount[X402_AMOUNT_TEXT_SIZE], risk[X402_AMOUNT_TEXT_SIZE];

    x402_report_network_label(label, &token->network);
    x402_amount_encode(amount, due->value + sent->value, token->network.decimals);
    x402_amount_encode(risk, token->unsettled.value, token->network.decimals);
    x402_cli_duration_encode(
        age, x402_report_age(report->now_seconds, token->totals.oldest_due_seconds) *
                 MICROSECONDS);
    printf("  %-18s%llu due, %llu sent, worth %s", label,
           (unsigned long long)due->count, (unsigned long long)sent->count, amount);
    if (due->count > 0)
        printf("; the oldest waits %s", age);
    printf("; served on credit: %s\n", risk);
}

static void print_settler(const struct x402_report *report,
                          const struct x402_settler_state *settler)
{
    uint64_t silence = x402_report_age(report->now_seconds, settler->heard_at_seconds);
    char label[X402_REPORT_LABEL_SIZE], heard[X402_DURATION_TEXT_SIZE];
    char address[X402_ADDRESS_TEXT_SIZE], ether[X402_AMOUNT_TEXT_SIZE];

    x402_report_chain_label(label, NULL, settler->chain_id);
    x402_cli_duration_encode(heard, silence * MICROSECONDS);
    printf("  %-18s%ssettler heard from %s ago%s", label,
           style(silence > SILENT_SECONDS ? X402_STYLE_BAD : X402_STYLE_GOOD), heard,
           plain());
    if (settler->in_flight > 0)
        printf(", %llu in flight", (unsigned long long)settler->in_flight);
    if (settler->latest_block > 0)
        printf(", block %llu", (unsigned long long)settler->latest_block);
    if (settler->remote) {
        puts(", through a facilitator");
        return;
    }
    x402_address_encode(address, settler->signer20);
    x402_amount_encode(ether, settler->gas_balance_wei, 18);
    printf("\n  %-18skey %s has %.10s ether for gas\n", "", address, ether);
}

static void print_settlement(const struct x402_report *report)
{
    if (report->tokens_count == 0)
        return;
    print_title("Settlement");
    for (size_t i = 0; i < report->tokens_count; i++)
        print_queue(report, &report->tokens[i]);
    for (size_t i = 0; i < report->settlers_count; i++)
        print_settler(report, &report->settlers[i]);
    if (report->settlers_count == 0)
        printf("  %sno settler was heard from in a week%s\n", style(X402_STYLE_WARN),
               plain());
}

void x402_overview_print(const struct x402_report *report)
{
    if (print_trouble(report) > 0)
        putchar('\n');
    for (size_t i = 0; i < report->tokens_count; i++) {
        fputs(i > 0 ? "\n" : "", stdout);
        print_token(report, &report->tokens[i]);
    }
    print_latency(report);
    print_routes(report);
    print_refusals(report);
    print_settlement(report);
}

void x402_overview_print_line(const struct x402_report *report)
{
    const struct x402_histogram *calls = &report->measures[X402_MEASURE_CALL];
    char time[X402_TIME_TEXT_SIZE], text[X402_DURATION_TEXT_SIZE];

    x402_cli_time_encode(time, report->now_seconds);
    fputs(time, stdout);
    for (size_t i = 0; i < report->tokens_count; i++) {
        const struct x402_report_token *token = &report->tokens[i];
        struct x402_count today = today_of(report, token->hours_delivered);
        char label[X402_REPORT_LABEL_SIZE], revenue[X402_AMOUNT_TEXT_SIZE];
        x402_report_network_label(label, &token->network);
        x402_amount_encode(revenue, today.value, token->network.decimals);
        x402_cli_duration_encode(
            text,
            x402_report_age(report->now_seconds, token->totals.oldest_due_seconds) *
                MICROSECONDS);
        printf("  %s: today %llu calls, %s earned, %llu due", label,
               (unsigned long long)today.count, revenue,
               (unsigned long long)token->totals.monies[X402_MONEY_DUE].count);
        if (token->totals.oldest_due_seconds != 0)
            printf(" for %s", text);
    }
    if (x402_histogram_count(calls) > 0) {
        x402_cli_duration_encode(text, x402_histogram_quantile(calls, 500));
        printf("  p50 %s", text);
    }
    putchar('\n');
}
