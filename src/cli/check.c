/* `x402 check`: is the ledger sound, do the books balance, does the chain agree. */
#include "cli/check.h"
#include "cli/economics.h"
#include "cli/serve.h"

#include <x402/money.h>

#include <stdarg.h>
#include <string.h>

#define COMMAND "check"

static const char help[] =
    "usage: x402 check [--data DIR] [--books] [--rpc NETWORK=URL]... [--conf FILE]\n"
    "                  [--price USD]... [--ether-usd USD] [--json]\n"
    "\n"
    "Looks whether the ledger is sound, and what settling costs. Prints a line for\n"
    "each thing it looked at, ok, note or FAIL, and exits with 1 when one failed. It\n"
    "changes nothing and may run beside a gateway.\n"
    "\n"
    "  --data DIR           the ledger's directory; default /var/lib/x402 for root,\n"
    "                       ~/.local/share/x402 for others\n"
    "  --books              prove the sums: every payment admitted is delivered,\n"
    "                       void, abandoned, owed or pending, and what was delivered\n"
    "                       is due, submitted, settled, final or failed\n"
    "  --rpc NETWORK=URL    ask a node, too: what a call at each configured price\n"
    "                       costs to settle at the present fee, and from which price\n"
    "                       or fee on it loses money; with --books, that every "
    "payment\n"
    "                       settled or final moved its money in the transaction the\n"
    "                       ledger names (repeatable)\n"
    "  --conf FILE          the nginx configuration with the prices; default that of\n"
    "                       the x402 serve that runs on the data directory\n"
    "  --price USD          look at this price, too: 0.001 or 0.1c (repeatable)\n"
    "  --ether-usd USD      what the chain's own coin costs; default 3000\n"
    "  --json               one JSON object: {\"findings\": [...], \"ok\": ...}\n"
    "\n"
    "Examples\n"
    "  x402 check --books\n"
    "  x402 check --rpc base=https://mainnet.base.org --price 0.001\n"
    "  x402 check --books --rpc base-sepolia=https://sepolia.base.org\n";

/* ---------------------------------------------------------------------- findings */

static void print_json(const struct x402_findings *findings, enum x402_finding finding,
                       const char *subject, const char *text)
{
    static const char *const names[] = {"ok", "note", "fail"};
    printf("%s{\"result\":\"%s\",\"subject\":", findings->count > 0 ? ",\n " : "",
           names[finding]);
    x402_cli_json_string(stdout, subject);
    fputs(",\"message\":", stdout);
    x402_cli_json_string(stdout, text);
    putchar('}');
}

static void print_line(enum x402_finding finding, const char *subject, const char *text)
{
    static const char *const names[] = {"ok", "note", "FAIL"};
    static const enum x402_style styles[] = {X402_STYLE_GOOD, X402_STYLE_WARN,
                                             X402_STYLE_BAD};
    printf("%s%-4s%s  %-14s  ", x402_cli_style(stdout, styles[finding]), names[finding],
           x402_cli_style(stdout, X402_STYLE_PLAIN), subject);
    x402_cli_print_safe(stdout, text);
    putchar('\n');
}

void x402_finding_add(struct x402_findings *findings, enum x402_finding finding,
                      const char *subject, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (findings->json)
        print_json(findings, finding, subject, text);
    else
        print_line(finding, subject, text);
    findings->count++;
    if (finding == X402_FINDING_FAIL)
        findings->failed++;
}

/* ------------------------------------------------------------------------ ledger */

static struct x402_ledger *check_ledger(struct x402_findings *findings,
                                        const char *path)
{
    char message[X402_LEDGER_MESSAGE_MAX];
    static struct x402_totals totals[X402_TOTALS_MAX];
    struct x402_ledger *ledger = NULL;
    size_t count;
    uint64_t payments = 0;
    if (x402_ledger_open(&ledger, path, X402_LEDGER_READ, message) != X402_OK) {
        x402_finding_add(findings, X402_FINDING_FAIL, "ledger", "%s", message);
        return NULL;
    }
    if (x402_ledger_totals(ledger, totals, X402_TOTALS_MAX, &count) != X402_OK) {
        x402_finding_add(findings, X402_FINDING_FAIL, "ledger", "%s",
                         x402_ledger_message(ledger));
        return ledger;
    }
    for (size_t i = 0; i < count; i++)
        payments += totals[i].admitted.count;
    x402_finding_add(findings, X402_FINDING_OK, "ledger",
                     "%s opens, its schema is this version's, %llu payments admitted",
                     path, (unsigned long long)payments);
    return ledger;
}

static void check_books(struct x402_findings *findings, struct x402_ledger *ledger)
{
    char message[X402_LEDGER_MESSAGE_MAX] = "";
    enum x402_error error = x402_ledger_books(ledger, message);
    if (error == X402_OK)
        x402_finding_add(findings, X402_FINDING_OK, "books",
                         "the sums hold, and every payment is in a state it can reach");
    else
        x402_finding_add(findings, X402_FINDING_FAIL, "books", "%s",
                         message[0] ? message : x402_ledger_message(ledger));
}

/* --------------------------------------------------------------------------- run */

static int decode_rpcs(struct x402_rpc_option *out,
                       const struct x402_option_list *texts)
{
    for (size_t i = 0; i < texts->count; i++) {
        const char *why;
        if (x402_cli_rpc_decode(&out[i], &why, texts->items[i]) != X402_OK)
            return x402_cli_usage_error(COMMAND, "--rpc: '%s': %s", texts->items[i],
                                        why);
    }
    return 0;
}

/* What was asked for. */
struct request {
    const char *data, *conf, *ether_usd;
    bool books, json;
    struct x402_option_list rpc_texts, price_texts;
    struct x402_rpc_option rpcs[X402_OPTION_LIST_MAX];
    uint64_t ether_micro_usd;
    char ledger_path[X402_PATH_MAX];
    char conf_path[X402_PATH_MAX + 8];
    struct x402_price named[X402_OPTION_LIST_MAX]; /* by --price */
    struct x402_prices prices;                     /* in the configuration */
};

static int decode_usd(uint64_t *out, const char *flag, const char *text)
{
    const char *why = NULL;
    if (x402_usd_decode(out, &why, x402_slice_of(text)) == X402_OK)
        return 0;
    return x402_cli_usage_error(COMMAND, "%s: '%s': %s", flag, text,
                                why ? why : "not a number");
}

static int decode_prices(struct request *request)
{
    const struct x402_option_list *texts = &request->price_texts;
    for (size_t i = 0; i < texts->count; i++) {
        struct x402_price *price = &request->named[i];
        if (decode_usd(&price->micro_usd, "--price", texts->items[i]) != 0)
            return X402_EXIT_USAGE;
        snprintf(price->where, sizeof price->where, "--price");
    }
    return 0;
}

static int decode(struct request *request)
{
    request->ether_micro_usd = X402_ETHER_MICRO_USD_DEFAULT;
    if (decode_rpcs(request->rpcs, &request->rpc_texts) != 0 ||
        decode_prices(request) != 0 ||
        (request->ether_usd != NULL &&
         decode_usd(&request->ether_micro_usd, "--ether-usd", request->ether_usd) != 0))
        return X402_EXIT_USAGE;
    if (request->rpc_texts.count == 0 &&
        (request->price_texts.count > 0 || request->conf != NULL))
        return x402_cli_usage_error(COMMAND, "what a price costs to settle is asked of "
                                             "a node: name one with --rpc");
    return 0;
}

static bool find_files(struct request *request)
{
    char data_dir[X402_PATH_MAX], prefix[X402_PATH_MAX];
    if (!x402_cli_ledger_path(request->ledger_path, COMMAND, request->data) ||
        !x402_cli_data_dir(data_dir, COMMAND, request->data) ||
        !x402_serve_run_prefix(prefix, data_dir))
        return false;
    snprintf(request->conf_path, sizeof request->conf_path, "%s%s",
             request->conf ? request->conf : prefix, request->conf ? "" : "conf");
    return true;
}

static void check_network(struct x402_findings *findings, struct x402_ledger *ledger,
                          const struct request *request, size_t index)
{
    const struct x402_rpc_option *rpc = &request->rpcs[index];
    if (ledger != NULL && request->books)
        x402_check_chain(findings, ledger, rpc);
    x402_check_cost(findings, rpc, request->ether_micro_usd, request->named,
                    request->price_texts.count, &request->prices);
}

static int check(struct request *request)
{
    struct x402_findings findings = {.json = request->json};
    if (request->json)
        fputs("{\"findings\":[", stdout);
    struct x402_ledger *ledger = check_ledger(&findings, request->ledger_path);
    if (ledger != NULL && request->books)
        check_books(&findings, ledger);
    if (request->rpc_texts.count > 0)
        x402_check_prices(&findings, &request->prices, request->conf_path,
                          request->conf != NULL);
    for (size_t i = 0; i < request->rpc_texts.count; i++)
        check_network(&findings, ledger, request, i);
    x402_ledger_close(ledger);
    if (request->json)
        printf("],\n\"ok\":%s}\n", findings.failed == 0 ? "true" : "false");
    return findings.failed == 0 ? X402_EXIT_DONE : X402_EXIT_FAILED;
}

int x402_cli_check(int argc, char **argv)
{
    static struct request request;
    const struct x402_option options[] = {
        {"data", 0, X402_OPTION_TEXT, &request.data},
        {"books", 0, X402_OPTION_FLAG, &request.books},
        {"rpc", 0, X402_OPTION_LIST, &request.rpc_texts},
        {"conf", 0, X402_OPTION_TEXT, &request.conf},
        {"price", 0, X402_OPTION_LIST, &request.price_texts},
        {"ether-usd", 0, X402_OPTION_TEXT, &request.ether_usd},
        {"json", 0, X402_OPTION_FLAG, &request.json},
        {NULL, 0, X402_OPTION_FLAG, NULL},
    };
    struct x402_arguments arguments = {.help = help, .options = options};
    enum x402_parsed parsed = x402_cli_parse(&arguments, argc, argv);
    if (parsed != X402_PARSED_RUN)
        return parsed == X402_PARSED_HELP ? X402_EXIT_DONE : X402_EXIT_USAGE;
    if (decode(&request) != 0)
        return X402_EXIT_USAGE;
    return find_files(&request) ? check(&request) : X402_EXIT_FAILED;
}
