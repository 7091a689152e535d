/*
 * The SQLite backend's own header: the handle, its connection, its transactions.
 *
 * One process opens a handle, one thread at a time uses it. Writers queue on a lock
 * file beside the ledger (PATH-queue) before BEGIN IMMEDIATE, so that SQLite's busy
 * handler, which sleeps, is only a fallback. A connection that has become doubtful
 * (an input/output error, damage, a file deleted or put in its place) is closed and
 * opened again at the next call: a ledger recovers by itself when the cause goes away.
 */
#ifndef X402_LEDGER_SQLITE_H
#define X402_LEDGER_SQLITE_H

#include "ledger/backend.h"
#include "ledger/live.h"
#include "ledger/sqlite_sql.h"

#include <sqlite3.h>

#define X402_SQLITE_APPLICATION_ID 0x78343032 /* "x402" */
#define X402_SQLITE_VERSION 4
#define X402_SQLITE_WAIT_MILLISECONDS                                                  \
    5000                               /* for the queue, then for SQLite's locks       \
                                        */
#define X402_SQLITE_WAL_MAX (64 << 20) /* bytes; above it the log is reset */
#define X402_SQLITE_BLOCK 32768        /* ids of one block of flows */
#define X402_SQLITE_FLOWS_MAX 32
#define X402_SQLITE_PAYERS_MAX 256
#define X402_SQLITE_EARNINGS_MAX 16
#define X402_SQLITE_NEVER_SEEN_SECONDS (INT64_C(1) << 40) /* see payer.wanted_at */
#define X402_SQLITE_TOKENS_MAX 8    /* remembered; there may be more */
#define X402_SQLITE_JOURNAL_MIN 2   /* admissions and outcomes: fewer get their rows */
#define X402_SQLITE_JOURNAL_MAX 512 /* payments that the journal holds at most; */
#define X402_SQLITE_JOURNAL_READ_MAX 8192 /* another version may have put more */

#ifdef X402_TEST_CLOCK
/* For tests: how long that is. A connection keeps to what it was when it was made. */
extern int x402_sqlite_wait_milliseconds;
#else
enum { x402_sqlite_wait_milliseconds = X402_SQLITE_WAIT_MILLISECONDS };
#endif

/* A payment about to change, as it stands inside the transaction. */
struct x402_sqlite_subject {
    int64_t id;
    int64_t token_id;
    struct x402_state state;
    uint64_t value;
    uint8_t payer20[20];
};

#define X402_FLOW_NONE (-1)    /* delivery and money of what was not there before */
#define X402_FLOW_REMOVED (-1) /* event of a row that was removed */

struct x402_sqlite_flow {
    int64_t block;
    int64_t token_id;
    int delivery, money, event;
    uint64_t count, value_before, value_after;
};

/* A row of `token`, as the transaction has it so far. */
struct x402_sqlite_token {
    int64_t id;
    uint64_t chain_id;
    uint64_t payers;
    uint64_t unsettled;
    uint64_t final_block;
    bool changed;
};

/* A row of `payer`, likewise. What it says of sums: schema-2.sql. */
struct x402_sqlite_payer {
    int64_t token_id;
    uint8_t payer20[20];
    bool is_new; /* there is no row yet */
    bool sums_changed;
    bool others_changed;
    uint64_t unsettled, owed, after_block;
    uint64_t payments; /* how many; without any the row goes */
    int64_t wanted_at_seconds;
    int64_t seen_at_seconds; /* 0: the next four are not known */
    uint64_t balance, balance_block;
    bool has_code;
    int64_t distrust_until_seconds;
};

/* What to add to a row of `earning`. */
struct x402_sqlite_earning {
    int64_t day;
    int64_t token_id;
    int64_t block;
    char route[X402_ROUTE_MAX];
    struct x402_count settled, failed; /* modulo 2^64 */
    uint64_t gas_used, fee_wei;
    uint64_t gas_back, fee_back; /* to be taken away again */
};

/* Which token a (chain, asset) is: for as long as the connection lasts. */
struct x402_sqlite_token_name {
    uint64_t chain_id;
    uint8_t asset20[20];
    int64_t id;
};

/* Who writes next: sqlite_queue.c. */
struct x402_sqlite_queue {
    int fd;                         /* -1: closed */
    struct x402_sqlite_bell *bells; /* shared; NULL: waiting is by looking again */
};

/* What there is one payment of, at most, that may still be presented. */
struct x402_sqlite_key {
    int64_t token_id;
    const uint8_t *payer20, *nonce32;
};

/* Points into `verified`. */
static inline struct x402_sqlite_key x402_sqlite_key_of(
    int64_t token_id, const struct x402_verified *verified)
{
    return (struct x402_sqlite_key){token_id, verified->from20, verified->nonce32};
}

/* One call of x402_ledger_commit. */
struct x402_sqlite_batch {
    const char *owner;
    struct x402_outcome *outcomes;
    size_t outcomes_count;
    struct x402_admit *admits;
    size_t admits_count;
    x402_gate *gate;
    void *gate_data;
    int64_t told_through_id; /* payments up to it have heard of their outcomes */
    int64_t tokens[X402_SQLITE_JOURNAL_MAX]; /* the admits', once they were looked up */
};

/* A payment's row when it is new, beside what was presented. */
struct x402_sqlite_birth {
    int64_t token_id;
    struct x402_state state;
    int64_t lease_id;
    int64_t created_at_seconds, updated_at_seconds;
};

/* Whether the batch has yet to tell it. */
static inline bool x402_sqlite_is_untold(const struct x402_sqlite_batch *batch,
                                         const struct x402_outcome *outcome)
{
    return outcome->payment_id > batch->told_through_id;
}

struct x402_sqlite {
    struct x402_ledger base;
    char *path;
    enum x402_ledger_mode mode;
    sqlite3 *db; /* NULL while there is no connection */
    bool doubtful;
    struct x402_sqlite_queue queue;
    bool posting; /* the next commit leaves nothing in the journal */
    sqlite3_stmt *statements[X402_SQL_COUNT];
    uint8_t holder16[16]; /* this handle, for signers */
    int64_t lease_id;     /* 0: none */

    /* Of the transaction in progress. */
    bool writing;
    int64_t now_seconds;
    int64_t lease_taken; /* the lease to have once it commits; 0: no change */
    struct x402_sqlite_flow flows[X402_SQLITE_FLOWS_MAX];
    size_t flows_count;
    struct x402_sqlite_payer payers[X402_SQLITE_PAYERS_MAX];
    size_t payers_count;
    struct x402_sqlite_token tokens[X402_SQLITE_TOKENS_MAX];
    size_t tokens_count;
    struct x402_sqlite_earning earnings[X402_SQLITE_EARNINGS_MAX];
    size_t earnings_count;
    uint64_t unposted; /* value in the journal, while a batch may join it */

    struct x402_sqlite_token_name names[X402_SQLITE_TOKENS_MAX];
    size_t names_count;

    struct x402_live live;
    uint8_t secret16[16];          /* its tags' */
    int64_t live_crowded_at;       /* the second it could not grow in last */
    int64_t horizon_block;         /* whose horizon is known */
    int64_t horizon_until_seconds; /* and is this; 0: none is */
    uint8_t *raw;                  /* what x402_ledger_outbox_next gave out last */
    int64_t forgot_hour;           /* in which old activity was forgotten last */
};

static inline struct x402_sqlite *x402_sqlite_of(struct x402_ledger *ledger)
{
    return (struct x402_sqlite *)ledger;
}

/* ------------------------------------------------ sqlite_connection.c, sqlite_create.c
 */

/* Makes sure of a sound connection to the file that is at the path now. */
X402_MUST_USE enum x402_error x402_sqlite_connect(struct x402_sqlite *sqlite);
void x402_sqlite_disconnect(struct x402_sqlite *sqlite);

/* Settings of every connection; nothing is written. A result code of SQLite. */
X402_MUST_USE int x402_sqlite_configure(sqlite3 *db);

enum x402_sqlite_identity {
    X402_SQLITE_EMPTY,   /* a database without anything in it */
    X402_SQLITE_FOREIGN, /* not a ledger */
    X402_SQLITE_OLDER,
    X402_SQLITE_CURRENT,
    X402_SQLITE_NEWER,
};
/* Whose file this is, and its schema's version. A result code of SQLite. */
X402_MUST_USE int x402_sqlite_identify(sqlite3 *db, enum x402_sqlite_identity *identity,
                                       int *version);
/* A sentence for a file that cannot be opened because of what it is. */
void x402_sqlite_refuse(char message[X402_LEDGER_MESSAGE_MAX], const char *path,
                        enum x402_sqlite_identity identity, int version);
/* False, with a sentence, when `path` is something that cannot be a ledger's file. */
X402_MUST_USE bool x402_sqlite_path_check(const char *path, const char *verb,
                                          char message[X402_LEDGER_MESSAGE_MAX]);

/*
 * What a failure means, in words: "disk is full". To be asked at once: errno belongs to
 * it, and was 0 before. `db` may be NULL. The text is static, or db's.
 */
const char *x402_sqlite_reason(sqlite3 *db, int code);

/*
 * Records a failure of SQLite: the message ("cannot <verb> ledger '…': …") and whether
 * the connection is to be trusted from here on. Returns X402_ERR_LEDGER.
 */
enum x402_error x402_sqlite_fail(struct x402_sqlite *sqlite, const char *verb,
                                 int code);
/* Records a sentence and returns `error`. */
__attribute__((format(printf, 3, 4))) enum x402_error x402_sqlite_say(
    struct x402_sqlite *sqlite, enum x402_error error, const char *format, ...);

enum x402_error x402_sqlite_create(const char *path, unsigned uid, unsigned gid,
                                   char message[X402_LEDGER_MESSAGE_MAX]);

/* ---------------------------------------------------------------- sqlite_queue.c */

/* Opens the lock file of the ledger at `path`, making it: 0, or an errno. */
X402_MUST_USE int x402_sqlite_queue_open(struct x402_sqlite_queue *queue,
                                         const char *path);
void x402_sqlite_queue_close(struct x402_sqlite_queue *queue);
/* Waits for the turn to write: 0, or an errno (EAGAIN: waited long enough). */
X402_MUST_USE int x402_sqlite_queue_enter(const struct x402_sqlite_queue *queue);
void x402_sqlite_queue_leave(const struct x402_sqlite_queue *queue);

/* ---------------------------------------------------------- sqlite_transaction.c */

typedef enum x402_error x402_sqlite_body(struct x402_sqlite *sqlite, void *data);

/* One transaction around `body`: durable when X402_OK, else nothing of it in force.
 * What is in the journal has its rows before. */
X402_MUST_USE enum x402_error x402_sqlite_write(struct x402_sqlite *sqlite,
                                                x402_sqlite_body *body, void *data);
/* The same, but for the journal: it is left as it is. */
X402_MUST_USE enum x402_error x402_sqlite_append(struct x402_sqlite *sqlite,
                                                 x402_sqlite_body *body, void *data);
/* One snapshot around `body`. A handle that may write sees what is in the journal; one
 * that only reads does so when it has been posted. */
X402_MUST_USE enum x402_error x402_sqlite_read(struct x402_sqlite *sqlite,
                                               x402_sqlite_body *body, void *data);

/*
 * A prepared statement, ready for its parameters. NULL when it cannot be prepared:
 * bind to it and run it all the same, running reports the failure.
 */
sqlite3_stmt *x402_sqlite_statement(struct x402_sqlite *sqlite,
                                    enum x402_sqlite_statement which);
void x402_sqlite_bind(sqlite3_stmt *statement, int parameter, int64_t number);
void x402_sqlite_bind_blob(sqlite3_stmt *statement, int parameter, const uint8_t *bytes,
                           size_t size); /* borrowed until it has run */
void x402_sqlite_bind_text(sqlite3_stmt *statement, int parameter, const char *text);

/* Runs a statement that has no rows. */
X402_MUST_USE enum x402_error x402_sqlite_run(struct x402_sqlite *sqlite,
                                              sqlite3_stmt *statement);
/* Takes the next row, if there is one; after the last the statement is reset. */
X402_MUST_USE enum x402_error x402_sqlite_row(struct x402_sqlite *sqlite,
                                              sqlite3_stmt *statement, bool *is_row);
/* Ends a statement whose rows are not all wanted. */
void x402_sqlite_done(sqlite3_stmt *statement);
/* Copies a blob column of exactly `size` bytes; zero bytes where it is not. */
void x402_sqlite_column_blob(sqlite3_stmt *statement, int column, uint8_t *out,
                             size_t size);
void x402_sqlite_column_text(sqlite3_stmt *statement, int column, char *out,
                             size_t out_size);
/* Columns 0 to 5: id, token_id, delivery, money, value, payer. */
void x402_sqlite_column_subject(sqlite3_stmt *statement,
                                struct x402_sqlite_subject *out);

/* ----------------------------------------------------------------- sqlite_live.c */

/*
 * Inside a transaction that admits `count` payments, before the first: makes sure of a
 * live set (live.h) that knows every payment that may be presented, with room for
 * these where there is any.
 */
X402_MUST_USE enum x402_error x402_sqlite_live_begin(struct x402_sqlite *sqlite,
                                                     size_t count);
/* After it has committed. One that failed leaves what it put to the next. */
void x402_sqlite_live_committed(struct x402_sqlite *sqlite);
/* The row of PAYMENT_KNOWN that has the key, to be read and ended; NULL: none has. */
X402_MUST_USE enum x402_error x402_sqlite_live_find(struct x402_sqlite *sqlite,
                                                    const struct x402_sqlite_key *key,
                                                    sqlite3_stmt **row);
/* Whether a payment valid until then was over so long ago that it may not be known. */
bool x402_sqlite_live_forgot(const struct x402_sqlite *sqlite,
                             int64_t valid_before_seconds);
bool x402_sqlite_live_is_full(const struct x402_sqlite *sqlite);
/*
 * The same without rows, for the journal, whose last payment is this one (last_id 0:
 * there is none): whether the set is complete, in doubt of nothing, and has room for
 * `count` more; and the id of the newest payment that has a row, or 0.
 */
X402_MUST_USE enum x402_error x402_sqlite_live_is_ready(
    struct x402_sqlite *sqlite, int64_t last_id, const struct x402_sqlite_key *last,
    size_t count, int64_t *posted_id, bool *ready);
/* False: it does not. True: it may. */
bool x402_sqlite_live_may_have(const struct x402_sqlite *sqlite,
                               const struct x402_sqlite_key *key);
/* Puts a key, in a set that is ready; and takes back the last `count` of a transaction
 * that goes on without them. */
void x402_sqlite_live_put(struct x402_sqlite *sqlite, const struct x402_sqlite_key *key,
                          int64_t id, int64_t valid_before_seconds);
void x402_sqlite_live_unput(struct x402_sqlite *sqlite, size_t count);
/* A payment whose key was put has its row now. */
X402_MUST_USE enum x402_error x402_sqlite_live_note(struct x402_sqlite *sqlite,
                                                    int64_t id,
                                                    int64_t valid_before_seconds);
/* A new payment, its row just inserted; there must be room. `owed`: it may be presented
 * for X402_OWED_SECONDS after validBefore. */
X402_MUST_USE enum x402_error x402_sqlite_live_add(struct x402_sqlite *sqlite,
                                                   const struct x402_sqlite_key *key,
                                                   int64_t id,
                                                   int64_t valid_before_seconds,
                                                   bool owed);
/* A payment that is known has another validBefore now. */
X402_MUST_USE enum x402_error x402_sqlite_live_keep(struct x402_sqlite *sqlite,
                                                    const struct x402_sqlite_key *key,
                                                    int64_t id,
                                                    int64_t valid_before_seconds,
                                                    bool owed);
/*
 * Inside a snapshot, beside who writes: whether there is a set that counts in it (none
 * may, until somebody admits again), and then whether it holds a payment of BOOKS_KEYS,
 * or need not. What a snapshot has was in the set before, and a set only gets more
 * until it is built anew: then (x402_live_is_same) what is not found means nothing.
 */
X402_MUST_USE enum x402_error x402_sqlite_live_look(struct x402_sqlite *sqlite,
                                                    bool *counts);
bool x402_sqlite_live_holds(const struct x402_sqlite *sqlite, sqlite3_stmt *row);
/* Until when a payment of BOOKS_KEYS may be presented. */
int64_t x402_sqlite_live_until(const struct x402_sqlite *sqlite, sqlite3_stmt *row);

/* ----------------------------------------------------------------- sqlite_flow.c */

/*
 * Applies an event to a payment: the row, by compare-and-set, and all that is added up.
 * Writes the new state. ERR_CONFLICT when the table has no such step.
 */
X402_MUST_USE enum x402_error x402_sqlite_move(struct x402_sqlite *sqlite,
                                               struct x402_sqlite_subject *subject,
                                               enum x402_event event);
/*
 * Counts one step in everything that is added up: flows, what payers and tokens have
 * unsettled, earnings. The one place that does. `before` is NULL for a payment that was
 * not there, `after` for one that is removed.
 */
X402_MUST_USE enum x402_error x402_sqlite_count(
    struct x402_sqlite *sqlite, const struct x402_sqlite_subject *before, int event,
    const struct x402_sqlite_subject *after);
/* Writes the flows counted so far: x402_sqlite_write does it before it commits. */
X402_MUST_USE enum x402_error x402_sqlite_flows_write(struct x402_sqlite *sqlite);
/* Whether it counts payments that were not there before. */
bool x402_sqlite_flow_is_first(const struct x402_sqlite_flow *flow);

/* ---------------------------------------------------------------- sqlite_token.c */

/* The id of a (chain, asset). `add` makes one where there is none; else 0. */
X402_MUST_USE enum x402_error x402_sqlite_token_find(struct x402_sqlite *sqlite,
                                                     uint64_t chain_id,
                                                     const uint8_t asset20[20],
                                                     bool add, int64_t *id);
/* The chain and the asset of a token; left alone where there is none. */
X402_MUST_USE enum x402_error x402_sqlite_token_name(struct x402_sqlite *sqlite,
                                                     int64_t token_id,
                                                     uint64_t *chain_id,
                                                     uint8_t asset20[20]);
/* A token's row, to read and to change (then set `changed`): good until the next call.
 */
X402_MUST_USE enum x402_error x402_sqlite_token_take(struct x402_sqlite *sqlite,
                                                     int64_t token_id,
                                                     struct x402_sqlite_token **out);
/* Writes the rows changed so far: x402_sqlite_write does it before it commits. */
X402_MUST_USE enum x402_error x402_sqlite_tokens_write(struct x402_sqlite *sqlite);

/* ---------------------------------------------------------------- sqlite_payer.c */

/* What a payment in this state is to its payer. */
uint64_t x402_sqlite_unsettled(struct x402_state state, uint64_t value);
uint64_t x402_sqlite_owed(struct x402_state state, uint64_t value);

/*
 * A payer's row, to read and to change (then say what has changed): good until the next
 * call. One that has no row is all zeros and gets one once it is changed.
 */
X402_MUST_USE enum x402_error x402_sqlite_payer_take(struct x402_sqlite *sqlite,
                                                     int64_t token_id,
                                                     const uint8_t payer20[20],
                                                     struct x402_sqlite_payer **out);
/* One step, as x402_sqlite_count has it. */
X402_MUST_USE enum x402_error x402_sqlite_payer_count(
    struct x402_sqlite *sqlite, const struct x402_sqlite_subject *before,
    const struct x402_sqlite_subject *after);
/* A payment was settled in this block, or (not `in`) is no longer. */
X402_MUST_USE enum x402_error x402_sqlite_payer_included(
    struct x402_sqlite *sqlite, const struct x402_sqlite_subject *subject,
    uint64_t block_number, bool in);
/* A payment failed that was served, and it is the payer's fault. */
X402_MUST_USE enum x402_error x402_sqlite_payer_distrust(
    struct x402_sqlite *sqlite, const struct x402_sqlite_subject *subject);
/* Writes the rows changed so far: x402_sqlite_write does it before it commits. */
X402_MUST_USE enum x402_error x402_sqlite_payers_write(struct x402_sqlite *sqlite);

/* --------------------------------------------------------------- sqlite_credit.c */

/* Whether a payment may be served before it is settled. */
X402_MUST_USE enum x402_error x402_sqlite_credit_check(
    struct x402_sqlite *sqlite, const struct x402_credit *credit, int64_t token_id,
    const struct x402_verified *verified, bool *is_within);

/* ------------------------------------------------------------- sqlite_sighting.c */

enum x402_error x402_sqlite_payers_wanted(struct x402_ledger *ledger, uint64_t chain_id,
                                          struct x402_payer *out, size_t max,
                                          size_t *count);
enum x402_error x402_sqlite_payers_seen(struct x402_ledger *ledger, uint64_t chain_id,
                                        const struct x402_sighting *sightings,
                                        size_t count);

/* -------------------------------------------------------------- sqlite_earning.c */

/* One step, as x402_sqlite_count has it. */
X402_MUST_USE enum x402_error x402_sqlite_earning_count(
    struct x402_sqlite *sqlite, const struct x402_sqlite_subject *before,
    const struct x402_sqlite_subject *after);
/* What a payment's transactions cost; or (not `spent`) what is given back. */
X402_MUST_USE enum x402_error x402_sqlite_earning_cost(
    struct x402_sqlite *sqlite, const struct x402_sqlite_subject *subject,
    uint64_t gas_used, uint64_t fee_wei, bool spent);
/* Writes the earnings counted so far: x402_sqlite_write does it before it commits. */
X402_MUST_USE enum x402_error x402_sqlite_earnings_write(struct x402_sqlite *sqlite);

/* What a payment in this state is to its route. */
struct x402_count x402_sqlite_settled_count(struct x402_state state, uint64_t value);
struct x402_count x402_sqlite_failed_count(struct x402_state state, uint64_t value);

enum x402_error x402_sqlite_earnings(
    struct x402_ledger *ledger, int64_t first_day, int64_t last_day,
    bool (*each)(const struct x402_earning *earning, void *data), void *data);

/* ------------------------------------------------------------- sqlite_activity.c */

/* Inside a transaction: adds to an hour's row, or to X402_ACTIVITY_EVER's. */
X402_MUST_USE enum x402_error x402_sqlite_sale_add(struct x402_sqlite *sqlite,
                                                   int64_t hour,
                                                   const struct x402_sales *sales);
/* Removes what is too old; once an hour, as it reads more than it removes. */
X402_MUST_USE enum x402_error x402_sqlite_activity_forget(struct x402_sqlite *sqlite);

enum x402_error x402_sqlite_note(struct x402_ledger *ledger,
                                 const struct x402_activity *activity);
enum x402_error x402_sqlite_sales(
    struct x402_ledger *ledger, int64_t first_hour, int64_t last_hour,
    bool (*each)(int64_t hour, const struct x402_sales *sales, void *data), void *data);
enum x402_error x402_sqlite_activity(
    struct x402_ledger *ledger, int64_t first_hour, int64_t last_hour,
    uint64_t refusals[X402_ERROR_COUNT],
    struct x402_histogram measures[X402_MEASURE_COUNT]);
enum x402_error x402_sqlite_settler_note(struct x402_ledger *ledger,
                                         const struct x402_settler_state *state);
enum x402_error x402_sqlite_settlers(struct x402_ledger *ledger,
                                     struct x402_settler_state *out, size_t max,
                                     size_t *count);

/* -------------------------------------------------------------- sqlite_migrate.c */

/* From a version to this program's, inside a transaction. A result code of SQLite. */
X402_MUST_USE int x402_sqlite_migrate(sqlite3 *db, int version);

/* ---------------------------------------------------------------- sqlite_lease.c */

enum x402_error x402_sqlite_lease_renew(struct x402_ledger *ledger, const char *owner);
enum x402_error x402_sqlite_lease_release(struct x402_ledger *ledger);
/* Inside a transaction: makes sure of a lease that lasts. */
X402_MUST_USE enum x402_error x402_sqlite_lease_hold(struct x402_sqlite *sqlite,
                                                     const char *owner, bool renew);
/* Inside a transaction: the lease of payments admitted in it. */
int64_t x402_sqlite_lease_id(const struct x402_sqlite *sqlite);
/* Inside a transaction: whether a lease is there and has not run out. */
X402_MUST_USE enum x402_error x402_sqlite_lease_alive(struct x402_sqlite *sqlite,
                                                      int64_t lease_id, bool *alive);
/* Inside a transaction: abandons what is pending under lost leases. */
X402_MUST_USE enum x402_error x402_sqlite_lease_sweep(struct x402_sqlite *sqlite);

/* ----------------------------------------------------------------- sqlite_admit.c */

/* SQLite's integers have 63 bits. What passes them is a joke, and not the batch's. */
bool x402_sqlite_fits(const struct x402_verified *verified);
/* Inserts a payment's row, and nothing else. */
X402_MUST_USE enum x402_error x402_sqlite_payment_insert(
    struct x402_sqlite *sqlite, const struct x402_admit *admit,
    const struct x402_sqlite_birth *birth, int64_t *id);
/* One outcome, for the payment's row. */
X402_MUST_USE enum x402_error x402_sqlite_outcome_apply(struct x402_sqlite *sqlite,
                                                        struct x402_outcome *outcome);

/* --------------------------------------------------------------- sqlite_journal.c */

/*
 * Under load a batch does not write the rows of its payments, the most of what they
 * cost. What it admits and the outcomes it tells are one row, appended to the journal,
 * as durable as any. Whatever transaction does anything else posts it first: inserts
 * the payments, each once, in the state they have come to, with all that is added up.
 * So nobody who writes ever sees the journal, but for this file.
 *
 * What goes there is decided without rows: keys that the live set does not have, under
 * bounds that hold even if all that is in the journal were the same payer's. Any other
 * batch (a key that may be known, a bound that may be passed, a call alone, a live set
 * in doubt) is decided payment by payment, after posting.
 *
 * Ids are given when a batch goes to the journal, and posting gives the rows the same:
 * payments are inserted in no other way while it holds any.
 */
#ifdef X402_TEST_CLOCK
/* For tests: the same; `max` at most X402_SQLITE_JOURNAL_MAX. */
extern struct x402_sqlite_journal_bounds {
    size_t min, max;
} x402_sqlite_journal_bounds;
#endif

/*
 * Inside a transaction that holds a lease: the whole batch goes to the journal; or (not
 * *done) nothing of it, but that outcomes may have been told, to payments up to
 * batch->told_through_id. Those that go to the journal count as applied. Asks the gate.
 */
X402_MUST_USE enum x402_error x402_sqlite_journal_add(struct x402_sqlite *sqlite,
                                                      struct x402_sqlite_batch *batch,
                                                      bool *done);
/* Inside a transaction: what is in the journal gets its rows, and it is empty. */
X402_MUST_USE enum x402_error x402_sqlite_journal_post(struct x402_sqlite *sqlite);
/* Inside a snapshot: a payment that has no row yet, as it would have one by now. */
X402_MUST_USE enum x402_error x402_sqlite_journal_find(struct x402_sqlite *sqlite,
                                                       int64_t id,
                                                       struct x402_admit *admit,
                                                       struct x402_sqlite_birth *birth,
                                                       bool *found);
/* For the books: whether it could be posted. ERR_LEDGER where it is damaged. */
X402_MUST_USE enum x402_error x402_sqlite_journal_check(struct x402_sqlite *sqlite);
X402_MUST_USE enum x402_error x402_sqlite_journal_is_empty(struct x402_sqlite *sqlite,
                                                           bool *empty);

/* ------------------------------------------ sqlite_admit.c, _settle.c, _look.c … */

enum x402_error x402_sqlite_commit(struct x402_ledger *ledger, const char *owner,
                                   struct x402_outcome *outcomes, size_t outcomes_count,
                                   struct x402_admit *admits, size_t admits_count,
                                   x402_gate *gate, void *gate_data);
void x402_sqlite_post(struct x402_ledger *ledger);

enum x402_error x402_sqlite_signer_acquire(struct x402_ledger *ledger,
                                           uint64_t chain_id,
                                           const uint8_t signer20[20],
                                           const char *owner);
enum x402_error x402_sqlite_signer_release(struct x402_ledger *ledger,
                                           uint64_t chain_id,
                                           const uint8_t signer20[20]);
enum x402_error x402_sqlite_signer_owner(struct x402_ledger *ledger,
                                         char owner[X402_ROUTE_MAX], uint64_t chain_id,
                                         const uint8_t signer20[20]);
enum x402_error x402_sqlite_signer_evict(struct x402_ledger *ledger, uint64_t chain_id,
                                         const uint8_t signer20[20], const char *owner);
enum x402_error x402_sqlite_due(struct x402_ledger *ledger, uint64_t chain_id,
                                struct x402_settlement *out, size_t max, size_t *count);
enum x402_error x402_sqlite_settled(struct x402_ledger *ledger, uint64_t chain_id,
                                    uint64_t block_number,
                                    const struct x402_settled *after,
                                    struct x402_settled *out, size_t max,
                                    size_t *count);
enum x402_error x402_sqlite_advance(struct x402_ledger *ledger,
                                    struct x402_verdict *verdicts, size_t count);
/*
 * An answer made of two lists, the first before the second. Neither keeps the other
 * out: where both have as much, each has half of it (the first, of an odd number, one
 * more). `list` writes up to `max` items of one of them to `out`, from its beginning.
 */
struct x402_sqlite_page {
    void *items;
    size_t size; /* of an item */
    size_t max;
    size_t count; /* out */
};
typedef enum x402_error x402_sqlite_list(struct x402_sqlite *sqlite, void *data,
                                         bool first, void *out, size_t max,
                                         size_t *count);
X402_MUST_USE enum x402_error x402_sqlite_halves(struct x402_sqlite *sqlite,
                                                 x402_sqlite_list *list, void *data,
                                                 struct x402_sqlite_page *page);

/* A number of 64 bits as SQLite's 63 have it. */
int64_t x402_sqlite_bounded(uint64_t number);
/* Reads X402_SETTLEMENT_COLUMNS. */
void x402_sqlite_column_settlement(sqlite3_stmt *statement,
                                   struct x402_settlement *out);
/* Reads the settlements of a bound statement into `out`. */
X402_MUST_USE enum x402_error x402_sqlite_settlements(struct x402_sqlite *sqlite,
                                                      sqlite3_stmt *statement,
                                                      struct x402_settlement *out,
                                                      size_t max, size_t *count);
/* Inside a transaction: ERR_CONFLICT when another process holds the signer. */
X402_MUST_USE enum x402_error x402_sqlite_signer_check(struct x402_sqlite *sqlite,
                                                       uint64_t chain_id,
                                                       const uint8_t signer20[20]);

enum x402_error x402_sqlite_submit(struct x402_ledger *ledger,
                                   struct x402_outbox *outbox,
                                   const int64_t *payment_ids, size_t payments_count);
enum x402_error x402_sqlite_outbox_next(struct x402_ledger *ledger,
                                        struct x402_outbox *out, uint64_t chain_id,
                                        const uint8_t signer20[20], int64_t after_id);
enum x402_error x402_sqlite_outbox_find(struct x402_ledger *ledger,
                                        struct x402_outbox *out,
                                        int64_t transaction_id);
enum x402_error x402_sqlite_nonce_next(struct x402_ledger *ledger, uint64_t *out,
                                       uint64_t chain_id, const uint8_t signer20[20]);
enum x402_error x402_sqlite_outbox_payments(struct x402_ledger *ledger,
                                            int64_t transaction_id,
                                            struct x402_settlement *out, size_t max,
                                            size_t *count);

enum x402_error x402_sqlite_strays(struct x402_ledger *ledger, uint64_t chain_id,
                                   const uint8_t signer20[20],
                                   const struct x402_settlement *after,
                                   struct x402_settlement *out, size_t max,
                                   size_t *count);

enum x402_error x402_sqlite_look(struct x402_ledger *ledger, struct x402_look *looks,
                                 size_t count);
enum x402_error x402_sqlite_receipt_key(struct x402_ledger *ledger, uint8_t key32[32]);
enum x402_error x402_sqlite_payment(struct x402_ledger *ledger,
                                    struct x402_payment_row *out, int64_t payment_id);
enum x402_error x402_sqlite_tidy(struct x402_ledger *ledger);
enum x402_error x402_sqlite_totals(struct x402_ledger *ledger, struct x402_totals *out,
                                   size_t max, size_t *count);
enum x402_error x402_sqlite_payments(
    struct x402_ledger *ledger, const struct x402_payment_filter *filter,
    bool (*each)(const struct x402_payment_row *row, void *data), void *data);
enum x402_error x402_sqlite_books(struct x402_ledger *ledger,
                                  char message[X402_LEDGER_MESSAGE_MAX]);
/* Inside a snapshot: the earnings of one block of ids, as x402_ledger_books. */
X402_MUST_USE enum x402_error x402_sqlite_books_earnings(
    struct x402_sqlite *sqlite, int64_t block, char message[X402_LEDGER_MESSAGE_MAX]);
/* That keys are unique, and known to the live set: a snapshot a block of ids. */
X402_MUST_USE enum x402_error x402_sqlite_books_keys(
    struct x402_sqlite *sqlite, int64_t last_block,
    char message[X402_LEDGER_MESSAGE_MAX]);
/* What payers and tokens have unsettled: a snapshot a token. */
X402_MUST_USE enum x402_error x402_sqlite_books_payers(
    struct x402_sqlite *sqlite, char message[X402_LEDGER_MESSAGE_MAX]);

#endif
