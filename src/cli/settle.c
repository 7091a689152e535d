/* `x402 settle`: the settler, and the options and signals around it. */
#include "cli/cli.h"
#include "cli/facilitator.h"

#include "settle/key.h"
#include "settle/settler.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define COMMAND "settle"

#define BATCH_SIZE_MAX 200
#define BATCH_AGE_MAX 3600
#define GWEI_DECIMALS 9
#define GWEI_MAX 1000000

static const char help[] =
    "usage: x402 settle --rpc NETWORK=URL --key FILE [--data DIR] [--once]\n"
    "                   [--batch-size N] [--batch-age SECONDS] [--max-fee GWEI]\n"
    "                   [--log-format text|json]\n"
    "       x402 settle --facilitator URL [--rpc NETWORK=URL] [--data DIR] [--once]\n"
    "\n"
    "Collects what was sold: sends the payments that are due to their chain, reads "
    "what\n"
    "became of them, and records each as settled or failed. Stop it and start it "
    "again\n"
    "whenever you like; nothing is paid twice and nothing is forgotten.\n"
    "\n"
    "  --rpc NETWORK=URL  a node of a network; once for each network you sell on.\n"
    "                     NETWORK is a name like base-sepolia or an id like "
    "eip155:84532\n"
    "  --key FILE         the private key that pays for gas, and for nothing else: "
    "the\n"
    "                     callers' money goes straight to the payee. The file must be\n"
    "                     yours alone (mode 0600)\n"
    "  --data DIR         the gateway's data directory; its ledger is DIR/ledger.db\n"
    "  --once             settle what is due, wait for it, and end; 0 when nothing is\n"
    "                     left, 1 when something is, and what and why is said\n"
    "  --log-format FORMAT  how events are told on stderr: text, or json, a line an\n"
    "                     event, with the receipts of its payments\n"
    "\n"
    "Where the batching contract is ('x402 contract deploy'), payments to one payee "
    "go\n"
    "together, at little more than half the gas. A batch goes as soon as one of these\n"
    "is true, and when a payment in it nears its end; a caller that waits for its\n"
    "settlement waits for no batch.\n"
    "\n"
    "  --batch-size N         so many payments are enough (1 to 200; default 100)\n"
    "  --batch-age SECONDS    the oldest has been due so long (0 to 3600; default "
    "10).\n"
    "                         With --once nothing waits\n"
    "  --max-fee GWEI         the most to pay a unit of gas, such as 0.05: above it\n"
    "                         nothing is sent, and what runs out meanwhile is lost.\n"
    "                         'x402 check' says what calls cost to settle\n"
    "\n"
    "Without a key of yours, through any x402 facilitator:\n"
    "\n"
    "  --facilitator URL  who settles; with --rpc the chain has the last word about\n"
    "                     what it says, without, payments never become final\n"
    "  --network NETWORK  only payments on this network, of those it settles on;\n"
    "                     repeatable\n"
    "  --facilitator-header-file FILE\n"
    "                     lines like \"Authorization: Bearer …\" that go with every\n"
    "                     request; mode 0600\n"
    "  --facilitator-timeout SECONDS\n"
    "                     how long it may take to answer; 90\n"
    "\n"
    "Make a key, send it a little ETH for gas, and settle on Base Sepolia:\n"
    "\n"
    "  x402 wallet new settler.key\n"
    "  x402 settle --rpc base-sepolia=https://sepolia.base.org --key settler.key\n"
    "\n"
    "From cron, every ten minutes (calls must stay valid for longer than that):\n"
    "\n"
    "  x402 settle --once --data /var/lib/x402 --rpc base=https://… --key "
    "settler.key\n"
    "\n"
    "Several settlers may share a ledger, each with a key of its own. One that takes "
    "a\n"
    "key over from one that was killed on the same machine does so at once, otherwise\n"
    "after 30 seconds.\n"
    "\n"
    "Through a facilitator, checked by a node:\n"
    "\n"
    "  x402 settle --facilitator https://x402.org/facilitator \\\n"
    "      --rpc base-sepolia=https://sepolia.base.org\n";

/* -------------------------------------------------------------------------- signals */

/*
 * SIGTERM and SIGINT are blocked and read here, between steps: no step is cut in two,
 * and a wait ends at once.
 */
static bool stop_init(int *out)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    *out = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return *out >= 0;
}

static bool stop_wait(void *data, int fd, int milliseconds)
{
    const int *stop_fd = data;
    struct pollfd polled[2] = {{.fd = *stop_fd, .events = POLLIN},
                               {.fd = fd, .events = POLLIN}};

    return poll(polled, 2, milliseconds) > 0 && polled[0].revents != 0;
}

static void print_text(void *data, const struct x402_note_event *event)
{
    (void)data;
    x402_cli_note(COMMAND, "%s", event->message);
}

/* A line at once, whoever writes beside us. */
static void print_json(void *data, const struct x402_note_event *event)
{
    char line[X402_NOTE_JSON_MAX + 1];
    size_t size = x402_note_encode(line, event);

    (void)data;
    line[size++] = '\n';
    flockfile(stderr);
    fwrite(line, 1, size, stderr);
    funlockfile(stderr);
}

/* -------------------------------------------------------------------------- options */

static bool take_chains(struct x402_settler_chain *chains, size_t *count,
                        const struct x402_option_list *list)
{
    *count = 0;
    if (list->count > X402_SETTLER_CHAINS_MAX) {
        x402_cli_usage_error(COMMAND, "--rpc: at most %d networks",
                             X402_SETTLER_CHAINS_MAX);
        return false;
    }
    for (size_t i = 0; i < list->count; i++) {
        struct x402_rpc_option option;
        const char *why = "";
        if (x402_cli_rpc_decode(&option, &why, list->items[i]) != X402_OK) {
            x402_cli_usage_error(COMMAND, "--rpc: %s", why);
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (chains[j].network.chain_id == option.network.chain_id) {
                x402_cli_usage_error(COMMAND, "--rpc: a network is named twice");
                return false;
            }
        }
        chains[(*count)++] =
            (struct x402_settler_chain){.network = option.network, .url = option.url};
    }
    return true;
}

/* A decimal number of gwei, as wei. */
static bool decode_gwei(uint64_t *out_wei, const char *text)
{
    size_t whole = strspn(text, "0123456789"), part = 0;
    const char *end = text + whole;
    uint64_t wei = 0;

    if (whole == 0 || whole > 7)
        return false;
    if (*end == '.') {
        part = strspn(end + 1, "0123456789");
        end += 1 + part;
        if (part == 0 || part > GWEI_DECIMALS)
            return false;
    }
    if (*end != '\0')
        return false;
    for (const char *at = text; at < end; at++) {
        if (*at != '.')
            wei = 10 * wei + (uint64_t)(*at - '0');
    }
    for (size_t i = part; i < GWEI_DECIMALS; i++)
        wei *= 10;
    *out_wei = wei;
    return wei > 0 && wei <= GWEI_MAX * UINT64_C(1000000000);
}

/* Those not given keep their defaults. */
struct texts {
    const char *batch_size, *batch_age, *max_fee;
    const char *log_format;
};

static bool take_log_format(struct x402_settler_options *out, const char *format)
{
    if (format == NULL || strcmp(format, "text") == 0) {
        out->note = print_text;
    } else if (strcmp(format, "json") == 0) {
        out->note = print_json;
    } else {
        x402_cli_usage_error(COMMAND, "--log-format: write text or json");
        return false;
    }
    return true;
}

static bool take_policy(struct x402_settler_options *out, const struct texts *texts)
{
    uint64_t size = 0, age = 0;
    const char *problem = NULL;

    if (texts->batch_size != NULL &&
        !x402_cli_number(&size, texts->batch_size, 1, BATCH_SIZE_MAX))
        problem = "--batch-size: write a number of payments, 1 to 200";
    else if (texts->batch_age != NULL &&
             !x402_cli_number(&age, texts->batch_age, 0, BATCH_AGE_MAX))
        problem = "--batch-age: write seconds, 0 to 3600";
    else if (texts->max_fee != NULL && !decode_gwei(&out->max_fee_wei, texts->max_fee))
        problem = "--max-fee: write gwei a unit of gas, such as 0.05";
    if (problem != NULL)
        x402_cli_usage_error(COMMAND, "%s", problem);
    out->batch_size = (size_t)size;
    out->batch_age_seconds = texts->batch_age != NULL ? (int64_t)age : -1;
    return problem == NULL;
}

static int run(struct x402_settler_options *options)
{
    int stop_fd;

    if (!stop_init(&stop_fd)) {
        x402_cli_error(COMMAND, "cannot wait for signals: %s", strerror(errno));
        return X402_EXIT_FAILED;
    }
    options->wait = stop_wait;
    options->data = &stop_fd;
    enum x402_error error = x402_settler_run(options);
    close(stop_fd);
    return error == X402_OK ? X402_EXIT_DONE : X402_EXIT_FAILED;
}

static int run_with_key(struct x402_settler_options *options, const char *key_path)
{
    char message[X402_KEY_MESSAGE_MAX];
    uint8_t key32[32];

    if (x402_key_load(key32, key_path, message) != X402_OK) {
        x402_cli_error(COMMAND, "--key: %s", message);
        return X402_EXIT_FAILED;
    }
    options->key32 = key32;
    int code = run(options);
    x402_bytes_wipe(key32, sizeof key32);
    /* The settler is no more. NOLINTNEXTLINE(clang-analyzer-core.StackAddressEscape) */
    return code;
}

static int run_with_facilitator(struct x402_settler_options *options,
                                const struct x402_cli_facilitator_flags *flags,
                                const struct x402_option_list *networks)
{
    static struct x402_cli_facilitator facilitator;
    int code;

    if (!x402_cli_facilitator_open(&facilitator, &code, COMMAND, flags, networks))
        return code;
    options->remote = &facilitator.options;
    code = run(options);
    x402_bytes_wipe(facilitator.headers, sizeof facilitator.headers);
    return code;
}

/* A key, or a facilitator: who pays for gas. */
static const char *missing(const struct x402_cli_facilitator_flags *facilitator,
                           const char *key, size_t rpcs, size_t networks)
{
    if (facilitator->url != NULL && key != NULL)
        return "--facilitator and --key: one of them settles, leave the other out";
    if (facilitator->url != NULL)
        return NULL;
    if (networks > 0)
        return "--network goes with --facilitator: with a key, --rpc says which";
    if (rpcs == 0)
        return "--rpc NETWORK=URL is missing";
    return key == NULL ? "--key FILE is missing" : NULL;
}

int x402_cli_settle(int argc, char **argv)
{
    static struct x402_settler_chain chains[X402_SETTLER_CHAINS_MAX];
    static struct x402_option_list rpcs, networks;
    static struct x402_cli_facilitator_flags facilitator;
    const char *data = NULL, *key = NULL;
    struct texts texts = {0};
    char ledger_path[X402_PATH_MAX];
    bool once = false;
    const struct x402_option options[] = {
        {"data", 0, X402_OPTION_TEXT, &data},
        {"rpc", 0, X402_OPTION_LIST, &rpcs},
        {"key", 0, X402_OPTION_TEXT, &key},
        {"once", 0, X402_OPTION_FLAG, &once},
        {"batch-size", 0, X402_OPTION_TEXT, &texts.batch_size},
        {"batch-age", 0, X402_OPTION_TEXT, &texts.batch_age},
        {"max-fee", 0, X402_OPTION_TEXT, &texts.max_fee},
        {"log-format", 0, X402_OPTION_TEXT, &texts.log_format},
        {"facilitator", 0, X402_OPTION_TEXT, &facilitator.url},
        {"facilitator-header-file", 0, X402_OPTION_TEXT, &facilitator.header_file},
        {"facilitator-timeout", 0, X402_OPTION_TEXT, &facilitator.timeout},
        {"network", 0, X402_OPTION_LIST, &networks},
        {NULL, 0, X402_OPTION_FLAG, NULL},
    };
    struct x402_arguments arguments = {.help = help, .options = options};
    enum x402_parsed parsed = x402_cli_parse(&arguments, argc, argv);
    size_t count;

    if (parsed != X402_PARSED_RUN)
        return parsed == X402_PARSED_HELP ? X402_EXIT_DONE : X402_EXIT_USAGE;
    const char *problem = missing(&facilitator, key, rpcs.count, networks.count);
    if (problem != NULL)
        return x402_cli_usage_error(COMMAND, "%s", problem);
    if (!x402_cli_facilitator_check(COMMAND, &facilitator))
        return X402_EXIT_USAGE;
    if (!take_chains(chains, &count, &rpcs))
        return X402_EXIT_USAGE;
    struct x402_settler_options settler = {.chains = chains, .once = once};
    if (!take_policy(&settler, &texts) || !take_log_format(&settler, texts.log_format))
        return X402_EXIT_USAGE;
    if (!x402_cli_ledger_path(ledger_path, COMMAND, data))
        return X402_EXIT_FAILED;
    settler.ledger_path = ledger_path;
    settler.chains_count = count;
    return facilitator.url != NULL
               ? run_with_facilitator(&settler, &facilitator, &networks)
               : run_with_key(&settler, key);
}
