/*
 * What a ledger backend provides. ledger.c picks one by the path's scheme and forwards;
 * the contracts are those of ledger.h. A backend embeds struct x402_ledger as its first
 * member.
 */
#ifndef X402_LEDGER_BACKEND_H
#define X402_LEDGER_BACKEND_H

#include "ledger/ledger.h"

struct x402_ledger_backend; /* a table of functions, one for each of ledger.h */

struct x402_ledger {
    const struct x402_ledger_backend *backend;
    char message[X402_LEDGER_MESSAGE_MAX];
};

#endif
