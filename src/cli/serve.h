/*
 * `x402 serve`, in parts: flags become one plain struct, the struct becomes an nginx
 * configuration, and a supervisor runs nginx and the settler. Only the parts include
 * this.
 */
#ifndef X402_CLI_SERVE_H
#define X402_CLI_SERVE_H

#include "cli/facilitator.h"

#include <x402/rate.h>

#include <sys/types.h>

/* What the person wrote; NULL where nothing was. */
struct x402_serve_flags {
    const char *upstream, *price, *pay_to, *network, *listen, *data, *rate, *window;
    const char *rpc, *settler_key, *settle, *workers;
    struct x402_cli_facilitator_flags facilitator;
    const char *batch_age;
    const char *max_unsettled, *max_unsettled_new, *max_unsettled_total;
    const char *access_log, *log_format, *status;
    struct x402_option_list routes, frees;
    bool shadow, print_config;
};

#define X402_HOST_MAX 256 /* bytes, with the zero */

struct x402_endpoint {
    bool tls;
    bool is_address;          /* an IP address, not a name */
    char host[X402_HOST_MAX]; /* an IPv6 address in its brackets */
    uint16_t port;
};

/* A path, and all below it, with a price of its own. */
struct x402_serve_rule {
    struct x402_slice path; /* starts with '/', does not end with it */
    uint64_t micro_usd;     /* 0: free */
};

#define X402_SERVE_RULES_MAX 256

/* How much may be served before it is settled, in millionths of a dollar. */
struct x402_serve_credit {
    bool off; /* no bound at all */
    uint64_t payer_micro_usd, new_payer_micro_usd, total_micro_usd;
};

/* Everything that was said, checked. Borrows from the flags. */
struct x402_serve {
    struct x402_endpoint upstream;
    struct x402_endpoint listen;
    uint64_t micro_usd; /* of what no rule names; 0: free */
    struct x402_serve_rule rules[X402_SERVE_RULES_MAX]; /* longest path first */
    size_t rules_count;
    uint8_t pay_to20[20];
    struct x402_network network;
    struct x402_rate rate; /* of one payer */
    unsigned window_seconds;
    bool settle_first; /* --settle before */
    struct x402_serve_credit credit;
    unsigned workers;                              /* 0: as many as processors */
    const char *rpc_url, *settler_key;             /* a key needs a node */
    struct x402_cli_facilitator_flags facilitator; /* instead of a key */
    const char *batch_age;  /* seconds, of the settler; NULL: its default */
    bool shadow;            /* nothing is charged */
    bool status_private;    /* figures are shown to who has the token */
    const char *access_log; /* NULL: none */
    const char *log_format; /* of the settler; NULL: its default */
};

/* Whether it settles what it sells, by a key or a facilitator. */
bool x402_serve_settles(const struct x402_serve *serve);

/* Where things are on this machine. */
struct x402_serve_place {
    char data_dir[X402_PATH_MAX];
    char ledger[X402_PATH_MAX];
    char module[X402_PATH_MAX];
    char ca_bundle[X402_PATH_MAX];  /* "" when the upstream is not TLS */
    char token[X402_PATH_MAX];      /* file of the status page's; "" when it has none */
    char access_log[X402_PATH_MAX]; /* absolute; "" when there is none */
    char run_prefix[X402_PATH_MAX]; /* + "conf", "pid", "lock" */
    bool as_root;
    char worker_user[64]; /* as_root: nginx's workers run as */
    uid_t worker_uid;     /* as_root; otherwise ours */
    gid_t worker_gid;
};

/* serve_flags.c: checks all flags. False: the usage error has been printed. */
X402_MUST_USE bool x402_serve_decode(struct x402_serve *out,
                                     const struct x402_serve_flags *flags);

/* "HOST:PORT" as nginx and URLs write it; the default port of the scheme left out when
 * `short_form`. */
#define X402_ENDPOINT_TEXT_SIZE (X402_HOST_MAX + 8)
void x402_endpoint_encode(char out[X402_ENDPOINT_TEXT_SIZE],
                          const struct x402_endpoint *endpoint, bool short_form);

/* serve_config.c: the whole nginx configuration. Pure. */
void x402_serve_config_write(FILE *out, const struct x402_serve *serve,
                             const struct x402_serve_place *place);

/* serve_place.c. Each prints why when it returns false. */
X402_MUST_USE bool x402_serve_place_find(struct x402_serve_place *out,
                                         const struct x402_serve *serve,
                                         const char *data_option);
/*
 * Where the files of a running gateway begin, by its data directory: "conf", "pid" and
 * "lock" follow. "/run/x402-var-lib-x402." for root, in the data directory for others.
 */
X402_MUST_USE bool x402_serve_run_prefix(char out[X402_PATH_MAX], const char *data_dir);
/* Makes the data directory, closed to others and open to nginx's workers. */
X402_MUST_USE bool x402_serve_place_make(const struct x402_serve_place *place);
/*
 * Makes the status page's token when it is to have one and there is none, in the data
 * directory, readable by nobody but us: nginx's master reads it, its workers need not.
 */
X402_MUST_USE bool x402_serve_token_make(const struct x402_serve_place *place);
X402_MUST_USE bool x402_serve_nginx_find(char out[X402_PATH_MAX]);

/*
 * serve_run.c: runs nginx and, when there is a key, the settler, until a signal stops
 * them or nginx dies. `announce` is called once, when nginx is ready. The exit code.
 */
int x402_serve_run(const struct x402_serve *serve, const struct x402_serve_place *place,
                   const char *nginx,
                   void (*announce)(const struct x402_serve *serve,
                                    const struct x402_serve_place *place));

#endif
