/*
 * How long the locks of shards are held, by this process: a histogram for a
 * build with -DNGX_HTTP_LLM_CACHE_HOLDS=1, which a worker logs when it exits.
 * Other builds have none of it.
 */


#ifndef _NGX_HTTP_LLM_CACHE_HOLDS_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_HOLDS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#ifndef NGX_HTTP_LLM_CACHE_HOLDS
#define NGX_HTTP_LLM_CACHE_HOLDS  0
#endif


#if (NGX_HTTP_LLM_CACHE_HOLDS)

void ngx_http_llm_cache_hold_begins(void);
void ngx_http_llm_cache_hold_ends(void);
void ngx_http_llm_cache_log_holds(ngx_log_t *log);

#else

#define ngx_http_llm_cache_hold_begins()
#define ngx_http_llm_cache_hold_ends()
#define ngx_http_llm_cache_log_holds(log)

#endif


#endif /* _NGX_HTTP_LLM_CACHE_HOLDS_H_INCLUDED_ */
