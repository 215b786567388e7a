/*
 * All of a zone, in steps that are short under the lock: for what looks at
 * every record, or brings records from elsewhere.
 */


#ifndef _NGX_HTTP_LLM_CACHE_WALK_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_WALK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "llm_state.h"
#include "ngx_http_llm_cache_zone.h"


/* the most records of a step */
#define NGX_HTTP_LLM_CACHE_WALK_STEP  32


typedef struct {
    ngx_http_llm_cache_hold_t    hold;
    llm_state_entry_t            entry;      /* without its len */
} ngx_http_llm_cache_walked_t;


/* zeroed: at the beginning */

typedef struct {
    ngx_uint_t                   shard;
    ngx_uint_t                   bucket;

    ngx_uint_t                   n;
    ngx_http_llm_cache_walked_t  records[NGX_HTTP_LLM_CACHE_WALK_STEP];
} ngx_http_llm_cache_iter_t;


/*
 * NGX_OK: the next records, possibly none, are held, to be released by the
 * caller; NGX_DONE: there are no more; NGX_ERROR: the zone cannot be read now.
 * Records that are stored meanwhile may be missed, none is given twice.
 */
ngx_int_t ngx_http_llm_cache_zone_walk(ngx_http_llm_cache_zone_t *zone,
    ngx_http_llm_cache_iter_t *iter);

/*
 * Makes a record filled by the writer, which ends, visible with what was known
 * about it.  NGX_DECLINED: the zone has one for its key, or is broken, or the
 * record was purged since the writer's w->purges.
 */
ngx_int_t ngx_http_llm_cache_zone_restore(ngx_http_llm_cache_writer_t *w,
    const llm_state_entry_t *entry, const llm_tags_t *tags);

/* a number that is another one when records came or went */
ngx_uint_t ngx_http_llm_cache_zone_changes(ngx_http_llm_cache_zone_t *zone);


#endif /* _NGX_HTTP_LLM_CACHE_WALK_H_INCLUDED_ */
