/*
 * A chain for what works on one: Base Sepolia, without a node (node.h) and without a
 * ledger until the test gives it one; and what people are told of it.
 */
#ifndef X402_TESTS_SETTLE_FIXTURE_H
#define X402_TESTS_SETTLE_FIXTURE_H

#include "settle/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct x402_chain chain;
static char noted[X402_NOTE_MESSAGE_MAX]; /* the last note */
static int notes;

static void take_note(void *data, const struct x402_note_event *event)
{
    (void)data;
    snprintf(noted, sizeof noted, "%s", event->message);
    notes++;
}

static const struct x402_settler_options options = {.note = take_note};
static const atomic_bool stop;

static int chain_make(void)
{
    memset(&chain, 0, sizeof chain);
    chain.options = &options;
    chain.stop = &stop;
    notes = 0;
    return x402_network_find(&chain.network, X402_SLICE("base-sepolia")) == X402_OK
               ? 0
               : -1;
}

#endif
