/*
 * Signers that come again: whose signature it is, checked against the key that an
 * earlier signature gave, where it would otherwise be recovered anew each time.
 *
 * A key is only ever learnt by recovery, from a signature that was good, and what is
 * remembered can only say a clear yes (known_key.h says why that is sound). Whatever
 * else it says, and for whomever is not remembered, the signature is recovered. So a
 * good signature is never refused, and whatever goes wrong in here costs time only.
 *
 * Memory: 100 KB, 256 KB a process for the generator, and 26,112 bytes for a signer
 * from its third good signature on. At most 2,048 signers, 8 for each last byte of an
 * address: 53 MB. A signer gives way only when 32,768 good signatures have been checked
 * since its last (2,048 while it has no table); until then a new one where all is taken
 * is simply not remembered. So neither many signers nor new keys, which cost nothing,
 * can keep it busy with making tables: one in three good signatures at most. They can
 * take the places; what they take them from is recovered, as it would be without all
 * this. Bad signatures in a known signer's name are both checked and recovered where
 * they come together; what comes after them is only recovered.
 *
 * One thread's. Nothing of it is on disk: another process starts with none.
 */
#ifndef X402_EVM_SIGNER_H
#define X402_EVM_SIGNER_H

#include <x402/bytes.h>

#define X402_SIGNERS_PER_SET 8  /* a set is a last byte of the address */
#define X402_SIGNER_SIGHTINGS 3 /* good signatures until its table is made */
/* Good signatures without it after which it gives way, and while it has no table. */
#define X402_SIGNER_ABSENCE_MIN 32768U
#define X402_SIGNER_ABSENCE_MIN_EARLY 2048U

struct x402_signers;

/* To be destroyed by the caller. NULL: no memory. */
struct x402_signers *x402_signers_create(void);
void x402_signers_destroy(struct x402_signers *signers); /* NULL: nothing */

/* All borrowed. */
struct x402_signature_check {
    const uint8_t *signer20, *digest32, *signature65; /* in; r || s || v */
    bool good;                                        /* out */
};

/*
 * Whether each signature is its signer's, by exactly the rules of
 * x402_signature_recover (evm/signature.h). Memory that runs out is not an error. Eight
 * at a time, which costs a fourth of each alone, where the processor can (recover8.h,
 * known_key.h).
 *
 * In: signers: what is remembered, and remembers more; NULL: nothing is.
 */
void x402_signers_check(struct x402_signers *signers,
                        struct x402_signature_check *checks, size_t count);

/* How many signatures were found good without a recovery. */
uint64_t x402_signers_known(const struct x402_signers *signers);

#endif
