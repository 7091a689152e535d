/*
 * What the ledger's thread does with a batch: proves what is claimed, tells the ledger
 * of what is proven in one transaction, and finds what the answers need to know of it.
 */
#include "nginx/batch.h"

#include "core/failpoint.h"
#include "ledger/nudge.h"

#include <time.h>

#define NGX_HTTP_X402_STEP_MAX 32 /* claims verified together */
#define NGX_HTTP_X402_STEP_GOOD 8 /* so many are worth it */

/* Within the ledger's transaction: may this payer buy one more call? */
static bool ngx_http_x402_gate(struct x402_admit *admit, void *data)
{
    ngx_http_x402_entry_t *entry = admit->data;

    (void)data;

    if (!entry->counted) {
        entry->counted = ngx_http_x402_limit_take(&entry->payer, &entry->rate,
                                                  &admit->retry_after_milliseconds);
    }

    return entry->counted;
}

void ngx_http_x402_note_transaction(ngx_http_x402_proof_t *proof,
                                    const struct x402_look *look)
{
    proof->has_transaction = look->found && look->has_transaction;
    if (proof->has_transaction) {
        ngx_memcpy(proof->transaction32, look->transaction32, 32);
    }
}

/*
 * In which transaction the money of a payment moved that is served now. The payment is
 * admitted, so an error only leaves its receipt without it.
 */
static void ngx_http_x402_read_transaction(ngx_http_x402_worker_t *w,
                                           const struct x402_admit *admit,
                                           ngx_http_x402_proof_t *proof)
{
    struct x402_look look;

    ngx_memzero(&look, sizeof(look));
    look.payment_id = admit->payment_id;

    if (x402_ledger_look(w->ledger, &look, 1) == X402_OK) {
        ngx_http_x402_note_transaction(proof, &look);
    }
}

/* After a commit: what its receipts say, and one word to the settler. */
static void ngx_http_x402_find_proofs(ngx_http_x402_worker_t *w,
                                      ngx_http_x402_batch_t *batch)
{
    size_t i;
    ngx_uint_t urgent = 0;
    struct x402_admit *admit;
    ngx_http_x402_entry_t *entry;

    for (i = 0; i < batch->admits_count; i++) {
        admit = &batch->admits[i];
        entry = admit->data;

        if (admit->admission != X402_ADMISSION_NEW &&
            admit->admission != X402_ADMISSION_SETTLING) {
            continue;
        }
        entry->proof.has_receipt =
            w->namer != NULL &&
            x402_receipt_namer_encode(w->namer, (char *)entry->proof.receipt,
                                      admit->payment_id);
        if (admit->admission == X402_ADMISSION_SETTLING) {
            urgent |= admit->urgent;
        } else if (admit->settled) {
            ngx_http_x402_read_transaction(w, admit, &entry->proof);
        }
    }

    if (urgent) {
        x402_nudge_send((const char *)w->path.data);
    }
}

/* Without memory receipts have no names until there is some. */
static enum x402_error ngx_http_x402_open_namer(ngx_http_x402_worker_t *w)
{
    uint8_t key32[32];
    enum x402_error rc = x402_ledger_receipt_key(w->ledger, key32);

    if (rc == X402_OK) {
        w->namer = x402_receipt_namer_open(key32);
    }
    x402_bytes_wipe(key32, sizeof(key32));

    return rc;
}

static enum x402_error ngx_http_x402_prepare(ngx_http_x402_worker_t *w)
{
    enum x402_error rc = X402_OK;

    if (w->ledger == NULL) {
        rc = x402_ledger_open(&w->ledger, (const char *)w->path.data, X402_LEDGER_WRITE,
                              w->message);
    }
    if (rc == X402_OK && w->namer == NULL) {
        rc = ngx_http_x402_open_namer(w);
    }
    if (rc == X402_OK && w->renew) {
        rc = x402_ledger_lease_renew(w->ledger, w->owner);
    }
    if (rc == X402_OK && w->post) {
        x402_ledger_post(w->ledger);
    }

    return rc;
}

void ngx_http_x402_batch_clear(ngx_http_x402_batch_t *batch)
{
    batch->entries_count = 0;
    batch->admits_count = 0;
    batch->outcomes_count = 0;
    batch->verify_us = 0;
}

void ngx_http_x402_batch_take(ngx_http_x402_worker_t *w)
{
    ngx_http_x402_batch_t *batch;

    (void)ngx_thread_mutex_lock(&w->lock, ngx_cycle->log);
    batch = w->filling;
    w->filling = w->flying;
    w->flying = batch;
    (void)ngx_thread_mutex_unlock(&w->lock, ngx_cycle->log);
}

#ifdef X402_TEST_CLOCK
struct ngx_http_x402_patience ngx_http_x402_patience = {
    .max_us = NGX_HTTP_X402_GATHER_MAX_US};
#define GATHER_MAX_US ngx_http_x402_patience.max_us
#define COMMIT_US_MIN ngx_http_x402_patience.commit_us_min
#else
#define GATHER_MAX_US NGX_HTTP_X402_GATHER_MAX_US
#define COMMIT_US_MIN 0
#endif

static uint64_t ngx_http_x402_patience_us(uint64_t commit_us)
{
    return ngx_min(ngx_max(commit_us, COMMIT_US_MIN), GATHER_MAX_US);
}

static struct timespec ngx_http_x402_in_us(uint64_t us)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(us / 1000000);
    at.tv_nsec += (long)(us % 1000000) * 1000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }

    return at;
}

/* Nothing is taken yet, and what comes meanwhile is filled as ever. */
static void ngx_http_x402_gather(ngx_http_x402_worker_t *w)
{
    const struct timespec until =
        ngx_http_x402_in_us(ngx_http_x402_patience_us(w->commit_us));
    int rc = 0;

    (void)ngx_thread_mutex_lock(&w->lock, ngx_cycle->log);
    while (rc == 0 && w->filling->entries_count &&
           w->filling->entries_count < w->expected) {
        rc = pthread_cond_timedwait(&w->gathered, &w->lock, &until);
    }
    (void)ngx_thread_mutex_unlock(&w->lock, ngx_cycle->log);
}

/* ---------------------------------------------------------------------- what is proven
 */

/* Claims that are verified together. */
typedef struct {
    ngx_http_x402_entry_t *entries[NGX_HTTP_X402_STEP_MAX];
    struct x402_verification items[NGX_HTTP_X402_STEP_MAX]; /* parallel */
    size_t count;
    size_t verified; /* in this step and those before it */
} ngx_http_x402_step_t;

ngx_uint_t ngx_http_x402_same_client(const ngx_http_x402_entry_t *one,
                                     const ngx_http_x402_entry_t *other)
{
    return ngx_memcmp(&one->client, &other->client, sizeof(one->client)) == 0;
}

static uint32_t ngx_http_x402_step_ahead(const ngx_http_x402_step_t *step,
                                         const ngx_http_x402_entry_t *entry)
{
    size_t i;
    uint32_t count = 0;

    for (i = 0; i < step->count; i++) {
        count += (uint32_t)ngx_http_x402_same_client(step->entries[i], entry);
    }

    return count;
}

/*
 * Takes an entry into a step, where its client's rate of refusals has room for it, even
 * if all in the step of that client are forged. NGX_AGAIN: that is known after this
 * step.
 */
static ngx_int_t ngx_http_x402_step_add(ngx_http_x402_step_t *step,
                                        ngx_http_x402_entry_t *entry)
{
    uint64_t wait;
    uint32_t ahead;

    if (step->count == NGX_HTTP_X402_STEP_MAX) {
        return NGX_AGAIN;
    }

    ahead = ngx_http_x402_step_ahead(step, entry);
    if (!ngx_http_x402_limit_peek(&entry->client, &entry->refusal_rate, ahead + 1,
                                  &wait)) {
        if (ahead) {
            return NGX_AGAIN;
        }
        entry->retry_after_milliseconds = wait;
        return NGX_OK;
    }

    step->items[step->count].claim = entry->claim;
    step->entries[step->count++] = entry;

    return NGX_OK;
}

/*
 * Of a claim that was verified. Meanwhile another worker may have counted the last
 * forged one that the client's rate allows: more of them are found, and not told of.
 */
static void ngx_http_x402_judge(ngx_http_x402_entry_t *entry,
                                const struct x402_verification *item)
{
    uint64_t wait;

    if (item->error == X402_OK) {
        entry->signature = NGX_HTTP_X402_PROVEN;
        entry->verified = item->verified;

    } else if (ngx_http_x402_limit_take(&entry->client, &entry->refusal_rate, &wait)) {
        entry->signature = NGX_HTTP_X402_FORGED;

    } else {
        entry->retry_after_milliseconds = wait;
    }
}

/* Empties the step. */
static void ngx_http_x402_step_verify(ngx_http_x402_worker_t *w,
                                      ngx_http_x402_step_t *step)
{
    size_t i;

    x402_verify_many(w->signers, step->items, step->count);

    for (i = 0; i < step->count; i++) {
        ngx_http_x402_judge(step->entries[i], &step->items[i]);
    }
    step->verified += step->count;
    step->count = 0;
}

static ngx_uint_t ngx_http_x402_is_open(const ngx_http_x402_entry_t *entry)
{
    return entry->signature == NGX_HTTP_X402_UNPROVEN &&
           entry->retry_after_milliseconds == 0;
}

/*
 * Verifies what is open, and of it, unless this is the last pass, leaves open what has
 * no room in its step: a client with a bad name keeps nobody else's step small.
 */
static void ngx_http_x402_pass(ngx_http_x402_worker_t *w, ngx_http_x402_batch_t *batch,
                               ngx_http_x402_step_t *step, ngx_uint_t last)
{
    size_t i;
    ngx_http_x402_entry_t *entry;

    for (i = 0; i < batch->entries_count; i++) {
        entry = &batch->entries[i];
        if (!ngx_http_x402_is_open(entry) ||
            ngx_http_x402_step_add(step, entry) == NGX_OK) {
            continue;
        }
        if (last || step->count == NGX_HTTP_X402_STEP_MAX) {
            ngx_http_x402_step_verify(w, step);
            (void)ngx_http_x402_step_add(step, entry); /* an empty one decides */
        }
    }
    ngx_http_x402_step_verify(w, step);
}

/* As long as a pass finds work for eight lanes, nobody has to wait for small steps. */
static void ngx_http_x402_verify(ngx_http_x402_worker_t *w,
                                 ngx_http_x402_batch_t *batch)
{
    size_t before;
    ngx_http_x402_step_t step;
    uint64_t began_us = ngx_http_x402_now_us();

    step.count = 0;
    step.verified = 0;
    do {
        before = step.verified;
        ngx_http_x402_pass(w, batch, &step, 0);
    } while (step.verified - before >= NGX_HTTP_X402_STEP_GOOD);
    ngx_http_x402_pass(w, batch, &step, 1);

    batch->verify_us =
        step.verified ? (ngx_http_x402_now_us() - began_us) / step.verified : 0;
}

static void ngx_http_x402_add_admit(ngx_http_x402_batch_t *batch,
                                    ngx_http_x402_entry_t *entry)
{
    struct x402_admit *admit = &batch->admits[batch->admits_count++];

    ngx_memzero(admit, sizeof(*admit));
    admit->verified = entry->verified;
    admit->credit = entry->credit;
    admit->late = entry->late != X402_OK;
    admit->admission = X402_ADMISSION_UNAVAILABLE;
    ngx_memcpy(admit->route, entry->route, X402_ROUTE_MAX);
    ngx_memcpy(admit->attempt16, entry->attempt16, 16);

    admit->data = entry;
    entry->admit = admit;
}

/* The only maker of admits: what is not proven gets none, and no ledger is told of it.
 */
static void ngx_http_x402_collect(ngx_http_x402_batch_t *batch)
{
    size_t i;

    for (i = 0; i < batch->entries_count; i++) {
        if (batch->entries[i].signature == NGX_HTTP_X402_PROVEN) {
            ngx_http_x402_add_admit(batch, &batch->entries[i]);
        }
    }
}

/* -------------------------------------------------------------------------- the commit
 */

static ngx_uint_t ngx_http_x402_bought_nothing(enum x402_admission admission)
{
    switch (admission) {
    case X402_ADMISSION_REPEATED:
    case X402_ADMISSION_IN_PROGRESS:
    case X402_ADMISSION_ABANDONED:
    case X402_ADMISSION_NOT_OWED:
        return 1;
    case X402_ADMISSION_NEW:
    case X402_ADMISSION_SETTLING:
    case X402_ADMISSION_LIMITED:
    case X402_ADMISSION_UNAVAILABLE:
        break;
    }

    return 0;
}

/* Its client had a signature checked and the ledger asked for it, whether it stays to
 * hear so or not. */
static void ngx_http_x402_blame(const ngx_http_x402_batch_t *batch)
{
    size_t i;
    uint64_t wait;
    ngx_http_x402_entry_t *entry;

    for (i = 0; i < batch->admits_count; i++) {
        entry = batch->admits[i].data;
        if (ngx_http_x402_bought_nothing(batch->admits[i].admission)) {
            (void)ngx_http_x402_limit_take(&entry->client, &entry->refusal_rate, &wait);
        }
    }
}

static enum x402_error ngx_http_x402_write(ngx_http_x402_worker_t *w,
                                           ngx_http_x402_batch_t *batch)
{
    enum x402_error rc;
    uint64_t began_us = ngx_http_x402_now_us();

    X402_FAILPOINT(worker_before_commit);
    rc = x402_ledger_commit(w->ledger, w->owner, batch->outcomes, batch->outcomes_count,
                            batch->admits, batch->admits_count, ngx_http_x402_gate,
                            NULL);
    w->commit_us = ngx_http_x402_now_us() - began_us;

    if (rc == X402_OK) {
        X402_FAILPOINT(worker_committed);
        ngx_http_x402_find_proofs(w, batch);
        ngx_http_x402_blame(batch);
    }

    return rc;
}

/* What fails before it is taken is taken, too: who waits for it is to be told. */
static enum x402_error ngx_http_x402_commit(ngx_http_x402_worker_t *w)
{
    enum x402_error rc;
    ngx_http_x402_batch_t *batch;

    rc = ngx_http_x402_prepare(w);
    if (!w->committing) {
        return rc;
    }

    if (rc == X402_OK) {
        ngx_http_x402_gather(w);
    }
    ngx_http_x402_batch_take(w);
    if (rc != X402_OK) {
        return rc;
    }

    batch = w->flying;
    ngx_http_x402_verify(w, batch);
    ngx_http_x402_collect(batch);

    return batch->outcomes_count || batch->admits_count || w->renew || w->post
               ? ngx_http_x402_write(w, batch)
               : X402_OK; /* nothing of it is proven */
}

static void ngx_http_x402_say_why(ngx_http_x402_worker_t *w)
{
    if (w->ledger != NULL) {
        (void)ngx_cpystrn((u_char *)w->message,
                          (u_char *)(uintptr_t)x402_ledger_message(w->ledger),
                          sizeof(w->message));
    }
}

void ngx_http_x402_task(void *data, ngx_log_t *log)
{
    ngx_http_x402_worker_t *w = data;

    (void)log;

    w->message[0] = '\0';
    w->result = ngx_http_x402_commit(w);

    if (w->result != X402_OK) {
        x402_receipt_namer_close(w->namer);
        w->namer = NULL; /* another ledger may be in its place when it is back */
        ngx_http_x402_say_why(w);

    } else if (w->note != NULL) {
        w->noted = x402_ledger_note(w->ledger, w->note);
        if (w->noted != X402_OK) {
            ngx_http_x402_say_why(w);
        }
    }
}
