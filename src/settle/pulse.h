/*
 * What the settler lets the ledger know of itself, for people who look on (the status
 * page, metrics, readiness): how it fares on each chain, and what it measured. A thread
 * and a handle of the ledger of its own, so that nothing here holds up a settlement,
 * and what cannot be written is written later, or never missed.
 *
 * A chain's thread says how it is at each pass. It may rest for half a minute, or wait
 * for a node in a step, and is heard from all the same; after X402_PULSE_MILLISECONDS
 * without a word it hangs, and nobody speaks for it any more.
 */
#ifndef X402_SETTLE_PULSE_H
#define X402_SETTLE_PULSE_H

#include "ledger/activity.h"

/* Longer than a rest, and than a hanging node's step. */
#define X402_PULSE_MILLISECONDS 75000
/* Told so often when nothing changes; a change within a second. */
#define X402_PULSE_EVERY_MILLISECONDS 5000
/* Chains, or networks of a facilitator. */
#define X402_PULSE_STATES_MAX 40

struct x402_pulse;

/* Opens the ledger and starts the thread. ERR_LEDGER, ERR_SCHEMA, ERR_SPACE. */
X402_MUST_USE enum x402_error x402_pulse_open(struct x402_pulse **out,
                                              const char *ledger_path);
/* Tells what is left to tell, once. NULL is fine. */
void x402_pulse_close(struct x402_pulse *pulse);

/* All of these from any thread; with NULL for a pulse they do nothing. */

/* How it is now, on a chain, for a signer; copied. */
void x402_pulse_say(struct x402_pulse *pulse, const struct x402_settler_state *state);
/* Somebody else works with this key, and speaks for it. */
void x402_pulse_hush(struct x402_pulse *pulse, uint64_t chain_id,
                     const uint8_t signer20[20]);
void x402_pulse_measure(struct x402_pulse *pulse, enum x402_measure measure,
                        uint64_t value);

#endif
