#include "ledger/sqlite.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static bool random16(uint8_t out16[16])
{
    return getrandom(out16, 16, 0) == 16;
}

static void release(struct x402_sqlite *sqlite)
{
    x402_sqlite_disconnect(sqlite);
    free(sqlite->raw);
    free(sqlite->path);
    free(sqlite);
}

static enum x402_error open_ledger(struct x402_ledger **out, const char *path,
                                   enum x402_ledger_mode mode,
                                   char message[X402_LEDGER_MESSAGE_MAX])
{
    struct x402_sqlite *sqlite = calloc(1, sizeof(*sqlite));
    enum x402_error error;

    if (sqlite == NULL || (sqlite->path = strdup(path)) == NULL ||
        !random16(sqlite->holder16)) {
        snprintf(message, X402_LEDGER_MESSAGE_MAX, "cannot open ledger '%s': %s", path,
                 "out of memory");
        free(sqlite);
        return X402_ERR_LEDGER;
    }
    sqlite->base.backend = &x402_ledger_sqlite;
    sqlite->mode = mode;
    sqlite->queue.fd = -1;
    sqlite->live.fd = -1;
    error = x402_sqlite_connect(sqlite);
    if (error != X402_OK) {
        memcpy(message, sqlite->base.message, X402_LEDGER_MESSAGE_MAX);
        release(sqlite);
        return error;
    }
    *out = &sqlite->base;
    return X402_OK;
}

static void close_ledger(struct x402_ledger *ledger)
{
    release(x402_sqlite_of(ledger));
}

const struct x402_ledger_backend x402_ledger_sqlite = {
    .create = x402_sqlite_create,
    .open = open_ledger,
    .close = close_ledger,
    .lease_renew = x402_sqlite_lease_renew,
    .lease_release = x402_sqlite_lease_release,
    .commit = x402_sqlite_commit,
    .post = x402_sqlite_post,
    .look = x402_sqlite_look,
    .receipt_key = x402_sqlite_receipt_key,
    .signer_acquire = x402_sqlite_signer_acquire,
    .signer_release = x402_sqlite_signer_release,
    .signer_owner = x402_sqlite_signer_owner,
    .signer_evict = x402_sqlite_signer_evict,
    .due = x402_sqlite_due,
    .submit = x402_sqlite_submit,
    .outbox_next = x402_sqlite_outbox_next,
    .outbox_find = x402_sqlite_outbox_find,
    .nonce_next = x402_sqlite_nonce_next,
    .outbox_payments = x402_sqlite_outbox_payments,
    .strays = x402_sqlite_strays,
    .advance = x402_sqlite_advance,
    .settled = x402_sqlite_settled,
    .payers_wanted = x402_sqlite_payers_wanted,
    .payers_seen = x402_sqlite_payers_seen,
    .tidy = x402_sqlite_tidy,
    .totals = x402_sqlite_totals,
    .payments = x402_sqlite_payments,
    .payment = x402_sqlite_payment,
    .earnings = x402_sqlite_earnings,
    .books = x402_sqlite_books,
    .note = x402_sqlite_note,
    .sales = x402_sqlite_sales,
    .activity = x402_sqlite_activity,
    .settler_note = x402_sqlite_settler_note,
    .settlers = x402_sqlite_settlers,
};
