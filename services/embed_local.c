#include "embed.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define DIMENSIONS EMBED_LOCAL_DIMENSIONS
#define GRAM_MIN 3 /* characters, the marks at a word's ends included */
#define GRAM_MAX 5
#define WORD_MAX 64 /* characters; the rest of a longer one is left out */

struct vector {
    double at[DIMENSIONS];
};

/* FNV-1a over code points, with a final mix, since its low bits alone are weak. */
static uint64_t hash_characters(const uint32_t *characters, size_t count)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ characters[i]) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32;
    hash *= UINT64_C(0x9fb21c651e98df25);
    return hash ^ (hash >> 28);
}

static void add_feature(struct vector *vector, const uint32_t *characters, size_t count)
{
    uint64_t hash = hash_characters(characters, count);
    vector->at[hash % DIMENSIONS] += hash >> 63 ? 1.0 : -1.0;
}

/* `word` stands between the marks '<' and '>', which count as characters. */
static void add_word(struct vector *vector, const uint32_t *word, size_t count)
{
    add_feature(vector, word, count);
    for (size_t size = GRAM_MIN; size <= GRAM_MAX; size++) {
        for (size_t start = 0; start + size <= count; start++)
            add_feature(vector, word + start, size);
    }
}

/* The next code point; a byte that is not UTF-8 is taken as it is. */
static uint32_t next_character(struct x402_slice *text)
{
    const unsigned char *p = (const unsigned char *)text->data;
    size_t size = p[0] < 0xc0 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    uint32_t character = p[0];
    if (size > text->size)
        size = 1;
    if (size > 1) {
        character &= 0xffU >> (size + 1);
        for (size_t i = 1; i < size; i++)
            character = (character << 6) | (p[i] & 0x3fU);
    }
    text->data += size;
    text->size -= size;
    return character;
}

static uint32_t lower(uint32_t c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static bool is_letter(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c >= 128;
}

static void end_word(struct vector *vector, uint32_t *word, size_t *count,
                     size_t *words)
{
    if (*count == 1)
        return; /* nothing but the mark */
    word[(*count)++] = '>';
    add_word(vector, word, *count);
    *count = 1;
    (*words)++;
}

/* Sums the features of every word; returns how many words there were. */
static size_t add_text(struct vector *vector, struct x402_slice text)
{
    uint32_t word[WORD_MAX + 2] = {'<'};
    size_t count = 1;
    size_t words = 0;
    while (text.size > 0) {
        uint32_t c = lower(next_character(&text));
        if (!is_letter(c))
            end_word(vector, word, &count, &words);
        else if (count <= WORD_MAX)
            word[count++] = c;
    }
    end_word(vector, word, &count, &words);
    return words;
}

static void normalize(struct vector *vector)
{
    double sum = 0;
    for (size_t i = 0; i < DIMENSIONS; i++)
        sum += vector->at[i] * vector->at[i];
    if (sum == 0)
        return;
    for (size_t i = 0; i < DIMENSIONS; i++)
        vector->at[i] /= sqrt(sum);
}

bool embed_local(double out[EMBED_LOCAL_DIMENSIONS], struct x402_slice text)
{
    struct vector vector = {0};
    if (add_text(&vector, text) == 0)
        return false;
    normalize(&vector);
    memcpy(out, vector.at, sizeof vector.at);
    return true;
}
