#include "cli/prices.h"

#include <x402/money.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define WORDS_MAX 8 /* of a directive; the rest is not looked at */
#define BLOCKS_MAX 32

/* A directive or the head of a block, word by word. */
struct directive {
    struct x402_slice words[WORDS_MAX];
    size_t count;
};

struct scan {
    struct x402_slice rest;
    char where[BLOCKS_MAX][X402_PRICE_WHERE_MAX]; /* of the blocks that are open */
    size_t depth;
};

static void skip(struct scan *scan, size_t size)
{
    scan->rest.data += size;
    scan->rest.size -= size;
}

/* Spaces, and comments to the end of their lines. */
static void skip_space(struct scan *scan)
{
    bool comment = false;

    while (scan->rest.size > 0) {
        char c = scan->rest.data[0];
        comment = (comment || c == '#') && c != '\n';
        if (!comment && !isspace((unsigned char)c))
            return;
        skip(scan, 1);
    }
}

/* The next word, without its quotes. */
static struct x402_slice take_word(struct scan *scan)
{
    char quote = scan->rest.data[0];
    bool quoted = quote == '"' || quote == '\'';
    struct x402_slice word;
    size_t size = 0;

    if (quoted)
        skip(scan, 1);
    while (size < scan->rest.size) {
        char c = scan->rest.data[size];
        if (quoted ? c == quote : isspace((unsigned char)c) || c == ';' || c == '{')
            break;
        size += c == '\\' && size + 1 < scan->rest.size ? 2 : 1;
    }
    word = (struct x402_slice){scan->rest.data, size};
    skip(scan, size);
    if (quoted && scan->rest.size > 0)
        skip(scan, 1);
    return word;
}

/* Reads up to what ends a directive: ';', '{', '}', or 0 at the end of the text. */
static char take_directive(struct scan *scan, struct directive *out)
{
    out->count = 0;
    for (skip_space(scan); scan->rest.size > 0; skip_space(scan)) {
        char c = scan->rest.data[0];
        if (c == ';' || c == '{' || c == '}') {
            skip(scan, 1);
            return c;
        }
        struct x402_slice word = take_word(scan);
        if (out->count < WORDS_MAX)
            out->words[out->count++] = word;
    }
    return '\0';
}

static bool is_word(const struct directive *directive, size_t index, const char *text)
{
    return index < directive->count &&
           x402_slice_equal(directive->words[index], x402_slice_of(text));
}

/* A location is called by its last word, any other block by its first. */
static void open_block(struct scan *scan, const struct directive *head)
{
    struct x402_slice name = x402_slice_of("");

    if (head->count > 0)
        name = head->words[is_word(head, 0, "location") ? head->count - 1 : 0];
    if (scan->depth < BLOCKS_MAX)
        snprintf(scan->where[scan->depth], X402_PRICE_WHERE_MAX, "%.*s",
                 (int)(name.size < X402_PRICE_WHERE_MAX ? name.size
                                                        : X402_PRICE_WHERE_MAX - 1),
                 name.data);
    scan->depth++;
}

static const char *where_now(const struct scan *scan)
{
    size_t depth = scan->depth < BLOCKS_MAX ? scan->depth : BLOCKS_MAX;

    return depth > 0 ? scan->where[depth - 1] : "";
}

static void add_price(struct x402_prices *out, const char *where, uint64_t micro_usd)
{
    for (size_t i = 0; i < out->count; i++) {
        if (out->items[i].micro_usd == micro_usd) {
            out->items[i].more++;
            return;
        }
    }
    if (out->count == X402_PRICES_MAX || micro_usd == 0)
        return;
    out->items[out->count].micro_usd = micro_usd;
    out->items[out->count].more = 0;
    snprintf(out->items[out->count].where, X402_PRICE_WHERE_MAX, "%s", where);
    out->count++;
}

static void take_price(struct x402_prices *out, const struct scan *scan,
                       struct x402_slice text)
{
    const char *why;
    uint64_t micro_usd;

    if (memchr(text.data, '$', text.size) != NULL)
        out->variable++;
    else if (x402_usd_decode(&micro_usd, &why, text) == X402_OK)
        add_price(out, where_now(scan), micro_usd);
}

void x402_prices_scan(struct x402_prices *out, struct x402_slice text)
{
    struct scan scan = {.rest = text};
    struct directive directive;
    char end;

    memset(out, 0, sizeof *out);
    while ((end = take_directive(&scan, &directive)) != '\0') {
        if (end == '{')
            open_block(&scan, &directive);
        else if (end == '}')
            scan.depth -= scan.depth > 0;
        else if (is_word(&directive, 0, "x402_price") && directive.count > 1)
            take_price(out, &scan, directive.words[1]);
        else if (is_word(&directive, 0, "include"))
            out->included++;
    }
}
