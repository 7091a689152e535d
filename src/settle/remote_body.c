#include "settle/remote_body.h"

#include "core/text.h"
#include "settle/reply.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Who asks /settle has decided about the window long ago; facilitators want a number.
 */
#define TIMEOUT_SECONDS 300

/* ------------------------------------------------------------------------ supported */

static struct x402_remote_kind *kind_of(struct x402_remote_kinds *kinds,
                                        const char *name)
{
    struct x402_network network;

    if (x402_network_find(&network, x402_slice_of(name)) != X402_OK)
        return NULL;
    for (size_t i = 0; i < kinds->count; i++) {
        if (kinds->items[i].network.chain_id == network.chain_id)
            return &kinds->items[i];
    }
    if (kinds->count == X402_REMOTE_KINDS_MAX)
        return NULL;
    kinds->items[kinds->count] = (struct x402_remote_kind){.network = network};
    return &kinds->items[kinds->count++];
}

static void take_kind(struct x402_remote_kinds *kinds, const json_t *value)
{
    const char *scheme = json_string_value(json_object_get(value, "scheme"));
    const char *name = json_string_value(json_object_get(value, "network"));
    json_int_t version = json_integer_value(json_object_get(value, "x402Version"));

    if (scheme == NULL || name == NULL || strcmp(scheme, "exact") != 0 ||
        (version != 1 && version != 2))
        return;
    struct x402_remote_kind *kind = kind_of(kinds, name);
    if (kind == NULL)
        return;
    kind->v1 = kind->v1 || (version == 1 && kind->network.name[0] != '\0');
    kind->v2 = kind->v2 || version == 2;
}

bool x402_remote_kinds_decode(struct x402_remote_kinds *out, const char *body,
                              size_t size)
{
    json_t *value = json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *kinds = json_object_get(value, "kinds");
    bool fine = json_is_array(kinds);

    if (fine) {
        memset(out, 0, sizeof *out);
        for (size_t i = 0; i < json_array_size(kinds); i++)
            take_kind(out, json_array_get(kinds, i));
    }
    json_decref(value);
    return fine;
}

const struct x402_remote_kind *x402_remote_kind_find(
    const struct x402_remote_kinds *kinds, uint64_t chain_id)
{
    for (size_t i = 0; i < kinds->count; i++) {
        if (kinds->items[i].network.chain_id == chain_id)
            return &kinds->items[i];
    }
    return NULL;
}

/* ------------------------------------------------------------------------------ body
 */

int x402_remote_version(const struct x402_remote_kind *kind, enum x402_dialect dialect)
{
    if (kind->v1 && (dialect == X402_DIALECT_V1 || !kind->v2))
        return 1;
    return kind->v2 ? 2 : 0;
}

static void put_named(struct x402_text *text, const char *name, const char *value)
{
    x402_text_put_string(text, "\"");
    x402_text_put_string(text, name);
    x402_text_put_string(text, "\":\"");
    x402_text_put_escaped(text, x402_slice_of(value), X402_INVALID_REPLACED);
    x402_text_put_string(text, "\"");
}

static void put_address(struct x402_text *text, const char *name,
                        const uint8_t address20[20])
{
    char address[X402_ADDRESS_TEXT_SIZE];

    x402_address_encode(address, address20);
    put_named(text, name, address);
}

static void put_number(struct x402_text *text, const char *name, uint64_t number)
{
    char digits[X402_DECIMAL_SIZE_MAX + 1];

    snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    put_named(text, name, digits);
}

static void put_bytes(struct x402_text *text, const char *name, const uint8_t *bytes,
                      size_t size)
{
    x402_text_put_string(text, "\"");
    x402_text_put_string(text, name);
    x402_text_put_string(text, "\":\"0x");
    x402_text_put_hex(text, bytes, size);
    x402_text_put_string(text, "\"");
}

/* The signed authorization, which both generations write alike. */
static void put_payload(struct x402_text *text, const struct x402_settlement *payment)
{
    x402_text_put_string(text, "\"payload\":{");
    put_bytes(text, "signature", payment->signature65, 65);
    x402_text_put_string(text, ",\"authorization\":{");
    put_address(text, "from", payment->from20);
    x402_text_put_string(text, ",");
    put_address(text, "to", payment->to20);
    x402_text_put_string(text, ",");
    put_number(text, "value", payment->value);
    x402_text_put_string(text, ",");
    put_number(text, "validAfter", payment->valid_after_seconds);
    x402_text_put_string(text, ",");
    put_number(text, "validBefore", payment->valid_before_seconds);
    x402_text_put_string(text, ",");
    put_bytes(text, "nonce", payment->nonce32, 32);
    x402_text_put_string(text, "}}");
}

static void put_terms(struct x402_text *text, const struct x402_settlement *payment,
                      const struct x402_network *network)
{
    put_address(text, "asset", payment->asset20);
    x402_text_put_string(text, ",");
    put_address(text, "payTo", payment->to20);
    x402_text_put_string(text, ",\"maxTimeoutSeconds\":");
    x402_text_put_decimal(text, TIMEOUT_SECONDS);
    x402_text_put_string(text, ",\"extra\":{");
    put_named(text, "name", network->asset_name);
    x402_text_put_string(text, ",");
    put_named(text, "version", network->asset_version);
    x402_text_put_string(text, "}}");
}

/*
 * "resource" must be a URL; the ledger knows the route alone, and not under which name
 * the world reaches it. Routes that are no path (of regular expressions, named ones)
 * and characters no URL has are left out.
 */
static void put_resource(struct x402_text *text, const char *route)
{
    x402_text_put_string(text, "\"resource\":\"http://localhost/");
    for (const char *c = route[0] == '/' ? route + 1 : ""; *c != '\0'; c++) {
        bool fine = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                    (*c >= '0' && *c <= '9') || strchr("/-._~", *c) != NULL;
        x402_text_put(text, (struct x402_slice){fine ? c : "_", 1});
    }
    x402_text_put_string(text, "\"");
}

static void put_requirements_v1(struct x402_text *text,
                                const struct x402_settlement *payment,
                                const struct x402_network *network)
{
    x402_text_put_string(text, "{\"scheme\":\"exact\",");
    put_named(text, "network", network->name);
    x402_text_put_string(text, ",");
    put_number(text, "maxAmountRequired", payment->value);
    x402_text_put_string(text, ",");
    put_resource(text, payment->route);
    x402_text_put_string(text, ",\"description\":\"\",\"mimeType\":\"\",");
    put_terms(text, payment, network);
}

static void put_requirements_v2(struct x402_text *text,
                                const struct x402_settlement *payment,
                                const struct x402_network *network)
{
    char caip2[X402_CAIP2_TEXT_SIZE];

    x402_caip2_encode(caip2, network->chain_id);
    x402_text_put_string(text, "{\"scheme\":\"exact\",");
    put_named(text, "network", caip2);
    x402_text_put_string(text, ",");
    put_number(text, "amount", payment->value);
    x402_text_put_string(text, ",");
    put_terms(text, payment, network);
}

static void put_body_v1(struct x402_text *text, const struct x402_settlement *payment,
                        const struct x402_network *network)
{
    x402_text_put_string(text, "{\"x402Version\":1,\"paymentPayload\":{"
                               "\"x402Version\":1,\"scheme\":\"exact\",");
    put_named(text, "network", network->name);
    x402_text_put_string(text, ",");
    put_payload(text, payment);
    x402_text_put_string(text, "},\"paymentRequirements\":");
    put_requirements_v1(text, payment, network);
    x402_text_put_string(text, "}");
}

static void put_body_v2(struct x402_text *text, const struct x402_settlement *payment,
                        const struct x402_network *network)
{
    x402_text_put_string(text, "{\"x402Version\":2,\"paymentPayload\":{"
                               "\"x402Version\":2,\"accepted\":");
    put_requirements_v2(text, payment, network);
    x402_text_put_string(text, ",");
    put_payload(text, payment);
    x402_text_put_string(text, "},\"paymentRequirements\":");
    put_requirements_v2(text, payment, network);
    x402_text_put_string(text, "}");
}

size_t x402_remote_body_encode(char out[X402_REMOTE_BODY_MAX],
                               const struct x402_settlement *payment,
                               const struct x402_network *network, int version)
{
    struct x402_text text = x402_text_init(out, X402_REMOTE_BODY_MAX);

    assert(version == 2 || (version == 1 && network->name[0] != '\0'));
    if (version == 1)
        put_body_v1(&text, payment, network);
    else
        put_body_v2(&text, payment, network);
    assert(!text.overflow);
    return x402_text_size(&text);
}

/* ---------------------------------------------------------------------------- answer
 */

/*
 * Reasons with which facilitators (reference: the SDK's of 2.27 and of x402 1.2) refuse
 * before anything is broadcast. What can also be said of a payment that was settled by
 * an earlier request is not among them: "nonce_already_used", failed and reverted
 * transactions, failed simulations, every "unexpected" error.
 */
static const char *const refusals[] = {
    "asset_not_deployed_contract",
    "eip6492_factory_not_allowed",
    "insufficient_funds",
    "invalid_exact_evm_authorization_value",
    "invalid_exact_evm_eip3009_not_supported",
    "invalid_exact_evm_failed_to_parse_signature",
    "invalid_exact_evm_insufficient_balance",
    "invalid_exact_evm_missing_eip712_domain",
    "invalid_exact_evm_network_mismatch",
    "invalid_exact_evm_payload_authorization_valid_after",
    "invalid_exact_evm_payload_authorization_valid_before",
    "invalid_exact_evm_payload_authorization_value",
    "invalid_exact_evm_payload_authorization_value_mismatch",
    "invalid_exact_evm_payload_recipient_mismatch",
    "invalid_exact_evm_payload_signature",
    "invalid_exact_evm_payload_undeployed_smart_wallet",
    "invalid_exact_evm_recipient_mismatch",
    "invalid_exact_evm_scheme",
    "invalid_exact_evm_signature",
    "invalid_exact_evm_token_name_mismatch",
    "invalid_exact_evm_token_version_mismatch",
    "invalid_network",
    "invalid_payload",
    "invalid_payment",
    "invalid_payment_requirements",
    "invalid_scheme",
    "invalid_x402_version",
    "payment_expired",
    "unsupported_payload_type",
    "unsupported_scheme",
};

/* Those among them that are the payer's doing. */
static const char *const payers_faults[] = {
    "insufficient_funds",
    "invalid_exact_evm_insufficient_balance",
    "invalid_exact_evm_payload_signature",
    "invalid_exact_evm_signature",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_among(const char *const *reasons, size_t count, const char *reason)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(reasons[i], reason) == 0)
            return true;
    }
    return false;
}

static void say(struct x402_remote_answer *out, const char *reason)
{
    size_t size = 0;

    for (; reason[size] != '\0' && size + 1 < sizeof out->reason; size++)
        out->reason[size] =
            (char)(reason[size] >= ' ' && reason[size] <= '~' ? reason[size] : '?');
    out->reason[size] = '\0';
    if (size == 0)
        snprintf(out->reason, sizeof out->reason, "it gives no reason");
}

/* Members that may be left out; null counts as left out, as in the reference. */
static bool is_absent(const json_t *value)
{
    return value == NULL || json_is_null(value);
}

static bool is_network(const json_t *value, const struct x402_network *network)
{
    const char *name = json_string_value(value);
    char caip2[X402_CAIP2_TEXT_SIZE];

    x402_caip2_encode(caip2, network->chain_id);
    return name != NULL &&
           (strcmp(name, caip2) == 0 ||
            (network->name[0] != '\0' && strcmp(name, network->name) == 0));
}

static bool is_amount(const json_t *value, uint64_t amount)
{
    const char *text = json_string_value(value);
    char digits[X402_DECIMAL_SIZE_MAX + 1];

    snprintf(digits, sizeof digits, "%llu", (unsigned long long)amount);
    return text != NULL && strcmp(text, digits) == 0;
}

/* What in it is not of the payment; NULL when all is. */
static const char *misfit(const json_t *value, const struct x402_settlement *payment,
                          const struct x402_network *network)
{
    const json_t *payer = json_object_get(value, "payer");
    const json_t *amount = json_object_get(value, "amount");
    uint8_t payer20[20];

    if (!is_network(json_object_get(value, "network"), network))
        return "its answer is of another network";
    if (!is_absent(payer) && (!x402_json_bytes(payer20, 20, payer) ||
                              memcmp(payer20, payment->from20, 20) != 0))
        return "its answer is of another payer";
    if (!is_absent(amount) && !is_amount(amount, payment->value))
        return "its answer is of another amount";
    return NULL;
}

static void take_success(struct x402_remote_answer *out, const json_t *value)
{
    static const uint8_t zero32[32];
    uint8_t hash32[32];

    if (!x402_json_bytes(hash32, 32, json_object_get(value, "transaction")) ||
        memcmp(hash32, zero32, 32) == 0) {
        say(out, "it says settled and names no transaction");
        return;
    }
    out->word = X402_REMOTE_SETTLED;
    out->fits = true;
    out->reason[0] = '\0';
    memcpy(out->hash32, hash32, 32);
}

static void take_failure(struct x402_remote_answer *out, const json_t *value)
{
    const json_t *transaction = json_object_get(value, "transaction");
    const char *reason = json_string_value(json_object_get(value, "errorReason"));
    bool broadcast = !is_absent(transaction) && json_string_length(transaction) > 0;

    out->fits = true;
    say(out, reason ? reason : "");
    if (broadcast || !is_among(refusals, COUNT(refusals), out->reason))
        return;
    out->word = X402_REMOTE_REFUSED;
    out->payers_fault = is_among(payers_faults, COUNT(payers_faults), out->reason);
}

static void take_value(struct x402_remote_answer *out, long status, const json_t *value,
                       const struct x402_settlement *payment,
                       const struct x402_network *network)
{
    const json_t *success = json_object_get(value, "success");
    bool settled = json_is_true(success);

    if (!json_is_boolean(success) || (settled && status >= 300)) {
        say(out, "its answer makes no sense");
        return;
    }
    const char *wrong = misfit(value, payment, network);
    if (wrong != NULL)
        say(out, wrong);
    else if (settled)
        take_success(out, value);
    else
        take_failure(out, value);
}

void x402_remote_answer_decode(struct x402_remote_answer *out, long status,
                               const char *body, size_t size,
                               const struct x402_settlement *payment,
                               const struct x402_network *network)
{
    bool readable = (status >= 200 && status < 300) || (status >= 400 && status < 500);
    json_t *value =
        readable ? json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL) : NULL;

    memset(out, 0, sizeof *out);
    if (json_is_object(value) && json_object_get(value, "success") != NULL)
        take_value(out, status, value, payment, network);
    else if (status >= 200 && status < 300)
        say(out, "its answer makes no sense");
    else
        snprintf(out->reason, sizeof out->reason, "it answers with status %ld", status);
    json_decref(value);
}
