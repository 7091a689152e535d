/*
 * The flags of a remote facilitator, which `x402 settle` and `x402 serve` share.
 */
#ifndef X402_CLI_FACILITATOR_H
#define X402_CLI_FACILITATOR_H

#include "cli/cli.h"
#include "settle/settler.h"

#define X402_FACILITATOR_HEADERS_MAX 8192 /* bytes, with the zero */

/* What the person wrote; NULL where nothing was. */
struct x402_cli_facilitator_flags {
    const char *url, *header_file, *timeout;
};

/* Checked. Wipe `headers` when done: they may be secret. */
struct x402_cli_facilitator {
    struct x402_remote_options options; /* points into this and into the flags */
    char headers[X402_FACILITATOR_HEADERS_MAX];
    uint64_t chain_ids[X402_SETTLER_CHAINS_MAX];
};

/* Checks the words alone; nothing is opened. False: the usage error is printed. */
X402_MUST_USE bool x402_cli_facilitator_check(
    const char *command, const struct x402_cli_facilitator_flags *flags);

/*
 * Reads the header file of checked flags: mode 0600, "Name: value" lines. `networks`
 * are names or ids, none for all. False: what is wrong is printed, and *exit_code is
 * what to end with.
 */
X402_MUST_USE bool x402_cli_facilitator_open(
    struct x402_cli_facilitator *out, int *exit_code, const char *command,
    const struct x402_cli_facilitator_flags *flags,
    const struct x402_option_list *networks);

#endif
