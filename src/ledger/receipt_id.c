#include "ledger/receipt_id.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 16
#define PADDED_SIZE X402_BASE64_SIZE(BLOCK_SIZE) /* with "==" at its end */

struct x402_receipt_namer {
    EVP_CIPHER_CTX *context;
};

/* NULL without memory. Freeing it wipes the key. */
static EVP_CIPHER_CTX *context_of(const uint8_t key32[32], bool encrypt)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();

    if (context == NULL ||
        EVP_CipherInit_ex(context, EVP_aes_256_ecb(), NULL, key32, NULL, encrypt) !=
            1 ||
        EVP_CIPHER_CTX_set_padding(context, 0) != 1) {
        EVP_CIPHER_CTX_free(context);
        return NULL;
    }
    return context;
}

/* One block, so there is nothing to chain, and nothing that the context keeps of it. */
static bool apply(EVP_CIPHER_CTX *context, uint8_t out[BLOCK_SIZE],
                  const uint8_t in[BLOCK_SIZE])
{
    int size = 0;

    return EVP_CipherUpdate(context, out, &size, in, BLOCK_SIZE) == 1 &&
           size == BLOCK_SIZE;
}

/* RFC 4648 section 5 has two characters that section 4 has not. */
static void exchange(char *text, size_t size, const char from[2], const char to[2])
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == from[0]) {
            text[i] = to[0];
        } else if (text[i] == from[1]) {
            text[i] = to[1];
        }
    }
}

static bool encode(EVP_CIPHER_CTX *context, char out[X402_RECEIPT_ID_SIZE],
                   int64_t payment_id)
{
    uint8_t plain[BLOCK_SIZE] = {0};
    uint8_t block[BLOCK_SIZE];
    char text[PADDED_SIZE];

    for (int i = 0; i < 8; i++) {
        plain[BLOCK_SIZE - 1 - i] = (uint8_t)((uint64_t)payment_id >> (8 * i));
    }
    if (!apply(context, block, plain)) {
        return false;
    }
    x402_base64_encode(text, block, BLOCK_SIZE);
    exchange(text, sizeof(text), "+/", "-_");
    memcpy(out, text, X402_RECEIPT_ID_SIZE);
    return true;
}

bool x402_receipt_id_encode(char out[X402_RECEIPT_ID_SIZE], const uint8_t key32[32],
                            int64_t payment_id)
{
    EVP_CIPHER_CTX *context = context_of(key32, true);
    bool fine = context != NULL && encode(context, out, payment_id);

    EVP_CIPHER_CTX_free(context);
    return fine;
}

struct x402_receipt_namer *x402_receipt_namer_open(const uint8_t key32[32])
{
    struct x402_receipt_namer *namer = calloc(1, sizeof(*namer));

    if (namer == NULL || (namer->context = context_of(key32, true)) == NULL) {
        free(namer);
        return NULL;
    }
    return namer;
}

void x402_receipt_namer_close(struct x402_receipt_namer *namer)
{
    if (namer != NULL) {
        EVP_CIPHER_CTX_free(namer->context);
        free(namer);
    }
}

bool x402_receipt_namer_encode(struct x402_receipt_namer *namer,
                               char out[X402_RECEIPT_ID_SIZE], int64_t payment_id)
{
    return encode(namer->context, out, payment_id);
}

static bool block_decode(uint8_t block[BLOCK_SIZE], struct x402_slice text)
{
    char padded[PADDED_SIZE] = "";
    size_t size = 0;

    if (text.size != X402_RECEIPT_ID_SIZE || memchr(text.data, '+', text.size) ||
        memchr(text.data, '/', text.size)) {
        return false;
    }
    memcpy(padded, text.data, X402_RECEIPT_ID_SIZE);
    memcpy(padded + X402_RECEIPT_ID_SIZE, "==", 2);
    exchange(padded, X402_RECEIPT_ID_SIZE, "-_", "+/");
    return x402_base64_decode(block, &size, BLOCK_SIZE,
                              (struct x402_slice){padded, sizeof(padded)}) == X402_OK &&
           size == BLOCK_SIZE;
}

static bool decrypt(uint8_t plain[BLOCK_SIZE], const uint8_t block[BLOCK_SIZE],
                    const uint8_t key32[32])
{
    EVP_CIPHER_CTX *context = context_of(key32, false);
    bool fine = context != NULL && apply(context, plain, block);

    EVP_CIPHER_CTX_free(context);
    return fine;
}

bool x402_receipt_id_decode(int64_t *payment_id, const uint8_t key32[32],
                            struct x402_slice text)
{
    static const uint8_t zeros[8];
    uint8_t block[BLOCK_SIZE];
    uint8_t plain[BLOCK_SIZE];
    uint64_t number = 0;

    if (!block_decode(block, text) || !decrypt(plain, block, key32) ||
        memcmp(plain, zeros, sizeof(zeros)) != 0) {
        return false;
    }
    for (int i = 8; i < BLOCK_SIZE; i++) {
        number = number << 8 | plain[i];
    }
    if (number == 0 || number > INT64_MAX) {
        return false;
    }
    *payment_id = (int64_t)number;
    return true;
}
