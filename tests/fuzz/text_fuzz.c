/* Any text as what an operator writes: a price, a rate, an address, a network. What is
 * read and written again means the same. */
#include <x402/money.h>
#include <x402/network.h>
#include <x402/rate.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "text_fuzz: %s\n", what);
    abort();
}

static void check_price(struct x402_slice text)
{
    char amount[X402_AMOUNT_TEXT_SIZE];
    const char *why = NULL;
    uint64_t price = 0;
    uint64_t again = 0;

    if (x402_usd_decode(&price, &why, text) != X402_OK) {
        check(why != NULL, "a reason");
        return;
    }
    x402_amount_encode(amount, price, 6);
    check(x402_usd_decode(&again, NULL, x402_slice_of(amount)) == X402_OK &&
              again == price,
          "the same price");
}

static void check_rate(struct x402_slice text)
{
    struct x402_rate rate;
    const char *why = NULL;

    if (x402_rate_decode(&rate, &why, text) == X402_OK)
        check(rate.count > 0 && rate.count <= X402_RATE_COUNT_MAX &&
                  rate.period_milliseconds > 0,
              "a rate within bounds");
    else
        check(why != NULL, "a reason");
}

static void check_address(struct x402_slice text)
{
    uint8_t address[20];
    uint8_t again[20];
    char written[X402_ADDRESS_TEXT_SIZE];

    if (x402_address_decode(address, text) != X402_OK)
        return;
    x402_address_encode(written, address);
    check(x402_address_decode(again, x402_slice_of(written)) == X402_OK &&
              memcmp(address, again, sizeof again) == 0,
          "the same address");
}

static void check_network(struct x402_slice text)
{
    uint64_t chain_id = 0;
    char written[X402_CAIP2_TEXT_SIZE];
    struct x402_network network;

    if (x402_caip2_decode(&chain_id, text) == X402_OK) {
        x402_caip2_encode(written, chain_id);
        check(x402_slice_equal(text, x402_slice_of(written)), "the same id");
    }
    if (x402_network_find(&network, text) == X402_OK)
        check(chain_id == 0 || network.chain_id == chain_id, "the network asked for");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* An exact copy, so that a read past the end is seen. */
    char *copy = malloc(size > 0 ? size : 1);
    struct x402_slice text = {copy, size};

    check(copy != NULL, "memory");
    if (size > 0)
        memcpy(copy, data, size);
    check_price(text);
    check_rate(text);
    check_address(text);
    check_network(text);
    free(copy);
    return 0;
}
