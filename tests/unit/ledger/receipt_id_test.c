#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "ledger/receipt_id.h"

/* FIPS-197 appendix C.3: the key 00 01 … 1f. */
static void test_key(uint8_t key32[32])
{
    for (uint8_t i = 0; i < 32; i++) {
        key32[i] = i;
    }
}

static struct x402_slice text_of(const char text[X402_RECEIPT_ID_SIZE])
{
    return (struct x402_slice){text, X402_RECEIPT_ID_SIZE};
}

static void an_id_comes_back(void **state)
{
    const int64_t ids[] = {1, 2, 255, 32768, 1234567890123, INT64_MAX};
    uint8_t key32[32];

    (void)state;
    test_key(key32);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char text[X402_RECEIPT_ID_SIZE];
        int64_t id = 0;
        assert_true(x402_receipt_id_encode(text, key32, ids[i]));
        assert_true(x402_receipt_id_decode(&id, key32, text_of(text)));
        assert_int_equal(id, ids[i]);
    }
}

/* As `openssl enc -aes-256-ecb -nopad` makes it of fifteen zeros and a one. */
static void payment_one_has_the_name_that_aes_gives_it(void **state)
{
    char text[X402_RECEIPT_ID_SIZE];
    uint8_t key32[32];

    (void)state;
    test_key(key32);
    assert_true(x402_receipt_id_encode(text, key32, 1));
    assert_memory_equal(text, "8F12rkq5n-Wm9psxSMI2PQ", X402_RECEIPT_ID_SIZE);
}

static void it_is_text_that_a_url_takes_as_it_is(void **state)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t key32[32];

    (void)state;
    test_key(key32);
    for (int64_t id = 1; id <= 1000; id++) {
        char text[X402_RECEIPT_ID_SIZE];
        assert_true(x402_receipt_id_encode(text, key32, id));
        for (size_t i = 0; i < sizeof(text); i++) {
            assert_non_null(memchr(alphabet, text[i], sizeof(alphabet) - 1));
        }
    }
}

static void a_namer_gives_each_payment_the_name_it_has(void **state)
{
    char text[X402_RECEIPT_ID_SIZE], named[X402_RECEIPT_ID_SIZE];
    uint8_t key32[32];
    struct x402_receipt_namer *namer;

    (void)state;
    test_key(key32);
    namer = x402_receipt_namer_open(key32);
    assert_non_null(namer);
    for (int64_t id = 1; id <= 100; id++) {
        assert_true(x402_receipt_id_encode(text, key32, id));
        assert_true(x402_receipt_namer_encode(namer, named, id));
        assert_memory_equal(named, text, sizeof(text));
    }
    x402_receipt_namer_close(namer);
    x402_receipt_namer_close(NULL);
}

static void another_ledgers_key_reads_nothing(void **state)
{
    char text[X402_RECEIPT_ID_SIZE];
    uint8_t key32[32];
    int64_t id = -7;

    (void)state;
    test_key(key32);
    assert_true(x402_receipt_id_encode(text, key32, 1));
    key32[31] ^= 1;
    assert_false(x402_receipt_id_decode(&id, key32, text_of(text)));
    assert_int_equal(id, -7);
}

static void a_changed_character_reads_nothing(void **state)
{
    char text[X402_RECEIPT_ID_SIZE];
    uint8_t key32[32];
    int64_t id;

    (void)state;
    test_key(key32);
    assert_true(x402_receipt_id_encode(text, key32, 77));
    for (size_t i = 0; i < sizeof(text); i++) {
        char kept = text[i];
        text[i] = kept == 'A' ? 'Q' : 'A';
        assert_false(x402_receipt_id_decode(&id, key32, text_of(text)));
        text[i] = kept;
    }
}

static void what_is_no_receipt_id_reads_nothing(void **state)
{
    static const char *const texts[] = {
        "",
        "AAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAA=",
        "AAAAAAAAAAAAAAAAAAAA+A",
        "AAAAAAAAAAAAAAAAAAAA/A",
        "../../etc/passwd/aaaaa",
    };
    uint8_t key32[32];
    int64_t id;

    (void)state;
    test_key(key32);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_false(x402_receipt_id_decode(&id, key32, x402_slice_of(texts[i])));
    }
}

/* Only one text names a payment: the bits that the last character does not need are
 * zero. */
static void an_id_has_one_spelling(void **state)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char text[X402_RECEIPT_ID_SIZE];
    uint8_t key32[32];
    int spellings = 0;
    int64_t id;

    (void)state;
    test_key(key32);
    assert_true(x402_receipt_id_encode(text, key32, 77));
    for (size_t i = 0; i < sizeof(alphabet) - 1; i++) {
        text[X402_RECEIPT_ID_SIZE - 1] = alphabet[i];
        spellings += x402_receipt_id_decode(&id, key32, text_of(text));
    }
    assert_int_equal(spellings, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_comes_back),
        cmocka_unit_test(payment_one_has_the_name_that_aes_gives_it),
        cmocka_unit_test(it_is_text_that_a_url_takes_as_it_is),
        cmocka_unit_test(a_namer_gives_each_payment_the_name_it_has),
        cmocka_unit_test(another_ledgers_key_reads_nothing),
        cmocka_unit_test(a_changed_character_reads_nothing),
        cmocka_unit_test(what_is_no_receipt_id_reads_nothing),
        cmocka_unit_test(an_id_has_one_spelling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
