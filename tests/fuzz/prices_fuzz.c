/*
 * Any text as an nginx configuration in which `x402 check` looks for prices, and as
 * what a settler wrote into the ledger of itself: what is read has its bounds and its
 * ends, and nobody is taken to be dead whose name is not understood.
 */
#include "check.h"

#include "cli/prices.h"
#include "settle/owner.h"

static void check_prices(struct x402_slice text)
{
    static struct x402_prices prices;

    x402_prices_scan(&prices, text);
    check(prices.count <= X402_PRICES_MAX, "few");
    for (size_t i = 0; i < prices.count; i++) {
        const struct x402_price *price = &prices.items[i];
        check(memchr(price->where, '\0', sizeof price->where) != NULL, "a name's end");
        for (size_t j = 0; j < i; j++)
            check(price->micro_usd != prices.items[j].micro_usd ||
                      strcmp(price->where, prices.items[j].where) != 0,
                  "each once");
    }
}

static void check_owner(const char *text)
{
    char shown[X402_OWNER_SIZE];

    x402_owner_shown(shown, text);
    check(memchr(shown, '\0', sizeof shown) != NULL, "its end");
    check(!x402_owner_is_dead(text) || strncmp(text, "settler ", 8) == 0,
          "only a settler is known to be dead");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1);

    check(copy != NULL, "memory");
    memcpy(copy, data, size);
    copy[size] = '\0';
    check_owner(copy);
    free(copy);
    copy = malloc(size > 0 ? size : 1); /* a byte too far is seen */
    check(copy != NULL, "memory");
    memcpy(copy, data, size);
    check_prices((struct x402_slice){copy, size});
    free(copy);
    return 0;
}
