#include "caller.h"

#include "nginx/pages.h"

#include "evm/signature.h"
#include "unit/ledger/fixture.h"

#include <assert.h>

/* Whose private keys are these numbers. */
#define PAYER 1
#define FORGER 2

struct worker worker;
ngx_module_t ngx_http_x402_module; /* its index is 0 */

/* In the request's pool, as nginx's is. */
struct request {
    ngx_http_request_t nginx;
    ngx_connection_t connection;
    struct sockaddr_in client;
    struct caller *caller;
};

static struct caller *caller_of(const ngx_http_x402_ctx_t *ctx)
{
    return ((struct request *)(void *)ctx->request)->caller;
}

/* ----------------------------------------------------------------------- the worker */

/* What presentation() pays for. */
static void offer_make(struct x402_offer *offer)
{
    struct x402_accept *accept = &offer->accepts[0];

    accept->network.chain_id = CHAIN;
    memset(accept->network.asset20, 0xa5, 20);
    memset(accept->network.domain_separator32, 0xd0, 32);
    memset(accept->pay_to20, 0x70, 20);
    accept->value = 1000;
    offer->accepts_count = 1;
}

void worker_configure(const char *ledger_path)
{
    static struct x402_sales counter;
    static ngx_array_t counters = {.elts = &counter, .nelts = 1}, none;

    memset(&worker, 0, sizeof worker);
    memset(&counter, 0, sizeof counter);
    counter.chain_id = CHAIN;
    memset(counter.asset20, 0xa5, 20);
    snprintf(counter.route, sizeof counter.route, "/weather");
    snprintf(worker.path, sizeof worker.path, "%s", ledger_path);
    worker.conf.ledger.data = (u_char *)worker.path;
    worker.conf.ledger.len = strlen(worker.path);
    worker.conf.counters = &counters;
    worker.conf.sold = &none;
    worker.conf.networks = &none;
    worker.conf.sells = 1;
    offer_make(&worker.sale.offer);
    ngx_str_set(&worker.sale.location, "/weather");
    worker.sale.credits[0] =
        (struct x402_credit){false, UINT64_MAX, UINT64_MAX, UINT64_MAX};
    worker.sale.settle_timeout = NGX_HTTP_X402_SETTLE_TIMEOUT;
    worker.sale.enforced = 1;
}

/* In the order of ngx_http_x402_init_process. */
void worker_start(void)
{
    ngx_conf_t nothing = {0};
    int failed;

    loop_open(&worker.conf);
    failed = ngx_http_x402_limit_zone(&nothing, &worker.conf) != NGX_CONF_OK ||
             worker.conf.limits->init(worker.conf.limits, NULL) != NGX_OK;
    assert(!failed);
    ngx_http_x402_limit_use(worker.conf.limits);
    failed = ngx_http_x402_tally_init((ngx_cycle_t *)(uintptr_t)ngx_cycle,
                                      &worker.conf) != NGX_OK ||
             ngx_http_x402_settling_init((ngx_cycle_t *)(uintptr_t)ngx_cycle,
                                         &worker.conf.ledger) != NGX_OK ||
             ngx_http_x402_admission_init((ngx_cycle_t *)(uintptr_t)ngx_cycle,
                                          &worker.conf.ledger) != NGX_OK;
    assert(!failed);
    worker.running = true;
}

/* In the order of ngx_http_x402_exit_process. */
void worker_stop(void)
{
    if (!worker.running)
        return;
    loop_join();
    ngx_http_x402_admission_exit((ngx_cycle_t *)(uintptr_t)ngx_cycle);
    ngx_http_x402_settling_exit();
    ngx_http_x402_pages_exit();
    loop_close();
    worker.running = false;
}

/* --------------------------------------------------------- what stands for access.c */

static void request_free(struct caller *caller)
{
    ngx_pool_t *pool = caller->ctx->request->pool;

    caller->ctx = NULL;
    ngx_destroy_pool(pool);
}

void ngx_http_x402_resume(ngx_http_x402_ctx_t *ctx)
{
    struct caller *caller = caller_of(ctx);

    assert(caller->ctx == ctx);
    caller->verdicts++;
    caller->signature = ctx->signature;
    caller->stage = ctx->stage;
    caller->admission = ctx->admission;
    caller->refusal = ctx->refusal;
    caller->payment_id = ctx->payment_id;
    caller->settled = ctx->settled;
    if (ctx->stage != NGX_HTTP_X402_SERVING)
        request_free(caller);
    else if (worker.serve != NULL)
        worker.serve(caller);
}

static ngx_http_x402_ctx_t *ctx_create(struct caller *caller)
{
    static void *conf[] = {&worker.location};
    ngx_pool_t *pool = ngx_create_pool(0, ngx_cycle->log);
    struct request *request = ngx_pcalloc(pool, sizeof *request);
    ngx_pool_cleanup_t *cleanup = ngx_pool_cleanup_add(pool, sizeof *caller->ctx);
    ngx_http_x402_ctx_t *ctx = cleanup->data;

    request->nginx.pool = pool;
    request->nginx.connection = &request->connection;
    request->nginx.loc_conf = conf;
    request->client.sin_family = AF_INET;
    request->client.sin_addr.s_addr = worker.address;
    request->connection.sockaddr = (struct sockaddr *)(void *)&request->client;
    request->caller = caller;
    memset(ctx, 0, sizeof *ctx);
    ctx->request = &request->nginx;
    ctx->sale = &worker.sale;
    ctx->accept = worker.sale.offer.accepts;
    ctx->stage = NGX_HTTP_X402_REFUSED;
    ngx_queue_init(&ctx->queue);
    cleanup->handler = ngx_http_x402_cleanup;
    return ctx;
}

/* What presentation() says, signed with a key. */
static struct x402_claim claim_of(const struct x402_verified *said, uint8_t key)
{
    const uint8_t payers32[32] = {[31] = PAYER}, signers32[32] = {[31] = key};
    struct x402_payment payment = {.dialect = said->dialect,
                                   .scheme = said->scheme,
                                   .value = said->value,
                                   .valid_after_seconds = said->valid_after_seconds,
                                   .valid_before_seconds = said->valid_before_seconds};
    struct x402_claim claim;
    int failed = x402_key_address(payment.from20, payers32) != X402_OK;

    memcpy(payment.to20, said->to20, 20);
    memcpy(payment.nonce32, said->nonce32, 32);
    x402_claim(&claim, worker.sale.offer.accepts, &payment);
    failed |= x402_signature_sign(claim.unproven.signature65, claim.digest32,
                                  signers32) != X402_OK;
    assert(!failed);
    return claim;
}

static void present(struct caller *caller, unsigned number, uint8_t key)
{
    static unsigned attempt;
    const struct x402_admit admit = presentation(number, ++attempt);
    const struct x402_claim claim = claim_of(&admit.verified, key);

    memset(caller, 0, sizeof *caller);
    caller->number = number;
    caller->forges = key != PAYER;
    caller->ctx = ctx_create(caller);
    memcpy(caller->ctx->attempt16, admit.attempt16, 16);
    *(pid_t *)(void *)(caller->ctx->attempt16 + 4) = getpid(); /* no other worker's */
    caller->ctx->value = admit.verified.value;
    caller->ctx->valid_before_seconds = admit.verified.valid_before_seconds;
    caller->ctx->started_us = ngx_http_x402_now_us();
    if (ngx_http_x402_admit(caller->ctx, &claim) != NGX_AGAIN) {
        caller->busy = true;
        ngx_http_x402_resume(caller->ctx);
    }
}

void caller_pays(struct caller *caller, unsigned number)
{
    present(caller, number, PAYER);
}

void caller_forges(struct caller *caller, unsigned number)
{
    present(caller, number, FORGER);
}

/* -------------------------------------------------------- what stands for outcome.c */

static void tell(ngx_http_x402_ctx_t *ctx, enum caller_told told)
{
    enum x402_event event =
        told == TOLD_DELIVERED ? X402_EVENT_DELIVERED : X402_EVENT_VOID;

    caller_of(ctx)->told = told;
    ctx->stage = told == TOLD_DELIVERED ? NGX_HTTP_X402_CAPTURED : NGX_HTTP_X402_VOIDED;
    ngx_http_x402_count_outcome(ctx, event);
    ngx_http_x402_report(ctx, event);
}

void ngx_http_x402_cleanup(void *data)
{
    ngx_http_x402_ctx_t *ctx = data;

    if (ctx->deadline.timer_set)
        ngx_del_timer(&ctx->deadline);
    if (ctx->stage == NGX_HTTP_X402_ADMITTING)
        ngx_http_x402_admit_forget(ctx);
    else if (ctx->stage == NGX_HTTP_X402_SETTLING)
        ngx_http_x402_settling_gone(ctx);
    else if (ctx->stage == NGX_HTTP_X402_SERVING)
        tell(ctx, TOLD_VOID);
}

void caller_ends(struct caller *caller, enum caller_told told)
{
    tell(caller->ctx, told);
    request_free(caller);
}

void caller_leaves(struct caller *caller)
{
    request_free(caller);
}

void caller_vanishes(struct caller *caller)
{
    if (caller->ctx == NULL)
        return;
    caller->ctx->request->pool->cleanup = NULL;
    request_free(caller);
}

/* -------------------------------------------------------------- what nobody tests here
 */

void ngx_http_x402_events_tell(ngx_http_x402_page_t *page)
{
    (void)page;
}

void ngx_http_run_posted_requests(ngx_connection_t *connection)
{
    (void)connection;
}

/* Only while nginx.conf is read. */
void ngx_conf_log_error(ngx_uint_t level, ngx_conf_t *cf, ngx_err_t err,
                        const char *format, ...)
{
    (void)level;
    (void)cf;
    (void)err;
    (void)format;
    abort();
}
