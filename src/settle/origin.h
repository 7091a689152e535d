/*
 * A URL as it may be shown. Pure; any thread.
 */
#ifndef X402_SETTLE_ORIGIN_H
#define X402_SETTLE_ORIGIN_H

#define X402_ORIGIN_MAX 300 /* bytes, with the zero */

/*
 * Scheme, host and port: "https://host:port". An API key may stand in the path, the
 * query or the user, so none of these is shown.
 */
void x402_url_origin(char out[X402_ORIGIN_MAX], const char *url);

#endif
