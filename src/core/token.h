/*
 * The token that opens a private page: as it stands in a file, and as a request
 * presents it. Pure; any thread.
 */
#ifndef X402_CORE_TOKEN_H
#define X402_CORE_TOKEN_H

#include <x402/bytes.h>

#define X402_TOKEN_MIN 16 /* characters */
#define X402_TOKEN_MAX 256
#define X402_TOKEN_SCRATCH (3 * X402_TOKEN_MAX) /* bytes: a name, a colon, a token */

/*
 * The first line of `text`, which is to be X402_TOKEN_MIN to X402_TOKEN_MAX visible
 * ASCII characters. Borrows from it. False, with *out unwritten, for any other.
 */
X402_MUST_USE bool x402_token_of_file(struct x402_slice *out, const char *text);

/*
 * The token in the value of an Authorization header: "Bearer TOKEN", or the password of
 * HTTP Basic (RFC 7617), whatever the name. It may be any bytes, also none; borrows
 * from `header` or `scratch`. False for other schemes, for what is not base64 or has no
 * colon, and for more than there is scratch for.
 */
X402_MUST_USE bool x402_token_presented(struct x402_slice *out,
                                        char scratch[X402_TOKEN_SCRATCH],
                                        struct x402_slice header);

#endif
