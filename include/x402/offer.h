/*
 * What one location sells, and the 402 that says so: one answer serves x402 v2 clients
 * (Payment-Required header) and v1 clients (JSON body).
 */
#ifndef X402_OFFER_H
#define X402_OFFER_H

#include <x402/network.h>

#define X402_ACCEPTS_MAX 8

/* One way to pay. */
struct x402_accept {
    struct x402_network network;
    uint8_t pay_to20[20];
    uint64_t value; /* the price, in units of the token */
};

/* Borrowed text must outlive the offer. */
struct x402_offer {
    struct x402_accept accepts[X402_ACCEPTS_MAX];
    size_t accepts_count;          /* at least 1 */
    struct x402_slice description; /* UTF-8, may be empty */
    struct x402_slice mime_type;   /* may be empty */
    bool upfront; /* settled before it is served: extra.paymentFlow says so */
    struct x402_slice
        facilitator;             /* URL of who settles: extra.facilitator; empty: we */
    uint32_t window_seconds;     /* advertised: maxTimeoutSeconds */
    uint32_t window_min_seconds; /* less validity left than this is refused */
    uint32_t window_max_seconds; /* more likewise */
};

/*
 * The parts of a 402 that do not depend on the request, encoded once. Points into the
 * buffer given to x402_offer_encode.
 */
struct x402_offer_text {
    struct x402_slice header_head; /* base64 up to the URL, for who did not pay; v2 */
    struct x402_slice header_tail; /* base64 of what follows the URL, v2 */
    struct x402_slice entries[X402_ACCEPTS_MAX]; /* v1 accepts after their resource */
    size_t entries_count; /* may be 0: no legacy network offered */
};

/* Bytes x402_offer_encode may need for this offer. */
size_t x402_offer_text_size_max(const struct x402_offer *offer);

/*
 * Encodes an offer into buffer. Only legacy networks enter the v1 body: one other
 * breaks the legacy client's parse. ERR_SPACE; ERR_CONFIG when description or mime type
 * is not UTF-8. The buffer must live as long as *out.
 */
X402_MUST_USE enum x402_error x402_offer_encode(struct x402_offer_text *out,
                                                char *buffer, size_t buffer_size,
                                                const struct x402_offer *offer);

/* Longest resource URL that enters an offer, before JSON escaping; a longer one is cut.
 */
#define X402_RESOURCE_MAX 4096

/* Sizes that are always enough for one answer, given the URL's size. */
size_t x402_offer_header_size_max(const struct x402_offer_text *text, size_t url_size);
size_t x402_offer_body_size_max(const struct x402_offer_text *text, size_t url_size);

/*
 * Write the Payment-Required header value (base64) and the v1 JSON body. `error` is
 * why: X402_ERR_PAYMENT_REQUIRED for a caller who did not pay; the header takes its v2
 * reason, the body its v1 reason. The URL is JSON-escaped; bytes that are not UTF-8 are
 * percent-encoded. `out` needs the size given above. Return the size written. Any
 * thread.
 */
size_t x402_offer_header_write(char *out, const struct x402_offer_text *text,
                               enum x402_error error, struct x402_slice resource_url);
size_t x402_offer_body_write(char *out, const struct x402_offer_text *text,
                             enum x402_error error, struct x402_slice resource_url);

#endif
