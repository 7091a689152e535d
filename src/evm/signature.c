#include "evm/signature.h"

#include "evm/keccak.h"

#include <assert.h>
#include <pthread.h>
#include <secp256k1_preallocated.h>
#include <secp256k1_recovery.h>
#include <string.h>
#include <sys/random.h>

/* Half the group order, rounded down: the largest s allowed (EIP-2). */
static const uint8_t half_order32[32] = {
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4,
    0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
};

/* What multiplies by the generator needs a context of its own; it lives in static
 * memory and is read-only once made. */
static _Alignas(max_align_t) uint8_t signing_memory[1024];
static secp256k1_context *signing_context;
static pthread_once_t signing_once = PTHREAD_ONCE_INIT;

static void make_signing_context(void)
{
    uint8_t seed[32];

    assert(secp256k1_context_preallocated_size(SECP256K1_CONTEXT_NONE) <=
           sizeof signing_memory);
    signing_context =
        secp256k1_context_preallocated_create(signing_memory, SECP256K1_CONTEXT_NONE);
    /* Blinds the multiplication against side channels; without it the result is the
     * same. */
    if (getrandom(seed, sizeof seed, 0) == (ssize_t)sizeof seed &&
        secp256k1_context_randomize(signing_context, seed) != 1)
        assert(false);
    x402_bytes_wipe(seed, sizeof seed);
}

static const secp256k1_context *signing(void)
{
    int failed = pthread_once(&signing_once, make_signing_context);

    assert(failed == 0);
    (void)failed;
    return signing_context;
}

/* x || y: SEC 1, 2.3.3, without the first byte. */
static void encode_key(uint8_t out64[64], const secp256k1_pubkey *key)
{
    uint8_t serialized[65];
    size_t size = sizeof serialized;

    secp256k1_ec_pubkey_serialize(secp256k1_context_static, serialized, &size, key,
                                  SECP256K1_EC_UNCOMPRESSED);
    assert(size == sizeof serialized);
    memcpy(out64, serialized + 1, 64);
}

void x402_public_key_address(uint8_t out20[20], const uint8_t key64[64])
{
    uint8_t hash[32];

    x402_keccak256(hash, key64, 64);
    memcpy(out20, hash + 12, 20);
}

enum x402_error x402_signature_recover_key(uint8_t out20[20], uint8_t key64[64],
                                           const uint8_t digest32[32],
                                           const uint8_t signature65[65])
{
    secp256k1_ecdsa_recoverable_signature signature;
    secp256k1_pubkey key;
    int recovery_id = signature65[64] - 27;

    if (recovery_id != 0 && recovery_id != 1)
        return X402_ERR_SIGNATURE;
    if (memcmp(signature65 + 32, half_order32, sizeof half_order32) > 0)
        return X402_ERR_SIGNATURE;
    if (secp256k1_ecdsa_recoverable_signature_parse_compact(
            secp256k1_context_static, &signature, signature65, recovery_id) != 1)
        return X402_ERR_SIGNATURE;
    if (secp256k1_ecdsa_recover(secp256k1_context_static, &key, &signature, digest32) !=
        1)
        return X402_ERR_SIGNATURE;
    encode_key(key64, &key);
    x402_public_key_address(out20, key64);
    return X402_OK;
}

enum x402_error x402_signature_recover(uint8_t out20[20], const uint8_t digest32[32],
                                       const uint8_t signature65[65])
{
    uint8_t key64[64];

    return x402_signature_recover_key(out20, key64, digest32, signature65);
}

enum x402_error x402_signature_sign(uint8_t out65[65], const uint8_t digest32[32],
                                    const uint8_t key32[32])
{
    secp256k1_ecdsa_recoverable_signature signature;
    int recovery_id = 0;

    /* Fails for a key that is zero or not below the order, and for nothing else. */
    if (secp256k1_ecdsa_sign_recoverable(signing(), &signature, digest32, key32, NULL,
                                         NULL) != 1)
        return X402_ERR_KEY;
    secp256k1_ecdsa_recoverable_signature_serialize_compact(
        secp256k1_context_static, out65, &recovery_id, &signature);
    /* 2 and 3 stand for an r at or above the order, which nobody will ever see. */
    assert(recovery_id == 0 || recovery_id == 1);
    out65[64] = (uint8_t)(27 + recovery_id);
    return X402_OK;
}

enum x402_error x402_key_address(uint8_t out20[20], const uint8_t key32[32])
{
    secp256k1_pubkey key;
    uint8_t key64[64];

    if (secp256k1_ec_pubkey_create(signing(), &key, key32) != 1)
        return X402_ERR_KEY;
    encode_key(key64, &key);
    x402_public_key_address(out20, key64);
    return X402_OK;
}
