#include "unit/core/support.h"

static void rfc_4648_vectors_hold_both_ways(void **state)
{
    (void)state;
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    char text[16];
    uint8_t bytes[16];
    size_t size;

    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct x402_slice plain = x402_slice_of(vectors[i][0]);
        x402_base64_encode(text, (const uint8_t *)plain.data, plain.size);
        struct x402_slice encoded = {text, X402_BASE64_SIZE(plain.size)};
        assert_slice(encoded, vectors[i][1]);
        assert_int_equal(x402_base64_decode(bytes, &size, sizeof bytes, encoded),
                         X402_OK);
        assert_slice((struct x402_slice){(char *)bytes, size}, vectors[i][0]);
    }
}

static void all_bytes_come_back(void **state)
{
    (void)state;
    uint8_t bytes[256];
    uint8_t decoded[256];
    char text[X402_BASE64_SIZE(256)];
    size_t size;

    for (size_t i = 0; i < 256; i++)
        bytes[i] = (uint8_t)(i * 167);
    for (size_t length = 0; length <= 256; length++) {
        x402_base64_encode(text, bytes, length);
        assert_int_equal(
            x402_base64_decode(decoded, &size, length,
                               (struct x402_slice){text, X402_BASE64_SIZE(length)}),
            X402_OK);
        assert_int_equal(size, length);
        assert_memory_equal(decoded, bytes, length);
    }
}

static void bytes_at_the_end_of_the_room_encode_in_place(void **state)
{
    (void)state;
    uint8_t bytes[100];
    char apart[X402_BASE64_SIZE(100)];
    char room[X402_BASE64_SIZE(100)];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 31);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        size_t encoded_size = X402_BASE64_SIZE(size);
        x402_base64_encode(apart, bytes, size);
        memcpy(room + encoded_size - size, bytes, size);
        x402_base64_encode(room, (const uint8_t *)room + encoded_size - size, size);
        assert_memory_equal(room, apart, encoded_size);
    }
}

static void assert_refused(struct x402_slice text)
{
    uint8_t bytes[16];
    size_t size = 77;

    assert_int_equal(x402_base64_decode(bytes, &size, sizeof bytes, text),
                     X402_ERR_BASE64);
    assert_int_equal(size, 77);
}

static void other_lengths_and_misplaced_padding_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"Z",    "Zg",   "Zg=",  "Zm8",      "Zm9vY",
                                        "====", "Z===", "Zg=a", "Zg==Zg==", "Zm8=Zm9v",
                                        "=Zm8", "Z=m8", "Zm=="};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refused(x402_slice_of(texts[i]));
}

static void unused_bits_that_are_not_zero_are_refused(void **state)
{
    (void)state;
    assert_refused(X402_SLICE("Zh=="));
    assert_refused(X402_SLICE("Zm9="));
}

static void only_the_standard_alphabet_is_read(void **state)
{
    (void)state;
    unsigned accepted = 0;
    uint8_t bytes[3];
    size_t size;

    for (unsigned place = 0; place < 4; place++)
        for (unsigned c = 0; c < 256; c++) {
            char text[4] = {'A', 'A', 'A', 'A'};
            text[place] = (char)c;
            accepted += x402_base64_decode(bytes, &size, 3,
                                           (struct x402_slice){text, 4}) == X402_OK;
        }
    assert_int_equal(accepted, 4 * 64 + 1); /* and "AAA=" */
    assert_refused(X402_SLICE("AA-_"));
    assert_refused(X402_SLICE("AAA\n"));
}

static void one_other_character_spoils_a_text_of_many(void **state)
{
    (void)state;

    for (size_t place = 0; place < 16; place++) {
        char text[16];
        memset(text, '/', sizeof text);
        text[place] = '.';
        assert_refused((struct x402_slice){text, sizeof text});
    }
}

static void room_too_small_is_reported(void **state)
{
    (void)state;
    uint8_t bytes[3];
    size_t size = 77;

    assert_int_equal(x402_base64_decode(bytes, &size, 2, X402_SLICE("Zm9v")),
                     X402_ERR_SPACE);
    assert_int_equal(size, 77);
    assert_int_equal(x402_base64_decode(bytes, &size, 2, X402_SLICE("Zm8=")), X402_OK);
    assert_int_equal(size, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_4648_vectors_hold_both_ways),
        cmocka_unit_test(all_bytes_come_back),
        cmocka_unit_test(bytes_at_the_end_of_the_room_encode_in_place),
        cmocka_unit_test(other_lengths_and_misplaced_padding_are_refused),
        cmocka_unit_test(unused_bits_that_are_not_zero_are_refused),
        cmocka_unit_test(only_the_standard_alphabet_is_read),
        cmocka_unit_test(one_other_character_spoils_a_text_of_many),
        cmocka_unit_test(room_too_small_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
