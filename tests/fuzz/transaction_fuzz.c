/*
 * Any numbers and calldata as a transaction: what is signed is read back, by a strict
 * reader of RLP that knows nothing of the writer, as exactly these, signed by the key;
 * and nothing is written past the room given.
 */
#include "check.h"

#include "evm/keccak.h"
#include "evm/signature.h"
#include "evm/transaction.h"

#define DATA_MAX 70000 /* past where a length takes three bytes */

/* A place in RLP, and its end. */
struct cursor {
    const uint8_t *at, *end;
};

/* Takes an item's head: its size, minimal as the yellow paper wants it. */
static size_t take_head(struct cursor *rlp, uint8_t kind)
{
    check(rlp->at < rlp->end && *rlp->at >= kind && *rlp->at < kind + 64, "its kind");
    size_t size = *rlp->at++ - (size_t)kind;
    if (size <= 55)
        return size;
    size_t digits = size - 55;
    check(digits <= 8 && (size_t)(rlp->end - rlp->at) >= digits, "a whole length");
    check(rlp->at[0] != 0, "a length without leading zeros");
    for (size = 0; digits > 0; digits--)
        size = size << 8 | *rlp->at++;
    check(size > 55, "a long form only where it is needed");
    return size;
}

static struct cursor take_item(struct cursor *rlp)
{
    check(rlp->at < rlp->end, "an item");
    if (*rlp->at < 0x80) {
        rlp->at++;
        return (struct cursor){rlp->at - 1, rlp->at};
    }
    size_t size = take_head(rlp, 0x80);
    check((size_t)(rlp->end - rlp->at) >= size, "a whole item");
    struct cursor item = {rlp->at, rlp->at + size};
    check(size != 1 || *item.at >= 0x80, "a byte that stands for itself does");
    rlp->at += size;
    return item;
}

static uint64_t take_integer(struct cursor *rlp)
{
    struct cursor item = take_item(rlp);
    uint64_t number = 0;

    check(item.end - item.at <= 8, "64 bits");
    check(item.at == item.end || *item.at != 0, "no leading zero");
    while (item.at < item.end)
        number = number << 8 | *item.at++;
    return number;
}

static void take_word(uint8_t out32[32], struct cursor *rlp)
{
    struct cursor item = take_item(rlp);
    size_t size = (size_t)(item.end - item.at);

    check(size > 0 && size <= 32 && *item.at != 0, "r or s without leading zeros");
    memset(out32, 0, 32);
    memcpy(out32 + 32 - size, item.at, size);
}

static void check_bytes(struct cursor *rlp, const uint8_t *bytes, size_t size)
{
    struct cursor item = take_item(rlp);

    check((size_t)(item.end - item.at) == size, "as many bytes");
    check(size == 0 || memcmp(item.at, bytes, size) == 0, "the same bytes");
}

/* The nine fields; returns where they end. */
static const uint8_t *check_fields(struct cursor *rlp,
                                   const struct x402_transaction *tx)
{
    check(take_integer(rlp) == tx->chain_id, "the chain");
    check(take_integer(rlp) == tx->nonce, "the nonce");
    check(take_integer(rlp) == tx->max_priority_fee_wei, "the tip");
    check(take_integer(rlp) == tx->max_fee_wei, "the fee");
    check(take_integer(rlp) == tx->gas_limit, "the gas");
    check_bytes(rlp, tx->to20, tx->creates_contract ? 0 : 20);
    check(take_integer(rlp) == 0, "no value");
    check_bytes(rlp, tx->data, tx->data_size);
    check(take_head(rlp, 0xc0) == 0, "no access list");
    return rlp->at;
}

/* keccak256(0x02 || rlp(fields)), encoded here by another's hand. */
static void digest_of(uint8_t out32[32], const uint8_t *fields, size_t size)
{
    uint8_t *message = malloc(size + 10);
    size_t at = 0, digits = 0;

    check(message != NULL, "memory");
    message[at++] = 2;
    while (size > 55 && digits < 8 && size >> (8 * digits) > 0)
        digits++;
    message[at++] = (uint8_t)(digits > 0 ? 0xf7 + digits : 0xc0 + size);
    while (digits-- > 0)
        message[at++] = (uint8_t)(size >> (8 * digits));
    memcpy(message + at, fields, size);
    x402_keccak256(out32, message, at + size);
    free(message);
}

static void check_raw(const uint8_t *raw, size_t size,
                      const struct x402_transaction *tx, const uint8_t key32[32])
{
    struct cursor rlp = {raw + 1, raw + size};
    uint8_t digest32[32], signature65[65], signer20[20], expected20[20];

    check(raw[0] == 2, "a transaction of EIP-1559");
    check(take_head(&rlp, 0xc0) == (size_t)(rlp.end - rlp.at), "nothing behind it");
    const uint8_t *fields = rlp.at;
    const uint8_t *fields_end = check_fields(&rlp, tx);
    uint64_t parity = take_integer(&rlp);
    check(parity <= 1, "a parity");
    take_word(signature65, &rlp);
    take_word(signature65 + 32, &rlp);
    signature65[64] = (uint8_t)(27 + parity);
    check(rlp.at == rlp.end, "twelve fields");
    digest_of(digest32, fields, (size_t)(fields_end - fields));
    check(x402_signature_recover(signer20, digest32, signature65) == X402_OK,
          "a signature, in the lower half");
    check(x402_key_address(expected20, key32) == X402_OK &&
              memcmp(signer20, expected20, 20) == 0,
          "of the key");
}

static void sign_within(const struct x402_transaction *tx, const uint8_t key32[32],
                        size_t room)
{
    uint8_t *raw = malloc(room > 0 ? room : 1); /* a byte too far is seen */
    uint8_t hash32[32], expected32[32];
    size_t size = 0;

    check(raw != NULL, "memory");
    enum x402_error error = x402_transaction_sign(raw, &size, room, hash32, tx, key32);
    if (error == X402_OK) {
        check(size <= room, "in the room given");
        check_raw(raw, size, tx, key32);
        x402_keccak256(expected32, raw, size);
        check(memcmp(hash32, expected32, 32) == 0, "its hash");
    } else {
        check(error == X402_ERR_SPACE || error == X402_ERR_KEY, "why not");
        check(error == X402_ERR_KEY || room < X402_TRANSACTION_SIZE_MAX(tx->data_size),
              "room that is promised to do");
    }
    free(raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t calldata[DATA_MAX];
    struct choices choices = {data, size};
    struct x402_transaction tx = {.data = calldata};
    uint8_t key32[32] = {0};

    tx.chain_id = take_number(&choices);
    tx.nonce = take_number(&choices);
    tx.max_priority_fee_wei = take_number(&choices);
    tx.max_fee_wei = take_number(&choices);
    tx.gas_limit = take_number(&choices);
    tx.creates_contract = take_byte(&choices) % 8 == 0;
    take(key32 + 24, 8, &choices);
    take(tx.to20, 20, &choices);
    size_t room = take_byte(&choices);
    tx.data_size = take_number(&choices) % (room % 8 == 0 ? DATA_MAX : 512);
    take(calldata, tx.data_size, &choices);
    sign_within(&tx, key32, X402_TRANSACTION_SIZE_MAX(tx.data_size));
    sign_within(&tx, key32, tx.data_size + room);
    return 0;
}
