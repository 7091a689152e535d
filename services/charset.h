/*
 * The character set of a page, found as browsers do (WHATWG, "Encoding", and HTML
 * section 13.2.3): a byte order mark, the Content-Type, a meta element of the first
 * kilobyte, UTF-8 where that fits, windows-1252.
 */
#ifndef X402_SERVICES_CHARSET_H
#define X402_SERVICES_CHARSET_H

#include <x402/bytes.h>

/*
 * The text as UTF-8, with U+FFFD for what cannot be read: malloc'ed, zero-terminated,
 * its size in *size; NULL when out of memory. Only the sets that browsers know are
 * read, whatever the page names.
 */
char *charset_decode(size_t *size, struct x402_slice body, const char *type);

#endif
