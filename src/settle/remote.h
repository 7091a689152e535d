/*
 * Settling through a remote x402 facilitator, with no key of ours: each due payment is
 * a POST to its /settle, and its answer says what became of it.
 *
 * The rules are those of transactions. What is sent is stored before it is sent: the
 * body of the request is a row of the ledger's outbox, under a signer made of the
 * facilitator's URL, and its payment is submitted until it is known what became of it.
 * A request without a clear answer is made again with the same bytes, by this process
 * or the next, which is harmless: an authorization works once. remote_plan.h says what
 * is believed when.
 *
 * Without a node of the network the facilitator's word is all there is: a payment is
 * settled in the transaction it names, in block 0, and never becomes final. With a node
 * its word is a hint, and the chain decides.
 *
 *   remote.c        open, a pass, close: whom to ask when
 *   remote_items.c  payments on their way, what the ledger has of them
 *   remote_word.c   an answer, and what it comes to
 */
#ifndef X402_SETTLE_REMOTE_H
#define X402_SETTLE_REMOTE_H

#include "settle/settler.h"

#include <stdatomic.h>

#define X402_REMOTE_TIMEOUT_SECONDS 90 /* as the reference client */
#define X402_REMOTE_TIMEOUT_MAX_SECONDS 600

struct x402_remote;
struct x402_pulse;

/* Whether a facilitator is to be asked for payments of a chain, if it can be. */
bool x402_remote_wants(const struct x402_remote_options *options, uint64_t chain_id);

/*
 * `settler` has the facilitator in its options; everything is borrowed until close, and
 * used in the thread that makes the passes. False without memory; no request is made.
 */
X402_MUST_USE bool x402_remote_open(struct x402_remote **out,
                                    const struct x402_settler_options *options,
                                    struct x402_ledger *ledger,
                                    struct x402_pulse *pulse, const char *owner,
                                    const atomic_bool *stop);

/*
 * Waits a little for the answers to what is under way, so that fewer are asked for
 * again, and gives up the leases. NULL is fine.
 */
void x402_remote_close(struct x402_remote *remote);

/*
 * One pass: takes what has been answered, asks for what is due. Waits for at most a few
 * moments. ERR_NETWORK when a node is of another chain; everything else is noted.
 */
X402_MUST_USE enum x402_error x402_remote_pass(struct x402_remote *remote);

/* After a pass. */
size_t x402_remote_moved(
    const struct x402_remote *remote); /* settled or failed in it */
bool x402_remote_is_busy(const struct x402_remote *remote); /* answers are awaited */
bool x402_remote_is_done(const struct x402_remote *remote); /* nothing due or open */
/* What is left was asked for, and waits for its next try. */
bool x402_remote_is_held(const struct x402_remote *remote);

#endif
