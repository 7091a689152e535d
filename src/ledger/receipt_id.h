/*
 * The public name of a payment's receipt: its row number, encrypted with AES-256 under
 * the ledger's key, as 22 characters of base64url. It cannot be guessed (half of the
 * block is zeros, and must decrypt to zeros), needs no index, and hides how many
 * payments there are. Pure over OpenSSL; any thread, but a namer's one after another.
 */
#ifndef X402_LEDGER_RECEIPT_ID_H
#define X402_LEDGER_RECEIPT_ID_H

#include <x402/bytes.h>

#define X402_RECEIPT_ID_SIZE 22

/* False only without memory. Not zero-terminated. */
X402_MUST_USE bool x402_receipt_id_encode(char out[X402_RECEIPT_ID_SIZE],
                                          const uint8_t key32[32], int64_t payment_id);

/*
 * Names many under one key, which is made ready once: a tenth of the time a name. The
 * caller closes it, which wipes the key; NULL is not open, without memory or before.
 * Names are as above, and false as above.
 */
struct x402_receipt_namer;
struct x402_receipt_namer *x402_receipt_namer_open(const uint8_t key32[32]);
void x402_receipt_namer_close(struct x402_receipt_namer *namer);
X402_MUST_USE bool x402_receipt_namer_encode(struct x402_receipt_namer *namer,
                                             char out[X402_RECEIPT_ID_SIZE],
                                             int64_t payment_id);

/* False for what no ledger with this key named. */
X402_MUST_USE bool x402_receipt_id_decode(int64_t *payment_id, const uint8_t key32[32],
                                          struct x402_slice text);

#endif
