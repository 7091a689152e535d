#include "core/json.h"

#include "core/text.h"

#include <assert.h>
#include <string.h>

static bool fail(struct x402_json *json, const char *expected)
{
    json->expected = expected;
    return false;
}

/* The byte at the place of reading; 0, which no JSON has outside of a string, at the
 * end. */
static uint8_t peek(const struct x402_json *json)
{
    return json->at < json->size ? json->text[json->at] : 0;
}

static uint8_t peek_past_space(struct x402_json *json)
{
    uint8_t byte = peek(json);

    while (byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r') {
        json->at++;
        byte = peek(json);
    }
    return byte;
}

static bool take(struct x402_json *json, uint8_t wanted)
{
    if (peek(json) != wanted)
        return false;
    json->at++;
    return true;
}

static struct x402_json_token *add_token(struct x402_json *json,
                                         enum x402_json_kind kind)
{
    if (json->count == X402_JSON_TOKENS_MAX)
        return NULL;
    struct x402_json_token *token = &json->tokens[json->count++];
    *token =
        (struct x402_json_token){.end = (uint16_t)json->count, .kind = (uint8_t)kind};
    return token;
}

static bool too_many(struct x402_json *json)
{
    return fail(json, "at most 512 JSON values and names");
}

/* ------------------------------------------------------------------------- strings */

/* The four hex digits of an escape, or UINT32_MAX. */
static uint32_t take_code_unit(struct x402_json *json)
{
    uint8_t bytes[2];

    if (json->size - json->at < 4)
        return UINT32_MAX;
    struct x402_slice digits = {(const char *)json->text + json->at, 4};
    if (!x402_hex_decode(bytes, sizeof bytes, digits))
        return UINT32_MAX;
    json->at += 4;
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

/* What stands after \u: one code unit, or a surrogate pair. */
static bool take_code_point(struct x402_json *json, uint32_t *out)
{
    uint32_t unit = take_code_unit(json);

    if (unit == UINT32_MAX)
        return fail(json, "four hex digits after \\u");
    if (unit == 0)
        return fail(json, "no zero character in a string");
    if (unit >= 0xdc00 && unit <= 0xdfff)
        return fail(json, "surrogates in pairs");
    if (unit < 0xd800 || unit > 0xdbff) {
        *out = unit;
        return true;
    }

    uint32_t low =
        take(json, '\\') && take(json, 'u') ? take_code_unit(json) : UINT32_MAX;
    if (low < 0xdc00 || low > 0xdfff)
        return fail(json, "surrogates in pairs");
    *out = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static uint8_t *put_utf8(uint8_t *out, uint32_t point)
{
    if (point < 0x80) {
        *out++ = (uint8_t)point;
        return out;
    }
    if (point < 0x800) {
        *out++ = (uint8_t)(0xc0 | point >> 6);
    } else if (point < 0x10000) {
        *out++ = (uint8_t)(0xe0 | point >> 12);
        *out++ = (uint8_t)(0x80 | (point >> 6 & 0x3f));
    } else {
        *out++ = (uint8_t)(0xf0 | point >> 18);
        *out++ = (uint8_t)(0x80 | (point >> 12 & 0x3f));
        *out++ = (uint8_t)(0x80 | (point >> 6 & 0x3f));
    }
    *out++ = (uint8_t)(0x80 | (point & 0x3f));
    return out;
}

/* What stands after a backslash. It is never shorter than what it means, so `out` stays
 * behind the place of reading. */
static bool take_escape(struct x402_json *json, uint8_t **out)
{
    static const char letters[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    uint8_t letter = peek(json);
    uint32_t point;

    if (take(json, 'u')) {
        if (!take_code_point(json, &point))
            return false;
        *out = put_utf8(*out, point);
        return true;
    }
    const char *known = letter == 0 ? NULL : strchr(letters, letter);
    if (known == NULL)
        return fail(json, "an escape that JSON knows");
    json->at++;
    *(*out)++ = (uint8_t)meanings[known - letters];
    return true;
}

/* Moves the characters that stand for themselves; most strings are nothing else. */
static uint8_t *take_plain(struct x402_json *json, uint8_t *out)
{
    const uint8_t *start = json->text + json->at;
    size_t size = x402_json_plain_size(start, json->size - json->at);

    if (out != start)
        memmove(out, start, size);
    json->at += size;
    return out + size;
}

static bool take_unusual(struct x402_json *json, uint8_t **out)
{
    if (take(json, '\\'))
        return take_escape(json, out);

    const uint8_t *in = json->text + json->at;
    size_t size = x402_utf8_sequence_size(in, json->size - json->at);
    if (size == 0)
        return fail(json, "valid UTF-8");
    if (in[0] < 0x20)
        return fail(json, "no control character in a string");
    memmove(*out, in, size);
    *out += size;
    json->at += size;
    return true;
}

/* The rest of a string after its opening quote. */
static bool parse_string(struct x402_json *json)
{
    struct x402_json_token *token = add_token(json, X402_JSON_STRING);
    uint8_t *start = json->text + json->at;
    uint8_t *out = start;

    if (token == NULL)
        return too_many(json);
    for (;;) {
        out = take_plain(json, out);
        if (json->at == json->size)
            return fail(json, "a closing quote");
        if (take(json, '"'))
            break;
        if (!take_unusual(json, &out))
            return false;
    }
    token->start = (uint32_t)(start - json->text);
    token->size = (uint32_t)(out - start);
    return true;
}

/* ------------------------------------------------------------- numbers and literals */

static bool take_digits(struct x402_json *json)
{
    size_t before = json->at;

    while (peek(json) >= '0' && peek(json) <= '9')
        json->at++;
    return json->at > before;
}

static bool take_number(struct x402_json *json)
{
    take(json, '-');
    if (!take(json, '0') && !take_digits(json))
        return false;
    if (take(json, '.') && !take_digits(json))
        return false;
    if (take(json, 'e') || take(json, 'E')) {
        if (!take(json, '+'))
            take(json, '-');
        return take_digits(json);
    }
    return true;
}

static bool parse_number(struct x402_json *json)
{
    size_t start = json->at;

    if (!take_number(json))
        return fail(json, "a number as JSON writes them");
    struct x402_json_token *token = add_token(json, X402_JSON_NUMBER);
    if (token == NULL)
        return too_many(json);
    token->start = (uint32_t)start;
    token->size = (uint32_t)(json->at - start);
    return true;
}

static bool parse_literal(struct x402_json *json)
{
    static const struct {
        struct x402_slice text;
        enum x402_json_kind kind;
    } literals[] = {{X402_SLICE("true"), X402_JSON_TRUE},
                    {X402_SLICE("false"), X402_JSON_FALSE},
                    {X402_SLICE("null"), X402_JSON_NULL}};
    const uint8_t *here = json->text + json->at;
    size_t left = json->size - json->at;

    for (size_t i = 0; i < sizeof literals / sizeof literals[0]; i++) {
        struct x402_slice text = literals[i].text;
        if (left < text.size || memcmp(here, text.data, text.size) != 0)
            continue;
        json->at += text.size;
        return add_token(json, literals[i].kind) != NULL || too_many(json);
    }
    return fail(json, "a JSON value");
}

/* ----------------------------------------------------------------------- containers */

static bool parse_value(struct x402_json *json);

/* Names mostly differ in size already, and there are many to compare. */
static bool is_named(const struct x402_json *json, unsigned token,
                     struct x402_slice name)
{
    const struct x402_json_token *found = &json->tokens[token];

    return found->size == name.size &&
           memcmp(json->text + found->start, name.data, name.size) == 0;
}

static bool name_is_new(const struct x402_json *json, unsigned object, unsigned name)
{
    struct x402_slice text = x402_json_text(json, name);
    unsigned other = object + 1;

    while (other < name) {
        if (is_named(json, other, text))
            return false;
        other = json->tokens[other + 1].end;
    }
    return true;
}

static bool parse_member(struct x402_json *json, unsigned object)
{
    unsigned name = (unsigned)json->count;

    if (peek_past_space(json) != '"')
        return fail(json, "a member's name in quotes");
    json->at++;
    if (!parse_string(json))
        return false;
    json->names[json->depth - 1] = (uint16_t)name;
    if (!name_is_new(json, object, name))
        return fail(json, "each member once");
    if (peek_past_space(json) != ':')
        return fail(json, "a colon after a member's name");
    json->at++;
    return parse_value(json);
}

static bool parse_members(struct x402_json *json, unsigned object)
{
    for (unsigned count = 0; count < X402_JSON_MEMBERS_MAX; count++) {
        if (!parse_member(json, object))
            return false;
        json->names[json->depth - 1] = 0;

        uint8_t next = peek_past_space(json);
        if (next != ',' && next != '}')
            return fail(json, "a comma or a closing brace");
        json->at++;
        if (next == '}')
            return true;
    }
    return fail(json, "at most 64 members in an object");
}

/* Ends at the latest when the tokens run out. */
static bool parse_elements(struct x402_json *json)
{
    for (;;) {
        if (!parse_value(json))
            return false;

        uint8_t next = peek_past_space(json);
        if (next != ',' && next != ']')
            return fail(json, "a comma or a closing bracket");
        json->at++;
        if (next == ']')
            return true;
    }
}

static bool parse_container(struct x402_json *json, enum x402_json_kind kind)
{
    unsigned index = (unsigned)json->count;

    if (json->depth == X402_JSON_DEPTH_MAX)
        return fail(json, "at most 8 levels of nesting");
    if (add_token(json, kind) == NULL)
        return too_many(json);

    json->names[json->depth++] = 0;
    json->at++;
    bool object = kind == X402_JSON_OBJECT;
    if (peek_past_space(json) == (object ? '}' : ']'))
        json->at++;
    else if (!(object ? parse_members(json, index) : parse_elements(json)))
        return false;
    json->depth--;
    json->tokens[index].end = (uint16_t)json->count;
    return true;
}

/* Recursion is as deep as the nesting, which parse_container limits. */
static bool parse_value(struct x402_json *json)
{
    uint8_t first = peek_past_space(json);

    if (first == '{')
        return parse_container(json, X402_JSON_OBJECT);
    if (first == '[')
        return parse_container(json, X402_JSON_ARRAY);
    if (first == '"') {
        json->at++;
        return parse_string(json);
    }
    if (first == '-' || (first >= '0' && first <= '9'))
        return parse_number(json);
    return parse_literal(json);
}

bool x402_json_parse(struct x402_json *json, uint8_t *text, size_t size)
{
    assert(text != NULL && size <= UINT32_MAX);
    json->text = text;
    json->size = size;
    json->at = 0;
    json->expected = NULL;
    json->count = 0;
    json->depth = 0;
    if (!parse_value(json))
        return false;
    peek_past_space(json);
    return json->at == size || fail(json, "nothing after the JSON");
}

/* -------------------------------------------------------------------------- looking */

enum x402_json_kind x402_json_kind_of(const struct x402_json *json, unsigned token)
{
    assert(token < json->count);
    return (enum x402_json_kind)json->tokens[token].kind;
}

struct x402_slice x402_json_text(const struct x402_json *json, unsigned token)
{
    assert(token < json->count);
    const struct x402_json_token *found = &json->tokens[token];
    return (struct x402_slice){(const char *)json->text + found->start, found->size};
}

unsigned x402_json_member(const struct x402_json *json, unsigned object,
                          struct x402_slice name)
{
    if (x402_json_kind_of(json, object) != X402_JSON_OBJECT)
        return X402_JSON_ROOT;
    for (unsigned at = object + 1; at < json->tokens[object].end;
         at = json->tokens[at + 1].end)
        if (is_named(json, at, name))
            return at + 1;
    return X402_JSON_ROOT;
}

size_t x402_json_path(char *out, size_t out_max, const struct x402_json *json,
                      size_t components)
{
    struct x402_text path = x402_text_init(out, out_max);

    for (size_t i = 0; i < components && i < json->depth; i++) {
        if (json->names[i] == 0)
            break;
        if (i > 0)
            x402_text_put_string(&path, ".");
        x402_text_put(&path, x402_json_text(json, json->names[i]));
    }
    return x402_text_size(&path);
}
