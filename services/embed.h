/* Vectors for texts: from an API, or made on this machine. Any thread. */
#ifndef X402_SERVICES_EMBED_H
#define X402_SERVICES_EMBED_H

#include "api.h"

#include <x402/bytes.h>

#include <stdbool.h>

#define EMBED_LOCAL_DIMENSIONS 256
#define EMBED_LOCAL_MODEL "local-ngram-256"

/*
 * Character n-grams of the words are hashed into signed buckets (Weinberger et al.,
 * "Feature Hashing for Large Scale Multitask Learning"), and the whole is scaled to
 * length 1: texts that share words, or most of a word, have a large cosine. False, with
 * `out` unwritten, for a text without words.
 */
bool embed_local(double out[EMBED_LOCAL_DIMENSIONS], struct x402_slice text);

#define EMBED_API_DIMENSIONS_MAX 8192

struct embed_reply {
    json_t *vector; /* API_OK: an array of numbers, to be json_decref'ed */
    char model[96]; /* that answered */
    unsigned retry_after_seconds; /* API_OVERLOADED */
};

/* Asks an API of OpenAI's shape: POST URL/v1/embeddings. `text` is UTF-8; see api.h. */
enum api_result embed_api(struct embed_reply *reply, const struct services_api *api,
                          struct x402_slice text);

#endif
