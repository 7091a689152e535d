/* The inside of settling through a facilitator: remote.h says which file does what. */
#ifndef X402_SETTLE_REMOTE_WORK_H
#define X402_SETTLE_REMOTE_WORK_H

#include "settle/chain.h"
#include "settle/origin.h"
#include "settle/remote.h"
#include "settle/remote_body.h"
#include "settle/remote_http.h"
#include "settle/remote_plan.h"

#define X402_REMOTE_ITEMS_MAX 65536

/* A network that the facilitator settles on. */
struct x402_remote_line {
    struct x402_remote_kind kind;
    bool offered;             /* in the facilitator's present list */
    bool sold;                /* payments for it have been seen in the ledger */
    struct x402_chain *chain; /* its lease and log; and its node, where there is one */
    bool has_node;
    bool held;     /* the lease is ours, and what is open has been read under it */
    bool told;     /* that it is settled through the facilitator */
    size_t strays; /* submitted by other settlers; and whether that was told */
    bool told_strays;
    bool told_asset;  /* of a token that is not the built-in one */
    size_t due_left;  /* due, and not asked for in this pass */
    bool rest_begins; /* what nobody waits for is asked for first, in the next pass */
};

/* A payment on its way. One that is due has no row. */
struct x402_remote_item {
    struct x402_settlement payment;
    struct x402_remote_line *line;
    int64_t row_id; /* of the outbox; 0 while it is due */
    char *body;     /* of the row; owned */
    size_t body_size;
    bool asking;  /* a request is under way, and borrows the body */
    bool listed;  /* the ledger says it is due, in this pass */
    bool certain; /* no request for it was left without a clear answer */
    unsigned tries;
    int64_t try_at_milliseconds;
    bool told_end;                       /* that it may never be known */
    char reason[X402_REMOTE_REASON_MAX]; /* the last word */
    bool payers_fault;                   /* one of its words was a refusal for that */
    bool has_verdict;                    /* the ledger did not take it yet */
    struct x402_verdict verdict;
};

struct x402_remote {
    const struct x402_settler_options *options;
    const struct x402_remote_options *remote; /* of these */
    struct x402_ledger *ledger;
    struct x402_pulse *pulse; /* or NULL */
    int64_t said_milliseconds;
    const char *owner;
    const atomic_bool *stop;
    char url[X402_REMOTE_URL_MAX]; /* without slashes at its end */
    char origin[X402_ORIGIN_MAX];
    uint8_t signer20[20];
    struct x402_remote_http *http;

    struct x402_remote_line lines[X402_REMOTE_KINDS_MAX];
    size_t lines_count;
    bool supported;      /* /supported was answered, and nothing has failed since */
    bool asking_support; /* its request is under way */
    int64_t supported_milliseconds;
    int64_t sales_milliseconds;         /* when to look for networks that have sold */
    uint64_t unserved[X402_TOTALS_MAX]; /* those it does not settle on, told */
    size_t unserved_count;

    struct x402_remote_item **items; /* by payment id; owned */
    size_t items_count, items_capacity;

    char trouble[X402_REMOTE_REASON_MAX]; /* noted last; "" all is well */
    unsigned failures;                    /* in a row */
    int64_t rest_until_milliseconds;      /* nobody is asked before */
    bool ledger_failed, ledger_told;      /* in this pass; noted */
    bool asked;                           /* in this pass */
    size_t moved;                         /* payments settled or failed in this pass */
};

/* ---------------------------------------------------------------------------- remote.c
 */

/* A line of the log: of all its networks, and of one. */
__attribute__((format(printf, 3, 4))) void x402_remote_note(struct x402_remote *remote,
                                                            enum x402_note_kind kind,
                                                            const char *format, ...);
void x402_remote_ledger_failed(struct x402_remote *remote);
/* The facilitator did not answer as one does: it is left in peace for a while. */
void x402_remote_failed(struct x402_remote *remote, const char *why);
void x402_remote_worked(struct x402_remote *remote);

/* ---------------------------------------------------------------------- remote_items.c
 */

struct x402_remote_item *x402_remote_item_find(const struct x402_remote *remote,
                                               int64_t payment_id);
/* Found or made. NULL without memory, or when there are too many. */
struct x402_remote_item *x402_remote_item_of(struct x402_remote *remote,
                                             struct x402_remote_line *line,
                                             const struct x402_settlement *payment);
void x402_remote_item_drop(struct x402_remote *remote, struct x402_remote_item *item);
/* All of a line but those under way or not told yet; NULL: all there are. */
void x402_remote_items_drop(struct x402_remote *remote,
                            const struct x402_remote_line *line);

/* Reads what the ledger has open of a line: asked for before, by whomever. */
X402_MUST_USE bool x402_remote_items_load(struct x402_remote *remote,
                                          struct x402_remote_line *line);

/*
 * Writes the request for a due payment, and stores it. False, and the item may be gone,
 * when the ledger did not take it.
 */
X402_MUST_USE bool x402_remote_item_store(struct x402_remote *remote,
                                          struct x402_remote_item *item);

/* ----------------------------------------------------------------------- remote_word.c
 */

/* What a request for the item came to. The item may be gone afterwards. */
void x402_remote_heard(struct x402_remote *remote, struct x402_remote_item *item,
                       const struct x402_remote_reply *reply);

/*
 * Asks the chain about an item whose fate is not certain, before it is asked for again.
 * True when that settled the matter, and the item is gone.
 */
bool x402_remote_looked(struct x402_remote *remote, struct x402_remote_item *item);

/* Tells the ledger the item's verdict, perhaps again. The item may be gone afterwards.
 */
void x402_remote_tell(struct x402_remote *remote, struct x402_remote_item *item);

#endif
