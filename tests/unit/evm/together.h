/* Signatures recovered eight together, and held against x402_signature_recover_key,
 * that is libsecp256k1's recovery. */
#ifndef X402_TESTS_UNIT_EVM_TOGETHER_H
#define X402_TESTS_UNIT_EVM_TOGETHER_H

#include "evm/recover8.h"
#include "evm/signature.h"
#include "unit/evm/eight.h"

#define LANES X402_RECOVER8_MAX

struct signature {
    uint8_t digest32[32], signature65[65];
};

struct outcome {
    bool known, good; /* good: by x402_signature_recover_key */
};

static inline struct signature random_signature(void)
{
    struct signature out;
    uint8_t key32[32];

    eight_random_bytes(key32, sizeof key32);
    eight_random_bytes(out.digest32, sizeof out.digest32);
    assert_int_equal(x402_signature_sign(out.signature65, out.digest32, key32),
                     X402_OK);
    return out;
}

/* The same key as libsecp256k1's, or none is known, and of what it refuses none is. */
static inline struct outcome assert_agrees(const struct x402_recovery *item)
{
    uint8_t address20[20], key64[64];
    const struct outcome outcome = {
        .known = item->known,
        .good = x402_signature_recover_key(address20, key64, item->digest32,
                                           item->signature65) == X402_OK};

    if (outcome.known) {
        assert_true(outcome.good);
        assert_memory_equal(item->key64, key64, sizeof key64);
    }
    return outcome;
}

/* Recovers so many together, and compares each; what is behind them is left alone. */
static inline void recover(struct outcome *out, const struct signature *signatures,
                           size_t count)
{
    struct x402_recovery items[LANES + 1], untouched;

    memset(items, 0xA5, sizeof items);
    untouched = items[LANES];
    for (size_t i = 0; i < count; i++) {
        items[i].digest32 = signatures[i].digest32;
        items[i].signature65 = signatures[i].signature65;
        items[i].known = i % 2 == 0;
    }
    x402_recover8(items, count);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(items[i].digest32, signatures[i].digest32);
        assert_ptr_equal(items[i].signature65, signatures[i].signature65);
        out[i] = assert_agrees(&items[i]);
    }
    for (size_t i = count; i <= LANES; i++)
        assert_memory_equal(&items[i], &untouched, sizeof untouched);
}

static inline void assert_all_known(const struct signature *signatures, size_t count)
{
    struct outcome outcomes[LANES];

    recover(outcomes, signatures, count);
    for (size_t i = 0; i < count; i++)
        assert_true(outcomes[i].known);
}

/*
 * The signature in each lane in turn, beside random ones, and in all lanes at once: it
 * is known in all or in none, and its neighbours always are.
 */
static inline struct outcome everywhere(const struct signature *signature)
{
    struct signature signatures[LANES];
    struct outcome outcomes[LANES], first;

    for (size_t i = 0; i < LANES; i++)
        signatures[i] = *signature;
    recover(outcomes, signatures, LANES);
    first = outcomes[0];
    for (size_t i = 0; i < LANES; i++)
        assert_int_equal(outcomes[i].known, first.known);
    for (size_t at = 0; at < LANES; at++) {
        for (size_t i = 0; i < LANES; i++)
            signatures[i] = i == at ? *signature : random_signature();
        recover(outcomes, signatures, LANES);
        for (size_t i = 0; i < LANES; i++)
            assert_int_equal(outcomes[i].known, i == at ? first.known : true);
    }
    return first;
}

static inline void assert_known_everywhere(const struct signature *signature)
{
    assert_true(everywhere(signature).known);
}

static inline void assert_refused_everywhere(const struct signature *signature)
{
    const struct outcome outcome = everywhere(signature);

    assert_false(outcome.good);
    assert_false(outcome.known);
}

/* Eight signatures at a time, of which all are known. */
struct batch {
    struct signature signatures[LANES];
    size_t count, all;
};

static inline void batch_end(struct batch *batch)
{
    if (batch->count > 0)
        assert_all_known(batch->signatures, batch->count);
    batch->all += batch->count;
    batch->count = 0;
}

static inline void batch_add(struct batch *batch, const struct signature *signature)
{
    batch->signatures[batch->count++] = *signature;
    if (batch->count == LANES)
        batch_end(batch);
}

#endif
