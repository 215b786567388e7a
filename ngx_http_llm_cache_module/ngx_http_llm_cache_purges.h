/*
 * Purges of a zone.  What was stored before one goes: everything at once, by
 * an era that ends, or what fulfils conditions.  What is being fetched while
 * it happens is not stored later: who fills a record knows how many purges
 * the zone had seen, and the zone remembers those that came since.
 */


#ifndef _NGX_HTTP_LLM_CACHE_PURGES_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_PURGES_H_INCLUDED_


#include "ngx_http_llm_cache_zone.h"


/* purges of everything whose records may be there still */
#define NGX_HTTP_LLM_CACHE_ERAS          64

/* purges by conditions that are remembered, and parts of the keys that are
   told from one another for purges by key */
#define NGX_HTTP_LLM_CACHE_PURGES        16
#define NGX_HTTP_LLM_CACHE_PURGE_PARTS   64

/* purges that are known again */
#define NGX_HTTP_LLM_CACHE_PURGE_IDS     16


typedef struct {
    ngx_uint_t                   number;
    llm_purge_t                  what;
} ngx_http_llm_cache_past_purge_t;


/* in each shard */

typedef struct {
    ngx_uint_t                   last;       /* number of those here */
    ngx_uint_t                   all;        /* of everything */
    ngx_uint_t                   forgotten;  /* of what is in "past" no more */
    ngx_uint_t                   keys[NGX_HTTP_LLM_CACHE_PURGE_PARTS];
    ngx_uint_t                   next;       /* in "past" */
    ngx_http_llm_cache_past_purge_t  past[NGX_HTTP_LLM_CACHE_PURGES];

    /* in the first shard, of the zone */
    ngx_atomic_t                 number;
    ngx_uint_t                   next_id;
    u_char                       ids[NGX_HTTP_LLM_CACHE_PURGE_IDS]
                                    [LLM_PURGE_ID_LEN];
} ngx_http_llm_cache_purges_t;


/* the number of purges that have begun */
ngx_uint_t ngx_http_llm_cache_zone_purges(ngx_http_llm_cache_zone_t *zone);

/* NGX_OK with the purge's number; NGX_DECLINED: it has begun before */
ngx_int_t ngx_http_llm_cache_purge_begin(ngx_http_llm_cache_zone_t *zone,
    const llm_purge_t *what, ngx_uint_t *number);

/*
 * Purges a shard: of everything, or of a key, where *n more records are gone;
 * or has it remember the conditions, by which records are then to be removed.
 * NGX_AGAIN: first more of the dead have to be buried.
 */
ngx_int_t ngx_http_llm_cache_purge_shard(ngx_http_llm_cache_shard_t *shard,
    const llm_purge_t *what, ngx_uint_t number, ngx_uint_t *n);

/* how many records there are to be purged so */
ngx_uint_t ngx_http_llm_cache_purge_count(ngx_http_llm_cache_shard_t *shard,
    const llm_purge_t *what);

/*
 * Removes the record that is held, which is given back.  NGX_DECLINED: it was
 * not in the index any more; NGX_AGAIN: instead another one of its key is now
 * held, which may be another form of it.
 */
ngx_int_t ngx_http_llm_cache_purge_remove(ngx_http_llm_cache_hold_t *hold);

/* frees some of what was purged with everything; 0 when it is all gone */
ngx_uint_t ngx_http_llm_cache_zone_bury(ngx_http_llm_cache_zone_t *zone);


/* under a shard's lock, for the zone's own files */

/* whether a record that was begun with so many purges is not to be stored */
ngx_uint_t ngx_http_llm_cache_shard_purged(ngx_http_llm_cache_shard_t *shard,
    ngx_uint_t purges, const u_char *key, const llm_tags_t *tags,
    uint64_t created);

ngx_uint_t ngx_http_llm_cache_shard_dead(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node);
/* takes a dead node out of its grave */
void ngx_http_llm_cache_shard_exhume(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node);
/* takes dead nodes out of the index; how many */
ngx_uint_t ngx_http_llm_cache_shard_bury(ngx_http_llm_cache_shard_t *shard,
    ngx_uint_t max);


#endif /* _NGX_HTTP_LLM_CACHE_PURGES_H_INCLUDED_ */
