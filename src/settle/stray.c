/*
 * Payments that were submitted by a signer that nobody works with: transactions of a
 * key that is lost, perhaps, or requests to a facilitator that is asked no more.
 */
#include "settle/chain.h"

#include <stdlib.h>

#define AGAIN_MILLISECONDS 60000
#define COUNT_MAX 1000 /* as far as they are counted */

/* Told again only when there were none in between. */
static void tell(struct x402_chain *chain, size_t count)
{
    if (count > 0 && !chain->strays_told)
        x402_chain_note(chain,
                        "%s: %zu%s payments are in transactions of another key that "
                        "nobody works with, or asked of a facilitator: a settler that "
                        "has it goes on",
                        chain->name, count, count == COUNT_MAX ? " or more" : "");
    chain->strays_told = count > 0;
}

void x402_strays_tell(struct x402_chain *chain)
{
    int64_t now = x402_chain_milliseconds();
    struct x402_settlement *strays;
    size_t count = 0;

    if (now < chain->strays_milliseconds)
        return;
    chain->strays_milliseconds = now + AGAIN_MILLISECONDS;
    strays = calloc(COUNT_MAX, sizeof *strays);
    if (strays == NULL ||
        x402_ledger_strays(chain->ledger, chain->network.chain_id, chain->signer20,
                           NULL, strays, COUNT_MAX, &count))
        x402_chain_ledger_failed(chain);
    else
        tell(chain, count);
    free(strays);
}
