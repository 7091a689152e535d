/*
 * What is said to a remote x402 facilitator, and what it says: the bodies of POST
 * /settle (x402 v1 and v2), its answers, and GET /supported. A facilitator is not
 * trusted to be sane: an answer that is not exactly one about the payment asked for
 * says nothing about it. Pure over jansson; any thread; hostile input is safe.
 */
#ifndef X402_SETTLE_REMOTE_BODY_H
#define X402_SETTLE_REMOTE_BODY_H

#include "ledger/ledger.h"

#include <x402/network.h>

/* ------------------------------------------------------------------------ supported */

#define X402_REMOTE_KINDS_MAX 32

/* A network it settles on, and the generations of bodies it takes there. */
struct x402_remote_kind {
    struct x402_network network; /* a built-in one: its token's domain must be known */
    bool v1, v2;
};

struct x402_remote_kinds {
    struct x402_remote_kind items[X402_REMOTE_KINDS_MAX];
    size_t count;
};

/*
 * Reads the body of GET /supported: its kinds with the scheme exact on a network that
 * is built in, by either of its names. Others are left out. False, and *out unwritten,
 * when it is not such a body.
 */
X402_MUST_USE bool x402_remote_kinds_decode(struct x402_remote_kinds *out,
                                            const char *body, size_t size);

const struct x402_remote_kind *x402_remote_kind_find(
    const struct x402_remote_kinds *kinds, uint64_t chain_id);

/* ------------------------------------------------------------------------------ body
 */

#define X402_REMOTE_BODY_MAX 4096

/*
 * The generation of the body for a payment: that of its dialect where it is taken, the
 * other where it is not; v2 for a flat payment. 1 or 2; 0 when neither is.
 */
int x402_remote_version(const struct x402_remote_kind *kind, enum x402_dialect dialect);

/*
 * Writes the body of POST /settle. It says of the payment what the ledger knows and
 * what was signed; v1 wants the URL of what was bought, which the ledger has not: it is
 * made of the route's name. The same payment, network and version give the same bytes.
 * The size written.
 */
size_t x402_remote_body_encode(char out[X402_REMOTE_BODY_MAX],
                               const struct x402_settlement *payment,
                               const struct x402_network *network, int version);

/* ---------------------------------------------------------------------------- answer
 */

enum x402_remote_word {
    X402_REMOTE_UNKNOWN, /* what became of the payment is not known */
    X402_REMOTE_UNASKED, /* the request did not leave this machine */
    X402_REMOTE_REFUSED, /* this request settled nothing, and nothing says that another
                            did */
    X402_REMOTE_SETTLED, /* it is settled in a transaction */
};
#define X402_REMOTE_WORD_COUNT 4

#define X402_REMOTE_REASON_MAX 120 /* bytes, with the zero */

struct x402_remote_answer {
    enum x402_remote_word word;
    bool fits;          /* it is an answer about this payment: the facilitator works */
    uint8_t hash32[32]; /* SETTLED */
    char reason[X402_REMOTE_REASON_MAX]; /* otherwise: printable ASCII, never "" */
    bool payers_fault; /* REFUSED: for what the payer has, or signed */
};

/*
 * Reads the answer to POST /settle for a payment on `network`. SETTLED only with status
 * 2xx, the payment's own network, its own payer (where one is named), its own amount
 * (likewise) and a transaction. REFUSED only with a reason of the list in remote_body.c
 * and no transaction: whatever else it says, `settlement_pending`, "already used" and
 * names not known here above all, is UNKNOWN. So is every status of 500 and more.
 */
void x402_remote_answer_decode(struct x402_remote_answer *out, long status,
                               const char *body, size_t size,
                               const struct x402_settlement *payment,
                               const struct x402_network *network);

#endif
