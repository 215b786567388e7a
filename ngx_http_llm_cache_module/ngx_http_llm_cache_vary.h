/*
 * What an answer depends on besides its key, as the upstream's Vary tells.
 */


#ifndef _NGX_HTTP_LLM_CACHE_VARY_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_VARY_H_INCLUDED_


#include "ngx_http_llm_cache.h"


/* whether the upstream says that its answer is good for no other request */
ngx_uint_t ngx_http_llm_cache_vary_any(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);

/* adds to a record's meta part what it says it depends on besides the key, and
   tells in ctx->varies whether there is such a thing */
ngx_int_t ngx_http_llm_cache_vary_save(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_buf_t *meta);

/* whether the request is equal in that to the one that the record answered */
ngx_uint_t ngx_http_llm_cache_vary_same(ngx_http_request_t *r,
    llm_str_t meta);


#endif /* _NGX_HTTP_LLM_CACHE_VARY_H_INCLUDED_ */
