#include "ngx_http_llm_cache.h"


static ngx_uint_t ngx_http_llm_cache_may_fall_back(
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_find_other(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t failure);
static ngx_int_t ngx_http_llm_cache_create_refresh(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx);
static ngx_int_t ngx_http_llm_cache_refreshed(ngx_http_request_t *sr,
    void *data, ngx_int_t rc);


ngx_uint_t
ngx_http_llm_cache_failure(ngx_http_request_t *r)
{
    ngx_uint_t  i, status;

    static struct {
        ngx_uint_t  status;
        ngx_uint_t  failure;
    } failures[] = {
        { 403, NGX_HTTP_UPSTREAM_FT_HTTP_403 },
        { 404, NGX_HTTP_UPSTREAM_FT_HTTP_404 },
        { 429, NGX_HTTP_UPSTREAM_FT_HTTP_429 },
        { 500, NGX_HTTP_UPSTREAM_FT_HTTP_500 },
        { 502, NGX_HTTP_UPSTREAM_FT_HTTP_502 },
        { 503, NGX_HTTP_UPSTREAM_FT_HTTP_503 },
        { 504, NGX_HTTP_UPSTREAM_FT_HTTP_504 },
        { 529, NGX_HTTP_LLM_CACHE_FT_HTTP_529 }
    };

    status = r->headers_out.status;

    if (r->upstream == NULL || r->upstream->headers_in.status_n != status) {

        /* nginx's own words */

        switch (status) {

        case NGX_HTTP_GATEWAY_TIME_OUT:
            return NGX_HTTP_UPSTREAM_FT_TIMEOUT;

        case NGX_HTTP_INTERNAL_SERVER_ERROR:
        case NGX_HTTP_BAD_GATEWAY:
        case NGX_HTTP_SERVICE_UNAVAILABLE:
            return NGX_HTTP_UPSTREAM_FT_ERROR;

        default:
            return 0;
        }
    }

    for (i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        if (failures[i].status == status) {
            return failures[i].failure;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_llm_cache_may_fall_back(ngx_http_llm_cache_ctx_t *ctx)
{
    return ctx->has_key
           && ctx->conf->stale
           && (ctx->conf->use_stale & ~NGX_CONF_BITMASK_SET
               & ~NGX_HTTP_UPSTREAM_FT_OFF)
           && (ctx->status == NGX_HTTP_LLM_CACHE_MISS
               || ctx->status == NGX_HTTP_LLM_CACHE_EXPIRED)
           && !ctx->by_request
           && !ctx->only_if_cached;
}


ngx_int_t
ngx_http_llm_cache_fall_back(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_uint_t                   failure;
    ngx_http_llm_cache_status_e  status;

    status = ctx->status;
    failure = ngx_http_llm_cache_failure(r);

    if (failure == 0
        || ngx_http_llm_cache_find_other(r, ctx, failure) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_http_llm_cache_make_body(r, ctx) != NGX_OK) {

        if (ctx->status == NGX_HTTP_LLM_CACHE_SEMANTIC) {
            ngx_http_llm_cache_semantic_undo(ctx);
        }

        ctx->status = status;
        ngx_http_llm_cache_zone_release(&ctx->hold);
        return NGX_DECLINED;
    }

    ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                  "llm cache: the upstream failed with %ui, "
                  "a stored answer is served", r->headers_out.status);

    if (ctx->status == NGX_HTTP_LLM_CACHE_SEMANTIC) {
        ngx_http_llm_cache_semantic_served(ctx);

    } else if (ngx_http_llm_cache_leads(&ctx->writer)) {
        ngx_http_llm_cache_flight_fail(&ctx->writer,
                                       failure & ctx->conf->use_stale);
    }

    ctx->may_store = 0;
    ctx->reason = LLM_REASON_NONE;
    ctx->replaced = 1;

    ngx_http_clean_header(r);

    /* what $status tells where there is one */
    r->err_status = 0;

    return ngx_http_llm_cache_set_head(r, ctx,
                                       ngx_http_llm_cache_length(ctx->out));
}


/* a semantic hit that was to be verified, or a stale answer */

static ngx_int_t
ngx_http_llm_cache_find_other(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx, ngx_uint_t failure)
{
    /* who may not ask, or asks for what is not there, is told so */

    if (ctx->verify
        && !(failure & (NGX_HTTP_UPSTREAM_FT_HTTP_403
                        |NGX_HTTP_UPSTREAM_FT_HTTP_404))
        && ngx_http_llm_cache_verify_fall_back(r, ctx) == NGX_OK)
    {
        return NGX_OK;
    }

    return (failure & ctx->conf->use_stale)
           && ngx_http_llm_cache_may_fall_back(ctx)
           ? ngx_http_llm_cache_find_stale(r, ctx) : NGX_DECLINED;
}


ngx_int_t
ngx_http_llm_cache_find_stale(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    if (ngx_http_llm_cache_zone_get(ctx->conf->zone, ctx->key,
                                    ctx->conf->stale, &ctx->hold)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_http_llm_cache_redis_verified(ctx, &ctx->hold)
        && ngx_http_llm_cache_open_record(r, ctx) == NGX_OK
        && ngx_http_llm_cache_serves(ctx))
    {
        ctx->status = ngx_http_llm_cache_fresh(ctx)
                      ? NGX_HTTP_LLM_CACHE_HIT : NGX_HTTP_LLM_CACHE_STALE;
        return NGX_OK;
    }

    ngx_http_llm_cache_zone_release(&ctx->hold);

    return NGX_DECLINED;
}


/*
 * Fetches a new answer in a background subrequest, which takes over the
 * flight.  nginx keeps the connection until that ends, so that another request
 * on it would have to wait: it is closed after this one.
 */

void
ngx_http_llm_cache_refresh(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    if (ngx_http_llm_cache_create_refresh(r, ctx) != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, r->connection->log, 0,
                      "llm cache: a stale answer cannot be refreshed in the "
                      "background");

        ngx_http_llm_cache_zone_abandon(&ctx->writer);
        return;
    }

    r->keepalive = 0;
}


static ngx_int_t
ngx_http_llm_cache_create_refresh(ngx_http_request_t *r,
    ngx_http_llm_cache_ctx_t *ctx)
{
    ngx_http_llm_cache_ctx_t  *refresh;

    ngx_http_llm_cache_semantic_ask(r, ctx);
    ngx_http_llm_cache_semantic_reuse(ctx);

    refresh = ngx_http_llm_cache_create_ctx(r->pool);

    if (refresh == NULL
        || ngx_http_llm_cache_background(r, &r->uri, &r->args,
                                         NGX_HTTP_SUBREQUEST_CLONE, refresh,
                                         ngx_http_llm_cache_refreshed,
                                         refresh)
           == NULL)
    {
        return NGX_ERROR;
    }

    refresh->conf = ctx->conf;
    refresh->uri = ctx->uri;
    refresh->status = NGX_HTTP_LLM_CACHE_EXPIRED;
    refresh->route = ctx->route;
    refresh->ask = ctx->ask;
    refresh->control = ctx->control;
    refresh->model = ctx->model;
    refresh->has_key = 1;
    refresh->may_store = 1;
    refresh->background = 1;
    refresh->semantic = ctx->semantic;
    refresh->one_input = ctx->one_input;
    refresh->ns = ctx->ns;
    refresh->tags = ctx->tags;
    refresh->tagged = ctx->tagged;
    refresh->purges = ctx->purges;

    ngx_memcpy(refresh->key, ctx->key, LLM_KEY_LEN);
    refresh->fetched_at = ngx_current_msec;

    refresh->writer = ctx->writer;
    ngx_memzero(&ctx->writer, sizeof(ngx_http_llm_cache_writer_t));

    ngx_http_llm_cache_orphan(refresh);

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_cache_refreshed(ngx_http_request_t *sr, void *data, ngx_int_t rc)
{
    ngx_http_llm_cache_ctx_t *refresh = data;

    if (refresh->stored) {
        refresh->stored = 0;
        ngx_http_llm_cache_account_refreshed(refresh);
    }

    if (rc == NGX_ERROR) {
        ngx_http_llm_cache_refuse(refresh, LLM_REASON_TRUNCATED);
    }

    return rc;
}


ngx_int_t
ngx_http_llm_cache_refresh_handler(ngx_http_request_t *r)
{
    ngx_http_llm_cache_ctx_t  *ctx;

    ctx = ngx_http_llm_cache_get_ctx(r);

    if (ctx && ctx->may_store
        && ngx_http_llm_cache_hide_encodings(r, ctx) != NGX_OK)
    {
        ctx->may_store = 0;
        ctx->reason = LLM_REASON_NO_MEMORY;
    }

    return NGX_DECLINED;
}
