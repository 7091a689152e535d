/*
 * What the settler tells people: one event, of which the line of text and the line of
 * JSON both are made. Nothing in it is secret: nodes and facilitators are named by
 * their origin, keys by their address. Pure but for the clock; any thread.
 */
#ifndef X402_SETTLE_EVENT_H
#define X402_SETTLE_EVENT_H

#include "ledger/receipt_id.h"

/* X(symbol, name, level): the names are part of the log's format. */
#define X402_NOTE_KINDS(X)                                                             \
    X(STARTED, "started", INFO)                                                        \
    X(STOPPED, "stopped", INFO)                                                        \
    X(TAKEN_OVER, "taken_over", INFO) /* the key of a settler that is gone */          \
    X(SUBMITTED, "submitted", INFO)                                                    \
    X(REPLACED, "replaced", INFO) /* by a transaction that pays more */                \
    X(FILLED, "filled", WARN)     /* an empty transaction took a missing nonce */      \
    X(SETTLED, "settled", INFO)                                                        \
    X(MOVED, "moved", INFO) /* settled, and in another block by now */                 \
    X(FINAL, "final", INFO)                                                            \
    X(UNSETTLED, "unsettled", WARN) /* due again */                                    \
    X(HELD, "held", WARN)           /* refused for now, and tried again */             \
    X(UNTRACED, "untraced", WARN)   /* used up, by what is not found */                \
    X(STRAY, "stray", WARN)         /* in hands that nobody holds */                   \
    X(FAILED, "failed", ERROR)                                                         \
    X(BATCHING, "batching", INFO) /* whether, and how large */                         \
    X(NODE, "node", WARN)         /* something a node does not do */                   \
    X(NETWORK, "network", WARN)   /* something that is not settled here */             \
    X(TROUBLE, "trouble", ERROR)  /* lasts, until "recovered" */                       \
    X(RECOVERED, "recovered", INFO)                                                    \
    X(ERROR, "error", ERROR)                                                           \
    X(LEFT, "left", WARN) /* at the end of `once` */                                   \
    X(SUMMARY, "summary", INFO)

enum x402_note_kind {
#define X402_NOTE_ENUM(symbol, name, level) X402_NOTE_##symbol,
    X402_NOTE_KINDS(X402_NOTE_ENUM)
#undef X402_NOTE_ENUM
};

/* "settled"; "info", "warn" or "error": static. */
const char *x402_note_name(enum x402_note_kind kind);
const char *x402_note_level(enum x402_note_kind kind);

/* Payments named by one event: as many as there are in any transaction, or page. */
#define X402_NOTE_PAYMENTS_MAX 512
#define X402_NOTE_MESSAGE_MAX 1024
#define X402_NOTE_REASON_MAX 256
#define X402_NOTE_NETWORK_MAX 32

struct x402_note_payment {
    int64_t id;
    char receipt[X402_RECEIPT_ID_SIZE + 1]; /* its name everywhere; "" not known */
};

/* What is zero, or empty, is not known or not of this event. */
struct x402_note_event {
    enum x402_note_kind kind;
    int64_t time_milliseconds; /* Unix time */
    uint64_t chain_id;
    char network[X402_NOTE_NETWORK_MAX]; /* "base-sepolia", or CAIP-2 */
    struct x402_note_payment payments[X402_NOTE_PAYMENTS_MAX];
    size_t payments_count; /* in all; those past the bound are not named */
    bool has_value;
    uint64_t value; /* of them all, in units of their token */
    bool has_transaction;
    uint8_t transaction32[32];
    uint64_t block;
    char reason[X402_NOTE_REASON_MAX];
    char message[X402_NOTE_MESSAGE_MAX]; /* the line of text */
};

/* Every byte of a text may be escaped. */
#define X402_NOTE_JSON_MAX                                                             \
    (6 * (X402_NOTE_MESSAGE_MAX + X402_NOTE_REASON_MAX + X402_NOTE_NETWORK_MAX) +      \
     X402_NOTE_PAYMENTS_MAX * (20 + 1 + X402_RECEIPT_ID_SIZE + 3) + 1024)

/*
 * The event as one JSON object, zero-terminated, without a newline; its size. Members
 * that say nothing are left out; "receipts" has the names of "payments", in their
 * order, where they are known.
 */
size_t x402_note_encode(char out[X402_NOTE_JSON_MAX],
                        const struct x402_note_event *event);

#endif
