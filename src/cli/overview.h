/* `x402 stats`: the figures of the week, the queue, the settlers, and what is wrong. */
#ifndef X402_CLI_OVERVIEW_H
#define X402_CLI_OVERVIEW_H

#include "cli/cli.h"
#include "report/report.h"

/* Tables for people: what is wrong first, when something is. */
void x402_overview_print(const struct x402_report *report);

/* The same in one line, for a log. */
void x402_overview_print_line(const struct x402_report *report);

#endif
