/*
 * Multiples of the group's generator, for all who need one: 256 KB, worked out once a
 * process, in a millisecond, by whoever asks first. Any thread. Only where X402_GROUP.
 */
#ifndef X402_EVM_GENERATOR_H
#define X402_EVM_GENERATOR_H

#include "evm/fixed_base.h"

#if X402_GROUP

#define X402_GENERATOR_TERMS_MAX 32 /* that a multiple is the sum of */

/* Static; of whole scalars. */
const struct x402_fixed_base *x402_generator(void);

#endif
#endif
