/*
 * What the subcommands of `x402` share: messages, options, text and JSON output, paths.
 *
 * A subcommand is `int x402_cli_<name>(int argc, char **argv)` in a file of its own;
 * argv[0] is the subcommand's name, and the number returned is the exit code. All of
 * this runs in one thread. Text returned is static or borrowed from argv.
 */
#ifndef X402_CLI_CLI_H
#define X402_CLI_CLI_H

#include <x402/network.h>

#include <stdint.h>
#include <stdio.h>

#define X402_VERSION "0.1.0"

enum x402_exit {
    X402_EXIT_DONE = 0,
    X402_EXIT_FAILED = 1,
    X402_EXIT_USAGE = 2,
};

int x402_cli_serve(int argc, char **argv);
int x402_cli_settle(int argc, char **argv);
int x402_cli_pay(int argc, char **argv);
int x402_cli_wallet(int argc, char **argv);
int x402_cli_stats(int argc, char **argv);
int x402_cli_payments(int argc, char **argv);
int x402_cli_check(int argc, char **argv);
int x402_cli_contract(int argc, char **argv);

/* ---------------------------------------------------------------------- messages */

/*
 * "x402 settle: message" on stderr, one line. `command` is the subcommand's name, or
 * NULL for the program itself. The message has no full stop and no newline.
 */
__attribute__((format(printf, 2, 3))) void x402_cli_error(const char *command,
                                                          const char *format, ...);

/* The same for what a person should know and that is no error. */
__attribute__((format(printf, 2, 3))) void x402_cli_note(const char *command,
                                                         const char *format, ...);

/*
 * x402_cli_error, then where to read more. Returns X402_EXIT_USAGE:
 * `return x402_cli_usage_error("pay", "--max: %s: '%s'", why, text);`
 */
__attribute__((format(printf, 2, 3))) int x402_cli_usage_error(const char *command,
                                                               const char *format, ...);

/* ----------------------------------------------------------------------- options */

enum x402_option_kind {
    X402_OPTION_FLAG, /* bool *: set true */
    X402_OPTION_TEXT, /* const char **: the value; given twice is an error */
    X402_OPTION_LIST, /* struct x402_option_list *: every value, in order */
};

#define X402_OPTION_LIST_MAX 256

struct x402_option_list {
    const char *items[X402_OPTION_LIST_MAX];
    size_t count;
};

/* One option. A table of them ends with a zero name. */
struct x402_option {
    const char *name; /* without dashes: "rpc" */
    char letter;      /* its short form ('X'), or 0 */
    enum x402_option_kind kind;
    void *value; /* written to; set its default before */
};

struct x402_arguments {
    const char *help; /* the subcommand's help text; printed by --help */
    const struct x402_option *options;
    size_t words_min, words_max;    /* how many words that are no options are right */
    const char *const *words_names; /* what the required ones are called: "URL" */
    const char **words;             /* room for words_max */
    size_t words_count;             /* out */
};

enum x402_parsed {
    X402_PARSED_RUN,   /* go on */
    X402_PARSED_HELP,  /* --help was printed: return X402_EXIT_DONE */
    X402_PARSED_WRONG, /* the reason was printed: return X402_EXIT_USAGE */
};

/*
 * Reads argv[1..]: --name=value, --name value, -Nvalue, -N value, -h and --help, `--`
 * ends the options, words and options in any order. Unknown options name the nearest
 * one.
 */
X402_MUST_USE enum x402_parsed x402_cli_parse(struct x402_arguments *arguments,
                                              int argc, char **argv);

/* The word of a zero-terminated table nearest to `word`, or NULL when none is near. */
const char *x402_cli_nearest(const char *const *table, const char *word);

/* A decimal number of digits only within [min, max]. */
X402_MUST_USE bool x402_cli_number(uint64_t *out, const char *text, uint64_t min,
                                   uint64_t max);

/* A chain and the node to ask about it. */
struct x402_rpc_option {
    struct x402_network network; /* of a chain not built in: only chain_id is set */
    const char *url;             /* borrowed: http:// or https:// */
};

/*
 * "NETWORK=URL", NETWORK a name or CAIP-2 id. ERR_CONFIG with *why set to a static
 * text.
 */
X402_MUST_USE enum x402_error x402_cli_rpc_decode(struct x402_rpc_option *out,
                                                  const char **why, const char *text);

/* "http://" or "https://" and a host, no spaces or control characters. */
bool x402_cli_is_http_url(const char *text);

/* ------------------------------------------------------------------------- paths */

#define X402_PATH_MAX 4096

/*
 * The data directory: `option` when it is given, otherwise /var/lib/x402 for root and
 * $XDG_DATA_HOME/x402 or ~/.local/share/x402 for others; made absolute. False, with a
 * message, when there is no home or the path is too long.
 */
X402_MUST_USE bool x402_cli_data_dir(char out[X402_PATH_MAX], const char *command,
                                     const char *option);

/* DIR/ledger.db of that directory. */
X402_MUST_USE bool x402_cli_ledger_path(char out[X402_PATH_MAX], const char *command,
                                        const char *data_option);

/* ------------------------------------------------------------------------ output */

enum x402_style {
    X402_STYLE_PLAIN, /* ends the others */
    X402_STYLE_BOLD,
    X402_STYLE_DIM,
    X402_STYLE_GOOD,
    X402_STYLE_BAD,
    X402_STYLE_WARN,
};

/* The escape that starts a style, or "" when out is no terminal or NO_COLOR is set. */
const char *x402_cli_style(FILE *out, enum x402_style style);

/*
 * Prints a text to out; controls, marks that turn text around and what is not UTF-8
 * come out as '?'.
 */
void x402_cli_print_safe(FILE *out, const char *text);

/* A JSON string with its quotes; what is not UTF-8 becomes U+FFFD. */
void x402_cli_json_string(FILE *out, const char *text);
/* JSON in UTF-8 that is whole already, with what a terminal might obey escaped. */
void x402_cli_print_json(FILE *out, const char *json);
/* A JSON string "0x…" of bytes. */
void x402_cli_json_hex(FILE *out, const uint8_t *bytes, size_t size);

/* "2026-01-31T12:00:00Z", zero-terminated. */
#define X402_TIME_TEXT_SIZE 32
void x402_cli_time_encode(char out[X402_TIME_TEXT_SIZE], int64_t seconds);

/* How long: "870 us", "41 ms", "1.2 s", "90 s", "12 min", "3 h", "2 d". */
#define X402_DURATION_TEXT_SIZE 24
void x402_cli_duration_encode(char out[X402_DURATION_TEXT_SIZE], uint64_t microseconds);

/*
 * Seconds from "90s", "15m", "2h", "3d", "1w", or until now from "2026-01-31" and
 * "2026-01-31T12:00:00Z" (UTC): the Unix time it began. False for anything else.
 */
X402_MUST_USE bool x402_cli_since_decode(int64_t *out, const char *text, int64_t now);

/* Columns of the terminal that out is; 0 when it is none, or does not say. */
unsigned x402_cli_columns(FILE *out);

/* "0x" and 2 * size hex digits, zero-terminated. */
void x402_cli_hex_text(char *out, size_t out_max, const uint8_t *bytes, size_t size);

/*
 * The name and token of (chain, asset) for people: the built-in network, or CAIP-2 id
 * and plain token units (decimals 0) for another. Sets *known.
 */
void x402_cli_network_of(struct x402_network *out, bool *known, uint64_t chain_id,
                         const uint8_t asset20[20]);

#endif
