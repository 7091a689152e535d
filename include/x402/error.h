/*
 * Every way the library says no. One list carries the symbol, the wire reasons, the
 * HTTP status and the title; the enum, the strings and the problem documents
 * (RFC 9457) are all generated from it.
 */
#ifndef X402_ERROR_H
#define X402_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__GNUC__)
#define X402_MUST_USE __attribute__((warn_unused_result))
#else
#define X402_MUST_USE
#endif

/*
 * X(symbol, reason, reason_v1, status, title)
 *   reason     the wire code: for x402 v2 the reference SDK's name, and `code` in a
 *              problem document
 *   reason_v1  the name an x402 v1 or flat client is told
 *   status     the HTTP status that carries it; 0 for what never reaches a caller
 */
#define X402_ERRORS(X)                                                                 \
    X(OK, "", "", 0, "")                                                               \
    /* The payment header cannot be read. Nothing was hashed or recovered. */          \
    X(ERR_HEADER_SIZE, "payment_header_too_large", "payment_header_too_large", 400,    \
      "The payment header is too large")                                               \
    X(ERR_HEADER_COUNT, "payment_header_repeated", "payment_header_repeated", 400,     \
      "Send exactly one payment header")                                               \
    X(ERR_BASE64, "invalid_base64", "invalid_base64", 400,                             \
      "The payment header is not standard base64")                                     \
    X(ERR_JSON, "invalid_json", "invalid_json", 400,                                   \
      "The payment header is not the JSON expected")                                   \
    X(ERR_FIELD, "invalid_payload", "invalid_payload", 400,                            \
      "A field of the payment is missing or malformed")                                \
    X(ERR_VERSION, "invalid_x402_version", "invalid_x402_version", 400,                \
      "The x402 version is not supported")                                             \
    X(ERR_PATH, "ambiguous_path", "ambiguous_path", 400,                               \
      "The path can be read in more than one way")                                     \
    /* The payment is readable, and is not what is asked. A fresh offer goes along. */ \
    X(ERR_PAYMENT_REQUIRED, "Payment required", "X-PAYMENT header is required", 402,   \
      "Payment required")                                                              \
    X(ERR_SCHEME, "invalid_exact_evm_scheme", "unsupported_scheme", 402,               \
      "The payment scheme is not offered here")                                        \
    X(ERR_NETWORK, "invalid_exact_evm_network_mismatch", "invalid_network", 402,       \
      "The network is not offered here")                                               \
    X(ERR_ASSET, "invalid_payment_requirements", "invalid_payment_requirements", 402,  \
      "The asset is not offered here")                                                 \
    X(ERR_PAYEE, "invalid_exact_evm_recipient_mismatch",                               \
      "invalid_exact_evm_payload_recipient_mismatch", 402,                             \
      "The authorization pays somebody else")                                          \
    X(ERR_VALUE, "invalid_exact_evm_payload_authorization_value_mismatch",             \
      "invalid_exact_evm_payload_authorization_value", 402,                            \
      "The amount is not the price")                                                   \
    X(ERR_VALID_AFTER, "invalid_exact_evm_payload_authorization_valid_after",          \
      "invalid_exact_evm_payload_authorization_valid_after", 402,                      \
      "The authorization is not valid yet")                                            \
    X(ERR_VALID_BEFORE, "invalid_exact_evm_payload_authorization_valid_before",        \
      "invalid_exact_evm_payload_authorization_valid_before", 402,                     \
      "The authorization expires too soon or too late")                                \
    X(ERR_SIGNATURE, "invalid_exact_evm_signature",                                    \
      "invalid_exact_evm_payload_signature", 402, "The signature is not the payer's")  \
    X(ERR_PAYMENT_ABANDONED, "payment_abandoned", "payment_abandoned", 402,            \
      "This payment was cut off by a crash and will never be charged")                 \
    /* It was settled first, and could not be. No offer goes along. */                 \
    X(ERR_FUNDS, "invalid_exact_evm_insufficient_balance", "insufficient_funds", 402,  \
      "The payer does not have the money")                                             \
    X(ERR_USED_ELSEWHERE, "invalid_exact_evm_nonce_already_used",                      \
      "invalid_transaction_state", 402,                                                \
      "The authorization was canceled or used elsewhere")                              \
    X(ERR_SETTLEMENT, "invalid_exact_evm_transaction_failed",                          \
      "invalid_transaction_state", 402, "The payment cannot be settled")               \
    /* The payment is good, and is not taken now. No offer: it would ask for a second. \
     */                                                                                \
    X(ERR_NONCE_USED, "nonce_already_used", "nonce_already_used", 400,                 \
      "This payment was already used")                                                 \
    X(ERR_IN_PROGRESS, "payment_in_progress", "payment_in_progress", 409,              \
      "This payment is being served now")                                              \
    X(ERR_RATE, "rate_limited", "rate_limited", 429, "Too many paid calls")            \
    X(ERR_LEDGER, "ledger_unavailable", "ledger_unavailable", 503,                     \
      "Payments cannot be recorded right now")                                         \
    X(ERR_SETTLEMENT_PENDING, "settlement_pending", "settlement_pending", 503,         \
      "The payment is being settled; present it again")                                \
    /* Not about a payment presented. */                                               \
    X(ERR_RECEIPT, "receipt_not_found", "receipt_not_found", 404, "No such receipt")   \
    /* Never sent to a caller. */                                                      \
    X(ERR_SPACE, "buffer_too_small", "", 0, "The buffer is too small")                 \
    X(ERR_PRICE, "invalid_price", "", 0, "Not a price")                                \
    X(ERR_ADDRESS, "invalid_address", "", 0, "Not an address")                         \
    X(ERR_KEY, "invalid_key", "", 0, "Not a private key")                              \
    X(ERR_CONFIG, "invalid_configuration", "", 0, "The configuration is not valid")    \
    X(ERR_CONFLICT, "conflict", "", 0, "Somebody else changed it first")               \
    X(ERR_NOT_FOUND, "not_found", "", 0, "Not found")                                  \
    X(ERR_SCHEMA, "ledger_schema", "", 0, "The ledger is of another version")          \
    X(ERR_RPC, "rpc_failed", "", 0, "The node did not answer as expected")

enum x402_error {
#define X402_ERROR_ENUM(symbol, reason, reason_v1, status, title) X402_##symbol,
    X402_ERRORS(X402_ERROR_ENUM)
#undef X402_ERROR_ENUM
        X402_ERROR_COUNT
};

/* Each returns a static string (or number) for any error; never NULL. */
const char *x402_error_symbol(enum x402_error error); /* "X402_ERR_VALUE" */
const char *x402_error_reason(enum x402_error error);
const char *x402_error_reason_v1(enum x402_error error);
const char *x402_error_title(enum x402_error error);
int x402_error_status(enum x402_error error);

/*
 * What is wrong, and where. `field` is the JSON path of the culprit as the caller wrote
 * it ("payload.authorization.nonce"), or the header's name when the whole of it is
 * wrong; `expected` what should have stood there. Both are static strings, or NULL when
 * there is nothing to say.
 */
struct x402_problem {
    enum x402_error error;
    const char *field;
    const char *expected;
};

/* Longest text x402_problem_encode writes. */
#define X402_PROBLEM_SIZE_MAX 1024

/*
 * Writes the RFC 9457 document of a problem (application/problem+json):
 * {"type":"about:blank","title":…,"status":…,"code":…,"field":…,"expected":…,"detail":…};
 * members that have nothing to say are left out. `detail` may be NULL; it is escaped,
 * and cut where the document would pass X402_PROBLEM_SIZE_MAX.
 *
 * Returns the number of bytes written (no terminating zero), or 0 if out_max is too
 * small. Any thread.
 */
size_t x402_problem_encode(char *out, size_t out_max,
                           const struct x402_problem *problem, const char *detail);

#endif
