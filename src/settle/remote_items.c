#include "settle/remote_work.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_MAX 256

/* ---------------------------------------------------------------------------- items
 */

/* Where the payment is, or would stand. */
static size_t place_of(const struct x402_remote *remote, int64_t payment_id)
{
    size_t low = 0, high = remote->items_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (remote->items[middle]->payment.payment_id < payment_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct x402_remote_item *x402_remote_item_find(const struct x402_remote *remote,
                                               int64_t payment_id)
{
    size_t place = place_of(remote, payment_id);

    if (place < remote->items_count &&
        remote->items[place]->payment.payment_id == payment_id)
        return remote->items[place];
    return NULL;
}

static bool make_room(struct x402_remote *remote)
{
    size_t capacity = remote->items_capacity ? 2 * remote->items_capacity : 64;

    if (remote->items_count < remote->items_capacity)
        return true;
    if (capacity > X402_REMOTE_ITEMS_MAX)
        return false;
    void *larger = realloc(remote->items, capacity * sizeof remote->items[0]);
    if (larger == NULL)
        return false;
    remote->items = larger;
    remote->items_capacity = capacity;
    return true;
}

struct x402_remote_item *x402_remote_item_of(struct x402_remote *remote,
                                             struct x402_remote_line *line,
                                             const struct x402_settlement *payment)
{
    struct x402_remote_item *item = x402_remote_item_find(remote, payment->payment_id);

    if (item != NULL || !make_room(remote))
        return item;
    item = calloc(1, sizeof *item);
    if (item == NULL)
        return NULL;
    item->payment = *payment;
    item->line = line;
    item->certain = true;
    size_t place = place_of(remote, payment->payment_id);
    memmove(&remote->items[place + 1], &remote->items[place],
            (remote->items_count - place) * sizeof remote->items[0]);
    remote->items[place] = item;
    remote->items_count++;
    return item;
}

static void item_free(struct x402_remote_item *item)
{
    free(item->body);
    free(item);
}

void x402_remote_item_drop(struct x402_remote *remote, struct x402_remote_item *item)
{
    size_t place = place_of(remote, item->payment.payment_id);

    assert(remote->items[place] == item && !item->asking);
    remote->items_count--;
    memmove(&remote->items[place], &remote->items[place + 1],
            (remote->items_count - place) * sizeof remote->items[0]);
    item_free(item);
}

void x402_remote_items_drop(struct x402_remote *remote,
                            const struct x402_remote_line *line)
{
    size_t kept = 0;

    for (size_t i = 0; i < remote->items_count; i++) {
        struct x402_remote_item *item = remote->items[i];
        bool kept_for = item->asking || item->has_verdict || item->line != line;
        if (line != NULL && kept_for)
            remote->items[kept++] = item;
        else
            item_free(item);
    }
    remote->items_count = kept;
}

/* --------------------------------------------------------------------------- loading
 */

static bool copy_body(struct x402_remote_item *item, const char *body, size_t size)
{
    char *copy = malloc(size + 1);

    if (copy == NULL)
        return false;
    memcpy(copy, body, size);
    free(item->body);
    item->body = copy;
    item->body_size = size;
    return true;
}

/* One that is asked for already keeps what is known of it. */
static bool take_payment(struct x402_remote *remote, struct x402_remote_line *line,
                         const struct x402_settlement *payment)
{
    struct x402_remote_item *item = x402_remote_item_find(remote, payment->payment_id);
    struct x402_outbox row;

    if (item != NULL && (item->asking || item->has_verdict))
        return true;
    if (x402_ledger_outbox_find(remote->ledger, &row, payment->transaction_id)) {
        x402_remote_ledger_failed(remote);
        return false;
    }
    if (memcmp(row.signer20, remote->signer20, 20) != 0) {
        line->strays++; /* in a transaction, or asked of another facilitator */
        return true;
    }
    item = x402_remote_item_of(remote, line, payment);
    if (item == NULL || !copy_body(item, (const char *)row.raw, row.raw_size))
        return false;
    item->payment = *payment;
    item->row_id = row.transaction_id;
    item->certain = false;
    return true;
}

static void tell_strays(struct x402_remote_line *line)
{
    if (line->strays > 0 && !line->told_strays)
        x402_chain_note(line->chain, X402_NOTE_STRAY,
                        "%s: %zu payments are in transactions of a key, or asked of "
                        "another facilitator: a settler that has it goes on",
                        line->chain->name, line->strays);
    line->told_strays = line->strays > 0;
}

/* The payments that are submitted, by whomever, page by page. */
static bool load(struct x402_remote *remote, struct x402_remote_line *line,
                 struct x402_settlement page[PAGE_MAX])
{
    struct x402_settlement last;
    const struct x402_settlement *after = NULL;
    size_t count;

    do {
        count = 0;
        if (x402_ledger_strays(remote->ledger, line->kind.network.chain_id, NULL, after,
                               page, PAGE_MAX, &count)) {
            x402_remote_ledger_failed(remote);
            return false;
        }
        for (size_t i = 0; i < count; i++) {
            if (!take_payment(remote, line, &page[i]))
                return false;
        }
        last = page[count > 0 ? count - 1 : 0];
        after = &last;
    } while (count == PAGE_MAX);
    return true;
}

bool x402_remote_items_load(struct x402_remote *remote, struct x402_remote_line *line)
{
    struct x402_settlement *page = calloc(PAGE_MAX, sizeof *page);

    x402_remote_items_drop(remote, line);
    line->strays = 0;
    bool fine = page != NULL && load(remote, line, page);
    free(page);
    tell_strays(line);
    return fine;
}

/* --------------------------------------------------------------------------- storing
 */

static enum x402_error submit(struct x402_remote *remote, struct x402_remote_item *item,
                              struct x402_outbox *row)
{
    uint64_t chain_id = item->payment.chain_id;
    enum x402_error error =
        x402_ledger_nonce_next(remote->ledger, &row->nonce, chain_id, remote->signer20);

    row->chain_id = chain_id;
    memcpy(row->signer20, remote->signer20, 20);
    row->raw = (const uint8_t *)item->body;
    row->raw_size = item->body_size;
    if (error == X402_OK)
        error = x402_ledger_submit(remote->ledger, row, &item->payment.payment_id, 1);
    return error;
}

/*
 * ERR_CONFLICT: the payment is not due any more, or the lease is another's. Anything
 * else may have been stored nevertheless: what is open is read again.
 */
bool x402_remote_item_store(struct x402_remote *remote, struct x402_remote_item *item)
{
    char body[X402_REMOTE_BODY_MAX];
    const struct x402_remote_kind *kind = &item->line->kind;
    struct x402_outbox row = {0};
    size_t size =
        x402_remote_body_encode(body, &item->payment, &kind->network,
                                x402_remote_version(kind, item->payment.dialect));
    enum x402_error error = X402_ERR_SPACE;

    if (copy_body(item, body, size))
        error = submit(remote, item, &row);
    if (error == X402_OK) {
        item->row_id = row.transaction_id;
        item->payment.transaction_id = row.transaction_id;
        item->payment.state.money = X402_MONEY_SUBMITTED;
        return true;
    }
    item->line->held = false;
    if (error != X402_ERR_CONFLICT)
        x402_remote_ledger_failed(remote);
    x402_remote_item_drop(remote, item);
    return false;
}
