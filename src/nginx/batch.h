/*
 * A worker's batches, between the event loop (admission.c) and the ledger's thread
 * (batch.c). The loop fills one batch; a task commits the other. The task takes what
 * has been filled as late as it can, when it is its turn to write. Until it has, both
 * touch the filling batch, and its lock is held while they do. Once taken, the batch,
 * and what is said to be the task's, belong to the thread; all else is the event
 * loop's.
 */
#ifndef X402_NGINX_BATCH_H
#define X402_NGINX_BATCH_H

#include "nginx/module.h"

#define NGX_HTTP_X402_RENEW_MSEC (X402_LEASE_RENEW_SECONDS * 1000)
#define NGX_HTTP_X402_RENEW_SLACK 500 /* ms: the timer must not come just too early */

/*
 * Under load a commit waits for as many as came with the one before and while it was
 * under way: who was served comes again. It waits no longer than that one took, and
 * never longer than this.
 */
#define NGX_HTTP_X402_GATHER_MAX_US 500

/* What an admission needs beside its row. Parallel to the batch's admits. */
typedef struct {
    ngx_http_x402_ctx_t *ctx; /* NULL: the request is gone */
    ngx_http_x402_limit_key_t payer;
    struct x402_rate rate;
    ngx_uint_t counted; /* the gate has taken a token */
    ngx_uint_t counter; /* of the tally */
    ngx_http_x402_proof_t proof;
} ngx_http_x402_entry_t;

typedef struct {
    struct x402_admit admits[NGX_HTTP_X402_BATCH_MAX];
    ngx_http_x402_entry_t entries[NGX_HTTP_X402_BATCH_MAX];
    size_t admits_count;
    struct x402_outcome outcomes[NGX_HTTP_X402_UNRESOLVED_MAX];
    size_t outcomes_count;
} ngx_http_x402_batch_t;

typedef struct {
    ngx_str_t path;
    char owner[64];
    struct x402_ledger *ledger; /* the task's while one is in flight, like the namer */
    struct x402_receipt_namer *namer; /* of its receipts; NULL: none yet */
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
    size_t expected;           /* of the next batch's admissions, if load lasts */
    ngx_uint_t unposted;       /* rows may have been put off, */
    ngx_msec_t unposted_since; /* since then */
    ngx_uint_t renew;          /* the task shall renew the lease */
    ngx_uint_t post;           /* it shall write what was put off */
    ngx_uint_t committing;     /* it has something to do of all this */
    uint64_t commit_us;        /* out: how long the last commit took */
    enum x402_error result;    /* out, of the commit */
    const struct x402_activity *note;      /* what else it shall note; NULL: nothing */
    enum x402_error noted;                 /* out, of that */
    char message[X402_LEDGER_MESSAGE_MAX]; /* out: of what failed */
} ngx_http_x402_worker_t;

/* What has been filled flies, and an empty batch is filled. Any thread's. */
void ngx_http_x402_batch_take(ngx_http_x402_worker_t *w);

/* Runs in the ledger's thread; data is the worker. Writes what is said to be out. */
void ngx_http_x402_task(void *data, ngx_log_t *log);

#ifdef X402_TEST_CLOCK
/* For tests: how long a commit waits at most, and as if the last took so long. */
extern struct ngx_http_x402_patience {
    uint64_t max_us, commit_us_min;
} ngx_http_x402_patience;
#endif

#endif
