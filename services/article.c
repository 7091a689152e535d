#include "article.h"

#include "utf8.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 512       /* of elements; libxml2 ends at 256 */
#define PARAGRAPH_MIN 25    /* bytes; what is shorter is a label and gives no points */
#define ARTICLE_MIN 100     /* bytes; with less, it was left out by mistake */
#define LINKS_MAX 0.5       /* part of a paragraph's text that may be links */
#define PARENT_SHARE 0.5    /* of a paragraph's points */
#define ANCESTOR_SHARE 0.33 /* for the next one up */
#define CLIMB_SHARE                                                                    \
    0.75 /* of the best one's points, with which its parent is better                  \
          */

/* A run of text that nothing but inline elements divides. */
struct run {
    xmlNode *block; /* the element that it stands in */
    size_t start, size, links_size, commas;
};

struct walk {
    struct buffer text; /* of all runs */
    struct run *runs;
    size_t count, capacity;
    bool strict, failed;
    /* Of the run that is being read: */
    xmlNode *block;
    size_t start, links_size, commas;
    unsigned breaks; /* br elements in a row */
};

/* ----------------------------------------------------------------------- elements */

enum trait {
    BLOCK = 1, /* stands on lines of its own */
    LEAF = 2,  /* a paragraph in itself: its points go to what it is in */
    HEADING = 4,
    OPAQUE = 8,     /* holds nothing to read */
    FURNITURE = 16, /* around the article, most often */
    WHOLE = 32,     /* holds the article, whatever its class sounds like */
    LINK = 64,
    BREAK = 128,
    CODE = 256, /* or art: text, but no prose */
};

struct element {
    const char *name;
    unsigned traits;
};

/* In the order of strcmp; the parser gives names in lower case. */
static const struct element elements[] = {
    {"a", LINK},
    {"address", BLOCK},
    {"article", BLOCK | WHOLE},
    {"aside", BLOCK | FURNITURE},
    {"audio", OPAQUE},
    {"blockquote", BLOCK | LEAF},
    {"body", BLOCK | WHOLE},
    {"br", BREAK},
    {"button", OPAQUE},
    {"canvas", OPAQUE},
    {"caption", BLOCK | LEAF},
    {"center", BLOCK},
    {"dd", BLOCK | LEAF},
    {"details", BLOCK},
    {"div", BLOCK},
    {"dl", BLOCK},
    {"dt", BLOCK | LEAF},
    {"fieldset", BLOCK},
    {"figcaption", BLOCK | LEAF},
    {"figure", BLOCK},
    {"footer", BLOCK | FURNITURE},
    {"form", BLOCK | FURNITURE},
    {"h1", BLOCK | HEADING},
    {"h2", BLOCK | HEADING},
    {"h3", BLOCK | HEADING},
    {"h4", BLOCK | HEADING},
    {"h5", BLOCK | HEADING},
    {"h6", BLOCK | HEADING},
    {"header", BLOCK | FURNITURE},
    {"hgroup", BLOCK},
    {"hr", BLOCK},
    {"html", BLOCK | WHOLE},
    {"li", BLOCK | LEAF},
    {"main", BLOCK | WHOLE},
    {"math", OPAQUE},
    {"nav", BLOCK | FURNITURE},
    {"object", OPAQUE},
    {"ol", BLOCK},
    {"option", OPAQUE},
    {"p", BLOCK | LEAF},
    {"pre", BLOCK | LEAF | CODE},
    {"section", BLOCK},
    {"select", OPAQUE},
    {"summary", BLOCK | LEAF},
    {"svg", OPAQUE},
    {"table", BLOCK},
    {"tbody", BLOCK},
    {"td", BLOCK | LEAF},
    {"template", OPAQUE},
    {"tfoot", BLOCK},
    {"th", BLOCK | LEAF},
    {"thead", BLOCK},
    {"title", OPAQUE},
    {"tr", BLOCK},
    {"ul", BLOCK},
    {"video", OPAQUE},
};

static int compare_element(const void *a, const void *b)
{
    const struct element *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static unsigned traits_of(const xmlNode *node)
{
    struct element key = {(const char *)node->name, 0};
    const struct element *found =
        bsearch(&key, elements, sizeof elements / sizeof elements[0], sizeof key,
                compare_element);
    return found != NULL ? found->traits : 0;
}

/* The value of an attribute, or "". The parser keeps it in one node. */
static const char *attribute(const xmlNode *node, const char *name)
{
    for (const xmlAttr *a = node->properties; a != NULL; a = a->next) {
        if (strcmp((const char *)a->name, name) == 0)
            return a->children != NULL && a->children->content != NULL
                       ? (const char *)a->children->content
                       : "";
    }
    return "";
}

/* Whether a word of a class or id begins as those of page furniture do. */
static bool is_furniture(const char *words)
{
    static const char *const starts[] = {
        "sidebar", "comment",    "footer", "cookie",    "menu",
        "nav",     "share",      "social", "promo",     "advert",
        "related", "breadcrumb", "banner", "newsletter"};
    while (*words != '\0') {
        for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
            if (strncasecmp(words, starts[i], strlen(starts[i])) == 0)
                return true;
        }
        words += strcspn(words, " ");
        words += strspn(words, " ");
    }
    return false;
}

static bool is_hidden(const xmlNode *node)
{
    return xmlHasProp(node, BAD_CAST "hidden") != NULL ||
           strcasecmp(attribute(node, "aria-hidden"), "true") == 0;
}

static bool is_furniture_role(const char *role)
{
    static const char *const roles[] = {"navigation",    "banner", "contentinfo",
                                        "complementary", "search", "dialog"};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
        if (strcasecmp(role, roles[i]) == 0)
            return true;
    }
    return false;
}

static bool is_dropped(const xmlNode *node, unsigned traits, bool strict)
{
    if ((traits & OPAQUE) != 0 || is_hidden(node))
        return true;
    if (!strict || (traits & WHOLE) != 0)
        return false;
    return (traits & FURNITURE) != 0 || is_furniture(attribute(node, "class")) ||
           is_furniture(attribute(node, "id")) ||
           is_furniture_role(attribute(node, "role"));
}

/* --------------------------------------------------------------------------- runs */

void article_add_collapsed(struct buffer *out, const char *zero_terminated)
{
    struct x402_slice text = x402_slice_of(zero_terminated);
    while (text.size > 0) {
        char bytes[4];
        uint32_t c = utf8_next(&text);
        if (utf8_is_invisible(c))
            continue;
        if (!utf8_is_space(c))
            buffer_add(out, bytes, utf8_put(bytes, c));
        else if (out->size > 0 && out->data[out->size - 1] != ' ' &&
                 out->data[out->size - 1] != '\n')
            buffer_add(out, " ", 1);
    }
}

static void end_run(struct walk *walk)
{
    size_t end = walk->text.size;
    while (end > walk->start && walk->text.data[end - 1] == ' ')
        end--;
    if (end > walk->start && walk->count == walk->capacity) {
        size_t capacity = 2 * walk->capacity + 64;
        struct run *grown = realloc(walk->runs, capacity * sizeof *grown);
        walk->failed = walk->failed || grown == NULL;
        if (grown != NULL) {
            walk->runs = grown;
            walk->capacity = capacity;
        }
    }
    if (end > walk->start && walk->count < walk->capacity)
        walk->runs[walk->count++] =
            (struct run){walk->block, walk->start, end - walk->start, walk->links_size,
                         walk->commas};
    buffer_add(&walk->text, "\n", 1);
    walk->start = walk->text.size;
    walk->links_size = walk->commas = 0;
    walk->breaks = 0;
}

static size_t count_commas(const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += text[i] == ',' || (i > 1 && memcmp(text + i - 2, "、", 3) == 0) ||
                 (i > 1 && memcmp(text + i - 2, "，", 3) == 0);
    return count;
}

static void add_text(struct walk *walk, const char *text, bool in_link)
{
    size_t before = walk->text.size;
    article_add_collapsed(&walk->text, text);
    if (walk->text.size == before)
        return;
    walk->commas += count_commas(walk->text.data + before, walk->text.size - before);
    if (in_link)
        walk->links_size += walk->text.size - before;
    if (walk->text.size - before > 1 || walk->text.data[before] != ' ')
        walk->breaks = 0;
}

static void walk_node(struct walk *walk, xmlNode *node, bool in_link, unsigned depth);

static void walk_break(struct walk *walk)
{
    article_add_collapsed(&walk->text, " ");
    if (++walk->breaks == 2)
        end_run(walk); /* a paragraph of former times */
}

static void walk_element(struct walk *walk, xmlNode *node, bool in_link, unsigned depth)
{
    unsigned traits = traits_of(node);
    xmlNode *outer = walk->block;
    if (is_dropped(node, traits, walk->strict) || depth == DEPTH_MAX)
        return;
    if ((traits & BREAK) != 0)
        walk_break(walk);
    if ((traits & BLOCK) != 0) {
        end_run(walk);
        walk->block = node;
    }
    for (xmlNode *child = node->children; child != NULL; child = child->next)
        walk_node(walk, child, in_link || (traits & LINK) != 0, depth + 1);
    if ((traits & BLOCK) != 0) {
        end_run(walk);
        walk->block = outer;
    }
}

static void walk_node(struct walk *walk, xmlNode *node, bool in_link, unsigned depth)
{
    if (node->type == XML_ELEMENT_NODE)
        walk_element(walk, node, in_link, depth);
    else if (node->type == XML_TEXT_NODE && node->content != NULL)
        add_text(walk, (const char *)node->content, in_link);
}

/* ------------------------------------------------------------------------- scores */

static bool is_prose(const struct run *run)
{
    return (traits_of(run->block) & (HEADING | CODE)) == 0 &&
           (double)run->links_size < LINKS_MAX * (double)run->size;
}

/* Readability's: a point, one for each comma, and one for each 100 bytes up to three.
 */
static double points(const struct run *run)
{
    double size = (double)run->size;
    double length = size < 300 ? size / 100 : 3;
    return (1 + (double)run->commas + length) * (1 - (double)run->links_size / size);
}

/* Scores stand in an array; a node's `_private` says where, once it has one. */
struct scores {
    double *at;
    size_t count;
};

static void give(struct scores *scores, xmlNode *node, double share)
{
    double *score;
    if (node == NULL || node->type != XML_ELEMENT_NODE)
        return;
    if (node->_private == NULL) {
        scores->at[scores->count] = 0;
        node->_private = &scores->at[scores->count++];
    }
    score = node->_private;
    *score += share;
}

static double score_of(const xmlNode *node)
{
    const double *score = node->type == XML_ELEMENT_NODE ? node->_private : NULL;
    return score != NULL ? *score : 0;
}

static xmlNode *holder(const struct run *run)
{
    return (traits_of(run->block) & LEAF) != 0 ? run->block->parent : run->block;
}

static void give_points(struct scores *scores, const struct run *run)
{
    xmlNode *node = holder(run);
    if (!is_prose(run) || run->size < PARAGRAPH_MIN || node == NULL)
        return;
    give(scores, node, points(run));
    if (node->parent == NULL || node->parent->type != XML_ELEMENT_NODE)
        return;
    give(scores, node->parent, PARENT_SHARE * points(run));
    give(scores, node->parent->parent, ANCESTOR_SHARE * points(run));
}

/* What has most points, or what holds it, when that has nearly as many. */
static xmlNode *find_best(const struct walk *walk)
{
    xmlNode *best = NULL;
    for (size_t i = 0; i < walk->count; i++) {
        xmlNode *node = holder(&walk->runs[i]);
        for (int up = 0; up < 3 && node != NULL; up++, node = node->parent) {
            if (score_of(node) > 0 && (best == NULL || score_of(node) > score_of(best)))
                best = node;
        }
    }
    while (best != NULL && best->parent != NULL &&
           score_of(best->parent) >= CLIMB_SHARE * score_of(best))
        best = best->parent;
    return best;
}

static bool is_within(const xmlNode *node, const xmlNode *ancestor)
{
    while (node != NULL && node != ancestor)
        node = node->parent;
    return node != NULL;
}

/* Without a best one, whatever there is; code, too, when there is nothing else. */
static bool is_of_article(const struct run *run, const xmlNode *best)
{
    if (best != NULL)
        return is_prose(run) && run->size >= PARAGRAPH_MIN &&
               is_within(run->block, best);
    return is_prose(run) || (traits_of(run->block) & CODE) != 0;
}

static void write_article(struct buffer *out, const struct walk *walk,
                          const xmlNode *best)
{
    for (size_t i = 0; i < walk->count; i++) {
        const struct run *run = &walk->runs[i];
        if (!is_of_article(run, best))
            continue;
        buffer_add(out, walk->text.data + run->start, run->size);
        buffer_add(out, "\n", 1);
    }
}

static void forget_scores(const struct walk *walk)
{
    for (size_t i = 0; i < walk->count; i++) {
        xmlNode *node = holder(&walk->runs[i]);
        for (int up = 0; up < 3 && node != NULL && node->type == XML_ELEMENT_NODE;
             up++, node = node->parent)
            node->_private = NULL;
    }
}

static void choose(struct buffer *out, struct walk *walk)
{
    struct scores scores = {.at = calloc(3 * walk->count + 1, sizeof(double))};
    if (scores.at == NULL || walk->failed || walk->text.failed) {
        out->failed = true;
    } else {
        for (size_t i = 0; i < walk->count; i++)
            give_points(&scores, &walk->runs[i]);
        write_article(out, walk, find_best(walk));
        forget_scores(walk);
    }
    free(scores.at);
}

static void read_once(struct buffer *out, xmlNode *root, bool strict)
{
    struct walk walk = {.strict = strict, .block = root};
    walk_node(&walk, root, false, 0);
    end_run(&walk);
    choose(out, &walk);
    free(walk.runs);
    free(walk.text.data);
}

void article_read(struct buffer *out, xmlNode *root)
{
    struct buffer all = {0};
    size_t before = out->size;
    read_once(out, root, true);
    if (out->size - before >= ARTICLE_MIN)
        return;
    /* Some pages are a form, or in a class that sounds like furniture. */
    read_once(&all, root, false);
    if (all.size > out->size - before) {
        out->size = before;
        buffer_add(out, all.data, all.size);
    }
    out->failed = out->failed || all.failed;
    free(all.data);
}
