#include "ngx_http_llm_cache_purges.h"
#include "ngx_http_llm_cache_shard.h"


/* dead records that are taken out, or freed, under one lock; and locks in one
   go, which takes less than a millisecond */
#define NGX_HTTP_LLM_CACHE_BURY_STEP   16
#define NGX_HTTP_LLM_CACHE_FREE_STEPS  4
#define NGX_HTTP_LLM_CACHE_BURY_LOCKS  64


static ngx_int_t ngx_http_llm_cache_purge_all(
    ngx_http_llm_cache_shard_t *shard, ngx_uint_t number, ngx_uint_t *n);
static ngx_uint_t ngx_http_llm_cache_purge_key(
    ngx_http_llm_cache_shard_t *shard, const u_char *key, ngx_uint_t number);
static void ngx_http_llm_cache_purge_remember(
    ngx_http_llm_cache_purges_t *purges, const llm_purge_t *what,
    ngx_uint_t number);
static ngx_uint_t ngx_http_llm_cache_bury_step(
    ngx_http_llm_cache_shard_t *shard);


ngx_uint_t
ngx_http_llm_cache_zone_purges(ngx_http_llm_cache_zone_t *zone)
{
    return zone->shards[0].sh->purges.number;
}


ngx_int_t
ngx_http_llm_cache_purge_begin(ngx_http_llm_cache_zone_t *zone,
    const llm_purge_t *what, ngx_uint_t *number)
{
    ngx_int_t                     rc;
    ngx_uint_t                    i;
    ngx_http_llm_cache_shard_t   *shard;
    ngx_http_llm_cache_purges_t  *purges;

    shard = &zone->shards[0];

    rc = NGX_OK;

    /* a broken shard answers nothing, and remembers what is written here */

    if (ngx_http_llm_cache_shard_lock(shard) != NGX_OK) {
        *number = ngx_atomic_fetch_add(&shard->sh->purges.number, 1) + 1;
        return NGX_OK;
    }

    purges = &shard->sh->purges;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_PURGE_IDS; i++) {
        if (ngx_memcmp(purges->ids[i], what->id, LLM_PURGE_ID_LEN) == 0) {
            rc = NGX_DECLINED;
        }
    }

    if (rc == NGX_OK) {
        ngx_memcpy(purges->ids[purges->next_id], what->id, LLM_PURGE_ID_LEN);

        purges->next_id = (purges->next_id + 1)
                          % NGX_HTTP_LLM_CACHE_PURGE_IDS;

        *number = ngx_atomic_fetch_add(&purges->number, 1) + 1;
    }

    ngx_http_llm_cache_shard_unlock(shard);

    return rc;
}


ngx_int_t
ngx_http_llm_cache_purge_shard(ngx_http_llm_cache_shard_t *shard,
    const llm_purge_t *what, ngx_uint_t number, ngx_uint_t *n)
{
    ngx_int_t                     rc;
    ngx_http_llm_cache_purges_t  *purges;

    if ((what->by & LLM_PURGE_KEY)
        && ngx_http_llm_cache_zone_shard(shard->zone, what->key) != shard)
    {
        return NGX_OK;
    }

    /* a shard that is broken has nothing that could be served */

    if (ngx_http_llm_cache_shard_lock(shard) != NGX_OK) {
        return NGX_OK;
    }

    rc = NGX_OK;
    purges = &shard->sh->purges;

    if (what->by == 0) {
        rc = ngx_http_llm_cache_purge_all(shard, number, n);

    } else if (what->by == LLM_PURGE_KEY) {
        *n += ngx_http_llm_cache_purge_key(shard, what->key, number);

    } else {
        ngx_http_llm_cache_purge_remember(purges, what, number);
    }

    if (rc == NGX_OK) {
        purges->last = ngx_max(purges->last, number);
    }

    ngx_http_llm_cache_shard_unlock(shard);

    return rc;
}


/*
 * The tree of ranks becomes a grave, whatever its size.  What is in there is
 * in the index still, and dead for who finds it.
 */

static ngx_int_t
ngx_http_llm_cache_purge_all(ngx_http_llm_cache_shard_t *shard,
    ngx_uint_t number, ngx_uint_t *n)
{
    ngx_uint_t                i, era;
    ngx_http_llm_cache_sh_t  *sh;

    sh = shard->sh;

    if (sh->nodes) {

        era = sh->era;

        for (i = 1; i < NGX_HTTP_LLM_CACHE_ERAS; i++) {
            era = (era + 1) % NGX_HTTP_LLM_CACHE_ERAS;

            if (sh->graves[era] == &sh->sentinel) {
                break;
            }
        }

        if (i == NGX_HTTP_LLM_CACHE_ERAS) {
            return NGX_AGAIN;
        }

        *n += sh->nodes;

        sh->graves[sh->era] = sh->ranks.root;
        sh->ranks.root = &sh->sentinel;
        sh->era = era;
        sh->dead += sh->nodes;
        sh->nodes = 0;
        sh->changes++;
    }

    sh->purges.all = ngx_max(sh->purges.all, number);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_llm_cache_purge_key(ngx_http_llm_cache_shard_t *shard,
    const u_char *key, ngx_uint_t number)
{
    ngx_uint_t                  *part;
    ngx_http_llm_cache_node_t  **link;

    part = &shard->sh->purges.keys[key[2] % NGX_HTTP_LLM_CACHE_PURGE_PARTS];
    *part = ngx_max(*part, number);

    link = ngx_http_llm_cache_shard_find(shard, key);

    if (*link == NULL) {
        return 0;
    }

    ngx_http_llm_cache_shard_unlink(shard, link);

    return 1;
}


static void
ngx_http_llm_cache_purge_remember(ngx_http_llm_cache_purges_t *purges,
    const llm_purge_t *what, ngx_uint_t number)
{
    ngx_http_llm_cache_past_purge_t  *past;

    past = &purges->past[purges->next];

    purges->next = (purges->next + 1) % NGX_HTTP_LLM_CACHE_PURGES;
    purges->forgotten = ngx_max(purges->forgotten, past->number);

    past->number = number;
    past->what = *what;
}


ngx_uint_t
ngx_http_llm_cache_shard_purged(ngx_http_llm_cache_shard_t *shard,
    ngx_uint_t number, const u_char *key, const llm_tags_t *tags,
    uint64_t created)
{
    ngx_uint_t                    i;
    ngx_http_llm_cache_purges_t  *purges;

    purges = &shard->sh->purges;

    if (number >= purges->last) {
        return 0;
    }

    if (number < purges->all
        || number < purges->forgotten
        || number < purges->keys[key[2] % NGX_HTTP_LLM_CACHE_PURGE_PARTS])
    {
        return 1;
    }

    for (i = 0; i < NGX_HTTP_LLM_CACHE_PURGES; i++) {
        if (number < purges->past[i].number
            && llm_purge_match(&purges->past[i].what, key, tags, created))
        {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_llm_cache_purge_count(ngx_http_llm_cache_shard_t *shard,
    const llm_purge_t *what)
{
    ngx_uint_t  n;

    if (ngx_http_llm_cache_shard_lock(shard) != NGX_OK) {
        return 0;
    }

    n = 0;

    if (what->by == 0) {
        n = shard->sh->nodes;

    } else if (what->by == LLM_PURGE_KEY
               && ngx_http_llm_cache_zone_shard(shard->zone, what->key)
                  == shard)
    {
        n = *ngx_http_llm_cache_shard_find(shard, what->key) != NULL;
    }

    ngx_http_llm_cache_shard_unlock(shard);

    return n;
}


ngx_int_t
ngx_http_llm_cache_purge_remove(ngx_http_llm_cache_hold_t *hold)
{
    ngx_int_t                     rc;
    ngx_http_llm_cache_node_t    *node, **link;
    ngx_http_llm_cache_shard_t   *shard;
    ngx_http_llm_cache_hold_t     other;

    shard = hold->shard;
    node = hold->node;
    rc = NGX_DECLINED;

    ngx_memzero(&other, sizeof(ngx_http_llm_cache_hold_t));

    if (ngx_http_llm_cache_shard_lock(shard) == NGX_OK) {

        link = ngx_http_llm_cache_shard_find(shard, node->key);

        if (*link == node) {
            ngx_http_llm_cache_shard_unlink(shard, link);
            rc = NGX_OK;

        } else if (*link
                   && ngx_http_llm_cache_shard_hold(shard, *link, &other)
                      == NGX_OK)
        {
            rc = NGX_AGAIN;
        }

        ngx_http_llm_cache_shard_unlock(shard);
    }

    ngx_http_llm_cache_zone_release(hold);

    *hold = other;

    return rc;
}


ngx_uint_t
ngx_http_llm_cache_shard_dead(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node)
{
    return node->rank.data != shard->sh->era;
}


void
ngx_http_llm_cache_shard_exhume(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node)
{
    ngx_rbtree_t              tree;
    ngx_http_llm_cache_sh_t  *sh;

    sh = shard->sh;

    tree = sh->ranks;
    tree.root = sh->graves[node->rank.data];

    ngx_rbtree_delete(&tree, &node->rank);

    sh->graves[node->rank.data] = tree.root;
    sh->dead--;
}


ngx_uint_t
ngx_http_llm_cache_shard_bury(ngx_http_llm_cache_shard_t *shard,
    ngx_uint_t max)
{
    ngx_uint_t                  i, n;
    ngx_rbtree_node_t          *rank;
    ngx_http_llm_cache_sh_t    *sh;
    ngx_http_llm_cache_node_t  *node;

    sh = shard->sh;
    n = 0;

    for (i = 0; sh->dead && n < max && i < NGX_HTTP_LLM_CACHE_ERAS; i++) {

        while (n < max && sh->graves[i] != &sh->sentinel) {

            rank = ngx_rbtree_min(sh->graves[i], &sh->sentinel);
            node = ngx_rbtree_data(rank, ngx_http_llm_cache_node_t, rank);

            ngx_http_llm_cache_shard_unlink(shard,
                           ngx_http_llm_cache_shard_locate(shard, node->key));
            n++;
        }
    }

    return n;
}


ngx_uint_t
ngx_http_llm_cache_zone_bury(ngx_http_llm_cache_zone_t *zone)
{
    ngx_uint_t  i, locks;

    locks = 0;

    for (i = 0; i < zone->n; i++) {

        while (ngx_http_llm_cache_bury_step(&zone->shards[i])) {

            if (++locks == NGX_HTTP_LLM_CACHE_BURY_LOCKS) {
                return 1;
            }
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_llm_cache_bury_step(ngx_http_llm_cache_shard_t *shard)
{
    ngx_uint_t  i, more;

    if (shard->sh->dead == 0 && shard->sh->garbage == NULL) {
        return 0;
    }

    if (ngx_http_llm_cache_shard_lock(shard) != NGX_OK) {
        return 0;
    }

    more = 0;

    for (i = 0; i < NGX_HTTP_LLM_CACHE_FREE_STEPS; i++) {
        more |= ngx_http_llm_cache_shard_collect_step(shard);
    }

    if (!more) {
        more = ngx_http_llm_cache_shard_bury(shard,
                                             NGX_HTTP_LLM_CACHE_BURY_STEP);
    }

    ngx_http_llm_cache_shard_unlock(shard);

    return more;
}
