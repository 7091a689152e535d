/*
 * An Internet on one machine, for tests. Only builds with X402_TEST_CLOCK have it; in a
 * release nothing is pretended, and the environment is not asked.
 */
#ifndef X402_SERVICES_PRETEND_H
#define X402_SERVICES_PRETEND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#ifdef X402_TEST_CLOCK

/* Whether it is of the IPv4 net in X402_SERVICES_TEST_PUBLIC, "127.77.0.0/16". */
bool pretend_is_public(const struct sockaddr *address);

/*
 * What DNS answers for a host by the file that X402_SERVICES_TEST_HOSTS names, read
 * anew each time, with lines of "NAME ADDRESS[,ADDRESS]": an entry for libcurl's
 * CURLOPT_RESOLVE to free, or NULL when the file has none.
 */
char *pretend_answer(const char *host, const char *port);

#else

static inline bool pretend_is_public(const struct sockaddr *address)
{
    (void)address;
    return false;
}

static inline char *pretend_answer(const char *host, const char *port)
{
    (void)host;
    (void)port;
    return NULL;
}

#endif

#endif
