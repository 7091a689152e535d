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
#define X402_ROUTE_MAX 128      /* bytes of a route's name, with the zero */
#define X402_REASON_MAX 160     /* bytes of a failure reason, with the zero */
#define X402_OWED_SECONDS 86400 /* what is owed is served so long after validBefore */
#define X402_BALANCE_SECONDS 10 /* a balance older than this is asked for again */
#define X402_BALANCE_STALE_SECONDS 60 /* and one older than this is as good as none */
#define X402_DISTRUST_SECONDS 86400   /* settle-first after a payment failed */

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
    X402_LEDGER_READ,  /* stats, payments, check; see x402_ledger_post */
    X402_LEDGER_WRITE, /* admission, settlement; takes no lease until one is asked for.
                          Reads what was committed, and may wait to write for it */
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
    bool applied; /* out: false when it was told before, or is another attempt's; true
                     of one that was taken over for later, whatever it comes to then:
                     see x402_ledger_post */
};

/*
 * How much may be served before it is settled, in units of the token; UINT64_MAX for no
 * bound. Unsettled is what is or was served, and is held, due or submitted. What is
 * settled first is nobody's debt: it counts against its payer's balance, and not
 * against these bounds, so that nobody fills the one on all with what nobody serves.
 *
 * A stranger is a payer whose balance was never seen, or not for
 * X402_BALANCE_STALE_SECONDS. Who buys is looked at every X402_BALANCE_SECONDS: those
 * not seen lately come back after a pause, or the node has not answered for so long.
 * Keys cost nothing: strangers are served on credit only while all payers together have
 * no more than half of total_max unsettled. So they cannot fill it for those who are
 * known to have money.
 *
 * A payment that would pass a bound is not refused: it is settled first. So is one of a
 * payer with code at its address (its token asks the code, not the key), and of one
 * that made a payment fail, after it was served, within X402_DISTRUST_SECONDS. With all
 * three at UINT64_MAX nothing is asked at all. A bound on what is paid already makes no
 * sense: what is owed and settled is served whatever they are.
 */
struct x402_credit {
    bool settle_first;      /* always: x402_settle before */
    uint64_t payer_max;     /* unsettled of one payer; and never above its balance at
                               the block last seen, less what that block does not hold */
    uint64_t new_payer_max; /* of a stranger; nor above payer_max, nor above the
                               balance it had when it was seen */
    uint64_t total_max;     /* of all payers together; beside a stranger, half of it */
};

/* One presentation. */
struct x402_admit {
    struct x402_verified verified;
    struct x402_credit credit;
    bool late; /* its authorization has expired, or it is for more than the price of
                  now: only what is owed may be served */
    char route[X402_ROUTE_MAX]; /* what was bought, for people: the location's name */
    uint8_t attempt16[16];      /* random, the caller's; a new one each time */
    void *data;                 /* the caller's; untouched */
    enum x402_admission admission;     /* out */
    int64_t payment_id;                /* out, when NEW or SETTLING */
    uint64_t retry_after_milliseconds; /* out, when LIMITED; the gate's */
    bool urgent;  /* out, when SETTLING: the settler has new work */
    bool settled; /* out, when NEW: it was settled first, so its money is here already;
                     in which transaction a look says */
};

/*
 * Asked inside the transaction for a payment that would be NEW, or SETTLING for the
 * first time: is the payer within its rate? False makes it LIMITED and writes nothing.
 * May be asked again for the same admit when the transaction is retried: answer the
 * same.
 *
 * What is settled first is asked for once, when it comes to be due: waiting for it, and
 * being served once it is settled, are free. When that failed, each further attempt is
 * asked for, as the upstream works for each.
 */
typedef bool x402_gate(struct x402_admit *admit, void *data);

/*
 * One transaction: applies the outcomes, in order, then decides the admissions, in
 * order; durable before it returns. Idempotent by attempt id: an outcome told twice is
 * not applied twice.
 *
 * An admission whose numbers pass 63 bits is X402_ADMISSION_UNAVAILABLE by itself; so
 * is a new one while X402_LIVE_MAX authorizations are live (live.h).
 *
 * One that was over long ago is NOT_OWED, and need not be known any more: a key is used
 * once while what was signed with it can be presented.
 *
 * A `late` one is NEW or SETTLING when it is owed, within X402_OWED_SECONDS of the
 * validBefore it was settled by; IN_PROGRESS or ABANDONED when it is that; else
 * NOT_OWED. What is owed is served for the authorization that was charged: another one
 * with the same nonce buys it too, for the same value and payee, and changes nothing.
 *
 * SETTLING: the payment is (now, or since an earlier presentation) due before anything
 * else, and nobody serves it. It belongs to no lease and has no attempt: whoever is
 * interested looks (x402_ledger_look) and presents it again once it is settled; one of
 * them gets NEW. When it came to be due by this very commit, `urgent` is set: nudge the
 * settler (nudge.h).
 *
 * On error every admission is X402_ADMISSION_UNAVAILABLE. The commit may nevertheless
 * have happened: the caller keeps its outcomes and tells them again, and adds an
 * X402_EVENT_VOID for each admission that has a payment_id (0 where it has none).
 */
X402_MUST_USE enum x402_error x402_ledger_commit(
    struct x402_ledger *ledger, const char *owner, struct x402_outcome *outcomes,
    size_t outcomes_count, struct x402_admit *admits, size_t admits_count,
    x402_gate *gate, void *gate_data);

/*
 * Under load a commit keeps a payment, and puts off its row: who only reads does not
 * see it yet. After this the handle's next commit puts nothing off, and writes what
 * was; one with nothing in it will do.
 */
void x402_ledger_post(struct x402_ledger *ledger);

/* What became of a payment that is being settled first. */
struct x402_look {
    int64_t payment_id;
    bool found;              /* out */
    struct x402_state state; /* out, when found */
    bool has_transaction;    /* out: it is settled, or submitted last, in this one */
    uint8_t transaction32[32];
    char reason[X402_REASON_MAX]; /* out, when its money is FAILED */
};

/* Looks at up to X402_LOOKS_MAX payments in one snapshot. Writes nothing. */
#define X402_LOOKS_MAX 4096
X402_MUST_USE enum x402_error x402_ledger_look(struct x402_ledger *ledger,
                                               struct x402_look *looks, size_t count);

/*
 * The key under which receipts are named (receipt_id.h): random, made with the ledger,
 * never changed. Wipe it when done.
 */
X402_MUST_USE enum x402_error x402_ledger_receipt_key(struct x402_ledger *ledger,
                                                      uint8_t key32[32]);

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
    int64_t due_at_seconds; /* when it last changed; of a due one, when it became so */
    int64_t admitted_at_seconds; /* first */
    enum x402_dialect dialect;
    char route[X402_ROUTE_MAX];
};

/* One that is settled, and where. */
struct x402_settled {
    struct x402_settlement settlement;
    uint8_t hash32[32];
    uint64_t block_number;
    uint8_t block_hash32[32];
};

#define X402_TRANSACTION_RAW_MAX 65536

/*
 * A transaction of the outbox: stored before it is sent, kept after. Or a request to a
 * facilitator, which keeps the same rules under a signer of its own: its hash is zero,
 * and never shown as that of a transaction.
 */
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

/* Who holds the key, by the `owner` it gave. ERR_NOT_FOUND when nobody does. */
X402_MUST_USE enum x402_error x402_ledger_signer_owner(struct x402_ledger *ledger,
                                                       char owner[X402_ROUTE_MAX],
                                                       uint64_t chain_id,
                                                       const uint8_t signer20[20]);

/*
 * Takes the key away from an `owner` that is known to be dead, so that the next acquire
 * need not wait for its lease. Nothing happens when another holds it by now.
 */
X402_MUST_USE enum x402_error x402_ledger_signer_evict(struct x402_ledger *ledger,
                                                       uint64_t chain_id,
                                                       const uint8_t signer20[20],
                                                       const char *owner);

/*
 * Up to `max` payments that are due on a chain: first those somebody waits for (owed),
 * then the rest; in each, soonest validBefore first of those still valid by the store's
 * clock, then those that have expired, which keep at most an eighth from them. Neither
 * keeps the other out: where there is more of both, each has half. Calls that nobody
 * was served for yet cost nothing to make, and must not make those expire that somebody
 * was served for.
 */
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

/* One row of the outbox. ERR_NOT_FOUND. */
X402_MUST_USE enum x402_error x402_ledger_outbox_find(struct x402_ledger *ledger,
                                                      struct x402_outbox *out,
                                                      int64_t transaction_id);

/* The smallest nonce above every nonce ever stored for the signer; 0 when none was. */
X402_MUST_USE enum x402_error x402_ledger_nonce_next(struct x402_ledger *ledger,
                                                     uint64_t *out, uint64_t chain_id,
                                                     const uint8_t signer20[20]);

/* The payments of an outbox row. */
X402_MUST_USE enum x402_error x402_ledger_outbox_payments(struct x402_ledger *ledger,
                                                          int64_t transaction_id,
                                                          struct x402_settlement *out,
                                                          size_t max, size_t *count);

/*
 * Up to `max` payments of a chain that are submitted by signers other than this one
 * that nobody holds now: perhaps their keys are lost. With signer20 NULL, by whomever,
 * held or not. By validBefore, then payment: those that follow `after` in this order
 * (NULL: from the first). Cheap in a large ledger.
 */
X402_MUST_USE enum x402_error x402_ledger_strays(struct x402_ledger *ledger,
                                                 uint64_t chain_id,
                                                 const uint8_t signer20[20],
                                                 const struct x402_settlement *after,
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
    uint64_t gas_used; /* any: this payment's share of what its transaction cost us */
    uint64_t fee_wei;  /* likewise; UNSETTLED from settled gives back what was noted */
    char reason[X402_REASON_MAX]; /* FAILED */
    bool payers_fault; /* FAILED: settle-first from here on, if it was served, for
                          X402_DISTRUST_SECONDS. What expired for our outage, a paused
                          token or a dear chain is nobody's fault */
    bool applied;      /* out */
};

/*
 * Applies verdicts, in order, in one transaction. One that is no step of the table (or
 * of a payment that is not there) is left out, `applied` false, and stops nobody
 * else's: somebody moved the payment first, and the next look sees where to. A payment
 * may have several in a row (UNSETTLED, then SETTLED in another block).
 *
 * A transfer is the money of one payment: SETTLED by one that settled another payment
 * of the same key becomes FAILED, "used", as which it is applied and given back.
 */
X402_MUST_USE enum x402_error x402_ledger_advance(struct x402_ledger *ledger,
                                                  struct x402_verdict *verdicts,
                                                  size_t count);

/*
 * Up to `max` payments that are settled and not final on a chain, in blocks at or below
 * block_number, by block, then payment: those that follow `after` in this order (NULL:
 * from the first).
 */
X402_MUST_USE enum x402_error x402_ledger_settled(struct x402_ledger *ledger,
                                                  uint64_t chain_id,
                                                  uint64_t block_number,
                                                  const struct x402_settled *after,
                                                  struct x402_settled *out, size_t max,
                                                  size_t *count);

/* A payer whose balance is wanted. */
struct x402_payer {
    uint8_t asset20[20];
    uint8_t payer20[20];
};

/*
 * Up to `max` payers of a chain that have bought and whose balance is older than
 * X402_BALANCE_SECONDS, or was older when they last bought: never seen ones first, then
 * those that wait longest. Keys cost nothing, so as with what is due neither keeps the
 * other out. A clock that was set back makes nobody wait.
 */
X402_MUST_USE enum x402_error x402_ledger_payers_wanted(struct x402_ledger *ledger,
                                                        uint64_t chain_id,
                                                        struct x402_payer *out,
                                                        size_t max, size_t *count);

/* What the chain says of a payer. */
struct x402_sighting {
    struct x402_payer payer;
    bool looked;           /* the next three were read */
    uint64_t balance;      /* token units, at the end of the block; saturated */
    uint64_t block_number; /* never lower than the one before, but after a reorg */
    bool has_code;
    bool refused; /* a payment of it was refused: settle-first from here on, for
                     X402_DISTRUST_SECONDS, as after a failure */
};

/*
 * Notes sightings; those of payers without payments are left out. Each stands alone,
 * and many are noted in several transactions, so that nobody waits for all of them: on
 * an error some may be noted. Tell them at once: a balance of a block below one in
 * which a payment of its token is final already is left out, too.
 */
X402_MUST_USE enum x402_error x402_ledger_payers_seen(
    struct x402_ledger *ledger, uint64_t chain_id,
    const struct x402_sighting *sightings, size_t count);

/*
 * Housekeeping, by whoever has time: abandons what is pending under lost leases,
 * removes payments that are released, or void because they failed, whose authorization
 * has expired and that are older than X402_RETENTION_SECONDS, and resets the
 * write-ahead log when it passed 64 MB. What is settled and still owed stays.
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
    struct x402_count unsettled; /* served on credit, and held, due or submitted */
    uint64_t payers;             /* distinct */
    int64_t oldest_due_seconds;  /* Unix time it became due; 0 when nothing is */
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

/* One payment. ERR_NOT_FOUND. */
X402_MUST_USE enum x402_error x402_ledger_payment(struct x402_ledger *ledger,
                                                  struct x402_payment_row *out,
                                                  int64_t payment_id);

/*
 * What a route earned and cost on one day (UTC, days since 1970; the day a payment was
 * first admitted), by token. Kept by every x402_ledger_advance; a reorganization takes
 * back what it undid.
 */
struct x402_earning {
    int64_t day;
    uint64_t chain_id;
    uint8_t asset20[20];
    char route[X402_ROUTE_MAX];
    struct x402_count settled; /* settled or final */
    struct x402_count failed;  /* served, and not collectable */
    uint64_t gas_used; /* of all our transactions with its payments, also vain ones */
    uint64_t fee_wei;  /* saturated */
};

/* Calls `each` for the days first to last, newest first, until it returns false. */
X402_MUST_USE enum x402_error x402_ledger_earnings(
    struct x402_ledger *ledger, int64_t first_day, int64_t last_day,
    bool (*each)(const struct x402_earning *earning, void *data), void *data);

/*
 * Proves the sums, from rows and from the running totals that every transaction keeps:
 *   admitted = delivered + void + abandoned + owed + pending
 *   delivered or owed value = settled + final + failed + due + submitted (less what
 *   failed before it was served)
 *   what each payer has unsettled or owed, and each token = the sum of such rows
 *   what each route settled, and failed to = the sum of such rows
 *   every row's state is one the table can reach; every submitted row has its outbox
 *   row, every settled one its block, every failed one its reason; nothing owed is
 *   under a lease
 *   no two payments had the same key at a time, and the live set finds what can be
 *   presented
 * Block by block of ids, then token by token, each in a snapshot of its own. X402_OK
 * when all hold.
 * ERR_CONFLICT when one does not: `message` says which. Other errors: could not be
 * read; `message` says why.
 */
X402_MUST_USE enum x402_error x402_ledger_books(struct x402_ledger *ledger,
                                                char message[X402_LEDGER_MESSAGE_MAX]);

#endif
