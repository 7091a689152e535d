/* `x402 contract`: puts the facilitator contract on a chain. */
#include "cli/cli.h"
#include "cli/view.h"

#include "evm/facilitator.h"
#include "evm/keccak.h"
#include "evm/signature.h"
#include "evm/transaction.h"
#include "settle/ask.h"
#include "settle/fee.h"
#include "settle/key.h"
#include "settle/plan.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define COMMAND "contract"

static const char help[] =
    "usage: x402 contract deploy --rpc NETWORK=URL --key FILE [--json]\n"
    "\n"
    "Puts the facilitator contract on a chain, once and for everybody: with it a\n"
    "settler collects up to 200 payments in one transaction, for about half the gas.\n"
    "It has the same address on every chain, where every settler looks for it, so\n"
    "nothing is configured. It holds no money and has no owner; without it payments\n"
    "settle one by one. Where it is already, this says so and spends nothing.\n"
    "\n"
    "  --rpc NETWORK=URL  a node of the network. NETWORK is a name like base-sepolia\n"
    "                     or an id like eip155:84532\n"
    "  --key FILE         the private key that pays for the gas, about 450,000 of it.\n"
    "                     Not one that a settler is using just now\n"
    "  --json             one JSON object instead of text\n"
    "\n"
    "Make a key, send it a little ETH, and deploy to Base Sepolia:\n"
    "\n"
    "  x402 wallet new gas.key\n"
    "  x402 contract deploy --rpc base-sepolia=https://sepolia.base.org --key "
    "gas.key\n";

/* Half of it again is left over (450,000 are used; see the e2e test). */
#define DEPLOY_GAS_LIMIT 700000
#define CODE_SIZE_MAX 24576 /* EIP-170 */

#define POLL_MILLISECONDS 500
#define POLLS_MAX 240     /* two minutes: 60 blocks of Base */
#define POLLS_A_RESEND 30 /* a lost reply or a forgetful node: the same bytes again */

/* One run, from the options to the answer. */
struct deployment {
    struct x402_network network;
    char label[X402_CAIP2_TEXT_SIZE];
    struct x402_rpc *rpc;
    uint8_t key32[32];
    uint8_t signer20[20];
    bool json;
};

enum code {
    CODE_NONE,
    CODE_OURS,
    CODE_OTHER,
};

/* What the chain says before anything is signed. */
struct survey {
    enum code code;
    bool has_deployer;
    uint64_t balance_wei;
    uint64_t nonce, nonce_pending;
    struct x402_fee_history fees;
};

static bool fail(const char *why)
{
    x402_cli_error(COMMAND, "%s", why);
    return false;
}

/* ------------------------------------------------------------------------- asking */

/* False, with a message, when a call has no result. */
static bool ask(struct deployment *deployment, struct x402_rpc_call *calls,
                size_t count)
{
    x402_rpc_perform(deployment->rpc, calls, count);
    for (size_t i = 0; i < count; i++) {
        if (calls[i].reply.status == X402_RPC_RESULT)
            continue;
        if (calls[i].reply.status == X402_RPC_FAILED)
            return fail(x402_rpc_message(deployment->rpc));
        x402_cli_error(COMMAND, "node %s refuses %s: %s",
                       x402_rpc_origin(deployment->rpc), calls[i].method,
                       calls[i].reply.message);
        return false;
    }
    return true;
}

static bool read_code(enum code *out, const json_t *value)
{
    static uint8_t code[CODE_SIZE_MAX];
    uint8_t hash32[32];
    size_t size;

    if (!x402_json_data(code, &size, sizeof code, value))
        return false;
    x402_keccak256(hash32, code, size);
    if (size == 0)
        *out = CODE_NONE;
    else if (memcmp(hash32, x402_facilitator_code_hash32, sizeof hash32) == 0)
        *out = CODE_OURS;
    else
        *out = CODE_OTHER;
    return true;
}

enum {
    ASK_CHAIN_ID,
    ASK_CODE,
    ASK_DEPLOYER,
    ASK_BALANCE,
    ASK_NONCE,
    ASK_NONCE_PENDING,
    ASK_FEES,
    ASKS_COUNT,
};

static bool read_survey(struct survey *out, uint64_t *chain_id,
                        const struct x402_rpc_call calls[ASKS_COUNT])
{
    enum code deployer;

    if (!x402_json_quantity(chain_id, calls[ASK_CHAIN_ID].reply.result) ||
        !read_code(&out->code, calls[ASK_CODE].reply.result) ||
        !read_code(&deployer, calls[ASK_DEPLOYER].reply.result) ||
        !x402_json_amount(&out->balance_wei, calls[ASK_BALANCE].reply.result) ||
        !x402_json_quantity(&out->nonce, calls[ASK_NONCE].reply.result) ||
        !x402_json_quantity(&out->nonce_pending,
                            calls[ASK_NONCE_PENDING].reply.result) ||
        !x402_fee_history_decode(&out->fees, calls[ASK_FEES].reply.result))
        return false;
    out->has_deployer = deployer != CODE_NONE;
    return true;
}

static bool take_survey(struct deployment *deployment, struct survey *out)
{
    struct x402_rpc_call calls[ASKS_COUNT] = {
        [ASK_CHAIN_ID] = x402_ask_chain_id(),
        [ASK_CODE] = x402_ask_code(x402_facilitator_address20),
        [ASK_DEPLOYER] = x402_ask_code(x402_facilitator_deployer20),
        [ASK_BALANCE] = x402_ask_balance(deployment->signer20),
        [ASK_NONCE] = x402_ask_nonce(deployment->signer20, "latest"),
        [ASK_NONCE_PENDING] = x402_ask_nonce(deployment->signer20, "pending"),
        [ASK_FEES] = x402_ask_fee_history(),
    };
    uint64_t chain_id = 0;
    bool asked = ask(deployment, calls, ASKS_COUNT);
    bool read = asked && read_survey(out, &chain_id, calls);

    x402_rpc_calls_release(calls, ASKS_COUNT);
    if (asked && !read)
        x402_cli_error(COMMAND, "the answers of node %s make no sense",
                       x402_rpc_origin(deployment->rpc));
    if (read && chain_id != deployment->network.chain_id) {
        x402_cli_error(COMMAND, "node %s is of chain %" PRIu64 ", not %" PRIu64,
                       x402_rpc_origin(deployment->rpc), chain_id,
                       deployment->network.chain_id);
        return false;
    }
    return read;
}

/* ------------------------------------------------------------------------ sending */

/* Whether all is there that it takes; the fee is written. */
static bool may_send(const struct deployment *deployment, const struct survey *survey,
                     struct x402_fee *fee)
{
    struct x402_fee_policy policy = x402_fee_policy_of(deployment->network.chain_id);
    char signer[X402_ADDRESS_TEXT_SIZE], address[X402_ADDRESS_TEXT_SIZE];

    x402_address_encode(signer, deployment->signer20);
    if (survey->code == CODE_OTHER)
        return fail("other code stands at the contract's address");
    if (!survey->has_deployer) {
        x402_address_encode(address, x402_facilitator_deployer20);
        x402_cli_error(COMMAND,
                       "%s has no CREATE2 deployer at %s: put that there first "
                       "(github.com/Arachnid/deterministic-deployment-proxy)",
                       deployment->label, address);
        return false;
    }
    if (!x402_fee_quote(fee, &policy, survey->fees.base_fee_wei, survey->fees.rewards,
                        survey->fees.rewards_count)) {
        x402_cli_error(COMMAND,
                       "gas on %s costs more than %" PRIu64 " wei now: try later",
                       deployment->label, policy.max_fee_wei_max);
        return false;
    }
    uint64_t cost_wei = fee->max_fee_wei * DEPLOY_GAS_LIMIT;
    if (survey->balance_wei < cost_wei) {
        x402_cli_error(COMMAND,
                       "%s cannot pay for gas: it has %" PRIu64
                       " wei on %s and this may cost %" PRIu64,
                       signer, survey->balance_wei, deployment->label, cost_wei);
        return false;
    }
    if (survey->nonce_pending != survey->nonce) {
        x402_cli_error(COMMAND,
                       "%s has transactions under way: stop the settler that uses the "
                       "key, or wait for them, and try again",
                       signer);
        return false;
    }
    return true;
}

struct sent {
    uint8_t raw[4096];
    size_t raw_size;
    uint8_t hash32[32];
};

static bool sign(struct sent *out, const struct deployment *deployment,
                 const struct survey *survey, const struct x402_fee *fee)
{
    struct x402_transaction tx = {
        .chain_id = deployment->network.chain_id,
        .nonce = survey->nonce,
        .max_priority_fee_wei = fee->tip_wei,
        .max_fee_wei = fee->max_fee_wei,
        .gas_limit = DEPLOY_GAS_LIMIT,
        .data = x402_facilitator_deploy_data,
        .data_size = x402_facilitator_deploy_data_size,
    };

    memcpy(tx.to20, x402_facilitator_deployer20, 20);
    return x402_transaction_sign(out->raw, &out->raw_size, sizeof out->raw, out->hash32,
                                 &tx, deployment->key32) == X402_OK ||
           fail("cannot sign the transaction");
}

/*
 * False, with a message, when the node refuses it. No answer is no refusal: it may have
 * arrived, and its receipt is looked for.
 */
static bool submit(struct deployment *deployment, const struct sent *sent)
{
    struct x402_rpc_call call = x402_ask_send(sent->raw, sent->raw_size);
    bool accepted = true;

    x402_rpc_perform(deployment->rpc, &call, 1);
    if (call.reply.status == X402_RPC_ERROR)
        accepted = x402_send_classify(call.reply.message) == X402_SEND_ACCEPTED;
    if (!accepted)
        x402_cli_error(COMMAND, "node %s refuses the transaction: %s",
                       x402_rpc_origin(deployment->rpc), call.reply.message);
    x402_rpc_calls_release(&call, 1);
    return accepted;
}

/* ------------------------------------------------------------------------ waiting */

static void wait_a_poll(void)
{
    struct timespec time = {POLL_MILLISECONDS / 1000,
                            POLL_MILLISECONDS % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

/* Whether the receipt came, and what code stands there now. */
static bool look_for(struct deployment *deployment, const struct sent *sent,
                     struct x402_transaction_receipt *receipt, enum code *code)
{
    struct x402_rpc_call calls[] = {x402_ask_receipt(sent->hash32),
                                    x402_ask_code(x402_facilitator_address20)};
    bool found = false;

    *code = CODE_NONE;
    x402_rpc_perform(deployment->rpc, calls, 2);
    if (calls[1].reply.status == X402_RPC_RESULT &&
        !read_code(code, calls[1].reply.result))
        *code = CODE_OTHER;
    if (calls[0].reply.status == X402_RPC_RESULT)
        found = x402_transaction_receipt_decode(receipt, calls[0].reply.result,
                                                sent->hash32) == X402_RECEIPT_FOUND;
    x402_rpc_calls_release(calls, 2);
    return found;
}

/*
 * Until the code stands there and the receipt says what it cost; then the receipt is
 * the caller's. Somebody else may have been first, and our transaction in vain: the
 * code is what counts. A node may show a receipt before it shows the code.
 */
static bool wait_for_code(struct deployment *deployment, const struct sent *sent,
                          struct x402_transaction_receipt *receipt)
{
    char hash[67];
    enum code code;

    x402_cli_hex_text(hash, sizeof hash, sent->hash32, 32);
    for (int polls = 1; polls <= POLLS_MAX; polls++) {
        bool found = look_for(deployment, sent, receipt, &code);
        if (found && code == CODE_OURS)
            return true;
        bool failed = found && !receipt->succeeded;
        if (found)
            x402_transaction_receipt_release(receipt);
        if (code == CODE_OTHER)
            return fail("other code stands at the contract's address");
        if (failed && polls > POLLS_A_RESEND) {
            x402_cli_error(COMMAND, "transaction %s failed and made no contract", hash);
            return false;
        }
        if (!found && polls % POLLS_A_RESEND == 0)
            (void)submit(deployment, sent);
        wait_a_poll();
    }
    x402_cli_error(COMMAND,
                   "transaction %s is in no block after %d s; it may still come: run "
                   "this again",
                   hash, POLLS_MAX * POLL_MILLISECONDS / 1000);
    return false;
}

/* ---------------------------------------------------------------------- answering */

/* `receipt` is NULL when the contract was there already. */
static void print_json(const struct deployment *deployment,
                       const struct x402_transaction_receipt *receipt)
{
    char caip2[X402_CAIP2_TEXT_SIZE];

    x402_caip2_encode(caip2, deployment->network.chain_id);
    printf("{\"network\":\"%s\",\"networkName\":", caip2);
    if (deployment->network.name[0])
        x402_cli_json_string(stdout, deployment->network.name);
    else
        fputs("null", stdout);
    fputs(",\"address\":", stdout);
    x402_cli_json_hex(stdout, x402_facilitator_address20, 20);
    if (receipt == NULL) {
        puts(",\"deployed\":false,\"transaction\":null,\"block\":null,"
             "\"gasUsed\":null,\"feeWei\":null}");
        return;
    }
    fputs(",\"deployed\":true,\"transaction\":", stdout);
    x402_cli_json_hex(stdout, receipt->hash32, 32);
    printf(",\"block\":%" PRIu64 ",\"gasUsed\":%" PRIu64 ",\"feeWei\":\"%" PRIu64
           "\"}\n",
           receipt->block_number, receipt->gas_used, receipt->fee_wei);
}

static void print_text(const struct deployment *deployment,
                       const struct x402_transaction_receipt *receipt)
{
    char address[X402_ADDRESS_TEXT_SIZE], hash[67];

    x402_address_encode(address, x402_facilitator_address20);
    printf("contract     %s on %s\n", address, deployment->label);
    if (receipt == NULL) {
        puts("transaction  none: it was there already, with the right code");
        return;
    }
    x402_cli_hex_text(hash, sizeof hash, receipt->hash32, 32);
    printf("transaction  %s in block %" PRIu64 "\n", hash, receipt->block_number);
    printf("gas          %" PRIu64 ", for %" PRIu64 " wei\n", receipt->gas_used,
           receipt->fee_wei);
}

static void answer(const struct deployment *deployment,
                   const struct x402_transaction_receipt *receipt)
{
    if (deployment->json)
        print_json(deployment, receipt);
    else
        print_text(deployment, receipt);
}

/* ------------------------------------------------------------------------ running */

static bool deploy(struct deployment *deployment)
{
    struct x402_transaction_receipt receipt;
    struct survey survey;
    struct x402_fee fee;
    struct sent sent;
    char hash[67];

    if (!take_survey(deployment, &survey))
        return false;
    if (survey.code == CODE_OURS) {
        answer(deployment, NULL);
        return true;
    }
    if (!may_send(deployment, &survey, &fee) ||
        !sign(&sent, deployment, &survey, &fee) || !submit(deployment, &sent))
        return false;
    x402_cli_hex_text(hash, sizeof hash, sent.hash32, 32);
    x402_cli_note(COMMAND, "sent %s, waiting for its block", hash);
    if (!wait_for_code(deployment, &sent, &receipt))
        return false;
    answer(deployment, &receipt);
    x402_transaction_receipt_release(&receipt);
    return true;
}

static int run(struct deployment *deployment, const char *url, const char *key_path)
{
    char message[X402_KEY_MESSAGE_MAX];
    bool done = false;

    if (x402_key_load(deployment->key32, key_path, message) != X402_OK) {
        x402_cli_error(COMMAND, "--key: %s", message);
        return X402_EXIT_FAILED;
    }
    deployment->rpc = x402_rpc_open(url, NULL, NULL);
    if (x402_key_address(deployment->signer20, deployment->key32) != X402_OK)
        fail("--key: not a private key");
    else if (deployment->rpc == NULL)
        fail("out of memory");
    else
        done = deploy(deployment);
    x402_rpc_close(deployment->rpc);
    x402_bytes_wipe(deployment->key32, sizeof deployment->key32);
    return done ? X402_EXIT_DONE : X402_EXIT_FAILED;
}

int x402_cli_contract(int argc, char **argv)
{
    static const char *const names[] = {"deploy"};
    const char *words[1], *rpc = NULL, *key = NULL, *why = "";
    struct deployment deployment = {.json = false};
    struct x402_rpc_option node;
    const struct x402_option options[] = {
        {"rpc", 0, X402_OPTION_TEXT, &rpc},
        {"key", 0, X402_OPTION_TEXT, &key},
        {"json", 0, X402_OPTION_FLAG, &deployment.json},
        {NULL, 0, X402_OPTION_FLAG, NULL},
    };
    struct x402_arguments arguments = {.help = help,
                                       .options = options,
                                       .words_min = 1,
                                       .words_max = 1,
                                       .words_names = names,
                                       .words = words};
    enum x402_parsed parsed = x402_cli_parse(&arguments, argc, argv);

    if (parsed != X402_PARSED_RUN)
        return parsed == X402_PARSED_HELP ? X402_EXIT_DONE : X402_EXIT_USAGE;
    if (strcmp(words[0], "deploy") != 0)
        return x402_cli_usage_error(COMMAND, "no action '%s': write deploy", words[0]);
    if (rpc == NULL)
        return x402_cli_usage_error(COMMAND, "--rpc NETWORK=URL is missing");
    if (key == NULL)
        return x402_cli_usage_error(COMMAND, "--key FILE is missing");
    if (x402_cli_rpc_decode(&node, &why, rpc) != X402_OK)
        return x402_cli_usage_error(COMMAND, "--rpc: '%s': %s", rpc, why);
    deployment.network = node.network;
    x402_cli_network_label(deployment.label, &node.network);
    return run(&deployment, node.url, key);
}
