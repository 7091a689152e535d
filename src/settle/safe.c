/* The safe block: what it holds stays, as far as the chain can promise. */
#include "settle/chain.h"

#define REFUSALS_MAX 3 /* of a safe and a finalized block, before there are none */

enum tag {
    TAG_UNKNOWN, /* no answer, or none for now */
    TAG_NONE,    /* the node does not know such a block */
    TAG_BLOCK,
};

/* "Too much", "internal" and the like are no word about the block. */
static bool is_refusal(const struct x402_rpc_reply *reply)
{
    if (reply->status == X402_RPC_RESULT)
        return json_is_null(reply->result);
    return reply->status == X402_RPC_ERROR && reply->code != -32005 &&
           reply->code != -32002 && reply->code != -32603;
}

static enum tag ask_block(struct x402_chain *chain, struct x402_block *out,
                          struct x402_rpc_call call)
{
    enum tag tag = TAG_UNKNOWN;

    if (x402_chain_ask(chain, &call, 1)) {
        if (is_refusal(&call.reply))
            tag = TAG_NONE;
        else if (x402_block_decode(out, call.reply.result))
            tag = TAG_BLOCK;
        else
            x402_chain_nonsense(chain, &call);
    }
    x402_rpc_calls_release(&call, 1);
    return tag;
}

/* Only where the node never named one: one that loses it for a moment is waited for. */
static enum tag ask_deep(struct x402_chain *chain, struct x402_block *out)
{
    uint64_t latest = chain->view.latest.number;

    if (chain->has_safe || latest < X402_SAFE_DEPTH_BLOCKS)
        return TAG_UNKNOWN;
    if (++chain->safe_refusals < REFUSALS_MAX)
        return TAG_UNKNOWN;
    if (chain->safe_refusals == REFUSALS_MAX)
        x402_chain_note(chain, X402_NOTE_NODE,
                        "%s: node %s knows no safe block: payments are final %d blocks "
                        "below the latest",
                        chain->name, x402_rpc_origin(chain->rpc),
                        X402_SAFE_DEPTH_BLOCKS);
    return ask_block(chain, out,
                     x402_ask_block_number(latest - X402_SAFE_DEPTH_BLOCKS));
}

static bool ask_safe(struct x402_chain *chain, struct x402_block *out)
{
    enum tag tag = ask_block(chain, out, x402_ask_block("safe"));

    if (tag == TAG_NONE)
        tag = ask_block(chain, out, x402_ask_block("finalized"));
    if (tag == TAG_NONE)
        return ask_deep(chain, out) == TAG_BLOCK;
    chain->has_safe = chain->has_safe || tag == TAG_BLOCK;
    return tag == TAG_BLOCK;
}

bool x402_chain_safe(struct x402_chain *chain, struct x402_block *out)
{
    struct x402_view *view = &chain->view;

    if (!view->safe_asked) {
        view->safe_asked = true;
        view->safe_known = ask_safe(chain, &view->safe);
    }
    if (view->safe_known) {
        *out = view->safe;
        chain->seen_safe_block = view->safe.number;
    }
    return view->safe_known;
}
