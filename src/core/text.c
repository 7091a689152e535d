#include "core/text.h"

#include "core/little_endian.h"

#include <assert.h>
#include <string.h>

struct x402_text x402_text_init(char *buffer, size_t size)
{
    assert(buffer != NULL || size == 0);
    return (struct x402_text){.start = buffer, .at = buffer, .end = buffer + size};
}

size_t x402_text_size(const struct x402_text *text)
{
    return (size_t)(text->at - text->start);
}

void x402_text_put_decimal(struct x402_text *text, uint64_t number)
{
    char digits[X402_DECIMAL_SIZE_MAX];
    size_t first = sizeof digits;

    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    x402_text_put(text, (struct x402_slice){digits + first, sizeof digits - first});
}

void x402_text_put_hex(struct x402_text *text, const uint8_t *bytes, size_t size)
{
    char pair[2];

    for (size_t i = 0; i < size; i++) {
        x402_hex_encode(pair, bytes + i, 1);
        x402_text_put(text, (struct x402_slice){pair, sizeof pair});
    }
}

void x402_text_put_address(struct x402_text *text, const uint8_t address20[20])
{
    char address[X402_ADDRESS_TEXT_SIZE];

    x402_address_encode(address, address20);
    x402_text_put_string(text, address);
}

static size_t continuation_count(const uint8_t *bytes, size_t size)
{
    size_t count = 0;

    while (count < size && (bytes[count] & 0xc0) == 0x80)
        count++;
    return count;
}

size_t x402_utf8_sequence_size(const uint8_t *bytes, size_t size)
{
    if (size == 0)
        return 0;

    uint8_t lead = bytes[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;

    size_t sequence_size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (size < sequence_size ||
        continuation_count(bytes + 1, sequence_size - 1) != sequence_size - 1)
        return 0;

    uint8_t second = bytes[1];
    bool overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
    bool surrogate = lead == 0xed && second > 0x9f;
    bool too_large = lead == 0xf4 && second > 0x8f;
    return overlong || surrogate || too_large ? 0 : sequence_size;
}

bool x402_utf8_valid(struct x402_slice slice)
{
    const uint8_t *bytes = (const uint8_t *)slice.data;

    for (size_t at = 0; at < slice.size;) {
        size_t step = x402_utf8_sequence_size(bytes + at, slice.size - at);
        if (step == 0)
            return false;
        at += step;
    }
    return true;
}

static void put_invalid(struct x402_text *text, uint8_t byte,
                        enum x402_invalid_utf8 policy)
{
    static const char digits[] = "0123456789ABCDEF";
    char percent[3] = {'%', digits[byte >> 4], digits[byte & 15]};

    if (policy == X402_INVALID_PERCENT_ENCODED)
        x402_text_put(text, (struct x402_slice){percent, sizeof percent});
    else
        x402_text_put(text, X402_SLICE("\xef\xbf\xbd"));
}

static void put_ascii(struct x402_text *text, const char *character)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t byte = (uint8_t)*character;
    char control[6] = {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    char quoted[2] = {'\\', *character};

    if (byte < 0x20)
        x402_text_put(text, (struct x402_slice){control, sizeof control});
    else if (byte == '"' || byte == '\\')
        x402_text_put(text, (struct x402_slice){quoted, sizeof quoted});
    else
        x402_text_put(text, (struct x402_slice){character, 1});
}

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* The high bit of each byte that is zero; above the lowest of them, perhaps of more. */
static uint64_t zeros(uint64_t word)
{
    return (word - EACH_BYTE(0x01)) & ~word & EACH_BYTE(0x80);
}

/* The high bit of each byte that is not plain; above the lowest of them, perhaps of
 * more. */
static uint64_t unplain(uint64_t word)
{
    uint64_t control_or_beyond = ((word - EACH_BYTE(0x20)) | word) & EACH_BYTE(0x80);

    return control_or_beyond | zeros(word ^ EACH_BYTE('"')) |
           zeros(word ^ EACH_BYTE('\\'));
}

size_t x402_json_plain_size(const uint8_t *bytes, size_t size)
{
    size_t at = 0;

    for (; size - at >= 8; at += 8) {
        uint64_t found = unplain(x402_little_endian64(bytes + at));
        if (found != 0)
            return at + (size_t)__builtin_ctzll(found) / 8;
    }
    while (at < size && bytes[at] >= 0x20 && bytes[at] < 0x80 && bytes[at] != '"' &&
           bytes[at] != '\\')
        at++;
    return at;
}

void x402_text_put_escaped(struct x402_text *text, struct x402_slice slice,
                           enum x402_invalid_utf8 policy)
{
    size_t at = 0;

    while (at < slice.size && !text->overflow) {
        size_t run =
            x402_json_plain_size((const uint8_t *)slice.data + at, slice.size - at);
        size_t room = (size_t)(text->end - text->at);
        if (run > 0) {
            size_t fitting = run < room ? run : room;
            x402_text_put(text, (struct x402_slice){slice.data + at, fitting});
            text->overflow = fitting < run;
            at += fitting;
            continue;
        }

        const char *character = slice.data + at;
        size_t step =
            x402_utf8_sequence_size((const uint8_t *)character, slice.size - at);
        if (step == 0)
            put_invalid(text, (uint8_t)*character, policy);
        else if (step == 1)
            put_ascii(text, character);
        else
            x402_text_put(text, (struct x402_slice){character, step});
        at += step == 0 ? 1 : step;
    }
}
