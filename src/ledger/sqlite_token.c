#include "ledger/sqlite.h"

#include <string.h>

/* ---------------------------------------------------------------------------- names */

static void name_remember(struct x402_sqlite *sqlite, uint64_t chain_id,
                          const uint8_t asset20[20], int64_t id)
{
    struct x402_sqlite_token_name *name;

    if (sqlite->names_count == X402_SQLITE_TOKENS_MAX) {
        sqlite->names_count = 0;
    }
    name = &sqlite->names[sqlite->names_count++];
    name->chain_id = chain_id;
    memcpy(name->asset20, asset20, sizeof(name->asset20));
    name->id = id;
}

static enum x402_error token_add(struct x402_sqlite *sqlite, uint64_t chain_id,
                                 const uint8_t asset20[20], int64_t *id)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_TOKEN_ADD);
    enum x402_error error;

    x402_sqlite_bind(statement, 1, (int64_t)chain_id);
    x402_sqlite_bind_blob(statement, 2, asset20, 20);
    error = x402_sqlite_run(sqlite, statement);
    *id = sqlite3_last_insert_rowid(sqlite->db);
    return error;
}

enum x402_error x402_sqlite_token_find(struct x402_sqlite *sqlite, uint64_t chain_id,
                                       const uint8_t asset20[20], bool add, int64_t *id)
{
    sqlite3_stmt *statement;
    enum x402_error error;
    bool is_row;

    for (size_t i = 0; i < sqlite->names_count; i++) {
        const struct x402_sqlite_token_name *name = &sqlite->names[i];
        if (name->chain_id == chain_id &&
            memcmp(name->asset20, asset20, sizeof(name->asset20)) == 0) {
            *id = name->id;
            return X402_OK;
        }
    }
    *id = 0;
    statement = x402_sqlite_statement(sqlite, X402_SQL_TOKEN_FIND);
    x402_sqlite_bind(statement, 1, (int64_t)chain_id);
    x402_sqlite_bind_blob(statement, 2, asset20, 20);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        *id = sqlite3_column_int64(statement, 0);
        x402_sqlite_done(statement);
    } else if (error == X402_OK && add) {
        error = token_add(sqlite, chain_id, asset20, id);
    }
    if (error == X402_OK && *id != 0) {
        name_remember(sqlite, chain_id, asset20, *id);
    }
    return error;
}

/* ----------------------------------------------------------------------------- rows */

static enum x402_error token_read(struct x402_sqlite *sqlite,
                                  struct x402_sqlite_token *token)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_TOKEN_READ);
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, token->id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        token->chain_id = (uint64_t)sqlite3_column_int64(statement, 0);
        token->payers = (uint64_t)sqlite3_column_int64(statement, 1);
        token->unsettled = (uint64_t)sqlite3_column_int64(statement, 2);
        token->final_block = (uint64_t)sqlite3_column_int64(statement, 3);
        x402_sqlite_done(statement);
    } else if (error == X402_OK) {
        error = x402_sqlite_say(sqlite, X402_ERR_LEDGER,
                                "cannot read ledger '%s': there is no token %lld",
                                sqlite->path, (long long)token->id);
    }
    return error;
}

enum x402_error x402_sqlite_token_take(struct x402_sqlite *sqlite, int64_t token_id,
                                       struct x402_sqlite_token **out)
{
    struct x402_sqlite_token token = {.id = token_id};
    enum x402_error error = X402_OK;

    for (size_t i = 0; i < sqlite->tokens_count; i++) {
        if (sqlite->tokens[i].id == token_id) {
            *out = &sqlite->tokens[i];
            return X402_OK;
        }
    }
    if (sqlite->tokens_count == X402_SQLITE_TOKENS_MAX) {
        error = x402_sqlite_tokens_write(sqlite);
    }
    if (error == X402_OK) {
        error = token_read(sqlite, &token);
    }
    if (error == X402_OK) {
        *out = &sqlite->tokens[sqlite->tokens_count++];
        **out = token;
    }
    return error;
}

static enum x402_error token_write(struct x402_sqlite *sqlite,
                                   const struct x402_sqlite_token *token)
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_TOKEN_WRITE);

    x402_sqlite_bind(statement, 1, token->id);
    x402_sqlite_bind(statement, 2, (int64_t)token->payers);
    x402_sqlite_bind(statement, 3, (int64_t)token->unsettled);
    x402_sqlite_bind(statement, 4, (int64_t)token->final_block);
    return x402_sqlite_run(sqlite, statement);
}

enum x402_error x402_sqlite_tokens_write(struct x402_sqlite *sqlite)
{
    enum x402_error error = X402_OK;

    for (size_t i = 0; error == X402_OK && i < sqlite->tokens_count; i++) {
        if (sqlite->tokens[i].changed) {
            error = token_write(sqlite, &sqlite->tokens[i]);
        }
    }
    sqlite->tokens_count = 0;
    return error;
}

enum x402_error x402_sqlite_token_name(struct x402_sqlite *sqlite, int64_t token_id,
                                       uint64_t *chain_id, uint8_t asset20[20])
{
    sqlite3_stmt *statement = x402_sqlite_statement(sqlite, X402_SQL_TOKEN_NAME);
    enum x402_error error;
    bool is_row;

    x402_sqlite_bind(statement, 1, token_id);
    error = x402_sqlite_row(sqlite, statement, &is_row);
    if (is_row) {
        *chain_id = (uint64_t)sqlite3_column_int64(statement, 0);
        x402_sqlite_column_blob(statement, 1, asset20, 20);
        x402_sqlite_done(statement);
    }
    return error;
}
