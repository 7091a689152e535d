#include "core/text.h"

#include <x402/receipt.h>

#include <assert.h>
#include <string.h>

#define JSON_SIZE_MAX (X402_RECEIPT_SIZE_MAX / 4 * 3)

static void put_reason(struct x402_text *text, const struct x402_receipt *receipt)
{
    if (receipt->success)
        return;
    x402_text_put_string(text, ",\"errorReason\":\"");
    x402_text_put_string(text, receipt->dialect == X402_DIALECT_V2
                                   ? x402_error_reason(receipt->error)
                                   : x402_error_reason_v1(receipt->error));
    x402_text_put_string(text, "\"");
}

static void put_network(struct x402_text *text, const struct x402_receipt *receipt)
{
    char caip2[X402_CAIP2_TEXT_SIZE];
    const char *name = receipt->network->name;

    x402_caip2_encode(caip2, receipt->network->chain_id);
    bool by_name = receipt->dialect != X402_DIALECT_V2 && name[0] != '\0';
    x402_text_put_string(text, ",\"network\":\"");
    x402_text_put_escaped(text, x402_slice_of(by_name ? name : caip2),
                          X402_INVALID_REPLACED);
    x402_text_put_string(text, "\"");
}

/* The link and the end of the object; half a URL leads nowhere. */
static void put_end(struct x402_text *text, struct x402_slice link)
{
    struct x402_text linked = *text;

    x402_text_put_string(&linked, ",\"extra\":{\"receipt\":\"");
    x402_text_put_escaped(&linked, link, X402_INVALID_PERCENT_ENCODED);
    x402_text_put_string(&linked, "\"}}");
    if (link.size > 0 && link.size <= X402_RECEIPT_LINK_MAX && !linked.overflow)
        *text = linked;
    else
        x402_text_put_string(text, "}");
}

static void put_receipt(struct x402_text *text, const struct x402_receipt *receipt)
{
    x402_text_put_string(text,
                         receipt->success ? "{\"success\":true" : "{\"success\":false");
    put_reason(text, receipt);
    x402_text_put_string(text, ",\"transaction\":\"");
    if (receipt->has_transaction) {
        x402_text_put_string(text, "0x");
        x402_text_put_hex(text, receipt->transaction32, sizeof receipt->transaction32);
    }
    x402_text_put_string(text, "\"");
    put_network(text, receipt);
    x402_text_put_string(text, ",\"payer\":\"");
    x402_text_put(text, receipt->payer);
    x402_text_put_string(text, "\"");
    put_end(text, receipt->link);
}

size_t x402_receipt_encode(char out[X402_RECEIPT_SIZE_MAX],
                           const struct x402_receipt *receipt)
{
    char json[JSON_SIZE_MAX];
    struct x402_text text = x402_text_init(json, sizeof json);

    assert(receipt->success == (receipt->error == X402_OK));
    put_receipt(&text, receipt);
    assert(!text.overflow);
    x402_base64_encode(out, (const uint8_t *)json, x402_text_size(&text));
    return X402_BASE64_SIZE(x402_text_size(&text));
}

/* ------------------------------------------------------------------------- failures */

static const struct {
    const char *code; /* the settler's */
    enum x402_error error;
} failures[] = {
    {"reverted", X402_ERR_SETTLEMENT}, /* first: another has its v1 name, too */
    {"insufficient_funds", X402_ERR_FUNDS}, {"used", X402_ERR_USED_ELSEWHERE},
    {"canceled", X402_ERR_USED_ELSEWHERE},  {"invalid_signature", X402_ERR_SIGNATURE},
    {"expired", X402_ERR_VALID_BEFORE},     {"not_yet_valid", X402_ERR_VALID_AFTER},
};

static bool names(struct x402_slice word, const char *name)
{
    return x402_slice_equal(word, x402_slice_of(name));
}

enum x402_error x402_receipt_failure(const char *reason)
{
    struct x402_slice word = {reason, strcspn(reason, ": ")};

    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        enum x402_error error = failures[i].error;
        if (names(word, failures[i].code) || names(word, x402_error_reason(error)) ||
            names(word, x402_error_reason_v1(error)))
            return error;
    }
    return X402_ERR_SETTLEMENT;
}
