/*
 * The shared memory zone: an index of records, whose bytes are chains of
 * chunks.  It knows no request.
 *
 * Crash safety: the zone's lock is that of its slab pool, which the master
 * releases when a worker dies.  What a worker holds outside of the lock
 * (records being read or filled) is written down in its slot and given back
 * for it.  A worker that died inside the lock may have left the index half
 * changed: the zone then answers nothing until the records that others still
 * hold are released, and starts empty.
 */


#ifndef _NGX_HTTP_LLM_CACHE_ZONE_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "llm_key.h"
#include "llm_purge.h"
#include "llm_record.h"
#include "ngx_http_llm_cache_memo.h"
#include "ngx_http_llm_cache_observed.h"
#include "ngx_http_llm_cache_redis_stat.h"
#include "ngx_http_llm_cache_stat.h"
#include "ngx_http_llm_cache_vectors.h"


typedef struct ngx_http_llm_cache_chunk_s  ngx_http_llm_cache_chunk_t;

struct ngx_http_llm_cache_chunk_s {
    ngx_http_llm_cache_chunk_t  *next;
    uint32_t                     size;       /* room in data */
    uint32_t                     len;
    u_char                       data[];
};


typedef struct ngx_http_llm_cache_node_s    ngx_http_llm_cache_node_t;

/* see ngx_http_llm_cache_flight.h */
typedef struct ngx_http_llm_cache_flight_s  ngx_http_llm_cache_flight_t;

struct ngx_http_llm_cache_node_s {
    u_char                       key[LLM_KEY_LEN];
    ngx_http_llm_cache_node_t   *next;       /* in the bucket, or garbage */
    ngx_rbtree_node_t            rank;       /* by priority; data: its era */
    ngx_http_llm_cache_chunk_t  *chunks;
    ngx_http_llm_cache_flight_t *flight;     /* while somebody takes part */
    uint32_t                     refs;       /* the index's and the holders' */
    uint32_t                     created;    /* seconds since the epoch */
    uint32_t                     expires;
    uint32_t                     used;
    unsigned                     frequency:24;
    unsigned                     turns:8;    /* of the key's variants */
    uint32_t                     weight;     /* what it saves per byte */
    uint32_t                     stamp;      /* of its value in Redis, or 0 */
    unsigned                     epoch:31;   /* when that was so */
    unsigned                     asked:1;    /* for, since it was ranked */
};


typedef struct ngx_http_llm_cache_sh_s    ngx_http_llm_cache_sh_t;
typedef struct ngx_http_llm_cache_slot_s  ngx_http_llm_cache_slot_t;


typedef struct ngx_http_llm_cache_zone_s  ngx_http_llm_cache_zone_t;

/* see ngx_http_llm_cache_state.h */
typedef struct ngx_http_llm_cache_state_s  ngx_http_llm_cache_state_t;


/* a slab pool of its own, with its own lock and its own part of the keys */

typedef struct {
    ngx_http_llm_cache_zone_t   *zone;
    ngx_str_t                    name;
    size_t                       size;

    ngx_shm_zone_t              *shm_zone;
    ngx_slab_pool_t             *pool;
    ngx_http_llm_cache_sh_t     *sh;

    /* this process's own */
    ngx_http_llm_cache_slot_t   *slot;
    ngx_uint_t                   generation;
} ngx_http_llm_cache_shard_t;


struct ngx_http_llm_cache_zone_s {
    ngx_str_t                    name;
    size_t                       size;
    ngx_uint_t                   n;          /* number of shards */
    time_t                       inactive;
    size_t                       max_entry;
    ngx_uint_t                   lru;        /* evict=lru */
    ngx_uint_t                   compress;
    ngx_http_llm_cache_shard_t  *shards;
    ngx_http_llm_cache_state_t  *state;      /* NULL: no state=FILE */
    ngx_http_llm_cache_vectors_t  vectors;   /* the semantic tier's */
    ngx_array_t                 *embedders;  /* and these; NULL: none */
    ngx_http_llm_cache_stat_t   *stat;
    ngx_http_llm_cache_observed_t  observed;

    /* told of records that come from elsewhere; or NULL */
    void                       (*restored)(ngx_http_llm_cache_zone_t *zone,
                                           const u_char *key);

    /* this process's own: the keyed hash of the memo */
    llm_fingerprint_t           *fingerprint;
};


/* a node that this worker keeps from being freed; zeroed: none */

typedef struct {
    ngx_http_llm_cache_shard_t  *shard;
    ngx_http_llm_cache_node_t   *node;
    ngx_http_llm_cache_slot_t   *slot;
    ngx_uint_t                   index;
    ngx_uint_t                   part;       /* in the node's flight */
} ngx_http_llm_cache_hold_t;


/* a record being filled; zeroed: none */

typedef struct {
    ngx_http_llm_cache_hold_t    hold;
    ngx_http_llm_cache_chunk_t **last;       /* the link to the last chunk */
    size_t                       len;
    size_t                       expected;   /* total length, 0: unknown */
    ngx_uint_t                   purges;     /* of the zone, before it began */
} ngx_http_llm_cache_writer_t;


/* a walk through a record's bytes, which only goes forward */

typedef struct {
    ngx_http_llm_cache_chunk_t  *chunk;
    size_t                       offset;     /* of the chunk in the record */
} ngx_http_llm_cache_cursor_t;


extern ngx_module_t  ngx_http_llm_cache_module;


/* NGX_CONF_OK or NGX_CONF_ERROR, having said why */
char *ngx_http_llm_cache_zone_add(ngx_conf_t *cf,
    ngx_http_llm_cache_zone_t *zone);

/* the zone's memo and its keyed hash; NULL when memory ran out */
ngx_http_llm_cache_memo_t *ngx_http_llm_cache_zone_memo(
    ngx_http_llm_cache_zone_t *zone);

/* frees what this process has of its own */
void ngx_http_llm_cache_zone_close(ngx_http_llm_cache_zone_t *zone);

/*
 * Gives back what processes that are gone had held.  What stands there for a
 * process that has only just started is an earlier one's of the same number.
 */
void ngx_http_llm_cache_zone_reap(ngx_http_llm_cache_zone_t *zone,
    ngx_uint_t started, ngx_log_t *log);


/*
 * NGX_OK: a record is held, which is fresh or at most that many seconds past
 * its lifetime; NGX_DECLINED: none; NGX_BUSY: there is an older one, which is
 * not held.
 */
ngx_int_t ngx_http_llm_cache_zone_get(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, time_t stale, ngx_http_llm_cache_hold_t *hold);

/* whose turn it is among n variants, 0 to n - 1; 0 where there is no record */
ngx_uint_t ngx_http_llm_cache_zone_turn(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, ngx_uint_t n);

/* holds a record of any age without counting it as asked for */
ngx_int_t ngx_http_llm_cache_zone_look(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, ngx_http_llm_cache_hold_t *hold);

/* the same of a fresh one */
ngx_int_t ngx_http_llm_cache_zone_peek(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, ngx_http_llm_cache_hold_t *hold);

void ngx_http_llm_cache_zone_release(ngx_http_llm_cache_hold_t *hold);


/* copies bytes of a record; zeros where it is shorter */
void ngx_http_llm_cache_zone_read(ngx_http_llm_cache_node_t *node,
    size_t offset, u_char *p, size_t len);

/*
 * The piece in one place that [start, end) begins with: its length, 0 where
 * the record is shorter.  The cursor begins with the node's first chunk and 0.
 */
size_t ngx_http_llm_cache_zone_piece(ngx_http_llm_cache_cursor_t *cursor,
    size_t start, size_t end, u_char **p);


/* NGX_OK, or NGX_DECLINED where the zone has no room to be had */

ngx_int_t ngx_http_llm_cache_zone_create(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, size_t expected, ngx_http_llm_cache_writer_t *w);
ngx_int_t ngx_http_llm_cache_zone_append(ngx_http_llm_cache_writer_t *w,
    const u_char *data, size_t len);

/* overwrites bytes that were appended before */
void ngx_http_llm_cache_zone_write(ngx_http_llm_cache_writer_t *w,
    size_t offset, const u_char *data, size_t len);

/*
 * Makes the record, of that head, visible in place of the key's older one.
 * NGX_DECLINED: the zone is broken; NGX_ABORT: the record was purged before
 * it was complete.  The writer ends, but for a leader's that failed.
 */
ngx_int_t ngx_http_llm_cache_zone_commit(ngx_http_llm_cache_writer_t *w,
    const llm_record_t *rec, uint32_t weight);
void ngx_http_llm_cache_zone_abandon(ngx_http_llm_cache_writer_t *w);

/*
 * Puts another form of a record in its place, with its times and its fame; the
 * writer ends.  NGX_DECLINED where "old" is not its key's record any more.
 */
ngx_int_t ngx_http_llm_cache_zone_swap(ngx_http_llm_cache_writer_t *w,
    ngx_http_llm_cache_node_t *old, uint32_t weight);

/* drops the key's record; for one that turned out to be unusable */
void ngx_http_llm_cache_zone_delete(ngx_http_llm_cache_zone_t *zone,
    const u_char *key);


typedef struct {
    ngx_uint_t                   entries;
    ngx_uint_t                   flying;     /* flights of now */
    size_t                       size;       /* bytes of pages */
    size_t                       free;
} ngx_http_llm_cache_gauges_t;


/* bytes that answers may take, and that a record of that length takes */
size_t ngx_http_llm_cache_zone_capacity(ngx_http_llm_cache_zone_t *zone);
size_t ngx_http_llm_cache_zone_footprint(size_t len);

void ngx_http_llm_cache_zone_gauges(ngx_http_llm_cache_zone_t *zone,
    ngx_http_llm_cache_gauges_t *gauges);

/* what is counted of Redis */
ngx_http_llm_cache_redis_stat_t *ngx_http_llm_cache_zone_redis(
    ngx_http_llm_cache_zone_t *zone);

/* and of the semantic tier */
ngx_http_llm_cache_semantic_stat_t *ngx_http_llm_cache_zone_semantic(
    ngx_http_llm_cache_zone_t *zone);

/* whether the key has a record, of whatever age */
ngx_uint_t ngx_http_llm_cache_zone_has(ngx_http_llm_cache_zone_t *zone,
    const u_char *key);

/* drops the key's record unless it is the one of that stamp */
void ngx_http_llm_cache_zone_delete_other(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, uint32_t stamp);

/* sets bits in a byte of the key's record, while others read it; the byte is
   one of the first 32.  NGX_OK, or NGX_DECLINED where there is no record */
ngx_int_t ngx_http_llm_cache_zone_mark(ngx_http_llm_cache_zone_t *zone,
    const u_char *key, size_t offset, u_char bits);

/* notes which value in Redis the record held is the same as, and since when */
void ngx_http_llm_cache_zone_stamp(ngx_http_llm_cache_hold_t *hold,
    uint32_t stamp, ngx_uint_t epoch);


#endif /* _NGX_HTTP_LLM_CACHE_ZONE_H_INCLUDED_ */
