#include "settle/transfer.h"

#include <stdlib.h>
#include <string.h>

bool x402_transfer_open(struct x402_transfer *transfer)
{
    transfer->easy = curl_easy_init();
    return transfer->easy != NULL;
}

void x402_transfer_close(struct x402_transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    free(transfer->answer);
    memset(transfer, 0, sizeof *transfer);
}

static size_t take_answer(char *data, size_t one, size_t size, void *user)
{
    struct x402_transfer *transfer = user;

    size *= one;
    if (size > transfer->max - transfer->size) {
        transfer->too_large = true;
        return 0; /* ends the transfer */
    }
    if (transfer->size + size > transfer->capacity) {
        size_t capacity = 2 * (transfer->size + size);
        char *larger = realloc(transfer->answer, capacity);
        if (larger == NULL)
            return 0;
        transfer->answer = larger;
        transfer->capacity = capacity;
    }
    memcpy(transfer->answer + transfer->size, data, size);
    transfer->size += size;
    return size;
}

void x402_transfer_prepare(struct x402_transfer *transfer,
                           const struct x402_transfer_options *options)
{
    CURL *easy = transfer->easy;

    transfer->size = 0;
    transfer->max = options->answer_max;
    transfer->too_large = false;
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, options->url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, options->connect_milliseconds);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, options->timeout_milliseconds);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "x402");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, options->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
}

void x402_transfer_reset(struct x402_transfer *transfer, CURLM *multi)
{
    curl_multi_remove_handle(multi, transfer->easy);
    free(transfer->answer);
    transfer->answer = NULL;
    transfer->size = transfer->capacity = 0;
}

void x402_transfers_finish(CURLM *multi,
                           void (*ended)(void *context, struct x402_transfer *transfer,
                                         CURLcode code),
                           void *context)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        char *transfer = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        ended(context, (struct x402_transfer *)(void *)transfer, code);
    }
}
