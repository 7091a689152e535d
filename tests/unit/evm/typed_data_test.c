#include "evm/typed_data.h"

#include "evm/keccak.h"
#include "evm/signature.h"

#include "unit/core/support.h"

#include <stdlib.h>
#include <x402/network.h>

static void separator_of(uint8_t out[32], json_t *domain)
{
    uint8_t contract[20];

    hex_to(contract, 20, string_at(domain, "verifyingContract"));
    x402_domain_separator(out, string_at(domain, "name"), string_at(domain, "version"),
                          (uint64_t)json_integer_value(json_at(domain, "chainId")),
                          contract);
}

static uint64_t number_at(json_t *value, const char *path)
{
    return strtoull(string_at(value, path), NULL, 10);
}

static struct x402_authorization authorization_of(json_t *message)
{
    struct x402_authorization authorization = {
        .value = number_at(message, "value"),
        .valid_after_seconds = number_at(message, "validAfter"),
        .valid_before_seconds = number_at(message, "validBefore"),
    };

    hex_to(authorization.from20, 20, string_at(message, "from"));
    hex_to(authorization.to20, 20, string_at(message, "to"));
    hex_to(authorization.nonce32, 32, string_at(message, "nonce"));
    return authorization;
}

static void domain_separator_is_the_reference_one(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("chain.json");
    uint8_t separator[32];

    json_t *vector = json_at(vectors, "TransferWithAuthorization");
    separator_of(separator, json_at(vector, "domain"));
    assert_hex(separator, 32, string_at(vector, "domainSeparator"));
    json_decref(vectors);
}

/* "Ether Mail", the example of EIP-712: domain, digest, and the signature of
 * keccak("cow"). */
static void the_example_of_eip_712_comes_out_as_it_says(void **state)
{
    uint8_t contract20[20], key32[32], digest32[32], signature65[65], signer20[20];
    uint8_t message[66] = {0x19, 0x01};

    (void)state;
    memset(contract20, 0xcc, sizeof(contract20));
    x402_domain_separator(message + 2, "Ether Mail", "1", 1, contract20);
    assert_hex(message + 2, 32,
               "0xf2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f");

    hex_to(message + 34, 32,
           "0xc52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e");
    x402_keccak256(digest32, message, sizeof(message));
    assert_hex(digest32, 32,
               "0xbe609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2");

    x402_keccak256(key32, "cow", 3);
    assert_int_equal(x402_signature_sign(signature65, digest32, key32), X402_OK);
    assert_hex(signature65, 65,
               "0x4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d"
               "07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b915621c");
    assert_int_equal(x402_signature_recover(signer20, digest32, signature65), X402_OK);
    assert_hex(signer20, 20, "0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826");
}

static void domains_of_the_two_usdc_names_are_the_reference_ones(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("typed-data.json");
    struct x402_network network;

    assert_int_equal(x402_network_find(&network, X402_SLICE("base-sepolia")), X402_OK);
    assert_hex(network.domain_separator32, 32,
               string_at(vectors, "baseSepolia.domainSeparator"));
    assert_int_equal(x402_network_find(&network, X402_SLICE("base")), X402_OK);
    assert_hex(network.domain_separator32, 32,
               string_at(vectors, "base.domainSeparator"));
    json_decref(vectors);
}

static void authorization_digest_is_the_reference_one(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("chain.json");
    json_t *vector = json_at(vectors, "TransferWithAuthorization");
    struct x402_authorization authorization =
        authorization_of(json_at(vector, "message"));
    uint8_t separator[32];
    uint8_t digest[32];

    separator_of(separator, json_at(vector, "domain"));
    x402_authorization_digest(digest, separator, &authorization);
    assert_hex(digest, 32, string_at(vector, "digest"));
    json_decref(vectors);
}

static void one_authorization_has_another_digest_on_each_network(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("typed-data.json");
    static const char *const networks[][2] = {{"base-sepolia", "baseSepolia.digest"},
                                              {"base", "base.digest"}};
    struct x402_authorization authorization = {.value = 10000,
                                               .valid_before_seconds = 1740672154};
    struct x402_network network;
    uint8_t digest[32];

    hex_to(authorization.from20, 20, string_at(vectors, "address"));
    hex_to(authorization.to20, 20, "209693Bc6afc0C5328bA36FaF03C514EF312287C");
    hex_to(authorization.nonce32, 32,
           "f3746613c2d920b5fdabc0856f2aeb2d4f88ee6037b8cc5d04a71a4462f13480");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(x402_network_find(&network, x402_slice_of(networks[i][0])),
                         X402_OK);
        x402_authorization_digest(digest, network.domain_separator32, &authorization);
        assert_hex(digest, 32, string_at(vectors, networks[i][1]));
    }
    json_decref(vectors);
}

static void every_field_changes_the_digest(void **state)
{
    (void)state;
    static const uint8_t separator[32] = {1};
    const struct x402_authorization base = {.value = 1, .valid_before_seconds = 2};
    struct x402_authorization variants[7];
    uint8_t digests[7][32];

    for (size_t i = 0; i < 7; i++)
        variants[i] = base;
    variants[1].from20[19] = 1;
    variants[2].to20[0] = 1;
    variants[3].value = UINT64_MAX;
    variants[4].valid_after_seconds = 1;
    variants[5].valid_before_seconds = 3;
    variants[6].nonce32[31] = 1;
    for (size_t i = 0; i < 7; i++) {
        x402_authorization_digest(digests[i], separator, &variants[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(digests[i], digests[j], 32);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(domain_separator_is_the_reference_one),
        cmocka_unit_test(the_example_of_eip_712_comes_out_as_it_says),
        cmocka_unit_test(domains_of_the_two_usdc_names_are_the_reference_ones),
        cmocka_unit_test(authorization_digest_is_the_reference_one),
        cmocka_unit_test(one_authorization_has_another_digest_on_each_network),
        cmocka_unit_test(every_field_changes_the_digest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
