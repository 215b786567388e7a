#include "ngx_http_llm_cache_flight.h"
#include "ngx_http_llm_cache_shard.h"


#define NGX_HTTP_LLM_CACHE_MIN_CHUNK   64


static ngx_int_t ngx_http_llm_cache_zone_add_chunk(
    ngx_http_llm_cache_writer_t *w, ngx_http_llm_cache_chunk_t **link,
    size_t size);
static size_t ngx_http_llm_cache_zone_chunk_size(size_t left);
static void ngx_http_llm_cache_zone_full(ngx_http_llm_cache_shard_t *shard);
static void ngx_http_llm_cache_zone_trim(ngx_http_llm_cache_writer_t *w);
static ngx_uint_t ngx_http_llm_cache_zone_may_trim(
    ngx_http_llm_cache_writer_t *w);


ngx_int_t
ngx_http_llm_cache_zone_create(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, size_t expected, ngx_http_llm_cache_writer_t *w)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i, again, purges;
    ngx_http_llm_cache_node_t   *node;
    ngx_http_llm_cache_shard_t  *shard;

    shard = ngx_http_llm_cache_zone_shard(zone, key);
    purges = ngx_http_llm_cache_zone_purges(zone);

    ngx_memzero(w, sizeof(ngx_http_llm_cache_writer_t));

    again = 1;

    for (i = 0; again && i < NGX_HTTP_LLM_CACHE_EVICT_MAX; i++) {

        if (ngx_http_llm_cache_shard_lock(shard) != NGX_OK) {
            return NGX_DECLINED;
        }

        node = ngx_http_llm_cache_shard_alloc(shard,
                                             sizeof(ngx_http_llm_cache_node_t),
                                             &again);
        rc = NGX_DECLINED;

        if (node) {
            ngx_memzero(node, sizeof(ngx_http_llm_cache_node_t));

            rc = ngx_http_llm_cache_shard_hold(shard, node, &w->hold);
        }

        ngx_http_llm_cache_shard_unlock(shard);

        if (rc == NGX_OK) {
            w->last = &node->chunks;
            w->expected = expected;
            w->purges = purges;
            return NGX_OK;
        }
    }

    ngx_http_llm_cache_zone_full(shard);

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_llm_cache_zone_append(ngx_http_llm_cache_writer_t *w,
    const u_char *data, size_t len)
{
    size_t                       n, left;
    ngx_http_llm_cache_chunk_t  *chunk;

    while (len) {

        chunk = *w->last;

        if (chunk && chunk->len == chunk->size) {
            w->last = &chunk->next;
            chunk = NULL;
        }

        if (chunk == NULL) {

            left = (w->expected > w->len) ? w->expected - w->len : 0;
            n = ngx_http_llm_cache_zone_chunk_size(left ? left : ngx_pagesize);

            if (ngx_http_llm_cache_zone_add_chunk(w, w->last, n) != NGX_OK) {
                return NGX_DECLINED;
            }

            chunk = *w->last;
        }

        n = ngx_min(len, chunk->size - chunk->len);

        ngx_memcpy(chunk->data + chunk->len, data, n);

        chunk->len += n;
        w->len += n;
        data += n;
        len -= n;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_zone_add_chunk(ngx_http_llm_cache_writer_t *w,
    ngx_http_llm_cache_chunk_t **link, size_t size)
{
    ngx_uint_t                   i, again;
    ngx_http_llm_cache_shard_t   *shard;
    ngx_http_llm_cache_chunk_t  *chunk;

    shard = w->hold.shard;
    again = 1;

    for (i = 0; again && i < NGX_HTTP_LLM_CACHE_EVICT_MAX; i++) {

        if (ngx_http_llm_cache_shard_lock(shard) != NGX_OK) {
            return NGX_DECLINED;
        }

        chunk = ngx_http_llm_cache_shard_alloc(shard, size, &again);

        if (chunk) {
            chunk->next = NULL;
            chunk->size = size - sizeof(ngx_http_llm_cache_chunk_t);
            chunk->len = 0;

            /* linked under the lock: nothing is lost with this worker */
            *link = chunk;
        }

        ngx_http_llm_cache_shard_unlock(shard);

        if (chunk) {
            return NGX_OK;
        }
    }

    ngx_http_llm_cache_zone_full(shard);

    return NGX_DECLINED;
}


static void
ngx_http_llm_cache_zone_full(ngx_http_llm_cache_shard_t *shard)
{
    /* perhaps only because of what the dead hold */

    ngx_http_llm_cache_zone_reap(shard->zone, 0, ngx_cycle->log);

    ngx_http_llm_cache_shard_full(shard);
}


/*
 * The size class for the next chunk of what is left: the one that holds it,
 * or, where an eighth of that would be wasted, the next smaller one.
 */

static size_t
ngx_http_llm_cache_zone_chunk_size(size_t left)
{
    size_t  size, need;

    need = left + sizeof(ngx_http_llm_cache_chunk_t);
    size = ngx_pagesize;

    if (need >= size) {
        return size;
    }

    while (size / 2 >= need && size > NGX_HTTP_LLM_CACHE_MIN_CHUNK) {
        size /= 2;
    }

    if (size > NGX_HTTP_LLM_CACHE_MIN_CHUNK && size - need > size / 8) {
        size /= 2;
    }

    return size;
}


size_t
ngx_http_llm_cache_zone_footprint(size_t len)
{
    size_t  size, total;

    total = sizeof(ngx_http_llm_cache_node_t);

    while (len) {
        size = ngx_http_llm_cache_zone_chunk_size(len);
        total += size;
        len -= ngx_min(len, size - sizeof(ngx_http_llm_cache_chunk_t));
    }

    return total;
}


/* replaces a last chunk that is mostly empty by fitting ones */

static void
ngx_http_llm_cache_zone_trim(ngx_http_llm_cache_writer_t *w)
{
    u_char                       *p;
    size_t                        size, left;
    ngx_http_llm_cache_chunk_t   *old, *chunk, **link;

    old = *w->last;

    if (old == NULL) {
        return;
    }

    size = ngx_http_llm_cache_zone_chunk_size(old->len);

    if (size >= old->size + sizeof(ngx_http_llm_cache_chunk_t)) {
        return;
    }

    p = old->data;
    left = old->len;
    link = &old->next;

    /* the new chunks hang on the old one until they are complete */

    while (left) {
        size = ngx_http_llm_cache_zone_chunk_size(left);

        if (ngx_http_llm_cache_zone_add_chunk(w, link, size) != NGX_OK) {

            for (chunk = old->next; chunk; chunk = chunk->next) {
                chunk->len = 0;
            }

            return;
        }

        chunk = *link;
        chunk->len = ngx_min(left, chunk->size);
        ngx_memcpy(chunk->data, p, chunk->len);

        p += chunk->len;
        left -= chunk->len;
        link = &chunk->next;
    }

    if (ngx_http_llm_cache_shard_lock(w->hold.shard) != NGX_OK) {
        return;
    }

    *w->last = old->next;
    ngx_slab_free_locked(w->hold.shard->pool, old);

    ngx_http_llm_cache_shard_unlock(w->hold.shard);
}


void
ngx_http_llm_cache_zone_write(ngx_http_llm_cache_writer_t *w, size_t offset,
    const u_char *data, size_t len)
{
    size_t                       n;
    ngx_http_llm_cache_chunk_t  *chunk;

    for (chunk = w->hold.node->chunks; chunk && len; chunk = chunk->next) {

        if (offset >= chunk->len) {
            offset -= chunk->len;
            continue;
        }

        n = ngx_min(len, chunk->len - offset);

        ngx_memcpy(chunk->data + offset, data, n);

        data += n;
        len -= n;
        offset = 0;
    }
}


/* nobody may read from a chunk that is replaced */

static ngx_uint_t
ngx_http_llm_cache_zone_may_trim(ngx_http_llm_cache_writer_t *w)
{
    ngx_uint_t                    unread;
    ngx_http_llm_cache_flight_t  *flight;

    flight = w->hold.node->flight;

    if (flight == NULL) {
        return 1;
    }

    /* who joins from here on waits, as the flight is closing */

    if (ngx_http_llm_cache_shard_lock(w->hold.shard) != NGX_OK) {
        return 0;
    }

    unread = flight->parts == 1;

    ngx_http_llm_cache_shard_unlock(w->hold.shard);

    return unread;
}


ngx_int_t
ngx_http_llm_cache_zone_commit(ngx_http_llm_cache_writer_t *w,
    const llm_record_t *rec, uint32_t weight)
{
    ngx_int_t                    rc;
    ngx_http_llm_cache_node_t   *node;
    ngx_http_llm_cache_shard_t  *shard;

    shard = w->hold.shard;
    node = w->hold.node;

    if (ngx_http_llm_cache_zone_may_trim(w)) {
        ngx_http_llm_cache_zone_trim(w);
    }

    rc = NGX_DECLINED;

    if (ngx_http_llm_cache_shard_lock(shard) == NGX_OK) {

        if (!ngx_http_llm_cache_shard_purged(shard, w->purges, rec->key,
                                             &rec->tags, rec->created))
        {
            rc = NGX_OK;

        } else {
            rc = NGX_ABORT;
            ngx_http_llm_cache_shard_unlock(shard);
        }
    }

    if (rc != NGX_OK) {

        if (node->flight == NULL) {
            ngx_http_llm_cache_zone_abandon(w);
        }

        return rc;
    }

    ngx_memcpy(node->key, rec->key, LLM_KEY_LEN);

    node->created = (uint32_t) rec->created;
    node->expires = (uint32_t) rec->expires;
    node->used = (uint32_t) ngx_time();
    node->weight = weight;

    ngx_http_llm_cache_shard_link(shard, node);
    ngx_http_llm_cache_shard_expire(shard);

    if (node->flight) {
        node->flight->len = w->len;
        ngx_http_llm_cache_flight_stored(shard, node->flight);
    }

    ngx_http_llm_cache_shard_unlock(shard);

    ngx_http_llm_cache_zone_release(&w->hold);

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_cache_zone_swap(ngx_http_llm_cache_writer_t *w,
    ngx_http_llm_cache_node_t *old, uint32_t weight)
{
    ngx_int_t                    rc;
    ngx_http_llm_cache_node_t   *node;
    ngx_http_llm_cache_shard_t  *shard;

    shard = w->hold.shard;
    node = w->hold.node;

    ngx_http_llm_cache_zone_trim(w);

    if (ngx_http_llm_cache_shard_lock(shard) != NGX_OK) {
        ngx_http_llm_cache_zone_abandon(w);
        return NGX_DECLINED;
    }

    /* the old record is held, so that its address cannot be another's */

    rc = NGX_DECLINED;

    if (*ngx_http_llm_cache_shard_find(shard, old->key) == old) {

        ngx_memcpy(node->key, old->key, LLM_KEY_LEN);

        node->created = old->created;
        node->expires = old->expires;
        node->used = old->used;
        node->frequency = old->frequency;
        node->asked = old->asked;
        node->stamp = old->stamp;
        node->epoch = old->epoch;
        node->turns = old->turns;
        node->weight = weight;

        ngx_http_llm_cache_shard_bar(node, old);

        ngx_http_llm_cache_shard_swap(shard, old, node);

        rc = NGX_OK;
    }

    ngx_http_llm_cache_shard_unlock(shard);

    ngx_http_llm_cache_zone_release(&w->hold);

    return rc;
}


void
ngx_http_llm_cache_zone_abandon(ngx_http_llm_cache_writer_t *w)
{
    ngx_http_llm_cache_zone_release(&w->hold);
}
