/*
 * Any bytes as a page, and its summary. What is read is UTF-8 without controls, white
 * space collapsed; sentences are in the text. The first byte says what the page is sent
 * as.
 */
#include "services/page.h"
#include "services/summary.h"
#include "services/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const types[] = {
    "text/html; charset=utf-8",
    "text/html",
    "",
    "text/plain",
    "text/html; charset=shift_jis",
    "text/html; charset=utf-16",
    "text/html; charset=gb18030",
    "image/png",
};

static void check(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "page_fuzz: %s\n", what);
    abort();
}

static void check_text(const char *zero_terminated)
{
    struct x402_slice text = x402_slice_of(zero_terminated);
    bool spaced = true;
    while (text.size > 0) {
        size_t before = text.size;
        uint32_t c = utf8_next(&text);
        bool is_space = c == ' ' || c == '\n';
        check(c != UTF8_REPLACEMENT || before - text.size == 3, "UTF-8");
        check(is_space || !utf8_is_space(c), "no other white space, and no control");
        check(!is_space || !spaced, "white space collapsed");
        spaced = is_space;
    }
}

static void check_summary(const char *zero_terminated)
{
    struct x402_slice text = x402_slice_of(zero_terminated);
    struct x402_slice sentences[SUMMARY_SENTENCES];
    const char *at = text.data;
    size_t count = 0;
    check(summary_make(sentences, &count, text), "memory");
    check(count <= SUMMARY_SENTENCES, "three sentences at most");
    for (size_t i = 0; i < count; i++) {
        check(sentences[i].size > 0, "sentences that say something");
        check(sentences[i].data >= at, "in the order of the text");
        at = sentences[i].data + sentences[i].size;
        check(at <= text.data + text.size, "in the text");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct page page;
    const char *type = types[size > 0 ? data[0] % (sizeof types / sizeof types[0]) : 0];
    size_t body_size = size > 0 ? size - 1 : 0;
    char *body = malloc(body_size + 1);
    if (body == NULL)
        abort();
    if (body_size > 0)
        memcpy(body, data + 1, body_size);
    if (page_read(&page, body, body_size, type, "https://www.example.org/a?b")) {
        check_text(page.title);
        check_text(page.description);
        check_text(page.text);
        check(strlen(page.title) <= 1024 && strlen(page.description) <= 1024, "short");
        check_summary(page.text);
    }
    page_free(&page);
    free(body);
    return 0;
}
