#include "core/text.h"
#include "evm/typed_data.h"

#include <x402/network.h>

#include <assert.h>
#include <string.h>

#define CAIP2_NAMESPACE "eip155:"

static const struct x402_network networks[] = {
    {.name = "base-sepolia",
     .chain_id = 84532,
     .asset20 = {0x03, 0x6c, 0xbd, 0x53, 0x84, 0x2c, 0x54, 0x26, 0x63, 0x4e,
                 0x79, 0x29, 0x54, 0x1e, 0xc2, 0x31, 0x8f, 0x3d, 0xcf, 0x7e},
     .asset_name = "USDC",
     .asset_version = "2",
     .decimals = 6,
     .legacy = true,
     .testnet = true,
     .explorer = "https://sepolia.basescan.org/tx/"},
    {.name = "base",
     .chain_id = 8453,
     .asset20 = {0x83, 0x35, 0x89, 0xfc, 0xd6, 0xed, 0xb6, 0xe0, 0x8f, 0x4c,
                 0x7c, 0x32, 0xd4, 0xf7, 0x1b, 0x54, 0xbd, 0xa0, 0x29, 0x13},
     .asset_name = "USD Coin",
     .asset_version = "2",
     .decimals = 6,
     .legacy = true,
     .testnet = false,
     .explorer = "https://basescan.org/tx/"},
    {.name = "ethereum",
     .chain_id = 1,
     .asset20 = {0xa0, 0xb8, 0x69, 0x91, 0xc6, 0x21, 0x8b, 0x36, 0xc1, 0xd1,
                 0x9d, 0x4a, 0x2e, 0x9e, 0xb0, 0xce, 0x36, 0x06, 0xeb, 0x48},
     .asset_name = "USD Coin",
     .asset_version = "2",
     .decimals = 6,
     .legacy = false,
     .testnet = false,
     .explorer = "https://etherscan.io/tx/"},
    {.name = "polygon",
     .chain_id = 137,
     .asset20 = {0x3c, 0x49, 0x9c, 0x54, 0x2c, 0xef, 0x5e, 0x38, 0x11, 0xe1,
                 0x19, 0x2c, 0xe7, 0x0d, 0x8c, 0xc0, 0x3d, 0x5c, 0x33, 0x59},
     .asset_name = "USD Coin",
     .asset_version = "2",
     .decimals = 6,
     .legacy = true,
     .testnet = false,
     .explorer = "https://polygonscan.com/tx/"},
    {.name = "polygon-amoy",
     .chain_id = 80002,
     .asset20 = {0x41, 0xe9, 0x4e, 0xb0, 0x19, 0xc0, 0x76, 0x2f, 0x9b, 0xfc,
                 0xf9, 0xfb, 0x1e, 0x58, 0x72, 0x5b, 0xfb, 0x0e, 0x75, 0x82},
     .asset_name = "USDC",
     .asset_version = "2",
     .decimals = 6,
     .legacy = true,
     .testnet = true,
     .explorer = "https://amoy.polygonscan.com/tx/"},
    {.name = "avalanche",
     .chain_id = 43114,
     .asset20 = {0xb9, 0x7e, 0xf9, 0xef, 0x87, 0x34, 0xc7, 0x19, 0x04, 0xd8,
                 0x00, 0x2f, 0x8b, 0x6b, 0xc6, 0x6d, 0xd9, 0xc4, 0x8a, 0x6e},
     .asset_name = "USD Coin",
     .asset_version = "2",
     .decimals = 6,
     .legacy = true,
     .testnet = false,
     .explorer = "https://snowtrace.io/tx/"},
    {.name = "avalanche-fuji",
     .chain_id = 43113,
     .asset20 = {0x54, 0x25, 0x89, 0x02, 0x98, 0xae, 0xd6, 0x01, 0x59, 0x5a,
                 0x70, 0xab, 0x81, 0x5c, 0x96, 0x71, 0x1a, 0x31, 0xbc, 0x65},
     .asset_name = "USD Coin",
     .asset_version = "2",
     .decimals = 6,
     .legacy = true,
     .testnet = true,
     .explorer = "https://testnet.snowtrace.io/tx/"},
    {.name = "arbitrum",
     .chain_id = 42161,
     .asset20 = {0xaf, 0x88, 0xd0, 0x65, 0xe7, 0x7c, 0x8c, 0xc2, 0x23, 0x93,
                 0x27, 0xc5, 0xed, 0xb3, 0xa4, 0x32, 0x26, 0x8e, 0x58, 0x31},
     .asset_name = "USD Coin",
     .asset_version = "2",
     .decimals = 6,
     .legacy = false,
     .testnet = false,
     .explorer = "https://arbiscan.io/tx/"},
    {.name = "monad",
     .chain_id = 143,
     .asset20 = {0x75, 0x47, 0x04, 0xbc, 0x05, 0x9f, 0x8c, 0x67, 0x01, 0x2f,
                 0xed, 0x69, 0xbc, 0x8a, 0x32, 0x7a, 0x5a, 0xaf, 0xb6, 0x03},
     .asset_name = "USDC",
     .asset_version = "2",
     .decimals = 6,
     .legacy = false,
     .testnet = false,
     .explorer = "https://monadscan.com/tx/"},
    {.name = "arbitrum-sepolia",
     .chain_id = 421614,
     .asset20 = {0x75, 0xfa, 0xf1, 0x14, 0xea, 0xfb, 0x1b, 0xdb, 0xe2, 0xf0,
                 0x31, 0x6d, 0xf8, 0x93, 0xfd, 0x58, 0xce, 0x46, 0xaa, 0x4d},
     .asset_name = "USD Coin",
     .asset_version = "2",
     .decimals = 6,
     .legacy = false,
     .testnet = true,
     .explorer = "https://sepolia.arbiscan.io/tx/"},
};

#define NETWORKS_COUNT (sizeof networks / sizeof networks[0])

const struct x402_network *x402_network_table(size_t *count)
{
    *count = NETWORKS_COUNT;
    return networks;
}

enum x402_error x402_network_find(struct x402_network *out,
                                  struct x402_slice name_or_caip2)
{
    uint64_t chain_id = 0;

    if (x402_caip2_decode(&chain_id, name_or_caip2) != X402_OK)
        chain_id = 0;
    for (size_t i = 0; i < NETWORKS_COUNT; i++) {
        if (networks[i].chain_id != chain_id &&
            !x402_slice_equal(x402_slice_of(networks[i].name), name_or_caip2))
            continue;
        *out = networks[i];
        x402_network_seal(out);
        return X402_OK;
    }
    return X402_ERR_NETWORK;
}

enum x402_error x402_caip2_decode(uint64_t *out_chain_id, struct x402_slice text)
{
    static const size_t prefix_size = sizeof CAIP2_NAMESPACE - 1;
    uint64_t number = 0;

    if (text.size <= prefix_size ||
        memcmp(text.data, CAIP2_NAMESPACE, prefix_size) != 0)
        return X402_ERR_NETWORK;
    if (text.data[prefix_size] == '0')
        return X402_ERR_NETWORK;
    for (size_t i = prefix_size; i < text.size; i++) {
        unsigned digit = (unsigned)((uint8_t)text.data[i] - '0');
        if (digit > 9 || number > (UINT64_MAX - digit) / 10)
            return X402_ERR_NETWORK;
        number = number * 10 + digit;
    }
    *out_chain_id = number;
    return X402_OK;
}

void x402_caip2_encode(char out[X402_CAIP2_TEXT_SIZE], uint64_t chain_id)
{
    struct x402_text text = x402_text_init(out, X402_CAIP2_TEXT_SIZE);

    x402_text_put_string(&text, CAIP2_NAMESPACE);
    x402_text_put_decimal(&text, chain_id);
    x402_text_put(&text, (struct x402_slice){"", 1});
    assert(!text.overflow);
}

void x402_network_seal(struct x402_network *network)
{
    x402_domain_separator(network->domain_separator32, network->asset_name,
                          network->asset_version, network->chain_id, network->asset20);
}
