/*
 * Any bytes as what a server answers `x402 pay` with. Nothing is agreed to past the
 * bound, on another network or in another token than the built-in ones; what is then
 * signed is this offer's, by the payer's key, and our own gateway reads it so. The
 * first byte says how the rest is taken: '2' the JSON of Payment-Required, '1' a body,
 * 'h' all headers, anything else the text of Payment-Required.
 */
#include "check.h"
#include "json_mutator.h"

#include "cli/pay_http.h"
#include "cli/pay_offer.h"
#include "evm/signature.h"
#include "evm/typed_data.h"

#include <x402/payment.h>

#define SIZE_MAX_FUZZED 16384
#define MAX_MICRO_USD 5000
#define NOW 1740000000

static const uint8_t key32[32] = {1, 2, 3, 4};

static void check_terms(const struct x402_price *price)
{
    struct x402_network network;
    char caip2[X402_CAIP2_TEXT_SIZE], text[X402_PRICE_TEXT_SIZE];
    uint64_t max;

    x402_caip2_encode(caip2, price->network.chain_id);
    check(x402_network_find(&network, x402_slice_of(caip2)) == X402_OK,
          "a network that is built in");
    check(memcmp(network.asset20, price->network.asset20, 20) == 0, "its token");
    check(x402_usd_to_atomic(&max, MAX_MICRO_USD, network.decimals) == X402_OK &&
              price->value <= max,
          "at most what was allowed");
    check(price->window_seconds > 0 &&
              price->window_seconds <= X402_PAY_WINDOW_MAX_SECONDS,
          "no longer than a day");
    x402_price_text(text, price);
    check(strlen(text) < sizeof text, "a text");
}

static void check_authorization(const struct x402_payment *payment,
                                const struct x402_price *price)
{
    struct x402_authorization signed_one = {
        .value = payment->value,
        .valid_after_seconds = payment->valid_after_seconds,
        .valid_before_seconds = payment->valid_before_seconds};
    uint8_t digest32[32], payer20[20], signer20[20];

    memcpy(signed_one.from20, payment->from20, 20);
    memcpy(signed_one.to20, payment->to20, 20);
    memcpy(signed_one.nonce32, payment->nonce32, 32);
    x402_authorization_digest(digest32, price->network.domain_separator32, &signed_one);
    check(x402_key_address(payer20, key32) == X402_OK &&
              x402_signature_recover(signer20, digest32, payment->signature65) ==
                  X402_OK &&
              memcmp(payer20, signer20, 20) == 0 &&
              memcmp(payer20, payment->from20, 20) == 0,
          "signed by the payer");
    check(memcmp(payment->to20, price->pay_to20, 20) == 0, "to the payee");
    check(payment->value == price->value, "for the price");
    check(payment->valid_before_seconds == NOW + price->window_seconds, "for so long");
}

/* What the server put into the offer goes back to it, and may be more than our own
 * gateway reads; what it reads is what was signed. */
static void pay(const struct x402_price *price)
{
    static const uint8_t nonce32[32] = {0x77};
    static uint8_t scratch[X402_PAYMENT_SCRATCH_SIZE(4 * SIZE_MAX_FUZZED)];
    struct x402_payment payment;
    struct x402_problem why;
    char *header = x402_price_pay(price, key32, nonce32, NOW);

    if (header == NULL)
        return;
    struct x402_slice text = x402_slice_of(header);
    enum x402_header name =
        price->version == 2 ? X402_HEADER_PAYMENT_SIGNATURE : X402_HEADER_X_PAYMENT;
    if (X402_PAYMENT_SCRATCH_SIZE(text.size) <= sizeof scratch &&
        x402_payment_decode(&payment, &why, name, text, X402_PAYMENT_HEADER_MAX,
                            scratch, sizeof scratch) == X402_OK)
        check_authorization(&payment, price);
    free(header);
}

static void read_offer(struct x402_slice header, struct x402_slice body)
{
    struct x402_price price;
    char why[X402_PRICE_WHY_MAX], reason[X402_PRICE_WHY_MAX];

    x402_offer_reason(reason, header, body);
    check(strlen(reason) < sizeof reason, "a reason");
    if (x402_price_decode(&price, why, header, body, MAX_MICRO_USD) != X402_OK) {
        check(why[0] != '\0' && strlen(why) < sizeof why, "why not");
        return;
    }
    check_terms(&price);
    pay(&price);
    x402_price_release(&price);
}

static void read_receipt(struct x402_slice header)
{
    struct x402_pay_receipt receipt;

    if (!x402_pay_receipt_decode(&receipt, header))
        return;
    check(receipt.transaction[0] == '\0' || strlen(receipt.transaction) == 66,
          "a hash or nothing");
    check(strlen(receipt.reason) < sizeof receipt.reason, "a reason");
    check(strlen(receipt.link) < sizeof receipt.link, "a link");
}

static void read_headers(const char *text, size_t size)
{
    char *copy = malloc(size + 1);

    check(copy != NULL, "memory");
    memcpy(copy, text, size);
    copy[size] = '\0';
    struct x402_http_answer answer = {.headers = copy, .headers_size = size};
    struct x402_slice value = x402_http_header(&answer, "Payment-Required");
    check(value.size == 0 ||
              (value.data > copy && value.data + value.size <= copy + size),
          "a value in the headers");
    read_offer(value, (struct x402_slice){"", 0});
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char encoded[X402_BASE64_SIZE(SIZE_MAX_FUZZED)];
    const struct x402_slice nothing = {"", 0};

    if (size == 0 || size > SIZE_MAX_FUZZED)
        return 0;
    struct x402_slice text = {(const char *)data + 1, size - 1};
    if (data[0] == 'h') {
        read_headers(text.data, text.size);
    } else if (data[0] == '1') {
        read_offer(nothing, text);
    } else {
        if (data[0] == '2') {
            x402_base64_encode(encoded, data + 1, size - 1);
            text = (struct x402_slice){encoded, X402_BASE64_SIZE(size - 1)};
        }
        read_offer(text, nothing);
        read_receipt(text);
    }
    return 0;
}
