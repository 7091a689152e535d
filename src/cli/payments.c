/* `x402 payments`: lists payments, shows one, follows them. */
#include "cli/payment_listing.h"

#include "core/clock.h"

#include <stdlib.h>
#include <string.h>

#define COMMAND "payments"
#define LIMIT_TABLE 20
#define LIMIT_JSON 1000
#define LIMIT_FOLLOW 10
#define CLOCK_SLACK_SECONDS 3600 /* ids follow time but for a clock that was set */

static const char help[] =
    "usage: x402 payments [--data DIR] [--status S] [--money M] [--payer ADDRESS]\n"
    "                     [--route R] [--network N] [--since T] [--receipt ID]\n"
    "                     [--limit N] [--json] [--follow]\n"
    "\n"
    "Lists payments, newest first. Each has a receipt id: the name it has in the\n"
    "access log, in the settler's log and in the address its caller was given.\n"
    "\n"
    "  --data DIR       the ledger's directory; default /var/lib/x402 for root,\n"
    "                   ~/.local/share/x402 for others\n"
    "  --status S       only those whose delivery is pending, delivered, void,\n"
    "                   abandoned or owed, or whose money is held, due, submitted,\n"
    "                   settled, final, failed or released\n"
    "  --money M        the same of the money alone, beside a --status of delivery\n"
    "  --payer ADDRESS  only those of one payer\n"
    "  --route R        only those of one route, written as in the list\n"
    "  --network N      only those of one network: base-sepolia, eip155:84532\n"
    "  --since T        only those made since: 15m, 2h, 3d, 2026-01-31,\n"
    "                   2026-01-31T12:00:00Z (UTC)\n"
    "  --receipt ID     the one of a receipt id, a receipt's URL or a number, with "
    "all\n"
    "                   that is known of it\n"
    "  --limit N        at most so many; default 20, with --json 1000\n"
    "  --json           one JSON array; with --follow an object a line. value is in\n"
    "                   units of the token, amount in whole tokens, both strings\n"
    "  --follow         the last 10 (or --limit), then each new one when its outcome\n"
    "                   is known, and each change of it, until Ctrl-C\n"
    "\n"
    "Examples\n"
    "  x402 payments --status failed --since 1d     what was lost today, and why\n"
    "  x402 payments --status owed                  charged, not served yet\n"
    "  x402 payments --receipt E3kz0iF2XwPzTqV9mYb1Cg\n"
    "  x402 payments --follow --route /api/ask\n"
    "  x402 payments --json --status final | jq -r '.[].transaction'\n"
    "  x402 payments --follow --json | while read -r payment; do …; done\n";

/* ------------------------------------------------------------------------- choosing
 */

bool x402_payment_listed(const struct x402_payment_listing *listing,
                         const struct x402_payment_row *row)
{
    const struct x402_settlement *payment = &row->settlement;

    return (!listing->by_delivery || payment->state.delivery == listing->delivery) &&
           (!listing->by_money || payment->state.money == listing->money) &&
           (!listing->by_payer || memcmp(payment->from20, listing->payer20, 20) == 0) &&
           (listing->chain_id == 0 || payment->chain_id == listing->chain_id) &&
           (listing->route == NULL || strcmp(row->route, listing->route) == 0) &&
           row->created_at_seconds >= listing->since_seconds;
}

void x402_payment_print(const struct x402_payment_listing *listing,
                        const struct x402_payment_row *row)
{
    if (listing->json) {
        x402_cli_payment_json(stdout, row, listing->key32);
        putchar('\n');
    } else {
        x402_payment_table_row(&listing->table, row);
    }
}

/* -------------------------------------------------------------------------- once */

/* What the ledger cannot choose by itself is chosen here, row by row. */
struct collection {
    const struct x402_payment_listing *listing;
    struct x402_rows rows;
};

static bool collect(const struct x402_payment_row *row, void *data)
{
    struct collection *collection = data;
    const struct x402_payment_listing *listing = collection->listing;

    if (row->created_at_seconds < listing->since_seconds - CLOCK_SLACK_SECONDS)
        return false;
    if (!x402_payment_listed(listing, row))
        return true;
    return x402_rows_keep(&collection->rows, row) &&
           collection->rows.count < listing->limit;
}

static bool read_rows(struct collection *out, struct x402_payment_listing *listing)
{
    struct x402_payment_filter filter = {.by_delivery = listing->by_delivery,
                                         .by_money = listing->by_money,
                                         .by_payer = listing->by_payer,
                                         .delivery = listing->delivery,
                                         .money = listing->money,
                                         .limit = SIZE_MAX};

    memcpy(filter.payer20, listing->payer20, sizeof filter.payer20);
    out->listing = listing;
    enum x402_error error =
        x402_ledger_payments(listing->ledger, &filter, collect, out);
    if (error == X402_OK && !out->rows.out_of_memory)
        return true;
    x402_cli_error(COMMAND, "%s",
                   out->rows.out_of_memory ? "not enough memory: lower --limit"
                                           : x402_ledger_message(listing->ledger));
    return false;
}

static void print_rows(const struct x402_payment_listing *listing,
                       const struct x402_rows *rows)
{
    if (listing->json)
        putchar('[');
    else if (rows->count > 0)
        x402_payment_table_head(&listing->table);
    for (size_t i = 0; i < rows->count; i++) {
        if (!listing->json) {
            x402_payment_table_row(&listing->table, &rows->rows[i]);
            continue;
        }
        fputs(i > 0 ? ",\n " : "", stdout);
        x402_cli_payment_json(stdout, &rows->rows[i], listing->key32);
    }
    if (listing->json)
        puts("]");
    else if (rows->count == 0)
        puts("no payments");
}

static int list_once(struct x402_payment_listing *listing)
{
    struct collection collection = {.rows = {0}};
    bool fine = read_rows(&collection, listing);

    if (fine)
        print_rows(listing, &collection.rows);
    if (fine && collection.rows.count == listing->limit)
        x402_cli_note(COMMAND, "there may be more: --limit N shows more than %zu",
                      collection.rows.count);
    x402_rows_release(&collection.rows);
    return fine ? X402_EXIT_DONE : X402_EXIT_FAILED;
}

/* --------------------------------------------------------------------------- one */

/* A receipt's id, a URL that ends with one, or a payment's number. */
static bool decode_receipt(int64_t *out, const char *text, const uint8_t key32[32])
{
    const char *slash = strrchr(text, '/');
    uint64_t number;

    if (x402_cli_number(&number, text, 1, INT64_MAX)) {
        *out = (int64_t)number;
        return true;
    }
    return x402_receipt_id_decode(out, key32,
                                  x402_slice_of(slash != NULL ? slash + 1 : text));
}

static int show_one(struct x402_payment_listing *listing, const char *receipt)
{
    struct x402_payment_row row;
    int64_t id;

    if (!decode_receipt(&id, receipt, listing->key32)) {
        x402_cli_error(COMMAND, "'%s' is no receipt of this ledger", receipt);
        return X402_EXIT_FAILED;
    }
    enum x402_error error = x402_ledger_payment(listing->ledger, &row, id);
    if (error == X402_ERR_NOT_FOUND)
        x402_cli_error(COMMAND,
                       "payment %lld is not in the ledger: not yet, or removed "
                       "as it was not charged",
                       (long long)id);
    else if (error != X402_OK)
        x402_cli_error(COMMAND, "%s", x402_ledger_message(listing->ledger));
    if (error != X402_OK)
        return X402_EXIT_FAILED;
    if (listing->json)
        x402_payment_print(listing, &row);
    else
        x402_payment_details(&row, listing->key32);
    return X402_EXIT_DONE;
}

/* ----------------------------------------------------------------------- options */

struct request {
    const char *data, *status, *money, *payer, *route, *network, *since, *receipt,
        *limit;
    bool follow;
};

static int refuse_status(const char *option, const char *text, bool deliveries)
{
    const char *names[X402_DELIVERY_COUNT + X402_MONEY_COUNT + 1];
    size_t count = 0;
    for (size_t i = 0; deliveries && i < X402_DELIVERY_COUNT; i++)
        names[count++] = x402_delivery_name((enum x402_delivery)i);
    for (size_t i = 0; i < X402_MONEY_COUNT; i++)
        names[count++] = x402_money_name((enum x402_money)i);
    names[count] = NULL;
    const char *nearest = x402_cli_nearest(names, text);
    if (nearest != NULL)
        return x402_cli_usage_error(COMMAND, "--%s: no status '%s': did you mean '%s'?",
                                    option, text, nearest);
    return x402_cli_usage_error(COMMAND, "--%s: no status '%s'", option, text);
}

/* Each: 0, or the exit code. */
static int decode_states(struct x402_payment_listing *listing,
                         const struct request *request)
{
    if (request->status != NULL) {
        listing->by_delivery = x402_delivery_named(&listing->delivery, request->status);
        if (!listing->by_delivery)
            listing->by_money = x402_money_named(&listing->money, request->status);
        if (!listing->by_delivery && !listing->by_money)
            return refuse_status("status", request->status, true);
    }
    if (request->money == NULL)
        return 0;
    if (listing->by_money)
        return x402_cli_usage_error(COMMAND,
                                    "--status and --money both name a state of money");
    listing->by_money = x402_money_named(&listing->money, request->money);
    return listing->by_money ? 0 : refuse_status("money", request->money, false);
}

static int decode_where(struct x402_payment_listing *listing,
                        const struct request *request)
{
    struct x402_network network;
    listing->route = request->route;
    listing->by_payer = request->payer != NULL;
    if (request->payer != NULL &&
        x402_address_decode(listing->payer20, x402_slice_of(request->payer)) != X402_OK)
        return x402_cli_usage_error(COMMAND,
                                    "--payer: '%s' is not an address: write 0x and 40 "
                                    "hex digits",
                                    request->payer);
    if (request->network == NULL ||
        x402_caip2_decode(&listing->chain_id, x402_slice_of(request->network)) ==
            X402_OK)
        return 0;
    if (x402_network_find(&network, x402_slice_of(request->network)) != X402_OK)
        return x402_cli_usage_error(COMMAND,
                                    "--network: no network '%s': write base-sepolia, "
                                    "or eip155:84532",
                                    request->network);
    listing->chain_id = network.chain_id;
    return 0;
}

static int decode_bounds(struct x402_payment_listing *listing,
                         const struct request *request)
{
    uint64_t number = request->follow ? LIMIT_FOLLOW
                      : listing->json ? LIMIT_JSON
                                      : LIMIT_TABLE;
    if (request->since != NULL &&
        !x402_cli_since_decode(&listing->since_seconds, request->since,
                               x402_clock_seconds()))
        return x402_cli_usage_error(COMMAND,
                                    "--since: '%s': write 15m, 2h, 3d, 2026-01-31 or "
                                    "2026-01-31T12:00:00Z",
                                    request->since);
    if (request->limit != NULL &&
        !x402_cli_number(&number, request->limit, 1, X402_ROWS_MAX))
        return x402_cli_usage_error(COMMAND, "--limit: '%s': write a number, 1 to %d",
                                    request->limit, X402_ROWS_MAX);
    listing->limit = (size_t)number;
    return 0;
}

static int decode(struct x402_payment_listing *listing, const struct request *request)
{
    int wrong = decode_states(listing, request);
    if (wrong == 0)
        wrong = decode_where(listing, request);
    if (wrong == 0)
        wrong = decode_bounds(listing, request);
    if (wrong == 0 && request->receipt != NULL && request->follow)
        wrong = x402_cli_usage_error(COMMAND, "--receipt is one payment: leave out "
                                              "--follow");
    return wrong;
}

static int run(struct x402_payment_listing *listing, const struct request *request)
{
    listing->table = (struct x402_payment_table){.key32 = listing->key32,
                                                 .columns = x402_cli_columns(stdout),
                                                 .latest = request->follow};
    if (x402_ledger_receipt_key(listing->ledger, listing->key32) != X402_OK) {
        x402_cli_error(COMMAND, "%s", x402_ledger_message(listing->ledger));
        return X402_EXIT_FAILED;
    }
    if (request->receipt != NULL)
        return show_one(listing, request->receipt);
    return request->follow ? x402_payments_follow(listing) : list_once(listing);
}

int x402_cli_payments(int argc, char **argv)
{
    struct x402_payment_listing listing = {.json = false};
    struct request request = {0};
    const struct x402_option options[] = {
        {"data", 0, X402_OPTION_TEXT, &request.data},
        {"status", 0, X402_OPTION_TEXT, &request.status},
        {"money", 0, X402_OPTION_TEXT, &request.money},
        {"payer", 0, X402_OPTION_TEXT, &request.payer},
        {"route", 0, X402_OPTION_TEXT, &request.route},
        {"network", 0, X402_OPTION_TEXT, &request.network},
        {"since", 0, X402_OPTION_TEXT, &request.since},
        {"receipt", 0, X402_OPTION_TEXT, &request.receipt},
        {"limit", 0, X402_OPTION_TEXT, &request.limit},
        {"json", 0, X402_OPTION_FLAG, &listing.json},
        {"follow", 0, X402_OPTION_FLAG, &request.follow},
        {NULL, 0, X402_OPTION_FLAG, NULL},
    };
    struct x402_arguments arguments = {.help = help, .options = options};
    enum x402_parsed parsed = x402_cli_parse(&arguments, argc, argv);
    if (parsed != X402_PARSED_RUN)
        return parsed == X402_PARSED_HELP ? X402_EXIT_DONE : X402_EXIT_USAGE;
    int code = decode(&listing, &request);
    if (code != 0)
        return code;
    listing.ledger = x402_cli_ledger_open(COMMAND, request.data);
    if (listing.ledger == NULL)
        return X402_EXIT_FAILED;
    code = run(&listing, &request);
    x402_bytes_wipe(listing.key32, sizeof listing.key32);
    x402_ledger_close(listing.ledger);
    return code;
}
