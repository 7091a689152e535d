/*
 * What people read of a ledger, and how long it takes in a large one.
 *
 *   ledger fill FILE PAYMENTS DAYS [LIVE]  makes a ledger that sold so many in so many
 *                                          days; their authorizations have expired, or
 *                                          are valid for LIVE more seconds
 *   ledger read FILE                       the reads of the status page, timed: JSON
 *   ledger prove FILE                      its books, which takes a while
 *
 * Filling goes past the interface, which would take an hour: beside src/ledger this
 * alone knows its tables. The books of what it makes hold. Tokens and payers are those
 * of bench/payments, and nonces lie as far apart as random ones: what is sold on falls
 * among what is there.
 */
#include "core/clock.h"
#include "evm/signature.h"
#include "report/report.h"

#include <assert.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOKENS 2
#define ROUTES 10
#define PAYERS 1000 /* of each token */
#define BLOCK 32768 /* ids in one block of flows and earnings */
#define BATCH 100   /* payments in one transaction */
#define OPEN 3000   /* the newest: settled, submitted and due, a third of each */
#define VALUE 1000
#define GAS 30000
#define FEE INT64_C(30000000000)
#define CELLS_MAX 512
#define ROUNDS 101

static const int64_t chains[TOKENS + 1] = {0, 8453, 84532};
static const char *const assets[TOKENS + 1] = {
    "", "833589fcd6edb6e08f4c7c32d4f71b54bda02913",
    "036cbd53842c5426634e7929541ec2318f3dcf7e"};

/* Something counted, by what its numbers say. */
struct cell {
    int64_t key[4];
    int64_t a, b;
};
struct cells {
    size_t count;
    struct cell cells[CELLS_MAX];
};

struct filling {
    sqlite3 *db;
    int64_t payments, days, now;
    int64_t live_seconds; /* 0: expired, five minutes after the sale */
    uint8_t payers20[PAYERS][20];
    sqlite3_stmt *payment, *settled, *failed, *outbox, *outbox_payment;
    struct cells flows;    /* of this block; token, delivery, money, event: count */
    struct cells earnings; /* likewise; day, token, route: settled, failed */
    int64_t unsettled[TOKENS + 1][PAYERS];
    int64_t bought[TOKENS + 1][PAYERS]; /* payments */
};

/* One payment of it. */
struct item {
    int64_t id, at_seconds;
    int64_t token; /* from 1 */
    int64_t payer, route;
    struct x402_state state;
};

__attribute__((noreturn)) static void stop(const char *what, const char *why)
{
    fprintf(stderr, "ledger: %s: %s\n", what, why);
    exit(1);
}

__attribute__((format(printf, 2, 3))) static void run(sqlite3 *db, const char *format,
                                                      ...)
{
    char sql[1024];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sql, sizeof(sql), format, arguments);
    va_end(arguments);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        stop(sql, sqlite3_errmsg(db));
    }
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
        stop(sql, sqlite3_errmsg(db));
    }
    return statement;
}

/* Binds numbers to the first parameters and runs it. */
static void run_with(sqlite3_stmt *statement, size_t count, const int64_t *numbers)
{
    for (size_t i = 0; i < count; i++) {
        (void)sqlite3_bind_int64(statement, (int)i + 1, numbers[i]);
    }
    if (sqlite3_step(statement) != SQLITE_DONE) {
        stop("cannot write", sqlite3_errmsg(sqlite3_db_handle(statement)));
    }
    (void)sqlite3_reset(statement);
}
#define RUN_WITH(statement, ...)                                                       \
    run_with(statement, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),            \
             (int64_t[]){__VA_ARGS__})

/* -------------------------------------------------------------------------- filling */

static struct cell *cell_of(struct cells *cells, int64_t k0, int64_t k1, int64_t k2,
                            int64_t k3)
{
    const int64_t key[4] = {k0, k1, k2, k3};
    size_t i = 0;

    while (i < cells->count && memcmp(cells->cells[i].key, key, sizeof(key)) != 0) {
        i++;
    }
    if (i == cells->count) {
        assert(i < CELLS_MAX);
        memset(&cells->cells[i], 0, sizeof(cells->cells[i]));
        memcpy(cells->cells[i].key, key, sizeof(key));
        cells->count++;
    }
    return &cells->cells[i];
}

/* What happens to a payment, by its number; how many of these events. */
static int path_of(const struct filling *filling, int64_t id,
                   const enum x402_event **events)
{
    static const enum x402_event sold[] = {X402_EVENT_DELIVERED, X402_EVENT_SUBMIT,
                                           X402_EVENT_SETTLED, X402_EVENT_FINAL};
    static const enum x402_event failed[] = {X402_EVENT_DELIVERED, X402_EVENT_SUBMIT,
                                             X402_EVENT_FAILED};
    static const enum x402_event void_[] = {X402_EVENT_VOID};
    const int64_t left = filling->payments - id;

    *events = id % 100 == 7 ? failed : id % 50 == 3 ? void_ : sold;
    if (left < OPEN) {
        *events = sold;
        return left < OPEN / 3 ? 1 : left < OPEN / 3 * 2 ? 2 : 3;
    }
    return *events == failed ? 3 : *events == void_ ? 1 : 4;
}

static void walk(struct filling *filling, struct item *item)
{
    const enum x402_event *events;
    const int count = path_of(filling, item->id, &events);

    item->state = x402_state_first(X402_EVENT_PRESENT);
    cell_of(&filling->flows, item->token, -1, -1, X402_EVENT_PRESENT)->a++;
    for (int i = 0; i < count; i++) {
        const struct x402_state before = item->state;
        cell_of(&filling->flows, item->token, before.delivery, before.money, events[i])
            ->a++;
        if (!x402_state_next(&item->state, before, events[i])) {
            stop("cannot fill", "no such step");
        }
    }
}

/* The first keys of bench/payments. */
static void payers_make(struct filling *filling)
{
    for (int i = 0; i < PAYERS; i++) {
        uint8_t key32[32];
        memset(key32, 0x11, sizeof(key32));
        key32[30] = (uint8_t)((i + 1) >> 8);
        key32[31] = (uint8_t)(i + 1);
        if (x402_key_address(filling->payers20[i], key32) != X402_OK) {
            stop("cannot fill", "no such key");
        }
    }
}

static void payment_write(struct filling *filling, const struct item *item,
                          int64_t outbox_id)
{
    const uint64_t nonce =
        (uint64_t)item->id * (UINT64_MAX / (uint64_t)filling->payments);
    uint8_t nonce32[32] = {0};
    char route[X402_ROUTE_MAX];

    for (int i = 0; i < 8; i++) {
        nonce32[i] = (uint8_t)(nonce >> (56 - 8 * i));
    }
    snprintf(route, sizeof(route), "/api/route/%" PRId64, item->route);
    (void)sqlite3_bind_blob(filling->payment, 8, filling->payers20[item->payer], 20,
                            SQLITE_STATIC);
    (void)sqlite3_bind_blob(filling->payment, 9, nonce32, 32, SQLITE_STATIC);
    (void)sqlite3_bind_text(filling->payment, 10, route, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(filling->payment, 11,
                             filling->live_seconds > 0
                                 ? filling->now + filling->live_seconds
                                 : item->at_seconds + 300);
    RUN_WITH(filling->payment, item->id, item->token, chains[item->token],
             item->state.delivery, item->state.money, item->at_seconds, outbox_id);
}

static bool is_settled(const struct item *item)
{
    return item->state.money == X402_MONEY_SETTLED ||
           item->state.money == X402_MONEY_FINAL;
}

/* What the payment's row has beside it in other tables. */
static void company_write(struct filling *filling, const struct item *item,
                          int64_t outbox_id)
{
    const enum x402_money money = item->state.money;

    if (outbox_id != 0) {
        RUN_WITH(filling->outbox_payment, outbox_id, item->id,
                 money == X402_MONEY_FINAL || money == X402_MONEY_FAILED);
    }
    if (is_settled(item)) {
        RUN_WITH(filling->settled, item->id, chains[item->token], outbox_id, GAS, FEE,
                 money == X402_MONEY_FINAL);
    }
    if (money == X402_MONEY_FAILED) {
        RUN_WITH(filling->failed, item->id);
    }
}

static void earning_count(struct filling *filling, const struct item *item)
{
    struct cell *cell;

    if (!is_settled(item) && item->state.money != X402_MONEY_FAILED) {
        return;
    }
    cell = cell_of(&filling->earnings, item->at_seconds / 86400, item->token,
                   item->route, 0);
    cell->a += is_settled(item);
    cell->b += !is_settled(item);
}

/* Every transaction has payments of one token; at its first the row is made. */
static int64_t outbox_of(struct filling *filling, const struct item *item)
{
    const int64_t outbox_id = 1 + item->id / BATCH;

    if (item->id % BATCH == 0 || item->id == 1) {
        RUN_WITH(filling->outbox, outbox_id, chains[item->token], item->at_seconds,
                 filling->payments - item->id > OPEN ? 0 : BATCH);
    }
    return item->state.money == X402_MONEY_RELEASED ||
                   item->state.money == X402_MONEY_DUE
               ? 0
               : outbox_id;
}

static void item_write(struct filling *filling, int64_t id)
{
    struct item item = {.id = id,
                        .at_seconds = filling->now - filling->days * 86400 +
                                      (int64_t)((double)id / (double)filling->payments *
                                                (double)filling->days * 86400),
                        .token = 1 + id / BATCH % TOKENS,
                        .payer = id * 7919 % PAYERS,
                        .route = id * 31 % ROUTES};
    int64_t outbox_id;

    walk(filling, &item);
    filling->bought[item.token][item.payer]++;
    outbox_id = outbox_of(filling, &item);
    payment_write(filling, &item, outbox_id);
    company_write(filling, &item, outbox_id);
    earning_count(filling, &item);
    if (item.state.money == X402_MONEY_DUE ||
        item.state.money == X402_MONEY_SUBMITTED) {
        filling->unsettled[item.token][item.payer] += VALUE;
    }
}

static void block_write(struct filling *filling, int64_t block)
{
    for (size_t i = 0; i < filling->flows.count; i++) {
        const struct cell *cell = &filling->flows.cells[i];
        run(filling->db,
            "INSERT INTO flows VALUES (%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64
            ", %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 ")",
            block, cell->key[0], cell->key[1], cell->key[2], cell->key[3], cell->a,
            cell->key[1] < 0 ? 0 : cell->a * VALUE, cell->a * VALUE);
    }
    for (size_t i = 0; i < filling->earnings.count; i++) {
        const struct cell *cell = &filling->earnings.cells[i];
        run(filling->db,
            "INSERT INTO earning VALUES (%" PRId64 ", %" PRId64 ", '/api/route/%" PRId64
            "', %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64
            ", %" PRId64 ", %" PRId64 ")",
            cell->key[0], cell->key[1], cell->key[2], block, cell->a, cell->a * VALUE,
            cell->b, cell->b * VALUE, cell->a * GAS, cell->a * FEE);
    }
    filling->flows.count = 0;
    filling->earnings.count = 0;
}

static void payer_write(struct filling *filling, int64_t token, int64_t payer)
{
    char hex[41] = "";

    x402_hex_encode(hex, filling->payers20[payer], 20);
    run(filling->db,
        "INSERT INTO payer (token_id, payer, chain_id, unsettled, payments) VALUES "
        "(%" PRId64 ", x'%s', %" PRId64 ", %" PRId64 ", %" PRId64 ")",
        token, hex, chains[token], filling->unsettled[token][payer],
        filling->bought[token][payer]);
}

static void tokens_write(struct filling *filling)
{
    for (int64_t token = 1; token <= TOKENS; token++) {
        int64_t unsettled = 0, payers = 0;
        for (int64_t payer = 0; payer < PAYERS; payer++) {
            if (filling->bought[token][payer] != 0) {
                payer_write(filling, token, payer);
                unsettled += filling->unsettled[token][payer];
                payers++;
            }
        }
        run(filling->db,
            "INSERT INTO token VALUES (%" PRId64 ", %" PRId64 ", x'%s', %" PRId64
            ", %" PRId64 ", 0)",
            token, chains[token], assets[token], payers, unsettled);
    }
}

static void sales_write(struct filling *filling, int64_t hour, int64_t count)
{
    for (int64_t token = 1; token <= TOKENS; token++) {
        for (int64_t route = 0; route < ROUTES; route++) {
            run(filling->db,
                "INSERT INTO sale VALUES (%" PRId64 ", %" PRId64 ", x'%s', "
                "'/api/route/%" PRId64 "', 9, 1, %" PRId64 ", %" PRId64
                ", 1, %d, 0, 0)",
                hour, chains[token], assets[token], route, count, count * VALUE, VALUE);
        }
    }
}

static void refusals_write(struct filling *filling, int64_t hour)
{
    for (int reason = X402_ERR_BASE64; reason < X402_ERR_BASE64 + 12; reason++) {
        run(filling->db, "INSERT INTO refusal VALUES ('%s', %" PRId64 ", 5)",
            x402_error_symbol((enum x402_error)reason), hour);
    }
}

static void measures_write(struct filling *filling, int64_t hour)
{
    sqlite3_stmt *statement =
        prepare(filling->db, "INSERT INTO measure VALUES (?2, ?1, ?3)");

    for (unsigned i = 0; i < X402_MEASURE_COUNT; i++) {
        struct x402_histogram histogram = {.sum = 0};
        uint8_t encoded[X402_HISTOGRAM_ENCODED_MAX];
        size_t size;
        for (uint64_t value = 1; value < UINT64_C(1) << 24; value += value / 5 + 1) {
            for (uint64_t j = 0; j < 1000; j += value % 100 + 1) {
                x402_histogram_add(&histogram, value);
            }
        }
        size = x402_histogram_encode(encoded, &histogram);
        (void)sqlite3_bind_text(statement, 2, x402_measure_name((enum x402_measure)i),
                                -1, SQLITE_STATIC);
        (void)sqlite3_bind_blob(statement, 3, encoded, (int)size, SQLITE_STATIC);
        RUN_WITH(statement, hour);
    }
    (void)sqlite3_finalize(statement);
}

/* As busy in each hour, and for as long as hours are kept. */
static void activity_write(struct filling *filling)
{
    const int64_t hour = filling->now / X402_HOUR_SECONDS;
    const int64_t count = filling->payments / (filling->days * 24 * TOKENS * ROUTES);

    for (int64_t i = 0; i < X402_ACTIVITY_DAYS * 24; i++) {
        sales_write(filling, hour - i, count);
        refusals_write(filling, hour - i);
        measures_write(filling, hour - i);
    }
    for (int64_t day = hour / 24 - X402_ACTIVITY_DAYS; day <= hour / 24; day++) {
        refusals_write(filling, -2 - day);
        measures_write(filling, -2 - day);
    }
    sales_write(filling, X402_ACTIVITY_EVER, filling->payments / (TOKENS * ROUTES));
    measures_write(filling, X402_ACTIVITY_EVER);
}

/* All of it is over, but for the newest. */
static void horizon_write(struct filling *filling)
{
    run(filling->db,
        "INSERT INTO horizon SELECT id / %d, max(valid_before) + 600 FROM "
        "payment GROUP BY id / %d",
        BLOCK, BLOCK);
}

static void prepare_all(struct filling *filling)
{
    filling->payment = prepare(
        filling->db,
        "INSERT INTO payment VALUES (?1, ?2, ?3, ?8, ?9, ?4, ?5, 1000, zeroblob(20), "
        "0, ?11, zeroblob(65), 0, 0, ?10, ?6, ?6, randomblob(16), 1, 0, "
        "nullif(?7, 0))");
    filling->outbox =
        prepare(filling->db,
                "INSERT INTO outbox VALUES (?1, ?2, zeroblob(20), ?1, randomblob(32), "
                "1, 1, 1, ?3, 0, ?1, ?4, zeroblob(300))");
    filling->outbox_payment =
        prepare(filling->db, "INSERT INTO outbox_payment VALUES (?1, ?2, ?3)");
    filling->settled =
        prepare(filling->db, "INSERT INTO settled VALUES (?1, ?2, randomblob(32), ?3, "
                             "randomblob(32), ?4, ?5, ?6, randomblob(8))");
    filling->failed = prepare(filling->db, "INSERT INTO failed VALUES (?1, 'expired')");
}

static void release(struct filling *filling)
{
    (void)sqlite3_finalize(filling->payment);
    (void)sqlite3_finalize(filling->outbox);
    (void)sqlite3_finalize(filling->outbox_payment);
    (void)sqlite3_finalize(filling->settled);
    (void)sqlite3_finalize(filling->failed);
    run(filling->db, "COMMIT");
    run(filling->db, "PRAGMA journal_mode = WAL");
    (void)sqlite3_close(filling->db);
    free(filling);
}

static int fill(const char *path, int64_t payments, int64_t days, int64_t live_seconds)
{
    struct filling *filling = calloc(1, sizeof(*filling));
    char message[X402_LEDGER_MESSAGE_MAX];

    if (filling == NULL || payments < OPEN || days < 1) {
        stop("cannot fill", "too few payments or days");
    }
    if (x402_ledger_create(path, (unsigned)-1, (unsigned)-1, message) != X402_OK) {
        stop("cannot fill", message);
    }
    filling->payments = payments;
    filling->days = days;
    filling->live_seconds = live_seconds;
    payers_make(filling);
    filling->now = x402_clock_seconds();
    (void)sqlite3_open(path, &filling->db);
    run(filling->db, "PRAGMA journal_mode = OFF");
    run(filling->db, "PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; BEGIN");
    prepare_all(filling);
    for (int64_t id = 1; id <= payments; id++) {
        item_write(filling, id);
        if (id == payments || (id + 1) % BLOCK == 0) {
            block_write(filling, id / BLOCK);
        }
    }
    tokens_write(filling);
    activity_write(filling);
    horizon_write(filling);
    release(filling);
    return 0;
}

/* --------------------------------------------------------------------------- reading
 */

static bool earning_take(const struct x402_earning *earning, void *data)
{
    (void)earning;
    ++*(size_t *)data;
    return true;
}

static bool sales_take(int64_t hour, const struct x402_sales *sales, void *data)
{
    (void)hour;
    (void)sales;
    ++*(size_t *)data;
    return true;
}

static bool row_take(const struct x402_payment_row *row, void *data)
{
    (void)row;
    ++*(size_t *)data;
    return true;
}

/* Each returns what it read, for the size of it. */
static size_t totals_read(struct x402_ledger *ledger, int64_t now)
{
    struct x402_totals totals[X402_TOTALS_MAX];
    size_t count = 0;

    (void)now;
    return x402_ledger_totals(ledger, totals, X402_TOTALS_MAX, &count) == X402_OK
               ? count
               : 0;
}

static size_t earnings_read(struct x402_ledger *ledger, int64_t now)
{
    size_t count = 0;

    return x402_ledger_earnings(ledger, now / 86400 - 6, now / 86400, earning_take,
                                &count) == X402_OK
               ? count
               : 0;
}

static size_t sales_read(struct x402_ledger *ledger, int64_t now)
{
    const int64_t hour = now / X402_HOUR_SECONDS;
    size_t count = 0;

    return x402_ledger_sales(ledger, hour - 167, hour, sales_take, &count) == X402_OK
               ? count
               : 0;
}

static size_t activity_read(struct x402_ledger *ledger, int64_t now)
{
    const int64_t hour = now / X402_HOUR_SECONDS;
    uint64_t refusals[X402_ERROR_COUNT];
    struct x402_histogram measures[X402_MEASURE_COUNT];

    return x402_ledger_activity(ledger, hour - 167, hour, refusals, measures) == X402_OK
               ? X402_MEASURE_COUNT
               : 0;
}

static size_t newest_read(struct x402_ledger *ledger, int64_t now)
{
    const struct x402_payment_filter filter = {.limit = 20};
    size_t count = 0;

    (void)now;
    return x402_ledger_payments(ledger, &filter, row_take, &count) == X402_OK ? count
                                                                              : 0;
}

static size_t settlers_read(struct x402_ledger *ledger, int64_t now)
{
    struct x402_settler_state settlers[16];
    size_t count = 0;

    (void)now;
    return x402_ledger_settlers(ledger, settlers, 16, &count) == X402_OK ? count : 0;
}

/* All of it, and the JSON: bytes. */
static size_t document_read(struct x402_ledger *ledger, int64_t now)
{
    static const struct x402_report_options options;
    static struct x402_report report;
    struct x402_text_buffer text = {.data = NULL};
    size_t size;

    (void)now;
    if (x402_report_read(&report, ledger, &options) != X402_OK) {
        return 0;
    }
    x402_report_json(&text, &report, &options);
    size = text.failed ? 0 : text.size;
    free(text.data);
    return size;
}

static const struct {
    const char *name;
    size_t (*read)(struct x402_ledger *ledger, int64_t now);
} reads[] = {{"totals", totals_read},    {"earnings", earnings_read},
             {"sales", sales_read},      {"activity", activity_read},
             {"payments", newest_read},  {"settlers", settlers_read},
             {"document", document_read}};
#define READS (sizeof(reads) / sizeof(reads[0]))

static double milliseconds(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Of one read. */
struct times {
    double wall[ROUNDS], cpu[ROUNDS]; /* milliseconds */
    size_t rows;                      /* of the document: bytes */
};

static void print(const char *name, struct times *times)
{
    const double first = times->wall[0];

    qsort(times->wall, ROUNDS, sizeof(times->wall[0]), compare);
    qsort(times->cpu, ROUNDS, sizeof(times->cpu[0]), compare);
    printf("%s\"%s\": {\"rows\": %zu, \"first_ms\": %.3f, \"p50_ms\": %.3f, "
           "\"p99_ms\": %.3f, \"cpu_ms\": %.3f}",
           strcmp(name, reads[0].name) == 0 ? "{\n " : ",\n ", name, times->rows, first,
           times->wall[ROUNDS / 2], times->wall[ROUNDS * 99 / 100],
           times->cpu[ROUNDS / 2]);
}

/* As a worker does while it sells: what readers had cached is worth nothing after it.
 */
static void sell_more(struct x402_ledger *ledger)
{
    const struct x402_sales sales = {
        .route = "/api/route/0", .chain_id = 8453, .offered = 1};
    const struct x402_activity activity = {.sales = &sales, .sales_count = 1};

    if (x402_ledger_note(ledger, &activity) != X402_OK) {
        stop("cannot note", x402_ledger_message(ledger));
    }
}

static struct x402_ledger *ledger_open(const char *path, enum x402_ledger_mode mode)
{
    char message[X402_LEDGER_MESSAGE_MAX];
    struct x402_ledger *ledger = NULL;

    if (x402_ledger_open(&ledger, path, mode, message) != X402_OK) {
        stop("cannot open", message);
    }
    return ledger;
}

static void time_round(struct x402_ledger *ledger, struct x402_ledger *seller,
                       struct times times[READS], int round)
{
    const int64_t now = x402_clock_seconds();

    for (size_t i = 0; i < READS; i++) {
        const double wall = milliseconds(CLOCK_MONOTONIC);
        const double cpu = milliseconds(CLOCK_THREAD_CPUTIME_ID);
        times[i].rows = reads[i].read(ledger, now);
        times[i].cpu[round] = milliseconds(CLOCK_THREAD_CPUTIME_ID) - cpu;
        times[i].wall[round] = milliseconds(CLOCK_MONOTONIC) - wall;
        sell_more(seller);
    }
}

/* Round after round; what the page reads is the last of them. */
static int read_timed(const char *path)
{
    static struct times times[READS];
    struct x402_ledger *ledger = ledger_open(path, X402_LEDGER_READ);
    struct x402_ledger *seller = ledger_open(path, X402_LEDGER_WRITE);

    for (int round = 0; round < ROUNDS; round++) {
        time_round(ledger, seller, times, round);
    }
    for (size_t i = 0; i < READS; i++) {
        print(reads[i].name, &times[i]);
    }
    printf("\n}\n");
    x402_ledger_close(seller);
    x402_ledger_close(ledger);
    return 0;
}

/* Proves what was filled in: the figures are those of a ledger that could be. */
static int prove(const char *path)
{
    char message[X402_LEDGER_MESSAGE_MAX];
    struct x402_ledger *ledger = ledger_open(path, X402_LEDGER_READ);

    if (x402_ledger_books(ledger, message) != X402_OK) {
        stop("the books do not hold", message);
    }
    x402_ledger_close(ledger);
    return 0;
}

int main(int argc, char **argv)
{
    if ((argc == 5 || argc == 6) && strcmp(argv[1], "fill") == 0) {
        return fill(argv[2], atoll(argv[3]), atoll(argv[4]),
                    argc == 6 ? atoll(argv[5]) : 0);
    }
    if (argc == 3 && strcmp(argv[1], "read") == 0) {
        return read_timed(argv[2]);
    }
    if (argc == 3 && strcmp(argv[1], "prove") == 0) {
        return prove(argv[2]);
    }
    fprintf(stderr,
            "usage: ledger fill FILE PAYMENTS DAYS [LIVE] | read FILE | prove FILE\n");
    return 2;
}
