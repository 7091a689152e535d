/*
 * The content handler x402_receipts: what became of the money of a payment, for whoever
 * has the address from its settlement response.
 *
 * Receipts are read by a thread of the pool, with a read-only handle that stays open;
 * what is asked for while one read is under way is the next. An address that no payment
 * has, and one that cannot be one, are answered alike.
 */
#include "nginx/module.h"

#include "core/text.h"

#define NGX_HTTP_X402_RECEIPTS_MAX 64 /* read at once; as many may wait */
#define NGX_HTTP_X402_RECEIPTS_PATH_MAX 256
#define NGX_HTTP_X402_RECEIPT_JSON_MAX 2048

/* ------------------------------------------------------------------------------- JSON
 */

/* What the payer and the payee need to know of the state of the money. */
static const char *ngx_http_x402_finality(enum x402_money money)
{
    switch (money) {
    case X402_MONEY_HELD:
    case X402_MONEY_DUE:
    case X402_MONEY_SUBMITTED:
        return "pending";
    case X402_MONEY_SETTLED:
        return "settled";
    case X402_MONEY_FINAL:
        return "final";
    case X402_MONEY_FAILED:
        return "failed";
    case X402_MONEY_RELEASED:
        return "none";
    }

    return "none";
}

/* The network on which this asset is taken. NULL for one that is configured no more. */
static const struct x402_network *ngx_http_x402_network_of(
    ngx_http_request_t *r, const struct x402_settlement *payment)
{
    size_t i, count;
    ngx_http_x402_main_conf_t *mcf;
    const struct x402_network *network;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_x402_module);

    network = mcf->networks->elts;
    for (i = 0; i < mcf->networks->nelts; i++) {
        if (network[i].chain_id == payment->chain_id &&
            ngx_memcmp(network[i].asset20, payment->asset20, 20) == 0) {
            return &network[i];
        }
    }

    network = x402_network_table(&count);
    for (i = 0; i < count; i++) {
        if (network[i].chain_id == payment->chain_id &&
            ngx_memcmp(network[i].asset20, payment->asset20, 20) == 0) {
            return &network[i];
        }
    }

    return NULL;
}

/* NULL is JSON's null. */
static void ngx_http_x402_put(struct x402_text *text, const char *name,
                              const char *value)
{
    x402_text_put_string(text, name[0] == '{' ? "{\"" : ",\"");
    x402_text_put_string(text, name[0] == '{' ? name + 1 : name);
    if (value == NULL) {
        x402_text_put_string(text, "\":null");
        return;
    }
    x402_text_put_string(text, "\":\"");
    x402_text_put_escaped(text, x402_slice_of(value), X402_INVALID_REPLACED);
    x402_text_put_string(text, "\"");
}

static void ngx_http_x402_put_money(struct x402_text *text, ngx_http_request_t *r,
                                    const struct x402_settlement *payment)
{
    char network[X402_CAIP2_TEXT_SIZE];
    char address[X402_ADDRESS_TEXT_SIZE];
    char amount[X402_AMOUNT_TEXT_SIZE];
    const struct x402_network *known = ngx_http_x402_network_of(r, payment);

    x402_amount_encode(amount, payment->value, 0);
    ngx_http_x402_put(text, "value", amount);
    if (known != NULL) {
        x402_amount_encode(amount, payment->value, known->decimals);
    }
    ngx_http_x402_put(text, "amount", known ? amount : NULL);
    ngx_http_x402_put(text, "token", known ? known->asset_name : NULL);
    x402_address_encode(address, payment->asset20);
    ngx_http_x402_put(text, "asset", address);
    x402_caip2_encode(network, payment->chain_id);
    ngx_http_x402_put(text, "network", network);
    x402_address_encode(address, payment->from20);
    ngx_http_x402_put(text, "payer", address);
    x402_address_encode(address, payment->to20);
    ngx_http_x402_put(text, "payee", address);
}

static void ngx_http_x402_put_chain(struct x402_text *text,
                                    const struct x402_payment_row *row)
{
    enum x402_money money = row->settlement.state.money;

    x402_text_put_string(text, ",\"transaction\":");
    if (row->has_transaction) {
        x402_text_put_string(text, "\"0x");
        x402_text_put_hex(text, row->transaction32, 32);
        x402_text_put_string(text, "\"");
    } else {
        x402_text_put_string(text, "null");
    }

    /* A facilitator names the transaction and no block. */
    x402_text_put_string(text, ",\"block\":");
    if ((money == X402_MONEY_SETTLED || money == X402_MONEY_FINAL) &&
        row->block_number > 0) {
        x402_text_put_decimal(text, row->block_number);
    } else {
        x402_text_put_string(text, "null");
    }

    /* The recorded reason is for the operator: it may tell of the node. */
    ngx_http_x402_put(text, "reason",
                      money == X402_MONEY_FAILED
                          ? x402_error_reason(x402_receipt_failure(row->reason))
                          : NULL);
}

static void ngx_http_x402_put_time(struct x402_text *text, const char *name,
                                   int64_t seconds)
{
    ngx_tm_t tm;
    char time[sizeof("1970-01-01T00:00:00Z") + NGX_INT32_LEN];

    ngx_gmtime((time_t)seconds, &tm);
    *ngx_snprintf((u_char *)time, sizeof(time) - 1, "%4d-%02d-%02dT%02d:%02d:%02dZ",
                  tm.ngx_tm_year, tm.ngx_tm_mon, tm.ngx_tm_mday, tm.ngx_tm_hour,
                  tm.ngx_tm_min, tm.ngx_tm_sec) = '\0';
    ngx_http_x402_put(text, name, time);
}

/* Not the route: its name is the configuration's. */
static void ngx_http_x402_put_receipt(struct x402_text *text, ngx_http_request_t *r,
                                      const struct x402_payment_row *row)
{
    const struct x402_state *state = &row->settlement.state;

    ngx_http_x402_put(text, "{delivery", x402_delivery_name(state->delivery));
    ngx_http_x402_put(text, "money", x402_money_name(state->money));
    ngx_http_x402_put(text, "finality", ngx_http_x402_finality(state->money));
    ngx_http_x402_put_money(text, r, &row->settlement);
    ngx_http_x402_put_chain(text, row);
    ngx_http_x402_put_time(text, "createdAt", row->created_at_seconds);
    ngx_http_x402_put_time(text, "updatedAt", row->updated_at_seconds);
    ngx_http_x402_put_time(text, "validBefore",
                           (int64_t)row->settlement.valid_before_seconds);
    x402_text_put_string(text, "}\n");
}

/* ------------------------------------------------------------------------ the reader
 */

typedef struct ngx_http_x402_receipt_slot_s ngx_http_x402_receipt_slot_t;

/* In the request's pool: who is gone takes its slot along. */
typedef struct {
    ngx_http_request_t *request;
    ngx_http_x402_receipt_slot_t *slot; /* NULL: answered */
} ngx_http_x402_asker_t;

struct ngx_http_x402_receipt_slot_s {
    ngx_http_x402_asker_t *asker; /* NULL: gone */
    char id[X402_RECEIPT_ID_SIZE];
    enum x402_error result;
    struct x402_payment_row row;
};

typedef struct {
    ngx_http_x402_receipt_slot_t slots[NGX_HTTP_X402_RECEIPTS_MAX];
    size_t count;
} ngx_http_x402_receipt_batch_t;

typedef struct {
    ngx_str_t path;
    ngx_thread_task_t task;
    ngx_uint_t reading; /* the task is under way; what follows is its own */
    struct x402_ledger *ledger;
    ngx_uint_t complained; /* the log says that they cannot be read */
    char message[X402_LEDGER_MESSAGE_MAX];
    ngx_http_x402_receipt_batch_t *flying;
    ngx_http_x402_receipt_batch_t *filling;
    ngx_http_x402_receipt_batch_t batches[2];
} ngx_http_x402_receipt_reader_t;

static ngx_http_x402_receipt_reader_t *ngx_http_x402_receipt_reader;

/* The key is read each time: it is not kept, and another ledger may be there now. */
static enum x402_error ngx_http_x402_receipt_open(
    ngx_http_x402_receipt_reader_t *reader, uint8_t key32[32])
{
    enum x402_error rc = X402_OK;

    if (reader->ledger == NULL) {
        rc = x402_ledger_open(&reader->ledger, (const char *)reader->path.data,
                              X402_LEDGER_READ, reader->message);
    }

    return rc == X402_OK ? x402_ledger_receipt_key(reader->ledger, key32) : rc;
}

static enum x402_error ngx_http_x402_receipt_find(struct x402_ledger *ledger,
                                                  const uint8_t key32[32],
                                                  ngx_http_x402_receipt_slot_t *slot)
{
    int64_t payment_id;
    struct x402_slice id = {slot->id, sizeof(slot->id)};

    slot->result = X402_ERR_NOT_FOUND;
    if (x402_receipt_id_decode(&payment_id, key32, id)) {
        slot->result = x402_ledger_payment(ledger, &slot->row, payment_id);
    }

    return slot->result == X402_ERR_NOT_FOUND ? X402_OK : slot->result;
}

/* After an error only another handle can be trusted; who is left is told 503. */
static void ngx_http_x402_receipt_fail(ngx_http_x402_receipt_reader_t *reader,
                                       enum x402_error rc, size_t first)
{
    for (; first < reader->flying->count; first++) {
        reader->flying->slots[first].result = rc;
    }

    if (reader->ledger != NULL) {
        (void)ngx_cpystrn((u_char *)reader->message,
                          (u_char *)(uintptr_t)x402_ledger_message(reader->ledger),
                          sizeof(reader->message));
        x402_ledger_close(reader->ledger);
        reader->ledger = NULL;
    }
}

/* Runs in a thread of the pool. */
static void ngx_http_x402_receipt_read(void *data, ngx_log_t *log)
{
    size_t i;
    uint8_t key32[32];
    enum x402_error rc;
    ngx_http_x402_receipt_reader_t *reader = data;

    (void)log;

    reader->message[0] = '\0';
    rc = ngx_http_x402_receipt_open(reader, key32);

    for (i = 0; rc == X402_OK && i < reader->flying->count; i++) {
        rc = ngx_http_x402_receipt_find(reader->ledger, key32,
                                        &reader->flying->slots[i]);
    }
    if (rc != X402_OK) {
        ngx_http_x402_receipt_fail(reader, rc, i ? i - 1 : 0);
    }

    x402_bytes_wipe(key32, sizeof(key32));
}

static ngx_int_t ngx_http_x402_receipt_send(ngx_http_request_t *r,
                                            const struct x402_payment_row *row)
{
    char buffer[NGX_HTTP_X402_RECEIPT_JSON_MAX];
    ngx_str_t body, type = ngx_string("application/json");
    struct x402_text text = x402_text_init(buffer, sizeof(buffer));

    ngx_http_x402_put_receipt(&text, r, row);

    body.len = x402_text_size(&text);
    body.data = ngx_pnalloc(r->pool, body.len);
    if (text.overflow || body.data == NULL ||
        ngx_http_x402_add_our_headers(r) != NGX_OK) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return NGX_DONE;
    }
    ngx_memcpy(body.data, buffer, body.len);

    return ngx_http_x402_send(r, NGX_HTTP_OK, &type, &body);
}

/* The request may be gone afterwards. */
static void ngx_http_x402_receipt_answer(ngx_http_x402_receipt_slot_t *slot)
{
    ngx_http_x402_asker_t *asker = slot->asker;
    ngx_http_request_t *r = asker->request;
    ngx_connection_t *c = r->connection;
    struct x402_problem none = {X402_ERR_RECEIPT, NULL, NULL};

    asker->slot = NULL;
    slot->asker = NULL;
    ngx_http_set_log_request(c->log, r);

    if (slot->result == X402_OK) {
        (void)ngx_http_x402_receipt_send(r, &slot->row);
    } else if (slot->result == X402_ERR_NOT_FOUND) {
        (void)ngx_http_x402_problem(r, &none, 0);
    } else {
        ngx_http_finalize_request(r, NGX_HTTP_SERVICE_UNAVAILABLE);
    }

    ngx_http_run_posted_requests(c);
}

static void ngx_http_x402_receipt_start(ngx_http_x402_receipt_reader_t *reader);

static void ngx_http_x402_receipt_note(ngx_http_x402_receipt_reader_t *reader)
{
    if (reader->message[0] == '\0') {
        reader->complained = 0;
    } else if (!reader->complained) {
        reader->complained = 1;
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0, "x402: no receipts: %s",
                      reader->message);
    }
}

/* Answering one request may free another (HTTP/2): slots are looked at one by one. */
static void ngx_http_x402_receipt_done(ngx_event_t *ev)
{
    size_t i;
    ngx_http_x402_receipt_reader_t *reader = ev->data;

    ngx_http_x402_receipt_note(reader);

    for (i = 0; i < reader->flying->count; i++) {
        if (reader->flying->slots[i].asker != NULL) {
            ngx_http_x402_receipt_answer(&reader->flying->slots[i]);
        }
    }

    reader->flying->count = 0;
    reader->reading = 0;
    ngx_http_x402_receipt_start(reader);
}

static void ngx_http_x402_receipt_start(ngx_http_x402_receipt_reader_t *reader)
{
    size_t i;
    ngx_thread_pool_t *pool;
    ngx_http_x402_receipt_batch_t *batch = reader->filling;
    static ngx_str_t pool_name = ngx_string("default");

    if (reader->reading || batch->count == 0) {
        return;
    }

    reader->filling = reader->flying;
    reader->flying = batch;
    reader->reading = 1;

    pool = ngx_thread_pool_get((ngx_cycle_t *)(uintptr_t)ngx_cycle, &pool_name);
    if (pool == NULL || ngx_thread_task_post(pool, &reader->task) != NGX_OK) {
        for (i = 0; i < batch->count; i++) {
            batch->slots[i].result = X402_ERR_LEDGER;
        }
        ngx_post_event(&reader->task.event, &ngx_posted_events);
    }
}

static ngx_http_x402_receipt_reader_t *ngx_http_x402_receipt_create(
    const ngx_str_t *path)
{
    ngx_http_x402_receipt_reader_t *reader;

    reader = ngx_pcalloc(ngx_cycle->pool, sizeof(*reader));
    if (reader == NULL) {
        return NULL;
    }

    reader->path = *path;
    reader->filling = &reader->batches[0];
    reader->flying = &reader->batches[1];
    reader->task.ctx = reader;
    reader->task.handler = ngx_http_x402_receipt_read;
    reader->task.event.handler = ngx_http_x402_receipt_done;
    reader->task.event.data = reader;
    reader->task.event.log = ngx_cycle->log;

    return reader;
}

void ngx_http_x402_receipts_exit(void)
{
    ngx_http_x402_receipt_reader_t *reader = ngx_http_x402_receipt_reader;

    if (reader == NULL) {
        return;
    }

    x402_ledger_close(reader->ledger);
    ngx_http_x402_receipt_reader = NULL;
}

/* ------------------------------------------------------------------- content handler
 */

/* Somebody who asks goes away before the answer is there. */
static void ngx_http_x402_receipt_leave(void *data)
{
    ngx_http_x402_asker_t *asker = data;

    if (asker->slot != NULL) {
        asker->slot->asker = NULL;
    }
}

static ngx_int_t ngx_http_x402_receipt_ask(ngx_http_request_t *r, const u_char *id)
{
    ngx_pool_cleanup_t *cln;
    ngx_http_x402_asker_t *asker;
    ngx_http_x402_receipt_slot_t *slot;
    ngx_http_x402_receipt_batch_t *batch = ngx_http_x402_receipt_reader->filling;

    if (batch->count == NGX_HTTP_X402_RECEIPTS_MAX) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(*asker));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    cln->handler = ngx_http_x402_receipt_leave;

    slot = &batch->slots[batch->count++];
    ngx_memcpy(slot->id, id, X402_RECEIPT_ID_SIZE);
    slot->asker = asker = cln->data;
    asker->request = r;
    asker->slot = slot;

    r->main->count++;
    ngx_http_x402_receipt_start(ngx_http_x402_receipt_reader);

    return NGX_DONE;
}

/* What follows the location's name, and a slash. */
static void ngx_http_x402_receipt_id(ngx_http_request_t *r, ngx_str_t *id)
{
    ngx_http_core_loc_conf_t *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    id->data = r->uri.data + ngx_min(clcf->name.len, r->uri.len);
    id->len = (size_t)(r->uri.data + r->uri.len - id->data);
    if (id->len && id->data[0] == '/') {
        id->data++;
        id->len--;
    }
}

static ngx_int_t ngx_http_x402_receipts_handler(ngx_http_request_t *r)
{
    ngx_int_t rc;
    ngx_str_t id;
    ngx_http_x402_main_conf_t *mcf;
    struct x402_problem none = {X402_ERR_RECEIPT, NULL, NULL};

    if (!(r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_http_x402_receipt_id(r, &id);
    if (id.len != X402_RECEIPT_ID_SIZE) {
        r->main->count++; /* the answer takes one away, and so does our caller */
        return ngx_http_x402_problem(r, &none, 0);
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_x402_module);
    if (ngx_http_x402_receipt_reader == NULL) {
        ngx_http_x402_receipt_reader = ngx_http_x402_receipt_create(&mcf->ledger);
    }
    if (ngx_http_x402_receipt_reader == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_x402_receipt_ask(r, id.data);
}

/* The path, as it stands in a URL, below which the receipts of a server are. */
static char *ngx_http_x402_receipts_path(ngx_conf_t *cf, ngx_str_t *out,
                                         const ngx_str_t *name)
{
    size_t escaped =
        name->len + 2 * ngx_escape_uri(NULL, name->data, name->len, NGX_ESCAPE_URI);

    if (escaped > NGX_HTTP_X402_RECEIPTS_PATH_MAX) {
        return "is in a location with a name too long for a receipt's address";
    }

    out->data = ngx_pnalloc(cf->pool, escaped + 1);
    if (out->data == NULL) {
        return NGX_CONF_ERROR;
    }
    (void)ngx_escape_uri(out->data, name->data, name->len, NGX_ESCAPE_URI);
    out->len = escaped;
    if (out->data[out->len - 1] != '/') {
        out->data[out->len++] = '/';
    }

    return NGX_CONF_OK;
}

char *ngx_http_x402_receipts(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t *clcf;
    ngx_http_x402_main_conf_t *mcf;
    ngx_http_x402_srv_conf_t *scf;

    (void)cmd;
    (void)conf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_x402_module);
    scf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_x402_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == ngx_http_x402_receipts_handler) {
        return "is duplicate";
    }
    if (clcf->exact_match || clcf->named || clcf->name.len == 0
#if (NGX_PCRE)
        || clcf->regex != NULL
#endif
    ) {
        return "needs a location that names a prefix, like /x402/receipts/";
    }

    mcf->reads_ledger = "x402_receipts";
    clcf->handler = ngx_http_x402_receipts_handler;

    return scf->receipts.len
               ? NGX_CONF_OK
               : ngx_http_x402_receipts_path(cf, &scf->receipts, &clcf->name);
}
