/*
 * Public keys of up to eight signatures, recovered together (SEC 1, 4.1.6): the same
 * steps for all at once, each signature in a lane of the processor's 512-bit words
 * (field8.h). Eight take not twice as long as libsecp256k1 takes for one.
 *
 * What it gives is the key that libsecp256k1 gives, or nothing: a point of the curve
 * each, and where a lane comes to a case that the steps leave out (a last sum of equal
 * points, which no signature made by its rules comes to) it says that it does not know.
 * Who asks must recover then.
 *
 * Variable time: for public data. Pure; any thread. Only on processors with AVX-512
 * IFMA (Ice Lake and Zen 4 onwards).
 */
#ifndef X402_EVM_RECOVER8_H
#define X402_EVM_RECOVER8_H

#include <x402/bytes.h>

#define X402_RECOVER8_MAX 8
/* As many at least as take less time together than alone. */
#define X402_RECOVER8_MIN 2

struct x402_recovery {
    const uint8_t *digest32, *signature65; /* in, borrowed; r || s || v */
    bool known;                            /* out */
    uint8_t key64[64];                     /* out, where it is known: x || y */
};

/* Whether this machine can; then the first call takes a millisecond more, once. */
bool x402_recover8_is_here(void);

/*
 * Nothing is known of a signature that x402_signature_recover refuses.
 *
 * In: count: 1 to X402_RECOVER8_MAX; x402_recover8_is_here.
 */
void x402_recover8(struct x402_recovery *items, size_t count);

#endif
