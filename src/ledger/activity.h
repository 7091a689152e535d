/*
 * What happened, hour by hour, for people who look on: how much was sold and refused,
 * how long it took. It decides nothing: payments and their sums are ledger.h's. Workers
 * and settlers count in memory and note it about once a second, so that it costs a paid
 * call nothing here; what a process had counted and not noted when it was killed (a
 * second of it) is not seen on the page, and never missed by the money.
 *
 * Kept by hour (UTC, Unix time / 3600) for X402_ACTIVITY_DAYS, and, as the hour
 * X402_ACTIVITY_EVER, added up since the ledger began.
 */
#ifndef X402_LEDGER_ACTIVITY_H
#define X402_LEDGER_ACTIVITY_H

#include "core/histogram.h"
#include "ledger/ledger.h"

#define X402_ACTIVITY_DAYS 90
#define X402_ACTIVITY_EVER (-1) /* as an hour: all of them */
#define X402_HOUR_SECONDS 3600

/* What one route did, for one token. */
struct x402_sales {
    char route[X402_ROUTE_MAX];
    uint64_t chain_id;
    uint8_t asset20[20];
    uint64_t
        offered; /* asked for money, nothing presented. Counted with the first token
                    of what is offered, like all that is before a token is known */
    uint64_t refused; /* a payment was presented, and the call not served: any reason */
    struct x402_count delivered; /* served, and charged */
    struct x402_count failed; /* not charged: the upstream failed, or its caller left;
                                 or, settled before, owed */
    struct x402_count shadow; /* served without payment (x402_enforce off): what it
                                 would have earned */
};

/* Adds the sums of `more`, modulo 2^64 like the store. Of one count alone: */
void x402_sales_add(struct x402_sales *sum, const struct x402_sales *more);
void x402_count_add(struct x402_count *sum, const struct x402_count *more);

enum x402_measure {
    X402_MEASURE_CALL,      /* us, a delivered call: request read to answer sent */
    X402_MEASURE_VERIFY,    /* us, decoding, matching, verifying: a share of it */
    X402_MEASURE_ADMIT,     /* us, from matched to decided, but for verifying it */
    X402_MEASURE_COMMIT,    /* us, one transaction of a worker */
    X402_MEASURE_COMMITTED, /* admissions in one such transaction */
    X402_MEASURE_SETTLE,    /* us, admitted to settled */
    X402_MEASURE_BATCH,     /* payments in one transaction on the chain */
    X402_MEASURE_COUNT
};

/* "call", "verify", …: static. */
const char *x402_measure_name(enum x402_measure measure);

/* What a process counted since it last told. */
struct x402_activity {
    const struct x402_sales *sales; /* borrowed; no route and token twice */
    size_t sales_count;
    uint64_t refusals[X402_ERROR_COUNT]; /* by reason; PAYMENT_REQUIRED is no refusal */
    struct x402_histogram measures[X402_MEASURE_COUNT];
};

/*
 * Adds it to this hour (by the store's clock) and to all hours, in one transaction. On
 * an error it may have been added nevertheless: whoever tells it again may count it
 * twice, and does so, for what is counted here costs nobody anything.
 */
X402_MUST_USE enum x402_error x402_ledger_note(struct x402_ledger *ledger,
                                               const struct x402_activity *activity);

/*
 * Calls `each` for the hours from first to last, oldest first, in one snapshot, until
 * it returns false; it must not call the ledger. With X402_ACTIVITY_EVER as both, the
 * sums of all.
 */
X402_MUST_USE enum x402_error x402_ledger_sales(
    struct x402_ledger *ledger, int64_t first_hour, int64_t last_hour,
    bool (*each)(int64_t hour, const struct x402_sales *sales, void *data), void *data);

/* Refusals and measures of the hours from first to last, added up. */
X402_MUST_USE enum x402_error x402_ledger_activity(
    struct x402_ledger *ledger, int64_t first_hour, int64_t last_hour,
    uint64_t refusals[X402_ERROR_COUNT],
    struct x402_histogram measures[X402_MEASURE_COUNT]);

/* ------------------------------------------------------------- the settlers' own words
 */

#define X402_TROUBLE_MAX 256

/* How a settler fares on a chain; one row for each (chain, signer). */
struct x402_settler_state {
    uint64_t chain_id;
    uint8_t signer20[20]; /* a key's address, or what stands for a facilitator */
    char owner[X402_ROUTE_MAX];
    bool remote;              /* a facilitator settles */
    int64_t heard_at_seconds; /* out: when it last said so, by the store's clock */
    uint64_t gas_balance_wei; /* of the key; saturated */
    uint64_t base_fee_wei;    /* of the latest block */
    uint64_t latest_block;    /* 0: not known */
    uint64_t safe_block;      /* likewise */
    uint64_t in_flight;       /* transactions sent, not yet included */
    char trouble[X402_TROUBLE_MAX]; /* what keeps it from settling; "" when nothing */
};

/* Says it; a row not heard of for a week goes. */
X402_MUST_USE enum x402_error x402_ledger_settler_note(
    struct x402_ledger *ledger, const struct x402_settler_state *state);

/* All of them, by chain, then signer. */
X402_MUST_USE enum x402_error x402_ledger_settlers(struct x402_ledger *ledger,
                                                   struct x402_settler_state *out,
                                                   size_t max, size_t *count);

#endif
