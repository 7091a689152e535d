#include "core/clock.h"
#include "core/saturated.h"
#include "report/buffer.h"
#include "report/names.h"

#include <stdlib.h>
#include <string.h>

#define DAY_SECONDS 86400
#define ROUTES_MAX 16384
#define MICROSECOND_DECIMALS 6
#define ETHER_DECIMALS 18

/* All that is told, read before anything is written: it is told in full or not at all.
 */
struct gathered {
    const struct x402_report_options *how;
    int64_t now_seconds;
    size_t tokens_count;
    struct x402_totals tokens[X402_TOTALS_MAX];
    size_t costs_count;
    struct x402_earning costs[X402_TOTALS_MAX]; /* of all days and routes */
    size_t settlers_count;
    struct x402_settler_state settlers[X402_REPORT_SETTLERS_MAX];
    uint64_t refusals[X402_ERROR_COUNT];
    struct x402_histogram measures[X402_MEASURE_COUNT];
    struct x402_sales *sales; /* owned */
    size_t sales_count, sales_capacity;
    bool out_of_memory;
};

/* --------------------------------------------------------------------------- reading
 */

static bool take_sales(int64_t hour, const struct x402_sales *sales, void *data)
{
    struct gathered *all = data;

    (void)hour;
    if (all->sales_count == all->sales_capacity) {
        size_t capacity = all->sales_capacity > 0 ? 2 * all->sales_capacity : 64;
        void *grown = realloc(all->sales, capacity * sizeof *sales);
        all->out_of_memory = grown == NULL;
        if (grown == NULL)
            return false;
        all->sales = grown;
        all->sales_capacity = capacity;
    }
    all->sales[all->sales_count++] = *sales;
    return all->sales_count < ROUTES_MAX;
}

static struct x402_earning *cost_of(struct gathered *all, uint64_t chain_id,
                                    const uint8_t asset20[20])
{
    for (size_t i = 0; i < all->costs_count; i++) {
        if (all->costs[i].chain_id == chain_id &&
            memcmp(all->costs[i].asset20, asset20, 20) == 0)
            return &all->costs[i];
    }
    if (all->costs_count == X402_TOTALS_MAX)
        return NULL;
    struct x402_earning *cost = &all->costs[all->costs_count++];
    cost->chain_id = chain_id;
    memcpy(cost->asset20, asset20, 20);
    return cost;
}

static bool take_earning(const struct x402_earning *earning, void *data)
{
    struct x402_earning *cost = cost_of(data, earning->chain_id, earning->asset20);

    if (cost == NULL)
        return true;
    cost->gas_used = x402_saturated(cost->gas_used, earning->gas_used);
    cost->fee_wei = x402_saturated(cost->fee_wei, earning->fee_wei);
    return true;
}

static enum x402_error gather(struct gathered *all, struct x402_ledger *ledger)
{
    enum x402_error error =
        x402_ledger_totals(ledger, all->tokens, X402_TOTALS_MAX, &all->tokens_count);

    all->now_seconds = x402_clock_seconds();
    if (error == X402_OK)
        error = x402_ledger_sales(ledger, X402_ACTIVITY_EVER, X402_ACTIVITY_EVER,
                                  take_sales, all);
    if (error == X402_OK)
        error = x402_ledger_activity(ledger, X402_ACTIVITY_EVER, X402_ACTIVITY_EVER,
                                     all->refusals, all->measures);
    if (error == X402_OK)
        error = x402_ledger_earnings(ledger, 0, all->now_seconds / DAY_SECONDS,
                                     take_earning, all);
    if (error == X402_OK)
        error = x402_ledger_settlers(ledger, all->settlers, X402_REPORT_SETTLERS_MAX,
                                     &all->settlers_count);
    return error == X402_OK && all->out_of_memory ? X402_ERR_LEDGER : error;
}

/* --------------------------------------------------------------------------- samples
 */

/* What stands before the samples of a metric. */
static void put_head(struct x402_text_buffer *out, const char *name, const char *type,
                     const char *help)
{
    x402_buffer_put_string(out, "# HELP ");
    x402_buffer_put_string(out, name);
    x402_buffer_put_string(out, " ");
    x402_buffer_put_string(out, help);
    x402_buffer_put_string(out, "\n# TYPE ");
    x402_buffer_put_string(out, name);
    x402_buffer_put_string(out, " ");
    x402_buffer_put_string(out, type);
    x402_buffer_put_string(out, "\n");
}

static void put_label(struct x402_text_buffer *out, const char *name, const char *value)
{
    bool first = out->size > 0 && out->data[out->size - 1] == '{';

    x402_buffer_put_string(out, first ? "" : ",");
    x402_buffer_put_string(out, name);
    x402_buffer_put_string(out, "=");
    x402_buffer_put_label(out, value);
}

static void open_sample(struct x402_text_buffer *out, const char *name)
{
    x402_buffer_put_string(out, name);
    x402_buffer_put_string(out, "{");
}

static void close_sample(struct x402_text_buffer *out, uint64_t value,
                         unsigned decimals)
{
    x402_buffer_put_string(out, "} ");
    x402_buffer_put_scaled(out, value, decimals);
    x402_buffer_put_string(out, "\n");
}

/* The labels of a token: its address tells apart what has the same name. Returns its
 * decimals. */
static unsigned put_token(struct x402_text_buffer *out, const struct gathered *all,
                          uint64_t chain_id, const uint8_t asset20[20])
{
    char label[X402_REPORT_LABEL_SIZE], address[X402_ADDRESS_TEXT_SIZE];
    struct x402_network network;

    x402_report_network_of(&network, all->how, chain_id, asset20);
    x402_report_network_label(label, &network);
    x402_address_encode(address, asset20);
    put_label(out, "network", label);
    put_label(out, "token", x402_report_symbol(&network));
    put_label(out, "asset", address);
    return network.decimals;
}

static void put_chain(struct x402_text_buffer *out, const struct gathered *all,
                      uint64_t chain_id)
{
    char label[X402_REPORT_LABEL_SIZE];

    x402_report_chain_label(label, all->how, chain_id);
    put_label(out, "network", label);
}

/* ------------------------------------------------------------------------------ sales
 */

static void put_requests(struct x402_text_buffer *out, const struct gathered *all)
{
    static const char name[] = "x402_requests_total";

    put_head(out, name, "counter", "Requests to what is sold, by what became of them.");
    for (size_t i = 0; i < all->sales_count; i++) {
        const struct x402_sales *sales = &all->sales[i];
        const struct {
            const char *result;
            uint64_t count;
        } results[] = {{"offered", sales->offered},
                       {"refused", sales->refused},
                       {"delivered", sales->delivered.count},
                       {"failed", sales->failed.count},
                       {"shadow", sales->shadow.count}};
        for (size_t j = 0; j < sizeof results / sizeof results[0]; j++) {
            open_sample(out, name);
            put_label(out, "route", sales->route);
            (void)put_token(out, all, sales->chain_id, sales->asset20);
            put_label(out, "result", results[j].result);
            close_sample(out, results[j].count, 0);
        }
    }
}

/* A sum of money of each route; `offset` is that of its count in struct x402_sales. */
static void put_money(struct x402_text_buffer *out, const struct gathered *all,
                      const char *name, const char *help, size_t offset)
{
    put_head(out, name, "counter", help);
    for (size_t i = 0; i < all->sales_count; i++) {
        const struct x402_sales *sales = &all->sales[i];
        struct x402_count count;
        memcpy(&count, (const char *)sales + offset, sizeof count);
        open_sample(out, name);
        put_label(out, "route", sales->route);
        unsigned decimals = put_token(out, all, sales->chain_id, sales->asset20);
        close_sample(out, count.value, decimals);
    }
}

static void put_sales(struct x402_text_buffer *out, const struct gathered *all)
{
    put_requests(out, all);
    put_money(out, all, "x402_revenue_tokens_total",
              "What delivered calls are worth, in whole tokens.",
              offsetof(struct x402_sales, delivered));
    put_money(out, all, "x402_failed_tokens_total",
              "What calls would have earned that were paid for and not delivered, in "
              "whole tokens.",
              offsetof(struct x402_sales, failed));
    put_money(
        out, all, "x402_shadow_tokens_total",
        "What calls would have earned where x402_enforce is off, in whole tokens.",
        offsetof(struct x402_sales, shadow));
}

/* Those a caller may be told; zeros, too, so that a rate sees the first one. */
static void put_refusals(struct x402_text_buffer *out, const struct gathered *all)
{
    static const char name[] = "x402_refusals_total";

    put_head(out, name, "counter", "Payments that were refused, by reason.");
    for (int i = 0; i < X402_ERROR_COUNT; i++) {
        enum x402_error error = (enum x402_error)i;
        bool refusal = x402_error_status(error) != 0 &&
                       error != X402_ERR_PAYMENT_REQUIRED && error != X402_ERR_RECEIPT;
        if (!refusal && all->refusals[i] == 0)
            continue;
        open_sample(out, name);
        put_label(out, "reason", x402_error_reason(error));
        close_sample(out, all->refusals[i], 0);
    }
}

/* ------------------------------------------------------------------------- histograms
 */

/*
 * Buckets end at powers of two, where ours end, so nothing is guessed. Of times, which
 * are cut to microseconds, le is 2^n us: what is below it in whole microseconds is
 * below it. Of numbers le is 2^n - 1.
 */
struct shape {
    enum x402_measure measure;
    const char *name;
    const char *help;
    unsigned first_power, last_power;
    unsigned decimals; /* 0: numbers */
};

static const struct shape shapes[] = {
    {X402_MEASURE_CALL, "x402_call_duration_seconds",
     "Delivered calls, from the request read to the answer sent.", 8, 27,
     MICROSECOND_DECIMALS},
    {X402_MEASURE_VERIFY, "x402_verify_duration_seconds",
     "Decoding, matching and verifying a payment: its share of its batch's.", 4, 17,
     MICROSECOND_DECIMALS},
    {X402_MEASURE_ADMIT, "x402_admission_duration_seconds",
     "From matched to decided by the ledger, its verification left out.", 6, 24,
     MICROSECOND_DECIMALS},
    {X402_MEASURE_COMMIT, "x402_ledger_commit_seconds",
     "One transaction of a worker with the ledger.", 6, 24, MICROSECOND_DECIMALS},
    {X402_MEASURE_COMMITTED, "x402_commit_admissions",
     "Admissions in one transaction of a worker.", 1, 12, 0},
    {X402_MEASURE_SETTLE, "x402_settlement_lag_seconds",
     "From a payment's admission to its settlement in a block.", 18, 34,
     MICROSECOND_DECIMALS},
    {X402_MEASURE_BATCH, "x402_settlement_batch_payments",
     "Payments in one transaction on the chain.", 1, 8, 0},
};

static void put_bucket(struct x402_text_buffer *out, const struct shape *shape,
                       const struct x402_histogram *histogram, unsigned power)
{
    uint64_t bound = (uint64_t)1 << power;

    x402_buffer_put_string(out, shape->name);
    x402_buffer_put_string(out, "_bucket{le=\"");
    x402_buffer_put_scaled(out, shape->decimals > 0 ? bound : bound - 1,
                           shape->decimals);
    x402_buffer_put_string(out, "\"");
    close_sample(out, x402_histogram_below(histogram, bound), 0);
}

static void put_histogram(struct x402_text_buffer *out, const struct shape *shape,
                          const struct x402_histogram *histogram)
{
    uint64_t count = x402_histogram_count(histogram);

    put_head(out, shape->name, "histogram", shape->help);
    for (unsigned power = shape->first_power; power <= shape->last_power; power++)
        put_bucket(out, shape, histogram, power);
    x402_buffer_put_string(out, shape->name);
    x402_buffer_put_string(out, "_bucket{le=\"+Inf\"");
    close_sample(out, count, 0);
    x402_buffer_put_string(out, shape->name);
    x402_buffer_put_string(out, "_sum ");
    x402_buffer_put_scaled(out, histogram->sum, shape->decimals);
    x402_buffer_put_string(out, "\n");
    x402_buffer_put_string(out, shape->name);
    x402_buffer_put_string(out, "_count ");
    x402_buffer_put_unsigned(out, count);
    x402_buffer_put_string(out, "\n");
}

/* -------------------------------------------------------------------- where money is
 */

static void put_states(struct x402_text_buffer *out, const struct gathered *all)
{
    put_head(out, "x402_payments", "gauge",
             "Payments by where their money stands; those removed since, too.");
    for (size_t i = 0; i < all->tokens_count; i++) {
        for (size_t j = 0; j < X402_MONEY_COUNT; j++) {
            open_sample(out, "x402_payments");
            (void)put_token(out, all, all->tokens[i].chain_id, all->tokens[i].asset20);
            put_label(out, "state", x402_money_name((enum x402_money)j));
            close_sample(out, all->tokens[i].monies[j].count, 0);
        }
    }
    put_head(out, "x402_deliveries", "gauge",
             "Payments by whether their caller got what was paid for.");
    for (size_t i = 0; i < all->tokens_count; i++) {
        for (size_t j = 0; j < X402_DELIVERY_COUNT; j++) {
            open_sample(out, "x402_deliveries");
            (void)put_token(out, all, all->tokens[i].chain_id, all->tokens[i].asset20);
            put_label(out, "state", x402_delivery_name((enum x402_delivery)j));
            close_sample(out, all->tokens[i].deliveries[j].count, 0);
        }
    }
}

enum token_gauge { DUE, DUE_OLDEST, UNSETTLED, PAYERS };

static uint64_t token_value(const struct gathered *all, const struct x402_totals *token,
                            enum token_gauge gauge)
{
    switch (gauge) {
    case DUE:
        return token->monies[X402_MONEY_DUE].count;
    case DUE_OLDEST:
        return x402_report_age(all->now_seconds, token->oldest_due_seconds);
    case UNSETTLED:
        return token->unsettled.value;
    case PAYERS:
        return token->payers;
    }
    return 0;
}

static void put_token_gauge(struct x402_text_buffer *out, const struct gathered *all,
                            const char *name, const char *help, enum token_gauge gauge)
{
    put_head(out, name, "gauge", help);
    for (size_t i = 0; i < all->tokens_count; i++) {
        const struct x402_totals *token = &all->tokens[i];
        open_sample(out, name);
        unsigned decimals = put_token(out, all, token->chain_id, token->asset20);
        close_sample(out, token_value(all, token, gauge),
                     gauge == UNSETTLED ? decimals : 0);
    }
}

static void put_queue(struct x402_text_buffer *out, const struct gathered *all)
{
    put_states(out, all);
    put_token_gauge(out, all, "x402_due_payments",
                    "Payments that wait to be sent to the chain.", DUE);
    put_token_gauge(out, all, "x402_due_oldest_seconds",
                    "How long the oldest of them has waited; 0 when there is none.",
                    DUE_OLDEST);
    put_token_gauge(out, all, "x402_unsettled_tokens",
                    "Served on credit and not settled yet, in whole tokens: what can "
                    "be lost.",
                    UNSETTLED);
    put_token_gauge(out, all, "x402_payers", "Payers that ever paid.", PAYERS);
}

/* A gauge and not a counter: a reorganization gives fees back. */
static void put_costs(struct x402_text_buffer *out, const struct gathered *all)
{
    put_head(out, "x402_settlement_gas", "gauge",
             "Gas that all settling transactions used, vain ones included.");
    for (size_t i = 0; i < all->costs_count; i++) {
        open_sample(out, "x402_settlement_gas");
        (void)put_token(out, all, all->costs[i].chain_id, all->costs[i].asset20);
        close_sample(out, all->costs[i].gas_used, 0);
    }
    put_head(out, "x402_settlement_fees_ether", "gauge",
             "What that gas cost, in the chain's own coin.");
    for (size_t i = 0; i < all->costs_count; i++) {
        open_sample(out, "x402_settlement_fees_ether");
        (void)put_token(out, all, all->costs[i].chain_id, all->costs[i].asset20);
        close_sample(out, all->costs[i].fee_wei, ETHER_DECIMALS);
    }
}

/* --------------------------------------------------------------------------- settlers
 */

/* Those of one chain taken together. */
struct chain {
    uint64_t chain_id;
    uint64_t heard_seconds; /* of the one heard from last */
    uint64_t in_flight, troubled, base_fee_wei, latest_block, safe_block;
};

static size_t chains_of(struct chain out[X402_REPORT_SETTLERS_MAX],
                        const struct gathered *all)
{
    size_t count = 0;

    for (size_t i = 0; i < all->settlers_count; i++) {
        const struct x402_settler_state *settler = &all->settlers[i];
        uint64_t heard = x402_report_age(all->now_seconds, settler->heard_at_seconds);
        size_t at = 0;
        while (at < count && out[at].chain_id != settler->chain_id)
            at++;
        if (at == count)
            out[count++] =
                (struct chain){.chain_id = settler->chain_id, .heard_seconds = heard};
        struct chain *chain = &out[at];
        chain->in_flight += settler->in_flight;
        chain->troubled += settler->trouble[0] != '\0';
        if (heard <= chain->heard_seconds) {
            chain->heard_seconds = heard;
            chain->base_fee_wei = settler->base_fee_wei;
        }
        if (settler->latest_block > chain->latest_block)
            chain->latest_block = settler->latest_block;
        if (settler->safe_block > chain->safe_block)
            chain->safe_block = settler->safe_block;
    }
    return count;
}

static void put_chain_gauge(struct x402_text_buffer *out, const struct gathered *all,
                            const struct chain *chains, size_t count, const char *name,
                            const char *help, size_t offset, unsigned decimals)
{
    put_head(out, name, "gauge", help);
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        memcpy(&value, (const char *)&chains[i] + offset, sizeof value);
        open_sample(out, name);
        put_chain(out, all, chains[i].chain_id);
        close_sample(out, value, decimals);
    }
}

static void put_balances(struct x402_text_buffer *out, const struct gathered *all)
{
    char address[X402_ADDRESS_TEXT_SIZE];

    put_head(out, "x402_gas_balance_ether", "gauge",
             "What a settling key has for gas, in the chain's own coin.");
    for (size_t i = 0; i < all->settlers_count; i++) {
        const struct x402_settler_state *settler = &all->settlers[i];
        if (settler->remote)
            continue;
        x402_address_encode(address, settler->signer20);
        open_sample(out, "x402_gas_balance_ether");
        put_chain(out, all, settler->chain_id);
        put_label(out, "address", address);
        close_sample(out, settler->gas_balance_wei, ETHER_DECIMALS);
    }
}

static void put_settlers(struct x402_text_buffer *out, const struct gathered *all)
{
    static const struct {
        const char *name, *help;
        size_t offset;
        unsigned decimals;
    } gauges[] = {
        {"x402_settler_heard_seconds",
         "Since a settler of the network last said how it fares.",
         offsetof(struct chain, heard_seconds), 0},
        {"x402_settlers_troubled", "Settlers that something keeps from settling.",
         offsetof(struct chain, troubled), 0},
        {"x402_settler_in_flight", "Transactions sent and not yet in a block.",
         offsetof(struct chain, in_flight), 0},
        {"x402_chain_base_fee_ether", "Base fee of a unit of gas in the latest block.",
         offsetof(struct chain, base_fee_wei), ETHER_DECIMALS},
        {"x402_chain_latest_block", "The latest block that a settler saw.",
         offsetof(struct chain, latest_block), 0},
        {"x402_chain_safe_block", "The safe block that a settler saw.",
         offsetof(struct chain, safe_block), 0},
    };
    struct chain chains[X402_REPORT_SETTLERS_MAX];
    size_t count = chains_of(chains, all);

    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++)
        put_chain_gauge(out, all, chains, count, gauges[i].name, gauges[i].help,
                        gauges[i].offset, gauges[i].decimals);
    if (all->how->private)
        put_balances(out, all);
}

/* ------------------------------------------------------------------------------- all
 */

static void put_up(struct x402_text_buffer *out, bool up)
{
    put_head(out, "x402_ledger_up", "gauge", "1 when the ledger can be read.");
    x402_buffer_put_string(out, up ? "x402_ledger_up 1\n" : "x402_ledger_up 0\n");
}

void x402_report_metrics(struct x402_text_buffer *out, struct x402_ledger *ledger,
                         const struct x402_report_options *how)
{
    struct gathered *all = calloc(1, sizeof *all);

    if (all == NULL) {
        out->failed = true;
        return;
    }
    all->how = how;
    if (gather(all, ledger) != X402_OK) {
        put_up(out, false);
    } else {
        put_up(out, true);
        put_sales(out, all);
        put_refusals(out, all);
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            put_histogram(out, &shapes[i], &all->measures[shapes[i].measure]);
        put_queue(out, all);
        put_costs(out, all);
        put_settlers(out, all);
    }
    free(all->sales);
    free(all);
}
