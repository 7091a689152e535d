/*
 * Which payment has a key (token, payer, nonce): the ledger's promise that there is at
 * most one.
 *
 * An index over random nonces, kept up to date row by row, writes a page of its own for
 * every payment: nine tenths of what a ledger of a million payments costs. So the index
 * in the file (the table payment_key: a 64-bit hash under the ledger's secret, and the
 * id) lags behind, and each process remembers the newest payments itself.
 *
 * The hashes are cut into `slices`. Whenever the ids pass a multiple k of
 * X402_KEY_SPAN, the same transaction writes into the index every payment of slice
 * (k / X402_KEY_SPAN) mod slices that is not there yet: neighbours in the index, so a
 * page or two in place of thirty-two. After `slices` such steps every slice had its
 * turn. Hence what everybody may rely on, whoever wrote what:
 *
 *   a payment whose id is at most the newest id - slices * X402_KEY_SPAN is in the
 * index.
 *
 * Each process keeps the hashes of the payments above that (its window) in a ring of
 * its own, and reads what others added at the beginning of each transaction, under the
 * write lock; so the ring and the index together know every payment. A hash is only a
 * hint: the row is read and compared. Nothing here outlives the process, and a
 * transaction that did not commit is forgotten.
 */
#ifndef X402_LEDGER_SQLITE_KEYS_H
#define X402_LEDGER_SQLITE_KEYS_H

#include "ledger/sqlite.h"

#define X402_KEY_SPAN 32

struct x402_sqlite_key {
    int64_t token_id;
    const uint8_t *payer20;
    const uint8_t *nonce32;
};

/* Outside of a transaction: reads what is new, in short snapshots, when it is much. */
X402_MUST_USE enum x402_error x402_sqlite_keys_warm(struct x402_sqlite *sqlite);

/* Inside a transaction, before the others: knows every payment there is. */
X402_MUST_USE enum x402_error x402_sqlite_keys_catch_up(struct x402_sqlite *sqlite);

/* The id of the payment with this key; 0 when there is none. */
X402_MUST_USE enum x402_error x402_sqlite_keys_find(struct x402_sqlite *sqlite,
                                                    const struct x402_sqlite_key *key,
                                                    int64_t *id);

/* A payment was added in this transaction. */
X402_MUST_USE enum x402_error x402_sqlite_keys_add(struct x402_sqlite *sqlite,
                                                   const struct x402_sqlite_key *key,
                                                   int64_t id);

/* A payment was removed in this transaction. */
X402_MUST_USE enum x402_error x402_sqlite_keys_remove(struct x402_sqlite *sqlite,
                                                      const struct x402_sqlite_key *key,
                                                      int64_t id);

/* The transaction ended. */
void x402_sqlite_keys_end(struct x402_sqlite *sqlite, bool committed);

/* The connection ended: nothing is known any more. */
void x402_sqlite_keys_release(struct x402_sqlite *sqlite);

#endif
