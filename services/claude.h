/*
 * Claude, through Anthropic's Messages API (POST URL/v1/messages).
 *
 * https://docs.anthropic.com/en/api/messages
 */
#ifndef X402_SERVICES_CLAUDE_H
#define X402_SERVICES_CLAUDE_H

#include "config.h"

#include <x402/bytes.h>

#include <stdbool.h>

enum claude_result {
    CLAUDE_OK,
    CLAUDE_NO_KEY,     /* nobody was asked */
    CLAUDE_OVERLOADED, /* 429 or 529, also after the retries */
    CLAUDE_REFUSED,    /* any other error of the API: the key, the model, the request */
    CLAUDE_FAILED,     /* no answer in time, or none that can be read */
};

struct claude_question {
    const char *system;     /* what it is to be; zero-terminated UTF-8 */
    struct x402_slice text; /* what is asked; UTF-8 */
    unsigned tokens_max;    /* of the answer */
};

struct claude_answer {
    char *text;     /* malloc'ed, zero-terminated UTF-8; NULL unless CLAUDE_OK */
    bool cut;       /* it ended at tokens_max */
    char model[96]; /* that answered */
    unsigned retry_after_seconds; /* OVERLOADED: as told, or 1 */
};

/*
 * Asks once, and again after 429 and 529 with a growing pause, 20 seconds in all at
 * most; blocks so long. At most 256 KiB of an answer are read. Any thread. Free
 * answer->text.
 */
enum claude_result claude_ask(struct claude_answer *answer,
                              const struct services_api *api,
                              const struct claude_question *question);

/* A sentence for people of a result that is not CLAUDE_OK; static. */
const char *claude_result_text(enum claude_result result);

#endif
