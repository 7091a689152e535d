/*
 * A strict JSON reader (RFC 8259) without a heap. The whole text is checked before
 * anything is looked up: UTF-8, escapes, numbers, nesting, and that no object names a
 * member twice. Strings are unescaped in place, so the text is changed, and every slice
 * borrows from it. Pure; any thread.
 */
#ifndef X402_CORE_JSON_H
#define X402_CORE_JSON_H

#include <x402/payment.h>

#define X402_JSON_TOKENS_MAX 512
#define X402_JSON_MEMBERS_MAX 64
#define X402_JSON_DEPTH_MAX X402_PAYMENT_JSON_DEPTH_MAX

enum x402_json_kind {
    X402_JSON_OBJECT,
    X402_JSON_ARRAY,
    X402_JSON_STRING,
    X402_JSON_NUMBER,
    X402_JSON_TRUE,
    X402_JSON_FALSE,
    X402_JSON_NULL,
};

/* A container is followed by its contents; in an object each name by its value. */
struct x402_json_token {
    uint32_t start; /* of a string or number, in the text */
    uint32_t size;
    uint16_t end; /* the token after this one and all it contains */
    uint8_t kind;
};

struct x402_json {
    uint8_t *text;
    size_t size;
    size_t at;
    const char *expected; /* after a failure: what should have stood there */
    size_t count;
    size_t depth;
    /* Names of the members being read, outermost first; 0 in an array. After a failure:
     * where it was. */
    uint16_t names[X402_JSON_DEPTH_MAX];
    struct x402_json_token tokens[X402_JSON_TOKENS_MAX];
};

/* The first token is the document. */
#define X402_JSON_ROOT 0U

/* False when the text is not exactly one JSON value within the bounds. */
X402_MUST_USE bool x402_json_parse(struct x402_json *json, uint8_t *text, size_t size);

/* The value of a member, or X402_JSON_ROOT when `object` is none or has no such member.
 */
unsigned x402_json_member(const struct x402_json *json, unsigned object,
                          struct x402_slice name);

enum x402_json_kind x402_json_kind_of(const struct x402_json *json, unsigned token);

/* The content of a string or the digits of a number; empty for anything else. */
struct x402_slice x402_json_text(const struct x402_json *json, unsigned token);

/*
 * After a failure: the dotted path of the member being read, cut to `components` names
 * and to out_max bytes. Returns its size; no terminating zero.
 */
size_t x402_json_path(char *out, size_t out_max, const struct x402_json *json,
                      size_t components);

#endif
