/*
 * What people are told of a ledger: read in one go, written as JSON (/x402/stats, the
 * status page), as Prometheus text (/x402/metrics), or shown by `x402 stats`. Thin glue
 * over ledger.h and activity.h; knows nothing of nginx or the terminal.
 *
 * Any thread, with a handle of its own. Blocks on the store.
 */
#ifndef X402_REPORT_REPORT_H
#define X402_REPORT_REPORT_H

#include "ledger/activity.h"

#include <x402/network.h>

#define X402_REPORT_DAYS 7
#define X402_REPORT_HOURS (X402_REPORT_DAYS * 24)
#define X402_REPORT_PAYMENTS 20
#define X402_REPORT_ROUTES_MAX 256 /* beyond: added up as "(others)", by token */
#define X402_REPORT_SETTLERS_MAX 16

/* Text that grows, to a bound. Set to zero; free `data`. */
struct x402_text_buffer {
    char *data; /* malloc'ed; while nothing failed, a zero follows the text */
    size_t size;
    size_t max;      /* 0: no bound */
    size_t capacity; /* of data; the writer's */
    bool failed;     /* out of memory, or past the bound: the text is useless */
};

/* What is on sale somewhere, from the configuration; borrowed, zero-terminated. */
struct x402_report_sale {
    const char *path; /* of the location */
    const char
        *url; /* public, when known; "" otherwise: the page takes its own origin */
    const char *price; /* dollars, "0.001"; "" when it depends on the request */
    const char *description;
    const char *networks; /* names, divided by blanks */
    bool enforced;        /* false: x402_enforce off */
    bool exact;           /* location = */
    bool buyable;         /* false: a pattern, or a name nobody can call */
};

struct x402_report_options {
    bool private;    /* payers, receipts, transactions, keys and balances, too */
    bool unenforced; /* somewhere x402_enforce is off */
    const struct x402_report_sale *sales;
    size_t sales_count;
    const struct x402_network
        *networks; /* as configured; names, decimals; may be NULL */
    size_t networks_count;
    const uint8_t *receipt_key32; /* NULL: receipts have no names here */
    const char *receipts; /* path below which they are, "/x402/receipts/" or "" */
};

/* One token of one chain. */
struct x402_report_token {
    struct x402_network network; /* name, decimals: configured or built in */
    struct x402_totals totals;   /* since the ledger began */
    struct x402_count unsettled; /* served, and held, due or submitted */
    struct x402_count hours_delivered[X402_REPORT_HOURS]; /* oldest first */
    struct x402_count hours_shadow[X402_REPORT_HOURS];
    struct x402_sales week;                     /* route empty: of all */
    struct x402_earning days[X402_REPORT_DAYS]; /* of all routes; newest first */
};

struct x402_report {
    int64_t now_seconds;
    int64_t first_hour; /* of hours_… */
    size_t tokens_count;
    struct x402_report_token tokens[X402_TOTALS_MAX];
    size_t routes_count; /* of the week; those that sold most first */
    struct x402_sales routes[X402_REPORT_ROUTES_MAX];
    uint64_t refusals[X402_ERROR_COUNT]; /* of the week */
    struct x402_histogram measures[X402_MEASURE_COUNT];
    size_t settlers_count;
    struct x402_settler_state settlers[X402_REPORT_SETTLERS_MAX];
    size_t payments_count; /* the newest first */
    struct x402_payment_row payments[X402_REPORT_PAYMENTS];
};

/* Seconds since a time; 0 of none (0), and of one to come. */
static inline uint64_t x402_report_age(int64_t now_seconds, int64_t since_seconds)
{
    return since_seconds != 0 && now_seconds > since_seconds
               ? (uint64_t)(now_seconds - since_seconds)
               : 0;
}

/* Reads everything: a few milliseconds in a ledger of any size. */
X402_MUST_USE enum x402_error x402_report_read(struct x402_report *out,
                                               struct x402_ledger *ledger,
                                               const struct x402_report_options *how);

/* The JSON of docs/operations.md, "The status document". */
void x402_report_json(struct x402_text_buffer *out, const struct x402_report *report,
                      const struct x402_report_options *how);

/* Its members from "week" to "payments", without braces: what needs no configuration.
 */
void x402_report_json_members(struct x402_text_buffer *out,
                              const struct x402_report *report,
                              const struct x402_report_options *how);

/*
 * Prometheus text, version 0.0.4, of all since the ledger began: counters stay counters
 * over restarts. Reads by itself. On an error only "x402_ledger_up 0" is written, which
 * is an answer, too.
 */
void x402_report_metrics(struct x402_text_buffer *out, struct x402_ledger *ledger,
                         const struct x402_report_options *how);

/* Whether payments can be taken and settled now: /x402/ready. */
struct x402_readiness {
    bool ready;
    bool ledger;                /* it can be read */
    bool settler;               /* every chain that sold in the last day, or has
                                   something to collect, has a settler heard from */
    bool due;                   /* the oldest due payment is younger than the bound */
    int64_t oldest_due_seconds; /* its age; 0 when nothing is due */
    int64_t heard_seconds;      /* since the settler that is silent longest spoke; -1:
                                   never */
    char why[256];              /* what is wrong, for people; "" when ready */
};
void x402_report_readiness(struct x402_readiness *out, struct x402_ledger *ledger,
                           int64_t settler_seconds_max, int64_t due_seconds_max);

#endif
