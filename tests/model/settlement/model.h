/*
 * A world in which the settler's decisions are tried: a chain that reorganizes, a node
 * that lags, errs and loses replies, payers who run off with their money, a ledger that
 * survives, and a settler that may die between any two steps. The decisions are the
 * real ones (settle/plan.h, batch.h, fee.h, ledger/state.h); the rest is a model of
 * src/settle, in the order of its passes.
 *
 *   chain.c    blocks, reorganizations, the pool, everybody else's transactions
 *   node.c     what the settler is told, and when it is not
 *   ledger.c   payments and transactions as they are stored
 *   settler.c  one pass; watch.c and send.c are its halves
 *   check.c    what must hold after every step, and at the end
 *   callers.c  payments that come, are presented, and are served
 *   broken.c   decisions that are wrong, for the checks to find out
 *
 * A history is a seed. Time is in seconds, amounts in units, gas in transactions.
 */
#ifndef X402_TESTS_MODEL_SETTLEMENT_MODEL_H
#define X402_TESTS_MODEL_SETTLEMENT_MODEL_H

#include "settle/batch.h"
#include "settle/fee.h"
#include "settle/plan.h"

#include <setjmp.h>
#include <stdio.h>

#define PAYERS 3
#define PAYEES 2
#define PAYMENTS 10
#define TRANSACTIONS 1024 /* ever signed; also bounds nonces */
#define STRANGERS 64      /* transactions of others that concern our payments */
#define BLOCKS 1536
#define SAFE_DEPTH 10
#define REORG_DEPTH_MAX 8
#define WINDOW 16
#define BELIEVE_MILLISECONDS 12000
#define RESEND_MILLISECONDS 15000

#define BLOCK_SECONDS 2
#define CALM_SECONDS_MAX 1500
/* So long undisturbed before its end, whatever can be paid must be paid. */
#define LIVE_SECONDS 70

/* ---------------------------------------------------------------------------- chain
 */

enum use { UNUSED, PAID, ELSEWHERE, CANCELED };

/* The chain at the end of a block. */
struct state {
    int64_t time;
    uint64_t base_fee;
    uint32_t id; /* its hash */
    uint32_t nonce;
    int32_t balances[PAYERS];
    uint8_t uses[PAYMENTS]; /* enum use */
    uint16_t use_blocks[PAYMENTS];
    int16_t use_transactions[PAYMENTS]; /* ours; or a stranger's, from STRANGER */
    bool blacklisted[PAYERS];
    bool paused;
};
#define STRANGER 10000

/* A block, as one asks for it. */
struct block {
    uint32_t number, id;
    int64_t time;
};

/* Where a transaction is. */
struct inclusion {
    uint32_t block; /* 0: nowhere */
    uint32_t id;
    bool succeeded;
    uint16_t paid;  /* of its payments, bits */
    uint16_t tried; /* a batch may end before all are */
};

struct transaction {
    uint32_t nonce;
    struct x402_fee fee;
    uint16_t payments; /* bits; none: an empty transfer */
    bool is_batch;
    struct inclusion now, before; /* before: on the branch that lost last */
};

enum stranger_kind { SETTLES, SPENDS_ELSEWHERE, CANCELS, DRAINS, FUNDS };

struct stranger {
    enum stranger_kind kind;
    uint8_t subject; /* a payment, or a payer */
    bool waiting;
    struct inclusion now, before;
};

struct chain {
    uint32_t head; /* the last block's number */
    uint32_t safe; /* never goes back */
    uint32_t next_id;
    struct state lost[REORG_DEPTH_MAX]; /* the branch that lost last */
    uint32_t lost_first, lost_head;
    int64_t lost_until; /* some node still believes in it */
    uint32_t slow_head; /* some node got no further */
    int64_t slow_until;
    struct transaction transactions[TRANSACTIONS];
    size_t transactions_count;
    int16_t pool[TRANSACTIONS]; /* by nonce: transaction + 1 */
    struct stranger strangers[STRANGERS];
    size_t strangers_count;
    uint64_t base_fee_target;
    int64_t spike_until, blacklist_until[PAYERS], paused_until;
    int64_t gas_until; /* our key has none */
    /* Last, and the one thing that a history does not begin without. */
    struct state blocks[BLOCKS];
};

/* ---------------------------------------------------------------------------- ledger
 */

struct payment {
    /* As it was signed. */
    uint8_t payer, payee;
    int32_t value;
    int64_t valid_after, valid_before;
    int64_t comes_at;
    bool comes_first; /* is to be settled before it is served */
    bool untraceable; /* its logs will not be found */

    /* As the ledger has it. */
    bool exists;
    struct x402_state state;
    int64_t due_at;
    int row;        /* the transaction it is in + 1; 0 none */
    int settled_in; /* transaction, or from STRANGER */
    uint32_t settled_block, settled_id;
    enum x402_sight failed_for;

    /* Of the checks. */
    int64_t disturbed_at; /* last time something kept it from being paid */
    bool ended;           /* its end was looked at */
};

/* A transaction as stored; its number is the chain's. */
struct row {
    uint16_t payments;
    int64_t submitted_at;
    bool is_foreign; /* signed elsewhere with our key: the ledger does not have it */
};

struct ledger {
    struct payment payments[PAYMENTS];
    size_t payments_count;
    struct row rows[TRANSACTIONS];
};

/* ----------------------------------------------------------------------------- settler
 */

struct sent {
    int row; /* + 1; 0: nothing known */
    int64_t at_milliseconds;
    enum x402_send last;
    int64_t gone_since; /* milliseconds; -1 it does not look so */
};

struct held {
    bool is_held;
    int64_t try_at; /* milliseconds */
    unsigned tries;
    enum x402_revert why;
    bool cost_gas, over;
    unsigned looks; /* for who used it */
    int64_t look_at;
};

/* What a settler remembers until it dies. */
struct memory {
    struct sent sent[TRANSACTIONS]; /* by nonce */
    uint32_t sent_end;
    struct held held[PAYMENTS];
    int64_t gap_since; /* milliseconds; -1 */
    int64_t finality_at, receipts_at;
    uint32_t receipts_id;
    bool dear, rechecking;
    struct block highest;
    int64_t behind_since; /* milliseconds; -1 */
    bool gap_unusable, gap_was_blocked;
    uint32_t gap_nonce;
    bool filled; /* by the empty transaction of the next two */
    uint32_t fill_nonce;
    int fill;
    int64_t fill_signed;
};

struct evidence {
    int transaction;
    uint32_t block, id;
};

struct finding {
    enum x402_sight sight;
    enum x402_revert why;
    bool cost_gas;
    struct evidence evidence;
};

struct flight {
    uint32_t nonce;
    int rows[X402_PENDING_ROWS_MAX + 1];
    size_t rows_count;
    uint16_t payments; /* bits */
};

/* Of one pass. */
struct pass {
    bool failed;
    struct block latest;
    bool behind; /* a node that lags, and says only what is */
    bool safe_asked, safe_known;
    struct block safe;
    uint64_t base_fee, median;
    uint32_t nonce, nonce_pending;
    bool has_gap, gap_is_blocked;
    uint32_t gap_nonce;
    bool quoted;
    struct x402_fee fee;
    struct flight flights[WINDOW * 4];
    size_t flights_count;
    uint32_t next_nonce;
    size_t displaced;
};

/* ------------------------------------------------------------------------------ rules
 */

/* The decisions, so that broken ones can be put in and must be found out. */
struct rules {
    enum x402_action (*plan)(struct x402_state state, enum x402_sight sight,
                             enum x402_revert why);
    enum x402_pending_action (*pending)(const struct x402_pending *pending);
    int64_t (*retry)(const struct x402_refused *refused);
    bool (*choose)(struct x402_batch *out, const struct x402_settlement *payments,
                   bool *taken, size_t count, const struct x402_batch_policy *policy,
                   const struct x402_batch_view *view);
    enum x402_fill (*fill)(bool is_blocked, int64_t age_milliseconds, bool sending,
                           bool awaited);
    bool (*blocked)(uint64_t *out_nonce, const struct x402_nonces *nonces);
    enum x402_send (*classify)(const char *message);
    bool final_when_included; /* takes no block's safety into account */
    bool proof_by_status;     /* a transaction that succeeded paid everybody in it */
    bool final_unseen;        /* does not look again at what it settled */
    bool waits_for_the_displaced; /* whose nonce is free, for good */
    bool fills_one_at_a_time;     /* nothing below what it filled */
    bool trusts_laggards;         /* believes a node that lags, and one for another */
};

/* Rules with something wrong; what is NULL in them is true. */
struct broken {
    const char *name;
    struct rules rules;
};
extern const struct broken broken[];
extern const size_t broken_count;
struct rules rules_mended(const struct rules *rules);

/* ------------------------------------------------------------------------------ world
 */

/* What may happen in a history; each has its own. */
struct troubles {
    bool reorgs, crashes, errors, lags, drops, fees, gas, payers, strangers, elsewhere;
    bool ledger, sizes, bursts;
    bool contract;      /* the facilitator is there */
    bool pending_calls; /* the node simulates upon its pool */
    bool refuses_cheap; /* and takes nothing below the base fee */
    bool loses_reorged; /* what a reorganization took back is not in the pool again */
    unsigned rarity;    /* of all of them: 1 is often */
    unsigned lasting_size; /* payments in a transaction, for good; 0 any */
    uint64_t lasting_fee;  /* times the base fee it began with, between spikes */
    int64_t clock_ahead;   /* our clock */
    int64_t until;         /* then all is calm */
};

struct counts {
    uint64_t histories, steps, passes, blocks, reorgs, crashes, faults, stale, lost;
    uint64_t payments, batches, singles, replaced, halved, filled, vain, included;
    uint64_t final, failed, untraced, live, stranded;
};

struct world {
    struct rules rules;
    uint64_t random;
    int64_t now;
    bool verbose;
    struct troubles troubles;
    struct ledger ledger;
    struct memory memory;
    struct pass pass;
    int64_t node_until; /* of its mood */
    enum { NODE_WELL, NODE_FLAKY, NODE_DEAD } node;
    unsigned size_max; /* payments in a transaction the node takes; 0 any */
    int64_t full_until;
    int64_t down_until; /* the settler */
    int64_t disturbed_at;
    jmp_buf died;
    const char *violation;
    int violation_payment;
    struct counts counts;
    struct chain chain;
};

static inline uint64_t random_next(struct world *world)
{
    uint64_t z = world->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint32_t below(struct world *world, uint32_t bound)
{
    return (uint32_t)((random_next(world) >> 32) * bound >> 32);
}

static inline bool one_in(struct world *world, uint32_t n)
{
    return below(world, n) == 0;
}

/* As often as troubles come in this history. */
static inline bool rarely(struct world *world, uint32_t n)
{
    return one_in(world, n * world->troubles.rarity);
}

static inline bool is_calm(const struct world *world)
{
    return world->now >= world->troubles.until;
}

#define SAY(world, ...)                                                                \
    do {                                                                               \
        if ((world)->verbose) {                                                        \
            printf("%5lld  ", (long long)(world)->now);                                \
            printf(__VA_ARGS__);                                                       \
            putchar('\n');                                                             \
        }                                                                              \
    } while (0)

/* chain.c */
void chain_begin(struct world *world);
void chain_second(struct world *world); /* a second passes on it */
const struct state *chain_head(const struct world *world);
const struct state *chain_safe(const struct world *world);
int chain_sign(struct world *world, uint32_t nonce, const struct x402_fee *fee,
               uint16_t payments, bool is_batch);
enum x402_revert chain_refusal(const struct state *state, const struct payment *payment,
                               int index, int64_t time);
/* How the node answers; NULL when it takes it. */
const char *chain_offer(struct world *world, int transaction);
uint32_t chain_pending_nonce(const struct world *world, uint32_t nonce);

/* node.c. The world may be another when an answer comes: take what a view shows before
 * the next question. */
struct view {
    uint32_t head;
    bool is_lost; /* of the branch that lost */
};
void node_second(struct world *world);
bool node_ask(struct world *world, struct view *out);
const struct state *view_state(const struct world *world, const struct view *view,
                               uint32_t number);
/* The block of that hash; NULL when the node does not have it. */
const struct state *view_block(const struct world *world, const struct view *view,
                               const struct block *block);
/* NULL when the view has none. */
const struct inclusion *view_receipt(const struct world *world, const struct view *view,
                                     int transaction);
uint32_t view_safe(const struct world *world, const struct view *view);
enum x402_send node_send(struct world *world, int row);

/* ledger.c: writes; false when it says that it failed. */
bool ledger_submit(struct world *world, int row, int replaces, uint16_t payments);
bool ledger_advance(struct world *world, int payment, enum x402_event event,
                    const struct finding *finding);
uint32_t ledger_nonce_next(const struct world *world);
int ledger_newest_row(const struct world *world, uint32_t nonce); /* -1 none */
bool ledger_is_open(const struct world *world, int row);
void ledger_event(struct world *world, int payment, enum x402_event event);

/* callers.c */
void callers_begin(struct world *world);
void callers_second(struct world *world);

/* settler.c */
extern const struct x402_fee_policy fee_policy;
void settler_forget(struct world *world);
void settler_pass(struct world *world);
enum x402_action settler_act(struct world *world, int payment, struct finding *finding);
void settler_load(struct world *world);
struct sent *settler_sent(struct world *world, uint32_t nonce);
void settler_send(struct world *world, const int *rows, size_t count);
int settler_store(struct world *world, uint32_t nonce, const struct x402_fee *fee,
                  int replaces, uint16_t payments, bool is_batch);
struct finding settler_simulate(struct world *world, int payment);
int64_t milliseconds(const struct world *world);
int64_t clock_seconds(const struct world *world);

/* watch.c, send.c */
void watch_flights(struct world *world);
void watch_finality(struct world *world);
enum x402_sight watch_trace(struct world *world, int payment, struct evidence *out);
bool watch_safe(struct world *world, struct block *out);
void send_due(struct world *world);
void send_fill(struct world *world);

/* check.c */
void step(struct world *world);   /* a step was taken: may be the settler's last */
void second(struct world *world); /* everybody's second */
void disturb(struct world *world);
void violate(struct world *world, const char *what, int payment);
void check_end(struct world *world);
bool check_is_over(const struct world *world);

#endif
