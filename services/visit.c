#include "visit.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_AT_ONCE 4 /* a page that is being read takes tens of megabytes */

static sem_t readers;

static void start_reading(void)
{
    (void)sem_init(&readers, 0, READ_AT_ONCE);
}

/* page_read, when it is its turn. */
static bool read_in_turn(struct page *page, const struct fetched *fetched)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    bool fine;
    pthread_once(&once, start_reading);
    while (sem_wait(&readers) != 0)
        continue; /* a signal */
    fine = page_read(page, fetched->body, fetched->size, fetched->type, fetched->url);
    sem_post(&readers);
    return fine;
}

static unsigned status_of(enum fetch_result result)
{
    switch (result) {
    case FETCH_BAD_URL:
        return 400;
    case FETCH_FORBIDDEN:
        return 403;
    case FETCH_TOO_SLOW:
        return 504;
    case FETCH_OK:
    case FETCH_UNRESOLVED:
    case FETCH_REDIRECTS:
    case FETCH_TOO_LARGE:
    case FETCH_STATUS:
    case FETCH_FAILED:
        break;
    }
    return 502;
}

static void answer_unfetched(struct service_answer *answer, enum fetch_result result,
                             const struct fetched *fetched)
{
    char text[64];
    (void)snprintf(text, sizeof text, "The page answers with status %ld",
                   fetched->status);
    service_answer_problem(answer, status_of(result),
                           result == FETCH_STATUS ? text : fetch_result_text(result));
}

bool visit(struct page *page, char found_at[FETCH_URL_MAX],
           struct service_answer *answer, struct x402_slice url)
{
    struct fetched fetched;
    enum fetch_result result = fetch(&fetched, url);
    bool fine;
    if (result != FETCH_OK) {
        answer_unfetched(answer, result, &fetched);
        return false;
    }
    fine = read_in_turn(page, &fetched);
    free(fetched.body);
    memcpy(found_at, fetched.url, FETCH_URL_MAX);
    if (!fine) {
        page_free(page);
        service_answer_problem(answer, 422, "The page is neither HTML nor plain text");
    }
    return fine;
}
