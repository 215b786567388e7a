#include "ngx_http_llm_cache.h"


/* what the bytes of stored vectors, and words that have become more common
   since, may hide of a similarity */
#define NGX_HTTP_LLM_CACHE_SEMANTIC_MARGIN  0.1


static double ngx_http_llm_cache_semantic_threshold(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_semantic_choose(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_found_t *found,
    ngx_uint_t n, double threshold);
static ngx_int_t ngx_http_llm_cache_semantic_try(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_guard_text_t *asked,
    ngx_http_llm_cache_found_t *found, double threshold);
static ngx_int_t ngx_http_llm_cache_semantic_agree(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_guard_text_t *asked, double threshold,
    double similarity);
static ngx_int_t ngx_http_llm_cache_semantic_similar(
    ngx_http_llm_cache_ctx_t *ctx, llm_str_t text, double *similarity);
static void ngx_http_llm_cache_semantic_refused(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, unsigned guard);


/* finds the request's question, where it has one, once: ctx->semantic */

void
ngx_http_llm_cache_semantic_ask(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    size_t                          dim;
    ngx_str_t                       text;
    llm_str_t                       view;
    ngx_uint_t                      copied;
    llm_ignore_t                    ignore;
    llm_reason_e                    reason;
    ngx_http_llm_cache_semantic_t  *s;

    if (!ctx->conf->semantic.enable || ctx->conf->key || ctx->asked) {
        return;
    }

    ctx->asked = 1;

    reason = ngx_http_llm_cache_gather(r, ngx_min(ctx->conf->max_body,
                                                  LLM_QUESTION_BODY),
                                       &text, &copied);

    if (reason == LLM_REASON_NONE) {

        dim = ngx_http_llm_cache_semantic_dim(&ctx->conf->semantic);

        s = ngx_palloc(r->pool, sizeof(ngx_http_llm_cache_semantic_t)
                                + dim * sizeof(float));

        ngx_memzero(&ignore, sizeof(llm_ignore_t));

        if (ctx->conf->ignore) {
            ignore.paths = ctx->conf->ignore->elts;
            ignore.n = ctx->conf->ignore->nelts;
        }

        if (s && llm_question_read(text.data, text.len, ctx->route.dialect,
                                   &ignore, ctx->conf->controls
                                            & NGX_HTTP_LLM_CACHE_CONTROL_BODY,
                                   &s->question)
                 == 1)
        {
            s->dim = dim;
            s->similarity = -1;
            s->tried = 0;
            s->ready = (ctx->conf->semantic.location.len == 0);

            view.data = s->question.text;
            view.len = s->question.len;

            if ((!s->ready
                 || ngx_http_llm_cache_embed_text(ctx->conf->zone,
                                                  ctx->conf->semantic.model,
                                                  view, s->vector)
                    == NGX_OK)
                && ngx_http_llm_cache_make_partition(r, ctx,
                                                     s->question.partition,
                                                     s->partition)
                   == NGX_OK)
            {
                ctx->semantic = s;
            }
        }
    }

    if (copied) {
        ngx_pfree(r->pool, text.data);
    }
}


/*
 * NGX_OK: the record of another question, which serves this one, is held; the
 * request has that record's key now.  NGX_DECLINED also where such a hit is to
 * be verified: ctx->verify.
 */

ngx_int_t
ngx_http_llm_cache_semantic_find(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    double                               threshold;
    uint64_t                             start;
    ngx_int_t                            rc;
    ngx_uint_t                           n;
    ngx_http_llm_cache_found_t           found[NGX_HTTP_LLM_CACHE_FOUND];
    ngx_http_llm_cache_status_e          status;
    ngx_http_llm_cache_semantic_t       *s;
    ngx_http_llm_cache_semantic_stat_t  *stat;

    s = ctx->semantic;
    status = ctx->status;

    if (s == NULL || !s->ready || ctx->control.no_semantic) {
        return NGX_DECLINED;
    }

    threshold = ngx_http_llm_cache_semantic_threshold(r, ctx);

    if (threshold > 1) {
        return NGX_DECLINED;
    }

    stat = ngx_http_llm_cache_zone_semantic(ctx->conf->zone);
    start = ngx_http_llm_cache_usec();

    n = ngx_http_llm_cache_vectors_find(&ctx->conf->zone->vectors,
                                        s->partition, s->vector, s->dim,
                                        (float) (threshold
                                        - NGX_HTTP_LLM_CACHE_SEMANTIC_MARGIN),
                                        found);

    ngx_http_llm_cache_count(&stat->search_usec,
                             ngx_http_llm_cache_usec() - start);
    ngx_http_llm_cache_semantic_count(stat, lookups);

    rc = ngx_http_llm_cache_semantic_choose(r, ctx, found, n, threshold);

    if (rc == NGX_OK && ngx_http_llm_cache_verify_begin(r, ctx) == NGX_OK) {

        ngx_http_llm_cache_zone_release(&ctx->hold);
        ngx_http_llm_cache_semantic_undo(ctx);

        ctx->status = status;
        ctx->reason = LLM_REASON_VERIFY;

        return NGX_DECLINED;
    }

    return rc;
}


/*
 * As above, where who led the request's flight has found that record: it had
 * the same question, but may have been less strict.
 */

ngx_int_t
ngx_http_llm_cache_semantic_take(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_found_t *found)
{
    double  threshold;

    ngx_http_llm_cache_semantic_ask(r, ctx);

    if (ctx->semantic == NULL || ctx->control.no_semantic) {
        return NGX_DECLINED;
    }

    threshold = ngx_http_llm_cache_semantic_threshold(r, ctx);

    return ngx_http_llm_cache_semantic_choose(r, ctx, found, 1, threshold);
}


/* the first that serves */

static ngx_int_t
ngx_http_llm_cache_semantic_choose(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_http_llm_cache_found_t *found,
    ngx_uint_t n, double threshold)
{
    llm_str_t                       text;
    ngx_int_t                       rc;
    ngx_uint_t                      i;
    llm_guard_text_t               *asked;
    ngx_http_llm_cache_semantic_t  *s;

    if (n == 0 || threshold > 1) {
        return NGX_DECLINED;
    }

    s = ctx->semantic;

    text.data = s->question.text;
    text.len = s->question.len;

    asked = llm_guard_read(text);
    if (asked == NULL) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    for (i = 0; i < n && rc != NGX_OK; i++) {
        rc = ngx_http_llm_cache_semantic_try(r, ctx, asked, &found[i],
                                             threshold);
    }

    llm_guard_free(asked);

    return rc;
}


/* the operator's, or a higher one that the client asks for */

static double
ngx_http_llm_cache_semantic_threshold(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    double            threshold;
    ngx_int_t         n;
    ngx_table_elt_t  *h;

    static ngx_str_t  name = ngx_string("x-llm-cache-threshold");

    threshold = ngx_max(ctx->conf->semantic.used_threshold,
                        ctx->control.threshold);

    if (ctx->conf->controls & NGX_HTTP_LLM_CACHE_CONTROL_HEADER) {

        h = ngx_http_llm_cache_find_header(r, &name);

        if (h) {
            n = ngx_atofp(h->value.data, h->value.len, 6);

            /* who asks for something else than a number wants to be sure */

            threshold = n == NGX_ERROR ? 2 : ngx_max(threshold,
                                                     (double) n / 1000000);
        }
    }

    return threshold;
}


static ngx_int_t
ngx_http_llm_cache_semantic_try(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_guard_text_t *asked,
    ngx_http_llm_cache_found_t *found, double threshold)
{
    ngx_int_t                       rc;
    llm_reason_e                    reason;
    ngx_http_llm_cache_zone_t      *zone;
    ngx_http_llm_cache_status_e     status;
    ngx_http_llm_cache_semantic_t  *s;

    s = ctx->semantic;
    zone = ctx->conf->zone;
    status = ctx->status;
    reason = ctx->reason;

    rc = ngx_http_llm_cache_vectors_barred(&zone->vectors, found->key)
         ? NGX_DECLINED
         : ngx_http_llm_cache_zone_get(zone, found->key, 0, &ctx->hold);

    if (rc != NGX_OK) {
        ngx_http_llm_cache_vectors_drop(&zone->vectors, found);
        return NGX_DECLINED;
    }

    ngx_memcpy(s->key, ctx->key, LLM_KEY_LEN);
    ngx_memcpy(ctx->key, found->key, LLM_KEY_LEN);

    if (ngx_http_llm_cache_redis_verified(ctx, &ctx->hold)
        && ngx_http_llm_cache_open_record(r, ctx) == NGX_OK
        && ngx_http_llm_cache_serves(ctx)
        && ngx_http_llm_cache_semantic_agree(r, ctx, asked, threshold,
                                             (double) found->similarity)
           == NGX_OK)
    {
        s->found = *found;
        s->found.similarity = (float) s->similarity;

        ctx->status = NGX_HTTP_LLM_CACHE_SEMANTIC;
        return NGX_OK;
    }

    ngx_http_llm_cache_zone_release(&ctx->hold);
    ngx_http_llm_cache_semantic_undo(ctx);

    ctx->status = status;
    ctx->reason = reason;
    ctx->by_request = 0;

    return NGX_DECLINED;
}


/* the request is itself again: the record does not serve */

void
ngx_http_llm_cache_semantic_undo(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_memcpy(ctx->key, ctx->semantic->key, LLM_KEY_LEN);

    ctx->age = -1;
    ctx->prompt_tokens = -1;
    ctx->completion_tokens = -1;
}


/* nobody need wait for an answer to the request's own question any more */

void
ngx_http_llm_cache_semantic_served(ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_semantic_t  *s;

    s = ctx->semantic;

    ngx_http_llm_cache_semantic_count(
                     ngx_http_llm_cache_zone_semantic(ctx->conf->zone), hits);

    if (ngx_http_llm_cache_leads(&ctx->writer)) {
        ngx_http_llm_cache_flight_similar(&ctx->writer, &s->found);
        ngx_http_llm_cache_zone_abandon(&ctx->writer);
    }

    ngx_memcpy(ctx->key, s->key, LLM_KEY_LEN);
    ngx_http_llm_cache_redis_unlease(ctx);
    ngx_memcpy(ctx->key, s->found.key, LLM_KEY_LEN);
}


/* whether the record that is open answers the question too */

static ngx_int_t
ngx_http_llm_cache_semantic_agree(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, llm_guard_text_t *asked, double threshold,
    double similarity)
{
    unsigned                        failed;
    llm_guard_text_t               *stored;
    ngx_http_llm_cache_about_t      about;
    ngx_http_llm_cache_semantic_t  *s;

    s = ctx->semantic;

    if (ctx->record.barred
        || ngx_http_llm_cache_read_about(ngx_http_llm_cache_view(&ctx->meta),
                                         &about)
           != NGX_OK
        || !llm_str_eq(about.partition, (char *) s->partition, LLM_KEY_LEN)
        || ngx_http_llm_cache_semantic_similar(ctx, about.question,
                                               &similarity)
           != NGX_OK
        || similarity < threshold)
    {
        return NGX_DECLINED;
    }

    stored = llm_guard_read(about.question);
    if (stored == NULL) {
        return NGX_DECLINED;
    }

    failed = llm_guard_check(stored, asked,
                             (unsigned) ctx->conf->semantic.used_guards);

    llm_guard_free(stored);

    if (failed) {
        ngx_http_llm_cache_semantic_refused(r, ctx, failed);
        return NGX_DECLINED;
    }

    s->similarity = similarity;

    return NGX_OK;
}


/* exactly, but for what an API embeds: there the index has to be believed */

static ngx_int_t
ngx_http_llm_cache_semantic_similar(ngx_http_llm_cache_ctx_t *ctx,
    llm_str_t text, double *similarity)
{
    float  vector[LLM_VECTOR_MAX];

    if (ctx->conf->semantic.location.len == 0) {

        if (ngx_http_llm_cache_embed_text(ctx->conf->zone,
                                          ctx->conf->semantic.model, text,
                                          vector)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }

        *similarity = ngx_http_llm_cache_cosine(vector, ctx->semantic->vector,
                                                ctx->semantic->dim);
    }

    *similarity = ngx_min(*similarity, 1.0);

    return NGX_OK;
}


static void
ngx_http_llm_cache_semantic_refused(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, unsigned guard)
{
    ngx_uint_t                           i;
    ngx_http_llm_cache_semantic_stat_t  *stat;

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "llm cache: guard %s", llm_guard_name(guard));

    stat = ngx_http_llm_cache_zone_semantic(ctx->conf->zone);

    for (i = 0; i < LLM_GUARDS; i++) {
        if (guard == 1u << i) {
            ngx_http_llm_cache_semantic_count(stat, refused[i]);
        }
    }
}
