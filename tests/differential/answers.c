/*
 * What our own arithmetic makes of a question, for another implementation to compare
 * with: a question a line on stdin, an answer a line on stdout. Words are divided by
 * blanks; bytes are hex without prefix ("-" for none), numbers decimal. A question that
 * is refused is answered with the name of the error; one that is no question ends it.
 */
#include "evm/abi.h"
#include "evm/facilitator.h"
#include "evm/keccak.h"
#include "evm/signature.h"
#include "evm/transaction.h"

#include <x402/money.h>
#include <x402/payment.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_SIZE (1u << 20)
#define BYTES_MAX (LINE_MAX_SIZE / 2)

/* ------------------------------------------------------------------------ questions */

static char *rest; /* of the line */

__attribute__((noreturn)) static void refuse(const char *what)
{
    fprintf(stderr, "answers: not a question: %s\n", what);
    exit(2);
}

static struct x402_slice word(void)
{
    char *text = strsep(&rest, " ");

    if (text == NULL)
        refuse("a word is missing");
    return x402_slice_of(text);
}

static void bytes(uint8_t *out, size_t size)
{
    struct x402_slice text = word();

    if (!x402_hex_decode(out, size, text))
        refuse(text.data);
}

/* As many as there are. */
static size_t any_bytes(uint8_t *out, size_t max)
{
    struct x402_slice text = word();

    if (x402_slice_equal(text, X402_SLICE("-")))
        return 0;
    if (text.size / 2 > max || !x402_hex_decode(out, text.size / 2, text))
        refuse(text.data);
    return text.size / 2;
}

static uint64_t number(void)
{
    struct x402_slice text = word();
    uint64_t value = 0;

    for (size_t i = 0; i < text.size; i++) {
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            refuse(text.data);
        value = value * 10 + digit;
    }
    return value;
}

static void authorization(struct x402_authorization *out)
{
    bytes(out->from20, 20);
    bytes(out->to20, 20);
    out->value = number();
    out->valid_after_seconds = number();
    out->valid_before_seconds = number();
    bytes(out->nonce32, 32);
}

/* -------------------------------------------------------------------------- answers */

static void say(const uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        printf("%02x", out[i]);
}

static bool say_error(enum x402_error error)
{
    if (error != X402_OK)
        fputs(x402_error_symbol(error), stdout);
    return error != X402_OK;
}

static void answer_keccak(void)
{
    static uint8_t data[BYTES_MAX];
    uint8_t hash32[32];

    x402_keccak256(hash32, data, any_bytes(data, sizeof data));
    say(hash32, sizeof hash32);
}

static void answer_domain(void)
{
    char name[256] = "", version[256] = "";
    uint8_t contract20[20], separator32[32];

    (void)any_bytes((uint8_t *)name, sizeof name - 1);
    (void)any_bytes((uint8_t *)version, sizeof version - 1);
    uint64_t chain_id = number();
    bytes(contract20, sizeof contract20);
    x402_domain_separator(separator32, name, version, chain_id, contract20);
    say(separator32, sizeof separator32);
}

static void answer_digest(void)
{
    struct x402_authorization message;
    uint8_t separator32[32], digest32[32];

    bytes(separator32, sizeof separator32);
    authorization(&message);
    x402_authorization_digest(digest32, separator32, &message);
    say(digest32, sizeof digest32);
}

static void answer_address(void)
{
    uint8_t key32[32], address20[20];
    char text[X402_ADDRESS_TEXT_SIZE];

    bytes(key32, sizeof key32);
    if (say_error(x402_key_address(address20, key32)))
        return;
    x402_address_encode(text, address20);
    fputs(text, stdout);
}

static void answer_sign(void)
{
    uint8_t key32[32], digest32[32], signature65[65];

    bytes(key32, sizeof key32);
    bytes(digest32, sizeof digest32);
    if (!say_error(x402_signature_sign(signature65, digest32, key32)))
        say(signature65, sizeof signature65);
}

static void answer_recover(void)
{
    uint8_t digest32[32], signature65[65], address20[20];

    bytes(digest32, sizeof digest32);
    bytes(signature65, sizeof signature65);
    if (!say_error(x402_signature_recover(address20, digest32, signature65)))
        say(address20, sizeof address20);
}

static void answer_transaction(void)
{
    static uint8_t data[BYTES_MAX], raw[X402_TRANSACTION_SIZE_MAX(BYTES_MAX)];
    struct x402_transaction tx = {.data = data};
    uint8_t key32[32], hash32[32];
    size_t raw_size = 0;

    bytes(key32, sizeof key32);
    tx.chain_id = number();
    tx.nonce = number();
    tx.max_priority_fee_wei = number();
    tx.max_fee_wei = number();
    tx.gas_limit = number();
    tx.creates_contract = any_bytes(tx.to20, sizeof tx.to20) == 0;
    tx.data_size = any_bytes(data, sizeof data);
    if (say_error(
            x402_transaction_sign(raw, &raw_size, sizeof raw, hash32, &tx, key32)))
        return;
    say(raw, raw_size);
    putchar(' ');
    say(hash32, sizeof hash32);
}

static void answer_transfer(void)
{
    struct x402_authorization message;
    uint8_t signature65[65], out[X402_ABI_TRANSFER_SIZE];

    authorization(&message);
    bytes(signature65, sizeof signature65);
    x402_abi_transfer_with_authorization(out, &message, signature65);
    say(out, sizeof out);
}

/* token, payee, how many, and for each an authorization and a signature. */
static void answer_settle(void)
{
    static struct x402_facilitator_item items[X402_FACILITATOR_ITEMS_MAX];
    static uint8_t out[X402_FACILITATOR_SETTLE_SIZE_MAX];
    uint8_t token20[20], payee20[20];

    bytes(token20, sizeof token20);
    bytes(payee20, sizeof payee20);
    size_t count = number();
    if (count > X402_FACILITATOR_ITEMS_MAX)
        refuse("too many items");
    for (size_t i = 0; i < count; i++) {
        authorization(&items[i].authorization);
        bytes(items[i].signature65, 65);
        if (!x402_facilitator_fits(&items[i])) {
            printf("does not fit");
            return;
        }
    }
    say(out, x402_facilitator_settle_encode(out, sizeof out, token20, payee20, items,
                                            count));
}

static void answer_look(void)
{
    static uint8_t payers[X402_FACILITATOR_LOOK_MAX * 20];
    static uint8_t out[X402_FACILITATOR_LOOK_SIZE_MAX];
    uint8_t token20[20];

    bytes(token20, sizeof token20);
    size_t count = any_bytes(payers, sizeof payers) / 20;
    say(out, x402_facilitator_look_encode(out, sizeof out, token20, payers, count));
}

static void answer_state(void)
{
    uint8_t from20[20], nonce32[32], out[X402_ABI_AUTHORIZATION_STATE_SIZE];

    bytes(from20, sizeof from20);
    bytes(nonce32, sizeof nonce32);
    x402_abi_authorization_state(out, from20, nonce32);
    say(out, sizeof out);
}

static void answer_price(void)
{
    uint64_t micro_usd = 0, atomic = 0;
    struct x402_slice text = word();
    unsigned decimals = (unsigned)number();

    if (say_error(x402_usd_decode(&micro_usd, NULL, text)) ||
        say_error(x402_usd_to_atomic(&atomic, micro_usd, decimals)))
        return;
    printf("%" PRIu64 " %" PRIu64, micro_usd, atomic);
}

static void answer_amount(void)
{
    char text[X402_AMOUNT_TEXT_SIZE];
    uint64_t atomic = number();

    x402_amount_encode(text, atomic, (unsigned)number());
    fputs(text, stdout);
}

/* "v2" or "v1" (and flat), and the header. */
static void answer_payment(void)
{
    static uint8_t scratch[X402_PAYMENT_SCRATCH_SIZE(X402_PAYMENT_HEADER_MAX)];
    struct x402_payment payment;
    struct x402_problem why;
    bool v2 = x402_slice_equal(word(), X402_SLICE("v2"));
    struct x402_slice text = word();

    if (say_error(x402_payment_decode(
            &payment, &why, v2 ? X402_HEADER_PAYMENT_SIGNATURE : X402_HEADER_X_PAYMENT,
            text, X402_PAYMENT_HEADER_MAX, scratch, sizeof scratch)))
        return;
    say(payment.from20, 20);
    putchar(' ');
    say(payment.to20, 20);
    printf(" %" PRIu64 " %" PRIu64 " %" PRIu64 " ", payment.value,
           payment.valid_after_seconds, payment.valid_before_seconds);
    say(payment.nonce32, 32);
    putchar(' ');
    say(payment.signature65, 65);
}

static const struct {
    const char *name;
    void (*answer)(void);
} questions[] = {
    {"keccak", answer_keccak},
    {"domain", answer_domain},
    {"digest", answer_digest},
    {"address", answer_address},
    {"sign", answer_sign},
    {"recover", answer_recover},
    {"transaction", answer_transaction},
    {"transfer", answer_transfer},
    {"settle", answer_settle},
    {"look", answer_look},
    {"state", answer_state},
    {"price", answer_price},
    {"amount", answer_amount},
    {"payment", answer_payment},
};

static void answer(void)
{
    const char *name = word().data;
    size_t i = 0;

    while (i < sizeof questions / sizeof questions[0] &&
           strcmp(questions[i].name, name) != 0)
        i++;
    if (i == sizeof questions / sizeof questions[0])
        refuse(name);
    questions[i].answer();
    putchar('\n');
}

int main(void)
{
    static char line[LINE_MAX_SIZE];

    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        rest = line;
        answer();
    }
    return ferror(stdin) || fflush(stdout) != 0;
}
