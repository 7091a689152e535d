/*
 * The public name of a payment's receipt: its row number, encrypted with AES-256 under
 * the ledger's key, as 22 characters of base64url. It cannot be guessed (half of the
 * block is zeros, and must decrypt to zeros), needs no index, and hides how many
 * payments there are. Pure over OpenSSL; any thread.
 */
#ifndef X402_LEDGER_RECEIPT_ID_H
#define X402_LEDGER_RECEIPT_ID_H

#include <x402/bytes.h>

#define X402_RECEIPT_ID_SIZE 22

/* False only without memory. Not zero-terminated. */
X402_MUST_USE bool x402_receipt_id_encode(char out[X402_RECEIPT_ID_SIZE],
                                          const uint8_t key32[32], int64_t payment_id);

/* False for what no ledger with this key named. */
X402_MUST_USE bool x402_receipt_id_decode(int64_t *payment_id, const uint8_t key32[32],
                                          struct x402_slice text);

#endif
