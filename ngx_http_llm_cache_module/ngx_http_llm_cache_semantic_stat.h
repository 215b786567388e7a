/*
 * What a zone counts of its semantic tier, in its shared memory.
 */


#ifndef _NGX_HTTP_LLM_CACHE_SEMANTIC_STAT_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_SEMANTIC_STAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "llm_guard.h"


typedef struct {
    ngx_atomic_t                 lookups;    /* totals */
    ngx_atomic_t                 hits;
    ngx_atomic_t                 refused[LLM_GUARDS];  /* by each guard: the
                                                bits of LLM_GUARD_* in turn */

    /* would-be hits that went upstream instead */
    ngx_atomic_t                 verified;   /* both answers were compared */
    ngx_atomic_t                 wrong;      /* and differ */
    ngx_atomic_t                 unmeasured; /* they could not be */
    ngx_atomic_t                 reported;   /* bad hits, by the API */

    ngx_atomic_t                 embeds;     /* texts */
    ngx_atomic_t                 embed_errors;
    ngx_atomic_t                 embed_usec; /* that they took, all together */
    ngx_atomic_t                 search_usec;
} ngx_http_llm_cache_semantic_stat_t;


#define ngx_http_llm_cache_semantic_count(stat, counter)                      \
    (void) ngx_atomic_fetch_add(&(stat)->counter, 1)


/* microseconds of the machine's clock, to be subtracted from one another */

static ngx_inline uint64_t
ngx_http_llm_cache_usec(void)
{
    struct timeval  tv;

    ngx_gettimeofday(&tv);

    return (uint64_t) tv.tv_sec * 1000000 + tv.tv_usec;
}


/* adds what has passed since then; a clock that was set back counts not */

static ngx_inline void
ngx_http_llm_cache_add_usec(ngx_atomic_t *counter, uint64_t since)
{
    uint64_t  now;

    now = ngx_http_llm_cache_usec();

    if (now > since) {
        (void) ngx_atomic_fetch_add(counter, (ngx_atomic_int_t) (now - since));
    }
}


#endif /* _NGX_HTTP_LLM_CACHE_SEMANTIC_STAT_H_INCLUDED_ */
