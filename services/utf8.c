#include "utf8.h"

/* How many bytes a first byte announces, and the least they may say; 0 for none. */
static size_t announced(uint32_t *least, unsigned char first)
{
    if (first < 0x80) {
        *least = 0;
        return 1;
    }
    if (first >= 0xc2 && first < 0xe0) {
        *least = 0x80;
        return 2;
    }
    if (first >= 0xe0 && first < 0xf0) {
        *least = 0x800;
        return 3;
    }
    *least = 0x10000;
    return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

uint32_t utf8_next(struct x402_slice *text)
{
    const unsigned char *p = (const unsigned char *)text->data;
    uint32_t least;
    size_t size = announced(&least, p[0]);
    uint32_t character = size > 1 ? p[0] & (0xffU >> (size + 1)) : p[0];
    bool good = size > 0 && size <= text->size;
    for (size_t i = 1; good && i < size; i++) {
        good = (p[i] & 0xc0) == 0x80;
        character = (character << 6) | (p[i] & 0x3fU);
    }
    good = good && character >= least && character <= 0x10ffff &&
           !(character >= 0xd800 && character < 0xe000);
    text->data += good ? size : 1;
    text->size -= good ? size : 1;
    return good ? character : UTF8_REPLACEMENT;
}

size_t utf8_put(char out[4], uint32_t c)
{
    size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = size; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(marks[size] | c);
    return size;
}

bool utf8_is_space(uint32_t c)
{
    return c <= ' ' || (c >= 0x7f && c <= 0xa0) || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

bool utf8_is_invisible(uint32_t c)
{
    return c == 0xad || c == 0x200b || c == 0x200e || c == 0x200f ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

bool utf8_is_unspaced(uint32_t c)
{
    return (c >= 0x0e00 && c < 0x0f00) || (c >= 0x1000 && c < 0x10a0) ||
           (c >= 0x1780 && c < 0x1800) || (c >= 0x3040 && c < 0x3100) ||
           (c >= 0x3400 && c < 0xa000) || (c >= 0xf900 && c < 0xfb00) ||
           (c >= 0x20000 && c < 0x32000);
}

bool utf8_is_word(uint32_t c)
{
    if (c < 0x80)
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
               (c >= '0' && c <= '9');
    if (c < 0xc0)
        return c == 0xaa || c == 0xb5 || c == 0xba;
    return c != 0xd7 && c != 0xf7 && !(c >= 0x2000 && c < 0x2c00) &&
           !(c >= 0x3000 && c < 0x3005) && !(c >= 0x3008 && c < 0x3021) &&
           !(c >= 0xff00 && c < 0xff10) && !(c >= 0xff1a && c < 0xff21) &&
           !(c >= 0xff3b && c < 0xff41) && !(c >= 0xff5b && c < 0xff66) &&
           c != 0x30fb && c != 0x0964 && c != 0x0965 && c != 0x060c && c != 0x061b &&
           c != 0x061f && c != 0x06d4 && c != UTF8_REPLACEMENT && !utf8_is_space(c);
}

uint32_t utf8_lower(uint32_t c)
{
    if ((c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7) ||
        (c >= 0x391 && c <= 0x3a9) || (c >= 0x410 && c <= 0x42f))
        return c + 32;
    if (c >= 0x400 && c <= 0x40f)
        return c + 80;
    /* Latin Extended-A, of pairs: the even one is the large one, or the odd one. */
    if ((c >= 0x100 && c <= 0x137) || (c >= 0x14a && c <= 0x177))
        return c | 1;
    if ((c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e))
        return c + (c & 1);
    return c;
}
