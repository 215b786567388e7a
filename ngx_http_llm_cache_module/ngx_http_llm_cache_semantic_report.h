/*
 * What the semantic tier offers to who knows a zone and no request.
 */


#ifndef _NGX_HTTP_LLM_CACHE_SEMANTIC_REPORT_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_SEMANTIC_REPORT_H_INCLUDED_


#include "ngx_http_llm_cache_zone.h"


/*
 * A semantic hit was bad: the answer of that key, which the hit named, serves
 * no other question any more.  NGX_OK, also where that was so already;
 * NGX_DECLINED: the zone has no such answer, or no semantic tier.
 */
ngx_int_t ngx_http_llm_cache_semantic_report(ngx_http_llm_cache_zone_t *zone,
    const u_char *key);

/* what the zone has counted: ngx_http_llm_cache_zone_semantic() */


#endif /* _NGX_HTTP_LLM_CACHE_SEMANTIC_REPORT_H_INCLUDED_ */
