#include "settle/chain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define IDLE_MILLISECONDS 1000
#define MOVING_MILLISECONDS 200
#define TIDY_MILLISECONDS 60000
/* With `once`: how long to wait for something to move before giving up. */
#define ONCE_HELD_MILLISECONDS 8000 /* everything left was refused for now */
#define ONCE_MILLISECONDS 45000     /* longer than a lease that was not released */

struct settler {
    const struct x402_settler_options *options;
    struct x402_ledger *ledger;
    struct x402_chain *chains;
    size_t chains_count; /* opened */
    char owner[128];
    int64_t tidied_milliseconds;
    int64_t moved_milliseconds; /* when something moved last */
    bool tidy_failed;
};

__attribute__((format(printf, 2, 3))) static void note(const struct settler *settler,
                                                       const char *format, ...)
{
    char line[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    settler->options->note(settler->options->data, line);
}

/* ------------------------------------------------------------------- open and close */

static void name_owner(char *out, size_t out_max)
{
    char host[64] = "";

    (void)gethostname(host, sizeof host - 1);
    snprintf(out, out_max, "settler %ld on %s", (long)getpid(), host);
}

static enum x402_error open_chains(struct settler *settler)
{
    const struct x402_settler_options *options = settler->options;

    settler->chains = calloc(options->chains_count, sizeof *settler->chains);
    for (size_t i = 0; settler->chains != NULL && i < options->chains_count; i++) {
        if (!x402_chain_open(&settler->chains[i], options, &options->chains[i],
                             settler->ledger, settler->owner)) {
            note(settler, "the key is not a private key, or there is no memory");
            return X402_ERR_KEY;
        }
        settler->chains_count++;
    }
    return settler->chains != NULL ? X402_OK : X402_ERR_SPACE;
}

static enum x402_error open_settler(struct settler *settler)
{
    char message[X402_LEDGER_MESSAGE_MAX];
    enum x402_error error = x402_ledger_open(
        &settler->ledger, settler->options->ledger_path, X402_LEDGER_WRITE, message);

    if (error != X402_OK) {
        note(settler, "%s", message);
        return error;
    }
    name_owner(settler->owner, sizeof settler->owner);
    return open_chains(settler);
}

static void close_settler(struct settler *settler)
{
    for (size_t i = 0; i < settler->chains_count; i++)
        x402_chain_close(&settler->chains[i]);
    free(settler->chains);
    x402_ledger_close(settler->ledger);
}

/* ----------------------------------------------------------------------------- loop */

static void tidy(struct settler *settler)
{
    int64_t now = x402_chain_milliseconds();

    if (now - settler->tidied_milliseconds < TIDY_MILLISECONDS)
        return;
    settler->tidied_milliseconds = now;
    bool failed = x402_ledger_tidy(settler->ledger) != X402_OK;
    if (failed && !settler->tidy_failed)
        note(settler, "cannot tidy the ledger: %s",
             x402_ledger_message(settler->ledger));
    settler->tidy_failed = failed;
}

/* All chains that are due for a pass; ERR_NETWORK ends the settler. */
static enum x402_error pass(struct settler *settler, bool *moved)
{
    *moved = false;
    for (size_t i = 0; i < settler->chains_count; i++) {
        struct x402_chain *chain = &settler->chains[i];
        /* A slow node of one chain must not cost the keys of the others. */
        for (size_t j = 0; j < settler->chains_count; j++) {
            if (settler->chains[j].leased)
                (void)x402_chain_hold(&settler->chains[j]);
        }
        if (chain->pass_milliseconds > x402_chain_milliseconds())
            continue;
        if (x402_chain_pass(chain) != X402_OK)
            return X402_ERR_NETWORK;
        *moved = *moved || chain->moved > 0;
    }
    return X402_OK;
}

static bool all_done(const struct settler *settler)
{
    for (size_t i = 0; i < settler->chains_count; i++) {
        if (!x402_chain_is_done(&settler->chains[i]))
            return false;
    }
    return true;
}

/* Nothing is under way or untried: what is left was refused, and is tried again later.
 */
static bool only_held(const struct settler *settler)
{
    for (size_t i = 0; i < settler->chains_count; i++) {
        const struct x402_chain *chain = &settler->chains[i];
        if (!chain->checked || !chain->leased || chain->failed ||
            chain->under_way > 0 || chain->due_left > 0)
            return false;
    }
    return true;
}

static bool has_given_up(const struct settler *settler)
{
    int64_t still = x402_chain_milliseconds() - settler->moved_milliseconds;

    return still >= (only_held(settler) ? ONCE_HELD_MILLISECONDS : ONCE_MILLISECONDS);
}

static enum x402_error loop(struct settler *settler)
{
    const struct x402_settler_options *options = settler->options;
    bool moved, stop = false;

    settler->moved_milliseconds = x402_chain_milliseconds();
    while (!stop) {
        if (pass(settler, &moved) != X402_OK)
            return X402_ERR_NETWORK;
        if (moved)
            settler->moved_milliseconds = x402_chain_milliseconds();
        if (options->once && all_done(settler))
            return X402_OK;
        if (options->once && has_given_up(settler))
            return X402_ERR_CONFLICT;
        tidy(settler);
        stop = options->wait(options->data,
                             moved ? MOVING_MILLISECONDS : IDLE_MILLISECONDS);
    }
    return options->once ? X402_ERR_CONFLICT : X402_OK;
}

/* ----------------------------------------------------------- beginning and summary */

static void introduce(const struct settler *settler)
{
    char signer[X402_ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < settler->chains_count; i++) {
        const struct x402_chain *chain = &settler->chains[i];
        x402_address_encode(signer, chain->signer20);
        note(settler, "%s: settling with the key of %s through %s", chain->name, signer,
             x402_rpc_origin(chain->rpc));
    }
}

static const struct x402_totals *totals_of(const struct x402_totals *totals,
                                           size_t count, size_t after,
                                           uint64_t chain_id)
{
    for (size_t i = after; i < count; i++) {
        if (totals[i].chain_id == chain_id)
            return &totals[i];
    }
    return NULL;
}

/* What the ledger says of one chain, all its tokens together; what is left of it. */
static uint64_t summarize_chain(const struct settler *settler,
                                const struct x402_chain *chain,
                                const struct x402_totals *totals, size_t count)
{
    uint64_t monies[X402_MONEY_COUNT] = {0};
    const struct x402_totals *row = totals;

    while ((row = totals_of(totals, count, (size_t)(row - totals),
                            chain->network.chain_id)) != NULL) {
        for (size_t i = 0; i < X402_MONEY_COUNT; i++)
            monies[i] += row->monies[i].count;
        row++;
    }
    note(settler,
         "%s: %" PRIu64 " settled, %" PRIu64 " failed, %" PRIu64 " due, %" PRIu64
         " under way",
         chain->name, monies[X402_MONEY_SETTLED] + monies[X402_MONEY_FINAL],
         monies[X402_MONEY_FAILED], monies[X402_MONEY_DUE],
         monies[X402_MONEY_SUBMITTED]);
    return monies[X402_MONEY_DUE] + monies[X402_MONEY_SUBMITTED];
}

/*
 * The end of `once`. What was sold meanwhile, or is in transactions of another key, is
 * left too.
 */
static enum x402_error summarize(const struct settler *settler)
{
    struct x402_totals totals[X402_TOTALS_MAX];
    uint64_t left = 0;
    size_t count = 0;

    if (x402_ledger_totals(settler->ledger, totals, X402_TOTALS_MAX, &count)) {
        note(settler, "ledger: %s", x402_ledger_message(settler->ledger));
        return X402_ERR_LEDGER;
    }
    for (size_t i = 0; i < settler->chains_count; i++)
        left += summarize_chain(settler, &settler->chains[i], totals, count);
    return left == 0 ? X402_OK : X402_ERR_CONFLICT;
}

enum x402_error x402_settler_run(const struct x402_settler_options *options)
{
    struct settler settler = {.options = options};
    enum x402_error error = open_settler(&settler);

    if (error == X402_OK) {
        introduce(&settler);
        error = loop(&settler);
        if (options->once && error != X402_ERR_NETWORK)
            error = summarize(&settler);
    }
    close_settler(&settler);
    return error;
}
