/*
 * SipHash-2-4 (Aumasson, Bernstein 2012): a 64-bit hash under a secret key, so that
 * nobody can choose inputs that collide. Pure.
 */
#ifndef X402_LEDGER_SIPHASH_H
#define X402_LEDGER_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t x402_siphash(const uint8_t key16[16], const uint8_t *bytes, size_t size);

#endif
