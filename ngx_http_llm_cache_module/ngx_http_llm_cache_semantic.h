/*
 * The semantic tier: answers to questions that mean the same.
 */


#ifndef _NGX_HTTP_LLM_CACHE_SEMANTIC_H_INCLUDED_
#define _NGX_HTTP_LLM_CACHE_SEMANTIC_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "llm_embed_static.h"
#include "llm_guard.h"
#include "llm_question.h"
#include "ngx_http_llm_cache_vectors.h"


/* of a location */

typedef struct {
    ngx_flag_t                   enable;
    double                       threshold;  /* below 0: not said */
    ngx_uint_t                   guards;
    ngx_uint_t                   guards_set;
    double                       used_threshold;
    ngx_uint_t                   used_guards;
    ngx_str_t                    dir;        /* of the model; NULL: not said,
                                                empty: lexical */
    llm_static_t                *model;      /* NULL: lexical, or ... */
    ngx_str_t                    location;   /* of an embeddings API */
    ngx_str_t                    model_name;
    ngx_uint_t                   location_dim;
    ngx_msec_t                   timeout;
    u_char                       id[LLM_KEY_LEN];  /* the embedder's */
    ngx_int_t                    verify;     /* hundredths of a percent */
    double                       verify_threshold;  /* below 0: not said */
    double                       used_verify_threshold;
} ngx_http_llm_cache_semantic_conf_t;


/* what of an embedder a record names */
#define NGX_HTTP_LLM_CACHE_EMBEDDER_ID  8

/* one that locations of a zone use */

typedef struct {
    u_char                       id[NGX_HTTP_LLM_CACHE_EMBEDDER_ID];
    llm_static_t                *model;      /* NULL: lexical, or ... */
    ngx_uint_t                   api;
    size_t                       dim;
} ngx_http_llm_cache_embedder_t;


/* of a request that has a question */

typedef struct {
    u_char                       partition[LLM_KEY_LEN];
    double                       similarity; /* of what was served */
    ngx_http_llm_cache_found_t   found;      /* which is this one */
    u_char                       key[LLM_KEY_LEN];  /* the request's own */
    llm_question_t               question;
    ngx_uint_t                   ready;      /* the vector is there */
    ngx_uint_t                   tried;      /* it has been asked for */
    size_t                       dim;
    float                        vector[];
} ngx_http_llm_cache_semantic_t;


/* see ngx_http_llm_cache_embed.c */
typedef struct ngx_http_llm_cache_embedding_s
    ngx_http_llm_cache_embedding_t;

/* see ngx_http_llm_cache_verify.c */
typedef struct ngx_http_llm_cache_verify_s  ngx_http_llm_cache_verify_t;


/* what a record tells of the question that it answers */

typedef struct {
    llm_str_t                    partition;
    llm_str_t                    question;
    llm_str_t                    embedder;
    llm_str_t                    vector;     /* of an API; else empty */
} ngx_http_llm_cache_about_t;


char *ngx_http_llm_cache_semantic(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_llm_cache_semantic_verify(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_llm_cache_embed(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
size_t ngx_http_llm_cache_semantic_dim(
    ngx_http_llm_cache_semantic_conf_t *conf);


#endif /* _NGX_HTTP_LLM_CACHE_SEMANTIC_H_INCLUDED_ */
