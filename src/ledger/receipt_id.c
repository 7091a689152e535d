#include "ledger/receipt_id.h"

#include <openssl/evp.h>
#include <string.h>

#define BLOCK_SIZE 16
#define PADDED_SIZE X402_BASE64_SIZE(BLOCK_SIZE) /* with "==" at its end */

/* One block, so there is nothing to chain. False without memory. */
static bool block_cipher(uint8_t out[BLOCK_SIZE], const uint8_t in[BLOCK_SIZE],
                         const uint8_t key32[32], bool encrypt)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int size = 0;
    bool fine = context != NULL &&
                EVP_CipherInit_ex(context, EVP_aes_256_ecb(), NULL, key32, NULL,
                                  encrypt) == 1 &&
                EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
                EVP_CipherUpdate(context, out, &size, in, BLOCK_SIZE) == 1 &&
                size == BLOCK_SIZE;

    EVP_CIPHER_CTX_free(context); /* wipes the key */
    return fine;
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

bool x402_receipt_id_encode(char out[X402_RECEIPT_ID_SIZE], const uint8_t key32[32],
                            int64_t payment_id)
{
    uint8_t plain[BLOCK_SIZE] = {0};
    uint8_t block[BLOCK_SIZE];
    char text[PADDED_SIZE];

    for (int i = 0; i < 8; i++) {
        plain[BLOCK_SIZE - 1 - i] = (uint8_t)((uint64_t)payment_id >> (8 * i));
    }
    if (!block_cipher(block, plain, key32, true)) {
        return false;
    }
    x402_base64_encode(text, block, BLOCK_SIZE);
    exchange(text, sizeof(text), "+/", "-_");
    memcpy(out, text, X402_RECEIPT_ID_SIZE);
    return true;
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

bool x402_receipt_id_decode(int64_t *payment_id, const uint8_t key32[32],
                            struct x402_slice text)
{
    static const uint8_t zeros[8];
    uint8_t block[BLOCK_SIZE];
    uint8_t plain[BLOCK_SIZE];
    uint64_t number = 0;

    if (!block_decode(block, text) || !block_cipher(plain, block, key32, false) ||
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
