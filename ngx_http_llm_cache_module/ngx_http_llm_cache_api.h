/*
 * The API of llm_cache_api: what is counted, for people and for programs.
 */


#ifndef _NGX_HTTP_LLM_CACHE_API_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_API_H_INCLUDED_


#include "ngx_http_llm_cache.h"
#include "llm_purge.h"


/* ngx_http_llm_cache_api.c */

/* sends a text, which stays the caller's: the response's code */
ngx_int_t ngx_http_llm_cache_api_send(ngx_http_request_t *r,
    ngx_uint_t status, ngx_str_t *type, u_char *data, size_t len);
/* sends a document and frees it; NULL: memory ran out */
ngx_int_t ngx_http_llm_cache_api_send_json(ngx_http_request_t *r,
    ngx_uint_t status, json_t *document);
/* {"error": message} */
ngx_int_t ngx_http_llm_cache_api_error(ngx_http_request_t *r,
    ngx_uint_t status, const char *message);

/* the Redis that the zone's answers go to, NULL where there is none */
ngx_http_llm_cache_redis_t *ngx_http_llm_cache_api_redis(
    ngx_http_request_t *r, ngx_http_llm_cache_zone_t *zone);

/* ngx_http_llm_cache_api_keys.c */

ngx_int_t ngx_http_llm_cache_api_get_key(ngx_http_request_t *r);

/* NGX_OK: the key that the path ends with; NGX_DECLINED */
ngx_int_t ngx_http_llm_cache_api_key(ngx_http_request_t *r, u_char *key);
/* NGX_OK: the zone of that name, NULL for none; NGX_DECLINED: it is unknown */
ngx_int_t ngx_http_llm_cache_api_zone(ngx_http_request_t *r, ngx_str_t *name,
    ngx_http_llm_cache_zone_t **zone);

/* ngx_http_llm_cache_api_purge.c */

ngx_int_t ngx_http_llm_cache_api_delete_key(ngx_http_request_t *r);
ngx_int_t ngx_http_llm_cache_api_purge(ngx_http_request_t *r);
/* what the body that was read says: NGX_OK, or NGX_DECLINED with the error */
ngx_int_t ngx_http_llm_cache_api_read(ngx_http_request_t *r,
    llm_purge_request_t *req);

/* ngx_http_llm_cache_api_report.c */

ngx_int_t ngx_http_llm_cache_api_report(ngx_http_request_t *r);

/* ngx_http_llm_cache_api_json.c */

/* all that is counted, NULL when memory ran out */
json_t *ngx_http_llm_cache_api_status(ngx_http_request_t *r);

/* ngx_http_llm_cache_api_metrics.c */

/* the same as Prometheus' text format or as OpenMetrics: 0, or -1 when memory
   ran out */
int ngx_http_llm_cache_api_metrics(ngx_http_request_t *r,
    ngx_uint_t openmetrics, llm_buf_t *out);

/* ngx_http_llm_cache_api_page.c */

/* whether a page is wanted rather than JSON */
ngx_uint_t ngx_http_llm_cache_api_wants_page(ngx_http_request_t *r);
/* sends the status page */
ngx_int_t ngx_http_llm_cache_api_page(ngx_http_request_t *r);


#endif /* _NGX_HTTP_LLM_CACHE_API_H_INCLUDED_ */
