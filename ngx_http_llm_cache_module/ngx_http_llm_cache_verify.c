#include "ngx_http_llm_cache.h"
#include "llm_text.h"


/* of llm_cache_semantic_verify, in its own unit: 100 % */
#define NGX_HTTP_LLM_CACHE_VERIFY_ALL  10000


/* a semantic hit that went upstream instead; of the request's pool */

struct ngx_http_llm_cache_verify_s {
    ngx_http_llm_cache_ctx_t        *ctx;
    ngx_http_llm_cache_found_t       found;  /* what would have served */
    ngx_uint_t                       stored; /* what came in its place is */

    /* of an embeddings API */
    ngx_http_llm_cache_embedding_t  *embeddings[2];
    float                           *vectors[2];
    ngx_uint_t                       waiting;
    ngx_uint_t                       failed;
};


static ngx_uint_t ngx_http_llm_cache_verify_free(ngx_http_request_t *r);
static ngx_int_t ngx_http_llm_cache_verify_read(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, const u_char *key, llm_text_t *text);
static ngx_int_t ngx_http_llm_cache_verify_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_node_t *node,
    llm_text_t *text);
static ngx_int_t ngx_http_llm_cache_verify_compare(
    ngx_http_llm_cache_ctx_t *ctx, llm_text_t *texts);
static ngx_int_t ngx_http_llm_cache_verify_ask(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_text_t *texts);
static void ngx_http_llm_cache_verify_embedded(ngx_http_request_t *r,
    void *data, ngx_int_t rc);
static void ngx_http_llm_cache_verify_judge(ngx_http_llm_cache_ctx_t *ctx,
    double similarity);


ngx_int_t
ngx_http_llm_cache_verify_begin(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_verify_t         *verify;
    ngx_http_llm_cache_semantic_conf_t  *sc;

    sc = &ctx->conf->semantic;
    verify = ctx->verify;

    if (verify == NULL) {

        if (sc->verify == 0 || !ctx->may_store || ctx->control.only_if_cached
            || ngx_random() % NGX_HTTP_LLM_CACHE_VERIFY_ALL >= sc->verify
            || (sc->location.len && !ngx_http_llm_cache_verify_free(r)))
        {
            return NGX_DECLINED;
        }

        verify = ngx_pcalloc(r->pool, sizeof(ngx_http_llm_cache_verify_t));
        if (verify == NULL) {
            return NGX_DECLINED;
        }

        verify->ctx = ctx;
        ctx->verify = verify;
    }

    verify->found = ctx->semantic->found;

    return NGX_OK;
}


/*
 * The API is asked when the client has its answer.  nginx keeps the connection
 * until that has ended: it must not be used again, and its end must not be
 * the answer's.
 */

static ngx_uint_t
ngx_http_llm_cache_verify_free(ngx_http_request_t *r)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (r->http_version < NGX_HTTP_VERSION_11
        || (r->http_version == NGX_HTTP_VERSION_11
            && !clcf->chunked_transfer_encoding))
    {
        return 0;
    }

    r->keepalive = 0;

    return 1;
}


void
ngx_http_llm_cache_verify_stored(ngx_http_llm_cache_ctx_t *ctx)
{
    ctx->verify->stored = 1;
}


void
ngx_http_llm_cache_verify(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_int_t                     rc;
    llm_text_t                   *texts;
    ngx_http_llm_cache_verify_t  *verify;

    verify = ctx->verify;

    if (!verify->stored) {
        return;
    }

    verify->stored = 0;

    texts = ngx_palloc(r->pool, 2 * sizeof(llm_text_t));

    if (texts == NULL
        || ngx_http_llm_cache_verify_read(r, ctx, verify->found.key,
                                          &texts[0])
           != NGX_OK
        || ngx_http_llm_cache_verify_read(r, ctx, ctx->key, &texts[1])
           != NGX_OK)
    {
        ngx_http_llm_cache_verify_end(ctx);
        return;
    }

    llm_text_align(&texts[0], &texts[1]);

    if (texts[0].len == texts[1].len
        && ngx_memcmp(texts[0].data, texts[1].data, texts[0].len) == 0)
    {
        ngx_http_llm_cache_verify_judge(ctx, 1);
        return;
    }

    rc = ctx->conf->semantic.location.len
         ? ngx_http_llm_cache_verify_ask(r, ctx, texts)
         : ngx_http_llm_cache_verify_compare(ctx, texts);

    if (rc != NGX_OK) {
        ngx_http_llm_cache_verify_end(ctx);
    }
}


static ngx_int_t
ngx_http_llm_cache_verify_read(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, const u_char *key, llm_text_t *text)
{
    ngx_int_t                  rc;
    ngx_http_llm_cache_hold_t  hold;

    ngx_memzero(&hold, sizeof(ngx_http_llm_cache_hold_t));

    if (ngx_http_llm_cache_zone_peek(ctx->conf->zone, key, &hold) != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = ngx_http_llm_cache_verify_body(r, ctx, hold.node, text);

    ngx_http_llm_cache_zone_release(&hold);

    return rc;
}


static ngx_int_t
ngx_http_llm_cache_verify_body(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_node_t *node,
    llm_text_t *text)
{
    int                          rc;
    u_char                      *p, head[LLM_RECORD_HEAD];
    llm_str_t                    body;
    llm_record_t                 rec;
    ngx_http_llm_cache_chunk_t  *chunk;

    ngx_http_llm_cache_zone_read(node, 0, head, LLM_RECORD_HEAD);

    if (llm_record_decode(head, &rec) != 0) {
        return NGX_DECLINED;
    }

    body.len = ngx_min(rec.body_len, LLM_TEXT_BODY);

    if (rec.coding == LLM_CODING_IDENTITY) {

        p = ngx_palloc(r->pool, body.len + 1);
        if (p == NULL) {
            return NGX_DECLINED;
        }

        ngx_http_llm_cache_zone_read(node, LLM_RECORD_HEAD + rec.meta_len, p,
                                     body.len);

    } else {

        if (ngx_http_llm_cache_unpack(node, &rec, r->pool, &chunk) != NGX_OK) {
            return NGX_DECLINED;
        }

        p = chunk->data;
    }

    body.data = p;

    rc = llm_text_read(ctx->route.dialect, rec.form, body,
                       rec.body_len > body.len, text);

    return rc == 1 ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_llm_cache_verify_compare(ngx_http_llm_cache_ctx_t *ctx,
    llm_text_t *texts)
{
    float        vectors[2][LLM_VECTOR_MAX];
    llm_str_t    text;
    ngx_uint_t   i;

    for (i = 0; i < 2; i++) {

        text.data = texts[i].data;
        text.len = texts[i].len;

        if (ngx_http_llm_cache_embed_text(ctx->conf->zone,
                                          ctx->conf->semantic.model, text,
                                          vectors[i])
            != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    ngx_http_llm_cache_verify_judge(ctx,
                                    ngx_http_llm_cache_cosine(vectors[0],
                                                        vectors[1],
                                                        ctx->semantic->dim));
    return NGX_OK;
}


/* two calls for a text each: reading one answer takes its time, too */

static ngx_int_t
ngx_http_llm_cache_verify_ask(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_text_t *texts)
{
    llm_str_t                     text;
    ngx_uint_t                    i;
    ngx_http_llm_cache_verify_t  *verify;

    verify = ctx->verify;

    if (ctx->gone || r->connection->error) {
        return NGX_DECLINED;
    }

    for (i = 0; i < 2; i++) {

        text.data = texts[i].data;
        text.len = texts[i].len;

        verify->vectors[i] = ngx_palloc(r->pool,
                                       ctx->semantic->dim * sizeof(float));
        if (verify->vectors[i] == NULL) {
            break;
        }

        verify->embeddings[i] = ngx_http_llm_cache_embed_start(r, ctx, text,
                                           verify->vectors[i],
                                           ngx_http_llm_cache_verify_embedded,
                                           verify);
        if (verify->embeddings[i] == NULL) {
            break;
        }

        verify->waiting++;
    }

    verify->failed = (i != 2);

    return verify->waiting ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_llm_cache_verify_embedded(ngx_http_request_t *r, void *data,
    ngx_int_t rc)
{
    ngx_http_llm_cache_verify_t *verify = data;

    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = verify->ctx;

    if (rc != NGX_OK) {
        verify->failed = 1;
    }

    if (--verify->waiting) {
        return;
    }

    if (verify->failed) {
        ngx_http_llm_cache_verify_end(ctx);
        return;
    }

    ngx_http_llm_cache_verify_judge(ctx,
                                ngx_http_llm_cache_cosine(verify->vectors[0],
                                                        verify->vectors[1],
                                                        ctx->semantic->dim));
}


/* both answers have been compared */

static void
ngx_http_llm_cache_verify_judge(ngx_http_llm_cache_ctx_t *ctx,
    double similarity)
{
    ngx_http_llm_cache_zone_t           *zone;
    ngx_http_llm_cache_verify_t         *verify;
    ngx_http_llm_cache_semantic_stat_t  *stat;

    zone = ctx->conf->zone;
    verify = ctx->verify;
    stat = ngx_http_llm_cache_zone_semantic(zone);

    ctx->verify = NULL;

    ngx_http_llm_cache_semantic_count(stat, verified);

    if (similarity >= ctx->conf->semantic.used_verify_threshold) {
        return;
    }

    ngx_http_llm_cache_semantic_count(stat, wrong);

    (void) ngx_http_llm_cache_semantic_bar(zone, verify->found.key);
    ngx_http_llm_cache_vectors_drop(&zone->vectors, &verify->found);

    ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                  "llm cache: a semantic hit would have been wrong, "
                  "the answers' similarity is %.3f", similarity);
}


ngx_int_t
ngx_http_llm_cache_verify_fall_back(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_found_t  found;

    found = ctx->verify->found;

    return ngx_http_llm_cache_semantic_take(r, ctx, &found);
}


/* whatever is still to be compared is not */

void
ngx_http_llm_cache_verify_end(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_uint_t                    i;
    ngx_http_llm_cache_verify_t  *verify;

    verify = ctx->verify;

    if (verify == NULL) {
        return;
    }

    for (i = 0; i < 2; i++) {
        ngx_http_llm_cache_embed_end(verify->embeddings[i]);
    }

    ctx->verify = NULL;

    ngx_http_llm_cache_semantic_count(
               ngx_http_llm_cache_zone_semantic(ctx->conf->zone), unmeasured);
}
