/* `x402 pay`: like curl, but it pays. */
#include "cli/cli.h"
#include "cli/pay_http.h"
#include "cli/pay_offer.h"

#include "core/clock.h"
#include "settle/key.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define COMMAND "pay"
#define MAX_USD_DEFAULT "0.10"
#define DATA_MAX (64u << 20)
#define RETRY_SECONDS_MAX 30
#define RETRIES_MAX 1           /* of a call that may have been served */
#define SETTLING_RETRIES_MAX 20 /* of one that waits until its payment has settled */

static const char help[] =
    "usage: x402 pay URL --key FILE [--max USD] [-X METHOD] [-H HEADER]... [-d BODY]\n"
    "\n"
    "Calls a URL like curl does. When the answer is 402 Payment Required, signs a\n"
    "payment with the key and calls again. One call is paid at most once: a retry\n"
    "carries the same payment, which nobody can charge twice.\n"
    "\n"
    "  --key FILE       the private key of the payer; mode 0600\n"
    "  --max USD        refuse to pay more for the call; default " MAX_USD_DEFAULT "\n"
    "  -X, --request M  the method; GET, or POST with a body\n"
    "  -H, --header H   a header, \"Name: value\"; may be repeated\n"
    "  -d, --data BODY  a body; @FILE sends a file, @- standard input, both unchanged\n"
    "  -o, --output F   write the body to a file\n"
    "  -i, --include    print the answer's headers before its body\n"
    "  -v, --verbose    show requests and headers on standard error\n"
    "\n"
    "The body goes to standard output as it came; what was paid is told on standard\n"
    "error. The exit code is 0 when the answer's status is below 400.\n"
    "\n"
    "  x402 wallet new payer.key               # then send it some USDC on Base\n"
    "  x402 pay https://api.example.com/weather --key payer.key\n"
    "  x402 pay http://127.0.0.1:4020/summarize --key payer.key --max 0.01 \\\n"
    "       -H 'Content-Type: application/json' -d @document.json\n";

struct pay {
    struct x402_http_request request;
    uint64_t max_micro_usd;
    const char *key_path;
    const char *output_path; /* NULL: standard output */
    FILE *output;            /* open from when something is paid or written */
    bool writing;            /* the answer has begun to be handed out */
    bool include;
    char *body; /* owned: read from a file */
    struct x402_price price;
    char *payment;             /* owned; NULL while nothing was signed */
    unsigned retries;          /* of a call that may have been served */
    unsigned settling_retries; /* while its payment settles */
};

/* --------------------------------------------------------------------------- output */

/* Before anything is paid: an answer that cannot be kept is not bought. */
static bool prepare_output(struct pay *pay)
{
    if (pay->output_path == NULL || pay->output != NULL)
        return true;
    pay->output = fopen(pay->output_path, "ae");
    if (pay->output == NULL)
        x402_cli_error(COMMAND, "cannot write '%s': %s", pay->output_path,
                       strerror(errno));
    return pay->output != NULL;
}

static bool begin_output(struct pay *pay, const struct x402_http_answer *answer)
{
    if (pay->writing)
        return true;
    if (!prepare_output(pay))
        return false;
    if (pay->output == NULL)
        pay->output = stdout;
    else if (ftruncate(fileno(pay->output), 0) != 0 && errno != EINVAL)
        return false; /* EINVAL: a pipe or a terminal */
    pay->writing = true;
    return !pay->include || fwrite(answer->headers, 1, answer->headers_size,
                                   pay->output) == answer->headers_size;
}

static bool close_output(struct pay *pay)
{
    bool fine = true;

    if (pay->output != NULL && pay->output != stdout)
        fine = fclose(pay->output) == 0;
    else if (pay->output != NULL)
        fine = fflush(pay->output) == 0;
    pay->output = NULL;
    if (!fine)
        x402_cli_error(COMMAND, "cannot write the answer: %s", strerror(errno));
    return fine;
}

static bool take_receipt(struct x402_pay_receipt *out,
                         const struct x402_http_answer *answer)
{
    struct x402_slice header = x402_http_header(answer, "payment-response");

    if (header.size == 0)
        header = x402_http_header(answer, "x-payment-response");
    return x402_pay_receipt_decode(out, header);
}

/* The payment was taken, and the server settles it before it serves. */
static bool is_settling(const struct x402_http_answer *answer)
{
    struct x402_pay_receipt receipt;

    return answer->status == 503 && take_receipt(&receipt, answer) &&
           strcmp(receipt.reason, "settlement_pending") == 0;
}

/* An answer after which the same payment is worth another try. */
static bool asks_to_retry(const struct pay *pay, const struct x402_http_answer *answer)
{
    bool left = is_settling(answer) ? pay->settling_retries < SETTLING_RETRIES_MAX
                                    : pay->retries < RETRIES_MAX;

    return pay->payment != NULL && left &&
           (answer->status == 409 || answer->status == 503) &&
           x402_http_header(answer, "retry-after").size > 0;
}

/* What is answered by another request is kept; the rest is the answer. */
static bool keep_body(const struct x402_http_answer *answer, void *data)
{
    const struct pay *pay = data;

    return (answer->status == 402 && pay->payment == NULL) ||
           asks_to_retry(pay, answer);
}

static bool write_body(const char *bytes, size_t size,
                       const struct x402_http_answer *answer, void *data)
{
    struct pay *pay = data;

    return begin_output(pay, answer) && fwrite(bytes, 1, size, pay->output) == size;
}

/* ------------------------------------------------------------------------- exchange */

static bool call(struct pay *pay, struct x402_http_answer *answer)
{
    struct x402_http_sink sink = {keep_body, write_body, pay};

    return x402_http_exchange(answer, &pay->request, &sink);
}

static int64_t retry_seconds(const struct x402_http_answer *answer)
{
    struct x402_slice text = x402_http_header(answer, "retry-after");
    char digits[8];
    uint64_t seconds;

    if (text.size == 0 || text.size >= sizeof digits)
        return 1;
    memcpy(digits, text.data, text.size);
    digits[text.size] = '\0';
    if (!x402_cli_number(&seconds, digits, 0, 9999999)) /* a date */
        return RETRY_SECONDS_MAX;
    return seconds < RETRY_SECONDS_MAX ? (int64_t)seconds : RETRY_SECONDS_MAX;
}

static const char *why_again(const struct x402_http_answer *answer, bool fine)
{
    if (!fine)
        return answer->error;
    if (is_settling(answer))
        return "the payment is being settled";
    return answer->status == 409 ? "the payment is being served" : "the server is busy";
}

/*
 * The same bytes again: whoever took the payment the first time knows it. Nothing is
 * tried again once part of a body was handed out.
 */
static bool call_paid(struct pay *pay, struct x402_http_answer *answer)
{
    bool fine = call(pay, answer);

    while (fine ? asks_to_retry(pay, answer)
                : !answer->handed_out && pay->retries < RETRIES_MAX) {
        struct timespec wait = {.tv_sec = fine ? (time_t)retry_seconds(answer) : 1};
        x402_cli_note(COMMAND, "%s: the same payment again in %ld s",
                      why_again(answer, fine), (long)wait.tv_sec);
        if (fine && is_settling(answer))
            pay->settling_retries++;
        else
            pay->retries++;
        x402_http_release(answer);
        while (nanosleep(&wait, &wait) != 0 && errno == EINTR)
            ;
        fine = call(pay, answer);
    }
    return fine;
}

/* ---------------------------------------------------------------------------- paying
 */

static bool sign(struct pay *pay)
{
    char message[X402_KEY_MESSAGE_MAX];
    uint8_t key32[32], nonce32[32];

    if (x402_key_load(key32, pay->key_path, message) != X402_OK) {
        x402_cli_error(COMMAND, "--key: %s", message);
        return false;
    }
    if (RAND_bytes(nonce32, sizeof nonce32) == 1)
        pay->payment =
            x402_price_pay(&pay->price, key32, nonce32, (uint64_t)x402_clock_seconds());
    x402_bytes_wipe(key32, sizeof key32);
    if (pay->payment == NULL)
        x402_cli_error(COMMAND, "cannot sign the payment");
    pay->request.payment_name = x402_price_header_name(&pay->price);
    pay->request.payment_value = pay->payment;
    return pay->payment != NULL;
}

static bool agree(struct pay *pay, const struct x402_http_answer *answer)
{
    struct x402_slice body = {answer->body ? answer->body : "", answer->body_size};
    char why[X402_PRICE_WHY_MAX];

    if (x402_price_decode(&pay->price, why,
                          x402_http_header(answer, "payment-required"), body,
                          pay->max_micro_usd) == X402_OK)
        return prepare_output(pay) && sign(pay);
    x402_cli_error(COMMAND, "not paid: %s", why);
    return false;
}

/* --------------------------------------------------------------------------- telling
 */

static void tell_paid(const struct pay *pay, const struct x402_pay_receipt *receipt)
{
    char price[X402_PRICE_TEXT_SIZE], payee[X402_ADDRESS_TEXT_SIZE];

    x402_price_text(price, &pay->price);
    x402_address_encode(payee, pay->price.pay_to20);
    x402_cli_note(COMMAND, "paid %s to %s%s%s", price, payee,
                  receipt->transaction[0] != '\0' ? " in " : " (settles later)",
                  receipt->transaction);
    if (receipt->link[0] != '\0' && receipt->transaction[0] == '\0')
        x402_cli_note(COMMAND, "its receipt: %s", receipt->link);
}

static void tell_refusal(const struct x402_http_answer *answer)
{
    char reason[X402_PRICE_WHY_MAX];
    struct x402_slice nothing = {"", 0};

    x402_offer_reason(reason, x402_http_header(answer, "payment-required"), nothing);
    x402_cli_error(COMMAND, "the payment was refused%s%s",
                   reason[0] != '\0' ? ": " : "", reason);
}

/* Only a receipt says that something was paid; one may come with half an answer. */
static void tell_payment(const struct pay *pay, const struct x402_http_answer *answer)
{
    struct x402_pay_receipt receipt;

    if (!take_receipt(&receipt, answer)) {
        if (answer->status == 402)
            tell_refusal(answer);
        else if (answer->status < 400)
            x402_cli_note(COMMAND, "a payment was sent, and no receipt came back");
    } else if (receipt.success) {
        tell_paid(pay, &receipt);
    } else if (is_settling(answer)) {
        x402_cli_error(COMMAND,
                       "the payment is still being settled, and may be charged "
                       "without an answer: the server owes the call to whoever "
                       "presents the same payment");
        if (receipt.link[0] != '\0')
            x402_cli_note(COMMAND, "its receipt: %s", receipt.link);
        x402_cli_note(COMMAND, "the same payment, for curl: -H '%s: %s'",
                      pay->request.payment_name, pay->payment);
    } else {
        x402_cli_error(COMMAND, "the payment failed: %s",
                       receipt.reason[0] != '\0' ? receipt.reason : "no reason");
    }
}

static int finish(struct pay *pay, const struct x402_http_answer *answer, bool fine)
{
    bool written = !fine || begin_output(pay, answer);

    if (!written)
        x402_cli_error(COMMAND, "cannot write the answer: %s", strerror(errno));
    written = close_output(pay) && written;
    if (pay->payment != NULL)
        tell_payment(pay, answer);
    if (!fine)
        x402_cli_error(COMMAND, "%s: %s", pay->request.url, answer->error);
    else if (answer->status >= 400 && (pay->payment == NULL || answer->status != 402))
        x402_cli_error(COMMAND, "HTTP status %ld", answer->status);
    return fine && written && answer->status < 400 ? X402_EXIT_DONE : X402_EXIT_FAILED;
}

static int run(struct pay *pay)
{
    struct x402_http_answer answer;
    int code;
    bool fine = call(pay, &answer);

    if (fine && answer.status == 402 && !agree(pay, &answer)) {
        x402_http_release(&answer);
        (void)close_output(pay);
        return X402_EXIT_FAILED;
    }
    if (pay->payment != NULL) {
        x402_http_release(&answer);
        fine = call_paid(pay, &answer);
    }
    code = finish(pay, &answer, fine);
    x402_http_release(&answer);
    return code;
}

/* --------------------------------------------------------------------------- options
 */

static bool read_all(struct pay *pay, FILE *in)
{
    size_t size = 0, capacity = 1 << 16, n;
    char *text = malloc(capacity);

    while (text != NULL && (n = fread(text + size, 1, capacity - size, in)) > 0) {
        size += n;
        if (size < capacity)
            continue;
        char *larger = capacity < DATA_MAX ? realloc(text, 2 * capacity) : NULL;
        if (larger == NULL) {
            free(text);
            errno = EFBIG;
            return false;
        }
        text = larger;
        capacity *= 2;
    }
    if (text == NULL || ferror(in)) {
        free(text);
        return false;
    }
    pay->body = text;
    pay->request.body = text;
    pay->request.body_size = size;
    return true;
}

static bool take_data(struct pay *pay, const char *data)
{
    if (data == NULL)
        return true;
    if (data[0] != '@') {
        pay->request.body = data;
        pay->request.body_size = strlen(data);
        return true;
    }
    bool is_stdin = strcmp(data, "@-") == 0;
    FILE *in = is_stdin ? stdin : fopen(data + 1, "re");
    bool fine = in != NULL && read_all(pay, in);
    if (!fine)
        x402_cli_error(COMMAND, "cannot read '%s': %s", data + 1, strerror(errno));
    if (in != NULL && !is_stdin)
        fclose(in);
    return fine;
}

/* A header of the caller's must not end early, nor pay behind our back. */
static bool check_headers(const struct x402_option_list *headers)
{
    static const char *const ours[] = {"payment-signature:", "x-payment:"};

    for (size_t i = 0; i < headers->count; i++) {
        const char *header = headers->items[i];
        bool reserved = false;
        for (size_t j = 0; j < 2; j++)
            reserved = reserved || strncasecmp(header, ours[j], strlen(ours[j])) == 0;
        if (reserved) {
            x402_cli_usage_error(COMMAND,
                                 "--header: the payment header is written here");
            return false;
        }
        if (strchr(header, ':') == NULL || header[0] == ':' ||
            strpbrk(header, "\r\n") != NULL) {
            x402_cli_usage_error(COMMAND, "--header: write \"Name: value\"");
            return false;
        }
    }
    return true;
}

static bool check_method(const char *method)
{
    if (method == NULL)
        return true;
    size_t size = strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-");
    if (size > 0 && method[size] == '\0')
        return true;
    x402_cli_usage_error(COMMAND, "--request: '%s' is not a method", method);
    return false;
}

static int pay_for(struct pay *pay, const char *data)
{
    int code = X402_EXIT_FAILED;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (take_data(pay, data))
        code = run(pay);
    free(pay->body);
    free(pay->payment);
    x402_price_release(&pay->price);
    curl_global_cleanup();
    return code;
}

int x402_cli_pay(int argc, char **argv)
{
    static const char *const names[] = {"URL"};
    static struct x402_option_list headers;
    struct pay pay = {0};
    const char *max = MAX_USD_DEFAULT, *data = NULL, *why = "", *url = NULL;
    const struct x402_option options[] = {
        {"key", 0, X402_OPTION_TEXT, &pay.key_path},
        {"max", 0, X402_OPTION_TEXT, &max},
        {"request", 'X', X402_OPTION_TEXT, &pay.request.method},
        {"header", 'H', X402_OPTION_LIST, &headers},
        {"data", 'd', X402_OPTION_TEXT, &data},
        {"output", 'o', X402_OPTION_TEXT, &pay.output_path},
        {"include", 'i', X402_OPTION_FLAG, &pay.include},
        {"verbose", 'v', X402_OPTION_FLAG, &pay.request.verbose},
        {NULL, 0, X402_OPTION_FLAG, NULL},
    };
    struct x402_arguments arguments = {.help = help,
                                       .options = options,
                                       .words_min = 1,
                                       .words_max = 1,
                                       .words_names = names,
                                       .words = &url};
    enum x402_parsed parsed = x402_cli_parse(&arguments, argc, argv);

    if (parsed != X402_PARSED_RUN)
        return parsed == X402_PARSED_HELP ? X402_EXIT_DONE : X402_EXIT_USAGE;
    if (!x402_cli_is_http_url(url))
        return x402_cli_usage_error(COMMAND, "'%s' is not an http or https URL", url);
    if (pay.key_path == NULL)
        return x402_cli_usage_error(COMMAND, "--key FILE is missing");
    if (x402_usd_decode(&pay.max_micro_usd, &why, x402_slice_of(max)) != X402_OK)
        return x402_cli_usage_error(COMMAND, "--max: %s: '%s'", why, max);
    if (!check_headers(&headers) || !check_method(pay.request.method))
        return X402_EXIT_USAGE;
    pay.request.url = url;
    pay.request.headers = headers.items;
    pay.request.headers_count = headers.count;
    return pay_for(&pay, data);
}
