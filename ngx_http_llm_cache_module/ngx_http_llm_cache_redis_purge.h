/*
 * Purging in Redis: other machines are told, and the values that fulfil the
 * conditions deleted, in rounds of some hundred keys.
 */


#ifndef _NGX_HTTP_LLM_CACHE_REDIS_PURGE_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_REDIS_PURGE_H_INCLUDED_


#include "ngx_http_llm_cache_redis.h"
#include "llm_purge.h"


typedef struct ngx_http_llm_cache_redis_purge_s
    ngx_http_llm_cache_redis_purge_t;


/*
 * The handler is called once, from the event loop: with the number of values
 * that are gone, or would be, and with NULL or what went wrong.  NULL: no
 * memory.
 */
ngx_http_llm_cache_redis_purge_t *ngx_http_llm_cache_redis_purge(
    ngx_http_llm_cache_redis_t *redis, const llm_purge_t *what,
    ngx_uint_t dry_run,
    void (*handler)(void *data, ngx_uint_t n, const char *error), void *data);

/* it is not to go on; from the process's end */
void ngx_http_llm_cache_redis_purge_end(
    ngx_http_llm_cache_redis_purge_t *purge);


#endif /* _NGX_HTTP_LLM_CACHE_REDIS_PURGE_H_INCLUDED_ */
