/*
 * HTML made harmless before it is parsed: read token by token as HTML section 13.2.5
 * says, in one pass, and written anew with what a reader of text needs. Comments,
 * scripts, styles and all attributes but a few are left out. So no page has a tag with
 * 100,000 attributes, over each pair of which libxml2 would go.
 */
#ifndef X402_SERVICES_WASH_H
#define X402_SERVICES_WASH_H

#include <x402/bytes.h>

/*
 * Returns HTML in UTF-8 of what is in UTF-8, malloc'ed, zero-terminated, without other
 * zeros or controls, of *size bytes; NULL when out of memory.
 */
char *wash(size_t *size, struct x402_slice html);

#endif
