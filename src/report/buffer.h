/*
 * Writing into a struct x402_text_buffer (report.h). What does not fit sets `failed`
 * and is dropped, with all that follows; whoever finishes looks at it once. While it
 * has not failed, `data` ends with a zero that `size` does not count. One thread.
 */
#ifndef X402_REPORT_BUFFER_H
#define X402_REPORT_BUFFER_H

#include "report/report.h"

void x402_buffer_put(struct x402_text_buffer *out, struct x402_slice text);
void x402_buffer_put_string(struct x402_text_buffer *out, const char *text);
void x402_buffer_put_unsigned(struct x402_text_buffer *out, uint64_t number);
void x402_buffer_put_signed(struct x402_text_buffer *out, int64_t number);

/* `number` divided by 10^decimals, exactly: "0.0015". */
void x402_buffer_put_scaled(struct x402_text_buffer *out, uint64_t number,
                            unsigned decimals);

/* ------------------------------------------------------------------------------ JSON
 */

/* A comma, unless something was just opened: a '{', '[' or a member's ':'. */
void x402_buffer_comma(struct x402_text_buffer *out);

/* A comma where one belongs, and "name":. The name needs no escaping. */
void x402_buffer_member(struct x402_text_buffer *out, const char *name);

/* A JSON string with its quotes; what is not UTF-8 becomes U+FFFD. */
void x402_buffer_put_json(struct x402_text_buffer *out, const char *text);

/* A JSON string "0x…" of bytes. */
void x402_buffer_put_json_hex(struct x402_text_buffer *out, const uint8_t *bytes,
                              size_t size);

/* ------------------------------------------------------------------------ Prometheus
 */

/* A label's value with its quotes (text format 0.0.4); what is not UTF-8 becomes
 * U+FFFD. */
void x402_buffer_put_label(struct x402_text_buffer *out, const char *text);

#endif
