#include "ledger/sqlite.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/*
 * The sums that are kept beside the rows: each is read together with its rows, in the
 * order of its key, and must be what the rows of that key come to.
 */

__attribute__((format(printf, 2, 3))) static enum x402_error disproved(
    char message[X402_LEDGER_MESSAGE_MAX], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, X402_LEDGER_MESSAGE_MAX, format, arguments);
    va_end(arguments);
    return X402_ERR_CONFLICT;
}

static bool same_count(struct x402_count a, struct x402_count b)
{
    return a.count == b.count && a.value == b.value;
}

static void count_add(struct x402_count *sum, struct x402_count count)
{
    sum->count += count.count;
    sum->value += count.value;
}

static struct x402_count column_count(sqlite3_stmt *statement, int column)
{
    return (struct x402_count){(uint64_t)sqlite3_column_int64(statement, column),
                               (uint64_t)sqlite3_column_int64(statement, column + 1)};
}

/* ------------------------------------------------------------------------- earnings */

struct earned {
    struct x402_count settled, failed;
};

/* One (day, token, route) of a block. */
struct route {
    int64_t day;
    int64_t token_id;
    char name[X402_ROUTE_MAX];
    struct earned rows, said;
};

static enum x402_error route_compare(const struct route *route,
                                     char message[X402_LEDGER_MESSAGE_MAX])
{
    const bool settled = same_count(route->rows.settled, route->said.settled);
    const struct x402_count rows = settled ? route->rows.failed : route->rows.settled;
    const struct x402_count said = settled ? route->said.failed : route->said.settled;

    if (settled && same_count(rows, said)) {
        return X402_OK;
    }
    return disproved(
        message,
        "route '%s' on day %lld: %llu are %s, worth %llu; its earnings say "
        "%llu, worth %llu",
        route->name, (long long)route->day, (unsigned long long)rows.count,
        settled ? "failed" : "settled", (unsigned long long)rows.value,
        (unsigned long long)said.count, (unsigned long long)said.value);
}

/* Goes on to the statement's key; compares the one before when it is another. */
static enum x402_error route_turn(sqlite3_stmt *statement, struct route *route,
                                  char message[X402_LEDGER_MESSAGE_MAX])
{
    struct route next = {.day = sqlite3_column_int64(statement, 0),
                         .token_id = sqlite3_column_int64(statement, 1)};
    enum x402_error error;

    x402_sqlite_column_text(statement, 2, next.name, sizeof(next.name));
    if (next.day == route->day && next.token_id == route->token_id &&
        strcmp(next.name, route->name) == 0) {
        return X402_OK;
    }
    error = route_compare(route, message);
    *route = next;
    return error;
}

enum x402_error x402_sqlite_books_earnings(struct x402_sqlite *sqlite, int64_t block,
                                           char message[X402_LEDGER_MESSAGE_MAX])
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_BOOKS_EARNINGS);
    struct route route = {0};
    enum x402_error error = X402_OK;
    bool is_row = true;

    x402_sqlite_bind(statement, 1, block * X402_SQLITE_BLOCK);
    x402_sqlite_bind(statement, 2, (block + 1) * X402_SQLITE_BLOCK - 1);
    x402_sqlite_bind(statement, 3, block);
    while (error == X402_OK) {
        struct earned *side;
        error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            break;
        }
        error = route_turn(statement, &route, message);
        side = sqlite3_column_int(statement, 3) != 0 ? &route.said : &route.rows;
        count_add(&side->settled, column_count(statement, 4));
        count_add(&side->failed, column_count(statement, 6));
    }
    return error == X402_OK ? route_compare(&route, message) : error;
}

/* --------------------------------------------------------------------------- payers */

struct amounts {
    uint64_t unsettled, owed;
};

struct ledger_payer {
    uint8_t payer20[20];
    struct amounts rows, said;
};

struct payers {
    int64_t token_id;
    struct ledger_payer payer; /* that is being read */
    uint64_t unsettled;        /* of all of them */
    uint64_t count;
    uint64_t payments; /* of all of them */
    char *message;
};

static enum x402_error payer_compare(const struct payers *payers)
{
    const struct ledger_payer *payer = &payers->payer;
    char hex[41] = "";

    if (payer->rows.unsettled == payer->said.unsettled &&
        payer->rows.owed == payer->said.owed) {
        return X402_OK;
    }
    x402_hex_encode(hex, payer->payer20, sizeof(payer->payer20));
    return disproved(payers->message,
                     "payer 0x%s has %llu unsettled and %llu owed; its sums say %llu "
                     "and %llu",
                     hex, (unsigned long long)payer->rows.unsettled,
                     (unsigned long long)payer->rows.owed,
                     (unsigned long long)payer->said.unsettled,
                     (unsigned long long)payer->said.owed);
}

/* A payment: what it is worth by its state; or the payer's sums as they are kept. */
static void payer_add(struct payers *payers, sqlite3_stmt *statement)
{
    const bool said = sqlite3_column_int(statement, 1) != 0;
    const uint64_t first = (uint64_t)sqlite3_column_int64(statement, 2);
    const uint64_t second = (uint64_t)sqlite3_column_int64(statement, 3);
    const uint64_t value = (uint64_t)sqlite3_column_int64(statement, 4);
    const struct x402_state state = {(enum x402_delivery)first,
                                     (enum x402_money)second};

    if (said) {
        payers->payer.said = (struct amounts){first, second};
        payers->count++;
        payers->payments += value;
        return;
    }
    payers->payer.rows.unsettled += x402_sqlite_unsettled(state, value);
    payers->payer.rows.owed += x402_sqlite_owed(state, value);
    payers->unsettled += x402_sqlite_unsettled(state, value);
}

static enum x402_error payer_turn(struct payers *payers, sqlite3_stmt *statement)
{
    struct ledger_payer next = {.rows = {0, 0}};
    enum x402_error error;

    x402_sqlite_column_blob(statement, 0, next.payer20, sizeof(next.payer20));
    if (memcmp(next.payer20, payers->payer.payer20, sizeof(next.payer20)) == 0) {
        return X402_OK;
    }
    error = payer_compare(payers);
    payers->payer = next;
    return error;
}

/* How many payments the flows have of the token. */
static enum x402_error payments_compare(struct x402_sqlite *sqlite,
                                        const struct payers *payers)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_BOOKS_PAYMENTS);
    uint64_t payments = 0;
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, payers->token_id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        payments = (uint64_t)sqlite3_column_int64(statement, 0);
        x402_sqlite_done(statement);
    }
    if (error == X402_OK && payments != payers->payments) {
        error = disproved(payers->message,
                          "token %lld has %llu payments; its payers have %llu",
                          (long long)payers->token_id, (unsigned long long)payments,
                          (unsigned long long)payers->payments);
    }
    return error;
}

static enum x402_error token_compare(struct x402_sqlite *sqlite,
                                     const struct payers *payers)
{
    struct x402_sqlite_token *token;
    enum x402_error error = x402_sqlite_token_take(sqlite, payers->token_id, &token);

    if (error != X402_OK) {
        return error;
    }
    if (token->unsettled != payers->unsettled) {
        error = disproved(payers->message,
                          "token %lld has %llu unsettled; its sum says %llu",
                          (long long)token->id, (unsigned long long)payers->unsettled,
                          (unsigned long long)token->unsettled);
    } else if (token->payers != payers->count) {
        error = disproved(payers->message,
                          "token %lld has %llu payers; their number says %llu",
                          (long long)token->id, (unsigned long long)payers->count,
                          (unsigned long long)token->payers);
    }
    return error;
}

static enum x402_error payers_compare(struct x402_sqlite *sqlite, struct payers *payers)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_BOOKS_PAYERS);
    enum x402_error error = X402_OK;
    bool is_row = true;

    x402_sqlite_bind(statement, 1, payers->token_id);
    while (error == X402_OK) {
        error = x402_sqlite_row(sqlite, statement, &is_row);
        if (error != X402_OK || !is_row) {
            break;
        }
        error = payer_turn(payers, statement);
        payer_add(payers, statement);
    }
    if (error == X402_OK) {
        error = payer_compare(payers);
    }
    if (error == X402_OK) {
        error = payments_compare(sqlite, payers);
    }
    return error == X402_OK ? token_compare(sqlite, payers) : error;
}

/* ERR_NOT_FOUND after the last token. */
static enum x402_error token_body(struct x402_sqlite *sqlite, void *data)
{
    struct payers *payers = data;
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_TOKEN_NEXT);
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, payers->token_id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (error != X402_OK || !is_row) {
        return error == X402_OK ? X402_ERR_NOT_FOUND : error;
    }
    *payers = (struct payers){.token_id = sqlite3_column_int64(statement, 0),
                              .message = payers->message};
    x402_sqlite_done(statement);
    return payers_compare(sqlite, payers);
}

enum x402_error x402_sqlite_books_payers(struct x402_sqlite *sqlite,
                                         char message[X402_LEDGER_MESSAGE_MAX])
{
    struct payers payers = {.message = message};
    enum x402_error error;

    do {
        error = x402_sqlite_read(sqlite, token_body, &payers);
    } while (error == X402_OK);
    return error == X402_ERR_NOT_FOUND ? X402_OK : error;
}
