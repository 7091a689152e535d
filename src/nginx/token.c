/*
 * The token of a private page: as a Bearer token for programs, as the password of HTTP
 * Basic for browsers, which ask for it by themselves. Only its hash is kept, and hashes
 * are compared, in constant time; whoever fails too often is told so. The right token
 * always opens: others at its address may fail.
 */
#include "nginx/pages.h"

#include "core/secret.h"
#include "core/token.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#define NGX_HTTP_X402_TOKEN_FILE_MAX 4096 /* bytes; the first line counts */

/* ------------------------------------------------------------------------- the file */

char *ngx_http_x402_token_load(ngx_conf_t *cf, const ngx_str_t *file,
                               u_char hash32[NGX_HTTP_X402_TOKEN_HASH])
{
    ngx_str_t path = *file;
    ngx_uint_t fine;
    struct x402_slice token;
    char text[NGX_HTTP_X402_TOKEN_FILE_MAX];
    char message[X402_SECRET_MESSAGE_MAX];

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (x402_secret_read(text, sizeof(text), "token file", (const char *)path.data,
                         message) != X402_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s", message);
        return NGX_CONF_ERROR;
    }

    fine = x402_token_of_file(&token, text);
    if (fine) {
        SHA256((const u_char *)token.data, token.size, hash32);
    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "token file '%V' does not begin with a line of %d to %d "
                           "visible ASCII characters",
                           &path, X402_TOKEN_MIN, X402_TOKEN_MAX);
    }
    x402_bytes_wipe(text, sizeof(text));

    return fine ? NGX_CONF_OK : NGX_CONF_ERROR;
}

/* ------------------------------------------------------------------------ a request */

/* Who presents nothing has not failed: it is asked for the token. */
ngx_int_t ngx_http_x402_token_check(ngx_http_request_t *r,
                                    const u_char hash32[NGX_HTTP_X402_TOKEN_HASH],
                                    uint64_t *wait)
{
    struct x402_slice token;
    char scratch[X402_TOKEN_SCRATCH];
    u_char presented32[NGX_HTTP_X402_TOKEN_HASH];
    ngx_http_x402_limit_key_t key;
    ngx_http_x402_loc_conf_t *lcf;

    if (r->headers_in.authorization == NULL) {
        return NGX_HTTP_UNAUTHORIZED;
    }

    if (x402_token_presented(
            &token, scratch,
            ngx_http_x402_slice(&r->headers_in.authorization->value))) {
        SHA256((const u_char *)token.data, token.size, presented32);
        if (CRYPTO_memcmp(presented32, hash32, sizeof(presented32)) == 0) {
            return NGX_OK;
        }
    }

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_x402_module);
    ngx_http_x402_limit_client(&key, r->connection, NGX_HTTP_X402_GUESSES);

    return ngx_http_x402_limit_take(&key, &lcf->refusal_rate, wait)
               ? NGX_HTTP_UNAUTHORIZED
               : NGX_BUSY;
}
