#include "ngx_http_llm_cache_shard.h"

#include <signal.h>


static char *ngx_http_llm_cache_zone_add_shard(ngx_conf_t *cf,
    ngx_http_llm_cache_shard_t *shard);
static ngx_int_t ngx_http_llm_cache_zone_init(ngx_shm_zone_t *shm_zone,
    void *data);
static void ngx_http_llm_cache_zone_reap_shard(
    ngx_http_llm_cache_shard_t *shard, ngx_uint_t started, ngx_log_t *log);
static ngx_uint_t ngx_http_llm_cache_zone_reap_slot(
    ngx_http_llm_cache_shard_t *shard, ngx_http_llm_cache_slot_t *slot,
    ngx_pid_t pid);
static ngx_http_llm_cache_node_t **ngx_http_llm_cache_zone_enter(
    ngx_http_llm_cache_zone_t *zone, const u_char *key,
    ngx_http_llm_cache_shard_t **shard);


/*
 * Each shard is a shared memory zone of nginx's own, since only the mutex of
 * such a zone's pool is released when its owner dies.
 */

char *
ngx_http_llm_cache_zone_add(ngx_conf_t *cf, ngx_http_llm_cache_zone_t *zone)
{
    u_char                      *p;
    ngx_uint_t                   i;
    ngx_http_llm_cache_shard_t  *shard;

    zone->shards = ngx_pcalloc(cf->pool,
                               zone->n * sizeof(ngx_http_llm_cache_shard_t));
    if (zone->shards == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < zone->n; i++) {

        shard = &zone->shards[i];

        shard->zone = zone;
        shard->name = zone->name;
        shard->size = zone->size / zone->n;

        if (i) {
            p = ngx_pnalloc(cf->pool, zone->name.len + 1 + NGX_INT_T_LEN);
            if (p == NULL) {
                return NGX_CONF_ERROR;
            }

            shard->name.data = p;
            shard->name.len = ngx_sprintf(p, "%V#%ui", &zone->name, i) - p;
        }

        if (ngx_http_llm_cache_zone_add_shard(cf, shard) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return ngx_http_llm_cache_stat_add(cf, &zone->name, &zone->stat);
}


static char *
ngx_http_llm_cache_zone_add_shard(ngx_conf_t *cf,
    ngx_http_llm_cache_shard_t *shard)
{
    shard->shm_zone = ngx_shared_memory_add(cf, &shard->name, shard->size,
                                            &ngx_http_llm_cache_module);
    if (shard->shm_zone == NULL) {
        return NGX_CONF_ERROR;
    }

    if (shard->shm_zone->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "duplicate \"llm_cache_zone\" zone \"%V\"",
                           &shard->zone->name);
        return NGX_CONF_ERROR;
    }

    shard->shm_zone->init = ngx_http_llm_cache_zone_init;
    shard->shm_zone->data = shard;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_llm_cache_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_llm_cache_shard_t  *shard;

    shard = shm_zone->data;
    shard->pool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (data || shm_zone->shm.exists) {
        shard->sh = shard->pool->data;

        if (shard->sh == NULL
            || shard->sh->layout != NGX_HTTP_LLM_CACHE_LAYOUT
            || shard->sh->shards != shard->zone->n)
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "llm_cache_zone \"%V\" holds the layout of another "
                          "version of the module or of another number of "
                          "shards; restart nginx, or give the zone another "
                          "name or size", &shard->name);
            return NGX_ERROR;
        }

        shard->sh->full = 0;

        return NGX_OK;
    }

    if (ngx_http_llm_cache_shard_format(shard) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "llm_cache_zone \"%V\" is too small", &shard->name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_http_llm_cache_shard_t *
ngx_http_llm_cache_zone_shard(ngx_http_llm_cache_zone_t *zone,
    const u_char *key)
{
    /* the key's first bytes choose the bucket */

    return &zone->shards[key[LLM_KEY_LEN - 1] % zone->n];
}


ngx_http_llm_cache_memo_t *
ngx_http_llm_cache_zone_memo(ngx_http_llm_cache_zone_t *zone)
{
    ngx_http_llm_cache_memo_t  *memo;

    memo = zone->shards[0].sh->memo;

    if (zone->fingerprint == NULL) {

        zone->fingerprint = llm_fingerprint_create(memo->key);

        if (zone->fingerprint == NULL) {
            return NULL;
        }
    }

    return memo;
}


void
ngx_http_llm_cache_zone_close(ngx_http_llm_cache_zone_t *zone)
{
    llm_fingerprint_free(zone->fingerprint);
    zone->fingerprint = NULL;
}


void
ngx_http_llm_cache_zone_reap(ngx_http_llm_cache_zone_t *zone,
    ngx_uint_t started, ngx_log_t *log)
{
    ngx_uint_t  i;

    for (i = 0; i < zone->n; i++) {
        ngx_http_llm_cache_zone_reap_shard(&zone->shards[i], started, log);
    }
}


static void
ngx_http_llm_cache_zone_reap_shard(ngx_http_llm_cache_shard_t *shard,
    ngx_uint_t started, ngx_log_t *log)
{
    ngx_pid_t                   pid;
    ngx_uint_t                  n;
    ngx_http_llm_cache_slot_t  *slot;

    if (shard->sh == NULL) {
        return;
    }

    for (slot = shard->sh->slots; slot; slot = slot->next) {

        pid = slot->pid;

        if (pid == 0) {
            continue;
        }

        if (pid == ngx_pid) {
            if (!started) {
                continue;
            }

        } else if (kill(pid, 0) == 0 || ngx_errno != ESRCH) {
            continue;
        }

        n = ngx_http_llm_cache_zone_reap_slot(shard, slot, pid);

        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "llm_cache_zone \"%V\": giving back %ui records that "
                      "process %P had held", &shard->name, n, pid);
    }

    ngx_http_llm_cache_shard_collect(shard);
}


/* the number of records; another process may have been faster */

static ngx_uint_t
ngx_http_llm_cache_zone_reap_slot(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_slot_t *slot, ngx_pid_t pid)
{
    ngx_uint_t  i, n, broken;

    broken = ngx_http_llm_cache_shard_lock(shard) != NGX_OK;
    n = 0;

    if (slot->pid == pid) {

        n = slot->n;

        for (i = 0; i < NGX_HTTP_LLM_CACHE_HELD; i++) {
            if (slot->held[i] && !broken) {
                ngx_http_llm_cache_shard_drop(shard, slot->held[i]);
            }

            slot->held[i] = 0;
        }

        slot->n = 0;
        slot->pid = 0;
    }

    if (!broken) {
        ngx_http_llm_cache_shard_unlock(shard);
    }

    return n;
}


ngx_int_t
ngx_http_llm_cache_zone_get(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, time_t stale, ngx_http_llm_cache_hold_t *hold)
{
    ngx_int_t                    rc;
    ngx_http_llm_cache_shard_t  *shard;

    shard = ngx_http_llm_cache_zone_shard(zone, key);

    if (ngx_http_llm_cache_shard_lock(shard) != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = ngx_http_llm_cache_shard_get(shard, key, stale, hold);

    ngx_http_llm_cache_shard_unlock(shard);

    return rc;
}


/* the link to the key's record, under the lock; NULL: there is no lock */

static ngx_http_llm_cache_node_t **
ngx_http_llm_cache_zone_enter(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, ngx_http_llm_cache_shard_t **shard)
{
    *shard = ngx_http_llm_cache_zone_shard(zone, key);

    return ngx_http_llm_cache_shard_lock(*shard) == NGX_OK
           ? ngx_http_llm_cache_shard_find(*shard, key) : NULL;
}


ngx_uint_t
ngx_http_llm_cache_zone_turn(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, ngx_uint_t n)
{
    ngx_uint_t                   turn;
    ngx_http_llm_cache_node_t   *node, **link;
    ngx_http_llm_cache_shard_t  *shard;

    link = ngx_http_llm_cache_zone_enter(zone, key, &shard);

    if (link == NULL) {
        return 0;
    }

    node = *link;
    turn = 0;

    if (node) {
        turn = (node->turns + 1) % n;
        node->turns = (unsigned) turn & 0xff;
    }

    ngx_http_llm_cache_shard_unlock(shard);

    return turn;
}


ngx_int_t
ngx_http_llm_cache_zone_look(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, ngx_http_llm_cache_hold_t *hold)
{
    ngx_int_t                    rc;
    ngx_http_llm_cache_node_t  **link;
    ngx_http_llm_cache_shard_t  *shard;

    link = ngx_http_llm_cache_zone_enter(zone, key, &shard);

    if (link == NULL) {
        return NGX_DECLINED;
    }

    rc = *link ? ngx_http_llm_cache_shard_hold(shard, *link, hold)
               : NGX_DECLINED;

    ngx_http_llm_cache_shard_unlock(shard);

    return rc;
}


ngx_int_t
ngx_http_llm_cache_zone_peek(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, ngx_http_llm_cache_hold_t *hold)
{
    if (ngx_http_llm_cache_zone_look(zone, key, hold) != NGX_OK) {
        return NGX_DECLINED;
    }

    if ((time_t) hold->node->expires > ngx_time()) {
        return NGX_OK;
    }

    ngx_http_llm_cache_zone_release(hold);

    return NGX_DECLINED;
}


void
ngx_http_llm_cache_zone_release(ngx_http_llm_cache_hold_t *hold)
{
    if (hold->node) {
        ngx_http_llm_cache_shard_release(hold);
    }
}


void
ngx_http_llm_cache_zone_delete(ngx_http_llm_cache_zone_t *zone,
    const u_char *key)
{
    ngx_http_llm_cache_zone_delete_other(zone, key, 0);
}


size_t
ngx_http_llm_cache_zone_capacity(ngx_http_llm_cache_zone_t *zone)
{
    size_t                       size;
    ngx_uint_t                   i;
    ngx_slab_pool_t             *pool;
    ngx_http_llm_cache_memo_t   *memo;
    ngx_http_llm_cache_shard_t  *shard;

    memo = zone->shards[0].sh->memo;

    size = 0;

    for (i = 0; i < zone->n; i++) {

        shard = &zone->shards[i];
        pool = shard->pool;

        size += (pool->end - pool->start) / ngx_pagesize * ngx_pagesize
                - sizeof(ngx_http_llm_cache_sh_t)
                - (shard->sh->mask + 1) * sizeof(void *);
    }

    return size - (memo->mask + 1) * sizeof(memo->sets[0]);
}


void
ngx_http_llm_cache_zone_gauges(ngx_http_llm_cache_zone_t *zone,
    ngx_http_llm_cache_gauges_t *gauges)
{
    ngx_uint_t                   i;
    ngx_slab_pool_t             *pool;
    ngx_http_llm_cache_shard_t  *shard;

    ngx_memzero(gauges, sizeof(ngx_http_llm_cache_gauges_t));

    for (i = 0; i < zone->n; i++) {

        shard = &zone->shards[i];
        pool = shard->pool;

        if (ngx_http_llm_cache_shard_lock(shard) != NGX_OK) {
            continue;
        }

        gauges->entries += shard->sh->nodes;
        gauges->flying += shard->sh->flying;
        gauges->size += (pool->end - pool->start) / ngx_pagesize
                        * ngx_pagesize;
        gauges->free += pool->pfree * ngx_pagesize;

        ngx_http_llm_cache_shard_unlock(shard);
    }
}


ngx_http_llm_cache_redis_stat_t *
ngx_http_llm_cache_zone_redis(ngx_http_llm_cache_zone_t *zone)
{
    return &zone->shards[0].sh->redis;
}


ngx_http_llm_cache_semantic_stat_t *
ngx_http_llm_cache_zone_semantic(ngx_http_llm_cache_zone_t *zone)
{
    return &zone->stat->semantic;
}


ngx_int_t
ngx_http_llm_cache_zone_mark(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, size_t offset, u_char bits)
{
    ngx_int_t                    rc;
    ngx_http_llm_cache_node_t   *node, **link;
    ngx_http_llm_cache_shard_t  *shard;

    link = ngx_http_llm_cache_zone_enter(zone, key, &shard);

    if (link == NULL) {
        return NGX_DECLINED;
    }

    node = *link;
    rc = NGX_DECLINED;

    if (node && node->chunks && node->chunks->len > offset) {
        node->chunks->data[offset] |= bits;
        shard->sh->changes++;
        rc = NGX_OK;
    }

    ngx_http_llm_cache_shard_unlock(shard);

    return rc;
}


ngx_uint_t
ngx_http_llm_cache_zone_has(ngx_http_llm_cache_zone_t *zone,
    const u_char *key)
{
    ngx_uint_t                   has;
    ngx_http_llm_cache_node_t  **link;
    ngx_http_llm_cache_shard_t  *shard;

    link = ngx_http_llm_cache_zone_enter(zone, key, &shard);

    if (link == NULL) {
        return 0;
    }

    has = *link != NULL;

    ngx_http_llm_cache_shard_unlock(shard);

    return has;
}


void
ngx_http_llm_cache_zone_delete_other(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, uint32_t stamp)
{
    ngx_http_llm_cache_node_t  **link;
    ngx_http_llm_cache_shard_t  *shard;

    link = ngx_http_llm_cache_zone_enter(zone, key, &shard);

    if (link == NULL) {
        return;
    }

    if (*link && (stamp == 0 || (*link)->stamp != stamp)) {
        ngx_http_llm_cache_shard_unlink(shard, link);
    }

    ngx_http_llm_cache_shard_unlock(shard);
}


void
ngx_http_llm_cache_zone_stamp(ngx_http_llm_cache_hold_t *hold,
    uint32_t stamp, ngx_uint_t epoch)
{
    ngx_http_llm_cache_shard_t  *shard;

    shard = hold->shard;

    /* a packed form of the record may be about to take its place */

    if (ngx_http_llm_cache_shard_lock(shard) == NGX_OK) {
        hold->node->stamp = stamp;
        hold->node->epoch = epoch & NGX_HTTP_LLM_CACHE_REDIS_EPOCHS;
        ngx_http_llm_cache_shard_unlock(shard);
    }
}


void
ngx_http_llm_cache_zone_read(ngx_http_llm_cache_node_t *node, size_t offset,
    u_char *p, size_t len)
{
    size_t                        n;
    u_char                       *from;
    ngx_http_llm_cache_cursor_t   cursor;

    cursor.chunk = node->chunks;
    cursor.offset = 0;

    while (len) {
        n = ngx_http_llm_cache_zone_piece(&cursor, offset, offset + len,
                                          &from);
        if (n == 0) {
            ngx_memzero(p, len);
            return;
        }

        p = ngx_cpymem(p, from, n);
        offset += n;
        len -= n;
    }
}


size_t
ngx_http_llm_cache_zone_piece(ngx_http_llm_cache_cursor_t *cursor,
    size_t start, size_t end, u_char **p)
{
    size_t                       from;
    ngx_http_llm_cache_chunk_t  *chunk;

    for ( ;; ) {

        chunk = cursor->chunk;

        if (chunk == NULL) {
            return 0;
        }

        if (start < cursor->offset + chunk->len) {
            break;
        }

        cursor->offset += chunk->len;
        cursor->chunk = chunk->next;
    }

    from = start - cursor->offset;
    *p = chunk->data + from;

    return ngx_min(end - cursor->offset, chunk->len) - from;
}
