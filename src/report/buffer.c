#include "report/buffer.h"

#include "core/text.h"

#include <x402/money.h>

#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 4096

/* Room for `size` more bytes and the zero; NULL, and failed, when there is none. */
static char *room(struct x402_text_buffer *out, size_t size)
{
    size_t capacity = out->capacity > 0 ? out->capacity : CAPACITY_FIRST;
    char *grown;

    out->failed = out->failed || size >= SIZE_MAX / 4 - out->size;
    if (out->failed)
        return NULL;
    if (out->size + size < out->capacity)
        return out->data + out->size;
    while (capacity <= out->size + size)
        capacity *= 2;
    grown = realloc(out->data, capacity);
    if (grown == NULL) {
        out->failed = true;
        return NULL;
    }
    out->data = grown;
    out->capacity = capacity;
    return out->data + out->size;
}

/* Keeps `size` bytes that were written there. */
static void keep(struct x402_text_buffer *out, size_t size)
{
    out->size += size;
    out->failed = out->max != 0 && out->size > out->max;
    out->data[out->size] = '\0';
}

void x402_buffer_put(struct x402_text_buffer *out, struct x402_slice text)
{
    char *at = room(out, text.size);

    if (at == NULL)
        return;
    if (text.size > 0)
        memcpy(at, text.data, text.size);
    keep(out, text.size);
}

void x402_buffer_put_string(struct x402_text_buffer *out, const char *text)
{
    x402_buffer_put(out, x402_slice_of(text));
}

void x402_buffer_put_unsigned(struct x402_text_buffer *out, uint64_t number)
{
    char digits[X402_DECIMAL_SIZE_MAX];
    struct x402_text text = x402_text_init(digits, sizeof digits);

    x402_text_put_decimal(&text, number);
    x402_buffer_put(out, (struct x402_slice){digits, x402_text_size(&text)});
}

void x402_buffer_put_signed(struct x402_text_buffer *out, int64_t number)
{
    if (number < 0)
        x402_buffer_put(out, X402_SLICE("-"));
    x402_buffer_put_unsigned(out, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

void x402_buffer_put_scaled(struct x402_text_buffer *out, uint64_t number,
                            unsigned decimals)
{
    char text[X402_AMOUNT_TEXT_SIZE];

    x402_amount_encode(text, number, decimals);
    x402_buffer_put_string(out, text);
}

/* ------------------------------------------------------------------------------ JSON
 */

void x402_buffer_comma(struct x402_text_buffer *out)
{
    char last = out->size > 0 ? out->data[out->size - 1] : '{';

    if (last != '{' && last != '[' && last != ':')
        x402_buffer_put(out, X402_SLICE(","));
}

void x402_buffer_member(struct x402_text_buffer *out, const char *name)
{
    x402_buffer_comma(out);
    x402_buffer_put(out, X402_SLICE("\""));
    x402_buffer_put_string(out, name);
    x402_buffer_put(out, X402_SLICE("\":"));
}

void x402_buffer_put_json(struct x402_text_buffer *out, const char *text)
{
    struct x402_slice slice = x402_slice_of(text);
    size_t size_max = slice.size * X402_JSON_ESCAPE_MAX + 2;
    char *at = room(out, size_max);

    if (at == NULL)
        return;
    struct x402_text inside = x402_text_init(at, size_max);
    x402_text_put(&inside, X402_SLICE("\""));
    x402_text_put_escaped(&inside, slice, X402_INVALID_REPLACED);
    x402_text_put(&inside, X402_SLICE("\""));
    keep(out, x402_text_size(&inside));
}

void x402_buffer_put_json_hex(struct x402_text_buffer *out, const uint8_t *bytes,
                              size_t size)
{
    char *at = room(out, 2 * size + 4);

    if (at == NULL)
        return;
    struct x402_text text = x402_text_init(at, 2 * size + 4);
    x402_text_put(&text, X402_SLICE("\"0x"));
    x402_text_put_hex(&text, bytes, size);
    x402_text_put(&text, X402_SLICE("\""));
    keep(out, x402_text_size(&text));
}

/* ------------------------------------------------------------------------ Prometheus
 */

static void put_label_character(struct x402_text *text, struct x402_slice character)
{
    if (character.data[0] == '\n')
        x402_text_put(text, X402_SLICE("\\n"));
    else if (character.data[0] == '"' || character.data[0] == '\\') {
        x402_text_put(text, X402_SLICE("\\"));
        x402_text_put(text, character);
    } else
        x402_text_put(text, character);
}

void x402_buffer_put_label(struct x402_text_buffer *out, const char *text)
{
    struct x402_slice slice = x402_slice_of(text);
    size_t size_max = slice.size * 3 + 2; /* U+FFFD has three bytes */
    char *start = room(out, size_max);

    if (start == NULL)
        return;
    struct x402_text inside = x402_text_init(start, size_max);
    x402_text_put(&inside, X402_SLICE("\""));
    for (size_t at = 0; at < slice.size;) {
        size_t step =
            x402_utf8_sequence_size((const uint8_t *)slice.data + at, slice.size - at);
        if (step == 0)
            x402_text_put(&inside, X402_SLICE("\xef\xbf\xbd"));
        else
            put_label_character(&inside, (struct x402_slice){slice.data + at, step});
        at += step == 0 ? 1 : step;
    }
    x402_text_put(&inside, X402_SLICE("\""));
    keep(out, x402_text_size(&inside));
}
