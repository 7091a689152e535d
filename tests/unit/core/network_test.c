#include "unit/core/support.h"

#include <x402/network.h>

/* reference/protocol: the USDC table, and the enum of the legacy client. */
static const struct {
    const char *name;
    uint64_t chain_id;
    const char *asset;
    const char *asset_name;
    bool legacy;
    bool testnet;
    const char *explorer;
} table[] = {
    {"base-sepolia", 84532, "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "USDC", true,
     true, "https://sepolia.basescan.org/tx/"},
    {"base", 8453, "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", "USD Coin", true,
     false, "https://basescan.org/tx/"},
    {"ethereum", 1, "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", "USD Coin", false,
     false, "https://etherscan.io/tx/"},
    {"polygon", 137, "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359", "USD Coin", true,
     false, "https://polygonscan.com/tx/"},
    {"polygon-amoy", 80002, "0x41E94Eb019C0762f9Bfcf9Fb1E58725BfB0e7582", "USDC", true,
     true, "https://amoy.polygonscan.com/tx/"},
    {"avalanche", 43114, "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E", "USD Coin", true,
     false, "https://snowtrace.io/tx/"},
    {"avalanche-fuji", 43113, "0x5425890298aed601595a70AB815c96711a31Bc65", "USD Coin",
     true, true, "https://testnet.snowtrace.io/tx/"},
    {"arbitrum", 42161, "0xaf88d065e77c8cC2239327C5EDb3A432268e5831", "USD Coin", false,
     false, "https://arbiscan.io/tx/"},
    {"monad", 143, "0x754704Bc059F8C67012fEd69BC8A327a5aafb603", "USDC", false, false,
     "https://monadscan.com/tx/"},
    {"arbitrum-sepolia", 421614, "0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d",
     "USD Coin", false, true, "https://sepolia.arbiscan.io/tx/"},
};

#define COUNT (sizeof table / sizeof table[0])

static void built_in_networks_are_those_of_the_reference(void **state)
{
    (void)state;
    struct x402_network network;
    char text[X402_ADDRESS_TEXT_SIZE];
    size_t count;

    x402_network_table(&count);
    assert_int_equal(count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(x402_network_find(&network, x402_slice_of(table[i].name)),
                         X402_OK);
        assert_string_equal(network.name, table[i].name);
        assert_int_equal(network.chain_id, table[i].chain_id);
        x402_address_encode(text, network.asset20);
        assert_string_equal(text, table[i].asset);
        assert_string_equal(network.asset_name, table[i].asset_name);
        assert_string_equal(network.asset_version, "2");
        assert_int_equal(network.decimals, 6);
        assert_int_equal(network.legacy, table[i].legacy);
        assert_int_equal(network.testnet, table[i].testnet);
        assert_string_equal(network.explorer, table[i].explorer);
    }
}

static void a_network_is_found_by_name_and_by_caip2_alike(void **state)
{
    (void)state;
    struct x402_network by_name;
    struct x402_network by_id;
    char id[X402_CAIP2_TEXT_SIZE];

    for (size_t i = 0; i < COUNT; i++) {
        x402_caip2_encode(id, table[i].chain_id);
        assert_int_equal(x402_network_find(&by_name, x402_slice_of(table[i].name)),
                         X402_OK);
        assert_int_equal(x402_network_find(&by_id, x402_slice_of(id)), X402_OK);
        assert_memory_equal(&by_name, &by_id, sizeof by_id);
    }
}

static void unknown_networks_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"",     "Base", "base ",       "solana",
                                        "8453", "bas",  "eip155:9999", "eip155:"};
    struct x402_network network;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_int_equal(x402_network_find(&network, x402_slice_of(names[i])),
                         X402_ERR_NETWORK);
}

static void sealing_again_follows_the_fields(void **state)
{
    (void)state;
    struct x402_network network;
    uint8_t before[32];

    assert_int_equal(x402_network_find(&network, X402_SLICE("base")), X402_OK);
    memcpy(before, network.domain_separator32, 32);
    network.asset_version[0] = '1';
    x402_network_seal(&network);
    assert_memory_not_equal(before, network.domain_separator32, 32);
    network.asset_version[0] = '2';
    x402_network_seal(&network);
    assert_memory_equal(before, network.domain_separator32, 32);
}

static void caip2_ids_hold_both_ways(void **state)
{
    (void)state;
    static const struct {
        uint64_t chain_id;
        const char *text;
    } ids[] = {{1, "eip155:1"},
               {84532, "eip155:84532"},
               {UINT64_MAX, "eip155:18446744073709551615"}};
    char text[X402_CAIP2_TEXT_SIZE];
    uint64_t chain_id;

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        x402_caip2_encode(text, ids[i].chain_id);
        assert_string_equal(text, ids[i].text);
        assert_int_equal(x402_caip2_decode(&chain_id, x402_slice_of(text)), X402_OK);
        assert_int_equal(chain_id, ids[i].chain_id);
    }
}

static void other_caip2_texts_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "eip155",
                                        "eip155:",
                                        "eip155:0",
                                        "eip155:01",
                                        "eip155: 1",
                                        "eip155:1 ",
                                        "eip155:-1",
                                        "eip155:0x1",
                                        "EIP155:1",
                                        "solana:1",
                                        "84532",
                                        "eip155:18446744073709551616",
                                        "eip155:99999999999999999999999999"};
    uint64_t chain_id = 77;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(x402_caip2_decode(&chain_id, x402_slice_of(texts[i])),
                         X402_ERR_NETWORK);
    assert_int_equal(chain_id, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in_networks_are_those_of_the_reference),
        cmocka_unit_test(a_network_is_found_by_name_and_by_caip2_alike),
        cmocka_unit_test(unknown_networks_are_refused),
        cmocka_unit_test(sealing_again_follows_the_fields),
        cmocka_unit_test(caip2_ids_hold_both_ways),
        cmocka_unit_test(other_caip2_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
