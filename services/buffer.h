/* Text that grows. Starts as {0}; free data. */
#ifndef X402_SERVICES_BUFFER_H
#define X402_SERVICES_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *data; /* malloc'ed; NULL as long as nothing was added */
    size_t size, capacity;
    bool failed; /* out of memory: what was added since is not there */
};

void buffer_add(struct buffer *buffer, const char *bytes, size_t size);
void buffer_add_text(struct buffer *buffer, const char *zero_terminated);

/*
 * Adds a zero, and hands the data over, to be freed; its size without the zero is in
 * *size unless that is NULL. NULL, and nothing is left to free, when out of memory.
 */
char *buffer_take(size_t *size, struct buffer *buffer);

#endif
