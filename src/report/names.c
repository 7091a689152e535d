#include "report/names.h"

#include <stdio.h>
#include <string.h>

static const struct x402_network *find_token(const struct x402_network *networks,
                                             size_t count, uint64_t chain_id,
                                             const uint8_t asset20[20])
{
    for (size_t i = 0; i < count; i++) {
        if (networks[i].chain_id == chain_id &&
            memcmp(networks[i].asset20, asset20, 20) == 0)
            return &networks[i];
    }
    return NULL;
}

static const struct x402_network *find_chain(const struct x402_network *networks,
                                             size_t count, uint64_t chain_id)
{
    for (size_t i = 0; i < count; i++) {
        if (networks[i].chain_id == chain_id)
            return &networks[i];
    }
    return NULL;
}

/* The chain of a token that is not known may be known by its name. */
static void name_chain(struct x402_network *out, const struct x402_report_options *how,
                       uint64_t chain_id)
{
    size_t count;
    const struct x402_network *table = x402_network_table(&count), *chain = NULL;

    if (how != NULL)
        chain = find_chain(how->networks, how->networks_count, chain_id);
    if (chain == NULL)
        chain = find_chain(table, count, chain_id);
    if (chain == NULL)
        return;
    memcpy(out->name, chain->name, sizeof out->name);
    memcpy(out->explorer, chain->explorer, sizeof out->explorer);
    out->testnet = chain->testnet;
}

void x402_report_network_of(struct x402_network *out,
                            const struct x402_report_options *how, uint64_t chain_id,
                            const uint8_t asset20[20])
{
    size_t count;
    const struct x402_network *table = x402_network_table(&count), *network = NULL;

    if (how != NULL)
        network = find_token(how->networks, how->networks_count, chain_id, asset20);
    if (network == NULL)
        network = find_token(table, count, chain_id, asset20);
    if (network != NULL) {
        *out = *network;
        return;
    }
    memset(out, 0, sizeof *out);
    out->chain_id = chain_id;
    memcpy(out->asset20, asset20, 20);
    name_chain(out, how, chain_id);
}

void x402_report_network_label(char out[X402_REPORT_LABEL_SIZE],
                               const struct x402_network *network)
{
    if (network->name[0] != '\0')
        snprintf(out, X402_REPORT_LABEL_SIZE, "%s", network->name);
    else
        x402_caip2_encode(out, network->chain_id);
}

void x402_report_chain_label(char out[X402_REPORT_LABEL_SIZE],
                             const struct x402_report_options *how, uint64_t chain_id)
{
    struct x402_network network = {.chain_id = chain_id};

    name_chain(&network, how, chain_id);
    x402_report_network_label(out, &network);
}

const char *x402_report_symbol(const struct x402_network *network)
{
    return strcmp(network->asset_name, "USD Coin") == 0 ? "USDC" : network->asset_name;
}
