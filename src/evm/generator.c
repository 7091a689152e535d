#include "evm/generator.h"

#include <assert.h>
#include <pthread.h>

#if X402_GROUP

#define BITS 255
#define WIDTH 8
#define LINE 64 /* bytes of a cache line: one multiple */

_Static_assert(BITS / WIDTH + 1 == X402_GENERATOR_TERMS_MAX, "as said");

static _Alignas(LINE) secp256k1_ge_storage multiples[X402_FIXED_BASE_SIZE(BITS, WIDTH)];
static const struct x402_fixed_base generator = {BITS, WIDTH, multiples};
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void build(void)
{
    x402_fixed_base_build(multiples, &secp256k1_ge_const_g, BITS, WIDTH);
}

const struct x402_fixed_base *x402_generator(void)
{
    int failed = pthread_once(&once, build);

    assert(failed == 0);
    (void)failed;
    return &generator;
}

#endif
