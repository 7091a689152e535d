#include "report/buffer.h"

void x402_report_metrics(struct x402_text_buffer *out, struct x402_ledger *ledger,
                         const struct x402_report_options *how)
{
    static struct x402_totals totals[X402_TOTALS_MAX];
    size_t count;
    bool up = x402_ledger_totals(ledger, totals, X402_TOTALS_MAX, &count) == X402_OK;

    (void)how;
    x402_buffer_put_string(out, "# HELP x402_ledger_up 1 when the ledger can be read.\n"
                                "# TYPE x402_ledger_up gauge\n"
                                "x402_ledger_up ");
    x402_buffer_put_string(out, up ? "1\n" : "0\n");
}
