/* `x402 serve`: sells what an upstream answers. */
#include "cli/serve.h"
#include "ledger/ledger.h"
#include "settle/key.h"

#include <x402/money.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COMMAND "serve"

static const char help[] =
    "usage: x402 serve --upstream URL --price USD --pay-to ADDRESS [OPTIONS]\n"
    "\n"
    "Puts a price on every call to an HTTP server. Runs nginx, and the settler when\n"
    "there is a node and a key, in the foreground; Ctrl-C stops both cleanly.\n"
    "\n"
    "What is sold\n"
    "  --upstream URL        the server whose answers are sold: http://HOST:PORT, or\n"
    "                        https://NAME, whose certificate is checked\n"
    "  --price USD           of a call: dollars, 0.001, or cents, 0.1c\n"
    "  --route PATH=USD      another price for PATH and all below it (repeatable)\n"
    "  --free PATH           no price for PATH and all below it (repeatable)\n"
    "\n"
    "To whom\n"
    "  --pay-to ADDRESS      who gets the money: 0x and 40 hex digits\n"
    "  --network NAME        what it is paid on: base, base-sepolia (the default,\n"
    "                        play money) or another that is built in, or its id\n"
    "  --rate N/m            calls a payer may make a minute (r/m) or second (r/s),\n"
    "                        or off; default 60r/m\n"
    "  --window SECONDS      how long callers are asked to let a payment be valid,\n"
    "                        which is the time there is to settle it; default 300\n"
    "\n"
    "Settling\n"
    "  --rpc URL             an Ethereum node of that network\n"
    "  --settler-key FILE    the key that pays for gas: x402 wallet new FILE\n"
    "  --facilitator URL     an x402 facilitator that settles, with no key of yours;\n"
    "                        with --rpc the chain has the last word about what it\n"
    "                        says, and payments become final\n"
    "  --facilitator-header-file FILE\n"
    "                        lines that go with every request to it, like\n"
    "                        \"Authorization: Bearer …\"; mode 0600\n"
    "  --facilitator-timeout SECONDS\n"
    "                        how long it may take to answer; default 90\n"
    "  --batch-age SECONDS   how long payments wait for company, which makes them\n"
    "                        cheaper to settle; default 10\n"
    "  --settle after|before when calls settle: after they are served (the default),\n"
    "                        within the bounds below, or before\n"
    "  --max-unsettled USD   what one payer may have been served and not settled yet,\n"
    "                        and never above its balance; default 1; off for no bound\n"
    "  --max-unsettled-new USD    the same for one whose balance is not known yet;\n"
    "                        default 0.01\n"
    "  --max-unsettled-total USD  the same for all payers together; default 10. Those\n"
    "                        whose balance is not known have half of it at most\n"
    "                        Beyond a bound a call is settled before it is served.\n"
    "\n"
    "Running\n"
    "  --listen ADDRESS      default 127.0.0.1:4020; *:4020 is open to the world\n"
    "  --data DIR            the ledger's directory; default /var/lib/x402 for root,\n"
    "                        ~/.local/share/x402 for others\n"
    "  --workers N           nginx workers; default one a processor\n"
    "  --shadow              charge nothing: every call is forwarded unpaid, and what\n"
    "                        a price would have asked, refused and earned is counted\n"
    "  --status public|private    who sees the figures of /x402/status: everybody, as\n"
    "                        sums (the default), or who has a token, with payers;\n"
    "                        the token is made in the data directory\n"
    "  --access-log FILE     a line of JSON for every call\n"
    "  --log-format text|json    how the settler tells what it does, on stderr\n"
    "  --print-config        print the nginx configuration instead of running it\n"
    "\n"
    "Examples\n"
    "  Sell an API of this machine for a tenth of a cent a call, its health free:\n"
    "    x402 serve --upstream http://127.0.0.1:3000 --price 0.001 --free /health \\\n"
    "      --pay-to 0x209693Bc6afc0C5328bA36FaF03C514EF312287C\n"
    "  Settle what is sold, too:\n"
    "    x402 wallet new settler.key          # then send it some ETH for gas\n"
    "    x402 serve … --rpc https://sepolia.base.org --settler-key settler.key\n"
    "  See what a price would earn, before anybody pays it:\n"
    "    x402 serve … --shadow\n"
    "  Outgrow the flags:\n"
    "    x402 serve … --print-config > gateway.conf && nginx -c $PWD/gateway.conf\n"
    "\n"
    "SIGHUP reloads nginx. Exit codes: 0 stopped, 1 failed, 2 wrong usage.\n";

/* ------------------------------------------------------------------ announcement */

static void print_price(uint64_t micro_usd)
{
    char price[X402_AMOUNT_TEXT_SIZE];
    if (micro_usd == 0) {
        fputs("free", stdout);
        return;
    }
    x402_amount_encode(price, micro_usd, 6);
    printf("$%s", price);
}

static void print_label(const char *label)
{
    printf("  %s%-10s%s", x402_cli_style(stdout, X402_STYLE_DIM), label,
           x402_cli_style(stdout, X402_STYLE_PLAIN));
}

static void print_prices(const struct x402_serve *serve)
{
    print_label("price");
    print_price(serve->micro_usd);
    puts(" a call");
    for (size_t i = 0; i < serve->rules_count; i++) {
        const struct x402_serve_rule *rule = &serve->rules[i];
        print_label("");
        print_price(rule->micro_usd);
        printf("  %.*s\n", (int)rule->path.size, rule->path.data);
    }
}

/* A node's URL may hold a secret after its host, or before. */
static void print_origin(const char *url)
{
    const char *host = strstr(url, "://") + 3;
    size_t size = strcspn(host, "/?#");
    const char *at = memchr(host, '@', size);
    const char *shown = at ? at + 1 : host;
    printf("%.*s%.*s", (int)(host - url), url, (int)(size - (size_t)(shown - host)),
           shown);
}

static void print_facilitator(const struct x402_serve *serve)
{
    fputs("through the facilitator ", stdout);
    print_origin(serve->facilitator.url);
    if (serve->rpc_url != NULL) {
        fputs(", checked by ", stdout);
        print_origin(serve->rpc_url);
    } else {
        fputs(", whose word is all there is: with --rpc the chain is asked", stdout);
    }
    putchar('\n');
}

static void print_settling(const struct x402_serve *serve)
{
    print_label("settling");
    if (serve->facilitator.url != NULL) {
        print_facilitator(serve);
        return;
    }
    if (serve->settler_key == NULL) {
        printf(
            "%sno chain to settle on%s: what is sold waits in the ledger, and is lost "
            "when\n            it has not settled within %u s, and nothing bounds "
            "that: give --rpc and\n            --settler-key, or --facilitator, or run "
            "x402 settle\n",
            x402_cli_style(stdout, X402_STYLE_WARN),
            x402_cli_style(stdout, X402_STYLE_PLAIN), serve->window_seconds);
        return;
    }
    fputs("through ", stdout);
    print_origin(serve->rpc_url);
    printf(", gas paid by the key in %s\n", serve->settler_key);
}

static void print_credit(const struct x402_serve *serve)
{
    const struct x402_serve_credit *credit = &serve->credit;
    if (serve->settle_first || credit->off)
        return;
    char payer[X402_AMOUNT_TEXT_SIZE], new_payer[X402_AMOUNT_TEXT_SIZE];
    char total[X402_AMOUNT_TEXT_SIZE];
    x402_amount_encode(payer, credit->payer_micro_usd, 6);
    x402_amount_encode(new_payer, credit->new_payer_micro_usd, 6);
    x402_amount_encode(total, credit->total_micro_usd, 6);
    print_label("credit");
    printf("up to $%s a payer, $%s a new one, $%s in all; beyond, calls settle first\n",
           payer, new_payer, total);
}

/* Said before the prices: they are what would be asked. */
static void print_shadow(const struct x402_serve *serve)
{
    if (!serve->shadow)
        return;
    print_label("shadow");
    printf("%snothing is charged%s: every call is forwarded unpaid; what it would have "
           "cost\n            is counted and shown\n",
           x402_cli_style(stdout, X402_STYLE_WARN),
           x402_cli_style(stdout, X402_STYLE_PLAIN));
}

static void print_pages(const struct x402_serve_place *place, const char *listen)
{
    print_label("status");
    printf("http://%s/x402/status\n", listen);
    if (place->token[0] != '\0') {
        print_label("token");
        printf("in %s: any user name, and this as the password\n", place->token);
    }
    if (place->access_log[0] != '\0') {
        print_label("log");
        printf("%s\n", place->access_log);
    }
}

static void announce(const struct x402_serve *serve,
                     const struct x402_serve_place *place)
{
    char listen[X402_ENDPOINT_TEXT_SIZE], upstream[X402_ENDPOINT_TEXT_SIZE];
    char payee[X402_ADDRESS_TEXT_SIZE], caip2[X402_CAIP2_TEXT_SIZE];
    x402_endpoint_encode(listen, &serve->listen, true);
    x402_endpoint_encode(upstream, &serve->upstream, true);
    x402_address_encode(payee, serve->pay_to20);
    x402_caip2_encode(caip2, serve->network.chain_id);
    printf("%sx402 %s http%s://%s on http://%s%s\n\n",
           x402_cli_style(stdout, X402_STYLE_BOLD),
           serve->shadow ? "would sell" : "sells", serve->upstream.tls ? "s" : "",
           upstream, listen, x402_cli_style(stdout, X402_STYLE_PLAIN));
    print_shadow(serve);
    print_prices(serve);
    print_label("paid to");
    printf("%s\n", payee);
    print_label("in");
    printf("%s on %s%s%s%s\n", serve->network.asset_name, serve->network.name,
           serve->network.name[0] ? ", " : "", caip2,
           serve->network.testnet ? " (play money)" : "");
    if (!serve->shadow) {
        print_settling(serve);
        print_credit(serve);
    }
    print_label("ledger");
    printf("%s\n", place->ledger);
    print_pages(place, listen);
    puts("\nCtrl-C stops it.");
}

/* ------------------------------------------------------------------------ checks */

static bool make_socket_address(struct sockaddr_storage *out, socklen_t *size,
                                const struct x402_endpoint *endpoint)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    char host[X402_HOST_MAX];
    memset(out, 0, sizeof *out);
    if (endpoint->host[0] != '[') {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(endpoint->port);
        *size = sizeof *v4;
        return inet_pton(AF_INET, endpoint->host, &v4->sin_addr) == 1;
    }
    snprintf(host, sizeof host, "%s", endpoint->host + 1);
    host[strcspn(host, "]")] = '\0';
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(endpoint->port);
    *size = sizeof *v6;
    return inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
}

/* nginx would try for seconds, and then say it less well. */
static bool can_listen(const struct x402_endpoint *endpoint)
{
    struct sockaddr_storage address;
    socklen_t size;
    int one = 1;
    char text[X402_ENDPOINT_TEXT_SIZE];
    if (!make_socket_address(&address, &size, endpoint))
        return true;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (address.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    bool fine = bind(fd, (struct sockaddr *)&address, size) == 0 && listen(fd, 1) == 0;
    int why = errno;
    close(fd);
    x402_endpoint_encode(text, endpoint, false);
    if (!fine && why == EADDRINUSE)
        x402_cli_error(COMMAND, "%s is in use: choose another with --listen", text);
    else if (!fine)
        x402_cli_error(COMMAND, "cannot listen on %s: %s", text, strerror(why));
    return fine;
}

static bool can_ask(const struct x402_serve *serve)
{
    static const struct x402_option_list none;
    static struct x402_cli_facilitator facilitator;
    int code;
    bool fine = x402_cli_facilitator_open(&facilitator, &code, COMMAND,
                                          &serve->facilitator, &none);
    x402_bytes_wipe(facilitator.headers, sizeof facilitator.headers);
    return fine;
}

/* A key that cannot be used is found now, not by a settler that dies again and again.
 */
static bool can_settle(const struct x402_serve *serve)
{
    uint8_t key32[32];
    char message[X402_KEY_MESSAGE_MAX];
    if (serve->settler_key == NULL)
        return serve->facilitator.url == NULL || can_ask(serve);
    bool fine = x402_key_load(key32, serve->settler_key, message) == X402_OK;
    if (!fine)
        x402_cli_error(COMMAND, "--settler-key: %s", message);
    x402_bytes_wipe(key32, sizeof key32);
    return fine;
}

static bool make_ledger(const struct x402_serve_place *place)
{
    char message[X402_LEDGER_MESSAGE_MAX];
    unsigned uid = place->as_root ? place->worker_uid : (unsigned)-1;
    unsigned gid = place->as_root ? place->worker_gid : (unsigned)-1;
    if (x402_ledger_create(place->ledger, uid, gid, message) == X402_OK)
        return true;
    x402_cli_error(COMMAND, "%s", message);
    return false;
}

/* --------------------------------------------------------------------------- run */

static int serve_now(const struct x402_serve *serve,
                     const struct x402_serve_place *place)
{
    char nginx[X402_PATH_MAX];
    if (!x402_serve_nginx_find(nginx) || !can_settle(serve) ||
        !can_listen(&serve->listen) || !x402_serve_place_make(place) ||
        !x402_serve_token_make(place) || !make_ledger(place))
        return X402_EXIT_FAILED;
    return x402_serve_run(serve, place, nginx, announce);
}

/* The directory is made, so that nginx can check and run what is printed. */
static int print_config(const struct x402_serve *serve,
                        const struct x402_serve_place *place)
{
    if (!x402_serve_place_make(place) || !x402_serve_token_make(place))
        return X402_EXIT_FAILED;
    x402_serve_config_write(stdout, serve, place);
    return X402_EXIT_DONE;
}

int x402_cli_serve(int argc, char **argv)
{
    static struct x402_serve_flags flags;
    static struct x402_serve serve;
    static struct x402_serve_place place;
    const struct x402_option options[] = {
        {"upstream", 0, X402_OPTION_TEXT, &flags.upstream},
        {"price", 0, X402_OPTION_TEXT, &flags.price},
        {"pay-to", 0, X402_OPTION_TEXT, &flags.pay_to},
        {"network", 0, X402_OPTION_TEXT, &flags.network},
        {"listen", 0, X402_OPTION_TEXT, &flags.listen},
        {"data", 0, X402_OPTION_TEXT, &flags.data},
        {"route", 0, X402_OPTION_LIST, &flags.routes},
        {"free", 0, X402_OPTION_LIST, &flags.frees},
        {"rate", 0, X402_OPTION_TEXT, &flags.rate},
        {"window", 0, X402_OPTION_TEXT, &flags.window},
        {"rpc", 0, X402_OPTION_TEXT, &flags.rpc},
        {"settler-key", 0, X402_OPTION_TEXT, &flags.settler_key},
        {"settle", 0, X402_OPTION_TEXT, &flags.settle},
        {"batch-age", 0, X402_OPTION_TEXT, &flags.batch_age},
        {"max-unsettled", 0, X402_OPTION_TEXT, &flags.max_unsettled},
        {"max-unsettled-new", 0, X402_OPTION_TEXT, &flags.max_unsettled_new},
        {"max-unsettled-total", 0, X402_OPTION_TEXT, &flags.max_unsettled_total},
        {"workers", 0, X402_OPTION_TEXT, &flags.workers},
        {"facilitator", 0, X402_OPTION_TEXT, &flags.facilitator.url},
        {"facilitator-header-file", 0, X402_OPTION_TEXT,
         &flags.facilitator.header_file},
        {"facilitator-timeout", 0, X402_OPTION_TEXT, &flags.facilitator.timeout},
        {"shadow", 0, X402_OPTION_FLAG, &flags.shadow},
        {"status", 0, X402_OPTION_TEXT, &flags.status},
        {"access-log", 0, X402_OPTION_TEXT, &flags.access_log},
        {"log-format", 0, X402_OPTION_TEXT, &flags.log_format},
        {"print-config", 0, X402_OPTION_FLAG, &flags.print_config},
        {NULL, 0, X402_OPTION_FLAG, NULL},
    };
    struct x402_arguments arguments = {.help = help, .options = options};
    switch (x402_cli_parse(&arguments, argc, argv)) {
    case X402_PARSED_HELP:
        return X402_EXIT_DONE;
    case X402_PARSED_WRONG:
        return X402_EXIT_USAGE;
    case X402_PARSED_RUN:
        break;
    }
    if (!x402_serve_decode(&serve, &flags))
        return X402_EXIT_USAGE;
    if (!x402_serve_place_find(&place, &serve, flags.data))
        return X402_EXIT_FAILED;
    return flags.print_config ? print_config(&serve, &place)
                              : serve_now(&serve, &place);
}
