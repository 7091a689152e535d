/*
 * One chain of the settler, and the steps of a pass over it. Internal to src/settle.
 *
 *   chain.c     open, lease, what the chain looks like now
 *   flight.c    transactions under way: what the ledger has
 *   receipt.c   and what their receipts say
 *   pending.c   those without a receipt: send again, or replace
 *   gap.c       nonces that the chain waits for, and that we do not
 *   send.c      due payments: choose, store, send
 *   simulate.c  what the chain says to them before they are sent
 *   funds.c     whether one payer's payments can all be paid
 *   balances.c  many balances in few calls
 *   contract.c  whether the facilitator contract is there
 *   row.c       one transaction: sign, store, send
 *   trace.c     who used an authorization
 *   safe.c      the safe block
 *   finality.c  settled payments, once the safe block passed theirs
 *   payers.c    what the payers have
 *   stray.c     what others submitted who are gone
 *   held.c      refused payments that wait for their next try
 *   puzzle.c    and those about which a node says nothing that makes sense
 *   verdict.c   what is told to the ledger
 *   note.c      what is told to people
 *   event.c     as text, and as JSON
 *   pulse.c     and what the ledger is told of the settler itself
 */
#ifndef X402_SETTLE_CHAIN_H
#define X402_SETTLE_CHAIN_H

#include "evm/abi.h"
#include "settle/ask.h"
#include "settle/batch.h"
#include "settle/event.h"
#include "settle/fee.h"
#include "settle/plan.h"
#include "settle/proof.h"
#include "settle/pulse.h"
#include "settle/search.h"
#include "settle/settler.h"

#include <stdatomic.h>

/* Transactions of one signer under way at once. */
#define X402_WINDOW 16
#define X402_STUCK_SECONDS 30
#define X402_RESEND_MILLISECONDS 15000
/* How long something must look gone before it is believed: nodes lag one another. */
#define X402_BELIEVE_MILLISECONDS 12000
/* A node that failed is left in peace, at most so long while somebody waits. */
#define X402_BACKOFF_URGENT_MILLISECONDS 4000
#define X402_RECEIPTS_MILLISECONDS 5000
#define X402_FINALITY_MILLISECONDS 5000
#define X402_FINALITY_SHAKEN_MILLISECONDS 1000
#define X402_LOOK_UPS_MAX 16 /* a pass */
#define X402_TRACES_MAX 8192
/* Where a node knows neither a safe nor a finalized block: so far below the latest. */
#define X402_SAFE_DEPTH_BLOCKS 64
#define X402_ROW_PAYMENTS_MAX 512
#define X402_HELD_MAX 65536
#define X402_REFUSED_PAYERS_MAX 256 /* told to the ledger at once */
#define X402_CONTRACT_SECONDS 60 /* it is looked for so often while it is not there */
#define X402_SMALLER_MILLISECONDS                                                      \
    600000 /* how long batches stay small once too large */
#define X402_CONTRACTS_MAX 16

/* One signed transaction that may be included yet. */
struct x402_row {
    int64_t id;
    uint64_t nonce;
    uint8_t hash32[32];
    struct x402_fee fee;
    uint64_t gas_limit;
    int64_t submitted_at_seconds;
    uint8_t *raw; /* owned */
    size_t raw_size;
    size_t payments_count; /* still awaited, and in no newer row */
};

/* Everything signed for one nonce: a run of rows, and the payments in them. */
struct x402_flight {
    uint64_t nonce;
    struct x402_row *rows; /* oldest first; in x402_flights.rows */
    size_t rows_count;
    struct x402_settlement *payments; /* in x402_flights.payments; by row, then id */
    size_t payments_count;
};

struct x402_flights {
    struct x402_row *rows;
    size_t rows_count, rows_capacity;
    struct x402_settlement *payments;
    size_t payments_count, payments_capacity;
    struct x402_flight *items;
    size_t count;
};

/* What is remembered of a nonce under way, from pass to pass. Lost at a restart. */
struct x402_sent {
    uint64_t nonce;
    int64_t row_id;            /* the row sent last */
    int64_t at_milliseconds;   /* when; -1 never */
    enum x402_send last;       /* what the node said */
    int64_t gone_milliseconds; /* since when its nonce looks spent; -1 it does not */
};
#define X402_SENT_MAX 1024

/* A payment that was refused and is tried again. Lost at a restart. */
struct x402_held {
    int64_t payment_id;
    int64_t try_at_milliseconds;
    int64_t until_seconds; /* its validBefore */
    unsigned tries;
    unsigned puzzles; /* in a row: answers that were neither a result nor a revert */
    enum x402_revert why;
    bool cost_gas;
    bool over;         /* it was refused after its end: the chain has to say so yet */
    bool alone;        /* it fails in a batch and passes by itself: so it is sent */
    bool payers_fault; /* one of the refusals was */
};

/* A nonce that the chain waits for, and that we do not. */
struct x402_gap {
    uint64_t nonce;
    bool is_blocked; /* the node has something for it, and no block takes that */
};

/* A payment whose authorization is used, by what is being looked for. Lost at a
 * restart. */
struct x402_traced {
    int64_t payment_id;
    int64_t try_at_milliseconds;
    int64_t touched_milliseconds;
    struct x402_search search;
    unsigned looks;
    bool told;
};

/* What the chain looked like at the beginning of a pass. */
struct x402_view {
    struct x402_block latest;
    struct x402_block safe; /* what x402_chain_safe gives */
    bool safe_asked, safe_known;
    bool behind; /* latest is older than one seen before: a node that lags, and says
                    nothing of what is not there */
    unsigned log_queries; /* made in this pass */
    struct x402_nonces nonces;
    uint64_t balance_wei;
    bool quoted; /* the fee is within the policy */
    struct x402_fee fee;
};

/* The transaction that used an authorization. */
struct x402_evidence {
    enum x402_sight unsafe; /* what UNSAFE is of: EXPIRED, CANCELED, USED_OTHERWISE */
    uint8_t hash32[32];
    uint64_t block_number;
    uint8_t block_hash32[32];
    bool ours; /* sent by our signer */
    uint64_t gas_used;
    uint64_t fee_wei;
};

/* What a transaction of ours cost, or a share of it. */
struct x402_cost {
    uint64_t gas_used;
    uint64_t fee_wei;
};

/* What was learned of a payment. */
struct x402_finding {
    enum x402_sight sight;
    enum x402_revert why;
    char reason[X402_REASON_MAX];  /* the contract's words; "" none */
    bool by_us;                    /* refused by our arithmetic, not by the chain */
    bool cost_gas;                 /* it was refused in a transaction */
    struct x402_evidence evidence; /* of PAID and USED_FOR_US */
    int64_t transaction_id;        /* of the evidence; 0 for none of ours */
    struct x402_cost cost;         /* its share of what its transaction cost us */
};

/* What keeps a chain from going on. Told when it begins and when it is over. */
enum x402_trouble {
    X402_TROUBLE_NONE,
    X402_TROUBLE_NODE,    /* does not answer, in whatever way */
    X402_TROUBLE_LEDGER,  /* does not do as asked */
    X402_TROUBLE_STEP,    /* refuses a step */
    X402_TROUBLE_LEASE,   /* another settler has the key */
    X402_TROUBLE_GAS,     /* the signer cannot pay for it */
    X402_TROUBLE_FEES,    /* too high to send, or too low to be taken */
    X402_TROUBLE_REFUSED, /* the node refuses transactions */
    X402_TROUBLE_TOKEN,   /* there is none at the address */
};

struct x402_chain {
    const struct x402_settler_options *options;
    struct x402_ledger *ledger; /* of this chain's thread */
    const atomic_bool *stop;    /* set when the settler is to end */
    struct x402_network network;
    char name[X402_CAIP2_TEXT_SIZE]; /* "base-sepolia" or CAIP-2 */
    uint8_t signer20[20];
    const char *owner;
    struct x402_pulse *pulse; /* NULL: nobody listens */
    bool has_receipt_key;
    uint8_t receipt_key32[32]; /* of the names of receipts */
    struct x402_rpc *rpc;
    struct x402_fee_policy policy;

    bool checked; /* the node is of this chain */
    bool strays_told;
    int64_t strays_milliseconds;        /* not looked for before */
    struct x402_settlement stray_after; /* where the last look at them ended */
    bool strays_continue;
    bool leased;
    int64_t leased_at_milliseconds;

    struct x402_view view;
    struct x402_flights flights;
    struct x402_sent sent[X402_SENT_MAX];
    size_t sent_count;
    struct x402_held *held; /* by payment id */
    size_t held_count, held_capacity;
    struct x402_traced *traces; /* by payment id */
    size_t traces_count, traces_capacity;
    uint64_t logs_span;
    int64_t logs_span_milliseconds;            /* when it was halved last */
    uint8_t contracts[X402_CONTRACTS_MAX][20]; /* tokens seen to have code */
    size_t contracts_count;
    bool has_contract;          /* the facilitator's */
    int64_t contract_seconds;   /* when it was looked for; 0 never */
    size_t batch_max;           /* larger ones went wrong; 0 none did */
    int64_t batch_milliseconds; /* when one did */
    int64_t *quiet;             /* rows all of whose payments have left them, by id */
    size_t quiet_count, quiet_capacity;
    struct x402_payer refused[X402_REFUSED_PAYERS_MAX]; /* for the ledger to know */
    size_t refused_count;

    int64_t looks_refused_milliseconds; /* many balances in one call: not before */
    int64_t payers_milliseconds;        /* not looked at before */
    int64_t payers_pause_milliseconds;  /* the last pause after a failure */

    int64_t looked_milliseconds; /* when the chain was looked at last; 0 in vain */
    uint8_t receipts_hash32[32]; /* the block receipts were asked at last */
    int64_t receipts_milliseconds;
    int64_t finality_milliseconds;
    struct x402_gap gap;
    int64_t gap_milliseconds; /* since when there is one; -1 there is none */
    bool gap_unusable;        /* what is stored for its nonce cannot be replaced */
    bool filled;              /* `fill` was sent and is not known to be included */
    struct x402_row fill;     /* the empty transaction sent last; without raw */
    bool rechecking;          /* the chain went back: what was settled may have moved */
    bool has_safe;            /* the node has named a safe block before */
    unsigned safe_refusals;   /* in a row, before it did */
    struct x402_block highest;   /* the latest block of all passes */
    int64_t behind_milliseconds; /* since when the latest is below it; -1 it is not */
    struct x402_settled final_after; /* where the last look at settled ones ended */
    bool final_continues;
    bool final_whole;    /* it was of all, not only of those below the safe block */
    size_t looked_again; /* payments without a receipt, in this look */
    bool unanchored_told, refusal_told;
    bool others_are_due; /* transactions of other keys are sent again in this look */
    int64_t others_milliseconds; /* when they were last */
    size_t displaced;     /* settled payments found elsewhere or nowhere, in one look */
    size_t look_ups;      /* of this pass */
    bool gas_is_dear;     /* unusually: what can wait does */
    uint64_t next_nonce;  /* of the next transaction of this pass */
    bool pending_refused; /* the node simulates on no "pending" block */
    char refusal[X402_RPC_ERROR_MESSAGE_MAX]; /* of the transaction refused last */

    /* Last known, for who looks on; 0 never. */
    uint64_t seen_balance_wei, seen_base_fee_wei, seen_block, seen_safe_block;

    enum x402_trouble trouble;           /* noted last */
    char trouble_text[X402_TROUBLE_MAX]; /* what it is now */
    bool troubled;                       /* in this pass */
    unsigned failures;                   /* passes in a row that failed */
    int64_t began_milliseconds;          /* when the pass did */
    int64_t pass_milliseconds;           /* when the next one is due */

    bool answered; /* in this pass: for some payment, what was asked to send it */
    bool puzzled;  /* in this pass: for one it was not, for which it was before */
    char puzzle[X402_RPC_ERROR_MESSAGE_MAX]; /* what was said in place of it */

    /* Of the last pass, for those who wait for the end. */
    bool failed;      /* the node or the ledger did */
    bool urgent;      /* somebody waits for a settlement */
    size_t moved;     /* verdicts and submissions */
    size_t under_way; /* transactions awaited */
    size_t due_left;  /* due and not refused just now: tried again next pass */
    size_t due_held;  /* due and waiting for their next try */
};

/* --------------------------------------------------------------------------- chain.c
 */

X402_MUST_USE bool x402_chain_open(struct x402_chain *chain,
                                   const struct x402_settler_options *options,
                                   const struct x402_settler_chain *which,
                                   struct x402_ledger *ledger, const char *owner,
                                   const atomic_bool *stop);
void x402_chain_close(struct x402_chain *chain); /* releases the lease */

/* One pass. ERR_NETWORK when the node is of another chain; everything else is noted. */
X402_MUST_USE enum x402_error x402_chain_pass(struct x402_chain *chain);
/* Its parts, for a chain whose payments a facilitator settles: the key is not there,
 * and the node's URL perhaps not either. Begin, what there is to do, end. */
void x402_chain_begin(struct x402_chain *chain);
void x402_chain_end(struct x402_chain *chain);
/* Looks at what is settled already. ERR_NETWORK as above. */
X402_MUST_USE enum x402_error x402_chain_watch(struct x402_chain *chain);
/* What the chain looks like now; false when the node does not say. */
X402_MUST_USE bool x402_chain_look(struct x402_chain *chain);
/* How it fares, as of the last pass. */
void x402_chain_state(const struct x402_chain *chain, struct x402_settler_state *out);
bool x402_chain_is_done(const struct x402_chain *chain); /* nothing due or under way */
/* Tells who looks on how the chain fares, unless another settler has the key. */
void x402_chain_say(struct x402_chain *chain);
/* It did: all that is settled is looked at again. */
void x402_chain_recheck(struct x402_chain *chain);
/* The chain went back, and not all of what was settled is known to be in place. */
bool x402_chain_is_shaken(const struct x402_chain *chain);

/* True when the signer's lease is ours; renews it. Call before anything is signed. */
bool x402_chain_hold(struct x402_chain *chain);
bool x402_chain_stopping(const struct x402_chain *chain);
int64_t x402_chain_milliseconds(void); /* of a clock that never jumps */

/* Makes calls; false, and the pass has failed, when one got no answer at all. */
bool x402_chain_ask(struct x402_chain *chain, struct x402_rpc_call *calls,
                    size_t count);
/* The node answered, and refused or answered nonsense: the pass has failed. */
void x402_chain_nonsense(struct x402_chain *chain, const struct x402_rpc_call *call);
/* The ledger did not do as asked: the pass has failed. */
void x402_chain_ledger_failed(struct x402_chain *chain);

/* -------------------------------------------------------------- flight.c, receipt.c
 */

X402_MUST_USE bool x402_flights_load(struct x402_chain *chain);
void x402_flights_release(struct x402_chain *chain);
/* The newest row stored for a nonce, of those whose payments are not all final or
 * failed. NULL when there is none. */
const struct x402_row *x402_flights_row(const struct x402_flights *flights,
                                        uint64_t nonce);

/* Reads receipts, tells the ledger what they say, sends again what has none. */
void x402_flights_resolve(struct x402_chain *chain);

/*
 * What a transaction cost the `index`th of its `count` payments: each an equal part,
 * the first also what does not divide. The parts come to the whole.
 */
struct x402_cost x402_cost_share(struct x402_cost whole, size_t index, size_t count);

/* The share of one payment by the ledger's list of the row's payments; nothing when it
 * is not among them. */
struct x402_cost x402_cost_of_payment(struct x402_chain *chain, struct x402_cost whole,
                                      int64_t transaction_id, int64_t payment_id);

/* ------------------------------------------------------------- row.c, pending.c, gap.c
 */

/* A transaction to be signed. */
struct x402_draft {
    const struct x402_settlement *const *payments; /* of one token and payee */
    size_t
        count; /* one: transferWithAuthorization; several: the facilitator's settle */
    uint64_t nonce;
    int64_t replaces_id; /* the row with its nonce; 0 for none */
    struct x402_fee fee;
};

/*
 * Signs and stores it: after X402_OK it must be sent. ERR_KEY, ERR_CONFLICT (somebody
 * else took a payment, or the nonce), ERR_LEDGER (perhaps stored). Release *out by
 * x402_row_release.
 */
X402_MUST_USE enum x402_error x402_row_store(struct x402_chain *chain,
                                             struct x402_row *out,
                                             const struct x402_draft *draft);
void x402_row_release(struct x402_row *row);

/* Signs a transaction that moves nothing, with the row's nonce, fee and gas limit. Not
 * stored: it may be signed twice without harm. */
X402_MUST_USE enum x402_error x402_row_sign_empty(const struct x402_chain *chain,
                                                  struct x402_row *row);

/* The row's raw bytes again, for one that is not under way any more. Free *raw. */
X402_MUST_USE bool x402_row_find(struct x402_chain *chain, struct x402_row *out,
                                 int64_t transaction_id);

/* Sends stored rows and remembers what the node said. */
void x402_rows_send(struct x402_chain *chain, const struct x402_row *const *rows,
                    size_t count);

/* The gas a transaction with so many payments may use. */
uint64_t x402_gas_limit(size_t payments_count);

/* The call that moves a payment's money, as it is simulated and as it is sent. */
void x402_transfer_data(uint8_t out[X402_ABI_TRANSFER_SIZE],
                        const struct x402_settlement *payment);
/* The same for several. Free it; NULL without memory. */
uint8_t *x402_settle_data(size_t *size, const struct x402_settlement *const *payments,
                          size_t count);
/* Whether the facilitator's packed form can hold the payment. */
bool x402_settlement_fits(const struct x402_settlement *payment);

/* Sends what has to be sent (again) and replaces what is stuck. `absent` per flight:
 * all its receipts were asked for, and there are none. */
void x402_pending_push(struct x402_chain *chain, const bool *absent);

/* Memory of a nonce; made when new. NULL when there is no room. */
struct x402_sent *x402_sent_of(struct x402_chain *chain, uint64_t nonce);
void x402_sent_prune(struct x402_chain *chain);

/* Notes whether the chain waits for a nonce that we do not. */
void x402_gap_watch(struct x402_chain *chain, const struct x402_nonces *nonces);
/* Whether the next transaction has to take the gap's nonce. */
bool x402_gap_is_to_be_used(const struct x402_chain *chain);
/* Fills it by an empty transaction, where nothing else has and it is time. */
void x402_gap_fill(struct x402_chain *chain);

/* ------------------------------------------------------------------ send.c, contract.c
 */

/* Sends what is due, as far as it has to go now. */
void x402_due_send(struct x402_chain *chain);
/* Whether something is due that a node has to be asked about now. *out is written on
 * success; false when the ledger failed. */
X402_MUST_USE bool x402_due_is_ready(struct x402_chain *chain, bool *out);

/* Looks for the facilitator contract, now and then while it is not there. */
void x402_contract_look(struct x402_chain *chain);
/* It is not there after all: looks for it again in a while. */
void x402_contract_forget(struct x402_chain *chain);
/* A batch of `count` was too much for the node or the chain: smaller ones for a while.
 */
void x402_batch_shrink(struct x402_chain *chain, size_t count);
/* When batches go, and how large they may be. */
struct x402_batch_policy x402_batch_policy_now(const struct x402_chain *chain);

/* -------------------------------------------------------------- simulate.c, funds.c
 */

/* The payments that are due, on their way through a pass. */
struct x402_dues {
    struct x402_settlement *payments;
    struct x402_finding *findings; /* of each */
    size_t count;
};

/* Simulates a transfer; at a block's number, or before the next block when tag says so.
 */
struct x402_rpc_call x402_ask_transfer(const struct x402_chain *chain,
                                       const struct x402_settlement *payment,
                                       const char *tag, uint64_t block_number);
/* PASSES, REFUSED with why and reason, or UNKNOWN. */
void x402_finding_of_call(struct x402_finding *out, const struct x402_rpc_call *call);

/* Finds out about payments one by one: PASSES, REFUSED or UNKNOWN. */
void x402_simulate_singly(struct x402_chain *chain, struct x402_dues *dues,
                          const size_t *indexes, size_t count);

/*
 * Finds out about all payments of the batches, each batch in one call of the node.
 * PASSES: it goes with the others of its batch that pass. REFUSED: by itself, too.
 * UNKNOWN: not now. A batch of one that passed already is not asked about again.
 */
void x402_simulate(struct x402_chain *chain, struct x402_dues *dues,
                   const struct x402_batch *batches, size_t count);

/* Whether another payment of its payer is under way, or passes in the same batch. */
bool x402_funds_are_shared(const struct x402_chain *chain, const struct x402_dues *dues,
                           const struct x402_batch *batch, size_t index);

/*
 * Our own arithmetic, at a block that is over, says that the payer cannot pay for it
 * beside its others: REFUSED; but UNKNOWN what somebody waits for, which is not failed
 * by it, only left for the next pass.
 */
void x402_funds_refuse(struct x402_finding *finding,
                       const struct x402_settlement *payment);

/*
 * Refuses, for funds, what passed and cannot be paid beside the payer's others: those
 * under way, and those in batches before. False without memory: send nothing.
 */
X402_MUST_USE bool x402_funds_check(struct x402_chain *chain, struct x402_dues *dues,
                                    const struct x402_batch *batches, size_t count);

/* --------------------------------------------------------------------------- trace.c
 */

/*
 * Asks the chain whether the authorization is used, and by whom, at its latest block,
 * or at the safe one where that is past validBefore. What ends a payment for good is
 * said only of a safe block, asked by its hash; the same above it is UNSAFE, and
 * out->unsafe says what. *out has the transaction for USED_FOR_US, USED_OTHERWISE and
 * CANCELED, and for UNSAFE of these. UNKNOWN when the node does not say, lags behind
 * itself, or was asked a moment ago; for a payment under way also while its nonce is
 * not spent in the very block that was asked.
 */
enum x402_sight x402_trace(struct x402_chain *chain, struct x402_evidence *out,
                           const struct x402_settlement *payment);
/* Whether an authorization is used (or canceled), at a block named by its hash. */
enum x402_used {
    X402_USED_UNKNOWN, /* the node did not say */
    X402_USED_NO,
    X402_USED_YES,
};
struct x402_rpc_call x402_ask_used(const struct x402_settlement *payment,
                                   const uint8_t block_hash32[32]);
enum x402_used x402_used_decode(const struct x402_rpc_reply *reply);
/* Looked for in vain a moment ago: a trace now would say UNKNOWN. */
bool x402_trace_waits(const struct x402_chain *chain, int64_t payment_id);
void x402_traces_prune(struct x402_chain *chain);

/* ---------------------------------------------------------------- safe.c, finality.c
 */

/*
 * The safe block, asked for once a pass; where the node has none, the finalized one,
 * and where it never had either, the one X402_SAFE_DEPTH_BLOCKS below the latest. False
 * when it is not known now.
 */
bool x402_chain_safe(struct x402_chain *chain, struct x402_block *out);

void x402_finality_check(struct x402_chain *chain);
bool x402_finality_is_due(const struct x402_chain *chain);

/* ------------------------------------------------------------------------ balances.c
 */

#define X402_BALANCE_LOOK_MAX 200   /* payers of one call of the contract */
#define X402_BALANCE_LOOKS_MAX 32   /* such calls at once, each of one token */
#define X402_BALANCE_SINGLES_MAX 32 /* payers at once, without it */

/* What a payer has of a token. */
struct x402_balance {
    uint8_t asset20[20];
    uint8_t payer20[20];
    bool known;     /* out; where it is false, what may hang on the balance waits */
    bool odd;       /* out: not known, though the node, or the token, said something */
    bool has_code;  /* out, where known and asked for: a contract, or delegated */
    uint64_t units; /* out; UINT64_MAX for that and all above */
};

struct x402_balances_how {
    long timeout_milliseconds; /* of a call; 0 for the usual */
    bool in_pass;         /* a node that gives no answer at all has failed the pass */
    bool with_code;       /* has_code, too */
    bool silence_is_none; /* a token that does not say what a payer has: nothing */
};

/*
 * Reads them at the latest block, by its hash: through the facilitator contract, or one
 * by one where it is not there, or the node does not look at so many at once (of which
 * it is not asked again for a while). What is more than the calls may hold is not
 * asked for, and not known. False when something that was asked for got no answer that
 * makes sense.
 */
bool x402_balances_ask(struct x402_chain *chain, struct x402_balance *balances,
                       size_t count, const struct x402_balances_how *how);

/* -------------------------------------------------------------------------- payers.c
 */

/* Whether there are payers to look at now. False when the ledger does not say. */
X402_MUST_USE bool x402_payers_are_wanted(struct x402_chain *chain, bool *wanted);
/* Looks at them and tells the ledger; as many as one pass bears. */
void x402_payers_refresh(struct x402_chain *chain);

/* --------------------------------------------------------------------------- stray.c
 */

/* Whether the chain may be asked now about payments that nobody works at; tells people
 * once that there are any. False when the ledger does not say. */
X402_MUST_USE bool x402_strays_are_due(struct x402_chain *chain, bool *out);
/* Asks about some of them. */
void x402_strays_settle(struct x402_chain *chain);

/* ---------------------------------------------------------------------------- held.c
 */

struct x402_held *x402_held_find(const struct x402_chain *chain, int64_t payment_id);
/* Whether its next try is still to come. At its end one is due at once. */
bool x402_held_waits(const struct x402_chain *chain, const struct x402_held *held);
/* Found or made; NULL without memory. */
struct x402_held *x402_held_of(struct x402_chain *chain,
                               const struct x402_settlement *payment);
void x402_held_drop(struct x402_chain *chain, int64_t payment_id);
/* Another refusal: when to try again. Notes it when the reason is a new one. */
void x402_held_refuse(struct x402_chain *chain, const struct x402_settlement *payment,
                      enum x402_revert why, const char *reason, bool cost_gas);
void x402_held_prune(struct x402_chain *chain);
/* Until its end, by the chain's time, which is what the authorization ends by. */
int64_t x402_held_left_milliseconds(const struct x402_chain *chain,
                                    const struct x402_held *held);

/* -------------------------------------------------------------------------- puzzle.c
 */

/* A node said something about a payment that is neither a result nor a revert: it waits
 * alone, is asked about by itself first, and nobody is blamed. */
void x402_puzzle_take(struct x402_chain *chain, const struct x402_settlement *payment,
                      const char *what);
void x402_puzzle_forget(struct x402_chain *chain,
                        const struct x402_settlement *payment);
/* After all questions: the pass has failed when none was answered, and that is new. */
void x402_puzzles_judge(struct x402_chain *chain);

/* ----------------------------------------------------------------- verdict.c, note.c
 */

/* What is to be done about one payment. */
struct x402_ruling {
    const struct x402_settlement *payment; /* borrowed */
    struct x402_finding finding;
    enum x402_action action; /* once enforced: what was done, or WAIT */
};

/* What the plan says of a finding; looks the payment up where the plan says so. */
void x402_rule(struct x402_chain *chain, struct x402_ruling *out,
               const struct x402_settlement *payment,
               const struct x402_finding *finding);

/*
 * Does what the rulings say, but for sending and making final: all verdicts go to the
 * ledger in one transaction, refusals are held, people are told. A verdict that the
 * ledger did not take was overtaken by somebody: its action becomes WAIT.
 */
void x402_rulings_enforce(struct x402_chain *chain, struct x402_ruling *rulings,
                          size_t count);

/* Both, for one payment. Returns the action done, or WAIT. */
enum x402_action x402_chain_act(struct x402_chain *chain,
                                const struct x402_settlement *payment,
                                const struct x402_finding *finding);

/* A payment is found settled in a transaction; false when the ledger did not take it.
 */
bool x402_verdict_settled(struct x402_chain *chain,
                          const struct x402_settlement *payment,
                          const struct x402_evidence *evidence, int64_t transaction_id);

/* A verdict that it is settled was taken: how long that took, since it was admitted. */
void x402_settled_measure(struct x402_pulse *pulse,
                          const struct x402_settlement *payment);

/* Tells the ledger whose payments were refused since it was told last. */
void x402_refused_tell(struct x402_chain *chain);

/* A line of the log: what happened, where, and in words. */
__attribute__((format(printf, 3, 4))) void x402_chain_note(struct x402_chain *chain,
                                                           enum x402_note_kind kind,
                                                           const char *format, ...);

/*
 * The same of an event with facts: begin it, put them in, tell it. What is told is its
 * copy of them, once; the event is the caller's.
 */
void x402_note_begin(struct x402_note_event *event, const struct x402_chain *chain,
                     enum x402_note_kind kind);
/* Their sum is put in, too, where they are of one token. */
void x402_note_put_payments(struct x402_note_event *event,
                            const struct x402_chain *chain,
                            const struct x402_settlement *const *payments,
                            size_t count);
void x402_note_put_payment(struct x402_note_event *event,
                           const struct x402_chain *chain,
                           const struct x402_settlement *payment);
void x402_note_put_transaction(struct x402_note_event *event, const uint8_t hash32[32],
                               uint64_t block);
void x402_note_put_reason(struct x402_note_event *event, const char *reason);
__attribute__((format(printf, 3, 4))) void x402_note_tell(
    const struct x402_settler_options *options, struct x402_note_event *event,
    const char *format, ...);

/*
 * A condition that lasts: noted when it is another one than in the pass before. The
 * first one of a pass counts.
 */
__attribute__((format(printf, 3, 4))) void x402_chain_trouble(struct x402_chain *chain,
                                                              enum x402_trouble trouble,
                                                              const char *format, ...);

/* "<words> payment 17…: <reason>", of one payment. */
void x402_payment_note(struct x402_chain *chain, enum x402_note_kind kind,
                       const struct x402_settlement *payment, const char *words,
                       const char *reason);

/* "payment 17 (receipt 9dQ…): 0.001 USDC from 0x…" */
#define X402_PAYMENT_TEXT_SIZE 256
void x402_payment_text(char out[X402_PAYMENT_TEXT_SIZE], const struct x402_chain *chain,
                       const struct x402_settlement *payment);
/* The same of one; of several, of one token: "87 payments, 0.087 USDC". */
void x402_payments_text(char out[X402_PAYMENT_TEXT_SIZE],
                        const struct x402_chain *chain,
                        const struct x402_settlement *const *payments, size_t count);

/* Settled and due again: a line for all of one transaction and one reason. Failed: one
 * each. */
void x402_rulings_note(struct x402_chain *chain, const struct x402_ruling *rulings,
                       size_t count);

#endif
