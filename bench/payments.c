/*
 * Signs unique payments for the benchmark: one header value a line.
 *
 *   payments COUNT DIALECT PAYERS PAY_TO VALUE VALID_SECONDS
 *
 * DIALECT is v2, v1 or flat; PAYERS keys take turns, so that a rate per payer can hold.
 * Base Sepolia's USDC. Deterministic keys, random nonces: play money only.
 */
#include "evm/signature.h"
#include "evm/typed_data.h"

#include <x402/network.h>

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define JSON_MAX 2048
#define PAYERS_MAX 65536

struct payer {
    uint8_t key32[32], address20[20];
};

struct text {
    char nonce[67], signature[133], from[X402_ADDRESS_TEXT_SIZE],
        to[X402_ADDRESS_TEXT_SIZE];
    char asset[X402_ADDRESS_TEXT_SIZE];
};

/* The payers take turns; each address is worked out once. */
static int make_payers(struct payer *payers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        memset(payers[i].key32, 0x11, 32);
        payers[i].key32[30] = (uint8_t)((i + 1) >> 8);
        payers[i].key32[31] = (uint8_t)(i + 1);
        if (x402_key_address(payers[i].address20, payers[i].key32) != X402_OK) {
            return -1;
        }
    }

    return 0;
}

static void hex(char *out, const uint8_t *bytes, size_t size)
{
    out[0] = '0';
    out[1] = 'x';
    x402_hex_encode(out + 2, bytes, size);
    out[2 + 2 * size] = '\0';
}

static int sign(struct text *text, struct x402_authorization *a,
                const struct payer *payer, const struct x402_network *network)
{
    uint8_t digest32[32], signature65[65];

    memcpy(a->from20, payer->address20, 20);
    if (RAND_bytes(a->nonce32, 32) != 1) {
        return -1;
    }
    x402_authorization_digest(digest32, network->domain_separator32, a);
    if (x402_signature_sign(signature65, digest32, payer->key32) != X402_OK) {
        return -1;
    }

    hex(text->nonce, a->nonce32, 32);
    hex(text->signature, signature65, 65);
    x402_address_encode(text->from, a->from20);
    x402_address_encode(text->to, a->to20);
    x402_address_encode(text->asset, network->asset20);

    return 0;
}

static int write_flat(char *out, const struct text *t,
                      const struct x402_authorization *a)
{
    return snprintf(out, JSON_MAX,
                    "{\"signature\":\"%s\",\"nonce\":\"%s\",\"expiry\":%" PRIu64
                    ",\"amount\":\"%" PRIu64 "\",\"from\":\"%s\"}",
                    t->signature, t->nonce, a->valid_before_seconds, a->value, t->from);
}

static int write_authorization(char *out, const struct text *t,
                               const struct x402_authorization *a)
{
    return snprintf(
        out, JSON_MAX,
        "{\"signature\":\"%s\",\"authorization\":{\"from\":\"%s\",\"to\":\"%s\","
        "\"value\":\"%" PRIu64 "\",\"validAfter\":\"0\",\"validBefore\":\"%" PRIu64
        "\",\"nonce\":\"%s\"}}",
        t->signature, t->from, t->to, a->value, a->valid_before_seconds, t->nonce);
}

static int write_v1(char *out, const struct text *t, const struct x402_authorization *a)
{
    char payload[JSON_MAX];

    (void)write_authorization(payload, t, a);

    return snprintf(
        out, 2 * JSON_MAX,
        "{\"x402Version\":1,\"scheme\":\"exact\",\"network\":\"base-sepolia\","
        "\"payload\":%s}",
        payload);
}

static int write_v2(char *out, const struct text *t, const struct x402_authorization *a)
{
    char payload[JSON_MAX];

    (void)write_authorization(payload, t, a);

    return snprintf(out, 2 * JSON_MAX,
                    "{\"x402Version\":2,\"resource\":{\"url\":\"http://127.0.0.1/api\","
                    "\"description\":\"\",\"mimeType\":\"\"},\"accepted\":{\"scheme\":"
                    "\"exact\",\"network\":\"eip155:84532\",\"amount\":\"%" PRIu64
                    "\",\"asset\":\"%s\",\"payTo\":\"%s\",\"maxTimeoutSeconds\":300,"
                    "\"extra\":{\"name\":\"USDC\",\"version\":\"2\"}},\"payload\":%s}",
                    a->value, t->asset, t->to, payload);
}

static int print_one(const char *dialect, const struct text *text,
                     const struct x402_authorization *a)
{
    char json[2 * JSON_MAX], line[X402_BASE64_SIZE(2 * JSON_MAX) + 1];
    int size;

    if (strcmp(dialect, "v2") == 0) {
        size = write_v2(json, text, a);
    } else if (strcmp(dialect, "v1") == 0) {
        size = write_v1(json, text, a);
    } else {
        size = write_flat(json, text, a);
    }
    if (size <= 0 || (size_t)size >= sizeof(json)) {
        return -1;
    }

    x402_base64_encode(line, (const uint8_t *)json, (size_t)size);
    line[X402_BASE64_SIZE((size_t)size)] = '\0';

    return puts(line) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
    static struct payer payers[PAYERS_MAX];
    struct x402_network network;
    struct x402_authorization a;
    struct text text;
    unsigned long count, payers_count;

    if (argc != 7) {
        fprintf(stderr,
                "usage: payments COUNT v2|v1|flat PAYERS PAY_TO VALUE SECONDS\n");
        return 2;
    }

    memset(&a, 0, sizeof(a));
    count = strtoul(argv[1], NULL, 10);
    payers_count = strtoul(argv[3], NULL, 10);
    a.value = strtoull(argv[5], NULL, 10);
    a.valid_before_seconds = (uint64_t)time(NULL) + strtoull(argv[6], NULL, 10);
    if (x402_network_find(&network, X402_SLICE("base-sepolia")) != X402_OK ||
        x402_address_decode(a.to20, x402_slice_of(argv[4])) != X402_OK ||
        payers_count < 1 || payers_count > PAYERS_MAX - 1 ||
        make_payers(payers, (unsigned)payers_count) != 0) {
        return 2;
    }

    for (unsigned long i = 0; i < count; i++) {
        if (sign(&text, &a, &payers[i % payers_count], &network) != 0 ||
            print_one(argv[2], &text, &a) != 0) {
            return 1;
        }
    }

    return 0;
}
