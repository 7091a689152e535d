#include "settle/ask.h"

#include "settle/fee.h"

static struct x402_rpc_call ask(const char *method, json_t *params)
{
    return (struct x402_rpc_call){.method = method, .params = params};
}

struct x402_rpc_call x402_ask_chain_id(void)
{
    return ask("eth_chainId", json_array());
}

struct x402_rpc_call x402_ask_block(const char *tag)
{
    return ask("eth_getBlockByNumber", json_pack("[s, b]", tag, 0));
}

struct x402_rpc_call x402_ask_block_number(uint64_t number)
{
    return ask("eth_getBlockByNumber",
               json_pack("[o, b]", x402_json_of_quantity(number), 0));
}

static json_t *block_of(const struct x402_at *at)
{
    if (at->tag != NULL)
        return json_string(at->tag);
    if (at->hash32 != NULL)
        return json_pack("{s:o}", "blockHash", x402_json_of_bytes(at->hash32, 32));
    return x402_json_of_quantity(at->number);
}

/* A question about an address, at a block. */
static struct x402_rpc_call ask_about(const char *method, const uint8_t address20[20],
                                      const struct x402_at *at)
{
    return ask(method,
               json_pack("[o, o]", x402_json_of_bytes(address20, 20), block_of(at)));
}

struct x402_rpc_call x402_ask_nonce_at(const uint8_t address20[20],
                                       const struct x402_at *at)
{
    return ask_about("eth_getTransactionCount", address20, at);
}

struct x402_rpc_call x402_ask_nonce(const uint8_t address20[20], const char *tag)
{
    return x402_ask_nonce_at(address20, &(struct x402_at){.tag = tag});
}

struct x402_rpc_call x402_ask_balance(const uint8_t address20[20])
{
    return ask_about("eth_getBalance", address20, &(struct x402_at){.tag = "latest"});
}

struct x402_rpc_call x402_ask_code_at(const uint8_t address20[20],
                                      const struct x402_at *at)
{
    return ask_about("eth_getCode", address20, at);
}

struct x402_rpc_call x402_ask_code(const uint8_t address20[20])
{
    return x402_ask_code_at(address20, &(struct x402_at){.tag = "latest"});
}

struct x402_rpc_call x402_ask_fee_history(void)
{
    return ask("eth_feeHistory",
               json_pack("[o, s, [i]]", x402_json_of_quantity(X402_FEE_HISTORY_BLOCKS),
                         "latest", 50));
}

struct x402_rpc_call x402_ask_receipt(const uint8_t hash32[32])
{
    struct x402_rpc_call call = ask("eth_getTransactionReceipt",
                                    json_pack("[o]", x402_json_of_bytes(hash32, 32)));

    call.reply_max = X402_RPC_REPLY_LOGS_MAX; /* a batch has hundreds of logs */
    return call;
}

struct x402_rpc_call x402_ask_send(const uint8_t *raw, size_t size)
{
    return ask("eth_sendRawTransaction",
               json_pack("[o]", x402_json_of_bytes(raw, size)));
}

struct x402_rpc_call x402_ask_eth_call(const struct x402_eth_call *call)
{
    json_t *fields =
        json_pack("{s:o, s:o, s:o}", "to", x402_json_of_bytes(call->to20, 20), "data",
                  x402_json_of_bytes(call->data, call->size), "gas",
                  x402_json_of_quantity(call->gas));

    if (call->from20 != NULL && fields != NULL &&
        json_object_set_new(fields, "from", x402_json_of_bytes(call->from20, 20)) !=
            0) {
        json_decref(fields);
        fields = NULL;
    }
    return ask("eth_call", json_pack("[o, o]", fields, block_of(&call->at)));
}

struct x402_rpc_call x402_ask_call_gas(const uint8_t *from20, const uint8_t to20[20],
                                       const uint8_t *data, size_t size, uint64_t gas,
                                       const char *tag, uint64_t block_number)
{
    struct x402_eth_call call = {.from20 = from20,
                                 .to20 = to20,
                                 .data = data,
                                 .size = size,
                                 .gas = gas,
                                 .at = {.tag = tag, .number = block_number}};

    return x402_ask_eth_call(&call);
}

struct x402_rpc_call x402_ask_call(const uint8_t *from20, const uint8_t to20[20],
                                   const uint8_t *data, size_t size, const char *tag,
                                   uint64_t block_number)
{
    return x402_ask_call_gas(from20, to20, data, size, X402_GAS_LIMIT, tag,
                             block_number);
}

struct x402_rpc_call x402_ask_logs(const struct x402_log_query *query)
{
    json_t *topics =
        json_pack("[[o, o], o, o]", x402_json_of_bytes(query->events[0], 32),
                  x402_json_of_bytes(query->events[1], 32),
                  x402_json_of_bytes(query->second32, 32),
                  x402_json_of_bytes(query->third32, 32));
    json_t *filter = json_pack(
        "{s:o, s:o, s:o, s:o}", "address", x402_json_of_bytes(query->address20, 20),
        "topics", topics, "fromBlock", x402_json_of_quantity(query->first_block),
        "toBlock", x402_json_of_quantity(query->last_block));
    struct x402_rpc_call call = ask("eth_getLogs", json_pack("[o]", filter));

    call.reply_max = X402_RPC_REPLY_LOGS_MAX;
    return call;
}
