#include "core/text.h"

#include <x402/offer.h>

#include <assert.h>
#include <string.h>

/* The members of one accepts entry, less the names of network and asset, which are
 * escaped: keys, two addresses, two numbers, a CAIP-2 id. */
#define ENTRY_SIZE_MAX                                                                 \
    (256 + 2 * X402_ADDRESS_TEXT_SIZE + 2 * X402_DECIMAL_SIZE_MAX +                    \
     X402_CAIP2_TEXT_SIZE +                                                            \
     X402_JSON_ESCAPE_MAX *                                                            \
         (X402_NETWORK_NAME_MAX + X402_ASSET_NAME_MAX + X402_ASSET_VERSION_MAX))

/* Keys, brackets and the longest reason, around the resource URL. */
#define FRAME_SIZE_MAX 256

#define PADDING_MAX 2

/* What precedes the URL in the v2 header, and the same as base64. */
#define HEAD_SIZE_MAX (FRAME_SIZE_MAX + PADDING_MAX)
#define HEAD_TEXT_MAX X402_BASE64_SIZE(HEAD_SIZE_MAX)

/* ------------------------------------------------------------------- once, at start */

static size_t described_size_max(const struct x402_offer *offer)
{
    return FRAME_SIZE_MAX +
           X402_JSON_ESCAPE_MAX * (offer->description.size + offer->mime_type.size);
}

static size_t entry_size_max(const struct x402_offer *offer)
{
    return ENTRY_SIZE_MAX + X402_JSON_ESCAPE_MAX * offer->facilitator.size;
}

static size_t tail_size_max(const struct x402_offer *offer)
{
    return described_size_max(offer) + offer->accepts_count * entry_size_max(offer);
}

size_t x402_offer_text_size_max(const struct x402_offer *offer)
{
    return HEAD_TEXT_MAX + X402_BASE64_SIZE(tail_size_max(offer)) +
           offer->accepts_count * (described_size_max(offer) + entry_size_max(offer));
}

static void put_quoted(struct x402_text *text, struct x402_slice slice)
{
    x402_text_put_string(text, "\"");
    x402_text_put_escaped(text, slice, X402_INVALID_REPLACED);
    x402_text_put_string(text, "\"");
}

static void put_description(struct x402_text *text, const struct x402_offer *offer)
{
    x402_text_put_string(text, ",\"description\":");
    put_quoted(text, offer->description);
    x402_text_put_string(text, ",\"mimeType\":");
    put_quoted(text, offer->mime_type);
}

/* From the asset to the end of the entry, which both versions share. */
static void put_terms(struct x402_text *text, const struct x402_offer *offer,
                      const struct x402_accept *accept)
{
    x402_text_put_string(text, ",\"asset\":\"");
    x402_text_put_address(text, accept->network.asset20);
    x402_text_put_string(text, "\",\"payTo\":\"");
    x402_text_put_address(text, accept->pay_to20);
    x402_text_put_string(text, "\",\"maxTimeoutSeconds\":");
    x402_text_put_decimal(text, offer->window_seconds);
    x402_text_put_string(text, ",\"extra\":{\"name\":");
    put_quoted(text, x402_slice_of(accept->network.asset_name));
    x402_text_put_string(text, ",\"version\":");
    put_quoted(text, x402_slice_of(accept->network.asset_version));
    if (offer->upfront)
        x402_text_put_string(text, ",\"paymentFlow\":\"upfront\"");
    if (offer->facilitator.size > 0) {
        x402_text_put_string(text, ",\"facilitator\":");
        put_quoted(text, offer->facilitator);
    }
    x402_text_put_string(text, "}}");
}

static void put_entry_v2(struct x402_text *text, const struct x402_offer *offer,
                         const struct x402_accept *accept)
{
    char caip2[X402_CAIP2_TEXT_SIZE];

    x402_caip2_encode(caip2, accept->network.chain_id);
    x402_text_put_string(text, "{\"scheme\":\"exact\",\"network\":\"");
    x402_text_put_string(text, caip2);
    x402_text_put_string(text, "\",\"amount\":\"");
    x402_text_put_decimal(text, accept->value);
    x402_text_put_string(text, "\"");
    put_terms(text, offer, accept);
}

static void put_entry_v1(struct x402_text *text, const struct x402_offer *offer,
                         const struct x402_accept *accept)
{
    x402_text_put_string(text, ",\"scheme\":\"exact\",\"network\":");
    put_quoted(text, x402_slice_of(accept->network.name));
    x402_text_put_string(text, ",\"maxAmountRequired\":\"");
    x402_text_put_decimal(text, accept->value);
    x402_text_put_string(text, "\"");
    put_description(text, offer);
    put_terms(text, offer, accept);
}

/* What follows the URL in the v2 header. */
static void put_tail(struct x402_text *text, const struct x402_offer *offer)
{
    put_description(text, offer);
    x402_text_put_string(text, "},\"accepts\":[");
    for (size_t i = 0; i < offer->accepts_count; i++) {
        if (i > 0)
            x402_text_put_string(text, ",");
        put_entry_v2(text, offer, &offer->accepts[i]);
    }
    x402_text_put_string(text, "]}");
}

/*
 * Turns the `size` bytes at the end of a room of X402_BASE64_SIZE(room_size) characters
 * into base64 at its beginning. A group of four characters never reaches a byte that is
 * not read yet: they start a third of the room behind.
 */
static size_t encode_within(char *room, size_t room_size, size_t size)
{
    const char *bytes = room + X402_BASE64_SIZE(room_size) - room_size;

    assert(size <= room_size);
    x402_base64_encode(room, (const uint8_t *)bytes, size);
    return X402_BASE64_SIZE(size);
}

static struct x402_text text_within(char *room, size_t room_size)
{
    return x402_text_init(room + X402_BASE64_SIZE(room_size) - room_size, room_size);
}

/* Blanks mean nothing in JSON there, and spare base64 its padding. */
static void put_blanks_and_quote(struct x402_text *text)
{
    while (x402_text_size(text) % 3 != 2)
        x402_text_put_string(text, " ");
    x402_text_put_string(text, "\"");
}

static void put_error(struct x402_text *text, const char *reason)
{
    x402_text_put_string(text, ",\"error\":\"");
    x402_text_put_string(text, reason);
    x402_text_put_string(text, "\"");
}

/* Up to the quote before the URL. */
static size_t encode_head(char *out, enum x402_error error)
{
    struct x402_text text = text_within(out, HEAD_SIZE_MAX);

    x402_text_put_string(&text, "{\"x402Version\":2");
    put_error(&text, x402_error_reason(error));
    x402_text_put_string(&text, ",\"resource\":{\"url\":");
    put_blanks_and_quote(&text);
    assert(!text.overflow);
    return encode_within(out, HEAD_SIZE_MAX, x402_text_size(&text));
}

static struct x402_slice encode_tail(char *buffer, const struct x402_offer *offer)
{
    size_t room_size = tail_size_max(offer);
    struct x402_text text = text_within(buffer, room_size);

    put_tail(&text, offer);
    assert(!text.overflow);
    return (struct x402_slice){buffer,
                               encode_within(buffer, room_size, x402_text_size(&text))};
}

static void encode_entries(struct x402_offer_text *out, struct x402_text *text,
                           const struct x402_offer *offer)
{
    out->entries_count = 0;
    for (size_t i = 0; i < offer->accepts_count; i++) {
        const struct x402_accept *accept = &offer->accepts[i];
        if (!accept->network.legacy)
            continue;
        char *start = text->at;
        put_entry_v1(text, offer, accept);
        out->entries[out->entries_count++] =
            (struct x402_slice){start, (size_t)(text->at - start)};
    }
    assert(!text->overflow);
}

enum x402_error x402_offer_encode(struct x402_offer_text *out, char *buffer,
                                  size_t buffer_size, const struct x402_offer *offer)
{
    assert(offer->accepts_count >= 1 && offer->accepts_count <= X402_ACCEPTS_MAX);
    if (!x402_utf8_valid(offer->description) || !x402_utf8_valid(offer->mime_type))
        return X402_ERR_CONFIG;
    if (buffer_size < x402_offer_text_size_max(offer))
        return X402_ERR_SPACE;

    out->header_head =
        (struct x402_slice){buffer, encode_head(buffer, X402_ERR_PAYMENT_REQUIRED)};
    out->header_tail = encode_tail(buffer + HEAD_TEXT_MAX, offer);
    size_t used = HEAD_TEXT_MAX + X402_BASE64_SIZE(tail_size_max(offer));
    struct x402_text text = x402_text_init(buffer + used, buffer_size - used);
    encode_entries(out, &text, offer);
    return X402_OK;
}

/* ------------------------------------------------------------------- for each answer
 */

static struct x402_slice cut_resource(struct x402_slice url)
{
    if (url.size > X402_RESOURCE_MAX)
        url.size = X402_RESOURCE_MAX;
    return url;
}

static size_t escaped_url_size_max(size_t url_size)
{
    return X402_JSON_ESCAPE_MAX *
           (url_size < X402_RESOURCE_MAX ? url_size : X402_RESOURCE_MAX);
}

static size_t url_size_max(size_t url_size)
{
    return escaped_url_size_max(url_size) + 1 + PADDING_MAX;
}

size_t x402_offer_header_size_max(const struct x402_offer_text *text, size_t url_size)
{
    return HEAD_TEXT_MAX + X402_BASE64_SIZE(url_size_max(url_size)) +
           text->header_tail.size;
}

size_t x402_offer_body_size_max(const struct x402_offer_text *text, size_t url_size)
{
    size_t size = FRAME_SIZE_MAX;

    for (size_t i = 0; i < text->entries_count; i++)
        size += FRAME_SIZE_MAX + escaped_url_size_max(url_size) + text->entries[i].size;
    return size;
}

static void put_url(struct x402_text *text, struct x402_slice url)
{
    x402_text_put_string(text, "\"");
    x402_text_put_escaped(text, url, X402_INVALID_PERCENT_ENCODED);
    x402_text_put_string(text, "\"");
}

static size_t copy(char *out, struct x402_slice slice)
{
    memcpy(out, slice.data, slice.size);
    return slice.size;
}

static void put_quote_and_blanks(struct x402_text *text)
{
    x402_text_put_string(text, "\"");
    while (x402_text_size(text) % 3 != 0)
        x402_text_put_string(text, " ");
}

/* With the quote behind it. */
static size_t encode_url(char *out, struct x402_slice url)
{
    const size_t room_size = url_size_max(url.size);
    struct x402_text text = text_within(out, room_size);

    x402_text_put_escaped(&text, cut_resource(url), X402_INVALID_PERCENT_ENCODED);
    put_quote_and_blanks(&text);
    assert(!text.overflow);
    return encode_within(out, room_size, x402_text_size(&text));
}

size_t x402_offer_header_write(char *out, const struct x402_offer_text *text,
                               enum x402_error error, struct x402_slice resource_url)
{
    size_t size = error == X402_ERR_PAYMENT_REQUIRED ? copy(out, text->header_head)
                                                     : encode_head(out, error);

    size += encode_url(out + size, resource_url);
    return size + copy(out + size, text->header_tail);
}

size_t x402_offer_body_write(char *out, const struct x402_offer_text *text,
                             enum x402_error error, struct x402_slice resource_url)
{
    struct x402_text body =
        x402_text_init(out, x402_offer_body_size_max(text, resource_url.size));

    x402_text_put_string(&body, "{\"x402Version\":1");
    put_error(&body, x402_error_reason_v1(error));
    x402_text_put_string(&body, ",\"accepts\":[");
    for (size_t i = 0; i < text->entries_count; i++) {
        x402_text_put_string(&body, i == 0 ? "{\"resource\":" : ",{\"resource\":");
        put_url(&body, cut_resource(resource_url));
        x402_text_put(&body, text->entries[i]);
    }
    x402_text_put_string(&body, "]}");
    assert(!body.overflow);
    return x402_text_size(&body);
}
