/*
 * What a zone counts of its Redis tier, in its shared memory.
 */


#ifndef _NGX_HTTP_LLM_CACHE_REDIS_STAT_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_REDIS_STAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* parts of the keys whose changes in Redis are told from one another */
#define NGX_HTTP_LLM_CACHE_REDIS_PARTS  256


/*
 * Points in time, in 32 ms of the machine's clock: 31 bits of them, or what
 * there is where this clock has 32 bits, of which the nearer ones compare.
 */

#if (NGX_PTR_SIZE == 8)
#define NGX_HTTP_LLM_CACHE_REDIS_EPOCHS  0x7fffffff
#else
#define NGX_HTTP_LLM_CACHE_REDIS_EPOCHS  0x07ffffff
#endif

/* not known to be in Redis yet: it needs nobody's word */
#define NGX_HTTP_LLM_CACHE_REDIS_OWN     NGX_HTTP_LLM_CACHE_REDIS_EPOCHS

#define ngx_http_llm_cache_redis_epoch(msec)                                  \
    ((ngx_uint_t) ((msec) >> 5) & NGX_HTTP_LLM_CACHE_REDIS_EPOCHS)

/* one before all that are of interest */
#define ngx_http_llm_cache_redis_past(msec)                                   \
    ((ngx_http_llm_cache_redis_epoch(msec)                                    \
      - NGX_HTTP_LLM_CACHE_REDIS_EPOCHS / 4) & NGX_HTTP_LLM_CACHE_REDIS_EPOCHS)

#define ngx_http_llm_cache_redis_later(a, b)                                  \
    ((((a) - (b)) & NGX_HTTP_LLM_CACHE_REDIS_EPOCHS) - 1                      \
     < NGX_HTTP_LLM_CACHE_REDIS_EPOCHS / 2)


typedef struct {
    ngx_atomic_t                 lookups;    /* totals */
    ngx_atomic_t                 hits;
    ngx_atomic_t                 misses;
    ngx_atomic_t                 errors;     /* also what took too long */
    ngx_atomic_t                 timeouts;
    ngx_atomic_t                 skipped;    /* the breaker was open */
    ngx_atomic_t                 damaged;    /* values, counted as misses */
    ngx_atomic_t                 msec;       /* that look-ups took */

    ngx_atomic_t                 stores;
    ngx_atomic_t                 store_errors;
    ngx_atomic_t                 dropped;    /* stores, the queue was full */
    ngx_atomic_t                 invalidations;
    ngx_atomic_t                 unverified; /* records not served for that */

    ngx_atomic_t                 connections;
    ngx_atomic_t                 failures;   /* of connections */
    ngx_atomic_t                 opened;     /* breakers */

    /* counts up with every change that Redis tells of */
    ngx_atomic_t                 changes[NGX_HTTP_LLM_CACHE_REDIS_PARTS];
} ngx_http_llm_cache_redis_stat_t;


typedef struct {
    ngx_str_t                    name;
    size_t                       offset;     /* in what is counted */
    const char                  *help;
} ngx_http_llm_cache_redis_counter_t;


/* the counters by their names; ends with an empty name */
extern const ngx_http_llm_cache_redis_counter_t
    ngx_http_llm_cache_redis_counters[];


static ngx_inline ngx_atomic_uint_t
ngx_http_llm_cache_redis_counted(ngx_http_llm_cache_redis_stat_t *stat,
    const ngx_http_llm_cache_redis_counter_t *counter)
{
    return *(ngx_atomic_t *) ((char *) stat + counter->offset);
}


#endif /* _NGX_HTTP_LLM_CACHE_REDIS_STAT_H_INCLUDED_ */
