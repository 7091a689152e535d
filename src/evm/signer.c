#include "evm/signer.h"

#include "evm/known_key.h"
#include "evm/recover8.h"
#include "evm/signature.h"

#include <stdlib.h>
#include <string.h>

#define SETS 256
#define GROUP_MAX 8 /* checks that are made together */

_Static_assert(GROUP_MAX <= X402_RECOVER8_MAX, "as many as are recovered together");
_Static_assert(GROUP_MAX <= X402_KNOWN_CHECKS_MAX, "as many as are checked together");

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

/* ------------------------------------------------------------- what a check teaches
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

/* Whether it can be told without a recovery that a signature is this signer's. */
static bool is_known(struct x402_signers *signers, const uint8_t address20[20])
{
    const struct signer *signer = find(signers, address20);

    return signer != NULL && signer->key != NULL && !signer->doubted;
}

/* ------------------------------------------------------------------------ the checks
 */

/* Checks that are made together. */
struct group {
    struct x402_signature_check *checks[GROUP_MAX];
    size_t count;
};

/* key64: of whoever signed. */
static void judge(struct x402_signers *signers, struct x402_signature_check *check,
                  const uint8_t key64[64])
{
    uint8_t address20[20];

    x402_public_key_address(address20, key64);
    check->good = memcmp(address20, check->signer20, sizeof address20) == 0;
    if (signers != NULL && check->good)
        remember(signers, check->signer20, key64);
    else if (signers != NULL)
        doubt(signers, check->signer20);
}

static void recover_alone(struct x402_signers *signers,
                          struct x402_signature_check *check)
{
    uint8_t address20[20], key64[64];

    if (x402_signature_recover_key(address20, key64, check->digest32,
                                   check->signature65) == X402_OK)
        judge(signers, check, key64);
    else if (signers != NULL)
        doubt(signers, check->signer20);
}

/* Empties the group, of what is not good so far. */
static void recover(struct x402_signers *signers, struct group *group)
{
    struct x402_recovery recoveries[GROUP_MAX];

    for (size_t i = 0; i < group->count; i++)
        recoveries[i] =
            (struct x402_recovery){.digest32 = group->checks[i]->digest32,
                                   .signature65 = group->checks[i]->signature65};
    if (group->count >= X402_RECOVER8_MIN && x402_recover8_is_here())
        x402_recover8(recoveries, group->count);
    for (size_t i = 0; i < group->count; i++) {
        if (recoveries[i].known)
            judge(signers, group->checks[i], recoveries[i].key64);
        else
            recover_alone(signers, group->checks[i]);
    }
    group->count = 0;
}

/* Empties the group, of those whose signers are known. */
static void ask_known(struct x402_signers *signers, struct group *group)
{
    struct signer *who[GROUP_MAX];
    struct x402_known_check known[GROUP_MAX];

    for (size_t i = 0; i < group->count; i++) {
        who[i] = find(signers, group->checks[i]->signer20);
        known[i] =
            (struct x402_known_check){.key = who[i]->key,
                                      .digest32 = group->checks[i]->digest32,
                                      .signature65 = group->checks[i]->signature65};
    }
    x402_known_keys_signed(known, group->count);
    for (size_t i = 0; i < group->count; i++) {
        group->checks[i]->good = known[i].is_signed;
        if (known[i].is_signed) {
            who[i]->last_seen = ++signers->good;
            signers->known++;
        }
    }
    group->count = 0;
}

static void check_known(struct x402_signers *signers,
                        struct x402_signature_check *checks, size_t count)
{
    struct group group = {.count = 0};

    for (size_t i = 0; i < count; i++) {
        if (is_known(signers, checks[i].signer20))
            group.checks[group.count++] = &checks[i];
        if (group.count == GROUP_MAX)
            ask_known(signers, &group);
    }
    ask_known(signers, &group);
}

void x402_signers_check(struct x402_signers *signers,
                        struct x402_signature_check *checks, size_t count)
{
    struct group group = {.count = 0};

    for (size_t i = 0; i < count; i++)
        checks[i].good = false;
    if (signers != NULL)
        check_known(signers, checks, count);
    for (size_t i = 0; i < count; i++) {
        if (!checks[i].good)
            group.checks[group.count++] = &checks[i];
        if (group.count == GROUP_MAX)
            recover(signers, &group);
    }
    recover(signers, &group);
}
