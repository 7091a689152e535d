/* Where sentences end (compare Unicode's UAX 29, which knows no abbreviations). */
#include "summary.h"

#include "utf8.h"

#include <string.h>
#include <strings.h>

#define SENTENCE_MAX 2000 /* bytes; what goes on for longer is cut between words */

/* Reads ahead of where a sentence may end. */
struct reader {
    struct x402_slice rest;
    const char *start; /* of the sentence */
};

static bool is_stop(uint32_t c)
{
    return c == '.' || c == '!' || c == '?' || c == 0x2026; /* … */
}

/* Stops after which no space comes, or that mean nothing else. */
static bool is_full_stop(uint32_t c)
{
    return c == 0x3002 || c == 0xff01 || c == 0xff1f || c == 0xff61 || /* 。！？｡ */
           c == 0x0964 || c == 0x061f || c == 0x06d4;                  /* । ؟ ۔ */
}

static bool is_closing(uint32_t c)
{
    return c == '"' || c == '\'' || c == ')' || c == ']' || c == 0xbb || /* » */
           c == 0x2019 || c == 0x201d || c == 0x300d || c == 0x300f || /* ’”」』 */
           c == 0xff09;                                                /* ） */
}

static bool is_small(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 0xdf && c <= 0xff && c != 0xf7) ||
           (c >= 0x3ac && c <= 0x3ce) || (c >= 0x430 && c <= 0x45f);
}

static bool is_abbreviation(struct x402_slice word)
{
    static const char *const known[] = {
        "mr",  "mrs",  "ms",   "dr",  "prof", "st",  "sr",     "jr",   "vs",   "etc",
        "inc", "ltd",  "corp", "co",  "dept", "est", "fig",    "vol",  "no",   "nos",
        "pp",  "ed",   "eds",  "cf",  "al",   "ca",  "approx", "gen",  "sgt",  "capt",
        "lt",  "col",  "gov",  "sen", "rep",  "rev", "hon",    "mt",   "ave",  "blvd",
        "jan", "feb",  "mar",  "apr", "jun",  "jul", "aug",    "sep",  "sept", "oct",
        "nov", "dec",  "bzw",  "usw", "bspw", "nr",  "ggf",    "inkl", "vgl",  "abb",
        "mme", "mlle", "sra",  "dra", "env",  "art", "hrsg",   "str",  "resp", "chap"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strlen(known[i]) == word.size &&
            strncasecmp(known[i], word.data, word.size) == 0)
            return true;
    }
    return false;
}

/* The word that ends at `end`, with the points inside of it: "U.S", "e.g". */
static struct x402_slice word_before(const char *start, const char *end)
{
    const char *at = end;
    while (at > start && at[-1] != ' ' && strchr("([\"'", at[-1]) == NULL)
        at--;
    return (struct x402_slice){at, (size_t)(end - at)};
}

/* One letter of any script: an initial. */
static bool is_letter(struct x402_slice word)
{
    uint32_t c;
    if (word.size == 0 || word.size > 4)
        return false;
    c = utf8_next(&word);
    return word.size == 0 && utf8_is_word(c) && !(c >= '0' && c <= '9') &&
           !utf8_is_unspaced(c);
}

static bool is_number(struct x402_slice word)
{
    for (size_t i = 0; i < word.size; i++) {
        if (word.data[i] < '0' || word.data[i] > '9')
            return false;
    }
    return word.size > 0;
}

/* Whether a point at `point` belongs to its word rather than to the sentence. */
static bool is_of_word(const char *start, const char *point)
{
    struct x402_slice word = word_before(start, point);
    if (is_letter(word) || is_abbreviation(word))
        return true;
    if (is_number(word))
        return word.data == start; /* the mark of a list: "1. First" */
    /* Points inside, and letters alone at its end: "U.S", "z.B". */
    return word.size >= 3 && word.data[word.size - 2] == '.' &&
           is_letter((struct x402_slice){word.data + word.size - 1, 1});
}

static uint32_t peek(struct x402_slice text)
{
    return text.size > 0 ? utf8_next(&text) : '\n';
}

/* What follows a stop: more stops, and what closes. */
static void take_closing(struct reader *reader)
{
    for (;;) {
        uint32_t c = peek(reader->rest);
        if (!is_stop(c) && !is_full_stop(c) && !is_closing(c))
            return;
        utf8_next(&reader->rest);
    }
}

/* Right behind a stop: whether the sentence ends there. Takes what belongs to it. */
static bool ends_here(struct reader *reader, uint32_t stop, const char *at)
{
    struct x402_slice next;
    if (is_full_stop(stop)) {
        take_closing(reader);
        return true;
    }
    if (!is_stop(stop) || (stop == '.' && is_of_word(reader->start, at)))
        return false;
    take_closing(reader);
    next = reader->rest;
    if (!utf8_is_space(peek(next)))
        return utf8_is_unspaced(peek(next));
    while (next.size > 0 && utf8_is_space(peek(next)) && peek(next) != '\n')
        utf8_next(&next);
    return !is_small(peek(next));
}

/* Goes behind the end of the sentence that starts at reader->start. */
static void take_sentence(struct reader *reader)
{
    while (reader->rest.size > 0) {
        const char *at = reader->rest.data;
        uint32_t c = utf8_next(&reader->rest);
        size_t size = (size_t)(at - reader->start);
        if (c == '\n' || ends_here(reader, c, at))
            return;
        if (size >= SENTENCE_MAX && (utf8_is_space(c) || size >= 2 * SENTENCE_MAX))
            return;
    }
}

/* ASCII's spaces: the texts of pages have no others. */
static bool is_blank(char c)
{
    return (unsigned char)c <= ' ';
}

static struct x402_slice trim(struct x402_slice text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

size_t summary_split(struct x402_slice *out, size_t max, struct x402_slice text)
{
    struct reader reader = {.rest = text};
    size_t count = 0;
    while (reader.rest.size > 0 && count < max) {
        struct x402_slice sentence;
        reader.rest = trim(reader.rest);
        reader.start = reader.rest.data;
        take_sentence(&reader);
        sentence = trim((struct x402_slice){reader.start,
                                            (size_t)(reader.rest.data - reader.start)});
        if (sentence.size > 0)
            out[count++] = sentence;
    }
    return count;
}
