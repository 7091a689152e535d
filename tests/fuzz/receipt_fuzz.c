/*
 * Any values as a receipt: what is written is base64 of JSON that says them, and
 * `x402 pay` reads them back. Any text as the name of a receipt: what is read is
 * written the same. Any text as the detail of a problem: the document is JSON, and
 * fits.
 */
#include "check.h"

#include "cli/pay_offer.h"
#include "core/text.h"
#include "ledger/receipt_id.h"

#include <x402/receipt.h>

static const uint8_t key32[32] = {7};

static json_t *json_of(const char *base64, size_t size)
{
    static uint8_t bytes[X402_RECEIPT_SIZE_MAX];
    size_t bytes_size = 0;

    check(size <= X402_RECEIPT_SIZE_MAX, "in its room");
    check(x402_base64_decode(bytes, &bytes_size, sizeof bytes,
                             (struct x402_slice){base64, size}) == X402_OK,
          "base64");
    json_t *root = json_loadb((char *)bytes, bytes_size,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    check(json_is_object(root), "JSON");
    return root;
}

/* Whether JSON makes more of it than any link may have. */
static bool grows_too_long(struct x402_slice link)
{
    char escaped[X402_RECEIPT_LINK_MAX];
    struct x402_text text = x402_text_init(escaped, sizeof escaped);

    x402_text_put_escaped(&text, link, X402_INVALID_PERCENT_ENCODED);
    return text.overflow;
}

static void check_link(json_t *root, struct x402_slice link)
{
    json_t *written = json_object_get(json_object_get(root, "extra"), "receipt");

    if (link.size == 0 || link.size > X402_RECEIPT_LINK_MAX) {
        check(written == NULL, "no link");
        return;
    }
    if (!x402_utf8_valid(link) || (written == NULL && grows_too_long(link)))
        return;
    check(json_string_length(written) == link.size &&
              memcmp(json_string_value(written), link.data, link.size) == 0,
          "the link");
}

static void check_read_back(const char *base64, size_t size,
                            const struct x402_receipt *receipt)
{
    struct x402_pay_receipt read;

    if (!x402_pay_receipt_decode(&read, (struct x402_slice){base64, size}))
        return; /* a zero in the link */
    check(read.success == receipt->success, "the same success");
    check((read.transaction[0] != '\0') == receipt->has_transaction, "a transaction");
}

static void write_receipt(struct choices *choices)
{
    static char out[X402_RECEIPT_SIZE_MAX];
    static const char *const networks[] = {"base", "base-sepolia", "ethereum"};
    struct x402_network network;
    struct x402_receipt receipt = {.network = &network};
    uint8_t payer20[20];
    char payer[X402_ADDRESS_TEXT_SIZE];

    receipt.dialect = take_byte(choices) % 3;
    receipt.has_transaction = take_byte(choices) % 2;
    receipt.error = take_byte(choices) % X402_ERROR_COUNT;
    receipt.success = receipt.error == X402_OK;
    check(x402_network_find(&network,
                            x402_slice_of(networks[take_byte(choices) % 3])) == X402_OK,
          "a network");
    take(payer20, 20, choices);
    x402_address_encode(payer, payer20);
    receipt.payer = x402_slice_of(payer);
    take(receipt.transaction32, 32, choices);
    receipt.link = (struct x402_slice){(const char *)choices->at, choices->left};
    size_t size = x402_receipt_encode(out, &receipt);
    json_t *root = json_of(out, size);
    check(json_is_boolean(json_object_get(root, "success")), "a success or not");
    check_link(root, receipt.link);
    check_read_back(out, size, &receipt);
    json_decref(root);
}

static void read_name(struct x402_slice text)
{
    char again[X402_RECEIPT_ID_SIZE];
    int64_t id = 0;

    if (!x402_receipt_id_decode(&id, key32, text))
        return;
    check(id > 0 && x402_receipt_id_encode(again, key32, id), "a payment's");
    check(text.size == sizeof again && memcmp(text.data, again, sizeof again) == 0,
          "the one name it has");
}

/* Names that are ours, with one bit wrong: none names a payment. */
static void bend_name(struct choices *choices)
{
    char name[X402_RECEIPT_ID_SIZE];
    int64_t id = (int64_t)(take_number(choices) >> 1), read = 0;
    unsigned at = take_byte(choices) % X402_RECEIPT_ID_SIZE;
    char bit = (char)(1 << take_byte(choices) % 8);

    check(x402_receipt_id_encode(name, key32, id), "a name");
    struct x402_slice text = {name, sizeof name};
    check(x402_receipt_id_decode(&read, key32, text) == (id != 0), "read back");
    check(read == id, "as it was");
    name[at] = (char)(name[at] ^ bit);
    check(!x402_receipt_id_decode(&read, key32, text), "another name is none");
}

static void write_problem(struct choices *choices)
{
    static char out[X402_PROBLEM_SIZE_MAX];
    char detail[300];
    struct x402_problem problem = {.error = take_byte(choices) % X402_ERROR_COUNT,
                                   .field = "payload.authorization.nonce"};
    size_t room = take_byte(choices) * 8;

    take_text(detail, sizeof detail, choices);
    room = room < sizeof out ? room : sizeof out;
    size_t size = x402_problem_encode(out, room, &problem, detail);
    check(size <= room, "in the room given");
    if (size == 0)
        return;
    json_t *root = json_loadb(out, size, JSON_REJECT_DUPLICATES, NULL);
    check(json_is_object(root), "a problem document");
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct choices choices = {data, size};

    read_name((struct x402_slice){(const char *)data, size});
    bend_name(&choices);
    write_problem(&choices);
    write_receipt(&choices);
    return 0;
}
