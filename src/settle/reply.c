#include "settle/reply.h"

#include "settle/fee.h"

#include "evm/abi.h"

#include <x402/money.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------- values */

static bool hex_text(struct x402_slice *out, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t size = json_string_length(value);

    if (text == NULL || size < 2 || text[0] != '0' || text[1] != 'x')
        return false;
    *out = (struct x402_slice){text + 2, size - 2};
    return true;
}

bool x402_json_quantity(uint64_t *out, const json_t *value)
{
    struct x402_slice hex;
    char digits[16];
    uint8_t bytes[8];
    uint64_t number = 0;

    if (!hex_text(&hex, value) || hex.size == 0)
        return false;
    while (hex.size > 1 && hex.data[0] == '0') {
        hex.data++;
        hex.size--;
    }
    if (hex.size > sizeof digits)
        return false;
    memset(digits, '0', sizeof digits);
    memcpy(digits + sizeof digits - hex.size, hex.data, hex.size);
    if (!x402_hex_decode(bytes, 8, (struct x402_slice){digits, sizeof digits}))
        return false;
    for (size_t i = 0; i < 8; i++)
        number = number << 8 | bytes[i];
    *out = number;
    return true;
}

bool x402_json_amount(uint64_t *out, const json_t *value)
{
    struct x402_slice hex;

    if (x402_json_quantity(out, value))
        return true;
    if (!hex_text(&hex, value) || hex.size == 0 || hex.size > 64)
        return false;
    for (size_t i = 0; i < hex.size; i++) {
        if (memchr("0123456789abcdefABCDEF", hex.data[i], 22) == NULL)
            return false;
    }
    *out = UINT64_MAX;
    return true;
}

bool x402_json_bytes(uint8_t *out, size_t size, const json_t *value)
{
    struct x402_slice hex;

    return hex_text(&hex, value) && x402_hex_decode(out, size, hex);
}

bool x402_json_data(uint8_t *out, size_t *out_size, size_t max, const json_t *value)
{
    struct x402_slice hex;

    if (!hex_text(&hex, value) || hex.size % 2 != 0 || hex.size / 2 > max)
        return false;
    if (!x402_hex_decode(out, hex.size / 2, hex))
        return false;
    *out_size = hex.size / 2;
    return true;
}

json_t *x402_json_of_quantity(uint64_t value)
{
    char text[19];

    snprintf(text, sizeof text, "0x%llx", (unsigned long long)value);
    return json_string(text);
}

json_t *x402_json_of_bytes(const uint8_t *bytes, size_t size)
{
    char *text = malloc(2 + 2 * size);

    if (text == NULL)
        return NULL;
    memcpy(text, "0x", 2);
    x402_hex_encode(text + 2, bytes, size);
    json_t *value = json_stringn(text, 2 + 2 * size);
    free(text);
    return value;
}

/* ------------------------------------------------------------------------- replies */

static void copy_printable(char *out, size_t out_max, const char *text)
{
    size_t size = 0;

    for (; *text != '\0' && size + 1 < out_max; text++)
        out[size++] = (*text >= ' ' && *text <= '~') ? *text : '?';
    out[size] = '\0';
}

static const char reverted_prefix[] = "Reverted ";

/* Nethermind writes "Reverted 0x08c379a0…". */
static bool data_text(struct x402_slice *out, const json_t *data)
{
    const char *text = json_string_value(data);
    size_t size = json_string_length(data), skip = sizeof reverted_prefix - 1;

    if (text == NULL || strncmp(text, reverted_prefix, skip) != 0)
        return hex_text(out, data);
    if (size < skip + 2 || memcmp(text + skip, "0x", 2) != 0)
        return false;
    *out = (struct x402_slice){text + skip + 2, size - skip - 2};
    return true;
}

/*
 * Revert data is error.data (geth, reth, anvil) or error.data.data (others). Data too
 * long for us is cut: the selector and the text are at its beginning.
 */
static void take_data(struct x402_rpc_reply *out, const json_t *data)
{
    struct x402_slice hex;

    if (json_is_object(data))
        data = json_object_get(data, "data");
    out->reverted =
        json_is_string(data) && strncmp(json_string_value(data), reverted_prefix,
                                        sizeof reverted_prefix - 1) == 0;
    if (!data_text(&hex, data) || hex.size % 2 != 0)
        return;
    if (hex.size > 2 * sizeof out->data)
        hex.size = 2 * sizeof out->data;
    if (x402_hex_decode(out->data, hex.size / 2, hex))
        out->data_size = hex.size / 2;
}

static void take_error(struct x402_rpc_reply *out, const json_t *error)
{
    const json_t *code = json_object_get(error, "code");
    const char *message = json_string_value(json_object_get(error, "message"));

    if (!json_is_integer(code) || message == NULL)
        return;
    out->status = X402_RPC_ERROR;
    out->code = json_integer_value(code);
    copy_printable(out->message, sizeof out->message, message);
    take_data(out, json_object_get(error, "data"));
}

static bool has_id(const json_t *body, uint64_t id)
{
    const json_t *value = json_object_get(body, "id");

    return json_is_integer(value) && json_integer_value(value) >= 0 &&
           (uint64_t)json_integer_value(value) == id;
}

/* "error": null beside a result is what some servers write; both at once is nonsense.
 */
static void take_body(struct x402_rpc_reply *out, const json_t *body, uint64_t id)
{
    const char *version = json_string_value(json_object_get(body, "jsonrpc"));
    json_t *result = json_object_get(body, "result");
    const json_t *error = json_object_get(body, "error");

    if (version == NULL || strcmp(version, "2.0") != 0 || !has_id(body, id))
        return;
    if (json_is_object(error) && (result == NULL || json_is_null(result))) {
        take_error(out, error);
    } else if ((error == NULL || json_is_null(error)) && result != NULL) {
        out->status = X402_RPC_RESULT;
        out->result = json_incref(result);
    }
}

void x402_rpc_reply_decode(struct x402_rpc_reply *out, const char *body, size_t size,
                           uint64_t id)
{
    json_t *root = json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL);

    memset(out, 0, sizeof *out);
    take_body(out, root, id);
    json_decref(root);
}

void x402_rpc_reply_release(struct x402_rpc_reply *reply)
{
    json_decref(reply->result);
    memset(reply, 0, sizeof *reply);
}

bool x402_rpc_reverted(const struct x402_rpc_reply *reply, char *reason,
                       size_t reason_max)
{
    static const char words[] = "execution reverted";
    const char *found;

    if (reply->status != X402_RPC_ERROR)
        return false;
    found = strcasestr(reply->message, words);
    /* EIP-1474 has no code for it; 3 is what nodes use. */
    if (found == NULL && reply->code != 3 && !reply->reverted)
        return false;
    if (x402_abi_revert_reason(reason, reason_max, reply->data, reply->data_size) > 0)
        return true;
    found = found ? found + sizeof words - 1 : "";
    copy_printable(reason, reason_max, found + strspn(found, ": "));
    return true;
}

/* --------------------------------------------------------------------------- blocks */

bool x402_block_decode(struct x402_block *out, const json_t *value)
{
    const json_t *base_fee = json_object_get(value, "baseFeePerGas");
    struct x402_block block = {0};

    if (!x402_json_quantity(&block.number, json_object_get(value, "number")) ||
        !x402_json_quantity(&block.time_seconds, json_object_get(value, "timestamp")) ||
        !x402_json_bytes(block.hash32, 32, json_object_get(value, "hash")))
        return false;
    if (base_fee != NULL && !x402_json_quantity(&block.base_fee_wei, base_fee))
        return false;
    *out = block;
    return true;
}

/* The newest of an array of quantities, in order. */
static bool decode_newest(uint64_t *out, size_t *out_count, size_t max,
                          const json_t *values, bool nested)
{
    size_t size = json_array_size(values), skip = size > max ? size - max : 0;

    for (size_t i = skip; i < size; i++) {
        const json_t *value = json_array_get(values, i);
        if (!x402_json_quantity(&out[i - skip],
                                nested ? json_array_get(value, 0) : value))
            return false;
    }
    *out_count = size - skip;
    return true;
}

bool x402_fee_history_decode(struct x402_fee_history *out, const json_t *value)
{
    uint64_t base_fees[X402_FEE_HISTORY_BLOCKS + 1]; /* and of the next block */
    struct x402_fee_history history = {0};
    size_t count = 0;

    if (!decode_newest(base_fees, &count, X402_FEE_HISTORY_BLOCKS + 1,
                       json_object_get(value, "baseFeePerGas"), false) ||
        count == 0 ||
        !decode_newest(history.rewards, &history.rewards_count, X402_FEE_HISTORY_MAX,
                       json_object_get(value, "reward"), true))
        return false;
    history.base_fee_wei = base_fees[count - 1];
    history.base_fee_median_wei = x402_fee_median(base_fees, count - 1);
    *out = history;
    return true;
}

/* ----------------------------------------------------------------------------- logs */

/* Anonymous events have no topics; there are never more than four. */
static bool decode_topics(struct x402_log *log, const json_t *topics)
{
    size_t count = json_array_size(topics);

    if (!json_is_array(topics) || count > 4)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!x402_json_bytes(log->topics[i], 32, json_array_get(topics, i)))
            return false;
    }
    log->topics_count = count;
    return true;
}

static bool decode_log_data(struct x402_log *log, const json_t *value)
{
    struct x402_slice hex;

    if (!hex_text(&hex, value) || hex.size % 2 != 0)
        return false;
    log->data_size = hex.size / 2;
    if (log->data_size < 32)
        return true;
    return x402_hex_decode(log->data32, 32, (struct x402_slice){hex.data, 64});
}

static bool decode_log(struct x402_log *out, const json_t *value)
{
    memset(out, 0, sizeof *out);
    return x402_json_bytes(out->address20, 20, json_object_get(value, "address")) &&
           decode_topics(out, json_object_get(value, "topics")) &&
           decode_log_data(out, json_object_get(value, "data")) &&
           x402_json_quantity(&out->block_number,
                              json_object_get(value, "blockNumber")) &&
           x402_json_bytes(out->transaction32, 32,
                           json_object_get(value, "transactionHash"));
}

bool x402_logs_decode(struct x402_log **out, size_t *count, const json_t *value)
{
    size_t size = json_array_size(value), taken = 0;

    if (!json_is_array(value) || size > X402_LOGS_MAX)
        return false;
    struct x402_log *logs = calloc(size + 1, sizeof *logs);
    if (logs == NULL)
        return false;
    for (size_t i = 0; i < size; i++) {
        const json_t *item = json_array_get(value, i);
        if (json_is_true(json_object_get(item, "removed")))
            continue;
        if (!decode_log(&logs[taken], item)) {
            free(logs);
            return false;
        }
        taken++;
    }
    *out = logs;
    *count = taken;
    return true;
}

/* ------------------------------------------------------------------------- receipts */

/* l1Fee is what the rollup's data cost (OP Stack); others have none. */
static bool decode_fee(struct x402_transaction_receipt *out, const json_t *value)
{
    const json_t *l1 = json_object_get(value, "l1Fee");
    uint64_t price, l1_fee = 0;

    if (!x402_json_quantity(&out->gas_used, json_object_get(value, "gasUsed")) ||
        !x402_json_quantity(&price, json_object_get(value, "effectiveGasPrice")))
        return false;
    if (l1 != NULL && !json_is_null(l1) && !x402_json_quantity(&l1_fee, l1))
        return false;
    if (__builtin_mul_overflow(out->gas_used, price, &out->fee_wei) ||
        __builtin_add_overflow(out->fee_wei, l1_fee, &out->fee_wei) ||
        out->fee_wei > X402_VALUE_MAX)
        out->fee_wei = X402_VALUE_MAX;
    return true;
}

static bool decode_receipt(struct x402_transaction_receipt *out, const json_t *value)
{
    uint64_t status;

    if (!x402_json_bytes(out->hash32, 32, json_object_get(value, "transactionHash")) ||
        !x402_json_quantity(&status, json_object_get(value, "status")) || status > 1 ||
        !x402_json_quantity(&out->block_number,
                            json_object_get(value, "blockNumber")) ||
        !x402_json_bytes(out->block_hash32, 32, json_object_get(value, "blockHash")) ||
        !x402_json_bytes(out->from20, 20, json_object_get(value, "from")) ||
        !decode_fee(out, value))
        return false;
    out->succeeded = status == 1;
    return true;
}

enum x402_receipt_answer x402_transaction_receipt_decode(
    struct x402_transaction_receipt *out, const json_t *value, const uint8_t hash32[32])
{
    struct x402_transaction_receipt receipt = {0};

    if (json_is_null(value) || json_is_null(json_object_get(value, "blockHash")) ||
        json_is_null(json_object_get(value, "blockNumber")))
        return X402_RECEIPT_ABSENT;
    if (!decode_receipt(&receipt, value) || memcmp(receipt.hash32, hash32, 32) != 0 ||
        !x402_logs_decode(&receipt.logs, &receipt.logs_count,
                          json_object_get(value, "logs")))
        return X402_RECEIPT_BROKEN;
    *out = receipt;
    return X402_RECEIPT_FOUND;
}

void x402_transaction_receipt_release(struct x402_transaction_receipt *receipt)
{
    free(receipt->logs);
    memset(receipt, 0, sizeof *receipt);
}
