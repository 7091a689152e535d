/*
 * What a paid call cannot do without, each part alone: one public-key recovery by
 * libsecp256k1, our verification of a payment, alone and of eight together, by new
 * payers and by known ones, our decoding of each dialect, one durable append.
 *
 *   floor SECONDS FOLDER PAYEE VALUE V2_FILE V1_FILE FLAT_FILE
 *
 * The files are of bench/payments. Each part runs for SECONDS; FOLDER is where the
 * ledger would be. Prints one line of JSON: microseconds of CPU each, and the median of
 * what an append takes.
 */
#include "evm/signer.h"
#include "evm/typed_data.h"

#include <x402/verify.h>

#include <fcntl.h>
#include <secp256k1_recovery.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ITEMS_MAX 4096
#define TOGETHER 8
#define APPENDS_MAX 100000
#define APPEND_SIZE 4096
#define HEADER_MAX X402_PAYMENT_HEADER_MAX

/* One payment, in all the forms that the parts take. */
struct item {
    struct x402_slice text;
    struct x402_payment payment;
    uint8_t digest32[32];
};

struct items {
    enum x402_dialect dialect;
    size_t count;
    struct item items[ITEMS_MAX];
};

static const secp256k1_context *context;
static struct x402_signers *signers;
static struct x402_accept accept;

__attribute__((noreturn)) static void stop(const char *what)
{
    fprintf(stderr, "floor: cannot %s\n", what);
    exit(1);
}

static double seconds_of(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --------------------------------------------------------------------------- the parts
 */

static void decode(struct x402_payment *out, enum x402_dialect dialect,
                   struct x402_slice text)
{
    uint8_t scratch[X402_PAYMENT_SCRATCH_SIZE(HEADER_MAX)];
    struct x402_problem why;
    const enum x402_header header = dialect == X402_DIALECT_V2
                                        ? X402_HEADER_PAYMENT_SIGNATURE
                                        : X402_HEADER_X_PAYMENT;

    if (x402_payment_decode(out, &why, header, text, HEADER_MAX, scratch,
                            sizeof(scratch)) != X402_OK) {
        stop("decode a payment");
    }
}

static void decode_part(const struct item *item)
{
    struct x402_payment payment;

    decode(&payment, item->payment.dialect, item->text);
}

/* Payments that stand one behind the other; by new payers where `payers` is NULL. */
static void verify(struct x402_signers *payers, const struct item *items, size_t count)
{
    struct x402_verification verifications[TOGETHER];

    for (size_t i = 0; i < count; i++) {
        x402_claim(&verifications[i].claim, &accept, &items[i].payment);
    }
    x402_verify_many(payers, verifications, count);
    for (size_t i = 0; i < count; i++) {
        if (verifications[i].error != X402_OK) {
            stop("verify a payment");
        }
    }
}

static void verify_part(const struct item *item)
{
    verify(NULL, item, 1);
}

/* Of payers that came before: see meet. */
static void verify_known_part(const struct item *item)
{
    verify(signers, item, 1);
}

static void verify_eight_part(const struct item *items)
{
    verify(NULL, items, TOGETHER);
}

static void verify_known_eight_part(const struct item *items)
{
    verify(signers, items, TOGETHER);
}

static void recover_part(const struct item *item)
{
    secp256k1_ecdsa_recoverable_signature signature;
    secp256k1_pubkey key;
    const uint8_t *s65 = item->payment.signature65;

    if (!secp256k1_ecdsa_recoverable_signature_parse_compact(context, &signature, s65,
                                                             s65[64] - 27) ||
        !secp256k1_ecdsa_recover(context, &key, &signature, item->digest32)) {
        stop("recover a key");
    }
}

/* Microseconds of CPU for each item, `step` at a time, over and over for so long. */
static double time_part(void (*part)(const struct item *item), size_t step,
                        const struct items *items, double seconds)
{
    const size_t end_at = items->count - items->count % step;
    const double end = seconds_of(CLOCK_MONOTONIC) + seconds;
    const double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    size_t count = 0;

    do {
        for (int i = 0; i < 64; i++, count += step) {
            part(&items->items[count % end_at]);
        }
    } while (seconds_of(CLOCK_MONOTONIC) < end);

    return (seconds_of(CLOCK_THREAD_CPUTIME_ID) - start) / (double)count * 1e6;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Microseconds that half of the appends take less than. */
static double time_append(const char *folder, double seconds)
{
    static double took[APPENDS_MAX];
    static const char block[APPEND_SIZE] = "x";
    const double end = seconds_of(CLOCK_MONOTONIC) + seconds;
    char path[4096];
    size_t count = 0;
    int fd;

    snprintf(path, sizeof(path), "%s/append", folder);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        stop("open a file to append to");
    }
    do {
        const double start = seconds_of(CLOCK_MONOTONIC);
        if (write(fd, block, sizeof(block)) != sizeof(block) || fdatasync(fd) != 0) {
            stop("append");
        }
        took[count++] = (seconds_of(CLOCK_MONOTONIC) - start) * 1e6;
    } while (seconds_of(CLOCK_MONOTONIC) < end && count < APPENDS_MAX);
    close(fd);
    unlink(path);
    qsort(took, count, sizeof(took[0]), compare);

    return took[count / 2];
}

/* ------------------------------------------------------------------------------ setup
 */

static void digest(struct item *item)
{
    const struct x402_payment *payment = &item->payment;
    struct x402_authorization a = {.value = payment->value,
                                   .valid_after_seconds = payment->valid_after_seconds,
                                   .valid_before_seconds =
                                       payment->valid_before_seconds};

    memcpy(a.from20, payment->from20, 20);
    memcpy(a.to20, accept.pay_to20, 20);
    memcpy(a.nonce32, payment->nonce32, 32);
    x402_authorization_digest(item->digest32, accept.network.domain_separator32, &a);
}

static void read_items(struct items *items, enum x402_dialect dialect, const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    const char *text, *end;

    if (fd < 0 || fstat(fd, &info) != 0) {
        stop("read payments");
    }
    text = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (text == MAP_FAILED) {
        stop("map payments");
    }
    end = text + info.st_size;
    for (const char *line = text; line < end && items->count < ITEMS_MAX;) {
        const char *stop_at = memchr(line, '\n', (size_t)(end - line));
        struct item *item = &items->items[items->count++];
        item->text = (struct x402_slice){line, (size_t)(stop_at - line)};
        decode(&item->payment, dialect, item->text);
        digest(item);
        line = stop_at + 1;
    }
    if (items->count == 0) {
        stop("find a payment");
    }
}

/* Until each payer is one that comes again. */
static void meet(const struct items *items)
{
    signers = x402_signers_create();
    if (signers == NULL) {
        stop("remember signers");
    }
    for (int i = 0; i < X402_SIGNER_SIGHTINGS; i++) {
        for (size_t j = 0; j < items->count; j++) {
            verify_known_part(&items->items[j]);
        }
    }
}

static void print(const char *name, double us)
{
    printf(",\"%s\":%.2f", name, us);
}

int main(int argc, char **argv)
{
    static struct items v2, v1, flat;
    double seconds;

    if (argc != 8) {
        fprintf(stderr,
                "usage: floor SECONDS FOLDER PAYEE VALUE V2_FILE V1_FILE FLAT_FILE\n");
        return 2;
    }
    if (x402_network_find(&accept.network, X402_SLICE("base-sepolia")) != X402_OK ||
        x402_address_decode(accept.pay_to20, x402_slice_of(argv[3])) != X402_OK) {
        return 2;
    }
    accept.value = strtoull(argv[4], NULL, 10);
    context = secp256k1_context_create(SECP256K1_CONTEXT_VERIFY);
    read_items(&v2, X402_DIALECT_V2, argv[5]);
    read_items(&v1, X402_DIALECT_V1, argv[6]);
    read_items(&flat, X402_DIALECT_FLAT, argv[7]);
    meet(&v2);
    seconds = atof(argv[1]);
    /* First, while the scheduler owes this process something: an append mostly waits.
     */
    printf("{\"append_p50_us\":%.1f", time_append(argv[2], seconds));
    print("recovery_us", time_part(recover_part, 1, &v2, seconds));
    print("verify_us", time_part(verify_part, 1, &v2, seconds));
    print("verify_known_us", time_part(verify_known_part, 1, &v2, seconds));
    print("verify_eight_us", time_part(verify_eight_part, TOGETHER, &v2, seconds));
    print("verify_known_eight_us",
          time_part(verify_known_eight_part, TOGETHER, &v2, seconds));
    print("decode_v2_us", time_part(decode_part, 1, &v2, seconds));
    print("decode_v1_us", time_part(decode_part, 1, &v1, seconds));
    print("decode_flat_us", time_part(decode_part, 1, &flat, seconds));
    printf("}\n");

    return 0;
}
