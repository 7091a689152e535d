#include "ledger/sqlite.h"

#include <assert.h>
#include <string.h>

struct looks {
    struct x402_look *looks;
    size_t count;
};

static enum x402_error look_once(struct x402_sqlite *sqlite, struct x402_look *look)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_LOOK);
    enum x402_error error;

    x402_sqlite_bind(statement, 1, look->payment_id);
    error = x402_sqlite_row(sqlite, statement, &look->found);
    if (!look->found) {
        return error;
    }
    look->state.delivery = (enum x402_delivery)sqlite3_column_int(statement, 0);
    look->state.money = (enum x402_money)sqlite3_column_int(statement, 1);
    look->has_transaction = sqlite3_column_type(statement, 2) != SQLITE_NULL;
    x402_sqlite_column_blob(statement, 2, look->transaction32, 32);
    x402_sqlite_column_text(statement, 3, look->reason, sizeof(look->reason));
    x402_sqlite_done(statement);
    return X402_OK;
}

static enum x402_error look_body(struct x402_sqlite *sqlite, void *data)
{
    const struct looks *looks = data;
    enum x402_error error = X402_OK;

    for (size_t i = 0; error == X402_OK && i < looks->count; i++) {
        error = look_once(sqlite, &looks->looks[i]);
    }
    return error;
}

enum x402_error x402_sqlite_look(struct x402_ledger *ledger, struct x402_look *looks,
                                 size_t count)
{
    struct looks all = {looks, count};

    assert(count <= X402_LOOKS_MAX);
    for (size_t i = 0; i < count; i++) {
        looks[i] = (struct x402_look){.payment_id = looks[i].payment_id};
    }
    return x402_sqlite_read(x402_sqlite_of(ledger), look_body, &all);
}

static enum x402_error key_body(struct x402_sqlite *sqlite, void *key32)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_RECEIPT_KEY);
    enum x402_error error;
    bool is_row;

    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        x402_sqlite_column_blob(statement, 0, key32, 32);
        x402_sqlite_done(statement);
    } else if (error == X402_OK) {
        error = x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                                "cannot read ledger '%s': it has no key for receipts",
                                sqlite->path);
    }
    return error;
}

enum x402_error x402_sqlite_receipt_key(struct x402_ledger *ledger, uint8_t key32[32])
{
    return x402_sqlite_read(x402_sqlite_of(ledger), key_body, key32);
}
