/*
 * Token buckets in nginx's shared memory: a set-associative table, so that a look is
 * eight slots long and never allocates. A full set gives up the bucket that will be
 * full again first.
 *
 * nginx unlocks the mutex by force when a worker dies in it, and a second nginx has a
 * table of its own: fine for limits. What decides uniqueness belongs to the ledger.
 */
#include "nginx/module.h"

#include <openssl/rand.h>

#define NGX_HTTP_X402_LIMIT_ZONE_SIZE (4 * 1024 * 1024)
#define NGX_HTTP_X402_LIMIT_WAYS 8
#define NGX_HTTP_X402_LIMIT_SETS 8192

typedef struct {
    ngx_http_x402_limit_key_t key;
    uint32_t used;         /* 0: the slot is empty */
    uint64_t forgotten_at; /* ms: when the bucket is full again and not worth keeping */
    struct x402_bucket bucket;
} ngx_http_x402_slot_t;

typedef struct {
    uint64_t seed; /* secret: nobody outside can choose keys of one set */
    ngx_http_x402_slot_t slots[NGX_HTTP_X402_LIMIT_SETS][NGX_HTTP_X402_LIMIT_WAYS];
} ngx_http_x402_limits_t;

static ngx_shm_zone_t *ngx_http_x402_zone; /* the worker's; its cycle outlives it */

static ngx_int_t ngx_http_x402_limit_init(ngx_shm_zone_t *zone, void *old)
{
    ngx_slab_pool_t *pool = (ngx_slab_pool_t *)(void *)zone->shm.addr;
    ngx_http_x402_limits_t *limits = old;

    if (limits == NULL && zone->shm.exists) {
        limits = pool->data;
    }

    if (limits == NULL) {
        limits = ngx_slab_calloc(pool, sizeof(*limits));
        if (limits == NULL) {
            return NGX_ERROR;
        }
        if (RAND_bytes((u_char *)&limits->seed, sizeof(limits->seed)) != 1) {
            return NGX_ERROR;
        }
        pool->data = limits;
    }

    zone->data = limits;

    return NGX_OK;
}

char *ngx_http_x402_limit_zone(ngx_conf_t *cf, ngx_http_x402_main_conf_t *mcf)
{
    ngx_str_t name = ngx_string("x402_limits");

    mcf->limits = ngx_shared_memory_add(cf, &name, NGX_HTTP_X402_LIMIT_ZONE_SIZE,
                                        &ngx_http_x402_module);
    if (mcf->limits == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->limits->init = ngx_http_x402_limit_init;

    return NGX_CONF_OK;
}

void ngx_http_x402_limit_use(ngx_shm_zone_t *zone)
{
    ngx_http_x402_zone = zone;
}

void ngx_http_x402_limit_payer(ngx_http_x402_limit_key_t *key,
                               const uint8_t payer20[20], const struct x402_rate *rate)
{
    ngx_memcpy(key->bytes, payer20, 20);
    ngx_memcpy(key->bytes + 20, &rate->count, 4);
    ngx_memcpy(key->bytes + 24, &rate->period_milliseconds, 4);
}

/*
 * An IPv6 client counts by its /64: the rest is free to choose. An IPv4 client of a
 * socket for both is who it is elsewhere.
 */
static void ngx_http_x402_limit_address6(ngx_http_x402_limit_key_t *key,
                                         const struct in6_addr *address)
{
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        ngx_memcpy(key->bytes, address->s6_addr + 12, 4);
    } else {
        ngx_memcpy(key->bytes, address->s6_addr, 8);
        key->bytes[19] = 6;
    }
}

void ngx_http_x402_limit_client(ngx_http_x402_limit_key_t *key, ngx_connection_t *c,
                                ngx_http_x402_limit_t what)
{
    ngx_memzero(key, sizeof(*key));
    ngx_memset(key->bytes + 20, 0xff - (int)what, 8);

    switch (c->sockaddr->sa_family) {
    case AF_INET:
        ngx_memcpy(key->bytes, &((struct sockaddr_in *)(void *)c->sockaddr)->sin_addr,
                   4);
        break;
    case AF_INET6:
        ngx_http_x402_limit_address6(
            key, &((struct sockaddr_in6 *)(void *)c->sockaddr)->sin6_addr);
        break;
    default:
        break;
    }
}

void ngx_http_x402_limit_refusal(ngx_http_request_t *r)
{
    uint64_t wait;
    ngx_http_x402_limit_key_t key;
    ngx_http_x402_loc_conf_t *lcf;

    lcf = ngx_http_get_module_loc_conf(r, ngx_http_x402_module);

    ngx_http_x402_limit_client(&key, r->connection, NGX_HTTP_X402_REFUSALS);
    (void)ngx_http_x402_limit_take(&key, &lcf->refusal_rate, &wait);
}

static ngx_uint_t ngx_http_x402_limit_set(const ngx_http_x402_limits_t *limits,
                                          const ngx_http_x402_limit_key_t *key)
{
    size_t i;
    uint32_t word;
    uint64_t hash = limits->seed;

    for (i = 0; i < sizeof(key->bytes); i += sizeof(word)) {
        ngx_memcpy(&word, key->bytes + i, sizeof(word));
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }

    return (ngx_uint_t)((hash ^ limits->seed) % NGX_HTTP_X402_LIMIT_SETS);
}

/* The key's slot, or with `make` one for it; NULL when it has none. Locked. */
static ngx_http_x402_slot_t *ngx_http_x402_limit_slot(
    ngx_http_x402_limits_t *limits, const ngx_http_x402_limit_key_t *key,
    ngx_uint_t make)
{
    ngx_uint_t i;
    ngx_http_x402_slot_t *slot, *victim, *set;

    set = limits->slots[ngx_http_x402_limit_set(limits, key)];
    victim = set;

    for (i = 0; i < NGX_HTTP_X402_LIMIT_WAYS; i++) {
        slot = &set[i];
        if (slot->used && ngx_memcmp(&slot->key, key, sizeof(*key)) == 0) {
            return slot;
        }
        if (slot->forgotten_at < victim->forgotten_at) {
            victim = slot;
        }
    }

    if (!make) {
        return NULL;
    }

    ngx_memzero(victim, sizeof(*victim));
    victim->key = *key;
    victim->used = 1;

    return victim;
}

static uint64_t ngx_http_x402_limit_now(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);

    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

ngx_uint_t ngx_http_x402_limit_peek(const ngx_http_x402_limit_key_t *key,
                                    const struct x402_rate *rate, uint32_t calls,
                                    uint64_t *wait)
{
    bool pass;
    static const struct x402_bucket full;
    ngx_slab_pool_t *pool;
    ngx_http_x402_slot_t *slot;

    if (rate->count == 0) {
        return 1;
    }

    pool = (ngx_slab_pool_t *)(void *)ngx_http_x402_zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);
    slot = ngx_http_x402_limit_slot(pool->data, key, 0);
    pass = x402_bucket_peek_many(slot == NULL ? &full : &slot->bucket, rate, calls,
                                 ngx_http_x402_limit_now(), wait);
    ngx_shmtx_unlock(&pool->mutex);

    return pass;
}

ngx_uint_t ngx_http_x402_limit_take(const ngx_http_x402_limit_key_t *key,
                                    const struct x402_rate *rate, uint64_t *wait)
{
    bool pass;
    uint64_t now = ngx_http_x402_limit_now();
    ngx_slab_pool_t *pool;
    ngx_http_x402_slot_t *slot;

    if (rate->count == 0) {
        return 1;
    }

    pool = (ngx_slab_pool_t *)(void *)ngx_http_x402_zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);
    slot = ngx_http_x402_limit_slot(pool->data, key, 1);
    pass = x402_bucket_take(&slot->bucket, rate, now, wait);
    slot->forgotten_at =
        now + slot->bucket.used_milli * rate->period_milliseconds / rate->count / 1000;
    ngx_shmtx_unlock(&pool->mutex);

    return pass;
}

void ngx_http_x402_limit_return(const ngx_http_x402_limit_key_t *key)
{
    ngx_slab_pool_t *pool;
    ngx_http_x402_slot_t *slot;

    pool = (ngx_slab_pool_t *)(void *)ngx_http_x402_zone->shm.addr;

    ngx_shmtx_lock(&pool->mutex);
    slot = ngx_http_x402_limit_slot(pool->data, key, 0);
    if (slot != NULL) {
        x402_bucket_return(&slot->bucket);
    }
    ngx_shmtx_unlock(&pool->mutex);
}
