/*
 * The token of a private page: as a Bearer token for programs, as the password of HTTP
 * Basic for browsers, which ask for it by themselves. Only its hash is kept, and hashes
 * are compared, in constant time; whoever fails too often is told
 * so. The right token always opens: others at its address may fail.
 */
#include "nginx/pages.h"

#include "core/secret.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#define NGX_HTTP_X402_TOKEN_MIN 16 /* characters */
#define NGX_HTTP_X402_TOKEN_MAX 256
#define NGX_HTTP_X402_TOKEN_FILE_MAX 4096 /* bytes; the first line counts */

/* ------------------------------------------------------------------------- the file */

/* NGX_ERROR for what is no token. */
static ngx_int_t ngx_http_x402_token_of(const char *text, ngx_str_t *token)
{
    size_t i;

    token->data = (u_char *)(uintptr_t)text;
    token->len = strcspn(text, "\r\n");

    for (i = 0; i < token->len; i++) {
        if (token->data[i] <= ' ' || token->data[i] >= 0x7f) {
            return NGX_ERROR;
        }
    }

    return token->len >= NGX_HTTP_X402_TOKEN_MIN &&
                   token->len <= NGX_HTTP_X402_TOKEN_MAX
               ? NGX_OK
               : NGX_ERROR;
}

char *ngx_http_x402_token_load(ngx_conf_t *cf, const ngx_str_t *file,
                               u_char hash32[NGX_HTTP_X402_TOKEN_HASH])
{
    ngx_int_t rc;
    ngx_str_t token, path = *file;
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

    rc = ngx_http_x402_token_of(text, &token);
    if (rc == NGX_OK) {
        SHA256(token.data, token.len, hash32);
    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "token file '%V' does not begin with a line of %d to %d "
                           "visible ASCII characters",
                           &path, NGX_HTTP_X402_TOKEN_MIN, NGX_HTTP_X402_TOKEN_MAX);
    }
    x402_bytes_wipe(text, sizeof(text));

    return rc == NGX_OK ? NGX_CONF_OK : NGX_CONF_ERROR;
}

/* ------------------------------------------------------------------------ a request */

/* What follows the name of an authorization scheme; NGX_DECLINED for another one. */
static ngx_int_t ngx_http_x402_credentials(const ngx_str_t *header, const char *scheme,
                                           ngx_str_t *out)
{
    size_t size = ngx_strlen(scheme);

    if (header->len <= size || header->data[size] != ' ' ||
        ngx_strncasecmp(header->data, (u_char *)(uintptr_t)scheme, size) != 0) {
        return NGX_DECLINED;
    }

    out->data = header->data + size;
    out->len = header->len - size;
    while (out->len && out->data[0] == ' ') {
        out->data++;
        out->len--;
    }

    return NGX_OK;
}

/* The password of base64("name:password"), whatever the name. */
static ngx_int_t ngx_http_x402_password(ngx_http_request_t *r, ngx_str_t *encoded,
                                        ngx_str_t *out)
{
    u_char *colon;
    ngx_str_t text;

    if (encoded->len > 4 * NGX_HTTP_X402_TOKEN_MAX) {
        return NGX_DECLINED;
    }
    text.data = ngx_pnalloc(r->pool, ngx_base64_decoded_length(encoded->len));
    if (text.data == NULL) {
        return NGX_ERROR;
    }
    if (ngx_decode_base64(&text, encoded) != NGX_OK) {
        return NGX_DECLINED;
    }

    colon = ngx_strlchr(text.data, text.data + text.len, ':');
    if (colon == NULL) {
        return NGX_DECLINED;
    }
    out->data = colon + 1;
    out->len = (size_t)(text.data + text.len - out->data);

    return NGX_OK;
}

static ngx_int_t ngx_http_x402_presented_token(ngx_http_request_t *r, ngx_str_t *token)
{
    ngx_str_t encoded;
    const ngx_str_t *header = &r->headers_in.authorization->value;

    if (ngx_http_x402_credentials(header, "Bearer", token) == NGX_OK) {
        return NGX_OK;
    }
    if (ngx_http_x402_credentials(header, "Basic", &encoded) == NGX_OK) {
        return ngx_http_x402_password(r, &encoded, token);
    }

    return NGX_DECLINED;
}

/* Who presents nothing has not failed: it is asked for the token. */
ngx_int_t ngx_http_x402_token_check(ngx_http_request_t *r,
                                    const u_char hash32[NGX_HTTP_X402_TOKEN_HASH],
                                    uint64_t *wait)
{
    ngx_int_t rc;
    ngx_str_t token;
    u_char presented32[NGX_HTTP_X402_TOKEN_HASH];
    ngx_http_x402_limit_key_t key;
    ngx_http_x402_loc_conf_t *lcf;

    if (r->headers_in.authorization == NULL) {
        return NGX_HTTP_UNAUTHORIZED;
    }

    rc = ngx_http_x402_presented_token(r, &token);
    if (rc == NGX_ERROR) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (rc == NGX_OK) {
        SHA256(token.data, token.len, presented32);
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
