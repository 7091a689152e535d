/*
 * The nginx module: configuration, and the way of one paid request through nginx's
 * phases.
 *
 *   directives.c     what may be written in nginx.conf
 *   credit.c         what may be served before it is settled
 *   configuration.c  merging, the offer of a location, start of module and workers
 *   sale.c           what is sold, as pages show it and the tally counts it
 *   access.c         the access phase: read, match, ask for admission
 *   admission.c      batches of outcomes and claims to the ledger's thread
 *   batch.c          what that does with them: verify, admit
 *   completion.c     what comes of them
 *   settling.c       requests that wait until their payment has settled
 *   outcome.c        filters: receipt, capture or void
 *   offer.c          the 402, the preflight and the problem documents
 *   paywall.c        the 402 that a browser sees
 *   request.c        what a request says: path, URL, payment headers
 *   limit.c          token buckets in shared memory
 *   shadow.c         x402_enforce off: what would have been
 *   tally.c          counting what happens, for those who look on
 *   variables.c      $x402_…
 *   receipt.c        the settlement response
 *   receipts.c       x402_receipts
 *   pages.h          x402_status, x402_stats, x402_metrics, x402_health, x402_ready
 *
 * Everything here runs in a worker's event loop but for the functions that say so: the
 * tasks of the ledger's thread and of the pages' threads. Memory is nginx's pools, but
 * for the worker's batches and its memory of payers.
 */
#ifndef X402_NGINX_MODULE_H
#define X402_NGINX_MODULE_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ledger/activity.h"
#include "ledger/receipt_id.h"
#include "report/report.h"

#include <x402/money.h>
#include <x402/offer.h>
#include <x402/rate.h>
#include <x402/receipt.h>
#include <x402/verify.h>

#define NGX_HTTP_X402_BATCH_MAX 512 /* payments in one batch */
#define NGX_HTTP_X402_UNRESOLVED_MAX                                                   \
    16384                             /* payments of a worker without durable outcome */
#define NGX_HTTP_X402_OUTCOME_DELAY 5 /* ms an outcome may wait for company */
#define NGX_HTTP_X402_POOL                                                             \
    "x402_ledger" /* the thread of each worker that writes it                          \
                   */
#define NGX_HTTP_X402_POST_DELAY                                                       \
    100 /* ms until who only reads the ledger sees a payment */
#define NGX_HTTP_X402_BUSY_MSEC 1000  /* until who finds us busy shall try again */
#define NGX_HTTP_X402_RETRY_DELAY 500 /* ms between tries while the ledger fails */

extern ngx_module_t ngx_http_x402_module;

/* ------------------------------------------------------------------- configuration */

extern ngx_command_t ngx_http_x402_commands[];

#define NGX_HTTP_X402_WINDOW 300 /* seconds; defaults of x402_window */
#define NGX_HTTP_X402_WINDOW_MIN 30
#define NGX_HTTP_X402_WINDOW_MAX 86400
#define NGX_HTTP_X402_SETTLE_TIMEOUT 20000 /* ms; default of x402_settle_timeout */

typedef struct {
    ngx_str_t ledger;      /* path, zero-terminated */
    ngx_array_t *networks; /* struct x402_network; declared, in order */
    ngx_array_t *sold;     /* struct x402_report_sale; for the pages */
    ngx_array_t *counters; /* struct x402_sales, all zero: a route and token each */
    ngx_shm_zone_t *limits;
    ngx_flag_t sells;         /* some location has a price */
    ngx_flag_t unenforced;    /* some price is not enforced */
    ngx_flag_t guards;        /* some page asks for a token: failures are counted */
    const char *reads_ledger; /* a directive whose page does; NULL: none */
    ngx_int_t realip_index;   /* of $realip_remote_addr */
} ngx_http_x402_main_conf_t;

typedef struct {
    ngx_flag_t sells;    /* some location of this server has a price */
    ngx_flag_t enforces; /* one of them is not x402_enforce off */
    ngx_str_t receipts;  /* its first location with x402_receipts; "" for none */
} ngx_http_x402_srv_conf_t;

/* An amount in a directive. */
typedef struct {
    uint64_t micro_usd;
    ngx_flag_t set;
} ngx_http_x402_bound_t;

typedef struct {
    struct x402_offer offer; /* without values when the price is a variable */
    struct x402_offer_text text;
    ngx_http_complex_value_t *dynamic_price; /* NULL: fixed */
    ngx_str_t location;   /* its name: what the ledger calls the route */
    ngx_str_t public_url; /* scheme and authority, "" for the request's */
    ngx_str_t receipts;   /* path below which receipts are, "" for nowhere */
    struct x402_rate rate;
    struct x402_credit credits[X402_ACCEPTS_MAX]; /* parallel to offer.accepts */
    ngx_uint_t counters[X402_ACCEPTS_MAX]; /* likewise; in the main configuration's */
    ngx_msec_t settle_timeout;
    uint64_t micro_usd; /* the price; of a variable, once it is known */
    ngx_flag_t enforced;
} ngx_http_x402_sale_t;

typedef struct ngx_http_x402_page_s ngx_http_x402_page_t; /* the pages' own */

typedef struct {
    ngx_str_t price;          /* as written; data NULL when unset */
    ngx_conf_file_t price_at; /* where it was written, for errors found when merging */
    ngx_flag_t pay_to_set;
    uint8_t pay_to20[20];
    ngx_flag_t enforce;
    ngx_flag_t settle_first;
    ngx_msec_t settle_timeout;
    ngx_http_x402_bound_t max_unsettled; /* UINT64_MAX: no bounds at all */
    ngx_http_x402_bound_t max_unsettled_new;
    ngx_http_x402_bound_t max_unsettled_total;
    ngx_array_t *accept; /* struct x402_network; unset: what is declared */
    ngx_str_t description;
    ngx_str_t mime_type;
    ngx_str_t facilitator; /* a URL, "" for none */
    ngx_str_t public_url;
    struct x402_rate rate;
    struct x402_rate refusal_rate;
    ngx_flag_t rate_set;
    ngx_flag_t refusal_rate_set;
    ngx_uint_t window;
    ngx_uint_t window_min;
    ngx_uint_t window_max;
    ngx_http_x402_sale_t *sale; /* NULL: free */
    ngx_http_x402_page_t *page; /* what it or one around it shows; NULL: nothing */
} ngx_http_x402_loc_conf_t;

static ngx_inline struct x402_slice ngx_http_x402_slice(const ngx_str_t *text)
{
    return (struct x402_slice){(const char *)text->data, text->len};
}

/* --------------------------------------------------------------------------- credit.c
 */

char *ngx_http_x402_set_bound(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void ngx_http_x402_merge_credit(ngx_http_x402_loc_conf_t *conf,
                                const ngx_http_x402_loc_conf_t *prev);

/* The bounds of a location, in units of a token. */
void ngx_http_x402_credit(struct x402_credit *out, const ngx_http_x402_loc_conf_t *lcf,
                          unsigned decimals);

/* Whether a payment is valid for longer than may be served on credit. */
ngx_uint_t ngx_http_x402_outlives(const struct x402_credit *credit,
                                  const struct x402_offer *offer,
                                  uint64_t valid_before_seconds);

/* ----------------------------------------------------------------------------- sale.c
 */

/* Gives a location's sale its counters and a place in the list of what is sold. */
ngx_int_t ngx_http_x402_register_sale(ngx_conf_t *cf, ngx_http_x402_sale_t *sale);

/* ------------------------------------------------------------------ one paid request
 */

/* What a request carries that looks like a payment. */
typedef struct {
    ngx_table_elt_t *header; /* NULL: none */
    enum x402_header kind;
    ngx_uint_t count;
} ngx_http_x402_presented_t;

typedef enum {
    NGX_HTTP_X402_ADMITTING, /* the ledger is asked */
    NGX_HTTP_X402_SETTLING,  /* its payment is settled first */
    NGX_HTTP_X402_REFUSED,   /* the ledger said no */
    NGX_HTTP_X402_SERVING,   /* admitted; the outcome is open */
    NGX_HTTP_X402_CAPTURED,  /* outcome told: delivered */
    NGX_HTTP_X402_VOIDED,    /* outcome told: void */
} ngx_http_x402_stage_t;

/* What is known of the signature of what a request presented. */
typedef enum {
    NGX_HTTP_X402_UNPROVEN, /* nothing: nobody has looked at it */
    NGX_HTTP_X402_PROVEN,   /* it is its payer's */
    NGX_HTTP_X402_FORGED,   /* it is not */
} ngx_http_x402_signature_t;

typedef struct ngx_http_x402_entry_s ngx_http_x402_entry_t; /* batch.h */

/* What the ledger's thread found out about an admitted payment. */
typedef struct {
    uint8_t transaction32[32];
    u_char receipt[X402_RECEIPT_ID_SIZE];
    unsigned has_transaction : 1;
    unsigned has_receipt : 1;
} ngx_http_x402_proof_t;

typedef struct ngx_http_x402_ctx_s {
    ngx_queue_t queue; /* among the worker's requests being served, or settling */
    ngx_http_request_t *request;
    ngx_http_x402_sale_t *sale;
    const struct x402_accept *accept;
    ngx_http_x402_stage_t stage;
    enum x402_admission admission;
    uint64_t retry_after_milliseconds;
    int64_t payment_id;
    ngx_http_x402_entry_t *entry; /* ADMITTING: its place in a batch */
    ngx_http_x402_signature_t signature;
    uint8_t attempt16[16];
    char payer[X402_ADDRESS_TEXT_SIZE]; /* once for all who are told */
    uint8_t nonce32[32];
    uint64_t value;
    uint64_t valid_before_seconds;
    enum x402_dialect dialect;
    ngx_http_x402_proof_t proof;
    struct x402_verified *verified; /* to be presented again; NULL if it never waited */
    struct ngx_http_x402_ctx_s **looker; /* SETTLING: its place in the look under way */
    ngx_msec_t settle_by;                /* until when it waits, once it waited */
    enum x402_error refusal;             /* REFUSED: why, but see late_why */
    struct x402_problem late_why;        /* late: what an offer would say */
    const char *reason;  /* REFUSED before the ledger was asked: the code */
    enum x402_error why; /* refused (shadow: it would have been), for this; or OK */
    ngx_http_x402_presented_t presented; /* shadow: what the caller sent */
    uint64_t started_us; /* by the monotonic clock: when the access phase saw it */
    uint64_t match_us;   /* how long it took to decode and match it */
    uint64_t asked_us;   /* when it joined a batch */
    uint64_t verify_us, admit_us, call_us; /* how long it took; 0: it did not happen */
    const ngx_http_upstream_t *upstream_known; /* likewise; compared, never followed */
    ngx_uint_t states_known;  /* upstream_states there were when last looked */
    ngx_msec_t blocked_since; /* the client takes nothing since; 0: it does */
    off_t sent_before;        /* bytes the connection had sent before our header */
    ngx_event_t deadline;     /* SETTLING: the end of waiting; SERVING: capture or end
                                 before the authorization expires */
    unsigned shadow : 1;      /* x402_enforce off: nothing of it is in the ledger */
    unsigned late : 1;        /* its authorization has expired, or is about to */
    unsigned waited : 1;
    unsigned settled : 1; /* its money was here before it was served */
    unsigned served : 1;  /* the request has been made fit for the upstream */
    unsigned header_seen : 1;
    unsigned succeeded : 1; /* the upstream answered with a status below 400 */
    unsigned ended : 1;     /* its body was seen to the end */
    unsigned stalled : 1;   /* its reader did not read, and the upstream gave up */
    unsigned error_page_known : 1; /* r->error_page was set, and was accounted for */
    unsigned error_served : 1;     /* an earlier answer failed; this is an error page */
} ngx_http_x402_ctx_t;

/* -------------------------------------------------------------------------- access.c
 */

ngx_int_t ngx_http_x402_access_handler(ngx_http_request_t *r);

/* What this call costs. NGX_DECLINED: nothing is sold here, or it is free. */
ngx_int_t ngx_http_x402_price_now(ngx_http_request_t *r, uint64_t *micro_usd);

/* What came out of looking at a payment. */
typedef struct {
    struct x402_problem why;          /* X402_OK: all is well but for its signature,
                                         which nobody has looked at */
    const struct x402_accept *accept; /* NULL: it matches none */
    struct x402_problem late_why;     /* not X402_OK: it is late, and this is what a
                                         caller is told when nothing is owed */
    struct x402_payment payment;
    uint64_t retry_milliseconds;   /* X402_ERR_RATE */
    uint64_t started_us, began_us; /* as the ctx's; and when the examination began */
} ngx_http_x402_exam_t;

/*
 * Decodes, matches, looks at the rates. Changes nothing, but where the sale is not
 * enforced, the client's rate of what is verified for nothing.
 */
void ngx_http_x402_examine(ngx_http_request_t *r, ngx_http_x402_sale_t *sale,
                           const ngx_http_x402_presented_t *presented,
                           ngx_http_x402_exam_t *exam);

/* A context that lives as long as the request, internal redirects included. */
ngx_http_x402_ctx_t *ngx_http_x402_create_ctx(ngx_http_request_t *r,
                                              ngx_http_x402_sale_t *sale);

/* Finds the context, also after an internal redirect wiped it. NULL when unpaid. */
ngx_http_x402_ctx_t *ngx_http_x402_get_ctx(ngx_http_request_t *r);

/* Remembers for $x402_result why a payment was refused, perhaps before any ctx was. */
void ngx_http_x402_note_reason(ngx_http_request_t *r, const char *reason);

/* Counts a refusal, and remembers it for $x402_reason. */
void ngx_http_x402_note_refusal(ngx_http_request_t *r, enum x402_error why);

/* Runs a request on whose admission is decided. The request may be gone afterwards. */
void ngx_http_x402_resume(ngx_http_x402_ctx_t *ctx);

/* ------------------------------------------------------------------------ admission.c
 */

ngx_int_t ngx_http_x402_admission_init(ngx_cycle_t *cycle, ngx_str_t *ledger);
void ngx_http_x402_admission_exit(ngx_cycle_t *cycle);

/*
 * Puts what a payment claims into the next batch, to be verified by the ledger's thread
 * and, if it is true, admitted. NGX_AGAIN: ctx will be resumed. NGX_DECLINED: it is
 * refused, and ctx says why: the ledger cannot be asked now, or too many of this
 * client's claims wait already.
 */
ngx_int_t ngx_http_x402_admit(ngx_http_x402_ctx_t *ctx, const struct x402_claim *claim);

/*
 * The same with what was proven before: it is not verified again. NGX_BUSY: not now,
 * and ctx is as it was.
 */
ngx_int_t ngx_http_x402_admit_again(ngx_http_x402_ctx_t *ctx,
                                    const struct x402_verified *verified);

/* Where tasks for the ledger go. */
ngx_thread_pool_t *ngx_http_x402_thread_pool(void);

void ngx_http_x402_note_transaction(ngx_http_x402_proof_t *proof,
                                    const struct x402_look *look);

/*
 * How this worker's last commit went, *ago milliseconds ago: NGX_OK, NGX_ERROR, or
 * NGX_DECLINED when there was none yet.
 */
ngx_int_t ngx_http_x402_recording(ngx_msec_t *ago);

/* Has the ledger's thread note what was counted, if it is time and it is idle. */
void ngx_http_x402_note_now(void);

/* The request of an admission is gone; should it come back NEW, it is voided. */
void ngx_http_x402_admit_forget(ngx_http_x402_ctx_t *ctx);

/* Puts an outcome into the next batch. Always succeeds: admission reserved its place.
 */
void ngx_http_x402_report(ngx_http_x402_ctx_t *ctx, enum x402_event event);

/* ------------------------------------------------------------------------- settling.c
 */

ngx_int_t ngx_http_x402_settling_init(ngx_cycle_t *cycle, const ngx_str_t *ledger);
void ngx_http_x402_settling_exit(void);

/*
 * The request waits until its payment is settled, is known to fail, or its time is
 * over; then it is presented again or resumed. NGX_BUSY: too many wait.
 */
ngx_int_t ngx_http_x402_settling_wait(ngx_http_x402_ctx_t *ctx,
                                      const struct x402_verified *verified);

/* The request is gone, which counts like a settlement that failed: it had its payment
 * simulated, and perhaps sent, for nothing. */
void ngx_http_x402_settling_gone(ngx_http_x402_ctx_t *ctx);

/* -------------------------------------------------------------------------- outcome.c
 */

void ngx_http_x402_outcome_init(void); /* installs the filters */
ngx_int_t ngx_http_x402_serve(ngx_http_x402_ctx_t *ctx);
void ngx_http_x402_cleanup(void *data); /* of the request's pool; data is the ctx */

/* What would be told if the request ended now. */
enum x402_event ngx_http_x402_outcome(const ngx_http_x402_ctx_t *ctx);

/* --------------------------------------------------------------------------- shadow.c
 */

/* Forwards a request unpaid, and notes what would have been: NGX_DECLINED. */
ngx_int_t ngx_http_x402_shadow(ngx_http_request_t *r, ngx_http_x402_sale_t *sale,
                               uint64_t started_us);

/* From what is not enforced to what is: the request starts anew, with its payment. */
void ngx_http_x402_leave_shadow(ngx_http_x402_ctx_t *ctx,
                                ngx_http_x402_presented_t *presented);

/* ---------------------------------------------------------------------------- tally.c
 *
 * Each is a few additions. The counters are the worker's; what they count is in
 * ledger/activity.h.
 */

ngx_int_t ngx_http_x402_tally_init(ngx_cycle_t *cycle,
                                   const ngx_http_x402_main_conf_t *mcf);

uint64_t ngx_http_x402_now_us(void); /* monotonic */

void ngx_http_x402_count_offered(const ngx_http_x402_sale_t *sale);
void ngx_http_x402_count_refused(const ngx_http_x402_sale_t *sale,
                                 const struct x402_accept *accept); /* NULL: unknown */
void ngx_http_x402_count_reason(enum x402_error why);
void ngx_http_x402_count_outcome(const ngx_http_x402_ctx_t *ctx, enum x402_event event);
void ngx_http_x402_count_gone(ngx_uint_t counter, uint64_t value);
void ngx_http_x402_count_gone_refused(ngx_uint_t counter, enum x402_error why);
void ngx_http_x402_count_shadow(const ngx_http_x402_ctx_t *ctx);
void ngx_http_x402_measure(enum x402_measure measure, uint64_t value);

/* For the ledger's thread: what to note now; NULL: nothing, or not yet. */
const struct x402_activity *ngx_http_x402_tally_take(ngx_uint_t somebody_waits);
ngx_uint_t ngx_http_x402_tally_is_due(void);
const struct x402_activity *ngx_http_x402_tally_last(void); /* at exit: all there is */

/* What became of it. */
void ngx_http_x402_tally_noted(enum x402_error result, const char *message);

/* ---------------------------------------------------------------------------- offer.c
 */

/* Answer and finalize the request; each returns NGX_DONE. */
ngx_int_t ngx_http_x402_offer(ngx_http_request_t *r, ngx_http_x402_sale_t *sale,
                              const struct x402_problem *why);
ngx_int_t ngx_http_x402_problem(ngx_http_request_t *r, const struct x402_problem *why,
                                uint64_t retry_after_milliseconds);
ngx_int_t ngx_http_x402_preflight(ngx_http_request_t *r);

/* A payment that was to be settled first, and is not: ctx->refusal. */
ngx_int_t ngx_http_x402_unsettled(ngx_http_x402_ctx_t *ctx);

/* Sends a whole answer and finalizes the request; the body lives as long as it. */
ngx_int_t ngx_http_x402_send(ngx_http_request_t *r, ngx_uint_t status,
                             const ngx_str_t *type, const ngx_str_t *body);

/* Of every answer that is ours: not stored, and to be read by any origin. */
ngx_int_t ngx_http_x402_add_our_headers(ngx_http_request_t *r);

/* Adds a response header; `value` must live as long as the request. */
ngx_int_t ngx_http_x402_add_header(ngx_http_request_t *r, const char *key,
                                   ngx_str_t *value);

/* -------------------------------------------------------------------------- paywall.c
 */

/* Once, at configuration. */
ngx_int_t ngx_http_x402_paywall_init(ngx_conf_t *cf);

/* The page for people, and the header that says what it may do. `offer_header` is the
 * encoded offer. */
ngx_int_t ngx_http_x402_paywall(ngx_http_request_t *r, const struct x402_offer *offer,
                                const struct x402_slice *url,
                                const ngx_str_t *offer_header, ngx_str_t *body);

/* -------------------------------------------------------------------------- request.c
 */

void ngx_http_x402_presented(ngx_http_request_t *r, ngx_http_x402_presented_t *out);

/* Removes the payment headers, so that nothing forwards them. */
ngx_int_t ngx_http_x402_remove_payment(ngx_http_request_t *r);

/* Adds X-402-Payer for the upstream. The address must live as long as the request. */
ngx_int_t ngx_http_x402_add_payer(ngx_http_request_t *r,
                                  char payer[X402_ADDRESS_TEXT_SIZE]);

/* Post-read phase: refuses ambiguous paths, removes a forged X-402-Payer. */
ngx_int_t ngx_http_x402_post_read_handler(ngx_http_request_t *r);

/* The public URL of the request. NGX_ERROR when out of memory. */
ngx_int_t ngx_http_x402_resource(ngx_http_request_t *r, const ngx_str_t *public_url,
                                 struct x402_slice *out);

/* The same with another path. */
ngx_int_t ngx_http_x402_public(ngx_http_request_t *r, const ngx_str_t *public_url,
                               const ngx_str_t *path, struct x402_slice *out);

/* A request header by its lower-case name; NULL when there is none. */
ngx_table_elt_t *ngx_http_x402_find_header(ngx_http_request_t *r, const char *name);

/* ---------------------------------------------------------------------------- limit.c
 */

char *ngx_http_x402_limit_zone(ngx_conf_t *cf, ngx_http_x402_main_conf_t *mcf);

/* A worker's start: the table of its own configuration. */
void ngx_http_x402_limit_use(ngx_shm_zone_t *zone);

/* Key: who is counted, and for what. A payer's address or a client's; the two never
 * meet. */
typedef struct {
    uint8_t bytes[28];
} ngx_http_x402_limit_key_t;

void ngx_http_x402_limit_payer(ngx_http_x402_limit_key_t *key,
                               const uint8_t payer20[20], const struct x402_rate *rate);

/* What is counted of a client, each by itself. */
typedef enum {
    NGX_HTTP_X402_REFUSALS,   /* payments that buy nothing */
    NGX_HTTP_X402_GUESSES,    /* wrong tokens */
    NGX_HTTP_X402_RECOVERIES, /* shadow: payments, good and bad */
} ngx_http_x402_limit_t;

void ngx_http_x402_limit_client(ngx_http_x402_limit_key_t *key, ngx_connection_t *c,
                                ngx_http_x402_limit_t what);

/* Counts a failure that costs us something against the client's address. */
void ngx_http_x402_limit_refusal(ngx_http_request_t *r);

/* Any thread of any worker. `wait` in milliseconds, written when the answer is false.
 */
ngx_uint_t ngx_http_x402_limit_peek(const ngx_http_x402_limit_key_t *key,
                                    const struct x402_rate *rate, uint32_t calls,
                                    uint64_t *wait);
ngx_uint_t ngx_http_x402_limit_take(const ngx_http_x402_limit_key_t *key,
                                    const struct x402_rate *rate, uint64_t *wait);
void ngx_http_x402_limit_return(const ngx_http_x402_limit_key_t *key);

/* ------------------------------------------------------------------------ variables.c
 */

ngx_int_t ngx_http_x402_add_variables(ngx_conf_t *cf);

/* -------------------------------------------------------------------------- receipt.c
 */

/* Adds the settlement response; X402_OK, or why the payment is not settled. */
ngx_int_t ngx_http_x402_add_receipt(ngx_http_x402_ctx_t *ctx, enum x402_error error);

/* ------------------------------------------------------------------------- receipts.c
 */

char *ngx_http_x402_receipts(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void ngx_http_x402_receipts_exit(void);

/* -------------------------------------------------------------------------- the pages
 */

char *ngx_http_x402_stats(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_x402_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_x402_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_x402_health(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_x402_ready(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
void ngx_http_x402_pages_exit(void);

#endif
