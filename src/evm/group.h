/*
 * libsecp256k1's own arithmetic of the field, the scalars and the group
 * (third_party/secp256k1), which the library does not export: functions of each file
 * that includes this, of a few in this folder. Variable time: for what is public.
 *
 * Defined only where X402_GROUP: it takes 128-bit integers, and is tried on
 * little-endian machines alone.
 */
#ifndef X402_EVM_GROUP_H
#define X402_EVM_GROUP_H

#if defined(__SIZEOF_INT128__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define X402_GROUP 1

/* What the library's public header would define for its own sources. */
#define SECP256K1_GNUC_PREREQ(major, minor) 1
#define SECP256K1_INLINE inline

/* Most of it is not used. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
/* Each of these needs those before it. */
/* clang-format off */
#include <secp256k1/util.h>
#include <secp256k1/int128_impl.h>
#include <secp256k1/field_impl.h>
#include <secp256k1/scalar_impl.h>
#include <secp256k1/group_impl.h>
/* clang-format on */
#pragma GCC diagnostic pop

#else
#define X402_GROUP 0
#endif

#endif
