/*
 * A worker's batches, between the event loop (admission.c, completion.c) and the
 * ledger's thread (batch.c). The loop fills one batch; a task verifies and commits the
 * other. The task takes what has been filled, verifies it, and only then waits for its
 * turn to write: while it has that, nobody else writes, and curves can do without it.
 * What comes after it took is the next batch. Until it has, both touch the filling
 * batch, and its lock is held while they do. Once taken, the batch, and what is said to
 * be the task's, belong to the thread; all else is the event loop's.
 *
 * The loop puts claims into a batch, and never an admit, which is what the ledger is
 * told of. Those are made by the thread alone, of what has been proven
 * (ngx_http_x402_collect): a forged payment is not in the ledger, and learns nothing
 * from it.
 */
#ifndef X402_NGINX_BATCH_H
#define X402_NGINX_BATCH_H

#include "nginx/module.h"

#include "evm/signer.h"

#define NGX_HTTP_X402_RENEW_MSEC (X402_LEASE_RENEW_SECONDS * 1000)
#define NGX_HTTP_X402_RENEW_SLACK 500 /* ms: the timer must not come just too early */

/*
 * Under load a commit waits for as many as came with the one before and while it was
 * under way: who was served comes again. It waits no longer than that one took, and
 * never longer than this.
 */
#define NGX_HTTP_X402_GATHER_MAX_US 500

/* A payment that is presented, and what becomes of it. Whoever has the batch leaves it
 * where it is. */
struct ngx_http_x402_entry_s {
    ngx_http_x402_ctx_t *ctx; /* the loop's, wherever the batch is; NULL: the request is
                                 gone */
    ngx_http_x402_signature_t
        signature;                 /* PROVEN from the start, where it was before */
    ngx_uint_t claimed;            /* it was not */
    struct x402_claim claim;       /* claimed: what is to be verified */
    struct x402_verified verified; /* PROVEN: what is */
    struct x402_admit *admit;      /* PROVEN: its place among the batch's; else NULL */
    struct x402_credit credit;     /* for its admit, like the next three */
    enum x402_error late; /* not X402_OK: the ledger gives it only what it is owed, and
                             this is why */
    char route[X402_ROUTE_MAX];
    uint8_t attempt16[16];
    ngx_http_x402_limit_key_t payer;
    struct x402_rate rate;
    ngx_uint_t counted;               /* the gate has taken a token */
    ngx_http_x402_limit_key_t client; /* who is to be blamed if it is forged */
    struct x402_rate refusal_rate;
    uint64_t retry_after_milliseconds; /* not 0: that client's rate kept it from being
                                          looked at, or told of */
    ngx_uint_t counter;                /* of the tally */
    uint64_t match_us;
    ngx_http_x402_proof_t proof;
};

typedef struct {
    ngx_http_x402_entry_t entries[NGX_HTTP_X402_BATCH_MAX];
    size_t entries_count;
    struct x402_admit admits[NGX_HTTP_X402_BATCH_MAX]; /* the thread's */
    size_t admits_count;
    struct x402_outcome outcomes[NGX_HTTP_X402_UNRESOLVED_MAX];
    size_t outcomes_count;
    uint64_t verify_us; /* out: what each claim took that was verified, on average */
} ngx_http_x402_batch_t;

typedef struct {
    ngx_str_t path;
    char owner[64];
    struct x402_ledger *ledger; /* the task's while one is in flight, like the namer */
    struct x402_receipt_namer *namer; /* of its receipts; NULL: none yet */
    struct x402_signers *signers; /* likewise the task's: payers that came before; NULL:
                                     no memory, and each is taken for new */
    ngx_thread_pool_t *pool;
    ngx_thread_task_t task;
    ngx_thread_mutex_t lock;    /* of filling, and what it points to */
    ngx_thread_cond_t gathered; /* with it: as many are there as are expected */
    ngx_http_x402_batch_t *filling;
    ngx_http_x402_batch_t *flying; /* empty until the task has taken what was filled */
    ngx_event_t filled; /* posted when something is there to commit: the batch goes when
                           the loop has seen to all that was ready */
    ngx_event_t timer;
    ngx_queue_t serving; /* contexts admitted, outcome open */
    size_t unresolved;   /* admissions asked or open, and outcomes not yet durable */
    ngx_msec_t renewed;  /* when the lease was last renewed */
    ngx_msec_t committed_at; /* when a batch last came back, well or not */
    ngx_uint_t committed;    /* one did */
    ngx_msec_t failing_since;
    ngx_msec_t failed;         /* when a batch last failed */
    ngx_uint_t flying_now;     /* a task is under way, or being completed */
    ngx_uint_t failing;        /* the last batch failed */
    ngx_uint_t complained;     /* the log says so, and not yet that it is over */
    size_t expected;           /* of the next batch's payments, if load lasts */
    ngx_uint_t unposted;       /* rows may have been put off, */
    ngx_msec_t unposted_since; /* since then */
    ngx_uint_t renew;          /* the task shall renew the lease */
    ngx_uint_t post;           /* it shall write what was put off */
    ngx_uint_t committing;     /* it has something to do of all this */
    uint64_t commit_us;        /* out: how long the last commit took, with its turn */
    enum x402_error result;    /* out, of the commit */
    const struct x402_activity *note;      /* what else it shall note; NULL: nothing */
    enum x402_error noted;                 /* out, of that */
    char message[X402_LEDGER_MESSAGE_MAX]; /* out: of what failed */
} ngx_http_x402_worker_t;

/* ------------------------------------------------------- admission.c, in the event
 * loop
 */

size_t ngx_http_x402_waiting_entries(ngx_http_x402_worker_t *w);

/* Puts an outcome into the filling batch, in the place that its admission reserved. */
void ngx_http_x402_push(ngx_http_x402_worker_t *w, int64_t payment_id,
                        const uint8_t attempt16[16], enum x402_event event);

/*
 * While payments cannot be recorded, the tries are theirs; where none is there to be
 * tried, a note finds out that the ledger is back.
 */
ngx_uint_t ngx_http_x402_may_note(const ngx_http_x402_worker_t *w);

/* Wakes the worker for what is left to be told, when it is time. */
void ngx_http_x402_settle_timer(ngx_http_x402_worker_t *w);

/* ------------------------------------------------------ completion.c, in the event
 * loop
 */

/* The task's event: its batch is back; data is the worker. */
void ngx_http_x402_complete(ngx_event_t *ev);

/* What the failed batch told is told again; order among attempts does not matter. */
void ngx_http_x402_keep_outcomes(ngx_http_x402_worker_t *w);

/* --------------------------------------------------------- batch.c, in whichever
 * thread
 */

/* Nothing is in it; what was is left where it lies. */
void ngx_http_x402_batch_clear(ngx_http_x402_batch_t *batch);

/* What has been filled flies, and an empty batch is filled. Any thread's. */
void ngx_http_x402_batch_take(ngx_http_x402_worker_t *w);

/* Whether it is one client that presents both. */
ngx_uint_t ngx_http_x402_same_client(const ngx_http_x402_entry_t *one,
                                     const ngx_http_x402_entry_t *other);

/* Runs in the ledger's thread; data is the worker. Writes what is said to be out. */
void ngx_http_x402_task(void *data, ngx_log_t *log);

#ifdef X402_TEST_CLOCK
/* For tests: how long a commit waits at most, and as if the last took so long. */
extern struct ngx_http_x402_patience {
    uint64_t max_us, commit_us_min;
} ngx_http_x402_patience;
#endif

#endif
