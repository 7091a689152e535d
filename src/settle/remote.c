#include "settle/remote_work.h"

#include "settle/owner.h"

#include "core/failpoint.h"
#include "evm/keccak.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUPPORTED_MILLISECONDS 600000 /* how long /supported is believed */
#define BACKOFF_MILLISECONDS 1000
#define BACKOFF_MILLISECONDS_MAX 30000
#define SALES_MILLISECONDS 5000
#define POLL_MILLISECONDS 100
#define SAY_MILLISECONDS 1000
#define LAST_ANSWERS_MILLISECONDS 10000
#define DUE_MORE 32 /* looked at beyond those that wait, maybe all in one half */

/* --------------------------------------------------------------------------- people
 */

void x402_remote_note(struct x402_remote *remote, enum x402_note_kind kind,
                      const char *format, ...)
{
    char text[X402_NOTE_MESSAGE_MAX];
    struct x402_note_event event;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    x402_note_begin(&event, NULL, kind);
    if (kind == X402_NOTE_TROUBLE)
        x402_note_put_reason(&event, remote->trouble);
    x402_note_tell(remote->options, &event, "%s", text);
}

void x402_remote_ledger_failed(struct x402_remote *remote)
{
    remote->ledger_failed = true;
    if (!remote->ledger_told)
        x402_remote_note(remote, X402_NOTE_ERROR, "ledger: %s",
                         x402_ledger_message(remote->ledger));
    remote->ledger_told = true;
}

/*
 * Several requests may fail together: that is one failure. Before anything else is
 * asked, /supported has to answer; and then one request is made at a time, until one is
 * answered as it should be. Which it is changes, for each waits for its next try: one
 * payment that the facilitator trips over does not keep the others.
 */
void x402_remote_failed(struct x402_remote *remote, const char *why)
{
    int64_t now = x402_chain_milliseconds(), wait = BACKOFF_MILLISECONDS;

    if (strcmp(remote->trouble, why) != 0 && !atomic_load(remote->stop)) {
        snprintf(remote->trouble, sizeof remote->trouble, "%s", why);
        x402_remote_note(remote, X402_NOTE_TROUBLE, "facilitator %s: %s",
                         remote->origin, why);
    }
    remote->supported = false;
    if (now < remote->rest_until_milliseconds)
        return;
    for (unsigned i = 0; i < remote->failures && wait < BACKOFF_MILLISECONDS_MAX; i++)
        wait *= 2;
    remote->failures++;
    remote->rest_until_milliseconds =
        now + (wait < BACKOFF_MILLISECONDS_MAX ? wait : BACKOFF_MILLISECONDS_MAX);
}

void x402_remote_worked(struct x402_remote *remote)
{
    if (remote->trouble[0] != '\0')
        x402_remote_note(remote, X402_NOTE_RECOVERED,
                         "facilitator %s: all is well again", remote->origin);
    remote->trouble[0] = '\0';
    remote->failures = 0;
    remote->rest_until_milliseconds = 0;
}

/* ------------------------------------------------------------------- open and close */

/* Two settlers that ask one facilitator are one signer, however its URL ends. */
static void take_url(struct x402_remote *remote, const char *url)
{
    uint8_t hash32[32];
    size_t size = strlen(url);

    while (size > 0 && url[size - 1] == '/')
        size--;
    snprintf(remote->url, sizeof remote->url, "%.*s", (int)size, url);
    x402_url_origin(remote->origin, remote->url);
    x402_keccak256(hash32, remote->url, strlen(remote->url));
    memcpy(remote->signer20, hash32, 20);
}

bool x402_remote_open(struct x402_remote **out,
                      const struct x402_settler_options *options,
                      struct x402_ledger *ledger, struct x402_pulse *pulse,
                      const char *owner, const atomic_bool *stop)
{
    struct x402_remote *remote = calloc(1, sizeof *remote);

    if (remote == NULL)
        return false;
    remote->options = options;
    remote->remote = options->remote;
    remote->ledger = ledger;
    remote->pulse = pulse;
    remote->owner = owner;
    remote->stop = stop;
    take_url(remote, options->remote->url);
    remote->http = x402_remote_http_open(remote->url, options->remote->headers,
                                         options->remote->timeout_seconds);
    if (remote->http == NULL) {
        free(remote);
        return false;
    }
    *out = remote;
    return true;
}

static void hear(void *context, const struct x402_remote_reply *reply);

/* What has been asked is best known before the end: later it would be uncertain. */
static void hear_last_answers(struct x402_remote *remote)
{
    int64_t end = x402_chain_milliseconds() + LAST_ANSWERS_MILLISECONDS;
    size_t busy = x402_remote_http_busy(remote->http);

    if (busy > 0)
        x402_remote_note(remote, X402_NOTE_STOPPED,
                         "facilitator %s: waiting for %zu answer%s", remote->origin,
                         busy, busy == 1 ? "" : "s");
    while (x402_remote_http_busy(remote->http) > 0 && x402_chain_milliseconds() < end)
        x402_remote_http_poll(remote->http, POLL_MILLISECONDS, hear, remote);
}

void x402_remote_close(struct x402_remote *remote)
{
    if (remote == NULL)
        return;
    hear_last_answers(remote);
    x402_remote_http_close(remote->http);
    for (size_t i = 0; i < remote->items_count; i++)
        remote->items[i]->asking = false;
    x402_remote_items_drop(remote, NULL);
    free(remote->items);
    for (size_t i = 0; i < remote->lines_count; i++) {
        x402_chain_close(remote->lines[i].chain);
        free(remote->lines[i].chain);
    }
    free(remote);
}

/* ---------------------------------------------------------------------------- lines
 */

bool x402_remote_wants(const struct x402_remote_options *options, uint64_t chain_id)
{
    for (size_t i = 0; i < options->chain_ids_count; i++) {
        if (options->chain_ids[i] == chain_id)
            return true;
    }
    return options->chain_ids_count == 0;
}

static struct x402_remote_line *line_find(struct x402_remote *remote, uint64_t chain_id)
{
    for (size_t i = 0; i < remote->lines_count; i++) {
        if (remote->lines[i].kind.network.chain_id == chain_id)
            return &remote->lines[i];
    }
    return NULL;
}

static const char *node_of(const struct x402_remote *remote, uint64_t chain_id)
{
    const struct x402_settler_options *options = remote->options;

    for (size_t i = 0; i < options->chains_count; i++) {
        if (options->chains[i].network.chain_id == chain_id)
            return options->chains[i].url;
    }
    return NULL;
}

static void line_open(struct x402_remote *remote, const struct x402_remote_kind *kind)
{
    struct x402_settler_chain which = {.network = kind->network,
                                       .url = node_of(remote, kind->network.chain_id)};
    struct x402_chain *chain = calloc(1, sizeof *chain);

    if (chain == NULL ||
        !x402_chain_open(chain, remote->options, &which, remote->ledger, remote->owner,
                         remote->stop)) {
        free(chain);
        return;
    }
    memcpy(chain->signer20, remote->signer20, 20);
    chain->pulse = remote->pulse;
    remote->lines[remote->lines_count++] = (struct x402_remote_line){
        .kind = *kind, .chain = chain, .has_node = which.url != NULL};
}

static void take_kinds(struct x402_remote *remote,
                       const struct x402_remote_kinds *kinds)
{
    for (size_t i = 0; i < kinds->count; i++) {
        const struct x402_remote_kind *kind = &kinds->items[i];
        if (x402_remote_wants(remote->remote, kind->network.chain_id) &&
            line_find(remote, kind->network.chain_id) == NULL &&
            remote->lines_count < X402_REMOTE_KINDS_MAX)
            line_open(remote, kind);
    }
    for (size_t i = 0; i < remote->lines_count; i++) {
        struct x402_remote_line *line = &remote->lines[i];
        const struct x402_remote_kind *kind =
            x402_remote_kind_find(kinds, line->kind.network.chain_id);
        line->offered = kind != NULL;
        if (kind != NULL)
            line->kind = *kind;
    }
}

static void tell_unserved(struct x402_remote *remote, uint64_t chain_id)
{
    char name[X402_CAIP2_TEXT_SIZE];

    for (size_t i = 0; i < remote->unserved_count; i++) {
        if (remote->unserved[i] == chain_id)
            return;
    }
    if (remote->unserved_count == X402_TOTALS_MAX)
        return;
    remote->unserved[remote->unserved_count++] = chain_id;
    x402_caip2_encode(name, chain_id);
    x402_remote_note(remote, X402_NOTE_NETWORK,
                     "facilitator %s does not settle on %s: its payments wait",
                     remote->origin, name);
}

/* Which networks have sold, now and then: what is due is seen at once. */
static void look_at_sales(struct x402_remote *remote)
{
    struct x402_totals totals[X402_TOTALS_MAX];
    int64_t now = x402_chain_milliseconds();
    size_t count = 0;

    if (!remote->supported || now < remote->sales_milliseconds)
        return;
    remote->sales_milliseconds = now + SALES_MILLISECONDS;
    if (x402_ledger_totals(remote->ledger, totals, X402_TOTALS_MAX, &count)) {
        x402_remote_ledger_failed(remote);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct x402_remote_line *line = line_find(remote, totals[i].chain_id);
        if (line != NULL)
            line->sold = true;
        else if (x402_remote_wants(remote->remote, totals[i].chain_id))
            tell_unserved(remote, totals[i].chain_id);
    }
}

static void hear_support(struct x402_remote *remote,
                         const struct x402_remote_reply *reply)
{
    static const char no_list[] = "its /supported is not a list of kinds";
    struct x402_remote_kinds kinds;
    char why[X402_REMOTE_REASON_MAX];

    remote->asking_support = false;
    if (reply->status == 200 &&
        x402_remote_kinds_decode(&kinds, reply->body, reply->size)) {
        remote->supported = true;
        remote->supported_milliseconds = x402_chain_milliseconds();
        take_kinds(remote, &kinds);
        look_at_sales(remote);
        return;
    }
    if (reply->status == 0 || reply->status == 200)
        snprintf(why, sizeof why, "%s", reply->status == 0 ? reply->why : no_list);
    else
        snprintf(why, sizeof why, "its /supported answers with status %ld",
                 reply->status);
    x402_remote_failed(remote, why);
}

static void hear(void *context, const struct x402_remote_reply *reply)
{
    struct x402_remote *remote = context;

    if (reply->data == NULL)
        hear_support(remote, reply);
    else
        x402_remote_heard(remote, reply->data, reply);
}

/* --------------------------------------------------------------------------- asking
 */

static bool may_ask_beside(const struct x402_remote *remote, size_t most)
{
    if (remote->failures > 0)
        most = 1;
    return x402_remote_http_busy(remote->http) < most &&
           x402_chain_milliseconds() >= remote->rest_until_milliseconds;
}

static bool may_ask(const struct x402_remote *remote)
{
    return may_ask_beside(remote, X402_REMOTE_PARALLEL_MAX);
}

/* Those that hang, again and again, leave half of it to those that are new. */
static bool may_ask_again(const struct x402_remote *remote)
{
    return may_ask_beside(remote, X402_REMOTE_PARALLEL_MAX / 2);
}

static void ask_support(struct x402_remote *remote)
{
    int64_t age = x402_chain_milliseconds() - remote->supported_milliseconds;

    if (remote->asking_support || (remote->supported && age < SUPPORTED_MILLISECONDS) ||
        !may_ask(remote))
        return;
    remote->asking_support =
        x402_remote_http_start(remote->http, "/supported", NULL, 0, NULL);
}

/* Stored before it is asked for; whatever happens then, it is asked for again. */
static void ask(struct x402_remote *remote, struct x402_remote_item *item)
{
    if (item->row_id == 0 && !x402_remote_item_store(remote, item))
        return;
    item->asking = x402_remote_http_start(remote->http, "/settle", item->body,
                                          item->body_size, item);
    remote->asked = remote->asked || item->asking;
}

static bool is_ripe(const struct x402_remote_item *item)
{
    return !item->asking && !item->has_verdict &&
           item->try_at_milliseconds <= x402_chain_milliseconds();
}

/* Those asked for before, whose fate is not known. A look may remove an item. */
static void ask_open(struct x402_remote *remote, const struct x402_remote_line *line)
{
    size_t i = 0;

    while (i < remote->items_count && !remote->ledger_failed) {
        struct x402_remote_item *item = remote->items[i];
        bool mine = item->line == line && item->row_id != 0 && is_ripe(item);
        if (mine && !may_ask_again(remote))
            return;
        if (mine && x402_remote_looked(remote, item))
            continue;
        if (mine)
            ask(remote, item);
        i++;
    }
}

/* The built-in token, whose name and version are known: the body needs them. */
static bool is_of_token(struct x402_remote_line *line,
                        const struct x402_settlement *payment)
{
    char asset[X402_ADDRESS_TEXT_SIZE];

    if (memcmp(payment->asset20, line->kind.network.asset20, 20) == 0)
        return true;
    x402_address_encode(asset, payment->asset20);
    if (!line->told_asset)
        x402_chain_note(line->chain, X402_NOTE_NETWORK,
                        "%s: the token at %s is not built in, and no facilitator can "
                        "be asked for its payments: settle them with a key",
                        line->chain->name, asset);
    line->told_asset = true;
    return false;
}

/* One that the ledger says is due, whatever it was when it was here last. */
static bool is_due_now(struct x402_remote_item *item,
                       const struct x402_settlement *payment)
{
    item->listed = true;
    if (item->asking || item->has_verdict)
        return false;
    if (item->payment.state.delivery != payment->state.delivery)
        item->try_at_milliseconds = 0; /* presented again */
    item->payment = *payment;
    item->row_id = 0;
    return is_ripe(item);
}

static void ask_due_one(struct x402_remote *remote, struct x402_remote_line *line,
                        const struct x402_settlement *payment)
{
    struct x402_remote_item *item = x402_remote_item_find(remote, payment->payment_id);
    bool free = may_ask(remote);

    if (!is_of_token(line, payment))
        return;
    if (item == NULL && free)
        item = x402_remote_item_of(remote, line, payment);
    if (item == NULL)
        line->due_left++;
    else if (is_due_now(item, payment) && free)
        ask(remote, item);
    else if (is_ripe(item))
        line->due_left++;
}

/* Refused ones that went another way since: a key settled them, they were given up. */
static void drop_unlisted(struct x402_remote *remote,
                          const struct x402_remote_line *line)
{
    size_t i = 0;

    while (i < remote->items_count) {
        struct x402_remote_item *item = remote->items[i];
        if (item->line == line && item->row_id == 0 && !item->has_verdict &&
            !item->listed)
            x402_remote_item_drop(remote, item);
        else
            i++;
    }
}

static size_t count_owed(const struct x402_settlement *due, size_t count)
{
    size_t owed = 0;

    while (owed < count && due[owed].state.delivery == X402_DELIVERY_OWED)
        owed++;
    return owed;
}

static void ask_due(struct x402_remote *remote, struct x402_remote_line *line)
{
    size_t max = 2 * remote->items_count + DUE_MORE, count = 0;
    struct x402_settlement *due = calloc(max, sizeof *due);

    for (size_t i = 0; i < remote->items_count; i++)
        remote->items[i]->listed = false;
    if (due == NULL ||
        x402_ledger_due(remote->ledger, line->kind.network.chain_id, due, max, &count))
        x402_remote_ledger_failed(remote);
    size_t owed = count_owed(due, count);
    for (size_t i = 0; i < count && !remote->ledger_failed; i++)
        ask_due_one(remote, line,
                    &due[x402_remote_turn(i, owed, count, line->rest_begins)]);
    line->rest_begins = !line->rest_begins;
    if (count < max && !remote->ledger_failed)
        drop_unlisted(remote, line);
    free(due);
}

/* ------------------------------------------------------------------------- one pass */

/* The lease is taken when a network has sold something, and kept. What is open is read
 * under it: another settler may have had it in between. */
static bool hold(struct x402_remote *remote, struct x402_remote_line *line)
{
    bool had = line->chain->leased;

    if (!x402_chain_hold(line->chain)) {
        line->held = false;
        return false;
    }
    if (!had || !line->held)
        line->held = x402_remote_items_load(remote, line);
    return line->held;
}

static bool has_sold(struct x402_remote *remote, struct x402_remote_line *line)
{
    struct x402_settlement one;
    size_t count = 0;

    if (line->sold)
        return true;
    if (x402_ledger_due(remote->ledger, line->kind.network.chain_id, &one, 1, &count))
        x402_remote_ledger_failed(remote);
    line->sold = count > 0;
    return line->sold;
}

static void introduce(struct x402_remote *remote, struct x402_remote_line *line)
{
    if (line->told)
        return;
    line->told = true;
    x402_chain_note(line->chain, X402_NOTE_STARTED,
                    "%s: settling through the facilitator %s%s", line->chain->name,
                    remote->origin,
                    line->has_node ? ", and the chain has the last word"
                                   : "; its word is all there is, and no payment "
                                     "becomes final: give --rpc, and the chain is "
                                     "asked");
}

/* A node that failed is left in peace for a while; the facilitator is not. */
static enum x402_error serve(struct x402_remote *remote, struct x402_remote_line *line)
{
    struct x402_chain *chain = line->chain;
    bool rests = line->has_node && x402_chain_milliseconds() < chain->pass_milliseconds;
    enum x402_error error = X402_OK;

    line->due_left = 0;
    if (!has_sold(remote, line))
        return X402_OK;
    introduce(remote, line);
    x402_chain_begin(chain);
    if (line->offered && remote->supported && hold(remote, line)) {
        ask_open(remote, line);
        ask_due(remote, line);
    }
    if (line->has_node && !rests && !chain->failed)
        error = x402_chain_watch(chain);
    remote->moved += chain->moved;
    if (!rests)
        x402_chain_end(chain);
    return error;
}

static void retell(struct x402_remote *remote)
{
    size_t i = 0;

    while (i < remote->items_count && !remote->ledger_failed) {
        struct x402_remote_item *item = remote->items[i];
        if (item->has_verdict)
            x402_remote_tell(remote, item);
        i += i < remote->items_count && remote->items[i] == item;
    }
}

static void say_state(struct x402_remote *remote, struct x402_settler_state *state)
{
    state->remote = true;
    memcpy(state->signer20, remote->signer20, 20);
    state->gas_balance_wei = 0; /* there is no key */
    if (remote->trouble[0] != '\0')
        snprintf(state->trouble, sizeof state->trouble, "facilitator %.90s: %.140s",
                 remote->origin, remote->trouble);
    x402_pulse_say(remote->pulse, state);
}

/* A network on which something was sold, or of which it was said that it is settled. */
static void say_line(struct x402_remote *remote, const struct x402_remote_line *line)
{
    struct x402_settler_state state;
    char owner[X402_OWNER_SIZE];

    if (!line->sold && remote->remote->chain_ids_count == 0)
        return;
    if (!line->chain->leased &&
        x402_ledger_signer_owner(remote->ledger, owner, line->chain->network.chain_id,
                                 remote->signer20) == X402_OK)
        return; /* another settler asks this facilitator, and speaks */
    x402_chain_state(line->chain, &state);
    state.in_flight = 0;
    for (size_t i = 0; i < remote->items_count; i++)
        state.in_flight +=
            remote->items[i]->line == line && remote->items[i]->row_id != 0;
    say_state(remote, &state);
}

/* One that the facilitator has not named (yet). */
static void say_unnamed(struct x402_remote *remote, uint64_t chain_id)
{
    struct x402_settler_state state;

    memset(&state, 0, sizeof state);
    state.chain_id = chain_id;
    x402_owner_shown(state.owner, remote->owner);
    if (remote->supported)
        snprintf(state.trouble, sizeof state.trouble,
                 "facilitator %.200s does not settle on it", remote->origin);
    say_state(remote, &state);
}

/* Who looks on is told how it fares. */
static void say(struct x402_remote *remote)
{
    const struct x402_remote_options *options = remote->remote;
    int64_t now = x402_chain_milliseconds();

    if (now - remote->said_milliseconds < SAY_MILLISECONDS)
        return;
    remote->said_milliseconds = now;
    for (size_t i = 0; i < remote->lines_count; i++)
        say_line(remote, &remote->lines[i]);
    for (size_t i = 0; i < options->chain_ids_count; i++) {
        if (line_find(remote, options->chain_ids[i]) == NULL)
            say_unnamed(remote, options->chain_ids[i]);
    }
}

static void end_pass(struct x402_remote *remote)
{
    if (!remote->ledger_failed && remote->ledger_told) {
        remote->ledger_told = false;
        x402_remote_note(remote, X402_NOTE_RECOVERED, "ledger: all is well again");
    }
}

enum x402_error x402_remote_pass(struct x402_remote *remote)
{
    enum x402_error error = X402_OK;

    remote->ledger_failed = remote->asked = false;
    remote->moved = 0;
    retell(remote);
    ask_support(remote);
    look_at_sales(remote);
    for (size_t i = 0; i < remote->lines_count && error != X402_ERR_NETWORK; i++)
        error = serve(remote, &remote->lines[i]);
    x402_remote_http_poll(remote->http, POLL_MILLISECONDS, hear, remote);
    if (remote->asked)
        X402_FAILPOINT(settler_remote_asked);
    end_pass(remote);
    say(remote);
    return error == X402_ERR_NETWORK ? error : X402_OK;
}

size_t x402_remote_moved(const struct x402_remote *remote)
{
    return remote->moved;
}

bool x402_remote_is_busy(const struct x402_remote *remote)
{
    return x402_remote_http_busy(remote->http) > 0;
}

bool x402_remote_is_held(const struct x402_remote *remote)
{
    bool held = remote->supported && !remote->ledger_failed;

    for (size_t i = 0; i < remote->lines_count; i++) {
        const struct x402_remote_line *line = &remote->lines[i];
        held = held && (!line->sold || !line->offered || line->held) &&
               line->due_left == 0;
    }
    return held && !x402_remote_is_busy(remote);
}

bool x402_remote_is_done(const struct x402_remote *remote)
{
    return x402_remote_is_held(remote) && remote->items_count == 0;
}
