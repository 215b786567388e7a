/*
 * Packed bodies: a worker packs what it has stored once the response is over,
 * a step at a time, and unpacks for clients that cannot read them.
 */


#ifndef _NGX_HTTP_LLM_CACHE_PACK_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_PACK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "llm_record.h"
#include "ngx_http_llm_cache_zone.h"


/*
 * Notes a record that was just stored, where its zone has compress=on.  With
 * too many of them noted it stays as it is.
 */
void ngx_http_llm_cache_pack_later(ngx_http_llm_cache_zone_t *zone,
    llm_record_t *rec);

/* whether there is something to be packed */
ngx_uint_t ngx_http_llm_cache_pack_busy(void);

/* NGX_OK, or NGX_DECLINED where the packed bytes are not those stored */
ngx_int_t ngx_http_llm_cache_check_packed(ngx_http_llm_cache_node_t *node,
    llm_record_t *rec);

/*
 * The body unpacked, as one chunk of memory from the pool.  NGX_DECLINED where
 * the record is damaged, NGX_ERROR where memory ran out.
 */
ngx_int_t ngx_http_llm_cache_unpack(ngx_http_llm_cache_node_t *node,
    llm_record_t *rec, ngx_pool_t *pool, ngx_http_llm_cache_chunk_t **chunk);

/* gives up what is not packed yet and frees what this process has */
void ngx_http_llm_cache_pack_exit(void);


#endif /* _NGX_HTTP_LLM_CACHE_PACK_H_INCLUDED_ */
