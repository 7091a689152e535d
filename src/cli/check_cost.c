/*
 * What a call at each configured price costs to settle at the present fee, and when it
 * loses money. The gas of a payment is as measured; fees are asked of the node.
 */
#include "cli/check.h"
#include "cli/economics.h"
#include "cli/prices.h"
#include "evm/facilitator.h"
#include "evm/keccak.h"
#include "settle/ask.h"
#include "settle/fee.h"

#include <x402/money.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONF_SIZE_MAX (1 << 20)
#define SINGLE_BYTES 408 /* of a signed transaction with one payment */
#define SINGLE_NOISE 300 /* what they compress to, by chain facts, section 3 */
#define BATCH_ITEMS 100

struct cost {
    struct x402_findings *findings;
    struct x402_rpc *rpc;
    char label[X402_CAIP2_TEXT_SIZE];
    struct x402_gas_price price;
    uint64_t base_fee_wei;
    bool batches; /* the contract is there */
};

/* ------------------------------------------------------------------- configuration */

static bool read_file(char **out, size_t *size, const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = file != NULL ? malloc(CONF_SIZE_MAX) : NULL;

    if (text != NULL)
        *size = fread(text, 1, CONF_SIZE_MAX, file);
    bool fine = text != NULL && !ferror(file);
    if (file != NULL)
        fclose(file);
    if (fine)
        *out = text;
    else
        free(text);
    return fine;
}

void x402_check_prices(struct x402_findings *findings, struct x402_prices *out,
                       const char *conf_path, bool asked)
{
    char *text;
    size_t size;

    memset(out, 0, sizeof *out);
    errno = 0;
    if (!read_file(&text, &size, conf_path)) {
        if (asked)
            x402_finding_add(findings, X402_FINDING_FAIL, "prices",
                             "cannot read '%s': %s", conf_path, strerror(errno));
        return;
    }
    x402_prices_scan(out, (struct x402_slice){text, size});
    free(text);
    if (out->variable > 0)
        x402_finding_add(findings, X402_FINDING_NOTE, "prices",
                         "%zu prices in '%s' are variables, and not looked at",
                         out->variable, conf_path);
    if (out->included > 0)
        x402_finding_add(findings, X402_FINDING_NOTE, "prices",
                         "%zu includes in '%s' were not read", out->included,
                         conf_path);
}

/* --------------------------------------------------------------------------- fees */

/* A rollup's own contract says what its first layer charges for some bytes. */
static const uint8_t l1_oracle20[20] = {0x42, [19] = 0x0f};
#define L1_FEE_MAX UINT64_C(10000000000000000) /* 0.01 ether: a node that lies */
#define L1_DATA_SIZE (4 + 64 + (SINGLE_BYTES + 31) / 32 * 32)

/* Bytes that do not compress, as signatures do not: the fee goes by the compressed. */
static void fill_noise(uint8_t *out, size_t size)
{
    uint8_t hash32[32] = {0};

    for (size_t at = 0; at < size; at += sizeof hash32) {
        x402_keccak256(hash32, hash32, sizeof hash32);
        memcpy(out + at, hash32, size - at < sizeof hash32 ? size - at : sizeof hash32);
    }
}

static struct x402_rpc_call ask_l1_fee(void)
{
    static const char signature[] = "getL1Fee(bytes)";
    uint8_t data[L1_DATA_SIZE] = {0}, hash32[32];

    x402_keccak256(hash32, signature, sizeof signature - 1);
    memcpy(data, hash32, 4);
    data[4 + 31] = 32; /* where the bytes begin */
    data[4 + 32 + 30] = SINGLE_BYTES >> 8;
    data[4 + 32 + 31] = SINGLE_BYTES & 0xff;
    fill_noise(data + 4 + 64, SINGLE_NOISE); /* the rest is zeros, as in calldata */
    return x402_ask_call(NULL, l1_oracle20, data, sizeof data, "latest", 0);
}

/* 0 where there is no such contract: the chain is no rollup, or charges nothing. */
static uint64_t take_l1_fee(const struct x402_rpc_call *call)
{
    uint8_t word32[32];
    uint64_t wei = 0;

    if (call->reply.status != X402_RPC_RESULT ||
        !x402_json_bytes(word32, sizeof word32, call->reply.result))
        return 0;
    for (size_t i = 24; i < sizeof word32; i++)
        wei = wei << 8 | word32[i];
    return wei < L1_FEE_MAX ? wei : L1_FEE_MAX;
}

static bool has_contract(const struct x402_rpc_call *call)
{
    static uint8_t code[24576]; /* EIP-170: no contract is longer */
    uint8_t hash32[32];
    size_t size;

    if (call->reply.status != X402_RPC_RESULT ||
        !x402_json_data(code, &size, sizeof code, call->reply.result))
        return false;
    x402_keccak256(hash32, code, size);
    return memcmp(hash32, x402_facilitator_code_hash32, sizeof hash32) == 0;
}

enum { ASK_CHAIN, ASK_FEES, ASK_L1, ASK_CODE, ASKS };

/* Why the answers are of no use; NULL when they are. */
static const char *what_is_wrong(const struct x402_rpc_call *calls, uint64_t chain_id,
                                 struct x402_fee_history *history)
{
    uint64_t id;

    if (calls[ASK_CHAIN].reply.status == X402_RPC_FAILED)
        return "the node does not answer";
    if (!x402_json_quantity(&id, calls[ASK_CHAIN].reply.result) || id != chain_id)
        return "the node is of another chain";
    if (calls[ASK_FEES].reply.status != X402_RPC_RESULT ||
        !x402_fee_history_decode(history, calls[ASK_FEES].reply.result))
        return "the node does not say what gas costs";
    return NULL;
}

static bool look(struct cost *cost, uint64_t chain_id)
{
    struct x402_rpc_call calls[ASKS] = {
        [ASK_CHAIN] = x402_ask_chain_id(),
        [ASK_FEES] = x402_ask_fee_history(),
        [ASK_L1] = ask_l1_fee(),
        [ASK_CODE] = x402_ask_code(x402_facilitator_address20),
    };
    struct x402_fee_policy policy = x402_fee_policy_of(chain_id);
    struct x402_fee_history history = {0};
    struct x402_fee fee = {0};

    x402_rpc_perform(cost->rpc, calls, ASKS);
    const char *wrong = what_is_wrong(calls, chain_id, &history);
    if (wrong != NULL)
        x402_finding_add(cost->findings, X402_FINDING_FAIL, cost->label, "%s", wrong);
    (void)x402_fee_quote(&fee, &policy, history.base_fee_wei, history.rewards,
                         history.rewards_count);
    cost->base_fee_wei = history.base_fee_wei;
    cost->price.wei = history.base_fee_wei + fee.tip_wei;
    cost->price.l1_single_wei = take_l1_fee(&calls[ASK_L1]);
    /* Chain facts, section 2: 109 bytes when compressed, of 216 alone. */
    cost->price.l1_batched_wei = cost->price.l1_single_wei * 109 / 216;
    cost->batches = has_contract(&calls[ASK_CODE]);
    x402_rpc_calls_release(calls, ASKS);
    return wrong == NULL;
}

/* ------------------------------------------------------------------------- telling */

static void tell_gas(const struct cost *cost)
{
    char gas[X402_GWEI_TEXT_SIZE], base[X402_GWEI_TEXT_SIZE];
    char ether[X402_AMOUNT_TEXT_SIZE], l1[X402_GWEI_TEXT_SIZE];

    x402_gwei_encode(gas, cost->price.wei);
    x402_gwei_encode(base, cost->base_fee_wei);
    x402_gwei_encode(l1, cost->price.l1_single_wei);
    x402_amount_encode(ether, cost->price.ether_micro_usd, 6);
    x402_finding_add(cost->findings, X402_FINDING_OK, cost->label,
                     "gas costs %s gwei (base fee %s), ether $%s (--ether-usd); a "
                     "payment needs %d gas alone and %d in a batch of %d",
                     gas, base, ether, X402_GAS_SINGLE, X402_GAS_BATCHED, BATCH_ITEMS);
    if (cost->price.l1_single_wei > 0)
        x402_finding_add(cost->findings, X402_FINDING_OK, cost->label,
                         "the layer below takes %s gwei for a payment's bytes alone",
                         l1);
    if (!cost->batches)
        x402_finding_add(cost->findings, X402_FINDING_NOTE, cost->label,
                         "payments settle singly: the contract that batches is not "
                         "on this chain: x402 contract deploy");
}

static void tell_floor(const struct cost *cost)
{
    char single[X402_NANO_USD_TEXT_SIZE], batched[X402_NANO_USD_TEXT_SIZE];

    x402_nano_usd_encode(single, x402_cost_single_nano_usd(&cost->price));
    x402_nano_usd_encode(batched, x402_cost_batched_nano_usd(&cost->price));
    x402_finding_add(cost->findings, X402_FINDING_OK, cost->label,
                     "at this fee a call loses money below $%s settled singly, below "
                     "$%s in batches",
                     single, batched);
}

static void tell_price(const struct cost *cost, const struct x402_price *sold)
{
    const struct x402_gas_price *price = &cost->price;
    char subject[X402_PRICE_WHERE_MAX + 32], usd[X402_AMOUNT_TEXT_SIZE];
    char single[X402_NANO_USD_TEXT_SIZE], batched[X402_NANO_USD_TEXT_SIZE];
    char single_gwei[X402_GWEI_TEXT_SIZE], batched_gwei[X402_GWEI_TEXT_SIZE];
    uint64_t now = cost->batches ? x402_cost_batched_nano_usd(price)
                                 : x402_cost_single_nano_usd(price);
    bool loses = now / 1000 >= sold->micro_usd;

    snprintf(subject, sizeof subject, sold->more > 0 ? "%s and %zu more" : "%s",
             sold->where, sold->more);
    x402_amount_encode(usd, sold->micro_usd, 6);
    x402_nano_usd_encode(single, x402_cost_single_nano_usd(price));
    x402_nano_usd_encode(batched, x402_cost_batched_nano_usd(price));
    x402_gwei_encode(single_gwei,
                     x402_break_even_wei(sold->micro_usd, X402_GAS_SINGLE,
                                         price->l1_single_wei, price->ether_micro_usd));
    x402_gwei_encode(batched_gwei, x402_break_even_wei(
                                       sold->micro_usd, X402_GAS_BATCHED,
                                       price->l1_batched_wei, price->ether_micro_usd));
    x402_finding_add(
        cost->findings, loses ? X402_FINDING_NOTE : X402_FINDING_OK, subject,
        "$%s a call%s: settling costs $%s singly and $%s batched; it "
        "loses money above %s gwei singly, %s batched",
        usd, loses ? " loses money" : "", single, batched, single_gwei, batched_gwei);
}

void x402_check_cost(struct x402_findings *findings, const struct x402_rpc_option *rpc,
                     uint64_t ether_micro_usd, const struct x402_price *named,
                     size_t named_count, const struct x402_prices *configured)
{
    struct cost cost = {.findings = findings,
                        .price = {.ether_micro_usd = ether_micro_usd}};

    x402_cli_network_label(cost.label, &rpc->network);
    cost.rpc = x402_rpc_open(rpc->url, NULL, NULL);
    if (cost.rpc == NULL) {
        x402_finding_add(findings, X402_FINDING_FAIL, cost.label, "not enough memory");
        return;
    }
    if (look(&cost, rpc->network.chain_id)) {
        tell_gas(&cost);
        tell_floor(&cost);
        for (size_t i = 0; i < named_count; i++)
            tell_price(&cost, &named[i]);
        for (size_t i = 0; i < configured->count; i++)
            tell_price(&cost, &configured->items[i]);
    }
    x402_rpc_close(cost.rpc);
}
