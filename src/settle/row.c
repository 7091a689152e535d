#include "settle/chain.h"

#include "core/clock.h"
#include "core/failpoint.h"
#include "evm/facilitator.h"
#include "evm/transaction.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------- calldata */

static struct x402_authorization authorization_of(const struct x402_settlement *payment)
{
    struct x402_authorization authorization = {
        .value = payment->value,
        .valid_after_seconds = payment->valid_after_seconds,
        .valid_before_seconds = payment->valid_before_seconds,
    };

    memcpy(authorization.from20, payment->from20, 20);
    memcpy(authorization.to20, payment->to20, 20);
    memcpy(authorization.nonce32, payment->nonce32, 32);
    return authorization;
}

void x402_transfer_data(uint8_t out[X402_ABI_TRANSFER_SIZE],
                        const struct x402_settlement *payment)
{
    struct x402_authorization authorization = authorization_of(payment);

    x402_abi_transfer_with_authorization(out, &authorization, payment->signature65);
}

static struct x402_facilitator_item item_of(const struct x402_settlement *payment)
{
    struct x402_facilitator_item item = {.authorization = authorization_of(payment)};

    memcpy(item.signature65, payment->signature65, sizeof item.signature65);
    return item;
}

bool x402_settlement_fits(const struct x402_settlement *payment)
{
    struct x402_facilitator_item item = item_of(payment);

    return x402_facilitator_fits(&item);
}

uint8_t *x402_settle_data(size_t *size, const struct x402_settlement *const *payments,
                          size_t count)
{
    struct x402_facilitator_item *items = calloc(count, sizeof *items);
    size_t max = x402_facilitator_settle_size(count);
    uint8_t *data = malloc(max);

    if (items == NULL || data == NULL) {
        free(items);
        free(data);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        items[i] = item_of(payments[i]);
    *size = x402_facilitator_settle_encode(data, max, payments[0]->asset20,
                                           payments[0]->to20, items, count);
    free(items);
    return data;
}

_Static_assert(X402_BATCH_MAX <= X402_FACILITATOR_ITEMS_MAX,
               "a batch fits one call of the contract");

uint64_t x402_gas_limit(size_t payments_count)
{
    return payments_count == 1 ? X402_GAS_LIMIT
                               : x402_facilitator_gas_limit(payments_count);
}

/* -------------------------------------------------------------------------- signing */

static enum x402_error sign(const struct x402_chain *chain, struct x402_row *row,
                            const uint8_t to20[20], const uint8_t *data,
                            size_t data_size)
{
    size_t raw_max = X402_TRANSACTION_SIZE_MAX(data_size);
    struct x402_transaction transaction = {
        .chain_id = chain->network.chain_id,
        .nonce = row->nonce,
        .max_priority_fee_wei = row->fee.tip_wei,
        .max_fee_wei = row->fee.max_fee_wei,
        .gas_limit = row->gas_limit,
        .data = data,
        .data_size = data_size,
    };

    row->raw = malloc(raw_max);
    if (row->raw == NULL)
        return X402_ERR_SPACE;
    memcpy(transaction.to20, to20, 20);
    enum x402_error error =
        x402_transaction_sign(row->raw, &row->raw_size, raw_max, row->hash32,
                              &transaction, chain->options->key32);
    if (error != X402_OK)
        x402_row_release(row);
    return error;
}

static enum x402_error sign_draft(const struct x402_chain *chain, struct x402_row *row,
                                  const struct x402_draft *draft)
{
    uint8_t transfer[X402_ABI_TRANSFER_SIZE];
    enum x402_error error = X402_ERR_SPACE;
    uint8_t *data;
    size_t size;

    if (draft->count == 1) {
        x402_transfer_data(transfer, draft->payments[0]);
        return sign(chain, row, draft->payments[0]->asset20, transfer, sizeof transfer);
    }
    data = x402_settle_data(&size, draft->payments, draft->count);
    if (data != NULL)
        error = sign(chain, row, x402_facilitator_address20, data, size);
    free(data);
    return error;
}

enum x402_error x402_row_sign_empty(const struct x402_chain *chain,
                                    struct x402_row *row)
{
    static const uint8_t none[1];

    return sign(chain, row, chain->signer20, none, 0);
}

/* -------------------------------------------------------------------------- storing */

static enum x402_error store(struct x402_chain *chain, struct x402_row *row,
                             const struct x402_draft *draft)
{
    struct x402_outbox outbox = {
        .chain_id = chain->network.chain_id,
        .nonce = row->nonce,
        .max_fee_wei = row->fee.max_fee_wei,
        .max_priority_fee_wei = row->fee.tip_wei,
        .gas_limit = row->gas_limit,
        .raw = row->raw,
        .raw_size = row->raw_size,
        .replaces_id = draft->replaces_id,
    };
    int64_t ids[X402_BATCH_MAX];

    for (size_t i = 0; i < draft->count; i++)
        ids[i] = draft->payments[i]->payment_id;
    memcpy(outbox.signer20, chain->signer20, 20);
    memcpy(outbox.hash32, row->hash32, 32);
    enum x402_error error =
        x402_ledger_submit(chain->ledger, &outbox, ids, draft->count);
    row->id = outbox.transaction_id;
    return error;
}

enum x402_error x402_row_store(struct x402_chain *chain, struct x402_row *out,
                               const struct x402_draft *draft)
{
    struct x402_row row = {.nonce = draft->nonce,
                           .fee = draft->fee,
                           .gas_limit = x402_gas_limit(draft->count),
                           .submitted_at_seconds = x402_clock_seconds()};

    assert(draft->count > 0 && draft->count <= X402_BATCH_MAX);
    enum x402_error error = sign_draft(chain, &row, draft);
    if (error != X402_OK)
        return error;
    X402_FAILPOINT(settler_signed);
    error = store(chain, &row, draft);
    if (error != X402_OK) {
        x402_row_release(&row);
        return error;
    }
    chain->moved++;
    *out = row;
    return X402_OK;
}

void x402_row_release(struct x402_row *row)
{
    free(row->raw);
    row->raw = NULL;
}

/* -------------------------------------------------------------------------- sending */

/* Taken only when the node names the hash we know: "null" is no promise. */
static enum x402_send send_of(struct x402_chain *chain, const struct x402_row *row,
                              const struct x402_rpc_call *call)
{
    uint8_t hash32[32];

    if (call->reply.status == X402_RPC_RESULT &&
        x402_json_bytes(hash32, 32, call->reply.result) &&
        memcmp(hash32, row->hash32, 32) == 0)
        return X402_SEND_ACCEPTED;
    if (call->reply.status != X402_RPC_ERROR)
        return X402_SEND_UNKNOWN;
    enum x402_send send = x402_send_classify(call->reply.message);
    if (send != X402_SEND_ACCEPTED)
        memcpy(chain->refusal, call->reply.message, sizeof chain->refusal);
    return send;
}

/* What may not have arrived counts as never sent. */
static void remember(struct x402_chain *chain, const struct x402_row *row,
                     enum x402_send send)
{
    struct x402_sent *sent = x402_sent_of(chain, row->nonce);

    if (sent == NULL)
        return;
    sent->row_id = row->id;
    sent->last = send;
    sent->at_milliseconds = send == X402_SEND_UNKNOWN ? -1 : x402_chain_milliseconds();
}

void x402_rows_send(struct x402_chain *chain, const struct x402_row *const *rows,
                    size_t count)
{
    struct x402_rpc_call *calls = calloc(count + 1, sizeof *calls);

    if (calls == NULL || count == 0) {
        free(calls);
        return; /* they are stored: next pass */
    }
    for (size_t i = 0; i < count; i++)
        calls[i] = x402_ask_send(rows[i]->raw, rows[i]->raw_size);
    (void)x402_chain_ask(chain, calls, count);
    X402_FAILPOINT(settler_sent);
    for (size_t i = 0; i < count; i++)
        remember(chain, rows[i], send_of(chain, rows[i], &calls[i]));
    x402_rpc_calls_release(calls, count);
    free(calls);
}
