#include "evm/keccak.h"

#include "unit/core/support.h"

static void published_texts_hash_as_published(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("keccak.json");
    uint8_t hash[32];
    size_t i;
    json_t *vector;

    json_array_foreach(json_at(vectors, "texts"), i, vector)
    {
        const char *text = string_at(vector, "text");
        x402_keccak256(hash, text, strlen(text));
        assert_hex(hash, sizeof hash, string_at(vector, "keccak256"));
    }
    json_decref(vectors);
}

static void the_empty_hash_is_the_well_known_one(void **state)
{
    (void)state;
    uint8_t hash[32];

    x402_keccak256(hash, NULL, 0);
    assert_hex(hash, sizeof hash,
               "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
}

static void sizes_around_the_rate_hash_right(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("keccak.json");
    uint8_t message[1000];
    uint8_t hash[32];
    size_t i;
    json_t *vector;

    for (i = 0; i < sizeof message; i++)
        message[i] = (uint8_t)(7 * i + 3);
    json_array_foreach(json_at(vectors, "patterns.sizes"), i, vector)
    {
        size_t size = (size_t)json_integer_value(json_at(vector, "size"));
        assert_true(size <= sizeof message);
        x402_keccak256(hash, message, size);
        assert_hex(hash, sizeof hash, string_at(vector, "keccak256"));
    }
    json_decref(vectors);
}

static void unaligned_data_hashes_alike(void **state)
{
    (void)state;
    uint8_t buffer[200 + 8];
    uint8_t first[32];
    uint8_t hash[32];

    for (size_t shift = 0; shift < 8; shift++) {
        for (size_t i = 0; i < 200; i++)
            buffer[shift + i] = (uint8_t)i;
        x402_keccak256(shift == 0 ? first : hash, buffer + shift, 200);
        if (shift > 0)
            assert_memory_equal(first, hash, sizeof hash);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_texts_hash_as_published),
        cmocka_unit_test(the_empty_hash_is_the_well_known_one),
        cmocka_unit_test(sizes_around_the_rate_hash_right),
        cmocka_unit_test(unaligned_data_hashes_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
