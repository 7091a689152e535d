/*
 * What an upstream says to caches (RFC 9111 section 5.2). Pure; any thread.
 */
#ifndef X402_CORE_CACHE_CONTROL_H
#define X402_CORE_CACHE_CONTROL_H

#include <x402/bytes.h>

/* Characters a value of `size` becomes: a separator of one byte may become two. */
#define X402_CACHE_CONTROL_SIZE(size) (2 * (size) + 2)

/*
 * Writes the directives of one Cache-Control that may stay in a private answer's: all
 * but public, s-maxage and private itself, each behind ", ". "public, max-age=60" makes
 * ", max-age=60", to be put behind "private". Returns the size.
 */
size_t x402_cache_control_private(char *out, struct x402_slice value);

#endif
