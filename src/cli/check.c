/* `x402 check`: is the ledger sound, do the books balance, does the chain agree. */
#include "cli/check.h"

#include <stdarg.h>
#include <string.h>

#define COMMAND "check"

static const char help[] =
    "usage: x402 check [--data DIR] [--books] [--rpc NETWORK=URL]... [--json]\n"
    "\n"
    "Looks whether the ledger is sound. Prints a line for each thing it looked at,\n"
    "ok, note or FAIL, and exits with 1 when one failed. It changes nothing and may\n"
    "run beside a gateway.\n"
    "\n"
    "  --data DIR           the ledger's directory; default /var/lib/x402 for root,\n"
    "                       ~/.local/share/x402 for others\n"
    "  --books              prove the sums: every payment admitted is delivered,\n"
    "                       void, abandoned, owed or pending, and what was delivered\n"
    "                       is due, submitted, settled, final or failed\n"
    "  --rpc NETWORK=URL    ask a node, too: every payment that is settled or final\n"
    "                       moved its money in the transaction the ledger names\n"
    "                       (repeatable)\n"
    "  --json               one JSON object: {\"findings\": [...], \"ok\": ...}\n"
    "\n"
    "Examples\n"
    "  x402 check --books\n"
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

static int check(const char *path, bool books, bool json,
                 const struct x402_rpc_option *rpcs, size_t rpcs_count)
{
    struct x402_findings findings = {.json = json};
    if (json)
        fputs("{\"findings\":[", stdout);
    struct x402_ledger *ledger = check_ledger(&findings, path);
    if (ledger != NULL && books)
        check_books(&findings, ledger);
    for (size_t i = 0; ledger != NULL && i < rpcs_count; i++)
        x402_check_chain(&findings, ledger, &rpcs[i]);
    x402_ledger_close(ledger);
    if (json)
        printf("],\n\"ok\":%s}\n", findings.failed == 0 ? "true" : "false");
    return findings.failed == 0 ? X402_EXIT_DONE : X402_EXIT_FAILED;
}

int x402_cli_check(int argc, char **argv)
{
    static struct x402_option_list rpc_texts;
    static struct x402_rpc_option rpcs[X402_OPTION_LIST_MAX];
    const char *data = NULL;
    bool books = false, json = false;
    char path[X402_PATH_MAX];
    const struct x402_option options[] = {
        {"data", 0, X402_OPTION_TEXT, &data},
        {"books", 0, X402_OPTION_FLAG, &books},
        {"rpc", 0, X402_OPTION_LIST, &rpc_texts},
        {"json", 0, X402_OPTION_FLAG, &json},
        {NULL, 0, X402_OPTION_FLAG, NULL},
    };
    struct x402_arguments arguments = {.help = help, .options = options};
    enum x402_parsed parsed = x402_cli_parse(&arguments, argc, argv);
    if (parsed != X402_PARSED_RUN)
        return parsed == X402_PARSED_HELP ? X402_EXIT_DONE : X402_EXIT_USAGE;
    if (decode_rpcs(rpcs, &rpc_texts) != 0)
        return X402_EXIT_USAGE;
    if (!x402_cli_ledger_path(path, COMMAND, data))
        return X402_EXIT_FAILED;
    return check(path, books, json, rpcs, rpc_texts.count);
}
