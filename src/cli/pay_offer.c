#include "cli/pay_offer.h"

#include "evm/signature.h"
#include "evm/typed_data.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* -------------------------------------------------------------------------- reading */

/* The JSON object in a base64 header, or NULL. */
static json_t *decode_header(struct x402_slice header)
{
    uint8_t *bytes = malloc(header.size + 1);
    size_t size = 0;
    json_t *root = NULL;

    if (bytes != NULL && header.size <= X402_OFFER_HEADER_MAX &&
        x402_base64_decode(bytes, &size, header.size, header) == X402_OK)
        root = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
    free(bytes);
    return root;
}

static json_t *decode_offer(struct x402_slice header, struct x402_slice body)
{
    if (header.size > 0)
        return decode_header(header);
    if (body.size == 0 || body.size > X402_OFFER_BODY_MAX)
        return NULL;
    return json_loadb(body.data, body.size, JSON_REJECT_DUPLICATES, NULL);
}

static struct x402_slice text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);

    return (struct x402_slice){json_string_value(value), json_string_length(value)};
}

static bool is_text(const json_t *object, const char *key, const char *expected)
{
    struct x402_slice text = text_of(object, key);

    return text.data != NULL && x402_slice_equal(text, x402_slice_of(expected));
}

static bool decode_address(uint8_t out20[20], const json_t *object, const char *key)
{
    struct x402_slice text = text_of(object, key);

    return text.data != NULL && x402_address_decode(out20, text) == X402_OK;
}

/* Decimal digits without a leading zero, 1 to X402_VALUE_MAX. */
static bool decode_value(uint64_t *out, struct x402_slice text)
{
    uint64_t value = 0;

    if (text.size == 0 || text.size > 19 || text.data[0] == '0')
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    if (value > X402_VALUE_MAX)
        return false;
    *out = value;
    return true;
}

/* Copies text that fits with its zero, and holds none. */
static bool copy_text(char *out, size_t out_max, struct x402_slice text)
{
    if (text.data == NULL || text.size == 0 || text.size >= out_max)
        return false;
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return strlen(out) == text.size;
}

/* ------------------------------------------------------------------------- choosing */

__attribute__((format(printf, 2, 3))) static enum x402_error refuse(
    char why[X402_PRICE_WHY_MAX], const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, X402_PRICE_WHY_MAX, format, arguments);
    va_end(arguments);
    return X402_ERR_SCHEME;
}

static bool absent_or(const json_t *object, const char *key, const char *one,
                      const char *other)
{
    const json_t *value = json_object_get(object, key);

    return value == NULL || json_is_null(value) || is_text(object, key, one) ||
           is_text(object, key, other);
}

/* The network, its token, and the domain the server says the token signs under. */
static enum x402_error take_network(struct x402_price *price, const json_t *entry,
                                    char why[X402_PRICE_WHY_MAX])
{
    struct x402_network *network = &price->network;
    const json_t *extra = json_object_get(entry, "extra");
    struct x402_slice name = text_of(entry, "network");
    uint8_t asset20[20];

    if (name.data == NULL || x402_network_find(network, name) != X402_OK)
        return refuse(why, "network '%.40s' is not known", name.data ? name.data : "");
    if (!decode_address(asset20, entry, "asset") ||
        memcmp(asset20, network->asset20, 20) != 0)
        return refuse(why, "the token asked for is not USDC on '%.40s'", name.data);
    if (!absent_or(extra, "assetTransferMethod", "eip3009", "eip3009") ||
        !absent_or(extra, "paymentFlow", "authorization", "upfront"))
        return refuse(why, "the way of payment is not known");
    if (!copy_text(network->asset_name, sizeof network->asset_name,
                   text_of(extra, "name")) ||
        !copy_text(network->asset_version, sizeof network->asset_version,
                   text_of(extra, "version")))
        return refuse(why, "the offer does not name the token's EIP-712 domain");
    x402_network_seal(network);
    return X402_OK;
}

static enum x402_error take_terms(struct x402_price *price, const json_t *entry,
                                  char why[X402_PRICE_WHY_MAX])
{
    const char *amount = price->version == 2 ? "amount" : "maxAmountRequired";
    json_int_t window = json_integer_value(json_object_get(entry, "maxTimeoutSeconds"));

    if (!decode_value(&price->value, text_of(entry, amount)))
        return refuse(why, "the offer's %s is not an amount", amount);
    if (!decode_address(price->pay_to20, entry, "payTo"))
        return refuse(why, "the offer's payTo is not an address");
    if (window <= 0)
        return refuse(why, "the offer's maxTimeoutSeconds is not a time");
    price->window_seconds = window < X402_PAY_WINDOW_MAX_SECONDS
                                ? (uint32_t)window
                                : X402_PAY_WINDOW_MAX_SECONDS;
    return X402_OK;
}

static enum x402_error check_price(const struct x402_price *price,
                                   uint64_t max_micro_usd, char why[X402_PRICE_WHY_MAX])
{
    char text[X402_PRICE_TEXT_SIZE], max_text[X402_AMOUNT_TEXT_SIZE];
    uint64_t max;

    if (x402_usd_to_atomic(&max, max_micro_usd, price->network.decimals) == X402_OK &&
        price->value <= max)
        return X402_OK;
    x402_price_text(text, price);
    x402_amount_encode(max_text, max_micro_usd, 6);
    (void)refuse(why, "it costs %s, more than the %s allowed: --max allows more", text,
                 max_text);
    return X402_ERR_VALUE;
}

static enum x402_error consider(struct x402_price *price, const json_t *entry,
                                uint64_t max_micro_usd, char why[X402_PRICE_WHY_MAX])
{
    if (!is_text(entry, "scheme", "exact"))
        return refuse(why, "no payment scheme of the offer is known");
    enum x402_error error = take_network(price, entry, why);
    if (error == X402_OK)
        error = take_terms(price, entry, why);
    return error == X402_OK ? check_price(price, max_micro_usd, why) : error;
}

/* The first that suits. Otherwise why not: a price too high says more than the rest. */
static enum x402_error choose(struct x402_price *out, const json_t *root,
                              uint64_t max_micro_usd, char why[X402_PRICE_WHY_MAX])
{
    json_t *accepts = json_object_get(root, "accepts");
    size_t count = json_array_size(accepts);
    enum x402_error worst = X402_ERR_SCHEME;

    (void)refuse(why, "the offer names no way to pay");
    for (size_t i = 0; i < count && i < X402_OFFER_ACCEPTS_MAX; i++) {
        struct x402_price price = {.version = out->version};
        char reason[X402_PRICE_WHY_MAX];
        json_t *entry = json_array_get(accepts, i);
        enum x402_error error = consider(&price, entry, max_micro_usd, reason);
        if (error == X402_OK) {
            *out = price;
            out->accepted = json_incref(entry);
            return X402_OK;
        }
        if (worst != X402_ERR_VALUE)
            memcpy(why, reason, sizeof reason);
        worst = error == X402_ERR_VALUE ? error : worst;
    }
    return worst;
}

enum x402_error x402_price_decode(struct x402_price *out, char why[X402_PRICE_WHY_MAX],
                                  struct x402_slice header, struct x402_slice body,
                                  uint64_t max_micro_usd)
{
    json_t *root = decode_offer(header, body);
    struct x402_price price = {.version = header.size > 0 ? 2 : 1};
    json_int_t version = json_integer_value(json_object_get(root, "x402Version"));
    enum x402_error error = X402_ERR_JSON;

    if (version != (json_int_t)price.version)
        (void)refuse(why, "the 402 carries no x402 offer that can be read");
    else
        error = choose(&price, root, max_micro_usd, why);
    if (error == X402_OK) {
        json_t *resource = json_object_get(root, "resource");
        price.resource = json_is_object(resource) ? json_incref(resource) : NULL;
        *out = price;
    }
    json_decref(root);
    return error;
}

void x402_price_release(struct x402_price *price)
{
    json_decref(price->accepted);
    json_decref(price->resource);
    memset(price, 0, sizeof *price);
}

void x402_price_text(char out[X402_PRICE_TEXT_SIZE], const struct x402_price *price)
{
    const struct x402_network *network = &price->network;
    char amount[X402_AMOUNT_TEXT_SIZE], caip2[X402_CAIP2_TEXT_SIZE];

    x402_caip2_encode(caip2, network->chain_id);
    x402_amount_encode(amount, price->value, network->decimals);
    snprintf(out, X402_PRICE_TEXT_SIZE, "%s USDC on %s", amount,
             network->name[0] != '\0' ? network->name : caip2);
}

/* --------------------------------------------------------------------------- paying */

const char *x402_price_header_name(const struct x402_price *price)
{
    return price->version == 2 ? "PAYMENT-SIGNATURE" : "X-PAYMENT";
}

static json_t *number_text(uint64_t number)
{
    return json_sprintf("%" PRIu64, number);
}

static json_t *hex_text(const uint8_t *bytes, size_t size)
{
    char text[2 + 2 * 65] = "0x";

    x402_hex_encode(text + 2, bytes, size);
    return json_stringn(text, 2 + 2 * size);
}

static json_t *address_text(const uint8_t address20[20])
{
    char text[X402_ADDRESS_TEXT_SIZE];

    x402_address_encode(text, address20);
    return json_string(text);
}

/* v2 clients sign validAfter 0, v1 clients ten minutes ago (reference: protocol 1.2).
 */
static bool authorize(struct x402_authorization *out, uint8_t signature65[65],
                      const struct x402_price *price, const uint8_t key32[32],
                      const uint8_t nonce32[32], uint64_t now_seconds)
{
    uint8_t digest32[32];

    memset(out, 0, sizeof *out);
    if (x402_key_address(out->from20, key32) != X402_OK)
        return false;
    memcpy(out->to20, price->pay_to20, 20);
    memcpy(out->nonce32, nonce32, 32);
    out->value = price->value;
    out->valid_after_seconds = price->version == 2 ? 0 : now_seconds - 600;
    out->valid_before_seconds = now_seconds + price->window_seconds;
    x402_authorization_digest(digest32, price->network.domain_separator32, out);
    return x402_signature_sign(signature65, digest32, key32) == X402_OK;
}

static json_t *payload_of(const struct x402_authorization *authorization,
                          const uint8_t signature65[65])
{
    return json_pack("{s:o, s:{s:o, s:o, s:o, s:o, s:o, s:o}}", "signature",
                     hex_text(signature65, 65), "authorization", "from",
                     address_text(authorization->from20), "to",
                     address_text(authorization->to20), "value",
                     number_text(authorization->value), "validAfter",
                     number_text(authorization->valid_after_seconds), "validBefore",
                     number_text(authorization->valid_before_seconds), "nonce",
                     hex_text(authorization->nonce32, 32));
}

static json_t *envelope_of(const struct x402_price *price, json_t *payload)
{
    if (price->version == 1)
        return json_pack("{s:i, s:s, s:O, s:o}", "x402Version", 1, "scheme", "exact",
                         "network", json_object_get(price->accepted, "network"),
                         "payload", payload);
    json_t *envelope = json_pack("{s:i, s:O, s:o}", "x402Version", 2, "accepted",
                                 price->accepted, "payload", payload);
    if (price->resource == NULL ||
        json_object_set(envelope, "resource", price->resource) == 0)
        return envelope;
    json_decref(envelope);
    return NULL;
}

static char *encode_base64(const char *text)
{
    size_t size = strlen(text);
    char *out = malloc(X402_BASE64_SIZE(size) + 1);

    if (out == NULL)
        return NULL;
    x402_base64_encode(out, (const uint8_t *)text, size);
    out[X402_BASE64_SIZE(size)] = '\0';
    return out;
}

char *x402_price_pay(const struct x402_price *price, const uint8_t key32[32],
                     const uint8_t nonce32[32], uint64_t now_seconds)
{
    struct x402_authorization authorization;
    uint8_t signature65[65];

    if (!authorize(&authorization, signature65, price, key32, nonce32, now_seconds))
        return NULL;
    json_t *envelope = envelope_of(price, payload_of(&authorization, signature65));
    char *text = envelope ? json_dumps(envelope, JSON_COMPACT) : NULL;
    char *header = text ? encode_base64(text) : NULL;
    free(text);
    json_decref(envelope);
    return header;
}

/* -------------------------------------------------------------------------- answers */

static bool is_hash(struct x402_slice text)
{
    uint8_t hash32[32];

    return text.data != NULL && text.size == 66 && memcmp(text.data, "0x", 2) == 0 &&
           x402_hex_decode(hash32, 32, (struct x402_slice){text.data + 2, 64});
}

bool x402_pay_receipt_decode(struct x402_pay_receipt *out, struct x402_slice header)
{
    json_t *root = header.size > 0 ? decode_header(header) : NULL;
    const json_t *success = json_object_get(root, "success");
    bool fine = json_is_boolean(success);

    if (fine) {
        struct x402_slice hash = text_of(root, "transaction");
        const char *reason = text_of(root, "errorReason").data;
        memset(out, 0, sizeof *out);
        out->success = json_is_true(success);
        if (is_hash(hash))
            memcpy(out->transaction, hash.data, hash.size);
        snprintf(out->reason, sizeof out->reason, "%s", reason ? reason : "");
        struct x402_slice link = text_of(json_object_get(root, "extra"), "receipt");
        if (link.size > 0 && link.size < sizeof out->link)
            memcpy(out->link, link.data, link.size);
    }
    json_decref(root);
    return fine;
}

void x402_offer_reason(char out[X402_PRICE_WHY_MAX], struct x402_slice header,
                       struct x402_slice body)
{
    json_t *root = decode_offer(header, body);
    const char *reason = text_of(root, "error").data;

    snprintf(out, X402_PRICE_WHY_MAX, "%s", reason ? reason : "");
    json_decref(root);
}
