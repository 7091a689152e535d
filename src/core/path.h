/*
 * What a caller names: a path, a host. Pure; any thread.
 */
#ifndef X402_CORE_PATH_H
#define X402_CORE_PATH_H

#include <x402/bytes.h>

/*
 * A server in front matches the decoded, normalized path; the one behind it reads the
 * raw one. Whether the two can differ in the path of `target` (up to its '?'), so that
 * a caller could name one location and be served another: an empty, "." or ".."
 * segment, also with parameters or blanks, a backslash, a '#'; escaped not at all, once
 * or twice.
 */
bool x402_path_is_ambiguous(struct x402_slice target);

/* A host, perhaps with a port, that may stand in a URL: 1 to 255 letters, digits and
 * .-:_[] */
bool x402_authority_is_plain(struct x402_slice text);

#endif
