#include "summary.h"

#include "utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 256 /* of a sentence that are looked at */
#define WORDS_MIN 5   /* of a sentence that is worth showing */
#define BYTES_MAX 400 /* of one, too */
#define DAMPING 0.85  /* Brin and Page's */
#define ROUNDS_MAX 100
#define CHANGE_MIN 1e-6 /* of a rank, below which a round changes nothing */
#define COMMON_FROM 10  /* sentences of a text, for a word to count as common */
#define COMMON_PART 0.3 /* of the sentences have it: "the", "der", "の" */

/* A sentence as its words: hashes, sorted, each once. */
struct sentence {
    struct x402_slice text;
    uint64_t *words; /* in struct ranking's */
    size_t count;    /* of them that are not common */
    size_t spoken;   /* words that were read, common ones and repeated ones too */
    double rank;
};

struct ranking {
    struct sentence *sentences;
    size_t count;
    uint64_t *words; /* WORDS_MAX a sentence */
    float *edges;    /* count x count: how alike */
    double *sums;    /* of each row of edges */
    double *next;    /* ranks of a round */
};

/* -------------------------------------------------------------------------- words */

static int compare_words(const void *a, const void *b)
{
    uint64_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return (left > right) - (left < right);
}

static uint64_t hash_character(uint64_t hash, uint32_t c)
{
    hash = (hash ^ c) * UINT64_C(0x9fb21c651e98df25);
    return hash ^ (hash >> 29);
}

struct words {
    struct x402_slice rest;
    uint32_t before; /* the last character, of a script without spaces; else 0 */
};

/* The next word; false when there is none. Without spaces, each two characters are. */
static bool take_word(uint64_t *hash, struct words *words)
{
    size_t size = 0;
    *hash = 1;
    while (words->rest.size > 0) {
        struct x402_slice here = words->rest;
        uint32_t c = utf8_lower(utf8_next(&words->rest));
        bool is_word = utf8_is_word(c);
        if (size > 0 && (!is_word || utf8_is_unspaced(c))) {
            words->rest = here;
            return true;
        }
        if (is_word && utf8_is_unspaced(c)) {
            *hash = hash_character(hash_character(*hash, words->before), c);
            words->before = c;
            return true;
        }
        words->before = 0;
        if (is_word) {
            *hash = hash_character(*hash, c);
            size++;
        }
    }
    return size > 0;
}

/* Sorts, and leaves each out but once; returns how many are left. */
static size_t sort_once(uint64_t *words, size_t count)
{
    size_t kept = 0;
    qsort(words, count, sizeof *words, compare_words);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || words[kept - 1] != words[i])
            words[kept++] = words[i];
    }
    return kept;
}

static void read_words(struct sentence *sentence, uint64_t *words)
{
    struct words reader = {.rest = sentence->text};
    uint64_t word;
    sentence->words = words;
    while (sentence->spoken < WORDS_MAX && take_word(&word, &reader))
        words[sentence->spoken++] = word;
    sentence->count = sort_once(words, sentence->spoken);
}

/* The words that many sentences have; returns how many, sorted, in `out`. */
static size_t find_common(uint64_t *out, const struct ranking *ranking)
{
    size_t count = 0, common = 0;
    double least = COMMON_PART * (double)ranking->count;
    for (size_t i = 0; i < ranking->count; i++) {
        const struct sentence *sentence = &ranking->sentences[i];
        memcpy(out + count, sentence->words, sentence->count * sizeof *out);
        count += sentence->count;
    }
    qsort(out, count, sizeof *out, compare_words);
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i; next < count && out[next] == out[i];)
            next++;
        if ((double)(next - i) > least)
            out[common++] = out[i];
    }
    return common;
}

static void drop_common(struct sentence *sentence, const uint64_t *common, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < sentence->count; i++) {
        if (bsearch(&sentence->words[i], common, count, sizeof *common,
                    compare_words) == NULL)
            sentence->words[kept++] = sentence->words[i];
    }
    sentence->count = kept;
}

/* No list of stop words, so of any language: what is everywhere says nothing. */
static bool drop_all_common(struct ranking *ranking)
{
    uint64_t *common;
    size_t count;
    if (ranking->count < COMMON_FROM)
        return true;
    common = calloc(ranking->count * WORDS_MAX, sizeof *common);
    if (common == NULL)
        return false;
    count = find_common(common, ranking);
    for (size_t i = 0; i < ranking->count; i++)
        drop_common(&ranking->sentences[i], common, count);
    free(common);
    return true;
}

/* -------------------------------------------------------------------------- ranks */

static size_t count_shared(const struct sentence *a, const struct sentence *b)
{
    size_t shared = 0;
    for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
        uint64_t left = a->words[i], right = b->words[j];
        shared += left == right;
        i += left <= right;
        j += right <= left;
    }
    return shared;
}

/* Mihalcea and Tarau's measure: words shared, by the logarithms of the lengths. */
static double likeness(const struct sentence *a, const struct sentence *b)
{
    double length = log((double)a->count + 1) + log((double)b->count + 1);
    return length > 0 ? (double)count_shared(a, b) / length : 0;
}

static void draw_edges(struct ranking *ranking)
{
    size_t n = ranking->count;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++) {
            double like = likeness(&ranking->sentences[i], &ranking->sentences[j]);
            ranking->edges[i * n + j] = ranking->edges[j * n + i] = (float)like;
            ranking->sums[i] += like;
            ranking->sums[j] += like;
        }
    }
}

/* One round of the power iteration; returns the largest change of a rank. */
static double rank_once(struct ranking *ranking)
{
    size_t n = ranking->count;
    double change = 0;
    for (size_t i = 0; i < n; i++) {
        double votes = 0;
        for (size_t j = 0; j < n; j++) {
            if (ranking->sums[j] > 0)
                votes += (double)ranking->edges[i * n + j] / ranking->sums[j] *
                         ranking->sentences[j].rank;
        }
        ranking->next[i] = 1 - DAMPING + DAMPING * votes;
    }
    for (size_t i = 0; i < n; i++) {
        change = fmax(change, fabs(ranking->next[i] - ranking->sentences[i].rank));
        ranking->sentences[i].rank = ranking->next[i];
    }
    return change;
}

/* -------------------------------------------------------------------------- choice */

/* A heading, a caption or a rant is no sentence of a summary. */
static bool is_fit(const struct sentence *sentence)
{
    return sentence->spoken >= WORDS_MIN && sentence->text.size <= BYTES_MAX;
}

/* Says nearly what one of those chosen says. */
static bool is_said(const struct ranking *ranking, const size_t *chosen, size_t count,
                    const struct sentence *sentence)
{
    for (size_t i = 0; i < count; i++) {
        const struct sentence *other = &ranking->sentences[chosen[i]];
        size_t least = other->count < sentence->count ? other->count : sentence->count;
        if (5 * count_shared(other, sentence) >= 4 * least)
            return true;
    }
    return false;
}

/* Of equal ones, the first; returns ranking->count for none. */
static size_t find_best(const struct ranking *ranking, const size_t *chosen,
                        size_t count, bool only_fit)
{
    size_t best = ranking->count;
    for (size_t i = 0; i < ranking->count; i++) {
        const struct sentence *sentence = &ranking->sentences[i];
        if (sentence->spoken == 0 || (only_fit && !is_fit(sentence)) ||
            is_said(ranking, chosen, count, sentence))
            continue;
        if (best == ranking->count || sentence->rank > ranking->sentences[best].rank)
            best = i;
    }
    return best;
}

static int compare_places(const void *a, const void *b)
{
    const size_t *left = a, *right = b;
    return (*left > *right) - (*left < *right);
}

static size_t choose(struct x402_slice *out, const struct ranking *ranking)
{
    size_t chosen[SUMMARY_SENTENCES];
    size_t count = 0;
    bool any_fit = find_best(ranking, chosen, 0, true) < ranking->count;
    while (count < SUMMARY_SENTENCES) {
        size_t best = find_best(ranking, chosen, count, any_fit);
        if (best == ranking->count)
            break;
        chosen[count++] = best;
    }
    qsort(chosen, count, sizeof chosen[0], compare_places);
    for (size_t i = 0; i < count; i++)
        out[i] = ranking->sentences[chosen[i]].text;
    return count;
}

/* ------------------------------------------------------------------------- summary */

static bool open_ranking(struct ranking *ranking, const struct x402_slice *texts,
                         size_t count)
{
    size_t room = count + 1; /* a text may have no sentence, and none is not NULL */
    *ranking = (struct ranking){
        .sentences = calloc(room, sizeof *ranking->sentences),
        .count = count,
        .words = calloc(room * WORDS_MAX, sizeof *ranking->words),
        .edges = calloc(room * room, sizeof *ranking->edges),
        .sums = calloc(room, sizeof *ranking->sums),
        .next = calloc(room, sizeof *ranking->next),
    };
    if (ranking->sentences == NULL || ranking->words == NULL ||
        ranking->edges == NULL || ranking->sums == NULL || ranking->next == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        ranking->sentences[i].text = texts[i];
        ranking->sentences[i].rank = 1;
        read_words(&ranking->sentences[i], ranking->words + i * WORDS_MAX);
    }
    return drop_all_common(ranking);
}

static void release_ranking(struct ranking *ranking)
{
    free(ranking->sentences);
    free(ranking->words);
    free(ranking->edges);
    free(ranking->sums);
    free(ranking->next);
}

bool summary_make(struct x402_slice out[SUMMARY_SENTENCES], size_t *count,
                  struct x402_slice text)
{
    struct x402_slice texts[SUMMARY_RANKED_MAX];
    struct ranking ranking;
    bool made =
        open_ranking(&ranking, texts, summary_split(texts, SUMMARY_RANKED_MAX, text));
    if (made) {
        draw_edges(&ranking);
        for (int i = 0; i < ROUNDS_MAX && rank_once(&ranking) > CHANGE_MIN; i++)
            continue;
        *count = choose(out, &ranking);
    }
    release_ranking(&ranking);
    return made;
}
