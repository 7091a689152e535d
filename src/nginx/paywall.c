/*
 * The 402 that a browser sees: web/paywall.*, with what is sold, its price and the
 * offer written into it. One HTML text, so that it needs no location of its own; the
 * policy it is sent with lets no script run but its own, named by its hash.
 */
#include "nginx/module.h"

#include "nginx/web.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

typedef enum {
    NGX_HTTP_X402_SLOT_NONE,
    NGX_HTTP_X402_SLOT_CSS,
    NGX_HTTP_X402_SLOT_JS,
    NGX_HTTP_X402_SLOT_TITLE,
    NGX_HTTP_X402_SLOT_URL,
    NGX_HTTP_X402_SLOT_PRICE,
    NGX_HTTP_X402_SLOT_ASSET,
    NGX_HTTP_X402_SLOT_NETWORK,
    NGX_HTTP_X402_SLOT_CAIP2,
    NGX_HTTP_X402_SLOT_TEST,
    NGX_HTTP_X402_SLOT_WAYS,
    NGX_HTTP_X402_SLOT_OFFER,
    NGX_HTTP_X402_SLOT_METHOD,
    NGX_HTTP_X402_SLOT_TIME,
    NGX_HTTP_X402_SLOT_COUNT
} ngx_http_x402_slot_t;

static const char *const ngx_http_x402_slot_names[NGX_HTTP_X402_SLOT_COUNT] = {
    "",        "css",   "js",   "title", "url",   "price",  "asset",
    "network", "caip2", "test", "ways",  "offer", "method", "time"};

/* A piece of the page, and what follows it. */
typedef struct {
    ngx_str_t text;
    ngx_http_x402_slot_t slot;
} ngx_http_x402_piece_t;

/* What is written into one page. */
typedef ngx_str_t ngx_http_x402_slots_t[NGX_HTTP_X402_SLOT_COUNT];

#define NGX_HTTP_X402_PIECES_MAX 32
#define NGX_HTTP_X402_WAY_MAX 256

#define NGX_HTTP_X402_POLICY                                                           \
    "default-src 'none'; script-src 'sha256-%s'; connect-src 'self'; "                 \
    "style-src 'unsafe-inline' *; img-src * data: blob:; media-src * blob:; "          \
    "font-src *; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/* Made once in the master, read by the workers. */
static ngx_http_x402_piece_t ngx_http_x402_pieces[NGX_HTTP_X402_PIECES_MAX];
static ngx_uint_t ngx_http_x402_pieces_count;
static u_char
    ngx_http_x402_policy[sizeof(NGX_HTTP_X402_POLICY) + 4 * SHA256_DIGEST_LENGTH];

/* -------------------------------------------------------------------- the template */

static ngx_http_x402_slot_t ngx_http_x402_find_slot(const u_char *name, size_t size)
{
    ngx_uint_t i;

    for (i = 1; i < NGX_HTTP_X402_SLOT_COUNT; i++) {
        if (ngx_strlen(ngx_http_x402_slot_names[i]) == size &&
            ngx_memcmp(ngx_http_x402_slot_names[i], name, size) == 0) {
            break;
        }
    }

    return i < NGX_HTTP_X402_SLOT_COUNT ? (ngx_http_x402_slot_t)i
                                        : NGX_HTTP_X402_SLOT_NONE;
}

static void ngx_http_x402_make_policy(void)
{
    u_char digest[SHA256_DIGEST_LENGTH];
    u_char text[4 * SHA256_DIGEST_LENGTH];

    SHA256((const u_char *)x402_web_paywall_js, ngx_strlen(x402_web_paywall_js),
           digest);
    (void)EVP_EncodeBlock(text, digest, SHA256_DIGEST_LENGTH);
    (void)ngx_snprintf(ngx_http_x402_policy, sizeof(ngx_http_x402_policy),
                       NGX_HTTP_X402_POLICY "%Z", text);
}

ngx_int_t ngx_http_x402_paywall_init(ngx_conf_t *cf)
{
    ngx_http_x402_piece_t *piece;
    u_char *open, *close, *p = (u_char *)(uintptr_t)x402_web_paywall_html;

    ngx_http_x402_make_policy();

    for (ngx_http_x402_pieces_count = 0;
         ngx_http_x402_pieces_count < NGX_HTTP_X402_PIECES_MAX; p = close + 2) {
        piece = &ngx_http_x402_pieces[ngx_http_x402_pieces_count++];
        piece->text.data = p;
        open = (u_char *)ngx_strstr(p, "{{");
        close = open == NULL ? NULL : (u_char *)ngx_strstr(open, "}}");
        piece->slot = NGX_HTTP_X402_SLOT_NONE;
        if (close == NULL) {
            piece->text.len = ngx_strlen(p);
            return NGX_OK;
        }
        piece->text.len = (size_t)(open - p);
        piece->slot = ngx_http_x402_find_slot(open + 2, (size_t)(close - open - 2));
        if (piece->slot == NGX_HTTP_X402_SLOT_NONE) {
            break;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "x402: the paywall's page is not one");

    return NGX_ERROR;
}

static ngx_int_t ngx_http_x402_join(ngx_pool_t *pool, const ngx_http_x402_slots_t slots,
                                    ngx_str_t *body)
{
    u_char *p;
    ngx_uint_t i;
    const ngx_http_x402_piece_t *piece;

    body->len = 0;
    for (i = 0; i < ngx_http_x402_pieces_count; i++) {
        piece = &ngx_http_x402_pieces[i];
        body->len += piece->text.len + slots[piece->slot].len;
    }

    p = ngx_pnalloc(pool, body->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->data = p;
    for (i = 0; i < ngx_http_x402_pieces_count; i++) {
        piece = &ngx_http_x402_pieces[i];
        p = ngx_cpymem(p, piece->text.data, piece->text.len);
        if (slots[piece->slot].len > 0) { /* nothing follows the last piece */
            p = ngx_cpymem(p, slots[piece->slot].data, slots[piece->slot].len);
        }
    }

    return NGX_OK;
}

/* ------------------------------------------------------------------- what stands in it
 */

static void ngx_http_x402_set_slot(ngx_str_t *slot, const char *text)
{
    slot->data = (u_char *)(uintptr_t)text;
    slot->len = ngx_strlen(text);
}

static ngx_int_t ngx_http_x402_escape_slot(ngx_pool_t *pool, ngx_str_t *slot,
                                           const struct x402_slice *text)
{
    u_char *data = (u_char *)(uintptr_t)text->data;

    slot->len = text->size + ngx_escape_html(NULL, data, text->size);
    slot->data = ngx_pnalloc(pool, slot->len);
    if (slot->data == NULL) {
        return NGX_ERROR;
    }
    (void)ngx_escape_html(slot->data, data, text->size);

    return NGX_OK;
}

/* As it may stand in single quotes in a shell and in JavaScript: people copy it there.
 */
static ngx_int_t ngx_http_x402_url_slot(ngx_pool_t *pool, ngx_str_t *slot,
                                        const struct x402_slice *url)
{
    size_t i;
    struct x402_slice quotable;
    u_char *start = ngx_pnalloc(pool, 3 * url->size + 1), *p = start;

    if (p == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < url->size; i++) {
        switch (url->data[i]) {
        case '\'':
            p = ngx_cpymem(p, "%27", 3);
            break;
        case '\\':
            p = ngx_cpymem(p, "%5C", 3);
            break;
        default:
            *p++ = (u_char)url->data[i];
            break;
        }
    }
    quotable = (struct x402_slice){(const char *)start, (size_t)(p - start)};

    return ngx_http_x402_escape_slot(pool, slot, &quotable);
}

static const char *ngx_http_x402_asset_text(const struct x402_network *network)
{
    return ngx_strcmp(network->asset_name, "USD Coin") == 0 ? "USDC"
                                                            : network->asset_name;
}

/* A network as people know it: its name, or its number. */
static void ngx_http_x402_network_text(char out[X402_CAIP2_TEXT_SIZE],
                                       const struct x402_network *network)
{
    x402_caip2_encode(out, network->chain_id);
    if (network->name[0] != '\0') {
        (void)ngx_cpystrn((u_char *)out, (u_char *)(uintptr_t)network->name,
                          X402_CAIP2_TEXT_SIZE);
    }
}

/* The ways to pay, to choose from. Names are configuration: some may need escaping. */
static ngx_int_t ngx_http_x402_ways_slot(ngx_pool_t *pool, ngx_str_t *slot,
                                         const struct x402_offer *offer)
{
    size_t i;
    u_char *p;
    char amount[X402_AMOUNT_TEXT_SIZE], network[X402_CAIP2_TEXT_SIZE];
    ngx_str_t asset;
    struct x402_slice name;

    p = ngx_pnalloc(pool, offer->accepts_count *
                              (NGX_HTTP_X402_WAY_MAX + 6 * X402_ASSET_NAME_MAX));
    if (p == NULL) {
        return NGX_ERROR;
    }

    slot->data = p;
    for (i = 0; i < offer->accepts_count; i++) {
        const struct x402_accept *accept = &offer->accepts[i];
        name.data = ngx_http_x402_asset_text(&accept->network);
        name.size = ngx_strlen(name.data);
        if (ngx_http_x402_escape_slot(pool, &asset, &name) != NGX_OK) {
            return NGX_ERROR;
        }
        x402_amount_encode(amount, accept->value, accept->network.decimals);
        ngx_http_x402_network_text(network, &accept->network);
        p = ngx_sprintf(p,
                        "<label><input type=\"radio\" name=\"way\" value=\"%uz\"%s> "
                        "%s %V on %s%s</label>",
                        i, i == 0 ? " checked" : "", amount, &asset, network,
                        accept->network.testnet ? " (test money)" : "");
    }
    slot->len = (size_t)(p - slot->data);

    return NGX_OK;
}

/* What the first way to pay says; the others stand among the ways. */
static ngx_int_t ngx_http_x402_price_slots(ngx_pool_t *pool,
                                           ngx_http_x402_slots_t slots,
                                           const struct x402_accept *accept)
{
    char amount[X402_AMOUNT_TEXT_SIZE];
    const struct x402_network *network = &accept->network;
    struct x402_slice asset;
    u_char *p = ngx_pnalloc(pool, 1 + sizeof(amount) + 2 * X402_CAIP2_TEXT_SIZE);

    if (p == NULL) {
        return NGX_ERROR;
    }

    x402_amount_encode(amount, accept->value, network->decimals);
    slots[NGX_HTTP_X402_SLOT_PRICE].data = p;
    slots[NGX_HTTP_X402_SLOT_PRICE].len = (size_t)(ngx_sprintf(p, "$%s", amount) - p);

    p += 1 + sizeof(amount);
    ngx_http_x402_network_text((char *)p, network);
    ngx_http_x402_set_slot(&slots[NGX_HTTP_X402_SLOT_NETWORK], (char *)p);

    p += X402_CAIP2_TEXT_SIZE;
    x402_caip2_encode((char *)p, network->chain_id);
    ngx_http_x402_set_slot(&slots[NGX_HTTP_X402_SLOT_CAIP2], (char *)p);

    ngx_http_x402_set_slot(&slots[NGX_HTTP_X402_SLOT_TEST],
                           network->testnet ? "<span class=\"test\">test money</span>"
                                            : "");

    asset.data = ngx_http_x402_asset_text(network);
    asset.size = ngx_strlen(asset.data);

    return ngx_http_x402_escape_slot(pool, &slots[NGX_HTTP_X402_SLOT_ASSET], &asset);
}

ngx_int_t ngx_http_x402_paywall(ngx_http_request_t *r, const struct x402_offer *offer,
                                const struct x402_slice *url,
                                const ngx_str_t *offer_header, ngx_str_t *body)
{
    ngx_str_t policy;
    u_char *time = ngx_pnalloc(r->pool, NGX_TIME_T_LEN);
    ngx_http_x402_slots_t slots = {ngx_null_string};
    struct x402_slice title = {"One call of this service", 24};

    if (offer->description.size > 0) {
        title = offer->description;
    }
    if (time == NULL) {
        return NGX_ERROR;
    }

    ngx_http_x402_set_slot(&slots[NGX_HTTP_X402_SLOT_CSS], x402_web_paywall_css);
    ngx_http_x402_set_slot(&slots[NGX_HTTP_X402_SLOT_JS], x402_web_paywall_js);
    slots[NGX_HTTP_X402_SLOT_OFFER] = *offer_header;
    slots[NGX_HTTP_X402_SLOT_METHOD] = r->method_name;
    slots[NGX_HTTP_X402_SLOT_TIME].data = time;
    slots[NGX_HTTP_X402_SLOT_TIME].len =
        (size_t)(ngx_sprintf(time, "%T", ngx_time()) - time);

    if (ngx_http_x402_escape_slot(r->pool, &slots[NGX_HTTP_X402_SLOT_TITLE], &title) !=
            NGX_OK ||
        ngx_http_x402_url_slot(r->pool, &slots[NGX_HTTP_X402_SLOT_URL], url) !=
            NGX_OK ||
        ngx_http_x402_ways_slot(r->pool, &slots[NGX_HTTP_X402_SLOT_WAYS], offer) !=
            NGX_OK ||
        ngx_http_x402_price_slots(r->pool, slots, &offer->accepts[0]) != NGX_OK ||
        ngx_http_x402_join(r->pool, slots, body) != NGX_OK) {
        return NGX_ERROR;
    }

    policy.data = ngx_http_x402_policy;
    policy.len = ngx_strlen(ngx_http_x402_policy);

    return ngx_http_x402_add_header(r, "Content-Security-Policy", &policy);
}
