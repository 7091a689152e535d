/* What a fuzz target finds wrong, it says before it ends. */
#ifndef X402_TESTS_FUZZ_CHECK_H
#define X402_TESTS_FUZZ_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

/* An input as choices: one after another, and zeros when it has ended. */
struct choices {
    const uint8_t *at;
    size_t left;
};

__attribute__((unused)) static void take(void *out, size_t size,
                                         struct choices *choices)
{
    size_t taken = size < choices->left ? size : choices->left;

    memset(out, 0, size);
    if (taken > 0)
        memcpy(out, choices->at, taken);
    choices->at += taken;
    choices->left -= taken;
}

__attribute__((unused)) static unsigned take_byte(struct choices *choices)
{
    uint8_t byte;

    take(&byte, 1, choices);
    return byte;
}

/* One of the numbers that go wrong first, or any. */
__attribute__((unused)) static uint64_t take_number(struct choices *choices)
{
    static const uint64_t edges[] = {0,          1,         0x7f,           0x80,
                                     0xff,       0x100,     (1u << 24) - 1, UINT32_MAX,
                                     1ULL << 32, INT64_MAX, 1ULL << 63,     UINT64_MAX};
    unsigned which = take_byte(choices);
    uint64_t number;

    if (which < sizeof edges / sizeof edges[0])
        return edges[which];
    take(&number, sizeof number, choices);
    return number >> (which % 8 * 8);
}

/* The next bytes, as many as the first of them says, as text that ends with a zero: it
 * may have zeros in it, and then is shorter. */
__attribute__((unused)) static void take_text(char *out, size_t out_max,
                                              struct choices *choices)
{
    size_t size = take_byte(choices);

    size = size < choices->left ? size : choices->left;
    size = size < out_max ? size : out_max - 1;
    take(out, size, choices);
    out[size] = '\0';
}

#endif
