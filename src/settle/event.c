#include "settle/event.h"

#include "core/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
    const char *name, *level;
} kinds[] = {
#define INFO "info"
#define WARN "warn"
#define ERROR "error"
#define X402_NOTE_WORDS(symbol, name, level) {name, level},
    X402_NOTE_KINDS(X402_NOTE_WORDS)
#undef X402_NOTE_WORDS
#undef ERROR
#undef WARN
#undef INFO
};

const char *x402_note_name(enum x402_note_kind kind)
{
    return kinds[kind].name;
}

const char *x402_note_level(enum x402_note_kind kind)
{
    return kinds[kind].level;
}

/* -------------------------------------------------------------------------- members */

/* ,"name": — the first member, the time, is written without it. */
static void put_name(struct x402_text *out, const char *name)
{
    x402_text_put_string(out, ",\"");
    x402_text_put_string(out, name);
    x402_text_put_string(out, "\":");
}

static void put_quoted(struct x402_text *out, const char *text)
{
    x402_text_put_string(out, "\"");
    x402_text_put_escaped(out, x402_slice_of(text), X402_INVALID_REPLACED);
    x402_text_put_string(out, "\"");
}

static void put_text(struct x402_text *out, const char *name, const char *text)
{
    if (text[0] == '\0')
        return;
    put_name(out, name);
    put_quoted(out, text);
}

static void put_time(struct x402_text *out, int64_t milliseconds)
{
    time_t seconds = (time_t)(milliseconds / 1000);
    char text[48], fraction[8];
    struct tm parts;

    gmtime_r(&seconds, &parts);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(fraction, sizeof fraction, ".%03dZ", (int)(milliseconds % 1000));
    x402_text_put_string(out, text);
    x402_text_put_string(out, fraction);
}

static void put_chain(struct x402_text *out, const struct x402_note_event *event)
{
    if (event->chain_id != 0) {
        put_name(out, "chain");
        x402_text_put_string(out, "\"eip155:");
        x402_text_put_decimal(out, event->chain_id);
        x402_text_put_string(out, "\"");
    }
    put_text(out, "network", event->network);
}

static void put_payments(struct x402_text *out, const struct x402_note_event *event)
{
    size_t listed = event->payments_count;

    if (event->payments_count == 0)
        return;
    if (listed > X402_NOTE_PAYMENTS_MAX)
        listed = X402_NOTE_PAYMENTS_MAX;
    put_name(out, "count");
    x402_text_put_decimal(out, event->payments_count);
    put_name(out, "payments");
    for (size_t i = 0; i < listed; i++) {
        x402_text_put_string(out, i == 0 ? "[" : ",");
        x402_text_put_decimal(out, (uint64_t)event->payments[i].id);
    }
    x402_text_put_string(out, "]");
    if (event->payments[0].receipt[0] == '\0')
        return;
    put_name(out, "receipts");
    for (size_t i = 0; i < listed; i++) {
        x402_text_put_string(out, i == 0 ? "[" : ",");
        put_quoted(out, event->payments[i].receipt);
    }
    x402_text_put_string(out, "]");
}

static void put_money(struct x402_text *out, const struct x402_note_event *event)
{
    if (event->has_value) { /* a string: it may pass what a double holds */
        put_name(out, "value");
        x402_text_put_string(out, "\"");
        x402_text_put_decimal(out, event->value);
        x402_text_put_string(out, "\"");
    }
    if (event->has_transaction) {
        put_name(out, "transaction");
        x402_text_put_string(out, "\"0x");
        x402_text_put_hex(out, event->transaction32, 32);
        x402_text_put_string(out, "\"");
    }
    if (event->block != 0) {
        put_name(out, "block");
        x402_text_put_decimal(out, event->block);
    }
}

size_t x402_note_encode(char out[X402_NOTE_JSON_MAX],
                        const struct x402_note_event *event)
{
    struct x402_text text = x402_text_init(out, X402_NOTE_JSON_MAX - 1);

    x402_text_put_string(&text, "{\"time\":\"");
    put_time(&text, event->time_milliseconds);
    x402_text_put_string(&text, "\"");
    put_text(&text, "level", x402_note_level(event->kind));
    put_text(&text, "event", x402_note_name(event->kind));
    put_chain(&text, event);
    put_payments(&text, event);
    put_money(&text, event);
    put_text(&text, "reason", event->reason);
    put_text(&text, "message", event->message);
    x402_text_put_string(&text, "}");
    assert(!text.overflow); /* there is room for the longest */
    out[x402_text_size(&text)] = '\0';
    return x402_text_size(&text);
}
