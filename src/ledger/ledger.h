/*
 * The ledger: one row a payment, the whole interface between selling and settling.
 *
 * Backends (SQLite now; PostgreSQL later) stand behind this header; uniqueness, clocks
 * and isolation are theirs. Every function is synchronous and may block on storage. A
 * handle is used by one thread at a time and never crosses fork(): open in the process
 * that uses it.
 *
 * Every write is one transaction and is durable when the call returns X402_OK. On any
 * error nothing of the call is in force, except that a commit whose outcome is unknown
 * may have happened: x402_ledger_commit says how callers stay safe.
 */
#ifndef X402_LEDGER_LEDGER_H
#define X402_LEDGER_LEDGER_H

#include "ledger/state.h"

#include <x402/verify.h>

#define X402_LEASE_RENEW_SECONDS 5
#define X402_LEASE_SECONDS 30
#define X402_RETENTION_SECONDS 86400
#define X402_LEDGER_MESSAGE_MAX 512
#define X402_ROUTE_MAX 128  /* bytes of a route's name, with the zero */
#define X402_REASON_MAX 160 /* bytes of a failure reason, with the zero */

struct x402_ledger;

/* ------------------------------------------------------------------ open and close */

/*
 * Creates the ledger at `path` (a file; later "postgres://…") when it is not there, and
 * migrates it to this version's schema. Files are made mode 0600 and, when uid is not
 * (uid_t)-1, given to that user: nginx's master makes what its workers write.
 * ERR_LEDGER, ERR_SCHEMA (a newer version's ledger); `message` gets a sentence.
 */
X402_MUST_USE enum x402_error x402_ledger_create(const char *path, unsigned uid,
                                                 unsigned gid,
                                                 char message[X402_LEDGER_MESSAGE_MAX]);

enum x402_ledger_mode {
    X402_LEDGER_READ,  /* stats, payments, check */
    X402_LEDGER_WRITE, /* admission, settlement; takes no lease until one is asked for
                        */
};

/* Opens an existing ledger of this version. ERR_LEDGER, ERR_SCHEMA, with a sentence. */
X402_MUST_USE enum x402_error x402_ledger_open(struct x402_ledger **out,
                                               const char *path,
                                               enum x402_ledger_mode mode,
                                               char message[X402_LEDGER_MESSAGE_MAX]);
void x402_ledger_close(struct x402_ledger *ledger); /* NULL is fine */

/* Why the last call failed, a sentence without a full stop; valid until the next call.
 */
const char *x402_ledger_message(const struct x402_ledger *ledger);

/* -------------------------------------------------------------- selling: the workers
 */

/*
 * Takes or renews this handle's lease for X402_LEASE_SECONDS, by the store's clock, and
 * abandons what is pending under leases of others that ran out. Call every
 * X402_LEASE_RENEW_SECONDS; x402_ledger_commit takes a lease by itself when it has none
 * or when its own ran out and was cleared. `owner` names the process in listings.
 */
X402_MUST_USE enum x402_error x402_ledger_lease_renew(struct x402_ledger *ledger,
                                                      const char *owner);

/*
 * Gives the lease up. What is still pending under it becomes abandoned at the next
 * sweep, so report outcomes first.
 */
X402_MUST_USE enum x402_error x402_ledger_lease_release(struct x402_ledger *ledger);

/* One attempt's outcome. X402_EVENT_DELIVERED or X402_EVENT_VOID. */
struct x402_outcome {
    int64_t payment_id;
    uint8_t attempt16[16];
    enum x402_event event;
    bool applied; /* out: false when it was told before, or is another attempt's */
};

/* One presentation. */
struct x402_admit {
    struct x402_verified verified;
    char route[X402_ROUTE_MAX]; /* what was bought, for people: the location's name */
    uint8_t attempt16[16];      /* random, the caller's; a new one each time */
    void *data;                 /* the caller's; untouched */
    enum x402_admission admission;     /* out */
    int64_t payment_id;                /* out, when NEW */
    uint64_t retry_after_milliseconds; /* out, when LIMITED; the gate's */
};

/*
 * Asked inside the transaction for a payment that would be NEW: is the payer within its
 * rate? False makes it LIMITED and writes nothing. May be asked again for the same
 * admit when the transaction is retried: answer the same.
 */
typedef bool x402_gate(struct x402_admit *admit, void *data);

/*
 * One transaction: applies the outcomes, in order, then decides the admissions, in
 * order; durable before it returns. Idempotent by attempt id: an outcome told twice is
 * not applied twice.
 *
 * An admission whose numbers pass 63 bits is X402_ADMISSION_UNAVAILABLE by itself.
 *
 * On error every admission is X402_ADMISSION_UNAVAILABLE. The commit may nevertheless
 * have happened: the caller keeps its outcomes and tells them again, and adds an
 * X402_EVENT_VOID for each admission that has a payment_id (0 where it has none).
 */
X402_MUST_USE enum x402_error x402_ledger_commit(
    struct x402_ledger *ledger, const char *owner, struct x402_outcome *outcomes,
    size_t outcomes_count, struct x402_admit *admits, size_t admits_count,
    x402_gate *gate, void *gate_data);

/* ------------------------------------------------------------ settling: the settler */

/* A payment as the settler sees it. */
struct x402_settlement {
    int64_t payment_id;
    struct x402_state state;
    uint64_t chain_id;
    uint8_t asset20[20];
    uint8_t from20[20];
    uint8_t to20[20];
    uint64_t value;
    uint64_t valid_after_seconds;
    uint64_t valid_before_seconds;
    uint8_t nonce32[32];
    uint8_t signature65[65];
    int64_t transaction_id; /* of the outbox row it is in; 0 when in none */
};

#define X402_TRANSACTION_RAW_MAX 65536

/* A transaction of the outbox: stored before it is sent, kept after. */
struct x402_outbox {
    int64_t transaction_id; /* 0 when not stored yet */
    uint64_t chain_id;
    uint8_t signer20[20];
    uint64_t nonce;
    uint8_t hash32[32];
    uint64_t max_fee_wei;
    uint64_t max_priority_fee_wei;
    uint64_t gas_limit;
    const uint8_t *raw; /* borrowed in; out: owned by the handle until its next call */
    size_t raw_size;
    int64_t submitted_at_seconds; /* out */
    int64_t replaces_id;   /* the outbox row with the same nonce it replaces; 0 */
    uint64_t block_number; /* out: 0 while not included */
};

/*
 * Who may sign with a key: one settler at a time holds (chain, signer) for
 * X402_LEASE_SECONDS. Takes or renews. ERR_CONFLICT when another process holds it.
 */
X402_MUST_USE enum x402_error x402_ledger_signer_acquire(struct x402_ledger *ledger,
                                                         uint64_t chain_id,
                                                         const uint8_t signer20[20],
                                                         const char *owner);
X402_MUST_USE enum x402_error x402_ledger_signer_release(struct x402_ledger *ledger,
                                                         uint64_t chain_id,
                                                         const uint8_t signer20[20]);

/* Up to `max` payments that are due on a chain, soonest validBefore first. */
X402_MUST_USE enum x402_error x402_ledger_due(struct x402_ledger *ledger,
                                              uint64_t chain_id,
                                              struct x402_settlement *out, size_t max,
                                              size_t *count);

/*
 * Stores a signed transaction and marks its payments submitted, all in one transaction,
 * before anything is sent. Every payment must be due (or, for a replacement, in the row
 * it replaces): otherwise ERR_CONFLICT and nothing is stored. ERR_CONFLICT also when
 * another process holds the signer, when the nonce is stored already and this does not
 * replace it, and when what it replaces has another signer, chain or nonce. Writes
 * outbox->transaction_id and submitted_at_seconds.
 */
X402_MUST_USE enum x402_error x402_ledger_submit(struct x402_ledger *ledger,
                                                 struct x402_outbox *outbox,
                                                 const int64_t *payment_ids,
                                                 size_t payments_count);

/*
 * The outbox rows of a signer whose payments are not all final or failed, by nonce then
 * id: the first that follows the row `after_id` in this order, 0 for the first of all.
 * ERR_NOT_FOUND at the end.
 */
X402_MUST_USE enum x402_error x402_ledger_outbox_next(struct x402_ledger *ledger,
                                                      struct x402_outbox *out,
                                                      uint64_t chain_id,
                                                      const uint8_t signer20[20],
                                                      int64_t after_id);

/* The smallest nonce above every nonce ever stored for the signer; 0 when none was. */
X402_MUST_USE enum x402_error x402_ledger_nonce_next(struct x402_ledger *ledger,
                                                     uint64_t *out, uint64_t chain_id,
                                                     const uint8_t signer20[20]);

/* The payments of an outbox row. */
X402_MUST_USE enum x402_error x402_ledger_outbox_payments(struct x402_ledger *ledger,
                                                          int64_t transaction_id,
                                                          struct x402_settlement *out,
                                                          size_t max, size_t *count);

/* What the chain says of one payment. */
struct x402_verdict {
    int64_t payment_id;
    enum x402_event event;  /* SETTLED, FAILED, UNSETTLED or FINAL */
    int64_t transaction_id; /* the outbox row concerned; 0 for none of ours */
    uint8_t hash32[32];     /* SETTLED: the transaction that moved the money */
    uint64_t block_number;  /* SETTLED */
    uint8_t block_hash32[32];
    uint64_t gas_used;            /* SETTLED: this payment's share */
    uint64_t fee_wei;             /* likewise */
    char reason[X402_REASON_MAX]; /* FAILED */
};

/* Applies verdicts in one transaction; each must be a step of the table: ERR_CONFLICT.
 */
X402_MUST_USE enum x402_error x402_ledger_advance(struct x402_ledger *ledger,
                                                  const struct x402_verdict *verdicts,
                                                  size_t count);

/*
 * Up to `max` payments that are settled and not final on a chain, in blocks at or below
 * block_number, oldest block first.
 */
X402_MUST_USE enum x402_error x402_ledger_settled(struct x402_ledger *ledger,
                                                  uint64_t chain_id,
                                                  uint64_t block_number,
                                                  struct x402_settlement *out,
                                                  size_t max, size_t *count);

/*
 * Housekeeping, by whoever has time: abandons what is pending under lost leases,
 * removes released payments whose authorization has expired and that are older than
 * X402_RETENTION_SECONDS, and resets the write-ahead log when it passed 64 MB.
 */
X402_MUST_USE enum x402_error x402_ledger_tidy(struct x402_ledger *ledger);

/* ------------------------------------------------------------------ reading: people */

struct x402_count {
    uint64_t count;
    uint64_t value; /* token units */
};

/* Everything of one (chain, asset). */
struct x402_totals {
    uint64_t chain_id;
    uint8_t asset20[20];
    struct x402_count admitted; /* payments ever admitted */
    struct x402_count deliveries[X402_DELIVERY_COUNT];
    struct x402_count monies[X402_MONEY_COUNT];
    uint64_t payers;            /* distinct */
    int64_t oldest_due_seconds; /* Unix time it became due; 0 when nothing is */
};

#define X402_TOTALS_MAX 32

/* One row per (chain, asset) that ever sold. */
X402_MUST_USE enum x402_error x402_ledger_totals(struct x402_ledger *ledger,
                                                 struct x402_totals *out, size_t max,
                                                 size_t *count);

/* A payment as people see it. Text is zero-terminated. */
struct x402_payment_row {
    struct x402_settlement settlement;
    enum x402_dialect dialect;
    char route[X402_ROUTE_MAX];
    int64_t created_at_seconds;
    int64_t updated_at_seconds;
    uint32_t attempts;
    bool has_transaction;
    uint8_t transaction32[32];
    uint64_t block_number;
    uint64_t gas_used;
    uint64_t fee_wei;
    char reason[X402_REASON_MAX];
};

struct x402_payment_filter {
    bool by_delivery, by_money, by_payer;
    enum x402_delivery delivery;
    enum x402_money money;
    uint8_t payer20[20];
    int64_t after_id; /* only ids above, oldest first, when follow; else newest first */
    bool follow;
    size_t limit; /* 0: 1000 */
};

/* Calls `each` per row until it returns false. */
X402_MUST_USE enum x402_error x402_ledger_payments(
    struct x402_ledger *ledger, const struct x402_payment_filter *filter,
    bool (*each)(const struct x402_payment_row *row, void *data), void *data);

/*
 * Proves the sums, from rows and from the running totals that every transaction keeps:
 *   admitted = delivered + void + abandoned + owed + pending
 *   delivered value = settled + final + failed + due + submitted
 *   every row's state is one the table can reach; every submitted row has its outbox
 *   row, every settled one its block, every failed one its reason
 * Block by block of ids, each in a snapshot of its own. X402_OK when all hold.
 * ERR_CONFLICT when one does not: `message` says which. Other errors: could not be
 * read; `message` says why.
 */
X402_MUST_USE enum x402_error x402_ledger_books(struct x402_ledger *ledger,
                                                char message[X402_LEDGER_MESSAGE_MAX]);

#endif
