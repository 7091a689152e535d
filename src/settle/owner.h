/*
 * What a settler calls itself where it holds a key in the ledger, so that the next one
 * on the same machine can tell that it is gone and need not wait for its lease.
 */
#ifndef X402_SETTLE_OWNER_H
#define X402_SETTLE_OWNER_H

#include "ledger/ledger.h"

#define X402_OWNER_SIZE X402_ROUTE_MAX

/*
 * This process: "settler 1234 on HOST (BOOT/NAMESPACE/START)". A pid means something
 * only until the machine starts again, within its namespace (containers share a
 * machine), and for the process that was started at that tick: those are in the
 * parentheses.
 */
void x402_owner_name(char out[X402_OWNER_SIZE]);

/* The part for people: "settler 1234 on HOST". */
void x402_owner_shown(char out[X402_OWNER_SIZE], const char *owner);

/*
 * True only when `owner` is a process of this boot and this namespace that is certainly
 * gone. A process elsewhere, and a name that is not understood, are not.
 */
bool x402_owner_is_dead(const char *owner);

#endif
