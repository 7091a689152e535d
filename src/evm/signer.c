#include "evm/signer.h"

#include "evm/known_key.h"
#include "evm/signature.h"

#include <stdlib.h>
#include <string.h>

#define SETS 256

struct signer {
    uint8_t address20[20];
    unsigned sightings;         /* up to X402_SIGNER_SIGHTINGS; 0: nobody's place */
    bool doubted;               /* the last signature was none of its own */
    uint64_t last_seen;         /* what `good` was then */
    struct x402_known_key *key; /* NULL: not yet, or no memory */
};

struct x402_signers {
    uint64_t good;  /* signatures that were: the only clock there is */
    uint64_t known; /* of them, those that took no recovery */
    struct signer sets[SETS][X402_SIGNERS_PER_SET];
};

struct x402_signers *x402_signers_create(void)
{
    x402_known_keys_prepare();
    return calloc(1, sizeof(struct x402_signers));
}

void x402_signers_destroy(struct x402_signers *signers)
{
    if (signers == NULL)
        return;
    for (size_t i = 0; i < SETS; i++)
        for (size_t j = 0; j < X402_SIGNERS_PER_SET; j++)
            x402_known_key_destroy(signers->sets[i][j].key);
    free(signers);
}

uint64_t x402_signers_known(const struct x402_signers *signers)
{
    return signers->known;
}

/* ------------------------------------------------------------------------ the places
 */

static struct signer *set_of(struct x402_signers *signers, const uint8_t address20[20])
{
    return signers->sets[address20[19]];
}

static struct signer *find(struct x402_signers *signers, const uint8_t address20[20])
{
    struct signer *set = set_of(signers, address20);

    for (size_t i = 0; i < X402_SIGNERS_PER_SET; i++)
        if (set[i].sightings > 0 && memcmp(set[i].address20, address20, 20) == 0)
            return &set[i];
    return NULL;
}

static bool gives_way(const struct signer *signer, uint64_t now)
{
    uint64_t absence =
        signer->key != NULL ? X402_SIGNER_ABSENCE_MIN : X402_SIGNER_ABSENCE_MIN_EARLY;

    return signer->sightings == 0 || now - signer->last_seen > absence;
}

/* Of two that give way: who has no table, else who is absent for longer. */
static bool goes_first(const struct signer *one, const struct signer *other)
{
    if ((one->key == NULL) != (other->key == NULL))
        return one->key == NULL;
    return one->last_seen < other->last_seen;
}

/* NULL: nobody gives way. */
static struct signer *who_gives_way(struct signer *set, uint64_t now)
{
    struct signer *out = NULL;

    for (size_t i = 0; i < X402_SIGNERS_PER_SET; i++)
        if (gives_way(&set[i], now) && (out == NULL || goes_first(&set[i], out)))
            out = &set[i];
    return out;
}

/* A place for a new signer, nobody's now; NULL: all are taken. */
static struct signer *make_place(struct x402_signers *signers,
                                 const uint8_t address20[20])
{
    struct signer *place = who_gives_way(set_of(signers, address20), signers->good);

    if (place == NULL)
        return NULL;
    x402_known_key_destroy(place->key);
    memset(place, 0, sizeof *place);
    memcpy(place->address20, address20, 20);
    return place;
}

/* ------------------------------------------------------------------------- the check
 */

/* After a good signature that took a recovery, which gave the key. */
static void remember(struct x402_signers *signers, const uint8_t address20[20],
                     const uint8_t key64[64])
{
    struct signer *signer = find(signers, address20);

    signers->good++;
    if (signer == NULL)
        signer = make_place(signers, address20);
    if (signer == NULL)
        return;
    signer->last_seen = signers->good;
    signer->doubted = false;
    if (signer->sightings < X402_SIGNER_SIGHTINGS)
        signer->sightings++;
    if (signer->sightings == X402_SIGNER_SIGHTINGS && signer->key == NULL)
        signer->key = x402_known_key_create(key64);
}

/* After one that was bad. */
static void doubt(struct x402_signers *signers, const uint8_t address20[20])
{
    struct signer *signer = find(signers, address20);

    if (signer != NULL)
        signer->doubted = true;
}

static bool is_known(struct x402_signers *signers, const uint8_t address20[20],
                     const uint8_t digest32[32], const uint8_t signature65[65])
{
    struct signer *signer = find(signers, address20);

    if (signer == NULL || signer->key == NULL || signer->doubted ||
        !x402_known_key_signed(signer->key, digest32, signature65))
        return false;
    signer->last_seen = ++signers->good;
    signers->known++;
    return true;
}

static bool is_recovered(uint8_t key64[64], const uint8_t signer20[20],
                         const uint8_t digest32[32], const uint8_t signature65[65])
{
    uint8_t recovered20[20];

    return x402_signature_recover_key(recovered20, key64, digest32, signature65) ==
               X402_OK &&
           memcmp(recovered20, signer20, sizeof recovered20) == 0;
}

enum x402_error x402_signer_check(struct x402_signers *signers,
                                  const uint8_t signer20[20],
                                  const uint8_t digest32[32],
                                  const uint8_t signature65[65])
{
    uint8_t key64[64];

    if (signers != NULL && is_known(signers, signer20, digest32, signature65))
        return X402_OK;
    if (!is_recovered(key64, signer20, digest32, signature65)) {
        if (signers != NULL)
            doubt(signers, signer20);
        return X402_ERR_SIGNATURE;
    }
    if (signers != NULL)
        remember(signers, signer20, key64);
    return X402_OK;
}
