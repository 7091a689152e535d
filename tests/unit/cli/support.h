/* What the tests of src/cli share: what a function printed, as text. */
#ifndef TESTS_UNIT_CLI_SUPPORT_H
#define TESTS_UNIT_CLI_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Takes the place of stdout or stderr until it is ended. */
struct capture {
    FILE **stream, *real, *file;
    char *text;
    size_t size;
};

static inline void capture_begin(struct capture *capture, FILE **stream)
{
    capture->stream = stream;
    capture->real = *stream;
    capture->file = open_memstream(&capture->text, &capture->size);
    assert_non_null(capture->file);
    *stream = capture->file;
}

/* The text, to be freed by the caller. */
static inline char *capture_end(struct capture *capture)
{
    *capture->stream = capture->real;
    assert_int_equal(fclose(capture->file), 0);
    return capture->text;
}

static inline void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' is not in: %s", part, text);
}

static inline void assert_lacks(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("'%s' is in: %s", part, text);
}

#endif
