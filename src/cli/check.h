/* `x402 check`, in parts: findings, the comparison with the chain, what settling costs.
 */
#ifndef X402_CLI_CHECK_H
#define X402_CLI_CHECK_H

#include "cli/prices.h"
#include "cli/view.h"

enum x402_finding {
    X402_FINDING_OK,
    X402_FINDING_NOTE, /* worth knowing; nothing is wrong */
    X402_FINDING_FAIL,
};

/* Prints findings as they come and remembers whether all was well. */
struct x402_findings {
    bool json;
    size_t count, failed;
};

/* One finding: what was looked at ("books", "payment 12") and what was seen. */
__attribute__((format(printf, 4, 5))) void x402_finding_add(
    struct x402_findings *findings, enum x402_finding finding, const char *subject,
    const char *format, ...);

/*
 * check_chain.c: compares every payment of the network that is settled or final with
 * its transaction's receipt, and looks whether an authorization that was released was
 * used nevertheless.
 */
void x402_check_chain(struct x402_findings *findings, struct x402_ledger *ledger,
                      const struct x402_rpc_option *rpc);

/*
 * check_cost.c: the prices in a configuration; none when the file cannot be read, which
 * is a failure only when it was `asked` for.
 */
void x402_check_prices(struct x402_findings *findings, struct x402_prices *out,
                       const char *conf_path, bool asked);

/* What calls at these prices cost to settle on a network now, and when they lose money.
 */
void x402_check_cost(struct x402_findings *findings, const struct x402_rpc_option *rpc,
                     uint64_t ether_micro_usd, const struct x402_price *named,
                     size_t named_count, const struct x402_prices *configured);

#endif
