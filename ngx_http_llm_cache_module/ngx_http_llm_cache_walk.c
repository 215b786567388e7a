#include "ngx_http_llm_cache_shard.h"
#include "ngx_http_llm_cache_walk.h"


/* the most buckets that are looked into under one lock */
#define NGX_HTTP_LLM_CACHE_WALK_BUCKETS  256


static ngx_int_t ngx_http_llm_cache_walk_lock(
    ngx_http_llm_cache_shard_t *shard);
static void ngx_http_llm_cache_walk_shard(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_iter_t *iter);
static void ngx_http_llm_cache_walk_entry(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node, llm_state_entry_t *entry);


ngx_int_t
ngx_http_llm_cache_zone_walk(ngx_http_llm_cache_zone_t *zone,
    ngx_http_llm_cache_iter_t *iter)
{
    ngx_http_llm_cache_shard_t  *shard;

    iter->n = 0;

    if (iter->shard == zone->n) {
        return NGX_DONE;
    }

    shard = &zone->shards[iter->shard];

    if (ngx_http_llm_cache_walk_lock(shard) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_llm_cache_walk_shard(shard, iter);

    if (iter->bucket > shard->sh->mask) {
        iter->bucket = 0;
        iter->shard++;
    }

    ngx_http_llm_cache_shard_unlock(shard);

    return NGX_OK;
}


/*
 * The lock, with room for what a step holds: a slot that had to be made later
 * could evict what is being looked at.
 */

static ngx_int_t
ngx_http_llm_cache_walk_lock(ngx_http_llm_cache_shard_t *shard)
{
    ngx_uint_t  i, again;

    again = 1;

    for (i = 0; again && i < NGX_HTTP_LLM_CACHE_EVICT_MAX; i++) {

        if (ngx_http_llm_cache_shard_lock(shard) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_http_llm_cache_shard_reserve(shard,
                                             NGX_HTTP_LLM_CACHE_WALK_STEP,
                                             &again)
            == NGX_OK)
        {
            return NGX_OK;
        }

        ngx_http_llm_cache_shard_unlock(shard);
    }

    return NGX_ERROR;
}


/* whole buckets, as many as fit: a chain has no place to come back to */

static void
ngx_http_llm_cache_walk_shard(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_iter_t *iter)
{
    ngx_uint_t                    i, n;
    ngx_http_llm_cache_node_t    *node;
    ngx_http_llm_cache_walked_t  *record;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_WALK_BUCKETS; i++) {

        if (iter->bucket > shard->sh->mask) {
            return;
        }

        n = iter->n;
        node = shard->sh->buckets[iter->bucket];

        for ( /* void */ ; node; node = node->next) {

            if (ngx_http_llm_cache_shard_dead(shard, node)) {
                continue;
            }

            if (n == NGX_HTTP_LLM_CACHE_WALK_STEP) {
                break;
            }

            record = &iter->records[n];
            record->hold.node = node;
            n++;
        }

        if (node && iter->n) {
            return;
        }

        for ( /* void */ ; iter->n < n; iter->n++) {

            record = &iter->records[iter->n];
            node = record->hold.node;

            ngx_http_llm_cache_walk_entry(shard, node, &record->entry);

            if (ngx_http_llm_cache_shard_hold(shard, node, &record->hold)
                != NGX_OK)
            {
                return;
            }
        }

        iter->bucket++;
    }
}


static void
ngx_http_llm_cache_walk_entry(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node, llm_state_entry_t *entry)
{
    ngx_memzero(entry, sizeof(llm_state_entry_t));
    ngx_memcpy(entry->key, node->key, LLM_KEY_LEN);

    entry->created = node->created;
    entry->expires = node->expires;
    entry->used = node->used;
    entry->frequency = node->frequency;
    entry->weight = node->weight;
    entry->asked = node->asked;

    if (shard->zone->lru) {
        entry->priority = UINT64_MAX;

    } else if (node->rank.key > shard->sh->age) {
        entry->priority = node->rank.key - shard->sh->age;
    }
}


ngx_int_t
ngx_http_llm_cache_zone_restore(ngx_http_llm_cache_writer_t *w,
    const llm_state_entry_t *entry, const llm_tags_t *tags)
{
    ngx_int_t                    rc;
    ngx_http_llm_cache_node_t   *node;
    ngx_http_llm_cache_shard_t  *shard;

    shard = w->hold.shard;
    node = w->hold.node;

    if (ngx_http_llm_cache_shard_lock(shard) != NGX_OK) {
        ngx_http_llm_cache_zone_abandon(w);
        return NGX_DECLINED;
    }

    ngx_memcpy(node->key, entry->key, LLM_KEY_LEN);

    if (ngx_http_llm_cache_shard_purged(shard, w->purges, entry->key, tags,
                                        entry->created))
    {
        ngx_http_llm_cache_shard_unlock(shard);
        ngx_http_llm_cache_zone_abandon(w);
        return NGX_DECLINED;
    }

    node->created = (uint32_t) entry->created;
    node->expires = (uint32_t) entry->expires;
    node->used = (uint32_t) ngx_min(entry->used, (uint64_t) ngx_time());
    node->frequency = ngx_min(ngx_max(entry->frequency, 1),
                              NGX_HTTP_LLM_CACHE_FREQUENCY)
                      & NGX_HTTP_LLM_CACHE_FREQUENCY;
    node->weight = entry->weight;
    node->asked = entry->asked != 0;

    /* what became of it in Redis meanwhile nobody knows */

    node->stamp = 1;
    node->epoch = ngx_http_llm_cache_redis_past(ngx_current_msec);

    rc = ngx_http_llm_cache_shard_restore(shard, node, entry->priority);

    ngx_http_llm_cache_shard_unlock(shard);

    ngx_http_llm_cache_zone_release(&w->hold);

    return rc;
}


ngx_uint_t
ngx_http_llm_cache_zone_changes(ngx_http_llm_cache_zone_t *zone)
{
    ngx_uint_t  i, n;

    for (n = 0, i = 0; i < zone->n; i++) {
        n += zone->shards[i].sh->changes + zone->shards[i].sh->generation;
    }

    return n;
}
