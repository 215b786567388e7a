/*
 * What was learnt from request bodies that were seen before: a table in
 * shared memory from the fingerprint of a body's bytes to what reading it had
 * told.  It has a fixed size, forgets by itself and needs no lock: an entry
 * that somebody is writing, or was writing when he died, is not there.
 */


#ifndef _NGX_HTTP_LLM_CACHE_MEMO_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_MEMO_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "llm_dialect.h"
#include "llm_fingerprint.h"
#include "llm_key.h"


#define NGX_HTTP_LLM_CACHE_MEMO_MODEL  44


/* what a body tells, by value */

typedef struct {
    u_char                       digest[LLM_KEY_LEN];  /* of the body */
    double                       temperature;
    u_char                       form;
    u_char                       flags;
    u_char                       model_len;
    u_char                       model[NGX_HTTP_LLM_CACHE_MEMO_MODEL];
} ngx_http_llm_cache_memo_value_t;


typedef struct {
    ngx_atomic_t                 version;    /* odd while it is written */
    u_char                       fingerprint[LLM_FINGERPRINT_LEN];
    ngx_http_llm_cache_memo_value_t  value;
    uint32_t                     used;       /* seconds */
} ngx_http_llm_cache_memo_entry_t;


#define NGX_HTTP_LLM_CACHE_MEMO_WAYS  4

typedef struct {
    u_char                       key[LLM_FINGERPRINT_KEY];
    ngx_uint_t                   mask;       /* number of sets - 1 */
    ngx_http_llm_cache_memo_entry_t  sets[][NGX_HTTP_LLM_CACHE_MEMO_WAYS];
} ngx_http_llm_cache_memo_t;


/* how many bytes a table of at most that many bytes needs */
size_t ngx_http_llm_cache_memo_size(size_t max);

/* NGX_OK, or NGX_ERROR without a random key */
ngx_int_t ngx_http_llm_cache_memo_init(ngx_http_llm_cache_memo_t *memo,
    size_t size);

/* NGX_OK with a copy of the value, or NGX_DECLINED */
ngx_int_t ngx_http_llm_cache_memo_get(ngx_http_llm_cache_memo_t *memo,
    const u_char *fingerprint, ngx_http_llm_cache_memo_value_t *value);

void ngx_http_llm_cache_memo_put(ngx_http_llm_cache_memo_t *memo,
    const u_char *fingerprint, ngx_http_llm_cache_memo_value_t *value);


#endif /* _NGX_HTTP_LLM_CACHE_MEMO_H_INCLUDED_ */
