/*
 * Writing text into a buffer of fixed size. What does not fit sets `overflow` and is
 * dropped; whoever finishes looks at it once. Pure; any thread.
 */
#ifndef X402_CORE_TEXT_H
#define X402_CORE_TEXT_H

#include <x402/bytes.h>

#include <string.h>

struct x402_text {
    char *start;
    char *at;
    char *end;
    bool overflow;
};

/* Decimal digits of the largest 64-bit number. */
#define X402_DECIMAL_SIZE_MAX 20

/* One input byte becomes at most six when escaped: \u001f. */
#define X402_JSON_ESCAPE_MAX 6

/* What the escaping writer puts for a byte that is not part of valid UTF-8. */
enum x402_invalid_utf8 {
    X402_INVALID_REPLACED,       /* U+FFFD */
    X402_INVALID_PERCENT_ENCODED /* %C3, as URLs do */
};

struct x402_text x402_text_init(char *buffer, size_t size);
size_t x402_text_size(const struct x402_text *text);

/* Inline, as most of what is put is short, and of a size known beforehand. */
static inline void x402_text_put(struct x402_text *text, struct x402_slice slice)
{
    if (text->overflow || (size_t)(text->end - text->at) < slice.size) {
        text->overflow = true;
        return;
    }
    if (slice.size > 0)
        memcpy(text->at, slice.data, slice.size);
    text->at += slice.size;
}

static inline void x402_text_put_string(struct x402_text *text,
                                        const char *zero_terminated)
{
    x402_text_put(text, (struct x402_slice){zero_terminated, strlen(zero_terminated)});
}

void x402_text_put_decimal(struct x402_text *text, uint64_t number);
void x402_text_put_hex(struct x402_text *text, const uint8_t *bytes, size_t size);
void x402_text_put_address(struct x402_text *text, const uint8_t address20[20]);

/*
 * Puts the inside of a JSON string (no quotes). A character that does not fit is left
 * out whole, with everything after it.
 */
void x402_text_put_escaped(struct x402_text *text, struct x402_slice slice,
                           enum x402_invalid_utf8 policy);

/* How many bytes from the first on stand for themselves in a JSON string: ASCII, no
 * control character, no quote and no backslash. Most texts are nothing else. */
size_t x402_json_plain_size(const uint8_t *bytes, size_t size);

/*
 * Size, 1 to 4, of the UTF-8 sequence `bytes` starts with (RFC 3629: shortest form, no
 * surrogates, at most U+10FFFF), or 0 when it starts with none.
 */
size_t x402_utf8_sequence_size(const uint8_t *bytes, size_t size);
bool x402_utf8_valid(struct x402_slice slice);

#endif
