#include "evm/transaction.h"

#include "evm/keccak.h"
#include "evm/signature.h"
#include "evm/word.h"

#include <assert.h>
#include <string.h>

#define TYPE_EIP1559 0x02
#define RLP_STRING 0x80
#define RLP_LIST 0xc0
#define RLP_HEAD_SIZE_MAX 9

/* chainId, nonce, tip, fee, gas, to, value, data, accessList; yParity, r, s */
#define FIELDS_UNSIGNED 9
#define FIELDS_SIGNED 12

struct field {
    uint8_t number[8]; /* where an integer of ours lives */
    const uint8_t *bytes;
    size_t size;
    uint8_t kind; /* RLP_STRING or RLP_LIST */
};

static struct field bytes_field(const uint8_t *bytes, size_t size)
{
    return (struct field){.bytes = bytes, .size = size, .kind = RLP_STRING};
}

/* Integers are big-endian without leading zeros; zero is the empty string. */
static struct field integer_field(const uint8_t *bytes, size_t size)
{
    while (size > 0 && bytes[0] == 0) {
        bytes++;
        size--;
    }
    return bytes_field(bytes, size);
}

static void set_number(struct field *field, uint64_t number)
{
    uint8_t bytes[8];

    x402_big_endian64(bytes, number);
    *field = integer_field(bytes, sizeof bytes);
    memcpy(field->number, bytes, sizeof bytes);
    field->bytes = field->number + (sizeof bytes - field->size);
}

/* Writes the prefix of an item of `size` bytes; out NULL only measures. */
static size_t put_head(uint8_t *out, uint8_t kind, size_t size)
{
    uint8_t big_endian[8];

    if (size <= 55) {
        if (out != NULL)
            out[0] = (uint8_t)(kind + size);
        return 1;
    }
    x402_big_endian64(big_endian, size);
    struct field length = integer_field(big_endian, sizeof big_endian);
    if (out != NULL) {
        out[0] = (uint8_t)(kind + 55 + length.size);
        memcpy(out + 1, length.bytes, length.size);
    }
    return 1 + length.size;
}

static bool stands_for_itself(const struct field *field)
{
    return field->kind == RLP_STRING && field->size == 1 && field->bytes[0] < 0x80;
}

static size_t encoded_size(const struct field *field)
{
    if (stands_for_itself(field))
        return 1;
    return put_head(NULL, field->kind, field->size) + field->size;
}

static uint8_t *put_field(uint8_t *at, const struct field *field)
{
    assert(at != NULL);
    if (!stands_for_itself(field))
        at += put_head(at, field->kind, field->size);
    if (field->size > 0)
        memcpy(at, field->bytes, field->size);
    return at + field->size;
}

/* 0x02 || rlp(fields). Returns the size, or 0 when it passes out_max. */
static size_t encode(uint8_t *out, size_t out_max, const struct field *fields,
                     size_t count)
{
    size_t content_size = 0;
    uint8_t head[RLP_HEAD_SIZE_MAX];

    for (size_t i = 0; i < count; i++)
        content_size += encoded_size(&fields[i]);
    size_t head_size = put_head(head, RLP_LIST, content_size);
    if (1 + head_size + content_size > out_max)
        return 0;

    out[0] = TYPE_EIP1559;
    memcpy(out + 1, head, head_size);
    uint8_t *at = out + 1 + head_size;
    for (size_t i = 0; i < count; i++)
        at = put_field(at, &fields[i]);
    assert(at == out + 1 + head_size + content_size);
    return 1 + head_size + content_size;
}

static void set_unsigned_fields(struct field fields[FIELDS_SIGNED],
                                const struct x402_transaction *tx)
{
    set_number(&fields[0], tx->chain_id);
    set_number(&fields[1], tx->nonce);
    set_number(&fields[2], tx->max_priority_fee_wei);
    set_number(&fields[3], tx->max_fee_wei);
    set_number(&fields[4], tx->gas_limit);
    fields[5] = bytes_field(tx->to20, tx->creates_contract ? 0 : sizeof tx->to20);
    set_number(&fields[6], 0);
    fields[7] = bytes_field(tx->data, tx->data_size);
    fields[8] = (struct field){.kind = RLP_LIST};
}

static void set_signature_fields(struct field fields[FIELDS_SIGNED],
                                 const uint8_t signature65[65])
{
    set_number(&fields[9], (uint64_t)(signature65[64] - 27));
    fields[10] = integer_field(signature65, 32);
    fields[11] = integer_field(signature65 + 32, 32);
}

enum x402_error x402_transaction_sign(uint8_t *raw, size_t *raw_size, size_t raw_max,
                                      uint8_t hash32[32],
                                      const struct x402_transaction *tx,
                                      const uint8_t key32[32])
{
    struct field fields[FIELDS_SIGNED];
    uint8_t digest[32];
    uint8_t signature65[65];

    assert(raw != NULL && (tx->data != NULL || tx->data_size == 0));
    set_unsigned_fields(fields, tx);
    size_t unsigned_size = encode(raw, raw_max, fields, FIELDS_UNSIGNED);
    if (unsigned_size == 0)
        return X402_ERR_SPACE;
    x402_keccak256(digest, raw, unsigned_size);

    enum x402_error error = x402_signature_sign(signature65, digest, key32);
    if (error != X402_OK)
        return error;
    set_signature_fields(fields, signature65);
    size_t signed_size = encode(raw, raw_max, fields, FIELDS_SIGNED);
    if (signed_size == 0)
        return X402_ERR_SPACE;

    x402_keccak256(hash32, raw, signed_size);
    *raw_size = signed_size;
    return X402_OK;
}
