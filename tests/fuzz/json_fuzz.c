/*
 * Any bytes as JSON, read by us and by jansson: the same texts are accepted, but for
 * our bounds and its numbers, and they mean the same.
 */
#include "core/json.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct x402_json json;

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "json_fuzz: %s\n", what);
    abort();
}

static bool is_bound(const char *expected)
{
    return strncmp(expected, "at most", 7) == 0;
}

/* jansson 2.14 overlooks a zero byte after a number. */
static bool has_zero(const uint8_t *data, size_t size)
{
    return memchr(data, 0, size) != NULL;
}

static void check_same(unsigned token, json_t *value);

static void check_same_object(unsigned token, json_t *value)
{
    size_t count = 0;
    unsigned end = json.tokens[token].end;

    for (unsigned at = token + 1; at < end; at = json.tokens[at + 1].end, count++) {
        struct x402_slice name = x402_json_text(&json, at);
        json_t *member = json_object_getn(value, name.data, name.size);
        check(member != NULL, "a member with this name");
        check(x402_json_member(&json, token, name) == at + 1, "found by its name");
        check_same(at + 1, member);
    }
    check(count == json_object_size(value), "as many members");
}

static void check_same_array(unsigned token, json_t *value)
{
    size_t count = 0;
    unsigned end = json.tokens[token].end;

    for (unsigned at = token + 1; at < end; at = json.tokens[at].end, count++)
        check_same(at, json_array_get(value, count));
    check(count == json_array_size(value), "as many elements");
}

static void check_same_number(struct x402_slice text, json_t *value)
{
    char digits[64];

    if (text.size >= sizeof digits)
        return;
    memcpy(digits, text.data, text.size);
    digits[text.size] = '\0';
    if (json_is_integer(value))
        check(strtoll(digits, NULL, 10) == json_integer_value(value), "an integer");
    else
        check(strtod(digits, NULL) == json_real_value(value), "a real");
}

static void check_same(unsigned token, json_t *value)
{
    struct x402_slice text = x402_json_text(&json, token);

    switch (x402_json_kind_of(&json, token)) {
    case X402_JSON_OBJECT:
        check(json_is_object(value), "an object");
        check_same_object(token, value);
        break;
    case X402_JSON_ARRAY:
        check(json_is_array(value), "an array");
        check_same_array(token, value);
        break;
    case X402_JSON_STRING:
        check(json_is_string(value) && json_string_length(value) == text.size &&
                  memcmp(json_string_value(value), text.data, text.size) == 0,
              "the same string");
        break;
    case X402_JSON_NUMBER:
        check(json_is_number(value), "a number");
        check_same_number(text, value);
        break;
    case X402_JSON_TRUE:
        check(json_is_true(value), "true");
        break;
    case X402_JSON_FALSE:
        check(json_is_false(value), "false");
        break;
    case X402_JSON_NULL:
        check(json_is_null(value), "null");
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    json_error_t error;
    char path[64];

    check(copy != NULL, "memory");
    if (size > 0)
        memcpy(copy, data, size);
    bool accepted = x402_json_parse(&json, copy, size);
    json_t *value = json_loadb((const char *)data, size,
                               JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (accepted && value != NULL)
        check_same(X402_JSON_ROOT, value);
    else if (accepted)
        check(json_error_code(&error) == json_error_numeric_overflow, error.text);
    else
        check(value == NULL || is_bound(json.expected) || has_zero(data, size),
              "jansson accepts it");
    if (!accepted)
        check(x402_json_path(path, sizeof path, &json, X402_JSON_DEPTH_MAX) <=
                  sizeof path,
              "a path");
    json_decref(value);
    free(copy);
    return 0;
}
