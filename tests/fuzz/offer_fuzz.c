/*
 * Any bytes as the resource URL, and as description and mime type: the header is base64
 * of valid JSON, the body is valid JSON, and neither passes its stated size. The first
 * byte is the size of the description, the second that of the mime type.
 */
#include <x402/offer.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLAGS (JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "offer_fuzz: %s\n", what);
    abort();
}

static struct x402_slice cut(struct x402_slice *rest, size_t size)
{
    struct x402_slice part = {rest->data, size < rest->size ? size : rest->size};

    rest->data += part.size;
    rest->size -= part.size;
    return part;
}

static void check_header(const struct x402_offer_text *text, struct x402_slice url)
{
    char *header = malloc(x402_offer_header_size_max(text, url.size));
    size_t json_size = 0;

    check(header != NULL, "memory");
    size_t size = x402_offer_header_write(header, text, X402_ERR_VALUE, url);
    uint8_t *bytes = malloc(size);
    check(bytes != NULL, "memory");
    struct x402_slice encoded = {header, size};
    check(x402_base64_decode(bytes, &json_size, size, encoded) == X402_OK, "base64");
    json_t *value = json_loadb((char *)bytes, json_size, FLAGS, NULL);
    check(json_is_array(json_object_get(value, "accepts")), "a v2 offer");
    json_decref(value);
    free(bytes);
    free(header);
}

static void check_body(const struct x402_offer_text *text, struct x402_slice url)
{
    char *body = malloc(x402_offer_body_size_max(text, url.size));

    check(body != NULL, "memory");
    size_t size = x402_offer_body_write(body, text, X402_ERR_VALUE, url);
    json_t *value = json_loadb(body, size, FLAGS, NULL);
    check(json_array_size(json_object_get(value, "accepts")) == 1, "a v1 offer");
    json_decref(value);
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct x402_offer offer = {.accepts_count = 2, .window_seconds = 300};
    struct x402_offer_text text;

    if (size < 2)
        return 0;
    struct x402_slice rest = {(const char *)data + 2, size - 2};
    offer.description = cut(&rest, data[0]);
    offer.mime_type = cut(&rest, data[1]);
    check(x402_network_find(&offer.accepts[0].network, X402_SLICE("base")) == X402_OK,
          "a network");
    check(x402_network_find(&offer.accepts[1].network, X402_SLICE("ethereum")) ==
              X402_OK,
          "a network");

    size_t buffer_size = x402_offer_text_size_max(&offer);
    char *buffer = malloc(buffer_size);
    check(buffer != NULL, "memory");
    if (x402_offer_encode(&text, buffer, buffer_size, &offer) == X402_OK) {
        check_header(&text, rest);
        check_body(&text, rest);
    }
    free(buffer);
    return 0;
}
