#include "settle/chain.h"
#include "settle/owner.h"
#include "settle/remote.h"

#include "ledger/nudge.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define IDLE_MILLISECONDS 1000
#define MOVING_MILLISECONDS 200
#define URGENT_MILLISECONDS 150 /* a caller waits: blocks may come every 200 */
#define TICK_MILLISECONDS 1000
#define LISTEN_MILLISECONDS 5000
#define TIDY_MILLISECONDS 60000
/* With `once`: how long to wait for something to move before giving up. */
#define ONCE_HELD_MILLISECONDS 8000 /* everything left was refused for now */
#define LEFT_TOLD_MAX 10            /* payments named at the end, of those left */
#define ONCE_MILLISECONDS 45000     /* longer than a lease that was not released */

/* One chain, served by a thread of its own; or a facilitator, for all its chains. */
struct worker {
    struct settler *settler;
    struct x402_chain chain;
    struct x402_remote *remote; /* NULL: it is a chain */
    struct x402_ledger *ledger; /* the thread's */
    pthread_t thread;
    bool running;               /* the thread was started */
    enum x402_error result;     /* once it has ended */
    int64_t moved_milliseconds; /* when something moved last */
};

struct settler {
    const struct x402_settler_options *options;
    struct x402_ledger *ledger; /* the caller's thread's */
    struct x402_pulse *pulse;
    struct worker *workers;
    size_t workers_count; /* opened */
    char owner[X402_OWNER_SIZE];
    int64_t tidied_milliseconds;
    bool tidy_failed;

    atomic_bool stop;
    atomic_size_t running;
    int wake_fd;                 /* readable once a thread has ended */
    int nudge_fd;                /* -1: nobody can nudge us */
    int listen_fd;               /* readable when either is */
    int64_t listen_milliseconds; /* when to try again for a nudge_fd */

    pthread_mutex_t mutex;
    pthread_cond_t wakened; /* `nudges` rose, or `stop` is set */
    unsigned nudges;
};

__attribute__((format(printf, 3, 4))) static void note(const struct settler *settler,
                                                       enum x402_note_kind kind,
                                                       const char *format, ...)
{
    char text[X402_NOTE_MESSAGE_MAX];
    struct x402_note_event event;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    x402_note_begin(&event, NULL, kind);
    x402_note_tell(settler->options, &event, "%s", text);
}

/* ------------------------------------------------------------------- open and close */

static enum x402_error open_ledger(const struct settler *settler,
                                   struct x402_ledger **out)
{
    char message[X402_LEDGER_MESSAGE_MAX];
    enum x402_error error = x402_ledger_open(out, settler->options->ledger_path,
                                             X402_LEDGER_WRITE, message);

    if (error != X402_OK)
        note(settler, X402_NOTE_ERROR, "%s", message);
    return error;
}

static bool open_remote(struct worker *worker)
{
    struct settler *settler = worker->settler;

    return x402_remote_open(&worker->remote, settler->options, worker->ledger,
                            settler->pulse, settler->owner, &settler->stop);
}

static bool open_chain(struct worker *worker, size_t index)
{
    struct settler *settler = worker->settler;

    bool opened = x402_chain_open(&worker->chain, settler->options,
                                  &settler->options->chains[index], worker->ledger,
                                  settler->owner, &settler->stop);

    worker->chain.pulse = settler->pulse;
    return opened;
}

static enum x402_error open_worker(struct settler *settler, size_t index)
{
    struct worker *worker = &settler->workers[index];
    enum x402_error error = open_ledger(settler, &worker->ledger);

    worker->settler = settler;
    if (error == X402_OK &&
        !(settler->options->remote != NULL ? open_remote(worker)
                                           : open_chain(worker, index))) {
        note(settler, X402_NOTE_ERROR,
             "the key is not a private key, or there is no memory");
        error = X402_ERR_KEY;
    }
    if (error != X402_OK)
        x402_ledger_close(worker->ledger);
    return error;
}

static enum x402_error open_workers(struct settler *settler)
{
    enum x402_error error = X402_OK;
    bool is_remote = settler->options->remote != NULL;
    size_t count = is_remote ? 1 : settler->options->chains_count;

    settler->workers = calloc(count, sizeof *settler->workers);
    if (settler->workers == NULL)
        return X402_ERR_SPACE;
    for (size_t i = 0; error == X402_OK && i < count; i++) {
        error = open_worker(settler, i);
        settler->workers_count += error == X402_OK;
    }
    return error;
}

static bool listen_to(struct settler *settler, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

    return epoll_ctl(settler->listen_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/*
 * Another settler of this ledger may have the socket, and end. Without a nudge work is
 * found when it is looked for.
 */
static void listen_to_nudges(struct settler *settler)
{
    int64_t now = x402_chain_milliseconds();

    if (settler->nudge_fd >= 0 || now < settler->listen_milliseconds)
        return;
    settler->listen_milliseconds = now + LISTEN_MILLISECONDS;
    settler->nudge_fd = x402_nudge_listen(settler->options->ledger_path);
    if (settler->nudge_fd >= 0)
        (void)listen_to(settler, settler->nudge_fd);
}

static enum x402_error open_events(struct settler *settler)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&settler->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&settler->wakened, &attributes);
    pthread_condattr_destroy(&attributes);
    settler->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    settler->listen_fd = epoll_create1(EPOLL_CLOEXEC);
    settler->nudge_fd = -1;
    if (listen_to(settler, settler->wake_fd))
        return X402_OK;
    note(settler, X402_NOTE_ERROR, "cannot wait for events: %s", strerror(errno));
    return X402_ERR_SPACE;
}

static enum x402_error open_settler(struct settler *settler)
{
    enum x402_error error = open_events(settler);

    x402_owner_name(settler->owner);
    if (error == X402_OK)
        error = open_ledger(settler, &settler->ledger);
    if (error == X402_OK)
        error = x402_pulse_open(&settler->pulse, settler->options->ledger_path);
    return error == X402_OK ? open_workers(settler) : error;
}

static void close_settler(struct settler *settler)
{
    for (size_t i = 0; i < settler->workers_count; i++) {
        if (settler->workers[i].remote != NULL)
            x402_remote_close(settler->workers[i].remote);
        else
            x402_chain_close(&settler->workers[i].chain);
        x402_ledger_close(settler->workers[i].ledger);
    }
    free(settler->workers);
    x402_pulse_close(settler->pulse);
    x402_ledger_close(settler->ledger);
    x402_nudge_close(settler->nudge_fd, settler->options->ledger_path);
    close(settler->listen_fd);
    close(settler->wake_fd);
    pthread_cond_destroy(&settler->wakened);
    pthread_mutex_destroy(&settler->mutex);
}

/* ------------------------------------------------------------------------- a thread */

/* Nothing is under way or untried: what is left was refused, and is tried again later.
 */
static bool only_held(const struct x402_chain *chain)
{
    return chain->checked && chain->leased && !chain->failed && chain->under_way == 0 &&
           chain->due_left == 0;
}

static bool has_given_up(const struct worker *worker)
{
    int64_t still = x402_chain_milliseconds() - worker->moved_milliseconds;

    return still >=
           (only_held(&worker->chain) ? ONCE_HELD_MILLISECONDS : ONCE_MILLISECONDS);
}

static unsigned nudges_of(struct settler *settler)
{
    pthread_mutex_lock(&settler->mutex);
    unsigned nudges = settler->nudges;
    pthread_mutex_unlock(&settler->mutex);
    return nudges;
}

/* Until then, or a stop, or a nudge beside those counted; NULL: a nudge changes
 * nothing.
 */
static void wait_until(struct settler *settler, const unsigned *nudges,
                       int64_t milliseconds)
{
    struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
    int code = 0;

    pthread_mutex_lock(&settler->mutex);
    while (code == 0 && !atomic_load(&settler->stop) &&
           (nudges == NULL || settler->nudges == *nudges))
        code = pthread_cond_timedwait(&settler->wakened, &settler->mutex, &time);
    pthread_mutex_unlock(&settler->mutex);
}

/* A node or ledger that failed is left in peace, whoever nudges: but not for longer
 * than if somebody had waited in the pass that failed. */
static void rest_after_failure(struct worker *worker, unsigned nudges)
{
    int64_t until = worker->chain.pass_milliseconds;
    int64_t soonest = x402_chain_milliseconds() + X402_BACKOFF_URGENT_MILLISECONDS;

    wait_until(worker->settler, NULL, until < soonest ? until : soonest);
    wait_until(worker->settler, &nudges, until);
}

/* Until the next pass: a nudge since `nudges` were counted makes it due at once. */
static void rest(struct worker *worker, unsigned nudges)
{
    const struct x402_chain *chain = &worker->chain;

    if (worker->remote != NULL) { /* what is under way is waited for in the pass */
        if (!x402_remote_is_busy(worker->remote))
            wait_until(worker->settler, &nudges,
                       x402_chain_milliseconds() + IDLE_MILLISECONDS);
        return;
    }
    int64_t wait = chain->moved > 0 ? MOVING_MILLISECONDS : IDLE_MILLISECONDS;

    if (chain->urgent)
        wait = URGENT_MILLISECONDS;
    if (chain->failed)
        rest_after_failure(worker, nudges);
    else
        wait_until(worker->settler, &nudges, x402_chain_milliseconds() + wait);
}

/* An answer may take as long as a request may: nobody gives up before it is there. */
static bool remote_has_given_up(const struct worker *worker)
{
    int64_t still = x402_chain_milliseconds() - worker->moved_milliseconds;

    return !x402_remote_is_busy(worker->remote) &&
           still >= (x402_remote_is_held(worker->remote) ? ONCE_HELD_MILLISECONDS
                                                         : ONCE_MILLISECONDS);
}

/* One pass; whether something moved, and whether nothing is left, or will move. */
static enum x402_error pass(struct worker *worker, bool *done, bool *given_up)
{
    enum x402_error error = worker->remote != NULL ? x402_remote_pass(worker->remote)
                                                   : x402_chain_pass(&worker->chain);
    size_t moved = worker->remote != NULL ? x402_remote_moved(worker->remote)
                                          : worker->chain.moved;

    if (moved > 0)
        worker->moved_milliseconds = x402_chain_milliseconds();
    if (worker->remote != NULL) {
        *done = x402_remote_is_done(worker->remote);
        *given_up = remote_has_given_up(worker);
    } else {
        *done = x402_chain_is_done(&worker->chain);
        *given_up = has_given_up(worker);
    }
    return error;
}

static enum x402_error serve(struct worker *worker)
{
    struct settler *settler = worker->settler;
    bool once = settler->options->once, done, given_up;

    worker->moved_milliseconds = x402_chain_milliseconds();
    while (!atomic_load(&settler->stop)) {
        unsigned nudges = nudges_of(settler);
        if (pass(worker, &done, &given_up) != X402_OK)
            return X402_ERR_NETWORK;
        if (once && done)
            return X402_OK;
        if (once && given_up)
            return X402_ERR_CONFLICT;
        rest(worker, nudges);
    }
    return once ? X402_ERR_CONFLICT : X402_OK;
}

static void wake_all(struct settler *settler, bool stop)
{
    pthread_mutex_lock(&settler->mutex);
    settler->nudges++;
    if (stop)
        atomic_store(&settler->stop, true);
    pthread_cond_broadcast(&settler->wakened);
    pthread_mutex_unlock(&settler->mutex);
}

static void *run_worker(void *data)
{
    struct worker *worker = data;
    struct settler *settler = worker->settler;

    worker->result = serve(worker);
    if (worker->result == X402_ERR_NETWORK) /* what was asked for is wrong: all end */
        wake_all(settler, true);
    atomic_fetch_sub(&settler->running, 1);
    (void)eventfd_write(settler->wake_fd, 1);
    return NULL;
}

/* ------------------------------------------------------------- the caller's thread */

static void tidy(struct settler *settler)
{
    int64_t now = x402_chain_milliseconds();

    if (now - settler->tidied_milliseconds < TIDY_MILLISECONDS)
        return;
    settler->tidied_milliseconds = now;
    bool failed = x402_ledger_tidy(settler->ledger) != X402_OK;
    if (failed && !settler->tidy_failed)
        note(settler, X402_NOTE_ERROR, "cannot tidy the ledger: %s",
             x402_ledger_message(settler->ledger));
    settler->tidy_failed = failed;
}

/* Whether there was a nudge; takes it, and what a thread's end left. */
static bool take_events(struct settler *settler)
{
    struct epoll_event events[2];
    int count = epoll_wait(settler->listen_fd, events, 2, 0);
    bool nudged = false;
    eventfd_t ended;

    for (int i = 0; i < count; i++)
        nudged = nudged || events[i].data.fd == settler->nudge_fd;
    if (nudged)
        x402_nudge_drain(settler->nudge_fd);
    (void)eventfd_read(settler->wake_fd, &ended);
    return nudged;
}

static void watch(struct settler *settler)
{
    const struct x402_settler_options *options = settler->options;
    bool stop = false;

    while (!stop && atomic_load(&settler->running) > 0) {
        tidy(settler);
        listen_to_nudges(settler);
        stop = options->wait(options->data, settler->listen_fd, TICK_MILLISECONDS);
        if (take_events(settler) || stop)
            wake_all(settler, stop);
    }
}

static enum x402_error start_workers(struct settler *settler)
{
    atomic_store(&settler->running, settler->workers_count);
    for (size_t i = 0; i < settler->workers_count; i++) {
        struct worker *worker = &settler->workers[i];
        int code = pthread_create(&worker->thread, NULL, run_worker, worker);
        if (code != 0) {
            note(settler, X402_NOTE_ERROR, "cannot start a thread: %s", strerror(code));
            return X402_ERR_SPACE;
        }
        worker->running = true;
    }
    return X402_OK;
}
/* ----------------------------------------------------------- beginning and summary */

static void introduce(const struct settler *settler)
{
    char signer[X402_ADDRESS_TEXT_SIZE];

    for (size_t i = 0; i < settler->workers_count; i++) {
        struct x402_chain *chain = &settler->workers[i].chain;
        if (settler->workers[i].remote != NULL)
            continue; /* it says so when it knows for which networks */
        x402_address_encode(signer, chain->signer20);
        x402_chain_note(chain, X402_NOTE_STARTED,
                        "%s: settling with the key of %s through %s", chain->name,
                        signer, x402_rpc_origin(chain->rpc));
    }
}

/* What the ledger says of one chain, all its tokens together; what is left of it. */
static uint64_t summarize_chain(const struct settler *settler, uint64_t chain_id,
                                const struct x402_totals *totals, size_t count)
{
    struct x402_network network;
    char name[X402_CAIP2_TEXT_SIZE];
    uint64_t monies[X402_MONEY_COUNT] = {0};
    struct x402_note_event event;

    x402_caip2_encode(name, chain_id);
    if (x402_network_find(&network, x402_slice_of(name)) == X402_OK &&
        network.name[0] != '\0')
        snprintf(name, sizeof name, "%s", network.name);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; totals[i].chain_id == chain_id && j < X402_MONEY_COUNT; j++)
            monies[j] += totals[i].monies[j].count;
    }
    x402_note_begin(&event, NULL, X402_NOTE_SUMMARY);
    event.chain_id = chain_id;
    snprintf(event.network, sizeof event.network, "%s", name);
    x402_note_tell(settler->options, &event,
                   "%s: %" PRIu64 " settled, %" PRIu64 " failed, %" PRIu64
                   " due, %" PRIu64 " under way",
                   name, monies[X402_MONEY_SETTLED] + monies[X402_MONEY_FINAL],
                   monies[X402_MONEY_FAILED], monies[X402_MONEY_DUE],
                   monies[X402_MONEY_SUBMITTED]);
    return monies[X402_MONEY_DUE] + monies[X402_MONEY_SUBMITTED];
}

/* One of what is left, and why. */
struct left {
    struct x402_chain *chain;
    size_t told;
};

static const char *why_left(struct x402_chain *chain,
                            const struct x402_settlement *payment)
{
    const struct x402_held *held = x402_held_find(chain, payment->payment_id);

    if (payment->state.money == X402_MONEY_SUBMITTED)
        return "its transaction is in no block yet";
    if (x402_trace_waits(chain, payment->payment_id))
        return "its authorization is used, by a transaction not found yet";
    if (held == NULL)
        return "not tried";
    if (held->over || held->why == X402_REVERT_USED)
        return "it has ended or is used up, which no safe block says yet";
    if (held->why == X402_REVERT_NONE && held->puzzles > 0)
        return "the node does not say whether it can be paid";
    return x402_revert_code(held->why);
}

static bool tell_left_one(const struct x402_payment_row *row, void *data)
{
    struct left *left = data;

    if (row->settlement.chain_id != left->chain->network.chain_id)
        return true;
    x402_payment_note(left->chain, X402_NOTE_LEFT, &row->settlement,
                      "left:", why_left(left->chain, &row->settlement));
    return ++left->told < LEFT_TOLD_MAX;
}

static void tell_left(struct worker *worker, uint64_t count)
{
    static const enum x402_money monies[] = {X402_MONEY_DUE, X402_MONEY_SUBMITTED};
    struct left left = {.chain = &worker->chain};

    for (size_t i = 0; i < 2 && left.told < LEFT_TOLD_MAX; i++) {
        struct x402_payment_filter filter = {.by_money = true, .money = monies[i]};
        if (x402_ledger_payments(worker->ledger, &filter, tell_left_one, &left))
            return;
    }
    if (count > left.told)
        x402_chain_note(left.chain, X402_NOTE_LEFT, "left: %" PRIu64 " more",
                        count - left.told);
}

static bool is_first_of_chain(const struct x402_totals *totals, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (totals[i].chain_id == totals[index].chain_id)
            return false;
    }
    return true;
}

/*
 * The end of `once`. What was sold meanwhile, or is in transactions of another key, is
 * left too.
 */
static enum x402_error summarize(const struct settler *settler)
{
    const struct x402_remote_options *remote = settler->options->remote;
    struct x402_totals totals[X402_TOTALS_MAX];
    uint64_t left = 0;
    size_t count = 0;

    if (x402_ledger_totals(settler->ledger, totals, X402_TOTALS_MAX, &count)) {
        note(settler, X402_NOTE_ERROR, "ledger: %s",
             x402_ledger_message(settler->ledger));
        return X402_ERR_LEDGER;
    }
    for (size_t i = 0; remote == NULL && i < settler->workers_count; i++) {
        struct worker *worker = &settler->workers[i];
        uint64_t more =
            summarize_chain(settler, worker->chain.network.chain_id, totals, count);
        if (more > 0)
            tell_left(worker, more);
        left += more;
    }
    for (size_t i = 0; remote != NULL && i < count; i++) {
        if (x402_remote_wants(remote, totals[i].chain_id) &&
            is_first_of_chain(totals, i))
            left += summarize_chain(settler, totals[i].chain_id, totals, count);
    }
    return left == 0 ? X402_OK : X402_ERR_CONFLICT;
}

/* Runs all threads to their end; the worst of what they came to. */
static enum x402_error run(struct settler *settler)
{
    enum x402_error error = start_workers(settler);

    if (error == X402_OK)
        watch(settler);
    if (error != X402_OK || atomic_load(&settler->running) > 0)
        wake_all(settler, true);
    for (size_t i = 0; i < settler->workers_count; i++) {
        struct worker *worker = &settler->workers[i];
        if (!worker->running)
            continue;
        pthread_join(worker->thread, NULL);
        if (error == X402_OK || worker->result == X402_ERR_NETWORK)
            error = worker->result;
    }
    return error;
}

enum x402_error x402_settler_run(const struct x402_settler_options *options)
{
    struct settler settler = {.options = options};
    enum x402_error error = open_settler(&settler);

    if (error == X402_OK) {
        introduce(&settler);
        error = run(&settler);
        if (options->once && error != X402_ERR_NETWORK)
            error = summarize(&settler);
        else
            note(&settler, X402_NOTE_STOPPED, "stopped");
    }
    close_settler(&settler);
    return error;
}
