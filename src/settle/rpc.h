/*
 * JSON-RPC 2.0 over HTTP to an Ethereum node. The node is not trusted to be up, fast or
 * sane: replies are bounded in size and time, ids must match, redirects are not
 * followed, TLS is verified, and whatever does not make sense is a reply that failed,
 * which says nothing about the chain. A JSON-RPC error is taken with HTTP status 200
 * and those from 400 to 499 which some servers give it, but for 408 and 429.
 *
 * A handle is used by one thread at a time.
 */
#ifndef X402_SETTLE_RPC_H
#define X402_SETTLE_RPC_H

#include "settle/reply.h"

#define X402_RPC_REPLY_MAX (1u << 20)      /* bytes of a reply */
#define X402_RPC_REPLY_LOGS_MAX (8u << 20) /* of one with logs: about 900 a log */
#define X402_RPC_PARALLEL_MAX 8            /* requests under way at once */
#define X402_RPC_TIMEOUT_MILLISECONDS 10000
#define X402_RPC_MESSAGE_MAX 256

struct x402_rpc;

/* One request and its reply. */
struct x402_rpc_call {
    const char *method;          /* static */
    json_t *params;              /* an array; owned by the call */
    size_t reply_max;            /* bytes; 0 for X402_RPC_REPLY_MAX */
    long timeout_milliseconds;   /* 0 for X402_RPC_TIMEOUT_MILLISECONDS */
    struct x402_rpc_reply reply; /* out */
};

/*
 * `url` is http:// or https://. Copies it. `stop` (may be NULL) is asked a few times a
 * second while waiting; once it says true, what is under way is cut off. NULL without
 * memory. No request is made.
 */
struct x402_rpc *x402_rpc_open(const char *url, bool (*stop)(void *data), void *data);
void x402_rpc_close(struct x402_rpc *rpc); /* NULL is fine */

/* The URL without what may be secret in it (user, path, query): "https://host:port". */
const char *x402_rpc_origin(const struct x402_rpc *rpc);

/*
 * Makes all the calls, several at once, and fills their replies; each stands or falls
 * alone. Replies are released by x402_rpc_calls_release. A call with NULL params
 * (no memory) fails.
 */
void x402_rpc_perform(struct x402_rpc *rpc, struct x402_rpc_call *calls, size_t count);

/* Releases params and replies. */
void x402_rpc_calls_release(struct x402_rpc_call *calls, size_t count);

/*
 * Why a call failed, for people: of the last x402_rpc_perform with one that did. Names
 * the node by its origin. Valid until the next.
 */
const char *x402_rpc_message(const struct x402_rpc *rpc);

#endif
