/* `x402 payments --follow`. */
#include "cli/payment_listing.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COMMAND "payments"
#define POLL_MILLISECONDS 500
#define PAGE_MAX 1024

/*
 * What may still change of the newest payments: each is looked at, and printed when its
 * state is another. Beyond X402_LOOKS_MAX the oldest are let go.
 */
struct follower {
    struct x402_payment_listing *listing;
    int64_t after_id; /* all up to here was seen */
    size_t watched_count;
    struct x402_look watched[X402_LOOKS_MAX]; /* oldest first; state: as printed */
    struct x402_look looks[X402_LOOKS_MAX];
};

/* A payment whose money is where it stays. */
static bool is_over(const struct x402_state *state)
{
    return state->delivery == X402_DELIVERY_DELIVERED &&
           (state->money == X402_MONEY_FINAL || state->money == X402_MONEY_FAILED);
}

static void watch(struct follower *follower, const struct x402_payment_row *row)
{
    const struct x402_settlement *payment = &row->settlement;

    if (is_over(&payment->state))
        return;
    if (follower->watched_count == X402_LOOKS_MAX)
        memmove(&follower->watched[0], &follower->watched[1],
                --follower->watched_count * sizeof follower->watched[0]);
    follower->watched[follower->watched_count++] =
        (struct x402_look){.payment_id = payment->payment_id, .state = payment->state};
}

/* What is being served is no news, unless it was asked for. */
static bool is_news(const struct x402_payment_listing *listing,
                    const struct x402_payment_row *row)
{
    bool asked = (listing->by_delivery && listing->delivery == X402_DELIVERY_PENDING) ||
                 (listing->by_money && listing->money == X402_MONEY_HELD);

    return (asked || row->settlement.state.delivery != X402_DELIVERY_PENDING) &&
           x402_payment_listed(listing, row);
}

static bool is_same(const struct x402_state *a, const struct x402_state *b)
{
    return a->delivery == b->delivery && a->money == b->money;
}

/* Prints one that changed, as it is now; whether it is still to be watched. */
static bool show_change(struct follower *follower, struct x402_look *watched)
{
    struct x402_payment_row row;

    if (x402_ledger_payment(follower->listing->ledger, &row, watched->payment_id) !=
        X402_OK)
        return true; /* it is looked at again */
    watched->state = row.settlement.state;
    if (is_news(follower->listing, &row))
        x402_payment_print(follower->listing, &row);
    return !is_over(&watched->state);
}

static bool show_changes(struct follower *follower)
{
    size_t kept = 0;

    memcpy(follower->looks, follower->watched,
           follower->watched_count * sizeof follower->looks[0]);
    if (x402_ledger_look(follower->listing->ledger, follower->looks,
                         follower->watched_count) != X402_OK) {
        x402_cli_error(COMMAND, "%s", x402_ledger_message(follower->listing->ledger));
        return false;
    }
    for (size_t i = 0; i < follower->watched_count; i++) {
        struct x402_look *watched = &follower->watched[i];
        const struct x402_look *look = &follower->looks[i];
        bool keep = look->found;
        if (keep && !is_same(&look->state, &watched->state))
            keep = show_change(follower, watched);
        if (keep)
            follower->watched[kept++] = *watched;
    }
    follower->watched_count = kept;
    return true;
}

static bool show_new(struct follower *follower, struct x402_rows *rows)
{
    struct x402_payment_listing *listing = follower->listing;
    const struct x402_payment_filter news = {
        .follow = true, .after_id = follower->after_id, .limit = PAGE_MAX};

    if (!x402_rows_read(rows, COMMAND, listing->ledger, &news))
        return false;
    for (size_t i = 0; i < rows->count; i++) {
        const struct x402_payment_row *row = &rows->rows[i];
        follower->after_id = row->settlement.payment_id;
        if (is_news(listing, row))
            x402_payment_print(listing, row);
        watch(follower, row);
    }
    return true;
}

/* The newest, oldest first: the last of those wanted are shown, all are watched. */
static bool show_last(struct follower *follower, struct x402_rows *rows)
{
    struct x402_payment_listing *listing = follower->listing;
    const struct x402_payment_filter newest = {.limit = X402_LOOKS_MAX};
    size_t wanted = 0, first = 0;

    if (!x402_rows_read(rows, COMMAND, listing->ledger, &newest))
        return false;
    for (; first < rows->count && wanted < listing->limit; first++)
        wanted += x402_payment_listed(listing, &rows->rows[first]);
    if (!listing->json)
        x402_payment_table_head(&listing->table);
    for (size_t i = rows->count; i > 0; i--) {
        const struct x402_payment_row *row = &rows->rows[i - 1];
        follower->after_id = row->settlement.payment_id;
        if (i <= first && x402_payment_listed(listing, row))
            x402_payment_print(listing, row);
        watch(follower, row);
    }
    return true;
}

int x402_payments_follow(struct x402_payment_listing *listing)
{
    const struct timespec pause = {0, POLL_MILLISECONDS * 1000000L};
    struct follower *follower = calloc(1, sizeof *follower);
    struct x402_rows rows = {0};

    if (follower == NULL) {
        x402_cli_error(COMMAND, "not enough memory");
        return X402_EXIT_FAILED;
    }
    follower->listing = listing;
    bool fine = show_last(follower, &rows);
    while (fine && fflush(stdout) == 0) {
        nanosleep(&pause, NULL);
        fine = show_changes(follower) && show_new(follower, &rows);
    }
    x402_rows_release(&rows);
    free(follower);
    return X402_EXIT_FAILED; /* it ends by a signal, otherwise by an error */
}
