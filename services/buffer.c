#include "buffer.h"

#include <stdlib.h>
#include <string.h>

void buffer_add(struct buffer *buffer, const char *bytes, size_t size)
{
    if (buffer->failed || size == 0)
        return;
    if (size > buffer->capacity - buffer->size) {
        size_t capacity = 2 * (buffer->capacity + size);
        char *grown = realloc(buffer->data, capacity);
        if (grown == NULL) {
            buffer->failed = true;
            return;
        }
        buffer->data = grown;
        buffer->capacity = capacity;
    }
    memcpy(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
}

void buffer_add_text(struct buffer *buffer, const char *zero_terminated)
{
    buffer_add(buffer, zero_terminated, strlen(zero_terminated));
}

char *buffer_take(size_t *size, struct buffer *buffer)
{
    char *data;
    buffer_add(buffer, "", 1);
    if (buffer->failed)
        free(buffer->data);
    else if (size != NULL)
        *size = buffer->size - 1;
    data = buffer->failed ? NULL : buffer->data;
    *buffer = (struct buffer){0};
    return data;
}
