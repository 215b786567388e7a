/*
 * What llm_cache observe keeps of answers, in shared memory of its own: for
 * each key how much room the answer would take and what it cost, but none of
 * its bytes.  Nothing is ever served from here.
 *
 * There is one store for each scope that answers might be shared in, each as
 * large as the zone would be.  What the zone would have evicted is kept on for
 * a while, to tell what a larger one would give.
 *
 * Crash safety: the lock is that of the shared memory's slab pool, which the
 * master releases when its owner dies.  A worker that died inside it may have
 * left a store half changed: all of them then start empty.
 */


#ifndef _NGX_HTTP_LLM_CACHE_OBSERVED_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_OBSERVED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "llm_key.h"
#include "ngx_http_llm_cache_stat.h"


typedef struct ngx_http_llm_cache_observed_sh_s
    ngx_http_llm_cache_observed_sh_t;


typedef struct {
    ngx_uint_t                   used;       /* by a location */
    ngx_str_t                    name;
    size_t                       capacity;   /* bytes of a store */
    time_t                       inactive;
    ngx_uint_t                   lru;
    ngx_uint_t                   n;          /* entries of all stores */
    ngx_slab_pool_t             *pool;
    ngx_http_llm_cache_observed_sh_t  *sh;
    ngx_http_llm_cache_stat_t  **stat;
} ngx_http_llm_cache_observed_t;


/* an answer without its bytes */

typedef struct {
    uint32_t                     size;       /* in the zone, all counted */
    int32_t                      prompt_tokens;      /* -1: not told */
    int32_t                      completion_tokens;
    uint32_t                     msec;
    uint32_t                     created;    /* seconds since the epoch */
    uint32_t                     expires;
    uint32_t                     weight;     /* what it saves per byte */
    u_char                       form;
    u_char                       ask;
    u_char                       has_usage;
    u_char                       usage_asked;
} ngx_http_llm_cache_observed_answer_t;


/* one key in one store */

typedef struct {
    ngx_http_llm_cache_observed_scope_e  scope;
    u_char                       key[LLM_KEY_LEN];
    uint32_t                     flight;     /* its number; 0: it has none */
} ngx_http_llm_cache_observed_key_t;


typedef struct {
    ngx_uint_t                   entries;
    ngx_uint_t                   bytes;
    ngx_uint_t                   evicted_entries;  /* of which it is known */
    ngx_uint_t                   evicted_bytes;
} ngx_http_llm_cache_observed_gauges_t;


/* shared memory for the stores of the zone of that name and size */
char *ngx_http_llm_cache_observed_add(ngx_conf_t *cf,
    ngx_http_llm_cache_observed_t *observed, ngx_str_t *zone, size_t size);

/*
 * NGX_OK: the store has a fresh answer; NGX_BUSY: one that has expired;
 * NGX_ABORT: it had a fresh one, which was evicted; NGX_DECLINED: none.
 */
ngx_int_t ngx_http_llm_cache_observed_get(
    ngx_http_llm_cache_observed_t *observed,
    const ngx_http_llm_cache_observed_key_t *key,
    ngx_http_llm_cache_observed_answer_t *answer);

/* counts a look-up that would have been served */
void ngx_http_llm_cache_observed_hit(ngx_http_llm_cache_observed_t *observed,
    const ngx_http_llm_cache_observed_key_t *key);

/* as ngx_http_llm_cache_zone_turn() */
ngx_uint_t ngx_http_llm_cache_observed_turn(
    ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_scope_e scope, const u_char *key,
    ngx_uint_t n);

/*
 * Notes that an answer of that kind is being fetched, unless somebody else has
 * noted the same within the last "timeout" milliseconds and is still there:
 * then NGX_BUSY.
 */
ngx_int_t ngx_http_llm_cache_observed_fly(
    ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_key_t *key, ngx_uint_t kind,
    ngx_msec_t timeout);

/* whether somebody is fetching it */
ngx_uint_t ngx_http_llm_cache_observed_flies(
    ngx_http_llm_cache_observed_t *observed,
    const ngx_http_llm_cache_observed_key_t *key, ngx_uint_t kind,
    ngx_msec_t timeout);

/* takes that note back, if it is still there */
void ngx_http_llm_cache_observed_land(
    ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_key_t *key);

/* NGX_OK, or NGX_DECLINED where the zone would have no room */
ngx_int_t ngx_http_llm_cache_observed_put(
    ngx_http_llm_cache_observed_t *observed,
    const ngx_http_llm_cache_observed_key_t *key,
    const ngx_http_llm_cache_observed_answer_t *answer);

/* zeros where no location uses it */
void ngx_http_llm_cache_observed_gauges(
    ngx_http_llm_cache_observed_t *observed,
    ngx_http_llm_cache_observed_scope_e scope,
    ngx_http_llm_cache_observed_gauges_t *gauges);


#endif /* _NGX_HTTP_LLM_CACHE_OBSERVED_H_INCLUDED_ */
