/*
 * The inside of a zone's shard: its layout in shared memory, its lock, what
 * each worker holds of it, and its memory.  For the zone's own files.
 */


#ifndef _NGX_HTTP_LLM_CACHE_SHARD_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_SHARD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "llm_evict.h"
#include "ngx_http_llm_cache_purges.h"
#include "ngx_http_llm_cache_zone.h"


#define NGX_HTTP_LLM_CACHE_LAYOUT      10

/* the most locks that are taken to make room for one chunk */
#define NGX_HTTP_LLM_CACHE_EVICT_MAX   256


/* buckets of a shard's flights */
#define NGX_HTTP_LLM_CACHE_FLIGHTS     256


/* more is not counted */
#define NGX_HTTP_LLM_CACHE_FREQUENCY   0xffffff

/* what one worker holds; a page.  The low bits tell the part in a flight */

#define NGX_HTTP_LLM_CACHE_HELD                                               \
    ((4096 - 4 * sizeof(void *)) / sizeof(void *))

struct ngx_http_llm_cache_slot_s {
    ngx_http_llm_cache_slot_t   *next;
    ngx_pid_t                    pid;        /* 0: free */
    ngx_uint_t                   n;
    ngx_uint_t                   hint;
    uintptr_t                    held[NGX_HTTP_LLM_CACHE_HELD];
};


/* what the processes know of a zone's state file */

typedef struct {
    ngx_uint_t                   phase;      /* 0: it was never loaded */
    ngx_uint_t                   tries;      /* to load it */
    ngx_atomic_t                 purged;     /* how often it was taken away */

    /* as it was written last, and the changes of the shards until then */
    ngx_uint_t                   changes;
    uint64_t                     dev;
    uint64_t                     ino;
    uint64_t                     size;
    uint64_t                     mtime;
} ngx_http_llm_cache_saved_state_t;


struct ngx_http_llm_cache_sh_s {
    ngx_uint_t                   layout;
    ngx_uint_t                   shards;     /* of the zone */
    ngx_uint_t                   mask;       /* number of buckets - 1 */
    ngx_http_llm_cache_memo_t   *memo;       /* of the first shard */

    ngx_uint_t                   generation; /* of the index */
    volatile ngx_uint_t          busy;       /* somebody is inside the lock */
    volatile ngx_uint_t          broken;     /* somebody died there */
    ngx_uint_t                   full;       /* warned about */
    ngx_uint_t                   changes;    /* of the index */

    ngx_http_llm_cache_purges_t  purges;
    ngx_http_llm_cache_redis_stat_t  redis;  /* in the first shard */
    ngx_http_llm_cache_saved_state_t  state; /* in the first shard */

    /* the index, which starts empty where somebody died inside the lock; what
       stands before it outlives that, and who dies meanwhile */
    ngx_http_llm_cache_node_t  **buckets;
    ngx_rbtree_t                 ranks;      /* lowest priority first */
    ngx_rbtree_node_t            sentinel;
    ngx_uint_t                   nodes;      /* in it */

    /* what all was purged with: nodes that are nobody's, by their era */
    ngx_uint_t                   era;        /* of the index, the next ones' */
    ngx_uint_t                   dead;       /* nodes in all of these */
    ngx_rbtree_node_t           *graves[NGX_HTTP_LLM_CACHE_ERAS];

    uint64_t                     age;        /* of what was evicted last */
    ngx_http_llm_cache_node_t   *garbage;    /* without references */
    ngx_http_llm_cache_slot_t   *slots;      /* grows only */

    ngx_http_llm_cache_flight_t *flights[NGX_HTTP_LLM_CACHE_FLIGHTS];
    ngx_uint_t                   flying;
};


ngx_http_llm_cache_shard_t *ngx_http_llm_cache_zone_shard(
    ngx_http_llm_cache_zone_t *zone, const u_char *key);

/* lays out an empty pool; NGX_ERROR where it is too small */
ngx_int_t ngx_http_llm_cache_shard_format(ngx_http_llm_cache_shard_t *shard);

/* NGX_OK, the lock being held; or NGX_ERROR, where it is not */
ngx_int_t ngx_http_llm_cache_shard_lock(ngx_http_llm_cache_shard_t *shard);
void ngx_http_llm_cache_shard_unlock(ngx_http_llm_cache_shard_t *shard);


/* under the lock */

ngx_int_t ngx_http_llm_cache_shard_hold(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node, ngx_http_llm_cache_hold_t *hold);
void ngx_http_llm_cache_shard_take_part(ngx_http_llm_cache_hold_t *hold,
    ngx_uint_t part);
/* gives back one place of a slot */
void ngx_http_llm_cache_shard_drop(ngx_http_llm_cache_shard_t *shard,
    uintptr_t held);
void ngx_http_llm_cache_shard_unref(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node);

/* as ngx_http_llm_cache_zone_get() */
ngx_int_t ngx_http_llm_cache_shard_get(ngx_http_llm_cache_shard_t *shard,
    const u_char *key, time_t stale, ngx_http_llm_cache_hold_t *hold);
/* the link to the key's node, or to where it would be */
ngx_http_llm_cache_node_t **ngx_http_llm_cache_shard_find(
    ngx_http_llm_cache_shard_t *shard, const u_char *key);
/* the same where a dead node may be meant */
ngx_http_llm_cache_node_t **ngx_http_llm_cache_shard_locate(
    ngx_http_llm_cache_shard_t *shard, const u_char *key);
void ngx_http_llm_cache_shard_link(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node);
void ngx_http_llm_cache_shard_swap(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *old, ngx_http_llm_cache_node_t *node);
void ngx_http_llm_cache_shard_unlink(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t **link);
/* a record is barred where the one whose place it takes is, be it only since
   the new one was begun */
void ngx_http_llm_cache_shard_bar(ngx_http_llm_cache_node_t *node,
    ngx_http_llm_cache_node_t *old);
/* links a node of an earlier nginx; NGX_DECLINED: its key has a record */
ngx_int_t ngx_http_llm_cache_shard_restore(ngx_http_llm_cache_shard_t *shard,
    ngx_http_llm_cache_node_t *node, uint64_t priority);
/* NGX_OK: the next n holds will need no memory; NGX_DECLINED: *again tells
   whether more of the same may help */
ngx_int_t ngx_http_llm_cache_shard_reserve(ngx_http_llm_cache_shard_t *shard,
    ngx_uint_t n, ngx_uint_t *again);
void ngx_http_llm_cache_shard_expire(ngx_http_llm_cache_shard_t *shard);
void *ngx_http_llm_cache_shard_alloc(ngx_http_llm_cache_shard_t *shard,
    size_t size, ngx_uint_t *again);
/* frees a bounded part of the garbage; 0 when there is none */
ngx_uint_t ngx_http_llm_cache_shard_collect_step(
    ngx_http_llm_cache_shard_t *shard);


/* without it */

void ngx_http_llm_cache_shard_release(ngx_http_llm_cache_hold_t *hold);
void ngx_http_llm_cache_shard_collect(ngx_http_llm_cache_shard_t *shard);
void ngx_http_llm_cache_shard_full(ngx_http_llm_cache_shard_t *shard);


#endif /* _NGX_HTTP_LLM_CACHE_SHARD_H_INCLUDED_ */
