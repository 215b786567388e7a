/*
 * What a zone counts of its semantic tier, with all else that it counts.
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


/* one of them; what takes time is counted in microseconds: per is 1000000 */

typedef struct {
    ngx_str_t                    name;
    size_t                       offset;     /* in what is counted */
    ngx_uint_t                   per;        /* of the unit, 1 or more */
    const char                  *help;
} ngx_http_llm_cache_semantic_counter_t;


/* all but those by guard; ends with an empty name */
extern const ngx_http_llm_cache_semantic_counter_t
    ngx_http_llm_cache_semantic_counters[];


#define ngx_http_llm_cache_semantic_count(stat, counter)                      \
    (void) ngx_atomic_fetch_add(&(stat)->counter, 1)


static ngx_inline ngx_atomic_uint_t
ngx_http_llm_cache_semantic_counted(ngx_http_llm_cache_semantic_stat_t *stat,
    const ngx_http_llm_cache_semantic_counter_t *counter)
{
    return *(ngx_atomic_t *) ((char *) stat + counter->offset);
}


#endif /* _NGX_HTTP_LLM_CACHE_SEMANTIC_STAT_H_INCLUDED_ */
