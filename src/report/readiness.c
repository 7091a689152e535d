#include "core/clock.h"
#include "report/names.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_HOURS 24
#define SETTLERS_MAX 256 /* keys of a week, more than are shown */

/* What is looked at; too much for a thread's stack. */
struct sight {
    int64_t now_seconds;
    size_t tokens_count, settlers_count, chains_count;
    struct x402_totals tokens[X402_TOTALS_MAX];
    struct x402_settler_state settlers[SETTLERS_MAX];
    uint64_t chains[X402_TOTALS_MAX]; /* those that need a settler */
};

/* ---------------------------------------------------------------------------- reading
 */

static void need_settler(struct sight *sight, uint64_t chain_id)
{
    for (size_t i = 0; i < sight->chains_count; i++) {
        if (sight->chains[i] == chain_id)
            return;
    }
    if (sight->chains_count < X402_TOTALS_MAX)
        sight->chains[sight->chains_count++] = chain_id;
}

static bool take_sales(int64_t hour, const struct x402_sales *sales, void *data)
{
    (void)hour;
    if (sales->delivered.count > 0)
        need_settler(data, sales->chain_id);
    return true;
}

static bool look(struct sight *sight, struct x402_ledger *ledger)
{
    int64_t hour = sight->now_seconds / X402_HOUR_SECONDS;

    if (x402_ledger_totals(ledger, sight->tokens, X402_TOTALS_MAX,
                           &sight->tokens_count) != X402_OK)
        return false;
    for (size_t i = 0; i < sight->tokens_count; i++) {
        const struct x402_totals *token = &sight->tokens[i];
        if (token->monies[X402_MONEY_DUE].count > 0 ||
            token->monies[X402_MONEY_SUBMITTED].count > 0)
            need_settler(sight, token->chain_id);
    }
    return x402_ledger_sales(ledger, hour - DAY_HOURS, hour, take_sales, sight) ==
               X402_OK &&
           x402_ledger_settlers(ledger, sight->settlers, SETTLERS_MAX,
                                &sight->settlers_count) == X402_OK;
}

/* --------------------------------------------------------------------------- judging
 */

/* A later complaint stands behind an earlier one. */
__attribute__((format(printf, 2, 3))) static void complain(struct x402_readiness *out,
                                                           const char *format, ...)
{
    size_t at = strlen(out->why);
    va_list arguments;

    if (at > 0)
        at += (size_t)snprintf(out->why + at, sizeof out->why - at, "; ");
    if (at >= sizeof out->why)
        return;
    va_start(arguments, format);
    vsnprintf(out->why + at, sizeof out->why - at, format, arguments);
    va_end(arguments);
}

/* Seconds since any settler of the chain spoke; -1 when none ever did. */
static int64_t silence_of(const struct sight *sight, uint64_t chain_id)
{
    int64_t silence = -1;

    for (size_t i = 0; i < sight->settlers_count; i++) {
        int64_t since = sight->now_seconds - sight->settlers[i].heard_at_seconds;
        if (sight->settlers[i].chain_id != chain_id)
            continue;
        since = since > 0 ? since : 0;
        silence = silence < 0 || since < silence ? since : silence;
    }
    return silence;
}

static void judge_settlers(struct x402_readiness *out, const struct sight *sight,
                           int64_t seconds_max)
{
    char label[X402_REPORT_LABEL_SIZE];

    out->settler = true;
    for (size_t i = 0; i < sight->chains_count; i++) {
        int64_t silence = silence_of(sight, sight->chains[i]);
        if (silence < 0 || (out->heard_seconds >= 0 && silence > out->heard_seconds))
            out->heard_seconds = silence;
        if (silence >= 0 && silence <= seconds_max)
            continue;
        out->settler = false;
        x402_report_chain_label(label, NULL, sight->chains[i]);
        if (silence < 0)
            complain(out, "no settler of %s has been heard from", label);
        else
            complain(out, "no settler of %s has been heard from for %lld s", label,
                     (long long)silence);
    }
}

static void judge_due(struct x402_readiness *out, const struct sight *sight,
                      int64_t seconds_max)
{
    for (size_t i = 0; i < sight->tokens_count; i++) {
        int64_t since = sight->tokens[i].oldest_due_seconds;
        if (since != 0 && sight->now_seconds - since > out->oldest_due_seconds)
            out->oldest_due_seconds = sight->now_seconds - since;
    }
    out->due = out->oldest_due_seconds <= seconds_max;
    if (!out->due)
        complain(out, "a payment has been due for %lld s",
                 (long long)out->oldest_due_seconds);
}

void x402_report_readiness(struct x402_readiness *out, struct x402_ledger *ledger,
                           int64_t settler_seconds_max, int64_t due_seconds_max)
{
    struct sight *sight = calloc(1, sizeof *sight);

    memset(out, 0, sizeof *out);
    if (sight == NULL) {
        complain(out, "out of memory");
        return;
    }
    sight->now_seconds = x402_clock_seconds();
    out->ledger = look(sight, ledger);
    if (out->ledger) {
        judge_settlers(out, sight, settler_seconds_max);
        judge_due(out, sight, due_seconds_max);
    } else {
        complain(out, "the ledger cannot be read");
    }
    out->ready = out->ledger && out->settler && out->due;
    free(sight);
}
