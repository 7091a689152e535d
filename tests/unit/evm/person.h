/* People who sign: keys from numbers, and a new digest for each signature. */
#ifndef X402_TESTS_UNIT_EVM_PERSON_H
#define X402_TESTS_UNIT_EVM_PERSON_H

#include "evm/keccak.h"
#include "evm/signature.h"
#include "unit/core/support.h"

/* A key, its address, and as many signatures by it as are asked for. */
struct person {
    uint8_t key32[32], address20[20];
    uint32_t signed_count;
};

static inline struct person person(uint32_t number)
{
    struct person person = {.signed_count = 0};

    x402_keccak256(person.key32, &number, sizeof number);
    assert_int_equal(x402_key_address(person.address20, person.key32), X402_OK);
    return person;
}

static inline void sign(uint8_t digest32[32], uint8_t signature65[65],
                        struct person *person)
{
    uint8_t message[36];

    memcpy(message, person->key32, 32);
    memcpy(message + 32, &person->signed_count, 4);
    person->signed_count++;
    x402_keccak256(digest32, message, sizeof message);
    assert_int_equal(x402_signature_sign(signature65, digest32, person->key32),
                     X402_OK);
}

#endif
