#include "unit/core/support.h"

#include <stdlib.h>
#include <x402/offer.h>

#define URL "https://api.example.com/p?q=1"

static char buffer[65536];
static char header[65536];
static char body[262144];

static struct x402_offer offer_of(const char *const *networks, size_t count)
{
    struct x402_offer offer = {.accepts_count = count,
                               .description = X402_SLICE("A \"good\" é"),
                               .mime_type = X402_SLICE("application/json"),
                               .window_seconds = 300,
                               .window_min_seconds = 30,
                               .window_max_seconds = 86400};

    for (size_t i = 0; i < count; i++) {
        struct x402_accept *accept = &offer.accepts[i];
        assert_int_equal(
            x402_network_find(&accept->network, x402_slice_of(networks[i])), X402_OK);
        hex_to(accept->pay_to20, 20, "209693Bc6afc0C5328bA36FaF03C514EF312287C");
        accept->value = 10000 + i;
    }
    return offer;
}

static struct x402_offer_text encoded(const struct x402_offer *offer)
{
    struct x402_offer_text text;

    memset(buffer, 0, sizeof buffer);
    assert_int_equal(x402_offer_encode(&text, buffer, sizeof buffer, offer), X402_OK);
    return text;
}

/* The JSON text of the v2 header; the caller frees it. */
static char *header_json(const struct x402_offer_text *text, enum x402_error error,
                         struct x402_slice url)
{
    size_t max = x402_offer_header_size_max(text, url.size);
    size_t decoded_size;

    assert_true(max < sizeof header);
    header[max] = 'X';
    size_t size = x402_offer_header_write(header, text, error, url);
    assert_int_equal(header[max], 'X');
    assert_true(size <= max);

    char *json = malloc(size + 1);
    assert_non_null(json);
    assert_int_equal(x402_base64_decode((uint8_t *)json, &decoded_size, size,
                                        (struct x402_slice){header, size}),
                     X402_OK);
    json[decoded_size] = '\0';
    return json;
}

static json_t *parsed(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    if (value == NULL)
        fail_msg("%s: %s", error.text, text);
    return value;
}

static char *body_json(const struct x402_offer_text *text, enum x402_error error,
                       struct x402_slice url)
{
    size_t max = x402_offer_body_size_max(text, url.size);

    assert_true(max < sizeof body);
    body[max] = 'X';
    size_t size = x402_offer_body_write(body, text, error, url);
    assert_int_equal(body[max], 'X');
    assert_true(size <= max);
    body[size] = '\0';
    return body;
}

static const char *const base_sepolia[] = {"base-sepolia"};

static void v2_header_is_the_json_expected(void **state)
{
    (void)state;
    struct x402_offer offer = offer_of(base_sepolia, 1);
    struct x402_offer_text text = encoded(&offer);
    char *json =
        header_json(&text, X402_ERR_PAYMENT_REQUIRED, X402_SLICE("https://a.test/pp"));

    assert_string_equal(
        json,
        "{\"x402Version\":2,\"error\":\"Payment required\",\"resource\":{\"url\":"
        "\"https://a.test/pp\",\"description\":\"A \\\"good\\\" é\",\"mimeType\":"
        "\"application/json\"},\"accepts\":[{\"scheme\":\"exact\",\"network\":"
        "\"eip155:84532\",\"amount\":\"10000\",\"asset\":"
        "\"0x036CbD53842c5426634e7929541eC2318f3dCF7e\",\"payTo\":"
        "\"0x209693Bc6afc0C5328bA36FaF03C514EF312287C\",\"maxTimeoutSeconds\":300,"
        "\"extra\":{\"name\":\"USDC\",\"version\":\"2\"}}]}");
    free(json);
}

static void v1_body_is_the_json_expected(void **state)
{
    (void)state;
    struct x402_offer offer = offer_of(base_sepolia, 1);
    struct x402_offer_text text = encoded(&offer);

    assert_string_equal(
        body_json(&text, X402_ERR_PAYMENT_REQUIRED, X402_SLICE(URL)),
        "{\"x402Version\":1,\"error\":\"X-PAYMENT header is required\",\"accepts\":["
        "{\"resource\":\"" URL "\",\"scheme\":\"exact\",\"network\":\"base-sepolia\","
        "\"maxAmountRequired\":\"10000\",\"description\":\"A \\\"good\\\" é\","
        "\"mimeType\":\"application/json\",\"asset\":"
        "\"0x036CbD53842c5426634e7929541eC2318f3dCF7e\",\"payTo\":"
        "\"0x209693Bc6afc0C5328bA36FaF03C514EF312287C\",\"maxTimeoutSeconds\":300,"
        "\"extra\":{\"name\":\"USDC\",\"version\":\"2\"}}]}");
}

static void payment_that_is_settled_first_is_offered_upfront(void **state)
{
    (void)state;
    struct x402_offer offer = offer_of(base_sepolia, 1);
    offer.upfront = true;
    struct x402_offer_text text = encoded(&offer);
    char *json = header_json(&text, X402_ERR_PAYMENT_REQUIRED, X402_SLICE(URL));
    static const char extra[] = "\"extra\":{\"name\":\"USDC\",\"version\":\"2\","
                                "\"paymentFlow\":\"upfront\"}}]}";

    assert_non_null(strstr(json, extra));
    assert_non_null(
        strstr(body_json(&text, X402_ERR_PAYMENT_REQUIRED, X402_SLICE(URL)), extra));
    free(json);
}

static void url_of_any_length_leaves_the_base64_whole(void **state)
{
    (void)state;
    struct x402_offer offer = offer_of(base_sepolia, 1);
    struct x402_offer_text text = encoded(&offer);
    char url[64] = "https://a.test/";

    for (size_t size = strlen(url); size < sizeof url - 1; size++) {
        url[size] = 'p';
        url[size + 1] = '\0';
        char *json = header_json(&text, X402_ERR_PAYMENT_REQUIRED, x402_slice_of(url));
        json_t *value = parsed(json);
        assert_string_equal(string_at(value, "resource.url"), url);
        assert_int_equal(json_array_size(json_at(value, "accepts")), 1);
        json_decref(value);
        free(json);
    }
}

static void header_and_body_carry_the_reason_of_their_version(void **state)
{
    (void)state;
    struct x402_offer offer = offer_of(base_sepolia, 1);
    struct x402_offer_text text = encoded(&offer);

    for (int i = X402_OK + 1; i < X402_ERROR_COUNT; i++) {
        enum x402_error error = (enum x402_error)i;
        if (x402_error_status(error) != 402)
            continue;
        char *json = header_json(&text, error, X402_SLICE(URL));
        json_t *v2 = parsed(json);
        json_t *v1 = parsed(body_json(&text, error, X402_SLICE(URL)));
        assert_string_equal(string_at(v2, "error"), x402_error_reason(error));
        assert_string_equal(string_at(v1, "error"), x402_error_reason_v1(error));
        json_decref(v1);
        json_decref(v2);
        free(json);
    }
}

static void only_legacy_networks_enter_the_v1_body(void **state)
{
    (void)state;
    static const char *const networks[] = {"ethereum", "base", "arbitrum", "polygon"};
    struct x402_offer offer = offer_of(networks, 4);
    struct x402_offer_text text = encoded(&offer);

    assert_int_equal(text.entries_count, 2);
    json_t *v1 = parsed(body_json(&text, X402_ERR_VALUE, X402_SLICE(URL)));
    json_t *accepts = json_at(v1, "accepts");
    assert_int_equal(json_array_size(accepts), 2);
    assert_string_equal(string_at(json_array_get(accepts, 0), "network"), "base");
    assert_string_equal(string_at(json_array_get(accepts, 0), "resource"), URL);
    assert_string_equal(string_at(json_array_get(accepts, 1), "network"), "polygon");
    assert_string_equal(string_at(json_array_get(accepts, 1), "resource"), URL);
    assert_string_equal(string_at(json_array_get(accepts, 1), "maxAmountRequired"),
                        "10003");
    json_decref(v1);

    char *json = header_json(&text, X402_ERR_VALUE, X402_SLICE(URL));
    json_t *v2 = parsed(json);
    accepts = json_at(v2, "accepts");
    assert_int_equal(json_array_size(accepts), 4);
    assert_string_equal(string_at(json_array_get(accepts, 0), "network"), "eip155:1");
    assert_string_equal(string_at(json_array_get(accepts, 2), "extra.name"),
                        "USD Coin");
    json_decref(v2);
    free(json);
}

static void offer_without_legacy_networks_has_an_empty_v1_list(void **state)
{
    (void)state;
    static const char *const networks[] = {"ethereum"};
    struct x402_offer offer = offer_of(networks, 1);
    struct x402_offer_text text = encoded(&offer);

    assert_string_equal(body_json(&text, X402_ERR_VALUE, X402_SLICE(URL)),
                        "{\"x402Version\":1,\"error\":\"invalid_exact_evm_payload_"
                        "authorization_value\",\"accepts\":[]}");
}

static void a_facilitator_is_named_in_both_generations(void **state)
{
    (void)state;
    struct x402_offer offer = offer_of(base_sepolia, 1);

    offer.facilitator = X402_SLICE("https://x402.org/\"facilitator\"");
    struct x402_offer_text text = encoded(&offer);
    char *json = header_json(&text, X402_ERR_VALUE, X402_SLICE(URL));
    json_t *v1 = parsed(body_json(&text, X402_ERR_VALUE, X402_SLICE(URL)));
    json_t *v2 = parsed(json);
    assert_string_equal(
        string_at(json_array_get(json_at(v1, "accepts"), 0), "extra.facilitator"),
        "https://x402.org/\"facilitator\"");
    assert_string_equal(
        string_at(json_array_get(json_at(v2, "accepts"), 0), "extra.facilitator"),
        "https://x402.org/\"facilitator\"");
    json_decref(v1);
    json_decref(v2);
    free(json);
}

static void empty_description_and_type_are_still_written(void **state)
{
    (void)state;
    struct x402_offer offer = offer_of(base_sepolia, 1);

    offer.description = (struct x402_slice){NULL, 0};
    offer.mime_type = (struct x402_slice){NULL, 0};
    struct x402_offer_text text = encoded(&offer);
    json_t *v1 = parsed(body_json(&text, X402_ERR_VALUE, X402_SLICE(URL)));
    json_t *entry = json_array_get(json_at(v1, "accepts"), 0);
    assert_string_equal(string_at(entry, "description"), "");
    assert_string_equal(string_at(entry, "mimeType"), "");
    json_decref(v1);
}

static void hostile_url_is_escaped(void **state)
{
    (void)state;
    struct x402_offer offer = offer_of(base_sepolia, 1);
    struct x402_offer_text text = encoded(&offer);
    struct x402_slice url = X402_SLICE("https://a.test/\"},\\\x01\xff/é");

    char *json = header_json(&text, X402_ERR_VALUE, url);
    json_t *v2 = parsed(json);
    assert_string_equal(string_at(v2, "resource.url"),
                        "https://a.test/\"},\\\x01%FF/é");
    json_t *v1 = parsed(body_json(&text, X402_ERR_VALUE, url));
    assert_string_equal(
        string_at(json_array_get(json_at(v1, "accepts"), 0), "resource"),
        "https://a.test/\"},\\\x01%FF/é");
    json_decref(v1);
    json_decref(v2);
    free(json);
}

/* Every byte of the URL takes the most room it can. */
static void sizes_hold_for_the_largest_offer(void **state)
{
    (void)state;
    static const char *const networks[] = {"base",    "base",    "base",    "base",
                                           "polygon", "polygon", "polygon", "polygon"};
    static char url[X402_RESOURCE_MAX + 100];
    static char description[300];
    struct x402_offer offer = offer_of(networks, X402_ACCEPTS_MAX);

    memset(url, 1, sizeof url);
    memset(description, 1, sizeof description);
    offer.description = (struct x402_slice){description, sizeof description};
    for (size_t i = 0; i < X402_ACCEPTS_MAX; i++) {
        struct x402_network *network = &offer.accepts[i].network;
        offer.accepts[i].value = UINT64_MAX;
        network->chain_id = UINT64_MAX;
        memset(network->name, 1, sizeof network->name - 1);
        memset(network->asset_name, 1, sizeof network->asset_name - 1);
        memset(network->asset_version, 1, sizeof network->asset_version - 1);
    }
    offer.window_seconds = UINT32_MAX;
    offer.upfront = true;

    struct x402_offer_text text = encoded(&offer);
    static const size_t sizes[] = {0, 1, X402_RESOURCE_MAX, sizeof url};
    for (size_t i = 0; i < 4; i++) {
        struct x402_slice slice = {url, sizes[i]};
        size_t kept = sizes[i] < X402_RESOURCE_MAX ? sizes[i] : X402_RESOURCE_MAX;
        char *json = header_json(&text, X402_ERR_VALUE, slice);
        json_t *v2 = parsed(json);
        assert_int_equal(json_string_length(json_at(v2, "resource.url")), kept);
        json_decref(v2);
        json_decref(parsed(body_json(&text, X402_ERR_VALUE, slice)));
        free(json);
    }
}

static void buffer_of_the_size_given_is_enough_and_no_less(void **state)
{
    (void)state;
    struct x402_offer offer = offer_of(base_sepolia, 1);
    size_t size = x402_offer_text_size_max(&offer);
    char *exact = malloc(size);
    struct x402_offer_text text;

    assert_non_null(exact);
    assert_int_equal(x402_offer_encode(&text, exact, size - 1, &offer), X402_ERR_SPACE);
    assert_int_equal(x402_offer_encode(&text, exact, size, &offer), X402_OK);
    free(exact);
}

static void description_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    struct x402_offer offer = offer_of(base_sepolia, 1);
    struct x402_offer_text text;

    offer.description = X402_SLICE("a\xff");
    assert_int_equal(x402_offer_encode(&text, buffer, sizeof buffer, &offer),
                     X402_ERR_CONFIG);
    offer.description = X402_SLICE("");
    offer.mime_type = X402_SLICE("\x80");
    assert_int_equal(x402_offer_encode(&text, buffer, sizeof buffer, &offer),
                     X402_ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v2_header_is_the_json_expected),
        cmocka_unit_test(v1_body_is_the_json_expected),
        cmocka_unit_test(payment_that_is_settled_first_is_offered_upfront),
        cmocka_unit_test(a_facilitator_is_named_in_both_generations),
        cmocka_unit_test(url_of_any_length_leaves_the_base64_whole),
        cmocka_unit_test(header_and_body_carry_the_reason_of_their_version),
        cmocka_unit_test(only_legacy_networks_enter_the_v1_body),
        cmocka_unit_test(offer_without_legacy_networks_has_an_empty_v1_list),
        cmocka_unit_test(empty_description_and_type_are_still_written),
        cmocka_unit_test(hostile_url_is_escaped),
        cmocka_unit_test(sizes_hold_for_the_largest_offer),
        cmocka_unit_test(buffer_of_the_size_given_is_enough_and_no_less),
        cmocka_unit_test(description_that_is_not_utf8_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
