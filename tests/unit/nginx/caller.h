/*
 * A worker of the gateway whose requests are a test's: who pays, who leaves and what
 * the upstream does is said by the test, and everything between that and the ledger is
 * the module's own (admission.c, batch.c, settling.c, tally.c, reader.c, limit.c). What
 * access.c and outcome.c do for a request is done here in a few lines.
 */
#ifndef X402_TESTS_NGINX_CALLER_H
#define X402_TESTS_NGINX_CALLER_H

#include "loop.h"
#include "nginx/module.h"

enum caller_told { TOLD_NOTHING, TOLD_DELIVERED, TOLD_VOID };

/* A request, from its payment to its end. The test's; what nginx would free is not in
 * it. */
struct caller {
    ngx_http_x402_ctx_t *ctx; /* NULL: the request is gone */
    unsigned number;          /* of its payment, see presentation() */
    bool forges;              /* its signature is not its payer's */
    unsigned verdicts;        /* how often it was told what became of its payment */
    bool busy;                /* it was refused before the ledger was asked */
    ngx_http_x402_signature_t signature; /* told last, like what follows */
    ngx_http_x402_stage_t stage;         /* SERVING or REFUSED; and */
    enum x402_admission admission;
    enum x402_error refusal;
    int64_t payment_id;
    bool settled;
    enum caller_told told; /* by us, of a call that was served */
};

/* The worker: of a process there is one. */
struct worker {
    bool running;
    char path[128];
    ngx_http_x402_main_conf_t conf;
    ngx_http_x402_loc_conf_t location;
    ngx_http_x402_sale_t sale;
    uint32_t address; /* of the client that presents next */
    /* A call was admitted, and its upstream is to be asked. NULL: the test ends it. */
    void (*serve)(struct caller *caller);
};
extern struct worker worker;

/* Configures a worker for a ledger: no bounds, no rate. */
void worker_configure(const char *ledger_path);

/* Forks are over: threads, tally, settling, admission. */
void worker_start(void);

/* As nginx ends one: what is with the threads is done, and nobody is told. */
void worker_stop(void);

/* Presents payment `number`. Unless busy, it will be told. All are of one payer. */
void caller_pays(struct caller *caller, unsigned number);

/* Presents it with a signature that is not its payer's. */
void caller_forges(struct caller *caller, unsigned number);

/* The upstream has answered, well or not. */
void caller_ends(struct caller *caller, enum caller_told told);

/* Its connection is closed, whatever it is at. */
void caller_leaves(struct caller *caller);

/* After worker_stop: the process is gone, and what it held with it. */
void caller_vanishes(struct caller *caller);

#endif
