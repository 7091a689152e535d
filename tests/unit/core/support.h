/* What the tests of src/core and src/evm share: cmocka, hex, vector files. */
#ifndef TESTS_UNIT_CORE_SUPPORT_H
#define TESTS_UNIT_CORE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <x402/bytes.h>

/* Reads "0x…" or plain hex of exactly `size` bytes. */
static inline void hex_to(uint8_t *out, size_t size, const char *text)
{
    if (strncmp(text, "0x", 2) == 0)
        text += 2;
    assert_true(x402_hex_decode(out, size, x402_slice_of(text)));
}

static inline void assert_hex(const uint8_t *bytes, size_t size, const char *expected)
{
    char text[8192];

    assert_true(2 * size < sizeof text);
    x402_hex_encode(text, bytes, size);
    text[2 * size] = '\0';
    if (strncmp(expected, "0x", 2) == 0)
        expected += 2;
    assert_string_equal(text, expected);
}

static inline void assert_slice(struct x402_slice slice, const char *expected)
{
    assert_int_equal(slice.size, strlen(expected));
    if (slice.size > 0)
        assert_memory_equal(slice.data, expected, slice.size);
}

/* A file of tests/vectors; the caller releases it with json_decref. */
static inline json_t *load_vectors(const char *name)
{
    char path[1024];
    json_error_t error;

    snprintf(path, sizeof path, "%s/%s", X402_VECTORS, name);
    json_t *vectors = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (vectors == NULL)
        fail_msg("%s: %s", path, error.text);
    return vectors;
}

/* The value at a dotted path; it must exist. */
static inline json_t *json_at(json_t *value, const char *path)
{
    char name[64];

    while (*path != '\0') {
        size_t size = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)size, path);
        value = json_object_get(value, name);
        if (value == NULL)
            fail_msg("no member '%s'", path);
        path += size + (path[size] == '.');
    }
    return value;
}

static inline const char *string_at(json_t *value, const char *path)
{
    return json_string_value(json_at(value, path));
}

#endif
