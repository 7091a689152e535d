/*
 * A public key that is known beforehand, with multiples of it worked out: whether a
 * signature is its own takes no recovery (about half the time).
 *
 * It may only say a clear yes, and that is sound without trusting anything but the
 * arithmetic: R = u1 G + u2 Q with u1 = digest / s, u2 = r / s (SEC 1, 4.1.4) has the
 * x-coordinate r and the parity that v says. Then recovery, which starts from this very
 * R and solves the same equation for Q (SEC 1, 4.1.6), gives this very key. "No" means
 * only that it is not known: who asks must recover.
 *
 * Variable time: for public data. Any thread may ask about a key that is made; where
 * there are no 128-bit integers no key can be made.
 */
#ifndef X402_EVM_KNOWN_KEY_H
#define X402_EVM_KNOWN_KEY_H

#include <x402/bytes.h>

#define X402_KNOWN_KEY_SIZE 26112 /* bytes that one takes: its multiples */

struct x402_known_key;

/* Works out the generator's multiples, once: 256 KB, a millisecond. Any thread; else
 * the first key that is made takes so much longer. */
void x402_known_keys_prepare(void);

/*
 * In:      key64: x || y of a point of the curve, as recovery gives it; asserted.
 * Returns: a key that the caller destroys. NULL: no memory, or not on this machine.
 */
struct x402_known_key *x402_known_key_create(const uint8_t key64[64]);
void x402_known_key_destroy(struct x402_known_key *key); /* NULL: nothing */

/*
 * Whether the signature, r || s || v, is certainly the key's: r and s between 1 and the
 * order, s in the lower half (EIP-2), v 27 or 28, R as above.
 */
bool x402_known_key_signed(const struct x402_known_key *key, const uint8_t digest32[32],
                           const uint8_t signature65[65]);

#define X402_KNOWN_CHECKS_MAX 8

/* All borrowed. */
struct x402_known_check {
    const struct x402_known_key *key;      /* in */
    const uint8_t *digest32, *signature65; /* in */
    bool is_signed;                        /* out */
};

/*
 * The same of up to X402_KNOWN_CHECKS_MAX at once: on processors with AVX-512 IFMA
 * (recover8.h) eight take not twice as long as one.
 */
void x402_known_keys_signed(struct x402_known_check *checks, size_t count);

#endif
