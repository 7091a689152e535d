/*
 * Networks and the one token taken on each. A network is known by its CAIP-2 id
 * ("eip155:84532", x402 v2) and by a legacy name ("base-sepolia", x402 v1).
 */
#ifndef X402_NETWORK_H
#define X402_NETWORK_H

#include <x402/bytes.h>

#define X402_NETWORK_NAME_MAX 24  /* bytes, with the terminating zero */
#define X402_ASSET_NAME_MAX 48    /* likewise */
#define X402_ASSET_VERSION_MAX 12 /* likewise */
#define X402_EXPLORER_MAX 48      /* likewise */
#define X402_CAIP2_TEXT_SIZE 28   /* "eip155:" and a 64-bit number, with the zero */

struct x402_network {
    char name[X402_NETWORK_NAME_MAX]; /* "" when it has no legacy name */
    uint64_t chain_id;
    uint8_t asset20[20];
    char asset_name[X402_ASSET_NAME_MAX];       /* EIP-712 domain name */
    char asset_version[X402_ASSET_VERSION_MAX]; /* EIP-712 domain version */
    uint8_t decimals;
    bool legacy;  /* in the enum of the legacy client: may stand in a v1 body */
    bool testnet; /* its money is play money */
    char explorer[X402_EXPLORER_MAX]; /* for people: a transaction's page is this and
                                         its hash, "https://basescan.org/tx/"; "" when
                                         none is known */
    uint8_t domain_separator32[32];   /* EIP-712; filled by x402_network_seal */
};

/*
 * The built-in networks (reference: @x402/evm default assets and the x402 v1 table), by
 * name or CAIP-2 id. Writes a sealed copy. X402_ERR_NETWORK when there is none.
 */
X402_MUST_USE enum x402_error x402_network_find(struct x402_network *out,
                                                struct x402_slice name_or_caip2);

/* The built-in table, for listings; *count networks, static storage, not sealed. */
const struct x402_network *x402_network_table(size_t *count);

/*
 * "eip155:84532" to 84532: decimal, no leading zero, not 0. X402_ERR_NETWORK.
 */
X402_MUST_USE enum x402_error x402_caip2_decode(uint64_t *out_chain_id,
                                                struct x402_slice text);
void x402_caip2_encode(char out[X402_CAIP2_TEXT_SIZE], uint64_t chain_id);

/* Computes the domain separator from the other fields; call again after changing one.
 */
void x402_network_seal(struct x402_network *network);

#endif
