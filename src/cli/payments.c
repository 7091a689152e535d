/* `x402 payments`: lists payments, and follows them. */
#include "cli/view.h"

#include <x402/money.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COMMAND "payments"
#define LIMIT_TABLE 20
#define LIMIT_JSON 1000
#define LIMIT_FOLLOW 10
#define POLL_MILLISECONDS 500
#define HELD_BACK_MAX 1024

static const char help[] =
    "usage: x402 payments [--data DIR] [--status S] [--payer ADDRESS] [--limit N]\n"
    "                     [--json] [--follow]\n"
    "\n"
    "Lists payments, newest first.\n"
    "\n"
    "  --data DIR       the ledger's directory; default /var/lib/x402 for root,\n"
    "                   ~/.local/share/x402 for others\n"
    "  --status S       only those whose delivery is pending, delivered, void,\n"
    "                   abandoned or owed, or whose money is held, due, submitted,\n"
    "                   settled, final, failed or released\n"
    "  --payer ADDRESS  only those of one payer\n"
    "  --limit N        at most so many; default 20, with --json 1000\n"
    "  --json           one JSON array; with --follow an object a line. value is in\n"
    "                   units of the token, amount in whole tokens, both strings\n"
    "  --follow         the last 10 (or --limit), then each new one when its outcome\n"
    "                   is known, oldest first, until Ctrl-C\n"
    "\n"
    "Examples\n"
    "  x402 payments --status failed\n"
    "  x402 payments --json --status final | jq -r '.[].transaction'\n"
    "  x402 payments --follow --json | while read -r payment; do …; done\n";

struct listing {
    struct x402_payment_filter filter;
    struct x402_ledger *ledger; /* owned */
    bool json, follow;
    bool by_outcome; /* --status names a delivery or money that is an outcome */
};

/* ------------------------------------------------------------------------- table */

static void print_header(void)
{
    printf("%s%6s  %-20s  %-13s  %12s  %-9s  %-9s  %-13s  %s%s\n",
           x402_cli_style(stdout, X402_STYLE_BOLD), "id", "time", "payer", "amount",
           "delivery", "money", "transaction", "route",
           x402_cli_style(stdout, X402_STYLE_PLAIN));
}

/* "0x857b…2E66" in 13 columns; the bytes of "…" are three. */
static void print_short(const char *text)
{
    size_t size = strlen(text);
    if (size > 13)
        printf("%.6s…%s  ", text, text + size - 6);
    else
        printf("%-13s  ", text);
}

static enum x402_style style_of(const struct x402_state *state)
{
    if (state->money == X402_MONEY_FAILED || state->delivery == X402_DELIVERY_ABANDONED)
        return X402_STYLE_BAD;
    if (state->delivery == X402_DELIVERY_VOID)
        return X402_STYLE_DIM;
    if (state->money == X402_MONEY_FINAL || state->money == X402_MONEY_SETTLED)
        return X402_STYLE_GOOD;
    return X402_STYLE_PLAIN;
}

static void print_row(const struct x402_payment_row *row)
{
    const struct x402_settlement *payment = &row->settlement;
    struct x402_network network;
    bool known;
    char time[X402_TIME_TEXT_SIZE], payer[X402_ADDRESS_TEXT_SIZE];
    char amount[X402_AMOUNT_TEXT_SIZE], transaction[67] = "-";
    x402_cli_network_of(&network, &known, payment->chain_id, payment->asset20);
    x402_cli_time_encode(time, row->created_at_seconds);
    x402_address_encode(payer, payment->from20);
    x402_amount_encode(amount, payment->value, network.decimals);
    if (row->has_transaction)
        x402_cli_hex_text(transaction, sizeof transaction, row->transaction32, 32);
    printf("%6lld  %-20s  ", (long long)payment->payment_id, time);
    print_short(payer);
    printf("%12s  %s%-9s  %-9s%s  ", amount,
           x402_cli_style(stdout, style_of(&payment->state)),
           x402_delivery_name(payment->state.delivery),
           x402_money_name(payment->state.money),
           x402_cli_style(stdout, X402_STYLE_PLAIN));
    print_short(transaction);
    x402_cli_print_safe(stdout, row->route);
    if (row->reason[0] != '\0') {
        fputs("  ", stdout);
        x402_cli_print_safe(stdout, row->reason);
    }
    putchar('\n');
}

/* -------------------------------------------------------------------------- once */

static void print_rows(const struct listing *listing, const struct x402_rows *rows)
{
    if (listing->json)
        putchar('[');
    else if (rows->count > 0)
        print_header();
    for (size_t i = 0; i < rows->count; i++) {
        if (!listing->json) {
            print_row(&rows->rows[i]);
            continue;
        }
        fputs(i > 0 ? ",\n " : "", stdout);
        x402_cli_payment_json(stdout, &rows->rows[i]);
    }
    if (listing->json)
        puts("]");
    else if (rows->count == 0)
        puts("no payments");
}

static int list_once(struct listing *listing)
{
    struct x402_rows rows = {0};
    bool fine = x402_rows_read(&rows, COMMAND, listing->ledger, &listing->filter);
    if (fine)
        print_rows(listing, &rows);
    if (fine && rows.count == listing->filter.limit)
        x402_cli_note(COMMAND, "there may be more: --limit N shows more than %zu",
                      rows.count);
    x402_rows_release(&rows);
    return fine ? X402_EXIT_DONE : X402_EXIT_FAILED;
}

/* ------------------------------------------------------------------------ follow */

/*
 * A payment is shown once, when it is no longer pending. What comes after one that is
 * held back is remembered, so that it is not shown again.
 */
struct follower {
    int64_t after_id; /* all up to here was shown */
    int64_t shown[HELD_BACK_MAX];
    size_t shown_count;
};

static bool was_shown(const struct follower *follower, int64_t id)
{
    for (size_t i = 0; i < follower->shown_count; i++) {
        if (follower->shown[i] == id)
            return true;
    }
    return false;
}

static void forget_up_to(struct follower *follower, int64_t id)
{
    size_t kept = 0;
    for (size_t i = 0; i < follower->shown_count; i++) {
        if (follower->shown[i] > id)
            follower->shown[kept++] = follower->shown[i];
    }
    follower->shown_count = kept;
    follower->after_id = id;
}

static bool matches(const struct x402_payment_filter *filter,
                    const struct x402_state *state)
{
    return (!filter->by_delivery || filter->delivery == state->delivery) &&
           (!filter->by_money || filter->money == state->money);
}

static void show(const struct listing *listing, const struct x402_payment_row *row)
{
    if (!matches(&listing->filter, &row->settlement.state))
        return;
    if (!listing->json) {
        print_row(row);
        return;
    }
    x402_cli_payment_json(stdout, row);
    putchar('\n');
}

/* Oldest first. A full page waits for nobody. */
static void show_news(const struct listing *listing, struct follower *follower,
                      const struct x402_rows *rows)
{
    bool held_back = false, full = rows->count == HELD_BACK_MAX;
    for (size_t i = 0; i < rows->count; i++) {
        const struct x402_payment_row *row = &rows->rows[i];
        int64_t id = row->settlement.payment_id;
        bool pending = row->settlement.state.delivery == X402_DELIVERY_PENDING;
        if (pending && listing->by_outcome && !full) {
            held_back = true;
            continue;
        }
        if (!was_shown(follower, id))
            show(listing, row);
        if (!held_back || full)
            forget_up_to(follower, id);
        else if (!was_shown(follower, id))
            follower->shown[follower->shown_count++] = id;
    }
}

/* The last ones, and where to go on. */
static bool show_last(struct listing *listing, struct follower *follower)
{
    struct x402_rows rows = {0};
    struct x402_payment_filter newest = {.limit = 1};
    bool fine = x402_rows_read(&rows, COMMAND, listing->ledger, &newest);
    int64_t last = fine && rows.count > 0 ? rows.rows[0].settlement.payment_id : 0;
    fine = fine && x402_rows_read(&rows, COMMAND, listing->ledger, &listing->filter);
    if (fine && !listing->json)
        print_header();
    for (size_t i = rows.count; fine && i > 0; i--) {
        if (rows.rows[i - 1].settlement.payment_id <= last)
            show(listing, &rows.rows[i - 1]);
    }
    follower->after_id = last;
    x402_rows_release(&rows);
    return fine;
}

static int follow(struct listing *listing)
{
    static struct follower follower;
    struct x402_rows rows = {0};
    const struct timespec pause = {0, POLL_MILLISECONDS * 1000000L};
    bool fine = show_last(listing, &follower);
    struct x402_payment_filter news = {
        .by_payer = listing->filter.by_payer, .follow = true, .limit = HELD_BACK_MAX};
    memcpy(news.payer20, listing->filter.payer20, sizeof news.payer20);
    while (fine && fflush(stdout) == 0) {
        nanosleep(&pause, NULL);
        news.after_id = follower.after_id;
        fine = x402_rows_read(&rows, COMMAND, listing->ledger, &news);
        if (fine)
            show_news(listing, &follower, &rows);
    }
    x402_rows_release(&rows);
    return X402_EXIT_FAILED; /* it ends by a signal, otherwise by an error */
}

/* ----------------------------------------------------------------------- options */

static int refuse_status(const char *text)
{
    const char *names[X402_DELIVERY_COUNT + X402_MONEY_COUNT + 1];
    size_t count = 0;
    for (size_t i = 0; i < X402_DELIVERY_COUNT; i++)
        names[count++] = x402_delivery_name((enum x402_delivery)i);
    for (size_t i = 0; i < X402_MONEY_COUNT; i++)
        names[count++] = x402_money_name((enum x402_money)i);
    names[count] = NULL;
    const char *nearest = x402_cli_nearest(names, text);
    if (nearest != NULL)
        return x402_cli_usage_error(
            COMMAND, "--status: no status '%s': did you mean '%s'?", text, nearest);
    return x402_cli_usage_error(COMMAND, "--status: no status '%s'", text);
}

static bool decode_status(struct listing *listing, const char *text)
{
    struct x402_payment_filter *filter = &listing->filter;
    filter->by_delivery = x402_delivery_named(&filter->delivery, text);
    if (!filter->by_delivery)
        filter->by_money = x402_money_named(&filter->money, text);
    bool is_pending = filter->by_delivery && filter->delivery == X402_DELIVERY_PENDING;
    bool is_held = filter->by_money && filter->money == X402_MONEY_HELD;
    listing->by_outcome = !is_pending && !is_held;
    return filter->by_delivery || filter->by_money;
}

/* 0, or the exit code. */
static int decode_filter(struct listing *listing, const char *status, const char *payer,
                         const char *limit)
{
    struct x402_payment_filter *filter = &listing->filter;
    uint64_t number = listing->follow ? LIMIT_FOLLOW
                      : listing->json ? LIMIT_JSON
                                      : LIMIT_TABLE;
    if (status != NULL && !decode_status(listing, status))
        return refuse_status(status);
    if (payer != NULL &&
        x402_address_decode(filter->payer20, x402_slice_of(payer)) != X402_OK)
        return x402_cli_usage_error(COMMAND,
                                    "--payer: '%s' is not an address: write 0x and 40 "
                                    "hex digits",
                                    payer);
    filter->by_payer = payer != NULL;
    if (limit != NULL && !x402_cli_number(&number, limit, 1, X402_ROWS_MAX))
        return x402_cli_usage_error(COMMAND, "--limit: '%s': write a number, 1 to %d",
                                    limit, X402_ROWS_MAX);
    filter->limit = (size_t)number;
    return 0;
}

int x402_cli_payments(int argc, char **argv)
{
    struct listing listing = {.by_outcome = true};
    const char *data = NULL, *status = NULL, *payer = NULL, *limit = NULL;
    const struct x402_option options[] = {
        {"data", 0, X402_OPTION_TEXT, &data},
        {"status", 0, X402_OPTION_TEXT, &status},
        {"payer", 0, X402_OPTION_TEXT, &payer},
        {"limit", 0, X402_OPTION_TEXT, &limit},
        {"json", 0, X402_OPTION_FLAG, &listing.json},
        {"follow", 0, X402_OPTION_FLAG, &listing.follow},
        {NULL, 0, X402_OPTION_FLAG, NULL},
    };
    struct x402_arguments arguments = {.help = help, .options = options};
    enum x402_parsed parsed = x402_cli_parse(&arguments, argc, argv);
    if (parsed != X402_PARSED_RUN)
        return parsed == X402_PARSED_HELP ? X402_EXIT_DONE : X402_EXIT_USAGE;
    int wrong = decode_filter(&listing, status, payer, limit);
    if (wrong != 0)
        return wrong;
    listing.ledger = x402_cli_ledger_open(COMMAND, data);
    if (listing.ledger == NULL)
        return X402_EXIT_FAILED;
    int code = listing.follow ? follow(&listing) : list_once(&listing);
    x402_ledger_close(listing.ledger);
    return code;
}
