#include "report/buffer.h"

void x402_report_json(struct x402_text_buffer *out, const struct x402_report *report,
                      const struct x402_report_options *how)
{
    x402_buffer_put_string(out, "{\"time\":");
    x402_buffer_put_signed(out, report->now_seconds);
    x402_buffer_put_string(out,
                           how->private ? ",\"private\":true}" : ",\"private\":false}");
}
