/*
 * A mutator that keeps JSON whole: random bytes seldom get past a parser. It picks a
 * value anywhere in the document and replaces, removes, repeats or renames it; one
 * mutation in eight is libFuzzer's own, so that the parser gets its share. Bytes before
 * the first '{' or '[' are left alone: a target may take choices from them.
 */
#ifndef X402_TESTS_FUZZ_JSON_MUTATOR_H
#define X402_TESTS_FUZZ_JSON_MUTATOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned seed);

/* Values that decoders go wrong at. */
static const char *const json_pieces[] = {
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e400",
    "18446744073709551616",
    "9223372036854775807",
    "0.5",
    "\"\"",
    "\"0\"",
    "\"0x\"",
    "\"0x0\"",
    "\"0x1\"",
    "\"0x00\"",
    "\"0xffffffffffffffff\"",
    "\"0x10000000000000000\"",
    "\"18446744073709551615\"",
    "\"18446744073709551616\"",
    "\"9223372036854775808\"",
    "\"-1\"",
    "\"1e3\"",
    "\" 1\"",
    "\"eip155:84532\"",
    "\"eip155:1\"",
    "\"base\"",
    "\"base-sepolia\"",
    "\"exact\"",
    "\"0x036CbD53842c5426634e7929541eC2318f3dCF7e\"",
    "\"0x0000000000000000000000000000000000000000\"",
    "\"0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\"",
    "\"\\u0000\"",
    "\"\\ud83d\\ude00\"",
    "\"a\\nb\\u007f\"",
    "[]",
    "{}",
    "[[]]",
    "[null]",
    "{\"\":0}",
};

static unsigned json_random(unsigned *seed, unsigned below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (*seed >> 8) % below;
}

/* A container of the document, at random: deeper ones as often as flat ones. */
static json_t *json_somewhere(json_t *value, unsigned *seed)
{
    for (;;) {
        json_t *inner = NULL;
        size_t size =
            json_is_array(value) ? json_array_size(value) : json_object_size(value);
        size_t at = size > 0 ? json_random(seed, (unsigned)size) : 0;
        if (json_is_array(value)) {
            inner = json_array_get(value, at);
        } else {
            void *member = json_object_iter(value);
            while (member != NULL && at-- > 0)
                member = json_object_iter_next(value, member);
            inner = member != NULL ? json_object_iter_value(member) : NULL;
        }
        bool container = json_is_array(inner) || json_is_object(inner);
        if (!container || json_random(seed, 4) == 0)
            return value;
        value = inner;
    }
}

static json_t *json_piece(unsigned *seed)
{
    unsigned which = json_random(seed, sizeof json_pieces / sizeof json_pieces[0]);
    json_t *piece =
        json_loads(json_pieces[which], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

    return piece != NULL ? piece : json_null();
}

/* A text with one of its characters changed, doubled or gone. */
static json_t *json_bent(const json_t *value, unsigned *seed)
{
    static const char other[] = "0123456789abcdefABCDEFxX-+. \"\\:/\x7f";
    size_t size = json_string_length(value);
    char text[512];

    if (!json_is_string(value) || size == 0 || size + 2 > sizeof text)
        return json_piece(seed);
    size_t at = json_random(seed, (unsigned)size);
    char c = other[json_random(seed, sizeof other - 1)];
    memcpy(text, json_string_value(value), size);
    switch (json_random(seed, 3)) {
    case 0:
        text[at] = c;
        break;
    case 1:
        memmove(text + at, text + at + 1, size - at - 1);
        size--;
        break;
    default:
        memmove(text + at + 1, text + at, size - at);
        text[at] = c;
        size++;
    }
    return json_stringn_nocheck(text, size);
}

static void json_change_array(json_t *array, unsigned *seed)
{
    size_t size = json_array_size(array);
    size_t at = size > 0 ? json_random(seed, (unsigned)size) : 0;

    switch (json_random(seed, 4)) {
    case 0:
        json_array_remove(array, at);
        break;
    case 1:
        json_array_append_new(array, json_deep_copy(json_array_get(array, at)));
        break;
    case 2:
        json_array_insert_new(array, at, json_piece(seed));
        break;
    default:
        json_array_set_new(array, at, json_bent(json_array_get(array, at), seed));
    }
}

static void json_change_object(json_t *object, unsigned *seed)
{
    size_t size = json_object_size(object);
    size_t at = size > 0 ? json_random(seed, (unsigned)size) : 0;
    void *member = json_object_iter(object);
    char name[64];

    while (member != NULL && at-- > 0)
        member = json_object_iter_next(object, member);
    if (member == NULL) {
        json_object_set_new(object, "a", json_piece(seed));
        return;
    }
    snprintf(name, sizeof name, "%s", json_object_iter_key(member));
    json_t *value = json_object_iter_value(member);
    switch (json_random(seed, 5)) {
    case 0:
        json_object_del(object, name);
        break;
    case 1:
        json_object_set_new(object, name, json_piece(seed));
        break;
    case 2:
        json_object_set_new(object, "another", json_deep_copy(value));
        break;
    default:
        json_object_set_new(object, name, json_bent(value, seed));
    }
}

static size_t json_head_size(const uint8_t *data, size_t size)
{
    size_t at = 0;

    while (at < size && data[at] != '{' && data[at] != '[')
        at++;
    return at;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size,
                               unsigned seed)
{
    size_t head = json_head_size(data, size);
    json_t *root = json_random(&seed, 8) > 0
                       ? json_loadb((char *)data + head, size - head,
                                    JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL)
                       : NULL;

    if (root == NULL)
        return LLVMFuzzerMutate(data, size, max_size);
    for (unsigned n = json_random(&seed, 3) + 1; n > 0; n--) {
        json_t *where = json_somewhere(root, &seed);
        if (json_is_array(where))
            json_change_array(where, &seed);
        else
            json_change_object(where, &seed);
    }
    if (head > 0 && json_random(&seed, 8) == 0)
        data[json_random(&seed, (unsigned)head)] = (uint8_t)json_random(&seed, 256);
    size_t made = json_dumpb(root, (char *)data + head, max_size - head, JSON_COMPACT);
    json_decref(root);
    return made > 0 && head + made <= max_size ? head + made : size;
}

#endif
