#include <x402/bytes.h>

#include <string.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The six bits of each character, plus one, so that zero is what is not in the
 * alphabet. */
static const uint8_t sextets_plus_one[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,
    ['H'] = 8,  ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14,
    ['O'] = 15, ['P'] = 16, ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21,
    ['V'] = 22, ['W'] = 23, ['X'] = 24, ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28,
    ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32, ['g'] = 33, ['h'] = 34, ['i'] = 35,
    ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40, ['o'] = 41, ['p'] = 42,
    ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48, ['w'] = 49,
    ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63,
    ['/'] = 64,
};

/* Each group is read before it is written, so the bytes may be the tail of out. */
void x402_base64_encode(char *out, const uint8_t *bytes, size_t size)
{
    size_t whole = size / 3;

    for (size_t i = 0; i < whole; i++, bytes += 3, out += 4) {
        uint32_t group = (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
        out[0] = alphabet[group >> 18];
        out[1] = alphabet[group >> 12 & 63];
        out[2] = alphabet[group >> 6 & 63];
        out[3] = alphabet[group & 63];
    }

    size_t rest = size % 3;
    if (rest == 0)
        return;
    uint32_t group =
        (uint32_t)bytes[0] << 16 | (rest == 2 ? (uint32_t)bytes[1] << 8 : 0);
    out[0] = alphabet[group >> 18];
    out[1] = alphabet[group >> 12 & 63];
    out[2] = rest == 2 ? alphabet[group >> 6 & 63] : '=';
    out[3] = '=';
}

static size_t padding_size(struct x402_slice text)
{
    if (text.size == 0 || text.data[text.size - 1] != '=')
        return 0;
    return text.data[text.size - 2] == '=' ? 2 : 1;
}

/* Writes 3 bytes for 4 characters; false when one is not of the alphabet. */
static bool decode_group(uint8_t out[3], const char four[4])
{
    uint8_t a = sextets_plus_one[(uint8_t)four[0]];
    uint8_t b = sextets_plus_one[(uint8_t)four[1]];
    uint8_t c = sextets_plus_one[(uint8_t)four[2]];
    uint8_t d = sextets_plus_one[(uint8_t)four[3]];

    if (a == 0 || b == 0 || c == 0 || d == 0)
        return false;
    uint32_t group = (uint32_t)(a - 1) << 18 | (uint32_t)(b - 1) << 12 |
                     (uint32_t)(c - 1) << 6 | (uint32_t)(d - 1);
    out[0] = (uint8_t)(group >> 16);
    out[1] = (uint8_t)(group >> 8);
    out[2] = (uint8_t)group;
    return true;
}

/* The last group, with `padding` = 1 or 2 characters missing, whose bits must be zero.
 */
static bool decode_padded(uint8_t *out, const char *last, size_t padding)
{
    uint8_t bytes[3];
    char four[4] = {last[0], last[1], padding == 2 ? 'A' : last[2], 'A'};

    if (!decode_group(bytes, four))
        return false;
    if (bytes[2] != 0 || (padding == 2 && bytes[1] != 0))
        return false;
    memcpy(out, bytes, 3 - padding);
    return true;
}

enum x402_error x402_base64_decode(uint8_t *out, size_t *out_size, size_t out_max,
                                   struct x402_slice text)
{
    if (text.size % 4 != 0)
        return X402_ERR_BASE64;

    size_t padding = padding_size(text);
    size_t decoded_size = text.size / 4 * 3 - padding;
    if (decoded_size > out_max)
        return X402_ERR_SPACE;

    size_t whole = text.size / 4 - (padding > 0 ? 1 : 0);
    for (size_t i = 0; i < whole; i++)
        if (!decode_group(out + 3 * i, text.data + 4 * i))
            return X402_ERR_BASE64;
    if (padding > 0 && !decode_padded(out + 3 * whole, text.data + 4 * whole, padding))
        return X402_ERR_BASE64;

    *out_size = decoded_size;
    return X402_OK;
}
