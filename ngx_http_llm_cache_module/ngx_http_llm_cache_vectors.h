/*
 * The index of questions that a zone's records answer, in shared memory of its
 * own: a fixed number of entries, each a vector and the key of a record.
 *
 * Crash safety: an entry refers to no other one.  Writers take the lock of the
 * shared memory's slab pool, which the master releases when its owner dies;
 * readers take none: an entry carries a version that is odd while it is being
 * written, and what is found has to be looked up in the zone anyway.
 */


#ifndef _NGX_HTTP_LLM_CACHE_VECTORS_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_VECTORS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "llm_bar.h"
#include "llm_embed_lexical.h"
#include "llm_key.h"
#include "llm_vector.h"


#define NGX_HTTP_LLM_CACHE_VECTORS      16384   /* by default */
#define NGX_HTTP_LLM_CACHE_VECTORS_MIN  16
#define NGX_HTTP_LLM_CACHE_VECTORS_MAX  131072

/* entries that a search may find */
#define NGX_HTTP_LLM_CACHE_FOUND        8


typedef struct {
    ngx_atomic_t                 version;   /* odd while it is written */
    u_char                       key[LLM_KEY_LEN];
    float                        scale;
    uint32_t                     expires;   /* seconds since the epoch */
    uint32_t                     stamp;     /* grows from entry to entry */
} ngx_http_llm_cache_vector_t;


typedef struct {
    ngx_uint_t                   layout;
    ngx_uint_t                   n;
    ngx_uint_t                   dim;
    ngx_uint_t                   hand;      /* the next to be replaced */
    uint32_t                     stamp;
    uint64_t                    *tags;      /* of partitions; 0: empty */
    llm_vector_sketch_t         *sketches;
    ngx_http_llm_cache_vector_t *entries;
    int8_t                      *packed;
    llm_lexical_idf_t            idf;
    llm_bar_t                    barred;    /* keys that are not put in */
} ngx_http_llm_cache_vectors_sh_t;


typedef struct {
    ngx_uint_t                   n;         /* entries */
    ngx_uint_t                   dim;       /* 0: nobody needs the index */
    ngx_str_t                    name;
    ngx_slab_pool_t             *pool;
    ngx_http_llm_cache_vectors_sh_t  *sh;
} ngx_http_llm_cache_vectors_t;


typedef struct {
    u_char                       key[LLM_KEY_LEN];
    float                        similarity;
    ngx_uint_t                   index;
} ngx_http_llm_cache_found_t;


/* shared memory for the index of the zone of that name */
char *ngx_http_llm_cache_vectors_add(ngx_conf_t *cf,
    ngx_http_llm_cache_vectors_t *vectors, ngx_str_t *zone);

/*
 * The nearest entries of a partition, the nearest first, those of a lower
 * similarity left out: how many.
 */
ngx_uint_t ngx_http_llm_cache_vectors_find(
    ngx_http_llm_cache_vectors_t *vectors, const u_char *partition,
    const float *vector, ngx_uint_t dim, float similarity,
    ngx_http_llm_cache_found_t *found);

/*
 * Adds an entry, in place of the key's own, or of the partition's oldest where
 * it has half of all, or of one that has expired, or of an old one; none of a
 * key that is barred.
 */
void ngx_http_llm_cache_vectors_put(ngx_http_llm_cache_vectors_t *vectors,
    const u_char *partition, const u_char *key, const float *vector,
    ngx_uint_t dim, time_t expires);

/* the key of an entry; NGX_DECLINED where it is empty */
ngx_int_t ngx_http_llm_cache_vectors_at(ngx_http_llm_cache_vectors_t *vectors,
    ngx_uint_t index, ngx_http_llm_cache_found_t *found);

/* bars a key from the index: 1, or 0 where it was barred already */
ngx_uint_t ngx_http_llm_cache_vectors_bar(
    ngx_http_llm_cache_vectors_t *vectors, const u_char *key);
ngx_uint_t ngx_http_llm_cache_vectors_barred(
    ngx_http_llm_cache_vectors_t *vectors, const u_char *key);

/* drops an entry whose record is gone, or that is barred */
void ngx_http_llm_cache_vectors_drop(ngx_http_llm_cache_vectors_t *vectors,
    ngx_http_llm_cache_found_t *found);


#endif /* _NGX_HTTP_LLM_CACHE_VECTORS_H_INCLUDED_ */
