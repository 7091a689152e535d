/*
 * The numbers of a signature r || s || v, for those who compute with them by
 * evm/group.h.
 */
#ifndef X402_EVM_PARTS_H
#define X402_EVM_PARTS_H

#include "evm/group.h"

#include <stdbool.h>

#if X402_GROUP

struct x402_parts {
    secp256k1_scalar r, s;
    secp256k1_fe x; /* r, as the coordinate of R */
    bool y_is_odd;  /* R's */
};

/* Of no signature: what computes can compute with. */
static const struct x402_parts x402_parts_none = {
    .r = SECP256K1_SCALAR_CONST(0, 0, 0, 0, 0, 0, 0, 1),
    .s = SECP256K1_SCALAR_CONST(0, 0, 0, 0, 0, 0, 0, 1),
    .x = SECP256K1_FE_CONST(0, 0, 0, 0, 0, 0, 0, 1)};

/* False where x402_signature_recover would refuse it for its ranges. */
static inline bool x402_parts_decode(struct x402_parts *out,
                                     const uint8_t signature65[65])
{
    int r_overflows, s_overflows;

    secp256k1_scalar_set_b32(&out->r, signature65, &r_overflows);
    secp256k1_scalar_set_b32(&out->s, signature65 + 32, &s_overflows);
    out->y_is_odd = signature65[64] == 28;
    return (signature65[64] == 27 || signature65[64] == 28) && !r_overflows &&
           !s_overflows && !secp256k1_scalar_is_zero(&out->r) &&
           !secp256k1_scalar_is_zero(&out->s) && !secp256k1_scalar_is_high(&out->s) &&
           secp256k1_fe_set_b32(&out->x, signature65);
}

#endif
#endif
