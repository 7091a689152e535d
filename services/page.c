#include "page.h"

#include "article.h"
#include "charset.h"
#include "utf8.h"
#include "wash.h"

#include <libxml/HTMLparser.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PAGE_MAX (16 * 1024 * 1024) /* bytes; more is not parsed */
#define FIELD_MAX 1024              /* bytes of a title, description or name */

/* --------------------------------------------------------------------------- kind */

enum kind { KIND_HTML, KIND_TEXT, KIND_OTHER };

/* Whether a Content-Type is of this media type, with or without parameters. */
static bool is_type(const char *type, const char *media)
{
    size_t size = strlen(media);
    type += strspn(type, " \t");
    return strncasecmp(type, media, size) == 0 &&
           strchr(" \t;,", type[size]) != NULL; /* or its end */
}

static enum kind kind_of(const char *type, const char *text)
{
    if (is_type(type, "text/html") || is_type(type, "application/xhtml+xml"))
        return KIND_HTML;
    if (is_type(type, "text/plain") || is_type(type, "text/markdown"))
        return KIND_TEXT;
    if (type[0] != '\0')
        return KIND_OTHER;
    return text[strspn(text, " \t\r\n")] == '<' ? KIND_HTML : KIND_TEXT;
}

/* Text has next to no controls, nor bytes that its character set has not. */
static bool is_binary(struct x402_slice text)
{
    size_t strange = 0, all = 0;
    while (text.size > 0) {
        uint32_t c = utf8_next(&text);
        all++;
        strange += c == UTF8_REPLACEMENT ||
                   (c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f');
    }
    return strange > all / 20;
}

/* ------------------------------------------------------------------------- fields */

/* Cut at FIELD_MAX, between characters. */
static char *collapsed(const char *text)
{
    struct buffer out = {0};
    article_add_collapsed(&out, text != NULL ? text : "");
    if (out.size > FIELD_MAX) {
        out.size = FIELD_MAX;
        while ((out.data[out.size] & 0xc0) == 0x80)
            out.size--;
    }
    if (out.size > 0 && out.data[out.size - 1] == ' ')
        out.size--;
    return buffer_take(NULL, &out);
}

/* What a page says of itself; the first of each counts. Of libxml2, to be freed. */
struct said {
    xmlChar *og_title, *title, *heading, *og_description, *description, *og_site;
};

static void take_content(xmlChar **out, xmlNode *node)
{
    if (*out == NULL)
        *out = xmlNodeGetContent(node);
}

static void read_meta(struct said *said, xmlNode *node)
{
    static const struct {
        const char *name;
        size_t at;
    } metas[] = {
        {"og:title", offsetof(struct said, og_title)},
        {"og:description", offsetof(struct said, og_description)},
        {"description", offsetof(struct said, description)},
        {"og:site_name", offsetof(struct said, og_site)},
    };
    xmlChar *name = xmlGetProp(node, BAD_CAST "property");
    if (name == NULL)
        name = xmlGetProp(node, BAD_CAST "name");
    for (size_t i = 0; name != NULL && i < sizeof metas / sizeof metas[0]; i++) {
        void *field = (char *)said + metas[i].at;
        xmlChar **out = field;
        if (strcasecmp((const char *)name, metas[i].name) == 0 && *out == NULL)
            *out = xmlGetProp(node, BAD_CAST "content");
    }
    xmlFree(name);
}

static void read_element(struct said *said, xmlNode *node)
{
    const char *name = (const char *)node->name;
    if (strcasecmp(name, "meta") == 0)
        read_meta(said, node);
    else if (strcasecmp(name, "title") == 0)
        take_content(&said->title, node);
    else if (strcasecmp(name, "h1") == 0)
        take_content(&said->heading, node);
}

/* The next node in the order of the page; what an svg holds is left out. */
static xmlNode *next_node(xmlNode *node, const xmlNode *root)
{
    bool opaque = node->type != XML_ELEMENT_NODE ||
                  strcasecmp((const char *)node->name, "svg") == 0;
    if (!opaque && node->children != NULL)
        return node->children;
    while (node != root && node->next == NULL)
        node = node->parent;
    return node != root ? node->next : NULL;
}

static char *first_of(const xmlChar *a, const xmlChar *b, const xmlChar *c)
{
    const xmlChar *all[] = {a, b, c};
    for (size_t i = 0; i < 3; i++) {
        char *text = all[i] != NULL ? collapsed((const char *)all[i]) : NULL;
        if (text != NULL && text[0] != '\0')
            return text;
        free(text);
    }
    return collapsed("");
}

static char *host_of(const char *url)
{
    const char *start = strstr(url, "://");
    char *host, *port;
    if (start == NULL)
        return collapsed("");
    start += 3;
    host = strndup(start, strcspn(start, "/?#"));
    port = host != NULL ? strrchr(host, ':') : NULL;
    if (port != NULL && strchr(port, ']') == NULL)
        *port = '\0';
    return host;
}

static void read_said(struct page *out, xmlNode *root, const char *url)
{
    struct said said = {0};
    for (xmlNode *node = root; node != NULL; node = next_node(node, root)) {
        if (node->type == XML_ELEMENT_NODE)
            read_element(&said, node);
    }
    out->title = first_of(said.og_title, said.title, said.heading);
    out->description = first_of(said.og_description, said.description, NULL);
    out->site = first_of(said.og_site, NULL, NULL);
    if (out->site != NULL && out->site[0] == '\0') {
        free(out->site);
        out->site = host_of(url);
    }
    xmlFree(said.og_title);
    xmlFree(said.title);
    xmlFree(said.heading);
    xmlFree(said.og_description);
    xmlFree(said.description);
    xmlFree(said.og_site);
}

/* -------------------------------------------------------------------------- pages */

static void end_paragraph(struct buffer *out)
{
    if (out->size > 0 && out->data[out->size - 1] == ' ')
        out->size--;
    if (out->size > 0 && out->data[out->size - 1] != '\n')
        buffer_add(out, "\n", 1);
}

/* Paragraphs of plain text end at an empty line. */
static char *read_plain(const char *text)
{
    struct buffer out = {0};
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        char *line = strndup(text, size);
        out.failed = out.failed || line == NULL;
        if (line == NULL)
            break;
        if (line[strspn(line, " \t\r")] == '\0')
            end_paragraph(&out);
        article_add_collapsed(&out, line);
        article_add_collapsed(&out, " ");
        free(line);
        text += size + (text[size] != '\0');
    }
    end_paragraph(&out);
    return buffer_take(NULL, &out);
}

static void read_text(struct page *out, const char *text, const char *url)
{
    out->title = collapsed("");
    out->description = collapsed("");
    out->site = host_of(url);
    out->text = read_plain(text);
}

static void start_libxml(void)
{
    xmlInitParser();
}

static void read_html(struct page *out, struct x402_slice text, const char *url)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct buffer article = {0};
    size_t size = 0;
    char *washed = wash(&size, text);
    xmlDoc *document = NULL;
    xmlNode *root;
    pthread_once(&once, start_libxml);
    if (washed != NULL && size <= PAGE_MAX)
        document = htmlReadMemory(washed, (int)size, NULL, "UTF-8",
                                  HTML_PARSE_RECOVER | HTML_PARSE_NOERROR |
                                      HTML_PARSE_NOWARNING | HTML_PARSE_NONET |
                                      HTML_PARSE_IGNORE_ENC | HTML_PARSE_COMPACT);
    free(washed);
    root = document != NULL ? xmlDocGetRootElement(document) : NULL;
    if (root == NULL) { /* nothing but comments, say */
        read_text(out, "", url);
    } else {
        read_said(out, root, url);
        article_read(&article, root);
        out->text = buffer_take(NULL, &article);
    }
    xmlFreeDoc(document);
}

bool page_read(struct page *out, const char *body, size_t size, const char *type,
               const char *url)
{
    struct x402_slice text = {body, size};
    enum kind kind;
    char *decoded;
    *out = (struct page){0};
    if (size > PAGE_MAX)
        return false;
    decoded = charset_decode(&text.size, text, type);
    if (decoded == NULL)
        return false;
    text.data = decoded;
    kind = is_binary(text) ? KIND_OTHER : kind_of(type, decoded);
    if (kind == KIND_HTML)
        read_html(out, text, url);
    else if (kind == KIND_TEXT)
        read_text(out, decoded, url);
    free(decoded);
    return out->title != NULL && out->description != NULL && out->site != NULL &&
           out->text != NULL;
}

void page_free(struct page *page)
{
    free(page->title);
    free(page->description);
    free(page->site);
    free(page->text);
    *page = (struct page){0};
}
