/* Any bytes as a facilitator's answer: nothing is believed that does not fit. */
#include "json_mutator.h"

#include "settle/remote_body.h"
#include "settle/remote_plan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine)
{
    if (!fine)
        abort();
}

static void read_kinds(const char *body, size_t size)
{
    struct x402_remote_kinds kinds;

    if (!x402_remote_kinds_decode(&kinds, body, size))
        return;
    check(kinds.count <= X402_REMOTE_KINDS_MAX);
    for (size_t i = 0; i < kinds.count; i++) {
        const struct x402_remote_kind *kind = &kinds.items[i];
        int version = x402_remote_version(kind, X402_DIALECT_FLAT);
        check(kind->v1 || kind->v2);
        check(version == 2 ? kind->v2 : kind->v1);
        check(x402_remote_kind_find(&kinds, kind->network.chain_id) == kind);
    }
}

static bool contains(const char *body, size_t size, const char *word)
{
    return memmem(body, size, word, strlen(word)) != NULL;
}

static void read_answer(long status, const char *body, size_t size)
{
    struct x402_settlement payment = {.chain_id = 84532, .value = 1000};
    struct x402_remote_answer answer;
    struct x402_network network;

    check(x402_network_find(&network, X402_SLICE("base-sepolia")) == X402_OK);
    memset(payment.from20, 0x11, 20);
    x402_remote_answer_decode(&answer, status, body, size, &payment, &network);
    check(answer.word != X402_REMOTE_UNASKED);
    check((answer.word == X402_REMOTE_SETTLED) == (answer.reason[0] == '\0'));
    check(answer.fits || answer.word == X402_REMOTE_UNKNOWN);
    for (const char *c = answer.reason; *c != '\0'; c++)
        check(*c >= ' ' && *c <= '~');
    if (answer.word == X402_REMOTE_SETTLED)
        check(status >= 200 && status < 300 && contains(body, size, "true"));
    if (answer.word == X402_REMOTE_REFUSED)
        check(status < 500 && contains(body, size, "false"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const long statuses[] = {200, 201, 204, 302, 400, 402, 429, 500};

    if (size == 0)
        return 0;
    read_kinds((const char *)data + 1, size - 1);
    read_answer(statuses[data[0] % 8], (const char *)data + 1, size - 1);
    return 0;
}
