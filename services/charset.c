#include "charset.h"

#include "utf8.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define META_WITHIN 1024

/*
 * What a label stands for in iconv. A stranger does not get to name others: iconv loads
 * a library for each, and some of those had holes (CVE-2024-2961).
 */
static const struct {
    const char *label, *name;
} known[] = {
    {"utf-8", "UTF-8"},
    {"utf8", "UTF-8"},
    {"utf-16", "UTF-16LE"},
    {"utf-16le", "UTF-16LE"},
    {"utf-16be", "UTF-16BE"},
    {"us-ascii", "WINDOWS-1252"},
    {"ascii", "WINDOWS-1252"},
    {"iso-8859-1", "WINDOWS-1252"},
    {"iso8859-1", "WINDOWS-1252"},
    {"latin1", "WINDOWS-1252"},
    {"windows-1252", "WINDOWS-1252"},
    {"cp1252", "WINDOWS-1252"},
    {"iso-8859-2", "ISO-8859-2"},
    {"latin2", "ISO-8859-2"},
    {"iso-8859-5", "ISO-8859-5"},
    {"iso-8859-6", "ISO-8859-6"},
    {"iso-8859-7", "ISO-8859-7"},
    {"iso-8859-8", "ISO-8859-8"},
    {"iso-8859-9", "WINDOWS-1254"},
    {"iso-8859-15", "ISO-8859-15"},
    {"windows-1250", "WINDOWS-1250"},
    {"windows-1251", "WINDOWS-1251"},
    {"cp1251", "WINDOWS-1251"},
    {"windows-1253", "WINDOWS-1253"},
    {"windows-1254", "WINDOWS-1254"},
    {"windows-1255", "WINDOWS-1255"},
    {"windows-1256", "WINDOWS-1256"},
    {"windows-1257", "WINDOWS-1257"},
    {"windows-1258", "WINDOWS-1258"},
    {"windows-874", "WINDOWS-874"},
    {"tis-620", "WINDOWS-874"},
    {"koi8-r", "KOI8-R"},
    {"koi8-u", "KOI8-U"},
    {"shift_jis", "CP932"},
    {"shift-jis", "CP932"},
    {"sjis", "CP932"},
    {"windows-31j", "CP932"},
    {"euc-jp", "EUC-JP"},
    {"gb2312", "GB18030"},
    {"gbk", "GB18030"},
    {"gb18030", "GB18030"},
    {"big5", "BIG5-HKSCS"},
    {"big5-hkscs", "BIG5-HKSCS"},
    {"euc-kr", "CP949"},
    {"ks_c_5601-1987", "CP949"},
};

static const char *find_name(const char *label, size_t size)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strlen(known[i].label) == size &&
            strncasecmp(known[i].label, label, size) == 0)
            return known[i].name;
    }
    return NULL;
}

/* Reads what follows "charset": an equals sign, perhaps a quote, a label. */
static const char *read_label(const char *text)
{
    text += strspn(text, " \t\r\n");
    if (*text++ != '=')
        return NULL;
    text += strspn(text, " \t\r\n\"'");
    return find_name(text, strcspn(text, " \t\r\n\"';,/>"));
}

static const char *search_label(const char *text)
{
    const char *name = NULL;
    while (name == NULL && (text = strcasestr(text, "charset")) != NULL) {
        text += strlen("charset");
        name = read_label(text);
    }
    return name;
}

/* A meta element says so in ASCII, so it cannot mean UTF-16. */
static const char *search_meta(struct x402_slice body)
{
    char head[META_WITHIN + 1];
    size_t size = body.size < META_WITHIN ? body.size : META_WITHIN;
    const char *meta = head;
    const char *name = NULL;
    memcpy(head, body.data, size);
    head[size] = '\0';
    while (name == NULL && (meta = strcasestr(meta, "<meta")) != NULL) {
        char *end = strchr(meta, '>');
        if (end == NULL)
            break;
        *end = '\0';
        name = search_label(meta);
        meta = end + 1;
    }
    return name != NULL && strncmp(name, "UTF-16", 6) == 0 ? "UTF-8" : name;
}

static bool is_utf8(struct x402_slice text)
{
    while (text.size > 0) {
        size_t before = text.size;
        if (utf8_next(&text) == UTF8_REPLACEMENT && before - text.size == 1)
            return false;
    }
    return true;
}

/* Cuts off a byte order mark, which goes before everything else that is said. */
static const char *take_mark(struct x402_slice *body)
{
    static const struct {
        const char *mark;
        size_t size;
        const char *name;
    } marks[] = {{"\xef\xbb\xbf", 3, "UTF-8"},
                 {"\xff\xfe", 2, "UTF-16LE"},
                 {"\xfe\xff", 2, "UTF-16BE"}};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (body->size >= marks[i].size &&
            memcmp(body->data, marks[i].mark, marks[i].size) == 0) {
            body->data += marks[i].size;
            body->size -= marks[i].size;
            return marks[i].name;
        }
    }
    return NULL;
}

static const char *choose(struct x402_slice *body, const char *type)
{
    const char *name = take_mark(body);
    if (name == NULL)
        name = search_label(type);
    if (name == NULL)
        name = search_meta(*body);
    if (name == NULL)
        name = is_utf8(*body) ? "UTF-8" : "WINDOWS-1252";
    return name;
}

/* Converts all there is: what cannot be read is skipped byte by byte, and marked. */
static size_t convert(char *out, size_t out_max, iconv_t set, struct x402_slice body)
{
    char *from;
    size_t left = out_max;
    char *to = out;
    memcpy(&from, &body.data, sizeof from); /* iconv only reads, and takes no const */
    while (body.size > 0 && left >= 4) {
        size_t said = iconv(set, &from, &body.size, &to, &left);
        if (said != (size_t)-1 || errno == E2BIG || left < 4)
            break;
        size_t put = utf8_put(to, UTF8_REPLACEMENT);
        to += put;
        left -= put;
        from++;
        body.size--;
    }
    return (size_t)(to - out);
}

char *charset_decode(size_t *size, struct x402_slice body, const char *type)
{
    const char *name = choose(&body, type);
    /* A byte is three at most: a letter of a small set, or the mark for no letter. */
    size_t out_max = 3 * body.size + 4;
    iconv_t set = iconv_open("UTF-8", name);
    char *out = malloc(out_max + 1);
    if (out == NULL || set == (iconv_t)-1) {
        free(out);
        out = NULL;
    } else {
        *size = convert(out, out_max, set, body);
        out[*size] = '\0';
    }
    if (set != (iconv_t)-1)
        iconv_close(set);
    return out;
}
