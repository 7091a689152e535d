/*
 * The settler: takes due payments, sends each as a transaction, reads what became of it
 * and says so to the ledger. It may be killed at any instruction: a transaction is in
 * the ledger before a node hears of it, and whatever was in the ledger is taken up
 * again at the next start. The key is borrowed and never copied to a log.
 *
 * Each chain has a thread and a handle of the ledger of its own, so a node that hangs
 * holds up nobody else's payments. The caller's thread waits for signals and nudges.
 */
#ifndef X402_SETTLE_SETTLER_H
#define X402_SETTLE_SETTLER_H

#include "ledger/ledger.h"
#include "settle/event.h"

#include <x402/network.h>

#define X402_SETTLER_CHAINS_MAX 8

struct x402_settler_chain {
    struct x402_network network; /* of a chain not built in: only chain_id is set */
    const char *url;             /* of a node; borrowed */
};

/* A remote x402 facilitator (remote.h), which settles in place of a key. */
struct x402_remote_options {
    const char *url; /* http:// or https://, at most X402_REMOTE_URL_MAX - 1 bytes */
    const char *headers; /* "Name: value" lines for every request, or NULL; secret */
    int timeout_seconds; /* of a request */
    const uint64_t *chain_ids; /* settle on these alone; */
    size_t chain_ids_count;    /* 0: on every network that it names */
};
#define X402_REMOTE_URL_MAX 1024

struct x402_settler_options {
    const char *ledger_path;
    const struct x402_settler_chain *chains;
    size_t chains_count; /* 1 to X402_SETTLER_CHAINS_MAX, no chain twice */
    const uint8_t *key32;
    /* Instead of the key, or NULL. The chains, if any, are then those whose node has
     * the last word. */
    const struct x402_remote_options *remote;
    bool once; /* end when nothing is due or under way, or nothing moves any more;
                  a batch waits for no age then */

    size_t batch_size;         /* payments that make a batch large enough; 0: default */
    int64_t batch_age_seconds; /* what makes it old enough; -1: default */
    uint64_t max_fee_wei;      /* a unit of gas, at most; 0: the chain's policy */

    /* Waits, in the caller's thread, until `fd` is readable or the time is over; true
     * when it is time to stop. */
    bool (*wait)(void *data, int fd, int milliseconds);
    /* One event: payments settled, nodes lost and found. Any thread, several at once.
     */
    void (*note)(void *data, const struct x402_note_event *event);
    void *data;
};

/*
 * Runs until `wait` says stop, or as `once` says. X402_OK: stopped as asked, and with
 * `once` everything is settled or failed. ERR_LEDGER, ERR_SCHEMA, ERR_KEY: could not
 * start. ERR_NETWORK: a node is of another chain. ERR_CONFLICT: with `once`, something
 * is left. What is wrong has been noted.
 */
X402_MUST_USE enum x402_error x402_settler_run(
    const struct x402_settler_options *options);

#endif
