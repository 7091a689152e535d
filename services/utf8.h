/* Text as code points, and the little that is known of them here. Pure. */
#ifndef X402_SERVICES_UTF8_H
#define X402_SERVICES_UTF8_H

#include <x402/bytes.h>

#define UTF8_REPLACEMENT 0xfffdU

/*
 * Takes the first code point off a text that is not empty. Bytes that are no UTF-8
 * (RFC 3629) are UTF8_REPLACEMENT, one by one.
 */
uint32_t utf8_next(struct x402_slice *text);

/* Writes 1 to 4 bytes, and says how many. */
size_t utf8_put(char out[4], uint32_t character);

/* White space, the ideographic and the no-break ones included. */
bool utf8_is_space(uint32_t character);

/* Marks that are not seen: of direction, of where a word may be cut, byte order. */
bool utf8_is_invisible(uint32_t character);

/* Of a script written without spaces: Han, kana, Thai, Lao, Khmer, Burmese. */
bool utf8_is_unspaced(uint32_t character);

/* A letter or a digit of any script, more or less: what is no ASCII and no known mark.
 */
bool utf8_is_word(uint32_t character);

/* Small, of Latin, Greek or Cyrillic letters; others are what they were. */
uint32_t utf8_lower(uint32_t character);

#endif
