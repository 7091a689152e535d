#include "evm/signature.h"

#include "evm/keccak.h"
#include "unit/core/support.h"

static const char order[] =
    "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

static void reference_signature_recovers_to_its_signer(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("typed-data.json");
    static const char *const names[][2] = {
        {"baseSepolia.digest", "baseSepolia.signature"},
        {"base.digest", "base.signature"},
        {"batch.voucherDigest", "batch.voucherSig"},
        {"permit2exact.digest", "permit2exact.sig"},
        {"permit2upto.digest", "permit2upto.sig"},
    };
    uint8_t digest[32];
    uint8_t signature[65];
    uint8_t address[20];
    char text[X402_ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        hex_to(digest, 32, string_at(vectors, names[i][0]));
        hex_to(signature, 65, string_at(vectors, names[i][1]));
        assert_int_equal(x402_signature_recover(address, digest, signature), X402_OK);
        x402_address_encode(text, address);
        assert_string_equal(text, string_at(vectors, "address"));
    }
    json_decref(vectors);
}

static void signing_gives_the_reference_signature(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("chain.json");
    static const char *const names[] = {"TransferWithAuthorization",
                                        "ReceiveWithAuthorization"};
    uint8_t key[32];
    uint8_t digest[32];
    uint8_t signature[65];

    hex_to(key, 32, string_at(vectors, "TransferWithAuthorization.privateKey"));
    for (size_t i = 0; i < 2; i++) {
        json_t *vector = json_at(vectors, names[i]);
        hex_to(digest, 32, string_at(vector, "digest"));
        assert_int_equal(x402_signature_sign(signature, digest, key), X402_OK);
        assert_hex(signature, 65, string_at(vector, "signature"));
    }
    json_decref(vectors);
}

static void key_has_the_reference_address(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("typed-data.json");
    uint8_t key[32];
    uint8_t address[20];
    char text[X402_ADDRESS_TEXT_SIZE];

    hex_to(key, 32, string_at(vectors, "privateKey"));
    assert_int_equal(x402_key_address(address, key), X402_OK);
    x402_address_encode(text, address);
    assert_string_equal(text, string_at(vectors, "address"));
    json_decref(vectors);
}

static void what_is_signed_recovers_for_many_keys(void **state)
{
    (void)state;
    uint8_t key[32];
    uint8_t digest[32];
    uint8_t signature[65];
    uint8_t expected[20];
    uint8_t address[20];
    unsigned parities = 0;

    for (uint32_t i = 0; i < 64; i++) {
        x402_keccak256(key, &i, sizeof i);
        x402_keccak256(digest, key, sizeof key);
        assert_int_equal(x402_key_address(expected, key), X402_OK);
        assert_int_equal(x402_signature_sign(signature, digest, key), X402_OK);
        assert_int_equal(x402_signature_recover(address, digest, signature), X402_OK);
        assert_memory_equal(address, expected, 20);
        parities |= 1U << (signature[64] - 27);
    }
    assert_int_equal(parities, 3);
}

/* A signature that is good, to be spoiled in one place. */
static void good(uint8_t digest[32], uint8_t signature[65])
{
    json_t *vectors = load_vectors("typed-data.json");

    hex_to(digest, 32, string_at(vectors, "baseSepolia.digest"));
    hex_to(signature, 65, string_at(vectors, "baseSepolia.signature"));
    json_decref(vectors);
}

static void assert_refused(const uint8_t digest[32], const uint8_t signature[65])
{
    uint8_t address[20] = {0xaa};
    uint8_t untouched[20] = {0xaa};

    assert_int_equal(x402_signature_recover(address, digest, signature),
                     X402_ERR_SIGNATURE);
    assert_memory_equal(address, untouched, 20);
}

static void other_v_than_27_or_28_is_refused(void **state)
{
    (void)state;
    uint8_t digest[32];
    uint8_t signature[65];

    good(digest, signature);
    for (unsigned v = 0; v < 256; v++) {
        signature[64] = (uint8_t)v;
        if (v != 27 && v != 28)
            assert_refused(digest, signature);
    }
}

/* The twin of a signature, (r, n - s, other v), recovers to the same key: EIP-2 forbids
 * it. */
static void high_s_is_refused(void **state)
{
    (void)state;
    uint8_t digest[32];
    uint8_t signature[65];
    uint8_t n[32];
    int borrow = 0;

    good(digest, signature);
    hex_to(n, 32, order);
    for (size_t i = 32; i-- > 0;) {
        int difference = n[i] - signature[32 + i] - borrow;
        borrow = difference < 0;
        signature[32 + i] = (uint8_t)(difference & 0xff);
    }
    signature[64] = (uint8_t)(27 + 28 - signature[64]);
    assert_refused(digest, signature);
}

static void s_just_above_half_the_order_is_refused(void **state)
{
    (void)state;
    static const char half[] =
        "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0";
    uint8_t digest[32];
    uint8_t signature[65];
    uint8_t address[20];

    good(digest, signature);
    hex_to(signature + 32, 32, half);
    assert_int_equal(x402_signature_recover(address, digest, signature), X402_OK);
    signature[63]++;
    assert_refused(digest, signature);
}

static void zero_r_and_zero_s_are_refused(void **state)
{
    (void)state;
    uint8_t digest[32];
    uint8_t signature[65];

    good(digest, signature);
    memset(signature, 0, 32);
    assert_refused(digest, signature);
    good(digest, signature);
    memset(signature + 32, 0, 32);
    assert_refused(digest, signature);
}

static void r_at_the_order_is_refused(void **state)
{
    (void)state;
    uint8_t digest[32];
    uint8_t signature[65];

    good(digest, signature);
    hex_to(signature, 32, order);
    assert_refused(digest, signature);
    memset(signature, 0xff, 32);
    assert_refused(digest, signature);
}

/* No point of the curve has x = 5. */
static void r_that_is_no_point_is_refused(void **state)
{
    (void)state;
    uint8_t digest[32];
    uint8_t signature[65];

    good(digest, signature);
    memset(signature, 0, 32);
    signature[31] = 5;
    assert_refused(digest, signature);
}

static void zero_and_the_order_are_no_keys(void **state)
{
    (void)state;
    uint8_t digest[32] = {1};
    uint8_t keys[3][32] = {{0}};
    uint8_t signature[65];
    uint8_t address[20];

    hex_to(keys[1], 32, order);
    memset(keys[2], 0xff, 32);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(x402_key_address(address, keys[i]), X402_ERR_KEY);
        assert_int_equal(x402_signature_sign(signature, digest, keys[i]), X402_ERR_KEY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_signature_recovers_to_its_signer),
        cmocka_unit_test(signing_gives_the_reference_signature),
        cmocka_unit_test(key_has_the_reference_address),
        cmocka_unit_test(what_is_signed_recovers_for_many_keys),
        cmocka_unit_test(other_v_than_27_or_28_is_refused),
        cmocka_unit_test(high_s_is_refused),
        cmocka_unit_test(s_just_above_half_the_order_is_refused),
        cmocka_unit_test(zero_r_and_zero_s_are_refused),
        cmocka_unit_test(r_at_the_order_is_refused),
        cmocka_unit_test(r_that_is_no_point_is_refused),
        cmocka_unit_test(zero_and_the_order_are_no_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
