#include "wash.h"

#include "buffer.h"

#include <string.h>
#include <strings.h>

#define NAME_MAX_BYTES 32 /* no element of HTML has a longer name */
#define VALUE_MAX_BYTES 4096
#define TAGS_MAX 65536 /* that are kept; the text between more of them is */

/* Where we read, and what we write. */
struct wash {
    const char *at, *end;
    struct buffer out;
    size_t tags;
};

static const char *const attributes[] = {"property", "name", "content",     "class",
                                         "id",       "role", "aria-hidden", "hidden"};
#define ATTRIBUTES (sizeof attributes / sizeof attributes[0])

/* Elements whose content is no markup: it ends at their end tag, and is left out. */
static const char *const raw[] = {"script", "style",    "noscript", "iframe",
                                  "xmp",    "textarea", "noembed",  "noframes"};

/* ------------------------------------------------------------------------ writing */

static void put(struct wash *wash, const char *text)
{
    buffer_add_text(&wash->out, text);
}

/* A character of text or of a value; libxml2 stops at controls, which say nothing. */
static void put_character(struct wash *wash, char c)
{
    if (c == '<')
        put(wash, "&lt;");
    else if (c == '"')
        put(wash, "&quot;");
    else if ((unsigned char)c < ' ' || c == 0x7f)
        put(wash, c == '\n' ? "\n" : " ");
    else
        buffer_add(&wash->out, &c, 1);
}

/* ------------------------------------------------------------------------ reading */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void skip_spaces(struct wash *wash)
{
    while (wash->at < wash->end && is_space(*wash->at))
        wash->at++;
}

static bool is_at(const struct wash *wash, const char *text)
{
    size_t size = strlen(text);
    return (size_t)(wash->end - wash->at) >= size &&
           strncasecmp(wash->at, text, size) == 0;
}

/* Goes behind the next `text`, or to the end. */
static void skip_past(struct wash *wash, const char *text)
{
    size_t size = strlen(text);
    const char *found = memmem(wash->at, (size_t)(wash->end - wash->at), text, size);
    wash->at = found != NULL ? found + size : wash->end;
}

static struct x402_slice take_name(struct wash *wash, const char *stop)
{
    const char *start = wash->at;
    while (wash->at < wash->end && !is_space(*wash->at) &&
           (*wash->at == '\0' || strchr(stop, *wash->at) == NULL))
        wash->at++;
    return (struct x402_slice){start, (size_t)(wash->at - start)};
}

static bool equals(struct x402_slice name, const char *text)
{
    return name.size == strlen(text) && strncasecmp(name.data, text, name.size) == 0;
}

static struct x402_slice take_value(struct wash *wash)
{
    struct x402_slice value;
    char quote = wash->at < wash->end ? *wash->at : '\0';
    const char *close;
    if (quote != '"' && quote != '\'')
        return take_name(wash, ">");
    wash->at++;
    close = memchr(wash->at, quote, (size_t)(wash->end - wash->at));
    value = (struct x402_slice){wash->at, 0};
    value.size = (size_t)((close != NULL ? close : wash->end) - wash->at);
    wash->at = close != NULL ? close + 1 : wash->end;
    return value;
}

/* ----------------------------------------------------------------------- elements */

/* Each attribute once, so that there are few; `seen` has a bit for each. */
static void put_attribute(struct wash *wash, unsigned *seen, struct x402_slice name,
                          struct x402_slice value)
{
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        if ((*seen & 1U << i) != 0 || !equals(name, attributes[i]))
            continue;
        *seen |= 1U << i;
        put(wash, " ");
        put(wash, attributes[i]);
        put(wash, "=\"");
        for (size_t j = 0; j < value.size && j < VALUE_MAX_BYTES; j++)
            put_character(wash, value.data[j]);
        put(wash, "\"");
    }
}

/* Up to the '>' of the tag, and behind it. */
static void take_attributes(struct wash *wash, bool kept)
{
    unsigned seen = 0;
    for (;;) {
        struct x402_slice name, value = {"", 0};
        while (wash->at < wash->end && (is_space(*wash->at) || *wash->at == '/'))
            wash->at++;
        if (wash->at == wash->end || *wash->at++ == '>')
            return;
        wash->at--;
        name = take_name(wash, "=/>");
        if (name.size == 0 && wash->at < wash->end && *wash->at == '=')
            wash->at++; /* a name may begin with what else ends it */
        skip_spaces(wash);
        if (wash->at < wash->end && *wash->at == '=' && name.size > 0) {
            wash->at++;
            skip_spaces(wash);
            value = take_value(wash);
        }
        if (kept)
            put_attribute(wash, &seen, name, value);
    }
}

static const char *raw_name(struct x402_slice name)
{
    for (size_t i = 0; i < sizeof raw / sizeof raw[0]; i++) {
        if (equals(name, raw[i]))
            return raw[i];
    }
    return NULL;
}

/* Behind the end tag of a raw element: all of the page where there is none. */
static void skip_raw(struct wash *wash, const char *name)
{
    while (wash->at < wash->end) {
        skip_past(wash, "</");
        if (is_at(wash, name)) {
            skip_past(wash, ">");
            return;
        }
    }
}

static bool is_known_kind(struct x402_slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (!is_letter(c) && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return name.size <= NAME_MAX_BYTES;
}

/* At the name behind '<' or '</', which is a letter. */
static void take_tag(struct wash *wash, bool closes)
{
    struct x402_slice name = take_name(wash, "/>");
    const char *skipped = raw_name(name);
    bool kept = skipped == NULL && is_known_kind(name) && wash->tags < TAGS_MAX;
    if (kept) {
        wash->tags++;
        put(wash, closes ? "</" : "<");
        buffer_add(&wash->out, name.data, name.size);
    }
    take_attributes(wash, kept && !closes);
    put(wash, kept ? ">" : " ");
    if (skipped != NULL && !closes)
        skip_raw(wash, skipped);
}

static void take_markup(struct wash *wash)
{
    if (is_at(wash, "<!--")) {
        wash->at += 4;
        /* "<!-->" and "<!--->" are whole */
        if (is_at(wash, ">") || is_at(wash, "->"))
            skip_past(wash, ">");
        else
            skip_past(wash, "-->");
    } else if (is_at(wash, "<!") || is_at(wash, "<?")) {
        skip_past(wash, ">");
    } else if (is_at(wash, "</")) {
        wash->at += 2;
        if (wash->at < wash->end && is_letter(*wash->at))
            take_tag(wash, true);
        else
            skip_past(wash, ">");
    } else {
        wash->at++;
        if (wash->at < wash->end && is_letter(*wash->at))
            take_tag(wash, false);
        else
            put(wash, "&lt;");
    }
}

char *wash(size_t *size, struct x402_slice html)
{
    struct wash wash = {.at = html.data, .end = html.data + html.size};
    while (wash.at < wash.end && !wash.out.failed) {
        if (*wash.at == '<')
            take_markup(&wash);
        else
            put_character(&wash, *wash.at++);
    }
    return buffer_take(size, &wash.out);
}
