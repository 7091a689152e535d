#include <x402/bytes.h>

#include <string.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* The six bits of each character, with a bit above them that no other character has. */
#define KNOWN 0x40U
static const uint8_t sextets[256] = {
    ['A'] = KNOWN | 0,  ['B'] = KNOWN | 1,  ['C'] = KNOWN | 2,  ['D'] = KNOWN | 3,
    ['E'] = KNOWN | 4,  ['F'] = KNOWN | 5,  ['G'] = KNOWN | 6,  ['H'] = KNOWN | 7,
    ['I'] = KNOWN | 8,  ['J'] = KNOWN | 9,  ['K'] = KNOWN | 10, ['L'] = KNOWN | 11,
    ['M'] = KNOWN | 12, ['N'] = KNOWN | 13, ['O'] = KNOWN | 14, ['P'] = KNOWN | 15,
    ['Q'] = KNOWN | 16, ['R'] = KNOWN | 17, ['S'] = KNOWN | 18, ['T'] = KNOWN | 19,
    ['U'] = KNOWN | 20, ['V'] = KNOWN | 21, ['W'] = KNOWN | 22, ['X'] = KNOWN | 23,
    ['Y'] = KNOWN | 24, ['Z'] = KNOWN | 25, ['a'] = KNOWN | 26, ['b'] = KNOWN | 27,
    ['c'] = KNOWN | 28, ['d'] = KNOWN | 29, ['e'] = KNOWN | 30, ['f'] = KNOWN | 31,
    ['g'] = KNOWN | 32, ['h'] = KNOWN | 33, ['i'] = KNOWN | 34, ['j'] = KNOWN | 35,
    ['k'] = KNOWN | 36, ['l'] = KNOWN | 37, ['m'] = KNOWN | 38, ['n'] = KNOWN | 39,
    ['o'] = KNOWN | 40, ['p'] = KNOWN | 41, ['q'] = KNOWN | 42, ['r'] = KNOWN | 43,
    ['s'] = KNOWN | 44, ['t'] = KNOWN | 45, ['u'] = KNOWN | 46, ['v'] = KNOWN | 47,
    ['w'] = KNOWN | 48, ['x'] = KNOWN | 49, ['y'] = KNOWN | 50, ['z'] = KNOWN | 51,
    ['0'] = KNOWN | 52, ['1'] = KNOWN | 53, ['2'] = KNOWN | 54, ['3'] = KNOWN | 55,
    ['4'] = KNOWN | 56, ['5'] = KNOWN | 57, ['6'] = KNOWN | 58, ['7'] = KNOWN | 59,
    ['8'] = KNOWN | 60, ['9'] = KNOWN | 61, ['+'] = KNOWN | 62, ['/'] = KNOWN | 63,
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

/* Writes 3 bytes for 4 characters. KNOWN is in what it returns when all four are of the
 * alphabet. */
static unsigned decode_group(uint8_t out[3], const char four[4])
{
    unsigned a = sextets[(uint8_t)four[0]];
    unsigned b = sextets[(uint8_t)four[1]];
    unsigned c = sextets[(uint8_t)four[2]];
    unsigned d = sextets[(uint8_t)four[3]];
    unsigned group = a << 18 | (b & 63) << 12 | (c & 63) << 6 | (d & 63);

    out[0] = (uint8_t)(group >> 16);
    out[1] = (uint8_t)(group >> 8);
    out[2] = (uint8_t)group;
    return a & b & c & d;
}

/* The last group, with `padding` = 1 or 2 characters missing, whose bits must be zero.
 */
static bool decode_padded(uint8_t *out, const char *last, size_t padding)
{
    uint8_t bytes[3];
    char four[4] = {last[0], last[1], padding == 2 ? 'A' : last[2], 'A'};

    if ((decode_group(bytes, four) & KNOWN) == 0)
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
    unsigned all = KNOWN;
    for (size_t i = 0; i < whole; i++)
        all &= decode_group(out + 3 * i, text.data + 4 * i);
    if (all == 0)
        return X402_ERR_BASE64;
    if (padding > 0 && !decode_padded(out + 3 * whole, text.data + 4 * whole, padding))
        return X402_ERR_BASE64;

    *out_size = decoded_size;
    return X402_OK;
}
