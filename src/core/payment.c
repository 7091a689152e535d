#include "core/json.h"

#include <x402/payment.h>

#include <assert.h>
#include <string.h>

#define AN_OBJECT "an object"
#define AN_ADDRESS "a string of 0x and 40 hex digits"
#define A_NUMBER "a string of 1 to 78 decimal digits"
#define A_NONCE "a string of 0x and 64 hex digits"
#define A_SIGNATURE "a string of 0x and 130 hex digits"
#define A_SCHEME "the string exact"
#define DECIMAL_DIGITS_MAX 78 /* of a 256-bit number */

/* A field on the wire: where it stands, what it must be, where it goes. */
struct field {
    const char *path;
    const char *expected;
    unsigned parent; /* index of the enclosing object in the same table, plus one */
    struct x402_slice name;
    enum x402_error (*read)(void *out, const struct x402_json *json, unsigned token);
    size_t offset; /* in x402_payment */
};

#define FIELDS_MAX 16

/* --------------------------------------------------------------------------- values */

static bool is_string(const struct x402_json *json, unsigned token)
{
    return x402_json_kind_of(json, token) == X402_JSON_STRING;
}

static enum x402_error read_object(void *out, const struct x402_json *json,
                                   unsigned token)
{
    (void)out;
    return x402_json_kind_of(json, token) == X402_JSON_OBJECT ? X402_OK
                                                              : X402_ERR_FIELD;
}

static enum x402_error read_hex(void *out, size_t size, const struct x402_json *json,
                                unsigned token)
{
    struct x402_slice text = x402_json_text(json, token);

    if (!is_string(json, token) || text.size != 2 + 2 * size ||
        memcmp(text.data, "0x", 2) != 0)
        return X402_ERR_FIELD;
    struct x402_slice digits = {text.data + 2, text.size - 2};
    return x402_hex_decode(out, size, digits) ? X402_OK : X402_ERR_FIELD;
}

static enum x402_error read_address(void *out, const struct x402_json *json,
                                    unsigned token)
{
    return read_hex(out, 20, json, token);
}

static enum x402_error read_nonce(void *out, const struct x402_json *json,
                                  unsigned token)
{
    return read_hex(out, 32, json, token);
}

static enum x402_error read_signature(void *out, const struct x402_json *json,
                                      unsigned token)
{
    return read_hex(out, 65, json, token);
}

/* Above 64 bits every number is UINT64_MAX, which no offer accepts. */
static enum x402_error read_digits(uint64_t *out, struct x402_slice text)
{
    uint64_t number = 0;

    if (text.size == 0 || text.size > DECIMAL_DIGITS_MAX)
        return X402_ERR_FIELD;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)((uint8_t)text.data[i] - '0');
        if (digit > 9)
            return X402_ERR_FIELD;
        number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
    }
    *out = number;
    return X402_OK;
}

static enum x402_error read_decimal(void *out, const struct x402_json *json,
                                    unsigned token)
{
    if (!is_string(json, token))
        return X402_ERR_FIELD;
    return read_digits(out, x402_json_text(json, token));
}

static enum x402_error read_expiry(void *out, const struct x402_json *json,
                                   unsigned token)
{
    uint64_t seconds = 0;

    if (x402_json_kind_of(json, token) != X402_JSON_NUMBER ||
        read_digits(&seconds, x402_json_text(json, token)) != X402_OK || seconds == 0)
        return X402_ERR_FIELD;
    memcpy(out, &seconds, sizeof seconds);
    return X402_OK;
}

static enum x402_error read_scheme(void *out, const struct x402_json *json,
                                   unsigned token)
{
    enum x402_scheme exact = X402_SCHEME_EXACT;

    if (!is_string(json, token))
        return X402_ERR_FIELD;
    if (!x402_slice_equal(x402_json_text(json, token), X402_SLICE("exact")))
        return X402_ERR_SCHEME;
    memcpy(out, &exact, sizeof exact);
    return X402_OK;
}

/* A name longer than any we know is left empty: it matches nothing. */
static enum x402_error read_network_name(void *out, const struct x402_json *json,
                                         unsigned token)
{
    struct x402_slice name = x402_json_text(json, token);

    if (!is_string(json, token) || name.size == 0)
        return X402_ERR_FIELD;
    memset(out, 0, X402_NETWORK_NAME_MAX);
    if (name.size < X402_NETWORK_NAME_MAX)
        memcpy(out, name.data, name.size);
    return X402_OK;
}

/* CAIP-2: namespace, colon, reference. Only eip155 has chain ids; another namespace is
 * well-formed, and matches nothing. */
static enum x402_error read_caip2(void *out, const struct x402_json *json,
                                  unsigned token)
{
    struct x402_slice text = x402_json_text(json, token);
    uint64_t chain_id = 0;

    if (!is_string(json, token) || memchr(text.data, ':', text.size) == NULL)
        return X402_ERR_FIELD;
    if (text.size >= 7 && memcmp(text.data, "eip155:", 7) == 0 &&
        x402_caip2_decode(&chain_id, text) != X402_OK)
        return X402_ERR_FIELD;
    memcpy(out, &chain_id, sizeof chain_id);
    return X402_OK;
}

/* ----------------------------------------------------------------------- the dialects
 */

#define FIELD(parent, prefix, name, expected, read, member)                            \
    {                                                                                  \
        prefix name, expected, parent, X402_SLICE(name), read,                         \
            offsetof(struct x402_payment, member)                                      \
    }

#define IN_ROOT 0
#define OBJECT(parent, prefix, name)                                                   \
    FIELD(parent, prefix, name, AN_OBJECT, read_object, from20)

#define EXACT_PAYLOAD(payload, authorization)                                          \
    OBJECT(IN_ROOT, "", "payload"),                                                    \
        FIELD(payload, "payload.", "signature", A_SIGNATURE, read_signature,           \
              signature65),                                                            \
        OBJECT(payload, "payload.", "authorization"),                                  \
        FIELD(authorization, "payload.authorization.", "from", AN_ADDRESS,             \
              read_address, from20),                                                   \
        FIELD(authorization, "payload.authorization.", "to", AN_ADDRESS, read_address, \
              to20),                                                                   \
        FIELD(authorization, "payload.authorization.", "value", A_NUMBER,              \
              read_decimal, value),                                                    \
        FIELD(authorization, "payload.authorization.", "validAfter", A_NUMBER,         \
              read_decimal, valid_after_seconds),                                      \
        FIELD(authorization, "payload.authorization.", "validBefore", A_NUMBER,        \
              read_decimal, valid_before_seconds),                                     \
        FIELD(authorization, "payload.authorization.", "nonce", A_NONCE, read_nonce,   \
              nonce32)

/* Parents come before their members, and the scheme before what depends on it. */
static const struct field v2_fields[] = {
    OBJECT(IN_ROOT, "", "accepted"),
    FIELD(1, "accepted.", "scheme", A_SCHEME, read_scheme, scheme),
    FIELD(1, "accepted.", "network", "a CAIP-2 id such as eip155:84532", read_caip2,
          chain_id),
    FIELD(1, "accepted.", "asset", AN_ADDRESS, read_address, accepted_asset20),
    FIELD(1, "accepted.", "payTo", AN_ADDRESS, read_address, accepted_pay_to20),
    FIELD(1, "accepted.", "amount", A_NUMBER, read_decimal, accepted_value),
    EXACT_PAYLOAD(7, 9),
};

static const struct field v1_fields[] = {
    FIELD(IN_ROOT, "", "scheme", A_SCHEME, read_scheme, scheme),
    FIELD(IN_ROOT, "", "network", "a network name such as base-sepolia",
          read_network_name, network),
    EXACT_PAYLOAD(3, 5),
};

static const struct field flat_fields[] = {
    FIELD(IN_ROOT, "", "signature", A_SIGNATURE, read_signature, signature65),
    FIELD(IN_ROOT, "", "nonce", A_NONCE, read_nonce, nonce32),
    FIELD(IN_ROOT, "", "expiry", "a positive integer, in Unix seconds", read_expiry,
          valid_before_seconds),
    FIELD(IN_ROOT, "", "amount", A_NUMBER, read_decimal, value),
    FIELD(IN_ROOT, "", "from", AN_ADDRESS, read_address, from20),
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct dialect {
    const struct field *fields;
    size_t count;
} dialects[] = {
    [X402_DIALECT_V2] = {v2_fields, COUNT(v2_fields)},
    [X402_DIALECT_V1] = {v1_fields, COUNT(v1_fields)},
    [X402_DIALECT_FLAT] = {flat_fields, COUNT(flat_fields)},
};

_Static_assert(COUNT(v2_fields) <= FIELDS_MAX, "resolved tokens of the largest table");

/* ---------------------------------------------------------------------------- reading
 */

static enum x402_error refuse(struct x402_problem *why, enum x402_error error,
                              const char *field, const char *expected)
{
    *why = (struct x402_problem){error, field, expected};
    return error;
}

static enum x402_error read_fields(struct x402_payment *payment,
                                   struct x402_problem *why,
                                   const struct x402_json *json,
                                   const struct dialect *dialect)
{
    unsigned tokens[FIELDS_MAX + 1] = {X402_JSON_ROOT};

    for (size_t i = 0; i < dialect->count; i++) {
        const struct field *field = &dialect->fields[i];
        assert(field->parent <= i);
        unsigned token = x402_json_member(json, tokens[field->parent], field->name);
        if (token == X402_JSON_ROOT)
            return refuse(why, X402_ERR_FIELD, field->path, field->expected);

        char *out = (char *)payment + field->offset;
        enum x402_error error = field->read(out, json, token);
        if (error != X402_OK)
            return refuse(why, error, field->path, field->expected);
        tokens[i + 1] = token;
    }
    return X402_OK;
}

static const char *name_of(enum x402_header header)
{
    return header == X402_HEADER_PAYMENT_SIGNATURE ? "PAYMENT-SIGNATURE" : "X-PAYMENT";
}

/* The static text of a path that one of the dialects has, or NULL. */
static const char *known_path(struct x402_slice path)
{
    if (x402_slice_equal(path, X402_SLICE("x402Version")))
        return "x402Version";
    for (size_t d = 0; d < COUNT(dialects); d++)
        for (size_t i = 0; i < dialects[d].count; i++) {
            const char *known = dialects[d].fields[i].path;
            if (x402_slice_equal(path, x402_slice_of(known)))
                return known;
        }
    return NULL;
}

/* The innermost member we know around the place where the JSON is broken. */
static const char *broken_field(const struct x402_json *json, enum x402_header header)
{
    char path[64];

    for (size_t components = json->depth; components > 0; components--) {
        size_t size = x402_json_path(path, sizeof path, json, components);
        const char *known = known_path((struct x402_slice){path, size});
        if (known != NULL)
            return known;
    }
    return name_of(header);
}

static bool version_is(const struct x402_json *json, unsigned token,
                       struct x402_slice digits)
{
    return x402_json_kind_of(json, token) == X402_JSON_NUMBER &&
           x402_slice_equal(x402_json_text(json, token), digits);
}

static enum x402_error find_dialect(enum x402_dialect *out, struct x402_problem *why,
                                    const struct x402_json *json,
                                    enum x402_header header)
{
    static const char field[] = "x402Version";
    unsigned version = x402_json_member(json, X402_JSON_ROOT, X402_SLICE(field));

    if (header == X402_HEADER_PAYMENT_SIGNATURE) {
        *out = X402_DIALECT_V2;
        return version_is(json, version, X402_SLICE("2"))
                   ? X402_OK
                   : refuse(why, X402_ERR_VERSION, field, "the number 2");
    }
    *out = version == X402_JSON_ROOT ? X402_DIALECT_FLAT : X402_DIALECT_V1;
    return version == X402_JSON_ROOT || version_is(json, version, X402_SLICE("1"))
               ? X402_OK
               : refuse(why, X402_ERR_VERSION, field, "the number 1, or nothing");
}

static enum x402_error decode_json(struct x402_payment *out, struct x402_problem *why,
                                   enum x402_header header, uint8_t *text, size_t size)
{
    struct x402_json json;
    struct x402_payment payment;

    memset(&payment, 0, sizeof payment);
    if (!x402_json_parse(&json, text, size))
        return refuse(why, X402_ERR_JSON, broken_field(&json, header), json.expected);
    if (x402_json_kind_of(&json, X402_JSON_ROOT) != X402_JSON_OBJECT)
        return refuse(why, X402_ERR_JSON, name_of(header), "a JSON object");

    enum x402_error error = find_dialect(&payment.dialect, why, &json, header);
    if (error != X402_OK)
        return error;
    error = read_fields(&payment, why, &json, &dialects[payment.dialect]);
    if (error == X402_OK)
        *out = payment;
    return error;
}

enum x402_error x402_payment_decode(struct x402_payment *out, struct x402_problem *why,
                                    enum x402_header header, struct x402_slice text,
                                    size_t header_max, uint8_t *scratch,
                                    size_t scratch_size)
{
    size_t size = 0;

    if (text.size > header_max)
        return refuse(why, X402_ERR_HEADER_SIZE, name_of(header), "a shorter header");
    assert(scratch_size >= X402_PAYMENT_SCRATCH_SIZE(text.size));
    if (x402_base64_decode(scratch, &size, scratch_size, text) != X402_OK)
        return refuse(why, X402_ERR_BASE64, name_of(header),
                      "standard base64 with padding");
    return decode_json(out, why, header, scratch, size);
}
